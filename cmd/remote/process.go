package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// install copies the binary and checks that it runs.
func (h *Host) install(ctx context.Context, path string) error {
	name, err := h.put(ctx, path, h.cfg.Name+"-", "700")
	if err != nil {
		return err
	}
	h.binary = name
	h.mu.Lock()
	defer h.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, says, err := h.ask(limited, "try", h.binary)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return faultf(h.cfg.Host, ErrWrongBinary, "%s does not answer to --version there", path)
	}
	if err != nil {
		return err
	}
	code, text := -1, clean(strings.Join(says[min(1, len(says)):], "; "))
	if len(says) > 0 {
		if n, err := strconv.Atoi(says[0]); err == nil {
			code = n
		}
	}
	switch {
	case code == 126 && strings.Contains(text, "Permission denied"):
		return faultf(h.cfg.Host, ErrFolder,
			"programs may not run in %s (mounted noexec?): choose another folder with --dir", h.Dir())
	case code != 0:
		return faultf(h.cfg.Host, ErrWrongBinary, "%s does not run there (code %d): %s; %s", path, code, text, h.advice())
	case !strings.Contains(text, h.cfg.Version):
		return faultf(h.cfg.Host, ErrWrongBinary,
			"%s is another version: it says %q, not %q; 'make build cross' or 'make dist' builds them all",
			path, text, h.cfg.Version)
	}
	return nil
}

// advice says what to do about a binary that does not run on the host.
func (h *Host) advice() string {
	own := h.own
	switch {
	case h.cfg.Arch != "" && own.arch == "":
		return fmt.Sprintf("its processor is %q, for which there is no binary, and it does not run that of --arch %s",
			own.uname, h.arch)
	case h.cfg.Arch != "" && own.arch != h.arch:
		return fmt.Sprintf("its processor is %q: leave out --arch %s, or choose --arch %s", own.uname, h.arch, own.arch)
	}
	return fmt.Sprintf("its processor is %q: choose another of %s with --arch, or a static program for it with --binary",
		own.uname, strings.Join(Arches, ", "))
}

// Process is the program running on a host.
type Process struct {
	Stdin  io.WriteCloser // of the program; closing it ends its input
	Stdout io.Reader      // of the program; what is unread when Wait is called is thrown away

	h      *Host
	s      *session
	ctx    context.Context
	forget func() bool
	killed atomic.Bool
}

// shared lets several goroutines read.
type shared struct {
	mu sync.Mutex
	r  io.Reader
}

func (s *shared) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(p)
}

// ExitError says that the program ended there with a code that is not zero.
type ExitError struct {
	Host   string
	Code   int    // as a shell tells it: 128 and the signal's number after a signal
	Stderr string // the last lines of the program's standard error
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: the program ended there with code %d", e.Host, e.Code)
	if e.Code == 137 {
		text += " (killed: out of memory?)"
	}
	if e.Stderr != "" {
		text += ": " + strings.ReplaceAll(e.Stderr, "\n", "; ")
	}
	return text
}

// Start runs the binary in the folder with the given arguments, which must be of a-z, 0-9 and "-"; anything else goes
// by its standard input. It ends first what a lost connection of this Host may have left running, so there is at most
// one process at a time. The program should end when its standard input does. Cancelling ctx ends the connection.
func (h *Host) Start(ctx context.Context, args ...string) (*Process, error) {
	for _, arg := range args {
		if !plain(arg, "-") || strings.ToLower(arg) != arg {
			return nil, fmt.Errorf("%s: argument %q has other characters than a-z, 0-9 and -", h.cfg.Host, arg)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	request := append([]string{"run", h.binary}, args...)
	s, _, err := h.ask(ctx, append(request, ".")...)
	var no *refusal
	if errors.As(err, &no) {
		return nil, faultf(h.cfg.Host, ErrBusy, "the program already runs there in %s (process %s): wait for it, or end it",
			h.Dir(), no.text)
	}
	if err != nil {
		h.stray = true
		return nil, err
	}
	h.idle = nil
	h.stray = true // until Wait knows better
	p := &Process{Stdin: s.in, Stdout: &shared{r: s.out}, h: h, s: s, ctx: ctx}
	p.forget = context.AfterFunc(ctx, s.kill)
	return p, nil
}

// Kill ends the connection. The program there sees the end of its input; what remains is ended by the next Start or by
// Close.
func (p *Process) Kill() {
	p.killed.Store(true)
	p.s.kill()
}

// drainTime is for what is left of standard output after ssh has ended: another process may hold its end open.
const drainTime = time.Second

// Wait throws away what was not read of standard output, so that the program cannot wait for it, and waits for the
// program to end. Stdout may be read at the same time, and is closed after. The error is nil for exit code 0, an
// *ExitError for another, ErrLost if the connection was lost before the program told its code, or the context's.
func (p *Process) Wait() error {
	drained := make(chan struct{})
	go func() { io.Copy(io.Discard, p.Stdout); close(drained) }()
	<-p.s.gone
	timer := time.AfterFunc(drainTime, func() { p.s.file.Close() })
	<-drained
	timer.Stop()
	p.s.file.Close()
	p.forget()
	host := p.h.cfg.Host
	code, told := p.s.stderr.exit()
	if told {
		p.h.mu.Lock()
		p.h.stray = false
		p.h.mu.Unlock()
	}
	switch {
	case told && code == 0:
		return nil
	case told:
		return &ExitError{Host: host, Code: code, Stderr: p.s.stderr.String()}
	case p.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", host, context.Cause(p.ctx))
	case p.killed.Load():
		return fmt.Errorf("%s: killed", host)
	}
	text := strings.ReplaceAll(p.s.stderr.String(), "\n", "; ")
	if text == "" {
		text = "ssh says no more"
	}
	return faultf(host, ErrLost, "connection lost: %s", text)
}
