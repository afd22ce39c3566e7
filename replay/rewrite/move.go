package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// IP protocol numbers (IANA) whose checksums cover addresses, beside those of locate.go.
const (
	protoDCCP     = 33
	protoOSPF     = 89
	protoPIM      = 103
	protoVRRP     = 112
	protoMobility = 135
	protoUDPLite  = 136
)

// block is a range of IPv4 networks of 256 addresses each: the upper 24 bits of an address.
type block struct{ first, last uint32 }

func (b block) size() uint32 { return b.last - b.first + 1 }

// ring is the networks of some blocks, in order; the first follows the last.
type ring struct {
	blocks []block
	size   uint32
	step   uint32 // coprime to size, near its golden section, so that passes land far from each other
}

func newRing(step uint32, blocks ...block) ring {
	r := ring{blocks: blocks, step: step}
	for _, b := range blocks {
		r.size += b.size()
	}
	return r
}

// place returns where in the ring net stands.
func (r *ring) place(net uint32) (at uint32, ok bool) {
	for _, b := range r.blocks {
		if net <= b.last {
			return at + net - b.first, net >= b.first
		}
		at += b.size()
	}
	return 0, false
}

// net returns the network at a place below size.
func (r *ring) net(at uint32) uint32 {
	i := 0
	for ; at >= r.blocks[i].size(); i++ {
		at -= r.blocks[i].size()
	}
	return r.blocks[i].first + at
}

// rings hold the IPv4 addresses that move; see Mover.
var rings = [...]ring{
	newRing(43193, // RFC 1918
		block{0x0a0000, 0x0affff},
		block{0xac1000, 0xac1fff},
		block{0xc0a800, 0xc0a8ff}),
	newRing(8948421, // the other unicast addresses
		block{0x010000, 0x09ffff},
		block{0x0b0000, 0x7effff},
		block{0x800000, 0xa9fdff},
		block{0xa9ff00, 0xac0fff},
		block{0xac2000, 0xc0a7ff},
		block{0xc0a900, 0xdfffff}),
}

// turn is how far a pass moves each ring, and IPv6 addresses.
type turn struct {
	pass uint32
	v4   [len(rings)]struct{ nets, hosts uint32 }
	v6   uint32
}

func newTurn(pass uint32) turn {
	t := turn{pass: pass, v6: pass * 0x9e3779} // odd, near the golden section of 1<<24
	for i := range rings {
		size := rings[i].size
		t.v4[i].nets = uint32(uint64(pass) * uint64(rings[i].step) % uint64(size))
		t.v4[i].hosts = pass / size
	}
	return t
}

// ipv4 moves the 4 octets of a in place.
func (t *turn) ipv4(a []byte) {
	v := be.Uint32(a)
	for i := range rings {
		r := &rings[i]
		at, ok := r.place(v >> 8)
		if !ok {
			continue
		}
		if at += t.v4[i].nets; at >= r.size {
			at -= r.size
		}
		be.PutUint32(a, r.net(at)<<8|(v+t.v4[i].hosts)&0xff)
		return
	}
}

// ipv6 moves the 16 octets of a in place.
func (t *turn) ipv6(a []byte) {
	if a[0] == 0 || a[0] == 0xff {
		return
	}
	v := be.Uint32(a[8:])
	be.PutUint32(a[8:], v+t.v6<<8)
}

// MoveAddr returns what a becomes in a pass; see [Mover]. An IPv4-mapped IPv6 address stays, a zone too.
func MoveAddr(a netip.Addr, pass uint32) netip.Addr {
	t := newTurn(pass)
	switch {
	case a.Is4():
		octets := a.As4()
		t.ipv4(octets[:])
		return netip.AddrFrom4(octets)
	case a.Is6():
		octets := a.As16()
		t.ipv6(octets[:])
		return netip.AddrFrom16(octets).WithZone(a.Zone())
	}
	return a
}

