package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"pcaplab/parse/model/tree"
)

// treeNodes are the attributes that the classifier and the regressor have in common.
type treeNodes struct {
	trees [][]tree.Node
	byID  map[int64]int   // which tree an id is
	nodes []map[int64]int // of a tree: which node an id is; nil where nodes are numbered from 0 in order
}

// find returns which node of which tree ids mean.
func (t *treeNodes) find(treeID, id int64) (of, node int, found bool) {
	of, found = t.byID[treeID]
	switch {
	case !found:
		return 0, 0, false
	case t.nodes[of] != nil:
		node, found = t.nodes[of][id]
		return of, node, found
	}
	return of, int(id), id >= 0 && id < int64(len(t.trees[of]))
}

var nodeModes = map[string]tree.Mode{"LEAF": tree.Leaf, "BRANCH_LEQ": tree.LEQ, "BRANCH_LT": tree.LT, "BRANCH_GTE": tree.GTE,
	"BRANCH_GT": tree.GT, "BRANCH_EQ": tree.EQ, "BRANCH_NEQ": tree.NEQ}

// floatsOr reads numbers from an attribute of floats or, from opset 3, of a tensor.
func (c *compiler) floatsOr(n *nodeProto, name string) ([]float64, error) {
	f, err := n.floats(name)
	if err != nil {
		return nil, err
	}
	if c.version() < 3 {
		return f, nil
	}
	t, err := n.tensor(name + "_as_tensor")
	if err != nil || t == nil {
		return f, err
	}
	if len(f) > 0 && len(t.f) > 0 {
		return nil, fmt.Errorf("%s and %s_as_tensor", name, name)
	}
	if !t.dt.float() {
		return nil, fmt.Errorf("%s_as_tensor of %v", name, t.dt)
	}
	if len(t.f) > 0 {
		return t.f, nil
	}
	return f, nil
}

func (c *compiler) treeNodes(n *nodeProto) (*treeNodes, error) {
	if _, err := c.floatsOr(n, "nodes_hitrates"); err != nil { // of no use here
		return nil, err
	}
	treeIDs, err := n.ints("nodes_treeids")
	if err != nil {
		return nil, err
	}
	count := len(treeIDs)
	if count == 0 {
		return nil, errors.New("no nodes")
	}
	lists := map[string][]int64{}
	for _, name := range []string{"nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"} {
		if lists[name], err = n.ints(name); err != nil {
			return nil, err
		}
		if len(lists[name]) != count {
			return nil, fmt.Errorf("%s has %d values for %d nodes", name, len(lists[name]), count)
		}
	}
	missing, err := n.ints("nodes_missing_value_tracks_true")
	if err != nil {
		return nil, err
	}
	if len(missing) != 0 && len(missing) != count {
		return nil, fmt.Errorf("nodes_missing_value_tracks_true has %d values for %d nodes", len(missing), count)
	}
	modes, err := n.strs("nodes_modes")
	if err != nil {
		return nil, err
	}
	if len(modes) != count {
		return nil, fmt.Errorf("nodes_modes has %d values for %d nodes", len(modes), count)
	}
	values, err := c.floatsOr(n, "nodes_values")
	if err != nil {
		return nil, err
	}
	if len(values) != count {
		return nil, fmt.Errorf("nodes_values has %d values for %d nodes", len(values), count)
	}
	t := &treeNodes{byID: map[int64]int{}}
	ids := lists["nodes_nodeids"]
	for first := 0; first < count; {
		id := treeIDs[first]
		end := first
		inOrder := true
		for end < count && treeIDs[end] == id {
			inOrder = inOrder && ids[end] == int64(end-first)
			end++
		}
		if _, twice := t.byID[id]; twice {
			return nil, fmt.Errorf("tree %d: node %d does not stand with the others", id, ids[first])
		}
		t.byID[id] = len(t.trees)
		var byID map[int64]int
		if !inOrder {
			byID = make(map[int64]int, end-first)
			for k, node := range ids[first:end] {
				if _, twice := byID[node]; twice {
					return nil, fmt.Errorf("tree %d: node %d stands there twice", id, node)
				}
				byID[node] = k
			}
		}
		t.nodes = append(t.nodes, byID)
		t.trees = append(t.trees, make([]tree.Node, end-first))
		nodes := t.trees[len(t.trees)-1]
		for k := range nodes {
			i := first + k
			mode, known := nodeModes[modes[i]]
			if !known {
				return nil, fmt.Errorf("tree %d: node %d is of mode %q", id, ids[i], modes[i])
			}
			node := tree.Node{Mode: mode}
			if mode != tree.Leaf {
				feature := lists["nodes_featureids"][i]
				if feature < 0 || feature > math.MaxInt32 {
					return nil, fmt.Errorf("tree %d: node %d compares feature %d", id, ids[i], feature)
				}
				node.Feature, node.Threshold, node.MissingTrue = int(feature), values[i], len(missing) > 0 && missing[i] == 1
				for _, child := range []struct {
					id   int64
					node *int
				}{{lists["nodes_truenodeids"][i], &node.True}, {lists["nodes_falsenodeids"][i], &node.False}} {
					var found bool
					if _, *child.node, found = t.find(id, child.id); !found {
						return nil, fmt.Errorf("tree %d: node %d has node %d as a child, which is not there", id, ids[i], child.id)
					}
				}
			}
			nodes[k] = node
		}
		first = end
	}
	return t, nil
}

