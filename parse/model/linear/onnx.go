package linear

import (
	"fmt"
	"io"

	"pcaplab/parse/model/onnx"
)

// WriteONNX writes the model as ONNX, a Scaler and a LinearClassifier, for any runtime. There everything is computed in float32:
// probabilities differ by 1e-6 or so, and by more where a feature's mean is thousands of its deviations. No name may hold a comma, and no
// number may be beyond float32: a column whose deviation is above 8e37 has to be made smaller before training.
func (m *Model) WriteONNX(w io.Writer) error {
	p := m.p
	for j, s := range p.Scale {
		if s < 0x1p-126 { // float32 has fewer digits of it, or 0, which would leave the column out
			return fmt.Errorf("ONNX: the scale of column %q is %v, which float32 does not hold: divide the column by a constant and train again, or write JSON", p.Columns[j], s)
		}
	}
	return onnx.WriteLinearClassifier(w, onnx.LinearSpec{
		Columns: p.Columns, Classes: p.Classes, Offset: p.Offset, Scale: p.Scale,
		Coefficients: p.Coefficients, Intercepts: p.Intercepts, Softmax: len(p.Classes) > 2,
	})
}
