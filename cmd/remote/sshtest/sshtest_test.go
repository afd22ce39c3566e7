package sshtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// login runs a command in a session and returns what ssh and the command write.
func login(s *Server, command string) (string, error) {
	out, err := exec.Command("ssh", "-F", s.Config, "-o", "BatchMode=yes", "-T", s.Alias, command).CombinedOutput()
	return string(out), err
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	s := Start(t)
	_, before := s.Sent()
	s.Refuse()
	out, err := login(s, "echo works")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 255 || !strings.Contains(out, "reset") {
		t.Errorf("refused: %v: %s", err, out)
	}
	if l, err := net.Listen("tcp", s.Addr); err == nil {
		l.Close()
		t.Error("another may take the port")
	}
	if _, after := s.Sent(); after != before {
		t.Errorf("%d connections were served", after-before)
	}
	time.AfterFunc(10*time.Millisecond, s.Restore)
	for i := 0; i < 100; i++ {
		if out, err = login(s, "echo works"); err == nil {
			break
		}
	}
	if err != nil || out != "works\n" {
		t.Errorf("restored: %v: %s", err, out)
	}
}

// Paths that mean something to OpenSSH's configurations and to a shell.
func TestTemporaryFolder(t *testing.T) {
	dir := t.TempDir() + "/" + `a b%h'c"d\e $(f) é`
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	t.Run("login", func(t *testing.T) {
		s := Start(t)
		if !strings.HasPrefix(s.Home, dir) {
			t.Skipf("the test's folder is not below TMPDIR: %s", s.Home)
		}
		s.SetShell("env " + word("X=a  b") + " sh")
		if out, err := login(s, `printf %s "$HOME,$PWD,$X"`); err != nil || out != s.Home+","+s.Home+",a  b" {
			t.Errorf("%v: %q", err, out)
		}
	})
}

// methods are all that change a server, each with a use that must not break a session's start.
func methods(s *Server) []func() {
	return []func(){s.Restore, s.Refuse, s.Stall, s.Cut, func() { s.CutAfter(1000) }, func() { s.CutAfter(-1) },
		func() { s.SetPath("/nowhere") }, func() { s.SetShell("sh") }, func() { s.Sent() }, func() { s.Log() },
		func() { s.Processes() }}
}

// The race detector judges here, and an end of the test in the midst of it.
func TestAnyGoroutine(t *testing.T) {
	t.Parallel()
	var s *Server
	var busy sync.WaitGroup
	t.Run("during", func(t *testing.T) {
		s = Start(t)
		for _, method := range methods(s) {
			busy.Go(func() {
				for range 20 {
					method()
					time.Sleep(time.Millisecond)
				}
			})
		}
		busy.Go(func() { login(s, "echo works") })
		time.Sleep(5 * time.Millisecond)
	})
	if s == nil {
		t.Skip("no server was started: the subtest says why")
	}
	busy.Wait()
	for _, method := range methods(s) {
		method()
	}
	if c, err := net.Dial("tcp", s.Addr); err == nil {
		c.Close()
		t.Error("the port is open after the end")
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("the folder is there after the end")
	}
}

// recorder takes a test's errors.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	errs []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow() { panic("FailNow") }

func TestErrorsWhileItRuns(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	s := Start(r)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() { defer close(done); s.SetPath("/x") }()
	<-done
	if len(r.errs) != 1 || !strings.Contains(r.errs[0], s.settings) {
		t.Errorf("without its folder: %q", r.errs)
	}
	s.stop()
	s.SetPath("/y")
	if len(r.errs) != 1 {
		t.Errorf("after the end: %q", r.errs)
	}
}
