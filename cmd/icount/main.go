// Command icount counts the instructions that each built-in engine executes for a packet, on the processors of the boards
// and on amd64, and compares the counts with a golden table. The counts come from qemu-user, not from this machine: how
// fast or how busy it is does not move them, so a change of a percent is a change of the code.
//
//	go run ./cmd/icount            # compare with the golden table: exit code 1 if a count is not as it was
//	go run ./cmd/icount -update    # write the golden table anew, because the change is wanted
//
// Where programs that it needs are missing (Debian's qemu-user, which takes plugins, and gcc), it says so and succeeds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// errChanged says that counts are not those of the golden table.
var errChanged = errors.New("instructions per packet are not those of the golden table")

// controlPercent is how much more work the gate must notice: each time it runs, it shows that it does.
const controlPercent = 2

// confirmRuns is how often a count that is not as it was is repeated before it is judged.
const confirmRuns = 5

// guestArgument as the first argument makes the program a guest: engine, traffic and again follow.
const guestArgument = "guest"

func main() {
	if len(os.Args) == 5 && os.Args[1] == guestArgument {
		var again int
		_, err := fmt.Sscanf(os.Args[4], "%d", &again)
		if err == nil {
			err = guest(os.Args[2], os.Args[3], again)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "icount guest:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var cfg config
	flag.StringVar(&cfg.golden, "golden", "cmd/icount/testdata/golden.tsv", "table to compare with")
	flag.BoolVar(&cfg.update, "update", false, "write the table anew instead of comparing with it")
	flag.IntVar(&cfg.runs, "runs", 1, "count each cell so often, take the median, and tell the spread")
	flag.IntVar(&cfg.slower, "slower", 0, "percent of the frames to parse twice: what the gate must notice")
	engineList := flag.String("engines", "", "engines to count (default: all)")
	archList := flag.String("arch", "", "architectures to count on: arm64, armv7, armv6, amd64 (default: all)")
	trafficList := flag.String("traffic", "", "traffic to count with: "+strings.Join(trafficNames(), ", ")+" (default: all)")
	flag.Parse()
	err := cfg.selectCells(*engineList, *archList, *trafficList, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "icount:", err)
		os.Exit(2)
	}
	if err := cfg.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "icount:", err)
		os.Exit(1)
	}
}

// config is one run of the gate.
type config struct {
	golden  string
	update  bool
	runs    int
	slower  int
	archs   []architecture
	engines []string
	traffic []string
	all     bool // there is
}

func (c *config) selectCells(engineList, archList, trafficList string, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("arguments %q: there are only flags", rest)
	}
	if c.runs < 1 || c.slower < 0 || c.slower > 100 {
		return fmt.Errorf("-runs %d, -slower %d: want at least one run, and a slower of 0 to 100 percent", c.runs, c.slower)
	}
	c.all = engineList+archList+trafficList == ""
	if c.update && (!c.all || c.slower > 0) {
		return errors.New("-update writes the whole table of what is there: give it no -engines, -arch, -traffic or -slower")
	}
	var engineNames, archNames []string
	for _, e := range engines() {
		engineNames = append(engineNames, e.Name)
	}
	for _, a := range architectures {
		archNames = append(archNames, a.name)
	}
	var errs [3]error
	var archs []string
	c.engines, errs[0] = choose("engine", engineList, engineNames)
	archs, errs[1] = choose("architecture", archList, archNames)
	c.traffic, errs[2] = choose("traffic", trafficList, trafficNames())
	for _, a := range architectures {
		if slices.Contains(archs, a.name) {
			c.archs = append(c.archs, a)
		}
	}
	return errors.Join(errs[:]...)
}

