// Package onnx reads classifiers from ONNX files (https://onnx.ai), evaluates them, and writes small ones.
//
// A file is compiled by Read for one vector at a time: shapes are resolved, what does not depend on the vector is computed once,
// every value has its room, and Predict runs the nodes without allocating. Results are those of onnxruntime's CPU provider: on the
// fixtures the same labels, and probabilities within 2e-6 (of naive Bayes, whose likelihoods cancel in float32, within 1e-4).
// Trees compare as its do, in float32 or, where the input is double, float64.
package onnx

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// MaxSize is the largest file that Read takes, in octets.
const MaxSize = 256 << 20

// maxWidth is how many columns a model may take.
const maxWidth = 1 << 16

// ErrNaN is what Predict returns for a vector whose scores come out as NaN: there is no class then. Values near the ends of
// float32's range do that, among them those that stand in for infinity.
var ErrNaN = errors.New("the model's scores of this vector are NaN, which says nothing of its class")

func isNaN(v float64) bool { return v != v }

// Metadata keys that name columns and classes, joined by commas. WriteLinearClassifier sets them.
const (
	columnsKey = "columns"
	classesKey = "classes"
)

// Model is a classifier that Read made. It belongs to one goroutine.
type Model struct {
	p       *program
	v       []tensor
	columns []string
	classes []string
	width   int
	feeds   []feed
	label   int   // the value that is the label, -1: none
	scores  []int // values: one of all scores, or one a class; none
	half    bool  // a single score is the probability of the second of two classes
	raw     bool  // a single score speaks for the second of two classes if above 0
	byInt   map[int64]int
	byName  map[string]int
	sure    bool // scores are probabilities
	slow    bool // a vector takes long: few are tried
}

// feed says which values of a vector an input takes.
type feed struct{ value, from, count int }

// Read compiles a model. data is not kept. An error says what is wrong, and where; an *UnsupportedError lists operators that are
// not known.
//
// Inputs are one of dims [N, width], or one of dims [N, 1] for each column, whose name it then has; of float, double, int64 or
// int32. Outputs are found by what they are: a label (string or whole number), and scores: a matrix or a ZipMap with a column a
// class, or an output a class. Without scores there are those of 0 and 1; without a label the class is the first with the
// greatest score, or, of a single score, the second class if it is above 0.5: then such scores must be between 0 and 1 for
// made-up vectors. Several labels a vector, and outputs that do not depend on it, are refused. The metadata key "classes" names
// the classes: whole labels in their order, columns of scores in theirs.
func Read(data []byte) (*Model, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("ONNX: more than %d MiB", MaxSize>>20)
	}
	p, err := readModel(data)
	if err != nil {
		return nil, fmt.Errorf("ONNX: %w", err)
	}
	m, err := compile(p)
	if err != nil {
		return nil, fmt.Errorf("ONNX: %w", err)
	}
	return m, nil
}

func compile(p *modelProto) (*Model, error) {
	c, err := newCompiler(p.opsets)
	if err != nil {
		return nil, err
	}
	if err := c.checkOperators(p.graph); err != nil {
		return nil, err
	}
	if err := c.initializers(p.graph); err != nil {
		return nil, err
	}
	m := &Model{label: -1}
	if err := m.inputs(c, p); err != nil {
		return nil, err
	}
	if err := c.nodes(p.graph.nodes); err != nil {
		return nil, err
	}
	if err := m.outputs(c, p); err != nil {
		return nil, err
	}
	m.p = new(program)
	*m.p = c.program // the compiler, with the file's own lists, is let go
	m.v, m.slow = m.p.state(), c.work > maxWork/64
	if err := m.try(); err != nil {
		return nil, err
	}
	return m, nil
}

