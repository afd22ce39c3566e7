package score

import (
	"math"
	"math/bits"
)

// Metrics are computed from a Confusion, each as scikit-learn defines it with zero_division=0. All are 0 where there are no rows.
type Metrics struct {
	Rows     uint64  `json:"rows"`
	Correct  uint64  `json:"correct"`
	Accuracy float64 `json:"accuracy"`
	// BalancedAccuracy is the mean recall of the classes that have rows. Where a class is predicted that has none, Macro.Recall is less.
	BalancedAccuracy float64 `json:"balanced_accuracy"`
	// MCC is Matthews' correlation coefficient for any number of classes: R_K of Gorodkin, Computational Biology and Chemistry 28 (2004)
	// 367-374. From -1 to 1; 0 is what guessing gives, and where all rows are of one class or predicted as one.
	MCC float64 `json:"mcc"`
	// Kappa is Cohen's, Educational and Psychological Measurement 20 (1960) 37-46: accuracy beyond chance. 0 where chance gives 1.
	Kappa    float64        `json:"kappa"`
	Macro    Average        `json:"macro"`    // each class counts the same
	Weighted Average        `json:"weighted"` // each class counts as its support
	PerClass []ClassMetrics `json:"per_class"`
	Baseline Baseline       `json:"baseline"`
}

// Average is a mean over classes that stand in the truth or in the predictions.
type Average struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"` // the mean of the classes' F1, not F1 of the means
}

// ClassMetrics is how well one class is told from the others.
type ClassMetrics struct {
	Class     string  `json:"class"`
	Support   uint64  `json:"support"`   // rows that are of it
	Predicted uint64  `json:"predicted"` // rows that were taken for it
	Correct   uint64  `json:"correct"`   // rows that are both
	Precision float64 `json:"precision"` // Correct / Predicted
	Recall    float64 `json:"recall"`    // Correct / Support
	F1        float64 `json:"f1"`        // 2 Correct / (Support + Predicted)
}

// Present reports whether the class takes part in averages: it has rows, or was predicted.
func (m ClassMetrics) Present() bool { return m.Support+m.Predicted > 0 }

// Baseline is what a classifier gets that has learnt nothing but the most frequent class of these very rows, and always says it. Its balanced
// accuracy is 1 divided by the number of classes with rows, its MCC is 0.
type Baseline struct {
	Class    string  `json:"class"` // the first of the most frequent
	Accuracy float64 `json:"accuracy"`
	MacroF1  float64 `json:"macro_f1"`
}

// Metrics computes them.
func (c *Confusion) Metrics() Metrics {
	k := len(c.Classes)
	m := Metrics{PerClass: make([]ClassMetrics, k)}
	for i, row := range c.Counts {
		m.PerClass[i].Class = c.Classes[i]
		m.PerClass[i].Correct = row[i]
		for j, n := range row {
			m.PerClass[i].Support += n
			m.PerClass[j].Predicted += n
		}
	}
	m.fromClasses()
	most, classes := 0, 0
	for i, class := range m.PerClass {
		if class.Support > m.PerClass[most].Support {
			most = i
		}
		if class.Support > 0 {
			classes++
		}
	}
	if m.Rows > 0 {
		n := m.PerClass[most].Support
		m.Baseline = Baseline{Class: c.Classes[most], Accuracy: ratio(n, m.Rows), MacroF1: ratio(2*n, m.Rows+n) / float64(classes)}
	}
	return m
}

// fromClasses sets all but the baseline from the counts of PerClass. It allocates nothing.
func (m *Metrics) fromClasses() {
	classes := m.PerClass
	*m = Metrics{PerClass: classes}
	for _, class := range classes {
		m.Rows += class.Support
		m.Correct += class.Correct
	}
	if m.Rows == 0 {
		return
	}
	total := float64(m.Rows)
	var present, supported float64
	var hits, chance, ofTruth, ofPredicted, all wide
	for i := range classes {
		class := &classes[i]
		class.Precision = ratio(class.Correct, class.Predicted)
		class.Recall = ratio(class.Correct, class.Support)
		class.F1 = ratio(2*class.Correct, class.Support+class.Predicted)
		if !class.Present() {
			continue
		}
		present++
		m.Macro.Precision += class.Precision
		m.Macro.Recall += class.Recall
		m.Macro.F1 += class.F1
		truth := float64(class.Support) / total
		m.Weighted.Precision += float64(truth * class.Precision)
		m.Weighted.Recall += float64(truth * class.Recall)
		m.Weighted.F1 += float64(truth * class.F1)
		if class.Support > 0 {
			supported++
			m.BalancedAccuracy += class.Recall
		}
		chance.add(class.Support, class.Predicted)
		ofTruth.add(class.Support, class.Support)
		ofPredicted.add(class.Predicted, class.Predicted)
	}
	m.Accuracy = ratio(m.Correct, m.Rows)
	m.BalancedAccuracy /= supported
	m.Macro.Precision /= present
	m.Macro.Recall /= present
	m.Macro.F1 /= present
	all.add(m.Rows, m.Rows)
	hits.add(m.Rows, m.Correct)
	beyond := hits.minus(chance)
	if spread := float64(all.minus(ofTruth) * all.minus(ofPredicted)); spread > 0 {
		m.MCC = beyond / math.Sqrt(spread)
	}
	if most := all.minus(chance); most > 0 {
		m.Kappa = beyond / most
	}
}

// wide is a sum of products of counts, exact to 128 bits.
type wide struct{ hi, lo uint64 }

func (w *wide) add(a, b uint64) {
	hi, lo := bits.Mul64(a, b)
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

// minus is w - o, rounded.
func (w wide) minus(o wide) float64 {
	lo, borrow := bits.Sub64(w.lo, o.lo, 0)
	hi, borrow := bits.Sub64(w.hi, o.hi, borrow)
	if borrow != 0 {
		return -o.minus(w)
	}
	return math.Ldexp(float64(hi), 64) + float64(lo)
}
