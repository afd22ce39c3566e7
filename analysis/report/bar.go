package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pcaplab/analysis"
)

// BarChart compares series, as engines, over groups, as the scenarios of an experiment: in each group a bar per series, with
// a whisker for the interval and the value written at the end of its line. Where the values span more than a factor of 20 the
// axis is logarithmic, and points stand for the bars as in a [CeilingChart]. Many groups stand in two panels side by side.
type BarChart struct {
	Title     string
	Note      string // below the chart: the settings that the numbers depend on
	Axis      string // what the values are
	Series    []string
	Groups    []BarGroup
	Reference string               // what the references of the groups are, as "packets sent"
	Format    func(float64) string // of the values and the numbers on the axis; SI prefixes and no unit where nil
}

// BarGroup is a scenario, with a bar for each series.
type BarGroup struct {
	Name      string
	Panel     string  // groups that share it and follow each other stand in a panel with this heading
	Reference float64 // drawn across the bars; 0 or NaN: none
	Bars      []Bar
}

// Bar is a value; NaN is one that is not known and leaves a gap.
type Bar struct {
	Value    float64
	Interval analysis.Interval // the zero value draws no whisker
	Mark     string            // behind the value, or in its place where that is NaN, as "missing"; may be empty
}

const (
	barStyles = 3 // solid, striped, hollow

	bodyHeight = vg.Length(430) // of a chart that has its page for itself
	mostRow    = vg.Length(11)
	goodRow    = vg.Length(8) // below it, two panels are better than one
	leastRow   = vg.Length(7)
	groupSpace = vg.Length(7)
	nameLine   = vg.Length(9.5)
	headHeight = vg.Length(15)
	axisHeight = vg.Length(16)
)

// barPanel is a part of the groups, one below another.
type barPanel struct {
	head   string
	groups []BarGroup
	names  [][]string // of each group, in lines
	height vg.Length
}

// barLayout is what the panels of a chart have in common.
type barLayout struct {
	row, left, right, column vg.Length // of a bar, of the names and the values beside the bars, and of all that
	low, high                float64
	log                      bool
	format                   func(float64) string
	name, value              text.Style
}

func (ch BarChart) page() (*page, error) {
	if len(ch.Groups) == 0 || len(ch.Series) == 0 {
		return nil, errors.New("bar chart: no groups or no series")
	}
	if most := barStyles * len(palette); len(ch.Series) > most {
		return nil, fmt.Errorf("bar chart: %d series cannot be told apart, at most %d", len(ch.Series), most)
	}
	low, high, err := ch.bounds()
	if err != nil {
		return nil, fmt.Errorf("bar chart: %w", err)
	}
	l := barLayout{low: low, high: high, log: wide(low, high), format: ch.Format, name: sans(tickSize)}
	if l.format == nil {
		l.format = func(v float64) string { return strings.TrimSpace(scaled(v, "")) }
	}

	panels := ch.panels()
	columns := min(2, len(panels))
	tallest := 0
	for _, pn := range panels {
		tallest = max(tallest, len(pn.groups))
	}
	l.row = (bodyHeight - groupSpace*vg.Length(tallest)) / vg.Length(tallest*len(ch.Series))
	l.row = min(max(l.row, leastRow), mostRow)

	// Names are at most so wide where words allow, and bars at least.
	nameWidth, barWidth := textWidth*0.3, vg.Length(200)
	if columns == 2 {
		nameWidth, barWidth = 84, 84
	}
	l.value = sans(min(tickSize, float64(l.row)-0.5))
	l.name.YAlign, l.value.YAlign = middle, middle
	var head vg.Length
	for i := range panels {
		pn := &panels[i]
		pn.height = axisHeight
		if pn.head != "" {
			pn.height += headHeight
			head = max(head, sans(labelSize).Width(label(pn.head)))
		}
		for _, g := range pn.groups {
			lines := wrapped(label(g.Name), l.name, nameWidth)
			for _, s := range lines {
				l.left = max(l.left, l.name.Width(s)+8)
			}
			for _, b := range g.Bars {
				l.right = max(l.right, l.value.Width(b.written(l.format))+8)
			}
			pn.names = append(pn.names, lines)
			pn.height += groupHeight(l.row, len(ch.Series), len(lines))
		}
	}
	gap := vg.Length(columns-1) * 2 * margin
	width := max(textWidth-2*margin, max(head, l.left+l.right+barWidth+12)*vg.Length(columns)+gap)
	l.column = (width - gap) / vg.Length(columns)

	var legend []entry
	for j, s := range ch.Series {
		legend = append(legend, barEntry(s, j, l.log))
	}
	if ch.Reference != "" {
		legend = append(legend, entry{label(ch.Reference), func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(referenceLine, at.X+6, at.Y-4.5, at.X+6, at.Y+4.5)
		}})
	}
	if len(legend) == 1 {
		legend = nil
	}

	var heights []vg.Length // of the panels in one row
	axisText := strings.Join(wrapped(ch.Axis, sans(labelSize), width), "\n")
	body := sans(labelSize).Height(axisText)
	for i, pn := range panels {
		if i%columns == 0 {
			heights = append(heights, 0)
		}
		last := len(heights) - 1
		body += max(0, pn.height-heights[last])
		heights[last] = max(heights[last], pn.height)
	}
	pg := newPage(ch.Title, ch.Note, body, width+2*margin-textWidth, nil, legend, true)
	pg.paint = func(c draw.Canvas) {
		style := sans(labelSize)
		style.XAlign, style.YAlign = draw.XCenter, draw.YBottom
		c.FillText(style, vg.Point{X: (c.Min.X + c.Max.X) / 2, Y: c.Min.Y}, axisText)
		top := c.Max.Y
		for i, pn := range panels {
			part := c
			part.Min.X += vg.Length(i%columns) * (l.column + gap)
			part.Max.X = part.Min.X + l.column
			part.Max.Y = top
			part.Min.Y = top - pn.height
			l.paint(part, pn)
			if (i+1)%columns == 0 {
				top -= heights[i/columns]
			}
		}
	}
	return pg, nil
}

