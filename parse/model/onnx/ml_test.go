package onnx

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// testGraph is a model under construction.
type testGraph struct {
	graph builder
	meta  builder
	ai    int64
	ml    int64
}

func newGraph() *testGraph { return &testGraph{ai: 13, ml: 3} }

func (g *testGraph) node(op, domain string, inputs, outputs []string, attrs ...builder) *testGraph {
	g.graph = g.graph.node(op, domain, inputs, outputs, attrs...)
	return g
}

func (g *testGraph) in(name string, elem dtype, width int) *testGraph {
	g.graph = g.graph.message(11, valueInfo(name, elem, width))
	return g
}

func (g *testGraph) out(names ...string) *testGraph {
	for _, n := range names {
		g.graph = g.graph.message(12, valueInfo(n, float32Type, 0))
	}
	return g
}

// floats adds an initializer.
func (g *testGraph) floats(name string, dims []int64, values ...float32) *testGraph {
	t := builder(nil)
	for _, d := range dims {
		t = t.number(1, d)
	}
	t = t.number(2, int64(float32Type)).text(8, name)
	var raw []byte
	for _, v := range values {
		raw = protowire.AppendFixed32(raw, math.Float32bits(v))
	}
	g.graph = g.graph.message(5, t.message(9, raw))
	return g
}

// ints adds an initializer of one dim.
func (g *testGraph) ints(name string, values ...int64) *testGraph {
	t := builder(nil).number(1, int64(len(values))).number(2, int64(int64Type)).text(8, name)
	for _, v := range values {
		t = t.number(7, v)
	}
	g.graph = g.graph.message(5, t)
	return g
}

func (g *testGraph) metadata(key, value string) *testGraph {
	g.meta = g.meta.message(14, builder(nil).text(1, key).text(2, value))
	return g
}

func (g *testGraph) bytes() []byte {
	b := builder(nil).number(1, 8).message(7, g.graph).message(8, builder(nil).text(1, "").number(2, g.ai))
	return append(b.message(8, builder(nil).text(1, mlDomain).number(2, g.ml)), g.meta...)
}

func (g *testGraph) read(t *testing.T) *Model {
	t.Helper()
	m, err := Read(g.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func intsAttr(name string, values ...int64) builder {
	b := builder(nil).text(1, name)
	for _, v := range values {
		b = b.number(8, v)
	}
	return b.number(20, 7)
}

func floatAttr(name string, v float32) builder {
	b := builder(nil).text(1, name)
	return builder(protowire.AppendFixed32(protowire.AppendTag(b, 2, protowire.Fixed32Type), math.Float32bits(v))).number(20, 1)
}

// scoresOf returns what a model of scores says.
func scoresOf(t *testing.T, m *Model, x ...float64) []float64 {
	t.Helper()
	scores := make([]float64, len(m.Classes()))
	if _, err := m.Predict(x, scores); err != nil {
		t.Fatal(err)
	}
	return scores
}

func wantScores(t *testing.T, got []float64, want ...float64) {
	t.Helper()
	for k, w := range want {
		if len(got) != len(want) || !(math.Abs(got[k]-w) <= 1e-6*max(1, math.Abs(w))) && !(w != w && got[k] != got[k]) {
			t.Errorf("%v, want %v", got, want)
			return
		}
	}
}

// Operators of ai.onnx.ml by hand, from the words of Operators-ml.md.
func TestPreprocessors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name    string
		attrs   []builder
		x, want []float64
	}{
		{"Scaler", []builder{floatsAttr("offset", []float64{1, 2, 3}), floatsAttr("scale", []float64{2, 0.5, -1})}, []float64{2, 4, 1}, []float64{2, 1, 2}},
		{"Scaler", []builder{floatsAttr("offset", []float64{1}), floatsAttr("scale", []float64{3})}, []float64{2, 4, 1}, []float64{3, 9, 0}},
		{"Normalizer", []builder{stringAttr("norm", "L1")}, []float64{1, -2, 5}, []float64{0.125, -0.25, 0.625}},
		{"Normalizer", []builder{stringAttr("norm", "L2")}, []float64{2, -3, 6}, []float64{2.0 / 7, -3.0 / 7, 6.0 / 7}},
		{"Normalizer", []builder{stringAttr("norm", "MAX")}, []float64{2, -3, 4}, []float64{0.5, -0.75, 1}},
		{"Normalizer", nil, []float64{0, 0, 0}, []float64{0, 0, 0}},
		{"Binarizer", []builder{floatAttr("threshold", 0.5)}, []float64{0.5, 0.6, -1}, []float64{0, 1, 0}},
		{"Imputer", []builder{floatsAttr("imputed_value_floats", []float64{7, 8, 9}), floatAttr("replaced_value_float", float32(nan))},
			[]float64{1, nan, nan}, []float64{1, 8, 9}},
		{"Imputer", []builder{floatsAttr("imputed_value_floats", []float64{7}), floatAttr("replaced_value_float", 2)}, []float64{1, 2, 3}, []float64{1, 7, 3}},
		{"FeatureVectorizer", []builder{intsAttr("inputdimensions", 3)}, []float64{1, 2, 3}, []float64{1, 2, 3}},
		{"FeatureVectorizer", []builder{intsAttr("inputdimensions", 4)}, []float64{1, 2, 3}, []float64{1, 2, 3, 0}},
		{"FeatureVectorizer", []builder{intsAttr("inputdimensions", 2)}, []float64{1, 2, 3}, []float64{1, 2}},
		{"LinearRegressor", []builder{intAttr("targets", 2), floatsAttr("coefficients", []float64{1, 2, 3, 0, -1, 1}), floatsAttr("intercepts", []float64{0.5, 0})},
			[]float64{1, 2, 3}, []float64{14.5, 1}},
		{"LinearRegressor", []builder{intAttr("targets", 2), floatsAttr("coefficients", []float64{1, 0, 0, 0, 1, 0}), stringAttr("post_transform", "SOFTMAX")},
			[]float64{1, 1, 3}, []float64{0.5, 0.5}},
	} {
		m := newGraph().in("X", float32Type, 3).node(c.name, mlDomain, []string{"X"}, []string{"Y"}, c.attrs...).out("Y").read(t)
		t.Run(c.name, func(t *testing.T) { wantScores(t, scoresOf(t, m, c.x...), c.want...) })
	}
}

