package parse

import "encoding/binary"

// Direct is the parser of this project: it decodes the headers in place and allocates nothing. It holds no state and
// decodes every link type that this package names; the zero value is ready.
type Direct struct{}

// DirectEngine returns the engine "direct", whose parsers are Direct.
func DirectEngine() Engine {
	return Engine{
		Name: "direct",
		Doc:  "this project's parser: in place, no allocation",
		New: func(link LinkType) (Parser, error) {
			switch link {
			case LinkNull, LinkEthernet, LinkRawBSD, LinkRawOpenBSD, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2:
				return Direct{}, nil
			}
			return nil, ErrUnsupported
		},
	}
}

// EtherTypes (IEEE registration authority).
const (
	etherIPv4      = 0x0800
	etherARP       = 0x0806
	etherVLAN      = 0x8100 // 802.1Q customer tag
	etherIPv6      = 0x86dd
	etherMPLS      = 0x8847
	etherMPLSMulti = 0x8848
	etherSession   = 0x8864 // PPPoE session
	etherService   = 0x88a8 // 802.1ad service tag
	etherMin       = 0x0600 // smaller values are an 802.3 length
)

// IP protocol numbers (IANA).
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoSCTP     = 132
)

const mappedPrefix = 0xffff << 16 // ::ffff:0:0/96, octets 8 to 15 read in little endian, without the address

// Parse decodes f.Data as the package comment says.
func (Direct) Parse(f *Frame, p *Packet) error {
	d := f.Data
	// Most frames: Ethernet, IPv4 without options or fragments (or IPv6 without extensions), TCP or UDP, whole. All
	// others take the long way.
	if f.Link != LinkEthernet || len(d) < 14+20+20 {
		return decode(f, p)
	}
	h := (*[54]byte)(d)
	const plain = etherIPv4<<8 | 0x45 // type, version and header length
	if kind := binary.BigEndian.Uint32(h[12:]) >> 8; kind != plain {
		if kind>>4 == etherIPv6<<4|6 && len(d) >= 14+40+20 {
			return plainIPv6(f, p)
		}
		return decode(f, p)
	}
	if binary.BigEndian.Uint16(h[20:])&0x3fff != 0 {
		return decode(f, p)
	}
	end := 14 + int(binary.BigEndian.Uint16(h[16:]))
	if end > len(d) {
		return decode(f, p)
	}
	var (
		payload int
		layers  Layers
		flags   uint16
	)
	switch h[23] {
	case protoTCP:
		word := binary.BigEndian.Uint16(h[46:])
		payload = 34 + int(word>>12)*4
		flags = word & 0x1ff
		layers = LayerEthernet | LayerIPv4 | LayerTCP
		if word < 5<<12 {
			return decode(f, p)
		}
	case protoUDP:
		length := int(binary.BigEndian.Uint16(h[38:]))
		payload = 42
		layers = LayerEthernet | LayerIPv4 | LayerUDP
		if length != end-34 {
			return decode(f, p)
		}
	default:
		return decode(f, p)
	}
	if uint(payload) > uint(end) {
		return decode(f, p)
	}
	p.Payload = d[payload:end:end]
	p.Layers = layers
	setMapped(&p.Tuple.SrcIP, binary.LittleEndian.Uint32(h[26:]))
	setMapped(&p.Tuple.DstIP, binary.LittleEndian.Uint32(h[30:]))
	p.Tuple.SrcPort = binary.BigEndian.Uint16(h[34:])
	p.Tuple.DstPort = binary.BigEndian.Uint16(h[36:])
	p.Tuple.Proto = h[23]
	p.TTL = h[22]
	p.TCPFlags = flags
	p.HeaderLen = payload
	p.Truncated = false
	return nil
}

