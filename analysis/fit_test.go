package analysis

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func mustFit(t *testing.T, form Form, points []FitPoint) Fit {
	t.Helper()
	f, err := FitForm(form, points)
	if err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	if _, err := json.Marshal(f); err != nil {
		t.Fatalf("%s: %v", form, err)
	}
	return f
}

func wantTerm(t *testing.T, name string, got Term, value, se, quantile float64) {
	t.Helper()
	if !near(got.Value, value, 1e-9) || !near(got.SE, se, 1e-9) {
		t.Errorf("%s %.12g with standard error %.12g, want %.12g with %.12g", name, got.Value, got.SE, value, se)
	}
	if !near(got.Interval.Low, value-quantile*se, 1e-8) || !near(got.Interval.High, value+quantile*se, 1e-8) ||
		got.Interval.Coverage != Level {
		t.Errorf("%s: interval %v, want %.12g ± %.12g", name, got.Interval, value, quantile*se)
	}
}

// Student's t at .975, from tables: tan(.475 pi) for one degree of freedom.
var t1, t2 = math.Tan(0.475 * math.Pi), 4.30265272975

func TestFitFormByHand(t *testing.T) {
	t.Run("flat", func(t *testing.T) {
		// Mean (2 + 3*4)/4; squares 1*1.5² + 3*.5² = 3 with one degree of freedom.
		f := mustFit(t, FormFlat, []FitPoint{{NS: 2}, {NS: 4, Weight: 3}})
		wantTerm(t, "base", f.Base, 3.5, math.Sqrt(3.0/4), t1)
		if !near(f.MAPE, (0.75+0.125)/2, 1e-12) || !near(f.Worst, 0.75, 1e-12) || f.R2 != 0 || f.Accepted {
			t.Errorf("%+v", f)
		}
	})
	t.Run("line", func(t *testing.T) {
		// Slope 3/2 through (1, 8/3); residuals -1/6, 1/3, -1/6.
		f := mustFit(t, FormLine, []FitPoint{{Octets: 0, NS: 1}, {Octets: 1, NS: 3}, {Octets: 2, NS: 4}})
		wantTerm(t, "base", f.Base, 7.0/6, math.Sqrt(5.0/36), t1)
		wantTerm(t, "per octet", f.PerOctet, 1.5, math.Sqrt(1.0/12), t1)
		if !near(f.R2, 27.0/28, 1e-12) {
			t.Errorf("R2 %g, want 27/28", f.R2)
		}
	})
	t.Run("line, weights", func(t *testing.T) {
		// Weights 4:1:1 as in TestFitCostByHand: 44/21 + 8/7 octets. Residuals -2/21, 16/21, -8/21 give weighted squares
		// 336/441; weight 6, mean size 1/2, spread 3.5.
		f := mustFit(t, FormLine, []FitPoint{{Octets: 0, NS: 2, Weight: 4}, {Octets: 1, NS: 4}, {Octets: 2, NS: 4}})
		s := math.Sqrt(336.0 / 441)
		wantTerm(t, "base", f.Base, 44.0/21, s*math.Sqrt(1.0/6+0.25/3.5), t1)
		wantTerm(t, "per octet", f.PerOctet, 8.0/7, s/math.Sqrt(3.5), t1)
		// Weighted mean 8/3: total squares 4*(2/3)² + 2*(4/3)² = 48/9.
		if want := 1 - 336.0/441/(48.0/9); !near(f.R2, want, 1e-12) {
			t.Errorf("R2 %g, want %g", f.R2, want)
		}
	})
	t.Run("per second", func(t *testing.T) {
		// In 1/pps it is the line above.
		f := mustFit(t, FormPerSecond, []FitPoint{{PPS: 1, NS: 3}, {PPS: 0.5, NS: 4}, {PPS: 1e300, NS: 1}})
		wantTerm(t, "base", f.Base, 7.0/6, math.Sqrt(5.0/36), t1)
		wantTerm(t, "per second", f.PerSecond, 1.5, math.Sqrt(1.0/12), t1)
	})
	t.Run("wake-up, exact", func(t *testing.T) {
		var points []FitPoint
		for _, pps := range []float64{5000, 100, 300, 500, 1500} {
			points = append(points, FitPoint{PPS: pps, NS: 100 + 200*max(0, 1-pps/1000)})
		}
		f := mustFit(t, FormWakeup, points)
		if !near(f.Base.Value, 100, 1e-9) || !near(f.Wakeup.Value, 200, 1e-9) || !near(f.BusyPPS.Value, 1000, 1e-9) {
			t.Errorf("%+v", f)
		}
		if !f.Accepted || f.MAPE > 1e-9 || !near(f.R2, 1, 1e-9) || len(f.Warnings) > 0 {
			t.Errorf("%+v", f)
		}
		for _, p := range points {
			if !near(f.At(0, p.PPS), p.NS, 1e-9) {
				t.Errorf("%g ns at %g pps, want %g", f.At(0, p.PPS), p.PPS, p.NS)
			}
		}
		if f.At(0, math.Inf(1)) != f.Base.Value {
			t.Error("a rate without end does not cost the base")
		}
	})
	t.Run("wake-up, with a misfit", func(t *testing.T) {
		// 12 - 2*pps below, 4 ± 1 above, meeting at 4 pps: squares 2 with 2 degrees of freedom.
		f := mustFit(t, FormWakeup, []FitPoint{{PPS: 1, NS: 10}, {PPS: 2, NS: 8}, {PPS: 3, NS: 6}, {PPS: 6, NS: 3}, {PPS: 8, NS: 5}})
		if !near(f.Base.Value, 4, 1e-9) || !near(f.Wakeup.Value, 8, 1e-9) || !near(f.BusyPPS.Value, 4, 1e-9) {
			t.Fatalf("%+v", f)
		}
		wantTerm(t, "base", f.Base, 4, math.Sqrt(1.0/2), t2)
		// The line below has intercept A (its variance at 0: 1/3 + 2²/2) and is independent of the base C: Wakeup = A - C.
		wantTerm(t, "wake-up", f.Wakeup, 8, math.Sqrt(1.0/3+2+0.5), t2)
		// The knee g = (C-A)/B moves by (dC - dA - g*dB)/B; A and B = -2 have variances 7/3 and 1/2 and covariance -1.
		variance := (0.5 + 7.0/3 + 16*0.5 + 2*4*(-1)) / 4
		wantTerm(t, "busy", f.BusyPPS, 4, math.Sqrt(variance), t2)
	})
}

