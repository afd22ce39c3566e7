//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// boardsVariable names a folder with pcaplab, of this machine, and pcaplab-linux-arm64, -armv7, -armv6, all of one source: make
// boards sets it. What the boards' binaries answer under qemu-user must be what this machine's answers.
const boardsVariable = "PCAPLAB_BOARDS"

// commandTime bounds a command under emulation.
const commandTime = 5 * time.Minute

// board is a binary and the processor to run it on.
type board struct {
	name     string
	emulator string // of Debian's qemu-user-static, or without -static of qemu-user
	cpu      string
}

var boards = []board{
	{"arm64", "qemu-aarch64", "cortex-a53"}, // Zero 2 W, 3B
	{"armv7", "qemu-arm", "cortex-a7"},      // 2B
	{"armv6", "qemu-arm", "arm1176"},        // Zero W
}

// counted are captures that every engine parses, but for noDecoder: tunnels, tags, fragments, odd link types, malformed frames.
var counted = []string{
	"lucid__CIC-DDoS-2019-WebDDoS.pcap", "ndpi__6in4tunnel.pcap", "ndpi__ip_fragmented_garbage.pcap", "pcpp__MplsPackets.pcap",
	"pcpp__PPPoESession.pcap", "pcpp__VlanPackets.pcap", "pcpp__ip6_fragments.pcap", "pcpp__null_loopback.pcap", "pcpp__raw_ip.pcap",
	"pcpp__sll2.pcap", "sentinel__HueBridge_Setup-A-1-STA.pcap",
}

// Engines of gopacket v1.1.19 have no decoder for the link type of noDecoder; decoders are those that do.
const (
	noDecoder = "pcpp__sll2.pcap"
	decoders  = "direct,fork-gopacket-eager,fork-gopacket-lazy,fork-gopacket-nocopy,fork-gopacket-lazy-nocopy,fork-gopacket-layers"
)

// answer is what came of a command.
type answer struct {
	stdout, stderr string
	code           int // of the exit; -1: ended by signal
	signal         syscall.Signal
}

// machine runs pcaplab in some way.
type machine []string

// ask runs a command in dir.
func (m machine) ask(t *testing.T, dir string, args ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	command := append(slices.Clone(m), args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%q takes more than %v\n%s", command, commandTime, stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	a := answer{stdout: stdout.String(), stderr: stderr.String(), code: cmd.ProcessState.ExitCode()}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		a.signal = status.Signal()
	}
	return a
}

// want runs a command that must succeed.
func (m machine) want(t *testing.T, dir string, args ...string) answer {
	t.Helper()
	a := m.ask(t, dir, args...)
	if a.code != 0 {
		t.Fatalf("%q: exit code %d\n%s", args, a.code, a.stderr)
	}
	return a
}

func TestBoards(t *testing.T) {
	bin := os.Getenv(boardsVariable)
	if bin == "" {
		t.Skipf("%s is unset: 'make boards' builds the binaries and sets it", boardsVariable)
	}
	host := machine{filepath.Join(bin, "pcaplab")}
	for _, b := range boards {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			emulator, err := exec.LookPath(b.emulator + "-static")
			if err != nil {
				if emulator, err = exec.LookPath(b.emulator); err != nil {
					t.Skipf("no %s-static and no %s (Debian: apt-get install qemu-user-static)", b.emulator, b.emulator)
				}
			}
			program := filepath.Join(bin, "pcaplab-linux-"+b.name)
			if _, err := os.Stat(program); err != nil {
				t.Fatal(err)
			}
			here := machine{emulator, "-cpu", b.cpu, program}
			if b.cpu == "arm1176" {
				t.Run("refuses an ARMv7 program", func(t *testing.T) {
					a := machine{emulator, "-cpu", b.cpu, filepath.Join(bin, "pcaplab-linux-armv7")}.ask(t, t.TempDir(), "--version")
					if a.signal != syscall.SIGILL {
						t.Errorf("exit code %d, signal %v, want an illegal instruction: this emulator shows nothing about ARMv6\n%s%s",
							a.code, a.signal, a.stdout, a.stderr)
					}
				})
			}
			t.Run("synth", func(t *testing.T) { sameTraffic(t, host, here) })
			t.Run("info", func(t *testing.T) { sameInfo(t, host, here) })
			t.Run("trial", func(t *testing.T) { sameCounters(t, host, here) })
			t.Run("children", func(t *testing.T) { clearWithoutChildren(t, here) })
			t.Run("board", func(t *testing.T) { describesItself(t, here, b.name) })
			t.Run("ceiling", func(t *testing.T) { findsCeilings(t, here) })
			t.Run("calibrate", func(t *testing.T) { sameDigests(t, host, here) })
		})
	}
}

