package validation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"pcaplab/analysis/score"
	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
)

// Rows gives labelled vectors, the same in the same order whenever it is asked. A labelled.Set does.
type Rows interface {
	Each(ctx context.Context, f func(*labelled.Row) error) error
}

// Set is labelled vectors to validate a model on.
type Set struct {
	Name      string   // as "tables" or "captures"; no two sets have one
	Rows      Rows     // as given
	Sources   []string // names by labelled.Row.Source
	Captures  bool     // vectors are made of captures: each source is one, and Row.Covered is known
	Published bool     // of captures: windows are as long as published tables have them, by class
	Window    string   // of captures, as given: "N = 10"
	Synthetic string   // what about the data is made up; empty if nothing
	Windows   []Window // the same captures in other windows, for the ablation
}

// Window is captures cut into other windows than those of their set.
type Window struct {
	Name string // as "N = 100"
	Rows Rows
	// Published says that windows are as long as published tables have them: by class.
	Published bool
}

// Config says how a model is validated. The zero value is the default: no benign class, and a vector that is not finite ends it.
type Config struct {
	Name   string // of the model, for the report
	SHA256 string // of its file, for the report
	// Classes are the names of the model's classes, in its order, as labels of the data have them. Several classes of one name are one class of
	// the report. nil is the model's own names.
	Classes []string
	Benign  string // class of the report that raises no alarm; "" if there is none
	Policy  model.Policy
	// Reference, if set, is what the others are compared with for drift: usually what was learnt from. It is scored too.
	Reference *Set
	Ablation  bool
	Limit     int64   // rows of each source; 0 is all
	Resamples int     // of bootstraps; 0 is 1000
	Level     float64 // of intervals; 0 is 0.95
	Seed      uint64
	Workers   int // goroutines that predict; 0 is GOMAXPROCS. A model.Batcher has one
	// Step is told what is about to be done, before each pass over rows.
	Step func(what string)
}

// MaxResamples is the largest Config.Resamples.
const MaxResamples = 100_000

// Run validates m on sets of vectors of feature.Columns. Memory does not grow with them, but for samples of bounded size. An error names the
// set, the source and the row where it can; a set without rows is one.
func Run(ctx context.Context, m model.Model, sets []Set, cfg Config) (*Report, error) {
	if cfg.Resamples == 0 {
		cfg.Resamples = 1000
	}
	if cfg.Level == 0 {
		cfg.Level = 0.95
	}
	var faults []error
	switch {
	case len(sets) == 0:
		faults = append(faults, errors.New("nothing to validate on"))
	case cfg.Resamples < 1 || cfg.Resamples > MaxResamples:
		faults = append(faults, fmt.Errorf("%d resamples: choose 1 to %d", cfg.Resamples, MaxResamples))
	case !(cfg.Level > 0 && cfg.Level < 1):
		faults = append(faults, fmt.Errorf("level %v: choose one between 0 and 1", cfg.Level))
	case cfg.Limit < 0:
		faults = append(faults, fmt.Errorf("limit %d: choose 0 for all rows, or more", cfg.Limit))
	}
	if cfg.Classes == nil {
		cfg.Classes = m.Classes()
	} else if len(cfg.Classes) != len(m.Classes()) {
		faults = append(faults, fmt.Errorf("%d names for the %d classes of the model (%s)", len(cfg.Classes), len(m.Classes()), some(m.Classes(), 5)))
	}
	bound, err := model.Bind(m, feature.Columns(), cfg.Policy)
	if err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	r := &runner{cfg: cfg, bound: bound, classes: newClasses(cfg.Classes), report: &Report{
		Schema: Schema, Warnings: []string{},
		Model: Model{Name: cfg.Name, SHA256: cfg.SHA256, Classes: m.Classes(), Probabilities: m.Probabilities()},
		Settings: Settings{Benign: cfg.Benign, NonFinite: cfg.Policy.String(), Limit: cfg.Limit, Resamples: cfg.Resamples, Level: cfg.Level,
			Seed: cfg.Seed},
	}}
	for _, at := range bound.Used() {
		r.report.Model.Columns = append(r.report.Model.Columns, feature.Columns()[at])
	}
	if r.report.Model.ColumnsNamed = len(m.Columns()) > 0; !r.report.Model.ColumnsNamed {
		r.warn("%s", ByPosition(m.Width()))
	}
	if k := r.classes.known; k < 2 {
		return nil, fmt.Errorf("the classes of the model (%s) are one class of the report: group them less", some(m.Classes(), 5))
	}
	if cfg.Benign != "" && !slices.Contains(r.classes.names, cfg.Benign) {
		r.warn("none of the model's classes (%s) is %s, the label of benign traffic: every prediction is an alarm",
			some(r.classes.names, 5), cfg.Benign)
	}
	all := slices.Clone(sets)
	if cfg.Reference != nil {
		all = append(all, *cfg.Reference)
	}
	compared := cfg.Reference != nil || slices.ContainsFunc(sets, func(s Set) bool { return s.Captures != sets[0].Captures })
	for i := range all {
		set := &all[i]
		reference := i == len(sets)
		e, err := r.evaluate(ctx, set, set.Name, cfg.Ablation && !reference, compared)
		if err != nil {
			return nil, err
		}
		if err := r.common(set, e); err != nil {
			return nil, err
		}
		s, err := r.summary(ctx, set, e)
		if err != nil {
			return nil, err
		}
		s.Reference = reference
		r.report.Sets = append(r.report.Sets, s)
		if cfg.Ablation && !reference {
			part, err := r.ablation(ctx, set, e)
			if err != nil {
				return nil, err
			}
			r.report.Ablation = append(r.report.Ablation, part)
		}
		r.samples = append(r.samples, e.sample)
	}
	if compared {
		if err := r.drift(ctx, all); err != nil {
			return nil, err
		}
	}
	return r.report, nil
}

