package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Operators of ai.onnx that move values, and change their type.

func identity(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	_, err = c.same(0, from, t.dims)
	return err
}

// dropout does nothing in inference.
func dropout(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 3, 2); err != nil {
		return err
	}
	if len(n.outputs) > 1 && n.outputs[1] != "" {
		return errors.New("its mask is asked for")
	}
	if c.has(2) {
		training, err := c.constant(2)
		if err != nil {
			return err
		}
		if !training.dt.whole() || training.size() != 1 || training.i[0] != 0 {
			return errors.New("in training mode")
		}
	}
	if _, err := n.float("ratio", 0.5); err != nil {
		return err
	}
	if _, err := n.int("seed", 0); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	_, err = c.same(0, from, t.dims)
	return err
}

func constant(c *compiler, n *nodeProto) error {
	if err := c.arity(0, 0, 1); err != nil {
		return err
	}
	var t tensor
	given := 0
	p, err := n.tensor("value")
	if err != nil {
		return err
	}
	if p != nil {
		given, t = given+1, p.tensor
	}
	one := func(name string, kind int64, make func(a *attrProto) tensor) error {
		a, err := n.attr(name, kind)
		if a != nil {
			given, t = given+1, make(a)
		}
		return err
	}
	err = errors.Join(
		one("value_float", 1, func(a *attrProto) tensor { return tensor{dt: float32Type, f: []float64{float64(a.f)}} }),
		one("value_int", 2, func(a *attrProto) tensor { return tensor{dt: int64Type, i: []int64{a.i}} }),
		one("value_string", 3, func(a *attrProto) tensor { return tensor{dt: stringType, s: []string{a.s}} }),
		one("value_ints", 7, func(a *attrProto) tensor { return tensor{dt: int64Type, dims: []int{len(a.ints)}, i: a.ints} }),
		one("value_strings", 8, func(a *attrProto) tensor { return tensor{dt: stringType, dims: []int{len(a.strings)}, s: a.strings} }),
		one("value_floats", 6, func(a *attrProto) tensor {
			f := make([]float64, len(a.floats))
			for k, v := range a.floats {
				f[k] = float64(v)
			}
			return tensor{dt: float32Type, dims: []int{len(f)}, f: f}
		}))
	if err != nil {
		return err
	}
	if given != 1 {
		return fmt.Errorf("%d values", given)
	}
	_, err = c.add(n.outputs[0], t, true)
	return err
}

func constantOfShape(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 1, 1); err != nil {
		return err
	}
	shape, err := c.constantInts(0)
	if err != nil {
		return err
	}
	p, err := n.tensor("value")
	if err != nil {
		return err
	}
	dims := make([]int, len(shape))
	for k, d := range shape {
		if d < 0 || d > maxValues {
			return fmt.Errorf("dims %v", shape)
		}
		dims[k] = int(d)
	}
	dt := float32Type
	if p != nil {
		dt = p.dt
		if p.size() != 1 || dt == stringType {
			return fmt.Errorf("a value of %v, dims %v", dt, p.dims)
		}
	}
	to, err := c.out(0, dt, dims)
	if err != nil {
		return err
	}
	if p != nil {
		t := &c.values[to]
		for k := range t.f {
			t.f[k] = p.f[0]
		}
		for k := range t.i {
			t.i[k] = p.i[0]
		}
	}
	return nil
}

// shapeOp gives dims, which are known here.
func shapeOp(c *compiler, n *nodeProto) error {
	_, t, err := c.one()
	if err != nil {
		return err
	}
	start, err := n.int("start", 0)
	if err != nil {
		return err
	}
	end, err := n.int("end", int64(len(t.dims)))
	if err != nil {
		return err
	}
	rank := int64(len(t.dims))
	bound := func(v int64) int64 {
		if v < 0 {
			v += rank
		}
		return min(max(v, 0), rank)
	}
	start, end = bound(start), bound(end)
	shape := tensor{dt: int64Type, i: []int64{}}
	for _, d := range t.dims[start:max(start, end)] {
		shape.i = append(shape.i, int64(d))
	}
	shape.dims = []int{len(shape.i)}
	_, err = c.add(n.outputs[0], shape, true)
	return err
}

