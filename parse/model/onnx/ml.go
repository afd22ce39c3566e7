package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Operators of ai.onnx.ml (https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md). Where that page leaves a choice,
// they do as onnxruntime's CPU provider does.

// row returns how many values a vector has: of dims [1, F] or [F].
func row(t tensor) (int, error) {
	switch {
	case len(t.dims) == 1:
		return t.dims[0], nil
	case len(t.dims) == 2 && t.dims[0] == 1:
		return t.dims[1], nil
	}
	return 0, fmt.Errorf("takes one vector a time, not dims %v", t.dims)
}

// numbers is in(0) for operators that take float, double, int64 and int32 and compute with float64 or float32: f copies the
// values there.
func (c *compiler) numbers() (from int, t tensor, err error) {
	if from, t, err = c.in(0); err != nil {
		return 0, t, err
	}
	if t.dt == stringType {
		return 0, t, errors.New("takes numbers, not strings")
	}
	return from, t, nil
}

// at returns the k-th value as a float64.
func (t *tensor) at(k int) float64 {
	if t.f != nil {
		return t.f[k]
	}
	return float64(t.i[k])
}

func scaler(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 1); err != nil {
		return err
	}
	from, t, err := c.numbers()
	if err != nil {
		return err
	}
	offset, err := n.floats("offset")
	if err != nil {
		return err
	}
	scale, err := n.floats("scale")
	if err != nil {
		return err
	}
	width, err := row(t)
	if err != nil {
		return err
	}
	if len(scale) == 0 || len(offset) != len(scale) || len(scale) != width && len(scale) != 1 {
		return fmt.Errorf("%d offsets and %d scales for %d values", len(offset), len(scale), width)
	}
	if len(scale) == 1 {
		scale, offset = slices.Repeat(scale, width), slices.Repeat(offset, width)
	}
	to, err := c.out(0, float32Type, t.dims)
	if err != nil {
		return err
	}
	switch t.dt {
	case float32Type:
		c.step(func(v []tensor) error {
			x, y := v[from].f, v[to].f
			offset, scale := offset[:len(x)], scale[:len(x)]
			y = y[:len(x)]
			for k, v := range x {
				y[k] = float64((float32(v) - float32(offset[k])) * float32(scale[k]))
			}
			return nil
		})
	default:
		c.step(func(v []tensor) error {
			x, y := &v[from], v[to].f
			for k := range y {
				y[k] = float64(float32((x.at(k) - offset[k]) * scale[k]))
			}
			return nil
		})
	}
	return nil
}

func normalizer(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 1); err != nil {
		return err
	}
	from, t, err := c.numbers()
	if err != nil {
		return err
	}
	norm, err := n.str("norm", "MAX")
	if err != nil {
		return err
	}
	if _, err := row(t); err != nil {
		return err
	}
	to, err := c.out(0, float32Type, t.dims)
	if err != nil {
		return err
	}
	var by func(y []float64) float64
	switch norm {
	case "MAX":
		by = func(y []float64) float64 {
			m := -math.MaxFloat32
			for _, v := range y {
				m = max(m, v)
			}
			return m
		}
	case "L1":
		by = func(y []float64) (sum float64) {
			for _, v := range y {
				sum += math.Abs(v)
			}
			return sum
		}
	case "L2":
		by = func(y []float64) (sum float64) {
			for _, v := range y {
				sum += float64(v * v)
			}
			return math.Sqrt(sum)
		}
	default:
		return fmt.Errorf("norm %q", norm)
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], v[to].f
		for k := range y {
			y[k] = float64(float32(x.at(k)))
		}
		if d := by(y); d != 0 {
			for k := range y {
				y[k] = float64(float32(y[k] / d))
			}
		}
		return nil
	})
	return nil
}

