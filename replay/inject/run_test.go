package inject

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
)

// event is a frame that left a fake wire.
type event struct {
	at   time.Duration
	port int
	data []byte
}

// fakeWire takes cost for a call and each for a frame.
type fakeWire struct {
	clock      *fakeClock
	port       int
	batch      int
	call, each time.Duration
	refuse     func(n uint64) bool
	broken     error
	held       [][]byte
	batches    []int
	count      tally
	out        *[]event
	slow       bool // frames have left only after settle
	under      tally
}

func (w *fakeWire) put(d []byte) bool {
	if len(w.held) == w.batch {
		return false
	}
	w.held = append(w.held, bytes.Clone(d))
	w.count.put++
	return true
}

func (w *fakeWire) flush(context.Context) error {
	if w.broken != nil && w.count.sent > 100 {
		return w.broken
	}
	w.batches = append(w.batches, len(w.held))
	w.count.calls++
	at := w.clock.now
	w.clock.now += w.call
	for _, d := range w.held {
		w.clock.now += w.each
		if w.refuse != nil && w.refuse(w.count.sent+w.count.failed) {
			w.count.failed++
			continue
		}
		t := &w.count
		if w.slow {
			t = &w.under
		}
		t.sent++
		t.octets += uint64(len(d))
		*w.out = append(*w.out, event{at, w.port, d})
	}
	w.held = w.held[:0]
	return nil
}

func (w *fakeWire) settle(time.Duration) error {
	w.count.sent += w.under.sent
	w.count.octets += w.under.octets
	w.under = tally{}
	return nil
}

func (w *fakeWire) tally() *tally { return &w.count }

// fakeClock wakes late by over.
type fakeClock struct {
	now   time.Duration
	over  func() time.Duration
	waits int
}

func (c *fakeClock) Now() time.Duration {
	c.now += 40
	return c.now
}

func (c *fakeClock) Wait(t time.Duration) time.Duration {
	c.waits++
	if c.now < t {
		c.now = t
		if c.over != nil {
			c.now += c.over()
		}
	}
	return c.now
}

// list is a source of frames, loops times.
type list struct {
	frames []parse.Frame
	loops  int
	at     int
	err    error // after the last
}

func (l *list) Next(f *parse.Frame) error {
	if l.at >= len(l.frames)*max(l.loops, 1) {
		if l.err != nil {
			return l.err
		}
		return io.EOF
	}
	*f = l.frames[l.at%len(l.frames)]
	l.at++
	return nil
}

func (l *list) Loop() int { return max(l.at-1, 0) / len(l.frames) }

func listOf(n int, size func(i int) int, gap func(i int) time.Duration) *list {
	l := &list{}
	var t time.Duration
	for i := range n {
		d := make([]byte, size(i))
		for j := range d {
			d[j] = byte(i>>(j%4*8)) + byte(j)
		}
		l.frames = append(l.frames, parse.Frame{UnixNano: 1e18 + int64(t), Data: d, WireLen: len(d), Link: parse.LinkEthernet})
		t += gap(i)
	}
	return l
}

func fakeRun(t *testing.T, src replay.Source, plan Plan, wires ...*fakeWire) (Result, []event, error) {
	t.Helper()
	clock := wires[0].clock
	r, err := newRun(context.Background(), src, plan)
	if err != nil {
		t.Fatal(err)
	}
	var out []event
	for i, w := range wires {
		w.out, w.port, w.clock = &out, i, clock
		r.ports = append(r.ports, port{wire: w, name: "fake", link: parse.LinkEthernet, longest: 1514, oversize: OversizeError})
	}
	r.clock = clock
	err = r.run()
	if err := r.res.check(); err != nil {
		t.Error(err)
	}
	return r.res, out, err
}

