package linear

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
)

// Config says how to train. Its zero value is scikit-learn's LogisticRegression behind a StandardScaler, but for Tolerance and
// MaxIterations.
type Config struct {
	// C is the inverse of the strength of the L2 penalty. 0 is 1.
	C float64 `json:"c"`
	// ClassWeights is "none" or "", where each row counts the same, or "balanced", where each class does: a row has the
	// weight rows / (classes * rows of its class).
	ClassWeights string `json:"class_weights"`
	// Tolerance ends the training: no component of the gradient of the objective, which is a mean over rows, is
	// larger. 0 is 1e-8, and 1e-6 with L-BFGS, which rounding stops earlier.
	Tolerance float64 `json:"tolerance"`
	// MaxIterations ends it too, with a warning. An iteration takes a pass, or several where a step was too long: then it also bounds
	// the passes, of which there are at most three more (for means and deviations, at the start, at the best point). 0 is 1000.
	MaxIterations int `json:"max_iterations"`
	// Workers is how many goroutines go over a block of rows each, beside the one that reads them. 0 is GOMAXPROCS. There are
	// fewer where they would take more than 64 MB together. The result does not depend on it.
	Workers int `json:"-"`
	// Progress, if not nil, is called after each 1024 rows and at the end of a pass. It is called by one goroutine at a time.
	Progress func(pass int, rows uint64) `json:"-"`
}

// Report says how a training went.
type Report struct {
	Config     Config   `json:"config"`     // with the defaults filled in
	Rows       uint64   `json:"rows"`       // of one pass
	ClassRows  []uint64 `json:"class_rows"` // in the order of the classes
	Method     string   `json:"method"`     // Newton or L-BFGS
	Passes     int      `json:"passes"`     // over the rows, the one for means and deviations included
	Iterations int      `json:"iterations"`
	Converged  bool     `json:"converged"`
	Gradient   float64  `json:"gradient"`  // the largest component at the end
	Objective  float64  `json:"objective"` // at the end
	Constant   []string `json:"constant"`  // columns that have one value in all rows, and a coefficient of 0
	Warnings   []string `json:"warnings"`
}

func (cfg *Config) defaults() error {
	var err error
	if cfg.C == 0 {
		cfg.C = 1
	}
	if inverse := 1 / cfg.C; !(inverse > 0) || !finite(inverse) {
		err = errors.Join(err, fmt.Errorf("the penalty is of C %v: C and 1/C must be above 0 and finite", cfg.C))
	}
	if cfg.ClassWeights == "" {
		cfg.ClassWeights = "none"
	}
	if cfg.ClassWeights != "none" && cfg.ClassWeights != "balanced" {
		err = errors.Join(err, fmt.Errorf("class weights %q are neither none nor balanced", cfg.ClassWeights))
	}
	if !(cfg.Tolerance >= 0) || !finite(cfg.Tolerance) {
		err = errors.Join(err, fmt.Errorf("tolerance %v is below 0 or not finite", cfg.Tolerance))
	}
	if cfg.MaxIterations == 0 {
		cfg.MaxIterations = 1000
	}
	if cfg.MaxIterations < 0 {
		err = errors.Join(err, fmt.Errorf("at most %d iterations", cfg.MaxIterations))
	}
	return err
}

