package analysis

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/live"
	"pcaplab/replay/meter"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// liveTrial sent so many frames in a second and parsed so many of them.
func liveTrial(load float64, sent, parsed uint64) *live.Trial {
	cpu := int64(parsed) * 150
	t := &live.Trial{Load: load, Duration: time.Second, Counts: live.Counts{Sent: sent, Parsed: parsed, SocketDrops: sent - parsed},
		Sender:   inject.Result{Frames: sent, Sent: sent, Elapsed: time.Second, System: time.Duration(sent) * 700, Backends: []string{"sendmmsg"}},
		Receiver: receive.Stats{Frames: parsed, Waits: 1000, WaitCPU: time.Duration(parsed) * 50},
		Parser:   parse.Counters{Frames: parsed}, Usage: &meter.Usage{ThreadCPUNs: &cpu}, Softirqs: netlab.Softirqs{TimeNs: int64(sent) * 400}, CopyNs: 30}
	return t
}

// liveRecords is a repeat of an engine whose sender reaches top, that parses up to ceiling live, and memory in memory.
func liveRecords(engine string, repeat int, top, ceiling, memory float64) []live.Record {
	alone := liveTrial(0, uint64(top*1.1), 0)
	alone.Sender.System = time.Duration(float64(alone.Sent) * 500)
	upper := ceiling * 1.1
	bound := func(lower float64, upper *float64) *search.Bounds {
		return &search.Bounds{Goal: search.NDR(), Lower: &lower, Upper: upper}
	}
	records := []live.Record{
		{Kind: live.KindAlone, Trial: alone},
		{Kind: live.KindTop, Trial: liveTrial(0, uint64(top), uint64(math.Min(top, ceiling)))},
		{Kind: live.KindRate, Trial: liveTrial(1000, 1000, 900)},
		{Kind: live.KindSearch, Trial: liveTrial(upper, uint64(upper), uint64(ceiling))},
		{Kind: live.KindBounds, Bounds: bound(ceiling, &upper)},
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindWarmUp}},
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindService, Result: replay.Result{Delivered: 1e6, Served: 1e6, Duration: time.Second, Busy: time.Second}}},
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindTrial, Input: trial.Input{Load: 1000}, Result: replay.Result{Intended: 100, Delivered: 98}}},
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindTrial, Input: trial.Input{Load: math.Round(top)}, Result: replay.Result{Intended: 100, Delivered: 75}}},
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindTrial, Input: trial.Input{Load: math.Round(top)}, Result: replay.Result{Intended: 100, Delivered: 1}}}, // of the search
		{Kind: live.KindMemory, Memory: &trial.Record{Kind: trial.KindBounds, Bounds: bound(memory, nil)}},
	}
	for i := range records {
		records[i].Engine, records[i].Repeat = engine, repeat
	}
	return records
}

func TestAnalyzeLive(t *testing.T) {
	h := live.Header{Plan: live.Plan{Engines: []string{"fast", "slow", "absent"}, Repeats: 2, Rates: []float64{1000}}}
	var records []live.Record
	for repeat := 1; repeat <= 2; repeat++ {
		records = append(records, liveRecords("fast", repeat, 1_000_000, 900_000, 8_000_000)...)
		records = append(records, liveRecords("slow", repeat, 1_000_000, 90_000, 100_000)...)
	}
	l := AnalyzeLive(h, records)
	if len(l.Engines) != 2 || len(l.Backends) != 1 || l.Backends[0] != "sendmmsg" {
		t.Fatalf("%+v", l)
	}
	fast, slow := &l.Engines[0], &l.Engines[1]
	if !fast.SenderLimited || fast.Limit != LimitSender || fast.Ceiling.Median != 900_000 || fast.Top.Median != 1_000_000 || fast.Alone.Median != 1_100_000 {
		t.Errorf("fast: %+v", fast)
	}
	if slow.SenderLimited || slow.Limit != LimitParser || math.Abs(slow.Ratio-0.9) > 1e-12 || slow.Memory.Median != 100_000 || slow.Service.Median != 1e6 {
		t.Errorf("slow: %+v", slow)
	}
	if len(slow.Loads) != 2 {
		t.Fatalf("%+v", slow.Loads)
	}
	top, rate := &slow.Loads[0], &slow.Loads[1]
	for _, tt := range []struct {
		name      string
		got, want float64
	}{
		{"loss at top speed", top.Loss.Median, 0.91}, {"in memory", top.MemoryLoss.Median, 0.25}, {"sent", top.Sent.Median, 1e6}, {"offered", top.Offered.Median, 1e6},
		{"parse", top.Parse.Median, 100}, {"of memory", top.Memory.Median, 1000}, {"wake-up", top.WakeUp.Median, 50}, {"wake-ups", top.WakeUps.Median, 1000},
		{"softirq", top.Softirq.Median, 400}, {"to socket", top.Socket.Median, 200}, {"copy", top.Copy.Median, 30},
		{"loss at a rate", rate.Loss.Median, 0.1}, {"in memory at a rate", rate.MemoryLoss.Median, 0.02}, {"offered at a rate", rate.Offered.Median, 1000},
		{"to socket at a rate", float64(rate.Socket.N), 0}, {"copy at a rate", float64(rate.Copy.N), 0},
	} {
		if math.Abs(tt.got-tt.want) > 1e-9*math.Max(1, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if top.Counts.Sent != 2_000_000 || top.Counts.Parsed != 180_000 || top.Counts.SocketDrops != 1_820_000 {
		t.Errorf("counts: %+v", top.Counts)
	}
	if _, err := json.Marshal(l); err != nil {
		t.Error(err)
	}
}

func TestSenderLimited(t *testing.T) {
	one := func(change func([]live.Record)) LiveEngine {
		records := liveRecords("e", 1, 1_000_000, 500_000, 8_000_000)
		change(records)
		l := AnalyzeLive(live.Header{Plan: live.Plan{Engines: []string{"e"}}}, records)
		return l.Engines[0]
	}
	for _, tt := range []struct {
		name   string
		change func([]live.Record)
		want   bool
		limit  string
	}{
		{"twice as much to give", func([]live.Record) {}, false, LimitNetwork},
		{"no loss met", func(r []live.Record) { r[4].Bounds.Upper = nil }, true, LimitSender},
		{"no loss met, near the parser's own", func(r []live.Record) { r[4].Bounds.Upper = nil; *r[10].Memory.Bounds.Lower = 600_000 }, true, LimitParser},
		{"only the sender was behind", func(r []live.Record) {
			r[3].Trial.Parsed, r[3].Trial.SocketDrops, r[3].Trial.Shortfall = r[3].Trial.Sent, 0, 1000
		}, true, LimitSender},
		{"both", func(r []live.Record) { r[3].Trial.Shortfall = 1000 }, false, LimitNetwork},
		{"1.19 times", func(r []live.Record) { *r[4].Bounds.Lower = 1e6 / 1.19 }, true, LimitSender},
		{"1.21 times", func(r []live.Record) { *r[4].Bounds.Lower = 1e6 / 1.21 }, false, LimitNetwork},
		{"no bounds", func(r []live.Record) { r[4].Bounds.Lower = nil }, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if e := one(tt.change); e.SenderLimited != tt.want || e.Limit != tt.limit {
				t.Errorf("%v: %+v", e.SenderLimited, e)
			}
		})
	}
	if e := one(func(r []live.Record) { r[4].Bounds.Lower = nil }); e.Ratio != 0 || e.Ceiling.N != 0 || e.Below.N != 1 || math.Abs(e.Below.Median-550_000) > 1 {
		t.Errorf("of nothing: %+v", e)
	}
}
