package replay

import (
	"fmt"
	"time"
)

// Clock is a trial's time. Its zero is arbitrary: a feed takes differences. A Clock belongs to one goroutine.
type Clock interface {
	// Now returns the time. It never decreases.
	Now() time.Duration
	// WaitUntil waits until t and returns when it was called and the time now, which is t or later. Where t has passed, the
	// two are one reading. That both come from one call saves a reading for each idle frame.
	WaitUntil(t time.Duration) (called, now time.Duration)
}

// Skipper is a Clock that is moved on instead of waiting. It lets a feed read the clock once for several frames that come
// one by one.
type Skipper interface {
	Clock
	// Skip moves the clock on by d, which is not negative.
	Skip(d time.Duration)
}

// NewClock returns a clock by name: "system" waits for due times, "warp" moves the clock instead of waiting, and "cpu" is
// warp over the processor time of the calling thread (Linux only; the goroutine must be locked to its thread, which Feed
// does).
func NewClock(name string) (Clock, error) {
	switch name {
	case "system":
		return &systemClock{start: time.Now()}, nil
	case "warp":
		return &warpClock{start: time.Now()}, nil
	case "cpu":
		if _, err := threadTime(); err != nil {
			return nil, fmt.Errorf("clock cpu: %w (take system or warp)", err)
		}
		return &cpuClock{}, nil
	}
	return nil, fmt.Errorf("unknown clock %q (there are system, warp and cpu)", name)
}

type systemClock struct {
	start time.Time
}

// spinMargin is how long before the time wanted a sleep ends and spinning starts. A wake-up takes 30-60 us.
const spinMargin = 150 * time.Microsecond

func (c *systemClock) Now() time.Duration { return time.Since(c.start) }

func (c *systemClock) WaitUntil(t time.Duration) (called, now time.Duration) {
	called = c.Now()
	now = called
	for now < t {
		if rest := t - now; rest > spinMargin {
			sleep(rest - spinMargin)
		}
		now = c.Now()
	}
	return called, now
}

type warpClock struct {
	start  time.Time
	warped time.Duration
}

func (c *warpClock) Now() time.Duration { return time.Since(c.start) + c.warped }

func (c *warpClock) Skip(d time.Duration) { c.warped += d }

func (c *warpClock) WaitUntil(t time.Duration) (called, now time.Duration) {
	called = c.Now()
	if called >= t {
		return called, called
	}
	c.warped += t - called
	return called, t
}

type cpuClock struct {
	warped time.Duration
}

func (c *cpuClock) Now() time.Duration {
	t, _ := threadTime() // NewClock has seen it work
	return t + c.warped
}

func (c *cpuClock) Skip(d time.Duration) { c.warped += d }

func (c *cpuClock) WaitUntil(t time.Duration) (called, now time.Duration) {
	called = c.Now()
	if called >= t {
		return called, called
	}
	c.warped += t - called
	return called, t
}
