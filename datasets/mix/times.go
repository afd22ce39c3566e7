package mix

import "math"

// clock moves the times of one class.
type clock struct {
	captured bool  // times stay, but for begin
	begin    int64 // rebased: the time of the first packet; captured: what is added to all
	maxGap   int64 // 0: none

	shift     int64
	based     bool  // shift is one
	other     int64 // the shift on the other side of the gap that was cut last
	cut       bool  // other is one
	frames    uint64
	last      int64 // time given last
	latest    int64 // of all given
	file      int
	fileFirst int64 // captured time of the first packet of file that has a time
	fileLast  int64 // the latest there

	counts
}

// counts is what was odd or changed in times.
type counts struct{ backSteps, noTime, gapsCut, filesMoved, clamped uint64 }

// at returns the time for the next packet: of a capture of the class, by index, captured at ns if it is timed.
func (c *clock) at(ns int64, timed bool, file int) int64 {
	if !timed {
		c.noTime++
	}
	if c.captured {
		ns = plus(ns, c.begin)
		switch {
		case !timed:
			return ns
		case c.frames > 0 && ns < c.last:
			c.backSteps++
		}
		return c.given(ns)
	}
	if !timed {
		if c.frames == 0 {
			return c.begin
		}
		return c.last
	}
	switch {
	case !c.based:
		c.based, c.shift = true, minus(c.begin, ns)
	case file != c.file && ns < plus(c.fileFirst, minus(c.fileLast, c.fileFirst)/2):
		// A piece of the same capture would begin about where the one before ended. This one follows it by the mean gap.
		c.filesMoved++
		gap := int64(0)
		if c.frames > 1 {
			gap = minus(c.latest, c.begin) / int64(min(c.frames-1, math.MaxInt64))
		}
		c.shift, c.cut = minus(plus(c.latest, max(gap, 0)), ns), false
	}
	if c.frames == 0 || file != c.file {
		c.file, c.fileFirst, c.fileLast = file, ns, ns
	}
	c.fileLast = max(c.fileLast, ns)
	to := plus(ns, c.shift)
	if c.maxGap > 0 && c.frames > 0 {
		to = c.withoutGap(ns, to)
	}
	if to < 0 {
		c.clamped++
		to = 0
	}
	if c.frames > 0 && to < c.last {
		c.backSteps++
	}
	return c.given(to)
}

// withoutGap returns the time instead of to, for which there would be a gap that is too long. Captures that were merged of others may go to and
// fro over one gap: each side keeps its own times then.
func (c *clock) withoutGap(ns, to int64) int64 {
	low, high := minus(c.latest, c.maxGap), plus(c.latest, c.maxGap)
	ahead := to > high
	if !ahead && (to >= low || !c.cut) {
		return to
	}
	if across := plus(ns, c.other); c.cut && across >= low && across <= high {
		c.shift, c.other = c.other, c.shift
		if ahead {
			c.gapsCut++
		}
		return across
	}
	if to = c.latest; ahead {
		to = high
	}
	c.gapsCut++
	c.shift, c.other, c.cut = minus(to, ns), c.shift, true
	return to
}

func (c *clock) given(ns int64) int64 {
	if c.frames == 0 || ns > c.latest {
		c.latest = ns
	}
	c.last = ns
	c.frames++
	return ns
}

// key returns the time that counts in a merge: that of the latest packet so far, so that one whose time goes back keeps its place.
func (c *clock) key() int64 {
	if c.frames == 0 {
		return c.begin
	}
	return c.latest
}

// plus returns the sum of times, or the end of what int64 holds: one wild time must not turn the others round.
func plus(a, b int64) int64 {
	switch sum := a + b; {
	case a > 0 && b > 0 && sum < 0:
		return math.MaxInt64
	case a < 0 && b < 0 && sum >= 0:
		return math.MinInt64
	default:
		return sum
	}
}

// minus returns the difference of times, likewise.
func minus(a, b int64) int64 {
	switch difference := a - b; {
	case a >= 0 && b < 0 && difference < 0:
		return math.MaxInt64
	case a < 0 && b >= 0 && difference >= 0:
		return math.MinInt64
	default:
		return difference
	}
}
