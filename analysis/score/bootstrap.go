package score

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Interval is a bootstrap percentile interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Intervals are of Metrics. A metric of a class is undefined in a resample where nothing of the class was drawn that it is a share of; such
// resamples are left out, and where all are, the interval is 0 to 1: nothing is known.
type Intervals struct {
	Level     float64 `json:"level"` // share of resamples between the ends
	Resamples int     `json:"resamples"`
	Seed      uint64  `json:"seed"`
	By        string  `json:"by"`                 // what is drawn: "rows" or "captures"
	Captures  int     `json:"captures,omitempty"` // that hold rows, by captures

	Accuracy         Interval         `json:"accuracy"`
	BalancedAccuracy Interval         `json:"balanced_accuracy"`
	MCC              Interval         `json:"mcc"`
	Kappa            Interval         `json:"kappa"`
	MacroPrecision   Interval         `json:"macro_precision"`
	MacroRecall      Interval         `json:"macro_recall"`
	MacroF1          Interval         `json:"macro_f1"`
	WeightedF1       Interval         `json:"weighted_f1"`
	PerClass         []ClassIntervals `json:"per_class"`
	Warnings         []string         `json:"warnings,omitempty"`
}

// ClassIntervals are of one class. That of the recall of the benign class is the interval of Alarms.BenignRecall.
type ClassIntervals struct {
	Class     string   `json:"class"`
	Precision Interval `json:"precision"`
	Recall    Interval `json:"recall"`
	F1        Interval `json:"f1"`
}

// MinCaptures is how many captures BootstrapCaptures wants before its intervals can be taken for more than a hint.
const MinCaptures = 6

const (
	byRows     = "rows"
	byCaptures = "captures"
)

// Bootstrap draws as many rows as there are, with replacement, n times (2000 if n is below 1), and returns between which values the share
// level of the resamples' metrics lies (0.95 if it is not between 0 and 1), with ends interpolated between resamples. It draws the counts of
// all cells at once, which is the same as drawing rows, and takes no more time for more rows. It takes rows for independent of each other:
// rows of one capture are not, and the intervals are then too narrow. BootstrapCaptures is for that.
//
// Draws are made in float64: with more than 2^53 rows they are no longer exact numbers, and below that their spread is right to a per cent at
// least.
//
// Without rows the intervals are those of nothing known, and a warning says so. The only error is that of a context that ended.
func (c *Confusion) Bootstrap(ctx context.Context, n int, seed uint64, level float64) (Intervals, error) {
	b := newBootstrap(c, n, seed, level)
	b.out.By = byRows
	total := c.Total()
	if total == 0 {
		b.warn("no rows: nothing is known")
		return b.finish(), nil
	}
	random := rand.New(rand.NewPCG(seed, 0))
	cells := sparse(c)
	drawn := make([]uint64, len(cells))
	for range b.out.Resamples {
		if ctx.Err() != nil {
			return Intervals{}, context.Cause(ctx)
		}
		multinomial(random, cells, total, drawn)
		for i, cell := range cells {
			b.add(cell, drawn[i])
		}
		b.keep()
	}
	return b.finish(), nil
}

