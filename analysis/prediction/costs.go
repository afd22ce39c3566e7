package prediction

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/replay/trial"
)

// cost is what a packet costs on this machine: what predictions start from.
type cost struct {
	engine, stages string
	size, cache    string
	octets         float64
	alone          float64  // ns, the feed's part taken out
	feed           float64  // the feed's share of the cost that was measured
	spread         float64  // how far repeats are from their median, as a factor from 1 on
	stagesNS       float64  // of alone what the stages take, as far as it was measured apart; 0 is not known
	allocs         float64  // per packet
	perOctet       float64  // ns; 0 is none or not known
	memory         float64  // ns more than with frames in cache; 0 is none or not known
	ofKit          bool     // the traffic is the kit's
	external       bool     // another program, whose cost has its reading of a pipe in it
	own            float64  // of an external program: of its own process
	traffic        string   // of a scenario's row: "udp", "tcp", "syn" or "capture"
	doubts         []string // why nothing that rests on this cost is called calibrated
}

// repeated notes where one repeat cannot say how far repeats differ.
func (c *cost) repeated(s *analysis.Summary) {
	if s.N < 2 {
		c.doubts = append(c.doubts, "the results have one repeat of it: how far repeats differ is not known")
	}
}

// asMeasured is a cost that was measured on such a board.
func (c *cost) asMeasured() Prediction {
	m := float64(max(marginFull, c.spread) * feedMargin(c.feed))
	return Prediction{Engine: c.engine, Stages: c.stages, Size: c.size, Octets: c.octets, Cache: c.cache, Method: Measured,
		Bracket: Bracket{c.alone / m, float64(c.alone * m)}, Notes: c.doubts, doubtful: len(c.doubts) > 0}
}

// costs are what was measured here: of a study, of a scenario, or, without a calibration of the board, of the calibration
// of this machine.
func (a *Answer) costs(q *Question) []cost {
	var list []cost
	if q.Results != nil {
		a.From = "a study on this machine"
		list = append(list, a.ofStudy(q.Results)...)
	}
	if q.Scenario != nil {
		a.From = "a run of a scenario on this machine"
		list = append(list, a.ofScenario(q.Scenario)...)
	}
	if q.Results == nil && q.Scenario == nil && q.There == nil && q.Home != nil {
		a.From = "the calibration of this machine"
		list = append(list, ofCalibration(q.Home)...)
	}
	return list
}

// alone takes the feed's share out of a cost.
func alone(ns, feed float64) float64 { return float64(ns * max(1-feed, leastAlone)) }

// spreadOf is how far the values are from their median, as a factor.
func spreadOf(s *analysis.Summary) float64 {
	if s.N < 2 || !(s.Median > 0) || !(s.Min > 0) {
		return 1
	}
	return max(s.Max/s.Median, s.Median/s.Min)
}

