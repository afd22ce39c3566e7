package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/replay/split"
)

func TestSplitUsage(t *testing.T) {
	capture := filepath.Join(t.TempDir(), "a.pcap")
	run(t, ExitDone, "synth", "iot-1", "--frames", "10", "-o", capture)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no mode", []string{capture, "-o", "x"}, "want one of --auto"},
		{"two modes", []string{"-a", "first", "-p", capture, "-o", "x"}, "want one of --auto"},
		{"unknown auto mode", []string{"-a", "tap", capture, "-o", "x"}, "--auto tap: want bridge, router"},
		{"no capture", []string{"-p", "-o", "x"}, "no capture"},
		{"no output", []string{"-p", capture}, "-o FILE"},
		{"both names of the output", []string{"-p", capture, "-o", "x", "--cachefile", "y"}, "give one"},
		{"bad network", []string{"-c", "10.0.0", capture, "-o", "x"}, `network "10.0.0"`},
		{"a filter", []string{"-p", "-x", "F:tcp", capture, "-o", "x"}, "BPF filters are not understood"},
		{"both rules", []string{"-p", "-x", "P:1", "-X", "P:2", capture, "-o", "x"}, "include and exclude"},
		{"bad side", []string{"-p", "--nonip=left", capture, "-o", "x"}, `side "left"`},
		{"a side that is no value", []string{"-p", "-N", "client", capture, "-o", "x"}, "--nonip=client"},
		{"a ratio for ports", []string{"-p", "-R", "3", capture, "-o", "x"}, "--ratio does not go with mode port"},
		{"services without ports", []string{"-a", "client", "-s", "/etc/services", capture, "-o", "x"}, "--services does not go with mode client"},
		{"reversed ports", []string{"-p", "--reverse", capture, "-o", "x"}, "--reverse does not go with mode port"},
		{"masks", []string{"-a", "router", "-m", "8", "-M", "16", capture, "-o", "x"}, "prefix lengths from 8"},
		{"standard input twice", []string{"-a", "bridge", "-", "-o", "x"}, "take --auto first"},
		{"a cache and a capture", []string{"-S", "x.cache", capture}, "give no capture"},
		{"a cache and flags of another", []string{"-S", "x.cache", "-p", "--include", "P:1"}, "--include, --port: --print-comment"},
		{"comment", []string{"-p", "-C", strings.Repeat("x", 1<<16), capture, "-o", "x"}, "at most 65535"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if _, stderr := run(t, ExitUsage, append([]string{"split"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("%q does not say %q", stderr, tt.want)
			}
			if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
				t.Errorf("left %v (%v)", left, err)
			}
		})
	}
	if stdout, _ := run(t, ExitDone, "split", "-h"); !strings.Contains(stdout, "Examples:") {
		t.Error("split -h has no example")
	}
}

func TestSplitWritesWhatItPrints(t *testing.T) {
	dir := t.TempDir()
	one, two, cache := dir+"/one.pcap", dir+"/two.pcap", dir+"/both.cache"
	run(t, ExitDone, "synth", "iot-1", "--frames", "3000", "-o", one)
	run(t, ExitDone, "synth", "iot-1", "--seed", "2", "--frames", "2000", "-o", two)
	var made splitSummary
	stdout, _ := run(t, ExitDone, "split", "--auto", "client", "--exclude", "P:1-10,4001-", "-C", "of a test", "--json", "-i", one, two, "-o", cache)
	if err := json.Unmarshal([]byte(stdout), &made); err != nil {
		t.Fatal(err)
	}
	if made.Packets != 5000 || made.Skipped != 1010 || made.Client+made.Server != 3990 || made.Mode != "client" || len(made.Files) != 2 || made.Client == 0 || made.Server == 0 {
		t.Errorf("made %s", stdout)
	}
	var printed printedCache
	stdout, _ = run(t, ExitDone, "split", "--print-info", cache, "--json")
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil {
		t.Fatal(err)
	}
	if printed.Packets != made.Packets || printed.Client != made.Client || printed.Server != made.Server || printed.Skipped != made.Skipped ||
		len(printed.Sides) != 5000 || printed.Sides[9] != "skipped" || printed.Comment != "\nof a test" {
		t.Errorf("printed %.200s", stdout)
	}
	if stdout, _ = run(t, ExitDone, "split", "-P", cache); stdout != "of a test\n" {
		t.Errorf("comment %q", stdout)
	}
	if stdout, _ = run(t, ExitDone, "split", "-I", cache); strings.Count(stdout, "\n") != 5000 || !strings.HasPrefix(stdout, "1 skipped\n") {
		t.Errorf("info %.60q", stdout)
	}
	if stdout, _ = run(t, ExitDone, "split", "-S", cache); !strings.Contains(stdout, "skipped            1010\n") || !strings.Contains(stdout, "packets            5000\n") {
		t.Errorf("stats %q", stdout)
	}
	if _, stderr := run(t, ExitFailed, "split", "-S", one); !strings.Contains(stderr, "one.pcap: offset 0") {
		t.Errorf("%q does not say what is wrong with a capture as a cache", stderr)
	}
}

