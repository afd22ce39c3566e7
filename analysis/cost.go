package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// A cost model is accepted when it is near the measured costs both on average and at the worst point.
const (
	MaxMAPE     = 0.10 // highest accepted mean absolute relative residual
	MaxResidual = 0.25 // highest accepted relative residual of any point
)

// ErrTooFewSizes is returned by FitCost for points of fewer than three distinct sizes: two sizes fit every line.
var ErrTooFewSizes = errors.New("a cost model needs at least three distinct sizes")

// CostPoint is the measured cost of packets of one size.
type CostPoint struct {
	Octets float64 `json:"octets"`
	NS     float64 `json:"ns"` // nanoseconds per packet
	// Size names the size that was asked for. Points of one name are of one size although their octets, being the mean of what
	// was measured, differ a little from repeat to repeat. Without a name the octets tell sizes apart.
	Size string `json:"size,omitempty"`
	// Repeat tells which points were measured together: the intervals of a model compare repeats, never points.
	Repeat int `json:"repeat"`
}

// CostModel is the line NS = Base + PerOctet*octets. Relative numbers are fractions of the measured cost.
type CostModel struct {
	Points    int     `json:"points"`
	Repeats   int     `json:"repeats"`
	MinOctets float64 `json:"min_octets"` // the model speaks of sizes from here
	MaxOctets float64 `json:"max_octets"` // to here

	Base       float64 `json:"base_ns"`
	PerOctet   float64 `json:"per_octet_ns"` // near 0 for a parser that does not touch the payload
	BaseSE     float64 `json:"base_se_ns"`
	PerOctetSE float64 `json:"per_octet_se_ns"`
	// The intervals are those of the median over repeats, each repeat fitted alone. There are none for fewer than
	// MinRepeats repeats.
	BaseInterval     Interval `json:"base_interval,omitzero"`
	PerOctetInterval Interval `json:"per_octet_interval,omitzero"`

	MAPE  float64 `json:"mape"`         // mean absolute relative residual
	Worst float64 `json:"max_residual"` // largest absolute relative residual
	// R2 is the share of the weighted variance that size explains. It is no ground for refusal: where size costs
	// nothing it is near 0 however well the line fits.
	R2 float64 `json:"r2"`

	// Accepted is false where the misfit is above MaxMAPE or MaxResidual: then cost is not a line in size, and the
	// model must not be used to predict.
	Accepted bool     `json:"accepted"`
	Warnings []string `json:"warnings,omitempty"`
}

// At returns the modelled cost in nanoseconds of a packet of that many octets.
func (m CostModel) At(octets float64) float64 { return m.Base + float64(m.PerOctet*octets) }

// FitCost fits a line to points by least squares of the relative residuals (weights 1/NS²), because timing errors grow
// with the time. It returns an error for a point that is not a cost (NS not positive, a negative or non-finite number),
// and ErrTooFewSizes; a line that fits badly is returned with Accepted false and the reason among the Warnings.
func FitCost(points []CostPoint) (CostModel, error) {
	for i, p := range points {
		if !(p.NS > 0) || math.IsInf(p.NS, 0) || !(p.Octets >= 0) || math.IsInf(p.Octets, 0) {
			return CostModel{}, fmt.Errorf("cost point %d of %d: %g ns at %g octets is not a cost", i+1, len(points),
				p.NS, p.Octets)
		}
	}
	if n := min(Sizes(points), lengths(points)); n < 3 {
		return CostModel{}, fmt.Errorf("%w, have %d", ErrTooFewSizes, n)
	}
	m := CostModel{Points: len(points), MinOctets: points[0].Octets, MaxOctets: points[0].Octets}
	for _, p := range points {
		m.MinOctets = min(m.MinOctets, p.Octets)
		m.MaxOctets = max(m.MaxOctets, p.Octets)
	}
	l := fitLine(points)
	m.Base, m.PerOctet, m.R2 = l.base, l.slope, l.r2

	var sum, squares float64
	for _, p := range points {
		r := math.Abs(m.At(p.Octets)/p.NS - 1)
		sum += r
		squares += r * r
		m.Worst = max(m.Worst, r)
	}
	m.MAPE = sum / float64(len(points))
	m.BaseSE, m.PerOctetSE = l.errors(squares / float64(len(points)-2))
	for _, v := range []float64{m.Base, m.PerOctet, m.R2, m.MAPE, m.BaseSE, m.PerOctetSE} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return CostModel{}, errors.New("the costs and sizes are too far apart to be fitted by a line")
		}
	}

	m.judge()
	m.repeatIntervals(points)
	return m, nil
}

