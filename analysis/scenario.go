package analysis

import (
	"math"
	"slices"
	"time"

	"pcaplab/replay/scenario"
)

// Scenario is what came of a run of a scenario.
type Scenario struct {
	Header  scenario.Header `json:"header"`
	Rows    []ScenarioRow   `json:"rows"`
	Engines []EngineCost    `json:"engines"` // those that were measured, in the plan's order
	Fits    []ScenarioFit   `json:"fits,omitempty"`
	Trials  int             `json:"trials"`  // done
	Planned int             `json:"planned"` // of the engines that are on this machine
}

// ScenarioRow is one traffic, and what each engine made of it.
type ScenarioRow struct {
	Row     scenario.Row   `json:"row"`
	Sent    uint64         `json:"sent"`    // packets in the load; 0 as long as none is measured
	Octets  float64        `json:"octets"`  // mean wire length of them
	Seconds float64        `json:"seconds"` // of traffic
	Engines []ScenarioCell `json:"engines"` // those that were measured, in the plan's order
}

// ScenarioCell is an engine on a row. CPU is in CPU seconds per second: 1 is one CPU in full use.
type ScenarioCell struct {
	Engine  string  `json:"engine"`
	Queue   string  `json:"queue"`
	Counted Summary `json:"counted"`  // packets by the engine's own count, the queue's last included
	InTime  Summary `json:"in_time"`  // of them taken by the end of the traffic
	Loss    Summary `json:"loss"`     // share of the packets sent that were not counted
	Share   Summary `json:"share"`    // 1 less Loss
	TCP     Summary `json:"tcp"`      // of the counted, those that it takes for TCP
	CPU     Summary `json:"cpu"`      // of the process itself, over the traffic
	TreeCPU Summary `json:"tree_cpu"` // with the processes that it started
	// WindowCPU is the CPU time of the process itself, until it had taken all, over the scenario's window; none where there
	// is no window.
	WindowCPU Summary `json:"window_cpu"`
	Cost      Summary `json:"cost_ns"`          // CPU time of the whole tree per packet counted
	OwnCost   Summary `json:"own_cost_ns"`      // of the process itself
	Peak      Summary `json:"peak_octets"`      // of the process itself
	TreePeak  Summary `json:"tree_peak_octets"` // of all together
	StartUp   Summary `json:"start_up_ns"`
	Closed    Summary `json:"closed_pps"` // packets per second in closed loop; none where the row has none

	Marks []string `json:"marks,omitempty"` // of any of its records
	// Failures are how a program failed in some of them, which count in no number.
	Failures []string `json:"failures,omitempty"`
	// Program is what is known of another program's buffers and counts; nil of an engine of this one.
	Program *ProgramFacts `json:"program,omitempty"`
}

// ProgramFacts are what the first record tells of another program, and the warnings of all.
type ProgramFacts struct {
	Counter      bool     `json:"counter"` // it publishes its progress: the queue is exact
	PipeOctets   int      `json:"pipe_octets"`
	BufferOctets int      `json:"buffer_octets,omitempty"` // of its own input buffer; 0: not known
	BufferNote   string   `json:"buffer_note,omitempty"`
	Warnings     []string `json:"warnings,omitempty"`
}

// EngineCost compares an engine with the one of the least cost. For each repeat it takes the geometric mean, over the rows
// that both were measured on, of the ratio of their costs per packet (whole trees).
type EngineCost struct {
	Engine string  `json:"engine"`
	Ratio  Summary `json:"ratio"`
	Base   string  `json:"base"` // the engine of the least cost
	Rows   int     `json:"rows"`
}

// ScenarioFit is what an engine's cost per packet depends on over the rows on Ethernet and of captures, but not those of TCP, whose
// packets are of two sizes; or over all, where there are fewer than three of them: CPU time of the process itself, against the mean
// wire length and the rate of the row; and what one server behind the engine's queue, at that cost, would have counted.
type ScenarioFit struct {
	Engine string `json:"engine"`
	Fits   []Fit  `json:"fits"`
	Chosen *Fit   `json:"chosen"` // nil: no form is accepted
	// Counts are the predictions for each row of the model of [PredictCount], at the chosen cost or, where none is accepted, at
	// the row's own.
	Counts []CountPrediction `json:"counts"`
	Error  float64           `json:"mean_error"` // mean of |predicted/counted - 1|
}

