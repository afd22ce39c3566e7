package xgboost_test

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"

	"pcaplab/parse/model/xgboost"
)

// live trains models of many settings on made-up rows, some values missing, and prints each with what XGBoost says of other rows.
const live = `
import json, os, sys
import numpy as np, xgboost
rng = np.random.default_rng(5)
def rows(n):
    x = rng.normal(0, 10, (n, 6)).astype(np.float32)
    x[:, 3] = rng.integers(0, 3, n)
    x[:, 4] = np.abs(x[:, 4]) ** 5
    x[rng.random(x.shape) < .1] = np.nan
    return x
x, asked = rows(400), rows(150)
filled = np.nan_to_num(x)
y = np.digitize(filled[:, 0] + filled[:, 1] * filled[:, 3], [-8, 0, 8])
path = os.path.join(sys.argv[1], "model.json")
out = []
for i in range(28):
    objective = ["binary:logistic", "binary:logitraw", "binary:hinge", "multi:softprob", "multi:softmax"][i % 5]
    p = dict(objective=objective, seed=i, nthread=1, max_depth=int(rng.integers(1, 7)), eta=float(rng.uniform(.1, 1)), gamma=float(rng.choice([0, 1, 5])),
             booster=["gbtree", "gbtree", "dart", "gblinear"][i % 4], base_score=float(rng.uniform(.1, .9)), subsample=.8)
    if p["booster"] == "gblinear":
        for k in ("max_depth", "gamma", "subsample"): del p[k]
    else:
        p.update(num_parallel_tree=int(rng.integers(1, 3)), tree_method=["exact", "hist", "approx"][i % 3])
    if p["booster"] == "dart":
        p.update(rate_drop=.3, skip_drop=.2)
    if objective.startswith("multi"):
        p["num_class"] = 4
    m = xgboost.train(p, xgboost.DMatrix(x, label=y if objective.startswith("multi") else y > 1), 6)
    m.save_model(path)
    said = m.predict(xgboost.DMatrix(asked))
    if objective == "multi:softprob": classes = said.argmax(axis=1)
    elif objective in ("multi:softmax", "binary:hinge"): classes = said
    else: classes = said > (.5 if objective == "binary:logistic" else 0)
    scores = said if said.ndim == 2 else said[:, None]
    out.append(dict(settings=str(p), model=open(path).read(), classes=[int(c) for c in classes], scores=[[float(v) for v in r] for r in scores]))
json.dump(dict(rows=[[None if np.isnan(v) else float(v) for v in r] for r in asked], models=out), sys.stdout)
`

// TestLiveXGBoost trains models with the xgboost that is installed and compares classes and scores.
func TestLiveXGBoost(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models with Python")
	}
	python := ""
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(name, "-c", "import importlib.util, sys; sys.exit(not importlib.util.find_spec('xgboost'))").Run() == nil {
			python = name
			break
		}
	}
	if python == "" {
		t.Skip("no python3 with xgboost")
	}
	command := exec.Command(python, "-W", "ignore", "-c", live, t.TempDir())
	command.Env = append(os.Environ(), "OMP_NUM_THREADS=1")
	out, err := command.Output()
	if err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			t.Fatalf("%v: %s", err, e.Stderr)
		}
		t.Fatal(err)
	}
	var said struct {
		Rows   [][]*float64
		Models []struct {
			Settings, Model string
			Classes         []int
			Scores          [][]float64
		}
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	for _, c := range said.Models {
		m, err := xgboost.Read([]byte(c.Model))
		if err != nil {
			t.Errorf("%s: %v", c.Settings, err)
			continue
		}
		x, scores := make([]float64, m.Width()), make([]float64, len(m.Classes()))
		for i, row := range said.Rows {
			for k, v := range row {
				if x[k] = math.NaN(); v != nil {
					x[k] = *v
				}
			}
			class, err := m.Predict(x, scores)
			if err != nil {
				t.Fatal(err)
			}
			if class != c.Classes[i] {
				t.Errorf("%s: row %d: class %d, want %d", c.Settings, i, class, c.Classes[i])
			}
			got := scores // XGBoost says the class of multi:softmax, and of the second of two classes
			if len(c.Scores[i]) == 1 && len(scores) == 2 {
				got = scores[1:]
			} else if len(c.Scores[i]) == 1 {
				continue
			}
			for k, want := range c.Scores[i] {
				if math.Abs(got[k]-want) > 2e-6*math.Max(1, math.Abs(want)) {
					t.Errorf("%s: row %d: score %v, want %v", c.Settings, i, got[k], want)
				}
			}
		}
	}
	t.Logf("%d models, %d rows each", len(said.Models), len(said.Rows))
}
