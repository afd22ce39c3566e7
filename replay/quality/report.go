package quality

import (
	"math"
	"slices"
	"time"

	"pcaplab/analysis/score"
	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/replay"
)

// Report is what Run measured.
type Report struct {
	// Synthetic says what of the traffic was made up, "" for nothing; Run leaves it empty.
	Synthetic   string        `json:"synthetic,omitempty"`
	Engine      string        `json:"engine"`
	As          feature.As    `json:"as"`
	Policy      string        `json:"non_finite"`
	Classes     []string      `json:"classes"`
	Benign      string        `json:"benign"`
	AttackShare float64       `json:"attack_share"`
	Clock       string        `json:"clock"`
	Queue       string        `json:"queue"`
	Batch       int           `json:"batch"`
	Stamp       replay.Stamp  `json:"stamp"`
	Trial       time.Duration `json:"trial_ns"`
	Repeats     int           `json:"repeats"`
	// Passes is over how many passes of every capture the counts of Points are. A capture that was fed less often than the one with the
	// most passes has its counts multiplied, rounded to whole ones, so that classes weigh as they do in the captures.
	Passes  int            `json:"passes"`
	Traffic []TrafficFacts `json:"traffic"`
	Points  []Point        `json:"points"` // by rising load
	// KeepsUp is the highest load up to which, in the median of the repeats, at least KeptShare of the frames are delivered and of the
	// windows decided, and macro-F1 is at most KeptF1 below that without loss; nil if there is none.
	KeepsUp *KeepsUp `json:"keeps_up"`
}

// KeepsUp is a load at which a model is right and loses nothing to speak of.
type KeepsUp struct {
	Load float64 `json:"of_service"`
	Rate float64 `json:"pps"`     // offered, median
	Net  float64 `json:"net_pps"` // the same without the feed's part of the service ceiling: what engine, features and model would take alone
	Most bool    `json:"highest"` // no higher load was measured: it may keep up with more
}

// What is nothing to speak of.
const (
	KeptShare = 0.99
	KeptF1    = 0.01
)

// TrafficFacts is what is known of one capture.
type TrafficFacts struct {
	Name   string       `json:"name"`
	Class  string       `json:"class,omitempty"` // "" where frames are of several
	Frames int          `json:"frames"`
	Span   feature.Span `json:"span"`
	// Covered is the capture time of one pass, without the gaps longer than MaxGap.
	Covered time.Duration `json:"covered_ns"`
	Passes  int           `json:"passes"`  // over the capture that it was fed at each load
	Service []float64     `json:"service"` // ceiling, pps, feed included, in each repeat
	// FeedShare is the part of the time at the ceiling that is the feed's own, in each repeat: reading the clock, queue, frames.
	FeedShare []float64 `json:"feed_share"`
	Marks     []string  `json:"marks,omitempty"`

	benign bool // there are benign frames
}

// Point is one load over all captures.
type Point struct {
	Load     float64   `json:"of_service"` // multiple of each capture's own service ceiling
	Measured []Measure `json:"measured"`   // in each repeat
	Baseline []Measure `json:"baseline"`   // the same frames without loss, in each repeat
	// Scores and BaselineScores are what these say.
	Scores         []Score `json:"scores"`
	BaselineScores []Score `json:"baseline_scores"`
}

// Measure is a load over all captures, in one repeat, as if each had been fed Report.Passes times.
type Measure struct {
	Offered   uint64           `json:"offered"`     // frames
	Delivered uint64           `json:"delivered"`   // frames that were started in time
	Lost      uint64           `json:"lost"`        // all others
	Duration  time.Duration    `json:"duration_ns"` // of the load, one capture after another
	Vectors   uint64           `json:"vectors"`     // windows that closed
	Undecided uint64           `json:"undecided"`   // of them, dropped for a value that is not finite
	Confusion *score.Confusion `json:"confusion"`   // of the others
	// BenignTime is the capture time of captures with benign frames, as offered.
	BenignTime time.Duration `json:"benign_time_ns"`
	// DelayP99 is how long after its due time the 99th of 100 delivered frames was started, in the worst capture.
	DelayP99 time.Duration `json:"delay_p99_ns"`
	Marks    []string      `json:"marks,omitempty"`

	net time.Duration // Duration without the feed's part
}