// CountPrediction compares the queue model with what was counted.
type CountPrediction struct {
	Row         string  `json:"row"`
	CostNS      float64 `json:"cost_ns"`
	QueueFrames float64 `json:"queue_frames"`
	Predicted   float64 `json:"predicted"`
	Counted     float64 `json:"counted"`
}

// AnalyzeScenario summarizes the records of a run. Of a trial that was tried again, because it had failed, the last record
// counts.
func AnalyzeScenario(header scenario.Header, records []scenario.Record) *Scenario {
	s := &Scenario{Header: header}
	last := make(map[scenario.Trial]int, len(records))
	for i := range records {
		last[records[i].Trial] = i
	}
	var kept []scenario.Record
	for i := range records {
		if last[records[i].Trial] == i {
			kept = append(kept, records[i])
		}
	}
	records = kept
	run := scenario.Run{Header: header, Done: records}
	s.Planned = len(run.Trials())
	s.Trials = s.Planned - run.Left()
	for _, row := range header.Plan.Scenario.Rows {
		out := ScenarioRow{Row: row}
		for _, engine := range header.Plan.Engines {
			var open, closed []*scenario.Record
			for i := range records {
				switch r := &records[i]; {
				case r.Row != row.Name || r.Engine != engine:
				case r.Closed:
					closed = append(closed, r)
				default:
					open = append(open, r)
				}
			}
			if len(open)+len(closed) == 0 {
				continue
			}
			if at := slices.IndexFunc(open, func(r *scenario.Record) bool { return r.Failure == "" }); at >= 0 && out.Sent == 0 {
				r := &open[at].Result
				out.Sent, out.Seconds = r.Intended, r.Duration.Seconds()
				out.Octets = float64(r.OfferedOctets) / float64(max(1, r.Offered))
			}
			out.Engines = append(out.Engines, cellOf(&header, engine, open, closed))
		}
		s.Rows = append(s.Rows, out)
	}
	s.compare(records)
	for _, e := range header.Plan.Engines {
		s.fit(e, records)
	}
	return s
}

// fit adds what an engine's cost depends on, where there are rows enough to tell.
func (s *Scenario) fit(engine string, records []scenario.Record) {
	plain := map[string]bool{}
	for i := range s.Rows {
		if r := &s.Rows[i].Row; r.Link != "loopback" && r.Kind != "tcp" {
			plain[r.Name] = true
		}
	}
	var points []FitPoint
	byRow := map[string][]int{} // of points
	for i := range records {
		r := &records[i]
		if len(plain) >= 3 && !plain[r.Row] {
			continue
		}
		ns := ratio(total(r.Cost.WholeCPU), float64(r.Counts.Packets))
		if r.Engine != engine || !s.known(r.Row, engine) || r.Closed || r.Failure != "" || !(ns > 0) || r.Result.Offered == 0 || r.Result.Duration <= 0 {
			continue
		}
		byRow[r.Row] = append(byRow[r.Row], len(points))
		points = append(points, FitPoint{
			Octets: float64(r.Result.OfferedOctets) / float64(r.Result.Offered), PPS: r.Result.OfferedRate(), NS: ns,
			Weight: 1 / float64(ns*ns), // of repeats of one machine: errors grow with the time
			Repeat: r.Repeat,
		})
	}
	for _, of := range byRow { // a row is of one size and one rate, although each repeat measured its own a little differently
		var octets, pps []float64
		for _, i := range of {
			octets, pps = append(octets, points[i].Octets), append(pps, points[i].PPS)
		}
		size, rate := Summarize(octets).Median, Summarize(pps).Median
		for _, i := range of {
			points[i].Octets, points[i].PPS = size, rate
		}
	}
	f := ScenarioFit{Engine: engine}
	for _, form := range Forms() {
		if fit, err := FitForm(form, points); err == nil {
			f.Fits = append(f.Fits, fit)
		}
	}
	if len(f.Fits) == 0 {
		return
	}
	if fit, ok := ChooseFit(f.Fits...); ok {
		f.Chosen = &fit
	}
	sum := 0.0
	for i := range s.Rows {
		r := &s.Rows[i]
		for j := range r.Engines {
			c := &r.Engines[j]
			if c.Engine != engine || len(plain) >= 3 && !plain[r.Row.Name] || c.OwnCost.N == 0 || !(c.Counted.Median > 0) || !(r.Seconds > 0) {
				continue
			}
			p := CountPrediction{Row: r.Row.Name, CostNS: c.OwnCost.Median, Counted: c.Counted.Median, QueueFrames: QueueFrames(c.Queue, r.Octets)}
			if f.Chosen != nil {
				p.CostNS = f.Chosen.At(r.Octets, float64(r.Sent)/r.Seconds)
			}
			var err error
			if p.Predicted, err = PredictCount(float64(r.Sent), 0, time.Duration(r.Seconds*1e9), p.CostNS, p.QueueFrames); err != nil {
				continue
			}
			f.Counts = append(f.Counts, p)
			sum += math.Abs(p.Predicted/p.Counted - 1)
		}
	}
	if len(f.Counts) > 0 {
		f.Error = sum / float64(len(f.Counts))
	}
	s.Fits = append(s.Fits, f)
}

