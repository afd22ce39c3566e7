package report

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/recorder"

	"pcaplab/analysis"
)

var toolNames = []string{"direct", "gopacket-layers", "dpkt", "scapy", "tshark", "pyshark"}

// barGallery holds a bar chart for each case that has gone wrong or could.
func barGallery() map[string]Chart {
	nan := math.NaN()
	random := rand.New(rand.NewPCG(1, 2))
	near := func(v, width float64) Bar {
		v *= 0.9 + 0.2*random.Float64()
		return Bar{Value: v, Interval: interval(v*(1-width*random.Float64()), v*(1+width*random.Float64()))}
	}
	var scenarios []string
	for _, side := range []string{"LH", "RH"} {
		for _, load := range []string{"UDP 10 Mbit/s", "UDP 100 Mbit/s", "TCP 10 Mbit/s", "TCP 100 Mbit/s", "4000 x 1448 B",
			"300000 x 64 B", "iperf3 TCP", "mixed, 60 s"} {
			scenarios = append(scenarios, side+" "+load)
		}
	}
	note := "Medians of 10 repeats; whiskers: 95 % intervals of the median. " +
		"Linux 6.1 on a board with four cores, performance governor."
	percent := func(v float64) string { return FormatRatio(v / 100) }
	mebi := func(v float64) string { return FormatOctets(v * (1 << 20)) }
	cpu := BarChart{Title: "CPU use of six engines in sixteen scenarios", Note: note,
		Axis: "CPU time of one core", Series: toolNames, Format: percent}
	memory := BarChart{Title: "Peak memory", Note: note, Axis: "peak resident memory", Series: toolNames, Format: mebi}
	counts := BarChart{Title: "Packets received", Note: note, Axis: "packets", Series: toolNames, Reference: "packets sent"}
	linear := BarChart{Title: "Peak memory of engines in Go", Note: note,
		Axis: "peak resident memory", Series: toolNames, Format: mebi, Reference: "limit"}
	sides := BarChart{Title: "Packets received, by side", Axis: "packets", Series: toolNames[:4], Reference: "packets sent"}
	twelve := BarChart{Title: "Eighteen groups of twelve", Note: note, Axis: "packets", Series: engineNames}
	for i, s := range scenarios {
		var c, m, n, l, d []Bar
		sent := 100 * math.Pow(3000, float64(i%8)/7)
		for j := range toolNames {
			c = append(c, near(0.1*math.Pow(800, float64(j)/5)*(1+float64(i%8)/20), 0.2))
			m = append(m, near(5*math.Pow(26, float64(j)/5), 0.05))
			l = append(l, near(50+20*float64(j%3), 0.1))
			got := math.Round(sent * (1 - 0.15*float64(j)*random.Float64()))
			n = append(n, Bar{Value: got, Interval: interval(got*0.95, min(sent, got*1.05))})
			got = math.Round(24e3 * (1 - 0.2*float64(j)*random.Float64()))
			d = append(d, Bar{Value: got, Interval: interval(got*0.95, min(24e3, got*1.05))})
		}
		switch i {
		case 3:
			c[2], n[5] = Bar{Value: nan}, Bar{Value: nan, Mark: "missing"}
		case 4:
			c[0].Value, c[0].Interval = 0, interval(0, 0.4)
			n[3].Value, n[3].Interval = 0, analysis.Interval{}
		case 5:
			c[1].Interval.Low = 0
			l[2].Interval.Low, l[3].Value = 0, 0
		}
		cpu.Groups = append(cpu.Groups, BarGroup{Name: s, Bars: c})
		memory.Groups = append(memory.Groups, BarGroup{Name: s, Bars: m})
		counts.Groups = append(counts.Groups, BarGroup{Name: s, Bars: n, Reference: sent})
		linear.Groups = append(linear.Groups, BarGroup{Name: s, Bars: l, Reference: 90})
		side := "left-hand side"
		if s[0] == 'R' {
			side = "right-hand side"
		}
		sides.Groups = append(sides.Groups, BarGroup{Name: s[3:], Panel: side, Bars: d[:4], Reference: 24e3})
	}
	for i := range 18 {
		var bars []Bar
		for j := range twelve.Series {
			bars = append(bars, Bar{Value: float64(100 + 7*((i*j)%13))})
		}
		twelve.Groups = append(twelve.Groups, BarGroup{Name: fmt.Sprintf("scenario %d", i+1), Bars: bars})
	}
	few := BarChart{Title: "Share of packets received", Axis: "packets received", Series: []string{"before", "after"},
		Format: percent, Reference: "all"}
	long := BarChart{Title: "Long names", Series: []string{
		"an engine with a name that goes on", "another engine with a name that goes on and on and on", "short"},
		Axis: "an axis whose label is longer than it should be, but what is it to do about it, and where is the end of the line"}
	for i, s := range scenarios[:6] {
		few.Groups = append(few.Groups, BarGroup{Name: s, Bars: []Bar{near(60+float64(5*i), 0.04), near(90, 0.02)}, Reference: 100})
		long.Groups = append(long.Groups, BarGroup{Name: s + " with a name that is much longer than what would fit", Bars: []Bar{
			{Value: 1234.5, Mark: "seen twice"}, {Value: 99999}, {Value: nan, Mark: "missing"}}})
	}
	one := func(b Bar) Chart {
		return BarChart{Axis: "packets", Series: []string{"direct"}, Groups: []BarGroup{{Name: "UDP", Bars: []Bar{b}}}}
	}
	gaps := BarChart{Title: "All but one missing", Axis: "packets", Series: toolNames[:3]}
	for _, s := range scenarios[:4] {
		gaps.Groups = append(gaps.Groups, BarGroup{Name: s, Bars: []Bar{{Value: nan}, {Value: nan, Mark: "missing"}, {Value: nan}}})
	}
	gaps.Groups[1].Bars[0] = near(300, 0.1)
	panels := BarChart{Title: "Three panels", Axis: "packets", Series: toolNames[:2]}
	for i, s := range scenarios[:7] {
		g := BarGroup{Name: s, Panel: "part " + string(rune('A'+i/3)), Bars: []Bar{near(300, 0.1), near(30, 0.1)}}
		panels.Groups = append(panels.Groups, g)
	}
	return map[string]Chart{
		"bar-cpu": cpu, "bar-memory": memory, "bar-counts": counts, "bar-linear": linear, "bar-sides": sides, "bar-twelve": twelve,
		"bar-few": few, "bar-long": long, "bar-one": one(Bar{Value: 74}), "bar-zero": one(Bar{}), "bar-none": one(Bar{Value: nan}),
		"bar-gaps": gaps, "bar-panels": panels,
		"bar-huge": one(Bar{Value: 1e290, Interval: interval(1e-290, 1e290)}), "bar-tiny": one(Bar{Value: 1e-290}),
	}
}

