package cli

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/validation"
	"pcaplab/parse"
	"pcaplab/parse/model"
	"pcaplab/replay"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// measureFlags are shared by ceiling, sweep and trial.
type measureFlags struct {
	captureFlags
	edit      editFlags
	cachefile string
	settings  trial.Settings
	engines   []string
	sizes     string
	caches    []string
	workers   []int
	repeats   int
	trial     time.Duration
	output    string
	resume    string
	inProcess bool
	json      bool
	whole     bool // --json prints the records themselves
	failIf    string
	given     func(flag string) bool // whether the user gave it
	shard     shardFlag              // of ceiling and sweep
}

func (m *measureFlags) add(a *app, fs *pflag.FlagSet) {
	m.captureFlags.add(fs)
	engines := a.Default
	if len(engines) == 0 {
		for _, e := range a.Engines {
			engines = append(engines, e.Name)
		}
	}
	fs.StringSliceVar(&m.engines, "engines", engines, "parsers to measure, or all ('"+a.Name+" engines' lists them)")
	fs.StringSliceVar(&m.settings.Stages, "stages", nil, "work after the parser, in order: NAME or NAME=VALUE, as features,model=FILE:drop ('"+a.Name+" engines' lists it)")
	fs.StringVar(&m.sizes, "sizes", "", "resize frames first: RFC 2544 sizes with FCS, as 64,128,1518, or imix (default: as captured)")
	fs.StringVar(&m.settings.Queue, "queue", "", "queue before the parser: frames (1024), octets (2MiB) or a preset (see 'engines')")
	fs.StringVar(&m.settings.Pattern, "pattern", "constant", "arrivals: constant, poisson, burst:N, onoff:ON/OFF, ramp:FROM-TO/TIME, or recorded (scaled to the load)")
	fs.StringVar(&m.settings.Unit, "unit", "pps", "of loads: pps, or bit/s of wire octets")
	fs.StringVar(&m.settings.Clock, "clock", "", "warp (skips idle time), system (waits) or cpu (warp; service in CPU time of the thread) (default warp; of a ring feed system)")
	fs.StringVar(&m.settings.Feed, "feed", "virtual", "virtual (queue computed on the parser's thread) or ring (a second thread)")
	fs.IntVar(&m.settings.Batch, "batch", 0, "frames per clock reading at most; 1 is exact (0: by the queue)")
	fs.StringVar(&m.settings.Stamp, "stamp", stampDue, "time that stages see: due or capture (default due; capture where a model is a stage, whose vectors the load would change)")
	fs.Lookup("stamp").DefValue, m.given = "", fs.Changed
	fs.BoolVar(&m.settings.RepeatTimes, "repeat-times", false, "capture times repeat in each pass over the capture instead of going on")
	fs.BoolVar(&m.settings.MoveAddresses, "move-addresses", false, "each copy of the capture in memory gets addresses of its own")
	fs.StringVar(&m.settings.GOGC, "gogc", "", "GOGC of the measuring processes (default: as inherited)")
	fs.StringVar(&m.settings.Memory, "gomemlimit", "", "GOMEMLIMIT of the measuring processes (default: as inherited)")
	fs.StringSliceVar(&m.caches, "cache", []string{trial.CacheCold}, "where frames lie: cold (memory), hot (half of L2) or as-is; several to compare")
	fs.IntSliceVar(&m.workers, "workers", []int{1}, "parallel pipelines, flows dealt by five-tuple hash; several to compare")
	fs.IntVar(&m.repeats, "repeats", analysis.MinRepeats, "measure each cell so often, engines in turn")
	fs.DurationVar(&m.trial, "trial", time.Second, "duration of a trial")
	fs.StringVarP(&m.output, "output", "o", "", "results folder to make: records, CSV, charts")
	fs.StringVar(&m.resume, "resume", "", "go on with the study in this results folder; all other flags come from there, but --cachefile where that file was moved")
	fs.BoolVar(&m.inProcess, "in-process", false, "measure in this process, not in a fresh one for each cell and repeat")
	fs.BoolVar(&m.json, "json", false, "print results as JSON lines instead of a table")
	m.edit.add(fs, false)
	fs.StringVar(&m.cachefile, "cachefile", "", cachefileUsage)
	failIfVar(fs, &m.failIf, "exit 3 if true of any result, as 'ndr<20000', 'cost[direct]>100' or 'loss>0.1%'")
}

// modelStage is the stage that tells the class of vectors, which are of the times that stages see.
const modelStage = "model"

// Times that stages see.
const (
	stampDue     = string(replay.StampDue)
	stampCapture = string(replay.StampCapture)
)