func cellOf(h *scenario.Header, engine string, open, closed []*scenario.Record) ScenarioCell {
	c := ScenarioCell{Engine: engine}
	// What one repeat cannot tell, none does: costs below what the feed's are known to would leave the larger ones.
	of := func(records []*scenario.Record, value func(*scenario.Record) float64) Summary {
		var values []float64
		for _, r := range records {
			if r.Failure != "" {
				continue
			}
			v := value(r)
			if math.IsNaN(v) {
				return Summary{}
			}
			values = append(values, v)
		}
		if len(values) == 0 {
			return Summary{}
		}
		return Summarize(values)
	}
	for _, r := range slices.Concat(open, closed) {
		if r.Failure != "" && !slices.Contains(c.Failures, r.Failure) {
			c.Failures = append(c.Failures, r.Failure)
		}
		c.Queue = r.Queue
		if p := r.Program; p != nil {
			if c.Program == nil {
				c.Program = &ProgramFacts{Counter: p.Counter, PipeOctets: p.PipeOctets, BufferOctets: p.BufferOctets, BufferNote: p.BufferNote}
			}
			for _, w := range p.Warnings {
				if !slices.Contains(c.Program.Warnings, w) {
					c.Program.Warnings = append(c.Program.Warnings, w)
				}
			}
		}
		for _, m := range r.Marks {
			if !slices.Contains(c.Marks, m) {
				c.Marks = append(c.Marks, m)
			}
		}
	}
	packets := func(r *scenario.Record) float64 { return float64(r.Counts.Packets) }
	duration := func(r *scenario.Record) float64 { return float64(r.Cost.TrafficNs) }
	c.Counted = of(open, packets)
	c.InTime = of(open, func(r *scenario.Record) float64 { return float64(r.Result.Delivered) })
	c.Loss = of(open, func(r *scenario.Record) float64 {
		return ratio(float64(r.Result.Intended)-packets(r), float64(r.Result.Intended))
	})
	c.Share = of(open, func(r *scenario.Record) float64 { return ratio(packets(r), float64(r.Result.Intended)) })
	c.TCP = of(open, func(r *scenario.Record) float64 {
		if r.Counts.TCP == nil {
			return math.NaN()
		}
		return float64(*r.Counts.TCP)
	})
	c.CPU = of(open, func(r *scenario.Record) float64 { return ratio(total(r.Cost.TrafficCPU), duration(r)) })
	c.TreeCPU = of(open, func(r *scenario.Record) float64 {
		return ratio(total(r.Cost.TrafficCPU, r.Cost.TrafficChildrenCPU), duration(r))
	})
	if w := h.Plan.Scenario.WindowSeconds; w > 0 {
		c.WindowCPU = of(open, func(r *scenario.Record) float64 { return ratio(total(r.Cost.WholeCPU), w*1e9) })
	}
	c.Cost = of(open, treeCost)
	c.OwnCost = of(open, func(r *scenario.Record) float64 { return ratio(total(r.Cost.WholeCPU), packets(r)) })
	c.Peak = of(open, func(r *scenario.Record) float64 { return total(r.Cost.PeakOctets) })
	c.TreePeak = of(open, func(r *scenario.Record) float64 { return total(r.Cost.TreePeakOctets) })
	c.StartUp = of(open, func(r *scenario.Record) float64 {
		if r.Program == nil {
			return math.NaN()
		}
		return float64(r.Cost.StartUpNs)
	})
	c.Closed = of(closed, func(r *scenario.Record) float64 { return r.Result.DeliveredRate() })
	return c
}