func reshape(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 2, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	shape, err := c.constantInts(1)
	if err != nil {
		return err
	}
	zero, err := n.int("allowzero", 0)
	if err != nil {
		return err
	}
	dims := make([]int, len(shape))
	open, known := -1, 1
	for k, d := range shape {
		switch {
		case d == -1 && open < 0:
			open, dims[k] = k, 1
		case d == 0 && zero == 0 && k < len(t.dims):
			dims[k] = t.dims[k]
		case d >= 0 && d <= maxValues && (d > 0 || zero != 0):
			dims[k] = int(d)
		default:
			return fmt.Errorf("dims %v to %v", t.dims, shape)
		}
		if dims[k] > 0 && known > math.MaxInt32/dims[k] {
			return fmt.Errorf("dims %v to %v", t.dims, shape)
		}
		known *= dims[k] // after a 0 it is 0: same looks at the others
	}
	if open >= 0 {
		if known == 0 || t.size()%known != 0 {
			return fmt.Errorf("dims %v to %v", t.dims, shape)
		}
		dims[open] = t.size() / known
	}
	if size(dims) != t.size() {
		return fmt.Errorf("dims %v to %v", t.dims, shape)
	}
	_, err = c.same(0, from, dims)
	return err
}

func flatten(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	a, err := n.int("axis", 1)
	if err != nil {
		return err
	}
	if a < -int64(len(t.dims)) || a > int64(len(t.dims)) {
		return fmt.Errorf("axis %d of %d", a, len(t.dims))
	}
	if a < 0 {
		a += int64(len(t.dims))
	}
	_, err = c.same(0, from, []int{size(t.dims[:a]), size(t.dims[a:])})
	return err
}

// axes reads dims from an attribute, or from input 1 from operator set 13.
func (c *compiler) axes(n *nodeProto) ([]int64, error) {
	if c.version() < 13 {
		if err := c.arity(1, 1, 1); err != nil {
			return nil, err
		}
		return n.ints("axes")
	}
	if err := c.arity(1, 2, 1); err != nil {
		return nil, err
	}
	if !c.has(1) {
		return nil, nil
	}
	return c.constantInts(1)
}

func squeeze(c *compiler, n *nodeProto) error {
	axes, err := c.axes(n)
	if err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	drop := make([]bool, len(t.dims))
	for _, a := range axes {
		k, err := axis(a, len(t.dims))
		if err != nil {
			return err
		}
		if t.dims[k] != 1 {
			return fmt.Errorf("axis %d of dims %v", a, t.dims)
		}
		drop[k] = true
	}
	dims := []int{}
	for k, d := range t.dims {
		if !drop[k] && (axes != nil || d != 1) {
			dims = append(dims, d)
		}
	}
	_, err = c.same(0, from, dims)
	return err
}

func unsqueeze(c *compiler, n *nodeProto) error {
	axes, err := c.axes(n)
	if err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	if len(axes) == 0 || len(axes) > 8 {
		return fmt.Errorf("axes %v", axes)
	}
	rank := len(t.dims) + len(axes)
	dims := make([]int, rank)
	for _, a := range axes {
		k, err := axis(a, rank)
		if err != nil {
			return err
		}
		if dims[k] != 0 {
			return fmt.Errorf("axes %v", axes)
		}
		dims[k] = 1
	}
	rest := t.dims
	for k := range dims {
		if dims[k] == 0 {
			dims[k], rest = rest[0], rest[1:]
		}
	}
	_, err = c.same(0, from, dims)
	return err
}

// moved makes output 0 of dims, whose k-th value is input 0's at places[k].
func (c *compiler) moved(from int, dims, places []int) error {
	to, err := c.out(0, c.values[from].dt, dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], &v[to]
		for k := range y.f {
			y.f[k] = x.f[places[k]]
		}
		for k := range y.i {
			y.i[k] = x.i[places[k]]
		}
		for k := range y.s {
			y.s[k] = x.s[places[k]]
		}
		return nil
	})
	return nil
}

