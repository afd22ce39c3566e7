package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
)

// childVariable is set in the environment of a measuring process.
const childVariable = "PCAPLAB_MEASURE"

// setup is the first request.
type setup struct {
	Settings Settings `json:"settings"`
	Cell     Cell     `json:"cell"`
	Parts    int      `json:"parts"`
	Copies   int      `json:"copies"` // of a capture, in all parts

	StageFiles []StageFile `json:"stage_files,omitempty"`
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
	requests, replies := Parent()
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
	stages, err := findStages(kinds, s.Settings.Stages, s.StageFiles)
	if err != nil {
		return nil, err
	}
	parts := make([]*arena.Frames, s.Parts)
	for i := range parts {
		part, err := arena.Attach(os.NewFile(uintptr(FirstFile+i), fmt.Sprintf("working set %d", i+1)))
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return NewRunner(engine, stages, s.Settings, s.Cell, parts, s.Copies)
}

// Child measures in a fresh process of the same program, which must call Serve. The process inherits the frames, and ends
// with Close.
type Child struct{ process *Process }

// StartChild starts a measuring process for a cell. Its stages read those files; parts and copies are as for NewRunner.
func StartChild(settings Settings, cell Cell, read []StageFile, parts []*arena.Frames, copies int) (*Child, error) {
	environment := []string{childVariable + "=1"}
	if settings.GOGC != "" {
		environment = append(environment, "GOGC="+settings.GOGC)
	}
	if settings.Memory != "" {
		environment = append(environment, "GOMEMLIMIT="+settings.Memory)
	}
	var files []*os.File
	for _, p := range parts {
		files = append(files, p.File())
	}
	p, err := StartProcess("measuring process", (*exec.Cmd).Start, environment, files...)
	if errors.Is(err, syscall.ENOEXEC) {
		return nil, fmt.Errorf("%w: this program runs under an emulator that cannot start it again; "+
			"measure with --in-process, or register the emulator with binfmt_misc", err)
	}
	if err != nil {
		return nil, err
	}
	c := &Child{p}
	if _, err := c.ask(context.Background(), setup{Settings: settings, Cell: cell, Parts: len(parts), Copies: copies, StageFiles: read}); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Measure runs a trial in the process. Cancelling ctx kills the process: the trial under way leaves no record.
func (c *Child) Measure(ctx context.Context, in Input) (Record, error) {
	rec, err := c.ask(ctx, in)
	switch {
	case ctx.Err() != nil:
		return Record{}, ctx.Err()
	case err != nil:
		return Record{}, err
	}
	return *rec, nil
}

func (c *Child) ask(ctx context.Context, request any) (*Record, error) {
	var r reply
	if err := c.process.Ask(ctx, request, &r); err != nil {
		return nil, err
	}
	if r.Error != "" {
		return nil, errors.New(r.Error)
	}
	return r.Record, nil
}

// Close ends the process and waits for it.
func (c *Child) Close() error { return c.process.Close() }

// childrenSupported reports whether working sets can be handed to other processes here.
func childrenSupported() bool { return runtime.GOOS != "windows" }
