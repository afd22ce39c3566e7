package trial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/trial/search"
)

// Ways to search.
const (
	SearchMLR     = "mlrsearch" // draft-ietf-bmwg-mlrsearch
	SearchRFC2544 = "rfc2544"   // RFC 2544 section 26.1: bisection, one trial a step
	SearchNone    = "none"      // service ceiling and the listed loads only
)

// Captured is the size of frames that were not resized.
const Captured = "captured"

// Rate is an intended load: a number in Settings.Unit or, OfService, a multiple of the service ceiling that the same
// process measured just before or, OfRecorded, of the mean rate at which the frames were captured.
type Rate struct {
	Value      float64 `json:"value"`
	OfService  bool    `json:"of_service,omitempty"`
	OfRecorded bool    `json:"of_recorded,omitempty"`
}

// Plan is what a study measures: every engine at every size, cache state and number of workers, Repeats times.
type Plan struct {
	Engines []string      `json:"engines"`
	Sizes   []string      `json:"sizes"`
	Caches  []string      `json:"caches"`
	Workers []int         `json:"workers"`
	Repeats int           `json:"repeats"`
	Trial   time.Duration `json:"trial_ns"`        // of warm-up (a quarter), closed-loop trials and listed loads
	Rates   []Rate        `json:"rates,omitempty"` // loads to measure besides the search
	Search  string        `json:"search"`
	Goals   []search.Goal `json:"goals,omitempty"`
	MaxLoad float64       `json:"max_load,omitempty"` // of the search; 0: four times the service ceiling
	Quick   bool          `json:"quick,omitempty"`    // short trials: for a first look, not for publication
	// EngineAlone has each repeat of a cell also measure a closed loop of the engine without Settings.Stages, beside the one
	// with them, so that the difference is what the stages cost.
	EngineAlone bool `json:"engine_alone,omitempty"`
	// Soak is how long each cell is kept busy to see what the heat does: ceilings are measured in its first and last
	// window (Window), closed loops run between. 0 is no soak.
	Soak time.Duration `json:"soak_ns,omitempty"`
}

// maxLoadFactor is the highest load of a search without Plan.MaxLoad, in service ceilings.
const maxLoadFactor = 4

// minLoadDivisor divides the service ceiling to the lowest load of a search.
const minLoadDivisor = 10000

const (
	maxRepeats = 1000
	maxWorkers = 256
	maxTrial   = 24 * time.Hour
)

// Cells returns the cells of the plan in the order in which a study begins with them: sizes, caches, workers, engines.
func (p *Plan) Cells() []Cell {
	var cells []Cell
	for _, size := range p.Sizes {
		for _, cache := range p.Caches {
			for _, workers := range p.Workers {
				for _, engine := range p.Engines {
					cells = append(cells, Cell{engine, size, cache, workers})
				}
			}
		}
	}
	return cells
}

// Compare orders records as a study of the plan makes them: by size, cache, workers, repeat and engine; 0 between records of one repeat of
// one cell, which a stable sort leaves as they are. A cell that is not of the plan comes first.
func (p *Plan) Compare(a, b *Record) int {
	return cmp.Or(
		cmp.Compare(slices.Index(p.Sizes, a.Cell.Size), slices.Index(p.Sizes, b.Cell.Size)),
		cmp.Compare(slices.Index(p.Caches, a.Cell.Cache), slices.Index(p.Caches, b.Cell.Cache)),
		cmp.Compare(slices.Index(p.Workers, a.Cell.Workers), slices.Index(p.Workers, b.Cell.Workers)),
		cmp.Compare(a.Repeat, b.Repeat),
		cmp.Compare(slices.Index(p.Engines, a.Cell.Engine), slices.Index(p.Engines, b.Cell.Engine)))
}

// twice finds what a list names twice: its results would be pooled as if they were repeats.
func twice[T comparable](faults *faultList, what string, list []T) {
	for i, v := range list {
		if slices.Index(list, v) < i {
			faults.add("%s %v is named twice", what, v)
		}
	}
}

// Sized is the working frames of one size.
type Sized struct {
	Frames *arena.Frames
	Close  bool // whether the study closes Frames when it is done with the size
}

