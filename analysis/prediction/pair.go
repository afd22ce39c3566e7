package prediction

import (
	"fmt"
	"math"
	"slices"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/replay/trial"
)

// kit is what a calibration says of engines.
type kit struct {
	file    *calibration.File
	cells   map[cellKey]point
	allFeed []string // cells that are left out: the feed's part is said to be the whole cost and more
}

type cellKey struct{ engine, size, cache string }

// point is a cell of a kit.
type point struct {
	octets float64
	alone  float64 // ns, the feed's part taken out
	feed   float64 // the feed's share
	spread float64 // of the repeats, as a factor
	allocs float64
}

func newKit(f *calibration.File) *kit {
	k := &kit{file: f, cells: make(map[cellKey]point)}
	for i := range f.Cells {
		c := &f.Cells[i]
		var ns, feed, allocs []float64
		for _, s := range c.Samples {
			ns, feed, allocs = append(ns, s.NS), append(feed, s.FeedNS/s.NS), append(allocs, s.Allocs)
		}
		cost, share := analysis.Summarize(ns), analysis.Summarize(feed).Median
		if !(share < 1) {
			k.allFeed = append(k.allFeed, fmt.Sprintf("%s, %s, %s", c.Engine, c.Size, c.Cache))
			continue
		}
		k.cells[cellKey{c.Engine, c.Size, c.Cache}] = point{
			octets: c.Octets, alone: alone(cost.Median, share), feed: share, spread: spreadOf(&cost), allocs: analysis.Summarize(allocs).Median,
		}
	}
	return k
}

// unsteadyCell is how far the repeats of a cell are apart, greatest less least over the median, to be called unsteady: as the kit doubts
// it. It makes no bracket, it only takes a label away.
const unsteadyCell = 0.25

// unsteady counts cells whose repeats lie far apart.
func unsteady(f *calibration.File) int {
	cells := 0
	for i := range f.Cells {
		var ns []float64
		for _, s := range f.Cells[i].Samples {
			ns = append(ns, s.NS)
		}
		if s := analysis.Summarize(ns); s.Max-s.Min > float64(unsteadyCell*s.Median) {
			cells++
		}
	}
	return cells
}

func (k *kit) at(engine, size, cache string) (point, bool) {
	p, ok := k.cells[cellKey{engine, size, cache}]
	return p, ok
}

// margin is that of one cell.
func (k *kit) margin(p point) float64 {
	m := marginFull
	if k.file.Quick {
		m = marginQuick
	}
	return float64(max(m, p.spread) * feedMargin(p.feed))
}

// feedMargin is the margin of a cost from which a share of the feed's was taken.
func feedMargin(share float64) float64 {
	share = min(share, 1-leastAlone)
	return 1 + float64(feedDoubt*share)/(1-share)
}

// slow is a range of factors: how many times longer work takes there than here.
type slow struct{ low, high float64 }

func (s slow) widened(m float64) slow { return slow{s.low / m, float64(s.high * m)} }
func (s slow) with(o slow) slow       { return slow{min(s.low, o.low), max(s.high, o.high)} }

// within returns what both ranges hold, or all that either holds where they contradict.
func (s slow) within(o slow) slow {
	if low, high := max(s.low, o.low), min(s.high, o.high); low <= high {
		return slow{low, high}
	}
	return s.with(o)
}

func (s slow) of(ns float64) Bracket { return Bracket{float64(ns * s.low), float64(ns * s.high)} }

func (b Bracket) plus(o Bracket) Bracket { return Bracket{b.LowNS + o.LowNS, b.HighNS + o.HighNS} }

// pair is a calibration of this machine and one of the board.
type pair struct {
	home, there *kit
	engines     []string // in both
}

func newPair(home, there *calibration.File) (*pair, error) {
	if home.Started.Equal(there.Started) && home.Elapsed == there.Elapsed && home.Environment.String() == there.Environment.String() {
		return nil, ErrSame
	}
	p := &pair{home: newKit(home), there: newKit(there)}
	for _, e := range home.Plan.Engines {
		if slices.Contains(there.Plan.Engines, e) {
			p.engines = append(p.engines, e)
		}
	}
	return p, nil
}