func (m *CostModel) warn(format string, args ...any) {
	m.Warnings = append(m.Warnings, fmt.Sprintf(format, args...))
}

func (m *CostModel) judge() {
	m.Accepted = m.MAPE <= MaxMAPE && m.Worst <= MaxResidual
	if !m.Accepted {
		m.warn("cost is not a line in size: mean misfit %.1f %% (limit %g %%), largest %.1f %% (limit %g %%)",
			100*m.MAPE, 100*MaxMAPE, 100*m.Worst, 100*MaxResidual)
	}
	if m.Base < 0 {
		m.warn("the base cost is negative (%.3g ns): the line means nothing below %g octets", m.Base, m.MinOctets)
	}
	if m.PerOctet < -2*m.PerOctetSE {
		m.warn("the cost falls with size (%.3g ns per octet): look for an order effect in the trials", m.PerOctet)
	}
}

// repeatIntervals fits every repeat alone. Repeats that lack sizes are not comparable and give no interval.
func (m *CostModel) repeatIntervals(points []CostPoint) {
	byRepeat := map[int][]CostPoint{}
	for _, p := range points {
		byRepeat[p.Repeat] = append(byRepeat[p.Repeat], p)
	}
	m.Repeats = len(byRepeat)
	all := Sizes(points)
	var bases, slopes []float64
	for _, part := range byRepeat {
		if Sizes(part) != all {
			continue
		}
		l := fitLine(part)
		if math.IsNaN(l.base+l.slope) || math.IsInf(l.base+l.slope, 0) {
			continue
		}
		bases = append(bases, l.base)
		slopes = append(slopes, l.slope)
	}
	if n := m.Repeats - len(bases); n > 0 {
		m.warn("%d of %s do not cover all sizes and are left out of the intervals", n, count(m.Repeats, "repeat"))
	}
	slices.Sort(bases)
	slices.Sort(slopes)
	m.BaseInterval = medianInterval(bases)
	m.PerOctetInterval = medianInterval(slopes)
	if !m.BaseInterval.Valid() {
		m.warn("%s cannot give intervals of the cost model; take at least %d", count(len(bases), "whole repeat"),
			MinRepeats)
	}
}

// line is a weighted least-squares line with what its standard errors need.
type line struct {
	base, slope, r2 float64
	weight          float64 // sum of the weights
	mean            float64 // weighted mean size
	spread          float64 // weighted sum of squared distances from mean
}

func fitLine(points []CostPoint) line {
	n := len(points)
	x, y, w := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, p := range points {
		x[i], y[i] = p.Octets, p.NS
	}
	// gonum divides by the sum of the weights less one, so they are scaled to sum to n+1. Going through the lowest cost
	// keeps the squares in range.
	low := slices.Min(y)
	var l line
	for i := range w {
		r := low / y[i]
		w[i] = r * r
	}
	scale := float64(n+1) / sumOf(w)
	for i := range w {
		w[i] *= scale
	}
	l.base, l.slope = stat.LinearRegression(x, y, w, false)
	if stat.Variance(y, w) > 0 {
		l.r2 = stat.RSquared(x, y, w, l.base, l.slope)
	}
	unit := scale * low * low // w[i] = unit/y[i]²
	l.weight = sumOf(w) / unit
	l.mean = stat.Mean(x, w)
	for i := range x {
		d := x[i] - l.mean
		l.spread += w[i] * d * d
	}
	l.spread /= unit
	return l
}

// errors returns the standard errors of base and slope for the variance of a relative residual.
func (l line) errors(variance float64) (base, slope float64) {
	slope = math.Sqrt(variance / l.spread)
	base = math.Sqrt(variance * (1/l.weight + l.mean*l.mean/l.spread))
	return base, slope
}

// Sizes counts the sizes of points: see CostPoint.Size.
func Sizes(points []CostPoint) int {
	type size struct {
		name   string
		octets float64
	}
	seen := map[size]struct{}{}
	for _, p := range points {
		s := size{name: p.Size}
		if p.Size == "" {
			s.octets = p.Octets
		}
		seen[s] = struct{}{}
	}
	return len(seen)
}

// lengths counts distinct octets: two of them fit every line, whatever their sizes are called.
func lengths(points []CostPoint) int {
	seen := map[float64]struct{}{}
	for _, p := range points {
		seen[p.Octets] = struct{}{}
	}
	return len(seen)
}

func sumOf(x []float64) float64 {
	var s float64
	for _, v := range x {
		s += v
	}
	return s
}
