package score

import (
	"math"
	"slices"
)

// Pairing compares rows that should be equal, as those of a published file and those extracted from its capture, column by column.
type Pairing struct {
	rows    uint64
	columns []ColumnPairs
}

// ColumnPairs is how a column of paired rows differs.
type ColumnPairs struct {
	Column string `json:"column"`
	// Mismatches are rows whose values are not the same float64. Two NaN are the same, and so are 0 and -0.
	Mismatches uint64 `json:"mismatches"`
	// NonFinite are those of them where one value, or both, is NaN or infinite. They have no relative difference.
	NonFinite uint64 `json:"non_finite"`
	// MaxRelative is the largest difference of two finite values as a part of the larger magnitude, MaxRelativeRow the first row, from 1, that has
	// it; 0 if there is none.
	MaxRelative    float64 `json:"max_relative"`
	MaxRelativeRow uint64  `json:"max_relative_row"`
}

// NewPairing returns a comparison of no rows yet.
func NewPairing(columns []string) *Pairing {
	p := &Pairing{columns: make([]ColumnPairs, len(columns))}
	for i, name := range columns {
		p.columns[i].Column = name
	}
	return p
}

// Add compares two rows of one value a column. It allocates nothing.
func (p *Pairing) Add(a, b []float64) {
	p.rows++
	for i := range p.columns {
		x, y := a[i], b[i]
		if x == y || x != x && y != y {
			continue
		}
		c := &p.columns[i]
		c.Mismatches++
		if !finite(x) || !finite(y) {
			c.NonFinite++
			continue
		}
		scale := max(math.Abs(x), math.Abs(y))
		if relative := math.Abs(x/scale - y/scale); relative > c.MaxRelative || c.MaxRelativeRow == 0 {
			c.MaxRelative, c.MaxRelativeRow = relative, p.rows
		}
	}
}

// Rows returns how many pairs were compared.
func (p *Pairing) Rows() uint64 { return p.rows }

// Columns returns how each column differs so far, all columns in their order.
func (p *Pairing) Columns() []ColumnPairs { return slices.Clone(p.columns) }
