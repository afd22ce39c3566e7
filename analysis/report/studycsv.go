package report

import (
	"io"
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
)

// WriteCSV writes a row for each cell, numbers with all their digits. What was not measured is empty. The columns are
//
//   - engine, size, cache, workers, skew, mean_octets;
//   - repeats: of the closed loop;
//   - ns_per_packet, min_ns_per_packet (in the quickest part of the loop), cpu_ns_per_packet and service_UNIT, each as NAME (median), NAME_low and NAME_high (the interval of the
//     median, empty where there is none) and NAME_n (values behind them); of a plan with EngineAlone also
//     engine_alone_ns_per_packet and stages_ns_per_packet, after min_ns_per_packet;
//   - allocs_per_packet, gc_per_million_packets, engine_peak_octets (the largest), feed_share, instructions_per_packet;
//   - for each goal of the plan GOAL_UNIT with _low, _high and _n as above, GOAL_UNIT_smallest_lower and
//     GOAL_UNIT_largest_upper (relevant bounds over the repeats, empty where a repeat has none),
//     GOAL_repeats_without_lower, GOAL_repeats_without_upper, GOAL_repeats_without_time (whose search ended with the window of
//     a soak, so that a bound may be missing for no other reason) and GOAL_regular (true or false);
//   - marks, separated by spaces; alone:MARK is of the engine alone;
//   - machine: of a study that several machines measured, the name of the one that measured the row (trial.Header.Hosts).
//
// UNIT is pps or bit_per_s.
func WriteCSV(w io.Writer, r *analysis.Results) error { return studyTable(r).WriteCSV(w) }

func studyTable(r *analysis.Results) *Table {
	t := &Table{}
	add := func(heads ...string) {
		for _, head := range heads {
			t.Columns = append(t.Columns, Column{Head: head})
		}
	}
	summary := func(name string) { add(name, name+"_low", name+"_high", name+"_n") }
	unit := "_" + strings.ReplaceAll(r.Header.Settings.Unit, "/", "_per_")
	add("engine", "size", "cache", "workers", "skew", "mean_octets", "repeats")
	summary("ns_per_packet")
	summary("min_ns_per_packet")
	alone := r.Header.Plan.EngineAlone
	if alone {
		summary("engine_alone_ns_per_packet")
		summary("stages_ns_per_packet")
	}
	summary("cpu_ns_per_packet")
	summary("service" + unit)
	add("allocs_per_packet", "gc_per_million_packets", "engine_peak_octets", "feed_share", "instructions_per_packet")
	for _, g := range r.Header.Plan.Goals {
		summary(g.Name + unit)
		add(g.Name+unit+"_smallest_lower", g.Name+unit+"_largest_upper", g.Name+"_repeats_without_lower",
			g.Name+"_repeats_without_upper", g.Name+"_repeats_without_time", g.Name+"_regular")
	}
	add("marks")
	hosts := len(r.Header.Hosts) > 1
	if hosts {
		add("machine")
	}
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		row := []Cell{
			Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache), whole(c.Cell.Workers), exact(c.Skew, c.Skew > 0),
			exact(c.Octets, c.Octets > 0), whole(c.Service.N),
		}
		row = append(append(row, described(c.NS)...), described(c.MinNS)...)
		if alone {
			cost := stageCost(c)
			row = append(append(row, described(cost.EngineNS)...), described(cost.NS)...)
		}
		row = append(row, described(c.CPUNS)...)
		row = append(row, described(c.Service)...)
		for _, s := range []analysis.Summary{c.Allocs, c.GC, maxOf(c.Peak), c.Feed, c.Insns} {
			row = append(row, exact(s.Median, s.N > 0))
		}
		for _, goal := range r.Header.Plan.Goals {
			row = append(row, goalCells(c, goal.Name)...)
		}
		row = append(row, Text(marks(c)))
		if hosts {
			row = append(row, Text(c.Host))
		}
		t.Add(row...)
	}
	return t
}

func goalCells(c *analysis.Ceiling, goal string) []Cell {
	for _, g := range c.Goals {
		if g.Goal == goal {
			return append(described(g.Rate), exact(g.Lower, g.Lower > 0), exact(g.Upper, g.Upper > 0), whole(g.NoLower),
				whole(g.NoUpper), whole(g.NoTime), Text(strconv.FormatBool(g.Regular)))
		}
	}
	return append(described(analysis.Summary{}), make([]Cell, 6)...)
}

// described returns median, low, high and number of values.
func described(s analysis.Summary) []Cell {
	interval := s.Interval.Valid()
	return []Cell{exact(s.Median, s.N > 0), exact(s.Interval.Low, interval), exact(s.Interval.High, interval), whole(s.N)}
}

// exact returns a cell with all digits of v, or an empty one where v is not known.
func exact(v float64, known bool) Cell {
	if !known || math.IsNaN(v) {
		return Cell{}
	}
	return Text(strconv.FormatFloat(v, 'g', -1, 64))
}

func whole(n int) Cell { return Text(strconv.Itoa(n)) }
