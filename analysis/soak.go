package analysis

import (
	"maps"
	"math"
	"slices"
	"time"

	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// SoakFall is the share of the first window's rate by which the rate of a soak must fall to be called lower.
const SoakFall = 0.05

// Soak is what happened to one repeat of a cell while it was kept busy. Times are from its first trial.
type Soak struct {
	Cell    trial.Cell     `json:"cell"`
	Repeat  int            `json:"repeat"`
	Attempt int            `json:"attempt,omitempty"` // how often it was begun before and interrupted
	Ended   bool           `json:"ended"`             // it came to its end
	Cooling *trial.Cooling `json:"cooling,omitempty"` // how it waited before its start; nil: it did not

	First   SoakWindow `json:"first"`
	Between SoakWindow `json:"between"` // closed loops only
	Last    SoakWindow `json:"last"`
	Change  Change     `json:"change"` // of the service ceiling from the first window to the last

	// Slower is when the rate first was lower by more than SoakFall for a sixth of a window; nil: never. SlowerMilliC is
	// the temperature then.
	Slower       *time.Duration `json:"slower_after_ns"`
	SlowerMilliC *int64         `json:"slower_milli_c"`

	// Temperatures of the whole soak in thousandths of a degree Celsius; nil: n/a.
	StartMilliC *int64 `json:"start_milli_c"`
	MaxMilliC   *int64 `json:"max_milli_c"`
	EndMilliC   *int64 `json:"end_milli_c"`
	// MinHz is the lowest clock that the kernel told after a trial.
	MinHz *int64 `json:"min_hz"`
	// LoopLast and LoopMin are the clock of the last window and the lowest of a sixth of a window by meter's calibration loop, in
	// first windows' clocks.
	LoopLast *float64 `json:"loop_last"`
	LoopMin  *float64 `json:"loop_min"`
	// Throttle has every flag of the board that was up in some trial, as flags of now; nil: it has none to read.
	Throttle *meter.ThrottleFlags `json:"throttle"`

	Verdict string `json:"verdict"`         // one of the Soak constants
	Cause   string `json:"cause,omitempty"` // of SoakFell: one of the Cause constants

	Trials []SoakTrial `json:"-"` // closed loops in order
}

// Verdicts on a soak.
const (
	SoakHeld    = "held"    // the last window is not slower, or by less than SoakFall
	SoakFell    = "fell"    // it is slower by SoakFall or more
	SoakUnclear = "unclear" // the spread hides a fall of SoakFall
	SoakUnknown = "n/a"     // it was not finished, or has too few trials
)

// Causes of a fall, the surest first.
const (
	CauseThrottled    = "throttled"     // the board's flags say so
	CauseUnderVoltage = "under-voltage" // the flags or the sensor say only this
	CauseClock        = "clock"         // the kernel told a lower clock
	CauseLoop         = "loop"          // the calibration loop saw a lower clock
	CauseHost         = "host-busy"     // the parser was often without a CPU
	CauseNotClock     = "not the clock" // the clock held
	CauseUnknown      = "unknown"       // nothing of the kind can be read
)

// clockFall is the share by which a clock must fall to explain a fall of the rate.
const clockFall = SoakFall / 2

// SoakWindow is the first or the last window of a soak, or the time between.
type SoakWindow struct {
	From time.Duration `json:"from_ns"` // begin of its first trial
	To   time.Duration `json:"to_ns"`   // end of its last trial
	// Trials are the closed loops. Service describes the medians of SoakBlocks blocks of them, as equal as can be, each of
	// trials that follow each other, in the unit of loads: a drift or a stall of some seconds is then one value, not many.
	Trials  int        `json:"trials"`
	Service Summary    `json:"service"`
	Goals   []SoakGoal `json:"goals,omitempty"`
	// BeginMilliC, MaxMilliC and EndMilliC are temperatures; Hz the median of the clocks that the kernel told after trials, and
	// LoopNS of the calibration loop's times; nil: n/a.
	BeginMilliC *int64   `json:"begin_milli_c"`
	MaxMilliC   *int64   `json:"max_milli_c"`
	EndMilliC   *int64   `json:"end_milli_c"`
	Hz          *int64   `json:"hz"`
	LoopNS      *float64 `json:"loop_ns"`
	HostBusy    float64  `json:"host_busy"` // share of its trials that are marked so
}

// SoakBlocks is how many blocks the closed loops of a window are summed up in.
const SoakBlocks = 8

// SoakGoal is what the search of a window found for a goal. Rate is nil where there is no lower bound: even the lowest load
// was too much or, with NoTime, the search did not come so far.
type SoakGoal struct {
	Goal    string   `json:"goal"`
	Rate    *float64 `json:"rate"`
	Lower   *float64 `json:"lower"`
	Upper   *float64 `json:"upper"`
	Regular bool     `json:"regular"`
	NoTime  bool     `json:"without_time"` // the search had to end before it was done, with its window
	// Change, of the last window, is against the first; nil unless both are regular.
	Change *GoalChange `json:"change,omitempty"`
}

// GoalChange is a relative change of a goal's rate and the range that the bounds leave: from the last lower over the first
// upper to the last upper over the first lower. It has no coverage: one search says nothing of its own spread.
type GoalChange struct {
	Ratio float64 `json:"ratio"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Change is a relative change: -0.31 is 31 % less.
type Change struct {
	Ratio    *float64 `json:"ratio"` // nil: n/a
	Interval Interval `json:"interval,omitzero"`
}

// SoakTrial is one closed loop of a soak.
type SoakTrial struct {
	At     time.Duration
	Phase  string
	Rate   float64  // in the unit of loads
	MilliC *int64   // after it
	Hz     *int64   // after it, as the kernel tells
	LoopNS *float64 // of the calibration loop after it
}

// soaks sums up the soaks of a study.
func (r *Results) soaks(records []trial.Record) {
	type key struct {
		cell   trial.Cell
		repeat int
	}
	byKey := make(map[key][]trial.Record)
	var keys []key
	for _, rec := range records {
		k := key{rec.Cell, rec.Repeat}
		if byKey[k] == nil {
			keys = append(keys, k)
		}
		byKey[k] = append(byKey[k], rec)
	}
	for _, k := range keys {
		r.Soaks = append(r.Soaks, soak(&r.Header, byKey[k]))
	}
}

// sustained leaves the records of last windows: what a machine sustains.
func sustained(records []trial.Record) (last []trial.Record) {
	for _, rec := range records {
		if rec.Input.Phase == trial.PhaseLast {
			last = append(last, rec)
		}
	}
	return last
}

func soak(h *trial.Header, records []trial.Record) Soak {
	s := Soak{Cell: records[0].Cell, Repeat: records[0].Repeat, Attempt: records[0].Attempt}
	byPhase := make(map[string][]trial.Record)
	for i := range records {
		rec := &records[i]
		byPhase[rec.Input.Phase] = append(byPhase[rec.Input.Phase], *rec)
		switch rec.Kind {
		case trial.KindSoak:
			s.Ended, s.Cooling = true, rec.Cooling
			continue
		case trial.KindBounds:
			continue
		}
		u := &rec.Usage
		s.temperatures(u)
		s.flags(u)
		if rec.Kind == trial.KindWarmUp {
			continue
		}
		if hz := u.FrequencyAfterHz; hz != nil && (s.MinHz == nil || *hz < *s.MinHz) {
			s.MinHz = hz
		}
		if rec.Kind == trial.KindService && rec.Result.Delivered > 0 {
			t := SoakTrial{
				At: rec.At, Phase: rec.Input.Phase, Rate: serviceRate(rec, &h.Settings), MilliC: u.TemperatureAfterMilliC,
				Hz: u.FrequencyAfterHz,
			}
			if u.CalibrationAfterNs > 0 {
				ns := float64(u.CalibrationAfterNs)
				t.LoopNS = &ns
			}
			s.Trials = append(s.Trials, t)
		}
	}
	s.First = soakWindow(h, byPhase[trial.PhaseFirst])
	s.Between = soakWindow(h, byPhase[trial.PhaseSoak])
	s.Last = soakWindow(h, byPhase[trial.PhaseLast])
	for i := range s.Last.Goals {
		last := &s.Last.Goals[i]
		for _, first := range s.First.Goals {
			if first.Goal == last.Goal {
				last.Change = first.to(last)
			}
		}
	}
	s.loops(h.Plan.Window())
	s.slower(h.Plan.Window())
	s.Change = changeOf(&s.First.Service, &s.Last.Service)
	s.judge()
	return s
}

// serviceRate is the rate of a closed loop in the unit of loads.
func serviceRate(rec *trial.Record, s *trial.Settings) float64 {
	rate := rec.ServiceRate()
	if s.Unit == "bit/s" && rec.Counters.Frames > 0 {
		rate *= 8 * float64(rec.Counters.WireOctets) / float64(rec.Counters.Frames)
	}
	return rate
}

func higher(a, b *int64) *int64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func (s *Soak) temperatures(u *meter.Usage) {
	if s.StartMilliC == nil {
		s.StartMilliC = u.TemperatureBeforeMilliC
	}
	s.MaxMilliC = higher(s.MaxMilliC, higher(u.TemperatureBeforeMilliC, u.TemperatureAfterMilliC))
	if u.TemperatureAfterMilliC != nil {
		s.EndMilliC = u.TemperatureAfterMilliC
	}
}

// flags adds those of a trial: that were up at its begin or end, or went up and down again in it.
func (s *Soak) flags(u *meter.Usage) {
	add := func(f meter.ThrottleFlags) {
		if s.Throttle == nil {
			s.Throttle = new(meter.ThrottleFlags)
		}
		*s.Throttle |= f
	}
	if u.UnderVoltage != nil {
		if add(0); *u.UnderVoltage {
			add(meter.UnderVoltage)
		}
	}
	before, after := u.ThrottleBefore, u.ThrottleAfter
	if before != nil {
		add(before.Now())
	}
	if after != nil {
		add(after.Now())
	}
	if before != nil && after != nil {
		add(after.Sticky() &^ before.Sticky())
	}
}

func soakWindow(h *trial.Header, records []trial.Record) SoakWindow {
	var w SoakWindow
	var rates, clocks, loops []float64
	measured, busy := 0, 0
	for i := range records {
		rec := &records[i]
		if rec.Kind == trial.KindBounds {
			b := rec.Bounds
			g := SoakGoal{
				Goal: b.Goal.Name, Lower: b.Lower, Upper: b.Upper, Regular: b.Regular,
				NoTime: slices.Contains(b.Marks, search.MarkBudget),
			}
			if b.Lower != nil {
				rate := b.ConditionalThroughput
				g.Rate = &rate
			}
			w.Goals = append(w.Goals, g)
			continue
		}
		u := &rec.Usage
		if measured++; measured == 1 {
			w.From = rec.At
		}
		w.To = max(w.To, rec.At+time.Duration(u.WallNs))
		if w.BeginMilliC == nil {
			w.BeginMilliC = u.TemperatureBeforeMilliC
		}
		if u.TemperatureAfterMilliC != nil {
			w.EndMilliC = u.TemperatureAfterMilliC
		}
		w.MaxMilliC = higher(w.MaxMilliC, higher(u.TemperatureBeforeMilliC, u.TemperatureAfterMilliC))
		if u.FrequencyAfterHz != nil {
			clocks = append(clocks, float64(*u.FrequencyAfterHz))
		}
		if u.CalibrationAfterNs > 0 {
			loops = append(loops, float64(u.CalibrationAfterNs))
		}
		if slices.Contains(rec.Marks, trial.MarkHostBusy) {
			busy++
		}
		if rec.Kind == trial.KindService && rec.Result.Delivered > 0 {
			rates = append(rates, serviceRate(rec, &h.Settings))
		}
	}
	w.Trials = len(rates)
	w.Service = Summarize(blockMedians(rates, SoakBlocks))
	if len(clocks) > 0 {
		hz := int64(math.Round(medianOf(clocks)))
		w.Hz = &hz
	}
	if len(loops) > 0 {
		ns := medianOf(loops)
		w.LoopNS = &ns
	}
	if measured > 0 {
		w.HostBusy = float64(busy) / float64(measured)
	}
	return w
}

// blockMedians cuts values into at most n blocks of neighbours and returns the median of each.
func blockMedians(values []float64, n int) []float64 {
	n = min(n, len(values))
	medians := make([]float64, 0, n)
	for i := range n {
		medians = append(medians, medianOf(values[i*len(values)/n:(i+1)*len(values)/n]))
	}
	return medians
}

func medianOf(values []float64) float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return middle(sorted)
}

// to is the change of a goal's rate from the first window to the last; nil unless both are regular.
func (g *SoakGoal) to(last *SoakGoal) *GoalChange {
	if !g.comparable() || !last.comparable() {
		return nil
	}
	return &GoalChange{Ratio: *last.Rate / *g.Rate - 1, Low: *last.Lower / *g.Upper - 1, High: *last.Upper / *g.Lower - 1}
}

// comparable tells whether a change from or to the goal means something. What was read from a file may lack what is regular.
func (g *SoakGoal) comparable() bool {
	return g.Regular && g.Lower != nil && *g.Lower > 0 && g.Upper != nil && *g.Upper > 0 && *g.Rate > 0
}

// why says what is not regular.
func (g *SoakGoal) why(p *trial.Plan) string {
	switch {
	case g.NoTime:
		return noTime(p)
	case g.Lower == nil:
		return alwaysLossy
	case g.Upper == nil:
		return neverLossy
	}
	return tooWide
}

// changeOf compares two medians. The interval takes the far ends of both intervals: it misses the true change only if one of
// them misses its median, so that its coverage is at least one less what both may miss.
func changeOf(first, last *Summary) Change {
	if first.N == 0 || last.N == 0 || first.Median == 0 {
		return Change{}
	}
	ratio := last.Median/first.Median - 1
	c := Change{Ratio: &ratio}
	coverage := first.Interval.Coverage + last.Interval.Coverage - 1
	if first.Interval.Valid() && last.Interval.Valid() && coverage >= Level && first.Interval.Low > 0 {
		c.Interval = Interval{
			Low: last.Interval.Low/first.Interval.High - 1, High: last.Interval.High/first.Interval.Low - 1, Coverage: coverage,
		}
	}
	return c
}

// spanTrials is how many closed loops a span must have at least for its median to say something.
const spanTrials = 5

// spans calls f with closed loops that follow each other within a sixth of a window, from every trial that has enough after it.
func (s *Soak) spans(window time.Duration, f func(span []SoakTrial) (more bool)) {
	end := 0
	for i := range s.Trials {
		for end < len(s.Trials) && (s.Trials[end].At <= s.Trials[i].At+window/6 || end-i < spanTrials) {
			end++
		}
		if end-i < spanTrials || !f(s.Trials[i:end]) {
			return
		}
	}
}

// slower finds when the rate first was lower for a span: at the first trial of it that was.
func (s *Soak) slower(window time.Duration) {
	if s.First.Service.N == 0 {
		return
	}
	limit := (1 - SoakFall) * s.First.Service.Median
	s.spans(window, func(span []SoakTrial) bool {
		var rates []float64
		for _, t := range span {
			rates = append(rates, t.Rate)
		}
		if medianOf(rates) >= limit {
			return true
		}
		i := slices.IndexFunc(span, func(t SoakTrial) bool { return t.Rate < limit })
		at := span[i].At
		s.Slower, s.SlowerMilliC = &at, span[i].MilliC
		return false
	})
}

// loops compares the calibration loop's times with those of the first window.
func (s *Soak) loops(window time.Duration) {
	if s.First.LoopNS == nil {
		return
	}
	if s.Last.LoopNS != nil {
		v := *s.First.LoopNS / *s.Last.LoopNS
		s.LoopLast = &v
	}
	s.spans(window, func(span []SoakTrial) bool {
		var times []float64
		for _, t := range span {
			if t.LoopNS != nil {
				times = append(times, *t.LoopNS)
			}
		}
		if len(times) >= spanTrials {
			if v := *s.First.LoopNS / medianOf(times); s.LoopMin == nil || v < *s.LoopMin {
				s.LoopMin = &v
			}
		}
		return true
	})
}

// judge reaches the verdict.
func (s *Soak) judge() {
	i := s.Change.Interval
	switch {
	case !s.Ended || s.Change.Ratio == nil || !i.Valid():
		s.Verdict = SoakUnknown
	case i.High < 0 && *s.Change.Ratio <= -SoakFall:
		s.Verdict, s.Cause = SoakFell, s.cause()
	case i.Low > -SoakFall || i.High < 0:
		s.Verdict = SoakHeld
	default:
		s.Verdict = SoakUnclear
	}
}

func (s *Soak) cause() string {
	if f := s.Throttle; f != nil && *f != 0 {
		if *f == meter.UnderVoltage {
			return CauseUnderVoltage
		}
		return CauseThrottled
	}
	if a, b := s.First.Hz, s.Last.Hz; a != nil && b != nil && float64(*b) < (1-clockFall)*float64(*a) {
		return CauseClock
	}
	switch {
	case s.LoopLast != nil && *s.LoopLast < 1-clockFall:
		return CauseLoop
	case s.Last.HostBusy > 0.5 && s.Last.HostBusy > s.First.HostBusy:
		return CauseHost
	case s.LoopLast != nil || s.First.Hz != nil && s.Last.Hz != nil:
		return CauseNotClock
	}
	return CauseUnknown
}

// warnOfSoaks adds what is to be known of soaks beside their numbers.
func (r *Results) warnOfSoaks(add func(format string, args ...any)) {
	if r.Header.Plan.Soak == 0 {
		return
	}
	if s := &r.Header.Settings; s.Clock == "system" || s.Feed == "ring" {
		add("on the system clock the searches of a soak wait for due times: the processor cools a little meanwhile")
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		if s.Attempt > 0 {
			add("%v: the soak was interrupted %s and begun again each time; what was measured before is left out", s.Cell, count(s.Attempt, "time"))
		}
		for _, g := range s.First.Goals {
			if !g.Regular {
				add("%v: %s is irregular in the first window: %s", s.Cell, g.Goal, g.why(&r.Header.Plan))
			}
		}
		if s.Ended && !s.Change.Interval.Valid() {
			add("%v: %d and %d closed loops in the windows give no %.0f %% interval of the change; take shorter trials or a longer soak",
				s.Cell, s.First.Trials, s.Last.Trials, 100*Level)
		}
	}
}

// perRepeat collects values, of which the median of each repeat counts: a soak has many closed loops in one process, which are no repeats.
type perRepeat struct {
	repeats []int
	values  []float64
}

func (p *perRepeat) add(repeat int, v float64) {
	p.repeats = append(p.repeats, repeat)
	p.values = append(p.values, v)
}

func (p *perRepeat) medians() map[int]float64 {
	of := make(map[int][]float64)
	for i, repeat := range p.repeats {
		of[repeat] = append(of[repeat], p.values[i])
	}
	medians := make(map[int]float64, len(of))
	for repeat, values := range of {
		slices.Sort(values)
		medians[repeat] = middle(values)
	}
	return medians
}

func (p *perRepeat) summary() Summary { return Summarize(slices.Collect(maps.Values(p.medians()))) }

// less returns by how much p is more than o in each repeat that both have.
func (p *perRepeat) less(o *perRepeat) (differences []float64) {
	subtrahends := o.medians()
	for repeat, v := range p.medians() {
		if w, ok := subtrahends[repeat]; ok {
			differences = append(differences, v-w)
		}
	}
	return differences
}
