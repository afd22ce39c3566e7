package analysis_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

func pointer[T any](v T) *T { return &v }

// service is a closed loop of a second in which every packet of 100 octets took ns.
func service(cell trial.Cell, repeat int, ns float64) trial.Record {
	n := uint64(1e9 / ns)
	return trial.Record{
		Kind: trial.KindService, Cell: cell, Repeat: repeat,
		Result: replay.Result{
			Intended: n, Offered: n, Delivered: n, Served: n, Duration: time.Second, Elapsed: time.Second, Busy: time.Second,
			FeedTime: 20 * time.Millisecond,
		},
		Counters: parse.Counters{Frames: n, Octets: 100 * n, WireOctets: 200 * n},
		Usage:    meter.Usage{ProcessCPUNs: pointer(int64(2e9)), HeapAllocs: int64(3 * n), GCCycles: 50, EnginePeakOctets: pointer(int64(1000 * repeat))},
	}
}

func loaded(cell trial.Cell, repeat int, load float64, intended, dropped, residual, drained uint64) trial.Record {
	return trial.Record{
		Kind: trial.KindTrial, Cell: cell, Repeat: repeat, Input: trial.Input{Load: load, Duration: time.Second},
		Result: replay.Result{
			Intended: intended, Offered: intended, Dropped: dropped, Residual: residual, LateDrained: drained,
			Delivered: intended - dropped - residual, Served: intended - dropped,
		},
	}
}

func bounds(cell trial.Cell, repeat int, lower, upper *float64, regular bool) trial.Record {
	b := &search.Bounds{Goal: search.NDR(), Lower: lower, Upper: upper, Regular: regular}
	if lower != nil {
		b.ConditionalThroughput = *lower
	}
	return trial.Record{Kind: trial.KindBounds, Cell: cell, Repeat: repeat, Bounds: b, Marks: []string{trial.MarkFeedLimited}}
}

func header(repeats int) trial.Header {
	return trial.Header{
		Settings: trial.Settings{Unit: "pps"},
		Plan:     trial.Plan{Repeats: repeats, Search: trial.SearchMLR, Goals: []search.Goal{search.NDR()}},
	}
}

func TestAnalyzeSumsUpRepeats(t *testing.T) {
	cell := trial.Cell{Engine: "direct", Size: "64", Cache: "hot", Workers: 1}
	var records []trial.Record
	for i, ns := range []float64{100, 125, 160, 200, 250, 400} {
		records = append(records,
			trial.Record{Kind: trial.KindWarmUp, Cell: cell, Repeat: i + 1, Result: replay.Result{Delivered: 1, Served: 1, Busy: time.Hour}},
			service(cell, i+1, ns),
			loaded(cell, i+1, 5e6, 1000, 10, 5, 3),
			bounds(cell, i+1, pointer(1e6+float64(i)), pointer(2e6+float64(i)), true))
	}
	r := analysis.Analyze(header(6), records)
	if len(r.Ceilings) != 1 || len(r.Curves) != 1 || len(r.Warnings) != 0 {
		t.Fatalf("%d ceilings, %d curves, warnings %q", len(r.Ceilings), len(r.Curves), r.Warnings)
	}
	c := r.Ceilings[0]
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6*math.Abs(want) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("time per packet", c.NS.Median, 180)
	near("its interval from", c.NS.Interval.Low, 100)
	near("its interval to", c.NS.Interval.High, 400)
	near("service", c.Service.Median, (5e6+6.25e6)/2)
	near("CPU per packet", c.CPUNS.Median, 360)
	near("allocations per packet", c.Allocs.Median, 3)
	near("peak", c.Peak.Max, 6000)
	near("feed", c.Feed.Median, 0.02)
	near("octets", c.Octets, 100)
	if c.Insns.N != 0 {
		t.Errorf("instructions that were not read are %v", c.Insns)
	}
	g := c.Goals[0]
	near("NDR", g.Rate.Median, 1e6+2.5)
	near("smallest lower bound", g.Lower, 1e6)
	near("largest upper bound", g.Upper, 2e6+5)
	if !g.Regular {
		t.Error("regular bounds are called irregular")
	}
	if len(c.Marks) != 1 || c.Marks[0] != trial.MarkFeedLimited {
		t.Errorf("marks %q", c.Marks)
	}
	p := r.Curves[0].Points[0]
	if p.Trials != 6 || p.Intended != 6000 || p.Lost != 90 || p.Drained != 18 || p.LossRatio() != 0.015 {
		t.Errorf("point %+v, loss %v", p, p.LossRatio())
	}
	measures := map[string]float64{}
	for _, m := range r.Measures() {
		measures[m.Metric] = m.Value
	}
	near("measure ndr", measures["ndr"], 1e6+2.5)
	near("measure cost", measures["cost"], 180)
}

