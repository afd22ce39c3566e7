// Package quality measures whether a model is still right where packets are lost: frames are fed to an engine, the features and a
// model at multiples of what the three sustain, windows close on the frames that came through, and what the model says of them is held
// against what the frames are.
package quality

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"pcaplab/analysis/score"
	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/replay"
	"pcaplab/replay/meter"
)

// Traffic is frames in memory and what they are.
type Traffic struct {
	Name   string
	Frames *arena.Frames
	// Class is of all frames, an index into Config.Classes. Where Of is set it is of no meaning.
	Class int
	// Of is the class of each frame where they are of several: Config.Benign, or that of an attack.
	Of    []uint16
	Span  feature.Span  // of the windows
	Clock feature.Clock // of the capture's times
}

// Config is what Run measures. The zero values of Clock, Queue, Batch, Stamp, Trial and Repeats mean the documented defaults.
type Config struct {
	Engine  parse.Engine
	As      feature.As   // not of pieces
	Model   *model.Bound // of feature.Columns; the predictions are of clones
	Classes []string     // of the model and of the traffic
	// ModelClasses is, for each class of the model, its index in Classes; nil: they are the first, in the model's order.
	ModelClasses []int
	Benign       int // index of the class that is no alarm
	// Attackers, if not nil, tell which rows are of the attack in traffic of one class: the others are benign.
	Attackers *feature.Attackers
	// AttackShare is the least share of a window's rows that must be of attacks to make the window one, where rows are told apart;
	// at least one row must.
	AttackShare float64
	Loads       []float64     // multiples of the service ceiling
	Trial       time.Duration // of a closed loop, and of a load at the ceiling at least; default 300 ms
	Repeats     int           // default 3
	Clock       string        // as replay.NewClock names it; default "warp"
	Queue       string        // as replay.ParseQueue reads it
	// Batch is how many frames are taken at most on one reading of the clock, in the closed loop too; default 1. With more, frames are lost
	// in runs of about so many, and windows have fewer gaps than behind a real queue.
	Batch int
	Stamp replay.Stamp // default replay.StampCapture
	// NewClock, if set, makes the clocks in place of Clock.
	NewClock func() (replay.Clock, error)
	// Progress, if set, is told between trials how many are done.
	Progress func(done, total int)
}

// Width is the relative width of the goal that trials serve: see replay.Config.
const Width = 0.005

// queues is how many times the queue a load offers at least: a queue hides the loss of less.
const queues = 16

// maxFrames bounds what one load offers, and so its passes.
const maxFrames = math.MaxInt32

// Bounds of a load, in service ceilings.
const (
	LeastLoad = 0.001
	MostLoad  = 1000
)

// Normalize fills in defaults and reports all faults at once.
func (c Config) Normalize() (Config, error) {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Clock == "" {
		c.Clock = "warp"
	}
	if c.Stamp == "" {
		c.Stamp = replay.StampCapture
	}
	if c.Trial == 0 {
		c.Trial = 300 * time.Millisecond
	}
	if c.Repeats == 0 {
		c.Repeats = 3
	}
	if c.Batch == 0 {
		c.Batch = 1
	}
	if c.Engine.New == nil {
		add("no engine")
	}
	if c.Model == nil {
		add("no model")
	} else if names := c.Model.Model().Classes(); c.ModelClasses == nil {
		if n := len(names); len(c.Classes) < n || !slices.Equal(c.Classes[:n], names) {
			add("classes %q do not begin with the model's, %q", c.Classes, names)
		}
		for i := range names {
			c.ModelClasses = append(c.ModelClasses, i)
		}
	} else if len(c.ModelClasses) != len(names) {
		add("%d classes of a model that has %d", len(c.ModelClasses), len(names))
	} else {
		for _, i := range c.ModelClasses {
			if i < 0 || i >= len(c.Classes) {
				add("the model's class %d, and there are %d", i, len(c.Classes))
			}
		}
	}
	if c.Benign < 0 || c.Benign >= len(c.Classes) {
		add("no benign class")
	}
	if c.As.Pieces() {
		add("features %v are of capture files cut into pieces: choose %v or %v", c.As, feature.AsExtractor, feature.AsFixed)
	}
	if c.Stamp != replay.StampCapture && c.Stamp != replay.StampDue {
		add("stamp %q: want %s or %s", c.Stamp, replay.StampCapture, replay.StampDue)
	}
	if c.Trial < time.Millisecond || c.Trial > time.Hour {
		add("trials of %v: want 1ms to 1h", c.Trial)
	}
	if c.Repeats < 1 || c.Repeats > 1000 {
		add("%d repeats: want 1 to 1000", c.Repeats)
	}
	if c.Batch < 0 {
		add("batch of %d frames: want 1 or more", c.Batch)
	}
	if !(c.AttackShare >= 0 && c.AttackShare <= 1) {
		add("an attack share of %g: want 0 to 1", c.AttackShare)
	}
	for i, l := range c.Loads {
		if !(l >= LeastLoad && l <= MostLoad) {
			add("load %gx: want %gx to %gx of the service ceiling", l, LeastLoad, float64(MostLoad))
		} else if slices.Contains(c.Loads[:i], l) {
			add("load %gx is named twice", l)
		}
	}
	if len(c.Loads) == 0 {
		add("no loads")
	}
	if _, err := replay.ParseQueue(c.Queue); err != nil {
		faults = append(faults, err)
	} else if c.Queue == "" {
		c.Queue = replay.DefaultQueue().Name
	}
	if c.NewClock == nil {
		name := c.Clock
		if _, err := replay.NewClock(name); err != nil {
			faults = append(faults, err)
		}
		c.NewClock = func() (replay.Clock, error) { return replay.NewClock(name) }
	}
	return c, errors.Join(faults...)
}

