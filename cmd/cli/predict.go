package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/analysis/prediction"
	"pcaplab/analysis/report"
	"pcaplab/replay/external"
)

// predictFlags are those of pcaplab predict.
type predictFlags struct {
	board       string
	calibration string
	home        string
	engines     []string
	arch        string
	link        countFlag
	linkGiven   bool
	failIf      string
	json, csv   bool
}

func (a *app) predictCommand() *cobra.Command {
	var f predictFlags
	var names []string
	offered := choices{}
	for _, b := range prediction.Boards() {
		names = append(names, b.Name)
		offered.values = append(offered.values, b.Name+"\t"+b.Model+", "+b.Port.What)
	}
	c := &cobra.Command{
		Use:   "predict [flags] [RESULTS]",
		Short: "Say what is known of a parser on a board where it was not measured",
		Long: `Carries costs to a board that is not here, and prints a bracket for each: from how many to how many packets a second one core
parses, by which method, and the line rate of the board's port beside it. It never prints a single number: what was not measured on
a board is not known better than that.

--board NAME is a Raspberry Pi: ` + strings.Join(names, ", ") + `.
--calibration FILE is what '` + a.Name + ` calibrate -o FILE' made on the board: much narrower, for any board.
--home FILE is the same of this machine.
RESULTS is a folder of ceiling, sweep or trial made on this machine, or of 'scenarios run' (dpkt, Scapy, PyShark).

  --board alone                      the engines of this program: instructions * cycles per instruction / clock; of pi3b also the
                                     rows that a study published of Python sniffers
  --board RESULTS                    the engines of the results; their own stages and other parsers by what was measured beside them
  --calibration alone                what the board's own calibration measured
  --calibration --home RESULTS       each engine by the ratio of its two costs at that size and cache state; what the kit does
                                     not measure by ratios of micro-kernels

Costs are of the parser alone. Driver, kernel and copying of live frames come on top; only the published rows have them in. "limit" says what
comes first of these two: port, where its line rate is below the whole bracket; parser, where it is above; either, where it is within, or only
known to be at most so much (wifi, a slower bus). Brackets marked * rest on nothing that was measured on such a board, are wider than 3,
or have a note that speaks against them. With --csv the notes go to stderr.

--fail-if compares low and high (packets a second, the ends of the bracket) and headroom (low over line rate), of any engine or of one:
'headroom<1' is true if it is not sure that the parser keeps up with the port.`,
		Example: `  ` + a.Name + ` predict --board pi3b
  ` + a.Name + ` predict --board pi4b --engines direct,gopacket-layers --csv
  ` + a.Name + ` ceiling -o results capture.pcap && ` + a.Name + ` predict --board pi5 results
  ` + a.Name + ` remote pi@raspberrypi calibrate -o pi.json && ` + a.Name + ` calibrate -o home.json
  ` + a.Name + ` predict --calibration pi.json --home home.json results
  ` + a.Name + ` predict --calibration pi.json --json | jq '.predictions[] | {engine, method, low_pps, high_pps}'`,
		RunE: func(c *cobra.Command, args []string) error {
			f.linkGiven = c.Flags().Changed("link")
			return f.run(a, args)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.board, "board", "", "board to predict for, as pi3b; not needed where --calibration says which it is")
	fs.StringVar(&f.calibration, "calibration", "", "file that calibrate made on the board")
	fs.StringVar(&f.home, "home", "", "file that calibrate made on this machine")
	fs.StringSliceVar(&f.engines, "engines", nil, "engines to predict for; default: those of the results, or as ceiling's")
	fs.StringVar(&f.arch, "arch", "", "program on the board, where instructions count: arm64, armv7, armv6; default: the board's")
	fs.Var(&f.link, "link", "rate of the board's link in bit/s, as 100M; default: the board's port")
	failIfVar(fs, &f.failIf, "exit 3 if true, as 'headroom<1' or 'low[direct]<150k'")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	fs.BoolVar(&f.csv, "csv", false, "print a CSV row for each prediction")
	for name, complete := range map[string]cobra.CompletionFunc{
		"board": offered.complete,
		"arch":  choices{values: prediction.Architectures()}.complete,
		"link":  choices{values: []string{"100M", "1G"}}.complete,
	} {
		if err := a.offerFor(c, name, complete); err != nil {
			panic(err) // the flag does not exist
		}
	}
	c.ValidArgsFunction = once(func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return foldersWith(toComplete, report.HeaderFile, report.ScenarioFile)
	})
	return c
}

