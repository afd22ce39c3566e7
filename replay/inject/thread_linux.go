package inject

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// prepareThread makes the calling thread, which must be locked, one that wakes in time. What the plan asks for beyond that and the
// system does not allow is a note.
func prepareThread(p *Plan) (notes []string, undo func(), err error) {
	switch p.Spin {
	case "":
		p.Spin = SpinAuto
	case SpinAuto, SpinOn, SpinOff:
	default:
		return nil, nil, fmt.Errorf("spin %q: want %s, %s or %s", p.Spin, SpinAuto, SpinOn, SpinOff)
	}
	if p.FIFO < 0 || p.FIFO > 99 {
		return nil, nil, fmt.Errorf("real-time priority %d: want 1 to 99, or 0 for none", p.FIFO)
	}
	var undos []func()
	undo = func() {
		for i := range undos {
			undos[len(undos)-1-i]()
		}
	}
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil && slack > 0 && unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) == nil {
		undos = append(undos, func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) })
	}
	undos = append(undos, yieldOthers())
	if p.CPU != nil {
		var old, set unix.CPUSet
		set.Set(*p.CPU)
		err := unix.SchedGetaffinity(0, &old)
		if err == nil {
			err = unix.SchedSetaffinity(0, &set)
		}
		if err != nil {
			undo()
			return nil, nil, fmt.Errorf("run on CPU %d: %w: there is, for this process, %s", *p.CPU, err, cpusOf(&old))
		}
		undos = append(undos, func() { _ = unix.SchedSetaffinity(0, &old) })
	}
	if p.FIFO > 0 {
		old, err := unix.SchedGetAttr(0, 0)
		if err == nil {
			err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(p.FIFO)}, 0)
		}
		switch {
		case errors.Is(err, unix.EPERM):
			notes = append(notes, "no real-time priority: it needs CAP_SYS_NICE")
		case err != nil:
			undo()
			return nil, nil, fmt.Errorf("real-time priority %d: %w", p.FIFO, err)
		default:
			undos = append(undos, func() { _ = unix.SchedSetAttr(0, old, 0) })
		}
	}
	return notes, undo, nil
}

// cpusOf lists a set of CPUs, as "CPU 0-3, 6".
func cpusOf(set *unix.CPUSet) string {
	var parts []string
	for cpu := 0; cpu < len(set)*64; cpu++ {
		if !set.IsSet(cpu) {
			continue
		}
		first := cpu
		for set.IsSet(cpu + 1) {
			cpu++
		}
		if part := strconv.Itoa(first); cpu == first {
			parts = append(parts, part)
		} else {
			parts = append(parts, part+"-"+strconv.Itoa(cpu))
		}
	}
	return "CPU " + strings.Join(parts, ", ")
}

// othersSlack is by how much the naps of other threads may be prolonged, so that they wake when the processor is awake anyway.
const othersSlack = 50 * time.Millisecond

// yieldOthers keeps the other threads of this process, which Go's runtime wakes a hundred times a second, from taking the processor from the
// calling one when they wake: they become batch work, which needs no rights. Where rights allow it (CAP_SYS_NICE), a nap of theirs does not
// wake an idle processor either: on a slow-waking machine that costs a tenth of what sending 1,000 frames a second does.
func yieldOthers() (undo func()) {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return func() {}
	}
	var changed []int
	slacks := map[string][]byte{}
	for _, e := range entries {
		id, err := strconv.Atoi(e.Name())
		if err != nil || id == unix.Gettid() {
			continue
		}
		// The file is that of a process, and of a thread too where it is asked for by name.
		slack := "/proc/" + e.Name() + "/timerslack_ns"
		if old, err := os.ReadFile(slack); err == nil && os.WriteFile(slack, strconv.AppendInt(nil, int64(othersSlack), 10), 0) == nil {
			slacks[slack] = old
		}
		attr, err := unix.SchedGetAttr(id, 0)
		if err != nil || attr.Policy != unix.SCHED_NORMAL {
			continue
		}
		attr.Policy = unix.SCHED_BATCH
		if unix.SchedSetAttr(id, attr, 0) == nil {
			changed = append(changed, id)
		}
	}
	return func() {
		for slack, old := range slacks {
			_ = os.WriteFile(slack, old, 0)
		}
		for _, id := range changed {
			if attr, err := unix.SchedGetAttr(id, 0); err == nil && attr.Policy == unix.SCHED_BATCH {
				attr.Policy = unix.SCHED_NORMAL
				_ = unix.SchedSetAttr(id, attr, 0)
			}
		}
	}
}

// threadUsage returns the processor time of the calling thread and how often it was taken from the processor.
func threadUsage() (user, system time.Duration, switched int64) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0, 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano()), int64(u.Nivcsw)
}
