package external

import (
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"pcaplab/replay"
	"pcaplab/replay/meter"
)

const (
	// quantum is how far apart the feeder wakes at least: above 10 kpps frames go in groups. A wake-up costs 5 to 40 us of
	// the processor that the program wants.
	quantum = 100 * time.Microsecond
	// checkAfter is how long the feeder sleeps at most: then it looks whether the program and the context have ended.
	checkAfter = 20 * time.Millisecond
	// fill is how much is written at once: the program cannot read meanwhile.
	fill = 64 << 10
	// ahead is how much of the program's time the closed loop keeps in the pipe.
	ahead = 100 * time.Millisecond
	// leastDelay and mostDelay bound how soon the feeder looks again after it has filled the pipe.
	leastDelay, mostDelay = 50 * time.Microsecond, 10 * time.Millisecond
	// stall is how long a program in a closed loop may take no frame.
	stall = 10 * time.Second
	// gap is how long after its due time a frame that is dropped shows that the feeder had no CPU: it comes to the queue
	// with all others of that time, which the program would have worked on meanwhile.
	gap = 5 * time.Millisecond
	// readClock is how many frames at most are decided on one reading of the clock.
	readClock = 32
)

// trial is a Run.
type trial struct {
	*Process
	ctx     context.Context
	ledger  *replay.Ledger
	load    replay.Queue
	service replay.Service
	woke    time.Duration
	full    bool          // the pipe was full when it was last written to
	retry   time.Duration // not written to before, if full
	delay   time.Duration // after it was full
	filled  uint64        // octets written when it was last full
	moved   time.Duration // when a frame was last seen to be taken
	head    uint64        // frames taken then
}

// Run runs one trial: it gives the program the frames of src as they are due, through the queue of cfg, as replay.Ring does.
// It runs on the system clock: cfg.Clock, cfg.Batch and cfg.FeedCost are not used. A frame is delivered when the program has
// taken it before the end of draining; by a program without a counter, when it has read it whole from the pipe. Draining
// goes on until Config.Drain. The Result has no Busy time in open loop, because it is not known when the program works, and
// no SkipTime and LongestGap; Lateness is the feeder's: how long after its due time a frame came to the queue.
// DropsAfterGaps are drops of frames that came over 5 ms late: then the feeder had no CPU. Elapsed is until the last frame
// was seen to be done.
//
// Without a pacer frames are given as fast as they are taken, with up to 100 ms of them on the way, and the Result is of all
// that was given: Elapsed is until all were taken. A program that takes none for 10 s ends the trial.
//
// The error is of src or ctx, an *EndedError, or says what is wrong with cfg; the Result so far comes with it. When ctx ends
// the program is killed with all its processes. Run allocates nothing per frame once its buffers have grown to the queue. A
// Process has one trial.
func (p *Process) Run(ctx context.Context, cfg replay.Config, src replay.Source) (replay.Result, error) {
	if p.ran || p.closed {
		return replay.Result{}, fmt.Errorf("%s has had its trial: start another process", p.program.Name)
	}
	ledger, err := replay.NewLedger(ctx, cfg, src)
	if err != nil {
		return replay.Result{}, err
	}
	p.ran = true
	if cfg.Queue.Frames == 0 && cfg.Queue.Octets == 0 {
		cfg.Queue = replay.DefaultQueue()
	}
	t := &trial{Process: p, ctx: ctx, ledger: ledger, load: cfg.Queue, delay: leastDelay}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer sharpenTimers()()
	p.begin, p.began = p.session.Read(), time.Now()
	cpu := meter.ThreadCPU()
	ledger.Begin()
	if cfg.Pacer == nil {
		err = t.closedLoop(cfg.Duration)
	} else {
		err = t.openLoop(cfg.Duration)
	}
	if err != nil {
		t.refresh()
		t.service.Delivered, t.service.DeliveredOctets = p.waiting.head, p.waiting.octets
		t.service.LateDrained = 0
		t.service.Elapsed = ledger.Now()
		p.usage.Traffic = p.span(p.session.Read())
	}
	if cpu >= 0 {
		ns := int64(meter.ThreadCPU() - cpu)
		p.usage.FeederCPUNs = &ns
	}
	t.service.Served = p.waiting.head
	if cfg.Pacer == nil {
		t.service.Busy = t.service.Elapsed
	}
	p.countGiven()
	p.result, err = ledger.Settle(t.service, err)
	return p.result, err
}

