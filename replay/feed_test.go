package replay

import (
	"context"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pcaplab/parse"
)

// fakeClock is a warp clock that time passes on only when it is told.
type fakeClock struct{ now time.Duration }

func (c *fakeClock) Now() time.Duration { return c.now }

func (c *fakeClock) WaitUntil(t time.Duration) (called, now time.Duration) {
	called = c.now
	c.now = max(c.now, t)
	return called, c.now
}

// skipClock is a fakeClock that a feed coasts on. Waiting on it fails.
type skipClock struct{ *fakeClock }

func (c skipClock) Skip(d time.Duration) {
	if d < 0 {
		panic("skipped backwards")
	}
	c.now += d
}

func (c skipClock) WaitUntil(time.Duration) (called, now time.Duration) {
	panic("waited on a clock that skips")
}

// arrivals is a source and a pacer that play given due times and wire lengths.
type arrivals struct {
	due   []time.Duration
	wire  []int
	walk  time.Duration // that a Next takes on clock
	clock *fakeClock
	next  int
	fail  error // after the last frame, instead of io.EOF
}

func (a *arrivals) Next(f *parse.Frame) error {
	if a.clock != nil {
		a.clock.now += a.walk
	}
	if a.next == len(a.due) {
		if a.fail != nil {
			return a.fail
		}
		return io.EOF
	}
	*f = parse.Frame{UnixNano: 1e18 + int64(a.next), WireLen: 60, Link: parse.LinkEthernet}
	if a.wire != nil {
		f.WireLen = a.wire[a.next]
	}
	a.next++
	return nil
}

func (a *arrivals) Due(p Position) time.Duration {
	switch {
	case len(a.due) == 0:
		return 0
	case p.Frame >= uint64(len(a.due)):
		return a.due[len(a.due)-1]
	}
	return a.due[p.Frame]
}

// server is a sink that takes service[n] for the nth frame that it serves.
type server struct {
	clock   *fakeClock
	service func(n int) time.Duration
	starts  []time.Duration
	stamps  []int64
	failAt  int // 0 is never
}

var errSink = errors.New("sink is full")

func (s *server) WriteFrame(f *parse.Frame) error {
	s.starts = append(s.starts, s.clock.now)
	s.stamps = append(s.stamps, f.UnixNano)
	if len(s.starts) == s.failAt {
		return errSink
	}
	s.clock.now += s.service(len(s.starts) - 1)
	return nil
}

// tailDrop simulates a queue before one server, arrival by arrival: at each arrival the server first starts all that it can
// have started by then. It returns which frames are dropped and when the others start, by frame.
func tailDrop(due []time.Duration, charge []int64, bound int64, overrun bool, service func(n int) time.Duration) (
	dropped []bool, start []time.Duration) {
	dropped, start = make([]bool, len(due)), make([]time.Duration, len(due))
	var queue []int
	var room = bound
	var free time.Duration
	served := 0
	begin := func(i int, at time.Duration) {
		start[i] = at
		free = at + service(served)
		served++
	}
	depart := func(now time.Duration) {
		for len(queue) > 0 && free <= now {
			room += charge[queue[0]]
			begin(queue[0], free)
			queue = queue[1:]
		}
	}
	for i, d := range due {
		depart(d)
		fits := charge[i] <= room
		if overrun {
			fits = room > 0
		}
		switch {
		case !fits:
			dropped[i] = true
		case len(queue) == 0 && free <= d:
			begin(i, d)
		default:
			queue = append(queue, i)
			room -= charge[i]
		}
	}
	depart(forever)
	return dropped, start
}

// workload is a random arrival process with service times and a queue.
type workload struct {
	due     []time.Duration
	wire    []int
	service []time.Duration
	queue   Queue
}

// newWorkload makes a workload whose usual services take up to most, or twice that.
func newWorkload(r *rand.Rand, most int) workload {
	n := 50 + r.IntN(400)
	w := workload{due: make([]time.Duration, n), wire: make([]int, n), service: make([]time.Duration, n)}
	gap, serve := 1+r.IntN(most*2/3), 1+r.IntN(most)
	kind, serveKind := r.IntN(5), r.IntN(3)
	var t time.Duration
	for i := range n {
		switch kind {
		case 0: // regular
			t += time.Duration(gap)
		case 1: // random, ties included
			t += time.Duration(r.IntN(2 * gap))
		case 2: // bursts
			if r.IntN(20) == 0 {
				t += time.Duration(20 * gap)
			}
		case 3: // exponential
			t += time.Duration(r.ExpFloat64() * float64(gap))
		case 4: // load that rises
			t += time.Duration(gap * (n - i) / n)
		}
		w.due[i] = t
		w.wire[i] = 20 + r.IntN(1600)
		switch serveKind {
		case 0:
			w.service[i] = time.Duration(serve)
		case 1:
			w.service[i] = time.Duration(r.IntN(2 * serve))
		case 2: // stalls
			w.service[i] = time.Duration(r.IntN(serve))
			if r.IntN(50) == 0 {
				w.service[i] *= 60
			}
		}
	}
	switch r.IntN(4) {
	case 0:
		w.queue = Queue{Frames: 1 + r.IntN(5)}
	case 1:
		w.queue = Queue{Frames: 1 + r.IntN(200)}
	default:
		w.queue = Queue{Octets: 100 + r.Int64N(60000),
			Charge: []Charge{ChargeWire, ChargeTPacketV3, ChargeTruesize, ""}[r.IntN(4)]}
	}
	return w
}

