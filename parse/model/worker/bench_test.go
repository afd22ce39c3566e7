package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkPredict is a vector a call and in batches: of a worker that answers at once, and of scikit-learn's logistic regression.
func BenchmarkPredict(b *testing.B) {
	py := python(b, "sklearn", "joblib")
	dir := b.TempDir()
	cmd := exec.Command(py, "-c", `import sys, joblib, numpy as np
from sklearn.linear_model import LogisticRegression
X = np.random.default_rng(1).normal(size=(500, 39))
joblib.dump(LogisticRegression().fit(X, X[:, 0] > 0), sys.argv[1])`, filepath.Join(dir, "lr.pkl"))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	columns := make([]string, 39)
	for name, cfg := range map[string]Config{
		"nothing": {Python: py, Columns: columns, Script: script(b, "class M:\n  classes_ = [0, 1]\n  def predict(self, rows): return [0] * len(rows)\ndef load(path): return M()")},
		"sklearn": {Python: py, Columns: columns, Model: filepath.Join(dir, "lr.pkl")},
	} {
		w := start(b, cfg)
		xs, classes := make([]float64, 39*maxBatch), make([]int, maxBatch)
		b.Run(name+"/one", func(b *testing.B) {
			for b.Loop() {
				if _, err := w.Predict(xs[:39], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/batch", func(b *testing.B) {
			for b.Loop() {
				if err := w.PredictBatch(xs, classes, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*maxBatch/b.Elapsed().Seconds(), "vectors/s")
		})
	}
}
