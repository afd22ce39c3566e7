package live

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

const (
	// drainAtLeast is how long after the last frame what is parsed counts at least: about what a wake-up may take.
	drainAtLeast = 5 * time.Millisecond
	// maxLoad is the highest load of a search, of the sender's top speed: at it pacing is already hard.
	maxLoad = 0.95
	// minLoadDivisor divides it to the lowest.
	minLoadDivisor = 10000
)

// Run is a run of a plan.
type Run struct {
	Header  Header
	Engines []parse.Engine // of this program
	Frames  *arena.Frames  // sent in a loop
	// OnRecord is called with each record as it is made.
	OnRecord func(*Record) error
	// Progress, where set, is called between trials.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Engine      string
	Repeat      int
	Kind        string  // of the last record
	Load        float64 // of the last trial; 0: top speed
	Done, Cells int     // engines times repeats
	Trials      int     // in this one
}

// About what building a network and starting three processes, and a trial beside its duration, take on a 2-core VM.
const (
	cellOverhead  = time.Second
	trialOverhead = 150 * time.Millisecond
)

// Expected is about how long Measure takes.
func (r *Run) Expected() time.Duration {
	p := &r.Header.Plan
	trials := len(p.Rates) + 2
	cell := cellOverhead + time.Duration(trials)*(2*p.Trial+trialOverhead)
	if p.Goal.Name != "" {
		if eta, err := search.Estimate(search.Config{Min: 1, Max: 1000, Hint: 800}, p.Goal); err == nil {
			cell += 2*eta.Typical + time.Duration(eta.Typical/p.Goal.FinalTrialDuration)*trialOverhead
		}
	}
	return cell * time.Duration(len(p.Engines)*p.Repeats)
}

// Measure measures the plan: repeat by repeat, the engines in turn, each on the network, then in memory. Whatever it makes is
// removed when it returns. Cancelled, it returns ctx's error; the records that were made until then are with OnRecord.
//
// Errors wrap netlab.ErrNotPermitted and netlab.ErrNotSupported where there can be no network.
func (r *Run) Measure(ctx context.Context) error {
	p := &r.Header.Plan
	if err := p.Check(r.Engines); err != nil {
		return err
	}
	n, err := longest(r.Frames, p.MTU, p.Edits.MTUTrunc)
	if err != nil {
		return err
	}
	if p.MTU == 0 {
		p.MTU = max(ethernetMTU, n-ethernetHeader)
	}
	m := &measuring{run: r, ctx: ctx}
	m.progress.Cells = p.Repeats * len(p.Engines)
	for m.repeat = 1; m.repeat <= p.Repeats; m.repeat++ {
		for _, m.engine = range p.Engines {
			m.progress.Engine, m.progress.Repeat, m.progress.Trials = m.engine, m.repeat, 0
			m.top = 0
			if err := m.network(); err != nil {
				return fmt.Errorf("%s, repeat %d, on the network: %w", m.engine, m.repeat, err)
			}
			if err := m.memory(); err != nil {
				return fmt.Errorf("%s, repeat %d, in memory: %w", m.engine, m.repeat, err)
			}
			m.progress.Done++
		}
	}
	m.report()
	return nil
}

// measuring is a Measure under way: one engine in one repeat.
type measuring struct {
	run      *Run
	ctx      context.Context
	engine   string
	repeat   int
	progress Progress

	lab              *netlab.Lab
	sender, receiver *child  // receiver is nil while nobody listens
	top              float64 // rate that the sender reached with a receiver, in pps
}

func (m *measuring) report() {
	if m.run.Progress != nil {
		m.run.Progress(m.progress)
	}
}

func (m *measuring) keep(rec Record) error {
	rec.Schema, rec.Engine, rec.Repeat = Schema, m.engine, m.repeat
	m.progress.Trials++
	m.progress.Kind = rec.Kind
	m.report()
	return m.run.OnRecord(&rec)
}

// network measures on a network of its own.
func (m *measuring) network() (err error) {
	p := &m.run.Header.Plan
	if m.lab, err = netlab.New(netlab.Config{MTU: p.MTU}); err != nil {
		return err
	}
	defer func() {
		for _, c := range []*child{m.sender, m.receiver} {
			if c != nil {
				err = errors.Join(err, c.close())
			}
		}
		m.sender, m.receiver = nil, nil
		err = errors.Join(err, m.lab.Close())
	}()
	setup := senderSetup{Inject: inject.Config{Interface: netlab.Sender.Interface(), Backend: p.Backend}, Ring: p.Ring.RingOctets()}
	if m.sender, err = start(m.ctx, m.lab, netlab.Sender, setup, m.run.Frames.File()); err != nil {
		return err
	}
	if _, err := m.trial(KindAlone, 0, p.Trial); err != nil {
		return err
	}
	if m.receiver, err = start(m.ctx, m.lab, netlab.Receiver, receiverSetup{Engine: m.engine, Ring: p.Ring}); err != nil {
		return err
	}
	top, err := m.trial(KindTop, 0, p.Trial)
	if err != nil {
		return err
	}
	if m.top = top.SentRate(); m.top <= 0 {
		return errors.New("nothing was sent at top speed")
	}
	for _, rate := range p.Rates {
		if _, err := m.trial(KindRate, rate, p.Trial); err != nil {
			return err
		}
	}
	if p.Goal.Name == "" {
		return nil
	}
	return m.search(top)
}

