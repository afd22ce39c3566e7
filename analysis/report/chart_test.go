package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"

	"pcaplab/analysis"
)

func interval(low, high float64) analysis.Interval {
	return analysis.Interval{Low: low, High: high, Coverage: 0.96875}
}

var engineNames = []string{"direct", "gopacket-layers", "gopacket-eager", "gopacket-lazy", "gopacket-nocopy",
	"gopacket-lazy-nocopy", "fork-layers", "fork-eager", "fork-lazy", "fork-nocopy", "fork-lazy-nocopy",
	"own parser with a name that nobody would want to read in a chart"}

// gallery holds a chart for each case that has gone wrong or could.
func gallery() map[string]Chart {
	nan := math.NaN()
	note := "Seed 1, queue 256 packets (nic-256), clock system, cold cache, six repeats, 95 % intervals of the median " +
		"where there are whiskers; quick: trials of 0.1 s, not to be published."
	series := []string{"service ceiling", "NDR", "PDR 0.5 %"}
	bars := func(rate float64, width float64) []CeilingBar {
		return []CeilingBar{
			{Rate: rate, Interval: interval(rate*(1-width), rate*(1+width))},
			{Rate: 0.9 * rate, Interval: interval(0.9*rate*(1-2*width), 0.9*rate*(1+width))},
			{Rate: 0.94 * rate},
		}
	}
	many := CeilingChart{Title: "Parsing ceilings of twelve engines on iot-1", Note: note, Series: series}
	few := CeilingChart{Title: "Parsing ceilings on iot-1", Note: note, Series: series}
	loss := LossChart{Title: "Loss against offered load, iot-1", Note: note, Goal: 0.005}
	fewLoss := LossChart{Title: "Loss against offered load, iot-1", Note: note, Goal: 0.005}
	cost := CostChart{Title: "Cost by size", Note: note}
	fewCost := CostChart{Title: "Cost by size"}
	for i, name := range engineNames {
		rate := 14e6 / math.Pow(1.5, float64(i))
		many.Groups = append(many.Groups, CeilingGroup{name, bars(rate, 0.03)})
		curve := LossCurve{Engine: name, NDR: 0.9 * rate, PDR: 0.94 * rate}
		for k := range 12 {
			load := rate * (0.5 + 0.1*float64(k))
			curve.Points = append(curve.Points, LossPoint{load, max(0, 1-rate/load)})
		}
		loss.Curves = append(loss.Curves, curve)
		s := CostSeries{Engine: name}
		for r := range 6 {
			for _, x := range []float64{64, 128, 256, 512, 1024, 1280, 1518} {
				ns := (1e9/rate + float64(0.02*x)) * (1 + 0.01*float64((r*7+int(x))%5-2))
				s.Points = append(s.Points, analysis.CostPoint{Octets: x, NS: ns, Repeat: r})
			}
		}
		m, err := analysis.FitCost(s.Points)
		if err != nil {
			panic(err)
		}
		s.Model = &m
		cost.Costs = append(cost.Costs, s)
		if i < 3 {
			few.Groups = append(few.Groups, CeilingGroup{name, bars(12e6/float64(i+1), 0.04)})
			fewLoss.Curves = append(fewLoss.Curves, curve)
			fewCost.Costs = append(fewCost.Costs, s)
		}
	}
	rejected := *fewCost.Costs[2].Model
	rejected.Accepted, rejected.MAPE = false, 0.233
	fewCost.Costs[2].Model = &rejected

	band := CostChart{Title: "Cost by size, repeats that differ", Note: note}
	for i, name := range engineNames[:3] {
		s := CostSeries{Engine: name}
		for r := range 10 {
			for _, x := range []float64{64, 256, 512, 1024, 1518} {
				ns := (100*float64(i+1) + (0.2+0.008*float64((r*3)%10))*x) * (1 + 0.02*float64((r*7+int(x))%5-2))
				s.Points = append(s.Points, analysis.CostPoint{Octets: x, NS: ns, Repeat: r})
			}
		}
		m, err := analysis.FitCost(s.Points)
		if err != nil {
			panic(err)
		}
		s.Model = &m
		band.Costs = append(band.Costs, s)
	}
	soak := SoakChart{Title: "Soak", Note: note, Length: 10 * time.Minute, Window: time.Minute}
	for i, name := range engineNames[:2] {
		s := SoakSeries{Engine: name + ": 1.23 Mpps → 1.20 Mpps"}
		for k := range 100 {
			s.Points = append(s.Points, SoakPoint{At: time.Duration(k) * 6 * time.Second, Rate: 1 - 0.001*float64(k*i),
				Celsius: 50 + float64(k)/5, Clock: 1 - 0.001*float64(k), Loop: 1})
		}
		soak.Soaks = append(soak.Soaks, s)
	}
	coldSoak := soak
	coldSoak.Soaks = nil
	for _, s := range soak.Soaks {
		points := slices.Clone(s.Points)
		for k := range points {
			points[k].Celsius, points[k].Clock, points[k].Loop = nan, nan, nan
		}
		coldSoak.Soaks = append(coldSoak.Soaks, SoakSeries{s.Engine, points})
	}

	charts := map[string]Chart{
		"cost-band":     band,
		"soak":          soak,
		"soak-rates":    coldSoak,
		"ceiling-few":   few,
		"ceiling-many":  many,
		"ceiling-one":   CeilingChart{Series: []string{"NDR"}, Groups: []CeilingGroup{{"direct", []CeilingBar{{Rate: 74}}}}},
		"ceiling-zeros": CeilingChart{Title: "Nothing passed", Series: series[:1], Groups: []CeilingGroup{{"direct", []CeilingBar{{}}}, {"gopacket-lazy-nocopy", []CeilingBar{{}}}}},
		"ceiling-gaps": CeilingChart{Title: "Zeros, gaps and marks on a logarithmic axis", Series: series[:2], Groups: []CeilingGroup{
			{"direct", []CeilingBar{{Rate: 12e6, Mark: "feed-limited"}, {Rate: nan}}},
			{"gopacket-lazy-nocopy", []CeilingBar{{Rate: 240e3, Interval: interval(0, 260e3), Mark: "irregular"}, {Rate: 0}}},
			{"Scapy 2.6.0", []CeilingBar{{Rate: 330, Interval: interval(320, 341)}, {Rate: nan}}},
		}},
		"ceiling-no-rates": CeilingChart{Series: series[:1], Groups: []CeilingGroup{{"direct", []CeilingBar{{Rate: nan}}}}},
		"loss-few":         fewLoss,
		"loss-many":        loss,
		"loss-none": LossChart{Title: "One engine, one load, no loss", Curves: []LossCurve{
			{Engine: "direct", Points: []LossPoint{{1e6, 0}}}}},
		"loss-tiny": LossChart{Title: "One drop in a thousand million", Goal: 0.005, Curves: []LossCurve{
			{Engine: "direct", Points: []LossPoint{{1e6, 0}, {2e6, 1e-9}, {4e6, 1}}, NDR: 1.5e6}}},
		"cost-few":  fewCost,
		"cost-many": cost,
		"cost-one-point": CostChart{Costs: []CostSeries{{Engine: "direct", Points: []analysis.CostPoint{
			{Octets: 0, NS: 12}}}}},
		"names from outside": CeilingChart{Title: "<script>&\x1b[31m " + strings.Repeat("long title ", 20),
			Series: []string{"a<b"}, Groups: []CeilingGroup{{"<&>\"'\x00\xff 解析", []CeilingBar{{Rate: 1}}}}},
	}
	maps.Copy(charts, barGallery())
	return charts
}

