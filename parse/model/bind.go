package model

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pcaplab/parse/model/onnx"
	"pcaplab/parse/model/xgboost"
)

// Policy says what becomes of vectors that a model cannot take: with a value that is not finite, or that is not within
// float32's range, in a column that the model uses; or whose scores the model makes NaN of, for which there is no class whatever
// is put in their place: with Fail an error, else no prediction, counted.
type Policy uint8

// Policies.
const (
	Fail  Policy = iota // an error that names the columns, as scikit-learn raises
	Drop                // no prediction, counted
	Clamp               // NaN becomes 0, what is above or below float32's range its greatest or least value (numpy.nan_to_num); counted
)

var policyNames = [...]string{Fail: "fail", Drop: "drop", Clamp: "clamp"}

// Policies returns the names of the policies.
func Policies() []string { return slices.Clone(policyNames[:]) }

var _ encoding.TextMarshaler = Fail
var _ encoding.TextUnmarshaler = new(Policy)

// String returns the name.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("Policy(%d)", p)
}

// MarshalText returns the name.
func (p Policy) MarshalText() ([]byte, error) {
	if int(p) >= len(policyNames) {
		return nil, fmt.Errorf("no policy %d", p)
	}
	return []byte(policyNames[p]), nil
}

// UnmarshalText reads a name: fail, drop or clamp.
func (p *Policy) UnmarshalText(text []byte) error {
	i := slices.Index(policyNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("no policy %q for values that are not finite: there are %s", text, strings.Join(policyNames[:], ", "))
	}
	*p = Policy(i)
	return nil
}

// SchemaError says that a model is not of the columns that it is given.
type SchemaError struct {
	Model, Given int      // how many columns there are
	Named        bool     // the model names its columns; if not, only their number was compared
	Missing      []string // columns that the model takes and that are not given, in the model's order
	Foreign      []string // columns given that the model does not take, in their order
	Repeated     []string // columns that the model or the vector names more than once
}

// Error lists the difference; not what the model does not take where that is much.
func (e *SchemaError) Error() string {
	var b strings.Builder
	if len(e.Repeated) > 0 {
		return fmt.Sprintf("columns named more than once: %s", strings.Join(e.Repeated, ", "))
	}
	fmt.Fprintf(&b, "the model takes %d columns", e.Model)
	if e.Named {
		fmt.Fprintf(&b, " by name, and %d of them are not among the %d given", len(e.Missing), e.Given)
	} else {
		fmt.Fprintf(&b, " and does not name them, the vectors have %d", e.Given)
	}
	if release := releaseOf(e.Model); release != "" && e.Model != e.Given && !e.Named {
		fmt.Fprintf(&b, "; %d is %s of CIC-IoT-2023", e.Model, release)
		if other := releaseOf(e.Given); other != "" {
			fmt.Fprintf(&b, ", %d %s", e.Given, other)
		}
	}
	if n := len(e.Missing); n > 100 {
		fmt.Fprintf(&b, "; missing: %s and %d more", strings.Join(e.Missing[:100], ", "), n-100)
	} else if n > 0 {
		fmt.Fprintf(&b, "; missing: %s", strings.Join(e.Missing, ", "))
	}
	if len(e.Foreign) > 0 && len(e.Foreign) <= 12 {
		fmt.Fprintf(&b, "; not of the model: %s", strings.Join(e.Foreign, ", "))
	}
	switch {
	case e.Model == len(older) || e.Given == len(older):
		b.WriteString("; train on the tables that the vectors are like: values of the two releases are on different scales")
	case e.Named:
		b.WriteString("; train on columns among those given")
	default:
		b.WriteString("; train on the same columns, or have the model's file name those that it takes")
	}
	return b.String()
}

// NonFiniteError says that the policy Fail met a vector that the model cannot take.
type NonFiniteError struct {
	Columns []string // at fault, in the model's order
	Values  []float64
	Vector  uint64 // which vector since Bind, from 1
}

// Error names the columns, what they hold, and what to do.
func (e *NonFiniteError) Error() string {
	parts := make([]string, len(e.Columns))
	for i, c := range e.Columns {
		parts[i] = fmt.Sprintf("%s is %v", c, e.Values[i])
	}
	return fmt.Sprintf("vector %d: %s, which the model cannot take: choose to drop or to clamp such vectors", e.Vector, strings.Join(parts, ", "))
}

// Bound is a model on vectors whose columns have names. It belongs to one goroutine.
type Bound struct {
	m       Model
	columns []string // of the vectors
	used    []int    // for each value that the model takes, which column it is
	same    bool     // used counts up from 0: the vector's start is what the model takes
	policy  Policy
	x       []float64

	vectors, dropped, clamped uint64
}

