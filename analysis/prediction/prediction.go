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
)

// Method is how a bracket came about.
type Method string

// The methods, from narrow to wide.
const (
	// Measured is a cell of the board's own calibration.
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

func (b Bracket) valid() bool {
	return b.LowNS > 0 && b.HighNS >= b.LowNS && !math.IsInf(b.HighNS, 0)
}

// Limit is what ends a board's rate first.
type Limit string

// The limits.
const (
	LimitPort    Limit = "port"    // the line rate is below the whole bracket
	LimitParser  Limit = "parser"  // it is above the whole bracket
	LimitEither  Limit = "either"  // it is within the bracket
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
	// Calibrated says that something measured on such a board is behind it (its calibration, or published rows), and that its
	// width is CalibratedWidth at most.
	Calibrated bool `json:"calibrated"`
	// Live says that the cost has live capture in it: kernel, libpcap and the loop around the parser.
	Live    bool    `json:"live_capture"`
	LinePPS float64 `json:"line_pps"` // of the board's port at this size; 0 is not known
	Limit   Limit   `json:"limit"`
	// Notes say what the bracket rests on, and what it cannot see.
	Notes []string `json:"notes,omitempty"`
}

// Answer is what Predict found.
type Answer struct {
	Board       string       `json:"board"` // its name, or what its calibration says it is
	Model       string       `json:"model,omitempty"`
	Arch        string       `json:"arch,omitempty"` // of the program there, where instructions count
	Core        *Core        `json:"core,omitempty"` // where cycles per instruction count
	Port        Port         `json:"port"`
	From        string       `json:"from"` // what the predictions start from
	Predictions []Prediction `json:"predictions"`
	Notes       []string     `json:"notes,omitempty"` // on all of them
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
	Arch     string             // of the program there; empty: the board's
	Port     *Port              // of the board; nil: the published one
}

// Errors that a caller can act on.
var (
	ErrNoBoard = errors.New("no board: want its name or its calibration")
	ErrNoHome  = errors.New("results of this machine and a calibration of the board need a calibration of this machine too")
	ErrSame    = errors.New("both calibrations are the same one")
)

// Predict answers a question: predictions in the order of the engines, sizes and caches of what they start from. It is an
// error where nothing can be predicted, and why.
func Predict(q Question) (*Answer, error) {
	a := &Answer{}
	if err := a.place(&q); err != nil {
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
		}
		a.noteDoubts("there", q.There)
	}
	if q.Home != nil {
		a.noteDoubts("here", q.Home)
	}
	costs := a.costs(&q)
	a.noteUnused(&q, len(costs) > 0)
	wanted := func(engine string) bool { return len(q.Engines) == 0 || slices.Contains(q.Engines, engine) }
	switch {
	case q.There != nil && len(costs) == 0:
		a.From = "the board's own calibration"
		a.measured(q.There, wanted)
	case q.There != nil && p == nil:
		return nil, ErrNoHome
	case q.There != nil:
		for _, c := range costs {
			if wanted(c.engine) {
				a.add(p.predict(c))
			}
		}
	case len(costs) > 0:
		b := carrier{board: q.Board, arch: a.Arch, costs: costs, home: homeOf(&q)}
		a.Core = &q.Board.Core
		for _, c := range costs {
			if wanted(c.engine) {
				a.add(b.predict(c)...)
			}
		}
	default:
		a.From = "instructions per packet, as counted under an emulator"
		a.Core = &q.Board.Core
		a.builtin(q.Board, wanted)
	}
	if len(a.Predictions) == 0 {
		return nil, fmt.Errorf("nothing to predict from: no %sengine with one worker and a cost was found", strings.Join(q.Engines, " or ")+space(len(q.Engines) > 0))
	}
	for _, engine := range q.Engines {
		if !slices.ContainsFunc(a.Predictions, func(p Prediction) bool { return p.Engine == engine }) {
			a.note("%s: nothing here to predict it from", engine)
		}
	}
	a.finish()
	return a, nil
}

func space(yes bool) string {
	if yes {
		return " "
	}
	return ""
}

// place finds which board it is.
func (a *Answer) place(q *Question) error {
	if q.There != nil {
		e := &q.There.Environment
		of := boardOf(e.Board)
		switch {
		case q.Board == nil:
			q.Board = of
		case of != nil && of.Name != q.Board.Name:
			return fmt.Errorf("the calibration is of a %s (%s), not of a %s", of.Model, of.Name, q.Board.Model)
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
	if q.Port != nil {
		a.Port = *q.Port
	}
	return nil
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
			p.Calibrated = p.Width() <= CalibratedWidth
		}
		p.Limit = LimitUnknown
		if line := a.Port.PPS(p.Octets); line > 0 && p.Octets > 0 {
			p.LinePPS = line
			switch {
			case line < p.LowPPS:
				p.Limit = LimitPort
			case line > p.HighPPS:
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
	live, parse, cold := false, false, false
	for i := range a.Predictions {
		p := &a.Predictions[i]
		live, parse = live || p.Live, parse || !p.Live
		cold = cold || p.Method == Instructions && p.Cache == "cold"
	}
	if parse {
		a.note("brackets are of the parser alone on one core: driver, kernel and copying of live frames come on top of it")
	}
	if live {
		a.note("published rows: %s", published.Source)
		a.note("published rows have live capture in them (kernel, libpcap, the loop in Python): of a sniffer's cost per packet parsing alone "+
			"is %.0f to %.0f %%, by its share on an x86-64 machine", 100/LiveHigh, 100/LiveLow)
	}
	if cold {
		a.note("instruction counts see no caches: for cold frames up to %d lines of memory at the board's published latency are added, "+
			"and of engines that copy the copying from memory", coldLinesHigh)
	}
	if a.Port.Wireless {
		a.note("the line rate is of octets, as others measured it: a wireless link carries far fewer small frames")
	}
}

func (a *Answer) noteDoubts(where string, f *calibration.File) {
	for _, d := range f.Doubts {
		a.note("calibration %s: %s", where, d)
	}
}

func (a *Answer) notePair(home, there *calibration.File) {
	h, t := &home.Environment, &there.Environment
	if h.String() == t.String() && h.Arch == t.Arch {
		a.note("both calibrations are of machines that look the same (%v): the ratio shows little but noise", h)
	}
	if home.Version != there.Version {
		a.note("the calibrations are by pcaplab %s here and %s there: engines may have changed between them", home.Version, there.Version)
	}
}

// noteUnused says what was given and does not count, or does not fit together.
func (a *Answer) noteUnused(q *Question, costs bool) {
	switch {
	case q.Home == nil:
	case q.There == nil && (q.Results != nil || q.Scenario != nil):
		a.note("the calibration of this machine is not used: without one of the board there is no ratio")
	case q.There != nil && !costs:
		a.note("the calibration of this machine is not used: what the board's own measured is nearer; give results of this machine to carry them")
	case q.Results != nil:
		h, r := &q.Home.Environment, &q.Results.Header.Environment
		if h.CPU != r.CPU || h.Arch != r.Arch || h.Board != r.Board {
			a.note("the results (%v) and the calibration of this machine (%v) do not look like one machine: then the ratio is not theirs", r, h)
		}
	}
}

// measured takes the cells of the board's own calibration.
func (a *Answer) measured(f *calibration.File, wanted func(string) bool) {
	k := newKit(f)
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