// weigh gives the leaves their values, from attributes that start with prefix ("class", "target").
func (c *compiler) weigh(n *nodeProto, t *treeNodes, prefix string, outputs int) error {
	ids, err := n.ints(prefix + "_ids")
	if err != nil {
		return err
	}
	nodes, err := n.ints(prefix + "_nodeids")
	if err != nil {
		return err
	}
	trees, err := n.ints(prefix + "_treeids")
	if err != nil {
		return err
	}
	weights, err := c.floatsOr(n, prefix+"_weights")
	if err != nil {
		return err
	}
	if len(nodes) != len(ids) || len(trees) != len(ids) || len(weights) != len(ids) {
		return fmt.Errorf("%d %s_ids, %d %s_nodeids, %d %s_treeids, %d %s_weights", len(ids), prefix, len(nodes), prefix, len(trees), prefix,
			len(weights), prefix)
	}
	for i, id := range ids {
		of, at, found := t.find(trees[i], nodes[i])
		if !found {
			return fmt.Errorf("tree %d: %s_nodeids has node %d, which is not there", trees[i], prefix, nodes[i])
		}
		node := &t.trees[of][at]
		if node.Mode != tree.Leaf {
			if weights[i] == 0 {
				continue
			}
			return fmt.Errorf("tree %d: node %d has a value and is no leaf", trees[i], nodes[i])
		}
		if id < 0 || id >= int64(outputs) {
			return fmt.Errorf("tree %d: node %d is of %s %d: there are %d", trees[i], nodes[i], prefix, id, outputs)
		}
		node.Weights = append(node.Weights, tree.Weight{Output: int(id), Value: weights[i]})
	}
	return nil
}

// ensemble is a compiled ensemble at work in a graph.
type ensemble struct {
	*tree.Ensemble
	from   int  // its input
	double bool // which is of double
	room   int  // float32: its input, then its sums
	sums   int  // float64
}

// grow compiles trees for input 0.
func (c *compiler) grow(trees [][]tree.Node, outputs int, zeros bool) (*ensemble, error) {
	from, t, err := c.numbers()
	if err != nil {
		return nil, err
	}
	width, err := row(t)
	if err != nil {
		return nil, err
	}
	if err := c.charge(width + 2*outputs); err != nil {
		return nil, err
	}
	e := &ensemble{from: from, double: t.dt == doubleType}
	e.Ensemble, err = tree.Compile(tree.Spec{Features: width, Outputs: outputs, Trees: trees, Double: e.double, Zeros: zeros})
	if err != nil {
		return nil, err
	}
	room := tensor{dt: rawType, dims: []int{width + outputs}}
	room.alloc()
	e.room, _ = c.add("", room, false)
	e.sums, err = c.scratch(outputs)
	return e, err
}

