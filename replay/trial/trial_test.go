//go:build unix

package trial_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/flow"
	"pcaplab/parse/gopkt"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// slow takes about a microsecond and more per packet, whatever the machine, by going over the frame again and again.
type slow struct {
	parse.Parser
	sum byte
}

func (s *slow) Parse(f *parse.Frame, p *parse.Packet) error {
	for range 16 {
		for _, b := range f.Data {
			s.sum = s.sum*31 + b
		}
	}
	return s.Parser.Parse(f, p)
}

// dying ends the process at its first frame, as a parser would that is killed for its memory.
type dying struct{}

func (dying) Parse(*parse.Frame, *parse.Packet) error { os.Exit(7); return nil }

func engines() []parse.Engine {
	direct := parse.DirectEngine()
	return append(gopkt.Engines(), direct,
		parse.Engine{Name: "slow", New: func(l parse.LinkType) (parse.Parser, error) {
			p, err := direct.New(l)
			return &slow{Parser: p}, err
		}},
		parse.Engine{Name: "dying", New: func(parse.LinkType) (parse.Parser, error) { return dying{}, nil }},
	)
}

func stages() []parse.StageKind {
	return []parse.StageKind{flow.Kind(flow.Config{}), feature.Kind(), reading()}
}

func TestMain(m *testing.M) {
	if served, err := trial.Serve(engines(), stages()); served {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func frames(t testing.TB, profile string, n int) *arena.Frames {
	t.Helper()
	fr, err := synth.Build(context.Background(), profile, 1, n, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fr.Close() })
	return fr
}

func size(fr *arena.Frames) int64 { return int64(fr.Octets()) + 24*int64(fr.Len()) }

func TestWorkingSet(t *testing.T) {
	fr := frames(t, "iot-1", 5000) // about 2 MB
	for _, tt := range []struct {
		name     string
		cache    string
		caches   trial.Caches
		limit    int64
		same     bool // the capture itself
		min, max int64
		llc      bool
	}{
		{"hot, larger than half of L2", trial.CacheHot, trial.Caches{L2: 1 << 20}, 1 << 30, false, 400 << 10, 512 << 10, false},
		{"hot, small enough", trial.CacheHot, trial.Caches{L2: 64 << 20}, 1 << 30, true, 0, 32 << 20, false},
		{"cold, larger than four times the last level", trial.CacheCold, trial.Caches{LLC: 100 << 10}, 1 << 30, true, 400 << 10, 4 << 20, false},
		{"cold, must be repeated", trial.CacheCold, trial.Caches{LLC: 8 << 20}, 1 << 30, false, 32 << 20, 36 << 20, false},
		{"cold, no room", trial.CacheCold, trial.Caches{LLC: 8 << 20}, 8 << 20, false, 4 << 20, 8 << 20, true},
		{"cold, no room for two", trial.CacheCold, trial.Caches{LLC: 8 << 20}, 1 << 20, true, 1 << 20, 4 << 20, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, llc, err := trial.WorkingSet(fr, trial.WorkingSetConfig{Cache: tt.cache, Caches: tt.caches, MemoryLimit: tt.limit})
			if err != nil {
				t.Fatal(err)
			}
			if set != fr {
				defer set.Close()
			}
			if (set == fr) != tt.same || llc != tt.llc || size(set) < tt.min || size(set) > tt.max {
				t.Errorf("%d octets, same %v, llc %v; want %d to %d, %v, %v", size(set), set == fr, llc, tt.min, tt.max, tt.same, tt.llc)
			}
		})
	}
	if _, _, err := trial.WorkingSet(fr, trial.WorkingSetConfig{Cache: "lukewarm", MemoryLimit: 1}); err == nil || !strings.Contains(err.Error(), "lukewarm") {
		t.Errorf("unknown state: %v", err)
	}
}

