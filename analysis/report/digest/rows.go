package digest

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/score"
	"pcaplab/replay/trial"
)

// Row is one number of a report, with its interval. What a number has not, as a size, is empty.
type Row struct {
	Source   string   `json:"source"`       // as [Names] has it
	Of       string   `json:"of,omitempty"` // the class, the scenario's row or the set of vectors
	Engine   string   `json:"engine,omitempty"`
	Size     string   `json:"size,omitempty"`
	Cache    string   `json:"cache,omitempty"`
	Workers  int      `json:"workers,omitempty"`
	Load     *float64 `json:"load,omitempty"` // at which it was measured, in LoadUnit
	LoadUnit string   `json:"load_unit,omitempty"`
	Measure  string   `json:"measure"`
	Unit     string   `json:"unit"` // "" for counts and scores; ratios are shares, not percent
	N        int      `json:"n"`    // values behind it; 0: not known, or not of repeats
	Median   float64  `json:"median"`
	Low      *float64 `json:"low,omitempty"` // nil: there is no interval
	High     *float64 `json:"high,omitempty"`
	Coverage float64  `json:"coverage,omitempty"`
	Warnings []string `json:"warnings,omitempty"` // marks of the cell, and of goals what is irregular
	Machine  string   `json:"machine,omitempty"`  // that measured it, where several did
}

// rowMaker makes the rows of one place in a source.
type rowMaker struct {
	at   Row
	rows []Row
}

// of names the cell and, of a study that several measured, the machine.
func (m *rowMaker) of(c trial.Cell, machine string) {
	m.at.Machine = cmp.Or(machine, m.at.Machine)
	m.at.Engine, m.at.Size, m.at.Cache, m.at.Workers = c.Engine, c.Size, c.Cache, c.Workers
}

func (m *rowMaker) summary(measure, unit string, s analysis.Summary, warnings ...string) {
	if s.N > 0 {
		m.value(measure, unit, s.N, s.Median, s.Interval, append(slices.Clone(m.at.Warnings), warnings...)...)
	}
}

func (m *rowMaker) value(measure, unit string, n int, v float64, in analysis.Interval, warnings ...string) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	r := m.at
	r.Measure, r.Unit, r.N, r.Median, r.Warnings = measure, unit, n, v, warnings
	if in.Valid() {
		r.Low, r.High, r.Coverage = &in.Low, &in.High, in.Coverage
	}
	m.rows = append(m.rows, r)
}

// Rows returns all numbers of the sources, one a row, in the order of the report.
func Rows(sources []*report.Source) []Row {
	var m rowMaker
	for i, name := range Names(sources) {
		s := sources[i]
		m.at = Row{Source: name}
		switch s.Kind {
		case report.KindStudy:
			m.study(s.Study)
		case report.KindClasses:
			for j, r := range s.Classes.Results {
				if r != nil {
					class := s.Classes.Header.Classes[j].Name
					m.at = Row{Source: name, Of: class, Machine: s.Classes.HostOf(class)}
					m.study(r)
				}
			}
		case report.KindScenario:
			m.scenario(s.Scenario)
		case report.KindLive:
			m.live(s.Live)
		case report.KindValidation:
			m.validation(s.Validation)
		}
	}
	return m.rows
}

