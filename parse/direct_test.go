package parse_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pcaplab/parse"
)

const (
	ethernet = parse.LayerEthernet
	onIPv4   = parse.LayerEthernet | parse.LayerIPv4
	onIPv6   = parse.LayerEthernet | parse.LayerIPv6
)

var directCases = []struct {
	name    string
	link    parse.LinkType
	data    []byte
	cut     int // octets that the capture left off
	layers  parse.Layers
	header  int
	payload int // length
	proto   uint8
	ports   [2]uint16
	flags   uint16
	want    error
	trunc   bool
}{
	// Link layers.
	{name: "unknown EtherType", link: 1, data: eth(0x9000, octets(46)), layers: ethernet, header: 14, payload: 46},
	{name: "empty", link: 1, want: parse.ErrMalformed},
	{name: "nothing captured", link: 1, cut: 60, trunc: true},
	{name: "Ethernet too short", link: 1, data: octets(13), payload: 13, want: parse.ErrMalformed},
	{name: "Ethernet cut", link: 1, data: octets(13), cut: 50, payload: 13, trunc: true},
	{name: "Ethernet alone", link: 1, data: eth(0x9000, nil), layers: ethernet, header: 14},
	{name: "VLAN", link: 1, data: eth(0x8100, vlan(5, 0x0800, ip4(17, 0, -1, nil, udp(-1, octets(9))))),
		layers: onIPv4 | parse.LayerVLAN | parse.LayerUDP, header: 46, payload: 9, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "QinQ", link: 1, data: eth(0x88a8, vlan(5, 0x8100, vlan(6, 0x0800, ip4(17, 0, -1, nil, udp(-1, nil))))),
		layers: onIPv4 | parse.LayerVLAN | parse.LayerUDP, header: 50, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "VLAN tag too short", link: 1, data: eth(0x8100, octets(3)), layers: ethernet, header: 14, payload: 3,
		want: parse.ErrMalformed},
	{name: "VLAN tag cut", link: 1, data: eth(0x8100, octets(3)), cut: 1, layers: ethernet, header: 14, payload: 3,
		trunc: true},
	{name: "VLAN priority tag, then 802.3 length", link: 1,
		data:   eth(0x8100, vlan(0, 5, join([]byte{0x42, 0x42, 3}, octets(39)))),
		layers: ethernet | parse.LayerVLAN | parse.LayerLLC, header: 21, payload: 2},
	{name: "LLC unnumbered", link: 1, data: eth(38, join([]byte{0x42, 0x42, 3}, octets(43))),
		layers: ethernet | parse.LayerLLC, header: 17, payload: 35},
	{name: "LLC information", link: 1, data: eth(40, join([]byte{0x42, 0x42, 0, 0}, octets(36))),
		layers: ethernet | parse.LayerLLC, header: 18, payload: 36},
	{name: "LLC length too small", link: 1, data: eth(2, octets(46)), layers: ethernet, header: 14, payload: 2,
		want: parse.ErrMalformed},
	{name: "LLC length past the frame", link: 1, data: eth(1400, join([]byte{0x42, 0x42, 3}, octets(43))),
		layers: ethernet | parse.LayerLLC, header: 17, payload: 43},
	{name: "LLC cut", link: 1, data: eth(38, []byte{0x42}), cut: 37, layers: ethernet, header: 14, payload: 1,
		trunc: true},
	{name: "SNAP IPv4", link: 1,
		data:   eth(36, join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(0x0800), ip4(17, 0, -1, nil, udp(-1, nil)), octets(10))),
		layers: onIPv4 | parse.LayerLLC | parse.LayerUDP, header: 50, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "SNAP of a vendor", link: 1, data: eth(10, join([]byte{0xaa, 0xaa, 3, 0, 0, 12}, be16(0x2000), octets(38))),
		layers: ethernet | parse.LayerLLC, header: 22, payload: 2},
	{name: "SNAP too short", link: 1, data: eth(7, join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, octets(40))),
		layers: ethernet | parse.LayerLLC, header: 17, payload: 4, want: parse.ErrMalformed},
	{name: "MPLS stack", link: 1, data: eth(0x8847, mpls(18, false, mpls(19, true, ip4(1, 0, -1, nil, octets(8))))),
		layers: onIPv4 | parse.LayerMPLS | parse.LayerICMP, header: 50, proto: 1},
	{name: "MPLS multicast, IPv6", link: 1, data: eth(0x8848, mpls(18, true, ip6(58, -1, octets(4)))),
		layers: onIPv6 | parse.LayerMPLS | parse.LayerICMPv6, header: 62, proto: 58},
	{name: "MPLS pseudowire", link: 1, data: eth(0x8847, mpls(18, true, join(be32(0), eth(0x0800, nil)))),
		layers: ethernet | parse.LayerMPLS, header: 18, payload: 18},
	{name: "MPLS around nothing", link: 1, data: eth(0x8847, mpls(18, true, nil)),
		layers: ethernet | parse.LayerMPLS, header: 18, want: parse.ErrMalformed},
	{name: "MPLS without bottom", link: 1, data: eth(0x8847, mpls(18, false, octets(3))),
		layers: ethernet | parse.LayerMPLS, header: 18, payload: 3, want: parse.ErrMalformed},
	{name: "PPPoE IPv6", link: 1, data: eth(0x8864, join(pppoe(0, 0x57, ip6(17, -1, udp(-1, octets(2)))), octets(5))),
		layers: onIPv6 | parse.LayerPPPoE | parse.LayerUDP, header: 70, payload: 2, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "PPPoE IPv4", link: 1, data: eth(0x8864, pppoe(0, 0x21, ip4(1, 0, -1, nil, octets(10)))),
		layers: onIPv4 | parse.LayerPPPoE | parse.LayerICMP, header: 50, payload: 2, proto: 1},
	{name: "PPPoE LCP and padding", link: 1, data: eth(0x8864, join(pppoe(0, 0xc021, octets(15)), octets(20))),
		layers: ethernet | parse.LayerPPPoE, header: 22, payload: 15},
	{name: "PPPoE session, not data", link: 1, data: eth(0x8864, pppoe(0xa7, 0, octets(4))),
		layers: ethernet | parse.LayerPPPoE, header: 20, payload: 6},
	{name: "PPPoE discovery", link: 1, data: eth(0x8863, octets(46)), layers: ethernet, header: 14, payload: 46},
	{name: "PPPoE too short", link: 1, data: eth(0x8864, octets(5)), layers: ethernet, header: 14, payload: 5,
		want: parse.ErrMalformed},
	{name: "PPPoE length 0", link: 1, data: eth(0x8864, join([]byte{0x11, 0, 0, 1, 0, 0}, octets(40))),
		layers: ethernet | parse.LayerPPPoE, header: 20, want: parse.ErrMalformed},
	{name: "null, little endian", link: 0, data: join([]byte{2, 0, 0, 0}, ip4(1, 0, -1, nil, octets(8))),
		layers: parse.LayerNull | parse.LayerIPv4 | parse.LayerICMP, header: 32, proto: 1},
	{name: "null, big endian", link: 0, data: join([]byte{0, 0, 0, 30}, ip6(58, -1, octets(8))),
		layers: parse.LayerNull | parse.LayerIPv6 | parse.LayerICMPv6, header: 48, payload: 4, proto: 58},
	{name: "null, family of Linux", link: 0, data: join([]byte{10, 0, 0, 0}, ip6(58, -1, octets(8))),
		layers: parse.LayerNull | parse.LayerIPv6 | parse.LayerICMPv6, header: 48, payload: 4, proto: 58},
	{name: "null, another family", link: 0, data: join([]byte{7, 0, 0, 0}, octets(20)), layers: parse.LayerNull,
		header: 4, payload: 20},
	{name: "null too short", link: 0, data: octets(3), payload: 3, want: parse.ErrMalformed},
	{name: "loop", link: 108, data: join([]byte{0, 0, 0, 24}, ip6(58, -1, octets(4))),
		layers: parse.LayerNull | parse.LayerIPv6 | parse.LayerICMPv6, header: 48, proto: 58},
	{name: "SLL", link: 113, data: join(be16(4), be16(1), be16(6), octets(8), be16(0x0806), arp()),
		layers: parse.LayerSLL | parse.LayerARP, header: 44},
	{name: "SLL with LLC", link: 113,
		data:   join(be16(4), be16(1), be16(6), octets(8), be16(4), []byte{0x42, 0x42, 3, 9}),
		layers: parse.LayerSLL | parse.LayerLLC, header: 19, payload: 1},
	{name: "SLL netlink", link: 113, data: join(be16(4), be16(824), be16(0), octets(8), be16(4), octets(20)),
		layers: parse.LayerSLL, header: 16, payload: 20},
	{name: "SLL too short", link: 113, data: octets(15), payload: 15, want: parse.ErrMalformed},
	{name: "SLL2", link: 276,
		data:   join(be16(0x86dd), be16(0), be32(3), be16(1), []byte{0, 6}, octets(8), ip6(6, -1, tcp(2, nil, nil))),
		layers: parse.LayerSLL2 | parse.LayerIPv6 | parse.LayerTCP, header: 80, proto: 6, ports: [2]uint16{40000, 1883},
		flags: 2},
	{name: "SLL2 too short", link: 276, data: octets(19), payload: 19, want: parse.ErrMalformed},
	{name: "raw IPv4", link: 101, data: ip4(1, 0, -1, nil, octets(8)), layers: parse.LayerIPv4 | parse.LayerICMP,
		header: 28, proto: 1},
	{name: "raw IPv6, BSD number", link: 12, data: ip6(58, -1, octets(4)), layers: parse.LayerIPv6 | parse.LayerICMPv6,
		header: 44, proto: 58},
	{name: "raw, OpenBSD number", link: 14, data: ip4(1, 0, -1, nil, octets(8)),
		layers: parse.LayerIPv4 | parse.LayerICMP,
		header: 28, proto: 1},
	{name: "raw, version 5", link: 101, data: join([]byte{0x50}, octets(30)), payload: 31, want: parse.ErrMalformed},
	{name: "raw, nothing", link: 101, want: parse.ErrMalformed},
	{name: "IPv4 link", link: 228, data: ip4(1, 0, -1, nil, octets(8)), layers: parse.LayerIPv4 | parse.LayerICMP,
		header: 28, proto: 1},
	{name: "IPv6 link", link: 229, data: ip6(58, -1, octets(4)), layers: parse.LayerIPv6 | parse.LayerICMPv6, header: 44,
		proto: 58},
	{name: "IPv4 under the IPv6 link", link: 229, data: ip4(1, 0, -1, nil, octets(28)), payload: 48,
		want: parse.ErrMalformed},
	{name: "no such link", link: 147, data: octets(20), payload: 20, want: parse.ErrUnsupported},

	// ARP.
	{name: "ARP with padding", link: 1, data: eth(0x0806, join(arp(), octets(18))), layers: ethernet | parse.LayerARP,
		header: 42},
	{name: "ARP cut", link: 1, data: eth(0x0806, arp()[:20]), cut: 8, layers: ethernet, header: 14, payload: 20,
		trunc: true},
	{name: "ARP too short", link: 1, data: eth(0x0806, arp()[:7]), layers: ethernet, header: 14, payload: 7,
		want: parse.ErrMalformed},
	{name: "ARP address lengths", link: 1, data: eth(0x0806, join([]byte{0, 1, 8, 0, 255, 4}, arp()[6:])),
		layers: ethernet, header: 14, payload: 28, want: parse.ErrMalformed},

	// IPv4.
	{name: "TCP", link: 1, data: eth(0x0800, ip4(6, 0x4000, -1, nil, tcp(0x1ff, nil, octets(5)))),
		layers: onIPv4 | parse.LayerTCP, header: 54, payload: 5, proto: 6, ports: [2]uint16{40000, 1883}, flags: 0x1ff},
	{name: "TCP with options", link: 1, data: eth(0x0800, ip4(6, 0, -1, nil, tcp(2, octets(40), octets(5)))),
		layers: onIPv4 | parse.LayerTCP, header: 94, payload: 5, proto: 6, ports: [2]uint16{40000, 1883}, flags: 2},
	{name: "TCP and Ethernet trailer", link: 1,
		data:   eth(0x0800, join(ip4(6, 0, -1, nil, tcp(16, nil, nil)), octets(6))),
		layers: onIPv4 | parse.LayerTCP, header: 54, proto: 6, ports: [2]uint16{40000, 1883}, flags: 16},
	{name: "TCP reserved bits are no flags", link: 1, data: eth(0x0800, ip4(6, 0, -1, nil, tcp(0xe02, nil, nil))),
		layers: onIPv4 | parse.LayerTCP, header: 54, proto: 6, ports: [2]uint16{40000, 1883}, flags: 2},
	{name: "TCP data offset 4", link: 1,
		data:   eth(0x0800, ip4(6, 0, -1, nil, join(tcp(0, nil, nil)[:12], []byte{0x40, 2}, octets(30)))),
		layers: onIPv4, header: 34, payload: 44, proto: 6, want: parse.ErrMalformed},
	{name: "TCP data offset past the datagram", link: 1,
		data:   eth(0x0800, join(ip4(6, 0, -1, nil, join(tcp(0, nil, nil)[:12], []byte{0x60, 2}, octets(6))), octets(50))),
		layers: onIPv4, header: 34, payload: 20, proto: 6, want: parse.ErrMalformed},
	{name: "TCP options cut", link: 1, data: eth(0x0800, ip4(6, 0, 60, nil, join(tcp(0, octets(20), nil)[:30]))),
		cut:    10,
		layers: onIPv4, header: 34, payload: 30, proto: 6, trunc: true},
	{name: "TCP cut", link: 1, data: eth(0x0800, ip4(6, 0, 60, nil, tcp(2, nil, nil)[:19])), cut: 21,
		layers: onIPv4, header: 34, payload: 19, proto: 6, trunc: true},
	{name: "TCP payload cut", link: 1, data: eth(0x0800, ip4(6, 0, 1500, nil, tcp(2, nil, octets(3)))), cut: 1457,
		layers: onIPv4 | parse.LayerTCP, header: 54, payload: 3, proto: 6, ports: [2]uint16{40000, 1883}, flags: 2},
	{name: "TCP short in a whole frame", link: 1, data: eth(0x0800, ip4(6, 0, -1, nil, octets(19))),
		layers: onIPv4, header: 34, payload: 19, proto: 6, want: parse.ErrMalformed},
	{name: "UDP", link: 1, data: eth(0x0800, ip4(17, 0, -1, nil, udp(-1, octets(20)))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 20, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "UDP below the long path", link: 1, data: eth(0x0800, ip4(17, 0, -1, nil, udp(-1, octets(1)))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 1, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "UDP length shorter than IP's", link: 1, data: eth(0x0800, ip4(17, 0, -1, nil, udp(12, octets(20)))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 4, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "UDP length longer than IP's", link: 1,
		data:   eth(0x0800, join(ip4(17, 0, -1, nil, udp(100, octets(20))), octets(9))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 20, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "UDP length 0", link: 1, data: eth(0x0800, ip4(17, 0, -1, nil, udp(0, octets(20)))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 20, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "UDP length 7", link: 1, data: eth(0x0800, ip4(17, 0, -1, nil, udp(7, octets(20)))),
		layers: onIPv4, header: 34, payload: 28, proto: 17, want: parse.ErrMalformed},
	{name: "IPv4 options", link: 1, data: eth(0x0800, ip4(17, 0, -1, octets(40), udp(-1, octets(20)))),
		layers: onIPv4 | parse.LayerUDP, header: 82, payload: 20, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "IPv4 options cut", link: 1, data: eth(0x0800, ip4(17, 0, 200, octets(40), nil)[:50]), cut: 150,
		layers: ethernet, header: 14, payload: 50, trunc: true},
	{name: "IPv4 cut", link: 1, data: eth(0x0800, ip4(17, 0, 200, nil, nil)[:19]), cut: 181,
		layers: ethernet, header: 14, payload: 19, trunc: true},
	{name: "IPv4 too short", link: 1, data: eth(0x0800, octets(19)), layers: ethernet, header: 14, payload: 19,
		want: parse.ErrMalformed},
	{name: "IPv4 version 6", link: 1, data: eth(0x0800, ip6(17, -1, udp(-1, nil))), layers: ethernet, header: 14,
		payload: 48,
		want:    parse.ErrMalformed},
	{name: "IPv4 header length 4", link: 1, data: eth(0x0800, join([]byte{0x44}, ip4(17, 0, -1, nil, udp(-1, nil))[1:])),
		layers: ethernet, header: 14, payload: 28, want: parse.ErrMalformed},
	{name: "IPv4 total length below the header", link: 1, data: eth(0x0800, ip4(17, 0, 19, nil, udp(-1, octets(20)))),
		layers: ethernet, header: 14, payload: 48, want: parse.ErrMalformed},
	{name: "IPv4 total length below the options", link: 1, data: eth(0x0800, ip4(17, 0, 21, octets(4), udp(-1, nil))),
		layers: ethernet, header: 14, payload: 32, want: parse.ErrMalformed},
	{name: "IPv4 total length past a whole frame", link: 1,
		data:   eth(0x0800, ip4(17, 0, 1000, nil, udp(980, octets(20)))),
		layers: onIPv4 | parse.LayerUDP, header: 42, payload: 20, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "IPv4 total length 0", link: 1, data: eth(0x0800, ip4(6, 0, 0, nil, tcp(16, nil, octets(3000)))),
		layers: onIPv4 | parse.LayerTCP, header: 54, payload: 3000, proto: 6, ports: [2]uint16{40000, 1883}, flags: 16},
	{name: "first fragment", link: 1, data: eth(0x0800, ip4(17, 0x2000, -1, nil, udp(2000, octets(40)))),
		layers: onIPv4 | parse.LayerFragment | parse.LayerUDP, header: 42, payload: 40, proto: 17,
		ports: [2]uint16{40001, 53}},
	{name: "later fragment", link: 1, data: eth(0x0800, ip4(17, 0x2010, -1, nil, octets(40))),
		layers: onIPv4 | parse.LayerFragment | parse.LayerFragmentRest, header: 34, payload: 40, proto: 17},
	{name: "last fragment", link: 1, data: eth(0x0800, ip4(6, 0x0010, -1, nil, octets(4))),
		layers: onIPv4 | parse.LayerFragment | parse.LayerFragmentRest, header: 34, payload: 4, proto: 6},
	{name: "tiny first fragment", link: 1, data: eth(0x0800, join(ip4(6, 0x2000, -1, nil, octets(16)), octets(10))),
		layers: onIPv4 | parse.LayerFragment, header: 34, payload: 16, proto: 6, want: parse.ErrMalformed},

	// Transport.
	{name: "ICMP", link: 1, data: eth(0x0800, ip4(1, 0, -1, nil, octets(64))), layers: onIPv4 | parse.LayerICMP,
		header:  42,
		payload: 56, proto: 1},
	{name: "ICMP too short", link: 1, data: eth(0x0800, ip4(1, 0, -1, nil, octets(7))), layers: onIPv4, header: 34,
		payload: 7, proto: 1, want: parse.ErrMalformed},
	{name: "IGMP", link: 1, data: eth(0x0800, ip4(2, 0xc000, -1, []byte{0x94, 4, 0, 0}, octets(16))),
		layers: onIPv4 | parse.LayerIGMP, header: 46, payload: 8, proto: 2},
	{name: "GRE", link: 1, data: eth(0x0800, ip4(47, 0, -1, nil, join(be16(0), be16(0x0800), octets(20)))),
		layers: onIPv4 | parse.LayerGRE, header: 38, payload: 20, proto: 47},
	{name: "GRE checksum, key, sequence", link: 1,
		data:   eth(0x0800, ip4(47, 0, -1, nil, join(be16(0xb000), be16(0x0800), octets(20)))),
		layers: onIPv4 | parse.LayerGRE, header: 50, payload: 8, proto: 47},
	{name: "GRE of PPTP", link: 1, data: eth(0x0800, ip4(47, 0, -1, nil, join(be16(0x3081), be16(0x880b), octets(20)))),
		layers: onIPv4 | parse.LayerGRE, header: 50, payload: 8, proto: 47},
	{name: "GRE key cut", link: 1, data: eth(0x0800, ip4(47, 0, 100, nil, join(be16(0x2000), be16(0x0800), octets(3)))),
		cut:    73,
		layers: onIPv4, header: 34, payload: 7, proto: 47, trunc: true},
	{name: "SCTP", link: 1, data: eth(0x0800, ip4(132, 0, -1, nil, join(be16(36412), be16(36413), octets(24)))),
		layers: onIPv4 | parse.LayerSCTP, header: 46, payload: 16, proto: 132, ports: [2]uint16{36412, 36413}},
	{name: "SCTP too short", link: 1, data: eth(0x0800, ip4(132, 0, -1, nil, octets(11))), layers: onIPv4, header: 34,
		payload: 11, proto: 132, want: parse.ErrMalformed},
	{name: "ESP", link: 1, data: eth(0x0800, ip4(50, 0, -1, nil, octets(40))), layers: onIPv4 | parse.LayerESP,
		header:  42,
		payload: 32, proto: 50},
	{name: "AH, TCP", link: 1, data: eth(0x0800, ip4(51, 0, -1, nil, join([]byte{6, 4}, octets(22), tcp(2, nil, nil)))),
		layers: onIPv4 | parse.LayerTCP, header: 78, proto: 6, ports: [2]uint16{40000, 1883}, flags: 2},
	{name: "AH length 0", link: 1, data: eth(0x0800, ip4(51, 0, -1, nil, join([]byte{6, 0}, octets(40)))),
		layers: onIPv4, header: 34, payload: 42, proto: 51, want: parse.ErrMalformed},
	{name: "IP in IP", link: 1, data: eth(0x0800, ip4(4, 0, -1, nil, ip4(17, 0, -1, nil, udp(-1, nil)))),
		layers: onIPv4 | parse.LayerOtherL4, header: 34, payload: 28, proto: 4},
	{name: "IPv6 in IPv4", link: 1, data: eth(0x0800, ip4(41, 0, -1, nil, ip6(17, -1, udp(-1, nil)))),
		layers: onIPv4 | parse.LayerOtherL4, header: 34, payload: 48, proto: 41},

	// IPv6.
	{name: "IPv6 TCP and trailer", link: 1,
		data:   eth(0x86dd, join(ip6(6, -1, tcp(0x12, octets(20), octets(3))), octets(4))),
		layers: onIPv6 | parse.LayerTCP, header: 94, payload: 3, proto: 6, ports: [2]uint16{40000, 1883}, flags: 0x12},
	{name: "IPv6 UDP", link: 1, data: eth(0x86dd, join(ip6(17, -1, udp(-1, octets(30))), octets(4))),
		layers: onIPv6 | parse.LayerUDP, header: 62, payload: 30, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "IPv6 UDP length shorter than IPv6's", link: 1, data: eth(0x86dd, ip6(17, -1, udp(10, octets(30)))),
		layers: onIPv6 | parse.LayerUDP, header: 62, payload: 2, proto: 17, ports: [2]uint16{40001, 53}},
	{name: "IPv6 TCP data offset past the packet", link: 1,
		data:   eth(0x86dd, join(ip6(6, -1, join(tcp(0, nil, nil)[:12], be16(0x6000), octets(6))), octets(50))),
		layers: onIPv6, header: 54, payload: 20, proto: 6, want: parse.ErrMalformed},
	{name: "IPv6 payload length 0 without jumbo option", link: 1, data: eth(0x86dd, ip6(6, 0, tcp(2, nil, octets(30)))),
		layers: onIPv6 | parse.LayerTCP, header: 74, payload: 30, proto: 6, ports: [2]uint16{40000, 1883}, flags: 2},
	{name: "IPv6 cut", link: 1, data: eth(0x86dd, ip6(6, 100, nil)[:39]), cut: 60, layers: ethernet, header: 14,
		payload: 39,
		trunc:   true},
	{name: "IPv6 too short", link: 1, data: eth(0x86dd, ip6(6, 100, nil)[:39]), layers: ethernet, header: 14,
		payload: 39,
		want:    parse.ErrMalformed},
	{name: "IPv6 version 4", link: 1, data: eth(0x86dd, ip4(17, 0, -1, nil, octets(40))), layers: ethernet, header: 14,
		payload: 60, want: parse.ErrMalformed},
	{name: "hop-by-hop, routing, options, UDP", link: 1,
		data: eth(0x86dd, ip6(0, -1, join([]byte{43, 0}, octets(6), []byte{60, 1}, octets(14), []byte{17, 0}, octets(6),
			udp(-1, octets(3))))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerUDP, header: 94, payload: 3, proto: 17,
		ports: [2]uint16{40001, 53}},
	{name: "IPv6 AH, ESP", link: 1, data: eth(0x86dd, ip6(51, -1, join([]byte{50, 2}, octets(14), octets(20)))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerESP, header: 78, payload: 12, proto: 50},
	{name: "options past the packet", link: 1,
		data:   eth(0x86dd, join(ip6(60, -1, join([]byte{17, 9}, octets(30))), octets(90))),
		layers: onIPv6, header: 54, payload: 32, proto: 60, want: parse.ErrMalformed},
	{name: "options cut", link: 1, data: eth(0x86dd, ip6(60, 100, join([]byte{17, 9}, octets(30)))), cut: 68,
		layers: onIPv6, header: 54, payload: 32, proto: 60, trunc: true},
	{name: "IPv6 first fragment", link: 1,
		data:   eth(0x86dd, ip6(44, -1, join([]byte{17, 0}, be16(1), be32(9), udp(2000, octets(8))))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerFragment | parse.LayerUDP, header: 70, payload: 8, proto: 17,
		ports: [2]uint16{40001, 53}},
	{name: "IPv6 later fragment", link: 1,
		data:   eth(0x86dd, ip6(44, -1, join([]byte{17, 0}, be16(185<<3), be32(9), octets(8)))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerFragment | parse.LayerFragmentRest, header: 62, payload: 8,
		proto: 17},
	{name: "IPv6 atomic fragment", link: 1,
		data:   eth(0x86dd, ip6(44, -1, join([]byte{17, 0}, be16(0), be32(9), udp(-1, octets(8))))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerUDP, header: 70, payload: 8, proto: 17,
		ports: [2]uint16{40001, 53}},
	{name: "IPv6 fragment header cut", link: 1, data: eth(0x86dd, ip6(44, 100, octets(7))), cut: 93, layers: onIPv6,
		header: 54, payload: 7, proto: 44, trunc: true},
	{name: "no next header", link: 1, data: eth(0x86dd, join(ip6(59, -1, nil), octets(6))),
		layers: onIPv6 | parse.LayerOtherL4, header: 54, proto: 59},
	{name: "jumbogram", link: 1,
		data:   eth(0x86dd, ip6(0, 0, join([]byte{6, 0, 0xc2, 4}, be32(8+20+70000), tcp(16, nil, octets(70000))))),
		layers: onIPv6 | parse.LayerIPv6Extension | parse.LayerTCP, header: 82, payload: 70000, proto: 6,
		ports: [2]uint16{40000, 1883}, flags: 16},
	{name: "IPv6 payload length past a whole frame", link: 1, data: eth(0x86dd, ip6(58, 1000, octets(20))),
		layers: onIPv6 | parse.LayerICMPv6, header: 58, payload: 16, proto: 58},
	{name: "IPv6 payload length below TCP", link: 1, data: eth(0x86dd, ip6(6, 10, tcp(2, nil, nil))), layers: onIPv6,
		header: 54, payload: 10, proto: 6, want: parse.ErrMalformed},
	{name: "mobility", link: 1, data: eth(0x86dd, ip6(135, -1, join([]byte{59, 0}, octets(6)))),
		layers: onIPv6 | parse.LayerOtherL4, header: 54, payload: 8, proto: 135},
}

func TestDirect(t *testing.T) {
	for _, tc := range directCases {
		t.Run(tc.name, func(t *testing.T) {
			f := parse.Frame{Data: tc.data, WireLen: len(tc.data) + tc.cut, Link: tc.link}
			p := dirtyPacket()
			err := parse.Direct{}.Parse(&f, &p)
			if !errors.Is(err, tc.want) || p.Truncated != tc.trunc {
				t.Errorf("error %v, truncated %v, want %v, %v", err, p.Truncated, tc.want, tc.trunc)
			}
			if p.Layers != tc.layers {
				t.Errorf("layers %b, want %b", p.Layers, tc.layers)
			}
			if p.HeaderLen != tc.header || len(p.Payload) != tc.payload {
				t.Errorf("header %d, payload %d, want %d, %d", p.HeaderLen, len(p.Payload), tc.header, tc.payload)
			} else if !bytes.Equal(p.Payload, tc.data[tc.header:tc.header+tc.payload]) {
				t.Errorf("payload is not the octets from %d", tc.header)
			}
			want := parse.FiveTuple{SrcPort: tc.ports[0], DstPort: tc.ports[1], Proto: tc.proto}
			var ttl uint8
			switch {
			case p.Layers.Has(parse.LayerIPv4):
				copy(want.SrcIP[10:], join([]byte{0xff, 0xff}, src4))
				copy(want.DstIP[10:], join([]byte{0xff, 0xff}, dst4))
				ttl = 61
			case p.Layers.Has(parse.LayerIPv6):
				copy(want.SrcIP[:], src6)
				copy(want.DstIP[:], dst6)
				ttl = 62
			}
			if p.Tuple != want || p.TTL != ttl || p.TCPFlags != tc.flags {
				t.Errorf("tuple %v, TTL %d, flags %#x, want %v, %d, %#x", p.Tuple, p.TTL, p.TCPFlags, want, ttl, tc.flags)
			}
		})
	}
}

// dirtyPacket is a packet in which everything is set, as after another frame.
func dirtyPacket() parse.Packet {
	p := parse.Packet{Layers: ^parse.Layers(0), TTL: 99, TCPFlags: 0xffff, HeaderLen: 99, Truncated: true}
	p.Payload = octets(3)
	copy(p.Tuple.SrcIP[:], octets(16))
	copy(p.Tuple.DstIP[:], octets(16))
	p.Tuple.SrcPort, p.Tuple.DstPort, p.Tuple.Proto = 98, 97, 96
	return p
}

// samePacket reports whether a and b are equal, with the same payload octets.
func samePacket(a, b *parse.Packet) bool {
	return a.Layers == b.Layers && a.Tuple == b.Tuple && a.TTL == b.TTL && a.TCPFlags == b.TCPFlags &&
		a.HeaderLen == b.HeaderLen && a.Truncated == b.Truncated && bytes.Equal(a.Payload, b.Payload)
}

// TestDirectEngine holds that the engine offers exactly the link types that Parse decodes.
func TestDirectEngine(t *testing.T) {
	e := parse.DirectEngine()
	for link := range parse.LinkType(400) {
		_, newErr := e.New(link)
		var p parse.Packet
		f := frame(link, octets(64))
		parseErr := parse.Direct{}.Parse(&f, &p)
		if errors.Is(newErr, parse.ErrUnsupported) != errors.Is(parseErr, parse.ErrUnsupported) {
			t.Errorf("link type %d: New says %v, Parse says %v", link, newErr, parseErr)
		}
	}
}

// TestDirectPrefixes cuts every case at every length: a cut adds no header, makes no good frame malformed, and a
// missing header shows.
func TestDirectPrefixes(t *testing.T) {
	for _, tc := range directCases {
		whole := parse.Frame{Data: tc.data, WireLen: len(tc.data) + tc.cut, Link: tc.link}
		var want parse.Packet
		wholeErr := parse.Direct{}.Parse(&whole, &want)
		for n := range min(len(tc.data), 200) {
			f := parse.Frame{Data: slices.Clone(tc.data[:n]), WireLen: whole.WireLen, Link: tc.link}
			p := dirtyPacket()
			err := parse.Direct{}.Parse(&f, &p)
			if wholeErr == nil && err != nil {
				t.Fatalf("%s: %d octets: %v, whole is good", tc.name, n, err)
			}
			if p.Layers&^want.Layers&^parse.LayerOtherL4 != 0 {
				t.Fatalf("%s: %d octets: headers %b, whole has %b", tc.name, n, p.Layers, want.Layers)
			}
			if n < want.HeaderLen && wholeErr == nil && !want.Truncated && !p.Truncated {
				t.Fatalf("%s: %d octets of %d of headers, not truncated", tc.name, n, want.HeaderLen)
			}
		}
	}
}

func FuzzDirect(f *testing.F) {
	for _, tc := range directCases {
		if len(tc.data) < 300 {
			f.Add(uint16(tc.link), tc.data, uint16(tc.cut))
		}
	}
	f.Fuzz(func(t *testing.T, link uint16, data []byte, cut uint16) {
		in := parse.Frame{Data: data, WireLen: len(data) + int(cut), Link: parse.LinkType(link)}
		p, again := dirtyPacket(), parse.Packet{}
		err := parse.Direct{}.Parse(&in, &p)
		if longErr := parse.Decode(&in, &again); longErr != err {
			t.Fatalf("error %v, the long way %v", err, longErr)
		}
		if p.HeaderLen < 0 || p.HeaderLen+len(p.Payload) > len(data) {
			t.Fatalf("header %d, payload %d of %d octets", p.HeaderLen, len(p.Payload), len(data))
		}
		if len(p.Payload) > 0 && &p.Payload[0] != &data[p.HeaderLen] {
			t.Fatal("payload does not start after the headers")
		}
		if !samePacket(&p, &again) {
			t.Fatalf("not overwritten whole, or not as the long way: %+v, %+v", p, again)
		}
		if p.Truncated && (err != nil || cut == 0) {
			t.Fatalf("truncated with error %v, %d octets left off", err, cut)
		}
		const l4 = parse.LayerTCP | parse.LayerUDP | parse.LayerICMP | parse.LayerICMPv6 | parse.LayerIGMP | parse.LayerGRE |
			parse.LayerESP | parse.LayerSCTP | parse.LayerOtherL4
		if got := p.Layers & l4; got&(got-1) != 0 || got != 0 && p.Layers&parse.LayerFragmentRest != 0 {
			t.Fatalf("transport headers %b", got)
		}
		if got := p.Layers & (parse.LayerIPv4 | parse.LayerIPv6 | parse.LayerARP); got&(got-1) != 0 {
			t.Fatalf("network headers %b", got)
		}
		if err == nil && !p.Truncated && p.Layers&(parse.LayerIPv4|parse.LayerIPv6) != 0 &&
			p.Layers&(l4|parse.LayerFragmentRest) == 0 {
			t.Fatalf("a good IP packet without transport: %b", p.Layers)
		}
	})
}
