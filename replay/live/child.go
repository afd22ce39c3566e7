package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"pcaplab/parse"
	"pcaplab/replay/netlab"
	"pcaplab/replay/trial"
)

// childVariable is set in the environment of the processes of a run: to the name of the end that one is at.
const childVariable = "PCAPLAB_LIVE"

// reply answers a request.
type reply struct {
	Error    string    `json:"error,omitempty"`
	Sent     *sent     `json:"sent,omitempty"`
	Received *received `json:"received,omitempty"`
}

// Serve turns this process into one end of a live run if it was started as one, and returns true when it has served. A program
// that runs live experiments calls it first in main, with all its engines, and exits when it was true.
func Serve(engines []parse.Engine) (served bool, err error) {
	role := os.Getenv(childVariable)
	if role == "" {
		return false, nil
	}
	c := &parent{}
	c.requests, c.replies = trial.Parent()
	switch role {
	case netlab.Sender.String():
		err = serveSender(c)
	case netlab.Receiver.String():
		err = serveReceiver(c, engines)
	default:
		err = fmt.Errorf("%s=%s: want %v or %v", childVariable, role, netlab.Sender, netlab.Receiver)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) { // the parent has ended, or has no more requests
		err = nil
	}
	return true, err
}

// parent is the parent, as a child sees it.
type parent struct {
	requests *json.Decoder
	replies  *json.Encoder
}

// child is a process at an end of a Lab.
type child struct{ process *trial.Process }

// start starts the process of an end and sets it up.
func start(ctx context.Context, lab *netlab.Lab, end netlab.End, setup any, files ...*os.File) (*child, error) {
	p, err := trial.StartProcess(end.String(), func(cmd *exec.Cmd) error { return lab.Start(end, cmd) }, []string{childVariable + "=" + end.String()}, files...)
	if err != nil {
		return nil, err
	}
	c := &child{p}
	if _, err := c.ask(ctx, setup); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// ask sends a request and waits for the answer. Cancelling ctx kills the process.
func (c *child) ask(ctx context.Context, request any) (r reply, err error) {
	if err = c.process.Ask(ctx, request, &r); err == nil && r.Error != "" {
		err = errors.New(r.Error)
	}
	return r, err
}

// close ends the process and waits for it.
func (c *child) close() error { return c.process.Close() }
