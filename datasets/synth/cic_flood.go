package synth

import (
	"encoding/binary"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// floodTool is the program that makes a flood.
type floodTool uint8

const (
	hpingTCP      floodTool = iota // hping3 (https://github.com/antirez/hping): no options, window 512, any numbers of 31 bits
	hpingUDP                       // hping3 --udp
	hpingICMP                      // hping3 --icmp: echo requests
	socketUDP                      // a program that sends datagrams of random octets by a socket, cut by the system
	miraiUDP                       // Mirai's plain UDP flood: a connected socket
	miraiGREIP                     // Mirai's flood of IP in GRE
	miraiGREEther                  // Mirai's flood of Ethernet in GRE
)

// replyRates are what victims send back, in 1,000 packets of the attack (synAck in 1,000 to an open port, reset in 1,000 to a closed one).
// A packet has one reply at most.
type replyRates struct {
	reset, synAck, echo, unreachable int
}

// floodShape is what a flood of a class looks like.
type floodShape struct {
	tool       floodTool
	flags      uint16 // of TCP
	data       int    // octets behind the transport header, or the innermost one
	filled     int    // of 1,000 packets so many have data,
	filling    int    // which are so many octets
	lost       int    // of 1,000 frames so many are second fragments that come alone, many at a time
	pis        int    // how many attack
	web        bool   // a victim in three is attacked on port 80, not 0
	synonymous bool   // the source address is the victim's
	epochFrame bool   // one frame has time 0
	replies    replyRates
}

const (
	icmpLen     = 8
	greLen      = 4
	quoteLen    = ipv4Len + 8 // of a packet in an ICMP error (RFC 792)
	mssOption   = 4
	webPort     = 80 // of a victim that listens; nobody listens on port 0
	fragmentMax = (mtu - ipv4Len) &^ 7
)

// head is the octets between the outer IPv4 header and the data.
func (t floodTool) head() int {
	switch t {
	case hpingTCP:
		return tcpLen
	case hpingICMP:
		return icmpLen
	case miraiGREIP:
		return greLen + ipv4Len + udpLen
	case miraiGREEther:
		return greLen + etherLen + ipv4Len + udpLen
	}
	return udpLen
}

// frameOctets returns the octets and the frames of a packet with n octets behind its IPv4 header.
func frameOctets(n int) (octets, frames int) {
	for {
		part := min(n, fragmentMax)
		octets += max(etherLen+ipv4Len+part, minFrame)
		frames++
		if n -= part; n == 0 {
			return octets, frames
		}
	}
}

// mean returns the mean frame of the flood, replies included, in thousandths of an octet.
func (s *floodShape) mean() int64 {
	octets, frames := frameOctets(s.tool.head() + s.data)
	filled, _ := frameOctets(s.tool.head() + s.filling)
	sum := (1000-s.filled)*octets + s.filled*filled
	n := 1000 * frames
	echo, echoFrames := frameOctets(icmpLen + s.data)
	r := s.replies
	sum += minFrame*(r.reset+r.synAck) + echo*r.echo + (etherLen+ipv4Len+icmpLen+quoteLen)*r.unreachable
	n += r.reset + r.synAck + echoFrames*r.echo + r.unreachable
	mean := int64(sum) * 1000 / int64(n)
	if s.lost == 0 {
		return mean
	}
	second, _ := frameOctets(s.tool.head() + s.data - fragmentMax)
	return (mean*int64(1000-s.lost) + int64(second*s.lost)*1000) / 1000
}

// burst is the clock of a flood: frames in bursts of one time, as captures that take them in batches show.
type burst struct {
	now int64
	gap int64
}

const sameTime = 420 // of 1,000 frames, with the time of the one before, in microseconds

func (b *burst) tick(r *rng) int64 {
	t := b.now / 1000 * 1000
	if r.below(1000) >= sameTime {
		b.now += r.exp(b.gap * 1000 / (1000 - sameTime))
	}
	return t
}

// pi is an attacker and where its tool is.
type pi struct {
	endpoint
	port  uint16 // source port of the next packet, or of the socket
	dport uint16 // to which Mirai's socket is connected
	id    uint16 // hping3's process, or the last identification of the socket
	count uint16 // sequence number of the last echo request
}

// cicFlood is the flood of a class: every attacker sends to one victim, then to the next.
type cicFlood struct {
	*floodShape
	rng     rng
	clock   burst
	sources []pi
	victims []endpoint
	victim  int
	dport   uint16
	left    int // packets to this victim

	whole  int  // frames before fragments are lost
	passed int  // of them, these were
	losses int  // second fragments that are still to come alone
	owed   int  // thousandths of such fragments
	alone  bool // the frame made last is one

	last  *pi      // who sent the last packet
	reply reply    // what follows it
	quote [40]byte // its IPv4 header and 20 octets

	// Data are the same in all packets but Mirai's: they lie in buf and tail where they are sent from.
	fill uint64            // ones' complement sum of the data
	buf  [frameBuffer]byte // a packet, or its first fragment
	tail [frameBuffer]byte // its second
	rest int               // octets behind the IPv4 header of tail if it is to be sent, or 0
	back [80]byte          // a reply without data
}

// reply is what a victim sends back.
type reply uint8

const (
	noReply reply = iota
	replyReset
	replySynAck
	replyEcho
	replyUnreachable
)

// Frames of a flood between two spells in which it loses first fragments.
const (
	wholeLeast = 800
	wholeMost  = 1400
)

func newCICFlood(shape *floodShape, seed uint64, gap int64) *cicFlood {
	fl := &cicFlood{floodShape: shape, rng: rng(seed), clock: burst{gap: gap}}
	for _, e := range cicAttackers[:shape.pis] {
		fl.sources = append(fl.sources, pi{endpoint: e})
	}
	first := fl.rng.below(len(cicVictims))
	for i := range fl.rng.between(2, 4) {
		fl.victims = append(fl.victims, cicVictims[(first+i)%len(cicVictims)])
	}
	fl.victim = len(fl.victims) - 1
	data := make([]byte, max(shape.data, shape.filling))
	for i := range data {
		data[i] = 'X' // hping3's
	}
	if shape.tool == socketUDP {
		fl.rng.fill(data)
	}
	n := copy(fl.buf[etherLen+ipv4Len+shape.tool.head():etherLen+mtu], data)
	copy(fl.tail[etherLen+ipv4Len:], data[n:])
	fl.fill = checksum.Add(0, data)
	if shape.lost > 0 {
		fl.whole = fl.rng.between(wholeLeast, wholeMost)
		fl.passed = fl.whole / 2
	}
	return fl
}

// turn moves to the next victim: the tools start anew.
func (fl *cicFlood) turn() {
	fl.victim = (fl.victim + 1) % len(fl.victims)
	fl.left = fl.rng.between(3000, 9000)
	fl.dport = 0
	if fl.web && fl.rng.below(3) == 0 {
		fl.dport = webPort
	}
	for i := range fl.sources {
		p := &fl.sources[i]
		p.id, p.count = uint16(fl.rng.between(1000, 32767)), 0xffff
		switch fl.tool {
		case socketUDP:
			p.port = uint16(fl.rng.between(32768, 60999)) // Linux's ephemeral ports
		case miraiUDP:
			p.port, p.dport = uint16(fl.rng.between(1, 65535)), uint16(fl.rng.between(1, 65535))
		default:
			p.port = uint16(fl.rng.between(1024, 3023)) // hping3's first
		}
	}
}

func (fl *cicFlood) next(f *parse.Frame) bool {
	var frame []byte
	fl.alone = false
	switch {
	case fl.rest > 0:
		frame = fl.second()
	case fl.reply != noReply:
		frame = fl.answer()
		fl.reply = noReply
	case fl.loses():
		fl.packet()
		frame = fl.second()
		fl.alone = true
	default:
		frame = fl.packet()
		fl.choose()
	}
	if !fl.alone {
		fl.passed++
	}
	*f = parse.Frame{UnixNano: fl.clock.tick(&fl.rng), Data: frame, WireLen: len(frame), Link: parse.LinkEthernet}
	return true
}

// pending reports whether the next frame belongs to the one before it.
func (fl *cicFlood) pending() bool { return fl.rest > 0 || fl.reply != noReply }

// second returns the second fragment of the last packet.
func (fl *cicFlood) second() []byte {
	frame := fl.tail[:max(etherLen+ipv4Len+fl.rest, minFrame)]
	fl.rest = 0
	return frame
}

// loses reports whether the next packet loses its first fragment.
func (fl *cicFlood) loses() bool {
	if fl.lost == 0 {
		return false
	}
	if fl.losses == 0 && fl.passed >= fl.whole {
		fl.owed += fl.passed * fl.lost
		fl.losses = fl.owed / (1000 - fl.lost)
		fl.owed %= 1000 - fl.lost
		fl.passed, fl.whole = 0, fl.rng.between(wholeLeast, wholeMost)
	}
	if fl.losses == 0 {
		return false
	}
	fl.losses--
	return true
}

// choose decides what the victim answers to the packet.
func (fl *cicFlood) choose() {
	r := fl.replies
	if r == (replyRates{}) {
		return
	}
	if fl.dport == webPort {
		r.reset = 0
	} else {
		r.synAck = 0
	}
	n := fl.rng.below(1000)
	for _, c := range [...]struct {
		reply reply
		share int
	}{{replyReset, r.reset}, {replySynAck, r.synAck}, {replyEcho, r.echo}, {replyUnreachable, r.unreachable}} {
		if n < c.share {
			fl.reply = c.reply
			return
		}
		n -= c.share
	}
}

// packet makes the next packet of an attacker and returns its frame, or that of its first fragment.
func (fl *cicFlood) packet() []byte {
	if fl.left == 0 {
		fl.turn()
	}
	fl.left--
	p := &fl.sources[fl.rng.below(len(fl.sources))]
	fl.last = p
	victim := &fl.victims[fl.victim]
	source := p.ip4
	if fl.synonymous {
		source = victim.ip4
	}
	var frame []byte
	switch fl.tool {
	case hpingTCP:
		frame = fl.tcpPacket(p, victim, source)
	case hpingUDP:
		frame = fl.udpPacket(p, victim)
	case hpingICMP:
		p.count++
		frame = fl.echoPacket(&p.endpoint, victim, 8)
	case socketUDP:
		frame = fl.socketPacket(p, victim)
	default:
		frame = fl.miraiPacket(p, victim)
	}
	copy(fl.quote[:], frame[etherLen:])
	return frame
}

func (fl *cicFlood) tcpPacket(p *pi, victim *endpoint, source [4]byte) []byte {
	t := fl.buf[etherLen+ipv4Len:][:tcpLen]
	r := fl.rng.next()
	be.PutUint16(t[0:], p.port)
	be.PutUint16(t[2:], fl.dport)
	be.PutUint32(t[4:], uint32(r)&0x7fffffff) // rand() has 31 bits
	be.PutUint32(t[8:], uint32(r>>32)&0x7fffffff)
	t[12], t[13] = tcpLen/4<<4, byte(fl.flags)
	be.PutUint16(t[14:], 512)
	be.PutUint32(t[16:], 0)
	p.port++
	acc := checksum.Add(checksum.Add(uint64(protoTCP+tcpLen+fl.data)+fl.fill, source[:]), victim.ip4[:])
	be.PutUint16(t[16:], checksum.Field(checksum.Add(acc, t)))
	return fl.send(p.mac, victim.mac, source, victim.ip4, protoTCP, tcpLen+fl.data)
}

func (fl *cicFlood) udpPacket(p *pi, victim *endpoint) []byte {
	u, n, acc := fl.buf[etherLen+ipv4Len:], 0, uint64(0)
	data := u[udpLen : minFrame-etherLen-ipv4Len]
	if fl.filled > 0 {
		clear(data)
		if fl.rng.below(1000) < fl.filled {
			n, acc = fl.filling, fl.fill
			for i := range data {
				data[i] = 'X'
			}
		}
	}
	udpHeader(u, int(p.port), int(fl.dport), udpLen+n)
	p.port++
	acc = checksum.Add(checksum.Add(acc+uint64(protoUDP+udpLen+n), p.ip4[:]), victim.ip4[:])
	be.PutUint16(u[6:], checksum.UDPField(checksum.Add(acc, u[:udpLen])))
	return fl.send(p.mac, victim.mac, p.ip4, victim.ip4, protoUDP, udpLen+n)
}

// echoPacket is an echo request (kind 8) or its reply (kind 0) with the identifier and number of the last attacker, which hping3 leaves in
// the order of its machine.
func (fl *cicFlood) echoPacket(from, to *endpoint, kind byte) []byte {
	h := fl.buf[etherLen+ipv4Len:][:icmpLen]
	h[0], h[1], h[2], h[3] = kind, 0, 0, 0
	binary.LittleEndian.PutUint16(h[4:], fl.last.id)
	binary.LittleEndian.PutUint16(h[6:], fl.last.count)
	be.PutUint16(h[2:], checksum.Field(checksum.Add(fl.fill, h)))
	return fl.send(from.mac, to.mac, from.ip4, to.ip4, protoICMP, icmpLen+fl.data)
}

// send writes the headers below a packet of n octets, which is in place, and returns its frame, or that of its first fragment.
func (fl *cicFlood) send(srcMAC, dstMAC [6]byte, src, dst [4]byte, proto byte, n int) []byte {
	id := uint16(fl.rng.next())
	if n > fragmentMax {
		if fl.tool < socketUDP && srcMAC == fl.last.mac {
			id = fl.last.id & 255 // hping3 cuts datagrams itself, all under one identification: that of its process
		}
		fl.rest = n - fragmentMax
		labHeader(fl.tail[:], srcMAC, dstMAC, src, dst, proto, id, fragmentMax/8, fl.rest)
		return labHeader(fl.buf[:], srcMAC, dstMAC, src, dst, proto, id, moreFragments, fragmentMax)
	}
	return labHeader(fl.buf[:], srcMAC, dstMAC, src, dst, proto, id, 0, n)
}

// labHeader writes the link and IPv4 headers before n octets and returns the frame, padded.
func labHeader(b []byte, srcMAC, dstMAC [6]byte, src, dst [4]byte, proto byte, id, frag uint16, n int) []byte {
	copy(b, dstMAC[:])
	copy(b[6:], srcMAC[:])
	be.PutUint16(b[12:], typeIPv4)
	h := b[etherLen:][:ipv4Len]
	h[0], h[1] = 0x45, 0
	be.PutUint16(h[2:], uint16(ipv4Len+n))
	be.PutUint16(h[4:], id)
	be.PutUint16(h[6:], frag)
	h[8], h[9] = ttlHost, proto
	h[10], h[11] = 0, 0
	copy(h[12:], src[:])
	copy(h[16:], dst[:])
	be.PutUint16(h[10:], checksum.Field(checksum.Add(0, h)))
	end := etherLen + ipv4Len + n
	if end < minFrame {
		clear(b[end:minFrame])
		end = minFrame
	}
	return b[:end]
}

// answer makes what the victim sends back to the last packet.
func (fl *cicFlood) answer() []byte {
	victim, p := &fl.victims[fl.victim], fl.last
	h := fl.back[etherLen+ipv4Len:]
	switch fl.reply {
	case replyEcho:
		return fl.echoPacket(victim, &p.endpoint, 0)
	case replyUnreachable:
		code := byte(3) // port
		if fl.tool >= miraiGREIP {
			code = 2 // protocol
		}
		m := append(h[:0], 3, code, 0, 0, 0, 0, 0, 0)
		m = append(m, fl.quote[:quoteLen]...)
		be.PutUint16(m[2:], checksum.Field(checksum.Add(0, m)))
		return labHeader(fl.back[:], victim.mac, p.mac, victim.ip4, p.ip4, protoICMP, uint16(fl.rng.next()), 0, len(m))
	}
	// RFC 9293 section 3.10.7: a reset answers an acknowledgement with its number, and acknowledges anything else.
	asked := fl.quote[ipv4Len:]
	seq, ack := be.Uint32(asked[4:]), be.Uint32(asked[8:])
	n, flags, window := tcpLen, parse.TCPRst, uint16(0)
	switch {
	case fl.reply == replySynAck:
		ack, seq = seq+1, uint32(fl.rng.next())
		n, flags, window = tcpLen+mssOption, parse.TCPSyn|parse.TCPAck, 29200
		copy(h[tcpLen:], []byte{2, 4, 1460 >> 8, 1460 & 0xff})
	case fl.flags&parse.TCPAck != 0:
		seq, ack = ack, 0
	default:
		ack = seq + uint32(fl.data)
		if fl.flags&parse.TCPSyn != 0 {
			ack++
		}
		seq, flags = 0, parse.TCPRst|parse.TCPAck
	}
	copy(h[0:2], asked[2:4])
	copy(h[2:4], asked[0:2])
	be.PutUint32(h[4:], seq)
	be.PutUint32(h[8:], ack)
	h[12], h[13] = byte(n/4<<4), byte(flags)
	be.PutUint16(h[14:], window)
	be.PutUint32(h[16:], 0)
	acc := checksum.Add(checksum.Add(uint64(protoTCP+n), victim.ip4[:]), p.ip4[:])
	be.PutUint16(h[16:], checksum.Field(checksum.Add(acc, h[:n])))
	return labHeader(fl.back[:], victim.mac, p.mac, victim.ip4, p.ip4, protoTCP, 0, dontFragment, n)
}
