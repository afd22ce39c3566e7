package trial

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
)

// Measurer runs one trial at a time.
type Measurer interface {
	// Measure runs a trial and returns its record. Cancelling ctx ends it early: the record then holds what was counted,
	// and the error is ctx's.
	Measure(ctx context.Context, in Input) (Record, error)
	Close() error
}

// Runner measures in this process: the Measurer without isolation. Its pipelines live from trial to trial.
type Runner struct {
	settings Settings
	kinds    []parse.StageKind
	cell     Cell
	copies   int // of a capture in the frames
	workers  []*worker
	total    uint64  // frames of one pass over all workers
	closedNS float64 // calibrated time of the feed alone per frame, in closed loop; 0: not yet
	openNS   float64 // and in open loop
}

type worker struct {
	frames   *arena.Frames
	pipeline *parse.Pipeline
	alone    *parse.Pipeline // of the same engine, without stages
	stages   []parse.Stage
	source   *arena.Source // goes on from trial to trial, so that all trials together see the whole capture
	share    float64       // of the frames, or of the wire octets where loads are in bit/s
}

// NewRunner prepares an engine and stages for frames that were split over the workers (one part: one worker). Together they hold a number of
// whole copies of a capture, at least one.
func NewRunner(engine parse.Engine, stages []parse.StageKind, settings Settings, cell Cell, parts []*arena.Frames, copies int) (*Runner, error) {
	settings, err := settings.Normalize()
	if err != nil {
		return nil, err
	}
	r := &Runner{settings: settings, kinds: stages, cell: cell, copies: max(1, copies)}
	var octets uint64
	for _, p := range parts {
		r.total += uint64(p.Len())
		octets += p.WireOctets()
	}
	if r.total == 0 {
		return nil, errors.New("no frames to feed")
	}
	for _, p := range parts {
		w := &worker{frames: p, share: float64(p.Len()) / float64(r.total)}
		if settings.Unit == "bit/s" && octets > 0 {
			w.share = float64(p.WireOctets()) / float64(octets)
		}
		made := make([]parse.Stage, 0, len(stages))
		for _, k := range stages {
			s, err := k.New()
			if err != nil {
				return nil, fmt.Errorf("stage %s: %w", k.Name, err)
			}
			if f, ok := s.(parse.Following); ok {
				if err := f.Follow(made); err != nil {
					return nil, fmt.Errorf("stage %s: %w", k.Name, err)
				}
			}
			made = append(made, s)
		}
		w.pipeline, w.stages = parse.NewPipeline(engine, made...), made
		if w.alone = w.pipeline; len(made) > 0 {
			w.alone = parse.NewPipeline(engine)
		}
		w.source = p.Source(0, p.Len(), 0, !settings.RepeatTimes)
		p.Touch()
		r.workers = append(r.workers, w)
	}
	return r, nil
}

// Close releases nothing: the frames belong to the caller.
func (r *Runner) Close() error { return nil }

// outcome is what one worker brings home.
type outcome struct {
	result   replay.Result
	counters parse.Counters
	usage    meter.Usage
	err      error
}

