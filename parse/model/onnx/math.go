package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
)

// Operators of ai.onnx that compute (https://github.com/onnx/onnx/blob/main/docs/Operators.md), for vectors one by one.

// unary is an operator of one number. Its result is rounded to the type.
func unary(f func(v float64) float64) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		from, t, err := c.one()
		if err != nil {
			return err
		}
		if !t.dt.float() {
			return errNotFloat
		}
		to, err := c.out(0, t.dt, t.dims)
		if err != nil {
			return err
		}
		c.elementwise(from, to, t.dt, f)
		return nil
	}
}

func (c *compiler) elementwise(from, to int, dt dtype, f func(v float64) float64) {
	c.step(func(v []tensor) error {
		x, y := v[from].f, v[to].f
		for k, v := range x {
			y[k] = dt.round(f(v))
		}
		return nil
	})
}

// unaryAny is unary for whole numbers too.
func unaryAny(f func(v float64) float64, g func(v int64) int64) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		from, t, err := c.one()
		if err != nil {
			return err
		}
		if t.dt.float() {
			return unary(f)(c, n)
		}
		if !t.dt.whole() || t.dt == boolType {
			return fmt.Errorf("of %v", t.dt)
		}
		to, err := c.out(0, t.dt, t.dims)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			for k, x := range v[from].i {
				v[to].i[k] = wrap(g(x), t.dt)
			}
			return nil
		})
		return nil
	}
}

// unaryWith is unary with attributes of one number each.
func unaryWith(f func(v, alpha, beta float64) float64, alpha, beta float64, names ...string) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		values := [2]float64{alpha, beta}
		for k, name := range names {
			var err error
			if values[k], err = n.float(name, values[k]); err != nil {
				return err
			}
		}
		return unary(func(v float64) float64 { return f(v, values[0], values[1]) })(c, n)
	}
}

func relu(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	if !t.dt.float() {
		return errNotFloat
	}
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := v[from].f, v[to].f
		y = y[:len(x)]
		for k, v := range x {
			if v < 0 { // NaN stays
				v = 0
			}
			y[k] = v
		}
		return nil
	})
	return nil
}

// test is an operator that says whether something is so of a number.
func test(f func(v float64) bool) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		from, t, err := c.one()
		if err != nil {
			return err
		}
		if !t.dt.float() {
			return errNotFloat
		}
		to, err := c.out(0, boolType, t.dims)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			for k, x := range v[from].f {
				v[to].i[k] = int64(truth(f(x)))
			}
			return nil
		})
		return nil
	}
}

// pair is two inputs broadcast to each other.
type pair struct {
	a, b           int
	fromA, fromB   []int
	dt             dtype
	dims           []int
	sameA, scalarB bool
}

func (c *compiler) pair() (p pair, err error) {
	if err := c.arity(2, 2, 1); err != nil {
		return p, err
	}
	return c.pairOf(0, 1)
}

func (c *compiler) pairOf(i, j int) (p pair, err error) {
	a, ta, err := c.in(i)
	if err != nil {
		return p, err
	}
	b, tb, err := c.in(j)
	if err != nil {
		return p, err
	}
	if ta.dt != tb.dt {
		return p, fmt.Errorf("of %v and %v", ta.dt, tb.dt)
	}
	return c.pairValues(a, b)
}

func (c *compiler) pairValues(a, b int) (p pair, err error) {
	ta, tb := &c.values[a], &c.values[b]
	if err := c.chargeBoth(ta.dims, tb.dims); err != nil {
		return p, err
	}
	p = pair{a: a, b: b, dt: ta.dt}
	var ok bool
	if p.dims, p.fromA, p.fromB, ok = broadcast(ta.dims, tb.dims); !ok {
		return p, fmt.Errorf("dims %v and %v", ta.dims, tb.dims)
	}
	p.scalarB = p.fromA == nil && tb.size() == 1
	p.sameA = p.fromA == nil && p.fromB == nil
	return p, nil
}

func at(index []int, k int) int {
	if index == nil {
		return k
	}
	return index[k]
}