// Train returns the logistic regression that rows of the named columns and classes lead to. Memory does not grow with the rows:
// they are asked for once a pass, and how many passes that takes is in the report. Each class needs a row. A value that is NaN or infinite
// is an error that names the row, and so is anything else of a row that is wrong.
//
// The result is the same for any number of workers. On another processor architecture it is the same but for rounding, by which
// coefficients differ about as much as Tolerance leaves open.
func Train(ctx context.Context, columns, classes []string, rows Rows, cfg Config) (*Model, *Report, error) {
	if err := cfg.defaults(); err != nil {
		return nil, nil, err
	}
	outputs := len(classes)
	if outputs == 2 {
		outputs = 1
	}
	p := Parameters{
		Columns: append([]string(nil), columns...), Classes: append([]string(nil), classes...),
		Offset: make([]float64, len(columns)), Scale: make([]float64, len(columns)), Intercepts: make([]float64, outputs),
	}
	for range outputs {
		p.Coefficients = append(p.Coefficients, make([]float64, len(columns)))
	}
	for j := range p.Scale {
		p.Scale[j] = 1
	}
	if err := p.check(); err != nil { // names, before any work
		return nil, nil, err
	}

	t := newTrainer(p.Columns, p.Classes, rows, cfg)
	m, err := t.moments(ctx)
	if err != nil {
		return nil, nil, err
	}
	report := &Report{Config: cfg, Rows: t.count, ClassRows: m.classRows, Constant: []string{}, Warnings: []string{}}
	for k, n := range m.classRows {
		if n == 0 {
			return nil, nil, fmt.Errorf("no training row is of class %q: leave the class out, or add rows of it", classes[k])
		}
	}
	o := newObjective(ctx, t, m, cfg, newtonLimit)
	report.Method = "L-BFGS"
	if o.hess != nil {
		report.Method = "Newton"
	}
	if cfg.Tolerance == 0 {
		report.Config.Tolerance = map[string]float64{"Newton": 1e-8, "L-BFGS": 1e-6}[report.Method]
	}
	w, err := o.minimise(report)
	if err != nil {
		return nil, nil, err
	}
	report.Passes = t.passes
	for j := range columns {
		p.Offset[j] = m.mean[j]
		if o.scale[j] == 0 {
			report.Constant = append(report.Constant, columns[j])
			continue
		}
		p.Scale[j] = o.scale[j]
	}
	for k := range outputs {
		row := w[k*o.width:][:o.width]
		copy(p.Coefficients[k], row)
		p.Intercepts[k] = row[len(columns)]
	}
	if outputs > 1 { // a constant on all of them changes nothing
		floats.AddConst(-floats.Sum(p.Intercepts)/float64(outputs), p.Intercepts)
	}
	if p.Trained, err = json.Marshal(report); err != nil {
		return nil, nil, err
	}
	model, err := New(p)
	return model, report, err
}

// moments are means and deviations of all rows.
type moments struct {
	count     uint64
	classRows []uint64
	mean      []float64
	squares   []float64 // sums of squares of deviations from the mean
}

// moments makes the first pass. Blocks are summed about their own means, and then put together as Chan, Golub and LeVeque do
// (Algorithms for computing the sample variance, The American Statistician 37, 1983).
func (t *trainer) moments(ctx context.Context) (*moments, error) {
	width := len(t.columns)
	m := &moments{classRows: make([]uint64, len(t.classes)), mean: make([]float64, width), squares: make([]float64, width)}
	err := t.pass(ctx, 2*width, func(b *block) {
		mean, squares := b.sums[:width], b.sums[width:]
		n := float64(len(b.classes))
		for i := range b.classes {
			floats.AddScaled(mean, 1/n, b.xs[i*width:][:width])
		}
		for i := range b.classes {
			for j, v := range b.xs[i*width:][:width] {
				squares[j] += (v - mean[j]) * (v - mean[j])
			}
		}
	}, func(b *block) {
		for _, class := range b.classes {
			m.classRows[class]++
		}
		n, before := float64(len(b.classes)), float64(m.count)
		m.count += uint64(len(b.classes))
		for j := range m.mean {
			delta := b.sums[j] - m.mean[j]
			m.mean[j] += delta * (n / float64(m.count))
			m.squares[j] += b.sums[width+j] + delta*delta*(before*n/float64(m.count))
		}
	})
	if err != nil {
		return nil, err
	}
	if m.count == 0 {
		return nil, errors.New("there are no training rows")
	}
	for j, name := range t.columns {
		if !finite(m.mean[j]) || !finite(m.squares[j]) {
			return nil, fmt.Errorf("column %q: values are too large to be standardised", name)
		}
	}
	return m, nil
}

// scales returns the inverse of the population standard deviation of each column, and 0 for those whose variance is not
// more than what rounding makes of a constant one, which is scikit-learn's bound (_is_constant_feature).
func (m *moments) scales() []float64 {
	const epsilon = 0x1p-52
	n := float64(m.count)
	scales := make([]float64, len(m.mean))
	for j, mean := range m.mean {
		variance := m.squares[j] / n
		if e := n * mean * epsilon; variance > n*epsilon*variance+e*e && finite(1/math.Sqrt(variance)) {
			scales[j] = 1 / math.Sqrt(variance)
		}
	}
	return scales
}

// newtonLimit is how many parameters Newton's method is used for. Its passes are a tenth of those of L-BFGS, and its matrices have
// the square of the parameters: 34 MB each at the limit. 34 classes of 39 columns are 1360.
const newtonLimit = 2048

