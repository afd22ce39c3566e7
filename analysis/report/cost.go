package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pcaplab/analysis"
)

// CostChart shows the cost of a packet against its size, with the fitted line of each engine. Around a line is, where there are
// enough repeats, the interval of the median of the lines that fit each repeat alone. Where the costs span more than a factor
// of 20 their axis is logarithmic, and the lines are curves.
type CostChart struct {
	Title string
	Note  string
	Axis  string // of the costs, "cost (ns per packet)" where empty
	Size  string // of the sizes, "frame size (B)" where empty
	Costs []CostSeries
}

// CostSeries is the cost of one engine.
type CostSeries struct {
	Engine string
	Points []analysis.CostPoint
	Model  *analysis.CostModel // nil draws no line; a model that was not accepted neither, and the legend says so
}

func (ch CostChart) page() (*page, error) {
	if len(ch.Costs) == 0 {
		return nil, errors.New("cost chart: no engines")
	}
	low, high, largest, err := ch.bounds()
	if err != nil {
		return nil, fmt.Errorf("cost chart: %w", err)
	}
	cost, size := ch.Axis, ch.Size
	if cost == "" {
		cost = "cost (ns per packet)"
	}
	if size == "" {
		size = "frame size (B)"
	}
	p := newPlot(size, cost)
	setScale(&p.X, 0, 1.03*largest, false, func(v float64) string { return fmt.Sprintf("%g", v) })
	if wide(low, high) {
		setScale(&p.Y, logBelow(low), logAbove(high), true, tick)
	} else {
		setScale(&p.Y, 0, 1.06*high, false, tick)
	}

	var legend []entry
	var bands bool
	for i, s := range ch.Costs { // all below all lines
		if band := s.band(); len(band) > 0 {
			bands = true
			p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
				x, y := p.Transforms(&c)
				inside := func(v float64) vg.Length { return y(min(max(v, p.Y.Min), p.Y.Max)) }
				var upper, lower []vg.Point
				for _, b := range band {
					upper = append(upper, vg.Point{X: x(b.octets), Y: inside(b.High)})
					lower = append(lower, vg.Point{X: x(b.octets), Y: inside(b.Low)})
				}
				slices.Reverse(lower)
				c.FillPolygon(pale(colorOf(i)), append(upper, lower...))
			}))
		}
	}
	for i, s := range ch.Costs {
		line := s.Model != nil && s.Model.Accepted
		p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
			x, y := p.Transforms(&c)
			if line {
				const steps = 100
				var at []vg.Point
				for k := 0; k <= steps; k++ {
					octets := s.Model.MinOctets + (s.Model.MaxOctets-s.Model.MinOctets)*float64(k)/steps
					if v := s.Model.At(octets); v >= p.Y.Min && v <= p.Y.Max {
						at = append(at, vg.Point{X: x(octets), Y: y(v)})
					}
				}
				c.StrokeLines(lineOf(i), at)
			}
			for _, pt := range s.Points {
				c.DrawGlyphNoClip(glyphOf(i), vg.Point{X: x(pt.Octets), Y: y(pt.NS)})
			}
		}))
		text := label(s.Engine)
		switch {
		case line:
			text += fmt.Sprintf(": %s %s %s per B", FormatDuration(s.Model.Base), sign(s.Model.PerOctet),
				FormatDuration(math.Abs(s.Model.PerOctet)))
		case s.Model != nil:
			text += ": no line fits (misfit " + FormatRatio(s.Model.MAPE) + ")"
		}
		legend = append(legend, entry{text, func(c draw.Canvas, at vg.Point) {
			if line {
				c.StrokeLine2(lineOf(i), at.X-iconWidth/2, at.Y, at.X+iconWidth/2, at.Y)
			}
			c.DrawGlyph(glyphOf(i), at)
		}})
	}
	if bands {
		text := fmt.Sprintf("%g %% interval of the line", 100*analysis.Level)
		legend = append(legend, entry{text, func(c draw.Canvas, at vg.Point) {
			c.FillPolygon(gridGray, []vg.Point{{X: at.X - iconWidth/2, Y: at.Y - 3.5}, {X: at.X + iconWidth/2, Y: at.Y - 3.5},
				{X: at.X + iconWidth/2, Y: at.Y + 3.5}, {X: at.X - iconWidth/2, Y: at.Y + 3.5}})
		}})
	}
	return newPage(ch.Title, ch.Note, 3.2*vg.Inch, 0, p, legend, false), nil
}

type bandPoint struct {
	octets float64
	analysis.Interval
}

// band is the interval around the line: as the model's intervals are, of the median over repeats that cover all sizes.
func (s CostSeries) band() (band []bandPoint) {
	if s.Model == nil || !s.Model.Accepted || !s.Model.BaseInterval.Valid() {
		return nil
	}
	repeats := map[int][]analysis.CostPoint{}
	for _, pt := range s.Points {
		repeats[pt.Repeat] = append(repeats[pt.Repeat], pt)
	}
	sizes := analysis.Sizes(s.Points)
	var models []analysis.CostModel
	for _, points := range repeats {
		if m, err := analysis.FitCost(points); err == nil && analysis.Sizes(points) == sizes {
			models = append(models, m)
		}
	}
	const steps = 40
	for k := 0; k <= steps; k++ {
		octets := s.Model.MinOctets + (s.Model.MaxOctets-s.Model.MinOctets)*float64(k)/steps
		var costs []float64
		for _, m := range models {
			costs = append(costs, m.At(octets))
		}
		sum := analysis.Summarize(costs)
		if !sum.Interval.Valid() || !(sum.Interval.High > 0) {
			return nil
		}
		band = append(band, bandPoint{octets, sum.Interval})
	}
	return band
}

// pale mixes a colour with white, so that lines stand out.
func pale(c color.RGBA) color.RGBA {
	mix := func(v uint8) uint8 { return uint8((int(v) + 2*255) / 3) }
	return color.RGBA{R: mix(c.R), G: mix(c.G), B: mix(c.B), A: 0xff}
}

func sign(v float64) string {
	if v < 0 {
		return "−"
	}
	return "+"
}

// bounds checks all numbers and returns the range of the costs and the largest size.
func (ch CostChart) bounds() (low, high, largest float64, err error) {
	low = math.Inf(1)
	for _, s := range ch.Costs {
		for i, pt := range s.Points {
			if !usable(pt.NS) || pt.NS == 0 || !usable(pt.Octets) {
				return 0, 0, 0, fmt.Errorf("engine %s, point %d: %g ns at %g octets cannot be drawn", s.Engine, i+1, pt.NS,
					pt.Octets)
			}
			low, high = min(low, pt.NS), max(high, pt.NS)
			largest = max(largest, pt.Octets)
		}
	}
	if high == 0 {
		return 0, 0, 0, errors.New("no points")
	}
	return low, high, max(largest, 1), nil
}
