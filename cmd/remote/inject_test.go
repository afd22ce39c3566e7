package remote

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/cmd/remote/sshtest"
)

// noPWNED fails if any of the hostile texts was run: each would make a file of that name.
func noPWNED(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range append(dirs, ".") {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Name() == "PWNED" {
				t.Errorf("something was run: %s", path)
			}
			return nil
		})
	}
}

// hostile are names that would do something if a shell saw them. As folders they must be taken literally.
var hostile = []string{
	"with space", " leading", "trailing ", "two  spaces", `single'quote`, `double"quote`, `';touch PWNED;'`,
	`";touch PWNED;"`, "; touch PWNED", "$(touch PWNED)", "`touch PWNED`", "${IFS}", "$HOME", "-", "--", "-rf",
	"-oProxyCommand=touch PWNED", "%h", "*", "?", "[a]", "~", "!x", `back\slash`, `\n`, "tab\there", "cr\r", "é", "\xff",
	"&touch PWNED&", "|touch PWNED", ">PWNED",
	"#", ".part", "{a,b}", "a\x1b[31mb", "probe", ".", "ok",
}

func TestFoldersAreLiteral(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	// Some matter at the front or at the end only; the others stand in one path.
	dirs := []string{"-", "-oProxyCommand=touch PWNED", " both ", "\xff\r", "$(touch PWNED)", s.Home,
		strings.Join(hostile, "/")}
	for _, name := range dirs {
		t.Run(name, func(t *testing.T) {
			cfg.Dir = name
			dir := name
			if name != s.Home {
				dir = s.Home + "/" + name
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			h := open(t, cfg)
			there := 0
			for _, below := range names(t, dir) {
				if strings.HasPrefix(below, ".pcaplab.") {
					there++
				}
			}
			if there != 1 {
				t.Errorf("below the folder: %q", names(t, dir))
			}
			if out, err := run(t, h, "x", "echo"); err != nil || out != "x" {
				t.Errorf("echo: %q %v", out, err)
			}
			closeHost(t, h)
			noPWNED(t, s.Home)
			for dir = filepath.Clean(dir); dir != s.Home; dir = filepath.Dir(dir) {
				if err := os.Remove(dir); err != nil {
					t.Errorf("not empty again: %v", err)
				}
			}
		})
	}
	nothingLeft(t, s)
}

func TestPathsAreLiteral(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	h := open(t, config(t, s))
	dir := t.TempDir()
	for i, name := range append(hostile, "line\nbreak", "\n.\nok\n") {
		if name == "." {
			continue
		}
		content := bytes.Repeat([]byte(name+"\n.\nremove\n"), i+1)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		there, err := h.Put(t.Context(), path)
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		b, err := os.ReadFile(filepath.Join(h.Dir(), there))
		if err != nil || !bytes.Equal(b, content) || there != sumOf(content) {
			t.Errorf("%q: %q %v", name, there, err)
		}
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if name, err := h.Put(t.Context(), empty); err != nil || name != sumOf(nil) {
		t.Errorf("empty file: %q %v", name, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		if _, err := h.Put(t.Context(), path); err == nil || !strings.HasPrefix(err.Error(), "board: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, err := h.Put(t.Context(), filepath.Join(dir, "none"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "from this machine") {
		t.Errorf("missing file: %v", err)
	}
	closeHost(t, h)
	noPWNED(t, s.Home, dir)
	nothingLeft(t, s)
}

func TestHostsInjectNothing(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	cfg := config(t, s)
	config, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	// A ProxyCommand with %h, as users have, is where ssh itself would run a host's name.
	text := "Host *\n\tProxyCommand sh -c 'exit 1; : %h %r'\n" + string(config)
	cfg.SSHConfig = filepath.Join(t.TempDir(), "config with 'quotes' $(touch PWNED)")
	if err := os.WriteFile(cfg.SSHConfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, host := range append(hostile, "pi@-oProxyCommand=touch${IFS}PWNED", "';touch PWNED;'@a",
		"ssh://%60touch%20PWNED%60@a", "ssh://$(touch PWNED)@a", "a\nb") {
		cfg.Host = host
		h, err := Open(t.Context(), cfg)
		if err == nil {
			h.Close(t.Context())
			t.Errorf("%q: opened", host)
			continue
		}
		refused := checkHost(host) != nil
		if !refused && !errors.Is(err, ErrUnreachable) {
			t.Errorf("%q: %v", host, err)
		}
		if strings.ContainsAny(host, " '\"`$;&|<>\n\r\x1b%") && !refused {
			t.Errorf("%q: passed to ssh", host)
		}
	}
	noPWNED(t, s.Home)
}

// The remote command is one that every shell takes as it stands.
func TestLoginShells(t *testing.T) {
	t.Parallel()
	inside := strings.TrimSuffix(strings.TrimPrefix(remoteCommand, "exec sh -c '"), "'")
	if len(inside) != len(remoteCommand)-len("exec sh -c ''") || len(inside) > 900 ||
		strings.ContainsAny(inside, "'\\!\n") {
		t.Errorf("the command has what some shell takes for its own: %s", remoteCommand)
	}
	if strings.Contains(script+stage, "\n") {
		t.Error("a script is not one line")
	}
	s := sshtest.Start(t)
	cfg := config(t, s)
	path, content := randomFile(t, 200_000)
	for _, shell := range []string{"dash", "bash", "busybox sh", "zsh", "fish", "csh", "tcsh", "ksh", "mksh", "busybox"} {
		t.Run(shell, func(t *testing.T) {
			name, _, _ := strings.Cut(shell, " ")
			program, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("needs %s, which is missing", name)
			}
			login := strings.Replace(shell, name, program, 1)
			if shell == "busybox" { // and all programs that the script uses are its own
				dir := t.TempDir()
				for _, applet := range []string{"sh", "ls", "grep", "sed", "head", "tail", "wc", "df", "sha256sum", "uname",
					"mkdir", "chmod", "mv", "rm", "sleep", "cat"} {
					if err := os.Symlink(program, filepath.Join(dir, applet)); err != nil {
						t.Fatal(err)
					}
				}
				s.SetPath(dir)
				defer s.SetPath("")
				login = program + " sh"
			}
			s.SetShell(login)
			defer s.SetShell("/bin/sh")
			h := open(t, cfg)
			there, err := h.Put(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := os.ReadFile(filepath.Join(h.Dir(), there)); err != nil || !bytes.Equal(b, content) {
				t.Errorf("the copy is not the file: %v", err)
			}
			if out, err := run(t, h, "abc\n", "echo"); err != nil || out != "abc\n" {
				t.Errorf("echo: %q %v", out, err)
			}
			p, err := h.Start(t.Context(), "deaf")
			if err != nil {
				t.Fatal(err)
			}
			p.Kill() // maybe before it runs
			p.Wait()
			closeHost(t, h)
			for _, own := range []string{".config", ".local", ".cache"} { // fish's
				os.RemoveAll(filepath.Join(s.Home, own))
			}
			nothingLeft(t, s)
		})
	}
}

// What a login prints, reads or complains about does not come between.
func TestChattyLogin(t *testing.T) {
	t.Parallel()
	s := sshtest.Start(t)
	dir := fakes(t, map[string]string{"chatty": `echo "Welcome!"; printf 'a'; echo; echo pcaplab
echo "stty: not a tty" >&2; shift; exec /bin/sh -c "$@"`})
	s.SetShell(quote(dir+"/chatty") + " -c")
	cfg := config(t, s)
	h := open(t, cfg)
	if out, err := run(t, h, "x", "echo"); err != nil || out != "x" {
		t.Errorf("echo: %q %v", out, err)
	}
	_, err := run(t, h, "", "exit", "3")
	var exit *ExitError
	if !errors.As(err, &exit) || strings.Contains(exit.Stderr, "tty") {
		t.Errorf("exit: %v", err)
	}
	closeHost(t, h)
	nothingLeft(t, s)
}
