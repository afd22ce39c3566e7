// Package sshtest starts an OpenSSH server for a test: on a loopback port of its own, with keys, configurations and a
// home folder below the test's temporary folder, and with connections that the test can cut, stall and refuse.
package sshtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is a running server. Its methods may be called from any goroutine, and at any time: what fails while the test
// runs is an error of the test, and after its end they do nothing.
type Server struct {
	Config   string // file for ssh -F with the aliases below
	Alias    string // logs in
	Stranger string // alias with a key that the server refuses
	Unknown  string // alias of a server that the user has never seen
	Changed  string // alias of a server whose key is not the known one
	Home     string // login folder of the sessions
	Addr     string // of the server, IP:PORT

	t        testing.TB
	dir      string
	sshd     string
	settings string // file that the sessions' wrapper reads

	mu       sync.Mutex
	changed  *sync.Cond
	listener net.Listener
	open     map[*connection]bool
	refused  bool
	stalled  bool
	cutAfter int64 // client octets until the next cut; negative: none
	sent     int64 // client octets
	dials    int
	stopped  bool
	session  struct{ path, shell string }
	wait     sync.WaitGroup
}

// connection is one client's.
type connection struct {
	client, server *net.TCPConn
	cmd            *exec.Cmd
	dead           bool // cut
}

