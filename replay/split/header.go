package split

import (
	"encoding/binary"
	"net/netip"

	"pcaplab/parse"
)

// EtherTypes, IP protocols (IANA) and link types that package parse has no name for.
const (
	typeIPv4      = 0x0800
	typeVLAN      = 0x8100
	typeIPv6      = 0x86dd
	typeMPLS      = 0x8847
	typeMPLSMulti = 0x8848
	typeSession   = 0x8864
	typeService   = 0x88a8
	typeOldTag    = 0x9100

	protoHopByHop = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoDestOpts = 60

	linkPPP     = 9
	linkPPPHDLC = 50
	linkHDLC    = 104

	ipv4Len = 20
	ipv6Len = 40
)

// host is an IP address, IPv4 in the first four octets.
type host struct {
	addr [16]byte
	v6   bool
}

func (h *host) netip() netip.Addr {
	if h.v6 {
		return netip.AddrFrom16(h.addr)
	}
	return netip.AddrFrom4([4]byte(h.addr[:4]))
}

// header is what a frame's outermost IP header says. It is taken as it stands: who sent a frame does not depend on lengths and
// checksums, which captures have wrong for many reasons.
type header struct {
	src, dst host
	l4       []byte // from the transport header on; nil in a fragment after the first, or if it was not found
	proto    byte
}

// ipHeader finds the outermost IP header.
func ipHeader(f *parse.Frame, h *header) bool {
	d := f.Data
	switch f.Link {
	case parse.LinkEthernet:
		return len(d) >= 14 && h.etherType(be.Uint16(d[12:]), d[14:])
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD:
		return h.version(d)
	case parse.LinkIPv4:
		return h.ipv4(d)
	case parse.LinkIPv6:
		return h.ipv6(d)
	case parse.LinkNull, parse.LinkLoop:
		if len(d) < 4 {
			return false
		}
		family := binary.LittleEndian.Uint32(d)
		if family>>16 != 0 {
			family = be.Uint32(d)
		}
		switch family {
		case 2:
			return h.ipv4(d[4:])
		case 10, 23, 24, 28, 30:
			return h.ipv6(d[4:])
		}
	case parse.LinkSLL:
		return len(d) >= 16 && h.etherType(be.Uint16(d[14:]), d[16:])
	case parse.LinkSLL2:
		return len(d) >= 20 && h.etherType(be.Uint16(d), d[20:])
	case linkHDLC:
		return len(d) >= 4 && h.etherType(be.Uint16(d[2:]), d[4:])
	case linkPPP, linkPPPHDLC:
		if len(d) >= 2 && d[0] == 0xff && d[1] == 3 { // address and control
			d = d[2:]
		}
		return h.ppp(d)
	}
	return false
}

func (h *header) etherType(t uint16, d []byte) bool {
	for t == typeVLAN || t == typeService || t == typeOldTag {
		if len(d) < 4 {
			return false
		}
		t, d = be.Uint16(d[2:]), d[4:]
	}
	switch t {
	case typeIPv4:
		return h.ipv4(d)
	case typeIPv6:
		return h.ipv6(d)
	case typeMPLS, typeMPLSMulti:
		for bottom := false; !bottom; d = d[4:] {
			if len(d) < 4 {
				return false
			}
			bottom = d[2]&1 != 0
		}
		if len(d) >= 18 && d[0]>>4 == 0 { // a control word and an Ethernet frame (RFC 4448 section 4.6)
			return h.etherType(be.Uint16(d[16:]), d[18:])
		}
		return h.version(d)
	case typeSession:
		return len(d) >= 6 && d[1] == 0 && h.ppp(d[6:])
	}
	return false
}

func (h *header) ppp(d []byte) bool {
	if len(d) < 2 {
		return false
	}
	protocol, rest := be.Uint16(d), d[2:]
	if d[0]&1 != 0 { // compressed to one octet
		protocol, rest = uint16(d[0]), d[1:]
	}
	switch protocol {
	case 0x0021:
		return h.ipv4(rest)
	case 0x0057:
		return h.ipv6(rest)
	}
	return false
}

func (h *header) version(d []byte) bool { return h.ipv4(d) || h.ipv6(d) }

func (h *header) ipv4(d []byte) bool {
	if len(d) < ipv4Len || d[0]>>4 != 4 {
		return false
	}
	*h = header{proto: d[9]}
	copy(h.src.addr[:], d[12:16])
	copy(h.dst.addr[:], d[16:20])
	if n := int(d[0]&15) * 4; be.Uint16(d[6:])&0x1fff == 0 && n >= ipv4Len && n <= len(d) {
		h.l4 = d[n:]
	}
	return true
}

func (h *header) ipv6(d []byte) bool {
	if len(d) < ipv6Len || d[0]>>4 != 6 {
		return false
	}
	*h = header{proto: d[6], src: host{v6: true}, dst: host{v6: true}}
	copy(h.src.addr[:], d[8:24])
	copy(h.dst.addr[:], d[24:40])
	for d = d[ipv6Len:]; ; {
		n := 8
		switch h.proto {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(d) < 8 {
				return true
			}
			n += int(d[1]) * 8
		case protoFragment:
			if len(d) < 8 || be.Uint16(d[2:])>>3 != 0 {
				return true
			}
		case protoAH:
			if len(d) < 8 {
				return true
			}
			n = int(d[1])*4 + 8
		default:
			h.l4 = d
			return true
		}
		if n > len(d) {
			return true
		}
		h.proto, d = d[0], d[n:]
	}
}

// ports returns the ports of TCP and UDP.
func (h *header) ports() (src, dst uint16, ok bool) {
	if h.proto != protoTCP && h.proto != protoUDP || len(h.l4) < 4 {
		return 0, 0, false
	}
	return be.Uint16(h.l4), be.Uint16(h.l4[2:]), true
}