func corpus(t *testing.T) (dir string, captures []string) {
	dir = os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS names no folder of captures with known contents")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		captures = append(captures, e.Name()) // the texts among them too: they are no captures, and must be refused alike
	}
	if len(captures) < len(counted) {
		t.Fatalf("%s: %d files", dir, len(captures))
	}
	return dir, captures
}

// differ reports where answers differ first.
func differ(t *testing.T, what, want, got string) {
	t.Helper()
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < min(len(w), len(g))-1 && w[i] == g[i] {
		i++
	}
	t.Errorf("%s: line %d is\n%.600s\nwant\n%.600s", what, i+1, g[i], w[i])
}

func sameTraffic(t *testing.T, host, here machine) {
	const frames = "3000"
	for _, profile := range []string{"iot-1", "syn-60", "udp-64", "udp-1518"} {
		want := host.want(t, "", "synth", profile, "--frames", frames, "--seed", "7").stdout
		got := here.want(t, "", "synth", profile, "--frames", frames, "--seed", "7").stdout
		if want != got || len(want) < 100_000 {
			t.Errorf("%s: %d octets, want %d, or they differ", profile, len(got), len(want))
		}
	}
}

func sameInfo(t *testing.T, host, here machine) {
	dir, captures := corpus(t)
	faulty := 0
	for _, flags := range [][]string{{"info", "--json"}, {"info", "--json", "--salvage"}} {
		args := append(flags, captures...)
		want, got := host.ask(t, dir, args...), here.ask(t, dir, args...)
		what := strings.Join(flags, " ")
		differ(t, what, want.stdout, got.stdout)
		differ(t, what+": errors", want.stderr, got.stderr)
		if want.code != got.code {
			t.Errorf("%s: exit code %d, want %d", what, got.code, want.code)
		}
		lines := strings.Split(strings.TrimSpace(want.stdout), "\n")
		if len(lines) != len(captures) {
			t.Fatalf("%s: %d answers of %d captures", what, len(lines), len(captures))
		}
		if len(flags) > 2 {
			continue
		}
		for i, line := range lines {
			var info struct{ Error *string }
			if err := json.Unmarshal([]byte(line), &info); err != nil {
				t.Fatal(err)
			}
			if info.Error == nil {
				continue
			}
			faulty++
			want, got := host.ask(t, dir, "info", captures[i]), here.ask(t, dir, "info", captures[i])
			if want != got || got.code != 1 || got.stderr == "" {
				t.Errorf("%s: exit code %d, %q; want %d, %q", captures[i], got.code, got.stderr, want.code, want.stderr)
			}
		}
	}
	if faulty < 10 {
		t.Errorf("%d captures are faulty: too few to show anything", faulty)
	}
}

// facts are what a trial's record holds that must not depend on the machine.
func facts(t *testing.T, records string) string {
	t.Helper()
	var all strings.Builder
	lines := strings.Split(strings.TrimSpace(records), "\n")
	for _, line := range lines {
		var r struct {
			Kind, Captures, Cell, Counters, Stages, First_frame, Working_set_frames json.RawMessage
			Result                                                                  map[string]json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %.200s", err, line)
		}
		staged := strings.Contains(string(r.Stages), `"flow"`) && strings.Contains(string(r.Stages), `"features"`)
		if alone := string(r.Kind) == `"engine-alone"`; !strings.Contains(string(r.Counters), `"frames"`) || staged == alone {
			t.Fatalf("a record without counters: %.200s", line)
		}
		fmt.Fprintf(&all, "%s %s %s %s %s %s %s", r.Kind, r.Cell, r.Captures, r.Counters, r.Stages, r.First_frame, r.Working_set_frames)
		for _, count := range []string{"offered", "delivered", "dropped", "residual", "unsent", "offered_octets", "delivered_octets"} {
			value, known := r.Result[count]
			if !known {
				t.Fatalf("a record without %s: %.200s", count, line)
			}
			fmt.Fprintf(&all, " %s %s", count, value)
		}
		fmt.Fprintln(&all)
	}
	return all.String()
}

