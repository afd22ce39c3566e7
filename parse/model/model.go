// Package model classifies vectors of features with models that were trained elsewhere: ONNX graphs of scikit-learn's and
// XGBoost's classifiers, XGBoost's own JSON, and this package's JSON.
package model

// Model tells the class of a vector. It belongs to one goroutine.
type Model interface {
	// Columns returns the names of the features in the order in which Predict takes them, nil where the file names none.
	Columns() []string
	// Width returns how many features Predict takes.
	Width() int
	// Classes returns the names of the classes, which Predict's result is an index into.
	Classes() []string
	// Predict returns the class of x, which has Width values and is not kept. If scores is not nil it must have as many
	// values as there are classes, and gets how much speaks for each: probabilities that sum to 1 where Probabilities says so.
	// It allocates nothing.
	Predict(x, scores []float64) (class int, err error)
	// Probabilities reports whether scores are probabilities.
	Probabilities() bool
	// Clone returns a model for another goroutine. What does not change is shared.
	Clone() Model
}

// Learner is a Model that learns from one labelled vector after the other.
type Learner interface {
	Model
	// Learn takes x, which has Width values and is not kept, as one of class, an index into Classes.
	Learn(x []float64, class int) error
}

// Batcher is a Model that classifies many vectors at once faster than one by one.
type Batcher interface {
	Model
	// PredictBatch sets classes[i] to the class of the i-th vector of xs, which stand one behind the other, and its scores
	// likewise if they are not nil.
	PredictBatch(xs []float64, classes []int, scores []float64) error
}
