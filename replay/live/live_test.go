package live

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

func TestPlanCheck(t *testing.T) {
	engines := []parse.Engine{parse.DirectEngine()}
	good := Plan{Engines: []string{"direct"}, Repeats: 1, Trial: time.Second}
	if err := good.Check(engines); err != nil {
		t.Fatal(err)
	}
	if good.Backend != inject.Auto || good.Cache != trial.CacheCold || good.Ring.RingOctets() != 2<<20 || good.Queue() != "2097152B:tpacket3" || good.Ring.Wait <= 0 {
		t.Errorf("defaults: %+v", good)
	}
	bad := Plan{Engines: []string{"direct", "direct", "nobody"}, Trial: 1, Rates: []float64{0, 5, 5, math.NaN()}, Goal: search.Goal{Name: "x"},
		Backend: "pigeon", Ring: receive.Config{BlockOctets: 7}, MTU: -1, Cache: "lukewarm"}
	for _, mtu := range []int{1, 67, 65536} {
		small := good
		if small.MTU = mtu; small.Check(engines) == nil {
			t.Errorf("MTU of %d: no error", mtu)
		}
	}
	err := bad.Check(engines)
	for _, want := range []string{"named twice", "nobody", "repeats", "trials of 1ns", "rate 0", "rate NaN", "5 pps is named twice", "goal", "pigeon", "page size", "MTU", "lukewarm"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q: %v", want, err)
		}
	}
	if err := (&Plan{}).Check(engines); err == nil || !strings.Contains(err.Error(), "no engine") {
		t.Error(err)
	}
}

func TestCounts(t *testing.T) {
	c := Counts{Sent: 100, Parsed: 60, SocketDrops: 20, InterfaceDrops: 5, InRing: 10}
	if c.balance(); c.Unexplained != 5 || c.Lost() != 40 || c.LossRatio() != 0.4 {
		t.Errorf("%+v, lost %d, %v", c, c.Lost(), c.LossRatio())
	}
	more := Counts{Sent: 1, Parsed: 3}
	if more.balance(); more.Unexplained != -2 || more.Lost() != 0 {
		t.Errorf("more than was sent: %+v, lost %d", more, more.Lost())
	}
	if !math.IsNaN((&Counts{}).LossRatio()) {
		t.Error("a share of nothing")
	}
}

func TestShortfall(t *testing.T) {
	for _, tt := range []struct {
		name    string
		load    float64
		frames  uint64
		sent    uint64
		elapsed time.Duration
		want    uint64
	}{
		{"in time", 1000, 1000, 1000, time.Second, 0},
		{"within draining", 1000, 1000, 1000, 1010 * time.Millisecond, 0},
		{"twice as long", 1000, 1000, 1000, 2 * time.Second, 500},
		{"top speed", 0, 1000, 1000, 2 * time.Second, 0},
		{"refused", 1000, 1000, 990, time.Second, 10},
		{"nothing", 1000, 0, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := Trial{Load: tt.load, Duration: time.Second}
			x.sent(inject.Result{Frames: tt.frames, Sent: tt.sent, Failed: tt.frames - tt.sent, Elapsed: tt.elapsed}, 10*time.Millisecond)
			if x.Shortfall != tt.want || x.Sent != tt.sent {
				t.Errorf("%d of %d, want %d", x.Shortfall, x.Sent, tt.want)
			}
		})
	}
	// What the sender had no time for is its shortfall once, and due.
	x := Trial{Load: 1e6, Duration: time.Second}
	x.sent(inject.Result{Frames: 400_000, Sent: 400_000, Missed: 600_000, Elapsed: 1012 * time.Millisecond}, 10*time.Millisecond)
	if x.Parsed = x.Sent; x.Shortfall != 600_000 || x.intended() != 1_000_000 || x.Lost() != 0 {
		t.Errorf("%d of %d are missing, lost %d", x.Shortfall, x.intended(), x.Lost())
	}
}

