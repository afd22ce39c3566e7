package replay

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"pcaplab/parse"
)

// Ring runs trials with a real queue between two threads: one walks the source and enters frames as they are due, the
// other takes them to the sink. It is the cross-check of Feed. It needs two processors to itself, and always runs on the
// system clock: Config.Clock and Config.FeedCost are not used.
type Ring struct {
	Config
	// Stable says that the source's frames stay valid until Run returns, as those of an arena do. Others are copied into the
	// ring.
	Stable bool
}

// publish is how many frames the producer enters, or the consumer takes, at most before the other side sees it.
const publish = 32

// slot is a place of the ring.
type slot struct {
	frame  parse.Frame
	due    time.Duration
	charge int64
	buf    []byte // of copied frames
}

// line keeps what two threads write apart in the cache.
type line [64]byte

// ring is the queue. The atomic types keep 64-bit fields aligned on 32-bit machines.
type ring struct {
	slots []slot
	mask  uint64

	_     line
	tail  atomic.Uint64 // frames entered
	done  atomic.Bool   // nothing more will be entered; end and drained are set
	_     line
	freed atomic.Int64 // charge of all that was started
	stop  atomic.Bool  // nothing more will be started
	_     line

	end, drained time.Duration // of draining, and of serving what is late
}

// Run feeds frames of src to sink as Feed.Run does, and returns the same Result. Elapsed, Busy, MaxBacklog, LongestGap and
// Lateness are as the consumer sees them; SkipTime, FeedTime and DropsAfterGaps stay 0. Frames that the producer had not
// come to at the end of draining are unsent. Without a pacer the producer waits for room in the queue.
func (rg *Ring) Run(ctx context.Context, src Source, sink Sink) (Result, error) {
	cfg := rg.Config
	cfg.Clock, cfg.FeedCost = &systemClock{start: time.Now()}, 0
	r, err := newRun(ctx, &cfg, src, sink)
	if err != nil {
		return Result{}, err
	}
	r.ring = nil
	queue := cfg.Queue.orDefault()
	if r.pacer == nil {
		r.end = forever
		r.bound = int64(queue.FullFrames())
		r.byFrames = true
	}
	// Frames in service are out of the queue but still in their slots.
	size := uint64(1)
	for size < uint64(queue.most())+publish+1 {
		size *= 2
	}
	q := &ring{slots: make([]slot, size), mask: size - 1, end: r.end, drained: r.end}
	if r.end != forever {
		q.drained = max(r.end, r.until+r.Drain)
	}
	r.off = r.clock.Now()
	c := &consumer{run: r, ring: q, end: r.end, drained: q.drained}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		c.consume()
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	undo := sharpenTimers()
	err = r.produce(q, rg.Stable)
	undo()
	if r.pacer != nil && r.until == forever {
		load := r.due()
		q.end, q.drained = drainEnd(load, r.Width), max(drainEnd(load, r.Width), load+r.Drain)
	}
	q.done.Store(true)
	<-finished
	return c.settle(err)
}

// produce enters frames as they are due, until the load ends.
func (r *run) produce(q *ring, stable bool) error {
	var entered, tail uint64 // entered, and of these published
	var taken, freed int64   // charge entered, and started as far as known
	var now time.Duration
	flush := func() {
		if entered != tail {
			q.tail.Store(entered)
			tail = entered
		}
	}
	defer flush()
	var f parse.Frame
	for r.pos.Frame < r.frameLimit {
		if r.pos.Frame%checkEvery == 0 {
			if err := r.ctx.Err(); err != nil {
				return err
			}
		}
		if now >= r.end || q.stop.Load() {
			r.gaveUp = true
			return nil
		}
		if r.pacer == nil && r.until != forever && r.clock.Now()-r.off >= r.until {
			return nil
		}
		if err := r.src.Next(&f); err != nil {
			return err
		}
		if r.pos.Frame == 0 {
			r.first = f.UnixNano
		}
		r.pos.Capture = time.Duration(f.UnixNano - r.first)
		var d time.Duration
		if r.pacer != nil {
			if d = r.due(); d >= r.until {
				return nil
			}
			if now < d {
				flush()
				var err error
				if now, err = r.waitDue(d, q); err != nil {
					return err
				}
				if now < d {
					r.gaveUp = true
					return nil
				}
			}
			if r.stampDue {
				f.UnixNano = r.first + int64(d)
			}
		}
		charge := int64(1)
		if !r.byFrames {
			charge = r.charge.charge(charged(&f))
		}
		need := charge
		if r.overrun {
			need = 1
		}
		if occupied := taken - freed; occupied+need > r.bound {
			freed = q.freed.Load()
		}
		for r.pacer == nil && taken-freed+need > r.bound && !q.stop.Load() {
			flush()
			runtime.Gosched()
			if err := r.ctx.Err(); err != nil {
				return err
			}
			freed = q.freed.Load()
		}
		r.pos.Frame++
		r.pos.Octets += uint64(f.WireLen)
		if taken-freed+need > r.bound {
			r.res.Dropped++
			if r.res.Dropped%publish == 0 {
				flush()
				now = r.clock.Now() - r.off
			}
			continue
		}
		s := &q.slots[entered&q.mask]
		s.due, s.charge = d, charge
		s.frame = f
		if !stable {
			s.buf = append(s.buf[:0], f.Data...)
			s.frame.Data = s.buf
		}
		taken += charge
		entered++
		if entered-tail >= publish {
			flush()
			now = r.clock.Now() - r.off
		}
	}
	return nil
}

