package rewrite

import (
	"encoding/binary"

	"pcaplab/parse"
)

// macs of a frame as one number each
func getMAC(b []byte) uint64 { return uint64(be.Uint16(b))<<32 | uint64(be.Uint32(b[2:])) }

func putMAC(b []byte, v uint64) {
	be.PutUint16(b, uint16(v>>32))
	be.PutUint32(b[2:], uint32(v))
}

// short notes why a frame that ends inside its link header cannot be edited.
func (ed *Editor) short(s set) {
	if ed.frame.WireLen > len(ed.frame.Data) {
		ed.unable(s, Cut)
	} else {
		ed.unable(s, Malformed)
	}
}

// link edits the link header.
func (ed *Editor) link(side int) {
	f := &ed.frame
	if ed.asks.has(editEFCS) {
		switch {
		case f.Link != parse.LinkEthernet:
			ed.unable(1<<editEFCS, WrongLink)
		case f.WireLen < FCSLen:
			ed.unable(1<<editEFCS, Malformed)
		default:
			ed.efcs()
		}
	}
	if ed.asks.has(editDLT) && f.Link != parse.LinkEthernet && !ed.ethernet(side) {
		return
	}
	rest := set(1<<editVLAN | macEdits)
	switch {
	case f.Link != parse.LinkEthernet:
		ed.unable(rest, WrongLink)
		return
	case len(f.Data) < 14:
		ed.short(rest)
		return
	}
	if ed.asks.has(editVLAN) {
		ed.vlan()
	}
	if ed.asks&macEdits != 0 {
		ed.mac(f.Data[0:6], editDestMAC, ed.destMAC[side])
		ed.mac(f.Data[6:12], editSourceMAC, ed.sourceMAC[side])
	}
}

// efcs drops the last octets, unless a length in the frame says that they belong to what it carries, or an IP header that none
// is known.
func (ed *Editor) efcs() {
	f, p := &ed.frame, &ed.packet
	_ = parse.Direct{}.Parse(f, p)
	end, _ := linkEnd(f)
	switch {
	case p.Layers.Has(parse.LayerARP):
		end = max(end, p.HeaderLen)
	case p.Layers&(parse.LayerIPv4|parse.LayerIPv6) != 0:
		off := network(f.Data, f.Link)
		n := ipEnd(f.Data[off:], p.Layers.Has(parse.LayerIPv6))
		if n == 0 && end == 0 {
			ed.unable(1<<editEFCS, Unbounded)
			return
		}
		end = max(end, off+n)
	}
	if end > f.WireLen-FCSLen { // there is none
		ed.unable(1<<editEFCS, TooLong)
		return
	}
	f.WireLen -= FCSLen
	f.Data = f.Data[:min(len(f.Data), f.WireLen)]
	ed.did(editEFCS)
}

// mac edits one hardware address; value is what the edit of its place sets.
func (ed *Editor) mac(b []byte, place edit, value uint64) {
	was := getMAC(b)
	group := was>>40&1 != 0
	if group && ed.edits.SkipL2Broadcast {
		return
	}
	v := was
	if ed.asks.has(place) && v != value {
		v = value
		ed.did(place)
	}
	for i := range ed.substitutes {
		if s := &ed.substitutes[i]; s[0] == v {
			v = s[1]
			ed.did(editSubstitute)
			break
		}
	}
	if ed.asks.has(editMACSeed) && !group {
		if v = ed.macCipher.mac(v, ed.edits.MACKeep); v != was {
			ed.did(editMACSeed)
		}
	}
	if v != was {
		putMAC(b, v)
	}
}

// vlan adds a tag, or takes the outermost away.
func (ed *Editor) vlan() {
	f := &ed.frame
	if ed.edits.VLAN == "add" {
		copy(ed.buf[ed.start-4:], f.Data[:12])
		ed.move(-4)
		be.PutUint32(f.Data[12:], ed.tag)
		ed.did(editVLAN)
		return
	}
	if t := be.Uint16(f.Data[12:]); t != typeVLAN && t != typeService {
		return
	}
	if len(f.Data) < 18 {
		ed.short(1 << editVLAN)
		return
	}
	copy(f.Data[4:], f.Data[:12])
	ed.move(4)
	ed.did(editVLAN)
}

// move has the frame start by octets later; less than 0 is earlier.
func (ed *Editor) move(by int) {
	f := &ed.frame
	end := ed.start + len(f.Data)
	ed.start += by
	f.Data = ed.buf[ed.start:end]
	f.WireLen -= by
}

func convertible(link parse.LinkType) bool {
	switch link {
	case parse.LinkEthernet, parse.LinkNull, parse.LinkLoop, parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD, parse.LinkIPv4,
		parse.LinkIPv6, parse.LinkSLL, parse.LinkSLL2:
		return true
	}
	return false
}

// ethernet puts an Ethernet header in the place of another.
func (ed *Editor) ethernet(side int) bool {
	const dlt = 1 << editDLT
	f := &ed.frame
	d := f.Data
	var n int
	var t uint16
	src, known := ed.sourceMAC[side], ed.asks.has(editSourceMAC)
	cooked := func(protocol, hardware, length int, address int) {
		t = be.Uint16(d[protocol:])
		if !known && length == 6 {
			src, known = getMAC(d[address:]), true
		}
		if be.Uint16(d[hardware:]) == cookedNetlink {
			t = 0
		} else if left := f.WireLen - n; t == cookedLLC && left < typeMin {
			t = uint16(left)
		} else if t < typeMin {
			t = 0
		}
	}
	switch f.Link {
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD:
		if len(d) > 0 {
			t = ofVersion(d[0])
		}
	case parse.LinkIPv4:
		t = typeIPv4
	case parse.LinkIPv6:
		t = typeIPv6
	case parse.LinkNull, parse.LinkLoop:
		if n = 4; len(d) >= n {
			t = ofFamily(d)
		}
	case parse.LinkSLL:
		if n = 16; len(d) >= n {
			cooked(14, 2, int(be.Uint16(d[4:])), 6)
		}
	case parse.LinkSLL2:
		if n = 20; len(d) >= n {
			cooked(0, 8, int(d[11]), 12)
		}
	}
	switch {
	case len(d) < max(n, 1):
		ed.short(dlt)
		return false
	case t == 0 || !known || !ed.asks.has(editDestMAC):
		ed.unable(dlt, WrongLink)
		return false
	}
	ed.move(n - 14)
	f.Link = parse.LinkEthernet
	putMAC(f.Data, ed.destMAC[side])
	putMAC(f.Data[6:], src)
	be.PutUint16(f.Data[12:], t)
	ed.did(editDLT)
	return true
}

// cookedLLC is the protocol of 802.2 frames in a cooked header (LINUX_SLL_P_802_2).
const cookedLLC = 4

// ofVersion returns the EtherType of an IP packet by its first octet, 0 of none.
func ofVersion(first byte) uint16 {
	switch first >> 4 {
	case 4:
		return typeIPv4
	case 6:
		return typeIPv6
	}
	return 0
}

// ofFamily returns the EtherType of what follows a loopback header, as package parse reads it; 0 of none.
func ofFamily(d []byte) uint16 {
	family := binary.LittleEndian.Uint32(d)
	if family>>16 != 0 {
		family = be.Uint32(d)
	}
	switch family {
	case 2:
		return typeIPv4
	case 10, 23, 24, 28, 30:
		return typeIPv6
	}
	return 0
}
