package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/datasets/extract"
	"pcaplab/parse/feature/vectorio"
)

func synthIoT(t *testing.T, path, frames string) string {
	t.Helper()
	run(t, ExitDone, "synth", "iot-1", "--frames", frames, "-o", path)
	return path
}

func TestFeaturesUsage(t *testing.T) {
	dir := t.TempDir()
	capture := synthIoT(t, filepath.Join(dir, "x.pcap"), "100")
	table := filepath.Join(dir, "labels.tsv")
	if err := os.WriteFile(table, []byte("y*.pcap\tY\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no capture", ExitUsage, nil, "no capture"},
		{"window 0", ExitUsage, []string{"--window", "0", capture}, "at least one row"},
		{"window word", ExitUsage, []string{"--window", "ten", capture}, "a time such as 1s"},
		{"window of no class", ExitUsage, []string{"--window", "cic", capture}, "CIC-IoT-2023"},
		{"two classes", ExitUsage, []string{"--window", "cic", "XSS/DDoS-SYN_Flood.pcap"}, "its folder is that of XSS"},
		{"as", ExitUsage, []string{"--as", "mine", capture}, "extractor, pipeline, released, fixed"},
		{"format", ExitUsage, []string{"--format", "xml", capture}, `format "xml"`},
		{"label", ExitUsage, []string{"--label", "x", capture}, "want folder, map=FILE or text=LABEL"},
		{"no pattern", ExitFailed, []string{"--label", "map=" + table, capture}, "no pattern in it matches"},
		{"truth alone", ExitUsage, []string{"--truth", "cic", capture}, "give one"},
		{"resume a stream", ExitUsage, []string{"--resume", capture}, "-o FILE"},
		{"strict stdin", ExitUsage, []string{"--strict-faults", "-"}, "name a file"},
		{"missing", ExitFailed, []string{filepath.Join(dir, "none.pcap")}, "no such file"},
		{"folder", ExitFailed, []string{dir}, "name the captures in it"},
		{"no capture inside", ExitFailed, []string{table}, "not a pcap"},
		{"share alone", ExitUsage, []string{"--truth-share", "0.5", capture}, "need --truth"},
		{"share", ExitUsage, []string{"--label", "text=A", "--truth", "cic", "--truth-share", "nan", capture}, "attack share NaN"},
		{"label of two lines", ExitUsage, []string{"--label", "text=a\nb", capture}, "control characters"},
		{"output is input", ExitUsage, []string{"-o", capture, capture}, "a capture to read"},
		{"no folder", ExitUsage, []string{"-o", filepath.Join(dir, "none", "x.csv"), capture}, "a folder that is there"},
		{"csv as parquet", ExitUsage, []string{"-o", filepath.Join(dir, "x.parquet"), "--format", "CSV", capture}, "name it .csv"},
		{"diff of one", ExitUsage, []string{"diff", capture}, "want two files"},
		{"diff tolerance", ExitUsage, []string{"diff", "--tolerance", "2", capture, capture}, "tolerance 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := runIn(context.Background(), strings.NewReader(""), append([]string{"features"}, c.args...)...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; %s", code, c.code, stderr)
			}
		})
	}
}

