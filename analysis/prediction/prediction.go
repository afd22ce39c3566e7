package prediction

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/analysis/published"
	"pcaplab/replay/meter"
)

// Method is how a bracket came about.
type Method string

// The methods, from narrow to wide.
const (
	// Measured is a cell of the board's own calibration, or results that were made on such a board.
	Measured Method = "measured there"
	// Pair is a cost here times the ratio of the same engine in both calibrations.
	Pair Method = "calibrated pair"
	// Kernels is a cost here, in pieces, times the ratios of micro-kernels: for what the kit does not measure.
	Kernels Method = "micro-kernels"
	// PublishedRows is of a sniffer in Python, by the rows of the study of a Pi 3B.
	PublishedRows Method = "published rows"
	// PublishedPair is the cost of a Python program here times the ratio of another one: its published rows over its cost here.
	PublishedPair Method = "published pair"
	// Instructions is instructions per packet times cycles per instruction over the clock.
	Instructions Method = "instructions"
	// Clock is a cost here times the ratio of cycles per instruction and clocks: nothing is known of the program's instructions.
	Clock Method = "cycles and clocks"
)

// Bracket is what a packet costs there: the parser alone, on one core, in ns; without feed, driver, kernel and
// network card, unless the prediction says Live.
type Bracket struct {
	LowNS  float64 `json:"low_ns"`
	HighNS float64 `json:"high_ns"`
}

// Width returns the upper end over the lower end.
func (b Bracket) Width() float64 { return b.HighNS / b.LowNS }

// valid tells whether both ends, as costs and as rates, are numbers above 0.
func (b Bracket) valid() bool {
	return b.LowNS > 0 && b.HighNS >= b.LowNS && !math.IsInf(b.HighNS, 0) && !math.IsInf(1e9/b.LowNS, 0) && 1e9/b.HighNS > 0
}

// Limit is what ends a board's rate first.
type Limit string

// The limits.
const (
	LimitPort    Limit = "port"    // the line rate is below the whole bracket
	LimitParser  Limit = "parser"  // it is above the whole bracket
	LimitEither  Limit = "either"  // it is within the bracket; or above it, and only known as an upper bound
	LimitUnknown Limit = "unknown" // the port's rate is not known
)

// Prediction is what is known of one engine on a board at one size. There is no single value: a prediction that
// is printed without its bracket and method is none.
type Prediction struct {
	Engine string  `json:"engine"`
	Stages string  `json:"stages,omitempty"` // that are in the cost besides the engine
	Size   string  `json:"size"`             // as cells of a study name it, or as traffic is named
	Octets float64 `json:"mean_octets"`      // captured octets a packet, without FCS; 0 is not known
	Cache  string  `json:"cache"`            // hot or cold frames; empty of a live capture
	Method Method  `json:"method"`
	Bracket
	LowPPS  float64 `json:"low_pps"`  // of one core, by HighNS
	HighPPS float64 `json:"high_pps"` // by LowNS
	// Calibrated says that something measured on such a board is behind it (its calibration, or published rows), that its
	// width is CalibratedWidth at most, and that nothing that the width does not show speaks against it: then Notes say what.
	Calibrated bool `json:"calibrated"`
	// Live says that the cost has live capture in it: kernel, libpcap and the loop around the parser.
	Live    bool    `json:"live_capture"`
	LinePPS float64 `json:"line_pps"` // of the board's port at this size; 0 is not known
	// LineAtMost says that LinePPS is an upper bound: see Port.UpperBound.
	LineAtMost bool  `json:"line_at_most,omitempty"`
	Limit      Limit `json:"limit"`
	// Notes say what the bracket rests on, and what it cannot see.
	Notes []string `json:"notes,omitempty"`

	doubtful bool // something speaks against it that its width does not show
}

// Answer is what Predict found.
type Answer struct {
	Board       string       `json:"board"` // its name, or what its calibration says it is
	Model       string       `json:"model,omitempty"`
	Arch        string       `json:"arch,omitempty"` // of the program there
	Core        *Core        `json:"core,omitempty"` // where cycles per instruction count
	Port        Port         `json:"port"`
	From        string       `json:"from"` // what the predictions start from
	Predictions []Prediction `json:"predictions"`
	Notes       []string     `json:"notes,omitempty"` // on all of them

	doubtful bool // as Prediction's, of all of them
}

