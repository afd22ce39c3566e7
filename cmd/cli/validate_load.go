package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"pcaplab/datasets"
	"pcaplab/datasets/arena"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/replay"
	"pcaplab/replay/quality"
)

// loadFlags are the flags of validate's quality under load.
type loadFlags struct {
	rates []string
	clock string
	queue string
	batch int
	stamp string
}

func (l *loadFlags) add(fs *pflag.FlagSet) {
	fs.StringSliceVar(&l.rates, "rates", nil, "quality under load, at multiples of the service ceiling: 0.1x..3x, or 0.5x,1x,2x")
	fs.StringVar(&l.clock, "clock", "warp", "of --rates: warp (skips idle time), system (waits) or cpu (warp in CPU time of the thread; costly to read for each packet)")
	fs.StringVar(&l.queue, "queue", "", "of --rates: queue before the parser: frames (1024), octets (2MiB) or a preset (see 'engines')")
	fs.IntVar(&l.batch, "batch", 1, "of --rates: frames per clock reading at most; 1 is exact, more lose packets in runs")
	fs.StringVar(&l.stamp, "stamp", string(replay.StampCapture), "of --rates: time that the features see: capture, so that only loss changes them, or due")
}

// wanted tells whether quality under load is asked for.
func (l *loadFlags) wanted() bool { return len(l.rates) > 0 }

