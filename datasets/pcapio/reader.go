package pcapio

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"pcaplab/parse"
)

const (
	// DefaultBlock is the size of the blocks that a Reader reads, in octets: small enough to be walked in the caches of a
	// small board.
	DefaultBlock = 256 << 10

	// MaxFrame is the longest frame that a Reader delivers, in octets, and only where the capture's snaplen allows it.
	MaxFrame = 128 << 20

	// unstatedSnaplen is the longest frame where the capture states no usable snaplen, or a smaller one: what libpcap
	// takes as the largest snapshot of a network interface.
	unstatedSnaplen = 262144
)

// Config says how to read a capture. The zero value is the default.
type Config struct {
	// Salvage goes on after damage where the records that follow confirm each other. See Reader.Losses.
	Salvage bool `json:"salvage"`
	// Block is the size of the blocks that are read, in octets: 0 means DefaultBlock; less than 4 KiB means 4 KiB.
	Block int `json:"block,omitempty"`
}

// Interface is one source of frames in a capture. A classic pcap has one.
type Interface struct {
	Section    int            `json:"section"` // number of its section, from 0
	Link       parse.LinkType `json:"link"`
	Snaplen    uint32         `json:"snaplen"`               // octets; 0 means not stated
	Resolution Resolution     `json:"resolution"`            // of its times
	TimeOffset int64          `json:"time_offset,omitempty"` // seconds that were added to its times (if_tsoffset)
	Name       string         `json:"name,omitempty"`
	FCSLen     int            `json:"fcs_len,omitempty"` // octets of check sequence that end each frame, if stated
	Packets    uint64         `json:"packets"`           // delivered so far
}

// Faults counts what was odd in records that were delivered all the same.
type Faults struct {
	OverWire    uint64 `json:"over_wire"`    // captured length above the wire length
	OverSnaplen uint64 `json:"over_snaplen"` // captured length above the snaplen
	Empty       uint64 `json:"empty"`        // captured length and wire length both 0
	TimeCarried uint64 `json:"time_carried"` // sub-second part of a second or more, carried
	TimeClamped uint64 `json:"time_clamped"` // time outside int64 ns, set to the nearest that fits
	NoTime      uint64 `json:"no_time"`      // a block without a time
	// Behind is 1 where octets that are not gzip lie behind a gzip stream that is whole. Without Salvage that is an error.
	Behind uint64 `json:"behind,omitempty"`
}

// Total returns the sum of all counts.
func (f Faults) Total() uint64 {
	return f.OverWire + f.OverSnaplen + f.Empty + f.TimeCarried + f.TimeClamped + f.NoTime + f.Behind
}

// Facts is what a Reader knows about its capture so far.
type Facts struct {
	Container     string      `json:"container"`   // "pcap" or "pcapng"
	Compression   string      `json:"compression"` // "none", "gzip" or "zstd"
	ByteOrder     string      `json:"byte_order"`  // "little-endian", "big-endian", or "mixed" over sections
	Version       string      `json:"version"`     // of the first section, as "2.4"
	Snaplen       uint32      `json:"snaplen"`     // the largest over the interfaces, octets; 0 means not stated
	Sections      int         `json:"sections"`    // 1 in a classic pcap
	Interfaces    []Interface `json:"interfaces"`
	Packets       uint64      `json:"packets"`        // delivered
	SkippedBlocks uint64      `json:"skipped_blocks"` // pcapng blocks that hold no frame and describe no interface
	Faults        Faults      `json:"faults"`
	Losses        uint64      `json:"losses"`      // with Salvage: number of losses
	LostOctets    int64       `json:"lost_octets"` // with Salvage: octets of the stream that were skipped, as far as known
}

// Names of compressions and containers, as in Facts.
const (
	compressNone = "none"
	compressGzip = "gzip"
	compressZstd = "zstd"
)

