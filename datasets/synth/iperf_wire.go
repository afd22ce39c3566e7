package synth

import (
	"pcaplab/parse"

	"pcaplab/parse/checksum"
)

// loopMSS is the largest segment that Linux announces on loopback; a capture shows 12 octets less, for the timestamps.
const loopMSS = 65495

// streamHosts returns the client and the server, or the attacker and the target.
func streamHosts(s Stream) [2]endpoint {
	if s.Link == "loopback" {
		host := endpoint{ip4: [4]byte{127, 0, 0, 1}}
		return [2]endpoint{host, host}
	}
	client, server := endpoint{mac: testerMAC, ip4: [4]byte{192, 0, 2, 1}}, endpoint{mac: targetMAC, ip4: [4]byte{192, 0, 2, 2}}
	if s.Kind == "syn" {
		client.mac = [6]byte{}
	}
	return [2]endpoint{client, server}
}

// piece is a frame of one datagram or one write of TCP. Its payload stays; its headers are written for each time it is sent.
type piece struct {
	buf   []byte
	n     int    // octets of test data
	sum   uint64 // what does not change of the sum of the transport checksum
	frag  uint16 // flags and offset of the IPv4 header
	space int64  // ns to the client's next frame at least
}

// udpPieces lays out one datagram with random data.
func (g *iperf) udpPieces(frames []int) []piece {
	size := g.s.block()
	d := make([]byte, udpLen+size)
	g.rng.fill(d[udpLen+iperfHeader:])
	udpHeader(d, int(g.port), iperfPort, len(d))
	sum := checksum.Add(g.pseudo(0, protoUDP, len(d)), d)

	pieces := make([]piece, len(frames))
	at := 0
	for i, n := range frames {
		sl := &pieces[i]
		sl.buf = make([]byte, n)
		g.ether(sl.buf, 0)
		part := copy(sl.buf[etherLen+ipv4Len:], d[at:])
		sl.frag, sl.n, sl.sum = uint16(at/8), part, sum
		if i+1 < len(frames) {
			sl.frag |= moreFragments
		} else if i == 0 {
			sl.frag = dontFragment
		}
		at += part
	}
	return pieces
}

// iperfHeader is the start of a datagram of iperf3: seconds, microseconds and a number from 1, 4 octets each, big-endian.
const iperfHeader = 12

// datagram writes the headers of piece i of the datagram that is being sent.
func (g *iperf) datagram(i int) {
	sl := &g.pieces[i]
	if i == 0 {
		us := uint64(g.now)/1000 + g.uptime
		p := sl.buf[etherLen+ipv4Len:]
		be.PutUint32(p[udpLen:], uint32(us/1_000_000))
		be.PutUint32(p[udpLen+4:], uint32(us%1_000_000))
		be.PutUint32(p[udpLen+8:], uint32(g.pace.sent))
		be.PutUint16(p[6:], checksum.UDPField(checksum.Add(sl.sum, p[udpLen:udpLen+iperfHeader])))
		g.ident[0]++
	}
	g.ipv4(sl.buf, 0, protoUDP, g.ident[0], sl.frag)
}

// tcpPieces lays out one write of 128 KiB of random data.
func (g *iperf) tcpPieces(frames []int) []piece {
	pieces := make([]piece, len(frames))
	for i, n := range frames {
		sl := &pieces[i]
		sl.buf = make([]byte, n)
		sl.n = n - segmentHead
		g.rng.fill(sl.buf[segmentHead:])
		sl.sum = checksum.Add(0, sl.buf[segmentHead:])
	}
	return pieces
}

// conn is a TCP connection; index 0 is the client's side.
type conn struct {
	port   [2]uint16
	seq    [2]uint32 // of the next octet
	clock  [2]uint32 // offset of the timestamps (RFC 7323 section 5.4), ms
	stamp  [2]uint32 // timestamp sent last
	ident  [2]uint16
	window [2]uint16 // as in the header: of SYN in octets, then in units of 1 << windowShift
}

const (
	windowShift = 7
	segmentHead = etherLen + ipv4Len + tcpLen + stampLen
	synOptions  = 20
)

