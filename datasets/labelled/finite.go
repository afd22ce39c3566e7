package labelled

import (
	"context"
	"fmt"
	"math"
	"strings"

	"pcaplab/parse/feature"
)

// Policy says what becomes of rows with values that are not finite: NaN, infinite, or beyond the range of float32, with which models
// compute.
type Policy uint8

const (
	// Pass takes them as they are.
	Pass Policy = iota
	// Fail ends the pass with a *NonFiniteError.
	Fail
	// Drop leaves the row out, counted.
	Drop
	// Clamp makes NaN 0, and what is above or below float32's range the greatest or least finite value of the column (Limits), counted.
	Clamp
)

var policyNames = [...]string{"pass", "fail", "drop", "clamp"}

// String returns the name as flags spell it.
func (p Policy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// MarshalText returns String.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String writes.
func (p *Policy) UnmarshalText(text []byte) error {
	for i, name := range policyNames {
		if string(text) == name {
			*p = Policy(i)
			return nil
		}
	}
	return fmt.Errorf("%q: choose %s", text, strings.Join(policyNames[1:], ", "))
}

// NonFiniteError names the first row with a value that is not finite, with Fail.
type NonFiniteError struct {
	Name   string // of the source
	Row    int64  // from 1
	Column string
	Value  float64
}

// Error says where it is and what can be done.
func (e *NonFiniteError) Error() string {
	is := fmt.Sprint(e.Value)
	if e.Value-e.Value == 0 {
		is += ", beyond the range of float32"
	}
	return fmt.Sprintf("%s: row %d, column %q is %s: such rows can be dropped or clamped, or the column left out", e.Name, e.Row, e.Column, is)
}

// Limits are the least and greatest finite values of the columns of a set; 0 of a column that has none.
type Limits struct {
	Least, Greatest [feature.NumColumns]float64
}

// Limits returns those of all rows of the set, before any policy; it takes a pass unless Survey was called.
func (s *Set) Limits(ctx context.Context) (*Limits, error) {
	if _, err := s.Survey(ctx); err != nil {
		return nil, err
	}
	l := s.survey.limits
	return &l, nil
}

// SetLimits makes Clamp use the limits of another set, as a test uses those of the rows that were learnt from. Parts of the set use them
// too; limits of its own a set does not hand down to its parts.
func (s *Set) SetLimits(l *Limits) { s.given, s.limits, s.survey = l, l, nil }

// finite reports whether a value is a number within the range of float32.
func finite(v float64) bool { return v >= -math.MaxFloat32 && v <= math.MaxFloat32 }

// ready finds limits where they are wanted.
func (s *Set) ready(ctx context.Context) error {
	if s.cfg.NonFinite != Clamp || s.limits != nil {
		return nil
	}
	l, err := s.Limits(ctx)
	if err == nil {
		s.limits = l
	}
	return err
}

// finite applies the policy to a row and reports whether it stays.
func (s *Set) finite(r *Row) (ok bool, err error) {
	if s.cfg.NonFinite == Pass {
		return true, nil
	}
	if s.cfg.Columns == nil {
		for c := range r.Values {
			if ok, err := s.finiteColumn(r, c); err != nil || !ok {
				return ok, err
			}
		}
		return true, nil
	}
	for _, c := range s.cfg.Columns {
		if ok, err := s.finiteColumn(r, c); err != nil || !ok {
			return ok, err
		}
	}
	return true, nil
}

func (s *Set) finiteColumn(r *Row, c int) (ok bool, err error) {
	v := r.Values[c]
	if finite(v) {
		return true, nil
	}
	switch {
	case s.cfg.NonFinite == Fail:
		return false, &NonFiniteError{s.sources[r.Source].Path, r.Number, feature.Columns()[c], v}
	case s.cfg.NonFinite == Drop:
		return false, nil
	case s.limits == nil || math.IsNaN(v):
		r.Values[c] = 0
	case v > 0:
		r.Values[c] = s.limits.Greatest[c]
	default:
		r.Values[c] = s.limits.Least[c]
	}
	return true, nil
}
