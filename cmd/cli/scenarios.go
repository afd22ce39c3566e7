package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/parse"
	"pcaplab/replay/external"
	"pcaplab/replay/meter"
	"pcaplab/replay/scenario"
)

// scenarioEngines are measured without --engines, as far as they are there.
var scenarioEngines = []string{"direct", "gopacket-layers", "dpkt", "scapy", "tshark", "pyshark"}

func (a *app) scenariosCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scenarios",
		Short: "Whole experiments: traffic row by row, into parsers of this program and others",
		Long: `A scenario is an experiment: rows of traffic, each fed to every engine at the row's rate, several times. Engines are parsers of this
program, or other programs that read a pcap stream: dpkt, Scapy, tshark and PyShark, or any other by --engine-cmd.

The seed scenarios are those of a public study of Python parsers on a Raspberry Pi 3B with iperf3 over a live network. Here
the same traffic comes from memory: every packet that was sent is known, and counts once.`,
		Example: `  ` + a.Name + ` scenarios list
  ` + a.Name + ` scenarios run --engines direct,dpkt --quick seed-bitrate
  ` + a.Name + ` scenarios run seed-bitrate --engines all -o bitrate
  ` + a.Name + ` scenarios show seed-bitrate --published --results bitrate
  ` + a.Name + ` scenarios show seed-length --explain`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("no command %q (see '%s -h')", args[0], c.CommandPath())
			}
			return c.Help()
		},
	}
	c.AddCommand(a.scenariosListCommand(), a.scenariosRunCommand(), a.scenariosShowCommand(), a.scenariosCaptureCommand())
	return c
}

func (a *app) scenariosListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the scenarios, and the programs that can be engines",
		Long: `Lists the scenarios that this program knows by name, and the other programs that it knows as engines: whether each is on this
machine, its version, and what to install where it is not.`,
		Example: `  ` + a.Name + ` scenarios list`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, args []string) error {
			type listed struct {
				Name    string  `json:"name"`
				Rows    int     `json:"rows"`
				Seconds float64 `json:"seconds"`
				Doc     string  `json:"doc"`
			}
			type program struct {
				Name    string `json:"name"`
				Version string `json:"version,omitempty"`
				Missing string `json:"missing,omitempty"`
				Doc     string `json:"doc"`
			}
			var out struct {
				Scenarios []listed  `json:"scenarios"`
				Programs  []program `json:"programs"`
			}
			t := report.Table{Columns: []report.Column{{Head: "scenario"}, {Head: "rows", Right: true}, {Head: "traffic", Right: true}, {Head: "what it sends"}}}
			for _, s := range scenario.Builtin() {
				l := listed{Name: s.Name, Rows: len(s.Rows), Doc: s.Doc}
				for i := range s.Rows {
					l.Seconds += s.Rows[i].Length().Seconds()
				}
				out.Scenarios = append(out.Scenarios, l)
				t.Add(report.Text(l.Name), report.Text(strconv.Itoa(l.Rows)), report.Text(report.FormatDuration(l.Seconds*1e9)), report.Text(l.Doc))
			}
			p := report.Table{Columns: []report.Column{{Head: "program"}, {Head: "version"}, {Head: "what it is"}}}
			for _, known := range external.Programs() {
				version, err := known.Find(c.Context())
				row := program{Name: known.Name, Version: version, Doc: known.Doc}
				text := version
				if err != nil {
					if c.Context().Err() != nil {
						return context.Cause(c.Context())
					}
					row.Missing, text = err.Error(), "missing"
					p.Notes = append(p.Notes, err.Error())
				}
				out.Programs = append(out.Programs, row)
				p.Add(report.Text(row.Name), report.Text(text), report.Text(row.Doc))
			}
			if asJSON {
				return json.NewEncoder(a.stdout).Encode(out)
			}
			if err := t.WriteText(a.stdout); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout)
			return p.WriteText(a.stdout)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the lists as JSON")
	return c
}

