package selection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// mixed has columns of several kinds: two Gaussians, a leak, noise, a share of zeros, counts, a constant, a copy, and one class of a single row.
func mixed(rows int) *Table {
	random := rand.New(rand.NewPCG(11, 12))
	s := NewSampler([]string{"shifted", "window", "noise", "zeros", "count", "constant", "copy", "far"}, 0, 0)
	for i := range rows {
		class := random.IntN(3)
		shifted := random.NormFloat64() + float64(class)
		zeros := 0.0
		if random.IntN(10) < 3*class {
			zeros = 0.1 * float64(1+random.IntN(3))
		}
		label := []string{"b", "c", "a"}[class]
		if i == 17 {
			label = "alone"
		}
		s.Add([]float64{shifted, []float64{10, 100, 100}[class], random.NormFloat64(), zeros, float64(random.IntN(4) + class), 64,
			2*shifted + 5, 1e9 + 1e-3*random.NormFloat64() + float64(class)}, label)
	}
	return s.Table()
}

func information(t *testing.T, table *Table, cfg Config) []float64 {
	t.Helper()
	mi, err := MutualInformation(context.Background(), table, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return mi
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestScikitLearn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Python")
	}
	table := mixed(2000)
	// scikit-learn's estimator on the very values that ours has made, noise included.
	e := estimator{t: table, k: 3, counts: make([]int, len(table.Classes)), classes: make([][]int, len(table.Classes))}
	for _, class := range table.Class {
		e.counts[class]++
	}
	for row, class := range table.Class {
		if e.counts[class] > 1 {
			e.rows = append(e.rows, row)
		}
	}
	var input struct {
		*Table
		Noisy [][]float64
		Kept  []int
	}
	var exact []float64
	input.Table = table
	for column := range table.Columns {
		exact = append(exact, e.column(column, 0))
		input.Noisy = append(input.Noisy, slices.Clone(e.values))
	}
	for _, row := range e.rows {
		input.Kept = append(input.Kept, table.Class[row])
	}
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	out := answer(t, in)
	var want struct {
		MI       [][]float64
		Exact    []float64
		Ratio    []float64
		Loadings [][]float64
	}
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for j, got := range exact {
		if table.Columns[j] == "constant" {
			continue // 0, where scikit-learn has the information of its noise
		}
		near(t, "mutual information on the same values of "+table.Columns[j], got, want.Exact[j], 1e-9)
	}
	for i, cfg := range []Config{{}, {Seed: 4, Workers: 1}, {Neighbours: 7}} {
		for j, got := range information(t, table, cfg) {
			tolerance := 1e-3
			if slices.Contains([]string{"window", "zeros", "count", "constant"}, table.Columns[j]) {
				tolerance = 0.05 // its noise is another
			}
			near(t, "mutual information of "+table.Columns[j], got, want.MI[i][j], tolerance)
		}
	}
	c, err := PCA(table)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range c.Ratio {
		near(t, "explained variance", got, want.Ratio[i], 1e-9)
		sign := 1.0
		if dot(c.Loadings[i], want.Loadings[i]) < 0 {
			sign = -1
		}
		if want.Ratio[i] < 1e-9 {
			continue // a direction of no variance
		}
		for j, v := range c.Loadings[i] {
			near(t, "loading", v, sign*want.Loadings[i][j], 1e-6)
		}
	}
}

