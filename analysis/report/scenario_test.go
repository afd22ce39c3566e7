package report

import (
	"bytes"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/replay"
	"pcaplab/replay/external"
	"pcaplab/replay/meter"
	"pcaplab/replay/scenario"
)

// ranScenario is a run of two rows and two engines: ours loses nothing, the other program half of the fast row.
func ranScenario(repeats int) (scenario.Header, []scenario.Record) {
	h := scenario.Header{Schema: scenario.Schema, Version: "test", Plan: scenario.Plan{
		Engines: []string{"direct", "slowpoke", "gone"}, Repeats: repeats, Clock: "warp",
		Scenario: scenario.Scenario{Name: "test", Doc: "two rows", Source: "nobody", WindowSeconds: 50, Rows: []scenario.Row{
			{Name: "LH slow", Side: "LH", Kind: "syn", PPS: 100}, {Name: "RS fast", Side: "RS", Kind: "syn", PPS: 1000, Unlimited: true}}},
	},
		Programs:    []scenario.Found{{Engine: "slowpoke", Version: "1.0"}},
		Missing:     []scenario.Missing{{Engine: "gone", Why: "gone: install it with apt install gone"}},
		Environment: meter.Environment{OS: "linux", Arch: "amd64"},
	}
	var records []scenario.Record
	for repeat := 1; repeat <= repeats; repeat++ {
		for _, row := range h.Plan.Scenario.Rows {
			for _, engine := range []string{"direct", "slowpoke"} {
				sent := uint64(row.PPS)
				counted, inTime, cost := sent, sent, int64(50)
				if engine == "slowpoke" {
					cost = 1_000_000 + int64(repeat)*1000
					if sent == 1000 {
						counted, inTime = 500, 400
					}
				}
				cpu, children, peak := cost*int64(counted), int64(0), int64(30<<20)
				r := scenario.Record{Schema: scenario.Schema, Trial: scenario.Trial{Row: row.Name, Engine: engine, Repeat: repeat}, Queue: "1024",
					Result: replay.Result{Intended: sent, Offered: sent, Dropped: sent - counted, Delivered: inTime, Residual: counted - inTime,
						LateDrained: counted - inTime, OfferedOctets: 54 * sent, Duration: time.Second},
					Counts: scenario.Counts{Packets: counted},
					Cost:   scenario.Cost{TrafficNs: 1e9, TrafficCPU: &cpu, WholeCPU: &cpu, PeakOctets: &peak, TreePeakOctets: &peak}}
				if engine == "slowpoke" {
					children = cpu
					tree := 3 * peak
					r.Cost.TreePeakOctets = &tree
					r.Cost.StartUpNs = 250e6
					r.Program = &external.Outcome{PipeOctets: 1 << 20, BufferOctets: 8192, BufferNote: "sys.stdin.buffer"}
				}
				r.Cost.TrafficChildrenCPU, r.Cost.WholeChildrenCPU = &children, &children
				records = append(records, r)
				if row.Unlimited {
					r.Closed = true
					r.Result.Duration = time.Second / 2
					records = append(records, r)
				}
			}
		}
	}
	return h, records
}

func TestScenarioText(t *testing.T) {
	h, records := ranScenario(6)
	var b bytes.Buffer
	if err := WriteScenario(&b, analysis.AnalyzeScenario(h, records)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"test: two rows", "nobody", "slowpoke: 1.0; start-up 250 ms", "gone: install it", "pipe of 1.00 MiB", "input buffer 8192 B: sys.stdin.buffer",
		"500 (-50.0 %), in time 400", "50.2 (100) / 1.00", "30.0 MiB (90.0 MiB)", "800 pps", "RS fast", "the window of 50 s one thread",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "unfinished") {
		t.Error("a finished run is called unfinished")
	}
	b.Reset()
	if err := WriteScenario(&b, analysis.AnalyzeScenario(h, records[:3])); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "unfinished: 3 of 36 trials") {
		t.Errorf("an unfinished run is not called so:\n%s", b.String())
	}
	if err := WriteScenario(io.Discard, analysis.AnalyzeScenario(h, nil)); err != nil {
		t.Errorf("no records: %v", err)
	}
}

func TestScenarioCSVHasEveryCell(t *testing.T) {
	h, records := ranScenario(6)
	var b bytes.Buffer
	if err := ScenarioTable(analysis.AnalyzeScenario(h, records)).WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Fatalf("%d lines, want a head and 4", len(rows))
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		if _, twice := at[name]; twice || name == "" {
			t.Errorf("column %d is named %q", i+1, name)
		}
		at[name] = i
	}
	for name, want := range map[string]string{"row": "RS fast", "engine": "slowpoke", "sent_packets": "1000", "counted_packets": "500",
		"in_time_packets": "400", "loss_ratio": "0.5", "peak_octets": "3.145728e+07", "closed_loop_pps": "800", "tcp_packets": "n/a"} {
		if got := rows[4][at[name]]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestScenarioFolder(t *testing.T) {
	h, records := ranScenario(1)
	dir := filepath.Join(t.TempDir(), "run")
	f, err := CreateScenario(dir, h)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if err := f.Append(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, _, err := ResumeScenario(dir); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a folder that is open was opened again: %v", err)
	}
	if err := f.Finish(analysis.AnalyzeScenario(h, records)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range ScenarioCharts {
		for _, ending := range []string{".png", ".svg"} {
			if info, err := os.Stat(filepath.Join(dir, name+ending)); err != nil || info.Size() < 1000 {
				t.Errorf("%s%s: %v", name, ending, err)
			}
		}
	}
	if !HoldsScenario(dir) || HoldsScenario(t.TempDir()) {
		t.Error("a folder of a scenario is not told from another")
	}
	if _, err := CreateScenario(dir, h); err == nil {
		t.Error("a folder with results was made anew")
	}
	back, got, err := ReadScenario(dir)
	if err != nil || len(got) != len(records) || back.Plan.Scenario.Name != "test" {
		t.Fatalf("read %d records of %d: %v", len(got), len(records), err)
	}
	path := filepath.Join(dir, RecordsFile)
	for name, text := range map[string]string{"no JSON": "{]\n", "another schema": `{"schema":99}` + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ReadScenario(dir); err == nil || !strings.Contains(err.Error(), path+":1") {
			t.Errorf("%s: error %v, want one that names the line", name, err)
		}
	}
}

func TestScenarioChartsOfPartialRuns(t *testing.T) {
	h, records := ranScenario(6)
	for _, n := range []int{1, 2, 5, len(records)} {
		s := analysis.AnalyzeScenario(h, records[:n])
		for _, name := range ScenarioCharts {
			ch, err := ScenarioChart(s, name)
			if err != nil {
				t.Fatal(err)
			}
			if err := WriteSVG(io.Discard, ch); err != nil {
				t.Errorf("%s of %d records: %v", name, n, err)
			}
		}
	}
	if _, err := ScenarioChart(analysis.AnalyzeScenario(h, records), "pie"); err == nil {
		t.Error("a chart that there is not was made")
	}
}

func TestScenarioFitsText(t *testing.T) {
	h, records := ranScenario(6)
	var b bytes.Buffer
	if err := WriteScenarioFits(&b, analysis.AnalyzeScenario(h, records)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"slowpoke", "flat", "accepted", "Queue model"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
