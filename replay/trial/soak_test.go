//go:build unix

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial/search"
)

// oven is a simulated machine: it warms while it measures and cools while it waits, and what it takes a second follows from
// its temperature. Its clock is its own.
type oven struct {
	time    time.Duration
	celsius float64
	sensor  bool
	rate    func(celsius float64) float64 // packets a second
	overrun time.Duration                 // beside each trial
	waits   int
	cell    Cell
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (o *oven) milli() *int64 {
	if !o.sensor {
		return nil
	}
	v := int64(1000 * o.celsius)
	return &v
}

// go on for d towards the temperature that it would reach.
func (o *oven) pass(d time.Duration, towards float64) {
	o.time += d
	for range int(d / (100 * time.Millisecond)) {
		o.celsius += (towards - o.celsius) * 0.1 / 60
	}
}

func (o *oven) Measure(ctx context.Context, in Input) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	rate := o.rate(o.celsius)
	rec := Record{Schema: Schema, Kind: KindTrial, Cell: o.cell, Input: in, Started: epoch.Add(o.time)}
	rec.Usage.TemperatureBeforeMilliC = o.milli()
	n := uint64(rate * in.Duration.Seconds())
	rec.Result = replay.Result{Intended: n, Offered: n, Delivered: n, Duration: in.Duration, Elapsed: in.Duration}
	if in.Load > 0 {
		rec.Result.Intended = uint64(in.Load * in.Duration.Seconds())
		rec.Result.Offered = rec.Result.Intended
		rec.Result.Delivered = min(n, rec.Result.Intended)
		rec.Result.Dropped = rec.Result.Intended - rec.Result.Delivered
	}
	rec.Counters = parse.Counters{Frames: rec.Result.Delivered, Octets: 100 * rec.Result.Delivered, WireOctets: 100 * rec.Result.Delivered}
	o.pass(in.Duration+o.overrun, 90)
	rec.Usage.WallNs = int64(in.Duration)
	rec.Usage.TemperatureAfterMilliC = o.milli()
	return rec, nil
}

func (o *oven) Close() error { return nil }

func (o *oven) board() *board {
	return &board{
		now:         func() time.Time { return epoch.Add(o.time) },
		temperature: o.milli,
		wait: func(ctx context.Context, d time.Duration) error {
			o.waits++
			o.pass(d, 40)
			return ctx.Err()
		},
		start: func(c Cell) (Measurer, error) { o.cell = c; return o, nil },
	}
}

// throttling holds its rate up to 80 °C.
func throttling(celsius float64) float64 {
	if celsius > 80 {
		return 7e5
	}
	return 1e6
}

func soakStudy(t *testing.T, o *oven, soak time.Duration, engines ...string) *Study {
	t.Helper()
	fr, err := synth.Build(context.Background(), "iot-1", 1, 100, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fr.Close() })
	goal := search.NDR()
	goal.FinalTrialDuration, goal.InitialTrialDuration = 200*time.Millisecond, 200*time.Millisecond
	goal.DurationSum, goal.Width = 2*time.Second, 0.01
	var known []parse.Engine
	for _, name := range engines {
		known = append(known, parse.Engine{Name: name, New: parse.DirectEngine().New})
	}
	return &Study{
		Header: Header{
			MemoryLimit: 1 << 30,
			Plan: Plan{
				Engines: engines, Repeats: 1, Trial: 200 * time.Millisecond, Caches: []string{CacheAsIs}, Soak: soak,
				Search: SearchMLR, Goals: []search.Goal{goal},
			},
			Environment: meter.Environment{TemperatureMilliC: o.milli()},
		},
		Engines: known, board: o.board(),
		Frames: func(string) (Sized, error) { return Sized{Frames: fr}, nil },
	}
}

