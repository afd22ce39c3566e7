package datasets

import "math"

// span is what a Series has to know of the times of frames.
type span struct {
	frames   uint64
	min, max int64
}

func (s *span) add(ns int64) {
	if s.frames == 0 {
		s.min, s.max = ns, ns
	}
	s.min, s.max = min(s.min, ns), max(s.max, ns)
	s.frames++
}

// gap returns the mean time between two frames, 0 with fewer than two.
func (s *span) gap() int64 {
	if s.frames < 2 {
		return 0
	}
	return minus(s.max, s.min) / int64(s.frames-1)
}

// period is that of arena.Frames.
func (s *span) period() int64 { return plus(minus(s.max, s.min), s.gap()) }

// plus returns the sum of times; one wild time of a capture must not turn the others round, so it ends at what int64 holds.
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

// timeline moves the times of captures, so that time goes on from one to the next: its first frame follows the latest frame of
// the capture before it by the mean gap in that.
type timeline struct {
	moves     bool // from the second capture on
	inCapture bool
	moved     int64
	capture   span // of the capture, or of the one before it up to its first frame; as moved
}

// next says that the frames of another capture come.
func (t *timeline) next() { t.inCapture = false }

// at returns the time for the next frame, captured at ns.
func (t *timeline) at(ns int64) int64 {
	if !t.inCapture {
		t.inCapture = true
		if t.moves && t.capture.frames > 0 {
			t.moved = minus(plus(t.capture.max, t.capture.gap()), ns)
		}
		t.capture = span{}
	}
	ns = plus(ns, t.moved)
	t.capture.add(ns)
	return ns
}
