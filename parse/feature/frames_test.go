package feature_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"pcaplab/parse"
)

// Headers made by hand, from the RFCs and IEEE 802.

func be16(v int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + 3)
	}
	return b
}

var macs = []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}

func eth(etherType int, payload ...[]byte) []byte {
	return join(macs, be16(etherType), join(payload...))
}

// isl is a Cisco ISL header in front of a frame.
func isl(frame []byte) []byte {
	return join([]byte{1, 0, 0x0c, 0, 0, 0, 2, 0, 0, 0, 0, 2}, be16(len(frame)+12), []byte{0xaa, 0xaa, 3, 0, 0, 0x0c},
		make([]byte, 6), frame)
}

// ip4With is an IPv4 datagram with these fields; ihl in words, a total below 0 means the true length.
func ip4With(proto, ttl, ihl, fragment, total int, rest ...[]byte) []byte {
	r := join(rest...)
	if total < 0 {
		total = 20 + len(r)
	}
	return join([]byte{byte(0x40 | ihl), 0}, be16(total), be16(0x1234), be16(fragment), []byte{byte(ttl), byte(proto), 0, 0},
		[]byte{192, 0, 2, 1, 198, 51, 100, 2}, r)
}

func ip4(proto int, payload ...[]byte) []byte { return ip4With(proto, 64, 5, 0, -1, payload...) }

func ip6(next int, payload ...[]byte) []byte {
	p := join(payload...)
	return join([]byte{0x60, 0, 0, 0}, be16(len(p)), []byte{byte(next), 62}, octets(32), p)
}

// tcpHeader has a data offset of words, and no options.
func tcpHeader(src, dst, words, flags int) []byte {
	return join(be16(src), be16(dst), be32(7), be32(8), be16(words<<12|flags), be16(1024), be32(0))
}

func udpHeader(src, dst, payload int) []byte {
	return join(be16(src), be16(dst), be16(8+payload), be16(0))
}

func arp() []byte { return join(be16(1), be16(0x800), []byte{6, 4}, be16(1), octets(20)) }

func frameOf(nano int64, data []byte) parse.Frame {
	return parse.Frame{UnixNano: nano, Data: data, WireLen: len(data), Link: parse.LinkEthernet}
}

// maker makes random frames: mostly whole ones as they are on the wire, now and then with a fault in any field.
type maker struct {
	*rand.Rand
	hosts int // addresses in use
}

func newMaker(seed uint64) *maker {
	return &maker{rand.New(rand.NewPCG(seed, 0x6665617475726573)), 200}
}

// one reports true once in n times.
func (g *maker) one(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *maker, of ...T) T { return of[g.IntN(len(of))] }

func (g *maker) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// text is a payload of up to n octets, more often zeros than not.
func (g *maker) text(n int) []byte {
	if n = g.IntN(n + 1); g.one(3) {
		return g.bytes(n)
	}
	return make([]byte, n)
}

func (g *maker) mac() []byte {
	return pick(g, []byte{2, 0, 0, 0, 0, byte(g.IntN(5))}, []byte{255, 255, 255, 255, 255, 255}, []byte{1, 0x80, 0xc2, 0, 0, 0})
}

func (g *maker) port() int {
	if g.one(3) {
		return g.IntN(65536)
	}
	return pick(g, 80, 443, 22, 23, 25, 21, 53, 67, 68, 1883, 5683, 6667, 8080, 40000+g.IntN(1000))
}

func (g *maker) host() []byte { return []byte{10, 0, byte(g.IntN(g.hosts) >> 4), byte(g.IntN(16))} }

// etherTypes that dpkt or the scripts know, and others.
var etherTypes = []int{
	0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x9200, 0x8847, 0x8848, 0x8863, 0x8864, 0x8035,
	0x888e, 0x88cc, 0x8137, 0x880b, 0x6558, 0x88a2, 0x2000, 0x2004, 0x8892, 0x00bb, 0x0200, 0, 0x05dc, 0x05dd, 0x0801,
}

// frame returns a frame that may be anything.
func (g *maker) frame() []byte {
	var b []byte
	switch n := g.IntN(100); {
	case n < 50:
		b = join(g.mac(), g.mac(), be16(0x0800), g.ip4(0))
	case n < 56:
		b = join(g.mac(), g.mac(), be16(0x0806), arp())
	default:
		b = g.ethernet(0)
	}
	if len(b) < 60 && g.one(2) {
		b = append(b, make([]byte, 60-len(b))...)
	}
	switch g.IntN(40) {
	case 0, 1, 2:
		b = b[:g.IntN(len(b)+1)]
	case 3:
		b = b[:min(g.IntN(14), len(b))]
	case 4, 5, 6:
		b = g.mutate(b)
	case 7:
		b = append(b, g.text(40)...)
	}
	return b
}