func runSoak(t *testing.T, s *Study) []Record {
	t.Helper()
	records := append([]Record{}, s.Done...)
	s.Keep = func(r Record) error { records = append(records, r); return nil }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestSoakMeasuresFirstAndLastWindow(t *testing.T) {
	o := &oven{celsius: 45, sensor: true, rate: throttling, overrun: 5 * time.Millisecond}
	records := runSoak(t, soakStudy(t, o, 10*time.Minute, "direct"))
	var phases []string
	bounds := map[string]float64{}
	for i, r := range records {
		if len(phases) == 0 || phases[len(phases)-1] != r.Input.Phase {
			phases = append(phases, r.Input.Phase)
		}
		if i > 0 && r.Kind != KindBounds && r.Kind != KindSoak && r.At < records[i-1].At {
			t.Fatalf("record %d is at %v, the one before at %v", i, r.At, records[i-1].At)
		}
		late := 500 * time.Millisecond // a trial that began before the end of its window
		switch r.Input.Phase {
		case PhaseFirst:
			if r.At > time.Minute {
				t.Errorf("the first window has a trial at %v", r.At)
			}
		case PhaseSoak:
			if r.Kind != KindService || r.At < time.Minute || r.At > 9*time.Minute {
				t.Errorf("between the windows: a %s at %v", r.Kind, r.At)
			}
		case PhaseLast:
			if r.Kind != KindBounds && (r.At < 9*time.Minute || r.At > 10*time.Minute+late) {
				t.Errorf("the last window has a trial at %v", r.At)
			}
		}
		if r.Kind == KindBounds {
			bounds[r.Input.Phase] = *r.Bounds.Lower
		}
	}
	if want := []string{"", PhaseFirst, PhaseSoak, PhaseLast, ""}; !reflect.DeepEqual(phases, want) {
		t.Errorf("phases %q, want %q", phases, want)
	}
	last := records[len(records)-1]
	if records[0].Kind != KindWarmUp || records[0].At != 0 || last.Kind != KindSoak || last.Cooling != nil {
		t.Errorf("begins with a %s at %v, ends with %+v", records[0].Kind, records[0].At, last)
	}
	if first := bounds[PhaseFirst]; first < 0.98e6 || first > 1e6 {
		t.Errorf("first window: %v, the machine took 1e6", first)
	}
	if last := bounds[PhaseLast]; last < 0.68e6 || last > 0.7e6 {
		t.Errorf("last window: %v, the machine took 7e5", last)
	}
	if o.time < 10*time.Minute || o.time > 10*time.Minute+time.Second {
		t.Errorf("it took %v", o.time)
	}
}

// TestSoakKeepsTheParserBusy: nothing but trials takes time.
func TestSoakKeepsTheParserBusy(t *testing.T) {
	o := &oven{celsius: 45, rate: throttling}
	var busy time.Duration
	for _, r := range runSoak(t, soakStudy(t, o, 4*time.Minute, "direct")) {
		busy += time.Duration(r.Usage.WallNs)
	}
	if busy != o.time || o.waits != 0 {
		t.Errorf("%v of %v in trials, %d waits", busy, o.time, o.waits)
	}
}

func TestSoakOfSeveralEnginesCoolsBetween(t *testing.T) {
	for _, tt := range []struct {
		name    string
		sensor  bool
		ambient float64 // what the study's start read
		reached bool
	}{
		{"cools down", true, 45, true},
		{"never as cool again", true, 30, false},
		{"no sensor", false, 45, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &oven{celsius: tt.ambient, sensor: tt.sensor, rate: throttling}
			s := soakStudy(t, o, 3*time.Minute, "a", "b")
			seen := 0
			s.Progress = func(p Progress) {
				if p.Cooling != nil {
					seen++
				}
			}
			var outcomes []Record
			var began []Record
			for _, r := range runSoak(t, s) {
				switch r.Kind {
				case KindSoak:
					outcomes = append(outcomes, r)
				case KindWarmUp:
					began = append(began, r)
				}
			}
			if len(outcomes) != 2 || outcomes[0].Cooling != nil {
				t.Fatalf("outcomes %+v", outcomes)
			}
			c := outcomes[1].Cooling
			if !tt.sensor {
				if c != nil || o.waits > 0 || seen > 0 {
					t.Errorf("waited %d times, %+v, without a sensor", o.waits, c)
				}
				return
			}
			if c == nil || c.Reached() != tt.reached || c.Waited == 0 || seen == 0 {
				t.Fatalf("cooling %+v, seen %d times", c, seen)
			}
			if !tt.reached && (c.Waited < coolAtMost || c.Waited > coolAtMost+coolStep) {
				t.Errorf("gave up after %v", c.Waited)
			}
			if got := *began[1].Usage.TemperatureBeforeMilliC; got != c.ToMilliC || tt.reached && got > int64(1000*tt.ambient)+coolWithin {
				t.Errorf("began at %d, cooled to %d", got, c.ToMilliC)
			}
		})
	}
}

