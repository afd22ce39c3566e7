package synth

import (
	"encoding/binary"
	"math/bits"
)

// rng is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): one word of state, and any seed is a good seed. It is written
// out here because pinned octets must not depend on a library's choice of how to turn words into bounded numbers.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n).
func (r *rng) below(n int) int {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int(hi)
}

// between returns a number in [lo, hi].
func (r *rng) between(lo, hi int) int { return lo + r.below(hi-lo+1) }

// fill overwrites p with random octets.
func (r *rng) fill(p []byte) {
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, r.next())
		p = p[8:]
	}
	if len(p) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], r.next())
		copy(p, last[:])
	}
}

// exp returns a duration that varies almost as an exponential one does, with the given mean. A uniform u in (0,1] is
// 2^-(k+1) * (1+f) with k leading zeros and a fraction f; -log2(u) = k+1-log2(1+f) is taken as k+1-f. That chord of
// the logarithm has mean 3/2, so that two thirds of it have mean 1. mean must be below 2^40 ns (18 minutes).
func (r *rng) exp(mean int64) int64 {
	u := r.next() | 1
	k := bits.LeadingZeros64(u)
	f := u << (k + 1) >> 48 // 16 bits of fraction
	x := uint64(k+1)<<16 - f
	hi, lo := bits.Mul64(uint64(mean), x*2)
	q, _ := bits.Div64(hi, lo, 3<<16)
	return int64(q)
}
