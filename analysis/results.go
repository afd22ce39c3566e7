package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pcaplab/parse"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// Results is what the records of a study say, cell by cell in the order of the plan.
type Results struct {
	Header trial.Header `json:"header"`
	// Planned and Done count repeats of cells: of the plan, and those with all their records.
	Planned  int       `json:"planned"`
	Done     int       `json:"done"`
	Ceilings []Ceiling `json:"ceilings"`
	Costs    []Cost    `json:"costs,omitempty"`  // where three sizes or more were measured
	Curves   []Curve   `json:"curves,omitempty"` // loss against offered load
	Soaks    []Soak    `json:"soaks,omitempty"`  // of a plan with a soak, whose other results are of the last windows only
	Warnings []string  `json:"warnings,omitempty"`
}

// Ceiling is one cell over its repeats.
type Ceiling struct {
	Cell    trial.Cell `json:"cell"`
	Host    string     `json:"host,omitempty"`      // that measured it, where several did: trial.Header.Hosts
	Octets  float64    `json:"mean_octets"`         // captured octets per packet of what was fed; 0: n/a
	Wire    float64    `json:"mean_wire_octets"`    // the same on the wire, without the check sequence; 0: n/a
	Refused float64    `json:"refused,omitempty"`   // share of the packets in closed loop that the engine called malformed or does not support
	Service Summary    `json:"service"`             // closed loop, in the unit of loads: see trial.Record.ServiceRate
	NS      Summary    `json:"ns_per_packet"`       // closed loop, of one worker's thread, on the trial's clock
	MinNS   Summary    `json:"min_ns_per_packet"`   // the same in the quickest part of the loop: replay.Result.Quickest; N 0: n/a
	Slices  uint64     `json:"slices,omitempty"`    // of the loop that MinNS is the quickest of: the fewest of a repeat that has some
	CPUNS   Summary    `json:"cpu_ns_per_packet"`   // closed loop, of the whole process, collector included; N 0: n/a
	Allocs  Summary    `json:"allocs_per_packet"`   // closed loop
	GC      Summary    `json:"gc_per_million"`      // closed loop: collections per million packets
	Peak    Summary    `json:"engine_peak_octets"`  // most memory in any trial, less the capture; N 0: n/a
	Insns   Summary    `json:"instructions_packet"` // closed loop, per packet; N 0: n/a
	Feed    Summary    `json:"feed_share"`          // of the time per packet in closed loop; N 0: n/a, as with a ring
	Skew    float64    `json:"skew,omitempty"`      // of several workers: the largest one's share of frames times their number
	Goals   []Found    `json:"goals,omitempty"`
	Marks   []string   `json:"marks,omitempty"`
	Stages  *StageCost `json:"stages,omitempty"` // of a plan with EngineAlone, once the engine alone was measured
	// Counts is what the stages counted in all trials, by their text in the settings and the names of their counts.
	Counts map[string]map[string]uint64 `json:"stage_counts,omitempty"`
}

// StageCost is what the stages of a cell take, beside what its engine takes: closed loops with and without them, of one
// process in each repeat.
type StageCost struct {
	EngineNS Summary  `json:"engine_alone_ns_per_packet"` // as Ceiling.NS, without the stages
	NS       Summary  `json:"stages_ns_per_packet"`       // difference of the two in each repeat; negative where noise is larger
	Marks    []string `json:"marks,omitempty"`            // of the closed loops without the stages
}

// Found is what the searches of one cell found for one goal, over the repeats. A repeat without a lower bound sustained
// no load that was tried and counts as a rate of 0, so that failures do not flatter the rest; one without an upper bound
// counts with what it reached, so that the rate is then a lower limit. A repeat whose search ended with the window of a
// soak before any load was sustained says nothing about the rate.
type Found struct {
	Goal    string  `json:"goal"`
	Loss    float64 `json:"loss_ratio"`
	Rate    Summary `json:"rate"`            // conditional throughput, in the unit of loads
	Lower   float64 `json:"lower,omitempty"` // smallest relevant lower bound; 0: a repeat has none
	Upper   float64 `json:"upper,omitempty"` // largest relevant upper bound; 0: a repeat has none
	Repeats int     `json:"repeats"`
	NoLower int     `json:"repeats_without_lower"` // even the lowest load missed the goal
	NoUpper int     `json:"repeats_without_upper"` // the highest load met the goal
	TooWide int     `json:"repeats_too_wide"`      // both bounds, further apart than the goal's width
	NoTime  int     `json:"repeats_without_time"`  // the search had to end before it was done, with the window of a soak
	Regular bool    `json:"regular"`               // all repeats have both bounds within the width
}

