package hoeffding

// Prequential counts the outcomes of test-then-train: each row is predicted before it is learnt from (A. P. Dawid, Present position
// and potential developments, Journal of the Royal Statistical Society A 147, 1984; J. Gama, R. Sebastiao and P. P. Rodrigues, On
// evaluating stream learning algorithms, Machine Learning 90, 2013).
type Prequential struct {
	rows, correct uint64
	window        int
	ring          []bool // grows to window as rows come
	at            int
	recent        int // correct in the ring
}

// MaxWindow is how many rows a Prequential's sliding window has at most. It takes an octet for each, once there were so many.
const MaxWindow = 1 << 26

// NewPrequential returns a count whose sliding window has the last rows of that many; below 1 means 1000, above MaxWindow that.
func NewPrequential(window int) *Prequential {
	if window <= 0 {
		window = 1000
	}
	window = min(window, MaxWindow)
	return &Prequential{window: window, ring: make([]bool, 0, min(window, 1<<16))}
}

// Add takes the outcome of the next row. It allocates nothing, but for a window of more than 65,536 rows while that fills.
func (p *Prequential) Add(truth, predicted int) {
	right := truth == predicted
	if len(p.ring) < p.window {
		p.ring = append(p.ring, right)
	} else {
		if p.ring[p.at] {
			p.recent--
		}
		p.ring[p.at] = right
		if p.at++; p.at == p.window {
			p.at = 0
		}
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
	return p.recent, len(p.ring)
}

// Accuracy returns the share of all rows and of the recent ones that was predicted right; 0 before the first.
func (p *Prequential) Accuracy() (all, recent float64) {
	if p.rows == 0 {
		return 0, 0
	}
	correct, rows := p.Recent()
	return float64(p.correct) / float64(p.rows), float64(correct) / float64(rows)
}
