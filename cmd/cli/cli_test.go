package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/flow"
	"pcaplab/parse/gopkt"
	"pcaplab/parse/model"
	"pcaplab/replay/live"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
)

func program() Program {
	return Program{
		Name:    "pcaplab",
		Engines: append([]parse.Engine{parse.DirectEngine()}, gopkt.Engines()...),
		Stages:  []parse.StageKind{flow.Kind(flow.Config{}), feature.Kind(), model.Kind()},
		Default: []string{"direct", "gopacket-layers"},
	}
}

func TestMain(m *testing.M) {
	p := program()
	if os.Getenv("PCAPLAB_TEST_PROGRAM") != "" || os.Getenv(asRootVariable) != "" { // started by a test as a process of its own
		os.Unsetenv("PCAPLAB_TEST_PROGRAM")
		os.Exit(Main(p))
	}
	if len(os.Args) == 2 && (os.Args[1] == "serve" || os.Args[1] == "--version") { // a copy of this test on a host
		os.Exit(Main(p))
	}
	served, err := trial.Serve(p.Engines, p.Stages)
	if !served {
		served, err = scenario.Serve(p.Engines)
	}
	if !served {
		served, err = live.Serve(p.Engines)
	}
	if served {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runIn runs the program as a process would.
func runIn(ctx context.Context, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{Program: program(), stdout: &out, stderr: &errs, stdin: stdin}
	code = a.run(ctx, args)
	return code, out.String(), errs.String()
}

func run(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runIn(context.Background(), strings.NewReader(""), args...)
	if code != want {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout, stderr
}

// tiny makes a study short.
var tiny = []string{"--trial", "4ms", "--repeats", "1", "--cache", "hot"}

func ceilingArgs(more ...string) []string {
	return append(append([]string{"ceiling", "--sum", "12ms", "--width", "0.1"}, tiny...), more...)
}

func TestUsageErrorsExit2AndSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"ceiling", "--sideways"}, "sideways"},
		{"unknown command", []string{"celing"}, "celing"},
		{"no capture", []string{"ceiling"}, "no capture"},
		{"no loads", []string{"sweep", "synth:iot-1"}, "--rates"},
		{"bad load", []string{"sweep", "--rates", "fast", "synth:iot-1"}, "fast"},
		{"falling range", []string{"sweep", "--rates", "3x..1x/4", "synth:iot-1"}, "3x..1x/4"},
		{"unknown engine", []string{"ceiling", "--engines", "libpcap", "synth:iot-1"}, "gopacket-layers"},
		{"unknown stage", []string{"ceiling", "--stages", "encore", "synth:iot-1"}, "there are flow, features"},
		{"stage without values", []string{"sweep", "--rates", "1x", "--stages", "flow=3", "synth:iot-1"}, "takes no value"},
		{"bad value of a stage", []string{"trial", "--stages", "flow,features=ten", "synth:iot-1"}, `window "ten"`},
		{"unknown profile", []string{"ceiling", "synth:iot-9"}, "iot-1"},
		{"bad goal", []string{"ceiling", "--goal", "best", "synth:iot-1"}, "best"},
		{"bad size", []string{"ceiling", "--sizes", "12", "synth:iot-1"}, "12"},
		{"bad condition", []string{"ceiling", "--fail-if", "ndr!", "synth:iot-1"}, "--fail-if"},
		{"bad memory", []string{"ceiling", "--memory-limit", "lots", "synth:iot-1"}, "lots"},
		{"condition on an engine that is not measured", []string{"ceiling", "--engines", "direct", "--fail-if", "ndr[nobody]<1", "synth:iot-1"}, "nobody"},
		{"condition on a goal that is not searched", []string{"ceiling", "--goal", "ndr", "--fail-if", "pdr<1", "synth:iot-1"}, "pdr"},
		{"an engine twice", []string{"ceiling", "--engines", "direct,direct", "synth:iot-1"}, "twice"},
		{"standard input twice", []string{"ceiling", "-", "-"}, "once"},
		{"negative packets", []string{"ceiling", "--packets", "-5", "synth:iot-1"}, "-5"},
		{"negative sum", []string{"ceiling", "--sum", "-1s", "synth:iot-1"}, "-1s"},
		{"negative load", []string{"ceiling", "--max-load", "-1", "synth:iot-1"}, "max load"},
		{"no time", []string{"trial", "--trial", "1ns", "synth:iot-1"}, "1ns"},
		{"too many workers", []string{"ceiling", "--workers", "1000", "synth:iot-1"}, "1000"},
		{"too many repeats", []string{"ceiling", "--repeats", "1000000000000", "synth:iot-1"}, "repeats"},
		{"ring on the cpu clock", []string{"ceiling", "--feed", "ring", "--clock", "cpu", "synth:iot-1"}, "ring"},
		{"pattern without a load", []string{"ceiling", "--pattern", "unpaced", "synth:iot-1"}, "unpaced"},
		{"pattern with a speed", []string{"ceiling", "--pattern", "recorded:x2", "synth:iot-1"}, "recorded"},
		{"bad collector setting", []string{"ceiling", "--gogc", "abc", "synth:iot-1"}, "abc"},
		{"collector setting in process", []string{"ceiling", "--in-process", "--gogc", "50", "synth:iot-1"}, "GOGC"},
		{"passes of a sample", []string{"trial", "--loop", "2", "--cache", "hot", "synth:iot-1"}, "passes"},
		{"engines of something", []string{"engines", "extra"}, "extra"},
		{"bad queue", []string{"ceiling", "--queue", "bottomless", "synth:iot-1"}, "bottomless"},
		{"info of nothing", []string{"info"}, "no capture"},
		{"synth of nothing", []string{"synth"}, "iot-1"},
		{"no folder", []string{"table"}, "results folder"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr := run(t, ExitUsage, tt.args...)
			if stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("stdout %q, stderr %q: want %q on stderr only", stdout, stderr, tt.want)
			}
		})
	}
}

