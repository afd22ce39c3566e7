package shard_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pcaplab/datasets/flock"
	"pcaplab/datasets/shard"
)

// child is the environment variable that makes this test a process that writes a shard and is killed.
const child = "PCAPLAB_TEST_SHARD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(child); dir != "" {
		_, _, err := shard.Write(dir, jobOf(3), 2, func(tmp string) error {
			if err := os.WriteFile(filepath.Join(tmp, "half"), []byte("half"), 0o666); err != nil {
				return err
			}
			fmt.Println("half done")
			time.Sleep(time.Hour) // until it is killed; without cgo, select {} is a deadlock that is found
			return nil
		})
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func jobOf(n int) *shard.Job {
	j := &shard.Job{Kind: "test", Schema: 1, Parameters: json.RawMessage(`{"window": 10, "as": {"name": "<extractor>"}, "list": [1, 2]}`), Again: "make --shard %s"}
	j.Inputs = []shard.Input{{Name: "a.pcap", Octets: 5, SHA256: strings.Repeat("ab", 32)}}
	for i := range n {
		j.Ranges = append(j.Ranges, shard.Range{From: fmt.Sprint(i), To: fmt.Sprint(i + 1), Weight: 1})
	}
	return j
}

// fillWith makes a payload of two files, one in a folder.
func fillWith(text string) func(string) error {
	return func(tmp string) error {
		if err := os.Mkdir(filepath.Join(tmp, "sub"), 0o777); err != nil {
			return err
		}
		return errors.Join(os.WriteFile(filepath.Join(tmp, "data"), []byte(text), 0o666),
			os.WriteFile(filepath.Join(tmp, "sub", "more"), []byte("more "+text), 0o666))
	}
}

func write(t testing.TB, dir string, j *shard.Job, i int, text string) string {
	t.Helper()
	path, existed, err := shard.Write(dir, j, i, fillWith(text))
	if err != nil || existed {
		t.Fatalf("shard %d: existed %v, %v", i, existed, err)
	}
	return path
}

// names returns what is in a folder, hidden or not.
func names(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range list {
		all = append(all, e.Name())
	}
	return all
}

