package linear

import (
	"io"

	"pcaplab/parse/model/onnx"
)

// WriteONNX writes the model as ONNX, a Scaler and a LinearClassifier, for any runtime. There everything is computed in float32:
// probabilities differ by 1e-6 or so, and by more where a feature's mean is thousands of its deviations. No name may hold a comma.
func (m *Model) WriteONNX(w io.Writer) error {
	p := m.p
	return onnx.WriteLinearClassifier(w, onnx.LinearSpec{
		Columns: p.Columns, Classes: p.Classes, Offset: p.Offset, Scale: p.Scale,
		Coefficients: p.Coefficients, Intercepts: p.Intercepts, Softmax: len(p.Classes) > 2,
	})
}
