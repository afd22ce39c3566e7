//go:build !linux

package inject

import "time"

// Open returns ErrNotSupported.
func Open(Config) (*Socket, error) { return nil, ErrNotSupported }

func prepareThread(*Plan) (notes []string, undo func(), err error) {
	return nil, nil, ErrNotSupported
}

func threadUsage() (user, system time.Duration, switched int64) { return 0, 0, 0 }

// waiter is there to compile: a run needs a socket.
type waiter struct {
	start       time.Time
	slept, spun time.Duration
	sleeps      uint64
}

func newWaiter(Spin) *waiter { return &waiter{} }

func (w *waiter) begin() { w.start = time.Now() }

func (w *waiter) Now() time.Duration { return time.Since(w.start) }

func (w *waiter) Wait(t time.Duration) time.Duration {
	time.Sleep(t - w.Now())
	return w.Now()
}
