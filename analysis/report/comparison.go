package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/comparison"
	"pcaplab/replay/trial"
)

// WriteComparison writes two studies side by side for a person: a table for each metric, "~" where no change was shown, then what only one side
// has, what differs between the sides, and every warning.
func WriteComparison(w io.Writer, c *comparison.Comparison) error {
	if _, err := io.WriteString(w, comparisonHeading(c)+"\n"); err != nil {
		return err
	}
	for i, t := range comparisonTables(c) {
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

// WriteComparisonMarkdown writes what [WriteComparison] does as GitHub-flavoured Markdown.
func WriteComparisonMarkdown(w io.Writer, c *comparison.Comparison) error {
	head := Table{Notes: strings.Split(strings.TrimSpace(comparisonHeading(c)), "\n")}
	if err := head.WriteMarkdown(w); err != nil {
		return err
	}
	for _, t := range comparisonTables(c) {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteComparisonCSV writes a row for each metric of each cell and for each geometric mean, with exact values: changes as ratios (0.1 is 10 % more),
// those of losses as differences of ratios.
func WriteComparisonCSV(w io.Writer, c *comparison.Comparison) error {
	t := Table{}
	for _, key := range []string{"metric", "unit", "class", "engine", "size", "frames", "workers", "cells", "old_runs", "new_runs", "old_median", "new_median",
		"change", "change_low", "change_high", "coverage", "u", "p", "exact", "shows", "marks", "doubts"} {
		t.Columns = append(t.Columns, Column{Key: key})
	}
	for _, list := range [][]comparison.Row{c.Rows, c.Means} {
		for i := range list {
			r := &list[i]
			exact := func(v float64) Cell {
				return Number(v, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
			}
			ends := []Cell{Text("n/a"), Text("n/a"), Text("n/a")}
			if in := r.Change.Interval; in.Valid() {
				ends = []Cell{exact(in.Low), exact(in.High), exact(in.Coverage)}
			}
			whole := func(n int) Cell { return Text(strconv.Itoa(n)) }
			row := []Cell{Text(r.Name()), Text(r.Metric.Unit), Text(r.Class), Text(r.Cell.Engine), Text(r.Cell.Size), Text(r.Cell.Cache), whole(r.Cell.Workers),
				whole(max(1, r.Over)), whole(r.Change.Old), whole(r.Change.New), exact(r.Old.Median), exact(r.New.Median), exact(r.Change.Value)}
			row = append(append(row, ends...), exact(r.Change.U), exact(r.Change.P), Text(strconv.FormatBool(r.Change.Exact)), Text(string(r.Verdict())),
				Text(comparedMarks(r)), Text(strings.Join(r.Doubts, "; ")))
			t.Add(row...)
		}
	}
	return t.WriteCSV(w)
}

// comparedChange is a row in JSON.
type comparedChange struct {
	Kind     string             `json:"kind"` // "change"
	Metric   string             `json:"metric"`
	Unit     string             `json:"unit,omitempty"`
	Class    string             `json:"class,omitempty"`
	Cell     *trial.Cell        `json:"cell,omitempty"` // not of a geometric mean
	Cells    int                `json:"cells,omitempty"`
	Old      analysis.Summary   `json:"old"`
	New      analysis.Summary   `json:"new"`
	Points   bool               `json:"difference,omitempty"` // change is a difference, not a ratio less 1
	Change   *float64           `json:"change"`               // null: from zero
	FromZero bool               `json:"from_zero,omitempty"`  // the change is without end
	Interval *comparedInterval  `json:"interval"`             // null: too few runs, or both ends from zero
	U        float64            `json:"u"`
	P        float64            `json:"p"`
	Exact    bool               `json:"exact"`
	Shows    comparison.Verdict `json:"shows"`
	Marks    []comparedMark     `json:"marks,omitempty"`
	Doubts   []string           `json:"doubts,omitempty"`
}

type comparedMark struct {
	Name string `json:"name"`
	Old  int    `json:"old_runs"`
	New  int    `json:"new_runs"`
}

type comparedInterval struct {
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"` // null: without end, from zero
	Coverage float64  `json:"coverage"`
}

// WriteComparisonJSON writes one object a line, each with a "kind": the comparison, then changes of cells and of geometric means, then, where there is
// one, the gate.
func WriteComparisonJSON(w io.Writer, c *comparison.Comparison, gate *comparison.Gate) error {
	type different struct {
		What    string `json:"what"`
		Old     string `json:"old,omitempty"`
		New     string `json:"new,omitempty"`
		Serious bool   `json:"serious,omitempty"`
	}
	type lone struct {
		Side   string     `json:"side"`
		Class  string     `json:"class,omitempty"`
		Cell   trial.Cell `json:"cell"`
		Metric string     `json:"metric,omitempty"`
	}
	differ, alone := []different{}, []lone{}
	for _, d := range c.Different {
		differ = append(differ, different(d))
	}
	for _, l := range c.Lone {
		alone = append(alone, lone(l))
	}
	e := json.NewEncoder(w)
	if err := e.Encode(struct {
		Kind      string      `json:"kind"`
		Old       string      `json:"old"`
		New       string      `json:"new"`
		Rounds    int         `json:"interleaved_rounds"` // 0: unpaired
		Alpha     float64     `json:"alpha"`
		Different []different `json:"differences"`
		Lone      []lone      `json:"only_on_one_side"`
		Warnings  []string    `json:"warnings"`
	}{"comparison", c.Old, c.New, c.Rounds, c.Alpha, differ, alone, append(append([]string{}, c.Unfinished...), c.Warnings...)}); err != nil {
		return err
	}
	for _, list := range [][]comparison.Row{c.Rows, c.Means} {
		for i := range list {
			r := &list[i]
			row := comparedChange{Kind: "change", Metric: r.Name(), Unit: r.Metric.Unit, Class: r.Class, Cells: r.Over, Old: r.Old, New: r.New, Points: r.Metric.Points,
				Change: jsonNumber(r.Change.Value), FromZero: math.IsInf(r.Change.Value, 1), U: r.Change.U, P: r.Change.P, Exact: r.Change.Exact, Shows: r.Verdict(), Doubts: r.Doubts}
			for _, m := range r.Marks {
				row.Marks = append(row.Marks, comparedMark(m))
			}
			if r.Over == 0 {
				row.Cell = &r.Cell
			}
			if in := r.Change.Interval; in.Valid() && !math.IsInf(in.Low, 1) {
				row.Interval = &comparedInterval{jsonNumber(in.Low), jsonNumber(in.High), in.Coverage}
			}
			if err := e.Encode(row); err != nil {
				return err
			}
		}
	}
	if gate == nil {
		return nil
	}
	type finding struct {
		Condition string      `json:"condition"`
		Metric    string      `json:"metric"`
		Class     string      `json:"class,omitempty"`
		Cell      *trial.Cell `json:"cell,omitempty"`
		Change    *float64    `json:"change"`
		FromZero  bool        `json:"from_zero,omitempty"`
		P         float64     `json:"p_adjusted"`
	}
	list := func(findings []comparison.Finding) []finding {
		l := []finding{}
		for _, f := range findings {
			v := finding{Condition: f.Condition, Metric: f.Row.Name(), Class: f.Row.Class, Change: jsonNumber(f.Row.Change.Value),
				FromZero: math.IsInf(f.Row.Change.Value, 1), P: f.P}
			if f.Row.Over == 0 {
				v.Cell = &f.Row.Cell
			}
			l = append(l, v)
		}
		return l
	}
	return e.Encode(struct {
		Kind string    `json:"kind"`
		Rows int       `json:"comparisons"`
		True []finding `json:"true"`
		Open []finding `json:"open"`
	}{"gate", gate.Rows, list(gate.True), list(gate.Open)})
}

// jsonNumber is v where JSON can say it.
func jsonNumber(v float64) *float64 {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return nil
	}
	return &v
}

// FormatFinding writes a finding of a gate in a line.
func FormatFinding(g *comparison.Gate, f *comparison.Finding) string {
	r := f.Row
	engine := ""
	if r.Over == 0 {
		engine = "[" + r.Cell.Engine + "]"
	}
	p := "p=" + FormatP(r.Change.P)
	if g.Rows > 1 {
		p += fmt.Sprintf(", %s as one of %d", FormatP(f.P), g.Rows)
	}
	return fmt.Sprintf("%s%s (%s) changed by %s (%s; %s): %s", r.Name(), engine, r.Where(), formatChange(r, r.Change.Value), formatEnds(r), p, f.Condition)
}

// FormatP writes a p-value: "0.002", "<0.001", "1".
func FormatP(p float64) string {
	switch {
	case math.IsNaN(p):
		return "n/a"
	case p < 0.001:
		return "<0.001"
	case p > 0.9995:
		return "1"
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}

// formatChange writes a change with its sign: "-8.13 %", "+0.200 points".
func formatChange(r *comparison.Row, v float64) string {
	switch {
	case math.IsInf(v, 1) && !r.Metric.Points:
		return "from 0"
	case math.IsInf(v, 0):
		return "without end"
	}
	text := FormatRatio(v)
	if v > 0 {
		text = "+" + text
	}
	if r.Metric.Points {
		return strings.TrimSuffix(text, "%") + "points"
	}
	return text
}

func formatEnds(r *comparison.Row) string {
	in := r.Change.Interval
	if !in.Valid() {
		return "n/a"
	}
	return formatChange(r, in.Low) + " to " + formatChange(r, in.High)
}

func comparisonHeading(c *comparison.Comparison) string {
	how := "unpaired: measured one after the other"
	if c.Rounds > 0 {
		how = fmt.Sprintf("interleaved: %d rounds, both in each, in random order", c.Rounds)
	}
	return clean("old  "+c.Old) + "\n" + clean("new  "+c.New) + "\n" + how + "\n"
}

func comparisonTables(c *comparison.Comparison) []*Table {
	classes, workers, marked := false, false, false
	for i := range c.Rows {
		marked = marked || len(c.Rows[i].Marks) > 0
		classes = classes || c.Rows[i].Class != ""
		workers = workers || c.Rows[i].Cell.Workers > 1
	}
	var tables []*Table
	var t *Table
	add := func(r *comparison.Row) {
		if t == nil || t.Title != comparisonTitle(r.Metric) {
			t = &Table{Title: comparisonTitle(r.Metric)}
			if classes {
				t.Columns = append(t.Columns, Column{Head: "class"})
			}
			t.Columns = append(t.Columns, Column{Head: "engine"}, Column{Head: "size"}, Column{Head: "frames"})
			if workers {
				t.Columns = append(t.Columns, Column{Head: "workers", Right: true})
			}
			t.Columns = append(t.Columns, Column{Head: "old", Right: true}, Column{Head: "new", Right: true}, Column{Head: "change", Right: true},
				Column{Head: "interval", Right: true}, Column{Head: "p", Right: true}, Column{Head: "runs", Right: true}, Column{Head: "shows"})
			if marked {
				t.Columns = append(t.Columns, Column{Head: "marks in runs of old+new"})
			}
			tables = append(tables, t)
		}
		var row []Cell
		if classes {
			row = append(row, Text(r.Class))
		}
		if r.Over > 0 {
			row = append(row, Text("geometric mean"), Text(r.Where()), Text(""))
		} else {
			row = append(row, Text(r.Cell.Engine), Text(r.Cell.Size), Text(r.Cell.Cache))
		}
		if workers {
			n := ""
			if r.Over == 0 {
				n = strconv.Itoa(r.Cell.Workers)
			}
			row = append(row, Text(n))
		}
		change, shows := formatChange(r, r.Change.Value), string(r.Verdict())
		if r.Verdict() == comparison.Same {
			change, shows = "~", ""
		}
		runs := strconv.Itoa(r.Change.Old)
		if r.Change.New != r.Change.Old {
			runs += "+" + strconv.Itoa(r.Change.New)
		}
		for _, doubt := range r.Doubts {
			of := "geometric mean"
			if r.Over == 0 {
				of = r.Cell.Engine + ", " + r.Where()
			}
			t.Notes = append(t.Notes, of+": "+doubt)
		}
		row = append(row, Text(comparedValue(r.Metric, r.Old.Median)), Text(comparedValue(r.Metric, r.New.Median)), Text(change), Text(formatEnds(r)), Text(FormatP(r.Change.P)),
			Text(runs), Text(shows))
		if marked {
			row = append(row, Text(comparedMarks(r)))
		}
		t.Add(row...)
	}
	for i := range c.Rows {
		add(&c.Rows[i])
		if last := i+1 == len(c.Rows) || c.Rows[i+1].Metric != c.Rows[i].Metric; last {
			for j := range c.Means {
				if c.Means[j].Metric == c.Rows[i].Metric {
					add(&c.Means[j])
				}
			}
		}
	}
	if t == nil {
		t = &Table{Title: "nothing that both sides have"}
		tables = append(tables, t)
	}
	for _, l := range c.Lone {
		text := "only in " + l.Side + ": " + l.Cell.String()
		if l.Class != "" {
			text = "only in " + l.Side + ": " + l.Class + " " + l.Cell.String()
		}
		if l.Metric != "" {
			text += ", " + l.Metric
		}
		t.Notes = append(t.Notes, text)
	}
	for _, d := range c.Different {
		text := "differs: " + d.What
		if d.Old != "" || d.New != "" {
			text += ": old " + d.Old + ", new " + d.New
		}
		if d.Serious {
			text += " (numbers of the two do not mean the same)"
		}
		t.Notes = append(t.Notes, text)
	}
	t.Notes = append(append(t.Notes, c.Unfinished...), c.Warnings...)
	return tables
}

// comparisonTitle names a metric and says which way is better.
func comparisonTitle(m comparison.Metric) string {
	way := "less is better"
	if m.More {
		way = "more is better"
	}
	names := map[string]string{"service": "service ceiling", "cost": "time per packet", "cost-min": "time per packet in the quickest part", "cpu": "CPU time per packet, of the process", "allocs": "allocations per packet", "instructions": "instructions per packet",
		"peak": "most memory, less the capture"}
	name, ok := names[m.Name]
	if !ok {
		name = m.Name
	} else {
		name += " (" + m.Name + ")"
	}
	return name + ": " + way
}

// comparedValue writes a value of a metric.
func comparedValue(m comparison.Metric, v float64) string {
	switch m.Unit {
	case "pps":
		return FormatRate(v)
	case "bit/s":
		return FormatBits(v)
	case "ns":
		return FormatDuration(v)
	case "octets":
		return FormatOctets(v)
	}
	if m.Points {
		return FormatRatio(v)
	}
	return significant(v)
}

// comparedMarks writes marks with the runs of each side that have them: "host-busy 2+0".
func comparedMarks(r *comparison.Row) string {
	var marks []string
	for _, m := range r.Marks {
		marks = append(marks, fmt.Sprintf("%s %d+%d", m.Name, m.Old, m.New))
	}
	return strings.Join(marks, ", ")
}
