package analysis

import (
	"math"
	"testing"
	"time"

	"pcaplab/replay"
	"pcaplab/replay/external"
	"pcaplab/replay/scenario"
)

// scenarioRecord is a trial of one second in which packets were sent and counted, at a cost of ns each.
func scenarioRecord(row, engine string, repeat int, sent, counted uint64, ns float64) scenario.Record {
	cpu, none, peak := int64(ns*float64(counted)), int64(0), int64(1<<20)
	return scenario.Record{
		Schema: scenario.Schema, Trial: scenario.Trial{Row: row, Engine: engine, Repeat: repeat}, Queue: "32",
		Result: replay.Result{Intended: sent, Offered: sent, Dropped: sent - counted, Delivered: counted, OfferedOctets: 100 * sent, Duration: time.Second},
		Counts: scenario.Counts{Packets: counted},
		Cost: scenario.Cost{TrafficNs: 1e9, TrafficCPU: &cpu, TrafficChildrenCPU: &none, WholeCPU: &cpu, WholeChildrenCPU: &none,
			PeakOctets: &peak, TreePeakOctets: &peak},
	}
}

func scenarioHeader(repeats int, engines ...string) scenario.Header {
	return scenario.Header{Schema: scenario.Schema, Plan: scenario.Plan{Engines: engines, Repeats: repeats, Scenario: scenario.Scenario{
		Name: "test", WindowSeconds: 5, Rows: []scenario.Row{{Name: "slow", Kind: "syn", PPS: 100}, {Name: "fast", Kind: "syn", PPS: 1000}}}}}
}

func TestAnalyzeScenarioByHand(t *testing.T) {
	h := scenarioHeader(2, "a", "b")
	records := []scenario.Record{
		scenarioRecord("slow", "a", 1, 100, 100, 1e6), scenarioRecord("slow", "a", 2, 100, 100, 3e6),
		scenarioRecord("slow", "b", 1, 100, 100, 2e6), scenarioRecord("slow", "b", 2, 100, 100, 6e6),
		scenarioRecord("fast", "a", 1, 1000, 500, 1e6), scenarioRecord("fast", "b", 1, 1000, 250, 4e6),
	}
	s := AnalyzeScenario(h, records)
	if s.Trials != 6 || s.Planned != 8 {
		t.Errorf("%d of %d trials, want 6 of 8", s.Trials, s.Planned)
	}
	c := s.Rows[0].Engines[0]
	for name, got := range map[string][2]float64{
		"counted":    {c.Counted.Median, 100},
		"loss":       {c.Loss.Median, 0},
		"share":      {c.Share.Median, 1},
		"CPU":        {c.CPU.Median, 0.2}, // of 0.1 and 0.3
		"window CPU": {c.WindowCPU.Median, 0.04},
		"cost":       {c.Cost.Median, 2e6},
		"peak":       {c.Peak.Median, 1 << 20},
		"octets":     {s.Rows[0].Octets, 100},
		"sent":       {float64(s.Rows[1].Sent), 1000},
		"lost half":  {s.Rows[1].Engines[0].Loss.Median, 0.5},
	} {
		if math.Abs(got[0]-got[1]) > 1e-9*math.Abs(got[1]) {
			t.Errorf("%s: %v, want %v", name, got[0], got[1])
		}
	}
	// Repeat 1: b costs 2 and 4 times a, by geometric mean sqrt(8); repeat 2: 2 times.
	b := s.Engines[1]
	if b.Base != "a" || b.Rows != 2 || math.Abs(b.Ratio.Median-(math.Sqrt(8)+2)/2) > 1e-9 {
		t.Errorf("b against a: %+v", b)
	}
	if s.Engines[0].Ratio.Median != 1 {
		t.Errorf("a against itself: %v", s.Engines[0].Ratio.Median)
	}
	if c.TCP.N != 0 || c.Closed.N != 0 {
		t.Errorf("what was not told has numbers: %+v %+v", c.TCP, c.Closed)
	}
}

func TestFailedTrialsCountInNoNumber(t *testing.T) {
	good := scenarioRecord("slow", "a", 1, 100, 100, 1e6)
	bad := scenarioRecord("slow", "a", 2, 100, 1, 1)
	bad.Failure, bad.Marks = "it ended", []string{scenario.MarkFailed}
	bad.Program = &external.Outcome{PipeOctets: 4096, Warnings: []string{"w"}}
	s := AnalyzeScenario(scenarioHeader(2, "a"), []scenario.Record{bad, good})
	c := s.Rows[0].Engines[0]
	if c.Counted.N != 1 || c.Counted.Median != 100 || s.Rows[0].Sent != 100 {
		t.Errorf("counted %+v of %d sent", c.Counted, s.Rows[0].Sent)
	}
	if len(c.Failures) != 1 || len(c.Marks) != 1 || c.Program == nil || len(c.Program.Warnings) != 1 {
		t.Errorf("the failure is not told: %+v", c)
	}
	if s.Trials != 1 {
		t.Errorf("%d trials are done, want 1: a failed one is not", s.Trials)
	}
	s = AnalyzeScenario(scenarioHeader(2, "a"), []scenario.Record{bad, good, scenarioRecord("slow", "a", 2, 100, 100, 1e6)})
	if c := s.Rows[0].Engines[0]; c.Counted.N != 2 || len(c.Failures) > 0 || len(c.Marks) > 0 || s.Trials != 2 {
		t.Errorf("a failure that was mended by another try is still told: %+v", c)
	}
}

