package live_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/live"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// slow takes tens of microseconds and more a packet, whatever the machine.
type slow struct {
	parse.Parser
	sum byte
}

func (s *slow) Parse(f *parse.Frame, p *parse.Packet) error {
	for range 256 {
		for _, b := range f.Data[:60] {
			s.sum = s.sum*31 + b
		}
	}
	return s.Parser.Parse(f, p)
}

// dying ends the process at its first frame.
type dying struct{}

func (dying) Parse(*parse.Frame, *parse.Packet) error { os.Exit(7); return nil }

func engines() []parse.Engine {
	direct := parse.DirectEngine()
	return []parse.Engine{direct,
		{Name: "slow", New: func(l parse.LinkType) (parse.Parser, error) {
			p, err := direct.New(l)
			return &slow{Parser: p}, err
		}},
		{Name: "dying", New: func(parse.LinkType) (parse.Parser, error) { return dying{}, nil }},
	}
}

func TestMain(m *testing.M) {
	for _, serve := range []func() (bool, error){
		func() (bool, error) { return live.Serve(engines()) },
		func() (bool, error) { return trial.Serve(engines(), nil) },
	} {
		if served, err := serve(); served {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

func frames(t *testing.T, n int) *arena.Frames {
	t.Helper()
	fr, err := synth.Build(context.Background(), "iot-1", 1, n, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fr.Close() })
	return fr
}

// measure runs a plan; where the test is not permitted to, it is skipped.
func measure(t *testing.T, ctx context.Context, plan live.Plan, on func(*live.Record)) ([]live.Record, error) {
	t.Helper()
	before, err := netlab.Links()
	if err != nil {
		t.Fatal(err)
	}
	var records []live.Record
	run := live.Run{
		Header:  live.Header{Plan: plan, MemoryLimit: 1 << 30, Caches: trial.Caches{L2: 1 << 20, LLC: 1 << 20}},
		Engines: engines(), Frames: frames(t, 2000),
		OnRecord: func(r *live.Record) error {
			records = append(records, *r)
			if on != nil {
				on(r)
			}
			return nil
		},
	}
	err = run.Measure(ctx)
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if after, linksErr := netlab.Links(); linksErr != nil || !slices.Equal(before, after) {
		t.Errorf("interfaces here are %v, were %v; %v", after, before, linksErr)
	}
	return records, err
}

func plan(engines ...string) live.Plan {
	return live.Plan{
		Engines: engines, Repeats: 1, Trial: 100 * time.Millisecond, Rates: []float64{2000}, Cache: trial.CacheAsIs,
		Ring: receive.Config{BlockOctets: 64 << 10, Blocks: 64},
	}
}

// adds checks what must hold of any trial.
func adds(t *testing.T, r *live.Record) {
	t.Helper()
	x := r.Trial
	if int64(x.Sent) != int64(x.Parsed+x.SocketDrops+x.InterfaceDrops+x.InRing)+x.Unexplained {
		t.Errorf("%s: counts do not add up: %+v", r.Kind, x.Counts)
	}
	if x.Sent == 0 || x.Sent != x.Sender.Sent {
		t.Errorf("%s: sent %d, %d by the sender", r.Kind, x.Sent, x.Sender.Sent)
	}
	if r.Kind == live.KindAlone {
		return
	}
	if x.Parsed != x.Parser.Frames-x.Late || x.Receiver.Frames+x.Receiver.Skipped != x.Parsed+x.InRing {
		t.Errorf("%s: parsed %d and %d late, in ring %d; the parser counted %d, the receiver %+v", r.Kind, x.Parsed, x.Late, x.InRing, x.Parser.Frames, x.Receiver)
	}
	if x.Receiver.Seen != x.Receiver.Frames+x.Receiver.Skipped+x.Receiver.Dropped {
		t.Errorf("%s: the socket saw %d: %+v", r.Kind, x.Receiver.Seen, x.Receiver)
	}
	if x.Unexplained != 0 {
		t.Errorf("%s: %d unexplained: %+v, interfaces %+v and %+v", r.Kind, x.Unexplained, x.Counts, x.TxCounts, x.RxCounts)
	}
	if x.Usage == nil || x.Usage.ThreadCPUNs == nil {
		t.Errorf("%s: no CPU time", r.Kind)
	}
}

func of(records []live.Record, kind string) (found []live.Record) {
	for _, r := range records {
		if r.Kind == kind {
			found = append(found, r)
		}
	}
	return found
}

func TestMeasureWithoutSearch(t *testing.T) {
	records, err := measure(t, context.Background(), plan("direct"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for i := range records {
		r := &records[i]
		kinds = append(kinds, r.Kind)
		if r.Trial != nil {
			adds(t, r)
		}
		if r.Engine != "direct" || r.Repeat != 1 || r.Schema != live.Schema {
			t.Errorf("%+v", r)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again live.Record
		if err := json.Unmarshal(b, &again); err != nil || again.Kind != r.Kind || again.Trial != nil && again.Trial.Counts != r.Trial.Counts {
			t.Errorf("as JSON: %v", err)
		}
	}
	if got, want := strings.Join(kinds, " "), "alone top rate memory memory memory memory"; got != want {
		t.Fatalf("records %s, want %s", got, want)
	}
	rate := of(records, live.KindRate)[0].Trial
	if rate.Sent+rate.Sender.Missed != 200 || rate.Parsed != rate.Sent || rate.LossRatio() != 0 {
		t.Errorf("200 frames in a tenth of a second: %+v", rate.Counts)
	}
	memory := of(records, live.KindMemory)
	if memory[1].Memory.Kind != trial.KindService || memory[2].Memory.Input.Load != 2000 || memory[2].Memory.Settings.Queue != "4194304B:tpacket3" {
		t.Errorf("in memory: %+v", memory)
	}
	if top := of(records, live.KindTop)[0].Trial; top.CopyNs <= 0 || top.Receiver.Blocks == 0 || top.Softirqs.NetRx == 0 {
		t.Errorf("top speed: copy %v, %+v, %+v", top.CopyNs, top.Receiver, top.Softirqs)
	}
}

// A rate that no sender reaches ends with the trial, and what was not sent is the sender's shortfall, no loss.
func TestRateThatTheSenderCannotKeep(t *testing.T) {
	p := plan("direct")
	p.Rates = []float64{1e8}
	records, err := measure(t, context.Background(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := of(records, live.KindRate)[0]
	adds(t, &r)
	x := r.Trial
	// One frame more or less is rounding.
	if due := x.Sender.Frames + x.Shortfall; x.Shortfall == 0 || x.Shortfall != x.Sender.Missed || due < 1e7-1 || due > 1e7+1 {
		t.Errorf("sent %d, shortfall %d, the sender %+v", x.Sent, x.Shortfall, x.Sender)
	}
}

// A parser that cannot keep up loses frames, and each is found again: dropped by the socket, mostly.
func TestOverloadIsAccountedFor(t *testing.T) {
	p := plan("slow")
	p.Rates = nil
	p.Ring.Blocks = 4
	records, err := measure(t, context.Background(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if records[i].Trial != nil {
			adds(t, &records[i])
		}
	}
	top := of(records, live.KindTop)[0].Trial
	if top.SocketDrops == 0 || top.Lost() < top.Sent/2 {
		t.Errorf("%+v, %+v, elapsed %v", top.Counts, top.Receiver, top.Sender.Elapsed)
	}
}

func TestMeasureSearches(t *testing.T) {
	p := plan("slow", "direct")
	p.Rates = nil
	goal, err := search.ParseGoal("pdr:0.5%:trial=50ms:sum=100ms:width=20%", search.Goal{})
	if err != nil {
		t.Fatal(err)
	}
	p.Goal = goal
	records, err := measure(t, context.Background(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		if records[i].Trial != nil {
			adds(t, &records[i])
		}
	}
	bounds := of(records, live.KindBounds)
	if len(bounds) != 2 || bounds[0].Bounds == nil || bounds[0].Engine != "slow" || bounds[1].Engine != "direct" {
		t.Fatalf("bounds: %+v", bounds)
	}
	if b := bounds[0].Bounds; b.Lower == nil || b.Upper == nil {
		t.Errorf("of the slow parser: %+v", b)
	}
	inMemory := 0
	for _, r := range of(records, live.KindMemory) {
		if r.Memory.Kind == trial.KindBounds {
			inMemory++
		}
	}
	if inMemory != 2 {
		t.Errorf("%d bounds in memory", inMemory)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := plan("direct")
	p.Rates = nil
	goal, err := search.ParseGoal("ndr:trial=1h:sum=1h", search.Goal{})
	if err != nil {
		t.Fatal(err)
	}
	p.Goal = goal
	stuck := time.AfterFunc(time.Minute, func() { panic("cancelled, and in its trial of an hour still") })
	defer stuck.Stop()
	records, err := measure(t, ctx, p, func(r *live.Record) {
		if r.Kind == live.KindTop { // the search is next
			time.AfterFunc(300*time.Millisecond, cancel)
		}
	})
	if !errors.Is(err, context.Canceled) || len(records) != 2 {
		t.Errorf("cancelled: %v after %d records", err, len(records))
	}
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tasks {
		if left, err := os.ReadFile(file); err == nil && len(bytes.TrimSpace(left)) > 0 {
			t.Errorf("processes %s are left", left)
		}
	}
}

func TestReceiverDies(t *testing.T) {
	records, err := measure(t, context.Background(), plan("dying"), nil)
	if err == nil || !strings.Contains(err.Error(), "receiver ended early") {
		t.Errorf("%v after %d records", err, len(records))
	}
}

func TestErrorOfOnRecordEndsTheRun(t *testing.T) {
	before, err := netlab.Links()
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	run := live.Run{Header: live.Header{Plan: plan("direct"), MemoryLimit: 1 << 30}, Engines: engines(), Frames: frames(t, 10),
		OnRecord: func(*live.Record) error { return full }}
	err = run.Measure(context.Background())
	if errors.Is(err, netlab.ErrNotPermitted) && os.Getenv("PCAPLAB_REQUIRE_ROOT") != "1" {
		t.Skip(err)
	}
	if !errors.Is(err, full) {
		t.Error(err)
	}
	if after, err := netlab.Links(); err != nil || !slices.Equal(before, after) {
		t.Errorf("interfaces here are %v, were %v; %v", after, before, err)
	}
}