// mutate changes a few octets, drops some or puts some in.
func (g *maker) mutate(b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + g.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := g.IntN(len(b))
		if g.one(2) {
			at = g.IntN(min(len(b), 80))
		}
		switch g.IntN(8) {
		case 0:
			b = slices.Delete(b, at, min(at+1+g.IntN(6), len(b)))
		case 1:
			b = slices.Insert(b, at, g.bytes(1+g.IntN(6))...)
		case 2:
			b[at] ^= 1 << g.IntN(8)
		case 3:
			b[at] = pick[byte](g, 0, 1, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60, 0x45, 0x60, 0xaa, 0xff)
		case 4:
			if at+2 <= len(b) {
				copy(b[at:], be16(etherTypes[g.IntN(len(etherTypes))]))
			}
		default:
			b[at] = byte(g.Uint32())
		}
	}
	return b
}

// ethernet is a frame with any payload. depth counts what is nested.
func (g *maker) ethernet(depth int) []byte {
	head := join(g.mac(), g.mac())
	switch n := g.IntN(12); {
	case n == 0 && depth < 6:
		b := isl(g.ethernet(depth + 1))
		b[0] = pick[byte](g, 1, 3)
		b[5] = byte(g.Uint32())
		return b
	case n == 1:
		return join(head, g.length(g.llc(depth+1)))
	case n == 2: // Novell
		return join(head, be16(g.IntN(1501)), be16(0xffff), be16(30), g.text(60))
	}
	kind := etherTypes[g.IntN(len(etherTypes))]
	return join(head, be16(kind), g.typed(kind, depth+1))
}

// length puts an 802.3 length in front, and sometimes a trailer behind.
func (g *maker) length(b []byte) []byte {
	n := min(len(b), 1500)
	switch g.IntN(8) {
	case 0:
		n = g.IntN(1501)
	case 1:
		b = append(b, g.text(20)...)
	}
	return join(be16(n), b)
}

func (g *maker) llc(depth int) []byte {
	switch g.IntN(6) {
	case 0:
		return join([]byte{0x42, 0x42, 3}, make([]byte, 30+g.IntN(8)))
	case 1:
		return join([]byte{6, 6, 3}, g.ip4(depth))
	case 2:
		return join([]byte{pick[byte](g, 0x10, 0xe0, 0xf0, 0xaa), 0xe0, 3}, g.text(60))
	case 3:
		return g.text(12)
	}
	kind := etherTypes[g.IntN(len(etherTypes))]
	return join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(kind), g.typed(kind, depth+1))
}

// typed is what follows an EtherType.
func (g *maker) typed(kind, depth int) []byte {
	if depth > 8 || g.one(30) {
		return g.text(60)
	}
	inner := func() []byte {
		kind := etherTypes[g.IntN(len(etherTypes))]
		return join(be16(kind), g.typed(kind, depth+1))
	}
	switch kind {
	case 0x0800:
		return g.ip4(depth)
	case 0x0806:
		return arp()[:pick(g, 28, 28, 28, g.IntN(29))]
	case 0x86dd:
		return g.ip6(depth)
	case 0x8100, 0x88a8, 0x9100, 0x9200:
		return join(be16(g.IntN(65536)), inner())
	case 0x8847, 0x8848:
		var b []byte
		for labels := pick(g, 1, 1, 2, 3, 23, 24, 25); labels > 0; labels-- {
			bottom := 0
			if labels == 1 && !g.one(8) {
				bottom = 1 << 8
			}
			b = append(b, be32(uint32(g.IntN(1<<20)<<12|bottom|g.IntN(256)))...)
		}
		switch g.IntN(6) {
		case 0:
			return b
		case 1:
			return join(b, be32(0), g.ethernet(depth+1))
		case 2:
			return join(b, g.ip6(depth+1))
		case 3:
			return join(b, g.ethernet(depth+1))
		case 4:
			return join(b, g.text(30))
		}
		return join(b, g.ip4(depth+1))
	case 0x8864, 0x8863:
		b := g.ppp(depth + 1)
		return join([]byte{0x11, pick[byte](g, 0, 0, 0, 9, byte(g.Uint32())), 0, 9}, be16(len(b)), b)
	case 0x880b:
		return join([]byte{0xff, 3}, g.ppp(depth+1))
	case 0x6558:
		return g.ethernet(depth + 1)
	case 0x2000: // CDP: version, TTL, checksum, TLVs
		b := []byte{2, 180, 0, 0}
		for range g.IntN(4) {
			text := g.text(12)
			b = join(b, be16(g.IntN(5)), be16(pick(g, len(text)+4, len(text)+4, g.IntN(8))), text)
		}
		return b
	case 0x2004:
		b := []byte{1}
		for range g.IntN(4) {
			text := g.text(12)
			b = join(b, be16(g.IntN(5)), be16(pick(g, len(text), g.IntN(8))), text)
		}
		return b
	case 0x88a2:
		return join([]byte{0x10, 0, 0, 0, 0, byte(g.IntN(3)), 0, 0, 0, 0}, g.text(20))
	}
	return g.text(60)
}

