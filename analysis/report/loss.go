package report

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// LossChart shows the loss ratio against the offered load, both logarithmic. No loss is drawn on the lowest line,
// labelled 0. The searched rates are marked where they belong: NDR at no loss, PDR at its loss goal.
type LossChart struct {
	Title  string
	Note   string
	Axis   string  // of the loads, "offered load (pps)" where empty
	Goal   float64 // loss ratio of the PDRs, as 0.005
	Curves []LossCurve
}

// LossCurve is the loss of one engine.
type LossCurve struct {
	Engine   string
	Points   []LossPoint // in any order
	NDR, PDR float64     // in the unit of the axis; 0 or NaN where not searched
}

// LossPoint is one trial.
type LossPoint struct {
	Offered float64 // above 0
	Loss    float64 // ratio, 0 to 1
}

func (ch LossChart) page() (*page, error) {
	if len(ch.Curves) == 0 {
		return nil, errors.New("loss chart: no engines")
	}
	b, err := ch.bounds()
	if err != nil {
		return nil, fmt.Errorf("loss chart: %w", err)
	}
	axis := ch.Axis
	if axis == "" {
		axis = "offered load (pps)"
	}
	p := newPlot(axis, "loss ratio")
	p.X.Padding = vg.Points(6) // the marks on the lowest line stay off the axis
	setScale(&p.X, logBelow(b.low), logAbove(b.high), true, tick)
	// One decade below the least loss stands for none.
	floor := math.Pow(10, math.Floor(math.Log10(b.loss)+1e-9)-1)
	setScale(&p.Y, floor, 1, true, func(v float64) string {
		if v < 2*floor {
			return "0"
		}
		return tick(100*v) + " %"
	})
	p.Y.Tick.Marker = lossTicks{p.Y.Tick.Marker, floor}

	var legend []entry
	marks := []struct {
		name  string
		shape draw.GlyphDrawer
		used  bool
	}{{"NDR", diamond, false}, {"PDR " + tick(100*ch.Goal) + " %", downward, false}}
	for i, curve := range ch.Curves {
		points := slices.Clone(curve.Points)
		slices.SortStableFunc(points, func(a, b LossPoint) int { return cmp.Compare(a.Offered, b.Offered) })
		p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
			x, y := p.Transforms(&c)
			at := make([]vg.Point, len(points))
			for k, pt := range points {
				at[k] = vg.Point{X: x(pt.Offered), Y: y(max(pt.Loss, floor))}
			}
			c.StrokeLines(lineOf(i), at)
			for _, pt := range at {
				c.DrawGlyphNoClip(glyphOf(i), pt)
			}
		}))
		for k, rate := range []float64{curve.NDR, curve.PDR} {
			if !(rate > 0) {
				continue
			}
			marks[k].used = true
			loss := max(floor, float64(k)*ch.Goal)
			p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
				x, y := p.Transforms(&c)
				drawMark(c, marks[k].shape, colorOf(i), vg.Point{X: x(rate), Y: y(loss)})
			}))
		}
		legend = append(legend, entry{label(curve.Engine), func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(lineOf(i), at.X-iconWidth/2, at.Y, at.X+iconWidth/2, at.Y)
			c.DrawGlyph(glyphOf(i), at)
		}})
	}
	for _, m := range marks {
		if m.used {
			legend = append(legend, entry{m.name, func(c draw.Canvas, at vg.Point) {
				drawMark(c, m.shape, gray, at)
			}})
		}
	}
	return newPage(ch.Title, ch.Note, 3.2*vg.Inch, 0, p, legend, false), nil
}

type lossBounds struct{ low, high, loss float64 }

// bounds checks all numbers and returns the range of the loads and the least loss.
func (ch LossChart) bounds() (lossBounds, error) {
	b := lossBounds{low: math.Inf(1), high: 0, loss: 0.01}
	load := func(v float64) {
		b.low, b.high = min(b.low, v), max(b.high, v)
	}
	if !(ch.Goal >= 0 && ch.Goal < 1) {
		return b, fmt.Errorf("a loss goal of %g cannot be drawn", ch.Goal)
	}
	for _, curve := range ch.Curves {
		for i, pt := range curve.Points {
			if !usable(pt.Offered) || pt.Offered == 0 || !(pt.Loss >= 0 && pt.Loss <= 1) {
				return b, fmt.Errorf("engine %s, point %d: a loss ratio of %g at a load of %g cannot be drawn", curve.Engine,
					i+1, pt.Loss, pt.Offered)
			}
			load(pt.Offered)
			if pt.Loss > 0 {
				b.loss = min(b.loss, pt.Loss)
			}
		}
		for _, rate := range []float64{curve.NDR, curve.PDR} {
			if rate < 0 || math.IsInf(rate, 0) {
				return b, fmt.Errorf("engine %s: a rate of %g cannot be drawn", curve.Engine, rate)
			}
			if rate > 0 {
				load(rate)
			}
		}
		if curve.PDR > 0 && ch.Goal > 0 {
			b.loss = min(b.loss, ch.Goal)
		}
	}
	if b.high == 0 {
		return b, errors.New("no points")
	}
	b.loss = max(b.loss, 1e-12)
	return b, nil
}

// lossTicks drops the ticks between none and the least decade: there is no scale there.
type lossTicks struct {
	ticks plot.Ticker
	floor float64
}

func (t lossTicks) Ticks(low, high float64) []plot.Tick {
	return slices.DeleteFunc(t.ticks.Ticks(low, high), func(tk plot.Tick) bool {
		return tk.Value > 1.5*t.floor && tk.Value < 9.5*t.floor
	})
}

func drawMark(c draw.Canvas, shape draw.GlyphDrawer, fill color.Color, at vg.Point) {
	c.DrawGlyphNoClip(draw.GlyphStyle{Color: fill, Radius: vg.Points(5), Shape: shape}, at)
}

// outline is a filled shape with a black edge, given by corners around its middle in units of the radius.
type outline []vg.Point

var (
	diamond  = outline{{X: 0, Y: 1}, {X: 0.75, Y: 0}, {X: 0, Y: -1}, {X: -0.75, Y: 0}}
	downward = outline{{X: -0.9, Y: 0.75}, {X: 0.9, Y: 0.75}, {X: 0, Y: -0.95}}
)

// DrawGlyph implements draw.GlyphDrawer.
func (o outline) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, pt vg.Point) {
	at := make([]vg.Point, len(o), len(o)+1)
	for i, corner := range o {
		at[i] = vg.Point{X: pt.X + corner.X*sty.Radius, Y: pt.Y + corner.Y*sty.Radius}
	}
	c.FillPolygon(sty.Color, at)
	c.StrokeLines(draw.LineStyle{Color: color.Black, Width: vg.Points(0.7)}, append(at, at[0]))
}