// charges returns what each frame takes of the queue, and the queue's bound.
func (w workload) charges() (charge []int64, bound int64) {
	charge = make([]int64, len(w.wire))
	for i, n := range w.wire {
		charge[i] = 1
		if w.queue.Frames == 0 {
			charge[i] = w.queue.Charge.charge(int64(n))
		}
	}
	return charge, max(int64(w.queue.Frames), w.queue.Octets)
}

func (w workload) serviceOf(n int) time.Duration { return w.service[n] }

// feed runs w and returns which frames were dropped and when the others were started in truth.
func (w workload) feed(t *testing.T, batch int, skips bool) (dropped []bool, start []time.Duration, res Result) {
	t.Helper()
	clock := &fakeClock{now: 12345}
	src := &arrivals{due: w.due, wire: w.wire}
	sink := &server{clock: clock, service: w.serviceOf}
	fd := Feed{Config{Pacer: src, Clock: clock, Queue: w.queue, Batch: batch, Stamp: StampCapture}}
	if skips {
		fd.Clock = skipClock{clock}
	}
	res, err := fd.Run(context.Background(), src, sink)
	if err != nil {
		t.Fatal(err)
	}
	dropped, start = make([]bool, len(w.due)), make([]time.Duration, len(w.due))
	for i := range dropped {
		dropped[i] = true
	}
	var free time.Duration
	for n, stamp := range sink.stamps {
		i := stamp - 1e18
		dropped[i] = false
		start[i] = max(w.due[i], free) // the clock is behind on a coast
		free = start[i] + w.service[n]
		if clocked := sink.starts[n] - 12345; (batch == 1 || !skips) && start[i] != clocked {
			t.Fatalf("queue %v: frame %d starts at %v, want %v", w.queue, i, clocked, start[i])
		}
	}
	return dropped, start, res
}

// TestQueueExact holds every drop and every start of the feed against the simulation.
func TestQueueExact(t *testing.T) {
	var drops, waits int
	for seed := range uint64(6000) {
		w := newWorkload(rand.New(rand.NewPCG(seed, 1)), 150)
		charge, bound := w.charges()
		wantDropped, wantStart := tailDrop(w.due, charge, bound, w.queue.Charge == ChargeTruesize, w.serviceOf)
		dropped, start, res := w.feed(t, 1, seed%2 == 0)
		backlog := 0
		for i := range w.due {
			if dropped[i] != wantDropped[i] || start[i] != wantStart[i] {
				t.Fatalf("seed %d, queue %v: frame %d due %v: dropped %v start %v, want %v %v",
					seed, w.queue, i, w.due[i], dropped[i], start[i], wantDropped[i], wantStart[i])
			}
			if dropped[i] {
				drops++
				continue
			}
			n := 0
			for j := range i + 1 {
				if !dropped[j] && start[j] > w.due[i] {
					n++
				}
			}
			backlog = max(backlog, n)
			if start[i] > w.due[i] {
				waits++
			}
		}
		if res.MaxBacklog != backlog {
			t.Fatalf("seed %d, queue %v: backlog %d, want %d", seed, w.queue, res.MaxBacklog, backlog)
		}
	}
	if drops < 10000 || waits < 10000 {
		t.Errorf("the cases are too easy: %d drops, %d waits", drops, waits)
	}
}

// TestQueueBatches holds the decisions with batches between those of the queue and of one that is longer by a batch less
// one frame, frame by frame on the same run and in total against the simulation.
func TestQueueBatches(t *testing.T) {
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := newWorkload(r, 150)
		batch := 2 + r.IntN(15)
		charge, bound := w.charges()
		more := int64(batch - 1)
		if w.queue.Frames == 0 {
			longest := int64(0)
			for _, c := range charge {
				longest = max(longest, c)
			}
			more *= longest
		}
		overrun := w.queue.Charge == ChargeTruesize
		skips := seed%2 == 0
		if skips { // a coast is exact for equal services
			for i := range w.service {
				w.service[i] = w.service[0]
			}
		}
		dropped, start, res := w.feed(t, batch, skips)
		for i, d := range w.due {
			var occupied int64
			for j := range i {
				if !dropped[j] && start[j] > d {
					occupied += charge[j]
				}
			}
			need := charge[i]
			if overrun {
				need = 1
			}
			if dropped[i] && occupied+need <= bound {
				t.Fatalf("seed %d, queue %v, batch %d: frame %d was dropped at %d of %d", seed, w.queue, batch, i,
					occupied, bound)
			}
			if !dropped[i] && occupied+need > bound+more {
				t.Fatalf("seed %d, queue %v, batch %d: frame %d was admitted at %d of %d", seed, w.queue, batch, i,
					occupied, bound)
			}
		}
		if w.queue.Frames > 0 {
			short, _ := tailDrop(w.due, charge, bound, overrun, w.serviceOf)
			long, _ := tailDrop(w.due, charge, bound+more, overrun, w.serviceOf)
			if n := int(res.Dropped); n > count(short) || n < count(long) {
				t.Fatalf("seed %d, queue %v, batch %d: %d drops, want %d to %d", seed, w.queue, batch, n,
					count(long), count(short))
			}
		}
	}
}

// stretch is what was served between two readings of the clock.
type stretch struct {
	frames int
	took   time.Duration
}

