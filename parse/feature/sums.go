package feature

import "math"

// numpyBuffer is how many values numpy adds at a time.
const numpyBuffer = 8192

// pairwise returns the sum of a as numpy adds a contiguous axis: in blocks of numpyBuffer, one after another.
func pairwise(a []float64) float64 {
	var s float64
	for ; len(a) > numpyBuffer; a = a[numpyBuffer:] {
		s += halves(a[:numpyBuffer])
	}
	return s + halves(a)
}

// halves returns the sum of a as numpy adds a block: in order below 8 values, in eight accumulators up to 128, in halves
// above.
func halves(a []float64) float64 {
	n := len(a)
	switch {
	case n < 8:
		var s float64
		for _, v := range a {
			s += v
		}
		return s
	case n <= 128:
		r0, r1, r2, r3, r4, r5, r6, r7 := a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
		i := 8
		for ; i+8 <= n; i += 8 {
			b := (*[8]float64)(a[i:])
			r0 += b[0]
			r1 += b[1]
			r2 += b[2]
			r3 += b[3]
			r4 += b[4]
			r5 += b[5]
			r6 += b[6]
			r7 += b[7]
		}
		s := ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
		for ; i < n; i++ {
			s += a[i]
		}
		return s
	default:
		half := n / 2
		half -= half % 8
		return halves(a[:half]) + halves(a[half:])
	}
}

func sequential(a []float64) float64 {
	var s float64
	for _, v := range a {
		s += v
	}
	return s
}

// sampleVariance returns the variance of a around mean with divisor len(a)-1, summed by sum. It overwrites a. NaN for a
// single value.
func sampleVariance(a []float64, mean float64, sum func([]float64) float64) float64 {
	if len(a) < 2 {
		return math.NaN()
	}
	for i, v := range a {
		d := mean - v
		a[i] = float64(d * d) // not fused into the sum on arm64
	}
	return sum(a) / float64(len(a)-1)
}