func transpose(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	perm, err := n.ints("perm")
	if err != nil {
		return err
	}
	rank := len(t.dims)
	if perm == nil {
		for k := rank - 1; k >= 0; k-- {
			perm = append(perm, int64(k))
		}
	}
	seen := make([]bool, rank)
	dims := make([]int, rank)
	if len(perm) != rank {
		return fmt.Errorf("perm %v of dims %v", perm, t.dims)
	}
	for k, p := range perm {
		if p < 0 || p >= int64(rank) || seen[p] {
			return fmt.Errorf("perm %v of dims %v", perm, t.dims)
		}
		seen[p] = true
		dims[k] = t.dims[p]
	}
	if err := c.charge(dims...); err != nil {
		return err
	}
	strides := make([]int, rank)
	stride := 1
	for k := rank - 1; k >= 0; k-- {
		strides[k] = stride
		stride *= t.dims[k]
	}
	places := make([]int, t.size())
	at := make([]int, rank)
	for k := range places {
		for j, p := range perm {
			places[k] += at[j] * strides[p]
		}
		for j := rank - 1; j >= 0; j-- {
			if at[j]++; at[j] < dims[j] {
				break
			}
			at[j] = 0
		}
	}
	return c.moved(from, dims, places)
}

func concat(c *compiler, n *nodeProto) error {
	if err := c.arity(1, math.MaxInt, 1); err != nil {
		return err
	}
	a, err := n.int("axis", 1)
	if err != nil {
		return err
	}
	var parts []int
	var dims []int
	var dt dtype
	along := 0
	for k := range n.inputs {
		from, t, err := c.in(k)
		if err != nil {
			return err
		}
		if k == 0 {
			if along, err = axis(a, len(t.dims)); err != nil {
				return err
			}
			dims, dt = slices.Clone(t.dims), t.dt
		} else {
			if t.dt != dt || len(t.dims) != len(dims) {
				return fmt.Errorf("%v of dims %v beside %v of dims %v", t.dt, t.dims, dt, dims)
			}
			for j, d := range t.dims {
				if j != along && d != dims[j] {
					return fmt.Errorf("dims %v beside %v", t.dims, dims)
				}
			}
			if dims[along] += t.dims[along]; dims[along] > maxValues {
				return fmt.Errorf("dims %v", dims)
			}
		}
		parts = append(parts, from)
	}
	to, err := c.out(0, dt, dims)
	if err != nil {
		return err
	}
	before, total, after := lines(dims, along)
	c.step(func(v []tensor) error {
		y := &v[to]
		place := 0
		for _, p := range parts {
			x := &v[p]
			run := x.dims[along] * after
			for b := range before {
				i, j := b*total*after+place, b*run
				switch {
				case y.f != nil:
					copy(y.f[i:i+run], x.f[j:j+run])
				case y.s != nil:
					copy(y.s[i:i+run], x.s[j:j+run])
				default:
					copy(y.i[i:i+run], x.i[j:j+run])
				}
			}
			place += run
		}
		return nil
	})
	return nil
}

func gather(c *compiler, n *nodeProto) error {
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
	a, err := n.int("axis", 0)
	if err != nil {
		return err
	}
	if !index.dt.whole() {
		return fmt.Errorf("indices of %v", index.dt)
	}
	along, err := axis(a, len(t.dims))
	if err != nil {
		return err
	}
	before, count, after := lines(t.dims, along)
	dims := slices.Concat(t.dims[:along], index.dims, t.dims[along+1:])
	to, err := c.out(0, t.dt, dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error { return pick(&v[from], &v[to], v[by].i, before, count, after) })
	c.pickDomain(from, by, to, before*after == 1)
	return nil
}