// treeCost is the CPU time of an engine and its children per packet that it counted.
func treeCost(r *scenario.Record) float64 {
	return ratio(total(r.Cost.WholeCPU, r.Cost.WholeChildrenCPU), float64(r.Counts.Packets))
}

// total adds up what is known; NaN where one is not.
func total(values ...*int64) float64 {
	sum := 0.0
	for _, v := range values {
		if v == nil {
			return math.NaN()
		}
		sum += float64(*v)
	}
	return sum
}

// ratio is NaN for nothing of nothing.
func ratio(a, b float64) float64 {
	if !(b > 0) {
		return math.NaN()
	}
	return a / b
}

// Cell returns what the row has of an engine, nil where it was not measured.
func (r *ScenarioRow) Cell(engine string) *ScenarioCell {
	for i := range r.Engines {
		if r.Engines[i].Engine == engine {
			return &r.Engines[i]
		}
	}
	return nil
}

// known tells whether the cost of an engine on a row is known in every repeat.
func (s *Scenario) known(row, engine string) bool {
	for i := range s.Rows {
		if s.Rows[i].Row.Name == row {
			c := s.Rows[i].Cell(engine)
			return c != nil && c.Cost.N > 0 && c.Cost.Min > 0
		}
	}
	return false
}

// compare fills in Engines.
func (s *Scenario) compare(records []scenario.Record) {
	type key struct {
		row    string
		repeat int
	}
	costs := map[string]map[key]float64{}
	for i := range records {
		r := &records[i]
		if r.Closed || r.Failure != "" || !s.known(r.Row, r.Engine) {
			continue
		}
		if costs[r.Engine] == nil {
			costs[r.Engine] = map[key]float64{}
		}
		costs[r.Engine][key{r.Row, r.Repeat}] = treeCost(r)
	}
	versus := func(engine, base string) (Summary, int) {
		logs, rows := map[int][]float64{}, map[string]bool{}
		for k, c := range costs[engine] {
			if b, ok := costs[base][k]; ok {
				logs[k.repeat] = append(logs[k.repeat], math.Log(c/b))
				rows[k.row] = true
			}
		}
		var means []float64
		for _, l := range logs {
			slices.Sort(l) // the order of a map must not reach the digits
			means = append(means, math.Exp(sumOf(l)/float64(len(l))))
		}
		if len(means) == 0 {
			return Summary{}, 0
		}
		return Summarize(means), len(rows)
	}
	base := ""
	for _, e := range s.Header.Plan.Engines {
		if len(costs[e]) == 0 {
			continue
		}
		if base == "" {
			base = e
		} else if r, n := versus(e, base); n > 0 && r.Median < 1 {
			base = e
		}
	}
	for _, e := range s.Header.Plan.Engines {
		if len(costs[e]) == 0 {
			continue
		}
		r, n := versus(e, base)
		s.Engines = append(s.Engines, EngineCost{Engine: e, Ratio: r, Base: base, Rows: n})
	}
}
