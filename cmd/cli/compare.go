package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/comparison"
	"pcaplab/analysis/report"
)

// compareFlags are what both ways to compare share.
type compareFlags struct {
	metrics        []string
	alpha          float64
	failIf         string
	strict, force  bool
	json, csv, md  bool
	condition      *analysis.Condition
	run            bool
	runs           int
	timeout        time.Duration
	output, resume string
	measuring      *pflag.FlagSet // flags of ceiling that are passed on
	passed         []string       // those that the user gave, as they go to the programs
}

// passedOn notes what a flag is set to, in the user's words.
type passedOn struct {
	pflag.Value
	name string
	to   *[]string
}

func (p *passedOn) Set(s string) error {
	if err := p.Value.Set(s); err != nil {
		return err
	}
	*p.to = append(*p.to, "--"+p.name+"="+s)
	return nil
}

// notPassed are flags of ceiling that do not go to the programs of compare --run: it has its own, or they are of another kind of study.
var notPassed = []string{"output", "resume", "json", "fail-if", "repeats", "soak", "per-class", "shard"}

func (a *app) compareCommand() *cobra.Command {
	f := compareFlags{measuring: pflag.NewFlagSet("ceiling", pflag.ContinueOnError)}
	c := &cobra.Command{
		Use:   "compare [flags] OLD NEW",
		Short: "Show what changed between two results, or two programs",
		Long: `Puts the same cells of two results side by side: medians, the change with its interval, and the p-value of the Mann-Whitney test, exact up to
50 runs in all; the geometric mean over cells is formed in each run and compared likewise. "~" is no change that could be shown. A verdict
needs at least four runs of each side (repeats of 'ceiling' and 'sweep'), and says so where there are fewer.

OLD and NEW are results folders, marked unpaired: a machine that was slower that day looks like a slower program. With --run they are programs made
with ` + a.Name + ` ('self' is this one), measured in turn on the captures after them (default ` + compareTraffic + `): in each of --runs rounds both run once, in an
order drawn at random (by --seed, if given), as 'ceiling' with one repeat in processes of its own. All flags of ceiling but --repeats, --soak and --per-class go to both;
--search none measures only the closed loop, which is quick: its cost is of whole trials, cost-min of the
quickest part of each, which a busy machine spoils last. Results are kept in DIR/old and DIR/new with -o DIR: 'compare DIR' prints them again, and
--resume DIR goes on where an interrupted run was, with the programs that DIR names. To compare on a board, copy both programs there and run
compare there.

--fail-if is a gate on changes: 'ndr<-5%' (of any cell), 'cost[direct]>3%' (of an engine), 'geomean-ndr<-2%'; changes of loss are in points
('loss@1x>0.1%', 'loss>0'). It is true, exit code 3, where the change is significant and its estimate beyond the limit; p-values are adjusted (Holm)
so that, where nothing has changed, the chance of exit 3 is at most --alpha for all that the condition speaks of together. Where it was not shown to be true but
the interval reaches beyond the limit, a note says so; with --strict that is exit code 1. What a condition names is compared too, whatever --metric says.

What was not measured alike (captures, settings, goals) is refused, or compared and listed with --force; so is a gate on unfinished results, and
on parsers that refuse different packets. A gate on what some runs were too slow for is refused in any case. Other machines, kernels and versions are listed.`,
		Example: `  ` + a.Name + ` compare monday friday
  ` + a.Name + ` compare --run ./parser-old ./parser-new --quick -o change capture.pcapng
  ` + a.Name + ` compare --run ./parser-old ./parser-new --search none --runs 10 --engines mine --fail-if 'cost-min>3%' -- capture.pcapng
  ` + a.Name + ` compare --run ./old self --goal ndr --quick --fail-if 'ndr<-5%'
  ` + a.Name + ` compare --resume change
  ` + a.Name + ` compare --json monday friday | jq 'select(.kind == "change" and .shows == "worse")'`,
		RunE: func(c *cobra.Command, args []string) error { return f.compare(c, a, args) },
	}
	fs := c.Flags()
	fs.BoolVar(&f.run, "run", false, "OLD and NEW are programs: measure both in turn, on the captures after them")
	fs.IntVar(&f.runs, "runs", analysis.MinRepeats, "with --run: rounds, in each of which both programs run once; 4 at least")
	fs.StringVarP(&f.output, "output", "o", "", "with --run: results folder to make")
	fs.DurationVar(&f.timeout, "timeout", 0, "with --run: end a run that takes longer (default: ten times the longest before, 10m at least; the first is waited for)")
	fs.StringVar(&f.resume, "resume", "", "go on with the comparison in this folder")
	fs.StringSliceVar(&f.metrics, "metric", nil, "what to compare: ndr, pdr, service, cost, cost-min, cpu, allocs, instructions, peak, loss or all (default: goals, loss, cost, cost-min)")
	fs.Float64Var(&f.alpha, "alpha", comparison.DefaultAlpha, "chance of a false alarm: of each comparison, and of the whole of --fail-if")
	failIfVar(fs, &f.failIf, "exit 3 if a change is true, as 'ndr<-5%', 'cost[direct]>3%' or 'geomean-ndr<-2%'")
	fs.BoolVar(&f.strict, "strict", false, "exit 1 where --fail-if stays open: not shown, but not excluded either")
	fs.BoolVar(&f.force, "force", false, "compare what was not measured alike, and list in what it differs; answer --fail-if of unfinished results, or where parsers refuse different packets")
	fs.BoolVar(&f.json, "json", false, "print JSON lines instead of tables")
	fs.BoolVar(&f.csv, "csv", false, "print CSV")
	fs.BoolVar(&f.md, "markdown", false, "print Markdown")
	a.ceilingCommand().Flags().VisitAll(func(flag *pflag.Flag) {
		for _, name := range notPassed {
			if flag.Name == name {
				return
			}
		}
		flag.Hidden = true // see ceiling -h
		flag.Value = &passedOn{Value: flag.Value, name: flag.Name, to: &f.passed}
		f.measuring.AddFlag(flag)
	})
	fs.AddFlagSet(f.measuring)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		switch {
		case f.run && len(args) < 2:
			return nil, cobra.ShellCompDirectiveDefault
		case f.run:
			return completeCapture(c, args[2:], toComplete)
		case len(args) < 2:
			return completeFolder(c, args, toComplete)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// compareTraffic is what is measured where no capture is named.
const compareTraffic = synthPrefix + "iot-1"

// options are those of the flags.
func (f *compareFlags) options(rounds int) comparison.Options {
	o := comparison.Options{Alpha: f.alpha, Metrics: f.metrics, Force: f.force, Rounds: rounds}
	if f.condition != nil {
		for _, l := range f.condition.Limits() {
			o.Also = append(o.Also, l.Metric)
		}
	}
	return o
}

func (f *compareFlags) compare(c *cobra.Command, a *app, args []string) error {
	formats := 0
	for _, asked := range []bool{f.json, f.csv, f.md} {
		if asked {
			formats++
		}
	}
	if formats > 1 {
		return usagef("--json, --csv and --markdown: choose one")
	}
	if !(f.alpha > 0 && f.alpha < 1) {
		return usagef("--alpha %v: want a number above 0 and below 1, as %v", f.alpha, comparison.DefaultAlpha)
	}
	if f.timeout < 0 {
		return usagef("--timeout %v: want a time above 0", f.timeout)
	}
	if f.strict && f.failIf == "" {
		return usagef("--strict is of --fail-if")
	}
	if f.failIf != "" {
		condition, err := analysis.ParseCondition(f.failIf)
		if err != nil {
			return usagef("--fail-if: %w", err)
		}
		if err := comparison.Sensible(condition); err != nil {
			return usagef("--fail-if: %w", err)
		}
		f.condition = &condition
	}
	if f.run || f.resume != "" {
		return f.compareRuns(c, a, args)
	}
	var misplaced error
	fs := c.Flags()
	for _, name := range []string{"runs", "output", "timeout"} {
		if fs.Changed(name) {
			misplaced = usagef("--%s is of --run", name)
		}
	}
	f.measuring.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			misplaced = usagef("--%s is of --run: results that are there were measured already", flag.Name)
		}
	})
	if misplaced != nil {
		return misplaced
	}
	var of stored
	var err error
	switch len(args) {
	case 1:
		if of, err = a.readCompared(args[0]); err != nil {
			return err
		}
	case 2:
		dir := filepath.Dir(filepath.Clean(args[0]))
		if dir == filepath.Dir(filepath.Clean(args[1])) && filepath.Base(args[0]) == sideNames[0] && filepath.Base(args[1]) == sideNames[1] && holdsCompared(dir) {
			if of, err = a.readCompared(dir); err != nil {
				return err
			}
		}
		for i, path := range args {
			if of.sides[i], err = readSide(path); err != nil {
				return err
			}
		}
		if one, err := sameFolder(args[0], args[1]); err != nil {
			return err
		} else if one {
			of.doubts = append(of.doubts, "old and new are one folder: there can be no change")
		}
	default:
		return usagef("want two results folders, or --run and two programs (see '%s -h')", c.CommandPath())
	}
	compared, err := comparison.Compare(of.sides[0], of.sides[1], f.options(of.rounds))
	if err != nil {
		return f.refused(err)
	}
	compared.Warnings = append(compared.Warnings, of.doubts...)
	if of.unfinished != "" {
		compared.Unfinished = []string{of.unfinished} // and what to do
	}
	return f.show(a, compared)
}