// The repeats whose cost is above what can be known are the larger ones: none is better than these.
func TestCostsThatOneRepeatCannotTellAreNotKnown(t *testing.T) {
	var records []scenario.Record
	for repeat := 1; repeat <= 6; repeat++ {
		r := scenarioRecord("slow", "a", repeat, 100, 100, 100)
		if repeat == 3 {
			r.Cost.TrafficCPU, r.Cost.WholeCPU, r.Cost.TrafficChildrenCPU, r.Cost.WholeChildrenCPU = nil, nil, nil, nil
		}
		records = append(records, r, scenarioRecord("slow", "b", repeat, 100, 100, 1e6))
	}
	s := AnalyzeScenario(scenarioHeader(6, "a", "b"), records)
	if c := s.Rows[0].Engines[0]; c.Cost.N != 0 || c.CPU.N != 0 || c.Counted.N != 6 || c.Peak.N != 6 {
		t.Errorf("cost %+v, CPU %+v, counted %+v", c.Cost, c.CPU, c.Counted)
	}
	if len(s.Engines) != 1 || s.Engines[0].Base != "b" {
		t.Errorf("engines compared: %+v", s.Engines)
	}
}

func TestScenarioFitsFindTheQueueModel(t *testing.T) {
	h := scenarioHeader(6, "a")
	h.Plan.Scenario.Rows = nil
	var records []scenario.Record
	for _, pps := range []uint64{100, 200, 400, 800, 1600, 3200} {
		name := time.Duration(pps).String()
		h.Plan.Scenario.Rows = append(h.Plan.Scenario.Rows, scenario.Row{Name: name, Kind: "syn", PPS: float64(pps)})
		for repeat := 1; repeat <= 6; repeat++ {
			counted := min(pps, 1000+32) // 1 ms a packet, a queue of 32
			records = append(records, scenarioRecord(name, "a", repeat, pps, counted, 1e6*(1+0.001*float64(repeat))))
		}
	}
	s := AnalyzeScenario(h, records)
	if len(s.Fits) != 1 || s.Fits[0].Chosen == nil || s.Fits[0].Chosen.Form != FormFlat {
		t.Fatalf("fits: %+v", s.Fits)
	}
	f := s.Fits[0]
	if math.Abs(f.Chosen.Base.Value-1e6) > 1e4 {
		t.Errorf("cost %v ns, want 1 ms", f.Chosen.Base.Value)
	}
	if len(f.Counts) != 6 || f.Error > 0.01 {
		t.Errorf("the queue model is off by %v: %+v", f.Error, f.Counts)
	}
	for _, p := range f.Counts {
		if p.QueueFrames != 32 {
			t.Errorf("queue of %v frames, want 32", p.QueueFrames)
		}
	}
}

// Repeats of one row are no row of sizes and rates, although each of them measured its own a little differently.
func TestScenarioFitsNoLineThroughOneRow(t *testing.T) {
	h := scenarioHeader(6, "a")
	h.Plan.Scenario.Rows = h.Plan.Scenario.Rows[:1]
	var records []scenario.Record
	for repeat := 1; repeat <= 6; repeat++ {
		r := scenarioRecord(h.Plan.Scenario.Rows[0].Name, "a", repeat, 1000, 1000, 1e6*(1+0.001*float64(repeat)))
		r.Result.Duration += time.Duration(repeat) * time.Millisecond
		r.Result.OfferedOctets += uint64(repeat)
		records = append(records, r)
	}
	s := AnalyzeScenario(h, records)
	if len(s.Fits) != 1 || len(s.Fits[0].Fits) != 1 || s.Fits[0].Fits[0].Form != FormFlat {
		t.Errorf("fits of one row: %+v", s.Fits)
	}
}

func TestQueueFramesAreThoseOfThePresets(t *testing.T) {
	for spec, want := range map[string]float64{"pcap-immediate-32": 32, "1024": 1024, "scapy-65536": 57, "rcvbuf-212992": 93, "pcap-2MiB": 1310} {
		if got := QueueFrames(spec, 1514); got != want {
			t.Errorf("%s holds %v full frames, want %v", spec, got, want)
		}
	}
}
