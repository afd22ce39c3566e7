package live

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

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
