package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is one run of one side. A metric that does not exist is not in Metrics.
type record struct {
	Case      string             `json:"case"`
	Side      string             `json:"side"`
	Ours      bool               `json:"ours"`
	Round     int                `json:"round"`
	Argv      []string           `json:"argv"`
	Wanted    int                `json:"wanted"`    // frames to be sent
	Said      int                `json:"said"`      // by the program
	Delivered int                `json:"delivered"` // by the counter of the receiving interface
	WallNs    int64              `json:"wall_ns"`   // from start to end of the process
	CPUNs     int64              `json:"cpu_ns"`    // user and system time of the process
	StealNs   int64              `json:"steal_ns"`  // on the two CPUs
	Switches  int64              `json:"switches"`  // of the sender against its will
	Missed    int                `json:"missed"`    // by the socket that received: a fault of this program's, not of the sender's
	Failed    string             `json:"failed,omitempty"`
	Dropped   string             `json:"dropped,omitempty"` // why the run does not count
	Metrics   map[string]float64 `json:"metrics"`
}

// Lines that tcpreplay and pcaplab replay end with.
var (
	actualLine = regexp.MustCompile(`(?m)^Actual: (\d+) packets`)
	ratedLine  = regexp.MustCompile(`(?m)^Rated: .* ([0-9.]+) pps`)
)

// read takes from its last words what a program says that it has sent.
func (r *record) read(out []byte) {
	actual, rated := actualLine.FindSubmatch(out), ratedLine.FindSubmatch(out)
	if actual != nil {
		r.Said, _ = strconv.Atoi(string(actual[1]))
	}
	switch {
	case r.Failed != "":
		r.Failed += ": " + lastLines(out)
	case actual == nil || rated == nil:
		r.Failed = "it does not say what it has sent: " + lastLines(out)
	default:
		r.Metrics["said_pps"], _ = strconv.ParseFloat(string(rated[1]), 64)
	}
}

func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// broken says that the sender is to blame: it failed, or what it said and what came differ, or frames were changed.
func (r *record) broken() bool {
	return r.Failed != "" || r.Said != r.Delivered || r.Delivered != r.Wanted || r.Metrics["faults"] > 0
}

// tick is what the kernel counts stolen time in.
const tick = int64(10 * time.Millisecond)

// startSwitches are what the start and end of any process may take.
const startSwitches = 10

// drop decides whether a run counts: steal is a percentage of its length, switches are by the second.
func (r *record) drop(maxSteal, maxSwitches float64) {
	wall := float64(r.WallNs)
	_, whole := r.Metrics["faults"]
	switch {
	case r.Failed != "":
		r.Dropped = "failed"
	case r.Missed > 0:
		r.Dropped = "missed by the receiver"
	case whole: // octets and order do not depend on time
	case r.StealNs > tick && float64(r.StealNs)*100 > maxSteal*wall:
		r.Dropped = "steal"
	case r.Switches > startSwitches && float64(r.Switches)*1e9 > maxSwitches*wall:
		r.Dropped = "involuntary switches"
	}
}

