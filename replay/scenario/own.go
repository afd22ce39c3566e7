package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
)

// childVariable is set in the environment of a measuring process.
const childVariable = "PCAPLAB_SCENARIO"

// request is what a measuring process reads from its standard input; it answers with a reply on standard output.
type request struct {
	Row    Row    `json:"row"`
	Trial  Trial  `json:"trial"`
	Queue  string `json:"queue"`
	Clock  string `json:"clock"`
	Seed   uint64 `json:"seed"`
	Closed int64  `json:"closed_ns"`
}

type reply struct {
	Record *Record `json:"record,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Serve turns this process into a measuring process if it was started as one by a run, and returns true when it has served. A
// program that runs scenarios calls it first in main, with all its engines, and exits when it was true.
func Serve(engines []parse.Engine) (served bool, err error) {
	if os.Getenv(childVariable) == "" {
		return false, nil
	}
	signal.Ignore(os.Interrupt) // what to do about it is the parent's decision
	var req request
	if err := json.NewDecoder(os.Stdin).Decode(&req); err != nil {
		return true, fmt.Errorf("measuring process: request: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // the parent's end, however it came, closes the pipe
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var answer reply
	rec, err := req.measure(ctx, engines)
	if err != nil {
		answer.Error = err.Error()
	} else {
		answer.Record = &rec
	}
	return true, json.NewEncoder(os.Stdout).Encode(answer)
}

// inChild measures in a fresh process of this program.
func (req *request) inChild(ctx context.Context) (Record, error) {
	program, err := os.Executable()
	if err != nil {
		return Record{}, err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe() // open until the answer is there
	if err != nil {
		return Record{}, err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		stdin.Close()
		return Record{}, fmt.Errorf("start a measuring process: %w; --in-process measures without one", err)
	}
	defer stdin.Close()
	sent := json.NewEncoder(stdin).Encode(req)
	waited := cmd.Wait()
	if ctx.Err() != nil {
		return Record{}, context.Cause(ctx)
	}
	var answer reply
	if err := errors.Join(sent, waited); err != nil {
		return Record{}, fmt.Errorf("the measuring process ended early (killed, or out of memory?): %w", err)
	}
	switch err := json.Unmarshal(out.Bytes(), &answer); {
	case err != nil:
		return Record{}, fmt.Errorf("the measuring process answered %.80q: %w", out.String(), err)
	case answer.Error != "":
		return Record{}, errors.New(answer.Error)
	case answer.Record == nil:
		return Record{}, errors.New("the measuring process answered without a record")
	}
	return *answer.Record, nil
}

// measure runs a trial of one of this program's engines in this process.
func (req *request) measure(ctx context.Context, engines []parse.Engine) (Record, error) {
	rec := Record{Schema: Schema, Trial: req.Trial, Queue: req.Queue, Clock: req.Clock}
	engine := engineOf(engines, req.Trial.Engine)
	if engine == nil {
		return rec, fmt.Errorf("no engine %q in this program", req.Trial.Engine)
	}
	queue, err := replay.ParseQueue(req.Queue)
	if err != nil {
		return rec, err
	}
	clock, err := replay.NewClock(req.Clock)
	if err != nil {
		return rec, err
	}
	t, err := openTraffic(ctx, &req.Row, req.Seed)
	if err != nil {
		return rec, err
	}
	defer t.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cfg := replay.Config{Queue: queue, Clock: clock, Stamp: replay.StampDue, Drain: drain}
	closed := time.Duration(req.Closed)
	if err := t.load(&cfg, closed); err != nil {
		return rec, err
	}
	if cfg.FeedCost, err = t.feedCost(ctx, cfg); err != nil {
		return rec, err
	}
	if err := t.load(&cfg, closed); err != nil { // a pacer has state
		return rec, err
	}
	src, err := t.source(closed)
	if err != nil {
		return rec, err
	}
	pipeline := parse.NewPipeline(*engine)
	runtime.GC()
	rec.Started = time.Now().UTC()
	m, err := meter.Start(meter.Config{MappedOctets: t.mapped()})
	if err != nil {
		return rec, err
	}
	feed := replay.Feed{Config: cfg}
	result, err := feed.Run(ctx, src, pipeline)
	usage := m.Stop()
	if err != nil {
		return rec, err
	}
	counters := pipeline.Counters()
	rec.Result, rec.Usage, rec.Counters = result, &usage, &counters
	rec.Counts = Counts{Packets: counters.Frames, TCP: &counters.TCP}
	rec.Cost = ownCost(&result, &usage)
	if t.frames != nil { // a capture in memory is not the engine's
		rec.Cost.PeakOctets, rec.Cost.TreePeakOctets = usage.EnginePeakOctets, usage.EnginePeakOctets
	}
	return rec, nil
}

// ownCost is what the engine took of the process: the time in service, by the thread's CPU time where the host stalled it,
// without the feed's part, and what other threads did meanwhile, which is collecting garbage.
func ownCost(r *replay.Result, u *meter.Usage) Cost {
	c := Cost{TrafficNs: int64(r.Duration), PeakOctets: u.PeakOctets, TreePeakOctets: u.PeakOctets}
	if u.ProcessCPUNs == nil || u.ThreadCPUNs == nil {
		return c
	}
	service := min(int64(r.Busy), *u.ThreadCPUNs) - int64(r.FeedTime)
	if service <= 0 {
		return c // less than the feed's cost is known to
	}
	cpu := service + max(0, *u.ProcessCPUNs-*u.ThreadCPUNs)
	none := int64(0)
	c.TrafficCPU, c.TrafficChildrenCPU, c.WholeCPU, c.WholeChildrenCPU = &cpu, &none, &cpu, &none
	return c
}
