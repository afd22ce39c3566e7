// Package selection says which features of labelled rows tell their classes, and how many the rows really have: mutual information of each
// feature with the class, and principal components. It knows nothing of files or packets.
package selection

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Table is labelled rows, by column.
type Table struct {
	Columns []string
	Classes []string
	X       [][]float64 // X[column][row], all finite, and of at most Largest
	Class   []int       // of each row, an index of Classes
}

// Rows returns how many rows it has.
func (t *Table) Rows() int { return len(t.Class) }

// Largest is the greatest magnitude of a value: squares of greater ones are no numbers.
const Largest = 1e150

// check reports what nothing here can work with.
func (t *Table) check() error {
	if len(t.X) != len(t.Columns) {
		return fmt.Errorf("%d columns of values for %d names", len(t.X), len(t.Columns))
	}
	for i, x := range t.X {
		if len(x) != len(t.Class) {
			return fmt.Errorf("column %s has %d values for %d rows", t.Columns[i], len(x), len(t.Class))
		}
		for row, v := range x {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("row %d of column %s is %v: leave such rows out, or put a number in its place", row+1, t.Columns[i], v)
			}
			if math.Abs(v) > Largest {
				return fmt.Errorf("row %d of column %s is %v: too large to be squared", row+1, t.Columns[i], v)
			}
		}
	}
	for row, class := range t.Class {
		if class < 0 || class >= len(t.Classes) {
			return fmt.Errorf("row %d is of class %d of %d", row+1, class, len(t.Classes))
		}
	}
	return nil
}

// Entropy returns the entropy of the class in nats: what a feature that tells all about it would tell. It is at most ln of the number of classes.
func (t *Table) Entropy() float64 {
	counts := make([]float64, len(t.Classes))
	for _, class := range t.Class {
		counts[class]++
	}
	h := 0.0
	for _, n := range counts {
		if n > 0 {
			p := n / float64(len(t.Class))
			h -= p * math.Log(p)
		}
	}
	return h
}

// Sampler gathers a Table from rows that come one by one: all of them, or where they are more than it may hold, a random part in which each row
// stands with the same probability (algorithm R, Vitter, ACM Transactions on Mathematical Software 11 (1985) 37-57).
type Sampler struct {
	columns []string
	limit   int
	random  *rand.Rand
	rows    uint64
	x       [][]float64
	labels  []int
	names   []string
	index   map[string]int
}

// NewSampler returns a sampler of at most limit rows, or of all if limit is below 1. Equal rows in equal order and seeds give the same table.
func NewSampler(columns []string, limit int, seed uint64) *Sampler {
	return &Sampler{columns: slices.Clone(columns), limit: limit, random: rand.New(rand.NewPCG(seed, 2)), x: make([][]float64, len(columns)),
		index: map[string]int{}}
}

// Add takes a row of one value a column, which it copies.
func (s *Sampler) Add(values []float64, label string) {
	s.rows++
	at := len(s.labels)
	if s.limit > 0 && at == s.limit {
		i := s.random.Uint64N(s.rows)
		if i >= uint64(s.limit) {
			return
		}
		at = int(i)
	}
	class, known := s.index[label]
	if !known {
		class = len(s.names)
		s.index[label] = class
		s.names = append(s.names, label)
	}
	if at == len(s.labels) {
		s.labels = append(s.labels, class)
		for i := range s.x {
			s.x[i] = append(s.x[i], values[i])
		}
		return
	}
	s.labels[at] = class
	for i := range s.x {
		s.x[i][at] = values[i]
	}
}

// Rows returns how many rows were added.
func (s *Sampler) Rows() uint64 { return s.rows }

// Table returns the rows kept; its classes are those of them, sorted by name. It uses the sampler's memory: add nothing after.
func (s *Sampler) Table() *Table {
	t := &Table{Columns: s.columns, X: s.x, Class: s.labels}
	present := make([]bool, len(s.names))
	for _, class := range s.labels {
		present[class] = true
	}
	for class, name := range s.names {
		if present[class] {
			t.Classes = append(t.Classes, name)
		}
	}
	slices.Sort(t.Classes)
	place := make([]int, len(s.names))
	for class, name := range s.names {
		place[class], _ = slices.BinarySearch(t.Classes, name)
	}
	for row, class := range t.Class {
		t.Class[row] = place[class]
	}
	return t
}
