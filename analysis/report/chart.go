package report

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Chart is a picture of results: a [CeilingChart], [LossChart], [CostChart], [SoakChart] or [BarChart].
type Chart interface {
	page() (*page, error)
}

const (
	mostDots = 24e6  // four octets of memory each; larger charts have fewer dots per inch
	inchPerM = 39.37 // pHYs counts dots per metre
)

// WritePNG draws the chart at 300 dots per inch, and says so in the file. It returns an error for a chart without anything
// to show and for numbers that cannot be drawn.
func WritePNG(w io.Writer, c Chart) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	dpi := dotsPerInch
	if area := float64(p.width / vg.Inch * p.height() / vg.Inch); area*dotsPerInch*dotsPerInch > mostDots {
		dpi = max(1, int(math.Sqrt(mostDots/area)))
	}
	canvas := vgimg.NewWith(vgimg.UseWH(p.width, p.height()), vgimg.UseDPI(dpi))
	p.draw(draw.New(canvas))
	var b bytes.Buffer
	if err := png.Encode(&b, canvas.Image()); err != nil {
		return err
	}
	const ahead = 8 + 25 // the signature and IHDR
	perM := uint32(math.Round(float64(dpi) * inchPerM))
	phys := binary.BigEndian.AppendUint32(nil, 9)
	phys = append(phys, "pHYs"...)
	phys = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(phys, perM), perM)
	phys = append(phys, 1)
	phys = binary.BigEndian.AppendUint32(phys, crc32.ChecksumIEEE(phys[4:]))
	_, err = w.Write(slices.Insert(b.Bytes(), ahead, phys...))
	return err
}

const (
	textWidth = 6.5 * vg.Inch // of a page, and the least of a chart
	margin    = vg.Length(8)

	titleSize = 11
	labelSize = 9
	tickSize  = 8
	noteSize  = 7.5
)

var (
	gray      = color.RGBA{R: 0x55, G: 0x55, B: 0x55, A: 0xff}
	darkGray  = color.RGBA{R: 0x22, G: 0x22, B: 0x22, A: 0xff}
	gridGray  = color.RGBA{R: 0xdd, G: 0xdd, B: 0xdd, A: 0xff}
	minorGray = color.RGBA{R: 0xf0, G: 0xf0, B: 0xf0, A: 0xff}
)

