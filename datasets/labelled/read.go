package labelled

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// kept is a row in memory.
type kept struct {
	values  [feature.NumColumns]float64
	label   string
	nano    int64
	covered time.Duration
	rows    int32
}

const (
	keptOctets  = 8*feature.NumColumns + 40
	keptInBlock = 256
	checkEvery  = 1024 // rows between looks at the context and the progress
)

// read passes all rows of source i, from memory if they are there.
func (p *pool) read(ctx context.Context, i int, read func(int64), f func(*Row) error) error {
	s := p.sources[i]
	row := Row{Source: i}
	if s.kept != nil {
		for _, block := range s.kept {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			for j := range block {
				k := &block[j]
				row.Values, row.Label, row.Nano, row.Covered, row.Rows = k.values, k.label, k.nano, k.covered, int(k.rows)
				row.Number++
				if err := f(&row); err != nil {
					return err
				}
			}
		}
		return nil
	}
	k := keeper{pool: p, source: s, on: !s.tooLarge && p.left > 0}
	defer k.drop()
	sum := &SourceSummary{Path: s.Path, Table: s.table, Synthetic: s.Synthetic, Passed: s.extra}
	var first, last int64
	each := func() error {
		row.Number++
		if row.Nano != 0 {
			if first == 0 {
				first, last = row.Nano, row.Nano
			}
			first, last = min(first, row.Nano), max(last, row.Nano)
		}
		k.add(&row)
		return f(&row)
	}
	var err error
	if s.table {
		err = p.readTable(ctx, s, &row, sum, read, each)
	} else {
		err = p.readCapture(ctx, s, &row, sum, read, each)
	}
	if err != nil {
		return err
	}
	sum.Vectors = row.Number
	if first != 0 {
		sum.First, sum.Last = time.Unix(0, first).UTC(), time.Unix(0, last).UTC()
	}
	s.summary = sum
	k.done()
	return nil
}

// keeper keeps the rows of a source while they are read.
type keeper struct {
	*pool
	*source
	on     bool
	blocks [][]kept
	taken  int64
	n      int
}

func (k *keeper) add(r *Row) {
	if !k.on {
		return
	}
	last := len(k.blocks) - 1
	if last < 0 || len(k.blocks[last]) == keptInBlock {
		const octets = keptInBlock * keptOctets
		if k.left < octets {
			k.tooLarge = true
			k.drop()
			return
		}
		k.left -= octets
		k.taken += octets
		k.blocks = append(k.blocks, make([]kept, 0, keptInBlock))
		last++
	}
	k.blocks[last] = append(k.blocks[last], kept{r.Values, r.Label, r.Nano, r.Covered, int32(r.Rows)})
	k.n++
}

// drop gives back what was kept, unless it is done.
func (k *keeper) drop() {
	k.left += k.taken
	k.on, k.blocks, k.taken = false, nil, 0
}

// done makes what was kept the rows of the source.
func (k *keeper) done() {
	if k.on {
		k.kept, k.rows = k.blocks, k.n
		if k.kept == nil {
			k.kept = [][]kept{}
		}
		k.taken = 0
	}
}

