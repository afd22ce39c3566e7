package replay

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"time"
)

// Position is a frame's place in the trial.
type Position struct {
	Frame   uint64        // its number, from 0
	Octets  uint64        // wire octets of the frames before it
	Capture time.Duration // its capture time since the first frame's; negative where the capture goes back
}

// Pacer says when frames are due. Due returns the time from the trial's start; it never decreases from one frame to the
// next. A feed asks once for each frame, in order; a pacer that keeps state starts over at frame 0, and belongs to one
// goroutine.
type Pacer interface {
	Due(p Position) time.Duration
}

const forever = time.Duration(math.MaxInt64)

// fixed is a number in 64.64 fixed point.
type fixed struct{ whole, frac uint64 }

// fixedOf returns x rounded to nearest. It returns false if x is not in (0, 2^63).
func fixedOf(x *big.Rat) (fixed, bool) {
	num := new(big.Int).Lsh(x.Num(), 65)
	q := num.Quo(num, x.Denom())
	q.Add(q, big.NewInt(1)).Rsh(q, 1)
	if q.Sign() <= 0 || q.BitLen() > 127 {
		return fixed{}, false
	}
	frac := new(big.Int).And(q, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	return fixed{q.Rsh(q, 64).Uint64(), frac}, true
}

// times returns x*n rounded to nearest, without a check for overflow.
func (x fixed) times(n uint64) uint64 {
	hi, lo := bits.Mul64(n, x.frac)
	_, carry := bits.Add64(lo, 1<<63, 0)
	return n*x.whole + hi + carry
}

// linear is due in proportion to the frame number or to the octets before the frame. One multiplication by a period with
// 64 fractional bits leaves the due time within a nanosecond over 1e12 frames.
type linear struct {
	period fixed  // ns for each frame or octet
	last   uint64 // above, a due time would not fit
	octets bool
}

func newLinear(what string, ns int64, rate float64, octets bool) (*linear, error) {
	period, err := periodOf(what, ns, rate)
	if err != nil {
		return nil, err
	}
	l := &linear{period: period, octets: octets, last: math.MaxUint64}
	if period.whole > 0 {
		l.last = (math.MaxInt64 - 1) / (period.whole + 1)
	}
	l.last = min(l.last, 1<<62)
	return l, nil
}

// periodOf returns ns/rate.
func periodOf(what string, ns int64, rate float64) (fixed, error) {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return fixed{}, fmt.Errorf("rate of %g %s: must be above 0", rate, what)
	}
	x := new(big.Rat).SetInt64(ns)
	period, ok := fixedOf(x.Quo(x, new(big.Rat).SetFloat64(rate)))
	if !ok {
		return fixed{}, fmt.Errorf("rate of %g %s: out of range", rate, what)
	}
	return period, nil
}

// ConstantPPS has frame n due at n/rate seconds. The rate is in frames per second.
func ConstantPPS(rate float64) (Pacer, error) { return newLinear("pps", 1e9, rate, false) }

// ConstantBits has a frame due when the wire octets before it have passed at rate bit/s. Preamble, check sequence and
// interframe gap are not counted.
func ConstantBits(rate float64) (Pacer, error) { return newLinear("bit/s", 8e9, rate, true) }

func (l *linear) Due(p Position) time.Duration {
	n := p.Frame
	if l.octets {
		n = p.Octets
	}
	if n > l.last {
		return forever
	}
	return time.Duration(l.period.times(n))
}
