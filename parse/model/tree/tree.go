// Package tree evaluates ensembles of decision trees on one vector at a time: forests, boosted trees, single trees. It knows no
// file format; parse/model/onnx and parse/model/xgboost make Specs of theirs.
package tree

import (
	"fmt"
	"math"
	"slices"
)

// Mode is how a node compares its feature with its threshold; the True child is taken where that holds. The names are ONNX's
// (ai.onnx.ml TreeEnsemble).
type Mode uint8

// Modes.
const (
	Leaf   Mode = iota
	LEQ         // feature <= threshold
	LT          // feature < threshold
	GTE         // feature >= threshold
	GT          // feature > threshold
	EQ          // feature == threshold
	NEQ         // feature != threshold
	Member      // feature is one of Members
)

// Weight is what a leaf adds to an output.
type Weight struct {
	Output int
	Value  float64
}

// Node is a node of a tree. Children are indices into the tree's nodes.
type Node struct {
	Mode        Mode
	Feature     int
	Threshold   float64
	True, False int
	MissingTrue bool      // NaN takes True whatever the mode; otherwise what comparing with NaN gives (False, but True with NEQ)
	Members     []float64 // of Member
	Weights     []Weight  // of Leaf, at least one, in order
}

// Spec is an ensemble before Compile.
type Spec struct {
	Features int      // values of a vector
	Outputs  int      // sums
	Trees    [][]Node // the first node of each is its root
	// Double has thresholds, values and sums in float64. Otherwise all are rounded to float32, as XGBoost and ONNX have them.
	Double bool
	// Zeros keeps values of 0, which add nothing, in leaves: Least and Greatest need them.
	Zeros bool
}

// Limits of what Compile takes.
const (
	MaxDepth = 4096    // edges from a root to a leaf
	MaxNodes = 1 << 27 // of all trees
	MaxTrees = 1 << 20
)

// Ensemble is a compiled Spec. It does not change: goroutines may share it.
type Ensemble struct {
	features, outputs int
	trees, nodes      int
	f32               *forest[float32]
	f64               *forest[float64]
	always            []bool  // per output: some tree has it on every leaf
	never             []bool  // no leaf has it
	least             float64 // of the leaves' values
}

type number interface{ float32 | float64 }

// node is a node after Compile, 16 octets in float32. The two children stand side by side, the one of what holds first.
type node[T number] struct {
	value   T      // threshold, or which set; of a leaf with one weight its value
	feature uint32 // of a leaf 0, so that a walk may stay on it
	child   uint32 // the first child; of a leaf itself
	flags   uint32
}

const (
	branches = 1 << iota // not a leaf
	nanTrue              // NaN takes the first child
	equals               // compares by == instead of <=
	among                // value is the index of a set
	many                 // a leaf with more weights than one
	flagBits = iota
)

// above returns what a leaf keeps above its flags: its only weight's output, or with many which span.
func (n *node[T]) above() uint32 { return n.flags >> flagBits }

// span is the weights of a leaf.
type span struct{ first, count uint32 }

type weight[T number] struct {
	value  T
	output uint32
}

type forest[T number] struct {
	nodes   []node[T]
	roots   []uint32
	weights []weight[T]
	spans   []span
	sets    [][]T // sorted
	nanTrue bool  // a node has it: NaN needs the slower walk
	plain   bool  // all nodes compare by <=
}