// plainIPv6 parses an Ethernet frame of at least 74 octets that says it is IPv6.
func plainIPv6(f *Frame, p *Packet) error {
	d := f.Data
	h := (*[74]byte)(d)
	length := int(binary.BigEndian.Uint16(h[18:]))
	end := 54 + length
	if end > len(d) || length == 0 {
		return decode(f, p)
	}
	var (
		payload int
		layers  Layers
		flags   uint16
	)
	switch h[20] {
	case protoTCP:
		word := binary.BigEndian.Uint16(h[66:])
		payload = 54 + int(word>>12)*4
		flags = word & 0x1ff
		layers = LayerEthernet | LayerIPv6 | LayerTCP
		if word < 5<<12 {
			return decode(f, p)
		}
	case protoUDP:
		payload = 62
		layers = LayerEthernet | LayerIPv6 | LayerUDP
		if int(binary.BigEndian.Uint16(h[58:])) != length {
			return decode(f, p)
		}
	default:
		return decode(f, p)
	}
	if uint(payload) > uint(end) {
		return decode(f, p)
	}
	p.Payload = d[payload:end:end]
	p.Layers = layers
	p.Tuple.SrcIP = [16]byte(h[22:38])
	p.Tuple.DstIP = [16]byte(h[38:54])
	p.Tuple.SrcPort = binary.BigEndian.Uint16(h[54:])
	p.Tuple.DstPort = binary.BigEndian.Uint16(h[56:])
	p.Tuple.Proto = h[20]
	p.TTL = h[21]
	p.TCPFlags = flags
	p.HeaderLen = payload
	p.Truncated = false
	return nil
}

// setMapped writes the IPv4-mapped address; v4 holds its four octets in little endian.
func setMapped(ip *[16]byte, v4 uint32) {
	binary.LittleEndian.PutUint64(ip[:8], 0)
	binary.LittleEndian.PutUint64(ip[8:], mappedPrefix|uint64(v4)<<32)
}

// decode parses any frame.
func decode(f *Frame, p *Packet) error {
	*p = Packet{}
	d := f.Data
	end := len(d)
	switch f.Link {
	case LinkEthernet:
		if end < 14 {
			return stop(f, p, 0, end)
		}
		p.Layers = LayerEthernet
		return decodeType(f, p, binary.BigEndian.Uint16(d[12:]), 14)
	case LinkRaw, LinkRawBSD, LinkRawOpenBSD:
		return decodeVersion(f, p, 0, end)
	case LinkIPv4:
		return decodeIPv4(f, p, 0, end)
	case LinkIPv6:
		return decodeIPv6(f, p, 0, end)
	case LinkNull, LinkLoop:
		if end < 4 {
			return stop(f, p, 0, end)
		}
		p.Layers = LayerNull
		family := binary.LittleEndian.Uint32(d)
		if family>>16 != 0 { // families are below 256: the other byte order
			family = binary.BigEndian.Uint32(d)
		}
		switch family {
		case 2: // AF_INET everywhere
			return decodeIPv4(f, p, 4, end)
		case 10, 23, 24, 28, 30: // AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS
			return decodeIPv6(f, p, 4, end)
		}
		return rest(f, p, 4, end)
	case LinkSLL:
		if end < 16 {
			return stop(f, p, 0, end)
		}
		p.Layers = LayerSLL
		return decodeCooked(f, p, binary.BigEndian.Uint16(d[14:]), binary.BigEndian.Uint16(d[2:]), 16)
	case LinkSLL2:
		if end < 20 {
			return stop(f, p, 0, end)
		}
		p.Layers = LayerSLL2
		return decodeCooked(f, p, binary.BigEndian.Uint16(d), binary.BigEndian.Uint16(d[8:]), 20)
	}
	p.Payload = d
	return ErrUnsupported
}

// stop ends the walk at a header that does not fit between off and end.
func stop(f *Frame, p *Packet, off, end int) error {
	p.HeaderLen = off
	p.Payload = f.Data[off:end]
	if f.WireLen > len(f.Data) && end == len(f.Data) {
		p.Truncated = true
		return nil
	}
	return ErrMalformed
}

// malformed ends the walk at a header that contradicts itself.
func malformed(f *Frame, p *Packet, off, end int) error {
	p.HeaderLen = off
	p.Payload = f.Data[off:end]
	return ErrMalformed
}

// rest ends the walk where the headers end.
func rest(f *Frame, p *Packet, off, end int) error {
	p.HeaderLen = off
	p.Payload = f.Data[off:end]
	return nil
}