// choose reads a list of names joined by commas; an empty one is all.
func choose(what, list string, names []string) ([]string, error) {
	if list == "" {
		return names, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("no %s %q: there are %s", what, name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// run prepares, counts, prints and judges.
func (c *config) run(ctx context.Context, w io.Writer) error {
	dir, err := os.MkdirTemp("", "icount-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	lab, skipped, err := newLab(ctx, dir, c.archs)
	if err != nil {
		return err
	}
	for _, why := range skipped {
		fmt.Fprintln(w, "skipped:", why)
	}
	if len(lab.archs) == 0 {
		if c.update {
			return errors.New("nothing could be counted, so nothing is updated")
		}
		return nil
	}
	if c.update && len(skipped) > 0 {
		return errors.New("-update needs every architecture: an update of some rows would hide that others are stale")
	}
	return c.judge(ctx, w, lab, len(skipped) == 0)
}

// judge counts, prints, and compares with the golden table or writes it; whole says that no architecture was skipped.
func (c *config) judge(ctx context.Context, w io.Writer, lab *lab, whole bool) error {
	started := time.Now()
	got := table{goVersion: lab.goVersion}
	var cells []cell
	for _, a := range lab.archs {
		for _, e := range c.engines {
			for _, t := range c.traffic {
				cells = append(cells, cell{a.name, e, t})
			}
		}
	}
	counts, err := lab.count(ctx, cells, c.runs, again(c.slower))
	if err != nil {
		return err
	}
	for i, key := range cells {
		got.rows = append(got.rows, row{key, median(counts[i])})
	}
	took := func() float64 { return time.Since(started).Seconds() }
	fmt.Fprintf(w, "instructions per packet, %s; %d cells, %d run(s), %.0f s\n", got.goVersion, len(cells), c.runs, took())
	if c.runs > 1 {
		writeSpreads(w, cells, counts)
	}
	got.writeMarkdown(w)
	fmt.Fprintln(w)
	if c.update {
		if err := got.write(c.golden); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s is written: commit it with the change that it is for\n", c.golden)
		return nil
	}
	want, err := readTable(c.golden)
	if err != nil {
		return err
	}
	changes := compare(want, got, c.all && whole)
	if minor(want.goVersion) != minor(got.goVersion) {
		writeChanges(w, changes)
		fmt.Fprintf(w, "not judged: the golden table is of %s, this is %s, and another compiler makes other instructions; "+
			"'make icount-update' with the new one\n", want.goVersion, got.goVersion)
		return nil
	}
	if changes, err = c.confirm(ctx, w, lab, want, changes); err != nil {
		return err
	}
	if len(changes) > 0 {
		writeChanges(w, changes)
		fmt.Fprintf(w, "if this is wanted, better or worse: 'make icount-update', and commit %s with the change\n", c.golden)
		return errChanged
	}
	fmt.Fprintf(w, "%d counts are those of %s, within %.1f %%, or %.1f %% where the engine allocates; %.0f s\n",
		len(cells), c.golden, tolerance("direct"), tolerance("gopacket-eager"), took())
	if c.slower > 0 {
		return nil
	}
	return c.control(ctx, w, lab, want)
}

// confirm counts what changed again, confirmRuns times, and returns what is changed by the median of these. A heap comes
// out another way once in some tens of runs, which costs an allocating engine a percent or two; a change of the code stays.
func (c *config) confirm(ctx context.Context, w io.Writer, lab *lab, want table, changes []change) ([]change, error) {
	var kept []change
	var cells []cell
	for _, c := range changes {
		if math.IsNaN(c.was) || math.IsNaN(c.is) {
			kept = append(kept, c)
		} else {
			cells = append(cells, c.cell)
		}
	}
	counts, err := lab.count(ctx, cells, confirmRuns, again(c.slower))
	if err != nil {
		return nil, err
	}
	var got table
	for i, key := range cells {
		got.rows = append(got.rows, row{key, median(counts[i])})
	}
	stay := compare(want, got, false)
	if n := len(cells) - len(stay); n > 0 {
		fmt.Fprintf(w, "%d counts were beyond tolerance in one run, and are not by the median of %d more\n", n, confirmRuns)
	}
	return append(kept, stay...), nil
}

// control counts one engine again on each architecture with more work, and fails if the gate does not notice.
func (c *config) control(ctx context.Context, w io.Writer, lab *lab, want table) error {
	var cells []cell
	for _, a := range lab.archs {
		cells = append(cells, cell{a.name, c.engines[0], c.traffic[0]})
	}
	counts, err := lab.count(ctx, cells, 1, again(controlPercent))
	if err != nil {
		return err
	}
	for i, key := range cells {
		got := table{goVersion: want.goVersion, rows: []row{{key, counts[i][0]}}}
		if len(compare(want, got, false)) == 0 {
			return fmt.Errorf("%v: the gate does not notice %d %% more work: it is of no use", key, controlPercent)
		}
	}
	fmt.Fprintf(w, "negative control: %s with every %dth frame parsed twice is noticed on %d architectures\n",
		c.engines[0], again(controlPercent), len(cells))
	return nil
}

// median returns the middle of counts, the higher one of two.
func median(counts []float64) float64 {
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[len(sorted)/2]
}

// again turns percent of the frames into each how manyth frame.
func again(percent int) int {
	if percent == 0 {
		return 0
	}
	return 100 / percent
}

// count counts each cell runs times, on all of this machine's processors.
func (l *lab) count(ctx context.Context, cells []cell, runs, again int) ([][]float64, error) {
	counts := make([][]float64, len(cells))
	errs := make([]error, len(cells))
	jobs := make(chan int)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range jobs {
				for range runs {
					n, err := l.run(ctx, cells[i], again)
					if err != nil {
						errs[i] = fmt.Errorf("%v: %w", cells[i], err)
						break
					}
					counts[i] = append(counts[i], n)
				}
			}
		}()
	}
	for i := range cells {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
	return counts, errors.Join(errs...)
}
