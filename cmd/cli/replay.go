package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
)

// maxDelayMs bounds pauses: thirty years.
const maxDelayMs = 1e12

// replayFlags are the flags of the command replay. The names are tcpreplay's where it has one for the same.
type replayFlags struct {
	playFlags
	first, second string // interfaces
	socket        inject.Config
	plan          inject.Plan

	multiplier      float64
	pps, mbps       float64
	ppsMulti        int
	top, oneAtATime bool
	maxSleep        int64 // ms
	pattern         string
	timer           string
	spin            string
	maxPPS          float64
	loopDelayMs     int64
	duration        secondsFlag
	cpu             int
	late            time.Duration
	stats           statsFlag
	write           string
	verify          string
	list            bool
	json            bool

	recorded bool // timing
}

const replayLong = `Sends the frames of captures through a network interface, when they were captured or at a rate, and says what became of each. The flags are
tcpreplay's where it has one, and so is the block that ends a run. Needs Linux and CAP_NET_RAW, not root; -w needs neither.

Timing. Without a flag as recorded; -x 2 twice as fast; -p 1000 packets a second; -M 10 Mbit/s of frames as they are sent; -t as fast as it
goes; -o one at a time; --pattern poisson or onoff:10ms/90ms with -p for other arrivals. When a frame is due is computed from the start, never
from the frame before: a late frame is sent at once and counted, and moves nothing behind it.

Several captures follow one another, the times of each moved on to the end of the one before; with --merge they play together, in order of
capture time. Any format that 'info' reads, compressed or not, is read while sending; -K reads all of it into memory first. synth:PROFILE is
synthetic traffic. Packets are changed on the way as '%s rewrite' would change them. Frames that are longer than the MTU (captures behind
receive offload hold some) end the run unless --oversize says what to do. An interface that carries the default route is refused without
--really.

What the interface counted is printed beside what was sent. Flows are those of TCP, UDP and other IP, each direction by itself; their table
takes up to 92 MB. --verify receives at the other end of a veth pair and compares octets and order; a difference, as all else that ends a run
early, is exit code 1. A signal ends a run at once, with the counts so far, and exit code 130.`

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay [flags] -i IFACE FILE...",
		Short: "Send captures through a network interface, as tcpreplay does",
		Long:  fmt.Sprintf(replayLong, a.Name),
		Example: `  ` + a.Name + ` replay -i veth0 capture.pcapng.zst              # as recorded
  ` + a.Name + ` replay -i veth0 -p 50000 -l 0 --duration 60 capture.pcap
  ` + a.Name + ` replay -i eth1 -M 95.5 -K --oversize segment --stats 1 DDoS-ICMP_Flood*.pcap
  ` + a.Name + ` replay -i veth0 -p 20k --pattern poisson --json synth:iot-1 | jq .result.lateness
  ` + a.Name + ` replay -i veth0 -t --verify capture.pcap            # did all of it arrive as it was?
  ` + a.Name + ` replay -w faster.pcap -x 10 --merge a.pcap b.pcap.gz  # to a file instead`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	f.add(a, c)
	for name, complete := range map[string]cobra.CompletionFunc{
		"intf1": completeInterface,
		"intf2": completeInterface,
		"backend": choices{values: pairs(inject.Auto, "the fastest that works", inject.Sendto, "a system call a frame", inject.Sendmmsg, "a system call a batch",
			inject.TxRing, "a ring that the kernel reads", inject.XDP, "AF_XDP, copying")}.complete,
		"oversize": choices{values: pairs(inject.OversizeError, "end the run", inject.OversizeSkip, "leave it out", inject.OversizeTruncate, "cut it",
			inject.OversizeSegment, "TCP segments, IP fragments")}.complete,
		"spin":  choices{values: pairs(string(inject.SpinAuto), "sleep, then spin", string(inject.SpinOn), "most exact", string(inject.SpinOff), "sleep only")}.complete,
		"timer": choices{values: pairs("gtod", "--spin on", "nano", "--spin auto")}.complete,
		"pattern": choices{values: pairs("constant", "evenly", "poisson", "at random", "burst:64", "64 packets at once", "onoff:10ms/90ms", "10 ms of traffic, 90 ms of none",
			"ramp:0.1-1/10s", "from a tenth of the rate to all of it")}.complete,
	} {
		if err := a.offerFor(c, name, complete); err != nil {
			panic(err) // the flag is there, in add
		}
	}
	return c
}

