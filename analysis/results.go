package analysis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pcaplab/replay/trial"
)

// Results is what the records of a study say, cell by cell in the order of the plan.
type Results struct {
	Header   trial.Header `json:"header"`
	Ceilings []Ceiling    `json:"ceilings"`
	Costs    []Cost       `json:"costs,omitempty"`  // where three sizes or more were measured
	Curves   []Curve      `json:"curves,omitempty"` // loss against offered load
	Warnings []string     `json:"warnings,omitempty"`
}

// Ceiling is one cell over its repeats.
type Ceiling struct {
	Cell    trial.Cell `json:"cell"`
	Octets  float64    `json:"mean_octets"`         // captured octets per packet of what was fed
	Service Summary    `json:"service"`             // closed loop, in the unit of loads
	NS      Summary    `json:"ns_per_packet"`       // closed loop, elapsed on the trial's clock
	CPUNS   Summary    `json:"cpu_ns_per_packet"`   // closed loop, of the whole process, collector included; N 0: n/a
	Allocs  Summary    `json:"allocs_per_packet"`   // closed loop
	GC      Summary    `json:"gc_per_million"`      // closed loop: collections per million packets
	Peak    Summary    `json:"engine_peak_octets"`  // most memory in any trial, less the capture; N 0: n/a
	Insns   Summary    `json:"instructions_packet"` // closed loop, per packet; N 0: n/a
	Feed    float64    `json:"feed_share"`          // of the time per packet in closed loop, median
	Skew    float64    `json:"skew,omitempty"`      // of several workers: the busiest one's share times their number
	Goals   []Found    `json:"goals,omitempty"`
	Marks   []string   `json:"marks,omitempty"`
}

// Found is what the searches of one cell found for one goal, over the repeats.
type Found struct {
	Goal    string  `json:"goal"`
	Loss    float64 `json:"loss_ratio"`
	Rate    Summary `json:"rate"`            // conditional throughput, in the unit of loads
	Lower   float64 `json:"lower,omitempty"` // smallest relevant lower bound; 0: a repeat has none
	Upper   float64 `json:"upper,omitempty"` // largest relevant upper bound; 0: a repeat has none
	Regular bool    `json:"regular"`         // all repeats have both bounds within the width
}

// Cost is the cost of an engine against the size of the packet.
type Cost struct {
	Cell   trial.Cell  `json:"cell"` // without a size
	Points []CostPoint `json:"points"`
	Model  CostModel   `json:"model"`
}

// Curve is the loss of one cell against the offered load; rising loads.
type Curve struct {
	Cell   trial.Cell   `json:"cell"`
	Points []CurvePoint `json:"points"`
}

// CurvePoint sums all trials of a cell at one load, or at one multiple of the service ceiling.
type CurvePoint struct {
	Load     float64 `json:"load"` // mean
	Of       float64 `json:"of_service,omitempty"`
	Trials   int     `json:"trials"`
	Intended uint64  `json:"intended"`
	Lost     uint64  `json:"lost"` // dropped, residual and unsent
	Drained  uint64  `json:"late_drained"`
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
	byCell := make(map[trial.Cell][]trial.Record)
	var cells []trial.Cell
	for _, rec := range records {
		if _, ok := byCell[rec.Cell]; !ok {
			cells = append(cells, rec.Cell)
		}
		byCell[rec.Cell] = append(byCell[rec.Cell], rec)
	}
	for _, cell := range cells {
		r.Ceilings = append(r.Ceilings, ceiling(cell, header.Settings.Unit, byCell[cell]))
		if c := curve(cell, byCell[cell]); len(c.Points) > 0 {
			r.Curves = append(r.Curves, c)
		}
	}
	r.costs(cells, byCell)
	r.warn()
	return r
}

func ceiling(cell trial.Cell, unit string, records []trial.Record) Ceiling {
	c := Ceiling{Cell: cell}
	var service, ns, cpu, allocs, gc, peak, insns, share []float64
	found := make(map[string][]trial.Record)
	var goals []string
	for i := range records {
		rec := &records[i]
		if rec.Usage.EnginePeakOctets != nil {
			peak = append(peak, float64(*rec.Usage.EnginePeakOctets))
		}
		for _, mark := range rec.Marks {
			if rec.Kind != trial.KindWarmUp && rec.Kind != trial.KindTrial && !slices.Contains(c.Marks, mark) {
				c.Marks = append(c.Marks, mark)
			}
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
			rate := rec.Result.DeliveredRate()
			c.Octets = float64(rec.Counters.Octets) / float64(rec.Counters.Frames)
			if unit == "bit/s" {
				rate *= 8 * float64(rec.Counters.WireOctets) / float64(rec.Counters.Frames)
			}
			service = append(service, rate)
			ns = append(ns, rec.CostNanos())
			if rec.Usage.ProcessCPUNs != nil {
				cpu = append(cpu, float64(*rec.Usage.ProcessCPUNs)/n)
			}
			allocs = append(allocs, float64(rec.Usage.HeapAllocs)/n)
			gc = append(gc, float64(rec.Usage.GCCycles)/n*1e6)
			if rec.Usage.Instructions != nil {
				insns = append(insns, float64(*rec.Usage.Instructions)/n)
			}
			share = append(share, rec.Result.FeedShare())
			c.Skew = skew(rec.Shares)
		}
	}
	c.Service, c.NS, c.CPUNS, c.Allocs = Summarize(service), Summarize(ns), Summarize(cpu), Summarize(allocs)
	c.GC, c.Insns, c.Feed = Summarize(gc), Summarize(insns), Summarize(share).Median
	c.Peak = Summarize(peak)
	for _, goal := range goals {
		c.Goals = append(c.Goals, foundIn(found[goal]))
	}
	return c
}

