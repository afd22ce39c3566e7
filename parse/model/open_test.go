package model

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/parse/feature"
	"pcaplab/parse/model/onnx"
)

// What is no model is told by what it is, with what to do.
func TestReadTellsWhatIsNoModel(t *testing.T) {
	for _, c := range []struct{ data, words string }{
		{"", "empty"},
		{" \n", "empty"},
		{"\x1f\x8b\x08zzzz", "gzip (unpack it)"},
		{"BZh91AY&SY", "bzip2"},
		{"\xfd7zXZ\x00", "xz"},
		{"\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "a capture"},
		{"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00", "a capture"},
		{"Header_Length,Rate,Label\n1,2,Benign\n", "a table (CSV), not a model: ONNX"},
		{"PAR1\x15\x04", "Parquet"},
		{"tree\nversion=v3\nnum_class=1\n", "LightGBM"},
		{"import sklearn\n", "--python"},
		{"#!/usr/bin/env python3\n", "--python"},
		{"\x80\x04\x95\x10", "pickle"},
		{"PK\x03\x04", "zip"},
		{"Modèle\n", "text, not a model"},
		{strings.Repeat("a", 511) + "é" + "b", "text, not a model"},
		{"\x08\x07\x12", "ONNX: cut"},
		{"{}", "JSON, but of no model"},
		{`{"format": 3, "learner": 1}`, "XGBoost JSON"},
		{`{"format": "pcaplab-model", "kind": 5}`, `kind "5"`},
		{`{"format": "pcaplab-model"}`, "kind"},
		{"\ufeff" + `{"format": "pcaplab-model", "kind": "none"}`, `kind "none"`},
		{"\ufeff\ufeff" + `{}`, "not a model"},
	} {
		if m, err := Read([]byte(c.data)); m != nil || err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%.20q: %v, want %q", c.data, err, c.words)
		}
	}
}

func TestOpenOfFolder(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "a folder") {
		t.Error(err)
	}
	if _, err := Open(os.DevNull); err == nil || !strings.Contains(err.Error(), "device") {
		t.Error(err)
	}
}

// A policy with a slip of the pen is no file that is not there.
func TestMistypedPolicy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Kind().Set(path + ":dorp"); err == nil || !strings.Contains(err.Error(), `no policy "dorp"`) || !strings.Contains(err.Error(), "fail, drop, clamp") {
		t.Error(err)
	}
	if _, err := Kind().Set(path + "x:dorp"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// A name that differs only in spelling does not take a column that another name is exactly.
func TestExactNamesComeFirst(t *testing.T) {
	for _, c := range []struct {
		names, columns []string
		used           []int
	}{
		{[]string{"tot_sum", "Tot sum"}, []string{"Tot sum", "TOT.SUM"}, nil}, // ambiguous, once the exact one is taken
		{[]string{"tot_sum", "Rate"}, []string{"Tot sum", "Rate"}, []int{0, 1}},
		{[]string{"a_b", "ab"}, []string{"ab", "a_b"}, []int{1, 0}},
		{[]string{"a-b", "ab"}, []string{"ab", "x"}, nil},
	} {
		b, err := Bind(&sum{columns: c.names, width: len(c.names)}, c.columns, Fail)
		if c.used == nil {
			if e := (*SchemaError)(nil); !errors.As(err, &e) || !slices.Equal(e.Missing, c.names[:1]) {
				t.Errorf("%q of %q: %v", c.names, c.columns, err)
			}
		} else if err != nil || !slices.Equal(b.Used(), c.used) {
			t.Errorf("%q of %q: %v", c.names, c.columns, err)
		}
	}
}

// An infinite Rate that is clamped may leave a network without an answer: that is no class.
func TestScoresOfNaNAreNoPrediction(t *testing.T) {
	data, err := os.ReadFile("testdata/models/mlp-relu.onnx")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	nan := nanOf{m}
	values := make([]float64, feature.NumColumns)
	values[feature.Rate] = math.Inf(1)
	b, err := Bind(nan, feature.Columns(), Clamp)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Predict(values, nil); ok || err != nil || b.Dropped() != 1 || b.Clamped() != 1 {
		t.Error(ok, err, b.Dropped(), b.Clamped())
	}
	values[feature.Rate] = 1e30
	if b, err = Bind(nan, feature.Columns(), Fail); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := b.Predict(values, nil); ok || !errors.Is(err, onnx.ErrNaN) || !strings.Contains(err.Error(), "vector 1 (its greatest value: Rate is 1e+30)") {
		t.Error(ok, err)
	}
}

// nanOf is a model whose scores are NaN where a value is beyond 1e20.
type nanOf struct{ Model }

func (m nanOf) Predict(x, scores []float64) (int, error) {
	for _, v := range x {
		if v > 1e20 {
			return 0, onnx.ErrNaN
		}
	}
	return m.Model.Predict(x, scores)
}

// Of XGBoost's JSON what is empty takes no room.
func TestEmptyTreesAreRefusedAtOnce(t *testing.T) {
	text := []byte(`{"learner":{"gradient_booster":{"name":"gbtree","model":{"trees":[` + strings.Repeat("{},", 1000) + `{}]}}}}`)
	if _, err := Read(bytes.Clone(text)); err == nil || !strings.Contains(err.Error(), "tree 0: no nodes") {
		t.Error(err)
	}
}