func completeInterface(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	names, _ := netlab.Links() // none where there are none to see
	return withPrefix(names, "", toComplete), cobra.ShellCompDirectiveNoFileComp
}

func (f *replayFlags) add(a *app, c *cobra.Command) {
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVarP(&f.first, "intf1", "i", "", "`interface` to send through")
	fs.StringVarP(&f.second, "intf2", "I", "", "`interface` for the server's frames; -c says which they are")
	fs.BoolVar(&f.list, "listnics", false, "list the interfaces")

	fs.Float64VarP(&f.multiplier, "multiplier", "x", 1, "recorded timing, so many times as fast")
	fs.VarP((*countFlag)(&f.pps), "pps", "p", "packets a second, as 1000, 0.5 or 20k; 0: top speed")
	fs.IntVar(&f.ppsMulti, "pps-multi", 1, "with -p: send so many packets at once, at the same mean rate")
	fs.VarP((*countFlag)(&f.mbps), "mbps", "M", "Mbit/s of frames as sent, without check sequence and preamble; 0: top speed")
	fs.BoolVarP(&f.top, "topspeed", "t", false, "as fast as the interface takes them")
	fs.BoolVarP(&f.oneAtATime, "oneatatime", "o", false, "ask before each packet: Enter sends it, a number so many, c all the rest, q ends")
	fs.StringVar(&f.pattern, "pattern", "", "arrivals with -p: constant, poisson, burst:N, onoff:ON/OFF, ramp:FROM-TO/TIME")
	fs.Int64Var(&f.maxSleep, "maxsleep", 0, "recorded timing: no gap longer than so many ms (0: as recorded)")
	fs.Var((*countFlag)(&f.maxPPS), "max-pps", "never more packets a second than this, whatever the timing says")
	f.playFlags.add(fs)
	fs.Int64Var(&f.loopDelayMs, "loopdelay-ms", 0, "pause between passes, ms")
	fs.VarP(packetsFlag(&f.plan.Frames), "limit", "L", "end after so many packets, as 5000 or 1e6 (0: all)")
	fs.Var(&f.duration, "duration", "end after this time, also where a rate could not be kept: seconds, or as 1m30s")

	fs.StringVarP(&f.write, "write", "w", "", "write a capture instead of sending, each frame at the time at which it is due (.pcapng, else pcap with ns; .gz, .zst)")
	fs.StringVar(&f.socket.Oversize, "oversize", inject.OversizeError, "frames above the MTU: error, skip, truncate, or segment (TCP segments, IP fragments)")
	fs.StringVar(&f.socket.Backend, "backend", inject.Auto, "auto (the fastest that works), sendto, sendmmsg, txring or xdp")
	fs.IntVar(&f.socket.Batch, "batch", 0, "most frames in one system call (0: 64, xdp 32)")
	fs.BoolVar(&f.socket.Qdisc, "qdisc", false, "go through the interface's queueing discipline instead of past it")
	fs.StringVar(&f.spin, "spin", string(inject.SpinAuto), "auto (sleep, spin as long as waking takes), on (most exact, a whole core), off (sleep only)")
	fs.StringVarP(&f.timer, "timer", "T", "", "as tcpreplay names it: gtod is --spin on, nano is --spin auto")
	fs.IntVar(&f.plan.FIFO, "fifo", 0, "real-time priority of the sending thread, 1 to 99 (needs CAP_SYS_NICE)")
	fs.IntVar(&f.cpu, "cpu", -1, "run the sending thread on this CPU only (-1: any)")
	fs.DurationVar(&f.late, "late", 100*time.Microsecond, "from which lateness a packet counts as late")
	fs.BoolVar(&f.socket.Really, "really", false, "send even if the interface carries the default route")
	fs.StringVar(&f.verify, "verify", "", "receive at the other end and compare: NAME or NAME@NETNS; without a value the peer of a veth")
	fs.Lookup("verify").NoOptDefVal = verifyPeer
	fs.Var(&f.stats, "stats", "print counts every so many seconds; 0: after each pass")
	fs.BoolVar(&f.noFlowStats, "no-flow-stats", false, "count no flows")
	fs.BoolVar(&f.json, "json", false, "print the result as JSON")
}

