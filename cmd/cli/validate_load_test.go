package cli

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/score"
	"pcaplab/analysis/validation"
	"pcaplab/replay/quality"
)

// swift makes what is measured short.
var swift = []string{"--trial", "4ms", "--repeats", "2", "--no-ablation", "--resamples", "10", "--non-finite", "clamp", "--clock", steady()}

// steady is the clock that knows least of a busy host.
func steady() string {
	if runtime.GOOS == "linux" {
		return "cpu"
	}
	return "warp"
}

func validateJSON(t *testing.T, args ...string) (speed *analysis.Speed, load *quality.Report) {
	t.Helper()
	stdout, _ := run(t, ExitDone, append(append([]string{"validate", "lr.onnx", "--json"}, swift...), args...)...)
	var whole struct {
		Speed *analysis.Speed
		Load  *quality.Report
	}
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	return whole.Speed, whole.Load
}

// TestQualityUnderLoad: far below the ceiling it is what it is without loss, and far above that windows are missing.
func TestQualityUnderLoad(t *testing.T) {
	modelFile(t)
	args := append([]string{"validate", "lr.onnx", "--no-speed", "--rates", "0.01x,20x", "--queue", "200", "-o", "out", "--data", "synth:DDoS-SYN_Flood:3000",
		"synth:Benign_Final:3000"}, swift...)
	stdout, _ := run(t, ExitDone, args...)
	for _, want := range []string{"quality under load", "macro-F1", "0.01x", "20x", "own service ceiling", "keeps up", "features see the capture times", "synthetic: made from seed 1"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the report lacks %q:\n%s", want, stdout)
		}
	}
	for _, ext := range []string{".csv", ".png", ".svg"} {
		if info, err := os.Stat(filepath.Join("out", report.QualityFiles+ext)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", ext, err)
		}
	}
	speed, r := validateJSON(t, "--no-speed", "--rates", "0.01x,20x", "--queue", "200", "--data", "synth:DDoS-SYN_Flood:3000", "synth:Benign_Final:3000")
	if speed != nil || r == nil || len(r.Points) != 2 || r.Benign != "Benign" || r.Synthetic == "" || strings.Join(r.Classes, " ") != "Attack Benign" || len(r.Traffic) != 2 {
		t.Fatalf("speed %v, load %+v", speed, r)
	}
	if r.Traffic[0].Class != "Attack" || r.Traffic[1].Class != "Benign" || r.Traffic[0].Frames != 3000 {
		t.Errorf("traffic %+v", r.Traffic)
	}
	low, high := r.Points[0], r.Points[1]
	for i := range low.Measured {
		m, s := &low.Measured[i], low.Scores[i]
		if m.Offered != m.Delivered+m.Lost || s.Coverage < 0.5 || m.Lost == 0 && s != low.BaselineScores[i] || s.BenignWindows == 0 || s.AttackWindows == 0 {
			t.Errorf("at 0.01x: %+v of %+v", s, m)
		}
		if c := high.Scores[i].Coverage; !(c > 0 && c < 0.6) || high.Measured[i].Lost == 0 {
			t.Errorf("at 20x: %+v", high.Scores[i])
		}
	}
}