func (a *app) scenariosCaptureCommand() *cobra.Command {
	var row, output string
	var seed uint64
	c := &cobra.Command{
		Use:   "capture --row ROW [flags] SCENARIO",
		Short: "Write the traffic of a row as a capture",
		Long: `Writes what a row of a scenario sends as a pcap with nanoseconds, to look at it, or to feed it to other programs. The same seed gives
the same octets on every machine.`,
		Example: `  ` + a.Name + ` scenarios capture --row 'RS UDP 1 Mbit/s' seed-bitrate | tshark -r -
  ` + a.Name + ` scenarios capture --row '48 B at 5 Mbit/s' -o small.pcap seed-length`,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := findScenario(args)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(s.Rows, func(r scenario.Row) bool { return r.Name == row })
			if at < 0 {
				return usagef("--row %q: %s has no such row ('%s scenarios show' lists them)", row, s.Name, a.Name)
			}
			r := &s.Rows[at]
			if r.Kind == scenario.KindCapture {
				return usagef("--row %q is a capture already: %s", row, r.Capture)
			}
			src, err := r.Stream().Open(seed)
			if err != nil {
				return usageError{err}
			}
			frames, _, err := r.Packets()
			if err != nil {
				return err
			}
			return a.writeCapture(c.Context(), output, src, frames)
		},
	}
	fs := c.Flags()
	fs.StringVar(&row, "row", "", "name of the row")
	fs.StringVarP(&output, "output", "o", stdin, "file to write, - for standard output")
	fs.Uint64Var(&seed, "seed", 1, "of the traffic")
	err := a.offerFor(c, "row", func(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, s := range scenario.Builtin() {
			if len(args) > 0 && args[0] != s.Name {
				continue
			}
			for i := range s.Rows {
				names = append(names, s.Rows[i].Name)
			}
		}
		return withPrefix(names, "", toComplete), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag does not exist
	}
	return c
}

// scenarioFlags are the flags of scenarios run.
type scenarioFlags struct {
	plan   scenario.Plan
	sides  []string
	limit  time.Duration
	quick  bool
	output string
	resume string
	json   bool
}