// Cost is the cost of an engine against the size of the packet.
type Cost struct {
	Cell   trial.Cell  `json:"cell"`           // without a size
	Host   string      `json:"host,omitempty"` // as Ceiling.Host: a line is of one machine
	Points []CostPoint `json:"points"`
	Model  CostModel   `json:"model"`
}

// Curve is the loss of one cell against the offered load; rising loads.
type Curve struct {
	Cell   trial.Cell   `json:"cell"`
	Points []CurvePoint `json:"points"`
	Knee   *Knee        `json:"knee,omitempty"` // of listed loads, where they show one
}

// CurvePoint sums all trials of a cell at one load, or at one multiple of the service ceiling or of the capture's rate.
type CurvePoint struct {
	Load       float64  `json:"load"` // mean
	OfService  float64  `json:"of_service,omitempty"`
	OfRecorded float64  `json:"of_recorded,omitempty"`
	Trials     int      `json:"trials"`
	Intended   uint64   `json:"intended"`
	Lost       uint64   `json:"lost"` // dropped, residual and unsent
	Drained    uint64   `json:"late_drained"`
	Marks      []string `json:"marks,omitempty"` // of any of the trials
}

// LossRatio returns lost over intended.
func (p CurvePoint) LossRatio() float64 {
	if p.Intended == 0 {
		return 0
	}
	return float64(p.Lost) / float64(p.Intended)
}

// Analyze sums up records. Those of an unfinished study give what they hold.
func Analyze(header trial.Header, records []trial.Record) *Results {
	r := &Results{Header: header}
	r.count(trial.LastAttempts(records))
	if header.Plan.Soak > 0 {
		records = trial.LastAttempts(records)
		r.soaks(records)
		records = sustained(records)
	}
	byCell := make(map[trial.Cell][]trial.Record)
	var cells []trial.Cell
	for _, rec := range records {
		if _, ok := byCell[rec.Cell]; !ok {
			cells = append(cells, rec.Cell)
		}
		byCell[rec.Cell] = append(byCell[rec.Cell], rec)
	}
	for _, cell := range cells {
		c := ceiling(cell, &header.Settings, byCell[cell])
		c.Host = header.HostOf(cell)
		r.Ceilings = append(r.Ceilings, c)
		if c := curve(cell, byCell[cell]); len(c.Points) > 0 {
			if header.Plan.Search == trial.SearchNone {
				c.Knee = knee(byCell[cell])
			}
			r.Curves = append(r.Curves, c)
		}
	}
	unfitted := r.costs(cells, byCell)
	r.warn()
	for _, key := range unfitted {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%s %s, %s: no line of cost against size, as its sizes were measured on several machines and no three on one",
			key.Engine, key.Cache, count(key.Workers, "worker")))
	}
	return r
}

// count finds how much of the plan has all its records.
func (r *Results) count(records []trial.Record) {
	p := &r.Header.Plan
	r.Planned = len(p.Engines) * len(p.Sizes) * len(p.Caches) * len(p.Workers) * p.Repeats
	type key struct {
		cell   trial.Cell
		repeat int
	}
	type parts struct {
		service bool
		alone   bool
		soaked  bool
		trials  int
		goals   map[string]bool
	}
	measured := make(map[key]*parts)
	for i := range records {
		rec := &records[i]
		k := key{rec.Cell, rec.Repeat}
		m := measured[k]
		if m == nil {
			m = &parts{goals: make(map[string]bool)}
			measured[k] = m
		}
		switch rec.Kind {
		case trial.KindService:
			m.service = true
		case trial.KindEngineAlone:
			m.alone = true
		case trial.KindSoak:
			m.soaked = true
		case trial.KindTrial:
			m.trials++
		case trial.KindBounds:
			m.goals[rec.Bounds.Goal.Name] = true
		}
	}
	for _, m := range measured {
		done := m.service && (m.alone || !p.EngineAlone) && (m.soaked || p.Soak == 0) && m.trials >= len(p.Rates) // the listed loads come before those of a search
		if p.Search != trial.SearchNone {
			for _, g := range p.Goals {
				done = done && m.goals[g.Name]
			}
		}
		if done {
			r.Done++
		}
	}
}