func TestAnalyzeSaysWhatIsIrregular(t *testing.T) {
	for _, tt := range []struct {
		name         string
		lower, upper *float64
		want         string
		ndr          float64
	}{
		{"never lossy", pointer(1e6), nil, "no load was too much (raise --max-load) in 1 of 1 repeat", 1e6},
		{"always lossy", nil, pointer(1e3), "even the lowest load was too much in 1 of 1 repeat", 0},
		{"wide", pointer(1e3), pointer(1e6), "within the width in 1 of 1 repeat", 1e3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cell := trial.Cell{Engine: "e", Size: trial.Captured, Cache: "cold", Workers: 1}
			r := analysis.Analyze(header(6), []trial.Record{service(cell, 1, 100), bounds(cell, 1, tt.lower, tt.upper, false)})
			if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, tt.want) {
				t.Errorf("warnings %q, want %q", text, tt.want)
			}
			for _, m := range r.Measures() {
				if m.Metric == "ndr" && m.Value != tt.ndr {
					t.Errorf("ndr is %v for conditions, want %v", m.Value, tt.ndr)
				}
			}
		})
	}
}

// TestAnalyzeTakesNoLineThroughOneSize: where frames are not cut alike, a size's mean octets differ between repeats.
func TestAnalyzeTakesNoLineThroughOneSize(t *testing.T) {
	cell := trial.Cell{Engine: "direct", Size: "64", Cache: "hot", Workers: 1}
	var records []trial.Record
	for i, ns := range []float64{100, 101, 102, 103} {
		rec := service(cell, i+1, ns)
		rec.Counters.Octets += uint64(i)
		records = append(records, rec)
	}
	if r := analysis.Analyze(header(4), records); len(r.Costs) != 0 {
		t.Errorf("a line through one size: %+v", r.Costs)
	}
}

func TestAnalyzeFitsCostsOverSizesOnly(t *testing.T) {
	var records []trial.Record
	for i, size := range []string{"64", "512", "1518", "imix", trial.Captured} {
		cell := trial.Cell{Engine: "e", Size: size, Cache: "hot", Workers: 1}
		rec := service(cell, 1, 100+float64(50*i))
		rec.Counters.Octets = rec.Counters.Frames * uint64(60+500*i)
		records = append(records, rec)
	}
	r := analysis.Analyze(header(1), records)
	if len(r.Costs) != 1 || len(r.Costs[0].Points) != 3 {
		t.Fatalf("costs %+v: want one model of three sizes", r.Costs)
	}
	if m := r.Costs[0].Model; !m.Accepted || math.Abs(m.PerOctet-0.1) > 1e-3 || math.Abs(m.Base-94) > 0.1 {
		t.Errorf("model %+v, want 94 + 0.1 * octets", m)
	}
}