// countFlag is a number that may end in k, M or G.
type countFlag float64

func (c *countFlag) String() string { return strconv.FormatFloat(float64(*c), 'g', -1, 64) }
func (c *countFlag) Type() string   { return "number" }
func (c *countFlag) Set(s string) error {
	factor := 1.0
	digits := strings.TrimRight(s, "kMG")
	switch s[len(digits):] {
	case "":
	case "k":
		factor = 1e3
	case "M":
		factor = 1e6
	case "G":
		factor = 1e9
	default:
		digits = "?"
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return fmt.Errorf("%q is not a number such as 1000, 0.5 or 20k", s)
	}
	*c = countFlag(v * factor)
	return nil
}

// secondsFlag is a time: a number of seconds, as tcpreplay has it, or a duration.
type secondsFlag time.Duration

func (d *secondsFlag) Type() string { return "time" }
func (d *secondsFlag) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}
func (d *secondsFlag) Set(s string) error {
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		if !(v > 0) || v > 1e9 {
			return fmt.Errorf("%q: want a time above 0", s)
		}
		*d = secondsFlag(v * 1e9)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a time such as 10 (seconds) or 1m30s", s)
	}
	*d = secondsFlag(v)
	return nil
}

// statsFlag is --stats: set or not, seconds.
type statsFlag struct {
	set   bool
	every time.Duration
}

func (s *statsFlag) String() string { return strconv.FormatFloat(s.every.Seconds(), 'g', -1, 64) }
func (s *statsFlag) Type() string   { return "seconds" }
func (s *statsFlag) Set(v string) error {
	sec, err := strconv.ParseFloat(v, 64)
	if err != nil || !(sec >= 0) || sec > 1e9 {
		return fmt.Errorf("%q is not a number of seconds", v)
	}
	*s = statsFlag{set: true, every: time.Duration(sec * 1e9)}
	return nil
}