// Start starts a server that ends with the test. It skips the test, saying why, where OpenSSH's client or server is
// missing or the user may not log in.
func Start(t testing.TB) *Server {
	t.Helper()
	programs := map[string]string{"ssh": "", "ssh-keygen": "", "sshd": ""}
	for name := range programs {
		path, err := exec.LookPath(name)
		if err != nil && name == "sshd" {
			path, err = exec.LookPath("/usr/sbin/sshd")
		}
		if err != nil {
			t.Skipf("sshtest needs %s, which is missing (Debian: openssh-client, openssh-server)", name)
		}
		programs[name] = path
	}
	if os.Getuid() == 0 {
		// Debian's sshd wants this folder, which its service makes. It stays, empty: another process that tests, or a
		// service that was started since, may need it by then.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshtest as root needs /run/sshd: %v", err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Skipf("sshtest needs the user's name: %v", err)
	}

	s := &Server{Alias: "board", Stranger: "stranger", Unknown: "unknown", Changed: "changed",
		t: t, dir: t.TempDir(), sshd: programs["sshd"], open: map[*connection]bool{}, cutAfter: -1}
	s.changed = sync.NewCond(&s.mu)
	s.Config = filepath.Join(s.dir, "ssh_config")
	s.Home = filepath.Join(s.dir, "home")
	s.settings = filepath.Join(s.dir, "session")
	if err := os.Mkdir(s.Home, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"host_key", "user_key", "stranger_key", "other_key"} {
		out, err := exec.Command(programs["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-C", "sshtest",
			"-f", filepath.Join(s.dir, key)).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.wait.Add(1)
	go s.accept()
	t.Cleanup(s.stop)
	s.Addr = s.listener.Addr().String()
	_, port, _ := net.SplitHostPort(s.Addr)

	known := func(key string) string { return fmt.Sprintf("[127.0.0.1]:%s %s", port, s.read(key+".pub")) }
	s.write("known_hosts", known("host_key"))
	s.write("known_changed", known("other_key"))
	s.write("known_nothing", "")
	s.write("authorized_keys", s.read("user_key.pub"))
	config := &strings.Builder{}
	alias := func(name, key, known string) {
		fmt.Fprintf(config, "Host %s\n\tHostName 127.0.0.1\n\tPort %s\n\tUser %s\n\tIdentityFile %s\n"+
			"\tUserKnownHostsFile %s\n",
			name, port, quote(me.Username), s.token(key), s.token(known))
	}
	alias(s.Alias, "user_key", "known_hosts")
	alias(s.Stranger, "stranger_key", "known_hosts")
	alias(s.Unknown, "user_key", "known_nothing")
	alias(s.Changed, "user_key", "known_changed")
	config.WriteString("Host *\n\tIdentitiesOnly yes\n\tIdentityAgent none\n\tGlobalKnownHostsFile /dev/null\n")
	s.write("ssh_config", config.String())

	// The wrapper gives every session the settings of the moment. SSHTEST marks its processes.
	s.write("wrapper", fmt.Sprintf("#!/bin/sh\nSSHTEST=%s; export SSHTEST\nHOME=%s; export HOME\n"+
		"cd \"$HOME\" || exit\n"+
		". %s\nif [ -n \"$SSH_ORIGINAL_COMMAND\" ]; then\n"+
		"eval \"exec $session_shell -c \"'\"$SSH_ORIGINAL_COMMAND\"'\nfi\n"+
		"eval \"exec $session_shell\"\n", word(s.dir), word(s.Home), word(s.settings)))
	if err := os.Chmod(filepath.Join(s.dir, "wrapper"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.SetShell("/bin/sh")
	s.write("sshd_config", fmt.Sprintf(`HostKey %s
AuthorizedKeysFile %s
ForceCommand %s
SetEnv HOME=%s
StrictModes no
PermitRootLogin yes
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
UseDNS no
LogLevel VERBOSE
`, quote(filepath.Join(s.dir, "host_key")), s.token("authorized_keys"), word(filepath.Join(s.dir, "wrapper")),
		quote("HOME="+s.Home)))

	out, err := exec.Command(programs["ssh"], "-F", s.Config, "-o", "BatchMode=yes", "-T", s.Alias, "echo works").
		CombinedOutput()
	if err != nil || string(out) != "works\n" {
		text := s.Log()
		if strings.Contains(text, "account is locked") || strings.Contains(text, "shell") {
			t.Skipf("this user may not log in by ssh: %s", text)
		}
		t.Fatalf("cannot log in: %v: %s\nsshd: %s", err, out, text)
	}
	return s
}

// word returns s as one word of a POSIX shell.
func word(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// quote returns s as one word of a configuration of OpenSSH.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// token returns a file's path for a setting in which OpenSSH expands tokens.
func (s *Server) token(name string) string {
	return quote(strings.ReplaceAll(filepath.Join(s.dir, name), "%", "%%"))
}

func (s *Server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(b)
}

// Log returns what the server has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// SetPath puts a folder of programs in front of the others in new sessions; "" takes it away.
func (s *Server) SetPath(dir string) { s.set(func() { s.session.path = dir }) }

// SetShell sets the login shell of new sessions, a command as sh reads it, such as "busybox sh".
func (s *Server) SetShell(command string) { s.set(func() { s.session.shell = command }) }

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	change()
	text := "session_shell=" + word(s.session.shell) + "\n"
	if s.session.path != "" {
		text += "PATH=" + word(s.session.path) + ":$PATH; export PATH\n"
	}
	// Renamed into place: a session may be starting.
	fresh := s.settings + ".new"
	err := os.WriteFile(fresh, []byte(text), 0o600)
	if err == nil {
		err = os.Rename(fresh, s.settings)
	}
	if err != nil {
		s.t.Errorf("sshtest: %v", err)
	}
}

// Cut cuts all connections hard, as by a reset. New ones are taken.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut()
}

func (s *Server) cut() {
	for c := range s.open {
		c.dead = true
		c.client.SetLinger(0)
		c.client.Close()
		c.server.SetLinger(0)
		c.server.Close()
	}
	s.changed.Broadcast()
}

// CutAfter cuts all connections once clients have sent another n octets.
func (s *Server) CutAfter(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutAfter = n
}

// Stall lets no octet through any more, in either direction, without closing anything; new connections hang too.
func (s *Server) Stall() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled = !s.stopped
}

// Refuse resets new connections before the server has said a word; those that stand go on. The port stays the server's:
// a closed one could become another test's.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = true
}

// Restore ends Stall and Refuse.
func (s *Server) Restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stalled, s.refused = false, false
	s.changed.Broadcast()
}