func binarizer(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	threshold, err := n.float("threshold", 0)
	if err != nil {
		return err
	}
	if t.dt == stringType {
		return errNotFloat
	}
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], &v[to]
		for k := range y.f {
			y.f[k] = truth(x.f[k] > threshold)
		}
		for k := range y.i {
			y.i[k] = int64(truth(float64(x.i[k]) > threshold))
		}
		return nil
	})
	return nil
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func imputer(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	floats, err := n.floats("imputed_value_floats")
	if err != nil {
		return err
	}
	replaced, err := n.float("replaced_value_float", 0)
	if err != nil {
		return err
	}
	ints, err := n.ints("imputed_value_int64s")
	if err != nil {
		return err
	}
	replacedInt, err := n.int("replaced_value_int64", 0)
	if err != nil {
		return err
	}
	width, err := row(t)
	if err != nil {
		return err
	}
	values := len(floats)
	if t.dt.whole() {
		values = len(ints)
	}
	if values != 1 && values != width {
		return fmt.Errorf("%d imputed values for %d", values, width)
	}
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], &v[to]
		for k, v := range x.f {
			if v == replaced || v != v && replaced != replaced {
				v = floats[k%values]
			}
			y.f[k] = v
		}
		for k, v := range x.i {
			if v == replacedInt {
				v = ints[k%values]
			}
			y.i[k] = v
		}
		return nil
	})
	return nil
}

func featureVectorizer(c *compiler, n *nodeProto) error {
	if err := c.arity(1, math.MaxInt, 1); err != nil {
		return err
	}
	widths, err := n.ints("inputdimensions")
	if err != nil {
		return err
	}
	if widths != nil && len(widths) != len(n.inputs) {
		return fmt.Errorf("%d inputdimensions for %d inputs", len(widths), len(n.inputs))
	}
	type part struct{ from, to, take, room int }
	var parts []part
	total := 0
	for k := range n.inputs {
		from, t, err := c.in(k)
		if err != nil {
			return err
		}
		width, err := row(t)
		if err != nil {
			return err
		}
		if t.dt == stringType {
			return errors.New("takes numbers, not strings")
		}
		room := width
		if widths != nil { // shorter inputs are filled up with 0, longer ones cut
			if widths[k] < 0 || widths[k] > maxValues {
				return fmt.Errorf("inputdimensions %v", widths)
			}
			room = int(widths[k])
		}
		parts = append(parts, part{from, total, min(width, room), room})
		if total += room; total > maxValues {
			return fmt.Errorf("inputdimensions %v", widths)
		}
	}
	to, err := c.out(0, float32Type, []int{1, total})
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		y := v[to].f
		for _, p := range parts {
			x := &v[p.from]
			for k := range p.take {
				y[p.to+k] = float64(float32(x.at(k)))
			}
		}
		return nil
	})
	return nil
}

func arrayFeatureExtractor(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 2, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	by, index, err := c.in(1)
	if err != nil {
		return err
	}
	if len(t.dims) == 0 || !index.dt.whole() || index.size() == 0 {
		return fmt.Errorf("dims %v by %v of %v", t.dims, index.dims, index.dt)
	}
	stride := t.dims[len(t.dims)-1]
	count := index.size()
	dims := []int{1, count}
	if len(t.dims) > 1 {
		dims = append(slices.Clone(t.dims[:len(t.dims)-1]), count)
	}
	to, err := c.out(0, t.dt, dims)
	if err != nil {
		return err
	}
	rows := size(t.dims[:len(t.dims)-1])
	c.step(func(v []tensor) error { return pick(&v[from], &v[to], v[by].i, rows, stride, 1) })
	c.pickDomain(from, by, to, rows == 1)
	return nil
}

// pick sets to to the values of from at the indices along an axis: from has dims [before, stride, after].
func pick(from, to *tensor, indices []int64, before, stride, after int) error {
	k := 0
	for b := range before {
		for _, i := range indices {
			if i < 0 {
				i += int64(stride)
			}
			if i < 0 || i >= int64(stride) {
				return fmt.Errorf("an index of %d into %d", i, stride)
			}
			at := (b*stride + int(i)) * after
			switch {
			case from.f != nil:
				copy(to.f[k:k+after], from.f[at:])
			case from.s != nil:
				copy(to.s[k:k+after], from.s[at:])
			default:
				copy(to.i[k:k+after], from.i[at:])
			}
			k += after
		}
	}
	return nil
}