// Run measures every load on every capture, Repeats times, on one locked thread of this process. In each repeat each capture is
// fed on its own: a warm-up, a closed loop that gives its service ceiling, then the loads, rising, each in whole passes over the
// capture. Windows begin anew with each pass, and the one under way at its end closes there, as at the end of a capture. So all loads,
// and the baseline without loss, see the same frames, and a pass without loss gives the vectors of the capture. Cancelling ctx ends it
// with ctx's error.
func Run(ctx context.Context, cfg Config, traffic []Traffic) (*Report, error) {
	cfg, err := cfg.Normalize()
	if err != nil {
		return nil, err
	}
	slices.Sort(cfg.Loads)
	queue, err := replay.ParseQueue(cfg.Queue)
	if err != nil {
		return nil, err
	}
	r := &runner{ctx: ctx, cfg: cfg, queue: queue, total: cfg.Repeats * len(traffic) * (2 + len(cfg.Loads))}
	r.report = newReport(&cfg, traffic)
	if len(traffic) == 0 {
		return nil, errors.New("no traffic")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for repeat := range cfg.Repeats {
		for i := range traffic {
			if err := r.measure(&traffic[i], &r.report.Traffic[i], repeat); err != nil {
				return nil, fmt.Errorf("%s: %w", traffic[i].Name, err)
			}
		}
	}
	for _, f := range r.report.Traffic {
		r.report.Passes = max(r.report.Passes, f.Passes)
	}
	for _, t := range r.taken {
		r.report.Points[t.point].add(r.report.Passes, t)
	}
	r.report.score()
	return r.report, nil
}

// taken is what one capture gave at one load in one repeat.
type taken struct {
	point, repeat     int
	facts             *TrafficFacts
	measure, baseline *Measure
}

type runner struct {
	ctx         context.Context
	cfg         Config
	queue       replay.Queue
	report      *Report
	taken       []taken
	done, total int
}

func (r *runner) step() {
	r.done++
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.done, r.total)
	}
}

