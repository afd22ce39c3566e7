package inject

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// waiter is the system clock of a run, and waits on it.
type waiter struct {
	start  time.Time
	mono   time.Duration // CLOCK_MONOTONIC at start
	spin   Spin
	margin time.Duration // by which a sleep ends before the time wanted

	slept, spun time.Duration
	sleeps      uint64
}

const (
	// margins of SpinAuto; see learn.
	firstMargin = 50 * time.Microsecond
	leastMargin = 2 * time.Microsecond
	mostMargin  = 150 * time.Microsecond
	onMargin    = time.Millisecond
	// shortest is the shortest sleep that is worth its system call.
	shortest = 5 * time.Microsecond
	// shortSleep is up to when a sleep is made without telling the scheduler, which costs microseconds.
	shortSleep = 10 * time.Millisecond
)

func newWaiter(spin Spin) *waiter {
	w := &waiter{spin: spin, margin: firstMargin}
	switch spin {
	case SpinOn:
		w.margin = onMargin
	case SpinOff:
		w.margin = 0
	}
	return w
}

// begin sets the time to 0.
func (w *waiter) begin() {
	best := time.Duration(1<<63 - 1)
	for range 16 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			continue // cannot be
		}
		took := time.Since(before)
		if took < best {
			best = took
			w.start, w.mono = before, time.Duration(ts.Nano())-took/2
		}
	}
	// The bracket above gave the offset of the two clocks; now is the start.
	since := time.Since(w.start)
	w.mono += since
	w.start = w.start.Add(since)
}

func (w *waiter) Now() time.Duration { return time.Since(w.start) }

// Wait is documented with clock.
func (w *waiter) Wait(t time.Duration) time.Duration {
	now := w.Now()
	for now < t {
		if rest := t - now; rest > w.margin+shortest {
			target := t - w.margin
			w.sleep(target, rest)
			woke := w.Now()
			w.slept += woke - now
			w.sleeps++
			w.learn(woke - target)
			now = woke
			continue
		}
		spinFrom := now
		for now < t {
			now = w.Now()
		}
		w.spun += now - spinFrom
	}
	return now
}

// sleep returns at t, later, or on a signal earlier.
func (w *waiter) sleep(t, rest time.Duration) {
	ts := unix.NsecToTimespec(int64(t + w.mono))
	if rest < shortSleep {
		_, _, _ = unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		return
	}
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
}

// learn moves the margin towards what waking takes in half of the cases: the frames of the other half leave at their time after a spin that
// is as short as the spread of waking, because a constant lateness needs no spin.
func (w *waiter) learn(over time.Duration) {
	if w.spin != SpinAuto {
		return
	}
	const step = 500 * time.Nanosecond
	if over > w.margin {
		w.margin += step
	} else {
		w.margin -= step
	}
	w.margin = min(max(w.margin, leastMargin), mostMargin)
}
