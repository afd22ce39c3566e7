package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// capacity is a system that forwards at most c a second, whatever the overload,
// in trials of many frames.
func capacity(c float64) Measure {
	return lossy(func(load float64, _ time.Duration) float64 { return 1 - c/load })
}

// lossy measures a loss ratio given by a function; below zero is none.
func lossy(ratio func(load float64, d time.Duration) float64) Measure {
	const intended = 1e9
	return func(_ context.Context, load float64, d time.Duration) (Trial, error) {
		lost := math.Ceil(intended * max(0, ratio(load, d)))
		return Trial{Intended: intended, Lost: uint64(lost)}, nil
	}
}

// noisy forwards c with a deviation sd, and one time in dips a tenth less, as a
// host that is stalled now and then.
func noisy(c, sd, dips float64, seed uint64) Measure {
	rng := rand.New(rand.NewPCG(seed, 99))
	return lossy(func(load float64, _ time.Duration) float64 {
		now := c * (1 + sd*rng.NormFloat64())
		if rng.Float64() < dips {
			now *= 0.9
		}
		return 1 - now/load
	})
}

func mustSearch(t *testing.T, m Measure, cfg Config, goals ...Goal) Result {
	t.Helper()
	r, err := Search(context.Background(), m, cfg, goals...)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, r, cfg)
	return r
}

// verify holds a result to the definitions, from its own table of loads.
func verify(t *testing.T, r Result, cfg Config) {
	t.Helper()
	trials, orders := 0, make(map[int]bool)
	last := 0.0
	for _, l := range r.Loads {
		if l.Load < cfg.Min || l.Load > cfg.Max || l.Load <= last {
			t.Errorf("load %v after %v, outside [%v, %v] or out of order", l.Load, last, cfg.Min, cfg.Max)
		}
		last = l.Load
		trials += len(l.Trials)
		for _, trial := range l.Trials {
			orders[trial.Order] = true
		}
		for i, b := range r.Bounds {
			class, _, _ := naive(b.Goal, l.Trials)
			if l.Classes[i].Class != class {
				t.Errorf("load %v, goal %s: class %v, want %v", l.Load, b.Goal.Name, l.Classes[i].Class, class)
			}
		}
	}
	if r.WarmUp != nil {
		trials++
		orders[r.WarmUp.Order] = true
	}
	if trials != r.Trials || len(orders) != trials {
		t.Errorf("%d trials in the table with %d orders, %d counted", trials, len(orders), r.Trials)
	}
	for i, b := range r.Bounds {
		var lower, upper *float64
		for _, l := range slices.Backward(r.Loads) {
			if l.Classes[i].Class == Upper {
				upper = &l.Load
			}
		}
		for _, l := range r.Loads {
			if l.Classes[i].Class == Lower && (upper == nil || l.Load < *upper) {
				lower = &l.Load
			}
		}
		if !reflect.DeepEqual(b.Lower, lower) || !reflect.DeepEqual(b.Upper, upper) {
			t.Errorf("goal %s: bounds %s, want %s", b.Goal.Name, bounds(b), bounds(Bounds{Lower: lower, Upper: upper}))
		}
		wide := lower == nil || upper == nil || (*upper-*lower)/(*upper) > b.Goal.Width*(1+1e-8)
		if b.Regular == wide {
			t.Errorf("goal %s: %s regular %v", b.Goal.Name, bounds(b), b.Regular)
		}
		if !b.Regular && len(b.Marks) == 0 {
			t.Errorf("goal %s: %s irregular without a mark", b.Goal.Name, bounds(b))
		}
		if r.Stopped == "" && !b.Regular && !slices.Contains(b.Marks, MarkNeverLossy) &&
			!slices.Contains(b.Marks, MarkAlwaysLossy) {
			t.Errorf("goal %s: %s settled with %q", b.Goal.Name, bounds(b), b.Marks)
		}
	}
}

