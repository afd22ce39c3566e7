package worker

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fits makes models with the module and writes them, together with what they say to the rows.
const fits = `
import json, pickle, sys, warnings
warnings.simplefilter("ignore")
import joblib, numpy as np, pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
rng = np.random.default_rng(1)
names = ["Rate", "IAT", "Number"]
X = rng.normal(size=(200, 3)); y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 1)
frame = pd.DataFrame(X, columns=names)
text = np.array(["Benign", "DDoS", "Mirai"])[y]
models = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, text),
    "named": RandomForestClassifier(5, random_state=1).fit(frame, y),
    "columns": make_pipeline(ColumnTransformer([("s", StandardScaler(), ["Number", "Rate"])]), LogisticRegression()).fit(frame, text),
    "ridge": RidgeClassifier().fit(X, y == 1),
}
out = {}
for name, m in models.items():
    path = sys.argv[1] + "/" + name + ".pkl"
    if name == "ridge":
        with open(path, "wb") as f: pickle.dump(m, f)
    else:
        joblib.dump(m, path, compress=name == "named")
    rows = frame if name in ("named", "columns") else X
    labels = list(m.classes_)
    out[name] = {"classes": [labels.index(v) for v in m.predict(rows)], "names": [str(v) for v in labels],
        "scores": m.predict_proba(rows).ravel().tolist() if hasattr(m, "predict_proba") else None}
try:
    import xgboost
    two = xgboost.XGBClassifier(n_estimators=3).fit(X, y > 0)
    joblib.dump(two.get_booster(), sys.argv[1] + "/booster.pkl")
    out["booster"] = {"classes": two.predict(X).tolist(), "names": ["0", "1"], "scores": two.predict_proba(X).ravel().tolist()}
    for objective, truth, k in ("multi:softprob", y, 3), ("multi:softmax", y > 0, 2), ("binary:logitraw", y > 0, 2):
        matrix = xgboost.DMatrix(X, label=truth)
        b = xgboost.train({"objective": objective, **({"num_class": k} if "multi" in objective else {})}, matrix, 3)
        name = "booster " + objective.replace(":", " ") + f" {k}"
        joblib.dump(b, sys.argv[1] + "/" + name + ".pkl")
        p = b.predict(matrix)
        out[name] = {"classes": (p.argmax(1) if p.ndim == 2 else p.astype(int)).tolist(), "names": [str(i) for i in range(k)],
            "scores": p.ravel().tolist() if p.ndim == 2 else None, "refused": objective == "binary:logitraw"}
except ImportError:
    pass
json.dump({"rows": X.ravel().tolist(), "models": out}, sys.stdout)
`

// TestSklearn: the worker says what scikit-learn and XGBoost themselves say.
func TestSklearn(t *testing.T) {
	py := python(t, "sklearn", "joblib", "pandas")
	dir := t.TempDir()
	cmd := exec.Command(py, "-c", fits, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		Rows   []float64
		Models map[string]struct {
			Classes []int
			Names   []string
			Scores  []float64
			Refused bool
		}
	}
	if err := json.Unmarshal(out, &made); err != nil {
		t.Fatal(err)
	}
	if len(made.Models) < 4 {
		t.Fatalf("%d models", len(made.Models))
	}
	for name, want := range made.Models {
		if testing.Short() && name != "columns" {
			continue // each process imports for a second, under emulation for many
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if want.Refused {
				_, err := Start(t.Context(), Config{Python: py, Model: filepath.Join(dir, name+".pkl"), Columns: []string{"Rate", "IAT", "Number"}})
				if err == nil || !strings.Contains(err.Error(), "objective is binary:logitraw") {
					t.Error(err)
				}
				return
			}
			w := start(t, Config{Python: py, Model: filepath.Join(dir, name+".pkl"), Columns: []string{"Rate", "IAT", "Number"}})
			if !slices.Equal(w.Classes(), want.Names) {
				t.Fatalf("classes %q, want %q", w.Classes(), want.Names)
			}
			if named := name == "named" || name == "columns"; named != (w.Columns() != nil) {
				t.Errorf("columns %q", w.Columns())
			}
			if w.Probabilities() != (want.Scores != nil) {
				t.Errorf("probabilities: %v", w.Probabilities())
			}
			classes, scores := make([]int, len(want.Classes)), make([]float64, len(want.Classes)*len(want.Names))
			if err := w.PredictBatch(made.Rows, classes, scores); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(classes, want.Classes) {
				t.Errorf("classes %v\nwant %v", classes, want.Classes)
			}
			for i, v := range scores {
				expected := 0.0
				if want.Scores != nil {
					expected = want.Scores[i]
				} else if classes[i/len(want.Names)] == i%len(want.Names) {
					expected = 1
				}
				if math.Abs(v-expected) > 1e-7 { // XGBoost's are float32
					t.Fatalf("score %d: %v, want %v", i, v, expected)
				}
			}
			class, err := w.Predict(made.Rows[:3], nil)
			if err != nil || class != want.Classes[0] {
				t.Errorf("one vector: class %d, %v", class, err)
			}
		})
	}
}
