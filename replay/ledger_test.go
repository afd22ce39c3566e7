package replay

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"pcaplab/parse"
)

// countedFrames gives n frames of 100 octets, 1 ms apart, and then err.
type countedFrames struct {
	n, next int
	err     error
}

func (s *countedFrames) Next(f *parse.Frame) error {
	if s.next == s.n {
		return s.err
	}
	*f = parse.Frame{UnixNano: 1e18 + int64(s.next)*1e6, Data: make([]byte, 100), WireLen: 100}
	s.next++
	return nil
}

func TestLedger(t *testing.T) {
	broken := errors.New("broken")
	pacer := func() Pacer {
		p, err := ConstantPPS(100)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct {
		name   string
		cfg    Config
		frames int
		err    error // of the source
		giveUp int   // before that frame, if not 0
		want   Result
		ends   [3]time.Duration
	}{
		{"duration", Config{Pacer: pacer(), Duration: time.Second, Width: 0.5, Drain: 2 * time.Second}, 1000, io.EOF, 0,
			Result{Intended: 100, Offered: 100, Duration: time.Second}, [3]time.Duration{1e9, 1.25e9, 3e9}},
		{"frames", Config{Pacer: pacer(), Frames: 50, Width: 1}, 1000, io.EOF, 0,
			Result{Intended: 50, Offered: 50, Duration: time.Second / 2}, [3]time.Duration{.5e9, .75e9, .75e9}},
		{"source ends", Config{Pacer: pacer(), Duration: time.Second}, 30, io.EOF, 0,
			Result{Intended: 100, Offered: 30, Unsent: 70, Duration: time.Second}, [3]time.Duration{1e9, 1e9, 1e9}},
		{"source breaks", Config{Pacer: pacer(), Duration: time.Second}, 30, broken, 0,
			Result{Intended: 30, Offered: 30, Duration: 300 * time.Millisecond}, [3]time.Duration{1e9, 1e9, 1e9}},
		{"gives up", Config{Pacer: pacer(), Duration: time.Second}, 1000, io.EOF, 40,
			Result{Intended: 100, Offered: 40, Unsent: 60, Duration: time.Second}, [3]time.Duration{1e9, 1e9, 1e9}},
		{"closed", Config{Frames: 20}, 1000, io.EOF, 0,
			Result{Intended: 20, Offered: 20, Duration: time.Minute}, [3]time.Duration{forever, forever, forever}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := NewLedger(context.Background(), tt.cfg, &countedFrames{n: tt.frames, err: tt.err})
			if err != nil {
				t.Fatal(err)
			}
			l.Begin()
			var admitted uint64
			for n := 0; ; n++ {
				f, due, err := l.Next()
				if err != nil {
					break
				}
				if tt.giveUp > 0 && n == tt.giveUp {
					l.GiveUp()
					break
				}
				stamp, want := time.Duration(f.UnixNano-1e18), time.Duration(n)*10*time.Millisecond
				if tt.cfg.Pacer == nil {
					stamp, want = due, 0
				}
				if due != want || stamp != want {
					t.Fatalf("frame %d is due at %v, stamped %v", n, due, stamp)
				}
				l.Late(time.Duration(n))
				if n%10 == 9 {
					l.Drop(false)
				} else {
					l.Admit()
					admitted++
				}
			}
			load, end, drained := l.End()
			if got := [3]time.Duration{load, end, drained}; got != tt.ends {
				t.Errorf("ends %v, want %v", got, tt.ends)
			}
			r, err := l.Settle(Service{Delivered: admitted - 5, DeliveredOctets: 7, LateDrained: 2, Served: admitted - 3,
				Elapsed: time.Minute, MaxBacklog: 4}, nil)
			if (tt.err == broken) != errors.Is(err, broken) || err != nil && tt.err != broken {
				t.Fatal(err)
			}
			w := tt.want
			if r.Intended != w.Intended || r.Offered != w.Offered || r.Unsent != w.Unsent || r.Duration != w.Duration ||
				r.Dropped != w.Offered/10 || r.Delivered != admitted-5 || r.Residual != 5 || r.LateDrained != 2 ||
				r.Served != admitted-3 || r.DeliveredOctets != 7 || r.OfferedOctets != 100*w.Offered || r.MaxBacklog != 4 ||
				r.Elapsed != time.Minute || (r.Lateness.Samples != r.Offered) != (tt.cfg.Pacer == nil) {
				t.Errorf("%+v", r)
			}
		})
	}
	if _, err := NewLedger(context.Background(), Config{Duration: -1}, &countedFrames{}); err == nil {
		t.Error("a negative duration")
	}
	l, err := NewLedger(context.Background(), Config{Pacer: pacer()}, &countedFrames{n: 9, err: io.EOF})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Settle(Service{Delivered: 1, Served: 1}, nil); err == nil {
		t.Error("a frame that was never offered was delivered")
	}
}

func TestQueueAdmits(t *testing.T) {
	frame := parse.Frame{Data: make([]byte, 100), WireLen: 300}
	for _, tt := range []struct {
		queue  Queue
		charge int64
		holds  int
	}{
		{Queue{Frames: 5}, 1, 5},
		{Queue{Octets: 1000}, 300, 3},
		{Queue{Octets: 900}, 300, 3},
		{Queue{Octets: 2 << 20, Charge: ChargeTPacketV3}, 392, 5349},
		{Queue{Octets: 212992, Charge: ChargeTruesize}, 1280, 167},
		{Queue{}, 392, 5349},
	} {
		charge := tt.queue.ChargeOf(&frame)
		var waiting int64
		n := 0
		for ; tt.queue.Admits(waiting, charge); n++ {
			waiting += charge
		}
		if charge != tt.charge || n != tt.holds {
			t.Errorf("%v: charges %d, holds %d; want %d, %d", tt.queue, charge, n, tt.charge, tt.holds)
		}
	}
}