func TestParts(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	slurm := func(id, count, least, most, step string) func(string) string {
		return env("SLURM_ARRAY_TASK_ID", id, "SLURM_ARRAY_TASK_COUNT", count, "SLURM_ARRAY_TASK_MIN", least, "SLURM_ARRAY_TASK_MAX", most,
			"SLURM_ARRAY_TASK_STEP", step)
	}
	for _, c := range []struct {
		flag string
		env  func(string) string
		want string // "" for off, else i/n, or a part of an error
	}{
		{"", env(), ""},
		{"", slurm("3", "4", "1", "4", "1"), ""},
		{"1/1", env(), "1/1"},
		{"3/16", slurm("1", "4", "1", "4", "1"), "3/16"},
		{"2000/2000", env(), "2000/2000"},
		{"0/4", env(), "from 1 to 4"},
		{"5/4", env(), "from 1 to 4"},
		{"-1/4", env(), "from 1 to 4"},
		{"1/0", env(), "from 1 to 2000"},
		{"1/2001", env(), "from 1 to 2000"},
		{"1/4/4", env(), "number of shards"},
		{"3", env(), "want i/n"},
		{"x/4", env(), "from 1 to 4"},
		{"/16", slurm("3", "4", "1", "4", "1"), "3/16"},
		{"/16", slurm("16", "1", "16", "16", "1"), "16/16"}, // one task submitted again
		{"/16", slurm("17", "1", "17", "17", "1"), "shard 17 of 16: number the array 1-16, or use --shard env"},
		{"/4", env("SLURM_ARRAY_TASK_ID", "0"), "shard 0 of 4: number the array 1-4, or use --shard env"},
		{"/16", slurm("1", "16", "0", "15", "1"), "--array=1-16"},
		{"/16", slurm("x", "16", "1", "15", "1"), "whole number"},
		{"/16", env("JOB_COMPLETION_INDEX", "0"), "1/16"},
		{"/16", env("JOB_COMPLETION_INDEX", "15"), "16/16"},
		{"/16", env("JOB_COMPLETION_INDEX", "16"), "shard 17 of 16"},
		{"/16", env("JOB_COMPLETION_INDEX", "0", "SLURM_ARRAY_TASK_ID", "1"), "both"},
		{"/16", env(), "no task number"},
		{"/x", env(), "number of shards"},
		{"env", slurm("3", "4", "1", "4", "1"), "3/4"},
		{"env", slurm("3", "4", "1", "4", ""), "3/4"},
		{"env", slurm("0", "4", "0", "3", "1"), "1/4"},
		{"env", slurm("7", "4", "1", "10", "3"), "3/4"},
		{"env", slurm("7", "2", "3", "7", "4"), "not whole"},
		{"env", slurm("7", "3", "1", "9", "1"), "not whole"},
		{"env", slurm("7", "", "1", "9", "1"), "whole number"},
		{"env", slurm("1", "4", "1", "2", "0"), "not whole"},
		{"env", env("JOB_COMPLETION_INDEX", "0"), "number of shards"},
		{"env", env(), "no task number"},
	} {
		p, on, err := shard.PartOf(c.flag, c.env)
		got := ""
		switch {
		case err != nil:
			got = err.Error()
			if on {
				t.Errorf("%q: on with an error", c.flag)
			}
		case on:
			got = p.String()
		}
		if !strings.Contains(got, c.want) || c.want == "" && got != "" || err == nil && got != c.want {
			t.Errorf("PartOf(%q): %q, want %q", c.flag, got, c.want)
		}
	}
}

// TestCutIsFair compares with the definition: runs in order, of all units, none heavier than its share by more than the heaviest unit.
func TestCutIsFair(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		weights := make([]uint64, random.IntN(40))
		var total, most uint64
		for i := range weights {
			weights[i] = random.Uint64N([]uint64{1, 2, 100, 1 << 40}[random.IntN(4)])
			total, most = total+weights[i], max(most, weights[i])
		}
		n := 1 + random.IntN(12)
		spans := shard.Cut(weights, n)
		at := 0
		for _, s := range spans {
			var sum uint64
			if s.From != at || s.To < s.From {
				t.Fatalf("%v in %d: %v", weights, n, spans)
			}
			for _, w := range weights[s.From:s.To] {
				sum += w
			}
			if float64(sum) > float64(total)/float64(n)+float64(most)+1 {
				t.Fatalf("%v in %d: %v: %d in one of %d", weights, n, spans, sum, total)
			}
			at = s.To
		}
		if at != len(weights) || len(spans) != n {
			t.Fatalf("%v in %d: %v", weights, n, spans)
		}
	}
	if got := shard.Cut([]uint64{0, 0, 0, 0}, 2); !slices.Equal(got, []shard.Span{{From: 0, To: 2}, {From: 2, To: 4}}) {
		t.Errorf("units without weight: %v", got)
	}
	if got := shard.Cut([]uint64{1 << 63, 1 << 63, 1 << 63, 1 << 63}, 2); !slices.Equal(got, []shard.Span{{From: 0, To: 2}, {From: 2, To: 4}}) {
		t.Errorf("weights beyond 2^64: %v", got)
	}
}

