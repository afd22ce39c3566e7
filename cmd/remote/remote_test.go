package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pcaplab/cmd/remote/sshtest"
)

// board is the program that the tests run on the "board".
const board = `package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Exit(2)
	}
	switch os.Args[1] {
	case "--version":
		fmt.Println("board version v1.2.3")
	case "echo":
		io.Copy(os.Stdout, os.Stdin)
	case "args":
		fmt.Printf("%q\n", os.Args[1:])
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		fmt.Fprint(os.Stderr, "first\nlast words \x1b[31m")
		os.Exit(code)
	case "deaf": // does not end with its input
		fmt.Println("deaf", os.Getpid())
		time.Sleep(time.Minute)
	case "flood": // more than pipes and ssh hold
		os.Stdout.WriteString(strings.Repeat("flooded\n", 1<<20))
		os.Exit(3)
	case "read":
		for _, name := range os.Args[2:] {
			b, err := os.ReadFile(strings.TrimSpace(name))
			fmt.Println(len(b), err)
		}
	}
}
`

var built struct {
	sync.Mutex
	dir string
	err error
}

// binary returns the test's program built for an architecture of Arches.
func binary(t testing.TB, arch string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		built.dir, built.err = buildBoard()
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	path := filepath.Join(built.dir, "board-linux-"+arch)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	env := append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
	if version, arm := strings.CutPrefix(arch, "armv"); arm {
		env = append(env, "GOARCH=arm", "GOARM="+version)
	} else {
		env = append(env, "GOARCH="+arch)
	}
	cmd := exec.Command("go", "build", "-o", path, "main.go")
	cmd.Dir, cmd.Env = built.dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}

