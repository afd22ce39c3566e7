package analysis

import (
	"math"
	"slices"
	"time"

	"pcaplab/replay/live"
	"pcaplab/replay/trial"
)

const (
	// SenderMargin is how many times the loss-free receive rate the sender's top speed must be for a ceiling to be one.
	SenderMargin = 1.2
	// SenderShortfall is the share of a load from which on a sender that was behind it is said to limit it.
	SenderShortfall = 0.01
	// ParserShare is the share of an engine's ceiling in memory from which on the parser is said to limit it on the network.
	ParserShare = 0.75
)

// What limits an engine on the network.
const (
	LimitParser  = "parser"
	LimitNetwork = "network/kernel"
	LimitSender  = "sender" // it could not show more
)

// Live is what came of a live run.
type Live struct {
	Header   live.Header  `json:"header"`
	Backends []string     `json:"backends"` // that sent
	Engines  []LiveEngine `json:"engines"`  // those that were measured, in the plan's order
}

// LiveEngine compares an engine on the network with itself in memory. Rates are pps.
type LiveEngine struct {
	Engine string  `json:"engine"`
	Alone  Summary `json:"alone_pps"` // the sender's top speed with nobody listening
	Top    Summary `json:"top_pps"`   // and with this engine at the other end
	// Ceiling is the highest rate at which the goal was met on the network: the lower bound of the search. With SenderLimited it is
	// no ceiling but what was reached: Top is below SenderMargin times it or, in most repeats, the search met no loss but the sender's.
	Ceiling       Summary `json:"ceiling_pps"`
	SenderLimited bool    `json:"sender_limited"`
	// Below are the upper bounds of the repeats in which no rate met the goal on the network: they are not in Ceiling.
	Below   Summary `json:"below_pps"`
	Memory  Summary `json:"memory_ceiling_pps"` // by the same goal, behind the queue that the ring is
	Service Summary `json:"service_pps"`        // closed loop in memory
	// Ratio is Ceiling over Memory, of the medians; 0 where either is unknown. With SenderLimited it is at least that.
	Ratio float64 `json:"ratio"`
	// Limit is what limits the engine on the network: LimitParser if Ratio is at least ParserShare, else LimitSender with
	// SenderLimited, which says nothing of the network, else LimitNetwork; "" where Ratio is unknown.
	Limit string     `json:"limit"`
	Loads []LiveLoad `json:"loads"` // top speed first, then those of the plan
}

// LiveLoad is one load on the network, and in memory.
type LiveLoad struct {
	Load    float64 `json:"load_pps"` // 0: top speed
	Offered Summary `json:"offered_pps"`
	Sent    Summary `json:"sent_pps"` // as achieved
	// Shortfall are the frames that were due and not sent, because the sender was behind, summed over the repeats; they are not in
	// Counts. SenderLimited says that they are at least SenderShortfall of what was due: the load was Sent, not Offered.
	Shortfall     uint64 `json:"shortfall"`
	SenderLimited bool   `json:"sender_limited"`
	// Counts are summed over the repeats.
	Counts live.Counts `json:"counts"`
	Loss   Summary     `json:"loss"` // share of what was sent that was not parsed in time
	// MemoryLoss is what the same engine loses in memory at the same load: the parser's own.
	MemoryLoss Summary `json:"memory_loss"`
	// Costs are CPU time, in ns a frame.
	Parse   Summary `json:"parse_ns"`   // the receiving thread, waiting apart: reading the ring and parsing
	Memory  Summary `json:"memory_ns"`  // the parsing thread in closed loop in memory
	WakeUp  Summary `json:"wakeup_ns"`  // the receiving thread, to go to sleep and wake up
	WakeUps Summary `json:"wakeups"`    // a second
	Softirq Summary `json:"softirq_ns"` // software interrupts of the whole machine, as the kernel samples them
	// Socket is what handing the frame to the socket takes, copy included: the CPU time of the sender, in which the kernel receives
	// for the peer of a veth, and of ksoftirqd, less that with nobody listening. At top speed only.
	Socket Summary `json:"socket_ns"`
	Copy   Summary `json:"copy_ns"` // the same copy in user space: about the copy's part of Socket. At top speed only.
}