// Six repeats of each size give the cost model its intervals, although what was measured differs a little in its mean octets.
func TestAnalyzeGivesCostsIntervals(t *testing.T) {
	var records []trial.Record
	for repeat := 1; repeat <= 6; repeat++ {
		for _, size := range []uint64{64, 512, 1518} {
			cell := trial.Cell{Engine: "e", Size: fmt.Sprint(size), Cache: "hot", Workers: 1}
			rec := service(cell, repeat, 100+0.1*float64(size)+0.1*float64(repeat))
			rec.Counters.Octets = rec.Counters.Frames*size + uint64(repeat)
			records = append(records, rec)
		}
	}
	r := analysis.Analyze(header(6), records)
	if len(r.Costs) != 1 {
		t.Fatalf("costs %+v: want one model", r.Costs)
	}
	if m := r.Costs[0].Model; !m.BaseInterval.Valid() || !m.PerOctetInterval.Valid() || len(m.Warnings) > 0 {
		t.Errorf("intervals %+v and %+v, warnings %q", m.BaseInterval, m.PerOctetInterval, m.Warnings)
	}
}

func TestAnalyzeOfNothing(t *testing.T) {
	if r := analysis.Analyze(header(6), nil); len(r.Ceilings) != 0 {
		t.Errorf("%+v", r)
	}
}

// A search that was cut short before it had sustained a load says nothing, not that nothing is sustained.
func TestAnalyzeOfASearchThatWasCutShort(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	cut := bounds(cell, 1, nil, pointer(2e6), false)
	cut.Bounds.Marks = []string{search.MarkBudget}
	r := analysis.Analyze(header(6), []trial.Record{service(cell, 1, 100), cut})
	g := r.Ceilings[0].Goals[0]
	if g.Rate.N != 0 || g.NoLower != 0 || g.NoTime != 1 || g.Lower != 0 {
		t.Errorf("%+v", g)
	}
	if text := strings.Join(r.Warnings, "\n"); !strings.Contains(text, "not done") || strings.Contains(text, "too much") {
		t.Errorf("warnings %q", text)
	}
	for _, m := range r.Measures() {
		if m.Metric == "ndr" && m.Value == m.Value {
			t.Errorf("ndr has the value %v", m.Value)
		}
	}
}

// Repeats that sustained nothing must pull the result down, not vanish from it.
func TestAnalyzeCountsRepeatsWithoutBounds(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	low, high := pointer(1e6), pointer(1.001e6)
	type pair struct{ lower, upper *float64 }
	tests := []struct {
		name             string
		repeats          []pair
		noLower, noUpper int
		tooWide          int
		median, min      float64
		lower, upper     float64
		warning          string
	}{
		{"all regular", []pair{{low, high}, {low, high}, {low, high}}, 0, 0, 0, 1e6, 1e6, 1e6, 1.001e6, ""},
		{"one of three sustained nothing", []pair{{low, high}, {nil, high}, {low, high}}, 1, 0, 0, 1e6, 0, 0, 1.001e6,
			"even the lowest load was too much in 1 of 3 repeats"},
		{"most sustained nothing", []pair{{low, high}, {nil, high}, {nil, high}}, 2, 0, 0, 0, 0, 0, 1.001e6,
			"even the lowest load was too much in 2 of 3 repeats"},
		{"none sustained anything", []pair{{nil, high}, {nil, high}}, 2, 0, 0, 0, 0, 0, 1.001e6,
			"even the lowest load was too much in 2 of 2 repeats"},
		{"one without an upper bound", []pair{{low, high}, {low, nil}}, 0, 1, 0, 1e6, 1e6, 1e6, 0,
			"no load was too much (raise --max-load) in 1 of 2 repeats"},
		{"of each kind", []pair{{nil, high}, {low, nil}, {low, pointer(2e6)}, {low, high}}, 1, 1, 1, 1e6, 0, 0, 0,
			"even the lowest load was too much in 1 of 4 repeats; no load was too much (raise --max-load) in 1 of 4 repeats; " +
				"the bounds did not come within the width in 1 of 4 repeats"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var records []trial.Record
			for i, p := range tt.repeats {
				regular := p.lower != nil && p.upper != nil && *p.upper < 1.5e6
				records = append(records, service(cell, i+1, 100), bounds(cell, i+1, p.lower, p.upper, regular))
			}
			r := analysis.Analyze(header(6), records)
			g := r.Ceilings[0].Goals[0]
			if g.Repeats != len(tt.repeats) || g.NoLower != tt.noLower || g.NoUpper != tt.noUpper || g.TooWide != tt.tooWide {
				t.Errorf("counts %+v", g)
			}
			if g.Rate.N != len(tt.repeats) || g.Rate.Median != tt.median || g.Rate.Min != tt.min {
				t.Errorf("rate %+v, want median %v and minimum %v of all repeats", g.Rate, tt.median, tt.min)
			}
			if g.Lower != tt.lower || g.Upper != tt.upper || g.Regular != (tt.warning == "") {
				t.Errorf("bounds %v to %v, regular %v", g.Lower, g.Upper, g.Regular)
			}
			if text := strings.Join(r.Warnings, "\n"); tt.warning == "" && strings.Contains(text, "irregular") ||
				!strings.HasSuffix(text, tt.warning) {
				t.Errorf("warnings %q, want %q", text, tt.warning)
			}
			for _, m := range r.Measures() {
				if m.Metric == "ndr" && m.Value != tt.median {
					t.Errorf("ndr is %v for conditions, %v in the table", m.Value, tt.median)
				}
			}
		})
	}
}

