package search

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// ETA is how long the trials of a search will take, by what it finds: the sum
// of their durations, without what a measurer adds to each.
type ETA struct {
	// Min is a system without noise, or one that is never lossy.
	Min time.Duration `json:"min_ns"`
	// Typical is the median of systems with a little noise.
	Typical time.Duration `json:"typical_ns"`
	// Max is the longest of these and of systems with much noise; a real one
	// may take longer still, up to Config.MaxTrials and MaxDuration.
	Max time.Duration `json:"max_ns"`
}

// Estimate runs the very search on simulated systems whose capacity is near
// Config.Hint, or without one, between Min and Max. It takes milliseconds and is
// the same each time. Errors are those of Search.
func Estimate(cfg Config, goals ...Goal) (ETA, error) {
	if _, err := newSearch(simulated(1, 0, 0, 0), cfg, goals); err != nil {
		return ETA{}, err
	}
	width := 1.0
	for _, g := range goals {
		width = min(width, g.filled().Width)
	}
	center := cfg.Hint
	if center == 0 {
		center = math.Sqrt(cfg.Min) * math.Sqrt(cfg.Max)
	}
	var quiet, noisy, loud []time.Duration
	run := func(m Measure) (time.Duration, error) {
		r, err := Search(context.Background(), m, cfg, goals...)
		return r.Duration, err
	}
	const systems = 15
	for seed := range uint64(systems) {
		// Capacities spread over a step of the grid: where one lies in it matters.
		c := center * (1 - width*float64(seed)/systems)
		for _, kind := range []struct {
			durations       *[]time.Duration
			deviation, dips float64
		}{{&quiet, 0, 0}, {&noisy, 0.4 * width, 0.05}, {&loud, width, 0.3}} {
			d, err := run(simulated(c, kind.deviation, kind.dips, seed))
			if err != nil {
				return ETA{}, err
			}
			*kind.durations = append(*kind.durations, d)
		}
	}
	never, err := run(simulated(math.MaxFloat64, 0, 0, 0))
	if err != nil {
		return ETA{}, err
	}
	slices.Sort(noisy)
	return ETA{
		Min:     min(never, slices.Min(quiet)),
		Typical: noisy[systems/2],
		Max:     max(never, slices.Max(quiet), noisy[systems-1], slices.Max(loud)),
	}, nil
}

// simulated is a system that forwards c a second, give or take the relative
// deviation, and in the share dips of its trials a tenth less.
func simulated(c, deviation, dips float64, seed uint64) Measure {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(_ context.Context, load float64, _ time.Duration) (Trial, error) {
		now := c * (1 + float64(deviation*rng.NormFloat64()))
		if rng.Float64() < dips {
			now *= 0.9
		}
		const intended = 1e9
		loss := min(max(0, 1-now/load), 1)
		return Trial{Intended: intended, Lost: uint64(math.Ceil(intended * loss))}, nil
	}
}