type operation struct {
	f    func(a, b float64) float64
	g    func(a, b int64) (int64, error) // nil: not for whole numbers
	kind byte                            // '+', '-', '*', '/': written out
}

func quotient(a, b int64) (int64, error) {
	switch b {
	case 0:
		return 0, errors.New("a whole number divided by 0")
	case -1:
		return -a, nil
	}
	return a / b, nil
}

var (
	addition       = operation{func(a, b float64) float64 { return a + b }, func(a, b int64) (int64, error) { return a + b, nil }, '+'}
	subtraction    = operation{func(a, b float64) float64 { return a - b }, func(a, b int64) (int64, error) { return a - b, nil }, '-'}
	multiplication = operation{func(a, b float64) float64 { return a * b }, func(a, b int64) (int64, error) { return a * b, nil }, '*'}
	division       = operation{func(a, b float64) float64 { return a / b }, quotient, '/'}
	greatest       = operation{f: func(a, b float64) float64 { return max(a, b) }, g: func(a, b int64) (int64, error) { return max(a, b), nil }}
	slope          = operation{f: func(a, b float64) float64 {
		if a < 0 {
			return a * b
		}
		return a
	}}
	smallest = operation{f: func(a, b float64) float64 { return min(a, b) }, g: func(a, b int64) (int64, error) { return min(a, b), nil }}
)

// arithmetic is an operator of two numbers of one type.
func (b operation) arithmetic(c *compiler, n *nodeProto) error {
	p, err := c.pair()
	if err != nil {
		return err
	}
	to, err := c.out(0, p.dt, p.dims)
	if err != nil {
		return err
	}
	return c.arithmetic(b, p, to)
}

func (c *compiler) arithmetic(b operation, p pair, to int) error {
	dt := p.dt
	switch {
	case dt.float() && p.sameA && b.kind != 0:
		c.step(func(v []tensor) error {
			x, z, y := v[p.a].f, v[p.b].f, v[to].f
			x, z = x[:len(y)], z[:len(y)]
			switch b.kind {
			case '+':
				for k := range y {
					y[k] = dt.round(x[k] + z[k])
				}
			case '-':
				for k := range y {
					y[k] = dt.round(x[k] - z[k])
				}
			case '*':
				for k := range y {
					y[k] = dt.round(x[k] * z[k])
				}
			default:
				for k := range y {
					y[k] = dt.round(x[k] / z[k])
				}
			}
			return nil
		})
	case dt.float():
		c.step(func(v []tensor) error {
			x, z, y := v[p.a].f, v[p.b].f, v[to].f
			for k := range y {
				y[k] = dt.round(b.f(x[at(p.fromA, k)], z[at(p.fromB, k)]))
			}
			return nil
		})
	case dt.whole() && dt != boolType && b.g != nil:
		c.step(func(v []tensor) error {
			x, z, y := v[p.a].i, v[p.b].i, v[to].i
			for k := range y {
				r, err := b.g(x[at(p.fromA, k)], z[at(p.fromB, k)])
				if err != nil {
					return err
				}
				y[k] = wrap(r, dt)
			}
			return nil
		})
	default:
		return fmt.Errorf("of %v", dt)
	}
	return nil
}

// pow may have an exponent of another type than its base.
func pow(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 2, 1); err != nil {
		return err
	}
	a, ta, err := c.in(0)
	if err != nil {
		return err
	}
	b, tb, err := c.in(1)
	if err != nil {
		return err
	}
	if !ta.dt.float() || tb.dt == stringType || tb.dt == boolType {
		return fmt.Errorf("of %v and %v", ta.dt, tb.dt)
	}
	p, err := c.pairValues(a, b)
	if err != nil {
		return err
	}
	to, err := c.out(0, ta.dt, p.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, z, y := v[p.a].f, &v[p.b], v[to].f
		for k := range y {
			b, e := x[at(p.fromA, k)], z.at(at(p.fromB, k))
			if e == 2 {
				y[k] = ta.dt.round(b * b)
			} else {
				y[k] = ta.dt.round(math.Pow(b, e))
			}
		}
		return nil
	})
	return nil
}

