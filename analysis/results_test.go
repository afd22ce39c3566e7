package analysis_test

import (
	"math"
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
	near("feed", c.Feed, 0.02)
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
		{"never lossy", pointer(1e6), nil, "no load was too much", 1e6},
		{"always lossy", nil, pointer(1e3), "even the lowest load", 0},
		{"wide", pointer(1e3), pointer(1e6), "within the width", 1e3},
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

func TestAnalyzeOfNothing(t *testing.T) {
	if r := analysis.Analyze(header(6), nil); len(r.Ceilings) != 0 {
		t.Errorf("%+v", r)
	}
}
