package selection

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// Components are the principal components of columns that were standardised (mean 0, standard deviation 1): directions in which rows spread most,
// one after the other, as eigenvectors of the correlation matrix.
type Components struct {
	Columns  []string `json:"columns"`            // those that vary
	Constant []string `json:"constant,omitempty"` // those that do not; they have no part
	// Ratio is the share of all variance that a component explains, largest first: explained_variance_ratio_ of scikit-learn's PCA.
	Ratio []float64 `json:"ratio"`
	// Loadings[component][column] are unit vectors; the largest part of each is positive, the first of equal ones.
	Loadings    [][]float64   `json:"loadings"`
	Correlation *mat.SymDense `json:"-"` // of Columns, Pearson's
}

// PCA computes them. It wants two rows at least, and a column that varies. It holds the columns once more, scaled so that the squares of
// very large and very small values are numbers.
func PCA(t *Table) (*Components, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	c := &Components{}
	var vary [][]float64
	for i, x := range t.X {
		if isConstant(x) {
			c.Constant = append(c.Constant, t.Columns[i])
		} else {
			c.Columns = append(c.Columns, t.Columns[i])
			vary = append(vary, scaled(x))
		}
	}
	if t.Rows() < 2 || len(vary) == 0 {
		return nil, errors.New("principal components want rows that differ")
	}
	p := len(vary)
	c.Correlation = mat.NewSymDense(p, nil)
	for i := range vary {
		c.Correlation.SetSym(i, i, 1)
		for j := range i {
			r := stat.Correlation(vary[i], vary[j], nil)
			if math.IsNaN(r) {
				return nil, fmt.Errorf("%s and %s have no correlation: their values are too close together", c.Columns[j], c.Columns[i])
			}
			c.Correlation.SetSym(i, j, math.Max(-1, math.Min(1, r)))
		}
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(c.Correlation, true) {
		return nil, errors.New("the correlations have no principal components")
	}
	values := eigen.Values(nil) // smallest first
	var vectors mat.Dense
	eigen.VectorsTo(&vectors)
	for i := p - 1; i >= 0; i-- {
		c.Ratio = append(c.Ratio, math.Max(0, values[i])/float64(p))
		loading := mat.Col(nil, i, &vectors)
		most := 0
		for j, v := range loading {
			if math.Abs(v) > math.Abs(loading[most])+1e-12 {
				most = j
			}
		}
		if loading[most] < 0 {
			for j := range loading {
				loading[j] = -loading[j]
			}
		}
		c.Loadings = append(c.Loadings, loading)
	}
	if sum := floats.Sum(c.Ratio); !(math.Abs(sum-1) < 1e-6) {
		return nil, fmt.Errorf("the components explain %v of the variance, not all of it once: leave out columns that are all but constant", sum)
	}
	return c, nil
}

// scaled returns a column that varies less its mean, divided by the greatest magnitude that is left.
func scaled(x []float64) []float64 {
	mean := stat.Mean(x, nil)
	y := make([]float64, len(x))
	greatest := 0.0
	for i, v := range x {
		y[i] = v - mean
		greatest = math.Max(greatest, math.Abs(y[i]))
	}
	for i := range y {
		y[i] /= greatest
	}
	return y
}

func isConstant(x []float64) bool {
	for _, v := range x {
		if v != x[0] {
			return false
		}
	}
	return true
}

// Needed returns how many components explain at least a share of the variance together, 0.95 say.
func (c *Components) Needed(share float64) int {
	sum := 0.0
	for i, ratio := range c.Ratio {
		sum += ratio
		if sum >= share-1e-12 {
			return i + 1
		}
	}
	return len(c.Ratio)
}

// Pair is two columns that go together.
type Pair struct {
	A           string  `json:"a"`
	B           string  `json:"b"`
	Correlation float64 `json:"correlation"` // Pearson's, -1 to 1
}

// Correlated returns the pairs whose correlation is at least so much in magnitude, in the order of the columns.
func (c *Components) Correlated(least float64) []Pair {
	var pairs []Pair
	for i, a := range c.Columns {
		for j := i + 1; j < len(c.Columns); j++ {
			if r := c.Correlation.At(i, j); math.Abs(r) >= least {
				pairs = append(pairs, Pair{a, c.Columns[j], r})
			}
		}
	}
	return pairs
}
