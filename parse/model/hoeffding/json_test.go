package hoeffding

import (
	"bytes"
	"strings"
	"testing"
)

// A tree that was written and read learns on as the one that was not.
func TestJSONHoldsEverything(t *testing.T) {
	for _, name := range []string{"mixed", "extreme", "rare"} {
		s := streams[name]
		cfg := Config{GracePeriod: 25, Delta: 0.01, Tau: 0.2, MaxDepth: 5}
		straight, stopped := s.tree(t, cfg), s.tree(t, cfg)
		i := 0
		s.each(1500, func(x []float64, class int) {
			if i%249 == 0 {
				written := text(t, stopped)
				read, err := ReadJSON(strings.NewReader(written))
				if err != nil {
					t.Fatalf("%s, row %d: %v\n%s", name, i, err, written)
				}
				if again := text(t, read); again != written {
					t.Fatalf("%s, row %d: read and written again it is\n%s\nnot\n%s", name, i, again, written)
				}
				stopped = read
			}
			a, err := straight.Predict(x, nil)
			b, err2 := stopped.Predict(x, nil)
			if err != nil || err2 != nil || a != b {
				t.Fatalf("%s, row %d: %d and %d", name, i, a, b)
			}
			learn(t, straight, class, x...)
			learn(t, stopped, class, x...)
			i++
		})
		if text(t, straight) != text(t, stopped) || straight.Summary() != stopped.Summary() || straight.Summary().Branches == 0 {
			t.Errorf("%s: %v and %v", name, straight.Summary(), stopped.Summary())
		}
	}
}

// small is a file of three nodes.
const small = `{"format":"pcaplab-model","kind":"hoeffding-tree","version":1,"columns":["a","b"],"classes":["x","y"],
"config":{"grace_period":20,"delta":0.1,"tau":0.05,"leaf":"nba","nb_threshold":0,"criterion":"info_gain","num_splits":10,
"min_branch_fraction":0.01,"max_share_to_split":0.99,"max_depth":0,"no_preprune":false,"max_nodes":100},
"rows":60,"attempts":3,"limited":0,"nodes":[
{"branch":{"feature":0,"threshold":5,"left":1,"right":2,"weight":60,"gain":1}},
{"leaf":{"active":true,"mc":1,"nb":1,"rows_since_attempt":2,"classes":[1,0],"weights":[31.5,2],"observers":[
{"class":0,"rows":2,"mean":[1,2],"spread":[0.5,0],"min":[0.5,2],"max":[1.5,2]}]}},
{"leaf":{"active":false,"mc":0,"nb":0,"rows_since_attempt":0,"classes":[0],"weights":[30],"observers":[]}}
]}`

