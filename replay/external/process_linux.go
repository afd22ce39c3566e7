package external

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
)

const (
	defaultPipe  = 1 << 20
	defaultReady = time.Minute
	stdoutTail   = 64 << 10
	stderrTail   = 8 << 10
	// linger is how long what the program has left behind may go on printing after its end.
	linger = 2 * time.Second
	// killWait is how long killed processes may take to end. Only the kernel can hold them up.
	killWait = 5 * time.Second
)

// Words of the progress page.
const (
	wordTaken = iota
	wordReady
	wordTCP
	wordDone
	wordHeld
	progressWords
)

// Process is a program that was started. Its methods belong to one goroutine. It must be closed.
type Process struct {
	program Program
	cfg     Config
	cmd     *exec.Cmd
	session *meter.Session

	stdin   int // of the pipe, not blocking; negative when it is closed
	pipe    int // its size in octets
	stdout  *output
	stderr  *output
	page    []byte
	words   *[progressWords]atomic.Uint64
	counter bool
	ended   chan struct{} // closed when the program has ended; it is not reaped then
	dead    atomic.Bool
	reaped  bool
	state   *os.ProcessState
	closed  bool

	queue   fifo
	waiting backlog
	written uint64 // octets of records that are in the pipe or were read from it
	ran     bool
	result  replay.Result
	usage   Usage
	begin   meter.SessionUsage // when the trial began
	began   time.Time
	whole   bool // usage.Whole is known
	given   uint64
}

// output drains one of the program's outputs.
type output struct {
	r     *os.File
	lines bool // count lines
	done  chan struct{}

	mu      sync.Mutex
	tail    []byte
	limit   int
	cut     bool // more was written than tail holds
	packets uint64
	tcp     uint64
	line    bool // the line in hand is not empty
}

// newOutput returns an output and the end of its pipe that the program writes to.
func newOutput(limit int, lines bool) (*output, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	o := &output{r: r, lines: lines, limit: limit, done: make(chan struct{})}
	return o, w, nil
}

