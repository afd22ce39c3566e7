package linear

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// objectiveOf is the objective of rows that are standardised.
func objectiveOf(t *testing.T, d *data, cfg Config, limit int) *objective {
	t.Helper()
	if err := cfg.defaults(); err != nil {
		t.Fatal(err)
	}
	tr := newTrainer(d.columns, d.classes, d.rows, cfg)
	m, err := tr.moments(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return newObjective(t.Context(), tr, m, cfg, limit)
}

// TestDerivatives compares gradient and Hessian with differences of the objective, and the objective with its definition.
func TestDerivatives(t *testing.T) {
	for _, classes := range []int{2, 3, 4} {
		d := synthetic(blockRows+100, classes)
		o := objectiveOf(t, d, Config{C: 0.01, ClassWeights: "balanced"}, newtonLimit)
		r := rand.New(rand.NewPCG(1, 2))
		w := make([]float64, len(o.grad))
		for i := range w {
			w[i] = r.NormFloat64() / 2
		}
		o.evaluate(w)
		value, grad := o.value, slices.Clone(o.grad)
		hess := mat.NewSymDense(len(w), nil)
		hess.CopySym(o.hess)

		loss, sum := 0.0, 0.0
		count := make([]float64, classes)
		for _, y := range d.ys {
			count[y]++
		}
		for i, y := range d.ys {
			p := probabilities(o, w, d.row(i))
			weight := float64(len(d.ys)) / (float64(classes) * count[y])
			loss -= weight * math.Log(p[y])
			sum += weight
		}
		for k := range o.outputs {
			for j := range d.columns {
				loss += w[k*o.width+j] * w[k*o.width+j] / (2 * 0.01)
			}
		}
		if math.Abs(value-loss/sum) > 1e-12*value {
			t.Errorf("%d classes: objective %v, by its definition %v", classes, value, loss/sum)
		}

		const h = 1e-5
		for i := range w {
			v := slices.Clone(w)
			v[i] += h
			o.evaluate(v)
			above, gradAbove := o.value, slices.Clone(o.grad)
			v[i] -= 2 * h
			o.evaluate(v)
			if g := (above - o.value) / (2 * h); math.Abs(g-grad[i]) > 1e-7 {
				t.Errorf("%d classes, parameter %d: gradient %v, difference %v", classes, i, grad[i], g)
			}
			for j := range w {
				want := (gradAbove[j] - o.grad[j]) / (2 * h)
				if i%o.width == o.width-1 && j%o.width == o.width-1 && classes > 2 {
					want += 1 / float64(o.outputs) // which assemble adds
				}
				if math.Abs(want-hess.At(i, j)) > 1e-6 {
					t.Errorf("%d classes, parameters %d and %d: Hessian %v, difference %v", classes, i, j, hess.At(i, j), want)
				}
			}
		}
	}
}

// probabilities are those of a row that is not standardised, straight from the definition.
func probabilities(o *objective, w, x []float64) []float64 {
	z := make([]float64, max(o.outputs, 2))
	for k := range o.outputs {
		at := k
		if o.outputs == 1 {
			at = 1
		}
		z[at] = w[k*o.width+o.width-1]
		for j, v := range x {
			z[at] += w[k*o.width+j] * (v - o.mean[j]) * o.scale[j]
		}
	}
	sum := 0.0
	for k := range z {
		z[k] = math.Exp(z[k])
		sum += z[k]
	}
	floats.Scale(1/sum, z)
	return z
}

// TestSameForAnyWorkers: to the bit.
func TestSameForAnyWorkers(t *testing.T) {
	for _, classes := range []int{2, 4, 12} {
		if classes > 4 && testing.Short() {
			continue
		}
		d := synthetic(5*blockRows+17, classes)
		var first []byte
		for _, workers := range []int{1, 2, 7} {
			m, report, err := Train(t.Context(), d.columns, d.classes, d.rows, Config{Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			if !report.Converged || report.Method != "Newton" || len(report.Warnings) > 0 || report.Rows != uint64(len(d.ys)) || !slices.Equal(report.Constant, []string{"constant"}) {
				t.Errorf("%+v", report)
			}
			p := m.Parameters()
			p.Trained = nil
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = text
			}
			if string(text) != string(first) {
				t.Errorf("%d classes, %d workers:\n%s\n%s", classes, workers, text, first)
			}
		}
	}
}

// TestBothMethods: L-BFGS ends where Newton's method does.
func TestBothMethods(t *testing.T) {
	for _, classes := range []int{2, 3} {
		d := synthetic(1500, classes)
		var ends [2][]float64
		for i, limit := range []int{newtonLimit, 0} {
			cfg := Config{Tolerance: 1e-7}
			o := objectiveOf(t, d, cfg, limit)
			report := &Report{Config: cfg}
			report.Config.MaxIterations = 1000
			w, err := o.minimise(report)
			if err != nil || !report.Converged {
				t.Fatalf("%v: %+v", err, report)
			}
			ends[i] = w
			t.Logf("%d classes, %s: %d iterations, %d passes", classes, []string{"Newton", "L-BFGS"}[i], report.Iterations, o.t.passes)
		}
		if !floats.EqualApprox(ends[0], ends[1], 1e-5) {
			t.Errorf("%d classes:\n%v\n%v", classes, ends[0], ends[1])
		}
	}
}

// TestPinned: the same digits on every architecture, as far as Train promises. The values are scikit-learn 1.2.1's, for rows that are
// made of integers: StandardScaler, LogisticRegression(solver="newton-cholesky", tol=1e-12).
func TestPinned(t *testing.T) {
	d := &data{columns: []string{"a", "b"}, classes: []string{"x", "y"}}
	for i := range 40 {
		d.xs = append(d.xs, float64(i*7%11), float64(i*5%13))
		y := 0
		if i*7%11+i*i%7 > 7 {
			y = 1
		}
		d.ys = append(d.ys, y)
	}
	m, report, err := Train(t.Context(), d.columns, d.classes, d.rows, Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := m.Parameters()
	got := fmt.Sprintf("%.6f %.6f %.6f", p.Coefficients[0][0], p.Coefficients[0][1], p.Intercepts[0])
	if want := "2.601702 -0.243706 -0.467676"; got != want {
		t.Errorf("%s, want %s; %+v", got, want, report)
	}
}

func TestTrainRefuses(t *testing.T) {
	fine := synthetic(3000, 2)
	gone := errors.New("the disk is gone")
	calls := 0
	for name, tt := range map[string]struct {
		columns, classes []string
		rows             Rows
		cfg              Config
		want             string
	}{
		"no rows":         {rows: func(func([]float64, int) error) error { return nil }, want: "no training rows"},
		"rows fail":       {rows: func(func([]float64, int) error) error { return gone }, want: gone.Error()},
		"class missing":   {classes: []string{"zero", "one", "none"}, want: `class "none"`},
		"one class":       {classes: []string{"zero"}, want: "1 classes"},
		"foreign class":   {rows: func(y func([]float64, int) error) error { return y(fine.row(0), 2) }, want: "row 1 is of class 2"},
		"short row":       {rows: func(y func([]float64, int) error) error { return y(fine.row(0)[:3], 1) }, want: "row 1 has 3 values"},
		"swallowed error": {rows: func(y func([]float64, int) error) error { y(nil, 1); return nil }, want: "row 1 has 0 values"},
		"NaN": {rows: func(y func([]float64, int) error) error {
			return errors.Join(y(fine.row(0), 1), y([]float64{0, 0, math.NaN(), 0, 0, 0}, 1))
		}, want: `row 2: column "c" is NaN`},
		"Inf": {rows: func(y func([]float64, int) error) error { return y([]float64{0, math.Inf(1), 0, 0, 0, 0}, 1) }, want: `row 1: column "b" is +Inf`},
		"huge": {rows: func(y func([]float64, int) error) error {
			return errors.Join(y([]float64{0, 1e308, 0, 0, 0, 0}, 1), y([]float64{0, -1e308, 0, 0, 0, 0}, 0))
		}, want: `column "b": values are too large`},
		"changed": {rows: func(y func([]float64, int) error) error {
			calls++
			for i := range 3000 - calls {
				if err := y(fine.row(i), fine.ys[i]); err != nil {
					return err
				}
			}
			return nil
		}, want: "pass 2 over the training data gave 2998 rows, the first one 2999"},
		"C":            {cfg: Config{C: -1}, want: "C -1"},
		"no penalty":   {cfg: Config{C: math.Inf(1)}, want: "C +Inf"},
		"all penalty":  {cfg: Config{C: 1e-320}, want: "C 1e-320"},
		"tolerance":    {cfg: Config{Tolerance: math.Inf(1)}, want: "tolerance +Inf"},
		"no tolerance": {cfg: Config{Tolerance: math.NaN()}, want: "tolerance NaN"},
		"not UTF-8":    {columns: []string{"a", "b", "c\xff", "d", "e", "f"}, want: `column 3, "c\xff", is not UTF-8`},
		"weights":      {cfg: Config{ClassWeights: "heavy"}, want: `"heavy"`},
		"column twice": {columns: []string{"a", "b", "c", "a", "e", "f"}, want: `column "a" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.columns == nil {
				tt.columns = fine.columns
			}
			if tt.classes == nil {
				tt.classes = fine.classes
			}
			if tt.rows == nil {
				tt.rows = fine.rows
			}
			_, _, err := Train(t.Context(), tt.columns, tt.classes, tt.rows, tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	d := synthetic(5*blockRows, 3)
	for _, pass := range []int{1, 3} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, _, err := Train(ctx, d.columns, d.classes, d.rows, Config{Progress: func(p int, rows uint64) {
			if p == pass {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("in pass %d: %v", pass, err)
		}
	}
}

func TestWarnsWhereNotConverged(t *testing.T) {
	d := synthetic(500, 3)
	_, report, err := Train(t.Context(), d.columns, d.classes, d.rows, Config{MaxIterations: 2})
	if err != nil || report.Converged || len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "not converged after 2 iterations, 3 passes") {
		t.Errorf("%v: %+v", err, report)
	}
}

// clusters is n rows of each class about centres that are far apart.
func clusters(n, classes int) *data {
	r := rand.New(rand.NewPCG(4, 4))
	d := &data{columns: []string{"a", "b", "c", "d", "e"}}
	for k := range classes {
		d.classes = append(d.classes, fmt.Sprint(k))
	}
	for i := range n * classes {
		k := i % classes
		for j := range d.columns {
			d.xs = append(d.xs, r.NormFloat64()+20*float64(k>>j&1))
		}
		d.ys = append(d.ys, k)
	}
	return d
}

// TestWeakPenalty: where classes are far apart and the penalty is weak, all rows' curvatures become small, and all have to count.
func TestWeakPenalty(t *testing.T) {
	for _, classes := range []int{2, 4, 7} {
		for _, c := range []float64{1, 1e4, 1e6} {
			d := clusters(1000/classes, classes)
			_, report, err := Train(t.Context(), d.columns, d.classes, d.rows, Config{C: c, Tolerance: 1e-6 / c})
			if err != nil || !report.Converged || report.Passes > 40 {
				t.Errorf("%d classes, C %v: %v: %+v", classes, c, err, report)
			}
			t.Logf("%d classes, C %v: %d passes", classes, c, report.Passes)
		}
	}
}

// TestPassesAreBounded: steps that are too long count as well.
func TestPassesAreBounded(t *testing.T) {
	d := clusters(100, 4)
	for _, limit := range []int{newtonLimit, 0} {
		for n := 1; n < 30; n += 4 {
			cfg := Config{C: 1e10, Tolerance: 1e-300, MaxIterations: n}
			o := objectiveOf(t, d, cfg, limit)
			report := &Report{Config: cfg}
			w, err := o.minimise(report)
			if err != nil || report.Converged || len(w) != len(o.grad) || o.t.passes > n+3 || math.IsNaN(report.Objective) || report.Objective > math.Log(4)+1e-12 {
				t.Errorf("%v: %d passes of at most %d iterations: %+v", err, o.t.passes, n, report)
			}
		}
	}
}

// TestMemoryHasALimit: with many cores there are fewer workers where each takes much.
func TestMemoryHasALimit(t *testing.T) {
	for _, columns := range []int{1, 39, 2000, 200_000} {
		for _, size := range []int{10, 1e6, 1e8} {
			tr := newTrainer(make([]string, columns), nil, nil, Config{Workers: 1000})
			n := tr.parallel(size)
			if n < 1 || n > 1000 || n > 1 && n*8*(size+2*blockRows*columns) > maxMemory {
				t.Errorf("%d columns, sums of %d values: %d workers", columns, size, n)
			}
		}
	}
}

// TestSeparable: classes that a plane separates have an end, because of the penalty.
func TestSeparable(t *testing.T) {
	d := &data{columns: []string{"a"}, classes: []string{"x", "y", "z"}}
	for i := range 3000 {
		d.xs = append(d.xs, float64(i))
		d.ys = append(d.ys, i/1000)
	}
	for _, classes := range []int{2, 3} {
		part := &data{d.columns, d.classes[:classes], d.xs[:1000*classes], d.ys[:1000*classes]}
		m, report, err := Train(t.Context(), part.columns, part.classes, part.rows, Config{C: 1e6})
		if err != nil || !report.Converged {
			t.Fatalf("%v: %+v", err, report)
		}
		wrong := 0
		for i, y := range part.ys {
			if class, err := m.Predict(part.row(i), nil); err != nil || class != y {
				wrong++
			}
		}
		if wrong > 2 {
			t.Errorf("%d classes: %d rows are wrong", classes, wrong)
		}
	}
}

// TestMemoryIsFlat: a pass allocates the same for many rows as for few.
func TestMemoryIsFlat(t *testing.T) {
	allocations := func(n int) float64 {
		d := synthetic(n, 3)
		o := objectiveOf(t, d, Config{Workers: 2}, newtonLimit)
		o.at = make([]float64, len(o.grad))
		return testing.AllocsPerRun(3, func() {
			if err := o.pass(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(2*blockRows), allocations(40*blockRows); many > few+10 {
		t.Errorf("%v allocations for 2 blocks of rows, %v for 40", few, many)
	}
}

func BenchmarkPass(b *testing.B) {
	for _, classes := range []int{2, 34} {
		b.Run(fmt.Sprintf("classes=%d", classes), func(b *testing.B) {
			d := &data{}
			for j := range 39 {
				d.columns = append(d.columns, fmt.Sprint(j))
			}
			for k := range classes {
				d.classes = append(d.classes, fmt.Sprint(k))
			}
			r := rand.New(rand.NewPCG(1, 2))
			for i := range 20_000 {
				for j := range 39 {
					v := r.NormFloat64()
					if j == i%classes {
						v += 4
					}
					d.xs = append(d.xs, v)
				}
				d.ys = append(d.ys, i%classes)
			}
			b.ResetTimer()
			passes := 0
			for b.Loop() {
				_, report, err := Train(context.Background(), d.columns, d.classes, d.rows, Config{})
				if err != nil {
					b.Fatal(err)
				}
				passes += report.Passes
			}
			b.ReportMetric(float64(passes)/float64(b.N), "passes")
			b.ReportMetric(float64(passes)*float64(len(d.ys))/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