// variadic is an operator of any number of inputs, folded from the left; mean divides by how many.
func variadic(b operation, mean bool) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		if err := c.arity(1, math.MaxInt, 1); err != nil {
			return err
		}
		count := float64(len(n.inputs))
		last, t, err := c.in(0)
		if err != nil {
			return err
		}
		for k := 1; k < len(n.inputs); k++ {
			next, u, err := c.in(k)
			if err != nil {
				return err
			}
			if t.dt != u.dt {
				return fmt.Errorf("of %v and %v", t.dt, u.dt)
			}
			p, err := c.pairValues(last, next)
			if err != nil {
				return err
			}
			if k == len(n.inputs)-1 && !mean {
				to, err := c.out(0, t.dt, p.dims)
				if err != nil {
					return err
				}
				return c.arithmetic(b, p, to)
			}
			between := tensor{dt: t.dt, dims: p.dims}
			if err := c.charge(p.dims...); err != nil {
				return err
			}
			between.alloc()
			to, err := c.add("", between, false)
			if err != nil {
				return err
			}
			if err := c.arithmetic(b, p, to); err != nil {
				return err
			}
			last = to
		}
		if !mean {
			_, err := c.same(0, last, t.dims)
			return err
		}
		if !t.dt.float() {
			return errNotFloat
		}
		to, err := c.out(0, t.dt, c.values[last].dims)
		if err != nil {
			return err
		}
		c.elementwise(last, to, t.dt, func(v float64) float64 { return v / count })
		return nil
	}
}

// comparison is an operator that compares two values of one type.
func comparison(f func(sign int) bool) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		p, err := c.pair()
		if err != nil {
			return err
		}
		to, err := c.out(0, boolType, p.dims)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			a, b, y := &v[p.a], &v[p.b], v[to].i
			for k := range y {
				y[k] = int64(truth(f(order(a, b, at(p.fromA, k), at(p.fromB, k)))))
			}
			return nil
		})
		return nil
	}
}

// order returns below 0, 0 or above 0, and 2 where a value is NaN.
func order(a, b *tensor, i, j int) int {
	switch {
	case a.f != nil:
		x, y := a.f[i], b.f[j]
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		case x == y:
			return 0
		}
		return 2
	case a.s != nil:
		if a.s[i] == b.s[j] {
			return 0
		}
		return 2
	case a.i[i] < b.i[j]:
		return -1
	case a.i[i] > b.i[j]:
		return 1
	}
	return 0
}

// logical is an operator of two truths.
func logical(f func(a, b bool) bool) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		p, err := c.pair()
		if err != nil {
			return err
		}
		if p.dt != boolType {
			return fmt.Errorf("of %v", p.dt)
		}
		to, err := c.out(0, boolType, p.dims)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			for k := range v[to].i {
				v[to].i[k] = int64(truth(f(v[p.a].i[at(p.fromA, k)] != 0, v[p.b].i[at(p.fromB, k)] != 0)))
			}
			return nil
		})
		return nil
	}
}

func not(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	if t.dt != boolType {
		return fmt.Errorf("of %v", t.dt)
	}
	to, err := c.out(0, boolType, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		for k, x := range v[from].i {
			v[to].i[k] = 1 - x
		}
		return nil
	})
	return nil
}