// pickDomain says what labels an index into constants gives.
func (c *compiler) pickDomain(from, by, to int, flat bool) {
	d := c.domains[by]
	if d == nil || !d.whole || !c.fixed[from] || !flat {
		return
	}
	t := &c.values[from]
	labels := &domain{whole: t.dt.whole()}
	for _, i := range d.ints {
		switch {
		case i < 0 || i >= int64(t.size()):
			return
		case t.dt == stringType:
			labels.strs = append(labels.strs, t.s[i])
		case t.dt.whole():
			labels.ints = append(labels.ints, t.i[i])
		case t.f[i] == math.Trunc(t.f[i]) && math.Abs(t.f[i]) < 1<<53:
			labels.whole = true
			labels.ints = append(labels.ints, int64(t.f[i]))
		default:
			return
		}
	}
	c.domains[to] = labels
}

// zipMap names columns: its output is the input with names.
func zipMap(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	labels, err := classLabels(n, "classlabels_strings", "classlabels_int64s")
	if err != nil {
		return err
	}
	if t.dt != float32Type || len(t.dims) == 0 || t.size() != labels.len() {
		return fmt.Errorf("%d names for %v of dims %v", labels.len(), t.dt, t.dims)
	}
	to, err := c.same(0, from, t.dims)
	if err != nil {
		return err
	}
	c.maps[to] = labels
	return nil
}

// classLabels reads the two attributes that name classes, one of which is there.
func classLabels(n *nodeProto, strings, ints string) (*domain, error) {
	s, err := n.strs(strings)
	if err != nil {
		return nil, err
	}
	i, err := n.ints(ints)
	if err != nil {
		return nil, err
	}
	d := &domain{whole: len(s) == 0, ints: i, strs: s}
	if len(s) > 0 {
		d.ints = nil
	}
	if d.len() == 0 {
		return nil, fmt.Errorf("neither %s nor %s", strings, ints)
	}
	return d, nil
}

