package pcapio

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"

	"pcaplab/parse"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng sections 4 and 11.1).
const (
	blockIDB      = 1
	blockPB       = 2 // obsolete packet block
	blockSPB      = 3
	blockNRB      = 4
	blockISB      = 5
	blockEPB      = 6
	blockDSB      = 0x0a
	blockCustom   = 0x00000bad
	blockNoCopy   = 0x40000bad // custom block that is not to be copied
	byteOrderMark = 0x1a2b3c4d
)

// Lengths of blocks in octets.
const (
	blockMin  = 12 // type, total length, trailing total length
	shbMin    = 28
	idbMin    = 20
	epbMin    = 32
	spbMin    = 16
	blockMost = 16 << 20 // longest block without a frame longer than that
)

// interfacesMost is how many interfaces a capture may describe.
const interfacesMost = 1 << 16

// Options of an interface description block.
const (
	optEnd      = 0
	optName     = 2
	optTSResol  = 9
	optFCSLen   = 13
	optTSOffset = 14
)

// Resolution is the unit of times as if_tsresol has it: bit 7 clear, 10 to the power of minus the rest, in seconds; bit
// 7 set, 2 to the power of minus the rest.
type Resolution uint8

// String returns the unit, as "1 µs" or "2^-20 s".
func (r Resolution) String() string {
	switch {
	case r&0x80 != 0:
		return fmt.Sprintf("2^-%d s", r&0x7f)
	case r > 15:
		return fmt.Sprintf("10^-%d s", uint8(r))
	default:
		return []string{"1", "10", "100"}[(3-r%3)%3] + " " + []string{"s", "ms", "µs", "ns", "ps", "fs"}[(r+2)/3]
	}
}

// MarshalText returns String.
func (r Resolution) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ngInterface is an interface with what its frames need.
type ngInterface struct {
	Interface
	limit   uint32
	snaplen uint32 // MaxUint32 where not stated
	scale   uint64 // times below fastEnd are ns after multiplication with it
	fastEnd uint64
}

func (i *ngInterface) prepare() {
	i.limit = frameLimit(i.Snaplen)
	if i.snaplen = i.Snaplen; i.snaplen == 0 {
		i.snaplen = math.MaxUint32
	}
	if i.TimeOffset == 0 && i.Resolution <= 9 {
		i.scale = pow10(9 - int(i.Resolution))
		i.fastEnd = math.MaxInt64/i.scale + 1
	}
}

func pow10(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}

// nano returns a time in ns, rounded down, and whether it was clamped to fit.
func (i *ngInterface) nano(units uint64) (ns int64, clamped bool) {
	if units < i.fastEnd {
		return int64(units * i.scale), false
	}
	var hi, lo uint64
	switch n := int(i.Resolution & 0x7f); {
	case i.Resolution&0x80 != 0:
		hi, lo = bits.Mul64(units, 1e9)
		if n >= 64 {
			hi, lo = 0, hi>>(n-64)
		} else if n > 0 {
			hi, lo = hi>>n, hi<<(64-n)|lo>>n
		}
	case n <= 9:
		hi, lo = bits.Mul64(units, pow10(9-n))
	case n <= 9+19:
		lo = units / pow10(n-9)
	}
	return addSeconds(hi, lo, i.TimeOffset)
}

// addSeconds returns the 128-bit number of ns plus seconds, clamped to an int64.
func addSeconds(hi, lo uint64, seconds int64) (ns int64, clamped bool) {
	negative := false
	if seconds >= 0 {
		shi, slo := bits.Mul64(uint64(seconds), 1e9)
		var carry uint64
		lo, carry = bits.Add64(lo, slo, 0)
		hi, _ = bits.Add64(hi, shi, carry)
	} else {
		shi, slo := bits.Mul64(-uint64(seconds), 1e9)
		var borrow uint64
		lo, borrow = bits.Sub64(lo, slo, 0)
		hi, borrow = bits.Sub64(hi, shi, borrow)
		if negative = borrow != 0; negative {
			lo, borrow = bits.Sub64(0, lo, 0)
			hi, _ = bits.Sub64(0, hi, borrow)
		}
	}
	switch {
	case hi == 0 && lo <= math.MaxInt64:
		if negative {
			return -int64(lo), false
		}
		return int64(lo), false
	case negative && hi == 0 && lo == 1<<63:
		return math.MinInt64, false
	case negative:
		return math.MinInt64, true
	default:
		return math.MaxInt64, true
	}
}

