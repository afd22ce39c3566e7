package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// WriteText writes results for a person: what was measured, a table of ceilings, costs against size, loss against load
// where no search was made, and every warning.
func WriteText(w io.Writer, r *analysis.Results) error {
	if _, err := io.WriteString(w, heading(r)); err != nil {
		return err
	}
	tables := []*Table{ceilingTable(r)}
	if len(r.Costs) > 0 {
		tables = append(tables, costTable(r))
	}
	if r.Header.Plan.Search == trial.SearchNone && len(r.Curves) > 0 {
		tables = append(tables, curveTable(r))
	}
	last := tables[len(tables)-1]
	last.Notes = append(last.Notes, r.Warnings...)
	for i, t := range tables {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteCSV writes a row for each cell, numbers with all their digits and units in the heads.
func WriteCSV(w io.Writer, r *analysis.Results) error { return ceilingTable(r).WriteCSV(w) }

// WriteJSON writes one object a line: each ceiling, then costs and curves, each with a "kind".
func WriteJSON(w io.Writer, r *analysis.Results) error {
	e := json.NewEncoder(w)
	for _, c := range r.Ceilings {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.Ceiling
		}{"ceiling", r.Header.Settings.Unit, c}); err != nil {
			return err
		}
	}
	for _, c := range r.Costs {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			analysis.Cost
		}{"cost", c}); err != nil {
			return err
		}
	}
	for _, c := range r.Curves {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.Curve
		}{"curve", r.Header.Settings.Unit, c}); err != nil {
			return err
		}
	}
	return nil
}

func heading(r *analysis.Results) string {
	h := &r.Header
	var b strings.Builder
	if h.Plan.Quick {
		fmt.Fprintf(&b, "quick: short trials (%v), a first look and not for publication\n", h.Plan.Trial)
	}
	var frames, octets uint64
	var names []string
	for _, c := range h.Captures {
		frames += c.Frames
		octets += c.Octets
		names = append(names, c.Name)
	}
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
	}
	if frames > 0 {
		fmt.Fprintf(&b, "capture   %s: %d packets, mean %.0f B\n", strings.Join(names, ", "), frames, float64(octets)/float64(frames))
	}
	s := &h.Settings
	fmt.Fprintf(&b, "settings  queue %s, arrivals %s, clock %s, feed %s", s.Queue, s.Pattern, s.Clock, s.Feed)
	if len(s.Stages) > 0 {
		fmt.Fprintf(&b, ", stages %s", strings.Join(s.Stages, " "))
	}
	fmt.Fprintf(&b, "; repeats %d\n", h.Plan.Repeats)
	for _, g := range h.Plan.Goals {
		fmt.Fprintf(&b, "goal      %s: loss at most %s in trials of %v, judged on %v, %s of it may exceed; width %s\n",
			g.Name, FormatRatio(g.LossRatio), g.FinalTrialDuration, g.DurationSum, FormatRatio(g.ExceedRatio), FormatRatio(g.Width))
	}
	fmt.Fprintf(&b, "machine   %s\n\n", machine(h))
	return b.String()
}

// formatLoad returns how loads of the study are written.
func formatLoad(r *analysis.Results) func(float64) string {
	if r.Header.Settings.Unit == "bit/s" {
		return FormatBits
	}
	return FormatRate
}

// with writes the median and, where there is one, its interval.
func with(s analysis.Summary, format func(float64) string) Cell {
	if s.N == 0 {
		return Number(math.NaN(), format)
	}
	c := Number(s.Median, format)
	if s.Interval.Valid() {
		c.Text += " [" + strings.TrimSuffix(between(format(s.Interval.Low), format(s.Interval.High)), " ") + "]"
	}
	return c
}

// between joins two formatted values, with the unit once where it is the same.
func between(low, high string) string {
	if i := strings.LastIndexByte(low, ' '); i >= 0 && strings.HasSuffix(high, low[i:]) {
		low = low[:i]
	}
	return low + ", " + high
}