// Mover gives the frames of a capture other addresses in each pass over it, so that a flow table that is fed the
// capture over and over meets new flows. The zero value is ready; it belongs to one goroutine.
//
// What an address becomes depends on the address and the pass alone, whether it is the source or the destination: both
// directions of a flow still match. In each pass different addresses become different addresses, and an address is
// another in each of the first 1<<24 passes. Pass 0 changes nothing.
//
//	IPv4  10/8, 172.16/12, 192.168/16     one ring of 69,888 networks /24: private stays private
//	      other unicast                   one ring of 14,478,848 networks /24: public stays public
//	      0/8, 127/8, 169.254/16, 224/3   stay: this network, loopback, link-local, multicast, reserved, broadcast
//	IPv6  ::/8, ff00::/8                  stay: unspecified, loopback, IPv4-mapped, NAT64, multicast
//	      all others                      octets 8 to 10 move: the vendor's part of an EUI-64 interface identifier
//
// A network moves on along its ring, by the same number of places as its neighbours; the last octet stays (1 stays a
// likely gateway, 255 a broadcast) until the pass number has gone round the ring, and is then one more for each round.
// An IPv6 subnet prefix stays, and so do the last 24 bits, from which solicited-node multicast addresses are made (RFC
// 4291 section 2.7.1).
//
// The outermost IPv4 or IPv6 header moves, in the frames that package parse finds one in, whatever is behind it (as
// tcpreplay's --unique-ip does, which looks no further), and the sender's and target's protocol addresses of ARP for IPv4. With it move, each by the difference (RFC 1624 equation 3), so that wrong ones
// stay wrong by as much: the IPv4 header checksum, and those of TCP, UDP, UDP-Lite, DCCP, and over IPv6 of ICMPv6, PIM,
// OSPF, VRRP and mobility headers, also in first fragments and cut frames, where the field is captured. A UDP checksum
// of 0 means none and stays.
//
// Addresses inside payloads and options stay: in DNS and other application data, in the packet that an ICMP error
// quotes, in neighbour discovery, in tunnels, in the list of a source route, in a home address option. So do hardware
// addresses. What authenticates addresses (authentication header, TCP MD5 and TCP-AO) is no longer right, nor are
// transport checksums beside a home address option.
type Mover struct {
	turn   turn
	buf    []byte
	packet parse.Packet
	counts [outcomes]uint64
	behind uint64 // moved frames with a malformed header behind the IP header
}

// MoveReport counts frames by what a [Mover] did.
type MoveReport struct {
	Frames      uint64 `json:"frames"`    // sum of those below
	Moved       uint64 `json:"moved"`     // at least one address is another
	Unchanged   uint64 `json:"unchanged"` // pass 0, neither IP nor ARP for IPv4, or only addresses that stay
	Cut         uint64 `json:"cut"`       // the capture cut the frame before the end of the IP or ARP header
	Malformed   uint64 `json:"malformed"` // up to the IP or ARP header, or in it
	UnknownLink uint64 `json:"unknown_link"`
	// MovedMalformed are those of Moved whose headers behind the IP header contradict themselves or the frame. A transport
	// checksum that is where it should be moved too.
	MovedMalformed uint64 `json:"moved_malformed"`
}

// Kept returns the frames that could not be looked at and are as they were: cut, malformed or of an unknown link type.
func (r MoveReport) Kept() uint64 { return r.Cut + r.Malformed + r.UnknownLink }

// String says in one line what was moved, and what was not and why.
func (r MoveReport) String() string {
	behind := ""
	if r.MovedMalformed > 0 {
		behind = fmt.Sprintf(" (%d malformed behind the IP header)", r.MovedMalformed)
	}
	return fmt.Sprintf("addresses moved in %d of %d frames%s; kept as they are: %d with none to move, %d cut, "+
		"%d malformed, %d unknown link", r.Moved, r.Frames, behind, r.Unchanged, r.Cut, r.Malformed, r.UnknownLink)
}

