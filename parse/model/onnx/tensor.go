package onnx

// tensor is a value in a graph whose first dimension, the vectors, is 1. Numbers are kept in the wider type and rounded to
// their own after each operator: for sums, products, quotients and roots of float32 that is the same as computing in float32,
// and independent of fused multiply-add.
type tensor struct {
	dt   dtype
	dims []int
	f    []float64 // float, double
	i    []int64   // whole numbers and bool
	s    []string
	r    []float32 // of rawType
	b    []bool    // of flagType
}

// rawType and flagType are of values that only one node uses.
const (
	rawType  dtype = -1
	flagType dtype = -2
)

func (t *tensor) size() int { return size(t.dims) }

func size(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// alloc makes the room that dt and dims need.
func (t *tensor) alloc() {
	n := t.size()
	switch {
	case t.dt.float():
		t.f = make([]float64, n)
	case t.dt == stringType:
		t.s = make([]string, n)
	case t.dt == rawType:
		t.r = make([]float32, n)
	case t.dt == flagType:
		t.b = make([]bool, n)
	default:
		t.i = make([]int64, n)
	}
}

// set copies the values of o, which has as many of the same kind.
func (t *tensor) set(o *tensor) {
	copy(t.f, o.f)
	copy(t.i, o.i)
	copy(t.s, o.s)
}

// round returns v as a value of the type.
func (d dtype) round(v float64) float64 {
	if d == float32Type {
		return float64(float32(v))
	}
	return v
}

// broadcast returns the dims of an operator on a and b (multidirectional broadcasting, ONNX's Broadcasting.md), and for each
// value of the result which of a's and b's it is made of; nil where they stand in the same order.
func broadcast(a, b []int) (dims []int, fromA, fromB []int, ok bool) {
	rank := max(len(a), len(b))
	dims = make([]int, rank)
	for k := range rank {
		da, db := 1, 1
		if j := k - (rank - len(a)); j >= 0 {
			da = a[j]
		}
		if j := k - (rank - len(b)); j >= 0 {
			db = b[j]
		}
		switch {
		case da == db, db == 1:
			dims[k] = da
		case da == 1:
			dims[k] = db
		default:
			return nil, nil, nil, false
		}
	}
	return dims, spread(a, dims), spread(b, dims), true
}

// spread returns, for each value of a tensor of dims, which of one of the dims from it is; nil if the same.
func spread(from, dims []int) []int {
	if size(from) == size(dims) {
		return nil
	}
	strides := make([]int, len(dims))
	stride := 1
	for k := len(from) - 1; k >= 0; k-- {
		if from[k] != 1 {
			strides[k+len(dims)-len(from)] = stride
		}
		stride *= from[k]
	}
	index := make([]int, 0, size(dims))
	at := make([]int, len(dims))
	for range size(dims) {
		i := 0
		for k, c := range at {
			i += c * strides[k]
		}
		index = append(index, i)
		for k := len(at) - 1; k >= 0; k-- {
			if at[k]++; at[k] < dims[k] {
				break
			}
			at[k] = 0
		}
	}
	return index
}