// ByPosition says what to know of a model that names no columns.
func ByPosition(columns int) string {
	return fmt.Sprintf("%d columns by position: the model names none, so it must take them in the order of 'features'; another order would not be noticed", columns)
}

type runner struct {
	cfg     Config
	bound   *model.Bound
	classes *classes
	report  *Report
	samples []*samples // by set
}

func (r *runner) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

func (r *runner) step(what string) {
	if r.cfg.Step != nil {
		r.cfg.Step(what)
	}
}

// benign returns the class that raises no alarm, -1 if there is none.
func (r *runner) benign() int {
	if i, ok := r.classes.labels[r.cfg.Benign]; ok && r.cfg.Benign != "" {
		return i
	}
	return -1
}

// evaluation is what a pass over rows gave.
type evaluation struct {
	rows      uint64
	of        []uint64 // rows by source
	labels    map[string]uint64
	tally     tally
	nonFinite [feature.NumColumns]uint64
	lengths   lengths
	covered   int64    // ns of the benign rows
	hidden    *donors  // nil unless columns are to be hidden
	sample    *samples // nil where drift is not asked for
}

// evaluate predicts every row, and gathers what else is asked of a set.
func (r *runner) evaluate(ctx context.Context, set *Set, what string, hide, sample bool) (*evaluation, error) {
	r.step(what)
	e := &evaluation{labels: make(map[string]uint64)}
	if hide {
		e.hidden = newDonors(r.cfg.Seed)
	}
	if sample {
		e.sample = newSamples(r.cfg.Seed)
	}
	used := r.bound.Used()
	benign := -1
	err := r.pass(ctx, set, []variant{{tally: &e.tally}}, func(row *labelled.Row, truth int) {
		e.rows++
		for len(e.of) <= row.Source {
			e.of = append(e.of, 0)
		}
		e.of[row.Source]++
		e.labels[row.Label]++
		for _, c := range used {
			if v := row.Values[c]; !(math.Abs(v) <= math.MaxFloat32) {
				e.nonFinite[c]++
			}
		}
		e.lengths.add(&row.Values, truth)
		if benign < 0 {
			benign = r.benign()
		}
		if truth == benign {
			e.covered += int64(row.Covered)
		}
		if hide {
			e.hidden.add(&row.Values)
		}
		if sample {
			e.sample.add(&row.Values, truth)
		}
	})
	if err != nil {
		return nil, err
	}
	if e.rows == 0 {
		return nil, fmt.Errorf("%s: %w", set.Name, ErrNothing)
	}
	if all, _, _ := e.tally.confusions(r.classes.names); all.Total() == 0 {
		return nil, fmt.Errorf("%s: %w: all %d rows have a value that the model cannot take, in %s", set.Name, ErrNothing, e.rows, r.notFinite(e))
	}
	if hide {
		e.hidden.ready()
	}
	return e, nil
}

// ErrNothing says that there is no row, or none that has a prediction.
var ErrNothing = errors.New("no rows to judge by")