func bounds(b Bounds) string {
	text := func(p *float64) string {
		if p == nil {
			return "none"
		}
		return fmt.Sprint(*p)
	}
	return text(b.Lower) + " .. " + text(b.Upper)
}

func encloses(b Bounds, c float64) bool {
	return b.Regular && *b.Lower <= c*(1+1e-8) && c < *b.Upper
}

// The runs of the reference implementation that the project compares itself
// with took so many trials.
func TestSearchReference(t *testing.T) {
	withExceed := func(e float64) []Goal {
		ndr, pdr := NDR(), PDR(0.005)
		ndr.ExceedRatio, pdr.ExceedRatio = e, e
		return []Goal{ndr, pdr}
	}
	for _, row := range []struct {
		c, min, max, exceed float64
		trials              int
	}{
		{1e6, 1e3, 1e9, 0.005, 45},
		{1e6, 1e3, 1e9, 0.5, 35},
		{7300, 100, 1e6, 0.5, 35},
		{2e6, 100, 1e6, 0.5, 11},
	} {
		r := mustSearch(t, capacity(row.c), Config{Min: row.min, Max: row.max}, withExceed(row.exceed)...)
		t.Logf("C %v, E %v: %d trials; ndr %s, pdr %s", row.c, row.exceed, r.Trials, bounds(r.Bounds[0]), bounds(r.Bounds[1]))
		if r.Trials > row.trials {
			t.Errorf("C %v, E %v: %d trials, the reference takes %d", row.c, row.exceed, r.Trials, row.trials)
		}
		for _, b := range r.Bounds {
			if row.c > row.max {
				if b.Regular || b.Upper != nil || *b.Lower != row.max || !slices.Equal(b.Marks[:1], []string{MarkNeverLossy}) {
					t.Errorf("C %v above max: got %s %q", row.c, bounds(b), b.Marks)
				}
				continue
			}
			c := row.c / (1 - b.Goal.LossRatio)
			if !encloses(b, c) {
				t.Errorf("C %v, E %v, %s: %s does not enclose %v", row.c, row.exceed, b.Goal.Name, bounds(b), c)
			}
			if math.Abs(b.ConditionalThroughput-row.c) > row.c*b.Goal.Width {
				t.Errorf("C %v, %s: conditional throughput %v", row.c, b.Goal.Name, b.ConditionalThroughput)
			}
		}
	}
}

func TestSearchDeterministicCapacity(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	type spent struct{ runs, trials, most int }
	cost := make(map[string]*spent)
	for range 250 {
		c := math.Exp(rng.Float64()*math.Log(1e6)) * 1e3
		cfg := Config{Min: c / (2 + 1e3*rng.Float64()), Max: c * (2 + 1e3*rng.Float64())}
		hints := map[string]float64{
			"absent": 0, "good": c * (0.998 + 0.004*rng.Float64()),
			"30 % high": c * 1.3, "30 % low": c * 0.7,
			"below min": cfg.Min / 2, "above max": cfg.Max * 2,
		}
		for name, hint := range hints {
			cfg.Hint = hint
			r := mustSearch(t, capacity(c), cfg, NDR(), PDR(0.005))
			for _, b := range r.Bounds {
				if want := c / (1 - b.Goal.LossRatio); !encloses(b, want) {
					t.Errorf("C %v, hint %s, %s: %s does not enclose %v", c, name, b.Goal.Name, bounds(b), want)
				}
			}
			if cost[name] == nil {
				cost[name] = new(spent)
			}
			cost[name].runs++
			cost[name].trials += r.Trials
			cost[name].most = max(cost[name].most, r.Trials)
		}
	}
	for name, s := range cost {
		t.Logf("hint %s: mean %.1f, most %d trials", name, float64(s.trials)/float64(s.runs), s.most)
		if s.most > 45+11 { // two bounds shared, or four apart
			t.Errorf("hint %s: %d trials", name, s.most)
		}
	}
}