// TestIDsDependOnWhatDecides: names and commands are not part of ids, all else is.
func TestIDsDependOnWhatDecides(t *testing.T) {
	j := jobOf(3)
	same := jobOf(3)
	same.Again, same.Inputs[0].Name = "other", "b.pcap"
	same.Parameters = json.RawMessage(" {\"window\":10,\"as\":{\"name\":\"\\u003cextractor>\"},\n\"list\":[1,2]}")
	if j.ID() != same.ID() || !slices.Equal(j.IDs(), same.IDs()) {
		t.Error("ids depend on names, or on how the JSON is written")
	}
	seen := map[string]string{j.ID(): "job", j.ShardID(1): "1", j.ShardID(2): "2", j.ShardID(3): "3"}
	if len(seen) != 4 {
		t.Error("ids are alike")
	}
	for what, change := range map[string]func(*shard.Job){
		"kind":       func(j *shard.Job) { j.Kind = "tests" },
		"schema":     func(j *shard.Job) { j.Schema = 2 },
		"parameters": func(j *shard.Job) { j.Parameters = json.RawMessage(`{"window": 11}`) },
		"input":      func(j *shard.Job) { j.Inputs[0].SHA256 = strings.Repeat("cd", 32) },
		"range":      func(j *shard.Job) { j.Ranges[0].To = "2" },
		"count":      func(j *shard.Job) { j.Ranges = append(j.Ranges, j.Ranges[2]) },
	} {
		other := jobOf(3)
		change(other)
		for _, id := range []string{other.ID(), other.ShardID(1)} {
			if before, there := seen[id]; there {
				t.Errorf("another %s has the id of %s", what, before)
			}
			seen[id] = what
		}
		if d := shard.Differences(j, other); len(d) == 0 {
			t.Errorf("another %s: no difference told", what)
		}
	}
	if d := strings.Join(shard.Differences(j, func() *shard.Job {
		o := jobOf(3)
		o.Parameters = json.RawMessage(`{"window": 11, "as": {"name": "<extractor>"}, "list": [1, 2]}`)
		return o
	}()), ""); d != "window is 11, not 10" {
		t.Errorf("differences: %s", d)
	}
}

func TestWrittenOnceAndWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "shards")
	j := jobOf(3)
	for i := 1; i <= 3; i++ {
		write(t, dir, j, i, fmt.Sprint("payload ", i))
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("left behind: %v", got)
	}
	path, existed, err := shard.Write(dir, j, 2, func(string) error { return errors.New("made again") })
	if err != nil || !existed || path != filepath.Join(dir, j.ShardID(2)) {
		t.Errorf("a second time: %s, %v, %v", path, existed, err)
	}
	set, err := shard.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Complete(); err != nil {
		t.Fatal(err)
	}
	list := set.Of(set.Main())
	for i := 1; i <= 3; i++ {
		if err := list[i].Verify(); err != nil {
			t.Error(err)
		}
		text, err := list[i].Read("sub/more")
		if err != nil || string(text) != fmt.Sprint("more payload ", i) {
			t.Errorf("%q, %v", text, err)
		}
	}
	if got := set.Main().Command(2); got != "make --shard 2/3" {
		t.Errorf("command %q", got)
	}
	// The folder itself, one shard, a link to the folder, and copies above, are all found; twice the same is harmless.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Skip(err)
	}
	for _, dirs := range [][]string{{dir, dir}, {filepath.Dir(dir)}, {link}, {list[1].Dir, list[3].Dir, list[2].Dir}} {
		set, err := shard.Read(dirs...)
		if err == nil {
			err = set.Complete()
		}
		if err != nil || len(set.Shards) != 3 {
			t.Errorf("%v: %d shards, %v", dirs, len(set.Shards), err)
		}
	}
}

