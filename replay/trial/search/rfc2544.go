package search

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// BinarySearch finds the throughput of RFC 2544 section 26.1 by bisection, one
// trial a load: at Config.Max first, then half-way (in steps of the goal's
// width, so by ratio) between the highest load that passed and the lowest that
// did not. The goal gives the trial duration (RFC2544: 60 s), the width and, to
// search a partial-drop rate the same way, the loss ratio; its exceed ratio,
// duration sum and initial duration do not apply and are replaced in the result
// by those of one trial a load. Config.Hint is not used.
//
// One unlucky trial misleads it for good: that is what Search is for. Stopping
// and errors are as in Search.
func BinarySearch(ctx context.Context, measure Measure, cfg Config, goal Goal) (Result, error) {
	goal.ExceedRatio, goal.DurationSum, goal.InitialTrialDuration = 0, goal.FinalTrialDuration, goal.FinalTrialDuration
	s, err := newSearch(measure, cfg, []Goal{goal})
	if err != nil {
		return Result{}, err
	}
	g := &s.goals[0]
	err = s.warm(ctx, s.grid.top)
	for err == nil {
		next := s.grid.top
		if len(s.points) > 0 {
			if g.hi > s.grid.top || g.hi-g.lo <= 1 {
				break
			}
			next = (g.lo + g.hi) / 2
		}
		err = s.measureAt(ctx, next, g.goal.FinalTrialDuration)
	}
	return s.finish(err)
}

// LossLadder measures the frame loss rate of RFC 2544 section 26.3: one trial
// of d at max, the next ones lower by step x max each (at most 0.1, which 0 stands
// for), until two in succession lose nothing or the ladder ends above 0. The
// trials measured are returned with an error as without.
func LossLadder(ctx context.Context, measure Measure, max, step float64, d time.Duration) ([]Trial, error) {
	if step == 0 {
		step = 0.1
	}
	var errs []error
	if !(step >= 0.001 && step <= 0.1) {
		errs = append(errs, fmt.Errorf("step %v: want 0.001 to 0.1", step))
	}
	if d <= 0 {
		errs = append(errs, fmt.Errorf("trial duration %v: want above 0", d))
	}
	if measure == nil {
		errs = append(errs, errors.New("no measure"))
	}
	cfg := Config{Min: max, Max: max}
	if errs = append(errs, cfg.faults()...); len(errs) > 0 {
		return nil, fmt.Errorf("loss ladder: %w", errors.Join(errs...))
	}
	s := &search{measure: measure, cfg: Config{MaxTrials: DefaultMaxTrials}}
	var trials []Trial
	for k, lossless := 0, 0; lossless < 2; k++ {
		share := 1 - float64(step*float64(k))
		if share < slack {
			break
		}
		t, err := s.trial(ctx, max*share, d)
		if err != nil {
			return trials, fmt.Errorf("loss ladder: %w", err)
		}
		trials = append(trials, t)
		if lossless++; t.LossRatio() > 0 {
			lossless = 0
		}
	}
	return trials, nil
}
