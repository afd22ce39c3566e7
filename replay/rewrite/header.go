package rewrite

import "pcaplab/parse"

// headers edits the outermost IP header, the transport header behind it, or ARP.
func (ed *Editor) headers(side int) {
	if !ed.parse(headerEdits) {
		return
	}
	f, p := &ed.frame, &ed.packet
	off := network(f.Data, f.Link)
	b := f.Data[off : p.HeaderLen+len(p.Payload)]
	var covered uint64 // difference of the addresses, as a pseudo-header has them
	var dst uint64     // of it the destination's
	switch {
	case p.Layers.Has(parse.LayerARP):
		if ed.asks&addressEdits != 0 {
			ed.arp(b)
		}
		return
	case p.Layers.Has(parse.LayerIPv4):
		covered, dst = ed.ipv4(b[:ipv4Len:ipv4Len], side)
	default:
		covered, dst = ed.ipv6(b[:ipv6Len:ipv6Len], side)
	}
	if covered != 0 || ed.asks&portEdits != 0 {
		ed.transport(b, covered, dst)
	}
}

// hops returns the time to live that follows ttl.
func (ed *Editor) hops(ttl byte) byte {
	n := ed.ttl
	if ed.ttlBy {
		n += int(ttl)
	}
	n = min(max(n, 1), 255)
	if byte(n) != ttl {
		ed.did(editTTL)
	}
	return byte(n)
}

// ipv4 edits the fixed IPv4 header h.
func (ed *Editor) ipv4(h []byte, side int) (covered, dst uint64) {
	var acc uint64
	if ed.tos >= 0 && h[1] != byte(ed.tos) {
		acc += put16(h, 0, uint16(h[0])<<8|uint16(ed.tos))
		ed.did(editTOS)
	}
	if ed.asks.has(editTTL) {
		acc += put16(h, 8, uint16(ed.hops(h[8]))<<8|uint16(h[9]))
	}
	if ed.asks&addressEdits != 0 {
		covered = ed.address4(h[12:16], ed.src[side], ed.srcEdit)
		dst = ed.address4(h[16:20], ed.dst[side], ed.dstEdit)
		covered += dst
	}
	if acc += covered; acc != 0 {
		adjust(h[10:12], acc)
	}
	return covered, dst
}

// address4 edits the IPv4 address a and returns the difference.
func (ed *Editor) address4(a []byte, m *mapping, e edit) uint64 {
	was := be.Uint32(a)
	if ed.edits.SkipBroadcast && (was>>28 == 0xe || was == 1<<32-1) {
		return 0
	}
	v := m.ipv4(was)
	if e == editRandomize {
		v = ed.ipCipher.ipv4(was)
	}
	if v == was {
		return 0
	}
	ed.did(e)
	return put16(a, 0, uint16(v>>16)) + put16(a, 2, uint16(v))
}

// ipv6 edits the fixed IPv6 header h.
func (ed *Editor) ipv6(h []byte, side int) (covered, dst uint64) {
	if ed.tclass >= 0 && be.Uint16(h)>>4&0xff != uint16(ed.tclass) {
		be.PutUint16(h, be.Uint16(h)&0xf00f|uint16(ed.tclass)<<4)
		ed.did(editTClass)
	}
	if word := be.Uint32(h); ed.label >= 0 && word&0xfffff != uint32(ed.label) {
		be.PutUint32(h, word&^0xfffff|uint32(ed.label))
		ed.did(editFlowLabel)
	}
	if ed.asks.has(editTTL) {
		h[7] = ed.hops(h[7])
	}
	if ed.asks&addressEdits != 0 {
		covered = ed.address6(h[8:24], ed.src[side], ed.srcEdit)
		dst = ed.address6(h[24:40], ed.dst[side], ed.dstEdit)
		covered += dst
	}
	return covered, dst
}

// address6 edits the IPv6 address a and returns the difference.
func (ed *Editor) address6(a []byte, m *mapping, e edit) uint64 {
	if ed.edits.SkipBroadcast && a[0] == 0xff {
		return 0
	}
	was := [16]byte(a)
	hi, lo := be.Uint64(a), be.Uint64(a[8:])
	if e == editRandomize {
		hi, lo = ed.ipCipher.ipv6(hi, lo)
	} else {
		hi, lo = m.ipv6(hi, lo)
	}
	be.PutUint64(a, hi)
	be.PutUint64(a[8:], lo)
	if [16]byte(a) == was {
		return 0
	}
	ed.did(e)
	return difference(was[:], a)
}

