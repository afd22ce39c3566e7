package comparison

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestChangeByHand(t *testing.T) {
	old, new := []float64{100, 102, 104, 106}, []float64{90, 92, 94, 96}
	c := Ratio(old, new, 0.05)
	var pairs []float64
	for _, a := range old {
		for _, b := range new {
			pairs = append(pairs, b/a-1)
		}
	}
	slices.Sort(pairs)
	// Four and four: P(U = 0) is 1/70, so the interval lies between the first and the last of 16 pairs.
	if c.U != 0 || c.P != 2.0/70 || math.Abs(c.Interval.Low-pairs[0]) > 1e-12 || math.Abs(c.Interval.High-pairs[15]) > 1e-12 ||
		math.Abs(c.Interval.Coverage-68.0/70) > 1e-12 || !c.Significant() {
		t.Errorf("%+v; pairs %v", c, pairs)
	}
	if want := math.Sqrt((1+pairs[7])*(1+pairs[8])) - 1; math.Abs(c.Value-want) > 1e-12 {
		t.Errorf("estimate %v, want %v", c.Value, want)
	}
	d := Difference(old, new, 0.05)
	if d.Value != -10 || d.Interval.Low != -16 || d.Interval.High != -4 {
		t.Errorf("%+v", d)
	}
}

// The interval without equal values lies between order statistics of all pairs, of the rank that tables give.
func TestIntervalIsOfOrderStatistics(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for size, u := range critical {
		draw := func(n int) (values []float64) {
			for range n {
				values = append(values, r.NormFloat64())
			}
			return values
		}
		x, y := draw(size[0]), draw(size[1])
		var pairs []float64
		for _, a := range x {
			for _, b := range y {
				pairs = append(pairs, b-a)
			}
		}
		slices.Sort(pairs)
		c := Difference(x, y, 0.05)
		if c.Interval.Low != pairs[u] || c.Interval.High != pairs[len(pairs)-1-u] {
			t.Errorf("%v: %v to %v, want %v to %v", size, c.Interval.Low, c.Interval.High, pairs[u], pairs[len(pairs)-1-u])
		}
	}
}

func TestIntervalAndPAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 1200 {
		steps := []float64{1000, 20, 4}[i%3] // from hardly any equal values to many
		draw := func(shift float64) (values []float64) {
			for range 4 + r.IntN(5) {
				values = append(values, math.Round((100+3*r.NormFloat64()+shift)*steps)/steps)
			}
			return values
		}
		c := Ratio(draw(0), draw(float64(r.IntN(7))), []float64{0.05, 0.1, 0.02}[r.IntN(3)])
		if !c.Interval.Valid() {
			if c.Judged() {
				t.Fatalf("a verdict without an interval: %+v", c)
			}
			continue
		}
		if c.Interval.Low > c.Value || c.Interval.High < c.Value {
			t.Fatalf("the estimate is outside: %+v", c)
		}
		inside, without := c.Interval.Low < 0 && 0 < c.Interval.High, c.Interval.Low > 0 || c.Interval.High < 0
		if c.Judged() && (c.P <= c.Alpha && inside || c.P > c.Alpha && without) || c.Significant() != (c.Judged() && c.P <= c.Alpha) {
			t.Fatalf("p %v and the interval %v to %v do not agree", c.P, c.Interval.Low, c.Interval.High)
		}
	}
}

// scanned is the interval by its definition: shifts in all gaps between differences, the estimate, and no shift at all.
func scanned(x, y []float64, alpha float64, estimate float64) (low, high float64) {
	var ends []float64
	for _, a := range x {
		for _, b := range y {
			ends = append(ends, b-a)
		}
	}
	slices.Sort(ends)
	ends = slices.Compact(ends)
	low, high = estimate, estimate
	holds := func(shift float64) bool {
		moved := slices.Clone(x)
		for i := range moved {
			moved[i] += shift
		}
		_, p := MannWhitney(moved, y)
		return p > alpha
	}
	for i := 1; i < len(ends); i++ {
		if holds((ends[i-1] + ends[i]) / 2) {
			low, high = min(low, ends[i-1]), max(high, ends[i])
		}
	}
	if holds(0) {
		low, high = min(low, 0), max(high, 0)
	}
	return low, high
}