// Report returns the counts so far.
func (m *Mover) Report() MoveReport {
	r := MoveReport{Moved: m.counts[Moved], Unchanged: m.counts[Unchanged], Cut: m.counts[Cut],
		Malformed: m.counts[Malformed], UnknownLink: m.counts[UnknownLink], MovedMalformed: m.behind}
	r.Frames = r.Moved + r.Unchanged + r.Cut + r.Malformed + r.UnknownLink
	return r
}

// Move sets *out to in with the addresses of a pass, and returns Moved, Unchanged, Cut, Malformed or UnknownLink. Only
// a Moved frame differs from in, and only in addresses and checksums. In pass 0 frames are not looked at: all are
// Unchanged. out.Data is borrowed from the Mover until the next Move, or from in where the frame stays as it is.
// in.Data is not written, and must not be borrowed from this Mover. Move allocates only for a frame longer than any
// before.
func (m *Mover) Move(in, out *parse.Frame, pass uint32) Outcome {
	if pass != m.turn.pass {
		m.turn = newTurn(pass)
	}
	o := m.move(in, out)
	m.counts[o]++
	return o
}

func (m *Mover) move(in, out *parse.Frame) Outcome {
	d := in.Data
	*out = *in
	if m.turn.pass == 0 {
		return Unchanged
	}
	p := &m.packet
	err := parse.Direct{}.Parse(in, p)
	switch {
	case errors.Is(err, parse.ErrUnsupported):
		return UnknownLink
	case p.Layers&(parse.LayerIPv4|parse.LayerIPv6|parse.LayerARP) != 0: // whatever is behind
	case err != nil:
		return Malformed
	case p.Truncated:
		return Cut
	default:
		return Unchanged
	}
	m.buf = append(m.buf[:0], d...)
	off := network(d, in.Link)
	moved := false
	switch old, b := d[off:], m.buf[off:]; {
	case p.Layers.Has(parse.LayerARP):
		moved = m.arp(old, b)
	case p.Layers.Has(parse.LayerIPv4):
		m.turn.ipv4(b[12:16])
		m.turn.ipv4(b[16:20])
		src, dst := difference(old[12:16], b[12:16]), difference(old[16:20], b[16:20])
		if moved = !bytes.Equal(old[12:20], b[12:20]); moved {
			adjust(b[10:12], src+dst)
			m.transport(b[:p.HeaderLen+len(p.Payload)-off], src, dst)
		}
	default:
		m.turn.ipv6(b[8:24])
		m.turn.ipv6(b[24:40])
		src, dst := difference(old[8:24], b[8:24]), difference(old[24:40], b[24:40])
		if moved = !bytes.Equal(old[8:40], b[8:40]); moved {
			m.transport(b[:p.HeaderLen+len(p.Payload)-off], src, dst)
		}
	}
	if !moved {
		return Unchanged
	}
	if err != nil {
		m.behind++
	}
	out.Data = m.buf
	return Moved
}

// network returns where the IP or ARP header is in a frame in which parse.Direct found one: every header before it is
// whole, and leads to it.
func network(d []byte, link parse.LinkType) int {
	var t uint16
	var off int
	switch link {
	case parse.LinkEthernet:
		t, off = be.Uint16(d[12:]), 14
	case parse.LinkNull, parse.LinkLoop:
		return 4
	case parse.LinkSLL:
		t, off = be.Uint16(d[14:]), 16
	case parse.LinkSLL2:
		t, off = be.Uint16(d), 20
	default:
		return 0
	}
	for t == typeVLAN || t == typeService {
		t = be.Uint16(d[off+2:])
		off += 4
	}
	switch {
	case t < typeMin:
		return off + 3 + 5 // LLC and SNAP
	case t == typeMPLS || t == typeMPLSMulti:
		return belowLabels(d, off)
	case t != typeSession:
		return off
	}
	off += 6
	protocol, n := be.Uint16(d[off:]), 2
	if d[off]&1 != 0 {
		protocol, n = uint16(d[off]), 1
	}
	off += n
	if protocol == 0x0281 || protocol == 0x0283 {
		return belowLabels(d, off)
	}
	return off
}

