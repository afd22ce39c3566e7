package onnx

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var threeClasses = LinearSpec{
	Columns: []string{"Rate", "Tot sum", "Number"}, Classes: []string{"BENIGN", "DDOS", "RECON"},
	Offset: []float64{10, 0.5, -1}, Scale: []float64{0.25, 2, 1},
	Coefficients: [][]float64{{1, 0, -1}, {0.5, 0.25, 0}, {-2, 1, 1}},
	Intercepts:   []float64{0.5, -0.25, 0},
	Softmax:      true,
}

func written(t *testing.T, spec LinearSpec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteLinearClassifier(&b, spec); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWrittenClassifierByHand(t *testing.T) {
	m, err := Read(written(t, threeClasses))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Columns(), threeClasses.Columns) || !slices.Equal(m.Classes(), threeClasses.Classes) || !m.Probabilities() || m.Width() != 3 {
		t.Fatal(m.Columns(), m.Classes(), m.Probabilities())
	}
	x := []float64{14, 1, 2} // scaled: 1, 1, 3
	want := []float64{1 - 3 + 0.5, 0.5 + 0.25 - 0.25, -2 + 1 + 3}
	sum := 0.0
	for k := range want {
		want[k] = math.Exp(want[k])
		sum += want[k]
	}
	scores := make([]float64, 3)
	class, err := m.Predict(x, scores)
	if err != nil || class != 2 {
		t.Fatal(class, err)
	}
	for k := range want {
		if math.Abs(scores[k]-want[k]/sum) > 1e-7 {
			t.Errorf("class %d: %v, want %v", k, scores[k], want[k]/sum)
		}
	}
}

func TestWrittenClassifierOfOneRow(t *testing.T) {
	m, err := Read(written(t, LinearSpec{Classes: []string{"ATTACK", "BENIGN"}, Coefficients: [][]float64{{1, -2}}, Intercepts: []float64{0.5}}))
	if err != nil {
		t.Fatal(err)
	}
	if m.Columns() != nil || m.Width() != 2 {
		t.Fatal(m.Columns(), m.Width())
	}
	scores := make([]float64, 2)
	class, err := m.Predict([]float64{2, 0.5}, scores) // 1.5
	p := 1 / (1 + math.Exp(-1.5))
	if err != nil || class != 1 || math.Abs(scores[1]-p) > 1e-7 || math.Abs(scores[0]+scores[1]-1) > 1e-7 {
		t.Fatal(class, scores, p, err)
	}
	if class, _ := m.Predict([]float64{2, 1.26}, nil); class != 0 {
		t.Fatal(class)
	}
}

func TestWriteRefuses(t *testing.T) {
	for what, change := range map[string]func(s *LinearSpec){
		"classes":      func(s *LinearSpec) { s.Classes = s.Classes[:2] },
		"names":        func(s *LinearSpec) { s.Columns = s.Columns[:2] },
		"comma":        func(s *LinearSpec) { s.Columns = []string{"a", "b,c", "d"} },
		"there twice":  func(s *LinearSpec) { s.Classes = []string{"a", "b", "a"} },
		"is empty":     func(s *LinearSpec) { s.Columns = []string{"a", "", "d"} },
		"no UTF-8":     func(s *LinearSpec) { s.Columns = []string{"a", "\xff", "d"} },
		"scales":       func(s *LinearSpec) { s.Scale = nil },
		"coefficients": func(s *LinearSpec) { s.Coefficients = [][]float64{{1, 2, 3}, {1, 2, 3}, {1}} },
		"float32":      func(s *LinearSpec) { s.Intercepts = []float64{0, 1e300, 0} },
	} {
		s := threeClasses
		change(&s)
		if err := WriteLinearClassifier(&bytes.Buffer{}, s); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// onnx's own checker takes what is written.
func TestWrittenFileIsValid(t *testing.T) {
	python := "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	if exec.Command(python, "-c", "import onnx").Run() != nil {
		t.Skip("no Python with the module onnx")
	}
	path := filepath.Join(t.TempDir(), "m.onnx")
	if err := os.WriteFile(path, written(t, threeClasses), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import sys, onnx
m = onnx.load(sys.argv[1])
onnx.checker.check_model(m, full_check=True)
print([o.name for o in m.graph.output], m.ir_version, {p.key: p.value for p in m.metadata_props})`, path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "['label', 'probabilities'] 7 {'columns': 'Rate,Tot sum,Number', 'classes': 'BENIGN,DDOS,RECON'}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