// Question is what is to be predicted, and from what. A board or its calibration must be there; all else may be missing.
// What is pointed to is only read.
type Question struct {
	Board    *Board             // the board; nil: the one that There names
	There    *calibration.File  // its calibration
	Home     *calibration.File  // this machine's
	Results  *analysis.Results  // a study made on this machine
	Scenario *analysis.Scenario // a run of a scenario on this machine
	Engines  []string           // to predict for; empty: all
	Arch     string             // of the program there; empty: the board's; not with There, whose program is known
	Port     *Port              // of the board; nil: the published one
}

// Errors that a caller can act on.
var (
	ErrNoBoard = errors.New("no board: want its name or its calibration")
	ErrNoHome  = errors.New("results of this machine and a calibration of the board need a calibration of this machine too")
	ErrSame    = errors.New("both calibrations are the same one")
	ErrArch    = errors.New("an architecture was asked for, but the calibration is of a program that is known")
)

// Predict answers a question: predictions in the order of the engines, sizes and caches of what they start from. It is an
// error where nothing can be predicted, and why.
func Predict(q Question) (*Answer, error) {
	a := &Answer{}
	if err := a.place(&q); err != nil {
		return nil, err
	}
	if err := q.emulated(); err != nil {
		return nil, err
	}
	var p *pair
	if q.There != nil {
		if q.Home != nil {
			var err error
			if p, err = newPair(q.Home, q.There); err != nil {
				return nil, err
			}
			a.notePair(q.Home, q.There)
			a.noteCells("here", p.home)
			a.noteCells("there", p.there)
		}
		a.noteDoubts("there", q.There)
	}
	if q.Home != nil {
		a.noteDoubts("here", q.Home)
	}
	before := len(a.Notes)
	costs := a.costs(&q)
	given := q.Results != nil || q.Scenario != nil
	if given && len(costs) == 0 {
		why := strings.Join(a.Notes[before:], "; ")
		if why == "" {
			why = "they have no record of one"
		}
		return nil, fmt.Errorf("nothing to predict from: no engine of the results has a cost with one worker (%s)", why)
	}
	native := given && q.native()
	a.noteUnused(&q, given, native)
	wanted := func(engine string) bool { return len(q.Engines) == 0 || slices.Contains(q.Engines, engine) }
	var engines []string // that there are
	for _, c := range costs {
		engines = append(engines, c.engine)
	}
	switch {
	case native:
		a.Arch = q.home().env.Arch
		for _, c := range costs {
			if wanted(c.engine) {
				a.add(c.asMeasured())
			}
		}
	case q.There != nil && len(costs) == 0:
		a.From = "the board's own calibration"
		engines = q.There.Plan.Engines
		a.noteUnsteady("there", q.There)
		a.measured(q.There, wanted)
	case q.There != nil && p == nil:
		return nil, ErrNoHome
	case q.There != nil:
		a.noteUnsteady("there", q.There)
		a.noteUnsteady("here", q.Home)
		for _, c := range costs {
			if wanted(c.engine) {
				a.add(p.predict(c))
			}
		}
	case len(costs) > 0:
		b := carrier{board: q.Board, arch: a.Arch, costs: costs, home: q.home()}
		a.Core = &q.Board.Core
		for _, c := range costs {
			if wanted(c.engine) {
				a.add(b.predict(c)...)
			}
		}
	default:
		a.From = "instructions per packet, as counted under an emulator"
		a.Core = &q.Board.Core
		engines = slices.Clone(table().engines)
		if HasRows(q.Board) {
			engines = append(engines, rowsPrograms...)
		}
		a.builtin(q.Board, wanted)
	}
	if len(a.Predictions) == 0 {
		slices.Sort(engines)
		there := "; there are " + strings.Join(slices.Compact(engines), ", ")
		if len(q.Engines) == 0 {
			return nil, errors.New("nothing to predict from: no bracket could be made of any engine" + there)
		}
		return nil, fmt.Errorf("nothing to predict from: no %s engine with a bracket was found%s", strings.Join(q.Engines, " or "), there)
	}
	for _, engine := range q.Engines {
		if !slices.ContainsFunc(a.Predictions, func(p Prediction) bool { return p.Engine == engine }) {
			a.note("%s: nothing here to predict it from", engine)
		}
	}
	a.finish()
	return a, nil
}

