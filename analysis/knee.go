package analysis

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"pcaplab/replay/trial"
)

// A knee is looked for where the curve has one to find, and accepted where the hinge fits.
const (
	kneeLeastLoss = 0.01 // the highest loss ratio of the curve, at least
	kneeMaxMisfit = 0.05 // root mean square of the residuals of loss ratios, at most
)

// Knee is the load at which a curve of loss bends: up to it all that is offered is taken, beyond it a share Slope of what
// more is offered. Each repeat is fitted alone.
type Knee struct {
	Load     Summary  `json:"load"`   // over repeats, in the unit of loads
	Slope    float64  `json:"slope"`  // median over repeats; 0: the parser keeps its rate; negative: overload makes it slower
	Misfit   float64  `json:"misfit"` // largest root mean square residual of a repeat, as a loss ratio
	Accepted bool     `json:"accepted"`
	Warnings []string `json:"warnings,omitempty"`
}

// ErrNoKnee is returned by FitKnee for points that do not show where loss begins.
var ErrNoKnee = errors.New("no knee to fit")

// LossPoint is a loss ratio at an offered load.
type LossPoint struct{ Load, Loss float64 }

// FitKnee fits the hinge: loss is 0 up to the load knee, and (1 - slope) (1 - knee/load) beyond it, by least squares of loss
// ratios. The knee lies between the loads that were tried. It needs three loads, the highest with a loss of 1 % or more, one
// without such a loss, and two beyond the knee; otherwise, and for what is no load or no ratio, the error is an ErrNoKnee.
func FitKnee(points []LossPoint) (knee, slope, misfit float64, err error) {
	p := slices.Clone(points)
	slices.SortFunc(p, func(a, b LossPoint) int {
		if a.Load < b.Load {
			return -1
		} else if a.Load > b.Load {
			return 1
		}
		return 0
	})
	for _, v := range p {
		if !(v.Load > 0) || math.IsInf(v.Load, 0) || !(v.Loss >= 0 && v.Loss <= 1) {
			return 0, 0, 0, fmt.Errorf("%w: a loss ratio of %g at a load of %g", ErrNoKnee, v.Loss, v.Load)
		}
	}
	if len(p) < 3 || p[len(p)-1].Loss < kneeLeastLoss || p[0].Loss >= kneeLeastLoss {
		return 0, 0, 0, fmt.Errorf("%w: it takes three loads, the lowest with less than %g %% of loss and the highest with more", ErrNoKnee, 100*kneeLeastLoss)
	}
	at := func(k float64) (steep, squares float64) { // the steepness that fits best with a knee at k
		var top, bottom float64
		for _, v := range p {
			h := max(0, 1-k/v.Load)
			top += float64(v.Loss * h)
			bottom += float64(h * h)
		}
		if bottom > 0 {
			steep = max(0, top/bottom)
		}
		for _, v := range p {
			r := v.Loss - float64(steep*max(0, 1-k/v.Load))
			squares += float64(r * r)
		}
		return steep, squares
	}
	low, high := p[0].Load, p[len(p)-2].Load // two loads or more are at or beyond it
	best, least := low, math.Inf(1)
	for range 4 { // between two loads there may be several minima: a grid, four times finer around the best
		step := (high - low) / 256
		for i := range 257 {
			k := low + float64(float64(i)*step)
			if _, s := at(k); s < least {
				best, least = k, s
			}
		}
		low, high = max(p[0].Load, best-step), min(p[len(p)-2].Load, best+step)
	}
	steep, squares := at(best)
	return best, 1 - steep, math.Sqrt(squares / float64(len(p))), nil
}

// knee fits the trials of a cell at listed loads, repeat by repeat; nil where no repeat shows a knee.
func knee(records []trial.Record) *Knee {
	byRepeat := make(map[int][]LossPoint)
	for i := range records {
		if rec := &records[i]; rec.Kind == trial.KindTrial && rec.Result.Intended > 0 {
			byRepeat[rec.Repeat] = append(byRepeat[rec.Repeat], LossPoint{rec.Input.Load, float64(rec.Lost()) / float64(rec.Result.Intended)})
		}
	}
	var loads, slopes []float64
	k := &Knee{Accepted: true}
	for _, points := range byRepeat {
		load, slope, misfit, err := FitKnee(points)
		if err != nil {
			continue
		}
		loads, slopes = append(loads, load), append(slopes, slope)
		k.Misfit = max(k.Misfit, misfit)
	}
	if len(loads) == 0 {
		return nil
	}
	k.Load = Summarize(loads)
	k.Slope = Summarize(slopes).Median
	if without := len(byRepeat) - len(loads); without > 0 {
		k.Warnings = append(k.Warnings, fmt.Sprintf("%d of %d repeats show no knee", without, len(byRepeat)))
	}
	if k.Misfit > kneeMaxMisfit {
		k.Accepted = false
		k.Warnings = append(k.Warnings, fmt.Sprintf("loss does not follow a hinge: residuals of %.1f %% (limit %g %%)", 100*k.Misfit, 100*kneeMaxMisfit))
	}
	return k
}
