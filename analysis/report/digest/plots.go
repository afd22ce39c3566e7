package digest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
	"pcaplab/replay/trial"
)

// plotOf is the curves of a figure that can be zoomed; nil for figures without.
func plotOf(s *report.Source, f *report.PartFigure) *page.Plot {
	switch ch := f.Chart.(type) {
	case report.LossChart:
		if s.Kind == report.KindStudy {
			return lossPlot(s.Study, &ch)
		}
	case report.CostChart:
		return costPlot(&ch)
	case report.SoakChart:
		return soakPlot(&ch)
	case report.QualityChart:
		return qualityPlot(&ch)
	}
	return nil
}

func loadUnit(unit string) page.Unit {
	if unit == "bit/s" {
		return page.Bits
	}
	return page.Rate
}

// lossPlot has each load that was tried. Of a search, which crowds loads of few trials each around a ceiling, the line joins
// neighbours, as in the picture.
func lossPlot(r *analysis.Results, ch *report.LossChart) *page.Plot {
	unit := r.Header.Settings.Unit
	p := &page.Plot{
		X: page.Axis{Title: "intended load (" + unit + ")", Log: true, Unit: loadUnit(unit)},
		Y: page.Axis{Title: "loss ratio", Log: true, Unit: page.Ratio},
	}
	searched := r.Header.Plan.Search != trial.SearchNone
	for i, c := range r.Curves {
		if i >= len(ch.Curves) {
			break
		}
		series := page.Series{Name: ch.Curves[i].Engine, Line: !searched, Dots: true, Color: i}
		for _, pt := range c.Points {
			note := fmt.Sprintf("%s, lost %d of %d", plural(pt.Trials, "trial"), pt.Lost, pt.Intended)
			if len(pt.Marks) > 0 {
				note += "; " + strings.Join(pt.Marks, " ")
			}
			series.Points = append(series.Points, page.Point{X: pt.Load, Y: pt.LossRatio(), Note: note})
		}
		p.Series = append(p.Series, series)
		for _, m := range []struct {
			page.Mark
			load, loss float64
		}{{page.Mark{Shape: page.Diamond, Name: "NDR"}, ch.Curves[i].NDR, 0}, {page.Mark{Shape: page.Down, Name: fmt.Sprintf("PDR %g %%", 100*ch.Goal)}, ch.Curves[i].PDR, ch.Goal}} {
			if !(m.load > 0) { // NaN was not searched
				continue
			}
			p.Series = append(p.Series, page.Series{Name: series.Name + ", " + m.Name, Of: series.Name, Dots: true, Shape: m.Shape, Color: i,
				Points: []page.Point{{X: m.load, Y: m.loss, Note: m.Name}}})
			if !slices.Contains(p.Marks, m.Mark) {
				p.Marks = append(p.Marks, m.Mark)
			}
		}
		if !searched {
			continue
		}
		line := page.Series{Name: series.Name + ", neighbours joined", Line: true, Color: i, Of: series.Name}
		for _, pt := range ch.Curves[i].Points {
			line.Points = append(line.Points, page.Point{X: pt.Offered, Y: pt.Loss})
		}
		p.Series = append(p.Series, line)
	}
	return p
}

func costPlot(ch *report.CostChart) *page.Plot {
	p := &page.Plot{X: page.Axis{Title: ch.Size, Unit: page.Bytes}, Y: page.Axis{Title: "time per packet", Unit: page.Nanos}}
	low, high := math.Inf(1), 0.0
	for i, s := range ch.Costs {
		series := page.Series{Name: s.Engine, Dots: true, Color: i}
		for _, pt := range s.Points {
			note := fmt.Sprintf("repeat %d", pt.Repeat)
			if s.Model != nil {
				note += fmt.Sprintf(", the line says %s", report.FormatDuration(s.Model.At(pt.Octets)))
			}
			series.Points = append(series.Points, page.Point{X: pt.Octets, Y: pt.NS, Note: note})
			low, high = min(low, pt.NS), max(high, pt.NS)
		}
		p.Series = append(p.Series, series)
		if s.Model == nil || !s.Model.Accepted {
			continue
		}
		line := page.Series{Name: s.Engine + ", fitted", Line: true, Color: i, Of: s.Engine}
		const steps = 40 // on a logarithmic axis it is a curve
		for k := 0; k <= steps; k++ {
			octets := s.Model.MinOctets + (s.Model.MaxOctets-s.Model.MinOctets)*float64(k)/steps
			line.Points = append(line.Points, page.Point{X: octets, Y: s.Model.At(octets)})
		}
		p.Series = append(p.Series, line)
	}
	p.Y.Log = high > 20*low // as the picture has it
	return p
}

func soakPlot(ch *report.SoakChart) *page.Plot {
	p := &page.Plot{X: page.Axis{Title: "time", Unit: page.Secs}, Y: page.Axis{Title: "rate, of the first window's", Unit: page.Ratio}}
	for i, s := range ch.Soaks {
		series := page.Series{Name: s.Engine, Line: true, Color: i}
		for _, pt := range s.Points {
			var notes []string
			if !math.IsNaN(pt.Celsius) {
				notes = append(notes, fmt.Sprintf("%.1f °C", pt.Celsius))
			}
			if !math.IsNaN(pt.Clock) {
				notes = append(notes, "clock "+report.FormatRatio(pt.Clock))
			}
			if !math.IsNaN(pt.Loop) {
				notes = append(notes, "by the loop "+report.FormatRatio(pt.Loop))
			}
			series.Points = append(series.Points, page.Point{X: pt.At.Seconds(), Y: pt.Rate, Note: strings.Join(notes, ", ")})
		}
		p.Series = append(p.Series, series)
	}
	return p
}

func qualityPlot(ch *report.QualityChart) *page.Plot {
	p := &page.Plot{X: page.Axis{Title: ch.Axis, Log: true}, Y: page.Axis{Title: "share", Unit: page.Ratio}}
	for i, s := range ch.Series {
		series := page.Series{Name: s.Name, Line: true, Dots: !s.Dashed, Color: i}
		for _, pt := range s.Points {
			point := page.Point{X: pt.Load, Y: pt.Value}
			if pt.High > pt.Low {
				point.Low, point.High = pt.Low, pt.High
			}
			series.Points = append(series.Points, point)
		}
		p.Series = append(p.Series, series)
	}
	return p
}