// ratioAt is the slow-down of an engine at a size of the kit, with the margin of both cells.
type ratioAt struct{ octets, ratio, margin float64 }

// ratios are those of an engine at the sizes that both kits have, by size.
func (p *pair) ratios(engine, cache string) []ratioAt {
	var list []ratioAt
	for _, size := range p.home.file.Plan.Sizes {
		h, ok := p.home.at(engine, size, cache)
		t, also := p.there.at(engine, size, cache)
		if ok && also {
			// The feed's part is the same code in both, so what is wrong with it is wrong in both alike: the larger margin, not both.
			list = append(list, ratioAt{(h.octets + t.octets) / 2, t.alone / h.alone, max(p.home.margin(h), p.there.margin(t))})
		}
	}
	slices.SortFunc(list, func(a, b ratioAt) int { return int(math.Copysign(1, a.octets-b.octets)) })
	return list
}

// engine returns the slow-down of an engine at a size, raw and with margins. Both costs are lines in size (a + b*octets), and the
// ratio of two lines only rises or only falls, so that between two sizes it lies between the ratios there.
func (p *pair) engine(engine, cache string, octets float64) (raw, bracket slow, ok bool) {
	list := p.ratios(engine, cache)
	if len(list) == 0 {
		return raw, bracket, false
	}
	at := func(i int) slow { return slow{list[i].ratio, list[i].ratio} }
	for i := range list {
		if math.Abs(octets-list[i].octets) <= float64(sameSize*list[i].octets) {
			return at(i), at(i).widened(list[i].margin), true
		}
	}
	after := slices.IndexFunc(list, func(r ratioAt) bool { return r.octets > octets })
	first, second, beyond := after-1, after, 1.0
	switch {
	case len(list) == 1:
		first, second, beyond = 0, 0, marginOneSize
	case after == 0: // smaller than all
		first, second, beyond = 0, 1, marginBeyond
	case after < 0:
		first, second, beyond = len(list)-2, len(list)-1, marginBeyond
	}
	raw = at(first).with(at(second))
	if beyond == marginBeyond {
		// As far beyond as the ratio came from the next size, at most.
		near, far := at(first), at(second)
		if after < 0 {
			near, far = far, near
		}
		raw = raw.with(slow{near.low * near.low / far.low, near.low * near.low / far.low})
	}
	return raw, raw.widened(float64(max(list[first].margin, list[second].margin) * beyond)), true
}

// parsers returns the range of the slow-downs of the kit's engines at a size.
func (p *pair) parsers(cache string, octets float64) (slow, bool) {
	var all slow
	found := false
	for _, e := range p.engines {
		raw, _, ok := p.engine(e, cache, octets)
		switch {
		case ok && found:
			all = all.with(raw)
		case ok:
			all, found = raw, true
		}
	}
	return all, found
}

// kernel returns the slow-down of micro-kernels, those that both ran. Allocations go by their median round, which holds
// the usual number of collections.
func (p *pair) kernel(names ...string) (slow, bool) {
	var all slow
	found := false
	for _, name := range names {
		h, ok := p.home.file.Kernels.Kernel(name)
		t, also := p.there.file.Kernels.Kernel(name)
		if !ok || !also {
			continue
		}
		r := t.MinNS / h.MinNS
		if name == "alloc" {
			r = t.MedianNS / h.MedianNS
		}
		if one := (slow{r, r}); found {
			all = all.with(one)
		} else {
			all, found = one, true
		}
	}
	return all, found
}

// What kinds of work the micro-kernels stand for.
var (
	workKernels   = []string{"add", "multiply", "fields", "branch-sorted", "branch-random", "call-sorted", "call-random"}
	stageKernels  = append(slices.Clone(workKernels), "divide", "chase-16KiB", "chase-256KiB")
	hotKernels    = []string{"copy-16KiB", "read-16KiB"}
	coldKernels   = []string{"copy-64MiB", "read-64MiB", "copy-8MiB", "read-8MiB"}
	memoryKernels = []string{"chase-64MiB", "random-64MiB", "chase-8MiB", "random-8MiB"}
)

