package model_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pcaplab/parse/feature"
	"pcaplab/parse/model"
)

// fixture is one of testdata/fixtures.json; testdata/README.md says what the fields are.
type fixture struct {
	Name, File, Made, Rows, Oracle string
	Classes, Columns, Refuse       []string
	Probabilities                  *bool
	Tolerance                      float64
}

func fixtures(t testing.TB) []fixture {
	data, err := os.ReadFile("testdata/fixtures.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Fixtures []fixture }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Fixtures) < 100 {
		t.Fatalf("%d fixtures", len(file.Fixtures))
	}
	return file.Fixtures
}

// path returns the model's file, unpacked.
func (f fixture) path(t testing.TB) string {
	path := filepath.Join("testdata", f.File)
	if !strings.HasSuffix(path, ".gz") {
		return path
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(path), ".gz"))
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func cells(t testing.TB, name string) (header []string, records [][]string) {
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err = csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return records[0], records[1:]
}

// numbers reads a table of numbers; an empty cell is NaN.
func numbers(t testing.TB, name string) (rows [][]float64) {
	_, records := cells(t, name)
	for _, record := range records {
		row := make([]float64, len(record))
		for i, cell := range record {
			var err error
			if cell == "" {
				row[i] = math.NaN()
			} else if row[i], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// TestFixturesAsOracle holds every fixture against what onnxruntime, or XGBoost of its JSON, said of each row: the same class, scores within
// 2e-6 (of their size, where they are above 1) or the tolerance that the fixture states.
func TestFixturesAsOracle(t *testing.T) {
	for _, f := range fixtures(t) {
		if f.Oracle == "" {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			m, err := model.Open(f.path(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Classes(), f.Classes) {
				t.Fatalf("classes %q, want %q", m.Classes(), f.Classes)
			}
			if !slices.Equal(m.Columns(), f.Columns) || m.Width() != feature.NumColumns {
				t.Errorf("%d columns %q, want %q", m.Width(), m.Columns(), f.Columns)
			}
			if f.Probabilities != nil && m.Probabilities() != *f.Probabilities {
				t.Errorf("probabilities: %v, want %v", m.Probabilities(), *f.Probabilities)
			}
			rows, expected := numbers(t, f.Rows), numbers(t, filepath.Join("expected", f.Name+".csv"))
			if len(rows) != len(expected) {
				t.Fatalf("%d rows, %d expected", len(rows), len(expected))
			}
			m = m.Clone()
			scores, tolerance := make([]float64, len(f.Classes)), max(f.Tolerance, 2e-6)
			for i, row := range rows {
				class, err := m.Predict(row, scores)
				if err != nil {
					t.Fatalf("row %d: %v", i, err)
				}
				if want := int(expected[i][0]); class != want {
					t.Errorf("row %d: class %d, want %d; scores %v, want %v", i, class, want, scores, expected[i][1:])
				}
				for k, want := range expected[i][1:] {
					if d := math.Abs(scores[k] - want); scores[k] != want && !(d <= tolerance*math.Max(1, math.Abs(want))) {
						t.Errorf("row %d: score %d is %v, want %v", i, k, scores[k], want)
					}
				}
			}
			if n := testing.AllocsPerRun(5, func() { m.Predict(rows[0], scores) }); n != 0 {
				t.Errorf("%v allocations a prediction", n)
			}
		})
	}
}

// TestFixturesAsTrainer compares classes with those of the library that trained the model. Rows that it could not be asked to agree on are
// told in trainer.csv: m has a margin below 1e-6, of c a value crosses a threshold when it is rounded to float32.
func TestFixturesAsTrainer(t *testing.T) {
	names, records := cells(t, "trainer.csv")
	byName := map[string]fixture{}
	for _, f := range fixtures(t) {
		byName[f.Name] = f
	}
	compared, excepted := 0, 0
	for column, name := range names {
		f := byName[name]
		m, err := model.Open(f.path(t))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, row := range numbers(t, f.Rows) {
			want := records[i][column]
			class, err := m.Predict(row, nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			number := strings.TrimRight(want, "mc")
			if number != want {
				excepted++
				t.Logf("%s: row %d is excepted: class %d, trainer %s", name, i, class, want)
				continue
			}
			if compared++; strconv.Itoa(class) != number {
				t.Errorf("%s: row %d: class %d, the trainer's is %s", name, i, class, want)
			}
		}
	}
	if compared < 5000 || excepted > compared/100 {
		t.Errorf("%d rows compared, %d excepted", compared, excepted)
	}
	t.Logf("%d models, %d rows alike, %d excepted", len(names), compared, excepted)
}

// TestFixturesRefused opens what must not be read: operators that are not there, trees that are none, dimensions that do not fit.
func TestFixturesRefused(t *testing.T) {
	count := 0
	for _, f := range fixtures(t) {
		if f.Oracle != "" {
			continue
		}
		count++
		path := f.path(t)
		m, err := model.Open(path)
		if err == nil {
			t.Errorf("%s was read: %s; %q", f.Name, f.Made, m.Classes())
			continue
		}
		for _, word := range append(f.Refuse, filepath.Base(path)) {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s (%s): %q does not say %q", f.Name, f.Made, err, word)
			}
		}
	}
	if count < 25 {
		t.Errorf("%d fixtures to refuse", count)
	}
}