func (l *barLayout) paint(part draw.Canvas, pn barPanel) {
	if pn.head != "" {
		part.FillText(sans(labelSize), vg.Point{X: part.Min.X, Y: part.Max.Y}, label(pn.head))
		part.Max.Y -= headHeight
	}
	p := newPlot("", "")
	p.HideY()
	print := func(v float64) string { return trimZeros(l.format(v)) }
	switch {
	case l.log:
		setScale(&p.X, logBelow(l.low), logAbove(l.high), true, print)
	case l.high == 0:
		setScale(&p.X, 0, 1, false, print)
	default:
		setScale(&p.X, 0, 1.04*l.high, false, print)
	}
	spaceTicks(&p.X, l.column-l.left-l.right)
	p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
		x, _ := p.Transforms(&c)
		top := c.Max.Y
		for k, g := range pn.groups {
			height := groupHeight(l.row, len(g.Bars), len(pn.names[k]))
			if k > 0 {
				line := draw.LineStyle{Color: gridGray, Width: vg.Points(0.5)}
				c.StrokeLine2(line, part.Min.X, top, part.Max.X, top)
			}
			mid := top - height/2
			for i, s := range pn.names[k] {
				up := nameLine * (vg.Length(len(pn.names[k])-1)/2 - vg.Length(i))
				c.FillText(l.name, vg.Point{X: part.Min.X, Y: mid + up}, s)
			}
			half := l.row * vg.Length(len(g.Bars)) / 2
			places := make([]barPlace, len(g.Bars))
			for j, b := range g.Bars {
				at := barPlace{j, l.log, mid + half - l.row*(vg.Length(j)+0.5), l.row - 1,
					func(v float64) vg.Length { return x(max(v, p.X.Min)) }}
				places[j] = at
				at.drawBar(c, b.Value)
				style := l.value
				if math.IsNaN(b.Value) {
					style.Color = gray
				}
				c.FillText(style, vg.Point{X: c.Max.X + 6, Y: at.mid}, b.written(l.format))
			}
			reference := func(style draw.LineStyle) {
				if g.Reference > 0 {
					c.StrokeLine2(style, x(g.Reference), mid-half-1.5, x(g.Reference), mid+half+1.5)
				}
			}
			reference(referenceEdge)
			drawWhiskers(c, g.Bars, places)
			reference(referenceLine)
			for j, b := range g.Bars {
				places[j].drawPoint(c, b.Value)
			}
			top -= height
		}
		c.StrokeLine2(p.X.LineStyle, c.Min.X, c.Min.Y, c.Min.X, c.Max.Y)
	}))
	p.Draw(draw.Crop(part, l.left, -l.right, 0, 0))
}

