package report

import (
	"math"
	"slices"
	"strconv"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// hasBars reports whether a chart has anything to show.
func (ch *BarChart) hasBars() bool {
	return slices.ContainsFunc(ch.Groups, func(g BarGroup) bool {
		return slices.ContainsFunc(g.Bars, func(b Bar) bool { return !math.IsNaN(b.Value) })
	})
}

// barOf is the median of a summary with its interval, in units of scale.
func barOf(s analysis.Summary, scale float64) Bar {
	if s.N == 0 {
		return Bar{Value: math.NaN()}
	}
	b := Bar{Value: s.Median / scale, Interval: s.Interval}
	b.Interval.Low /= scale
	b.Interval.High /= scale
	return b
}

// cpuChart shows what a packet costs each cell: the parser's thread and the whole process and, where it was measured, the
// engine without its stages.
func cpuChart(r *analysis.Results) (BarChart, bool) {
	ch := BarChart{Title: "Time of a packet", Note: chartNote(r), Axis: "time per packet in closed loop", Format: FormatDuration,
		Series: []string{"parser's thread", "CPU of the process"}}
	alone := r.Header.Plan.EngineAlone
	if alone {
		ch.Series = slices.Insert(ch.Series, 0, "parser's thread without stages")
	}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		g := BarGroup{Name: shortName(r, c.Cell), Bars: []Bar{barOf(c.NS, 1), barOf(c.CPUNS, 1)}}
		if alone {
			g.Bars = slices.Insert(g.Bars, 0, barOf(stageCost(c).EngineNS, 1))
		}
		ch.Groups = append(ch.Groups, g)
	}
	return ch, ch.hasBars()
}

// CPUAt is the share of one CPU that the process of a cell takes at a load in packets per second, by what a packet takes in
// closed loop; NaN where that is not known.
func CPUAt(c *analysis.Ceiling, pps float64) float64 {
	if c.CPUNS.N == 0 {
		return math.NaN()
	}
	return c.CPUNS.Median * pps / 1e9
}

// PacketRate turns a load of a cell into packets per second: loads of the study may be in bit/s of wire octets. It is NaN where
// the mean frame is not known.
func PacketRate(h *trial.Header, c *analysis.Ceiling, load float64) float64 {
	switch {
	case h.Settings.Unit != "bit/s":
		return load
	case c.Wire == 0:
		return math.NaN()
	}
	return load / (8 * c.Wire)
}

// cpuDataTable has what the chart shows, and the share of one CPU at each goal's rate.
func cpuDataTable(r *analysis.Results) *Table {
	t := &Table{}
	for _, key := range []string{"engine", "size", "cache", "workers", "engine_alone_ns", "thread_ns", "thread_ns_low", "thread_ns_high", "cpu_ns",
		"cpu_ns_low", "cpu_ns_high"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	for _, g := range r.Header.Plan.Goals {
		t.Columns = append(t.Columns, Column{Head: "cpu_share_at_" + g.Name})
	}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		alone := stageCost(c).EngineNS
		row := []Cell{Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache), Text(strconv.Itoa(c.Cell.Workers)), exact(alone.Median, alone.N > 0)}
		row = append(row, described(c.NS)[:3]...)
		row = append(row, described(c.CPUNS)[:3]...)
		for _, g := range r.Header.Plan.Goals {
			share := cpuAtGoal(r, c, g)
			row = append(row, exact(share, !math.IsNaN(share)))
		}
		t.Add(row...)
	}
	return t
}

func cpuAtGoal(r *analysis.Results, c *analysis.Ceiling, goal search.Goal) float64 {
	for _, f := range c.Goals {
		if f.Goal == goal.Name && f.Rate.N > 0 && f.NoLower < f.Repeats {
			return CPUAt(c, PacketRate(&r.Header, c, f.Rate.Median))
		}
	}
	return math.NaN()
}

// memoryChart shows the most memory of each cell beside the capture.
func memoryChart(r *analysis.Results) (BarChart, bool) {
	const mebi = 1 << 20 // the axis has round numbers of them
	ch := BarChart{Title: "Memory", Note: chartNote(r), Axis: "most memory of the process beside the capture, in any trial",
		Format: func(v float64) string { return FormatOctets(mebi * v) }, Series: []string{"peak"}}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		ch.Groups = append(ch.Groups, BarGroup{Name: shortName(r, c.Cell), Bars: []Bar{barOf(noInterval(maxOf(c.Peak)), mebi)}})
	}
	return ch, ch.hasBars()
}

func memoryDataTable(r *analysis.Results) *Table {
	t := &Table{}
	for _, key := range []string{"engine", "size", "cache", "workers", "engine_peak_octets_most", "engine_peak_octets_median", "trials", "allocs_per_packet"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		t.Add(Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache), Text(strconv.Itoa(c.Cell.Workers)), exact(c.Peak.Max, c.Peak.N > 0),
			exact(c.Peak.Median, c.Peak.N > 0), whole(c.Peak.N), exact(c.Allocs.Median, c.Allocs.N > 0))
	}
	return t
}
