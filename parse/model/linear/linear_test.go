package linear

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// python returns a Python that has scikit-learn, or skips.
func python(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import sklearn").Run() == nil {
			return name
		}
	}
	t.Skip("neither /usr/bin/python3 nor python3 has sklearn")
	return ""
}

// run gives a Python program its input and returns what it prints.
func run(t testing.TB, python, program string, input []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(python, append([]string{"-c", program}, args...)...)
	cmd.Stdin = bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "PYTHONWARNINGS=ignore")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// data is rows in memory.
type data struct {
	columns, classes []string
	xs               []float64
	ys               []int
}

func (d *data) row(i int) []float64 { return d.xs[i*len(d.columns):][:len(d.columns)] }

func (d *data) rows(yield func([]float64, int) error) error {
	for i, y := range d.ys {
		if err := yield(d.row(i), y); err != nil {
			return err
		}
	}
	return nil
}

// synthetic is seeded rows with columns of very different scales, one that is a sum of two others, one that is there twice, and a
// constant one; and with classes that overlap.
func synthetic(n, classes int) *data {
	r := rand.New(rand.NewPCG(8, uint64(classes)))
	d := &data{columns: []string{"a", "b", "c", "sum", "again", "constant"}, classes: strings.Fields("zero one two three four five six seven eight nine ten eleven")[:classes]}
	for range n {
		y := r.IntN(classes * classes)
		y = int(math.Sqrt(float64(y))) // later classes more often
		a := r.NormFloat64() + float64(y)
		b := 1e6 * (r.NormFloat64() - float64(y%2))
		c := math.Abs(r.NormFloat64()) * 1e-3
		d.xs = append(d.xs, a, b, c+5, a+c, b, 0.1)
		d.ys = append(d.ys, y)
	}
	return d
}

func small() Parameters {
	return Parameters{
		Columns: []string{"a", "b"}, Classes: []string{"x", "y", "z"}, Offset: []float64{1, 2}, Scale: []float64{0.5, 4},
		Coefficients: [][]float64{{1, 0}, {0, 1}, {-1, -1}}, Intercepts: []float64{0, 0.5, 0},
	}
}

// TestPredictByHand: standardised, (3, 2.25) is (1, 1); the logits are 1, 1.5 and -2.
func TestPredictByHand(t *testing.T) {
	m, err := New(small())
	if err != nil {
		t.Fatal(err)
	}
	scores := make([]float64, 3)
	class, err := m.Predict([]float64{3, 2.25}, scores)
	sum := math.Exp(1) + math.Exp(1.5) + math.Exp(-2)
	if err != nil || class != 1 || math.Abs(scores[0]-math.Exp(1)/sum) > 1e-15 || math.Abs(scores[2]-math.Exp(-2)/sum) > 1e-15 {
		t.Errorf("class %d, scores %v, %v", class, scores, err)
	}

	p := small()
	p.Classes, p.Coefficients, p.Intercepts = []string{"no", "yes"}, [][]float64{{2, -1}}, []float64{-1}
	if m, err = New(p); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		x     []float64
		class int
		yes   float64
	}{
		{[]float64{3, 2}, 1, 1 / (1 + math.Exp(-1))},
		{[]float64{2, 2}, 0, 0.5}, // neither: the first
		{[]float64{1, 2}, 0, 1 / (1 + math.E)},
		{[]float64{1e300, 2}, 1, 1},
		{[]float64{-1e300, 2}, 0, 0},
	} {
		class, err := m.Predict(tt.x, scores[:2])
		if err != nil || class != tt.class || math.Abs(scores[1]-tt.yes) > 1e-15 || math.Abs(scores[0]+scores[1]-1) > 1e-15 {
			t.Errorf("%v: class %d, scores %v, %v", tt.x, class, scores[:2], err)
		}
	}
}

func TestPredictRefuses(t *testing.T) {
	for _, two := range []bool{false, true} {
		p := small()
		if two {
			p.Classes, p.Coefficients, p.Intercepts = p.Classes[:2], p.Coefficients[:1], p.Intercepts[:1]
		}
		m, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range [][]float64{{math.NaN(), 0}, {math.Inf(1), 0}, {math.Inf(-1), 0}, {0, math.NaN()}, {math.MaxFloat64, math.MaxFloat64}} {
			if two && x[1] == math.MaxFloat64 {
				continue // its coefficient is 0
			}
			if _, err := m.Predict(x, nil); !errors.Is(err, ErrNotFinite) {
				t.Errorf("%v: %v", x, err)
			}
		}
		if _, err := m.Predict([]float64{1}, nil); err == nil {
			t.Error("a short vector was taken")
		}
		if _, err := m.Predict([]float64{1, 2}, make([]float64, 4)); err == nil {
			t.Error("room for too many scores was taken")
		}
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	for _, classes := range []int{2, 3} {
		p := small()
		if classes == 2 {
			p.Classes, p.Coefficients, p.Intercepts = p.Classes[:2], p.Coefficients[:1], p.Intercepts[:1]
		}
		m, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		x, scores := []float64{1, 2}, make([]float64, classes)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := m.Predict(x, scores); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d classes: %v allocations", classes, n)
		}
	}
}