// timing makes the pacer. What the flags say stands in the result.
func (f *replayFlags) timing(fs *pflag.FlagSet) (replay.Pacer, string, error) {
	var chosen []string
	for _, name := range []string{"multiplier", "pps", "mbps", "topspeed", "oneatatime"} {
		if fs.Changed(name) {
			chosen = append(chosen, "--"+name)
		}
	}
	if len(chosen) > 1 {
		return nil, "", usagef("%s: choose one timing", strings.Join(chosen, " and "))
	}
	timing := "multiplier"
	if len(chosen) == 1 {
		timing = chosen[0][2:]
	}
	if (fs.Changed("pattern") || fs.Changed("pps-multi")) && timing != "pps" {
		return nil, "", usagef("--pattern and --pps-multi need a rate: -p")
	}
	if fs.Changed("maxsleep") && timing != "multiplier" {
		return nil, "", usagef("--maxsleep is for recorded timing")
	}
	if (fs.Changed("pattern") || fs.Changed("pps-multi")) && f.pps == 0 {
		return nil, "", usagef("--pattern and --pps-multi need a rate above 0: -p 0 is top speed")
	}
	if f.ppsMulti < 1 || f.maxSleep < 0 {
		return nil, "", usagef("--pps-multi wants 1 or more, --maxsleep 0 or more")
	}
	var pacer replay.Pacer
	var err error
	var text string
	switch {
	case timing == "multiplier":
		// tcpreplay cuts the time that it would sleep; the pacer cuts gaps of the capture.
		gap := time.Duration(0)
		if ns := float64(f.maxSleep) * 1e6 * f.multiplier; f.maxSleep > 0 && ns < math.MaxInt64 {
			gap = max(time.Duration(ns), 1)
		}
		if !(f.multiplier > 0) || math.IsInf(f.multiplier, 0) {
			return nil, "", usagef("--multiplier %g: must be above 0 (-t is top speed)", f.multiplier)
		}
		f.recorded = true
		if pacer, err = replay.Recorded(f.multiplier, gap); err != nil {
			err = fmt.Errorf("--multiplier: %w", err)
		}
		text = fmt.Sprintf("recorded x%g", f.multiplier)
		if f.maxSleep > 0 {
			text += fmt.Sprintf(", gaps of %d ms at most", f.maxSleep)
		}
	case timing == "pps" && f.pps > 0:
		spec, flag := f.pattern, "--pps"
		if spec != "" {
			flag = "--pattern"
		}
		if fs.Changed("pps-multi") {
			if spec != "" {
				return nil, "", usagef("--pps-multi N is --pattern burst:N: give one")
			}
			spec = fmt.Sprintf("burst:%d", f.ppsMulti)
		}
		switch kind, _, _ := strings.Cut(spec, ":"); kind {
		case "", "constant", "poisson", "burst", "onoff", "ramp":
		default:
			return nil, "", usagef("--pattern %q: want constant, poisson, burst:N, onoff:ON/OFF or ramp:FROM-TO/TIME", spec)
		}
		if spec == "" {
			pacer, err = replay.ConstantPPS(f.pps)
		} else {
			pacer, err = replay.ParsePacer(spec, f.pps, f.seed)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", flag, err)
		}
		text = fmt.Sprintf("%g pps", f.pps)
		if spec != "" {
			text += ", " + spec
		}
	case timing == "mbps" && f.mbps > 0:
		if pacer, err = replay.ConstantBits(f.mbps * 1e6); err != nil {
			err = fmt.Errorf("--mbps: %w", err)
		}
		text = fmt.Sprintf("%g Mbit/s", f.mbps)
	case timing == "oneatatime":
		text = "one at a time"
	default:
		text = "top speed"
	}
	if err == nil && f.maxPPS > 0 {
		if pacer, err = replay.Cap(pacer, f.maxPPS); err != nil {
			err = fmt.Errorf("--max-pps: %w", err)
		}
		text += fmt.Sprintf(", %g pps at most", f.maxPPS)
	}
	if err != nil {
		return nil, "", usageError{err}
	}
	return pacer, text, nil
}

func (f *replayFlags) run(c *cobra.Command, a *app, args []string) error {
	ctx := c.Context()
	fs := c.Flags()
	if f.list {
		return a.listInterfaces()
	}
	pacer, timing, err := f.timing(fs)
	if err != nil {
		return err
	}
	if args, err = inputs(args, f.synth); err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("want a capture (see '%s -h')", c.CommandPath())
	}
	if err := f.check(fs, args, pacer); err != nil {
		return err
	}
	f.plan.Pacer, f.plan.Spin = pacer, inject.Spin(f.spin)
	f.plan.Duration, f.plan.LoopDelay, f.plan.Late = time.Duration(f.duration), time.Duration(f.loopDelayMs)*time.Millisecond, f.late
	f.plan.Grace = inject.DefaultGrace
	if f.cpu >= 0 {
		f.plan.CPU = &f.cpu
	}
	play, err := f.open(ctx, a, args, f.plan.Frames)
	if err != nil {
		return err
	}
	defer play.close()
	if f.oneAtATime {
		f.plan.Before = a.asking(ctx, play)
	}

	var res inject.Result
	var verified *inject.VerifyReport
	if f.write != "" {
		res, err = f.toFile(ctx, play)
	} else {
		res, verified, err = f.toWire(ctx, a, play)
	}
	if total := play.total(); total >= 0 {
		res.Missed = min(res.Missed, uint64(total)-min(res.Frames, uint64(total)))
	}
	if endErr := play.ended(res.Frames); err == nil {
		err = endErr
	}
	if !f.started(&res, err) {
		return err
	}
	switch {
	case err != nil:
		err = f.explain(err, &res, play)
	case verified != nil && !verified.OK():
		err = errors.New(verified.String())
	default:
		err = play.complete()
	}
	out := playResult{Settings: f.settings(timing, args, play), Result: res, Rate: res.Rate(), BitRate: res.BitRate(), Flows: play.flowCounts(), Chosen: play.report(), Verified: verified}
	if printErr := f.print(a, &out, err); printErr != nil {
		return printErr
	}
	return err
}

