package datasets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"pcaplab/parse"
)

// SeriesConfig says how several captures make one source. The zero value is the default: one after another, without end.
type SeriesConfig struct {
	OpenConfig
	// Merge gives the frames of all captures in order of capture time, frames of the same time in the order of the captures.
	// A capture whose time goes back keeps its order: such frames come with the latest frame before them.
	Merge bool `json:"merge"`
	// Loops is how many passes over all captures there are. 0 is without end.
	Loops int `json:"loops"`
	// AsCaptured leaves times as they are. Without it time goes on: from capture to capture, unless they are merged, so that the
	// first frame of one follows the latest of the one before by the mean gap in that; and from pass to pass by the time from
	// the earliest to the latest frame and a mean gap, as with arena.Frames.Source, up to the latest time that int64 holds.
	AsCaptured bool `json:"as_captured"`
	// Ended is told what is known of a capture that was read, to its end or to an error, in the first pass.
	Ended func(FileFacts) `json:"-"`
}

// Series is a source of the frames of several captures, read while they are given. It belongs to one goroutine.
type Series struct {
	paths    []string
	cfg      SeriesConfig
	captures []*Capture // open ones: all of paths if they are merged, else one or none
	facts    []FileFacts
	merger   merger
	file     int // of paths: the one that the frame given last is from, or that is read next
	pass     span
	times    timeline
	shift    int64
	done     int   // passes
	read     int64 // octets, of captures that were closed
	total    int64 // of all files, -1 if not known
	err      error
}

// OpenSeries opens captures as one source. All are looked at, so that none is found to be missing, or no capture, in the
// middle; "-" is standard input, which can be read once, as pipes can. Close the series after use.
func OpenSeries(paths []string, cfg SeriesConfig) (*Series, error) {
	if len(paths) == 0 {
		return nil, errors.New("no captures to read")
	}
	if cfg.Loops < 0 {
		return nil, fmt.Errorf("%d passes over the captures: must not be negative", cfg.Loops)
	}
	inputs := 0
	for _, path := range paths {
		name, once, err := readOnce(path)
		switch {
		case err != nil:
			return nil, err
		case once && cfg.Loops != 1:
			return nil, fmt.Errorf("%s can be read once: preload it (-K) to loop, or save it to a file", name)
		case path == "-":
			inputs++
		case !once && !cfg.Merge:
			c, err := Open(path, cfg.OpenConfig)
			if err != nil {
				return nil, err
			}
			if err := c.Close(); err != nil {
				return nil, err
			}
		}
	}
	if inputs > 1 {
		return nil, errors.New("standard input (-) can be read once")
	}
	s := &Series{paths: paths, cfg: cfg, times: timeline{moves: !cfg.Merge && !cfg.AsCaptured}}
	var err error
	if s.total, err = storedSizes(paths); err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
}

// readOnce reports whether what is at path cannot be opened again for what it held, and its name for errors.
func readOnce(path string) (name string, once bool, err error) {
	if path == "-" {
		return "standard input", true, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", false, err
	}
	if info.IsDir() {
		return "", false, &fs.PathError{Op: "open", Path: path, Err: ErrDirectory}
	}
	return path, !info.Mode().IsRegular(), nil
}

// begin starts a pass.
func (s *Series) begin() error {
	s.file, s.pass = 0, span{}
	s.times = timeline{moves: s.times.moves}
	s.facts = make([]FileFacts, len(s.paths))
	if !s.cfg.Merge {
		return s.open()
	}
	var err error
	if s.captures, err = openAll(s.paths, s.cfg.OpenConfig); err != nil {
		s.captures = nil
		return err
	}
	s.merger.start(s.captures)
	return nil
}

// open opens the capture that comes next.
func (s *Series) open() error {
	var err error
	if s.captures, err = openAll(s.paths[s.file:s.file+1], s.cfg.OpenConfig); err != nil {
		s.captures = nil
	}
	return err
}

// Next sets *f to the next frame, or returns io.EOF after the last pass, and at once if the captures have no frames. f.Data is
// borrowed: valid until the next call. Damage is a *pcapio.FormatError behind the frames before it; the same error again if
// called again. Next allocates where it opens a capture, and nothing per frame.
func (s *Series) Next(f *parse.Frame) error {
	for s.err == nil {
		var err error
		if s.cfg.Merge {
			s.file, err = s.merger.next(f)
		} else {
			err = s.captures[0].Next(f)
		}
		if err == nil {
			facts := &s.facts[s.file]
			facts.Octets += uint64(len(f.Data))
			facts.WireOctets += uint64(f.WireLen)
			f.UnixNano = s.times.at(f.UnixNano)
			s.pass.add(f.UnixNano)
			f.UnixNano = plus(f.UnixNano, s.shift)
			return nil
		}
		if err == io.EOF {
			err = s.end()
		}
		s.err = err
	}
	return s.err
}

// end goes on after the end of a capture, or of all if they are merged.
func (s *Series) end() error {
	if err := s.closeCaptures(); err != nil {
		return err
	}
	if !s.cfg.Merge && s.file+1 < len(s.paths) {
		s.file++
		s.times.next()
		return s.open()
	}
	if s.pass.frames == 0 || s.done+1 == s.cfg.Loops {
		return io.EOF
	}
	s.done++
	if !s.cfg.AsCaptured {
		s.shift = plus(s.shift, s.pass.period())
	}
	return s.begin()
}

// closeCaptures closes what is open, and tells what is known of it.
func (s *Series) closeCaptures() error {
	for i, c := range s.captures {
		if s.cfg.Ended == nil || s.done > 0 {
			break
		}
		if !s.cfg.Merge {
			i = s.file
		}
		facts := s.facts[i]
		facts.File, facts.Facts, facts.Losses, facts.StoredOctets = s.paths[i], c.Facts(), c.Losses(), c.StoredOctets()
		s.cfg.Ended(facts)
	}
	for _, c := range s.captures {
		s.read += c.StoredOctets()
	}
	err := closeAll(s.captures)
	s.captures = nil
	return err
}

// StoredOctets returns how many octets of the files were read over all passes so far, and how many all passes are: -1 if that
// is not known.
func (s *Series) StoredOctets() (read, total int64) {
	read, total = s.read, -1
	for _, c := range s.captures {
		read += c.StoredOctets()
	}
	if s.total >= 0 && s.cfg.Loops > 0 && s.total < math.MaxInt64/int64(s.cfg.Loops) {
		total = s.total * int64(s.cfg.Loops)
	}
	return read, total
}

// Loop returns how many passes are complete: those before the one that the frame given last is in.
func (s *Series) Loop() int { return s.done }

// Position returns the number, within the pass and counted from 0, of the frame that Next gives next if the pass goes on: of
// the frame given last it is one less.
func (s *Series) Position() uint64 { return s.pass.frames }

// File returns the index of the capture, as given to OpenSeries, that the frame given last is from.
func (s *Series) File() int { return s.file }

// Close closes what is open; standard input stays open. What was not read to its end is told to SeriesConfig.Ended so far.
func (s *Series) Close() error {
	if s.err == nil {
		s.err = errSeriesClosed
	}
	return s.closeCaptures()
}

var errSeriesClosed = errors.New("series of captures is closed")
