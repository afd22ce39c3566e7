package synth

import (
	"encoding/binary"

	"pcaplab/parse/checksum"
)

// Lengths in octets.
const (
	fcsLen      = 4
	minFrame    = 60   // without FCS
	mtu         = 1500 // of the IP packet
	etherLen    = 14
	ipv4Len     = 20
	ipv6Len     = 40
	tcpLen      = 20
	udpLen      = 8
	frameBuffer = 3200 // two segments that were joined
)

// IANA protocol numbers.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoTCP      = 6
	protoUDP      = 17
	protoICMPv6   = 58
)

const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100
	typeIPv6 = 0x86dd
)

var be = binary.BigEndian

// endpoint is a host as its link sees it: a host behind the gateway has the gateway's MAC address.
type endpoint struct {
	mac [6]byte
	ip4 [4]byte
	ip6 [16]byte
}

func (m *mix) pseudo(sl *slot, from, to *endpoint, proto, n int) uint64 {
	acc := uint64(proto) + uint64(n)
	if sl.v6 {
		return checksum.Add(checksum.Add(acc, from.ip6[:]), to.ip6[:])
	}
	return checksum.Add(checksum.Add(acc, from.ip4[:]), to.ip4[:])
}

// l3 returns where the network header starts, l4 where the header after a plain IP header does.
func (sl *slot) l3() int {
	if sl.vlan != 0 {
		return etherLen + 4
	}
	return etherLen
}

func (sl *slot) l4() int {
	if sl.v6 {
		return sl.l3() + ipv6Len
	}
	return sl.l3() + ipv4Len
}

// body returns the empty slice at which the octets after a header of n octets behind a plain IP header are appended.
func (m *mix) body(sl *slot, n int) []byte { return m.buf[sl.l4()+n:][:0] }

// ether writes the link header of a frame with n octets behind it, and pads the frame.
func (m *mix) ether(sl *slot, dst, src [6]byte, etherType uint16, n int) {
	copy(m.buf[0:], dst[:])
	copy(m.buf[6:], src[:])
	at := 12
	if sl.vlan != 0 {
		be.PutUint16(m.buf[12:], typeVLAN)
		be.PutUint16(m.buf[14:], sl.vlan)
		at = 16
	}
	be.PutUint16(m.buf[at:], etherType)
	m.n = at + 2 + n
	for m.n < minFrame {
		m.buf[m.n] = 0
		m.n++
	}
}

// ipv4 writes the link header and an IPv4 header with options of optLen octets, which are in place, as are the n octets
// behind it. flags holds flags and fragment offset as in the header.
func (m *mix) ipv4(sl *slot, from, to *endpoint, proto, ttl byte, id, flags uint16, optLen, n int) {
	size := ipv4Len + optLen
	h := m.buf[sl.l3():][:size]
	h[0] = 0x40 | byte(size/4)
	h[1] = 0
	be.PutUint16(h[2:], uint16(size+n))
	be.PutUint16(h[4:], id)
	be.PutUint16(h[6:], flags)
	h[8], h[9] = ttl, proto
	h[10], h[11] = 0, 0
	copy(h[12:], from.ip4[:])
	copy(h[16:], to.ip4[:])
	be.PutUint16(h[10:], checksum.Field(checksum.Add(0, h)))
	m.ether(sl, to.mac, from.mac, typeIPv4, size+n)
}

// ipv6 writes the link header and an IPv6 header before the n octets that are in place.
func (m *mix) ipv6(sl *slot, from, to *endpoint, next, hops byte, n int) {
	h := m.buf[sl.l3():][:ipv6Len]
	be.PutUint32(h, 6<<28|sl.label)
	be.PutUint16(h[4:], uint16(n))
	h[6], h[7] = next, hops
	copy(h[8:], from.ip6[:])
	copy(h[24:], to.ip6[:])
	m.ether(sl, to.mac, from.mac, typeIPv6, ipv6Len+n)
}

const dontFragment = 0x4000

// ip writes the headers below a transport header of n octets with its payload.
func (m *mix) ip(sl *slot, from, to *endpoint, proto, ttl byte, n int) {
	if sl.v6 {
		m.ipv6(sl, from, to, proto, ttl, n)
		return
	}
	if m.ownTTL && (proto == protoTCP || ttl == ttlHost) && (from.mac != m.gateway.mac || from.ip4 == m.gateway.ip4) {
		ttl = hostTTL(from)
	}
	sl.ident++
	m.ipv4(sl, from, to, proto, ttl, sl.ident, dontFragment, 0, n)
}

// udp ends a datagram whose payload was appended to m.body(sl, udpLen).
func (m *mix) udp(sl *slot, from, to *endpoint, sport, dport int, ttl byte, payload []byte) {
	n := udpLen + len(payload)
	h := m.buf[sl.l4():][:n]
	udpHeader(h, sport, dport, n)
	be.PutUint16(h[6:], checksum.UDPField(checksum.Add(m.pseudo(sl, from, to, protoUDP, n), h)))
	m.ip(sl, from, to, protoUDP, ttl, n)
}

func udpHeader(h []byte, sport, dport, n int) {
	be.PutUint16(h[0:], uint16(sport))
	be.PutUint16(h[2:], uint16(dport))
	be.PutUint16(h[4:], uint16(n))
	h[6], h[7] = 0, 0
}

// icmp ends an ICMP or ICMPv6 message that was appended to m.body(sl, 0) with a zero checksum.
func (m *mix) icmp(sl *slot, from, to *endpoint, ttl byte, msg []byte) {
	acc, proto := uint64(0), protoICMP
	if sl.v6 {
		proto = protoICMPv6
		acc = m.pseudo(sl, from, to, proto, len(msg))
	}
	be.PutUint16(msg[2:], checksum.Field(checksum.Add(acc, msg)))
	m.ip(sl, from, to, byte(proto), ttl, len(msg))
}