func where(c *compiler, n *nodeProto) error {
	if err := c.arity(3, 3, 1); err != nil {
		return err
	}
	cond, t, err := c.in(0)
	if err != nil {
		return err
	}
	if t.dt != boolType {
		return fmt.Errorf("a condition of %v", t.dt)
	}
	p, err := c.pairOf(1, 2)
	if err != nil {
		return err
	}
	if err := c.chargeBoth(p.dims, t.dims); err != nil {
		return err
	}
	dims, fromC, _, ok := broadcast(t.dims, p.dims)
	if !ok {
		return fmt.Errorf("dims %v and %v", t.dims, p.dims)
	}
	fromA, fromB := spread(c.values[p.a].dims, dims), spread(c.values[p.b].dims, dims)
	to, err := c.out(0, p.dt, dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		y := &v[to]
		for k := range size(dims) {
			source, i := &v[p.a], at(fromA, k)
			if v[cond].i[at(fromC, k)] == 0 {
				source, i = &v[p.b], at(fromB, k)
			}
			switch {
			case y.f != nil:
				y.f[k] = source.f[i]
			case y.s != nil:
				y.s[k] = source.s[i]
			default:
				y.i[k] = source.i[i]
			}
		}
		return nil
	})
	return nil
}

func clip(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 3, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	if !t.dt.float() {
		return errNotFloat
	}
	least, most := math.Inf(-1), math.Inf(1)
	if c.version() < 11 {
		if least, err = n.float("min", least); err != nil {
			return err
		}
		if most, err = n.float("max", most); err != nil {
			return err
		}
	}
	for k, bound := range []*float64{&least, &most} {
		if !c.has(k + 1) {
			continue
		}
		b, err := c.constant(k + 1)
		if err != nil {
			return err
		}
		if b.dt != t.dt || b.size() != 1 {
			return fmt.Errorf("a bound of %v, dims %v", b.dt, b.dims)
		}
		*bound = b.f[0]
	}
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	c.elementwise(from, to, t.dt, func(v float64) float64 {
		if v < least {
			v = least
		}
		if v > most {
			v = most
		}
		return v
	})
	return nil
}

// matrix returns the rows and columns of a tensor of two dims.
func matrix(t tensor) (rows, columns int, err error) {
	if len(t.dims) != 2 {
		return 0, 0, fmt.Errorf("dims %v: a matrix is wanted", t.dims)
	}
	return t.dims[0], t.dims[1], nil
}

// transposed returns a matrix the other way round.
func transposed(f []float64, rows, columns int) []float64 {
	t := make([]float64, len(f))
	for r := range rows {
		for c := range columns {
			t[c*rows+r] = f[r*columns+c]
		}
	}
	return t
}

// product makes the step for to = a times b, alpha times, plus beta times what extra adds. b is [inner, columns], or the other way
// round if turned, like a if aTurned. extra is -1 or a value that extraFrom spreads.
func (c *compiler) product(a, b, to, rows, inner, columns int, aTurned, turned bool, alpha, beta float64, extra int, extraFrom []int, dt dtype) error {
	room := -1
	c.toil(rows, inner, columns)
	if c.fixed[b] && !turned { // the weights, once
		if err := c.charge(inner, columns); err != nil {
			return err
		}
		t := tensor{dt: c.values[b].dt, dims: []int{columns, inner}, f: transposed(c.values[b].f, inner, columns)}
		var err error
		if b, err = c.add("", t, true); err != nil {
			return err
		}
		turned = true
	}
	if !turned {
		var err error
		if room, err = c.scratch(inner, columns); err != nil {
			return err
		}
	}
	turnedA := -1
	if aTurned && rows > 1 {
		var err error
		if turnedA, err = c.scratch(rows, inner); err != nil {
			return err
		}
	}
	c.step(func(v []tensor) error {
		x, w, y := v[a].f, v[b].f, v[to].f
		if turnedA >= 0 {
			x = v[turnedA].f
			for k := range inner {
				for r := range rows {
					x[r*inner+k] = v[a].f[k*rows+r]
				}
			}
		}
		if room >= 0 {
			w = v[room].f
			for k := range inner {
				for o := range columns {
					w[o*inner+k] = v[b].f[k*columns+o]
				}
			}
		}
		for r := range rows {
			for o := range columns {
				s := float64(alpha * dot(w[o*inner:(o+1)*inner], x[r*inner:(r+1)*inner]))
				if extra >= 0 {
					s += float64(beta * v[extra].f[at(extraFrom, r*columns+o)])
				}
				y[r*columns+o] = dt.round(s)
			}
		}
		return nil
	})
	return nil
}

