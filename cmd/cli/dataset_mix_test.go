package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"pcaplab/datasets/cic"
	"pcaplab/datasets/mix"
	"pcaplab/datasets/truth"
)

// classTree makes captures of three classes below a folder, and goes to where it is.
func classTree(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, c := range []struct{ path, profile, frames string }{
		{"PCAP/Benign_Final/BenignTraffic.pcap", "iot-1", "300"},
		{"PCAP/Benign_Final/BenignTraffic1.pcap", "iot-1", "150"},
		{"PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood10.pcap", "syn-60", "40"},
		{"PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood2.pcap", "syn-60", "1000"},
		{"PCAP/my own/lab.pcap", "udp-512", "200"},
	} {
		if err := os.MkdirAll(filepath.Dir(c.path), 0o777); err != nil {
			t.Fatal(err)
		}
		run(t, ExitDone, "synth", c.profile, "--frames", c.frames, "-o", c.path)
	}
	for _, path := range []string{"PCAP/README.txt", "PCAP/.hidden.pcap"} {
		if err := os.WriteFile(path, []byte("no capture"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func mixed(t *testing.T, args ...string) *mix.Summary {
	t.Helper()
	stdout, _ := run(t, ExitDone, append([]string{"dataset", "mix", "--json", "-o", "out.pcap"}, args...)...)
	var s mix.Summary
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return &s
}

func TestDatasetMix(t *testing.T) {
	classTree(t)
	s := mixed(t, "PCAP")
	var names []string
	for _, c := range s.Classes {
		names = append(names, c.Class)
	}
	want := []string{"Benign_Final", "DDoS-SYN_Flood", "my own"}
	if !slices.Equal(names, want) || s.Written != 1690 || s.Classes[0].Benign != 450 || s.Classes[1].Benign != 0 {
		t.Errorf("%q: %+v", names, s)
	}
	if _, err := os.Stat("out.pcap.truth.csv"); err != nil {
		t.Error(err)
	}
	if _, stderr := run(t, ExitDone, "info", "out.pcap"); stderr != "" {
		t.Errorf("the mixture: %s", stderr)
	}

	s = mixed(t, "--by", "packets", "--shares", "BENIGN=3,*=1", "--packets", "1e2", "--from-tree", "PCAP")
	if s.Classes[0].Packets != 60 || s.Classes[1].Packets != 20 || s.Classes[2].Packets != 20 || s.Classes[0].Wanted != 0.6 {
		t.Errorf("shares: %+v", s.Classes)
	}
	s = mixed(t, "--by", "packets", "--shares", "real", "Benign_Final=PCAP/Benign_Final/BenignTraffic.pcap", "PCAP/DDoS-SYN_Flood")
	benign, _ := cic.Find("Benign_Final")
	flood, _ := cic.Find("DDoS-SYN_Flood")
	if want := float64(benign.Packets) / float64(benign.Packets+flood.Packets); s.Classes[0].Wanted != want || s.Ended != mix.Shortest {
		t.Errorf("real shares: %+v", s)
	}
	s = mixed(t, "--by", "turns", "--shares", "DDoS-SYN_Flood=1,my own=1,Benign_Final=8", "--duration", "20ms", "PCAP")
	if got := s.Classes[0].Reached; got < 0.7 || got > 0.9 {
		t.Errorf("shares of time: %+v", s.Classes)
	}
	s = mixed(t, "--by", "octets", "--shuffle", "--seed", "4", "--until", "longest", "--pps", "5", "--size", "100kB", "PCAP")
	if s.CaptureOctets > 100_000 || s.CaptureOctets < 98_000 || s.Times != mix.Spread {
		t.Errorf("%+v", s)
	}
	s = mixed(t, "--offset", "DDoS-SYN_Flood=1h", "A=PCAP/my own/lab.pcap", "PCAP/DDoS-SYN_Flood")
	if s.LastTime-s.FirstTime < 3600e9 {
		t.Errorf("an hour later: %+v", s)
	}

	// Pieces are read in natural order, but named ones as they are named.
	origins := func(args ...string) string {
		mixed(t, args...)
		text, err := os.ReadFile("out.pcap" + truth.Suffix)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		return lines[1] + " " + lines[2]
	}
	flood2 := "1000,DDoS-SYN_Flood,,PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood2.pcap,1"
	flood10 := "40,DDoS-SYN_Flood,,PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood10.pcap,1"
	if got := origins("PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood10.pcap", "PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood2.pcap"); got != flood2+" "+flood10 {
		t.Error(got)
	}
	if got := origins("DDoS-SYN_Flood=PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood10.pcap,PCAP/DDoS-SYN_Flood/DDoS-SYN_Flood2.pcap"); got != flood10+" "+flood2 {
		t.Error(got)
	}
}

func TestDatasetMixOfStreams(t *testing.T) {
	classTree(t)
	stdout, stderr := run(t, ExitDone, "dataset", "mix", "--by", "packets", "--format", "pcapng", "-o", "-", "--truth", "t.csv", "PCAP")
	if !strings.HasPrefix(stdout, "\n\r\r\n") || !strings.Contains(stderr, "600 packets") || !strings.Contains(stderr, "no captures by their names") {
		t.Errorf("%.20q, %s", stdout, stderr)
	}
	text, err := os.ReadFile("PCAP/my own/lab.pcap")
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runIn(t.Context(), bytes.NewReader(text), "dataset", "mix", "-o", "out.pcap", "LAB=-", "PCAP/DDoS-SYN_Flood")
	if code != ExitDone || !strings.Contains(stderr, "200") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if text, _ := os.ReadFile("out.pcap.truth.csv"); !strings.Contains(string(text), ",LAB,,-,1\n") {
		t.Errorf("%.200s", text)
	}
}

func TestDatasetMixOfDamage(t *testing.T) {
	classTree(t)
	path := "PCAP/my own/lab.pcap"
	if err := os.Truncate(path, 24+100*(16+508)+7); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := run(t, ExitFailed, "dataset", "mix", "-o", "out.pcap", "PCAP")
	for _, want := range []string{"packets before it: 100", "lab.pcap", "--salvage"} {
		if stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s%s: want %q", stdout, stderr, want)
		}
	}
	if s := mixed(t, "--salvage", "PCAP"); s.Written != 1590 || len(s.Losses) != 1 {
		t.Errorf("%+v", s)
	}
	if _, stderr := run(t, ExitFailed, "dataset", "sample", "-o", "part", "PCAP"); !strings.Contains(stderr, "packets before it: 100") {
		t.Errorf("%s", stderr)
	}
}

func TestDatasetMixUsage(t *testing.T) {
	classTree(t)
	for _, tt := range []struct {
		args, want string
	}{
		{"mix PCAP", "-o FILE"},
		{"mix -o out.pcap", "CLASS=FILE"},
		{"mix -o - PCAP", "--truth"},
		{"mix -o - --truth t --json PCAP", "--json"},
		{"mix -o out.pcap --truth - PCAP", "name a file"},
		{"mix -o out.pcap -", "CLASS=-"},
		{"mix -o out.pcap synth:iot-1", "synth"},
		{"mix -o out.pcap --shares equal PCAP", "--by"},
		{"mix -o out.pcap --seed 3 PCAP", "--shuffle"},
		{"mix -o out.pcap --by size PCAP", "want time"},
		{"mix -o out.pcap --by packets --shares Benign_Final=1 PCAP", "none for DDoS-SYN_Flood"},
		{"mix -o out.pcap --by packets --shares Benign_Final=x,*=1 PCAP", "Benign_Final=x"},
		{"mix -o out.pcap --by packets --shares Benign_Final=0,*=1 PCAP", "Benign_Final=0"},
		{"mix -o out.pcap --by packets --shares XSS=1,*=1 PCAP", "there are Benign_Final"},
		{"mix -o out.pcap --by packets --shares BENIGN=1,Benign_Final=1,*=1 PCAP", "twice"},
		{"mix -o out.pcap --by packets --shares *=1,*=2 PCAP", "twice"},
		{"mix -o out.pcap --by packets --shares real PCAP", "my own"},
		{"mix -o out.pcap --by turns --shares real PCAP", "numbers"},
		{"mix -o out.pcap --by turns --pps 3 PCAP", "times"},
		{"mix -o out.pcap --offset soon PCAP", "CLASS=DURATION"},
		{"mix -o out.pcap --offset XSS=1s PCAP", "there are"},
		{"mix -o out.pcap --offset BENIGN=1s --offset BENIGN=2s PCAP", "twice"},
		{"mix -o out.pcap --packets many PCAP", "many"},
		{"mix -o out.pcap --packets 0.5 PCAP", "0.5"},
		{"mix -o out.pcap --times spread PCAP", "rate"},
		{"mix -o out.pcap lone.pcap", "CLASS=lone.pcap"},
		{"mix -o out.pcap --size 10 PCAP", "no room"},
		{"sample PCAP", "-o DIR"},
		{"sample -o part", "CLASS=FILE"},
		{"sample -o part --method tail PCAP", "want head"},
		{"sample -o part --method head --seed 2 PCAP", "reservoir"},
		{"sample -o part --per-class 10 PCAP", "1024"},
		{"sample -o part --block -1 PCAP", "want 1"},
		{"mix -o out.pcap PCAP/DDoS-SYN_Flood/XSS.pcap", "CLASS=FILE"},
	} {
		for _, path := range []string{"PCAP/DDoS-SYN_Flood/XSS.pcap", "lone.pcap"} {
			if !strings.HasSuffix(tt.args, path) {
				continue
			}
			if err := os.WriteFile(path, nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		stdout, stderr := run(t, ExitUsage, append([]string{"dataset"}, strings.Fields(tt.args)...)...)
		if stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: stdout %q, stderr %q: want %q", tt.args, stdout, stderr, tt.want)
		}
	}
	if err := errors.Join(os.Remove("lone.pcap"), os.Remove("PCAP/DDoS-SYN_Flood/XSS.pcap"), os.Mkdir("empty", 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"mix -o out.pcap no-such.pcap", "mix -o out.pcap A=no-such.pcap", "mix -o out.pcap empty", "mix -o PCAP PCAP",
		"sample -o part no-such.pcap"} {
		if _, stderr := run(t, ExitFailed, append([]string{"dataset"}, strings.Fields(args)...)...); stderr == "" {
			t.Errorf("%s: no error", args)
		}
	}
	if left, _ := filepath.Glob("*"); !slices.Equal(left, []string{"PCAP", "empty"}) {
		t.Errorf("left: %q", left)
	}
}

// A reader that goes away does not leave a file without a name.
func TestDatasetMixIntoAPipeThatBreaks(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a capture larger than a pipe")
	}
	classTree(t)
	run(t, ExitDone, "synth", "udp-1518", "--frames", "2000", "-o", "big.pcap")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, "dataset", "mix", "-o", "-", "--truth", "t.csv", "A=big.pcap")
	c.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
	c.Stdout = w
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	if err := c.Wait(); c.ProcessState.ExitCode() != ExitFailed || !strings.Contains(stderr.String(), "write") {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if entries, _ := os.ReadDir("."); len(entries) != 2 {
		t.Errorf("left: %v", entries)
	}
}

func TestDatasetSample(t *testing.T) {
	classTree(t)
	stdout, _ := run(t, ExitDone, "dataset", "sample", "--json", "--per-class", "20kB", "--block", "20", "-o", "part", "PCAP")
	var done []mix.Sampled
	if err := json.Unmarshal([]byte(stdout), &done); err != nil || len(done) != 3 {
		t.Fatalf("%v: %s", err, stdout)
	}
	for i, want := range []string{"part/Benign_Final/BenignTraffic.pcap", "part/DDoS-SYN_Flood/DDoS-SYN_Flood.pcap", "part/my own/my own.pcap"} {
		info, err := os.Stat(filepath.FromSlash(want))
		if err != nil || done[i].File != filepath.FromSlash(want) || info.Size() > 20_000 || info.Size() < 18_000 {
			t.Errorf("%s: %v: %+v", want, err, done[i])
		}
		if _, err := os.Stat(want + truth.Suffix); err != nil {
			t.Error(err)
		}
	}
	if _, stderr := run(t, ExitFailed, "dataset", "sample", "-o", "part", "PCAP"); !strings.Contains(stderr, "is there") {
		t.Error(stderr)
	}
	for _, method := range []string{"stride", "head"} {
		_, stderr := run(t, ExitDone, "dataset", "sample", "--method", method, "-o", method, "PCAP")
		if !strings.Contains(stderr, "1,690 packets of 3 classes") {
			t.Errorf("%s: %s", method, stderr)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _, _ := runIn(ctx, strings.NewReader(""), "dataset", "sample", "-o", "none", "PCAP"); code != ExitInterrupted {
		t.Errorf("exit code %d", code)
	}
	if left, _ := filepath.Glob("none/*"); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// What a shell offers for flags of mix and sample is taken.
func TestDatasetMixOffersWhatItTakes(t *testing.T) {
	a := &app{Program: program()}
	for _, c := range []*cobra.Command{a.datasetMixCommand(), a.datasetSampleCommand()} {
		for _, name := range []string{"by", "shares", "times", "until", "format", "method"} {
			complete, ok := c.GetFlagCompletionFunc(name)
			if !ok {
				continue
			}
			offered, _ := complete(c, nil, "")
			if len(offered) < 2 {
				t.Errorf("--%s offers %q", name, offered)
			}
			for _, v := range offered {
				value, _, _ := strings.Cut(string(v), "\t")
				args := []string{"dataset", c.Name(), "-o", "out", "--" + name, value, "Benign_Final=no-such.pcap"}
				switch {
				case name == "shares":
					args = append(args, "--by", "packets")
				case value == mix.Spread:
					args = append(args, "--pps", "1")
				}
				if code, _, stderr := runIn(t.Context(), strings.NewReader(""), args...); code != ExitFailed || !strings.Contains(stderr, "no-such.pcap") {
					t.Errorf("--%s %s: exit code %d, %s", name, value, code, stderr)
				}
			}
		}
	}
}

// Links to folders are followed, also in circles; copies are noted; a name may have a comma.
func TestClassesOfATree(t *testing.T) {
	classTree(t)
	if err := os.Symlink(filepath.Join("..", "elsewhere"), "PCAP/XSS"); err != nil {
		t.Skip("no links here")
	}
	text, err := os.ReadFile("PCAP/my own/lab.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir("elsewhere", 0o777), os.Symlink("..", "PCAP/my own/up"), os.WriteFile("elsewhere/XSS.pcap", text, 0o666),
		os.WriteFile("elsewhere/XSS (1).pcap", text, 0o666), os.WriteFile("we,ird.pcap", text, 0o666)); err != nil {
		t.Fatal(err)
	}
	_, stderr := run(t, ExitDone, "dataset", "mix", "-o", "out.pcap", "PCAP", "A=we,ird.pcap")
	for _, want := range []string{"2,290 packets", "XSS (1).pcap looks like a copy of " + filepath.FromSlash("PCAP/XSS/XSS.pcap")} {
		if !strings.Contains(stderr, want) {
			t.Errorf("%s: want %q", stderr, want)
		}
	}
}