func (g *maker) ppp(depth int) []byte {
	switch g.IntN(8) {
	case 0:
		return join([]byte{0x21}, g.ip4(depth))
	case 1:
		return join([]byte{0x57}, g.ip6(depth))
	case 2, 3:
		return join(be16(0x57), g.ip6(depth))
	case 4:
		return join(be16(0xc021), g.text(10))
	case 5:
		return g.text(4)
	}
	return join(be16(0x21), g.ip4(depth))
}

// protocols of IP that dpkt knows, more of those that the scripts count, and others.
var protocols = []int{
	6, 6, 6, 6, 17, 17, 17, 17, 1, 1, 1, 2, 47, 47, 47, 41, 41, 4, 4, 0, 51, 51, 50, 58, 58, 89, 103, 112, 118, 132, 43, 44,
	60, 3, 59, 97, 255,
}

func (g *maker) ip4(depth int) []byte {
	proto := protocols[g.IntN(len(protocols))]
	ihl, fragment, total := 5, 0, -1
	var options []byte
	if g.one(8) {
		ihl = 5 + g.IntN(11)
		options = make([]byte, 4*(ihl-5))
	}
	payload := g.carried(proto, depth+1)
	first := byte(0x40)
	switch g.IntN(24) {
	case 0:
		fragment = g.IntN(65536)
	case 1:
		fragment = pick(g, 0x2000, 0x4000, 0x6000, 0x8000, 1, 0x2001, 0x1fff)
	case 2:
		total = 0
	case 3:
		total = g.IntN(20 + len(options) + len(payload) + 1)
	case 4:
		total = 20 + len(options) + len(payload) + g.IntN(2000)
	case 5:
		options = nil // the header claims more than there is
	case 6:
		first = byte(g.IntN(16)) << 4
	case 7:
		payload = payload[:min(len(payload), g.IntN(24))]
	case 8:
		total = g.IntN(65536)
	case 9:
		if depth > 1 {
			ihl = g.IntN(16)
		}
	}
	b := ip4With(proto, pick(g, 64, 128, 255, 1, g.IntN(256)), ihl, fragment, total, options, payload)
	b[0] = first | byte(ihl)
	copy(b[12:], g.host())
	copy(b[16:], g.host())
	return b
}

// carried is the payload of an IP protocol.
func (g *maker) carried(proto, depth int) []byte {
	if depth > 9 {
		return g.text(40)
	}
	switch proto {
	case 0, 4:
		return g.ip4(depth)
	case 1:
		kind := pick[byte](g, 0, 8, 3, 3, 4, 5, 11, 12, byte(g.Uint32()))
		b := join([]byte{kind, byte(g.IntN(4)), 0, 0}, be32(g.Uint32()))
		if g.one(6) {
			return join(b, g.text(40))
		}
		b = append(b, g.ip4(depth+1)...)
		if g.one(2) {
			b = b[:min(len(b), 36)]
		}
		return b
	case 2:
		return join([]byte{0x16, 0, 0, 0}, g.text(8))
	case 6:
		words, flags := 5, g.IntN(512)
		var options []byte
		if g.one(3) {
			words = 5 + g.IntN(11)
			options = make([]byte, 4*(words-5))
			if g.one(5) {
				options = options[:g.IntN(len(options)+1)]
			}
		}
		if g.one(30) {
			words = g.IntN(16)
		}
		return join(tcpHeader(g.port(), g.port(), words, flags|g.IntN(8)<<9), options, g.text(60))
	case 17:
		src, dst := g.port(), g.port()
		if g.one(6) {
			src, dst = pick(g, 67, 68), pick(g, 67, 68)
		}
		b := g.text(60)
		return join(udpHeader(src, dst, len(b)), b)
	case 41:
		return g.ip6(depth)
	case 47:
		return g.gre(depth)
	case 51:
		next := protocols[g.IntN(len(protocols))]
		words := pick(g, 1, 2, 4, 4, 0, g.IntN(8))
		return join([]byte{byte(next), byte(words)}, make([]byte, 10+max(4*words-4, 0)), g.carried(next, depth+1))
	case 58:
		kind := pick[byte](g, 128, 129, 135, 1, 2, 3, 4, byte(g.Uint32()))
		b := join([]byte{kind, 0, 0, 0}, be32(0))
		if g.one(4) {
			return join(b, g.text(30))
		}
		return join(b, g.ip6(depth+1))
	case 132: // SCTP with chunks of any length
		b := make([]byte, 12)
		for range g.IntN(4) {
			text := g.text(12)
			b = join(b, []byte{byte(g.IntN(4)), 0}, be16(pick(g, len(text)+4, len(text)+4, g.IntN(9))), text)
		}
		return b
	case 112:
		return join([]byte{0x21, 1, 100, byte(g.IntN(20)), 0, 1, 0, 0}, g.text(40))
	}
	return g.text(40)
}

