package pcapio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"

	"pcaplab/parse"
)

const (
	pcapHeaderLen   = 24
	recordHeaderLen = 16
)

// lengthOrder is the order of the two lengths in a record: captured length first since version 2.4, the other way round
// before 2.3, and either in 2.3, whose writers disagree.
type lengthOrder uint8

const (
	capFirst lengthOrder = iota
	wireFirst
	smallerIsCap
)

func versionText(v [2]uint16) string { return fmt.Sprintf("%d.%d", v[0], v[1]) }

// openPcap reads the file header of a classic pcap.
func (r *Reader) openPcap() error {
	if err := r.fill(pcapHeaderLen); err == io.EOF {
		return r.headerError(truncated("file header", int64(r.end-r.pos), pcapHeaderLen))
	} else if err != nil {
		return r.headerError(r.streamError(err))
	}
	h := r.buf[r.pos : r.pos+pcapHeaderLen]
	var order binary.ByteOrder = binary.LittleEndian
	if m := order.Uint32(h); m != magicMicro && m != magicNano {
		order, r.swap = binary.BigEndian, true
	}
	r.magic = [4]byte(h)
	r.byteOrders = [2]bool{!r.swap, r.swap}
	r.fracLimit, r.fracNano = 1e6, 1e3
	if order.Uint32(h) == magicNano {
		r.fracLimit, r.fracNano = 1e9, 1
	}
	r.version = [2]uint16{order.Uint16(h[4:]), order.Uint16(h[6:])}
	if r.version[0] != 2 || r.version[1] > 4 {
		return r.headerError(unknown("pcap version %s: versions 2.0 to 2.4 can be read", versionText(r.version)))
	}
	switch {
	case r.version[1] < 3:
		r.lenOrder = wireFirst
	case r.version[1] == 3:
		r.lenOrder = smallerIsCap
	}
	r.setSnaplen(order.Uint32(h[16:]))
	link := order.Uint32(h[20:])
	if link&(1<<26) != 0 {
		r.fcsLen = 2 * int(link>>28)
	}
	if link &= 1<<26 - 1; link > math.MaxUint16 {
		return r.headerError(damaged("link type %d is not one", link))
	}
	r.link = parse.LinkType(link)
	r.sections = 1
	r.pos += pcapHeaderLen
	r.start = r.pos
	return nil
}

// frameLimit returns the longest frame to accept where the capture states a snaplen.
func frameLimit(snaplen uint32) uint32 {
	if snaplen > MaxFrame {
		return unstatedSnaplen
	}
	return max(snaplen, unstatedSnaplen)
}

func (r *Reader) setSnaplen(n uint32) {
	r.limit = frameLimit(n)
	if r.snaplen = n; n == 0 {
		r.snaplen = math.MaxUint32
	}
}

func (r *Reader) pcapInterface() Interface {
	i := Interface{Link: r.link, Snaplen: r.snaplen, Resolution: 6, FCSLen: r.fcsLen, Packets: r.packets}
	if r.fracNano == 1 {
		i.Resolution = 9
	}
	if r.snaplen == math.MaxUint32 {
		i.Snaplen = 0
	}
	return i
}

// record is a record header in words.
type record struct{ sec, frac, capLen, wireLen uint32 }

func (r *Reader) recordAt(pos int) record {
	h := (*[recordHeaderLen]byte)(r.buf[pos:])
	rec := record{
		binary.LittleEndian.Uint32(h[0:]), binary.LittleEndian.Uint32(h[4:]),
		binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:]),
	}
	if r.swap {
		rec.sec, rec.frac = bits.ReverseBytes32(rec.sec), bits.ReverseBytes32(rec.frac)
		rec.capLen, rec.wireLen = bits.ReverseBytes32(rec.capLen), bits.ReverseBytes32(rec.wireLen)
	}
	if r.lenOrder != capFirst && (r.lenOrder == wireFirst || rec.capLen > rec.wireLen) {
		rec.capLen, rec.wireLen = rec.wireLen, rec.capLen
	}
	return rec
}

