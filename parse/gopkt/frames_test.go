package gopkt_test

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"path"
	"strings"
	"testing"

	"pcaplab/parse"
)

// Frames made by hand, octet by octet from the RFCs: neither library nor Direct has a part in them.

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func octets(v ...byte) []byte { return v }

func zeros(n int) []byte { return make([]byte, n) }

func eth(etherType int, payload ...[]byte) []byte {
	return join(octets(2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2), be16(etherType), join(payload...))
}

func tag(etherType int, payload ...[]byte) []byte {
	return join(octets(0x20, 7), be16(etherType), join(payload...))
}

var (
	src4 = netip.MustParseAddr("192.0.2.1")
	dst4 = netip.MustParseAddr("198.51.100.2")
	src6 = netip.MustParseAddr("2001:db8::1")
	dst6 = netip.MustParseAddr("2001:db8:0:1::2")
)

// ip4with is an IPv4 packet; fragment is the field of flags and offset, total < 0 the true length.
func ip4with(proto byte, fragment, total int, options []byte, payload ...[]byte) []byte {
	body := join(payload...)
	if total < 0 {
		total = 20 + len(options) + len(body)
	}
	return join(octets(byte(0x45+len(options)/4), 0), be16(total), be16(9), be16(fragment), octets(61, proto, 0, 0),
		src4.AsSlice(), dst4.AsSlice(), options, body)
}

func ip4(proto byte, payload ...[]byte) []byte { return ip4with(proto, 0x4000, -1, nil, payload...) }

func ip6(next byte, payload ...[]byte) []byte {
	body := join(payload...)
	return join(octets(0x60, 0, 0, 0), be16(len(body)), octets(next, 61), src6.AsSlice(), dst6.AsSlice(), body)
}

// tcp is a segment from 40000 to 1883 with PSH, ACK and NS set.
func tcp(options []byte, payload ...[]byte) []byte {
	offset := (5 + len(options)/4) << 12
	return join(be16(40000), be16(1883), be32(1), be32(2), be16(offset|0x118), be16(512), be32(0), options,
		join(payload...))
}

// udp is a datagram from 40000 to 9999; length < 0 means the true one.
func udp(length int, payload ...[]byte) []byte {
	body := join(payload...)
	if length < 0 {
		length = 8 + len(body)
	}
	return join(be16(40000), be16(9999), be16(length), be16(0), body)
}

func arp() []byte {
	return join(octets(0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1), src4.AsSlice(), zeros(6), dst4.AsSlice())
}

func pppoe(code byte, payload ...[]byte) []byte {
	body := join(payload...)
	return join(octets(0x11, code, 0, 9), be16(len(body)), body)
}

func sll(hardware, protocol int, payload ...[]byte) []byte {
	return join(be16(0), be16(hardware), be16(6), zeros(8), be16(protocol), join(payload...))
}

func sll2(protocol int, payload ...[]byte) []byte {
	return join(be16(protocol), be16(0), be32(3), be16(1), octets(0, 6), zeros(8), join(payload...))
}

func ah(next byte, payload ...[]byte) []byte {
	return join(octets(next, 4, 0, 0), zeros(20), join(payload...))
}

// extension is an IPv6 extension header of 8 octets: PadN, or a routing header of a type with no segments left.
func extension(next byte, payload ...[]byte) []byte {
	return join(octets(next, 0, 1, 4, 0, 0, 0, 0), join(payload...))
}

func routing(next, kind byte, payload ...[]byte) []byte {
	return join(octets(next, 0, kind, 0, 0, 0, 0, 0), join(payload...))
}

func fragment6(next byte, offset int, payload ...[]byte) []byte {
	return join(octets(next, 0), be16(offset), be32(77), join(payload...))
}

const (
	eth4  = parse.LayerEthernet | parse.LayerIPv4
	eth6  = parse.LayerEthernet | parse.LayerIPv6
	flags = parse.TCPPsh | parse.TCPAck | parse.TCPNs
)