func matMul(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 2, 1); err != nil {
		return err
	}
	a, ta, err := c.in(0)
	if err != nil {
		return err
	}
	b, tb, err := c.in(1)
	if err != nil {
		return err
	}
	if ta.dt != tb.dt || !ta.dt.float() {
		return fmt.Errorf("of %v and %v", ta.dt, tb.dt)
	}
	rows, inner, dims := 1, 0, []int(nil)
	switch len(ta.dims) {
	case 1:
		inner = ta.dims[0]
	case 2:
		rows, inner = ta.dims[0], ta.dims[1]
		dims = append(dims, rows)
	default:
		return fmt.Errorf("dims %v and %v: only matrices are multiplied here", ta.dims, tb.dims)
	}
	columns := 1
	switch {
	case len(tb.dims) == 1 && tb.dims[0] == inner:
	case len(tb.dims) == 2 && tb.dims[0] == inner:
		columns = tb.dims[1]
		dims = append(dims, columns)
	default:
		return fmt.Errorf("dims %v and %v", ta.dims, tb.dims)
	}
	to, err := c.out(0, ta.dt, dims)
	if err != nil {
		return err
	}
	return c.product(a, b, to, rows, inner, columns, false, false, 1, 1, -1, nil, ta.dt)
}

func gemm(c *compiler, n *nodeProto) error {
	if err := c.arity(2, 3, 1); err != nil {
		return err
	}
	a, ta, err := c.in(0)
	if err != nil {
		return err
	}
	b, tb, err := c.in(1)
	if err != nil {
		return err
	}
	alpha, err := n.float("alpha", 1)
	if err != nil {
		return err
	}
	beta, err := n.float("beta", 1)
	if err != nil {
		return err
	}
	transA, err := n.int("transA", 0)
	if err != nil {
		return err
	}
	transB, err := n.int("transB", 0)
	if err != nil {
		return err
	}
	if ta.dt != tb.dt || !ta.dt.float() {
		return fmt.Errorf("of %v and %v", ta.dt, tb.dt)
	}
	rows, inner, err := matrix(ta)
	if err != nil {
		return err
	}
	if transA != 0 {
		rows, inner = inner, rows
	}
	innerB, columns, err := matrix(tb)
	if err != nil {
		return err
	}
	if transB != 0 {
		innerB, columns = columns, innerB
	}
	if inner != innerB {
		return fmt.Errorf("dims %v and %v", ta.dims, tb.dims)
	}
	dims := []int{rows, columns}
	extra, extraFrom := -1, []int(nil)
	to, err := c.out(0, ta.dt, dims)
	if err != nil {
		return err
	}
	if c.has(2) {
		var t tensor
		if extra, t, err = c.in(2); err != nil {
			return err
		}
		if t.dt != ta.dt {
			return fmt.Errorf("of %v and %v", ta.dt, t.dt)
		}
		if err := c.charge(dims...); err != nil {
			return err
		}
		both, _, from, ok := broadcast(dims, t.dims)
		if !ok || !slices.Equal(both, dims) {
			return fmt.Errorf("dims %v are added to dims %v", t.dims, dims)
		}
		extraFrom = from
	}
	return c.product(a, b, to, rows, inner, columns, transA != 0, transB != 0, alpha, beta, extra, extraFrom, ta.dt)
}

// lines returns how a tensor of dims is made of lines along an axis: before times after of them, each of count values, after apart.
func lines(dims []int, axis int) (before, count, after int) {
	return size(dims[:axis]), dims[axis], size(dims[axis+1:])
}

