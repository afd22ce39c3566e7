package cli

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"pcaplab/replay/trial"
)

const soakUsage = `keep each engine busy so long and compare its first with its last minute, as 10m (below 3m: thirds); one worker heats ` +
	`one core: --workers 4 to heat all cores of a Pi`

const soakHelp = `

--soak shows what heat does: a board without cooling lowers its clock after some minutes. Each engine in turn parses without
a pause for the given time; ceilings are searched in its first and in its last minute, and the tables have both, the change
with its interval, temperature, clock and throttle flags where the board tells them. Its defaults are one repeat and trials
and sums short enough for the search to fit the minute. A soak that was interrupted has cooled down: --resume begins it
again. Between engines it waits, at most ten minutes, until the board is as cool as at the start.
--fail-if 'soak<-5%' is true of a board that fell, false of one that held, and an error where the spread hides it.`

// soakDefaults sets what the user left open so that a search fits a window on a noisy machine too: a trial is a 200th of a
// window and at most 200 ms, a sum 21/200 and at most 2.1 s. Trials are no shorter than a few times what they take beside
// their duration.
func soakDefaults(fs *pflag.FlagSet, plan *trial.Plan, sum *time.Duration, width *float64) {
	step := plan.Window() / 200
	quickly(fs, "trial", func() { plan.Trial = min(max(step, 10*time.Millisecond), 200*time.Millisecond) })
	quickly(fs, "sum", func() { *sum = min(21*step, 2100*time.Millisecond) })
	quickly(fs, "repeats", func() { plan.Repeats = 1 })
	quickly(fs, "width", func() { *width = 0.02 })
}

// soakNote says which soak of a study that goes on has to begin again; "" if none.
func soakNote(j *job) string {
	s := trial.Study{Header: j.Header, Done: j.Done}
	cell, repeat, lasted, ok := s.Interrupted()
	if !ok {
		return ""
	}
	return fmt.Sprintf("the soak of %v, repeat %d, was interrupted after %v: the board has cooled down since, so it begins again",
		cell, repeat, lasted.Round(time.Second))
}
