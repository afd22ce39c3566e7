package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
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
	told, patterns, addresses := filepath.Join(dir, "t.pcap"), filepath.Join(dir, "patterns.csv"), filepath.Join(dir, "addresses.csv")
	run(t, ExitDone, "synth", "DDoS-SYN_Flood", "--frames", "100", "--truth", "-o", told)
	if err := errors.Join(os.WriteFile(patterns, []byte("*.pcap\tX\n"), 0o666), os.WriteFile(addresses, []byte("10.0.0.1\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	packets := filepath.Join(dir, "packets.csv")
	if err := os.WriteFile(packets, []byte("packets,class,attack,source,first\n100,XSS,1,,0\n"), 0o666); err != nil {
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
		{"named twice", ExitUsage, []string{capture, filepath.Join(dir, ".", "x.pcap")}, "named twice: its rows would count twice"},
		{"gzip by name", ExitUsage, []string{"-o", filepath.Join(dir, "x.csv.gz"), capture}, "-o - | gzip > "},
		{"truth of packets", ExitUsage, []string{"--label", "text=A", "--truth", packets, capture}, "--truth beside takes such a table"},
		{"truth beside nothing", ExitFailed, []string{"--truth", "beside", capture}, "x.pcap.truth.csv"},
		{"truth beside, a label", ExitUsage, []string{"--truth", "beside", "--label", "folder", capture}, "leave --label folder out"},
		{"truth beside a stream", ExitUsage, []string{"--truth", "beside", "-"}, "name a file"},
		{"truth beside in shards", ExitUsage, []string{"--truth", "beside", "--shard", "1/2", "-o", dir, capture}, "without --shard"},
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
		{"output is map", ExitUsage, []string{"--label", "map=" + patterns, "-o", patterns, capture}, "a file to read"},
		{"output is truth", ExitUsage, []string{"--label", "text=A", "--truth", addresses, "-o", filepath.Join(dir, ".", "addresses.csv"), capture}, "a file to read"},
		{"output is truth beside", ExitUsage, []string{"--truth", "beside", "-o", told + ".truth.csv", told}, "t.pcap, to read"},
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
	for _, want := range []string{"299 frames", "record 300 at offset", "(--salvage keeps the frames that can be trusted)",
		out + " is written, but of a damaged capture it has only the rows before the damage"} {
		if strings.Count(notes, want) != 1 {
			t.Errorf("notes: %s, want once %s", notes, want)
		}
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

// TestFeaturesOfNoCapture: an output that is there stays, and none is begun on standard output.
func TestFeaturesOfNoCapture(t *testing.T) {
	dir := t.TempDir()
	capture, out := synthIoT(t, filepath.Join(dir, "x.pcap"), "300"), filepath.Join(dir, "out.csv")
	run(t, ExitDone, "features", capture, "-o", out)
	before := mustRead(t, out)
	empty := filepath.Join(dir, "empty.pcap")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(dir, "table.csv")
	run(t, ExitDone, "features", capture, "-o", table)
	for _, args := range [][]string{{table}, {capture, empty}, {empty, capture}} {
		_, notes := run(t, ExitFailed, append([]string{"features", "-o", out}, args...)...)
		if !bytes.Equal(mustRead(t, out), before) {
			t.Errorf("%v: another output", args)
		}
		if strings.Contains(notes, "is written") {
			t.Errorf("%v: %s", args, notes)
		}
		if stdout, _ := run(t, ExitFailed, append([]string{"features"}, args...)...); stdout != "" {
			t.Errorf("%v: wrote %q", args, stdout)
		}
	}
}

// TestFeaturesWithTruthBeside: a mixture becomes a labelled table, as CSV and as Parquet.
func TestFeaturesWithTruthBeside(t *testing.T) {
	dir := t.TempDir()
	mixture := filepath.Join(dir, "both.pcap.gz")
	run(t, ExitDone, "synth", "DDoS-SYN_Flood", "--frames", "2000", "--truth", "-o", filepath.Join(dir, "a.pcap"))
	run(t, ExitDone, "synth", "BenignTraffic", "--frames", "2000", "--truth", "-o", filepath.Join(dir, "b.pcap"))
	run(t, ExitDone, "dataset", "mix", "--by", "packets", "-o", mixture, "DDoS-SYN_Flood="+filepath.Join(dir, "a.pcap"), "BenignTraffic="+filepath.Join(dir, "b.pcap"))
	table, parquet := filepath.Join(dir, "out.csv"), filepath.Join(dir, "out.parquet")
	args := []string{"features", "--truth", "beside", "--window", "5", "--truth-share", "0.5", mixture, "-o"}
	run(t, ExitDone, append(args, table)...)
	text := string(mustRead(t, table))
	attack, benign := strings.Count(text, ",DDOS-SYN_FLOOD\n"), strings.Count(text, ",BENIGN\n")
	if lines := strings.Count(text, "\n"); attack < 100 || benign < 100 || attack+benign+1 != lines {
		t.Errorf("%d and %d of %d lines", attack, benign, lines)
	}
	if runtime.GOARCH != "arm" { // where Parquet is not read
		run(t, ExitDone, append(args, parquet)...)
		if equal, _ := run(t, ExitDone, "features", "diff", table, parquet); !strings.HasPrefix(equal, "equal") {
			t.Errorf("diff: %s", equal)
		}
	}
	stdout, _ := run(t, ExitDone, "features", "--truth", "beside", "--benign", "fine", "--window", "5", "--truth-share", "0.9", "synth:DDoS-SYN_Flood:2000")
	if !strings.Contains(stdout, ",DDOS-SYN_FLOOD\n") || strings.Count(stdout, "\n") != strings.Count(stdout, ",fine\n")+strings.Count(stdout, ",DDOS-SYN_FLOOD\n")+1 {
		t.Errorf("synthetic frames: %.3000s", stdout)
	}
}

// TestFeaturesBehindATruth: behind damage no table can be followed, so no way out is told; what lies behind a whole gzip stream is none.
func TestFeaturesBehindATruth(t *testing.T) {
	dir := t.TempDir()
	whole, out := filepath.Join(dir, "a.pcap.gz"), filepath.Join(dir, "out.csv")
	run(t, ExitDone, "synth", "DDoS-SYN_Flood", "--frames", "500", "--truth", "-o", whole)
	octets := mustRead(t, whole)
	beside := []string{"features", "--truth", "beside", whole, "-o", out}
	run(t, ExitDone, beside...)
	want := string(mustRead(t, out))
	if err := os.WriteFile(whole, append(bytes.Clone(octets), '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, notes := run(t, ExitFailed, beside...); !strings.Contains(notes, "cut them off") || strings.Contains(notes, "--salvage") {
		t.Errorf("%s", notes)
	}
	for _, args := range [][]string{append(beside, "--salvage"), {"features", "--salvage", "--label", "text=DDOS-SYN_FLOOD", whole, "-o", out}} {
		if _, notes := run(t, ExitDone, args...); !strings.Contains(notes, "cut them off") || strings.Contains(notes, "lost after") || string(mustRead(t, out)) != want {
			t.Errorf("%v: %s", args, notes)
		}
	}
	// The same in shards, whether the manifest was made with --salvage or not, and is not taken for a change of the capture.
	for _, flags := range [][2]string{{"--salvage", ""}, {"", "--salvage"}, {"--salvage", "--salvage"}} {
		shards := filepath.Join(t.TempDir(), "shards")
		code, scan, features := ExitFailed, []string{"dataset", "scan", "--again", dir}, []string{"features", "--shard", "1/1", "--manifest", dir, "-o", shards, whole}
		if flags[0] != "" {
			code, scan = ExitDone, append(scan, flags[0])
		}
		if flags[1] != "" {
			features = append(features, flags[1])
		}
		run(t, code, scan...)
		run(t, ExitDone, features...)
		if code = ExitFailed; flags[1] != "" {
			code = ExitDone
		}
		run(t, code, "merge", shards, "-o", out)
	}
	if err := os.WriteFile(whole, octets[:len(octets)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, notes := run(t, ExitFailed, beside...); !strings.Contains(notes, "is written, but of a damaged capture") || strings.Contains(notes, "--salvage") {
		t.Errorf("%s", notes)
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
