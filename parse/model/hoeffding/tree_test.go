package hoeffding

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func newTree(t testing.TB, columns, classes []string, cfg Config) *Tree {
	t.Helper()
	tree, err := New(columns, classes, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func learn(t testing.TB, tree *Tree, class int, x ...float64) {
	t.Helper()
	if err := tree.Learn(x, class); err != nil {
		t.Fatal(err)
	}
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }

// The worked example. Two classes in turn, two columns, one threshold each (half way), R = log2 2 = 1, ln(1/delta) = 50, a grace
// period of 20 rows:
//
//	column a is 0 in class 0 and 10 in class 1; its threshold 5 parts them: the gain is 1 bit.
//	column b is 0 in class 0, 0 and 22 in turn in class 1, whose mean is its threshold 11: the Gaussian has half of class 1 on each
//	side. Left are a half and a quarter of the rows: 3/4 of H(2/3, 1/3) = 3/4 x 0.918296 = 0.688722 bit are left, the gain is 0.311278.
//
// The gains differ by 0.688722. The bound sqrt(50/(2n)) is 1.118034 after 20 rows, 0.790569 after 40, 0.645497 after 60: it is
// passed at row 60 and at no attempt before.
func TestTheBoundWorkedByHand(t *testing.T) {
	for n, want := range map[float64]float64{20: 1.118034, 40: 0.790569, 60: 0.645497} {
		if got := Bound(1, math.Exp(-50), n); !near(got, want, 1e-6) {
			t.Fatalf("bound after %v rows: %v, want %v", n, got, want)
		}
	}
	tree := newTree(t, []string{"a", "b"}, []string{"zero", "one"}, Config{GracePeriod: 20, Delta: math.Exp(-50), Tau: -1, NumSplits: 1})
	for row := 1; row <= 60; row++ {
		switch row % 4 {
		case 0, 2:
			learn(t, tree, 0, 0, 0)
		case 1:
			learn(t, tree, 1, 10, 0)
		case 3:
			learn(t, tree, 1, 10, 22)
		}
		s := tree.Summary()
		if want := min(row/20, 3); s.Attempts != uint64(want) {
			t.Fatalf("%d attempts after %d rows", s.Attempts, row)
		}
		if split := s.Branches == 1; split != (row == 60) {
			t.Fatalf("row %d: split is %t", row, split)
		}
		if row == 40 {
			l := tree.nodes[0].leaf
			before := tree.impurity(l)
			if a, b := tree.suggest(l, 0, before), tree.suggest(l, 1, before); !near(a.merit, 1, 1e-12) || !near(b.merit, 0.311278, 1e-6) {
				t.Errorf("gains after 40 rows: %v and %v", a.merit, b.merit)
			}
		}
	}
	if n := tree.nodes[0]; n.feature != 0 || n.threshold != 5 || !near(n.gain, 1, 1e-12) || n.weight != 60 {
		t.Errorf("root %+v", n)
	}
	var text strings.Builder
	if err := tree.WriteTree(&text); err != nil {
		t.Fatal(err)
	}
	if want := "split by a at 5, 60 rows, gain 1\n  a <= 5: zero, 30 rows, zero 100 %\n  a > 5: one, 30 rows, one 100 %\n"; text.String() != want {
		t.Errorf("tree:\n%s", text.String())
	}
}

// Two equal columns never differ by more than the bound. The split waits until the bound is below tau: 0.645497 at row 60.
func TestATieIsBrokenByTau(t *testing.T) {
	for tau, want := range map[float64]int{0.65: 60, 0.64: 80, 0.8: 40, -1: 0} {
		tree := newTree(t, []string{"a", "b"}, []string{"zero", "one"}, Config{GracePeriod: 20, Delta: math.Exp(-50), Tau: tau})
		at := 0
		for row := 1; row <= 200 && at == 0; row++ {
			v := float64(10 * (row % 2))
			learn(t, tree, row%2, v, v)
			if tree.Summary().Branches > 0 {
				at = row
			}
		}
		if at != want {
			t.Errorf("tau %v: split at row %d, want %d", tau, at, want)
		}
	}
}

// With more classes in a leaf the gain's range is greater, and so is the bound: sqrt(log2(4)^2 x 50/(2n)) is twice as large.
func TestTheRangeIsThatOfTheClassesSeen(t *testing.T) {
	tree := newTree(t, []string{"a"}, numbered("c", 30), Config{})
	for class := range 4 {
		learn(t, tree, class, float64(class))
		if got, want := tree.rangeOfMerit(tree.nodes[0].leaf), math.Log2(max(2, float64(class+1))); !near(got, want, 1e-14) {
			t.Errorf("range with %d classes: %v, want %v", class+1, got, want)
		}
	}
}

// Naive Bayes by hand: 3 rows of class 0 at 1, 2, 3 (mean 2, variance 1) and 2 rows of class 1 at 5, 9 (mean 7, variance 8).
func TestNaiveBayesByHand(t *testing.T) {
	tree := newTree(t, []string{"a"}, []string{"zero", "one"}, Config{Leaf: NaiveBayes})
	for _, v := range []float64{1, 2, 3} {
		learn(t, tree, 0, v)
	}
	learn(t, tree, 1, 5)
	learn(t, tree, 1, 9)
	density := func(x, mean, variance float64) float64 {
		return math.Exp(-(x-mean)*(x-mean)/(2*variance)) / math.Sqrt(2*math.Pi*variance)
	}
	scores := make([]float64, 2)
	for _, x := range []float64{0, 2, 3.9, 4.1, 7, 20} {
		class, err := tree.Predict([]float64{x}, scores)
		if err != nil {
			t.Fatal(err)
		}
		a, b := 3./5*density(x, 2, 1), 2./5*density(x, 7, 8)
		if !near(scores[0], a/(a+b), 1e-12) || !near(scores[1], b/(a+b), 1e-12) || (class == 1) != (b > a) {
			t.Errorf("%v: class %d, %v; want %v and %v", x, class, scores, a/(a+b), b/(a+b))
		}
	}
}

// A leaf of one class above MaxShareToSplit is not split, however well it could be.
func TestADominatedLeafIsNotSplit(t *testing.T) {
	tree := newTree(t, []string{"a"}, []string{"zero", "one"}, Config{GracePeriod: 200, MinBranchFraction: -1})
	for i := range 2000 {
		class := 0
		if i%200 == 0 {
			class = 1
		}
		learn(t, tree, class, float64(100*class+i%3))
	}
	if s := tree.Summary(); s.Branches != 0 || s.Attempts != 10 {
		t.Errorf("%+v", s)
	}
}

// TestTheSameTreeEverywhere pins the state after a fixed stream to the bit: run it under GOARCH=386, arm and arm64 too.
func TestTheSameTreeEverywhere(t *testing.T) {
	for _, c := range []struct {
		stream string
		rows   int
		cfg    Config
		want   string
	}{
		{"mixed", 4000, Config{GracePeriod: 25, Delta: 0.01, Tau: 0.2}, "318ee334aa8f0e1d"},
		{"extreme", 2000, Config{GracePeriod: 40, Delta: 0.01, Tau: 0.3}, "d9e315d88ecb787e"},
		{"wide", 1000, Config{GracePeriod: 50, Delta: 0.2, Tau: 0.7, Criterion: Gini}, "d4aa0b03cfad2870"},
	} {
		s := streams[c.stream]
		tree := s.tree(t, c.cfg)
		sum := sha256.New()
		scores := make([]float64, s.classes)
		s.each(c.rows, func(x []float64, class int) {
			got, err := tree.Predict(x, scores)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sum, got, scores)
			if err := tree.Learn(x, class); err != nil {
				t.Fatal(err)
			}
		})
		if err := tree.WriteJSON(sum); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sum.Sum(nil)[:8]); got != c.want {
			t.Errorf("%s, %v: %s, pinned is %s", c.stream, tree.Summary(), got, c.want)
		}
	}
}