// AnalyzeLive summarizes the records of a live run.
func AnalyzeLive(header live.Header, records []live.Record) *Live {
	l := &Live{Header: header}
	for i := range records {
		if t := records[i].Trial; t != nil {
			for _, b := range t.Sender.Backends {
				if !slices.Contains(l.Backends, b) {
					l.Backends = append(l.Backends, b)
				}
			}
		}
	}
	for _, name := range header.Plan.Engines {
		var own []*live.Record
		for i := range records {
			if records[i].Engine == name {
				own = append(own, &records[i])
			}
		}
		if slices.ContainsFunc(own, func(r *live.Record) bool { return r.Kind == live.KindTop }) {
			l.Engines = append(l.Engines, liveEngine(&header.Plan, name, own))
		}
	}
	return l
}

func liveEngine(p *live.Plan, name string, records []*live.Record) LiveEngine {
	e := LiveEngine{Engine: name}
	rate := func(kind string) Summary {
		return summaryOf(records, func(r *live.Record) (float64, bool) {
			if r.Kind != kind {
				return 0, false
			}
			return r.Trial.SentRate(), true
		})
	}
	e.Alone, e.Top = rate(live.KindAlone), rate(live.KindTop)
	limited := 0
	e.Ceiling = summaryOf(records, func(r *live.Record) (float64, bool) {
		if r.Kind != live.KindBounds || r.Bounds.Lower == nil {
			return 0, false
		}
		if r.Bounds.Upper == nil || senderMissed(records, r) {
			limited++
		}
		return *r.Bounds.Lower, true
	})
	e.Below = summaryOf(records, func(r *live.Record) (float64, bool) {
		if r.Kind != live.KindBounds || r.Bounds.Lower != nil || r.Bounds.Upper == nil {
			return 0, false
		}
		return *r.Bounds.Upper, true
	})
	e.SenderLimited = e.Ceiling.N > 0 && (e.Top.Median < float64(SenderMargin*e.Ceiling.Median) || 2*limited > e.Ceiling.N)
	e.Memory = summaryOf(records, func(r *live.Record) (float64, bool) {
		if r.Kind != live.KindMemory || r.Memory.Kind != trial.KindBounds || r.Memory.Bounds.Lower == nil {
			return 0, false
		}
		return *r.Memory.Bounds.Lower, true
	})
	e.Service = summaryOf(records, func(r *live.Record) (float64, bool) {
		if r.Kind != live.KindMemory || r.Memory.Kind != trial.KindService {
			return 0, false
		}
		return r.Memory.ServiceRate(), true
	})
	if e.Ceiling.N > 0 && e.Memory.N > 0 && e.Memory.Median > 0 {
		e.Ratio = e.Ceiling.Median / e.Memory.Median
		switch {
		case e.Ratio >= ParserShare:
			e.Limit = LimitParser
		case e.SenderLimited:
			e.Limit = LimitSender
		default:
			e.Limit = LimitNetwork
		}
	}
	e.Loads = append(e.Loads, liveLoad(records, live.KindTop, 0))
	for _, load := range p.Rates {
		if l := liveLoad(records, live.KindRate, load); l.Sent.N > 0 {
			e.Loads = append(e.Loads, l)
		}
	}
	return e
}

// senderMissed tells whether most trials at the upper bound missed the goal only because the sender was behind.
func senderMissed(records []*live.Record, bounds *live.Record) bool {
	missed, sender := 0, 0
	for _, r := range records {
		if r.Kind != live.KindSearch || r.Repeat != bounds.Repeat || r.Trial.Load != *bounds.Bounds.Upper {
			continue
		}
		t, goal := r.Trial, bounds.Bounds.Goal.LossRatio
		frames := float64(t.Sent)
		switch {
		case float64(t.Lost()) > goal*frames:
			missed++
		case float64(t.Lost()+t.Shortfall) > goal*frames:
			missed++
			sender++
		}
	}
	return 2*sender > missed
}

// summaryOf summarizes what is known of records; of none it is the zero value.
func summaryOf(records []*live.Record, value func(*live.Record) (float64, bool)) Summary {
	var values []float64
	for _, r := range records {
		if v, ok := value(r); ok && !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return Summary{}
	}
	return Summarize(values)
}

