package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

// Files of a Process beside the standard ones: requests, replies, and then those that it was given.
const (
	requestFile = 3 + iota
	replyFile
	FirstFile
)

// patience is how long a process may take to end once it has no more requests.
const patience = 10 * time.Second

// Process is a copy of this program, at work for it: it gets requests and answers each, in JSON. It belongs to one goroutine.
type Process struct {
	name     string
	cmd      *exec.Cmd
	requests *os.File
	replies  *json.Decoder
	reader   *os.File
}

// StartProcess has start start this program again, with more in its environment and files from FirstFile on. name is how
// errors call it. The process reads and writes by Parent.
func StartProcess(name string, start func(*exec.Cmd) error, environment []string, files ...*os.File) (*Process, error) {
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
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = append([]*os.File{requestsIn, repliesOut}, files...)
	err = start(cmd)
	requestsIn.Close()
	repliesOut.Close()
	p := &Process{name: name, cmd: cmd, requests: requestsOut, reader: repliesIn, replies: json.NewDecoder(bufio.NewReader(repliesIn))}
	if err != nil {
		p.closeFiles()
		return nil, fmt.Errorf("start the %s: %w", name, err)
	}
	return p, nil
}

// Ask sends a request and waits for the reply. Cancelling ctx kills the process, and the error is then ctx's cause.
func (p *Process) Ask(ctx context.Context, request, reply any) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	defer stop()
	err := json.NewEncoder(p.requests).Encode(request)
	if err == nil {
		err = p.replies.Decode(reply)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("the %s ended early (killed, or out of memory?): %w", p.name, err)
	}
	return nil
}

// Close ends the process and waits for it.
func (p *Process) Close() error {
	p.closeFiles()
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // killed by Ask, which has said why
	}
	return err
}

func (p *Process) closeFiles() {
	p.requests.Close()
	p.reader.Close()
}

// Parent returns, in a Process, what its requests come from and what its replies go to. An interrupt from the terminal, which
// reaches the whole group, is ignored from then on: what to do about it is the parent's decision. The parent's end, however
// it came, is the end of the requests.
func Parent() (requests *json.Decoder, replies *json.Encoder) {
	signal.Ignore(os.Interrupt)
	return json.NewDecoder(bufio.NewReader(os.NewFile(requestFile, "requests"))), json.NewEncoder(os.NewFile(replyFile, "replies"))
}