// textCanvas keeps where texts stand and how far lines and areas reach.
type textCanvas struct {
	recorder.Canvas
	at    []vg.Point // origin, and in turns whether it is turned by a quarter
	turns []bool
	boxes []vg.Rectangle
	texts []string
	ink   vg.Rectangle
}

func (c *textCanvas) Push() {
	c.at, c.turns = append(c.at, c.at[len(c.at)-1]), append(c.turns, c.turns[len(c.turns)-1])
}
func (c *textCanvas) Pop() { c.at, c.turns = c.at[:len(c.at)-1], c.turns[:len(c.turns)-1] }

func (c *textCanvas) point(p vg.Point) vg.Point {
	if c.turns[len(c.turns)-1] {
		p = vg.Point{X: -p.Y, Y: p.X}
	}
	return p.Add(c.at[len(c.at)-1])
}

func (c *textCanvas) Translate(p vg.Point) { c.at[len(c.at)-1] = c.point(p) }

func (c *textCanvas) Rotate(angle float64) {
	if c.turns[len(c.turns)-1] || math.Abs(angle-math.Pi/2) > 1e-9 {
		panic("only quarters from the horizontal are known")
	}
	c.turns[len(c.turns)-1] = true
}

func (c *textCanvas) Scale(x, y float64) { panic("nothing is scaled") }

