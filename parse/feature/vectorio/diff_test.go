package vectorio_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// csvFile writes vectors, with labels if there are any, and returns the path.
func csvFile(t *testing.T, name string, vectors []feature.Vector, labels []string) string {
	t.Helper()
	text := vectorio.AppendHeader(nil, labels != nil)
	for i := range vectors {
		text = vectorio.AppendCSV(text, &vectors[i])
		if labels != nil {
			text = append(append(text, ','), labels[i]...)
		}
		text = append(text, '\n')
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// changed returns a copy of vectors that f changed.
func changed(vectors []feature.Vector, f func(v []feature.Vector)) []feature.Vector {
	c := append([]feature.Vector(nil), vectors...)
	f(c)
	return c
}

func TestDiff(t *testing.T) {
	a := made(1000, 21)
	a[99].Values[feature.IAT] = 0.5
	labels := labelsOf(len(a))
	other := append([]string(nil), labels...)
	other[10] = "X"
	near := changed(a, func(v []feature.Vector) { v[99].Values[feature.IAT] = math.Nextafter(0.5, 1) })
	tests := []struct {
		name             string
		b                []feature.Vector
		labelsA, labelsB []string
		cfg              vectorio.DiffConfig
		equal            bool
		check            func(t *testing.T, r *vectorio.DiffReport)
		says             string
	}{
		{name: "equal", b: a, labelsA: labels, labelsB: labels, equal: true, says: "equal: 1000 rows\n"},
		{name: "one bit", b: near, says: "different: rows that differ: 1 of 1000\n", check: func(t *testing.T, r *vectorio.DiffReport) {
			want := []vectorio.ColumnDiff{{Column: "IAT", Rows: 1, Beyond: 1, MaxAbs: 0x1p-53, MaxAbsRow: 100, MaxRel: 0x1p-53 / (0.5 + 0x1p-53), MaxRelRow: 100}}
			if !reflect.DeepEqual(r.Columns, want) {
				t.Errorf("%+v, want %+v", r.Columns, want)
			}
			if f := r.First; f == nil || f.Row != 100 || f.Column != "IAT" || f.A != 0.5 {
				t.Errorf("first %+v", f)
			}
		}},
		{name: "within", b: near, cfg: vectorio.DiffConfig{Tolerance: 1e-12}, equal: true,
			says: "equal within 1e-12: 1000 rows, values that differ by less: 1\n", check: func(t *testing.T, r *vectorio.DiffReport) {
				if len(r.Columns) != 1 || r.Columns[0].Rows != 1 || r.Columns[0].Beyond != 0 || r.First != nil {
					t.Errorf("%+v", r)
				}
			}},
		{name: "shorter", b: a[:990], says: "different: rows more in a: 10\n", check: func(t *testing.T, r *vectorio.DiffReport) {
			if r.Compared != 990 || r.A.Rows != 1000 || r.B.Rows != 990 {
				t.Errorf("%+v", r)
			}
		}},
		{name: "a label", b: a, labelsA: labels, labelsB: other, says: "first at row 11, Label: \"BENIGN\" and \"X\"\nlabels that differ: 1\n",
			check: func(t *testing.T, r *vectorio.DiffReport) {
				if r.LabelsDiffer != 1 || r.RowsDiffer != 1 || len(r.Columns) != 0 {
					t.Errorf("%+v", r)
				}
			}},
		{name: "labels in one", b: a, labelsA: labels, says: "different: columns\n", check: func(t *testing.T, r *vectorio.DiffReport) {
			if !reflect.DeepEqual(r.A.Only, []string{"Label"}) || r.B.Only != nil || r.RowsDiffer != 0 {
				t.Errorf("%+v", r)
			}
		}},
		{name: "empty in one", b: changed(a, func(v []feature.Vector) {
			v[5].Values[feature.HTTPS] = math.NaN()
			v[6].Values[feature.Rate] = math.Inf(-1)
		}), cfg: vectorio.DiffConfig{Tolerance: 0.5}, check: func(t *testing.T, r *vectorio.DiffReport) {
			if r.RowsDiffer != 2 || len(r.Columns) != 2 || r.Columns[1].Empty != 1 || r.Columns[1].MaxAbsRow != 0 {
				t.Errorf("%+v", r.Columns)
			}
			if !math.IsInf(float64(r.Columns[0].MaxAbs), 1) || !math.IsInf(float64(r.Columns[0].MaxRel), 1) {
				t.Errorf("%+v", r.Columns[0])
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pa, pb := csvFile(t, "a.csv", a, tt.labelsA), csvFile(t, "b.csv", tt.b, tt.labelsB)
			r, err := vectorio.Diff(context.Background(), pa, pb, tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Equal() != tt.equal {
				t.Errorf("equal: %t", r.Equal())
			}
			if tt.check != nil {
				tt.check(t, &r)
			}
			var text strings.Builder
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text.String(), tt.says) {
				t.Errorf("%s\nwant %s", text.String(), tt.says)
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var again vectorio.DiffReport
			if err := json.Unmarshal(b, &again); err != nil {
				t.Fatal(err)
			}
			// NaN is not equal to itself: compare the texts.
			if c, err := json.Marshal(again); err != nil || string(c) != string(b) {
				t.Errorf("%s came back as\n%s, %v", b, c, err)
			}
		})
	}
}

func TestDiffFormats(t *testing.T) {
	notOnARM(t)
	vectors := made(5000, 22)
	labels := labelsOf(len(vectors))
	path := filepath.Join(t.TempDir(), "v.parquet")
	if err := os.WriteFile(path, join(t, vectors, labels, 2000, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := vectorio.Diff(context.Background(), csvFile(t, "v.csv", vectors, labels), path, vectorio.DiffConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Equal() || r.A.Format != "csv" || r.B.Format != "parquet" || r.Compared != 5000 {
		t.Errorf("%+v", r)
	}
}

func TestDiffAnyOrder(t *testing.T) {
	a := made(2000, 23)
	a = append(a, a[:100]...) // 100 rows twice
	moved := append(append([]feature.Vector(nil), a[1500:]...), a[:1500]...)
	pa := csvFile(t, "a.csv", a, nil)
	cfg := vectorio.DiffConfig{AnyOrder: true, Examples: 2}
	r, err := vectorio.Diff(context.Background(), pa, csvFile(t, "b.csv", moved, nil), cfg)
	if err != nil || !r.Equal() {
		t.Fatalf("%+v, %v", r, err)
	}
	if ordered, err := vectorio.Diff(context.Background(), pa, csvFile(t, "b.csv", moved, nil), vectorio.DiffConfig{}); err != nil || ordered.Equal() {
		t.Errorf("row by row: equal %t, %v", ordered.Equal(), err)
	}

	// b lacks one of two equal rows (row 2 of a) and has three others.
	b := append([]feature.Vector(nil), a[:len(a)-99]...)
	b = append(b, a[len(a)-98:]...)
	b = append(b, made(3, 24)...)
	r, err = vectorio.Diff(context.Background(), pa, csvFile(t, "b.csv", b, nil), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.Equal() || r.OnlyA != 1 || r.OnlyB != 3 || len(r.ExamplesA) != 1 || len(r.ExamplesB) != 2 {
		t.Fatalf("%+v", r)
	}
	if r.ExamplesA[0].Row != 2 || r.ExamplesA[0].Text != string(vectorio.AppendCSV(nil, &a[1])) {
		t.Errorf("%+v", r.ExamplesA)
	}
	if r.ExamplesB[0].Row != int64(len(b)-2) {
		t.Errorf("%+v", r.ExamplesB)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(text.String(), "different: rows only in a: 1, only in b: 3\n") {
		t.Error(text.String())
	}
}

func TestDiffFails(t *testing.T) {
	vectors := made(10, 1)
	path := csvFile(t, "a.csv", vectors, nil)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.csv")
	if err := os.WriteFile(cut, text[:len(text)-100], 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := vectorio.Diff(context.Background(), path, cut, vectorio.DiffConfig{})
	if !errors.Is(err, vectorio.ErrCutRow) || r.Compared != 9 || r.A.Rows != 10 || r.B.Rows != 9 {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, any := range []bool{false, true} {
		if _, err := vectorio.Diff(ctx, path, path, vectorio.DiffConfig{AnyOrder: any}); !errors.Is(err, context.Canceled) {
			t.Errorf("any order %t: %v", any, err)
		}
	}
	for _, cfg := range []vectorio.DiffConfig{{Tolerance: -1}, {Tolerance: 1}, {Tolerance: math.NaN()}, {Tolerance: 0.1, AnyOrder: true}, {Examples: -1}} {
		if _, err := vectorio.Diff(context.Background(), path, path, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
	if _, err := vectorio.Diff(context.Background(), path, "none", vectorio.DiffConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