// stumps are attributes of two trees of one node: x0 <= 1, and x1 > 2, with two targets.
var stumps = []builder{
	intsAttr("nodes_treeids", 0, 0, 0, 1, 1, 1), intsAttr("nodes_nodeids", 0, 1, 2, 0, 1, 2), intsAttr("nodes_featureids", 0, 0, 0, 1, 0, 0),
	stringsAttr("nodes_modes", []string{"BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"}), floatsAttr("nodes_values", []float64{1, 0, 0, 2, 0, 0}),
	intsAttr("nodes_truenodeids", 1, 0, 0, 1, 0, 0), intsAttr("nodes_falsenodeids", 2, 0, 0, 2, 0, 0),
	intsAttr("target_treeids", 0, 0, 0, 1, 1), intsAttr("target_nodeids", 1, 1, 2, 1, 2), intsAttr("target_ids", 0, 1, 1, 0, 1),
	floatsAttr("target_weights", []float64{0.5, 2, -1, 3, 4}), intAttr("n_targets", 2),
}

func TestTreeRegressorAggregates(t *testing.T) {
	for _, c := range []struct {
		aggregate, transform string
		base                 []float64
		x, want              []float64
	}{
		{"SUM", "NONE", nil, []float64{1, 2.5}, []float64{3.5, 2}},
		{"SUM", "NONE", nil, []float64{1.5, 2}, []float64{0, 3}},
		{"SUM", "NONE", []float64{10, 20}, []float64{1, 2}, []float64{10.5, 26}},
		{"SUM", "NONE", []float64{10, 20}, []float64{1.5, 2}, []float64{0, 23}},
		{"AVERAGE", "NONE", []float64{10, 20}, []float64{1.5, 2.5}, []float64{11.5, 19.5}},
		{"MIN", "NONE", nil, []float64{1, 2}, []float64{0.5, 2}},
		{"MAX", "NONE", nil, []float64{1, 2}, []float64{0.5, 4}},
		{"MAX", "NONE", []float64{1, 1}, []float64{1.5, 2.5}, []float64{4, 0}},
		{"SUM", "LOGISTIC", nil, []float64{1.5, 2}, []float64{0.5, 1 / (1 + math.Exp(-3))}},
		{"SUM", "SOFTMAX", nil, []float64{1, 2.5}, []float64{1 / (1 + math.Exp(-1.5)), 1 / (1 + math.Exp(1.5))}},
	} {
		attrs := append(slices.Clone(stumps), stringAttr("aggregate_function", c.aggregate), stringAttr("post_transform", c.transform))
		if c.base != nil {
			attrs = append(attrs, floatsAttr("base_values", c.base))
		}
		m := newGraph().in("X", float32Type, 2).node("TreeEnsembleRegressor", mlDomain, []string{"X"}, []string{"Y"}, attrs...).out("Y").read(t)
		t.Run(c.aggregate+" "+c.transform, func(t *testing.T) { wantScores(t, scoresOf(t, m, c.x...), c.want...) })
	}
}