// slice takes ranges of indices along dims: attributes before operator set 10, constant inputs from then on.
func slice(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 5, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	var starts, ends, axes, steps []int64
	if c.version() < 10 {
		for name, to := range map[string]*[]int64{"starts": &starts, "ends": &ends, "axes": &axes} {
			if *to, err = n.ints(name); err != nil {
				return err
			}
		}
	} else {
		for k, to := range []*[]int64{&starts, &ends, &axes, &steps} {
			if k < 2 || c.has(k+1) {
				if *to, err = c.constantInts(k + 1); err != nil {
					return err
				}
			}
		}
	}
	if axes == nil {
		for k := range starts {
			axes = append(axes, int64(k))
		}
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || steps != nil && len(steps) != len(starts) {
		return errors.New("starts, ends, axes and steps are not as many")
	}
	dims := slices.Clone(t.dims)
	first, by := make([]int, len(dims)), make([]int, len(dims))
	for k := range by {
		by[k] = 1
	}
	for k := range starts {
		a, err := axis(axes[k], len(dims))
		if err != nil {
			return err
		}
		d, s := int64(t.dims[a]), int64(1)
		if steps != nil {
			s = steps[k]
		}
		if s < 1 || s > math.MaxInt32 {
			return fmt.Errorf("a step of %d", s)
		}
		bound := func(v int64) int64 {
			if v < 0 {
				v = max(v, -d) + d
			}
			return min(v, d)
		}
		start, end := bound(starts[k]), bound(ends[k])
		first[a], by[a] = int(start), int(s)
		dims[a] = int(max(0, (end-start+s-1)/s))
	}
	if err := c.charge(dims...); err != nil {
		return err
	}
	strides := make([]int, len(dims))
	stride := 1
	for k := len(dims) - 1; k >= 0; k-- {
		strides[k] = stride
		stride *= t.dims[k]
	}
	places := make([]int, size(dims))
	at := make([]int, len(dims))
	for k := range places {
		for j := range at {
			places[k] += (first[j] + at[j]*by[j]) * strides[j]
		}
		for j := len(at) - 1; j >= 0; j-- {
			if at[j]++; at[j] < dims[j] {
				break
			}
			at[j] = 0
		}
	}
	return c.moved(from, dims, places)
}

// split cuts a tensor along a dim: into parts of the sizes that an attribute, from operator set 13 an input, lists, else of equal
// size (the last may be smaller).
func split(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 2, maxList); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	a, err := n.int("axis", 0)
	if err != nil {
		return err
	}
	along, err := axis(a, len(t.dims))
	if err != nil {
		return err
	}
	outputs := int64(len(n.outputs))
	if c.version() >= 18 {
		if given, err := n.int("num_outputs", outputs); err != nil || given != outputs {
			return fmt.Errorf("num_outputs is not %d", outputs)
		}
	}
	var sizes []int64
	switch {
	case c.version() < 13:
		sizes, err = n.ints("split")
	case c.has(1):
		sizes, err = c.constantInts(1)
	}
	if err != nil {
		return err
	}
	before, count, after := lines(t.dims, along)
	left := int64(count)
	if sizes == nil {
		each := (left + outputs - 1) / outputs
		for k := range outputs {
			sizes = append(sizes, max(0, min(each, left-k*each)))
		}
	}
	if int64(len(sizes)) != outputs {
		return fmt.Errorf("%d sizes of %d parts", len(sizes), outputs)
	}
	start := 0
	for k, part := range sizes {
		if part < 0 || part > left {
			return fmt.Errorf("parts of %v along a dim of %d", sizes, count)
		}
		left -= part
		dims := slices.Clone(t.dims)
		dims[along] = int(part)
		to, err := c.out(k, t.dt, dims)
		if err != nil {
			return err
		}
		first, run := start*after, int(part)*after
		c.step(func(v []tensor) error {
			x, y := &v[from], &v[to]
			for b := range before {
				i, j := b*run, b*count*after+first
				switch {
				case y.f != nil:
					copy(y.f[i:i+run], x.f[j:])
				case y.s != nil:
					copy(y.s[i:i+run], x.s[j:])
				default:
					copy(y.i[i:i+run], x.i[j:])
				}
			}
			return nil
		})
		start += int(part)
	}
	if left != 0 {
		return fmt.Errorf("parts of %v along a dim of %d", sizes, count)
	}
	return nil
}