func (m *rowMaker) study(r *analysis.Results) {
	base := m.at
	unit := r.Header.Settings.Unit
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		m.at = base
		m.of(c.Cell, c.Host)
		m.at.Warnings = c.Marks
		if c.Octets > 0 {
			m.value("octets_per_packet", "B", 0, c.Octets, analysis.Interval{})
		}
		m.summary("time_per_packet", "ns", c.NS)
		m.summary("min_time_per_packet", "ns", c.MinNS)
		if c.Stages != nil {
			m.at.Warnings = c.Stages.Marks
			m.summary("engine_alone_time_per_packet", "ns", c.Stages.EngineNS)
			m.summary("stages_time_per_packet", "ns", c.Stages.NS)
			m.at.Warnings = c.Marks
		}
		m.summary("cpu_per_packet", "ns", c.CPUNS)
		m.summary("service", unit, c.Service)
		for j := range c.Goals {
			g := &c.Goals[j]
			m.summary(g.Goal, unit, g.Rate, irregularities(g)...)
		}
		m.summary("allocs_per_packet", "", c.Allocs)
		m.summary("gc_per_million_packets", "", c.GC)
		m.summary("engine_peak", "B", c.Peak)
		m.summary("feed_share", "ratio", c.Feed)
		m.summary("instructions_per_packet", "", c.Insns)
	}
	for i := range r.Costs {
		c := &r.Costs[i]
		m.at = base
		m.of(c.Cell, c.Host)
		m.value("cost_base", "ns", c.Model.Repeats, c.Model.Base, c.Model.BaseInterval, c.Model.Warnings...)
		m.value("cost_per_octet", "ns", c.Model.Repeats, c.Model.PerOctet, c.Model.PerOctetInterval, c.Model.Warnings...)
		m.value("cost_mean_misfit", "ratio", c.Model.Repeats, c.Model.MAPE, analysis.Interval{}, c.Model.Warnings...)
	}
	if r.Header.Plan.Search == trial.SearchNone {
		for i := range r.Curves {
			m.at = base
			m.of(r.Curves[i].Cell, r.Header.HostOf(r.Curves[i].Cell))
			for _, p := range r.Curves[i].Points {
				m.at.Load, m.at.LoadUnit = &p.Load, unit
				m.value("loss", "ratio", p.Trials, p.LossRatio(), analysis.Interval{}, p.Marks...)
			}
			if k := r.Curves[i].Knee; k != nil {
				m.at.Load, m.at.LoadUnit = nil, ""
				m.value("knee", unit, k.Load.N, k.Load.Median, k.Load.Interval, k.Warnings...)
			}
		}
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		m.at = base
		m.of(s.Cell, r.Header.HostOf(s.Cell))
		if s.Change.Ratio != nil {
			m.value("soak_change", "ratio", 1, *s.Change.Ratio, s.Change.Interval, s.Verdict)
		}
	}
	m.at = base
}

// irregularities says in short what the repeats of a search lack.
func irregularities(g *analysis.Found) (list []string) {
	add := func(n int, what string) {
		if n > 0 {
			list = append(list, what+" "+strconv.Itoa(n)+"/"+strconv.Itoa(g.Repeats))
		}
	}
	add(g.NoLower, "no lower bound")
	add(g.NoUpper, "no upper bound")
	add(g.TooWide, "bounds too wide")
	add(g.NoTime, "no time")
	return list
}

func (m *rowMaker) scenario(s *analysis.Scenario) {
	base := m.at
	for i := range s.Rows {
		r := &s.Rows[i]
		for j := range r.Engines {
			c := &r.Engines[j]
			m.at = base
			m.at.Of, m.at.Engine, m.at.Warnings = r.Row.Name, c.Engine, slices.Concat(c.Marks, c.Failures)
			m.summary("counted", "", c.Counted)
			m.summary("loss", "ratio", c.Loss)
			m.summary("cpu", "ratio", c.CPU)
			m.summary("cpu_with_children", "ratio", c.TreeCPU)
			m.summary("cpu_per_packet", "ns", c.Cost)
			m.summary("cpu_per_packet_of_the_process", "ns", c.OwnCost)
			m.summary("peak", "B", c.Peak)
			m.summary("peak_with_children", "B", c.TreePeak)
			m.summary("start_up", "ns", c.StartUp)
			m.summary("closed_loop", "pps", c.Closed)
		}
	}
	for i := range s.Engines {
		m.at = base
		m.at.Engine, m.at.Warnings = s.Engines[i].Engine, nil
		m.summary("cost_over_"+s.Engines[i].Base, "ratio", s.Engines[i].Ratio)
	}
	m.at = base
}

func (m *rowMaker) live(l *analysis.Live) {
	base := m.at
	for i := range l.Engines {
		e := &l.Engines[i]
		m.at = base
		m.at.Engine = e.Engine
		var limits []string
		if e.SenderLimited {
			limits = append(limits, "sender-limited")
		}
		m.summary("live", "pps", e.Ceiling, limits...)
		m.summary("live_below", "pps", e.Below)
		m.summary("sender_top", "pps", e.Top)
		m.summary("in_memory", "pps", e.Memory)
		m.summary("service", "pps", e.Service)
		for j := range e.Loads {
			load := &e.Loads[j]
			m.at.Load, m.at.LoadUnit = &load.Load, "pps"
			m.summary("loss", "ratio", load.Loss)
			m.summary("loss_in_memory", "ratio", load.MemoryLoss)
			m.summary("cpu_per_packet", "ns", load.Parse)
		}
	}
	m.at = base
}

