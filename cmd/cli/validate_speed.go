package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/datasets/arena"
	"pcaplab/datasets/labelled"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/replay/meter"
	"pcaplab/replay/quality"
	"pcaplab/replay/trial"
)

// speedFlags are the flags of the speed section of validate.
type speedFlags struct {
	off     bool
	trial   time.Duration
	repeats int
	packets int
	engine  string
}

func (s *speedFlags) add(a *app, fs *pflag.FlagSet) {
	fs.BoolVar(&s.off, "no-speed", false, "leave out how fast the model is")
	fs.DurationVar(&s.trial, "trial", 300*time.Millisecond, "of speed and --rates: duration of a measurement")
	fs.IntVar(&s.repeats, "repeats", 3, "of speed and --rates: measure so often")
	fs.IntVar(&s.packets, "packets", defaultSynthFrames, "of speed and --rates: first packets of each capture, which are kept in memory (0: all)")
	fs.StringVar(&s.engine, "engine", a.Engines[0].Name, "of speed and --rates: parser ('"+a.Name+" engines' lists them)")
}

// check finds what is wrong before anything is read.
func (s *speedFlags) check(a *app) error {
	var faults []error
	if s.trial < time.Millisecond || s.trial > time.Hour {
		faults = append(faults, fmt.Errorf("--trial %v: want 1ms to 1h", s.trial))
	}
	if s.repeats < 1 || s.repeats > 1000 {
		faults = append(faults, fmt.Errorf("--repeats %d: want 1 to 1000", s.repeats))
	}
	if s.packets < 0 {
		faults = append(faults, fmt.Errorf("--packets %d: want a number, or 0 for all", s.packets))
	}
	if _, err := a.engine(s.engine); err != nil {
		faults = append(faults, fmt.Errorf("--engine: %w", err))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

// engine finds an engine by name.
func (a *app) engine(name string) (parse.Engine, error) {
	var names []string
	for _, e := range a.Engines {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return parse.Engine{}, fmt.Errorf("no engine %q: there are %s", name, orList(names))
}

// What speed is measured on.
const (
	speedFrames  = 100_000 // of all captures together
	speedVectors = 20_000
	speedBatch   = 1000
)

// measure finds how fast engine, features and model are, each on top of the one before, and the model alone. traffic are the captures in
// memory, which may be none.
func (s *speedFlags) measure(ctx context.Context, v *validated, traffic []quality.Traffic) (*analysis.Speed, error) {
	speed := &analysis.Speed{}
	var vectors []feature.Vector
	if len(traffic) > 0 {
		speed.Engine = s.engine
		frames, span, err := joined(traffic)
		if err != nil {
			return nil, err
		}
		defer frames.Close()
		if err := s.pipeline(ctx, v, frames, span, speed); err != nil {
			return nil, err
		}
		if vectors, err = vectorsOf(v, traffic); err != nil {
			return nil, err
		}
	} else {
		why := "extraction: there are tables only, no captures"
		if len(v.captures) > 0 {
			why = "extraction: the captures have no packets"
		}
		speed.NotDone = append(speed.NotDone, why)
		var err error
		if vectors, err = tableVectors(ctx, v); err != nil {
			return nil, err
		}
	}
	if v.path == "" {
		speed.NotDone = append(speed.NotDone, "memory of the worker: it is a process of its own")
	}
	return speed, s.alone(ctx, v, vectors, speed)
}

// joined puts the first frames of all captures one behind another, and returns the shortest of their windows.
func joined(traffic []quality.Traffic) (*arena.Frames, feature.Span, error) {
	each := max(speedFrames/len(traffic), 1000)
	var size int64 = 1 << 16
	span := traffic[0].Span
	var f parse.Frame
	for i := range traffic {
		t := &traffic[i]
		for n := range min(each, t.Frames.Len()) {
			t.Frames.Frame(n, &f)
			size += int64(len(f.Data)) + 64
		}
		if t.Span.Time == 0 && span.Time == 0 && t.Span.Rows < span.Rows || t.Span.Time > 0 && t.Span.Time < span.Time {
			span = t.Span
		}
	}
	b, err := arena.NewBuilder(size)
	if err != nil {
		return nil, span, err
	}
	defer b.Close()
	for i := range traffic {
		t := &traffic[i]
		for n := range min(each, t.Frames.Len()) {
			t.Frames.Frame(n, &f)
			if err := b.Append(&f); err != nil {
				return nil, span, err
			}
		}
	}
	frames, err := b.Finish()
	return frames, span, err
}

// pipeline measures closed loops of the engine, with the features, and with the model, in processes of their own.
func (s *speedFlags) pipeline(ctx context.Context, v *validated, frames *arena.Frames, span feature.Span, speed *analysis.Speed) error {
	text := fmt.Sprint(span.Rows)
	if span.Time > 0 {
		text = span.Time.String()
	} else if span.Rows == 0 {
		text = fmt.Sprint(feature.DefaultRows)
	}
	if v.cfg.As == feature.AsFixed {
		text = "fixed:" + text
	} else if v.cfg.As.Pieces() {
		speed.NotDone = append(speed.NotDone, fmt.Sprintf("features %v in a stream: those of %v were measured", v.cfg.As, feature.AsExtractor))
	}
	features := "features=" + text
	known := func(name string) bool {
		return slices.ContainsFunc(v.a.Stages, func(k parse.StageKind) bool { return k.Name == name })
	}
	if !known("features") {
		speed.NotDone = append(speed.NotDone, "extraction: this program has no stage features")
		return nil
	}
	if err := s.study(ctx, v.a, frames, speed, analysis.SpeedFeatures, true, features); err != nil {
		return err
	}
	switch {
	case v.path == "":
		speed.NotDone = append(speed.NotDone, "engine, features and model together: a worker is no stage of a pipeline")
		return nil
	case !known("model"):
		speed.NotDone = append(speed.NotDone, "engine, features and model together: this program has no stage model")
		return nil
	}
	policy := v.policy
	if policy == model.Fail { // the windows of a loop over the captures are not all those that were validated
		policy = model.Drop
	}
	return s.study(ctx, v.a, frames, speed, analysis.SpeedPipeline, false, features, fmt.Sprintf("model=%s:%v", v.path, policy))
}

func (s *speedFlags) study(ctx context.Context, a *app, frames *arena.Frames, speed *analysis.Speed, what string, alone bool, stages ...string) error {
	measure := func(inProcess bool) ([]trial.Record, error) {
		bars := a.studyBars(1)
		defer bars.done()
		bar := bars.bar(0, "")
		var records []trial.Record
		study := &trial.Study{
			Engines: a.Engines, Stages: a.Stages, Progress: bar.set,
			Frames: func(string) (trial.Sized, error) { return trial.Sized{Frames: frames}, nil },
			Keep:   func(r trial.Record) error { records = append(records, r); return nil },
			Header: trial.Header{
				Settings: trial.Settings{Stages: stages}, InProcess: inProcess, Environment: meter.ReadEnvironment(meter.Roots{}),
				Plan: trial.Plan{Engines: []string{s.engine}, Caches: []string{trial.CacheAsIs}, Repeats: s.repeats, Trial: s.trial, EngineAlone: alone},
			},
		}
		if err := study.Check(); err != nil {
			return nil, err
		}
		bar.expect("pps", study.Expected())
		return records, study.Run(ctx)
	}
	records, err := measure(false)
	if errors.Is(err, syscall.ENOEXEC) {
		records, err = measure(true)
	}
	if err != nil {
		return fmt.Errorf("speed of %s: %w", what, err)
	}
	speed.AddRecords(what, stages[0], records)
	return nil
}

// vectorsOf returns vectors of the captures in memory, as many of each.
func vectorsOf(v *validated, traffic []quality.Traffic) ([]feature.Vector, error) {
	var vectors []feature.Vector
	each := max(speedVectors/len(traffic), 1)
	as := v.cfg.As
	if as.Pieces() {
		as = feature.AsExtractor
	}
	engine := parse.DirectEngine()
	for i := range traffic {
		t := &traffic[i]
		last := len(vectors) + each
		x, err := feature.New(feature.Config{DecoderConfig: feature.DecoderConfig{As: as}, Span: t.Span,
			Emit: func(x *feature.Vector) {
				if len(vectors) < last {
					vectors = append(vectors, *x)
				}
			}})
		if err != nil {
			return nil, err
		}
		x.SetClock(t.Clock)
		pl := parse.NewPipeline(engine, x)
		var f parse.Frame
		for n := 0; n < t.Frames.Len() && len(vectors) < last; n++ {
			t.Frames.Frame(n, &f)
			if err := pl.WriteFrame(&f); err != nil {
				return nil, err
			}
		}
		if len(vectors) < last && x.Flush() { // the last window of the capture
			vectors = append(vectors, *x.Vector())
		}
	}
	return vectors, nil
}

// tableVectors returns the first vectors of the tables, none without tables.
func tableVectors(ctx context.Context, v *validated) ([]feature.Vector, error) {
	if len(v.tables) == 0 {
		return nil, nil
	}
	cfg := v.cfg
	cfg.NonFinite, cfg.Progress, cfg.Memory = labelled.Pass, nil, 0
	set, err := labelled.Open(v.tables, cfg)
	if err != nil {
		return nil, err
	}
	var vectors []feature.Vector
	err = set.Each(ctx, func(r *labelled.Row) error {
		vectors = append(vectors, feature.Vector{Values: r.Values})
		if len(vectors) == speedVectors {
			return errLimit
		}
		return nil
	})
	if errors.Is(err, errLimit) {
		err = nil
	}
	return vectors, err
}

// alone measures the model on vectors in memory, on one locked thread.
func (s *speedFlags) alone(ctx context.Context, v *validated, vectors []feature.Vector, speed *analysis.Speed) error {
	b, err := model.Bind(v.model, feature.Columns(), v.policy)
	if err != nil {
		return err
	}
	if len(vectors) == 0 {
		speed.NotDone = append(speed.NotDone, "the model alone: no packet counts in a window, so there are no vectors")
		return nil
	}
	width := v.model.Width()
	batcher, batches := v.model.(model.Batcher)
	var xs []float64
	kept := vectors[:0]
	for i := range vectors {
		x, ok, err := b.Take(vectors[i].Values[:])
		switch {
		case errors.As(err, new(*model.NonFiniteError)) || err == nil && !ok:
			speed.Left++
			continue
		case err != nil:
			return err
		}
		kept = append(kept, vectors[i])
		if batches && len(xs) < speedBatch*width {
			xs = append(xs, x...)
		}
	}
	speed.Vectors = len(kept)
	if len(kept) == 0 {
		speed.NotDone = append(speed.NotDone, "the model alone: every vector has a value that is not finite (--non-finite clamp replaces it)")
		return nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	at := 0
	one := func() error {
		_, _, err := b.Predict(kept[at].Values[:], nil)
		if at++; at == len(kept) {
			at = 0
		}
		return err
	}
	each := 1 // calls between readings of the clock
	if !batches {
		each = 256
	}
	rates, err := s.paced(ctx, func() (int, error) {
		for range each {
			if err := one(); err != nil {
				return 0, err
			}
		}
		return each, nil
	})
	if err != nil {
		return err
	}
	speed.AddModel(analysis.SpeedModel, rates)
	if speed.Latency, err = s.latency(ctx, one); err != nil || !batches {
		return err
	}
	n := len(xs) / width
	classes := make([]int, n)
	if rates, err = s.paced(ctx, func() (int, error) { return n, batcher.PredictBatch(xs[:n*width], classes, nil) }); err != nil {
		return err
	}
	speed.AddModel(fmt.Sprintf("%s of %d", analysis.SpeedBatch, n), rates)
	return nil
}

// paced calls work, which returns how many vectors it did, for the duration of a trial in each repeat, and returns vectors a second.
func (s *speedFlags) paced(ctx context.Context, work func() (int, error)) ([]float64, error) {
	if _, err := work(); err != nil { // warm
		return nil, err
	}
	var rates []float64
	for range s.repeats {
		begin := time.Now()
		done := 0
		for time.Since(begin) < s.trial {
			n, err := work()
			if err != nil {
				return nil, err
			}
			if done += n; ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		rates = append(rates, float64(done)/time.Since(begin).Seconds())
	}
	return rates, nil
}

// latency times single calls.
func (s *speedFlags) latency(ctx context.Context, one func() error) (*analysis.Latency, error) {
	hist := hdrhistogram.New(1, int64(time.Minute), 3)
	clock := hdrhistogram.New(1, int64(time.Second), 3)
	begin := time.Now()
	for time.Since(begin) < s.trial {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for range 16 {
			t := time.Now()
			empty := time.Now()
			if err := one(); err != nil {
				return nil, err
			}
			ns := int64(time.Since(empty))
			_ = clock.RecordValue(min(int64(empty.Sub(t)), int64(time.Second)))
			_ = hist.RecordValue(min(ns, int64(time.Minute)))
			if ns > int64(time.Millisecond) && time.Since(begin) >= s.trial {
				break
			}
		}
	}
	cost := clock.ValueAtQuantile(50)
	less := func(ns int64) int64 { return max(ns-cost, 0) }
	return &analysis.Latency{
		Calls: hist.TotalCount(), Clock: cost, P50: less(hist.ValueAtQuantile(50)), P99: less(hist.ValueAtQuantile(99)),
		P999: less(hist.ValueAtQuantile(99.9)), Max: less(hist.Max()),
	}, nil
}