// decodeCooked goes on after a Linux cooked header. Protocol numbers below etherMin are not lengths there.
func decodeCooked(f *Frame, p *Packet, protocol, hardware uint16, off int) error {
	const (
		netlink    = 824 // ARPHRD_NETLINK: the protocol is a netlink family
		withoutLLC = 0   // any number that is no EtherType
		llc        = 4   // LINUX_SLL_P_802_2
	)
	switch {
	case protocol >= etherMin && hardware != netlink:
		return decodeType(f, p, protocol, off)
	case protocol == llc && hardware != netlink:
		return decodeLLC(f, p, off, len(f.Data))
	}
	return rest(f, p, off, len(f.Data))
}

// decodeType goes on after an EtherType or 802.3 length.
func decodeType(f *Frame, p *Packet, etherType uint16, off int) error {
	d := f.Data
	for {
		switch etherType {
		case etherIPv4:
			return decodeIPv4(f, p, off, len(d))
		case etherIPv6:
			return decodeIPv6(f, p, off, len(d))
		case etherARP:
			return decodeARP(f, p, off, len(d))
		case etherVLAN, etherService:
			if len(d)-off < 4 {
				return stop(f, p, off, len(d))
			}
			p.Layers |= LayerVLAN
			etherType = binary.BigEndian.Uint16(d[off+2:])
			off += 4
			continue
		case etherMPLS, etherMPLSMulti:
			return decodeMPLS(f, p, off, len(d))
		case etherSession:
			return decodePPPoE(f, p, off)
		}
		if etherType >= etherMin {
			return rest(f, p, off, len(d))
		}
		return decodeLLC(f, p, off, clamp(off, int(etherType), len(d)))
	}
}

// clamp returns where length octets from off end, at most limit.
func clamp(off, length, limit int) int {
	if length < limit-off {
		return off + length
	}
	return limit
}

func decodeLLC(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if len(d)-off < 3 {
		return stop(f, p, off, end)
	}
	n := 3
	if d[off+2]&3 != 3 { // information and supervisory formats have a second control octet
		n = 4
		if len(d)-off < 4 {
			return stop(f, p, off, end)
		}
	}
	p.Layers |= LayerLLC
	snap := d[off] == 0xaa && d[off+1] == 0xaa && n == 3
	off += n
	if !snap {
		return rest(f, p, off, end)
	}
	if len(d)-off < 5 {
		return stop(f, p, off, end)
	}
	oui := uint32(d[off])<<16 | uint32(d[off+1])<<8 | uint32(d[off+2])
	etherType := binary.BigEndian.Uint16(d[off+3:])
	off += 5
	if oui == 0 || oui == 0x0000f8 { // RFC 1042 and 802.1H: an EtherType follows
		switch etherType {
		case etherIPv4:
			return decodeIPv4(f, p, off, end)
		case etherIPv6:
			return decodeIPv6(f, p, off, end)
		case etherARP:
			return decodeARP(f, p, off, end)
		}
	}
	return rest(f, p, off, end)
}

func decodeMPLS(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	for {
		if len(d)-off < 4 {
			return stop(f, p, off, end)
		}
		p.Layers |= LayerMPLS
		bottom := d[off+2]&1 != 0
		off += 4
		if bottom {
			break
		}
	}
	// The stack does not name what follows: IP is told by its version, anything else is a pseudowire's.
	if off == len(d) || d[off]>>4 == 4 || d[off]>>4 == 6 {
		return decodeVersion(f, p, off, end)
	}
	return rest(f, p, off, end)
}