func buildBoard() (string, error) {
	dir, err := os.MkdirTemp("", "remote-test-")
	if err != nil {
		return "", err
	}
	return dir, errors.Join(os.WriteFile(filepath.Join(dir, "main.go"), []byte(board), 0o600),
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module board\n\ngo 1.22\n"), 0o600))
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// here is the architecture of this machine as Arches name it.
func here(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the host of these tests is this machine, and hosts must run Linux")
	}
	machine, err := exec.Command("uname", "-m").Output()
	if err != nil {
		t.Fatal(err)
	}
	arch := hostArch(strings.TrimSpace(string(machine)), "64")
	if arch == "" {
		t.Skipf("no binary for this machine: %s", machine)
	}
	return arch
}

// config returns a configuration that works.
func config(t testing.TB, s *sshtest.Server) Config {
	t.Helper()
	return Config{Host: s.Alias, SSHConfig: s.Config, Name: "board", Version: "v1.2.3", Binary: binary(t, here(t)),
		pause: 10 * time.Millisecond}
}

func open(t testing.TB, cfg Config) *Host {
	t.Helper()
	h, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func closeHost(t testing.TB, h *Host) {
	t.Helper()
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// run starts the program, gives it its input and returns what it writes.
func run(t testing.TB, h *Host, input string, args ...string) (string, error) {
	t.Helper()
	p, err := h.Start(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(p.Stdin, input)
	p.Stdin.Close()
	out, err := io.ReadAll(p.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), p.Wait()
}

// names returns what is in a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// nothingLeft fails if a session left a process or a file.
func nothingLeft(t testing.TB, s *sshtest.Server) {
	t.Helper()
	if list := names(t, s.Home); len(list) > 0 {
		t.Errorf("left in the home folder: %q", list)
	}
	left := s.Processes()
	for i := 0; i < 100 && len(left) > 0; i++ { // those that are just ending
		time.Sleep(20 * time.Millisecond)
		left = s.Processes()
	}
	if len(left) > 0 {
		t.Errorf("processes left: %d", left)
	}
}

// randomFile writes a file of n octets and returns its path and content.
func randomFile(t testing.TB, n int) (string, []byte) {
	t.Helper()
	b := make([]byte, n)
	rand.Read(b)
	path := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, b
}

func TestRunOnHost(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	_, before := s.Sent()
	h := open(t, config(t, s))
	if h.Name() != s.Alias || h.Arch() != here(t) || !strings.HasPrefix(h.Dir(), s.Home+"/.pcaplab.") {
		t.Errorf("name %q, arch %q, dir %q", h.Name(), h.Arch(), h.Dir())
	}
	path, content := randomFile(t, 300_000)
	name, err := h.Put(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadFile(filepath.Join(h.Dir(), name))
	if err != nil || !bytes.Equal(there, content) {
		t.Errorf("the copy is not the file: %v", err)
	}
	if info, err := os.Stat(h.Dir()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %v %v", info, err)
	}
	input := strings.Repeat("probe\nput\n.\n\x00\xff", 50_000)
	if out, err := run(t, h, input, "echo"); err != nil || out != input {
		t.Errorf("echo returned %d octets of %d: %v", len(out), len(input), err)
	}
	if _, after := s.Sent(); after-before != 1 {
		t.Errorf("%d connections from probe to program, want 1", after-before)
	}
	out, err := run(t, h, "", "args", "-a", "--quick", "x-1")
	if want := `["args" "-a" "--quick" "x-1"]` + "\n"; err != nil || out != want {
		t.Errorf("args: %q %v", out, err)
	}
	if out, err := run(t, h, "", "read", name); err != nil || out != "300000 <nil>\n" {
		t.Errorf("read: %q %v", out, err)
	}
	for _, code := range []int{1, 3, 126, 127, 130, 255} {
		_, err := run(t, h, "", "exit", fmt.Sprint(code))
		var exit *ExitError
		if !errors.As(err, &exit) || exit.Code != code || exit.Stderr != "first\nlast words  [31m" {
			t.Errorf("exit %d: %#v", code, err)
		}
		if errors.Is(err, ErrLost) || !strings.HasPrefix(err.Error(), s.Alias+": ") {
			t.Errorf("exit %d: %v", code, err)
		}
	}
	closeHost(t, h)
	nothingLeft(t, s)
}

func TestArgumentsAreFixed(t *testing.T) {
	h := &Host{cfg: Config{Host: "board"}}
	for _, arg := range []string{"", "a b", "$(x)", "A", "ä", "a\nb", "."} {
		if _, err := h.Start(t.Context(), "echo", arg); err == nil || !strings.HasPrefix(err.Error(), "board: ") {
			t.Errorf("%q: %v", arg, err)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	cfg.Keep = true
	path, content := randomFile(t, 500_000)
	folder := filepath.Join(s.Home, ".pcaplab")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(folder, "mine")
	if err := os.WriteFile(mine, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := open(t, cfg)
	name, err := h.Put(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	closeHost(t, h)

	before, _ := s.Sent()
	h = open(t, cfg)
	if again, err := h.Put(t.Context(), path); err != nil || again != name {
		t.Fatal(again, err)
	}
	if after, _ := s.Sent(); after-before > 50_000 {
		t.Errorf("sent %d octets for files that were there", after-before)
	}

	// A file whose content is not its name's is copied again.
	there := filepath.Join(folder, name)
	damaged := slices.Clone(content)
	damaged[1000] ^= 1
	if err := os.WriteFile(there, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Put(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(there); err != nil || !bytes.Equal(b, content) {
		t.Errorf("the damaged copy stayed: %v", err)
	}
	if out, err := run(t, h, "x", "echo"); err != nil || out != "x" {
		t.Errorf("echo: %q %v", out, err)
	}
	closeHost(t, h)
	if list := names(t, folder); len(list) != 3 || !slices.Contains(list, "mine") || !slices.Contains(list, name) {
		t.Errorf("kept: %q", list)
	}
}

// The folders of runs that were killed are told, and stay; those in which something runs are not, nor is what is not
// like them.
func TestStaleFolders(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	var notes []string
	cfg.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err == nil {
		busybox = quote(busybox) + " sh"
	}
	for _, row := range []struct {
		name, dir, shell string
		told             bool
	}{
		{"login folder", "", "/bin/sh", true},
		{"folder with spaces", "a  b's", "/bin/sh", true},
		{"busybox", "", busybox, true},
		{"a name that cannot be typed", "a\tb", "/bin/sh", false},
		// What is seen of processes is not to be trusted there.
		{"no ls", "c", fakeShell(t, "ls", "exit 1"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.shell == "" {
				t.Skip("needs busybox, which is missing")
			}
			s.SetShell(row.shell)
			defer s.SetShell("/bin/sh")
			dir := filepath.Join(s.Home, row.dir)
			cfg.Dir = row.dir
			stale := []string{".pcaplab.0123456789abcdef", ".pcaplab.fedcba9876543210"}
			other := []string{".pcaplab.0123456789abcdeg", ".pcaplab.0123456789abcde", ".pcaplab", ".pcaplab.0123 *\n6789abcd",
				".pcaplab.00000000000000aa/sub", ".pcaplab.00000000000000bb"}
			for _, name := range append(stale, other...) {
				if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(s.Home, filepath.Join(dir, ".pcaplab.0000000000000001")); err != nil {
				t.Fatal(err)
			}
			// One with a connection, one in whose subfolder a process is, and one from which one was started.
			notes = nil
			live := open(t, cfg)
			first := notes
			program := filepath.Join(dir, ".pcaplab.00000000000000bb", "sleep")
			// Not written here: while another test forks, it could not be started.
			if out, err := exec.Command("cp", "-L", sleep, program).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v: %s", err, out)
			}
			inside, from := exec.Command(sleep, "60"), exec.Command(program, "60")
			inside.Dir = filepath.Join(dir, ".pcaplab.00000000000000aa", "sub")
			for _, cmd := range []*exec.Cmd{inside, from} {
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer cmd.Wait()
				defer cmd.Process.Kill()
			}
			notes = nil
			h := open(t, cfg)
			second := notes
			closeHost(t, h)
			closeHost(t, live)
			if !row.told {
				if len(first)+len(second) > 0 {
					t.Errorf("told: %q, %q", first, second)
				}
			} else if len(first) != 1 || !strings.Contains(first[0], "left 4 of their folders in "+dir) {
				t.Errorf("before something runs there: %q", first)
			} else if len(second) != 1 || !strings.HasPrefix(second[0], "board: ") {
				t.Errorf("told: %q", second)
			} else {
				_, command, _ := strings.Cut(second[0], "remove them: ")
				if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", command, err, out)
				}
				for _, name := range stale {
					if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
						t.Errorf("not removed by the command that is told: %s in %s", command, name)
					}
				}
				if list := names(t, dir); row.dir != "" && len(list) != len(other)+1 {
					t.Errorf("left after it: %q", list)
				}
			}
			for _, name := range names(t, dir) {
				os.RemoveAll(filepath.Join(dir, name))
			}
			if row.dir != "" {
				os.Remove(dir)
			}
		})
	}
	// However many there are.
	for i := range 200 {
		if err := os.Mkdir(filepath.Join(s.Home, fmt.Sprintf(".pcaplab.%016x", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	notes, cfg.Dir = nil, ""
	closeHost(t, open(t, cfg))
	if len(notes) != 1 || !strings.Contains(notes[0], "left 10 of") || len(notes[0]) > 2000 {
		t.Errorf("200 folders: %q", notes)
	}
}

// fakeShell returns a login shell for which one program is a script.
func fakeShell(t testing.TB, name, text string) string {
	t.Helper()
	return "env PATH=" + quote(fakes(t, map[string]string{name: text})) + ":\"$PATH\" /bin/sh"
}

// One machine is the same by whatever name, and says nothing of itself.
func TestMachine(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Skip(err)
	}
	sum := sha256.Sum256([]byte("pcaplab machine " + strings.TrimSpace(string(b))))
	want := hex.EncodeToString(sum[:8])
	for _, host := range []string{s.Alias, strings.ToUpper(s.Alias[:1]) + s.Alias[1:]} {
		config := strings.Replace(read(t, s.Config), "Host board\n", "Host board Board\n", 1)
		cfg.Host, cfg.SSHConfig = host, filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(cfg.SSHConfig, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		h := open(t, cfg)
		if got := h.Machine(); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
		closeHost(t, h)
	}
	for name, text := range map[string]string{"none": "exit 1", "nonsense": "echo unknown",
		"two lines": "echo 01234567-89ab-cdef-0123-456789abcdef; echo x"} {
		s.SetPath(fakes(t, map[string]string{"cat": text}))
		h, err := Open(t.Context(), cfg)
		if name == "two lines" {
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Machine(); got != "" {
			t.Errorf("%s: %q", name, got)
		}
		closeHost(t, h)
	}
	a, b2 := machineID("01234567-89ab-cdef-0123-456789abcdef"), machineID("01234567-89ab-cdef-0123-456789abcdee")
	if a == b2 || len(a) != 16 || len(b2) != 16 {
		t.Errorf("two machines: %q, %q", a, b2)
	}
	nothingLeft(t, s)
}

func read(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Another run in the kept folder is left alone, and said.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	cfg.Keep = true
	first := open(t, cfg)
	p, err := first.Start(t.Context(), "deaf")
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(p.Stdout).ReadString('\n')
	var pid int
	if _, scan := fmt.Sscanf(line, "deaf %d", &pid); err != nil || scan != nil {
		t.Fatal(line, err)
	}
	second := open(t, cfg)
	_, err = second.Start(t.Context(), "echo")
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint(pid)) {
		t.Errorf("beside process %d: %v", pid, err)
	}
	closeHost(t, second)
	if !running(pid) {
		t.Error("the second ended the first's process")
	}
	p.Kill()
	p.Wait()
	closeHost(t, first)
	if running(pid) {
		t.Error("the process was left")
	}
	os.RemoveAll(first.Dir())
	nothingLeft(t, s)
}

// Ending the context ends what waits, and the folder can still be removed.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	h, err := Open(ctx, config(t, s))
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Start(ctx, "deaf")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := p.Wait(); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLost) {
		t.Errorf("wait: %v", err)
	}
	if _, err := h.Start(ctx, "echo"); !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
	path, _ := randomFile(t, 1000)
	if _, err := h.Put(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	closeHost(t, h)
	nothingLeft(t, s)

	// In the middle of a copy, too.
	cfg := config(t, s)
	ctx, cancel = context.WithCancel(t.Context())
	cfg.Progress = func(what string, done, total int64) {
		if done > total/2 {
			cancel()
		}
	}
	if _, err := Open(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	nothingLeft(t, s)
}

// The user's settings for interactive use do not get in the way.
func TestUserSettings(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	b, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	cfg.SSHConfig = filepath.Join(t.TempDir(), "config")
	socket := filepath.Join(t.TempDir(), "c")
	escaped := strings.ReplaceAll(socket, "%", "%%") // as ssh expands it
	text := "Host *\n\tRequestTTY force\n\tRemoteCommand tmux attach\n\tForwardAgent yes\n\tLocalForward 1 localhost:1\n" +
		"\tExitOnForwardFailure yes\n\tLogLevel QUIET\n\tControlMaster auto\n\tControlPersist yes\n\tControlPath " +
		quote(escaped) + "\n" + string(b)
	if err := os.WriteFile(cfg.SSHConfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h := open(t, cfg)
	if out, err := run(t, h, "x", "echo"); err != nil || out != "x" {
		t.Errorf("echo: %q %v", out, err)
	}
	closeHost(t, h)
	if _, err := os.Stat(socket); err == nil {
		t.Error("it became a shared connection of the user's")
	}

	// A connection that the user shares is used.
	master := exec.Command("ssh", "-F", s.Config, "-M", "-N", "-S", escaped, "-o", "ControlPersist=no", s.Alias)
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	defer master.Wait()
	defer master.Process.Kill()
	for i := 0; ; i++ {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if i == 500 {
			t.Fatal("ssh shares no connection")
		}
		time.Sleep(20 * time.Millisecond)
	}
	_, before := s.Sent()
	h = open(t, cfg)
	_, err = run(t, h, "", "exit", "255")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 255 {
		t.Errorf("exit: %v", err)
	}
	closeHost(t, h)
	if _, after := s.Sent(); after != before {
		t.Errorf("%d connections beside the shared one", after-before)
	}
	nothingLeft(t, s)
}

// A copy that is cut goes on where it was, and its content is right even if what was there is not.
func TestPutResumes(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	var notes []string
	cfg := config(t, s)
	cfg.Note = func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	h := open(t, cfg)
	path, content := randomFile(t, 8<<20)
	before, dials := s.Sent()
	s.CutAfter(5 << 20)
	name, err := h.Put(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	after, redials := s.Sent()
	if there, err := os.ReadFile(filepath.Join(h.Dir(), name)); err != nil || !bytes.Equal(there, content) {
		t.Errorf("the copy is not the file: %v", err)
	}
	if redials-dials != 1 || len(notes) != 1 || !strings.Contains(notes[0], "connecting again") {
		t.Errorf("%d new connections; notes: %q", redials-dials, notes)
	}
	// What was on its way at the cut is sent twice: less than ssh's window, not the whole file.
	if sent := after - before; sent > 12<<20 {
		t.Errorf("sent %d octets for a file of %d", sent, len(content))
	}

	path, content = randomFile(t, 1<<20)
	other := filepath.Join(h.Dir(), sumOf(content)+".part")
	for _, row := range []struct {
		name string
		part []byte
	}{
		{"damaged part", make([]byte, 1000)},
		{"part longer than the file", make([]byte, 2<<20)},
		{"whole part", content},
		{"damaged whole part", make([]byte, 1<<20)},
	} {
		if err := os.WriteFile(other, row.part, 0o600); err != nil {
			t.Fatal(err)
		}
		name, err := h.Put(t.Context(), path)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		there, err := os.ReadFile(filepath.Join(h.Dir(), name))
		if err != nil || !bytes.Equal(there, content) {
			t.Errorf("%s: the copy is not the file: %v", row.name, err)
		}
		os.Remove(filepath.Join(h.Dir(), name))
	}
	closeHost(t, h)
	nothingLeft(t, s)
}

func TestPutGivesUp(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	h := open(t, config(t, s))
	path, _ := randomFile(t, 4<<20)
	s.CutAfter(1 << 20)
	// The first attempt is cut, and no other connects.
	h.cfg.Note = func(string, ...any) { s.Refuse() }
	if _, err := h.Put(t.Context(), path); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "gave up") {
		t.Errorf("refused for good: %v", err)
	}
	err := h.Close(t.Context())
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "left there") ||
		!strings.Contains(err.Error(), quote("rm -rf "+quote(h.Dir()))) {
		t.Errorf("close of a host out of reach: %v", err)
	}
	s.Restore()
	closeHost(t, h)
	nothingLeft(t, s)
}

func TestLost(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	cfg.alive, cfg.fails = time.Second, 1
	h := open(t, cfg)
	for _, row := range []struct {
		name string
		cut  func()
	}{
		{"cut", s.Cut},
		{"stalled", s.Stall},
	} {
		p, err := h.Start(t.Context(), "deaf")
		if err != nil {
			t.Fatal(row.name, err)
		}
		var pid int
		line, err := bufio.NewReader(p.Stdout).ReadString('\n')
		if _, scan := fmt.Sscanf(line, "deaf %d", &pid); err != nil || scan != nil {
			t.Fatal(row.name, line, err)
		}
		row.cut()
		if err := p.Wait(); !errors.Is(err, ErrLost) || !strings.HasPrefix(err.Error(), s.Alias+": ") {
			t.Errorf("%s: %v", row.name, err)
		}
		s.Restore()
		// The program still runs there, so that the next one would be measured beside it.
		if !running(pid) {
			t.Fatalf("%s: the program ended by itself; nothing is shown", row.name)
		}
		if out, err := run(t, h, "again", "echo"); err != nil || out != "again" {
			t.Errorf("%s: after: %q %v", row.name, out, err)
		}
		if running(pid) {
			t.Errorf("%s: the lost program still runs", row.name)
		}
	}
	// Close ends a lost one, too.
	p, err := h.Start(t.Context(), "deaf")
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("killed: %v", err)
	}
	closeHost(t, h)
	nothingLeft(t, s)
}

// Wait does not wait for a reader, and leaves no descriptor open.
func TestWaitDrains(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	h := open(t, config(t, s))
	for _, row := range []struct {
		name string
		read func(p *Process)
	}{
		{"nothing read", func(*Process) {}},
		{"a line read", func(p *Process) { io.ReadFull(p.Stdout, make([]byte, 8)) }},
		{"read at the same time", func(p *Process) { go io.Copy(io.Discard, p.Stdout) }},
		{"read to the end", func(p *Process) { io.Copy(io.Discard, p.Stdout) }},
	} {
		p, err := h.Start(t.Context(), "flood")
		if err != nil {
			t.Fatal(row.name, err)
		}
		stuck := time.AfterFunc(30*time.Second, p.Kill)
		row.read(p)
		var exit *ExitError
		if err := p.Wait(); !errors.As(err, &exit) || exit.Code != 3 {
			t.Errorf("%s: %v", row.name, err)
		}
		stuck.Stop()
		if err := p.s.file.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: the pipe was left open: %v", row.name, err)
		}
	}
	closeHost(t, h)
	nothingLeft(t, s)

	// Another process holds the other end, as one that a ProxyCommand started may.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ended := &session{file: r, out: bufio.NewReader(ownEnd{r}), gone: make(chan struct{})}
	close(ended.gone)
	p := &Process{Stdout: &shared{r: ended.out}, h: h, s: ended, ctx: t.Context(), forget: func() bool { return true }}
	if err := p.Wait(); !errors.Is(err, ErrLost) {
		t.Errorf("pipe held open: %v", err)
	}
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func running(pid int) bool {
	_, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil
}