func TestMissingFileExits1(t *testing.T) {
	for _, command := range []string{"ceiling", "info"} {
		if _, stderr := run(t, ExitFailed, command, "no-such.pcap"); !strings.Contains(stderr, "no-such.pcap") {
			t.Errorf("%s: stderr %q does not name the file", command, stderr)
		}
	}
	if _, stderr := run(t, ExitFailed, "table", t.TempDir()); !strings.Contains(stderr, "results folder") {
		t.Errorf("stderr %q", stderr)
	}
}

func TestHelpTeaches(t *testing.T) {
	stdout, _ := run(t, ExitDone, "-h")
	for _, command := range []string{"ceiling", "sweep", "trial", "info", "synth", "engines", "table", "benchfmt", "completion"} {
		if !strings.Contains(stdout, command) {
			t.Errorf("help does not name %s", command)
		}
	}
	for _, command := range []string{"ceiling", "sweep", "trial", "info", "synth", "benchfmt"} {
		if stdout, _ := run(t, ExitDone, command, "-h"); !strings.Contains(stdout, "Examples:") {
			t.Errorf("%s -h has no example", command)
		}
	}
}

func TestSynthWritesWhatInfoReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.pcap")
	run(t, ExitDone, "synth", "iot-1", "--frames", "500", "-o", path)
	stdout, _ := run(t, ExitDone, "info", "--json", path)
	var info struct {
		File    string
		Packets uint64
		Octets  uint64
		Error   *string
	}
	if err := json.Unmarshal([]byte(stdout), &info); err != nil {
		t.Fatal(err)
	}
	if info.File != path || info.Packets != 500 || info.Octets == 0 || info.Error != nil {
		t.Errorf("%+v", info)
	}
	// The same through pipes.
	code, capture, _ := runIn(context.Background(), nil, "synth", "iot-1", "--frames", "500")
	written, err := os.ReadFile(path)
	if code != ExitDone || err != nil || capture != string(written) {
		t.Errorf("exit %d, error %v; standard output has %d octets, the file %d", code, err, len(capture), len(written))
	}
}

