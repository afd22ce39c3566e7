package analysis_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// heated says what a simulated board does at a time of its soak.
type heated struct {
	rate    func(at time.Duration) float64
	noise   float64                                    // of a trial, relative standard deviation
	celsius func(at time.Duration) float64             // nil: no sensor
	hz      func(at time.Duration) float64             // nil: the kernel does not tell
	loop    func(at time.Duration) float64             // ns; nil: not read
	flags   func(at time.Duration) meter.ThrottleFlags // nil: has none
	marks   func(at time.Duration) []string
}

var soakCell = trial.Cell{Engine: "e", Size: trial.Captured, Cache: "cold", Workers: 1}

func soakHeader(soak time.Duration) trial.Header {
	h := header(1)
	h.Plan.Engines, h.Plan.Sizes, h.Plan.Caches, h.Plan.Workers = []string{"e"}, []string{trial.Captured}, []string{"cold"}, []int{1}
	h.Plan.Soak, h.Plan.Trial = soak, 200*time.Millisecond
	return h
}

// records are those of a soak of ten minutes, as a study makes them: closed loops, a search in each window, the end.
func (b heated) records(seed uint64) []trial.Record {
	rng := rand.New(rand.NewPCG(seed, 2))
	const step = 200 * time.Millisecond
	var list []trial.Record
	sticky := meter.ThrottleFlags(0)
	add := func(kind, phase string, at time.Duration) *trial.Record {
		rate := b.rate(at) * (1 + b.noise*rng.NormFloat64())
		n := uint64(rate * step.Seconds())
		rec := trial.Record{
			Kind: kind, Cell: soakCell, Repeat: 1, At: at, Input: trial.Input{Duration: step, Phase: phase},
			Result:   replay.Result{Intended: n, Offered: n, Delivered: n, Served: n, Duration: step, Elapsed: step, Busy: step},
			Counters: parse.Counters{Frames: n, Octets: 100 * n, WireOctets: 200 * n},
		}
		u := &rec.Usage
		u.WallNs = int64(step)
		if b.celsius != nil {
			u.TemperatureBeforeMilliC = pointer(int64(1000 * b.celsius(at)))
			u.TemperatureAfterMilliC = pointer(int64(1000 * b.celsius(at+step)))
		}
		if b.hz != nil {
			u.FrequencyAfterHz = pointer(int64(b.hz(at)))
		}
		if b.loop != nil {
			u.CalibrationAfterNs = int64(b.loop(at))
		}
		if b.flags != nil {
			u.ThrottleBefore = pointer(b.flags(at) | sticky)
			sticky |= b.flags(at+step) << 16
			u.ThrottleAfter = pointer(b.flags(at+step) | sticky)
		}
		if b.marks != nil {
			rec.Marks = b.marks(at)
		}
		list = append(list, rec)
		return &list[len(list)-1]
	}
	found := func(phase string, rate float64) {
		lower, upper := 0.995*rate, rate
		list = append(list, trial.Record{
			Kind: trial.KindBounds, Cell: soakCell, Repeat: 1, Input: trial.Input{Phase: phase},
			Bounds: &search.Bounds{Goal: search.NDR(), Lower: &lower, Upper: &upper, ConditionalThroughput: lower, Regular: true},
		})
	}
	add(trial.KindWarmUp, "", 0)
	for at := step; at < 10*time.Minute; at += step {
		phase := trial.PhaseSoak
		switch {
		case at < time.Minute:
			phase = trial.PhaseFirst
		case at >= 9*time.Minute:
			phase = trial.PhaseLast
		}
		inWindow := at % time.Minute
		if phase != trial.PhaseSoak && inWindow >= 15*time.Second && inWindow < 30*time.Second {
			rec := add(trial.KindTrial, phase, at)
			rec.Input.Load = 1e6
			if inWindow+step >= 30*time.Second {
				found(phase, 0.98*b.rate(at))
			}
			continue
		}
		add(trial.KindService, phase, at)
	}
	return append(list, trial.Record{Kind: trial.KindSoak, Cell: soakCell, Repeat: 1})
}

func constant(v float64) func(time.Duration) float64 { return func(time.Duration) float64 { return v } }

// from has one value before and another after.
func from(when time.Duration, before, after float64) func(time.Duration) float64 {
	return func(at time.Duration) float64 {
		if at < when {
			return before
		}
		return after
	}
}