// newConn draws what a connection starts with.
func (g *iperf) newConn() conn {
	c := conn{port: [2]uint16{g.ephemeral(), iperfPort}}
	for i := range c.seq {
		r := g.rng.next()
		c.seq[i], c.clock[i] = uint32(r), uint32(r>>32)
		c.ident[i] = uint16(g.rng.next())
	}
	c.window = [2]uint16{64240, 65160}
	if g.s.Link == "loopback" {
		c.window = [2]uint16{65495, 65483}
	}
	return c
}

// ephemeral draws a client's port from the range of Linux.
func (g *iperf) ephemeral() uint16 { return uint16(g.rng.between(32768, 60999)) }

// segment writes the headers of a segment before the n octets of payload that stand in b at segmentHead, and returns the
// frame. sum is the sum of the payload.
func (g *iperf) segment(c *conn, b []byte, from side, flags uint16, n int, sum uint64) []byte {
	opts := stampLen
	if flags&parse.TCPSyn != 0 {
		opts = synOptions
	}
	b = b[:etherLen+ipv4Len+tcpLen+opts+n]
	h := b[etherLen+ipv4Len:][:tcpLen+opts]
	c.stamp[from] = c.clock[from] + uint32(g.now/1_000_000)
	stamps := h[tcpLen+4:]
	if flags&parse.TCPSyn != 0 {
		mss := g.s.mtu() - ipv4Len - tcpLen
		if g.s.Link == "loopback" {
			mss = loopMSS
		}
		copy(h[tcpLen:], []byte{2, 4, byte(mss >> 8), byte(mss), 4, 2, 8, 10})
		stamps = h[tcpLen+8:]
		copy(stamps[8:], []byte{1, 3, 3, windowShift})
	} else {
		copy(h[tcpLen:], []byte{1, 1, 8, 10})
	}
	ack, echo := c.seq[1-from], c.stamp[1-from]
	if flags&parse.TCPAck == 0 {
		ack, echo = 0, 0
	}
	be.PutUint32(stamps, c.stamp[from])
	be.PutUint32(stamps[4:], echo)

	be.PutUint16(h[0:], c.port[from])
	be.PutUint16(h[2:], c.port[1-from])
	be.PutUint32(h[4:], c.seq[from])
	be.PutUint32(h[8:], ack)
	h[12], h[13] = byte((tcpLen+opts)/4<<4), byte(flags)
	be.PutUint16(h[14:], c.window[from])
	be.PutUint32(h[16:], 0)
	acc := g.pseudo(from, protoTCP, len(h)+n) + sum
	be.PutUint16(h[16:], checksum.Field(checksum.Add(acc, h)))

	c.seq[from] += uint32(n)
	if flags&(parse.TCPSyn|parse.TCPFin) != 0 {
		c.seq[from]++
	}
	id := c.ident[from]
	if flags&parse.TCPSyn != 0 {
		c.window[from] = uint16((int(c.window[from]) + 1<<windowShift - 1) >> windowShift)
	}
	if flags&(parse.TCPSyn|parse.TCPAck) == parse.TCPSyn|parse.TCPAck {
		id = 0 // the socket does not exist yet
	} else {
		c.ident[from]++
	}
	g.ether(b, from)
	g.ipv4(b, from, protoTCP, id, dontFragment)
	return b
}

func (g *iperf) pseudo(from side, proto, n int) uint64 {
	acc := uint64(proto) + uint64(n)
	return checksum.Add(checksum.Add(acc, g.hosts[from].ip4[:]), g.hosts[1-from].ip4[:])
}

func (g *iperf) ether(b []byte, from side) {
	copy(b, g.hosts[1-from].mac[:])
	copy(b[6:], g.hosts[from].mac[:])
	be.PutUint16(b[12:], typeIPv4)
}

// ipv4 writes the IPv4 header of the frame b, which has no padding.
func (g *iperf) ipv4(b []byte, from side, proto byte, id, frag uint16) {
	h := b[etherLen:][:ipv4Len]
	h[0], h[1] = 0x45, 0
	be.PutUint16(h[2:], uint16(len(b)-etherLen))
	be.PutUint16(h[4:], id)
	be.PutUint16(h[6:], frag)
	h[8], h[9] = 64, proto
	h[10], h[11] = 0, 0
	copy(h[12:], g.hosts[from].ip4[:])
	copy(h[16:], g.hosts[1-from].ip4[:])
	be.PutUint16(h[10:], checksum.Field(checksum.Add(0, h)))
}
