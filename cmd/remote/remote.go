// Package remote runs a copy of this program on other machines over the user's own ssh.
//
// It needs sh, the usual small programs (coreutils or busybox) and sha256sum on the host, and no sftp server. One ssh
// connection serves a host from the probe to the start of the program. Nothing that comes from the user or from a host
// is ever part of a command line there: the remote command is one constant, which reads a constant script, and that
// reads names and numbers as lines and files as octets from its standard input.
package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Causes of errors, for errors.Is. The text of an error begins with the host's name and says what to do.
var (
	ErrLost        = errors.New("connection lost")             // after it stood: worth trying again
	ErrUnreachable = errors.New("cannot connect")              // unknown name, refused, no answer
	ErrRefused     = errors.New("login refused")               // no key that the host takes
	ErrHostKey     = errors.New("host key unknown or changed") // the user decides what to trust, by ssh itself
	ErrNoSSH       = errors.New("no ssh program here")
	ErrNoShell     = errors.New("no shell on the host") // logged in, but sh did not start
	ErrUnsupported = errors.New("host not supported")   // not Linux, or a processor that there is no binary for
	ErrNoBinary    = errors.New("no binary for the host")
	ErrWrongBinary = errors.New("binary does not fit") // wrong processor or version, or it does not run
	ErrFolder      = errors.New("folder not usable")   // missing, not writable, noexec, somebody else's, gone
	ErrNoSpace     = errors.New("no space on the host")
	ErrBusy        = errors.New("host is busy") // another copy of the program runs in the same folder
)

// fault is an error about a host.
type fault struct {
	host, text string
	kind       error
}

func (f *fault) Error() string { return f.host + ": " + f.text }
func (f *fault) Unwrap() error { return f.kind }

func faultf(host string, kind error, format string, args ...any) error {
	return &fault{host: host, text: fmt.Sprintf(format, args...), kind: kind}
}

// Arches are the architectures that there are binaries for, as they stand in file names.
var Arches = []string{"amd64", "arm64", "armv7", "armv6"}

// Config says where to run what.
type Config struct {
	Host      string // as ssh takes it: [USER@]HOST, an alias of ssh_config, or ssh://[USER@]HOST[:PORT]
	SSHConfig string // file for ssh -F; empty: the user's own
	Dir       string // folder on the host to work below, taken literally; empty: the login folder
	Keep      bool   // use the folder .pcaplab below Dir and leave it; else a fresh one that Close removes
	Name      string // of the program: its binaries are NAME-linux-ARCH
	Version   string // what the binary prints for --version must contain it; empty: anything
	Binary    string // to copy; empty: this executable if it fits, else NAME-linux-ARCH beside it or in ../lib/NAME
	Arch      string // one of Arches; empty: as the host says

	Note     func(format string, args ...any)     // takes what a person should know, one line each; may be nil
	Progress func(what string, done, total int64) // takes the octets of a copy, often; may be nil

	alive time.Duration // between ssh's signs of life; 0: 15 s
	fails int           // of them that end the connection; 0: 3
	login time.Duration // until the host's sh must have answered; 0: 60 s
	pause time.Duration // before the first new attempt of a copy, doubled for the next; 0: 1 s
	exe   string        // this executable; empty: os.Executable
}

func (c *Config) note(format string, args ...any) {
	if c.Note != nil {
		c.Note(format, args...)
	}
}

func (c *Config) check() error {
	if err := checkHost(c.Host); err != nil {
		return fmt.Errorf("host %q: %w", c.Host, err)
	}
	switch {
	case strings.ContainsAny(c.Dir, "\n\x00"):
		return faultf(c.Host, ErrFolder, "folder %q: a line break in a folder's name is not supported", c.Dir)
	case c.Arch != "" && !slices.Contains(Arches, c.Arch):
		return faultf(c.Host, ErrUnsupported, "no architecture %q: there are %s", c.Arch, strings.Join(Arches, ", "))
	case !plain(c.Name, "._-") || strings.HasPrefix(c.Name, "-"):
		return faultf(c.Host, ErrNoBinary, "%q is not a program's name", c.Name)
	}
	return nil
}

// plain returns whether s is not empty and all ASCII letters, digits and the given others.
func plain(s, others string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(others, r)) {
			return false
		}
	}
	return s != ""
}

// Host is a machine with a folder and a binary in it that runs there. Its methods may be called from several
// goroutines; exchanges with the host take place one after the other.
type Host struct {
	cfg    Config
	id     string // random; names the fresh folder and marks processes as this Host's
	folder string // name of the folder below cfg.Dir
	dials  atomic.Int64

	mu     sync.Mutex
	idle   *session // connected and in the folder; nil: connect when needed
	arch   string
	own    system
	dir    string // absolute, as the host says
	binary string // file name in dir
	stray  bool   // a process may still run there without a connection
}