// softMaxOp is Softmax, and LogSoftmax if log.
func softMaxOp(log bool) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		from, t, err := c.one()
		if err != nil {
			return err
		}
		if !t.dt.float() || len(t.dims) == 0 {
			return errNotFloat
		}
		otherwise := int64(-1)
		if c.version() < 13 {
			otherwise = 1
		}
		a, err := n.int("axis", otherwise)
		if err != nil {
			return err
		}
		along, err := axis(a, len(t.dims))
		if err != nil {
			return err
		}
		before, count, after := lines(t.dims, along)
		if c.version() < 13 { // over all dims from the axis on
			count, after = count*after, 1
		}
		to, err := c.out(0, t.dt, t.dims)
		if err != nil {
			return err
		}
		room, err := c.scratch(count)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			x, y, line := v[from].f, v[to].f, v[room].f
			for b := range before {
				for a := range after {
					first := b*count*after + a
					for k := range line {
						line[k] = x[first+k*after]
					}
					if log && count > 0 {
						most := slices.Max(line)
						sum := 0.0
						for _, v := range line {
							sum += math.Exp(v - most)
						}
						sum = math.Log(sum)
						for k := range line {
							line[k] = line[k] - most - sum
						}
					} else {
						softMax(line)
					}
					for k, v := range line {
						y[first+k*after] = t.dt.round(v)
					}
				}
			}
			return nil
		})
		return nil
	}
}

// lpNormalization divides lines by their norm; of lines of 0 it makes 0, as onnxruntime does.
func lpNormalization(c *compiler, n *nodeProto) error {
	from, t, err := c.one()
	if err != nil {
		return err
	}
	a, err := n.int("axis", -1)
	if err != nil {
		return err
	}
	p, err := n.int("p", 2)
	if err != nil {
		return err
	}
	if !t.dt.float() || p != 1 && p != 2 {
		return fmt.Errorf("p %d of %v", p, t.dt)
	}
	along, err := axis(a, len(t.dims))
	if err != nil {
		return err
	}
	before, count, after := lines(t.dims, along)
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	c.step(func(v []tensor) error {
		x, y := v[from].f, v[to].f
		for line := range before * after {
			first := line/after*count*after + line%after
			norm := 0.0
			for k := range count {
				v := x[first+k*after]
				if p == 1 {
					norm += math.Abs(v)
				} else {
					norm += float64(v * v)
				}
			}
			if p == 2 {
				norm = math.Sqrt(norm)
			}
			for k := range count {
				if y[first+k*after] = 0; norm != 0 {
					y[first+k*after] = t.dt.round(x[first+k*after] / norm)
				}
			}
		}
		return nil
	})
	return nil
}

// argOp is ArgMax, and ArgMin with sign -1.
func argOp(sign float64) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		from, t, err := c.one()
		if err != nil {
			return err
		}
		a, err := n.int("axis", 0)
		if err != nil {
			return err
		}
		keep, err := n.int("keepdims", 1)
		if err != nil {
			return err
		}
		last, err := n.int("select_last_index", 0)
		if err != nil {
			return err
		}
		if t.dt == stringType || len(t.dims) == 0 {
			return fmt.Errorf("of %v, dims %v", t.dt, t.dims)
		}
		along, err := axis(a, len(t.dims))
		if err != nil {
			return err
		}
		before, count, after := lines(t.dims, along)
		if count == 0 {
			return fmt.Errorf("dims %v", t.dims)
		}
		dims := slices.Clone(t.dims)
		dims[along] = 1
		if keep == 0 {
			dims = slices.Delete(dims, along, along+1)
		}
		to, err := c.out(0, int64Type, dims)
		if err != nil {
			return err
		}
		labels := before*after == 1
		c.step(func(v []tensor) error {
			x, y := &v[from], v[to].i
			for b := range before {
				for a := range after {
					first := b*count*after + a
					best, most := 0, sign*x.at(first)
					if labels && slices.ContainsFunc(x.f, isNaN) {
						return ErrNaN
					}
					for k := 1; k < count; k++ {
						if v := sign * x.at(first+k*after); v > most || last != 0 && v == most {
							best, most = k, v
						}
					}
					y[b*after+a] = int64(best)
				}
			}
			return nil
		})
		if labels {
			d := &domain{whole: true, ints: make([]int64, count)}
			if err := c.charge(count); err != nil {
				return err
			}
			for k := range d.ints {
				d.ints[k] = int64(k)
			}
			c.domains[to] = d
		}
		return nil
	}
}

