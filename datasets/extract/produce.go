package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"pcaplab/datasets"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// position is a place in the sources from which a run can go on: the state between two batches.
type position struct {
	Source int    `json:"source"`
	Frames uint64 `json:"frames"` // of the source, read before
	// Decoder and Vectors are the state of the source there; zero at its start.
	Decoder     feature.DecoderState `json:"decoder"`
	Vectors     uint64               `json:"vectors"`
	FirstFault  uint64               `json:"first_fault,omitempty"`
	NotEthernet uint64               `json:"not_ethernet,omitempty"`
	Endless     uint64               `json:"no_duration,omitempty"`
}

// batch is a run of rows whose last window is whole, or vectors where windows are long.
type batch struct {
	source  *sourceRun
	number  int // in the source, from 0
	rows    []feature.Row
	ends    []int            // of the windows in rows
	vectors []feature.Vector // instead of rows, or made of them
	labels  []string         // of the vectors, where the source tells them
	text    []byte           // lines of them, with CSV
	after   position         // where the source is behind the batch
	last    bool             // of the source
	vecs    uint64           // in the batch
	endless uint64
}

func (b *batch) reset(s *sourceRun, number int) {
	b.source, b.number = s, number
	b.rows, b.ends, b.vectors, b.labels, b.text = b.rows[:0], b.ends[:0], b.vectors[:0], b.labels[:0], b.text[:0]
	b.last, b.vecs, b.endless = false, 0, 0
}

const (
	batchVectors = 1024     // in a batch, about
	batchRows    = 16 << 10 // in a batch, about
	longWindow   = 4 << 10  // rows; longer windows are summarised while reading
	checkEvery   = 1024     // frames between looks at the context
)

// producer reads a source and cuts it into batches.
type producer struct {
	*sourceRun
	ctx     context.Context
	frames  Frames
	capture *datasets.Capture // nil for frames that are no capture
	teller  Teller            // nil: all vectors have the label of the source
	dec     *feature.Decoder
	cut     *feature.Cutter
	window  *feature.Window // of long windows
	full    int             // rows of a full batch
	batch   *batch
	number  int
	at      position
	engine  map[parse.LinkType]parse.Parser
	packet  parse.Packet
	iface   int
	told    int64
	read    uint64
	silent  bool   // tells no progress
	rows    uint64 // of a part: rows of the capture before the frames that count
}

// errStopped says that the run was cancelled.
var errStopped = errors.New("stopped")

// fatalError is one that damage of a capture is not: the run ends.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// produce reads the source from a position on. Faults of the capture end it early and are kept.
func (s *sourceRun) produce(ctx context.Context, at position) {
	p := &producer{sourceRun: s, ctx: ctx, at: at, iface: -1}
	if s.replay != nil {
		if err := p.replayed(); err != nil && !errors.Is(err, errStopped) {
			s.job.failed(err)
		}
		return
	}
	defer func() {
		if p.capture != nil { // the run was stopped
			p.capture.Close()
		}
		if p.teller != nil {
			p.teller.Close()
		}
	}()
	err := p.run()
	if errors.Is(err, errStopped) || ctx.Err() != nil {
		return
	}
	var fatal fatalError
	if errors.As(err, &fatal) {
		s.job.failed(fatal.error)
		return
	}
	if err != nil && s.part != nil { // the manifest says that it is whole
		s.job.failed(err)
		return
	}
	if err != nil {
		s.fault = err
		s.summary.Error = err.Error()
	}
	// The summary is complete before the last batch tells the order that the source has ended.
	p.close()
}

func (p *producer) run() error {
	lost := map[uint64]bool{}
	if p.job.cfg.Strict {
		var err error
		if lost, err = p.findLost(); err != nil {
			return err
		}
		p.summary.Lost = slices.Sorted(maps.Keys(lost))
	}
	if err := p.begin(lost); err != nil {
		return err
	}
	if p.Tell != nil {
		var frames Frames
		if p.Open != nil {
			frames = p.frames
		}
		var err error
		if p.teller, err = p.Tell(frames); err != nil {
			return fatalError{err}
		}
	}
	if p.part != nil {
		if err := p.enter(); err != nil {
			return err
		}
	} else if p.at.Frames > 0 {
		if err := p.skip(p.at.Frames); err != nil {
			return err
		}
		p.dec.SetState(p.at.Decoder)
	}
	err := p.walk()
	if p.part == nil {
		if err == nil && p.teller != nil {
			if err = p.teller.End(p.losses()); err != nil {
				err = fatalError{err}
			}
		}
		return err
	}
	if err != nil {
		return p.changed(err)
	}
	return p.part.ended(p.Path, p.at.Frames)
}