func belowLabels(d []byte, off int) int {
	for d[off+2]&1 == 0 {
		off += 4
	}
	return off + 4
}

// arp moves the addresses of the ARP message b, a copy of old.
func (m *Mover) arp(old, b []byte) (moved bool) {
	if be.Uint16(b[2:]) != typeIPv4 || b[5] != 4 {
		return false
	}
	for _, at := range [...]int{8 + int(b[4]), 8 + 4 + 2*int(b[4])} {
		m.turn.ipv4(b[at : at+4])
		moved = moved || be.Uint32(b[at:]) != be.Uint32(old[at:])
	}
	return moved
}

// transport moves the checksum behind the IP header that starts b, where it covers addresses and is captured.
func (m *Mover) transport(b []byte, src, dst uint64) {
	p := &m.packet
	v6 := p.Layers.Has(parse.LayerIPv6)
	field := checksumField(p.Tuple.Proto, v6)
	if field == absent || p.Layers.Has(parse.LayerFragmentRest) {
		return
	}
	u := findUpper(b, p.Tuple.Proto, v6)
	if u.routed {
		dst = 0
	}
	if u.off+field+2 <= len(b) {
		adjustUpper(b[u.off+field:], p.Tuple.Proto, src+dst)
	}
}

// upper is where the header of a protocol stands behind an IP header.
type upper struct {
	off int
	// routed says that the checksum covers the last address of a route instead of the destination (RFC 8200 section 8.1).
	routed        bool
	authenticated bool // an authentication header covers it
}

// findUpper walks the headers behind the IP header that starts b up to that of proto, to which parse.Direct came: all those
// between are whole.
func findUpper(b []byte, proto byte, v6 bool) upper {
	next, u := b[6], upper{off: ipv6Len}
	if !v6 {
		next, u.off = b[9], int(b[0]&15)*4
		u.routed = u.off > ipv4Len && sourceRouted(b[ipv4Len:u.off])
	}
	for next != proto {
		n := (int(b[u.off+1]) + 1) * 8
		switch next {
		case protoRouting:
			u.routed = u.routed || b[u.off+3] != 0 // segments left
		case protoFragment:
			n = 8
		case protoAH:
			u.authenticated = true
			n = (int(b[u.off+1]) + 2) * 4
		}
		next = b[u.off]
		u.off += n
	}
	return u
}

// adjustUpper moves the checksum of a protocol by a difference, but for one that says that there is none.
func adjustUpper(c []byte, proto byte, difference uint64) {
	none := proto == protoUDP || proto == protoUDPLite // 0 means that there is none
	if none && be.Uint16(c) == 0 {
		return
	}
	adjust(c, difference)
	if none && be.Uint16(c) == 0 {
		be.PutUint16(c, 0xffff)
	}
}

// checksumField returns the place of the checksum in a header of a protocol whose checksum covers addresses.
func checksumField(proto byte, v6 bool) int {
	switch proto {
	case protoTCP:
		return 16
	case protoUDP, protoUDPLite, protoDCCP:
		return 6
	}
	if v6 {
		switch proto {
		case protoICMPv6, protoPIM:
			return 2
		case protoMobility:
			return 4
		case protoVRRP:
			return 6
		case protoOSPF:
			return 12
		}
	}
	return absent
}

// difference returns the ones' complement sum of ~m + m' over the 16-bit words of an address that changed, not folded.
func difference(old, moved []byte) uint64 {
	var acc uint64
	for ; len(old) >= 2; old, moved = old[2:], moved[2:] {
		if m, n := be.Uint16(old), be.Uint16(moved); m != n {
			acc += uint64(^m) + uint64(n)
		}
	}
	return acc
}

// adjust moves a checksum by a difference (RFC 1624 equation 3).
func adjust(c []byte, difference uint64) {
	be.PutUint16(c, checksum.Field(uint64(^be.Uint16(c))+difference))
}
