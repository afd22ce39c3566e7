// Package xgboost reads classifiers from XGBoost's JSON and evaluates them as XGBoost does, in float32 and in its order. The format
// is described in XGBoost's documentation (Introduction to Model IO); what the numbers mean is as releases 1.7 to 3.x compute them.
package xgboost

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"pcaplab/parse/model/tree"
)

// objective is what the sums of the trees are turned into.
type objective uint8

const (
	logistic objective = iota // binary:logistic
	raw                       // binary:logitraw
	hinge                     // binary:hinge
	softprob                  // multi:softprob
	softmax                   // multi:softmax
)

var objectives = [...]string{logistic: "binary:logistic", raw: "binary:logitraw", hinge: "binary:hinge", softprob: "multi:softprob",
	softmax: "multi:softmax"}

// ErrNaN is what Predict returns for a vector whose sums come out as NaN (infinity less infinity): there is no class then.
var ErrNaN = errors.New("the model's scores of this vector are NaN, which says nothing of its class")

// Model is a classifier of XGBoost. It belongs to one goroutine; Clone makes another.
type Model struct {
	columns, classes []string
	objective        objective
	width            int
	base             []float32 // what each sum begins with
	trees            *tree.Ensemble
	linear           []float32 // of gblinear, instead: weights of each feature, then biases, each one a sum
	x, sums          []float32
}

// Columns returns the names of the features, nil where the file names none.
func (m *Model) Columns() []string { return slices.Clone(m.columns) }

// Width returns how many features Predict takes.
func (m *Model) Width() int { return m.width }

// Classes returns the names of the classes: what XGBClassifier says that it learnt, or the numbers from 0.
func (m *Model) Classes() []string { return slices.Clone(m.classes) }

// Probabilities reports whether scores are probabilities: not those of binary:logitraw and binary:hinge.
func (m *Model) Probabilities() bool { return m.objective != raw && m.objective != hinge }

// Clone returns a model for another goroutine.
func (m *Model) Clone() *Model {
	c := *m
	c.x, c.sums = make([]float32, len(m.x)), make([]float32, len(m.sums))
	return &c
}

// Predict returns the class of x, as XGBoost's Python package has it: NaN is a missing value, all else is rounded to float32, and a
// probability of exactly 1/2 is class 0. x has Width values and is not kept; scores, if not nil, gets one value a class: of
// binary:logitraw the margin and its opposite, of binary:hinge 0 and 1. The error may be ErrNaN.
func (m *Model) Predict(x, scores []float64) (int, error) {
	switch {
	case len(x) != m.width:
		return 0, fmt.Errorf("%d values: the model takes %d", len(x), m.width)
	case scores != nil && len(scores) != len(m.classes):
		return 0, fmt.Errorf("room for %d scores: the model has %d classes", len(scores), len(m.classes))
	}
	for i, v := range x {
		m.x[i] = float32(v)
	}
	copy(m.sums, m.base)
	if m.linear != nil {
		m.addLinear()
	} else {
		m.trees.Sum32(m.x, m.sums)
	}
	for _, s := range m.sums {
		if s != s {
			return 0, ErrNaN
		}
	}
	if m.objective == softprob || m.objective == softmax {
		return m.multi(scores), nil
	}
	sum := m.sums[0]
	class, zero, one := 0, -sum, sum
	switch m.objective {
	case logistic:
		one = sigmoid(sum)
		zero = 1 - one
		if one > 0.5 {
			class = 1
		}
	case raw, hinge:
		if sum > 0 {
			class = 1
		}
		if m.objective == hinge {
			one = float32(class)
			zero = 1 - one
		}
	}
	if scores != nil {
		scores[0], scores[1] = float64(zero), float64(one)
	}
	return class, nil
}

// multi turns the sums into probabilities.
func (m *Model) multi(scores []float64) int {
	best := most(m.sums)
	if m.objective == softmax && scores == nil {
		return best
	}
	top, total := m.sums[best], 0.0
	for i, s := range m.sums {
		m.sums[i] = exp(s - top)
		total += float64(m.sums[i])
	}
	for i := range m.sums {
		m.sums[i] /= float32(total)
		if scores != nil {
			scores[i] = float64(m.sums[i])
		}
	}
	if m.objective == softprob { // its class is told from the probabilities, which may be alike where the sums are not
		best = most(m.sums)
	}
	return best
}

// addLinear adds weights times values; missing values add nothing.
func (m *Model) addLinear() {
	n := len(m.sums)
	for i, v := range m.x {
		if v != v {
			continue
		}
		for k, w := range m.linear[i*n : (i+1)*n] {
			m.sums[k] += float32(v * w)
		}
	}
}

// most returns the index of the first of the largest values.
func most(values []float32) int {
	best := 0
	for i, v := range values {
		if v > values[best] {
			best = i
		}
	}
	return best
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// sigmoid is XGBoost's, in float32.
func sigmoid(x float32) float32 {
	return 1 / (exp(min(-x, 88.7)) + 1)
}

// margin returns what a base score, which of binary:logistic is a probability, is before the sigmoid. 0 and 1 stand for what is 1e-6
// away from them, as since release 3.2.
func (o objective) margin(base float32) (float32, error) {
	if o != logistic {
		return base, nil
	}
	if !(base >= 0 && base <= 1) {
		return 0, fmt.Errorf("base_score %v is not a probability", base)
	}
	switch base {
	case 0:
		base = 1e-6
	case 1:
		base = 1 - 1e-6
	}
	return -float32(math.Log(float64(1/base - 1))), nil
}

var errSave = errors.New(`save it anew with save_model("model.json")`)
