package shard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pcaplab/datasets/flock"
	"pcaplab/datasets/shard"
)

// TestManyReplaceADamagedShard has several writers find one damaged shard at once. What any of them says is there must be there.
func TestManyReplaceADamagedShard(t *testing.T) {
	if !flock.Here {
		t.Skip("this system has no locks")
	}
	rounds := 45
	if testing.Short() {
		rounds = 15
	}
	dir, j := t.TempDir(), jobOf(1)
	path := write(t, dir, j, 1, "payload")
	for round := range rounds {
		switch round % 3 {
		case 0:
			if err := os.Truncate(filepath.Join(path, "data"), 3); err != nil {
				t.Fatal(err)
			}
		case 1:
			if err := os.Remove(filepath.Join(path, shard.RecordName)); err != nil {
				t.Fatal(err)
			}
		case 2: // a folder without anything, which a rename replaces
			if err := errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o777)); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				got, _, err := shard.Write(dir, j, 1, fillWith("payload"))
				if err != nil {
					t.Error(err)
					return
				}
				text, err := os.ReadFile(filepath.Join(got, "data"))
				if err != nil || string(text) != "payload" {
					t.Errorf("round %d: after it was made: %q, %v", round, text, err)
				}
			})
		}
		all.Wait()
		if got := names(t, dir); !slices.Equal(got, []string{j.ShardID(1)}) {
			t.Fatalf("round %d: left behind: %v", round, got)
		}
	}
}

// TestRecordsShareTheirJob: what the shards of a job have in common is kept once, also where names and commands differ.
func TestRecordsShareTheirJob(t *testing.T) {
	dir, n := t.TempDir(), 12
	j := jobOf(n)
	for i := range 170 {
		j.Inputs = append(j.Inputs, shard.Input{Name: fmt.Sprintf("folder/%d.pcap", i), Octets: int64(i), SHA256: strings.Repeat("01", 32)})
	}
	other := jobOf(n)
	other.Parameters = json.RawMessage(`{"window": 11}`)
	for i := 1; i <= n; i++ {
		if i == n/2 {
			moved := *j
			moved.Again = "elsewhere/make --shard %s"
			j = &moved
		}
		write(t, dir, j, i, "x")
		write(t, dir, other, i, "x")
	}
	set, err := shard.Read(dir)
	if err != nil || len(set.Shards) != 2*n || len(set.Faults) > 0 {
		t.Fatal(err, len(set.Shards), set.Faults)
	}
	for _, of := range []*shard.Job{j, other} {
		list := set.Of(of)
		for i := 1; i <= n; i++ {
			s := list[i]
			if s.ID != of.ShardID(i) || s.Index != i || s.Count != n || len(s.Job.Inputs) != len(of.Inputs) || !slices.Equal(s.Shards, of.IDs()) {
				t.Fatalf("shard %d: %+v", i, s)
			}
			if want := map[bool]string{true: "make --shard %s", false: "elsewhere/make --shard %s"}[of == other || i < n/2]; s.Job.Again != want {
				t.Errorf("shard %d: again %q, want %q", i, s.Job.Again, want)
			}
			first := list[1]
			if &s.Job.Inputs[0] != &first.Job.Inputs[0] || &s.Job.Ranges[0] != &first.Job.Ranges[0] || &s.Shards[0] != &first.Shards[0] {
				t.Errorf("shard %d has its own copy of the job", i)
			}
			if text, err := s.Read("data"); err != nil || string(text) != "x" {
				t.Errorf("shard %d: %q, %v", i, text, err)
			}
		}
	}
	// A record that is like the others but for its own lines is compared with the job all the same.
	name := filepath.Join(set.Of(j)[3].Dir, shard.RecordName)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{`"index": 3`, `"index": 4`}, {`"count": 12`, `"count": 13`}, {`"data"`, `"../data"`}, {`"shard_version": 1`, `"shard_version": 2`},
		{`"files"`, `"shards": [], "files"`}, {`"job_id": "`, `"job_id": "0`}} {
		changed := strings.Replace(string(text), c[0], c[1], 1)
		if changed == string(text) {
			t.Fatalf("%s is not in the record", c[0])
		}
		if err := os.WriteFile(name, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := shard.Read(dir)
		if err != nil || len(set.Faults) != 1 || !strings.Contains(set.Faults[0].Error(), name) {
			t.Errorf("%s: %v, %v", c[1], err, set.Faults)
		}
	}
}

// TestAWholeCopyIsTaken: of a shard that is there twice, once damaged, the whole one is joined.
func TestAWholeCopyIsTaken(t *testing.T) {
	here, there, j := t.TempDir(), t.TempDir(), jobOf(1)
	first, second := write(t, here, j, 1, "payload"), write(t, there, j, 1, "payload")
	for _, damaged := range []string{first, second} {
		if err := os.WriteFile(filepath.Join(damaged, "data"), []byte("paylOad"), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := shard.Read(here, there)
		if err == nil {
			err = set.Complete()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Of(set.Main())[1].Dir; got == damaged {
			t.Errorf("the damaged one is taken: %s", got)
		}
		if err := os.WriteFile(filepath.Join(damaged, "data"), []byte("payload"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhatCannotBeReadIsPassedBy: folders that are nobody's business do not end a look through shards. Those that are named as shards do count.
func TestWhatCannotBeReadIsPassedBy(t *testing.T) {
	dir, j := t.TempDir(), jobOf(2)
	path := write(t, dir, j, 1, "x")
	elsewhere := write(t, t.TempDir(), j, 2, "x")
	if err := os.Symlink(elsewhere, filepath.Join(dir, "link")); err != nil {
		t.Skip(err)
	}
	set, err := shard.Read(dir)
	if err != nil || len(set.Shards) != 1 || len(set.Notes) != 1 || !strings.Contains(set.Notes[0], filepath.Join(dir, "link")) {
		t.Errorf("a link: %v, %+v", err, set)
	}
	if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadDir(filepath.Join(dir, "lost+found")); err == nil {
		t.Skip("every folder can be read here")
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(path, 0o777) })
	set, err = shard.Read(dir)
	if err != nil || len(set.Shards) != 0 || len(set.Notes) != 2 || len(set.Faults) != 1 || !strings.Contains(set.Faults[0].Error(), j.ShardID(1)) {
		t.Errorf("no rights: %v, %+v", err, set)
	}
	// Such a shard may be whole, so it is not replaced.
	if _, _, err := shard.Write(dir, j, 1, fillWith("y")); err == nil || !strings.Contains(err.Error(), "was not touched") {
		t.Errorf("made again: %v", err)
	}
}