func liveLoad(records []*live.Record, kind string, load float64) LiveLoad {
	l := LiveLoad{Load: load}
	here := func(r *live.Record) bool { return r.Kind == kind && r.Trial.Load == load }
	of := func(value func(*live.Trial) float64) Summary {
		return summaryOf(records, func(r *live.Record) (float64, bool) {
			if !here(r) {
				return 0, false
			}
			return value(r.Trial), true
		})
	}
	for _, r := range records {
		if here(r) {
			c := &r.Trial.Counts
			l.Counts.Sent += c.Sent
			l.Counts.Parsed += c.Parsed
			l.Counts.SocketDrops += c.SocketDrops
			l.Counts.InterfaceDrops += c.InterfaceDrops
			l.Counts.InRing += c.InRing
			l.Counts.Unexplained += c.Unexplained
			l.Shortfall += r.Trial.Shortfall
		}
	}
	l.SenderLimited = load > 0 && float64(l.Shortfall) >= float64(SenderShortfall*float64(l.Counts.Sent+l.Shortfall)) && l.Shortfall > 0
	l.Sent = of((*live.Trial).SentRate)
	if l.Offered = l.Sent; load > 0 {
		l.Offered = of(func(t *live.Trial) float64 { return t.Load })
	}
	l.Loss = of(func(t *live.Trial) float64 { return t.LossRatio() })
	parsed := func(t *live.Trial) float64 { return float64(t.Parser.Frames) }
	wait := func(t *live.Trial) float64 { return float64(t.Receiver.WaitCPU) }
	l.Parse = of(func(t *live.Trial) float64 {
		if t.Usage == nil {
			return math.NaN()
		}
		return ratio(total(t.Usage.ThreadCPUNs)-wait(t), parsed(t))
	})
	l.WakeUp = of(func(t *live.Trial) float64 { return ratio(wait(t), parsed(t)) })
	l.WakeUps = of(func(t *live.Trial) float64 { return ratio(float64(t.Receiver.Waits), t.Sender.Elapsed.Seconds()) })
	l.Softirq = of(func(t *live.Trial) float64 { return ratio(float64(t.Softirqs.TimeNs), float64(t.Sent)) })
	if kind == live.KindTop {
		l.Copy = of(func(t *live.Trial) float64 {
			if t.CopyNs <= 0 {
				return math.NaN()
			}
			return t.CopyNs
		})
		alone := map[int]float64{}
		for _, r := range records {
			if r.Kind == live.KindAlone {
				alone[r.Repeat] = kernelNs(r.Trial)
			}
		}
		l.Socket = summaryOf(records, func(r *live.Record) (float64, bool) {
			if !here(r) {
				return 0, false
			}
			before, known := alone[r.Repeat]
			return kernelNs(r.Trial) - before, known
		})
	}
	// In memory the load at top speed is what was sent, in whole frames a second.
	sent := map[int]float64{}
	for _, r := range records {
		if here(r) {
			if sent[r.Repeat] = load; load == 0 {
				sent[r.Repeat] = math.Round(r.Trial.SentRate())
			}
		}
	}
	seen := map[int]bool{}
	l.MemoryLoss = summaryOf(records, func(r *live.Record) (float64, bool) {
		at, known := sent[r.Repeat]
		if r.Kind != live.KindMemory || r.Memory.Kind != trial.KindTrial || !known || r.Memory.Input.Load != at || seen[r.Repeat] {
			return 0, false
		}
		seen[r.Repeat] = true
		return r.Memory.Result.LossRatio(), true
	})
	l.Memory = summaryOf(records, func(r *live.Record) (float64, bool) {
		if _, known := sent[r.Repeat]; r.Kind != live.KindMemory || r.Memory.Kind != trial.KindService || !known {
			return 0, false
		}
		if cpu := r.Memory.Usage.ThreadCPUNs; cpu != nil {
			return ratio(float64(*cpu), float64(r.Memory.Result.Served)), true
		}
		return r.Memory.CostNanos(), true
	})
	return l
}

// kernelNs is the CPU time of the sending thread and of ksoftirqd for a frame.
func kernelNs(t *live.Trial) float64 {
	return ratio(float64(t.Sender.User+t.Sender.System+time.Duration(t.Softirqs.ThreadNs)), float64(t.Sent))
}
