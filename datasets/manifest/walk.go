package manifest

import (
	"encoding/binary"
	"math"
	"math/bits"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// PieceOctets is the unit of tcpdump -C 10: a piece ends before the first record that finds it longer, counted with a file
// header of 24 octets and 16 octets before each frame. Windows of features begin anew there, see feature.AsPipeline.
const PieceOctets = 10_000_000

// Octets of a classic pcap, of its header and before each frame, and the longest frame that is believed where the capture
// states no usable snaplen, as pcapio has it.
const (
	fileHeaderLen   = 24
	recordHeaderLen = 16
	unstatedSnaplen = 262144
)

// Magic numbers of classic pcap.
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
)

// fullFrame is the longest Ethernet frame without a check sequence on a link with an MTU of 1500.
const fullFrame = 1514

// tally is what was counted so far. It is small, because it is copied where a record may turn out to be cut.
type tally struct {
	packets, kept, cut, over, atZero, back uint64
	excess                                 int64 // wire length above captured length, summed up
	octets                                 uint64
	last, min, max, largestBack            int64
	first                                  int64
	timed                                  bool
	faults                                 pcapio.Faults
	entries                                int // of the index
	start                                  int64
}

func (t *tally) wireOctets() uint64 { return uint64(int64(t.octets) + t.excess) }

// stepBack counts a time that is before the last one, or in the first second of 1970.
func (t *tally) stepBack(last, ns int64) {
	if ns >= 0 && ns < 1e9 {
		t.atZero++
	}
	if ns >= last {
		return
	}
	t.back++
	step := last - ns
	if step < 0 {
		step = math.MaxInt64
	}
	t.largestBack = max(t.largestBack, step)
	t.max, t.min = max(t.max, last), min(t.min, ns)
}

// frames counts the frames of a pcapio.Reader, one at a time.
type frames struct {
	tally
	index []Entry
	piece int64
}

// frame counts a frame that begins at an offset of the stream. Snaplen is that of its interface, 0 where none is stated.
func (w *frames) frame(f *parse.Frame, offset int64, snaplen uint32, timed bool) {
	n := int64(len(f.Data))
	if w.packets == 0 || w.piece > PieceOctets {
		w.index = append(w.index, Entry{Offset: offset, Packets: w.packets, UnixNano: f.UnixNano, Kept: w.kept})
		w.piece = fileHeaderLen
	}
	taken := n
	if snaplen > 0 {
		taken = min(n, int64(snaplen))
	}
	w.piece += recordHeaderLen + taken
	w.packets++
	w.octets += uint64(n)
	w.excess += int64(f.WireLen) - n
	if n < int64(f.WireLen) {
		w.cut++
	}
	if f.WireLen > fullFrame {
		w.over++
	}
	if f.Link == parse.LinkEthernet && n >= 14 && isKept(binary.LittleEndian.Uint16(f.Data[12:])) {
		w.kept++
	}
	if !timed {
		return
	}
	ns := f.UnixNano
	if !w.timed {
		w.timed = true
		w.first, w.last, w.min, w.max = ns, ns, ns, ns
	}
	if ns < w.last || ns < 1e9 {
		w.stepBack(w.last, ns)
	}
	w.last = ns
	w.max = max(w.max, ns)
}

// isKept tells IPv4 and ARP by the type of an Ethernet frame, its octets as a little-endian number.
func isKept(kind uint16) bool { return kind == 0x0008 || kind == 0x0608 }

// walk counts the records of a classic pcap in blocks of the stream, without a call for each. It finds what frames finds on
// the same stream: TestWalkIsTheReader holds that.
type walk struct {
	tally
	index    []Entry
	swap     bool
	ethernet bool
	nano     int64  // ns in a unit of time
	units    uint32 // in a second
	limit    uint32 // longest captured length
	snaplen  uint32 // MaxUint32 where not stated
	fast     uint32 // longest captured length of a record with nothing odd; 0 for none
	offset   int64  // in the stream, of what was not walked yet
	skip     int64  // octets of the record opened last that were not seen yet

	before tally // as it was before that record
	opened int64 // offset of it
	capLen uint32
}

