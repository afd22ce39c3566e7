package trial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pcaplab/replay/meter"
	"pcaplab/replay/trial/search"
)

// Phases of a soak, in order. The warm-up before it has none.
const (
	PhaseFirst = "first" // the first window: closed loop and search
	PhaseSoak  = "soak"  // between the windows: closed loop, trial after trial
	PhaseLast  = "last"  // the last window, as the first
)

// Limits of Plan.Soak, and from where on a window is a minute.
const (
	minSoak      = 300 * time.Millisecond
	minuteWindow = 3 * time.Minute
)

// Window returns how long the first and the last window of a soak are: a minute or, of soaks below three, a third.
func (p *Plan) Window() time.Duration {
	if p.Soak >= minuteWindow {
		return time.Minute
	}
	return p.Soak / 3
}

// searchWindow returns how much trial time of a window its searches may take, all together. A quarter of the window is of
// closed loops before them, and a quarter is left for what trials take beside their duration and for closed loops after.
func (p *Plan) searchWindow() time.Duration { return p.Window() / 2 }

// soakFaults checks what only a soak asks for.
func (p *Plan) soakFaults(faults *faultList, s *Settings) {
	switch {
	case p.Soak == 0:
		return
	case p.Soak < minSoak || p.Soak > maxTrial:
		faults.add("soak of %v: want %v to %v", p.Soak, minSoak, maxTrial)
		return
	case s.Passes > 0:
		faults.add("a soak has trials by time, not of %d passes", s.Passes)
	case len(p.Rates) > 0:
		faults.add("a soak searches ceilings: it has no listed loads")
	case p.EngineAlone:
		faults.add("a soak is of the whole pipeline: it has no trials of the engine alone")
	}
	if quarter := p.Window() / 4; p.Trial > quarter {
		faults.add("trials of %v: the windows of a soak of %v begin with %v of closed loop; take shorter trials", p.Trial, p.Soak, quarter)
	}
	if p.Search == SearchNone || len(p.Goals) == 0 {
		return
	}
	need, err := searchTime(p)
	if err != nil {
		faults.add("%w", err)
	} else if room := p.searchWindow(); need > room {
		faults.add("a search takes about %v of trials, and a window of a soak of %v has %v for it: take shorter trials or sums "+
			"(--trial, --sum), wider bounds (--width) or fewer goals", need.Round(time.Millisecond), p.Soak, room)
	}
}

// searchTime returns how much trial time the searches of one cell typically take.
func searchTime(p *Plan) (time.Duration, error) {
	var all time.Duration
	switch p.Search {
	case SearchMLR:
		for _, goals := range sameLength(p.Goals) {
			eta, err := search.Estimate(search.Config{Min: 1, Max: maxLoadFactor * 1000, Hint: 1000}, goals...)
			if err != nil {
				return 0, err
			}
			all += eta.Typical
		}
	case SearchRFC2544:
		for _, g := range p.Goals {
			all += time.Duration(bisections(g)) * g.FinalTrialDuration
		}
	}
	return all, nil
}

// expectedSoak is Study.Expected of a soak.
func (s *Study) expectedSoak(cells int) time.Duration {
	each := s.Header.Plan.Soak + cellOverhead
	all := time.Duration(cells) * each
	if s.Header.Environment.TemperatureMilliC != nil {
		each += coolExpects
		all += time.Duration(cells-1) * coolExpects
	}
	for i := range s.Done {
		if s.Done[i].Kind == KindSoak {
			all -= each
		}
	}
	return max(all, 0)
}

// Cooling tells how a soak waited before its start until the board was about as cool as when the study began.
type Cooling struct {
	Waited       time.Duration `json:"waited_ns"`
	FromMilliC   int64         `json:"from_milli_c"`   // temperatures in thousandths of a degree Celsius
	ToMilliC     int64         `json:"to_milli_c"`     // when the wait ended
	TargetMilliC int64         `json:"target_milli_c"` // what was waited for
}

// Reached tells whether the board was as cool as wanted.
func (c *Cooling) Reached() bool { return c.ToMilliC <= c.TargetMilliC }

const (
	coolWithin  = 2000 // thousandths of a degree above the study's start
	coolAtMost  = 10 * time.Minute
	coolStep    = 5 * time.Second
	coolExpects = 3 * time.Minute // for estimates: a board without a fan, from 80 °C
)

// board is what a soak needs of time and machine beside its trials.
type board struct {
	now         func() time.Time
	temperature func() *int64                              // in thousandths of a degree Celsius; nil: n/a
	wait        func(context.Context, time.Duration) error // returns early with ctx's error
	start       func(Cell) (Measurer, error)               // nil: a process, or a Runner
}

func realBoard() board {
	return board{
		now:         time.Now,
		temperature: func() *int64 { e := meter.ReadEnvironment(meter.Roots{}); return e.TemperatureMilliC },
		wait: func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-timer.C:
				return nil
			}
		},
	}
}

// soak measures one repeat of a cell that Plan.Soak heats: a window, closed loops, a window.
func (c *cellRun) soak() error {
	plan := &c.study.Header.Plan
	window := plan.Window()
	cooling, err := c.cool()
	if err != nil {
		return err
	}
	if _, err := c.trial(KindWarmUp, Input{Duration: plan.Trial / 4}); err != nil {
		return err
	}
	if err := c.window(PhaseFirst, window); err != nil {
		return err
	}
	c.phase = PhaseSoak
	if _, _, err := c.saturate(plan.Soak-window, 1); err != nil {
		return err
	}
	if err := c.window(PhaseLast, plan.Soak); err != nil {
		return err
	}
	c.phase = ""
	rec := c.outcome(KindSoak)
	rec.Cooling = cooling
	_, err = c.keep(rec)
	return err
}

