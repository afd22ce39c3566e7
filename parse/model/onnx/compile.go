package onnx

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"
)

// step does a node's work on the values of a clone.
type step func(v []tensor) error

// program is a graph for one vector at a time: every shape is known, every value has its room.
type program struct {
	values []tensor
	fixed  []bool // the value does not depend on the vector: clones share it
	alias  []int  // the value has its room in common with another, -1: its own
	steps  []step
}

// state returns the values for another goroutine.
func (p *program) state() []tensor {
	v := make([]tensor, len(p.values))
	for i, t := range p.values {
		v[i] = t
		switch {
		case p.fixed[i]:
		case p.alias[i] >= 0:
			a := &v[p.alias[i]]
			v[i].f, v[i].i, v[i].s = a.f, a.i, a.s
		default:
			v[i].alloc()
		}
	}
	return v
}

// maxValues is how many numbers a value may hold that is not the file's own, and a program in all, beside twice as many as the
// file holds.
const maxValues = 1 << 22

// domain is what labels there can be.
type domain struct {
	whole bool
	ints  []int64
	strs  []string
}

func (d *domain) len() int { return max(len(d.ints), len(d.strs)) }

// names returns the labels as text.
func (d *domain) names() []string {
	if !d.whole {
		return d.strs
	}
	names := make([]string, len(d.ints))
	for i, v := range d.ints {
		names[i] = fmt.Sprint(v)
	}
	return names
}

type compiler struct {
	program
	names   map[string]int
	domains map[int]*domain // labels
	maps    map[int]*domain // values that are ZipMap's: the names of their columns
	opsets  map[string]int64
	room    int        // numbers held so far
	most    int        // that may be held
	work    int64      // multiplications and moves, of a vector and done once
	n       *nodeProto // being compiled
}

// operator is what this package does for an operator of ONNX, from and up to which version of its domain's operator set.
type operator struct {
	since, until int64
	compile      func(c *compiler, n *nodeProto) error
}

func domainName(d string) string {
	if d == "" {
		return "ai.onnx"
	}
	return d
}

// newest are the operator sets that the operators here were held against.
var newest = map[string]int64{"": 25, mlDomain: 5}

const mlDomain = "ai.onnx.ml"

// UnsupportedError says which operators of a file are not known here.
type UnsupportedError struct {
	Operators []string // as "DOMAIN NAME, opset VERSION", each once, sorted
}

func (e *UnsupportedError) Error() string {
	return "operators that this version does not know: " + strings.Join(e.Operators, "; ") +
		" (export to others, or run the model in Python with 'validate --python')"
}

// unsupported lists what the nodes ask for that is not there.
func unsupported(nodes []*nodeProto, opsets map[string]int64, found map[string]bool) {
	for _, n := range nodes {
		version, imported := opsets[n.domain]
		o, known := operators[n.domain+" "+n.op]
		switch {
		case !imported && known:
			found[fmt.Sprintf("%s %s, whose operator set the file does not import", domainName(n.domain), n.op)] = true
		case !known || version < o.since || version > o.until:
			found[fmt.Sprintf("%s %s, opset %d", domainName(n.domain), n.op, version)] = true
		}
		for _, a := range n.attrs {
			if a.g != nil {
				unsupported(a.g.nodes, opsets, found)
			}
		}
	}
}

func newCompiler(opsets []opset) (*compiler, error) {
	c := &compiler{names: map[string]int{}, domains: map[int]*domain{}, maps: map[int]*domain{}, opsets: map[string]int64{}, most: maxValues}
	for _, o := range opsets {
		d := o.domain
		if d == "ai.onnx" {
			d = ""
		}
		if v, twice := c.opsets[d]; twice && v != o.version {
			return nil, fmt.Errorf("operator set %s imported as %d and as %d", domainName(d), v, o.version)
		}
		c.opsets[d] = o.version
	}
	return c, nil
}

// checkOperators returns an *UnsupportedError that lists all at once.
func (c *compiler) checkOperators(g *graphProto) error {
	found := map[string]bool{}
	unsupported(g.nodes, c.opsets, found)
	if len(found) == 0 {
		return nil
	}
	return &UnsupportedError{Operators: slices.Sorted(maps.Keys(found))}
}

// add makes a value of a name. Without a name it cannot be referred to.
func (c *compiler) add(name string, t tensor, fixed bool) (int, error) {
	i := len(c.values)
	if name != "" {
		if _, twice := c.names[name]; twice {
			return 0, fmt.Errorf("value %q is made twice", name)
		}
		c.names[name] = i
	}
	c.values = append(c.values, t)
	c.fixed = append(c.fixed, fixed)
	c.alias = append(c.alias, -1)
	return i, nil
}

