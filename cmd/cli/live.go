package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/replay/inject"
	"pcaplab/replay/live"
	"pcaplab/replay/meter"
	"pcaplab/replay/netlab"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// liveFlags are the flags of live.
type liveFlags struct {
	captureFlags
	edit      editFlags
	cachefile string
	plan      live.Plan
	rates     []string
	goal      string
	sum       time.Duration
	width     float64
	exceed    float64
	ring      octetsFlag
	block     octetsFlag
	quick     bool
	output    string
	json      bool
}

func (a *app) liveCommand() *cobra.Command {
	f := liveFlags{ring: 2 << 20, block: 128 << 10}
	c := &cobra.Command{
		Use:   "live [flags] FILE...",
		Short: "Is it the parser or the network? The same engines live and in memory",
		Long: `Makes a network of its own, a veth pair in two private namespaces, replays the capture at one end, receives it with a packet socket
(AF_PACKET, TPACKET_V3) at the other into each engine, and does the same in memory. For every frame that was sent it says what became
of it: parsed, dropped by the socket, dropped by the interface, still in the ring, or unexplained.

Edits are made once in the frames in memory, before anything is sent: the network and the engines in memory get the same octets. With
--mtu-trunc and --fixlen=pad, --mtu is the packet's limit too. Of paired values --cachefile tells which is a frame's, as in '` + a.Name + ` rewrite'.

The highest rate that meets --goal is searched live and in memory. A live rate at which the sender has less than 1.2 times as much to
give is no ceiling: the table says so. Everything is removed at the end, also on Ctrl-C. Needs Linux, and root or user namespaces.`,
		Example: `  ` + a.Name + ` live --quick synth:iot-1
  ` + a.Name + ` live --engines direct,gopacket-eager --rates 10k,100k -o live capture.pcap
  ` + a.Name + ` live --endpoints 10.0.0.1:10.0.0.2 --cachefile in.cache --mtu-trunc in.pcap
  ` + a.Name + ` live --ring 64MiB --backend sendmmsg --goal pdr:0.1% synth:iot-1`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	fs := c.Flags()
	f.captureFlags.add(fs)
	engines := a.Default
	if len(engines) == 0 {
		for _, e := range a.Engines {
			engines = append(engines, e.Name)
		}
	}
	fs.StringSliceVar(&f.plan.Engines, "engines", engines, "parsers to measure, or all ('"+a.Name+" engines' lists them)")
	fs.StringSliceVar(&f.rates, "rates", nil, "loads to measure besides top speed and the search, in pps, as 10k,100k or 10k..1M/5")
	fs.StringVar(&f.goal, "goal", "ndr", "loss goal that is searched for: ndr, pdr:RATIO, or none")
	fs.DurationVar(&f.plan.Trial, "trial", time.Second, "duration of a trial")
	fs.DurationVar(&f.sum, "sum", 21*time.Second, "trial time on which a load is judged")
	fs.Float64Var(&f.width, "width", 0.02, "how close the bounds must come, relative")
	fs.Float64Var(&f.exceed, "exceed", 0.5, "share of the trial time that may miss the goal (0: none, as in RFC 2544)")
	fs.IntVar(&f.plan.Repeats, "repeats", analysis.MinRepeats, "measure each engine so often, engines in turn")
	fs.StringVar(&f.plan.Backend, "backend", inject.Auto, "that sends: auto, sendto, sendmmsg, txring or xdp")
	fs.Var(&f.ring, "ring", "size of the receiving ring, and of the queue in memory")
	fs.Var(&f.block, "block", "size of a block of the ring")
	fs.DurationVar(&f.plan.Ring.Timeout, "block-timeout", 10*time.Millisecond, "after how long the kernel hands over a block that is not full")
	fs.IntVar(&f.plan.MTU, "mtu", 0, "of the interfaces (0: 1500, or what the longest frame takes)")
	fs.StringVar(&f.plan.Cache, "cache", trial.CacheCold, "where frames in memory lie: cold, hot or as-is")
	fs.BoolVar(&f.quick, "quick", false, "trials of 200 ms, 1 s sums, bounds of 5 % and 2 repeats: a first look")
	fs.StringVarP(&f.output, "output", "o", "", "results folder to make: records, table, CSV")
	fs.BoolVar(&f.json, "json", false, "print the results as JSON instead of tables")
	f.edit.add(fs, false)
	fs.StringVar(&f.cachefile, "cachefile", "", cachefileUsage)
	backends := choices{values: inject.Backends()}
	sizes := choices{values: []string{"2MiB", "16MiB", "64MiB"}}
	none := choices{}
	for name, complete := range map[string]cobra.CompletionFunc{
		"backend": backends.complete, "ring": sizes.complete, "block": none.complete,
		"goal": choices{values: pairs("ndr", "no drop", "pdr:0.5%", "at most 0.5 % lost", "none", "no search")}.complete,
	} {
		if err := a.offerFor(c, name, complete); err != nil {
			panic(err) // the flag does not exist
		}
	}
	return c
}

// prepare fills in the plan.
func (f *liveFlags) prepare(c *cobra.Command, a *app, args []string) error {
	if len(args) == 0 {
		return usagef("no capture: name files, or %siot-1 for synthetic traffic", synthPrefix)
	}
	if err := f.check(args); err != nil {
		return err
	}
	if err := notZero(c.Flags(), "trial", "repeats", "width"); err != nil {
		return err
	}
	p := &f.plan
	if f.quick {
		p.Quick = true
		quickly(c.Flags(), "trial", func() { p.Trial = 200 * time.Millisecond })
		quickly(c.Flags(), "sum", func() { f.sum = time.Second })
		quickly(c.Flags(), "width", func() { f.width = 0.05 })
		quickly(c.Flags(), "repeats", func() { p.Repeats = 2 })
	}
	if slices.Equal(p.Engines, []string{"all"}) {
		p.Engines = nil
		for _, e := range a.Engines {
			p.Engines = append(p.Engines, e.Name)
		}
	}
	rates, err := parseRates(f.rates)
	if err != nil {
		return usageError{err}
	}
	for _, r := range rates {
		if r.OfService || r.OfRecorded {
			return usagef("--rates: want packets a second, as 10k: a multiple of a rate in memory means little on a network")
		}
		p.Rates = append(p.Rates, r.Value)
	}
	if f.goal != "none" {
		defaults := search.NDR()
		defaults.FinalTrialDuration, defaults.InitialTrialDuration = p.Trial, p.Trial
		defaults.DurationSum, defaults.Width, defaults.ExceedRatio = max(f.sum, p.Trial), f.width, f.exceed
		if p.Goal, err = search.ParseGoal(f.goal, defaults); err != nil {
			return usageError{err}
		}
	}
	if f.block <= 0 || f.ring < 2*f.block || f.ring%f.block != 0 {
		return usagef("--ring %d with --block %d: want two blocks or more, and whole ones", f.ring, f.block)
	}
	if f.ring > math.MaxInt32 {
		return usagef("--ring %d: want a ring below 2 GiB", f.ring)
	}
	p.Ring.BlockOctets, p.Ring.Blocks = int(f.block), int(f.ring/f.block)
	p.Seed = f.seed
	if f.edit.set.MTUTrunc || f.edit.set.FixLen == "pad" {
		f.edit.set.MTU = p.MTU
	}
	if p.Edits, err = f.edit.edits(); err != nil {
		return err
	}
	return nil
}

func (f *liveFlags) run(c *cobra.Command, a *app, args []string) (err error) {
	ctx := c.Context()
	if args, err = inputs(args, f.synth); err != nil {
		return err
	}
	if err := f.prepare(c, a, args); err != nil {
		return err
	}
	var did trial.Changed
	content, err := readSides(f.cachefile, &f.plan.Changes, &did)
	if err != nil {
		return err
	}
	if err := f.plan.Check(a.Engines); err != nil {
		return usageError{err}
	}
	if err := a.permitted(ctx); err != nil {
		return err
	}
	if f.output != "" {
		if err := report.Check(f.output); err != nil {
			return err
		}
	}
	h := live.Header{Schema: live.Schema, Version: version(), Started: time.Now().UTC(), Plan: f.plan, Changed: did, MemoryLimit: int64(f.memoryLimit),
		Environment: meter.ReadEnvironment(meter.Roots{})}
	if h.MemoryLimit == 0 {
		h.MemoryLimit = datasets.DefaultMemoryLimit()
	}
	h.Caches.L2, _ = h.Environment.L2Octets()
	h.Caches.LLC, _ = h.Environment.LLCOctets()
	f.memoryLimit = octetsFlag(h.MemoryLimit)
	frames, captures, err := f.load(ctx, a, sources(args))
	if err != nil {
		return err
	}
	defer func() { frames.Close() }()
	changed, err := a.change(frames, &h.Plan.Changes, &h.Changed, content, f.packets == 0 || frames.Len() < f.packets, h.MemoryLimit)
	if err != nil {
		return err
	}
	frames = changed
	for i, file := range captures {
		if file.Name != stdin && !strings.HasPrefix(file.Name, synthPrefix) {
			if captures[i].Path, err = filepath.Abs(file.Name); err != nil {
				return err
			}
		}
	}
	h.Captures = captures
	var folder *report.LiveFolder
	if f.output != "" {
		if folder, err = report.CreateLive(f.output, h); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
	}
	var records []live.Record
	run := live.Run{Header: h, Engines: a.Engines, Frames: frames, OnRecord: func(r *live.Record) error {
		records = append(records, *r)
		if folder == nil {
			return nil
		}
		return folder.Append(r)
	}}
	bar := a.liveBar()
	run.Progress = bar.set
	a.note("%s: %d packets over a veth pair and in memory; %d engines x %d repeats, trials of %v; about %v", captures[0].Name, frames.Len(),
		len(f.plan.Engines), f.plan.Repeats, f.plan.Trial, run.Expected().Round(time.Second))
	measureErr := run.Measure(ctx)
	bar.done()
	results := analysis.AnalyzeLive(run.Header, records)
	if len(results.Engines) == 0 {
		return measureErr
	}
	if folder != nil {
		if err := folder.Finish(results); err != nil {
			return errors.Join(measureErr, err)
		}
		a.note("results in %s", folder.Path())
	}
	return errors.Join(measureErr, a.printLive(results, f.json))
}

func (a *app) printLive(results *analysis.Live, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(results)
	}
	return report.WriteLive(a.stdout, results)
}