// pieces carries a cost by the ratios of micro-kernels: allocations, octets, waiting for memory, and the rest. A program's
// slow-down is the mean of those of its pieces, weighted by their time here, so it lies within the range of the ratios of what it consists of.
func (p *pair) pieces(c *cost, ns float64, work []string) (Bracket, bool) {
	rest, ok := p.kernel(work...)
	if !ok {
		return Bracket{}, false
	}
	var sum Bracket
	left := ns
	take := func(part float64, kernels ...string) {
		s, ok := p.kernel(kernels...)
		part = min(part, float64(0.9*left)) // what remains is never nothing: the parts are estimates
		if !ok || part <= 0 {
			return
		}
		sum, left = sum.plus(s.of(part)), left-part
	}
	take(c.memory, memoryKernels...)
	if c.perOctet > 0 {
		kernels := hotKernels
		if c.cache == trial.CacheCold {
			kernels = coldKernels
		}
		take(c.perOctet*c.octets, kernels...)
	}
	if h, ok := p.home.file.Kernels.Kernel("alloc"); ok {
		take(c.allocs*h.MedianNS, "alloc")
	}
	if c.cache != trial.CacheHot && c.memory == 0 { // how much of it is waiting is not known
		if s, ok := p.kernel(memoryKernels...); ok {
			rest = rest.with(s)
		}
	}
	return sum.plus(rest.of(left)), true
}

// unknown carries what the kit does not measure: a parser, or the stages of a pipeline.
func (p *pair) unknown(c *cost, ns float64, stages bool) (Bracket, bool) {
	work := workKernels
	if stages || c.external {
		work = stageKernels
	}
	sum, ok := p.pieces(c, ns, work)
	if !ok {
		return Bracket{}, false
	}
	s := slow{sum.LowNS / ns, sum.HighNS / ns}.widened(marginProgram)
	if engines, ok := p.parsers(c.cacheOfKit(), c.octets); ok && !stages && !c.external {
		s = s.within(engines.widened(marginParser))
	}
	return s.of(ns), true
}

// cacheOfKit is the kit's cache state for a cost whose own may be another.
func (c *cost) cacheOfKit() string {
	if c.cache == trial.CacheHot {
		return trial.CacheHot
	}
	return trial.CacheCold
}

// predict carries a cost to the board.
func (p *pair) predict(c cost) Prediction {
	out := Prediction{Engine: c.engine, Stages: c.stages, Size: c.size, Octets: c.octets, Cache: c.cache, Method: Pair,
		Notes: slices.Clone(c.doubts), doubtful: len(c.doubts) > 0}
	here := max(c.spread, 1)
	if !c.ofKit {
		here *= marginTraffic
	}
	engineNS := c.alone - c.stagesNS
	whole := c.stages != "" && c.stagesNS == 0 // engine and stages are not told apart
	_, s, ok := p.engine(c.engine, c.cacheOfKit(), c.octets)
	if ok && c.cache != trial.CacheHot && c.cache != trial.CacheCold { // between the two, nobody knows where
		if _, hot, known := p.engine(c.engine, trial.CacheHot, c.octets); known {
			s = s.with(hot)
		}
	}
	var b Bracket
	switch {
	case ok && !whole:
		b = s.of(engineNS)
	default:
		out.Method = Kernels
		var known bool
		if b, known = p.unknown(&c, engineNS, whole); !known {
			return out
		}
		if !ok {
			out.Notes = append(out.Notes, "the kit has no engine "+c.engine)
		}
	}
	if c.stagesNS > 0 {
		out.Method = Kernels
		stages := c
		stages.memory, stages.perOctet, stages.allocs, stages.cache = 0, 0, 0, trial.CacheHot
		more, known := p.unknown(&stages, c.stagesNS, true)
		if !known {
			return Prediction{Engine: c.engine, Size: c.size}
		}
		b = b.plus(more)
		out.Notes = append(out.Notes, fmt.Sprintf("stages take %.0f %% of the cost here, carried by micro-kernels; the engine by its own ratio", 100*c.stagesNS/c.alone))
	}
	out.Bracket = Bracket{b.LowNS / here, float64(b.HighNS * here)}
	return out
}