func (c *textCanvas) FillString(f font.Face, at vg.Point, s string) {
	a := c.point(vg.Point{X: at.X, Y: at.Y - 0.2*f.Font.Size}) // the deepest and highest letters
	b := c.point(vg.Point{X: at.X + f.Width(s), Y: at.Y + 0.73*f.Font.Size})
	c.boxes = append(c.boxes, vg.Rectangle{Min: vg.Point{X: min(a.X, b.X), Y: a.Y}, Max: vg.Point{X: max(a.X, b.X), Y: b.Y}})
	c.texts = append(c.texts, s)
}

func (c *textCanvas) Stroke(p vg.Path) { c.Fill(p) }

func (c *textCanvas) Fill(p vg.Path) {
	for _, part := range p {
		if part.Type != vg.CloseComp {
			at := c.point(part.Pos)
			c.ink.Min = vg.Point{X: min(c.ink.Min.X, at.X), Y: min(c.ink.Min.Y, at.Y)}
			c.ink.Max = vg.Point{X: max(c.ink.Max.X, at.X), Y: max(c.ink.Max.Y, at.Y)}
		}
	}
}

// crowded tells what of a chart overlaps or leaves the page.
func crowded(t *testing.T, chart Chart) {
	t.Helper()
	pg, err := chart.page()
	if err != nil {
		t.Fatal(err)
	}
	c := &textCanvas{at: []vg.Point{{}}, turns: []bool{false}}
	pg.draw(draw.NewCanvas(c, pg.width, pg.height()))
	page := vg.Rectangle{Max: vg.Point{X: pg.width + 0.01, Y: pg.height() + 0.01}}
	out := func(r vg.Rectangle) bool {
		return r.Min.X < -0.01 || r.Min.Y < -0.01 || r.Max.X > page.Max.X || r.Max.Y > page.Max.Y
	}
	if out(c.ink) {
		t.Errorf("lines reach from %v to %v on a page of %v", c.ink.Min, c.ink.Max, page.Max)
	}
	for i, a := range c.boxes {
		if out(a) {
			t.Errorf("%q leaves the page", c.texts[i])
		}
		for j, b := range c.boxes[:i] {
			if a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y {
				t.Errorf("%q and %q overlap", c.texts[j], c.texts[i])
			}
		}
	}
}

func TestChartsAreNotCrowded(t *testing.T) {
	for name, chart := range gallery() {
		t.Run(name, func(t *testing.T) { crowded(t, chart) })
	}
}

