package hoeffding

// Prequential counts the outcomes of test-then-train: each row is predicted before it is learnt from (A. P. Dawid, Present position
// and potential developments, Journal of the Royal Statistical Society A 147, 1984; J. Gama, R. Sebastiao and P. P. Rodrigues, On
// evaluating stream learning algorithms, Machine Learning 90, 2013).
type Prequential struct {
	rows, correct uint64
	ring          []bool
	at            int
	recent        int // correct in the ring
}

// NewPrequential returns a count whose sliding window has the last rows of that many; 0 means 1000.
func NewPrequential(window int) *Prequential {
	if window <= 0 {
		window = 1000
	}
	return &Prequential{ring: make([]bool, window)}
}

// Add takes the outcome of the next row. It allocates nothing.
func (p *Prequential) Add(truth, predicted int) {
	right := truth == predicted
	if p.ring[p.at] { // what the window held before is false
		p.recent--
	}
	p.ring[p.at] = right
	if p.at++; p.at == len(p.ring) {
		p.at = 0
	}
	p.rows++
	if right {
		p.correct++
		p.recent++
	}
}

// All returns how many rows there were, and how many were predicted right.
func (p *Prequential) All() (correct, rows uint64) { return p.correct, p.rows }

// Recent returns the same for the rows of the sliding window, which has fewer than its size at first.
func (p *Prequential) Recent() (correct, rows int) {
	return p.recent, int(min(p.rows, uint64(len(p.ring))))
}

// Accuracy returns the share of all rows and of the recent ones that was predicted right; 0 before the first.
func (p *Prequential) Accuracy() (all, recent float64) {
	if p.rows == 0 {
		return 0, 0
	}
	correct, rows := p.Recent()
	return float64(p.correct) / float64(p.rows), float64(correct) / float64(rows)
}
