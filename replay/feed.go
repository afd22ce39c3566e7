package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pcaplab/parse"
)

// Feed runs trials on the calling goroutine.
//
// Whenever the sink is free the feed reads the clock and hands it, one after another, up to Config.Batch of the frames that
// are waiting then. They count as started, and as out of the queue, at that reading. With Batch 1 that is an exact
// tail-drop queue before one server. With more each decision is that of a queue that is longer by at most Batch-1 frames.
// A batch is cut to fewer frames where the sink takes long for them, so that only fast sinks are measured in batches.
//
// On a Skipper a batch that finds fewer frames waiting goes on with those that come next: it coasts. The services of the
// batch count as equally long; when each frame was started follows from that and the due times. No frame is dropped on a
// coast: where the queue could be full, the feed reads the clock first.
type Feed struct {
	Config
}

const (
	maxBatch = 64
	// leastSlice is how many frames a slice of a closed loop has at least.
	leastSlice = 1024
	// batchSpan is how long a batch may take before it is cut. A reading of the clock costs about 40 ns, half a percent.
	batchSpan = 10 * time.Microsecond
	// checkEvery and checkAfter are how often a feed looks whether it was cancelled.
	checkEvery = 4096
	checkAfter = 50 * time.Millisecond
	// maxSkip times Config.Duration may go into skipping before the feed gives up: the walk takes ten times as long as the
	// frames are apart.
	maxSkip = 10
	// unread is no time.
	unread = -1
	// standstill is how many frames may be due at once before no more are expected.
	standstill = 1 << 22
)