// palette is that of Okabe and Ito, which people with any colour vision tell apart; its yellow is too light for lines.
var palette = []color.RGBA{
	{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}, // blue
	{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}, // orange
	{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, // green
	{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}, // vermilion
	{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, // sky
	{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, // purple
	{A: 0xff},                            // black
}

// The numbers of colours and shapes have no common factor: 56 engines differ.
var shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{},
	draw.RingGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.PlusGlyph{}}

func colorOf(i int) color.RGBA { return palette[i%len(palette)] }

func glyphOf(i int) draw.GlyphStyle {
	return draw.GlyphStyle{Color: colorOf(i), Radius: vg.Points(2.6), Shape: shapes[i%len(shapes)]}
}

func lineOf(i int) draw.LineStyle {
	dashes := [][]vg.Length{nil, {vg.Points(4), vg.Points(2)}, {vg.Points(1), vg.Points(2)}}
	return draw.LineStyle{Color: colorOf(i), Width: vg.Points(1.2), Dashes: dashes[i/len(palette)%len(dashes)]}
}

func sans(size float64) text.Style {
	return text.Style{
		Color:   color.Black,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(size)),
		Handler: plot.DefaultTextHandler,
		XAlign:  draw.XLeft,
		YAlign:  draw.YTop,
	}
}

// middle aligns letters, without what hangs below them, with the middle of a line or bar.
const middle = draw.YAlignment(-0.4)

// page is a chart laid out: title above, notes below, the body between, the legend at its right side or above it.
type page struct {
	width  vg.Length
	body   vg.Length // height
	title  []string  // lines
	notes  []string
	legend []entry
	above  bool // the legend is in lines above the body
	plot   *plot.Plot
	below  []*plot.Plot
	right  vg.Length           // kept free at the right of the plot, for what the plotters write there
	paint  func(c draw.Canvas) // the body, where it is no stack of plots
}

// entry is a line of a legend.
type entry struct {
	text string
	icon func(c draw.Canvas, at vg.Point) // drawn around a point in the middle of iconWidth
}

const (
	iconWidth   = vg.Length(20)
	entryHeight = vg.Length(13)
)

// newPage lays out a chart. The body grows by extra where names are long, so that the plot is never narrowed.
func newPage(title, note string, body, extra vg.Length, p *plot.Plot, legend []entry, above bool) *page {
	pg := &page{width: textWidth + max(0, extra), body: body, plot: p, legend: legend, above: above}
	if above {
		for _, e := range legend {
			pg.width = max(pg.width, e.width()+2*margin)
		}
	} else {
		pg.width += max(0, pg.legendWidth()-textWidth/3)
		pg.body = max(pg.body, entryHeight*vg.Length(len(legend))+2*margin)
	}
	pg.title = wrapped(title, sans(titleSize), pg.width-2*margin)
	pg.notes = wrapped(note, sans(noteSize), pg.width-2*margin)
	return pg
}

func (e entry) width() vg.Length { return iconWidth + 4 + sans(labelSize).Width(e.text) + margin }

// legendWidth is that of a legend at the right side.
func (pg *page) legendWidth() vg.Length {
	var w vg.Length
	for _, e := range pg.legend {
		w = max(w, e.width())
	}
	return w
}

// legendLines are the entries of each line of a legend above.
func (pg *page) legendLines() (lines [][]entry) {
	var w vg.Length
	for i, e := range pg.legend {
		if i == 0 || w+e.width() > pg.width-margin { // behind the last entry nothing is kept free
			lines, w = append(lines, nil), 0
		}
		last := len(lines) - 1
		lines[last] = append(lines[last], e)
		w += e.width()
	}
	return lines
}

func (pg *page) height() vg.Length {
	h := 2*margin + pg.body + block(len(pg.title), titleSize) + block(len(pg.notes), noteSize)
	if pg.above && len(pg.legend) > 0 {
		h += entryHeight*vg.Length(len(pg.legendLines())) + margin/2
	}
	return h
}

func block(lines int, size float64) vg.Length {
	if lines == 0 {
		return 0
	}
	return vg.Points(size*1.25)*vg.Length(lines) + margin/2
}

func (pg *page) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)

	y := c.Max.Y
	for _, line := range pg.title {
		c.FillText(sans(titleSize), vg.Point{X: c.Min.X, Y: y}, line)
		y -= vg.Points(titleSize * 1.25)
	}
	c.Max.Y -= block(len(pg.title), titleSize)

	style := sans(noteSize)
	style.Color = gray
	y = c.Min.Y + vg.Points(noteSize*1.25)*vg.Length(len(pg.notes))
	for _, line := range pg.notes {
		c.FillText(style, vg.Point{X: c.Min.X, Y: y}, line)
		y -= vg.Points(noteSize * 1.25)
	}
	c.Min.Y += block(len(pg.notes), noteSize)

	style = sans(labelSize)
	style.YAlign = middle
	drawEntry := func(e entry, at vg.Point) {
		e.icon(c, vg.Point{X: at.X + iconWidth/2, Y: at.Y})
		c.FillText(style, vg.Point{X: at.X + iconWidth + 4, Y: at.Y}, e.text)
	}
	switch {
	case len(pg.legend) == 0:
	case pg.above:
		for _, line := range pg.legendLines() {
			at := vg.Point{X: c.Min.X, Y: c.Max.Y - entryHeight/2}
			for _, e := range line {
				drawEntry(e, at)
				at.X += e.width()
			}
			c.Max.Y -= entryHeight
		}
		c.Max.Y -= margin / 2
	default:
		at := vg.Point{X: c.Max.X - pg.legendWidth() + margin, Y: c.Max.Y - entryHeight/2}
		for _, e := range pg.legend {
			drawEntry(e, at)
			at.Y -= entryHeight
		}
		c.Max.X -= pg.legendWidth()
	}
	c.Max.X -= pg.right
	if pg.paint != nil {
		pg.paint(c)
		return
	}
	drawStack(c, append([]*plot.Plot{pg.plot}, pg.below...))
}

