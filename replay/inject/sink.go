package inject

import (
	"context"
	"fmt"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
)

// To returns a socket that hands frames to a sink instead of an interface: any link type, and up to longest octets a frame if that is
// not 0. A run waits for nothing then. The sink sees the capture time of the first frame plus the due time; at top speed,
// capture times.
func To(sink replay.Sink, name string, cfg Config, longest int) (*Socket, error) {
	cfg.Interface = name
	if err := cfg.check(); err != nil {
		return nil, err
	}
	w := &sinkWire{sink: sink}
	if longest == 0 {
		longest = 1<<31 - 1
	}
	return &Socket{cfg: cfg, wire: w, closer: func() error { return nil }, backend: "file", longest: longest}, nil
}

// sinkWire hands each frame on as it is put.
type sinkWire struct {
	sink  replay.Sink
	frame parse.Frame // what the next put is, but for its data
	count tally
	err   error
}

func (w *sinkWire) put(d []byte) bool {
	if w.err != nil {
		return false
	}
	w.count.put++
	if len(d) != len(w.frame.Data) { // cut, or a piece
		w.frame.WireLen = len(d)
	}
	w.frame.Data = d
	if w.err = w.sink.WriteFrame(&w.frame); w.err == nil {
		w.count.sent++
		w.count.octets += uint64(len(d))
	}
	return true
}

func (w *sinkWire) flush(context.Context) error {
	if w.err != nil {
		return fmt.Errorf("write: %w", w.err)
	}
	return nil
}

func (w *sinkWire) settle(time.Duration) error { return nil }
func (w *sinkWire) tally() *tally              { return &w.count }

// warp is a clock that skips waiting.
type warp struct{ now time.Duration }

func (c *warp) Now() time.Duration { return c.now }
func (c *warp) Wait(t time.Duration) time.Duration {
	c.now = max(c.now, t)
	return c.now
}
