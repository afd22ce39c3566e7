package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/cmd/remote/sshtest"
	"pcaplab/replay/trial"
)

// loopback starts an sshd that takes copies of this test's binary, which is the program there (see TestMain).
func loopback(t *testing.T) *sshtest.Server {
	t.Helper()
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skipf("this test's binary is of %s; a 64-bit host takes its own", runtime.GOARCH)
	}
	return sshtest.Start(t)
}

func onBoard(t *testing.T, s *sshtest.Server, hosts string, args ...string) []string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"remote", "--binary", program, "--ssh-config", s.Config, hosts}, args...)
}

// clean fails if anything was left in the login folder.
func clean(t *testing.T, s *sshtest.Server) {
	t.Helper()
	left, err := os.ReadDir(s.Home)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("left on the host: %s", f.Name())
	}
}

// sweepArgs is a study whose records can be counted beforehand: 2 engines, 2 repeats, each warm-up, service and two loads.
func sweepArgs(more ...string) []string {
	return append([]string{"sweep", "--trial", "100ms", "--repeats", "2", "--cache", "hot", "--rates", "0.5x,2x"}, more...)
}

const sweepRecords = 2 * 2 * 4

// onceEach fails unless each trial of sweepArgs is among the records of a folder exactly once.
func onceEach(t *testing.T, folder string) []trial.Record {
	t.Helper()
	_, records, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, r := range records {
		seen[fmt.Sprint(r.Cell, r.Repeat, r.Kind, r.Input.OfService)]++
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("measured %d times: %s", n, what)
		}
	}
	if len(records) != sweepRecords {
		t.Errorf("%d records, want %d", len(records), sweepRecords)
	}
	return records
}

func synthFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	run(t, ExitDone, "synth", "iot-1", "--frames", "3000", "-o", path)
	return path
}

func TestRemoteCeilingOfAFile(t *testing.T) {
	s := loopback(t)
	folder := filepath.Join(t.TempDir(), "results")
	path := synthFile(t, "iot.pcap")
	stdout, stderr := run(t, ExitDone, onBoard(t, s, s.Alias, ceilingArgs("-o", folder, path)...)...)
	if !strings.Contains(stdout, "gopacket-layers") || !strings.Contains(stdout, "NDR") {
		t.Errorf("no table:\n%s\n%s", stdout, stderr)
	}
	clean(t, s)
	header, records, err := report.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(header.Captures) != 1 || header.Captures[0].Name != path || header.Captures[0].Path != path || header.Captures[0].Frames != 3000 {
		t.Errorf("captures %+v", header.Captures)
	}
	if len(records) < 8 {
		t.Errorf("%d records", len(records))
	}
	// What was measured there is a folder like any other.
	again, _ := run(t, ExitDone, "table", folder)
	if again != stdout {
		t.Errorf("the folder's table differs:\n%s\n%s", again, stdout)
	}
}

func TestRemoteFilesMayHaveAnyName(t *testing.T) {
	s := loopback(t)
	path := synthFile(t, "-a 'b' \"c\" $(touch PWNED); `touch PWNED` ü.pcap")
	stdout, _ := run(t, ExitDone, onBoard(t, s, s.Alias, "trial", "--trial", "5ms", "--cache", "as-is", "--json", path)...)
	if n := strings.Count(stdout, "\n"); n != 2 || strings.Contains(stdout, `"host"`) {
		t.Errorf("%d records, or a host's name in those of one\n%s", n, stdout)
	}
	clean(t, s)
	damaged := filepath.Join(t.TempDir(), "it's damaged.pcap")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged, content[:len(content)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, onBoard(t, s, s.Alias, "trial", damaged)...); !strings.Contains(stderr, "it's damaged.pcap") {
		t.Errorf("the error does not name the file as the user did: %s", stderr)
	}
	clean(t, s)
}