func sameFolder(a, b string) (bool, error) {
	first, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second), err
}

// refused adds what to do.
func (f *compareFlags) refused(err error) error {
	var not *comparison.IncomparableError
	if errors.As(err, &not) && !f.force {
		return fmt.Errorf("%w; measure both alike, or compare them all the same with --force", err)
	}
	return err
}

// show prints a comparison, and tells whether the condition is true.
func (f *compareFlags) show(a *app, c *comparison.Comparison) error {
	var gate *comparison.Gate
	var failed error
	switch {
	case f.condition != nil && len(c.Unfinished) > 0 && !f.force:
		failed = fmt.Errorf("--fail-if: results are not whole: %s; finish them, or answer all the same with --force", strings.Join(c.Unfinished, "; "))
	case f.condition != nil:
		var err error
		if gate, err = c.Gate(*f.condition); err != nil {
			failed = fmt.Errorf("--fail-if: %w", err)
		}
	}
	if err := f.print(a.stdout, c, gate); err != nil {
		return err
	}
	if failed != nil || gate == nil {
		return failed
	}
	for i := range gate.True {
		a.note("%s", report.FormatFinding(gate, &gate.True[i]))
	}
	for i := range gate.Open {
		a.note("not shown, and not excluded: %s; more runs would tell", report.FormatFinding(gate, &gate.Open[i]))
	}
	switch {
	case len(gate.True) > 0:
		return errMissed
	case len(gate.Open) > 0 && f.strict:
		return fmt.Errorf("--fail-if stays open in %d of %d comparisons (--strict); take more runs", len(gate.Open), gate.Rows)
	}
	return nil
}