// A system that collapses under overload misleads the estimate from its
// forwarding rate; the bounds must not care.
func TestSearchShapes(t *testing.T) {
	const c = 54321.0
	for _, row := range []struct {
		name string
		loss func(load float64, d time.Duration) float64
	}{
		{"flat", func(load float64, _ time.Duration) float64 { return 1 - c/load }},
		{"collapse to nothing", func(load float64, _ time.Duration) float64 { return math.Ceil(load/c) - 1 }},
		{"livelock", func(load float64, _ time.Duration) float64 { return 1 - math.Pow(c/load, 3) }},
		{"one frame in a million lost above", func(load float64, _ time.Duration) float64 {
			if load > c {
				return 1e-6
			}
			return 0
		}},
		{"quantised to steps of 100", func(load float64, _ time.Duration) float64 {
			return 1 - c/(math.Floor(load/100)*100)
		}},
	} {
		for _, hint := range []float64{0, c, c / 50, c * 3} {
			r := mustSearch(t, lossy(row.loss), Config{Min: 100, Max: 1e7, Hint: hint}, NDR())
			b, want := r.Bounds[0], c
			if row.name == "quantised to steps of 100" {
				want = 54400 // the first load that offers more than c
			}
			if !encloses(b, want) {
				t.Errorf("%s, hint %v: %s does not enclose %v", row.name, hint, bounds(b), want)
			}
			if r.Trials > 65 {
				t.Errorf("%s, hint %v: %d trials", row.name, hint, r.Trials)
			}
		}
	}
}

func TestSearchNoisyCapacity(t *testing.T) {
	const c = 1e6
	for _, row := range []struct {
		sd, dips  float64
		tolerance float64 // of the mean lower bound, relative
		trials    float64 // mean at most
	}{
		{0, 0, 0.006, 36},
		{0.002, 0, 0.008, 60},
		{0.002, 0.05, 0.008, 60},
		{0.002, 0.30, 0.02, 90},
	} {
		const seeds = 60
		var ndr, pdr, trials float64
		for seed := range uint64(seeds) {
			r := mustSearch(t, noisy(c, row.sd, row.dips, seed), Config{Min: 1e3, Max: 1e9}, NDR(), PDR(0.005))
			ndr += *r.Bounds[0].Lower / seeds
			pdr += *r.Bounds[1].Lower / seeds
			trials += float64(r.Trials) / seeds
		}
		t.Logf("sd %v, dips %v: mean ndr %.1f, pdr %.1f, %.1f trials", row.sd, row.dips, ndr, pdr, trials)
		if math.Abs(ndr-c) > c*row.tolerance || math.Abs(pdr-c/0.995) > c*row.tolerance || trials > row.trials {
			t.Errorf("sd %v, dips %v: mean ndr %v, pdr %v, %v trials", row.sd, row.dips, ndr, pdr, trials)
		}
	}
}

// The worst minute is another question than the typical second: with a dip in
// most minutes, exceed ratio 0 finds the rate of the dips.
func TestSearchWorstMinute(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const c = 1e6
	minute := lossy(func(load float64, d time.Duration) float64 {
		var lost float64
		for range int(d.Seconds()) {
			now := c
			if rng.Float64() < 0.3 {
				now *= 0.9
			}
			lost += max(0, 1-now/load) / d.Seconds()
		}
		return lost
	})
	cfg := Config{Min: 1e3, Max: 1e9}
	worst := *mustSearch(t, minute, cfg, RFC2544()).Bounds[0].Lower
	typical := *mustSearch(t, minute, cfg, NDR()).Bounds[0].Lower
	if worst < 0.89*c || worst > 0.905*c || typical < 0.97*c {
		t.Errorf("rfc2544 %v, ndr %v", worst, typical)
	}
}

