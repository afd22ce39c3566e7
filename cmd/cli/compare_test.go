package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/replay"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// A link to the test binary whose name begins so is a program that measures engines that are simulated: see simulate.
const simulatedPrefix = "simulated-"

func init() { // before TestMain, which is of the tests themselves
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, simulatedPrefix) {
		if err := simulate(name); err != nil {
			fmt.Fprintln(os.Stderr, name+":", err)
			os.Exit(ExitFailed)
		}
		os.Exit(0)
	}
}

// simulate answers 'ceiling' as a program of its own would, for parsers that cost as many ns as the name says behind its last dash. Noise is drawn from the name and
// from how often the program ran, which a file beside it counts; so a comparison is the same each time. The file NAME.fails has it fail in the run of that
// number, once; one NAME.queue gives it another queue; NAME.replaced has it replace itself while it runs.
func simulate(name string) error {
	var output string
	captures := false
	h := trial.Header{Schema: trial.Schema, Version: "simulated", Command: "ceiling", Started: time.Unix(0, 0).UTC()}
	h.Settings = trial.Settings{Unit: "pps", Queue: "1024", Clock: "warp", Feed: "virtual", Pattern: "constant", Stamp: "due"}
	for _, arg := range os.Args[1:] {
		flag, value, _ := strings.Cut(arg, "=")
		switch {
		case captures:
			h.Captures = append(h.Captures, trial.Capture{Name: arg, SHA256: fmt.Sprintf("%064x", len(arg)), Frames: 1})
		case arg == "--":
			captures = true
		case flag == "--output":
			output = value
		}
	}
	file := os.Args[0]
	text, _ := os.ReadFile(file + ".runs")
	runs := len(strings.Split(string(text), "\n"))
	if fails, _ := os.ReadFile(file + ".fails"); string(fails) == strconv.Itoa(runs) {
		os.Remove(file + ".fails")
		return fmt.Errorf("the parser fell over in run %d", runs)
	}
	if err := os.WriteFile(file+".runs", append(text, (strings.Join(os.Args[1:], " ")+"\n")...), 0o644); err != nil {
		return err
	}
	if queue, err := os.ReadFile(file + ".queue"); err == nil {
		h.Settings.Queue = string(queue)
	}
	if with, err := os.ReadFile(file + ".replaced"); err == nil {
		if err := os.Remove(file); err != nil {
			return err
		}
		if err := os.WriteFile(file, with, 0o755); err != nil {
			return err
		}
	}
	cost, err := strconv.ParseFloat(name[strings.LastIndexByte(name, '-')+1:], 64)
	if err != nil {
		return err
	}
	sum := fnv.New64()
	io.WriteString(sum, name)
	r := rand.New(rand.NewPCG(sum.Sum64(), uint64(runs)))
	return simulatedResults(output, h, 1, cost, r)
}

