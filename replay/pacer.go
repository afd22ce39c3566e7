package replay

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"
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
	return &linear{period: period, octets: octets, last: period.limit()}, nil
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

// recorded is due as the capture was, faster or slower.
type recorded struct {
	scale  fixed
	last   uint64 // above, a due time would not fit
	maxGap time.Duration
	latest time.Duration // capture time so far
	cut    time.Duration // of it left out
}

// Recorded has frames due at their capture times since the first frame's, divided by speed. A gap in the capture that is
// longer than maxGap is cut to it first; 0 cuts none. Where the capture goes back in time, frames are due with the one
// before.
func Recorded(speed float64, maxGap time.Duration) (Pacer, error) {
	if maxGap < 0 {
		return nil, fmt.Errorf("longest gap %v: must not be negative", maxGap)
	}
	scale, err := periodOf("times the recorded", 1, speed)
	if err != nil {
		return nil, err
	}
	return &recorded{scale: scale, last: scale.limit(), maxGap: maxGap}, nil
}

func (r *recorded) Due(p Position) time.Duration {
	if p.Frame == 0 {
		r.latest, r.cut = 0, 0
	}
	if gap := p.Capture - r.latest; gap > 0 {
		if r.maxGap > 0 && gap > r.maxGap {
			r.cut += gap - r.maxGap
		}
		r.latest = p.Capture
	}
	n := uint64(r.latest - r.cut)
	if n > r.last {
		return forever
	}
	return time.Duration(r.scale.times(n))
}

// limit returns an n up to which x*n fits a Duration.
func (x fixed) limit() uint64 {
	if x.whole == 0 {
		return math.MaxInt64
	}
	return (math.MaxInt64 - 1) / (x.whole + 1)
}

// timesFixed returns x*n rounded to nearest, without a check for overflow.
func (x fixed) timesFixed(n fixed) uint64 {
	aHi, aLo := bits.Mul64(n.whole, x.frac)
	bHi, bLo := bits.Mul64(n.frac, x.whole)
	cHi, _ := bits.Mul64(n.frac, x.frac)
	lo, carry1 := bits.Add64(aLo, bLo, 0)
	lo, carry2 := bits.Add64(lo, cHi, 0)
	_, carry3 := bits.Add64(lo, 1<<63, 0)
	return n.whole*x.whole + aHi + bHi + carry1 + carry2 + carry3
}

// poisson is due at the sum of exponential gaps, kept in units of the mean gap.
type poisson struct {
	period fixed
	last   uint64
	seed   uint64
	drawn  uint64 // gaps in sum
	sum    fixed
	log2   [257]uint64 // of 1+i/256, 56 fractional bits
}

// Poisson has independent, exponentially distributed gaps with a mean of 1/rate seconds, the one before the first frame
// included. The same seed gives the same due times on every machine: only integers are used. The logarithm is interpolated
// linearly between 256 points, which makes the mean gap longer by 0.6 parts in a million.
func Poisson(rate float64, seed uint64) (Pacer, error) {
	period, err := periodOf("pps", 1e9, rate)
	if err != nil {
		return nil, err
	}
	p := &poisson{period: period, last: period.limit(), seed: seed}
	for i := range p.log2 {
		p.log2[i] = log2Of(uint64(256+i) << 54)
	}
	return p, nil
}

// log2Of returns the logarithm of y in [1, 2], 62 fractional bits, with 56 fractional bits: squaring doubles it, so that
// its bits come out one by one.
func log2Of(y uint64) uint64 {
	if y == 1<<63 {
		return 1 << 56
	}
	var log uint64
	for range 56 {
		hi, lo := bits.Mul64(y, y)
		y = hi<<2 | lo>>62
		log <<= 1
		if y >= 1<<63 {
			y >>= 1
			log |= 1
		}
	}
	return log
}

func (p *poisson) Due(at Position) time.Duration {
	if at.Frame == 0 {
		p.drawn, p.sum = 0, fixed{}
	}
	for ; p.drawn <= at.Frame; p.drawn++ {
		gap := p.exponential(p.drawn)
		var carry uint64
		p.sum.frac, carry = bits.Add64(p.sum.frac, gap<<8, 0)
		p.sum.whole += gap>>56 + carry
	}
	if p.sum.whole >= p.last {
		return forever
	}
	return time.Duration(p.period.timesFixed(p.sum))
}

// exponential returns the nth gap of mean 1, with 56 fractional bits.
func (p *poisson) exponential(n uint64) uint64 {
	const ln2 = 0xb17217f7d1cf79ac // 64 fractional bits
	u := splitMix64(p.seed + (n+1)*0x9e3779b97f4a7c15)
	u |= 1
	zeros := bits.LeadingZeros64(u)
	m := u << zeros << 1 // the mantissa after its leading 1
	i, part := m>>56, m<<8
	step, _ := bits.Mul64(p.log2[i+1]-p.log2[i], part)
	gap, _ := bits.Mul64(uint64(zeros+1)<<56-p.log2[i]-step, ln2)
	return gap
}

