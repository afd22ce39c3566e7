package comparison

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// exactLimit is the most values of both sides for which p is exact. Numbers of subsets are below 2^53 until then, so that
// they are whole numbers in float64, the same everywhere.
const exactLimit = 50

// MannWhitney tests whether values of two independent samples are of one distribution, by the test of Mann and Whitney (1947).
// It returns U, the pairs in which the value of y is larger, pairs of equal ones counted by half, and the two-sided p: twice
// the smaller tail, at most 1. With up to 50 values p is exact, also where values are equal: the share of all ways to deal
// them that gives a U as far out. With more it is that of the normal distribution, with the variance that equal values
// leave and a correction for continuity. Values may be infinite. NaN, or a sample without values, is p 1.
func MannWhitney(x, y []float64) (u, p float64) {
	ranks, groups, ok := ranked(x, y)
	if !ok {
		return 0, 1
	}
	n, m := len(x), len(y)
	sum := 0 // of the doubled ranks of y
	for _, r := range ranks[n:] {
		sum += r
	}
	u = float64(sum-m*(m+1)) / 2
	if n+m > exactLimit {
		return u, approximate(u, n, m, groups)
	}
	return u, subsets(groups, m).twoSided(sum)
}

// group is equal values in the sample of both sides.
type group struct {
	size int
	rank int // doubled, so that the mean of several ranks is a whole number
}

// ranked returns the doubled ranks of x, then of y, in the sample of both, and the groups of equal values, rising.
func ranked(x, y []float64) (ranks []int, groups []group, ok bool) {
	all := slices.Concat(x, y)
	if len(x) == 0 || len(y) == 0 || slices.ContainsFunc(all, math.IsNaN) {
		return nil, nil, false
	}
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[a], all[b]) })
	ranks = make([]int, len(all))
	for i := 0; i < len(order); {
		end := i + 1
		for end < len(order) && all[order[end]] == all[order[i]] {
			end++
		}
		g := group{size: end - i, rank: i + 1 + end} // the ranks i+1 to end have this mean, doubled
		groups = append(groups, g)
		for ; i < end; i++ {
			ranks[order[i]] = g.rank
		}
	}
	return ranks, groups, true
}

// sums counts subsets of a sample by the sum of their doubled ranks.
type sums []float64

// subsets counts the subsets of m values.
func subsets(groups []group, m int) sums {
	most := 0
	for _, g := range groups {
		most += g.size * g.rank
	}
	ways := make([]sums, m+1) // by the number of values taken, of the groups so far
	for taken := range ways {
		ways[taken] = make(sums, most+1)
	}
	ways[0][0] = 1
	seen, seenSum := 0, 0
	for _, g := range groups {
		seen += g.size
		seenSum += g.size * g.rank
		for taken := min(seen, m); taken > 0; taken-- { // falling: fewer are still without this group
			choose := 1.0
			for of := 1; of <= min(g.size, taken); of++ {
				choose = choose * float64(g.size-of+1) / float64(of) // whole after each step
				from := ways[taken-of]
				for s := of * g.rank; s <= seenSum; s++ {
					ways[taken][s] += float64(choose * from[s-of*g.rank])
				}
			}
		}
	}
	return ways[m]
}

// twoSided returns the share of subsets whose sum is as far out as s, twice that of the smaller tail.
func (w sums) twoSided(s int) float64 {
	all, low, high := 0.0, 0.0, 0.0
	for i, n := range w {
		all += n
		if i <= s {
			low += n
		}
		if i >= s {
			high += n
		}
	}
	return min(1, 2*min(low, high)/all)
}

// approximate returns p of the normal distribution.
func approximate(u float64, n, m int, groups []group) float64 {
	total := float64(n + m)
	ties := 0.0
	for _, g := range groups {
		t := float64(g.size)
		ties += t * (t*t - 1)
	}
	product := float64(n) * float64(m)
	variance := product / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 { // all are equal
		return 1
	}
	z := (math.Abs(u-product/2) - 0.5) / math.Sqrt(variance)
	return min(1, 2*distuv.UnitNormal.Survival(max(0, z)))
}

// SmallestP returns the smallest p that n and m values without equal ones can give: what a verdict at a level needs.
func SmallestP(n, m int) float64 {
	ways := 1.0 // of taking m of n+m
	for i := 1; i <= m; i++ {
		ways = ways * float64(n+i) / float64(i)
	}
	return min(1, 2/ways)
}