// Unfinished says how much of the plan was measured, as "unfinished: 3 of 8 cells x repeats"; "" where all was.
func (r *Results) Unfinished() string {
	if r.Done >= r.Planned {
		return ""
	}
	return fmt.Sprintf("unfinished: %d of %d cells x repeats", r.Done, r.Planned)
}

func ceiling(cell trial.Cell, settings *trial.Settings, records []trial.Record) Ceiling {
	c := Ceiling{Cell: cell}
	var fed parse.Counters
	var service, ns, least, alone, cpu, allocs, gc, insns, share perRepeat
	var peak []float64
	found := make(map[string][]trial.Record)
	var goals []string
	for i := range records {
		rec := &records[i]
		// Counts go on from the start of a process, one for each repeat: the last has all.
		if i+1 == len(records) || records[i+1].Repeat != rec.Repeat {
			c.count(records[:i+1])
		}
		if rec.Kind == trial.KindEngineAlone { // of nothing but the cost of the stages
			if c.Stages == nil {
				c.Stages = &StageCost{}
			}
			addMarks(&c.Stages.Marks, rec.Marks)
			if rec.Result.Delivered > 0 {
				alone.add(rec.Repeat, rec.CostNanos())
			}
			continue
		}
		if rec.Usage.EnginePeakOctets != nil {
			peak = append(peak, float64(*rec.Usage.EnginePeakOctets))
		}
		if rec.Kind != trial.KindWarmUp && rec.Kind != trial.KindTrial {
			addMarks(&c.Marks, rec.Marks)
		}
		switch {
		case rec.Kind == trial.KindBounds:
			name := rec.Bounds.Goal.Name
			if len(found[name]) == 0 {
				goals = append(goals, name)
			}
			found[name] = append(found[name], *rec)
		case rec.Kind == trial.KindService && rec.Result.Delivered > 0:
			n := float64(rec.Result.Delivered)
			fed.Frames += rec.Counters.Frames
			fed.Octets += rec.Counters.Octets
			fed.Malformed += rec.Counters.Malformed
			fed.Unsupported += rec.Counters.Unsupported
			fed.WireOctets += rec.Counters.WireOctets
			service.add(rec.Repeat, serviceRate(rec, settings))
			ns.add(rec.Repeat, rec.CostNanos())
			if n := rec.Result.Slices; n > 0 {
				least.add(rec.Repeat, rec.Result.Quickest)
				if c.Slices == 0 || n < c.Slices {
					c.Slices = n
				}
			}
			if rec.Usage.ProcessCPUNs != nil {
				cpu.add(rec.Repeat, float64(*rec.Usage.ProcessCPUNs)/n)
			}
			allocs.add(rec.Repeat, float64(rec.Usage.HeapAllocs)/n)
			gc.add(rec.Repeat, float64(rec.Usage.GCCycles)/n*1e6)
			if rec.Usage.Instructions != nil {
				insns.add(rec.Repeat, float64(*rec.Usage.Instructions)/n)
			}
			if settings.Feed != "ring" {
				share.add(rec.Repeat, rec.Result.FeedShare())
			}
			c.Skew = skew(rec.Workers)
		}
	}
	if fed.Frames > 0 {
		c.Octets = float64(fed.Octets) / float64(fed.Frames)
		c.Wire = float64(fed.WireOctets) / float64(fed.Frames)
		c.Refused = float64(fed.Malformed+fed.Unsupported) / float64(fed.Frames)
	}
	c.Service, c.NS, c.MinNS, c.CPUNS, c.Allocs = service.summary(), ns.summary(), least.summary(), cpu.summary(), allocs.summary()
	c.GC, c.Insns, c.Feed = gc.summary(), insns.summary(), share.summary()
	c.Peak = Summarize(peak)
	if c.Stages != nil {
		c.Stages.EngineNS, c.Stages.NS = alone.summary(), Summarize(ns.less(&alone))
	}
	for _, goal := range goals {
		c.Goals = append(c.Goals, foundIn(found[goal]))
	}
	return c
}

