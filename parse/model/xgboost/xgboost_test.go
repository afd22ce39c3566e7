package xgboost_test

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

	"pcaplab/parse/model/xgboost"
)

const testdata = "../testdata"

type fixture struct {
	Name, File, Rows, Oracle string
	Classes, Columns, Refuse []string
	Probabilities            *bool
}

// fixtures returns those of ../testdata that XGBoost itself judged or that this reader must refuse.
func fixtures(t testing.TB) (all []fixture) {
	data, err := os.ReadFile(filepath.Join(testdata, "fixtures.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Fixtures []fixture }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, f := range file.Fixtures {
		if strings.HasPrefix(f.Name, "xgb-") && f.Oracle != "onnxruntime" {
			all = append(all, f)
		}
	}
	if len(all) < 15 {
		t.Fatalf("%d fixtures", len(all))
	}
	return all
}

func (f fixture) data(t testing.TB) []byte {
	data, err := os.ReadFile(filepath.Join(testdata, f.File))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(f.File, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

func table(t testing.TB, name string) (rows [][]float64) {
	f, err := os.Open(filepath.Join(testdata, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := make([]float64, len(record))
		for i, cell := range record {
			if cell == "" {
				cell = "nan"
			}
			if row[i], err = strconv.ParseFloat(cell, 64); err != nil {
				t.Fatal(err)
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func TestFixturesAsXGBoost(t *testing.T) {
	for _, f := range fixtures(t) {
		if f.Oracle == "" {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			m, err := xgboost.Read(f.data(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Classes(), f.Classes) || !slices.Equal(m.Columns(), f.Columns) || m.Width() != 39 || m.Probabilities() != *f.Probabilities {
				t.Errorf("classes %q, columns %q, width %d, probabilities %v", m.Classes(), m.Columns(), m.Width(), m.Probabilities())
			}
			m = m.Clone()
			scores := make([]float64, len(f.Classes))
			expected := table(t, filepath.Join("expected", f.Name+".csv"))
			worst := 0.0
			for i, row := range table(t, f.Rows) {
				class, err := m.Predict(row, scores)
				if err != nil {
					t.Fatal(err)
				}
				alone, _ := m.Predict(row, nil)
				if class != int(expected[i][0]) || alone != class {
					t.Errorf("row %d: class %d, without scores %d, want %v; scores %v, want %v", i, class, alone, expected[i][0], scores, expected[i][1:])
				}
				for k, want := range expected[i][1:] {
					worst = max(worst, math.Abs(scores[k]-want)/math.Max(1, math.Abs(want)))
				}
			}
			if worst > 2e-6 {
				t.Errorf("a score is off by %g", worst)
			}
			t.Logf("largest difference %g", worst)
		})
	}
}

func TestFixturesRefused(t *testing.T) {
	for _, f := range fixtures(t) {
		if f.Refuse == nil {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			_, err := xgboost.Read(f.data(t))
			if err == nil {
				t.Fatal("it was read")
			}
			for _, word := range f.Refuse {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
		})
	}
}

// small is a model of two features and one tree: below 1.5 of the first, and missing, left.
const small = `{"version": [1, 7, 4], "learner": {"attributes": {}, "feature_names": ["a", "b"], "feature_types": ["float", "float"],
"gradient_booster": {"name": "gbtree", "model": {"gbtree_model_param": {"num_parallel_tree": "1", "num_trees": "1", "size_leaf_vector": "0"},
"tree_info": [0], "trees": [{"left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [0, 0, 0], "split_conditions": [1.5, -2.0, 3.0],
"split_type": [0, 0, 0], "default_left": [1, 0, 0], "categories": [], "tree_param": {"num_deleted": "0", "num_feature": "2", "num_nodes": "3",
"size_leaf_vector": "0"}}]}}, "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2"}, "objective": {"name": "binary:logistic"}}}`

// TestByHand computes 1/(1+exp(-leaf)) for both leaves.
func TestByHand(t *testing.T) {
	m, err := xgboost.Read([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		x     float64
		class int
		p     float64
	}{{1.4, 0, 0.11920292}, {1.5, 1, 0.95257413}, {math.NaN(), 0, 0.11920292}, {math.Inf(1), 1, 0.95257413}, {math.Nextafter(1.5, 0), 1, 0.95257413}} {
		scores := make([]float64, 2)
		class, err := m.Predict([]float64{c.x, 0}, scores)
		if err != nil || class != c.class || math.Abs(scores[1]-c.p) > 1e-7 || math.Abs(scores[0]+scores[1]-1) > 1e-7 {
			t.Errorf("%v: class %d, %v, %v", c.x, class, scores, err)
		}
	}
	if _, err := m.Predict([]float64{1}, nil); err == nil {
		t.Error("one value of two was taken")
	}
	if _, err := m.Predict([]float64{1, 2}, make([]float64, 3)); err == nil {
		t.Error("three scores of two were taken")
	}
}

// TestOtherReleases reads what releases after 1.7 write otherwise.
func TestOtherReleases(t *testing.T) {
	for name, change := range map[string][2]string{
		"default_left as truths (before 1.0)": {`"default_left": [1, 0, 0]`, `"default_left": [true, false, false]`},
		"base_score as a list (3.1)":          {`"5E-1"`, `"[5E-1]"`},
		"num_target (1.6)":                    {`"num_class": "0"`, `"num_class": "0", "num_target": "1"`},
		"iteration_indptr (2.0)":              {`"tree_info": [0]`, `"iteration_indptr": [0, 1], "tree_info": [0]`},
		"scikit_learn without classes_ (2.0)": {`"attributes": {}`, `"attributes": {"best_iteration": "0", "scikit_learn": "{\"_estimator_type\": \"classifier\"}"}`},
	} {
		m, err := xgboost.Read([]byte(replace(t, small, change)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if class, _ := m.Predict([]float64{1.5, 0}, nil); class != 1 {
			t.Errorf("%s: class %d", name, class)
		}
	}
	m, err := xgboost.Read([]byte(replace(t, small, [2]string{`"attributes": {}`, `"attributes": {"scikit_learn": "{\"missing\": NaN, \"classes_\": [3, 7]}"}`})))
	if err != nil || !slices.Equal(m.Classes(), []string{"3", "7"}) {
		t.Errorf("classes_: %v", err)
	}
}

func replace(t *testing.T, text string, change [2]string) string {
	t.Helper()
	if !strings.Contains(text, change[0]) {
		t.Fatalf("no %s", change[0])
	}
	return strings.Replace(text, change[0], change[1], 1)
}

func TestDamaged(t *testing.T) {
	for _, c := range []struct{ old, new, word string }{
		{`"left_children": [1, -1, -1]`, `"left_children": [0, -1, -1]`, "tree 0: node 0 is reached twice"},
		{`"left_children": [1, -1, -1]`, `"left_children": [2, -1, -1]`, "tree 0: node 2 is reached twice"},
		{`"left_children": [1, -1, -1]`, `"left_children": [7, -1, -1]`, "node 7 as a child: there are 3"},
		{`"left_children": [1, -1, -1]`, `"left_children": [-1, -1, -1]`, "node -1 as a child"},
		{`"left_children": [1, -1, -1]`, `"left_children": [1, -1]`, "right_children is of 3 nodes, left_children of 2"},
		{`"left_children": [1, -1, -1], "right_children": [2, -1, -1]`, `"left_children": [-1, -1, -1], "right_children": [-1, -1, -1]`, "2 nodes are not reached"},
		{`"split_indices": [0, 0, 0]`, `"split_indices": [2, 0, 0]`, "node 0 compares feature 2: there are 2"},
		{`"split_indices": [0, 0, 0]`, `"split_indices": [-1, 0, 0]`, "feature -1"},
		{`"split_type": [0, 0, 0]`, `"split_type": [1, 0, 0]`, "category"},
		{`"default_left": [1, 0, 0]`, `"default_left": [2, 0, 0]`, "default_left is 2"},
		{`"tree_info": [0]`, `"tree_info": [1]`, "tree 0 is of class 1: there are 1"},
		{`"tree_info": [0]`, `"tree_info": []`, "tree_info is of 0 trees: there are 1"},
		{`"num_feature": "2"}, "objective"`, `"num_feature": "99999999"}, "objective"`, "num_feature is 99999999"},
		{`"num_feature": "2"}, "objective"`, `"num_feature": "3"}, "objective"`, "2 feature_names of 3 features"},
		{`"num_class": "0"`, `"num_class": "4"`, "num_class 4 with the objective binary:logistic"},
		{`"binary:logistic"`, `"multi:softprob"`, "num_class is 0"},
		{`"num_class": "0", "num_feature": "2"}, "objective": {"name": "binary:logistic"`, `"num_class": "65000", "num_feature": "2"}, "objective": {"name": "multi:softprob"`, "65000 classes: more than"},
		{`"binary:logistic"`, `"rank:pairwise"`, "rank:pairwise"},
		{`"num_class": "0"`, `"num_class": "0", "num_target": "2"`, "several targets"},
		{`"5E-1"`, `"1.5"`, "base_score 1.5 is not a probability"},
		{`"5E-1"`, `"nan"`, "base_score"},
		{`"5E-1"`, `"[5E-1"`, "base_score"},
		{`"name": "gbtree"`, `"name": "gbforest"`, "gbforest"},
		{`"name": "gbtree"`, `"name": "dart"`, "dart"},
		{`"name": "gbtree"`, `"name": "gblinear"`, "0 weights of 2 features"},
		{`"attributes": {}`, `"attributes": {"best_iteration": "3", "scikit_learn": "{}"}`, "best_iteration 3"},
		{`"attributes": {}`, `"attributes": {"scikit_learn": "{\"classes_\": [1]}"}`, "classes_"},
		{`"learner"`, `"teacher"`, "no learner"},
		{`{"version"`, `{L`, "UBJSON"},
		{`{"version"`, `binf`, "old binary"},
		{`}}`, ``, "XGBoost JSON"},
	} {
		_, err := xgboost.Read([]byte(replace(t, small, [2]string{c.old, c.new})))
		if err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s instead of %s: %v, want %q", c.new, c.old, err, c.word)
		}
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	for _, f := range fixtures(t) {
		if f.Oracle == "" {
			continue
		}
		m, err := xgboost.Read(f.data(t))
		if err != nil {
			t.Fatal(err)
		}
		x, scores := make([]float64, m.Width()), make([]float64, len(m.Classes()))
		if n := testing.AllocsPerRun(10, func() { m.Predict(x, scores) }); n != 0 {
			t.Errorf("%s: %v allocations", f.Name, n)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	for _, x := range fixtures(f) {
		if data := x.data(f); len(data) < 20_000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := xgboost.Read(data)
		if err != nil {
			return
		}
		x, scores := make([]float64, m.Width()), make([]float64, len(m.Classes()))
		for i := range x {
			x[i] = float64(i%5) - 1
		}
		if _, err := m.Predict(x, scores); err != nil {
			t.Fatal(err)
		}
	})
}