// A leaf of one class above MaxShareToSplit begins its Gaussians anew, again and again.
func TestALeafThatBeginsAnewAllocatesNothing(t *testing.T) {
	tree := newTree(t, []string{"a", "b"}, []string{"zero", "one"}, Config{GracePeriod: 200})
	x, scores := make([]float64, 2), make([]float64, 2)
	i := 0
	period := func() {
		for range 200 {
			class := 0
			if i%150 == 10 && i > 150 {
				class = 1
			}
			x[0], x[1] = float64(100*class+i%7), float64(i%5)
			if _, err := tree.Predict(x, scores); err != nil {
				t.Fatal(err)
			}
			learn(t, tree, class, x...)
			i++
		}
	}
	for range 5 {
		period()
	}
	if n := testing.AllocsPerRun(20, period); n != 0 {
		t.Errorf("%v allocations in a grace period", n)
	}
	if s := tree.Summary(); s.Branches != 0 || s.Attempts < 20 || len(tree.free) != 2 {
		t.Errorf("the leaf did not begin anew: %v, %d observers were given back", s, len(tree.free))
	}
}

func TestPredictAndLearnAllocateNothing(t *testing.T) {
	for _, leaf := range []string{MajorityClass, NaiveBayes, Adaptive} {
		s := streams["mixed"]
		tree := s.tree(t, Config{Leaf: leaf, GracePeriod: 20, Delta: 1e-300, Tau: -1})
		var xs [][]float64
		var classes []int
		s.each(500, func(x []float64, class int) {
			xs, classes = append(xs, append([]float64(nil), x...)), append(classes, class)
		})
		scores := make([]float64, s.classes)
		i := 0
		once := func() {
			if _, err := tree.Predict(xs[i%500], scores); err != nil {
				t.Fatal(err)
			}
			if err := tree.Learn(xs[i%500], classes[i%500]); err != nil {
				t.Fatal(err)
			}
			i++
		}
		for range 500 {
			once()
		}
		before := tree.Summary().Branches
		if n := testing.AllocsPerRun(300, once); n != 0 {
			t.Errorf("%s: %v allocations a row", leaf, n)
		}
		if after := tree.Summary(); after.Branches != before || after.Attempts < 10 {
			t.Errorf("%s: the steady state was not one, or without attempts to split: %v", leaf, after)
		}
	}
}