// Open connects to the host, chooses the binary that fits it, makes the folder, copies the binary and checks that it
// runs there and is of the right version. After an error nothing is left there, or the error says what.
func Open(ctx context.Context, cfg Config) (*Host, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	var random [8]byte
	rand.Read(random[:]) // never fails
	h := &Host{cfg: cfg, id: hex.EncodeToString(random[:])}
	h.folder = ".pcaplab"
	if !cfg.Keep {
		h.folder += "." + h.id
	}
	s, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	if h.arch, h.own, err = probe(ctx, s, &h.cfg); err != nil {
		s.end()
		return nil, err
	}
	path, err := chooseBinary(&h.cfg, h.arch)
	if err != nil {
		s.end()
		return nil, err
	}
	if err = h.enter(ctx, s, true); err != nil {
		s.end()
		if !errors.Is(err, ErrLost) && ctx.Err() == nil {
			return nil, err // the host refused to make the folder
		}
	} else {
		h.idle = s
		err = h.install(ctx, path)
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if left := h.Close(ctx); left != nil {
			err = errors.Join(err, left)
		}
		return nil, err
	}
	return h, nil
}

// Name returns the host as it was given.
func (h *Host) Name() string { return h.cfg.Host }

// Arch returns the architecture of the binary there, one of Arches.
func (h *Host) Arch() string { return h.arch }

// Machine identifies the machine until it starts anew, whatever name it was reached by: two Hosts of one machine
// disturb each other's measurements. It is a hash of the kernel's random boot_id in hexadecimal, so it tells nothing
// else of the machine; containers on one kernel have the same. It is "" if the host does not say.
func (h *Host) Machine() string { return h.own.machine }

// Dir returns the folder's absolute path on the host. It is the host's own text, for messages only.
func (h *Host) Dir() string { return clean(h.dir) }

// system is what a host says that it is.
type system struct {
	uname   string // for messages
	arch    string // one of Arches, or ""
	machine string // see Host.Machine
}

// probe asks the host what it is and returns the architecture to use.
func probe(ctx context.Context, s *session, cfg *Config) (arch string, own system, err error) {
	says, err := s.ask(ctx, "probe")
	if err != nil {
		return "", own, err
	}
	if len(says) != 5 {
		return "", own, faultf(cfg.Host, ErrUnsupported, "cannot read what it says of itself: %q",
			clean(strings.Join(says, "\n")))
	}
	kernel, uname, bits, sum := clean(says[0]), clean(says[1]), says[2], says[3]
	own = system{uname: uname, arch: hostArch(uname, bits), machine: machineID(says[4])}
	if kernel != "Linux" {
		return "", own, faultf(cfg.Host, ErrUnsupported, "runs %q; only Linux is supported", kernel)
	}
	if sum != "yes" {
		return "", own, faultf(cfg.Host, ErrUnsupported,
			"has no sha256sum to check copies: install coreutils or busybox there")
	}
	if cfg.Arch != "" {
		return cfg.Arch, own, nil
	}
	if own.arch == "" {
		return "", own, faultf(cfg.Host, ErrUnsupported,
			"no binary for its processor: uname -m says %q, and there are %s (choose one with --arch if it can run it)",
			uname, strings.Join(Arches, ", "))
	}
	if uname == "aarch64" && own.arch != "arm64" {
		cfg.note("%s: 64-bit kernel with a 32-bit userland: measures with the armv7 binary (--arch arm64 for the other)",
			cfg.Host)
	}
	return own.arch, own, nil
}

// machineID returns Host.Machine for a boot_id.
func machineID(bootID string) string {
	if !isBootID.MatchString(bootID) {
		return ""
	}
	sum := sha256.Sum256([]byte("pcaplab machine " + bootID))
	return hex.EncodeToString(sum[:8])
}

var isBootID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// hostArch returns the architecture for what uname -m and getconf LONG_BIT say, or "" if there is none.
func hostArch(machine, bits string) string {
	switch machine {
	case "x86_64":
		return "amd64" // the binary is static: a 32-bit userland does not matter
	case "aarch64":
		if bits == "32" {
			return "armv7"
		}
		return "arm64"
	case "armv7l", "armv8l":
		return "armv7"
	case "armv6l":
		return "armv6"
	}
	return ""
}

// enter goes to the folder in the session, after making it if wanted and needed.
func (h *Host) enter(ctx context.Context, s *session, create bool) error {
	flag := "0"
	if create {
		flag = "1"
	}
	says, err := s.ask(ctx, "at", h.cfg.Dir, h.folder, flag)
	var no *refusal
	if errors.As(err, &no) {
		where := fmt.Sprintf("folder %q", h.cfg.Dir)
		if h.cfg.Dir == "" {
			where = "the login folder"
		}
		switch no.code {
		case "nodir":
			hint := ""
			if strings.HasPrefix(h.cfg.Dir, "~") {
				hint = ` ("~" is not expanded: a relative path is below the login folder)`
			}
			return faultf(h.cfg.Host, ErrFolder, "there is no %s%s: make it there or choose another with --dir", where, hint)
		case "foreign":
			return faultf(h.cfg.Host, ErrFolder, "%s in %s is not a folder of this user's own: choose another with --dir",
				h.folder, where)
		case "gone":
			return faultf(h.cfg.Host, errGone, "its folder %s is gone (has the host restarted?)", h.Dir())
		}
		return faultf(h.cfg.Host, fileKind(no.text), "cannot use %s: %s; choose another with --dir", where, no.text)
	}
	if err != nil {
		return err
	}
	if len(says) == 0 || !strings.HasPrefix(says[0], "/") || !strings.HasSuffix(says[0], "/"+h.folder) {
		return faultf(h.cfg.Host, ErrFolder, "cannot read its folder's name: %q", clean(strings.Join(says, "\n")))
	}
	h.dir = says[0]
	h.noteStale(says[1:])
	return nil
}

