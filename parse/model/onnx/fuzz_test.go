package onnx

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Read takes any octets: it never panics, and never makes room for what a length or dims only say. What it takes can be asked.
func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("../testdata/models/*.onnx")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 16<<10 {
			f.Add(data)
		}
	}
	var b bytes.Buffer
	if err := WriteLinearClassifier(&b, threeClasses); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	for _, g := range empty() {
		f.Add(g.bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Read(data)
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(len(data))*400+256<<20; got > most {
			t.Errorf("%d octets allocated for a file of %d", got, len(data))
		}
		if err != nil {
			if m != nil {
				t.Error("a model with an error")
			}
			return
		}
		if len(m.Classes()) < 2 || m.Width() < 1 || m.Columns() != nil && len(m.Columns()) != m.Width() {
			t.Fatalf("%d classes, %d of %d columns", len(m.Classes()), len(m.Columns()), m.Width())
		}
		if m.Width() > 1<<16 {
			return
		}
		x, scores := make([]float64, m.Width()), make([]float64, len(m.Classes()))
		for _, c := range []*Model{m, m.Clone()} {
			for _, v := range []float64{0, 1, -1, 1e9, math.NaN(), math.Inf(1)} {
				for k := range x {
					x[k] = v
				}
				if class, err := c.Predict(x, scores); err == nil && (class < 0 || class >= len(scores)) {
					t.Fatalf("class %d of %d", class, len(scores))
				}
			}
		}
	})
}
