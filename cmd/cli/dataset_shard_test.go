package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/flock"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/shard"
)

// inShards runs a command once for each of n shards, in any order, into dir.
func inShards(t *testing.T, rng *rand.Rand, n int, dir string, args ...string) {
	t.Helper()
	for _, i := range rng.Perm(n) {
		run(t, ExitDone, append(slices.Clone(args), "-o", dir, "--shard", fmt.Sprintf("%d/%d", i+1, n))...)
	}
}

// tree returns the content of all files below a folder by their names.
func treeOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(rel)] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

func sameTrees(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if other, ok := got[name]; !ok {
			t.Errorf("%s: no %s", what, name)
		} else if other != text {
			t.Errorf("%s: %s has other octets", what, name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is too much", what, name)
		}
	}
}

// refusals maps what a merge must say to what is done to a copy of the shards before it.
func refusals(t *testing.T, dir, output string, cases map[string]func(copied string)) {
	t.Helper()
	for want, spoil := range cases {
		copied := filepath.Join(t.TempDir(), "shards")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		spoil(copied)
		code, _, stderr := runIn(context.Background(), nil, "merge", copied, "-o", output)
		if code != ExitFailed || !strings.Contains(stderr, want) {
			t.Errorf("exit code %d, stderr\n%swant %q", code, stderr, want)
		}
		if _, err := os.Lstat(output); err == nil {
			t.Errorf("%q: there is an output", want)
		}
	}
}