// plan checks the flags that all measuring commands share.
func (m *measureFlags) plan(a *app) (trial.Plan, error) {
	p := trial.Plan{
		Engines: m.engines, Caches: m.caches, Workers: m.workers, Repeats: m.repeats, Trial: m.trial,
		Search: trial.SearchNone, Sizes: []string{trial.Captured}, EngineAlone: len(m.settings.Stages) > 0,
	}
	if slices.Equal(m.engines, []string{"all"}) {
		p.Engines = nil
		for _, e := range a.Engines {
			p.Engines = append(p.Engines, e.Name)
		}
	}
	m.settings.Seed = m.seed
	for _, stage := range m.settings.Stages {
		name, value, _ := strings.Cut(stage, "=")
		if name != modelStage {
			continue
		}
		if !m.given("stamp") {
			m.settings.Stamp = stampCapture
		}
		if i := slices.IndexFunc(a.Stages, func(k parse.StageKind) bool { return k.Name == name && k.File != nil }); i >= 0 {
			path := a.Stages[i].File(value)
			if opened, err := model.Open(path); err == nil && len(opened.Columns()) == 0 { // what cannot be opened is said where it is used
				a.note("%s: %s", path, validation.ByPosition(opened.Width()))
			}
		}
	}
	var err error
	if m.settings.Edits, err = m.edit.edits(); err != nil {
		return p, err
	}
	if m.sizes != "" {
		sizes, err := rewrite.ParseSizes(m.sizes)
		if err != nil {
			return p, usageError{err}
		}
		p.Sizes = nil
		for _, s := range sizes {
			p.Sizes = append(p.Sizes, s.Name)
		}
	}
	return p, nil
}

func (a *app) ceilingCommand() *cobra.Command {
	var m measureFlags
	var goals, searching string
	var sum time.Duration
	var width, exceed, maxLoad float64
	var quick, perClass bool
	var soak time.Duration
	c := &cobra.Command{
		Use:   "ceiling [flags] FILE...",
		Short: "Search the highest loads that each parser sustains",
		Long: `Measures, for every engine: the service ceiling (frames fed as fast as they are taken), its cost per packet, and by
search the highest loads that meet each goal: ndr (no drop) and pdr:RATIO (at most that share lost).

Defaults are for publication: trials of 1 s, loads judged on 21 s, 6 repeats in fresh processes, engines in turn. --quick
takes trials of 100 ms, 1 s sums, bounds of 2 % and 3 repeats: a first look, and the table says so.

--per-class takes one folder with a folder of captures for each class, as CIC-IoT-2023's PCAP or what 'dataset synth' makes, or synth:cic: a study
of each class by itself, from its first --packets packets (100000), and one table of them all: which class costs a parser most. --quick is then
of the goal ndr, sums of 300 ms and bounds of 5 %.` + shardHelp("some cells are measured, or with --per-class some classes,") + metricsHelp + soakHelp,
		Example: `  ` + a.Name + ` ceiling --quick synth:iot-1
  ` + a.Name + ` ceiling -o results --engines direct,gopacket-layers --sizes 64,512,1518 capture.pcapng
  ` + a.Name + ` ceiling --resume results
  ` + a.Name + ` ceiling --quick --synth DDoS-SYN_Flood:200000
  ` + a.Name + ` ceiling --stages features,model=forest.onnx:drop -o detector capture.pcapng
  ` + a.Name + ` ceiling --quick --per-class --engines direct,gopacket-layers -o classes cic-small
  ` + a.Name + ` ceiling --soak 10m --workers 4 -o soak capture.pcapng
  ` + a.Name + ` ceiling --shard 2/4 -o shards capture.pcapng     # then: ` + a.Name + ` merge shards -o results
  ` + a.Name + ` ceiling --quick --engines direct --fail-if 'ndr<1M' capture.pcap.gz`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notZero(c.Flags(), "trial", "repeats", "width"); err != nil {
				return err
			}
			plan, err := m.plan(a)
			if err != nil {
				return err
			}
			defaults := search.NDR()
			perClass = perClass || m.resume != "" && report.HoldsClasses(m.resume)
			if quick {
				plan.Quick = true
				first, within := time.Second, 0.02
				if perClass {
					first, within = 300*time.Millisecond, 0.05
					quickly(c.Flags(), "goal", func() { goals = "ndr" })
				}
				quickly(c.Flags(), "trial", func() { plan.Trial = 100 * time.Millisecond })
				quickly(c.Flags(), "sum", func() { sum = first })
				quickly(c.Flags(), "width", func() { width = within })
				quickly(c.Flags(), "repeats", func() { plan.Repeats = 3 })
			}
			if plan.Soak = soak; soak > 0 {
				plan.EngineAlone = false // what heats the board is the whole pipeline
				soakDefaults(c.Flags(), &plan, &sum, &width)
			}
			if searching == trial.SearchRFC2544 && !quick && soak == 0 {
				quickly(c.Flags(), "trial", func() { plan.Trial = time.Minute })
			}
			if sum < 0 {
				return usagef("--sum %v: want a positive duration", sum)
			}
			defaults.FinalTrialDuration, defaults.InitialTrialDuration = plan.Trial, plan.Trial
			defaults.DurationSum, defaults.Width, defaults.ExceedRatio = max(sum, plan.Trial), width, exceed
			if searching == trial.SearchNone {
				if c.Flags().Changed("goal") {
					return usagef("--search none searches no goal: leave out --goal %s, or --search", goals)
				}
			} else if plan.Goals, err = search.ParseGoals(goals, defaults); err != nil {
				return usageError{err}
			}
			plan.Search, plan.MaxLoad = searching, maxLoad
			m.settings.Width = width
			for i := range plan.Goals {
				g := &plan.Goals[i]
				m.settings.Width = min(m.settings.Width, g.Width)
				if searching == trial.SearchRFC2544 {
					g.ExceedRatio, g.DurationSum = 0, g.FinalTrialDuration
				}
			}
			if perClass {
				return m.perClassStudies(c, a, args, plan)
			}
			return m.study(c, a, args, plan)
		},
	}
	fs := c.Flags()
	m.add(a, fs)
	m.shard.add(fs, "the cells or, with --per-class, the classes")
	fs.StringVar(&goals, "goal", "ndr,pdr:0.5%", "loss goals: ndr, pdr:RATIO, rfc2544, tst009")
	fs.StringVar(&searching, "search", trial.SearchMLR, "mlrsearch, rfc2544 (bisection, one trial of 60 s a step), or none (closed loop only: service and cost)")
	fs.DurationVar(&sum, "sum", 21*time.Second, "trial time on which a load is judged")
	fs.Float64Var(&width, "width", search.DefaultWidth, "how close the bounds must come, relative")
	fs.Float64Var(&exceed, "exceed", 0.5, "share of the trial time that may miss the goal (0: none, as in RFC 2544)")
	fs.Float64Var(&maxLoad, "max-load", 0, "highest load to try (0: four times the service ceiling)")
	fs.BoolVar(&quick, "quick", false, "short trials for a first look")
	fs.BoolVar(&perClass, "per-class", false, "measure each class of a folder by itself and compare them; --packets is of each (default 100000)")
	fs.DurationVar(&soak, "soak", 0, soakUsage)
	return c
}

