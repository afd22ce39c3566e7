package linear

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// sklearnFits trains on the rows that it gets, once for each of the configurations. Its tolerance is of a sum over rows, so
// 1e-5 is 1e-8 of the mean.
const sklearnFits = `
import json, sys, warnings
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
out = []
for data in json.load(sys.stdin):
    X = np.array(data["xs"]).reshape(len(data["ys"]), -1); y = np.array(data["ys"])
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    cfg = data["config"]
    solver = "newton-cg" if y.max() > 1 else "newton-cholesky"
    m = LogisticRegression(C=cfg["c"], class_weight="balanced" if cfg["class_weights"] == "balanced" else None, solver=solver, tol=1e-5, max_iter=100).fit(Z, y)
    out.append({"offset": scaler.mean_.tolist(), "scale": scaler.scale_.tolist(), "coefficients": m.coef_.tolist(), "intercepts": m.intercept_.tolist(),
        "probabilities": m.predict_proba(Z[:200]).ravel().tolist()})
json.dump(out, sys.stdout)
`

// TestSklearnCoefficients: the same model as scikit-learn's, where both go on until the gradient is nothing.
func TestSklearnCoefficients(t *testing.T) {
	py := python(t)
	configs := []Config{{C: 1, ClassWeights: "none"}, {C: 0.01, ClassWeights: "balanced"}, {C: 100, ClassWeights: "none"}}
	type fit struct {
		Xs     []float64 `json:"xs"`
		Ys     []int     `json:"ys"`
		Config Config    `json:"config"`
		data   *data
	}
	var fits []fit
	for _, classes := range []int{2, 3, 4} {
		d := synthetic(1100, classes)
		for _, cfg := range configs {
			fits = append(fits, fit{d.xs, d.ys, cfg, d})
		}
	}
	input, err := json.Marshal(fits)
	if err != nil {
		t.Fatal(err)
	}
	var wants []struct {
		Offset, Scale []float64
		Coefficients  [][]float64
		Intercepts    []float64
		Probabilities []float64
	}
	if err := json.Unmarshal(run(t, py, sklearnFits, input), &wants); err != nil {
		t.Fatal(err)
	}
	for i, want := range wants {
		d, cfg := fits[i].data, fits[i].Config
		classes := len(d.classes)
		t.Run(fmt.Sprintf("%d classes, C=%v, %s", classes, cfg.C, cfg.ClassWeights), func(t *testing.T) {
			cfg.Tolerance = 1e-10
			m, report, err := Train(t.Context(), d.columns, d.classes, d.rows, cfg)
			if err != nil || !report.Converged {
				t.Fatalf("%v: %+v", err, report)
			}
			p := m.Parameters()
			worst := 0.0
			compare := func(what string, got, want, tolerance float64) {
				t.Helper()
				if e := math.Abs(got-want) / math.Max(1e-2, math.Abs(want)); e > tolerance {
					t.Errorf("%s: %v, scikit-learn %v", what, got, want)
				} else {
					worst = math.Max(worst, e)
				}
			}
			for j, name := range d.columns {
				compare("offset of "+name, p.Offset[j], want.Offset[j], 1e-12)
				compare("scale of "+name, p.Scale[j], 1/want.Scale[j], 1e-12)
			}
			mean := 0.0 // newton-cg leaves a constant on all intercepts
			if classes > 2 {
				for _, b := range want.Intercepts {
					mean += b / float64(classes)
				}
			}
			for k := range p.Intercepts {
				compare("intercept", p.Intercepts[k], want.Intercepts[k]-mean, 1e-4)
				for j, name := range d.columns {
					compare("coefficient of "+name, p.Coefficients[k][j], want.Coefficients[k][j], 1e-4)
				}
			}
			scores := make([]float64, classes)
			for i := range len(want.Probabilities) / classes {
				if _, err := m.Predict(d.row(i), scores); err != nil {
					t.Fatal(err)
				}
				for k, v := range scores {
					compare("probability", v, want.Probabilities[i*classes+k], 1e-6)
				}
			}
			t.Logf("%d passes; largest difference %.2g", report.Passes, worst)
		})
	}
}

// TestCICRealRowsLogisticRegression: 10,730 real rows, the first 70 % in time order for training. Labels are those of scikit-learn with
// its own settings, but for a few where its solver's tolerance of 1e-4 may decide.
func TestCICRealRowsLogisticRegression(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CIC")
	if dir == "" {
		t.Skip("PCAPLAB_CIC is not set")
	}
	path := filepath.Join(dir, "inference-39col-label.csv")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	all := &data{columns: records[0][:39], classes: []string{"Attack", "Benign"}}
	for _, record := range records[1:] {
		for _, field := range record[:39] {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				t.Fatal(err)
			}
			all.xs = append(all.xs, v)
		}
		all.ys = append(all.ys, map[string]int{"Attack": 0, "Benign": 1}[record[39]])
	}
	n := len(all.ys) * 7 / 10
	train := &data{all.columns, all.classes, all.xs[:39*n], all.ys[:n]}
	py := python(t)
	var theirs map[string][]int
	if err := json.Unmarshal(run(t, py, `
import json, sys
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
d = pd.read_csv(sys.argv[1]); n = len(d) * 7 // 10
X = d.drop(columns="Label").to_numpy(); y = (d.Label == "Benign").astype(int).to_numpy()
def labels(weights):
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight=weights)).fit(X[:n], y[:n]).predict(X[n:]).tolist()
json.dump({"none": labels(None), "balanced": labels("balanced")}, sys.stdout)`, nil, path), &theirs); err != nil {
		t.Fatal(err)
	}
	for weights, want := range theirs {
		m, report, err := Train(t.Context(), train.columns, train.classes, train.rows, Config{ClassWeights: weights})
		if err != nil || !report.Converged {
			t.Fatalf("%v: %+v", err, report)
		}
		var got []int
		differ, scores := 0, make([]float64, 2)
		for i := n; i < len(all.ys); i++ {
			class, err := m.Predict(all.row(i), scores)
			if err != nil {
				t.Fatal(err)
			}
			if class != want[i-n] {
				differ++
				if math.Abs(scores[0]-scores[1]) > 1e-2 {
					t.Errorf("row %d: class %d with %v, scikit-learn has the other one", i+1, class, scores)
				}
			}
			got = append(got, class)
		}
		accuracy, f1 := quality(all.ys[n:], got)
		theirAccuracy, theirF1 := quality(all.ys[n:], want)
		t.Logf("weights %s: accuracy %.4f and macro-F1 %.4f, scikit-learn %.4f and %.4f; %d of %d labels differ; %d passes",
			weights, accuracy, f1, theirAccuracy, theirF1, differ, len(got), report.Passes)
		if worst := compareONNX(t, m, all); worst > 2e-6 {
			t.Errorf("as ONNX, probabilities differ by %v", worst)
		}
		if differ > 3 || math.Abs(accuracy-theirAccuracy) > 0.01 || math.Abs(f1-theirF1) > 0.01 {
			t.Error("not scikit-learn's labels")
		}
	}
}

// quality returns accuracy and macro-F1 of two classes.
func quality(truth, predicted []int) (accuracy, f1 float64) {
	var counts [2][2]float64
	for i, y := range truth {
		counts[y][predicted[i]]++
	}
	for k := range 2 {
		f1 += 2 * counts[k][k] / (2*counts[k][k] + counts[k][1-k] + counts[1-k][k]) / 2
	}
	return (counts[0][0] + counts[1][1]) / float64(len(truth)), f1
}