func (g *maker) gre(depth int) []byte {
	flags, n := 0, 0
	if g.one(2) {
		flags = pick(g, 0x8000, 0x2000, 0x1000, 0xb000, 0x4000, 0xc000, 0x3081, 0x2001, g.IntN(65536))
	}
	if flags&7 != 0 {
		n += 4
	} else {
		if flags&0xc000 != 0 {
			n += 4
		}
		if flags&0x2000 != 0 {
			n += 4
		}
	}
	if flags&0x1000 != 0 {
		n += 4
	}
	if flags&0x80 != 0 {
		n += 4
	}
	kind := pick(g, 0x800, 0x800, 0x86dd, 0x6558, 0x6558, 0x880b, 0x8864, 0x8847, etherTypes[g.IntN(len(etherTypes))])
	b := join(be16(flags), be16(kind), make([]byte, n))
	if flags&0x4000 != 0 {
		for range g.IntN(3) {
			entry := g.text(8)
			b = join(b, []byte{8, 0, 0, byte(len(entry))}, entry)
		}
		if !g.one(5) {
			b = append(b, 0, 0, 0, 0)
		}
	}
	return join(b, g.typed(kind, depth+1))
}

// ip6 has extension headers now and then.
func (g *maker) ip6(depth int) []byte {
	proto := protocols[g.IntN(len(protocols))]
	b := g.carried(proto, depth+1)
	next := byte(proto)
	if g.one(2) {
		for range 1 + g.IntN(3) {
			kind := pick[byte](g, 0, 43, 44, 44, 51, 60, 60, 50)
			var h []byte
			words := g.IntN(3)
			switch kind {
			case 0, 60:
				h = join([]byte{next, byte(words)}, g.options(8*words+6))
			case 43:
				h = join([]byte{next, byte(words), 0, 0}, make([]byte, 8*words+4))
			case 44:
				h = join([]byte{next, 0}, be16(pick(g, 0, 1, 8, 9, g.IntN(65536))), be32(1))
			case 51:
				h = join([]byte{next, byte(words)}, make([]byte, 4*words+6))
			case 50:
				h = make([]byte, 8)
			}
			if g.one(12) {
				h = h[:g.IntN(len(h)+1)]
			}
			b, next = join(h, b), kind
		}
	}
	h := ip6(int(next), b)
	switch g.IntN(16) {
	case 0:
		copy(h[4:], be16(0))
	case 1:
		copy(h[4:], be16(g.IntN(len(b)+1)))
	case 2:
		copy(h[4:], be16(len(b)+g.IntN(100)))
	case 3:
		h = h[:g.IntN(len(h)+1)]
	}
	return h
}

// options of IPv6, n octets, more or less whole.
func (g *maker) options(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; {
		switch g.IntN(4) {
		case 0:
			i++
		default:
			b[i] = pick[byte](g, 1, 5, 0xc2, 1)
			if i+1 < n {
				b[i+1] = byte(g.IntN(max(n-i-1, 1)))
				if g.one(12) {
					b[i+1] = byte(g.Uint32())
				}
				i += int(b[i+1])
			}
			i += 2
		}
	}
	return b
}

// ends reports whether the scripts end at a frame: an EtherType of IPv4, perhaps behind ISL headers, without a whole header.
func ends(b []byte) bool {
	for {
		if len(b) < 14 {
			return false
		}
		kind := binary.BigEndian.Uint16(b[12:])
		if kind == 0x0800 {
			return len(b) < 34 || b[14]&15 < 5
		}
		if kind > 1500 || b[0]&^2 != 1 || [4]byte(b[1:]) != [4]byte{0, 0x0c} || len(b) < 40 {
			return false
		}
		b = b[26:]
	}
}