// Study measures a Plan. Run fills Header.Settings and Header.Plan with defaults before anything else.
type Study struct {
	Header  Header
	Engines []parse.Engine    // all that the plan may name
	Stages  []parse.StageKind // all that the settings may name
	// Frames returns the frames of a size, Captured among them.
	Frames func(size string) (Sized, error)
	// Only are the cells to measure; nil: all of the plan. A study may be measured in parts, each with cells of its own: their records, sorted
	// by Plan.Compare, are those of the whole study.
	Only []Cell
	// Done are records of an earlier run of the same study; they are taken instead of measuring again.
	Done []Record
	// Keep is called with each new record, in order. An error ends the study.
	Keep func(Record) error
	// Progress, where set, is called between trials.
	Progress func(Progress)

	board *board // nil: the real one
}

// Progress tells where a study stands.
type Progress struct {
	Cell         Cell
	Repeat       int
	Done, Cells  int // cells with repeats
	Trials       int // in this cell and repeat so far
	LastInput    Input
	LastLoss     float64
	MeasuredTime time.Duration // trial time so far, all cells
	Cooling      *Cooling      // of a soak that waits for the board to cool; nil: measuring
}

// Expected returns about how long Run will measure, without the preparation of frames. It is 0 where that is not known:
// with Settings.Passes.
func (s *Study) Expected() time.Duration {
	p := &s.Header.Plan
	if s.Header.Settings.Passes > 0 {
		return 0
	}
	cells := s.cells() * p.Repeats
	if p.Soak > 0 {
		return s.expectedSoak(cells)
	}
	trials := 2 + len(p.Rates)
	if p.EngineAlone {
		trials++
	}
	cell := p.Trial/4 + time.Duration(trials-1)*p.Trial
	switch p.Search {
	case SearchMLR:
		for _, goals := range sameLength(p.Goals) {
			eta, err := search.Estimate(search.Config{Min: 1, Max: maxLoadFactor * 1000, Hint: 1000}, goals...)
			if err == nil {
				cell += eta.Typical
				trials += int(eta.Typical / goals[0].FinalTrialDuration)
			}
		}
	case SearchRFC2544:
		for _, g := range p.Goals {
			steps := bisections(g)
			cell += time.Duration(steps) * g.FinalTrialDuration
			trials += steps
		}
	}
	cell += cellOverhead + time.Duration(trials)*trialOverhead
	all := cell * time.Duration(cells)
	for i := range s.Done {
		if s.Done[i].Kind != KindBounds {
			all -= time.Duration(s.Done[i].Usage.WallNs) + trialOverhead
		}
	}
	return max(all, 0)
}

// wants reports whether a cell of the kind is to be measured.
func (s *Study) wants(kind func(Cell) bool) bool {
	return s.Only == nil || slices.ContainsFunc(s.Only, kind)
}

// cells returns how many cells are to be measured.
func (s *Study) cells() int {
	if s.Only != nil {
		return len(s.Only)
	}
	p := &s.Header.Plan
	return len(p.Engines) * len(p.Sizes) * len(p.Caches) * len(p.Workers)
}

// bisections is about how many steps the search of RFC 2544 takes for a goal.
func bisections(g search.Goal) int {
	width := g.Width
	if width == 0 {
		width = search.DefaultWidth
	}
	return int(math.Log2(math.Log(maxLoadFactor*minLoadDivisor)/width)) + 2
}

// About what a process, and a trial beside its duration, take on a 2-core VM.
const (
	cellOverhead  = 200 * time.Millisecond
	trialOverhead = 5 * time.Millisecond
)

// Run measures the plan. Order: sizes, caches and workers in turn, in each the repeats, in each repeat all engines, so
// that a drift of the machine spreads over the engines. Cancelling ctx ends it with ctx's error; all finished trials have
// been given to Keep, and a later Run goes on from them by Done.
func (s *Study) Run(ctx context.Context) error {
	if err := s.Check(); err != nil {
		return err
	}
	p := &s.Header.Plan
	run := &run{study: s, ctx: ctx, machine: s.Header.Environment.String(), board: realBoard()}
	if s.board != nil {
		run.board = *s.board
	}
	run.done, run.again, run.attempt = s.resumable()
	for _, c := range s.Header.Captures {
		run.hashes = append(run.hashes, c.SHA256)
	}
	run.progress.Cells = s.cells() * p.Repeats
	for _, size := range p.Sizes {
		if !s.wants(func(c Cell) bool { return c.Size == size }) {
			continue
		}
		if err := run.size(size); err != nil {
			return err
		}
	}
	if len(run.done) > 0 {
		return fmt.Errorf("%d records of the earlier run are not of this plan", len(run.done))
	}
	return nil
}

