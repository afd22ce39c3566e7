package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var terminate os.Signal = unix.SIGTERM

// Names of the two interfaces; each is in a namespace of its own.
const (
	txName = "tx0"
	rxName = "rx0"
)

const (
	lookEvery = 500 * time.Microsecond // at the counter, during a top speed run
	rest      = 50 * time.Millisecond  // between two runs
	patience  = time.Minute            // with a sender, beyond the time that its frames take
)

// room is a thread in a network namespace of its own, which goes when the thread does.
type room struct {
	calls chan func()
	tid   int
}

// enter makes a room on a CPU.
func enter(cpu int) (*room, error) {
	r := &room{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		r.tid = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("a network namespace: %w (run it as root, or with CAP_SYS_ADMIN and CAP_NET_ADMIN)", err)
		} else {
			err = pin(0, cpu)
		}
		ready <- err
		if err == nil {
			for call := range r.calls {
				call()
			}
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return r, nil
}

// do runs f in the room and waits for it.
func (r *room) do(f func() error) error {
	done := make(chan error)
	r.calls <- func() { done <- f() }
	return <-done
}

func pin(tid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(tid, &set); err != nil {
		return fmt.Errorf("CPU %d for thread %d: %w", cpu, tid, err)
	}
	return nil
}

// lab is a veth pair between two rooms.
type lab struct {
	txCPU, rxCPU int
	tx, rx       *room
	fifo, listen bool
	foreign      bool
}

// newLab moves this process to the receiver's CPU and builds the pair.
func newLab(c *config) (*lab, error) {
	l := &lab{txCPU: c.txCPU, rxCPU: c.rxCPU, fifo: c.fifo, listen: c.listen, foreign: c.foreign}
	if err := l.chooseCPUs(); err != nil {
		return nil, err
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return nil, err
		}
		if err := pin(tid, l.rxCPU); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, err
		}
	}
	if l.tx, err = enter(l.txCPU); err != nil {
		return nil, err
	}
	if l.rx, err = enter(l.rxCPU); err != nil {
		l.close()
		return nil, err
	}
	if err := l.build(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) chooseCPUs() error {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return fmt.Errorf("CPUs of this process: %w", err)
	}
	first, last := -1, -1
	for cpu := range 8 * 128 {
		if allowed.IsSet(cpu) {
			if first < 0 {
				first = cpu
			}
			last = cpu
		}
	}
	if l.txCPU < 0 {
		l.txCPU = last
	}
	if l.rxCPU < 0 {
		l.rxCPU = first
	}
	return nil
}

func (l *lab) build() error {
	for _, r := range []*room{l.tx, l.rx} {
		err := r.do(func() error {
			for _, which := range []string{"all", "default"} {
				// This path is that of the thread's namespace.
				err := os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	size, own := strconv.Itoa(mtu), rxMAC
	if l.foreign {
		own[5]++
	}
	for _, command := range []struct {
		in   *room
		argv []string
	}{
		{l.tx, []string{"ip", "link", "add", txName, "address", mac(txMAC), "mtu", size, "type", "veth",
			"peer", "name", rxName, "address", mac(own), "mtu", size, "netns", strconv.Itoa(l.rx.tid)}},
		{l.tx, offloads(txName)},
		{l.rx, offloads(rxName)},
		{l.tx, []string{"ip", "link", "set", txName, "up"}},
		{l.rx, []string{"ip", "link", "set", rxName, "up"}},
	} {
		err := command.in.do(func() error {
			out, err := exec.Command(command.argv[0], command.argv[1:]...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", strings.Join(command.argv, " "), err, bytes.TrimSpace(out))
			}
			return nil
		})
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%w (Debian: apt-get install iproute2 ethtool)", err)
		}
		if err != nil {
			return err
		}
	}
	if !l.fifo {
		return nil
	}
	return l.tx.do(func() error { // inherited by what is started from this thread
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
			return fmt.Errorf("SCHED_FIFO: %w", err)
		}
		return nil
	})
}

func offloads(name string) []string {
	return []string{"ethtool", "-K", name, "rx", "off", "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off"}
}

func mac(a [6]byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5])
}

// close ends the rooms, and with them the namespaces and the pair.
func (l *lab) close() {
	for _, r := range []*room{l.tx, l.rx} {
		if r != nil {
			close(r.calls)
		}
	}
}

// run runs a side once. What the program does wrong is in the record; the error is for what makes the bench useless.
func (l *lab) run(ctx context.Context, s side, k benchCase, made *captures) (record, error) {
	r := record{Argv: s.command(txName, &k, made), Wanted: k.packets(), Metrics: make(map[string]float64)}
	w := watcher{want: r.Wanted, k: &k, stop: make(chan struct{})}
	if k.mode != topSpeed || l.listen {
		snap := headersLen + 4
		if k.mode == integrity {
			snap = mtu + headersLen
		}
		err := l.rx.do(func() (err error) {
			w.ring, err = openRing(rxName, snap)
			return err
		})
		if err != nil {
			return r, err
		}
		defer w.ring.close()
	}
	before, err := l.counter()
	if err != nil {
		return r, err
	}
	w.base = before
	stolen, err := l.stolen()
	if err != nil {
		return r, err
	}
	watched := make(chan error, 1)
	go func() { watched <- l.rx.do(w.watch) }()
	out := l.send(ctx, &r, &k)
	close(w.stop)
	if err := errors.Join(<-watched, ctx.Err()); err != nil {
		return r, err
	}
	after, err := l.stolen()
	if err != nil {
		return r, err
	}
	r.StealNs = after - stolen
	delivered, err := l.counter()
	if err != nil {
		return r, err
	}
	r.Delivered = delivered - before
	r.read(out)
	if r.Failed == "" {
		w.judge(&r)
	}
	time.Sleep(rest)
	return r, nil
}

// send runs the program of a record in the sender's room and returns what it printed.
func (l *lab) send(ctx context.Context, r *record, k *benchCase) []byte {
	limit := patience
	if k.gapNs > 0 {
		limit += time.Duration(k.gapNs * float64(k.packets()))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, r.Argv[0], r.Argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	err := l.tx.do(cmd.Start) // from there it has the namespace, the CPU and the scheduling
	if err == nil {
		err = cmd.Wait()
	}
	r.WallNs = int64(time.Since(start))
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("not done after %v", limit)
	}
	if err != nil {
		r.Failed = err.Error()
	}
	if cmd.ProcessState != nil {
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		r.CPUNs = int64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())
		r.Switches = int64(usage.Nivcsw)
	}
	return out.Bytes()
}

// counter returns how many packets the receiving interface has counted.
func (l *lab) counter() (n int, err error) {
	err = l.rx.do(func() error {
		n, err = readCounter()
		return err
	})
	return n, err
}

// readCounter is for a thread in the receiver's room.
func readCounter() (int, error) {
	const path = "/proc/thread-self/net/dev"
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if _, after, found := strings.Cut(string(b), rxName+":"); found {
		if fields := strings.Fields(after); len(fields) > 1 {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("%s: no packets received by %s", path, rxName)
}

// stolen returns the steal time of the two CPUs in nanoseconds.
func (l *lab) stolen() (int64, error) {
	const path = "/proc/stat"
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != fmt.Sprintf("cpu%d", l.txCPU) && fields[0] != fmt.Sprintf("cpu%d", l.rxCPU) {
			continue
		}
		n, err := strconv.ParseInt(fields[8], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		ticks += n
	}
	return ticks * tick, nil
}