// Run feeds frames of src to sink until the load ends, and drains the queue. It returns an error of the source, of the sink
// or of ctx together with the Result so far, in which the load is taken to end there. It may take one frame more from src
// than it offers. It allocates nothing per frame.
func (fd *Feed) Run(ctx context.Context, src Source, sink Sink) (Result, error) {
	r, err := newRun(ctx, &fd.Config, src, sink)
	if err != nil {
		return Result{}, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, ok := r.clock.(*systemClock); ok {
		defer sharpenTimers()()
	}
	return r.run()
}

// run runs the trial.
func (r *run) run() (Result, error) {
	r.off = r.clock.Now()
	var err error
	if r.pacer == nil {
		if r.pass.frames = r.Slice; r.Slice > 0 && r.Slice < leastSlice { // batches end where it does: more of them would cost more readings of the clock
			r.pass.frames = (leastSlice + r.Slice - 1) / r.Slice * r.Slice
		}
		r.pass.end = r.pass.frames
		err = r.closed()
	} else {
		err = r.open()
	}
	return r.finish(err)
}

// waiting are frames that were taken in one batch after they were due.
type waiting struct {
	start  time.Duration // when they were started; forever if they were not
	gap    time.Duration // the stretch of service that start ended or, of a frame of a coast, was in
	charge int64
	frames int64
	octets uint64
}

// coaster is a frame of a coast.
type coaster struct {
	due    time.Duration
	charge int64
	octets uint64
}

// run is the state of a trial.
type run struct {
	*Config
	ctx    context.Context
	src    Source
	sink   Sink
	pacer  Pacer
	linear *linear // pacer, if it is one
	clock  Clock
	skip   Skipper // clock, if it is one
	res    Result
	hist   *hdrhistogram.Histogram

	frame      parse.Frame
	pos        Position
	first      int64 // the first frame's capture time
	stampDue   bool
	frameLimit uint64
	until      time.Duration // frames due then or later are not in the trial
	end        time.Duration // of draining
	gaveUp     bool          // the feed took too long for skipping
	ahead      bool          // calibrating: every frame is overdue

	// The virtual queue. Only frames that have to wait are in it, and they are entered when they are taken, with the time
	// of that: those that were not started at a due time d are those whose start is after d.
	ring     []waiting // of which [head, tail), modulo its length, is in use
	head     int
	tail     int
	used     int
	bound    int64 // less than this may be charged before a frame, plus need
	occupied int64 // by all frames of the coast, until it is over
	backlog  int64
	charge   Charge
	byFrames bool
	overrun  bool // a frame is admitted if the bound is not reached yet

	// The server. Times are from the trial's start, without skipped time.
	off     time.Duration // on the clock, of the trial's start plus the time skipped
	stamp   time.Duration // start of the batch
	take    int           // frames that a batch takes now
	most    int           // and at most
	left    int           // of the batch
	taken   int
	coast   []coaster // the last of taken, which were due after stamp
	span    time.Duration
	gap     time.Duration // of service that ended at stamp
	batches uint64
	checked time.Duration // when the context was looked at
	pass    struct {
		frames uint64 // of it, or of as many as have 1024; 0: no slices are wanted
		end    uint64 // of the one under way, in served frames
		sliced uint64 // served frames up to the end of the last slice
		busy   time.Duration
	}

	served       uint64
	servedOctets uint64
	late         uint64 // of them started after the end of draining
	lateOctets   uint64
	over         bool          // nothing is started any more
	budget       time.Duration // of skipping
}

func newRun(ctx context.Context, cfg *Config, src Source, sink Sink) (*run, error) {
	r := &run{Config: cfg, ctx: ctx, src: src, sink: sink, pacer: cfg.Pacer, clock: cfg.Clock, stamp: -1,
		frameLimit: math.MaxUint64, until: forever, end: forever, budget: forever, span: batchSpan, take: 1}
	q := cfg.Queue.orDefault()
	var errs []error
	if err := q.check(); err != nil {
		errs = append(errs, err)
	}
	if cfg.Batch < 0 {
		errs = append(errs, fmt.Errorf("batch of %d frames: must not be negative", cfg.Batch))
	}
	if cfg.Duration < 0 || cfg.Drain < 0 {
		errs = append(errs, fmt.Errorf("duration %v, drain %v: must not be negative", cfg.Duration, cfg.Drain))
	}
	if !(cfg.Width >= 0 && cfg.Width <= 1) {
		errs = append(errs, fmt.Errorf("width %g: must be from 0 to 1", cfg.Width))
	}
	switch cfg.Stamp {
	case "", StampDue:
		r.stampDue = true
	case StampCapture:
	default:
		errs = append(errs, fmt.Errorf("stamp %q: want %s or %s", cfg.Stamp, StampDue, StampCapture))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if r.clock == nil {
		r.clock, _ = NewClock("warp")
	}
	if _, ok := r.clock.(*cpuClock); ok {
		r.span *= 5 // its readings are system calls
	}
	r.skip, _ = r.clock.(Skipper)
	r.linear, _ = cfg.Pacer.(*linear)
	if cfg.Frames > 0 {
		r.frameLimit = cfg.Frames
	}
	if cfg.Duration > 0 {
		r.until = cfg.Duration
		r.end = drainEnd(cfg.Duration, cfg.Width)
		r.budget = min(cfg.Duration, forever/maxSkip) * maxSkip
	}
	r.most = cfg.Batch
	r.charge, r.byFrames, r.overrun = q.Charge, q.Frames > 0, q.Charge == ChargeTruesize
	r.bound = q.Octets
	if r.byFrames {
		r.bound = int64(q.Frames)
	}
	if cfg.Pacer == nil {
		if r.most == 0 {
			r.most = maxBatch
		}
		return r, nil
	}
	if r.most == 0 {
		r.most = min(max(q.FullFrames()/16, 1), maxBatch)
	}
	r.ring = make([]waiting, q.most()+2)
	r.coast = make([]coaster, 0, r.most)
	r.hist = hdrhistogram.New(1, int64(LatenessLimit), 2)
	return r, nil
}

// drainEnd is when draining ends after a load of duration d.
func drainEnd(d time.Duration, width float64) time.Duration {
	return d + time.Duration(float64(float64(d)*width)/2)
}

// due returns when the frame at r.pos is due.
func (r *run) due() time.Duration {
	if l := r.linear; l != nil {
		n := r.pos.Frame
		if l.octets {
			n = r.pos.Octets
		}
		if n <= l.last {
			return time.Duration(l.period.times(n))
		}
	}
	return r.pacer.Due(r.pos)
}

// open feeds frames as they are due.
func (r *run) open() error {
	f := &r.frame
	var skipping bool
	var skipStart time.Duration
	nextStart := forever // of ring[head]
	var err error
	for r.pos.Frame < r.frameLimit {
		if r.pos.Frame%checkEvery == 0 {
			if err = r.ctx.Err(); err != nil {
				break
			}
			if skipping && r.clock.Now()-skipStart+r.res.SkipTime > r.budget {
				r.gaveUp = true
				break
			}
		}
		if err = r.src.Next(f); err != nil {
			break
		}
		if r.pos.Frame == 0 {
			r.first = f.UnixNano
		}
		r.pos.Capture = time.Duration(f.UnixNano - r.first)
		d := r.due()
		if d >= r.until {
			break
		}
		wire := uint64(f.WireLen)

		charge := int64(1)
		if !r.byFrames {
			charge = r.charge.charge(charged(f))
		}
		need := charge
		if r.overrun {
			need = 1
		}
		if d >= nextStart {
			nextStart = r.leave(d)
		}
		now := time.Duration(unread)
		if r.occupied+need > r.bound && len(r.coast) > 0 {
			now = r.close(r.clock.Now() - r.off)
			nextStart = r.leave(d)
		}
		if r.occupied+need > r.bound {
			if !skipping && !r.over {
				skipping, skipStart = true, r.clock.Now()
			}
			r.res.Dropped++
			if r.inGap(d) {
				r.res.DropsAfterGaps++
			}
			r.pos.Frame++
			r.pos.Octets += wire
			continue
		}
		if skipping {
			skipping = false
			now = skipStart - r.off
			spent := r.clock.Now() - skipStart
			r.off += spent
			r.res.SkipTime += spent
		}

		if r.left == 0 || d > r.stamp && r.skip == nil {
			if err = r.batch(d, now); err != nil {
				break
			}
			nextStart = r.leave(d)
		}
		r.pos.Frame++
		r.pos.Octets += wire
		if r.over {
			nextStart = r.enter(r.stamp, charge, wire)
			continue
		}
		r.left--
		r.taken++
		if r.stampDue {
			f.UnixNano = r.first + int64(d)
		}
		if err = r.sink.WriteFrame(f); err != nil {
			break
		}
		r.served++
		r.servedOctets += wire
		if r.stamp > d {
			nextStart = r.enter(r.stamp, charge, wire)
		} else if r.stamp < d {
			r.coast = append(r.coast, coaster{due: d, charge: charge, octets: wire})
			r.occupied += charge
		}
	}
	if skipping {
		spent := r.clock.Now() - skipStart
		r.off += spent
		r.res.SkipTime += spent
	}
	return err
}

// leave drops frames from the ring that were started by d, and returns the start of the next.
func (r *run) leave(d time.Duration) time.Duration {
	for r.used > 0 {
		w := &r.ring[r.head]
		if w.start > d {
			return w.start
		}
		r.occupied -= w.charge
		r.backlog -= w.frames
		r.used--
		r.head++
		if r.head == len(r.ring) {
			r.head = 0
		}
	}
	r.head, r.tail = 0, 0 // the next frames to wait find this end in the cache
	return forever
}

// enter notes a frame that had to wait until start, and returns the start of the head of the ring.
func (r *run) enter(start time.Duration, charge int64, octets uint64) time.Duration {
	last := r.tail - 1
	if last < 0 {
		last = len(r.ring) - 1
	}
	w := &r.ring[last]
	if r.used == 0 || w.start != start {
		w = &r.ring[r.tail]
		*w = waiting{start: start, gap: r.gap}
		r.used++
		r.tail++
		if r.tail == len(r.ring) {
			r.tail = 0
		}
	}
	w.charge += charge
	w.frames++
	w.octets += octets
	r.occupied += charge
	r.backlog++
	if r.backlog > int64(r.res.MaxBacklog) {
		r.res.MaxBacklog = int(r.backlog)
	}
	return r.ring[r.head].start
}

// batch closes the batch in hand and starts the next one, at d at the earliest. now is the time, or unread.
func (r *run) batch(d, now time.Duration) error {
	if now == unread && r.skip != nil {
		now = r.clock.Now() - r.off
	}
	if now != unread {
		now = r.close(now)
	}
	if now < d && r.skip != nil {
		r.skip.Skip(d - now)
		now = d
	}
	for t := min(r.stamp+checkAfter, d); now < d; t = min(t+checkAfter, d) {
		if now != unread {
			if err := r.ctx.Err(); err != nil {
				return err
			}
		}
		var called time.Duration
		called, now = r.clock.WaitUntil(t + r.off)
		now -= r.off
		r.close(called - r.off)
	}
	if now-r.checked > checkAfter {
		r.checked = now
		if err := r.ctx.Err(); err != nil {
			return err
		}
	}
	if now >= r.end && now >= r.until+r.Drain {
		r.over = true
		r.stamp, r.left = forever, math.MaxInt
		return nil
	}
	r.stamp, r.left = now, r.take
	_ = r.hist.RecordValue(int64(min(now-d, LatenessLimit))) // cannot fail within the limit
	if now-d > r.res.Lateness.Max {
		r.res.Lateness.Max = now - d
	}
	if now-d > LatenessLimit {
		r.res.Lateness.Over++
	}
	return nil
}

// close ends the batch in hand, if there is one, at now, and sets how many frames the next may take. It returns the time,
// which is later than now by the idle time of a coast.
func (r *run) close(now time.Duration) time.Duration {
	r.left = 0
	if r.taken == 0 {
		return now
	}
	gap := now - r.stamp
	r.gap = gap
	if len(r.coast) > 0 {
		idle := r.land(gap)
		r.skip.Skip(idle)
		now += idle
	}
	r.res.Busy += gap
	r.res.Elapsed = now
	r.batches++
	if gap > r.res.LongestGap {
		r.res.LongestGap = gap
	}
	if gap > r.span {
		r.take = max(r.take/2, 1)
	} else if r.taken == r.take && gap <= r.span/2 {
		r.take = min(r.take*2, r.most)
	}
	r.taken = 0
	return now
}

// land ends the coast of a batch that was in service for gap: it enters the frames that had to wait, as if each had been
// taken when it was started. It returns how long the sink was idle between them.
func (r *run) land(gap time.Duration) (idle time.Duration) {
	service := float64(gap) / float64(r.taken)
	before := r.taken - len(r.coast)
	r.occupied = 0 // of the others all were started by r.stamp
	for i := range r.coast {
		c := &r.coast[i]
		start := r.stamp + idle + time.Duration(service*float64(before+i))
		r.leave(c.due)
		if start <= c.due {
			idle += c.due - start
			continue
		}
		r.enter(start, c.charge, c.octets)
		if start-c.due > r.res.Lateness.Max {
			r.res.Lateness.Max = start - c.due
		}
	}
	r.coast = r.coast[:0]
	return idle
}

// inGap reports whether the frame that is dropped at d came in a gap: see Result.DropsAfterGaps.
func (r *run) inGap(d time.Duration) bool {
	if r.used == 0 {
		return false
	}
	gap := float64(r.ring[r.head].gap)
	return gap*float64(r.pos.Frame) > float64(r.backlog)*float64(d) && gap*float64(r.batches) > 16*float64(r.res.Busy)
}

// closed feeds a frame whenever the sink has taken the one before.
func (r *run) closed() error {
	f := &r.frame
	for r.pos.Frame < r.frameLimit {
		if r.left == 0 {
			now := r.clock.Now() - r.off
			r.close(now)
			if r.served == r.pass.end && r.pass.frames > 0 {
				r.slice()
			}
			if now >= r.until {
				return nil
			}
			if now-r.checked > checkAfter || r.pos.Frame == 0 {
				r.checked = now
				if err := r.ctx.Err(); err != nil {
					return err
				}
			}
			r.stamp, r.left = now, r.take
			if r.pass.frames > 0 {
				r.left = int(min(uint64(r.left), r.pass.end-r.served))
			}
		}
		if err := r.src.Next(f); err != nil {
			return err
		}
		r.left--
		r.taken++
		r.pos.Frame++
		r.pos.Octets += uint64(f.WireLen)
		if err := r.sink.WriteFrame(f); err != nil {
			return err
		}
		r.served++
		r.servedOctets += uint64(f.WireLen)
	}
	return nil
}

// slice ends a pass, and a slice if that is long enough.
func (r *run) slice() {
	p := &r.pass
	p.end += p.frames
	busy := r.res.Busy - p.busy
	if busy < SliceTime {
		return
	}
	if ns := float64(busy) / float64(r.served-p.sliced); r.res.Slices == 0 || ns < r.res.Quickest {
		r.res.Quickest = ns
	}
	r.res.Slices++
	p.sliced, p.busy = r.served, r.res.Busy
}

// finish closes the last batch of a load that ended with err, and makes the result.
func (r *run) finish(err error) (Result, error) {
	if !r.over {
		r.close(r.clock.Now() - r.off)
	}
	return r.settle(err)
}

// settle makes the result from the counts of a load that ended with err.
func (r *run) settle(err error) (Result, error) {
	eof := err == io.EOF
	if eof {
		err = nil
	}
	res := &r.res
	res.Offered, res.OfferedOctets = r.pos.Frame, r.pos.Octets
	res.Served = r.served
	res.Duration = res.Elapsed
	if r.pacer != nil {
		res.Duration = r.due()
		if err == nil && r.until != forever {
			res.Duration = r.until
		}
		if !r.ahead {
			r.judgeLate()
		}
	}
	if err == nil && (eof || r.gaveUp) {
		res.Unsent = r.unsent()
	}
	res.Intended = res.Offered + res.Unsent
	res.Delivered, res.DeliveredOctets = r.served-r.late, r.servedOctets-r.lateOctets
	res.Residual = res.Offered - res.Dropped - res.Delivered
	res.FeedTime = time.Duration(r.FeedCost * float64(r.served))
	if r.hist != nil {
		l := &res.Lateness
		l.Samples = uint64(r.hist.TotalCount())
		l.P50 = min(time.Duration(r.hist.ValueAtQuantile(50)), l.Max)
		l.P99 = min(time.Duration(r.hist.ValueAtQuantile(99)), l.Max)
		l.P999 = min(time.Duration(r.hist.ValueAtQuantile(99.9)), l.Max)
	}
	if err != nil {
		return *res, err
	}
	return *res, res.check()
}

// judgeLate counts frames that were served but not started by the end of draining. They are still in the ring, because no
// frame was due after them.
func (r *run) judgeLate() {
	end, drained := r.end, r.until
	if r.until == forever {
		end, drained = drainEnd(r.res.Duration, r.Width), r.res.Duration
	}
	drained += r.Drain
	for i := range r.used {
		w := &r.ring[(r.head+i)%len(r.ring)]
		if w.start < end || w.start == forever {
			continue
		}
		r.late += uint64(w.frames)
		r.lateOctets += w.octets
		if w.start < drained {
			r.res.LateDrained += uint64(w.frames)
		}
	}
}

// unsent returns how many frames more were due before the load's end. Where that depends on octets or capture times, the
// frames that did not come are taken to be like the mean of those that did; it is 0 where that gives no end.
func (r *run) unsent() uint64 {
	if r.pacer == nil || r.until == forever {
		if r.frameLimit == math.MaxUint64 {
			return 0 // the load was to end with the source
		}
		return r.frameLimit - r.pos.Frame
	}
	at := r.pos
	var octets uint64
	var gap time.Duration
	if at.Frame > 0 {
		octets = min(at.Octets/at.Frame, 1<<20)
	}
	if at.Frame > 1 {
		gap = max(at.Capture, 0) / time.Duration(min(at.Frame-1, math.MaxInt64))
	}
	at.Capture += gap
	if r.linear != nil {
		// Not more than a day's frames at 100 Gbit/s.
		low, high := uint64(0), min(r.frameLimit-at.Frame, 1<<44)
		for low < high {
			mid := low + (high-low)/2
			if r.pacer.Due(Position{Frame: at.Frame + mid, Octets: at.Octets + mid*octets}) >= r.until {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return low
	}
	var n, still uint64
	last := time.Duration(-1)
	for ; n < r.frameLimit-r.pos.Frame; n++ {
		d := r.pacer.Due(at)
		if d >= r.until || n%checkEvery == 0 && r.ctx.Err() != nil {
			break
		}
		if still++; d > last {
			last, still = d, 0
		} else if still == standstill {
			return 0
		}
		at.Frame++
		at.Octets += octets
		at.Capture += gap
	}
	return n
}

// Calibrate returns the feed's own time for a served frame in ns: it feeds src to Discard, with every frame overdue and an
// endless queue, up to cfg.Frames or to the end of the source. Put it into Config.FeedCost for trials with the same kind of
// source, pacer and queue. It measures real time, whatever cfg.Clock is, unless that is the clock cpu: then processor time, with what
// reading it costs.
func Calibrate(ctx context.Context, cfg Config, src Source) (float64, error) {
	if _, ok := cfg.Clock.(*cpuClock); !ok {
		cfg.Clock, _ = NewClock("warp")
	}
	cfg.Duration, cfg.Drain, cfg.Width = 0, 0, 0
	var sink Discard
	r, err := newRun(ctx, &cfg, src, &sink)
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.off = r.clock.Now()
	if r.pacer == nil {
		err = r.closed()
	} else {
		r.ahead = true
		r.off -= forever / 2
		r.bound = math.MaxInt64
		err = r.open()
	}
	res, err := r.finish(err)
	if err != nil {
		return 0, err
	}
	if res.Served == 0 {
		return 0, errors.New("calibrate: the source gave no frame")
	}
	return res.ServiceTime(), nil
}
