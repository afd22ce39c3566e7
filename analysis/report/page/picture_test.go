package page

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"pcaplab/analysis/report"
)

func contrast(a, b rgb) float64 {
	light := func(c rgb) float64 {
		part := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*part(c.r) + 0.7152*part(c.g) + 0.0722*part(c.b)
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// The colours of the pictures are those of the package that draws them, and on a dark page they are told from the card: 3 is what
// WCAG 2.2 asks for in graphics (1.4.11), 4.5 in text (1.4.3).
func TestColoursOfPictures(t *testing.T) {
	chart := report.BarChart{Axis: "#0072B2 is a text", Groups: []report.BarGroup{{Name: `a "style" style="fill:#000000"`}}}
	for i := range seriesLight {
		chart.Series = append(chart.Series, fmt.Sprint(i))
		chart.Groups[0].Bars = append(chart.Groups[0].Bars, report.Bar{Value: 1})
	}
	var b bytes.Buffer
	if err := report.WriteSVG(&b, chart); err != nil {
		t.Fatal(err)
	}
	k := &inks{used: map[rgb]bool{}}
	picture, err := k.inline(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range seriesLight {
		if !k.used[c] {
			t.Errorf("series %d is not drawn in %s", i, c)
		}
		if r := contrast(c.dark(), darkCard); r < 3 {
			t.Errorf("series %d: contrast %.1f on a dark page", i, r)
		}
		if !k.used[c] || !strings.Contains(picture, "var(--k"+c.String()[1:]+","+c.String()+")") {
			t.Errorf("%s is no variable", c)
		}
	}
	if !strings.Contains(picture, ">#0072B2 is a text<") {
		t.Error("a text was changed")
	}
	if got := parse("ffffff").dark(); got != darkCard {
		t.Errorf("white becomes %s", got)
	}
	if got := parse("555555").dark(); contrast(got, darkCard) < 4.5 {
		t.Errorf("gray becomes %s: contrast %.1f", got, contrast(got, darkCard))
	}
	if got := parse("dddddd").dark(); contrast(got, darkCard) > 2 {
		t.Errorf("grid lines become %s: contrast %.1f", got, contrast(got, darkCard))
	}
	for _, set := range []string{"--ink: #e5e8ec;", "--card: #171b21;"} {
		if !strings.Contains(styles, set) {
			t.Errorf("the dark page has no %s: pictures would not match it", set)
		}
	}
}

func TestInlineTakesDrawingsOnly(t *testing.T) {
	for _, svg := range []string{"", "<p>", "<svg>", "<svg><script>1</script></svg>", "<svg><image href='x'/></svg>", "<svg><a href='x'/></svg>",
		"<svg onload='x'/>", "<svg><g style='fill:url(http://x)'/></svg>", "<svg><foreignObject/></svg>", "<svg><style>*{color:red}</style></svg>"} {
		if got, err := newInks().inline([]byte(svg)); err == nil {
			t.Errorf("%s becomes %s", svg, got)
		}
	}
}

func TestBarsAreTheChart(t *testing.T) {
	chart := report.CeilingChart{Series: []string{"NDR", "PDR"}, Groups: []report.CeilingGroup{
		{Engine: "a<b", Bars: []report.CeilingBar{{Rate: 100}, {Rate: 200, Mark: "late"}}},
		{Engine: "c", Bars: []report.CeilingBar{{Rate: math.NaN(), Mark: "missing"}, {Rate: 0}}}}}
	for _, c := range []report.Chart{chart, &chart} {
		b := barsOf(c)
		if b == nil || len(b.Groups) != 2 {
			t.Fatalf("%+v", b)
		}
		got := fmt.Sprint(b.Axis, b.Groups)
		want := "rate (pps)[{ a<b [{NDR 100 pps [{bar width:48.50%;background:var(--s0)}]} {PDR 200 pps late [{bar width:97.00%;background:var(--s1)}]}]}" +
			" { c [{NDR missing []} {PDR 0 pps [{bar width:0.00%;background:var(--s1)}]}]}]"
		if got != want {
			t.Errorf("bars\n%s\ninstead of\n%s", got, want)
		}
	}
	chart.Groups[0].Bars[0].Rate = 1
	b := barsOf(chart)
	if !strings.HasSuffix(b.Axis, ", logarithmic") || b.Groups[0].Rows[1].Marks[1].Style != "left:97.00%;background:var(--s1)" {
		t.Errorf("%+v", b)
	}
	if barsOf(report.LossChart{}) != nil {
		t.Error("a chart without bars has some")
	}
}
