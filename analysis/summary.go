package analysis

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Level is the confidence that intervals of this package reach at least.
const Level = 0.95

// MinRepeats is the least number of values that can give a non-parametric interval of the median at [Level].
const MinRepeats = 6

// Interval is a confidence interval. The zero value means that there is none.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Coverage is the probability, at least [Level], that an interval made this way holds the true value.
	Coverage float64 `json:"coverage"`
}

// Valid tells whether there is an interval.
func (i Interval) Valid() bool { return i.Coverage > 0 }

func (i Interval) holds(v float64) bool { return i.Low <= v && v <= i.High }

// Summary describes repeats of one measurement. It has the unit of its values.
type Summary struct {
	N        int      `json:"n"`                  // finite values
	Excluded int      `json:"excluded,omitempty"` // NaN and infinite values, left out of all else
	Median   float64  `json:"median"`
	Mean     float64  `json:"mean"`
	SD       float64  `json:"sd"` // sample standard deviation (n-1); 0 below two values
	Min      float64  `json:"min"`
	Max      float64  `json:"max"`
	Interval Interval `json:"interval,omitzero"` // of the median
	Warnings []string `json:"warnings,omitempty"`
}

// Summarize describes values, which it leaves unchanged. The interval of the median lies between two of the values
// (order statistics), assumes independent values of one distribution, whatever its shape, and needs [MinRepeats] of
// them; ties only make it wider than need be. With no finite value all numbers are 0 and a warning says so.
func Summarize(values []float64) Summary {
	x := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			x = append(x, v)
		}
	}
	s := Summary{N: len(x), Excluded: len(values) - len(x)}
	if s.Excluded > 0 {
		s.warn("%d of %d values are not finite and were left out", s.Excluded, len(values))
	}
	if s.N == 0 {
		s.warn("no values to summarize")
		return s
	}
	slices.Sort(x)
	s.Min, s.Max = x[0], x[s.N-1]
	s.Median = middle(x)
	s.Mean = stat.Mean(x, nil)
	if s.N > 1 {
		s.SD = stat.StdDev(x, nil)
	}
	s.Interval = medianInterval(x)
	if !s.Interval.Valid() {
		s.warn("%s cannot give a %g %% interval of the median (%.4g %%); take at least %d",
			count(s.N, "value"), 100*Level, 100*coverage(s.N, 1), MinRepeats)
	}
	return s
}

func (s *Summary) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// middle is the median of sorted values: the mean of the two middle ones where their number is even.
func middle(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1]/2 + sorted[n/2]/2
}

// medianInterval is [x(k), x(n+1-k)], counted from 1, with the largest k whose coverage is at least Level.
func medianInterval(sorted []float64) Interval {
	n := len(sorted)
	k := sort.Search(n/2, func(i int) bool { return coverage(n, i+1) < Level })
	if k == 0 {
		return Interval{}
	}
	return Interval{Low: sorted[k-1], High: sorted[n-k], Coverage: coverage(n, k)}
}

// coverage is the probability that the median of a continuous distribution lies between the k-th smallest and the k-th
// largest of n values: that neither fewer than k values are below it nor fewer than k above.
func coverage(n, k int) float64 {
	if k > n/2 {
		return 0
	}
	return 1 - 2*distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(k-1))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