// count adds the counts of the last record that has some, of the repeat of the last record.
func (c *Ceiling) count(records []trial.Record) {
	for i := len(records) - 1; i >= 0 && records[i].Repeat == records[len(records)-1].Repeat; i-- {
		if records[i].Stages == nil {
			continue
		}
		for stage, counts := range records[i].Stages {
			if c.Counts == nil {
				c.Counts = make(map[string]map[string]uint64)
			}
			if c.Counts[stage] == nil {
				c.Counts[stage] = make(map[string]uint64)
			}
			for name, n := range counts {
				c.Counts[stage][name] += n
			}
		}
		return
	}
}

// addMarks adds the marks that are not in the list.
func addMarks(list *[]string, marks []string) {
	for _, mark := range marks {
		if !slices.Contains(*list, mark) {
			*list = append(*list, mark)
		}
	}
}

func foundIn(records []trial.Record) Found {
	goal := records[0].Bounds.Goal
	f := Found{Goal: goal.Name, Loss: goal.LossRatio, Repeats: len(records), Regular: true}
	var rates []float64
	for _, rec := range records {
		b := rec.Bounds
		noTime := slices.Contains(b.Marks, search.MarkBudget)
		if noTime {
			f.NoTime++
		}
		if b.Lower != nil || !noTime {
			rates = append(rates, b.ConditionalThroughput) // 0 without a lower bound
		}
		if b.Lower == nil {
			if !noTime {
				f.NoLower++
			}
		} else if f.Lower == 0 || *b.Lower < f.Lower {
			f.Lower = *b.Lower
		}
		if b.Upper == nil {
			f.NoUpper++
		} else {
			f.Upper = max(f.Upper, *b.Upper)
		}
		if !b.Regular {
			f.Regular = false
			if b.Lower != nil && b.Upper != nil {
				f.TooWide++
			}
		}
	}
	if len(rates) < len(records) || f.NoLower > 0 {
		f.Lower = 0
	}
	if f.NoUpper > 0 {
		f.Upper = 0
	}
	f.Rate = Summarize(rates)
	return f
}

func skew(workers []trial.WorkerCounts) float64 {
	var sum, most uint64
	for _, w := range workers {
		sum += w.Frames
		most = max(most, w.Frames)
	}
	if sum == 0 {
		return 0
	}
	return float64(most) / float64(sum) * float64(len(workers))
}

func curve(cell trial.Cell, records []trial.Record) Curve {
	c := Curve{Cell: cell}
	type key struct{ load, ofService, ofRecorded float64 }
	at := make(map[key]int)
	for i := range records {
		rec := &records[i]
		if rec.Kind != trial.KindTrial {
			continue
		}
		k := key{ofService: rec.Input.OfService, ofRecorded: rec.Input.OfRecorded}
		if k == (key{}) {
			k.load = rec.Input.Load
		}
		j, ok := at[k]
		if !ok {
			j = len(c.Points)
			at[k] = j
			c.Points = append(c.Points, CurvePoint{OfService: k.ofService, OfRecorded: k.ofRecorded})
		}
		p := &c.Points[j]
		p.Trials++
		p.Load += (rec.Input.Load - p.Load) / float64(p.Trials)
		p.Intended += rec.Result.Intended
		p.Lost += rec.Lost()
		p.Drained += rec.Result.LateDrained
		addMarks(&p.Marks, rec.Marks)
	}
	slices.SortFunc(c.Points, func(a, b CurvePoint) int { return cmp.Compare(a.Load, b.Load) })
	return c
}

