package feature

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"pcaplab/parse"
)

// Cutter says where windows end. The zero value is not usable.
type Cutter struct {
	rows  int   // of a window; 0 with a time
	time  int64 // ns
	n     int   // rows in the window
	begun bool  // end is set
	end   int64 // of the window in time, ns since 1970
}

// NewCutter returns a cutter before the first row. The span must have passed Check.
func NewCutter(span Span) *Cutter {
	c := &Cutter{rows: span.rows(), time: int64(span.Time)}
	if span.Time > 0 {
		c.rows = 0
	}
	return c
}

// Rows returns how many rows the window under way holds.
func (c *Cutter) Rows() int { return c.n }

// Restart begins anew, as at the start of a capture or piece.
func (c *Cutter) Restart() { c.n, c.begun = 0, false }

// Row counts a row. before says that the window under way, which holds rows, ends before it; after says that the window
// ends with it. Times that run backwards stay in the window under way; a window of time without rows is none.
func (c *Cutter) Row(r *Row) (before, after bool) {
	if c.time == 0 {
		if c.n++; c.n == c.rows {
			c.n = 0
			return false, true
		}
		return false, false
	}
	switch {
	case !c.begun:
		c.begun, c.end = true, plus(r.Nano, c.time)
	case r.Nano >= c.end && c.end != math.MaxInt64:
		before = c.n > 0
		c.n = 0
		late := uint64(r.Nano) - uint64(c.end)
		c.end = plus(r.Nano, c.time-int64(late%uint64(c.time)))
	}
	c.n++
	return before, false
}

// plus adds b, which is positive, and stops at the greatest int64.
func plus(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return math.MaxInt64
}

// Config is how an Extractor works. The zero value is AsExtractor with windows of 10 rows.
type Config struct {
	DecoderConfig
	Span Span
	// Emit, if set, gets each vector that Process closes. It must not keep it.
	Emit func(*Vector)
}

// Extractor makes vectors of frames. It is a parse.Stage with counts. It belongs to one goroutine.
type Extractor struct {
	dec     *Decoder
	cut     *Cutter
	win     *Window
	emit    func(*Vector)
	row     Row
	vector  Vector
	vectors uint64
}

// New returns an extractor at the start of a capture, with all the memory that it will use.
func New(cfg Config) (*Extractor, error) {
	win, err := NewWindow(cfg.As, cfg.Span, cfg.Clock.Decimal)
	if err != nil {
		return nil, err
	}
	return &Extractor{dec: NewDecoder(cfg.DecoderConfig), cut: NewCutter(cfg.Span), win: win, emit: cfg.Emit}, nil
}

// Add takes a frame, and what an engine found in it (see Decoder.Decode), and reports whether a window ended: Vector then
// returns its summary, until the next call. It may be the window before the frame.
func (x *Extractor) Add(f *parse.Frame, p *parse.Packet) (closed bool) {
	o, newPiece := x.dec.Decode(f, p, &x.row)
	if newPiece {
		closed = x.Flush()
	}
	if o != MadeRow {
		return closed
	}
	before, after := x.cut.Row(&x.row)
	if before {
		x.close()
	}
	x.win.Add(&x.row)
	if after {
		x.close()
	}
	return closed || before || after
}

func (x *Extractor) close() {
	x.win.Close(&x.vector)
	x.vectors++
}

// SetClock changes the clock, as between interfaces of a capture. A window under way ends as it began.
func (x *Extractor) SetClock(c Clock) {
	x.dec.SetClock(c)
	if x.win.Rows() == 0 {
		x.win.SetDecimal(c.Decimal)
	}
}

// Flush ends the window under way and reports whether it held rows: as at the end of a capture.
func (x *Extractor) Flush() bool {
	x.cut.Restart()
	if x.win.Rows() == 0 {
		return false
	}
	x.close()
	return true
}

// Vector returns the summary of the window that ended last. It is overwritten when the next one ends.
func (x *Extractor) Vector() *Vector { return &x.vector }

// Vectors returns how many windows ended.
func (x *Extractor) Vectors() uint64 { return x.vectors }

// Counters returns how many frames had which outcome.
func (x *Extractor) Counters() Counters { return x.dec.Counters() }

// Reset drops the window under way and begins a capture anew. The counts go on.
func (x *Extractor) Reset() {
	x.dec.Reset()
	x.cut.Restart()
	x.win.Reset()
}

// Process is Add for a pipeline. It never fails.
func (x *Extractor) Process(f *parse.Frame, p *parse.Packet) error {
	if x.Add(f, p) && x.emit != nil {
		x.emit(&x.vector)
	}
	return nil
}

// Counts returns the counts by name, for records (parse.Counting).
func (x *Extractor) Counts() map[string]uint64 {
	counts := map[string]uint64{"vectors": x.vectors}
	for o, n := range x.dec.s.Counters {
		counts[Outcome(o).Name()] = n
	}
	return counts
}

// ParseSpan reads a window as flags spell it: a number of rows, or a time such as 1s or 500ms.
func ParseSpan(s string) (Span, error) {
	var span Span
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 {
			return span, fmt.Errorf("window %q: at least one row", s)
		}
		span.Rows = n
		return span, span.Check()
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return span, fmt.Errorf("window %q: want a number of rows such as 10, or a time such as 1s", s)
	}
	span.Time = d
	return span, nil
}
