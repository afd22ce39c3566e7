package report

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/analysis/comparison"
	"pcaplab/replay/trial"
)

// aComparison has one row of each kind.
func aComparison() *comparison.Comparison {
	cell := func(engine string) trial.Cell {
		return trial.Cell{Engine: engine, Size: "64", Cache: "hot", Workers: 1}
	}
	row := func(m comparison.Metric, c trial.Cell, old, new []float64) comparison.Row {
		r := comparison.Row{Metric: m, Cell: c, Old: analysis.Summarize(old), New: analysis.Summarize(new), Change: comparison.Ratio(old, new, 0.05)}
		if m.Points {
			r.Change = comparison.Difference(old, new, 0.05)
		}
		return r
	}
	ndr := comparison.Metric{Name: "ndr", Unit: "pps", More: true}
	c := &comparison.Comparison{Old: "before", New: "after", Alpha: 0.05, Rounds: 4}
	c.Rows = []comparison.Row{
		row(ndr, cell("slower"), []float64{1000e3, 1010e3, 1020e3, 1030e3}, []float64{900e3, 909e3, 918e3, 927e3}),
		row(ndr, cell("same|x"), []float64{1000e3, 1010e3, 1020e3, 1030e3}, []float64{1005e3, 1009e3, 1018e3, 1021e3}),
		row(ndr, cell("few"), []float64{1e6}, []float64{2e6}),
		row(comparison.Metric{Name: "allocs"}, cell("from"), []float64{0, 0, 0, 0}, []float64{2, 2, 2, 2}),
		row(comparison.Metric{Name: "loss@1x", Points: true}, cell("lossy"), []float64{0, 0, 0, 0.001}, []float64{0.02, 0.021, 0.022, 0.023}),
	}
	c.Rows[0].Marks = []comparison.Mark{{Name: trial.MarkHostBusy, Old: 1, New: 2}}
	mean := row(ndr, trial.Cell{}, []float64{1000e3, 1010e3, 1020e3, 1030e3}, []float64{990e3, 995e3, 998e3, 999e3})
	mean.Over, mean.Doubts = 2, []string{"1 cell with a zero left out"}
	c.Means = []comparison.Row{mean}
	c.Lone = []comparison.Lone{{Side: "old", Cell: cell("gone")}}
	c.Different = []comparison.Different{{What: "program", Old: "v1", New: "v2"}}
	c.Warnings = []string{"a warning"}
	return c
}

func TestComparisonForPeople(t *testing.T) {
	var b strings.Builder
	if err := WriteComparison(&b, aComparison()); err != nil {
		t.Fatal(err)
	}
	const want = `old  before
new  after
interleaved: 4 rounds, both in each, in random order

ndr: more is better
engine          size     frames        old        new   change             interval      p  runs  shows       marks in runs of old+new
──────────────  ───────  ──────  ─────────  ─────────  ───────  ───────────────────  ─────  ────  ──────────  ────────────────────────
slower          64       hot     1.01 Mpps   914 kpps  -10.0 %   -12.6 % to -7.30 %  0.029     4  worse       host-busy 1+2
same|x          64       hot     1.01 Mpps  1.01 Mpps        ~   -2.43 % to +2.10 %  0.886     4
few             64       hot     1.00 Mpps  2.00 Mpps   +100 %                  n/a      1     1  no verdict
geometric mean  2 cells          1.01 Mpps   996 kpps  -2.02 %  -3.88 % to -0.100 %  0.029     4  worse
geometric mean: 1 cell with a zero left out

allocations per packet (allocs): less is better
engine  size  frames   old   new  change          interval      p  runs  shows  marks in runs of old+new
──────  ────  ──────  ────  ────  ──────  ────────────────  ─────  ────  ─────  ────────────────────────
from    64    hot     0.00  2.00  from 0  from 0 to from 0  0.029     4  worse

loss@1x: less is better
engine  size  frames  old     new        change                      interval      p  runs  shows  marks in runs of old+new
──────  ────  ──────  ───  ──────  ────────────  ────────────────────────────  ─────  ────  ─────  ────────────────────────
lossy   64    hot     0 %  2.15 %  +2.10 points  +1.90 points to +2.30 points  0.029     4  worse
only in old: gone 64 hot
differs: program: old v1, new v2
a warning
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestComparisonForPrograms(t *testing.T) {
	c := aComparison()
	var b strings.Builder
	if err := WriteComparisonCSV(&b, c); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	for i, want := range map[int]string{1: "worse", 2: "~", 3: "no verdict", 4: "worse", 5: "worse", 6: "worse"} {
		if rows[i][19] != want {
			t.Errorf("row %d shows %q, want %q: %v", i, rows[i][19], want, rows[i])
		}
	}
	condition, err := analysis.ParseCondition("ndr[slower]<-5%")
	if err != nil {
		t.Fatal(err)
	}
	gate, err := c.Gate(condition)
	if err != nil || len(gate.True) != 1 {
		t.Fatalf("%v %+v", err, gate)
	}
	if text := FormatFinding(&comparison.Gate{Rows: 2}, &gate.True[0]); !strings.Contains(text, "ndr[slower] (64 B, hot, 1 worker) changed by -10.0 %") || !strings.Contains(text, "as one of 2") {
		t.Error(text)
	}
	b.Reset()
	if err := WriteComparisonJSON(&b, c, gate); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for line := range strings.Lines(b.String()) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[v["kind"].(string)]++
		if v["metric"] == "allocs" && (v["change"] != nil || v["from_zero"] != true || v["interval"] != nil) {
			t.Errorf("a change from zero is %v", v)
		} else if v["metric"] != "allocs" && v["from_zero"] != nil {
			t.Errorf("from zero: %v", v)
		}
	}
	if kinds["comparison"] != 1 || kinds["change"] != 6 || kinds["gate"] != 1 {
		t.Errorf("%v", kinds)
	}
	b.Reset()
	if err := WriteComparisonMarkdown(&b, c); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `same\|x`) || strings.Count(b.String(), "**") != 6 {
		t.Errorf("%s", b.String())
	}
}

func TestFormatP(t *testing.T) {
	for p, want := range map[float64]string{0.0286: "0.029", 0.0004: "<0.001", 1: "1", 0.99999: "1", 0.5: "0.500", math.NaN(): "n/a"} {
		if got := FormatP(p); got != want {
			t.Errorf("%v: %s, want %s", p, got, want)
		}
	}
}
