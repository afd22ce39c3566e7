package shard

import "math/bits"

// Span is a run of units: From up to, not with, To.
type Span struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Cut cuts units, in their order, into n runs of about the same weight: each cut is where the sum of the weights before it is nearest
// to its share, so no run is heavier than its share by more than the heaviest unit. Runs may be empty. Units without any weight count alike.
// It depends on nothing but weights and n. n is at least 1.
func Cut(weights []uint64, n int) []Span {
	var total, carry uint64
	for _, w := range weights {
		if total, carry = bits.Add64(total, w, 0); carry > 0 {
			return Cut(halved(weights), n)
		}
	}
	if total == 0 && len(weights) > 0 {
		alike := make([]uint64, len(weights))
		for i := range alike {
			alike[i] = 1
		}
		return Cut(alike, n)
	}
	spans := make([]Span, n)
	unit, before := 0, uint64(0)
	for i := range spans {
		spans[i].From = unit
		high, low := bits.Mul64(total, uint64(i+1))
		goal, _ := bits.Div64(high, low, uint64(n)) // high < n, as i+1 <= n
		for unit < len(weights) && before < goal && (before+weights[unit] <= goal || before+weights[unit]-goal < goal-before) {
			before += weights[unit]
			unit++
		}
		if i == n-1 {
			unit = len(weights)
		}
		spans[i].To = unit
	}
	return spans
}

func halved(weights []uint64) []uint64 {
	half := make([]uint64, len(weights))
	for i, w := range weights {
		half[i] = w / 2
	}
	return half
}
