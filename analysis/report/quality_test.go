package report

import (
	"bytes"
	"encoding/csv"
	"image/png"
	"io"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/score"
	"pcaplab/replay"
	"pcaplab/replay/quality"
	"pcaplab/replay/trial"
)

// underLoad is a report of two loads: of 200 windows half are lost in the second, and those of attacks look benign.
func underLoad() *quality.Report {
	measure := func(decided uint64, wrong uint64, marks ...string) quality.Measure {
		c := score.New([]string{"Benign", "Attack"})
		c.AddN(0, 0, decided/2)
		c.AddN(1, 0, wrong)
		c.AddN(1, 1, decided/2-wrong)
		return quality.Measure{Offered: 2000, Delivered: decided * 10, Lost: 2000 - decided*10, Duration: time.Second, Vectors: decided, Confusion: c,
			BenignTime: time.Hour, DelayP99: time.Millisecond, Marks: marks}
	}
	r := &quality.Report{Engine: "direct", Classes: []string{"Benign", "Attack"}, Benign: "Benign", Clock: "warp", Queue: "100 frames", Stamp: replay.StampCapture,
		Repeats: 2, Batch: 1, Traffic: []quality.TrafficFacts{{Name: "a", Service: []float64{1000, 3000}, FeedShare: []float64{0.2, 0.2}}}}
	for i, load := range []float64{0.1, 2} {
		p := quality.Point{Load: load}
		for range 2 {
			m, base := measure(200, 0), measure(200, 0)
			if i == 1 {
				m = measure(100, 25, "feed-limited", "host-busy")
			}
			p.Measured, p.Baseline = append(p.Measured, m), append(p.Baseline, base)
			p.Scores = append(p.Scores, m.Scores(&base, 0))
			p.BaselineScores = append(p.BaselineScores, base.Scores(&base, 0))
		}
		r.Points = append(r.Points, p)
	}
	return r
}

