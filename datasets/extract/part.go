package extract

import (
	"errors"
	"fmt"
	"io"
	"math"

	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// part is what a shard has of a capture: from a window that begins at or behind an entry of its index up to the one that begins at or
// behind another.
type part struct {
	file *manifest.File
	from int
	base int // the entry to begin reading at: there is a row between it and from, for the gap to it
	// window is the rows of a window; 0 where a piece, and so a window, begins at each entry.
	window uint64
	last   uint64 // frames of the capture before the entry that ends the part; MaxUint64 for all
}

// uncut says why a capture cannot be cut between windows by its index, "" if it can.
func uncut(cfg *Config, s *Source, f *manifest.File) string {
	switch {
	case f.Compression != "none":
		return "it is compressed, so all that comes before a place must be read"
	case f.Container != pcapio.Pcap:
		return "it is no classic pcap, so all that comes before a place must be read"
	case f.Error != nil || f.Lost > 0:
		return "it is damaged"
	case cfg.As.Pieces():
		return ""
	case cfg.As == feature.AsFixed:
		return "--as fixed takes frames that the index does not count"
	case s.Span.Time > 0:
		return "windows of time depend on all that comes before"
	case cfg.Strict:
		return "strict faults lose the whole capture"
	case len(f.Links) != 1 || parse.LinkType(f.Links[0]) != parse.LinkEthernet:
		return "its frames are not Ethernet, which the index does not count"
	}
	return ""
}

// newPart returns the part between two entries; to is len(f.Index) for the end.
func newPart(cfg *Config, s *Source, f *manifest.File, from, to int) *part {
	t := &part{file: f, from: from, base: from, last: math.MaxUint64}
	if to < len(f.Index) {
		t.last = f.Index[to].Packets
	}
	if cfg.As.Pieces() {
		return t
	}
	if t.window = uint64(s.Span.Rows); t.window == 0 {
		t.window = feature.DefaultRows
	}
	for w := from - 1; w >= 0 && t.base == from; w-- {
		if f.Index[w].Kept < f.Index[from].Kept {
			t.base = w
		}
	}
	return t
}

// enter goes to the first window of the part. The frames before it are read for what the decoder must know of them, and not counted.
func (p *producer) enter() error {
	t := p.part
	at := t.file.Index[t.base]
	p.at.Frames, p.rows = at.Packets, at.Kept
	if t.window == 0 {
		state := p.dec.State()
		state.Piece = uint64(t.from)
		p.dec.SetState(state)
		return nil
	}
	var f parse.Frame
	var row feature.Row
	begin := t.file.Index[t.from]
	rows := at.Kept
	for p.at.Frames < begin.Packets || rows%t.window != 0 {
		if err := p.check(rows); err != nil {
			return err
		}
		usable, err := p.next(&f)
		if err == io.EOF {
			break
		} else if err != nil {
			return p.changed(err)
		}
		p.at.Frames++
		if !usable {
			continue
		}
		if o, _ := p.decode(&f, &row); o == feature.MadeRow {
			rows++
		}
		if p.at.Frames == begin.Packets && rows != begin.Kept {
			return p.miscounted(t.from, rows)
		}
	}
	state := p.dec.State()
	state.Counters = feature.Counters{}
	p.dec.SetState(state)
	p.at.NotEthernet, p.rows = 0, rows
	return nil
}

// leave reports whether the part ends before the next frame.
func (p *producer) leave() (over bool, err error) {
	t := p.part
	if p.at.Frames < t.last {
		return false, nil
	}
	if p.at.Frames == t.last && t.window > 0 {
		c := p.dec.Counters()
		if err := p.check(p.rows + c[feature.MadeRow]); err != nil {
			return true, err
		}
	}
	return t.window == 0 || p.cut.Rows() == 0, nil
}

// check compares the rows before the end of the part, once they are read, with the manifest, by which the next part begins.
func (p *producer) check(rows uint64) error {
	t := p.part
	for to := t.from; p.at.Frames == t.last && to < len(t.file.Index); to++ {
		if e := t.file.Index[to]; e.Packets == t.last && e.Kept != rows {
			return p.miscounted(to, rows)
		}
	}
	return nil
}

// ErrWholeCaptures says that captures cannot be cut where the manifest says that windows begin. Cut between captures only, they can.
var ErrWholeCaptures = errors.New("windows do not begin where the manifest says")

func (p *producer) miscounted(entry int, rows uint64) error {
	e := p.part.file.Index[entry]
	return fmt.Errorf("%s: %w: the first %d frames give %d rows, but hold %d frames of IPv4 or ARP, by which they are counted: some are broken. "+
		"Make all shards with --whole-captures", p.Path, ErrWholeCaptures, e.Packets, rows, e.Kept)
}

// changed is an error of a capture that was whole when the manifest was made.
func (p *producer) changed(err error) error {
	if errors.Is(err, errStopped) || errors.Is(err, ErrWholeCaptures) {
		return err
	}
	return fmt.Errorf("%w: it has changed since the manifest was made: scan it again", err)
}

// ended returns an error if the capture had fewer frames, or more, than the manifest says.
func (t *part) ended(path string, frames uint64) error {
	if frames == t.file.Packets || t.last != math.MaxUint64 && frames >= t.last && frames < t.file.Packets {
		return nil
	}
	return fmt.Errorf("%s: ends after packet %d, the manifest has %d: scan it again", path, frames, t.file.Packets)
}
