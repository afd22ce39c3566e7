package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// command is all that the host's login shell, of whatever kind, gets to see: one line of less than a kilobyte without
// quotes inside, backslashes or exclamation marks. The script itself comes as the first line of standard input, and is
// sent after the greeting, so that nothing that a login prints or reads can come between.
const (
	greeting      = "pcaplab-remote-1"
	remoteCommand = `exec sh -c 'echo ` + greeting + `; IFS= read -r script && eval "$script"'`
)

// stage marks all processes of the session: a variable is in a process's environment in /proc only if it was there when
// it started. The mark is the Host's id and the connection's number: a session can tell what an earlier one left.
const stage = `IFS= read -r PCAPLAB_REMOTE; export PCAPLAB_REMOTE; IFS= read -r script; exec sh -c "$script"`

// script answers requests until its input ends: a request is a line, its arguments are a line each. The answer is "ok"
// or "no CODE", then lines that begin with a space, then ".". It is written for any POSIX sh, and joined to one line.
var script = strings.ReplaceAll(strings.TrimSpace(`
LC_ALL=C; export LC_ALL; umask 077; unset CDPATH; id=${PCAPLAB_REMOTE%%.*};
lines() { printf "%s\n" "$@" | sed "s/^/ /"; echo .; };
ok() { echo ok; lines "$@"; };
no() { echo "no $1"; shift; lines "$@"; };

bits() {
	getconf LONG_BIT 2>/dev/null ||
	case $(head -c 5 /bin/sh | tail -c 1) in "$(printf "\001")") echo 32;; "$(printf "\002")") echo 64;; esac;
};
sha() { m=$(sha256sum <"$1") && echo "${m%% *}"; };

procs() {
	ls -l /proc/[0-9]*/$1 2>/dev/null | grep -F -e " -> $PWD$2" | sed -n "s,^[^/]*/proc/\([0-9]*\)/$1 -> .*,\1,p";
};
mark() { tr "\000" "\n" 2>/dev/null <"/proc/$1/environ" | grep "^PCAPLAB_REMOTE="; } 2>/dev/null;
mine() {
	for p in $(procs exe /; procs cwd); do
		case $(mark $p) in "PCAPLAB_REMOTE=$PCAPLAB_REMOTE") ;; "PCAPLAB_REMOTE=$id."*) echo $p;; esac;
	done;
};
others() {
	for p in $(procs exe /); do
		case $(mark $p) in "PCAPLAB_REMOTE=$id."*) ;; *) [ ! -e /proc/$p/exe ] || echo $p;; esac;
	done;
};
stale() {
	d=${PWD%/}; m=; i=0;
	for n in .pcaplab.????????????????; do
		[ "$n" != "$f" ] && [ ! -L "$n" ] && [ -d "$n" ] && [ -O "$n" ] || continue;
		if [ -z "$m" ]; then
			case "$(ls -l /proc/$$/cwd 2>/dev/null)" in *" -> $PWD") ;; *) return;; esac;
			m=$(ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd 2>/dev/null | grep -F -e " -> $d/.pcaplab." | sed "s,\$,/,"; echo .);
		fi;
		case "$m" in *" -> $d/$n/"*) continue;; esac;
		echo "$n"; i=$((i + 1)); [ $i -lt 10 ] || return;
	done;
};
endmine() {
	for signal in TERM TERM TERM TERM TERM TERM TERM TERM KILL KILL; do
		m=$(mine); [ -n "$m" ] || return 0;
		kill -s $signal $m 2>/dev/null;
		sleep 0.2 2>/dev/null || sleep 1;
	done;
	m=$(mine); [ -z "$m" ];
};

while IFS= read -r request; do case $request in
probe)
	m=no; command -v sha256sum >/dev/null 2>&1 && m=yes;
	ok "$(uname -s)" "$(uname -m)" "$(bits)" "$m" "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)";;
at)
	IFS= read -r d; IFS= read -r f; IFS= read -r create;
	case $d in "") d=.;; /*) ;; *) d=./$d;; esac;
	if [ ! -d "$d" ]; then no nodir;
	elif m=$(cd -P "$d" 2>&1) && cd -P "$d"; then
		if [ "$create" = 0 ] && [ ! -d "$f" ]; then no gone;
		elif [ ! -L "$f" ] && [ ! -e "$f" ] && ! m=$(mkdir "$f" 2>&1); then no mkdir "$m";
		elif [ -L "$f" ] || [ ! -d "$f" ] || [ ! -O "$f" ]; then no foreign;
		elif s=; [ "$create" = 0 ] || s=$(stale); m=$(cd -P "$f" 2>&1) && cd -P "$f"; then ok "$PWD" $s;
		else no cd "$m"; fi;
	else no cd "$m"; fi;;
find)
	IFS= read -r n; IFS= read -r s;
	if [ -f "$n" ] && [ "$(sha "$n")" = "$s" ]; then ok have;
	else
		m=0; [ -f "$n.part" ] && m=$(wc -c <"$n.part");
		ok part "$m" "$(df -Pk . | tail -n 1)";
	fi;;
put)
	IFS= read -r n; IFS= read -r s; IFS= read -r at; IFS= read -r count; IFS= read -r mode;
	if [ "$at" = 0 ] && ! m=$({ : >"$n.part"; } 2>&1); then no write "$m";
	elif [ $(wc -c <"$n.part") -ne "$at" ]; then no moved;
	else
		ok;
		m=$({ head -c "$count" >>"$n.part"; } 2>&1) || { no write "$m"; exit 1; };
		[ $(wc -c <"$n.part") -eq $((at + count)) ] || exit 1;
		m=$(sha "$n.part");
		if [ "$m" != "$s" ]; then rm -f "$n.part"; no sum;
		elif m=$({ chmod "$mode" "$n.part" && mv -f "$n.part" "$n"; } 2>&1); then ok;
		else no write "$m"; fi;
	fi;;
try)
	IFS= read -r n; m=$("./$n" --version 2>&1 </dev/null); c=$?; ok "$c" "$m";;
run)
	IFS= read -r n;
	set --; while IFS= read -r a && [ "$a" != . ]; do set -- "$@" "$a"; done;
	if endmine && m=$(others) && [ -z "$m" ]; then
		ok; echo "$id start" >&2; "./$n" "$@"; c=$?;
		printf "\n%s %s\n" "$id" "$c" >&2; exit "$c";
	else no busy "$(echo $m)"; fi;;
end)
	if endmine; then ok; else no busy "$(echo $m)"; fi;;
remove)
	case $f in
	.pcaplab.????????????????)
		if [ "${PWD##*/}" = "$f" ] && endmine && cd ..; then
			if m=$(rm -rf "./$f" 2>&1); then ok; else no rm "$m"; fi;
		else no busy "$(echo $m)"; fi;;
	*) no foreign;;
	esac;;
*) no request "$request";;
esac; done
`), "\n", " ")

