package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/comparison"
	"pcaplab/analysis/report"
	"pcaplab/datasets/flock"
	"pcaplab/replay/trial"
)

// comparePlanFile stands in a folder of compare --run, above the results folders of its sides.
const comparePlanFile = "compare.json"

// sideNames are the sides of a comparison, and the folders of their results.
var sideNames = [2]string{"old", "new"}

// comparePlan is what compare --run measures: all that decides its results but the clock of the machine.
type comparePlan struct {
	Schema   int         `json:"schema"` // of trial.Header
	Version  string      `json:"version"`
	Started  time.Time   `json:"started"`
	Programs [2]measured `json:"programs"` // old, new
	Runs     int         `json:"runs"`     // rounds
	Seed     uint64      `json:"seed"`     // of the order in the rounds; that of the traffic is in Flags
	Folder   string      `json:"folder"`   // that the programs run in
	Flags    []string    `json:"flags"`
	Captures []string    `json:"captures"`
}

// measured is a program that is measured.
type measured struct {
	Name   string      `json:"name"` // as the user gave it
	Path   string      `json:"path"`
	SHA256 string      `json:"sha256"`
	seen   os.FileInfo // of the file with this sum
}

// same wants the file to be what it was: a build during the comparison would put another program into the later runs.
func (m *measured) same() error {
	info, err := os.Stat(m.Path)
	if err != nil {
		return err
	}
	if m.seen != nil && os.SameFile(m.seen, info) && m.seen.Size() == info.Size() && m.seen.ModTime().Equal(info.ModTime()) {
		return nil
	}
	sum, err := sumOf(m.Path)
	if err != nil {
		return err
	}
	if sum != m.SHA256 {
		return fmt.Errorf("%s is not the program that the comparison began with: SHA-256 %s, was %s; put that one back, or start into a new folder", m.Path, sum, m.SHA256)
	}
	m.seen = info
	return nil
}

// oldFirst draws which program runs first in a round, from 1. Rounds go in pairs of opposite order, so that neither program is first more often,
// and a drift within rounds is the same for both.
func (p *comparePlan) oldFirst(round int) bool {
	coin := p.Seed + uint64(round-1)/2*0x9e3779b97f4a7c15 // SplitMix64
	coin = (coin ^ coin>>30) * 0xbf58476d1ce4e5b9
	coin = (coin ^ coin>>27) * 0x94d049bb133111eb
	return (coin^coin>>31)&1 == uint64(round)%2
}

func holdsCompared(path string) bool {
	_, err := os.Stat(filepath.Join(path, comparePlanFile))
	return err == nil
}

// stored is two sides that were measured before.
type stored struct {
	sides      [2]comparison.Side
	rounds     int      // whole in both sides, where they were interleaved
	unfinished string   // "" where all rounds are whole
	doubts     []string // for the user
}

// readCompared reads the folder of a comparison.
func (a *app) readCompared(path string) (of stored, err error) {
	text, err := os.ReadFile(filepath.Join(path, comparePlanFile))
	if errors.Is(err, fs.ErrNotExist) {
		return of, usagef("%s holds no comparison: want two results folders, or a folder that --run made", path)
	} else if err != nil {
		return of, err
	}
	var plan comparePlan
	if err := json.Unmarshal(text, &plan); err != nil {
		return of, fmt.Errorf("%s: %w", filepath.Join(path, comparePlanFile), err)
	}
	goOn := fmt.Sprintf("go on with '%s compare --resume %s'", a.Name, path)
	whole := [2][]int{}
	for i, name := range sideNames {
		of.sides[i], err = readSide(filepath.Join(path, name))
		if errors.Is(err, fs.ErrNotExist) {
			return of, fmt.Errorf("%s is unfinished: no run of %s is whole; %s", path, name, goOn)
		} else if err != nil {
			return of, err
		}
		of.sides[i].Name = plan.Programs[i].Name
		s := of.sides[i].Studies[""]
		whole[i] = wholeRuns(s.Header, s.Records)
	}
	for _, run := range whole[0] {
		if slices.Contains(whole[1], run) {
			of.rounds++
		}
	}
	if of.rounds < plan.Runs {
		of.unfinished = fmt.Sprintf("unfinished: %d of %d rounds are whole, with %d runs of old and %d of new; %s", of.rounds, plan.Runs, len(whole[0]), len(whole[1]), goOn)
	}
	return of, nil
}

