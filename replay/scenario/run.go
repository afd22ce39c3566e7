package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/external"
	"pcaplab/replay/trial"
)

const (
	// closedOwn and closedProgram are how long a closed loop of this program's engines, and of another program, lasts.
	closedOwn     = 100 * time.Millisecond
	closedProgram = time.Second
	// attempts is how often a trial is run at most whose drops all follow gaps of the host.
	attempts = 3
	// drain is how long after the traffic what is taken counts as late, and finish how long a program may do nothing after it
	// before it is given up.
	drain  = 30 * time.Second
	finish = 30 * time.Second
)

// Run is a run of a plan. Begin comes first.
type Run struct {
	Header  Header
	Engines []parse.Engine // of this program
	Done    []Record       // of an earlier run: their trials are not run again
	// OnRecord is called with each record as it is made.
	OnRecord func(*Record) error
	// Progress is called before each trial, never within one.
	Progress func(Progress)

	programs map[string]external.Program // by Begin
}

// Progress is how far a run is.
type Progress struct {
	Trial
	Done, Trials int
	// Passed and Expected are the time of traffic on the system clock, done and in all.
	Passed, Expected time.Duration
}

// Begin finds the other programs of the plan: what is not on this machine goes to Header.Missing, and is left out. It is an
// error when no engine is left, when a capture cannot be read and, of a run that is gone on with, when a program has another
// version or a capture has changed: what was measured before must not be pooled with it.
func (r *Run) Begin(ctx context.Context) error {
	programs, err := r.Header.Plan.Programs()
	if err != nil {
		return err
	}
	var captures []File
	for _, row := range r.Header.Plan.Scenario.Rows {
		if row.Kind != KindCapture || slices.ContainsFunc(captures, func(f File) bool { return f.Path == row.Capture }) {
			continue
		}
		info, err := os.Stat(row.Capture)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		captures = append(captures, File{row.Capture, info.Size(), info.ModTime().UTC()})
	}
	var found []Found
	var missing []Missing
	left := 0
	var why []error
	for _, name := range r.Header.Plan.Engines {
		if engineOf(r.Engines, name) != nil {
			left++
			continue
		}
		p := programs[name]
		version, err := p.Find(ctx)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			missing = append(missing, Missing{Engine: name, Why: err.Error()})
			why = append(why, err)
			continue
		}
		programs[name] = p // with what was found
		left++
		found = append(found, Found{Engine: name, Version: version})
	}
	if left == 0 {
		return fmt.Errorf("none of the engines is on this machine: %w", errors.Join(why...))
	}
	if len(r.Done) > 0 {
		if !slices.Equal(found, r.Header.Programs) {
			return fmt.Errorf("the run was begun with the programs %v; here are %v: results of the two must not be pooled", r.Header.Programs, found)
		}
		if !slices.EqualFunc(captures, r.Header.Captures, func(a, b File) bool {
			return a.Path == b.Path && a.Octets == b.Octets && a.Modified.Equal(b.Modified)
		}) {
			return fmt.Errorf("the run was begun with the captures %v; now they are %v: results of the two must not be pooled", r.Header.Captures, captures)
		}
	}
	r.Header.Programs, r.Header.Missing, r.Header.Captures = found, missing, captures
	r.programs = programs
	return nil
}

// Trials returns the trials of the run, those of missing engines left out.
func (r *Run) Trials() []Trial {
	return slices.DeleteFunc(r.Header.Plan.Trials(), func(t Trial) bool {
		return slices.ContainsFunc(r.Header.Missing, func(m Missing) bool { return m.Engine == t.Engine })
	})
}

// Left returns how many trials are not done; those that failed count as not done.
func (r *Run) Left() int {
	done, left := r.done(), 0
	for _, t := range r.Trials() {
		if _, ok := done[t]; !ok {
			left++
		}
	}
	return left
}

// Expected returns how long the trials that are not done take on the system clock, without start-up: this program's engines
// skip idle time unless Plan.Clock is "system".
func (r *Run) Expected() time.Duration {
	done := r.done()
	var sum time.Duration
	for _, t := range r.Trials() {
		if _, ok := done[t]; !ok {
			sum += r.expected(t)
		}
	}
	return sum
}

func (r *Run) done() map[Trial]struct{} {
	done := make(map[Trial]struct{}, len(r.Done))
	for i := range r.Done {
		if r.Done[i].Failure == "" { // else it is tried again
			done[r.Done[i].Trial] = struct{}{}
		}
	}
	return done
}

func (r *Run) expected(t Trial) time.Duration {
	own := engineOf(r.Engines, t.Engine) != nil
	switch {
	case t.Closed && own:
		return closedOwn
	case t.Closed:
		return closedProgram
	case own && r.Header.Plan.Clock != "system":
		return 0
	}
	return r.row(t.Row).Length()
}

func (r *Run) row(name string) *Row {
	rows := r.Header.Plan.Scenario.Rows
	return &rows[slices.IndexFunc(rows, func(row Row) bool { return row.Name == name })]
}

// Length is how long the traffic of the row lasts; 0 of a capture that is fed once.
func (r *Row) Length() time.Duration {
	if r.Datagrams == 0 || r.Kind == KindCapture {
		return seconds(max(r.Seconds, r.CutSeconds))
	}
	each, rate := 8*float64(r.Payload), r.BitPerSecond // of a datagram
	switch {
	case r.Kind == "syn":
		each, rate = 1, r.PPS
	case r.Kind == "tcp":
		each = 8 * (128 << 10) // a write of iperf3
	case r.Payload == 0 && r.Link == "loopback":
		each = 8 * 32768 // what iperf3 takes itself
	case r.Payload == 0:
		each = 8 * 1448
	}
	if !(rate > 0) {
		return seconds(r.Seconds)
	}
	return seconds(min(float64(r.Datagrams)*each/rate, maxSeconds))
}