func (f *compareFlags) print(w io.Writer, c *comparison.Comparison, gate *comparison.Gate) error {
	switch {
	case f.json:
		return report.WriteComparisonJSON(w, c, gate)
	case f.csv:
		return report.WriteComparisonCSV(w, c)
	case f.md:
		return report.WriteComparisonMarkdown(w, c)
	}
	return report.WriteComparison(w, c)
}

// readSide reads a results folder, of a study or of a study for each class.
func readSide(path string) (comparison.Side, error) {
	side := comparison.Side{Name: path, Studies: make(map[string]comparison.Study)}
	switch {
	case report.HoldsScenario(path):
		return side, fmt.Errorf("%s holds results of a scenario: compare is for ceiling, sweep and trial", path)
	case report.HoldsLive(path):
		return side, fmt.Errorf("%s holds results of a live run: compare is for ceiling, sweep and trial", path)
	case report.HoldsClasses(path):
		classes, err := report.ReadClasses(path)
		if err != nil {
			return side, err
		}
		side.Hosts = classes.Header.Hosts
		for _, class := range classes.Header.Classes {
			header, records, err := report.Read(filepath.Join(path, class.Folder))
			if errors.Is(err, fs.ErrNotExist) {
				continue // not measured
			}
			if err != nil {
				return side, err
			}
			side.Studies[class.Name] = comparison.Study{Header: header, Records: records}
		}
		return side, nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return side, fmt.Errorf("%s is a file, not a results folder; to measure programs, add --run", path)
	}
	if holdsCompared(path) {
		return side, fmt.Errorf("%s holds a comparison: 'compare %s' prints it, and %s and %s are its sides", path, path, filepath.Join(path, "old"), filepath.Join(path, "new"))
	}
	header, records, err := report.Read(path)
	if err != nil {
		return side, err
	}
	side.Studies[""] = comparison.Study{Header: header, Records: records}
	return side, nil
}
