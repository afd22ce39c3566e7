package live

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
)

// sleepy takes two milliseconds a packet.
type sleepy struct{}

func (sleepy) Parse(_ *parse.Frame, p *parse.Packet) error {
	time.Sleep(2 * time.Millisecond)
	*p = parse.Packet{}
	return nil
}

// A frame that comes during a wait is in a block that the kernel still holds when the wait is over: it is of this trial.
func TestLastFrameOfAWait(t *testing.T) {
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	const timeout = 100 * time.Millisecond
	ring := receive.Config{Interface: netlab.Receiver.Interface(), Timeout: timeout, Wait: quiet(timeout)}
	var l *listener
	err = lab.Do(netlab.Receiver, func() (err error) {
		l, err = newListener(&receiverSetup{Engine: "direct", Ring: ring}, []parse.Engine{parse.DirectEngine()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.from.Close()
	for i := range 2 {
		got, err := l.trial(func() error { return nil }, func() (receiverRequest, error) {
			time.Sleep(ring.Wait - timeout/2) // the wait that began first ends before the kernel hands over the block
			err := sendOne(lab)
			ended := monotonic()
			return receiverRequest{Stop: true, Ended: ended, By: ended + time.Minute}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got.Parsed != 1 || got.Stats.Seen != 1 || got.InRing != 0 {
			t.Errorf("trial %d: parsed %d, in ring %d: %+v", i+1, got.Parsed, got.InRing, got.Stats)
		}
	}
}

func sendOne(lab *netlab.Lab) error {
	return lab.Do(netlab.Sender, func() error {
		s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: inject.Sendto})
		if err != nil {
			return err
		}
		defer s.Close()
		frames, err := synth.Build(context.Background(), "iot-1", 1, 1, 1<<20)
		if err != nil {
			return err
		}
		defer frames.Close()
		if _, err = inject.Run(context.Background(), s, frames.Source(0, 1, 1, false), inject.Plan{}); errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
}

// A sender must not look slow because the peer refuses frames: AF_XDP is told so. Packet sockets take it for a full queue and try again.
func TestPeerThatRefuses(t *testing.T) {
	frames, err := synth.Build(context.Background(), "iot-1", 1, 200, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	run := Run{Header: Header{Plan: Plan{Engines: []string{"direct"}, Repeats: 1, Trial: time.Second, Backend: inject.XDP}}, Engines: []parse.Engine{parse.DirectEngine()},
		Frames: frames, OnRecord: func(*Record) error { return nil }}
	p := &run.Header.Plan
	if err := p.Check(run.Engines); err != nil {
		t.Fatal(err)
	}
	m := &measuring{run: &run, ctx: context.Background(), engine: "direct", repeat: 1, lab: lab}
	setup := senderSetup{Inject: inject.Config{Interface: netlab.Sender.Interface(), Backend: inject.XDP}, Ring: p.Ring.RingOctets()}
	m.sender, err = start(m.ctx, lab, netlab.Sender, setup, frames.File())
	if err != nil {
		t.Skip("no AF_XDP here: ", err)
	}
	defer m.sender.close()
	if m.receiver, err = start(m.ctx, lab, netlab.Receiver, receiverSetup{Engine: "direct", Ring: p.Ring}); err != nil {
		t.Fatal(err)
	}
	defer m.receiver.close()
	err = lab.Do(netlab.Receiver, func() error {
		link, err := netlink.LinkByName(netlab.Receiver.Interface())
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(link, 68)
	})
	if err != nil {
		t.Fatal(err)
	}
	x, err := m.trial(KindRate, 2000, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if x.Sent != 200 || x.InterfaceDrops == 0 || x.Parsed == 0 || x.Parsed+x.InterfaceDrops != 200 || x.Unexplained != 0 || x.Sender.Failed != 0 {
		t.Errorf("%+v, of the sender %+v, of its interface %+v", x.Counts, x.Sender, x.TxCounts)
	}
}

// What the parser had not taken by the end of draining is in the ring, though it could be read later.
func TestRingHidesNoLoss(t *testing.T) {
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	frames, err := synth.Build(context.Background(), "iot-1", 1, 200, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	for _, tt := range []struct {
		name   string
		engine parse.Engine
		by     time.Duration // after the last frame
		all    bool
	}{
		{"slow", parse.Engine{Name: "e", New: func(parse.LinkType) (parse.Parser, error) { return sleepy{}, nil }}, 0, false},
		{"slow, with time to drain", parse.Engine{Name: "e", New: func(parse.LinkType) (parse.Parser, error) { return sleepy{}, nil }}, time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ring := receive.Config{Interface: netlab.Receiver.Interface(), BlockOctets: os.Getpagesize(), Blocks: 256, Wait: 50 * time.Millisecond}
			var l *listener
			err := lab.Do(netlab.Receiver, func() (err error) {
				l, err = newListener(&receiverSetup{Engine: "e", Ring: ring}, []parse.Engine{tt.engine})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			defer l.from.Close()
			done := make(chan error)
			begin := make(chan struct{})
			var ended time.Duration
			go func() {
				done <- lab.Do(netlab.Sender, func() error {
					s, err := inject.Open(inject.Config{Interface: netlab.Sender.Interface(), Backend: inject.Sendto})
					if err != nil {
						return err
					}
					defer s.Close()
					<-begin
					pacer, err := replay.ConstantPPS(2000) // the parser has begun long before the last
					if err != nil {
						return err
					}
					_, err = inject.Run(context.Background(), s, frames.Source(0, frames.Len(), 1, false), inject.Plan{Pacer: pacer})
					ended = monotonic()
					return err
				})
			}()
			got, err := l.trial(func() error { close(begin); return nil }, func() (receiverRequest, error) {
				err := <-done
				return receiverRequest{Stop: true, Ended: ended, By: ended + tt.by}, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Parsed+got.InRing != 200 || got.Stats.Dropped != 0 || got.Stats.Seen != 200 || (got.InRing == 0) != tt.all {
				t.Errorf("parsed %d, late %d, in ring %d: %+v", got.Parsed, got.Late, got.InRing, got.Stats)
			}
		})
	}
}
