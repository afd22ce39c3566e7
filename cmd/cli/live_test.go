//go:build linux

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
	"syscall"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay/live"
	"pcaplab/replay/netlab"
	"pcaplab/replay/trial"
)

// needsNetworks skips a test that may make no network.
func needsNetworks(t *testing.T) {
	t.Helper()
	lab, err := netlab.New(netlab.Config{})
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := lab.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLiveUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no capture", nil, "no capture"},
		{"engine", []string{"--engines", "nobody", "synth:iot-1"}, "nobody"},
		{"backend", []string{"--backend", "pigeon", "synth:iot-1"}, "pigeon"},
		{"multiple of memory", []string{"--rates", "0.5x", "synth:iot-1"}, "packets a second"},
		{"rate", []string{"--rates", "fast", "synth:iot-1"}, "fast"},
		{"goal", []string{"--goal", "some", "synth:iot-1"}, "some"},
		{"ring of one block", []string{"--ring", "128KiB", "synth:iot-1"}, "two blocks"},
		{"ring of parts", []string{"--ring", "200KiB", "synth:iot-1"}, "whole"},
		{"block", []string{"--ring", "100kB", "--block", "1kB", "synth:iot-1"}, "page size"},
		{"ring of 8 GiB", []string{"--ring", "8GiB", "--block", "4GiB", "synth:iot-1"}, "2 GiB"},
		{"MTU", []string{"--mtu", "67", "synth:iot-1"}, "MTU of 67"},
		{"repeats", []string{"--repeats", "0", "synth:iot-1"}, "repeats"},
		{"edit", []string{"--ttl", "x", "synth:iot-1"}, "--ttl x"},
		{"edit without sides", []string{"--endpoints", "1.1.1.1:2.2.2.2", "synth:iot-1"}, "only --cachefile tells"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, stderr := run(t, ExitUsage, append([]string{"live"}, tt.args...)...)
			if !strings.Contains(stderr, tt.want) {
				t.Errorf("%s, want %q", stderr, tt.want)
			}
		})
	}
}

func TestLive(t *testing.T) {
	needsNetworks(t)
	before, err := netlab.Links()
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "out")
	stdout, _ := run(t, ExitDone, "live", "--engines", "direct", "--trial", "40ms", "--sum", "40ms", "--width", "0.3", "--repeats", "1", "--cache", "as-is",
		"--rates", "5k", "--json", "-o", folder, "synth:iot-1:500")
	var results analysis.Live
	if err := json.Unmarshal([]byte(stdout), &results); err != nil {
		t.Fatal(err)
	}
	if len(results.Engines) != 1 || len(results.Engines[0].Loads) != 2 || results.Engines[0].Ceiling.N != 1 || results.Engines[0].Memory.N != 1 ||
		results.Engines[0].Loads[1].Counts.Sent+results.Engines[0].Loads[1].Shortfall != 200 || len(results.Backends) != 1 {
		t.Errorf("%s", stdout)
	}
	header, records, err := report.ReadLive(folder)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteLive(&table, analysis.AnalyzeLive(header, records)); err != nil {
		t.Fatal(err)
	}
	stored, err := os.ReadFile(filepath.Join(folder, report.TableFile))
	if err != nil || !bytes.Equal(stored, table.Bytes()) {
		t.Errorf("%v: stored\n%s\nfrom the records\n%s", err, stored, &table)
	}
	for i := range records {
		if x := records[i].Trial; x != nil && records[i].Kind != live.KindAlone &&
			int64(x.Sent) != int64(x.Parsed+x.SocketDrops+x.InterfaceDrops+x.InRing)+x.Unexplained {
			t.Errorf("%+v", x.Counts)
		}
	}
	if _, stderr := run(t, ExitFailed, "live", "-o", folder, "synth:iot-1:500"); !strings.Contains(stderr, "holds results") {
		t.Error(stderr)
	}
	if after, err := netlab.Links(); err != nil || !slices.Equal(before, after) {
		t.Errorf("interfaces here are %v, were %v; %v", after, before, err)
	}
}

