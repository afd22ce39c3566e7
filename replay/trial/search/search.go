package search

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"time"
)

// Measure runs one trial: it offers load for d and reports what was lost. What
// it could not send counts as lost. Search sets Load, and fills a zero Duration
// with d; a shorter Duration, an Effective below zero and nothing Intended are
// errors. An error ends the search.
type Measure func(ctx context.Context, load float64, d time.Duration) (Trial, error)

// Config bounds a search.
type Config struct {
	// Min and Max are the lowest and highest load tried, both above 0. At Min
	// the shortest trial must intend at least one frame.
	Min float64 `json:"min"`
	Max float64 `json:"max"`
	// Hint is where the ceiling is expected, as the closed-loop service rate;
	// 0 means unknown. A wrong hint costs trials, never the result.
	Hint float64 `json:"hint,omitempty"`
	// WarmUp is the duration of a trial at the first load whose outcome is
	// kept apart and decides nothing; 0 means none.
	WarmUp time.Duration `json:"warm_up_ns,omitempty"`
	// MaxTrials ends the search after so many trials, with the warm-up; 0
	// means DefaultMaxTrials.
	MaxTrials int `json:"max_trials,omitempty"`
	// MaxDuration ends the search before the trial that would take the sum of
	// effective durations above it; 0 means no limit.
	MaxDuration time.Duration `json:"max_duration_ns,omitempty"`
}

// DefaultMaxTrials is the limit that a zero Config.MaxTrials stands for.
const DefaultMaxTrials = 1000

func (c Config) faults() []error {
	var errs []error
	positive := func(x float64) bool { return x > 0 && !math.IsInf(x, 0) }
	if !positive(c.Min) {
		errs = append(errs, fmt.Errorf("min load %v: want above 0", c.Min))
	}
	if !positive(c.Max) {
		errs = append(errs, fmt.Errorf("max load %v: want above 0", c.Max))
	} else if c.Max < c.Min {
		errs = append(errs, fmt.Errorf("max load %v: want at least the min load %v", c.Max, c.Min))
	}
	if c.Hint != 0 && !positive(c.Hint) {
		errs = append(errs, fmt.Errorf("hint %v: want above 0, or 0 for none", c.Hint))
	}
	if c.WarmUp < 0 {
		errs = append(errs, fmt.Errorf("warm-up %v: want at least 0", c.WarmUp))
	}
	if c.MaxTrials < 0 {
		errs = append(errs, fmt.Errorf("max trials %d: want at least 0", c.MaxTrials))
	}
	if c.MaxDuration < 0 {
		errs = append(errs, fmt.Errorf("max duration %v: want at least 0", c.MaxDuration))
	}
	return errs
}

// Marks say what is to be known of bounds beside their values.
const (
	MarkNeverLossy  = "never lossy"            // max load meets the goal: no upper bound
	MarkAlwaysLossy = "always lossy"           // min load misses the goal: no lower bound
	MarkInversion   = "loss inversion"         // a load above the upper bound met the goal
	MarkWidth       = "width not reached"      // the bounds are further apart than the goal's width
	MarkBudget      = "budget spent"           // Config.MaxTrials or MaxDuration ended the search
	MarkInterrupted = "interrupted"            // the context did
	MarkFailed      = "measurement failed"     // an error of Measure did
	MarkImpossible  = "impossible loss"        // a trial at a bound lost less than none or more than all
	MarkNarrow      = "width below loss ratio" // conditional throughput may lie above the upper bound
)

// Bounds are the relevant bounds of one goal (draft, "Goal Result").
type Bounds struct {
	Goal Goal `json:"goal"`
	// Upper is the relevant upper bound, the lowest load that misses the goal;
	// nil if none is known.
	Upper *float64 `json:"upper"`
	// Lower is the relevant lower bound, the highest load below Upper that
	// meets the goal; nil if none is known. It is the ceiling to report. Without
	// Upper it is only what was reached.
	Lower *float64 `json:"lower"`
	// ConditionalThroughput is the forwarding rate to expect at Lower; 0 without.
	ConditionalThroughput float64 `json:"conditional_throughput"`
	// Width is the distance of the bounds over Upper; 0 unless both are known.
	Width float64 `json:"width"`
	// Regular is set if both bounds are known and no further apart than the
	// goal's width. Marks say why not, and what else is to be known.
	Regular bool     `json:"regular"`
	Marks   []string `json:"marks,omitempty"`
	// Trials and DurationSum are the number and effective duration of the
	// trials at the two bounds.
	Trials      int           `json:"trials"`
	DurationSum time.Duration `json:"duration_sum_ns"`
}

