package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pcaplab/cmd/remote/sshtest"
)

// fakes makes a folder of shell scripts by name.
func fakes(t testing.TB, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fails checks that Open fails with the cause and texts, begins with the host's name, and leaves nothing.
func fails(t *testing.T, s *sshtest.Server, cfg Config, kind error, texts ...string) {
	t.Helper()
	h, err := Open(t.Context(), cfg)
	if err == nil {
		h.Close(t.Context())
		t.Fatal("it opens")
	}
	if !errors.Is(err, kind) {
		t.Errorf("cause is not %q: %v", kind, err)
	}
	if !strings.HasPrefix(err.Error(), cfg.Host+": ") {
		t.Errorf("does not begin with the host: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("does not say %q: %v", text, err)
		}
	}
	nothingLeft(t, s)
}

func TestCannotConnect(t *testing.T) {
	s := sshtest.Start(t)
	good := config(t, s)
	with := func(change func(*Config)) Config {
		cfg := good
		change(&cfg)
		return cfg
	}
	t.Run("refused key", func(t *testing.T) {
		fails(t, s, with(func(c *Config) { c.Host = s.Stranger }), ErrRefused, "Permission denied (publickey)", "ssh-copy-id",
			"no password", "ssh -F "+quote(s.Config)+" stranger true")
	})
	t.Run("unknown host key", func(t *testing.T) {
		fails(t, s, with(func(c *Config) { c.Host = s.Unknown }), ErrHostKey, "connect once by hand",
			"ssh -F "+quote(s.Config)+" unknown")
	})
	t.Run("changed host key", func(t *testing.T) {
		fails(t, s, with(func(c *Config) { c.Host = s.Changed }), ErrHostKey, "ssh-keygen -R")
	})
	t.Run("unknown name", func(t *testing.T) {
		fails(t, s, with(func(c *Config) { c.Host = "no-such-board.invalid" }), ErrUnreachable, "no such host",
			"spelling", "IP address")
	})
	t.Run("connection refused", func(t *testing.T) {
		// A port that is taken, so that nobody else listens there, but by a connection.
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fails(t, s, with(func(c2 *Config) { c2.Host = "ssh://" + c.LocalAddr().String() }), ErrUnreachable,
			"Connection refused", "is sshd running there", "ssh -F")
	})
	t.Run("connection reset", func(t *testing.T) {
		s.Refuse()
		defer s.Restore()
		fails(t, s, good, ErrUnreachable, "eset by", "is this the port of its sshd", "ssh -F")
	})
	t.Run("no answer", func(t *testing.T) {
		s.Stall()
		defer s.Restore()
		fails(t, s, with(func(c *Config) { c.login = time.Second }), ErrUnreachable, "no answer within 1s",
			"is the board overloaded", "ssh -F")
	})
	for text, want := range map[string]string{
		"ssh: connect to host pi port 22: Connection timed out":                    "is the board on",
		"ssh: connect to host pi port 22: No route to host":                        "is the board on",
		"kex_exchange_identification: Connection closed by remote host":            "port of its sshd",
		"ssh: connect to host pi port 22: Connection refused":                      "is sshd running there",
		"ssh: Could not resolve hostname pi: Temporary failure in name resolution": "spelling",
	} {
		t.Run(text, func(t *testing.T) {
			t.Setenv("PATH", fakes(t, map[string]string{"ssh": "echo '" + text + "' >&2; exit 255"})+":"+os.Getenv("PATH"))
			fails(t, s, good, ErrUnreachable, text, want)
		})
	}
	t.Run("no ssh", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		fails(t, s, good, ErrNoSSH, "install")
	})
	t.Run("no shell", func(t *testing.T) {
		dir := fakes(t, map[string]string{"nologin": "echo This account is not available.; exit 1"})
		s.SetShell(quote(dir + "/nologin"))
		defer s.SetShell("/bin/sh")
		fails(t, s, good, ErrNoShell, "This account is not available")
	})
	t.Run("bad ssh_config", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "config")
		if err := os.WriteFile(path, []byte("Nonsense yes\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		fails(t, s, with(func(c *Config) { c.SSHConfig = path }), ErrUnreachable, "configuration")
	})
	t.Run("cancelled", func(t *testing.T) {
		s.Stall()
		defer s.Restore()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := Open(ctx, good); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "board: ") {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestHostDoesNotFit(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	good := config(t, s)
	other := "arm64"
	if here(t) == "arm64" {
		other = "amd64"
	}
	empty := t.TempDir()
	for _, row := range []struct {
		name   string
		fakes  map[string]string
		change func(*Config)
		kind   error
		texts  []string
	}{
		{"mips", map[string]string{"uname": "case $1 in -m) echo mips64;; *) echo Linux;; esac"}, nil,
			ErrUnsupported, []string{`"mips64"`, "amd64, arm64, armv7, armv6"}},
		{"FreeBSD", map[string]string{"uname": "case $1 in -m) echo amd64;; *) echo FreeBSD;; esac"}, nil,
			ErrUnsupported, []string{`"FreeBSD"`, "only Linux"}},
		{"hostile answers", map[string]string{"uname": `printf 'a\033]0;x\007\n.\nok\nb\n'`}, nil,
			ErrUnsupported, nil},
		{"other binary", nil, func(c *Config) { c.Binary = binary(t, other) },
			ErrWrongBinary, []string{"is a program for " + other, "needs one for " + here(t)}},
		{"a v7 binary for a v6 board", map[string]string{"uname": "case $1 in -m) echo armv6l;; *) echo Linux;; esac"},
			func(c *Config) { c.Binary = binary(t, "armv7") }, ErrWrongBinary, []string{"armv7", "armv6"}},
		{"text as a binary", nil, func(c *Config) { c.Binary = s.Config },
			ErrWrongBinary, []string{"is not a Linux program"}},
		{"no Go program", nil, func(c *Config) { c.Binary = "/bin/cat" }, ErrWrongBinary, []string{"is not a Go program"}},
		{"missing file", nil, func(c *Config) { c.Binary = filepath.Join(empty, "none") },
			ErrNoBinary, []string{"from this machine", "none", "--binary"}},
		{"no binary", nil, func(c *Config) { c.Binary, c.exe = "", filepath.Join(empty, "bin", "board") },
			ErrNoBinary, []string{filepath.Join(empty, "bin", "board-linux-"+here(t)),
				filepath.Join(empty, "lib", "board", "board-linux-"+here(t)), "make dist"}},
		{"version", nil, func(c *Config) { c.Version = "v1.2.4" }, ErrWrongBinary, []string{"v1.2.3", "v1.2.4"}},
		{"does not run", nil, func(c *Config) { c.Arch, c.Binary = other, binary(t, other) },
			ErrWrongBinary, []string{"does not run there", "leave out --arch " + other, "choose --arch " + here(t)}},
		{"does not run on what has no binary", map[string]string{"uname": "case $1 in -m) echo mips;; *) echo Linux;; esac"},
			func(c *Config) { c.Arch, c.Binary = other, binary(t, other) },
			ErrWrongBinary, []string{`its processor is "mips", for which there is no binary`, "--arch " + other}},
		{"does not run although it should", map[string]string{"uname": "case $1 in -m) echo " +
			map[string]string{"arm64": "aarch64", "amd64": "x86_64"}[other] + ";; *) echo Linux;; esac",
			"getconf": "echo 64"}, func(c *Config) { c.Binary = binary(t, other) },
			ErrWrongBinary, []string{"does not run there", "choose another of amd64, arm64, armv7, armv6 with --arch"}},
		{"unknown --arch", nil, func(c *Config) { c.Arch = "sparc" }, ErrUnsupported, []string{"sparc"}},
		{"no space", map[string]string{"df": "echo Filesystem 1024-blocks Used Available Capacity Mounted on; " +
			"echo /dev/root 30000000 29999900 100 100% /"}, nil, ErrNoSpace, []string{"needs ", "has 102400 B", "--dir"}},
		{"space runs out", map[string]string{"head": "/usr/bin/head -c 1000; " +
			"echo head: write error: No space left on device >&2; exit 1"}, nil,
			ErrNoSpace, []string{"No space left on device", "--dir"}},
		{"no sha256sum", map[string]string{"sh": "exec /bin/sh -c \"command() { false; }; $2\" sh"}, nil,
			ErrUnsupported, []string{"sha256sum"}},
		{"missing folder", nil, func(c *Config) { c.Dir = "~/none" },
			ErrFolder, []string{`"~/none"`, "not expanded", "--dir"}},
		{"file as a folder", nil, func(c *Config) { c.Dir = s.Config }, ErrFolder, []string{"there is no folder"}},
		{"folder that takes no files", nil, func(c *Config) { c.Dir = "/proc/self" }, ErrFolder, []string{"/proc/self"}},
		{"line break in a folder", nil, func(c *Config) { c.Dir = "a\nb" }, ErrFolder, []string{"line break"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			cfg := good
			if row.change != nil {
				row.change(&cfg)
			}
			if row.fakes != nil {
				s.SetPath(fakes(t, row.fakes))
				defer s.SetPath("")
			}
			fails(t, s, cfg, row.kind, row.texts...)
		})
	}
	t.Run("somebody else's folder", func(t *testing.T) {
		cfg := good
		cfg.Keep = true
		link := filepath.Join(s.Home, ".pcaplab")
		if err := os.Symlink(empty, link); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), cfg)
		if !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), "of this user's own") {
			t.Error(err)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		if list := names(t, empty); len(list) > 0 {
			t.Errorf("followed the link: %q", list)
		}
	})
}