func (o *output) drain() {
	defer close(o.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := o.r.Read(buf)
		o.mu.Lock()
		o.add(buf[:n])
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (o *output) add(b []byte) {
	if o.lines {
		for len(b) > 0 {
			line, rest, ended := bytes.Cut(b, []byte("\n"))
			o.line = o.line || len(line) > 0
			if ended {
				o.packets++
				if o.line {
					o.tcp++
				}
				o.line = false
			}
			b = rest
		}
		return
	}
	o.tail = append(o.tail, b...)
	if len(o.tail) > 2*o.limit {
		o.tail = slices.Clone(o.tail[len(o.tail)-o.limit:])
		o.cut = true
	}
}

// text returns the end of what was written, and whether its beginning is missing.
func (o *output) text() (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.tail) > o.limit {
		return string(o.tail[len(o.tail)-o.limit:]), true
	}
	return string(o.tail), o.cut
}

// counts returns what was counted in lines or says the text.
func (o *output) counts() (Counts, bool) {
	if o.lines {
		o.mu.Lock()
		defer o.mu.Unlock()
		return Counts{o.packets, o.tcp, true}, true
	}
	return parseCounts(o.text())
}

// Start starts the program in a session of its own and returns when it is ready: when it has read the capture's header and,
// if it publishes its progress, has said so. What that took is in Usage.StartUp of the outcome. The error is a
// *MissingError, an *EndedError, that of ctx, or says that it did not get ready in time; the program is gone then.
func (p Program) Start(ctx context.Context, cfg Config) (*Process, error) {
	if cfg.PipeOctets == 0 {
		cfg.PipeOctets = defaultPipe
	}
	if cfg.Link == 0 {
		cfg.Link = parse.LinkEthernet
	}
	if cfg.Snaplen == 0 {
		cfg.Snaplen = maxSnaplen
	}
	if cfg.Ready == 0 {
		cfg.Ready = defaultReady
	}
	if cfg.PipeOctets < 0 || cfg.PipeOctets > 1<<30 || cfg.Snaplen < 1 || cfg.Snaplen > maxSnaplen || cfg.Ready < 0 {
		return nil, fmt.Errorf("%s: pipe of %d octets, snaplen %d, %v to get ready: want up to 1 GiB, 1 to %d, and not less than 0",
			p.Name, cfg.PipeOctets, cfg.Snaplen, cfg.Ready, maxSnaplen)
	}
	if p.Links != nil && !slices.Contains(p.Links, cfg.Link) {
		return nil, fmt.Errorf("%s: takes frames of link type %d, not %d: rewrite the capture or take another program",
			p.Name, p.Links, cfg.Link)
	}
	argv := p.found
	if argv == nil {
		var err error
		if argv, err = p.resolve(ctx); err != nil {
			return nil, err
		}
	}
	ps := &Process{program: p, cfg: cfg, stdin: -1, ended: make(chan struct{})}
	ps.queue.link, ps.queue.snaplen = cfg.Link, cfg.Snaplen
	start := time.Now()
	if err := ps.launch(argv); err != nil {
		_ = ps.Close()
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	if err := ps.ready(ctx, start); err != nil {
		_ = ps.Close()
		return nil, err
	}
	u := ps.session.Read()
	ps.usage.StartUp = Span{int64(time.Since(start)), u.CPUNs, u.ChildrenCPUNs}
	ps.counter = ps.words[wordReady].Load() != 0
	return ps, nil
}

// launch makes the pipes and starts the program.
func (p *Process) launch(argv []string) (err error) {
	var files []*os.File // of the program; not ours once it has started
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p.stdin = ends[1]
	files = append(files, os.NewFile(uintptr(ends[0]), "stdin"))
	for size := p.cfg.PipeOctets; ; size /= 2 {
		n, err := unix.FcntlInt(uintptr(p.stdin), unix.F_SETPIPE_SZ, size)
		if err == nil {
			p.pipe = n
			break
		}
		if size < 4096 {
			if p.pipe, err = unix.FcntlInt(uintptr(p.stdin), unix.F_GETPIPE_SZ, 0); err != nil {
				return os.NewSyscallError("fcntl", err)
			}
			break
		}
	}
	if err := unix.SetNonblock(p.stdin, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	for _, o := range []struct {
		to    **output
		limit int
		lines bool
	}{{&p.stdout, stdoutTail, p.program.lines}, {&p.stderr, stderrTail, false}} {
		out, w, err := newOutput(o.limit, o.lines)
		if err != nil {
			return err
		}
		*o.to = out
		files = append(files, w)
		go out.drain()
	}
	memory, err := unix.MemfdCreate("progress", unix.MFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	files = append(files, os.NewFile(uintptr(memory), "progress"))
	size := os.Getpagesize()
	if err := unix.Ftruncate(memory, int64(size)); err != nil {
		return os.NewSyscallError("ftruncate", err)
	}
	if p.page, err = unix.Mmap(memory, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	p.words = (*[progressWords]atomic.Uint64)(unsafe.Pointer(&p.page[0]))

	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = files[0], files[1], files[2]
	cmd.ExtraFiles = files[3:4]
	cmd.Env = append(append(os.Environ(), ProgressEnv+"=/proc/self/fd/3"), p.cfg.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	if p.session, err = meter.WatchSession(cmd.Process.Pid, p.cfg.Sample); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	p.cmd = cmd
	go p.watch()
	return p.writeHeader()
}

// watch waits for the program's end. Until it is reaped its CPU time can be read and its number is nobody else's.
func (p *Process) watch() {
	defer close(p.ended)
	defer p.dead.Store(true)
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

func (p *Process) writeHeader() error {
	w, err := pcapio.NewWriter(pipeEnd(p.stdin), pcapio.WriterConfig{Link: p.cfg.Link, Snaplen: uint32(p.cfg.Snaplen)})
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil && !errors.Is(err, unix.EPIPE) { // ready tells why it has ended
		return err
	}
	return nil
}

type pipeEnd int

func (p pipeEnd) Write(b []byte) (int, error) { return writePipe(int(p), b) }

// writePipe writes what the pipe has room for.
func writePipe(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}

// inPipe returns how many octets the program has not read from the pipe.
func (p *Process) inPipe() int {
	n, err := unix.IoctlGetInt(p.stdin, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// ready waits until the program is.
func (p *Process) ready(ctx context.Context, start time.Time) error {
	for wait := 200 * time.Microsecond; ; wait = min(2*wait, 2*time.Millisecond) {
		if p.inPipe() == 0 && (!p.program.Counter || p.words[wordReady].Load() != 0) && !p.dead.Load() {
			return nil
		}
		if time.Since(start) > p.cfg.Ready {
			err := fmt.Errorf("%s has not read the capture's header from its standard input within %v", p.program.Name, p.cfg.Ready)
			if said, _ := p.stderr.text(); said != "" {
				err = fmt.Errorf("%w; it said: %s", err, oneLine(said))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return p.endedError()
		case <-time.After(wait):
		}
	}
}

// endedError says how the program ended, or that it has closed its standard input if it goes on.
func (p *Process) endedError() error {
	e := &EndedError{Program: p.program.Name, Given: p.given, Status: "closed its standard input"}
	select {
	case <-p.ended:
		p.reap(0)
		if p.state != nil {
			e.Status = p.state.String()
		}
	case <-time.After(time.Second):
	}
	e.Stderr, _ = p.stderr.text()
	e.Stderr = strings.TrimSpace(e.Stderr)
	return e
}

// kill kills every process of the session until none is left, and waits for the program's end.
func (p *Process) kill() {
	if p.cmd == nil || p.reaped {
		return
	}
	pid := p.cmd.Process.Pid
	for until := time.Now().Add(killWait); ; time.Sleep(time.Millisecond) {
		_ = unix.Kill(-pid, unix.SIGKILL)
		if !killSession(pid) && p.dead.Load() || time.Now().After(until) {
			return
		}
	}
}

// killSession kills the processes of a session and reports whether there were any but zombies.
func killSession(sid int) bool {
	pids, err := meter.SessionMembers(sid)
	if err != nil {
		return false
	}
	alive := false
	for _, pid := range pids {
		if isZombie(pid) {
			continue
		}
		alive = true
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return alive
}

func isZombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	return len(rest) > 0 && (rest[0] == 'Z' || rest[0] == 'X')
}

// reap reads what the program has cost in the end, ends what it has left behind, and reaps it. The program has ended. What
// it has left behind may print for that long.
func (p *Process) reap(wait time.Duration) {
	if p.reaped || p.cmd == nil {
		return
	}
	deadline := time.After(wait)
	for _, o := range []*output{p.stdout, p.stderr} {
		select {
		case <-o.done:
		case <-deadline:
			deadline = time.After(0)
		}
	}
	p.usage.Session = p.session.Read()
	p.kill()
	p.reaped = true
	select {
	case <-p.ended:
	default:
		return // not even killed: it is the kernel's
	}
	_ = p.cmd.Wait()
	p.state = p.cmd.ProcessState
	if p.state != nil {
		p.session.Reaped(p.state.UserTime() + p.state.SystemTime())
	}
	p.session.Close()
	p.usage.Session = p.session.Read()
	for _, o := range []*output{p.stdout, p.stderr} {
		// What was written before the end is in the pipe; what another session has open never ends.
		_ = o.r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		<-o.done
	}
}

// Close kills what is left of the program and gives back all that it held. The error is that of a program that could not be
// killed. It may be called again.
func (p *Process) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.closeStdin()
	var err error
	if p.cmd != nil {
		p.kill()
		if p.session != nil {
			p.reap(0)
			p.session.Close()
		}
		if !p.dead.Load() {
			err = fmt.Errorf("%s cannot be killed: it waits for the kernel", p.program.Name)
		}
	}
	for _, o := range []*output{p.stdout, p.stderr} {
		if o != nil {
			_ = o.r.SetReadDeadline(time.Now())
			<-o.done
			_ = o.r.Close()
		}
	}
	if p.page != nil {
		p.words = new([progressWords]atomic.Uint64)
		_ = unix.Munmap(p.page)
		p.page = nil
	}
	return err
}

func (p *Process) closeStdin() {
	if p.stdin >= 0 {
		unix.Close(p.stdin)
		p.stdin = -1
	}
}

// span returns what the program has cost since the trial began.
func (p *Process) span(u meter.SessionUsage) Span {
	return Span{int64(time.Since(p.began)), u.CPUNs - p.begin.CPUNs, u.ChildrenCPUNs - p.begin.ChildrenCPUNs}
}

// markWhole notes that everything admitted is done.
func (p *Process) markWhole() {
	if !p.whole && p.ran {
		p.whole = true
		p.usage.Whole = p.span(p.session.Read())
	}
}

// Finish gives the program what is still queued, closes its standard input, waits for its end and returns what it has
// counted and cost. It kills all its processes when they have not been seen to work for wait: when it has taken nothing,
// printed nothing and used no CPU time, or only CPU time for twenty times wait. The error is an *EndedError if the program was killed or ended
// before its input or with a status other than 0, a *CountsError, or that of ctx; what is known is in the Outcome even so.
// The Process must still be closed.
func (p *Process) Finish(ctx context.Context, wait time.Duration) (Outcome, error) {
	if p.closed {
		return Outcome{}, fmt.Errorf("%s is closed", p.program.Name)
	}
	err := p.end(ctx, &waiter{process: p, wait: wait})
	if errors.Is(err, errIdle) {
		said, _ := p.stderr.text()
		err = &EndedError{Program: p.program.Name, Status: fmt.Sprintf("killed: it had not ended, and done nothing for %v", wait),
			Given: p.given, Stderr: strings.TrimSpace(said)}
	}
	o := Outcome{Counter: p.counter, Admitted: p.waiting.tail, Given: p.given, Result: p.result, Usage: p.usage,
		PipeOctets: p.pipe, BufferOctets: p.program.buffer, BufferNote: p.program.note}
	counts, ok := p.stdout.counts()
	if ok {
		o.Counts = counts
	}
	switch {
	case err == nil && !ok:
		said, _ := p.stdout.text()
		err = &CountsError{p.program.Name, strings.TrimSpace(said)}
	case err == nil:
		o.settle()
	}
	return o, err
}

// errIdle says that a program has not been seen to work for too long.
var errIdle = errors.New("idle")

// waiter is how long a program is waited for that has been seen to work.
type waiter struct {
	process *Process
	wait    time.Duration
	next    time.Time // when to look
	seen    [5]uint64 // what it has taken and done, what it was given, what it printed
	cpu     int64     // and CPU time
	moved   time.Time // when any of seen was last found changed
	worked  time.Time // or CPU time
}

// left returns errIdle when there is none left.
func (w *waiter) left() error {
	now := time.Now()
	if now.Before(w.next) {
		return nil
	}
	w.next = now.Add(min(w.wait/20, 200*time.Millisecond))
	p := w.process
	seen := [5]uint64{p.words[wordTaken].Load(), p.words[wordDone].Load(), p.written}
	if p.stdin >= 0 {
		seen[3] = uint64(p.inPipe())
	}
	p.stdout.mu.Lock()
	seen[4] = p.stdout.packets + uint64(len(p.stdout.tail))
	p.stdout.mu.Unlock()
	u := p.session.Read()
	if cpu := u.CPUNs + u.ChildrenCPUNs; w.moved.IsZero() || cpu-w.cpu > int64(w.wait/1000) {
		w.cpu, w.worked = cpu, now
	}
	if w.moved.IsZero() || seen != w.seen {
		w.seen, w.moved, w.worked = seen, now, now
	}
	if now.Sub(w.worked) > w.wait || now.Sub(w.moved) > 20*w.wait {
		return errIdle
	}
	return nil
}

// end waits for the program's end.
func (p *Process) end(ctx context.Context, w *waiter) error {
	var failed error
	for failed == nil && p.stdin >= 0 && p.queue.n > 0 {
		if failed = p.flush(); failed == nil && p.queue.n > 0 {
			failed = p.pause(ctx, 2*time.Millisecond, w)
		}
	}
	for failed == nil && p.counter && p.ran && !p.whole {
		if p.refresh(); p.idle() {
			break
		}
		failed = p.pause(ctx, 2*time.Millisecond, w)
	}
	if failed == nil && p.counter {
		p.markWhole()
	}
	p.closeStdin()
	for failed == nil && !p.dead.Load() {
		select {
		case <-p.ended:
		case <-ctx.Done():
			failed = ctx.Err()
		case <-time.After(20 * time.Millisecond):
			failed = w.left()
		}
	}
	if failed == nil {
		<-p.ended
		p.markWhole()
	}
	if failed != nil && !p.dead.Load() {
		p.kill()
	}
	p.reap(linger)
	p.markWhole()
	if failed != nil {
		return failed
	}
	if p.state == nil || !p.state.Success() {
		return p.endedError()
	}
	return nil
}

// pause waits, and returns an error if the program or ctx has ended.
func (p *Process) pause(ctx context.Context, d time.Duration, w *waiter) error {
	select {
	case <-p.ended:
		return p.endedError()
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return w.left()
	}
}
