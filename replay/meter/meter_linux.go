package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ThreadCPU returns the CPU time, user and system, that the calling thread has used, or a negative duration where that
// cannot be known. It allocates nothing and costs one system call. The difference of two calls means something only if
// the goroutine is locked to its thread.
func ThreadCPU() time.Duration { return clockTime(unix.CLOCK_THREAD_CPUTIME_ID) }

func processCPU() time.Duration { return clockTime(unix.CLOCK_PROCESS_CPUTIME_ID) }

// clockTime uses a raw system call: it never blocks, and the scheduler need not hear of it.
func clockTime(id uintptr) time.Duration {
	var ts unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return -1
	}
	return time.Duration(ts.Nano())
}

// threadMeter reads what the kernel counts for one thread.
type threadMeter struct {
	tid, tidAfter       int
	usage, usageAfter   unix.Rusage
	usageErr            error
	counters            counters
	countersErr         error
	instructions, cycle uint64
}

func (t *threadMeter) open(notes []string) []string {
	t.tid = unix.Gettid()
	t.countersErr = t.counters.open(unix.PERF_TYPE_HARDWARE,
		unix.PERF_COUNT_HW_INSTRUCTIONS, unix.PERF_COUNT_HW_CPU_CYCLES)
	return notes
}

// cpu returns the number of the CPU that the thread is on, 0 if the kernel does not say.
func (t *threadMeter) cpu() int {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return 0
	}
	return int(cpu)
}

func (t *threadMeter) start() {
	t.usageErr = unix.Getrusage(unix.RUSAGE_THREAD, &t.usage)
	if t.countersErr == nil {
		t.countersErr = t.counters.enable()
	}
}

func (t *threadMeter) stop() {
	if t.countersErr == nil {
		t.instructions, t.cycle, t.countersErr = t.counters.read()
	}
	if t.usageErr == nil {
		t.usageErr = unix.Getrusage(unix.RUSAGE_THREAD, &t.usageAfter)
	}
	t.tidAfter = unix.Gettid()
}

func (t *threadMeter) report(u *Usage) {
	t.counters.close()
	if t.tid != t.tidAfter {
		u.ThreadCPUNs = nil
		u.Notes = append(u.Notes,
			"thread: Stop ran on another thread than Start: lock the goroutine with runtime.LockOSThread")
		return
	}
	if t.usageErr != nil {
		u.Notes = append(u.Notes, fmt.Sprintf("switches and faults: getrusage: %v", t.usageErr))
	} else {
		u.VoluntarySwitches = pointer(int64(t.usageAfter.Nvcsw - t.usage.Nvcsw))
		u.InvoluntarySwitches = pointer(int64(t.usageAfter.Nivcsw - t.usage.Nivcsw))
		u.MinorFaults = pointer(int64(t.usageAfter.Minflt - t.usage.Minflt))
		u.MajorFaults = pointer(int64(t.usageAfter.Majflt - t.usage.Majflt))
	}
	if t.countersErr != nil {
		u.Notes = append(u.Notes, fmt.Sprintf("instructions and cycles: %v", t.countersErr))
	} else {
		u.Instructions, u.Cycles = pointer(int64(t.instructions)), pointer(int64(t.cycle))
	}
}

// counters is a pinned group of two counters of the calling thread, user mode only. Pinned counters are never
// time-shared, so that what they count needs no scaling.
type counters struct {
	leader, follower int
	opened           bool
	buf              [24]byte // number of counters, the leader's count, the follower's
}

var errCountersIdle = errors.New("perf_event_open: the counters stayed at 0 or were taken by another user")

func (c *counters) open(kind uint32, first, second uint64) error {
	attr := unix.PerfEventAttr{
		Type:        kind,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Config:      first,
		Read_format: unix.PERF_FORMAT_GROUP,
		Bits:        unix.PerfBitDisabled | unix.PerfBitPinned | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	leader, err := unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("perf_event_open: %w", err)
	}
	attr.Config = second
	attr.Bits = unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv
	follower, err := unix.PerfEventOpen(&attr, 0, -1, leader, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		unix.Close(leader)
		return fmt.Errorf("perf_event_open: second counter: %w", err)
	}
	c.leader, c.follower, c.opened = leader, follower, true
	return nil
}

func (c *counters) enable() error {
	if err := unix.IoctlSetInt(c.leader, unix.PERF_EVENT_IOC_ENABLE, unix.PERF_IOC_FLAG_GROUP); err != nil {
		return fmt.Errorf("enable perf counters: %w", err)
	}
	return nil
}

func (c *counters) read() (first, second uint64, err error) {
	n, err := unix.Read(c.leader, c.buf[:])
	if err != nil {
		return 0, 0, fmt.Errorf("read perf counters: %w", err)
	}
	if n == len(c.buf) && binary.NativeEndian.Uint64(c.buf[:]) == 2 {
		first = binary.NativeEndian.Uint64(c.buf[8:])
		second = binary.NativeEndian.Uint64(c.buf[16:])
	}
	if first == 0 || second == 0 {
		return 0, 0, errCountersIdle
	}
	return first, second, nil
}

func (c *counters) close() {
	if c.opened {
		unix.Close(c.follower)
		unix.Close(c.leader)
		c.opened = false
	}
}

// peakResetter lowers VmHWM to what is resident now: the kernel does that when 5 is written to clear_refs.
type peakResetter struct {
	fd   int
	ok   bool
	done bool
	err  error
}

var resetPeak = []byte("5")

func (p *peakResetter) open(r Roots, notes []string) []string {
	name := r.proc("self/clear_refs")
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.err = &os.PathError{Op: "open", Path: name, Err: err}
		return notes
	}
	p.fd, p.ok = fd, true
	return notes
}

func (p *peakResetter) reset() {
	if !p.ok {
		return
	}
	_, p.err = unix.Write(p.fd, resetPeak)
	p.done = p.err == nil
}

func (p *peakResetter) report(cfg Config, u *Usage) {
	if p.ok {
		unix.Close(p.fd)
		p.ok = false
	}
	if p.err != nil {
		u.Notes = append(u.Notes, fmt.Sprintf("peak memory is of the whole life of the process: %v", p.err))
	}
	reportMemory(cfg, u)
}