func (f *predictFlags) run(a *app, args []string) error {
	if len(args) > 1 {
		return usagef("want one results folder, or none")
	}
	if f.json && f.csv {
		return usagef("--json and --csv: give one")
	}
	if f.board == "" && f.calibration == "" {
		return usagef("which board? --board NAME (see '%s predict -h'), or --calibration FILE made on it", a.Name)
	}
	var condition analysis.Condition
	if f.failIf != "" {
		var err error
		if condition, err = analysis.ParseCondition(f.failIf); err != nil {
			return usagef("--fail-if: %w", err)
		}
		for _, l := range condition.Limits() {
			if !slices.Contains(predictionMetrics, l.Metric) {
				return usagef("--fail-if %s: unknown metric %q; there are %s", l.Comparison, l.Metric, strings.Join(predictionMetrics, ", "))
			}
		}
	}
	if f.linkGiven && f.link == 0 {
		return usagef("--link 0: no frame passes such a link: give its rate in bit/s, as 100M, or leave it out for the board's port")
	}
	q, err := f.question(a)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		if err := a.readForPrediction(args[0], &q); err != nil {
			return err
		}
	}
	if err := f.knownEngines(a, &q); err != nil {
		return err
	}
	if len(q.Engines) == 0 && q.Results == nil && q.Scenario == nil && q.Home == nil && q.There == nil {
		q.Engines = a.defaultEngines()
		if prediction.HasRows(q.Board) {
			q.Engines = append(q.Engines, "dpkt", "scapy", "pyshark")
		}
	}
	answer, err := prediction.Predict(q)
	switch {
	case errors.Is(err, prediction.ErrSame):
		return fmt.Errorf("--home %s and --calibration %s: %w; one must be made on the board: '%s remote HOST calibrate -o FILE'", f.home, f.calibration, err, a.Name)
	case errors.Is(err, prediction.ErrNoHome):
		return usagef("--calibration with results needs --home: '%s calibrate -o home.json' on this machine, then --home home.json", a.Name)
	case errors.Is(err, prediction.ErrArch):
		return usagef("--arch is for --board alone: %w", err)
	case err != nil:
		return err
	}
	if err := predictedEngines(condition, answer); err != nil {
		return err
	}
	switch {
	case f.json:
		err = report.WritePredictionJSON(a.stdout, answer)
	case f.csv:
		for _, n := range report.PredictionNotes(answer) {
			a.note("%s", n)
		}
		err = report.WritePredictionCSV(a.stdout, answer)
	default:
		err = report.WritePrediction(a.stdout, answer)
	}
	if err != nil || f.failIf == "" {
		return err
	}
	matches, err := condition.Check(predictionMeasures(answer))
	if err != nil {
		return fmt.Errorf("--fail-if: %w", err)
	}
	for _, m := range matches {
		a.note("%v", m)
	}
	if len(matches) > 0 {
		return errMissed
	}
	return nil
}