// count parses all frames.
func count(t testing.TB, fr *arena.Frames) parse.Counters {
	t.Helper()
	pl := parse.NewPipeline(parse.DirectEngine())
	var f parse.Frame
	for i := range fr.Len() {
		fr.Frame(i, &f)
		if err := pl.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	return pl.Counters()
}

func TestHotSampleKeepsTheShares(t *testing.T) {
	fr := frames(t, "iot-1", 50_000)
	hot, _, err := trial.WorkingSet(fr, trial.WorkingSetConfig{Cache: trial.CacheHot, Caches: trial.Caches{L2: 4 << 20}, MemoryLimit: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer hot.Close()
	all, some := count(t, fr), count(t, hot)
	share := func(c parse.Counters, n uint64) float64 { return float64(n) / float64(c.Frames) }
	for name, pair := range map[string][2]float64{
		"tcp":  {share(all, all.TCP), share(some, some.TCP)},
		"udp":  {share(all, all.UDP), share(some, some.UDP)},
		"ipv6": {share(all, all.IPv6), share(some, some.IPv6)},
	} {
		if d := pair[0] - pair[1]; d > 0.03 || d < -0.03 {
			t.Errorf("%s: %.3f of the capture, %.3f of the sample", name, pair[0], pair[1])
		}
	}
}

func TestSplitKeepsFlowsAndOrder(t *testing.T) {
	fr := frames(t, "iot-1", 20_000)
	parts, err := trial.Split(fr, 3)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := parse.DirectEngine().New(parse.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	where := make(map[parse.FiveTuple]int)
	for i, part := range parts {
		defer part.Close()
		total += part.Len()
		if part.Len() == 0 {
			t.Errorf("worker %d has nothing to do", i)
		}
		last := int64(0)
		var f parse.Frame
		var p parse.Packet
		for j := range part.Len() {
			part.Frame(j, &f)
			if f.UnixNano < last {
				t.Fatalf("worker %d: frame %d is out of order", i, j)
			}
			last = f.UnixNano
			if direct.Parse(&f, &p) != nil || p.Layers&(parse.LayerIPv4|parse.LayerIPv6) == 0 {
				continue
			}
			for _, tuple := range []parse.FiveTuple{p.Tuple, p.Tuple.Reverse()} {
				if other, ok := where[tuple]; ok && other != i {
					t.Fatalf("%v is at workers %d and %d", tuple, other, i)
				}
				where[tuple] = i
			}
		}
	}
	if total != fr.Len() {
		t.Errorf("%d frames of %d", total, fr.Len())
	}
	if _, err := trial.Split(fr, 0); err == nil {
		t.Error("split over no worker")
	}
}

func cell(engine string) trial.Cell {
	return trial.Cell{Engine: engine, Size: trial.Captured, Cache: trial.CacheHot, Workers: 1}
}

func runner(t *testing.T, engine string, s trial.Settings, parts ...*arena.Frames) *trial.Runner {
	t.Helper()
	for _, e := range engines() {
		if e.Name == engine {
			c := cell(engine)
			c.Workers = len(parts)
			r, err := trial.NewRunner(e, nil, s, c, parts, 1)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
	}
	t.Fatal("no engine", engine)
	return nil
}

// consistent checks what must hold of any record.
func consistent(t *testing.T, r trial.Record) {
	t.Helper()
	res := r.Result
	if res.Intended != res.Offered+res.Unsent || res.Offered != res.Delivered+res.Dropped+res.Residual {
		t.Errorf("counts do not add up: %+v", res)
	}
	if r.Counters.Frames != res.Served {
		t.Errorf("the parser counted %d frames, the feed served %d", r.Counters.Frames, res.Served)
	}
	if res.Delivered == 0 {
		t.Error("nothing delivered")
	}
}

func TestRunnerClosedAndOpenLoop(t *testing.T) {
	fr := frames(t, "iot-1", 2000)
	for _, clock := range []string{"warp", "cpu", "system"} {
		t.Run(clock, func(t *testing.T) {
			if clock == "cpu" && runtime.GOOS != "linux" {
				t.Skip("no thread CPU clock on " + runtime.GOOS)
			}
			r := runner(t, "slow", trial.Settings{Clock: clock, Queue: "64"}, fr)
			service, err := r.Measure(context.Background(), trial.Input{Duration: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			consistent(t, service)
			if service.Kind != trial.KindService || service.Result.Dropped != 0 {
				t.Errorf("closed loop: kind %s, %d dropped", service.Kind, service.Result.Dropped)
			}
			// A host that was busy meanwhile may make this capacity a tenth of the true one.
			capacity := service.Result.DeliveredRate()
			flood, err := r.Measure(context.Background(), trial.Input{Load: 100 * capacity, Duration: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			consistent(t, flood)
			if loss := flood.Result.LossRatio(); loss < 0.5 {
				t.Errorf("a hundred times the capacity lost %.3f", loss)
			}
			if want := 100 * capacity * 0.020; float64(flood.Result.Intended) < 0.99*want || float64(flood.Result.Intended) > 1.01*want {
				t.Errorf("%d intended, want about %.0f", flood.Result.Intended, want)
			}
		})
	}
}

func TestRunnerWorkersShareTheLoad(t *testing.T) {
	parts, err := trial.Split(frames(t, "iot-1", 4000), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		defer p.Close()
	}
	for _, unit := range []string{"pps", "bit/s"} {
		r := runner(t, "direct", trial.Settings{Unit: unit}, parts...)
		load, wantPackets := 100e3, 5000.0
		if unit == "bit/s" {
			load *= 8 * float64(parts[0].WireOctets()+parts[1].WireOctets()) / float64(parts[0].Len()+parts[1].Len())
		}
		rec, err := r.Measure(context.Background(), trial.Input{Load: load, Duration: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		consistent(t, rec)
		if len(rec.Workers) != 2 || rec.Workers[0].Frames+rec.Workers[1].Frames != 4000 ||
			rec.Workers[0].Delivered+rec.Workers[1].Delivered != rec.Result.Delivered {
			t.Errorf("%s: workers %+v of %+v", unit, rec.Workers, rec.Result)
		}
		if d := float64(rec.Result.Intended) - wantPackets; d > 0.1*wantPackets || d < -0.1*wantPackets {
			t.Errorf("%s: %d intended of about %.0f", unit, rec.Result.Intended, wantPackets)
		}
	}
}

// TestTrialsGoOnThroughTheCapture: each trial begins where the last one ended, so that all of it is measured.
func TestTrialsGoOnThroughTheCapture(t *testing.T) {
	fr := frames(t, "iot-1", 1000)
	r := runner(t, "direct", trial.Settings{}, fr)
	next := 0
	for range 5 {
		rec, err := r.Measure(context.Background(), trial.Input{Load: 30_000, Duration: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		// The feed may take one frame more than it offers.
		if d := (rec.First - next + 1000) % 1000; d > 1 {
			t.Errorf("a trial begins at frame %d, the one before ended at %d", rec.First, next)
		}
		next = (rec.First + int(rec.Result.Offered)) % 1000
	}
}

func TestRecordedGapsAreScaledToTheLoad(t *testing.T) {
	fr := frames(t, "iot-1", 5000)
	for _, load := range []float64{10_000, 200_000} {
		r := runner(t, "direct", trial.Settings{Pattern: "recorded"}, fr)
		rec, err := r.Measure(context.Background(), trial.Input{Load: load, Duration: time.Duration(3 * 5000 / load * 1e9)})
		if err != nil {
			t.Fatal(err)
		}
		consistent(t, rec)
		if n := float64(rec.Result.Intended); n < 14_700 || n > 15_300 {
			t.Errorf("at %v pps %v frames were due in the time of three passes of 5000", load, n)
		}
	}
}

func TestEachTrialHasItsOwnSeed(t *testing.T) {
	s := study(t, frames(t, "iot-1", 500), "slow")
	s.Header.Settings.Pattern = "poisson"
	s.Header.InProcess = true
	seeds := make(map[uint64]bool)
	var intended []uint64
	s.Keep = func(r trial.Record) error {
		if r.Kind == trial.KindBounds {
			return nil
		}
		if seeds[r.Input.Seed] {
			t.Errorf("repeat %d: seed %d again", r.Repeat, r.Input.Seed)
		}
		seeds[r.Input.Seed] = true
		intended = append(intended, r.Result.Intended)
		return nil
	}
	s.Header.Plan.Search = trial.SearchNone
	s.Header.Plan.Rates = []trial.Rate{{Value: 100_000}}
	s.Header.Plan.Repeats = 4
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	same := true
	for i := 5; i < len(intended); i += 3 {
		same = same && intended[i] == intended[2]
	}
	if same {
		t.Errorf("the same arrivals in every repeat: %v", intended)
	}
}

func TestServiceRateOfSkewedWorkers(t *testing.T) {
	// One worker has three quarters of the frames; alone, each takes 1000 in a second. The whole is saturated when the
	// first of them is: at 1333 a second.
	r := trial.Record{Workers: []trial.WorkerCounts{
		{Frames: 75, Delivered: 1000, Duration: 1e9}, {Frames: 25, Delivered: 1000, Duration: 1e9}, {},
	}}
	if got := r.ServiceRate(); got < 1333 || got > 1334 {
		t.Errorf("%v packets a second, want 1333", got)
	}
}

func TestWaited(t *testing.T) {
	cpu := func(ns int64) meter.Usage { return meter.Usage{ThreadCPUNs: &ns, WallNs: 1000} }
	collected := cpu(500)
	collected.GCCycles = 1
	for _, tt := range []struct {
		name    string
		s       trial.Settings
		load    float64
		usage   meter.Usage
		workers int
		share   float64
		known   bool
	}{
		{"no time lost", trial.Settings{}, 0, cpu(1000), 1, 0, true},
		{"half the time lost", trial.Settings{}, 100, cpu(500), 1, 0.5, true},
		{"two workers", trial.Settings{}, 100, cpu(1500), 2, 0.25, true},
		{"closed loop on the system clock", trial.Settings{Clock: "system"}, 0, cpu(900), 1, 0.1, true},
		{"waits for due times", trial.Settings{Clock: "system"}, 100, cpu(900), 1, 0, false},
		{"ring", trial.Settings{Feed: "ring"}, 100, cpu(900), 1, 0, false},
		{"the collector ran", trial.Settings{}, 100, collected, 1, 0, false},
		{"no CPU times", trial.Settings{}, 100, meter.Usage{WallNs: 1000}, 1, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := trial.Record{Input: trial.Input{Load: tt.load}, Usage: tt.usage}
			share, known := r.Waited(&tt.s, tt.workers)
			if known != tt.known || share < tt.share-1e-9 || share > tt.share+1e-9 {
				t.Errorf("%v, %v; want %v, %v", share, known, tt.share, tt.known)
			}
		})
	}
}

// TestChildEndsWithItsParent: when the requests end in the middle of a trial, so does the process.
func TestChildEndsWithItsParent(t *testing.T) {
	settings, err := trial.Settings{}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	c, err := trial.StartChild(settings, cell("direct"), nil, []*arena.Frames{frames(t, "iot-1", 100)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	go c.Measure(context.Background(), trial.Input{Duration: time.Hour})
	time.Sleep(100 * time.Millisecond) // the trial is under way, or has yet to begin: either way it must end
	ended := make(chan error, 1)
	go func() { ended <- c.Close() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(9 * time.Second): // Close kills it only after ten
		t.Error("the process goes on")
	}
}

// TestPasses feeds a capture a number of times: whole, in order, and on wish as other hosts each time.
func TestPasses(t *testing.T) {
	fr := frames(t, "iot-1", 300)
	flows := make(map[bool]int)
	for _, move := range []bool{false, true} {
		tuples := make(map[parse.FiveTuple]bool)
		set, _, err := trial.WorkingSet(fr, trial.WorkingSetConfig{Cache: trial.CacheAsIs, MemoryLimit: 1 << 30, Passes: 3, MoveAddresses: move})
		if err != nil {
			t.Fatal(err)
		}
		defer set.Close()
		pl := parse.NewPipeline(parse.DirectEngine(), stageFunc(func(p *parse.Packet) { tuples[p.Tuple] = true }))
		var f parse.Frame
		last := int64(0)
		for i := range set.Len() {
			set.Frame(i, &f)
			if f.UnixNano < last {
				t.Fatalf("frame %d: time goes back", i)
			}
			last = f.UnixNano
			if err := pl.WriteFrame(&f); err != nil {
				t.Fatal(err)
			}
		}
		want := count(t, fr)
		if got := pl.Counters(); got.Frames != 3*want.Frames || got.TCP != 3*want.TCP || got.Malformed != 3*want.Malformed {
			t.Errorf("moved %v: %+v, want three times %+v", move, got, want)
		}
		flows[move] = len(tuples)
	}
	if flows[true] < 2*flows[false] {
		t.Errorf("%d five-tuples in three passes moved on, %d without", flows[true], flows[false])
	}
	for _, load := range []float64{0, 50_000} {
		r := runner(t, "direct", trial.Settings{Passes: 7}, fr)
		rec, err := r.Measure(context.Background(), trial.Input{Load: load, Duration: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		consistent(t, rec)
		if rec.Result.Served != 7*300 || rec.Result.Unsent != 0 {
			t.Errorf("load %v: %d served, %d unsent in 7 passes of 300", load, rec.Result.Served, rec.Result.Unsent)
		}
	}
	if _, _, err := trial.WorkingSet(fr, trial.WorkingSetConfig{Cache: trial.CacheAsIs, MemoryLimit: 1 << 16, Passes: 100}); !errors.Is(err, arena.ErrLimit) {
		t.Errorf("too many passes: %v", err)
	}
}

type stageFunc func(*parse.Packet)

func (f stageFunc) Process(_ *parse.Frame, p *parse.Packet) error { f(p); return nil }

func TestRunnerRefuses(t *testing.T) {
	fr := frames(t, "iot-1", 100)
	r := runner(t, "direct", trial.Settings{}, fr)
	for _, in := range []trial.Input{{}, {Load: -1, Duration: 1}, {Duration: -1}, {Load: 1e18, Duration: time.Second}} {
		if _, err := r.Measure(context.Background(), in); err == nil {
			t.Errorf("%+v was measured", in)
		}
	}
	_, err := trial.Settings{Clock: "sundial", Queue: "-3", Unit: "furlong", Width: 2, Batch: -1}.Normalize()
	for _, word := range []string{"sundial", "-3", "furlong", "width", "batch"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("faults do not name %s: %v", word, err)
		}
	}
}

func TestChildMeasuresTheInheritedFrames(t *testing.T) {
	fr := frames(t, "iot-1", 100_000) // 40 MB
	settings, err := trial.Settings{Stages: []string{"flow"}}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	c, err := trial.StartChild(settings, cell("direct"), nil, []*arena.Frames{fr}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rec, err := c.Measure(context.Background(), trial.Input{Duration: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	consistent(t, rec)
	if flows := rec.Stages["flow"]; flows["packets"] < rec.Counters.IPv4 || flows["seen"] == 0 {
		t.Errorf("the flow table counted %v of %d IPv4 packets", flows, rec.Counters.IPv4)
	}
	if rec.Frames != fr.Len() {
		t.Errorf("fed from %d frames, want %d", rec.Frames, fr.Len())
	}
	if !raced && rec.Usage.EnginePeakOctets != nil && *rec.Usage.EnginePeakOctets > 40<<20 {
		t.Errorf("the engine's peak of %d octets seems to hold the capture", *rec.Usage.EnginePeakOctets)
	}
	if _, err := c.Measure(context.Background(), trial.Input{Load: -5, Duration: 1}); err == nil || !strings.Contains(err.Error(), "-5") {
		t.Errorf("bad input: %v", err)
	}
}

// first is the first trial of a fresh process, in closed loop.
func first(t *testing.T, engine string, fr *arena.Frames, d time.Duration) trial.Record {
	t.Helper()
	settings, err := trial.Settings{}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	c, err := trial.StartChild(settings, cell(engine), nil, []*arena.Frames{fr}, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rec, err := c.Measure(context.Background(), trial.Input{Duration: d})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestPagesAreTouchedBeforeTheFirstTrial(t *testing.T) {
	fr := frames(t, "iot-1", 100_000)
	rec := first(t, "direct", fr, 100*time.Millisecond)
	// The kernel maps sixteen pages at a fault or so: untouched, 40 MB take some six hundred.
	if n := rec.Usage.MinorFaults; !raced && n != nil && *n > 200 {
		t.Errorf("%d page faults in the first trial on a mapping of %d octets", *n, fr.MappedOctets())
	}
}

func TestChildThatDies(t *testing.T) {
	settings, err := trial.Settings{}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	c, err := trial.StartChild(settings, cell("dying"), nil, []*arena.Frames{frames(t, "iot-1", 100)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Measure(context.Background(), trial.Input{Duration: time.Millisecond}); err == nil {
		t.Error("a dead process measured")
	}
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), "7") {
		t.Errorf("exit status is lost: %v", err)
	}
	if _, err := trial.StartChild(settings, cell("nonesuch"), nil, nil, 1); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("unknown engine: %v", err)
	}
}

func study(t *testing.T, fr *arena.Frames, engineNames ...string) *trial.Study {
	t.Helper()
	goal := search.NDR()
	goal.FinalTrialDuration, goal.InitialTrialDuration = 4*time.Millisecond, 4*time.Millisecond
	goal.DurationSum, goal.Width = 20*time.Millisecond, 0.05
	return &trial.Study{
		Header: trial.Header{
			Settings: trial.Settings{Queue: "256"}, MemoryLimit: 1 << 30, Caches: trial.Caches{L2: 1 << 20, LLC: 1 << 20},
			Plan: trial.Plan{
				Engines: engineNames, Repeats: 2, Trial: 10 * time.Millisecond, Caches: []string{trial.CacheHot},
				Search: trial.SearchMLR, Goals: []search.Goal{goal},
			},
		},
		Engines: engines(), Stages: stages(),
		Frames: func(string) (trial.Sized, error) { return trial.Sized{Frames: fr}, nil },
	}
}

func TestStudySearchesEveryCell(t *testing.T) {
	s := study(t, frames(t, "iot-1", 1000), "slow", "direct")
	s.Header.Plan.Rates = []trial.Rate{{Value: 1000}, {Value: 0.5, OfService: true}}
	var records []trial.Record
	s.Keep = func(r trial.Record) error { records = append(records, r); return nil }
	var last trial.Progress
	s.Progress = func(p trial.Progress) { last = p }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if last.Done != 4 || last.Cells != 4 {
		t.Errorf("progress ended at %d of %d", last.Done, last.Cells)
	}
	kinds := make(map[string]int)
	var order []string
	for _, r := range records {
		kinds[r.Kind]++
		if r.Kind == trial.KindWarmUp {
			order = append(order, fmt.Sprint(r.Cell.Engine, r.Repeat))
		}
		if r.Kind == trial.KindBounds && (r.Bounds.Lower == nil && r.Bounds.Upper == nil) {
			t.Errorf("%v: no bound at all: %+v", r.Cell, r.Bounds)
		}
		// A record must say the same after it was written and read.
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back trial.Record
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("%v\n%s\n%s", err, text, again)
		}
	}
	if kinds[trial.KindWarmUp] != 4 || kinds[trial.KindService] != 4 || kinds[trial.KindBounds] != 4 {
		t.Errorf("records %v", kinds)
	}
	if want := []string{"slow1", "direct1", "slow2", "direct2"}; !reflect.DeepEqual(order, want) {
		t.Errorf("order %v, want %v: repeats interleave the engines", order, want)
	}
}

// TestStudyResumes cuts a study after every possible number of records in turn.
func TestStudyResumes(t *testing.T) {
	fr := frames(t, "iot-1", 500)
	var whole []trial.Record
	s := study(t, fr, "slow")
	s.Header.InProcess = true
	s.Keep = func(r trial.Record) error { whole = append(whole, r); return nil }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 2, len(whole) / 2, len(whole) - 1, len(whole)} {
		s := study(t, fr, "slow")
		s.Header.InProcess = true
		s.Done = whole[:cut:cut]
		kept := append([]trial.Record{}, s.Done...)
		s.Keep = func(r trial.Record) error { kept = append(kept, r); return nil }
		if err := s.Run(context.Background()); err != nil {
			t.Fatalf("after %d of %d records: %v", cut, len(whole), err)
		}
		bounds := 0
		for i, r := range kept {
			if i < cut && !reflect.DeepEqual(r, whole[i]) {
				t.Errorf("record %d changed", i)
			}
			if r.Kind == trial.KindBounds {
				bounds++
			}
		}
		if bounds != 2 {
			t.Errorf("after %d records: %d bounds, want 2", cut, bounds)
		}
	}
	s = study(t, fr, "direct")
	s.Header.InProcess = true
	s.Done = whole
	s.Keep = func(trial.Record) error { t.Error("something was measured"); return nil }
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "another plan") {
		t.Errorf("records of another engine: %v", err)
	}
}

func TestStudyInterrupted(t *testing.T) {
	for _, inProcess := range []bool{true, false} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s := study(t, frames(t, "iot-1", 500), "slow")
		s.Header.InProcess = inProcess
		kept := 0
		s.Keep = func(trial.Record) error {
			if kept++; kept == 3 {
				cancel()
			}
			return nil
		}
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("in process %v: %v", inProcess, err)
		}
		if kept != 3 {
			t.Errorf("in process %v: %d records kept, want those before the interruption: 3", inProcess, kept)
		}
	}
}

func TestStudyReportsAllFaultsAtOnce(t *testing.T) {
	s := study(t, nil, "nonesuch")
	s.Header.Settings.Clock = "sundial"
	s.Header.Settings.Stages = []string{"encore"}
	s.Header.Plan.Caches = []string{"lukewarm"}
	s.Header.Plan.Workers = []int{0}
	s.Header.Plan.Search = "dowsing"
	s.Header.Plan.Engines = append(s.Header.Plan.Engines, "direct", "direct")
	s.Header.Plan.Repeats, s.Header.Plan.Trial, s.Header.Plan.MaxLoad = 1_000_000, time.Nanosecond, -1
	err := s.Run(context.Background())
	for _, word := range []string{"nonesuch", "sundial", "encore", "lukewarm", "0 workers", "dowsing", "direct is named twice",
		"1000000 repeats", "trials of 1ns", "max load -1"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named: %v", word, err)
		}
	}
}

// TestCaptureSizeDoesNotChangeTheCollector holds what the arena is for: beside a large capture the collector runs as often as
// beside a small one. In the Go heap it would run fifty times less often; a busy host moves it by some tenths. See
// BenchmarkCollector for how close it is.
func TestCaptureSizeDoesNotChangeTheCollector(t *testing.T) {
	if testing.Short() {
		t.Skip("loads 200 MB")
	}
	perMillion := func(n int) float64 {
		rec := first(t, "gopacket-eager", frames(t, "syn-60", n), 400*time.Millisecond)
		return float64(rec.Usage.GCCycles) / float64(rec.Result.Delivered) * 1e6
	}
	small, large := perMillion(10_000), perMillion(2_000_000)
	if ratio := large / small; !(ratio > 0.6 && ratio < 1.7) {
		t.Errorf("collections per million packets: %.1f beside 1 MB, %.1f beside 170 MB", small, large)
	}
}
