// Injectbench runs pcaplab replay and tcpreplay in turn over a veth pair of its own and judges both at the receiving end.
//
// The pair lies between two private network namespaces, without addresses, IPv6 and offloads; they vanish with the
// process. Sender and receiver are pinned to a CPU each. Captures are made from a seed. In each round every side of a case
// runs once, and the order is reversed from round to round. A figure is compared only where both sides of a round are
// kept: not where the machine stole time, or the sender was switched out, above a bound.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	var cfg config
	var only string
	flag.StringVar(&cfg.pcaplab, "pcaplab", "bin/pcaplab", "the `program` to judge")
	flag.StringVar(&cfg.peer, "peer", "tcpreplay", "the tcpreplay to compare with; the bars are for 4.4.3 of Debian")
	flag.StringVar(&cfg.newer, "tcpreplay", "", "a newer tcpreplay as well, built with AF_XDP: `path`")
	flag.StringVar(&cfg.dir, "dir", "", "folder for captures of up to 1.4 GB (default: "+shm+", so that no disk is written meanwhile)")
	flag.StringVar(&only, "cases", "", "only cases whose name matches this `regexp`")
	flag.IntVar(&cfg.rounds, "rounds", 7, "runs of each side")
	flag.BoolVar(&cfg.quick, "quick", false, "a tenth of the packets, 2 s instead of 10 s, 3 rounds unless -rounds is given: shows that it works")
	flag.BoolVar(&cfg.list, "list", false, "list the cases and what runs in them")
	flag.BoolVar(&cfg.control, "control", false, "run tcpreplay in pcaplab's place: its ratios to itself must be about 1")
	flag.BoolVar(&cfg.listen, "listen", false, "receive in top speed cases too, and take their times from the kernel")
	flag.BoolVar(&cfg.foreign, "foreign", false, "send to a MAC address that is not the receiver's: its stack drops such frames before it looks for a route, so more of the time is the sender's own")
	flag.BoolVar(&cfg.fifo, "fifo", false, "send under SCHED_FIFO, priority 1")
	flag.BoolVar(&cfg.json, "json", false, "runs and comparisons as JSON lines on standard output, tables on standard error")
	flag.IntVar(&cfg.txCPU, "tx-cpu", -1, "CPU of the sender (default: the last one allowed)")
	flag.IntVar(&cfg.rxCPU, "rx-cpu", -1, "CPU of the receiver and of all else here (default: the first one allowed)")
	flag.Float64Var(&cfg.maxSteal, "max-steal", 1, "drop a run with more stolen time on the two CPUs than this `percent` of its length; one tick is allowed")
	flag.Float64Var(&cfg.maxSwitches, "max-switches", 50, "drop a run whose sender is switched out more often a `second` than this against its will")
	flag.Parse()
	rounds := false
	flag.Visit(func(f *flag.Flag) { rounds = rounds || f.Name == "rounds" })
	if cfg.quick && !rounds {
		cfg.rounds = 3
	}
	err := cfg.choose(only, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "injectbench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, terminate)
	defer stop()
	err = cfg.run(ctx, os.Stdout, os.Stderr)
	if ctx.Err() != nil {
		err = errors.New("stopped")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "injectbench:", err)
		os.Exit(1)
	}
}

// shm is in memory on Linux.
const shm = "/dev/shm"

// errBroken is returned after a comparison in which a run of pcaplab failed, or lost or changed frames. A bar that is not
// met is printed and no error: times on a busy machine prove nothing.
var errBroken = errors.New("runs of pcaplab failed, or lost or changed frames")

// config is one run of the bench.
type config struct {
	pcaplab, peer, newer string
	dir                  string
	rounds               int
	quick, list          bool
	control              bool
	listen, fifo, json   bool
	foreign              bool
	txCPU, rxCPU         int
	maxSteal             float64
	maxSwitches          float64
	cases                []benchCase
}

// choose checks the flags and picks the cases.
func (c *config) choose(only string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("arguments %q: there are only flags", rest)
	}
	if c.rounds < 1 || c.maxSteal < 0 || c.maxSwitches < 0 {
		return fmt.Errorf("-rounds %d, -max-steal %v, -max-switches %v: want at least one round, and no bound below 0",
			c.rounds, c.maxSteal, c.maxSwitches)
	}
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-cases: %w", err)
	}
	all := c.allCases()
	for _, k := range all {
		if pattern.MatchString(k.name) {
			c.cases = append(c.cases, k)
		}
	}
	if len(c.cases) == 0 {
		var names []string
		for _, k := range all {
			names = append(names, k.name)
		}
		return fmt.Errorf("no case matches %q: there are %s", only, strings.Join(names, ", "))
	}
	return nil
}

