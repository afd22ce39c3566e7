package pcapio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"pcaplab/parse"
)

// Containers, as in Facts.Container and WriterConfig.Container.
const (
	Pcap   = "pcap"
	PcapNG = "pcapng"
)

// WriterConfig says what capture to write. The zero value is a classic pcap of Ethernet frames with times in
// microseconds.
type WriterConfig struct {
	Container string         `json:"container,omitempty"` // Pcap or PcapNG; "" means Pcap
	Nano      bool           `json:"nano,omitempty"`      // times in nanoseconds instead of microseconds
	Link      parse.LinkType `json:"link,omitempty"`      // of a Pcap: 0 means LinkEthernet unless LinkNull is set
	LinkNull  bool           `json:"link_null,omitempty"` // of a Pcap: link type 0, which Link cannot say
	Snaplen   uint32         `json:"snaplen,omitempty"`   // octets; longer frames are cut to it. 0 means 262144 and no cut
}

// Writer writes a capture, little-endian, through a buffer. It is a sink of frames. It belongs to one goroutine.
type Writer struct {
	w       io.Writer
	cfg     WriterConfig
	buf     []byte
	links   []parse.LinkType // interfaces of a pcapng, in order
	last    int              // index in links of the frame before
	packets uint64
	err     error
}

// writeBlock is how much a Writer collects before it writes, in octets.
const writeBlock = 256 << 10

// NewWriter starts a capture on w. Nothing is written before the buffer is full or Flush is called. A PcapNG takes
// frames of any link type, one interface for each; a Pcap takes one.
func NewWriter(w io.Writer, cfg WriterConfig) (*Writer, error) {
	if cfg.Container == "" {
		cfg.Container = Pcap
	}
	if cfg.Container != Pcap && cfg.Container != PcapNG {
		return nil, fmt.Errorf("container %q: write %q or %q", cfg.Container, Pcap, PcapNG)
	}
	if cfg.Snaplen > MaxFrame {
		return nil, fmt.Errorf("snaplen %d is above %d", cfg.Snaplen, MaxFrame)
	}
	if cfg.LinkNull && cfg.Link != parse.LinkNull {
		return nil, fmt.Errorf("link type both 0 and %d", cfg.Link)
	}
	if cfg.Link == parse.LinkNull && !cfg.LinkNull {
		cfg.Link = parse.LinkEthernet
	}
	wr := &Writer{w: w, cfg: cfg, buf: make([]byte, 0, writeBlock)}
	le := binary.LittleEndian
	if cfg.Container == PcapNG {
		b := le.AppendUint32(wr.buf, blockSHB)
		b = le.AppendUint32(b, shbMin)
		b = le.AppendUint32(b, byteOrderMark)
		b = le.AppendUint32(b, 1) // version 1.0
		b = le.AppendUint64(b, math.MaxUint64)
		wr.buf = le.AppendUint32(b, shbMin)
		return wr, nil
	}
	magic := uint32(magicMicro)
	if cfg.Nano {
		magic = magicNano
	}
	b := le.AppendUint32(wr.buf, magic)
	b = le.AppendUint32(b, 4<<16|2) // version 2.4
	b = le.AppendUint64(b, 0)
	b = le.AppendUint32(b, wr.snaplen())
	wr.buf = le.AppendUint32(b, uint32(cfg.Link))
	return wr, nil
}

func (wr *Writer) snaplen() uint32 {
	if wr.cfg.Snaplen == 0 {
		return unstatedSnaplen
	}
	return wr.cfg.Snaplen
}

// Packets returns the number of frames taken.
func (wr *Writer) Packets() uint64 { return wr.packets }

