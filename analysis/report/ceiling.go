package report

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pcaplab/analysis"
)

// CeilingChart compares rates of engines: a group per engine, in it a bar per series, with whiskers for the interval and
// the rate written beside it. Where the rates span more than a factor of 20 the axis is logarithmic and points stand for
// the bars, whose lengths would mean nothing there; an interval narrower than its point is not drawn, and an arrow at the
// axis is a zero.
type CeilingChart struct {
	Title  string
	Note   string   // below the chart: the settings that the numbers depend on
	Axis   string   // "rate (pps)" where empty, or the only series' name for "rate"
	Series []string // names of the bars of each group, as "service ceiling", "NDR", "PDR 0.5 %"
	Groups []CeilingGroup
	Format func(float64) string // of the rates beside the bars, FormatRate where nil
}

// CeilingGroup holds the rates of one engine, one per series.
type CeilingGroup struct {
	Engine string
	Bars   []CeilingBar
}

// CeilingBar is a rate; NaN is one that was not measured and leaves its place empty.
type CeilingBar struct {
	Rate     float64
	Interval analysis.Interval // the zero value draws no whisker
	Mark     string            // beside the rate, as "feed-limited"; may be empty
}

func (ch CeilingChart) page() (*page, error) {
	if len(ch.Groups) == 0 || len(ch.Series) == 0 {
		return nil, errors.New("ceiling chart: no engines or no series")
	}
	low, high, err := ch.bounds()
	if err != nil {
		return nil, fmt.Errorf("ceiling chart: %w", err)
	}
	axis, format := ch.Axis, ch.Format
	switch {
	case axis == "" && len(ch.Series) == 1:
		axis = label(ch.Series[0]) + " (pps)"
	case axis == "":
		axis = "rate (pps)"
	}
	if format == nil {
		format = FormatRate
	}

	p := newPlot(axis, "")
	log := wide(low, high)
	switch {
	case log:
		setScale(&p.X, logBelow(low), logAbove(high), true, tick)
	case high == 0:
		setScale(&p.X, 0, 1, false, tick)
	default:
		setScale(&p.X, 0, 1.04*high, false, tick)
	}
	n := len(ch.Groups)
	p.Y.Min, p.Y.Max = -0.5, float64(n)-0.5
	names := make(plot.ConstantTicks, n)
	for i, g := range ch.Groups {
		names[i] = plot.Tick{Value: float64(n - 1 - i), Label: label(g.Engine)}
	}
	p.Y.Tick.Marker = names
	p.Y.Tick.Length = 0
	p.Y.Tick.Label.Font = sans(labelSize).Font

	style := sans(tickSize)
	style.YAlign = middle
	var left, right vg.Length
	written := make([][]string, n)
	for i, g := range ch.Groups {
		left = max(left, sans(labelSize).Width(names[i].Label))
		for _, b := range g.Bars {
			s := format(b.Rate)
			if b.Mark != "" {
				s += " " + label(b.Mark)
			}
			written[i] = append(written[i], s)
			right = max(right, style.Width(s))
		}
	}

	const barHeight, groupGap = 11, 9
	groupHeight := vg.Length(len(ch.Series)*barHeight + groupGap)
	p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
		x, y := p.Transforms(&c)
		for i, g := range ch.Groups {
			top := y(float64(n-1-i)) + groupHeight/2 - groupGap/2
			if i > 0 {
				line := draw.LineStyle{Color: gridGray, Width: vg.Points(0.5)}
				c.StrokeLine2(line, c.Min.X, top+groupGap/2, c.Max.X, top+groupGap/2)
			}
			for j, b := range g.Bars {
				mid := top - barHeight*(vg.Length(j)+0.5)
				c.FillText(style, vg.Point{X: c.Max.X + 6, Y: mid}, written[i][j])
				place := barPlace{j, log, mid, barHeight - 2, func(v float64) vg.Length { return x(max(v, p.X.Min)) }}
				place.drawBar(c, b.Rate)
				drawWhiskers(c, []Bar{{Value: b.Rate, Interval: b.Interval}}, []barPlace{place})
				place.drawPoint(c, b.Rate)
			}
		}
	}))

	var legend []entry
	if len(ch.Series) > 1 {
		for j, name := range ch.Series {
			legend = append(legend, barEntry(name, j, log))
		}
	}
	pg := newPage(ch.Title, ch.Note, groupHeight*vg.Length(n)+38, left+right-textWidth*2/5, p, legend, true)
	pg.right = right + 10
	return pg, nil
}

// bounds checks all numbers and returns the least positive and the greatest, whiskers included.
func (ch CeilingChart) bounds() (low, high float64, err error) {
	low = math.Inf(1)
	for _, g := range ch.Groups {
		if len(g.Bars) != len(ch.Series) {
			return 0, 0, fmt.Errorf("engine %s has %d rates for %d series", g.Engine, len(g.Bars), len(ch.Series))
		}
		for j, b := range g.Bars {
			shown := []float64{b.Rate}
			if math.IsNaN(b.Rate) {
				continue
			}
			if b.Interval.Valid() {
				shown = append(shown, b.Interval.Low, b.Interval.High)
			}
			for _, v := range shown {
				if !usable(v) {
					return 0, 0, fmt.Errorf("engine %s, %s: a rate of %g cannot be drawn", g.Engine, ch.Series[j], v)
				}
				high = max(high, v)
				if v > 0 {
					low = min(low, v)
				}
			}
		}
	}
	return low, high, nil
}
