package comparison

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// engineCosts are ns per packet of engines, in each run.
type engineCosts map[string][]float64

// simulated makes a study of these engines. The no-drop rate is what the cost leaves, on the grid that a search's width makes, where there is one.
func simulated(costs engineCosts, grid float64) Study {
	var s Study
	h := &s.Header
	h.Schema, h.Version = trial.Schema, "v1"
	h.Settings.Unit, h.Settings.Queue, h.Settings.Clock = "pps", "1024", "warp"
	h.Captures = []trial.Capture{{Name: "a.pcap", SHA256: strings.Repeat("ab", 32), Frames: 1000}}
	goal := search.Goal{Name: "ndr", FinalTrialDuration: time.Second, DurationSum: time.Second}
	h.Plan = trial.Plan{Sizes: []string{"64"}, Caches: []string{"hot"}, Workers: []int{1}, Trial: time.Second, Search: trial.SearchMLR, Goals: []search.Goal{goal}}
	h.Environment = meter.Environment{CPU: "simulated", GOMAXPROCS: 2}
	for engine := range costs {
		h.Plan.Engines = append(h.Plan.Engines, engine)
	}
	slices.Sort(h.Plan.Engines)
	for _, engine := range h.Plan.Engines {
		h.Plan.Repeats = len(costs[engine])
		for i, ns := range costs[engine] {
			cell := trial.Cell{Engine: engine, Size: "64", Cache: "hot", Workers: 1}
			rate := 1e9 / ns
			if grid > 0 {
				rate = math.Exp(math.Round(math.Log(rate)/grid) * grid)
			}
			const n = 1_000_000
			busy := time.Duration(math.Round(ns * n))
			s.Records = append(s.Records, trial.Record{Schema: trial.Schema, Kind: trial.KindService, Cell: cell, Repeat: i + 1,
				Result: replay.Result{Intended: n, Offered: n, Delivered: n, Served: n, Busy: busy, Duration: busy, Elapsed: busy}})
			s.Records = append(s.Records, trial.Record{Schema: trial.Schema, Kind: trial.KindBounds, Cell: cell, Repeat: i + 1,
				Bounds: &search.Bounds{Goal: goal, Lower: &rate, Upper: &rate, ConditionalThroughput: rate, Regular: true}})
		}
	}
	return s
}

func side(name string, s Study) Side { return Side{Name: name, Studies: map[string]Study{"": s}} }