func TestFitFormWeightIsRepetition(t *testing.T) {
	one := []FitPoint{{48, 2604, 124, 0, 0}, {148, 1690, 151, 0, 0}, {328, 381, 257, 0, 0}, {608, 206, 271, 3, 0},
		{888, 141, 293, 0, 0}, {1448, 8262, 119, 2, 0}, {1168, 5000, 112, 0, 0}}
	var all []FitPoint
	for _, p := range one {
		for range int(p.weight()) {
			q := p
			q.Weight = 7 // a common factor changes nothing
			all = append(all, q)
		}
	}
	for _, form := range Forms() {
		a, b := mustFit(t, form, one), mustFit(t, form, all)
		for i, x := range a.terms() {
			if y := b.terms()[i]; math.Abs(x.Value-y.Value) > 1e-9*max(1, math.Abs(x.Value)) {
				t.Errorf("%s: term %d is %g with weights, %g repeated", form, i+1, x.Value, y.Value)
			}
		}
		if !near(a.R2, b.R2, 1e-9) && form != FormFlat {
			t.Errorf("%s: R2 %g with weights, %g repeated", form, a.R2, b.R2)
		}
	}
}

// The knee that brokenLine finds is held against a scan of knees, each with the closed form of a line in max(0, 1-x/knee).
func TestBrokenLineIsTheLeast(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		n := 5 + r.IntN(12)
		x, y, w := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = math.Floor(math.Exp(2 + float64(6*r.Float64())))
			y[i] = 100 + float64(100*max(0, 1-x[i]/300)) + float64(15*r.NormFloat64())
			w[i] = 0.5 + r.Float64()
		}
		base, wakeup, knee, err := brokenLine(x, y, w)
		if err != nil {
			continue // too few distinct rates were drawn
		}
		squares := func(b, a, k float64) float64 {
			var s float64
			for i := range x {
				d := y[i] - b - float64(a*max(0, 1-x[i]/k))
				s += w[i] * d * d
			}
			return s
		}
		found := squares(base, wakeup, knee)
		low, second, high := math.Inf(1), math.Inf(1), 0.0
		for _, v := range x {
			switch {
			case v < low:
				low, second = v, low
			case v > low && v < second:
				second = v
			}
			high = max(high, v)
		}
		for step := range 2000 {
			k := second + float64((high-second)*float64(step+1)/2000)
			var sw, sh, sy, shh, shy float64
			for i := range x {
				h := max(0, 1-x[i]/k)
				sw, sh, sy = sw+w[i], sh+float64(w[i]*h), sy+float64(w[i]*y[i])
				shh, shy = shh+float64(w[i]*h*h), shy+float64(w[i]*h*y[i])
			}
			a := (sw*shy - sh*sy) / (sw*shh - sh*sh)
			if b := (sy - a*sh) / sw; squares(b, a, k) < found*(1-1e-9) {
				t.Fatalf("knee %g has squares %g, less than %g of the knee found, %g", k, squares(b, a, k), found, knee)
			}
		}
	}
}

func TestFitFormRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	good := []FitPoint{{64, 10, 10, 0, 0}, {128, 20, 11, 0, 0}, {256, 30, 12, 0, 0}, {512, 40, 13, 0, 0}}
	with := func(p FitPoint) []FitPoint { return append(good[:4:4], p) }
	same := func(p FitPoint) []FitPoint { return []FitPoint{p, p, p, p, p} }
	near := append(good[:0:0], good...) // of one setting
	for i := range near {
		near[i].PPS = 10 + float64(i)/100
	}
	flat := append(good[:0:0], good...)
	for i := range flat {
		flat[i].NS = 10
	}
	tests := []struct {
		name    string
		form    Form
		points  []FitPoint
		message string
		is      error
	}{
		{"nothing", FormFlat, nil, "0 points cannot fit", nil},
		{"one point", FormFlat, good[:1], "1 point cannot fit", nil},
		{"no such form", "cubic", good, `unknown form of cost "cubic"`, nil},
		{"two sizes", FormLine, good[:2], "have 2", ErrTooFewSizes},
		{"one size", FormLine, same(good[0]), "have 1", ErrTooFewSizes},
		{"one rate", FormPerSecond, same(good[0]), "have 1", ErrTooFewRates},
		{"rates that are almost one", FormPerSecond, near, "have 1", ErrTooFewRates},
		{"three rates", FormWakeup, good[:3], "have 3", ErrTooFewRates},
		{"cost of zero", FormFlat, with(FitPoint{Octets: 1, PPS: 1}), "point 5 of 5: 0 ns", nil},
		{"cost below zero", FormLine, with(FitPoint{Octets: 1, PPS: 1, NS: -1}), "point 5", nil},
		{"cost not a number", FormWakeup, with(FitPoint{Octets: 1, PPS: 1, NS: nan}), "point 5", nil},
		{"cost without end", FormFlat, with(FitPoint{Octets: 1, PPS: 1, NS: inf}), "point 5", nil},
		{"size not a number", FormFlat, with(FitPoint{Octets: nan, PPS: 1, NS: 1}), "point 5", nil},
		{"rate not a number", FormPerSecond, with(FitPoint{Octets: 1, PPS: nan, NS: 1}), "point 5", nil},
		{"rate without end", FormPerSecond, with(FitPoint{Octets: 1, PPS: inf, NS: 1}), "point 5", nil},
		{"weight below zero", FormLine, with(FitPoint{Octets: 1, PPS: 1, NS: 1, Weight: -1}), "point 5", nil},
		{"no rate", FormWakeup, with(FitPoint{Octets: 1, NS: 1}), "point 5 of 5 has no rate", nil},
		{"one rate is apart", FormWakeup, []FitPoint{{1, 10, 20, 0, 0}, {1, 20, 10, 0, 0}, {1, 30, 11, 0, 0}, {1, 40, 9, 0, 0},
			{1, 50, 10, 0, 0}}, "only from the lowest rate", nil},
		{"sizes that are almost one", FormLine, []FitPoint{{1, 0, 1, 0, 0}, {1 + 1e-15, 0, 2, 0, 0}, {1 - 1e-15, 0, 3, 0, 0},
			{1, 0, 2, 0, 0}}, "apart", nil},
		{"costs too high", FormLine, []FitPoint{{1, 0, 1e308, 0, 0}, {2, 0, 1e-308, 0, 0}, {3, 0, 1e308, 0, 0}, {4, 0, 1, 0, 0}},
			"apart", nil},
		{"no rate term at all", FormWakeup, flat, "does not fall with the rate", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := FitForm(tt.form, tt.points)
			if err == nil || !strings.Contains(err.Error(), tt.message) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v, want one with %q; %+v", err, tt.message, f)
			}
		})
	}
}

