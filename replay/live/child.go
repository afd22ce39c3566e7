package live

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
	"syscall"
	"time"

	"pcaplab/parse"
	"pcaplab/replay/netlab"
)

// childVariable is set in the environment of the processes of a run: to the name of the end that one is at.
const childVariable = "PCAPLAB_LIVE"

// Files of such a process: requests, replies and, of the sender, the frames.
const (
	requestFile = 3 + iota
	replyFile
	framesFile
)

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
	signal.Ignore(os.Interrupt) // what to do about it is the parent's decision
	c := &parent{
		requests: json.NewDecoder(bufio.NewReader(os.NewFile(requestFile, "requests"))),
		replies:  json.NewEncoder(os.NewFile(replyFile, "replies")),
	}
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
type child struct {
	end      netlab.End
	cmd      *exec.Cmd
	requests *os.File
	replies  *json.Decoder
	reader   *os.File
}

// start starts the process of an end and sets it up.
func start(ctx context.Context, lab *netlab.Lab, end netlab.End, setup any, files ...*os.File) (*child, error) {
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
	cmd.Env = append(os.Environ(), childVariable+"="+end.String())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.ExtraFiles = append([]*os.File{requestsIn, repliesOut}, files...)
	err = lab.Start(end, cmd)
	requestsIn.Close()
	repliesOut.Close()
	c := &child{end: end, cmd: cmd, requests: requestsOut, reader: repliesIn, replies: json.NewDecoder(bufio.NewReader(repliesIn))}
	if err != nil {
		c.closeFiles()
		return nil, fmt.Errorf("start the %v: %w", end, err)
	}
	if _, err := c.ask(ctx, setup); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// ask sends a request and waits for the answer. Cancelling ctx kills the process.
func (c *child) ask(ctx context.Context, request any) (reply, error) {
	var r reply
	if err := ctx.Err(); err != nil {
		return r, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { c.cmd.Process.Kill() })
	defer stop()
	err := json.NewEncoder(c.requests).Encode(request)
	if err == nil {
		err = c.replies.Decode(&r)
	}
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case err != nil:
		return r, fmt.Errorf("the %v ended early (killed, or out of memory?): %w", c.end, err)
	case r.Error != "":
		return r, errors.New(r.Error)
	}
	return r, nil
}

// close ends the process and waits for it.
func (c *child) close() error {
	c.closeFiles()
	timer := time.AfterFunc(5*time.Second, func() { c.cmd.Process.Kill() })
	defer timer.Stop()
	err := c.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Exited() {
		return nil // killed by ask, which has said why
	}
	return err
}

func (c *child) closeFiles() {
	c.requests.Close()
	c.reader.Close()
}