// check finds what is wrong before anything is read.
func (l *loadFlags) check() error {
	var faults []error
	if _, err := l.loads(); err != nil {
		faults = append(faults, err)
	}
	if _, err := replay.NewClock(l.clock); err != nil {
		faults = append(faults, err)
	}
	if _, err := replay.ParseQueue(l.queue); err != nil {
		faults = append(faults, err)
	}
	if l.batch < 1 || l.batch > 1<<16 {
		faults = append(faults, fmt.Errorf("--batch %d: want 1 to %d", l.batch, 1<<16))
	}
	if s := replay.Stamp(l.stamp); s != replay.StampCapture && s != replay.StampDue {
		faults = append(faults, fmt.Errorf("--stamp %q: want %s or %s", l.stamp, replay.StampCapture, replay.StampDue))
	}
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

// suits finds what is wrong with the model and the data before they are read whole: file says that the model is read here.
func (l *loadFlags) suits(file, captures bool) error {
	switch {
	case !l.wanted():
		return nil
	case !file:
		return usagef("--rates: a worker is no stage of a pipeline: the model must be a file that is read here, ONNX, XGBoost's JSON or what 'train' writes")
	case !captures:
		return usagef("--rates: quality under load needs captures, and there are tables only")
	}
	return nil
}

// loads are the multiples that --rates names, rising, each once.
func (l *loadFlags) loads() ([]float64, error) {
	rates, err := parseRates(l.rates)
	if err != nil {
		return nil, fmt.Errorf("--rates: %w", err)
	}
	loads := []float64{}
	for _, r := range rates {
		if !r.OfService {
			return nil, errors.New("--rates: want multiples of the service ceiling, as 0.5x or 0.1x..3x")
		}
		if r.Value < quality.LeastLoad || r.Value > quality.MostLoad {
			return nil, fmt.Errorf("--rates: %gx: want %gx to %gx of the service ceiling", r.Value, quality.LeastLoad, float64(quality.MostLoad))
		}
		loads = append(loads, r.Value)
	}
	slices.Sort(loads)
	return slices.Compact(loads), nil
}

// measure finds how right the model is where packets are lost. classes are those of the traffic.
func (l *loadFlags) measure(ctx context.Context, v *validated, classes *trafficClasses, traffic []quality.Traffic) (*quality.Report, error) {
	loads, err := l.loads()
	if err != nil {
		return nil, err
	}
	if len(traffic) == 0 {
		return nil, errors.New("quality under load: the captures have no packets")
	}
	policy := v.policy
	if policy == model.Fail {
		policy = model.Drop
		v.a.note("--rates: loss makes other windows than were validated: under load those that are not finite are dropped (--non-finite fail)")
	}
	b, err := model.Bind(v.model, feature.Columns(), policy)
	if err != nil {
		return nil, err
	}
	engine, err := v.a.engine(v.f.speed.engine)
	if err != nil {
		return nil, err
	}
	as := v.cfg.As
	if as.Pieces() {
		as = feature.AsExtractor
		v.a.note("--rates: features %v are of capture files cut into pieces; under load they are those of %v", v.cfg.As, as)
	}
	bar := v.a.countBar("quality under load")
	report, err := quality.Run(ctx, quality.Config{
		Engine: engine, As: as, Model: b, Classes: classes.names, ModelClasses: classes.model, Benign: classes.benign,
		Attackers: v.cfg.Attackers, AttackShare: v.cfg.TruthShare, Loads: loads, Trial: v.f.speed.trial, Repeats: v.f.speed.repeats,
		Clock: l.clock, Queue: l.queue, Batch: l.batch, Stamp: replay.Stamp(l.stamp),
		Progress: func(done, total int) { bar.set(int64(done), int64(total)) },
	}, traffic)
	bar.done()
	if err != nil {
		return nil, fmt.Errorf("quality under load: %w", err)
	}
	report.Synthetic, err = captionOf(v.captures, v.f.seed)
	return report, err
}

// trafficClasses are the classes of traffic and model.
type trafficClasses struct {
	names  []string // the model's first
	model  []int    // for each class of the model, its index
	benign int
}

func classesOf(v *validated) *trafficClasses {
	c := &trafficClasses{}
	for _, name := range v.classes {
		c.model = append(c.model, c.index(name))
	}
	benign := v.benign
	if benign == "" {
		benign = v.cfg.Benign
	}
	c.benign = c.index(benign)
	return c
}

func (c *trafficClasses) index(name string) int {
	if i := slices.Index(c.names, name); i >= 0 {
		return i
	}
	c.names = append(c.names, name)
	return len(c.names) - 1
}

// traffic brings the first packets of each capture that has any into memory. The function that it returns frees them.
func (v *validated) traffic(ctx context.Context) (*trafficClasses, []quality.Traffic, func(), error) {
	classes := classesOf(v)
	var traffic []quality.Traffic
	free := func() {
		for i := range traffic {
			traffic[i].Frames.Close()
		}
	}
	if len(v.captures) == 0 {
		return classes, nil, free, nil
	}
	left := datasets.DefaultMemoryLimit()
	bar := v.a.countBar("reading captures")
	defer bar.done()
	for i, s := range v.captures {
		t, cut, err := v.load(ctx, classes, s, left)
		if err != nil {
			free()
			return nil, nil, func() {}, err
		}
		bar.set(int64(i+1), int64(len(v.captures)))
		if t.Frames == nil {
			v.a.note("%s: no packets: left out of speed and quality under load", s.Path)
			continue
		}
		traffic = append(traffic, t)
		left -= t.Frames.MappedOctets()
		if cut {
			v.a.note("%s: speed and quality under load are of its first %d packets (--packets)", s.Path, t.Frames.Len())
		}
	}
	return classes, traffic, free, nil
}

// told are frames that say what they are.
type told interface {
	Class() string
	Attack() bool
}

// load reads one capture. cut tells whether there was more. Of one without packets Frames is nil.
func (v *validated) load(ctx context.Context, classes *trafficClasses, s labelled.Source, limit int64) (t quality.Traffic, cut bool, err error) {
	t = quality.Traffic{Name: s.Path, Span: s.Span}
	relabel := v.cfg.Relabel
	if relabel == nil {
		relabel = func(label string) (string, error) { return label, nil }
	}
	var frames extract.Frames
	var capture *datasets.Capture
	if s.Open != nil {
		frames, err = s.Open()
		t.Clock = feature.Clock{Decimal: true} // as extract.Source has it
	} else {
		if capture, err = datasets.Open(s.Path, datasets.OpenConfig{Salvage: v.cfg.Salvage}); err == nil {
			defer capture.Close()
			frames = capture
		}
	}
	if err != nil {
		return t, false, err
	}
	// of tells what the frame read last is: "" leaves it to the capture's label.
	var of func() (class string, attack truth.Attack, err error)
	switch {
	case s.TruthOfFrames:
		says, ok := frames.(told)
		if !ok {
			return t, false, fmt.Errorf("%s: its frames do not say what they are", s.Path)
		}
		of = func() (string, truth.Attack, error) {
			if says.Attack() {
				return says.Class(), truth.Yes, nil
			}
			return says.Class(), truth.No, nil
		}
	case s.Truth != "":
		file, err := os.Open(s.Truth)
		if err != nil {
			return t, false, err
		}
		defer file.Close()
		table, err := truth.NewReader(file)
		if err != nil {
			return t, false, fmt.Errorf("%s: %w", s.Truth, err)
		}
		of = func() (string, truth.Attack, error) {
			p, err := table.Next()
			if err == io.EOF {
				err = fmt.Errorf("ends before its capture %s", s.Path)
			}
			if err != nil {
				err = fmt.Errorf("%s: %w", s.Truth, err)
			}
			return p.Class, p.Attack, err
		}
	default:
		label, err := relabel(s.Label)
		if err != nil {
			return t, false, fmt.Errorf("%s: %w", s.Path, err)
		}
		t.Class = classes.index(label)
	}
	known := make(map[string]int)
	b, err := arena.NewBuilder(limit)
	if err != nil {
		return t, false, err
	}
	defer b.Close()
	var f parse.Frame
	for {
		if b.Len()%1024 == 0 && ctx.Err() != nil {
			return t, false, ctx.Err()
		}
		err := frames.Next(&f)
		if err == io.EOF {
			break
		}
		if err != nil {
			return t, false, err
		}
		if n := v.f.speed.packets; n > 0 && b.Len() == n {
			cut = true
			break
		}
		if capture != nil && b.Len() == 0 {
			t.Clock = extract.ClockOf(capture.Container(), capture.Described())
		}
		if err := b.Append(&f); err != nil {
			return t, false, fmt.Errorf("%s: %w: name fewer captures, or keep fewer of their packets in memory with --packets", s.Path, err)
		}
		if of == nil {
			continue
		}
		class, attack, err := of()
		if err != nil {
			return t, false, err
		}
		i, ok := known[class]
		if !ok {
			label, err := relabel(class)
			if err != nil {
				return t, false, fmt.Errorf("%s: %w", s.Path, err)
			}
			i = classes.index(label)
			known[class] = i
		}
		if attack == truth.No {
			i = classes.benign
		}
		if i > math.MaxUint16 {
			return t, false, fmt.Errorf("%s: more than %d classes", s.Path, math.MaxUint16)
		}
		t.Of = append(t.Of, uint16(i))
	}
	if b.Len() == 0 {
		return t, false, nil
	}
	t.Frames, err = b.Finish()
	return t, cut, err
}
