package rewrite

import (
	"encoding/binary"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

var be = binary.BigEndian

// EtherTypes and IP protocol numbers (IANA).
const (
	typeIPv4       = 0x0800
	typeARP        = 0x0806
	typeVLAN       = 0x8100
	typeService    = 0x88a8
	typeIPv6       = 0x86dd
	typeMPLS       = 0x8847
	typeMPLSMulti  = 0x8848
	typeSession    = 0x8864
	typeMin        = 0x0600 // smaller values are an 802.3 length
	cookedNetlink  = 824    // ARPHRD_NETLINK
	protoHopByHop  = 0
	protoICMP      = 1
	protoTCP       = 6
	protoUDP       = 17
	protoRouting   = 43
	protoFragment  = 44
	protoESP       = 50
	protoAH        = 51
	protoICMPv6    = 58
	protoNone      = 59
	protoDestOpts  = 60
	echoReply      = 0
	echoRequest    = 8
	echoRequestV6  = 128
	echoReplyV6    = 129
	ipv4Len        = 20
	ipv6Len        = 40
	absent         = -1
	moreOrOffset   = 0x3fff
	v6MoreOrOffset = 0xfff9
)

// layout says where a frame's fields are that depend on its size.
type layout struct {
	keep  int // octets from the start that must stay: the headers, or the whole message
	end   int // where the payload ends
	bound int // where the lengths of IP and PPPoE end: behind end where there is padding or a surplus area (RFC 9868); 0: none
	ip    int
	l4    int
	pppoe int // or absent
	v6    bool
	proto byte
	// unbounded says that the IP header has no length.
	unbounded bool
	route     bool // a source route is under way
}

// locate walks the headers as package parse says, and decides what may be resized.
func locate(d []byte, link parse.LinkType) (layout, Outcome) {
	l := layout{pppoe: absent, end: len(d)}
	switch link {
	case parse.LinkEthernet:
		if len(d) < 14 {
			return l, Malformed
		}
		return l.etherType(d, be.Uint16(d[12:]), 14)
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD:
		return l.version(d, 0)
	case parse.LinkIPv4:
		return l.ipv4(d, 0)
	case parse.LinkIPv6:
		return l.ipv6(d, 0)
	case parse.LinkNull, parse.LinkLoop:
		if len(d) < 4 {
			return l, Malformed
		}
		family := binary.LittleEndian.Uint32(d)
		if family>>16 != 0 {
			family = be.Uint32(d)
		}
		switch family {
		case 2:
			return l.ipv4(d, 4)
		case 10, 23, 24, 28, 30:
			return l.ipv6(d, 4)
		}
		return l.message(len(d))
	case parse.LinkSLL:
		if len(d) < 16 {
			return l, Malformed
		}
		return l.cooked(d, be.Uint16(d[14:]), be.Uint16(d[2:]), 16)
	case parse.LinkSLL2:
		if len(d) < 20 {
			return l, Malformed
		}
		return l.cooked(d, be.Uint16(d), be.Uint16(d[8:]), 20)
	}
	return l, UnknownLink
}

// message ends the walk at what must stay whole up to end.
func (l layout) message(end int) (layout, Outcome) {
	l.keep = end
	return l, Trailer
}

func (l layout) cooked(d []byte, protocol, hardware uint16, off int) (layout, Outcome) {
	if protocol < typeMin || hardware == cookedNetlink {
		return l.message(len(d))
	}
	return l.etherType(d, protocol, off)
}

func (l layout) etherType(d []byte, t uint16, off int) (layout, Outcome) {
	for t == typeVLAN || t == typeService {
		if len(d)-off < 4 {
			return l, Malformed
		}
		t = be.Uint16(d[off+2:])
		off += 4
	}
	switch t {
	case typeIPv4:
		return l.ipv4(d, off)
	case typeIPv6:
		return l.ipv6(d, off)
	case typeARP:
		if len(d)-off < 8 {
			return l, Malformed
		}
		off += 8 + 2*int(d[off+4]) + 2*int(d[off+5])
		if off > len(d) {
			return l, Malformed
		}
		return l.message(off)
	case typeMPLS, typeMPLSMulti:
		return l.mpls(d, off)
	case typeSession:
		return l.session(d, off)
	}
	if t >= typeMin {
		return l.message(len(d))
	}
	if int(t) > len(d)-off || t < 3 {
		return l, Malformed
	}
	return l.message(off + int(t))
}

func (l layout) mpls(d []byte, off int) (layout, Outcome) {
	for bottom := false; !bottom; off += 4 {
		if l.end-off < 4 {
			return l, Malformed
		}
		bottom = d[off+2]&1 != 0
	}
	if off == l.end || d[off]>>4 == 4 || d[off]>>4 == 6 {
		return l.version(d, off)
	}
	return l.message(l.end)
}

func (l layout) session(d []byte, off int) (layout, Outcome) {
	if len(d)-off < 6 {
		return l, Malformed
	}
	n := int(be.Uint16(d[off+4:]))
	if n > len(d)-off-6 {
		return l, Malformed
	}
	l.pppoe = off
	l.end = off + 6 + n
	l.bound = l.end
	if d[off+1] != 0 { // discovery
		return l.message(l.end)
	}
	off += 6
	if l.end-off < 2 {
		return l, Malformed
	}
	protocol := be.Uint16(d[off:])
	if d[off]&1 != 0 { // compressed to one octet
		protocol = uint16(d[off])
		off--
	}
	off += 2
	switch protocol {
	case 0x0021:
		return l.ipv4(d, off)
	case 0x0057:
		return l.ipv6(d, off)
	case 0x0281, 0x0283:
		return l.mpls(d, off)
	}
	return l.message(l.end)
}

func (l layout) version(d []byte, off int) (layout, Outcome) {
	if off >= l.end {
		return l, Malformed
	}
	switch d[off] >> 4 {
	case 4:
		return l.ipv4(d, off)
	case 6:
		return l.ipv6(d, off)
	}
	return l, Malformed
}

func (l layout) ipv4(d []byte, off int) (layout, Outcome) {
	if l.end-off < ipv4Len || d[off]>>4 != 4 {
		return l, Malformed
	}
	n, total := int(d[off]&15)*4, int(be.Uint16(d[off+2:]))
	l.unbounded = total == 0
	if l.unbounded {
		total = l.end - off
	}
	if n < ipv4Len || total < n || total > l.end-off {
		return l, Malformed
	}
	l.ip, l.l4, l.end, l.proto = off, off+n, off+total, d[off+9]
	l.bound = max(l.bound, l.end)
	switch {
	case be.Uint16(d[off+6:])&moreOrOffset != 0:
		return l, Fragment
	case sourceRouted(d[off+ipv4Len : l.l4]):
		return l.routed()
	}
	return l.transport(d)
}

// sourceRouted reports whether IPv4 options hold a source route under way (RFC 791 section 3.1: its pointer is not past
// it): checksums then cover the last address of the route.
func sourceRouted(opts []byte) bool {
	const end, nop, loose, strict = 0, 1, 131, 137
	for len(opts) > 0 && opts[0] != end {
		n := 1
		if opts[0] != nop {
			if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
				return false
			}
			n = int(opts[1])
		}
		if (opts[0] == loose || opts[0] == strict) && n > 2 && int(opts[2]) <= n {
			return true
		}
		opts = opts[n:]
	}
	return false
}