// shardIn returns the folder of shard i.
func shardIn(t *testing.T, dir string, i int) *shard.Shard {
	t.Helper()
	set, err := shard.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range set.Shards {
		if s.Index == i {
			return s
		}
	}
	t.Fatalf("%s has no shard %d", dir, i)
	return nil
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// flip changes an octet in the middle of a file.
func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// scannable is a tree of small captures with faults and other files among them.
func scannable(t *testing.T) string {
	dir, _ := synthDir(t, "--packets", "150", "--split", "4000", "--classes", "DDoS-SYN_Flood,XSS,Mirai-udpplain")
	for name, text := range map[string]string{"own/none.pcap": "this is no capture", "own/readme": "nor this", "PCAP/XSS/late.pcap.part": "half"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScanInShards(t *testing.T) {
	dir := scannable(t)
	single := filepath.Join(t.TempDir(), "single.json")
	code, table, said := runIn(context.Background(), nil, "dataset", "scan", "-o", single, dir)
	if code != ExitFailed || !strings.Contains(said, "none.pcap") {
		t.Fatalf("exit code %d, %s", code, said)
	}
	want, err := os.ReadFile(single)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 4, 23} {
		shards, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged.json")
		inShards(t, rng, n, shards, "dataset", "scan", dir)
		code, stdout, stderr := runIn(context.Background(), nil, "merge", shards, "-o", merged)
		if code != ExitFailed || !strings.Contains(stderr, "1 fault") || stdout != table {
			t.Errorf("%d shards: exit code %d, stderr\n%sstdout\n%swant\n%s", n, code, stderr, stdout, table)
		}
		if got, err := os.ReadFile(merged); err != nil || string(got) != string(want) {
			t.Errorf("%d shards: %v, another manifest\n%s\nwant\n%s", n, err, got, want)
		}
		if code, stdout, _ := runIn(context.Background(), nil, "merge", "--json", shards, "-o", merged); code != ExitFailed || !json.Valid([]byte(stdout)) {
			t.Errorf("%d shards: exit code %d, --json prints %q", n, code, stdout)
		}
		if _, got, _ := runIn(context.Background(), nil, "merge", shards, "-o", "-"); got != string(want) {
			t.Errorf("%d shards: standard output has another manifest", n)
		}
	}
}

// Shards are balanced by octets, whatever the number of files.
func TestScanShardsAreBalanced(t *testing.T) {
	survey := &manifest.Manifest{Root: "x"}
	var total, most uint64
	for i := range 500 {
		octets := int64(1 + i*i%97*1000)
		survey.Files = append(survey.Files, manifest.File{Path: strconv.Itoa(i), Octets: octets})
		total += uint64(octets)
		most = max(most, uint64(octets))
	}
	job, spans, err := scanJob(survey, &scanFlags{}, 7)
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for i, s := range spans {
		if s.From != next {
			t.Errorf("shard %d begins with %d, not with %d", i+1, s.From, next)
		}
		next = s.To
		if w := job.Ranges[i].Weight; w > total/7+most || w+most < total/7 {
			t.Errorf("shard %d has %d octets of %d", i+1, w, total)
		}
	}
	if next != 500 {
		t.Errorf("%d files are in shards", next)
	}
}

func TestScanShardsThatAreNot(t *testing.T) {
	dir := scannable(t)
	shards, output := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged.json")
	inShards(t, rand.New(rand.NewPCG(1, 2)), 3, shards, "dataset", "scan", dir)
	if _, stderr := run(t, ExitDone, "dataset", "scan", dir, "-o", shards, "--shard", "2/3"); !strings.Contains(stderr, "is there already") {
		t.Errorf("again: %q", stderr)
	}
	other := filepath.Join(t.TempDir(), "other")
	run(t, ExitDone, "dataset", "scan", "--no-hash", dir, "-o", other, "--shard", "2/3")
	refusals(t, shards, output, map[string]func(string){
		"shard 2/3 is missing": func(d string) { remove(t, shardIn(t, d, 2).Dir) },
		"hash is false":        func(d string) { remove(t, shardIn(t, d, 2).Dir); copyDir(t, other, filepath.Join(d, "other")) },
		"is damaged":           func(d string) { flip(t, filepath.Join(shardIn(t, d, 3).Dir, manifest.FileName)) },
	})
	// A file that changed makes it another job, and says which file.
	path := filepath.Join(dir, "own", "none.pcap")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed")
	run(t, ExitDone, "dataset", "scan", dir, "-o", changed, "--shard", "2/3")
	refusals(t, shards, output, map[string]func(string){
		".modified is": func(d string) { remove(t, shardIn(t, d, 2).Dir); copyDir(t, changed, filepath.Join(d, "changed")) },
	})
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"-o DIR", nil},
		{"-o DIR", []string{"-o", "-"}},
		{"--again", []string{"-o", shards, "--again"}},
		{"--json", []string{"-o", shards, "--json"}},
		{"lies in", []string{"-o", filepath.Join(dir, "new", "shards")}},
		{"lies in", []string{"-o", dir}},
	} {
		if _, stderr := run(t, ExitUsage, append([]string{"dataset", "scan", dir, "--shard", "1/3"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: stderr %q, want %q", tt.args, stderr, tt.want)
		}
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

func TestSynthInShards(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	some := "DDoS-SYN_Flood,XSS,DDoS-ICMP_Flood"
	for name, args := range map[string][]string{
		"packets":           {"--packets", "300", "--classes", some},
		"captures by size":  {"--packets", "300", "--split", "5000", "--classes", some},
		"few large":         {"--packets", "300", "--split", "500000", "--classes", some},
		"size":              {"--size", "30kB", "--classes", some, "--seed", "5"},
		"size and split":    {"--size", "30kB", "--split", "4000", "--classes", some},
		"all in proportion": {"--total", "3000", "--least", "60"},
		"tiny captures":     {"--packets", "30", "--split", "1", "--classes", "XSS"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "packets" && name != "size and split" {
				t.Skip("short")
			}
			args = append([]string{"dataset", "synth"}, args...)
			single := filepath.Join(t.TempDir(), "single")
			table, _ := run(t, ExitDone, append(slices.Clone(args), "-o", single)...)
			want := treeOf(t, single)
			counts := []int{2 + rng.IntN(4)}
			if name == "packets" {
				counts = append(counts, 1, 13) // more than captures
			}
			for _, n := range counts {
				shards, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
				inShards(t, rng, n, shards, args...)
				if stdout, _ := run(t, ExitDone, "merge", shards, "-o", merged); stdout != table {
					t.Errorf("%d shards: the table is\n%swant\n%s", n, stdout, table)
				}
				sameTrees(t, fmt.Sprintf("%d shards", n), treeOf(t, merged), want)
			}
		})
	}
}

// A merge that was interrupted, or done before, is done again; another tree is not touched.
func TestSynthMergesAgain(t *testing.T) {
	args := []string{"dataset", "synth", "--packets", "300", "--classes", "DDoS-SYN_Flood,XSS"}
	shards, merged := filepath.Join(t.TempDir(), "shards"), filepath.Join(t.TempDir(), "merged")
	inShards(t, rand.New(rand.NewPCG(1, 4)), 3, shards, args...)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if code, _, stderr := runIn(ctx, nil, "merge", shards, "-o", merged); code != ExitInterrupted {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if _, err := os.Lstat(merged); err == nil {
		t.Error("an interrupted merge leaves a folder")
	}
	run(t, ExitDone, "merge", shards, "-o", merged)
	want := treeOf(t, merged)
	killed := filepath.Join(merged, ".synth-KILLED.tmp", "XSS") // as a killed merge leaves it
	if err := errors.Join(os.MkdirAll(killed, 0o777), os.WriteFile(filepath.Join(killed, "XSS.pcap"), []byte("half"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := run(t, ExitDone, "dataset", "scan", "-o", filepath.Join(t.TempDir(), "manifest.json"), merged); strings.Contains(stdout, "KILLED") {
		t.Errorf("a scan finds it:\n%s", stdout)
	}
	if !flock.Here {
		remove(t, filepath.Dir(killed))
	}
	for _, name := range []string{"PCAP/XSS/XSS.pcap", "PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood1.pcap.truth.csv", "PCAP/DDoS-SYN_Flood"} {
		remove(t, filepath.Join(merged, filepath.FromSlash(name)))
	}
	run(t, ExitDone, "merge", shards, "-o", merged)
	sameTrees(t, "again", treeOf(t, merged), want)
	sums := treeOf(t, shards)
	if _, stderr := run(t, ExitFailed, "merge", shards, "-o", scannable(t)); !strings.Contains(stderr, "other classes") {
		t.Errorf("into another tree: %s", stderr)
	}
	sameTrees(t, "the shards", treeOf(t, shards), sums)
	output := filepath.Join(t.TempDir(), "none")
	refusals(t, shards, output, map[string]func(string){
		"shard 1/3 is missing": func(d string) { remove(t, shardIn(t, d, 1).Dir) },
		"is damaged": func(d string) {
			s := shardIn(t, d, 2)
			flip(t, filepath.Join(s.Dir, filepath.FromSlash(s.Files[0].Name)))
		},
	})
	if _, stderr := run(t, ExitUsage, "merge", shards, "-o", "-"); !strings.Contains(stderr, "folder") {
		t.Errorf("-o -: %s", stderr)
	}
	// Octets are there once where the file system has links.
	s := shardIn(t, shards, 2)
	name := s.Files[0].Name
	x, err := os.Stat(filepath.Join(s.Dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(filepath.Join(merged, "PCAP", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(x, y) {
		probe := filepath.Join(shards, "probe")
		if err := os.Link(filepath.Join(s.Dir, filepath.FromSlash(name)), probe); err == nil {
			t.Errorf("%s was copied", name)
		}
	}
}

func TestSynthShardInterrupted(t *testing.T) {
	shards := filepath.Join(t.TempDir(), "shards")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	args := []string{"dataset", "synth", "--packets", "300", "-o", shards, "--shard", "1/2"}
	if code, _, stderr := runIn(ctx, nil, args...); code != ExitInterrupted {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	if left := treeOf(t, shards); len(left) > 0 {
		t.Errorf("an interrupted shard leaves %d files", len(left))
	}
	for want, more := range map[string][]string{"--force": {"--force"}, "--json": {"--json"}, "a folder": {"-o", "-", "--classes", "XSS"}} {
		if _, stderr := run(t, ExitUsage, append(slices.Clone(args), more...)...); !strings.Contains(stderr, want) {
			t.Errorf("%v: stderr %q", more, stderr)
		}
	}
}
