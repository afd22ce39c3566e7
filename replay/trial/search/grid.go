package search

import "math"

// grid is the ladder of loads that a search may try: max, each next one lower
// by the relative step, and min as the last. Index 0 is min, top is max.
type grid struct {
	min, max float64
	keep     float64 // 1 - step
	top      int
}

// slack absorbs the rounding of powers where a distance of loads is compared
// with a goal's width.
const slack = 1e-9

func newGrid(min, max, step float64) grid {
	g := grid{min: min, max: max, keep: 1 - step}
	// Logarithms differ in the last digit between processors: they only guess,
	// products decide.
	rungs := int(math.Ceil((math.Log(max) - math.Log(min)) / -math.Log1p(-step)))
	for rungs > 0 && g.down(rungs-1) <= min*(1+slack*step) {
		rungs--
	}
	for g.down(rungs) > min*(1+slack*step) {
		rungs++
	}
	g.top = rungs
	return g
}

// down is max x keep^n by products alone, so that it is the same everywhere.
func (g grid) down(n int) float64 {
	x, square := g.max, g.keep
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			x = float64(x * square)
		}
		square = float64(square * square)
	}
	return x
}

func (g grid) load(i int) float64 {
	if i <= 0 {
		return g.min
	}
	return g.down(g.top - i)
}

// index is that of the highest load not above x, or 0 if x is below all.
func (g grid) index(x float64) int {
	switch {
	case x >= g.max:
		return g.top
	case !(x > g.min):
		return 0
	}
	i := g.top - int(math.Ceil((math.Log(g.max)-math.Log(x))/-math.Log(g.keep)))
	i = min(max(i, 0), g.top)
	for i > 0 && g.load(i) > x {
		i--
	}
	for i < g.top && g.load(i+1) <= x {
		i++
	}
	return i
}

// steps is how many rungs a goal's width spans, at least one.
func (g grid) steps(width float64) int {
	n := int(math.Log1p(-width) / math.Log(g.keep))
	for n > 1 && !within(1, powInt(g.keep, n), width) {
		n--
	}
	for n < g.top && within(1, powInt(g.keep, n+1), width) {
		n++
	}
	return max(n, 1)
}

func powInt(x float64, n int) float64 { return grid{max: 1, keep: x}.down(n) }

// within reports whether bounds are no further apart than width x upper.
func within(upper, lower, width float64) bool {
	return upper-lower <= float64(upper*float64(width*(1+slack)))
}