// Compile checks a spec and lays it out for evaluation: every node is reached once, every child and feature is there, every leaf
// has weights, no threshold is NaN. Errors name tree and node.
func Compile(s Spec) (*Ensemble, error) {
	if s.Features < 1 || s.Features > math.MaxInt32 {
		return nil, fmt.Errorf("%d features", s.Features)
	}
	if s.Outputs < 1 || s.Outputs > 1<<20 {
		return nil, fmt.Errorf("%d outputs", s.Outputs)
	}
	if len(s.Trees) == 0 {
		return nil, fmt.Errorf("no trees")
	}
	if len(s.Trees) > MaxTrees {
		return nil, fmt.Errorf("%d trees: at most %d are taken", len(s.Trees), MaxTrees)
	}
	e := &Ensemble{features: s.Features, outputs: s.Outputs, trees: len(s.Trees), always: make([]bool, s.Outputs),
		never: make([]bool, s.Outputs), least: math.Inf(1)}
	for i := range e.never {
		e.never[i] = true
	}
	mentions := make([]mention, s.Outputs)
	for i, t := range s.Trees {
		if e.nodes += len(t); e.nodes > MaxNodes {
			return nil, fmt.Errorf("more than %d nodes", MaxNodes)
		}
		if err := e.check(i, t, s, mentions); err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
	}
	var err error
	if s.Double {
		e.f64, err = lay[float64](s, e.always)
	} else {
		e.f32, err = lay[float32](s, e.always)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// mention is which leaves of a tree have a value for an output.
type mention struct{ tree, leaves, last int } // trees and leaves are numbered from 1

// check walks a tree from its root. mentions are of trees before.
func (e *Ensemble) check(number int, t []Node, s Spec, mentions []mention) error {
	if len(t) == 0 {
		return fmt.Errorf("no nodes")
	}
	type at struct{ node, depth int }
	reached := make([]bool, len(t))
	reached[0] = true
	seen, leaves := 1, 0
	for stack := []at{{}}; len(stack) > 0; {
		a := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := &t[a.node]
		if n.Mode == Leaf {
			if len(n.Weights) == 0 {
				return fmt.Errorf("leaf %d has no value", a.node)
			}
			leaves++
			for _, w := range n.Weights {
				if w.Output < 0 || w.Output >= s.Outputs {
					return fmt.Errorf("leaf %d is of output %d: there are %d", a.node, w.Output, s.Outputs)
				}
				if w.Value != w.Value {
					return fmt.Errorf("leaf %d has the value NaN", a.node)
				}
				e.never[w.Output] = false
				e.least = min(e.least, w.Value)
				m := &mentions[w.Output]
				if m.tree != number+1 {
					*m = mention{tree: number + 1}
				}
				if m.last != leaves {
					m.leaves, m.last = m.leaves+1, leaves
				}
			}
			continue
		}
		switch {
		case n.Mode > Member:
			return fmt.Errorf("node %d compares in an unknown way (%d)", a.node, n.Mode)
		case n.Feature < 0 || n.Feature >= s.Features:
			return fmt.Errorf("node %d compares feature %d: there are %d", a.node, n.Feature, s.Features)
		case n.Mode == Member && len(n.Members) == 0:
			return fmt.Errorf("node %d compares with an empty set", a.node)
		case n.Mode == Member && slices.ContainsFunc(n.Members, func(v float64) bool { return v != v }):
			return fmt.Errorf("node %d compares with a set that has NaN", a.node)
		case n.Mode != Member && n.Threshold != n.Threshold:
			return fmt.Errorf("node %d compares with NaN", a.node)
		case a.depth == MaxDepth:
			return fmt.Errorf("deeper than %d", MaxDepth)
		}
		for _, c := range [2]int{n.False, n.True} {
			if c < 0 || c >= len(t) {
				return fmt.Errorf("node %d has node %d as a child: there are %d", a.node, c, len(t))
			}
			if reached[c] {
				return fmt.Errorf("node %d is reached twice, the second time from node %d: a cycle, or a child of two", c, a.node)
			}
			reached[c] = true
			seen++
			stack = append(stack, at{c, a.depth + 1})
		}
	}
	if seen != len(t) {
		return fmt.Errorf("node %d is not reached from the root", slices.Index(reached, false))
	}
	for _, n := range t { // an output of all leaves is of the first
		if n.Mode == Leaf {
			for _, w := range n.Weights {
				e.always[w.Output] = e.always[w.Output] || mentions[w.Output].leaves == leaves
			}
			break
		}
	}
	return nil
}

// lay puts checked trees into a forest, children side by side, the first child's own behind them.
func lay[T number](s Spec, always []bool) (*forest[T], error) {
	total := 0
	for _, t := range s.Trees {
		total += len(t)
	}
	f := &forest[T]{nodes: make([]node[T], total), roots: make([]uint32, 0, len(s.Trees)), plain: true}
	next := uint32(0)
	type at struct {
		from int
		to   uint32
	}
	var stack []at
	for _, t := range s.Trees {
		f.roots = append(f.roots, next)
		stack = append(stack[:0], at{0, next})
		next++
		for len(stack) > 0 {
			a := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			n := &t[a.from]
			if n.Mode == Leaf {
				leaf, err := f.leaf(n, a.to, always, s.Zeros)
				if err != nil {
					return nil, err
				}
				f.nodes[a.to] = leaf
				continue
			}
			first, second := n.True, n.False
			m := node[T]{value: T(n.Threshold), feature: uint32(n.Feature), child: next, flags: branches}
			takesNaN := n.MissingTrue
			switch n.Mode {
			case LT:
				m.value = below(m.value)
			case GTE: // not <, with the children changed; NaN goes where it went
				m.value = below(m.value)
				first, second, takesNaN = second, first, !takesNaN
			case GT:
				first, second, takesNaN = second, first, !takesNaN
			case EQ:
				m.flags |= equals
			case NEQ: // NaN differs from everything
				m.flags |= equals
				first, second, takesNaN = second, first, false
			case Member:
				set := make([]T, len(n.Members))
				for i, v := range n.Members {
					set[i] = T(v)
				}
				slices.Sort(set)
				m.flags |= among
				m.child = next
				m.value = T(len(f.sets))
				if len(f.sets) >= 1<<24 {
					return nil, fmt.Errorf("more than %d sets", 1<<24)
				}
				f.sets = append(f.sets, set)
			}
			if takesNaN {
				m.flags |= nanTrue
				f.nanTrue = true
			}
			if m.flags&(equals|among) != 0 {
				f.plain = false
			}
			f.nodes[a.to] = m
			stack = append(stack, at{second, next + 1}, at{first, next})
			next += 2
		}
	}
	return f, nil
}

// leaf makes a leaf, without weights that add nothing. Those of outputs that are not always reached stay: see Fold32.
func (f *forest[T]) leaf(n *Node, at uint32, always []bool, zeros bool) (node[T], error) {
	kept := uint32(0)
	first := uint32(len(f.weights))
	var last weight[T]
	for _, w := range n.Weights {
		if T(w.Value) != 0 || !always[w.Output] || zeros {
			last = weight[T]{T(w.Value), uint32(w.Output)}
			f.weights = append(f.weights, last)
			kept++
		}
	}
	if kept <= 1 {
		f.weights = f.weights[:first]
		if kept == 0 {
			last.output = uint32(n.Weights[0].Output)
		}
		return node[T]{value: last.value, child: at, flags: last.output << flagBits}, nil
	}
	if len(f.weights) > math.MaxInt32 {
		return node[T]{}, fmt.Errorf("more than %d values of leaves", math.MaxInt32)
	}
	f.spans = append(f.spans, span{first, kept})
	return node[T]{child: at, flags: uint32(len(f.spans)-1)<<flagBits | many}, nil
}

// below returns the greatest number below v: x < v is x <= below(v).
func below[T number](v T) T {
	switch v := any(v).(type) {
	case float32:
		if math.IsInf(float64(v), -1) {
			return T(math.NaN()) // nothing is below
		}
		return T(math.Nextafter32(v, float32(math.Inf(-1))))
	case float64:
		if math.IsInf(v, -1) {
			return T(math.NaN())
		}
		return T(math.Nextafter(v, math.Inf(-1)))
	}
	panic("unreachable")
}

// Features returns how many values a vector has.
func (e *Ensemble) Features() int { return e.features }

// Outputs returns how many sums there are.
func (e *Ensemble) Outputs() int { return e.outputs }

// Trees returns how many trees there are.
func (e *Ensemble) Trees() int { return e.trees }

// Nodes returns how many nodes the trees have together.
func (e *Ensemble) Nodes() int { return e.nodes }

// Always reports whether every vector reaches a leaf with a value for the output; Never that none does.
func (e *Ensemble) Always(output int) bool { return e.always[output] }

// Never reports whether no leaf has a value for the output.
func (e *Ensemble) Never(output int) bool { return e.never[output] }

// Least returns the least value of all leaves.
func (e *Ensemble) Least() float64 { return e.least }

// Sum32 adds the values of the leaf that x reaches in each tree to sums, tree by tree in order, in float32. x has Features values
// and sums Outputs. The spec must not have been Double. It allocates nothing.
func (e *Ensemble) Sum32(x, sums []float32) { e.f32.sum(x[:e.features], sums[:e.outputs]) }

// Sum64 is Sum32 in float64, of a spec that was Double.
func (e *Ensemble) Sum64(x, sums []float64) { e.f64.sum(x[:e.features], sums[:e.outputs]) }

// Aggregate is what becomes of the values that the trees have for an output.
type Aggregate uint8

// Aggregates.
const (
	Sum Aggregate = iota
	Least
	Greatest
)

// Fold32 sets out to the aggregate of the values of the leaf that x reaches in each tree, and reached to whether there was one,
// per output; 0 where not. Least and Greatest need Spec.Zeros. It is slower than Sum32 and allocates nothing either.
func (e *Ensemble) Fold32(a Aggregate, x, out []float32, reached []bool) {
	e.f32.fold(a, x[:e.features], out[:e.outputs], reached[:e.outputs])
}

// Fold64 is Fold32 in float64, of a spec that was Double.
func (e *Ensemble) Fold64(a Aggregate, x, out []float64, reached []bool) {
	e.f64.fold(a, x[:e.features], out[:e.outputs], reached[:e.outputs])
}

func (f *forest[T]) sum(x, sums []T) {
	if !f.plain || f.nanTrue && anyNaN(x) {
		for _, root := range f.roots {
			f.add(f.walk(root, x), sums)
		}
		return
	}
	// Four trees in step: their loads do not wait for each other, and there is no branch to guess wrong. A walk that has come to
	// its leaf stays there.
	roots, nodes := f.roots, f.nodes
	for len(roots) >= 4 {
		i0, i1, i2, i3 := roots[0], roots[1], roots[2], roots[3]
		roots = roots[4:]
		for {
			n0, n1, n2, n3 := &nodes[i0], &nodes[i1], &nodes[i2], &nodes[i3]
			if (n0.flags|n1.flags|n2.flags|n3.flags)&branches == 0 {
				break
			}
			i0 = n0.child + n0.second(x)
			i1 = n1.child + n1.second(x)
			i2 = n2.child + n2.second(x)
			i3 = n3.child + n3.second(x)
		}
		f.add(i0, sums)
		f.add(i1, sums)
		f.add(i2, sums)
		f.add(i3, sums)
	}
	for _, root := range roots {
		f.add(f.walk(root, x), sums)
	}
}

// second returns 1 if x takes the second child of a node that compares by <=; 0 of a leaf.
func (n *node[T]) second(x []T) uint32 {
	var second uint32
	if !(x[n.feature] <= n.value) {
		second = 1
	}
	return second & n.flags // branches is bit 0
}

func anyNaN[T number](x []T) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

// add adds the values of a leaf.
func (f *forest[T]) add(leaf uint32, sums []T) {
	n := &f.nodes[leaf]
	if n.flags&many == 0 {
		sums[n.above()] += n.value
		return
	}
	p := f.spans[n.above()]
	for _, w := range f.weights[p.first : p.first+p.count] {
		sums[w.output] += w.value
	}
}

// walk returns the leaf that x reaches, with every kind of node.
func (f *forest[T]) walk(i uint32, x []T) uint32 {
	for {
		n := &f.nodes[i]
		if n.flags&branches == 0 {
			return i
		}
		v := x[n.feature]
		var first bool
		switch {
		case v != v:
			first = n.flags&nanTrue != 0
		case n.flags&equals != 0:
			first = v == n.value
		case n.flags&among != 0:
			_, first = slices.BinarySearch(f.sets[int(n.value)], v)
		default:
			first = v <= n.value
		}
		i = n.child
		if !first {
			i++
		}
	}
}

func (f *forest[T]) fold(a Aggregate, x, out []T, reached []bool) {
	clear(out)
	clear(reached)
	for _, root := range f.roots {
		n := &f.nodes[f.walk(root, x)]
		one := [1]weight[T]{{n.value, n.above()}}
		weights := one[:]
		if n.flags&many != 0 {
			p := f.spans[n.above()]
			weights = f.weights[p.first : p.first+p.count]
		}
		for _, w := range weights {
			switch o := &out[w.output]; {
			case a == Sum:
				*o += w.value
			case !reached[w.output] || a == Least && w.value < *o || a == Greatest && w.value > *o:
				*o = w.value
			}
			reached[w.output] = true
		}
	}
}
