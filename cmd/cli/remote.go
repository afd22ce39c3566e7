package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/cmd/remote"
)

// remoteCommands are the commands that can run on a board.
var remoteCommands = []string{"ceiling", "sweep", "trial", "calibrate", "board"}

func (a *app) remoteCommand() *cobra.Command {
	var r remotes
	c := &cobra.Command{
		Use:   "remote [flags] [USER@]HOST[,HOST...] COMMAND [flags] [FILE...]",
		Short: "Run a measuring command on a board, over ssh",
		Long: `Copies the right static binary and the captures to each host over your own ssh, measures there, shows progress here, and
brings the records back as they come: results folders, tables and --fail-if are on this machine. Nothing is left on the
host (but see --keep) and nothing need be installed there. COMMAND is ` + orList(remoteCommands) + `.

A HOST is what ssh takes: a name, an alias of your ssh_config, or ssh://USER@HOST:PORT. ssh is never asked for passwords:
install a key with ssh-copy-id first, and connect once by hand to accept the host's key. Several hosts measure at the same
time and give one table with a column for each; their folders are below the one of -o.

When a connection is lost, ` + a.Name + ` tries again for as long as --retry says and goes on where it was: trials that were finished
are not measured again. A study that was given up goes on with --resume.`,
		Example: `  ` + a.Name + ` remote pi@raspberrypi board
  ` + a.Name + ` remote pi@raspberrypi ceiling --quick synth:iot-1
  ` + a.Name + ` remote pi@zero2w,pi@pi4,pi@pi5 ceiling -o boards capture.pcap.zst
  ` + a.Name + ` remote pi@raspberrypi ceiling --resume results
  ` + a.Name + ` remote --ssh-config lab.ssh board7 calibrate -o board7.json`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.boards) > 0 {
				return usagef("remote within remote: name the hosts once, with commas")
			}
			if len(args) < 2 {
				return usagef("want a host and a command, as '%s remote pi@raspberrypi ceiling --quick synth:iot-1'", a.Name)
			}
			hosts, err := remote.ParseHosts(args[0])
			if err != nil {
				return usageError{err}
			}
			if !slices.Contains(remoteCommands, args[1]) {
				return usagef("%q does not run on a board: want %s", args[1], orList(remoteCommands))
			}
			return r.run(c.Context(), a, hosts, args[1:])
		},
	}
	fs := c.Flags()
	fs.SetInterspersed(false) // flags after HOST are the command's
	fs.StringVar(&r.cfg.SSHConfig, "ssh-config", "", "configuration file for ssh (default: your own)")
	fs.StringVar(&r.cfg.Dir, "dir", "", "folder on the host to work in, with space for the captures (default: the login folder)")
	fs.BoolVar(&r.cfg.Keep, "keep", false, "leave binary and captures in the folder .pcaplab on the host, for the next time")
	fs.StringVar(&r.cfg.Arch, "arch", "", "binary to copy: amd64, arm64, armv7 or armv6 (default: what the host's programs are)")
	fs.StringVar(&r.cfg.Binary, "binary", "", "file to copy as the binary (default: "+a.Name+"-linux-ARCH beside this program or in ../lib/"+a.Name+")")
	fs.DurationVar(&r.retry, "retry", 10*time.Minute, "after a lost connection try so long to connect again")
	return c
}

// orList writes words as "a, b or c".
func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// remotes are the boards of one command.
type remotes struct {
	cfg   remote.Config
	retry time.Duration
	stdin func() (string, error) // spools standard input, once, and returns the file's name

	mu       sync.Mutex
	machines map[string]string // remote.Host.Machine to the host that was there first
}

func (r *remotes) run(ctx context.Context, a *app, hosts, args []string) (err error) {
	if r.retry < 0 {
		return usagef("--retry %v: want a duration, or 0 to give up at once", r.retry)
	}
	if r.cfg.Arch != "" && !slices.Contains(remote.Arches, r.cfg.Arch) {
		return usagef("--arch %s: want %s", r.cfg.Arch, orList(remote.Arches))
	}
	r.machines = make(map[string]string)
	spooled := ""
	r.stdin = sync.OnceValues(func() (string, error) {
		name, err := a.spool(ctx)
		spooled = name
		return name, err
	})
	defer func() {
		if spooled != "" {
			err = errors.Join(err, os.Remove(spooled))
		}
	}()
	sub := *a // whose flags are those behind the hosts
	sub.via = "remote " + strings.Join(hosts, ",") + " "
	var sessions []*session
	for _, host := range hosts {
		s := &session{remotes: r, cfg: r.cfg}
		s.cfg.Host, s.cfg.Name, s.cfg.Version = host, a.Name, version()
		s.cfg.Note = func(format string, args ...any) { sub.note("%s: %s", host, fmt.Sprintf(format, args...)) }
		if len(hosts) == 1 {
			s.cfg.Progress = sub.copyBar()
		}
		sessions = append(sessions, s)
		sub.boards = append(sub.boards, place{name: host, bench: s})
	}
	root := sub.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err = root.ExecuteContext(ctx)
	var ends sync.WaitGroup
	closed := make([]error, len(sessions))
	for i, s := range sessions {
		ends.Go(func() { closed[i] = s.close() })
	}
	ends.Wait()
	return errors.Join(append([]error{err}, closed...)...)
}