// measure is one repeat of one capture.
func (r *runner) measure(t *Traffic, facts *TrafficFacts, repeat int) error {
	n := t.Frames.Len()
	if n == 0 {
		return errors.New("no frames")
	}
	if err := t.Span.Check(); err != nil {
		return err
	}
	if t.Of != nil && len(t.Of) != n {
		return fmt.Errorf("classes of %d frames, and there are %d", len(t.Of), n)
	}
	t.Frames.Touch()
	runtime.GC() // the trials to come allocate little
	pacer, err := replay.ConstantPPS(1e6)
	if err != nil {
		return err
	}
	closed, err := r.feedCost(t, nil)
	if err != nil {
		return err
	}
	open, err := r.feedCost(t, pacer)
	if err != nil {
		return err
	}
	// The closed loop goes on without end; only its pace is wanted.
	pace := func(d time.Duration) (replay.Result, []string, error) {
		defer r.step()
		res, _, marks, err := r.trial(t, replay.Config{Duration: d, FeedCost: closed}, 0, nil)
		return res, marks, err
	}
	if _, _, err := pace(r.cfg.Trial / 4); err != nil {
		return err
	}
	service, marks, err := pace(r.cfg.Trial)
	if err != nil {
		return fmt.Errorf("closed loop: %w", err)
	}
	ceiling := service.DeliveredRate()
	if !(ceiling > 0) {
		return errors.New("nothing was taken in closed loop")
	}
	facts.Service = append(facts.Service, ceiling)
	facts.FeedShare = append(facts.FeedShare, service.FeedShare())
	facts.addMarks(marks)
	if facts.Passes == 0 { // by the first repeat: all have the same frames
		facts.Passes = r.passes(t, ceiling)
	}
	var baseline *Measure
	for i, load := range r.cfg.Loads {
		if baseline == nil || r.cfg.Stamp == replay.StampDue {
			if baseline, err = r.baseline(t, load*ceiling, facts.Passes); err != nil {
				return fmt.Errorf("without loss: %w", err)
			}
		}
		m, err := r.load(t, load*ceiling, facts.Passes, open)
		if err != nil {
			return fmt.Errorf("at %.3gx: %w", load, err)
		}
		r.taken = append(r.taken, taken{i, repeat, facts, m, baseline})
		r.step()
	}
	return nil
}

// passes is how often a load goes through the capture.
func (r *runner) passes(t *Traffic, ceiling float64) int {
	n := float64(t.Frames.Len())
	var f parse.Frame
	var charge float64
	looked := min(t.Frames.Len(), 1000)
	for i := range looked {
		t.Frames.Frame(i*(t.Frames.Len()/looked), &f)
		charge += float64(r.queue.ChargeOf(&f)) / float64(looked)
	}
	holds := float64(r.queue.Frames)
	if holds == 0 {
		holds = float64(r.queue.Octets) / charge
	}
	want := max(r.cfg.Trial.Seconds()*ceiling, queues*holds)
	return int(max(1, math.Ceil(min(want, maxFrames)/n)))
}

// feedCost is the feed's own time for a frame, of a closed loop without a pacer, in ns of the clock in use: the feed reads it for each
// batch.
func (r *runner) feedCost(t *Traffic, pacer replay.Pacer) (float64, error) {
	best := math.Inf(1)
	for range 3 {
		clock, err := r.cfg.NewClock()
		if err != nil {
			return 0, err
		}
		ns, err := replay.Calibrate(r.ctx, replay.Config{Pacer: pacer, Queue: r.queue, Batch: r.cfg.Batch, Frames: 20_000, Clock: clock}, t.Frames.Source(0, t.Frames.Len(), 0, false))
		if err != nil {
			return 0, fmt.Errorf("calibrate the feed: %w", err)
		}
		best = min(best, ns)
	}
	return best, nil
}

// baseline is a load without loss: the same frames with the same times, of which none has to wait.
func (r *runner) baseline(t *Traffic, pps float64, passes int) (*Measure, error) {
	cfg, err := r.offered(t, pps, passes)
	if err != nil {
		return nil, err
	}
	cfg.Clock = &ideal{}
	res, j, _, err := r.trial(t, cfg, passes, cfg.Clock)
	if err != nil {
		return nil, err
	}
	if res.Delivered != res.Intended {
		return nil, fmt.Errorf("%d of %d frames came through a feed that loses none: a fault of the feed", res.Delivered, res.Intended)
	}
	return j.measure(&res, nil)
}

func (r *runner) load(t *Traffic, pps float64, passes int, cost float64) (*Measure, error) {
	cfg, err := r.offered(t, pps, passes)
	if err != nil {
		return nil, err
	}
	cfg.FeedCost = cost
	res, j, marks, err := r.trial(t, cfg, passes, nil)
	if err != nil {
		return nil, err
	}
	return j.measure(&res, marks)
}

// offered is the load of all passes at a rate.
func (r *runner) offered(t *Traffic, pps float64, passes int) (replay.Config, error) {
	pacer, err := replay.ConstantPPS(pps)
	if err != nil {
		return replay.Config{}, err
	}
	frames := uint64(passes) * uint64(t.Frames.Len())
	return replay.Config{Pacer: pacer, Duration: pacer.Due(replay.Position{Frame: frames}), Frames: frames, Width: Width, Stamp: r.cfg.Stamp}, nil
}