// WriteFrame appends a frame. Times are rounded down to the resolution of the capture. It returns an error, and writes
// nothing of the frame, if the container cannot hold it: another link type or a time outside 1970 to 2106 in a Pcap, a
// time before 1970 in a PcapNG, a frame above what readers accept. An error of the stream comes back from every later
// call.
func (wr *Writer) WriteFrame(f *parse.Frame) error {
	if wr.err != nil {
		return wr.err
	}
	data := f.Data
	if s := int64(wr.cfg.Snaplen); s > 0 && int64(len(data)) > s {
		data = data[:s]
	}
	if limit := frameLimit(wr.cfg.Snaplen); int64(len(data)) > int64(limit) {
		return wr.refuse("%d octets are above %d; set a snaplen", len(data), limit)
	}
	if f.WireLen < 0 || int64(f.WireLen) > math.MaxInt32 {
		return wr.refuse("wire length %d", f.WireLen)
	}
	if f.UnixNano < 0 {
		return wr.refuse("a time before 1970: %d ns", f.UnixNano)
	}
	var err error
	if wr.cfg.Container == PcapNG {
		wr.appendBlock(f, data)
	} else {
		err = wr.appendRecord(f, data)
	}
	if err != nil {
		return err
	}
	wr.packets++
	if len(wr.buf) >= writeBlock-4096 {
		return wr.Flush()
	}
	return nil
}

func (wr *Writer) refuse(format string, args ...any) error {
	return fmt.Errorf("write frame %d: %s", wr.packets+1, fmt.Sprintf(format, args...))
}

func (wr *Writer) appendRecord(f *parse.Frame, data []byte) error {
	if f.Link != wr.cfg.Link {
		return wr.refuse("link type %d in a pcap of link type %d; write pcapng", f.Link, wr.cfg.Link)
	}
	sec, frac := f.UnixNano/1e9, f.UnixNano%1e9
	if sec > math.MaxUint32 {
		return wr.refuse("a time after 2106: %d ns; write pcapng", f.UnixNano)
	}
	if !wr.cfg.Nano {
		frac /= 1e3
	}
	le := binary.LittleEndian
	b := le.AppendUint32(wr.buf, uint32(sec))
	b = le.AppendUint32(b, uint32(frac))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(f.WireLen))
	wr.buf = append(b, data...)
	return nil
}

func (wr *Writer) appendBlock(f *parse.Frame, data []byte) {
	if wr.packets == 0 || wr.links[wr.last] != f.Link {
		if wr.last = slices.Index(wr.links, f.Link); wr.last < 0 {
			wr.last = len(wr.links)
			wr.links = append(wr.links, f.Link)
			wr.appendInterface(f.Link)
		}
	}
	units := uint64(f.UnixNano)
	if !wr.cfg.Nano {
		units /= 1e3
	}
	pad := -len(data) & 3
	total := uint32(epbMin + len(data) + pad)
	le := binary.LittleEndian
	b := le.AppendUint32(wr.buf, blockEPB)
	b = le.AppendUint32(b, total)
	b = le.AppendUint32(b, uint32(wr.last))
	b = le.AppendUint32(b, uint32(units>>32))
	b = le.AppendUint32(b, uint32(units))
	b = le.AppendUint32(b, uint32(len(data)))
	b = le.AppendUint32(b, uint32(f.WireLen))
	b = append(b, data...)
	b = append(b, "\x00\x00\x00"[:pad]...)
	wr.buf = le.AppendUint32(b, total)
}

func (wr *Writer) appendInterface(link parse.LinkType) {
	const total = idbMin + 12
	resolution := byte(6)
	if wr.cfg.Nano {
		resolution = 9
	}
	le := binary.LittleEndian
	b := le.AppendUint32(wr.buf, blockIDB)
	b = le.AppendUint32(b, total)
	b = le.AppendUint32(b, uint32(link))
	b = le.AppendUint32(b, wr.snaplen())
	b = le.AppendUint16(b, optTSResol)
	b = le.AppendUint16(b, 1)
	b = append(b, resolution, 0, 0, 0)
	b = le.AppendUint32(b, optEnd)
	wr.buf = le.AppendUint32(b, total)
}

// Flush writes what is buffered. A capture is complete only after a Flush without error.
func (wr *Writer) Flush() error {
	if wr.err != nil {
		return wr.err
	}
	n, err := wr.w.Write(wr.buf)
	if err == nil && n < len(wr.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		wr.err = fmt.Errorf("write capture: %w", err)
		return wr.err
	}
	if cap(wr.buf) > 2*writeBlock {
		wr.buf = make([]byte, 0, writeBlock)
	}
	wr.buf = wr.buf[:0]
	return nil
}

// Close flushes and ends the writer. It does not close the stream.
func (wr *Writer) Close() error {
	err := wr.Flush()
	if wr.err == nil {
		wr.err = errors.New("capture writer is closed")
	}
	return err
}