// LoadResult is one load that was tried.
type LoadResult struct {
	Load   float64 `json:"load"`
	Trials []Trial `json:"trials"` // in order of measurement
	// Classes has one entry for each goal, in the order of Result.Bounds.
	Classes []Classification `json:"classes"`
}

// Result is what a search found and all that it measured.
type Result struct {
	Bounds []Bounds     `json:"bounds"` // one for each goal, in the order given
	Loads  []LoadResult `json:"loads"`  // by rising load
	// WarmUp is the discarded trial of Config.WarmUp.
	WarmUp *Trial `json:"warm_up,omitempty"`
	// Trials and Duration are the number and effective duration of all trials,
	// the warm-up included.
	Trials   int           `json:"trials"`
	Duration time.Duration `json:"duration_ns"`
	// Stopped says why the search ended before every goal was settled.
	Stopped string `json:"stopped,omitempty"`
}

// Search finds the bounds of every goal with one set of trials. Loads tried are
// Config.Max and those below it by whole steps of the narrowest width, so that
// goals share them, and Config.Min; the choice depends on nothing but
// the outcomes.
//
// One trial at a load gives it a provisional side; the provisional bounds are
// closed in on, then both get full-length trials in turn, the less sure
// and then the lower first, until they are decided or one turns out to be on
// the other side.
//
// As the draft has it, a trial longer than a goal asks for counts for that goal
// too. A goal of 60 s trials thereby makes one of 1 s trials answer for whole
// minutes: search goals of unlike FinalTrialDuration apart if the shorter is to
// mean what it means alone.
//
// A spent budget is no error: Result.Stopped and marks say so. After an error of
// ctx or measure, the Result holds what was measured until then.
func Search(ctx context.Context, measure Measure, cfg Config, goals ...Goal) (Result, error) {
	s, err := newSearch(measure, cfg, goals)
	if err != nil {
		return Result{}, err
	}
	err = s.warm(ctx, s.first())
	for err == nil {
		index, d, more := s.next()
		if !more {
			break
		}
		err = s.measureAt(ctx, index, d)
	}
	return s.finish(err)
}

// errBudget ends a search without being an error of it.
var errBudget = errors.New("budget spent")

// point is a load of the grid that was tried.
type point struct {
	index   int
	trials  []Trial
	tallies []tally // by goal
}

// pursuit is one goal on its way.
type pursuit struct {
	goal   Goal
	exceed *big.Rat
	steps  int // the goal's width in steps of the grid
	// Provisional bounds: indices, or -1 and top+1 where there is none.
	lo, hi int
	// stride doubles while the bounds move one way; rising is that way.
	stride int
	rising bool
}

type search struct {
	measure  Measure
	cfg      Config
	grid     grid
	goals    []pursuit
	points   []*point // by rising index
	warmUp   *Trial
	trials   int
	duration time.Duration
}

func newSearch(measure Measure, cfg Config, goals []Goal) (*search, error) {
	errs := cfg.faults()
	if measure == nil {
		errs = append(errs, errors.New("no measure"))
	}
	if len(goals) == 0 {
		errs = append(errs, errors.New("no goal"))
	}
	step := 1.0
	for _, g := range goals {
		if err := g.Validate(); err != nil {
			errs = append(errs, err)
		}
		step = min(step, g.filled().Width)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("search: %w", errors.Join(errs...))
	}
	if cfg.MaxTrials == 0 {
		cfg.MaxTrials = DefaultMaxTrials
	}
	s := &search{measure: measure, cfg: cfg, grid: newGrid(cfg.Min, cfg.Max, step)}
	for _, g := range goals {
		g = g.filled()
		s.goals = append(s.goals, pursuit{
			goal: g, exceed: decimal(g.ExceedRatio), steps: s.grid.steps(g.Width), lo: -1, hi: s.grid.top + 1,
		})
	}
	return s, nil
}

func (s *search) first() int {
	if s.cfg.Hint == 0 {
		return s.grid.top
	}
	return s.grid.index(s.cfg.Hint)
}

