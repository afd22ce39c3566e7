package mix

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// Input is one class of a mixture.
type Input struct {
	Class string
	// Files are its captures, in the order in which they are read; "-" is standard input. Where a capture has its truth beside it
	// (truth.Suffix), that says which of its packets belong to an attack.
	Files  []string
	Share  uint64        // of the mixture, in relation to the others; unless By Time
	Offset time.Duration // its start after that of the mixture; By Time
	Attack truth.Attack  // of packets of captures that have no truth
}

// Fault is damage that ended the reading of a capture. The packets before it were taken, and the class goes on with its next capture.
type Fault struct {
	File    string `json:"file"`
	Packets uint64 `json:"packets"` // that were read before it
	Error   string `json:"error"`
}

// reader gives the packets of a class.
type reader struct {
	input   *Input
	open    datasets.OpenConfig
	file    int // of input.Files: the one that is open, or was last
	capture *datasets.Capture
	begun   []*datasets.Capture // those that cannot be opened twice, by file
	truth   *truth.Reader       // of capture; nil without
	label   *os.File            // under truth
	attack  truth.Attack        // of the packet given last
	stored  int64               // octets of captures that were closed
	size    int64               // of all files, -1 if not known
	skipped []string            // captures that could not be opened, with Salvage
	bad     []bool              // by file
	faults  []Fault
	losses  []string
	facts   captureFacts
}

// captureFacts is what a look at the captures tells of the one to write.
type captureFacts struct {
	links   []parse.LinkType
	of      []string // the first capture with each
	nano    bool
	ng      bool
	snaplen uint32
	// compressed says that one is.
	compressed bool
}

func (c *captureFacts) add(other captureFacts) {
	for i, link := range other.links {
		if !slices.Contains(c.links, link) {
			c.links, c.of = append(c.links, link), append(c.of, other.of[i])
		}
	}
	c.nano, c.ng, c.snaplen = c.nano || other.nano, c.ng || other.ng, max(c.snaplen, other.snaplen)
	c.compressed = c.compressed || other.compressed
}

// newReader looks at all captures of a class, so that none is found to be missing, or no capture, in the middle.
func newReader(input *Input, open datasets.OpenConfig) (*reader, error) {
	r := &reader{input: input, open: open, file: -1, begun: make([]*datasets.Capture, len(input.Files)), bad: make([]bool, len(input.Files))}
	for i, path := range input.Files {
		c, err := datasets.Open(path, open)
		if fault := (*pcapio.FormatError)(nil); open.Salvage && errors.As(err, &fault) {
			r.skipped, r.bad[i] = append(r.skipped, err.Error()), true
			continue
		}
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		size, known := c.Size()
		if r.size >= 0 && known {
			r.size += size
		} else {
			r.size = -1
		}
		facts := c.Facts()
		here := captureFacts{snaplen: facts.Snaplen, ng: facts.Container == pcapio.PcapNG, compressed: facts.Compression != None}
		here.nano = here.ng // of a pcapng a finer interface may come later
		for _, it := range facts.Interfaces {
			here.nano = here.nano || it.Resolution > 6
			here.add(captureFacts{links: []parse.LinkType{it.Link}, of: []string{path}})
		}
		r.facts.add(here)
		if !known {
			r.begun[i] = c
			continue
		}
		if err := c.Close(); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

// next sets *f to the next packet; f.Data is valid until the next call. It returns io.EOF behind the last capture.
func (r *reader) next(f *parse.Frame) error {
	for {
		if r.capture == nil {
			if err := r.openNext(); err != nil {
				return err
			}
		}
		err := r.capture.Next(f)
		if err == nil {
			return r.findAttack()
		}
		if err := r.end(err); err != nil {
			return err
		}
	}
}

// number returns that of the packet given last in its capture, from 1.
func (r *reader) number() uint64 { return r.capture.Packets() }

// path returns the capture of the packet given last.
func (r *reader) path() string { return r.input.Files[r.file] }

func (r *reader) openNext() (err error) {
	for r.file++; r.file < len(r.bad) && r.bad[r.file]; r.file++ {
	}
	if r.file >= len(r.input.Files) {
		r.file = len(r.input.Files) - 1
		return io.EOF
	}
	path := r.path()
	if r.capture = r.begun[r.file]; r.capture != nil {
		r.begun[r.file] = nil
	} else if r.capture, err = datasets.Open(path, r.open); err != nil {
		return err
	}
	if path == "-" {
		return nil
	}
	r.label, err = os.Open(path + truth.Suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if r.truth, err = truth.NewReader(bufio.NewReader(r.label)); err != nil {
		return fmt.Errorf("%s: %w", r.label.Name(), err)
	}
	return nil
}

// findAttack reads the truth of the packet given last. Behind a loss packets have other numbers than in the truth, which tells no more then.
func (r *reader) findAttack() error {
	r.attack = r.input.Attack
	if r.truth == nil {
		return nil
	}
	if r.open.Salvage && len(r.capture.Losses()) > 0 {
		r.attack = truth.Unknown
		return nil
	}
	p, err := r.truth.Next()
	switch {
	case err == io.EOF:
		return fmt.Errorf("%s is not of %s: it ends before packet %d; remove it, or put the right one there", r.label.Name(), r.path(), r.number())
	case err != nil:
		return fmt.Errorf("%s: %w", r.label.Name(), err)
	}
	r.attack = p.Attack
	return nil
}

// end closes the capture, which ended with err.
func (r *reader) end(err error) error {
	fault := (*pcapio.FormatError)(nil)
	switch {
	case err == io.EOF:
		if r.truth != nil && len(r.capture.Losses()) == 0 {
			if _, err := r.truth.Next(); err != io.EOF {
				return fmt.Errorf("%s is not of %s: it goes on behind packet %d, the last; remove it, or put the right one there",
					r.label.Name(), r.path(), r.number())
			}
		}
	case errors.As(err, &fault):
		r.faults = append(r.faults, Fault{File: r.path(), Packets: r.number(), Error: err.Error()})
	default:
		return err
	}
	return r.closeCapture()
}

func (r *reader) closeCapture() error {
	c := r.capture
	if c == nil {
		return nil
	}
	for _, l := range c.Losses() {
		r.losses = append(r.losses, r.path()+": "+l.String())
	}
	if n := c.Facts().Losses; n > uint64(len(c.Losses())) {
		r.losses = append(r.losses, fmt.Sprintf("%s: %d losses more", r.path(), n-uint64(len(c.Losses()))))
	}
	if behind := c.Behind(); behind != "" {
		r.losses = append(r.losses, r.path()+": "+behind)
	}
	r.stored += c.StoredOctets()
	err := c.Close()
	if r.label != nil {
		err = errors.Join(err, r.label.Close())
	}
	r.capture, r.truth, r.label = nil, nil, nil
	return err
}

// storedOctets returns how much of the files was read.
func (r *reader) storedOctets() int64 {
	n := r.stored
	if r.capture != nil {
		n += r.capture.StoredOctets()
	}
	return n
}

// close closes what is open; standard input stays open.
func (r *reader) close() error {
	err := r.closeCapture()
	for i, c := range r.begun {
		if c != nil {
			err = errors.Join(err, c.Close())
			r.begun[i] = nil
		}
	}
	return err
}
