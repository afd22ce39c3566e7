package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat/distuv"
)

// Form is what a cost per packet is taken to depend on.
type Form string

// The forms, from simple to rich.
const (
	// FormFlat is cost = base.
	FormFlat Form = "flat"
	// FormLine is cost = base + per octet * octets: a parser that copies or decodes the payload.
	FormLine Form = "line"
	// FormPerSecond is cost = base + per second / pps: work that is done at fixed times (timers, polling), shared by the
	// packets of that time.
	FormPerSecond Form = "per-second"
	// FormWakeup is cost = base + wakeup * max(0, 1 - pps/busy): a packet that finds its reader asleep pays for waking it,
	// on a clock that the governor has lowered. The share of time in which all is asleep is one less the load, so it falls
	// in proportion to the rate, to nothing at the rate busy. Which of waking and clock it is, a fit cannot tell.
	FormWakeup Form = "wake-up"
)

// Forms returns all forms, from simple to rich.
func Forms() []Form { return []Form{FormFlat, FormLine, FormPerSecond, FormWakeup} }

func (f Form) terms() int {
	switch f {
	case FormFlat:
		return 1
	case FormWakeup:
		return 3
	}
	return 2
}

// Formula writes the form's cost with its terms as a, b and c, in the order of Fit.
func (f Form) Formula() string {
	switch f {
	case FormFlat:
		return "a constant"
	case FormLine:
		return "a + b*octets"
	case FormPerSecond:
		return "a + b/pps"
	case FormWakeup:
		return "a + b*max(0, 1 - pps/c)"
	}
	return string(f)
}

// ErrTooFewRates is returned by FitForm where the points have too few distinct rates for the form.
var ErrTooFewRates = errors.New("too few distinct rates")

// FitPoint is a measured cost per packet, and what it may depend on.
type FitPoint struct {
	Octets float64 `json:"octets"` // size of the packets, in whatever measure all points share
	PPS    float64 `json:"pps"`    // packets per second offered; needed by the forms that depend on it only
	NS     float64 `json:"ns"`     // nanoseconds per packet
	// Weight is that of the squared residual; 0 stands for 1. Equal weights trust all points alike, 1/NS² takes errors for
	// proportional to the cost, and the number of packets makes a flat cost the whole time over all packets.
	Weight float64 `json:"weight,omitempty"`
	Repeat int     `json:"repeat"` // which points were measured together
}

func (p FitPoint) weight() float64 {
	if p.Weight == 0 {
		return 1
	}
	return p.Weight
}

// Term is a fitted parameter.
type Term struct {
	Value float64 `json:"value"`
	SE    float64 `json:"se"` // standard error, of points taken for independent
	// Interval is that of Student's t for the standard error or, with MinRepeats whole repeats or more, that of the median
	// over repeats, each fitted alone.
	Interval Interval `json:"interval,omitzero"`
}

// Fit is a form of cost fitted to points. Terms that the form has not are zero. Relative numbers are fractions of the
// measured cost.
type Fit struct {
	Form      Form    `json:"form"`
	Points    int     `json:"points"`
	Repeats   int     `json:"repeats"`
	MinOctets float64 `json:"min_octets"` // the fit speaks of sizes from here
	MaxOctets float64 `json:"max_octets"` // to here
	MinPPS    float64 `json:"min_pps"`    // and of rates from here
	MaxPPS    float64 `json:"max_pps"`    // to here

	Base      Term `json:"base_ns"`
	PerOctet  Term `json:"per_octet_ns,omitzero"`  // of FormLine
	PerSecond Term `json:"per_second_ns,omitzero"` // of FormPerSecond: nanoseconds of work in each second
	Wakeup    Term `json:"wakeup_ns,omitzero"`     // of FormWakeup: what a packet costs more at a rate near nothing
	BusyPPS   Term `json:"busy_pps,omitzero"`      // of FormWakeup: the rate from which cost is Base

	R2    float64 `json:"r2"`           // share of the weighted variance that is explained; 0 for a flat cost
	MAPE  float64 `json:"mape"`         // mean absolute relative residual, of points alike
	Worst float64 `json:"max_residual"` // largest absolute relative residual
	// Accepted is false where the misfit is above MaxMAPE or MaxResidual: then cost is not of this form, and the fit must
	// not be used to predict.
	Accepted bool     `json:"accepted"`
	Warnings []string `json:"warnings,omitempty"`
}