func TestFeaturesFilesAndStreamsAreTheSame(t *testing.T) {
	dir := t.TempDir()
	class := filepath.Join(dir, "DDoS-SYN_Flood")
	if err := os.Mkdir(class, 0o777); err != nil {
		t.Fatal(err)
	}
	capture := synthIoT(t, filepath.Join(class, "DDoS-SYN_Flood1.pcap"), "5000")
	direct, _ := run(t, ExitDone, "features", "synth:iot-1:5000")
	streamed, notes := run(t, ExitDone, "features", capture)
	if streamed != direct {
		t.Error("synthetic frames give other vectors than their capture")
	}
	if !strings.Contains(notes, "5,000 frames") || !strings.Contains(notes, "IPv6") {
		t.Errorf("notes: %s", notes)
	}
	out := filepath.Join(dir, "out.csv")
	record, _ := run(t, ExitDone, "features", "--json", "--sha256", "--window", "cic", "--label", "folder", capture, "-o", out)
	var s extract.Summary
	if err := json.Unmarshal([]byte(record), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Sources) != 1 || s.Sources[0].Span.Rows != 100 || s.Sources[0].Label != "DDOS-SYN_FLOOD" || len(s.Sources[0].SHA256) != 64 {
		t.Errorf("summary: %s", record)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if uint64(len(lines)-1) != s.Vectors || !strings.HasSuffix(lines[1], ",DDOS-SYN_FLOOD") {
		t.Errorf("%d lines, %d vectors: %s", len(lines), s.Vectors, lines[1])
	}

	parquet := filepath.Join(dir, "out.parquet")
	run(t, ExitDone, "features", "--window", "cic", "--label", "folder", capture, "-o", parquet)
	equal, _ := run(t, ExitDone, "features", "diff", out, parquet)
	if !strings.HasPrefix(equal, "equal") {
		t.Errorf("diff: %s", equal)
	}
	r, err := vectorio.Open(parquet)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var inside extract.Summary
	for _, kv := range r.Metadata() {
		if kv.Key == "pcaplab" {
			err = json.Unmarshal([]byte(kv.Value), &inside)
		}
	}
	if err != nil || len(inside.Sources) != 1 || inside.Sources[0].SHA256 != s.Sources[0].SHA256 || inside.Sources[0].Span != s.Sources[0].Span {
		t.Errorf("metadata: %v, %v", r.Metadata(), err)
	}

	quoted := filepath.Join(dir, "quoted.csv")
	run(t, ExitDone, "features", "--label", `text=a, "b"`, capture, "-o", quoted)
	run(t, ExitDone, "features", "--label", `text=a, "b"`, capture, "-o", parquet)
	if equal, _ := run(t, ExitDone, "features", "diff", quoted, parquet); !strings.HasPrefix(equal, "equal") {
		t.Errorf("diff: %s", equal)
	}

	other := filepath.Join(dir, "other.csv")
	run(t, ExitDone, "features", "--as", "fixed", "--window", "100", capture, "-o", other)
	differ, notes := run(t, ExitMissed, "features", "diff", out, other)
	if !strings.HasPrefix(differ, "different") || !strings.Contains(notes, "the files differ") {
		t.Errorf("diff: %s%s", differ, notes)
	}
}

func TestFeaturesOfACutCapture(t *testing.T) {
	dir := t.TempDir()
	capture := synthIoT(t, filepath.Join(dir, "x.pcap"), "300")
	text, err := os.ReadFile(capture)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(capture, text[:len(text)-3], 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.csv")
	_, notes := run(t, ExitFailed, "features", capture, "-o", out)
	if !strings.Contains(notes, "299 frames") || !strings.Contains(notes, "record 300 at offset") {
		t.Errorf("notes: %s", notes)
	}
	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	_, notes = run(t, ExitDone, "features", "--salvage", capture, "-o", out)
	after, err := os.ReadFile(out)
	if err != nil || string(before) != string(after) || !strings.Contains(notes, "lost after packet 299") {
		t.Errorf("salvaged: %v, %s", err, notes)
	}
}

func TestOldReleaseIsRefused(t *testing.T) {
	old := filepath.Join(t.TempDir(), "part-00000.csv")
	header := "flow_duration,Header_Length,Protocol Type,Duration,Rate,Srate,Drate,fin_flag_number,Magnitue,Radius,Covariance,Variance,Weight,label\n"
	if err := os.WriteFile(old, []byte(header), 0o666); err != nil {
		t.Fatal(err)
	}
	_, stderr := run(t, ExitFailed, "features", "diff", old, old)
	if !strings.Contains(stderr, "older release") || !strings.Contains(stderr, "46 columns") {
		t.Error(stderr)
	}
}