// inputs makes values of the graph's inputs that are not initializers.
func (m *Model) inputs(c *compiler, p *modelProto) error {
	var names []string
	single := true
	for _, in := range p.graph.inputs {
		if _, made := c.names[in.name]; made { // older files list initializers among the inputs
			continue
		}
		if !in.tensor || !in.elem.float() && in.elem != int64Type && in.elem != int32Type {
			return fmt.Errorf("input %q is of %v: a tensor of float, double, int64 or int32 is wanted", in.name, in.elem)
		}
		width := -1
		dims := []int{1, 0}
		switch {
		case !in.shaped, len(in.dims) == 2 && in.dims[1] < 0:
		case len(in.dims) == 2:
			if in.dims[0] > 1 {
				return fmt.Errorf("input %q takes %d vectors at once: export it for any number", in.name, in.dims[0])
			}
			width = int(min(in.dims[1], math.MaxInt32))
		case len(in.dims) == 1 && in.dims[0] > 1:
			width, dims = int(min(in.dims[0], math.MaxInt32)), []int{0}
		default:
			return fmt.Errorf("input %q has dims %v: a vector is wanted", in.name, in.dims)
		}
		if width < 0 {
			if width = guessWidth(c, p, in.name); width < 0 {
				return fmt.Errorf("input %q: the file does not say how many columns it has", in.name)
			}
		}
		if width < 1 || width > maxWidth-m.width {
			return fmt.Errorf("input %q has dims %v: from 1 to %d columns are taken", in.name, in.dims, maxWidth)
		}
		dims[len(dims)-1] = width
		if err := c.charge(dims...); err != nil {
			return fmt.Errorf("input %q: %w", in.name, err)
		}
		t := tensor{dt: in.elem, dims: dims}
		t.alloc()
		i, err := c.add(in.name, t, false)
		if err != nil {
			return err
		}
		m.feeds = append(m.feeds, feed{i, m.width, width})
		m.width += width
		single = single && width == 1
		names = append(names, in.name)
	}
	if m.width == 0 {
		return errors.New("no input")
	}
	if listed, given := p.metadata[columnsKey]; given {
		m.columns = strings.Split(listed, ",")
		if len(m.columns) != m.width {
			return fmt.Errorf("its metadata name %d columns, and it takes %d", len(m.columns), m.width)
		}
		return nil
	}
	switch {
	case single && len(names) > 1:
		m.columns = names
	case len(names) > 1:
		return errors.New("several inputs of several columns each, and no metadata \"columns\" that name them")
	}
	return nil
}

// guessWidth finds how many columns an input has from the first nodes that take it, -1 if they do not say.
func guessWidth(c *compiler, p *modelProto, name string) int {
	if listed, given := p.metadata[columnsKey]; given && len(p.graph.inputs)-len(p.graph.initializers) <= 1 {
		return strings.Count(listed, ",") + 1
	}
	names := map[string]bool{name: true}
	for _, n := range p.graph.nodes {
		if len(n.inputs) == 0 || !names[n.inputs[0]] {
			continue
		}
		weights := tensor{}
		if len(n.inputs) > 1 {
			if i, made := c.names[n.inputs[1]]; made && c.fixed[i] {
				weights = c.values[i]
			}
		}
		floats := func(attr string) int {
			if a := n.attrs[attr]; a != nil {
				return len(a.floats)
			}
			return 0
		}
		switch n.op {
		case "Scaler":
			if w := floats("scale"); w > 1 {
				return w
			}
		case "LinearClassifier":
			if o := floats("intercepts"); o > 0 {
				return floats("coefficients") / o
			}
		case "MatMul":
			if len(weights.dims) == 2 {
				return weights.dims[0]
			}
		case "Gemm":
			if len(weights.dims) == 2 {
				if a := n.attrs["transB"]; a != nil && a.i != 0 {
					return weights.dims[1]
				}
				return weights.dims[0]
			}
		case "Add", "Sub", "Mul", "Div":
			if w := weights.size(); len(weights.dims) > 0 && w > 1 {
				return weights.dims[len(weights.dims)-1]
			}
		case "Cast", "Identity", "Normalizer", "Imputer", "Binarizer", "Relu":
		default:
			continue
		}
		for _, out := range n.outputs {
			names[out] = true
		}
	}
	return -1
}