// trial measures once, within the budget, and refuses an outcome that is none.
func (s *search) trial(ctx context.Context, load float64, d time.Duration) (Trial, error) {
	switch err := ctx.Err(); {
	case err != nil:
		return Trial{}, err
	case s.trials >= s.cfg.MaxTrials:
		return Trial{}, fmt.Errorf("%w: %d trials", errBudget, s.trials)
	case s.cfg.MaxDuration > 0 && d > s.cfg.MaxDuration-s.duration:
		return Trial{}, fmt.Errorf("%w: %v of trials, the next of %v would exceed %v",
			errBudget, s.duration, d, s.cfg.MaxDuration)
	}
	t, err := s.measure(ctx, load, d)
	if err == nil {
		t.Load = load
		if t.Duration == 0 {
			t.Duration = d
		}
		if t.Effective == 0 {
			t.Effective = t.Duration
		}
		switch {
		case t.Duration < d:
			err = fmt.Errorf("the trial lasted only %v", t.Duration)
		case t.Effective < 0 || t.Effective > math.MaxInt64-s.duration:
			err = fmt.Errorf("impossible effective duration %d ns", t.Effective)
		case t.Intended == 0:
			err = errors.New("the trial intended no frame: raise the min load or the trial duration")
		}
	}
	if err != nil {
		return Trial{}, fmt.Errorf("trial at load %v for %v: %w", load, d, err)
	}
	s.trials++
	s.duration += t.Effective
	t.Order = s.trials
	return t, nil
}

func (s *search) warm(ctx context.Context, index int) error {
	if s.cfg.WarmUp == 0 {
		return nil
	}
	t, err := s.trial(ctx, s.grid.load(index), s.cfg.WarmUp)
	if err == nil {
		s.warmUp = &t
	}
	return err
}

func (s *search) measureAt(ctx context.Context, index int, d time.Duration) error {
	t, err := s.trial(ctx, s.grid.load(index), d)
	if err != nil {
		return err
	}
	p := s.at(index)
	if p == nil {
		p = &point{index: index, tallies: make([]tally, len(s.goals))}
		i := sort.Search(len(s.points), func(i int) bool { return s.points[i].index > index })
		s.points = slices.Insert(s.points, i, p)
	}
	p.trials = append(p.trials, t)
	for i := range s.goals {
		p.tallies[i].add(&s.goals[i].goal, t)
		s.follow(i)
	}
	return nil
}

func (s *search) at(index int) *point {
	i, ok := slices.BinarySearchFunc(s.points, index, func(p *point, index int) int { return cmp.Compare(p.index, index) })
	if !ok {
		return nil
	}
	return s.points[i]
}

// follow sets a goal's provisional bounds anew: the lowest load that leans
// high, and the highest below it that does not.
func (s *search) follow(goal int) {
	g := &s.goals[goal]
	lo, hi := -1, s.grid.top+1
	for _, p := range s.points {
		if p.tallies[goal].leansHigh(g.exceed) {
			hi = p.index
			break
		}
		lo = p.index
	}
	if lo == g.lo && hi == g.hi {
		return
	}
	rising := lo > g.lo || hi > g.hi
	if rising == g.rising && g.stride > 0 {
		g.stride = min(2*g.stride, s.grid.top+1)
	} else {
		g.stride = 1
	}
	g.lo, g.hi, g.rising = lo, hi, rising
}

// wish is a trial that a goal wants.
type wish struct {
	index    int
	duration time.Duration
	settles  bool    // it adds to a provisional bound; else it looks for one
	evidence float64 // full-length trial time at index, in duration sums
}

// next chooses a trial, or says that every goal is settled.
func (s *search) next() (index int, d time.Duration, more bool) {
	var best wish
	for i := range s.goals {
		w, ok := s.wish(i)
		if ok && (!more || before(w, best)) {
			best, more = w, true
		}
	}
	return best.index, best.duration, more
}

// before orders wishes: first those that look for a bound, then the one with the
// least evidence, the lower load, the longer trial.
func before(a, b wish) bool {
	if a.settles != b.settles {
		return b.settles
	}
	return cmp.Or(
		cmp.Compare(a.evidence, b.evidence),
		cmp.Compare(a.index, b.index),
		cmp.Compare(b.duration, a.duration),
	) < 0
}

