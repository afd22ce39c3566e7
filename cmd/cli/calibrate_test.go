package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis/calibration"
	"pcaplab/parse"
	"pcaplab/parse/gopkt"
)

// calibrateIn runs pcaplab calibrate with two engines.
func calibrateIn(ctx context.Context, boards []place, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{Program: program(), stdout: &out, stderr: &errs, stdin: strings.NewReader(""), boards: boards}
	a.Engines = []parse.Engine{parse.DirectEngine()}
	for _, e := range gopkt.Engines() {
		if e.Name == "gopacket-layers" {
			a.Engines = append(a.Engines, e)
		}
	}
	for i := range a.boards {
		a.boards[i].bench = here{a}
	}
	code = a.run(ctx, append([]string{"calibrate"}, args...))
	return code, out.String(), errs.String()
}

func TestCalibrate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kit.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := calibrateIn(t.Context(), nil, "--quick", "-o", path)
	if code != ExitDone {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	first, err := calibration.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Quick || first.InProcess || len(first.Cells) != 2*2*2 || len(first.Counts) != 2 {
		t.Errorf("quick %v, in process %v, %d cells, %d counts", first.Quick, first.InProcess, len(first.Cells), len(first.Counts))
	}
	for _, want := range []string{"dependent load", "branch-random", "gopacket-layers", "doubt: quick: ", "64.0 MiB"} {
		if !strings.Contains(stdout, want) && !(want == "64.0 MiB" && len(first.Kernels.Skipped) > 0) {
			t.Errorf("the tables do not say %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "calibration in "+path) {
		t.Errorf("notes do not name the file:\n%s", stderr)
	}
	// Engines that count otherwise than the kit's, or wrong kernels, would be doubts or an error.
	if strings.Contains(stdout, "otherwise") {
		t.Errorf("the counts are not the kit's:\n%s", stdout)
	}

	code, stdout, stderr = calibrateIn(t.Context(), []place{{name: "a board"}}, "--quick", "--in-process", "-q", "--json")
	if code != ExitDone || stderr != "" {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if strings.Contains(stdout, "a board") {
		t.Errorf("the file names the only host: %.100s", stdout)
	}
	second, err := calibration.Read(strings.NewReader(stdout))
	if err != nil {
		t.Fatal(err)
	}
	if !second.InProcess {
		t.Error("in process, and the file does not say so")
	}
	if a, b := digests(first), digests(second); a != b {
		t.Errorf("two runs differ in what must be equal:\n%s\n%s", a, b)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// digests is all that must be equal on every machine.
func digests(f *calibration.File) string {
	var b strings.Builder
	fmt.Fprintln(&b, f.Traffic.SHA256)
	for _, c := range f.Counts {
		fmt.Fprintln(&b, c.Engine, c.SHA256)
	}
	for _, k := range f.Kernels.Kernels {
		fmt.Fprintln(&b, k.Name, k.Ops, k.Checksum)
	}
	for _, c := range f.Cells {
		fmt.Fprintln(&b, c.Engine, c.Size, c.Cache, c.WorkingSet)
	}
	return b.String()
}

func TestCalibrateInterruptedLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.json")
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	time.AfterFunc(300*time.Millisecond, cancel)
	code, stdout, stderr := calibrateIn(ctx, nil, "-o", path)
	if code != ExitInterrupted || stdout != "" {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "nothing was kept of it") {
		t.Errorf("it does not say what became of it:\n%s", stderr)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file is there: %v", err)
	}
}

func TestCalibrateRefusesBeforeItMeasures(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"an argument", []string{"calibrate", "capture.pcap"}, "capture.pcap"},
		{"a folder", []string{"calibrate", "-o", dir}, "not a regular file"},
		{"no folder", []string{"calibrate", "-o", filepath.Join(dir, "none", "kit.json")}, "no such file or directory"},
		{"engines", []string{"calibrate", "--engines", "direct"}, "--engines"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, stderr := run(t, ExitUsage, test.args...); !strings.Contains(stderr, test.want) {
				t.Errorf("%q, want %q", stderr, test.want)
			}
		})
	}
}

func TestCalibrationFileOfEachBoard(t *testing.T) {
	two := []place{{name: "pi@zero"}, {name: "ssh://pi@pi5:22"}}
	for _, test := range []struct {
		output string
		places []place
		want   []string
	}{
		{"kit.json", two[:1], []string{"kit.json"}},
		{"kit.json", two, []string{"kit-pi@zero.json", "kit-ssh___pi@pi5_22.json"}},
		{"a.b/kit", two, []string{"a.b/kit-pi@zero", "a.b/kit-ssh___pi@pi5_22"}},
		{"", two, []string{"", ""}},
	} {
		k := calibrateFlags{output: test.output}
		for i, p := range test.places {
			if got := k.file(p, test.places); got != test.want[i] {
				t.Errorf("%q of %s: %q, want %q", test.output, p.name, got, test.want[i])
			}
		}
	}
}

func TestUnknownQuestion(t *testing.T) {
	a := &app{Program: program()}
	if _, err := (here{a}).answer(t.Context(), question{Kind: "weather"}); err == nil || !strings.Contains(err.Error(), "weather") {
		t.Errorf("%v", err)
	}
}

func TestCalibrationOfAFailedBoardDoesNotHideTheOthers(t *testing.T) {
	// A bench that cannot answer fails alone, and by its name.
	var out, errs bytes.Buffer
	a := &app{Program: program(), stdout: &out, stderr: &errs, boards: []place{{"deaf", deaf{}}, {"mute", deaf{}}}}
	code := a.run(t.Context(), []string{"calibrate", "--quick"})
	if code != ExitFailed || !strings.Contains(errs.String(), "deaf: no answer") || !strings.Contains(errs.String(), "mute: no answer") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

type deaf struct{}

func (deaf) study(context.Context, *job, *events) error { return fmt.Errorf("no study") }
func (deaf) answer(context.Context, question) (json.RawMessage, error) {
	return nil, fmt.Errorf("no answer")
}