// asRootVariable says that the process is in a user namespace already.
const asRootVariable = "PCAPLAB_AS_ROOT"

// permitted returns nil if this process may make networks. If it may not, but may be root of a user namespace, the command is run
// again in one, and this process ends with it.
func (a *app) permitted(ctx context.Context) error {
	lab, err := netlab.New(netlab.Config{})
	if err == nil {
		return lab.Close()
	}
	if !errors.Is(err, netlab.ErrNotPermitted) || os.Getenv(asRootVariable) != "" || a.stdin != os.Stdin {
		return err
	}
	program, pathErr := os.Executable()
	if pathErr != nil {
		return err
	}
	cmd := exec.Command(program, os.Args[1:]...) // a signal from the terminal reaches it too
	cmd.Env = append(os.Environ(), asRootVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if rootErr := netlab.AsRoot(cmd); rootErr != nil {
		return err
	}
	startErr := cmd.Start()
	if startErr != nil {
		return fmt.Errorf("%w; and no user namespace: %w", err, startErr)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer stop()
	_ = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if code < 0 { // ended by a signal
		code = ExitInterrupted
	}
	os.Exit(code)
	return nil
}

// liveBar shows a live run, between trials only.
type liveBar struct {
	shown *progressbar.ProgressBar
}

func (a *app) liveBar() *liveBar {
	b := &liveBar{}
	if a.progress() {
		b.shown = progressbar.NewOptions64(1000, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetPredictTime(false),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24), progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
	}
	return b
}

func (b *liveBar) set(p live.Progress) {
	if b.shown == nil || p.Cells == 0 {
		return
	}
	load := "top speed"
	if p.Load > 0 {
		load = report.FormatRate(p.Load)
	}
	where := "live"
	if p.Kind == live.KindMemory {
		where = "in memory"
	}
	b.shown.Describe(fmt.Sprintf("%d/%d %s #%d, %s, %d trials, %s", min(p.Done+1, p.Cells), p.Cells, p.Engine, p.Repeat, where, p.Trials, load))
	_ = b.shown.Set64(int64(1000 * p.Done / p.Cells))
}

func (b *liveBar) done() {
	if b.shown != nil {
		_ = b.shown.Finish()
	}
}