// TestFailuresLeaveNothing: an error of fill, as on a full disk, leaves the folder as it was.
func TestFailuresLeaveNothing(t *testing.T) {
	dir, j := t.TempDir(), jobOf(2)
	full := &fs.PathError{Op: "write", Path: "data", Err: errors.New("no space left on device")}
	_, _, err := shard.Write(dir, j, 1, func(tmp string) error {
		return errors.Join(fillWith("x")(tmp), full)
	})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), "shard 1/2") || !strings.Contains(err.Error(), "nothing is left") {
		t.Errorf("error %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	if _, _, err := shard.Write(dir, j, 1, func(tmp string) error { return os.Symlink("/etc/passwd", filepath.Join(tmp, "link")) }); err == nil {
		t.Error("a link is taken for payload")
	}
	for _, bad := range []*shard.Job{
		{}, {Kind: "../x", Schema: 1, Parameters: json.RawMessage("{}"), Ranges: j.Ranges},
		{Kind: "x", Schema: 1, Parameters: json.RawMessage("{"), Ranges: j.Ranges}, {Kind: "x", Schema: 1, Parameters: json.RawMessage("{}")},
		{Kind: "x", Schema: 1, Parameters: json.RawMessage("{}"), Ranges: j.Ranges, Inputs: []shard.Input{{SHA256: "x"}}},
	} {
		if _, _, err := shard.Write(dir, bad, 1, fillWith("x")); err == nil {
			t.Errorf("job %+v was taken", bad)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestDamagedIsFoundAndReplaced(t *testing.T) {
	for _, c := range []struct {
		what   string
		damage func(dir string) error
		read   bool // found by Read, not by Verify
	}{
		{"an octet", func(dir string) error { return os.WriteFile(filepath.Join(dir, "data"), []byte("paylOad"), 0o666) }, false},
		{"cut", func(dir string) error { return os.Truncate(filepath.Join(dir, "sub/more"), 3) }, false},
		{"removed", func(dir string) error { return os.Remove(filepath.Join(dir, "data")) }, false},
		{"a folder instead", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "data")), os.Mkdir(filepath.Join(dir, "data"), 0o777))
		}, false},
		{"a link out of it", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "data")), os.WriteFile(filepath.Join(dir, "../payload"), []byte("payload"), 0o666),
				os.Symlink("../payload", filepath.Join(dir, "data")))
		}, false},
		{"no record", func(dir string) error { return os.Truncate(filepath.Join(dir, shard.RecordName), 0) }, true},
		{"another range", func(dir string) error {
			text, err := os.ReadFile(filepath.Join(dir, shard.RecordName))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, shard.RecordName), []byte(strings.Replace(string(text), `"to": "1"`, `"to": "7"`, 1)), 0o666))
		}, true},
	} {
		dir, j := t.TempDir(), jobOf(1)
		path := write(t, dir, j, 1, "payload")
		if err := c.damage(path); err != nil {
			t.Fatal(err)
		}
		set, err := shard.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if c.read {
			e := new(shard.IncompleteError)
			if err := set.Complete(); !errors.As(err, &e) || len(e.Faults) != 1 || !strings.Contains(err.Error(), shard.RecordName) {
				t.Errorf("%s: %v", c.what, err)
			}
		} else {
			e := new(shard.CorruptError)
			if err := set.Shards[0].Verify(); !errors.As(err, &e) || !strings.Contains(err.Error(), "make --shard 1/1") {
				t.Errorf("%s: %v", c.what, err)
			}
			// All but an octet that is another one is seen without reading them.
			if err := set.Shards[0].Present(); (c.what != "an octet") != errors.As(err, &e) {
				t.Errorf("%s: present: %v", c.what, err)
			}
		}
		write(t, dir, j, 1, "payload") // made again, not taken for one that is there
		set, err = shard.Read(dir)
		if err == nil {
			err = errors.Join(set.Complete(), set.Shards[0].Verify())
		}
		if err != nil {
			t.Errorf("%s, made again: %v", c.what, err)
		}
		for _, name := range names(t, dir) {
			if strings.HasPrefix(name, ".") {
				t.Errorf("%s: left behind: %s", c.what, name)
			}
		}
	}
}