// TestSoakResumes cuts a study of two soaks after every kind of record: a soak that was over is taken as it was, one that was
// not begins again and its records are void.
func TestSoakResumes(t *testing.T) {
	build := func() (*oven, *Study) {
		o := &oven{celsius: 45, sensor: true, rate: throttling, overrun: 3 * time.Millisecond}
		return o, soakStudy(t, o, 3*time.Second, "a", "b")
	}
	shorten := func(s *Study) *Study {
		s.Header.Plan.Trial = 20 * time.Millisecond
		g := &s.Header.Plan.Goals[0]
		g.FinalTrialDuration, g.InitialTrialDuration, g.DurationSum = 20*time.Millisecond, 20*time.Millisecond, 60*time.Millisecond
		return s
	}
	_, s := build()
	whole := runSoak(t, shorten(s))
	cuts := []int{0, len(whole)}
	for i := 1; i < len(whole); i++ { // around each change of kind, phase and engine
		if a, b := &whole[i-1], &whole[i]; a.Kind != b.Kind || a.Input.Phase != b.Input.Phase || a.Cell != b.Cell {
			cuts = append(cuts, i, i+1)
		}
	}
	for _, cut := range cuts {
		o, s := build()
		shorten(s)
		s.Done = whole[:cut:cut]
		cell, _, lasted, interrupted := s.Interrupted()
		if want := cut != 0 && whole[cut-1].Kind != KindSoak; interrupted != want || want && (cell != whole[cut-1].Cell || lasted <= 0) {
			t.Errorf("after %d records: interrupted %v (%v, %v), want %v", cut, interrupted, cell, lasted, want)
		}
		all := runSoak(t, s)
		if !reflect.DeepEqual(all[:cut], whole[:cut]) {
			t.Fatalf("after %d records: kept records changed", cut)
		}
		soaks := 0
		for _, r := range LastAttempts(all) {
			if r.Kind == KindSoak {
				soaks++
			}
			if want := cut > 0 && interrupted && r.Cell == cell; want != (r.Attempt == 1) {
				t.Fatalf("after %d records: a %s of %v is of attempt %d", cut, r.Kind, r.Cell, r.Attempt)
			}
		}
		if soaks != 2 {
			t.Errorf("after %d records: %d soaks", cut, soaks)
		}
		if cut == len(whole) && o.time != 0 {
			t.Errorf("a finished study took %v more", o.time)
		}
		// And once more: what was void must stay so.
		if interrupted {
			_, s := build()
			shorten(s)
			s.Done = all
			if again := runSoak(t, s); len(again) != len(all) {
				t.Fatalf("after %d records: %d were measured again", cut, len(again)-len(all))
			}
			_, s = build()
			shorten(s)
			s.Done = all[: len(all)-1 : len(all)-1]
			again := LastAttempts(runSoak(t, s))
			want := 1
			if interrupted && cell == whole[len(whole)-1].Cell {
				want = 2
			}
			if got := again[len(again)-1]; got.Kind != KindSoak || got.Attempt != want {
				t.Fatalf("after %d records and another cut: ends with a %s of attempt %d, want %d", cut, got.Kind, got.Attempt, want)
			}
		}
	}
}

func TestSoakInterruptedWhileCooling(t *testing.T) {
	o := &oven{celsius: 45, sensor: true, rate: throttling}
	s := soakStudy(t, o, 3*time.Minute, "a", "b")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var records []Record
	s.Keep = func(r Record) error { records = append(records, r); return nil }
	s.Progress = func(p Progress) {
		if p.Cooling != nil {
			cancel()
		}
	}
	if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if last := records[len(records)-1]; last.Kind != KindSoak || last.Cell.Engine != "a" {
		t.Errorf("the last record is a %s of %v", last.Kind, last.Cell)
	}
}

// TestSoakSearchEndsWithItsWindow: a system that no search can settle must not make the first window longer.
func TestSoakSearchEndsWithItsWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	o := &oven{celsius: 45, rate: func(float64) float64 { return 1e6 * (1 - 0.5*rng.Float64()) }}
	s := soakStudy(t, o, 3*time.Minute, "direct")
	s.Header.Plan.Goals[0].DurationSum, s.Header.Plan.Goals[0].Width = 13*time.Second, 0.02
	irregular := 0
	for _, r := range runSoak(t, s) {
		if r.Input.Phase == PhaseFirst && r.At > time.Minute {
			t.Errorf("the first window has a trial at %v", r.At)
		}
		if r.Kind == KindBounds && !r.Bounds.Regular {
			irregular++
		}
	}
	if irregular != 2 {
		t.Errorf("%d irregular bounds, want those of both windows", irregular)
	}
}