// costs fits the service time over the sizes of cells that differ in nothing else and are of one machine: of several the one with
// most sizes. It returns the cells, without a size, that have three sizes but not on one machine.
func (r *Results) costs(cells []trial.Cell, byCell map[trial.Cell][]trial.Record) (unfitted []trial.Cell) {
	type line struct {
		cell trial.Cell
		host string
	}
	points := make(map[line][]CostPoint)
	asked := make(map[line]map[string]bool)          // sizes: the octets of one differ a little from repeat to repeat
	anywhere := make(map[trial.Cell]map[string]bool) // the same on all machines
	var order []line
	for _, cell := range cells {
		if strings.HasPrefix(cell.Size, "imix") || cell.Size == trial.Captured {
			continue // a mixture has a mean, not a size
		}
		key := line{cell, r.Header.HostOf(cell)}
		key.cell.Size = ""
		for i := range byCell[cell] {
			rec := &byCell[cell][i]
			if rec.Kind != trial.KindService || rec.Result.Delivered == 0 {
				continue
			}
			if len(points[key]) == 0 {
				order = append(order, key)
				asked[key] = make(map[string]bool)
			}
			if anywhere[key.cell] == nil {
				anywhere[key.cell] = make(map[string]bool)
			}
			asked[key][cell.Size], anywhere[key.cell][cell.Size] = true, true
			points[key] = append(points[key], CostPoint{
				Octets: float64(rec.Counters.Octets) / float64(rec.Counters.Frames), NS: rec.CostNanos(), Size: cell.Size, Repeat: rec.Repeat,
			})
		}
	}
	done := make(map[trial.Cell]bool)
	for _, key := range order {
		if len(anywhere[key.cell]) < 3 || done[key.cell] {
			continue
		}
		done[key.cell] = true
		for _, other := range order {
			if other.cell == key.cell && len(asked[other]) > len(asked[key]) {
				key = other
			}
		}
		if len(asked[key]) < 3 {
			unfitted = append(unfitted, key.cell)
		} else if model, err := FitCost(points[key]); err == nil {
			r.Costs = append(r.Costs, Cost{Cell: key.cell, Host: key.host, Points: points[key], Model: model})
		}
	}
	return unfitted
}

func (r *Results) warn() {
	add := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	s, p := r.Header.Settings, r.Header.Plan
	if text := r.Unfinished(); text != "" {
		add("%s", text)
	}
	warnOfHosts(r.Header.Hosts, add)
	if most := r.Header.MemoryLimitMost; most > 0 {
		add("parts were measured with memory limits of %d to %d octets, which decide how large working sets of cold frames are: --memory-limit sets one for all",
			r.Header.MemoryLimit, most)
	}
	r.warnOfSoaks(add)
	if p.Repeats < MinRepeats && !p.Quick && p.Soak == 0 && (p.Repeats > 1 || p.Search != trial.SearchNone) {
		add("%d repeats give no %.0f %% interval of the median; take at least %d", p.Repeats, 100*Level, MinRepeats)
	}
	if s.Clock == "cpu" {
		add("clock cpu hides what costs the thread no CPU time: stalls of the host, pauses of the collector")
	}
	for _, c := range r.Ceilings {
		for _, g := range c.Goals {
			if !g.Regular {
				add("%v: %s is irregular: %s", c.Cell, g.Goal, g.why(&p))
			}
		}
	}
}

// What can be irregular.
const (
	alwaysLossy = "even the lowest load was too much"
	neverLossy  = "no load was too much (raise --max-load)"
	tooWide     = "the bounds did not come within the width"
)

// noTime says that a search ended with its window, and what to do about it.
func noTime(p *trial.Plan) string {
	remedy := "shorten --trial or --sum, widen --width, or search fewer goals"
	if p.Window() < time.Minute {
		remedy += ", or soak longer"
	}
	return "the search was not done when its window was over (" + remedy + ")"
}

// why says in how many repeats what was not regular.
func (f *Found) why(p *trial.Plan) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s in %d of %s", what, n, count(f.Repeats, "repeat")))
		}
	}
	add(f.NoTime, noTime(p))
	add(f.NoLower, alwaysLossy)
	if f.NoTime == 0 {
		add(f.NoUpper, neverLossy)
	}
	add(f.TooWide, tooWide)
	return strings.Join(parts, "; ")
}