func (s *search) wish(goal int) (wish, bool) {
	g := &s.goals[goal]
	look := func(index int) (wish, bool) {
		return wish{index: index, duration: g.goal.InitialTrialDuration}, true
	}
	below, above := g.lo >= 0, g.hi <= s.grid.top
	reach := func(distance int) int { return int(min(int64(g.stride)*int64(g.steps), int64(distance))) }
	switch {
	case !below && !above:
		return look(s.first())
	case !above && g.lo < s.grid.top:
		if g.stride > 4 { // far off: the top tells the ceiling by its forwarding rate
			return look(s.grid.top)
		}
		return look(g.lo + reach(s.grid.top-g.lo))
	case !below && g.hi > 0:
		return look(min(g.hi-reach(g.hi), s.estimate(goal)))
	case below && above && g.hi-g.lo > g.steps:
		half := (g.hi - g.lo) / 2
		switch e := s.estimate(goal); {
		case e >= g.lo && e < g.lo+g.steps:
			return look(g.lo + g.steps)
		case g.rising && e > g.lo:
			return look(min(e, g.hi-1))
		case g.rising:
			return look(g.lo + reach(half))
		case e > g.lo:
			return look(min(e, g.hi-reach(half)))
		default:
			return look(g.hi - reach(half))
		}
	}
	var best wish
	found := false
	for _, index := range []int{g.lo, g.hi} {
		p := s.at(index)
		if p == nil {
			continue
		}
		t := &p.tallies[goal]
		if t.classify(g.exceed, g.goal.DurationSum).Class != Undecided {
			continue
		}
		full := t.fullLow + t.fullHigh
		w := wish{
			index: index, duration: g.goal.FinalTrialDuration, settles: true,
			evidence: full.Seconds() / g.goal.DurationSum.Seconds(),
		}
		if !found || before(w, best) {
			best, found = w, true
		}
	}
	return best, found
}

// estimate is where the forwarding rates at the provisional upper bound put the
// goal's ceiling: a system that forwards a constant rate under overload loses
// the goal's ratio at that rate / (1 - ratio).
func (s *search) estimate(goal int) int {
	g := &s.goals[goal]
	p := s.at(g.hi)
	rates := make([]float64, len(p.trials))
	for i, t := range p.trials {
		rates[i] = t.ForwardingRate()
	}
	slices.Sort(rates)
	rate := rates[len(rates)/2]
	return s.grid.index(float64(rate*(1+1e-12)) / (1 - g.goal.LossRatio))
}

// finish turns the points into a result; err is what ended the search early.
func (s *search) finish(err error) (Result, error) {
	r := Result{WarmUp: s.warmUp, Trials: s.trials, Duration: s.duration}
	mark := ""
	switch {
	case err == nil:
	case errors.Is(err, errBudget):
		mark, r.Stopped, err = MarkBudget, err.Error(), nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		mark, r.Stopped, err = MarkInterrupted, err.Error(), fmt.Errorf("search: %w", err)
	default:
		mark, r.Stopped, err = MarkFailed, err.Error(), fmt.Errorf("search: %w", err)
	}
	for _, p := range s.points {
		l := LoadResult{Load: s.grid.load(p.index), Trials: p.trials}
		for i, g := range s.goals {
			l.Classes = append(l.Classes, p.tallies[i].classify(g.exceed, g.goal.DurationSum))
		}
		r.Loads = append(r.Loads, l)
	}
	for i, g := range s.goals {
		b := relevant(g.goal, r.Loads, i, s.cfg)
		_, unsettled := s.wish(i)
		if mark != "" && unsettled {
			b.Marks = append(b.Marks, mark)
		}
		r.Bounds = append(r.Bounds, b)
	}
	return r, err
}

// relevant finds the relevant bounds of the i-th goal among loads, by the draft:
// the upper one is believed, a lower bound above it is a fluke.
func relevant(g Goal, loads []LoadResult, i int, cfg Config) Bounds {
	b := Bounds{Goal: g}
	var lower, upper *LoadResult
	inverted := false
	for k := range loads {
		l := &loads[k]
		switch class := l.Classes[i].Class; {
		case class == Upper && upper == nil:
			upper = l
		case class == Lower && upper == nil:
			lower = l
		case class == Lower:
			inverted = true
		}
	}
	impossible := false
	count := func(l *LoadResult) {
		b.Trials += len(l.Trials)
		for _, t := range l.Trials {
			b.DurationSum += t.effective()
			impossible = impossible || t.Impossible()
		}
	}
	if upper != nil {
		b.Upper = new(upper.Load)
		count(upper)
	}
	if lower != nil {
		b.Lower = new(lower.Load)
		b.ConditionalThroughput = ConditionalThroughput(g, lower.Load, lower.Trials)
		count(lower)
	}
	mark := func(when bool, m string) {
		if when {
			b.Marks = append(b.Marks, m)
		}
	}
	mark(upper == nil && lower != nil && lower.Load >= cfg.Max, MarkNeverLossy)
	mark(upper != nil && upper.Load <= cfg.Min, MarkAlwaysLossy)
	if lower != nil && upper != nil {
		b.Width = (upper.Load - lower.Load) / upper.Load
		b.Regular = within(upper.Load, lower.Load, g.Width)
		mark(!b.Regular, MarkWidth)
	}
	mark(inverted, MarkInversion)
	mark(impossible, MarkImpossible)
	mark(g.Width < g.LossRatio, MarkNarrow)
	return b
}