// outputs finds the label, the scores and the names of the classes.
func (m *Model) outputs(c *compiler, p *modelProto) error {
	if len(p.graph.outputs) == 0 {
		return errors.New("no output")
	}
	var missing []string
	for _, out := range p.graph.outputs {
		if _, made := c.names[out.name]; !made {
			missing = append(missing, fmt.Sprintf("%q", out.name))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("nothing makes the outputs %s", strings.Join(missing, ", "))
	}
	var singles, wide []int
	var singleNames []string
	labelName := ""
	var several error
	for _, out := range p.graph.outputs {
		i := c.names[out.name]
		t := &c.values[i]
		switch n := t.size(); {
		case t.dt.float() && n == 1:
			singles, singleNames = append(singles, i), append(singleNames, out.name)
		case t.dt.float() && n > 1:
			wide = append(wide, i)
		case (t.dt == stringType || t.dt.whole()) && n == 1 && m.label < 0:
			m.label, labelName = i, out.name
		case (t.dt == stringType || t.dt.whole()) && n > 1:
			several = fmt.Errorf("the output %q is %d labels a vector: a model of one label is wanted", out.name, n)
		}
	}
	if m.label < 0 && several != nil {
		return several
	}
	if len(wide) > 0 {
		if dims := c.values[wide[0]].dims; size(dims) != slices.Max(dims) {
			return fmt.Errorf("scores of dims %v: one a class is wanted", dims)
		}
	}
	columns, names := 0, []string(nil)
	switch {
	case len(wide) > 0:
		m.scores = wide[:1]
		columns = c.values[wide[0]].size()
		if d := c.maps[wide[0]]; d != nil {
			names = d.names()
		}
	case len(singles) > 1: // an output a class
		m.scores, columns, names = singles, len(singles), singleNames
	case len(singles) == 1:
		m.scores, columns = singles, 1
	case m.label < 0:
		return errors.New("no output is a label or scores")
	}
	for _, out := range p.graph.outputs {
		if i := c.names[out.name]; (i == m.label || slices.Contains(m.scores, i)) && c.fixed[i] {
			return fmt.Errorf("the output %q does not depend on the vector", out.name)
		}
	}
	var labels []string
	var d *domain
	if m.label >= 0 {
		if d = c.domains[m.label]; d == nil {
			return fmt.Errorf("it cannot be told what labels the output %q has", labelName)
		}
		labels = d.names()
		if err := distinct(labels); err != nil {
			return err
		}
	}
	listed := []string(nil)
	if s, given := p.metadata[classesKey]; given {
		listed = strings.Split(s, ",")
		if err := distinct(listed); err != nil {
			return fmt.Errorf("metadata %q: %w", classesKey, err)
		}
	}
	if names == nil && m.label < 0 {
		names = c.hidden(max(columns, 2))
	}
	switch {
	case len(labels) > 0 && columns == 1:
		if len(labels) != 2 {
			return fmt.Errorf("%d classes and one score", len(labels))
		}
		m.classes, m.raw = labels, true
	case len(labels) > 0 && columns > 0 && columns != len(labels):
		return fmt.Errorf("%d classes and scores of %d", len(labels), columns)
	case len(labels) > 0 && len(c.maps) > 0 && names != nil && sameSet(names, labels):
		m.classes = names // the scores' order
	case len(labels) > 0:
		m.classes = labels
	case columns == 1:
		if m.classes, m.half = names, true; names == nil {
			m.classes = []string{"0", "1"}
		}
	case names != nil:
		m.classes = names
	default:
		for k := range columns {
			m.classes = append(m.classes, fmt.Sprint(k))
		}
	}
	if len(m.classes) < 2 {
		return errors.New("fewer than two classes")
	}
	shown := m.classes
	switch {
	case listed == nil:
	case len(listed) != len(m.classes):
		return fmt.Errorf("its metadata name %d classes, and it has %d", len(listed), len(m.classes))
	case d != nil && !d.whole && !sameSet(listed, labels), d != nil && d.whole && !slices.Equal(listed, labels) && sameSet(listed, labels):
		return fmt.Errorf("its metadata name the classes %q, and its labels are %q", listed, labels)
	case d != nil && d.whole:
		shown = make([]string, len(listed))
		for k, l := range labels {
			shown[max(slices.Index(m.classes, l), 0)] = listed[k]
		}
	case d == nil:
		shown = listed
	}
	if d != nil {
		if d.whole {
			m.byInt = map[int64]int{}
		} else {
			m.byName = map[string]int{}
		}
		places := make(map[string]int, len(m.classes))
		for k, name := range m.classes {
			places[name] = k
		}
		for k, l := range labels {
			class, there := places[l]
			if !there {
				class = k
			}
			if d.whole {
				m.byInt[d.ints[k]] = class
			} else {
				m.byName[l] = class
			}
		}
	}
	m.classes = shown
	return nil
}

// hidden returns the names of so many classes that labels inside the graph have, where the labels are no output of it; nil if
// there are none, or several that differ. Numbers from 0 are no names.
func (c *compiler) hidden(classes int) (names []string) {
	for _, i := range slices.Sorted(maps.Keys(c.domains)) {
		found := c.domains[i].names()
		plain := true
		for k, name := range found {
			plain = plain && name == fmt.Sprint(k)
		}
		if len(found) != classes || plain || distinct(found) != nil {
			continue
		}
		if names != nil && !slices.Equal(names, found) {
			return nil
		}
		names = found
	}
	return names
}

// distinct returns an error if a name of a class is there twice.
func distinct(names []string) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return fmt.Errorf("the class %q is there twice", name)
		}
		seen[name] = true
	}
	return nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// try runs the model on made-up vectors: once so that an error of every vector is Read's, and to see whether scores are