// Sent returns how many octets clients have sent so far, and in how many connections.
func (s *Server) Sent() (octets int64, connections int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.dials
}

// Processes returns the numbers of all processes of sessions that still run. It needs Linux's /proc.
func (s *Server) Processes() []int {
	var found []int
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environments {
		b, err := os.ReadFile(path)
		if err == nil && bytes.Contains(b, []byte("SSHTEST="+s.dir+"\x00")) {
			if id, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
				found = append(found, id)
			}
		}
	}
	return found
}

// accept serves connections until the listener is closed.
func (s *Server) accept() {
	defer s.wait.Done()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		client := conn.(*net.TCPConn)
		s.mu.Lock()
		refused := s.refused || s.stopped
		s.mu.Unlock()
		s.wait.Add(1)
		go func() {
			defer s.wait.Done()
			if refused {
				// ssh says why it fails only from when it has sent its greeting.
				client.SetDeadline(time.Now().Add(2 * time.Second))
				client.Read(make([]byte, 1))
				client.SetLinger(0) // a reset, not an end
				client.Close()
				return
			}
			if err := s.serve(client); err != nil {
				s.mu.Lock()
				defer s.mu.Unlock()
				if !s.stopped {
					s.t.Errorf("sshtest: %v", err)
				}
			}
		}()
	}
}

// serve runs one sshd for one connection. The server gets a connection of its own, so that what the client sends passes
// here.
func (s *Server) serve(client *net.TCPConn) error {
	defer client.Close()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer inner.Close()
	dialed, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		return err
	}
	c := &connection{client: client, server: dialed.(*net.TCPConn)}
	defer c.server.Close()
	accepted, err := inner.Accept()
	if err != nil {
		return err
	}
	file, err := accepted.(*net.TCPConn).File()
	accepted.Close()
	if err != nil {
		return err
	}
	c.cmd = exec.Command(s.sshd, "-i", "-f", filepath.Join(s.dir, "sshd_config"), "-E", filepath.Join(s.dir, "log"))
	c.cmd.Stdin, c.cmd.Stdout = file, file
	err = c.cmd.Start()
	file.Close()
	if err != nil {
		return err
	}

	s.mu.Lock()
	s.open[c] = true
	s.dials++
	if s.stopped {
		s.cut()
	}
	s.mu.Unlock()
	var both sync.WaitGroup
	both.Add(2)
	go func() { defer both.Done(); s.forward(c, c.server, c.client, true) }()
	go func() { defer both.Done(); s.forward(c, c.client, c.server, false) }()
	both.Wait()
	c.client.Close()
	c.server.Close()
	c.cmd.Wait() // fails where the connection was cut
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	return nil
}

// forward passes octets on until one side ends.
func (s *Server) forward(c *connection, to, from *net.TCPConn, fromClient bool) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		s.mu.Lock()
		for s.stalled && !c.dead {
			s.changed.Wait()
		}
		if fromClient {
			s.sent += int64(n)
			if s.cutAfter >= 0 {
				if s.cutAfter -= int64(n); s.cutAfter < 0 {
					s.cut()
				}
			}
		}
		dead := c.dead
		s.mu.Unlock()
		if dead {
			return
		}
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				from.Close()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			to.CloseWrite()
			return
		}
		if err != nil {
			to.Close()
			return
		}
	}
}

// stop ends the server and what its sessions have left running.
func (s *Server) stop() {
	s.mu.Lock()
	s.stalled, s.stopped = false, true
	s.listener.Close()
	s.cut()
	servers := make([]*exec.Cmd, 0, len(s.open))
	for c := range s.open {
		servers = append(servers, c.cmd)
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() { s.wait.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		for _, cmd := range servers {
			cmd.Process.Kill()
		}
		<-ended
	}
	for _, id := range s.Processes() {
		if p, err := os.FindProcess(id); err == nil {
			p.Kill()
		}
	}
}
