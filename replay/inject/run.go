package inject

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pcaplab/parse"
	"pcaplab/replay"
)

var be = binary.BigEndian

// headerLen is the length of a link's header: no shorter frame can be sent.
func headerLen(link parse.LinkType) int {
	if link == parse.LinkEthernet {
		return 14
	}
	return 1
}

// wire sends frames through one interface.
type wire interface {
	// put takes a copy of d for the next flush. It returns false, and takes nothing, where flush must come first.
	put(d []byte) bool
	// flush gives the kernel what was put, and waits until there is room for another frame. What it refuses for good is counted; an error
	// says that no frame can go, or is ctx's.
	flush(ctx context.Context) error
	// settle waits until the kernel has sent what it took, for at most that long.
	settle(limit time.Duration) error
	tally() *tally
}

// tally is what a wire counted.
type tally struct {
	put             uint64 // frames
	sent, octets    uint64
	failed          uint64
	dropped         uint64 // taken by the kernel, and dropped by the driver
	enobufs, eagain uint64
	calls           uint64
}

// clock is a run's time, 0 at its start.
type clock interface {
	Now() time.Duration
	// Wait returns at t or later with the time then; earlier, if so much was slept that the run should look around.
	Wait(t time.Duration) time.Duration
}

const (
	defaultLate = 100 * time.Microsecond
	// lookAfter is how often a run looks whether it was cancelled, and the longest sleep.
	lookAfter = 20 * time.Millisecond
	// checkEvery is how many frames pass between looks, whatever the clock says.
	checkEvery = 1024
	// endAfter is how long a run that was cancelled waits for what the kernel has taken.
	endAfter = 40 * time.Millisecond
	// maxSeconds bounds the series of a run without end.
	maxSeconds = 1 << 20
	// DefaultGrace is Plan.Grace by default: more than waking up late takes, less than anyone misses.
	DefaultGrace = 10 * time.Millisecond
	// longWait is what Plan.Long calls a long wait.
	longWait = 10 * time.Second
	forever  = time.Duration(1<<63 - 1)
)

// Run sends the frames of src through s until src, plan or ctx ends it. The Result holds what was sent, also with an error: of src, of
// the interface (gone, down), a LinkError, an OversizeFrameError, or that of ctx. After the first frame it allocates nothing per frame.
func Run(ctx context.Context, s *Socket, src replay.Source, plan Plan) (Result, error) {
	return RunPair(ctx, []*Socket{s}, src, plan)
}