func TestIntervalHoldsAllThatIsNotRejected(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	kinds := map[string]func() float64{
		"mostly zero": func() float64 { return max(0, float64(r.IntN(7)-4)) },
		"few values":  func() float64 { return float64(r.IntN(4)) },
		"two peaks":   func() float64 { return float64(8*r.IntN(2) + r.IntN(2)) },
		"unlike":      func() float64 { return float64(r.IntN(1 << 30)) },
	}
	check := func(name string, x, y []float64) {
		t.Helper()
		c, back := Difference(x, y, 0.05), Difference(y, x, 0.05)
		low, high := scanned(x, y, 0.05, c.Value)
		if c.Interval.Low != low || c.Interval.High != high {
			t.Errorf("%s: %v to %v: %v to %v, want %v to %v (estimate %v)", name, x, y, c.Interval.Low, c.Interval.High, low, high, c.Value)
		}
		if back.Interval.Low != -c.Interval.High || back.Interval.High != -c.Interval.Low || back.Value != -c.Value {
			t.Errorf("%s: %v to %v: %v to %v, exchanged %v to %v", name, x, y, c.Interval.Low, c.Interval.High, back.Interval.Low, back.Interval.High)
		}
	}
	for name, value := range kinds {
		for i := range 250 {
			n, m := 4+r.IntN(4), 4+r.IntN(4)
			if i == 0 && !testing.Short() { // by the normal distribution
				n, m = 26, 27
			}
			draw := func(n int) (values []float64) {
				for range n {
					values = append(values, value())
				}
				return values
			}
			check(name, draw(n), draw(m))
		}
	}
	// Whole numbers, so that no end is rounded: 0.001 as 2.
	x, y := []float64{0, 0, 0, 0, 0, 2}, []float64{0, 0, 0, 0, 2, 4}
	if check("by hand", x, y); Difference(x, y, 0.05).Interval.High != 2 {
		t.Errorf("%+v", Difference(x, y, 0.05))
	}
}

func TestChangeFromAndToZero(t *testing.T) {
	zero, one := []float64{0, 0, 0, 0}, []float64{1, 1, 1, 1}
	for _, tt := range []struct {
		old, new         []float64
		value, low, high float64
		significant      bool
	}{
		{zero, zero, 0, 0, 0, false},
		{one, one, 0, 0, 0, false},
		{zero, one, math.Inf(1), math.Inf(1), math.Inf(1), true},
		{one, zero, -1, -1, -1, true},
		{[]float64{0, 0, 5, 5}, []float64{0, 0, 5, 5}, 0, -1, math.Inf(1), false},
	} {
		c := Ratio(tt.old, tt.new, 0.05)
		if c.Value != tt.value || c.Significant() != tt.significant || c.Interval.Low != tt.low || c.Interval.High != tt.high {
			t.Errorf("%v to %v: %+v", tt.old, tt.new, c)
		}
	}
}

func TestFewRunsGiveNoVerdict(t *testing.T) {
	for _, tt := range []struct {
		n, m  int
		alpha float64
		want  bool
	}{{3, 3, 0.05, false}, {3, 50, 0.05, false}, {4, 4, 0.05, true}, {4, 4, 0.01, false}, {5, 5, 0.01, true}, {1, 1, 0.5, false}, {0, 9, 0.05, false}} {
		x, y := withU(tt.n, tt.m, 0)
		c := Difference(x, y, tt.alpha)
		if c.Judged() != tt.want || c.Significant() != tt.want {
			t.Errorf("%d and %d runs at %v: judged %v, want %v", tt.n, tt.m, tt.alpha, c.Judged(), tt.want)
		}
	}
	if n := Need(0.05); n != 4 {
		t.Errorf("need %d", n)
	}
	if n := Need(0.05 / 24); n != 7 {
		t.Errorf("24 comparisons together need %d", n)
	}
}

func FuzzChange(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(4), uint8(5))
	f.Add([]byte{0, 0, 0, 255, 255, 7}, uint8(3), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, at, percent uint8) {
		if len(data) > 24 {
			data = data[:24]
		}
		values := make([]float64, len(data))
		for i, b := range data {
			values[i] = float64(b)
			if b == 255 {
				values[i] = math.MaxFloat64
			}
		}
		n := int(at) % (len(data) + 1)
		alpha := float64(percent%99+1) / 100
		c, back := Ratio(values[:n], values[n:], alpha), Ratio(values[n:], values[:n], alpha)
		if !(c.P >= 0 && c.P <= 1) || math.IsNaN(c.Value) || c.P != back.P || c.Significant() != back.Significant() {
			t.Fatalf("%+v, exchanged %+v", c, back)
		}
		if c.Interval.Valid() && !(c.Interval.Low <= c.Value && c.Value <= c.Interval.High) {
			t.Fatalf("%+v", c)
		}
	})
}