// routed ends the walk at a packet whose checksum is over another address than the IP header's.
func (l layout) routed() (layout, Outcome) {
	l.route = true
	if l.unbounded {
		return l, Unbounded
	}
	return l.message(l.end)
}

func (l layout) ipv6(d []byte, off int) (layout, Outcome) {
	if l.end-off < ipv6Len || d[off]>>4 != 6 {
		return l, Malformed
	}
	l.ip, l.v6 = off, true
	next, length := d[off+6], int(be.Uint16(d[off+4:]))
	l.unbounded = length == 0 && next != protoNone
	if l.unbounded {
		length = l.end - off - ipv6Len
	}
	if length > l.end-off-ipv6Len {
		return l, Malformed
	}
	off += ipv6Len
	l.end = off + length
	l.bound = max(l.bound, l.end)
	for {
		n := 8
		switch next {
		case protoHopByHop, protoRouting, protoDestOpts:
			if l.unbounded { // the length may be in a jumbo payload option (RFC 2675)
				return l, Unbounded
			}
			if l.end-off < n {
				return l, Malformed
			}
			if next == protoRouting && d[off+3] != 0 { // segments left
				return l.routed()
			}
			n = (int(d[off+1]) + 1) * 8
		case protoFragment:
			if l.end-off < n {
				return l, Malformed
			}
			if be.Uint16(d[off+2:])&v6MoreOrOffset != 0 {
				return l, Fragment
			}
		default:
			l.l4, l.proto = off, next
			return l.transport(d)
		}
		if l.end-off < n {
			return l, Malformed
		}
		next = d[off]
		off += n
	}
}