// Check fills in the defaults of Header and reports all faults of settings and plan at once.
func (s *Study) Check() error {
	p := &s.Header.Plan
	var faults faultList
	settings, err := s.Header.Settings.Normalize()
	if err != nil {
		faults.add("%w", err)
	}
	s.Header.Settings = settings
	s.Header.Schema = Schema
	if len(p.Sizes) == 0 {
		p.Sizes = []string{Captured}
	}
	if len(p.Caches) == 0 {
		p.Caches = []string{CacheCold}
	}
	if len(p.Workers) == 0 {
		p.Workers = []int{1}
	}
	if p.Repeats == 0 {
		p.Repeats = 1
	}
	if p.Trial == 0 {
		p.Trial = time.Second
	}
	if p.Search == "" {
		p.Search = SearchNone
	}
	if len(p.Engines) == 0 {
		faults.add("no engine to measure")
	}
	for _, name := range p.Engines {
		if _, err := findEngine(s.Engines, name); err != nil {
			faults.add("%w", err)
		}
	}
	if s.Header.StageFiles, err = stageFiles(s.Stages, settings.Stages, s.Header.StageFiles); err != nil {
		faults.add("%w", err)
	} else if _, err := findStages(s.Stages, settings.Stages, s.Header.StageFiles); err != nil {
		faults.add("%w", err)
	}
	if p.EngineAlone && len(settings.Stages) == 0 {
		faults.add("the engine alone is measured beside stages: there are none")
	}
	for _, c := range p.Caches {
		if c != CacheHot && c != CacheCold && c != CacheAsIs {
			faults.add("cache state %q: want %s, %s or %s", c, CacheHot, CacheCold, CacheAsIs)
		}
		if settings.Passes > 0 && c != CacheAsIs {
			faults.add("%d passes of %s frames: a number of passes is of the capture %s", settings.Passes, c, CacheAsIs)
		}
	}
	for _, n := range p.Workers {
		if n < 1 || n > maxWorkers {
			faults.add("%d workers: want 1 to %d", n, maxWorkers)
		}
	}
	twice(&faults, "engine", p.Engines)
	twice(&faults, "size", p.Sizes)
	twice(&faults, "cache state", p.Caches)
	twice(&faults, "number of workers", p.Workers)
	twice(&faults, "load", p.Rates)
	twice(&faults, "cell", s.Only)
	if len(s.Only) > 0 {
		cells := p.Cells()
		for _, c := range s.Only {
			if !slices.Contains(cells, c) {
				faults.add("cell %v is not of the plan", c)
			}
		}
	}
	for _, r := range p.Rates {
		if !(r.Value > 0) || math.IsInf(r.Value, 0) {
			faults.add("rate %v: want a positive number", r.Value)
		}
	}
	if p.Repeats < 1 || p.Repeats > maxRepeats {
		faults.add("%d repeats: want 1 to %d", p.Repeats, maxRepeats)
	}
	if p.Trial < time.Millisecond || p.Trial > maxTrial {
		faults.add("trials of %v: want 1ms to %v", p.Trial, maxTrial)
	}
	if !(p.MaxLoad >= 0) || math.IsInf(p.MaxLoad, 0) {
		faults.add("max load %v: want a positive number, or 0 for %d service ceilings", p.MaxLoad, maxLoadFactor)
	}
	if s.Header.InProcess && (settings.GOGC != "" || settings.Memory != "") {
		faults.add("GOGC and GOMEMLIMIT are of measuring processes: set them in the environment to measure in this one")
	}
	if !slices.Contains([]string{SearchMLR, SearchRFC2544, SearchNone}, p.Search) {
		faults.add("search %q: want %s, %s or %s", p.Search, SearchMLR, SearchRFC2544, SearchNone)
	}
	if p.Search != SearchNone && settings.Passes > 0 {
		faults.add("a search has trials of its own length, not %d passes", settings.Passes)
	}
	if p.Search != SearchNone && len(p.Goals) == 0 {
		faults.add("a search needs a goal")
	}
	p.soakFaults(&faults, &settings)
	return faults.err()
}