func TestAnalyzeKeepsMarksOfCurves(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	at := func(load, ofService, ofRecorded float64, marks ...string) trial.Record {
		rec := loaded(cell, 1, load, 1000, 1, 0, 0)
		rec.Input.OfService, rec.Input.OfRecorded, rec.Marks = ofService, ofRecorded, marks
		return rec
	}
	r := analysis.Analyze(trial.Header{Plan: trial.Plan{Search: trial.SearchNone}}, []trial.Record{
		at(100, 0.5, 0, trial.MarkUnsent), at(102, 0.5, 0, trial.MarkHostBusy, trial.MarkUnsent), at(104, 0.5, 0),
		at(300, 0, 0.5), at(200, 0, 0, trial.MarkThrottled),
	})
	if len(r.Curves) != 1 || len(r.Curves[0].Points) != 3 {
		t.Fatalf("curves %+v: want one of three points", r.Curves)
	}
	want := []struct {
		load, ofService, ofRecorded float64
		trials                      int
		marks                       string
	}{{102, 0.5, 0, 3, "unsent host-busy"}, {200, 0, 0, 1, "throttled"}, {300, 0, 0.5, 1, ""}}
	for i, w := range want {
		p := r.Curves[0].Points[i]
		if p.Load != w.load || p.OfService != w.ofService || p.OfRecorded != w.ofRecorded || p.Trials != w.trials ||
			strings.Join(p.Marks, " ") != w.marks {
			t.Errorf("point %d is %+v, want %+v", i, p, w)
		}
	}
}