func (a *app) scenariosRunCommand() *cobra.Command {
	var f scenarioFlags
	c := &cobra.Command{
		Use:   "run [flags] SCENARIO",
		Short: "Run a scenario: tables, CSV, charts, every trial as a record",
		Long: `Feeds each row's traffic to each engine and prints packets counted of those sent, CPU, memory and cost per packet. SCENARIO is a name
that 'scenarios list' shows, or a JSON file of your own ('scenarios show --json seed-ddos' prints one to begin with).

Parsers of this program run in a fresh process for each trial and, on the warp clock, skip the time in which nothing comes.
Other programs run in real time: start-up is left out of the trial, CPU and memory are those of the program and of all that
it starts. What is not on this machine is named and left out.

--engine-cmd 'NAME=CMD ARG...' adds a program that reads a pcap stream on standard input and prints how many packets it counted.
A row without a limit of its rate is also measured in closed loop: as fast as the engine takes the packets.`,
		Example: `  ` + a.Name + ` scenarios run --quick seed-bitrate
  ` + a.Name + ` scenarios run --engines all -o bitrate seed-bitrate
  ` + a.Name + ` scenarios run --side RS --traffic 2s --engines dpkt,scapy seed-bitrate
  ` + a.Name + ` scenarios run --engines direct,mine --engine-cmd 'mine=python3 count.py' my-scenario.json
  ` + a.Name + ` scenarios run --resume bitrate`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	fs := c.Flags()
	fs.StringSliceVar(&f.plan.Engines, "engines", scenarioEngines, "parsers of this program and other programs, or all ('scenarios list' and 'engines' list them)")
	fs.StringArrayVar(&f.plan.Commands, "engine-cmd", nil, "another program as an engine, 'NAME=CMD ARG...'; may be given several times")
	fs.StringSliceVar(&f.sides, "side", nil, "only rows of these sides, as LH or RS")
	fs.IntVar(&f.plan.Repeats, "repeats", analysis.MinRepeats, "run each trial so often, engines in turn")
	fs.DurationVar(&f.limit, "traffic", 0, "cut the traffic of each row to that, as 2s (0: whole)")
	fs.BoolVar(&f.quick, "quick", false, "traffic cut to 1 s and 2 repeats: a first look")
	fs.StringVar(&f.plan.Queue, "queue", "", "queue before every engine (default: what each has live, see METHOD.md; 'engines' lists presets)")
	fs.StringVar(&f.plan.Clock, "clock", "warp", "of this program's engines: warp (skips idle time), system (waits) or cpu")
	fs.Uint64Var(&f.plan.Seed, "seed", 1, "of the traffic")
	fs.StringVarP(&f.output, "output", "o", "", "results folder to make: records, tables, CSV, charts")
	fs.StringVar(&f.resume, "resume", "", "go on with the run in this results folder; all other flags come from there")
	fs.BoolVar(&f.plan.InProcess, "in-process", false, "run this program's engines in this process, not in a fresh one for each trial")
	fs.BoolVar(&f.json, "json", false, "print the results as JSON instead of tables")
	engines := a.flagChoices()["engines"]
	for _, p := range external.Programs() {
		engines.values = append(engines.values, p.Name+"\t"+p.Doc)
	}
	for name, complete := range map[string]cobra.CompletionFunc{
		"engines": engines.complete, "side": choices{pairs("LH", "loopback", "RS", "the sender", "RA", "the receiver of an attack"), true}.complete,
		"resume": completeRun,
	} {
		if err := a.offerFor(c, name, complete); err != nil {
			panic(err) // the flag does not exist
		}
	}
	return c
}

// findScenario returns a scenario by name or file.
func findScenario(args []string) (scenario.Scenario, error) {
	if len(args) != 1 {
		return scenario.Scenario{}, usagef("want one scenario: a name ('scenarios list'), or a JSON file")
	}
	s, err := scenario.Find(args[0])
	if errors.Is(err, fs.ErrNotExist) {
		var names []string
		for _, known := range scenario.Builtin() {
			names = append(names, known.Name)
		}
		return s, usagef("no scenario and no file %q: there are %s", args[0], strings.Join(names, ", "))
	}
	if err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// prepare makes the header of a new run.
func (f *scenarioFlags) prepare(c *cobra.Command, a *app, args []string) (scenario.Header, error) {
	var h scenario.Header
	s, err := findScenario(args)
	if err != nil {
		return h, err
	}
	if f.quick {
		quickly(c.Flags(), "repeats", func() { f.plan.Repeats = 2 })
		quickly(c.Flags(), "traffic", func() { f.limit = time.Second })
	}
	if f.limit < 0 {
		return h, usagef("--traffic %v: want a positive duration", f.limit)
	}
	if len(f.sides) > 0 {
		sides := map[string]bool{}
		for _, r := range s.Rows {
			sides[r.Side] = true
		}
		for _, side := range f.sides {
			if !sides[side] {
				return h, usagef("--side %s: %s has no rows of it", side, s.Name)
			}
		}
		s.Rows = slices.DeleteFunc(s.Rows, func(r scenario.Row) bool { return !slices.Contains(f.sides, r.Side) })
	}
	var shorter bool
	if f.plan.Scenario, shorter = s.Cut(f.limit); shorter {
		f.plan.LimitSeconds = f.limit.Seconds()
	}
	if slices.Equal(f.plan.Engines, []string{"all"}) {
		f.plan.Engines = nil
		for _, e := range a.Engines {
			f.plan.Engines = append(f.plan.Engines, e.Name)
		}
		for _, p := range external.Programs() {
			f.plan.Engines = append(f.plan.Engines, p.Name)
		}
	}
	for _, spec := range f.plan.Commands { // a command that is given is meant to be measured
		if p, err := external.Command(spec); err == nil && !slices.Contains(f.plan.Engines, p.Name) {
			f.plan.Engines = append(f.plan.Engines, p.Name)
		}
	}
	if !c.Flags().Changed("engines") { // a program of the user's own may have other parsers
		f.plan.Engines = slices.DeleteFunc(f.plan.Engines, func(name string) bool {
			return (name == "direct" || name == "gopacket-layers") && !slices.ContainsFunc(a.Engines, func(e parse.Engine) bool { return e.Name == name })
		})
	}
	if err := f.plan.Check(a.Engines); err != nil {
		return h, usageError{err}
	}
	return scenario.Header{Schema: scenario.Schema, Version: version(), Started: time.Now().UTC(), Plan: f.plan,
		Environment: meter.ReadEnvironment(meter.Roots{})}, nil
}

func (f *scenarioFlags) run(c *cobra.Command, a *app, args []string) (err error) {
	ctx := c.Context()
	run := scenario.Run{Engines: a.Engines}
	var folder *report.ScenarioFolder
	var records []scenario.Record
	defer func() {
		if folder != nil {
			err = errors.Join(err, folder.Close())
		}
	}()
	if f.resume != "" {
		if c.Flags().NFlag() > 1 || len(args) > 0 {
			if extra := f.beside(c, args); extra != "" {
				return usagef("%s with --resume: the run in %s has its settings", extra, f.resume)
			}
		}
		if folder, run.Header, records, err = report.ResumeScenario(f.resume); err != nil {
			return err
		}
		if run.Header.Version != version() {
			return fmt.Errorf("%s was begun by pcaplab %s; this is pcaplab %s: results of the two must not be pooled; start into a new folder",
				f.resume, run.Header.Version, version())
		}
		is := meter.ReadEnvironment(meter.Roots{})
		if err := sameMachine(&run.Header.Environment, &is); err != nil {
			return fmt.Errorf("%s: %w", f.resume, err)
		}
		run.Done = slices.Clone(records)
		a.note("resuming %s: %d records", f.resume, len(records))
	} else {
		if run.Header, err = f.prepare(c, a, args); err != nil {
			return err
		}
		if f.output != "" {
			if err := report.Check(f.output); err != nil {
				return err
			}
		}
	}
	if err := run.Begin(ctx); err != nil {
		return err
	}
	for _, m := range run.Header.Missing {
		a.note("left out: %s", m.Why)
	}
	if f.output != "" {
		if folder, err = report.CreateScenario(f.output, run.Header); err != nil {
			return err
		}
	}
	a.note("%s: %d rows, %d trials%s", run.Header.Plan.Scenario.Name, len(run.Header.Plan.Scenario.Rows), run.Left(), about(run.Expected()))
	failed := 0
	run.OnRecord = func(r *scenario.Record) error {
		if r.Failure != "" {
			failed++
		}
		records = append(records, *r)
		if folder == nil {
			return nil
		}
		return folder.Append(r)
	}
	bar := a.trialsBar()
	run.Progress = bar.set
	measureErr := run.Measure(ctx)
	bar.done()
	if failed > 0 {
		failure := fmt.Errorf("%d of the trials failed: see the table", failed)
		if folder != nil {
			failure = fmt.Errorf("%w; --resume tries them again", failure)
		}
		measureErr = errors.Join(measureErr, failure)
	}
	results := analysis.AnalyzeScenario(run.Header, records)
	if folder != nil && len(records) > 0 {
		if err := folder.Finish(results); err != nil {
			return errors.Join(measureErr, err)
		}
		a.note("results in %s", folder.Path())
		if measureErr != nil {
			a.note("'%s scenarios run --resume %s' goes on with it", a.Name, folder.Path())
		}
	}
	if len(records) == 0 {
		return measureErr
	}
	return errors.Join(measureErr, a.printScenario(results, f.json))
}

func (a *app) printScenario(s *analysis.Scenario, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(s)
	}
	return report.WriteScenario(a.stdout, s)
}

// beside names what was given beside --resume and does not go with it.
func (f *scenarioFlags) beside(c *cobra.Command, args []string) string {
	extra := slices.Clone(args)
	c.Flags().Visit(func(fl *pflag.Flag) {
		switch fl.Name {
		case "resume", "json", "quiet":
		default:
			extra = append(extra, "--"+fl.Name)
		}
	})
	return strings.Join(extra, ", ")
}

// about says how long something takes on the system clock at least.
func about(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return ", " + report.FormatDuration(float64(d)) + " of traffic in real time, and start-ups"
}

// trialsBar shows a run of a scenario, between trials only.
type trialsBar struct {
	begin time.Time
	from  float64 // share that an earlier run had done; negative: not known yet
	shown *progressbar.ProgressBar
}

func (a *app) trialsBar() *trialsBar {
	b := &trialsBar{begin: time.Now(), from: -1}
	if a.progress() {
		b.shown = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24), progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
	}
	return b
}

func (b *trialsBar) set(p scenario.Progress) {
	if b.shown == nil || p.Trials == 0 {
		return
	}
	// Time on the system clock says more than numbers of trials, where there is some.
	share := float64(p.Done) / float64(p.Trials)
	if p.Expected > time.Second {
		share = (share + 19*float64(p.Passed)/float64(p.Expected)) / 20
	}
	if b.from < 0 {
		b.from = share
	}
	text := fmt.Sprintf("%d/%d %s, %s #%d", min(p.Done+1, p.Trials), p.Trials, p.Row, p.Engine, p.Repeat)
	if elapsed := time.Since(b.begin); share > b.from && share < 1 && elapsed > time.Second {
		text += fmt.Sprintf(", %v left", time.Duration(float64(elapsed)*(1-share)/(share-b.from)).Round(time.Second))
	}
	b.shown.Describe(text)
	_ = b.shown.Set64(int64(1000 * share))
}

func (b *trialsBar) done() {
	if b.shown != nil {
		_ = b.shown.Finish()
	}
}