func TestFitFormWarnings(t *testing.T) {
	rates := []float64{100, 200, 400, 800, 1600, 3200}
	points := func(cost func(octets, pps float64) float64) []FitPoint {
		var p []FitPoint
		for i, pps := range rates {
			octets := float64(64 * (i*i + 1))
			p = append(p, FitPoint{Octets: octets, PPS: pps, NS: cost(octets, pps)})
		}
		return p
	}
	noise := func(octets float64) float64 { return math.Mod(float64(octets*0.37), 3) }
	tests := []struct {
		name     string
		form     Form
		points   []FitPoint
		accepted bool
		warning  string
	}{
		{"no cost per octet", FormLine, points(func(o, _ float64) float64 { return 100 + noise(o) }), true, "told from none"},
		{"falls with size", FormLine, points(func(o, _ float64) float64 { return 500 - float64(o/10) + noise(o) }), true,
			"falls with size"},
		{"negative base", FormLine, points(func(o, _ float64) float64 { return o - 20 }), true, "base cost is negative"},
		{"not a constant", FormFlat, points(func(o, _ float64) float64 { return o }), false, "cost is not a constant: mean misfit"},
		{"not a line", FormLine, points(func(_, r float64) float64 { return 1e4 / r }), false, "cost is not a + b*octets"},
		{"rises with the rate", FormWakeup, points(func(_, r float64) float64 { return min(r, 1000) + 1000 }), true,
			"rises with the rate"},
		{"never busy", FormWakeup, points(func(_, r float64) float64 { return 5000 - r }), true, "no rate was measured"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := mustFit(t, tt.form, tt.points)
			if all := strings.Join(f.Warnings, "; "); f.Accepted != tt.accepted || !strings.Contains(all, tt.warning) {
				t.Errorf("accepted %v, warnings %q, want %q", f.Accepted, all, tt.warning)
			}
		})
	}
}

func TestFitFormRepeats(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	cost := func(shift float64, octets float64) float64 {
		return (40 + float64(0.05*octets)) * shift * (1 + float64(0.01*r.NormFloat64()))
	}
	var points []FitPoint
	for k := range 6 {
		shift := 1 + float64(0.05*r.NormFloat64())
		for _, octets := range []float64{64, 128, 256, 512, 1024, 1518} {
			points = append(points, FitPoint{Octets: octets, NS: cost(shift, octets), Repeat: k})
		}
	}
	f := mustFit(t, FormLine, points)
	if f.Repeats != 6 || !near(f.Base.Interval.Coverage, 0.96875, 1e-9) || len(f.Warnings) > 0 {
		t.Errorf("%+v", f)
	}
	few := mustFit(t, FormLine, points[:5*6])
	all := strings.Join(few.Warnings, "; ")
	if few.Base.Interval.Coverage != Level || !strings.Contains(all, "5 whole repeats give no") {
		t.Errorf("%+v", few)
	}
	cut := mustFit(t, FormLine, points[:6*6-1])
	if all := strings.Join(cut.Warnings, "; "); !strings.Contains(all, "1 of 6 repeats are not whole") {
		t.Errorf("%+v", cut)
	}
}

// Intervals of independent points hold the true value as often as they say; those of a broken line, by its tangent, nearly.
func TestFitFormIntervalCoverage(t *testing.T) {
	const draws = 1000
	r := rand.New(rand.NewPCG(11, 7))
	rates := []float64{86, 107, 141, 173, 173, 206, 259, 345, 381, 432, 535, 704, 863, 1028, 1690, 1905, 2604, 8262, 13020}
	hits := map[string]int{}
	for range draws {
		var line, wakeup []FitPoint
		for i, pps := range rates {
			octets := float64(48 + 77*i)
			line = append(line, FitPoint{Octets: octets, NS: 1000 + octets + float64(50*r.NormFloat64())})
			wakeup = append(wakeup, FitPoint{PPS: pps, NS: 117 + float64(184*max(0, 1-pps/2300)) + float64(13*r.NormFloat64())})
		}
		l, w := mustFit(t, FormLine, line), mustFit(t, FormWakeup, wakeup)
		for name, hit := range map[string]bool{
			"base": l.Base.Interval.holds(1000), "per octet": l.PerOctet.Interval.holds(1),
			"base of the broken line": w.Base.Interval.holds(117), "wake-up": w.Wakeup.Interval.holds(184),
			"busy": w.BusyPPS.Interval.holds(2300),
		} {
			if hit {
				hits[name]++
			}
		}
	}
	for name, least := range map[string]float64{"base": 0.935, "per octet": 0.935, "base of the broken line": 0.9, "wake-up": 0.9,
		"busy": 0.9} {
		share := float64(hits[name]) / draws
		t.Logf("%s: %.4f of the intervals hold the true value", name, share)
		if share < least || share > 0.98 {
			t.Errorf("%s: %.4f of the intervals hold the true value, promised 0.95", name, share)
		}
	}
}