// notFinite lists the columns with values that are not finite.
func (r *runner) notFinite(e *evaluation) string {
	var names []string
	for c, n := range e.nonFinite {
		if n > 0 {
			names = append(names, feature.Columns()[c])
		}
	}
	return some(names, 5)
}

// variant is one way to predict the rows of a pass.
type variant struct {
	tally   *tally
	hidden  *donors // nil: rows as they are
	columns []int   // that are hidden
}

// chunk is rows on their way to a goroutine that predicts.
type chunk struct {
	first  uint64 // number of the first in the pass, from 0
	rows   int
	values [][feature.NumColumns]float64
	truth  []int
	source []int
	number []int64
}

const chunkRows = 256

// pass reads rows in order, calls look with each, in order, and predicts them in every variant.
func (r *runner) pass(ctx context.Context, set *Set, variants []variant, look func(row *labelled.Row, truth int)) error {
	workers := r.cfg.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	if _, ok := r.bound.Model().(model.Batcher); ok {
		workers = 1
	}
	free, full := make(chan *chunk, 2*workers), make(chan *chunk, 2*workers)
	for range cap(free) {
		free <- &chunk{values: make([][feature.NumColumns]float64, chunkRows), truth: make([]int, chunkRows), source: make([]int, chunkRows),
			number: make([]int64, chunkRows)}
	}
	for _, v := range variants {
		v.tally.known = r.classes.known
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var failed error
	failedAt := uint64(math.MaxUint64)
	var wait sync.WaitGroup
	for w := range workers {
		p := r.newPredictor(w == 0)
		wait.Go(func() {
			tallies := make([]tally, len(variants))
			for i := range tallies {
				tallies[i].known = r.classes.known
			}
			for c := range full {
				for i, v := range variants {
					if at, err := p.predict(c, v, &tallies[i]); err != nil {
						err = fmt.Errorf("%s: %w", set.Name, placed(set, c.source[at], c.number[at], err))
						mu.Lock()
						if n := c.first + uint64(at); n < failedAt {
							failedAt, failed = n, err
						}
						mu.Unlock()
						cancel(err) // chunks on their way may hold an earlier one
					}
				}
				free <- c
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range tallies {
				variants[i].tally.merge(&tallies[i])
			}
		})
	}
	n := uint64(0)
	c := <-free
	c.rows = 0
	err := set.Rows.Each(ctx, func(row *labelled.Row) error {
		if r.cfg.Limit > 0 && row.Number > r.cfg.Limit {
			return nil
		}
		truth, err := r.classes.truth(row.Label)
		if err != nil {
			return placed(set, row.Source, row.Number, err)
		}
		if look != nil {
			look(row, truth)
		}
		if c.rows == 0 {
			c.first = n
		}
		c.values[c.rows], c.truth[c.rows], c.source[c.rows], c.number[c.rows] = row.Values, truth, row.Source, row.Number
		c.rows++
		n++
		if c.rows == chunkRows {
			full <- c
			c = <-free
			c.rows = 0
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return nil
	})
	if c.rows > 0 {
		full <- c
	}
	close(full)
	wait.Wait()
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return fmt.Errorf("%s: %w", set.Name, err)
	}
	return nil
}

// placed says of which row an error is.
func placed(set *Set, source int, number int64, err error) error {
	if bad := new(model.NonFiniteError); errors.As(err, &bad) {
		bad.Vector = uint64(number) // it counted those of one goroutine
	} else {
		err = fmt.Errorf("row %d: %w", number, err)
	}
	if source < len(set.Sources) {
		err = fmt.Errorf("%s: %w", set.Sources[source], err)
	}
	return err
}

// predictor predicts chunks in one goroutine.
type predictor struct {
	bound   *model.Bound
	class   []int // of the report, by that of the model
	batcher model.Batcher
	row     [feature.NumColumns]float64
	xs      []float64
	taken   []int // rows of the chunk that xs holds
	classes []int
}

func (r *runner) newPredictor(first bool) *predictor {
	p := &predictor{class: r.classes.model}
	p.batcher, _ = r.bound.Model().(model.Batcher)
	if p.bound = r.bound; !first {
		p.bound = r.bound.Clone()
	}
	return p
}

// predict tallies the rows of a chunk. With an error comes the row of it.
func (p *predictor) predict(c *chunk, v variant, t *tally) (at int, err error) {
	before := p.bound.Clamped()
	defer func() { t.clamped += p.bound.Clamped() - before }()
	p.xs, p.taken = p.xs[:0], p.taken[:0]
	for i := range c.rows {
		values := &c.values[i]
		if v.hidden != nil {
			p.row = *values
			values = &p.row
			v.hidden.put(c.first+uint64(i), v.columns, values)
		}
		x, ok, err := p.bound.Take(values[:])
		if err != nil {
			return i, err
		}
		if !ok {
			t.at(c.source[i], c.truth[i]).dropped[c.truth[i]]++
			continue
		}
		if p.batcher != nil {
			p.xs, p.taken = append(p.xs, x...), append(p.taken, i)
			continue
		}
		class, err := p.bound.Model().Predict(x, nil)
		if err != nil {
			return i, err
		}
		if err := p.count(c, i, class, t); err != nil {
			return i, err
		}
	}
	if len(p.taken) == 0 {
		return 0, nil
	}
	p.classes = slices.Grow(p.classes[:0], len(p.taken))[:len(p.taken)]
	if err := p.batcher.PredictBatch(p.xs, p.classes, nil); err != nil {
		return p.taken[0], err
	}
	for j, i := range p.taken {
		if err := p.count(c, i, p.classes[j], t); err != nil {
			return i, err
		}
	}
	return 0, nil
}

func (p *predictor) count(c *chunk, i, class int, t *tally) error {
	if class < 0 || class >= len(p.class) {
		return fmt.Errorf("the model says class %d of %d", class, len(p.class))
	}
	t.at(c.source[i], c.truth[i]).counts[c.truth[i]][p.class[class]]++
	return nil
}

// common returns an error if the model has no class that any row is of: then names differ, or the model is of something else.
func (r *runner) common(set *Set, e *evaluation) error {
	for label := range e.labels {
		if r.classes.labels[label] < r.classes.known {
			return nil
		}
	}
	return fmt.Errorf("%s: %w: the model's classes are %s, the data's labels %s", set.Name, ErrNoCommonClass, some(r.classes.names[:r.classes.known], 5),
		some(slices.Sorted(maps.Keys(e.labels)), 5))
}

// ErrNoCommonClass says that a model has none of the classes of the data.
var ErrNoCommonClass = errors.New("no class in common")

// intervals are by captures where every class has enough of them, else by rows.
func (r *runner) intervals(ctx context.Context, captures bool, all *score.Confusion, each []*score.Confusion) (score.Intervals, error) {
	if captures && byCaptures(all, each) {
		return score.BootstrapCaptures(ctx, each, r.cfg.Resamples, r.cfg.Seed, r.cfg.Level)
	}
	return all.Bootstrap(ctx, r.cfg.Resamples, r.cfg.Seed, r.cfg.Level)
}

// byCaptures reports whether every class with rows has them in at least score.MinCaptures captures.
func byCaptures(all *score.Confusion, each []*score.Confusion) bool {
	for class, row := range all.Counts {
		if total(row) == 0 {
			continue
		}
		captures := 0
		for _, c := range each {
			if total(c.Counts[class]) > 0 {
				captures++
			}
		}
		if captures < score.MinCaptures {
			return false
		}
	}
	return true
}

// summary makes the report of a set.
func (r *runner) summary(ctx context.Context, set *Set, e *evaluation) (SetReport, error) {
	all, each, dropped := e.tally.confusions(r.classes.names)
	intervals, err := r.intervals(ctx, set.Captures, all, each)
	if err != nil {
		return SetReport{}, err
	}
	s := SetReport{Name: set.Name, Captures: set.Captures, Window: set.Window, Synthetic: set.Synthetic, Rows: e.rows, Decided: all.Total(),
		Clamped: e.tally.clamped, Confusion: all, Metrics: all.Metrics(), Intervals: intervals}
	warn := func(format string, args ...any) { s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...)) }
	var gone []string // classes of which no row is left
	for i, n := range dropped {
		if n > 0 {
			if s.DroppedOf == nil {
				s.DroppedOf = make(map[string]uint64)
			}
			s.DroppedOf[all.Classes[i]] = n
			s.Dropped += n
			if total(all.Counts[i]) == 0 {
				gone = append(gone, all.Classes[i])
			}
		}
	}
	for i, rows := range e.of {
		source := SourceReport{Rows: rows}
		if i < len(set.Sources) {
			source.Name = set.Sources[i]
		}
		if rows == 0 {
			continue
		}
		if i < len(each) {
			if source.Decided = each[i].Total(); source.Decided > 0 {
				accuracy := each[i].Metrics().Accuracy
				source.Accuracy = &accuracy
			}
		}
		s.Sources = append(s.Sources, source)
	}
	for c, n := range e.nonFinite {
		if n > 0 {
			s.NonFinite = append(s.NonFinite, NonFinite{feature.Columns()[c], n})
		}
	}
	unknown := uint64(0)
	for label, rows := range e.labels {
		class := r.classes.labels[label]
		l := Label{Label: label, Rows: rows, Unknown: class >= r.classes.known}
		if l.Unknown {
			unknown += rows
		}
		s.Labels = append(s.Labels, l)
	}
	slices.SortFunc(s.Labels, func(a, b Label) int { return strings.Compare(a.Label, b.Label) })
	if unknown > 0 {
		var names []string
		for _, l := range s.Labels {
			if l.Unknown {
				names = append(names, l.Label)
			}
		}
		warn("%d of %d rows have labels that the model has no class for, and count as wrong: %s", unknown, e.rows, some(names, 5))
	}
	if s.Dropped > 0 {
		warn("%d of %d rows have no prediction, because a value is not finite; they count nowhere", s.Dropped, e.rows)
	}
	if len(gone) > 0 {
		warn("no row of %s has a prediction, because a value is not finite: no score says anything of them", some(gone, 5))
	}
	if s.Clamped > 0 {
		warn("%d of %d rows have a prediction by replaced values, because one is not finite", s.Clamped, e.rows)
	}
	r.alarms(&s, set, e)
	s.WindowLength = e.lengths.report(r.classes.names)
	if l := s.WindowLength; l.Leaks {
		warn("the column Number alone tells of which of %d groups of classes a row is, with a mean recall of %.1f %%: windows are of another length for some classes",
			len(l.Groups), 100*l.GroupRecall)
	}
	if supported := len(s.Labels); supported == 1 {
		warn("all rows have the label %s: how well it is told from others cannot be seen", s.Labels[0].Label)
	}
	if s.Intervals.By == "rows" && set.Captures {
		warn("intervals are by rows: neighbouring windows of a capture are alike, so they are too narrow; every class needs %d captures for better ones",
			score.MinCaptures)
	}
	s.Warnings = append(s.Warnings, s.Intervals.Warnings...)
	return s, nil
}