// At returns the fitted cost in nanoseconds of a packet of that many octets at that many packets per second.
func (f Fit) At(octets, pps float64) float64 {
	ns := f.Base.Value
	switch f.Form {
	case FormLine:
		ns += float64(f.PerOctet.Value * octets)
	case FormPerSecond:
		ns += f.PerSecond.Value / pps
	case FormWakeup:
		ns += float64(f.Wakeup.Value * max(0, 1-pps/f.BusyPPS.Value))
	}
	return ns
}

// terms returns the terms of the form, in the order of its design.
func (f *Fit) terms() []*Term {
	switch f.Form {
	case FormLine:
		return []*Term{&f.Base, &f.PerOctet}
	case FormPerSecond:
		return []*Term{&f.Base, &f.PerSecond}
	case FormWakeup:
		return []*Term{&f.Base, &f.Wakeup, &f.BusyPPS}
	}
	return []*Term{&f.Base}
}

// FitForm fits a form to points by weighted least squares of the residuals in nanoseconds. It returns an error for a
// point that is no cost (NS not positive, a negative or non-finite number, no rate where the form needs one) and for
// points that cannot tell the terms of the form apart: ErrTooFewSizes, ErrTooFewRates. A form that fits badly is returned
// with Accepted false and the reason among the Warnings.
func FitForm(form Form, points []FitPoint) (Fit, error) {
	if err := checkPoints(form, points); err != nil {
		return Fit{}, err
	}
	f := Fit{Form: form, Points: len(points), MinOctets: math.Inf(1), MinPPS: math.Inf(1)}
	for _, p := range points {
		f.MinOctets, f.MaxOctets = min(f.MinOctets, p.Octets), max(f.MaxOctets, p.Octets)
		f.MinPPS, f.MaxPPS = min(f.MinPPS, p.PPS), max(f.MaxPPS, p.PPS)
	}
	if err := f.solve(points); err != nil {
		return Fit{}, err
	}
	for _, p := range points {
		r := math.Abs(f.At(p.Octets, p.PPS)/p.NS - 1)
		f.MAPE += r / float64(len(points))
		f.Worst = max(f.Worst, r)
	}
	checked := []float64{f.MAPE, f.Worst, f.R2}
	for _, t := range f.terms() {
		checked = append(checked, t.Value, t.SE, t.Interval.Low, t.Interval.High)
	}
	if !finite(checked...) {
		return Fit{}, errors.New("the points are too far apart to be fitted")
	}
	f.judge()
	f.repeats(points)
	return f, nil
}

// ChooseFit returns the fit to work with: the accepted one of the fewest terms, unless a richer accepted one at least
// halves its mean misfit. Of two with as many terms the one of less misfit is asked first. It returns false where none is
// accepted. All fits must be of the same points.
func ChooseFit(fits ...Fit) (Fit, bool) {
	fits = slices.Clone(fits)
	slices.SortStableFunc(fits, func(a, b Fit) int {
		if d := a.Form.terms() - b.Form.terms(); d != 0 {
			return d
		}
		if a.MAPE < b.MAPE {
			return -1
		}
		return 1
	})
	var chosen Fit
	for _, f := range fits {
		if f.Accepted && (!chosen.Accepted || f.MAPE < chosen.MAPE/2) {
			chosen = f
		}
	}
	return chosen, chosen.Accepted
}