func expand(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 2, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	shape, err := c.constantInts(1)
	if err != nil {
		return err
	}
	want := make([]int, len(shape))
	for k, d := range shape {
		if d < 1 || d > maxValues {
			return fmt.Errorf("dims %v", shape)
		}
		want[k] = int(d)
	}
	if err := c.chargeBoth(want, t.dims); err != nil {
		return err
	}
	dims, places, _, ok := broadcast(t.dims, want)
	if !ok {
		return fmt.Errorf("dims %v to %v", t.dims, shape)
	}
	if places == nil {
		_, err := c.same(0, from, dims)
		return err
	}
	return c.moved(from, dims, places)
}

func cast(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	kind, err := n.int("to", 0)
	if err != nil {
		return err
	}
	if _, err := n.int("saturate", 1); err != nil { // of 8-bit floats
		return err
	}
	dt := dtype(kind)
	switch {
	case dt == t.dt:
		_, err := c.same(0, from, t.dims)
		return err
	case t.dt == stringType, !dt.float() && !dt.whole() && dt != stringType:
		return fmt.Errorf("%v to %v", t.dt, dt)
	case dt == stringType:
		return c.castToString(from, t)
	}
	to, err := c.out(0, dt, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := &v[from], &v[to]
		switch {
		case y.f != nil:
			for k := range y.f {
				y.f[k] = dt.round(x.at(k))
			}
		case x.f != nil:
			for k, v := range x.f {
				y.i[k] = whole(v, dt)
			}
		default:
			for k, v := range x.i {
				y.i[k] = wrap(v, dt)
			}
		}
		return nil
	})
	if d := c.domains[from]; d != nil && d.whole {
		labels := &domain{whole: true}
		for _, v := range d.ints {
			if dt.whole() {
				v = wrap(v, dt)
			}
			labels.ints = append(labels.ints, v)
		}
		c.domains[to] = labels
	}
	return nil
}

// whole returns a number without its fraction as a type keeps it; what is too great, the greatest; NaN, 0.
func whole(v float64, dt dtype) int64 {
	switch {
	case dt == boolType:
		return int64(truth(v != 0))
	case v != v:
		return 0
	case v >= math.MaxInt64:
		return wrap(math.MaxInt64, dt)
	case v <= math.MinInt64:
		return wrap(math.MinInt64, dt)
	}
	return wrap(int64(v), dt)
}

// castToString writes labels as text, which are known beforehand.
func (c *compiler) castToString(from int, t tensor) error {
	d := c.domains[from]
	if d == nil || !d.whole || t.size() != 1 || !t.dt.whole() {
		return fmt.Errorf("%v to string, and it is not known what values there can be", t.dt)
	}
	names := d.names()
	index := map[int64]int{}
	for k, v := range d.ints {
		index[v] = k
	}
	to, err := c.out(0, stringType, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		k, known := index[v[from].i[0]]
		if !known {
			return fmt.Errorf("label %d is none of the classes", v[from].i[0])
		}
		v[to].s[0] = names[k]
		return nil
	})
	c.domains[to] = &domain{strs: names}
	return nil
}