// probabilities, which the graph does not say.
func (m *Model) try() error {
	x := make([]float64, m.width)
	scores := make([]float64, len(m.classes))
	random := uint64(1)
	var last error
	failed, shares := 0, 0
	rounds := 48
	if m.slow {
		rounds = 4
	}
	for r := range rounds {
		for k := range x {
			random ^= random << 13 // xorshift (Marsaglia 2003)
			random ^= random >> 7
			random ^= random << 17
			x[k] = math.Ldexp(float64(random>>40)/(1<<24), r/4) // up to 1, 2, 4 ... 2048
			if r&1 == 0 {                                       // small whole numbers, as protocols and counts are; the first of all 0
				x[k] = float64(int(random>>40) % (r + 1))
			}
		}
		if _, err := m.Predict(x, scores); err != nil {
			failed, last = failed+1, err
			continue
		}
		if p := scores[1]; m.half && !(p >= -1e-5 && p <= 1+1e-5) {
			return fmt.Errorf("its only output is one number (%v for a made-up vector) that is no probability: export the label too, "+
				"or end the graph with a Sigmoid", p)
		}
		sum, within := 0.0, true
		for _, s := range scores {
			sum += s
			within = within && s >= 0 && s <= 1+1e-5
		}
		if within && (math.Abs(sum-1) < 1e-4 || sum == 0) { // 0: what is normalised has vanished
			shares++
		}
	}
	if failed == rounds && !errors.Is(last, ErrNaN) { // made-up vectors may lie too far from those that it learnt
		return last
	}
	// Logarithms of small likelihoods, in float32, sum to 1 not everywhere.
	m.sure = len(m.scores) > 0 && !m.raw && shares > 0 && shares*10 >= (rounds-failed)*9
	return nil
}

// Columns returns the names of the features in the order in which Predict takes them, nil where the file names none.
func (m *Model) Columns() []string { return slices.Clone(m.columns) }

// Width returns how many features Predict takes.
func (m *Model) Width() int { return m.width }

// Classes returns the names of the classes; of whole numbers their digits.
func (m *Model) Classes() []string { return slices.Clone(m.classes) }

// Probabilities reports whether scores are probabilities. A graph does not say so: they are if those of made-up vectors were
// between 0 and 1 and summed to 1, nine times of ten.
func (m *Model) Probabilities() bool { return m.sure }

// Clone returns a model for another goroutine. Weights and trees are shared.
func (m *Model) Clone() *Model {
	c := *m
	c.v = m.p.state()
	return &c
}

// Predict returns the class of x, which has Width values, rounded to float32 where the file has it so. If scores is not nil it
// must have as many values as there are classes. It allocates nothing. An error says that the graph cannot go on with such values,
// or is ErrNaN.
func (m *Model) Predict(x, scores []float64) (class int, err error) {
	if len(x) != m.width || scores != nil && len(scores) != len(m.classes) {
		return 0, fmt.Errorf("%d values and %d scores for a model of %d values and %d classes", len(x), len(scores), m.width, len(m.classes))
	}
	for _, f := range m.feeds {
		t := &m.v[f.value]
		in := x[f.from : f.from+f.count]
		switch t.dt {
		case doubleType:
			copy(t.f, in)
		case float32Type:
			y := t.f[:len(in)]
			for k, v := range in {
				y[k] = float64(float32(v))
			}
		default:
			for k, v := range in {
				t.i[k] = whole(v, t.dt)
			}
		}
	}
	for _, s := range m.p.steps {
		if err := s(m.v); err != nil {
			return 0, err
		}
	}
	class = -1
	if m.label >= 0 {
		var known bool
		if t := &m.v[m.label]; m.byInt != nil {
			if class, known = m.byInt[t.i[0]]; !known {
				return 0, fmt.Errorf("label %d is none of the classes", t.i[0])
			}
		} else if class, known = m.byName[t.s[0]]; !known {
			return 0, fmt.Errorf("label %q is none of the classes", t.s[0])
		}
	}
	for _, i := range m.scores {
		if slices.ContainsFunc(m.v[i].f, isNaN) {
			return 0, ErrNaN
		}
	}
	if class >= 0 && scores == nil {
		return class, nil
	}
	switch {
	case len(m.scores) == 0:
		for k := range scores {
			scores[k] = truth(k == class)
		}
	case m.half || m.raw:
		p := m.v[m.scores[0]].f[0]
		other := 1 - p
		if m.raw {
			other = -p
		}
		if class < 0 {
			class = int(truth(p > 0.5))
		}
		if scores != nil {
			scores[0], scores[1] = other, p
		}
	case len(m.scores) == 1:
		y := m.v[m.scores[0]].f
		if class < 0 {
			class = argMax(y)
		}
		copy(scores, y)
	default:
		best := 0
		for k, i := range m.scores {
			p := m.v[i].f[0]
			if p > m.v[m.scores[best]].f[0] {
				best = k
			}
			if scores != nil {
				scores[k] = p
			}
		}
		if class < 0 {
			class = best
		}
	}
	return class, nil
}
