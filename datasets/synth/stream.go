package synth

import (
	"pcaplab/parse"

	"pcaplab/parse/checksum"
)

// streamGap is the time between frames of the constant streams: 100,000 packets a second.
const streamGap = 10_000 // ns

// stream is what the profiles of one repeated frame share.
type stream struct {
	rng rng
	now int64
	buf []byte
}

func (st *stream) give(f *parse.Frame) {
	*f = parse.Frame{UnixNano: st.now, Data: st.buf, WireLen: len(st.buf), Link: parse.LinkEthernet}
	st.now += streamGap
}

var (
	testerMAC = [6]byte{0x02, 0, 0, 0, 0xfe, 1}
	targetMAC = [6]byte{0x02, 0, 0, 0, 0xfe, 2}
)

// synStream is a flood of SYN segments without options. Sources are any unicast address outside 0/8, 10/8 and 127/8.
type synStream struct {
	stream
}

func newSYN(seed uint64) generator {
	st := &synStream{stream: stream{rng: rng(seed), now: Epoch, buf: make([]byte, minFrame)}}
	b := st.buf
	copy(b, targetMAC[:])
	copy(b[6:], testerMAC[:])
	be.PutUint16(b[12:], typeIPv4)
	ip, tcp := b[etherLen:], b[etherLen+ipv4Len:]
	ip[0] = 0x45
	be.PutUint16(ip[2:], ipv4Len+tcpLen)
	ip[8], ip[9] = 64, protoTCP
	copy(ip[16:], []byte{192, 0, 2, 80})
	be.PutUint16(tcp[2:], 80)
	tcp[12], tcp[13] = tcpLen/4<<4, byte(parse.TCPSyn)
	return st
}

func (st *synStream) next(f *parse.Frame) {
	ip, tcp := st.buf[etherLen:][:ipv4Len], st.buf[etherLen+ipv4Len:][:tcpLen]
	r := st.rng.next()
	be.PutUint32(ip[12:], uint32(r))
	ip[12] = byte(1 + st.rng.below(223))
	for ip[12] == 10 || ip[12] == 127 {
		ip[12] = byte(1 + st.rng.below(223))
	}
	be.PutUint16(ip[4:], uint16(r>>32))
	ip[10], ip[11] = 0, 0
	be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip)))

	be.PutUint16(tcp[0:], uint16(st.rng.between(1024, 65535)))
	be.PutUint32(tcp[4:], uint32(st.rng.next()))
	be.PutUint16(tcp[14:], uint16(r>>48)|512)
	tcp[16], tcp[17] = 0, 0
	be.PutUint16(tcp[16:], checksum.Field(checksum.Add(checksum.Add(protoTCP+tcpLen, ip[12:20]), tcp)))
	st.give(f)
}

// udpStream is the test frame of RFC 2544 appendix C: UDP to the echo port. Its payload starts with a sequence number.
type udpStream struct {
	stream
	seq uint64
}

func newUDP(seed uint64, size int) generator {
	st := &udpStream{stream: stream{rng: rng(seed), now: Epoch, buf: make([]byte, size)}}
	b := st.buf
	copy(b, targetMAC[:])
	copy(b[6:], testerMAC[:])
	be.PutUint16(b[12:], typeIPv4)
	ip, udp := b[etherLen:], b[etherLen+ipv4Len:]
	ip[0] = 0x45
	be.PutUint16(ip[2:], uint16(len(ip)))
	ip[8], ip[9] = 64, protoUDP
	copy(ip[12:], []byte{198, 18, 0, 1})
	copy(ip[16:], []byte{198, 19, 0, 1})
	be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip[:ipv4Len])))
	udpHeader(udp, 0xc020, 7, len(udp))
	st.rng.fill(udp[udpLen:])
	return st
}

func (st *udpStream) next(f *parse.Frame) {
	ip, udp := st.buf[etherLen:][:ipv4Len], st.buf[etherLen+ipv4Len:]
	be.PutUint64(udp[udpLen:], st.seq)
	st.seq++
	udp[6], udp[7] = 0, 0
	acc := checksum.Add(uint64(protoUDP+len(udp)), ip[12:20])
	be.PutUint16(udp[6:], checksum.UDPField(checksum.Add(acc, udp)))
	st.give(f)
}