// scan runs a graph over the rows of one tensor, as k nearest neighbours are exported.
func scan(c *compiler, n *nodeProto) error {
	body, err := n.graph("body")
	if err != nil {
		return err
	}
	rows, err := n.int("num_scan_inputs", 0)
	if err != nil {
		return err
	}
	for _, name := range []string{"scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"} {
		given, err := n.ints(name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(given, func(v int64) bool { return v != 0 }) {
			return fmt.Errorf("%s %v", name, given)
		}
	}
	carried := len(n.inputs) - int(rows)
	if rows != 1 || carried < 0 || len(body.inputs) != len(n.inputs) || len(body.outputs) != len(n.outputs) || len(n.outputs) < carried ||
		len(n.outputs) > 8 || c.version() < 9 {
		return errors.New("only over the rows of one tensor, as exporters write k nearest neighbours")
	}
	source, t, err := c.in(carried)
	if err != nil {
		return err
	}
	if len(t.dims) < 1 || t.dims[0] < 1 {
		return fmt.Errorf("over dims %v", t.dims)
	}
	outer := c.n
	inner := &compiler{names: map[string]int{}, domains: map[int]*domain{}, maps: map[int]*domain{}, opsets: c.opsets, room: c.room, most: c.most}
	if err := inner.initializers(body); err != nil {
		return err
	}
	rowDims := t.dims[1:]
	width := size(rowDims)
	var inputs []int // of the body
	for k, in := range body.inputs {
		_, outside, err := c.in(k)
		if err != nil {
			return err
		}
		dims := outside.dims
		if k == carried {
			dims = rowDims
		}
		if err := inner.charge(dims...); err != nil {
			return err
		}
		value := tensor{dt: outside.dt, dims: slices.Clone(dims)}
		value.alloc()
		at, err := inner.add(in.name, value, false)
		if err != nil {
			return err
		}
		inputs = append(inputs, at)
	}
	if err := inner.nodes(body.nodes); err != nil {
		return err
	}
	c.n, c.room, c.most = outer, inner.room, inner.most
	c.toil(t.dims[0], int(min(inner.work, maxWork)))
	var results []int // of the body: what it carries, then what is kept of each row
	var outs []int
	kept := make([]bool, carried) // what it carries stays as it came in
	for k, out := range body.outputs {
		i, made := inner.names[out.name]
		if !made {
			return fmt.Errorf("nothing makes the output %q of its graph", out.name)
		}
		of := &inner.values[i]
		dims := append([]int{t.dims[0]}, of.dims...)
		if k < carried {
			if in := &inner.values[inputs[k]]; in.dt != of.dt || !slices.Equal(in.dims, of.dims) {
				return fmt.Errorf("carries %v of dims %v as %v of dims %v", in.dt, in.dims, of.dt, of.dims)
			}
			dims = of.dims
			kept[k] = i == inputs[k] || inner.alias[i] == inputs[k]
		}
		to, err := c.out(k, of.dt, dims)
		if err != nil {
			return err
		}
		results, outs = append(results, i), append(outs, to)
	}
	// The body's values stand behind the outer ones, in clones too.
	first := len(c.values)
	for i := range inner.values {
		c.values = append(c.values, inner.values[i])
		c.fixed = append(c.fixed, inner.fixed[i])
		a := inner.alias[i]
		if a >= 0 {
			a += first
		}
		c.alias = append(c.alias, a)
	}
	last := len(c.values)
	froms := make([]int, carried)
	for k := range froms {
		froms[k], _, _ = c.in(k)
	}
	steps := inner.steps
	count := t.dims[0]
	c.step(func(v []tensor) error {
		inside := v[first:last]
		for k, from := range froms {
			inside[inputs[k]].set(&v[from])
		}
		for r := range count {
			row := tensor{}
			switch x := &v[source]; {
			case x.f != nil:
				row.f = x.f[r*width : (r+1)*width]
			case x.s != nil:
				row.s = x.s[r*width : (r+1)*width]
			default:
				row.i = x.i[r*width : (r+1)*width]
			}
			inside[inputs[carried]].set(&row)
			for _, s := range steps {
				if err := s(inside); err != nil {
					return err
				}
			}
			for k, i := range results {
				result, to := &inside[i], &v[outs[k]]
				if k < carried {
					if !kept[k] {
						to.set(result)
					}
					continue
				}
				n := result.size()
				switch {
				case to.f != nil:
					copy(to.f[r*n:(r+1)*n], result.f)
				case to.s != nil:
					copy(to.s[r*n:(r+1)*n], result.s)
				default:
					copy(to.i[r*n:(r+1)*n], result.i)
				}
			}
			for k := range carried {
				if !kept[k] {
					inside[inputs[k]].set(&v[outs[k]])
				}
			}
		}
		for k := range carried {
			if kept[k] {
				v[outs[k]].set(&inside[inputs[k]])
			}
		}
		return nil
	})
	return nil
}
