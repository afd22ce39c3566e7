// Package linear trains logistic regressions over rows that need not fit into memory, and predicts with them.
//
// What is minimised is scikit-learn's objective (LogisticRegression with penalty l2): with s the weight of a row, l its
// log-loss, w the coefficients of standardised features and N the sum of the weights,
//
//	(sum of s*l + |w|^2 / (2 C)) / N
//
// The intercepts are not penalised. Two classes have one row of coefficients and a sigmoid, more have a row each and a softmax.
package linear

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Parameters are what a logistic regression consists of.
type Parameters struct {
	// Columns are the names of the features, in order.
	Columns []string `json:"columns"`
	// Classes are the names of the classes, at least two.
	Classes []string `json:"classes"`
	// Offset and Scale standardise a feature: (x - Offset) * Scale. Scale is the inverse of StandardScaler's scale_.
	Offset []float64 `json:"offset"`
	Scale  []float64 `json:"scale"`
	// Coefficients has a row per class, or one row where there are two classes: what speaks for the second one.
	// A row has a value per column.
	Coefficients [][]float64 `json:"coefficients"`
	// Intercepts has a value per row of Coefficients.
	Intercepts []float64 `json:"intercepts"`
	// Trained is a JSON value that says how the model came about, for people; or nothing.
	Trained json.RawMessage `json:"trained,omitempty"`
}

// ErrNotFinite says that a vector led to NaN or to an infinity, so that no class can be told.
var ErrNotFinite = errors.New("linear: not a finite result: a feature is NaN, infinite or far too large")

// Model is a logistic regression. It belongs to one goroutine, see Clone.
type Model struct {
	p         *Parameters
	transpose []float64 // coefficients, those of a column beside each other
	logits    []float64
}

// New returns the model that p describes, or an error that says what of p is wrong. It keeps p's slices.
func New(p Parameters) (*Model, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	rows := len(p.Coefficients)
	m := &Model{p: &p, transpose: make([]float64, rows*len(p.Columns)), logits: make([]float64, rows)}
	for k, row := range p.Coefficients {
		for j, w := range row {
			m.transpose[j*rows+k] = w
		}
	}
	return m, nil
}

func (p *Parameters) check() error {
	if len(p.Columns) == 0 {
		return errors.New("no columns")
	}
	if len(p.Classes) < 2 {
		return fmt.Errorf("%d classes, where at least two are needed", len(p.Classes))
	}
	for _, list := range []struct {
		what  string
		names []string
	}{{"column", p.Columns}, {"class", p.Classes}} {
		seen := make(map[string]bool, len(list.names))
		for i, name := range list.names {
			switch {
			case name == "":
				return fmt.Errorf("%s %d has no name", list.what, i+1)
			case seen[name]:
				return fmt.Errorf("%s %q is there twice", list.what, name)
			case !utf8.ValidString(name):
				return fmt.Errorf("%s %d, %q, is not UTF-8, which files of models are", list.what, i+1, name)
			}
			seen[name] = true
		}
	}
	rows := len(p.Classes)
	if rows == 2 {
		rows = 1
	}
	if len(p.Coefficients) != rows {
		return fmt.Errorf("%d rows of coefficients for %d classes, not %d", len(p.Coefficients), len(p.Classes), rows)
	}
	check := func(what string, values []float64, want int) error {
		if len(values) != want {
			return fmt.Errorf("%s: %d values, not %d", what, len(values), want)
		}
		for i, v := range values {
			if !finite(v) {
				return fmt.Errorf("%s: value %d is %v", what, i+1, v)
			}
		}
		return nil
	}
	columns := len(p.Columns)
	err := errors.Join(check("offset", p.Offset, columns), check("scale", p.Scale, columns), check("intercepts", p.Intercepts, rows))
	for k, row := range p.Coefficients {
		err = errors.Join(err, check(fmt.Sprintf("coefficients of row %d", k+1), row, columns))
	}
	if err != nil {
		return err
	}
	for j, s := range p.Scale {
		if s <= 0 {
			return fmt.Errorf("scale of column %q is %v, where it must be above 0", p.Columns[j], s)
		}
	}
	if len(p.Trained) > 0 && !json.Valid(p.Trained) {
		return errors.New("trained: not a JSON value")
	}
	return nil
}

func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat64 }

// Parameters returns the model's parameters. They are shared with it: to be read only.
func (m *Model) Parameters() Parameters { return *m.p }

// Columns returns the names of the features in the order in which Predict takes them.
func (m *Model) Columns() []string { return m.p.Columns }

// Width returns how many features Predict takes.
func (m *Model) Width() int { return len(m.p.Columns) }

// Classes returns the names of the classes, which Predict's result is an index into.
func (m *Model) Classes() []string { return m.p.Classes }

// Probabilities reports true: scores are probabilities.
func (m *Model) Probabilities() bool { return true }

// Clone returns a model for another goroutine, with the same parameters.
func (m *Model) Clone() *Model {
	return &Model{p: m.p, transpose: m.transpose, logits: make([]float64, len(m.logits))}
}

// Predict returns the class of x, the first of those that have the highest logit (of two classes: the second one if its logit is above
// 0), and sets scores, if not nil, to the probabilities of all classes. Different logits may round to the same probability. It returns
// ErrNotFinite where x does not lead to finite numbers. It allocates nothing.
func (m *Model) Predict(x, scores []float64) (int, error) {
	p := m.p
	if len(x) != len(p.Columns) {
		return 0, fmt.Errorf("linear: a vector of %d values for %d columns", len(x), len(p.Columns))
	}
	if scores != nil && len(scores) != len(p.Classes) {
		return 0, fmt.Errorf("linear: room for %d scores of %d classes", len(scores), len(p.Classes))
	}
	offset, scale := p.Offset[:len(x)], p.Scale[:len(x)]
	if len(m.logits) == 1 {
		z, w := 0.0, m.transpose[:len(x)]
		for j, v := range x {
			z += float64(w[j] * float64((v-offset[j])*scale[j]))
		}
		z += p.Intercepts[0]
		if !finite(z) {
			return 0, ErrNotFinite
		}
		if scores != nil {
			scores[1] = sigmoid(z)
			scores[0] = sigmoid(-z)
		}
		if z > 0 {
			return 1, nil
		}
		return 0, nil
	}
	logits := m.logits
	clear(logits)
	for j, v := range x {
		z := float64((v - offset[j]) * scale[j])
		w := m.transpose[j*len(logits):][:len(logits)]
		for k := range logits {
			logits[k] += float64(w[k] * z)
		}
	}
	best := 0
	for k, b := range p.Intercepts {
		logits[k] += b
		if !finite(logits[k]) {
			return 0, ErrNotFinite
		}
		if logits[k] > logits[best] {
			best = k
		}
	}
	if scores != nil {
		sum := 0.0
		for k, z := range logits {
			scores[k] = math.Exp(z - logits[best])
			sum += scores[k]
		}
		for k := range scores {
			scores[k] /= sum
		}
	}
	return best, nil
}

// sigmoid is 1 / (1 + exp(-z)) without overflow.
func sigmoid(z float64) float64 {
	if z < 0 {
		e := math.Exp(z)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-z))
}

// String names the model in few words.
func (m *Model) String() string {
	return fmt.Sprintf("logistic regression of %d columns into %s", len(m.p.Columns), strings.Join(m.p.Classes, ", "))
}