func newReport(cfg *Config, traffic []Traffic) *Report {
	r := &Report{
		Engine: cfg.Engine.Name, As: cfg.As, Policy: cfg.Model.Policy().String(),
		Classes: slices.Clone(cfg.Classes), Benign: cfg.Classes[cfg.Benign], AttackShare: cfg.AttackShare,
		Clock: cfg.Clock, Queue: cfg.Queue, Batch: cfg.Batch, Stamp: cfg.Stamp, Trial: cfg.Trial, Repeats: cfg.Repeats,
	}
	for i := range traffic {
		t := &traffic[i]
		f := TrafficFacts{Name: t.Name, Frames: t.Frames.Len(), Span: t.Span, Covered: covered(t.Frames), benign: t.Class == cfg.Benign || cfg.Attackers != nil}
		if t.Span == (feature.Span{}) {
			f.Span.Rows = feature.DefaultRows
		}
		if t.Of == nil && t.Class >= 0 && t.Class < len(cfg.Classes) {
			f.Class = cfg.Classes[t.Class]
		}
		if t.Of != nil {
			f.benign = slices.Contains(t.Of, uint16(cfg.Benign))
		}
		r.Traffic = append(r.Traffic, f)
	}
	for _, load := range cfg.Loads {
		p := Point{Load: load, Measured: make([]Measure, cfg.Repeats), Baseline: make([]Measure, cfg.Repeats)}
		for _, list := range [][]Measure{p.Measured, p.Baseline} {
			for i := range list {
				list[i].Confusion = score.New(cfg.Classes)
			}
		}
		r.Points = append(r.Points, p)
	}
	return r
}

func (f *TrafficFacts) addMarks(marks []string) { f.Marks = merged(f.Marks, marks) }