func TestSoakWithoutSearch(t *testing.T) {
	o := &oven{celsius: 45, rate: throttling}
	s := soakStudy(t, o, 3*time.Minute, "direct")
	s.Header.Plan.Search = SearchNone
	s.Header.Plan.Goals = nil
	whole := runSoak(t, s)
	s = soakStudy(t, &oven{}, 3*time.Minute, "direct")
	s.Header.Plan.Search, s.Header.Plan.Goals, s.Done = SearchNone, nil, whole
	if again := runSoak(t, s); len(again) != len(whole) {
		t.Errorf("%d records became %d", len(whole), len(again))
	}
}

func TestSoakFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Study)
		want   string
	}{
		{"fine", func(*Study) {}, ""},
		{"too short", func(s *Study) { s.Header.Plan.Soak = time.Millisecond }, "soak of 1ms"},
		{"too long", func(s *Study) { s.Header.Plan.Soak = 1000 * time.Hour }, "soak of 1000h"},
		{"negative", func(s *Study) { s.Header.Plan.Soak = -time.Minute }, "soak of -1m"},
		{"passes", func(s *Study) { s.Header.Settings.Passes = 2 }, "passes"},
		{"the engine alone", func(s *Study) { s.Header.Plan.EngineAlone = true }, "engine alone"},
		{"listed loads", func(s *Study) { s.Header.Plan.Rates = []Rate{{Value: 1}} }, "listed loads"},
		{"long trials", func(s *Study) { s.Header.Plan.Trial = 20 * time.Second }, "shorter trials"},
		{"long sums", func(s *Study) { s.Header.Plan.Goals[0].DurationSum = 100 * time.Second }, "--sum"},
		{"bisection of long trials", func(s *Study) {
			s.Header.Plan.Search, s.Header.Plan.Goals = SearchRFC2544, []search.Goal{search.RFC2544()}
		}, "--trial"},
		{"a goal that is none", func(s *Study) { s.Header.Plan.Goals[0].LossRatio = 2 }, "loss ratio"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := soakStudy(t, &oven{}, 10*time.Minute, "direct")
			tt.change(s)
			err := s.Check()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSoakWindowAndExpected(t *testing.T) {
	for soak, want := range map[time.Duration]time.Duration{
		3 * time.Second: time.Second, 90 * time.Second: 30 * time.Second, 3 * time.Minute: time.Minute, time.Hour: time.Minute,
	} {
		if got := (&Plan{Soak: soak}).Window(); got != want {
			t.Errorf("window of %v: %v, want %v", soak, got, want)
		}
	}
	o := &oven{celsius: 45, sensor: true}
	s := soakStudy(t, o, 10*time.Minute, "a", "b", "c")
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	near := func(want time.Duration) {
		t.Helper()
		if got := s.Expected(); got < want || got > want+time.Second {
			t.Errorf("expected %v, want %v", got, want)
		}
	}
	near(30*time.Minute + 2*coolExpects)
	s.Done = []Record{{Kind: KindWarmUp}, {Kind: KindSoak}}
	near(20*time.Minute + coolExpects)
	s.Done, s.Header.Environment.TemperatureMilliC = nil, nil
	near(30 * time.Minute)
}

// TestSoakOfARealParser: structure, not speed.
func TestSoakOfARealParser(t *testing.T) {
	s := soakStudy(t, &oven{}, 600*time.Millisecond, "direct")
	s.board = nil
	s.Header.InProcess = true
	s.Header.Plan.Trial = 10 * time.Millisecond
	g := &s.Header.Plan.Goals[0]
	g.FinalTrialDuration, g.InitialTrialDuration, g.DurationSum, g.Width = 5*time.Millisecond, 5*time.Millisecond, 15*time.Millisecond, 0.1
	kinds := map[string]int{}
	for _, r := range runSoak(t, s) {
		kinds[r.Kind+" "+r.Input.Phase]++
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back Record
		if err := json.Unmarshal(text, &back); err != nil || back.At != r.At || back.Input != r.Input {
			t.Fatalf("%v: read back as %+v", err, back)
		}
	}
	for _, want := range []string{"warm-up ", "service first", "trial first", "bounds first", "service soak", "service last", "trial last",
		"bounds last", "soak "} {
		if kinds[want] == 0 {
			t.Errorf("no %q among %v", want, kinds)
		}
	}
}
