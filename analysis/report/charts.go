package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// writeCharts writes the charts that the results have data for.
func writeCharts(write func(name string, write func(io.Writer) error) error, r *analysis.Results) error {
	charts := map[string]Chart{}
	if len(r.Ceilings) > 0 {
		charts[CeilingFiles] = ceilingChart(r)
	}
	if c, ok := lossChart(r); ok {
		charts[LossFiles] = c
	}
	if c, ok := costChart(r); ok {
		charts[CostFiles] = c
	}
	if c, ok := soakChart(r); ok {
		charts[SoakFiles] = c
	}
	for name, chart := range charts {
		if err := write(name+".png", func(w io.Writer) error { return WritePNG(w, chart) }); err != nil {
			return err
		}
		if err := write(name+".svg", func(w io.Writer) error { return WriteSVG(w, chart) }); err != nil {
			return err
		}
	}
	return nil
}

// shortName names a cell by its engine and by what other cells of the study differ in.
func shortName(r *analysis.Results, c trial.Cell) string {
	p := &r.Header.Plan
	name := c.Engine
	if len(p.Sizes) > 1 && c.Size != "" {
		name += " " + c.Size
	}
	if len(p.Caches) > 1 {
		name += " " + c.Cache
	}
	if len(p.Workers) > 1 {
		name += " x" + strconv.Itoa(c.Workers)
	}
	return name
}

// onHost adds the machine to a name, where several measured.
func onHost(name, host string) string {
	if host != "" {
		name += " on " + host
	}
	return name
}

func chartNote(r *analysis.Results) string {
	h := &r.Header
	var captures []string
	for _, c := range h.Captures {
		captures = append(captures, c.Name)
	}
	if len(captures) > 2 {
		captures = append(captures[:1], fmt.Sprintf("%d more", len(captures)-1))
	}
	note := fmt.Sprintf("%s; queue %s, clock %s, %d repeats of trials of %s", strings.Join(captures, ", "), h.Settings.Queue,
		h.Settings.Clock, h.Plan.Repeats, trialLength(h))
	if len(h.Plan.Caches) == 1 {
		note += ", " + h.Plan.Caches[0] + " frames"
	}
	if h.Plan.Soak > 0 {
		note += fmt.Sprintf(", soak of %v", h.Plan.Soak)
	}
	if h.Plan.Quick {
		note = "quick, not for publication: " + note
	}
	if text := r.Unfinished(); text != "" {
		note = text + "; " + note
	}
	return note
}

func ceilingChart(r *analysis.Results) Chart {
	ch := CeilingChart{
		Title: "Parsing ceilings", Note: chartNote(r), Series: []string{"service ceiling"}, Format: formatLoad(r),
		Axis: "rate (" + r.Header.Settings.Unit + ")",
	}
	if p := &r.Header.Plan; p.Soak > 0 {
		ch.Title += fmt.Sprintf(" in the last %v of %v", p.Window(), p.Soak)
	}
	for _, g := range r.Header.Plan.Goals {
		ch.Series = append(ch.Series, goalHead(g.Name))
	}
	for _, c := range r.Ceilings {
		group := CeilingGroup{Engine: shortName(r, c.Cell), Bars: []CeilingBar{bar(c.Service)}}
		for _, goal := range r.Header.Plan.Goals {
			b := CeilingBar{Rate: math.NaN()}
			for _, g := range c.Goals {
				if g.Goal == goal.Name {
					b = bar(g.Rate)
					b.Mark = irregular(&g)
				}
			}
			group.Bars = append(group.Bars, b)
		}
		ch.Groups = append(ch.Groups, group)
	}
	return ch
}

// irregular says beside a bar what the repeats lack.
func irregular(g *analysis.Found) string {
	var parts []string
	if g.NoUpper > 0 {
		parts = append(parts, fmt.Sprintf("no upper bound %d/%d", g.NoUpper, g.Repeats))
	}
	if g.NoLower > 0 {
		parts = append(parts, fmt.Sprintf("none %d/%d", g.NoLower, g.Repeats))
	}
	if len(parts) == 0 && !g.Regular {
		return "irregular"
	}
	return strings.Join(parts, ", ")
}

func bar(s analysis.Summary) CeilingBar {
	if s.N == 0 {
		return CeilingBar{Rate: math.NaN()}
	}
	return CeilingBar{Rate: s.Median, Interval: s.Interval}
}

// lossChart shows the first goal without loss and the first with some, as far as there are such.
func lossChart(r *analysis.Results) (Chart, bool) {
	ch := LossChart{
		Title: "Loss against intended load", Note: chartNote(r), Axis: "intended load (" + r.Header.Settings.Unit + ")",
	}
	for _, c := range r.Curves {
		curve := LossCurve{Engine: shortName(r, c.Cell), NDR: math.NaN(), PDR: math.NaN()}
		points := c.Points
		if r.Header.Plan.Search != trial.SearchNone {
			points = pooled(points)
		}
		for _, p := range points {
			curve.Points = append(curve.Points, LossPoint{Offered: p.Load, Loss: p.LossRatio()})
		}
		for _, ceiling := range r.Ceilings {
			if ceiling.Cell != c.Cell {
				continue
			}
			for _, g := range ceiling.Goals {
				switch {
				case g.Rate.N == 0:
				case g.Loss == 0 && math.IsNaN(curve.NDR):
					curve.NDR = g.Rate.Median
				case g.Loss > 0 && math.IsNaN(curve.PDR) && (ch.Goal == 0 || ch.Goal == g.Loss):
					curve.PDR, ch.Goal = g.Rate.Median, g.Loss
				}
			}
		}
		ch.Curves = append(ch.Curves, curve)
	}
	return ch, len(ch.Curves) > 0
}

// binsPerDecade is how finely pooled joins loads.
const binsPerDecade = 60

// pooled joins points of nearly the same load: a search crowds many, of few trials each, around a ceiling.
func pooled(points []analysis.CurvePoint) []analysis.CurvePoint {
	var bins []analysis.CurvePoint
	last := math.MinInt
	for _, p := range points { // by rising load
		bin := int(math.Floor(binsPerDecade * math.Log10(p.Load)))
		if bin != last {
			bins = append(bins, p)
			last = bin
			continue
		}
		b := &bins[len(bins)-1]
		b.Load = (b.Load*float64(b.Trials) + p.Load*float64(p.Trials)) / float64(b.Trials+p.Trials)
		b.Trials += p.Trials
		b.Intended += p.Intended
		b.Lost += p.Lost
		b.Drained += p.Drained
	}
	return bins
}

func costChart(r *analysis.Results) (Chart, bool) {
	ch := CostChart{Title: "Cost of a packet against its size", Note: chartNote(r), Size: "captured octets per packet"}
	for i := range r.Costs {
		c := &r.Costs[i]
		ch.Costs = append(ch.Costs, CostSeries{Engine: onHost(shortName(r, c.Cell), c.Host), Points: c.Points, Model: &c.Model})
	}
	return ch, len(ch.Costs) > 0
}