// sum returns the sums of the leaves that the input reaches, computed as its type has it.
func (e *ensemble) sum(v []tensor) []float64 {
	s := v[e.sums].f
	if e.double {
		clear(s)
		e.Sum64(v[e.from].f, s)
		return s
	}
	x, sums := e.input(v)
	clear(sums)
	e.Sum32(x, sums)
	for k, v := range sums {
		s[k] = float64(v)
	}
	return s
}

// fold is sum for other aggregates, and says which outputs were reached.
func (e *ensemble) fold(v []tensor, a tree.Aggregate, reached []bool) []float64 {
	s := v[e.sums].f
	if e.double {
		e.Fold64(a, v[e.from].f, s, reached)
		return s
	}
	x, sums := e.input(v)
	e.Fold32(a, x, sums, reached)
	for k, v := range sums {
		s[k] = float64(v)
	}
	return s
}

func (e *ensemble) input(v []tensor) (x, sums []float32) {
	in, r := &v[e.from], v[e.room].r
	x, sums = r[:e.Features()], r[e.Features():]
	if in.f != nil {
		for k, v := range in.f[:len(x)] {
			x[k] = float32(v)
		}
	} else {
		for k, v := range in.i[:len(x)] {
			x[k] = float32(v)
		}
	}
	return x, sums
}

// round rounds as sums are.
func (e *ensemble) round(v float64) float64 {
	if e.double {
		return v
	}
	return float64(float32(v))
}

// reachable returns room for which outputs were reached, and whether that differs from vector to vector. It is the program's: a
// step must not keep it.
func (e *ensemble) reachable() (reached []bool, varies bool) {
	reached = make([]bool, e.Outputs())
	for o := range reached {
		reached[o] = e.Always(o)
		varies = varies || !e.Always(o) && !e.Never(o)
	}
	return reached, varies
}

// maxOutputs is how many classes or targets trees may have.
const maxOutputs = 1 << 16

func treeClassifier(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 2); err != nil {
		return err
	}
	t, err := c.treeNodes(n)
	if err != nil {
		return err
	}
	labels, err := classLabels(n, "classlabels_strings", "classlabels_int64s")
	if err != nil {
		return err
	}
	classes := labels.len()
	if classes < 2 || classes > maxOutputs {
		return fmt.Errorf("%d classes", classes)
	}
	if err := c.weigh(n, t, "class", classes); err != nil {
		return err
	}
	base, err := c.floatsOr(n, "base_values")
	if err != nil {
		return err
	}
	if len(base) != 0 && len(base) != classes && (classes != 2 || len(base) != 1) {
		return fmt.Errorf("base_values has %d values for %d classes", len(base), classes)
	}
	transform, err := postTransform(n)
	if err != nil {
		return err
	}
	e, err := c.grow(t.trees, classes, false)
	if err != nil {
		return err
	}
	label, err := c.label(labels)
	if err != nil {
		return err
	}
	to, err := c.out(1, float32Type, []int{1, classes})
	if err != nil {
		return err
	}
	fixed, varies := e.reachable()
	var flags int
	if varies {
		if flags, err = c.flags(classes); err != nil {
			return err
		}
	}
	f := finisher{e: e, base: base, transform: transform, binary: classes == 2 && e.Never(0) != e.Never(1), positive: e.Least() >= 0}
	finish := f.two
	if classes > 2 {
		finish = f.many
	}
	c.step(func(v []tensor) error {
		reached := fixed
		var s []float64
		if varies {
			reached = v[flags].b
			s = e.fold(v, tree.Sum, reached)
		} else {
			s = e.sum(v)
		}
		if slices.ContainsFunc(s, isNaN) {
			return ErrNaN
		}
		class := finish(s, reached, v[to].f)
		v[label].setLabel(labels, class)
		return nil
	})
	return nil
}

// flags makes room for booleans that only one node uses.
func (c *compiler) flags(n int) (int, error) {
	t := tensor{dt: flagType, dims: []int{n}}
	t.alloc()
	return c.add("", t, false)
}

// finisher makes scores and a class of the sums of a classifier's trees. What two classes mean when only one of them has values,
// and when both have, is onnxruntime's (tree_ensemble_aggregator.h): the page of the operator does not say.
type finisher struct {
	e         *ensemble
	base      []float64
	transform transform
	binary    bool // of two classes one has values
	positive  bool // all values are at least 0
}