func groupHeight(row vg.Length, bars, lines int) vg.Length {
	return max(row*vg.Length(bars), nameLine*vg.Length(lines)) + groupSpace
}

// panels are those that the groups name, else two where one would be too tall.
func (ch BarChart) panels() (panels []barPanel) {
	for i, g := range ch.Groups {
		if i == 0 || g.Panel != ch.Groups[i-1].Panel {
			panels = append(panels, barPanel{head: g.Panel})
		}
		last := &panels[len(panels)-1]
		last.groups = append(last.groups, g)
	}
	n := len(ch.Groups)
	if len(panels) == 1 && n > 1 && vg.Length(n)*groupHeight(goodRow, len(ch.Series), 1) > bodyHeight {
		half := (n + 1) / 2
		return []barPanel{{head: panels[0].head, groups: ch.Groups[:half]}, {head: panels[0].head, groups: ch.Groups[half:]}}
	}
	return panels
}

func (b Bar) written(format func(float64) string) string {
	switch {
	case math.IsNaN(b.Value) && b.Mark != "":
		return label(b.Mark)
	case math.IsNaN(b.Value):
		return "n/a"
	case b.Mark != "":
		return format(b.Value) + " " + label(b.Mark)
	}
	return format(b.Value)
}

// bounds checks all numbers and returns the least positive and the greatest, whiskers and references included.
func (ch BarChart) bounds() (low, high float64, err error) {
	low = math.Inf(1)
	see := func(v float64) {
		high = max(high, v)
		if v > 0 {
			low = min(low, v)
		}
	}
	for _, g := range ch.Groups {
		if len(g.Bars) != len(ch.Series) {
			return 0, 0, fmt.Errorf("group %s has %d bars for %d series", g.Name, len(g.Bars), len(ch.Series))
		}
		if r := g.Reference; !math.IsNaN(r) {
			if !usable(r) {
				return 0, 0, fmt.Errorf("group %s: a reference of %g cannot be drawn", g.Name, r)
			}
			if r > 0 && ch.Reference == "" {
				return 0, 0, fmt.Errorf("group %s: the reference has no name", g.Name)
			}
			see(r)
		}
		for j, b := range g.Bars {
			if math.IsNaN(b.Value) {
				continue
			}
			shown := []float64{b.Value}
			if b.Interval.Valid() {
				shown = append(shown, b.Interval.Low, b.Interval.High)
			}
			for _, v := range shown {
				if !usable(v) {
					return 0, 0, fmt.Errorf("group %s, %s: a value of %g cannot be drawn", g.Name, ch.Series[j], v)
				}
				see(v)
			}
			if b.Interval.Valid() && b.Interval.Low > b.Interval.High {
				return 0, 0, fmt.Errorf("group %s, %s: an interval from %g to %g cannot be drawn", g.Name, ch.Series[j],
					b.Interval.Low, b.Interval.High)
			}
		}
	}
	return low, high, nil
}

// barPlace is where the bar of a series is drawn.
type barPlace struct {
	series      int
	log         bool
	mid, height vg.Length
	x           func(float64) vg.Length
}

// drawBar draws a value as a bar or, on a logarithmic axis, as a line that leads to its point.
func (at barPlace) drawBar(c draw.Canvas, v float64) {
	switch {
	case math.IsNaN(v):
	case at.log:
		stem := draw.LineStyle{Color: colorOf(at.series), Width: vg.Points(0.5), Dashes: []vg.Length{1, 2}}
		c.StrokeLine2(stem, c.Min.X, at.mid, at.x(v), at.mid)
	default:
		fillBar(c, at.series, c.Min.X, at.x(v), at.mid-at.height/2, at.mid+at.height/2)
	}
}

