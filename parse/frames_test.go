package parse_test

import (
	"encoding/binary"
	"net/netip"

	"pcaplab/parse"
)

// Headers made by hand: the octets are written here from the RFCs, not by any encoder.

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + 3)
	}
	return b
}

var macs = []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}

func eth(etherType int, payload []byte) []byte { return join(macs, be16(etherType), payload) }

func vlan(id, etherType int, payload []byte) []byte { return join(be16(id), be16(etherType), payload) }

func mpls(label int, bottom bool, payload []byte) []byte {
	entry := label<<12 | 64
	if bottom {
		entry |= 1 << 8
	}
	return join(be32(entry), payload)
}

func pppoe(code, protocol int, payload []byte) []byte {
	return join([]byte{0x11, byte(code), 0, 9}, be16(len(payload)+2), be16(protocol), payload)
}

var (
	src4 = []byte{192, 0, 2, 1}
	dst4 = []byte{198, 51, 100, 2}
	src6 = netip.MustParseAddr("2001:db8::1").AsSlice()
	dst6 = netip.MustParseAddr("2001:db8:0:1::2").AsSlice()
)

// ip4 is an IPv4 packet. fragment is the flags and offset field; total < 0 means the true length.
func ip4(proto, fragment, total int, options, payload []byte) []byte {
	if total < 0 {
		total = 20 + len(options) + len(payload)
	}
	return join([]byte{0x40 | byte(5+len(options)/4), 0}, be16(total), be16(0x1234), be16(fragment),
		[]byte{61, byte(proto), 0, 0}, src4, dst4, options, payload)
}

// ip6 is an IPv6 packet; length < 0 means the true length.
func ip6(next, length int, payload []byte) []byte {
	if length < 0 {
		length = len(payload)
	}
	return join([]byte{0x60, 0, 0, 0}, be16(length), []byte{byte(next), 62}, src6, dst6, payload)
}

func tcp(flags int, options, payload []byte) []byte {
	return join(be16(40000), be16(1883), be32(7), be32(8), be16((5+len(options)/4)<<12|flags), be16(1024), be32(0),
		options, payload)
}

// udp is a UDP datagram; length < 0 means the true length.
func udp(length int, payload []byte) []byte {
	if length < 0 {
		length = 8 + len(payload)
	}
	return join(be16(40001), be16(53), be16(length), be16(0), payload)
}

func arp() []byte {
	return join([]byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}, src4, []byte{0, 0, 0, 0, 0, 0}, dst4)
}

func frame(link parse.LinkType, data []byte) parse.Frame {
	return parse.Frame{Data: data, WireLen: len(data), Link: link}
}

// hotFrames is a small mix that stays in the first-level cache: TCP with and without payload, UDP.
func hotFrames() []parse.Frame {
	var frames []parse.Frame
	for i := range 16 {
		var d []byte
		switch i % 4 {
		case 0:
			d = eth(0x0800, ip4(6, 0x4000, -1, nil, tcp(0x18, nil, octets(100+10*i))))
		case 1:
			d = eth(0x0800, ip4(17, 0, -1, nil, udp(-1, octets(40+i))))
		case 2:
			d = eth(0x0800, ip4(6, 0x4000, -1, nil, tcp(0x10, octets(12), octets(3*i))))
		case 3:
			d = eth(0x0800, ip4(6, 0x4000, -1, nil, join(tcp(0x10, nil, nil))))
		}
		frames = append(frames, frame(parse.LinkEthernet, d))
	}
	return frames
}
