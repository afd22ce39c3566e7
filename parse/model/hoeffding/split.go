package hoeffding

import "math"

// Bound returns epsilon of Hoeffding's inequality: the mean of n observations of a variable of range r differs from the true one by
// more than this with probability delta at most: sqrt(r^2 ln(1/delta) / (2 n)).
func Bound(r, delta, n float64) float64 {
	return math.Sqrt(float64(r*r) * ln(1/delta) / (2 * n))
}

// suggestion is a split that could be made.
type suggestion struct {
	merit     float64 // -Inf: none
	feature   int     // -1: none
	threshold float64
}

// attempt splits the leaf at node i if the bound allows it.
func (t *Tree) attempt(i int) {
	l := t.nodes[i].leaf
	var classes int
	var most float64
	for j := range l.entries {
		if w := l.entries[j].weight; w != 0 {
			classes++
			most = math.Max(most, w)
		}
	}
	if classes < 2 {
		return
	}
	if len(t.nodes)+2 > t.cfg.MaxNodes {
		t.limited++
		return
	}
	t.attempts++
	total := l.total()
	if most/total > t.cfg.MaxShareToSplit {
		t.forget(l)
		return
	}
	best := suggestion{merit: math.Inf(-1), feature: -1}
	second := math.Inf(-1)
	before := t.impurity(l)
	for f := range t.columns {
		s := t.suggest(l, f, before)
		if s.merit >= best.merit { // of equals the last is taken, as in river
			best, second = s, best.merit
		} else if s.merit > second {
			second = s.merit
		}
	}
	if len(t.columns) > 1 || !t.cfg.NoPreprune {
		bound := Bound(t.rangeOfMerit(l), t.cfg.Delta, total)
		if !(best.merit-second > bound) && !(bound < t.cfg.Tau) {
			return
		}
	}
	if best.feature < 0 {
		t.forget(l)
		return
	}
	t.split(i, best)
}

// split turns the leaf at node i into a branch. The new leaves begin with the weights that the Gaussians expect in them.
func (t *Tree) split(i int, s suggestion) {
	t.splits++
	l := t.nodes[i].leaf
	t.denominators(l, s.feature)
	left, right := &leaf{active: true}, &leaf{active: true}
	for k, j := range l.order {
		e := &l.entries[j]
		toLeft, toRight := t.share(e.obs, k, s.feature, s.threshold)
		if s.threshold >= e.obs.min[s.feature] {
			left.entries = append(left.entries, entry{class: e.class})
			left.entries[len(left.entries)-1].weigh(toLeft)
		}
		if s.threshold < e.obs.max[s.feature] {
			right.entries = append(right.entries, entry{class: e.class})
			right.entries[len(right.entries)-1].weigh(toRight)
		}
	}
	n := &t.nodes[i]
	n.feature, n.threshold, n.left, n.right = s.feature, s.threshold, len(t.nodes), len(t.nodes)+1
	n.weight, n.gain, n.leaf = l.total(), s.merit, nil
	depth := n.depth + 1
	t.nodes = append(t.nodes, node{feature: -1, depth: depth, leaf: left}, node{feature: -1, depth: depth, leaf: right})
	t.forget(l)
}

// suggest returns the best threshold of feature f, the first of equals.
func (t *Tree) suggest(l *leaf, f int, before float64) suggestion {
	best := suggestion{merit: math.Inf(-1), feature: -1}
	least, greatest := math.Inf(1), math.Inf(-1)
	for _, j := range l.order {
		o := l.entries[j].obs
		least, greatest = math.Min(least, o.min[f]), math.Max(greatest, o.max[f])
	}
	if !(least < greatest) {
		return best
	}
	t.denominators(l, f)
	step := (greatest - least) / (float64(t.cfg.NumSplits) + 1)
	for k := 1; k <= t.cfg.NumSplits; k++ {
		threshold := least + float64(step*float64(k))
		if !(least < threshold && threshold < greatest) {
			continue
		}
		if m := t.merit(l, f, threshold, before); m > best.merit {
			best = suggestion{m, f, threshold}
		}
	}
	return best
}

// denominators computes sqrt 2 sigma of feature f for each class.
func (t *Tree) denominators(l *leaf, f int) {
	d := t.scratch.denominator[:0]
	for _, j := range l.order {
		d = append(d, float64(math.Sqrt(l.entries[j].obs.variance(f))*math.Sqrt2))
	}
	t.scratch.denominator = d
}

// share returns how many rows of the k-th observer of a leaf lie left and right of a threshold.
func (t *Tree) share(o *observer, k, f int, threshold float64) (left, right float64) {
	switch {
	case threshold < o.min[f]:
		return 0, o.n
	case threshold >= o.max[f]:
		return o.n, 0
	}
	left = float64(o.cdf(f, threshold, t.scratch.denominator[k]) * o.n)
	return left, o.n - left
}

func (t *Tree) merit(l *leaf, f int, threshold, before float64) float64 {
	lhs, rhs := t.scratch.lhs[:0], t.scratch.rhs[:0]
	var left, right float64
	for k, j := range l.order {
		a, b := t.share(l.entries[j].obs, k, f, threshold)
		lhs, rhs = append(lhs, a), append(rhs, b)
		left += a
		right += b
	}
	t.scratch.lhs, t.scratch.rhs = lhs, rhs
	total := left + right
	if !(left/total > t.cfg.MinBranchFraction && right/total > t.cfg.MinBranchFraction) {
		return math.Inf(-1)
	}
	if t.cfg.Criterion == Gini {
		return 1 - (float64(left/total*gini(lhs, left)) + float64(right/total*gini(rhs, right)))
	}
	return before - (float64(left*entropy(lhs))+float64(right*entropy(rhs)))/total
}

// impurity returns the entropy of the leaf, which the gain of InfoGain is counted from.
func (t *Tree) impurity(l *leaf) float64 {
	if t.cfg.Criterion == Gini {
		return 0
	}
	w := t.scratch.lhs[:0]
	for i := range l.entries {
		w = append(w, l.entries[i].weight)
	}
	t.scratch.lhs = w
	return entropy(w)
}

func (t *Tree) rangeOfMerit(l *leaf) float64 {
	if t.cfg.Criterion == Gini {
		return 1
	}
	return log2(math.Max(2, float64(len(l.entries))))
}

// entropy returns the entropy, in bits, of a distribution given by weights; 0 if there are none.
func entropy(weights []float64) float64 {
	var e, sum float64
	for _, w := range weights {
		if w > 0 {
			e -= float64(w * log2(w))
			sum += w
		}
	}
	if sum == 0 {
		return 0
	}
	return (e + float64(sum*log2(sum))) / sum
}

func gini(weights []float64, sum float64) float64 {
	g := 1.0
	if sum == 0 {
		return g
	}
	for _, w := range weights {
		p := w / sum
		g -= float64(p * p)
	}
	return g
}