func TestWhatIsNotTheJob(t *testing.T) {
	dir, j := t.TempDir(), jobOf(4)
	check := func(what string, wants ...string) *shard.IncompleteError {
		t.Helper()
		set, err := shard.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = set.Complete()
		e := new(shard.IncompleteError)
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", what, want, err)
			}
		}
		return e
	}
	check("empty", "no shards")
	write(t, dir, j, 1, "1")
	write(t, dir, j, 4, "4")
	if e := check("missing", "shard 2/4 is missing", "make --shard 3/4", j.ShardID(2)); !slices.Equal(e.Missing, []int{2, 3}) {
		t.Errorf("missing %v", e.Missing)
	}
	write(t, dir, j, 2, "2")
	write(t, dir, j, 3, "3")
	other := jobOf(4)
	other.Parameters = json.RawMessage(`{"window": 100, "as": {"name": "<extractor>"}, "list": [1, 2]}`)
	path := write(t, dir, other, 2, "2")
	check("foreign", "of another job: window is 100, not 10")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	again := t.TempDir()
	write(t, again, j, 2, "two")
	if err := os.Rename(filepath.Join(again, j.ShardID(2)), filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	check("doubled", "shard 2/4 is there twice, with other content")
	if err := os.RemoveAll(filepath.Join(dir, "copy")); err != nil {
		t.Fatal(err)
	}
	write(t, again, j, 2, "2")
	set, err := shard.Read(dir, again)
	if err == nil {
		err = set.Complete()
	}
	if err != nil {
		t.Errorf("the same twice: %v", err)
	}
}

// TestTwoProcesses makes the same shard from both sides at once.
func TestTwoProcesses(t *testing.T) {
	dir, j := t.TempDir(), jobOf(1)
	var both sync.WaitGroup
	both.Add(2)
	texts := []string{"same", "same"}
	race := func() (made, existed int, errs error) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, text := range texts {
			wg.Go(func() {
				_, there, err := shard.Write(dir, j, 1, func(tmp string) error {
					both.Done()
					both.Wait() // both have begun
					return fillWith(text)(tmp)
				})
				mu.Lock()
				defer mu.Unlock()
				if errs = errors.Join(errs, err); there {
					existed++
				} else {
					made++
				}
			})
		}
		wg.Wait()
		return made, existed, errs
	}
	if made, existed, err := race(); made != 1 || existed != 1 || err != nil {
		t.Errorf("same content: %d made, %d existed, %v", made, existed, err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %v", got)
	}
	if err := os.RemoveAll(filepath.Join(dir, j.ShardID(1))); err != nil {
		t.Fatal(err)
	}
	both.Add(2)
	texts[1] = "other"
	if made, existed, err := race(); made != 1 || existed != 1 || !errors.Is(err, shard.ErrOther) {
		t.Errorf("other content: %d made, %d existed, %v", made, existed, err)
	}
}

// TestKilledRunsAreSwept kills a process in the middle. What it left is no shard, and the next one removes it, but nothing of a live one.
func TestKilledRunsAreSwept(t *testing.T) {
	if !flock.Here {
		t.Skip("this system has no locks")
	}
	dir := t.TempDir()
	begin := func() *exec.Cmd {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), child+"="+dir)
		command.Stderr = os.Stderr
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("half done\n"))
		if _, err := io.ReadFull(out, line); err != nil || string(line) != "half done\n" {
			t.Fatalf("%q, %v", line, err)
		}
		return command
	}
	kill := func(c *exec.Cmd) {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	dead, live := begin(), begin()
	defer kill(live)
	kill(dead)
	if got := names(t, dir); len(got) != 4 {
		t.Fatalf("of two processes: %v", got)
	}
	set, err := shard.Read(dir)
	if err != nil || len(set.Shards)+len(set.Faults) != 0 {
		t.Errorf("read %v, %v", set, err)
	}
	write(t, dir, jobOf(3), 1, "another shard") // does not touch them
	if got := names(t, dir); len(got) != 5 {
		t.Errorf("after another shard: %v", got)
	}
	write(t, dir, jobOf(3), 2, "x")
	if got := names(t, dir); len(got) != 4 { // two shards, and the live one's two
		t.Errorf("after the shard was made: %v", got)
	}
	kill(live)
	// What another machine left may be live there, whatever locks say here: it must be a day old.
	locks, err := filepath.Glob(filepath.Join(dir, ".*.lock"))
	if err != nil || len(locks) != 1 {
		t.Fatal(locks, err)
	}
	if err := os.WriteFile(locks[0], []byte(`{"host": "another machine", "pid": 1}`), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, jobOf(3).ShardID(2))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, jobOf(3), 2, "x")
	if got := names(t, dir); len(got) != 4 {
		t.Errorf("another machine's was touched: %v", got)
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(locks[0], old, old); err != nil {
		t.Fatal(err)
	}
	if _, existed, err := shard.Write(dir, jobOf(3), 2, nil); !existed || err != nil {
		t.Error(existed, err)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("a day later: %v", got)
	}
}