// drawWhiskers draws those of some bars above what drawBar drew. What lies below a logarithmic axis ends in an arrow.
func drawWhiskers(c draw.Canvas, bars []Bar, places []barPlace) {
	var lines vg.Path
	line := func(x0, y0, x1, y1 vg.Length) {
		lines.Move(vg.Point{X: x0, Y: y0})
		lines.Line(vg.Point{X: x1, Y: y1})
	}
	var arrows []barPlace
	for j, b := range bars {
		at := places[j]
		low, high := at.x(b.Interval.Low), at.x(b.Interval.High)
		if math.IsNaN(b.Value) || !b.Interval.Valid() || at.log && high-low < 2*glyphOf(at.series).Radius {
			continue
		}
		end := min(3, at.height/2)
		line(low, at.mid, high, at.mid)
		line(high, at.mid-end, high, at.mid+end)
		if at.log && b.Interval.Low == 0 {
			arrows = append(arrows, at)
		} else {
			line(low, at.mid-end, low, at.mid+end)
		}
	}
	if len(lines) == 0 {
		return
	}
	c.SetLineStyle(draw.LineStyle{Color: color.White, Width: vg.Points(1.6)})
	c.Stroke(lines)
	c.SetLineStyle(draw.LineStyle{Color: darkGray, Width: vg.Points(0.8)})
	c.Stroke(lines)
	for _, at := range arrows {
		at.drawArrow(c, darkGray)
	}
}

// drawPoint draws the point of a value on a logarithmic axis.
func (at barPlace) drawPoint(c draw.Canvas, v float64) {
	switch {
	case !at.log || math.IsNaN(v):
	case v == 0:
		at.drawArrow(c, colorOf(at.series))
	default:
		c.DrawGlyphNoClip(glyphOf(at.series), vg.Point{X: at.x(v), Y: at.mid})
	}
}

func (at barPlace) drawArrow(c draw.Canvas, fill color.Color) {
	c.FillPolygon(fill, []vg.Point{{X: c.Min.X, Y: at.mid}, {X: c.Min.X + 5, Y: at.mid + 2.6}, {X: c.Min.X + 5, Y: at.mid - 2.6}})
}

// fillBar draws the bar of a series: solid, striped or hollow, in this order when the colours are used up.
func fillBar(c draw.Canvas, series int, x0, x1, y0, y1 vg.Length) {
	x1 = max(x1, x0+0.5) // a hairline shows that it was measured
	rect := func(p *vg.Path, x0, x1, y0, y1 vg.Length) {
		p.Move(vg.Point{X: x0, Y: y0})
		p.Line(vg.Point{X: x1, Y: y0})
		p.Line(vg.Point{X: x1, Y: y1})
		p.Line(vg.Point{X: x0, Y: y1})
		p.Close()
	}
	var whole, white vg.Path
	rect(&whole, x0, x1, y0, y1)
	switch series / len(palette) % barStyles {
	case 1:
		for x := x0 + 2; x < x1; x += 3.5 {
			rect(&white, x, min(x+1.3, x1), y0, y1)
		}
	case 2:
		if x1-x0 > 2 {
			rect(&white, x0+1, x1-1, y0+1, y1-1)
		}
	}
	c.SetColor(colorOf(series))
	c.Fill(whole)
	if len(white) > 0 {
		c.SetColor(color.White)
		c.Fill(white)
	}
}

// barEntry is the line of a legend that names the bars of a series.
func barEntry(name string, series int, log bool) entry {
	return entry{label(name), func(c draw.Canvas, at vg.Point) {
		if log {
			c.DrawGlyph(glyphOf(series), vg.Point{X: at.X + 6, Y: at.Y})
			return
		}
		fillBar(c, series, at.X-5, at.X+9, at.Y-3.5, at.Y+3.5)
	}}
}

var (
	referenceEdge = draw.LineStyle{Color: color.White, Width: vg.Points(2.6)}
	referenceLine = draw.LineStyle{Color: color.Black, Width: vg.Points(1.2)}
)

// trimZeros leaves of "10.0 MB" what an axis needs: "10 MB".
func trimZeros(s string) string {
	point := strings.IndexByte(s, '.')
	if point < 0 {
		return s
	}
	end := point + 1
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	return strings.TrimRight(strings.TrimRight(s[:end], "0"), ".") + s[end:]
}