func TestAnalyzeCountsWhatIsDone(t *testing.T) {
	a := trial.Cell{Engine: "a", Size: "64", Cache: "hot", Workers: 1}
	b := trial.Cell{Engine: "b", Size: "64", Cache: "hot", Workers: 1}
	goals := []search.Goal{search.NDR(), {Name: "pdr:0.5%", LossRatio: 0.005}}
	pdr := bounds(a, 1, pointer(1e6), pointer(2e6), true)
	pdr.Bounds.Goal = goals[1]
	rates := []trial.Rate{{Value: 1e3}, {Value: 2e3}}
	plan := func(searching string, goals []search.Goal, rates []trial.Rate) trial.Plan {
		return trial.Plan{
			Engines: []string{"a", "b"}, Sizes: []string{"64"}, Caches: []string{"hot"}, Workers: []int{1}, Repeats: 2,
			Search: searching, Goals: goals, Rates: rates,
		}
	}
	tests := []struct {
		name    string
		plan    trial.Plan
		records []trial.Record
		done    int
	}{
		{"nothing", plan(trial.SearchNone, nil, nil), nil, 0},
		{"services only are all of a plan without loads", plan(trial.SearchNone, nil, nil),
			[]trial.Record{service(a, 1, 100), service(b, 1, 100), service(a, 2, 100), service(b, 2, 100)}, 4},
		{"a load is missing", plan(trial.SearchNone, nil, rates),
			[]trial.Record{service(a, 1, 100), loaded(a, 1, 1e3, 10, 0, 0, 0), loaded(a, 1, 2e3, 10, 0, 0, 0),
				service(b, 1, 100), loaded(b, 1, 1e3, 10, 0, 0, 0)}, 1},
		{"a goal is missing", plan(trial.SearchMLR, goals, nil),
			[]trial.Record{service(a, 1, 100), bounds(a, 1, nil, nil, false), pdr,
				service(b, 1, 100), bounds(b, 1, nil, nil, false)}, 1},
		{"goals without a closed loop", plan(trial.SearchMLR, goals[:1], nil),
			[]trial.Record{bounds(a, 1, nil, nil, false)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := analysis.Analyze(trial.Header{Plan: tt.plan}, tt.records)
			if r.Planned != 4 || r.Done != tt.done {
				t.Errorf("%d of %d are done, want %d of 4", r.Done, r.Planned, tt.done)
			}
			want := ""
			if tt.done < 4 {
				want = fmt.Sprintf("unfinished: %d of 4 cells x repeats", tt.done)
			}
			if r.Unfinished() != want || slices.Contains(r.Warnings, want) != (want != "") {
				t.Errorf("%q, warnings %q, want %q", r.Unfinished(), r.Warnings, want)
			}
		})
	}
}

func TestAnalyzeSeveralWorkers(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 2}
	rec := service(cell, 1, 100)
	// The first worker has three quarters of the frames and takes 3 Mpps: all of it saturates at 4 Mpps.
	rec.Workers = []trial.WorkerCounts{
		{Frames: 75, Delivered: 3e6, Duration: 1e9}, {Frames: 25, Delivered: 7e6, Duration: 1e9},
	}
	for _, tt := range []struct {
		unit, feed string
		service    float64
		feeds      int
	}{
		{"pps", "virtual", 4e6, 1},
		{"bit/s", "virtual", 4e6 * 200 * 8, 1},
		{"pps", "ring", 4e6, 0},
	} {
		r := analysis.Analyze(trial.Header{Settings: trial.Settings{Unit: tt.unit, Feed: tt.feed}}, []trial.Record{rec})
		c := r.Ceilings[0]
		if c.Service.Median != tt.service || c.Skew != 1.5 || c.Feed.N != tt.feeds {
			t.Errorf("%s, feed %s: service %v, skew %v, %d feed shares; want %v, 1.5, %d", tt.unit, tt.feed, c.Service.Median, c.Skew,
				c.Feed.N, tt.service, tt.feeds)
		}
		if math.Abs(c.NS.Median-100) > 1e-9 {
			t.Errorf("time per packet %v, want 100 of one worker's thread", c.NS.Median)
		}
	}
}