// walkMargin is how many octets behind the last one a block must have that can be read.
const walkMargin = recordHeaderLen + 14

// newWalk begins behind a file header of a classic pcap, version 2.4.
func newWalk(facts pcapio.Facts) *walk {
	i := facts.Interfaces[0]
	w := &walk{swap: facts.ByteOrder == "big-endian", ethernet: i.Link == parse.LinkEthernet, nano: 1e3, units: 1e6, limit: unstatedSnaplen,
		snaplen: i.Snaplen, offset: fileHeaderLen}
	if i.Resolution == 9 {
		w.nano, w.units = 1, 1e9
	}
	if i.Snaplen <= pcapio.MaxFrame {
		w.limit = max(i.Snaplen, unstatedSnaplen)
	}
	if w.snaplen == 0 {
		w.snaplen = math.MaxUint32
	}
	if w.fast = min(w.limit, w.snaplen, fullFrame); w.fast < 14 {
		w.fast = 0
	}
	return w
}

// block walks b[:end], the octets of the stream from offset on, and returns how many it is through with. What it leaves is less
// than need octets, and must come again in front of those that follow; but with damaged there is a record that cannot be one
// at the octet it returns. Of b, walkMargin octets behind end must be readable. Need is walkMargin, or recordHeaderLen for what is
// left at the end of the stream.
func (w *walk) block(b []byte, end, need int) (done int, damaged bool) {
	if w.skip >= int64(end) {
		w.skip -= int64(end)
		w.offset += int64(end)
		return end, false
	}
	pos := int(w.skip)
	w.skip = 0
	packets, kept, last := w.packets, w.kept, w.last
	floor := max(last, 1e9)
	boundary := w.boundary()
	before := ^uint32(0) // captured length of the record before, where it was not odd
	for end-pos >= need {
		h := (*[walkMargin]byte)(b[pos:])
		sec, frac := binary.LittleEndian.Uint32(h[0:]), binary.LittleEndian.Uint32(h[4:])
		capLen, wireLen := binary.LittleEndian.Uint32(h[8:]), binary.LittleEndian.Uint32(h[12:])
		if w.swap {
			sec, frac = bits.ReverseBytes32(sec), bits.ReverseBytes32(frac)
			capLen, wireLen = bits.ReverseBytes32(capLen), bits.ReverseBytes32(wireLen)
		}
		ns := int64(sec)*1e9 + int64(frac)*w.nano
		if capLen-14 > w.fast-14 || w.fast == 0 || wireLen != capLen || frac >= w.units || pos > boundary || end-pos-recordHeaderLen < int(capLen) {
			w.packets, w.kept, w.last = packets, kept, last
			if capLen > w.limit || wireLen > math.MaxInt32 {
				w.offset += int64(pos)
				return pos, true
			}
			w.odd(pos, int64(end-pos-recordHeaderLen) < int64(capLen), ns, frac, capLen, wireLen)
			last, boundary = w.last, w.boundary()
			before = ^uint32(0)
		} else if before != capLen {
			before = capLen
		} else if ns >= floor && !w.swap { // one more of the same: perhaps a flood
			stop := min(boundary, end-walkMargin-int(capLen))
			if n, sec, frac := alike(b[pos:max(pos, stop+walkMargin)], recordHeaderLen+int(capLen), w.units); n > 0 {
				packets += n
				if w.ethernet && isKept(binary.LittleEndian.Uint16(h[28:])) {
					kept += n
				}
				last = int64(sec)*1e9 + int64(frac)*w.nano
				floor = last
				pos += int(n) * (recordHeaderLen + int(capLen))
				before = ^uint32(0)
				continue
			}
		}
		packets++
		if w.ethernet && isKept(binary.LittleEndian.Uint16(h[28:])) && capLen >= 14 {
			kept++
		}
		if ns < floor {
			w.stepBack(last, ns)
			floor = max(ns, 1e9)
		} else {
			floor = ns
		}
		last = ns
		pos += recordHeaderLen + int(capLen)
	}
	w.packets, w.kept, w.last = packets, kept, last
	if pos > end {
		w.skip = int64(pos - end)
		pos = end
	}
	w.offset += int64(pos)
	return pos, false
}