// Measure runs all trials that are not done. A program that fails in a trial leaves a record of that, and the run goes on. Cancelled, it
// returns ctx's error; the records that were made until then are with OnRecord.
func (r *Run) Measure(ctx context.Context) error {
	trials, done := r.Trials(), r.done()
	p := Progress{Trials: len(trials)}
	for _, t := range trials {
		p.Expected += r.expected(t)
	}
	for _, t := range trials {
		p.Trial = t
		if _, ok := done[t]; !ok {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if r.Progress != nil {
				r.Progress(p)
			}
			rec, err := r.trial(ctx, t)
			if err != nil {
				return fmt.Errorf("%s, %s, repeat %d: %w", t.Row, t.Engine, t.Repeat, err)
			}
			if err := r.OnRecord(&rec); err != nil {
				return err
			}
		}
		p.Done++
		p.Passed += r.expected(t)
	}
	if r.Progress != nil {
		r.Progress(p)
	}
	return nil
}

// trial runs one trial, again if the host spoiled it.
func (r *Run) trial(ctx context.Context, t Trial) (rec Record, err error) {
	plan := &r.Header.Plan
	req := request{Row: *r.row(t.Row), Trial: t, Queue: plan.Queue, Clock: plan.Clock, Seed: plan.Seed}
	if req.Queue == "" {
		req.Queue = QueueOf(t.Engine)
	}
	own := engineOf(r.Engines, t.Engine) != nil
	if t.Closed {
		if req.Closed = int64(closedProgram); own {
			req.Closed = int64(closedOwn)
		}
	}
	for n := 1; n <= attempts; n++ {
		switch {
		case !own:
			rec, err = req.program(ctx, r.programs[t.Engine])
		case plan.InProcess:
			rec, err = req.measure(ctx, r.Engines)
		default:
			rec, err = req.inChild(ctx)
		}
		if err != nil {
			return rec, err
		}
		rec.Attempts = n
		rec.Marks = rec.marks()
		if !slices.Contains(rec.Marks, trial.MarkHostLimited) {
			break
		}
	}
	return rec, nil
}

// marks lists the doubts about a record.
func (r *Record) marks() []string {
	if r.Failure != "" {
		return []string{MarkFailed}
	}
	var marks []string
	if r.Result.HostLimited() {
		marks = append(marks, trial.MarkHostLimited)
	}
	if r.Result.FeedShare() > trial.FeedLimit {
		marks = append(marks, trial.MarkFeedLimited)
	}
	if r.Result.Unsent > 0 {
		marks = append(marks, trial.MarkUnsent)
	}
	if served := r.Result.Offered - r.Result.Dropped; !r.Closed && r.Counts.Packets != served {
		marks = append(marks, MarkMiscounts)
	}
	return marks
}

// program runs a trial of another program.
func (req *request) program(ctx context.Context, p external.Program) (rec Record, err error) {
	rec = Record{Schema: Schema, Trial: req.Trial, Queue: req.Queue, Clock: "system"}
	queue, err := replay.ParseQueue(req.Queue)
	if err != nil {
		return rec, err
	}
	t, err := openTraffic(ctx, &req.Row, req.Seed)
	if err != nil {
		return rec, err
	}
	defer t.close()
	if t.frames != nil && len(t.frames.Links()) > 1 {
		return rec, fmt.Errorf("%s has frames of several link types, and another program reads a stream of one: split the capture", req.Row.Capture)
	}
	closed := time.Duration(req.Closed)
	cfg := replay.Config{Queue: queue, Drain: drain}
	if err := t.load(&cfg, closed); err != nil {
		return rec, err
	}
	src, err := t.source(closed)
	if err != nil {
		return rec, err
	}
	rec.Started = time.Now().UTC()
	process, err := p.Start(ctx, external.Config{Link: t.link()})
	var out external.Outcome
	if err == nil {
		defer func() { err = errors.Join(err, process.Close()) }()
		if _, err = process.Run(ctx, cfg, src); err == nil {
			out, err = process.Finish(ctx, finish)
		}
	}
	if err != nil && ctx.Err() == nil {
		rec.Failure = err.Error()
		return rec, nil
	}
	if err != nil {
		return rec, err
	}
	rec.Result, rec.Program = out.Result, &out
	rec.Counts.Packets = out.Packets
	if out.TCPKnown {
		rec.Counts.TCP = &out.TCP
	}
	u := &out.Usage
	rec.Cost = Cost{
		StartUpNs: u.StartUp.WallNs, TrafficNs: u.Traffic.WallNs,
		TrafficCPU: &u.Traffic.CPUNs, TrafficChildrenCPU: &u.Traffic.ChildrenCPUNs,
		WholeCPU: &u.Whole.CPUNs, WholeChildrenCPU: &u.Whole.ChildrenCPUNs,
		PeakOctets: u.Session.PeakOctets, TreePeakOctets: u.Session.SumPeakOctets,
	}
	// The largest sum that was sampled may have missed a peak that the kernel noted.
	if peak, sum := rec.Cost.PeakOctets, rec.Cost.TreePeakOctets; peak != nil && (sum == nil || *sum < *peak) {
		rec.Cost.TreePeakOctets = peak
	}
	return rec, nil
}
