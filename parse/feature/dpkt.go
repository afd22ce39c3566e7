package feature

import "encoding/binary"

// dpkt decodes what a datagram carries, as deep as it goes, before the scripts look at the datagram. Where one of its
// decoders raises what the decoders around it do not catch, the scripts skip the frame. This file walks the same way to
// find those frames; it decodes nothing. METHOD.md lists the cases.

// answer is how one of dpkt's decoders ends.
type answer uint8

const (
	decoded answer = iota
	refused        // UnpackError: the decoder around it keeps the octets
	raised         // an error that nothing catches but the scripts: the frame is skipped
)

// Python frames that a decoder takes, and how many there may be (CPython's recursion limit of 1000, less what the scripts
// take themselves; measured with dpkt 1.9.8).
const (
	costIP       = 4
	costPacket   = 3
	costEthernet = 5
	costISL      = 1
	costMost     = 991
)

// decodeProtocol decodes the payload of an IP header that is no fragment after the first.
func decodeProtocol(proto uint8, b []byte, cost int) answer {
	if cost > costMost {
		return raised
	}
	switch proto {
	case 0, 4:
		return decodeIP(b, cost+costIP)
	case 1:
		if len(b) >= 8 && (b[0] >= 3 && b[0] <= 5 || b[0] == 11) { // errors quote a datagram
			return kept(decodeIP(b[8:], cost+2*costPacket+costIP))
		}
	case 41:
		return decodeIP6(b, cost+costPacket)
	case 47:
		return decodeGRE(b, cost+costPacket)
	case 51:
		if len(b) < 12 {
			return refused
		}
		return kept(decodeProtocol(b[0], from(b[12:], max(4*int(b[1])-4, 0)), cost+costPacket))
	case 58:
		if len(b) >= 8 && b[0] >= 1 && b[0] <= 4 {
			return kept(decodeIP6(b[8:], cost+3*costPacket))
		}
	}
	return decoded
}

// kept is the answer of a decoder that keeps the octets where an inner one refuses them.
func kept(inner answer) answer {
	if inner == refused {
		return decoded
	}
	return inner
}

// from returns b without its first n octets, nothing if it has fewer.
func from(b []byte, n int) []byte { return b[min(n, len(b)):] }

// datagram returns the header length and the payload of an IPv4 datagram as dpkt cuts it, false if it refuses it.
func datagram(b []byte) (payload []byte, ok bool) {
	if len(b) < 20 || b[0]&15 < 5 {
		return nil, false
	}
	start, end := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if end == 0 || end > len(b) {
		end = len(b)
	}
	if start > end {
		return nil, true
	}
	return b[start:end], true
}

func decodeIP(b []byte, cost int) answer {
	payload, ok := datagram(b)
	if !ok {
		return refused
	}
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return decoded
	}
	return kept(decodeProtocol(b[9], payload, cost))
}

// Protocol numbers of IPv6 extension headers.
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extESP      = 50
	extAH       = 51
	extDestOpts = 60
)

func decodeIP6(b []byte, cost int) answer {
	if len(b) < 40 {
		return refused
	}
	first, data := b[6], b[40:]
	if n := int(binary.BigEndian.Uint16(b[4:])); n != 0 && n < len(data) {
		data = data[:n]
	}
	next, last, offset := first, uint8(255), uint16(0)
	ended := false
	for !ended {
		length := 0
		switch next {
		case extHopByHop, extDestOpts:
			if len(data) < 2 {
				return refused
			}
			length = 8 * (int(data[1]) + 1)
			if !optionsFit(data[2:], length-2) {
				return refused
			}
		case extRouting:
			if len(data) < 8 {
				return refused
			}
			length = 8*int(data[1]) + 8
		case extFragment:
			if len(data) < 8 {
				return refused
			}
			length = 8
			offset = binary.BigEndian.Uint16(data[2:]) >> 3
		case extAH:
			if len(data) < 12 {
				return refused
			}
			length = 4 * (int(data[1]) + 2)
		case extESP:
			if len(data) < 8 {
				return refused
			}
			last, ended = next, true
			continue
		default:
			ended = true
			continue
		}
		last, next = next, data[0]
		data = from(data, length)
	}
	if first == extFragment {
		if last != extFragment {
			return raised // dpkt asks the last header for the offset that only the fragment header has
		}
		if offset > 0 {
			return decoded
		}
	}
	if last == extESP {
		return decoded
	}
	return kept(decodeProtocol(next, data, cost))
}

// optionsFit walks options of IPv6 as dpkt does: the type and length of each must be in b; what an option holds need not.
func optionsFit(b []byte, n int) bool {
	for i := 0; i < n; {
		if i >= len(b) {
			return false
		}
		if b[i] == 0 {
			i++
			continue
		}
		if i+1 >= len(b) {
			return false
		}
		i += 2 + int(b[i+1])
	}
	return true
}

func decodeGRE(b []byte, cost int) answer {
	if len(b) < 4 {
		return refused
	}
	flags, kind := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	const checksum, routing, key, sequence, acknowledgement = 0x8000, 0x4000, 0x2000, 0x1000, 0x80
	n := 0
	if flags&7 != 0 { // where dpkt looks for the version
		n = 4
	} else {
		if flags&(checksum|routing) != 0 {
			n += 4
		}
		if flags&key != 0 {
			n += 4
		}
	}
	if flags&sequence != 0 {
		n += 4
	}
	if flags&acknowledgement != 0 {
		n += 4
	}
	b = b[4:]
	if len(b) < n {
		return refused
	}
	b = b[n:]
	for flags&routing != 0 {
		if len(b) < 4 {
			return refused
		}
		entry := int(b[3])
		b = from(b, 4+entry)
		if entry == 0 {
			break
		}
	}
	return kept(decodeType(kind, b, cost))
}