// An objective is what is minimised. Its parameters are, for each output, a coefficient per column and an intercept behind
// them: width values.
type objective struct {
	ctx     context.Context
	t       *trainer
	outputs int
	width   int // of an output: columns + 1
	mean    []float64
	scale   []float64
	weights []float64 // of a row of each class
	penalty float64   // 1/(C N)
	n       float64

	negligible float64 // see second

	at    []float64 // the last point asked for
	value float64   // there
	grad  []float64
	hess  *mat.SymDense // nil: not wanted
	err   error
}

func newObjective(ctx context.Context, t *trainer, m *moments, cfg Config, limit int) *objective {
	o := &objective{ctx: ctx, t: t, outputs: len(t.classes), width: len(t.columns) + 1, mean: m.mean, scale: m.scales(), n: float64(m.count)}
	if o.outputs == 2 {
		o.outputs = 1
	}
	o.penalty = 1 / cfg.C / o.n
	o.negligible = min(1e-5, 0.01*o.penalty)
	for _, n := range m.classRows {
		weight := 1.0
		if cfg.ClassWeights == "balanced" {
			weight = o.n / (float64(len(t.classes)) * float64(n))
		}
		o.weights = append(o.weights, weight)
	}
	size := o.outputs * o.width
	o.grad = make([]float64, size)
	if size <= limit {
		o.hess = mat.NewSymDense(size, nil)
	}
	return o
}

// evaluate makes a pass at w, unless it is where the last one was.
func (o *objective) evaluate(w []float64) {
	if o.err != nil || o.at != nil && floats.Equal(w, o.at) {
		return
	}
	o.at = append(o.at[:0], w...)
	o.err = o.pass()
}

// The sums of a block: the gradient, the loss, the Hessian as the triangle of the products of a row's values for each pair of outputs, and
// room for a row's logits and triangle.
func (o *objective) layout() (loss, hess, scratch, size int) {
	loss = len(o.at)
	hess = loss + 1
	scratch = hess
	triangle := o.width * (o.width + 1) / 2
	if o.hess != nil {
		scratch += o.outputs * (o.outputs + 1) / 2 * triangle
	}
	return loss, hess, scratch, scratch + o.outputs + triangle
}

// pass sets value, grad and hess to those of at.
func (o *objective) pass() error {
	loss, hess, scratch, size := o.layout()
	columns := o.width - 1
	total := make([]float64, scratch)
	err := o.t.pass(o.ctx, size, func(b *block) {
		grad, second, logits, triangle := b.sums[:loss], b.sums[hess:scratch], b.sums[scratch:][:o.outputs], b.sums[scratch+o.outputs:]
		for i, class := range b.classes {
			x := b.xs[i*columns:][:columns]
			for j := range x {
				x[j] = (x[j] - o.mean[j]) * o.scale[j]
			}
			b.sums[loss] += o.first(grad, logits, x, class)
			if o.hess != nil {
				o.second(second, triangle, logits, x, o.weights[class])
			}
		}
	}, func(b *block) { floats.Add(total, b.sums[:scratch]) })
	if err != nil {
		return err
	}
	floats.ScaleTo(o.grad, 1/o.n, total[:loss])
	squares := 0.0
	for k := range o.outputs {
		w := o.at[k*o.width:][:columns]
		floats.AddScaled(o.grad[k*o.width:][:columns], o.penalty, w)
		squares += floats.Dot(w, w)
	}
	o.value = total[loss]/o.n + o.penalty*squares/2
	if o.hess != nil {
		o.assemble(total[hess:])
	}
	return nil
}

// first adds a row's part to the gradient, sets p to the probabilities of the outputs, and returns the row's part of the objective;
// the first and the last times N.
func (o *objective) first(grad, p, x []float64, class int) float64 {
	columns := o.width - 1
	weight := o.weights[class]
	if o.outputs == 1 {
		z := floats.Dot(o.at[:columns], x) + o.at[columns]
		p[0] = sigmoid(z)
		slope := weight * p[0]
		if class == 1 {
			slope = -weight * sigmoid(-z)
			z = -z
		}
		floats.AddScaled(grad[:columns], slope, x)
		grad[columns] += slope
		return weight * softplus(z)
	}
	for k := range p {
		w := o.at[k*o.width:][:o.width]
		p[k] = floats.Dot(w[:columns], x) + w[columns]
	}
	top := floats.Max(p)
	own := p[class] - top
	sum := 0.0
	for k := range p {
		p[k] = math.Exp(p[k] - top)
		sum += p[k]
	}
	for k := range p {
		p[k] /= sum
		slope := p[k]
		if k == class {
			slope--
		}
		g := grad[k*o.width:][:o.width]
		floats.AddScaled(g[:columns], weight*slope, x)
		g[columns] += weight * slope
	}
	return weight * (math.Log(sum) - own)
}