// search looks for the live ceiling.
func (m *measuring) search(top *Trial) error {
	goal := m.run.Header.Plan.Goal
	measure := func(ctx context.Context, load float64, d time.Duration) (search.Trial, error) {
		t, err := m.trial(KindSearch, load, d)
		if err != nil {
			return search.Trial{}, err
		}
		intended := t.intended()
		return search.Trial{Load: load, Duration: d, Intended: intended, Lost: min(intended, t.Lost()+t.Shortfall)}, nil
	}
	shortest := goal.FinalTrialDuration
	if goal.InitialTrialDuration > 0 {
		shortest = min(shortest, goal.InitialTrialDuration)
	}
	cfg := search.Config{Max: maxLoad * m.top}
	cfg.Min = min(max(1/shortest.Seconds(), cfg.Max/minLoadDivisor), cfg.Max)
	if got := float64(top.Parsed) / top.Sender.Elapsed.Seconds(); got > 0 {
		cfg.Hint = min(got, cfg.Max)
	}
	started := time.Now().UTC()
	result, err := search.Search(m.ctx, measure, cfg, goal)
	if err != nil {
		return err
	}
	return m.keep(Record{Kind: KindBounds, Started: started, Bounds: &result.Bounds[0]})
}

// trial sends for d and accounts for every frame.
func (m *measuring) trial(kind string, load float64, d time.Duration) (*Trial, error) {
	started := time.Now().UTC()
	t := &Trial{Load: load, Duration: d}
	m.progress.Load = load
	if kind == KindTop {
		answer, err := m.sender.ask(m.ctx, senderRequest{Copy: true})
		if err != nil {
			return nil, err
		}
		t.CopyNs = answer.Sent.CopyNs
	}
	before, err := m.counters()
	if err != nil {
		return nil, err
	}
	if m.receiver != nil {
		if _, err := m.receiver.ask(m.ctx, receiverRequest{}); err != nil {
			return nil, err
		}
	}
	drain := max(time.Duration(float64(d)*m.width()/2), drainAtLeast)
	answer, err := m.sender.ask(m.ctx, senderRequest{Load: load, Duration: d, Grace: drain})
	if err != nil {
		return nil, err
	}
	t.sent(answer.Sent.Result, drain)
	if m.receiver != nil {
		ended := answer.Sent.Ended
		answer, err := m.receiver.ask(m.ctx, receiverRequest{Stop: true, Ended: ended, By: ended + drain})
		if err != nil {
			return nil, err
		}
		got := answer.Received
		t.Receiver, t.Parser, t.Usage = got.Stats, got.Counters, &got.Usage
		t.Parsed, t.Late, t.InRing, t.SocketDrops = got.Parsed, got.Late, got.InRing, got.Stats.Dropped
	}
	after, err := m.counters()
	if err != nil {
		return nil, err
	}
	t.transmitted(after.tx.Sub(before.tx))
	t.RxCounts, t.Softirqs = after.rx.Sub(before.rx), after.softirqs.Sub(before.softirqs)
	t.balance()
	return t, m.keep(Record{Kind: kind, Started: started, Trial: t})
}

func (m *measuring) width() float64 {
	if w := m.run.Header.Plan.Goal.Width; w > 0 {
		return w
	}
	return search.DefaultWidth
}

type counters struct {
	tx, rx   netlab.Counters
	softirqs netlab.Softirqs
}

// counters reads what the kernel counts.
func (m *measuring) counters() (c counters, err error) {
	tx, err := m.lab.Facts(netlab.Sender)
	if err != nil {
		return c, err
	}
	rx, err := m.lab.Facts(netlab.Receiver)
	if err != nil {
		return c, err
	}
	c.tx, c.rx = tx.Counters, rx.Counters
	c.softirqs, err = netlab.ReadSoftirqs("/")
	return c, err
}

// memory measures the same engine on the same frames in memory, at the same loads and the rate that was reached.
func (m *measuring) memory() error {
	h := &m.run.Header
	p := &h.Plan
	plan := trial.Plan{Engines: []string{m.engine}, Caches: []string{p.Cache}, Repeats: 1, Trial: p.Trial, Search: trial.SearchNone, Quick: p.Quick}
	if p.Goal.Name != "" {
		plan.Search, plan.Goals = trial.SearchMLR, []search.Goal{p.Goal}
	}
	for _, rate := range append(slices.Clone(p.Rates), math.Round(m.top)) {
		if r := (trial.Rate{Value: rate}); rate > 0 && !slices.Contains(plan.Rates, r) {
			plan.Rates = append(plan.Rates, r)
		}
	}
	study := &trial.Study{
		Engines: m.run.Engines,
		Header: trial.Header{
			Version: h.Version, Command: "live", Started: h.Started, Captures: h.Captures, Changed: h.Changed, Environment: h.Environment, Caches: h.Caches,
			MemoryLimit: h.MemoryLimit, Plan: plan,
			Settings: trial.Settings{Queue: p.Queue(), Width: m.width(), Seed: p.Seed, Changes: p.Changes},
		},
		Frames: func(string) (trial.Sized, error) { return trial.Sized{Frames: m.run.Frames}, nil },
		Keep: func(rec trial.Record) error {
			rec.Repeat = m.repeat
			m.progress.Load = rec.Input.Load
			return m.keep(Record{Kind: KindMemory, Started: rec.Started, Memory: &rec})
		},
	}
	return study.Run(m.ctx)
}
