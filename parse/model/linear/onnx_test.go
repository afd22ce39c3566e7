package linear

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"pcaplab/parse/model/onnx"
)

// compareONNX writes m as ONNX and compares what is read again with m, on rows. It returns the largest difference of probabilities.
func compareONNX(t *testing.T, m *Model, d *data) float64 {
	t.Helper()
	var file bytes.Buffer
	if err := m.WriteONNX(&file); err != nil {
		t.Fatal(err)
	}
	again, err := onnx.Read(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Classes(), m.Classes()) || !slices.Equal(again.Columns(), m.Columns()) {
		t.Fatalf("classes %q, columns %q", again.Classes(), again.Columns())
	}
	ours, theirs := make([]float64, len(m.Classes())), make([]float64, len(m.Classes()))
	worst := 0.0
	for i := range d.ys {
		class, err := m.Predict(d.row(i), ours)
		if err != nil {
			t.Fatal(err)
		}
		other, err := again.Predict(d.row(i), theirs)
		if err != nil {
			t.Fatal(err)
		}
		for k := range ours {
			worst = math.Max(worst, math.Abs(ours[k]-theirs[k]))
		}
		if class != other && math.Abs(ours[class]-ours[other]) > 4e-6 {
			t.Errorf("row %d: class %d with %v, ONNX %d with %v", i, class, ours, other, theirs)
		}
	}
	return worst
}

// TestONNXRefuses: a scale that float32 makes 0 would leave its column out.
func TestONNXRefuses(t *testing.T) {
	p := small()
	p.Scale[1] = 1e-40
	m, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := m.WriteONNX(&file); err == nil || !strings.Contains(err.Error(), `scale of column "b" is 1e-40`) || file.Len() > 0 {
		t.Errorf("%v, %d octets", err, file.Len())
	}
}

// TestONNX: what is written is the same model, in float32.
func TestONNX(t *testing.T) {
	for _, classes := range []int{2, 3, 4} {
		d := synthetic(1000, classes)
		m, _, err := Train(t.Context(), d.columns, d.classes, d.rows, Config{})
		if err != nil {
			t.Fatal(err)
		}
		// Column c has a mean of 8000 of its deviations: rounding to float32 alone moves it by up to 0.0004 of them.
		if worst := compareONNX(t, m, d); worst > 1e-4 {
			t.Errorf("%d classes: probabilities differ by %v", classes, worst)
		}
	}
}
