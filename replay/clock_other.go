//go:build !linux

package replay

import (
	"errors"
	"time"
)

func threadTime() (time.Duration, error) {
	return 0, errors.ErrUnsupported
}

func sleep(d time.Duration) { time.Sleep(d) }

func sharpenTimers() (undo func()) { return func() {} }