// answer is what scikit-learn says.
func answer(t *testing.T, in []byte) []byte {
	t.Helper()
	const missing = 77
	program := fmt.Sprintf("import sys\ntry:\n    import sklearn\nexcept ImportError:\n    sys.exit(%d)\n", missing) + `
import json, sys, numpy as np
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.preprocessing import StandardScaler
t = json.load(sys.stdin)
x, y = np.array(t["X"]).T, np.array(t["Class"])
from sklearn.feature_selection import _mutual_info
exact = [_mutual_info._compute_mi_cd(np.array(c), np.array(t["Kept"]), 3) for c in t["Noisy"]]
mi = [mutual_info_classif(x, y, random_state=seed).tolist() for seed in (0, 1)] + [mutual_info_classif(x, y, n_neighbors=7, random_state=0).tolist()]
p = PCA().fit(StandardScaler().fit_transform(np.delete(x, 5, axis=1)))
json.dump(dict(mi=mi, exact=exact, ratio=p.explained_variance_ratio_.tolist(), loadings=p.components_.tolist()), sys.stdout)`
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		cmd := exec.Command(name, "-W", "ignore", "-c", program)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
		out, err := cmd.Output()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) || cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == missing {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Skip("neither /usr/bin/python3 nor python3 has sklearn")
	return nil
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// TestInformationByConstruction has columns whose information is known: all of the entropy, none, and that of two Gaussians one standard
// deviation and more apart, integrated.
func TestInformationByConstruction(t *testing.T) {
	rows := 20_000
	if testing.Short() {
		rows = 3_000
	}
	random := rand.New(rand.NewPCG(1, 1))
	s := NewSampler([]string{"tells", "says nothing", "gaussian", "coin"}, 0, 0)
	for range rows {
		class := random.IntN(2)
		coin := float64(class)
		if random.IntN(10) == 0 {
			coin = 1 - coin
		}
		s.Add([]float64{float64(10 + 90*class), random.NormFloat64(), random.NormFloat64() + 2*float64(class), coin}, []string{"benign", "attack"}[class])
	}
	table := s.Table()
	near(t, "entropy", table.Entropy(), math.Ln2, 1e-3)
	got := information(t, table, Config{})
	gaussian := 0.0
	density := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	for x := -8.0; x < 10; x += 1e-3 {
		a, b := density(x), density(x-2)
		if m := (a + b) / 2; a > 0 && b > 0 {
			gaussian += 1e-3 * (a*math.Log(a/m) + b*math.Log(b/m)) / 2
		}
	}
	for i, want := range []float64{math.Ln2, 0, gaussian, math.Ln2 + 0.9*math.Log(0.9) + 0.1*math.Log(0.1)} {
		near(t, table.Columns[i], got[i], want, 3/math.Sqrt(float64(rows)))
	}
	one := information(t, table, Config{Workers: 1})
	if !slices.Equal(one, got) {
		t.Errorf("one worker: %v, several: %v", one, got)
	}
}

func TestFewRows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		labels string
	}{{"none", ""}, {"one", "a"}, {"all alone", "abc"}, {"one class", "aaaa"}, {"two of one", "aab"}} {
		s := NewSampler([]string{"x"}, 0, 0)
		for i, label := range tt.labels {
			s.Add([]float64{float64(i)}, string(label))
		}
		if mi := information(t, s.Table(), Config{}); mi[0] != 0 {
			t.Errorf("%s: %v", tt.name, mi)
		}
	}
}