func TestClassesMayComeUpLater(t *testing.T) {
	early, late := newTree(t, []string{"a", "b"}, []string{"x", "y", "z"}, Config{GracePeriod: 30, Tau: 0.3}), newTree(t, []string{"a", "b"}, nil, Config{GracePeriod: 30, Tau: 0.3})
	if _, err := late.Predict([]float64{1, 2}, nil); err == nil {
		t.Error("a tree without classes predicts")
	}
	r := lcg(9)
	for i := range 600 {
		class := r.below(min(1+i/100, 3))
		x := []float64{float64(r.below(100) + 80*class), float64(r.below(50))}
		index, err := late.AddClass("xyz"[class : class+1])
		if err != nil || index != class {
			t.Fatalf("class %d is %d: %v", class, index, err)
		}
		a, err := early.Predict(x, nil)
		b, err2 := late.Predict(x, nil)
		if err != nil || err2 != nil || a != b {
			t.Fatalf("row %d: %d and %d (%v, %v)", i, a, b, err, err2)
		}
		learn(t, early, class, x...)
		learn(t, late, class, x...)
	}
	if text(t, early) != text(t, late) || early.Summary().Branches == 0 {
		t.Error("the trees differ, or did not grow")
	}
	if _, err := late.AddClass(""); err == nil {
		t.Error("a class without a name")
	}
	full := newTree(t, []string{"a"}, numbered("c", MaxClasses), Config{})
	if i, err := full.AddClass("c04095"); err == nil {
		t.Errorf("class %d of %d", i, MaxClasses)
	}
	if i, err := full.AddClass("c4095"); err != nil || i != 4095 {
		t.Errorf("class %d, %v", i, err)
	}
}

