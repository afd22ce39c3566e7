package hoeffding

import (
	"math"
	"testing"
)

// Package math is the truth here; both are within a few units in the last place of the value itself.
func TestNumbersAgreeWithPackageMath(t *testing.T) {
	worst := func(name string, f, g func(float64) float64, from, to float64, ulps float64) {
		t.Helper()
		for i := 0; i <= 20000; i++ {
			x := from + (to-from)*float64(i)/20000
			got, want := f(x), g(x)
			if math.Abs(got-want) > ulps*0x1p-53*math.Max(math.Abs(want), 0x1p-1022) {
				t.Fatalf("%s(%v) = %v, package math has %v", name, x, got, want)
			}
		}
	}
	worst("ln", ln, math.Log, 1e-9, 0.5, 6)
	worst("ln", ln, math.Log, 0.5, 2, 6)
	worst("ln", ln, math.Log, 2, 1e12, 6)
	worst("exp", exp, math.Exp, -700, 700, 6)
	worst("exp", exp, math.Exp, -1, 1, 6)
	worst("erf", erf, math.Erf, -7, 7, 6)
	worst("log2", log2, math.Log2, 1e-6, 1, 8)
	worst("log2", log2, math.Log2, 1, 5e6, 8)
	for e := -1000; e <= 1000; e++ {
		if got := log2(math.Ldexp(1, e)); got != float64(e) {
			t.Fatalf("log2(2^%d) = %v", e, got)
		}
		if got, want := ln(math.Ldexp(1.37, e)), math.Log(math.Ldexp(1.37, e)); math.Abs(got-want) > 1e-15*math.Abs(want) {
			t.Fatalf("ln(1.37 * 2^%d) = %v, want %v", e, got, want)
		}
	}
	for _, x := range []float64{-745.13, -740, -720, -708.5, -746, -1e9} {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 5e-324 && math.Abs(got-want) > 1e-15*want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	for x, want := range map[float64]float64{0: 0, 10: 1, -10: -1, 6: 1, -6: -1, 5.8: math.Erf(5.8), 1e300: 1} {
		if got := erf(x); got != want {
			t.Errorf("erf(%v) = %v, want %v", x, got, want)
		}
	}
	if !math.IsInf(exp(711), 1) {
		t.Error("exp(711) is finite")
	}
}
