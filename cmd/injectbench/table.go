package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// column is how a metric is printed.
type column struct {
	metric, heading string
	per             float64 // of the unit in the heading
	digits          int
}

// columns of each mode, in order.
var columns = map[mode][]column{
	topSpeed: {
		{"seen_pps", "kpps seen", 1000, 0}, {"said_pps", "kpps said", 1000, 0}, {"cpu_ns", "CPU ns/packet", 1, 0},
	},
	paced: {
		{"rate_ppm", "rate ppm", 1, 2}, {"gap_p50_ns", "gap error p50 us", 1000, 2}, {"gap_p90_ns", "p90", 1000, 2},
		{"gap_p99_ns", "p99", 1000, 2}, {"gap_worst_ns", "worst", 1000, 0}, {"median_gap_ns", "median gap us", 1000, 2},
		{"median_gap_off_ns", "median gap, off by us", 1000, 2}, {"cpu_percent", "CPU %", 1, 1},
	},
	recorded: {
		{"drift_ns", "end drift us", 1000, 1}, {"late_p50_ns", "schedule error p50 us", 1000, 2}, {"late_p99_ns", "p99", 1000, 2},
		{"late_worst_ns", "worst", 1000, 0}, {"pause_ns", "pause us", 1000, 1}, {"cpu_percent", "CPU %", 1, 1},
	},
	integrity: {{"faults", "faults", 1, 0}, {"said_pps", "kpps said", 1000, 0}},
}

func (c column) format(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", c.digits, v/c.per)
}

// find returns how a metric of the case is printed.
func (k *benchCase) find(metric string) column {
	for _, c := range columns[k.mode] {
		if c.metric == metric {
			return c
		}
	}
	return column{metric, metric, 1, 2}
}

// name returns the heading by itself: those of a family are short.
func (c column) name() string {
	if family, _, whole := strings.Cut(c.metric, "_p"); whole && len(c.heading) == 3 {
		return map[string]string{"gap": "gap error ", "late": "schedule error "}[family] + c.heading + " us"
	}
	return c.heading
}

func (b bar) limitText() string {
	sign := ">="
	if b.most {
		sign = "<="
	}
	switch {
	case math.IsNaN(b.limit):
		return "none"
	case b.peer != "":
		return fmt.Sprintf("%s %g x", sign, b.limit)
	case strings.HasSuffix(b.metric, "_ns"):
		return fmt.Sprintf("%s %g us", sign, b.limit/1000)
	}
	return fmt.Sprintf("%s %g", sign, b.limit)
}

func (b bar) String() string {
	if b.peer == "" {
		return fmt.Sprintf("%s of %s: %s", b.metric, b.ours, b.limitText())
	}
	return fmt.Sprintf("%s of %s to %s: %s", b.metric, b.ours, b.peer, b.limitText())
}

// writeCase prints the medians of each side, then the comparisons.
func writeCase(w io.Writer, k benchCase, runs []record, verdicts []verdict) error {
	fmt.Fprintf(w, "\n%s\n", k.title())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "side\tkept\t")
	for _, c := range columns[k.mode] {
		fmt.Fprintf(t, "%s\t", c.heading)
	}
	fmt.Fprint(t, "wall s\tsteal ms\tswitches\tundelivered\n")
	for _, s := range k.sides {
		var wall, steal, switches []float64
		counts, undelivered := 0, 0
		for i := range runs {
			if r := &runs[i]; r.Side == s.name {
				undelivered += r.Said - r.Delivered
				switches = append(switches, float64(r.Switches))
				steal = append(steal, float64(r.StealNs)/1e6)
				wall = append(wall, float64(r.WallNs)/1e9)
				if r.Dropped == "" {
					counts++
				}
			}
		}
		fmt.Fprintf(t, "%s\t%d of %d\t", s.name, counts, len(wall))
		for _, c := range columns[k.mode] {
			var values []float64
			for _, v := range kept(runs, s.name, c.metric) {
				values = append(values, v)
			}
			fmt.Fprintf(t, "%s\t", c.format(middle(values)))
		}
		fmt.Fprintf(t, "%.2f\t%.0f\t%.0f\t%d\n", middle(wall), middle(steal), middle(switches), undelivered)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprint(t, "compared\tours\tpeer\tratio or size\tfrom\tto\tkept\tbar\t\n")
	for _, v := range verdicts {
		c := k.find(v.Metric)
		met := ""
		if v.Bar != "" {
			met = "not judged"
			if v.Met != nil {
				met = map[bool]string{true: "met", false: "NOT MET"}[*v.Met]
			}
		}
		what, ratio := v.Ours+": "+c.name(), column{digits: 3, per: 1}
		if v.Peer != "" {
			what += " to " + v.Peer
		} else {
			ratio = c
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%d of %d\t%s\t%s\n", what, c.format(float64(v.OursMedian)), c.format(float64(v.PeerMedian)),
			ratio.format(float64(v.Median)), ratio.format(float64(v.Least)), ratio.format(float64(v.Most)), v.Kept, v.Of, cmp.Or(v.Bar, "-"), met)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	writeDropped(w, runs)
	return nil
}

// writeDropped says what was not counted and why, and what senders are to blame for.
func writeDropped(w io.Writer, runs []record) {
	why := make(map[string]int)
	for i := range runs {
		r := &runs[i]
		if r.Dropped != "" {
			why[r.Dropped]++
		}
		if r.Failed != "" {
			fmt.Fprintf(w, "%s, round %d failed: %s\n  %s\n", r.Side, r.Round+1, r.Failed, strings.Join(r.Argv, " "))
		} else if r.broken() {
			fmt.Fprintf(w, "%s, round %d: wanted %d, said %d, delivered %d, faults %.0f\n", r.Side, r.Round+1, r.Wanted, r.Said,
				r.Delivered, r.Metrics["faults"])
		}
	}
	var reasons []string
	for reason, n := range why {
		reasons = append(reasons, fmt.Sprintf("%d for %s", n, reason))
	}
	slices.Sort(reasons)
	if len(reasons) > 0 {
		fmt.Fprintf(w, "dropped of %d runs: %s\n", len(runs), strings.Join(reasons, ", "))
	}
}