// TestQualityUnderLoadOfMixedTraffic: windows of one row are what they are to validate without load, as often as the capture is passed.
func TestQualityUnderLoadOfMixedTraffic(t *testing.T) {
	modelFile(t)
	stdout, _ := run(t, ExitDone, append([]string{"validate", "lr.onnx", "--json", "--no-speed", "--rates", "1x", "--queue", "100", "--window", "1", "--truth", "beside",
		"--truth-share", "0.5", "--data", "synth:DNS_Spoofing:3000"}, swift...)...)
	var whole struct {
		Sets []struct{ Confusion *score.Confusion }
		Load *quality.Report
	}
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	r := whole.Load
	if len(r.Traffic) != 1 || r.Traffic[0].Class != "" || r.Traffic[0].Frames != 3000 || r.AttackShare != 0.5 {
		t.Fatalf("traffic %+v", r)
	}
	want := whole.Sets[0].Confusion
	got := r.Points[0].Baseline[0].Confusion
	for i, row := range want.Counts {
		var rows, fed uint64
		for j := range row {
			rows += row[j]
			fed += got.Counts[i][j]
		}
		if rows == 0 || fed != rows*uint64(r.Passes) {
			t.Errorf("%s: %d windows in %d passes, want %d in each", want.Classes[i], fed, r.Passes, rows)
		}
	}
	_, cut := validateJSON(t, "--no-speed", "--rates", "1x", "--queue", "100", "--packets", "500", "--data", "synth:DNS_Spoofing:3000")
	if cut.Traffic[0].Frames != 500 || cut.Traffic[0].Class != "Attack" {
		t.Errorf("traffic %+v", cut.Traffic)
	}
}

// TestNoLossIsTheQualitySection: without loss the scores are those of the section above, to the last digit, of captures of other
// lengths, times in ns and last windows that are short; equal loads are one.
func TestNoLossIsTheQualitySection(t *testing.T) {
	modelFile(t)
	writeTraffic(t, "DDoS-UDP_Flood/a.pcap", "DDoS-UDP_Flood", 3, 1234)
	writeTraffic(t, "Benign_Final/b.pcap", "Benign_Final", 4, 2007)
	writeTraffic(t, "Benign_Final/short.pcap", "Benign_Final", 5, 7)
	stdout, _ := run(t, ExitDone, append([]string{"validate", "lr.onnx", "--json", "--no-speed", "--rates", "1x,0.5x,1.0x", "--queue", "100",
		"--data", "synth:Recon-PortScan:1501", "DDoS-UDP_Flood/a.pcap", "Benign_Final/b.pcap", "Benign_Final/short.pcap"}, swift...)...)
	var whole struct {
		Sets []validation.SetReport
		Load *quality.Report
	}
	if err := json.Unmarshal([]byte(stdout), &whole); err != nil {
		t.Fatalf("%v in %s", err, stdout)
	}
	set, r := whole.Sets[0], whole.Load
	if len(r.Points) != 2 || len(r.Traffic) != 4 {
		t.Fatalf("%+v", r)
	}
	for _, p := range r.Points {
		for i, s := range p.BaselineScores {
			if s.MacroF1 != set.Metrics.Macro.F1 || s.BalancedAccuracy != set.Metrics.BalancedAccuracy || s.BenignRecall != set.Alarms.BenignRecall() || s.Accuracy != set.Metrics.Accuracy {
				t.Errorf("%gx: %+v, validated %+v", p.Load, s, set.Metrics)
			}
			for truth, row := range p.Baseline[i].Confusion.Counts {
				for predicted, n := range row {
					if name := r.Classes[truth]; n != uint64(r.Passes)*set.Confusion.Counts[set.Confusion.Class(name)][set.Confusion.Class(r.Classes[predicted])] {
						t.Errorf("%gx: %s taken for %s %d times in %d passes: %v", p.Load, name, r.Classes[predicted], n, r.Passes, set.Confusion)
					}
				}
			}
		}
	}
}