// warming goes from 45 to 85 °C with a time constant of two minutes.
func warming(at time.Duration) float64 { return 85 - 40*math.Exp(-at.Seconds()/120) }

func flagsFrom(when time.Duration, f meter.ThrottleFlags) func(time.Duration) meter.ThrottleFlags {
	return func(at time.Duration) meter.ThrottleFlags {
		if at < when {
			return 0
		}
		return f
	}
}

func TestSoakVerdicts(t *testing.T) {
	const fall = 4*time.Minute + 10*time.Second
	slow := from(fall, 1e6, 0.69e6)
	tests := []struct {
		name    string
		board   heated
		verdict string
		cause   string
		change  float64 // -1: any
		slower  time.Duration
	}{
		{"holds", heated{rate: constant(1e6), noise: 0.01, celsius: warming, flags: flagsFrom(0, 0), loop: constant(1000)},
			analysis.SoakHeld, "", 0, -1},
		{"holds without any sensor", heated{rate: constant(1e6), noise: 0.01}, analysis.SoakHeld, "", 0, -1},
		{"throttled by the flags", heated{rate: slow, noise: 0.01, celsius: warming, flags: flagsFrom(fall, meter.ThrottledNow|meter.FrequencyCapped),
			hz: from(fall, 1.4e9, 1.2e9)}, analysis.SoakFell, analysis.CauseThrottled, -0.31, fall},
		{"under-voltage only", heated{rate: slow, flags: flagsFrom(fall, meter.UnderVoltage)}, analysis.SoakFell,
			analysis.CauseUnderVoltage, -0.31, fall},
		{"the kernel's clock", heated{rate: slow, noise: 0.01, celsius: warming, hz: from(fall, 1.4e9, 1.0e9), loop: from(fall, 1000, 1400)},
			analysis.SoakFell, analysis.CauseClock, -0.31, fall},
		{"a clock that the kernel does not know of", heated{rate: slow, noise: 0.01, hz: constant(1.4e9), loop: from(fall, 1000, 1450)},
			analysis.SoakFell, analysis.CauseLoop, -0.31, fall},
		{"something else", heated{rate: slow, noise: 0.01, celsius: warming, hz: constant(1.4e9), loop: constant(1000)}, analysis.SoakFell,
			analysis.CauseNotClock, -0.31, fall},
		{"other work on the host", heated{rate: slow, noise: 0.01, loop: constant(1000), marks: func(at time.Duration) []string {
			if at < fall {
				return nil
			}
			return []string{trial.MarkHostBusy}
		}}, analysis.SoakFell, analysis.CauseHost, -0.31, fall},
		{"nothing to tell why", heated{rate: slow, noise: 0.01}, analysis.SoakFell, analysis.CauseUnknown, -0.31, fall},
		{"falls by less than what counts", heated{rate: from(fall, 1e6, 0.97e6), noise: 0.005}, analysis.SoakHeld, "", -0.03, -1},
		{"fell for a time", heated{rate: func(at time.Duration) float64 {
			if at > fall && at < fall+time.Minute {
				return 0.7e6
			}
			return 1e6
		}, noise: 0.01}, analysis.SoakHeld, "", 0, fall},
		{"one stall is no fall", heated{rate: func(at time.Duration) float64 {
			if at > fall && at < fall+3*time.Second {
				return 0.1e6
			}
			return 1e6
		}}, analysis.SoakHeld, "", 0, -1},
		{"rises", heated{rate: from(fall, 1e6, 1.2e6), noise: 0.01}, analysis.SoakHeld, "", 0.2, -1},
		{"the spread hides it", heated{rate: func(at time.Duration) float64 { // every other ten seconds a neighbour
			r := 1e6
			if int(at.Seconds())/10%2 == 0 {
				r = 0.7e6
			}
			return r
		}, noise: 0.02}, analysis.SoakUnclear, "", -1, -2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := analysis.Analyze(soakHeader(10*time.Minute), tt.board.records(1))
			if len(r.Soaks) != 1 {
				t.Fatalf("%d soaks", len(r.Soaks))
			}
			s := r.Soaks[0]
			if s.Verdict != tt.verdict || s.Cause != tt.cause {
				t.Errorf("%s (%s), want %s (%s); change %v %+v", s.Verdict, s.Cause, tt.verdict, tt.cause, *s.Change.Ratio, s.Change.Interval)
			}
			if tt.change != -1 && math.Abs(*s.Change.Ratio-tt.change) > 0.01 {
				t.Errorf("change %v, want %v", *s.Change.Ratio, tt.change)
			}
			if i := s.Change.Interval; !i.Valid() || i.Low > *s.Change.Ratio || i.High < *s.Change.Ratio {
				t.Errorf("interval %+v of %v", i, *s.Change.Ratio)
			}
			condition, err := analysis.ParseCondition("soak<-5%")
			if err != nil {
				t.Fatal(err)
			}
			matches, err := condition.Check(r.Measures())
			if (len(matches) == 1) != (tt.verdict == analysis.SoakFell) || (err != nil) != (tt.verdict == analysis.SoakUnclear) {
				t.Errorf("the condition %v: %v, error %v", condition, matches, err)
			}
			switch {
			case tt.slower == -1 && s.Slower != nil:
				t.Errorf("slower after %v, want never", *s.Slower)
			case tt.slower >= 0 && (s.Slower == nil || (*s.Slower-tt.slower).Abs() > time.Second):
				t.Errorf("slower after %v, want %v", s.Slower, tt.slower)
			}
			if s.Slower != nil && (s.SlowerMilliC == nil) != (tt.board.celsius == nil) {
				t.Errorf("temperature at the fall %v", s.SlowerMilliC)
			}
		})
	}
}

