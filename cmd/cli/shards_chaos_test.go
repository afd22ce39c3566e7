//go:build unix

package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pcaplab/datasets/shard"
)

// chaos is a job whose shards meet with what happens to shards.
type chaos struct {
	*testing.T
	rng      *rand.Rand
	dir      string // of the shards
	settings []string
	captures []string
	n        int
	sizes    []int64 // of payloads, about
	killed   int     // processes that were killed before they ended
}

// process is the program as a process of its own.
func (c *chaos) process(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
	return cmd
}

func (c *chaos) command(i int, dir string) []string {
	return slices.Concat([]string{"features", "--shard", shard.Part{Index: i, Count: c.n}.String(), "-o", dir}, c.settings, c.captures)
}

// mustRun runs a process that must end with exit code 0.
func (c *chaos) mustRun(args ...string) {
	c.Helper()
	if out, err := c.process(args...).CombinedOutput(); err != nil {
		c.Fatalf("%v: %v\n%s", args, err, out)
	}
}

// killAt starts a process and kills it when the largest file that matches a pattern has so many octets, or when it has ended.
func (c *chaos) killAt(octets int64, pattern string, args ...string) {
	c.Helper()
	cmd := c.process(args...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		c.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended: // faster than this loop
			if err != nil {
				c.Fatalf("%v: %v\n%s", args, err, out.String())
			}
			return
		default:
		}
		reached := octets == 0
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			if info, err := os.Stat(name); err == nil && info.Size() >= octets {
				reached = true
			}
		}
		if reached {
			_ = cmd.Process.Kill()
			if err := <-ended; err != nil {
				c.killed++
			}
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// kill starts the making of shard i and kills it somewhere: before there is anything, or with any part of the payload there.
func (c *chaos) kill(i int) {
	c.killAt(c.rng.Int64N(c.sizes[i]+1), filepath.Join(c.dir, ".*.tmp", "*"), c.command(i, c.dir)...)
}

// full runs a process with a folder on a disk of its own that is too small, and wants it to fail and to leave nothing there.
func (c *chaos) full(dir string, octets int64, args ...string) {
	c.Run("full disk", func(t *testing.T) {
		cannot := t.Skipf
		if os.Getenv("PCAPLAB_REQUIRE_ROOT") != "" {
			cannot = t.Fatalf
		}
		if _, err := exec.LookPath("unshare"); err != nil || os.Getuid() != 0 {
			cannot("no full disk: that needs root, and unshare")
		}
		script := `mount -t tmpfs -o size="$1" tmpfs "$2" || exit; dir=$2; shift 2; "$@"; echo "exit code $?"; ls -A "$dir"`
		cmd := exec.Command("unshare", slices.Concat([]string{"--mount", "sh", "-c", script, "sh", fmt.Sprint(octets), dir, os.Args[0]}, args)...)
		cmd.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			cannot("no full disk: no file system of a given size can be mounted here: %v: %s", err, errs.String())
		}
		if out.String() != "exit code 1\n" || !strings.Contains(errs.String(), syscall.ENOSPC.Error()) {
			t.Errorf("%v on a full disk: %q\n%s", args, out.String(), errs.String())
		}
	})
}

// spoil changes a shard's folder on the disk: an octet, the length, or the record.
func (c *chaos) spoil(i int) {
	c.Helper()
	s := c.find(i)
	var names []string
	for _, f := range s.Files {
		if f.Octets > 0 {
			names = append(names, filepath.Join(s.Dir, filepath.FromSlash(f.Name)))
		}
	}
	name := names[c.rng.IntN(len(names))]
	record := c.rng.IntN(4) == 0
	if record {
		name = filepath.Join(s.Dir, shard.RecordName)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		c.Fatal(err)
	}
	if record { // not every octet of it matters: names of inputs are for people
		text = text[:c.rng.IntN(len(text)/2)]
	} else if c.rng.IntN(2) == 0 {
		text = text[:c.rng.IntN(len(text))]
	} else {
		text[c.rng.IntN(len(text))] ^= 0x10
	}
	if err := os.WriteFile(name, text, 0o666); err != nil {
		c.Fatal(err)
	}
}

func (c *chaos) find(i int) *shard.Shard {
	c.Helper()
	set, err := shard.Read(c.dir)
	if err != nil {
		c.Fatal(err)
	}
	for _, s := range set.Shards {
		if s.Index == i {
			return s
		}
	}
	c.Fatalf("no shard %d in %s", i, c.dir)
	return nil
}

// broken compares what status says is to be made, and that nothing is joined.
func (c *chaos) broken(want []int, output string) {
	c.Helper()
	code, out, errs := runIn(context.Background(), nil, "shards", "status", "--verify", "--missing", c.dir)
	if code != ExitMissed || strings.TrimSpace(out) != indices(want) {
		c.Fatalf("status says %d, %q, want %v\n%s", code, out, want, errs)
	}
	code, _, errs = runIn(context.Background(), nil, "merge", c.dir, "-o", output)
	if code != ExitFailed {
		c.Fatalf("shards %v are missing or damaged, and merge says %d\n%s", want, code, errs)
	}
	if _, err := os.Stat(output); err == nil {
		c.Fatalf("shards %v are missing or damaged, and %s is there", want, output)
	}
}

