package cli

import (
	"encoding/json"
	"os"
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

// modelFile copies a model of the fixtures to the working folder, which is a new one, and returns its name.
func modelFile(t *testing.T) string {
	t.Helper()
	model, err := os.ReadFile(filepath.Join("..", "..", "parse", "model", "testdata", "models", "lr-binary.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("lr.onnx", model, 0o644); err != nil {
		t.Fatal(err)
	}
	return "lr.onnx"
}

// TestCeilingOfAModel: the whole pipeline, by a model whose file is named as the user sees it, and found again by a study that goes
// on elsewhere, unless it is another one by then.
func TestCeilingOfAModel(t *testing.T) {
	modelFile(t)
	args := append([]string{"ceiling", "--quick", "--stages", "features=20,model=lr.onnx:clamp", "--engines", "direct", "-o", "results", "synth:iot-1:5000"}, short...)
	stdout, _ := run(t, ExitDone, args...)
	for _, want := range []string{"stages features=20 model=lr.onnx:clamp", "lr.onnx is SHA-256 ", "engine alone", "direct, model=lr.onnx:clamp: ", " vectors: ATTACK "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	header, records, err := report.Read("results")
	if err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	if f := header.StageFiles; len(f) != 1 || f[0].Stage != "model=lr.onnx:clamp" || f[0].Name != "lr.onnx" || f[0].Path != filepath.Join(here, "lr.onnx") || len(f[0].SHA256) != 64 {
		t.Fatalf("files of stages %+v", f)
	}
	seen := 0
	for i := range records {
		if records[i].Kind != trial.KindService {
			continue
		}
		seen++
		c := records[i].Stages["model=lr.onnx:clamp"]
		if n := records[i].Stages["features=20"]["vectors"]; c["vectors"] != n || c["class ATTACK"]+c["class BENIGN"] != n || n == 0 {
			t.Errorf("counts %v of %d vectors", c, n)
		}
	}
	if seen != 3 {
		t.Errorf("%d closed loops", seen)
	}
	cut := func(folder string) { // the study as if it had been interrupted
		t.Helper()
		if err := os.CopyFS(folder, os.DirFS("results")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, report.RecordsFile)
		lines, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		head := strings.SplitAfter(string(lines), "\n")[:5]
		if err := os.WriteFile(path, []byte(strings.Join(head, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cut("again")
	cut("other")
	if err := os.Mkdir("elsewhere", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir("elsewhere")
	run(t, ExitDone, "ceiling", "--resume", "../again")
	t.Chdir("..")
	model, err := os.ReadFile("lr.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"is not what the study began with": append(model, 0), "no such file": nil} {
		os.Remove("lr.onnx")
		if content != nil {
			if err := os.WriteFile("lr.onnx", content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, stderr := run(t, ExitUsage, "ceiling", "--resume", "other"); !strings.Contains(stderr, name) || !strings.Contains(stderr, "lr.onnx") {
			t.Errorf("resumed with another model: %s", stderr)
		}
	}
}

func TestModelsAsStages(t *testing.T) {
	modelFile(t)
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"trial", []string{"trial"}},
		{"in process, two workers", []string{"trial", "--in-process", "--workers", "2", "--rate", "0.5x"}},
		{"sweep", []string{"sweep", "--rates", "0.5x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, _ := run(t, ExitDone, append(append(tt.args, tiny...), "--stages", "features=fixed:20,model=lr.onnx:clamp", "--engines", "direct", "synth:iot-1:500")...)
			if !strings.Contains(stdout, "model=lr.onnx:clamp: ") || !strings.Contains(stdout, " vectors: ") {
				t.Errorf("no predictions in\n%s", stdout)
			}
			if !strings.Contains(stdout, "stamp capture") || strings.Contains(stdout, "have its times") { // the load must not change what is said
				t.Errorf("not at the capture's times:\n%s", stdout)
			}
		})
	}
	for name, content := range map[string]string{"no.onnx": "not a model", "pickle": "\x80\x04\x95"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		stages string
		want   string
	}{
		{"model=lr.onnx", "name that before it, as --stages features,model=lr.onnx"},
		{"features,model", "stage model takes a value"},
		{"features,model=", "needs a file"},
		{"features,model=none.onnx", "none.onnx"},
		{"features,model=pickle", "export it to ONNX, or run it in the program that knows it with 'validate --python'"},
		{"features,model=no.onnx:drop", "no.onnx"},
		{"features,model=.", "not a regular file"},
	} {
		_, stderr := run(t, ExitUsage, "trial", "--stages", tt.stages, "no-such.pcap")
		if !strings.Contains(stderr, tt.want) {
			t.Errorf("--stages %s: %s", tt.stages, stderr)
		}
	}
	// The stage before was named, and is at fault itself.
	if _, stderr := run(t, ExitUsage, "trial", "--stages", "features=cic,model=lr.onnx", "no-such.pcap"); strings.Contains(stderr, "name that before it") || !strings.Contains(stderr, "features=cic") {
		t.Errorf("%s", stderr)
	}
	stdout, notes := run(t, ExitDone, append(append([]string{"trial", "--rate", "0.5x", "--stamp", "due"}, tiny...), "--stages", "features=20,model=lr.onnx:clamp", "--engines", "direct",
		"synth:iot-1:500")...)
	if !strings.Contains(stdout, "under a load these vectors have its times") || strings.Contains(stdout, "stamp capture") {
		t.Errorf("nothing of the times in\n%s", stdout)
	}
	if !strings.Contains(notes, "lr.onnx: 39 columns by position: the model names none") {
		t.Errorf("%s", notes)
	}
	if stdout, _ := run(t, ExitDone, append(append([]string{"trial", "--json"}, tiny...), "--stages", "features", "--engines", "direct", "synth:iot-1:500")...); strings.Contains(stdout, `"stamp":"capture"`) {
		t.Errorf("without a model:\n%s", stdout)
	}
	// A window of one row has no deviation.
	if _, stderr := run(t, ExitFailed, append(append([]string{"trial"}, tiny...), "--stages", "features=1,model=lr.onnx", "--engines", "direct", "synth:iot-1:500")...); !strings.Contains(stderr, "Std is NaN") {
		t.Errorf("values that are not finite: %s", stderr)
	}
}