// arp edits the protocol addresses of the ARP message b.
func (ed *Editor) arp(b []byte) {
	if be.Uint16(b[2:]) != typeIPv4 || b[5] != 4 {
		return
	}
	side := 0
	if be.Uint16(b[6:]) == 2 { // a reply
		side = 1
	}
	sender := 8 + int(b[4])
	target := sender + 4 + int(b[4])
	ed.address4(b[sender:sender+4], ed.src[side], ed.srcEdit)
	ed.address4(b[target:target+4], ed.dst[side], ed.dstEdit)
}

// transport edits the header behind the IP header that starts b, as far as it is captured, and its checksum, which covers
// addresses that changed.
func (ed *Editor) transport(b []byte, covered, dst uint64) {
	p := &ed.packet
	v6 := p.Layers.Has(parse.LayerIPv6)
	proto := p.Tuple.Proto
	u := upper{off: int(b[0]&15) * 4}
	if v6 || u.off != ipv4Len || b[9] != proto {
		if v6 && p.Layers&(parse.LayerIPv6Extension|parse.LayerFragment) == 0 && !p.Truncated {
			u.off = ipv6Len
		} else {
			u = findUpper(b, proto, v6)
		}
	}
	if u.authenticated = u.authenticated || proto == protoAH; u.authenticated { // in each fragment too: its value is over the whole packet
		ed.unable(ed.changed&addressEdits, Protected)
	}
	if p.Layers.Has(parse.LayerFragmentRest) {
		return
	}
	field := checksumField(proto, v6)
	if field == absent {
		switch {
		case !ed.malformed || !isExtension(proto):
		case p.Layers.Has(parse.LayerFragment):
			ed.unable(ed.changed&addressEdits|portEdits, Fragment)
		default:
			ed.unable(portEdits, Malformed)
		}
		return
	}
	if u.routed {
		covered -= dst
	}
	t := b[min(u.off, len(b)):]
	acc := covered
	switch fragment := p.Layers.Has(parse.LayerFragment); {
	case proto != protoTCP && proto != protoUDP:
	case ed.malformed && !fragment:
		if proto == protoTCP {
			ed.unable(portEdits, Malformed)
		} else {
			ed.unable(1<<editPortMap, Malformed)
		}
	default:
		if ed.asks.has(editPortMap) && len(t) >= 4 {
			from, to := be.Uint16(t), be.Uint16(t[2:])
			acc += put16(t, 0, ed.ports[from]) + put16(t, 2, ed.ports[to])
			if ed.ports[from] != from || ed.ports[to] != to {
				ed.did(editPortMap)
			}
		}
		if ed.asks.has(editSequence) && proto == protoTCP {
			acc += ed.sequence(t)
		}
		if u.authenticated {
			ed.unable(ed.changed&portEdits, Protected)
		}
	}
	switch {
	case acc == 0:
	case field+2 <= len(t):
		adjustUpper(t[field:], proto, acc)
	case ed.malformed && p.Layers.Has(parse.LayerFragment): // it is in another fragment
		ed.unable(ed.changed&(addressEdits|portEdits), Fragment)
	}
}

// sequence shifts the numbers of the TCP header that starts t: its own, the acknowledged one where the flag says that it is
// one, and selective acknowledgements (RFC 2018 section 3).
func (ed *Editor) sequence(t []byte) (acc uint64) {
	if len(t) < 8 {
		return 0
	}
	acc = put32(t, 4, be.Uint32(t[4:])+ed.shift)
	ed.did(editSequence)
	if len(t) < 20 || !ed.packet.Layers.Has(parse.LayerTCP) {
		switch {
		case ed.malformed: // the rest is in another fragment
			ed.unable(1<<editSequence, Fragment)
		case len(t) > 8:
			ed.unable(1<<editSequence, Cut)
		}
		return acc
	}
	if t[13]&byte(parse.TCPAck) == 0 {
		return acc
	}
	acc += put32(t, 8, be.Uint32(t[8:])+ed.shift)
	const end, nop, sack = 0, 1, 5
	for i, n := 20, int(t[12]>>4)*4; i+1 < n && t[i] != end; {
		if t[i] == nop {
			i++
			continue
		}
		length := int(t[i+1])
		if length < 2 || i+length > n {
			break
		}
		if t[i] == sack {
			for at := i + 2; at+4 <= i+length; at += 4 {
				acc += put32(t, at, be.Uint32(t[at:])+ed.shift)
			}
		}
		i += length
	}
	return acc
}