func labelEncoder(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	var keys, values, otherwise tensor
	if c.version() < 2 {
		classes, err := n.strs("classes_strings")
		if err != nil {
			return err
		}
		defaultInt, err := n.int("default_int64", -1)
		if err != nil {
			return err
		}
		defaultString, err := n.str("default_string", "_Unused")
		if err != nil {
			return err
		}
		names := tensor{dt: stringType, s: classes}
		numbers := tensor{dt: int64Type}
		for i := range classes {
			numbers.i = append(numbers.i, int64(i))
		}
		if t.dt == stringType {
			keys, values, otherwise = names, numbers, tensor{dt: int64Type, i: []int64{defaultInt}}
		} else {
			keys, values, otherwise = numbers, names, tensor{dt: stringType, s: []string{defaultString}}
		}
	} else {
		if keys, err = n.table("keys"); err != nil {
			return err
		}
		if values, err = n.table("values"); err != nil {
			return err
		}
		defaultInt, err := n.int("default_int64", -1)
		if err != nil {
			return err
		}
		defaultString, err := n.str("default_string", "_Unused")
		if err != nil {
			return err
		}
		defaultFloat, err := n.float("default_float", math.Copysign(0, -1))
		if err != nil {
			return err
		}
		given, err := n.tensor("default_tensor")
		if err != nil {
			return err
		}
		otherwise = tensor{dt: values.dt, s: []string{defaultString}, i: []int64{defaultInt}, f: []float64{defaultFloat}}
		if given != nil {
			if given.dt != values.dt || given.size() != 1 {
				return errors.New("default_tensor is not one of the values")
			}
			otherwise = given.tensor
		}
	}
	count := max(len(keys.f), len(keys.i), len(keys.s))
	if count == 0 || count != max(len(values.f), len(values.i), len(values.s)) {
		return errors.New("keys and values are not as many, or none")
	}
	if (t.dt == stringType) != (keys.dt == stringType) || t.dt.float() != keys.dt.float() {
		return fmt.Errorf("keys of %v for %v", keys.dt, t.dt)
	}
	to, err := c.out(0, values.dt, t.dims)
	if err != nil {
		return err
	}
	byInt, byString, byFloat := map[int64]int{}, map[string]int{}, map[float64]int{}
	nan := -1
	for k := count - 1; k >= 0; k-- { // the first of equal keys stays
		switch {
		case keys.dt == stringType:
			byString[keys.s[k]] = k
		case keys.dt.float() && keys.f[k] != keys.f[k]:
			nan = k
		case keys.dt.float():
			byFloat[keys.f[k]] = k
		default:
			byInt[keys.i[k]] = k
		}
	}
	set := func(y *tensor, k, key int, found bool) {
		source := &values
		if !found {
			source, key = &otherwise, 0
		}
		switch {
		case y.dt == stringType:
			y.s[k] = source.s[key]
		case y.dt.float():
			y.f[k] = source.f[key]
		default:
			y.i[k] = source.i[key]
		}
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], &v[to]
		for k, s := range x.s {
			key, found := byString[s]
			set(y, k, key, found)
		}
		for k, i := range x.i {
			key, found := byInt[i]
			set(y, k, key, found)
		}
		for k, f := range x.f {
			key, found := byFloat[f]
			if f != f {
				key, found = nan, nan >= 0
			}
			set(y, k, key, found)
		}
		return nil
	})
	if d := c.domains[from]; d != nil && !values.dt.float() {
		labels := &domain{whole: values.dt.whole()}
		for i := range d.len() {
			var key int
			var found bool
			if d.whole {
				key, found = byInt[d.ints[i]]
			} else {
				key, found = byString[d.strs[i]]
			}
			source := &values
			if !found {
				source, key = &otherwise, 0
			}
			if labels.whole {
				labels.ints = append(labels.ints, source.i[key])
			} else {
				labels.strs = append(labels.strs, source.s[key])
			}
		}
		c.domains[to] = labels
	}
	return nil
}

// table reads what a LabelEncoder maps from or to: one of four attributes.
func (n *nodeProto) table(what string) (tensor, error) {
	s, err := n.strs(what + "_strings")
	if err != nil {
		return tensor{}, err
	}
	i, err := n.ints(what + "_int64s")
	if err != nil {
		return tensor{}, err
	}
	f, err := n.floats(what + "_floats")
	if err != nil {
		return tensor{}, err
	}
	t, err := n.tensor(what + "_tensor")
	if err != nil {
		return tensor{}, err
	}
	given := 0
	var table tensor
	if t != nil {
		given, table = given+1, t.tensor
	}
	if len(s) > 0 {
		given, table = given+1, tensor{dt: stringType, s: s}
	}
	if len(i) > 0 {
		given, table = given+1, tensor{dt: int64Type, i: i}
	}
	if len(f) > 0 {
		given, table = given+1, tensor{dt: float32Type, f: f}
	}
	if given != 1 {
		return table, fmt.Errorf("%d kinds of %s", given, what)
	}
	return table, nil
}

func linearRegressor(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 1); err != nil {
		return err
	}
	from, t, err := c.numbers()
	if err != nil {
		return err
	}
	targets, err := n.int("targets", 1)
	if err != nil {
		return err
	}
	l, err := linear(n, t, int(min(targets, maxValues)))
	if err != nil {
		return err
	}
	transform, err := postTransform(n)
	if err != nil {
		return err
	}
	to, err := c.out(0, float32Type, []int{1, l.outputs})
	if err != nil {
		return err
	}
	x, err := c.scratch(l.width)
	if err != nil {
		return err
	}
	c.toil(l.outputs, l.width)
	c.step(func(v []tensor) error {
		l.apply(&v[from], v[x].f, v[to].f)
		if y := v[to].f; len(y) > 1 || transform == probit {
			transform.apply(y)
		}
		return nil
	})
	return nil
}

