package hoeffding

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// lcg makes the streams of testdata/river.py.
type lcg uint64

func (r *lcg) below(n int) int {
	*r = *r*6364136223846793005 + 1442695040888963407
	return int(uint64(*r) >> 33 % uint64(n))
}

// A stream calls f for each row; x is borrowed.
type stream struct {
	width, classes int
	each           func(rows int, f func(x []float64, class int))
}

var streams = map[string]stream{
	"mixed": {8, 4, func(rows int, f func([]float64, int)) {
		r := lcg(1)
		x := make([]float64, 8)
		for i := range rows {
			y := []int{0, 0, 0, 0, 0, 1, 1, 1, 2, 3}[r.below(10)]
			c := y
			if i >= rows/2 {
				c = 3 - y
			}
			hidden := r.below(2)
			bell := r.below(100) + r.below(100) + r.below(100) + r.below(100)
			x[0] = float64(bell+60*c) / 8
			x[4] = x[0]
			top := 12
			if c == 1 {
				top = 20
			}
			x[1] = float64(int(1)<<r.below(top) + r.below(3))
			x[2], x[3] = 7, 3
			if c != 0 {
				x[2] = float64(r.below(50))
			}
			x[5] = float64(r.below(1000)) / 1024
			x[6] = float64(r.below(100)+100*(hidden^c&1)) / 4
			if i%97 == 0 {
				x[7] = 1e6 + float64(r.below(10))
			} else {
				x[7] = 50 + float64(r.below(64))/64 + float64(40*hidden)
			}
			f(x, y)
		}
	}},
	"wide": {39, 34, func(rows int, f func([]float64, int)) {
		r := lcg(2)
		x := make([]float64, 39)
		for range rows {
			y := r.below(34)
			for k := range x {
				noise := r.below(64) + r.below(64)
				if k%3 != 0 {
					x[k] = float64(noise+y*(k+3)%17*9) / 16
				} else {
					x[k] = float64(noise / 8 * ((y + k) % 5))
				}
			}
			f(x, y)
		}
	}},
	"extreme": {4, 3, func(rows int, f func([]float64, int)) {
		r := lcg(4)
		x := make([]float64, 4)
		for range rows {
			y := r.below(3)
			x[0] = 0
			if y == 1 || r.below(150) == 0 {
				x[0] = -1e9
			}
			x[0] += float64(r.below(8)) / 8
			x[1] = float64(r.below(16)) * 0x1p-500
			if y != 0 {
				x[2] = 1000 + float64(r.below(80))/1024
			} else {
				x[2] = 1000 + float64(r.below(16))/4096
			}
			x[3] = float64(r.below(5)) * 0x1p-535
			f(x, y)
		}
	}},
	"rare": {3, 2, func(rows int, f func([]float64, int)) {
		r := lcg(3)
		x := make([]float64, 3)
		for i := range rows {
			y := 0
			if r.below(120) == 0 || i%1000 > 900 {
				y = 1
			}
			x[0], x[1], x[2] = float64(r.below(1000))/8+float64(200*y), float64(r.below(3)), -1e9
			if i != 777 {
				x[2] = float64(r.below(4096)) / 4096
			}
			f(x, y)
		}
	}},
}

func numbered(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%02d", prefix, i)
	}
	return names
}