func TestChartsDraw(t *testing.T) {
	for name, chart := range gallery() {
		t.Run(name, func(t *testing.T) {
			var vector, again bytes.Buffer
			if err := WriteSVG(&vector, chart); err != nil {
				t.Fatal(err)
			}
			if err := WriteSVG(&again, chart); err != nil || !bytes.Equal(vector.Bytes(), again.Bytes()) {
				t.Errorf("a second SVG differs (error %v)", err)
			}
			if strings.Contains(vector.String(), "NaN") || strings.Contains(vector.String(), "Inf") {
				t.Error("the SVG has coordinates that are no numbers")
			}
			for d := xml.NewDecoder(&vector); ; {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// coarseSkips skips what looks at dots where the race detector makes them few.
func coarseSkips(t *testing.T) {
	if dotsPerInch < 300 {
		t.Skip("charts are coarse under the race detector")
	}
}

func TestChartsRaster(t *testing.T) {
	coarseSkips(t)
	charts := gallery()
	for _, name := range []string{"ceiling-gaps", "ceiling-one", "loss-few", "cost-one-point", "names from outside"} {
		t.Run(name, func(t *testing.T) {
			var first, again bytes.Buffer
			if err := WritePNG(&first, charts[name]); err != nil {
				t.Fatal(err)
			}
			if err := WritePNG(&again, charts[name]); err != nil || !bytes.Equal(first.Bytes(), again.Bytes()) {
				t.Errorf("a second PNG differs (error %v)", err)
			}
			img, err := png.Decode(&first)
			if err != nil {
				t.Fatal(err)
			}
			if b := img.Bounds(); b.Dx() != 1950 || b.Dy() < 225 || b.Dy() > 1500 {
				t.Errorf("%d x %d dots, want the width of 6.5 inches", b.Dx(), b.Dy())
			}
			ink := 0
			for y := range img.Bounds().Dy() {
				for x := range img.Bounds().Dx() {
					if r, g, b, _ := img.At(x, y).RGBA(); r+g+b < 3*0xff00 {
						ink++
					}
				}
			}
			if share := float64(ink) / float64(img.Bounds().Dx()*img.Bounds().Dy()); share < 0.005 || share > 0.5 {
				t.Errorf("%.3f of the picture is not white", share)
			}
		})
	}
}

// What a reader needs must be in the picture: the SVG's text is checked for it.
func TestChartsSay(t *testing.T) {
	charts := gallery()
	tests := []struct {
		chart string
		says  []string
	}{
		{"ceiling-few", []string{"Parsing ceilings on iot-1", "service ceiling", "NDR", "PDR 0.5 %", "rate (pps)",
			"12.0 Mpps", "10.8 Mpps", "11.3 Mpps", "gopacket-eager", "not to be published."}},
		{"ceiling-gaps", []string{"12.0 Mpps feed-limited", "n/a", "0 pps", "330 pps", "Scapy 2.6.0"}},
		{"ceiling-zeros", []string{"0 pps", "gopacket-lazy-nocopy"}},
		{"loss-few", []string{"offered load (pps)", "loss ratio", "NDR", "PDR 0.5 %", "100 %", ">0<"}},
		{"cost-few", []string{"frame size (B)", "cost (ns per packet)", "per B", "no line fits (misfit 23.3 %)"}},
		{"names from outside", []string{"&lt;script&gt;", "a&lt;b (pps)"}},
	}
	for _, tt := range tests {
		t.Run(tt.chart, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteSVG(&b, charts[tt.chart]); err != nil {
				t.Fatal(err)
			}
			for _, s := range tt.says {
				if !strings.Contains(b.String(), s) {
					t.Errorf("%q is not in the picture", s)
				}
			}
		})
	}
}

func TestChartsRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	bar := func(b CeilingBar) Chart {
		return CeilingChart{Series: []string{"NDR"}, Groups: []CeilingGroup{{"direct", []CeilingBar{b}}}}
	}
	point := func(offered, loss float64) Chart {
		return LossChart{Curves: []LossCurve{{Engine: "direct", Points: []LossPoint{{offered, loss}}}}}
	}
	cost := func(octets, ns float64) Chart {
		return CostChart{Costs: []CostSeries{{Engine: "direct", Points: []analysis.CostPoint{{Octets: octets, NS: ns}}}}}
	}
	tests := []struct {
		name  string
		chart Chart
		err   string
	}{
		{"ceilings of nothing", CeilingChart{Series: []string{"NDR"}}, "no engines"},
		{"ceilings without series", CeilingChart{Groups: []CeilingGroup{{"direct", nil}}}, "no series"},
		{"too few bars", CeilingChart{Series: []string{"a", "b"}, Groups: []CeilingGroup{{"direct", []CeilingBar{{}}}}},
			"engine direct has 1 rates for 2 series"},
		{"infinite rate", bar(CeilingBar{Rate: inf}), "direct, NDR: a rate of +Inf"},
		{"negative rate", bar(CeilingBar{Rate: -1}), "a rate of -1"},
		{"interval that is none", bar(CeilingBar{Rate: 1, Interval: interval(nan, 2)}), "a rate of NaN"},
		{"loss of nothing", LossChart{}, "no engines"},
		{"loss without points", LossChart{Curves: []LossCurve{{Engine: "direct"}}}, "no points"},
		{"loss not a number", point(1, nan), "direct, point 1"},
		{"loss above 1", point(1, 1.1), "point 1"},
		{"negative loss", point(1, -0.1), "point 1"},
		{"offered nothing", point(0, 0), "point 1"},
		{"offered infinitely much", point(inf, 0), "point 1"},
		{"loss goal", LossChart{Goal: nan, Curves: []LossCurve{{}}}, "loss goal"},
		{"negative NDR", LossChart{Curves: []LossCurve{{Engine: "direct", NDR: -1}}}, "a rate of -1"},
		{"cost of nothing", CostChart{}, "no engines"},
		{"cost without points", CostChart{Costs: []CostSeries{{}}}, "no points"},
		{"cost zero", cost(64, 0), "point 1"},
		{"cost not a number", cost(64, nan), "point 1"},
		{"infinite size", cost(inf, 1), "point 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for format, write := range map[string]func(io.Writer, Chart) error{"PNG": WritePNG, "SVG": WriteSVG} {
				var b bytes.Buffer
				if err := write(&b, tt.chart); err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%s: error %v, want one with %q", format, err, tt.err)
				}
				if b.Len() > 0 {
					t.Errorf("%s: %d octets were written", format, b.Len())
				}
			}
		})
	}
}