func checkPoints(form Form, points []FitPoint) error {
	octets, rates := map[float64]bool{}, []float64(nil)
	for i, p := range points {
		if !(p.NS > 0) || !(p.Octets >= 0) || !(p.PPS >= 0) || !(p.Weight >= 0) || !finite(p.NS, p.Octets, p.PPS, p.Weight) {
			return fmt.Errorf("cost point %d of %d: %g ns at %g octets and %g pps with weight %g is not a cost", i+1, len(points),
				p.NS, p.Octets, p.PPS, p.Weight)
		}
		if p.PPS == 0 && (form == FormPerSecond || form == FormWakeup) {
			return fmt.Errorf("cost point %d of %d has no rate: %s needs one", i+1, len(points), form)
		}
		octets[p.Octets], rates = true, append(rates, p.PPS)
	}
	paces := apart(rates)
	switch {
	case !slices.Contains(Forms(), form):
		return fmt.Errorf("unknown form of cost %q", string(form))
	case form == FormLine && len(octets) < 3:
		return fmt.Errorf("%w, have %d", ErrTooFewSizes, len(octets))
	case form == FormPerSecond && paces < 3:
		return fmt.Errorf("%w: have %d, need 3", ErrTooFewRates, paces)
	case form == FormWakeup && paces < 4:
		return fmt.Errorf("%w: have %d, need 4", ErrTooFewRates, paces)
	case len(points) <= form.terms():
		return fmt.Errorf("%s cannot fit the %d terms of %s", count(len(points), "point"), form.terms(), form)
	}
	return nil
}

// apart counts rates that are apart by more than a hundredth: measured ones of one setting never agree to the last digit.
func apart(values []float64) (n int) {
	slices.Sort(values)
	for i, last := 0, 0.0; i < len(values); i++ {
		if n == 0 || values[i] > last*1.01 {
			n, last = n+1, values[i]
		}
	}
	return n
}

// solve finds the terms, their errors and R2.
func (f *Fit) solve(points []FitPoint) error {
	n := len(points)
	y, w := make([]float64, n), make([]float64, n)
	for i, p := range points {
		y[i], w[i] = p.NS, p.weight()
	}
	design := [][]float64{filled(n, func(int) float64 { return 1 })}
	switch f.Form {
	case FormLine:
		design = append(design, filled(n, func(i int) float64 { return points[i].Octets }))
	case FormPerSecond:
		design = append(design, filled(n, func(i int) float64 { return 1 / points[i].PPS }))
	case FormWakeup:
		base, wakeup, busy, err := brokenLine(filled(n, func(i int) float64 { return points[i].PPS }), y, w)
		if err != nil {
			return err
		}
		f.Base.Value, f.Wakeup.Value, f.BusyPPS.Value = base, wakeup, busy
		// The errors are those of the form's tangent at the solution; its intervals hold the true value a little less often than
		// they say (the knee's in 91 % of a simulation instead of 95 %).
		design = append(design,
			filled(n, func(i int) float64 { return max(0, 1-points[i].PPS/busy) }),
			filled(n, func(i int) float64 {
				if points[i].PPS >= busy {
					return 0
				}
				return wakeup * (points[i].PPS / busy) / busy
			}))
	}
	s, err := leastSquares(design, y, w)
	switch {
	case err == nil:
	case f.Form == FormWakeup: // a flat cost has no rate from which it is flat
		return errNoRateTerm
	default:
		return err
	}
	terms := f.terms()
	if f.Form != FormWakeup {
		for i, t := range terms {
			t.Value = s.coef[i]
		}
	}
	var squares, total, mean, sum float64
	for i := range y {
		sum += w[i]
		mean += w[i] * y[i]
	}
	mean /= sum
	for i, p := range points {
		r := y[i] - f.At(p.Octets, p.PPS)
		squares += w[i] * r * r
		d := y[i] - mean
		total += w[i] * d * d
	}
	if total > 0 && f.Form != FormFlat {
		f.R2 = 1 - squares/total
	}
	free := float64(n - len(terms))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: free}.Quantile(1 - (1-Level)/2)
	for i, term := range terms {
		term.SE = math.Sqrt(squares/free) * s.root[i]
		term.Interval = Interval{Low: term.Value - float64(t*term.SE), High: term.Value + float64(t*term.SE), Coverage: Level}
	}
	return nil
}