// wrapped breaks s at spaces into lines of at most that width.
func wrapped(s string, style text.Style, width vg.Length) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(clean(s)) {
		switch {
		case line == "":
			line = word
		case style.Width(line+" "+word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// label is a name from outside as it stands in a chart.
func label(s string) string {
	const most = 48
	r := []rune(clean(s))
	if len(r) > most {
		r = append(r[:most-1], '…')
	}
	return string(r)
}

func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = sans(labelSize).Font
		axis.Label.Padding = vg.Points(3)
		axis.Tick.Label.Font = sans(tickSize).Font
		axis.Tick.Length = vg.Points(3)
	}
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.X.Padding, p.Y.Padding = 0, 0
	p.Add(grid{})
	return p
}

// setScale makes the axis show low to high, with logarithmic or linear ticks.
func setScale(a *plot.Axis, low, high float64, log bool, print func(float64) string) {
	a.Min, a.Max = low, high
	a.Tick.Marker = linearTicks{print, 4}
	if log {
		a.Scale = plot.LogScale{}
		a.Tick.Marker = logTicks{print, 0}
	}
}

// spaceTicks prints fewer numbers on a horizontal axis where they would not fit into the width.
func spaceTicks(a *plot.Axis, width vg.Length) {
	s := spacedTicks{width: width, scale: a.Scale, style: a.Tick.Label}
	switch t := a.Tick.Marker.(type) {
	case linearTicks:
		s.from = []plot.Ticker{t, linearTicks{t.print, 2}, linearTicks{t.print, 1}}
	case logTicks:
		s.from = []plot.Ticker{t}
		for _, every := range []int{1, 2, 3, 5, 10, 20, 50, 100, 200, 1000} {
			s.from = append(s.from, logTicks{t.print, every})
		}
	}
	a.Tick.Marker = s
}

// spacedTicks are those of the first ticker whose numbers fit.
type spacedTicks struct {
	from  []plot.Ticker
	width vg.Length
	scale plot.Normalizer
	style text.Style
}

func (s spacedTicks) Ticks(low, high float64) (ticks []plot.Tick) {
	for _, from := range s.from {
		ticks = from.Ticks(low, high)
		var left, right vg.Length // what the outer numbers take of the width
		place := func(t plot.Tick, width vg.Length) (at, half vg.Length) {
			return width * vg.Length(s.scale.Normalize(low, high, t.Value)), s.style.Width(t.Label) / 2
		}
		for _, t := range ticks {
			at, half := place(t, s.width)
			left, right = max(left, half-at), max(right, at+half-s.width)
		}
		fits, end := true, vg.Length(math.Inf(-1))
		for _, t := range ticks {
			if !t.IsMinor() {
				at, half := place(t, s.width-left-right)
				fits = fits && at-half >= end
				end = at + half + 4
			}
		}
		if fits {
			break
		}
	}
	return ticks
}

// tick writes a number on an axis: "0", "250 k", "1.5 M".
func tick(v float64) string {
	prefixes := []string{"", " k", " M", " G", " T"}
	i := 0
	for ; math.Abs(v) >= 999.9995 && i < len(prefixes)-1; i++ {
		v /= 1000
	}
	return strconv.FormatFloat(v, 'g', 6, 64) + prefixes[i]
}

// linearTicks stand at multiples of 1, 2 or 5 times a power of ten. Printed are at least so many numbers, or about twice as
// many.
type linearTicks struct {
	print func(float64) string
	least float64
}

func (t linearTicks) Ticks(low, high float64) []plot.Tick {
	if !(high > low) {
		return nil
	}
	const slack = 1e-9
	step := logBelow((high - low) / t.least * 1.25)
	minor := step / 5
	if math.Round(step/math.Pow(10, math.Floor(math.Log10(step)+slack))) == 2 {
		minor = step / 4
	}
	var ticks []plot.Tick
	for k := int(math.Ceil(low/minor - slack)); float64(k)*minor <= high+slack*(high-low); k++ {
		tk := plot.Tick{Value: float64(k) * minor}
		if n := tk.Value / step; math.Abs(n-math.Round(n)) < slack*max(1, math.Abs(n)) {
			tk.Label = t.print(step * math.Round(n))
		}
		ticks = append(ticks, tk)
	}
	return ticks
}

// logTicks stand at 1, 2 .. 9 of each decade. Printed are the decades whose exponents are multiples of every; where that is 0
// all of them, and the 2s and 5s where decades are few.
type logTicks struct {
	print func(float64) string
	every int
}

func (t logTicks) Ticks(low, high float64) []plot.Tick {
	const slack = 1e-9
	few := t.every == 0 && high/low < 300
	most := 9
	if high/low > 1e20 {
		most = 0
	}
	var ticks []plot.Tick
	for e := int(math.Floor(math.Log10(low))); e <= int(math.Ceil(math.Log10(high))); e++ {
		for d := 1; d <= most || d == 1 && e%max(1, t.every) == 0; d++ {
			v, err := strconv.ParseFloat(fmt.Sprintf("%de%d", d, e), 64)
			if err != nil || v < low*(1-slack) || v > high*(1+slack) {
				continue
			}
			tk := plot.Tick{Value: v}
			if d == 1 && e%max(1, t.every) == 0 || few && (d == 2 || d == 5) {
				tk.Label = t.print(v)
			}
			ticks = append(ticks, tk)
		}
	}
	return ticks
}

// logBelow and logAbove are the nearest numbers 1, 2 or 5 times a power of ten, at some distance from v.
func logBelow(v float64) float64 { return logStep(v/1.25, math.Floor) }
func logAbove(v float64) float64 { return logStep(v*1.25, math.Ceil) }

func logStep(v float64, round func(float64) float64) float64 {
	e := math.Floor(math.Log10(v))
	unit := math.Pow(10, e)
	steps := []float64{1, 2, 5, 10}
	best := unit
	for _, s := range steps {
		if s*unit <= v*(1+1e-9) {
			best = s * unit
		}
	}
	if round(0.5) == 1 && best < v*(1-1e-9) {
		for _, s := range steps {
			if s*unit >= v {
				return s * unit
			}
		}
	}
	return best
}

// wide tells whether positive values span so much that a linear axis hides the small ones.
func wide(low, high float64) bool { return low > 0 && high/low > 20 }

// grid draws lines at the ticks of an axis that has printed numbers.
type grid struct{}

func (grid) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	var major, minor vg.Path
	lines := func(a plot.Axis, ends func(v float64) (from, to vg.Point)) {
		if _, named := a.Tick.Marker.(plot.ConstantTicks); named {
			return
		}
		for _, t := range a.Tick.Marker.Ticks(a.Min, a.Max) {
			if t.Value < a.Min || t.Value > a.Max {
				continue
			}
			path := &major
			if t.IsMinor() {
				path = &minor
			}
			from, to := ends(t.Value)
			path.Move(from)
			path.Line(to)
		}
	}
	lines(p.X, func(v float64) (from, to vg.Point) {
		return vg.Point{X: x(v), Y: c.Min.Y}, vg.Point{X: x(v), Y: c.Max.Y}
	})
	lines(p.Y, func(v float64) (from, to vg.Point) {
		return vg.Point{X: c.Min.X, Y: y(v)}, vg.Point{X: c.Max.X, Y: y(v)}
	})
	if len(minor) > 0 {
		c.SetLineStyle(draw.LineStyle{Color: minorGray, Width: vg.Points(0.4)})
		c.Stroke(minor)
	}
	if len(major) > 0 {
		c.SetLineStyle(draw.LineStyle{Color: gridGray, Width: vg.Points(0.5)})
		c.Stroke(major)
	}
}

// plotFunc is a plotter that is one function.
type plotFunc func(c draw.Canvas, p *plot.Plot)

func (f plotFunc) Plot(c draw.Canvas, p *plot.Plot) { f(c, p) }

// usable tells whether a number can be drawn on a linear and on a logarithmic axis, with room to spare.
func usable(v float64) bool { return v == 0 || v >= 1e-290 && v <= 1e290 }