// Measure runs one trial.
func (r *Runner) Measure(ctx context.Context, in Input) (Record, error) {
	if in.Load < 0 || math.IsNaN(in.Load) || math.IsInf(in.Load, 0) {
		return Record{}, fmt.Errorf("load %v %s: want a positive number, or 0 for closed loop", in.Load, r.settings.Unit)
	}
	if in.EngineAlone && in.Load > 0 {
		return Record{}, fmt.Errorf("load %v %s: the engine alone is measured in closed loop", in.Load, r.settings.Unit)
	}
	if in.Duration < 0 || in.Duration == 0 && r.settings.Passes == 0 {
		return Record{}, fmt.Errorf("trial of %v: want a positive duration", in.Duration)
	}
	if frames := r.packets(in.Load) * in.Duration.Seconds(); frames > maxIntended {
		return Record{}, fmt.Errorf("load %v %s for %v: %.3g frames are more than a trial counts (%.0g); take less",
			in.Load, r.settings.Unit, in.Duration, frames, float64(maxIntended))
	}
	if err := r.calibrate(ctx); err != nil {
		return Record{}, err
	}
	rec := Record{
		Schema: Schema, Kind: KindTrial, Cell: r.cell, Input: in, Settings: r.settings,
		Frames: int(r.total), First: r.workers[0].source.Position(),
	}
	switch {
	case in.EngineAlone:
		rec.Kind = KindEngineAlone
	case in.Load == 0:
		rec.Kind = KindService
	}
	feeds := make([]feedFunc, len(r.workers))
	for i, w := range r.workers {
		rec.WorkingSet += w.frames.MappedOctets()
		feed, err := r.feed(w, in, uint64(i))
		if err != nil {
			return Record{}, err
		}
		feeds[i] = feed
	}
	outcomes := make([]outcome, len(r.workers))
	runtime.GC()
	rec.Started = time.Now().UTC()
	// Starting and stopping a meter stops the world: all start before any feed does, and stop after all have ended.
	var ready, ended, done sync.WaitGroup
	start := make(chan struct{})
	for i, w := range r.workers {
		if w.frames.Len() == 0 {
			continue
		}
		ready.Add(1)
		ended.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			pipeline := w.pipeline
			if in.EngineAlone {
				pipeline = w.alone
			}
			before := pipeline.Counters()
			src := w.source
			if n := r.settings.loops(); n > 0 {
				src = w.frames.Source(0, w.frames.Len(), n, !r.settings.RepeatTimes)
			}
			m, err := meter.Start(meter.Config{MappedOctets: w.frames.MappedOctets()})
			ready.Done()
			<-start
			o := &outcomes[i]
			if err == nil {
				o.result, err = feeds[i](ctx, src, pipeline)
			}
			ended.Done()
			if len(r.workers) > 1 {
				ended.Wait()
			}
			if m != nil {
				o.usage = m.Stop()
			}
			o.err = err
			o.counters = pipeline.Counters()
			o.counters.Sub(before)
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
	var errs []error
	var results []replay.Result
	var usages []meter.Usage
	for i := range outcomes {
		o := &outcomes[i]
		if r.workers[i].frames.Len() == 0 {
			continue
		}
		results = append(results, o.result)
		usages = append(usages, o.usage)
		rec.Counters.Add(o.counters)
		errs = append(errs, o.err)
	}
	rec.Result, rec.Usage = sum(results), merge(usages)
	if len(r.workers) > 1 {
		for i, w := range r.workers {
			o := &outcomes[i].result
			rec.Workers = append(rec.Workers, WorkerCounts{
				Frames: uint64(w.frames.Len()), Delivered: o.Delivered, Lost: o.Dropped + o.Residual + o.Unsent, Duration: int64(o.Duration),
			})
		}
	}
	if !in.EngineAlone {
		rec.Stages = r.stageCounts()
	}
	rec.Marks = r.marks(&rec, len(results))
	return rec, errors.Join(errs...)
}

// feedFunc runs one trial.
type feedFunc func(context.Context, replay.Source, replay.Sink) (replay.Result, error)

// residualWait is how long RFC 2544 section 23 waits for residual frames.
const residualWait = 2 * time.Second

func (r *Runner) feed(w *worker, in Input, number uint64) (feedFunc, error) {
	s := r.settings
	queue, err := replay.ParseQueue(s.Queue)
	if err != nil {
		return nil, err
	}
	clock, err := replay.NewClock(s.Clock)
	if err != nil {
		return nil, err
	}
	cfg := replay.Config{
		Queue: queue, Clock: clock, Batch: s.Batch, Duration: in.Duration, Width: s.Width, Drain: residualWait,
		Stamp: replay.Stamp(s.Stamp), FeedCost: r.closedNS,
	}
	if s.Passes > 0 {
		cfg.Duration = 0
	}
	if in.Load > 0 {
		cfg.FeedCost = r.openNS
		load := in.Load * w.share
		if cfg.Pacer, err = w.pacer(s, load, in.Seed+number); err != nil {
			return nil, err
		}
	}
	if s.Feed == "ring" {
		ring := &replay.Ring{Config: cfg, Stable: true}
		return ring.Run, nil
	}
	if len(r.workers) == 1 {
		cfg.Slice = uint64(w.frames.Len() / r.copies)
	}
	feed := &replay.Feed{Config: cfg}
	return feed.Run, nil
}

// pacer makes the arrivals of one worker. Patterns other than constant are of packets: a load in bit/s is then divided by
// the mean wire length. Recorded gaps are scaled so that the mean rate is the load.
func (w *worker) pacer(s Settings, load float64, seed uint64) (replay.Pacer, error) {
	if s.Unit == "bit/s" {
		if s.Pattern == "constant" {
			return replay.ConstantBits(load)
		}
		load /= w.bits()
	}
	if s.Pattern == "recorded" {
		period := float64(w.frames.Period(0, w.frames.Len()))
		if period <= 0 {
			return nil, errors.New("pattern recorded: the capture times do not go on")
		}
		return replay.Recorded(load*period/1e9/float64(w.frames.Len()), 0)
	}
	return replay.ParsePacer(s.Pattern, load, seed)
}

// bits is the mean wire length of a frame.
func (w *worker) bits() float64 { return 8 * float64(w.frames.WireOctets()) / float64(w.frames.Len()) }

// packets converts a load to pps.
func (r *Runner) packets(load float64) float64 {
	if r.settings.Unit != "bit/s" {
		return load
	}
	var octets uint64
	for _, w := range r.workers {
		octets += w.frames.WireOctets()
	}
	return load / (8 * float64(octets) / float64(r.total))
}

// maxIntended is how many frames a trial may intend.
const maxIntended = 1e12

// stageCounts adds up what the workers' stages counted.
func (r *Runner) stageCounts() map[string]map[string]uint64 {
	var all map[string]map[string]uint64
	for _, w := range r.workers {
		for i, stage := range w.stages {
			counting, ok := stage.(parse.Counting)
			if !ok {
				continue
			}
			if all == nil {
				all = make(map[string]map[string]uint64)
			}
			name := r.kinds[i].Name
			if all[name] == nil {
				all[name] = make(map[string]uint64)
			}
			for k, v := range counting.Counts() {
				all[name][k] += v
			}
		}
	}
	return all
}

// calibration is how many frames, and how often, calibrate feeds.
const (
	calibrationFrames = 100_000
	calibrationRounds = 3
)

// calibrate measures the feed against a sink that only counts, once: the quickest of a few rounds.
func (r *Runner) calibrate(ctx context.Context) error {
	if r.closedNS > 0 {
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	busiest := r.workers[0]
	for _, w := range r.workers {
		if w.frames.Len() > busiest.frames.Len() {
			busiest = w
		}
	}
	queue, err := replay.ParseQueue(r.settings.Queue)
	if err != nil {
		return err
	}
	quickest := func(p replay.Pacer) (float64, error) {
		best := math.Inf(1)
		for range calibrationRounds {
			cfg := replay.Config{Pacer: p, Queue: queue, Batch: r.settings.Batch, Frames: calibrationFrames}
			ns, err := replay.Calibrate(ctx, cfg, busiest.frames.Source(0, busiest.frames.Len(), 0, !r.settings.RepeatTimes))
			if err != nil {
				return 0, fmt.Errorf("calibrate the feed: %w", err)
			}
			best = min(best, ns)
		}
		return best, nil
	}
	open, err := busiest.pacer(r.settings, 1e6, r.settings.Seed)
	if err != nil {
		return err
	}
	if r.openNS, err = quickest(open); err != nil {
		return err
	}
	r.closedNS, err = quickest(nil)
	return err
}

// sum adds up what parallel workers did. Times are the longest of any worker's, but those of work, which add up; the
// quantiles of lateness are the worst worker's.
func sum(results []replay.Result) (s replay.Result) {
	for _, r := range results {
		s.Intended += r.Intended
		s.Offered += r.Offered
		s.Unsent += r.Unsent
		s.Delivered += r.Delivered
		s.Dropped += r.Dropped
		s.Residual += r.Residual
		s.LateDrained += r.LateDrained
		s.Served += r.Served
		s.Quickest, s.Slices = r.Quickest, r.Slices // of one worker; more have none
		s.OfferedOctets += r.OfferedOctets
		s.DeliveredOctets += r.DeliveredOctets
		s.Busy += r.Busy
		s.FeedTime += r.FeedTime
		s.SkipTime += r.SkipTime
		s.DropsAfterGaps += r.DropsAfterGaps
		s.Duration = max(s.Duration, r.Duration)
		s.Elapsed = max(s.Elapsed, r.Elapsed)
		s.MaxBacklog = max(s.MaxBacklog, r.MaxBacklog)
		s.LongestGap = max(s.LongestGap, r.LongestGap)
		s.Lateness.Samples += r.Lateness.Samples
		s.Lateness.Over += r.Lateness.Over
		s.Lateness.P50 = max(s.Lateness.P50, r.Lateness.P50)
		s.Lateness.P99 = max(s.Lateness.P99, r.Lateness.P99)
		s.Lateness.P999 = max(s.Lateness.P999, r.Lateness.P999)
		s.Lateness.Max = max(s.Lateness.Max, r.Lateness.Max)
	}
	return s
}

// merge joins the usage of threads that ran side by side: what is of a thread adds up, what is of the process or the
// machine is the same for all but for the edges, and is taken from the longest.
func merge(usages []meter.Usage) meter.Usage {
	longest := 0
	for i := range usages {
		if usages[i].WallNs > usages[longest].WallNs {
			longest = i
		}
	}
	u := usages[longest]
	for _, field := range []func(*meter.Usage) **int64{
		func(u *meter.Usage) **int64 { return &u.ThreadCPUNs },
		func(u *meter.Usage) **int64 { return &u.VoluntarySwitches },
		func(u *meter.Usage) **int64 { return &u.InvoluntarySwitches },
		func(u *meter.Usage) **int64 { return &u.MinorFaults },
		func(u *meter.Usage) **int64 { return &u.MajorFaults },
		func(u *meter.Usage) **int64 { return &u.Instructions },
		func(u *meter.Usage) **int64 { return &u.Cycles },
	} {
		var total int64
		known := true
		for i := range usages {
			if v := *field(&usages[i]); v != nil {
				total += *v
			} else {
				known = false
			}
		}
		if *field(&u) = nil; known {
			*field(&u) = &total
		}
	}
	return u
}

// marks lists the doubts about a trial.
func (rn *Runner) marks(r *Record, workers int) []string {
	var list []string
	if share, known := r.Waited(&rn.settings, workers); known && share > HostLimit && rn.settings.Clock != "cpu" {
		list = append(list, MarkHostBusy)
	}
	if r.Result.FeedShare() > FeedLimit {
		list = append(list, MarkFeedLimited)
	}
	if r.Result.HostLimited() {
		list = append(list, MarkHostLimited)
	}
	if r.Usage.Throttled != nil && *r.Usage.Throttled {
		list = append(list, MarkThrottled)
	}
	if r.Result.Unsent > 0 {
		list = append(list, MarkUnsent)
	}
	if float64(r.Counters.Unsupported) > UndecodedLimit*float64(r.Counters.Frames) {
		list = append(list, MarkUndecoded)
	}
	return list
}