// charge counts room for so many numbers. A dim of 0 counts as 1: an operator may make room for the others alone.
func (c *compiler) charge(dims ...int) error {
	n, ok := extent(dims, c.most)
	if !ok {
		return fmt.Errorf("a tensor of dims %v: more than %d numbers", dims, c.most)
	}
	if n > c.most-c.room {
		return fmt.Errorf("more than %d numbers between the nodes", c.most)
	}
	c.room += n
	return nil
}

// chargeBoth is charge for what two dims are broadcast to.
func (c *compiler) chargeBoth(a, b []int) error {
	dims := make([]int, max(len(a), len(b)))
	for k := range dims {
		dims[k] = 1
		if j := k - (len(dims) - len(a)); j >= 0 {
			dims[k] = max(dims[k], a[j])
		}
		if j := k - (len(dims) - len(b)); j >= 0 {
			dims[k] = max(dims[k], b[j])
		}
	}
	return c.charge(dims...)
}

// extent returns the product of dims, a 0 among them as 1; not ok above most, or for a dim below 0.
func extent(dims []int, most int) (n int, ok bool) {
	n = 1
	for _, d := range dims {
		if d < 0 || d > 0 && n > most/d {
			return 0, false
		}
		n *= max(d, 1)
	}
	return n, n <= most
}

// maxWork is how many multiplications and moves of numbers a vector may take, with what is done once: about a second of a PC.
const maxWork = 1 << 30

// toil counts work.
func (c *compiler) toil(factors ...int) {
	n := int64(1)
	for _, f := range factors {
		n = min(n, maxWork) * int64(min(max(f, 1), maxWork))
	}
	c.work += min(n, maxWork+1)
}

// initializers makes values of a graph's.
func (c *compiler) initializers(g *graphProto) error {
	for _, t := range g.initializers {
		if _, err := c.add(t.name, t.tensor, true); err != nil {
			return err
		}
		c.most += 2 * min(t.size(), (math.MaxInt32-c.most)/2)
	}
	return nil
}

// nodes compiles nodes in their order.
func (c *compiler) nodes(nodes []*nodeProto) error {
	for _, n := range nodes {
		if err := c.node(n); err != nil {
			name := ""
			if n.name != "" {
				name = fmt.Sprintf(" (%q)", n.name)
			}
			return fmt.Errorf("node %d, %s%s: %w", n.at, n.op, name, err)
		}
	}
	return nil
}

func (c *compiler) node(n *nodeProto) error {
	fixed := true
	for _, name := range n.inputs {
		if name == "" {
			continue
		}
		i, made := c.names[name]
		if !made {
			return fmt.Errorf("takes value %q, which nothing before it makes", name)
		}
		if c.maps[i] != nil {
			return fmt.Errorf("takes value %q, which is a map", name)
		}
		fixed = fixed && c.fixed[i]
	}
	values, steps := len(c.values), len(c.steps)
	c.n = n
	if err := operators[n.domain+" "+n.op].compile(c, n); err != nil {
		return err
	}
	var unknown []string
	for name := range n.attrs {
		if !n.used[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return fmt.Errorf("attributes that it does not have: %s", strings.Join(unknown, ", "))
	}
	for k := range n.inputs {
		if c.has(k) {
			c.toil(c.values[c.names[n.inputs[k]]].size())
		}
	}
	for _, t := range c.values[values:] {
		c.toil(t.size())
	}
	if c.work > maxWork {
		return fmt.Errorf("more than %d multiplications a vector: too slow for live traffic", maxWork)
	}
	if fixed { // its work is done now, once
		for _, s := range c.steps[steps:] {
			if err := s(c.values); err != nil {
				return err
			}
		}
		c.steps = c.steps[:steps]
		for i := values; i < len(c.values); i++ {
			c.fixed[i] = true
		}
	}
	return nil
}

// in returns the k-th input's value: which it is, its type and dims. It must be there.
func (c *compiler) in(k int) (int, tensor, error) {
	if k >= len(c.n.inputs) || c.n.inputs[k] == "" {
		return -1, tensor{}, fmt.Errorf("input %d is missing", k)
	}
	i := c.names[c.n.inputs[k]]
	return i, c.values[i], nil
}

// has reports whether the k-th input is there.
func (c *compiler) has(k int) bool { return k < len(c.n.inputs) && c.n.inputs[k] != "" }

// arity checks how many inputs and outputs there are.
func (c *compiler) arity(least, most, outputs int) error {
	if n := len(c.n.inputs); n < least || n > most {
		return fmt.Errorf("%d inputs", n)
	}
	if n := len(c.n.outputs); n < 1 || n > outputs {
		return fmt.Errorf("%d outputs", n)
	}
	return nil
}

// one is in for an operator of one input and one output.
func (c *compiler) one() (int, tensor, error) {
	if err := c.arity(1, 1, 1); err != nil {
		return 0, tensor{}, err
	}
	return c.in(0)
}

// out makes the k-th output.
func (c *compiler) out(k int, dt dtype, dims []int) (int, error) {
	if err := c.charge(dims...); err != nil {
		return 0, err
	}
	t := tensor{dt: dt, dims: slices.Clone(dims)}
	t.alloc()
	name := ""
	if k < len(c.n.outputs) {
		name = c.n.outputs[k]
	}
	return c.add(name, t, false)
}

// same makes the k-th output another view of a value.
func (c *compiler) same(k, of int, dims []int) (int, error) {
	if _, ok := extent(dims, max(maxValues, size(dims))); !ok {
		return 0, fmt.Errorf("dims %v", dims)
	}
	t := c.values[of]
	t.dims = slices.Clone(dims)
	name := ""
	if k < len(c.n.outputs) {
		name = c.n.outputs[k]
	}
	i, err := c.add(name, t, false)
	if err != nil {
		return 0, err
	}
	if c.alias[i] = c.alias[of]; c.alias[i] < 0 {
		c.alias[i] = of
	}
	c.fixed[i] = c.fixed[of]
	if d := c.domains[of]; d != nil {
		c.domains[i] = d
	}
	return i, nil
}

func (c *compiler) step(s step) { c.steps = append(c.steps, s) }

// constant returns the k-th input, which must not depend on the vector.
func (c *compiler) constant(k int) (tensor, error) {
	i, t, err := c.in(k)
	if err != nil {
		return t, err
	}
	if !c.fixed[i] {
		return t, fmt.Errorf("input %d (%q) is not constant", k, c.n.inputs[k])
	}
	return t, nil
}

// constantInts is constant for whole numbers.
func (c *compiler) constantInts(k int) ([]int64, error) {
	t, err := c.constant(k)
	if err != nil {
		return nil, err
	}
	if t.dt != int64Type && t.dt != int32Type {
		return nil, fmt.Errorf("input %d is of %v", k, t.dt)
	}
	return t.i, nil
}

// version returns the operator set of the node's domain.
func (c *compiler) version() int64 { return c.opsets[c.n.domain] }

// axis returns an axis of rank, counted from the end if below 0.
func axis(a int64, rank int) (int, error) {
	if a < -int64(rank) || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d of %d", a, rank)
	}
	if a < 0 {
		a += int64(rank)
	}
	return int(a), nil
}