// sshArgs returns the arguments of ssh. It never asks for anything, decides nothing about host keys, uses a connection
// that the user shares but shares none of its own, and carries nothing but the session.
func sshArgs(cfg *Config) []string {
	alive := cfg.alive
	if alive == 0 {
		alive = 15 * time.Second
	}
	fails := cfg.fails
	if fails == 0 {
		fails = 3
	}
	var args []string
	if cfg.SSHConfig != "" {
		args = append(args, "-F", cfg.SSHConfig)
	}
	return append(args, "-T", "-a", "-x",
		"-o", "BatchMode=yes",
		"-o", "ConnectTimeout=20",
		"-o", "ServerAliveInterval="+strconv.Itoa(int(alive/time.Second)),
		"-o", "ServerAliveCountMax="+strconv.Itoa(fails),
		"-o", "LogLevel=INFO", // of which "Connection reset by" is
		"-o", "ControlMaster=no",
		"-o", "ClearAllForwardings=yes",
		"-o", "RemoteCommand=none",
		"--", cfg.Host, remoteCommand)
}

// session is one ssh connection that runs the script, or a program after it.
type session struct {
	cfg    *Config
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	file   *os.File // below out
	stderr tail
	gone   chan struct{} // closed when ssh has ended
}

// dial connects and waits for the script to take requests.
func (h *Host) dial(ctx context.Context) (*session, error) {
	cfg := &h.cfg
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Host, err)
	}
	path, err := exec.LookPath("ssh")
	if err != nil {
		return nil, faultf(cfg.Host, ErrNoSSH, "cannot find the program ssh here (%v): install the OpenSSH client", err)
	}
	s := &session{cfg: cfg, cmd: exec.Command(path, sshArgs(cfg)...), gone: make(chan struct{})}
	s.stderr.mark = h.id
	ownGroup(s.cmd)
	s.cmd.Stderr = &s.stderr
	s.cmd.WaitDelay = 2 * time.Second // for standard error, if a process that outlives ssh holds it
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Host, err)
	}
	r, w, err := os.Pipe() // not StdoutPipe, which Wait would close under the reader
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Host, err)
	}
	s.cmd.Stdout = w
	s.file, s.out = r, bufio.NewReaderSize(ownEnd{r}, 64<<10)
	err = s.cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, faultf(cfg.Host, ErrNoSSH, "cannot start ssh: %v", err)
	}
	go func() {
		s.cmd.Wait()
		close(s.gone)
	}()

	limit := cfg.login
	if limit == 0 {
		limit = time.Minute
	}
	timer := time.AfterFunc(limit, s.kill)
	defer timer.Stop()
	defer context.AfterFunc(ctx, s.kill)()
	// What a login prints before the greeting is not ours; the octets bound it.
	said := ""
	for read := 0; ; {
		line, err := s.line()
		if read += len(line) + 1; err != nil || read > 1<<20 {
			late := !timer.Stop()
			s.end()
			switch {
			case ctx.Err() != nil:
				return nil, fmt.Errorf("%s: %w", cfg.Host, context.Cause(ctx))
			case late:
				return nil, faultf(cfg.Host, ErrUnreachable, "no answer within %v: is the board overloaded, or does its login "+
					"wait for something? See by hand: %s", limit, cfg.command("true"))
			}
			return nil, s.whyNot(said)
		}
		if line == greeting {
			break
		}
		said = line
	}
	if _, err := fmt.Fprintf(s.in, "%s\n%s.%d.\n%s\n", stage, h.id, h.dials.Add(1), script); err != nil {
		return nil, s.lost(ctx)
	}
	return s, nil
}