func text(t testing.TB, tree *Tree) string {
	t.Helper()
	var b bytes.Buffer
	if err := tree.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestACloneIsOnItsOwn(t *testing.T) {
	s := streams["mixed"]
	cfg := Config{GracePeriod: 25, Delta: 0.01, Tau: 0.2}
	tree, alone := s.tree(t, cfg), s.tree(t, cfg)
	var clone *Tree
	var kept string
	i := 0
	s.each(2000, func(x []float64, class int) {
		if i == 1000 {
			clone = tree.Clone()
			kept = text(t, clone)
		}
		learn(t, tree, class, x...)
		learn(t, alone, class, x...)
		i++
	})
	if text(t, clone) != kept || text(t, tree) == kept {
		t.Error("a clone learnt what the tree did")
	}
	i = 0
	s.each(2000, func(x []float64, class int) {
		if i >= 1000 {
			learn(t, clone, class, x...)
		}
		i++
	})
	if text(t, clone) != text(t, alone) {
		t.Error("a clone that learnt the rest is another tree")
	}
}

func TestTheLimitOfNodesIsCounted(t *testing.T) {
	s := streams["mixed"]
	tree := s.tree(t, Config{GracePeriod: 25, Delta: 0.01, Tau: 0.2, MaxNodes: 8})
	s.each(4000, func(x []float64, class int) { learn(t, tree, class, x...) })
	if sum := tree.Summary(); sum.Nodes != 7 || sum.Limited == 0 || !strings.Contains(sum.String(), "left out") {
		t.Errorf("%v", sum)
	}
	depth := s.tree(t, Config{GracePeriod: 25, Delta: 0.01, Tau: 0.2, MaxDepth: 2})
	s.each(4000, func(x []float64, class int) { learn(t, depth, class, x...) })
	if sum := depth.Summary(); sum.Depth != 2 || sum.Inactive == 0 {
		t.Errorf("%v", sum)
	}
}

func TestWhatIsRefused(t *testing.T) {
	tree := newTree(t, []string{"a", "Rate"}, []string{"x", "y"}, Config{})
	learn(t, tree, 1, 1, 2)
	kept := text(t, tree)
	for _, x := range [][]float64{{1, math.NaN()}, {1, math.Inf(1)}, {1, math.Inf(-1)}, {1, 2e140}} {
		var v *ValueError
		if err := tree.Learn(x, 0); !errors.As(err, &v) || v.Column != "Rate" {
			t.Errorf("learn %v: %v", x, err)
		}
		if _, err := tree.Predict(x, nil); !errors.As(err, &v) {
			t.Errorf("predict %v: %v", x, err)
		}
	}
	if err := tree.Learn([]float64{1}, 0); err == nil {
		t.Error("a short row")
	}
	for _, class := range []int{-1, 2} {
		if err := tree.Learn([]float64{1, 2}, class); err == nil {
			t.Errorf("class %d", class)
		}
	}
	if _, err := tree.Predict([]float64{1, 2}, make([]float64, 3)); err == nil {
		t.Error("three scores for two classes")
	}
	if text(t, tree) != kept {
		t.Error("what was refused changed the tree")
	}
	for name, cfg := range map[string]Config{
		"grace period": {GracePeriod: -1}, "delta": {Delta: 1}, "split points": {NumSplits: -3}, "leaf": {Leaf: "best"}, "criterion": {Criterion: "hellinger"},
		"nodes": {MaxNodes: -1}, "depth": {MaxDepth: -1}, "tau": {Tau: math.NaN()}, "branch": {MinBranchFraction: 0.7}, "share": {MaxShareToSplit: -1},
		"threshold": {NBThreshold: -1},
	} {
		if _, err := New([]string{"a"}, nil, cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := New([]string{"a"}, nil, Config{GracePeriod: -1, Delta: 2}); err == nil || !strings.Contains(err.Error(), "\n") {
		t.Errorf("not both faults at once: %v", err)
	}
	for _, names := range [][]string{{"a", "a"}, {""}, nil} {
		if _, err := New(names, nil, Config{}); err == nil {
			t.Errorf("columns %q", names)
		}
	}
	if _, err := New([]string{"a"}, []string{"x", "x"}, Config{}); err == nil {
		t.Error("a class twice")
	}
	// JSON would spell these another way, and two of them alike.
	if _, err := New([]string{"a\xff"}, nil, Config{}); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a column that is not UTF-8: %v", err)
	}
	if _, err := tree.AddClass("y\xff"); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("a class that is not UTF-8: %v", err)
	}
}

func TestAnEmptyTreeSaysTheFirstClass(t *testing.T) {
	tree := newTree(t, []string{"a"}, []string{"x", "y"}, Config{})
	scores := []float64{7, 7}
	if class, err := tree.Predict([]float64{1}, scores); err != nil || class != 0 || scores[0] != 0.5 || scores[1] != 0.5 {
		t.Errorf("class %d, %v, %v", class, scores, err)
	}
	var b strings.Builder
	if err := tree.WriteTree(&b); err != nil || b.String() != "no rows yet\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestPrequentialCounts(t *testing.T) {
	p := NewPrequential(4)
	if all, recent := p.Accuracy(); all != 0 || recent != 0 {
		t.Errorf("%v, %v before the first", all, recent)
	}
	for i, right := range []bool{true, true, false, true, true, false, false, false} {
		predicted := 3
		if !right {
			predicted = 2
		}
		p.Add(3, predicted)
		if i == 2 {
			if c, n := p.Recent(); c != 2 || n != 3 {
				t.Errorf("recent after 3: %d of %d", c, n)
			}
		}
	}
	correct, rows := p.All()
	c, n := p.Recent()
	if correct != 4 || rows != 8 || c != 1 || n != 4 {
		t.Errorf("%d of %d, recent %d of %d", correct, rows, c, n)
	}
	if all, recent := p.Accuracy(); all != 0.5 || recent != 0.25 {
		t.Errorf("%v, %v", all, recent)
	}
	if n := testing.AllocsPerRun(100, func() { p.Add(1, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// A window of any size takes what rows there were.
	p = NewPrequential(math.MaxInt)
	for range 3 {
		p.Add(1, 1)
	}
	if c, n := p.Recent(); c != 3 || n != 3 || cap(p.ring) > 1<<20 {
		t.Errorf("%d of %d, room for %d", c, n, cap(p.ring))
	}
}