func (r *Reader) word(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if r.swap {
		v = bits.ReverseBytes32(v)
	}
	return v
}

func (r *Reader) half(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if r.swap {
		v = bits.ReverseBytes16(v)
	}
	return v
}

// openNG reads the first section header.
func (r *Reader) openNG() error {
	r.blockLimit = blockMost
	block, err := r.block()
	if err == nil {
		err = r.section(block)
	}
	if err != nil {
		return r.headerError(err)
	}
	r.pos += len(block)
	return nil
}

// block returns the block at pos, whole, its lengths checked, without moving on. At a clean end it returns io.EOF. At a
// section header it takes over the byte order.
func (r *Reader) block() ([]byte, error) {
	if r.end-r.pos < blockMin {
		if err := r.fill(blockMin); err == io.EOF && r.end == r.pos {
			return nil, io.EOF
		} else if err != nil {
			return nil, r.cut("block", 0, blockMin, err)
		}
	}
	if typ := r.word(r.buf[r.pos:]); typ == blockSHB {
		switch uint32(byteOrderMark) {
		case binary.LittleEndian.Uint32(r.buf[r.pos+8:]):
			r.swap = false
		case binary.BigEndian.Uint32(r.buf[r.pos+8:]):
			r.swap = true
		default:
			return nil, damaged("section header with the byte-order mark % x", r.buf[r.pos+8:r.pos+12])
		}
	}
	total := r.word(r.buf[r.pos+4:])
	if total < blockMin || total%4 != 0 {
		return nil, damaged("block of total length %d: the least is %d, in steps of 4", total, blockMin)
	}
	if total > r.blockLimit {
		return nil, damaged("block of total length %d: the most is %d", total, r.blockLimit)
	}
	n := int(total)
	if r.end-r.pos < n {
		if err := r.fill(n); err != nil {
			return nil, r.cut("block", 0, n, err)
		}
	}
	block := r.buf[r.pos : r.pos+n : r.pos+n]
	if trailing := r.word(block[n-4:]); trailing != total {
		return nil, damaged("block of total length %d with the trailing length %d", total, trailing)
	}
	return block, nil
}

// nextBlock delivers the frame of the next block that holds one.
func (r *Reader) nextBlock(f *parse.Frame) error {
	for {
		block, err := r.block()
		if err == io.EOF {
			r.err = io.EOF
			return io.EOF
		}
		var found bool
		if err == nil {
			switch typ := r.word(block); typ {
			case blockEPB, blockPB, blockSPB:
				err = r.packetBlock(typ, block, f)
				found = err == nil
			case blockSHB:
				err = r.section(block)
			case blockIDB:
				err = r.describe(block)
			default:
				r.skipped++
			}
		}
		if err != nil {
			if err := r.damage(err); err != nil {
				return err
			}
			continue
		}
		if found {
			r.start = r.pos
		}
		r.pos += len(block)
		if found {
			return nil
		}
	}
}