// A queue of k frames that is drained after the trial hides k losses: the
// ceiling comes out k/d too high, and never more.
func TestSearchBufferBias(t *testing.T) {
	const c, k = 1e5, 4096.0
	buffered := lossy(func(load float64, d time.Duration) float64 {
		frames := load * d.Seconds()
		return (frames - c*d.Seconds() - k) / frames
	})
	for _, d := range []time.Duration{time.Second / 10, time.Second, 10 * time.Second} {
		g := NDR()
		g.FinalTrialDuration, g.InitialTrialDuration, g.DurationSum = d, d, 21*d
		r := mustSearch(t, buffered, Config{Min: 1e3, Max: 1e7}, g)
		if b, want := r.Bounds[0], c+k/d.Seconds(); !encloses(b, want) {
			t.Errorf("trials of %v: %s does not enclose %v", d, bounds(b), want)
		}
	}
	// Short first trials are deceived more, but only full-length ones prove.
	g := NDR()
	g.FinalTrialDuration, g.DurationSum, g.InitialTrialDuration = 10*time.Second, 210*time.Second, time.Second/10
	r := mustSearch(t, buffered, Config{Min: 1e3, Max: 1e7}, g)
	if b, want := r.Bounds[0], c+k/10; !encloses(b, want) {
		t.Errorf("short first trials: %s does not enclose %v", bounds(b), want)
	}
}

func TestSearchInitialTrials(t *testing.T) {
	g := NDR()
	g.InitialTrialDuration, g.FinalTrialDuration, g.DurationSum = time.Second, time.Minute, time.Minute
	g.ExceedRatio = 0
	r := mustSearch(t, capacity(5e4), Config{Min: 100, Max: 1e6}, g)
	if !encloses(r.Bounds[0], 5e4) {
		t.Errorf("got %s", bounds(r.Bounds[0]))
	}
	if limit := 70 * time.Second; r.Duration > limit { // one minute proves; the lossy side needs no full trial
		t.Errorf("took %v of trials, want at most %v", r.Duration, limit)
	}
}

func TestSearchInversion(t *testing.T) {
	// Lossy between 40,000 and 42,000 (a bad batch size, say) and above 90,000.
	gap := func(load float64, _ time.Duration) float64 {
		if load > 4e4 && load < 4.2e4 || load > 9e4 {
			return 0.02
		}
		return 0
	}
	for _, row := range []struct {
		name     string
		hint     float64
		want     float64
		inverted bool
	}{
		{"never seen", 8e4, 9e4, false},
		{"started inside", 4.1e4, 4e4, false},
	} {
		r := mustSearch(t, lossy(gap), Config{Min: 1e3, Max: 1e6, Hint: row.hint}, NDR())
		if b := r.Bounds[0]; !encloses(b, row.want) || slices.Contains(b.Marks, MarkInversion) != row.inverted {
			t.Errorf("%s: %s %q", row.name, bounds(b), b.Marks)
		}
	}
	// A load that turns bad after higher ones were proved: the ndr goal is
	// settled below 60,000 first, then a goal with long trials meets the loss.
	turned := lossy(func(load float64, d time.Duration) float64 {
		if d >= time.Minute && load > 3e4 || load > 6e4 {
			return 0.02
		}
		return 0
	})
	r := mustSearch(t, turned, Config{Min: 1e3, Max: 1e5}, NDR(), RFC2544())
	if b := r.Bounds[1]; !encloses(b, 3e4) {
		t.Errorf("long trials: %s %q", bounds(b), b.Marks)
	}
}