func TestTheReaderIsStrict(t *testing.T) {
	if _, err := ReadJSON(strings.NewReader(small)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"kind":"hoeffding-tree"`, `"kind":"other"`, "not a Hoeffding tree"},
		{`"version":1`, `"version":2`, "version 2"},
		{`"rows":60`, `"rows":60,"more":1`, "more"},
		{`"rows":60,`, ``, "lacks rows"},
		{`"rows":60,`, `"rows":null,`, "null"},
		{`"rows":60,`, `"rows":60,"rows":61,`, `"rows" is there twice`},
		{`"rows":60,`, `"Rows":60,`, "Rows"},
		{`"rows":60,`, `"ro\u0077s":60,`, "backslash"},
		{`"nodes":[`, `"nodes":[],"nodes":[`, `"nodes" is there twice`},
		{`"gain":1`, `"gain":1,"gain":1`, `"gain" is there twice`},
		{`"tau":0.05,`, ``, "lacks tau"},
		{`"tau":0.05,`, `"tau":0,`, "not filled in"},
		{`"max_nodes":100`, `"max_nodes":2`, "3 nodes"},
		{`,"gain":1`, ``, "lacks gain"},
		{`,"observers":[]`, ``, "lacks observers"},
		{`"spread":[0.5,0],`, ``, "lacks spread"},
		{`"mean":[1,2]`, `"mean":[1.75,2]`, "column a: mean 1.75"},
		{`"mean":[1,2]`, `"mean":[1,1.9]`, "column b: mean 1.9"},
		{`"rows":60`, `"rows":-1`, "not a Hoeffding tree"},
		{`"columns":["a","b"]`, `"columns":["a","a"]`, `"a" twice`},
		{`"columns":["a","b"]`, `"columns":["a"]`, "2, 2, 2 and 2 values for 1 columns"},
		{`"classes":["x","y"]`, `"classes":["x"]`, "class 1"},
		{`"delta":0.1`, `"delta":7`, "delta 7"},
		{`"feature":0`, `"feature":2`, "node 0: feature 2"},
		{`"feature":0`, `"feature":-1`, "feature -1"},
		{`"left":1`, `"left":0`, "leads to node 0"},
		{`"left":1`, `"left":2`, "both sides"},
		{`"right":2`, `"right":3`, "leads to node 3"},
		{`"left":1`, `"left":-1`, "leads to node -1"},
		{`"threshold":5`, `"threshold":1e300`, "threshold 1e+300"},
		{`"max_depth":0`, `"max_depth":-1`, "depth -1"},
		{`{"leaf":{"active":false`, `{"branch":{"feature":0,"threshold":5,"left":1,"right":2,"weight":60,"gain":1},"leaf":{"active":false`, "both"},
		{`{"branch":{"feature":0,"threshold":5,"left":1,"right":2,"weight":60,"gain":1}}`, `{}`, "neither"},
		{`"nodes":[`, `"nodes":[{"leaf":{"active":true,"mc":0,"nb":0,"rows_since_attempt":0,"classes":[],"weights":[],"observers":[]}},`, "no branch before it"},
		{`"mc":1`, `"mc":-1`, "counts -1"},
		{`"rows_since_attempt":2`, `"rows_since_attempt":20`, "20 are out of range"},
		{`"weights":[31.5,2]`, `"weights":[31.5]`, "2 classes and 1 weights"},
		{`"weights":[31.5,2]`, `"weights":[31.5,-2]`, "weight -2"},
		{`"classes":[1,0]`, `"classes":[1,1]`, "twice"},
		{`"classes":[1,0]`, `"classes":[1,2]`, "class 2"},
		{`{"class":0,"rows":2`, `{"class":7,"rows":2`, "class 7"},
		{`{"class":0,"rows":2`, `{"class":0,"rows":2.5`, "2.5 rows"},
		{`{"class":0,"rows":2`, `{"class":0,"rows":0`, "0 rows"},
		{`"mean":[1,2]`, `"mean":[1]`, "1, 2, 2 and 2"},
		{`"spread":[0.5,0]`, `"spread":[0.5,-1]`, "column b"},
		{`"max":[1.5,2]`, `"max":[0,2]`, "column a"},
		{`"weights":[30],"observers":[]`, `"weights":[30],"observers":[{"class":0,"rows":1,"mean":[1,2],"spread":[0,0],"min":[1,2],"max":[1,2]}]`, "observes nothing"},
		{"\n]}", "\n]}x", "behind"},
		{"\n]}", "\n]", "not a Hoeffding tree"},
	} {
		changed := strings.Replace(small, c.old, c.new, 1)
		if changed == small {
			t.Fatalf("%s is not in the file", c.old)
		}
		if _, err := ReadJSON(strings.NewReader(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.new, err, c.want)
		}
	}
}

// Nothing that is read makes a tree that panics, and a tree that was read is the one that is written.
func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(small), 1.5, 2.5)
	s := streams["extreme"]
	tree := s.tree(f, Config{GracePeriod: 40, Delta: 0.01, Tau: 0.3})
	s.each(400, func(x []float64, class int) { learn(f, tree, class, x...) })
	f.Add([]byte(text(f, tree)), -1e9, 1e3)
	f.Add([]byte(strings.Repeat("[", 100)+`]}}{"a":{"a":"\\"]`), 0., 0.)
	f.Fuzz(func(t *testing.T, data []byte, a, b float64) {
		tree, err := ReadJSON(bytes.NewReader(data))
		if err != nil {
			return
		}
		x := make([]float64, tree.Width())
		for i := range x {
			x[i] = a
			if i%2 == 1 {
				x[i] = b
			}
		}
		scores := make([]float64, len(tree.Classes()))
		for range 3 {
			class, err := tree.Predict(x, scores)
			if err != nil {
				break
			}
			for _, p := range scores {
				if !(p >= 0 && p <= 1) {
					t.Fatalf("scores %v", scores)
				}
			}
			if err := tree.Learn(x, class); err != nil {
				t.Fatal(err)
			}
		}
		written := text(t, tree)
		again, err := ReadJSON(strings.NewReader(written))
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if text(t, again) != written {
			t.Fatal("written again it differs")
		}
		var dump strings.Builder
		if err := tree.WriteTree(&dump); err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever the rows are: scores stay probabilities, and what is written can be read.
func FuzzLearn(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), uint8(0))
	f.Add(bytes.Repeat([]byte{0, 9, 5, 7, 22, 250, 17, 3, 1}, 40), uint8(5))
	f.Add(bytes.Repeat([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"), 20), uint8(9))
	values := []float64{0, 1, 2, -1, 5e-324, 1e-160, -1e-300, 1e-146, 3, 1e140, -1e140, 1e70, 1000, 1000.5, 1e9, 0.1}
	f.Fuzz(func(t *testing.T, rows []byte, how uint8) {
		cfg := Config{GracePeriod: 2 + int(how%7), Tau: float64(how%4) / 2, Delta: 0.3, Leaf: []string{"", "nb", "mc"}[how%3], NoPreprune: how&64 != 0}
		if how&32 != 0 {
			cfg.Criterion = Gini
		}
		if how&128 != 0 {
			cfg.MinBranchFraction = -1
		}
		tree := newTree(t, []string{"a", "b"}, []string{"x", "y", "z"}, cfg)
		x, scores := make([]float64, 2), make([]float64, 3)
		for len(rows) >= 2 && tree.rows < 2000 {
			x[0], x[1] = values[rows[0]&15], values[rows[0]>>4]
			class, err := tree.Predict(x, scores)
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			for _, p := range scores {
				if !(p >= 0 && p <= scores[class]) {
					t.Fatalf("class %d of %v", class, scores)
				}
				sum += p
			}
			if !(sum > 0.999999 && sum < 1.000001) {
				t.Fatalf("%v sum to %v", scores, sum)
			}
			learn(t, tree, int(rows[1]%3), x...)
			rows = rows[2:]
		}
		written := text(t, tree)
		again, err := ReadJSON(strings.NewReader(written))
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if text(t, again) != written {
			t.Fatal("written again it differs")
		}
	})
}
