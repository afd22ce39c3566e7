package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"
)

// cluster is what the simulation knows: workers that take the shards of a job one after the other. Times are whole milliseconds, and
// draws are integers, so the tables are the same on every processor.
type cluster struct {
	workers  int
	work     time.Duration // of one worker, were all alike and nothing lost
	overhead time.Duration // of each shard
	between  time.Duration // failures of one worker, on average
	notice   time.Duration // until a person submits again
	delay    time.Duration // until what runs the job has noticed a failure and queued the shard again
	runs     int
	seed     uint64
}

// shelf is the one of SCALE.md.
var shelf = cluster{
	workers: 20, work: time.Hour, overhead: 10 * time.Second, between: 48 * time.Hour, notice: 10 * time.Minute, delay: 7 * time.Minute,
	runs: 1000, seed: 1,
}

// queueHours are the jobs of writeQueue, on one machine.
var queueHours = []int{1, 4, 8, 24, 72}

// check refuses what has no end, and what is no time.
func (c cluster) check() error {
	const most = 10_000 * time.Hour
	if c.workers < 1 || c.workers > 10_000 || c.runs < 1 || c.runs > 1_000_000 || c.work < time.Second || c.work > most {
		return errors.New("want 1 to 10,000 workers, 1 to 1,000,000 runs, and from a second to 10,000 hours of work")
	}
	for name, d := range map[string]time.Duration{"overhead": c.overhead, "notice": c.notice, "requeue": c.delay, "between-failures": c.between} {
		if d < 0 || d > most {
			return fmt.Errorf("-%s %v: want 0 to %v", name, d, most)
		}
	}
	longest := max(c.work, time.Duration(slices.Max(queueHours))*time.Hour/time.Duration(c.workers*shardsEach)) + c.overhead
	if c.between > 0 && c.between < longest {
		return fmt.Errorf("-between-failures %v: the longest shard takes %v, and would hardly ever be made", c.between, longest)
	}
	return nil
}

// policy says who makes a lost shard again.
type policy int

const (
	byHand policy = iota // a person, when all other shards are done
	requeue
	twice // as requeue; and workers without work make the shard again that would be last, until that does not help
)

// random draws integers; every draw takes one step of the generator.
type random struct{ *rand.PCG }

func (r random) below(n int64) int64 { return int64(r.Uint64() % uint64(n)) }

// outcome is one run of a job: from its start to its last shard, and the time that workers spent in vain.
type outcome struct{ end, lost int64 }

// simulate runs a job once. A worker's machine takes 0.8 to 1.25 of the expected time for everything; one attempt in fifty takes four times
// as long (a busy disk, a cold cache, a neighbour: the shard itself is no longer than others). In each minute a worker fails with the
// probability 1 minute / between: what it had of its shard is lost, and it is back a minute later. Nobody takes a lost shard before it was
// lost and that was noticed.
func (c cluster) simulate(shards int, p policy, run uint64) outcome {
	// Failures have draws of their own, so a job with and one without them meet with the same machines and delays.
	r, failures := random{rand.NewPCG(c.seed, run)}, random{rand.NewPCG(c.seed, run|1<<63)}
	pace := make([]int64, c.workers) // per mille
	for i := range pace {
		pace[i] = 800 + r.below(451)
	}
	whole := c.work.Milliseconds() * int64(c.workers)
	todo := make([]int64, shards) // what each takes on the average machine
	for i := range todo {
		todo[i] = whole*int64(i+1)/int64(shards) - whole*int64(i)/int64(shards)
	}
	free := make([]int64, c.workers) // when each worker is
	ready := make([]int64, shards)   // from when each shard can be taken
	finished := make([]int64, shards)
	for i := range finished {
		finished[i] = -1
	}
	var out outcome
	first := func() (w int) {
		for i := range free {
			if free[i] < free[w] {
				w = i
			}
		}
		return w
	}
	// attempt lets the first free worker make a shard, and reports whether it was done.
	attempt := func(shard int) bool {
		w := first()
		start := max(free[w], ready[shard])
		length := todo[shard] * pace[w] / 1000
		if r.below(50) == 0 {
			length *= 4
		}
		length += c.overhead.Milliseconds()
		if at, failed := c.fails(failures, length); failed {
			free[w] = start + at + time.Minute.Milliseconds()
			ready[shard] = start + at + c.delay.Milliseconds()
			out.lost += at
			return false
		}
		free[w] = start + length
		if finished[shard] < 0 || free[w] < finished[shard] {
			finished[shard] = free[w]
		}
		return true
	}
	queue := make([]int, shards)
	for i := range queue {
		queue[i] = i
	}
	for len(queue) > 0 {
		var failed []int
		for len(queue) > 0 {
			// The first in the queue that can be taken, else that which can be soonest.
			now, next := free[first()], 0
			for i, shard := range queue {
				if ready[shard] <= now {
					next = i
					break
				}
				if ready[shard] < ready[queue[next]] {
					next = i
				}
			}
			shard := queue[next]
			queue = slices.Delete(queue, next, next+1)
			switch {
			case attempt(shard):
			case p == byHand:
				failed = append(failed, shard)
			default:
				queue = append(queue, shard)
			}
		}
		queue = failed
		for _, shard := range queue {
			ready[shard] = slices.Max(free) + c.notice.Milliseconds()
		}
	}
	for p == twice {
		last := 0
		for i := range finished {
			if finished[i] > finished[last] {
				last = i
			}
		}
		before := finished[last]
		if !attempt(last) || finished[last] == before {
			break
		}
	}
	out.end = slices.Max(finished)
	return out
}