// nearest returns the q-quantile of sorted values by the nearest rank: the least value that at least q of them do not
// exceed.
func nearest(sorted []int64, q float64) int64 {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// pacing judges the times of arrival, in nanoseconds, of frames that a rate puts gapNs apart.
func pacing(at []int64, gapNs float64) (map[string]float64, error) {
	if len(at) < 2 {
		return nil, fmt.Errorf("%d frames arrived: no gap between them", len(at))
	}
	gaps, errs := make([]int64, len(at)-1), make([]int64, len(at)-1)
	for i := range gaps {
		gaps[i] = at[i+1] - at[i]
		errs[i] = int64(math.Round(math.Abs(float64(gaps[i]) - gapNs)))
	}
	slices.Sort(gaps)
	slices.Sort(errs)
	span := float64(at[len(at)-1] - at[0])
	median := float64(nearest(gaps, 0.5))
	return map[string]float64{
		"rate_ppm":          (float64(len(gaps))*gapNs/span - 1) * 1e6,
		"gap_p50_ns":        float64(nearest(errs, 0.50)),
		"gap_p90_ns":        float64(nearest(errs, 0.90)),
		"gap_p99_ns":        float64(nearest(errs, 0.99)),
		"gap_worst_ns":      float64(errs[len(errs)-1]),
		"median_gap_ns":     median,
		"median_gap_off_ns": median - gapNs,
	}, nil
}

// timing judges the times of arrival of passes over captures with the given times, both in nanoseconds. The drift of a
// pass is how much longer or shorter it took than it was recorded, that of the run their sum; the pause between passes is
// nobody's to define, so it is told and not judged. A frame is late by its distance from its pass's first, against the
// recorded one; early ones count as much.
func timing(at []int64, passes [][]int64) (map[string]float64, error) {
	var late []int64
	var drift, pauses, worst int64
	for i, pass := range passes {
		if len(at) < len(pass) {
			return nil, fmt.Errorf("fewer frames arrived than were recorded: pass %d of %d is not whole", i+1, len(passes))
		}
		var off int64
		for j := range pass {
			off = (at[j] - at[0]) - (pass[j] - pass[0])
			late = append(late, max(off, -off))
		}
		drift += off
		if i+1 < len(passes) && len(at) > len(pass) {
			pauses += at[len(pass)] - at[len(pass)-1]
		}
		at = at[len(pass):]
	}
	if len(at) > 0 || len(late) == 0 {
		return nil, fmt.Errorf("%d frames more arrived than were recorded", len(at))
	}
	slices.Sort(late)
	worst = late[len(late)-1]
	m := map[string]float64{
		"drift_ns":      float64(drift),
		"late_p50_ns":   float64(nearest(late, 0.50)),
		"late_p99_ns":   float64(nearest(late, 0.99)),
		"late_worst_ns": float64(worst),
	}
	if len(passes) > 1 {
		m["pause_ns"] = float64(pauses) / float64(len(passes)-1)
	}
	return m, nil
}

// seen is the rate of arrival between the first and the last look at a counter that had begun and was not at its end:
// what came before and after these two is left out, so that nothing depends on when one looked. 0 if there are no two.
func seen(at []int64, count []int) float64 {
	if len(count) == 0 {
		return 0
	}
	end := count[len(count)-1]
	first, last := -1, -1
	for i, n := range count {
		if n > 0 && n < end {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if first < 0 || at[last] == at[first] {
		return 0
	}
	return float64(count[last]-count[first]) * 1e9 / float64(at[last]-at[first])
}

// number is a float that JSON writes as null where there is none.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// verdict is a comparison over the rounds. With a peer, Median, Least and Most are of our figure divided by the peer's in
// the same round; without, of the size of our own.
type verdict struct {
	Case       string `json:"case"`
	Metric     string `json:"metric"`
	Ours       string `json:"ours"`
	Peer       string `json:"peer,omitempty"`
	OursMedian number `json:"ours_median"`
	PeerMedian number `json:"peer_median"`
	Median     number `json:"median"`
	Least      number `json:"least"`
	Most       number `json:"most"`
	Kept       int    `json:"kept"` // rounds that count
	Of         int    `json:"of"`
	Bar        string `json:"bar,omitempty"`
	Met        *bool  `json:"met,omitempty"` // nil: no bar, or nothing kept
}

// middle returns the median, the mean of the two in the middle of an even number; NaN of none.
func middle(values []float64) float64 {
	if len(values) == 0 {
		return none
	}
	s := slices.Sorted(slices.Values(values))
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// kept returns a metric of a side by round, of the runs that count.
func kept(runs []record, side, metric string) map[int]float64 {
	m := make(map[int]float64)
	for i := range runs {
		if v, there := runs[i].Metrics[metric]; there && runs[i].Side == side && runs[i].Dropped == "" {
			m[runs[i].Round] = v
		}
	}
	return m
}

// fastest returns the side of ours with the highest median of what was seen to arrive.
func fastest(runs []record) string {
	side, top := "", math.Inf(-1)
	for i := range runs {
		if r := &runs[i]; r.Ours {
			var all []float64
			for _, v := range kept(runs, r.Side, "seen_pps") {
				all = append(all, v)
			}
			if m := middle(all); m > top {
				side, top = r.Side, m
			}
		}
	}
	return side
}

// judge compares as the bars of the case say.
func (k *benchCase) judge(runs []record) []verdict {
	var verdicts []verdict
	for _, b := range k.bars {
		v := verdict{Case: k.name, Metric: b.metric, Ours: b.ours, Peer: b.peer}
		if b.ours == best {
			if v.Ours = fastest(runs); v.Ours == "" {
				v.Ours = best
			}
		}
		for i := range runs {
			v.Of = max(v.Of, runs[i].Round+1)
		}
		ours, peers := kept(runs, v.Ours, b.metric), kept(runs, b.peer, b.metric)
		var own, other, judged []float64
		for round, x := range ours {
			y, there := peers[round]
			switch {
			case b.peer == "":
				own, judged = append(own, x), append(judged, math.Abs(x))
			case there && y > 0:
				own, other, judged = append(own, x), append(other, y), append(judged, x/y)
			}
		}
		v.Kept = len(judged)
		v.OursMedian, v.PeerMedian, v.Median = number(middle(own)), number(middle(other)), number(middle(judged))
		v.Least, v.Most = number(none), number(none)
		if len(judged) > 0 {
			v.Least, v.Most = number(slices.Min(judged)), number(slices.Max(judged))
		}
		if !math.IsNaN(b.limit) {
			v.Bar = b.limitText()
			reached := v.Median
			if b.metric == "faults" {
				reached = v.Most // once is too often
			}
			if v.Kept > 0 {
				met := reached >= number(b.limit)
				if b.most {
					met = reached <= number(b.limit)
				}
				v.Met = &met
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func writeJSON[T any](w io.Writer, values []T) error {
	e := json.NewEncoder(w)
	for _, v := range values {
		if err := e.Encode(v); err != nil {
			return err
		}
	}
	return nil
}