func sameCounters(t *testing.T, host, here machine) {
	inputs := []string{"synth:iot-1:3000"}
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Log("PCAPLAB_CORPUS is unset: synthetic traffic only")
	} else {
		inputs = append(inputs, counted...)
	}
	for _, input := range inputs {
		engines, count := "all", 11
		if input == noDecoder {
			engines, count = decoders, 6
		}
		args := []string{"trial", "--in-process", "--loop", "1", "--cache", "as-is", "--engines", engines, "--stages", "flow,features",
			"--stamp", "capture", "--memory-limit", "64MiB", "--json", input}
		want, got := facts(t, host.want(t, dir, args...).stdout), facts(t, here.want(t, dir, args...).stdout)
		if strings.Count(want, "service") != count {
			t.Fatalf("%s: records of\n%s\nwant one of each of %d engines", input, want, count)
		}
		differ(t, input, want, got)
	}
}

// clearWithoutChildren asks for measuring processes where the system cannot start the program: the error must say how to
// do without. Where binfmt starts it, there is nothing to say.
func clearWithoutChildren(t *testing.T, here machine) {
	a := here.ask(t, "", "trial", "--loop", "1", "--cache", "as-is", "synth:udp-64:100")
	if a.code == 0 {
		t.Skip("this system starts the program by itself")
	}
	if a.code != 1 || !strings.Contains(a.stderr, "--in-process") {
		t.Errorf("exit code %d, and no word of --in-process:\n%s", a.code, a.stderr)
	}
}

func describesItself(t *testing.T, here machine, name string) {
	arch, bits := "arm", 32
	if name == "arm64" {
		arch, bits = "arm64", 64
	}
	var said struct {
		Environment struct {
			Arch string
			Bits int
		}
	}
	if err := json.Unmarshal([]byte(here.want(t, "", "board", "--json").stdout), &said); err != nil {
		t.Fatal(err)
	}
	if said.Environment.Arch != arch || said.Environment.Bits != bits {
		t.Errorf("a program of %d bits for %s, want %d for %s", said.Environment.Bits, said.Environment.Arch, bits, arch)
	}
	text := here.want(t, "", "board").stdout
	if !strings.Contains(text, "linux/"+arch) {
		t.Errorf("board does not name linux/%s:\n%s", arch, text)
	}
}

func findsCeilings(t *testing.T, here machine) {
	folder := filepath.Join(t.TempDir(), "results")
	here.want(t, "", "ceiling", "--quick", "--in-process", "--repeats", "1", "--engines", "direct,gopacket-layers", "--cache", "hot",
		"-o", folder, "synth:iot-1:2000")
	records, err := os.ReadFile(filepath.Join(folder, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(string(records)), "\n") {
		var r struct {
			Kind string
			Cell struct{ Engine string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Kind == "bounds" {
			found[r.Cell.Engine]++
		}
	}
	if len(found) != 2 || found["direct"] == 0 || found["direct"] != found["gopacket-layers"] {
		t.Errorf("bounds by engine: %v, want as many of direct as of gopacket-layers", found)
	}
}

func sameDigests(t *testing.T, host, here machine) {
	digests := func(m machine) string {
		file := filepath.Join(t.TempDir(), "calibration.json")
		m.want(t, "", "calibrate", "--quick", "--in-process", "-o", file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Calibration struct {
				Traffic json.RawMessage
				Kernels struct {
					Version int
					Kernels []struct{ Name, Checksum string }
				}
				Counts []struct{ Engine, SHA256 string }
				Cells  []struct{ Engine, Size, Cache string }
			}
		}
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		k := &c.Calibration
		if len(k.Counts) != 11 || len(k.Kernels.Kernels) < 10 || len(k.Cells) < 11 {
			t.Fatalf("%d counts, %d kernels, %d cells", len(k.Counts), len(k.Kernels.Kernels), len(k.Cells))
		}
		var s strings.Builder
		fmt.Fprintf(&s, "%s\n%v\n", k.Traffic, k.Kernels.Version)
		for _, x := range k.Kernels.Kernels {
			fmt.Fprintln(&s, x)
		}
		for _, x := range k.Counts {
			fmt.Fprintln(&s, x)
		}
		for _, x := range k.Cells {
			fmt.Fprintln(&s, x)
		}
		return s.String()
	}
	differ(t, "calibrate --quick", digests(host), digests(here))
}