// TestSchedule holds that no frame leaves before it is due, that it leaves at the first chance after, that a late frame moves none behind
// it, and that what is due at once leaves in one call.
func TestSchedule(t *testing.T) {
	constant := func(rate float64) replay.Pacer {
		p, err := replay.ConstantPPS(rate)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	recorded, err := replay.Recorded(1, 0)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := replay.ConstantBits(1e9)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	stall := func() time.Duration {
		if rng.IntN(50) == 0 {
			return time.Duration(rng.IntN(3e6))
		}
		return time.Duration(rng.IntN(20_000))
	}
	const n = 5000
	for _, c := range []struct {
		name  string
		pacer replay.Pacer
		gap   func(int) time.Duration
		over  func() time.Duration
		call  time.Duration
	}{
		{"1 kpps, wakes on time", constant(1000), nil, nil, 2000},
		{"100 kpps, wakes late", constant(1e5), nil, stall, 2000},
		{"1 Mpps, calls take longer than a gap", constant(1e6), nil, stall, 3000},
		{"recorded in bursts", recorded, func(i int) time.Duration { return time.Duration(i%7) * 40 * time.Microsecond }, stall, 1000},
		{"recorded backwards", recorded, func(i int) time.Duration { return time.Duration(i%3-1) * time.Microsecond }, nil, 1000},
		{"1 Gbit/s", bits, nil, stall, 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			gap := c.gap
			if gap == nil {
				gap = func(int) time.Duration { return 0 }
			}
			src := listOf(n, func(i int) int { return 60 + i%1000 }, gap)
			w := &fakeWire{clock: &fakeClock{over: c.over}, batch: 64, call: c.call, each: 500}
			res, out, err := fakeRun(t, src, Plan{Pacer: c.pacer}, w)
			if err != nil || res.Sent != n || len(out) != n {
				t.Fatalf("sent %d of %d: %v", res.Sent, n, err)
			}
			var pos replay.Position
			var late uint64
			var most, last time.Duration
			for i, e := range out {
				f := src.frames[i]
				pos.Capture = time.Duration(f.UnixNano - src.frames[0].UnixNano)
				due := c.pacer.Due(pos)
				if e.at < due {
					t.Fatalf("frame %d left at %v, due at %v", i, e.at, due)
				}
				if !bytes.Equal(e.data, f.Data) {
					t.Fatalf("frame %d is another", i)
				}
				if e.at < last {
					t.Fatalf("frame %d left before the one before", i)
				}
				last = e.at
				most = max(most, e.at-due)
				if e.at-due >= defaultLate {
					late++
				}
				pos.Frame++
				pos.Octets += uint64(len(f.Data))
			}
			if c.over == nil && c.call < 5000 && most > 5*time.Microsecond && c.name != "recorded backwards" {
				t.Errorf("a frame left %v late without a reason", most)
			}
			if diff := int64(res.Late) - int64(late); diff < -int64(n/50) || diff > int64(n/50) {
				t.Errorf("%d frames counted as late, %d were", res.Late, late)
			}
			var delays, seconds uint64
			for _, b := range res.Delays {
				delays += b.Frames
			}
			for _, s := range res.Seconds {
				seconds += s.Frames
			}
			if delays != n || seconds != n || res.Lateness.Samples != n {
				t.Errorf("histogram of %d, series of %d, %d samples", delays, seconds, res.Lateness.Samples)
			}
			if want := c.pacer.Due(replay.Position{Frame: n - 1, Octets: pos.Octets - uint64(len(src.frames[n-1].Data)), Capture: pos.Capture}); res.Planned != want && c.gap == nil {
				t.Errorf("planned to %v, want %v", res.Planned, want)
			}
		})
	}
}