func decodePPPoE(f *Frame, p *Packet, off int) error {
	d := f.Data
	if len(d)-off < 6 {
		return stop(f, p, off, len(d))
	}
	p.Layers |= LayerPPPoE
	code := d[off+1]
	end := clamp(off+6, int(binary.BigEndian.Uint16(d[off+4:])), len(d))
	off += 6
	if code != 0 { // not session data (RFC 2516 section 6)
		return rest(f, p, off, end)
	}
	d = d[:end]
	if len(d)-off < 2 {
		return stop(f, p, off, end)
	}
	protocol, n := binary.BigEndian.Uint16(d[off:]), 2
	if d[off]&1 != 0 { // RFC 1661 section 6.5: compressed to one octet
		protocol, n = uint16(d[off]), 1
	}
	off += n
	switch protocol {
	case 0x0021:
		return decodeIPv4(f, p, off, end)
	case 0x0057:
		return decodeIPv6(f, p, off, end)
	case 0x0281, 0x0283:
		return decodeMPLS(f, p, off, end)
	}
	return rest(f, p, off, end)
}

func decodeARP(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if len(d)-off < 8 {
		return stop(f, p, off, end)
	}
	n := 8 + 2*int(d[off+4]) + 2*int(d[off+5])
	if len(d)-off < n {
		return stop(f, p, off, end)
	}
	p.Layers |= LayerARP
	return rest(f, p, off+n, off+n) // what follows is padding
}

// decodeVersion goes on at an IP header of either version.
func decodeVersion(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if off >= len(d) {
		return stop(f, p, off, end)
	}
	switch d[off] >> 4 {
	case 4:
		return decodeIPv4(f, p, off, end)
	case 6:
		return decodeIPv6(f, p, off, end)
	}
	return malformed(f, p, off, end)
}

func decodeIPv4(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if len(d)-off < 20 {
		return stop(f, p, off, end)
	}
	h := (*[20]byte)(d[off:])
	n := int(h[0]&15) * 4
	total := int(binary.BigEndian.Uint16(h[2:]))
	if h[0]>>4 != 4 || n < 20 || total != 0 && total < n {
		return malformed(f, p, off, end)
	}
	if total != 0 {
		end = clamp(off, total, end)
	}
	if end-off < n {
		return stop(f, p, off, end)
	}
	p.Layers |= LayerIPv4
	p.TTL = h[8]
	proto := h[9]
	p.Tuple.Proto = proto
	setMapped(&p.Tuple.SrcIP, binary.LittleEndian.Uint32(h[12:]))
	setMapped(&p.Tuple.DstIP, binary.LittleEndian.Uint32(h[16:]))
	off += n
	if fragment := binary.BigEndian.Uint16(h[6:]) & 0x3fff; fragment != 0 {
		p.Layers |= LayerFragment
		if fragment&0x1fff != 0 {
			p.Layers |= LayerFragmentRest
			return rest(f, p, off, end)
		}
	}
	for proto == protoAH {
		n, ok, err := decodeAuthentication(f, p, off, end)
		if !ok {
			return err
		}
		proto = f.Data[off]
		p.Tuple.Proto = proto
		off += n
	}
	return decodeTransport(f, p, off, end)
}

// decodeAuthentication returns the length of the authentication header at off (RFC 4302 section 2). Where ok is false
// the walk has ended there, with err.
func decodeAuthentication(f *Frame, p *Packet, off, end int) (n int, ok bool, err error) {
	d := f.Data[:end]
	if len(d)-off < 12 {
		return 0, false, stop(f, p, off, end)
	}
	n = (int(d[off+1]) + 2) * 4
	switch {
	case n < 12:
		return 0, false, malformed(f, p, off, end)
	case len(d)-off < n:
		return 0, false, stop(f, p, off, end)
	}
	return n, true, nil
}