// A float32 that is not below its threshold in float64 is in float32, and only there.
func TestThresholdsAreOfTheInputsType(t *testing.T) {
	x := 1 + 1e-9
	for _, elem := range []dtype{float32Type, doubleType} {
		m := newGraph().in("X", elem, 2).node("TreeEnsembleRegressor", mlDomain, []string{"X"}, []string{"Y"}, stumps...).out("Y").read(t)
		want := []float64{0.5, 6}
		if elem == doubleType {
			want = []float64{0, 3}
		}
		t.Run(elem.String(), func(t *testing.T) { wantScores(t, scoresOf(t, m, x, 2), want...) })
	}
}

// Labels and scores, whichever there are and whatever they are called.
func TestOutputs(t *testing.T) {
	classifier := func(g *testGraph) *testGraph {
		return g.in("X", float32Type, 2).node("LinearClassifier", mlDomain, []string{"X"}, []string{"a", "b"},
			floatsAttr("coefficients", []float64{1, 0, 0, 1, 1, 1}), floatsAttr("intercepts", []float64{0, 0, -5}),
			stringsAttr("classlabels_strings", []string{"x", "y", "z"}))
	}
	check := func(name string, g *testGraph, classes []string, x []float64, class int, scores ...float64) {
		t.Run(name, func(t *testing.T) {
			m := g.read(t)
			if !slices.Equal(m.Classes(), classes) {
				t.Fatalf("classes %q, want %q", m.Classes(), classes)
			}
			got := make([]float64, len(classes))
			k, err := m.Predict(x, got)
			if err != nil || k != class {
				t.Errorf("class %d, want %d: %v", k, class, err)
			}
			wantScores(t, got, scores...)
			if k, err := m.Predict(x, nil); err != nil || k != class {
				t.Errorf("without scores: class %d, want %d: %v", k, class, err)
			}
		})
	}
	three := []string{"x", "y", "z"}
	check("label and scores", classifier(newGraph()).out("a", "b"), three, []float64{1, 3}, 1, 1, 3, -1)
	check("scores and label", classifier(newGraph()).out("b", "a"), three, []float64{1, 3}, 1, 1, 3, -1)
	check("a label", classifier(newGraph()).out("a"), three, []float64{1, 3}, 1, 0, 1, 0)
	check("scores", classifier(newGraph()).out("b"), three, []float64{1, 3}, 1, 1, 3, -1)
	check("scores with names", classifier(newGraph()).out("b").metadata("classes", "p,q,r"), []string{"p", "q", "r"}, []float64{9, 3}, 0, 9, 3, 7)
	check("a map alone", classifier(newGraph()).node("ZipMap", mlDomain, []string{"b"}, []string{"c"}, stringsAttr("classlabels_strings", three)).out("c"),
		three, []float64{1, 3}, 1, 1, 3, -1)
	check("a map in another order", classifier(newGraph()).node("ZipMap", mlDomain, []string{"b"}, []string{"c"},
		stringsAttr("classlabels_strings", []string{"z", "x", "y"})).out("a", "c"), []string{"z", "x", "y"}, []float64{1, 3}, 2, 1, 3, -1)
	check("scores named in the order of whole labels", classifier(newGraph()).node("LabelEncoder", mlDomain, []string{"a"}, []string{"c"},
		stringsAttr("keys_strings", three), intsAttr("values_int64s", 0, 1, 2)).out("c", "b").metadata("classes", "p,q,r"), []string{"p", "q", "r"},
		[]float64{1, 3}, 1, 1, 3, -1)
	check("one probability", newGraph().in("X", float32Type, 2).node("ReduceMean", "", []string{"X"}, []string{"m"}, intsAttr("axes", 1)).
		node("Sigmoid", "", []string{"m"}, []string{"p"}).out("p"), []string{"0", "1"}, []float64{2, -2}, 0, 0.5, 0.5)
	check("labels as numbers", classifier(newGraph()).node("LabelEncoder", mlDomain, []string{"a"}, []string{"c"},
		stringsAttr("keys_strings", []string{"z", "y", "x"}), intsAttr("values_int64s", 30, 20, 10)).out("c", "b"), []string{"10", "20", "30"},
		[]float64{1, 3}, 1, 1, 3, -1)
	check("class by ArgMax", classifier(newGraph()).node("ArgMax", "", []string{"b"}, []string{"c"}, intAttr("axis", 1)).
		node("LabelEncoder", mlDomain, []string{"c"}, []string{"d"}, intsAttr("keys_int64s", 0, 1, 2), stringsAttr("values_strings", []string{"p", "q", "r"})).
		out("d", "b"), []string{"p", "q", "r"}, []float64{1, 3}, 1, 1, 3, -1)
	perClass := classifier(newGraph())
	for k, name := range []string{"sx", "sy", "sz"} {
		perClass.ints("k"+name, int64(k)).node("ArrayFeatureExtractor", mlDomain, []string{"b", "k" + name}, []string{name})
	}
	check("an output a class", perClass.out("a", "sx", "sy", "sz"), three, []float64{1, 3}, 1, 1, 3, -1)

	check("label, scores and what else it tells", classifier(newGraph()).node("Cast", "", []string{"X"}, []string{"c"}, intAttr("to", int64(int64Type))).
		out("c", "a", "b"), three, []float64{1, 3}, 1, 1, 3, -1)

	for words, g := range map[string]*testGraph{
		"name 2 classes":      classifier(newGraph()).out("a", "b").metadata("classes", "p,q"),
		`classes ["p" "q" "r`: classifier(newGraph()).out("a", "b").metadata("classes", "p,q,r"),
		`"p" is there twice`:  classifier(newGraph()).out("b").metadata("classes", "p,q,p"),
		"no probability":      newGraph().in("X", float32Type, 2).node("ReduceSum", "", []string{"X"}, []string{"s"}).out("s"),
		"2 labels a vector": newGraph().in("X", float32Type, 2).node("Cast", "", []string{"X"}, []string{"c"}, intAttr("to", int64(int64Type))).
			out("c"),
		"does not depend": newGraph().in("X", float32Type, 2).floats("w", []int64{1, 2}, 1, 2).out("w"),
		"scores of 2":     classifier(newGraph()).node("Identity", "", []string{"X"}, []string{"c"}).out("a", "c"),
		"dims [2 1 2]":    newGraph().in("X", float32Type, 4).ints("d", 2, 1, 2).node("Reshape", "", []string{"X", "d"}, []string{"y"}).out("y"),
	} {
		if _, err := Read(g.bytes()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// Scores that are NaN tell no class, whether they are asked for or not.
func TestNaNIsNoClass(t *testing.T) {
	difference := func() *testGraph { // of squares in float32: infinity less infinity
		return newGraph().in("X", float32Type, 2).node("Mul", "", []string{"X", "X"}, []string{"q"}).floats("w", []int64{2, 2}, 1, -1, -1, 1).
			node("MatMul", "", []string{"q", "w"}, []string{"s"})
	}
	classified := difference().node("LinearClassifier", mlDomain, []string{"s"}, []string{"l", "p"}, floatsAttr("coefficients", []float64{1, 0, 0, 1}),
		floatsAttr("intercepts", []float64{0, 0}), stringsAttr("classlabels_strings", []string{"a", "b"}))
	for name, g := range map[string]*testGraph{
		"scores": difference().out("s"),
		"label":  classified.out("l"),
		"ArgMax": difference().node("ArgMax", "", []string{"s"}, []string{"l"}, intAttr("axis", 1)).out("l"),
	} {
		m := g.read(t)
		for _, scores := range [][]float64{nil, make([]float64, 2)} {
			if class, err := m.Predict([]float64{3, 2}, scores); err != nil || class != 0 {
				t.Errorf("%s: class %d, %v", name, class, err)
			}
			if class, err := m.Predict([]float64{1e30, 1e30}, scores); !errors.Is(err, ErrNaN) {
				t.Errorf("%s: class %d, %v, not ErrNaN", name, class, err)
			}
		}
	}
}

// empty are graphs with a dim of 0 beside one that no file has numbers for.
func empty() map[string]*testGraph {
	graphs := map[string]*testGraph{}
	for _, op := range []string{"Softmax", "LogSoftmax", "ReduceMax", "ArgMax", "TopK"} {
		g := newGraph()
		if op == "TopK" {
			g.ai = 9
		}
		attrs := map[string][]builder{"ReduceMax": {intsAttr("axes", 1)}, "TopK": {intAttr("axis", 1), intAttr("k", 1<<31-1)}}[op]
		if attrs == nil {
			attrs = []builder{intAttr("axis", 1)}
		}
		graphs[op] = g.floats("z", []int64{0, 1<<31 - 1}).in("X", float32Type, 2).node(op, "", []string{"z"}, []string{"y"}, attrs...).out("X")
	}
	graphs["Reshape"] = newGraph().floats("z", []int64{0}).ints("d", 0, 1<<22, 1<<22).in("X", float32Type, 2).
		node("Reshape", "", []string{"z", "d"}, []string{"y"}).node("Softmax", "", []string{"y"}, []string{"s"}, intAttr("axis", 1)).out("X")
	return graphs
}

func TestEmptyTensorsMakeNoRoom(t *testing.T) {
	for name, g := range empty() {
		if _, err := Read(g.bytes()); err == nil || !strings.Contains(err.Error(), "dims [0") {
			t.Errorf("%s: %v", name, err)
		}
	}
	nothing := newGraph().floats("z", []int64{1, 0}).in("X", float32Type, 2).node("LogSoftmax", "", []string{"z"}, []string{"y"}, intAttr("axis", 1)).out("X")
	nothing.read(t)
}

func TestWorkIsLimited(t *testing.T) {
	g := newGraph().in("X", float32Type, 1).ints("d", 2000, 2000)
	last := "X"
	for _, name := range []string{"a", "b", "c"} { // 2000 times 2000 times 2000 multiplications, without a weight in the file
		g.node("Expand", "", []string{last, "d"}, []string{"e" + name}).node("MatMul", "", []string{"e" + name, "e" + name}, []string{"m" + name}).
			node("ReduceMean", "", []string{"m" + name}, []string{name})
		last = name
	}
	if _, err := Read(g.out(last).bytes()); err == nil || !strings.Contains(err.Error(), "multiplications") && !strings.Contains(err.Error(), "numbers") {
		t.Error(err)
	}
	if _, err := Read(newGraph().in("X", float32Type, 1<<17).node("Identity", "", []string{"X"}, []string{"y"}).out("y").bytes()); err == nil ||
		!strings.Contains(err.Error(), "65536 columns") {
		t.Error(err)
	}
}

func TestWhereAndExpandOfWideLayers(t *testing.T) { // as LeakyRelu is written out
	const width = 3000
	g := newGraph().in("X", float32Type, 1).ints("d", 1, width).node("Expand", "", []string{"X", "d"}, []string{"h"}).
		floats("zero", nil, 0).floats("slope", nil, 0.5).node("Greater", "", []string{"h", "zero"}, []string{"c"}).
		node("Mul", "", []string{"h", "slope"}, []string{"g"}).node("Where", "", []string{"c", "h", "g"}, []string{"a"}).
		node("ReduceMean", "", []string{"a"}, []string{"m"}, intsAttr("axes", 1)).node("Concat", "", []string{"m", "X"}, []string{"y"}, intAttr("axis", 1)).out("y")
	wantScores(t, scoresOf(t, g.read(t), -2), -1, -2)
}

func TestLpNormalization(t *testing.T) { // which python3-onnx has no cases of
	for p, want := range map[int64][]float64{1: {-3.0 / 7, 4.0 / 7}, 2: {-0.6, 0.8}} {
		m := newGraph().in("X", float32Type, 2).node("LpNormalization", "", []string{"X"}, []string{"y"}, intAttr("p", p)).out("y").read(t)
		wantScores(t, scoresOf(t, m, -3, 4), want...)
		wantScores(t, scoresOf(t, m, 0, 0), 0, 0)
	}
}

func TestInputs(t *testing.T) {
	m := newGraph().in("Rate", float32Type, 1).in("Tot sum", float32Type, 1).in("Number", int64Type, 1).
		node("FeatureVectorizer", mlDomain, []string{"Number", "Rate", "Tot sum"}, []string{"v"}, intsAttr("inputdimensions", 1, 1, 1)).out("v").read(t)
	if !slices.Equal(m.Columns(), []string{"Rate", "Tot sum", "Number"}) || m.Width() != 3 {
		t.Errorf("columns %q", m.Columns())
	}
	wantScores(t, scoresOf(t, m, 1.5, 2, 7), 7, 1.5, 2)

	// The width is that of the first node where the input does not say.
	g := newGraph()
	g.graph = g.graph.message(11, builder(nil).text(1, "X").message(2, builder(nil).message(1, builder(nil).number(1, 1))))
	m = g.node("Scaler", mlDomain, []string{"X"}, []string{"y"}, floatsAttr("offset", []float64{0, 1, 2, 3}), floatsAttr("scale", []float64{1, 1, 1, 1})).out("y").read(t)
	if m.Width() != 4 {
		t.Errorf("width %d", m.Width())
	}

	m = newGraph().in("X", float32Type, 2).node("Identity", "", []string{"X"}, []string{"y"}).out("y").metadata("columns", "Rate,IAT").read(t)
	if !slices.Equal(m.Columns(), []string{"Rate", "IAT"}) {
		t.Errorf("columns %q", m.Columns())
	}
	for words, g := range map[string]*testGraph{
		"name 3 columns": newGraph().in("X", float32Type, 2).node("Identity", "", []string{"X"}, []string{"y"}).out("y").metadata("columns", "a,b,c"),
		"of string":      newGraph().in("X", stringType, 2).node("Identity", "", []string{"X"}, []string{"y"}).out("y"),
		"several inputs": newGraph().in("X", float32Type, 2).in("Z", float32Type, 2).node("Concat", "", []string{"X", "Z"}, []string{"y"}, intAttr("axis", 1)).out("y"),
		"no input":       newGraph().node("Identity", "", []string{"X"}, []string{"y"}).out("y"),
		"label":          newGraph().in("X", int64Type, 1).node("Identity", "", []string{"X"}, []string{"y"}).out("y"),
	} {
		if _, err := Read(g.bytes()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// All operators that are not known are named at once, with domain and version.
func TestUnknownOperators(t *testing.T) {
	g := newGraph().in("X", float32Type, 2).node("SVMClassifier", mlDomain, []string{"X"}, []string{"a", "b"}).
		node("LSTM", "", []string{"X"}, []string{"c"}).node("LSTM", "", []string{"X"}, []string{"d"}).node("Relu", "", []string{"X"}, []string{"e"}).
		node("Thing", "com.example", []string{"X"}, []string{"f"}).out("b")
	_, err := Read(g.bytes())
	var unsupported *UnsupportedError
	if !errors.As(err, &unsupported) {
		t.Fatal(err)
	}
	want := []string{"ai.onnx LSTM, opset 13", "ai.onnx.ml SVMClassifier, opset 3", "com.example Thing, opset 0"}
	if !slices.Equal(unsupported.Operators, want) {
		t.Errorf("%q, want %q", unsupported.Operators, want)
	}
	g.ml, g.ai = 1, 13
	g = newGraph().in("X", float32Type, 2).node("TreeEnsemble", mlDomain, []string{"X"}, []string{"y"}).out("y")
	if _, err := Read(g.bytes()); err == nil || !strings.Contains(err.Error(), "TreeEnsemble, opset 3") {
		t.Error(err) // it came with 5
	}
}

func TestReadRefusesWhatIsNotAModel(t *testing.T) {
	for words, data := range map[string][]byte{
		"no graph":     builder(nil).number(1, 8),
		"no operator":  newGraph().in("X", float32Type, 2).node("", "", nil, nil).out("X").bytes(),
		"cut":          written(t, threeClasses)[:100],
		"functions":    append(newGraph().in("X", float32Type, 2).out("X").bytes(), builder(nil).message(25, nil)...),
		"training":     append(newGraph().in("X", float32Type, 2).out("X").bytes(), builder(nil).message(20, nil)...),
		"dims [1 -5]":  newGraph().floats("w", []int64{1, -5}, 1).in("X", float32Type, 2).out("X").bytes(),
		"1 values for": newGraph().floats("w", []int64{1 << 30, 1}, 1).in("X", float32Type, 2).out("X").bytes(),
		"made twice":   newGraph().floats("w", []int64{1}, 1).floats("w", []int64{1}, 1).in("X", float32Type, 2).out("X").bytes(),
	} {
		if _, err := Read(data); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}
