package rewrite

import (
	"errors"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// IP protocol numbers (IANA), beside those of locate.go.
const (
	protoIGMP = 2
	protoSCTP = 132
)

// lengths mends frames that the capture cut, and cuts those above the MTU.
func (ed *Editor) lengths() {
	f := &ed.frame
	if ed.asks.has(editFixLen) && f.WireLen > len(f.Data) {
		switch ed.edits.FixLen {
		case "del":
			ed.drop = true
			ed.did(editFixLen)
			return
		case "pad":
			ed.pad()
		case "trunc":
			ed.trunc()
		}
	}
	if ed.asks.has(editMTU) {
		ed.cutToMTU()
	}
}

// pad appends zeros for what the capture cut.
func (ed *Editor) pad() {
	const fixlen = 1 << editFixLen
	f := &ed.frame
	n, captured := f.WireLen, len(f.Data)
	if n > maxPad || ed.mtu > 0 && n > behindTags(f)+ed.mtu {
		ed.unable(fixlen, TooLong)
		return
	}
	if end := ed.start + n; end > len(ed.buf) {
		buf := make([]byte, end+n/2)
		copy(buf, ed.buf)
		ed.buf = buf
	}
	_ = parse.Direct{}.Parse(f, &ed.packet)
	f.Data = ed.buf[ed.start : ed.start+n]
	clear(f.Data[captured:])
	ed.did(editFixLen)
	if ed.packet.Truncated { // a header is zeros now
		ed.unable(fixlen, Cut)
		return
	}
	l, o := locate(f.Data, f.Link)
	switch {
	case o == UnknownLink || o == Malformed || l.l4 == 0 && o == Trailer && !l.route || l.end <= captured:
		// Nothing was lost that a checksum covers, or that could be found.
	case o == Resized, o == Trailer && l.summed():
		l.checksums(f.Data[:l.end])
	case l.route:
		ed.unable(fixlen, Routed)
	case o == Trailer && l.proto != protoIGMP && l.proto != protoSCTP && checksumField(l.proto, l.v6) == absent:
	case o == Trailer:
		ed.unable(fixlen, Cut) // its checksum covers what was lost
	default:
		ed.unable(fixlen, o)
	}
}

// behindTags returns where what an MTU counts starts: behind the link header and its VLAN tags, as far as they are whole.
func behindTags(f *parse.Frame) int {
	d := f.Data
	var t uint16
	var off int
	switch f.Link {
	case parse.LinkEthernet:
		if off = 14; len(d) >= off {
			t = be.Uint16(d[12:])
		}
	case parse.LinkNull, parse.LinkLoop:
		return 4
	case parse.LinkSLL:
		if off = 16; len(d) >= off {
			t = be.Uint16(d[14:])
		}
	case parse.LinkSLL2:
		if off = 20; len(d) >= off {
			t = be.Uint16(d)
		}
	}
	for (t == typeVLAN || t == typeService) && len(d) >= off+4 {
		t = be.Uint16(d[off+2:])
		off += 4
	}
	return off
}

// linkEnd returns where the 802.3 or PPPoE length behind the tags says that the frame ends, 0 without one, and where that
// header starts, or for an 802.3 length ends.
func linkEnd(f *parse.Frame) (end, start int) {
	start = behindTags(f)
	d := f.Data
	if len(d) < start || f.Link == parse.LinkNull || f.Link == parse.LinkLoop || start == 0 {
		return 0, start
	}
	at := start - 2
	if f.Link == parse.LinkSLL2 && start == 20 {
		at = 0
	}
	switch t := be.Uint16(d[at:]); {
	case t < typeMin && f.Link == parse.LinkEthernet:
		return start + int(t), start
	case t == typeSession && len(d) >= start+6:
		return start + 6 + int(be.Uint16(d[start+4:])), start
	}
	return 0, start
}

// trunc has the lengths in the headers say what was captured.
func (ed *Editor) trunc() {
	const fixlen = 1 << editFixLen
	f, p := &ed.frame, &ed.packet
	switch err := (parse.Direct{}).Parse(f, p); {
	case errors.Is(err, parse.ErrUnsupported):
		ed.unable(fixlen, UnknownLink)
		return
	case err != nil:
		ed.unable(fixlen, Malformed)
		return
	case p.Truncated:
		ed.unable(fixlen, Cut)
		return
	}
	outer, start := linkEnd(f)
	if p.Layers&(parse.LayerIPv4|parse.LayerIPv6|parse.LayerARP) == 0 {
		if outer > len(f.Data) { // not a trailer alone
			ed.unable(fixlen, Cut)
			return
		}
		f.WireLen = len(f.Data)
		ed.did(editFixLen)
		return
	}
	off := network(f.Data, f.Link)
	b := f.Data[off:]
	v6 := p.Layers.Has(parse.LayerIPv6)
	end := len(b)
	if !p.Layers.Has(parse.LayerARP) {
		end = ipEnd(b, v6)
	}
	switch {
	case end != 0 && end <= len(b): // only padding was cut
		if outer > len(f.Data) {
			if p.Layers.Has(parse.LayerLLC) {
				ed.unable(fixlen, Cut)
				return
			}
			be.PutUint16(f.Data[start+4:], uint16(len(f.Data)-start-6))
		}
		f.WireLen = len(f.Data)
		ed.did(editFixLen)
		return
	case p.Layers.Has(parse.LayerFragment):
		ed.unable(fixlen, Fragment)
		return
	case p.Layers.Has(parse.LayerLLC):
		ed.unable(fixlen, Cut)
		return
	}
	u := findUpper(b, p.Tuple.Proto, v6)
	l := layout{ip: off, l4: off + u.off, v6: v6, proto: p.Tuple.Proto, pppoe: absent}
	switch {
	case u.authenticated, l.proto == protoESP:
		ed.unable(fixlen, Protected)
		return
	case u.routed:
		ed.unable(fixlen, Routed)
		return
	case end == 0 && v6 && p.Layers.Has(parse.LayerIPv6Extension): // may be a jumbo payload option (RFC 2675)
		ed.unable(fixlen, Unbounded)
		return
	case l.proto != protoTCP && l.proto != protoUDP && !l.summed():
		ed.unable(fixlen, Cut)
		return
	case len(b) > 65535:
		ed.unable(fixlen, TooLong)
		return
	}
	if p.Layers.Has(parse.LayerPPPoE) {
		l.pppoe = start
	}
	if p.Layers.Has(parse.LayerUDP) { // of a surplus area (RFC 9868) a part would be none
		if n := int(be.Uint16(b[u.off+4:])); n != 0 && u.off+n <= len(b) {
			f.Data = f.Data[:l.l4+n]
		}
	}
	l.seal(f.Data)
	f.WireLen = len(f.Data)
	ed.did(editFixLen)
}

// ipEnd returns where the packet ends that starts b, by its length; 0 if that says nothing.
func ipEnd(b []byte, v6 bool) int {
	if !v6 {
		return int(be.Uint16(b[2:]))
	}
	if n := int(be.Uint16(b[4:])); n != 0 || b[6] == protoNone {
		return ipv6Len + n
	}
	return 0
}

// summed reports whether checksums makes the checksum of a message that is not resized: any ICMP of its own IP version.
func (l layout) summed() bool {
	return l.l4 != 0 && !l.route && (l.proto == protoICMP && !l.v6 || l.proto == protoICMPv6 && l.v6)
}

// cutToMTU cuts the payload of packets above the MTU, as resizing does.
func (ed *Editor) cutToMTU() {
	const mtu = 1 << editMTU
	f := &ed.frame
	want := behindTags(f) + ed.mtu
	switch {
	case f.WireLen <= want:
		return
	case f.WireLen > len(f.Data):
		ed.unable(mtu, Cut)
		return
	}
	switch l, o := locate(f.Data, f.Link); {
	case o != Resized && o != Trailer:
		ed.unable(mtu, o)
		return
	case l.keep > want:
		ed.unable(mtu, TooLong)
		return
	case o == Trailer:
		l.trim(f.Data[:want])
	case l.bound > want:
		want = min(want, l.end)
		l.seal(f.Data[:want])
	}
	f.Data = f.Data[:want]
	f.WireLen = want
	ed.did(editMTU)
}

// fuzz damages a frame if its number says so: it is lost, its payload ends early, or up to 8 octets at the payload's
// start, middle or end become 0, 255 or random. Lengths and checksums fit the damage, so that it comes to the application.
func (ed *Editor) fuzz() {
	r := mix(mix(ed.edits.FuzzSeed) + ed.frames)
	if r%ed.factor != 0 {
		return
	}
	next := func(n int) int {
		r = mix(r)
		return int(r % uint64(n))
	}
	f := &ed.frame
	action := next(8)
	if action == 0 {
		ed.drop = true
		ed.did(editFuzz)
		return
	}
	l, o := locate(f.Data, f.Link)
	if o != Resized || f.WireLen > len(f.Data) || l.end == l.keep {
		return
	}
	payload := f.Data[l.keep:l.end]
	if action == 1 {
		l.end = l.keep + next(len(payload))
		f.Data = f.Data[:l.end]
		f.WireLen = l.end
		l.seal(f.Data)
		ed.did(editFuzz)
		return
	}
	n := min(1+next(8), len(payload))
	at := [...]int{0, (len(payload) - n) / 2, len(payload) - n}[next(3)]
	kind := next(3)
	for i := range payload[at : at+n] {
		payload[at+i] = [...]byte{0, 255, byte(next(256))}[kind]
	}
	l.checksums(f.Data[:l.end])
	ed.did(editFuzz)
}

// mend corrects IP lengths and checksums.
func (ed *Editor) mend() {
	if !ed.parse(sealEdits) {
		return
	}
	p := &ed.packet
	if p.Layers.Has(parse.LayerARP) {
		return
	}
	f := &ed.frame
	off := network(f.Data, f.Link)
	if ed.asks.has(editFixHdrLen) && ed.fixHdrLen(off) && !ed.parse(sealEdits) {
		return
	}
	if ed.asks.has(editFixCsum) {
		ed.fixCsum(off)
	}
}

// fixHdrLen has IP and UDP lengths that are 0 or above the frame say what is there, and reports whether it changed one. A
// smaller length stays: what follows the packet is a trailer. Checksums that cover a length stay, as they may have been
// right before it was lost; that of the IPv4 header follows.
func (ed *Editor) fixHdrLen(off int) (changed bool) {
	f, p := &ed.frame, &ed.packet
	b := f.Data[off:]
	v6 := p.Layers.Has(parse.LayerIPv6)
	room := f.WireLen - off
	if p.Layers.Has(parse.LayerPPPoE) {
		start := behindTags(f)
		room = min(room, start+6+int(be.Uint16(f.Data[start+4:]))-off)
	}
	end := ipEnd(b, v6)
	if end == 0 || end > room {
		switch {
		case v6 && be.Uint16(b[4:]) == 0 && p.Layers.Has(parse.LayerIPv6Extension):
			ed.unable(1<<editFixHdrLen, Unbounded)
			return false
		case v6 && room-ipv6Len > 65535, !v6 && room > 65535:
			ed.unable(1<<editFixHdrLen, TooLong)
			return false
		}
		if end = room; v6 {
			be.PutUint16(b[4:], uint16(room-ipv6Len))
		} else {
			adjust(b[10:12], put16(b, 2, uint16(room)))
		}
		changed = true
	}
	if p.Layers.Has(parse.LayerUDP) && !p.Layers.Has(parse.LayerFragment) {
		u := b[findUpper(b, p.Tuple.Proto, v6).off:]
		room := end - (len(b) - len(u))
		if n := int(be.Uint16(u[4:])); n == 0 || n > room {
			be.PutUint16(u[4:], uint16(room))
			changed = true
		}
	}
	if changed {
		ed.did(editFixHdrLen)
	}
	return changed
}

// fixCsum computes the checksums of the packet at off.
func (ed *Editor) fixCsum(off int) {
	const fixcsum = 1 << editFixCsum
	f, p := &ed.frame, &ed.packet
	v6 := p.Layers.Has(parse.LayerIPv6)
	b := f.Data[off:]
	if !v6 {
		h := b[:int(b[0]&15)*4]
		was := be.Uint16(h[10:])
		be.PutUint16(h[10:], 0)
		c := checksum.Field(checksum.Add(0, h))
		be.PutUint16(h[10:], c)
		if c != was {
			ed.did(editFixCsum)
		}
	}
	field := 0
	switch proto := p.Tuple.Proto; {
	case proto == protoTCP:
		field = 16
	case proto == protoUDP:
		field = 6
	case proto == protoICMP && !v6, proto == protoICMPv6 && v6:
		field = 2
	default:
		switch { // an extension header ends the walk where the checksum was not found
		case !isExtension(proto) || p.Layers&(parse.LayerFragmentRest|parse.LayerOtherL4) != 0:
		case p.Layers.Has(parse.LayerFragment):
			ed.unable(fixcsum, Fragment)
		default:
			ed.short(fixcsum)
		}
		return
	}
	u := findUpper(b, p.Tuple.Proto, v6)
	end := ipEnd(b, v6)
	switch {
	case p.Layers.Has(parse.LayerFragment):
		ed.unable(fixcsum, Fragment)
		return
	case ed.malformed:
		ed.unable(fixcsum, Malformed)
		return
	case u.routed && p.Tuple.Proto != protoICMP:
		ed.unable(fixcsum, Routed)
		return
	case end == 0:
		ed.unable(fixcsum, Unbounded)
		return
	case end > len(b):
		ed.short(fixcsum)
		return
	}
	t := b[u.off:end]
	if p.Truncated || len(t) < 8 && p.Tuple.Proto != protoICMPv6 || len(t) < 4 {
		ed.short(fixcsum)
		return
	}
	if p.Tuple.Proto == protoUDP {
		if n := int(be.Uint16(t[4:])); n > len(t) {
			ed.unable(fixcsum, Malformed)
			return
		} else if n != 0 {
			end = u.off + n
		}
	}
	was := be.Uint16(t[field:])
	layout{l4: u.off, proto: p.Tuple.Proto, v6: v6}.checksums(b[:end])
	if be.Uint16(t[field:]) != was {
		ed.did(editFixCsum)
		if u.authenticated {
			ed.unable(fixcsum, Protected)
		}
	}
}