// window measures the window that ends at until: a quarter of it in closed loop, the search, and closed loop to its end. A
// search that takes more than half of the window ends with what it knows.
func (c *cellRun) window(phase string, until time.Duration) error {
	plan := &c.study.Header.Plan
	c.phase, c.trials = phase, nil
	ceiling, unit, err := c.saturate(until-plan.Window()+plan.Window()/4, 1)
	if err != nil {
		return err
	}
	if plan.Search != SearchNone {
		if ceiling <= 0 {
			return fmt.Errorf("nothing was delivered in closed loop: no ceiling to search for in the %s window", phase)
		}
		if err := c.search(ceiling, unit); err != nil {
			return err
		}
	}
	_, _, err = c.saturate(until, 0)
	return err
}

// saturate runs closed loops, at least so many, until the soak's clock reads until. It returns the median of their rates in
// Settings.Unit, and the unit of a load per packet.
func (c *cellRun) saturate(until time.Duration, least int) (ceiling, unit float64, err error) {
	var rates []float64
	for len(rates) < least || c.saturating(until) {
		rec, err := c.trial(KindService, Input{Duration: c.study.Header.Plan.Trial})
		if err != nil {
			return 0, 0, err
		}
		unit = c.unit(&rec)
		rates = append(rates, rec.ServiceRate()*unit)
	}
	if len(rates) > 0 {
		slices.Sort(rates)
		ceiling = rates[len(rates)/2]
	}
	return ceiling, unit, nil
}

// saturating tells whether another closed loop comes: as it did in the earlier run, or because it is not until yet.
func (c *cellRun) saturating(until time.Duration) bool {
	if len(c.done) > 0 {
		next := &c.done[0]
		return next.Kind == KindService && next.Input.Phase == c.phase && next.Cell == c.cell && next.Repeat == c.repeat
	}
	return c.elapsed() < until
}

// elapsed is the time on the soak's clock, which the first trial that is measured starts; 0 without a soak.
func (c *cellRun) elapsed() time.Duration {
	if c.study.Header.Plan.Soak == 0 {
		return 0
	}
	now := c.board.now()
	if c.began.IsZero() {
		c.began = now
	}
	return now.Sub(c.began)
}

// cool waits before each soak but the first of a study until the board is about as cool as when the study began. It returns
// nil where there was nothing to wait for: no sensor, or a soak that an earlier run finished.
func (c *cellRun) cool() (*Cooling, error) {
	started := c.study.Header.Environment.TemperatureMilliC
	if len(c.done) > 0 || started == nil || c.progress.Done == 0 && c.attempt == 0 {
		return nil, nil
	}
	now := c.board.temperature()
	if now == nil {
		return nil, nil
	}
	cooling := &Cooling{FromMilliC: *now, ToMilliC: *now, TargetMilliC: *started + coolWithin}
	began := c.board.now()
	defer func() {
		if c.progress.Cooling != nil {
			c.progress.Cooling = nil
			c.report()
		}
	}()
	for !cooling.Reached() && cooling.Waited < coolAtMost {
		c.progress.Cooling = &Cooling{}
		*c.progress.Cooling = *cooling
		c.report()
		if err := c.board.wait(c.ctx, coolStep); err != nil {
			return nil, err
		}
		cooling.Waited = c.board.now().Sub(began)
		if now = c.board.temperature(); now == nil {
			break
		}
		cooling.ToMilliC = *now
	}
	return cooling, nil
}

// soakKey names one soak of a study.
type soakKey struct {
	cell   Cell
	repeat int
}

// LastAttempts returns the records without those of interrupted soaks that were begun again: a board cools down meanwhile,
// so that a soak cannot go on. Other studies have none.
func LastAttempts(records []Record) []Record {
	last := make(map[soakKey]int)
	again := false
	for i := range records {
		k := soakKey{records[i].Cell, records[i].Repeat}
		last[k] = max(last[k], records[i].Attempt)
		again = again || records[i].Attempt > 0
	}
	if !again {
		return records
	}
	var kept []Record
	for i := range records {
		if rec := &records[i]; rec.Attempt == last[soakKey{rec.Cell, rec.Repeat}] {
			kept = append(kept, *rec)
		}
	}
	return kept
}

// Interrupted returns the soak at the end of Done that has to begin again, and how long it had lasted.
func (s *Study) Interrupted() (cell Cell, repeat int, lasted time.Duration, ok bool) {
	if len(s.Done) == 0 || s.Header.Plan.Soak == 0 {
		return Cell{}, 0, 0, false
	}
	last := &s.Done[len(s.Done)-1]
	if last.Kind == KindSoak {
		return Cell{}, 0, 0, false
	}
	for i := range s.Done {
		if rec := &s.Done[i]; rec.Cell == last.Cell && rec.Repeat == last.Repeat && rec.Attempt == last.Attempt {
			lasted = max(lasted, rec.At+time.Duration(rec.Usage.WallNs))
		}
	}
	return last.Cell, last.Repeat, lasted, true
}

// resumable returns the records that a run goes on from, and of which attempt the soak is that begins again.
func (s *Study) resumable() (done []Record, again soakKey, attempt int) {
	cell, repeat, _, ok := s.Interrupted()
	done = LastAttempts(s.Done)
	if !ok {
		return done, soakKey{}, 0
	}
	again = soakKey{cell, repeat}
	i := slices.IndexFunc(done, func(r Record) bool { return r.Cell == cell && r.Repeat == repeat })
	return done[:i:i], again, s.Done[len(s.Done)-1].Attempt + 1
}
