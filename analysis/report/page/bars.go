package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"pcaplab/analysis/report"
)

// bars are a bar chart as lines of text with a bar below each: what a narrow screen shows in the picture's place, where the
// picture's letters would be too small.
type bars struct {
	Axis, Reference string
	Groups          []barGroup
}

type barGroup struct {
	Panel, Name string
	Rows        []barRow
}

type barRow struct {
	Name, Text string
	Marks      []barMark
}

type barMark struct {
	Class string
	Style template.CSS
}

// barsOf is nil for charts that have no bars.
func barsOf(c report.Chart) *bars {
	switch c := value(c).(type) {
	case report.BarChart:
		return barChart(c)
	case report.CeilingChart:
		b := report.BarChart{Axis: c.Axis, Series: c.Series, Format: c.Format}
		if b.Axis == "" {
			b.Axis = "rate (pps)"
			if len(c.Series) == 1 {
				b.Axis = c.Series[0] + " (pps)"
			}
		}
		if b.Format == nil {
			b.Format = report.FormatRate
		}
		for _, g := range c.Groups {
			to := report.BarGroup{Name: g.Engine}
			for _, r := range g.Bars {
				to.Bars = append(to.Bars, report.Bar{Value: r.Rate, Interval: r.Interval, Mark: r.Mark})
			}
			b.Groups = append(b.Groups, to)
		}
		return barChart(b)
	}
	return nil
}

func barChart(c report.BarChart) *bars {
	low, high := math.Inf(1), 0.0
	see := func(v float64) {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	for _, g := range c.Groups {
		see(g.Reference)
		for _, b := range g.Bars {
			see(b.Value)
			if b.Interval.Valid() && b.Value == b.Value {
				see(b.Interval.Low)
				see(b.Interval.High)
			}
		}
	}
	log := low < high && high/low > 20 // as the picture has it
	place := func(v float64) float64 { // from 0 to 100
		switch {
		case !(v > 0):
			return 0
		case log:
			from := math.Log(low) - float64(0.06*math.Log(high/low))
			return 97 * (math.Log(v) - from) / (math.Log(high) - from)
		}
		return 97 * v / high
	}
	format := c.Format
	if format == nil {
		format = func(v float64) string { return strings.TrimSpace(strings.TrimSuffix(report.FormatRate(v), "pps")) }
	}
	out := &bars{Axis: report.Plain(c.Axis), Reference: report.Plain(c.Reference)}
	if log {
		out.Axis += ", logarithmic"
	}
	panel := ""
	for _, g := range c.Groups {
		to, name := barGroup{}, report.Plain(g.Name)
		if len(c.Series) > 1 {
			to.Name = name
		}
		if g.Panel != panel {
			panel = g.Panel
			to.Panel = report.Plain(panel)
		}
		for j, b := range g.Bars {
			row := barRow{Name: name} // of the only bar
			if len(c.Series) > 1 && j < len(c.Series) {
				row.Name = report.Plain(c.Series[j])
			}
			row.Text, row.Marks = written(b, format), marks(b, j, log, place)
			if g.Reference > 0 {
				row.Marks = append(row.Marks, barMark{"reference", template.CSS(fmt.Sprintf("left:%.2f%%", place(g.Reference)))})
			}
			to.Rows = append(to.Rows, row)
		}
		out.Groups = append(out.Groups, to)
	}
	return out
}

func written(b report.Bar, format func(float64) string) string {
	text := "n/a"
	if b.Value == b.Value {
		text = format(b.Value)
	} else if b.Mark != "" {
		return report.Plain(b.Mark)
	}
	if b.Mark != "" {
		text += " " + b.Mark
	}
	return report.Plain(text)
}

func marks(b report.Bar, series int, log bool, place func(float64) float64) (m []barMark) {
	if b.Value != b.Value {
		return nil
	}
	ink := fmt.Sprintf("background:var(--s%d)", series%len(seriesLight))
	width := fmt.Sprintf("width:%.2f%%;", place(b.Value))
	if log {
		m = append(m, barMark{"stem", template.CSS(width + ink)}, barMark{"dot", template.CSS(fmt.Sprintf("left:%.2f%%;%s", place(b.Value), ink))})
	} else {
		m = append(m, barMark{"bar", template.CSS(width + ink)})
	}
	if i := b.Interval; i.Valid() {
		low, high := place(i.Low), place(i.High)
		m = append(m, barMark{"whisker", template.CSS(fmt.Sprintf("left:%.2f%%;width:%.2f%%", low, max(0, high-low)))})
	}
	return m
}
