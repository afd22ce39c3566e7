package tree

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// takes says what a node's definition says, in the type of the values.
func takes[T number](n *Node, v T) bool {
	if v != v && n.MissingTrue {
		return true
	}
	t := T(n.Threshold)
	switch n.Mode {
	case LEQ:
		return v <= t
	case LT:
		return v < t
	case GTE:
		return v >= t
	case GT:
		return v > t
	case EQ:
		return v == t
	case NEQ:
		return v != t
	case Member:
		return slices.ContainsFunc(n.Members, func(m float64) bool { return T(m) == v })
	}
	panic("leaf")
}

// slow returns the weights of the leaf that x reaches.
func slow[T number](t []Node, x []T) []Weight {
	n := &t[0]
	for n.Mode != Leaf {
		if takes(n, x[n.Feature]) {
			n = &t[n.True]
		} else {
			n = &t[n.False]
		}
	}
	return n.Weights
}

// values are thresholds and features that meet each other, and what is next to them.
var values = []float64{0, math.Copysign(0, -1), 1, 2, 3, -1, 0.1, float64(float32(0.1)), math.Inf(1), math.Inf(-1), math.MaxFloat32,
	math.SmallestNonzeroFloat32, float64(math.Nextafter32(1, 2)), math.Nextafter(1, 2)}

func randomSpec(rng *rand.Rand, modes []Mode, missing bool) Spec {
	s := Spec{Features: 3, Outputs: 1 + rng.IntN(3), Double: rng.IntN(2) == 0, Zeros: rng.IntN(2) == 0}
	for range 1 + rng.IntN(10) {
		nodes := []Node{{}}
		for open := []int{0}; len(open) > 0; {
			i := open[0]
			open = open[1:]
			if len(nodes) > 1+rng.IntN(20) {
				for range 1 + rng.IntN(3) {
					nodes[i].Weights = append(nodes[i].Weights, Weight{rng.IntN(s.Outputs), float64(rng.IntN(5)-2) / 4})
				}
				continue
			}
			n := Node{Mode: modes[rng.IntN(len(modes))], Feature: rng.IntN(3), Threshold: values[rng.IntN(len(values))],
				MissingTrue: missing && rng.IntN(2) == 0, True: len(nodes) + 1, False: len(nodes)}
			if n.Mode == Member {
				for range 1 + rng.IntN(4) {
					n.Members = append(n.Members, values[rng.IntN(len(values))])
				}
			}
			nodes[i] = n
			open = append(open, len(nodes), len(nodes)+1)
			nodes = append(nodes, Node{}, Node{})
		}
		s.Trees = append(s.Trees, nodes)
	}
	return s
}

func randomVector[T number](rng *rand.Rand) []T {
	x := make([]T, 3)
	for k := range x {
		x[k] = T(values[rng.IntN(len(values))])
		if rng.IntN(6) == 0 {
			x[k] = T(math.NaN())
		}
	}
	return x
}

func checkSums[T number](t *testing.T, s Spec, x []T, sum func(x, sums []T), fold func(a Aggregate, x, out []T, reached []bool), e *Ensemble) {
	t.Helper()
	var want, least, most = make([]T, s.Outputs), make([]T, s.Outputs), make([]T, s.Outputs)
	reached := make([]bool, s.Outputs)
	for _, tree := range s.Trees {
		for _, w := range slow(tree, x) {
			v := T(w.Value)
			want[w.Output] += v
			if !reached[w.Output] {
				least[w.Output], most[w.Output] = v, v
			}
			least[w.Output], most[w.Output] = min(least[w.Output], v), max(most[w.Output], v)
			reached[w.Output] = true
		}
	}
	got := make([]T, s.Outputs)
	sum(x, got)
	if !slices.Equal(got, want) {
		t.Fatalf("sums %v of %v, want %v\n%+v", got, x, want, s)
	}
	has := make([]bool, s.Outputs)
	fold(Sum, x, got, has)
	if !slices.Equal(got, want) {
		t.Fatalf("folded sums %v of %v, want %v\n%+v", got, x, want, s)
	}
	for o := range has {
		if has[o] != reached[o] && !(e.Always(o) && reached[o]) || e.Always(o) && !reached[o] || e.Never(o) && reached[o] {
			t.Fatalf("output %d: reached %v, want %v (always %v, never %v)\n%+v", o, has, reached, e.Always(o), e.Never(o), s)
		}
	}
	if s.Zeros {
		fold(Least, x, got, has)
		if !slices.Equal(got, least) {
			t.Fatalf("least %v of %v, want %v\n%+v", got, x, least, s)
		}
		fold(Greatest, x, got, has)
		if !slices.Equal(got, most) {
			t.Fatalf("greatest %v of %v, want %v\n%+v", got, x, most, s)
		}
	}
}

