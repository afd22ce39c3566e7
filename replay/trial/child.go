package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
)

// childVariable is set in the environment of a measuring process.
const childVariable = "PCAPLAB_MEASURE"

// Files of a measuring process: requests, replies, then the parts of the working set.
const (
	requestFile = 3 + iota
	replyFile
	firstPartFile
)

// setup is the first request.
type setup struct {
	Settings Settings `json:"settings"`
	Cell     Cell     `json:"cell"`
	Parts    int      `json:"parts"`
}

// reply answers the setup and each input.
type reply struct {
	Record *Record `json:"record,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Serve turns this process into a measuring process if it was started as one by a Child, and returns true when it has
// served. A program that runs studies calls it first in main, with all its engines and stages, and exits when it was true.
func Serve(engines []parse.Engine, stages []parse.StageKind) (served bool, err error) {
	if os.Getenv(childVariable) == "" {
		return false, nil
	}
	// An interrupt from the terminal reaches the whole group; what to do about it is the parent's decision.
	signal.Ignore(os.Interrupt)
	requests := json.NewDecoder(bufio.NewReader(os.NewFile(requestFile, "requests")))
	replies := json.NewEncoder(os.NewFile(replyFile, "replies"))
	var s setup
	if err := requests.Decode(&s); err != nil {
		return true, fmt.Errorf("measuring process: setup: %w", err)
	}
	runner, err := s.runner(engines, stages)
	if err != nil {
		return true, replies.Encode(reply{Error: err.Error()})
	}
	defer runner.Close()
	if err := replies.Encode(reply{}); err != nil {
		return true, err
	}
	// The parent's end, however it came, closes the requests: a trial under way is then of no use to anybody.
	ctx, cancel := context.WithCancelCause(context.Background())
	inputs := make(chan Input)
	go func() {
		defer close(inputs)
		for {
			var in Input
			if err := requests.Decode(&in); err != nil {
				cancel(err)
				return
			}
			inputs <- in
		}
	}()
	for in := range inputs {
		rec, err := runner.Measure(ctx, in)
		answer := reply{Record: &rec}
		if err != nil {
			answer = reply{Error: err.Error()}
		}
		if ctx.Err() != nil {
			break
		}
		if err := replies.Encode(answer); err != nil {
			return true, err
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, io.EOF) {
		return true, fmt.Errorf("measuring process: input: %w", err)
	}
	return true, nil
}

func (s *setup) runner(engines []parse.Engine, kinds []parse.StageKind) (*Runner, error) {
	engine, err := findEngine(engines, s.Cell.Engine)
	if err != nil {
		return nil, err
	}
	stages, err := findStages(kinds, s.Settings.Stages)
	if err != nil {
		return nil, err
	}
	parts := make([]*arena.Frames, s.Parts)
	for i := range parts {
		part, err := arena.Attach(os.NewFile(uintptr(firstPartFile+i), fmt.Sprintf("working set %d", i+1)))
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return NewRunner(engine, stages, s.Settings, s.Cell, parts)
}

// Child measures in a fresh process of the same program, which must call Serve. The process inherits the frames, and ends
// with Close.
type Child struct {
	cmd      *exec.Cmd
	requests *os.File
	replies  *json.Decoder
	reader   *os.File
}

// StartChild starts a measuring process for a cell.
func StartChild(settings Settings, cell Cell, parts []*arena.Frames) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	requestsIn, requestsOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	repliesIn, repliesOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, requestsIn.Close(), requestsOut.Close())
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	if settings.GOGC != "" {
		cmd.Env = append(cmd.Env, "GOGC="+settings.GOGC)
	}
	if settings.Memory != "" {
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+settings.Memory)
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = []*os.File{requestsIn, repliesOut}
	for _, p := range parts {
		cmd.ExtraFiles = append(cmd.ExtraFiles, p.File())
	}
	err = cmd.Start()
	requestsIn.Close()
	repliesOut.Close()
	c := &Child{cmd: cmd, requests: requestsOut, reader: repliesIn, replies: json.NewDecoder(bufio.NewReader(repliesIn))}
	if err != nil {
		c.closeFiles()
		if errors.Is(err, syscall.ENOEXEC) {
			return nil, fmt.Errorf("start a measuring process: %w: this program runs under an emulator that cannot start it again; "+
				"measure with --in-process, or register the emulator with binfmt_misc", err)
		}
		return nil, fmt.Errorf("start a measuring process: %w", err)
	}
	if err := json.NewEncoder(requestsOut).Encode(setup{Settings: settings, Cell: cell, Parts: len(parts)}); err != nil {
		return nil, errors.Join(fmt.Errorf("set up a measuring process: %w", err), c.Close())
	}
	if _, err := c.receive(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Measure runs a trial in the process. Cancelling ctx kills the process: the trial under way leaves no record.
func (c *Child) Measure(ctx context.Context, in Input) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	stop := context.AfterFunc(ctx, func() { c.cmd.Process.Kill() })
	defer stop()
	if err := json.NewEncoder(c.requests).Encode(in); err != nil {
		return Record{}, fmt.Errorf("measuring process: %w", errors.Join(ctx.Err(), err))
	}
	rec, err := c.receive()
	if err != nil {
		if ctx.Err() != nil {
			return Record{}, ctx.Err()
		}
		return Record{}, err
	}
	return *rec, nil
}

func (c *Child) receive() (*Record, error) {
	var r reply
	if err := c.replies.Decode(&r); err != nil {
		return nil, fmt.Errorf("the measuring process ended early (killed, or out of memory?): %w", err)
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Record, nil
}

// Close ends the process and waits for it.
func (c *Child) Close() error {
	c.closeFiles()
	timer := time.AfterFunc(10*time.Second, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // killed by Measure, which has said why
	}
	return err
}

func (c *Child) closeFiles() {
	c.requests.Close()
	c.reader.Close()
}

// childrenSupported reports whether working sets can be handed to other processes here.
func childrenSupported() bool { return runtime.GOOS != "windows" }