// waitDue waits until d and returns the time, which is before d only if the consumer has stopped.
func (r *run) waitDue(d time.Duration, q *ring) (time.Duration, error) {
	for {
		now := r.clock.Now() - r.off
		switch {
		case now >= d || q.stop.Load():
			return now, nil
		case d-now > 2*spinMargin:
			if err := r.ctx.Err(); err != nil {
				return now, err
			}
			sleep(min(d-now-spinMargin, checkAfter))
		default:
			runtime.Gosched() // with one processor the consumer needs it
		}
	}
}

// consumer takes frames out of a ring. Its fields are its own until it has finished; of the run it uses what the producer
// does not.
type consumer struct {
	run          *run
	ring         *ring
	end, drained time.Duration

	err                  error
	late                 bool
	served, inTime       uint64
	servedOctets         uint64
	inTimeOctets         uint64
	busy, elapsed, worst time.Duration
	longest              time.Duration
	backlog              uint64
	over                 uint64
}

func (c *consumer) now() time.Duration { return c.run.clock.Now() - c.run.off }

// consume takes frames to the sink until the producer is done and the ring is empty, or draining ends.
func (c *consumer) consume() {
	q, r := c.ring, c.run
	defer q.stop.Store(true)
	take, most := uint64(1), uint64(min(r.most, publish))
	var head, idle uint64
	known := r.until != forever || r.pacer == nil // the end of draining
	now := c.now()
	for {
		done := q.done.Load()
		if done && !known {
			known, c.end, c.drained = true, q.end, q.drained
		}
		if now >= c.end && !c.late {
			c.late, c.inTime, c.inTimeOctets = true, c.served, c.servedOctets
		}
		if now >= c.drained {
			return
		}
		tail := q.tail.Load()
		if head == tail {
			if done {
				return
			}
			if idle++; idle%64 == 0 {
				runtime.Gosched()
			}
			now = c.now()
			continue
		}
		c.backlog = max(c.backlog, tail-head)
		n := min(tail-head, take)
		var charge int64
		for i := range n {
			charge += q.slots[(head+i)&q.mask].charge
		}
		q.freed.Add(charge)
		if r.pacer != nil {
			lateness := now - q.slots[head&q.mask].due
			_ = r.hist.RecordValue(int64(min(max(lateness, 0), LatenessLimit))) // cannot fail within the limit
			c.worst = max(c.worst, lateness)
			if lateness > LatenessLimit {
				c.over++
			}
		}
		for range n {
			f := &q.slots[head&q.mask].frame
			octets := uint64(f.WireLen)
			if c.err = r.sink.WriteFrame(f); c.err != nil {
				return
			}
			head++
			c.served++
			c.servedOctets += octets
		}
		started := now
		now = c.now()
		gap := now - started
		c.busy += gap
		c.elapsed = now
		c.longest = max(c.longest, gap)
		if gap > r.span {
			take = max(take/2, 1)
		} else if n == take && gap <= r.span/2 {
			take = min(take*2, most)
		}
	}
}

// settle makes the result of a load that ended with the producer's err.
func (c *consumer) settle(err error) (Result, error) {
	r := c.run
	r.served, r.servedOctets = c.served, c.servedOctets
	if c.late {
		r.late, r.lateOctets = c.served-c.inTime, c.servedOctets-c.inTimeOctets
		r.res.LateDrained = r.late
	}
	r.res.Busy, r.res.Elapsed, r.res.LongestGap = c.busy, c.elapsed, c.longest
	r.res.MaxBacklog = int(c.backlog)
	r.res.Lateness.Max, r.res.Lateness.Over = c.worst, c.over
	if c.err != nil {
		err = c.err
	}
	return r.settle(err)
}