// sharpenTimers asks the kernel not to delay this thread's sleeps, and returns what undoes it.
func sharpenTimers() (undo func()) {
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || slack <= 0 || unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) != nil {
		return func() {}
	}
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) }
}

// sleep returns after d or, on a signal, earlier.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(max(d, 0)))
	_ = unix.Nanosleep(&ts, nil)
}

// openLoop offers frames as they are due, and drains.
func (t *trial) openLoop(duration time.Duration) error {
	end := time.Duration(math.MaxInt64)
	if duration > 0 {
		_, end, _ = t.ledger.End()
	}
	q := &t.waiting
	var now time.Duration
	for n := 1; ; n++ {
		f, due, err := t.ledger.Next()
		if err != nil {
			if err != io.EOF {
				return err
			}
			break
		}
		if now < due {
			if now, err = t.wait(due); err != nil {
				return err
			}
			t.ledger.Late(now - due)
			n = 0
		} else if n%readClock == 0 {
			if err := t.check(); err != nil {
				return err
			}
			if now = t.ledger.Now(); now >= end {
				t.ledger.GiveUp()
				break
			}
			t.ledger.Late(now - due)
			if err := t.push(now); err != nil {
				return err
			}
		}
		charge := t.load.ChargeOf(f)
		if !t.load.Admits(q.charge, charge) {
			t.refresh()
			if !t.load.Admits(q.charge, charge) {
				t.ledger.Drop(now-due > gap)
				continue
			}
		}
		if err := t.admit(f.WireLen, charge, t.queue.append(f)); err != nil {
			return err
		}
		if t.queue.n >= fill && n%readClock == 0 {
			if err := t.push(now); err != nil {
				return err
			}
		}
	}
	return t.drain()
}

// admit enters a frame whose record was put into the fifo with err.
func (t *trial) admit(wire int, charge int64, err error) error {
	if err != nil {
		return fmt.Errorf("frame %d: %w", t.waiting.tail+1, err)
	}
	t.ledger.Admit()
	t.waiting.push(admitted{end: t.queue.stream, wire: uint32(wire), charge: uint32(charge)})
	t.service.MaxBacklog = max(t.service.MaxBacklog, int(t.waiting.tail-t.waiting.head))
	return nil
}

// wait waits until a frame is due, and a quantum since the last time, and returns the time.
func (t *trial) wait(due time.Duration) (time.Duration, error) {
	t.refresh()
	due = max(due, t.woke+quantum)
	for {
		if err := t.push(t.ledger.Now()); err != nil {
			return 0, err
		}
		now := t.ledger.Now()
		if now >= due {
			return now, nil
		}
		if err := t.check(); err != nil {
			return 0, err
		}
		t.rest(now, due)
	}
}

// rest sleeps until a time, or until it is worth looking at the pipe again.
func (t *trial) rest(now, until time.Duration) {
	until = min(until, now+checkAfter)
	if t.queue.n > 0 && t.full {
		until = min(until, max(t.retry, t.woke+quantum))
	}
	sleep(until - now)
	t.woke = t.ledger.Now()
}