func TestJSON(t *testing.T) {
	p := small()
	p.Trained = []byte(`{"rows": 3}`)
	p.Intercepts[0] = 0.1
	p.Scale[0] = 1.0 / 3
	m, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := m.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	again, err := ReadJSON(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	var more bytes.Buffer
	if err := again.WriteJSON(&more); err != nil || more.String() != text.String() {
		t.Errorf("%v: not the same again:\n%s", err, more.String())
	}
	q := again.Parameters()
	if !slices.Equal(q.Intercepts, p.Intercepts) || !slices.Equal(q.Scale, p.Scale) || !slices.Equal(again.Classes(), p.Classes) || !slices.Equal(again.Columns(), p.Columns) {
		t.Errorf("%+v", q)
	}

	for _, tt := range []struct{ from, to, want string }{
		{`"pcaplab-model"`, `"other"`, "not a model"},
		{`"logistic-regression"`, `"tree"`, `kind "tree"`},
		{`"version": 1`, `"version": 2`, "version 2"},
		{`"columns"`, `"colums"`, "unknown field"},
		{`"b"`, `"a"`, `column "a" is there twice`},
		{`"b"`, `""`, "column 2 has no name"},
		{`"z"`, `"x"`, `class "x" is there twice`},
		{`"z"`, `"z", "zz"`, "3 rows of coefficients for 4 classes"},
		{`"offset": [`, `"offset": [7,`, "offset: 3 values, not 2"},
		{`"coefficients": [`, `"coefficients": [[1], `, "4 rows of coefficients"},
		{"0.3333333333333333", "-0.3333333333333333", "above 0"},
		{"0.3333333333333333", "1e999", "1e999"},
		{"0.3333333333333333", "null", "null where a number"},
		{"   0,", "   null,", "null where a number"},
		{`"b"`, "null", "column 2 has no name"},
		{`"scale"`, `"intercepts"`, ""},
		{"{", "{,", "not a model"},
		{"{", "", "not a model"},
	} {
		if strings.Count(text.String(), tt.from) == 0 {
			t.Fatalf("no %s", tt.from)
		}
		_, err := ReadJSON(strings.NewReader(strings.Replace(text.String(), tt.from, tt.to, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: %v", tt.to, tt.from, err)
		}
	}
	if _, err := ReadJSON(strings.NewReader(text.String() + "{}")); err == nil {
		t.Error("something behind the model was not noticed")
	}
	if _, err := ReadJSON(strings.NewReader(text.String()[:text.Len()/2])); err == nil {
		t.Error("half a model was taken")
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, classes := range []int{2, 3} {
		p := small()
		if classes == 2 {
			p.Classes, p.Coefficients, p.Intercepts = p.Classes[:2], p.Coefficients[:1], p.Intercepts[:1]
		}
		m, err := New(p)
		if err != nil {
			f.Fatal(err)
		}
		var text bytes.Buffer
		if err := m.WriteJSON(&text); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
	}
	f.Add([]byte(`{"format":"pcaplab-model","kind":"logistic-regression","version":1,"columns":["a"],"classes":["x","y"],"coefficients":[null],"intercepts":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ReadJSON(bytes.NewReader(text))
		if err != nil {
			return
		}
		scores := make([]float64, len(m.Classes()))
		x := make([]float64, m.Width())
		if class, err := m.Predict(x, scores); err == nil && (class < 0 || class >= len(scores)) {
			t.Errorf("class %d of %d", class, len(scores))
		}
		var again bytes.Buffer
		if err := m.WriteJSON(&again); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadJSON(&again); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	for _, classes := range []int{2, 34} {
		b.Run(fmt.Sprintf("classes=%d", classes), func(b *testing.B) {
			p := Parameters{Offset: make([]float64, 39), Scale: make([]float64, 39)}
			for j := range 39 {
				p.Columns = append(p.Columns, fmt.Sprint(j))
				p.Scale[j] = 1 / float64(j+1)
			}
			for k := range classes {
				p.Classes = append(p.Classes, fmt.Sprint(k))
				if classes > 2 || k == 0 {
					p.Coefficients = append(p.Coefficients, slices.Repeat([]float64{float64(k) - 0.5}, 39))
					p.Intercepts = append(p.Intercepts, 1)
				}
			}
			m, err := New(p)
			if err != nil {
				b.Fatal(err)
			}
			x, scores := slices.Repeat([]float64{3}, 39), make([]float64, classes)
			for b.Loop() {
				if _, err := m.Predict(x, scores); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