// reduction is what a Reduce operator does with the values of a line.
type reduction func(line []float64) float64

func sumOf(line []float64) (sum float64) {
	for _, v := range line {
		sum += v
	}
	return sum
}

func sumOfSquares(line []float64) float64 { return dot(line, line) }

func logSumExp(line []float64) float64 {
	if len(line) == 0 {
		return math.Inf(-1)
	}
	most := slices.Max(line)
	if math.IsInf(most, 0) {
		return most
	}
	sum := 0.0
	for _, v := range line {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum)
}

// reduce is an operator over some dims. axesFrom is the operator set from which they are an input instead of an attribute.
func reduce(r reduction, axesFrom int64) func(c *compiler, n *nodeProto) error {
	return func(c *compiler, n *nodeProto) error {
		most := 1
		if c.version() >= axesFrom {
			most = 2
		}
		if err := c.arity(1, most, 1); err != nil {
			return err
		}
		from, t, err := c.in(0)
		if err != nil {
			return err
		}
		var axes []int64
		if c.version() >= axesFrom {
			if c.has(1) {
				axes, err = c.constantInts(1)
			}
		} else {
			axes, err = n.ints("axes")
		}
		if err != nil {
			return err
		}
		keep, err := n.int("keepdims", 1)
		if err != nil {
			return err
		}
		noop, err := n.int("noop_with_empty_axes", 0)
		if err != nil {
			return err
		}
		if t.dt == stringType || t.dt == boolType {
			return fmt.Errorf("of %v", t.dt)
		}
		over := make([]bool, len(t.dims))
		for _, a := range axes {
			k, err := axis(a, len(t.dims))
			if err != nil {
				return err
			}
			over[k] = true
		}
		if len(axes) == 0 {
			if noop != 0 {
				_, err := c.same(0, from, t.dims)
				return err
			}
			for k := range over {
				over[k] = true
			}
		}
		kept, dims := []int{}, []int{}
		count := 1
		for k, d := range t.dims {
			switch {
			case !over[k]:
				kept, dims = append(kept, d), append(dims, d)
			default:
				count *= d
				kept = append(kept, 1)
				if keep != 0 {
					dims = append(dims, 1)
				}
			}
		}
		to, err := c.out(0, t.dt, dims)
		if err != nil {
			return err
		}
		outputs := size(dims)
		// The values in the order of outputs, each's line together.
		if err := c.charge(t.dims...); err != nil {
			return err
		}
		target := spread(kept, t.dims)
		places := make([]int, t.size())
		next := make([]int, outputs)
		for o := range next {
			next[o] = o * count
		}
		for k := range places {
			o := at(target, k)
			places[next[o]] = k
			next[o]++
		}
		together := t.dt.float() // lines stand in the input as they are needed
		for k, place := range places {
			together = together && k == place
		}
		if together {
			c.step(func(v []tensor) error {
				x, y := v[from].f, v[to].f
				for o := range y {
					y[o] = t.dt.round(r(x[o*count : (o+1)*count]))
				}
				return nil
			})
			return nil
		}
		room, err := c.scratch(count)
		if err != nil {
			return err
		}
		c.step(func(v []tensor) error {
			x, y, line := &v[from], &v[to], v[room].f
			for o := range outputs {
				for k := range line {
					line[k] = x.at(places[o*count+k])
				}
				if y.f != nil {
					y.f[o] = t.dt.round(r(line))
				} else {
					y.i[o] = wrap(int64(r(line)), t.dt)
				}
			}
			return nil
		})
		return nil
	}
}