// RunPair is Run over two sockets between which Plan.Side chooses. Frames leave in the order of the source, whichever way they go.
func RunPair(ctx context.Context, sockets []*Socket, src replay.Source, plan Plan) (Result, error) {
	if len(sockets) == 0 || len(sockets) > 2 {
		return Result{}, fmt.Errorf("%d sockets: want one or two", len(sockets))
	}
	if _, file := sockets[0].wire.(*sinkWire); file {
		return writeAll(ctx, sockets, src, plan)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	notes, undo, err := prepareThread(&plan)
	if err != nil {
		return Result{}, err
	}
	defer undo()
	r, err := newRun(ctx, src, plan)
	if err != nil {
		return Result{}, err
	}
	r.res.Notes = notes
	before := make([]LinkCounts, len(sockets))
	for i, s := range sockets {
		if before[i], err = s.counts(); err != nil {
			return Result{}, err
		}
		r.add(s)
	}
	waiter := newWaiter(plan.Spin)
	r.clock = waiter
	user, system, switched := threadUsage()
	waiter.begin()
	err = r.run()
	userAfter, systemAfter, switchedAfter := threadUsage()
	r.res.User, r.res.System, r.res.Switched = userAfter-user, systemAfter-system, switchedAfter-switched
	r.res.Slept, r.res.Spun, r.res.Sleeps = waiter.slept, waiter.spun, waiter.sleeps
	for i, s := range sockets {
		after, countErr := s.counts()
		if countErr != nil {
			err = errors.Join(err, countErr)
			continue
		}
		t, from := s.wire.tally(), &r.ports[i].from
		r.res.Links = append(r.res.Links, LinkCounts{Interface: s.cfg.Interface,
			Sent: t.sent - from.sent, Octets: t.octets - from.octets, Failed: t.failed - from.failed, Dropped: t.dropped - from.dropped,
			ENOBUFS: t.enobufs - from.enobufs, EAGAIN: t.eagain - from.eagain,
			TxFrames: after.TxFrames - before[i].TxFrames, TxOctets: after.TxOctets - before[i].TxOctets,
			TxDropped: after.TxDropped - before[i].TxDropped, TxErrors: after.TxErrors - before[i].TxErrors})
	}
	return r.res, err
}

// writeAll is RunPair to sinks.
func writeAll(ctx context.Context, sockets []*Socket, src replay.Source, plan Plan) (Result, error) {
	r, err := newRun(ctx, src, plan)
	if err != nil {
		return Result{}, err
	}
	for _, s := range sockets {
		if _, file := s.wire.(*sinkWire); !file {
			return Result{}, errors.New("one socket writes to a sink and the other to an interface")
		}
		r.add(s)
	}
	r.clock = &warp{}
	err = r.run()
	return r.res, err
}

// port is one way out.
type port struct {
	wire     wire
	sink     *sinkWire // wire, if it is one
	name     string
	link     parse.LinkType
	longest  int // octets of a frame without a tag
	oversize string
	from     tally // at the start
}

type run struct {
	Plan
	ctx   context.Context
	src   replay.Source
	clock clock
	ports []port
	res   Result

	frame    parse.Frame
	pos      replay.Position
	first    int64 // capture time of the first frame
	began    bool
	looped   interface{ Loop() int }
	loop     int
	pause    time.Duration // of all loop delays so far
	out      int           // port of the frames that were put
	pending  int
	now      time.Duration
	sentAt   time.Duration // when the last batch had left
	looked   time.Duration
	nextEach time.Duration
	seconds  []Second
	delays   [65]uint64
	hist     *hdrhistogram.Histogram
	cutter   segmenter
	until    time.Duration
	latest   time.Duration // when a paced run ends that is behind
}

func newRun(ctx context.Context, src replay.Source, plan Plan) (*run, error) {
	r := &run{Plan: plan, ctx: ctx, src: src, until: forever, latest: forever}
	if plan.Duration < 0 || plan.LoopDelay < 0 || plan.Late < 0 || plan.Grace < 0 {
		return nil, fmt.Errorf("duration %v, grace %v, loop delay %v, late from %v: must not be negative", plan.Duration, plan.Grace, plan.LoopDelay, plan.Late)
	}
	if r.Grace == 0 {
		r.Grace = DefaultGrace
	}
	if r.Late == 0 {
		r.Late = defaultLate
	}
	if plan.Duration > 0 {
		r.until = plan.Duration
		if r.until < forever-r.Grace {
			r.latest = r.until + r.Grace
		}
	}
	if r.Every == 0 {
		r.Every = time.Second
	}
	r.nextEach = r.Every
	r.looped, _ = src.(interface{ Loop() int })
	if plan.Pacer != nil {
		r.hist = hdrhistogram.New(1, int64(replay.LatenessLimit), 2)
	}
	r.seconds = make([]Second, 0, 64)
	return r, nil
}

func (r *run) add(s *Socket) {
	_ = s.wire.settle(endAfter) // what an earlier run left behind is not this one's
	sink, _ := s.wire.(*sinkWire)
	r.ports = append(r.ports, port{wire: s.wire, sink: sink, name: s.cfg.Interface, link: s.link, longest: s.longest, oversize: s.cfg.Oversize,
		from: *s.wire.tally()})
	r.res.Backends = append(r.res.Backends, s.backend)
}

func (r *run) run() error {
	err := r.load()
	if err == io.EOF {
		err = nil
	}
	if flushErr := r.flush(); err == nil {
		err = flushErr
	}
	limit := time.Second
	if err != nil {
		limit = endAfter
	}
	for i := range r.ports {
		if settleErr := r.ports[i].wire.settle(limit); err == nil && settleErr != nil {
			err = fmt.Errorf("%s: %w", r.ports[i].name, settleErr)
		}
	}
	r.now = r.clock.Now()
	if r.Pacer == nil {
		r.sentAt = r.now // when all had left
	}
	r.tell()
	return r.finish(err)
}

// load sends frames until one of the ends of a run. io.EOF is the end of the source.
func (r *run) load() error {
	f := &r.frame
	for {
		if r.Frames > 0 && r.res.Frames >= r.Frames {
			return nil
		}
		if r.now-r.looked >= lookAfter || r.res.Frames%checkEvery == 0 {
			if r.pending == 0 && r.res.Frames > 0 {
				r.now = r.clock.Now() // nothing may have been put for long: all left out
			}
			if err := r.look(); err != nil {
				return err
			}
		}
		if err := r.src.Next(f); err != nil {
			return err
		}
		if r.looped != nil {
			if err := r.turn(); err != nil {
				return err
			}
		}
		if r.Before != nil {
			if err := r.flush(); err != nil {
				return err
			}
			if err := r.Before(f); err != nil {
				return err
			}
			r.now = r.clock.Now()
		}
		due, err := r.wait()
		if err != nil {
			return err
		}
		if due >= r.until {
			return nil
		}
		if r.now >= r.latest { // never so on the clock of a file: it is where frames are due
			r.res.Missed = r.missed(due)
			return nil
		}
		r.res.Frames++
		side := 0
		if r.Side != nil {
			side = r.Side(f)
		}
		if side != r.out {
			if err := r.flush(); err != nil {
				r.res.Unsent++
				return err
			}
			r.out = side
		}
		if err := r.send(f, due); err != nil {
			return err
		}
		r.pos.Frame++
	}
}

// missed returns how many frames were due before the end, from the one in hand on, which is due then.
func (r *run) missed(due time.Duration) uint64 {
	n := uint64(1) // the one in hand, at least
	if all, ok := replay.DueBefore(r.Pacer, r.until-r.pause); ok {
		n = max(n, all-min(all, r.res.Frames))
	} else if due > 0 {
		if all := math.Round(float64(r.res.Frames) / float64(due) * float64(r.until)); all > float64(r.res.Frames) && all < math.MaxInt64 {
			n = max(n, uint64(all)-r.res.Frames)
		}
	}
	if r.Frames > 0 {
		n = min(n, r.Frames-r.res.Frames)
	}
	return n
}

// turn tells of a pass that is over, and adds the loop delay.
func (r *run) turn() error {
	loop := r.looped.Loop()
	if loop == r.loop {
		return nil
	}
	r.pause += time.Duration(loop-r.loop) * r.LoopDelay
	r.loop = loop
	if r.Pass == nil {
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	r.now = r.clock.Now()
	r.collect()
	r.res.Elapsed = r.now
	r.Pass(r.res)
	return nil
}

// wait returns when the frame in hand is due, not before.
func (r *run) wait() (time.Duration, error) {
	if !r.began {
		r.began, r.first = true, r.frame.UnixNano
	}
	if r.Pacer == nil {
		return r.unpaced()
	}
	r.pos.Capture = time.Duration(r.frame.UnixNano - r.first)
	due := r.Pacer.Due(r.pos)
	if due < forever-r.pause {
		due += r.pause
	} else if r.until == forever {
		return 0, fmt.Errorf("frame %d would be due after more than 292 years: the rate is too low", r.res.Frames+1)
	}
	if due >= r.until || due <= r.now {
		return due, nil
	}
	if r.pending == 0 {
		r.now = r.clock.Now()
	} else if err := r.flush(); err != nil {
		return 0, err
	}
	if r.Long != nil && due-r.now > longWait {
		r.Long(due - r.now)
	}
	return due, r.sleep(due)
}

// sleep waits until the run's time is t, and looks around meanwhile.
func (r *run) sleep(t time.Duration) error {
	for r.now < t {
		if r.now-r.looked >= lookAfter {
			if err := r.look(); err != nil {
				return err
			}
		}
		until := t
		if _, skips := r.clock.(*warp); !skips {
			until = min(t, r.now+lookAfter)
		}
		r.now = r.clock.Wait(until)
	}
	return nil
}

// unpaced is wait at top speed: the clock is read once a batch.
func (r *run) unpaced() (time.Duration, error) {
	if r.pause > 0 {
		if err := r.flush(); err != nil {
			return 0, err
		}
		r.now = r.clock.Now()
		end := min(r.now+r.pause, r.until)
		r.pause = 0
		if err := r.sleep(end); err != nil {
			return 0, err
		}
	}
	return r.now, nil
}

// look ends a run that was cancelled, and tells how far it is.
func (r *run) look() error {
	r.looked = r.now
	r.tell()
	return r.ctx.Err()
}

// tell calls Each if it is time to.
func (r *run) tell() {
	if r.Each == nil || r.now < r.nextEach {
		return
	}
	r.nextEach = r.now - r.now%r.Every + r.Every
	r.collect()
	r.res.Elapsed = r.now
	r.Each(r.res)
}

// send puts the frame, in pieces if need be.
func (r *run) send(f *parse.Frame, due time.Duration) error {
	p := &r.ports[r.out]
	if p.sink != nil {
		p.sink.frame = *f
		if r.Pacer != nil {
			p.sink.frame.UnixNano = r.first + int64(due)
		}
	} else if f.Link != p.link && !(p.link == parse.LinkRaw && isRaw(f.Link)) {
		r.res.Unsent++
		return &LinkError{Interface: p.name, Frame: r.res.Frames, Link: f.Link, Want: p.link}
	}
	if p.sink == nil && len(f.Data) < headerLen(p.link) {
		r.res.Runt++
		return nil
	}
	longest := p.longest
	if f.Link == parse.LinkEthernet && len(f.Data) > longest && len(f.Data) >= 18 && be.Uint16(f.Data[12:]) == 0x8100 {
		longest += 4 // the MTU is without the tag
	}
	if len(f.Data) <= longest {
		return r.put(p, f.Data, due)
	}
	r.res.Oversize++
	switch p.oversize {
	case OversizeSkip:
		r.res.Skipped++
	case OversizeTruncate:
		r.res.Truncated++
		return r.put(p, f.Data[:longest], due)
	case OversizeSegment:
		n := r.cutter.begin(f, longest)
		if n == 0 {
			r.res.Skipped++
			return nil
		}
		r.res.Segmented++
		r.res.Pieces += uint64(n - 1)
		for i := range n {
			if err := r.put(p, r.cutter.piece(i), due); err != nil {
				r.res.Unsent += uint64(n - 1 - i)
				return err
			}
		}
	default:
		r.res.Unsent++
		return &OversizeFrameError{Interface: p.name, Frame: r.res.Frames, Octets: len(f.Data), Longest: longest}
	}
	return nil
}

func isRaw(link parse.LinkType) bool {
	switch link {
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD, parse.LinkIPv4, parse.LinkIPv6:
		return true
	}
	return false
}

func (r *run) put(p *port, d []byte, due time.Duration) error {
	if !p.wire.put(d) {
		err := r.makeRoom()
		if err == nil && !p.wire.put(d) {
			err = fmt.Errorf("%s: a frame of %d octets does not fit an empty batch, a fault of the program", p.name, len(d))
		}
		if err != nil {
			r.res.Unsent++
			return err
		}
	}
	r.pending++
	r.pos.Octets += uint64(len(d))
	if r.Tap != nil {
		r.Tap(r.out, d)
	}
	second := r.second()
	if r.hist != nil {
		late := max(r.now-due, 0)
		_ = r.hist.RecordValue(int64(min(late, replay.LatenessLimit))) // cannot fail within the limit
		r.delays[bits.Len64(uint64(late))]++
		r.res.Lateness.Max = max(r.res.Lateness.Max, late)
		if late > replay.LatenessLimit {
			r.res.Lateness.Over++
		}
		if late >= r.Late {
			r.res.Late++
			second.Late++
		}
		r.res.Planned = due
	}
	second.Frames++
	second.Octets += uint64(len(d))
	return nil
}

// second returns the bucket of the series for now; the last one takes what comes after maxSeconds.
func (r *run) second() *Second {
	at := min(int(r.now/time.Second), maxSeconds-1)
	for len(r.seconds) <= at {
		r.seconds = append(r.seconds, Second{})
	}
	return &r.seconds[at]
}

// flush sends what was put, if anything was, and reads the clock.
func (r *run) flush() error {
	if r.pending == 0 {
		return nil
	}
	return r.makeRoom()
}

// makeRoom sends what was put and waits until the port takes another frame.
func (r *run) makeRoom() error {
	p := &r.ports[r.out]
	r.pending = 0
	err := p.wire.flush(r.ctx)
	r.now = r.clock.Now()
	r.sentAt = r.now
	if err != nil && r.ctx.Err() == nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return err
}

// collect brings the counts of the wires into the result.
func (r *run) collect() {
	res := &r.res
	res.Sent, res.Octets, res.Failed, res.Dropped, res.ENOBUFS, res.EAGAIN, res.Calls = 0, 0, 0, 0, 0, 0, 0
	for i := range r.ports {
		t, from := r.ports[i].wire.tally(), &r.ports[i].from
		res.Sent += t.sent - from.sent
		res.Octets += t.octets - from.octets
		res.Failed += t.failed - from.failed
		res.Dropped += t.dropped - from.dropped
		res.ENOBUFS += t.enobufs - from.enobufs
		res.EAGAIN += t.eagain - from.eagain
		res.Calls += t.calls - from.calls
	}
	res.Seconds = r.seconds
	if r.hist != nil {
		res.Lateness.Samples = uint64(r.hist.TotalCount())
	}
}

func (r *run) finish(err error) error {
	res := &r.res
	r.collect()
	res.Elapsed, res.Lasted = r.sentAt, r.now
	for i := range r.ports {
		p := &r.ports[i]
		t := p.wire.tally()
		put := t.put - p.from.put
		done := t.sent - p.from.sent + t.failed - p.from.failed + t.dropped - p.from.dropped
		if done > put && err == nil {
			err = fmt.Errorf("%s: %d frames were put and %d came out, a fault of the program", p.name, put, done)
		}
		res.Unsent += put - min(done, put)
	}
	if r.hist != nil {
		l := &res.Lateness
		l.P50 = min(time.Duration(r.hist.ValueAtQuantile(50)), l.Max)
		l.P99 = min(time.Duration(r.hist.ValueAtQuantile(99)), l.Max)
		l.P999 = min(time.Duration(r.hist.ValueAtQuantile(99.9)), l.Max)
		for i, n := range r.delays {
			if n > 0 {
				res.Delays = append(res.Delays, Bucket{UpTo: time.Duration(1)<<i - 1, Frames: n})
			}
		}
	}
	if err != nil {
		return err
	}
	return res.check()
}
