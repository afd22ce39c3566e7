package score

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestKSByHand(t *testing.T) {
	for _, tt := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{1, 2, 3}, 0},
		{[]float64{1, 2, 3}, []float64{4, 5}, 1},
		{[]float64{4, 5}, []float64{1, 2, 3}, 1},
		{[]float64{0, 0, 0, 1}, []float64{0, 1, 1, 1}, 0.5},
		{[]float64{1, 2}, []float64{1, 1, 2, 2, 2}, 0.1}, // shares up to 1: 5/10 and 4/10
		{[]float64{7}, []float64{7}, 0},
	} {
		if got := KS(tt.a, tt.b); got != tt.want {
			t.Errorf("KS(%v, %v) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
	// Critical values of Kolmogorov's distribution (Smirnov 1948): 1.3581 at 5 %, 1.6276 at 1 %, 0.8276 at 50 %.
	for x, want := range map[float64]float64{1.35810: 0.05, 1.62762: 0.01, 0.82757: 0.5, 0.44: 0.9903} {
		near(t, "probability", KSProbability(x/math.Sqrt(5000), 10_000, 10_000), want, 1e-4)
	}
	if KSProbability(0, 5, 5) != 1 || KSProbability(1, 50_000, 50_000) != 0 {
		t.Error("probabilities of the extremes")
	}
}

// TestPSIByHand has sums done by hand: four bins of a quarter that become 10, 20, 30 and 40 %.
func TestPSIByHand(t *testing.T) {
	quarter := []float64{0.25, 0.25, 0.25, 0.25}
	// 0.15 ln 2.5 + 0.05 ln 1.25 + 0.05 ln 1.2 + 0.15 ln 1.6
	near(t, "PSI", PSI(quarter, []float64{0.1, 0.2, 0.3, 0.4}), 0.137443611+0.011157178+0.009116078+0.070500544, 1e-8)
	near(t, "PSI of the same", PSI(quarter, quarter), 0, 0)
	near(t, "PSI with an empty bin", PSI([]float64{0.5, 0.5, 0}, []float64{0, 1, 0}), (0.0001-0.5)*math.Log(0.0002)+0.5*math.Ln2, 1e-12)
}

func sample(limit int, values ...float64) *Sample {
	s := NewSample([]string{"x"}, limit, 1)
	for _, v := range values {
		s.Add([]float64{v})
	}
	return s
}

func compare(t *testing.T, a, b *Sample) ColumnDrift {
	t.Helper()
	d, err := Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return d.Columns[0]
}

func repeat(v float64, n int) []float64 { return slices.Repeat([]float64{v}, n) }

func TestCompare(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	c := compare(t, sample(0, 1, 2, 3, 4, inf, nan), sample(0, 3, 4, 5, 6, 7))
	if c.KS != 0.6 || c.Reference.NonFinite != 2 || c.Other.NonFinite != 0 || c.Reference.Mean != 2.5 || c.Reference.Median != 2.5 || c.Other.Mean != 5 ||
		c.Other.Median != 5 || c.Other.Min != 3 || c.Other.Max != 7 {
		t.Errorf("%+v", c)
	}
	// A column that has one value, and then another: below and above are not one bin.
	for _, other := range []float64{10, 1000} {
		if c := compare(t, sample(0, repeat(100, 50)...), sample(0, repeat(other, 50)...)); c.PSI < 9 || c.KS != 1 || c.Bins != 2 {
			t.Errorf("100 and %v: %+v", other, c)
		}
	}
	// Nine tenths of one value: it has a bin of its own.
	c = compare(t, sample(0, append(repeat(0, 90), repeat(5, 10)...)...), sample(0, append(repeat(0, 50), repeat(5, 50)...)...))
	near(t, "PSI", float64(c.PSI), 0.4*math.Log(0.5/0.1)-0.4*math.Log(0.5/0.9), 1e-12)
	near(t, "PSI by chance", float64(c.PSIByChance), 0.02, 1e-15)
	// Too few rows for deciles, and for what chance alone gives.
	eleven := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	if c = compare(t, sample(0, eleven[:10]...), sample(0, repeat(3, 200)...)); c.PSI.Defined() || c.PSIByChance.Defined() || c.Bins != 0 || !c.KS.Defined() {
		t.Errorf("of ten rows: %+v", c)
	}
	// Ten bins, of which the first has two rows; by hand, with all of the other side in that of 11: 2/11, 8 of 1/11 empty, and 1/11 against 1.
	c = compare(t, sample(0, eleven...), sample(0, repeat(11, 99)...))
	gone := func(r float64) float64 { return (Least - r) * math.Log(Least/r) }
	near(t, "PSI of eleven rows", float64(c.PSI), gone(2./11)+8*gone(1./11)+10./11*math.Log(11), 1e-12)
	if c.PSIByChance.Defined() || c.Bins != 10 {
		t.Errorf("of eleven rows: %+v", c)
	}
	// Of three finite values among many others none fills a decile: up to 2, above 2, and not finite are the bins.
	c = compare(t, sample(0, append(repeat(nan, 97), 1, 2, 3)...), sample(0, append(repeat(nan, 97), 1, 2, 3)...))
	if c.PSI != 0 || c.Bins != 3 {
		t.Errorf("three finite values: %+v", c)
	}
	// Sums and distances beyond what a float64 holds.
	c = compare(t, sample(0, repeat(1.5e308, 12)...), sample(0, -1.5e308, 1.5e308, 1e308, -1.5e308))
	if c.Reference.Mean != 1.5e308 || c.Reference.Median != 1.5e308 || math.Abs(float64(c.Other.Mean)/-1.25e307-1) > 1e-12 || math.Abs(float64(c.Other.Median)/-2.5e307-1) > 1e-12 {
		t.Errorf("large values: %+v", c)
	}
	// No finite value on one side: PSI only.
	c = compare(t, sample(0, eleven...), sample(0, nan, inf))
	if c.KS.Defined() || c.P.Defined() || !(c.PSI > 5) || c.Other.Mean.Defined() || c.Other.NonFinite != 2 {
		t.Errorf("%+v", c)
	}
	text, err := json.Marshal(c)
	var back ColumnDrift
	if err != nil || !strings.Contains(string(text), `"ks":null`) || json.Unmarshal(text, &back) != nil || back.KS.Defined() || back.PSI != c.PSI {
		t.Errorf("%s, %v", text, err)
	}
	c = compare(t, sample(0), sample(0, 1))
	if c.KS.Defined() || c.PSI.Defined() || c.Bins != 0 {
		t.Errorf("against nothing: %+v", c)
	}
	if _, err := Compare(sample(0), NewSample([]string{"y"}, 0, 1)); err == nil {
		t.Error("compared other columns")
	}
}

func TestNoDrift(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	draw := func(n int) *Sample {
		s := NewSample([]string{"x"}, 0, 1)
		for range n {
			s.Add([]float64{random.NormFloat64()})
		}
		return s
	}
	c := compare(t, draw(4000), draw(2000))
	if c.KS > 0.06 || c.P < 1e-4 || c.PSI > 10*c.PSIByChance || c.Bins != 10 {
		t.Errorf("%+v", c)
	}
}

// TestReservoir checks that each row is kept as likely, and what is counted of all rows.
func TestReservoir(t *testing.T) {
	kept := make([]int, 40)
	for seed := range uint64(2000) {
		s := NewSample([]string{"x"}, 10, seed)
		for v := range 40 {
			s.Add([]float64{float64(v)})
		}
		if s.Rows() != 40 || s.Kept() != 10 {
			t.Fatal(s.Rows(), s.Kept())
		}
		for _, v := range s.kept[0] {
			kept[int(v)]++
		}
	}
	for v, n := range kept {
		if math.Abs(float64(n)-500) > 5*math.Sqrt(2000*0.25*0.75) {
			t.Errorf("row %d was kept %d times of 2000, want 500", v, n)
		}
	}
	s := sample(3, 1, 2, 3, 4, math.NaN(), 10)
	if summary, _ := s.column(0, nil); summary.Mean != 4 || summary.NonFinite != 1 {
		t.Errorf("%+v", summary)
	}
	row := []float64{5}
	if n := testing.AllocsPerRun(1000, func() { s.Add(row) }); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}

func TestPairing(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	p := NewPairing([]string{"x", "y"})
	for _, rows := range [][2][]float64{
		{{1, nan}, {1, nan}}, {{math.Copysign(0, -1), inf}, {0, inf}}, {{2, 1}, {1, nan}}, {{-1, inf}, {1, 5}}, {{1e308, 3}, {-1e308, 3}},
	} {
		p.Add(rows[0], rows[1])
	}
	want := []ColumnPairs{{"x", 3, 0, 2, 4}, {"y", 2, 2, 0, 0}}
	if got := p.Columns(); !slices.Equal(got, want) || p.Rows() != 5 {
		t.Errorf("%+v, want %+v", got, want)
	}
	a, b := []float64{1, 2}, []float64{2, nan}
	if n := testing.AllocsPerRun(100, func() { p.Add(a, b) }); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}