// trial feeds so many passes, 0 for no end, on a clock, nil for the configured one, to a pipeline of its own.
func (r *runner) trial(t *Traffic, cfg replay.Config, passes int, clock replay.Clock) (replay.Result, *judge, []string, error) {
	j, err := newJudge(&r.cfg, t)
	if err != nil {
		return replay.Result{}, nil, nil, err
	}
	j.source = t.Frames.Source(0, t.Frames.Len(), passes, false)
	named := clock == nil
	if cfg.Clock = clock; named {
		if cfg.Clock, err = r.cfg.NewClock(); err != nil {
			return replay.Result{}, nil, nil, err
		}
	}
	cfg.Queue, cfg.Batch = r.queue, r.cfg.Batch
	m, err := meter.Start(meter.Config{MappedOctets: t.Frames.MappedOctets()})
	if err != nil {
		return replay.Result{}, nil, nil, err
	}
	feed := replay.Feed{Config: cfg}
	res, err := feed.Run(r.ctx, j, j)
	usage := m.Stop()
	if err != nil {
		return res, nil, nil, err
	}
	return res, j, r.marks(&res, &usage, cfg.Pacer != nil), nil
}

// Marks of results that are not the parser's alone, as in the records of studies (replay/trial).
const (
	MarkFeedLimited = "feed-limited" // the feed took over 5 % of the time
	MarkHostLimited = "host-limited" // all drops follow gaps longer than the queue
	MarkHostBusy    = "host-busy"    // the thread was without a CPU for over 5 % of the time
	MarkThrottled   = "throttled"    // the board lowered its clock
	MarkUnsent      = "unsent"       // the feed could not offer the whole load
)

// limit is the share of the time above which the feed or the host make a result theirs.
const limit = 0.05

func (r *runner) marks(res *replay.Result, u *meter.Usage, open bool) []string {
	var list []string
	waits := r.cfg.Clock == "system" && open
	if u.ThreadCPUNs != nil && u.WallNs > 0 && u.GCCycles == 0 && !waits && r.cfg.Clock != "cpu" &&
		1-float64(*u.ThreadCPUNs)/float64(u.WallNs) > limit {
		list = append(list, MarkHostBusy)
	}
	if res.FeedShare() > limit {
		list = append(list, MarkFeedLimited)
	}
	if res.HostLimited() {
		list = append(list, MarkHostLimited)
	}
	if u.Throttled != nil && *u.Throttled {
		list = append(list, MarkThrottled)
	}
	if res.Unsent > 0 {
		list = append(list, MarkUnsent)
	}
	return list
}

// ideal is the clock of a sink that takes no time.
type ideal struct{ now time.Duration }

func (c *ideal) Now() time.Duration { return c.now }

func (c *ideal) Skip(d time.Duration) { c.now += d }

func (c *ideal) WaitUntil(t time.Duration) (called, now time.Duration) {
	called = c.now
	c.now = max(c.now, t)
	return called, c.now
}

// judge is source and sink of a trial: it knows which frame it gave last, and holds what the model says against it.
type judge struct {
	source   *arena.Source
	pipeline *parse.Pipeline
	at       int // the frame under way, from 0 in the capture
	pass     int // that it is of
	fed      int // the pass of the frame that was written last

	t         *Traffic
	classes   []int // of the model
	benign    int
	share     float64
	marked    bool // rows are told apart by addresses
	x         *feature.Extractor
	stage     *model.Stage
	confusion *score.Confusion
	undecided uint64

	// Of traffic whose frames are of several classes:
	rows, vectors uint64    // of the extractor
	of            []ofClass // attack rows of the window under way
	truth         int       // of the window that ended last
}

type ofClass struct {
	class uint16
	rows  uint64
}