// many is for more than two classes: the first of the greatest.
func (f *finisher) many(s []float64, reached []bool, y []float64) (class int) {
	class = -1
	for k := range y {
		has := reached[k]
		y[k] = s[k]
		if f.base != nil {
			y[k] = f.e.round(s[k] + f.base[k])
			has = true
		}
		if has && (class < 0 || y[k] > y[class]) {
			class = k
		}
	}
	f.transform.apply(y)
	return max(class, 0)
}

// two is for two classes, which are told by the score of the second alone, or of the only one that has values.
func (f *finisher) two(s []float64, reached []bool, y []float64) (class int) {
	s0, s1 := s[0], s[1]
	single := !reached[1] // then s0 is the score of the second class
	mixed := false        // a single score is of either sign
	switch len(f.base) {
	case 2:
		if reached[1] {
			s1 = f.e.round(f.base[1] + s0)
			s0 = -s1
		} else {
			s1 = f.e.round(s1 + f.base[1])
			s0 = f.e.round(s0 + f.base[0])
		}
		single = false
	case 1:
		s0 = f.e.round(s0 + f.base[0])
	default:
		mixed = true
	}
	score := s0
	if reached[1] {
		score = s1
	}
	share := false // a single score is a share of 1
	switch {
	case f.binary && f.positive:
		class = int(truth(score > 0.5))
		share = true
	case f.binary:
		class = int(truth(score > 0))
		mixed = true
	default:
		class = int(truth(score > 0))
	}
	switch {
	case !single:
		y[0], y[1] = 0, 0 // a class that no leaf has a value for has no base value either
		if reached[0] {
			y[0] = s0
		}
		if reached[1] {
			y[1] = s1
		}
		f.transform.apply(y)
	case f.transform == probit:
		y[0], y[1] = s0, 0
		f.transform.apply(y[:1])
	case share:
		y[0], y[1] = f.e.round(1-s0), s0
	case mixed && f.transform == logistic:
		y[0], y[1] = sigmoid(-s0), sigmoid(s0)
	case mixed:
		y[0], y[1] = -s0, s0
	default:
		y[0], y[1] = s0, 0
	}
	y[0], y[1] = float64(float32(y[0])), float64(float32(y[1]))
	return class
}

var aggregates = []string{"AVERAGE", "SUM", "MIN", "MAX"}

func treeRegressor(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 1); err != nil {
		return err
	}
	t, err := c.treeNodes(n)
	if err != nil {
		return err
	}
	targets, err := n.int("n_targets", 0)
	if err != nil {
		return err
	}
	if targets < 1 || targets > maxOutputs {
		return fmt.Errorf("n_targets is %d", targets)
	}
	if err := c.weigh(n, t, "target", int(targets)); err != nil {
		return err
	}
	base, err := c.floatsOr(n, "base_values")
	if err != nil {
		return err
	}
	transform, err := postTransform(n)
	if err != nil {
		return err
	}
	name, err := n.str("aggregate_function", "SUM")
	if err != nil {
		return err
	}
	aggregate := slices.Index(aggregates, name)
	if aggregate < 0 {
		return fmt.Errorf("aggregate_function %q", name)
	}
	return c.regressor(t.trees, int(targets), base, aggregate, transform, float32Type)
}

