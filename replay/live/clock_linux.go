package live

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time of the machine's monotonic clock, the same in all its processes.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