// readTable passes the rows of a table.
func (p *pool) readTable(ctx context.Context, s *source, row *Row, sum *SourceSummary, read func(int64), each func() error) error {
	file, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	octets := counted{ReaderAt: file}
	r, err := vectorio.NewReader(&octets, s.size, s.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	var rec vectorio.Record
	var label, from string // from is what label was made of
	if !s.labelled {
		if label, err = p.relabel(s.Label); err != nil {
			return fmt.Errorf("%s: %w", s.Path, err)
		}
	}
	for {
		err := r.Next(&rec)
		switch {
		case err == io.EOF:
			if r.Unterminated() {
				sum.Losses = append(sum.Losses, fmt.Sprintf("row %d, the last, ends without a line feed: its last field may be cut", r.Rows()))
			}
			return nil
		case err != nil && p.cfg.Salvage && errors.Is(err, vectorio.ErrCutRow):
			sum.Losses = append(sum.Losses, err.Error())
			return nil
		case err != nil:
			return err
		}
		if r.Rows()%checkEvery == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			read(octets.octets)
		}
		if s.labelled && (rec.Label != from || from == "") {
			from = rec.Label
			if label, err = p.relabel(from); err != nil {
				return &vectorio.RowError{Name: s.Path, Row: r.Rows(), Column: vectorio.LabelColumn, Err: err}
			}
		}
		row.Values, row.Label = rec.Values, label
		row.Rows = 0
		if n := rec.Values[feature.Number]; n >= 1 && n <= math.MaxInt32 && n == math.Trunc(n) {
			row.Rows = int(n)
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// readCapture passes the windows of a capture.
func (p *pool) readCapture(ctx context.Context, s *source, row *Row, sum *SourceSummary, read func(int64), each func() error) (err error) {
	src := extract.Source{Path: s.Path, Span: s.Span}
	var label string
	if s.Truth == "" && !s.TruthOfFrames {
		if label, err = p.relabel(s.Label); err != nil {
			return fmt.Errorf("%s: %w", s.Path, err)
		}
	}
	told := teller{marks: marks{pool: p}, capture: s.Path, name: s.Truth}
	visit := extract.Visitor{Read: read}
	src.Open = s.Open
	switch {
	case s.TruthOfFrames && s.Open != nil:
		src.Open = func() (extract.Frames, error) {
			frames, err := s.Open()
			if err == nil {
				var ok bool
				if told.frames, ok = frames.(tellingFrames); !ok {
					err = fmt.Errorf("%s: its frames do not say what they are", s.Path)
				}
			}
			return frames, err
		}
		visit.Frame = func(*parse.Frame) error { return told.Frame() }
	case s.Truth != "":
		if err := told.open(); err != nil {
			return err
		}
		defer told.Close()
		visit.Frame = func(*parse.Frame) error { return told.Frame() }
	}
	var now clock
	visit.Row = func(r *feature.Row) {
		now.at(r.Nano)
		if visit.Frame != nil {
			told.Row()
		}
	}
	n := 0
	visit.Vector = func(v *feature.Vector) error {
		if n++; n%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row.Values, row.Label = v.Values, label
		row.Rows = int(v.Values[feature.Number])
		row.Nano, row.Covered = now.last, now.take()
		switch {
		case visit.Frame != nil:
			row.Label = told.Window()
		case p.cfg.Attackers != nil && !enough(v.AttackRows, row.Rows, p.cfg.TruthShare):
			row.Label = p.cfg.Benign
		}
		return each()
	}
	seen, err := extract.Each(ctx, extract.Config{As: p.cfg.As, Attackers: p.cfg.Attackers, Salvage: p.cfg.Salvage}, src, visit)
	if err == nil {
		err = told.End(seen.Losses)
	} else if s.Truth == "" && !p.cfg.Salvage { // behind what is skipped a table cannot be followed
		err = datasets.Explain(err)
	}
	sum.Frames, sum.NoRow, sum.Losses = seen.Frames, seen.NoRow, seen.Losses
	if seen.Behind != "" {
		sum.Losses = append(sum.Losses, seen.Behind)
	}
	return err
}

// enough reports whether so many rows of a window are an attack's that the window is.
func enough(attack, rows int, share float64) bool {
	return attack > 0 && float64(attack) >= share*float64(rows)
}

// clock sums up how long a capture is.
type clock struct {
	latest, last int64
	covered      int64
	begun        bool
}

func (c *clock) at(nano int64) {
	c.last = nano
	if !c.begun {
		c.begun, c.latest = true, nano
		return
	}
	// The distance of two int64 may not be one.
	forward := nano > c.latest
	d := uint64(nano) - uint64(c.latest)
	if !forward {
		d = -d
	}
	switch {
	case d > uint64(MaxGap):
		c.latest = nano
	case forward:
		c.covered += int64(d)
		c.latest = nano
	}
}

// take returns what was summed up since the last call.
func (c *clock) take() time.Duration {
	d := c.covered
	c.covered = 0
	return time.Duration(d)
}

// tellingFrames say what the frame given last is.
type tellingFrames interface {
	Class() string
	Attack() bool
}

// marks count what the rows of a window are.
type marks struct {
	*pool
	frames  tellingFrames
	packets uint64
	class   string // as the truth has it, of the frame before
	label   string // of class
	is      string // label of the frame if it is an attack's; else ""
	counts  []labelRows
}

type labelRows struct {
	label string
	rows  int
}

// of takes what a frame is. Where it is not known whether it is an attack's, its class decides, which is that of its file.
func (m *marks) of(class string, attack truth.Attack) (err error) {
	if class != m.class || m.label == "" {
		if strings.TrimSpace(class) == "" {
			return errors.New("has no class")
		}
		if m.label, err = m.relabel(class); err != nil {
			return err
		}
		m.class = class
	}
	m.is = m.label
	if attack == truth.No || attack == truth.Unknown && m.label == m.cfg.Benign {
		m.is = ""
	}
	return nil
}

func (m *marks) ofFrames() error {
	attack := truth.No
	if m.frames.Attack() {
		attack = truth.Yes
	}
	return m.of(m.frames.Class(), attack)
}

// row counts the frame in the window.
func (m *marks) row() {
	if m.is == "" {
		return
	}
	if i := slices.IndexFunc(m.counts, func(c labelRows) bool { return c.label == m.is }); i >= 0 {
		m.counts[i].rows++
		return
	}
	m.counts = append(m.counts, labelRows{m.is, 1})
}

// take returns the label of a window of so many rows: the most frequent of its attack rows, the first to come of several,
// if they are enough.
func (m *marks) take(rows int) string {
	label, most, all := m.cfg.Benign, 0, 0
	for _, c := range m.counts {
		all += c.rows
		if c.rows > most {
			label, most = c.label, c.rows
		}
	}
	m.counts = m.counts[:0]
	if !enough(all, rows, m.cfg.TruthShare) {
		return m.cfg.Benign
	}
	return label
}