func newJudge(cfg *Config, t *Traffic) (*judge, error) {
	x, err := feature.New(feature.Config{DecoderConfig: feature.DecoderConfig{As: cfg.As, Attackers: cfg.Attackers}, Span: t.Span})
	if err != nil {
		return nil, err
	}
	x.SetClock(t.Clock)
	j := &judge{t: t, classes: cfg.ModelClasses, benign: cfg.Benign, share: cfg.AttackShare, marked: cfg.Attackers != nil && t.Of == nil, x: x, truth: t.Class,
		confusion: score.New(cfg.Classes), of: make([]ofClass, 0, len(cfg.Classes))}
	stage := model.NewStage(cfg.Model.Clone(), j.decided)
	j.stage = stage
	stages := []parse.Stage{x, stage}
	if t.Of != nil {
		stages = []parse.Stage{x, tally{j}, stage}
		for _, class := range t.Of {
			if int(class) >= len(cfg.Classes) {
				return nil, fmt.Errorf("a frame of class %d, and there are %d", class, len(cfg.Classes))
			}
		}
	} else if t.Class < 0 || t.Class >= len(cfg.Classes) {
		return nil, fmt.Errorf("frames of class %d, and there are %d", t.Class, len(cfg.Classes))
	}
	if err := stage.Follow(stages); err != nil {
		return nil, err
	}
	j.pipeline = parse.NewPipeline(cfg.Engine, stages...)
	return j, nil
}

// Next implements replay.Source.
func (j *judge) Next(f *parse.Frame) error {
	j.at = j.source.Position()
	err := j.source.Next(f)
	j.pass = j.source.Loop()
	return err
}

// WriteFrame implements replay.Sink.
func (j *judge) WriteFrame(f *parse.Frame) error {
	if j.pass != j.fed {
		j.fed = j.pass
		if err := j.end(); err != nil {
			return err
		}
	}
	return j.pipeline.WriteFrame(f)
}

// end closes the window under way, and begins anew, as at the end of a capture.
func (j *judge) end() error {
	if j.x.Flush() {
		if j.t.Of != nil {
			j.vectors = j.x.Vectors()
			j.close()
		}
		if err := j.stage.Process(nil, nil); err != nil {
			return err
		}
	}
	j.x.Reset()
	return nil
}

// decided counts what the model said of a window.
func (j *judge) decided(v *feature.Vector, class int, ok bool) {
	if !ok {
		j.undecided++
		return
	}
	truth := j.truth
	if j.marked && !j.enough(uint64(v.AttackRows), v.Values[feature.Number]) {
		truth = j.benign
	}
	j.confusion.Add(truth, j.classes[class])
}

// enough reports whether so many rows of a window are an attack's that the window is.
func (j *judge) enough(attack uint64, rows float64) bool {
	return attack > 0 && float64(attack) >= j.share*rows
}

// tally is a stage that knows what the windows of its judge are.
type tally struct{ *judge }

// Process counts the frame under way, before the model is asked about a window that ended with it. Windows of time end before
// the row that shows it, others with it.
func (j tally) Process(*parse.Frame, *parse.Packet) error {
	counts, vectors := j.x.Counters(), j.x.Vectors()
	row, closed := counts[feature.MadeRow] != j.rows, vectors != j.vectors
	j.rows, j.vectors = counts[feature.MadeRow], vectors
	timed := j.t.Span.Time > 0
	if closed && timed {
		j.close()
	}
	if row {
		j.row(j.t.Of[j.at])
	}
	if closed && !timed {
		j.close()
	}
	return nil
}

func (j *judge) row(class uint16) {
	if int(class) == j.benign {
		return
	}
	for i := range j.of {
		if j.of[i].class == class {
			j.of[i].rows++
			return
		}
	}
	j.of = append(j.of, ofClass{class, 1})
}

// close finds what the window is, the class of most of its attack rows, the first to come of several, and begins the next.
func (j *judge) close() {
	var attack, most uint64
	truth := j.benign
	for _, c := range j.of {
		attack += c.rows
		if c.rows > most {
			truth, most = int(c.class), c.rows
		}
	}
	if !j.enough(attack, j.x.Vector().Values[feature.Number]) {
		truth = j.benign
	}
	j.truth, j.of = truth, j.of[:0]
}

// measure ends the trial's last pass and returns what it gave.
func (j *judge) measure(res *replay.Result, marks []string) (*Measure, error) {
	if err := j.end(); err != nil {
		return nil, err
	}
	return &Measure{
		Offered: res.Intended, Delivered: res.Delivered, Lost: res.Dropped + res.Residual + res.Unsent, Duration: res.Duration,
		Vectors: j.x.Vectors(), Undecided: j.undecided, Confusion: j.confusion, DelayP99: res.Lateness.P99, Marks: marks,
	}, nil
}