func TestSoakSaysTemperatureClockAndFlags(t *testing.T) {
	const fall = 5 * time.Minute
	b := heated{
		rate: from(fall, 1e6, 0.7e6), celsius: warming, hz: from(fall, 1.4e9, 1.2e9), loop: from(fall, 1200, 1500),
		// Up and down again within a trial: only the sticky flag tells.
		flags: func(at time.Duration) meter.ThrottleFlags {
			if at == fall {
				return meter.SoftTemperatureLimit
			}
			return 0
		},
	}
	r := analysis.Analyze(soakHeader(10*time.Minute), b.records(1))
	s := r.Soaks[0]
	milli := func(what string, got *int64, celsius float64) {
		t.Helper()
		if got == nil || math.Abs(float64(*got)-1000*celsius) > 100 {
			t.Errorf("%s: %v, want %.1f °C", what, got, celsius)
		}
	}
	milli("start", s.StartMilliC, 45)
	milli("most", s.MaxMilliC, warming(10*time.Minute))
	milli("end", s.EndMilliC, warming(10*time.Minute))
	milli("first window's end", s.First.EndMilliC, warming(time.Minute))
	milli("last window's begin", s.Last.BeginMilliC, warming(9*time.Minute))
	milli("at the fall", s.SlowerMilliC, warming(fall))
	if *s.First.Hz != 1.4e9 || *s.Last.Hz != 1.2e9 || *s.MinHz != 1.2e9 {
		t.Errorf("clocks %v, %v, least %v", *s.First.Hz, *s.Last.Hz, *s.MinHz)
	}
	if math.Abs(*s.LoopLast-0.8) > 1e-9 || math.Abs(*s.LoopMin-0.8) > 1e-9 {
		t.Errorf("by the loop %v, least %v, want 0.8", *s.LoopLast, *s.LoopMin)
	}
	if s.Throttle == nil || *s.Throttle != meter.SoftTemperatureLimit {
		t.Errorf("flags %v", s.Throttle)
	}
	if s.First.To < 59*time.Second || s.First.To > 61*time.Second || s.Last.From != 9*time.Minute {
		t.Errorf("windows to %v and from %v", s.First.To, s.Last.From)
	}
	g := s.Last.Goals[0]
	if g.Change == nil || math.Abs(g.Change.Ratio+0.3) > 1e-6 || g.Change.Low > -0.3 || g.Change.High < -0.3 {
		t.Errorf("change of the goal %+v", g.Change)
	}
	if r.Done != 1 || r.Planned != 1 {
		t.Errorf("%d of %d done", r.Done, r.Planned)
	}
	// What is not of soaks is of the last window.
	c := r.Ceilings[0]
	if math.Abs(c.Service.Median-0.7e6) > 10 || c.Service.N != 1 || len(c.Goals) != 1 || math.Abs(c.Goals[0].Rate.Median-0.995*0.98*0.7e6) > 1 {
		t.Errorf("the ceiling is not the last window's: %+v", c)
	}
	for _, m := range r.Measures() {
		if m.Metric == "soak" && math.Abs(m.Value+0.3) > 1e-3 || m.Metric == "service" && math.Abs(m.Value-0.7e6) > 10 {
			t.Errorf("measure %+v", m)
		}
	}
}