// What the driver drops is lost on the network: the sender was not slow.
func TestDriverDrops(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		sent, dropped, counted uint64
		interfaceDrops         uint64
	}{
		{"none", 100, 0, 100, 0},
		{"not counted as sent", 60, 40, 60, 40},
		{"counted as sent", 60, 40, 100, 40},
		{"and others that were not handed over", 60, 40, 50, 50},
		{"frames of others", 60, 40, 70, 40},
		{"not said by the driver", 100, 0, 70, 30},
		{"more than was sent", 100, 0, 170, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := Trial{Load: 100, Duration: time.Second}
			x.sent(inject.Result{Frames: 100, Sent: tt.sent, Dropped: tt.dropped, Elapsed: time.Second}, time.Millisecond)
			x.transmitted(netlab.Counters{TxFrames: tt.counted})
			x.Parsed = 100 - tt.interfaceDrops
			if x.balance(); x.Sent != 100 || x.InterfaceDrops != tt.interfaceDrops || x.Shortfall != 0 || x.Unexplained != 0 || x.SentRate() != 100 {
				t.Errorf("%+v, shortfall %d, %v pps", x.Counts, x.Shortfall, x.SentRate())
			}
		})
	}
}

func TestBlockLog(t *testing.T) {
	b := newBlockLog(0)
	if got := b.by(5, 77); got != 77 {
		t.Errorf("of no block: %d", got)
	}
	const n = 10_000 // more than it remembers
	for i := range n {
		b.add(blockEntry{at: time.Duration(10 * i), parsed: uint64(i)})
	}
	for _, tt := range []struct {
		at   time.Duration
		want uint64
	}{{10*(n-1) + 1, n}, {10 * (n - 1), n}, {10*(n-1) - 1, n - 1}, {10*(n-100) + 5, n - 99}, {0, n - uint64(len(b.entries))}} {
		if got := b.by(tt.at, n); got != tt.want {
			t.Errorf("by %d: %d, want %d", tt.at, got, tt.want)
		}
	}
	if b.reset(); b.by(0, 3) != 3 {
		t.Error("it remembers an earlier trial")
	}
	// All blocks of a large ring can begin after draining, before it is known that it has ended.
	b = newBlockLog(n)
	for i := range 2 * n {
		b.add(blockEntry{at: time.Duration(10 * i), parsed: uint64(i)})
	}
	if got := b.by(10*n-1, 2*n); got != n {
		t.Errorf("of a ring of %d blocks: %d, want %d", n, got, n)
	}
}

func TestKeptUp(t *testing.T) {
	for _, tt := range []struct {
		name          string
		emptied, woke time.Duration // of the only wait
		want          bool
	}{
		{"empty at the end", 90, 110, true},
		{"empty before the end only", 80, 99, false},
		{"empty within draining", 103, 104, true},
		{"until after draining", 104, 120, true},
		{"empty after draining only", 106, 120, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBlockLog(0)
			b.add(blockEntry{at: 50, parsed: 1})
			b.add(blockEntry{at: tt.woke, parsed: 2, idle: true, emptied: tt.emptied})
			b.add(blockEntry{at: 130, parsed: 3})
			if got := b.keptUp(100, 105); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestFramesThatCannotBeSent(t *testing.T) {
	tagged := make([]byte, 119)
	tagged[12] = 0x81
	for _, tt := range []struct {
		name  string
		frame parse.Frame
		mtu   int
		want  string
	}{
		{"raw IP", parse.Frame{Data: make([]byte, 40), Link: parse.LinkRaw}, 0, "--dlt=enet"},
		{"short", parse.Frame{Data: make([]byte, 13), Link: parse.LinkEthernet}, 0, "13 octets"},
		{"long", parse.Frame{Data: make([]byte, 65550), Link: parse.LinkEthernet}, 0, "--mtu-trunc"},
		{"long for the MTU", parse.Frame{Data: make([]byte, 115), Link: parse.LinkEthernet}, 100, "an MTU of 100 takes 114"},
		{"long for the MTU, with a tag", parse.Frame{Data: tagged, Link: parse.LinkEthernet}, 100, "an MTU of 100 takes 118"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := arena.NewBuilder(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range []parse.Frame{{Data: make([]byte, 60), Link: parse.LinkEthernet}, tt.frame} {
				if err := b.Append(&f); err != nil {
					t.Fatal(err)
				}
			}
			frames, err := b.Finish()
			if err != nil {
				t.Fatal(err)
			}
			defer frames.Close()
			run := Run{Header: Header{Plan: Plan{Engines: []string{"direct"}, Repeats: 1, Trial: time.Second, MTU: tt.mtu}}, Engines: []parse.Engine{parse.DirectEngine()}, Frames: frames}
			if err := run.Measure(context.Background()); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "frame 2") {
				t.Error(err)
			}
		})
	}
}