// started reports whether a run that ended with err sent, or tried to send, anything. A file is written whole, up to damage, or not at all.
func (f *replayFlags) started(res *inject.Result, err error) bool {
	if err != nil && f.write != "" {
		return isDamage(err)
	}
	return err == nil || res.Frames > 0 || len(res.Backends) > 0
}

func isDamage(err error) bool { return errors.As(err, new(*pcapio.FormatError)) }

// explain says where the error that ended a run came, and what was sent before.
func (f *replayFlags) explain(err error, res *inject.Result, play *player) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.As(err, new(*inject.LinkError)) || errors.As(err, new(*inject.OversizeFrameError)) {
		err = fmt.Errorf("%s: %w", play.where(), err)
	}
	if !f.salvage {
		err = datasets.Explain(err)
	}
	if f.write != "" {
		return fmt.Errorf("wrote %d packets to %s, then %w", res.Sent, f.write, err)
	}
	return fmt.Errorf("sent %d packets, then %w", res.Sent, err)
}

// ofInterfaces are the flags that mean nothing to a file.
var ofInterfaces = []string{"intf2", "oversize", "backend", "batch", "qdisc", "spin", "timer", "fifo", "cpu", "late", "really", "verify", "stats"}

// check finds what is wrong before anything is opened.
func (f *replayFlags) check(fs *pflag.FlagSet, args []string, pacer replay.Pacer) error {
	if f.timer != "" {
		if fs.Changed("spin") {
			return usagef("--timer and --spin: give one")
		}
		switch f.timer {
		case "gtod":
			f.spin = string(inject.SpinOn)
		case "nano":
			f.spin = string(inject.SpinAuto)
		default:
			return usagef("--timer %s: want gtod or nano; the others of tcpreplay keep no rate", f.timer)
		}
	}
	switch inject.Spin(f.spin) {
	case inject.SpinAuto, inject.SpinOn, inject.SpinOff:
	default:
		return usagef("--spin %s: want auto, on or off", f.spin)
	}
	if f.first != "" && f.write != "" {
		return usagef("-i sends and -w writes a file instead: choose one")
	}
	if f.first == "" && f.write == "" {
		return usagef("want an interface to send through (-i) or a file to write (-w); --listnics lists the interfaces")
	}
	if f.write != "" {
		for _, name := range ofInterfaces {
			if fs.Changed(name) {
				return usagef("--%s is for an interface, and -w writes a file", name)
			}
		}
		switch timed := f.duration > 0 && pacer != nil; {
		case f.write == stdin:
			return usagef("-w %s: name a file", f.write)
		case f.duration > 0 && pacer == nil:
			return usagef("--duration: -w at top speed takes no time; end it with -L")
		case f.loop == 0 && f.plan.Frames == 0 && !timed:
			return usagef("-w and -l 0 make a file without end: add -L or --duration")
		}
	}
	if f.second != "" && f.second == f.first {
		return usagef("-I %s is the interface of -i too: name the one for the server's frames, or leave out -I", f.second)
	}
	if f.second != "" && f.cachefile == "" {
		return usagef("-I needs a file that says which frames are the server's: -c (see 'split')")
	}
	if f.verify != "" && f.second != "" {
		return usagef("--verify receives at one interface: it takes no -I")
	}
	if f.oneAtATime && slices.Contains(args, stdin) {
		return usagef("-o asks on standard input, where the capture would come from: save it to a file")
	}
	if f.late <= 0 {
		return usagef("--late %v: want a time above 0", f.late)
	}
	if f.loopDelayMs < 0 || f.loopDelayMs > maxDelayMs {
		return usagef("--loopdelay-ms %d: want 0 to %d", f.loopDelayMs, int64(maxDelayMs))
	}
	if f.plan.FIFO < 0 || f.plan.FIFO > 99 || f.cpu < -1 {
		return usagef("--fifo wants 1 to 99, and --cpu the number of a CPU")
	}
	if _, err := inject.To(nil, "checked", f.socket, 0); err != nil { // looks at the settings only
		return usageError{err}
	}
	return f.playFlags.check(fs, args)
}

