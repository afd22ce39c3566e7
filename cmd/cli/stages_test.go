package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/replay/trial"
)

// short makes a study of --quick shorter still.
var short = []string{"--trial", "4ms", "--sum", "12ms", "--width", "0.1", "--cache", "hot"}

func TestCeilingOfFeatures(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	stdout, _ := run(t, ExitDone, append([]string{"ceiling", "--quick", "--stages", "features", "--engines", "direct,gopacket-layers",
		"-o", folder, "synth:iot-1:20000"}, short...)...)
	for _, want := range []string{"stages features;", "engine alone", "  stages  "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	header, records, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !header.Plan.EngineAlone || strings.Join(header.Settings.Stages, " ") != "features" {
		t.Errorf("plan %+v, settings %+v", header.Plan, header.Settings)
	}
	alone := make(map[string]int)
	for i := range records {
		rec := &records[i]
		switch rec.Kind {
		case trial.KindEngineAlone:
			alone[rec.Cell.Engine]++
		case trial.KindService:
			// Warm-up and closed loop, all of it accepted by both engines.
			if c := rec.Stages["features"]; c["rows"] < rec.Counters.Frames/2 || c["vectors"] != c["rows"]/10 || c["ipv6"] == 0 {
				t.Errorf("%v: %d frames, counts %v", rec.Cell, rec.Counters.Frames, c)
			}
		}
	}
	if len(alone) != 2 || alone["direct"] != 3 || alone["gopacket-layers"] != 3 {
		t.Errorf("trials of the engine alone: %v, want 3 of each", alone)
	}
	if again, _ := run(t, ExitDone, "table", folder); again != stdout {
		t.Errorf("table prints\n%s\nceiling printed\n%s", again, stdout)
	}
	lines, _ := run(t, ExitDone, "table", "--json", folder)
	costs := 0
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		var o struct {
			Kind   string
			Stages *struct {
				Engine struct{ N int } `json:"engine_alone_ns_per_packet"`
				Stages struct{ N int } `json:"stages_ns_per_packet"`
			}
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if o.Kind == "ceiling" && o.Stages.Engine.N == 3 && o.Stages.Stages.N == 3 {
			costs++
		}
	}
	if costs != 2 {
		t.Errorf("costs of stages in %d lines of\n%s", costs, lines)
	}
	if bench, _ := run(t, ExitDone, "benchfmt", folder); strings.Count(bench, " stages-ns/op") != 1+6 { // a unit line, and a line of each engine and repeat
		t.Errorf("benchmark lines\n%s", bench)
	}
}

func TestStageCostsOfTrialSweepAndSoak(t *testing.T) {
	for _, tt := range []struct {
		name, kinds string
		args        []string
	}{
		{"trial", "warm-up engine-alone service", []string{"trial"}},
		{"at a load", "warm-up engine-alone service trial", []string{"trial", "--rate", "0.5x"}},
		{"two workers", "warm-up engine-alone service", []string{"trial", "--workers", "2"}},
		{"in process", "warm-up engine-alone service", []string{"trial", "--in-process"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, _ := run(t, ExitDone, append(append(tt.args, tiny...), "--stages", "features=fixed:20,flow", "--json", "synth:iot-1:500")...)
			var kinds []string
			for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
				var rec trial.Record
				if err := json.Unmarshal([]byte(line), &rec); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				kinds = append(kinds, rec.Kind)
				if rec.Kind != trial.KindEngineAlone && (rec.Stages["features=fixed:20"]["rows"] == 0 || rec.Stages["flow"]["packets"] == 0) {
					t.Errorf("%s: stages %v", rec.Kind, rec.Stages)
				}
			}
			if got := strings.Join(kinds, " "); got != tt.kinds {
				t.Errorf("records %q, want %q", got, tt.kinds)
			}
		})
	}
	stdout, _ := run(t, ExitDone, append([]string{"sweep", "--rates", "0.5x", "--stages", "features=1s", "--engines", "direct", "synth:iot-1:500"}, tiny...)...)
	if !strings.Contains(stdout, "engine alone") {
		t.Errorf("the table of a sweep:\n%s", stdout)
	}
	stdout, _ = run(t, ExitDone, "ceiling", "--soak", "600ms", "--trial", "5ms", "--sum", "15ms", "--width", "0.1", "--cache", "hot", "--stages", "features",
		"--engines", "direct", "synth:iot-1:500")
	if strings.Contains(stdout, "engine alone") {
		t.Errorf("a soak measures the whole pipeline only:\n%s", stdout)
	}
}

// TestPlainStudiesHaveNoEngineAlone: without stages nothing is measured besides.
func TestPlainStudiesHaveNoEngineAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	stdout, _ := run(t, ExitDone, ceilingArgs("-o", folder, "--engines", "direct", "synth:iot-1:500")...)
	header, records, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if records[i].Input.EngineAlone || header.Plan.EngineAlone || strings.Contains(stdout, "alone") {
			t.Fatalf("record %+v, plan %+v\n%s", records[i].Input, header.Plan, stdout)
		}
	}
}
