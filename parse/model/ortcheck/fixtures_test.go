package ortcheck

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pcaplab/parse/model"
)

var update = flag.Bool("update", false, "write what onnxruntime says to ../testdata/expected")

const usual = 2e-6

// tolerance is how far a score may be from onnxruntime's, times its size where that is above 1.
func (f fixture) tolerance() float64 { return max(f.Tolerance, usual) }

// linear reports whether a model adds products. Its sums depend on the order of adding, which is onnxruntime's own affair and not the
// same for one row as for many.
func (f fixture) linear() bool {
	return slices.ContainsFunc(f.Ops, func(op string) bool {
		return strings.Contains(op, "MatMul") || strings.Contains(op, "Gemm") || strings.Contains(op, "LinearClassifier") || strings.Contains(op, "Reduce")
	})
}

// TestFixtures compares what is committed in ../testdata/expected with onnxruntime as it is here.
func TestFixtures(t *testing.T) {
	library(t)
	for _, f := range fixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			classes, scores := open(t, f.model(t), f.Classes).predict(table(t, f.Rows))
			path := filepath.Join(testdata, "expected", f.Name+".csv")
			if *update {
				write(t, path, classes, scores)
			}
			for i, row := range table(t, filepath.Join("expected", f.Name+".csv")) {
				if why := differ(classes[i], scores[i], int(row[0]), row[1:], f.tolerance()); why != "" {
					t.Errorf("row %d: %s", i, why)
				}
			}
		})
	}
}

// TestRandom compares our evaluator with onnxruntime on the fixture's rows and on many more. Among these are rows far from all that
// a model has learnt, where sums of products in float32 lose digits. There a score may differ by twice as much as onnxruntime's own does when
// the last digits of the values change; how often that was needed is logged, and must be seldom.
func TestRandom(t *testing.T) {
	library(t)
	rounds := 25
	if testing.Short() {
		rounds = 3
	}
	for n, f := range fixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			data := f.model(t)
			ours, err := model.Read(data)
			if err != nil {
				t.Fatal(err)
			}
			asked := table(t, f.Rows)
			rng := rand.New(rand.NewPCG(2026, uint64(n)))
			rows := append([][]float64(nil), asked...)
			for range rounds {
				for _, row := range asked {
					rows = append(rows, disturbed(rng, row, asked, !f.linear()))
				}
			}
			theirs := open(t, data, f.Classes)
			classes, scores := theirs.predict(rows)
			got := make([]float64, len(f.Classes))
			excepted := 0
			for i, row := range rows {
				class, err := ours.Predict(row, got)
				if err != nil {
					t.Fatalf("row %d: %v", i, err)
				}
				why := differ(class, narrow(got), classes[i], wide(scores[i]), f.tolerance())
				if why != "" && f.linear() {
					if excepted++; differ(class, narrow(got), classes[i], wide(scores[i]), 2*theirs.spread(rng, row)) == "" {
						continue
					}
				}
				if why != "" {
					t.Fatalf("row %d: %s", i, why)
				}
			}
			if excepted > len(rows)/100 {
				t.Errorf("%d of %d rows differ by more than %g", excepted, len(rows), f.tolerance())
			}
			t.Logf("%d rows alike, %d of them only within what the last digits of the values change", len(rows), excepted)
		})
	}
}

// spread returns by how much the scores of a row change when its values change by up to 4 units in the last digit of float32, times the
// size of the score where that is above 1.
func (s *session) spread(rng *rand.Rand, row []float64) float64 {
	const tries = 64
	rows := [][]float64{row}
	for range tries {
		moved := make([]float64, len(row))
		for i, v := range row {
			moved[i] = v * (1 + float64(rng.IntN(9)-4)/(1<<23))
		}
		rows = append(rows, moved)
	}
	_, scores := s.predict(rows)
	worst := 0.0
	for _, after := range scores[1:] {
		for k, v := range after {
			worst = max(worst, math.Abs(float64(v-scores[0][k]))/math.Max(1, math.Abs(float64(v))))
		}
	}
	return worst
}

// disturbed returns a row like others: some values of another row, some moved, and if asked for some far away.
func disturbed(rng *rand.Rand, row []float64, all [][]float64, far bool) []float64 {
	out := append([]float64(nil), row...)
	other := all[rng.IntN(len(all))]
	for i := range out {
		switch rng.IntN(8) {
		case 0, 1:
			out[i] = other[i]
		case 2:
			out[i] *= 1 + rng.NormFloat64()/10
		case 3:
			out[i] = float64(float32(out[i]))
		}
		if far && rng.IntN(200) == 0 {
			out[i] = rng.NormFloat64() * math.Pow(10, float64(rng.IntN(8)))
		}
	}
	return out
}

// differ says in what two predictions differ, "" if in nothing. With a tolerance above the usual classes may differ whose scores are as
// near to each other.
func differ(gotClass int, got []float32, wantClass int, want []float64, tolerance float64) string {
	for j, w := range want {
		d, g := math.Abs(float64(got[j])-w), float64(got[j])
		if !(d <= tolerance*math.Max(1, math.Abs(w))) && g != w && !(math.IsNaN(w) && math.IsNaN(g)) {
			return fmt.Sprintf("score %d is %v, want %v", j, g, w)
		}
	}
	if gotClass != wantClass && !(tolerance > usual && math.Abs(want[gotClass]-want[wantClass]) <= tolerance*math.Max(1, math.Abs(want[wantClass]))) {
		return fmt.Sprintf("class %d, want %d; scores %v, want %v", gotClass, wantClass, got, want)
	}
	return ""
}

func narrow(xs []float64) []float32 {
	out := make([]float32, len(xs))
	for i, x := range xs {
		out[i] = float32(x)
	}
	return out
}

func wide(xs []float32) []float64 {
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = float64(x)
	}
	return out
}

func write(t *testing.T, path string, classes []int, scores [][]float32) {
	var b strings.Builder
	b.WriteString("class")
	for i := range scores[0] {
		b.WriteString(",p" + strconv.Itoa(i))
	}
	b.WriteByte('\n')
	for i, class := range classes {
		b.WriteString(strconv.Itoa(class))
		for _, p := range scores[i] {
			b.WriteString("," + strconv.FormatFloat(float64(p), 'g', -1, 32))
		}
		b.WriteByte('\n')
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
