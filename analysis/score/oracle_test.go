package score

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// python runs a program on what is put in as JSON, for what it prints as JSON, or skips where no Python has scikit-learn, which brings SciPy.
func python(t *testing.T, program string, input, output any) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts Python")
	}
	in, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	const missing = 77
	program = fmt.Sprintf("import sys\ntry:\n    import sklearn\nexcept ImportError:\n    sys.exit(%d)\n%s", missing, program)
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		cmd := exec.Command(name, "-W", "ignore", "-c", program)
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
		out, err := cmd.Output()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound) || cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == missing {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, output); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Skip("neither /usr/bin/python3 nor python3 has sklearn")
}

// TestScikitLearnAndScipy starts one Python for both.
func TestScikitLearnAndScipy(t *testing.T) {
	confusions, pairs := randomConfusions(20), randomPairs(30)
	var answers struct {
		Metrics []struct {
			Accuracy, Balanced, MCC, Kappa, Dummy, DummyF1 float64
			Macro, Weighted                                []float64
			Labels                                         []int
			PerClass                                       [][]float64
		}
		Distances [][2]float64
	}
	python(t, `
import json, math, numpy as np
from scipy.stats import ks_2samp, kstwobign
from sklearn import metrics as m
from sklearn.dummy import DummyClassifier
given = json.load(sys.stdin)
out = []
for c in given["confusions"]:
    counts = np.array(c["counts"])
    true = np.concatenate([np.full(n, i) for i, row in enumerate(counts) for n in row])
    pred = np.concatenate([np.full(n, j) for i, row in enumerate(counts) for j, n in enumerate(row)])
    labels = np.unique(np.concatenate([true, pred]))
    kappa = m.cohen_kappa_score(true, pred)
    dummy = DummyClassifier(strategy="most_frequent").fit(true[:, None], true).predict(true[:, None])
    f = lambda average: list(m.precision_recall_fscore_support(true, pred, average=average, zero_division=0)[:3])
    out.append(dict(accuracy=m.accuracy_score(true, pred), balanced=m.balanced_accuracy_score(true, pred), mcc=m.matthews_corrcoef(true, pred),
        kappa=0 if math.isnan(kappa) else kappa, macro=f("macro"), weighted=f("weighted"), labels=labels.tolist(),
        dummy=m.accuracy_score(true, dummy), dummyF1=m.f1_score(true, dummy, average="macro", zero_division=0),
        perClass=np.array(m.precision_recall_fscore_support(true, pred, average=None, zero_division=0)).T.tolist()))
distances = []
for p in given["pairs"]:
    a, b = len(p["a"]), len(p["b"])
    d = float(ks_2samp(p["a"], p["b"]).statistic)
    distances.append([d, float(kstwobign.sf(d * math.sqrt(a * b / (a + b))))])
json.dump(dict(metrics=out, distances=distances), sys.stdout)`, map[string]any{"confusions": confusions, "pairs": pairs}, &answers)
	t.Run("metrics", func(t *testing.T) {
		for i, c := range confusions {
			got, want := c.Metrics(), answers.Metrics[i]
			near(t, "accuracy", got.Accuracy, want.Accuracy, 1e-12)
			near(t, "balanced accuracy", got.BalancedAccuracy, want.Balanced, 1e-12)
			near(t, "MCC", got.MCC, want.MCC, 1e-12)
			near(t, "kappa", got.Kappa, want.Kappa, 1e-12)
			near(t, "baseline", got.Baseline.Accuracy, want.Dummy, 1e-12)
			near(t, "F1 of the baseline", got.Baseline.MacroF1, want.DummyF1, 1e-12)
			for j, averages := range []Average{got.Macro, got.Weighted} {
				list := [][]float64{want.Macro, want.Weighted}[j]
				near(t, "precision", averages.Precision, list[0], 1e-12)
				near(t, "recall", averages.Recall, list[1], 1e-12)
				near(t, "F1", averages.F1, list[2], 1e-12)
			}
			at := 0
			for j, class := range got.PerClass {
				if !class.Present() {
					continue
				}
				if want.Labels[at] != j {
					t.Fatalf("%d: class %d stands for %d", i, j, want.Labels[at])
				}
				near(t, "precision of a class", class.Precision, want.PerClass[at][0], 1e-12)
				near(t, "recall of a class", class.Recall, want.PerClass[at][1], 1e-12)
				near(t, "F1 of a class", class.F1, want.PerClass[at][2], 1e-12)
				near(t, "support of a class", float64(class.Support), want.PerClass[at][3], 0)
				at++
			}
			if at != len(want.Labels) {
				t.Errorf("%d: %d classes, scikit-learn has %d", i, at, len(want.Labels))
			}
		}
	})
	t.Run("distances", func(t *testing.T) {
		for i, p := range pairs {
			ks := KS(p.A, p.B)
			near(t, "KS", ks, answers.Distances[i][0], 1e-12)
			near(t, "probability", KSProbability(ks, len(p.A), len(p.B)), answers.Distances[i][1], 1e-9)
		}
	})
}

type pair struct {
	A []float64 `json:"a"`
	B []float64 `json:"b"`
}

// randomPairs are sorted samples, every other of them with ties.
func randomPairs(n int) []pair {
	random := rand.New(rand.NewPCG(7, 8))
	var pairs []pair
	for i := range n {
		var p pair
		for range 20 + random.IntN(300) {
			p.A = append(p.A, random.NormFloat64())
		}
		for range 20 + random.IntN(300) {
			p.B = append(p.B, random.NormFloat64()+float64(i%5)/5)
		}
		if i%2 == 0 { // ties
			for _, list := range [][]float64{p.A, p.B} {
				for j, v := range list {
					list[j] = math.Round(2 * v)
				}
			}
		}
		slices.Sort(p.A)
		slices.Sort(p.B)
		pairs = append(pairs, p)
	}
	return pairs
}