// UndecodedError says that engines decode none of the frames that a study is of: what they cost would be that of passing frames by.
type UndecodedError struct {
	Engines []string         // of the plan
	Links   []parse.LinkType // of all frames
	Frames  int
}

func (e *UndecodedError) Error() string {
	links := make([]string, len(e.Links))
	for i, l := range e.Links {
		links[i] = strconv.Itoa(int(l))
	}
	types, engines := "link type ", "engine "
	if len(links) > 1 {
		types = "link types "
	}
	if len(e.Engines) > 1 {
		engines = "engines "
	}
	return fmt.Sprintf("no decoder in %s%s for %s%s, of which all %d frames are: leave out what does not decode them, or take another capture",
		engines, strings.Join(e.Engines, ", "), types, strings.Join(links, ", "), e.Frames)
}

// Decodable returns an *UndecodedError where engines of the plan decode none of the frames. Check comes first.
func (s *Study) Decodable(frames *arena.Frames) error {
	e := UndecodedError{Links: frames.Links(), Frames: frames.Len()}
	for _, name := range s.Header.Plan.Engines {
		engine, err := findEngine(s.Engines, name)
		if err != nil {
			return err
		}
		decodes := func(link parse.LinkType) bool {
			_, err := engine.New(link)
			return !errors.Is(err, parse.ErrUnsupported) // another error is told where the engine is measured
		}
		if len(e.Links) > 0 && !slices.ContainsFunc(e.Links, decodes) {
			e.Engines = append(e.Engines, name)
		}
	}
	if len(e.Engines) > 0 {
		return &e
	}
	return nil
}

// run is a Run under way.
type run struct {
	study    *Study
	ctx      context.Context
	done     []Record
	progress Progress
	hashes   []string
	machine  string
	board    board
	again    soakKey // the soak that an earlier run did not end
	attempt  int     // at it, from 1
}

func (r *run) size(size string) error {
	p := &r.study.Header.Plan
	sized, err := r.study.Frames(size)
	if err != nil {
		return fmt.Errorf("size %s: %w", size, err)
	}
	if sized.Close {
		defer sized.Frames.Close()
	}
	if err := r.study.Decodable(sized.Frames); err != nil {
		return err
	}
	recorded := 0.0
	if period := sized.Frames.Period(0, sized.Frames.Len()); period > 0 {
		recorded = float64(sized.Frames.Len()) / (float64(period) / 1e9)
	}
	for _, cache := range p.Caches {
		if !r.study.wants(func(c Cell) bool { return c.Size == size && c.Cache == cache }) {
			continue
		}
		if err := r.cache(sized.Frames, cache, size, recorded); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) cache(frames *arena.Frames, cache, size string, recorded float64) error {
	h := &r.study.Header
	set, llc, err := WorkingSet(frames, WorkingSetConfig{
		Cache: cache, Caches: h.Caches, MemoryLimit: r.study.room(frames),
		MoveAddresses: h.Settings.MoveAddresses, Passes: h.Settings.copies(),
	})
	if err != nil {
		return fmt.Errorf("size %s, %s frames: %w", size, cache, err)
	}
	if set != frames {
		defer set.Close()
	}
	copies := 1
	if cache != CacheHot { // which may be a sample
		copies = set.Len() / frames.Len()
	}
	for _, workers := range h.Plan.Workers {
		if !r.study.wants(func(c Cell) bool { return c.Size == size && c.Cache == cache && c.Workers == workers }) {
			continue
		}
		if err := r.workers(set, copies, llc, recorded, Cell{Size: size, Cache: cache, Workers: workers}); err != nil {
			return err
		}
	}
	return nil
}

// room is how much memory a working set may take beside frames that are loaded, of which the workers' parts are a copy.
func (s *Study) room(loaded *arena.Frames) int64 {
	room := s.Header.MemoryLimit - footprint(loaded)
	if slices.Max(s.Header.Plan.Workers) > 1 {
		room /= 2
	}
	return max(room, 0)
}

func (r *run) workers(set *arena.Frames, copies int, llc bool, recorded float64, cell Cell) error {
	parts := []*arena.Frames{set}
	if cell.Workers > 1 {
		var err error
		if parts, err = Split(set, cell.Workers); err != nil {
			return err
		}
		defer closeAll(parts)
	}
	for repeat := 1; repeat <= r.study.Header.Plan.Repeats; repeat++ {
		for _, engine := range r.study.Header.Plan.Engines {
			if cell.Engine = engine; !r.study.wants(func(c Cell) bool { return c == cell }) {
				continue
			}
			c := &cellRun{run: r, cell: cell, repeat: repeat, parts: parts, copies: copies, llc: llc, recorded: recorded}
			if r.attempt > 0 && r.again == (soakKey{cell, repeat}) {
				c.attempt = r.attempt
			}
			if err := c.measure(); err != nil {
				return fmt.Errorf("%v: %w", cell, err)
			}
			r.progress.Done++
			r.report()
		}
	}
	return nil
}

func (r *run) report() {
	if r.study.Progress != nil {
		r.study.Progress(r.progress)
	}
}

// cellRun is one repeat of one cell.
type cellRun struct {
	*run
	cell     Cell
	repeat   int
	parts    []*arena.Frames
	copies   int // of the capture, in all parts
	llc      bool
	measurer Measurer // nil until something must be measured
	trials   []Record // at an intended load, so far
	ordinal  uint64   // of the trial under way
	recorded float64  // mean rate of the frames as they were captured, in pps; 0: unknown

	// Of a soak:
	phase   string
	began   time.Time
	attempt int
}

// mix makes the seed of one trial (SplitMix64's finalizer), of 53 bits so that JSON keeps it everywhere.
func mix(seed, repeat, ordinal uint64) uint64 {
	z := seed + repeat*0x9e3779b97f4a7c15 + ordinal*0xd1b54a32d192ed03
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) >> 11
}