// simulatedResults makes a results folder.
func simulatedResults(output string, h trial.Header, repeats int, cost float64, r *rand.Rand) error {
	goal := search.NDR()
	h.Plan = trial.Plan{Engines: []string{"mine", "other"}, Sizes: []string{trial.Captured}, Caches: []string{trial.CacheHot}, Workers: []int{1}, Repeats: repeats,
		Trial: time.Second, Search: trial.SearchMLR, Goals: []search.Goal{goal}}
	folder, err := report.Create(output, h)
	if err != nil {
		return err
	}
	defer folder.Close()
	for repeat := 1; repeat <= repeats; repeat++ {
		for i, engine := range h.Plan.Engines {
			ns := (cost + 100*float64(i)) * (1 + 0.01*r.NormFloat64())
			rate := 1e9 / ns
			const n = 1_000_000
			busy := time.Duration(math.Round(ns * n))
			cell := trial.Cell{Engine: engine, Size: trial.Captured, Cache: trial.CacheHot, Workers: 1}
			for _, rec := range []trial.Record{
				{Kind: trial.KindService, Result: replay.Result{Intended: n, Offered: n, Delivered: n, Served: n, Busy: busy, Duration: busy, Elapsed: busy}},
				{Kind: trial.KindBounds, Bounds: &search.Bounds{Goal: goal, Lower: &rate, Upper: &rate, ConditionalThroughput: rate, Regular: true}},
			} {
				rec.Schema, rec.Cell, rec.Repeat, rec.Settings = trial.Schema, cell, repeat, h.Settings
				if err := folder.Append(rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// simulatedProgram makes a simulated program in a folder and returns its path.
func simulatedProgram(t *testing.T, dir, what string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, simulatedPrefix+what)
	if err := os.Symlink(self, path); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	return path
}

// changes reads the JSON lines of a comparison.
func changes(t *testing.T, text string) (head map[string]any, rows []map[string]any, gate map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		switch v["kind"] {
		case "comparison":
			head = v
		case "change":
			rows = append(rows, v)
		case "gate":
			gate = v
		}
	}
	return head, rows, gate
}

func TestCompareRunFindsAParserThatIsTenPercentSlower(t *testing.T) {
	dir := t.TempDir()
	old, new := simulatedProgram(t, dir, "old-100"), simulatedProgram(t, dir, "new-110")
	out := filepath.Join(dir, "change")
	stdout, stderr := run(t, ExitMissed, "compare", "--run", old, new, "--quick", "--engines", "mine,other", "-o", out, "--json", "--fail-if", "ndr[mine]<-5%", "--", "a.pcap", "-b.pcap")
	head, rows, gate := changes(t, stdout)
	if head["interleaved_rounds"] != 6.0 || len(rows) != 6 || len(gate["true"].([]any)) != 1 { // ndr and cost of two engines and their means
		t.Errorf("%s", stdout)
	}
	for _, r := range rows {
		if cell, ok := r["cell"].(map[string]any); ok && cell["engine"] == "mine" && (r["shows"] != "worse" || r["p"].(float64) > 0.01) {
			t.Errorf("%v", r)
		}
	}
	if !strings.Contains(stderr, "ndr[mine]") || !strings.Contains(stderr, "-9.") && !strings.Contains(stderr, "-8.") {
		t.Errorf("stderr does not say what is true: %s", stderr)
	}
	// What the programs were told.
	for _, program := range []string{old, new} {
		text, err := os.ReadFile(program + ".runs")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		if len(lines) != 6 {
			t.Errorf("%d runs of %s", len(lines), program)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "ceiling --quiet --repeats=1 --output=") || !strings.HasSuffix(line, " --quick=true --engines=mine,other -- a.pcap -b.pcap") {
				t.Errorf("%q", line)
			}
		}
	}
	// The folder is one of results, whole and by sides.
	again, _ := run(t, ExitMissed, "compare", out, "--json", "--fail-if", "ndr[mine]<-5%")
	if again != stdout {
		t.Errorf("the folder says\n%s, the run said\n%s", again, stdout)
	}
	sides, _ := run(t, ExitDone, "compare", filepath.Join(out, "old"), filepath.Join(out, "new"))
	if !strings.Contains(sides, "interleaved: 6 rounds") || strings.Contains(sides, "unpaired") {
		t.Errorf("%s", sides)
	}
	table, _ := run(t, ExitDone, "table", filepath.Join(out, "new"))
	if !strings.Contains(table, "repeats 6") || strings.Contains(table, "unfinished") {
		t.Errorf("%s", table)
	}
	for _, format := range []string{"--csv", "--markdown"} {
		stdout, _ := run(t, ExitDone, "compare", out, format)
		if strings.Count(stdout, "worse") < 2 {
			t.Errorf("%s: %s", format, stdout)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(out, "*")); len(files) != 5 {
		t.Errorf("%v", files)
	}
}

func TestCompareRunGoesOnAfterAFailure(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"whole", "cut"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args := func(where string) []string {
		at := filepath.Join(dir, where)
		return []string{"compare", "--run", simulatedProgram(t, at, "old-100"), simulatedProgram(t, at, "new-100"), "--runs", "4", "-o", filepath.Join(at, "out"), "x.pcap"}
	}
	run(t, ExitDone, args("whole")...)
	cut := args("cut")
	if err := os.WriteFile(filepath.Join(dir, "cut", simulatedPrefix+"new-100.fails"), []byte("3"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, stderr := run(t, ExitFailed, cut...)
	if !strings.Contains(stderr, "the parser fell over in run 3") || !strings.Contains(stderr, "compare --resume") {
		t.Errorf("%s", stderr)
	}
	out := filepath.Join(dir, "cut", "out")
	const unfinished = "unfinished: 2 of 4 rounds are whole"
	if stdout, _ := run(t, ExitDone, "compare", out); !strings.Contains(stdout, unfinished) || !strings.Contains(stdout, "compare --resume "+out) {
		t.Errorf("%s", stdout)
	}
	if _, stderr := run(t, ExitFailed, "compare", out, "--fail-if", "ndr[mine]<-5%"); !strings.Contains(stderr, unfinished) {
		t.Errorf("%s", stderr)
	}
	// As a kill in the middle of writing leaves it: without a part of the last run, and with a line that was cut.
	name := filepath.Join(out, "old", report.RecordsFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(name, []byte(strings.Join(lines[:len(lines)-2], "")+lines[len(lines)-2][:20]), 0o644); err != nil {
		t.Fatal(err)
	}
	// The program that was lost with its run is asked again, for the same.
	runs := filepath.Join(dir, "cut", simulatedPrefix+"old-100.runs")
	if text, err = os.ReadFile(runs); err != nil {
		t.Fatal(err)
	}
	asked := strings.SplitAfter(string(text), "\n")
	if err := os.WriteFile(runs, []byte(strings.Join(asked[:len(asked)-2], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(out, ".run-1")
	if err := os.Mkdir(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, ExitDone, "compare", "--resume", out)
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a killed run left is still there")
	}
	for _, side := range sideNames {
		want := recordsOf(t, filepath.Join(dir, "whole", "out", side))
		if got := recordsOf(t, filepath.Join(out, side)); got != want {
			t.Errorf("%s: resumed\n%s\nat once\n%s", side, got, want)
		}
	}
	if again, _ := run(t, ExitDone, "compare", "--resume", out); !strings.Contains(again, "interleaved: 4 rounds") {
		t.Errorf("a comparison that was done: %s", again)
	}
	// Another program under the same name.
	if err := os.Remove(filepath.Join(dir, "cut", simulatedPrefix+"new-100")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cut", simulatedPrefix+"new-100"), []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "compare", "--resume", out); !strings.Contains(stderr, "is not the program") {
		t.Errorf("%s", stderr)
	}
}

func recordsOf(t *testing.T, dir string) string {
	t.Helper()
	_, records, err := report.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range records {
		lines = append(lines, fmt.Sprint(r.Repeat, r.Cell, r.Kind, r.Result.Busy))
	}
	return strings.Join(lines, "\n")
}

func TestCompareRunEndsEarlyWhereItCanOnlyFail(t *testing.T) {
	dir := t.TempDir()
	old, new := simulatedProgram(t, dir, "old-100"), simulatedProgram(t, dir, "new-100")
	runs := func() int {
		text, _ := os.ReadFile(old + ".runs")
		return strings.Count(string(text), "\n")
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
		runs int // of old
	}{
		{"unknown metric", []string{"--run", old, new, "--fail-if", "ndt<-5%"}, ExitUsage, "unknown metric", 1},
		{"unknown engine", []string{"--run", old, new, "--fail-if", "ndr[nobody]<-5%"}, ExitUsage, "nobody", 1},
		{"true of no change", []string{"--run", old, new, "--fail-if", "ndr<5%"}, ExitUsage, "nothing has changed", 0},
		{"a percent sign that was forgotten", []string{"--run", old, new, "--fail-if", "ndr<-5"}, ExitUsage, "did you mean ndr<-5%?", 0},
		{"a time below zero", []string{"--run", old, new, "--timeout", "-1s"}, ExitUsage, "--timeout", 0},
		{"a time limit for what is there", []string{"--timeout", "1s", "a", "b"}, ExitUsage, "--run", 0},
		{"unknown metric to show", []string{"--run", old, new, "--metric", "speed"}, ExitFailed, "no metric", 1},
		{"three runs", []string{"--run", old, new, "--runs", "3"}, ExitUsage, "--runs 4", 0},
		{"too few for alpha", []string{"--run", old, new, "--alpha", "0.001"}, ExitUsage, "--runs 7", 0},
		{"one program", []string{"--run", old}, ExitUsage, "two programs", 0},
		{"no such program", []string{"--run", filepath.Join(dir, "nothing"), new}, ExitUsage, "OLD", 0},
		{"a folder", []string{"--run", dir, new}, ExitUsage, "folder", 0},
		{"standard input", []string{"--run", old, new, "-"}, ExitUsage, "cannot be read twice", 0},
		{"a flag that is ours", []string{"--run", old, new, "--repeats", "3"}, ExitUsage, "repeats", 0},
		{"a bad flag of ceiling", []string{"--run", old, new, "--trial", "long"}, ExitUsage, "long", 0},
		{"two formats", []string{"--json", "--csv", "a", "b"}, ExitUsage, "choose one", 0},
		{"bad alpha", []string{"--alpha", "5", "a", "b"}, ExitUsage, "--alpha", 0},
		{"strict without a condition", []string{"--strict", "a", "b"}, ExitUsage, "--fail-if", 0},
		{"sizes of what is measured", []string{"--sizes", "64", "a", "b"}, ExitUsage, "--run", 0},
		{"three folders", []string{"a", "b", "c"}, ExitUsage, "two results folders", 0},
		{"nothing there", []string{filepath.Join(dir, "a"), "b"}, ExitFailed, "not a results folder", 0},
		{"a program without --run", []string{old, new}, ExitFailed, "add --run", 0},
		{"one folder that is none", []string{dir}, ExitUsage, "no comparison", 0},
		{"going on with nothing", []string{"--resume", dir}, ExitFailed, "no comparison", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := runs()
			stdout, stderr := run(t, tt.code, append([]string{"compare"}, tt.args...)...)
			if stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("stdout %q, stderr %q: want %q", stdout, stderr, tt.want)
			}
			if n := runs() - before; n != tt.runs {
				t.Errorf("%d runs, want %d", n, tt.runs)
			}
		})
	}
	if err := os.WriteFile(new+".queue", []byte("64"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "compare", "--run", old, new); !strings.Contains(stderr, "queue: 1024, and 64") || !strings.Contains(stderr, "--force") {
		t.Errorf("other settings: %s", stderr)
	}
	if stdout, _ := run(t, ExitDone, "compare", "--run", old, new, "--force"); !strings.Contains(stdout, "differs: queue: old 1024, new 64") {
		t.Errorf("other settings, forced: %s", stdout)
	}
}

func TestCompareRunNamesAProgramThatIsNone(t *testing.T) {
	script := func(text string) string {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	for text, want := range map[string]string{
		"exit 0":                        "made no results folder",
		"echo unknown flag >&2; exit 1": "unknown flag",
		"exit 4":                        "it said nothing",
		"kill -9 $$":                    "killed",
		"echo 1 >&2; exec head -c 99999 /dev/zero >&2": "made no results folder",
	} {
		if _, stderr := run(t, ExitFailed, "compare", "--run", script(text), script(text)); !strings.Contains(stderr, want) || !strings.Contains(stderr, "run 1") {
			t.Errorf("%s: %s", text, stderr)
		}
	}
	// A flag that the program does not take is the user's fault, and the folder is free for better ones.
	out := filepath.Join(t.TempDir(), "out")
	refuses := script("echo unknown flag >&2; exit 2")
	for range 2 {
		if _, stderr := run(t, ExitUsage, "compare", "--run", refuses, refuses, "-o", out); !strings.Contains(stderr, "unknown flag") || strings.Contains(stderr, "--resume") {
			t.Errorf("%s", stderr)
		}
	}
	// One that hangs, with a process that would outlive it.
	defer func(was time.Duration) { compareWaitDelay = was }(compareWaitDelay)
	compareWaitDelay = 200 * time.Millisecond
	hangs := script("trap '' INT; sleep 1000 & wait; wait")
	if _, stderr := run(t, ExitFailed, "compare", "--run", hangs, hangs, "--timeout", "100ms"); !strings.Contains(stderr, "took longer than 100ms (--timeout)") {
		t.Errorf("%s", stderr)
	}
}

// What stands between the simulated programs and real ones: the test binary as old and new, closed loops.
func TestCompareRunOfRealPrograms(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: eight processes that measure")
	}
	t.Setenv("PCAPLAB_TEST_PROGRAM", "1")
	stdout, stderr := run(t, ExitDone, "compare", "--run", "self", "self", "--runs", "4", "--search", "none", "--trial", "2ms", "--cache", "hot", "--engines", "direct",
		"--metric", "cost,allocs,service", "synth:iot-1:300")
	for _, want := range []string{"time per packet (cost)", "allocations per packet", "service ceiling", "direct", "interleaved: 4 rounds"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "the same program") {
		t.Errorf("%s", stderr)
	}
	if _, stderr := run(t, ExitUsage, "compare", "--run", "self", "self", "--engines", "nobody"); !strings.Contains(stderr, "nobody") {
		t.Errorf("an engine that is not there: %s", stderr)
	}
}

func TestCompareStoredFolders(t *testing.T) {
	dir := t.TempDir()
	folder := func(name string, repeats int, queue string) string {
		path := filepath.Join(dir, name)
		h := trial.Header{Schema: trial.Schema, Version: "simulated", Command: "ceiling", Settings: trial.Settings{Unit: "pps", Queue: queue, Clock: "warp", Feed: "virtual",
			Pattern: "constant", Stamp: "due"}, Captures: []trial.Capture{{Name: "a.pcap", SHA256: strings.Repeat("ab", 32), Frames: 1}}}
		if err := simulatedResults(path, h, repeats, 100, rand.New(rand.NewPCG(uint64(name[0]), 1))); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := folder("a", 4, "1024"), folder("b", 4, "1024")
	few, other := folder("few", 3, "1024"), folder("other", 4, "64")
	stdout, _ := run(t, ExitDone, "compare", a, b)
	if !strings.Contains(stdout, "unpaired") {
		t.Errorf("%s", stdout)
	}
	if stdout, _ := run(t, ExitDone, "compare", a, few); !strings.Contains(stdout, "no verdict: 4 runs and 3 runs") {
		t.Errorf("%s", stdout)
	}
	if _, stderr := run(t, ExitFailed, "compare", a, few, "--fail-if", "cost>900%"); !strings.Contains(stderr, "at least 4") {
		t.Errorf("%s", stderr)
	}
	if _, stderr := run(t, ExitFailed, "compare", a, other); !strings.Contains(stderr, "queue") {
		t.Errorf("%s", stderr)
	}
	run(t, ExitDone, "compare", a, other, "--force")
	// A folder with itself has no change at all.
	same, _ := run(t, ExitDone, "compare", a, a, "--json", "--metric", "all", "--fail-if", "cost[mine]>0")
	_, rows, gate := changes(t, same)
	if len(gate["true"].([]any)) != 0 || len(gate["open"].([]any)) != 1 {
		t.Errorf("%v", gate)
	}
	run(t, ExitFailed, "compare", a, a, "--fail-if", "cost[mine]>0", "--strict") // its interval holds more than 0, whatever was measured
	for _, r := range rows {
		if r["shows"] != "~" || r["change"] != 0.0 {
			t.Errorf("%v", r)
		}
	}
	if stdout, _ := run(t, ExitDone, "compare", a, a+"/"); !strings.Contains(stdout, "one folder") {
		t.Errorf("%s", stdout)
	}
	if strings.Contains(stdout, "one folder") {
		t.Errorf("two folders: %s", stdout)
	}
	// What --metric leaves out is compared where a condition names it.
	stdout, _ = run(t, ExitDone, "compare", a, b, "--metric", "ndr", "--fail-if", "service[mine]<-50%", "--csv")
	if !strings.Contains(stdout, "\nservice,") || strings.Contains(stdout, "\ncost,") {
		t.Errorf("%s", stdout)
	}
	// A study that was cut is compared, but answers no gate.
	name := filepath.Join(b, report.RecordsFile)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text[:bytes.LastIndexByte(bytes.TrimSpace(text), '\n')+1], 0o644); err != nil {
		t.Fatal(err)
	}
	const cut = "is unfinished: 7 of 8 cells x repeats"
	if stdout, _ := run(t, ExitDone, "compare", a, b); !strings.Contains(stdout, cut) {
		t.Errorf("%s", stdout)
	}
	if _, stderr := run(t, ExitFailed, "compare", a, b, "--fail-if", "ndr[mine]<-50%"); !strings.Contains(stderr, cut) || !strings.Contains(stderr, "--force") {
		t.Errorf("%s", stderr)
	}
	run(t, ExitDone, "compare", a, b, "--fail-if", "ndr[mine]<-50%", "--force")
}

func TestCompareRunNoticesAProgramThatIsReplaced(t *testing.T) {
	dir := t.TempDir()
	old, new := simulatedProgram(t, dir, "old-100"), simulatedProgram(t, dir, "new-100")
	if err := os.WriteFile(new+".replaced", []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	_, stderr := run(t, ExitFailed, "compare", "--run", old, new, "-o", out)
	if !strings.Contains(stderr, "new ("+new+"), run 1") || !strings.Contains(stderr, "is not the program that the comparison began with") {
		t.Errorf("%s", stderr)
	}
	if _, err := os.Stat(filepath.Join(out, "new")); err == nil {
		t.Error("results of a program that was replaced were kept")
	}
	// A comparison that has nothing of one side yet says how to go on.
	for _, args := range [][]string{{out}, {out, "--json"}} {
		if _, stderr := run(t, ExitFailed, append([]string{"compare"}, args...)...); !strings.Contains(stderr, "unfinished") || !strings.Contains(stderr, "compare --resume "+out) {
			t.Errorf("%s", stderr)
		}
	}
}

func TestCompareRunNamesTheRunThatDiffers(t *testing.T) {
	dir := t.TempDir()
	w := &comparing{app: &app{Program: program(), stderr: io.Discard}, path: dir, plan: comparePlan{Runs: 4}}
	for i := range w.plan.Programs {
		var err error
		if w.plan.Programs[i], err = findProgram(simulatedProgram(t, dir, sideNames[i]+"-100")); err != nil {
			t.Fatal(err)
		}
	}
	queue := "1024"
	w.run = func(context.Context, int) (trial.Header, []trial.Record, error) {
		h := trial.Header{Schema: trial.Schema, Settings: trial.Settings{Queue: queue}}
		output := filepath.Join(dir, "made-"+queue)
		if err := simulatedResults(output, h, 1, 100, rand.New(rand.NewPCG(1, 2))); err != nil {
			return h, nil, err
		}
		return report.Read(output)
	}
	if err := w.once(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	defer w.folders[0].Close()
	queue = "64"
	err := w.once(t.Context(), 0, 3)
	if err == nil || !strings.Contains(err.Error(), "run 3: the first run of old and this one were not measured alike: queue: 1024, and 64") {
		t.Errorf("%v", err)
	}
	if err := (&compareFlags{}).refused(err); strings.Contains(err.Error(), "--force") {
		t.Errorf("%v", err)
	}
}

func TestCompareRunLimitsARun(t *testing.T) {
	for _, tt := range []struct{ given, longest, want time.Duration }{
		{0, 0, 0}, {time.Second, 0, time.Second}, {time.Second, time.Hour, time.Second}, {0, time.Second, 10 * time.Minute}, {0, time.Hour, 10 * time.Hour},
	} {
		if got := (&comparing{timeout: tt.given, longest: tt.longest}).limit(); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestWhatAProgramSaidIsFitForATerminal(t *testing.T) {
	for said, want := range map[string]string{
		"":                               "it said nothing",
		" \n":                            "it said nothing",
		"two\nlines\n":                   "two\nlines",
		"\x1b[31mred\r\a":                "\ufffd[31mred\ufffd\ufffd",
		"not \xff UTF-8, and \u202eback": "not \ufffd UTF-8, and \ufffdback",
		strings.Repeat("€", 3000) + "x":  strings.Repeat("€", (tailOctets-1)/3) + "x",
	} {
		var said1 tail
		for _, b := range []byte(said) {
			said1.Write([]byte{b})
		}
		if got := said1.String(); got != want {
			t.Errorf("%.40q: %.60q, want %.60q", said, got, want)
		}
	}
}

func TestOrderOfRoundsIsBalancedAndSeeded(t *testing.T) {
	orders := make(map[string]bool)
	for seed := range uint64(200) {
		p := comparePlan{Seed: seed}
		var order strings.Builder
		for round := 1; round <= 6; round++ {
			fmt.Fprint(&order, map[bool]string{true: "o", false: "n"}[p.oldFirst(round)])
			if round%2 == 0 && p.oldFirst(round) == p.oldFirst(round-1) {
				t.Fatalf("seed %d: rounds %d and %d have the same order", seed, round-1, round)
			}
		}
		orders[order.String()] = true
	}
	if len(orders) != 8 {
		t.Errorf("%d orders of 8 were drawn: %v", len(orders), orders)
	}
	if one, other := drawSeed(), drawSeed(); one == other {
		t.Error("two comparisons have the same order")
	}
}

func TestCompareKnowsTheFlagsOfCeiling(t *testing.T) {
	a := &app{Program: program()}
	ceiling, compare := a.ceilingCommand(), a.compareCommand()
	words := bufio.NewScanner(strings.NewReader(ceiling.Flags().FlagUsages()))
	n := 0
	for words.Scan() {
		at := strings.Index(words.Text(), "--")
		if at < 0 || at > 8 {
			continue
		}
		name := strings.Fields(words.Text()[at+2:])[0]
		n++
		if compare.Flags().Lookup(name) == nil && !strings.Contains(strings.Join(notPassed, " "), name) {
			t.Errorf("--%s is not passed on", name)
		}
	}
	if n < 20 {
		t.Errorf("only %d flags seen", n)
	}
}
