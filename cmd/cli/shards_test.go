package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/shard"
)

func TestIndicesAsSlurmTakesThem(t *testing.T) {
	for want, list := range map[string][]int{
		"": nil, "3": {3}, "3,7-9": {3, 7, 8, 9}, "1-2,4-5,10": {1, 2, 4, 5, 10}, "1-4": {1, 2, 3, 4},
	} {
		if got := indices(list); got != want {
			t.Errorf("%v is %q, want %q", list, got, want)
		}
	}
}

// exits runs the program, wants an exit code, and returns what it printed.
func exits(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runIn(context.Background(), strings.NewReader(""), args...)
	if code != want {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	return stdout, stderr
}

// scanShards makes shards of a scan of a small tree and returns folder, and how they are made.
func scanShards(t *testing.T, n int, make ...int) (dir, tree string) {
	t.Helper()
	tree, _ = synthDir(t, "--packets", "60", "--split", "2000", "--classes", "DDoS-SYN_Flood,XSS,Mirai-udpplain")
	dir = filepath.Join(t.TempDir(), "shards")
	for _, i := range make {
		run(t, ExitDone, "dataset", "scan", "-o", dir, "--shard", fmt.Sprintf("%d/%d", i, n), tree)
	}
	return dir, tree
}

func TestShardsPlanIsWhatIsMade(t *testing.T) {
	dir, tree := scanShards(t, 4, 1, 2, 3, 4)
	elsewhere := filepath.Join(t.TempDir(), "none")
	out, _ := run(t, ExitDone, "shards", "plan", "--json", "4", "dataset", "scan", "-o", elsewhere, tree)
	var plan struct {
		Job       string
		Kind      string
		Weight    uint64
		Unit      string
		Imbalance float64
		Shards    []plannedShard
	}
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("a plan makes a folder")
	}
	set, err := shard.Read(dir)
	if err != nil || len(set.Shards) != 4 || len(plan.Shards) != 4 {
		t.Fatal(err, len(set.Shards), len(plan.Shards))
	}
	share, most := 0.0, uint64(0)
	for i, s := range set.Shards {
		p := plan.Shards[i]
		if p.ID != s.ID || p.Index != s.Index || p.Range != s.Job.Ranges[i] || plan.Job != s.JobID {
			t.Errorf("planned %+v, made %s", p, s.ID)
		}
		if want := fmt.Sprintf("--shard %d/4", i+1); !strings.Contains(p.Command, want) || !strings.Contains(p.Command, "dataset scan") {
			t.Errorf("command %q: want %q", p.Command, want)
		}
		share, most = share+p.Share, max(most, p.Weight)
	}
	if share < 0.999 || share > 1.001 || plan.Imbalance < 1 || plan.Imbalance > 4 || plan.Imbalance != float64(most)*4/float64(plan.Weight) {
		t.Errorf("the shares add up to %g; imbalance %g", share, plan.Imbalance)
	}
	text, notes := run(t, ExitDone, "shards", "plan", "4", "dataset", "scan", "-o", elsewhere, tree)
	if plan.Unit != "octets" || !strings.Contains(text, "weight (octets)") {
		t.Errorf("weights are in %q:\n%s", plan.Unit, text)
	}
	if out, _ := run(t, ExitDone, "shards", "plan", "--id", "4", "dataset", "scan", "-o", elsewhere, tree); out != plan.Job+"\n" {
		t.Errorf("--id prints %q, want %s", out, plan.Job)
	}
	if strings.Count(text, "\n") != 6 || !strings.Contains(text, plan.Shards[2].ID[:16]) || !strings.Contains(notes, "fair share") {
		t.Errorf("%s%s", text, notes)
	}
	for _, args := range [][]string{
		{"4"}, {"x", "dataset", "scan", tree}, {"0", "dataset", "scan", tree}, {"99999", "dataset", "scan", tree}, {"4", "nothing", tree},
		{"4", "dataset", "scan", "-o", elsewhere, "--shard", "1/2", tree}, {"4", "info", tree},
		{"--id", "--json", "4", "dataset", "scan", "-o", elsewhere, tree},
	} {
		exits(t, ExitUsage, append([]string{"shards", "plan"}, args...)...)
	}
}