// place finds which board it is.
func (a *Answer) place(q *Question) error {
	if q.There != nil {
		e := &q.There.Environment
		of := boardOf(e.Board)
		switch {
		case q.Board == nil:
			q.Board = of
		case of != nil && of.Name == q.Board.Name:
		case of != nil:
			return fmt.Errorf("the calibration is of a %s (%s), not of a %s", of.Model, of.Name, q.Board.Model)
		case e.Board != "" || !strings.HasPrefix(e.Arch, "arm"):
			return fmt.Errorf("the calibration is of another machine (%v), not of a %s; without --board it is taken for what it is", e, q.Board.Model)
		default:
			a.note("the calibration does not say which board it is of: it is taken for a %s, as asked", q.Board.Model)
		}
		if q.Arch != "" {
			return fmt.Errorf("%w: %s", ErrArch, e.Arch)
		}
		if q.Board == nil {
			a.Board = e.String()
			a.Port = Port{What: "not known"}
		}
	}
	switch {
	case q.Board != nil:
		a.Board, a.Model, a.Port, a.Arch = q.Board.Name, q.Board.Model, q.Board.Port, q.Board.Arch
	case q.There == nil:
		return ErrNoBoard
	}
	if q.Arch != "" {
		a.Arch = q.Arch
	}
	if q.There != nil {
		a.Arch = q.There.Environment.Arch
	}
	if q.Port != nil {
		bus := a.Port.BusBitsPerSecond // another link is on the same bus
		a.Port = *q.Port
		if a.Port.BusBitsPerSecond = bus; bus > 0 {
			a.Port.What += fmt.Sprintf(", on a bus of %g Mbit/s", bus/1e6)
		}
	}
	return nil
}

// emulated refuses times that were taken under an emulator.
func (q *Question) emulated() error {
	check := func(what string, e *meter.Environment) error {
		if (&calibration.File{Environment: *e}).Emulated() {
			return fmt.Errorf("%s: a program for %s on a kernel for %s ran under an emulator, and its times mean nothing; measure on the machine itself",
				what, e.Arch, e.KernelArch)
		}
		return nil
	}
	var faults []error
	if q.There != nil {
		faults = append(faults, check("calibration there", &q.There.Environment))
	}
	if q.Home != nil {
		faults = append(faults, check("calibration here", &q.Home.Environment))
	}
	if q.Results != nil || q.Scenario != nil {
		home := q.home()
		faults = append(faults, check("results", &home.env))
	}
	return errors.Join(faults...)
}

// alike tells whether two environments may be of one machine, or of two of one kind.
func alike(a, b *meter.Environment) bool {
	return a.CPU == b.CPU && a.Arch == b.Arch && a.Board == b.Board
}

// native tells whether the results were made on the board itself: only boards with a device tree say so.
func (q *Question) native() bool {
	e := q.home().env
	if q.There != nil {
		return e.Board != "" && alike(&e, &q.There.Environment) && (q.Home == nil || !alike(&e, &q.Home.Environment))
	}
	of := boardOf(e.Board)
	return of != nil && of.Name == q.Board.Name
}

// add fills in what follows from a bracket; one that is none is left out, with a note.
func (a *Answer) add(list ...Prediction) {
	for _, p := range list {
		if !p.valid() {
			a.note("%s, %s: no bracket could be made", p.Engine, p.Size)
			continue
		}
		p.LowPPS, p.HighPPS = 1e9/p.HighNS, 1e9/p.LowNS
		switch p.Method {
		case Measured, Pair, Kernels, PublishedRows, PublishedPair:
			p.Calibrated = p.Width() <= CalibratedWidth && !p.doubtful && !a.doubtful
		}
		p.Limit = LimitUnknown
		if line := a.Port.PPS(p.Octets); line > 0 && p.Octets > 0 {
			p.LinePPS, p.LineAtMost = line, a.Port.UpperBound()
			switch {
			case line < p.LowPPS:
				p.Limit = LimitPort
			case line > p.HighPPS && !p.LineAtMost:
				p.Limit = LimitParser
			default:
				p.Limit = LimitEither
			}
		}
		a.Predictions = append(a.Predictions, p)
	}
}

func (a *Answer) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.Notes, text) {
		a.Notes = append(a.Notes, text)
	}
}

