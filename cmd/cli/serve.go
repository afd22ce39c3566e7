package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/replay/trial"
)

// request is what the user's machine asks of a board: one JSON object on standard input. After it comes a line end every
// heartbeat, so that a board whose connection is gone stops measuring.
type request struct {
	Job      *job      `json:"job,omitempty"`
	Question *question `json:"question,omitempty"`
}

// response is one JSON line of the answer: exactly one field is set. Done or Error is the last.
type response struct {
	Note     string          `json:"note,omitempty"`
	Ready    *ready          `json:"ready,omitempty"`
	Resized  *trial.Resizing `json:"resized,omitempty"`
	Record   *trial.Record   `json:"record,omitempty"`
	Progress *trial.Progress `json:"progress,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
	Error    *failure        `json:"error,omitempty"`
	Done     bool            `json:"done,omitempty"`
}

type failure struct {
	Text  string `json:"text"`
	Usage bool   `json:"usage,omitempty"`
}

const (
	heartbeat = 5 * time.Second
	silence   = 4 * heartbeat // after which the other side is taken to be gone
)

// serveCommand answers one request: the other end of pcaplab remote.
func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "serve",
		Short:  "Measure for a pcaplab on another machine, which started this by ssh",
		Hidden: true,
		Args:   none,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.serve(c.Context(), a.stdin, a.stdout)
		},
	}
}

func (a *app) serve(ctx context.Context, in io.Reader, out io.Writer) error {
	requests := json.NewDecoder(in)
	var r request
	if err := requests.Decode(&r); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go watch(io.MultiReader(requests.Buffered(), in), silence, cancel)
	if in == os.Stdin {
		// Nobody may read what is still being written.
		context.AfterFunc(ctx, func() { time.AfterFunc(2*heartbeat, func() { os.Exit(ExitFailed) }) })
	}
	to := &responder{e: json.NewEncoder(out)}
	err := a.respond(ctx, &r, to)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		var usage usageError
		return to.send(response{Error: &failure{Text: err.Error(), Usage: errors.As(err, &usage)}})
	}
	return to.send(response{Done: true})
}

// respond does what was asked, with a voice that is heard on the other machine.
func (a *app) respond(ctx context.Context, r *request, to *responder) error {
	board := *a
	board.quiet, board.stdin, board.stderr = false, bytes.NewReader(nil), notes{to}
	switch {
	case r.Job != nil:
		err := board.perform(ctx, r.Job, &events{
			ready:    func(r ready) error { return to.send(response{Ready: &r}) },
			resized:  func(r trial.Resizing) { _ = to.send(response{Resized: &r}) },
			record:   func(r trial.Record) error { return to.send(response{Record: &r}) },
			progress: to.progress,
		})
		return asNamed(err, r.Job.named())
	case r.Question != nil:
		v, err := board.answer(ctx, *r.Question)
		if err != nil {
			return err
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		return to.send(response{Answer: raw})
	}
	return errors.New("an empty request: is the other side of this version?")
}

// named returns all that a job reads, by the user's names and by those that the copies have.
func (j *job) named() []source {
	list := slices.Clone(j.Sources)
	for _, f := range j.Header.StageFiles {
		list = append(list, source{Name: f.Name, File: f.Path})
	}
	return list
}

// asNamed puts the user's names of files in an error in place of those that the copies have.
func asNamed(err error, list []source) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range list {
		if s.File != "" && s.File != s.Name {
			text = strings.ReplaceAll(text, s.File, s.Name)
		}
	}
	var usage usageError
	if errors.As(err, &usage) {
		return usageError{errors.New(text)}
	}
	return errors.New(text)
}

// watch cancels when the other side ends, or says nothing for too long.
func watch(in io.Reader, silence time.Duration, cancel context.CancelCauseFunc) {
	timer := time.AfterFunc(silence, func() { cancel(fmt.Errorf("nothing heard for %v: the connection is gone", silence)) })
	defer timer.Stop()
	buf := make([]byte, 64)
	for {
		if _, err := in.Read(buf); err != nil {
			cancel(fmt.Errorf("the connection is gone: %w", err))
			return
		}
		timer.Reset(silence)
	}
}

// responder sends responses.
type responder struct {
	mu   sync.Mutex
	e    *json.Encoder
	last time.Time // of progress
}

func (r *responder) send(v response) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.e.Encode(v)
}

// progress sends a few a second, between trials.
func (r *responder) progress(p trial.Progress) {
	if time.Since(r.last) < time.Second/4 && p.Done < p.Cells {
		return
	}
	r.last = time.Now()
	if math.IsNaN(p.LastLoss) {
		p.LastLoss = 0
	}
	_ = r.send(response{Progress: &p})
}

// notes sends lines for the person at the terminal.
type notes struct{ to *responder }

func (n notes) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		if err := n.to.send(response{Note: strings.TrimRight(line, "\n")}); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// exchange sends a request and calls take with each response. It returns nil after the last one, io.ErrUnexpectedEOF
// where the responses end before it, and the other side's failure as an error.
func exchange(r request, to io.Writer, from io.Reader, take func(response) error) error {
	if err := json.NewEncoder(to).Encode(r); err != nil {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	ended := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
				if _, err := io.WriteString(to, "\n"); err != nil {
					return
				}
			}
		}
	})
	defer beats.Wait()
	defer close(ended)
	responses := json.NewDecoder(bufio.NewReader(from))
	for {
		var v response
		err := responses.Decode(&v)
		var syntax *json.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return fmt.Errorf("an answer that is none (does the login shell print something?): %w", err)
		case err != nil:
			return errors.Join(io.ErrUnexpectedEOF, err)
		case v.Done:
			return nil
		case v.Error != nil && v.Error.Usage:
			return usageError{errors.New(v.Error.Text)}
		case v.Error != nil:
			return errors.New(v.Error.Text)
		}
		if err := take(v); err != nil {
			return err
		}
	}
}