func (c *cellRun) measure() (err error) {
	c.progress.Cell, c.progress.Repeat, c.progress.Trials = c.cell, c.repeat, 0
	c.report()
	defer func() {
		if c.measurer != nil {
			err = errors.Join(err, c.measurer.Close())
		}
	}()
	plan := &c.study.Header.Plan
	if plan.Soak > 0 {
		return c.soak()
	}
	length := plan.Trial
	if c.study.Header.Settings.Passes > 0 {
		length = 0
	}
	if _, err := c.trial(KindWarmUp, Input{Duration: length / 4}); err != nil {
		return err
	}
	service, err := c.closedLoop(length)
	if err != nil {
		return err
	}
	unit := c.unit(&service)
	ceiling := service.ServiceRate() * unit
	for _, rate := range plan.Rates {
		in := Input{Load: rate.Value, Duration: length}
		switch {
		case rate.OfService:
			in.Load, in.OfService = rate.Value*ceiling, rate.Value
		case rate.OfRecorded && c.recorded <= 0:
			return errors.New("a multiple of the recorded rate: the capture times do not go on")
		case rate.OfRecorded:
			in.Load, in.OfRecorded = rate.Value*c.recorded*unit, rate.Value
		}
		if _, err := c.trial(KindTrial, in); err != nil {
			return err
		}
	}
	if plan.Search == SearchNone {
		return nil
	}
	if ceiling <= 0 {
		return errors.New("nothing was delivered in closed loop: no ceiling to search for")
	}
	return c.search(ceiling, unit)
}

// closedLoop measures the closed loop and, where the plan wants it, that of the engine alone: before it in odd repeats, after
// it in even ones, so that neither has the drift of the machine or the work of the other always before it.
func (c *cellRun) closedLoop(length time.Duration) (service Record, err error) {
	kinds := []string{KindService}
	if c.study.Header.Plan.EngineAlone {
		kinds = []string{KindEngineAlone, KindService}
		if c.repeat%2 == 0 {
			slices.Reverse(kinds)
		}
	}
	for _, kind := range kinds {
		rec, err := c.trial(kind, Input{Duration: length, EngineAlone: kind == KindEngineAlone})
		if err != nil {
			return Record{}, err
		}
		if kind == KindService {
			service = rec
		}
	}
	return service, nil
}