func TestRelevantBounds(t *testing.T) {
	load := func(x float64, c Class) LoadResult {
		return LoadResult{Load: x, Classes: []Classification{{Class: c}}}
	}
	for _, row := range []struct {
		name  string
		loads []LoadResult
		want  string
		marks []string
	}{
		{"nothing", nil, "none .. none", nil},
		{"plain", []LoadResult{load(100, Lower), load(100.4, Upper)}, "100 .. 100.4", nil},
		{"lower above upper is a fluke", []LoadResult{load(100, Lower), load(100.4, Upper), load(101, Lower),
			load(102, Upper)}, "100 .. 100.4", []string{MarkInversion}},
		{"undecided between", []LoadResult{load(100, Lower), load(100.2, Undecided), load(120, Upper)},
			"100 .. 120", []string{MarkWidth}},
		{"never lossy", []LoadResult{load(100, Lower), load(1000, Lower)}, "1000 .. none", []string{MarkNeverLossy}},
		{"always lossy", []LoadResult{load(10, Upper), load(100, Upper)}, "none .. 10", []string{MarkAlwaysLossy}},
		{"inverted at the lowest", []LoadResult{load(10, Upper), load(100, Lower)}, "none .. 10",
			[]string{MarkAlwaysLossy, MarkInversion}},
	} {
		b := relevant(NDR(), row.loads, 0, Config{Min: 10, Max: 1000})
		if bounds(b) != row.want || !slices.Equal(b.Marks, row.marks) || b.Regular != (row.name == "plain" ||
			row.name == "lower above upper is a fluke") {
			t.Errorf("%s: got %s %q regular %v, want %s %q", row.name, bounds(b), b.Marks, b.Regular, row.want, row.marks)
		}
	}
}

func TestSearchAlwaysAndNeverLossy(t *testing.T) {
	for _, hint := range []float64{0, 100, 500, 1000} {
		cfg := Config{Min: 100, Max: 1000, Hint: hint}
		r := mustSearch(t, capacity(10), cfg, NDR(), PDR(0.005))
		for _, b := range r.Bounds {
			if b.Lower != nil || *b.Upper != 100 || b.Marks[0] != MarkAlwaysLossy || b.ConditionalThroughput != 0 {
				t.Errorf("always lossy, hint %v: %s %q", hint, bounds(b), b.Marks)
			}
		}
		r = mustSearch(t, capacity(1e6), cfg, NDR(), PDR(0.005))
		for _, b := range r.Bounds {
			if b.Upper != nil || *b.Lower != 1000 || b.Marks[0] != MarkNeverLossy || b.ConditionalThroughput != 1000 {
				t.Errorf("never lossy, hint %v: %s %q", hint, bounds(b), b.Marks)
			}
		}
		if r.Trials > 11+5 {
			t.Errorf("never lossy, hint %v: %d trials", hint, r.Trials)
		}
	}
	r := mustSearch(t, capacity(1e6), Config{Min: 100, Max: 100}, NDR())
	if b := r.Bounds[0]; *b.Lower != 100 || r.Trials != 11 {
		t.Errorf("a single load: %s, %d trials", bounds(b), r.Trials)
	}
}

func TestSearchWidths(t *testing.T) {
	wide := NDR()
	wide.Name, wide.Width = "wide", 0.05
	narrow := PDR(0.02) // the loss allowed is wider than the width
	r := mustSearch(t, capacity(777), Config{Min: 1, Max: 1e6}, wide, narrow)
	if !encloses(r.Bounds[0], 777) || !encloses(r.Bounds[1], 777/0.98) {
		t.Errorf("got %s and %s", bounds(r.Bounds[0]), bounds(r.Bounds[1]))
	}
	if !slices.Contains(r.Bounds[1].Marks, MarkNarrow) || slices.Contains(r.Bounds[0].Marks, MarkNarrow) {
		t.Errorf("marks %q and %q", r.Bounds[0].Marks, r.Bounds[1].Marks)
	}
	narrow.Width = MinWidth
	r = mustSearch(t, capacity(777), Config{Min: 1, Max: 1e6}, narrow)
	if !encloses(r.Bounds[0], 777/0.98) || r.Trials > 60 {
		t.Errorf("width %v: %s, %d trials", MinWidth, bounds(r.Bounds[0]), r.Trials)
	}
}