func TestBarsRefuse(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	one := func(b Bar) BarChart {
		return BarChart{Series: []string{"direct"}, Groups: []BarGroup{{Name: "UDP", Bars: []Bar{b}}}}
	}
	referring := func(r float64, name string) BarChart {
		ch := one(Bar{Value: 1})
		ch.Reference, ch.Groups[0].Reference = name, r
		return ch
	}
	tests := []struct {
		name  string
		chart BarChart
		err   string
	}{
		{"no groups", BarChart{Series: []string{"direct"}}, "no groups or no series"},
		{"no series", BarChart{Groups: []BarGroup{{Name: "UDP"}}}, "no groups or no series"},
		{"too few bars", BarChart{Series: []string{"a", "b"}, Groups: []BarGroup{{Name: "UDP", Bars: []Bar{{}}}}},
			"group UDP has 1 bars for 2 series"},
		{"too many series", BarChart{Series: make([]string, 22), Groups: []BarGroup{{Bars: make([]Bar, 22)}}}, "22 series"},
		{"negative", one(Bar{Value: -1}), "UDP, direct: a value of -1"},
		{"infinite", one(Bar{Value: inf}), "a value of +Inf"},
		{"too large", one(Bar{Value: 1e300}), "a value of 1e+300"},
		{"too small", one(Bar{Value: 1e-300}), "a value of 1e-300"},
		{"interval not a number", one(Bar{Value: 1, Interval: interval(nan, 2)}), "a value of NaN"},
		{"interval reversed", one(Bar{Value: 1, Interval: interval(2, 1)}), "an interval from 2 to 1"},
		{"negative reference", referring(-1, "sent"), "UDP: a reference of -1"},
		{"infinite reference", referring(inf, "sent"), "a reference of +Inf"},
		{"reference without a name", referring(1, ""), "has no name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteSVG(&b, tt.chart); err == nil || !strings.Contains(err.Error(), tt.err) || b.Len() > 0 {
				t.Errorf("error %v and %d octets, want none and an error with %q", err, b.Len(), tt.err)
			}
		})
	}
	if _, err := referring(nan, "").page(); err != nil {
		t.Errorf("a reference that is not known: %v", err)
	}
}