// TestShardsSurvive makes jobs of random settings in a random number of shards, in random order, while processes are killed with any part of
// their payload written, two make the same shard at once, disks are full, and shards are damaged or removed. In the end the joined file must
// be that of a single run, octet for octet. PCAPLAB_CHAOS is how many seeds; 2 by default.
func TestShardsSurvive(t *testing.T) {
	seeds := 2
	if testing.Short() {
		seeds = 1
	}
	if text := os.Getenv("PCAPLAB_CHAOS"); text != "" {
		var err error
		if seeds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	var captures []string
	for _, c := range []struct{ profile, name string }{
		{"iot-1:40000", "Benign_Final/BenignTraffic.pcap"},
		{"ddos-icmp_flood:200000", "DDoS-ICMP_Flood/DDoS-ICMP_Flood.pcap"},
		{"iot-1:1500", "Benign_Final/BenignTraffic1.pcap"},
	} {
		path := filepath.Join(folder, filepath.FromSlash(c.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		profile, frames, _ := strings.Cut(c.profile, ":")
		run(t, 0, "synth", profile, "--frames", frames, "-o", path)
		captures = append(captures, path)
	}
	run(t, 0, "-q", "dataset", "scan", folder)
	killed := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			killed += survive(t, uint64(seed), captures)
		})
	}
	t.Logf("%d processes were killed before they ended", killed)
}

func survive(t *testing.T, seed uint64, captures []string) (killed int) {
	rng, page := rand.New(rand.NewPCG(seed, 10)), int64(os.Getpagesize())
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	c := &chaos{T: t, rng: rng, dir: filepath.Join(t.TempDir(), "shards"), n: 2 + rng.IntN(4), captures: captures}
	format := []string{"csv", "parquet"}[seed%2]
	c.settings = []string{"--format", format, "--window", pick("cic", "10", "100", "500", "1s"), "--as", pick("extractor", "pipeline", "released", "fixed"),
		"--workers", pick("1", "2", "3")}
	if rng.IntN(2) == 0 {
		c.settings = append(c.settings, "--label", "folder")
	}
	t.Logf("%d shards, %v", c.n, c.settings)
	if err := os.Mkdir(c.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	single := filepath.Join(t.TempDir(), "single")
	run(t, 0, slices.Concat([]string{"features", "-o", single}, c.settings, c.captures)...)
	want, err := os.ReadFile(single)
	if err != nil {
		t.Fatal(err)
	}
	c.sizes = make([]int64, c.n+1)
	for i := range c.sizes {
		c.sizes[i] = int64(len(want) / c.n)
	}

	for _, k := range rng.Perm(c.n) {
		i := k + 1
		switch rng.IntN(4) {
		case 0:
			for range 1 + rng.IntN(2) {
				c.kill(i)
			}
		case 1: // two at once; both must end well
			cmd, out := c.process(c.command(i, c.dir)...), new(bytes.Buffer)
			cmd.Stderr = out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			c.mustRun(c.command(i, c.dir)...)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("two processes on shard %d: %v\n%s", i, err, out.String())
			}
		case 2:
			c.full(c.dir, page*(1+rng.Int64N(2)), c.command(i, c.dir)...) // lock, result and record alone are three pages
		}
		c.mustRun(c.command(i, c.dir)...)
	}
	output := filepath.Join(t.TempDir(), "merged."+format)
	var gone []int
	for i := 1; i <= c.n; i++ {
		switch rng.IntN(4) {
		case 0:
			if i == c.n && len(gone) == c.n-1 {
				continue // one is left, to say what is missing
			}
			if err := os.RemoveAll(c.find(i).Dir); err != nil {
				t.Fatal(err)
			}
			gone = append(gone, i)
		case 1:
			if i == c.n && len(gone) == c.n-1 {
				continue
			}
			c.spoil(i)
			gone = append(gone, i)
		}
	}
	if len(gone) > 0 {
		c.broken(gone, output)
		for _, i := range gone {
			c.kill(i)
			c.mustRun(c.command(i, c.dir)...)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.dir, ".*")); len(left) > 0 {
		t.Errorf("left of killed runs: %v", left)
	}

	// Some come from another machine, one of them twice.
	other := filepath.Join(t.TempDir(), "other")
	for i := 1; i <= c.n; i++ {
		s := c.find(i)
		switch rng.IntN(3) {
		case 0:
			if err := os.CopyFS(filepath.Join(other, filepath.Base(s.Dir)), os.DirFS(s.Dir)); err != nil {
				t.Fatal(err)
			}
		}
	}
	dirs := []string{c.dir}
	if _, err := os.Stat(other); err == nil {
		dirs = append([]string{other}, dirs...)
	}
	merge := slices.Concat([]string{"merge"}, dirs, []string{"-o", output})
	c.killAt(rng.Int64N(int64(len(want))), filepath.Join(filepath.Dir(output), ".*"), merge...)
	if got, err := os.ReadFile(output); err == nil && !bytes.Equal(got, want) {
		t.Fatal("a merge that was killed left a part of the file")
	}
	if int64(len(want)) > page {
		c.full(filepath.Dir(output), page, merge...)
	}
	for range 2 {
		c.mustRun(merge...)
		got, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("the joined file has %d octets, that of a single run %d, and they differ at %d", len(got), len(want), differAt(got, want))
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(output), ".*")); len(left) > 0 {
		t.Logf("left of a merge that was killed: %v", left)
	}
	return c.killed
}

func differAt(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