// packetBlock sets *f to the frame of an enhanced, simple or obsolete packet block.
func (r *Reader) packetBlock(typ uint32, block []byte, f *parse.Frame) error {
	var index, capLen, wireLen uint32
	var units uint64
	from := 28
	if typ == blockSPB {
		if len(block) < spbMin {
			return damaged("simple packet block of total length %d", len(block))
		}
		from = 12
		wireLen = r.word(block[8:])
	} else {
		if len(block) < epbMin {
			return damaged("packet block of total length %d", len(block))
		}
		if index = r.word(block[8:]); typ == blockPB {
			index = uint32(r.half(block[8:]))
		}
		units = uint64(r.word(block[12:]))<<32 | uint64(r.word(block[16:]))
		capLen, wireLen = r.word(block[20:]), r.word(block[24:])
	}
	if index >= uint32(len(r.ifaces)) {
		return damaged("packet on interface %d, but the section describes %d interfaces", index, len(r.ifaces))
	}
	i := &r.ifaces[index]
	if typ == blockSPB {
		capLen = min(wireLen, i.snaplen)
	}
	room := uint32(len(block) - from - 4)
	if capLen > room {
		return damaged("captured length %d in a block with room for %d", capLen, room)
	}
	if capLen > i.limit {
		return damaged("captured length %d is above %d, the most that this interface can hold", capLen, i.limit)
	}
	if wireLen > math.MaxInt32 {
		return damaged("wire length %d is no length of a frame", wireLen)
	}
	if options := block[from+int((capLen+3)&^3) : len(block)-4]; len(options) > 0 && typ != blockSPB {
		if err := r.options(options, nil); err != nil {
			return err
		}
	}
	if capLen > wireLen || capLen > i.snaplen || wireLen == 0 {
		r.countLengthFaults(capLen, wireLen, i.snaplen)
	}
	if r.untimed = typ == blockSPB; r.untimed {
		r.faults.NoTime++
	} else {
		var clamped bool
		if r.lastNano, clamped = i.nano(units); clamped {
			r.faults.TimeClamped++
		}
	}
	r.iface = int(index)
	r.packets++
	i.Packets++
	f.UnixNano = r.lastNano
	f.Data = block[from : from+int(capLen) : from+int(capLen)]
	f.WireLen = int(wireLen)
	f.Link = i.Link
	return nil
}

// section starts a new section.
func (r *Reader) section(block []byte) error {
	if len(block) < shbMin {
		return damaged("section header of total length %d", len(block))
	}
	version := [2]uint16{r.half(block[12:]), r.half(block[14:])}
	if version[0] != 1 || version[1] != 0 && version[1] != 2 { // some writers put 1.2 for 1.0
		return unknown("pcapng version %s: version 1.0 can be read", versionText(version))
	}
	if err := r.options(block[24:len(block)-4], nil); err != nil {
		return err
	}
	if r.sections == 0 {
		r.version = version
	}
	for i := range r.ifaces {
		r.earlier = append(r.earlier, r.ifaces[i].Interface)
	}
	r.ifaces = r.ifaces[:0]
	r.sections++
	r.byteOrders[0] = r.byteOrders[0] || !r.swap
	r.byteOrders[1] = r.byteOrders[1] || r.swap
	r.blockLimit = blockMost
	return nil
}

// describe adds an interface to the section.
func (r *Reader) describe(block []byte) error {
	if len(block) < idbMin {
		return damaged("interface description of total length %d", len(block))
	}
	if len(r.earlier)+len(r.ifaces) == interfacesMost {
		return damaged("more than %d interfaces", interfacesMost)
	}
	i := ngInterface{Interface: Interface{
		Section: r.sections - 1, Link: parse.LinkType(r.half(block[8:])), Snaplen: r.word(block[12:]), Resolution: 6,
	}}
	err := r.options(block[16:len(block)-4], func(code uint16, value []byte) error {
		want := len(value)
		switch code {
		case optName:
			i.Name = string(value[:min(len(value), 256)])
		case optTSResol:
			if want = 1; len(value) == want {
				i.Resolution = Resolution(value[0])
			}
		case optFCSLen:
			if want = 1; len(value) == want {
				i.FCSLen = int(value[0])
			}
		case optTSOffset:
			if want = 8; len(value) == want {
				v := binary.LittleEndian.Uint64(value)
				if r.swap {
					v = bits.ReverseBytes64(v)
				}
				i.TimeOffset = int64(v)
			}
		}
		if len(value) != want {
			return damaged("option %d of an interface description has %d octets, not %d", code, len(value), want)
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.prepare()
	r.ifaces = append(r.ifaces, i)
	r.blockLimit = max(r.blockLimit, i.limit+1<<20)
	return nil
}

// options walks the options of a block, checks their lengths, and hands each to fn if there is one.
func (r *Reader) options(b []byte, fn func(code uint16, value []byte) error) error {
	for len(b) > 0 {
		code, n := r.half(b), int(r.half(b[2:]))
		if code == optEnd {
			return nil
		}
		padded := (n + 3) &^ 3
		if 4+padded > len(b) {
			return damaged("option %d of %d octets in a block with room for %d", code, n, len(b)-4)
		}
		if fn != nil {
			if err := fn(code, b[4:4+n]); err != nil {
				return err
			}
		}
		b = b[4+padded:]
	}
	return nil
}