// TestRemoteModel: the model goes to the board as a capture does, and results name it as the user did.
func TestRemoteModel(t *testing.T) {
	s := loopback(t)
	modelFile(t)
	run(t, ExitDone, onBoard(t, s, s.Alias, append([]string{"trial", "-o", "results", "--engines", "direct", "--stages", "features,model=lr.onnx:clamp", "synth:iot-1:500"}, tiny...)...)...)
	clean(t, s)
	header, records, err := report.Read("results")
	if err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	if f := header.StageFiles; len(f) != 1 || f[0].Name != "lr.onnx" || f[0].Path != filepath.Join(here, "lr.onnx") || len(f[0].SHA256) != 64 {
		t.Errorf("files of stages %+v", f)
	}
	last := records[len(records)-1]
	if c := last.Stages["model=lr.onnx:clamp"]; c["vectors"] == 0 || last.Settings.Stages[1] != "model=lr.onnx:clamp" {
		t.Errorf("stages %v, counts %v", last.Settings.Stages, last.Stages)
	}
	// A model that a board cannot take is refused here.
	if err := os.WriteFile("bad.onnx", []byte("no model"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitUsage, onBoard(t, s, s.Alias, "trial", "--stages", "features,model=bad.onnx", "synth:iot-1:500")...); !strings.Contains(stderr, "bad.onnx") {
		t.Errorf("a bad model: %s", stderr)
	}
	clean(t, s)
}

func TestRemoteStandardInput(t *testing.T) {
	s := loopback(t)
	content, err := os.ReadFile(synthFile(t, "iot.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runIn(context.Background(), bytes.NewReader(content),
		onBoard(t, s, s.Alias, "trial", "--loop", "1", "--json", "-")...)
	if code != ExitDone {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var frames []uint64
	for d := json.NewDecoder(strings.NewReader(stdout)); d.More(); {
		var r trial.Record
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, r.Counters.Frames)
	}
	if len(frames) != 2 || frames[1] != 3000 {
		t.Errorf("frames of the trials: %v", frames)
	}
	clean(t, s)
}

func TestRemoteStudySurvivesACutConnection(t *testing.T) {
	s := loopback(t)
	folder := filepath.Join(t.TempDir(), "results")
	cuts := 0
	ended := make(chan struct{})
	cutter := make(chan struct{})
	go func() {
		defer close(cutter)
		for cuts < 2 {
			select {
			case <-ended:
				return
			case <-time.After(time.Millisecond):
			}
			content, _ := os.ReadFile(filepath.Join(folder, report.RecordsFile))
			if n := bytes.Count(content, []byte("\n")); n >= 3+5*cuts && n < sweepRecords-4 {
				if cuts == 1 { // and the way there is closed for a while
					s.Refuse()
					time.AfterFunc(1500*time.Millisecond, s.Restore)
				}
				s.Cut()
				cuts++
			}
		}
	}()
	_, stderr := run(t, ExitDone, onBoard(t, s, s.Alias, sweepArgs("-o", folder, "synth:iot-1:3000")...)...)
	close(ended)
	<-cutter
	if cuts == 0 || strings.Count(stderr, "connection lost") < cuts {
		t.Errorf("%d cuts\n%s", cuts, stderr)
	}
	onceEach(t, folder)
	clean(t, s)
}

func TestRemoteStudyGivenUpGoesOnWithResume(t *testing.T) {
	s := loopback(t)
	folder := filepath.Join(t.TempDir(), "results")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			content, _ := os.ReadFile(filepath.Join(folder, report.RecordsFile))
			if bytes.Count(content, []byte("\n")) >= 5 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	path := synthFile(t, "iot.pcap")
	code, _, stderr := runIn(ctx, strings.NewReader(""), onBoard(t, s, s.Alias, sweepArgs("-o", folder, path)...)...)
	if code != ExitInterrupted {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	clean(t, s)
	_, before, err := report.Read(folder)
	if err != nil || len(before) < 5 || len(before) >= sweepRecords {
		t.Fatalf("%d records kept, %v", len(before), err)
	}
	run(t, ExitDone, onBoard(t, s, s.Alias, "sweep", "--resume", folder)...)
	after := onceEach(t, folder)
	for i := range before {
		if !before[i].Started.Equal(after[i].Started) {
			t.Errorf("record %d was measured again", i)
		}
	}
	clean(t, s)
}

func TestRemoteHostsSideBySide(t *testing.T) {
	s := loopback(t)
	folder := filepath.Join(t.TempDir(), "results")
	second := "second-" + s.Alias
	config, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	config = bytes.Replace(config, []byte("Host "+s.Alias+"\n"), []byte("Host "+s.Alias+" "+second+"\n"), 1)
	if err := os.WriteFile(s.Config, config, 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := s.Alias + "," + second
	stdout, stderr := run(t, ExitDone, onBoard(t, s, hosts, sweepArgs("-o", folder, "synth:iot-1:3000")...)...)
	if !strings.Contains(stderr, "same machine") {
		t.Errorf("no word of one machine by two names: %s", stderr)
	}
	for _, host := range strings.Split(hosts, ",") {
		if !strings.Contains(stdout, host+"\n  machine ") {
			t.Errorf("nothing of %s:\n%s\n%s", host, stdout, stderr)
		}
		onceEach(t, filepath.Join(folder, host))
	}
	clean(t, s)

	folder = filepath.Join(t.TempDir(), "half")
	stdout, stderr = run(t, ExitFailed, onBoard(t, s, s.Alias+",nowhere.invalid", sweepArgs("-o", folder, "synth:iot-1:3000")...)...)
	if !strings.Contains(stdout, "direct") || !strings.Contains(stderr, "nowhere.invalid") {
		t.Errorf("one host that is not there must not spoil the other:\n%s\n%s", stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(folder, "nowhere.invalid")); err == nil {
		t.Error("a folder was made for nothing")
	}
	clean(t, s)

	// The second host was not there then; the study goes on with what is missing.
	if err := os.Rename(filepath.Join(folder, s.Alias), filepath.Join(folder, second)); err != nil {
		t.Fatal(err)
	}
	_, stderr = run(t, ExitDone, onBoard(t, s, hosts, "sweep", "--resume", folder)...)
	if !strings.Contains(stderr, s.Alias+": not begun yet") {
		t.Error(stderr)
	}
	for _, host := range strings.Split(hosts, ",") {
		onceEach(t, filepath.Join(folder, host))
	}
	if _, stderr := run(t, ExitFailed, "table", folder); !strings.Contains(stderr, "several machines") {
		t.Errorf("no word of the folders below: %s", stderr)
	}
	if _, stderr := run(t, ExitUsage, onBoard(t, s, hosts, "ceiling", "--resume", folder)...); !strings.Contains(stderr, "remote "+hosts+" sweep --resume "+folder) {
		t.Errorf("no advice that works: %s", stderr)
	}
	clean(t, s)
}

func TestRemoteConditionsAreAssertedHere(t *testing.T) {
	s := loopback(t)
	_, stderr := run(t, ExitMissed, onBoard(t, s, s.Alias, sweepArgs("--fail-if", "service>1", "synth:iot-1:3000")...)...)
	if !strings.Contains(stderr, "service") {
		t.Error(stderr)
	}
	clean(t, s)
}

func TestRemoteBoardAndCalibration(t *testing.T) {
	s := loopback(t)
	stdout, _ := run(t, ExitDone, onBoard(t, s, s.Alias, "board", "--json")...)
	var b struct {
		Environment struct {
			Arch string `json:"arch"`
		} `json:"environment"`
	}
	if err := json.Unmarshal([]byte(stdout), &b); err != nil || b.Environment.Arch != runtime.GOARCH {
		t.Errorf("%v, %+v:\n%s", err, b, stdout)
	}
	if !testing.Short() {
		file := filepath.Join(t.TempDir(), "board.json")
		run(t, ExitDone, onBoard(t, s, s.Alias, "calibrate", "--quick", "-o", file)...)
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
	clean(t, s)
}

// A closed terminal, and a signal that comes twice at once, must leave as little behind as Ctrl-C.
func TestRemoteSignalsLeaveNothing(t *testing.T) {
	s := loopback(t)
	for _, tt := range []struct {
		name    string
		signals []os.Signal
	}{
		{"the terminal was closed", []os.Signal{syscall.SIGHUP}},
		{"to the process and to its group", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			program, stderr := process(t, nil, onBoard(t, s, s.Alias, sweepArgs("--repeats", "50", "synth:iot-1:3000")...)...)
			for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
				if left, _ := os.ReadDir(s.Home); len(left) > 0 {
					break
				}
				if time.Since(begin) > time.Minute {
					t.Fatal("nothing arrives on the host")
				}
			}
			for _, signal := range tt.signals {
				program.Process.Signal(signal)
			}
			program.Wait()
			if code := program.ProcessState.ExitCode(); code != ExitInterrupted {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			clean(t, s)
		})
	}
	t.Run("while standard input is read", func(t *testing.T) {
		folder := t.TempDir()
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer out.Close()
		t.Setenv("TMPDIR", folder)
		program, stderr := process(t, in, onBoard(t, s, s.Alias, "ceiling", "-")...)
		for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			out.WriteString("part of a capture")
			if left, _ := os.ReadDir(folder); len(left) > 0 {
				break
			}
			if time.Since(begin) > time.Minute {
				t.Fatal("standard input is not read")
			}
		}
		program.Process.Signal(os.Interrupt)
		program.Wait()
		if code := program.ProcessState.ExitCode(); code != ExitInterrupted {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("left here: %s", left[0].Name())
		}
		clean(t, s)
	})
}

// process starts this test's binary as the program.
func process(t *testing.T, stdin *os.File, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c := exec.Command(path, args...)
	c.Env = append(os.Environ(), "PCAPLAB_TEST_PROGRAM=1")
	c.Stderr = &stderr
	if stdin != nil {
		c.Stdin = stdin
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() })
	return c, &stderr
}

func TestRemoteUsage(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no command", []string{"remote", "pi@board"}, "command"},
		{"no host", []string{"remote"}, "host"},
		{"not a measuring command", []string{"remote", "pi@board", "info", "x.pcap"}, "does not run on a board"},
		{"an option as a host", []string{"remote", "--", "-oProxyCommand=touch PWNED", "ceiling", "synth:iot-1"}, "-oProxyCommand"},
		{"a shell's text as a host", []string{"remote", "pi@$(touch PWNED)", "ceiling", "synth:iot-1"}, "PWNED"},
		{"twice remote", []string{"remote", "pi@a", "remote", "pi@b", "ceiling"}, "remote"},
		{"the command's own flags", []string{"remote", "pi@board", "ceiling", "--engines", "none", "synth:iot-1"}, "none"},
		{"no capture", []string{"remote", "pi@board", "ceiling"}, "no capture"},
		{"a list of no host", []string{"remote", "pi@board", "board", "list"}, "board list"},
		{"a foreign architecture", []string{"remote", "--arch", "mips", "pi@board", "ceiling", "synth:iot-1"}, "armv6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			stdout, stderr := run(t, ExitUsage, tt.args...)
			if stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("stdout %q, stderr %q: want %q on stderr only", stdout, stderr, tt.want)
			}
			if _, err := os.Stat("PWNED"); err == nil {
				t.Error("a command was run")
			}
		})
	}
	if _, stderr := run(t, ExitFailed, "remote", "pi@board", "ceiling", "no-such.pcap"); !strings.Contains(stderr, "no-such.pcap") {
		t.Errorf("a missing file is not found before connecting: %s", stderr)
	}
}
