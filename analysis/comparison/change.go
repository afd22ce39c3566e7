package comparison

import (
	"math"
	"slices"
	"sort"

	"pcaplab/analysis"
)

// MinRuns is the least number of runs of each side that give a verdict: with three, no result has a p below 0.1.
const MinRuns = 4

// DefaultAlpha is the share of false alarms that a single comparison may have.
const DefaultAlpha = 0.05

// Change is what happened between two samples of one quantity.
type Change struct {
	// Value is the estimate of Hodges and Lehmann (1963), the median over all pairs of an old and a new value: of their ratio, less 1 (0.1 is 10 %
	// more), or of their difference. A ratio of two zeros is 1; one from zero is +Inf.
	Value float64
	// Interval is the narrowest that holds all changes that the test does not reject at Alpha; an end may be infinite, and an end of ratios is at least -1. It
	// is the zero value where so few values cannot reject anything.
	Interval analysis.Interval
	U, P     float64 // see MannWhitney
	Alpha    float64
	// Smallest is the smallest p that so many runs can have.
	Smallest float64
	Old, New int // values of each side
	Exact    bool
	shift    float64 // as Value, of logarithms where it is of ratios
	low      float64 // the ends of Interval likewise
	high     float64
}

// Judged tells whether there are runs enough for a verdict at all: MinRuns of each side, and a smallest p that is not above Alpha.
func (c *Change) Judged() bool {
	return c.Old >= MinRuns && c.New >= MinRuns && c.Smallest <= c.Alpha
}

// Significant tells whether old and new differ: there are runs enough, p is at most Alpha, and no change lies outside the interval or on its edge.
func (c *Change) Significant() bool { return c.significant(c.P) }

// significant is Significant with a p that was adjusted for others.
func (c *Change) significant(p float64) bool {
	return c.Judged() && p <= c.Alpha && !(c.low < 0 && 0 < c.high)
}

// Ratio compares quantities that are not negative by their ratio, at a level from 0 to 1. Neither slice is changed.
func Ratio(old, new []float64, alpha float64) Change {
	c := shift(logs(old), logs(new), alpha)
	ratio := func(l float64) float64 { return math.Expm1(l) }
	c.Value = ratio(c.shift)
	if c.Interval.Valid() {
		c.Interval.Low, c.Interval.High = ratio(c.low), ratio(c.high)
	}
	return c
}

// Difference compares quantities by their difference, at a level from 0 to 1. Neither slice is changed.
func Difference(old, new []float64, alpha float64) Change {
	c := shift(old, new, alpha)
	c.Value = c.shift
	if c.Interval.Valid() {
		c.Interval.Low, c.Interval.High = c.low, c.high
	}
	return c
}

func logs(values []float64) []float64 {
	l := make([]float64, len(values))
	for i, v := range values {
		l[i] = math.Log(v)
	}
	return l
}

// shift compares samples whose values may be -Inf (the logarithm of zero). The interval is of all shifts by which x could be moved before the
// test against y no longer rejects, found among the gaps between neighbouring differences, within which no rank changes.
func shift(x, y []float64, alpha float64) Change {
	c := Change{Old: len(x), New: len(y), Alpha: alpha, Smallest: SmallestP(len(x), len(y)), Exact: len(x)+len(y) <= exactLimit}
	c.U, c.P = MannWhitney(x, y)
	if c.Old == 0 || c.New == 0 {
		return c
	}
	var all []float64
	for _, a := range x {
		for _, b := range y {
			d := b - a
			if a == b { // infinite ones too
				d = 0
			}
			all = append(all, d)
		}
	}
	slices.Sort(all)
	c.shift = middle(all)
	coverage := c.coverage()
	if coverage == 0 {
		return c
	}
	ends := slices.DeleteFunc(slices.Compact(slices.Clone(all)), func(d float64) bool { return math.IsInf(d, 0) })
	if c.low, c.high = c.shift, c.shift; all[0] != all[len(all)-1] { // zeros do not move
		c.low, c.high = c.invert(x, y, ends)
	}
	if c.P > alpha { // equal values of old and new are a state between two gaps
		c.low, c.high = min(c.low, 0), max(c.high, 0)
	}
	c.Interval.Coverage = coverage
	return c
}

// kept returns the first and the last gap that is not rejected, of those from 0 to last; false if all are. Without equal values within a sample, and
// by the normal distribution, p is of U alone, which falls from gap to gap; so one run of gaps is not rejected, and it touches the estimate, which
// lies in gap centre or at its upper end. Otherwise the exact p is also of the order of equal values, and all gaps outside are tried.
func (c *Change) kept(last, centre int, equal bool, rejected func(gap int) bool) (low, high int, ok bool) {
	if equal && c.Exact {
		for low = 0; rejected(low); low++ {
			if low == last {
				return 0, 0, false
			}
		}
		for high = last; rejected(high); high-- {
		}
		return low, high, true
	}
	if rejected(centre) {
		if centre++; centre > last || rejected(centre) {
			return 0, 0, false
		}
	}
	low = sort.Search(centre, func(gap int) bool { return !rejected(gap) })
	high = centre + sort.Search(last-centre, func(i int) bool { return rejected(centre + 1 + i) })
	return low, high, true
}

// repeated tells whether two values are equal.
func repeated(values []float64) bool {
	sorted := slices.Sorted(slices.Values(values))
	return len(slices.Compact(sorted)) < len(values)
}

// invert returns the ends of the shifts that are not rejected, between differences (rising, each once).
func (c *Change) invert(x, y, ends []float64) (low, high float64) {
	moved := make([]float64, len(x))
	rejected := func(gap int) bool { // gap i is below ends[i], the last above all
		var s float64
		switch {
		case len(ends) == 0:
			s = 0
		case gap == 0:
			s = ends[0] - 1
		case gap == len(ends):
			s = ends[gap-1] + 1
		default:
			s = ends[gap-1]/2 + ends[gap]/2
		}
		for i, v := range x {
			moved[i] = v + s
		}
		_, p := MannWhitney(moved, y)
		return p <= c.Alpha
	}
	first, last, ok := c.kept(len(ends), sort.SearchFloat64s(ends, c.shift), repeated(x) || repeated(y), rejected)
	if !ok { // no finite shift does: from zero, or to it
		return c.shift, c.shift
	}
	low, high = math.Inf(-1), math.Inf(1)
	if first > 0 {
		low = ends[first-1]
	}
	if last < len(ends) {
		high = ends[last]
	}
	return min(low, c.shift), max(high, c.shift)
}

// coverage returns the share of intervals made so that hold the true change, where no values are equal; 0 where so few values cannot reject.
func (c *Change) coverage() float64 {
	if c.Smallest > c.Alpha {
		return 0
	}
	if !c.Exact {
		return 1 - c.Alpha
	}
	single := make([]group, c.Old+c.New)
	for i := range single {
		single[i] = group{1, 2 * (i + 1)}
	}
	w := subsets(single, c.New)
	all, tail, attained := 0.0, 0.0, 0.0
	for _, n := range w {
		all += n
	}
	for _, n := range w {
		tail += n
		if p := 2 * tail / all; p > c.Alpha {
			break
		} else {
			attained = p
		}
	}
	return 1 - attained
}

// middle is the median of sorted values that may be infinite.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	a, b := sorted[n/2-1], sorted[n/2]
	switch {
	case a == b:
		return a
	case math.IsInf(a, -1) && math.IsInf(b, 1):
		return 0
	}
	return a/2 + b/2
}