// Measures returns the numbers that conditions may name: each goal by its name (ndr, pdr:0.5%) and, where no other goal
// begins so, by what is before the colon (pdr); service (in the unit of loads); cost, cost-min and cpu (ns per packet), allocs and
// instructions (per packet), peak (octets, median of the repeats); of a soak, whose other numbers are of its last window, soak (the change of the
// service ceiling against the first, as -0.31, with its interval; NaN without one); and, where listed loads were measured
// and nothing searched, loss (ratio) at each. What the plan has but the records have not is NaN.
func (r *Results) Measures() []Measure {
	var list []Measure
	add := func(engine, metric, where string, s Summary) {
		m := Measure{Engine: engine, Metric: metric, Where: where, Value: math.NaN()}
		if s.N > 0 {
			m.Value = s.Median
		}
		list = append(list, m)
	}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		where := cellWhere(c.Cell)
		add(c.Cell.Engine, "service", where, c.Service)
		add(c.Cell.Engine, "cost", where, c.NS)
		if HasMinNS(r.Header.Settings, c.Cell.Workers) {
			add(c.Cell.Engine, "cost-min", where, c.MinNS)
			if c.MinNS.N == 0 {
				list[len(list)-1].Why = "a pass over the capture takes longer than a trial: take a longer --trial, or --packets"
			}
		}
		add(c.Cell.Engine, "cpu", where, c.CPUNS)
		add(c.Cell.Engine, "allocs", where, c.Allocs)
		add(c.Cell.Engine, "instructions", where, c.Insns)
		if c.Insns.N == 0 {
			list[len(list)-1].Why = NoInstructions
		}
		add(c.Cell.Engine, "peak", where, c.Peak)
		for _, g := range c.Goals {
			for _, name := range goalMetrics(r.Header.Plan.Goals, g.Goal) {
				add(c.Cell.Engine, name, where, g.Rate)
			}
		}
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		m := Measure{Engine: s.Cell.Engine, Metric: "soak", Where: cellWhere(s.Cell), Value: math.NaN()}
		switch {
		case !s.Ended:
			m.Why = "the soak did not end"
		case !s.Change.Interval.Valid():
			m.Why = fmt.Sprintf("%d and %d closed loops in the windows give no interval of the change; "+
				"take shorter trials or a longer soak", s.First.Trials, s.Last.Trials)
		default:
			m.Value, m.Interval = *s.Change.Ratio, s.Change.Interval
		}
		list = append(list, m)
	}
	if r.Header.Plan.Search == trial.SearchNone {
		for _, c := range r.Curves {
			for _, p := range c.Points {
				at := strconv.FormatFloat(p.Load, 'g', 6, 64) + " " + r.Header.Settings.Unit
				list = append(list, Measure{
					Engine: c.Cell.Engine, Metric: "loss", Where: cellWhere(c.Cell) + ", at " + at, Value: p.LossRatio(),
				})
			}
		}
	}
	for _, m := range PlannedMeasures(r.Header) {
		if !slices.ContainsFunc(list, func(have Measure) bool { return have.Engine == m.Engine && have.Metric == m.Metric }) {
			m.Where, m.Value = "not measured", math.NaN()
			list = append(list, m)
		}
	}
	return list
}

// PlannedMeasures returns which engines and metrics a study of this plan, with its defaults filled in, will offer, all with
// the value 0: a condition that names others can be refused before anything is measured.
func PlannedMeasures(h trial.Header) []Measure {
	metrics := []string{"service", "cost", "cpu", "allocs", "instructions", "peak"}
	if slices.ContainsFunc(h.Plan.Workers, func(n int) bool { return HasMinNS(h.Settings, n) }) {
		metrics = append(metrics, "cost-min")
	}
	if h.Plan.Soak > 0 {
		metrics = append(metrics, "soak")
	}
	if h.Plan.Search != trial.SearchNone {
		for _, g := range h.Plan.Goals {
			metrics = append(metrics, goalMetrics(h.Plan.Goals, g.Name)...)
		}
	} else if len(h.Plan.Rates) > 0 {
		metrics = append(metrics, "loss")
	}
	var list []Measure
	for _, engine := range h.Plan.Engines {
		for _, metric := range metrics {
			list = append(list, Measure{Engine: engine, Metric: metric})
		}
	}
	return list
}

// NoInstructions says why a machine counts no instructions.
const NoInstructions = "the machine counted none (virtual machines often cannot; perf_event_paranoid above 2 forbids it)"

// HasMinNS reports whether the quickest part of a closed loop is measured: with one worker, and not through a ring.
func HasMinNS(s trial.Settings, workers int) bool { return workers == 1 && s.Feed != "ring" }

// goalMetrics returns the names of a goal in conditions.
func goalMetrics(goals []search.Goal, name string) []string {
	short, _, long := strings.Cut(name, ":")
	if !long {
		return []string{name}
	}
	for _, g := range goals {
		if other, _, _ := strings.Cut(g.Name, ":"); g.Name != name && other == short {
			return []string{name}
		}
	}
	return []string{name, short}
}

func cellWhere(c trial.Cell) string {
	return fmt.Sprintf("%s, %s, %s", c.Size, c.Cache, count(c.Workers, "worker"))
}