// regressor makes output 0 of what the trees say.
func (c *compiler) regressor(trees [][]tree.Node, targets int, base []float64, aggregate int, transform transform, dt dtype) error {
	if len(base) != 0 && len(base) != targets {
		return fmt.Errorf("base_values has %d values for %d targets", len(base), targets)
	}
	e, err := c.grow(trees, targets, aggregate > 1)
	if err != nil {
		return err
	}
	to, err := c.out(0, dt, []int{1, targets})
	if err != nil {
		return err
	}
	fixed, varies := e.reachable()
	flags := 0
	if aggregate > 1 || varies {
		if flags, err = c.flags(targets); err != nil {
			return err
		}
	}
	count := float64(e.Trees())
	c.step(func(v []tensor) error {
		var s []float64
		reached := v[flags].b
		switch {
		case aggregate == 2:
			s = e.fold(v, tree.Least, reached)
		case aggregate == 3:
			s = e.fold(v, tree.Greatest, reached)
		case varies:
			s = e.fold(v, tree.Sum, reached)
		default:
			s, reached = e.sum(v), fixed
		}
		y := v[to].f
		for k, score := range s {
			if aggregate == 0 {
				score = e.round(score / count)
			}
			if base != nil && (reached[k] || len(y) == 1) { // without a value there is no base value either, as in onnxruntime
				score = e.round(score + base[k])
			}
			y[k] = score
		}
		if len(y) > 1 || transform == probit { // a single target is left as it is, as onnxruntime does
			transform.apply(y)
		}
		for k := range y {
			y[k] = dt.round(y[k])
		}
		return nil
	})
	return nil
}