// batchNormalization is that of inference: scale and shift of each value by its channel, dim 1.
func batchNormalization(c *compiler, n *nodeProto) error {
	if err := c.arity(5, 5, 1); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	epsilon, err := n.float("epsilon", float64(float32(1e-5)))
	if err != nil {
		return err
	}
	if _, err := n.float("momentum", 0.9); err != nil {
		return err
	}
	training, err := n.int("training_mode", 0)
	if err != nil {
		return err
	}
	spatial, err := n.int("spatial", 1)
	if err != nil {
		return err
	}
	if training != 0 || spatial != 1 || !t.dt.float() || len(t.dims) < 2 {
		return errors.New("only of inference, with scales for each channel")
	}
	var of [4][]float64 // scale, bias, mean, variance
	for k := range of {
		p, err := c.constant(k + 1)
		if err != nil {
			return err
		}
		if !p.dt.float() || p.size() != t.dims[1] {
			return fmt.Errorf("input %d has dims %v for %d channels", k+1, p.dims, t.dims[1])
		}
		of[k] = p.f
	}
	to, err := c.out(0, t.dt, t.dims)
	if err != nil {
		return err
	}
	if err := c.charge(2, t.dims[1]); err != nil {
		return err
	}
	channels, after := t.dims[1], size(t.dims[2:])
	scale := make([]float64, channels)
	shift := make([]float64, channels)
	for k := range scale {
		scale[k] = t.dt.round(of[0][k] / t.dt.round(math.Sqrt(t.dt.round(of[3][k]+epsilon))))
		shift[k] = t.dt.round(of[1][k] - t.dt.round(of[2][k]*scale[k]))
	}
	c.step(func(v []tensor) error {
		x, y := v[from].f, v[to].f
		for k, v := range x {
			ch := k / after % channels
			y[k] = t.dt.round(float64(v*scale[ch]) + shift[ch])
		}
		return nil
	})
	return nil
}

// topK gives the greatest (or least) values along an axis and where they were; of equal ones the first.
func topK(c *compiler, n *nodeProto) error {
	if err := c.arity(1, 2, 2); err != nil {
		return err
	}
	from, t, err := c.in(0)
	if err != nil {
		return err
	}
	k := int64(0)
	if c.version() < 10 {
		if k, err = n.int("k", 0); err != nil {
			return err
		}
	} else {
		ks, err := c.constantInts(1)
		if err != nil {
			return err
		}
		if len(ks) != 1 {
			return fmt.Errorf("%d values of k", len(ks))
		}
		k = ks[0]
	}
	a, err := n.int("axis", -1)
	if err != nil {
		return err
	}
	largest, err := n.int("largest", 1)
	if err != nil {
		return err
	}
	if _, err := n.int("sorted", 1); err != nil {
		return err
	}
	if !t.dt.float() || len(t.dims) == 0 {
		return errNotFloat
	}
	along, err := axis(a, len(t.dims))
	if err != nil {
		return err
	}
	before, count, after := lines(t.dims, along)
	if k < 1 || k > int64(count) {
		return fmt.Errorf("the %d greatest of %d", k, count)
	}
	dims := slices.Clone(t.dims)
	dims[along] = int(k)
	values, err := c.out(0, t.dt, dims)
	if err != nil {
		return err
	}
	indices, err := c.out(1, int64Type, dims)
	if err != nil {
		return err
	}
	keep := int(k)
	sign := 1.0
	if largest == 0 {
		sign = -1
	}
	room, err := c.scratch(keep)
	if err != nil {
		return err
	}
	c.toil(before, count, after, keep)
	c.step(func(v []tensor) error {
		x, y, z, best := v[from].f, v[values].f, v[indices].i, v[room].f
		for b := range before {
			for a := range after {
				first, out := b*count*after+a, b*keep*after+a
				n := 0
				for i := range count {
					s := sign * x[first+i*after]
					if n == keep && !(s > best[n-1]) {
						continue
					}
					at := sort.Search(n, func(j int) bool { return s > best[j] })
					if n < keep {
						n++
					}
					for j := n - 1; j > at; j-- {
						best[j] = best[j-1]
						z[out+j*after] = z[out+(j-1)*after]
					}
					best[at] = s
					z[out+at*after] = int64(i)
				}
				for j := range keep {
					y[out+j*after] = x[first+int(z[out+j*after])*after]
				}
			}
		}
		return nil
	})
	return nil
}
