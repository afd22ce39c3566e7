package model

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pcaplab/parse/feature"
)

// sum is a model that scores a class 1 by the sum of what it takes, and keeps what it was asked.
type sum struct {
	columns []string
	width   int
	asked   []float64
}

func (m *sum) Columns() []string   { return m.columns }
func (m *sum) Width() int          { return m.width }
func (m *sum) Classes() []string   { return []string{"no", "yes"} }
func (m *sum) Probabilities() bool { return false }
func (m *sum) Clone() Model        { return &sum{columns: m.columns, width: m.width} }
func (m *sum) Predict(x, scores []float64) (int, error) {
	m.asked = append(m.asked[:0], x...)
	s := 0.0
	for _, v := range x {
		s += v
	}
	if scores != nil {
		scores[0], scores[1] = -s, s
	}
	if s > 0 {
		return 1, nil
	}
	return 0, nil
}

func TestBindByName(t *testing.T) {
	m := &sum{columns: []string{"Number", "rate", "Tot_sum"}, width: 3}
	b, err := Bind(m, feature.Columns(), Fail)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{feature.Number, feature.Rate, feature.TotSum}; !slices.Equal(b.Used(), want) {
		t.Errorf("uses %v, want %v", b.Used(), want)
	}
	values := make([]float64, feature.NumColumns)
	for i := range values {
		values[i] = float64(i)
	}
	values[feature.Std] = math.NaN() // not of the model
	scores := make([]float64, 2)
	class, ok, err := b.Predict(values, scores)
	if class != 1 || !ok || err != nil || !slices.Equal(m.asked, []float64{feature.Number, feature.Rate, feature.TotSum}) {
		t.Errorf("class %d, %v, %v; asked %v", class, ok, err, m.asked)
	}
	if b.Vectors() != 1 || b.Dropped() != 0 || b.Clamped() != 0 {
		t.Error(b.Vectors(), b.Dropped(), b.Clamped())
	}
}

func TestBindByCount(t *testing.T) {
	m := &sum{width: feature.NumColumns}
	b, err := Bind(m, feature.Columns(), Fail)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, feature.NumColumns)
	values[38] = 7
	if _, ok, err := b.Predict(values, nil); !ok || err != nil || !slices.Equal(m.asked, values) {
		t.Error(ok, err, m.asked)
	}
}

func TestBindRefuses(t *testing.T) {
	var e *SchemaError
	check := func(what string, m Model, columns []string, words ...string) *SchemaError {
		t.Helper()
		_, err := Bind(m, columns, Fail)
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", what, err, w)
			}
		}
		return e
	}
	missing := []string{"flow_duration", "Duration", "Srate", "Drate", "urg_count", "Magnitue", "Radius", "Covariance", "Weight"}
	foreign := []string{"Time_To_Live", "IGMP"}
	for _, m := range []Model{&sum{columns: older, width: 46}, &sum{width: 46}} { // trained on the tables of 2023
		e := check("46 columns", m, feature.Columns(), "46", "39", "flow_duration, Duration, Srate", "Weight", "Time_To_Live, IGMP")
		if !slices.Equal(e.Missing, missing) || !slices.Equal(e.Foreign, foreign) || e.Model != 46 || e.Given != 39 {
			t.Errorf("missing %q, foreign %q, %d and %d", e.Missing, e.Foreign, e.Model, e.Given)
		}
	}
	e = check("the other way round", &sum{width: 39}, older, "39", "46", "newer release", "release of 2023")
	if !slices.Equal(e.Missing, foreign) || !slices.Equal(e.Foreign, missing) {
		t.Errorf("missing %q, foreign %q", e.Missing, e.Foreign)
	}
	e = check("no release", &sum{width: 12}, feature.Columns(), "12 columns", "have 39")
	if e.Missing != nil || e.Foreign != nil {
		t.Error(e.Missing, e.Foreign)
	}
	check("a name twice", &sum{columns: []string{"Rate", "IAT", "Rate"}, width: 3}, feature.Columns(), "more than once", "Rate")
	check("two for one", &sum{columns: []string{"Rate", "rate"}, width: 2}, feature.Columns(), "rate")
	check("ambiguous", &sum{columns: []string{"a b"}, width: 1}, []string{"a_b", "a-b"}, "a b")
	if _, err := Bind(&sum{columns: []string{"a"}, width: 2}, []string{"a", "b"}, Fail); err == nil {
		t.Error("a model that contradicts itself")
	}
	if _, err := Bind(&sum{width: 1}, []string{"a"}, 9); err == nil {
		t.Error("a policy that is none")
	}
}

