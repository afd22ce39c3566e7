package analysis

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The ranks and coverages are those of the published tables of the sign-test interval of the median.
func TestMedianInterval(t *testing.T) {
	tests := []struct {
		name     string
		n, k     int // the interval is x(k) to x(n+1-k)
		coverage float64
	}{
		{"6 are the least", 6, 1, 0.96875},
		{"7", 7, 1, 0.984375},
		{"8", 8, 1, 0.9921875},
		{"9", 9, 2, 0.9609375},
		{"10", 10, 2, 0.978515625},
		{"11", 11, 2, 0.98828125},
		{"12", 12, 3, 0.96142578125},
		{"15", 15, 4, 0.96484375},
		{"20", 20, 6, 0.95861053466796875},
		{"25", 25, 8, 0.9567147493362427},
		{"30", 30, 10, 0.9572260547429321},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			values := make([]float64, tt.n)
			for i := range values {
				values[i] = float64(tt.n - i) // descending: the k-th smallest is k
			}
			s := Summarize(values)
			if s.Interval.Low != float64(tt.k) || s.Interval.High != float64(tt.n+1-tt.k) {
				t.Errorf("interval of 1..%d is %g to %g, want rank %d", tt.n, s.Interval.Low, s.Interval.High, tt.k)
			}
			if math.Abs(s.Interval.Coverage-tt.coverage) > 1e-12 {
				t.Errorf("coverage %.17g, want %.17g", s.Interval.Coverage, tt.coverage)
			}
			if len(s.Warnings) != 0 {
				t.Errorf("warnings %q", s.Warnings)
			}
		})
	}
}

// Ranks against binomial coefficients in exact integers, for every n that fits.
func TestMedianIntervalExact(t *testing.T) {
	row := []uint64{1}
	for n := 1; n <= 62; n++ {
		next := make([]uint64, n+1)
		for i := range next {
			if i > 0 {
				next[i] += row[i-1]
			}
			if i < n {
				next[i] += row[i]
			}
		}
		row = next
		total := uint64(1) << n
		var tail uint64
		k := 0
		for k < n/2 && float64(total-2*(tail+row[k])) >= 0.95*float64(total) {
			tail += row[k]
			k++
		}
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i + 1)
		}
		got := Summarize(values).Interval
		if k == 0 {
			if got.Valid() {
				t.Errorf("n=%d: interval %+v, want none", n, got)
			}
			continue
		}
		want := float64(total-2*tail) / float64(total)
		if got.Low != float64(k) || got.High != float64(n+1-k) || math.Abs(got.Coverage-want) > 1e-12 {
			t.Errorf("n=%d: %+v, want ranks %d and %d at %.6f", n, got, k, n+1-k, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name    string
		values  []float64
		want    Summary // without interval and warnings
		warning string  // part of the only warning; "" for none
	}{
		{"nothing", nil, Summary{}, "no values"},
		{"one value", []float64{3}, Summary{N: 1, Median: 3, Mean: 3, Min: 3, Max: 3},
			"1 value cannot give a 95 % interval of the median (0 %); take at least 6"},
		{"two values", []float64{1, 3}, Summary{N: 2, Median: 2, Mean: 2, SD: math.Sqrt2, Min: 1, Max: 3},
			"(50 %)"},
		{"five values", []float64{5, 1, 4, 2, 3},
			Summary{N: 5, Median: 3, Mean: 3, SD: math.Sqrt(2.5), Min: 1, Max: 5},
			"5 values cannot give a 95 % interval of the median (93.75 %); take at least 6"},
		{"equal values", []float64{7, 7, 7, 7, 7, 7}, Summary{N: 6, Median: 7, Mean: 7, Min: 7, Max: 7}, ""},
		{"a median of large values does not overflow", []float64{1.5e308, 1.5e308, 1.5e308, 1.5e308, 1.5e308, -1.5e308},
			Summary{N: 6, Median: 1.5e308, Min: -1.5e308, Max: 1.5e308}, ""},
		{"values that are none", []float64{nan, 1, inf, 2, 3, 4, 5, -inf, 6},
			Summary{N: 6, Excluded: 3, Median: 3.5, Mean: 3.5, SD: math.Sqrt(3.5), Min: 1, Max: 6},
			"3 of 9 values are not finite"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := slices.Clone(tt.values)
			got := Summarize(tt.values)
			if !slices.EqualFunc(before, tt.values, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Error("the values were changed")
			}
			if tt.want.Max < 1e300 {
				if math.Abs(got.Mean-tt.want.Mean) > 1e-12 || math.Abs(got.SD-tt.want.SD) > 1e-12 {
					t.Errorf("mean %g, sd %g; want %g, %g", got.Mean, got.SD, tt.want.Mean, tt.want.SD)
				}
			}
			if got.N != tt.want.N || got.Excluded != tt.want.Excluded || got.Median != tt.want.Median ||
				got.Min != tt.want.Min || got.Max != tt.want.Max {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			switch {
			case tt.warning == "" && len(got.Warnings) != 0:
				t.Errorf("warnings %q", got.Warnings)
			case tt.warning != "" && (len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], tt.warning)):
				t.Errorf("warnings %q, want one with %q", got.Warnings, tt.warning)
			}
			if _, err := json.Marshal(got); err != nil && tt.want.Max < 1e300 {
				t.Error(err)
			}
		})
	}
}

// An interval made from n values must hold the true median as often as it says, whatever the distribution. 20,000 draws
// put the standard error of the share at 0.15 %.
func TestMedianIntervalCoverage(t *testing.T) {
	distributions := []struct {
		name   string
		median float64
		draw   func(r *rand.Rand) float64
	}{
		{"normal", 0, func(r *rand.Rand) float64 { return r.NormFloat64() }},
		{"exponential", math.Ln2, func(r *rand.Rand) float64 { return r.ExpFloat64() }},
		{"rare long stalls", 0.5 / 0.95, func(r *rand.Rand) float64 {
			if r.Float64() < 0.05 {
				return 100 + r.Float64()
			}
			return r.Float64()
		}},
	}
	const draws = 20000
	for _, d := range distributions {
		for _, n := range []int{6, 10, 21} {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			values := make([]float64, n)
			hits, coverage := 0, 0.0
			for range draws {
				for i := range values {
					values[i] = d.draw(r)
				}
				iv := Summarize(values).Interval
				coverage = iv.Coverage
				if iv.Low <= d.median && d.median <= iv.High {
					hits++
				}
			}
			if share := float64(hits) / draws; math.Abs(share-coverage) > 0.006 {
				t.Errorf("%s, n=%d: %.4f of the intervals hold the median, promised %.4f", d.name, n, share, coverage)
			}
		}
	}
}