// A band is drawn where there are enough whole repeats, and the legend says what it is.
func TestCostBand(t *testing.T) {
	charts := gallery()
	for name, want := range map[string]bool{"cost-band": true, "cost-one-point": false} {
		var b bytes.Buffer
		if err := WriteSVG(&b, charts[name]); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "95 % interval of the line"); got != want {
			t.Errorf("%s: a band is %v, want %v", name, got, want)
		}
	}
	s := charts["cost-band"].(CostChart).Costs[0]
	band := s.band()
	for _, b := range band {
		if line := s.Model.At(b.octets); !(b.Low < line && line < b.High && b.Coverage >= analysis.Level) {
			t.Errorf("at %g octets the line is at %g, its interval from %g to %g", b.octets, line, b.Low, b.High)
		}
	}
	points := slices.Clone(s.Points) // with mean octets that differ from repeat to repeat
	for i := range points {
		p := &points[i]
		p.Size, p.Octets = fmt.Sprint(p.Octets), p.Octets*(1+1e-4*float64(p.Repeat))
	}
	if measured := (CostSeries{Points: points, Model: s.Model}); len(measured.band()) != len(band) {
		t.Error("no band where the octets of a size differ a little")
	}
	s.Points = s.Points[:5*5]
	if band := s.band(); len(band) > 0 {
		t.Error("five repeats have a band")
	}
}

// The legend at the right shows the points of the plot.
func TestLegendHasPoints(t *testing.T) {
	pg, err := gallery()["cost-few"].page()
	if err != nil {
		t.Fatal(err)
	}
	c := new(recorder.Canvas)
	pg.draw(draw.NewCanvas(c, pg.width, pg.height()))
	from := pg.width - pg.legendWidth() - 1
	fills := 0
	for _, a := range c.Actions {
		if f, ok := a.(*recorder.Fill); ok && f.Path[0].Pos.X > from {
			fills++
		}
	}
	if fills < len(pg.legend) {
		t.Errorf("%d areas in a legend of %d entries", fills, len(pg.legend))
	}
}

func TestEnginesLookDifferent(t *testing.T) {
	seen := map[string]int{}
	for i := range len(palette) * len(shapes) {
		key := fmt.Sprintf("%v %T", colorOf(i), glyphOf(i).Shape)
		if j, ok := seen[key]; ok {
			t.Errorf("engines %d and %d look the same: %s", j, i, key)
		}
		seen[key] = i
	}
}

func TestLogTicks(t *testing.T) {
	tests := []struct {
		name      string
		low, high float64
		below     float64
		above     float64
		labels    string
	}{
		{"one decade", 130, 800, 100, 1000, "100 200 500 1 k"},
		{"two decades", 130, 12e3, 100, 2e4, "100 200 500 1 k 2 k 5 k 10 k 20 k"},
		{"three decades", 330, 12e6, 200, 2e7, "1 k 10 k 100 k 1 M 10 M"},
		{"at a step", 125, 400, 100, 500, "100 200 500"},
		{"below one", 0.013, 0.5, 0.01, 1, "0.01 0.02 0.05 0.1 0.2 0.5 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			low, high := logBelow(tt.low), logAbove(tt.high)
			if math.Abs(low/tt.below-1) > 1e-9 || math.Abs(high/tt.above-1) > 1e-9 {
				t.Errorf("axis from %g to %g, want %g to %g", low, high, tt.below, tt.above)
			}
			var labels []string
			for _, tk := range (logTicks{tick, 0}).Ticks(low, high) {
				if tk.Label != "" {
					labels = append(labels, tk.Label)
				}
			}
			if got := strings.Join(labels, " "); got != tt.labels {
				t.Errorf("labels %s, want %s", got, tt.labels)
			}
		})
	}
}

func TestLinearTicks(t *testing.T) {
	tests := []struct {
		high   float64
		labels string
		ticks  int
	}{
		{1, "0 0.2 0.4 0.6 0.8 1", 21},
		{12.48e6, "0 2 M 4 M 6 M 8 M 10 M 12 M", 25},
		{206, "0 50 100 150 200", 21},
		{1563, "0 200 400 600 800 1 k 1.2 k 1.4 k", 32},
		{4e-9, "0 1e-09 2e-09 3e-09 4e-09", 21},
		{0, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.labels, func(t *testing.T) {
			ticks := linearTicks{tick, 4}.Ticks(0, tt.high)
			var labels []string
			for _, tk := range ticks {
				if tk.Label != "" {
					labels = append(labels, tk.Label)
				}
			}
			if got := strings.Join(labels, " "); got != tt.labels || len(ticks) != tt.ticks {
				t.Errorf("labels %s, %d ticks; want %s, %d", got, len(ticks), tt.labels, tt.ticks)
			}
		})
	}
}