// finish adds the notes that all answers of a kind have.
func (a *Answer) finish() {
	live, parse, cold, beyond := false, false, false, false
	for i := range a.Predictions {
		p := &a.Predictions[i]
		live, parse = live || p.Live, parse || !p.Live
		cold = cold || p.Method == Instructions && p.Cache == "cold"
		beyond = beyond || (p.Method == Instructions || p.Method == Clock) && p.Octets > mostCounted
	}
	if parse {
		a.note("brackets are of the parser alone on one core: driver, kernel and copying of live frames come on top of it, and can be the limit before it")
	}
	if live {
		a.note("published rows: %s", published.Source)
		a.note("published rows have live capture in them (kernel, libpcap, the loop in Python): of dpkt's and Scapy's cost per packet parsing alone "+
			"is %.0f to %.0f %%, by its share on an x86-64 machine; of PyShark's the share is not known", 100/LiveHigh, 100/LiveLow)
	}
	if cold {
		a.note("instruction counts see no caches: for cold frames up to %d lines of memory at the board's published latency are added, "+
			"and of engines that copy the copying from memory", coldLinesHigh)
	}
	if a.Port.Wireless {
		a.note("the line rate is of octets, as others measured it: a wireless link carries far fewer small frames")
	}
	if a.Port.UpperBound() && a.Port.BusBitsPerSecond > 0 {
		a.note("the line rate is at most that: it is by the bus's documented rate, and published measurements are lower (224 Mbit/s of 300 on a Pi 3B+)")
	}
	if beyond {
		a.note("beyond frames of 1518 B instructions were not counted: they go on as they rise from 512 to 1518 B")
	}
}

// noteUnsteady takes the label of calibrated from what rests on a file most of whose cells have repeats that lie far apart: its other
// numbers, of engines and micro-kernels, are of the same minutes.
func (a *Answer) noteUnsteady(where string, f *calibration.File) {
	if cells := unsteady(f); 2*cells > len(f.Cells) {
		a.doubtful = true
		a.note("calibration %s: repeats of %d of %d cells differ by more than %.0f %%: nothing by it is called calibrated", where, cells, len(f.Cells), 100*unsteadyCell)
	}
}

func (a *Answer) noteDoubts(where string, f *calibration.File) {
	for _, d := range f.Doubts {
		a.note("calibration %s: %s", where, d)
	}
}

func (a *Answer) noteCells(where string, k *kit) {
	if len(k.allFeed) > 0 {
		a.note("calibration %s: left out, because the feed's part is not less than the whole cost: %s", where, strings.Join(k.allFeed, "; "))
	}
}

func (a *Answer) notePair(home, there *calibration.File) {
	h, t := &home.Environment, &there.Environment
	if alike(h, t) {
		a.doubtful = true
		a.note("both calibrations are of machines that look the same (%v): the ratio shows little but noise, and nothing by it is called calibrated", h)
	}
	if home.Version != there.Version {
		a.note("the calibrations are by pcaplab %s here and %s there: engines may have changed between them", home.Version, there.Version)
	}
}

// noteUnused says what was given and does not count, or does not fit together.
func (a *Answer) noteUnused(q *Question, given, native bool) {
	r := q.home().env
	if native {
		a.note("the results were made on such a board (%v): they are measurements, and nothing is carried", &r)
		return
	}
	switch {
	case q.Home == nil:
	case q.There == nil && given:
		a.note("the calibration of this machine is not used: without one of the board there is no ratio")
	case q.There != nil && !given:
		a.note("the calibration of this machine is not used: what the board's own measured is nearer; give results of this machine to carry them")
	case given && !alike(&q.Home.Environment, &r):
		a.doubtful = true
		a.note("the results (%v) and the calibration of this machine (%v) do not look like one machine: then the ratio is not theirs, and nothing by it is called calibrated",
			&r, &q.Home.Environment)
	}
}

// measured takes the cells of the board's own calibration.
func (a *Answer) measured(f *calibration.File, wanted func(string) bool) {
	k := newKit(f)
	a.noteCells("there", k)
	for _, engine := range f.Plan.Engines {
		if !wanted(engine) {
			continue
		}
		for _, size := range f.Plan.Sizes {
			for _, cache := range f.Plan.Caches {
				p, ok := k.at(engine, size, cache)
				if !ok {
					continue
				}
				m := k.margin(p)
				a.add(Prediction{Engine: engine, Size: size, Octets: p.octets, Cache: cache, Method: Measured,
					Bracket: Bracket{p.alone / m, float64(p.alone * m)}})
			}
		}
	}
}