// Reader reads the frames of a capture in order. It belongs to one goroutine.
type Reader struct {
	buf       []byte
	pos, end  int  // buf[pos:end] is not yet walked
	start     int  // in buf: the record that was delivered last
	swap      bool // records are in the other byte order than little-endian
	ng        bool
	lenOrder  lengthOrder
	link      parse.LinkType
	limit     uint32 // longest frame
	snaplen   uint32 // MaxUint32 where not stated
	fracLimit uint32 // units in a second
	fracNano  int64  // ns in a unit
	packets   uint64
	lastNano  int64
	untimed   bool // the frame delivered last had no time
	iface     int  // its interface in the section
	faults    Faults

	base    int64 // offset of buf[0] in the stream
	src     io.Reader
	srcErr  error // what src ended with
	err     error // what Next ended with
	in      *input
	name    string
	salvage bool
	close   func()

	compression string
	magic       [4]byte // of a classic pcap, as in the file
	version     [2]uint16
	byteOrders  [2]bool       // little, big seen
	ifaces      []ngInterface // of the section
	earlier     []Interface   // of the sections before it
	sections    int
	blockLimit  uint32 // longest block
	skipped     uint64
	losses      []Loss
	lossCount   uint64
	lostOctets  int64
	fcsLen      int
}

// NewReader reads the header of the capture in r and returns a reader for its frames. The name stands in errors. Errors
// of the content are a *FormatError; one that wraps ErrUnknown says what r holds instead of a capture, if it is known.
func NewReader(r io.Reader, name string) (*Reader, error) { return Config{}.NewReader(r, name) }