// alarms fills in what benign vectors gave.
func (r *runner) alarms(s *SetReport, set *Set, e *evaluation) {
	if r.cfg.Benign == "" {
		s.HoursWhy = "no class is said to be benign"
		return
	}
	benign := s.Confusion.Class(r.cfg.Benign)
	if benign < 0 {
		s.HoursWhy = "neither the model nor the data have the class " + r.cfg.Benign
		return
	}
	alarms := s.Confusion.Alarms(benign)
	s.Alarms = &alarms
	if gone := s.DroppedOf[alarms.Benign]; 100*gone > alarms.BenignRows+gone {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d of %d benign rows have no prediction, because a value is not finite: benign recall and false alarms are "+
			"without them, while their time counts", gone, alarms.BenignRows+gone))
	}
	if len(s.Confusion.Classes) > 2 {
		binary := s.Confusion.Collapse(benign, "any other").Metrics()
		s.Binary = &binary
	}
	switch hours := float64(e.covered) / 3600e9; {
	case alarms.BenignRows == 0:
		s.HoursWhy = "no benign rows have a prediction"
	case !set.Captures:
		s.HoursWhy = "tables have no times"
	case !(hours > 0):
		s.HoursWhy = "the benign windows take no time"
	default:
		s.Hours = hours
		perHour := alarms.PerHour(hours)
		s.FalseAlarmsPerHour = &perHour
		if _, recall, ok := s.BenignRecall(); ok {
			rows := float64(alarms.BenignRows) / hours
			s.FalseAlarmsPerHourInterval = &score.Interval{Low: float64((1 - recall.High) * rows), High: float64((1 - recall.Low) * rows)}
		}
		if hours < LeastHours {
			s.Warnings = append(s.Warnings, fmt.Sprintf("%d false alarms in %.0f s of benign capture: too short a time for a rate by the hour to be relied on",
				alarms.FalseAlarms, 3600*hours))
		}
	}
}

// some lists at most n names.
func some(names []string, n int) string {
	if len(names) > n+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
	}
	return strings.Join(names, ", ")
}