// alike returns how many records follow each other in b that are like the first in their lengths and the type of the frame, with times
// that never go back and have less than units in their sub-second parts, and the time of the last of them: floods are made of such.
// Where the next record is does not depend on what this one says, so that a processor has several in work at a time.
func alike(b []byte, stride int, units uint32) (n uint64, sec, frac uint32) {
	if len(b) < walkMargin {
		return 0, 0, 0
	}
	lengths, kind := binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint16(b[28:])
	last := uint64(0)
	for len(b) >= walkMargin {
		h := (*[walkMargin]byte)(b)
		at := bits.RotateLeft64(binary.LittleEndian.Uint64(h[0:]), 32) // seconds above the rest
		if binary.LittleEndian.Uint64(h[8:]) != lengths || binary.LittleEndian.Uint16(h[28:]) != kind || at < last || uint32(at) >= units {
			break
		}
		last = at
		n++
		if len(b) < stride {
			break
		}
		b = b[stride:]
	}
	return n, uint32(last >> 32), uint32(last)
}

// boundary is the last place, from offset on, of a record that belongs to the present piece.
func (w *walk) boundary() int {
	if w.packets == 0 {
		return -1
	}
	return int(max(-1, min(w.start+PieceOctets-fileHeaderLen-w.offset, math.MaxInt32)))
}

// odd counts what is not common of the record at pos; incomplete says that its frame goes on behind the block.
func (w *walk) odd(pos int, incomplete bool, ns int64, frac, capLen, wireLen uint32) {
	at := w.offset + int64(pos)
	if incomplete {
		w.before, w.opened, w.capLen = w.tally, at, capLen
	}
	if w.packets == 0 {
		w.timed = true
		w.first, w.last, w.min, w.max = ns, ns, ns, ns
	}
	if w.packets == 0 || at-w.start > PieceOctets-fileHeaderLen {
		w.index = append(w.index, Entry{Offset: at, Packets: w.packets, UnixNano: ns, Kept: w.kept})
		w.entries++
		w.start = at
	}
	if capLen > w.snaplen {
		w.start += int64(capLen - w.snaplen) // tcpdump cuts it
		w.faults.OverSnaplen++
	}
	w.excess += int64(wireLen) - int64(capLen)
	if capLen < wireLen {
		w.cut++
	}
	if capLen > wireLen {
		w.faults.OverWire++
	}
	if wireLen > fullFrame {
		w.over++
	}
	if wireLen == 0 && capLen == 0 {
		w.faults.Empty++
	}
	if frac >= w.units {
		w.faults.TimeCarried++
	}
}

// finish ends the stream at offset. Left is what block left, not walked: it returns how much of a record header or of a frame
// is there, of how many octets, where one is cut.
func (w *walk) finish(left []byte) (what string, got, want int64, damaged bool) {
	if w.skip > 0 {
		got, want = int64(w.capLen)-w.skip, int64(w.capLen)
		w.tally = w.before
		w.offset = w.opened
		w.skip = 0
		what = "frame"
	} else if len(left) > 0 {
		var b [2 * walkMargin]byte
		end := copy(b[:], left)
		done, bad := w.block(b[:], end, recordHeaderLen)
		switch {
		case bad:
			damaged = true
		case w.skip > 0:
			return w.finish(nil)
		case done < end:
			what, got, want = "record header", int64(end-done), recordHeaderLen
		}
	}
	w.index = w.index[:w.entries]
	w.octets = uint64(w.offset-fileHeaderLen) - recordHeaderLen*w.packets
	w.max = max(w.max, w.last)
	return what, got, want, damaged
}

// header is a file header of which the walk is.
func (w *walk) header() []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if w.swap {
		order = binary.BigEndian
	}
	magic, snaplen := uint32(magicMicro), w.snaplen
	if w.nano == 1 {
		magic = magicNano
	}
	if snaplen == math.MaxUint32 {
		snaplen = 0
	}
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, snaplen)
	return order.AppendUint32(b, uint32(parse.LinkEthernet))
}
