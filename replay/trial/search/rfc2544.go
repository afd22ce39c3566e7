package search

import (
	"context"
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