func (s stream) tree(t testing.TB, cfg Config) *Tree {
	t.Helper()
	tree, err := New(numbered("f", s.width), numbered("c", s.classes), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

type riverNode struct {
	Feature   *int
	Threshold float64
	Classes   []int
	Weights   []float64
	Active    bool
	MC, NB    float64
}

type riverCase struct {
	Name, Stream string
	Rows         int
	Settings     map[string]any
	Predictions  string
	Nodes        []riverNode
}

func (c riverCase) config(t *testing.T) Config {
	cfg := Config{}
	for name, value := range c.Settings {
		number, _ := value.(float64)
		switch name {
		case "grace_period":
			cfg.GracePeriod = int(number)
		case "split_confidence":
			cfg.Delta = number
		case "tie_threshold":
			cfg.Tau = number
		case "max_depth":
			cfg.MaxDepth = int(number)
		case "nb_threshold":
			cfg.NBThreshold = int(number)
		case "leaf_prediction":
			cfg.Leaf = value.(string)
		case "split_criterion":
			cfg.Criterion = value.(string)
		case "merit_preprune":
			cfg.NoPreprune = !value.(bool)
		default:
			t.Fatalf("setting %s", name)
		}
	}
	return cfg
}

// The truth is river's own classes, run by testdata/river.py: the same class on every row of test-then-train, the same splits at
// the same thresholds, the same weights and counts in the leaves.
func TestTreesAreThoseOfRiver(t *testing.T) {
	splits := 0
	for _, c := range readCases(t, "testdata/river.json") {
		splits += compare(t, c, streams[c.Stream])
	}
	if splits < 50 {
		t.Errorf("only %d splits were compared", splits)
	}
}

// The same on the 10,730 vectors that the dataset's authors published.
func TestTreesAreThoseOfRiverOnRealVectors(t *testing.T) {
	folder := os.Getenv("PCAPLAB_CIC")
	if folder == "" {
		t.Skip("PCAPLAB_CIC is not set")
	}
	f, err := os.Open(filepath.Join(folder, "inference-39col-label.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]int{"Attack": 0, "Benign": 1}
	s := stream{39, 2, func(_ int, each func([]float64, int)) {
		x := make([]float64, 39)
		for _, row := range table[1:] {
			for i := range x {
				if x[i], err = strconv.ParseFloat(row[i], 64); err != nil {
					t.Fatal(err)
				}
			}
			class, ok := labels[row[39]]
			if !ok {
				t.Fatalf("label %q", row[39])
			}
			each(x, class)
		}
	}}
	for i, c := range readCases(t, "testdata/river-real.json") {
		if i > 0 && testing.Short() {
			break
		}
		compare(t, c, s)
	}
}

func readCases(t *testing.T, path string) []riverCase {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []riverCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func compare(t *testing.T, c riverCase, s stream) (splits int) {
	t.Run(c.Name, func(t *testing.T) {
		tree := s.tree(t, c.config(t))
		row, differing := 0, 0
		scores := make([]float64, s.classes)
		p := NewPrequential(0)
		s.each(c.Rows, func(x []float64, class int) {
			got, err := tree.Predict(x, scores)
			if err != nil {
				t.Fatal(err)
			}
			p.Add(class, got)
			if want := c.Predictions[row]; "0123456789abcdefghijklmnopqrstuvwxyz"[got] != want {
				if differing == 0 {
					t.Errorf("row %d is %d, river has %c", row, got, want)
				}
				differing++
			}
			if row%50 == 0 {
				checkScores(t, scores, got)
			}
			if err := tree.Learn(x, class); err != nil {
				t.Fatal(err)
			}
			row++
		})
		if row != c.Rows || differing > 0 {
			t.Errorf("%d of %d rows differ, of %d", differing, row, c.Rows)
		}
		if rest := tree.sameAs(t, 0, c.Nodes); len(rest) != 0 {
			t.Errorf("river has %d nodes more", len(rest))
		}
		splits = tree.Summary().Branches
		all, recent := p.Accuracy()
		t.Logf("%v; right %.4f, of the last 1000 %.4f", tree.Summary(), all, recent)
	})
	return splits
}

func checkScores(t *testing.T, scores []float64, class int) {
	t.Helper()
	var sum float64
	for _, p := range scores {
		if !(p >= 0 && p <= scores[class]) {
			t.Fatalf("scores %v, class %d", scores, class)
		}
		sum += p
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Fatalf("scores %v sum to %v", scores, sum)
	}
}

// sameAs compares the tree below node i with river's in the order of a walk, and returns what is left of that.
func (t *Tree) sameAs(tb *testing.T, i int, want []riverNode) []riverNode {
	tb.Helper()
	if len(want) == 0 {
		tb.Fatal("river has fewer nodes")
	}
	n, w := &t.nodes[i], want[0]
	if (n.feature < 0) != (w.Feature == nil) {
		tb.Fatalf("node %d at depth %d: feature %d, river has %v", i, n.depth, n.feature, w.Feature)
	}
	if n.feature >= 0 {
		if n.feature != *w.Feature || n.threshold != w.Threshold {
			tb.Fatalf("node %d: split at column %d, %v; river: %d, %v", i, n.feature, n.threshold, *w.Feature, w.Threshold)
		}
		return t.sameAs(tb, n.right, t.sameAs(tb, n.left, want[1:]))
	}
	var classes []int
	for j, e := range n.leaf.entries {
		classes = append(classes, e.class)
		if j < len(w.Weights) && math.Abs(e.weight-w.Weights[j]) > 1e-9*(1+e.weight) {
			tb.Errorf("node %d, class %d: weight %v, river has %v", i, e.class, e.weight, w.Weights[j])
		}
	}
	if !slices.Equal(classes, w.Classes) || n.leaf.active != w.Active || n.leaf.mc != w.MC || n.leaf.nb != w.NB {
		tb.Errorf("node %d: classes %v, active %t, right %v and %v; river: %v, %t, %v, %v", i, classes, n.leaf.active, n.leaf.mc, n.leaf.nb,
			w.Classes, w.Active, w.MC, w.NB)
	}
	return want[1:]
}
