package replay

import (
	"context"
	"errors"
	"io"
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
	if p.Frame >= uint64(len(a.due)) {
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

func newWorkload(r *rand.Rand) workload {
	n := 50 + r.IntN(400)
	w := workload{due: make([]time.Duration, n), wire: make([]int, n), service: make([]time.Duration, n)}
	gap, serve := 1+r.IntN(100), 1+r.IntN(150)
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
func (w workload) feed(t *testing.T, batch int) (dropped []bool, start []time.Duration, res Result) {
	t.Helper()
	clock := &fakeClock{now: 12345}
	src := &arrivals{due: w.due, wire: w.wire}
	sink := &server{clock: clock, service: w.serviceOf}
	fd := Feed{Config{Pacer: src, Clock: clock, Queue: w.queue, Batch: batch, Stamp: StampCapture}}
	res, err := fd.Run(context.Background(), src, sink)
	if err != nil {
		t.Fatal(err)
	}
	dropped, start = make([]bool, len(w.due)), make([]time.Duration, len(w.due))
	for i := range dropped {
		dropped[i] = true
	}
	for n, stamp := range sink.stamps {
		dropped[stamp-1e18] = false
		start[stamp-1e18] = sink.starts[n] - 12345
	}
	return dropped, start, res
}

// TestQueueExact holds every drop and every start of the feed against the simulation.
func TestQueueExact(t *testing.T) {
	var drops, waits int
	for seed := range uint64(6000) {
		w := newWorkload(rand.New(rand.NewPCG(seed, 1)))
		charge, bound := w.charges()
		wantDropped, wantStart := tailDrop(w.due, charge, bound, w.queue.Charge == ChargeTruesize, w.serviceOf)
		dropped, start, res := w.feed(t, 1)
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
		w := newWorkload(r)
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
		dropped, start, res := w.feed(t, batch)
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

func count(set []bool) int {
	n := 0
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}
