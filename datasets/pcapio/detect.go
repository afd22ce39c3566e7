package pcapio

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the largest window that is decompressed, in octets: what the zstd program allows unless told otherwise.
// The decoder reserves what a frame header asks for; it becomes resident only as octets are decompressed.
const zstdWindow = 128 << 20

// sniffLen is how many octets of a stream are looked at.
const sniffLen = 16

// open finds what src holds and reads up to the first record.
func (r *Reader) open(src io.Reader) error {
	r.in = &input{r: src}
	r.src = r.in
	head, err := r.peek()
	if err != nil {
		return err
	}
	if r.compression = compressionOf(head); r.compression != compressNone {
		if err := r.decompress(); err != nil {
			return r.headerError(fmt.Errorf("%s: %w", r.compression, err))
		}
		if head, err = r.peek(); err != nil {
			return err
		}
		if again := compressionOf(head); again != compressNone {
			return r.headerError(unknown("%s inside %s: decompress it once", again, r.compression))
		}
	}
	switch format := containerOf(head); format {
	case Pcap:
		return r.openPcap()
	case PcapNG:
		r.ng = true
		return r.openNG()
	default:
		return r.headerError(unknown("%s", format))
	}
}

func (r *Reader) headerError(err error) error {
	return &FormatError{Name: r.name, Compression: r.compression, Offset: r.base + int64(r.pos), Err: err}
}

// peek returns up to sniffLen first octets; an error if there are none or they cannot be read.
func (r *Reader) peek() ([]byte, error) {
	if err := r.fill(sniffLen); err != nil && err != io.EOF {
		return nil, r.headerError(r.streamError(err))
	}
	if r.end == r.pos {
		return nil, r.headerError(unknown("empty: no octets, not even a file header"))
	}
	return r.buf[r.pos:min(r.end, r.pos+sniffLen)], nil
}

// streamError says which layer an error of src comes from.
func (r *Reader) streamError(err error) error {
	switch {
	case r.in.err != nil:
		return fmt.Errorf("read: %w", r.in.err)
	case r.compression == compressNone:
		return fmt.Errorf("read: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s stream %w: %w", r.compression, ErrTruncated, err)
	default:
		return fmt.Errorf("%s stream %w: %w", r.compression, ErrDamaged, err)
	}
}

// decompress puts a decoder between the stream and the buffer.
func (r *Reader) decompress() error {
	first := bytes.Clone(r.buf[r.pos:r.end])
	rest := io.Reader(r.in)
	if r.srcErr != nil {
		rest = failing{r.srcErr}
	}
	packed := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(first), rest), 128<<10)
	r.pos, r.end, r.srcErr = 0, 0, nil
	if r.compression == compressGzip {
		z, err := gzip.NewReader(packed)
		if err != nil {
			return err
		}
		z.Multistream(false)
		m := &members{packed: packed, z: z}
		if r.salvage {
			m.behind = &r.faults.Behind
		}
		r.src = m
		return nil
	}
	z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return err
	}
	r.src, r.close = z, z.Close
	return nil
}

// members reads the members of a gzip stream one after another, as the decoder does by itself, but tells what is behind them from a member
// that is cut or damaged.
type members struct {
	packed *bufio.Reader
	z      *gzip.Reader
	behind *uint64 // counts what is behind; nil: it is an error
}

// errBehind says that the gzip stream is whole.
var errBehind = errors.New("behind its end, up to which all was read, lie octets that are not gzip: cut them off")

func (m *members) Read(p []byte) (n int, err error) {
	for n == 0 {
		if n, err = m.z.Read(p); err != io.EOF {
			return n, err
		}
		head, err := m.packed.Peek(2)
		switch {
		case len(head) == 0:
			return n, err
		case len(head) < 2 && err != io.EOF:
			return n, err
		case len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b:
			if m.behind == nil {
				return n, errBehind
			}
			*m.behind = 1
			return n, io.EOF
		}
		if err := m.z.Reset(m.packed); err != nil {
			return n, err
		}
		m.z.Multistream(false)
	}
	return n, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func compressionOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return compressGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return compressZstd
	case len(head) >= 4 && binary.LittleEndian.Uint32(head)&^0xf == 0x184d2a50: // skippable frame, RFC 8878 section 3.1.2
		return compressZstd
	}
	return compressNone
}

// Magic numbers of classic pcap, as read in the byte order of the capture, and the block type of a pcapng section
// header.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	blockSHB   = 0x0a0d0d0a
)

// foreign lists formats that are recognised to be refused by name.
var foreign = []struct{ magic, name string }{
	{"snoop\x00\x00\x00", "a snoop capture (RFC 1761); convert it with editcap -F pcap"},
	{"btsnoop\x00", "a btsnoop capture; convert it with editcap -F pcap"},
	{"\xa1\xb2\xcd\x34", modifiedPcap}, {"\x34\xcd\xb2\xa1", modifiedPcap},
	{"\xa1\xb2\x34\xcd", modifiedPcap}, {"\xcd\x34\xb2\xa1", modifiedPcap},
	{"\xa1\x2b\x3c\x4d", modifiedPcap}, {"\x4d\x3c\x2b\xa1", modifiedPcap},
	{"\x1c\x00\x01\xac", ixiaPcap}, {"\xac\x01\x00\x1c", ixiaPcap},
	{"\x1c\x00\x01\xab", ixiaPcap}, {"\xab\x01\x00\x1c", ixiaPcap},
	{"GMBU", "a Microsoft Network Monitor 2 capture; convert it with editcap -F pcap"},
	{"RTSS", "a Microsoft Network Monitor 1 capture; convert it with editcap -F pcap"},
	{"TRSNIFF data    ", "a Sniffer capture; convert it with editcap -F pcap"},
	{"XCP\x00", "a NetXray capture; convert it with editcap -F pcap"},
	{"BZh", "compressed with bzip2; decompress it first"},
	{"\xfd7zXZ\x00", "compressed with xz; decompress it first"},
	{"\x04\x22\x4d\x18", "compressed with lz4; decompress it first"},
	{"\x1f\x9d", "compressed with compress; decompress it first"},
	{"PK\x03\x04", "a zip archive; extract it first"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive; extract it first"},
	{"Rar!", "a rar archive; extract it first"},
	{"<!DOCTYPE", webPage}, {"<!doctype", webPage}, {"<html", webPage}, {"<HTML", webPage},
	{"version https://", "a Git LFS pointer, not the file it stands for; fetch it with git lfs pull"},
}

const (
	modifiedPcap = "a modified pcap with longer record headers (patched libpcap); convert it with editcap -F pcap"
	ixiaPcap     = "an IxVeriWave or Ixia lcap capture; convert it with editcap -F pcap"
	webPage      = "an HTML page, perhaps instead of a download"
)

// containerOf returns Pcap, PcapNG, or what the stream is instead.
func containerOf(head []byte) string {
	if len(head) >= 4 {
		switch le, be := binary.LittleEndian.Uint32(head), binary.BigEndian.Uint32(head); {
		case le == magicMicro, le == magicNano, be == magicMicro, be == magicNano:
			return Pcap
		case le == blockSHB:
			return PcapNG
		}
	}
	for _, f := range foreign {
		if bytes.HasPrefix(head, []byte(f.magic)) {
			return f.name
		}
	}
	for _, c := range head {
		if (c < ' ' || c > '~') && c != '\n' && c != '\r' && c != '\t' {
			return fmt.Sprintf("%v: it starts with % x", ErrUnknown, head[:min(4, len(head))])
		}
	}
	return fmt.Sprintf("%v: it is text that starts with %q", ErrUnknown, head)
}