// NewReader is the function NewReader with options.
func (c Config) NewReader(src io.Reader, name string) (*Reader, error) {
	block := c.Block
	if block == 0 {
		block = DefaultBlock
	}
	r := &Reader{name: name, salvage: c.Salvage, buf: make([]byte, max(block, 4<<10)), compression: compressNone}
	if err := r.open(src); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close releases what decompression holds. It does not close the stream.
func (r *Reader) Close() error {
	if r.close != nil {
		r.close()
		r.close = nil
	}
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}

var errClosed = errors.New("capture reader is closed")

// Next sets *f to the next frame. f.Data is borrowed: valid until the next call. It returns io.EOF at the end of the
// capture, and a *FormatError where the capture is damaged; the same error again if called again. It allocates nothing
// per frame.
func (r *Reader) Next(f *parse.Frame) error {
	if r.err != nil {
		return r.err
	}
	if r.ng {
		return r.nextBlock(f)
	}
	return r.nextRecord(f)
}

// Name returns the name that was given to NewReader.
func (r *Reader) Name() string { return r.name }

// Container returns Pcap or PcapNG.
func (r *Reader) Container() string {
	if r.ng {
		return PcapNG
	}
	return Pcap
}

// SeekRecord goes to the record at offset of a classic pcap that is not compressed; packets frames stand before it. Everything is
// then numbered as if they had been read, and the faults are only of what was read. The reader must have been made, without Salvage, of an
// io.Seeker that was at its beginning.
func (r *Reader) SeekRecord(offset int64, packets uint64) error {
	seeker, ok := r.in.r.(io.Seeker)
	if r.ng || r.compression != compressNone || r.salvage || !ok {
		return fmt.Errorf("%s: only a classic pcap that is not compressed, in a file, and read without salvage, is read from a place in it", r.name)
	}
	if offset < pcapHeaderLen {
		return fmt.Errorf("%s: no record begins at octet %d", r.name, offset)
	}
	if r.err == errClosed {
		return r.err
	}
	if _, err := seeker.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.base, r.packets, r.lastNano = offset, packets, 0
	r.pos, r.end, r.start, r.srcErr, r.err, r.in.err = 0, 0, 0, nil, nil, nil
	return nil
}

// Packets returns the number of frames delivered, and of those before the place that SeekRecord went to.
func (r *Reader) Packets() uint64 { return r.packets }

// Offset returns the offset of the record or block of the frame delivered last, in the stream after decompression.
func (r *Reader) Offset() int64 { return r.base + int64(r.start) }

// StreamOctets returns how many octets were taken from the stream, before decompression.
func (r *Reader) StreamOctets() int64 { return r.in.octets }

// Timed reports whether the frame delivered last had a time of its own.
func (r *Reader) Timed() bool { return !r.untimed }

// Interface returns the index in Facts.Interfaces of the interface of the frame delivered last.
func (r *Reader) Interface() int { return len(r.earlier) + r.iface }

// Described returns the interface of the frame delivered last; before the first frame, the first that is known.
func (r *Reader) Described() Interface {
	switch {
	case !r.ng:
		return r.pcapInterface()
	case r.iface < len(r.ifaces):
		return r.ifaces[r.iface].Interface
	}
	return Interface{}
}

// Losses returns what Salvage skipped so far: the first 1000 losses. Facts counts all.
func (r *Reader) Losses() []Loss { return slices.Clone(r.losses) }

// Behind says what Salvage found behind the end of the capture, which is no loss; "" if nothing lay there.
func (r *Reader) Behind() string {
	if r.faults.Behind == 0 {
		return ""
	}
	return fmt.Sprintf("%s stream: %v", r.compression, errBehind)
}

// Facts returns what is known so far; after io.EOF it is complete.
func (r *Reader) Facts() Facts {
	f := Facts{
		Compression: r.compression, Version: versionText(r.version),
		Sections: r.sections, Packets: r.packets, SkippedBlocks: r.skipped, Faults: r.faults,
		Container: r.Container(), Losses: r.lossCount, LostOctets: r.lostOctets,
	}
	switch r.byteOrders {
	case [2]bool{true, false}:
		f.ByteOrder = "little-endian"
	case [2]bool{false, true}:
		f.ByteOrder = "big-endian"
	default:
		f.ByteOrder = "mixed"
	}
	if r.ng {
		f.Interfaces = slices.Clone(r.earlier)
		for i := range r.ifaces {
			f.Interfaces = append(f.Interfaces, r.ifaces[i].Interface)
		}
	} else {
		f.Interfaces = []Interface{r.pcapInterface()}
	}
	for _, i := range f.Interfaces {
		f.Snaplen = max(f.Snaplen, i.Snaplen)
	}
	return f
}

// fill makes buf[pos:] hold n octets. It returns io.EOF if the stream ends before, with what there is in buf. The
// buffer doubles only when n needs more than half of it and half of it is in use, so that a length in a capture
// allocates at most four times what the stream holds, and what is moved is at most in proportion to what is read.
func (r *Reader) fill(n int) error {
	for r.end-r.pos < n {
		if r.srcErr != nil {
			return r.srcErr
		}
		if len(r.buf)-r.pos < n {
			to := r.buf
			if half := len(r.buf) / 2; n > half && r.end-r.pos >= half {
				to = make([]byte, 2*len(r.buf))
			}
			copy(to, r.buf[r.pos:r.end])
			r.buf = to
			r.base += int64(r.pos)
			r.start -= r.pos
			r.end -= r.pos
			r.pos = 0
		}
		got, err := r.src.Read(r.buf[r.end:])
		r.end += got
		r.srcErr = err
		for tries := 0; got == 0 && r.srcErr == nil; tries++ {
			if tries == 100 {
				r.srcErr = io.ErrNoProgress
				break
			}
			got, r.srcErr = r.src.Read(r.buf[r.end:])
			r.end += got
		}
	}
	return nil
}

// fail ends reading at offset with a fault of the record that would have been next.
func (r *Reader) fail(offset int64, err error) error {
	r.err = &FormatError{Name: r.name, Compression: r.compression, Offset: offset, Packet: r.packets + 1, Err: err}
	return r.err
}

// input counts what is read from the stream under the decompression and keeps its own error.
type input struct {
	r      io.Reader
	octets int64
	err    error // other than io.EOF
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.r.Read(p)
	in.octets += int64(n)
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}
