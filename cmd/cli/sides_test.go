package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/split"
	"pcaplab/replay/trial"
)

// sidedCapture writes a capture of n frames and the cache file of it, in which the server sends every third frame, and every
// seventh is not sent.
func sidedCapture(t *testing.T, dir string, n int) (capture, cachefile string, left int) {
	t.Helper()
	capture = write(t, filepath.Join(dir, "in"), captureOf(t, n, pcapio.WriterConfig{}, nil))
	cache, err := split.NewCache("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		side := split.Client
		if i%3 == 0 {
			side = split.Server
		}
		if i%7 == 2 {
			left++
		}
		cache.Append(side, i%7 != 2)
	}
	var b bytes.Buffer
	if err := cache.Write(&b); err != nil {
		t.Fatal(err)
	}
	return capture, write(t, filepath.Join(dir, "cache"), b.Bytes()), left
}

// TestChangedFramesAreThoseOfRewrite holds the frames that a study feeds against what the command rewrite writes, frames that the
// cache file excludes aside.
func TestChangedFramesAreThoseOfRewrite(t *testing.T) {
	dir := t.TempDir()
	in, cachefile, left := sidedCapture(t, dir, 500)
	out := filepath.Join(dir, "out")
	args := []string{"--endpoints", "10.9.0.1:10.9.0.2,[fd00::1]:[fd00::2]", "--enet-dmac", "02:00:00:00:00:01,02:00:00:00:00:02", "--ttl", "7"}
	run(t, ExitDone, append(append([]string{"rewrite", "-c", cachefile}, args...), in, out)...)
	written, _ := framesOf(t, read(t, out))

	a := &app{Program: program(), stderr: &bytes.Buffer{}, quiet: true}
	c := trial.Changes{Edits: rewrite.Edits{Endpoints: args[1], DestMAC: args[3], TTL: args[5]}}
	var did trial.Changed
	content, err := readSides(cachefile, &c, &did)
	if err != nil {
		t.Fatal(err)
	}
	frames, _, err := (&captureFlags{}).load(context.Background(), a, sources([]string{in}))
	if err != nil {
		t.Fatal(err)
	}
	frames, err = a.change(frames, &c, &did, content, true, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	n := 0
	var f parse.Frame
	for i, want := range written {
		if i%7 == 2 {
			continue
		}
		if n == frames.Len() {
			t.Fatalf("%d frames only", n)
		}
		frames.Frame(n, &f)
		n++
		if !bytes.Equal(f.Data, want.Data) || f.WireLen != want.WireLen {
			t.Fatalf("frame %d is % x, rewrite makes % x", i+1, f.Data, want.Data)
		}
	}
	if n != frames.Len() || did.Cachefile.NotSent != uint64(left) || did.Editing.Frames != uint64(n) || did.Editing.Failed() > 0 {
		t.Errorf("%d frames, %d wanted; %+v, %v", frames.Len(), n, did.Cachefile, did.Editing)
	}
}

func TestMeasuringTakesSides(t *testing.T) {
	dir := t.TempDir()
	in, cachefile, left := sidedCapture(t, dir, 300)
	endpoints := []string{"--endpoints", "10.9.0.1:10.9.0.2", "--cachefile", cachefile}
	stdout, stderr := run(t, ExitDone, append(append(append([]string{"trial", "--engines", "direct", "--json"}, tiny...), endpoints...), in)...)
	if want := "sides of 300 packets, of which 43 are left out"; left != 43 || !strings.Contains(stderr, want) {
		t.Errorf("said %q, want %q", stderr, want)
	}
	sum := sumSides(read(t, cachefile))
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if !strings.Contains(line, `"sides_sha256":"`+sum+`"`) {
			t.Errorf("record without the sides: %.300s", line)
		}
	}
	// Two maps, and two MACs; sides without an edit leave frames out all the same.
	for _, edit := range [][]string{
		{"--pnat", "10.0.0.0/8:11.0.0.0/8", "--pnat", "10.0.0.0/8:12.0.0.0/8"}, {"--enet-smac", "02:00:00:00:00:01,02:00:00:00:00:02"}, nil,
	} {
		args := append(append([]string{"sweep", "--rates", "10k", "--engines", "direct", "--cachefile", cachefile}, tiny...), edit...)
		if _, stderr := run(t, ExitDone, append(args, in)...); !strings.Contains(stderr, "43 are left out") || !strings.Contains(stderr, ": 257 packets") {
			t.Errorf("%v: said %q", edit, stderr)
		}
	}

	sweep := append([]string{"sweep", "--rates", "10k", "--engines", "direct", "--in-process"}, tiny...)
	folder := filepath.Join(dir, "results")
	first, _ := run(t, ExitDone, append(sweep, append(endpoints, "-o", folder, in)...)...)
	want := "edits --endpoints=10.9.0.1:10.9.0.2, sides by " + cachefile + ", 43 packets left out by it"
	if !strings.Contains(first, want) {
		t.Errorf("no %q in %q", want, first)
	}
	var h trial.Header
	if err := json.Unmarshal(read(t, filepath.Join(folder, report.HeaderFile)), &h); err != nil {
		t.Fatal(err)
	}
	if h.Settings.Sides != sum || h.Cachefile == nil || h.Cachefile.NotSent != 43 || h.Cachefile.Path != cachefile || h.Editing == nil || h.Editing.Frames != 257 {
		t.Errorf("header has %+v, %+v", h.Settings.Changes, h.Changed)
	}
	if again, _ := run(t, ExitDone, "sweep", "--resume", folder); !strings.Contains(again, want) {
		t.Errorf("no %q in %q", want, again)
	}
	moved := filepath.Join(dir, "moved")
	if err := os.Rename(cachefile, moved); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "sweep", "--resume", folder); !strings.Contains(stderr, cachefile) {
		t.Errorf("said %q", stderr)
	}
	run(t, ExitDone, "sweep", "--resume", folder, "--cachefile", moved)
	run(t, ExitDone, "sweep", "--resume", folder) // knows where it is now

	// Another one, of as many packets.
	same := read(t, moved)
	other := bytes.Clone(same)
	other[len(other)-1] ^= 1
	write(t, cachefile, other)
	write(t, moved, other)
	for _, args := range [][]string{{"--resume", folder}, {"--resume", folder, "--cachefile", cachefile}} {
		if _, stderr := run(t, ExitFailed, append([]string{"sweep"}, args...)...); !strings.Contains(stderr, "is not what the study began with: SHA-256") {
			t.Errorf("said %q", stderr)
		}
	}
	write(t, moved, same)
	plain := filepath.Join(dir, "plain")
	run(t, ExitDone, append(sweep, "-o", plain, in)...)
	if _, stderr := run(t, ExitUsage, "sweep", "--resume", plain, "--cachefile", moved); !strings.Contains(stderr, "has none") {
		t.Errorf("said %q", stderr)
	}
}

