package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/replay/scenario"
)

// ownScenario writes a scenario of two short rows and returns its file.
func ownScenario(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mine.json")
	text := `{"name": "mine", "doc": "two rows", "window_seconds": 5, "rows": [
		{"name": "A udp", "side": "A", "kind": "udp", "bit_per_s": 1e6, "payload_octets": 1000, "seconds": 0.3},
		{"name": "B syn", "side": "B", "kind": "syn", "pps": 1000, "seconds": 0.3, "unlimited": true}]}`
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScenariosUsage(t *testing.T) {
	mine := ownScenario(t)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"name":"x","rows":[{"name":"a","kind":"syn","pp":1}]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"none named", ExitUsage, []string{"run"}, "want one scenario"},
		{"unknown", ExitUsage, []string{"run", "seed-nothing"}, "there are seed-bitrate, seed-length, seed-ddos"},
		{"a field mistyped", ExitUsage, []string{"run", broken}, `unknown field "pp"`},
		{"unknown engine", ExitUsage, []string{"run", "--engines", "libpcap", mine}, `no engine "libpcap"`},
		{"no such side", ExitUsage, []string{"run", "--side", "Z", mine}, "has no rows of it"},
		{"repeats", ExitUsage, []string{"run", "--repeats", "0", mine}, "repeats 0"},
		{"negative time", ExitUsage, []string{"run", "--traffic", "-1s", mine}, "positive"},
		{"queue", ExitUsage, []string{"run", "--queue", "much", mine}, "much"},
		{"clock", ExitUsage, []string{"run", "--clock", "sundial", mine}, "sundial"},
		{"command", ExitUsage, []string{"run", "--engine-cmd", "x", mine}, "NAME=COMMAND"},
		{"resume nothing", ExitFailed, []string{"run", "--resume", t.TempDir()}, "not a results folder of a scenario"},
		{"all missing", ExitFailed, []string{"run", "--engines", "x", "--engine-cmd", "x=/no/such/program", mine}, "none of the engines"},
		{"published of ours", ExitUsage, []string{"show", "--published", mine}, "nothing was published"},
		{"explain ours without results", ExitUsage, []string{"show", "--explain", mine}, "--results"},
		{"results of nothing", ExitFailed, []string{"show", "--results", t.TempDir(), mine}, "not a results folder of a scenario"},
		{"published and explained", ExitUsage, []string{"show", "--published", "--explain", "seed-ddos"}, "give one"},
		{"no such command", ExitUsage, []string{"walk"}, `no command "walk"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := runIn(context.Background(), strings.NewReader(""), append([]string{"scenarios"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; %s", code, c.code, stderr)
			}
		})
	}
}

func TestScenariosRunShowAndResume(t *testing.T) {
	mine := ownScenario(t)
	dir := filepath.Join(t.TempDir(), "out")
	stdout, _ := run(t, ExitDone, "scenarios", "run", "--engines", "direct,gopacket-layers", "--repeats", "2", "-o", dir, mine)
	for _, want := range []string{"mine: two rows", "Packets counted", "A udp", "B syn", "CPU time per packet", "Closed loop"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	for _, name := range []string{report.ScenarioFile, report.RecordsFile, report.TableFile, report.CSVFile,
		"counted.png", "counted.svg", "memory.png", "memory.svg"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	header, records, err := report.ReadScenario(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 12 { // 2 rows and a closed loop, 2 engines, 2 repeats
		t.Errorf("%d records, want 12", len(records))
	}
	want, _, err := header.Plan.Scenario.Rows[0].Packets()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Row == "A udp" && r.Counts.Packets+r.Result.Dropped != want {
			t.Errorf("%s: %d counted and %d dropped of %d sent", r.Engine, r.Counts.Packets, r.Result.Dropped, want)
		}
	}
	if again, _ := run(t, ExitDone, "table", dir); again != stdout {
		t.Error("table prints another text than run did")
	}
	if shown, _ := run(t, ExitDone, "scenarios", "show", "--results", dir, mine); shown != stdout {
		t.Error("show --results prints another text than run did")
	}
	explained, _ := run(t, ExitDone, "scenarios", "show", "--results", dir, "--explain", mine)
	if !strings.Contains(explained, "Queue model") {
		t.Errorf("explained:\n%s", explained)
	}
	if code, _, stderr := runIn(t.Context(), strings.NewReader(""), "scenarios", "run", "-o", dir, mine); code != ExitFailed ||
		!strings.Contains(stderr, "holds results already") {
		t.Errorf("a second run into the folder: exit code %d, %s", code, stderr)
	}

	// A run that was cut off in the middle of a record goes on with the trials that it lacks.
	path := filepath.Join(dir, report.RecordsFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(path, []byte(strings.Join(lines[:5], "")+lines[5][:20]), 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runIn(t.Context(), strings.NewReader(""), "scenarios", "run", "--resume", dir, "--repeats", "3"); code != ExitUsage ||
		!strings.Contains(stderr, "--repeats with --resume") {
		t.Errorf("resume with other settings: exit code %d, %s", code, stderr)
	}
	run(t, ExitDone, "scenarios", "run", "--resume", dir)
	_, resumed, err := report.ReadScenario(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(resumed) != 12 {
		t.Errorf("%d records after resuming, want 12", len(resumed))
	}
	seen := map[scenario.Trial]bool{}
	for _, r := range resumed {
		if seen[r.Trial] {
			t.Errorf("%v was run twice", r.Trial)
		}
		seen[r.Trial] = true
	}
}

func TestScenariosJSON(t *testing.T) {
	mine := ownScenario(t)
	text, _ := run(t, ExitDone, "scenarios", "run", "--engines", "direct", "--repeats", "1", "--side", "A", "--traffic", "100ms", "--json", mine)
	var s analysis.Scenario
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Rows) != 1 || len(s.Rows[0].Engines) != 1 || s.Trials != 1 || s.Header.Plan.LimitSeconds != 0.1 {
		t.Errorf("results: %+v", s)
	}
	// What show --json prints, run reads.
	definition, _ := run(t, ExitDone, "scenarios", "show", "--json", "seed-ddos")
	path := filepath.Join(t.TempDir(), "copy.json")
	if err := os.WriteFile(path, []byte(definition), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := scenario.Read(path); err != nil {
		t.Error(err)
	}
	list, _ := run(t, ExitDone, "scenarios", "list", "--json")
	if !json.Valid([]byte(list)) || !strings.Contains(list, "seed-bitrate") {
		t.Errorf("list: %s", list)
	}
	for _, args := range [][]string{{"--published"}, {"--explain"}} {
		text, _ := run(t, ExitDone, append([]string{"scenarios", "show", "--json", "seed-bitrate"}, args...)...)
		if !json.Valid([]byte(text)) {
			t.Errorf("show %v --json: %.200s", args, text)
		}
	}
}

// Captures that are shorter than any buffer must come out whole, too.
func TestCapturesToStandardOutputAreWhole(t *testing.T) {
	short, _ := run(t, ExitDone, "synth", "udp-64", "--frames", "3")
	if want := 24 + 3*(16+60); len(short) != want {
		t.Errorf("a capture of three frames has %d octets, want %d", len(short), want)
	}
	mine := ownScenario(t)
	text, _ := run(t, ExitDone, "scenarios", "capture", "--row", "B syn", mine)
	if want := 24 + 300*(16+54); len(text) != want {
		t.Errorf("a flood of 300 SYN segments has %d octets as a capture, want %d", len(text), want)
	}
	path := filepath.Join(t.TempDir(), "udp.pcap")
	run(t, ExitDone, "scenarios", "capture", "--row", "A udp", "-o", path, mine)
	s, err := scenario.Read(mine)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := s.Rows[0].Packets()
	if err != nil {
		t.Fatal(err)
	}
	info, _ := run(t, ExitDone, "info", "--json", path)
	if !strings.Contains(info, fmt.Sprintf(`"packets":%d`, want)) {
		t.Errorf("info of a row of %d packets: %s", want, info)
	}
	if code, _, stderr := runIn(t.Context(), strings.NewReader(""), "scenarios", "capture", "--row", "C", mine); code != ExitUsage ||
		!strings.Contains(stderr, "no such row") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}

func TestPublishedRowsHaveTheirPlace(t *testing.T) {
	rows := 0
	for name := range checkpoints {
		text, _ := run(t, ExitDone, "scenarios", "show", "--published", "--json", name)
		var list []beside
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, b := range list {
			key := b.Published.Library + b.Published.Scenario
			if seen[key] {
				t.Errorf("%s: %s stands twice", name, key)
			}
			seen[key] = true
			if b.Published.SentPackets > 0 && b.Published.LimitMbps > 0 {
				if low, high := float64(b.Published.SentPackets)*0.999, float64(b.Published.SentPackets)*1.001+40; float64(b.Sent) < low || float64(b.Sent) > high {
					t.Errorf("%s: we send %d packets, the study sent %d and a control connection", b.Row, b.Sent, b.Published.SentPackets)
				}
			}
		}
		rows += len(list)
	}
	if rows != 108 {
		t.Errorf("%d of the 108 published rows are shown", rows)
	}
}
