package report

import (
	"bytes"
	"encoding/csv"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// staged is a study of stages: direct takes 100 ns alone and 300 with them, eager's stages drown in noise.
func staged() (trial.Header, []trial.Record) {
	h := studyHeader(trial.SearchNone, 6)
	h.Settings.Stages, h.Plan.EngineAlone = []string{"features=1s"}, true
	var records []trial.Record
	for repeat := 1; repeat <= 6; repeat++ {
		for engine, ns := range map[string][2]float64{"direct": {100, 300}, "eager": {1000, 990}} {
			alone := closed(engine, repeat, ns[0])
			alone.Kind, alone.Input.EngineAlone, alone.Marks = trial.KindEngineAlone, true, []string{trial.MarkFeedLimited, trial.MarkHostBusy}
			whole := closed(engine, repeat, ns[1])
			whole.Marks = []string{trial.MarkHostBusy}
			if records = append(records, alone, whole); repeat%2 == 0 {
				slices.Reverse(records[len(records)-2:])
			}
		}
	}
	slices.SortStableFunc(records, func(a, b trial.Record) int { return strings.Compare(a.Cell.Engine, b.Cell.Engine) })
	return h, records
}

func TestStagesInTheTable(t *testing.T) {
	h, records := staged()
	var b bytes.Buffer
	if err := WriteText(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "engine ") })
	for j, row := range [][]string{
		{"engine", "size", "B/packet", "frames", "time/packet", "engine alone", "stages", "CPU/packet", "service", "allocs", "GC/M", "peak",
			"feed", "marks"},
		nil,
		{"direct", "64", "60", "hot", "300 ns [300, 300 ns]", "100 ns [100, 100 ns]", "200 ns [200, 200 ns]", "n/a",
			"3.33 Mpps [3.33, 3.33 Mpps]", "2.0", "0.0", "1.00 MiB", "2.00 %", "host-busy alone:feed-limited"},
		{"eager", "64", "60", "hot", "990 ns [990, 990 ns]", "1.00 µs [1.00, 1.00 µs]", "-10.0 ns [-10.0, -10.0 ns]", "n/a",
			"1.01 Mpps [1.01, 1.01 Mpps]", "2.0", "0.0", "1.00 MiB", "2.00 %", "host-busy alone:feed-limited"},
	} {
		if got := columns(lines[i+j]); row != nil && !slices.Equal(got, row) {
			t.Errorf("row %d\n got %q\nwant %q", j, got, row)
		}
	}
	// Before the engine was measured alone, its columns say so.
	table := ceilingTable(analysis.Analyze(h, records[1:2]))
	if row := table.Rows[0]; row[5].Text != "n/a" || row[6].Text != "n/a" || len(row) != len(table.Columns) {
		t.Errorf("row %v", row)
	}
}

func TestStagesInCSV(t *testing.T) {
	h, records := staged()
	var b bytes.Buffer
	if err := WriteCSV(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for head, want := range map[string][2]float64{
		"ns_per_packet": {300, 990}, "engine_alone_ns_per_packet": {100, 1000}, "stages_ns_per_packet": {200, -10},
		"stages_ns_per_packet_low": {200, -10}, "stages_ns_per_packet_high": {200, -10}, "stages_ns_per_packet_n": {6, 6},
		"engine_alone_ns_per_packet_n": {6, 6},
	} {
		for i, want := range want {
			text := rows[i+1][slices.Index(rows[0], head)]
			if got, err := strconv.ParseFloat(text, 64); err != nil || math.Abs(got-want) > 1e-3 {
				t.Errorf("%s of %s is %q, want %v", head, rows[i+1][0], text, want)
			}
		}
	}
}

func TestStagesInBenchmarkLines(t *testing.T) {
	h, records := staged()
	f := bench(t, h, records)
	if f.better["stages-ns/op"] != "lower" || f.better["engine-alone-ns/op"] != "lower" || f.config["stages"] != "features=1s" {
		t.Errorf("units %v, settings %v", f.better, f.config)
	}
	if len(f.results) != 12 {
		t.Errorf("%d lines, want one for each engine and repeat", len(f.results))
	}
	for _, r := range f.results {
		whole, alone, stages := r.values["ns/op"], r.values["engine-alone-ns/op"], r.values["stages-ns/op"]
		if alone < 99 || math.Abs(whole-alone-stages) > 1e-6*whole {
			t.Errorf("%s: %v, of which %v and %v", r.name, whole, alone, stages)
		}
	}
}

func TestStagesOnBoards(t *testing.T) {
	h, records := staged()
	one := Board{Name: "pi@one", Results: analysis.Analyze(h, records)}
	h.Plan.EngineAlone = false // of an earlier version
	other := Board{Name: "pi@two", Results: analysis.Analyze(h, []trial.Record{closed("direct", 1, 300)})}
	var b bytes.Buffer
	if err := WriteBoards(&b, []Board{one, other}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, line := range strings.Split(b.String(), "\n") {
		if row := columns(line); len(row) > 4 && row[0] == "direct" {
			got = append(got, strings.Join(row[3:], "|"))
		}
	}
	for _, want := range []string{"engine alone|100 ns [100, 100 ns]|n/a", "stages|200 ns [200, 200 ns]|n/a", "marks|host-busy alone:feed-limited"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	b.Reset()
	if err := WriteBoards(&b, []Board{other, other}); err != nil || strings.Contains(b.String(), "alone") {
		t.Errorf("%v: rows of what was not measured:\n%s", err, b.String())
	}
}