func TestSoakWithoutSensorsIsNil(t *testing.T) {
	s := analysis.Analyze(soakHeader(10*time.Minute), heated{rate: constant(1e6)}.records(1)).Soaks[0]
	if s.StartMilliC != nil || s.MaxMilliC != nil || s.EndMilliC != nil || s.MinHz != nil || s.LoopLast != nil || s.LoopMin != nil ||
		s.Throttle != nil || s.First.Hz != nil || s.First.LoopNS != nil || s.Last.MaxMilliC != nil {
		t.Errorf("what cannot be read has a value: %+v", s)
	}
}

func TestSoakUnfinished(t *testing.T) {
	all := heated{rate: constant(1e6), celsius: warming}.records(1)
	cut := func(phase string) int {
		for i, r := range all {
			if r.Input.Phase == phase {
				return i
			}
		}
		return 0
	}
	for name, n := range map[string]int{"in the first window": 20, "between": cut(trial.PhaseSoak) + 100, "in the last window": len(all) - 1} {
		t.Run(name, func(t *testing.T) {
			r := analysis.Analyze(soakHeader(10*time.Minute), all[:n])
			s := r.Soaks[0]
			if s.Ended || s.Verdict != analysis.SoakUnknown || r.Done != 0 || !strings.HasPrefix(r.Unfinished(), "unfinished: 0 of 1") {
				t.Errorf("verdict %s, ended %v, %d done", s.Verdict, s.Ended, r.Done)
			}
			noSoakMeasure(t, r, "the soak did not end")
		})
	}
	// Begun again: the earlier attempt changes nothing but the warning.
	again := append([]trial.Record{}, heated{rate: constant(5e6)}.records(2)[:400]...)
	for _, rec := range all {
		rec.Attempt = 1
		again = append(again, rec)
	}
	r := analysis.Analyze(soakHeader(10*time.Minute), again)
	if s := r.Soaks[0]; s.Verdict != analysis.SoakHeld || s.Attempt != 1 || r.Ceilings[0].Service.Median > 1.1e6 {
		t.Errorf("verdict %s, attempt %d, ceiling %v", s.Verdict, s.Attempt, r.Ceilings[0].Service.Median)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "interrupted 1 time") {
		t.Errorf("warnings %q", text)
	}
}

// noSoakMeasure checks that no condition on the soak is true or false, whatever its limit.
func noSoakMeasure(t *testing.T, r *analysis.Results, why string) {
	t.Helper()
	for _, text := range []string{"soak<-5%", "soak>=-5%", "soak<1", "soak>1"} {
		condition, err := analysis.ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		if matches, err := condition.Check(r.Measures()); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, error %v, want one with %q", text, matches, err, why)
		}
	}
}

// TestSoakIntervalHolds: on boards that do not change, the interval of the change holds 0 as often as it says, though closed
// loops that follow each other are alike, as on a real host.
func TestSoakIntervalHolds(t *testing.T) {
	missed, fell := 0, 0
	const boards = 40
	for seed := range uint64(boards) {
		rng := rand.New(rand.NewPCG(seed, 3))
		level := make([]float64, 601) // of a second, from an autoregression with a memory of two seconds or so
		for i := 1; i < len(level); i++ {
			level[i] = 0.6*level[i-1] + 0.01*rng.NormFloat64()
		}
		b := heated{rate: func(at time.Duration) float64 { return 1e6 * (1 + level[int(at.Seconds())]) }, noise: 0.001}
		windows := slices.DeleteFunc(b.records(seed), func(r trial.Record) bool { return r.Input.Phase == trial.PhaseSoak })
		s := analysis.Analyze(soakHeader(10*time.Minute), windows).Soaks[0]
		if i := s.Change.Interval; !i.Valid() || i.Low > 0 || i.High < 0 {
			missed++
		}
		if s.Verdict == analysis.SoakFell {
			fell++
		}
	}
	if missed > 2 || fell > 0 {
		t.Errorf("of %d boards that held, %d intervals miss it and %d are said to have fallen", boards, missed, fell)
	}
}