// nextRecord delivers the next record of a classic pcap.
func (r *Reader) nextRecord(f *parse.Frame) error {
	for {
		if r.end-r.pos < recordHeaderLen {
			if err := r.fill(recordHeaderLen); err != nil {
				if err == io.EOF && r.end == r.pos {
					r.err = io.EOF
					return io.EOF
				}
				if err := r.damage(r.cut("record header", 0, recordHeaderLen, err)); err != nil {
					return err
				}
				continue
			}
		}
		rec := r.recordAt(r.pos)
		if rec.capLen > r.limit || rec.wireLen > math.MaxInt32 {
			if err := r.damage(r.impossible(rec)); err != nil {
				return err
			}
			continue
		}
		n := recordHeaderLen + int(rec.capLen)
		if r.end-r.pos < n {
			if err := r.fill(n); err != nil {
				if err := r.damage(r.cut("frame", recordHeaderLen, n, err)); err != nil {
					return err
				}
				continue
			}
		}
		if rec.capLen > rec.wireLen || rec.capLen > r.snaplen || rec.frac >= r.fracLimit || rec.wireLen == 0 {
			if r.salvage && rec.startsCapture() {
				if err := r.secondHeader(); err != nil {
					return err
				}
				continue
			}
			r.countRecordFaults(rec)
		}
		r.start = r.pos
		r.pos += n
		r.packets++
		r.lastNano = int64(rec.sec)*1e9 + int64(rec.frac)*r.fracNano
		f.UnixNano = r.lastNano
		f.Data = r.buf[r.start+recordHeaderLen : r.pos : r.pos]
		f.WireLen = int(rec.wireLen)
		f.Link = r.link
		return nil
	}
}

// startsCapture reports whether a record is the file header of another capture that was appended to this one: it reads
// as a record without octets, because time zone and accuracy are 0.
func (rec record) startsCapture() bool {
	switch rec.sec {
	case magicMicro, magicNano, bits.ReverseBytes32(magicMicro), bits.ReverseBytes32(magicNano):
		return rec.capLen == 0 && rec.wireLen == 0
	}
	return false
}

// secondHeader deals, with Salvage, with the file header of another capture at pos: what follows can be read on only if
// it has the same byte order, resolution and link type.
func (r *Reader) secondHeader() error {
	if err := r.fill(pcapHeaderLen); err != nil {
		return r.damage(r.cut("file header of a second capture", 0, pcapHeaderLen, err))
	}
	h := r.buf[r.pos : r.pos+pcapHeaderLen]
	if [4]byte(h) != r.magic || r.word(h[20:])&(1<<26-1) != uint32(r.link) {
		return r.fail(r.base+int64(r.pos), damaged("file header of a second capture, of another byte order, resolution or "+
			"link type: split the file there"))
	}
	return r.damage(damaged("file header of a second capture"))
}

func (r *Reader) countRecordFaults(rec record) {
	r.countLengthFaults(rec.capLen, rec.wireLen, r.snaplen)
	if rec.frac >= r.fracLimit {
		r.faults.TimeCarried++
	}
}

func (r *Reader) countLengthFaults(capLen, wireLen, snaplen uint32) {
	if capLen > wireLen {
		r.faults.OverWire++
	}
	if capLen > snaplen {
		r.faults.OverSnaplen++
	}
	if capLen == 0 && wireLen == 0 {
		r.faults.Empty++
	}
}

// impossible says what is wrong with a record header that cannot be one.
func (r *Reader) impossible(rec record) error {
	joined := ""
	if m := r.lastNano / 1e9; r.packets > 0 && (m == magicMicro || m == magicNano) {
		joined = fmt.Sprintf("; record %d looks like the file header of a second capture: split the file there", r.packets)
	}
	if rec.capLen > r.limit {
		return damaged("captured length %d is above %d, the most that this capture can hold%s", rec.capLen, r.limit, joined)
	}
	return damaged("wire length %d is no length of a frame%s", rec.wireLen, joined)
}

// cut says that the stream ended, or broke, inside what lies in [from, to) from pos on.
func (r *Reader) cut(what string, from, to int, err error) error {
	t := truncated(what, int64(max(r.end-r.pos-from, 0)), int64(to-from))
	if err == io.EOF {
		return t
	}
	if errors.Is(err, errBehind) && r.end == r.pos {
		return r.streamError(err) // what is whole ends here
	}
	return fmt.Errorf("%w: %w", t, r.streamError(err))
}