func TestQualityTable(t *testing.T) {
	var b bytes.Buffer
	if err := WriteQuality(&b, underLoad()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range [][]string{
		{"load", "offered", "delivered", "coverage", "macro-F1", "no loss", "balanced", "benign recall", "false alarms/h", "attacks found", "wait p99", "marks"},
		nil,
		{"0.1x", "2.00 kpps", "100 %", "100 %", "1.000 (1.000, 1.000)", "1.000", "1.000", "100 %", "0", "100 %", "1.00 ms"},
		{"2x", "2.00 kpps", "50.0 %", "50.0 %", "0.733 (0.733, 0.733)", "1.000", "0.750", "100 %", "0", "25.0 %", "1.00 ms", "host-busy"},
	} {
		if got := columns(lines[1+i]); want != nil && strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("line %d\n got %q\nwant %q", i, got, want)
		}
	}
	if want := "2.00 kpps (1.00, 3.00 kpps), of whose time 20.0 % is the feed's own: it reads the clock warp for each packet; 2.50 kpps without it"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
	r := underLoad()
	for want, k := range map[string]*quality.KeepsUp{
		"does not keep up with the lowest load, 0.1x: 99 % of the packets delivered and of the windows decided, macro-F1 at most 0.01 below": nil,
		"as right as without loss at all loads measured, up to 2x (4.00 kpps)":                                                               {Load: 2, Rate: 4000, Net: 4000, Most: true},
		"as right as without loss up to 0.1x (200 pps; about 250 pps without the feed's own time)":                                           {Load: 0.1, Rate: 200, Net: 250},
	} {
		var b bytes.Buffer
		r.KeepsUp = k
		if err := WriteQuality(&b, r); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if err := WriteQuality(&b, &quality.Report{}); err == nil {
		t.Error("a report of no loads")
	}
}

// TestNothingDecided: there is no score of no windows, and it is said.
func TestNothingDecided(t *testing.T) {
	r := underLoad()
	none := func(list []quality.Measure) {
		for i := range list {
			list[i].Confusion = score.New(r.Classes)
		}
	}
	none(r.Points[1].Measured)
	var b bytes.Buffer
	if err := WriteQuality(&b, r); err != nil {
		t.Fatal(err)
	}
	if row := columns(strings.Split(b.String(), "\n")[4]); row[4] != "n/a" || row[5] != "1.000" || row[6] != "n/a" {
		t.Errorf("row %q", row)
	}
	if !strings.Contains(b.String(), "no window was decided at 2x") {
		t.Errorf("no note in\n%s", b.String())
	}
	for i := range r.Points {
		none(r.Points[i].Measured)
		none(r.Points[i].Baseline)
	}
	b.Reset()
	if err := WriteQuality(&b, r); err != nil || !strings.Contains(b.String(), "not even without loss") || strings.Contains(b.String(), "lowest load") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

func TestQualityFiles(t *testing.T) {
	files := make(map[string]*bytes.Buffer)
	err := WriteQualityFiles(func(name string, write func(io.Writer) error) error {
		files[name] = &bytes.Buffer{}
		return write(files[name])
	}, underLoad())
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(files[QualityFiles+".csv"]).ReadAll()
	if err != nil || len(rows) != 5 || rows[0][0] != "of_service" || rows[4][0] != "2" || rows[4][1] != "2" {
		t.Fatalf("%q, %v", rows, err)
	}
	if _, err := png.Decode(files[QualityFiles+".png"]); err != nil {
		t.Error(err)
	}
	if svg := files[QualityFiles+".svg"].String(); !strings.Contains(svg, "macro-F1 without loss") || !strings.Contains(svg, "benign recall") {
		t.Error("the chart lacks a name")
	}
	// What there is none of is left out, and what cannot be drawn is refused.
	none := underLoad()
	for i := range none.Points {
		for n := range none.Points[i].Scores {
			none.Points[i].Scores[n].BenignWindows = 0
		}
	}
	if ch := qualityChart(none).(QualityChart); len(ch.Series) != 4 {
		t.Errorf("%d lines", len(ch.Series))
	}
	for _, pt := range []QualityPoint{{Load: 0, Value: 1}, {Load: 1, Value: 2}, {Load: 1, Value: -1}} {
		if err := WritePNG(io.Discard, QualityChart{Series: []QualitySeries{{Points: []QualityPoint{pt}}}}); err == nil {
			t.Errorf("%+v was drawn", pt)
		}
	}
	if err := WritePNG(io.Discard, QualityChart{}); err == nil {
		t.Error("nothing was drawn")
	}
}

func TestSpeedTable(t *testing.T) {
	s := &analysis.Speed{Engine: "direct", Frames: 10, PerVector: 10, Peak: 40 << 20, Own: 4 << 20, Vectors: 90, Left: 10,
		Latency: &analysis.Latency{Calls: 5, P50: 200, P99: 900, P999: 1000, Max: 2000, Clock: 40}, NotDone: []string{"the rest"}}
	s.Rows = append(s.Rows, analysis.SpeedRow{What: analysis.SpeedPipeline, Packets: analysis.Summarize([]float64{1e6, 2e6, 3e6}),
		Vectors: analysis.Summarize([]float64{1e5, 2e5, 3e5}), NS: analysis.Summarize([]float64{1000, 500, 333}), Marks: []string{"host-busy"}})
	s.AddModel(analysis.SpeedModel, []float64{1e6})
	var b bytes.Buffer
	if err := WriteSpeed(&b, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2.00 M (1.00, 3.00 M)", "500 ns (333 ns, 1.00 µs) a packet", "10.0 M", "1.00 µs a vector", "host-busy", "10 packets make a vector",
		"p50 200 ns, p99 900 ns", "(40 ns) are taken off", "40.0 MiB", "4.00 MiB of it beside the capture", "10 vectors of 100 were left out", "not measured: the rest"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// TestPredictionsInTheTable: what models, which count by class, said of all vectors stands below the ceilings.
func TestPredictionsInTheTable(t *testing.T) {
	h, records := staged()
	h.Settings.Stages = append(h.Settings.Stages, "model=m.onnx")
	for i := range records {
		if !records[i].Input.EngineAlone { // of six repeats each
			records[i].Stages = map[string]map[string]uint64{"model=m.onnx": {"vectors": 100, "dropped": 10, "clamped": 0, "class a": 60, "class b": 30, "class c": 0}}
		}
	}
	var b bytes.Buffer
	if err := WriteText(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	if want := "direct, model=m.onnx: 600 vectors: a 60.0 %, b 30.0 %, 60 dropped as not finite\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
	h.Plan.Rates = []trial.Rate{{Value: 1000}}
	for stamp, warned := range map[string]bool{"": true, "due": true, "capture": false} {
		b.Reset()
		if h.Settings.Stamp = stamp; WriteText(&b, analysis.Analyze(h, records)) != nil || strings.Contains(b.String(), "have its times") != warned {
			t.Errorf("stamp %q: %s", stamp, b.String())
		}
	}
}