func TestSearchBudget(t *testing.T) {
	full := mustSearch(t, noisy(1e6, 0.002, 0.05, 1), Config{Min: 1e3, Max: 1e9}, NDR(), PDR(0.005))
	for n := 1; n <= full.Trials; n++ {
		r := mustSearch(t, noisy(1e6, 0.002, 0.05, 1), Config{Min: 1e3, Max: 1e9, MaxTrials: n}, NDR(), PDR(0.005))
		if r.Trials != n || (r.Stopped == "") != (n == full.Trials) {
			t.Errorf("budget %d of %d: %d trials, stopped %q", n, full.Trials, r.Trials, r.Stopped)
		}
		for _, b := range r.Bounds {
			if slices.Contains(b.Marks, MarkBudget) && b.Regular || n < 11 && !slices.Contains(b.Marks, MarkBudget) {
				t.Errorf("budget %d: %s regular %v, marks %q", n, bounds(b), b.Regular, b.Marks)
			}
		}
	}
	r := mustSearch(t, capacity(1e6), Config{Min: 1e3, Max: 1e9, MaxDuration: 5500 * time.Millisecond}, NDR())
	if r.Duration != 5*time.Second || !strings.Contains(r.Stopped, "budget spent") {
		t.Errorf("duration budget: %v, stopped %q", r.Duration, r.Stopped)
	}
}

func TestSearchStops(t *testing.T) {
	broken := errors.New("cable fell out")
	for _, row := range []struct {
		name   string
		at     int
		stop   func(cancel func()) error
		is     error
		mark   string
		trials int
	}{
		{"cancelled within a trial", 7, func(cancel func()) error { cancel(); return context.Canceled },
			context.Canceled, MarkInterrupted, 6},
		{"cancelled, yet the trial was done", 7, func(cancel func()) error { cancel(); return nil },
			context.Canceled, MarkInterrupted, 7},
		{"failed", 7, func(func()) error { return broken }, broken, MarkFailed, 6},
		{"failed at once", 1, func(func()) error { return broken }, broken, MarkFailed, 0},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		sut, calls := capacity(1e6), 0
		cfg := Config{Min: 1e3, Max: 1e9}
		r, err := Search(ctx, func(ctx context.Context, load float64, d time.Duration) (Trial, error) {
			if calls++; calls == row.at {
				if err := row.stop(cancel); err != nil {
					return Trial{}, err
				}
			}
			return sut(ctx, load, d)
		}, cfg, NDR(), PDR(0.005))
		cancel()
		if !errors.Is(err, row.is) || r.Stopped == "" {
			t.Errorf("%s: error %v, stopped %q", row.name, err, r.Stopped)
		}
		if r.Trials != row.trials || len(r.Bounds) != 2 || !slices.Contains(r.Bounds[0].Marks, row.mark) {
			t.Errorf("%s: %d trials, bounds %+v", row.name, r.Trials, r.Bounds)
		}
		verify(t, r, cfg)
	}
}