// ownEnd is a file that ends where it was closed.
type ownEnd struct{ f *os.File }

func (o ownEnd) Read(p []byte) (int, error) {
	n, err := o.f.Read(p)
	if errors.Is(err, os.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// whyNot says why ssh ended before the greeting, by what it wrote; said is the last that the host printed.
func (s *session) whyNot(said string) error {
	text := s.stderr.String()
	has := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	host, last := s.cfg.Host, s.stderr.last()
	code := s.cmd.ProcessState.ExitCode()
	switch {
	case has("IDENTIFICATION HAS CHANGED"):
		return faultf(host, ErrHostKey, "its host key is not the one that ssh knows: find out why, and mend it with "+
			"ssh-keygen -R; then connect once by hand: %s", s.cfg.command(""))
	case has("Host key verification failed", "host key is known for"):
		return faultf(host, ErrHostKey, "ssh does not know its host key: connect once by hand and check it: %s",
			s.cfg.command(""))
	case code == 255 && has("Permission denied (", "Too many authentication failures", "No supported authentication"):
		return faultf(host, ErrRefused, "login refused (%s): no password is ever asked for here; copy your key with "+
			"ssh-copy-id, or load it with ssh-add, until this works: %s", last, s.cfg.command("true"))
	case code == 255 && has("Could not resolve hostname"):
		return faultf(host, ErrUnreachable, "no such host (%s): check the spelling, or give its IP address or an alias of "+
			"ssh_config", last)
	case code == 255 && has("Connection refused"):
		return faultf(host, ErrUnreachable, "cannot connect (%s): is sshd running there, and on this port? See by hand: %s",
			last, s.cfg.command("true"))
	case code == 255 && has("timed out", "No route to host", "unreachable", "not responding"):
		return faultf(host, ErrUnreachable, "cannot connect (%s): is the board on, and is this its name or address? "+
			"See by hand: %s", last, s.cfg.command("true"))
	case code == 255 && has("Connection closed", "Connection reset", "Broken pipe", "kex_exchange_identification",
		"banner exchange"):
		return faultf(host, ErrUnreachable, "cannot connect (%s): something answers, but does not let ssh in: is this the "+
			"port of its sshd, and what does its log say? See by hand: %s", last, s.cfg.command("true"))
	case code == 255 || code < 0:
		if last == "" {
			last = "ssh says nothing"
		}
		return faultf(host, ErrUnreachable, "ssh failed: %s (try by hand: %s)", last, s.cfg.command("true"))
	}
	if last == "" {
		last = clean(said)
	}
	return faultf(host, ErrNoShell, "logged in, but sh did not start there (code %d): %s; the user's login shell "+
		"must run commands: %s", code, last, s.cfg.command("true"))
}

// refusal is the script's "no".
type refusal struct {
	host, code, text string
}

func (r *refusal) Error() string {
	if r.text == "" {
		return r.host + ": " + r.code
	}
	return r.host + ": " + r.text
}

// ask sends a request and reads the answer. The error is a refusal, after which the session goes on, or the session is
// no more.
func (s *session) ask(ctx context.Context, request ...string) ([]string, error) {
	defer context.AfterFunc(ctx, s.kill)()
	if _, err := io.WriteString(s.in, strings.Join(request, "\n")+"\n"); err != nil {
		return nil, s.lost(ctx)
	}
	return s.answer(ctx)
}

func (s *session) answer(ctx context.Context) ([]string, error) {
	head, err := s.line()
	if err != nil {
		return nil, s.lost(ctx)
	}
	var lines []string
	for size := 0; ; {
		line, err := s.line()
		if err != nil {
			return nil, s.lost(ctx)
		}
		if line == "." {
			break
		}
		if size += len(line) + 1; size > 1<<20 || !strings.HasPrefix(line, " ") {
			s.kill()
			return nil, faultf(s.cfg.Host, ErrNoShell, "cannot understand what its shell answers: %q", clean(line))
		}
		lines = append(lines, line[1:])
	}
	if head == "ok" {
		return lines, nil
	}
	code, no := strings.CutPrefix(head, "no ")
	if !no {
		s.kill()
		return nil, faultf(s.cfg.Host, ErrNoShell, "cannot understand what its shell answers: %q", clean(head))
	}
	return nil, &refusal{host: s.cfg.Host, code: code, text: clean(strings.Join(lines, "; "))}
}

// line reads a line of at most 64 KiB.
func (s *session) line() (string, error) {
	b, err := s.out.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return string(b[:len(b)-1]), nil
}

// lost ends the session and returns the error for it.
func (s *session) lost(ctx context.Context) error {
	s.end()
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", s.cfg.Host, context.Cause(ctx))
	}
	text := s.stderr.last()
	if text == "" {
		text = "ssh says no more"
	}
	return faultf(s.cfg.Host, ErrLost, "connection lost: %s", text)
}

// ended returns whether ssh is no more.
func (s *session) ended() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// kill ends ssh at once, without waiting.
func (s *session) kill() {
	if s.ended() {
		return
	}
	endGroup(s.cmd, false)
	time.AfterFunc(2*time.Second, func() {
		if !s.ended() {
			endGroup(s.cmd, true)
		}
	})
}

// end closes the session's input and waits for ssh to end, for a moment, and then makes it.
func (s *session) end() {
	s.in.Close()
	timer := time.AfterFunc(3*time.Second, s.kill)
	<-s.gone
	timer.Stop()
	s.file.Close()
}

// tail keeps the last lines that are written to it, and recognises the lines that tell a program's start and exit code.
type tail struct {
	mark  string // in front of "start" and the exit code
	mu    sync.Mutex
	lines []string
	part  []byte // of an unfinished line
	code  int
	coded bool
}

const (
	tailLines  = 20
	tailOctets = 1000 // of a line
)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range p {
		if c != '\n' {
			if len(t.part) < tailOctets {
				t.part = append(t.part, c)
			}
			continue
		}
		line := strings.TrimRight(string(t.part), "\r ")
		t.part = t.part[:0]
		if word, found := strings.CutPrefix(line, t.mark+" "); found {
			if word == "start" {
				t.lines = nil // what a login writes is not the program's
				continue
			}
			if code, err := strconv.Atoi(word); err == nil {
				t.code, t.coded = code, true
				continue
			}
		}
		if line != "" {
			if len(t.lines) == tailLines {
				t.lines = append(t.lines[:0], t.lines[1:]...)
			}
			t.lines = append(t.lines, clean(line))
		}
	}
	return len(p), nil
}

// exit returns the program's exit code and whether it told one.
func (t *tail) exit() (code int, told bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.code, t.coded
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if len(t.part) > 0 {
		lines = append(lines[:len(lines):len(lines)], clean(string(t.part)))
	}
	return strings.Join(lines, "\n")
}

// last returns the last line.
func (t *tail) last() string {
	s := t.String()
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// clean returns a host's text fit for a terminal and a message of one line.
func clean(s string) string {
	const limit = 2000
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?")))
}