// What a plan offers to conditions and what its results offer are the same names.
func TestPlannedMeasures(t *testing.T) {
	a := trial.Cell{Engine: "a", Size: "64", Cache: "hot", Workers: 1}
	b := a
	b.Engine = "b"
	pdr := func(name string, ratio float64) search.Goal { return search.Goal{Name: name, LossRatio: ratio} }
	plan := func(searching string, rates []trial.Rate, goals ...search.Goal) trial.Header {
		return trial.Header{Settings: trial.Settings{Unit: "pps"}, Plan: trial.Plan{
			Engines: []string{"a", "b"}, Sizes: []string{"64"}, Caches: []string{"hot"}, Workers: []int{1}, Repeats: 1,
			Search: searching, Rates: rates, Goals: goals,
		}}
	}
	one := plan(trial.SearchMLR, nil, search.NDR(), pdr("pdr:0.5%", 0.005))
	two := plan(trial.SearchMLR, nil, search.NDR(), pdr("pdr:0.5%", 0.005), pdr("pdr:1%", 0.01))
	sweep := plan(trial.SearchNone, []trial.Rate{{Value: 1e3}, {Value: 2e3}})
	tests := []struct {
		name, condition string
		header          trial.Header
		known           bool
		matches         int
	}{
		{"a goal", "ndr<2", one, true, 2},
		{"a goal of one engine", "ndr[a]<2", one, true, 1},
		{"a goal by its full name", "pdr:0.5%<3", one, true, 2},
		{"a goal by its short name", "pdr<3", one, true, 2},
		{"another ratio", "pdr:1%<3", one, false, 0},
		{"a short name of two goals", "pdr<3", two, false, 0},
		{"one of two goals", "pdr:1%<4", two, true, 2},
		{"an unknown engine", "ndr[c]<2", one, false, 0},
		{"loss of a search", "loss>0", one, false, 0},
		{"loss of a sweep", "loss>0.5%", sweep, true, 2},
		{"loss of a sweep, one engine", "loss[b]>=0", sweep, true, 2},
		{"a goal of a sweep", "ndr<2", sweep, false, 0},
		{"cost", "cost>50", sweep, true, 2},
		{"allocations", "allocs>4", sweep, true, 0},
		{"loss without loads", "loss>0", plan(trial.SearchNone, nil), false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := analysis.ParseCondition(tt.condition)
			if err != nil {
				t.Fatal(err)
			}
			var records []trial.Record
			for _, cell := range []trial.Cell{a, b} {
				records = append(records, service(cell, 1, 100))
				for i, rate := range tt.header.Plan.Rates {
					records = append(records, loaded(cell, 1, rate.Value, 1000, uint64(10*i), 0, 0))
				}
				for i, g := range tt.header.Plan.Goals {
					rec := bounds(cell, 1, pointer(1+float64(i)), pointer(9.0), true)
					rec.Bounds.Goal = g
					records = append(records, rec)
				}
			}
			if _, err := c.Check(analysis.PlannedMeasures(tt.header)); (err == nil) != tt.known {
				t.Errorf("before: %v, want known %v", err, tt.known)
			}
			matches, err := c.Check(analysis.Analyze(tt.header, records).Measures())
			if (err == nil) != tt.known || len(matches) != tt.matches {
				t.Errorf("after: %v, %v; want known %v, %d matches", err, matches, tt.known, tt.matches)
			}
			// A study that was interrupted has no value there, which is not an unknown name.
			_, err = c.Check(analysis.Analyze(tt.header, nil).Measures())
			if err == nil || strings.Contains(err.Error(), "unknown") == tt.known {
				t.Errorf("of nothing: %v, want known %v", err, tt.known)
			}
		})
	}
}

func TestMeasuresSayTheLoad(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 2}
	h := trial.Header{Settings: trial.Settings{Unit: "pps"}, Plan: trial.Plan{
		Engines: []string{"e"}, Search: trial.SearchNone, Rates: []trial.Rate{{Value: 5e6}},
	}}
	r := analysis.Analyze(h, []trial.Record{loaded(cell, 1, 5e6, 1000, 10, 5, 3)})
	for _, m := range r.Measures() {
		if m.Metric != "loss" {
			continue
		}
		if m.Where != "64, hot, 2 workers, at 5e+06 pps" || m.Value != 0.015 {
			t.Errorf("measure %+v", m)
		}
		return
	}
	t.Error("no loss")
}