// wholeRuns returns the runs of a study that have all their records.
func wholeRuns(header trial.Header, records []trial.Record) (runs []int) {
	header.Plan.Repeats = 1
	by := make(map[int][]trial.Record)
	for _, rec := range records {
		by[rec.Repeat] = append(by[rec.Repeat], rec)
	}
	for run, recs := range by {
		if analysis.Analyze(header, recs).Unfinished() == "" {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	return runs
}

// comparing is compare --run under way.
type comparing struct {
	*app
	plan    comparePlan
	path    string // of the folder
	sides   [2]comparison.Study
	folders [2]*report.Folder // nil until the first run of a side
	timeout time.Duration     // of a run, as the user gave it
	longest time.Duration     // of the runs so far
	// run measures a side once.
	run func(ctx context.Context, side int) (trial.Header, []trial.Record, error)
}

// compareRuns measures two programs in turn and compares them.
func (f *compareFlags) compareRuns(c *cobra.Command, a *app, args []string) error {
	w := &comparing{app: a, timeout: f.timeout}
	w.run = w.execute
	var kept *os.File
	if f.resume != "" {
		if err := f.onlyResume(c, args); err != nil {
			return err
		}
		w.path = f.resume
		if !holdsCompared(w.path) {
			return fmt.Errorf("%s holds no comparison that --run began (there is no %s)", w.path, comparePlanFile)
		}
	} else if err := f.newPlan(w, args); err != nil {
		return err
	}
	if w.path == "" {
		dir, err := os.MkdirTemp("", "compare-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		w.path = dir
	} else if f.resume == "" {
		if err := os.MkdirAll(w.path, 0o777); err != nil {
			return err
		}
		if entries, err := os.ReadDir(w.path); err != nil {
			return err
		} else if len(entries) > 0 {
			if holdsCompared(w.path) {
				return fmt.Errorf("%s holds a comparison already: go on with --resume %[1]s, or name another folder", w.path)
			}
			return fmt.Errorf("%s is not empty: name another folder", w.path)
		}
	}
	var err error
	if w.path, err = filepath.Abs(w.path); err != nil {
		return err
	}
	if kept, err = w.lock(); err != nil {
		return err
	}
	defer kept.Close()
	defer func() {
		for _, folder := range w.folders {
			if folder != nil {
				folder.Close()
			}
		}
	}()
	if err := w.take(); err != nil {
		return err
	}
	if err := f.enough(w.plan.Runs); err != nil {
		return err
	}
	compare := func(rounds int) (*comparison.Comparison, error) {
		sides := [2]comparison.Side{}
		for i := range sides {
			sides[i] = comparison.Side{Name: w.plan.Programs[i].Name, Studies: map[string]comparison.Study{"": w.sides[i]}}
		}
		return comparison.Compare(sides[0], sides[1], f.options(rounds))
	}
	if w.plan.Programs[0].SHA256 == w.plan.Programs[1].SHA256 {
		a.note("old and new are the same program: all that shows is noise")
	}
	rounds, runErr := w.measure(c.Context(), func() error { // after the first round: faults are found before hours of measuring
		compared, err := compare(1)
		if err != nil || f.condition == nil {
			return err
		}
		var unlike *comparison.UnlikeError
		switch err := compared.Check(*f.condition, w.plan.Runs); {
		case errors.As(err, &unlike):
			return fmt.Errorf("--fail-if: %w", err)
		case err != nil:
			return usagef("--fail-if: %w", err)
		}
		return nil
	})
	var usage usageError
	if errors.As(runErr, &usage) && w.folders == [2]*report.Folder{} { // the folder would only stand in the way of better flags
		kept.Close()
		return errors.Join(runErr, os.Remove(filepath.Join(w.path, comparePlanFile)))
	}
	if runErr != nil {
		if f.output != "" || f.resume != "" {
			a.note("%d of %d rounds are in %s; go on with '%s compare --resume %[3]s'", rounds, w.plan.Runs, cmp.Or(f.resume, f.output), a.Name)
		}
		return f.refused(runErr)
	}
	compared, err := compare(rounds)
	if err != nil {
		return f.refused(err)
	}
	if f.output != "" || f.resume != "" {
		if err := w.finish(compared); err != nil {
			return err
		}
		a.note("results in %s", cmp.Or(f.resume, f.output))
	}
	return f.show(a, compared)
}

// enough wants runs that can give a verdict.
func (f *compareFlags) enough(runs int) error {
	if need := comparison.Need(f.alpha); runs < need {
		return usagef("%d runs of each side give no verdict at alpha %v: take --runs %d or more", runs, f.alpha, need)
	}
	return nil
}

// onlyResume refuses what a comparison that goes on has in its folder.
func (f *compareFlags) onlyResume(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("--resume %s: programs and captures are those that it was begun with", f.resume)
	}
	for _, name := range []string{"output", "runs"} {
		if c.Flags().Changed(name) {
			return usagef("--resume %s: --%s is as it was begun", f.resume, name)
		}
	}
	if len(f.passed) > 0 {
		return usagef("--resume %s: %s is as it was begun", f.resume, f.passed[0])
	}
	return nil
}

// newPlan fills in the plan of a new comparison.
func (f *compareFlags) newPlan(w *comparing, args []string) error {
	if len(args) < 2 {
		return usagef("--run: want two programs, OLD and NEW, and captures after them")
	}
	if f.runs > maxCompareRuns {
		return usagef("--runs %d: want at most %d", f.runs, maxCompareRuns)
	}
	if err := f.enough(f.runs); err != nil {
		return err
	}
	captures := args[2:]
	if slices.Contains(captures, stdin) {
		return usagef("--run reads captures anew in each run: %s cannot be read twice; name a file", stdin)
	}
	synthetic, err := f.measuring.GetString("synth")
	if err == nil && synthetic != "" && len(captures) > 0 {
		return usagef("--synth %s stands alone: it cannot be joined with %s", synthetic, captures[0])
	}
	if len(captures) == 0 && synthetic == "" {
		captures = []string{compareTraffic}
	}
	p := &w.plan
	*p = comparePlan{Schema: trial.Schema, Version: version(), Started: time.Now().UTC(), Runs: f.runs, Flags: f.passed, Captures: captures}
	if f.measuring.Changed("seed") {
		if p.Seed, err = f.measuring.GetUint64("seed"); err != nil {
			return err
		}
	} else {
		p.Seed = drawSeed()
	}
	if p.Folder, err = os.Getwd(); err != nil {
		return err
	}
	for i, name := range args[:2] {
		if p.Programs[i], err = findProgram(name); err != nil {
			return usagef("%s: %w", strings.ToUpper(sideNames[i]), err)
		}
	}
	w.path = f.output
	return nil
}

const maxCompareRuns = 1000

// drawSeed draws the order of rounds anew for each comparison: one order for all of them would be a flaw that all share.
func drawSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// findProgram finds a program: this one, a file, or a command.
func findProgram(name string) (measured, error) {
	m := measured{Name: name}
	var err error
	switch info, statErr := os.Stat(name); {
	case name == "self":
		m.Path, err = os.Executable()
	case statErr == nil && info.IsDir():
		return m, fmt.Errorf("%s is a folder, not a program; results folders are compared without --run", name)
	case statErr == nil:
		m.Path, err = filepath.Abs(name)
	default:
		if m.Path, err = exec.LookPath(name); err == nil {
			m.Path, err = filepath.Abs(m.Path)
		}
	}
	if err != nil {
		return m, err
	}
	if m.seen, err = os.Stat(m.Path); err != nil {
		return m, err
	}
	m.SHA256, err = sumOf(m.Path)
	return m, err
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// lock keeps other processes out of the folder. It writes the plan of a new comparison, or reads that of one that goes on.
func (w *comparing) lock() (*os.File, error) {
	name := filepath.Join(w.path, comparePlanFile)
	file, err := flock.Open(name)
	if errors.Is(err, flock.ErrHeld) {
		return nil, fmt.Errorf("%s: another process is comparing into this folder; wait for it, or name another folder", w.path)
	} else if err != nil {
		return nil, err
	}
	if w.plan.Runs > 0 {
		e := json.NewEncoder(file)
		e.SetIndent("", "  ")
		err = errors.Join(e.Encode(&w.plan), file.Sync())
	} else if err = json.NewDecoder(file).Decode(&w.plan); err != nil {
		err = fmt.Errorf("%s: %w; the comparison was ended before it began: start into a new folder", name, err)
	} else {
		err = w.unchanged(name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// unchanged wants the programs of a plan to be what they were.
func (w *comparing) unchanged(name string) error {
	if w.plan.Schema != trial.Schema {
		return fmt.Errorf("%s: schema %d; this version reads %d", name, w.plan.Schema, trial.Schema)
	}
	if w.plan.Runs < 1 || w.plan.Runs > maxCompareRuns {
		return fmt.Errorf("%s: %d runs: want 1 to %d", name, w.plan.Runs, maxCompareRuns)
	}
	for i := range w.plan.Programs {
		if err := w.plan.Programs[i].same(); err != nil {
			return fmt.Errorf("%s: %w", sideNames[i], err)
		}
	}
	return nil
}

// take takes up what was measured. Of a run that was cut when it was written, what is there is removed.
func (w *comparing) take() error {
	left, _ := filepath.Glob(filepath.Join(w.path, ".run-*"))
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for i, name := range sideNames {
		path := filepath.Join(w.path, name)
		header, records, err := report.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		whole := wholeRuns(header, records)
		kept := slices.DeleteFunc(slices.Clone(records), func(r trial.Record) bool { return !slices.Contains(whole, r.Repeat) })
		if len(kept) < len(records) {
			err := report.WriteFile(filepath.Join(path, report.RecordsFile), func(out io.Writer) error {
				e := json.NewEncoder(out)
				for i := range kept {
					if err := e.Encode(&kept[i]); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if w.folders[i], header, kept, err = report.Resume(path); err != nil {
			return err
		}
		w.sides[i] = comparison.Study{Header: header, Records: kept}
	}
	return nil
}

// measure runs what is missing, and calls first after the first round that has both sides. It returns how many rounds are whole.
func (w *comparing) measure(ctx context.Context, first func() error) (rounds int, err error) {
	var whole [2][]int
	total := 0
	for i := range whole {
		if w.folders[i] != nil {
			whole[i] = wholeRuns(w.sides[i].Header, w.sides[i].Records)
		}
		total += len(whole[i])
	}
	if total > 0 {
		w.note("resuming %s: %d of %d runs", w.path, total, 2*w.plan.Runs)
	}
	bar := w.countBar("comparing")
	defer bar.done()
	checked := false
	for round := 1; round <= w.plan.Runs; round++ {
		order := [2]int{1, 0}
		if w.plan.oldFirst(round) {
			order = [2]int{0, 1}
		}
		for _, side := range order {
			bar.set(int64(total), int64(2*w.plan.Runs))
			if slices.Contains(whole[side], round) {
				continue
			}
			if err := w.once(ctx, side, round); err != nil {
				return rounds, err
			}
			total++
		}
		rounds++
		if !checked {
			if err := first(); err != nil {
				return rounds, err
			}
			checked = true
		}
	}
	bar.set(int64(total), int64(2*w.plan.Runs))
	return rounds, nil
}

// once measures a side once, and keeps what came of it.
func (w *comparing) once(ctx context.Context, side, round int) error {
	named := func(err error) error {
		return fmt.Errorf("%s (%s), run %d: %w", sideNames[side], w.plan.Programs[side].Name, round, err)
	}
	if err := w.plan.Programs[side].same(); err != nil {
		return named(err)
	}
	began := time.Now()
	header, records, err := w.run(ctx, side)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err = errors.Join(err, w.plan.Programs[side].same()); err != nil {
		return named(err)
	}
	w.longest = max(w.longest, time.Since(began))
	if len(wholeRuns(header, records)) != 1 {
		return named(errors.New("the results are not of one whole run"))
	}
	for i := range records {
		records[i].Repeat = round
	}
	header.Plan.Repeats = w.plan.Runs
	if w.folders[side] == nil {
		if w.folders[side], err = report.Create(filepath.Join(w.path, sideNames[side]), header); err != nil {
			return named(err)
		}
		w.sides[side].Header = header
	} else {
		var not *comparison.IncomparableError
		if errors.As(comparison.Alike(&w.sides[side].Header, &header), &not) {
			not.Old, not.New = "the first run of "+sideNames[side], "this one"
			return named(errors.New(not.Error())) // --force is of the two sides
		}
		if err := sameMachine(&w.sides[side].Header.Environment, &header.Environment); err != nil {
			return named(fmt.Errorf("this run is not like the first of %s: %w", sideNames[side], err))
		}
	}
	for i := range records {
		if err := w.folders[side].Append(records[i]); err != nil {
			return named(err)
		}
	}
	w.sides[side].Records = append(w.sides[side].Records, records...)
	return nil
}

// execute runs a program in a process of its own and reads the results folder that it makes.
func (w *comparing) execute(ctx context.Context, side int) (header trial.Header, records []trial.Record, err error) {
	dir, err := os.MkdirTemp(w.path, ".run-")
	if err != nil {
		return header, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	results := filepath.Join(dir, "results")
	args := append([]string{"ceiling", "--quiet", "--repeats=1", "--output=" + results}, w.plan.Flags...)
	args = append(append(args, "--"), w.plan.Captures...)
	program := w.plan.Programs[side].Path
	limit := w.limit()
	within := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	cmd := exec.CommandContext(within, program, args...)
	cmd.Dir = w.plan.Folder
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = compareWaitDelay
	said := &tail{}
	cmd.Stderr = said
	asMeasured(cmd)
	runtime.LockOSThread() // whose end would be taken for that of this process
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if cmd.Process != nil {
			endMeasured(cmd) // what it started would disturb the next run
		}
		if within.Err() != nil && ctx.Err() == nil {
			return header, nil, fmt.Errorf("'%s ceiling' took longer than %v (--timeout) and was ended: %s", program, limit, said)
		}
		if errors.Is(err, exec.ErrWaitDelay) {
			return header, nil, fmt.Errorf("'%s ceiling' ended, but a process that it started still held its standard error %v later: %s", program, cmd.WaitDelay, said)
		}
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return header, nil, err
		}
		err := fmt.Errorf("'%s ceiling' ended with %v: %s", program, exit, said)
		if exit.ExitCode() == ExitUsage && w.folders[side] == nil { // its first run: a flag that it does not take
			return header, nil, usageError{err}
		}
		return header, nil, err
	}
	header, records, err = report.Read(results)
	if errors.Is(err, fs.ErrNotExist) {
		return header, nil, fmt.Errorf("'%s ceiling' ended well, but made no results folder: is it a program made with this one's command line?", w.plan.Programs[side].Path)
	}
	return header, records, err
}

// compareWaitDelay is how long a program that is to end may take. A test has it shorter.
var compareWaitDelay = 20 * time.Second

// limit is how long a run may take; 0: without end.
func (w *comparing) limit() time.Duration {
	switch {
	case w.timeout > 0:
		return w.timeout
	case w.longest > 0:
		return max(10*time.Minute, 10*w.longest)
	}
	return 0
}

// finish writes what people look at into the folders.
func (w *comparing) finish(c *comparison.Comparison) error {
	for i, folder := range w.folders {
		if err := folder.Finish(analysis.Analyze(w.sides[i].Header, w.sides[i].Records)); err != nil {
			return err
		}
	}
	if err := report.WriteFile(filepath.Join(w.path, "compare.txt"), func(out io.Writer) error { return report.WriteComparison(out, c) }); err != nil {
		return err
	}
	return report.WriteFile(filepath.Join(w.path, "compare.csv"), func(out io.Writer) error { return report.WriteComparisonCSV(out, c) })
}

// tail keeps the end of what is written.
type tail struct{ kept []byte }

const tailOctets = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - tailOctets; over > 0 {
		t.kept = bytes.Clone(t.kept[over:])
	}
	return len(b), nil
}

// String is fit for a terminal.
func (t *tail) String() string {
	kept := t.kept
	for i := 0; i < utf8.UTFMax-1 && len(kept) > 0 && !utf8.RuneStart(kept[0]); i++ { // the rest of a rune that was cut
		kept = kept[1:]
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(string(kept), string(utf8.RuneError)))
	return cmp.Or(strings.TrimSpace(text), "it said nothing")
}