// splitMix64 is the output function of Steele, Lea and Flood's generator (OOPSLA 2014).
func splitMix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// onOff is constant during on, and silent during off, in turns.
type onOff struct {
	period  fixed // in a burst
	last    uint64
	on, off uint64
	end     uint64 // of the burst in hand, in time without pauses
	paused  uint64
}

// OnOff sends at a constant rate for on, is silent for off, and so on. The mean rate is rate, so that within a burst it is
// rate*(on+off)/on.
func OnOff(rate float64, on, off time.Duration) (Pacer, error) {
	if on <= 0 || off < 0 || on > forever/4 || off > forever/4 {
		return nil, fmt.Errorf("bursts of %v with pauses of %v: want a burst above 0 and a pause of 0 or more", on, off)
	}
	if _, err := periodOf("pps", 1e9, rate); err != nil {
		return nil, err
	}
	x := big.NewRat(int64(on), int64(on+off))
	x.Mul(x, big.NewRat(1e9, 1))
	period, ok := fixedOf(x.Quo(x, new(big.Rat).SetFloat64(rate)))
	if !ok {
		return nil, fmt.Errorf("rate of %g pps in bursts: out of range", rate)
	}
	whole, _ := periodOf("pps", 1e9, rate)
	return &onOff{period: period, last: whole.limit() / 2, on: uint64(on), off: uint64(off), end: uint64(on)}, nil
}

func (o *onOff) Due(p Position) time.Duration {
	if p.Frame == 0 {
		o.end, o.paused = o.on, 0
	}
	if p.Frame > o.last {
		return forever
	}
	t := o.period.times(p.Frame)
	if t >= o.end {
		bursts := (t-o.end)/o.on + 1
		o.end += bursts * o.on
		o.paused += bursts * o.off
	}
	return time.Duration(t + o.paused)
}

// burst has groups of frames due at once.
type burst struct {
	period fixed // of groups
	last   uint64
	n      uint64
	group  uint64
	end    uint64 // number of the first frame after the group
}

// Burst has n frames due at once, the next n when they would have passed at rate, and so on.
func Burst(rate float64, n int) (Pacer, error) {
	if n < 1 {
		return nil, fmt.Errorf("bursts of %d frames: want 1 or more", n)
	}
	if _, err := periodOf("pps", 1e9, rate); err != nil {
		return nil, err
	}
	x := new(big.Rat).SetInt64(int64(n))
	x.Mul(x, big.NewRat(1e9, 1))
	period, ok := fixedOf(x.Quo(x, new(big.Rat).SetFloat64(rate)))
	if !ok {
		return nil, fmt.Errorf("rate of %g pps in bursts of %d: out of range", rate, n)
	}
	return &burst{period: period, last: period.limit(), n: uint64(n), end: uint64(n)}, nil
}

func (b *burst) Due(p Position) time.Duration {
	if p.Frame == 0 {
		b.group, b.end = 0, b.n
	}
	if p.Frame >= b.end {
		b.group = p.Frame / b.n
		b.end = (b.group + 1) * b.n
	}
	if b.group > b.last {
		return forever
	}
	return time.Duration(b.period.times(b.group))
}

// ramp is due where the integral of a rate that changes linearly reaches the frame number.
type ramp struct {
	from, to float64 // frames per ns
	over     float64 // ns
	slope    float64
	knee     float64 // frames in the ramp
	last     time.Duration
}

// Ramp changes the rate linearly from one rate to another over a time, and stays there.
func Ramp(from, to float64, over time.Duration) (Pacer, error) {
	if !(from > 0) || !(to > 0) || math.IsInf(from, 0) || math.IsInf(to, 0) || over <= 0 {
		return nil, fmt.Errorf("ramp from %g to %g pps over %v: all three must be above 0", from, to, over)
	}
	f, t, o := from/1e9, to/1e9, float64(over)
	return &ramp{from: f, to: t, over: o, slope: (t - f) / o, knee: float64((f+t)*o) / 2}, nil
}

func (r *ramp) Due(p Position) time.Duration {
	if p.Frame == 0 {
		r.last = 0
	}
	n := float64(p.Frame)
	var t float64
	if n < r.knee {
		// The solution of from*t + slope*t*t/2 = n that does not cancel.
		t = float64(2*n) / (r.from + math.Sqrt(float64(r.from*r.from)+float64(2*float64(r.slope*n))))
	} else {
		t = r.over + float64((n-r.knee)/r.to)
	}
	d := forever
	if t < float64(1<<62) {
		d = time.Duration(t + 0.5)
	}
	r.last = max(r.last, d)
	return r.last
}