func (f *Fit) warn(format string, args ...any) {
	f.Warnings = append(f.Warnings, fmt.Sprintf(format, args...))
}

func (f *Fit) judge() {
	f.Accepted = f.MAPE <= MaxMAPE && f.Worst <= MaxResidual
	if !f.Accepted {
		f.warn("cost is not %s: mean misfit %.1f %% (limit %g %%), largest %.1f %% (limit %g %%), R2 %.2f",
			f.Form.Formula(), 100*f.MAPE, 100*MaxMAPE, 100*f.Worst, 100*MaxResidual, f.R2)
	}
	if f.Base.Value < 0 {
		f.warn("the base cost is negative (%.3g ns)", f.Base.Value)
	}
	if f.PerOctet.Interval.Valid() {
		switch i := f.PerOctet.Interval; {
		case i.holds(0):
			f.warn("no cost per octet can be told from none: %.3g to %.3g ns", i.Low, i.High)
		case i.High < 0:
			f.warn("the cost falls with size: %.3g to %.3g ns per octet", i.Low, i.High)
		}
	}
	if f.PerSecond.Value < 0 || f.Wakeup.Value < 0 {
		f.warn("the cost rises with the rate: this form's reasons do not explain it")
	}
	if f.Form == FormWakeup && f.BusyPPS.Value >= f.MaxPPS {
		f.warn("no rate was measured from which the cost falls no more (up to %.4g pps)", f.MaxPPS)
	}
}

// repeats sets intervals of the median over repeats, each fitted alone, where there are enough. Repeats that lack points
// are not comparable.
func (f *Fit) repeats(points []FitPoint) {
	byRepeat := map[int][]FitPoint{}
	most := 0
	for _, p := range points {
		byRepeat[p.Repeat] = append(byRepeat[p.Repeat], p)
		most = max(most, len(byRepeat[p.Repeat]))
	}
	f.Repeats = len(byRepeat)
	if f.Repeats == 1 {
		return
	}
	terms := f.terms()
	values := make([][]float64, len(terms))
	for _, part := range byRepeat {
		alone := Fit{Form: f.Form}
		if len(part) < most || checkPoints(f.Form, part) != nil || alone.solve(part) != nil {
			continue
		}
		for i, t := range alone.terms() {
			values[i] = append(values[i], t.Value)
		}
	}
	if n := f.Repeats - len(values[0]); n > 0 {
		f.warn("%d of %s are not whole or cannot be fitted alone, and are left out of the intervals", n,
			count(f.Repeats, "repeat"))
	}
	if len(values[0]) < MinRepeats {
		f.warn("%s give no interval of their own (take at least %d): the intervals take points of one repeat for independent, "+
			"and may be too narrow", count(len(values[0]), "whole repeat"), MinRepeats)
		return
	}
	for i, t := range terms {
		slices.Sort(values[i])
		t.Interval = medianInterval(values[i])
	}
}

// squaresSolution has the coefficients of a weighted least squares fit and the square roots of the diagonal of (XᵀWX)⁻¹:
// times the residual standard deviation these are the standard errors.
type squaresSolution struct{ coef, root []float64 }

var (
	errCollinear  = errors.New("the points cannot tell the terms of the form apart")
	errNoRateTerm = errors.New("the cost does not fall with the rate, or only from the lowest rate to the next")
)