// notZero refuses a 0 that the user gave to flags for which it would be taken as their default.
func notZero(fs *pflag.FlagSet, names ...string) error {
	for _, name := range names {
		if f := fs.Lookup(name); f != nil && f.Changed && (f.Value.String() == "0" || f.Value.String() == "0s") {
			return usagef("--%s 0: want more than 0", name)
		}
	}
	return nil
}

// quickly applies a default of --quick unless the user set the flag.
func quickly(fs *pflag.FlagSet, name string, set func()) {
	if !fs.Changed(name) {
		set()
	}
}

func (a *app) sweepCommand() *cobra.Command {
	var m measureFlags
	var rates []string
	c := &cobra.Command{
		Use:   "sweep [flags] --rates LIST FILE...",
		Short: "Measure loss over a grid of loads, sizes and engines",
		Long: `Measures every engine at every load and size. Loads are numbers (k, M and G allowed) in the unit of --unit, multiples of
the service ceiling found just before, as 0.5x, or of the rate at which the capture was recorded, as 2r; FROM..TO/N spaces N
loads evenly on a logarithmic axis; FROM..TO is 8 of them, and 1x where it lies between.` + shardHelp("some cells are measured,") + metricsHelp,
		Example: `  ` + a.Name + ` sweep --rates 0.1x..3x/12 --engines direct,gopacket-eager synth:iot-1 -o sweep
  ` + a.Name + ` sweep --rates 10k,100k,1M --sizes 64,512,1518 --json capture.pcap`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := notZero(c.Flags(), "trial", "repeats"); err != nil {
				return err
			}
			plan, err := m.plan(a)
			if err != nil {
				return err
			}
			if plan.Rates, err = parseRates(rates); err != nil {
				return usageError{err}
			}
			if len(plan.Rates) == 0 && m.resume == "" {
				return usagef("no loads: --rates 10k,100k or 0.1x..2x/8")
			}
			m.settings.Width = search.DefaultWidth
			return m.study(c, a, args, plan)
		},
	}
	m.add(a, c.Flags())
	m.shard.add(c.Flags(), "the cells")
	c.Flags().StringSliceVar(&rates, "rates", nil, "loads: numbers, multiples of the service ceiling (0.5x) or of the recorded rate (2r), ranges FROM..TO or FROM..TO/N")
	return c
}

