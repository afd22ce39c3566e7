package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pcaplab/datasets/manifest"
)

// scanTree makes a folder of captures: two of a class, one of the user's, one that is cut, and a text.
func scanTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	for name, frames := range map[string]string{"PCAP/MITM-ArpSpoofing/MITM-ArpSpoofing.pcap": "300", "pcap/mitm-arpspoofing/mitm-arpspoofing1 (1).pcap": "200", "lab/a.pcap": "100"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		run(t, ExitDone, "synth", "iot-1", "--frames", frames, "-o", path)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("a text"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDatasetScanAndVerify(t *testing.T) {
	dir := scanTree(t)
	stdout, stderr := run(t, ExitDone, "dataset", "scan", dir)
	for _, want := range []string{"MITM-ArpSpoofing", "2/2", "500", "lab", "100", "total", "600"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	for _, want := range []string{"no file of 33 classes", "1 file is no capture: notes.txt"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in\n%s", want, stderr)
		}
	}
	file := filepath.Join(dir, manifest.FileName)
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	printed, _ := run(t, ExitDone, "dataset", "scan", "--json", dir)
	if printed != string(kept) {
		t.Errorf("printed\n%s, want\n%s", printed, kept)
	}
	if printed, _ = run(t, ExitDone, "dataset", "scan", "--jobs", "1", "-o", "-", dir); printed != string(kept) {
		t.Errorf("printed\n%s, want\n%s", printed, kept)
	}
	if printed, _ = run(t, ExitDone, "dataset", "scan", "-o", "-", "--no-hash", dir); strings.Contains(printed, "sha256") {
		t.Errorf("printed\n%s", printed)
	}
	run(t, ExitDone, "dataset", "verify", dir)
	run(t, ExitDone, "dataset", "verify", "--quick", file)
	t.Chdir(dir)
	if _, stderr = run(t, ExitDone, "dataset", "verify"); !strings.Contains(stderr, "3 files read") {
		t.Errorf("%s", stderr)
	}
	run(t, ExitFailed, "dataset", "verify", "--folder", t.TempDir())

	// A capture that is cut is a fault, in a scan and to the manifest before.
	path := filepath.Join(dir, "lab", "a.pcap")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content[:len(content)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr = run(t, ExitFailed, "dataset", "verify", "--json", dir)
	var result struct {
		Complete    bool
		Files       int
		Differences []manifest.Difference
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || !result.Complete || result.Files != 3 || len(result.Differences) != 1 ||
		result.Differences[0].Path != "lab/a.pcap" || result.Differences[0].What != "size" {
		t.Errorf("%v\n%s%s", err, stdout, stderr)
	}
	stdout, stderr = run(t, ExitFailed, "dataset", "scan", dir)
	if !strings.Contains(stderr, "lab/a.pcap: cut: record 100 at offset") || !strings.Contains(stderr, "1 fault") || !strings.Contains(stdout, "99") {
		t.Errorf("%s%s", stdout, stderr)
	}
	run(t, ExitDone, "dataset", "verify", dir) // as the new manifest says
}

func TestDatasetScanKeepsOtherFiles(t *testing.T) {
	dir := scanTree(t)
	notes := filepath.Join(dir, "notes.txt")
	_, stderr := run(t, ExitFailed, "dataset", "scan", "-o", notes, dir)
	if content, err := os.ReadFile(notes); err != nil || string(content) != "a text" || !strings.Contains(stderr, "--again") {
		t.Errorf("%q, %v: %s", content, err, stderr)
	}
	run(t, ExitDone, "dataset", "scan", "--again", "-o", notes, dir)
	if m, _, _, err := manifest.Load(notes); err != nil || len(m.Others) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	_, stderr = run(t, ExitFailed, "dataset", "scan", "-o", filepath.Join(dir, "none", "m.json"), dir)
	if !strings.Contains(stderr, "-o") {
		t.Error(stderr)
	}
}

func TestDatasetScanUsage(t *testing.T) {
	dir := scanTree(t)
	for _, args := range [][]string{{"scan"}, {"scan", dir, dir}, {"scan", filepath.Join(dir, "notes.txt")}, {"scan", "--jobs", "-1", dir},
		{"verify", dir, dir}, {"verify", "--jobs", "-1", dir}} {
		run(t, ExitUsage, append([]string{"dataset"}, args...)...)
	}
	run(t, ExitFailed, "dataset", "scan", dir+"none")
	if _, stderr := run(t, ExitFailed, "dataset", "verify", dir); !strings.Contains(stderr, "dataset scan") {
		t.Error(stderr)
	}
}

func TestDatasetScanInterrupted(t *testing.T) {
	dir := scanTree(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if code, stdout, _ := runIn(ctx, strings.NewReader(""), "dataset", "scan", dir); code != ExitInterrupted || stdout != "" {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	if _, err := os.Stat(filepath.Join(dir, manifest.FileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a manifest of nothing: %v", err)
	}
	// What an earlier scan knew stays, and the next goes on.
	run(t, ExitDone, "dataset", "scan", dir)
	whole, err := os.ReadFile(filepath.Join(dir, manifest.FileName))
	if err != nil {
		t.Fatal(err)
	}
	more := filepath.Join(dir, "lab", "b.pcap")
	run(t, ExitDone, "synth", "iot-1", "--frames", "50", "-o", more)
	code, _, stderr := runIn(ctx, strings.NewReader(""), "dataset", "scan", dir)
	m, _, _, err := manifest.Load(dir)
	if code != ExitInterrupted || err != nil || m.Complete || len(m.Files) != 3 || !strings.Contains(stderr, "3 files are in") {
		t.Errorf("exit code %d, %+v, %v: %s", code, m, err, stderr)
	}
	if err := os.Remove(more); err != nil {
		t.Fatal(err)
	}
	run(t, ExitDone, "dataset", "scan", dir)
	if again, err := os.ReadFile(filepath.Join(dir, manifest.FileName)); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("%v\n%s, want\n%s", err, again, whole)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Names of files do not reach the terminal's controls.
func TestDatasetScanShowsNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such names")
	}
	dir := filepath.Join(t.TempDir(), "set")
	folder := filepath.Join(dir, "la\nb\x1b[2J")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"x\n\x1b[31m.pcap", "y\u009b.txt", "z\u202e.pcap"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("a text"), 0o600); err != nil {
			t.Skip(err)
		}
	}
	check := func(text string) {
		t.Helper()
		if strings.ContainsAny(text, "\x1b\u009b\u202e") || strings.Contains(text, "la\nb") || strings.Contains(text, "x\n") {
			t.Errorf("%q", text)
		}
	}
	stdout, stderr := run(t, ExitFailed, "dataset", "scan", "--no-hash", dir)
	check(stdout)
	check(stderr)
	if !strings.Contains(stderr, `la\nb\x1b[2J/x\n\x1b[31m.pcap`) {
		t.Errorf("%s", stderr)
	}
	if err := os.Remove(filepath.Join(folder, "z\u202e.pcap")); err != nil {
		t.Fatal(err)
	}
	stdout, stderr = run(t, ExitFailed, "dataset", "verify", dir)
	check(stdout)
	check(stderr)
	if !strings.Contains(stdout, `z\u202e.pcap: is missing`) {
		t.Errorf("%s", stdout)
	}
	_, stderr = run(t, ExitFailed, "dataset", "verify", filepath.Join(folder, "none"))
	check(stderr)
}

func TestDatasetVerifyWithoutSums(t *testing.T) {
	dir := scanTree(t)
	run(t, ExitDone, "dataset", "scan", "--no-hash", dir)
	if _, stderr := run(t, ExitDone, "dataset", "verify", dir); !strings.Contains(stderr, "of 3 the manifest has no SHA-256: counts and times only") {
		t.Error(stderr)
	}
	if stdout, _ := run(t, ExitDone, "dataset", "verify", "--json", dir); !strings.Contains(stdout, `"counts_only":3`) {
		t.Error(stdout)
	}
}