func decodeIPv6(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if len(d)-off < 40 {
		return stop(f, p, off, end)
	}
	h := (*[40]byte)(d[off:])
	if h[0]>>4 != 6 {
		return malformed(f, p, off, end)
	}
	p.Layers |= LayerIPv6
	p.TTL = h[7]
	p.Tuple.SrcIP = [16]byte(h[8:24])
	p.Tuple.DstIP = [16]byte(h[24:40])
	proto := h[6]
	off += 40
	length := int(binary.BigEndian.Uint16(h[4:]))
	if length != 0 || proto == protoNone {
		end = clamp(off, length, end)
		d = d[:end]
	}
	for {
		p.Tuple.Proto = proto
		var n int
		switch proto {
		case protoTCP, protoUDP, protoICMPv6:
			return decodeTransport(f, p, off, end)
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(d)-off < 8 {
				return stop(f, p, off, end)
			}
			n = (int(d[off+1]) + 1) * 8
			if len(d)-off < n {
				return stop(f, p, off, end)
			}
		case protoAH:
			var ok bool
			var err error
			if n, ok, err = decodeAuthentication(f, p, off, end); !ok {
				return err
			}
		case protoFragment:
			n = 8
			if len(d)-off < n {
				return stop(f, p, off, end)
			}
			if fragment := binary.BigEndian.Uint16(d[off+2:]) &^ 6; fragment != 0 { // not an atomic one (RFC 6946)
				p.Layers |= LayerFragment
				if fragment>>3 != 0 {
					p.Layers |= LayerIPv6Extension | LayerFragmentRest
					p.Tuple.Proto = d[off]
					return rest(f, p, off+n, end)
				}
			}
		default:
			return decodeTransport(f, p, off, end)
		}
		p.Layers |= LayerIPv6Extension
		proto = d[off]
		off += n
	}
}

// decodeTransport decodes the header that p.Tuple.Proto names.
func decodeTransport(f *Frame, p *Packet, off, end int) error {
	d := f.Data[:end]
	if off > len(d) {
		return stop(f, p, len(d), end)
	}
	d = d[off:]
	var n int
	var layer Layers
	switch p.Tuple.Proto {
	case protoTCP:
		if len(d) < 20 {
			return stop(f, p, off, end)
		}
		word := binary.BigEndian.Uint16(d[12:])
		n = int(word>>12) * 4
		if n < 20 {
			return malformed(f, p, off, end)
		}
		if len(d) < n {
			return stop(f, p, off, end)
		}
		p.TCPFlags = word & 0x1ff
		p.Tuple.SrcPort = binary.BigEndian.Uint16(d)
		p.Tuple.DstPort = binary.BigEndian.Uint16(d[2:])
		layer = LayerTCP
	case protoUDP:
		if len(d) < 8 {
			return stop(f, p, off, end)
		}
		if length := int(binary.BigEndian.Uint16(d[4:])); length != 0 { // 0: a jumbogram, or segmentation offload
			if length < 8 {
				return malformed(f, p, off, end)
			}
			end = clamp(off, length, end)
		}
		p.Tuple.SrcPort = binary.BigEndian.Uint16(d)
		p.Tuple.DstPort = binary.BigEndian.Uint16(d[2:])
		layer, n = LayerUDP, 8
	case protoICMP:
		layer, n = LayerICMP, 8
	case protoICMPv6:
		layer, n = LayerICMPv6, 4
	case protoIGMP:
		layer, n = LayerIGMP, 8
	case protoESP:
		layer, n = LayerESP, 8
	case protoGRE:
		if len(d) < 4 {
			return stop(f, p, off, end)
		}
		layer, n = LayerGRE, lenGRE(d)
	case protoSCTP:
		if len(d) < 12 {
			return stop(f, p, off, end)
		}
		p.Tuple.SrcPort = binary.BigEndian.Uint16(d)
		p.Tuple.DstPort = binary.BigEndian.Uint16(d[2:])
		layer, n = LayerSCTP, 12
	default:
		layer = LayerOtherL4
	}
	if len(d) < n {
		return stop(f, p, off, end)
	}
	p.Layers |= layer
	return rest(f, p, off+n, end)
}

// lenGRE returns the length of the GRE header that starts d, at least 4 octets, by its flags (RFC 2784, 2890, 2637).
// The source route entries of RFC 1701 count as payload.
func lenGRE(d []byte) int {
	const (
		checksum        = 0x8000
		routing         = 0x4000
		key             = 0x2000
		sequence        = 0x1000
		acknowledgement = 0x0080
		version         = 0x0007
	)
	flags := binary.BigEndian.Uint16(d)
	n := 4
	if flags&(checksum|routing) != 0 {
		n += 4
	}
	if flags&key != 0 {
		n += 4
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&version == 1 && flags&acknowledgement != 0 {
		n += 4
	}
	return n
}