// knownEngines refuses --engines that are neither of this program, nor another program that it knows, nor of what was read.
func (f *predictFlags) knownEngines(a *app, q *prediction.Question) error {
	known := prediction.Engines()
	for _, e := range a.Engines {
		known = append(known, e.Name)
	}
	for _, p := range external.Programs() {
		known = append(known, p.Name)
	}
	if q.Results != nil {
		known = append(known, q.Results.Header.Plan.Engines...)
	}
	if q.Scenario != nil {
		known = append(known, q.Scenario.Header.Plan.Engines...)
	}
	for _, file := range []*calibration.File{q.There, q.Home} {
		if file != nil {
			known = append(known, file.Plan.Engines...)
		}
	}
	slices.Sort(known)
	for _, name := range f.engines {
		if name != "all" && !slices.Contains(known, name) {
			return usagef("--engines: no engine %q: there are %s", name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return nil
}

// predictedEngines refuses a condition on an engine that nothing is predicted of, before anything is printed.
func predictedEngines(c analysis.Condition, answer *prediction.Answer) error {
	var names []string
	for i := range answer.Predictions {
		if name := answer.Predictions[i].Engine; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, l := range c.Limits() {
		if l.Engine != "" && !slices.Contains(names, l.Engine) {
			return usagef("--fail-if %s: nothing is predicted of an engine %q; there are %s", l.Comparison, l.Engine, strings.Join(names, ", "))
		}
	}
	return nil
}

// defaultEngines are those that studies measure without --engines.
func (a *app) defaultEngines() []string {
	if len(a.Default) > 0 {
		return slices.Clone(a.Default)
	}
	var names []string
	for _, e := range a.Engines {
		names = append(names, e.Name)
	}
	return names
}

// question gathers what the flags name.
func (f *predictFlags) question(a *app) (prediction.Question, error) {
	q := prediction.Question{Arch: f.arch}
	if f.board != "" {
		b, err := prediction.FindBoard(f.board)
		if err != nil {
			return q, usagef("--board: %w", err)
		}
		q.Board = &b
	}
	if f.arch != "" && !slices.Contains(prediction.Architectures(), f.arch) {
		return q, usagef("--arch %s: instructions were counted for %s", f.arch, strings.Join(prediction.Architectures(), ", "))
	}
	if len(f.engines) > 0 && !slices.Contains(f.engines, "all") {
		q.Engines = f.engines
	} else if len(f.engines) > 0 {
		for _, e := range a.Engines {
			q.Engines = append(q.Engines, e.Name)
		}
	}
	if f.linkGiven {
		p := prediction.Ethernet(float64(f.link))
		p.What = report.FormatBits(float64(f.link)) + ", as --link says"
		q.Port = &p
	}
	for _, of := range []struct {
		path string
		file **calibration.File
	}{{f.calibration, &q.There}, {f.home, &q.Home}} {
		if of.path == "" {
			continue
		}
		file, err := calibration.ReadFile(of.path)
		if err != nil {
			return q, err
		}
		*of.file = file
	}
	return q, nil
}

// readForPrediction reads a results folder. One that machines that differ have measured says nothing of any one machine.
func (a *app) readForPrediction(path string, q *prediction.Question) error {
	if report.HoldsScenario(path) {
		header, records, err := report.ReadScenario(path)
		if err != nil {
			return err
		}
		q.Scenario = analysis.AnalyzeScenario(header, records)
		return nil
	}
	if report.HoldsLive(path) {
		return fmt.Errorf("%s holds a live run: predictions start from ceiling, sweep, trial or 'scenarios run'", path)
	}
	header, records, err := report.Read(path)
	if err != nil {
		return err
	}
	if len(header.Hosts) > 1 {
		for _, h := range header.Hosts {
			if len(h.Differs) > 0 {
				return fmt.Errorf("%s was measured on machines that differ (%s: %s): predictions start from one: measure it there", path, h.Name,
					strings.Join(h.Differs, "; "))
			}
		}
		a.note("%s was measured on %d machines of one kind: predictions take them for one", path, len(header.Hosts))
	}
	q.Results = analysis.Analyze(header, records)
	return nil
}

// predictionMetrics are the metrics of predictionMeasures.
var predictionMetrics = []string{"low", "high", "headroom"}

// predictionMeasures are what --fail-if compares.
func predictionMeasures(answer *prediction.Answer) []analysis.Measure {
	var list []analysis.Measure
	for i := range answer.Predictions {
		p := &answer.Predictions[i]
		add := func(metric string, v float64, why string) {
			where := p.Size
			if p.Cache != "" {
				where += ", " + p.Cache
			}
			where = fmt.Sprintf("%s, %s, of %s to %s", where, p.Method, report.FormatRate(p.LowPPS), report.FormatRate(p.HighPPS))
			list = append(list, analysis.Measure{Engine: p.Engine, Metric: metric, Where: where, Value: v, Why: why})
		}
		add("low", p.LowPPS, "")
		add("high", p.HighPPS, "")
		if p.LinePPS > 0 {
			add("headroom", p.LowPPS/p.LinePPS, "")
		} else {
			add("headroom", math.NaN(), "the port's line rate is not known: give --link")
		}
	}
	return list
}
