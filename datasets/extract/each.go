package extract

import (
	"context"
	"errors"
	"io"

	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// Visitor is told what Each finds, on its goroutine, in the order of the capture. What is nil is not called.
type Visitor struct {
	// Frame is called for each frame read, before Row and Vector of it. An error ends the pass.
	Frame func(f *parse.Frame) error
	// Row is called for each frame that counts in a window, after Vector of the windows that end before it. r is not the
	// visitor's to keep.
	Row func(r *feature.Row)
	// Vector is called when a window ends. v is overwritten later; Rows since the last call are its rows. An error ends the pass.
	Vector func(v *feature.Vector) error
	// Read, if set, is told now and then how many octets of the file were read.
	Read func(octets int64)
}

// Each makes the vectors of one capture, with the numbers that Stream writes, and hands them over instead of writing them.
// Of the configuration, As, Attackers, Salvage and Stdin count. The summary holds what was read until then also after an
// error, which is that of the capture, of the visitor or of the context.
func Each(ctx context.Context, cfg Config, source Source, visit Visitor) (sum SourceSummary, err error) {
	cfg.Strict, cfg.Hash, cfg.Labelled, cfg.Workers = false, false, false, 1
	if err := cfg.check([]Source{source}); err != nil {
		return SourceSummary{Source: source}, err
	}
	j := newJob(cfg, []Source{source}, nil)
	p := &producer{sourceRun: j.sources[0], ctx: ctx, iface: -1, silent: true}
	if err := p.begin(nil); err != nil {
		return p.summary, err
	}
	defer func() {
		s := &p.summary
		s.count(p.dec.Counters())
		s.FirstFault, s.NotEthernet = p.at.FirstFault, p.at.NotEthernet
		if cfg.As.Pieces() {
			s.Pieces = p.dec.Piece() + 1
		}
		if c := p.capture; c != nil {
			for _, l := range c.Losses() {
				s.Losses = append(s.Losses, l.String())
			}
			s.Behind, s.StoredOctets = c.Behind(), c.StoredOctets()
			if visit.Read != nil {
				visit.Read(s.StoredOctets)
			}
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			s.Error = err.Error()
		}
		sum = *s
	}()
	return p.summary, p.each(visit)
}

// each reads to the end and summarises windows as they end.
func (p *producer) each(visit Visitor) error {
	window, err := feature.NewWindow(p.job.cfg.As, p.Span, p.decimal)
	if err != nil {
		return err
	}
	var (
		f   parse.Frame
		row feature.Row
		v   feature.Vector
	)
	end := func() error {
		window.Close(&v)
		if p.decimal && v.RateNano == 0 {
			p.summary.NoDuration++
		}
		if p.job.cfg.As.Pieces() {
			vectorio.RoundTrip(&v)
		}
		p.summary.Vectors++
		if visit.Vector == nil {
			return nil
		}
		return visit.Vector(&v)
	}
	for {
		if visit.Read != nil && p.capture != nil && p.read%checkEvery == 0 {
			visit.Read(p.capture.StoredOctets())
		}
		usable, err := p.next(&f)
		switch {
		case err == io.EOF:
			if window.Rows() > 0 {
				return end()
			}
			return nil
		case errors.Is(err, errStopped):
			return context.Cause(p.ctx)
		case err != nil:
			if window.Rows() > 0 { // what came before the fault counts, as in Stream
				err = errors.Join(err, end())
			}
			return err
		}
		p.at.Frames++
		if visit.Frame != nil {
			if err := visit.Frame(&f); err != nil {
				return err
			}
		}
		if !usable {
			continue
		}
		o, newPiece := p.decode(&f, &row)
		if newPiece {
			if window.Rows() > 0 {
				if err := end(); err != nil {
					return err
				}
			}
			p.cut.Restart()
		}
		if o != feature.MadeRow {
			if o == feature.Fault && p.at.FirstFault == 0 {
				p.at.FirstFault = p.at.Frames
			}
			continue
		}
		before, after := p.cut.Row(&row)
		if before {
			if err := end(); err != nil {
				return err
			}
		}
		if window.Rows() == 0 {
			window.SetDecimal(p.decimal)
		}
		window.Add(&row)
		if visit.Row != nil {
			visit.Row(&row)
		}
		if after {
			if err := end(); err != nil {
				return err
			}
		}
	}
}
