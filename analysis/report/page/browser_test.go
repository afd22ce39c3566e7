package page_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page/pagetest"
)

func TestPageInChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at pages for some ten seconds")
	}
	b := pagetest.Start(t)
	d := sample()
	file := filepath.Join(t.TempDir(), "report #1 ü.html") // a name that is no plain address
	if err := os.WriteFile(file, rendered(t, d), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Check(t, file, "sample")
	t.Run("checks see faults", func(t *testing.T) { checksSeeFaults(t, b) })

	t.Run("zoom, axes and legend", func(t *testing.T) {
		p := b.Open(t, file, pagetest.View{Width: 1280, Height: 900})
		const plot, over = "document.querySelector('#figure-loss').plot", "#figure-loss .u-over"
		scales := func() (s struct{ X, Y [2]float64 }) {
			t.Helper()
			p.Eval(t, "(({x, y}) => ({X: [x.min, x.max], Y: [y.min, y.max]}))("+plot+".u.scales)", &s)
			return s
		}
		all := scales()
		p.Drag(t, over, 0.2, 0.2, 0.6, 0.7)
		p.Until(t, plot+".u.scales.x.min > 100")
		near := scales()
		if !(near.X[0] > all.X[0] && near.X[1] < all.X[1] && near.Y[0] > all.Y[0] && near.Y[1] < all.Y[1]) {
			t.Errorf("a drag zooms from %v to %v", all, near)
		}
		p.Click(t, "#figure-loss .tools button[aria-label='show all']")
		if got := scales(); got != all {
			t.Errorf("reset shows %v instead of %v", got, all)
		}
		p.Drag(t, over, 0.2, 0.5, 0.6, 0.51) // along one axis only
		p.Until(t, plot+".u.scales.x.min > 100")
		x, y, w, h := p.Place(t, over)
		for clicks := 1; clicks <= 2; clicks++ {
			p.Mouse(t, "mousePressed", x+w/2, y+h/2, clicks)
			p.Mouse(t, "mouseReleased", x+w/2, y+h/2, clicks)
		}
		p.Until(t, plot+".u.scales.x.min < 100")
		if got := scales(); got != all {
			t.Errorf("a double click shows %v instead of %v", got, all)
		}

		p.Click(t, "#figure-loss button[data-log=y]")
		p.Until(t, plot+".u.scales.y.distr === 1 && document.querySelector('#figure-loss button[data-log=y]').ariaPressed === 'false'")
		if got := scales(); got.Y[0] != 0 || got.X != all.X {
			t.Errorf("a linear axis shows %v", got)
		}
		p.Click(t, "#figure-loss button[data-log=x]")
		p.Until(t, plot+".u.scales.x.distr === 1")
		p.Click(t, "#figure-loss button[data-log=x]")
		p.Click(t, "#figure-loss button[data-log=y]")
		if got := scales(); got != all {
			t.Errorf("axes there and back show %v instead of %v", got, all)
		}

		p.Click(t, "#figure-loss .key button")
		p.Until(t, plot+".u.series.slice(1, 4).every(s => !s.show)") // the curve and its marks
		var shown int
		p.Eval(t, plot+".u.series.slice(1).filter(s => s.show).length", &shown)
		if want := 3 * (len(engines) - 1); shown != want {
			t.Errorf("%d series are shown instead of %d", shown, want)
		}
		p.Click(t, "#figure-loss .key button")
		p.Until(t, plot+".u.series.slice(1).every(s => s.show)")

		p.Eval(t, plot+".board.focus()", nil)
		p.Key(t, "ArrowRight")
		p.Key(t, "ArrowRight")
		var tip string
		p.Eval(t, "document.querySelector('#figure-loss .tip').innerText", &tip)
		if tip != "pyshark\n40.7 pps: 0 %\ntrial 2, 5.0 s, repeat 2" {
			t.Errorf("the second point says %q", tip)
		}
		p.Key(t, "+")
		p.Until(t, plot+".u.scales.x.max < 1e7")
		p.Key(t, "0")
		if got := scales(); got != all {
			t.Errorf("the key 0 shows %v instead of %v", got, all)
		}
		var at []float64 // the last point of the first curve
		p.Eval(t, "(p => p.point(p.rows.findLast(r => r.s === 0)))("+plot+")", &at)
		left, top, _, _ := p.Place(t, "#figure-loss .board")
		p.Mouse(t, "mouseMoved", left+at[0]+2, top+at[1]-2, 0)
		p.Until(t, "!document.querySelector('#figure-loss .tip').hidden")
		p.Eval(t, "document.querySelector('#figure-loss .tip').innerText", &tip)
		if !strings.HasPrefix(tip, "direct\n7.93 Mpps: 24") || !strings.HasSuffix(tip, "trial 17, 5.0 s, repeat 5") {
			t.Errorf("the point says %q", tip)
		}
		var inside bool
		p.Eval(t, "(t => t.left >= 0 && t.right <= innerWidth)(document.querySelector('#figure-loss .tip').getBoundingClientRect())", &inside)
		if !inside {
			t.Error("what it says sticks out")
		}

		var drawn, dark string
		p.Eval(t, plot+".u.ctx.canvas.toDataURL()", &drawn)
		p.Media(t, false, true)
		p.Until(t, plot+".u.ctx.canvas.toDataURL() !== "+`"`+drawn+`"`)
		p.Eval(t, "getComputedStyle(document.body).backgroundColor", &dark)
		if dark != "rgb(16, 19, 23)" {
			t.Errorf("the dark page is %s", dark)
		}
		var open int
		p.Eval(t, "dispatchEvent(new Event('beforeprint')), document.querySelectorAll('details[open]').length", &open)
		if open != 2 { // the cases of a warning and the classes; not 204 trials
			t.Errorf("%d parts are unfolded in print", open)
		}
		p.Eval(t, "dispatchEvent(new Event('afterprint')), document.querySelectorAll('details[open]').length", &open)
		if open != 0 {
			t.Errorf("%d parts stay unfolded", open)
		}
		for _, s := range p.Faults(t) {
			t.Error(s)
		}
	})

	t.Run("files", func(t *testing.T) {
		p := b.Open(t, file, pagetest.View{Width: 390, Height: 844})
		var svg, csv, all bytes.Buffer
		if err := d.Sections[1].Tables[0].Table.WriteCSV(&all); err != nil {
			t.Fatal(err)
		}
		if err := report.WriteSVG(&svg, d.Sections[1].Figures[0].Chart); err != nil {
			t.Fatal(err)
		}
		if err := d.Sections[1].Figures[0].Data.WriteCSV(&csv); err != nil {
			t.Fatal(err)
		}
		p.Eval(t, "document.querySelectorAll('details').forEach(d => { d.open = true })", nil)
		for selector, want := range map[string][]byte{
			"[data-name='records.jsonl']":   d.Raw[0].Data,
			"[data-gzip=raw-2]":             d.Raw[1].Data,
			"[data-name='loss.svg']":        svg.Bytes(),
			"[download='loss.csv']":         csv.Bytes(),
			"[data-gzip='csv-loss-trials']": all.Bytes(),
		} {
			if got := p.Saved(t, selector); !bytes.Equal(got, want) {
				t.Errorf("%s saves %d octets, not the %d that it should", selector, len(got), len(want))
			}
		}
		picture, err := png.Decode(bytes.NewReader(p.Saved(t, "[data-name='cost.png']")))
		if err != nil {
			t.Fatal(err)
		}
		if _, colours := pagetest.Luminance(picture); colours < 20 || picture.Bounds().Dx() < 1900 {
			t.Errorf("the picture has %d colours and is %d wide", colours, picture.Bounds().Dx())
		}
		for _, s := range p.Faults(t) {
			t.Error(s)
		}
	})
}

// checksSeeFaults: the checks find what they are for.
func checksSeeFaults(t *testing.T, b *pagetest.Browser) {
	file := filepath.Join(t.TempDir(), "bad.html")
	bad := `<!doctype html><meta name=viewport content="width=device-width"><style>div{position:absolute;top:9px;left:9px;width:80px}</style>
		<div>one text</div><div>another</div><p style="width:2000px">wide</p><p style="width:40px;overflow:hidden;white-space:nowrap">a text that is cut</p>
		<table style="margin-top:80px"><tr><td style="width:40px;display:block">` + strings.Repeat("squeezed ", 40) + `</table>
		<img src="missing.png"><script>console.error('said'); setTimeout(() => { throw new Error('thrown') })</script>`
	if err := os.WriteFile(file, []byte(bad), 0o666); err != nil {
		t.Fatal(err)
	}
	p := b.Open(t, file, pagetest.View{Width: 390, Height: 844})
	got := strings.Join(p.Faults(t), "\n")
	for _, want := range []string{"a request for file:", "missing.png", "console: error", "thrown", "wide in a view of 390", `cut: p "a text that is cut"`, "overlap: ", " high: tr"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not found in\n%s", want, got)
		}
	}
}