// reader simulates a queue before a reader that works in given stretches, arrival by arrival. When a stretch begins it
// takes of the frames that wait as many as it has; when one has places left, it takes one frame after the other. Each
// service takes an equal part of its stretch. It returns when each frame is started: forever if that is after the
// stretches, -1 if it is dropped. end is that of the last service, and coasted how many of the frames taken alone waited.
func reader(due []time.Duration, charge []int64, bound int64, overrun bool, stretches []stretch) (
	start []time.Duration, end time.Duration, coasted int) {
	start = make([]time.Duration, len(due))
	var queue []int
	room := bound
	free, began := time.Duration(0), time.Duration(-1)
	done := 0 // of stretches[0]
	serve := func(i int, at time.Duration) {
		start[i] = at
		s := &stretches[0]
		free += s.took / time.Duration(s.frames)
		if done++; done == s.frames {
			stretches, done = stretches[1:], 0
		}
	}
	leave := func(at time.Duration) {
		room += charge[queue[0]]
		serve(queue[0], at)
		queue = queue[1:]
	}
	depart := func(now time.Duration) {
		for len(queue) > 0 && free <= now && len(stretches) > 0 {
			if done > 0 {
				leave(free)
				coasted++
				continue
			}
			began = free
			for n := min(len(queue), stretches[0].frames); n > 0; n-- {
				leave(began)
			}
		}
	}
	for i, d := range due {
		depart(d)
		fits := charge[i] <= room
		if overrun {
			fits = room > 0
		}
		switch {
		case !fits:
			start[i] = -1
		case len(queue) == 0 && len(stretches) > 0 && done > 0 && d == began:
			serve(i, d)
		case len(queue) == 0 && len(stretches) > 0 && free <= d:
			if free = d; done == 0 {
				began = d
			}
			serve(i, d)
		default:
			start[i] = forever
			queue = append(queue, i)
			room -= charge[i]
		}
	}
	depart(forever)
	return start, free, coasted
}

// TestCoast holds everything that a feed counts when it coasts against the simulation with the same stretches, and the
// simulated times against those of the true services.
func TestCoast(t *testing.T) {
	var drops, coasted, residual, drained, cut int
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		// Services are multiples of unit, so that those of a stretch have a whole mean.
		b := []struct{ batch, unit, most int }{{2, 2, 150}, {4, 12, 100}, {6, 60, 20}, {6, 60, 5}, {8, 840, 3}}[r.IntN(5)]
		w := newWorkload(r, b.most)
		gap := float64(b.unit * (1 + r.IntN(b.most)))
		var pacer Pacer
		switch r.IntN(4) {
		case 0:
			pacer = mustPacer(t, "poisson", 1e9/gap, seed)
		case 1:
			pacer = mustPacer(t, "onoff:1us/3us", 1e9/gap, 0)
		}
		for i := range w.due {
			w.service[i] *= time.Duration(b.unit)
			w.due[i] *= time.Duration(b.unit)
			if pacer != nil {
				w.due[i] = pacer.Due(Position{Frame: uint64(i)})
			}
		}
		if r.IntN(3) == 0 { // a load of nearly 1
			var work time.Duration
			for _, s := range w.service {
				work += s
			}
			slower := float64(work) / float64(max(w.due[len(w.due)-1], 1)) * (0.9 + 0.2*r.Float64())
			for i := range w.due {
				w.due[i] = time.Duration(float64(w.due[i]) * slower)
			}
		}
		cfg := Config{Queue: w.queue, Batch: b.batch, Stamp: StampCapture}
		if r.IntN(2) == 0 {
			cfg.Duration = 1 + w.due[len(w.due)*3/4]
			cfg.Width = r.Float64() / 10
			cfg.Drain = time.Duration(r.Int64N(int64(cfg.Duration)/5 + 1))
		}

		clock := &fakeClock{now: 12345}
		src := &arrivals{due: w.due, wire: w.wire}
		sink := &server{clock: clock}
		cfg.Pacer, cfg.Clock = src, skipClock{clock}
		run, err := newRun(t.Context(), &cfg, src, sink)
		if err != nil {
			t.Fatal(err)
		}
		var stretches []stretch
		sink.service = func(n int) time.Duration {
			if run.taken == 1 {
				stretches = append(stretches, stretch{})
			}
			s := &stretches[len(stretches)-1]
			s.frames++
			s.took += w.service[n]
			return w.service[n]
		}
		res, err := run.run()
		if err != nil {
			t.Fatal(err)
		}
		var work, longest time.Duration
		for _, s := range stretches {
			work += s.took
			longest = max(longest, s.took)
		}
		dropped := make([]bool, res.Offered)
		for i := range dropped {
			dropped[i] = true
		}
		for _, stamp := range sink.stamps {
			dropped[stamp-1e18] = false
		}

		offered := len(w.due)
		if cfg.Duration > 0 {
			offered = 0
			for offered < len(w.due) && w.due[offered] < cfg.Duration {
				offered++
			}
		}
		charge, bound := w.charges()
		start, end, waited := reader(w.due[:offered], charge, bound, w.queue.Charge == ChargeTruesize, stretches)
		load := w.due[len(w.due)-1]
		if cfg.Duration > 0 {
			load = cfg.Duration
		}
		drain := drainEnd(load, cfg.Width)
		want := Result{Intended: uint64(offered), Offered: uint64(offered), Served: uint64(len(sink.starts)), Duration: load,
			Elapsed: end, Busy: work, LongestGap: longest, Lateness: Lateness{Samples: uint64(len(stretches))}}
		var free time.Duration // by the true services
		served := 0
		for i, at := range start {
			if at == -1 {
				want.Dropped++
				continue
			}
			if dropped[i] != (at == forever) {
				t.Fatalf("seed %d, batch %d, queue %v: frame %d due %v: not served %v, simulated start %v", seed, b.batch,
					w.queue, i, w.due[i], dropped[i], at)
			}
			backlog := 0
			for j := i; j >= 0 && (start[j] == -1 || start[j] > w.due[i]); j-- {
				if start[j] != -1 {
					backlog++
				}
			}
			want.MaxBacklog = max(want.MaxBacklog, backlog)
			if at >= drain && at > w.due[offered-1] {
				want.Residual++
				if at < load+cfg.Drain {
					want.LateDrained++
				}
			} else {
				want.Delivered++
			}
			if at == forever {
				continue
			}
			want.Lateness.Max = max(want.Lateness.Max, at-w.due[i])
			free = max(free, w.due[i])
			if off := at - free; off > 2*longest || off < -2*longest {
				t.Fatalf("seed %d, batch %d, queue %v: frame %d was started at %v, counted as %v; stretches up to %v", seed,
					b.batch, w.queue, i, free, at, longest)
			}
			free += w.service[served]
			served++
		}
		if end-free > longest || free-end > longest {
			t.Fatalf("seed %d: served until %v, counted as %v; stretches up to %v", seed, free, end, longest)
		}
		drops += int(want.Dropped)
		coasted += waited
		residual += int(want.Residual)
		drained += int(want.LateDrained)
		for _, s := range stretches {
			if s.frames > 1 && s.frames < b.batch {
				cut++
			}
		}
		got := res
		got.OfferedOctets, got.DeliveredOctets, got.DropsAfterGaps = 0, 0, 0
		got.Lateness.P50, got.Lateness.P99, got.Lateness.P999 = 0, 0, 0
		if got != want {
			t.Fatalf("seed %d, batch %d, queue %v:\ngot  %+v\nwant %+v", seed, b.batch, w.queue, got, want)
		}
	}
	t.Logf("%d drops, %d frames waited on a coast, %d residual, %d late drained, %d short stretches", drops, coasted,
		residual, drained, cut)
	if min(drops, coasted, cut) < 10000 || min(residual, drained) < 1000 {
		t.Error("the cases are too easy")
	}
}