// TestLiveEdits has raw IP packets become Ethernet frames with a tag, of two sides: at both ends of the comparison.
func TestLiveEdits(t *testing.T) {
	needsNetworks(t)
	dir := t.TempDir()
	_, cachefile, left := sidedCapture(t, dir, 200)
	raw := write(t, filepath.Join(dir, "raw"), captureOf(t, 200, pcapio.WriterConfig{Link: parse.LinkRaw}, func(_ int, f *parse.Frame) {
		d := bytes.Clone(f.Data[14:]) // becomes UDP over IPv4, whatever it was
		d[0], d[2], d[3], d[6], d[7], d[9] = 0x45, byte(len(d)>>8), byte(len(d)), 0, 0, 17
		d[24], d[25] = byte((len(d)-20)>>8), byte(len(d)-20)
		f.Data, f.WireLen, f.Link = d, len(d), parse.LinkRaw
	}))
	folder := filepath.Join(dir, "out")
	stdout, stderr := run(t, ExitDone, "live", "--engines", "direct", "--trial", "30ms", "--goal", "none", "--repeats", "1", "--cache", "as-is", "--rates", "5k",
		"--dlt", "enet", "--enet-dmac", "02:00:00:00:00:01,02:00:00:00:00:02", "--enet-smac", "02:00:00:00:00:02,02:00:00:00:00:01", "--enet-vlan", "add",
		"--enet-vlan-tag", "7", "--mtu", "400", "--mtu-trunc", "--cachefile", cachefile, "-o", folder, raw)
	if want := "sides of 200 packets, of which 29 are left out"; left != 29 || !strings.Contains(stderr, want) {
		t.Errorf("said %q, want %q", stderr, want)
	}
	if want := "edits --dlt=enet --enet-vlan=add --enet-vlan-tag=7 "; !strings.Contains(stdout, want) || !strings.Contains(stdout, "sides by "+cachefile) {
		t.Errorf("no %q in %q", want, stdout)
	}
	header, records, err := report.ReadLive(folder)
	if err != nil {
		t.Fatal(err)
	}
	if header.Editing == nil || header.Editing.Frames != 171 || header.Cachefile.NotSent != 29 || header.Plan.Sides == "" || header.Plan.Edits.MTU != 400 {
		t.Errorf("header has %+v, %+v", header.Plan.Changes, header.Changed)
	}
	network, memory := 0, 0
	for _, r := range records {
		var c parse.Counters
		switch {
		case r.Trial != nil && r.Kind != live.KindAlone:
			c = r.Trial.Parser
			network++
		case r.Memory != nil && r.Memory.Kind == trial.KindTrial:
			c = r.Memory.Counters
			memory++
			if r.Memory.Settings.Sides != header.Plan.Sides || r.Memory.Frames != 171 {
				t.Errorf("in memory %d frames, %+v", r.Memory.Frames, r.Memory.Settings.Changes)
			}
		default:
			continue
		}
		if c.Frames == 0 || c.VLAN != c.Frames || c.UDP != c.Frames || c.WireOctets != c.Octets {
			t.Errorf("%s: %+v", r.Kind, c)
		}
	}
	if network == 0 || memory == 0 {
		t.Errorf("%d trials on the network, %d in memory", network, memory)
	}
}

// liveProgram starts this test as the program.
func liveProgram(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"live"}, args...)...)
	cmd.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
	return cmd
}

func TestLiveInterrupted(t *testing.T) {
	needsNetworks(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	folder := filepath.Join(t.TempDir(), "out")
	cmd := liveProgram(ctx, "--engines", "direct", "--trial", "100ms", "--goal", "none", "--repeats", "1000", "-o", folder, "synth:iot-1:500")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		if records, err := os.ReadFile(filepath.Join(folder, report.RecordsFile)); err == nil && bytes.Count(records, []byte("\n")) > 3 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != ExitInterrupted {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if _, records, err := report.ReadLive(folder); err != nil || len(records) < 3 {
		t.Errorf("%d records, %v", len(records), err)
	}
	if _, err := os.Stat(filepath.Join(folder, report.CSVFile)); err != nil {
		t.Error(err)
	}
}

// Who is not root is root of a user namespace, where there are such.
func TestLiveWithoutRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	// The test binary is in a folder that nobody else may enter.
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pcaplab-live")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "program")
	if err := os.WriteFile(copied, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := liveProgram(ctx, "-q", "--engines", "direct", "--trial", "20ms", "--goal", "none", "--repeats", "1", "--cache", "as-is", "synth:iot-1:100")
	cmd.Path, cmd.Dir = copied, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		t.Skip("nobody may not run programs in the temporary folder: ", err)
	}
	if err != nil && strings.Contains(string(out), "no user namespace") {
		t.Skipf("%s", out)
	}
	if err != nil || !strings.Contains(string(out), "top speed") {
		t.Errorf("%v: %s", err, out)
	}
}