// EtherTypes that dpkt has decoders for whose end matters, and those of tags and labels.
const (
	typeIPv4    = 0x0800
	typeARP     = 0x0806
	typeBridged = 0x6558
	typeVLAN    = 0x8100
	typeIPv6    = 0x86dd
	typeMPLS    = 0x8847
	typeMPLSAll = 0x8848
	typePPP     = 0x880b
	typePPPoE   = 0x8864
	typeService = 0x88a8
	typeQinQ1   = 0x9100
	typeQinQ2   = 0x9200
)

// decodeType decodes b by an EtherType.
func decodeType(kind uint16, b []byte, cost int) answer {
	switch kind {
	case typeIPv4:
		return decodeIP(b, cost+costIP)
	case typeIPv6:
		return decodeIP6(b, cost+costPacket)
	case typeBridged:
		return decodeEthernet(b, cost+costEthernet)
	case typePPP:
		if len(b) < 3 {
			return refused
		}
		return decodePPP(b[2:], cost+costPacket)
	case typePPPoE:
		if len(b) < 6 {
			return refused
		}
		if b[1] == 0 {
			return kept(decodePPP(b[6:], cost+2*costPacket))
		}
	}
	// The others (ARP, IPX, AoE and Cisco's) refuse or decode: to the frame around them it is the same.
	return decoded
}

// decodePPP decodes a PPP protocol number, of one octet if it is odd, and what follows.
func decodePPP(b []byte, cost int) answer {
	if len(b) < 1 {
		return refused
	}
	proto := uint16(b[0])
	rest := b[1:]
	if proto&1 == 0 {
		if len(b) < 2 {
			return refused
		}
		proto, rest = binary.BigEndian.Uint16(b), b[2:]
	}
	switch proto {
	case 0x21:
		return kept(decodeIP(rest, cost+costIP))
	case 0x57:
		return kept(decodeIP6(rest, cost+costPacket))
	}
	return decoded
}

// isl returns whether dpkt takes the destination address for that of a Cisco ISL header.
func isl(b []byte) bool {
	return (b[0] == 1 || b[0] == 3) && b[1] == 0 && b[2] == 0x0c && b[3] == 0 && b[4] == 0
}

const islLen = 26

// decodeEthernet decodes an Ethernet frame inside a datagram.
func decodeEthernet(b []byte, cost int) answer {
	if cost > costMost {
		return raised
	}
	if len(b) < 14 {
		return refused
	}
	kind := binary.BigEndian.Uint16(b[12:])
	for kind <= 1500 && isl(b) {
		if cost += costISL; cost > costMost {
			return raised
		}
		if len(b) < islLen+14 {
			return refused
		}
		b = b[islLen:]
		kind = binary.BigEndian.Uint16(b[12:])
	}
	data := b[14:]
	switch {
	case kind > 1500:
	case len(data) >= 2 && data[0] == 0xff && data[1] == 0xff:
		if len(data) < 32 { // IPX has 30 octets
			return refused
		}
		return decoded
	case kind == 0:
		return decoded // a type that dpkt does not know
	default:
		return decodeLLC(data[:min(int(kind), len(data))], cost+costPacket)
	}
	// What was not decoded is tried again with the type that the first try ended with.
	for range 2 {
		var a answer
		if kind, data, a = behindTags(kind, data); a != decoded {
			return a
		}
		switch a := decodeTagged(kind, data, cost); {
		case a != refused:
			return a
		case len(data) == 0:
			return decoded
		}
	}
	return decoded
}

// decodeTagged is decodeType, and refuses a type that dpkt does not know.
func decodeTagged(kind uint16, b []byte, cost int) answer {
	switch kind {
	case typeIPv4, typeIPv6, typeBridged, typePPP, typePPPoE:
		return decodeType(kind, b, cost)
	}
	return refused
}

// behindTags steps over VLAN tags or MPLS labels.
func behindTags(kind uint16, b []byte) (uint16, []byte, answer) {
	switch kind {
	case typeVLAN, typeService, typeQinQ1, typeQinQ2:
		for range 2 {
			if len(b) < 4 {
				return kind, b, refused
			}
			kind, b = binary.BigEndian.Uint16(b[2:]), b[4:]
			if kind != typeVLAN {
				break
			}
		}
	case typeMPLS, typeMPLSAll:
		for range 24 {
			if len(b) < 4 {
				return kind, b, refused
			}
			bottom := b[2]&1 != 0
			b = b[4:]
			if bottom {
				break
			}
		}
		switch {
		case len(b) == 0:
			return kind, b, raised // dpkt looks at the first octet behind the labels
		case b[0] == 0x45:
			kind = typeIPv4
		case b[0]>>4 == 6:
			kind = typeIPv6
		case len(b) >= 14:
			if b[0] == 0 && b[1] == 0 {
				b = b[4:]
			}
			kind = typeBridged
		}
	}
	return kind, b, decoded
}

func decodeLLC(b []byte, cost int) answer {
	if len(b) < 3 {
		return refused
	}
	dsap, ssap := b[0], b[1]
	b = b[3:]
	if dsap == 0xaa && ssap == 0xaa {
		if len(b) < 5 {
			return refused
		}
		return kept(decodeType(binary.BigEndian.Uint16(b[3:]), b[5:], cost))
	}
	switch dsap {
	case 0x06:
		return decodeIP(b, cost+costIP)
	case 0x10, 0xe0: // IPX
		if len(b) < 30 {
			return refused
		}
	case 0x42: // STP
		if len(b) < 35 {
			return refused
		}
	}
	return decoded
}