// begin opens the source at its start.
func (p *producer) begin(lost map[uint64]bool) (err error) {
	cfg := &p.job.cfg
	if p.frames, p.capture, err = p.open(!p.silent); err != nil {
		p.capture = nil
		if p.part == nil {
			err = fatalError{err} // no damage: it is no capture
		}
		return err
	}
	p.dec = feature.NewDecoder(feature.DecoderConfig{
		As: cfg.As, Attackers: cfg.Attackers, Lost: lost, Clock: feature.Clock{Decimal: p.capture == nil},
	})
	p.decimal = p.capture == nil && cfg.As == feature.AsExtractor
	p.cut = feature.NewCutter(p.Span)
	rows := p.Span.Rows
	if rows == 0 {
		rows = feature.DefaultRows
	}
	p.full = min(batchVectors*rows, batchRows)
	if p.long() {
		if p.window, err = feature.NewWindow(cfg.As, p.Span, p.decimal); err != nil {
			return err
		}
	}
	if cfg.As == feature.AsFixed {
		p.engine = make(map[parse.LinkType]parse.Parser)
	}
	return nil
}

// interfaces takes over what the interface of the frame delivered last says.
func (p *producer) interfaces() {
	p.iface = p.capture.Interface()
	i := p.capture.Described()
	clock := ClockOf(p.capture.Container(), i)
	p.dec.SetClock(clock)
	p.dec.SetSnaplen(i.Snaplen)
	if decimal := clock.Decimal && p.job.cfg.As == feature.AsExtractor; decimal != p.decimal {
		p.decimal = decimal // all interfaces of a container agree: only a classic pcap is decimal
		if p.window != nil {
			p.window.SetDecimal(decimal)
		}
	}
}

// next reads a frame and reports whether there is one to decode.
func (p *producer) next(f *parse.Frame) (usable bool, err error) {
	if p.read++; p.read%checkEvery == 0 {
		if p.ctx.Err() != nil {
			return false, errStopped
		}
		p.tell()
	}
	if err := p.frames.Next(f); err != nil {
		return false, err
	}
	if p.capture == nil {
		return true, nil
	}
	if p.capture.Interface() != p.iface {
		p.interfaces()
	}
	if !p.capture.Timed() {
		switch {
		case p.job.cfg.As == feature.AsExtractor:
			p.dec.Skip(feature.NoRowUntimed)
			return false, nil
		case p.job.cfg.As.Pieces():
			f.UnixNano = 0 // as libpcap has it
		}
	}
	return true, nil
}

// tell adds to the octets read.
func (p *producer) tell() {
	if p.capture != nil && !p.silent {
		now := p.capture.StoredOctets()
		p.job.done.Add(now - p.told)
		p.told = now
	}
}

// skip reads frames that an earlier run has done.
func (p *producer) skip(frames uint64) error {
	var f parse.Frame
	for n := range frames {
		if _, err := p.next(&f); errors.Is(err, errStopped) {
			return err
		} else if err != nil {
			return fmt.Errorf("%s: ends at frame %d of %d that an earlier run had read: it is another file now; run without resuming", p.Path, n, frames)
		}
		if err := p.tellFrame(); err != nil {
			return err
		}
	}
	return nil
}

// tellFrame tells the teller of a frame.
func (p *producer) tellFrame() error {
	if p.teller == nil {
		return nil
	}
	if err := p.teller.Frame(); err != nil {
		return fatalError{err}
	}
	return nil
}

// label gives the window that ends its label.
func (p *producer) label() {
	if p.teller != nil {
		p.batch.labels = append(p.batch.labels, p.teller.Window())
	}
}

// losses are what salvage skipped.
func (p *producer) losses() (list []string) {
	if p.capture != nil {
		for _, l := range p.capture.Losses() {
			list = append(list, l.String())
		}
	}
	return list
}

// decode decodes f into r.
func (p *producer) decode(f *parse.Frame, r *feature.Row) (feature.Outcome, bool) {
	if f.Link != parse.LinkEthernet {
		p.at.NotEthernet++
	}
	if p.engine == nil {
		return p.dec.Decode(f, nil, r)
	}
	parser, known := p.engine[f.Link]
	if !known {
		parser, _ = parse.DirectEngine().New(f.Link) // nil where it knows no such link type
		p.engine[f.Link] = parser
	}
	if parser == nil || parser.Parse(f, &p.packet) != nil {
		return p.dec.Decode(f, nil, r)
	}
	return p.dec.Decode(f, &p.packet, r)
}