// toWire sends.
func (f *replayFlags) toWire(ctx context.Context, a *app, play *player) (res inject.Result, verified *inject.VerifyReport, err error) {
	var sockets []*inject.Socket
	for _, name := range []string{f.first, f.second} {
		if name == "" {
			continue
		}
		cfg := f.socket
		cfg.Interface = name
		s, err := inject.Open(cfg)
		if err != nil {
			return res, nil, err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		sockets = append(sockets, s)
		if f.socket.Backend == inject.Auto && !a.quiet {
			a.note("%s: backend %s", name, s.Backend())
			for _, n := range s.Notes() {
				a.note("%s: not %s", name, n)
			}
		}
	}
	plan := f.plan
	if len(sockets) == 2 {
		plan.Side = func(*parse.Frame) int { return play.side }
	}
	var check *verification
	if f.verify != "" {
		if check, err = f.verification(a, sockets[0]); err != nil {
			return res, nil, err
		}
		plan.Tap = check.Sent
	}
	plan.Tap = play.tap(plan.Tap)
	if f.recorded && f.loopDelayMs < 10_000 && !a.progress() {
		said := false
		plan.Long = func(wait time.Duration) {
			if !said {
				a.note("the next packet is due in %v, as captured; --maxsleep limits waits", wait.Round(time.Second))
			}
			said = true
		}
	}
	defer f.watch(a, &plan, play)()
	res, err = inject.RunPair(ctx, sockets, play, plan)
	if check != nil {
		r, verifyErr := check.end()
		verified, err = &r, errors.Join(err, verifyErr)
	}
	return res, verified, err
}

// watch has --stats printed, or shows how far a run is, on another thread. The function that it returns ends this.
func (f *replayFlags) watch(a *app, plan *inject.Plan, play *player) (done func()) {
	if f.stats.set {
		tell, done := f.printing(a)
		if f.stats.every == 0 {
			plan.Pass = tell
		} else {
			plan.Each, plan.Every = tell, f.stats.every
		}
		return done
	}
	if !a.progress() {
		return func() {}
	}
	var latest atomic.Pointer[inject.Result]
	plan.Each = func(r inject.Result) {
		r.Seconds, r.Delays = nil, nil
		latest.Store(&r)
	}
	ended := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		var shown *progressbar.ProgressBar
		for {
			select {
			case <-ended:
				if shown != nil {
					_ = shown.Finish()
				}
				return
			case <-tick.C:
			}
			r := latest.Load()
			if r == nil {
				continue
			}
			if shown == nil {
				shown = progressbar.NewOptions64(f.expected(play), progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetPredictTime(true),
					progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(24), progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(0))
			}
			shown.Describe(fmt.Sprintf("%s, %d late, %d failed", report.FormatRate(r.Rate()), r.Late, r.Failed))
			_ = shown.Set64(f.progressOf(r))
		}
	}()
	return func() {
		close(ended)
		<-stopped
	}
}

// unprinted is how many lines --stats keeps for a slow reader of them before it leaves some out, and says so.
const unprinted = 1024