// BootstrapCaptures draws whole captures, as many as there are, with replacement: what is one capture, or one session, is drawn together, so
// that rows of it need not be independent. All must have the same classes, as for Merge. Captures without rows are left out. Below MinCaptures
// it warns: of three captures there are only ten different resamples, and one draw in nine is of a single capture.
func BootstrapCaptures(ctx context.Context, captures []*Confusion, n int, seed uint64, level float64) (Intervals, error) {
	if len(captures) == 0 {
		return Intervals{}, fmt.Errorf("no captures to draw")
	}
	sum := New(captures[0].Classes)
	var drawn [][]cell
	for _, c := range captures {
		if err := sum.Merge(c); err != nil {
			return Intervals{}, err
		}
		if cells := sparse(c); len(cells) > 0 {
			drawn = append(drawn, cells)
		}
	}
	b := newBootstrap(sum, n, seed, level)
	b.out.By, b.out.Captures = byCaptures, len(drawn)
	if len(drawn) == 0 {
		b.warn("no rows: nothing is known")
		return b.finish(), nil
	}
	if len(drawn) == 1 {
		b.warn("all rows are of one capture: its resamples are itself, so the intervals have no width; take more captures")
	} else if len(drawn) < MinCaptures {
		b.warn("%d captures are too few for intervals by captures to be more than a hint; %d or more are wanted", len(drawn), MinCaptures)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	for range b.out.Resamples {
		if ctx.Err() != nil {
			return Intervals{}, context.Cause(ctx)
		}
		for range drawn {
			for _, cell := range drawn[random.IntN(len(drawn))] {
				b.add(cell, cell.n)
			}
		}
		b.keep()
	}
	return b.finish(), nil
}

// cell is a count that is not 0.
type cell struct {
	truth, predicted int
	n                uint64
}

func sparse(c *Confusion) []cell {
	var cells []cell
	for i, row := range c.Counts {
		for j, n := range row {
			if n > 0 {
				cells = append(cells, cell{i, j, n})
			}
		}
	}
	return cells
}

// bootstrap gathers the metrics of resamples.
type bootstrap struct {
	out      Intervals
	resample Metrics
	values   [][]float64 // overall metrics as set by keep, then three of each class
	sure     []string    // classes of few rows without a fault, or without a hit
}

// fewRows is below how many rows of a class a recall of 0 or 1 says less than its interval.
const fewRows = 300

const overall = 8

func newBootstrap(c *Confusion, n int, seed uint64, level float64) *bootstrap {
	if n < 1 {
		n = 2000
	}
	if !(level > 0 && level < 1) {
		level = 0.95
	}
	b := &bootstrap{out: Intervals{Level: level, Resamples: n, Seed: seed, PerClass: make([]ClassIntervals, len(c.Classes))}}
	for i, m := range c.Metrics().PerClass {
		b.out.PerClass[i].Class = m.Class
		if (m.Correct == 0 || m.Correct == m.Support) && m.Support > 0 && m.Support < fewRows {
			b.sure = append(b.sure, m.Class)
		}
	}
	b.resample.PerClass = make([]ClassMetrics, len(c.Classes))
	b.values = make([][]float64, overall+3*len(c.Classes))
	for i := range b.values {
		b.values[i] = make([]float64, 0, n)
	}
	return b
}

func (b *bootstrap) warn(format string, args ...any) {
	b.out.Warnings = append(b.out.Warnings, fmt.Sprintf(format, args...))
}

func (b *bootstrap) add(c cell, n uint64) {
	b.resample.PerClass[c.truth].Support += n
	b.resample.PerClass[c.predicted].Predicted += n
	if c.truth == c.predicted {
		b.resample.PerClass[c.truth].Correct += n
	}
}

// keep keeps the metrics of the resample that was added, and begins another.
func (b *bootstrap) keep() {
	m := &b.resample
	m.fromClasses()
	for i, v := range [overall]float64{m.Accuracy, m.BalancedAccuracy, m.MCC, m.Kappa, m.Macro.Precision, m.Macro.Recall, m.Macro.F1, m.Weighted.F1} {
		b.values[i] = append(b.values[i], v)
	}
	for i, class := range m.PerClass {
		v := b.values[overall+3*i:]
		if class.Predicted > 0 {
			v[0] = append(v[0], class.Precision)
		}
		if class.Support > 0 {
			v[1] = append(v[1], class.Recall)
		}
		if class.Present() {
			v[2] = append(v[2], class.F1)
		}
		m.PerClass[i] = ClassMetrics{}
	}
}

func (b *bootstrap) finish() Intervals {
	o := &b.out
	if len(b.sure) > 0 {
		b.warn("all rows right, or all wrong, of fewer than %d each: %s; their recall has an interval without width, but n rows cannot tell a "+
			"share below 3/n from none", fewRows, strings.Join(b.sure, ", "))
	}
	intervals := []*Interval{&o.Accuracy, &o.BalancedAccuracy, &o.MCC, &o.Kappa, &o.MacroPrecision, &o.MacroRecall, &o.MacroF1, &o.WeightedF1}
	for i := range o.PerClass {
		class := &o.PerClass[i]
		intervals = append(intervals, &class.Precision, &class.Recall, &class.F1)
	}
	for i, values := range b.values {
		slices.Sort(values)
		*intervals[i] = Interval{0, 1}
		if i == 2 || i == 3 { // MCC and kappa
			intervals[i].Low = -1
		}
		if len(values) > 0 {
			*intervals[i] = Interval{quantile(values, (1-o.Level)/2), quantile(values, (1+o.Level)/2)}
		}
	}
	return *o
}

// quantile interpolates between sorted values, as numpy.quantile does by default (type 7 of Hyndman and Fan).
func quantile(sorted []float64, p float64) float64 {
	at := float64(p * float64(len(sorted)-1))
	i := int(math.Floor(at))
	if i >= len(sorted)-1 {
		return sorted[len(sorted)-1]
	}
	step := sorted[i+1] - sorted[i]
	if math.IsInf(step, 0) { // their halves have a distance
		return 2 * (sorted[i]/2 + float64((at-float64(i))*(sorted[i+1]/2-sorted[i]/2)))
	}
	return sorted[i] + float64((at-float64(i))*step)
}

// multinomial draws total rows from the cells by their counts: how many fall into each of them.
func multinomial(random *rand.Rand, cells []cell, total uint64, drawn []uint64) {
	left, rows := total, total
	for i, c := range cells {
		drawn[i] = rows
		if c.n < left {
			drawn[i] = binomial(random, rows, float64(c.n)/float64(left))
		}
		rows -= drawn[i]
		left -= c.n
	}
}

// binomial draws how many of n succeed, each with probability p. Its arithmetic rounds the same everywhere, unlike a library's, so that
// intervals are the same to the digit on every processor.
func binomial(random *rand.Rand, n uint64, p float64) uint64 {
	if p > 0.5 {
		return n - binomial(random, n, 1-p)
	}
	if n == 0 || !(p > 0) {
		return 0
	}
	if float64(float64(n)*p) < 10 {
		return invert(random, n, p)
	}
	return reject(random, n, p)
}

// invert is binomial by walking the distribution from 0.
func invert(random *rand.Rand, n uint64, p float64) uint64 {
	odds := p / (1 - p)
	none, base := 1.0, 1-p // (1-p)^n by squaring; n p is below 10, so it is far from 0
	for e := n; e > 0; e >>= 1 {
		if e&1 == 1 {
			none = float64(none * base)
		}
		base = float64(base * base)
	}
	u := random.Float64()
	chance := none
	k := uint64(0)
	for u >= chance && k < n {
		u -= chance
		k++
		chance = float64(chance*odds) * (float64(n-k+1) / float64(k))
		if chance == 0 {
			break
		}
	}
	return k
}

// reject is binomial by the algorithm BTRS of Hörmann, Journal of Statistical Computation and Simulation 46 (1993) 101-110, for p of at most
// one half and n p of at least 10.
func reject(random *rand.Rand, n uint64, p float64) uint64 {
	N := float64(n)
	q := 1 - p
	mean := float64(N * p)
	sd := math.Sqrt(float64(mean * q))
	b := 1.15 + float64(2.53*sd)
	a := -0.0873 + float64(0.0248*b) + float64(0.01*p)
	c := mean + 0.5
	alpha := float64((2.83 + 5.1/b) * sd)
	inner := 0.92 - 4.2/b
	odds := p / q
	mode := math.Floor(float64((N + 1) * p))
	for {
		v := random.Float64()
		u := random.Float64() - 0.5
		us := 0.5 - math.Abs(u)
		if us == 0 {
			continue
		}
		k := math.Floor(float64((2*a/us+b)*u) + c)
		if k < 0 || k > N {
			continue
		}
		if us >= 0.07 && v <= inner {
			return uint64(k)
		}
		v = float64(v*alpha) / (a/float64(us*us) + b)
		bound := float64((mode+0.5)*ln((mode+1)/float64(odds*(N-mode+1)))) +
			float64((N+1)*ln((N-mode+1)/(N-k+1))) +
			float64((k+0.5)*ln(float64(odds*(N-k+1))/(k+1))) +
			stirling(mode) + stirling(N-mode) - stirling(k) - stirling(N-k)
		if ln(v) <= bound {
			return uint64(k)
		}
	}
}

// stirling is ln k! - [ln sqrt(2 pi) + (k + 1/2) ln(k + 1) - (k + 1)].
func stirling(k float64) float64 {
	if k < float64(len(stirlings)) {
		return stirlings[int(k)]
	}
	r := 1 / (k + 1)
	rr := float64(r * r)
	return float64((1.0/12 - float64((1.0/360-rr/1260)*rr)) * r)
}

var stirlings = func() (table [10]float64) {
	factorial := 1.0
	for k := range table {
		x := float64(k)
		if k > 0 {
			factorial *= x
		}
		table[k] = ln(factorial) - (0.91893853320467274178 + float64((x+0.5)*ln(x+1)) - (x + 1))
	}
	return table
}()

// ln is the natural logarithm of a finite number above 0, to some last bits; ln of 0 is -Inf. math.Log is another in its last bit from
// processor to processor.
func ln(x float64) float64 {
	if x == 0 {
		return math.Inf(-1)
	}
	f, e := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f *= 2
		e--
	}
	s := (f - 1) / (f + 1)
	ss := float64(s * s) // at most 0.0295
	sum := 0.0
	for i := 25; i > 1; i -= 2 {
		sum = float64(ss * (sum + 1/float64(i)))
	}
	return float64(float64(e)*math.Ln2) + float64(2*s*(1+sum))
}