func (c *config) run(ctx context.Context, stdout, stderr io.Writer) error {
	text := stdout
	if c.json {
		text = stderr
	}
	if c.list {
		writeList(text, c.cases)
		return nil
	}
	if err := c.findPrograms(ctx, text); err != nil {
		return err
	}
	if info, err := os.Stat(shm); c.dir == "" && err == nil && info.IsDir() {
		c.dir = shm
	}
	dir, err := os.MkdirTemp(c.dir, "injectbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := newLab(c)
	if err != nil {
		return err
	}
	defer l.close()
	fmt.Fprintf(text, "sender on CPU %d, receiver on CPU %d of %d; %s; veth, MTU %d; %d round(s), order reversed each time\n",
		l.txCPU, l.rxCPU, runtime.NumCPU(), schedule(c.fifo), mtu, c.rounds)
	fmt.Fprintf(text, "a run is dropped, and with it what it is compared with, above %v %% steal or %v involuntary switches of the sender a second (%v ms and %d are allowed to any)\n",
		c.maxSteal, c.maxSwitches, tick/1e6, startSwitches)
	made := newCaptures(dir)
	broken := false
	for i, k := range c.cases {
		for _, film := range k.captures {
			if err := made.make(ctx, film); err != nil {
				return err
			}
		}
		runs, err := c.runCase(ctx, l, made, k, stdout)
		if err != nil {
			return err
		}
		verdicts := k.judge(runs)
		if c.json {
			if err := writeJSON(stdout, verdicts); err != nil {
				return err
			}
		}
		if err := writeCase(text, k, runs, verdicts); err != nil {
			return err
		}
		for _, r := range runs {
			broken = broken || r.Ours && r.broken()
		}
		if err := made.drop(c.cases[i+1:]); err != nil {
			return err
		}
	}
	if broken {
		return errBroken
	}
	return nil
}

// findPrograms says which programs are compared. Without the peer, ours runs alone.
func (c *config) findPrograms(ctx context.Context, w io.Writer) error {
	for _, p := range []struct{ program, hint string }{
		{c.pcaplab, "run 'make build'"},
		{c.peer, "Debian: apt-get install tcpreplay"},
		{c.newer, "give the path of one"},
	} {
		if p.program == "" || c.control && p.program == c.pcaplab {
			continue
		}
		path, err := exec.LookPath(p.program)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		switch {
		case err == nil:
		case p.program == c.peer && !c.control:
			fmt.Fprintf(w, "skipped: no %s to compare with (%s)\n", p.program, p.hint)
			for i := range c.cases {
				k := &c.cases[i]
				k.sides = slices.DeleteFunc(k.sides, func(s side) bool { return s.argv[0] == p.program })
			}
			continue
		default:
			return fmt.Errorf("no %s to run (%s): %w", p.program, p.hint, err)
		}
		out, err := exec.CommandContext(ctx, path, "--version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s --version: %w: %s", path, err, lastLines(out))
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "version") {
				fmt.Fprintf(w, "%s: %s\n", path, strings.TrimSpace(line))
				break
			}
		}
		for i := range c.cases {
			for _, s := range c.cases[i].sides {
				if s.argv[0] == p.program {
					s.argv[0] = path
				}
			}
		}
	}
	return nil
}

// runCase runs every side once in each round.
func (c *config) runCase(ctx context.Context, l *lab, made *captures, k benchCase, stdout io.Writer) ([]record, error) {
	var runs []record
	for round := range c.rounds {
		for _, s := range inOrder(k.sides, round) {
			r, err := l.run(ctx, s, k, made)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", k.name, s.name, err)
			}
			r.Case, r.Side, r.Ours, r.Round = k.name, s.name, s.ours, round
			r.drop(c.maxSteal, c.maxSwitches)
			runs = append(runs, r)
			if c.json {
				if err := writeJSON(stdout, []record{r}); err != nil {
					return nil, err
				}
			}
		}
	}
	return runs, nil
}

// inOrder returns the sides, from the last to the first in every other round.
func inOrder(sides []side, round int) []side {
	order := slices.Clone(sides)
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

func schedule(fifo bool) string {
	if fifo {
		return "SCHED_FIFO 1"
	}
	return "no real-time priority"
}