// TestEmptyCaptureUnderLoad: one without packets is left out, and it is said; and what loss makes does not end the run.
func TestEmptyCaptureUnderLoad(t *testing.T) {
	modelFile(t)
	writeTraffic(t, "Benign_Final/none.pcap", "Benign_Final", 1, 0)
	args := append([]string{"validate", "lr.onnx", "--rates", "0.1x", "--data", "synth:DDoS-SYN_Flood:100", "Benign_Final/none.pcap"}, swift...)
	_, stderr := run(t, ExitDone, append(args, "--non-finite", "fail")...)
	for _, want := range []string{"none.pcap: no packets: left out", "those that are not finite are dropped"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
}

// TestSpeed: what is on top of what is not quicker, and vectors are as many as windows.
func TestSpeed(t *testing.T) {
	modelFile(t)
	speed, load := validateJSON(t, "--data", "synth:DDoS-SYN_Flood:3000", "synth:Benign_Final:3000")
	var what []string
	for _, r := range speed.Rows {
		what = append(what, r.What)
		if r.Packets.N != 2 || r.NS.N != 2 || !(r.Packets.Median > 0) || (r.Vectors.N == 2) != (r.What != analysis.SpeedEngine) {
			t.Errorf("%+v", r)
		}
	}
	want := []string{analysis.SpeedEngine, analysis.SpeedFeatures, analysis.SpeedPipeline, analysis.SpeedModel}
	if strings.Join(what, "|") != strings.Join(want, "|") || load != nil {
		t.Fatalf("rows %q, want %q", what, want)
	}
	if math.Abs(speed.PerVector-10) > 0.5 || speed.Frames != 6000 || speed.Vectors+speed.Left < 500 || len(speed.NotDone) > 0 {
		t.Errorf("%+v", speed)
	}
	if l := speed.Latency; l.Calls == 0 || l.P50 > l.P99 || l.P99 > l.Max {
		t.Errorf("latency %+v", l)
	}
	stdout, _ := run(t, ExitDone, append([]string{"validate", "lr.onnx", "--data", "synth:Benign_Final:1000"}, swift...)...)
	for _, part := range append(want, "speed, one core", "p99") {
		if !strings.Contains(stdout, part) {
			t.Errorf("the report lacks %q:\n%s", part, stdout)
		}
	}
	// Tables have no packets.
	table := "rows.csv"
	run(t, ExitDone, "features", "--label", "folder", "-o", table, "synth:Benign_Final:500")
	speed, _ = validateJSON(t, "--data", table)
	if _, stderr := run(t, ExitUsage, "validate", "lr.onnx", "--data", table, "--rates", "1x"); !strings.Contains(stderr, "needs captures") {
		t.Errorf("tables under load: %s", stderr)
	}
	if len(speed.Rows) != 1 || speed.Rows[0].What != analysis.SpeedModel || len(speed.NotDone) != 1 || speed.Engine != "" {
		t.Errorf("of a table: %+v", speed)
	}
}

func TestLoadFaults(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--rates", "fast"}, "fast"},
		{[]string{"--rates", "10k"}, "multiples of the service ceiling"},
		{[]string{"--rates", "3x..1x"}, "rising"},
		{[]string{"--rates", "1x,2000x"}, "2000x: want 0.001x to 1000x"},
		{[]string{"--rates", "0.0001x..1x"}, "0.001x to 1000x"},
		{[]string{"--clock", "sun"}, "sun"},
		{[]string{"--queue", "long"}, "long"},
		{[]string{"--stamp", "now"}, "now"},
		{[]string{"--batch", "0"}, "--batch"},
		{[]string{"--trial", "1ns"}, "--trial"},
		{[]string{"--repeats", "0"}, "--repeats"},
		{[]string{"--packets", "-1"}, "--packets"},
		{[]string{"--engine", "libpcap"}, "libpcap"},
	} {
		if _, stderr := run(t, ExitUsage, append([]string{"validate", "none.onnx", "--data", "none.csv"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %s", tt.args, stderr)
		}
	}
}

func TestRanges(t *testing.T) {
	for given, want := range map[string]int{"0.1x..3x": 9, "2x..4x": 8, "0.1x..3x/5": 5, "0.1x..1x": 8, "1k..100k": 8, "1x..2x": 8} {
		rates, err := parseRates([]string{given})
		if err != nil || len(rates) != want {
			t.Errorf("%s: %d loads, %v", given, len(rates), err)
			continue
		}
		for i := range rates[1:] {
			if rates[i].Value >= rates[i+1].Value {
				t.Errorf("%s: %v", given, rates)
			}
		}
	}
	rates, _ := parseRates([]string{"0.1x..3x"})
	if rates[0].Value != 0.1 || rates[8].Value != 3 || rates[6].Value != 1 && rates[5].Value != 1 {
		t.Errorf("%v", rates)
	}
}