// frameTests lists frames and what every engine, Direct too, must find in them.
var frameTests = []struct {
	name    string
	link    parse.LinkType
	data    []byte
	cut     int  // octets that the capture left out
	inside  bool // it cut inside a header
	layers  parse.Layers
	proto   byte
	ports   bool // 40000 and, for TCP, 1883, else 9999
	header  int
	payload int
	err     error
	except  string // engines that end in excErr instead
	excErr  error
}{
	{name: "tcp", link: 1, data: eth(0x0800, ip4(6, tcp(nil, zeros(9)))),
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 54, payload: 9},
	{name: "tcp with options and trailer", link: 1, data: eth(0x0800, ip4(6, tcp(octets(1, 1, 1, 0))), zeros(2)),
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 58},
	{name: "udp", link: 1, data: eth(0x0800, ip4(17, udp(-1, zeros(3))), zeros(15)),
		layers: eth4 | parse.LayerUDP, proto: 17, ports: true, header: 42, payload: 3},
	{name: "udp length shorter than ip's", link: 1, data: eth(0x0800, ip4(17, udp(10, zeros(8)))),
		layers: eth4 | parse.LayerUDP, proto: 17, ports: true, header: 42, payload: 2},
	{name: "udp length 0", link: 1, data: eth(0x0800, ip4(17, udp(0, zeros(8)))),
		layers: eth4 | parse.LayerUDP, proto: 17, ports: true, header: 42, payload: 8},
	{name: "ipv4 options", link: 1, data: eth(0x0800, ip4with(17, 0, -1, octets(1, 1, 1, 0), udp(-1, zeros(4)))),
		layers: eth4 | parse.LayerUDP, proto: 17, ports: true, header: 46, payload: 4},
	{name: "ipv4 total length 0", link: 1, data: eth(0x0800, ip4with(6, 0, 0, nil, tcp(nil, zeros(40)))),
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 54, payload: 40},
	{name: "icmp error quoting tcp", link: 1,
		data:   eth(0x0800, ip4(1, octets(3, 3, 0, 0, 0, 0, 0, 0), ip4(6, tcp(nil)))),
		layers: eth4 | parse.LayerICMP, proto: 1, header: 42, payload: 40},
	{name: "icmpv6", link: 1, data: eth(0x86dd, ip6(58, octets(135, 0, 0, 0, 0, 0, 0, 0), dst6.AsSlice())),
		layers: eth6 | parse.LayerICMPv6, proto: 58, header: 58, payload: 20},
	{name: "igmp", link: 1, data: eth(0x0800, ip4(2, octets(0x16, 0, 0, 0, 224, 0, 0, 251)), zeros(18)),
		layers: eth4 | parse.LayerIGMP, proto: 2, header: 42},
	{name: "esp", link: 1, data: eth(0x0800, ip4(50, zeros(40))),
		layers: eth4 | parse.LayerESP, proto: 50, header: 42, payload: 32},
	{name: "sctp", link: 1, data: eth(0x0800, ip4(132, be16(40000), be16(9999), be32(1), be32(2), octets(0, 3, 0, 4))),
		layers: eth4 | parse.LayerSCTP, proto: 132, ports: true, header: 46, payload: 4},
	{name: "gre with key carrying ip", link: 1,
		data:   eth(0x0800, ip4(47, octets(0x20, 0, 8, 0), be32(5), ip4(17, udp(-1)))),
		layers: eth4 | parse.LayerGRE, proto: 47, header: 42, payload: 28},
	{name: "ip in ip", link: 1, data: eth(0x0800, ip4(4, ip4(6, tcp(nil)))),
		layers: eth4 | parse.LayerOtherL4, proto: 4, header: 34, payload: 40},
	{name: "ipip by number 94", link: 1, data: eth(0x0800, ip4(94, ip4(6, tcp(nil)))),
		layers: eth4 | parse.LayerOtherL4, proto: 94, header: 34, payload: 40},
	{name: "ipv6 in ipv4", link: 1, data: eth(0x0800, ip4(41, ip6(6, tcp(nil)))),
		layers: eth4 | parse.LayerOtherL4, proto: 41, header: 34, payload: 60},
	{name: "ipv6 in ipv6 behind options", link: 1, data: eth(0x86dd, ip6(60, extension(41, ip6(6, tcp(nil))))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerOtherL4, proto: 41, header: 62, payload: 60},
	{name: "vxlan", link: 1, data: eth(0x0800, ip4(17,
		join(be16(40000), be16(4789), be16(8+8+14+20)), zeros(2), octets(8, 0, 0, 0, 0, 0, 1, 0), eth(0x0800, ip4(6)))),
		layers: eth4 | parse.LayerUDP, proto: 17, header: 42, payload: 42},
	{name: "ospf", link: 1, data: eth(0x0800, ip4(89, zeros(24))),
		layers: eth4 | parse.LayerOtherL4, proto: 89, header: 34, payload: 24},
	{name: "ipv4 fragment, first", link: 1, data: eth(0x0800, ip4with(17, 0x2000, -1, nil, udp(1200, zeros(16)))),
		layers: eth4 | parse.LayerFragment | parse.LayerUDP, proto: 17, ports: true, header: 42, payload: 16},
	{name: "ipv4 fragment, first, tcp", link: 1, data: eth(0x0800, ip4with(6, 0x2000, -1, nil, tcp(nil, zeros(4)))),
		layers: eth4 | parse.LayerFragment | parse.LayerTCP, proto: 6, ports: true, header: 54, payload: 4},
	{name: "ipv4 fragment, later", link: 1, data: eth(0x0800, ip4with(17, 0x2003, -1, nil, zeros(16))),
		layers: eth4 | parse.LayerFragment | parse.LayerFragmentRest, proto: 17, header: 34, payload: 16},
	{name: "ipv6 fragment, first", link: 1, data: eth(0x86dd, ip6(44, fragment6(17, 1, udp(1200, zeros(8))))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerFragment | parse.LayerUDP, proto: 17, ports: true,
		header: 70, payload: 8},
	{name: "ipv6 fragment, first, more extensions", link: 1,
		data:   eth(0x86dd, ip6(0, extension(44, fragment6(60, 1, extension(6, tcp(nil)))))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerFragment | parse.LayerTCP, proto: 6, ports: true, header: 98},
	{name: "ipv6 fragment, later", link: 1, data: eth(0x86dd, ip6(44, fragment6(17, 8, zeros(8)))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerFragment | parse.LayerFragmentRest, proto: 17, header: 62,
		payload: 8},
	{name: "ipv6 atomic fragment", link: 1, data: eth(0x86dd, ip6(44, fragment6(6, 0, tcp(nil, zeros(3))))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerTCP, proto: 6, ports: true, header: 82, payload: 3},
	{name: "ipv6 hop-by-hop, options, trailer", link: 1,
		data:   eth(0x86dd, ip6(0, extension(60, extension(6, tcp(nil, zeros(3))))), zeros(4)),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerTCP, proto: 6, ports: true, header: 90, payload: 3},
	{name: "ipv6 routing type 0", link: 1, data: eth(0x86dd, ip6(43, routing(17, 0, udp(-1)))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerUDP, proto: 17, ports: true, header: 70},
	{name: "ipv6 routing type 4", link: 1, data: eth(0x86dd, ip6(43, routing(17, 4, udp(-1)))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerUDP, proto: 17, ports: true, header: 70,
		except: "gopacket-eager gopacket-nocopy gopacket-lazy*", excErr: parse.ErrMalformed},
	{name: "ipv6 no next header", link: 1, data: eth(0x86dd, ip6(59, zeros(5))),
		layers: eth6 | parse.LayerOtherL4, proto: 59, header: 54, payload: 5},
	{name: "ipv6 payload length 0", link: 1,
		data:   eth(0x86dd, join(octets(0x60, 0, 0, 0, 0, 0, 6, 61), src6.AsSlice(), dst6.AsSlice(), tcp(nil, zeros(5)))),
		layers: eth6 | parse.LayerTCP, proto: 6, ports: true, header: 74, payload: 5,
		except: "*gopacket-*", excErr: parse.ErrMalformed},
	{name: "authentication after ipv4", link: 1, data: eth(0x0800, ip4(51, ah(6, tcp(nil, zeros(2))))),
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 78, payload: 2},
	{name: "authentication after ipv6", link: 1, data: eth(0x86dd, ip6(51, ah(17, udp(-1)))),
		layers: eth6 | parse.LayerIPv6Extension | parse.LayerUDP, proto: 17, ports: true, header: 86},
	{name: "arp, padded", link: 1, data: eth(0x0806, arp(), zeros(18)),
		layers: parse.LayerEthernet | parse.LayerARP, header: 42},
	{name: "vlan", link: 1, data: eth(0x8100, tag(0x0800, ip4(17, udp(-1, zeros(7))))),
		layers: eth4 | parse.LayerVLAN | parse.LayerUDP, proto: 17, ports: true, header: 46, payload: 7},
	{name: "three tags", link: 1, data: eth(0x88a8, tag(0x8100, tag(0x8100, tag(0x86dd, ip6(6, tcp(nil)))))),
		layers: eth6 | parse.LayerVLAN | parse.LayerTCP, proto: 6, ports: true, header: 86},
	{name: "thirty tags", link: 1, data: func() []byte {
		d := tag(0x0800, ip4(6, tcp(nil)))
		for range 29 {
			d = tag(0x8100, d)
		}
		return eth(0x8100, d)
	}(), layers: eth4 | parse.LayerVLAN | parse.LayerTCP, proto: 6, ports: true, header: 174},
	{name: "unknown ethertype behind a tag", link: 1, data: eth(0x8100, tag(0x9999, zeros(20))),
		layers: parse.LayerEthernet | parse.LayerVLAN, header: 18, payload: 20},
	{name: "unknown ethertype", link: 1, data: eth(0x88b5, zeros(46)),
		layers: parse.LayerEthernet, header: 14, payload: 46},
	{name: "mpls, two labels", link: 1, data: eth(0x8847, be32(0x10040), be32(0x20140), ip4(6, tcp(nil))),
		layers: eth4 | parse.LayerMPLS | parse.LayerTCP, proto: 6, ports: true, header: 62},
	{name: "mpls, ipv6", link: 1, data: eth(0x8847, be32(0x20140), ip6(17, udp(-1, zeros(2)))),
		layers: eth6 | parse.LayerMPLS | parse.LayerUDP, proto: 17, ports: true, header: 66, payload: 2},
	{name: "mpls pseudowire", link: 1, data: eth(0x8847, be32(0x20140), zeros(30)),
		layers: parse.LayerEthernet | parse.LayerMPLS, header: 18, payload: 30},
	{name: "pppoe, ipv4", link: 1, data: eth(0x8864, pppoe(0, octets(0, 0x21), ip4(6, tcp(nil))), zeros(6)),
		layers: eth4 | parse.LayerPPPoE | parse.LayerTCP, proto: 6, ports: true, header: 62},
	{name: "pppoe, ipv6, compressed protocol", link: 1, data: eth(0x8864, pppoe(0, octets(0x57), ip6(17, udp(-1)))),
		layers: eth6 | parse.LayerPPPoE | parse.LayerUDP, proto: 17, ports: true, header: 69},
	{name: "pppoe, lcp", link: 1, data: eth(0x8864, pppoe(0, octets(0xc0, 0x21), zeros(8))),
		layers: parse.LayerEthernet | parse.LayerPPPoE, header: 22, payload: 8},
	{name: "pppoe discovery", link: 1, data: eth(0x8863, pppoe(9, zeros(8))),
		layers: parse.LayerEthernet, header: 14, payload: 14},
	{name: "llc, spanning tree", link: 1, data: eth(38, octets(0x42, 0x42, 3), zeros(35), zeros(8)),
		layers: parse.LayerEthernet | parse.LayerLLC, header: 17, payload: 35},
	{name: "snap, ipv4", link: 1, data: eth(48, octets(0xaa, 0xaa, 3, 0, 0, 0, 8, 0), ip4(6, tcp(nil))),
		layers: eth4 | parse.LayerLLC | parse.LayerTCP, proto: 6, ports: true, header: 62},
	{name: "snap, cdp", link: 1, data: eth(28, octets(0xaa, 0xaa, 3, 0, 0, 12, 0x20, 0), zeros(20)),
		layers: parse.LayerEthernet | parse.LayerLLC, header: 22, payload: 20},
	{name: "dns that is garbage", link: 1, data: eth(0x0800, ip4(17, be16(40000), be16(53), be16(12), be16(0), zeros(4))),
		layers: eth4 | parse.LayerUDP, proto: 17, header: 42, payload: 4},
	{name: "tcp options that are garbage", link: 1, data: eth(0x0800, ip4(6, tcp(octets(8, 1, 1, 1), zeros(3)))),
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 58, payload: 3,
		except: "gopacket-layers", excErr: parse.ErrMalformed},
	{name: "null, ipv4", link: 0, data: join(octets(2, 0, 0, 0), ip4(6, tcp(nil))),
		layers: parse.LayerNull | parse.LayerIPv4 | parse.LayerTCP, proto: 6, ports: true, header: 44},
	{name: "null, ipv6, big endian", link: 0, data: join(octets(0, 0, 0, 30), ip6(6, tcp(nil))),
		layers: parse.LayerNull | parse.LayerIPv6 | parse.LayerTCP, proto: 6, ports: true, header: 64},
	{name: "loop, ipv6", link: 108, data: join(octets(0, 0, 0, 24), ip6(17, udp(-1))),
		layers: parse.LayerNull | parse.LayerIPv6 | parse.LayerUDP, proto: 17, ports: true, header: 52},
	{name: "loop, unknown family", link: 108, data: join(octets(0, 0, 0, 99), zeros(5)),
		layers: parse.LayerNull, header: 4, payload: 5},
	{name: "cooked", link: 113, data: sll(1, 0x0800, ip4(6, tcp(nil))),
		layers: parse.LayerSLL | parse.LayerIPv4 | parse.LayerTCP, proto: 6, ports: true, header: 56},
	{name: "cooked, netlink", link: 113, data: sll(824, 0, zeros(20)),
		layers: parse.LayerSLL, header: 16, payload: 20},
	{name: "cooked 2", link: 276, data: sll2(0x0806, arp()),
		layers: parse.LayerSLL2 | parse.LayerARP, header: 48, except: "gopacket-*", excErr: parse.ErrUnsupported},
	{name: "raw, ipv4", link: 101, data: ip4(6, tcp(nil)),
		layers: parse.LayerIPv4 | parse.LayerTCP, proto: 6, ports: true, header: 40},
	{name: "raw, ipv6", link: 12, data: ip6(6, tcp(nil)),
		layers: parse.LayerIPv6 | parse.LayerTCP, proto: 6, ports: true, header: 60},
	{name: "link type ipv4", link: 228, data: ip4(17, udp(-1, zeros(1))),
		layers: parse.LayerIPv4 | parse.LayerUDP, proto: 17, ports: true, header: 28, payload: 1},
	{name: "link type ipv6", link: 229, data: ip6(17, udp(-1, zeros(1))),
		layers: parse.LayerIPv6 | parse.LayerUDP, proto: 17, ports: true, header: 48, payload: 1},
	{name: "802.11", link: 105, data: zeros(40), err: parse.ErrUnsupported},

	{name: "nothing", link: 1, err: parse.ErrMalformed},
	{name: "short ethernet", link: 1, data: zeros(13), payload: 13, err: parse.ErrMalformed},
	{name: "ethernet alone", link: 1, data: eth(0x0800), layers: parse.LayerEthernet, header: 14, err: parse.ErrMalformed},
	{name: "ipv4 version 5", link: 1, data: eth(0x0800, octets(0x55), ip4(6, tcp(nil))[1:]),
		layers: parse.LayerEthernet, header: 14, payload: 40, err: parse.ErrMalformed},
	{name: "ipv4 header length 16", link: 1, data: eth(0x0800, octets(0x44), ip4(6, tcp(nil))[1:]),
		layers: parse.LayerEthernet, header: 14, payload: 40, err: parse.ErrMalformed},
	{name: "udp length 7", link: 1, data: eth(0x0800, ip4(17, udp(7))),
		layers: eth4, proto: 17, header: 34, payload: 8, err: parse.ErrMalformed},
	{name: "tcp past the end of ip", link: 1, data: eth(0x0800, ip4(6, tcp(nil)[:16]), zeros(10)),
		layers: eth4, proto: 6, header: 34, payload: 16, err: parse.ErrMalformed},
	{name: "gre of two octets", link: 1, data: eth(0x0800, ip4(47, zeros(2))),
		layers: eth4, proto: 47, header: 34, payload: 2, err: parse.ErrMalformed},
	{name: "first fragment, gre of four octets with a checksum bit", link: 1,
		data:   eth(0x0800, ip4with(47, 0x2000, -1, nil, octets(0x80, 0, 8, 0))),
		layers: eth4 | parse.LayerFragment, proto: 47, header: 34, payload: 4, err: parse.ErrMalformed},
	{name: "mpls of two octets", link: 1, data: eth(0x8847, zeros(2)),
		layers: parse.LayerEthernet, header: 14, payload: 2, err: parse.ErrMalformed},

	{name: "cut in tcp", link: 1, data: eth(0x0800, ip4(6, tcp(nil, zeros(30))))[:45], cut: 39, inside: true,
		layers: eth4, proto: 6, header: 34, payload: 11},
	{name: "cut in ipv4", link: 1, data: eth(0x0800, ip4(6, tcp(nil)))[:30], cut: 24, inside: true,
		layers: parse.LayerEthernet, header: 14, payload: 16},
	{name: "cut in payload", link: 1, data: eth(0x0800, ip4(6, tcp(nil, zeros(30))))[:60], cut: 24,
		layers: eth4 | parse.LayerTCP, proto: 6, ports: true, header: 54, payload: 6},
}

// matches reports whether an engine is one of those that a list of patterns, parted by spaces, names.
func matches(t *testing.T, patterns, engine string) bool {
	for _, pattern := range strings.Fields(patterns) {
		ok, err := path.Match(pattern, engine)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return true
		}
	}
	return false
}

func TestFrames(t *testing.T) {
	for _, tt := range frameTests {
		t.Run(tt.name, func(t *testing.T) {
			// The spare capacity must not be read: it belongs to the next frame.
			data := append(append(make([]byte, 0, len(tt.data)+64), tt.data...), ip4(6, tcp(nil))...)[:len(tt.data)]
			f := parse.Frame{Data: data, WireLen: len(data) + tt.cut, Link: tt.link}
			for _, e := range append(engines(), parse.DirectEngine()) {
				wantErr := tt.err
				except := matches(t, tt.except, e.Name)
				if except {
					wantErr = tt.excErr
				}
				p, err := e.New(tt.link)
				if errors.Is(wantErr, parse.ErrUnsupported) {
					if !errors.Is(err, parse.ErrUnsupported) {
						t.Errorf("%s: New: %v", e.Name, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: New: %v", e.Name, err)
					continue
				}
				got := parse.Packet{TTL: 3, TCPFlags: 4, HeaderLen: 5, Tuple: parse.FiveTuple{SrcPort: 6}}
				if err := p.Parse(&f, &got); !errors.Is(err, wantErr) || wantErr == nil && err != nil {
					t.Errorf("%s: error %v, want %v", e.Name, err, wantErr)
				}
				if except {
					continue
				}
				want := parse.Packet{Layers: tt.layers, HeaderLen: tt.header, Truncated: tt.inside}
				want.Tuple.Proto = tt.proto
				switch {
				case tt.layers.Has(parse.LayerIPv4):
					want.Tuple.SrcIP, want.Tuple.DstIP, want.TTL = src4.As16(), dst4.As16(), 61
				case tt.layers.Has(parse.LayerIPv6):
					want.Tuple.SrcIP, want.Tuple.DstIP, want.TTL = src6.As16(), dst6.As16(), 61
				}
				if tt.layers.Has(parse.LayerTCP) {
					want.TCPFlags = flags
				}
				if tt.ports {
					want.Tuple.SrcPort, want.Tuple.DstPort = 40000, 9999
					if tt.layers.Has(parse.LayerTCP) {
						want.Tuple.DstPort = 1883
					}
				} else if tt.layers&(parse.LayerTCP|parse.LayerUDP|parse.LayerSCTP) != 0 {
					want.Tuple.SrcPort = 40000
					want.Tuple.DstPort = binary.BigEndian.Uint16(data[36:]) // behind Ethernet and IPv4
				}
				want.Payload = data[tt.header : tt.header+tt.payload]
				if fields := diffFields(&want, &got); len(fields) > 0 {
					t.Errorf("%s: %v differ:\ngot  %+v\nwant %+v", e.Name, fields, got, want)
				}
			}
		})
	}
}