func plain1(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func ceilingTable(r *analysis.Results) *Table {
	load := formatLoad(r)
	unit := strings.ReplaceAll(r.Header.Settings.Unit, "/", "_per_")
	several := false
	insns := false
	for _, c := range r.Ceilings {
		several = several || c.Cell.Workers > 1
		insns = insns || c.Insns.N > 0
	}
	t := &Table{Columns: []Column{
		{Head: "engine", Key: "engine"}, {Head: "size", Key: "size"}, {Head: "frames", Key: "cache"},
	}}
	if several {
		t.Columns = append(t.Columns, Column{Head: "workers", Key: "workers", Right: true}, Column{Head: "skew", Key: "skew", Right: true})
	}
	t.Columns = append(t.Columns,
		Column{Head: "time/packet", Key: "ns_per_packet", Right: true},
		Column{Head: "CPU/packet", Key: "cpu_ns_per_packet", Right: true},
		Column{Head: "service", Key: "service_" + unit, Right: true})
	for _, g := range r.Header.Plan.Goals {
		t.Columns = append(t.Columns, Column{Head: strings.ToUpper(strings.Replace(g.Name, ":", " ", 1)), Key: g.Name + "_" + unit, Right: true})
	}
	t.Columns = append(t.Columns,
		Column{Head: "allocs", Key: "allocs_per_packet", Right: true},
		Column{Head: "GC/M", Key: "gc_per_million_packets", Right: true},
		Column{Head: "peak", Key: "engine_peak_octets", Right: true},
		Column{Head: "feed", Key: "feed_share", Right: true})
	if insns {
		t.Columns = append(t.Columns, Column{Head: "insn", Key: "instructions_per_packet", Right: true})
	}
	t.Columns = append(t.Columns, Column{Head: "marks", Key: "marks"})
	for _, c := range r.Ceilings {
		row := []Cell{Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache)}
		if several {
			row = append(row, Text(strconv.Itoa(c.Cell.Workers)), Number(max(1, c.Skew), func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }))
		}
		row = append(row, with(c.NS, FormatDuration), with(c.CPUNS, FormatDuration), with(c.Service, load))
		for _, g := range r.Header.Plan.Goals {
			row = append(row, goalCell(&c, g.Name, load))
		}
		row = append(row, with(noInterval(c.Allocs), plain1), with(noInterval(c.GC), plain1), with(noInterval(maxOf(c.Peak)), FormatOctets),
			Number(c.Feed, FormatRatio))
		if insns {
			row = append(row, with(noInterval(c.Insns), func(v float64) string { return strconv.FormatFloat(v, 'f', 0, 64) }))
		}
		t.Add(append(row, Text(strings.Join(c.Marks, " ")))...)
	}
	return t
}

func goalCell(c *analysis.Ceiling, goal string, load func(float64) string) Cell {
	for _, g := range c.Goals {
		if g.Goal != goal {
			continue
		}
		cell := with(g.Rate, load)
		switch {
		case g.Upper == 0:
			cell.Text = "> " + cell.Text
		case g.Lower == 0:
			cell.Text = "none"
		case !g.Regular:
			cell.Text += " *"
		}
		return cell
	}
	return Number(math.NaN(), load)
}

func noInterval(s analysis.Summary) analysis.Summary {
	s.Interval = analysis.Interval{}
	return s
}

// maxOf shows the largest value instead of the median.
func maxOf(s analysis.Summary) analysis.Summary {
	s.Median = s.Max
	return s
}

func costTable(r *analysis.Results) *Table {
	t := &Table{Title: "cost against size: ns per packet = a + b * octets", Columns: []Column{
		{Head: "engine"}, {Head: "frames"}, {Head: "a", Right: true}, {Head: "b per 100 B", Right: true},
		{Head: "mean misfit", Right: true}, {Head: "largest", Right: true}, {Head: "accepted"},
	}}
	for _, c := range r.Costs {
		accepted := "yes"
		if !c.Model.Accepted {
			accepted = "no: " + strings.Join(c.Model.Warnings, "; ")
		}
		name := c.Cell.Engine
		if c.Cell.Workers > 1 {
			name += " x" + strconv.Itoa(c.Cell.Workers)
		}
		t.Add(Text(name), Text(c.Cell.Cache), Number(c.Model.Base, FormatDuration), Number(100*c.Model.PerOctet, FormatDuration),
			Number(c.Model.MAPE, FormatRatio), Number(c.Model.Worst, FormatRatio), Text(accepted))
	}
	return t
}