// scratch makes room that only one node uses, and counts it.
func (c *compiler) scratch(dims ...int) (int, error) {
	if err := c.charge(dims...); err != nil {
		return 0, err
	}
	t := tensor{dt: doubleType, dims: []int{size(dims)}}
	t.alloc()
	return c.add("", t, false)
}

// layer is a matrix and what is added to its product with a vector, computed in float64: products of float32 are exact there.
type layer struct {
	width, outputs int
	weights        []float64 // a row an output
	intercepts     []float64
}

func linear(n *nodeProto, t tensor, outputs int) (*layer, error) {
	coefficients, err := n.floats("coefficients")
	if err != nil {
		return nil, err
	}
	intercepts, err := n.floats("intercepts")
	if err != nil {
		return nil, err
	}
	if outputs == 0 {
		outputs = len(intercepts)
	}
	width, err := row(t)
	if err != nil {
		return nil, err
	}
	if outputs < 1 || width < 1 || len(coefficients)/width != outputs || len(coefficients)%width != 0 {
		return nil, fmt.Errorf("%d coefficients and %d intercepts for %d values and %d outputs", len(coefficients), len(intercepts), width, outputs)
	}
	if len(intercepts) != outputs {
		intercepts = make([]float64, outputs)
	}
	return &layer{width, outputs, coefficients, intercepts}, nil
}

// apply sets y, in float32. room has width values.
func (l *layer) apply(x *tensor, room, y []float64) {
	in := x.f
	if x.dt != float32Type {
		for k := range room {
			room[k] = float64(float32(x.at(k)))
		}
		in = room
	}
	for o := range y {
		y[o] = float64(float32(dot(l.weights[o*l.width:(o+1)*l.width], in) + l.intercepts[o]))
	}
}

// dot returns the sum of the products. b has at least as many values as a.
func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float64(a[0] * b[0])
		s1 += float64(a[1] * b[1])
		s2 += float64(a[2] * b[2])
		s3 += float64(a[3] * b[3])
		a, b = a[4:], b[4:]
	}
	for k, v := range a {
		s0 += float64(v * b[k])
	}
	return (s0 + s1) + (s2 + s3)
}

func linearClassifier(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 2); err != nil {
		return err
	}
	from, t, err := c.numbers()
	if err != nil {
		return err
	}
	l, err := linear(n, t, 0)
	if err != nil {
		return err
	}
	labels, err := classLabels(n, "classlabels_strings", "classlabels_ints")
	if err != nil {
		return err
	}
	if _, err := n.int("multi_class", 0); err != nil { // has no effect
		return err
	}
	transform, err := postTransform(n)
	if err != nil {
		return err
	}
	if l.outputs > 1 && labels.len() != l.outputs || l.outputs == 1 && labels.len() > 2 {
		return fmt.Errorf("%d classes and %d intercepts", labels.len(), l.outputs)
	}
	second := l.outputs == 1 && labels.len() == 2
	if l.outputs == 1 && !second { // onnxruntime's own two
		if labels.whole {
			labels = &domain{whole: true, ints: []int64{0, 1}}
		} else {
			labels = &domain{strs: []string{"0", "1"}}
		}
	}
	label, err := c.label(labels)
	if err != nil {
		return err
	}
	columns := l.outputs
	if second {
		columns = 2
	}
	to, err := c.out(1, float32Type, []int{1, columns})
	if err != nil {
		return err
	}
	x, err := c.scratch(l.width)
	if err != nil {
		return err
	}
	c.toil(l.outputs, l.width)
	c.step(func(v []tensor) error {
		y := v[to].f
		l.apply(&v[from], v[x].f, y[:l.outputs])
		if slices.ContainsFunc(y[:l.outputs], isNaN) {
			return ErrNaN
		}
		class := 0
		if l.outputs == 1 {
			class = int(truth(y[0] > 0))
		} else {
			class = argMax(y)
		}
		v[label].setLabel(labels, class)
		switch {
		case l.outputs > 1 && transform == logistic:
			for k, v := range y {
				y[k] = float64(float32(sigmoid32(v)))
			}
		case l.outputs > 1:
			transform.apply(y)
		case transform == probit:
			transform.apply(y[:1])
		case second && transform == logistic:
			s := y[0]
			y[0], y[1] = float64(float32(sigmoid32(-s))), float64(float32(sigmoid32(s)))
		case second:
			y[1] = y[0]
			y[0] = float64(float32(1 - y[1]))
		}
		return nil
	})
	return nil
}