// transport decides about the octets from l.l4 to l.end.
func (l layout) transport(d []byte) (layout, Outcome) {
	p := d[l.l4:l.end]
	n := 8
	switch {
	case l.proto == protoESP, l.proto == protoAH:
		return l, Protected
	case l.proto == protoTCP:
		if len(p) < 20 {
			return l, Malformed
		}
		if n = int(p[12]>>4) * 4; n < 20 {
			return l, Malformed
		}
	case l.proto == protoUDP:
		if len(p) < n {
			return l, Malformed
		}
		if length := int(be.Uint16(p[4:])); length != 0 { // 0 as in package parse
			if length < n || length > len(p) {
				return l, Malformed
			}
			l.end = l.l4 + length
			p = p[:length]
		}
	case l.proto == protoICMP && !l.v6 && len(p) >= n && (p[0] == echoReply || p[0] == echoRequest):
	case l.proto == protoICMPv6 && l.v6 && len(p) >= n && (p[0] == echoRequestV6 || p[0] == echoReplyV6):
	case l.unbounded:
		return l, Unbounded
	default:
		return l.message(l.end)
	}
	if len(p) < n {
		return l, Malformed
	}
	l.keep = l.l4 + n
	return l, Resized
}

// seal makes the lengths and checksums of b right, which ends where the payload does.
func (l layout) seal(b []byte) {
	if l.pppoe != absent {
		be.PutUint16(b[l.pppoe+4:], uint16(len(b)-l.pppoe-6))
	}
	if l.v6 {
		be.PutUint16(b[l.ip+4:], uint16(len(b)-l.ip-ipv6Len))
	} else {
		be.PutUint16(b[l.ip+2:], uint16(len(b)-l.ip))
	}
	if l.proto == protoUDP {
		be.PutUint16(b[l.l4+4:], uint16(len(b)-l.l4))
	}
	l.checksums(b)
}

// trim has the PPPoE length of a message say that it ends with b, which ends behind it, if it says more.
func (l layout) trim(b []byte) {
	if l.pppoe != absent && l.bound > len(b) {
		be.PutUint16(b[l.pppoe+4:], uint16(len(b)-l.pppoe-6))
	}
}

// checksums computes those of b, which ends where the payload does.
func (l layout) checksums(b []byte) {
	ip, p := b[l.ip:], b[l.l4:]
	var acc uint64
	if l.v6 {
		acc = checksum.Add(0, ip[8:ipv6Len])
	} else {
		be.PutUint16(ip[10:], 0)
		be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip[:int(ip[0]&15)*4])))
		acc = checksum.Add(0, ip[12:ipv4Len])
	}
	acc += uint64(l.proto) + uint64(len(p))
	switch l.proto {
	case protoTCP:
		be.PutUint16(p[16:], 0)
		be.PutUint16(p[16:], checksum.Field(checksum.Add(acc, p)))
	case protoUDP:
		if be.Uint16(p[6:]) != 0 {
			be.PutUint16(p[6:], 0)
			be.PutUint16(p[6:], checksum.UDPField(checksum.Add(acc, p)))
		}
	case protoICMP:
		be.PutUint16(p[2:], 0)
		be.PutUint16(p[2:], checksum.Field(checksum.Add(0, p)))
	case protoICMPv6:
		be.PutUint16(p[2:], 0)
		be.PutUint16(p[2:], checksum.Field(checksum.Add(acc, p)))
	}
}

// isExtension reports whether headers go on behind that of an IP protocol.
func isExtension(proto byte) bool {
	switch proto {
	case protoHopByHop, protoRouting, protoFragment, protoAH, protoDestOpts:
		return true
	}
	return false
}