// compared compares and fails the test on an error.
func compared(t *testing.T, old, new Study, o Options) *Comparison {
	t.Helper()
	c, err := Compare(side("before", old), side("after", new), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func row(t *testing.T, rows []Row, metric, engine string) *Row {
	t.Helper()
	for i := range rows {
		if rows[i].Name() == metric && rows[i].Cell.Engine == engine {
			return &rows[i]
		}
	}
	t.Fatalf("no %s of %q in %+v", metric, engine, rows)
	return nil
}

func condition(t *testing.T, text string) analysis.Condition {
	t.Helper()
	c, err := analysis.ParseCondition(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCellsSideBySide(t *testing.T) {
	old := simulated(engineCosts{"a": {100, 101, 102, 103}, "b": {50, 51, 52, 53}, "gone": {1, 1, 1, 1}}, 0)
	new := simulated(engineCosts{"a": {110, 111.1, 112.2, 113.3}, "b": {50.5, 51.5, 50.9, 52.4}}, 0)
	c := compared(t, old, new, Options{})
	a := row(t, c.Rows, "ndr", "a")
	if a.Verdict() != Worse || math.Abs(a.Change.Value-(1/1.1-1)) > 1e-9 || a.Change.Old != 4 {
		t.Errorf("ndr of a: %v %+v", a.Verdict(), a.Change)
	}
	if cost := row(t, c.Rows, "cost", "a"); cost.Verdict() != Worse || math.Abs(cost.Change.Value-0.1) > 1e-9 {
		t.Errorf("cost of a: %v %+v", cost.Verdict(), cost.Change)
	}
	if b := row(t, c.Rows, "ndr", "b"); b.Verdict() != Same {
		t.Errorf("ndr of b: %v %+v", b.Verdict(), b.Change)
	}
	if len(c.Lone) != 1 || c.Lone[0].Side != "old" || c.Lone[0].Cell.Engine != "gone" {
		t.Errorf("lone: %+v", c.Lone)
	}
	mean := row(t, c.Means, "geomean-cost", "")
	// The mean of a run: sqrt(100 * 50) and so on.
	var want []float64
	for _, x := range []float64{100 * 50, 101 * 51, 102 * 52, 103 * 53} {
		want = append(want, math.Sqrt(x))
	}
	if mean.Over != 2 || math.Abs(mean.Old.Min-want[0]) > 1e-9 || math.Abs(mean.Old.Max-want[3]) > 1e-9 {
		t.Errorf("mean: %+v, want %v", mean.Old, want)
	}
	if text := strings.Join(c.Warnings, "\n"); !strings.Contains(text, "unpaired") || !strings.Contains(text, "false alarms") {
		t.Errorf("warnings: %s", text)
	}
	if c := compared(t, old, new, Options{Rounds: 4}); strings.Contains(strings.Join(c.Warnings, "\n"), "unpaired") {
		t.Error("interleaved runs are called unpaired")
	}
}

func TestThreeRunsGiveNoVerdict(t *testing.T) {
	c := compared(t, simulated(engineCosts{"a": {100, 101, 102}}, 0), simulated(engineCosts{"a": {200, 201, 202}}, 0), Options{})
	if r := row(t, c.Rows, "ndr", "a"); r.Verdict() != None {
		t.Errorf("%v %+v", r.Verdict(), r.Change)
	}
	if text := strings.Join(c.Warnings, "\n"); !strings.Contains(text, "no verdict: 3 runs") || !strings.Contains(text, "at least 4") {
		t.Error(text)
	}
	if _, err := c.Gate(condition(t, "ndr<-5%")); err == nil || !strings.Contains(err.Error(), "at least 4") {
		t.Errorf("a gate on three runs: %v", err)
	}
}

func TestWhatIsNotAlikeIsRefused(t *testing.T) {
	base := func() Study { return simulated(engineCosts{"a": {100, 101, 102, 103}}, 0) }
	for _, tt := range []struct {
		name   string
		change func(*trial.Header)
		want   string // "": listed only
	}{
		{"capture", func(h *trial.Header) { h.Captures[0].SHA256 = strings.Repeat("cd", 32) }, "captures"},
		{"queue", func(h *trial.Header) { h.Settings.Queue = "64" }, "queue: 1024, and 64"},
		{"stages", func(h *trial.Header) { h.Settings.Stages = []string{"flow"} }, "stages"},
		{"goal", func(h *trial.Header) { h.Plan.Goals[0].DurationSum = time.Minute }, "goal ndr, duration sum ns"},
		{"trial", func(h *trial.Header) { h.Plan.Trial = time.Minute }, "length of trials"},
		{"kernel", func(h *trial.Header) { h.Environment.Kernel = "7.0" }, ""},
		{"GOMAXPROCS", func(h *trial.Header) { h.Environment.GOMAXPROCS = 8 }, ""},
		{"version", func(h *trial.Header) { h.Version = "v2" }, ""},
	} {
		new := base()
		tt.change(&new.Header)
		c, err := Compare(side("before", base()), side("after", new), Options{})
		var not *IncomparableError
		switch {
		case tt.want == "":
			if err != nil || len(c.Different) != 1 || c.Different[0].Serious {
				t.Errorf("%s: %v %+v", tt.name, err, c)
			}
		case !errors.As(err, &not) || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v", tt.name, err)
		default:
			if c, err := Compare(side("before", base()), side("after", new), Options{Force: true}); err != nil || !c.Different[0].Serious {
				t.Errorf("%s forced: %v", tt.name, err)
			}
		}
	}
	new := base()
	new.Header.Settings.Unit = "bit/s"
	if _, err := Compare(side("before", base()), side("after", new), Options{Force: true}); err == nil {
		t.Error("pps were compared with bit/s")
	}
}

func TestGate(t *testing.T) {
	old := simulated(engineCosts{"a": {100, 101, 102, 103, 104, 105}, "b": {50, 51, 52, 53, 54, 55}}, 0)
	new := simulated(engineCosts{"a": {110, 111.1, 112.2, 113.3, 114.4, 115.5}, "b": {50.5, 51.5, 50.9, 52.4, 54.2, 55.9}}, 0)
	c := compared(t, old, new, Options{Metrics: []string{"all"}})
	for _, tt := range []struct {
		text   string
		rows   int
		alarms string // engines
		open   string
		err    string
	}{
		{text: "ndr<-5%", rows: 2, alarms: "a", open: "b"}, // b: -9 % to 7 %
		{text: "ndr<-20%", rows: 2},
		{text: "cost[a]>3%", rows: 1, alarms: "a"},
		{text: "cost[b]>3%", rows: 1, open: "b"},
		{text: "cost[b]>30%", rows: 1},
		{text: "ndr<0, cost>0", rows: 4, alarms: "a a", open: "b b"},
		{text: "geomean-ndr<-20%", rows: 1},
		{text: "ndr<=-100%", rows: 2},
		{text: "ndr<-5", err: "did you mean ndr<-5%?"},
		{text: "cost[a]>3", err: "did you mean cost[a]>3%?"},
		{text: "ndr<-100%", err: "never true"},
		{text: "loss>100%", err: "never true"},
		{text: "loss@1x<-100%", err: "never true"},
		{text: "ndr<=0", err: "true where nothing has changed"},
		{text: "ndr<5%", err: "true where nothing has changed"},
		{text: "cost>-3%", err: "true where nothing has changed"},
		{text: "ndt<-5%", err: "unknown metric"},
		{text: "ndr[c]<-5%", err: "unknown engine"},
	} {
		g, err := c.Gate(condition(t, tt.text))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		engines := func(list []Finding) string {
			var names []string
			for _, f := range list {
				names = append(names, f.Row.Cell.Engine)
			}
			return strings.Join(names, " ")
		}
		if g.Rows != tt.rows || engines(g.True) != tt.alarms || engines(g.Open) != tt.open {
			t.Errorf("%s: %d rows, true of %q, open of %q; want %d, %q, %q", tt.text, g.Rows, engines(g.True), engines(g.Open), tt.rows, tt.alarms, tt.open)
		}
	}
	// The change of a is significant, 10 % with an interval of 6 to 14 %: more than 12 % is neither shown nor excluded.
	if g, err := c.Gate(condition(t, "cost[a]>12%")); err != nil || len(g.True) != 0 || len(g.Open) != 1 {
		t.Errorf("a significant change that may be beyond the limit: %v %+v", err, g)
	}
	// What only one side has is not passed over.
	c = compared(t, simulated(engineCosts{"a": {1, 2, 3, 4}, "b": {1, 2, 3, 4}}, 0), simulated(engineCosts{"a": {1, 2, 3, 4}}, 0), Options{})
	if _, err := c.Gate(condition(t, "ndr<-5%")); err == nil || !strings.Contains(err.Error(), "only old has it") {
		t.Errorf("a cell that was lost: %v", err)
	}
	if g, err := c.Gate(condition(t, "ndr[a]<-5%")); err != nil || len(g.True) > 0 {
		t.Errorf("the other cell: %v %+v", err, g)
	}
}

// rename gives the searched goal another name in one engine's records, or in all.
func rename(s Study, name, engine string) Study {
	s.Header.Plan.Goals = append(s.Header.Plan.Goals, search.Goal{Name: name, FinalTrialDuration: time.Second, DurationSum: time.Second})
	s.Records = slices.Clone(s.Records)
	for i := range s.Records {
		if rec := &s.Records[i]; rec.Kind == trial.KindBounds && (engine == "" || rec.Cell.Engine == engine) {
			bounds := *rec.Bounds
			bounds.Goal.Name = name
			rec.Bounds = &bounds
		}
	}
	return s
}

func TestGateDoesNotPassOverWhatItsNamesMayMean(t *testing.T) {
	costs := engineCosts{"a": {1, 2, 3, 4, 5, 6}, "b": {1, 2, 3, 4, 5, 6}, "c": {1, 2, 3, 4, 5, 6}}
	without := engineCosts{"a": costs["a"], "b": costs["b"]}
	study := func(c engineCosts) Study { return simulated(c, 0) }
	none := study(costs) // c finds no load in new, in no run
	for i := range none.Records {
		if rec := &none.Records[i]; rec.Kind == trial.KindBounds && rec.Cell.Engine == "c" {
			rec.Bounds = &search.Bounds{Goal: rec.Bounds.Goal}
		}
	}
	for _, tt := range []struct {
		name     string
		old, new Study
		text     string
		err      string // "": it is answered
	}{
		{"a goal that one side has in one cell, by its family", rename(study(costs), "pdr:0.5%", ""), rename(rename(study(costs), "pdr:0.5%", ""), "other", "c"), "pdr<-5%", "only old has it"},
		{"the same, by its name", rename(study(costs), "pdr:0.5%", ""), rename(rename(study(costs), "pdr:0.5%", ""), "other", "c"), "pdr:0.5%<-5%", "only old has it"},
		{"the same, its mean", rename(study(costs), "pdr:0.5%", ""), rename(rename(study(costs), "pdr:0.5%", ""), "other", "c"), "geomean-pdr<-5%", "only old has c"},
		{"a cell that new lacks, in the mean", study(costs), study(without), "geomean-ndr<-5%", "only old has c"},
		{"another metric's mean", study(costs), study(without), "geomean-cost>5%", "only old has c"},
		{"a cell that sustains nothing any more, in the mean", study(costs), none, "geomean-ndr<-5%", "1 cell with a zero"},
		{"the same cell by itself", study(costs), none, "ndr<-5%", ""},
		{"a mean without it", study(costs), none, "geomean-cost>5%", ""},
		{"a cell that sustains nothing on either side", none, none, "geomean-ndr<-5%", ""},
		{"a metric that is not shown by itself", study(costs), study(costs), "service<-5%", ""},
	} {
		o := Options{}
		for _, l := range condition(t, tt.text).Limits() {
			o.Also = append(o.Also, l.Metric)
		}
		g, err := compared(t, tt.old, tt.new, o).Gate(condition(t, tt.text))
		switch {
		case tt.err == "" && err != nil, tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		case tt.err == "" && strings.HasPrefix(tt.name, "the same cell") && len(g.True) != 1:
			t.Errorf("%s: %+v", tt.name, g)
		}
	}
}

func TestDoubtsOfASideAreSaid(t *testing.T) {
	base := func() Study { return simulated(engineCosts{"a": {100, 101, 102, 103}}, 0) }
	for _, tt := range []struct {
		change func(*Study)
		want   string
	}{
		{func(s *Study) { s.Header.InProcess = true }, "runs of new were measured in one process"},
		{func(s *Study) { s.Header.Hosts = []trial.Host{{Name: "pi1"}, {Name: "pi2"}} }, "new was measured on 2 machines (of one kind: "},
		{func(s *Study) { s.Header.Settings.Feed, s.Header.Settings.Unit = "virtual", "" }, ""}, // defaults
	} {
		new := base()
		tt.change(&new)
		c := compared(t, base(), new, Options{})
		if text := strings.Join(c.Warnings, "\n"); !strings.Contains(text, tt.want) {
			t.Errorf("no %q in %s", tt.want, text)
		}
		for _, d := range c.Different {
			if d.Serious {
				t.Errorf("%+v", d)
			}
		}
		if len(c.Unfinished) > 0 {
			t.Errorf("%v", c.Unfinished)
		}
	}
	cut := base()
	cut.Records = cut.Records[:len(cut.Records)-1]
	if c := compared(t, base(), cut, Options{}); len(c.Unfinished) != 1 || !strings.Contains(c.Unfinished[0], "new (after) is unfinished: 3 of 4") {
		t.Errorf("%v", c.Unfinished)
	}
}

// TestUnlikeMachines: of merged results the rows whose cells were measured on machines of unlike kinds say so.
func TestUnlikeMachines(t *testing.T) {
	runs := []float64{100, 101, 102, 103}
	one := func() Study { return simulated(engineCosts{"a": runs, "b": runs, "c": runs}, 0) }
	cell := func(engine string) trial.Cell {
		return trial.Cell{Engine: engine, Size: "64", Cache: "hot", Workers: 1}
	}
	environment := one().Header.Environment
	same := environment.String()
	merged := one()
	merged.Header.Hosts = []trial.Host{{Name: "machine 1", Machine: same, Cells: []trial.Cell{cell("a"), cell("b")}},
		{Name: "machine 2", Machine: "another", Cells: []trial.Cell{cell("c")}}}
	const doubt = "on unlike machines: the only machine of old, machine 2 of new"
	c := compared(t, one(), merged, Options{Metrics: []string{"cost"}})
	for _, r := range c.Rows {
		if said := slices.Contains(r.Doubts, doubt); said != (r.Cell.Engine == "c") {
			t.Errorf("%s: %q", r.Cell.Engine, r.Doubts)
		}
	}
	if len(c.Means) != 1 || !slices.Contains(c.Means[0].Doubts, "1 cell on unlike machines") {
		t.Errorf("%+v", c.Means)
	}
	if text := strings.Join(c.Warnings, "\n"); !strings.Contains(text, "new was measured on 2 machines (machine 1: "+same+"; machine 2: another): ") {
		t.Error(text)
	}
	if c := compared(t, merged, merged, Options{}); slices.ContainsFunc(c.Rows, func(r Row) bool { return len(r.Doubts) > 0 }) {
		t.Errorf("%+v", c.Rows)
	}

	classes := func(hosts ...analysis.ClassHost) Side {
		return Side{Name: "s", Hosts: hosts, Studies: map[string]Study{"x": one(), "y": one()}}
	}
	split := classes(analysis.ClassHost{Name: "machine 1", Machine: same, Classes: []string{"x"}}, analysis.ClassHost{Name: "machine 2", Machine: "another", Classes: []string{"y"}})
	c, err := Compare(classes(), split, Options{Metrics: []string{"cost"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Rows {
		if said := slices.Contains(r.Doubts, doubt); said != (r.Class == "y") {
			t.Errorf("%s: %q", r.Class, r.Doubts)
		}
	}
}

// Holm by hand: 0.01, 0.02, 0.03 and 0.5 become 0.04, 0.06, 0.06 and 0.5.
func TestHolm(t *testing.T) {
	rows := make([]Row, 4)
	adjusted := make(map[*Row]float64)
	for i, p := range []float64{0.03, 0.01, 0.5, 0.02} {
		rows[i].Change.P = p
		adjusted[&rows[i]] = 0
	}
	holm(adjusted)
	for i, want := range []float64{0.06, 0.04, 0.5, 0.06} {
		if got := adjusted[&rows[i]]; math.Abs(got-want) > 1e-15 {
			t.Errorf("p %v: %v, want %v", rows[i].Change.P, got, want)
		}
	}
}

func TestManyCellsNeedMoreRuns(t *testing.T) {
	costs := engineCosts{}
	for i := range 30 {
		costs[fmt.Sprintf("e%02d", i)] = []float64{1, 2, 3, 4, 5, 6}
	}
	c := compared(t, simulated(costs, 0), simulated(costs, 0), Options{})
	if _, err := c.Gate(condition(t, "ndr<-5%")); err == nil || !strings.Contains(err.Error(), "at least 7") {
		t.Errorf("30 comparisons of six runs: %v", err)
	}
	if err := c.Check(condition(t, "ndr<-5%"), 7); err != nil {
		t.Errorf("seven runs: %v", err)
	}
}

// noise makes the costs of a run of both sides, old first or not, of a parser of 100 ns; it may remember.
type noise func(r *rand.Rand, first bool) float64

func noises() map[string]func() noise {
	return map[string]func() noise{
		"normal": func() noise { return func(r *rand.Rand, _ bool) float64 { return 100 + 3*r.NormFloat64() } },
		"skewed": func() noise { return func(r *rand.Rand, _ bool) float64 { return 100 + 4*r.ExpFloat64() } },
		"bursts": func() noise {
			return func(r *rand.Rand, _ bool) float64 { return 100 + 0.5*r.NormFloat64() + 40*float64(r.IntN(5)/4) }
		},
		"a trend": func() noise {
			at := 0.0
			return func(r *rand.Rand, _ bool) float64 { at++; return 100 + 0.8*at + r.NormFloat64() }
		},
		"drift of the machine": func() noise {
			at := 0.0
			return func(r *rand.Rand, _ bool) float64 { at = 0.9*at + 2*r.NormFloat64(); return 100 + at + r.NormFloat64() }
		},
		"the second run of a round is slower": func() noise {
			return func(r *rand.Rand, first bool) float64 {
				if first {
					return 100 + r.NormFloat64()
				}
				return 106 + r.NormFloat64()
			}
		},
	}
}

// interleaved draws six rounds, in pairs of opposite order as compare --run does.
func interleaved(r *rand.Rand, engines int, n noise, slower float64) (old, new engineCosts) {
	old, new = engineCosts{}, engineCosts{}
	oldFirst := false
	for round := range 6 {
		if oldFirst = !oldFirst; round%2 == 0 {
			oldFirst = r.IntN(2) == 0
		}
		for i := range 2 {
			shared := n(r, i == 0)
			for e := range engines {
				name := fmt.Sprint("e", e)
				v := shared * (1 + 0.005*r.NormFloat64())
				if (i == 0) == oldFirst {
					old[name] = append(old[name], v)
				} else {
					new[name] = append(new[name], v*slower)
				}
			}
		}
	}
	return old, new
}

func TestAProgramAgainstItselfHardlyEverAlarms(t *testing.T) {
	for name, start := range noises() {
		for _, grid := range []float64{0, 0.02} { // 2 % makes many equal rates
			if grid > 0 && name != "normal" && name != "skewed" || testing.Short() && name != "normal" {
				continue
			}
			r := rand.New(rand.NewPCG(11, 12))
			alarms, gates, means := 0, 0, 0
			for range 200 {
				old, new := interleaved(r, 2, start(), 1)
				c := compared(t, simulated(old, grid), simulated(new, grid), Options{Rounds: 6, Metrics: []string{"ndr"}})
				if v := row(t, c.Rows, "ndr", "e0").Verdict(); v == Better || v == Worse {
					alarms++
				}
				if v := row(t, c.Means, "geomean-ndr", "").Verdict(); v == Better || v == Worse {
					means++
				}
				g, err := c.Gate(condition(t, "ndr<0,ndr>0,geomean-ndr<0,geomean-ndr>0"))
				if err != nil {
					t.Fatal(err)
				}
				if len(g.True) > 0 {
					gates++
				}
			}
			if t.Logf("%s, grid %v: of 200, alarms of a cell %d, of the mean %d, of a gate on four comparisons %d", name, grid, alarms, means, gates); max(alarms, gates, means) > 16 {
				t.Errorf("%s, grid %v: more than 16 alarms", name, grid)
			}
		}
	}
}

func TestTenPercentAreFoundWithSixRuns(t *testing.T) {
	const of = 60
	for name, least := range map[string]int{"normal": of - 1, "skewed": of * 8 / 10, "the second run of a round is slower": of * 8 / 10, "a trend": of - 1} {
		r := rand.New(rand.NewPCG(13, 14))
		start := noises()[name]
		found := 0
		for range of {
			old, new := interleaved(r, 1, start(), 1.1)
			c := compared(t, simulated(old, 0.005), simulated(new, 0.005), Options{Rounds: 6})
			g, err := c.Gate(condition(t, "ndr<-5%"))
			if err != nil {
				t.Fatal(err)
			}
			found += len(g.True)
		}
		t.Logf("%s: found in %d of %d", name, found, of)
		if found < least {
			t.Errorf("%s: a parser slower by 10 %% was found in %d of %d comparisons", name, found, of)
		}
	}
}

func TestClassesAreComparedClassByClass(t *testing.T) {
	of := func(ns float64) Study { return simulated(engineCosts{"a": {ns, ns + 1, ns + 2, ns + 3}}, 0) }
	old := Side{Name: "before", Studies: map[string]Study{"DNS": of(100), "SYN": of(50), "gone": of(1)}}
	new := Side{Name: "after", Studies: map[string]Study{"DNS": of(150), "SYN": of(50)}}
	c, err := Compare(old, new, Options{Metrics: []string{"cost"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Rows) != 2 || c.Rows[0].Class != "DNS" || c.Rows[0].Verdict() != Worse || c.Rows[1].Verdict() != Same || !strings.HasPrefix(c.Rows[0].Where(), "DNS, 64 B") {
		t.Errorf("%+v", c.Rows)
	}
	if len(c.Lone) != 1 || c.Lone[0].Class != "gone" || c.Means[0].Over != 2 {
		t.Errorf("%+v, %+v", c.Lone, c.Means)
	}
	if _, err := Compare(old, side("plain", of(100)), Options{}); err == nil || !strings.Contains(err.Error(), "nothing in common") && !strings.Contains(err.Error(), "no result in common") {
		t.Errorf("classes against none: %v", err)
	}
}

func TestZerosAndMissingRuns(t *testing.T) {
	old, new := simulated(engineCosts{"a": {100, 101, 102, 103, 104}, "b": {1, 2, 3, 4, 5}, "c": {1, 2, 3, 4, 5}}, 0), simulated(engineCosts{"a": {100, 101, 102, 103, 104}, "b": {1, 2, 3, 4, 5}, "c": {1, 2, 3, 4, 5}}, 0)
	for i := range new.Records {
		rec := &new.Records[i]
		if rec.Kind == trial.KindBounds && rec.Cell.Engine == "a" && rec.Repeat == 2 { // every load lost packets
			rec.Bounds = &search.Bounds{Goal: rec.Bounds.Goal}
		}
	}
	new.Records = slices.DeleteFunc(new.Records, func(r trial.Record) bool { return r.Cell.Engine == "b" && r.Repeat == 3 })
	c := compared(t, old, new, Options{})
	a := row(t, c.Rows, "ndr", "a")
	if a.New.Min != 0 || len(a.Marks) != 1 || a.Marks[0].New != 1 || math.IsNaN(a.Change.Value) {
		t.Errorf("%+v", a)
	}
	if b := row(t, c.Rows, "ndr", "b"); b.Change.New != 4 || len(b.Doubts) != 1 || !strings.Contains(b.Doubts[0], "1 of 5 runs of new") {
		t.Errorf("%+v", b)
	}
	mean := row(t, c.Means, "geomean-ndr", "")
	if mean.Over != 2 || mean.Change.New != 4 || len(mean.Doubts) != 2 {
		t.Errorf("%+v", mean)
	}
}

// The mean of a trial has what disturbed it; its quickest part has not.
func TestQuickestPartTellsWhereTheMeanDoesNot(t *testing.T) {
	busy := func(base float64, shares ...float64) Study {
		costs := engineCosts{"a": nil}
		for _, share := range shares {
			costs["a"] = append(costs["a"], base*(1+share))
		}
		s := simulated(costs, 0)
		for i := range s.Records {
			if s.Records[i].Kind == trial.KindService {
				s.Records[i].Result.Quickest, s.Records[i].Result.Slices = base*(1+float64(i)/1000), 50
			}
		}
		return s
	}
	old, new := busy(100, 0.3, 0, 0.4, 0.1, 0.2, 0.5), busy(110, 0.1, 0.4, 0, 0.3, 0.2, 0.05)
	c := compared(t, old, new, Options{})
	if r := row(t, c.Rows, "cost", "a"); r.Verdict() != Same {
		t.Errorf("cost: %v %+v", r.Verdict(), r.Change)
	}
	if r := row(t, c.Rows, "cost-min", "a"); r.Verdict() != Worse || math.Abs(r.Change.Value-0.1) > 0.01 {
		t.Errorf("cost-min: %v %+v", r.Verdict(), r.Change)
	}
	if gate, err := c.Gate(condition(t, "cost-min[a]>3%")); err != nil || len(gate.True) != 1 {
		t.Errorf("%+v, %v", gate, err)
	}
	if _, err := compared(t, simulated(engineCosts{"a": {1, 2, 3, 4}}, 0), new, Options{}).Gate(condition(t, "cost-min>3%")); err == nil {
		t.Error("a gate on what only one side has")
	}
}

func TestFewSlicesAreSaid(t *testing.T) {
	of := func(slices uint64) Study {
		s := simulated(engineCosts{"a": {100, 101, 102, 103}}, 0)
		for i := range s.Records {
			if r := &s.Records[i].Result; s.Records[i].Kind == trial.KindService && slices > 0 {
				r.Quickest, r.Slices = 90, slices+uint64(i)
			}
		}
		return s
	}
	if r := row(t, compared(t, of(50), of(4), Options{}).Rows, "cost-min", "a"); len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "4 slices only") {
		t.Errorf("%q", r.Doubts)
	}
	if r := row(t, compared(t, of(50), of(5), Options{}).Rows, "cost-min", "a"); len(r.Doubts) != 0 {
		t.Errorf("%q", r.Doubts)
	}
	for _, r := range compared(t, of(0), of(0), Options{}).Rows {
		if r.Metric.Name == "cost-min" {
			t.Error("cost-min without a slice")
		}
	}
}

// Runs without a cost-min are those that were too slow for it: a gate that leaves them out would pass what it is there to find.
func TestGateOnWhatSomeRunsLack(t *testing.T) {
	of := func(lacking int, costs ...float64) Study {
		s := simulated(engineCosts{"a": costs}, 0)
		for i := range s.Records {
			if r := &s.Records[i]; r.Kind == trial.KindService && r.Repeat > lacking {
				r.Result.Quickest, r.Result.Slices = 100+float64(r.Repeat), 50
			}
		}
		return s
	}
	old, new := of(0, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109), of(6, 1000, 1001, 1002, 1003, 1004, 1005, 103, 104, 105, 106)
	c := compared(t, old, new, Options{})
	if r := row(t, c.Rows, "cost-min", "a"); len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "6 of 10 runs of new have no value") {
		t.Errorf("%q", r.Doubts)
	}
	if _, err := c.Gate(condition(t, "cost-min>3%")); err == nil || !strings.Contains(err.Error(), "6 of 10 runs of new") {
		t.Errorf("%v", err)
	}
	if gate, err := c.Gate(condition(t, "cost>3%")); err != nil || len(gate.True) != 1 {
		t.Errorf("%+v, %v", gate, err)
	}
}

// TestGateOnMeans: what a cell lacks, or did otherwise, is not hidden in a geometric mean, nor in other cells.
func TestGateOnMeans(t *testing.T) {
	runs := []float64{100, 101, 102, 103, 104, 105}
	// of has two engines, which have least costs in these runs, and refuse so many of 1000 packets.
	of := func(has func(engine string, run int) bool, refused map[string]uint64) Study {
		s := simulated(engineCosts{"a": runs, "b": runs}, 0)
		for i := range s.Records {
			r := &s.Records[i]
			if r.Kind == trial.KindService && has(r.Cell.Engine, r.Repeat) {
				r.Result.Quickest, r.Result.Slices = 100+float64(r.Repeat), 50
			}
			r.Counters.Frames, r.Counters.Malformed = 1000, refused[r.Cell.Engine]
		}
		return s
	}
	all := func(string, int) bool { return true }
	some := func(engine string, run int) bool { return engine == "b" || run > 1 }
	never := func(engine string, run int) bool { return engine == "b" }
	cut := of(all, nil) // the last run was cut within
	cut.Records = slices.DeleteFunc(cut.Records, func(r trial.Record) bool {
		return r.Repeat == len(runs) && r.Cell.Engine == "b" && r.Kind == trial.KindBounds
	})
	for _, tt := range []struct {
		name     string
		old, new Study
		force    bool
		text     string
		want     string // "": it is answered
	}{
		{"some runs of a cell are too slow", of(all, nil), of(some, nil), false, "geomean-cost-min>3%", "1 of 6 runs of new have no value"},
		{"forced", of(all, nil), of(some, nil), true, "geomean-cost-min>3%", "1 of 6 runs of new have no value"},
		{"the cell that has them", of(all, nil), of(some, nil), false, "cost-min[b]>3%", ""},
		{"a cell refuses otherwise", of(all, nil), of(all, map[string]uint64{"a": 500}), false, "geomean-cost>3%", "new 50.0 %"},
		{"the other cell", of(all, nil), of(all, map[string]uint64{"a": 500}), false, "cost[b]>3%", ""},
		{"refuses otherwise, forced", of(all, nil), of(all, map[string]uint64{"a": 500}), true, "geomean-cost>3%", ""},
		{"a cell has none in either", of(never, nil), of(never, nil), false, "cost-min>3%", "no pass over the capture"},
		{"a cell has none in either, forced", of(never, nil), of(never, nil), true, "cost-min>3%", "no pass over the capture"},
		{"a cell has none in either, its mean", of(never, nil), of(never, nil), false, "geomean-cost-min>3%", "cost-min"},
		{"the cell that has one", of(never, nil), of(never, nil), false, "cost-min[b]>3%", ""},
		{"an unfinished run", of(all, nil), cut, false, "ndr<-50%", "1 of 6 runs of new have no value"},
		{"an unfinished run, forced", of(all, nil), cut, true, "ndr<-50%", ""},
		{"an unfinished run, its mean, forced", of(all, nil), cut, true, "geomean-ndr<-50%", ""},
		{"an unfinished run's time, forced", of(all, nil), cut, true, "cost-min>3%", ""},
	} {
		o := Options{Force: tt.force}
		for _, l := range condition(t, tt.text).Limits() {
			o.Also = append(o.Also, l.Metric)
		}
		if _, err := compared(t, tt.old, tt.new, o).Gate(condition(t, tt.text)); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	var unlike *UnlikeError
	c := compared(t, of(all, nil), of(all, map[string]uint64{"a": 500}), Options{})
	if err := c.Check(condition(t, "cost>3%"), 6); !errors.As(err, &unlike) {
		t.Errorf("what was measured is taken for a wrong condition: %v", err)
	}
	if err := c.Check(condition(t, "nonesuch>3%"), 6); err == nil || errors.As(err, &unlike) {
		t.Errorf("a wrong condition is taken for what was measured: %v", err)
	}
	// Shares are of the runs that have the cell.
	less := of(all, map[string]uint64{"b": 100})
	less.Records = slices.DeleteFunc(less.Records, func(r trial.Record) bool { return r.Repeat > 3 && r.Cell.Engine == "b" })
	for _, r := range compared(t, of(all, map[string]uint64{"b": 100}), less, Options{Metrics: []string{"cost"}}).Rows {
		if r.unlike != "" {
			t.Error(r.unlike)
		}
	}
}

func TestGateSaysWhyAMetricIsNotThere(t *testing.T) {
	s := simulated(engineCosts{"a": {100, 101, 102, 103}}, 0)
	c := compared(t, s, s, Options{Metrics: []string{"cost"}})
	for text, want := range map[string]string{
		"cost-min>3%": "no pass over the capture", "cost-min[a]>3%": "no pass over the capture", "instructions>1%": "counted none",
		"nonesuch>3%": `unknown metric "nonesuch"; there are allocs, cost, cost-min, cpu, instructions, ndr, peak, service`,
	} {
		if _, err := c.Gate(condition(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	other := simulated(engineCosts{"a": {100, 101, 102, 103}}, 0)
	for i := range other.Records {
		other.Records[i].Result.Quickest, other.Records[i].Result.Slices = 99, 9
	}
	if _, err := Compare(side("x", s), side("y", other), Options{Metrics: []string{"cost-min"}}); err == nil || !strings.Contains(err.Error(), "only new has it") {
		t.Errorf("%v", err)
	}
}

// A parser that refuses what the other one parses is not a faster one.
func TestGateOnParsersThatRefuseOtherwise(t *testing.T) {
	of := func(ns float64, malformed uint64) Study {
		s := simulated(engineCosts{"a": {ns, ns + 1, ns + 2, ns + 3}}, 0)
		for i := range s.Records {
			s.Records[i].Counters.Frames, s.Records[i].Counters.Malformed = 1000, malformed
		}
		return s
	}
	c := compared(t, of(100, 3), of(20, 1000), Options{})
	if r := row(t, c.Rows, "cost", "a"); len(r.Doubts) != 1 || !strings.Contains(r.Doubts[0], "old refused 0.3 %") {
		t.Errorf("%q", r.Doubts)
	}
	if _, err := c.Gate(condition(t, "cost>3%")); err == nil || !strings.Contains(err.Error(), "new 100.0 %") {
		t.Errorf("%v", err)
	}
	if gate, err := compared(t, of(100, 3), of(20, 1000), Options{Force: true}).Gate(condition(t, "cost>3%")); err != nil || len(gate.True) != 0 {
		t.Errorf("%+v, %v", gate, err)
	}
	if _, err := compared(t, of(100, 3), of(20, 12), Options{}).Gate(condition(t, "cost>3%")); err != nil {
		t.Error(err)
	}
}