// unit is how much of Settings.Unit a packet is, by what a closed loop fed.
func (c *cellRun) unit(service *Record) float64 {
	if c.study.Header.Settings.Unit == "bit/s" && service.Counters.Frames > 0 {
		return 8 * float64(service.Counters.WireOctets) / float64(service.Counters.Frames)
	}
	return 1
}

func (c *cellRun) search(ceiling, unit float64) error {
	plan := &c.study.Header.Plan
	cfg := search.Config{Hint: ceiling, Max: plan.MaxLoad}
	if plan.Soak > 0 { // the window ends, whatever is known by then
		cfg.MaxDuration = plan.searchWindow() / time.Duration(searches(plan))
	}
	if cfg.Max == 0 {
		cfg.Max = maxLoadFactor * ceiling
	}
	shortest := plan.Goals[0].FinalTrialDuration
	for _, g := range plan.Goals {
		shortest = min(shortest, g.FinalTrialDuration)
		if g.InitialTrialDuration > 0 {
			shortest = min(shortest, g.InitialTrialDuration)
		}
	}
	// At least one frame in the shortest trial, as draft-ietf-bmwg-mlrsearch asks of Min Load.
	cfg.Min = min(max(unit/shortest.Seconds(), ceiling/minLoadDivisor), cfg.Max)
	measure := func(ctx context.Context, load float64, d time.Duration) (search.Trial, error) {
		rec, err := c.trial(KindTrial, Input{Load: load, Duration: d})
		if err != nil {
			return search.Trial{}, err
		}
		return search.Trial{
			Load: load, Duration: d,
			Intended: rec.Result.Intended, Lost: rec.Lost(),
		}, nil
	}
	var bounds []search.Bounds
	switch plan.Search {
	case SearchMLR:
		for _, goals := range sameLength(plan.Goals) {
			result, err := search.Search(c.ctx, measure, cfg, goals...)
			if err != nil {
				return err
			}
			bounds = append(bounds, result.Bounds...)
		}
	case SearchRFC2544:
		for _, goal := range plan.Goals {
			result, err := search.BinarySearch(c.ctx, measure, cfg, goal)
			if err != nil {
				return err
			}
			bounds = append(bounds, result.Bounds...)
		}
	}
	for i := range bounds {
		rec := c.outcome(KindBounds)
		rec.Bounds, rec.Marks = &bounds[i], c.boundsMarks(&bounds[i])
		if _, err := c.keep(rec); err != nil {
			return err
		}
	}
	return nil
}

// outcome begins a record that has no trial of its own.
func (c *cellRun) outcome(kind string) Record {
	return Record{
		Schema: Schema, Kind: kind, Started: time.Now().UTC(), Cell: c.cell, Repeat: c.repeat, Input: Input{Phase: c.phase},
		Settings: c.study.Header.Settings, Captures: c.hashes, Machine: c.machine, LLC: c.llc, Attempt: c.attempt,
	}
}

// searches is in how many searches the goals are looked for.
func searches(p *Plan) int {
	if p.Search == SearchMLR {
		return len(sameLength(p.Goals))
	}
	return len(p.Goals)
}

// sameLength groups goals by their final trial duration: in one search a longer trial would count for the shorter goals too.
func sameLength(goals []search.Goal) [][]search.Goal {
	var groups [][]search.Goal
	for _, g := range goals {
		i := slices.IndexFunc(groups, func(other []search.Goal) bool { return other[0].FinalTrialDuration == g.FinalTrialDuration })
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], g)
	}
	return groups
}

// boundsMarks lists what may have made the bounds instead of the parser, from the trials at and around them.
func (c *cellRun) boundsMarks(b *search.Bounds) []string {
	var list []string
	lossy, host, feed, throttled, busy, unsent, undecoded := 0, 0, 0, 0, 0, 0, 0
	near := 0
	for i := range c.trials {
		rec := &c.trials[i]
		at := func(bound *float64) bool { return bound != nil && *bound == rec.Input.Load }
		if !at(b.Lower) && !at(b.Upper) {
			continue
		}
		near++
		if slices.Contains(rec.Marks, MarkFeedLimited) {
			feed++
		}
		if slices.Contains(rec.Marks, MarkThrottled) {
			throttled++
		}
		if slices.Contains(rec.Marks, MarkUnsent) {
			unsent++
		}
		if slices.Contains(rec.Marks, MarkUndecoded) {
			undecoded++
		}
		if slices.Contains(rec.Marks, MarkHostBusy) {
			busy++
		}
		if at(b.Upper) && rec.Result.LossRatio() > b.Goal.LossRatio {
			lossy++
			if slices.Contains(rec.Marks, MarkHostLimited) {
				host++
			}
		}
	}
	if 2*feed > near {
		list = append(list, MarkFeedLimited)
	}
	if lossy > 0 && 2*host > lossy {
		list = append(list, MarkHostLimited)
	}
	if 2*busy > near {
		list = append(list, MarkHostBusy)
	}
	if throttled > 0 {
		list = append(list, MarkThrottled)
	}
	if unsent > 0 {
		list = append(list, MarkUnsent)
	}
	if undecoded > 0 {
		list = append(list, MarkUndecoded)
	}
	if c.llc {
		list = append(list, MarkLLC)
	}
	return list
}