func TestSearchRefusesOutcomes(t *testing.T) {
	for _, row := range []struct {
		name  string
		trial Trial
		want  string
	}{
		{"nothing intended", Trial{}, "no frame"},
		{"too short", Trial{Duration: time.Millisecond, Intended: 1}, "lasted only 1ms"},
		{"negative effective duration", Trial{Effective: -1, Intended: 1}, "effective"},
		{"sum of durations overflows", Trial{Effective: math.MaxInt64, Intended: 1, Lost: 1}, "effective"},
	} {
		_, err := Search(context.Background(), func(context.Context, float64, time.Duration) (Trial, error) {
			return row.trial, nil
		}, Config{Min: 10, Max: 20}, NDR())
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), "trial at load 1") && !strings.Contains(err.Error(), "trial at load 20 for 1s") {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestSearchImpossibleLoss(t *testing.T) {
	const c = 1e6
	sut := capacity(c)
	r := mustSearch(t, func(ctx context.Context, load float64, d time.Duration) (Trial, error) {
		trial, err := sut(ctx, load, d)
		if trial.Lost == 0 {
			trial.Lost-- // one more came than was sent
		}
		return trial, err
	}, Config{Min: 1e3, Max: 1e9}, NDR())
	if b := r.Bounds[0]; !encloses(b, c) || !slices.Contains(b.Marks, MarkImpossible) {
		t.Errorf("%s %q", bounds(b), b.Marks)
	}
}

func TestSearchRefusesConfig(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	bad := NDR()
	bad.Name, bad.ExceedRatio = "odd", nan
	for _, row := range []struct {
		name  string
		cfg   Config
		goals []Goal
		want  []string
	}{
		{"zero", Config{}, nil, []string{"min load 0", "max load 0", "no goal"}},
		{"nan", Config{Min: nan, Max: nan, Hint: nan}, []Goal{bad},
			[]string{"min load NaN", "max load NaN", "hint NaN", `"odd"`, "exceed ratio NaN"}},
		{"infinite", Config{Min: 1, Max: inf, Hint: inf}, []Goal{NDR()}, []string{"max load +Inf", "hint +Inf"}},
		{"negative", Config{Min: -1, Max: -2, Hint: -3, WarmUp: -4, MaxTrials: -5, MaxDuration: -6}, []Goal{NDR()},
			[]string{"min load -1", "max load -2", "hint -3", "warm-up", "max trials -5", "max duration"}},
		{"crossed", Config{Min: 2, Max: 1}, []Goal{NDR()}, []string{"at least the min load 2"}},
	} {
		calls := 0
		_, err := Search(context.Background(), func(context.Context, float64, time.Duration) (Trial, error) {
			calls++
			return Trial{}, nil
		}, row.cfg, row.goals...)
		for _, want := range row.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v lacks %q", row.name, err, want)
			}
		}
		if calls > 0 {
			t.Errorf("%s: measured", row.name)
		}
	}
	if _, err := Search(context.Background(), nil, Config{Min: 1, Max: 2}, NDR()); err == nil {
		t.Error("no measure: no error")
	}
}

func TestSearchWarmUp(t *testing.T) {
	calls := 0
	sut := capacity(1e6)
	cold := func(ctx context.Context, load float64, d time.Duration) (Trial, error) {
		if calls++; calls == 1 {
			return Trial{Intended: 100, Lost: 100}, nil
		}
		return sut(ctx, load, d)
	}
	r := mustSearch(t, cold, Config{Min: 1e3, Max: 1e9, Hint: 1e6, WarmUp: time.Second / 2}, NDR())
	if r.WarmUp == nil || r.WarmUp.Lost != 100 || r.WarmUp.Duration != time.Second/2 || r.WarmUp.Order != 1 {
		t.Errorf("warm-up %+v", r.WarmUp)
	}
	if !encloses(r.Bounds[0], 1e6) || r.Trials > 24 {
		t.Errorf("%s in %d trials", bounds(r.Bounds[0]), r.Trials)
	}
}

func TestSearchIsDeterministic(t *testing.T) {
	run := func() Result {
		return mustSearch(t, noisy(12345, 0.01, 0.1, 8), Config{Min: 10, Max: 1e6, Hint: 13000}, NDR(), PDR(0.005))
	}
	a, _ := json.Marshal(run())
	b, _ := json.Marshal(run())
	if string(a) != string(b) {
		t.Error("equal outcomes, different searches")
	}
	var back Result
	if err := json.Unmarshal(a, &back); err != nil || !reflect.DeepEqual(back, run()) {
		t.Errorf("JSON does not hold the result: %v", err)
	}
}

func TestGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		low := math.Exp(rng.Float64() * 20)
		high := low * math.Exp(rng.Float64()*10)
		step := math.Exp(-rng.Float64()*6) / 2
		g := newGrid(low, high, step)
		if g.load(0) != low || g.load(g.top) != high {
			t.Fatalf("%v..%v by %v: ends %v, %v", low, high, step, g.load(0), g.load(g.top))
		}
		for i := range g.top {
			if lower, upper := g.load(i), g.load(i+1); !(lower < upper) || !within(upper, lower, step) {
				t.Fatalf("%v..%v by %v: step %v to %v", low, high, step, lower, upper)
			}
			if got := g.index(g.load(i)); got != i {
				t.Fatalf("%v..%v by %v: index of load %d is %d", low, high, step, i, got)
			}
		}
		for range 20 {
			x := low * math.Exp(rng.Float64()*12-1)
			switch i := g.index(x); {
			case i > 0 && g.load(i) > x, i < g.top && g.load(i+1) <= x:
				t.Fatalf("%v..%v by %v: index %d of %v", low, high, step, i, x)
			}
		}
		width := min(step*3.5, 0.99)
		if n := g.steps(width); n > 1 && 1-math.Pow(1-step, float64(n)) > width*(1+1e-8) {
			t.Fatalf("step %v: %d of them exceed width %v", step, n, width)
		}
	}
	if n := newGrid(1e-150, 1e150, MinWidth).top; n < 690e6 || n > 691e6 {
		t.Errorf("%d steps over the widest range", n)
	}
}

// FuzzSearch feeds a search any outcomes: it must end within its budget, stay
// within its loads and report what the definitions say of its trials.
func FuzzSearch(f *testing.F) {
	f.Add(uint64(1), []byte{0, 0, 0}, uint16(300), uint8(0))
	f.Add(uint64(2), []byte{255, 0, 128, 1, 7}, uint16(50), uint8(1))
	f.Add(uint64(3), []byte{1, 0}, uint16(1000), uint8(2))
	f.Add(uint64(4), []byte{}, uint16(10), uint8(3))
	f.Add(uint64(5), []byte{9, 200, 3, 0, 0, 0, 5}, uint16(999), uint8(7))
	f.Fuzz(func(t *testing.T, seed uint64, outcomes []byte, limit uint16, variant uint8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		goals := []Goal{NDR(), PDR(0.005)}
		for i := range goals {
			g := &goals[i]
			g.ExceedRatio = []float64{0, 0.005, 0.2, 0.5}[rng.IntN(4)]
			g.Width = []float64{0.005, 0.02, 0.3}[rng.IntN(3)]
			if variant&1 != 0 {
				g.InitialTrialDuration = time.Second / time.Duration(1+rng.IntN(5))
			}
			if variant&2 != 0 {
				g.FinalTrialDuration *= time.Duration(1 + rng.IntN(30))
			}
		}
		cfg := Config{Min: 1 + rng.Float64(), MaxTrials: 1 + int(limit%1000)}
		cfg.Max = cfg.Min * math.Exp(15*rng.Float64())
		if variant&4 != 0 {
			cfg.Hint = cfg.Min * math.Exp(16*rng.Float64()-0.5)
		}
		next := 0
		r, err := Search(context.Background(), func(_ context.Context, load float64, d time.Duration) (Trial, error) {
			if load < cfg.Min || load > cfg.Max || d <= 0 {
				t.Fatalf("asked for load %v for %v", load, d)
			}
			lost := rng.Uint64N(256)
			if len(outcomes) > 0 {
				lost = uint64(outcomes[next%len(outcomes)])
			}
			next++
			return Trial{Intended: 255, Lost: lost * lost / 256}, nil
		}, cfg, goals...)
		if err != nil {
			t.Fatal(err)
		}
		if r.Trials > cfg.MaxTrials || r.Trials != next {
			t.Fatalf("%d trials, %d measured, budget %d", r.Trials, next, cfg.MaxTrials)
		}
		verify(t, r, cfg)
	})
}