func TestPolicies(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	columns := []string{"a", "b", "c", "d"}
	vector := []float64{1, nan, inf, 2}
	bind := func(p Policy, names ...string) (*Bound, *sum) {
		m := &sum{columns: names, width: max(len(names), 4*min(1, 1-len(names)))}
		b, err := Bind(m, columns, p)
		if err != nil {
			t.Fatal(err)
		}
		return b, m
	}

	b, _ := bind(Fail)
	b.Predict([]float64{1, 2, 3, 4}, nil)
	_, ok, err := b.Predict(vector, nil)
	var e *NonFiniteError
	if ok || !errors.As(err, &e) || !slices.Equal(e.Columns, []string{"b", "c"}) || e.Vector != 2 || !strings.Contains(err.Error(), "vector 2: b is NaN, c is +Inf") {
		t.Errorf("%v, %v", ok, err)
	}
	b, _ = bind(Fail, "d", "a") // the others do not matter
	if class, ok, err := b.Predict(vector, nil); class != 1 || !ok || err != nil {
		t.Error(class, ok, err)
	}

	b, m := bind(Drop)
	for range 3 {
		if class, ok, err := b.Predict(vector, nil); class != 0 || ok || err != nil || m.asked != nil {
			t.Error(class, ok, err, m.asked)
		}
	}
	if b.Vectors() != 3 || b.Dropped() != 3 || b.Clamped() != 0 {
		t.Error(b.Vectors(), b.Dropped(), b.Clamped())
	}

	for _, names := range [][]string{nil, {"a", "b", "c", "d"}, {"d", "c", "b", "a"}} {
		b, m = bind(Clamp, names...)
		want := []float64{1, 0, math.MaxFloat32, 2}
		if names != nil && names[0] == "d" {
			slices.Reverse(want)
		}
		if _, ok, err := b.Predict(vector, nil); !ok || err != nil || !slices.Equal(m.asked, want) || b.Clamped() != 1 {
			t.Error(ok, err, m.asked, b.Clamped())
		}
		if vector[1] == vector[1] || vector[2] != inf {
			t.Error("the vector given was changed")
		}
	}
	b, m = bind(Clamp)
	b.Predict([]float64{1e39, -1e39, math.Inf(-1), math.MaxFloat32}, nil)
	if want := []float64{math.MaxFloat32, -math.MaxFloat32, -math.MaxFloat32, math.MaxFloat32}; !slices.Equal(m.asked, want) {
		t.Errorf("%v", m.asked)
	}

	if _, _, err := b.Predict(vector[:3], nil); err == nil {
		t.Error("a short vector was taken")
	}
	c := b.Clone()
	if c.Vectors() != 0 || c.Model() == b.Model() || c.Policy() != Clamp {
		t.Error("a clone has counts, or its model is not its own")
	}
}

func TestPolicyNames(t *testing.T) {
	for i, name := range Policies() {
		var p Policy
		if err := p.UnmarshalText([]byte(name)); err != nil || p != Policy(i) || p.String() != name {
			t.Error(name, p, err)
		}
		if text, err := p.MarshalText(); string(text) != name || err != nil {
			t.Error(text, err)
		}
	}
	var p Policy
	if err := p.UnmarshalText([]byte("ignore")); err == nil || !strings.Contains(err.Error(), "fail, drop, clamp") {
		t.Error(err)
	}
}

func TestBoundAllocatesNothing(t *testing.T) {
	values := make([]float64, feature.NumColumns)
	bad := slices.Clone(values)
	bad[feature.Rate] = math.Inf(1)
	for _, p := range []Policy{Drop, Clamp} {
		b, err := Bind(&sum{columns: []string{"Number", "Rate"}, width: 2}, feature.Columns(), p)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { b.Predict(values, nil); b.Predict(bad, nil) }); n != 0 {
			t.Errorf("%v: %v allocations", p, n)
		}
	}
}