// second adds a row's part to the Hessian. Curvatures below negligible are left out, so that a row costs by the classes that
// it may be of, not by all pairs. They are small beside the penalty's: where it is weak and all rows are told well, the small ones are
// all that there is. What is left of a row is diagonally dominant still, so a step on it goes down; where the gradient is 0 does not
// depend on it.
func (o *objective) second(hess, triangle, p, x []float64, weight float64) {
	filled := false
	at := 0
	for k := range p {
		for l := k; l < len(p); l++ {
			c := -p[k] * p[l]
			if k == l {
				c = p[k] * (1 - p[k])
			}
			c *= weight
			if math.Abs(c) >= o.negligible {
				if !filled {
					filled = true
					i := 0
					for j, v := range x {
						floats.ScaleTo(triangle[i:i+len(x)-j], v, x[j:])
						i += len(x) - j
						triangle[i] = v
						i++
					}
					triangle[i] = 1
				}
				floats.AddScaled(hess[at:at+len(triangle)], c, triangle)
			}
			at += len(triangle)
		}
	}
}

// assemble makes the Hessian of a pass's sums.
func (o *objective) assemble(sums []float64) {
	columns := o.width - 1
	at := 0
	for k := range o.outputs {
		for l := k; l < o.outputs; l++ {
			for i := range o.width {
				for j := i; j < o.width; j++ {
					v := sums[at] / o.n
					at++
					switch {
					case k == l && i == j && i < columns:
						v += o.penalty
					case i == columns && j == columns && o.outputs > 1:
						// A constant on all intercepts changes nothing: no curvature, and no slope either, so any will do.
						v += 1 / float64(o.outputs)
					}
					o.hess.SetSym(k*o.width+i, l*o.width+j, v)
					o.hess.SetSym(k*o.width+j, l*o.width+i, v)
				}
			}
		}
	}
}

// softplus is log(1 + exp(z)) without overflow.
func softplus(z float64) float64 { return math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) }

// minimise returns the parameters at which the objective is smallest, and says in the report how well.
func (o *objective) minimise(report *Report) ([]float64, error) {
	problem := optimize.Problem{
		Func: func(w []float64) float64 { o.evaluate(w); return o.value },
		Grad: func(grad, w []float64) { o.evaluate(w); copy(grad, o.grad) },
		Status: func() (optimize.Status, error) {
			if o.err != nil {
				return optimize.Failure, o.err
			}
			return optimize.NotTerminated, nil
		},
	}
	var method optimize.Method = &optimize.LBFGS{GradStopThreshold: math.NaN(), Linesearcher: &optimize.MoreThuente{}}
	if o.hess != nil {
		problem.Hess = func(hess *mat.SymDense, w []float64) { o.evaluate(w); hess.CopySym(o.hess) }
		method = &optimize.Newton{GradStopThreshold: math.NaN()}
	}
	most := report.Config.MaxIterations
	settings := &optimize.Settings{MajorIterations: most, FuncEvaluations: most + 1, Converger: &flat{report.Config.Tolerance}}
	result, err := optimize.Minimize(problem, make([]float64, len(o.grad)), settings, method)
	if o.err != nil {
		return nil, o.err
	}
	if result == nil {
		return nil, err
	}
	// Otherwise err says that no step goes down any more, which is the end as well: what counts is the gradient there.
	o.evaluate(result.X)
	if o.err != nil {
		return nil, o.err
	}
	report.Iterations = result.MajorIterations
	report.Gradient, report.Objective = floats.Norm(o.grad, math.Inf(1)), o.value
	report.Converged = report.Gradient <= report.Config.Tolerance
	if !finite(report.Objective) {
		return nil, errors.New("the objective is not finite")
	}
	if !report.Converged {
		report.Warnings = append(report.Warnings, fmt.Sprintf("not converged after %d iterations, %d passes: the gradient is %.3g, not %.3g; allow more iterations, or a larger tolerance or penalty",
			report.Iterations, o.t.passes, report.Gradient, report.Config.Tolerance))
	}
	return o.at, nil
}

// flat ends a minimisation where the gradient is small.
type flat struct{ tolerance float64 }

func (f *flat) Init(int) {}

func (f *flat) Converged(l *optimize.Location) optimize.Status {
	if floats.Norm(l.Gradient, math.Inf(1)) <= f.tolerance {
		return optimize.GradientThreshold
	}
	return optimize.NotTerminated
}