// A file system that is really full, or really mounted noexec, where the test may mount one.
func TestFileSystems(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	s := sshtest.Start(t)
	mount := func(t *testing.T, options string) string {
		dir := t.TempDir()
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
			t.Skipf("cannot mount here: %v: %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
				t.Errorf("umount: %v: %s", err, out)
			}
		})
		return dir
	}
	t.Run("full", func(t *testing.T) {
		cfg := config(t, s)
		cfg.Dir = mount(t, "size=512k")
		fails(t, s, cfg, ErrNoSpace, "needs ", "has 52")
		// As when another program fills it after df was asked.
		s.SetPath(fakes(t, map[string]string{"df": "echo x"}))
		defer s.SetPath("")
		fails(t, s, cfg, ErrNoSpace, "No space left on device")
		if list := names(t, cfg.Dir); len(list) > 0 {
			t.Errorf("left: %q", list)
		}
	})
	t.Run("noexec", func(t *testing.T) {
		cfg := config(t, s)
		cfg.Dir = mount(t, "noexec,size=32m")
		fails(t, s, cfg, ErrFolder, "noexec", "--dir", cfg.Dir)
		if list := names(t, cfg.Dir); len(list) > 0 {
			t.Errorf("left: %q", list)
		}
	})
}

func TestArchitectures(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ machine, bits, want string }{
		{"x86_64", "64", "amd64"}, {"x86_64", "32", "amd64"}, {"x86_64", "", "amd64"},
		{"aarch64", "64", "arm64"}, {"aarch64", "32", "armv7"}, {"aarch64", "", "arm64"},
		{"armv7l", "32", "armv7"}, {"armv8l", "32", "armv7"}, {"armv6l", "32", "armv6"},
		{"armv5tel", "32", ""}, {"i686", "32", ""}, {"riscv64", "64", ""}, {"", "", ""},
	} {
		if got := hostArch(row.machine, row.bits); got != row.want {
			t.Errorf("%s with %q bits: %q, want %q", row.machine, row.bits, got, row.want)
		}
	}
	// Programs as the Go tool builds them.
	for _, built := range Arches {
		p, err := inspectProgram(binary(t, built))
		if err != nil || p.arch != built || !p.static {
			t.Errorf("%s: %+v %v", built, p, err)
		}
		for _, host := range Arches {
			want := built == host || built == "armv6" && host == "armv7"
			if p.fits(host) != want {
				t.Errorf("%s on %s: %v, want %v", built, host, !want, want)
			}
		}
	}
}