// Bind fits m to vectors of the named columns. A model that names its columns takes them by name, whatever their order and
// however many others there are; names that differ only in case, spaces and punctuation are the same where that is not
// ambiguous and no column has the name itself. A model that does not takes as many columns as there are, in their order. The error is a *SchemaError.
func Bind(m Model, columns []string, p Policy) (*Bound, error) {
	b := &Bound{m: m, columns: slices.Clone(columns), policy: p, x: make([]float64, m.Width())}
	names := m.Columns()
	if int(p) >= len(policyNames) {
		return nil, fmt.Errorf("no policy %d", p)
	}
	if len(names) == 0 {
		if m.Width() != len(columns) {
			e := &SchemaError{Model: m.Width(), Given: len(columns)}
			e.Missing, e.Foreign = releaseDifference(m.Width(), columns)
			return nil, e
		}
		b.used = make([]int, len(columns))
		for i := range b.used {
			b.used[i] = i
		}
		b.same = true
		return b, nil
	}
	if len(names) != m.Width() {
		return nil, fmt.Errorf("the model names %d columns and takes %d", len(names), m.Width())
	}
	e := &SchemaError{Model: len(names), Given: len(columns), Named: true}
	if e.Repeated = repeated(names); len(e.Repeated) == 0 {
		e.Repeated = repeated(columns)
	}
	if len(e.Repeated) > 0 {
		return nil, e
	}
	folded := make(map[string]int, len(columns)) // -1: ambiguous
	for i, c := range columns {
		f := fold(c)
		if _, twice := folded[f]; twice {
			i = -1
		}
		folded[f] = i
	}
	taken := make([]bool, len(columns))
	b.used = make([]int, len(names))
	exact := make(map[string]int, len(columns))
	for i, c := range columns {
		exact[c] = i
	}
	for i, name := range names {
		at, found := exact[name]
		if b.used[i] = -1; found {
			b.used[i], taken[at] = at, true
		}
	}
	b.same = true
	for i, name := range names {
		if b.used[i] < 0 {
			at, found := folded[fold(name)]
			if !found || at < 0 || taken[at] {
				e.Missing = append(e.Missing, name)
				continue
			}
			b.used[i], taken[at] = at, true
		}
		b.same = b.same && b.used[i] == i
	}
	if len(e.Missing) > 0 {
		for i, c := range columns {
			if !taken[i] {
				e.Foreign = append(e.Foreign, c)
			}
		}
		return nil, e
	}
	return b, nil
}

func repeated(names []string) []string {
	var twice []string
	seen := map[string]bool{}
	for _, n := range names {
		if seen[n] && !slices.Contains(twice, n) {
			twice = append(twice, n)
		}
		seen[n] = true
	}
	return twice
}

// fold returns a name without what people change to please a library.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ' || r == '_' || r == '-' || r == '.':
			return -1
		}
		return r
	}, name)
}

// Model returns the model.
func (b *Bound) Model() Model { return b.m }

// Policy returns what becomes of vectors that the model cannot take.
func (b *Bound) Policy() Policy { return b.policy }

// Used returns, for each value that the model takes, the index of its column.
func (b *Bound) Used() []int { return slices.Clone(b.used) }

// Vectors returns how many vectors were given.
func (b *Bound) Vectors() uint64 { return b.vectors }

// Dropped returns how many vectors got no prediction because of a value that is not finite, or because their scores were NaN.
func (b *Bound) Dropped() uint64 { return b.dropped }

// Clamped returns how many vectors had a value that was not finite replaced.
func (b *Bound) Clamped() uint64 { return b.clamped }

// Clone returns a Bound for another goroutine, with its own counts, at 0.
func (b *Bound) Clone() *Bound {
	c := *b
	c.m = b.m.Clone()
	c.x = make([]float64, len(b.x))
	c.vectors, c.dropped, c.clamped = 0, 0, 0
	return &c
}

// finite32 reports whether a value stays finite as a float32, which models compute with.
func finite32(v float64) bool { return v >= -math.MaxFloat32 && v <= math.MaxFloat32 }

// Predict returns the class of a vector of all the columns given to Bind, and its scores as Model.Predict does. ok is false
// for a vector that the policy dropped, and for one whose scores are NaN unless the policy is Fail. With Fail the error of a
// vector that the model cannot take is a *NonFiniteError. It allocates nothing otherwise.
func (b *Bound) Predict(values, scores []float64) (class int, ok bool, err error) {
	x, ok, err := b.Take(values)
	if err != nil || !ok {
		return 0, false, err
	}
	class, err = b.m.Predict(x, scores)
	switch {
	case err == nil:
		return class, true, nil
	case !errors.Is(err, onnx.ErrNaN) && !errors.Is(err, xgboost.ErrNaN):
		return 0, false, err
	case b.policy == Fail:
		at := 0
		for i, v := range x {
			if math.Abs(v) > math.Abs(x[at]) {
				at = i
			}
		}
		return 0, false, fmt.Errorf("vector %d (its greatest value: %s is %v): %w: choose to drop such vectors", b.vectors, b.columns[b.used[at]], x[at], err)
	}
	b.dropped++
	return 0, false, nil
}

// Take returns what the model takes of a vector of all the columns given to Bind, after the policy and counted, until the next
// call: for Learner.Learn and Batcher.PredictBatch. ok and err are as Predict's.
func (b *Bound) Take(values []float64) (x []float64, ok bool, err error) {
	b.vectors++
	if len(values) != len(b.columns) {
		return nil, false, fmt.Errorf("vector of %d values for %d columns", len(values), len(b.columns))
	}
	bad := false
	if b.same {
		x = values[:len(b.used)]
		for _, v := range x {
			bad = bad || !finite32(v)
		}
	} else {
		x = b.x
		for i, at := range b.used {
			v := values[at]
			x[i] = v
			bad = bad || !finite32(v)
		}
	}
	if !bad {
		return x, true, nil
	}
	switch b.policy {
	case Drop:
		b.dropped++
		return nil, false, nil
	case Clamp:
		b.clamped++
		for i, v := range x {
			switch {
			case v != v:
				v = 0
			case v > math.MaxFloat32:
				v = math.MaxFloat32
			case v < -math.MaxFloat32:
				v = -math.MaxFloat32
			}
			b.x[i] = v
		}
		return b.x, true, nil
	}
	e := &NonFiniteError{Vector: b.vectors}
	for i, v := range x {
		if !finite32(v) {
			e.Columns = append(e.Columns, b.columns[b.used[i]])
			e.Values = append(e.Values, v)
		}
	}
	return nil, false, e
}
