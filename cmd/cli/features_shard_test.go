package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/shard"
)

// mustRead returns a file.
func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	octets, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// TestFeaturesInShards makes shards of a tree of captures by its manifest, one after another, and joins them.
func TestFeaturesInShards(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SLURM_ARRAY_TASK_ID", "2")
	class := filepath.Join(dir, "PCAP", "DDoS-UDP_Flood")
	if err := os.MkdirAll(class, 0o777); err != nil {
		t.Fatal(err)
	}
	large, small := filepath.Join(class, "DDoS-UDP_Flood.pcap"), filepath.Join(class, "DDoS-UDP_Flood1.pcap")
	run(t, ExitDone, "synth", "udp-1518", "--frames", "16000", "-o", large)
	run(t, ExitDone, "synth", "iot-1", "--frames", "300", "-o", small)
	run(t, ExitDone, "dataset", "scan", filepath.Join(dir, "PCAP"))
	for _, c := range []struct {
		format string
		args   []string
	}{
		{"csv", nil},
		{"parquet", []string{"--window", "cic", "--label", "folder", "--as", "released"}},
	} {
		args := append([]string{"features", "--format", c.format}, c.args...)
		single, merged, shards := filepath.Join(dir, "single."+c.format), filepath.Join(dir, "merged."+c.format), filepath.Join(dir, c.format)
		run(t, ExitDone, append(append([]string{}, args...), "-o", single, large, small)...)
		for _, part := range []string{"3/3", "/3", "1/3"} { // the middle one by the environment
			_, notes := run(t, ExitDone, append(append([]string{}, args...), "--shard", part, "-o", shards, large, small)...)
			if !strings.Contains(notes, "manifest: ") || strings.Contains(notes, "not cut inside") {
				t.Errorf("--shard %s: %s", part, notes)
			}
		}
		out, notes := run(t, ExitDone, append(append([]string{}, args...), "--json", "--shard", "2/3", "--manifest", filepath.Join(dir, "PCAP"), "-o", shards, large, small)...)
		var said struct {
			Existed bool
			Dir     string
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || !said.Existed || !strings.Contains(notes, "shard 2/3 is there already, whole") {
			t.Errorf("a second time: %s%s%v", out, notes, err)
		}
		run(t, ExitDone, "merge", shards, "-o", merged)
		if !bytes.Equal(mustRead(t, single), mustRead(t, merged)) {
			t.Errorf("%s: joined shards are not the single run", c.format)
		}
		stdout, _ := run(t, ExitDone, "merge", shards, "-o", "-")
		if stdout != string(mustRead(t, single)) {
			t.Errorf("%s: joined to standard output, shards are not the single run", c.format)
		}
		// A damaged shard is found, named and replaced.
		if err := os.WriteFile(filepath.Join(said.Dir, "vectors"), bytes.Repeat([]byte{0}, len(mustRead(t, filepath.Join(said.Dir, "vectors")))), 0o666); err != nil {
			t.Fatal(err)
		}
		before := mustRead(t, merged)
		if _, notes := run(t, ExitFailed, "merge", shards, "-o", merged); !strings.Contains(notes, said.Dir) || !strings.Contains(notes, "--shard 2/3") {
			t.Errorf("damaged: %s", notes)
		}
		if !bytes.Equal(before, mustRead(t, merged)) {
			t.Error("a merge that failed changed its output")
		}
		run(t, ExitDone, append(append([]string{}, args...), "--shard", "2/3", "-o", shards, large, small)...)
		run(t, ExitDone, "merge", shards, "-o", merged)
	}
	run(t, ExitUsage, "merge", filepath.Join(dir, "csv"), "-o", filepath.Join(dir, "wrong.parquet"))
}

// TestShardsOfWhatTheManifestSays: captures that are not as the manifest says are refused; copies of another age are compared.
func TestShardsOfWhatTheManifestSays(t *testing.T) {
	dir := t.TempDir()
	capture := synthIoT(t, filepath.Join(dir, "a.pcap"), "200")
	features := func(want int, args ...string) string {
		t.Helper()
		_, notes := run(t, want, append([]string{"features", "--shard", "1/1", "-o", filepath.Join(t.TempDir(), "shards")}, args...)...)
		return notes
	}
	holds := func(notes, want string) {
		t.Helper()
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in: %s", want, notes)
		}
	}
	holds(features(ExitDone, capture), "no manifest has 1 capture")
	run(t, ExitDone, "dataset", "scan", dir)
	holds(features(ExitDone, capture), "manifest: ")
	holds(features(ExitFailed, "--manifest", dir, synthIoT(t, filepath.Join(dir, "b.pcap"), "100")), "count from the folder that it lies in")
	holds(features(ExitFailed, "--manifest", filepath.Join(dir, "none.json"), capture), "make it with dataset scan")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(capture, later, later); err != nil {
		t.Fatal(err)
	}
	holds(features(ExitDone, capture), "comparing its SHA-256")
	octets := mustRead(t, capture)
	octets[len(octets)-1] ^= 1
	if err := os.WriteFile(capture, octets, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(capture, later, later); err != nil {
		t.Fatal(err)
	}
	holds(features(ExitFailed, capture), "scan it again")
	if err := os.WriteFile(capture, octets[:len(octets)-1], 0o666); err != nil {
		t.Fatal(err)
	}
	holds(features(ExitFailed, capture), "octets, the manifest")
	run(t, ExitFailed, "dataset", "scan", "--no-hash", "--again", "-o", filepath.Join(dir, "short.json"), dir)
	holds(features(ExitFailed, "--manifest", filepath.Join(dir, "short.json"), filepath.Join(dir, "b.pcap")), "without --no-hash")
	for _, c := range [][]string{
		{"--shard", "3/2", "-o", dir, capture}, {"--shard", "1/2", capture}, {"--shard", "1/2", "-o", "x.csv", capture}, {"--shard", "1/2", "-o", dir, "-"},
		{"--shard", "1/2", "-o", dir, "synth:iot-1:100"}, {"--shard", "1/2", "--resume", "-o", dir, capture}, {"--whole-captures", capture},
		{"--manifest", dir, capture}, {"--shard", "env", "-o", dir, capture}, {"--shard", "/2", "-o", dir, capture},
	} {
		run(t, ExitUsage, append([]string{"features"}, c...)...)
	}
}

// TestDamagedCapturesInShards: a shard of a damaged capture is whole; joining them says and writes what a single run does.
func TestDamagedCapturesInShards(t *testing.T) {
	dir := t.TempDir()
	whole, cut := synthIoT(t, filepath.Join(dir, "a.pcap"), "200"), synthIoT(t, filepath.Join(dir, "b.pcap"), "200")
	if err := os.Truncate(cut, 20_000); err != nil {
		t.Fatal(err)
	}
	single, merged, shards := filepath.Join(dir, "single.csv"), filepath.Join(dir, "merged.csv"), filepath.Join(dir, "shards")
	_, want := run(t, ExitFailed, "features", "-q", "-o", single, cut, whole)
	for _, part := range []string{"1/2", "2/2"} {
		run(t, ExitDone, "features", "--shard", part, "-o", shards, cut, whole)
	}
	_, got := run(t, ExitFailed, "merge", "-q", shards, "-o", merged)
	if strings.Count(got, "(shards made again with --salvage keep the frames that can be trusted)") != 1 || strings.Count(want, "(--salvage keeps ") != 1 {
		t.Errorf("joined: %sa single run: %s", got, want)
	}
	got = strings.ReplaceAll(got, "(shards made again with --salvage keep ", "(--salvage keeps ")
	if strings.ReplaceAll(got, merged, single) != want || !strings.Contains(want, single+" is written") || !bytes.Equal(mustRead(t, single), mustRead(t, merged)) {
		t.Errorf("joined: %sa single run: %s", got, want)
	}
}

// TestForeignManifestsArePassedBy: what is called manifest.json above captures and was not asked for ends nothing.
func TestForeignManifestsArePassedBy(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	capture := synthIoT(t, filepath.Join(dir, "a.pcap"), "100")
	if err := os.WriteFile(filepath.Join(top, "manifest.json"), []byte(`{"name": "web app"}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(top, "a", "manifest.json"), 0o777); err != nil {
		t.Fatal(err)
	}
	_, notes := run(t, ExitDone, "features", "--shard", "1/1", "-o", filepath.Join(top, "shards"), capture)
	for _, want := range []string{"no manifest, passed by: " + filepath.Join(top, "manifest.json"), filepath.Join("a", "manifest.json") + " is no file: passed by", "no manifest has 1 capture"} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not in: %s", want, notes)
		}
	}
	run(t, ExitFailed, "features", "--shard", "1/1", "--manifest", top, "-o", filepath.Join(top, "others"), capture)
}

// TestOnlyCopiesThatAreReadAreHashed: of captures that are copies a shard compares only its own.
func TestOnlyCopiesThatAreReadAreHashed(t *testing.T) {
	dir := t.TempDir()
	var captures []string
	for _, name := range []string{"a.pcap", "b.pcap"} {
		captures = append(captures, synthIoT(t, filepath.Join(dir, name), "100"))
	}
	run(t, ExitDone, "dataset", "scan", dir)
	later := time.Now().Add(time.Hour)
	for _, c := range captures {
		if err := os.Chtimes(c, later, later); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"features", "--shard", "1/2", "-o", filepath.Join(dir, "shards")}, captures...)
	if _, notes := run(t, ExitDone, args...); strings.Count(notes, "comparing its SHA-256") != 1 || !strings.Contains(notes, captures[0]+" is not as old") {
		t.Errorf("notes: %s", notes)
	}
	if _, notes := run(t, ExitDone, args...); strings.Contains(notes, "comparing") {
		t.Errorf("of a shard that is there: %s", notes)
	}
}

// TestShardsOfWhatIsNoCapture: an empty file and a text are refused, as in a single run.
func TestShardsOfWhatIsNoCapture(t *testing.T) {
	dir := t.TempDir()
	empty, text, capture := filepath.Join(dir, "a.pcap"), filepath.Join(dir, "b.pcap"), synthIoT(t, filepath.Join(dir, "c.pcap"), "100")
	if err := errors.Join(os.WriteFile(empty, nil, 0o666), os.WriteFile(text, []byte("no capture at all, but a text\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	shards := filepath.Join(dir, "shards")
	for _, args := range [][]string{{"-o", filepath.Join(dir, "single.parquet")}, {"--format", "parquet", "--shard", "1/2", "-o", shards}} {
		_, notes := run(t, ExitFailed, append(append([]string{"features"}, args...), empty, text, capture)...)
		for _, want := range []string{empty + ": ", "empty: no octets", text + ": ", "it is text"} {
			if !strings.Contains(notes, want) {
				t.Errorf("%q is not in: %s", want, notes)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "s*", "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestCommandOfAShard: --shard is a flag only before --, and the command of another shard has it there.
func TestCommandOfAShard(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"features", "--shard", "1/3", "-o", "x y", "a.pcap"}, "p features -o 'x y' a.pcap --shard 2/3"},
		{[]string{"features", "--shard=1/3", "-o", "x", "--", "-a.pcap", "%s", "--shard"}, "p features -o x --shard 2/3 -- -a.pcap %s --shard"},
	} {
		a := &app{args: c.args}
		a.Name = "p"
		job := shard.Job{Again: new(shardFlag).again(a), Ranges: make([]shard.Range, 3)}
		if got := job.Command(2); got != c.want {
			t.Errorf("%q: %s", c.args, got)
		}
	}
}