// leastSquares minimises the sum of w*(y - columns*coef)² by Gram and Schmidt's orthogonal columns, which keeps the digits
// that normal equations lose.
func leastSquares(columns [][]float64, y, w []float64) (squaresSolution, error) {
	p := len(columns)
	q, r := make([][]float64, p), make([][]float64, p)
	norms := make([]float64, p)
	rest := filled(len(y), func(i int) float64 { return y[i] * math.Sqrt(w[i]) })
	z := make([]float64, p)
	for j, column := range columns {
		v := filled(len(y), func(i int) float64 { return column[i] * math.Sqrt(w[i]) })
		norms[j] = floats.Norm(v, 2)
		if !(norms[j] > 0) || math.IsInf(norms[j], 0) {
			return squaresSolution{}, errCollinear
		}
		for i := range v {
			v[i] /= norms[j]
		}
		r[j] = make([]float64, p)
		for k := range j {
			r[k][j] = floats.Dot(q[k], v)
			floats.AddScaled(v, -r[k][j], q[k])
		}
		r[j][j] = floats.Norm(v, 2)
		if !(r[j][j] > 1e-9) {
			return squaresSolution{}, errCollinear
		}
		for i := range v {
			v[i] /= r[j][j]
		}
		q[j] = v
		z[j] = floats.Dot(v, rest)
		floats.AddScaled(rest, -z[j], v)
	}
	s := squaresSolution{coef: make([]float64, p), root: make([]float64, p)}
	inverse := make([][]float64, p) // of r, which is upper triangular
	for i := p - 1; i >= 0; i-- {
		inverse[i] = make([]float64, p)
		inverse[i][i] = 1 / r[i][i]
		for j := i + 1; j < p; j++ {
			var sum float64
			for k := i + 1; k <= j; k++ {
				sum += r[i][k] * inverse[k][j]
			}
			inverse[i][j] = -sum / r[i][i]
		}
		s.coef[i] = floats.Dot(inverse[i], z) / norms[i]
		s.root[i] = floats.Norm(inverse[i], 2) / norms[i]
	}
	return s, nil
}

// brokenLine fits y = base + wakeup*max(0, 1 - x/knee) by weighted least squares. For a knee between two neighbouring
// values of x the best line through the points below and the best constant through the others are independent; where they
// meet in that gap this is the best there. Else the best knee of the gap is one of its ends. So the least of all is found
// without a search. Where that is with a single value of x below the knee, any knee between fits as well: an error.
func brokenLine(x, y, w []float64) (base, wakeup, knee float64, err error) {
	rates := slices.Clone(x)
	slices.Sort(rates)
	rates = slices.Compact(rates)
	n := len(x)
	ones := filled(n, func(int) float64 { return 1 })
	least := math.Inf(1)
	try := func(b, a, k float64) {
		var squares float64
		for i := range x {
			r := y[i] - (b + float64(a*max(0, 1-x[i]/k)))
			squares += w[i] * r * r
		}
		if squares < least {
			base, wakeup, knee, least = b, a, k, squares
		}
	}
	for k := 1; k < len(rates); k++ {
		// The knee at a rate.
		if s, err := leastSquares([][]float64{ones,
			filled(n, func(i int) float64 { return max(0, 1-x[i]/rates[k]) })}, y, w); err == nil {
			try(s.coef[0], s.coef[1], rates[k])
		}
		// The knee between this rate and the one before.
		below := [3][]float64{}
		var mean, sum float64
		for i := range x {
			if x[i] < rates[k] {
				below[0], below[1], below[2] = append(below[0], x[i]), append(below[1], y[i]), append(below[2], w[i])
			} else {
				mean += w[i] * y[i]
				sum += w[i]
			}
		}
		mean /= sum
		s, err := leastSquares([][]float64{ones[:len(below[0])], below[0]}, below[1], below[2])
		if err != nil || s.coef[1] == 0 {
			continue
		}
		if meet := (mean - s.coef[0]) / s.coef[1]; rates[k-1] <= meet && meet <= rates[k] {
			try(mean, s.coef[0]-mean, meet)
		}
	}
	switch {
	case math.IsInf(least, 1):
		return 0, 0, 0, errCollinear
	case knee <= rates[1]:
		return 0, 0, 0, errNoRateTerm
	}
	return base, wakeup, knee, nil
}

func filled(n int, f func(int) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = f(i)
	}
	return v
}

func finite(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