// printing returns a function for the sender that has a line printed, on another thread; done ends this, with all lines printed.
func (f *replayFlags) printing(a *app) (tell func(inject.Result), done func()) {
	over := make(chan inject.Result, unprinted)
	left := 0 // written by the sender, read when it has ended
	tell = func(r inject.Result) {
		r.Seconds, r.Delays = nil, nil
		select {
		case over <- r:
		default:
			left++
		}
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		for r := range over {
			printRates(a.stdout, &r, r.Elapsed)
		}
	}()
	return tell, func() {
		close(over)
		<-printed
		if left > 0 {
			fmt.Fprintf(a.stderr, "--stats %s: %d lines are left out: they came faster than they are taken\n", &f.stats, left)
		}
	}
}

// expected is the end of the progress bar: ms or frames; -1 is unknown.
func (f *replayFlags) expected(play *player) int64 {
	switch total := play.total(); {
	case f.plan.Frames > 0 && (total < 0 || int64(f.plan.Frames) < total):
		return int64(f.plan.Frames)
	case total > 0:
		return total
	case f.plan.Duration > 0:
		return f.plan.Duration.Milliseconds()
	}
	return -1
}

func (f *replayFlags) progressOf(r *inject.Result) int64 {
	if f.plan.Frames == 0 && f.plan.Duration > 0 {
		return r.Elapsed.Milliseconds()
	}
	return int64(r.Frames)
}

// asking asks for each frame, or for some.
func (a *app) asking(ctx context.Context, play *player) func(*parse.Frame) error {
	answers := make(chan string)
	go func() { // which no signal interrupts
		defer close(answers)
		for in := bufio.NewScanner(a.stdin); in.Scan(); {
			select {
			case answers <- strings.TrimSpace(in.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	granted := 0
	return func(f *parse.Frame) error {
		for granted == 0 {
			fmt.Fprintf(a.stderr, "packet %d, %d octets: send it? Enter, a number of packets, c for all the rest, or q: ", play.number, len(f.Data))
			var answer string
			var more bool
			select {
			case answer, more = <-answers:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if !more {
				return io.EOF
			}
			switch answer {
			case "":
				granted = 1
			case "c":
				granted = math.MaxInt
			case "q":
				return io.EOF
			default:
				if n, err := strconv.Atoi(answer); err == nil && n > 0 {
					granted = n
				}
			}
		}
		granted--
		return nil
	}
}

// toFile writes.
func (f *replayFlags) toFile(ctx context.Context, play *player) (res inject.Result, err error) {
	var damage error
	err = writeCaptureFile(f.write, func(w io.Writer) error {
		sink := &captureSink{w: w, ng: containerByName(f.write) == pcapio.PcapNG}
		socket, err := inject.To(sink, f.write, f.socket, 0)
		if err != nil {
			return err
		}
		plan := f.plan
		plan.Tap = play.tap(nil)
		res, err = inject.Run(ctx, socket, play, plan)
		switch {
		case err == nil:
			err = play.complete()
		case isDamage(err):
			damage, err = err, nil
		}
		if err != nil {
			return err
		}
		return sink.flush()
	})
	return res, errors.Join(damage, err)
}

// captureSink starts a capture with the link type of the first frame.
type captureSink struct {
	w   io.Writer
	ng  bool
	out *pcapio.Writer
}

func (s *captureSink) WriteFrame(f *parse.Frame) error {
	if s.out == nil {
		if err := s.start(f.Link); err != nil {
			return err
		}
	}
	return s.out.WriteFrame(f)
}

func (s *captureSink) start(link parse.LinkType) (err error) {
	cfg := pcapio.WriterConfig{Nano: true, Link: link, LinkNull: link == parse.LinkNull}
	if s.ng {
		cfg = pcapio.WriterConfig{Nano: true, Container: pcapio.PcapNG}
	}
	s.out, err = pcapio.NewWriter(s.w, cfg)
	return err
}

func (s *captureSink) flush() error {
	if s.out == nil {
		if err := s.start(parse.LinkEthernet); err != nil {
			return err
		}
	}
	return s.out.Flush()
}