// attr returns an attribute, nil if it is not there, and notes that the operator has it. The methods below are for one kind each.
func (n *nodeProto) attr(name string, kind int64) (*attrProto, error) {
	n.used[name] = true
	a := n.attrs[name]
	if a == nil {
		return nil, nil
	}
	if a.kind != 0 && a.kind != kind {
		return nil, fmt.Errorf("attribute %s is of another kind than the operator has (%d, not %d)", name, a.kind, kind)
	}
	return a, nil
}

func (n *nodeProto) int(name string, otherwise int64) (int64, error) {
	a, err := n.attr(name, 2)
	if a == nil {
		return otherwise, err
	}
	return a.i, nil
}

func (n *nodeProto) float(name string, otherwise float64) (float64, error) {
	a, err := n.attr(name, 1)
	if a == nil {
		return otherwise, err
	}
	return float64(a.f), nil
}

func (n *nodeProto) str(name, otherwise string) (string, error) {
	a, err := n.attr(name, 3)
	if a == nil {
		return otherwise, err
	}
	return a.s, nil
}

func (n *nodeProto) ints(name string) ([]int64, error) {
	a, err := n.attr(name, 7)
	if a == nil {
		return nil, err
	}
	return a.ints, nil
}

func (n *nodeProto) floats(name string) ([]float64, error) {
	a, err := n.attr(name, 6)
	if a == nil {
		return nil, err
	}
	f := make([]float64, len(a.floats))
	for i, v := range a.floats {
		f[i] = float64(v)
	}
	return f, nil
}

func (n *nodeProto) strs(name string) ([]string, error) {
	a, err := n.attr(name, 8)
	if a == nil {
		return nil, err
	}
	return a.strings, nil
}

func (n *nodeProto) tensor(name string) (*tensorProto, error) {
	a, err := n.attr(name, 4)
	if a == nil {
		return nil, err
	}
	if a.t == nil {
		return nil, fmt.Errorf("attribute %s is empty", name)
	}
	return a.t, nil
}

func (n *nodeProto) graph(name string) (*graphProto, error) {
	a, err := n.attr(name, 5)
	if err != nil {
		return nil, err
	}
	if a == nil || a.g == nil {
		return nil, fmt.Errorf("attribute %s is missing", name)
	}
	return a.g, nil
}

var errNotFloat = errors.New("takes numbers with a fraction (float, double)")