func TestHostileRecordsAreRefused(t *testing.T) {
	dir, j := t.TempDir(), jobOf(1)
	text, err := os.ReadFile(filepath.Join(write(t, dir, j, 1, "x"), shard.RecordName))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{`"data"`, `"../data"`}, {`"data"`, `"/etc/passwd"`}, {`"data"`, `"a/../../b"`}, {`"data"`, `""`}, {`"data"`, `"."`}, {`"data"`, `"shard.json"`},
		{`"data"`, `"c:\\x"`}, {`"data"`, `"sub/more"`}, {`"data"`, `"z"`}, {`"octets": 1`, `"octets": -1`}, {`"index": 1`, `"index": 2`},
		{`"index": 1`, `"index": 0`}, {`"count": 1`, `"count": 1000000000`}, {`"shard_version": 1`, `"shard_version": 2`}, {`"schema": 1`, `"schema": 3`},
		{j.ShardID(1), strings.Repeat("0", 64)}, {j.ID(), strings.Repeat("0", 64)}, {`"window"`, `"windows"`}, {`"ranges": [`, `"ranges": [{},`},
	} {
		changed := strings.Replace(string(text), c[0], c[1], 1)
		if changed == string(text) {
			t.Fatalf("%s is not in the record", c[0])
		}
		if r, err := shard.ParseRecord([]byte(changed)); err == nil {
			t.Errorf("%s instead of %s was taken: %+v", c[1], c[0], r)
		}
	}
}

// FuzzRecord holds that no record makes the reader panic, and that what is taken keeps to its folder.
func FuzzRecord(f *testing.F) {
	dir := f.TempDir()
	text, err := os.ReadFile(filepath.Join(write(f, dir, jobOf(3), 1, "x"), shard.RecordName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"shard_version":1}`))
	f.Add([]byte(`{"shard_version":1,"index":1,"count":1,"job":{"kind":"x","schema":1,"parameters":null,"ranges":[{}]},"shards":[""]}`))
	f.Add(bytes.Replace(text, []byte(`"index": 1`), []byte(`"index": 2`), 1))
	f.Add(bytes.Replace(text, []byte(`"job": {`), []byte(`"job": {}, "job": {`), 1))
	f.Fuzz(func(t *testing.T, changed []byte) {
		r, err := shard.ParseRecord(changed)
		after, errAfter := shard.ParseAfter(text, changed) // which knows the job
		switch {
		case err == nil && (errAfter != nil || !reflect.DeepEqual(r, after)):
			t.Errorf("%+v, and after a record of the job %+v, %v", r, after, errAfter)
		case errAfter == nil:
			r = after
		case err != nil:
			return
		}
		if r.ID != r.Job.ShardID(r.Index) || len(r.Job.IDs()) != r.Count {
			t.Errorf("%+v", r)
		}
		for _, file := range r.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Name)) {
				t.Errorf("%q leaves the folder", file.Name)
			}
		}
		shard.Differences(&r.Job, jobOf(3))
	})
}