func TestShardsStatus(t *testing.T) {
	dir, tree := scanShards(t, 6, 2, 6)
	if out, _ := exits(t, ExitMissed, "shards", "status", "--missing", dir); out != "1,3-5\n" {
		t.Errorf("missing: %q", out)
	}
	text, _ := exits(t, ExitMissed, "shards", "status", dir)
	for _, want := range []string{"scan, 6 shards", "done     2: 2,6", "missing  4: 1,3-5", "--shard 1/6", "and 1 more: --commands"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	// The commands make what is missing.
	out, _ := exits(t, ExitMissed, "shards", "status", "--commands", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d commands:\n%s", len(lines), out)
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if words[0] != "pcaplab" {
			t.Fatalf("command %q", line)
		}
		run(t, ExitDone, words[1:]...)
	}
	var list []jobStatus
	out, _ = exits(t, ExitDone, "shards", "status", "--verify", "--json", dir)
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || !list[0].Complete || len(list[0].Done) != 6 || list[0].Share != 1 {
		t.Errorf("%v: %s", err, out)
	}
	if out, _ := exits(t, ExitDone, "shards", "status", "--missing", dir); out != "" {
		t.Errorf("missing of a whole job: %q", out)
	}

	// Damage shows with --verify only; a record that cannot be read shows always. Both are made again.
	third := shardIn(t, dir, 3)
	flip(t, filepath.Join(third.Dir, third.Files[0].Name))
	exits(t, ExitDone, "shards", "status", dir)
	if out, notes := exits(t, ExitMissed, "shards", "status", "--verify", "--missing", dir); out != "3\n" || !strings.Contains(notes, third.Files[0].Name) {
		t.Errorf("%q, %s", out, notes)
	}
	if err := os.WriteFile(filepath.Join(shardIn(t, dir, 5).Dir, shard.RecordName), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, _ := exits(t, ExitMissed, "shards", "status", "--verify", "--missing", dir); out != "3,5\n" {
		t.Errorf("missing: %q", out)
	}
	for _, i := range []int{3, 5} {
		run(t, ExitDone, "dataset", "scan", "-o", dir, "--shard", fmt.Sprintf("%d/6", i), tree)
	}
	exits(t, ExitDone, "shards", "status", "--verify", dir)

	// Files that are gone, or of another size, are seen without reading them.
	payload := filepath.Join(shardIn(t, dir, 3).Dir, third.Files[0].Name)
	whole := mustRead(t, payload)
	gone := "no such file"
	if runtime.GOOS == "windows" {
		gone = "cannot find the file"
	}
	for what, change := range map[string]func() error{
		gone:            func() error { return os.Remove(payload) },
		"octets, its r": func() error { return os.WriteFile(payload, whole[1:], 0o666) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if out, notes := exits(t, ExitMissed, "shards", "status", "--missing", dir); out != "3\n" || !strings.Contains(notes, what) ||
			!strings.Contains(notes, payload) {
			t.Errorf("%s: %q, %s", what, out, notes)
		}
		run(t, ExitDone, "dataset", "scan", "-o", dir, "--shard", "3/6", tree)
		exits(t, ExitDone, "shards", "status", dir)
	}

	// The same shard again from elsewhere is harmless; with other content a person must look.
	other := filepath.Join(t.TempDir(), "other")
	copyDir(t, shardIn(t, dir, 1).Dir, filepath.Join(other, "copy"))
	if text, _ := exits(t, ExitDone, "shards", "status", dir, other); !strings.Contains(text, "surplus  1: ") {
		t.Errorf("%s", text)
	}
	// Of a damaged shard and a whole copy the copy is taken, whichever comes first; where both are damaged the shard is missing.
	first := shardIn(t, dir, 1)
	single := filepath.Join(t.TempDir(), "single.json")
	run(t, ExitDone, "dataset", "scan", "-o", single, tree)
	flip(t, filepath.Join(first.Dir, first.Files[0].Name))
	for _, dirs := range [][]string{{dir, other}, {other, dir}} {
		if out, _ := exits(t, ExitDone, append([]string{"shards", "status", "--verify", "--missing"}, dirs...)...); out != "" {
			t.Errorf("missing, with a whole copy: %q", out)
		}
		output := filepath.Join(t.TempDir(), "m.json")
		run(t, ExitDone, append([]string{"merge", "-o", output}, dirs...)...)
		if a, b := string(mustRead(t, output)), string(mustRead(t, single)); a != b {
			t.Errorf("the joined manifest of a whole copy has %d octets, the single one %d", len(a), len(b))
		}
	}
	text, _ = exits(t, ExitDone, "shards", "status", "--verify", dir, other)
	if !strings.Contains(text, "damaged  1: "+first.Dir) || !strings.Contains(text, "complete") {
		t.Errorf("%s", text)
	}
	flip(t, filepath.Join(other, "copy", first.Files[0].Name))
	if out, _ := exits(t, ExitMissed, "shards", "status", "--verify", "--missing", dir, other); out != "1\n" {
		t.Errorf("missing, both damaged: %q", out)
	}
	exits(t, ExitFailed, "merge", dir, other, "-o", filepath.Join(t.TempDir(), "m.json"))
	flip(t, filepath.Join(other, "copy", first.Files[0].Name))
	flip(t, filepath.Join(first.Dir, first.Files[0].Name))

	// Nothing is joined into a shard.
	for _, output := range []string{filepath.Join(first.Dir, first.Files[0].Name), filepath.Join(first.Dir, "new", "m.json"), first.Dir} {
		if _, notes := exits(t, ExitUsage, "merge", dir, "-o", output); !strings.Contains(notes, "in the folder of shard 1/6") {
			t.Errorf("%s", notes)
		}
	}
	exits(t, ExitDone, "shards", "status", "--verify", dir)
	record := filepath.Join(other, "copy", shard.RecordName)
	octets, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	sum := shardIn(t, dir, 1).Files[0].SHA256
	if err := os.WriteFile(record, []byte(strings.ReplaceAll(string(octets), sum, strings.Repeat("0", 64))), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, notes := exits(t, ExitFailed, "shards", "status", dir, other); !strings.Contains(notes, "remove one") {
		t.Errorf("%s", notes)
	}
	if _, notes := exits(t, ExitFailed, "merge", dir, other, "-o", filepath.Join(t.TempDir(), "m.json")); !strings.Contains(notes, "twice, with other content") {
		t.Errorf("%s", notes)
	}
}

// Plans of features name the captures of each shard, with --json: a shard is made where they are.
func TestShardsPlanNamesCaptures(t *testing.T) {
	j := &shard.Job{Kind: "features", Inputs: []shard.Input{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	for _, c := range []struct{ from, to, want string }{
		{"capture 1, packet 1", "capture 1, packet 500", "a"}, {"capture 1, packet 500", "capture 3, packet 1", "a b"},
		{"capture 1, packet 500", "capture 3, packet 2", "a b c"}, {"capture 2, packet 1", "capture 2, packet 1", ""}, {"capture 3, packet 1", "end", "c"},
	} {
		j.Ranges = []shard.Range{{From: c.from, To: c.to}}
		if got := strings.Join(capturesOf(j, 1), " "); got != c.want {
			t.Errorf("from %s to %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	_, tree := scanShards(t, 2)
	captures, err := filepath.Glob(filepath.Join(tree, "*", "*", "*.pcap"))
	if err != nil || len(captures) < 2 {
		t.Fatal(captures, err)
	}
	elsewhere := filepath.Join(t.TempDir(), "none")
	out, _ := run(t, ExitDone, slices.Concat([]string{"shards", "plan", "--json", "3", "features", "-o", elsewhere}, captures)...)
	var plan struct{ Shards []plannedShard }
	if err := json.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range plan.Shards {
		all = append(all, s.Captures...)
	}
	if all = slices.Compact(all); !slices.Equal(all, captures) {
		t.Errorf("the shards read %q, want %q", all, captures)
	}
	// Help is the command's own; without -o the plan says what it wants.
	if out, _ := exits(t, ExitDone, "shards", "plan", "3", "features", "-h"); !strings.Contains(out, "Usage:") || !strings.Contains(out, "--window") {
		t.Errorf("help of the command: %s", out)
	}
	if _, notes := exits(t, ExitUsage, append([]string{"shards", "plan", "3", "features"}, captures...)...); !strings.Contains(notes, "with -o DIR") {
		t.Errorf("%s", notes)
	}
}

func TestShardsOfSeveralJobs(t *testing.T) {
	dir, tree := scanShards(t, 2, 1, 2)
	run(t, ExitDone, "dataset", "scan", "--no-hash", "-o", dir, "--shard", "1/2", tree)
	text, notes := exits(t, ExitFailed, "shards", "status", dir)
	if !strings.Contains(text, "another job: hash is false, not true") || !strings.Contains(notes, "shards of 2 jobs: --job ") {
		t.Errorf("%s%s", text, notes)
	}
	// Nothing is printed for sbatch or a shell where a person must look.
	for _, what := range []string{"--missing", "--commands"} {
		if out, notes := exits(t, ExitFailed, "shards", "status", what, dir); out != "" || !strings.Contains(notes, "shards of 2 jobs") {
			t.Errorf("%s: %q, %s", what, out, notes)
		}
	}
	// Of a job that nobody has begun all shards are missing, if it is known by all of its id, and how many they are.
	plan, _ := run(t, ExitDone, "shards", "plan", "--id", "3", "dataset", "scan", "-o", dir, tree)
	third := strings.TrimSpace(plan)
	if out, _ := exits(t, ExitMissed, "shards", "status", "--missing", "--job", third, "--of", "3", dir); out != "1-3\n" {
		t.Errorf("missing of a job not begun: %q", out)
	}
	if out, _ := exits(t, ExitMissed, "shards", "status", "--json", "--job", third, "--of", "3", dir); !strings.Contains(out, third) {
		t.Errorf("%s", out)
	}
	exits(t, ExitUsage, "shards", "status", "--missing", "--job", third, dir)
	exits(t, ExitUsage, "shards", "status", "--missing", "--job", third[:16], "--of", "3", dir)
	several := filepath.Join(t.TempDir(), "several")
	copyDir(t, dir, several)
	run(t, ExitDone, "dataset", "scan", "-o", several, "--shard", "1/3", tree)
	if _, notes := exits(t, ExitFailed, "merge", "--job", third, several, "-o", filepath.Join(t.TempDir(), "m.json")); !strings.Contains(notes,
		"shards status --commands --job "+third[:12]+" "+several) {
		t.Errorf("%s", notes)
	}
	if out, _ := exits(t, ExitMissed, "shards", "status", "--commands", "--job", third[:12], several); strings.Count(out, "\n") != 2 {
		t.Errorf("commands of one of several jobs: %q", out)
	}
	exits(t, ExitUsage, "merge", "--job", third, dir, "-o", filepath.Join(t.TempDir(), "m.json"))
	output := filepath.Join(t.TempDir(), "manifest.json")
	_, notes = exits(t, ExitFailed, "merge", dir, "-o", output)
	if !strings.Contains(notes, "of another job: hash is false, not true") || !strings.Contains(notes, "--job ") {
		t.Errorf("%s", notes)
	}
	whole := shardIn(t, dir, 2).JobID
	exits(t, ExitDone, "shards", "status", "--job", whole[:12], dir)
	exits(t, ExitUsage, "shards", "status", "--job", "none", dir)
	exits(t, ExitUsage, "shards", "status", "--job", "", "--of", "-1", dir)
	out, _ := run(t, ExitDone, "merge", "--json", "--job", whole[:12], dir, "-o", output)
	i := strings.LastIndex(strings.TrimSpace(out), "\n") + 1 // behind the table of the scan
	var said merged
	if err := json.Unmarshal([]byte(out[i:]), &said); err != nil || said.Job != whole || said.Shards != 2 || said.Octets == 0 || said.Output != output {
		t.Errorf("%v: %s", err, out)
	}
	single := filepath.Join(t.TempDir(), "single.json")
	run(t, ExitDone, "dataset", "scan", "-o", single, tree)
	a, _ := os.ReadFile(output)
	b, _ := os.ReadFile(single)
	if !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("joined and single manifest differ")
	}
}

// TestFaultsOfOtherJobs: a shard of another job whose record is cut does not end a job that is named; one of nobody's does.
func TestFaultsOfOtherJobs(t *testing.T) {
	dir, tree := scanShards(t, 3, 1, 2, 3)
	again := []string{"dataset", "scan", "--no-hash", "-o", dir, "--shard"}
	plan, _ := run(t, ExitDone, "shards", "plan", "--id", "2", "dataset", "scan", "--no-hash", "-o", dir, tree)
	id := strings.TrimSpace(plan)
	cut := func(dir string) {
		t.Helper()
		record := filepath.Join(dir, shard.RecordName)
		if err := os.WriteFile(record, mustRead(t, record)[:100], 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cut(shardIn(t, dir, 3).Dir)
	status := []string{"shards", "status", "--missing", "--job", id, "--of", "2", dir}
	if out, notes := exits(t, ExitMissed, status...); out != "1-2\n" || strings.Contains(notes, "no shards") {
		t.Errorf("not begun: %q, %s", out, notes)
	}
	run(t, ExitDone, append(again, "1/2", tree)...)
	if out, _ := exits(t, ExitMissed, status...); out != "2\n" {
		t.Errorf("begun: %q", out)
	}
	run(t, ExitDone, append(again, "2/2", tree)...)
	exits(t, ExitDone, status...)
	run(t, ExitDone, "merge", "--job", id, dir, "-o", filepath.Join(t.TempDir(), "m.json"))
	// Its own are its own: the shard is made again.
	set, err := readShards([]string{dir}, id)
	if err != nil || len(set.Shards) != 2 {
		t.Fatal(set, err)
	}
	cut(set.Shards[1].Dir)
	if out, _ := exits(t, ExitMissed, status...); out != "2\n" {
		t.Errorf("cut: %q", out)
	}
	stranger := filepath.Join(dir, "stranger")
	copyDir(t, set.Shards[1].Dir, stranger)
	if out, notes := exits(t, ExitFailed, status...); out != "" || !strings.Contains(notes, stranger) {
		t.Errorf("of nobody: %q, %s", out, notes)
	}
	if out, notes := exits(t, ExitFailed, "shards", "status", stranger); out != "" || !strings.Contains(notes, stranger) || strings.Contains(notes, "no shards") {
		t.Errorf("nothing else: %q, %s", out, notes)
	}
}

func TestShardsThatAreNone(t *testing.T) {
	empty := t.TempDir()
	_, notes := exits(t, ExitFailed, "shards", "status", empty)
	if !strings.Contains(notes, "no shards") {
		t.Errorf("%s", notes)
	}
	if out, _ := exits(t, ExitMissed, "shards", "status", "--missing", "--of", "12", empty); out != "1-12\n" {
		t.Errorf("missing of 12: %q", out)
	}
	exits(t, ExitFailed, "shards", "status", "--commands", "--of", "12", empty)
	exits(t, ExitFailed, "shards", "status", filepath.Join(empty, "none"))
	exits(t, ExitFailed, "merge", empty, "-o", filepath.Join(empty, "out"))
	for _, args := range [][]string{
		{"merge"}, {"merge", empty}, {"shards", "status"}, {"shards", "nothing"}, {"shards", "status", "--json", "--missing", empty},
		{"shards", "status", "--of", "10001", empty},
	} {
		exits(t, ExitUsage, args...)
	}
	if entries, _ := os.ReadDir(empty); len(entries) > 0 {
		t.Errorf("%v were made", entries)
	}
}

// A kind that this program does not know is of another version.
func TestMergeOfAnUnknownKind(t *testing.T) {
	dir := t.TempDir()
	job := &shard.Job{Kind: "future", Schema: 1, Parameters: []byte("{}"), Ranges: []shard.Range{{}}}
	if _, _, err := shard.Write(dir, job, 1, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	_, notes := exits(t, ExitFailed, "merge", dir, "-o", filepath.Join(t.TempDir(), "out"))
	if !strings.Contains(notes, `"future"`) || !strings.Contains(notes, "features") {
		t.Errorf("%s", notes)
	}
	_, notes = exits(t, ExitDone, "shards", "status", dir)
	if notes != "" {
		t.Errorf("%s", notes)
	}
}

// A command with a line break in a name is not printed as two lines for a shell, and no other beside it.
func TestCommandsAreLines(t *testing.T) {
	var out strings.Builder
	a := &app{stdout: &out}
	st := &jobStatus{Missing: []int{1, 2}, Array: "1-2", Commands: []string{"make 'a\nrm b'", "make c"}}
	err := a.tellStatus([]*jobStatus{st}, nil, false, true, false)
	if out.String() != "" || err == nil || !strings.Contains(err.Error(), "by hand") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