func TestRefused(t *testing.T) {
	good := func() *Table { return &Table{[]string{"x"}, []string{"a"}, [][]float64{{1, 2}}, []int{0, 0}} }
	for want, spoil := range map[string]func(*Table){
		"row 2 of column x is NaN":    func(t *Table) { t.X[0][1] = math.NaN() },
		"row 1 of column x is -Inf":   func(t *Table) { t.X[0][0] = math.Inf(-1) },
		"row 2 is of class 1 of 1":    func(t *Table) { t.Class[1] = 1 },
		"1 values for 2 rows":         func(t *Table) { t.X[0] = t.X[0][:1] },
		"1 columns of values for 2":   func(t *Table) { t.Columns = []string{"x", "y"} },
		"want rows that differ":       func(t *Table) { t.X[0][1] = 1 },
		"row 2 of column x is 1e+151": func(t *Table) { t.X[0][1] = 1e151 },
	} {
		table := good()
		spoil(table)
		_, err := PCA(table)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if strings.HasPrefix(want, "row") {
			if _, err := MutualInformation(context.Background(), table, Config{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := MutualInformation(ctx, mixed(10), Config{}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := MutualInformation(context.Background(), good(), Config{Neighbours: -1}); err == nil {
		t.Error("-1 neighbours pass")
	}
}

// TestComponents has two columns that are one and a third that is independent: variance 2/3, 1/3, 0.
func TestComponents(t *testing.T) {
	table := &Table{Columns: []string{"x", "same", "c", "other"}, Classes: []string{"a"}, Class: make([]int, 4),
		X: [][]float64{{1, 2, 1, 2}, {-30, -60, -30, -60}, {7, 7, 7, 7}, {1, 1, 2, 2}}}
	c, err := PCA(table)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{2.0 / 3, 1.0 / 3, 0} {
		near(t, "ratio", c.Ratio[i], want, 1e-12)
	}
	for i, want := range []float64{math.Sqrt2 / 2, -math.Sqrt2 / 2, 0} {
		near(t, "loading", c.Loadings[0][i], want, 1e-12)
	}
	if !reflect.DeepEqual(c.Constant, []string{"c"}) || c.Needed(0.6) != 1 || c.Needed(0.95) != 2 || c.Needed(1) != 2 || c.Needed(2) != 3 {
		t.Errorf("constant %v, needed %d %d", c.Constant, c.Needed(0.95), c.Needed(1))
	}
	pairs := c.Correlated(0.99)
	if len(pairs) != 1 || pairs[0].A != "x" || pairs[0].B != "same" || math.Abs(pairs[0].Correlation+1) > 1e-12 {
		t.Errorf("%v", pairs)
	}
}

// TestSizesOfValues has the same columns in very large and very small units: correlations and information do not depend on those.
func TestSizesOfValues(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 1))
	plain := &Table{Columns: []string{"a", "b", "c"}, Classes: []string{"x", "y"}, X: make([][]float64, 3)}
	for range 400 {
		class := random.IntN(2)
		a := random.NormFloat64() + float64(class)
		plain.Class = append(plain.Class, class)
		for i, v := range []float64{a, a + random.NormFloat64()/2, random.NormFloat64()} {
			plain.X[i] = append(plain.X[i], v)
		}
	}
	want, err := PCA(plain)
	if err != nil {
		t.Fatal(err)
	}
	tells := information(t, plain, Config{})
	for _, units := range [][]float64{{1e78, 1, 1}, {1e148, 1e148, 1}, {1e-170, 1, 1e-170}, {1e148, 1e-300, 1e-170}} {
		table := &Table{Columns: plain.Columns, Classes: plain.Classes, Class: plain.Class}
		for i, x := range plain.X {
			y := slices.Clone(x)
			for row := range y {
				y[row] *= units[i]
			}
			table.X = append(table.X, y)
		}
		got, err := PCA(table)
		if err != nil {
			t.Errorf("%v: %v", units, err)
			continue
		}
		for i := range want.Ratio {
			near(t, fmt.Sprint("ratio in units of ", units), got.Ratio[i], want.Ratio[i], 1e-9)
			for j := range i {
				near(t, fmt.Sprint("correlation in units of ", units), got.Correlation.At(i, j), want.Correlation.At(i, j), 1e-9)
			}
		}
		for i, mi := range information(t, table, Config{}) {
			near(t, fmt.Sprint("information in units of ", units), mi, tells[i], 1e-3)
		}
	}
	// Neighbouring numbers, whose mean rounds to one of them.
	near1 := math.Nextafter(1, 2)
	c, err := PCA(&Table{Columns: []string{"a", "b"}, Classes: []string{"x"}, Class: make([]int, 4),
		X: [][]float64{{1, near1, 1, 1}, {0, 5e-324, 0, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "correlation", c.Correlation.At(0, 1), 1, 1e-12)
}

func TestSampler(t *testing.T) {
	kept := make([]int, 30)
	for seed := range uint64(1000) {
		s := NewSampler([]string{"x"}, 6, seed)
		for v := range 30 {
			s.Add([]float64{float64(v)}, string(rune('z'-v%3)))
		}
		table := s.Table()
		if s.Rows() != 30 || table.Rows() != 6 || !slices.IsSorted(table.Classes) {
			t.Fatal(s.Rows(), table)
		}
		for row, v := range table.X[0] {
			kept[int(v)]++
			if want := string(rune('z' - int(v)%3)); table.Classes[table.Class[row]] != want {
				t.Fatalf("row %v has label %s, want %s", v, table.Classes[table.Class[row]], want)
			}
		}
	}
	for v, n := range kept {
		if math.Abs(float64(n)-200) > 5*math.Sqrt(1000*0.2*0.8) {
			t.Errorf("row %d was kept %d times of 1000, want 200", v, n)
		}
	}
}