func TestBarsSay(t *testing.T) {
	tests := []struct {
		chart string
		says  []string
	}{
		{"bar-cpu", []string{"CPU time of one core", ">0.1 %<", ">100 %<", ">n/a<", ">0 %<", ">LH 4000 x 1448 B<", ">pyshark<"}},
		{"bar-counts", []string{">packets sent<", ">missing<", ">300 k<", ">10 k<"}},
		{"bar-linear", []string{">50 MiB<", ">100 MiB<", ">limit<"}},
		{"bar-sides", []string{">left-hand side<", ">right-hand side<", ">24.0 k<"}},
		{"bar-long", []string{">1.23 k seen twice<"}},
	}
	charts := barGallery()
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

// A chart that stands in a paper is as wide as its text, and no more than a page tall.
func TestBarsFitAPage(t *testing.T) {
	charts := barGallery()
	for _, name := range []string{"bar-cpu", "bar-memory", "bar-counts", "bar-sides", "bar-few", "bar-long"} {
		pg, err := charts[name].page()
		if err != nil {
			t.Fatal(err)
		}
		if pg.width > textWidth || pg.height() > 8*vg.Inch {
			t.Errorf("%s: %.1f x %.1f inches", name, pg.width/vg.Inch, pg.height()/vg.Inch)
		}
	}
}

func TestBarsLookDifferent(t *testing.T) {
	seen := map[string]int{}
	for i := range barStyles * len(palette) {
		c := new(recorder.Canvas)
		fillBar(draw.NewCanvas(c, 100, 100), i, 10, 30, 10, 20)
		var key string
		for _, a := range c.Actions {
			key += a.Call()
		}
		if j, ok := seen[key]; ok {
			t.Errorf("bars %d and %d look the same", j, i)
		}
		seen[key] = i
	}
}

// Whatever the numbers and shapes, a bar chart is drawn without overlaps or refused.
func TestBarsOfAnyShape(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	word := func() string {
		letters := []rune("abc WMil|.,%5解\x1b<&é ")
		s := make([]rune, random.IntN(60))
		for i := range s {
			s[i] = letters[random.IntN(len(letters))]
		}
		return string(s)
	}
	formats := []func(float64) string{nil, FormatOctets, FormatRatio, FormatDuration, FormatRate}
	drawn := 0
	for i := range 300 {
		ch := BarChart{Title: word(), Note: word(), Axis: word(), Reference: "sent " + word()}
		ch.Format = formats[random.IntN(len(formats))]
		spread := random.Float64() * []float64{1, 5, 280}[random.IntN(3)]
		number := func() float64 {
			switch random.IntN(12) {
			case 0:
				return math.NaN()
			case 1:
				return 0
			case 2:
				if random.IntN(500) == 0 {
					return []float64{math.Inf(1), -1, 1e-310, math.MaxFloat64}[random.IntN(4)]
				}
			}
			return math.Pow(10, spread*(2*random.Float64()-1))
		}
		for range 1 + random.IntN(13) {
			ch.Series = append(ch.Series, word())
		}
		panel := word()
		for range 1 + random.IntN(20) {
			if random.IntN(10) == 0 {
				panel = word()
			}
			g := BarGroup{Name: word(), Panel: panel, Reference: number()}
			for range ch.Series {
				b := Bar{Value: number()}
				if random.IntN(2) == 0 {
					b.Interval = interval(b.Value*random.Float64()*float64(random.IntN(3)), b.Value*(1+random.Float64()))
				}
				if random.IntN(20) == 0 {
					b.Mark = word()
				}
				g.Bars = append(g.Bars, b)
			}
			ch.Groups = append(ch.Groups, g)
		}
		if _, err := ch.page(); err != nil {
			continue
		}
		drawn++
		crowded(t, ch)
		if t.Failed() {
			t.Fatalf("chart %d: %+v", i, ch)
		}
	}
	if drawn < 50 {
		t.Errorf("only %d charts were drawn", drawn)
	}
}

func TestTrimZeros(t *testing.T) {
	for in, want := range map[string]string{"10.0 MB": "10 MB", "0.100 %": "0.1 %", "100 k": "100 k", "1.50": "1.5", "5.00": "5",
		"n/a": "n/a"} {
		if got := trimZeros(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}
