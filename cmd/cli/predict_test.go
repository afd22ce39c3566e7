package cli

import (
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pcaplab/analysis/prediction"
)

// storedCalibration unpacks a calibration of the back-tests.
func storedCalibration(t *testing.T, name string) string {
	t.Helper()
	in, err := os.Open(filepath.FromSlash("../../analysis/prediction/testdata/" + name + ".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".json")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPredictSaysWhatIsTheLimit(t *testing.T) {
	stdout, _ := run(t, ExitDone, "predict", "--board", "pi3b", "--engines", "gopacket-layers,scapy")
	for _, want := range []string{
		"Raspberry Pi 3B, 100 Mbit/s Ethernet", "Cortex-A53, 1 to 2.3 cycles per instruction",
		"gopacket-layers (udp-64, cold): 547 kpps to 1.71 Mpps a core, by instructions, parser alone; the port's line rate is 149 kpps: the port comes before the parser",
		"scapy (48 B payload, live): 257 to 386 pps a core, by published rows, capture included; the port's line rate is 110 kpps: the sniffer comes before the port",
		"instructions *", "* not calibrated", "live capture", "otavioolsilva.github.io",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

// answerOf reads what --json prints.
func answerOf(t *testing.T, stdout string) (a struct {
	Format string
	Schema int
	prediction.Answer
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &a); err != nil {
		t.Fatalf("%v in\n%s", err, stdout)
	}
	if a.Format != "pcaplab prediction" || a.Schema != 1 || len(a.Predictions) == 0 {
		t.Errorf("%+v", a)
	}
	return a
}

func TestPredictForPrograms(t *testing.T) {
	stdout, _ := run(t, ExitDone, "predict", "--board", "pi4", "--engines", "direct", "--json")
	a := answerOf(t, stdout)
	for _, p := range a.Predictions {
		if p.Method == "" || !(0 < p.LowPPS && p.LowPPS < p.HighPPS) || !(0 < p.LowNS && p.LowNS < p.HighNS) || p.LinePPS == 0 {
			t.Errorf("%+v", p)
		}
	}
	stdout, stderr := run(t, ExitDone, "predict", "--board", "pi4", "--engines", "direct", "--csv")
	if !strings.Contains(stderr, "parser alone on one core") {
		t.Errorf("no notes in %q", stderr)
	}
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	if err != nil || len(rows) != len(a.Predictions)+1 {
		t.Fatalf("%v, %d rows", err, len(rows))
	}
	for i, p := range a.Predictions {
		for j, name := range rows[0] {
			want, ok := map[string]float64{"low_ns": p.LowNS, "high_ns": p.HighNS, "low_pps": p.LowPPS, "high_pps": p.HighPPS}[name]
			if got, err := strconv.ParseFloat(rows[i+1][j], 64); ok && (err != nil || got != want) {
				t.Errorf("row %d, %s: %q, JSON has %v", i+1, name, rows[i+1][j], want)
			}
		}
	}
}

func TestPredictFromResults(t *testing.T) {
	home, there := storedCalibration(t, "vm-amd64"), storedCalibration(t, "vm-386")
	dir := filepath.Join(t.TempDir(), "results")
	run(t, ExitDone, append([]string{"trial", "--engines", "direct,gopacket-lazy", "--sizes", "64,256", "-o", dir, "synth:iot-1:500"}, tiny...)...)
	stdout, _ := run(t, ExitDone, "predict", "--calibration", there, "--home", home, "--link", "1G", "--json", dir)
	a := answerOf(t, stdout)
	methods := make(map[string]prediction.Method)
	for _, p := range a.Predictions {
		methods[p.Engine] = p.Method
		if p.Calibrated && p.Width() > prediction.CalibratedWidth || p.LinePPS == 0 {
			t.Errorf("%+v", p)
		}
	}
	// gopacket-lazy is not among the six engines of these kits.
	if len(a.Predictions) != 4 || methods["direct"] != prediction.Pair || methods["gopacket-lazy"] != prediction.Kernels {
		t.Errorf("%v", methods)
	}
	stdout, _ = run(t, ExitDone, "predict", "--board", "pizerow", "--json", dir)
	if a = answerOf(t, stdout); len(a.Predictions) != 4 || a.Predictions[0].Method != prediction.Instructions || a.From != "a study on this machine" {
		t.Errorf("%+v", a)
	}
	stdout, _ = run(t, ExitDone, "predict", "--calibration", there, "--engines", "direct")
	for _, want := range []string{"a core, measured there, parser alone", "not known", "32-bit program"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	stdout, _ = run(t, ExitDone, "predict", "--home", home, "--board", "pi3b", "--engines", "direct")
	if !strings.Contains(stdout, "from the calibration of this machine") {
		t.Error(stdout)
	}
}

func TestPredictRefuses(t *testing.T) {
	home, dir := storedCalibration(t, "vm-amd64"), t.TempDir()
	text, err := os.ReadFile(home)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.json")
	if err := os.WriteFile(damaged, []byte(strings.Replace(string(text), `"ns": `, `"ns": 1`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(dir, "results")
	run(t, ExitDone, append([]string{"trial", "--engines", "direct", "-o", results, "synth:iot-1:100"}, tiny...)...)
	for _, tt := range []struct {
		name string
		code int
		want string
		args []string
	}{
		{"no board", ExitUsage, "which board?", nil},
		{"no such board", ExitUsage, "there are pizerow, pizero2w, pi3b, pi3b+, pi4b, picm4, pi5, picm5", []string{"--board", "pi9"}},
		{"two forms", ExitUsage, "give one", []string{"--board", "pi5", "--json", "--csv"}},
		{"a board that the calibration is not of", ExitFailed, "is of another machine", []string{"--board", "pi3b", "--calibration", home}},
		{"an architecture with a calibration", ExitUsage, "--arch is for --board alone", []string{"--calibration", home, "--arch", "arm64"}},
		{"no such architecture", ExitUsage, "arm64, armv7, armv6", []string{"--board", "pi5", "--arch", "mips"}},
		{"two folders", ExitUsage, "one results folder", []string{"--board", "pi5", "a", "b"}},
		{"a condition", ExitUsage, "--fail-if", []string{"--board", "pi5", "--fail-if", "low"}},
		{"no calibration of this machine", ExitUsage, "calibrate -o home.json", []string{"--calibration", home, results}},
		{"no file", ExitFailed, "none.json", []string{"--calibration", filepath.Join(dir, "none.json")}},
		{"a damaged file", ExitFailed, "damaged.json: calibration was changed or damaged", []string{"--calibration", damaged}},
		{"no calibration", ExitFailed, "not a calibration", []string{"--calibration", filepath.Join(results, "study.json")}},
		{"the same file", ExitFailed, "the same one", []string{"--calibration", home, "--home", home, results}},
		{"no results", ExitFailed, "is not a results folder", []string{"--board", "pi5", dir}},
		{"no such engine", ExitUsage, `no engine "mine": there are`, []string{"--board", "pi5", "--engines", "mine"}},
		{"one of two is no engine", ExitUsage, `no engine "mine": there are`, []string{"--board", "pi5", "--engines", "direct,mine"}},
		{"no such engine beside results", ExitUsage, `no engine "mine": there are`, []string{"--board", "pi5", "--engines", "all,mine", results}},
		{"an engine that the results lack", ExitFailed, "no scapy engine", []string{"--board", "pi5", "--engines", "scapy", results}},
		{"a metric that is none", ExitUsage, `unknown metric "ndr"; there are low, high, headroom`, []string{"--board", "pi5", "--fail-if", "low<1,ndr<1"}},
		{"a condition on no engine", ExitUsage, `of an engine "mine"; there are direct`, []string{"--board", "pi5", "--engines", "direct", "--fail-if", "low[mine]<1"}},
		{"a link without a rate", ExitUsage, "--link 0", []string{"--board", "pi5", "--link", "0"}},
		{"a line rate that is not known", ExitFailed, "--link", []string{"--board", "picm5", "--fail-if", "headroom<1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := runIn(t.Context(), strings.NewReader(""), append([]string{"predict"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, tt.want) || code == ExitUsage && stdout != "" {
				t.Errorf("exit code %d, want %d with %q\n%s%s", code, tt.code, tt.want, stdout, stderr)
			}
		})
	}
}

func TestPredictFailsIf(t *testing.T) {
	_, stderr := run(t, ExitMissed, "predict", "--board", "pi3b", "--engines", "direct,dpkt", "--fail-if", "headroom[dpkt]<1")
	if !strings.Contains(stderr, "headroom[dpkt] (48 B payload, published rows, of 6.") {
		t.Error(stderr)
	}
	run(t, ExitDone, "predict", "--board", "pi3b", "--engines", "direct,dpkt", "--fail-if", "headroom[direct]<1,high[dpkt]>1M")
	run(t, ExitDone, "predict", "--board", "picm5", "--link", "1G", "--engines", "direct", "--fail-if", "headroom<0.1")
}

func TestPredictOffersBoards(t *testing.T) {
	values, directive := complete(t, "predict", "--board", "pi4")
	if strings.Join(values, " ") != "pi4b" || directive != noFile {
		t.Errorf("%q, %s", values, directive)
	}
	for _, b := range prediction.Boards() {
		run(t, ExitDone, "predict", "--board", b.Name, "--engines", "direct", "--csv")
	}
	for _, arch := range prediction.Architectures() {
		run(t, ExitDone, "predict", "--board", "pi3b", "--arch", arch, "--engines", "direct", "--csv")
	}
}
