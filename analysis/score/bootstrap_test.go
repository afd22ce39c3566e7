package score

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestBinomial compares mean and variance of draws, and their distribution, with those of the binomial.
func TestBinomial(t *testing.T) {
	draws := 20_000
	if testing.Short() {
		draws = 5_000
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		n uint64
		p float64
	}{{1, 0.5}, {7, 0.3}, {50, 0.1}, {100, 0.099}, {40, 0.5}, {1000, 0.02}, {1000, 0.98}, {30, 0.99}, {1_000_000, 0.4}, {5_000_000_000, 1e-9},
		{5_000_000_000, 0.7}} {
		var sum, squares float64
		counts := map[uint64]int{}
		N, q := float64(tt.n), 1-tt.p
		for range draws {
			k := binomial(random, tt.n, tt.p)
			if k > tt.n {
				t.Fatalf("%d of %d", k, tt.n)
			}
			d := float64(k) - N*tt.p
			sum += d
			squares += d * d
			counts[k]++
		}
		variance := N * tt.p * q
		if z := sum / math.Sqrt(float64(draws)*variance); math.Abs(z) > 4.5 {
			t.Errorf("binomial(%d, %v): mean is off by %.1f standard errors", tt.n, tt.p, z)
		}
		// The variance of a squared deviation is variance (1 + 2 variance - 6 p q).
		if z := (squares/float64(draws) - variance) / math.Sqrt(variance*(1+2*variance-6*tt.p*q)/float64(draws)); variance > 0 && math.Abs(z) > 4.5 {
			t.Errorf("binomial(%d, %v): variance is off by %.1f standard errors", tt.n, tt.p, z)
		}
		if tt.n > 1000 {
			continue
		}
		chi, cells := 0.0, 0 // of counts expected to be at least 10
		for k := range tt.n + 1 {
			if want := float64(draws) * pmf(tt.n, k, tt.p); want >= 10 {
				d := float64(counts[k]) - want
				chi += d * d / want
				cells++
			}
		}
		if z := (chi - float64(cells)) / math.Sqrt(2*float64(cells)); z > 4.5 {
			t.Errorf("binomial(%d, %v): chi squared %.1f of %d cells", tt.n, tt.p, chi, cells)
		}
	}
	if binomial(random, 5, 0) != 0 || binomial(random, 5, 1) != 5 || binomial(random, 0, 0.3) != 0 {
		t.Error("certain outcomes are not certain")
	}
}

func pmf(n, k uint64, p float64) float64 {
	lg := func(x float64) float64 { v, _ := math.Lgamma(x); return v }
	N, K := float64(n), float64(k)
	return math.Exp(lg(N+1) - lg(K+1) - lg(N-K+1) + K*math.Log(p) + (N-K)*math.Log1p(-p))
}

func TestLn(t *testing.T) {
	for _, x := range []float64{1, 2, 0.5, math.Sqrt2, math.Sqrt2 / 2, 1e-300, 1e300, 3, 10, 0.999999, 1.000001} {
		if got, want := ln(x), math.Log(x); math.Abs(got-want) > 4e-16*math.Max(1e-300, math.Abs(want)) {
			t.Errorf("ln %v = %v, want %v", x, got, want)
		}
	}
}

func drawn(t testing.TB, c *Confusion, n int, seed uint64, level float64) Intervals {
	t.Helper()
	i, err := c.Bootstrap(t.Context(), n, seed, level)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestBootstrapEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := confusion([]string{"a", "b"}, []uint64{9, 1}, []uint64{1, 9})
	if _, err := c.Bootstrap(ctx, 10, 1, 0.95); !errors.Is(err, context.Canceled) {
		t.Errorf("by rows: %v", err)
	}
	if _, err := BootstrapCaptures(ctx, []*Confusion{c, c}, 10, 1, 0.95); !errors.Is(err, context.Canceled) {
		t.Errorf("by captures: %v", err)
	}
}

// TestIntervalOfAShare compares with the normal approximation: 400 rows of which 300 are right.
func TestIntervalOfAShare(t *testing.T) {
	c := confusion([]string{"a", "b"}, []uint64{150, 50}, []uint64{50, 150})
	got := drawn(t, c, 4000, 3, 0.95)
	half := 1.95996 * math.Sqrt(0.75*0.25/400)
	near(t, "low", got.Accuracy.Low, 0.75-half, 0.005)
	near(t, "high", got.Accuracy.High, 0.75+half, 0.005)
	half = 1.95996 * math.Sqrt(0.75*0.25/200)
	near(t, "low of the recall", got.PerClass[0].Recall.Low, 0.75-half, 0.007)
	near(t, "high of the recall", got.PerClass[0].Recall.High, 0.75+half, 0.007)
	narrow := drawn(t, c, 4000, 3, 0.5)
	near(t, "low at one half", narrow.Accuracy.Low, 0.75-0.67449*math.Sqrt(0.75*0.25/400), 0.004)
}