func TestInfoOfDamageExits1AfterTheGoodPackets(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "whole.pcap")
	run(t, ExitDone, "synth", "syn-60", "--frames", "10", "-o", path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(folder, "cut.pcap")
	if err := os.WriteFile(cut, content[:len(content)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := run(t, ExitFailed, "info", "--json", path, cut)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"packets":10,`) || !strings.Contains(lines[1], `"packets":9,`) {
		t.Errorf("stdout %s", stdout)
	}
	if !strings.Contains(stderr, "cut.pcap") || !strings.Contains(stderr, "record 10") {
		t.Errorf("stderr %s", stderr)
	}
}

func TestCeilingLeavesAResultsFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	stdout, stderr := run(t, ExitDone, ceilingArgs("-o", folder, "--stages", "flow", "--sizes", "64,512,1518", "synth:iot-1:2000")...)
	for _, want := range []string{"direct", "gopacket-layers", "NDR", "PDR", "1518", "cost against size", "pcap-2MiB"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "about") {
		t.Errorf("no ETA: %s", stderr)
	}
	for _, name := range []string{report.HeaderFile, report.RecordsFile, report.CSVFile, report.TableFile, "ceilings.png", "ceilings.svg",
		"loss.png", "loss.svg", "cost.png", "cost.svg"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	again, _ := run(t, ExitDone, "table", folder)
	if again != stdout {
		t.Errorf("table prints\n%s\nceiling printed\n%s", again, stdout)
	}
	bench, _ := run(t, ExitDone, "benchfmt", folder)
	if n := strings.Count(bench, "\nBenchmarkCeiling/engine="); n != 6 {
		t.Errorf("%d benchmark lines, want 6:\n%s", n, bench)
	}
	lines, _ := run(t, ExitDone, "table", "--json", folder)
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if _, stderr := run(t, ExitFailed, ceilingArgs("-o", folder, "synth:iot-1:2000")...); !strings.Contains(stderr, "--resume") {
		t.Errorf("a second study into the same folder: %s", stderr)
	}
}

func TestFailIf(t *testing.T) {
	run(t, ExitMissed, ceilingArgs("--engines", "direct", "--fail-if", "ndr<1000G", "synth:iot-1:500")...)
	run(t, ExitDone, ceilingArgs("--engines", "direct", "--fail-if", "ndr<1,service<1", "synth:iot-1:500")...)
	run(t, ExitMissed, ceilingArgs("--engines", "direct", "--fail-if", "pdr:0.5%<1000G", "synth:iot-1:500")...)
	run(t, ExitMissed, append([]string{"trial", "--rate", "100x", "--fail-if", "loss>1%", "synth:iot-1:500"}, tiny...)...)
}

func TestInterruptedStudyKeepsItsRecordsAndResumes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "results")
	capture := filepath.Join(t.TempDir(), "a.pcap")
	run(t, ExitDone, "synth", "iot-1", "--frames", "500", "-o", capture)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if content, _ := os.ReadFile(filepath.Join(folder, report.RecordsFile)); bytes.Count(content, []byte("\n")) >= 4 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	args := []string{"ceiling", "--trial", "20ms", "--sum", "200ms", "--repeats", "2", "--cache", "hot", "-o", folder, capture}
	code, stdout, stderr := runIn(ctx, nil, args...)
	if code != ExitInterrupted {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	if !strings.Contains(stdout, "direct") || !strings.Contains(stdout, "unfinished") {
		t.Errorf("what was measured is not shown, or not that more is missing:\n%s", stdout)
	}
	_, before, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	// A process that was killed while it wrote leaves a cut line.
	file, err := os.OpenFile(filepath.Join(folder, report.RecordsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(`{"schema":1,"kind":"tri`); err != nil {
		t.Fatal(err)
	}
	file.Close()
	run(t, ExitDone, "ceiling", "--resume", folder)
	_, after, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(after) <= len(before) {
		t.Errorf("%d records before, %d after", len(before), len(after))
	}
	warmUps := make(map[string]int)
	for i, r := range after {
		if i < len(before) && !r.Started.Equal(before[i].Started) {
			t.Errorf("record %d was measured again", i)
		}
		if r.Kind == trial.KindWarmUp {
			warmUps[fmt.Sprint(r.Cell, r.Repeat)]++
		}
	}
	if len(warmUps) != 4 {
		t.Errorf("cells and repeats measured: %v, want 4", warmUps)
	}
	for cell, n := range warmUps {
		if n != 1 {
			t.Errorf("%s was begun %d times", cell, n)
		}
	}
	// Its settings cannot be changed half-way, nor can another command go on with it.
	if _, stderr := run(t, ExitUsage, "ceiling", "--resume", folder, "--repeats", "5"); !strings.Contains(stderr, "--repeats") {
		t.Errorf("stderr %s", stderr)
	}
	if _, stderr := run(t, ExitUsage, "sweep", "--resume", folder); !strings.Contains(stderr, "ceiling --resume") {
		t.Errorf("stderr %s", stderr)
	}
	// Another capture under the same name is refused.
	run(t, ExitDone, "synth", "syn-60", "--frames", "500", "-o", capture)
	if _, stderr := run(t, ExitFailed, "ceiling", "--resume", folder); !strings.Contains(stderr, "SHA-256") {
		t.Errorf("stderr %s", stderr)
	}
}

func TestSweepAndTrial(t *testing.T) {
	stdout, _ := run(t, ExitDone, append([]string{"sweep", "--rates", "1k,0.5x..4x/3", "--engines", "direct", "synth:iot-1:500"}, tiny...)...)
	for _, want := range []string{"loss against load", "1.00 kpps", "0.5x", "1.41x", "4x"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	stdout, _ = run(t, ExitDone, append([]string{"trial", "--rate", "10k", "--json", "synth:iot-1:500"}, tiny...)...)
	var kinds []string
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		var o struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds = append(kinds, o.Kind)
	}
	stdout, _ = run(t, ExitDone, append([]string{"trial", "--rate", "2r", "--pattern", "recorded", "synth:iot-1:500"}, tiny...)...)
	if !strings.Contains(stdout, "recorded") {
		t.Errorf("the settings lack the pattern:\n%s", stdout)
	}
	run(t, ExitDone, "trial", "--loop", "3", "--move-addresses", "--rate", "100k", "--stages", "flow", "synth:iot-1:500")
	if got := strings.Join(kinds, " "); got != "warm-up service trial" {
		t.Errorf("records of a trial: %s", got)
	}
}

func TestDocsShowWhatTheProgramPrints(t *testing.T) {
	for _, name := range []string{"README.md", "METHOD.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```console\n")
		for _, block := range blocks[1:] {
			block, _, _ = strings.Cut(block, "```")
			command, want, _ := strings.Cut(block, "\n")
			t.Run(command, func(t *testing.T) {
				line, ok := strings.CutPrefix(command, "$ pcaplab ")
				if !ok {
					t.Fatalf("a console block of %s must begin with '$ pcaplab': %s", name, command)
				}
				var input io.Reader
				for _, part := range strings.Split(line, " | pcaplab ") {
					code, stdout, stderr := runIn(context.Background(), input, strings.Fields(part)...)
					if code != ExitDone {
						t.Fatalf("%s: exit code %d\n%s", part, code, stderr)
					}
					input = strings.NewReader(stdout)
				}
				got, _ := io.ReadAll(input)
				if string(got) != want {
					t.Errorf("%s shows\n%s\nthe program prints\n%s", name, want, got)
				}
			})
		}
	}
}

// undecodable writes a capture of frames of a link type that no engine decodes.
func undecodable(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, captureOf(t, 40, pcapio.WriterConfig{Link: 127}, func(_ int, f *parse.Frame) { f.Link = 127 }), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFramesThatNoEngineDecodesAreRefused(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "radiotap.pcap")
	undecodable(t, path)
	for _, args := range [][]string{
		ceilingArgs("--fail-if", "ndr<1", path), ceilingArgs("-o", filepath.Join(folder, "results"), path),
		append([]string{"sweep", "--rates", "1x", path}, tiny...), append([]string{"trial", path}, tiny...),
	} {
		stdout, stderr := run(t, ExitFailed, args...)
		for _, want := range []string{path, "link type 127", "40 frames", "direct"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: stderr lacks %q: %s", args[0], want, stderr)
			}
		}
		if stdout != "" {
			t.Errorf("%s: %s", args[0], stdout)
		}
	}
	if _, err := os.Stat(filepath.Join(folder, "results")); err == nil {
		t.Error("a results folder was left")
	}
	tree := filepath.Join(folder, "tree")
	for _, class := range []string{"A", "B"} {
		if err := os.MkdirAll(filepath.Join(tree, class), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	undecodable(t, filepath.Join(tree, "A", "a.pcap"))
	run(t, ExitDone, "synth", "iot-1", "--frames", "100", "-o", filepath.Join(tree, "B", "b.pcap"))
	stdout, stderr := run(t, ExitFailed, ceilingArgs("--per-class", "--engines", "direct", tree)...)
	if !strings.Contains(stderr, "link type 127") || !strings.Contains(stdout, "B") {
		t.Errorf("one class of two: %s%s", stdout, stderr)
	}
	shards := filepath.Join(folder, "shards")
	run(t, ExitFailed, ceilingArgs("--per-class", "--engines", "direct", "--shard", "1/1", "-o", shards, tree)...)
	if _, stderr := run(t, ExitFailed, "merge", shards, "-o", filepath.Join(folder, "merged")); !strings.Contains(stderr, "link type 127") {
		t.Errorf("a shard keeps what failed: %s", stderr)
	}
}

func TestExplicitZeroIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{"ceiling", "--quick", "--width", "0", "synth:iot-1"}, {"ceiling", "--quick", "--trial", "0", "synth:iot-1"}, {"ceiling", "--repeats", "0", "synth:iot-1"},
		{"sweep", "--rates", "1x", "--trial", "0s", "synth:iot-1"}, {"sweep", "--rates", "1x", "--repeats", "0", "synth:iot-1"},
		{"trial", "--trial", "0", "synth:iot-1"}, {"trial", "--repeats", "0", "synth:iot-1"},
		{"live", "--width", "0", "synth:iot-1"}, {"rewrite", "--fuzz-seed", "5", "--fuzz-factor", "0", "in.pcap", "out.pcap"},
	} {
		if _, stderr := run(t, ExitUsage, args...); !strings.Contains(stderr, "want more than 0") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
}

func TestSynthIsNoFile(t *testing.T) {
	for _, args := range [][]string{{"info", "synth:iot-1:100"}, {"split", "--auto", "first", "-o", "x", "synth:iot-1:100"}, {"rewrite", "synth:iot-1:100", "x.pcap"}} {
		if _, stderr := run(t, ExitUsage, args...); !strings.Contains(stderr, "pcaplab synth") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
}

func TestDamageNamesSalvage(t *testing.T) {
	folder := t.TempDir()
	content := captureOf(t, 40, pcapio.WriterConfig{}, nil)
	path := filepath.Join(folder, "cut.pcap")
	if err := os.WriteFile(path, content[:len(content)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(folder, "out")
	for _, args := range [][]string{
		{"info", path}, {"rewrite", path, out + ".pcap"}, {"split", "--auto", "first", "-o", out, path}, {"split", "--auto", "router", "-o", out, path},
		{"replay", "-w", out + ".pcap", path}, {"replay", "--preload-pcap", "-w", out + ".pcap", path},
	} {
		if _, stderr := run(t, ExitFailed, args...); strings.Count(stderr, "--salvage") != 1 {
			t.Errorf("%q: %s", args, stderr)
		}
	}
}

func TestCountsOfPackets(t *testing.T) {
	folder := t.TempDir()
	out := filepath.Join(folder, "out.pcap")
	for text, want := range map[string]int{"1e3": 1000, "2k": 2000, "70": 70} {
		run(t, ExitDone, "synth", "syn-60", "--frames", text, "-o", out)
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		if frames, _ := framesOf(t, content); len(frames) != want {
			t.Errorf("--frames %s: %d", text, len(frames))
		}
	}
	for _, args := range [][]string{
		{"synth", "syn-60", "--frames", "many", "-o", out}, {"replay", "--limit", "-1", "-w", filepath.Join(folder, "w.pcap"), out},
		{"replay", "--limit", "1.5", "-w", filepath.Join(folder, "w.pcap"), out}, {"ceiling", "--packets", "1e99", out},
	} {
		if _, stderr := run(t, ExitUsage, args...); !strings.Contains(stderr, "as 5000, 10k or 1e6") || strings.Contains(stderr, "strconv") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	if _, stderr := run(t, ExitUsage, "rewrite", "--pnat", "10.0.0.0/33:10.0.0.0/8", out, out); !strings.Contains(stderr, "10.0.0.0/33") || strings.Contains(stderr, "netip") {
		t.Error(stderr)
	}
}

func TestNoTemporaryNameInErrors(t *testing.T) {
	folder := t.TempDir()
	in, missing := filepath.Join(folder, "in.pcap"), filepath.Join(folder, "missing")
	run(t, ExitDone, "synth", "syn-60", "--frames", "10", "-o", in)
	for _, args := range [][]string{
		{"synth", "syn-60", "--frames", "10", "-o", filepath.Join(missing, "o.pcap")}, {"rewrite", in, filepath.Join(missing, "o.pcap")},
		{"dataset", "mix", "-o", filepath.Join(missing, "o.pcap"), "a=" + in}, {"dataset", "scan", "-o", filepath.Join(missing, "m.json"), folder},
	} {
		code, _, stderr := runIn(context.Background(), strings.NewReader(""), args...)
		if code != ExitFailed || !strings.Contains(stderr, missing+": ") || strings.Contains(stderr, ".tmp") || strings.Contains(stderr, ".manifest-") {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
}