func TestSidesOfAnotherCapture(t *testing.T) {
	dir := t.TempDir()
	in, cachefile, _ := sidedCapture(t, dir, 30)
	longer := write(t, filepath.Join(dir, "longer"), captureOf(t, 31, pcapio.WriterConfig{}, nil))
	shorter := write(t, filepath.Join(dir, "shorter"), captureOf(t, 29, pcapio.WriterConfig{}, nil))
	none := write(t, filepath.Join(dir, "none"), []byte("no cache"))
	cut := write(t, filepath.Join(dir, "cut"), read(t, cachefile)[:25])
	for _, tt := range []struct {
		name string
		code int
		args []string
		want string // "" for no error
	}{
		{"longer", ExitFailed, []string{"--cachefile", cachefile, longer}, "is for 30 packets, 31 were read"},
		{"shorter", ExitFailed, []string{"--cachefile", cachefile, shorter}, "is for 30 packets, 29 were read"},
		{"two captures", ExitFailed, []string{"--cachefile", cachefile, shorter, longer}, "is for 30 packets, 60 were read"},
		{"the first of them", ExitDone, []string{"--cachefile", cachefile, "--packets", "11", in}, ""},
		{"more than there are", ExitFailed, []string{"--cachefile", cachefile, "--packets", "100", shorter}, "29 were read"},
		{"more than it has", ExitFailed, []string{"--cachefile", cachefile, "--packets", "31", longer}, "31 were read"},
		{"synthetic traffic", ExitDone, []string{"--cachefile", cachefile, "synth:iot-1:30"}, ""},
		{"no file", ExitFailed, []string{"--cachefile", filepath.Join(dir, "absent"), in}, "absent"},
		{"no cache", ExitFailed, []string{"--cachefile", none, in}, split.ErrFormat.Error()},
		{"cut short", ExitFailed, []string{"--cachefile", cut, in}, "cut short"},
		{"no sides", ExitUsage, []string{"--endpoints", "1.1.1.1:2.2.2.2", in}, "--endpoints: there is a value for each side, and only --cachefile tells"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, stderr := run(t, tt.code, append(append([]string{"trial", "--engines", "direct"}, tiny...), tt.args...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("said %q, want %q", stderr, tt.want)
			}
		})
	}
}

// TestServedSides sends a job with a cache file to a board.
func TestServedSides(t *testing.T) {
	_, cachefile, _ := sidedCapture(t, t.TempDir(), 2000)
	for _, spoil := range []bool{false, true} {
		to, from, wait := serving(t, context.Background())
		j := tinyJob(t)
		var err error
		j.Header.Settings.Edits.Endpoints = "10.9.0.1:10.9.0.2"
		if j.Sides, err = readSides(cachefile, &j.Header.Settings.Changes, &j.Header.Changed); err != nil {
			t.Fatal(err)
		}
		if spoil {
			j.Sides = j.Sides[:100]
		}
		var header trial.Header
		err = exchange(request{Job: j}, to, from, func(v response) error {
			if v.Ready != nil {
				header = v.Ready.Header
			}
			return nil
		})
		to.Close()
		if waitErr := wait(); waitErr != nil {
			t.Error(waitErr)
		}
		switch {
		case spoil:
			if err == nil || !strings.Contains(err.Error(), "SHA-256") {
				t.Error(err)
			}
		case err != nil:
			t.Error(err)
		case header.Cachefile == nil || header.Cachefile.NotSent != 286 || header.Editing == nil || header.Editing.Frames != 1714:
			t.Errorf("%+v", header.Changed)
		}
	}
}

func TestMovedAddressesSayWhatStays(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 50, pcapio.WriterConfig{}, func(i int, f *parse.Frame) {
		if i == 7 {
			f.Data = bytes.Clone(f.Data)
			f.Data[14] = 0x41 // an IPv4 header of 4 octets, or half an ARP message
		}
	}))
	stdout, stderr := run(t, ExitDone, append([]string{"ceiling", "--sum", "12ms", "--width", "0.1", "--engines", "direct", "--move-addresses", in}, tiny...)...)
	if !strings.Contains(stderr, "a copy with addresses of its own: addresses moved in") || !strings.Contains(stderr, "1 malformed") {
		t.Errorf("said %q", stderr)
	}
	if !strings.Contains(stdout, "addresses move, 1 packets of a copy keep theirs") {
		t.Errorf("printed %q", stdout)
	}
}