// label makes output 0 for one of labels.
func (c *compiler) label(labels *domain) (int, error) {
	dt := stringType
	if labels.whole {
		dt = int64Type
	}
	i, err := c.out(0, dt, []int{1})
	if err != nil {
		return 0, err
	}
	c.domains[i] = labels
	return i, nil
}

func (t *tensor) setLabel(labels *domain, class int) {
	if labels.whole {
		t.i[0] = labels.ints[class]
	} else {
		t.s[0] = labels.strs[class]
	}
}

// argMax returns the first of the greatest values.
func argMax(y []float64) int {
	best := 0
	for k, v := range y {
		if v > y[best] {
			best = k
		}
	}
	return best
}

// transform is what becomes of scores at the end. The functions are onnxruntime's (ml_common.h).
type transform uint8

const (
	none transform = iota
	logistic
	softmax
	softmaxZero
	probit
)

func postTransform(n *nodeProto) (transform, error) {
	s, err := n.str("post_transform", "NONE")
	if err != nil {
		return none, err
	}
	t := slices.Index([]string{"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"}, s)
	if t < 0 {
		return none, fmt.Errorf("post_transform %q", s)
	}
	return transform(t), nil
}

// apply changes scores to what they are transformed to, in float32.
func (t transform) apply(y []float64) {
	switch t {
	case logistic:
		for k, v := range y {
			y[k] = float64(float32(sigmoid(v)))
		}
	case softmax:
		softMax(y)
		for k, v := range y {
			y[k] = float64(float32(v))
		}
	case softmaxZero:
		most := -math.MaxFloat32
		for _, v := range y {
			most = max(most, v)
		}
		least := math.Exp(-most)
		sum := 0.0
		for k, v := range y {
			if v > 1e-7 || v < -1e-7 {
				y[k] = math.Exp(v - most)
				sum += y[k]
			} else {
				y[k] = v * least
			}
		}
		for k, v := range y {
			y[k] = float64(float32(v / sum))
		}
	case probit:
		for k, v := range y {
			y[k] = float64(probitOf(float32(v)))
		}
	}
}

// softMax makes y sum to 1, in float64.
func softMax(y []float64) {
	most := math.Inf(-1)
	for _, v := range y {
		most = max(most, v)
	}
	sum := 0.0
	for k, v := range y {
		y[k] = math.Exp(v - most)
		sum += y[k]
	}
	for k := range y {
		y[k] /= sum
	}
}

func sigmoid(v float64) float64 {
	if v < 0 {
		e := math.Exp(v)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-v))
}

// sigmoid32 is sigmoid as onnxruntime has it for float32: 0 and 1 from 18 on, which matters where such scores are normalised.
func sigmoid32(v float64) float64 {
	switch {
	case v <= -18:
		return 0
	case v >= 18:
		return 1
	}
	return sigmoid(v)
}

// probitOf is the square root of 2 times Winitzki's approximation of the inverse error function at 2v - 1, in float32, as onnxruntime
// has it.
func probitOf(v float32) float32 {
	x := float32(2*v) - 1
	sign := float32(1)
	if x < 0 {
		sign = -1
	}
	const a = float32(0.147)
	log := float32(math.Log(float64((1 - x) * (1 + x))))
	u := 2/(float32(math.Pi)*a) + float32(0.5*log)
	w := 1 / a * log
	r := float32(math.Sqrt(float64(float32(u*u) - w)))
	return float32(math.Sqrt2) * (sign * float32(math.Sqrt(float64(r-u))))
}