// trial takes the next record of an earlier run, or measures.
func (c *cellRun) trial(kind string, in Input) (rec Record, err error) {
	c.ordinal++
	in.Phase = c.phase
	in.Seed = mix(c.study.Header.Settings.Seed, uint64(c.repeat), c.ordinal)
	defer func() {
		if err == nil && kind == KindTrial {
			c.trials = append(c.trials, rec)
		}
	}()
	if rec, ok, err := c.earlier(kind, in); ok || err != nil {
		return rec, err
	}
	if c.measurer == nil {
		start := c.start
		if c.board.start != nil {
			start = func() (Measurer, error) { return c.board.start(c.cell) }
		}
		m, err := start()
		if err != nil {
			return Record{}, err
		}
		c.measurer = m
	}
	at := c.elapsed()
	if rec, err = c.measurer.Measure(c.ctx, in); err != nil {
		return Record{}, err
	}
	rec.At, rec.Attempt = at, c.attempt
	rec.Kind, rec.Repeat, rec.LLC = kind, c.repeat, c.llc
	rec.Captures, rec.Machine = c.hashes, c.machine
	if rec.LLC {
		rec.Marks = append(rec.Marks, MarkLLC)
	}
	c.progress.Trials++
	c.progress.LastInput = in
	c.progress.LastLoss = rec.Result.LossRatio()
	c.progress.MeasuredTime += rec.Result.Elapsed
	c.report()
	return rec, c.study.Keep(rec)
}

// keep is trial for the records of a search's outcome.
func (c *cellRun) keep(rec Record) (Record, error) {
	if old, ok, err := c.earlier(rec.Kind, rec.Input); ok || err != nil {
		return old, err
	}
	return rec, c.study.Keep(rec)
}

// earlier takes the next record of an earlier run if there is one; it must be the one that would be measured now.
func (c *cellRun) earlier(kind string, in Input) (Record, bool, error) {
	if len(c.done) == 0 {
		return Record{}, false, nil
	}
	rec := c.done[0]
	if rec.Kind != kind || rec.Cell != c.cell || rec.Repeat != c.repeat || rec.Input != in {
		return Record{}, false, fmt.Errorf("the earlier run has a %s of %v, repeat %d, at %v here, not a %s of %v, repeat %d, at %v: "+
			"it was of another plan or version; start into a new folder", rec.Kind, rec.Cell, rec.Repeat, rec.Input, kind, c.cell, c.repeat, in)
	}
	c.run.done = c.run.done[1:]
	c.progress.Trials++
	return rec, true, nil
}

func (c *cellRun) start() (Measurer, error) {
	settings := c.study.Header.Settings
	if !c.study.Header.InProcess && childrenSupported() {
		return StartChild(settings, c.cell, c.study.Header.StageFiles, c.parts, c.copies)
	}
	engine, err := findEngine(c.study.Engines, c.cell.Engine)
	if err != nil {
		return nil, err
	}
	stages, err := findStages(c.study.Stages, settings.Stages, c.study.Header.StageFiles)
	if err != nil {
		return nil, err
	}
	return NewRunner(engine, stages, settings, c.cell, c.parts, c.copies)
}

func findEngine(engines []parse.Engine, name string) (parse.Engine, error) {
	var names []string
	for _, e := range engines {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return parse.Engine{}, fmt.Errorf("no engine %q: there are %s", name, strings.Join(names, ", "))
}