// treeEnsemble is the operator of opset 5, which has inner nodes and leaves in lists of their own.
func treeEnsemble(c *compiler, n *nodeProto) error {
	_, in, err := c.one()
	if err != nil {
		return err
	}
	if !in.dt.float() {
		return errNotFloat
	}
	lists := map[string][]int64{}
	for _, name := range []string{"tree_roots", "nodes_featureids", "nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids",
		"nodes_falseleafs", "nodes_missing_value_tracks_true", "leaf_targetids"} {
		if lists[name], err = n.ints(name); err != nil {
			return err
		}
	}
	tensors := map[string]*tensorProto{}
	for _, name := range []string{"nodes_splits", "nodes_modes", "nodes_hitrates", "leaf_weights", "membership_values"} {
		if tensors[name], err = n.tensor(name); err != nil {
			return err
		}
		if t := tensors[name]; t != nil && name != "nodes_modes" && t.dt != in.dt {
			return fmt.Errorf("%s is of %v, the input of %v", name, t.dt, in.dt)
		}
	}
	splits, modes, weights := tensors["nodes_splits"], tensors["nodes_modes"], tensors["leaf_weights"]
	if splits == nil || modes == nil || weights == nil || !modes.dt.whole() {
		return errors.New("nodes_splits, nodes_modes or leaf_weights is missing")
	}
	count, leaves := len(modes.i), len(weights.f)
	for name, l := range map[string]int{"nodes_splits": len(splits.f), "nodes_featureids": len(lists["nodes_featureids"]),
		"nodes_truenodeids": len(lists["nodes_truenodeids"]), "nodes_trueleafs": len(lists["nodes_trueleafs"]),
		"nodes_falsenodeids": len(lists["nodes_falsenodeids"]), "nodes_falseleafs": len(lists["nodes_falseleafs"])} {
		if l != count {
			return fmt.Errorf("%s has %d values for %d nodes", name, l, count)
		}
	}
	missing := lists["nodes_missing_value_tracks_true"]
	if len(missing) != 0 && len(missing) != count {
		return fmt.Errorf("nodes_missing_value_tracks_true has %d values for %d nodes", len(missing), count)
	}
	if len(lists["leaf_targetids"]) != leaves {
		return fmt.Errorf("leaf_targetids has %d values for %d leaves", len(lists["leaf_targetids"]), leaves)
	}
	targets, err := n.int("n_targets", 0)
	if err != nil {
		return err
	}
	if targets < 1 || targets > maxOutputs {
		return fmt.Errorf("n_targets is %d", targets)
	}
	aggregate, err := n.int("aggregate_function", 1)
	if err != nil {
		return err
	}
	if aggregate < 0 || int(aggregate) >= len(aggregates) {
		return fmt.Errorf("aggregate_function %d", aggregate)
	}
	post, err := n.int("post_transform", 0)
	if err != nil {
		return err
	}
	order := []transform{none, logistic, softmax, softmaxZero, probit} // onnxruntime's order; the page has SOFTMAX before LOGISTIC
	if post < 0 || int(post) >= len(order) {
		return fmt.Errorf("post_transform %d", post)
	}
	members := make([][]float64, count)
	rest := []float64(nil)
	if m := tensors["membership_values"]; m != nil {
		rest = m.f
	}
	for i, mode := range modes.i {
		if mode != 6 {
			continue
		}
		end := slices.IndexFunc(rest, func(v float64) bool { return v != v })
		if end < 0 {
			end = len(rest)
		}
		members[i] = rest[:end]
		rest = rest[min(end+1, len(rest)):]
	}
	kinds := []tree.Mode{tree.LEQ, tree.LT, tree.GTE, tree.GT, tree.EQ, tree.NEQ, tree.Member}
	if n := len(lists["tree_roots"]); n > tree.MaxTrees {
		return fmt.Errorf("%d trees: at most %d", n, tree.MaxTrees)
	}
	taken := make([]bool, count)
	var trees [][]tree.Node
	for t, root := range lists["tree_roots"] {
		var nodes []tree.Node
		leaf := func(i int64) (tree.Node, error) {
			if i < 0 || i >= int64(leaves) {
				return tree.Node{}, fmt.Errorf("tree %d: leaf %d is not there: there are %d", t, i, leaves)
			}
			target := lists["leaf_targetids"][i]
			if target < 0 || target >= targets {
				return tree.Node{}, fmt.Errorf("tree %d: leaf %d is of target %d: there are %d", t, i, target, targets)
			}
			return tree.Node{Mode: tree.Leaf, Weights: []tree.Weight{{Output: int(target), Value: weights.f[i]}}}, nil
		}
		if root < 0 || root >= int64(count) {
			return fmt.Errorf("tree %d: its root is node %d: there are %d", t, root, count)
		}
		if lists["nodes_trueleafs"][root] != 0 && lists["nodes_falseleafs"][root] != 0 &&
			lists["nodes_truenodeids"][root] == lists["nodes_falsenodeids"][root] { // a tree of one leaf
			l, err := leaf(lists["nodes_truenodeids"][root])
			if err != nil {
				return err
			}
			trees = append(trees, []tree.Node{l})
			continue
		}
		type at struct {
			inner int64
			node  int
		}
		nodes = append(nodes, tree.Node{})
		for stack := []at{{root, 0}}; len(stack) > 0; {
			a := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if a.inner < 0 || a.inner >= int64(count) {
				return fmt.Errorf("tree %d: node %d is not there: there are %d", t, a.inner, count)
			}
			if taken[a.inner] {
				return fmt.Errorf("tree %d: node %d is reached twice: a cycle, or a child of two", t, a.inner)
			}
			taken[a.inner] = true
			mode := modes.i[a.inner]
			if mode < 0 || int(mode) >= len(kinds) {
				return fmt.Errorf("tree %d: node %d is of mode %d", t, a.inner, mode)
			}
			feature := lists["nodes_featureids"][a.inner]
			if feature < 0 || feature > math.MaxInt32 {
				return fmt.Errorf("tree %d: node %d compares feature %d", t, a.inner, feature)
			}
			node := tree.Node{Mode: kinds[mode], Feature: int(feature), Threshold: splits.f[a.inner], Members: members[a.inner],
				MissingTrue: len(missing) > 0 && missing[a.inner] != 0, True: len(nodes), False: len(nodes) + 1}
			for _, child := range []struct {
				is   int64
				leaf int64
			}{{lists["nodes_truenodeids"][a.inner], lists["nodes_trueleafs"][a.inner]},
				{lists["nodes_falsenodeids"][a.inner], lists["nodes_falseleafs"][a.inner]}} {
				var l tree.Node
				if child.leaf != 0 {
					if l, err = leaf(child.is); err != nil {
						return err
					}
				} else {
					stack = append(stack, at{child.is, len(nodes)})
				}
				nodes = append(nodes, l)
			}
			nodes[a.node] = node
		}
		trees = append(trees, nodes)
	}
	if i := slices.Index(taken, false); i >= 0 && len(trees) > 0 {
		alone := false // the node of a tree of one leaf
		for _, root := range lists["tree_roots"] {
			alone = alone || root == int64(i)
		}
		if !alone {
			return fmt.Errorf("node %d is in no tree", i)
		}
	}
	return c.regressor(trees, int(targets), nil, int(aggregate), order[post], in.dt)
}