// spool copies standard input to a file that the caller removes.
func (a *app) spool(ctx context.Context) (name string, err error) {
	f, err := os.CreateTemp("", a.Name+"-stdin-")
	if err != nil {
		return "", err
	}
	defer a.interruptible(ctx, []string{stdin}, func() { os.Remove(f.Name()) })()
	_, err = io.Copy(f, a.stdin)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("standard input: %w", err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// copyBar returns a function that shows how far copies are, each with a bar of its own.
func (a *app) copyBar() func(what string, done, total int64) {
	var b *bar
	last := ""
	return func(what string, done, total int64) {
		if b == nil || what != last {
			b, last = a.octetsBar("copying "+what), what
		}
		b.set(done, total)
		if done >= total {
			b.done()
			b = nil
		}
	}
}

// session is the bench that a board is.
type session struct {
	*remotes
	cfg  remote.Config
	host *remote.Host // nil until something must be there
}

func (s *session) open(ctx context.Context) error {
	if s.host != nil {
		return nil
	}
	host, err := remote.Open(ctx, s.cfg)
	if err != nil {
		return err
	}
	s.host = host
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := host.Machine(); id != "" {
		if other, known := s.machines[id]; known {
			s.cfg.Note("is the same machine as %s: the two disturb each other's measurements", other)
		} else {
			s.machines[id] = s.cfg.Host
		}
	}
	return nil
}

// closing is how long cleaning up on a host may take.
const closing = 30 * time.Second

// close removes what was copied to the host. It must also work when the command was interrupted.
func (s *session) close() error {
	if s.host == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return s.host.Close(ctx)
}

func (s *session) study(ctx context.Context, j *job, e *events) error {
	paths := make([]string, len(j.Sources))
	for i, src := range j.Sources {
		switch {
		case strings.HasPrefix(src.Name, synthPrefix):
			continue
		case src.Name == stdin:
			path, err := s.stdin()
			if err != nil {
				return err
			}
			paths[i] = path
		default:
			if _, err := os.Stat(src.Name); err != nil {
				return fmt.Errorf("on this machine: %w", err)
			}
			paths[i] = src.Name
		}
	}
	there := *j
	there.Sources, there.Done = slices.Clone(j.Sources), slices.Clone(j.Done)
	there.Header.StageFiles = slices.Clone(j.Header.StageFiles)
	return s.persist(ctx, func() error {
		if err := s.open(ctx); err != nil {
			return err
		}
		for i, path := range paths {
			if path == "" || there.Sources[i].File != j.Sources[i].File {
				continue // not a file, or there already
			}
			name, err := s.host.Put(ctx, path)
			if err != nil {
				return err
			}
			there.Sources[i].File = name
		}
		for i := range there.Header.StageFiles {
			here, copied := &j.Header.StageFiles[i], &there.Header.StageFiles[i]
			if copied.Path != here.Path {
				continue // there already
			}
			name, err := s.host.Put(ctx, here.Path)
			if err != nil {
				return err
			}
			copied.Path = name
		}
		return s.exchange(ctx, request{Job: &there}, func(v response) error {
			switch {
			case v.Ready != nil:
				files := there.Header.StageFiles // the answer may be of other names
				there.Header = v.Ready.Header
				there.Header.StageFiles, there.Header.Resizing = files, nil
				return e.ready(*v.Ready)
			case v.Resized != nil:
				e.resized(*v.Resized)
			case v.Record != nil:
				there.Done = append(there.Done, *v.Record)
				return e.record(*v.Record)
			case v.Progress != nil:
				e.progress(*v.Progress)
			}
			return nil
		})
	}, func() (int, string) { return len(there.Done), soakNote(&there) })
}

func (s *session) answer(ctx context.Context, q question) (answer json.RawMessage, err error) {
	err = s.persist(ctx, func() error {
		if err := s.open(ctx); err != nil {
			return err
		}
		return s.exchange(ctx, request{Question: &q}, func(v response) error {
			if v.Answer != nil {
				answer = v.Answer
			}
			return nil
		})
	}, func() (int, string) { return 0, "" })
	return answer, err
}

// persist tries again while the connection is what fails. Records that come in between begin the patience anew; stand
// returns their number, and what else to say of them.
func (s *session) persist(ctx context.Context, try func() error, stand func() (records int, also string)) error {
	begin := time.Now()
	had, _ := stand()
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		err := try()
		if err == nil || ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		lost := errors.Is(err, remote.ErrLost) || s.host != nil && errors.Is(err, remote.ErrUnreachable)
		if !lost {
			return err
		}
		records, also := stand()
		if records > had {
			begin, had, wait = time.Now(), records, time.Second
		}
		if time.Since(begin)+wait > s.retry {
			return fmt.Errorf("%w; gave up after %v", err, time.Since(begin).Round(time.Second))
		}
		s.cfg.Note("%v; %d records are here; trying again in %v", strings.TrimPrefix(err.Error(), s.cfg.Host+": "), records, wait)
		if also != "" {
			s.cfg.Note("%s", also)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// exchange sends a request to a fresh process on the host. An error of the connection is remote.ErrLost.
func (s *session) exchange(ctx context.Context, r request, take func(response) error) error {
	p, err := s.host.Start(ctx, "serve")
	if err != nil {
		return err
	}
	// The other side ends what it does when its input ends.
	stop := context.AfterFunc(ctx, func() { p.Stdin.Close() })
	defer stop()
	err = exchange(r, p.Stdin, p.Stdout, func(v response) error {
		if v.Note != "" {
			s.cfg.Note("%s", v.Note)
			return nil
		}
		return take(v)
	})
	p.Stdin.Close()
	late := time.AfterFunc(2*heartbeat, func() { p.Kill() })
	ended := p.Wait()
	late.Stop()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF) && ended == nil:
		return fmt.Errorf("the program on the host ended early: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ended
	}
	return err
}
