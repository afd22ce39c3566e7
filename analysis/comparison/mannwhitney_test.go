package comparison

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"
)

// The smallest table of critical values there is: the largest U that is significant at 0.05, two-sided, for n and m from 4 to 10, as it stands
// in textbooks (after Mann and Whitney 1947, and Auble 1953).
var critical = map[[2]int]int{
	{4, 4}: 0, {4, 5}: 1, {4, 6}: 2, {4, 7}: 3, {4, 8}: 4, {4, 9}: 4, {4, 10}: 5,
	{5, 5}: 2, {5, 6}: 3, {5, 7}: 5, {5, 8}: 6, {5, 9}: 7, {5, 10}: 8,
	{6, 6}: 5, {6, 7}: 6, {6, 8}: 8, {6, 9}: 10, {6, 10}: 11,
	{7, 7}: 8, {7, 8}: 10, {7, 9}: 12, {7, 10}: 14,
	{8, 8}: 13, {8, 9}: 15, {8, 10}: 17,
	{9, 9}: 17, {9, 10}: 20, {10, 10}: 23,
	{12, 12}: 37, {15, 15}: 64, {20, 20}: 127,
}

// withU makes samples of distinct values that have this U.
func withU(n, m, u int) (x, y []float64) {
	// All of y below all of x is U 0; moving the largest of y up by one place is one more.
	above := make([]int, m) // how many of x each value of y passes, from the largest
	for i := range above {
		above[i] = min(u, n)
		u -= above[i]
	}
	for i := range n {
		x = append(x, float64(i+1)) // 1 to n
	}
	for i, a := range above {
		y = append(y, float64(a)+0.5-float64(i)/float64(2*m+2))
	}
	return x, y
}

func TestCriticalValuesOfTables(t *testing.T) {
	for size, u := range critical {
		for step, significant := range []bool{true, false} {
			x, y := withU(size[0], size[1], u+step)
			got, p := MannWhitney(x, y)
			if got != float64(u+step) || (p <= 0.05) != significant {
				t.Errorf("n %d, m %d: U %v has p %.4f; tables say that %d is the largest U below 0.05", size[0], size[1], got, p, u)
			}
			if mirrored, q := MannWhitney(y, x); mirrored != float64(size[0]*size[1])-got || q != p {
				t.Errorf("n %d, m %d: sides exchanged, U %v has p %v, not %v", size[0], size[1], mirrored, q, p)
			}
		}
	}
}

// byDealing tries every way to deal the values.
func byDealing(x, y []float64) float64 {
	all := slices.Concat(x, y)
	u := func(mine uint) (u float64) {
		for i, a := range all {
			for j, b := range all {
				if mine>>i&1 == 0 && mine>>j&1 == 1 {
					switch {
					case b > a:
						u++
					case b == a:
						u += 0.5
					}
				}
			}
		}
		return u
	}
	bits := func(v uint) (n int) {
		for ; v > 0; v &= v - 1 {
			n++
		}
		return n
	}
	seen := u((1<<len(y) - 1) << len(x))
	ways, low, high := 0.0, 0.0, 0.0
	for mine := range uint(1) << len(all) {
		if bits(mine) != len(y) {
			continue
		}
		ways++
		v := u(mine)
		if v <= seen {
			low++
		}
		if v >= seen {
			high++
		}
	}
	return min(1, 2*min(low, high)/ways)
}

func TestPWithEqualValuesIsThatOfAllDealings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		draw := func() (s []float64) {
			for range 1 + r.IntN(5) {
				s = append(s, float64(r.IntN(6)))
			}
			return s
		}
		x, y := draw(), draw()
		if r.IntN(5) == 0 {
			x[0] = math.Inf(-1)
		}
		_, p := MannWhitney(x, y)
		if want := byDealing(x, y); p != want {
			t.Fatalf("%v against %v: p %v, of all dealings %v", x, y, p, want)
		}
	}
}

func TestNoValuesAndNaNAreNoEvidence(t *testing.T) {
	for _, pair := range [][2][]float64{{nil, {1}}, {{1}, nil}, {nil, nil}, {{1, 2, math.NaN()}, {4, 5, 6}}, {{1, 1, 1, 1}, {1, 1, 1, 1}}} {
		if _, p := MannWhitney(pair[0], pair[1]); p != 1 {
			t.Errorf("%v: p %v", pair, p)
		}
	}
	same := make([]float64, 40)
	if _, p := MannWhitney(same, same); p != 1 {
		t.Errorf("80 equal values: p %v", p)
	}
}

func TestSmallestP(t *testing.T) {
	for _, tt := range []struct {
		n, m int
		want float64
	}{{3, 3, 0.1}, {4, 4, 2.0 / 70}, {6, 6, 2.0 / 924}, {1, 1, 1}, {4, 10, 2.0 / 1001}} {
		x, y := withU(tt.n, tt.m, 0)
		_, p := MannWhitney(x, y)
		if got := SmallestP(tt.n, tt.m); math.Abs(got-tt.want) > 1e-15 || p != got {
			t.Errorf("%d and %d: %v, and p of no overlap %v; want %v", tt.n, tt.m, got, p, tt.want)
		}
	}
}

// scipyPython returns a Python with scipy.
func scipyPython(t *testing.T) string {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(python, "-c", "import scipy.stats").Run() == nil {
			return python
		}
	}
	t.Skip("no Python with scipy")
	return ""
}

func TestPIsScipys(t *testing.T) {
	python := scipyPython(t)
	type sample struct {
		X, Y   []float64
		Method string
	}
	var samples []sample
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 60 {
		n, m, method := 1+r.IntN(12), 1+r.IntN(12), "exact"
		if i%3 == 0 {
			n, m, method = 30+r.IntN(40), 30+r.IntN(40), "asymptotic"
		}
		s := sample{Method: method}
		draw := func(k int, shift float64) (values []float64) {
			for range k {
				v := r.NormFloat64() + shift
				if method == "asymptotic" {
					v = math.Round(4 * v) // equal values
				}
				values = append(values, v)
			}
			return values
		}
		s.X, s.Y = draw(n, 0), draw(m, 0.5*float64(i%4))
		samples = append(samples, s)
	}
	in, err := json.Marshal(samples)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `import sys, json
from scipy.stats import mannwhitneyu
print(json.dumps([list(map(float, mannwhitneyu(s["Y"], s["X"], alternative="two-sided", method=s["Method"]))) for s in json.loads(sys.argv[1])]))`, string(in)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want [][2]float64
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		u, p := MannWhitney(s.X, s.Y)
		if u != want[i][0] || math.Abs(p-want[i][1]) > 1e-12 {
			t.Errorf("%s, %d and %d values: U %v, p %v; scipy says %v", s.Method, len(s.X), len(s.Y), u, p, want[i])
		}
	}
}