func curveTable(r *analysis.Results) *Table {
	load := formatLoad(r)
	t := &Table{Title: "loss against load", Columns: []Column{
		{Head: "engine"}, {Head: "size"}, {Head: "frames"}, {Head: "intended load", Right: true}, {Head: "of service", Right: true},
		{Head: "trials", Right: true},
		{Head: "lost", Right: true}, {Head: "of intended", Right: true}, {Head: "with 2 s drain", Right: true},
	}}
	for _, c := range r.Curves {
		for _, p := range c.Points {
			drained := analysis.CurvePoint{Intended: p.Intended, Lost: p.Lost - p.Drained}
			t.Add(Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache), Number(p.Load, load),
				Text(multiple(p.Of)), Text(strconv.Itoa(p.Trials)),
				Text(strconv.FormatUint(p.Lost, 10)), Number(p.LossRatio(), FormatRatio), Number(drained.LossRatio(), FormatRatio))
		}
	}
	return t
}

func multiple(of float64) string {
	if of == 0 {
		return ""
	}
	return strconv.FormatFloat(of, 'g', 3, 64) + "x"
}

// WriteStudyBenchfmt writes one benchmark line for each repeat of each cell, for benchstat.
func WriteStudyBenchfmt(w io.Writer, h trial.Header, records []trial.Record) error {
	type key struct {
		cell   trial.Cell
		repeat int
	}
	lines := make(map[key]*BenchLine)
	var order []key
	for i := range records {
		rec := &records[i]
		k := key{rec.Cell, rec.Repeat}
		switch {
		case rec.Kind == trial.KindService && rec.Result.Delivered > 0:
			if lines[k] != nil {
				continue
			}
			n := float64(rec.Result.Delivered)
			line := &BenchLine{
				Name: "Ceiling", Procs: rec.Cell.Workers, Iterations: rec.Result.Delivered,
				Labels: []KeyValue{{"engine", rec.Cell.Engine}, {"size", rec.Cell.Size}, {"cache", rec.Cell.Cache}},
				Values: []BenchValue{
					{rec.CostNanos(), "ns/op", "lower"},
					{rec.Result.DeliveredRate(), "service-pps", "higher"},
					{float64(rec.Usage.HeapAllocs) / n, "allocs/op", "lower"},
					{float64(rec.Usage.HeapAllocOctets) / n, "B/op", "lower"},
				},
			}
			if rec.Usage.ProcessCPUNs != nil {
				line.Values = append(line.Values, BenchValue{float64(*rec.Usage.ProcessCPUNs) / n, "cpu-ns/op", "lower"})
			}
			lines[k] = line
			order = append(order, k)
		case rec.Kind == trial.KindBounds && rec.Bounds.Lower != nil && lines[k] != nil:
			unit := strings.NewReplacer(":", "-", "%", "pct").Replace(rec.Bounds.Goal.Name)
			lines[k].Values = append(lines[k].Values,
				BenchValue{rec.Bounds.ConditionalThroughput, unit + "-" + strings.ReplaceAll(h.Settings.Unit, "/", "-per-"), "higher"})
		}
	}
	config := []KeyValue{
		{"goos", h.Environment.OS}, {"goarch", h.Environment.Arch}, {"pkg", "pcaplab"}, {"cpu", h.Environment.CPU},
		{"queue", h.Settings.Queue}, {"clock", h.Settings.Clock}, {"trial", h.Plan.Trial.String()},
	}
	out := make([]BenchLine, 0, len(order))
	for _, k := range order {
		out = append(out, *lines[k])
	}
	return WriteBenchfmt(w, config, out)
}

// machine describes where a study ran.
func machine(h *trial.Header) string {
	e := &h.Environment
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case e.Board != "":
		add("%s", e.Board)
	case e.CPU != "":
		add("%s", e.CPU)
	}
	if e.CoresOnline != nil {
		add("%d CPUs", *e.CoresOnline)
	}
	if e.Virtual != nil && *e.Virtual {
		add("virtual")
	}
	if l2, ok := e.L2Octets(); ok {
		add("L2 %s", FormatOctets(float64(l2)))
	}
	if llc, ok := e.LLCOctets(); ok {
		add("last level %s", FormatOctets(float64(llc)))
	}
	if e.Governor != "" {
		add("governor %s", e.Governor)
	}
	add("%s/%s", e.OS, e.Arch)
	if e.Kernel != "" {
		add("kernel %s", e.Kernel)
	}
	add("%s", e.GoVersion)
	add("GOMAXPROCS %d", e.GOMAXPROCS)
	if h.Version != "" {
		add("pcaplab %s", h.Version)
	}
	return strings.Join(parts, ", ")
}
