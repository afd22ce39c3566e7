// Package hoeffding learns decision trees from streams: the Hoeffding tree of P. Domingos and G. Hulten (Mining high-speed data
// streams, KDD 2000) with the Gaussian observers of B. Pfahringer, G. Holmes and R. Kirkby (Handling numeric attributes in
// Hoeffding trees, PAKDD 2008) and the adaptive naive Bayes leaves of G. Holmes, R. Kirkby and B. Pfahringer (Stress-testing
// Hoeffding trees, PKDD 2005), in the form that river's HoeffdingTreeClassifier and MOA give them. METHOD.md says where it
// differs from river.
package hoeffding

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// How a leaf predicts.
const (
	MajorityClass = "mc"  // the class that the leaf has seen most
	NaiveBayes    = "nb"  // naive Bayes over the leaf's Gaussian observers
	Adaptive      = "nba" // whichever of the two has been right more often in the leaf
)

// What a split is worth.
const (
	InfoGain = "info_gain" // the entropy in bits that it takes away; its range is log2 of the leaf's number of classes
	Gini     = "gini"      // one less the weighted Gini impurity behind it; its range is 1
)

// Limits that hold for every tree.
const (
	MaxColumns = 1 << 12
	MaxClasses = 1 << 12
	// MaxValue is the largest magnitude that is learnt from: the squares of larger ones overflow.
	MaxValue = 1e140
	maxNodes = 1 << 22
)

// Config says how a tree grows. The zero value is river's default in everything.
type Config struct {
	// GracePeriod is the weight (rows) that a leaf takes in between two attempts to split it; 0 means 200.
	GracePeriod int `json:"grace_period"`
	// Delta is the probability of choosing another split than the one that infinitely many rows would show as the best; 0 means 1e-7.
	Delta float64 `json:"delta"`
	// Tau ends a tie: once the bound is below it, the best split is taken however close the second is; 0 means 0.05, negative never.
	Tau float64 `json:"tau"`
	// Leaf is MajorityClass, NaiveBayes or Adaptive; "" means Adaptive.
	Leaf string `json:"leaf"`
	// NBThreshold is the weight from which a NaiveBayes leaf uses naive Bayes.
	NBThreshold int `json:"nb_threshold"`
	// Criterion is InfoGain or Gini; "" means InfoGain.
	Criterion string `json:"criterion"`
	// NumSplits is how many thresholds of a feature are tried, evenly between the least and the greatest value; 0 means 10.
	NumSplits int `json:"num_splits"`
	// MinBranchFraction: a split counts only if both sides get more than this share of the rows; 0 means 0.01, negative none.
	MinBranchFraction float64 `json:"min_branch_fraction"`
	// MaxShareToSplit: a leaf with one class above this share is not split, and its observers begin anew; 0 means 0.99.
	MaxShareToSplit float64 `json:"max_share_to_split"`
	// MaxDepth is the depth (the root has 0) at which leaves keep counts only; 0 means without limit.
	MaxDepth int `json:"max_depth"`
	// NoPreprune takes away the option of not splitting at all, which otherwise competes with the splits.
	NoPreprune bool `json:"no_preprune"`
	// MaxNodes ends the growth; 0 means 4096. A leaf holds 40 octets for each of its classes and columns. River has a limit in
	// megabytes instead, and puts leaves to sleep; a tree here keeps all its leaves learning, and Summary counts what was not split.
	MaxNodes int `json:"max_nodes"`
}