// The bits that the host says are those of its sh, with getconf and without.
func TestUserlandBits(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	arch := here(t)
	for _, row := range []struct {
		name, getconf, want string
	}{
		{"getconf says 32", "echo 32", "armv7"},
		{"getconf says 64", "echo 64", "arm64"},
		{"no getconf", "exit 127", map[bool]string{true: "arm64", false: "armv7"}[arch == "amd64" || arch == "arm64"]},
	} {
		t.Run(row.name, func(t *testing.T) {
			s.SetPath(fakes(t, map[string]string{"getconf": row.getconf,
				"uname": "case $1 in -m) echo aarch64;; *) echo Linux;; esac"}))
			notes := ""
			cfg := config(t, s)
			cfg.Note = func(format string, args ...any) { notes += fmt.Sprintf(format, args...) }
			cfg.Binary, cfg.exe = "", filepath.Join(t.TempDir(), "board")
			_, err := Open(t.Context(), cfg)
			if !errors.Is(err, ErrNoBinary) || !strings.Contains(err.Error(), "linux/"+row.want) {
				t.Errorf("want %s: %v", row.want, err)
			}
			if strings.Contains(notes, "32-bit userland") != (row.want == "armv7") {
				t.Errorf("notes: %q", notes)
			}
		})
	}
}

func TestChooseBinary(t *testing.T) {
	root := t.TempDir()
	exe := filepath.Join(root, "bin", "board")
	beside := filepath.Join(root, "bin", "board-linux-armv6")
	lib := filepath.Join(root, "lib", "board", "board-linux-armv7")
	for path, arch := range map[string]string{exe: "amd64", beside: "armv6", lib: "armv7"} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(binary(t, arch))
		if err == nil {
			err = os.WriteFile(path, b, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		link := filepath.Join(t.TempDir(), "linked")
		if err := os.Symlink(exe, link); err != nil {
			t.Fatal(err)
		}
		exe = link // binaries are looked for beside the file itself
	}
	cfg := &Config{Host: "pi", Name: "board", exe: exe}
	real := filepath.Join(root, "bin", "board")
	for arch, want := range map[string]string{"amd64": real, "armv6": beside, "armv7": lib} {
		if got, err := chooseBinary(cfg, arch); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", arch, got, err, want)
		}
	}
	if _, err := chooseBinary(cfg, "arm64"); !errors.Is(err, ErrNoBinary) {
		t.Errorf("arm64: %v", err)
	}
}