// TestRowsOneByOne compares with a bootstrap that draws rows, and computes metrics of them.
func TestRowsOneByOne(t *testing.T) {
	c := confusion([]string{"a", "b", "c"}, []uint64{40, 5, 1}, []uint64{3, 20, 2}, []uint64{0, 4, 9})
	resamples := 3000
	got := drawn(t, c, resamples, 1, 0.9)
	var rows []cell
	for _, cell := range sparse(c) {
		for range cell.n {
			rows = append(rows, cell)
		}
	}
	random := rand.New(rand.NewPCG(9, 9))
	var mcc, f1, recall []float64
	for range resamples {
		r := New(c.Classes)
		for range rows {
			row := rows[random.IntN(len(rows))]
			r.Add(row.truth, row.predicted)
		}
		m := r.Metrics()
		mcc, f1, recall = append(mcc, m.MCC), append(f1, m.Macro.F1), append(recall, m.PerClass[2].Recall)
	}
	for _, tt := range []struct {
		name   string
		values []float64
		got    Interval
	}{{"MCC", mcc, got.MCC}, {"macro F1", f1, got.MacroF1}, {"recall of c", recall, got.PerClass[2].Recall}} {
		slices.Sort(tt.values)
		near(t, tt.name+" low", tt.got.Low, quantile(tt.values, 0.05), 0.02)
		near(t, tt.name+" high", tt.got.High, quantile(tt.values, 0.95), 0.02)
	}
}

// TestIntervalsAreTheSameEverywhere holds what amd64 gave.
func TestIntervalsAreTheSameEverywhere(t *testing.T) {
	var all []Intervals
	for _, c := range randomConfusions(6) {
		i := drawn(t, c, 100, 7, 0.95)
		i.Warnings = nil
		all = append(all, i)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if sum := crc32.ChecksumIEEE(text); sum != 0xf372e8f7 {
		t.Errorf("checksum %#x", sum)
	}
}

func TestCaptures(t *testing.T) {
	classes := []string{"a", "b"}
	good, bad := confusion(classes, []uint64{90, 0}, []uint64{0, 10}), confusion(classes, []uint64{0, 90}, []uint64{10, 0})
	var captures []*Confusion
	for range 5 {
		captures = append(captures, good, bad)
	}
	captures = append(captures, New(classes)) // no rows: not a capture to draw
	got, err := BootstrapCaptures(t.Context(), captures, 0, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.By != "captures" || got.Captures != 10 || got.Resamples != 2000 || got.Level != 0.95 || len(got.Warnings) != 0 {
		t.Errorf("%+v", got)
	}
	// The share of good captures among 10 is binomial(10, 1/2) / 10: 2.5 % are at 0.2, 97.5 % at 0.8.
	if want := (Interval{0.2, 0.8}); got.Accuracy != want {
		t.Errorf("accuracy %v, want %v", got.Accuracy, want)
	}
	sum := New(classes)
	for _, c := range captures {
		if err := sum.Merge(c); err != nil {
			t.Fatal(err)
		}
	}
	if rows := drawn(t, sum, 0, 1, 0); rows.Accuracy.High-rows.Accuracy.Low > 0.1 {
		t.Errorf("rows drawn one by one: %v", rows.Accuracy)
	}
	for _, tt := range []struct {
		captures []*Confusion
		warning  string
	}{{captures[:3], "3 captures are too few"}, {captures[:1], "one capture"}, {captures[10:], "no rows"}} {
		got, err := BootstrapCaptures(t.Context(), tt.captures, 10, 1, 0.95)
		if err != nil || len(got.Warnings) == 0 || !strings.Contains(got.Warnings[0], tt.warning) {
			t.Errorf("%v: %q, %v", tt.warning, got.Warnings, err)
		}
	}
	if _, err := BootstrapCaptures(t.Context(), []*Confusion{good, New([]string{"a"})}, 10, 1, 0.95); err == nil {
		t.Error("captures of other classes pass")
	}
	if _, err := BootstrapCaptures(t.Context(), nil, 10, 1, 0.95); err == nil {
		t.Error("no captures pass")
	}
}

func TestIntervalsOfNothing(t *testing.T) {
	got := drawn(t, New([]string{"a", "b"}), 10, 1, 0.95)
	if got.Accuracy != (Interval{0, 1}) || got.MCC != (Interval{-1, 1}) || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "no rows") {
		t.Errorf("%+v", got)
	}
	// b has no rows and is never predicted: nothing is known of it.
	got = drawn(t, confusion([]string{"a", "b"}, []uint64{9, 0}, []uint64{0, 0}), 10, 1, 0.95)
	if got.PerClass[1].Recall != (Interval{0, 1}) || got.PerClass[0].Recall != (Interval{1, 1}) {
		t.Errorf("%+v", got)
	}
	var back Intervals
	if len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "fewer than 300 each: a;") {
		t.Errorf("%q", got.Warnings)
	}
	if text, err := json.Marshal(got); err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, got) {
		t.Errorf("%+v comes back as %+v", got, back)
	}
}

// BenchmarkBootstrap draws 2000 resamples of ten million rows of 34 classes, each of which is taken for each other.
func BenchmarkBootstrap(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	c := New(make([]string, 34))
	for i := range c.Counts {
		for j := range c.Counts {
			c.AddN(i, j, 1+random.Uint64N(17_300))
		}
	}
	for b.Loop() {
		drawn(b, c, 2000, 1, 0.95)
	}
}
