package onnx

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var ask = flag.String("ask", "", "write the models of TestAsOnnxruntime and their vectors to this folder, for testdata/ask.js")

// asked is one model's vectors, and what onnxruntime says of them: see testdata/ask.js. Null is not finite.
type asked struct {
	Name   string
	X      [][]float64
	Labels []string     `json:",omitempty"`
	Scores [][]*float64 `json:",omitempty"`
}

// corners are models at the corners of what the pages of the operators say: every transform, aggregate and number of base values,
// with classes that have no values, or not on every leaf.
func corners() (names []string, models map[string]*testGraph) {
	models = map[string]*testGraph{}
	add := func(name string, outputs int, op string, attrs ...builder) {
		g := newGraph().in("X", float32Type, 2)
		outs := []string{"Y"}
		if strings.HasSuffix(op, "Classifier") {
			outs = []string{"L", "Y"}
			g.graph = g.graph.message(12, valueInfo("L", stringType, 0))
		}
		g.graph = g.graph.message(12, valueInfo("Y", float32Type, outputs))
		names = append(names, name)
		models[name] = g.node(op, mlDomain, []string{"X"}, outs, attrs...)
	}
	for _, transform := range []string{"NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"} {
		post := stringAttr("post_transform", transform)
		for _, aggregate := range aggregates {
			for _, base := range [][]float64{nil, {0.25, -0.5}} {
				attrs := append(slices.Clone(stumps), post, stringAttr("aggregate_function", aggregate))
				if base != nil {
					attrs = append(attrs, floatsAttr("base_values", base))
				}
				add(fmt.Sprintf("regressor %s %s %v", aggregate, transform, base), 2, "TreeEnsembleRegressor", attrs...)
			}
		}
		for _, c := range []struct {
			classes int
			ids     []int64
			base    []float64
		}{
			{2, []int64{0, 1, 1, 0, 1}, nil}, {2, []int64{0, 1, 1, 0, 1}, []float64{0.25, -0.5}}, {2, []int64{0, 1, 1, 0, 1}, []float64{0.25}},
			{2, []int64{1, 1, 1, 1, 1}, nil}, {2, []int64{1, 1, 1, 1, 1}, []float64{0.5, 0.25}}, {2, []int64{0, 0, 0, 0, 0}, []float64{0.5}},
			{3, []int64{0, 1, 1, 2, 2}, nil}, {3, []int64{0, 1, 1, 0, 1}, []float64{-1, -1, -0.5}},
		} {
			if transform == "PROBIT" && c.base != nil && len(c.base) == 1 {
				continue // onnxruntime leaves the second score as it finds it
			}
			attrs := append(slices.Clone(stumps[:7]), intsAttr("class_treeids", 0, 0, 0, 1, 1), intsAttr("class_nodeids", 1, 1, 2, 1, 2),
				intsAttr("class_ids", c.ids...), floatsAttr("class_weights", []float64{0.5, 2, -1, 3, -4}), post,
				stringsAttr("classlabels_strings", []string{"p", "q", "r"}[:c.classes]))
			if c.base != nil {
				attrs = append(attrs, floatsAttr("base_values", c.base))
			}
			add(fmt.Sprintf("classifier %s %d %v %v", transform, c.classes, c.ids, c.base), c.classes, "TreeEnsembleClassifier", attrs...)
		}
		coefficients, intercepts := []float64{1, -0.5, -1, 0.25, 0.5, 0.5}, []float64{0.1, 0.2, 0.3}
		for rows := 1; rows <= 3; rows++ {
			attrs := []builder{floatsAttr("coefficients", coefficients[:2*rows]), floatsAttr("intercepts", intercepts[:rows]), post}
			classes := max(rows, 2)
			if transform == "PROBIT" && rows == 1 {
				continue // likewise
			}
			add(fmt.Sprintf("linear classifier %s %d", transform, rows), classes, "LinearClassifier",
				append(slices.Clone(attrs), stringsAttr("classlabels_strings", []string{"p", "q", "r"}[:classes]))...)
			if rows > 1 {
				add(fmt.Sprintf("linear regressor %s %d", transform, rows), rows, "LinearRegressor", append(attrs, intAttr("targets", int64(rows)))...)
			}
		}
	}
	return names, models
}

// Where the operators' pages leave a choice, results are onnxruntime's.
func TestAsOnnxruntime(t *testing.T) {
	names, models := corners()
	if *ask != "" {
		rng := rand.New(rand.NewPCG(3, 3))
		var list []asked
		for i, name := range names {
			a := asked{Name: name}
			for r := range 6 {
				x := []float64{rng.NormFloat64() * 2, rng.NormFloat64() * 2}
				if r%3 == 0 {
					x = []float64{float64(rng.IntN(5) - 1), float64(rng.IntN(5) - 1)}
				}
				a.X = append(a.X, []float64{float64(float32(x[0])), float64(float32(x[1]))})
			}
			list = append(list, a)
			if err := os.WriteFile(filepath.Join(*ask, fmt.Sprintf("%d.onnx", i)), models[name].bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(*ask, "list.json"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	data, err := os.ReadFile("testdata/onnxruntime.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []asked
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != len(names) {
		t.Fatalf("%d models, %d asked about", len(names), len(list))
	}
	for _, a := range list {
		g := models[a.Name]
		if g == nil {
			t.Fatalf("no model %q", a.Name)
		}
		m := g.read(t)
		scores := make([]float64, len(m.Classes()))
		for i, x := range a.X {
			class, err := m.Predict(x, scores)
			if errors.Is(err, ErrNaN) && slices.Contains(a.Scores[i], nil) {
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v: %v", a.Name, x, err)
			}
			if len(a.Labels) > 0 && m.Classes()[class] != a.Labels[i] {
				t.Errorf("%s: %v: class %q, want %q", a.Name, x, m.Classes()[class], a.Labels[i])
			}
			for k, w := range a.Scores[i] {
				if w == nil && !math.IsNaN(scores[k]) && !math.IsInf(scores[k], 0) || w != nil && !(math.Abs(scores[k]-*w) <= 2e-6*max(1, math.Abs(*w))) {
					t.Errorf("%s: %v: scores %v, want %s", a.Name, x, scores, show(a.Scores[i]))
					break
				}
			}
		}
	}
}

func show(scores []*float64) string {
	var b strings.Builder
	for _, s := range scores {
		if s == nil {
			b.WriteString(" not finite")
		} else {
			fmt.Fprintf(&b, " %v", *s)
		}
	}
	return b.String()
}