// Every kind of node does what its definition says, with values on thresholds, beside them, infinite and NaN.
func TestEnsemblesAreAsDefined(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	kinds := [][]Mode{{LEQ}, {LT}, {LEQ, LT, GTE, GT}, {LEQ, LT, GTE, GT, EQ, NEQ, Member}}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for range rounds {
		s := randomSpec(rng, kinds[rng.IntN(len(kinds))], rng.IntN(2) == 0)
		e, err := Compile(s)
		if err != nil {
			t.Fatalf("%v\n%+v", err, s)
		}
		for range 20 {
			if s.Double {
				checkSums(t, s, randomVector[float64](rng), e.Sum64, e.Fold64, e)
			} else {
				checkSums(t, s, randomVector[float32](rng), e.Sum32, e.Fold32, e)
			}
		}
	}
}

func TestSumsAreAddedInOrder(t *testing.T) {
	leaf := func(v float64) []Node { return []Node{{Weights: []Weight{{0, v}}}} }
	s := Spec{Features: 1, Outputs: 1, Trees: [][]Node{leaf(1 << 24), leaf(1), leaf(1), leaf(1), leaf(1), leaf(-1 << 24)}}
	e, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	sums := []float32{0}
	e.Sum32([]float32{0}, sums)
	if sums[0] != 0 { // each 1 is lost beside 2^24
		t.Errorf("%v", sums)
	}
	sums[0] = -1 << 24
	e.Sum32([]float32{0}, sums)
	if sums[0] != -1<<24+4 {
		t.Errorf("%v: not added to what was there", sums)
	}
	if e.Trees() != 6 || e.Nodes() != 6 || e.Features() != 1 || e.Outputs() != 1 || e.Least() != -1<<24 {
		t.Errorf("%d trees, %d nodes, %d features, %d outputs, least %v", e.Trees(), e.Nodes(), e.Features(), e.Outputs(), e.Least())
	}
}

func TestCompileRefuses(t *testing.T) {
	leaf := Node{Weights: []Weight{{0, 1}}}
	branch := func(yes, no int) Node { return Node{Mode: LEQ, True: yes, False: no} }
	deep := []Node{}
	for i := range MaxDepth + 1 {
		deep = append(deep, branch(2*i+1, 2*i+2), leaf)
	}
	deep = append(deep, leaf)
	for what, s := range map[string]Spec{
		"no trees":               {Features: 1, Outputs: 1},
		"features":               {Outputs: 1, Trees: [][]Node{{leaf}}},
		"outputs":                {Features: 1, Trees: [][]Node{{leaf}}},
		"no nodes":               {Features: 1, Outputs: 1, Trees: [][]Node{{leaf}, {}}},
		"leaf 0 has no value":    {Features: 1, Outputs: 1, Trees: [][]Node{{{}}}},
		"of output 1":            {Features: 1, Outputs: 1, Trees: [][]Node{{{Weights: []Weight{{1, 1}}}}}},
		"output -1":              {Features: 1, Outputs: 1, Trees: [][]Node{{{Weights: []Weight{{-1, 1}}}}}},
		"value NaN":              {Features: 1, Outputs: 1, Trees: [][]Node{{{Weights: []Weight{{0, math.NaN()}}}}}},
		"node 3 as a child":      {Features: 1, Outputs: 1, Trees: [][]Node{{branch(1, 3), leaf, leaf}}},
		"node -1 as a child":     {Features: 1, Outputs: 1, Trees: [][]Node{{branch(1, -1), leaf, leaf}}},
		"node 0 is reached":      {Features: 1, Outputs: 1, Trees: [][]Node{{branch(1, 0), leaf}}},
		"node 1 is reached":      {Features: 1, Outputs: 1, Trees: [][]Node{{branch(1, 1), leaf}}},
		"node 2 is not":          {Features: 1, Outputs: 1, Trees: [][]Node{{leaf}, {branch(1, 3), leaf, leaf, leaf}}},
		"feature 1":              {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: LT, Feature: 1, True: 1, False: 2}, leaf, leaf}}},
		"feature -1":             {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: LT, Feature: -1, True: 1, False: 2}, leaf, leaf}}},
		"with NaN":               {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: LT, Threshold: math.NaN(), True: 1, False: 2}, leaf, leaf}}},
		"an empty set":           {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: Member, True: 1, False: 2}, leaf, leaf}}},
		"a set that has NaN":     {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: Member, Members: []float64{math.NaN()}, True: 1, False: 2}, leaf, leaf}}},
		"unknown way":            {Features: 1, Outputs: 1, Trees: [][]Node{{{Mode: 99, True: 1, False: 2}, leaf, leaf}}},
		"tree 1: deeper than 40": {Features: 1, Outputs: 1, Trees: [][]Node{{leaf}, deep}},
	} {
		if _, err := Compile(s); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSumsAllocateNothing(t *testing.T) {
	s, xs := grown(10, 50)
	e, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	sums, reached := make([]float32, 2), make([]bool, 2)
	if n := testing.AllocsPerRun(100, func() { e.Sum32(xs[0], sums); e.Fold32(Sum, xs[0], sums, reached) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
