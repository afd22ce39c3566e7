package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis/report"
)

func TestSoakUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"too short", []string{"--soak", "1ms"}, "soak of 1ms"},
		{"negative", []string{"--soak", "-3m"}, "soak of -3m"},
		{"trials that do not fit", []string{"--soak", "3m", "--trial", "30s"}, "shorter trials"},
		{"sums that do not fit", []string{"--soak", "3m", "--sum", "10m"}, "--sum"},
		{"a goal that does not fit", []string{"--soak", "3m", "--goal", "rfc2544"}, "fewer goals"},
		{"condition", []string{"--fail-if", "soak<-5%"}, "soak"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr := run(t, ExitUsage, append(append([]string{"ceiling", "--engines", "direct"}, tt.args...), "synth:iot-1:100")...)
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("stderr %q, want %q", stderr, tt.want)
			}
		})
	}
	stdout, _ := run(t, ExitDone, "ceiling", "-h")
	if !strings.Contains(stdout, "--workers 4 to heat all cores") || !strings.Contains(stdout, "--soak shows what heat does") {
		t.Errorf("help does not teach soaks:\n%s", stdout)
	}
}

// TestSoakEndToEnd: what a soak leaves, and how one that was interrupted goes on.
func TestSoakEndToEnd(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "soak")
	stdout, stderr := run(t, ExitDone, "ceiling", "--soak", "900ms", "--quick", "--engines", "direct", "--cache", "hot", "--goal", "ndr",
		"--fail-if", "service<1", "-o", folder, "synth:iot-1:2000")
	for _, want := range []string{"soak      900ms", "soak of 900ms: the first and the last 300ms", "first", "between", "last", "change", "NDR",
		"direct captured hot: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "each a soak of 900ms") || !strings.Contains(stderr, "1 cells x 1 repeats, trials of 10ms") {
		t.Errorf("stderr %s", stderr)
	}
	for _, name := range []string{report.SoakCSVFile, report.SoakTrialsCSVFile, "soak.png", "soak.svg", "ceilings.svg"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	phases := func() map[string]int {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(folder, report.RecordsFile))
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
			var rec struct {
				Kind    string
				Attempt int
				Input   struct{ Phase string }
			}
			if err := json.Unmarshal(line, &rec); err != nil {
				t.Fatal(err)
			}
			counts[rec.Kind+" "+rec.Input.Phase+strings.Repeat(" again", rec.Attempt)]++
		}
		return counts
	}
	first := phases()
	for _, want := range []string{"warm-up ", "service first", "trial first", "bounds first", "service soak", "service last", "trial last",
		"bounds last", "soak "} {
		if first[want] == 0 {
			t.Errorf("no %q among %v", want, first)
		}
	}

	// A finished soak has nothing to go on with.
	_, stderr = run(t, ExitDone, "ceiling", "--resume", folder)
	if strings.Contains(stderr, "interrupted") || len(phases()) != len(first) {
		t.Errorf("a finished soak was begun again: %s", stderr)
	}
	// Without its end it is an interrupted one.
	name := filepath.Join(folder, report.RecordsFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text[:len(text)-30], 0o666); err != nil {
		t.Fatal(err)
	}
	stdout, stderr = run(t, ExitDone, "ceiling", "--resume", folder, "--json")
	if !strings.Contains(stderr, "the soak of direct captured hot, repeat 1, was interrupted after") {
		t.Errorf("stderr %s", stderr)
	}
	again := phases()
	if again["service first"] != first["service first"] || again["service first again"] == 0 || again["soak  again"] != 1 || again["soak "] != 0 {
		t.Errorf("records %v, were %v", again, first)
	}
	if !strings.Contains(stdout, `"kind":"soak"`) || !strings.Contains(stdout, `"attempt":1`) || !strings.Contains(stdout, "interrupted 1 time") {
		t.Errorf("stdout %s", stdout)
	}
}