func (a *Answer) ofStudy(r *analysis.Results) []cost {
	ofKit := len(r.Header.Captures) > 0
	for _, c := range r.Header.Captures {
		profile, _, _ := strings.Cut(strings.TrimPrefix(c.Name, "synth:"), ":")
		ofKit = ofKit && strings.HasPrefix(c.Name, "synth:") && strings.HasPrefix(calibration.Traffic, "synth:"+profile+":")
	}
	var list []cost
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		switch {
		case c.Cell.Workers > 1:
			a.note("cells of several workers are left out: predictions are of one core")
			continue
		case c.NS.N == 0:
			a.note("%v has no closed loop: left out", c.Cell)
			continue
		}
		feed := 0.0
		if c.Feed.N > 0 {
			feed = c.Feed.Median
		}
		n := cost{
			engine: c.Cell.Engine, stages: strings.Join(r.Header.Settings.Stages, ","), size: c.Cell.Size, cache: c.Cell.Cache,
			octets: c.Octets, alone: alone(c.NS.Median, feed), feed: feed, spread: spreadOf(&c.NS), allocs: c.Allocs.Median, ofKit: ofKit,
		}
		n.repeated(&c.NS)
		if c.Stages != nil && c.Stages.NS.N > 0 {
			n.stagesNS = min(max(c.Stages.NS.Median, 0), n.alone)
		}
		for _, m := range r.Costs {
			if m.Cell.Engine == c.Cell.Engine && m.Cell.Cache == c.Cell.Cache && m.Cell.Workers == c.Cell.Workers && m.Model.Accepted && ofSizes(m.Points) {
				n.perOctet = max(m.Model.PerOctet, 0)
			}
		}
		for j := range r.Ceilings {
			o := &r.Ceilings[j]
			if o.Cell.Engine == c.Cell.Engine && o.Cell.Size == c.Cell.Size && o.Cell.Workers == c.Cell.Workers && o.NS.N > 0 &&
				c.Cell.Cache == trial.CacheCold && o.Cell.Cache == trial.CacheHot {
				n.memory = max(c.NS.Median-o.NS.Median, 0)
			}
		}
		list = append(list, n)
	}
	if text := r.Unfinished(); text != "" {
		a.note("the study is %s", text)
	}
	for _, mark := range []struct{ mark, says string }{
		{trial.MarkThrottled, "the processor was held back (heat or voltage)"},
		{trial.MarkHostBusy, "the thread was without a CPU for over 5 % of the time"},
		{trial.MarkFeedLimited, "the feed took over 5 % of the time; its part is taken out, with a margin"},
		{trial.MarkUndecoded, "over 1 % of the frames were of link types that the parser does not decode, so the cost is too low"},
		{trial.MarkLLC, "frames meant to be cold may be in the last-level cache"},
	} {
		cells := 0
		for i := range r.Ceilings {
			if slices.Contains(r.Ceilings[i].Marks, mark.mark) {
				cells++
			}
		}
		if cells > 0 {
			a.note("%d of %d cells of the results are marked %s: %s", cells, len(r.Ceilings), mark.mark, mark.says)
		}
	}
	return list
}

// ofSizes tells whether points are of different sizes, not of one whose mean differs a little between repeats.
func ofSizes(points []analysis.CostPoint) bool {
	if len(points) == 0 {
		return false
	}
	bySize := func(a, b analysis.CostPoint) int { return cmp.Compare(a.Octets, b.Octets) }
	return slices.MaxFunc(points, bySize).Octets >= 2*slices.MinFunc(points, bySize).Octets
}

func (a *Answer) ofScenario(s *analysis.Scenario) []cost {
	var list []cost
	marked := make(map[string]int)
	for _, row := range s.Rows {
		if row.Row.Link == "loopback" {
			a.note("rows on loopback are left out: no port carries frames of 32 KiB")
			continue
		}
		for i := range row.Engines {
			c := &row.Engines[i]
			n := cost{engine: c.Engine, size: row.Row.Name, octets: row.Octets, alone: c.Cost.Median, spread: spreadOf(&c.Cost),
				external: c.Program != nil, own: c.OwnCost.Median, traffic: row.Row.Kind}
			for _, mark := range c.Marks {
				marked[c.Engine+" are marked "+mark]++
			}
			switch {
			case c.Cost.N > 0:
				n.repeated(&c.Cost)
			case c.Closed.N > 0 && c.Closed.Median > 0: // too little CPU time to be read: the closed loop
				n.alone, n.spread = 1e9/c.Closed.Median, spreadOf(&c.Closed)
				n.repeated(&c.Closed)
				n.doubts = append(n.doubts, "its cost here is of a closed loop, with the feed's part in it")
			default:
				a.note("%s, %s: neither CPU time nor closed loop: left out", c.Engine, row.Row.Name)
				continue
			}
			list = append(list, n)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(marked)) {
		a.note("%d of %d rows of %s", marked[text], len(s.Rows), text)
	}
	return list
}

func ofCalibration(f *calibration.File) []cost {
	k := newKit(f)
	var list []cost
	for i := range f.Cells {
		c := &f.Cells[i]
		p, ok := k.at(c.Engine, c.Size, c.Cache)
		if !ok {
			continue
		}
		n := cost{engine: c.Engine, size: c.Size, cache: c.Cache, octets: p.octets, alone: p.alone, feed: p.feed, spread: p.spread, allocs: p.allocs, ofKit: true}
		if hot, ok := k.at(c.Engine, c.Size, trial.CacheHot); ok && c.Cache == trial.CacheCold {
			n.memory = max(p.alone-hot.alone, 0)
		}
		list = append(list, n)
	}
	return list
}
