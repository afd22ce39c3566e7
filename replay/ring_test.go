package replay

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"pcaplab/parse"
)

// spinner is a sink that takes a while for a frame, and checks that frames come whole and in order.
type spinner struct {
	take   time.Duration
	last   int64
	frames int
	broken int
	failAt int
	first  func()
}

func (s *spinner) WriteFrame(f *parse.Frame) error {
	s.frames++
	if s.frames == 1 && s.first != nil {
		s.first()
	}
	if f.UnixNano < s.last || len(f.Data) != 8 || int64(f.Data[0]) != f.UnixNano%251 {
		s.broken++
	}
	s.last = f.UnixNano
	if s.frames == s.failAt {
		return errSink
	}
	for start := time.Now(); time.Since(start) < s.take; {
	}
	return nil
}

// borrowed is a source that reuses its buffer.
type borrowed struct {
	n, next int
	buf     [8]byte
}

func (b *borrowed) Next(f *parse.Frame) error {
	if b.next == b.n {
		return io.EOF
	}
	b.buf[0] = byte(b.next % 251)
	*f = parse.Frame{UnixNano: int64(b.next), Data: b.buf[:], WireLen: 60, Link: parse.LinkEthernet}
	b.next++
	return nil
}

func TestRing(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		rate float64
		n    int
		take time.Duration
		ok   func(r Result) bool
	}{
		{"closed loop", Config{Queue: Queue{Frames: 4}}, 0, 20000, 0, func(r Result) bool {
			return r.Delivered == 20000 && r.Dropped == 0 && r.Unsent == 0
		}},
		{"closed loop, frames", Config{Frames: 500}, 0, 20000, 0, func(r Result) bool { return r.Delivered == 500 }},
		{"closed loop, source too short", Config{Frames: 500}, 0, 20, 0, func(r Result) bool {
			return r.Delivered == 20 && r.Unsent == 480 && r.Intended == 500
		}},
		{"closed loop, duration", Config{Duration: 5 * time.Millisecond}, 0, 1 << 30, 0, func(r Result) bool {
			return r.Delivered > 0 && r.Delivered == r.Offered && r.Elapsed >= 5*time.Millisecond
		}},
		{"all overdue, queue long enough", Config{Queue: Queue{Frames: 5000}, Width: 1}, 1e9, 5000, 0, func(r Result) bool {
			return r.Offered == 5000 && r.Dropped == 0
		}},
		{"overload", Config{Queue: Queue{Frames: 16}, Duration: 20 * time.Millisecond}, 1e6, 1 << 30, 100 * time.Microsecond,
			func(r Result) bool { return r.Intended == 20000 && r.Dropped+r.Unsent > 15000 && r.MaxBacklog <= 16 }},
		{"overload in octets", Config{Queue: Queue{Octets: 832 * 10, Charge: ChargeTruesize},
			Duration: 20 * time.Millisecond, Drain: 100 * time.Millisecond}, 1e6, 1 << 30, 100 * time.Microsecond,
			func(r Result) bool { return r.Intended == 20000 && r.Dropped+r.Unsent > 15000 && r.MaxBacklog <= 10 }},
		{"source too short", Config{Duration: 20 * time.Millisecond}, 1e4, 50, 0, func(r Result) bool {
			return r.Intended == 200 && r.Unsent >= 150
		}},
	}
	for _, procs := range []int{1, 2} {
		for _, tt := range tests {
			for _, stable := range []bool{false, true} {
				t.Run(tt.name, func(t *testing.T) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					if tt.rate > 0 {
						tt.cfg.Pacer = mustPacer(t, "constant", tt.rate, 0)
					}
					tt.cfg.Stamp = StampCapture
					var src Source = &borrowed{n: tt.n}
					if stable {
						src = &fresh{borrowed{n: tt.n}}
					}
					sink := &spinner{take: tt.take}
					rg := Ring{Config: tt.cfg, Stable: stable}
					res, err := rg.Run(context.Background(), src, sink)
					if err != nil {
						t.Fatal(err)
					}
					if sink.broken > 0 || uint64(sink.frames) != res.Served || !tt.ok(res) {
						t.Errorf("%d procs, stable %v: %d frames of %d broken; %+v", procs, stable, sink.broken, sink.frames, res)
					}
				})
			}
		}
	}
}

// fresh is a source whose frames stay valid.
type fresh struct{ borrowed }

func (s *fresh) Next(f *parse.Frame) error {
	err := s.borrowed.Next(f)
	if err == nil {
		f.Data = append([]byte(nil), f.Data...)
	}
	return err
}

func TestRingStops(t *testing.T) {
	pacer := mustPacer(t, "constant", 1e5, 0)
	t.Run("sink fails", func(t *testing.T) {
		for _, p := range []Pacer{nil, pacer} {
			rg := Ring{Config: Config{Pacer: p, Stamp: StampCapture}}
			res, err := rg.Run(context.Background(), &borrowed{n: 1 << 30}, &spinner{failAt: 100})
			if !errors.Is(err, errSink) || res.Delivered != 99 || res.Offered < 100 {
				t.Errorf("got %v, %+v", err, res)
			}
		}
	})
	t.Run("source fails", func(t *testing.T) {
		clock := &fakeClock{}
		src := &arrivals{due: make([]time.Duration, 50), clock: clock, fail: errors.New("torn")}
		rg := Ring{Config: Config{Queue: Queue{Frames: 50}}}
		if res, err := rg.Run(context.Background(), src, new(Discard)); !errors.Is(err, src.fail) || res.Offered != 50 {
			t.Errorf("got %v, %+v", err, res)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		for _, p := range []Pacer{nil, pacer, mustPacer(t, "constant", 0.1, 0)} {
			ctx, cancel := context.WithCancel(context.Background())
			rg := Ring{Config: Config{Pacer: p, Duration: time.Hour, Stamp: StampCapture}}
			res, err := rg.Run(ctx, &borrowed{n: 1 << 30}, &spinner{first: func() { time.AfterFunc(10*time.Millisecond, cancel) }})
			if !errors.Is(err, context.Canceled) || res.Offered == 0 || res.Unsent != 0 {
				t.Errorf("got %v, %+v", err, res)
			}
		}
	})
}