// walk reads to the end.
func (p *producer) walk() error {
	if err := p.take(); err != nil {
		return err
	}
	var f parse.Frame
	var row feature.Row
	for {
		if p.part != nil {
			if over, err := p.leave(); over || err != nil {
				return err
			}
		}
		usable, err := p.next(&f)
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		p.at.Frames++
		if err := p.tellFrame(); err != nil {
			return err
		}
		if !usable {
			continue
		}
		o, newPiece := p.decode(&f, &row)
		if newPiece {
			p.end()
		}
		if o != feature.MadeRow {
			if o == feature.Fault && p.at.FirstFault == 0 {
				p.at.FirstFault = p.at.Frames
			}
			continue
		}
		before, after := p.cut.Row(&row)
		if p.window != nil {
			if before {
				p.summarise()
			}
			p.window.Add(&row)
			if p.teller != nil {
				p.teller.Row()
			}
			if after {
				p.summarise()
			}
			if len(p.batch.vectors) >= batchVectors {
				if err := p.send(); err != nil {
					return err
				}
			}
			continue
		}
		p.batch.rows = append(p.batch.rows, row)
		if p.teller != nil {
			p.teller.Row()
		}
		if after {
			p.batch.ends = append(p.batch.ends, len(p.batch.rows))
			p.label()
			if len(p.batch.rows) >= p.full {
				if err := p.send(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// end ends the window under way, if it holds rows.
func (p *producer) end() {
	if p.cut.Rows() > 0 {
		if p.window != nil {
			p.summarise()
		} else {
			p.batch.ends = append(p.batch.ends, len(p.batch.rows))
			p.label()
		}
	}
	p.cut.Restart()
}

// summarise closes a long window.
func (p *producer) summarise() {
	b := p.batch
	b.vectors = append(b.vectors, feature.Vector{})
	v := &b.vectors[len(b.vectors)-1]
	p.window.Close(v)
	p.label()
	if p.decimal && v.RateNano == 0 {
		b.endless++
	}
}

// yieldFor is how long a source behind the head waits before it looks again whether workers are idle.
const yieldFor = 200 * time.Microsecond

// take gets an empty batch. What a source behind the head makes is spilled, so it makes some only where the head leaves the
// workers idle.
func (p *producer) take() error {
	for p.job.pending.Load() >= int64(p.job.cfg.Workers) && !p.job.order.isHead(p.index) {
		if p.ctx.Err() != nil {
			return errStopped
		}
		time.Sleep(yieldFor)
	}
	select {
	case p.batch = <-p.job.free:
		p.batch.reset(p.sourceRun, p.number)
		p.number++
		return nil
	case <-p.ctx.Done():
		return errStopped
	}
}

// send hands the batch to the workers and takes another.
func (p *producer) send() error {
	p.post()
	return p.take()
}

func (p *producer) post() {
	p.at.Decoder = p.dec.State()
	p.batch.after = p.at
	p.job.pending.Add(1)
	p.job.work <- p.batch // never full: it has room for all batches
	p.batch = nil
}

// close ends the source: it sends what is left and completes the summary.
func (p *producer) close() {
	if p.batch == nil && p.take() != nil {
		return
	}
	if p.dec != nil {
		p.end()
	} else {
		p.dec = feature.NewDecoder(feature.DecoderConfig{})
	}
	sum := &p.summary
	sum.count(p.dec.Counters())
	sum.FirstFault, sum.NotEthernet = p.at.FirstFault, p.at.NotEthernet
	if p.job.cfg.As.Pieces() {
		sum.Pieces = p.dec.Piece() + 1
	}
	if c := p.capture; c != nil {
		sum.Losses, sum.Behind = p.losses(), c.Behind()
		if p.job.cfg.Hash && p.part == nil {
			digest, err := c.SHA256()
			sum.SHA256 = digest
			p.blame(err)
		}
		p.tell()
		sum.StoredOctets = c.StoredOctets()
		p.blame(c.Close())
		p.capture = nil
	}
	p.batch.last = true
	p.post()
}

// blame keeps an error of the end of a capture.
func (p *producer) blame(err error) {
	if err != nil {
		p.fault = errors.Join(p.fault, err)
		p.summary.Error = p.fault.Error()
	}
}

// findLost reads the source once and returns the pieces that the scripts lose.
func (p *producer) findLost() (map[uint64]bool, error) {
	lost := map[uint64]bool{}
	q := &producer{sourceRun: &sourceRun{Source: p.Source, job: p.job}, ctx: p.ctx, iface: -1, silent: true}
	if err := q.begin(nil); err != nil {
		return nil, err
	}
	if q.part != nil {
		if err := q.enter(); err != nil {
			return nil, err
		}
	}
	if q.capture != nil {
		defer q.capture.Close()
	}
	window, err := feature.NewWindow(p.job.cfg.As, p.Span, q.decimal)
	if err != nil {
		return nil, err
	}
	var f parse.Frame
	var row feature.Row
	var v feature.Vector
	closeWindow := func(piece uint64) {
		if window.Close(&v); q.decimal && v.RateNano == 0 {
			lost[piece] = true
		}
	}
	for {
		if q.part != nil {
			if over, err := q.leave(); over || err != nil {
				break
			}
		}
		usable, err := q.next(&f)
		q.at.Frames++
		if errors.Is(err, errStopped) {
			return nil, err
		} else if err != nil {
			break // the second reading says so
		}
		if !usable {
			continue
		}
		window.SetDecimal(q.decimal)
		o, newPiece := q.decode(&f, &row)
		if newPiece {
			if window.Rows() > 0 {
				closeWindow(q.dec.Piece() - 1)
			}
			q.cut.Restart()
		}
		switch o {
		case feature.Fault:
			lost[q.dec.Piece()] = true
		case feature.MadeRow:
			before, after := q.cut.Row(&row)
			if before {
				closeWindow(q.dec.Piece())
			}
			window.Add(&row)
			if after {
				closeWindow(q.dec.Piece())
			}
		}
	}
	if window.Rows() > 0 {
		closeWindow(q.dec.Piece())
	}
	return lost, nil
}