func foundIn(records []trial.Record) Found {
	goal := records[0].Bounds.Goal
	f := Found{Goal: goal.Name, Loss: goal.LossRatio, Regular: true}
	var rates []float64
	noLower, noUpper := false, false
	for _, rec := range records {
		b := rec.Bounds
		if b.Lower == nil {
			noLower = true
		} else {
			rates = append(rates, b.ConditionalThroughput)
			if f.Lower == 0 || *b.Lower < f.Lower {
				f.Lower = *b.Lower
			}
		}
		if b.Upper == nil {
			noUpper = true
		} else {
			f.Upper = max(f.Upper, *b.Upper)
		}
		f.Regular = f.Regular && b.Regular
	}
	if noLower {
		f.Lower = 0
	}
	if noUpper {
		f.Upper = 0
	}
	f.Rate = Summarize(rates)
	return f
}

func skew(shares []uint64) float64 {
	var sum, most uint64
	for _, s := range shares {
		sum += s
		most = max(most, s)
	}
	if sum == 0 {
		return 0
	}
	return float64(most) / float64(sum) * float64(len(shares))
}

func curve(cell trial.Cell, records []trial.Record) Curve {
	c := Curve{Cell: cell}
	type key struct{ load, of float64 }
	at := make(map[key]int)
	for i := range records {
		rec := &records[i]
		if rec.Kind != trial.KindTrial {
			continue
		}
		k := key{load: rec.Input.Load}
		if rec.Input.OfService > 0 {
			k = key{of: rec.Input.OfService}
		}
		j, ok := at[k]
		if !ok {
			j = len(c.Points)
			at[k] = j
			c.Points = append(c.Points, CurvePoint{Of: k.of})
		}
		p := &c.Points[j]
		p.Trials++
		p.Load += (rec.Input.Load - p.Load) / float64(p.Trials)
		p.Intended += rec.Result.Intended
		p.Lost += rec.Lost()
		p.Drained += rec.Result.LateDrained
	}
	slices.SortFunc(c.Points, func(a, b CurvePoint) int { return cmp.Compare(a.Load, b.Load) })
	return c
}

// costs fits the service time over the sizes of cells that differ in nothing else.
func (r *Results) costs(cells []trial.Cell, byCell map[trial.Cell][]trial.Record) {
	points := make(map[trial.Cell][]CostPoint)
	var order []trial.Cell
	for _, cell := range cells {
		if strings.HasPrefix(cell.Size, "imix") || cell.Size == trial.Captured {
			continue // a mixture has a mean, not a size
		}
		key := cell
		key.Size = ""
		for i := range byCell[cell] {
			rec := &byCell[cell][i]
			if rec.Kind != trial.KindService || rec.Result.Delivered == 0 {
				continue
			}
			if len(points[key]) == 0 {
				order = append(order, key)
			}
			points[key] = append(points[key], CostPoint{
				Octets: float64(rec.Counters.Octets) / float64(rec.Counters.Frames), NS: rec.CostNanos(), Repeat: rec.Repeat,
			})
		}
	}
	for _, key := range order {
		if model, err := FitCost(points[key]); err == nil {
			r.Costs = append(r.Costs, Cost{Cell: key, Points: points[key], Model: model})
		}
	}
}

func (r *Results) warn() {
	add := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	s, p := r.Header.Settings, r.Header.Plan
	if p.Repeats < MinRepeats && !p.Quick && (p.Repeats > 1 || p.Search != trial.SearchNone) {
		add("%d repeats give no %.0f %% interval of the median; take at least %d", p.Repeats, 100*Level, MinRepeats)
	}
	if s.Clock == "cpu" {
		add("clock cpu hides what costs the thread no CPU time: stalls of the host, pauses of the collector")
	}
	for _, c := range r.Ceilings {
		for _, g := range c.Goals {
			if !g.Regular {
				add("%v: %s is irregular: %s", c.Cell, g.Goal, g.why())
			}
		}
	}
}

func (f *Found) why() string {
	switch {
	case f.Upper == 0:
		return "no load was too much; raise --max-load"
	case f.Lower == 0:
		return "even the lowest load was too much"
	}
	return "the bounds did not come within the width"
}

// Measures returns the numbers that conditions may name: ndr, pdr or any other goal, service (in the unit of loads),
// cost and cpu (ns per packet), allocs (per packet), peak (octets).
func (r *Results) Measures() []Measure {
	var list []Measure
	for _, c := range r.Ceilings {
		where := fmt.Sprintf("%s, %s, %d workers", c.Cell.Size, c.Cell.Cache, c.Cell.Workers)
		add := func(metric string, s Summary) {
			if s.N > 0 {
				list = append(list, Measure{Engine: c.Cell.Engine, Metric: metric, Where: where, Value: s.Median})
			}
		}
		add("service", c.Service)
		add("cost", c.NS)
		add("cpu", c.CPUNS)
		add("allocs", c.Allocs)
		add("peak", c.Peak)
		for _, g := range c.Goals {
			name, _, _ := strings.Cut(g.Goal, ":")
			if g.Rate.N == 0 {
				g.Rate = Summary{N: 1} // no lower bound: nothing is sustained
			}
			add(name, g.Rate)
		}
	}
	return list
}