// fails draws whether and when a worker fails within some milliseconds.
func (c cluster) fails(r random, length int64) (at int64, failed bool) {
	if c.between <= 0 {
		return 0, false
	}
	const minute = 60_000
	for at := int64(0); at < length; at += minute {
		if r.below(c.between.Milliseconds()) < minute {
			if at += r.below(minute); at < length {
				return at, true
			}
		}
	}
	return 0, false
}

// often runs a job many times: the median and the 95th percentile of its end, and the mean share of the workers' time that was lost.
func (c cluster) often(shards int, p policy) (median, late time.Duration, lost float64) {
	ends := make([]int64, c.runs)
	var vain int64
	for i := range ends {
		o := c.simulate(shards, p, uint64(i))
		ends[i] = o.end
		vain += o.lost
	}
	slices.Sort(ends)
	whole := c.work.Milliseconds() * int64(c.workers) * int64(c.runs)
	at := func(percent int) time.Duration { return time.Duration(ends[(c.runs-1)*percent/100]) * time.Millisecond }
	return at(50), at(95), float64(vain) / float64(whole)
}

// writeShards prints what the number of shards a worker does to the length of the job.
func writeShards(w io.Writer, c cluster) {
	fmt.Fprintln(w, "| shards a worker | by hand: median, 95 % | requeued | requeued, made twice | work lost |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, n := range []int{1, 2, 4, 8, 16, 32} {
		fmt.Fprintf(w, "| %d |", n)
		lost := 0.0
		for _, p := range []policy{byHand, requeue, twice} {
			median, late, vain := c.often(n*c.workers, p)
			fmt.Fprintf(w, " %.2f, %.2f |", ratio(median, c.work), ratio(late, c.work))
			if p == requeue {
				lost = vain
			}
		}
		fmt.Fprintf(w, " %.1f %% |\n", 100*lost)
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// writeQueue prints what a queue that requeues and makes twice would save, for jobs of several lengths on one machine.
func writeQueue(w io.Writer, c cluster) {
	fmt.Fprintln(w, "| job on one machine | share of a worker | by hand: median, 95 % | requeued, made twice | saved |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, hours := range queueHours {
		c.work = time.Duration(hours) * time.Hour / time.Duration(c.workers)
		hand, handLate, _ := c.often(shardsEach*c.workers, byHand)
		auto, autoLate, _ := c.often(shardsEach*c.workers, twice)
		fmt.Fprintf(w, "| %d h | %s | %s, %s | %s, %s | %s, %s |\n", hours, clock(c.work), clock(hand), clock(handLate), clock(auto), clock(autoLate),
			clock(max(0, hand-auto)), clock(max(0, handLate-autoLate)))
	}
}