func merged(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// MaxGap is the longest time without a frame that counts as captured: captures may be joined from pieces that lie months apart.
const MaxGap = 5 * time.Minute

// covered is how much capture time frames cover. Times that step back add nothing until they have caught up.
func covered(fr *arena.Frames) time.Duration {
	var f parse.Frame
	var sum uint64
	var latest int64
	for i := range fr.Len() {
		fr.Frame(i, &f)
		forward := f.UnixNano > latest
		d := uint64(f.UnixNano) - uint64(latest)
		if !forward {
			d = -d
		}
		switch {
		case i == 0 || d > uint64(MaxGap):
			latest = f.UnixNano
		case forward:
			sum += d
			latest = f.UnixNano
		}
	}
	return time.Duration(min(sum, math.MaxInt64))
}

// add adds what one capture gave, as if it had been fed so many passes.
func (p *Point) add(passes int, t taken) {
	weight := float64(passes) / float64(t.facts.Passes)
	scaled := func(n uint64) uint64 { return uint64(math.Round(float64(n) * weight)) }
	for _, pair := range [][2]*Measure{{&p.Measured[t.repeat], t.measure}, {&p.Baseline[t.repeat], t.baseline}} {
		sum, one := pair[0], pair[1]
		offered, delivered := scaled(one.Offered), scaled(one.Delivered)
		sum.Offered += offered
		sum.Delivered += delivered
		sum.Lost += offered - delivered
		duration := float64(one.Duration) * weight
		sum.Duration += time.Duration(duration)
		sum.net += time.Duration(duration * (1 - min(t.facts.FeedShare[t.repeat], 1)))
		if t.facts.benign {
			sum.BenignTime += time.Duration(min(float64(t.facts.Covered)*float64(passes), math.MaxInt64/4))
		}
		sum.DelayP99 = max(sum.DelayP99, one.DelayP99)
		sum.Marks = merged(sum.Marks, one.Marks)
		undecided := scaled(one.Undecided)
		sum.Undecided += undecided
		sum.Vectors += undecided
		for i, row := range one.Confusion.Counts {
			for j, n := range row {
				n = scaled(n)
				sum.Confusion.Counts[i][j] += n
				sum.Vectors += n
			}
		}
	}
}

// Decided returns how many windows got a class.
func (m *Measure) Decided() uint64 { return m.Confusion.Total() }

// OfferedRate and DeliveredRate are in pps over Duration.
func (m *Measure) OfferedRate() float64 { return perSecond(m.Offered, m.Duration) }

// DeliveredRate is how many frames a second were delivered.
func (m *Measure) DeliveredRate() float64 { return perSecond(m.Delivered, m.Duration) }

func perSecond(n uint64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// DeliveredShare is the part of the offered frames that was delivered; 0 if none was offered.
func (m *Measure) DeliveredShare() float64 { return share(m.Delivered, m.Offered) }

func share(part, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(part) / float64(all)
}

// Score is what a measure says, beside its baseline. Shares of no windows are 0: where no window was decided (Coverage 0) there is no score.
type Score struct {
	// MacroF1 and BalancedAccuracy are means over the classes that take part in them with or without loss: one that was lost altogether
	// counts as 0.
	MacroF1          float64 `json:"macro_f1"`
	BalancedAccuracy float64 `json:"balanced_accuracy"`
	Accuracy         float64 `json:"accuracy"`
	BenignRecall     float64 `json:"benign_recall"`     // 0 without benign windows
	DetectionRate    float64 `json:"detection_rate"`    // of attack windows that were decided, those with an alarm; 0 without any
	FalseAlarms      uint64  `json:"false_alarms"`      // benign windows taken for attacks
	FalseAlarmsHour  float64 `json:"false_alarms_hour"` // per hour of capture time offered, of captures with benign frames; 0 where that has no length
	BenignWindows    uint64  `json:"benign_windows"`    // decided
	AttackWindows    uint64  `json:"attack_windows"`    // decided
	Coverage         float64 `json:"coverage"`          // windows decided over those decided without loss
	AttacksFound     float64 `json:"attacks_found"`     // attack windows with an alarm over those of the baseline that are attacks: loss and error in one
}

// Scores computes what m says. baseline is the same load without loss; benign the index of the class.
func (m *Measure) Scores(baseline *Measure, benign int) Score {
	metrics, alarms := m.Confusion.Metrics(), m.Confusion.Alarms(benign)
	s := Score{
		MacroF1: metrics.Macro.F1, BalancedAccuracy: metrics.BalancedAccuracy, Accuracy: metrics.Accuracy,
		BenignRecall: alarms.BenignRecall(), DetectionRate: alarms.DetectionRate(), FalseAlarms: alarms.FalseAlarms,
		FalseAlarmsHour: alarms.PerHour(m.BenignTime.Hours()), BenignWindows: alarms.BenignRows, AttackWindows: alarms.AttackRows,
	}
	f1, recall := lost(metrics.PerClass, baseline.Confusion.Metrics().PerClass)
	s.MacroF1 *= f1
	s.BalancedAccuracy *= recall
	s.Coverage = share(m.Decided(), baseline.Decided())
	s.AttacksFound = share(alarms.Detected, baseline.Confusion.Alarms(benign).AttackRows)
	return s
}

// lost returns by what means over classes are to be multiplied so that those of the baseline that are missing count as 0.
func lost(classes, baseline []score.ClassMetrics) (f1, recall float64) {
	var present, supported, all, allSupported float64
	for i, c := range classes {
		b := &baseline[i]
		if c.Present() {
			present++
		}
		if c.Present() || b.Present() {
			all++
		}
		if c.Support > 0 {
			supported++
		}
		if c.Support > 0 || b.Support > 0 {
			allSupported++
		}
	}
	return present / max(all, 1), supported / max(allSupported, 1)
}

// score fills in what follows from the counts.
func (r *Report) score() {
	benign := slices.Index(r.Classes, r.Benign)
	for i := range r.Points {
		p := &r.Points[i]
		for n := range p.Measured {
			p.Scores = append(p.Scores, p.Measured[n].Scores(&p.Baseline[n], benign))
			p.BaselineScores = append(p.BaselineScores, p.Baseline[n].Scores(&p.Baseline[n], benign))
		}
	}
	for i := range r.Points {
		p := &r.Points[i]
		median := func(value func(n int) float64) float64 {
			values := make([]float64, len(p.Measured))
			for n := range values {
				values[n] = value(n)
			}
			slices.Sort(values)
			return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
		}
		if median(func(n int) float64 { return p.Measured[n].DeliveredShare() }) < KeptShare ||
			median(func(n int) float64 { return p.Scores[n].Coverage }) < KeptShare ||
			median(func(n int) float64 { return p.BaselineScores[n].MacroF1 - p.Scores[n].MacroF1 }) > KeptF1 {
			return
		}
		r.KeepsUp = &KeepsUp{
			Load: p.Load, Most: i == len(r.Points)-1,
			Rate: median(func(n int) float64 { return p.Measured[n].OfferedRate() }),
			Net:  median(func(n int) float64 { return perSecond(p.Measured[n].Offered, p.Measured[n].net) }),
		}
	}
}