// TestCoastByHand holds whole results with coasts against cases worked out by hand. The batches take 1, 2 and 4 frames.
func TestCoastByHand(t *testing.T) {
	due := at(0, 100, 110, 500, 510, 520, 590)
	services := at(60, 10, 50, 100, 20, 0, 0)
	for _, tt := range []struct {
		name string
		cfg  Config
		want Result
	}{
		// Starts at 0; 100, 130; 500, 530, 560, 590, each service of the second batch 60/2, of the third 120/4.
		{"to the end", Config{}, Result{Intended: 7, Offered: 7, Delivered: 7, Served: 7, Duration: 590, Elapsed: 620,
			Busy: 240, MaxBacklog: 2, LongestGap: 120, Lateness: Lateness{Samples: 3, Max: 40}}},
		// The third batch has two frames, so that its services take 120/2: the start at 560 is after the end at 515.
		{"late", Config{Duration: 515, Drain: 60}, Result{Intended: 5, Offered: 5, Delivered: 4, Residual: 1, LateDrained: 1,
			Served: 5, Duration: 515, Elapsed: 620, Busy: 240, MaxBacklog: 1, LongestGap: 120,
			Lateness: Lateness{Samples: 3, Max: 50}}},
		{"too late", Config{Duration: 515, Drain: 45}, Result{Intended: 5, Offered: 5, Delivered: 4, Residual: 1, Served: 5,
			Duration: 515, Elapsed: 620, Busy: 240, MaxBacklog: 1, LongestGap: 120,
			Lateness: Lateness{Samples: 3, Max: 50}}},
	} {
		clock := &fakeClock{now: 77}
		src := &arrivals{due: due}
		tt.cfg.Pacer, tt.cfg.Clock, tt.cfg.Queue, tt.cfg.Batch = src, skipClock{clock}, Queue{Frames: 64}, 4
		fd := Feed{tt.cfg}
		sink := &server{clock: clock, service: func(n int) time.Duration {
			if n == 4 && tt.cfg.Duration > 0 {
				return 20
			}
			return services[n]
		}}
		got, err := fd.Run(t.Context(), src, sink)
		if err != nil {
			t.Fatal(err)
		}
		tt.want.OfferedOctets, tt.want.DeliveredOctets = 60*tt.want.Offered, 60*tt.want.Delivered
		if got != tt.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

// counted is a clock that counts how it is moved on.
type counted struct {
	Skipper
	waits   int
	skipped time.Duration
}

func (c *counted) Skip(d time.Duration) { c.skipped += d; c.Skipper.Skip(d) }

func (c *counted) WaitUntil(t time.Duration) (called, now time.Duration) {
	c.waits++
	return c.Skipper.WaitUntil(t)
}

// TestIdleTimeIsSkipped holds that of a trial of 10 s at a low load nothing but the services takes real time.
func TestIdleTimeIsSkipped(t *testing.T) {
	for _, name := range []string{"warp", "cpu"} {
		clock, err := NewClock(name)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		const rate = 2000
		c := &counted{Skipper: clock.(Skipper)}
		fd := Feed{Config{Pacer: mustPacer(t, "constant", rate, 0), Clock: c, Duration: 10 * time.Second}}
		res, err := fd.Run(t.Context(), newLoop(1<<20), new(touch))
		if err != nil {
			t.Fatal(err)
		}
		if res.Served != 10*rate || res.Elapsed < 9*time.Second {
			t.Fatalf("%s: %+v", name, res)
		}
		// What is left is the time before the first start, by which the first frame was late.
		if rest := res.Elapsed - res.Busy - c.skipped; rest < 0 || rest > res.Lateness.Max || c.waits > 0 {
			t.Errorf("%s: of %v, %v busy and %v skipped, with %d waits", name, res.Elapsed, res.Busy, c.skipped, c.waits)
		}
	}
}

func count(set []bool) int {
	n := 0
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

// at returns due times in ns.
func at(ns ...int) []time.Duration {
	due := make([]time.Duration, len(ns))
	for i, n := range ns {
		due[i] = time.Duration(n)
	}
	return due
}

// every returns n due times, gap apart.
func every(gap time.Duration, n int) []time.Duration {
	due := make([]time.Duration, n)
	for i := range due {
		due[i] = time.Duration(i) * gap
	}
	return due
}

// TestFeedByHand holds whole results against cases worked out by hand.
func TestFeedByHand(t *testing.T) {
	tests := []struct {
		name    string
		due     []time.Duration
		service time.Duration
		walk    time.Duration
		cfg     Config
		want    Result
	}{
		{"never late", at(0, 100, 200), 60, 0, Config{Queue: Queue{Frames: 1}}, Result{
			Intended: 3, Offered: 3, Delivered: 3, Served: 3, Duration: 200, Elapsed: 260, Busy: 180, LongestGap: 60,
			Lateness: Lateness{Samples: 3}}},
		// Starts at 0, 60, 120, 180: the frame at 30 finds that at 20 waiting; at 70 and 130 there is room again. The load
		// ends at 130, and the start at 180 is after that.
		{"one place", at(0, 20, 30, 70, 130), 60, 0, Config{Queue: Queue{Frames: 1}}, Result{
			Intended: 5, Offered: 5, Delivered: 3, Dropped: 1, Residual: 1, Served: 4, Duration: 130, Elapsed: 240, Busy: 240,
			LongestGap: 60, MaxBacklog: 1, Lateness: Lateness{Samples: 4, P50: 40, P99: 50, P999: 50, Max: 50}}},
		// A start at the very due time makes room. A start at the very end of draining, 120*(1+1/2), is too late.
		{"tie", at(0, 10, 60, 120), 60, 0, Config{Queue: Queue{Frames: 1}, Width: 1}, Result{
			Intended: 4, Offered: 4, Delivered: 3, Residual: 1, Served: 4, Duration: 120, Elapsed: 240, Busy: 240, LongestGap: 60,
			MaxBacklog: 1, Lateness: Lateness{Samples: 4, P50: 50, P99: 60, P999: 60, Max: 60}}},
		// Those due at 50, 70 and 80 find three waiting. Starts at 0, 30, 60, 90; 120 is the end, 100*(1+0.4/2), and too late.
		{"residual", every(10, 20), 30, 0, Config{Queue: Queue{Frames: 3}, Duration: 100, Width: 0.4}, Result{
			Intended: 10, Offered: 10, Delivered: 4, Dropped: 3, Residual: 3, Served: 4, Duration: 100, Elapsed: 120,
			Busy: 120, LongestGap: 30, MaxBacklog: 3, Lateness: Lateness{Samples: 4, P50: 20, P99: 60, P999: 60, Max: 60}}},
		// The same, drained to 160: the starts at 120 and 150 are in time for that, the one at 180 is not.
		{"late drained", every(10, 20), 30, 0, Config{Queue: Queue{Frames: 3}, Duration: 100, Width: 0.2, Drain: 60}, Result{
			Intended: 10, Offered: 10, Delivered: 4, Dropped: 3, Residual: 3, LateDrained: 2, Served: 6, Duration: 100,
			Elapsed: 180, Busy: 180, LongestGap: 30, MaxBacklog: 3,
			Lateness: Lateness{Samples: 6, P50: 40, P99: 90, P999: 90, Max: 90}}},
		// The source ends at half of the load; the pacer would go on with one frame each 10 ns.
		{"source too short", every(10, 5), 1, 0, Config{Duration: 100}, Result{
			Intended: 10, Offered: 5, Unsent: 5, Delivered: 5, Served: 5, Duration: 100, Elapsed: 41, Busy: 5, LongestGap: 1,
			Lateness: Lateness{Samples: 5}}},
		{"frames", every(10, 20), 1, 0, Config{Frames: 4, Duration: 100}, Result{
			Intended: 4, Offered: 4, Delivered: 4, Served: 4, Duration: 100, Elapsed: 31, Busy: 4, LongestGap: 1,
			Lateness: Lateness{Samples: 4}}},
		{"no frames", nil, 1, 0, Config{}, Result{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &fakeClock{now: 77}
			src := &arrivals{due: tt.due, clock: clock, walk: tt.walk}
			tt.cfg.Pacer, tt.cfg.Clock, tt.cfg.Batch = src, clock, 1
			if tt.name == "source too short" {
				tt.cfg.Pacer = mustPacer(t, "constant", 1e8, 0)
			}
			fd := Feed{tt.cfg}
			got, err := fd.Run(t.Context(), src, &server{clock: clock, service: func(int) time.Duration { return tt.service }})
			if err != nil {
				t.Fatal(err)
			}
			tt.want.OfferedOctets, tt.want.DeliveredOctets = 60*tt.want.Offered, 60*tt.want.Delivered
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestSkippingIsFree holds that ten times the load does not make the server look slower, although the walk past the
// dropped frames takes as long as three services.
func TestSkippingIsFree(t *testing.T) {
	for _, batch := range []int{1, 16} {
		var served []uint64
		for _, gap := range []time.Duration{80, 10} {
			clock := skipClock{&fakeClock{}}
			const walk = 30
			src := &arrivals{due: every(gap, 400000/int(gap)+1), clock: clock.fakeClock, walk: walk}
			fd := Feed{Config{Pacer: src, Clock: clock, Queue: Queue{Frames: 256}, Batch: batch, Duration: 400000}}
			res, err := fd.Run(t.Context(), src, &server{clock: clock.fakeClock,
				service: func(int) time.Duration { return 100 - walk }})
			if err != nil {
				t.Fatal(err)
			}
			if s := res.ServiceTime(); s < 99.5 || s > 100.5 {
				t.Errorf("batch %d, gap %v: a service takes %g ns, want 100", batch, gap, s)
			}
			if res.Unsent > 0 || res.SkipTime == 0 || res.Dropped == 0 {
				t.Errorf("batch %d, gap %v: %+v", batch, gap, res)
			}
			served = append(served, res.Delivered)
		}
		for _, n := range served { // a batch that was started in time is in time
			if n < 4000 || n >= 4000+uint64(batch) {
				t.Errorf("batch %d: served %d, want 4000 at either load", batch, served)
			}
		}
	}
}

// TestFeedGivesUp holds that what a source far too slow for the load does not give is unsent, and not the sink's loss.
func TestFeedGivesUp(t *testing.T) {
	clock := &fakeClock{}
	src := &endless{clock: clock, walk: 1000}
	fd := Feed{Config{Pacer: mustPacer(t, "constant", 1e9, 0), Clock: clock, Queue: Queue{Frames: 16}, Duration: 1e6}}
	res, err := fd.Run(t.Context(), src, &server{clock: clock, service: func(int) time.Duration { return 400 }})
	if err != nil {
		t.Fatal(err)
	}
	if res.Intended != 1e6 || res.Unsent == 0 || res.Offered > 40000 || res.SkipTime < 1e7 {
		t.Errorf("got %+v", res)
	}
}

type endless struct {
	clock *fakeClock
	walk  time.Duration
}

func (e *endless) Next(f *parse.Frame) error {
	e.clock.now += e.walk
	*f = parse.Frame{WireLen: 60}
	return nil
}

// TestUnsent holds how many frames are said to be missing when the source ends, against a source that goes on.
func TestUnsent(t *testing.T) {
	for _, spec := range []string{"constant", "bits", "poisson", "onoff:1us/3us", "burst:7", "ramp:0.5-2/5us", "recorded"} {
		rate := 1e8
		if spec == "bits" {
			rate *= 60 * 8
		}
		run := func(n int) Result {
			clock := &fakeClock{}
			fd := Feed{Config{Pacer: mustPacer(t, spec, rate, 3), Clock: clock, Duration: 10 * time.Microsecond,
				Queue: Queue{Frames: 10000}}}
			res, err := fd.Run(t.Context(), &captured{left: n}, &server{clock: clock,
				service: func(int) time.Duration { return 1 }})
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		whole, short := run(1<<20), run(100)
		if whole.Unsent != 0 || short.Offered != 100 || short.Intended != whole.Intended {
			t.Errorf("%s: intended %d with unsent %d, want %d; offered %d", spec, short.Intended, short.Unsent,
				whole.Intended, short.Offered)
		}
	}
	fd := Feed{Config{Pacer: mustPacer(t, "recorded", 0, 0), Clock: &fakeClock{}, Duration: time.Second}}
	if res, err := fd.Run(t.Context(), &captured{left: 1}, new(Discard)); err != nil || res.Unsent != 0 {
		t.Errorf("one recorded frame: %+v, %v", res, err)
	}
}

// captured gives frames of 60 octets, 10 ns apart.
type captured struct{ next, left int }

func (c *captured) Next(f *parse.Frame) error {
	if c.left == 0 {
		return io.EOF
	}
	*f = parse.Frame{UnixNano: 1e18 + int64(c.next)*10, WireLen: 60}
	c.next++
	c.left--
	return nil
}

// The quickest slice is what the loop takes where nothing disturbs it.
func TestQuickestSlice(t *testing.T) {
	const us = time.Microsecond
	pass := func(n int) int { return n / 1000 } // of 1000 frames
	tests := []struct {
		name    string
		cfg     Config
		n       int
		service func(n int) time.Duration
		want    float64
	}{
		{"no slices", Config{}, 100_000, func(int) time.Duration { return us }, 0},
		{"alike", Config{Slice: 1000}, 100_000, func(int) time.Duration { return us }, 1000},
		{"one quiet slice of twenty passes", Config{Slice: 1000}, 200_000, func(n int) time.Duration {
			if p := pass(n); p >= 70 && p < 110 { // a slice of half a microsecond a frame is at least twenty passes
				return us / 2
			}
			return us
		}, 500},
		{"quiet for less than a slice", Config{Slice: 1000, Batch: 1}, 100_000, func(n int) time.Duration {
			if pass(n) == 42 {
				return 0
			}
			return us
		}, 1e4 / 11},
		{"a pass longer than 10 ms", Config{Slice: 1000}, 5000, func(n int) time.Duration { return time.Duration(100+pass(n)) * us }, 100_000},
		{"cheap frames in each pass do not count for themselves", Config{Slice: 1000, Batch: 1}, 100_000, func(n int) time.Duration {
			if n%1000 < 500 {
				return 20 * us
			}
			return 60 * us
		}, 40_000},
		{"a slow pass, and a quick rest that is none", Config{Slice: 20_000}, 35_000, func(n int) time.Duration {
			if n < 20_000 {
				return 2 * us
			}
			return us
		}, 2000},
		{"no slice is whole", Config{Slice: 1000}, 900, func(int) time.Duration { return us }, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &fakeClock{}
			tt.cfg.Clock = clock
			fd := Feed{tt.cfg}
			got, err := fd.Run(t.Context(), &captured{left: tt.n}, &server{clock: clock, service: tt.service})
			if err != nil {
				t.Fatal(err)
			}
			// Slices end where batches do.
			if math.Abs(got.Quickest-tt.want) > 0.01*tt.want {
				t.Errorf("%v ns, want %v; the mean is %v", got.Quickest, tt.want, got.ServiceTime())
			}
			if got.Quickest > got.ServiceTime() && got.Slices > 1 {
				t.Errorf("%v ns is above the mean %v", got.Quickest, got.ServiceTime())
			}
		})
	}
}

// Slices are whole passes, however long one is: cheap frames that come together make none quick.
func TestSlicesAreWholePasses(t *testing.T) {
	for _, frames := range []int{1, 10, 60_000, 140_000, 180_000, 225_000, 249_000, 251_000, 300_000} { // a pass of 40 ns a frame, up to 12 ms
		clock := &fakeClock{}
		fd := Feed{Config{Slice: uint64(frames), Clock: clock}}
		service := func(n int) time.Duration {
			if frames > 1 && n%frames < frames/2 {
				return 20
			} else if frames > 1 {
				return 60
			}
			return 40
		}
		got, err := fd.Run(t.Context(), &captured{left: 20 * 300_000}, &server{clock: clock, service: service})
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.Quickest-40) > 0.2 || got.Slices < 10 {
			t.Errorf("%d frames in a pass: %v ns in the quickest of %d slices, want 40", frames, got.Quickest, got.Slices)
		}
	}
}

func TestClosedLoop(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		n    int
		want Result
	}{
		{"to the end", Config{}, 1000, Result{Intended: 1000, Offered: 1000, Delivered: 1000, Elapsed: 7000}},
		{"frames", Config{Frames: 10}, 1000, Result{Intended: 10, Offered: 10, Delivered: 10, Elapsed: 70}},
		{"source too short", Config{Frames: 10}, 4, Result{Intended: 10, Offered: 4, Unsent: 6, Delivered: 4, Elapsed: 28}},
		{"duration", Config{Duration: 100, Batch: 1}, 1000, Result{Intended: 15, Offered: 15, Delivered: 15, Elapsed: 105}},
		{"duration, source too short", Config{Duration: 100, Batch: 1}, 3,
			Result{Intended: 3, Offered: 3, Delivered: 3, Elapsed: 21}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clock := &fakeClock{}
			tt.cfg.Clock = clock
			fd := Feed{tt.cfg}
			sink := &server{clock: clock, service: func(int) time.Duration { return 7 }}
			got, err := fd.Run(t.Context(), &captured{left: tt.n}, sink)
			if err != nil {
				t.Fatal(err)
			}
			got.LongestGap = 0
			tt.want.Served, tt.want.Busy, tt.want.Duration = tt.want.Delivered, tt.want.Elapsed, tt.want.Elapsed
			tt.want.OfferedOctets, tt.want.DeliveredOctets = 60*tt.want.Offered, 60*tt.want.Delivered
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
			if sink.stamps[1] != 1e18+10 {
				t.Errorf("the second frame has time %d, want its capture time", sink.stamps[1])
			}
		})
	}
}

func TestFeedStops(t *testing.T) {
	torn := errors.New("torn")
	for _, kind := range []string{"closed", "paced", "coasting"} {
		clock := &fakeClock{}
		src := &arrivals{due: every(10, 50), fail: torn}
		cfg := Config{Clock: clock, Batch: 1, Duration: time.Second}
		if kind != "closed" {
			cfg.Pacer = src
		}
		if kind == "coasting" {
			cfg.Clock, cfg.Batch = skipClock{clock}, 7
		}
		fd := Feed{cfg}
		sink := &server{clock: clock, service: func(int) time.Duration { return 1 }}
		if res, err := fd.Run(t.Context(), src, sink); !errors.Is(err, torn) || res.Delivered != 50 || res.Intended != 50 {
			t.Errorf("source fails, %s: %v, %+v", kind, err, res)
		}
		src.next, sink.failAt, sink.starts = 0, 20, nil
		res, err := fd.Run(t.Context(), src, sink)
		if err != errSink || res.Delivered != 19 || res.Offered != 20 || res.Residual != 1 || res.check() != nil {
			t.Errorf("sink fails, %s: %v, %+v", kind, err, res)
		}
		src.next, sink.failAt = 0, 0
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res, err := fd.Run(ctx, src, sink); !errors.Is(err, context.Canceled) || res.Offered != 0 {
			t.Errorf("cancelled, %s: %v, %+v", kind, err, res)
		}
	}
	t.Run("cancelled while waiting", func(t *testing.T) {
		clock, err := NewClock("system")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		sink := &server{clock: &fakeClock{}, service: func(int) time.Duration {
			time.AfterFunc(5*time.Millisecond, cancel)
			return 0
		}}
		fd := Feed{Config{Pacer: mustPacer(t, "constant", 1e-3, 0), Clock: clock}}
		if res, err := fd.Run(ctx, newLoop(9), sink); !errors.Is(err, context.Canceled) || res.Delivered != 1 {
			t.Errorf("got %v, %+v", err, res)
		}
	})
}

func TestConfigFaults(t *testing.T) {
	fd := Feed{Config{Queue: Queue{Frames: 1, Octets: 1}, Batch: -1, Duration: -1, Width: 2, Stamp: "now"}}
	_, err := fd.Run(t.Context(), newLoop(1), new(Discard))
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 5 {
		t.Errorf("got %v, want five faults at once", err)
	}
}

func TestStampDue(t *testing.T) {
	clock := &fakeClock{}
	src := &arrivals{due: at(0, 100, 250)}
	sink := &server{clock: clock, service: func(int) time.Duration { return 1 }}
	fd := Feed{Config{Pacer: src, Clock: clock}}
	if _, err := fd.Run(t.Context(), src, sink); err != nil {
		t.Fatal(err)
	}
	for i, d := range src.due {
		if sink.stamps[i] != 1e18+int64(d) {
			t.Errorf("frame %d has time %d, want %d", i, sink.stamps[i], 1e18+int64(d))
		}
	}
}

// TestGaps holds that drops in a stall of the host are told from those of a slow server.
func TestGaps(t *testing.T) {
	run := func(skips bool, service func(n int) time.Duration) Result {
		clock := &fakeClock{}
		src := &arrivals{due: every(10, 20000)}
		fd := Feed{Config{Pacer: src, Clock: clock, Queue: Queue{Frames: 100}}}
		if skips {
			fd.Clock = skipClock{clock}
		}
		res, err := fd.Run(t.Context(), src, &server{clock: clock, service: service})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, skips := range []bool{false, true} {
		stalled := run(skips, func(n int) time.Duration {
			if n == 5000 {
				return 3000
			}
			return 8
		})
		// Of 300 frames due in the stall, 100 have room.
		if stalled.Dropped < 190 || stalled.Dropped > 205 || !stalled.HostLimited() || stalled.LongestGap < 3000 {
			t.Errorf("stalled, skips %v: %+v", skips, stalled)
		}
		slow := run(skips, func(int) time.Duration { return 13 })
		if slow.Dropped == 0 || slow.DropsAfterGaps != 0 || slow.HostLimited() {
			t.Errorf("slow, skips %v: %+v", skips, slow)
		}
	}
}

func TestFeedAllocatesNothing(t *testing.T) {
	for _, spec := range []string{"unpaced", "constant", "poisson", "recorded:x0.001", "onoff:1us/3us", "ramp:1-2/1ms"} {
		for i, q := range []Queue{{Frames: 64}, {}, {Frames: 64}, {}} {
			rate := []float64{1e8, 1e8, 1e6, 1e6}[i]
			allocs := func(n int) float64 {
				fd := Feed{Config{Pacer: mustPacer(t, spec, rate, 1), Queue: q}}
				return testing.AllocsPerRun(3, func() {
					src := newLoop(n)
					if _, err := fd.Run(context.Background(), src, new(touch)); err != nil {
						t.Fatal(err)
					}
				})
			}
			if few, many := allocs(10), allocs(50000); many > few {
				t.Errorf("%s, rate %g, queue %v: %g allocations for 10 frames, %g for 50000", spec, rate, q, few, many)
			}
		}
	}
}

func TestCalibrate(t *testing.T) {
	for _, p := range []Pacer{nil, mustPacer(t, "constant", 1000, 0), mustPacer(t, "poisson", 1e9, 0)} {
		cost, err := Calibrate(t.Context(), Config{Pacer: p, Duration: time.Second, Frames: 100000}, newLoop(1<<20))
		if err != nil || !(cost > 0.1 && cost < 1e5) {
			t.Errorf("got %g ns a frame, %v", cost, err)
		}
	}
	if _, err := Calibrate(t.Context(), Config{}, newLoop(0)); err == nil {
		t.Error("an empty source has a cost")
	}
	fd := Feed{Config{FeedCost: 3, Clock: &fakeClock{}}}
	if res, err := fd.Run(t.Context(), newLoop(500), new(Discard)); err != nil || res.FeedTime != 1500 {
		t.Errorf("feed time %v, %v; want 1.5us", res.FeedTime, err)
	}
}

// TestBatchLength holds that the clock is read for whole batches before a fast sink, whether frames wait or not, and for
// each frame before a slow one.
func TestBatchLength(t *testing.T) {
	for _, tt := range []struct {
		name    string
		service time.Duration
		queue   Queue
		batch   int
		want    uint64 // frames of a batch
	}{
		{"default", 100, Queue{Frames: 1 << 14}, 0, 64},
		{"default of a short queue", 100, Queue{Frames: 256}, 0, 16},
		{"default of the shortest queue", 100, Queue{Frames: 1}, 0, 1},
		{"default of a queue in octets", 100, Queue{Octets: 131072, Charge: ChargeTruesize}, 0, 3},
		{"given", 100, Queue{Frames: 1 << 14}, 7, 7},
		{"cut", 2 * time.Microsecond, Queue{Frames: 1 << 14}, 0, 4},
		{"slow sink", 11 * time.Microsecond, Queue{Frames: 1 << 14}, 0, 1},
	} {
		for _, load := range []float64{2, 0.5, 0.01} {
			clock := &fakeClock{}
			src := &arrivals{due: every(time.Duration(float64(tt.service)/load), 20000)}
			fd := Feed{Config{Pacer: src, Clock: skipClock{clock}, Queue: tt.queue, Batch: tt.batch}}
			sink := &server{clock: clock, service: func(int) time.Duration { return tt.service }}
			res, err := fd.Run(t.Context(), src, sink)
			if err != nil {
				t.Fatal(err)
			}
			// Each batch is one sample. The first ones are shorter.
			n := float64(res.Served) / float64(res.Lateness.Samples)
			if n > float64(tt.want) || n < 0.9*float64(tt.want) {
				t.Errorf("%s, load %g: %.2f frames a batch, want %d", tt.name, load, n, tt.want)
			}
		}
	}
}

// TestRealClocks runs the same short load on every clock; what it took is not judged.
func TestRealClocks(t *testing.T) {
	for _, name := range []string{"system", "warp", "cpu"} {
		clock, err := NewClock(name)
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		fd := Feed{Config{Pacer: mustPacer(t, "constant", 1e5, 0), Clock: clock, Duration: 20 * time.Millisecond, Width: 1}}
		res, err := fd.Run(t.Context(), newLoop(1<<20), new(touch))
		if err != nil {
			t.Fatal(err)
		}
		if res.Intended != 2000 || res.Unsent != 0 || res.Served == 0 || res.Busy <= 0 || res.Busy > res.Elapsed {
			t.Errorf("%s: %+v", name, res)
		}
	}
}