var isFreshFolder = regexp.MustCompile(`^\.pcaplab\.[0-9a-f]{16}$`)

// noteStale tells of folders beside this one that earlier runs left when they were killed or the power failed. Nothing
// is removed: another run may be connecting again.
func (h *Host) noteStale(folders []string) {
	parent := strings.TrimSuffix(h.dir, h.folder)
	if clean(parent) != parent {
		return // it could not be typed
	}
	remove, count := "rm -rf", 0
	for _, name := range folders {
		if isFreshFolder.MatchString(name) {
			remove += " " + quote(parent+name)
			count++
		}
	}
	if count > 0 {
		h.cfg.note("%s: runs that were cut short have left %d of their folders in %s, and nothing runs there; unless "+
			"another run is just connecting again, remove them: %s", h.cfg.Host, count, parent, h.cfg.command(remove))
	}
}

// errGone is ErrFolder for a folder that was there.
var errGone = fmt.Errorf("%w: gone", ErrFolder)

// fileKind returns the cause for what a program on the host says of a file.
func fileKind(text string) error {
	if strings.Contains(text, "No space left") || strings.Contains(text, "quota exceeded") {
		return ErrNoSpace
	}
	return ErrFolder
}

// ask has one exchange with the host, connecting if needed. A connection that stood idle may have died since: then it
// connects once more. All requests bear being made twice. Needs h.mu.
func (h *Host) ask(ctx context.Context, lines ...string) (*session, []string, error) {
	reused := h.idle != nil
	s, err := h.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	says, err := s.ask(ctx, lines...)
	if reused && errors.Is(err, ErrLost) && ctx.Err() == nil {
		h.drop()
		if s, err = h.connect(ctx); err != nil {
			return nil, nil, err
		}
		says, err = s.ask(ctx, lines...)
	}
	var no *refusal
	if err != nil && !errors.As(err, &no) {
		h.drop()
	}
	return s, says, err
}

// connect returns a session in the folder. Needs h.mu.
func (h *Host) connect(ctx context.Context) (*session, error) {
	if h.idle != nil && h.idle.ended() {
		h.drop()
	}
	if h.idle == nil {
		s, err := h.dial(ctx)
		if err != nil {
			return nil, err
		}
		if err := h.enter(ctx, s, false); err != nil {
			s.end()
			return nil, err
		}
		h.idle = s
	}
	return h.idle, nil
}

// drop ends the idle session. Needs h.mu.
func (h *Host) drop() {
	if h.idle != nil {
		h.idle.end()
		h.idle = nil
	}
}

// Close ends what may still run on the host and removes the folder unless it is to be kept. If it cannot, the error
// says what is left where, and the command that removes it. After an interrupt ctx must be a fresh one.
func (h *Host) Close(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.drop()
	request := "remove"
	if h.cfg.Keep {
		if !h.stray {
			return nil
		}
		request = "end"
	}
	_, _, err := h.ask(ctx, request)
	if err == nil || errors.Is(err, errGone) {
		h.stray = false
		return nil
	}
	text := strings.TrimPrefix(err.Error(), h.cfg.Host+": ")
	if h.cfg.Keep {
		return faultf(h.cfg.Host, err, "the program may still run there: %s", text)
	}
	path := h.dir
	if path == "" {
		path = strings.TrimSuffix(h.cfg.Dir, "/") + "/" + h.folder
		if h.cfg.Dir == "" {
			path = "./" + h.folder
		} else if !strings.HasPrefix(path, "/") {
			path = "./" + path
		}
	}
	return faultf(h.cfg.Host, err, "the folder %s is left there: %s; to remove it: %s", clean(path), text,
		h.cfg.command("rm -rf "+quote(path)))
}

// command returns the ssh command for a person to type that runs the given one on the host; "" for a login.
func (c *Config) command(remote string) string {
	b := "ssh "
	if c.SSHConfig != "" {
		b += "-F " + quote(c.SSHConfig) + " "
	}
	b += c.Host
	if remote != "" {
		b += " " + quote(remote)
	}
	return b
}

// quote returns s as one word of a POSIX shell, readable and free of control characters.
func quote(s string) string {
	s = clean(s)
	if plain(s, "._-/:@+") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