func TestChooseFit(t *testing.T) {
	fit := func(form Form, mape float64) Fit { return Fit{Form: form, MAPE: mape, Accepted: mape <= MaxMAPE} }
	tests := []struct {
		name string
		fits []Fit
		want Form
	}{
		{"none", nil, ""},
		{"all refused", []Fit{fit(FormFlat, 0.2), fit(FormLine, 0.2)}, ""},
		{"the simplest", []Fit{fit(FormWakeup, 0.04), fit(FormFlat, 0.05)}, FormFlat},
		{"half the misfit", []Fit{fit(FormFlat, 0.05), fit(FormLine, 0.02)}, FormLine},
		{"the better of two lines", []Fit{fit(FormFlat, 0.2), fit(FormLine, 0.05), fit(FormPerSecond, 0.04)}, FormPerSecond},
		{"one left", []Fit{fit(FormFlat, 0.3), fit(FormLine, 0.2), fit(FormPerSecond, 0.19), fit(FormWakeup, 0.04)}, FormWakeup},
		{"exact and simple", []Fit{fit(FormFlat, 0), fit(FormLine, 0)}, FormFlat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if f, ok := ChooseFit(tt.fits...); f.Form != tt.want || ok != (tt.want != "") {
				t.Errorf("%q %v, want %q", f.Form, ok, tt.want)
			}
		})
	}
}

func TestPredictCount(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name                          string
		offered, control, cost, queue float64
		duration                      time.Duration
		want                          float64 // 0 is an error
	}{
		{"all are taken", 900, 34, 3e6, 57, 10 * time.Second, 934},
		{"as many as fit in", 8632, 34, 4e6, 57, 10 * time.Second, 2557},
		{"the queue alone", 1000, 0, 1e9, 158, 0, 158},
		{"exactly all", 100, 0, 1e7, 0, time.Second, 100},
		{"no cost", 100, 0, 0, 0, time.Second, 0},
		{"cost not a number", 100, 0, nan, 0, time.Second, 0},
		{"less than nothing offered", -1, 0, 1, 0, time.Second, 0},
		{"queue without end", 1, 0, 1, math.Inf(1), time.Second, 0},
		{"time before", 1, 0, 1, 0, -time.Second, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := PredictCount(tt.offered, tt.control, tt.duration, tt.cost, tt.queue)
			if got != tt.want || (err != nil) != (tt.want == 0) {
				t.Errorf("%g, error %v, want %g", got, err, tt.want)
			}
		})
	}
}

func FuzzFitForm(f *testing.F) {
	f.Add(64.0, 10.0, 10.0, 1.0, 128.0, 20.0, 11.0, 0.0, 3.0)
	f.Add(1e300, 1e-300, 1e308, 1e-300, 0.0, 1e300, 1e-308, 1e300, 1.0)
	f.Fuzz(func(t *testing.T, o1, p1, n1, w1, o2, p2, n2, w2, step float64) {
		points := []FitPoint{{o1, p1, n1, w1, 0}, {o2, p2, n2, w2, 1}, {o1 * step, p1 * step, n1 * step, w2, 0},
			{o2 * step, p2 + step, n2, w1, 1}, {o1 + o2, p1 + p2, n1 + n2, w1, 0}}
		for _, form := range Forms() {
			fit, err := FitForm(form, points)
			if err != nil {
				continue
			}
			if _, err := json.Marshal(fit); err != nil {
				t.Errorf("%s: %v", form, err)
			}
		}
	})
}