// DueBefore returns how many frames a pacer has due before a time where that goes by their numbers alone and is told quickly: for ConstantPPS,
// OnOff, Burst and Ramp. The pacer must be asked for frame 0 again before others.
func DueBefore(p Pacer, at time.Duration) (frames uint64, ok bool) {
	switch p := p.(type) {
	case *linear:
		ok = !p.octets
	case *onOff, *burst, *ramp:
		ok = true
	}
	if !ok {
		return 0, false
	}
	due := func(n uint64) time.Duration {
		p.Due(Position{}) // it never goes back
		return p.Due(Position{Frame: n})
	}
	above := uint64(1)
	for above < 1<<62 && due(above-1) < at {
		above *= 2
	}
	low, high := above/2, above // frames before low are due before
	for low < high {
		if middle := low + (high-low)/2; due(middle) < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, true
}

// ParsePacer returns a pacer by its specification:
//
//	constant          rate in pps; also ""
//	bits              rate in bit/s of wire octets
//	poisson           exponential gaps, mean rate in pps, by seed
//	onoff:10ms/90ms   bursts of 10 ms, pauses of 90 ms, mean rate in pps
//	burst:64          64 frames at once, mean rate in pps
//	ramp:0.1-1/10s    from 0.1 to 1 times rate over 10 s, then constant
//	recorded:x2/1s    the capture's times at double speed, gaps cut to 1 s; both may be left out, rate is not used
//	unpaced           no pacer: a closed loop; rate is not used
//
// The pacer of unpaced is nil.
func ParsePacer(spec string, rate float64, seed uint64) (Pacer, error) {
	kind, args, _ := strings.Cut(spec, ":")
	first, second, pair := strings.Cut(args, "/")
	usage := func(want string) error {
		return fmt.Errorf("pacer %q: want %s", spec, want)
	}
	switch kind {
	case "", "constant", "bits", "poisson", "unpaced":
		if args != "" {
			return nil, usage(kind + " without arguments")
		}
	}
	var p Pacer
	var err error
	switch kind {
	case "", "constant":
		p, err = ConstantPPS(rate)
	case "bits":
		p, err = ConstantBits(rate)
	case "poisson":
		p, err = Poisson(rate, seed)
	case "unpaced":
		return nil, nil
	case "onoff":
		on, err1 := time.ParseDuration(first)
		off, err2 := time.ParseDuration(second)
		if err1 != nil || err2 != nil {
			return nil, usage("onoff:ON/OFF with two times, onoff:10ms/90ms for instance")
		}
		p, err = OnOff(rate, on, off)
	case "burst":
		n, err1 := strconv.Atoi(args)
		if err1 != nil {
			return nil, usage("burst:FRAMES")
		}
		p, err = Burst(rate, n)
	case "ramp":
		low, high, dash := strings.Cut(first, "-")
		from, err1 := strconv.ParseFloat(low, 64)
		to, err2 := strconv.ParseFloat(high, 64)
		over, err3 := time.ParseDuration(second)
		if !dash || err1 != nil || err2 != nil || err3 != nil {
			return nil, usage("ramp:FROM-TO/TIME with two factors of the rate, ramp:0.1-1/10s for instance")
		}
		p, err = Ramp(from*rate, to*rate, over)
	case "recorded":
		speed, maxGap := 1.0, time.Duration(0)
		var err1, err2 error
		if first != "" {
			factor, x := strings.CutPrefix(first, "x")
			if speed, err1 = strconv.ParseFloat(factor, 64); !x {
				err1 = strconv.ErrSyntax
			}
		}
		if pair {
			maxGap, err2 = time.ParseDuration(second)
		}
		if err1 != nil || err2 != nil {
			return nil, usage("recorded:xSPEED/MAXGAP, recorded:x2/1s for instance")
		}
		p, err = Recorded(speed, maxGap)
	default:
		return nil, usage("constant, bits, poisson, onoff:ON/OFF, burst:FRAMES, ramp:FROM-TO/TIME, " +
			"recorded:xSPEED/MAXGAP or unpaced")
	}
	if err != nil {
		return nil, fmt.Errorf("pacer %q: %w", spec, err)
	}
	return p, nil
}

// capped is due as another pacer says, but not sooner after the frame before than a rate allows.
type capped struct {
	Pacer
	period fixed
	last   fixed // due time of the frame before
	begun  bool
}

// Cap returns a pacer with p's due times in which frames are at least 1/rate seconds apart: a frame that would come sooner waits, and those
// behind it wait for it. The rate is in frames per second. With p nil it is ConstantPPS.
func Cap(p Pacer, rate float64) (Pacer, error) {
	if p == nil {
		return ConstantPPS(rate)
	}
	period, err := periodOf("pps", 1e9, rate)
	if err != nil {
		return nil, err
	}
	return &capped{Pacer: p, period: period}, nil
}

func (c *capped) Due(p Position) time.Duration {
	due := c.Pacer.Due(p)
	if p.Frame == 0 {
		c.begun = false
	}
	if due == forever {
		return due
	}
	next := fixed{whole: uint64(due)}
	if c.begun {
		var earliest fixed
		var carry uint64
		earliest.frac, carry = bits.Add64(c.last.frac, c.period.frac, 0)
		earliest.whole = c.last.whole + c.period.whole + carry
		if earliest.whole >= math.MaxInt64 {
			return forever
		}
		if earliest.whole > next.whole || earliest.whole == next.whole && earliest.frac > 0 {
			next = earliest
		}
	}
	c.last, c.begun = next, true
	return time.Duration(next.whole)
}