func TestSoakSearchWithoutTime(t *testing.T) {
	records := heated{rate: constant(1e6)}.records(1)
	for i := range records {
		if b := records[i].Bounds; b != nil {
			b.Upper, b.Regular, b.Marks = nil, false, []string{search.MarkBudget}
		}
	}
	r := analysis.Analyze(soakHeader(10*time.Minute), records)
	const why = "the search was not done when its window was over (shorten --trial or --sum, widen --width, or search fewer goals)"
	want := []string{
		"e captured cold: ndr is irregular in the first window: " + why,
		"e captured cold: ndr is irregular: " + why + " in 1 of 1 repeat",
	}
	if !slices.Equal(r.Warnings, want) {
		t.Errorf("warnings %q\nwant     %q", r.Warnings, want)
	}
	if s := r.Soaks[0]; !s.First.Goals[0].NoTime || !s.Last.Goals[0].NoTime || s.Last.Goals[0].Change != nil {
		t.Errorf("goals %+v, %+v", s.First.Goals, s.Last.Goals)
	}
	// The windows of a short soak grow with it.
	r = analysis.Analyze(soakHeader(time.Minute), records)
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "or soak longer) in 1 of") {
		t.Errorf("warnings %q", text)
	}
}

// Only what is regular in both windows can be compared: a lower bound without an upper says nothing of where the rate is.
func TestSoakComparesRegularGoalsOnly(t *testing.T) {
	type pair struct{ lower, upper *float64 }
	regular, wide := pair{pointer(0.999e6), pointer(1e6)}, pair{pointer(0.5e6), pointer(1e6)}
	tests := []struct {
		name        string
		first, last pair
		warning     string // of the first window
		changed     bool
	}{
		{"regular", regular, regular, "", true},
		{"too wide at first", wide, regular, "the bounds did not come within the width", false},
		{"too wide at last", regular, wide, "", false},
		{"no upper bound at first", pair{pointer(1e6), nil}, regular, "no load was too much (raise --max-load)", false},
		{"no upper bound at last", regular, pair{pointer(1e6), nil}, "", false},
		{"no lower bound at first", pair{nil, pointer(1e3)}, regular, "even the lowest load was too much", false},
		{"no lower bound at last", regular, pair{nil, pointer(1e3)}, "", false},
		{"a file says regular of nothing", pair{}, pair{}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			records := heated{rate: constant(1e6)}.records(1)
			for i := range records {
				b, found := records[i].Bounds, tt.first
				if b == nil {
					continue
				}
				if records[i].Input.Phase == trial.PhaseLast {
					found = tt.last
				}
				b.Lower, b.Upper, b.Regular, b.ConditionalThroughput = found.lower, found.upper, found == regular || found == (pair{}), 0
				if b.Lower != nil {
					b.ConditionalThroughput = *b.Lower
				}
			}
			r := analysis.Analyze(soakHeader(10*time.Minute), records)
			if c := r.Soaks[0].Last.Goals[0].Change; (c != nil) != tt.changed {
				t.Errorf("change %+v", c)
			} else if c != nil && (c.Ratio != 0 || math.Abs(c.Low+0.001) > 1e-9 || math.Abs(c.High-1/0.999+1) > 1e-9) {
				t.Errorf("change %+v, want 0 between the bounds", c)
			}
			var of string
			for _, w := range r.Warnings {
				if _, after, ok := strings.Cut(w, "ndr is irregular in the first window: "); ok {
					of = after
				}
			}
			if of != tt.warning {
				t.Errorf("warnings %q, want one with %q", r.Warnings, tt.warning)
			}
		})
	}
}

func TestSoakTooShort(t *testing.T) {
	all := heated{rate: constant(1e6)}.records(1)
	var some []trial.Record
	counts := map[string]int{}
	for _, r := range all {
		if counts[r.Kind+r.Input.Phase]++; counts[r.Kind+r.Input.Phase] <= 6 {
			some = append(some, r)
		}
	}
	r := analysis.Analyze(soakHeader(10*time.Minute), some)
	if s := r.Soaks[0]; s.Change.Interval.Valid() || s.Verdict != analysis.SoakUnknown || s.Change.Ratio == nil {
		t.Errorf("six trials in each window: %s, %+v", s.Verdict, s.Change)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "6 and 6 closed loops") {
		t.Errorf("warnings %q", text)
	}
	noSoakMeasure(t, r, "6 and 6 closed loops in the windows give no interval")
	if s := analysis.Analyze(soakHeader(time.Minute), []trial.Record{{Kind: trial.KindSoak, Cell: soakCell, Repeat: 1}}).Soaks[0]; s.Verdict != analysis.SoakUnknown {
		t.Errorf("a soak of nothing: %s", s.Verdict)
	}
}