func TestSplitOrdersAsReplayDoes(t *testing.T) {
	dir := t.TempDir()
	one, two := dir+"/one.pcap", dir+"/two.pcap"
	run(t, ExitDone, "synth", "iot-1", "--frames", "400", "-o", one)
	run(t, ExitDone, "synth", "syn-60", "--frames", "400", "-o", two)
	sides := func(args ...string) []byte {
		code, stdout, stderr := runIn(context.Background(), strings.NewReader(""), append([]string{"split", "--auto", "first", "-o", "-"}, args...)...)
		if code != ExitDone {
			t.Fatal(stderr)
		}
		return []byte(stdout)
	}
	if bytes.Equal(sides(one, two), sides("--merge", one, two)) {
		t.Error("merged captures are split as captures one after another")
	}
	stored, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runIn(context.Background(), bytes.NewReader(stored), "split", "--auto", "first", "-", "-o", "-", "--json")
	if code != ExitDone || stdout != string(sides(one)) || !strings.Contains(stderr, `"packets":400`) {
		t.Errorf("exit code %d, standard input is split as another file than its own, or %q", code, stderr)
	}
	out := dir + "/x.cache"
	cut := dir + "/cut.pcap"
	if err := os.WriteFile(cut, stored[:len(stored)-7], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "split", "-p", cut, "-o", out); !strings.Contains(stderr, "record 400") {
		t.Errorf("%q does not say where the damage is", stderr)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a damaged capture left a cache")
	}
	run(t, ExitDone, "split", "-p", "--salvage", cut, "-o", out)
	if c, err := split.Open(out); err != nil || c.Len() != 399 {
		t.Errorf("salvaged %v, %v", c, err)
	}
}

// TestSplitDoesNotReadAPipeTwice names what can be done, of the flags that there are.
func TestSplitDoesNotReadAPipeTwice(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	path := fmt.Sprintf("/proc/self/fd/%d", r.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skipf("pipes have no names here: %v", err)
	}
	_, stderr := run(t, ExitUsage, "split", "-a", "client", path, "-o", t.TempDir()+"/x")
	if !strings.Contains(stderr, path+" can be read once: save it to a file, or take --auto first") || strings.Contains(stderr, "-K") {
		t.Errorf("said %q", stderr)
	}
}

func TestSplitIsTcppreps(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: it names the folder with the corpus of captures")
	}
	if _, err := exec.LookPath("tcpprep"); err != nil {
		t.Skip("tcpprep is not installed")
	}
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte("# some\nhttp 80/tcp\ndns 53/udp # names\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"-a bridge", "-a client -R 1.5", "-a first", "-p -N", "-p -s " + services, "-c 192.168.0.0/16 --reverse", "-c 192.168.0.0/16 -x P:2-100", "-r ^192 -C text"} {
		t.Run(args, func(t *testing.T) {
			capture := filepath.Join(dir, "zeek__bruteforce.pcap")
			theirs, ours := t.TempDir()+"/theirs", t.TempDir()+"/ours"
			common := append(strings.Fields(args), "--no-arg-comment", "-i", capture)
			if out, err := exec.Command("tcpprep", append(common, "-o", theirs)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			run(t, ExitDone, append([]string{"split"}, append(common, "-o", ours)...)...)
			want, err := os.ReadFile(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(ours); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d octets, not those %d of tcpprep (%v)", len(got), len(want), err)
			}
		})
	}
}