// push writes to the pipe, if it is worth it.
func (t *trial) push(now time.Duration) error {
	if t.queue.n == 0 || t.full && now < t.retry {
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	t.full = t.queue.n > 0
	if t.full {
		switch wrote := t.written - t.filled; {
		case wrote < uint64(t.pipe/8):
			t.delay = min(2*t.delay, mostDelay)
		case wrote > uint64(t.pipe/2):
			t.delay = max(t.delay/2, leastDelay)
		}
		t.filled = t.written
		t.retry = now + t.delay
	}
	return nil
}

// flush writes records until the pipe is full.
func (p *Process) flush() error {
	for p.queue.n > 0 {
		b, _ := p.queue.spans()
		b = b[:min(len(b), fill)]
		n, err := writePipe(p.stdin, b)
		if err != nil {
			p.countGiven()
			if err == unix.EPIPE {
				return p.endedError()
			}
			return fmt.Errorf("write to %s: %w", p.program.Name, err)
		}
		p.written += uint64(n)
		p.queue.drop(n)
		if n < len(b) {
			return nil
		}
	}
	return nil
}

// refresh learns what the program has taken.
func (p *Process) refresh() {
	if p.counter {
		p.waiting.takenTo(p.words[wordTaken].Load() + p.words[wordHeld].Load())
	} else if p.stdin >= 0 {
		p.waiting.readTo(p.written - uint64(p.inPipe()))
	}
}

// idle reports whether the program is known to have done all that was admitted.
func (p *Process) idle() bool {
	if p.waiting.head < p.waiting.tail {
		return false
	}
	done := p.words[wordDone].Load()
	return !p.counter || done == 0 && !p.program.Counter || done+p.words[wordHeld].Load() >= p.waiting.tail
}

// countGiven counts the frames that were written whole.
func (p *Process) countGiven() {
	q := &p.waiting
	p.given = max(p.given, q.head)
	for p.given < q.tail && q.ring[p.given&uint64(len(q.ring)-1)].end <= p.written {
		p.given++
	}
}

// check returns an error if the program or the context has ended.
func (t *trial) check() error {
	if t.dead.Load() {
		t.countGiven()
		return t.endedError()
	}
	if err := t.ctx.Err(); err != nil {
		t.kill()
		return err
	}
	return nil
}

// drain waits for the load's end and serves what is queued.
func (t *trial) drain() error {
	load, end, drained := t.ledger.End()
	var loaded, late bool
	q, s := &t.waiting, &t.service
	poll := 4 * quantum
	for {
		t.refresh()
		now := t.ledger.Now()
		if !late {
			s.Delivered, s.DeliveredOctets = q.head, q.octets
		}
		late = late || now >= end
		s.LateDrained = q.head - s.Delivered
		if !loaded && now >= load {
			loaded = true
			t.usage.Traffic = t.span(t.session.Read())
		}
		if idle := t.idle(); loaded && (idle || now >= drained) {
			s.Elapsed = now
			if idle && t.counter {
				t.markWhole()
			}
			return nil
		}
		if err := t.push(now); err != nil {
			return err
		}
		if err := t.check(); err != nil {
			return err
		}
		until := now + poll
		for _, edge := range []time.Duration{load, end, drained} {
			if edge > now {
				until = min(until, edge)
			}
		}
		t.rest(t.ledger.Now(), until)
		poll = min(poll*5/4, checkAfter)
	}
}

// closedLoop gives frames as fast as they are taken, until duration has passed if it is not 0.
func (t *trial) closedLoop(duration time.Duration) error {
	q := &t.waiting
	var last uint64 // end in the stream of the last frame taken when the delay was last set
	ended := false
	for {
		t.refresh()
		now := t.ledger.Now()
		if q.head != t.head {
			t.head, t.moved = q.head, now
		}
		if duration > 0 && now >= duration {
			ended = true
		}
		if ended && t.usage.Traffic.WallNs == 0 {
			t.usage.Traffic = t.span(t.session.Read())
		}
		if ended && t.idle() {
			if t.counter {
				t.markWhole()
			}
			break
		}
		if err := t.check(); err != nil {
			return err
		}
		if now-t.moved > stall {
			return fmt.Errorf("%s has taken none of %d frames for %v", t.program.Name, q.tail-q.head, stall)
		}
		window := uint64(fill)
		if now > time.Millisecond {
			window = max(window, uint64(min(float64(q.stream)/float64(now)*float64(ahead), float64(t.pipe+fill))))
		}
		for !ended && t.queue.n < fill && t.queue.stream-q.stream < window {
			f, _, err := t.ledger.Next()
			if err == io.EOF {
				ended = true
				break
			}
			if err != nil {
				return err
			}
			if err := t.admit(f.WireLen, 0, t.queue.append(f)); err != nil {
				return err
			}
		}
		before := t.written
		if err := t.flush(); err != nil {
			return err
		}
		if t.queue.n == 0 && t.written != before && t.queue.stream-q.stream < window {
			continue
		}
		switch taken := q.stream - last; {
		case taken < window/8:
			t.delay = min(2*t.delay, mostDelay)
		case taken > window/3:
			t.delay = max(t.delay/2, leastDelay)
		}
		last = q.stream
		sleep(t.delay)
	}
	s := &t.service
	s.Elapsed = t.ledger.Now()
	s.Delivered, s.DeliveredOctets = q.head, q.octets
	return nil
}