func (a *app) trialCommand() *cobra.Command {
	var m measureFlags
	var rate string
	c := &cobra.Command{
		Use:   "trial [flags] FILE...",
		Short: "Run one measurement and print its record",
		Long: `Feeds one engine at one load for one trial and prints what happened; --json prints the whole records (warm-up, closed
loop, and the trial). Without --rate, or with --rate 0, the feed is a closed loop: as fast as the parser takes.`,
		Example: `  ` + a.Name + ` trial --engines direct --rate 500k --trial 10s capture.pcap
  ` + a.Name + ` trial --engines gopacket-eager --rate 0.9x --pattern poisson --json synth:iot-1 | jq .result`,
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("engines") {
				m.engines = m.engines[:1]
			}
			if !c.Flags().Changed("repeats") {
				m.repeats = 1
			}
			if err := notZero(c.Flags(), "trial", "repeats"); err != nil {
				return err
			}
			plan, err := m.plan(a)
			if err != nil {
				return err
			}
			if m.settings.Passes > 0 && !c.Flags().Changed("cache") {
				plan.Caches = []string{trial.CacheAsIs}
			}
			if rate != "0" {
				if plan.Rates, err = parseRates([]string{rate}); err != nil {
					return usageError{err}
				}
			}
			m.settings.Width, m.whole = search.DefaultWidth, true
			return m.study(c, a, args, plan)
		},
	}
	m.add(a, c.Flags())
	for name, value := range map[string]string{"engines": "[" + m.engines[0] + "]", "repeats": "1"} {
		c.Flags().Lookup(name).DefValue = value
	}
	c.Flags().Lookup("cache").Usage += "; with --loop as-is by default"
	c.Flags().IntVar(&m.settings.Passes, "loop", 0, "end the trial after so many passes over the capture instead of by --trial (0: by --trial)")
	c.Flags().StringVar(&rate, "rate", "0", "load: a number, a multiple of the service ceiling (0.5x) or of the recorded rate (2r), or 0 for closed loop")
	return c
}

// parseRates reads loads as sweep takes them.
func parseRates(list []string) ([]trial.Rate, error) {
	var rates []trial.Rate
	for _, item := range list {
		from, rest, isRange := strings.Cut(item, "..")
		if !isRange {
			r, err := parseRate(item)
			if err != nil {
				return nil, err
			}
			rates = append(rates, r)
			continue
		}
		to, count, counted := strings.Cut(rest, "/")
		low, err := parseRate(from)
		if err != nil {
			return nil, err
		}
		high, err := parseRate(to)
		if err != nil {
			return nil, err
		}
		n, err := rangeLoads, error(nil)
		if counted {
			n, err = strconv.Atoi(count)
		}
		if err != nil || n < 2 || n > 1000 || low.OfService != high.OfService || low.OfRecorded != high.OfRecorded || low.Value >= high.Value {
			return nil, fmt.Errorf("load range %q: want FROM..TO or FROM..TO/N of one kind, rising, N from 2 to 1000, as 0.1x..3x/10", item)
		}
		for i := range n {
			v := low.Value * math.Pow(high.Value/low.Value, float64(i)/float64(n-1))
			if i == n-1 {
				v = high.Value
			}
			if last := len(rates) - 1; i > 0 && !counted && low.OfService && rates[last].Value < 1 && v > 1 { // the ceiling itself
				rates = append(rates, trial.Rate{Value: 1, OfService: true})
			}
			rates = append(rates, trial.Rate{Value: v, OfService: low.OfService, OfRecorded: low.OfRecorded})
		}
	}
	return rates, nil
}

// rangeLoads is how many loads a range has that does not say.
const rangeLoads = 8

func parseRate(s string) (trial.Rate, error) {
	number := strings.TrimSpace(s)
	factor := 1.0
	var r trial.Rate
	if number != "" {
		unit := number[len(number)-1]
		switch unit {
		case 'x':
			r.OfService = true
		case 'r':
			r.OfRecorded = true
		case 'k', 'K':
			factor = 1e3
		case 'M':
			factor = 1e6
		case 'G':
			factor = 1e9
		default:
			unit = 0
		}
		if unit != 0 {
			number = number[:len(number)-1]
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	r.Value = v * factor
	if err != nil || !(v > 0) || math.IsInf(r.Value, 0) {
		return trial.Rate{}, fmt.Errorf("load %q: want a number above 0 such as 20000 or 1.5M, 0.5x (of the service ceiling) or 2r (of the recorded rate)", s)
	}
	return r, nil
}
