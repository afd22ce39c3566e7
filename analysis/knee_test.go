package analysis_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// hinge gives losses at loads of a parser that takes all up to knee, and the share slope of what is beyond.
func hinge(knee, slope float64, loads ...float64) (points []analysis.LossPoint) {
	for _, x := range loads {
		points = append(points, analysis.LossPoint{Load: x, Loss: (1 - slope) * max(0, 1-knee/x)})
	}
	return points
}

func TestFitKneeFindsTheHinge(t *testing.T) {
	loads := []float64{3e6, 1e5, 2e5, 4e5, 6e5, 8e5, 1e6, 1.2e6, 1.6e6, 2e6}
	for _, want := range []struct{ knee, slope float64 }{{7e5, 0}, {9.9e5, 0.3}, {7e5, -0.2}, {1.55e6, 0}, {4e5, 0.9}, {1e6, 0}} {
		knee, slope, misfit, err := analysis.FitKnee(hinge(want.knee, want.slope, loads...))
		if err != nil || math.Abs(knee/want.knee-1) > 1e-4 || math.Abs(slope-want.slope) > 1e-3 || misfit > 1e-4 {
			t.Errorf("knee %v, slope %v: got %v, %v, misfit %v, error %v", want.knee, want.slope, knee, slope, misfit, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		want := 3e5 + 1e6*r.Float64()
		points := hinge(want, 0, loads...)
		for i := range points {
			points[i].Loss = min(1, max(0, points[i].Loss+0.002*r.NormFloat64()))
		}
		if knee, _, _, err := analysis.FitKnee(points); err != nil || math.Abs(knee/want-1) > 0.05 {
			t.Errorf("knee %v with noise: got %v, error %v", want, knee, err)
		}
	}
}

func TestFitKneeRefuses(t *testing.T) {
	for name, points := range map[string][]analysis.LossPoint{
		"nothing":         nil,
		"two loads":       hinge(1, 0, 0.5, 2),
		"no loss":         hinge(9, 0, 1, 2, 3),
		"loss everywhere": hinge(1, 0, 2, 3, 4),
		"no load":         {{Load: 0}, {Load: 1}, {Load: 2, Loss: 0.5}},
		"endless load":    {{Load: 1}, {Load: 2}, {Load: math.Inf(1), Loss: 0.5}},
		"no ratio":        {{Load: 1}, {Load: 2}, {Load: 3, Loss: 1.5}},
		"NaN":             {{Load: 1}, {Load: 2, Loss: math.NaN()}, {Load: 3, Loss: 0.5}},
	} {
		if knee, _, _, err := analysis.FitKnee(points); !errors.Is(err, analysis.ErrNoKnee) {
			t.Errorf("%s: knee %v, error %v", name, knee, err)
		}
	}
}

func TestAnalyzeFindsKneesOfSweeps(t *testing.T) {
	cell := trial.Cell{Engine: "direct", Size: "64", Cache: "hot", Workers: 1}
	var records []trial.Record
	for repeat := 1; repeat <= 6; repeat++ {
		knee := 1e6 + 1e4*float64(repeat)
		for _, load := range []float64{5e5, 9e5, 1.1e6, 1.5e6, 2e6, 3e6} {
			lost := uint64(1e6 * max(0, 1-knee/load))
			records = append(records, loaded(cell, repeat, load, 1e6, lost, 0, 0))
		}
	}
	h := header(6)
	if r := analysis.Analyze(h, records); r.Curves[0].Knee != nil {
		t.Errorf("a knee of loads that a search chose: %+v", r.Curves[0].Knee)
	}
	h.Plan.Search, h.Plan.Goals = trial.SearchNone, []search.Goal{}
	k := analysis.Analyze(h, records).Curves[0].Knee
	if k == nil || !k.Accepted || k.Load.N != 6 || math.Abs(k.Load.Median/1.035e6-1) > 1e-3 || math.Abs(k.Slope) > 1e-3 ||
		math.Abs(k.Load.Interval.Low/1.01e6-1) > 1e-3 || math.Abs(k.Load.Interval.High/1.06e6-1) > 1e-3 {
		t.Errorf("knee %+v", k)
	}
	for i := range records { // loss in steps is no hinge
		res := &records[i].Result
		res.Dropped = map[bool]uint64{true: 900_000, false: 0}[records[i].Input.Load == 1.1e6 || records[i].Input.Load == 3e6]
	}
	if k := analysis.Analyze(h, records).Curves[0].Knee; k == nil || k.Accepted || len(k.Warnings) == 0 {
		t.Errorf("knee of no hinge %+v", k)
	}
}