// TestBatchesFollowTheSchedule: a frame alone goes alone, bursts go together, top speed fills batches.
func TestBatchesFollowTheSchedule(t *testing.T) {
	burst, err := replay.Burst(1000, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		pacer replay.Pacer
		want  []int
	}{
		{"bursts of 5", burst, []int{5, 5, 5, 5}},
		{"top speed", nil, []int{8, 8, 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &fakeWire{clock: &fakeClock{}, batch: 8, call: 1000}
			_, _, err := fakeRun(t, listOf(20, func(int) int { return 60 }, func(int) time.Duration { return 0 }), Plan{Pacer: c.pacer}, w)
			if err != nil || !slices.Equal(w.batches, c.want) {
				t.Errorf("batches %v, want %v: %v", w.batches, c.want, err)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	pacer := func() replay.Pacer { p, _ := replay.ConstantPPS(1000); return p }
	size := func(int) int { return 100 }
	none := func(int) time.Duration { return 0 }
	broken := errors.New("broken")
	damaged := errors.New("damaged")
	for _, c := range []struct {
		name   string
		plan   Plan
		loops  int
		srcErr error
		wire   fakeWire
		sent   uint64
		failed uint64
		unsent uint64
		err    error
		after  time.Duration
	}{
		{name: "source", plan: Plan{Pacer: pacer()}, sent: 1000, after: 999 * time.Millisecond},
		{name: "frames", plan: Plan{Pacer: pacer(), Frames: 10}, sent: 10, after: 9 * time.Millisecond},
		{name: "duration", plan: Plan{Pacer: pacer(), Duration: 50 * time.Millisecond}, sent: 50, after: 49 * time.Millisecond},
		{name: "duration at top speed", plan: Plan{Duration: time.Millisecond}, loops: 1000, sent: 5561, after: time.Millisecond},
		{name: "loops with a delay", plan: Plan{Pacer: pacer(), LoopDelay: time.Second}, loops: 3, sent: 3000, after: 2*time.Second + 2999*time.Millisecond},
		{name: "loops with a delay at top speed", plan: Plan{LoopDelay: time.Second}, loops: 3, sent: 3000, after: 2 * time.Second},
		{name: "refused", plan: Plan{}, wire: fakeWire{refuse: func(n uint64) bool { return n%10 == 0 }}, sent: 900, failed: 100},
		{name: "broken", plan: Plan{}, wire: fakeWire{broken: broken}, sent: 104, unsent: 9, err: broken},
		{name: "damaged capture", plan: Plan{Pacer: pacer()}, srcErr: damaged, sent: 1000, err: damaged, after: 999 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := listOf(1000, size, none)
			src.loops, src.err = c.loops, c.srcErr
			w := c.wire
			w.clock, w.batch, w.call, w.each = &fakeClock{}, 8, 1000, 50
			res, _, err := fakeRun(t, src, c.plan, &w)
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if res.Sent != c.sent || res.Failed != c.failed || res.Unsent != c.unsent {
				t.Errorf("sent %d, failed %d, unsent %d; want %d, %d, %d", res.Sent, res.Failed, res.Unsent, c.sent, c.failed, c.unsent)
			}
			if res.Elapsed < c.after || c.after > 0 && res.Elapsed > c.after+5*time.Millisecond {
				t.Errorf("ended after %v, want %v", res.Elapsed, c.after)
			}
		})
	}
}

// TestEndsBehind: a run that cannot keep its rate ends with its duration too, and says what was due and did not leave.
func TestEndsBehind(t *testing.T) {
	pps, _ := replay.ConstantPPS(1e7)
	bits, _ := replay.ConstantBits(8e9) // 1e7 frames of 100 octets a second
	faster, _ := replay.Recorded(1e6, 0)
	atOnce, _ := replay.Burst(1e7, 1_000_000)
	bursts, _ := replay.Burst(1e7, 100_000)
	onOff, _ := replay.OnOff(1e7, 10*time.Millisecond, 10*time.Millisecond)
	poisson, _ := replay.Poisson(1e7, 1)
	for _, c := range []struct {
		name    string
		plan    Plan
		gap     time.Duration
		each    time.Duration // that a frame takes
		latest  time.Duration
		due     float64 // frames; 0: unknown
		missing bool
	}{
		{"rate", Plan{Pacer: pps}, 0, 5000, 60 * time.Millisecond, 500_000, true},
		{"bit rate", Plan{Pacer: bits}, 0, 5000, 60 * time.Millisecond, 500_000, true},
		{"a burst longer than the run", Plan{Pacer: atOnce}, 0, 5000, 60 * time.Millisecond, 1_000_000, true},
		{"bursts", Plan{Pacer: bursts}, 0, 5000, 60 * time.Millisecond, 500_000, true},
		{"on and off", Plan{Pacer: onOff}, 0, 5000, 60 * time.Millisecond, 600_000, true}, // 20 million in three of five parts
		{"random", Plan{Pacer: poisson}, 0, 5000, 60 * time.Millisecond, 0, true},
		{"recorded, far too fast", Plan{Pacer: faster}, time.Millisecond, 5000, 60 * time.Millisecond, 0, true},
		{"less grace", Plan{Pacer: pps, Grace: time.Millisecond}, 0, 5000, 51 * time.Millisecond, 500_000, true},
		{"number", Plan{Pacer: pps, Frames: 100_000}, 0, 5000, 60 * time.Millisecond, 100_000, true},
		{"behind within the grace", Plan{Pacer: pps}, 0, 110, 60 * time.Millisecond, 500_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.plan.Duration = 50 * time.Millisecond
			src := listOf(1000, func(int) int { return 100 }, func(int) time.Duration { return c.gap })
			src.loops = 1_000_000
			w := &fakeWire{clock: &fakeClock{}, batch: 8, each: c.each}
			res, _, err := fakeRun(t, src, c.plan, w)
			const batch = 50_000 // that it may take longer
			if err != nil || res.Lasted > c.latest+batch || res.Elapsed > res.Lasted || res.Missed > 0 != c.missing {
				t.Errorf("ended after %v, %d missed: %v", res.Lasted, res.Missed, err)
			}
			if c.missing && res.Lasted < c.latest {
				t.Errorf("ended after %v, before %v", res.Lasted, c.latest)
			}
			if due := float64(res.Frames + res.Missed); c.due > 0 && math.Abs(due-c.due) > 1 {
				t.Errorf("%d frames and %d missed, want %v", res.Frames, res.Missed, c.due)
			}
		})
	}
	t.Run("file", func(t *testing.T) { // it takes no time, however much is due
		src := listOf(1000, func(int) int { return 100 }, func(int) time.Duration { return 0 })
		src.loops = 1000
		s, err := To(&replay.Discard{}, "nowhere", Config{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := Run(context.Background(), s, src, Plan{Pacer: pps, Duration: 50 * time.Millisecond}); err != nil || res.Sent != 500_000 || res.Missed != 0 {
			t.Errorf("%d, %d missed: %v", res.Sent, res.Missed, err)
		}
	})
	t.Run("nothing is put", func(t *testing.T) { // and no flush tells the time
		src := listOf(1000, func(int) int { return 1 }, func(int) time.Duration { return 0 })
		src.loops = 1_000_000
		for _, pacer := range []replay.Pacer{nil, bits} {
			src.at = 0
			res, _, err := fakeRun(t, src, Plan{Pacer: pacer, Duration: 10 * time.Microsecond, Grace: 1}, &fakeWire{clock: &fakeClock{}, batch: 8})
			if err != nil || res.Sent != 0 || res.Runt == 0 {
				t.Errorf("%+v: %v", res, err)
			}
		}
	})
}

// TestTells: Each comes once in every period that has passed, the last included, however long the waits.
func TestTells(t *testing.T) {
	for _, rate := range []float64{1, 7, 1000} {
		p, _ := replay.ConstantPPS(rate)
		var at []time.Duration
		src := listOf(10, func(int) int { return 60 }, func(int) time.Duration { return 0 })
		src.loops = 1000
		plan := Plan{Pacer: p, Frames: uint64(5*rate) + 1, Every: time.Second, Each: func(r Result) { at = append(at, r.Elapsed) }}
		res, _, err := fakeRun(t, src, plan, &fakeWire{clock: &fakeClock{}, batch: 8, call: 1000})
		if err != nil || len(at) != int(res.Lasted/time.Second) || len(at) != 5 {
			t.Fatalf("at %g: %v of %v: %v", rate, at, res.Lasted, err)
		}
		for i, e := range at {
			if e < time.Duration(i+1)*time.Second || e > time.Duration(i+1)*time.Second+2*lookAfter {
				t.Errorf("at %g: %v", rate, at)
			}
		}
	}
}

// TestLongWait: a wait of more than ten seconds is told of, once for each.
func TestLongWait(t *testing.T) {
	p, _ := replay.Recorded(1, 0)
	var waits []time.Duration
	src := listOf(4, func(int) int { return 60 }, func(i int) time.Duration { return []time.Duration{9e9, 3600e9, 20e9, 0}[i] })
	if _, _, err := fakeRun(t, src, Plan{Pacer: p, Long: func(d time.Duration) { waits = append(waits, d.Round(time.Second)) }}, &fakeWire{clock: &fakeClock{}, batch: 8}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(waits, []time.Duration{3600e9, 20e9}) {
		t.Errorf("%v", waits)
	}
}

// TestRateOfFew: one paced frame has no rate, however short its call; the end of a run is that of its last wait.
func TestRateOfFew(t *testing.T) {
	slow, _ := replay.ConstantPPS(0.1)
	for _, c := range []struct {
		frames uint64
		pacer  replay.Pacer
		want   float64
	}{{1, slow, 0}, {2, slow, 0.1}, {3, slow, 0.1}, {1, nil, 1e6}} {
		res, _, err := fakeRun(t, listOf(5, func(int) int { return 60 }, func(int) time.Duration { return 0 }), Plan{Pacer: c.pacer, Frames: c.frames},
			&fakeWire{clock: &fakeClock{}, batch: 8, call: 900})
		if got := res.Rate(); err != nil || math.Abs(got-c.want) > c.want/10 || res.BitRate() != 0 != (c.want > 0) {
			t.Errorf("%d frames: %v, want %v: %v", c.frames, got, c.want, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := newRun(ctx, listOf(3, func(int) int { return 60 }, func(int) time.Duration { return 0 }), Plan{Pacer: slow})
	if err != nil {
		t.Fatal(err)
	}
	clock := &fakeClock{}
	clock.over = func() time.Duration {
		if clock.now > 3*time.Second {
			cancel()
		}
		return 0
	}
	r.clock, r.ports = clock, []port{{wire: &fakeWire{clock: clock, batch: 4, out: new([]event)}, link: parse.LinkEthernet, longest: 1514}}
	if err := r.run(); !errors.Is(err, context.Canceled) || r.res.Lasted < 3*time.Second || r.res.Elapsed > time.Millisecond || r.res.Rate() != 0 {
		t.Errorf("lasted %v, elapsed %v: %v", r.res.Lasted, r.res.Elapsed, err)
	}
}

// TestCancelled ends a run in the middle of a long gap.
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p, _ := replay.ConstantPPS(0.001)
	r, err := newRun(ctx, listOf(3, func(int) int { return 60 }, func(int) time.Duration { return 0 }), Plan{Pacer: p})
	if err != nil {
		t.Fatal(err)
	}
	clock := &fakeClock{}
	var out []event
	r.clock, r.ports = clock, []port{{wire: &fakeWire{clock: clock, batch: 4, out: &out}, link: parse.LinkEthernet, longest: 1514}}
	clock.over = func() time.Duration {
		if clock.waits == 7 {
			cancel()
		}
		return 0
	}
	if err := r.run(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if clock.now > 9*lookAfter || r.res.Sent != 1 {
		t.Errorf("ended at %v with %d sent", clock.now, r.res.Sent)
	}
}

// TestTwoPorts: whatever way frames go, they leave in the order of the source.
func TestTwoPorts(t *testing.T) {
	clock := &fakeClock{}
	a, b := &fakeWire{clock: clock, batch: 8, call: 1000}, &fakeWire{clock: clock, batch: 8, call: 1000}
	src := listOf(500, func(i int) int { return 60 + i }, func(int) time.Duration { return 0 })
	side := func(f *parse.Frame) int { return len(f.Data) / 3 % 2 }
	res, out, err := fakeRun(t, src, Plan{Side: side}, a, b)
	if err != nil || res.Sent != 500 {
		t.Fatal(res.Sent, err)
	}
	for i, e := range out {
		if !bytes.Equal(e.data, src.frames[i].Data) || e.port != side(&src.frames[i]) {
			t.Fatalf("frame %d is out of order or left by port %d", i, e.port)
		}
	}
}

// TestSidesAtTopSpeed: with every frame on another side no batch is ever full, and a run looks at clock and context all the same.
func TestSidesAtTopSpeed(t *testing.T) {
	clock := &fakeClock{}
	wires := func() (*fakeWire, *fakeWire) {
		return &fakeWire{clock: clock, batch: 64, call: 1000, each: 50}, &fakeWire{clock: clock, batch: 64, call: 1000, each: 50}
	}
	var turn int
	side := func(*parse.Frame) int { turn++; return turn % 2 }
	src := listOf(100, func(int) int { return 60 }, func(int) time.Duration { return 0 })
	src.loops = 10_000
	a, b := wires()
	told := 0
	res, _, err := fakeRun(t, src, Plan{Side: side, Duration: 50 * time.Millisecond, Every: 10 * time.Millisecond, Each: func(Result) { told++ }}, a, b)
	if err != nil || res.Elapsed > 51*time.Millisecond || res.Elapsed < 49*time.Millisecond || told < 1 {
		t.Errorf("ended after %v, told %d times: %v", res.Elapsed, told, err)
	}
}

// TestSettles: what the kernel is done with only later counts as sent, on every port, however the run ended.
func TestSettles(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		err  error
	}{{"end", nil}, {"error of the source", broken}} {
		t.Run(c.name, func(t *testing.T) {
			clock := &fakeClock{}
			a, b := &fakeWire{clock: clock, batch: 8, slow: true}, &fakeWire{clock: clock, batch: 8, slow: true}
			src := listOf(500, func(i int) int { return 60 + i%2 }, func(int) time.Duration { return 0 })
			src.err = c.err
			res, _, err := fakeRun(t, src, Plan{Side: func(f *parse.Frame) int { return len(f.Data) % 2 }}, a, b)
			if !errors.Is(err, c.err) || res.Sent != 500 || res.Unsent != 0 {
				t.Errorf("sent %d, unsent %d: %v", res.Sent, res.Unsent, err)
			}
		})
	}
}

// TestRunts: what is shorter than a link header is left out and counted.
func TestRunts(t *testing.T) {
	src := listOf(20, func(i int) int { return i }, func(int) time.Duration { return 0 })
	res, out, err := fakeRun(t, src, Plan{}, &fakeWire{clock: &fakeClock{}, batch: 8})
	if err != nil || res.Runt != 14 || res.Sent != 6 || len(out) != 6 {
		t.Errorf("%d runts, %d sent: %v", res.Runt, res.Sent, err)
	}
}

// TestLoopDelayEndsWithTheRun: a pause does not outlast the duration.
func TestLoopDelayEndsWithTheRun(t *testing.T) {
	src := listOf(1, func(int) int { return 60 }, func(int) time.Duration { return 0 })
	src.loops = 5
	clock := &fakeClock{}
	res, _, err := fakeRun(t, src, Plan{LoopDelay: 2 * time.Second, Duration: 100 * time.Millisecond}, &fakeWire{clock: clock, batch: 8})
	if err != nil || clock.now > 110*time.Millisecond || res.Sent != 1 {
		t.Errorf("%d sent in %v: %v", res.Sent, clock.now, err)
	}
}

// TestSinkFails: an error of the sink ends the run at once, and so does a context that is done.
func TestSinkFails(t *testing.T) {
	src := listOf(1000, func(int) int { return 60 }, func(int) time.Duration { return 0 })
	src.loops = 1000
	full := errors.New("disk full")
	s, err := To(failing{full}, "nowhere", Config{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), s, src, Plan{})
	if !errors.Is(err, full) || res.Frames > 2 || res.Sent != 0 {
		t.Errorf("%d frames: %v", res.Frames, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if s, err = To(&replay.Discard{}, "nowhere", Config{}, 0); err != nil {
		t.Fatal(err)
	}
	if res, err := Run(ctx, s, src, Plan{}); !errors.Is(err, context.Canceled) || res.Frames > checkEvery {
		t.Errorf("%d frames: %v", res.Frames, err)
	}
}

type failing struct{ err error }

func (f failing) WriteFrame(*parse.Frame) error { return f.err }

func TestWrongFrames(t *testing.T) {
	none := func(int) time.Duration { return 0 }
	long := listOf(3, func(i int) int { return 1500 + i*14 }, none)
	_, out, err := fakeRun(t, long, Plan{}, &fakeWire{clock: &fakeClock{}, batch: 8})
	var over *OversizeFrameError
	if !errors.As(err, &over) || over.Frame != 3 || over.Octets != 1528 || len(out) != 2 {
		t.Errorf("%v after %d frames", err, len(out))
	}
	raw := listOf(3, func(int) int { return 60 }, none)
	raw.frames[1].Link = parse.LinkRaw
	_, out, err = fakeRun(t, raw, Plan{}, &fakeWire{clock: &fakeClock{}, batch: 8})
	var link *LinkError
	if !errors.As(err, &link) || link.Frame != 2 || len(out) != 1 {
		t.Errorf("%v after %d frames", err, len(out))
	}
}

func TestRunAllocatesNothingPerFrame(t *testing.T) {
	p, _ := replay.ConstantPPS(1e6)
	for name, pacer := range map[string]replay.Pacer{"paced": p, "top speed": nil} {
		t.Run(name, func(t *testing.T) {
			src := listOf(100, func(int) int { return 60 }, func(int) time.Duration { return 0 })
			allocs := func(loops int) float64 {
				return testing.AllocsPerRun(3, func() {
					src.at, src.loops = 0, loops
					s, err := To(&replay.Discard{}, "nowhere", Config{}, 0)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := Run(context.Background(), s, src, Plan{Pacer: pacer}); err != nil {
						t.Fatal(err)
					}
				})
			}
			few, many := allocs(2), allocs(200)
			if many > few {
				t.Errorf("%v allocations for 200 frames, %v for 20000", few, many)
			}
		})
	}
}

func TestVerifier(t *testing.T) {
	frame := func(i int) []byte { return []byte{byte(i), byte(i >> 8), 1, 2, 3} }
	for _, c := range []struct {
		name     string
		received []int
		want     VerifyReport
	}{
		{"same", []int{0, 1, 2, 3, 4}, VerifyReport{Sent: 5, Received: 5, Same: 5}},
		{"lost", []int{0, 2, 4}, VerifyReport{Sent: 5, Received: 3, Same: 3, Missing: 2}},
		{"lost at the end", []int{0, 1}, VerifyReport{Sent: 5, Received: 2, Same: 2, Missing: 3}},
		{"swapped", []int{0, 2, 1, 3, 4}, VerifyReport{Sent: 5, Received: 5, Same: 4, Reordered: 1}},
		{"changed", []int{0, 1, 99, 3, 4}, VerifyReport{Sent: 5, Received: 5, Same: 4, Missing: 1, Foreign: 1}},
		{"twice", []int{0, 1, 1, 2, 3, 4}, VerifyReport{Sent: 5, Received: 6, Same: 5, Foreign: 1}},
		{"more", []int{0, 1, 2, 3, 4, 77}, VerifyReport{Sent: 5, Received: 6, Same: 5, Foreign: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := NewVerifier()
			for i := range 5 {
				v.Sent(0, frame(i))
			}
			for _, i := range c.received {
				v.Received(frame(i))
			}
			got := v.Report(0)
			if got != c.want || got.OK() != (c.name == "same") {
				t.Errorf("%+v (%v), want %+v", got, got.OK(), c.want)
			}
		})
	}
}

// BenchmarkRun is what a run costs beside the kernel.
func BenchmarkRun(b *testing.B) {
	p, _ := replay.ConstantPPS(1e9)
	for name, pacer := range map[string]replay.Pacer{"paced": p, "top": nil} {
		b.Run(name, func(b *testing.B) {
			src := listOf(1000, func(int) int { return 60 }, func(int) time.Duration { return 0 })
			src.loops = b.N/1000 + 1
			s, _ := To(&replay.Discard{}, "nowhere", Config{}, 0)
			b.ResetTimer()
			res, err := Run(context.Background(), s, src, Plan{Pacer: pacer})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(res.Sent), "ns/frame")
		})
	}
}

// TestVerifierAfterLongLoss: more frames lost in a row than the window holds do not spoil the rest, and a receiver that stands still
// stops no sender.
func TestVerifierAfterLongLoss(t *testing.T) {
	frame := make([]byte, 8)
	number := func(i int) []byte { be.PutUint64(frame, uint64(i)); return frame }
	v := NewVerifier()
	for i := range 20_000 {
		v.Sent(0, number(i))
	}
	for i := range 20_000 {
		if i < 100 || i >= 100+2*verifyWindow {
			v.Received(number(i))
		}
	}
	r := v.Report(0)
	if r.Missing != 2*verifyWindow+verifyLost || r.Foreign != verifyLost || r.Same != 20_000-2*verifyWindow-verifyLost {
		t.Errorf("%+v", r)
	}
	v = NewVerifier()
	for i := range verifyRing + 1000 {
		v.Sent(0, number(i))
	}
	if r := v.Report(0); r.Sent != verifyRing+1000 || r.Missing != verifyRing+1000 || r.OK() {
		t.Errorf("%+v", r)
	}
}