// normal returns c with its defaults filled in.
func (c Config) normal() (Config, error) {
	c.GracePeriod = cmp.Or(c.GracePeriod, 200)
	c.NumSplits = cmp.Or(c.NumSplits, 10)
	c.MaxNodes = cmp.Or(c.MaxNodes, 4096)
	c.Delta = cmp.Or(c.Delta, 1e-7)
	c.Tau = cmp.Or(c.Tau, 0.05)
	c.MinBranchFraction = cmp.Or(c.MinBranchFraction, 0.01)
	c.MaxShareToSplit = cmp.Or(c.MaxShareToSplit, 0.99)
	c.Leaf = cmp.Or(c.Leaf, Adaptive)
	c.Criterion = cmp.Or(c.Criterion, InfoGain)
	var faults []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	must(c.GracePeriod >= 1 && c.GracePeriod <= 1<<30, "grace period %d: give 1 or more rows", c.GracePeriod)
	must(c.NumSplits >= 1 && c.NumSplits <= 1000, "%d split points: give 1 to 1000", c.NumSplits)
	must(c.MaxNodes >= 1 && c.MaxNodes <= maxNodes, "%d nodes at most: give 1 to %d", c.MaxNodes, maxNodes)
	must(c.MaxDepth >= 0, "depth %d at most: give 1 or more, or 0 for no limit", c.MaxDepth)
	must(c.NBThreshold >= 0 && c.NBThreshold <= 1<<30, "naive Bayes threshold %d: give 0 or more", c.NBThreshold)
	must(c.Delta > 0 && c.Delta < 1, "delta %v: give a probability between 0 and 1", c.Delta)
	must(finite(c.Tau), "tau %v: give a number", c.Tau)
	must(c.MinBranchFraction < 0.5 && finite(c.MinBranchFraction), "least share of a branch %v: give less than 0.5", c.MinBranchFraction)
	must(c.MaxShareToSplit > 0 && finite(c.MaxShareToSplit), "greatest share of a class %v: give more than 0", c.MaxShareToSplit)
	must(c.Leaf == MajorityClass || c.Leaf == NaiveBayes || c.Leaf == Adaptive, "leaf %q: give mc, nb or nba", c.Leaf)
	must(c.Criterion == InfoGain || c.Criterion == Gini, "criterion %q: give info_gain or gini", c.Criterion)
	return c, errors.Join(faults...)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Tree is a Hoeffding tree. It belongs to one goroutine.
type Tree struct {
	cfg     Config
	columns []string
	classes []string
	nodes   []node // the root is the first; children stand behind their parents

	rows, attempts, splits, limited uint64

	free    []*observer // that leaves gave back
	scratch scratch
}

type node struct {
	feature     int // -1: a leaf
	threshold   float64
	left, right int // x[feature] <= threshold goes left
	depth       int
	weight      float64 // of a branch: what its leaf had seen when it was split
	gain        float64 // of a branch: the merit of the split
	leaf        *leaf
}

// leaf holds what a leaf has seen.
type leaf struct {
	active  bool    // it has observers
	entries []entry // in the order in which classes came up: ties go to the first, as in river
	order   []int16 // places in entries, in the order in which their observers began
	mc, nb  float64 // rows that the majority class and naive Bayes had right
	since   int     // rows since the last attempt to split
}

type entry struct {
	class  int
	weight float64 // rows, and at first the estimated share of the parent's rows, which is not whole
	log    float64 // of weight, if that is more than 0
	obs    *observer
}

// observer estimates the features' Gaussians within one class of a leaf.
type observer struct {
	n     float64
	fresh bool // the following and slope are those of spread
	odd   bool // a variance is so small that slope would overflow
	block []float64

	height float64 // the sum of -ln sqrt(2 pi variance) over the columns whose variance is not 0
	least  float64 // an exponent below this may come to a density of 0

	// All are parts of block and have a value for each column.
	mean, spread []float64 // spread: the sum of squared deviations
	min, max     []float64
	slope        []float64 // -1 / (2 variance), 0 if the variance is 0
}

// scratch is what calls need and throw away.
type scratch struct {
	lhs, rhs    []float64 // weights left and right of a threshold, in a leaf's order of observers
	denominator []float64 // sqrt 2 sigma, likewise

	votes    []float64 // log likelihoods in the order of entries, of the row in seen
	votesFor *leaf
	seen     []float64
}

// New returns an empty tree for vectors of columns. Classes may be empty: AddClass brings them up later. Both are copied.
func New(columns, classes []string, cfg Config) (*Tree, error) {
	cfg, err := cfg.normal()
	if err != nil {
		return nil, err
	}
	if err := checkNames("columns", columns, 1, MaxColumns); err != nil {
		return nil, err
	}
	if err := checkNames("classes", classes, 0, MaxClasses); err != nil {
		return nil, err
	}
	t := &Tree{cfg: cfg, columns: slices.Clone(columns), classes: slices.Clone(classes)}
	t.scratch.seen = make([]float64, len(columns))
	t.reserve()
	t.nodes = []node{{feature: -1, leaf: &leaf{active: true}}}
	return t, nil
}

// reserve makes room for a vote of each class, so that Predict needs none.
func (t *Tree) reserve() {
	t.scratch.votes, t.scratch.votesFor = slices.Grow(t.scratch.votes[:0], len(t.classes)), nil
}

func checkNames(what string, names []string, least, most int) error {
	if len(names) < least || len(names) > most {
		return fmt.Errorf("%d %s: a Hoeffding tree takes %d to %d", len(names), what, least, most)
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if name == "" {
			return fmt.Errorf("%s: an empty name", what)
		}
		if seen[name] {
			return fmt.Errorf("%s: %q twice", what, name)
		}
		if !utf8.ValidString(name) {
			return fmt.Errorf("%s: %q is not UTF-8", what, name)
		}
		seen[name] = true
	}
	return nil
}

// AddClass returns the index of the class of this name, which is a new one if there was none. There may be MaxClasses.
func (t *Tree) AddClass(name string) (int, error) {
	if i := slices.Index(t.classes, name); i >= 0 {
		return i, nil
	}
	if name == "" {
		return 0, errors.New("a class without a name")
	}
	if !utf8.ValidString(name) {
		return 0, fmt.Errorf("class %q: its name is not UTF-8", name)
	}
	if len(t.classes) == MaxClasses {
		return 0, fmt.Errorf("class %q: there are %d classes already, the most that a Hoeffding tree takes", name, MaxClasses)
	}
	t.classes = append(t.classes, name)
	t.reserve()
	return len(t.classes) - 1, nil
}

// Columns returns the names of the features in the order in which Predict and Learn take them. The slice is the tree's own.
func (t *Tree) Columns() []string { return t.columns }

// Width returns the number of columns.
func (t *Tree) Width() int { return len(t.columns) }

// Classes returns the names of the classes. The slice is the tree's own, and another one after AddClass.
func (t *Tree) Classes() []string { return t.classes }

// Config returns the settings with their defaults filled in.
func (t *Tree) Config() Config { return t.cfg }

// Probabilities reports that scores are probabilities.
func (t *Tree) Probabilities() bool { return true }

// Clone returns a tree of the same state that shares nothing with t.
func (t *Tree) Clone() *Tree {
	c := *t
	c.columns, c.classes, c.nodes = slices.Clone(t.columns), slices.Clone(t.classes), slices.Clone(t.nodes)
	c.free, c.scratch = nil, scratch{seen: make([]float64, len(t.columns))}
	c.reserve()
	for i := range c.nodes {
		if l := c.nodes[i].leaf; l != nil {
			k := *l
			k.entries, k.order = slices.Clone(l.entries), slices.Clone(l.order)
			for j := range k.entries {
				if o := k.entries[j].obs; o != nil {
					k.entries[j].obs = newObserver(slices.Clone(o.block), o.n)
				}
			}
			c.nodes[i].leaf = &k
		}
	}
	return &c
}

// ValueError is a value that is no number of use: NaN, infinite or beyond MaxValue.
type ValueError struct {
	Column string
	Value  float64
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("column %s is %v: a Hoeffding tree takes numbers of up to ±%g; drop or clamp the row", e.Column, e.Value, float64(MaxValue))
}

func (t *Tree) check(x []float64) error {
	if len(x) != len(t.columns) {
		return fmt.Errorf("%d values: the tree has %d columns", len(x), len(t.columns))
	}
	for i, v := range x {
		if !(v >= -MaxValue && v <= MaxValue) {
			return &ValueError{Column: t.columns[i], Value: v}
		}
	}
	return nil
}

// find returns the index of the leaf that x falls into.
func (t *Tree) find(x []float64) int {
	i := 0
	for {
		n := &t.nodes[i]
		if n.feature < 0 {
			return i
		}
		if x[n.feature] <= n.threshold {
			i = n.left
		} else {
			i = n.right
		}
	}
}

// Predict returns the class of x, the first of those with the greatest probability, and their probabilities in scores, which may
// be nil. A tree that has learnt nothing says class 0 and that all are as likely. It allocates nothing. An error is a wrong
// length, a *ValueError, or a tree without classes.
func (t *Tree) Predict(x, scores []float64) (class int, err error) {
	if err := t.check(x); err != nil {
		return 0, err
	}
	if len(t.classes) == 0 {
		return 0, errors.New("the tree knows no classes yet")
	}
	if scores != nil && len(scores) != len(t.classes) {
		return 0, fmt.Errorf("%d scores: the tree has %d classes", len(scores), len(t.classes))
	}
	l := t.nodes[t.find(x)].leaf
	total := l.total()
	if total == 0 {
		for i := range scores {
			scores[i] = 1 / float64(len(scores))
		}
		return 0, nil
	}
	clear(scores)
	var bayes bool
	if l.active {
		switch t.cfg.Leaf {
		case NaiveBayes:
			bayes = total >= float64(t.cfg.NBThreshold)
		case Adaptive:
			bayes = l.nb >= l.mc
		}
	}
	best := -1
	if !bayes {
		var most float64
		for i := range l.entries {
			e := &l.entries[i]
			p := e.weight / total
			if best < 0 || p > most || p == most && e.class < best {
				best, most = e.class, p
			}
			if scores != nil {
				scores[e.class] = p
			}
		}
		return best, nil
	}
	votes := t.vote(l, x, total)
	var most float64
	for i, v := range votes {
		if c := l.entries[i].class; best < 0 || v > most || v == most && c < best {
			best, most = c, v
		}
	}
	if scores != nil {
		var sum float64
		for i, v := range votes {
			p := exp(v - most)
			scores[l.entries[i].class] = p
			sum += p
		}
		for i := range votes {
			scores[l.entries[i].class] /= sum
		}
	}
	return best, nil
}

// total returns the weight that the leaf has seen.
func (l *leaf) total() float64 {
	var sum float64
	for i := range l.entries {
		sum += l.entries[i].weight
	}
	return sum
}

// vote returns the logarithm of each class's prior times its density at x, in the order of entries. What is returned is scratch.
// As in river, a density of 0 (also by underflow, or where all values were the same) counts as 1, and a class that has come to no
// weight as having the likelihood 1.
func (t *Tree) vote(l *leaf, x []float64, total float64) []float64 {
	s := &t.scratch
	if s.votesFor == l && slices.Equal(s.seen, x) {
		return s.votes
	}
	s.votes = s.votes[:0]
	logTotal := 0.0
	if total > 0 {
		logTotal = ln(total)
	}
	for i := range l.entries {
		e := &l.entries[i]
		switch {
		case e.weight <= 0:
			s.votes = append(s.votes, 0)
		case e.obs == nil:
			s.votes = append(s.votes, e.log-logTotal)
		default:
			s.votes = append(s.votes, e.obs.add(e.log-logTotal, x))
		}
	}
	s.votesFor = l
	copy(s.seen, x)
	return s.votes
}

// add returns sum plus the logarithms of the densities at x.
func (o *observer) add(sum float64, x []float64) float64 {
	if !o.fresh {
		o.refresh()
	}
	if o.odd {
		for f, v := range x {
			sum += o.logDensity(f, v)
		}
		return sum
	}
	mean, slope, least := o.mean[:len(x)], o.slope[:len(x)], o.least
	var even, odd float64 // two sums, because one would wait for itself
	f := 0
	for ; f+1 < len(x); f += 2 {
		d, e := x[f]-mean[f], x[f+1]-mean[f+1]
		y, z := float64(float64(d*d)*slope[f]), float64(float64(e*e)*slope[f+1])
		if y < least {
			y = o.unlikely(f, x[f], y)
		}
		if z < least {
			z = o.unlikely(f+1, x[f+1], z)
		}
		even += y
		odd += z
	}
	if f < len(x) {
		d := x[f] - mean[f]
		y := float64(float64(d*d) * slope[f])
		if y < least {
			y = o.unlikely(f, x[f], y)
		}
		even += y
	}
	return sum + (o.height + (even + odd))
}

// unlikely returns what stands in for an exponent of z, so far down that the density may underflow.
func (o *observer) unlikely(f int, x, z float64) float64 {
	h := 0.0
	if v := o.variance(f); v > 0 {
		h = height(v)
	}
	if z < -800 {
		return -h
	}
	return o.logDensity(f, x) - h
}

// height returns the logarithm of the greatest density of a Gaussian.
func height(variance float64) float64 { return -0.5 * ln(2*math.Pi*variance) }

// refresh computes slope, height and least from spread.
func (o *observer) refresh() {
	o.fresh, o.odd, o.height, o.least = true, false, 0, -700
	var greatest, product, logs float64 = 0, 1, 0
	for f := range o.spread {
		variance := o.variance(f)
		if variance == 0 {
			o.slope[f] = 0
			continue
		}
		if variance < 1e-290 {
			o.odd = true
			return
		}
		o.slope[f] = -0.5 / variance
		greatest = math.Max(greatest, variance)
		// One logarithm for the product of several variances.
		if !(product > 1e-8 && product < 1e8 && variance > 1e-280 && variance < 1e280) {
			logs += ln(product)
			product = 1
		}
		product *= float64(2 * math.Pi * variance)
	}
	if greatest > 0 {
		o.height = -0.5 * (logs + ln(product))
		o.least -= math.Min(0, height(greatest))
	}
}

func (o *observer) variance(f int) float64 {
	if o.n <= 1 {
		return 0
	}
	return o.spread[f] / (o.n - 1)
}

// logDensity goes by way of the density, so that it underflows where river's does.
func (o *observer) logDensity(f int, x float64) float64 {
	variance := o.variance(f)
	if variance == 0 {
		return 0
	}
	d := x - o.mean[f]
	z := float64(d*d) / (-2 * variance)
	if z < -746 {
		return 0
	}
	if p := exp(z) / math.Sqrt(2*math.Pi*variance); p > 0 {
		return ln(p)
	}
	return 0
}

// cdf returns the share of the Gaussian of a feature below v. Denominator is sqrt 2 times its standard deviation.
func (o *observer) cdf(f int, v, denominator float64) float64 {
	if denominator == 0 {
		return 0
	}
	return 0.5 * (1 + erf((v-o.mean[f])/denominator))
}

func newObserver(block []float64, n float64) *observer {
	w := len(block) / 5
	part := func(i int) []float64 { return block[i*w : (i+1)*w : (i+1)*w] }
	return &observer{n: n, block: block, mean: part(0), spread: part(1), min: part(2), max: part(3), slope: part(4)}
}

// Learn takes x, which is not kept, as a row of class, an index into Classes. It allocates only where a leaf meets a class for
// the first time, and where one is split. An error (a wrong length or class, a *ValueError) leaves the tree as it was.
func (t *Tree) Learn(x []float64, class int) error {
	if err := t.check(x); err != nil {
		return err
	}
	if class < 0 || class >= len(t.classes) {
		return fmt.Errorf("class %d: the tree has %d; AddClass brings up new ones", class, len(t.classes))
	}
	t.rows++
	i := t.find(x)
	n := &t.nodes[i]
	l := n.leaf
	if l.active && t.cfg.Leaf == Adaptive {
		t.judge(l, x, class)
	}
	t.scratch.votesFor = nil
	place := l.enter(class)
	e := &l.entries[place]
	e.weigh(e.weight + 1)
	if !l.active {
		return nil
	}
	if e.obs == nil {
		e.obs = t.newObserver()
		copy(e.obs.min, x)
		copy(e.obs.max, x)
		l.order = append(l.order, int16(place))
	}
	e.obs.observe(x)
	if t.cfg.MaxDepth > 0 && n.depth >= t.cfg.MaxDepth {
		l.active = false
		t.forget(l)
		return nil
	}
	if l.since++; l.since >= t.cfg.GracePeriod {
		l.since = 0
		t.attempt(i)
	}
	return nil
}

// judge counts which of the two ways to predict has x right.
func (t *Tree) judge(l *leaf, x []float64, class int) {
	total := l.total()
	if len(l.entries) == 0 {
		l.mc++
		return
	}
	best, most := 0, 0.0
	for i := range l.entries {
		if p := l.entries[i].weight / total; i == 0 || p > most {
			best, most = i, p
		}
	}
	if l.entries[best].class == class {
		l.mc++
	}
	if total == 0 {
		return
	}
	best, most = 0, 0
	for i, v := range t.vote(l, x, total) {
		if i == 0 || v > most {
			best, most = i, v
		}
	}
	if l.entries[best].class == class {
		l.nb++
	}
}

// place returns the place of a class in entries, -1 if it has none.
func (l *leaf) place(class int) int {
	for i := range l.entries {
		if l.entries[i].class == class {
			return i
		}
	}
	return -1
}

// enter returns the place of a class in entries, a new one if it had none.
func (l *leaf) enter(class int) int {
	i := l.place(class)
	if i < 0 {
		i = len(l.entries)
		l.entries = append(l.entries, entry{class: class})
	}
	return i
}

func (e *entry) weigh(w float64) {
	e.weight = w
	if w > 0 {
		e.log = ln(w)
	}
}

// observe brings x in by the updates of Welford and of D. H. D. West (Communications of the ACM 22, 1979).
func (o *observer) observe(x []float64) {
	o.fresh = false
	o.n++
	share := 1 / o.n
	mean, spread, least, greatest := o.mean[:len(x)], o.spread[:len(x)], o.min[:len(x)], o.max[:len(x)]
	for f, v := range x {
		old := mean[f]
		m := old + float64(share*(v-old))
		mean[f] = m
		spread[f] += float64((v - old) * (v - m))
		if v < least[f] {
			least[f] = v
		}
		if v > greatest[f] {
			greatest[f] = v
		}
	}
}

func (t *Tree) newObserver() *observer {
	k := len(t.free)
	if k == 0 {
		return newObserver(make([]float64, 5*len(t.columns)), 0)
	}
	o := t.free[k-1]
	t.free = t.free[:k-1]
	clear(o.block)
	o.n, o.fresh = 0, false
	return o
}

// forget gives the observers of a leaf back.
func (t *Tree) forget(l *leaf) {
	for _, i := range l.order {
		t.free = append(t.free, l.entries[i].obs)
		l.entries[i].obs = nil
	}
	l.order = l.order[:0]
	t.scratch.votesFor = nil
}