func (m *rowMaker) validation(v *report.Validated) {
	base := m.at
	scored := func(name string, value float64, in score.Interval) {
		interval := analysis.Interval{Low: in.Low, High: in.High, Coverage: v.Settings.Level}
		if !(in.Low <= in.High) || in == (score.Interval{}) {
			interval = analysis.Interval{}
		}
		m.value(name, "", 0, value, interval, m.at.Warnings...)
	}
	for i := range v.Sets {
		s := &v.Sets[i]
		m.at = base
		m.at.Of = s.Name
		if s.Decided == 0 {
			continue
		}
		scored("macro_f1", s.Metrics.Macro.F1, s.Intervals.MacroF1)
		scored("balanced_accuracy", s.Metrics.BalancedAccuracy, s.Intervals.BalancedAccuracy)
		scored("accuracy", s.Metrics.Accuracy, s.Intervals.Accuracy)
		if recall, in, ok := s.BenignRecall(); ok {
			scored("benign_recall", recall, in)
		}
		if s.FalseAlarmsPerHour != nil {
			m.value("false_alarms_per_hour", "", 0, *s.FalseAlarmsPerHour, analysis.Interval{})
		}
	}
	m.at = base
	if v.Speed != nil {
		for _, r := range v.Speed.Rows {
			m.at.Of, m.at.Engine, m.at.Warnings = r.What, v.Speed.Engine, r.Marks
			m.summary("speed", "pps", r.Packets)
			m.summary("vectors", "vectors/s", r.Vectors)
			m.summary("time", "ns", r.NS)
		}
	}
	if v.Load != nil {
		m.at = base
		m.at.Engine = v.Load.Engine
		for i := range v.Load.Points {
			p := &v.Load.Points[i]
			m.at.Load, m.at.LoadUnit = &p.Load, "service ceilings"
			of := func(name, unit string, value func(i int) float64) {
				values := make([]float64, len(p.Measured))
				for j := range values {
					values[j] = value(j)
				}
				m.summary(name, unit, analysis.Summarize(values))
			}
			of("delivered", "ratio", func(j int) float64 { return p.Measured[j].DeliveredShare() })
			of("coverage", "ratio", func(j int) float64 { return p.Scores[j].Coverage })
			of("macro_f1_under_load", "", func(j int) float64 {
				if p.Measured[j].Decided() == 0 {
					return math.NaN()
				}
				return p.Scores[j].MacroF1
			})
		}
	}
	m.at = base
}

// Table is the rows as a table for CSV: numbers with all their digits, what is not known empty.
func Table(rows []Row) *report.Table {
	t := &report.Table{}
	for _, key := range []string{"source", "of", "engine", "size", "cache", "workers", "load", "load_unit", "measure", "unit", "n", "median", "low", "high",
		"coverage", "warnings", "machine"} {
		t.Columns = append(t.Columns, report.Column{Head: key})
	}
	number := func(v float64) report.Cell { return report.Text(strconv.FormatFloat(v, 'g', -1, 64)) }
	maybe := func(v *float64) report.Cell {
		if v == nil {
			return report.Cell{}
		}
		return number(*v)
	}
	whole := func(n int) report.Cell {
		if n == 0 {
			return report.Cell{}
		}
		return report.Text(strconv.Itoa(n))
	}
	for i := range rows {
		r := &rows[i]
		coverage := report.Cell{}
		if r.Coverage > 0 {
			coverage = number(r.Coverage)
		}
		t.Add(report.Text(r.Source), report.Text(r.Of), report.Text(r.Engine), report.Text(r.Size), report.Text(r.Cache), whole(r.Workers), maybe(r.Load),
			report.Text(r.LoadUnit), report.Text(r.Measure), report.Text(r.Unit), whole(r.N), number(r.Median), maybe(r.Low), maybe(r.High), coverage,
			report.Text(strings.Join(r.Warnings, "; ")), report.Text(r.Machine))
	}
	return t
}
