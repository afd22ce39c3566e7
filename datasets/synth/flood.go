package synth

import (
	"math/bits"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// flood is what netwox 76 sends: any source address, any port from 1024, any sequence number and identification; time to live
// 128, window 1500, no options; a source MAC address of zeros, which is its default (--spoofip linkbraw).
type flood struct {
	rng  rng
	buf  [floodFrame]byte
	ip   uint64 // sum of the IPv4 header without what changes
	tcp  uint64 // sum of the pseudo-header and the TCP header without what changes
	sent uint64
	all  uint64

	step, stepRest uint64 // ns from frame to frame, and the rest in 1/rate ns
	now, nowRest   uint64
	rate           uint64
}

const (
	iperfPort = 5201
	firstPort = 1024 // that netwox takes
)

func newFlood(s Stream, seed uint64) *flood {
	fl := &flood{rng: rng(seed), rate: s.rate(), all: s.Blocks}
	fl.step, fl.stepRest = second*thousandths/fl.rate, second*thousandths%fl.rate
	if s.Blocks == 0 {
		// Frame n leaves at n s/rate rounded down, before the end.
		hi, lo := bits.Mul64(uint64(s.Duration), fl.rate)
		q, rest := bits.Div64(hi, lo, second*thousandths)
		fl.all = q
		if rest > 0 {
			fl.all++
		}
	}
	b := fl.buf[:]
	server := streamHosts(s)[1]
	copy(b, server.mac[:])
	be.PutUint16(b[12:], typeIPv4)
	ip, tcp := b[etherLen:], b[etherLen+ipv4Len:]
	ip[0] = 0x45
	be.PutUint16(ip[2:], ipv4Len+tcpLen)
	ip[8], ip[9] = 128, protoTCP
	copy(ip[16:], server.ip4[:])
	be.PutUint16(tcp[2:], iperfPort)
	tcp[12], tcp[13] = tcpLen/4<<4, byte(parse.TCPSyn)
	be.PutUint16(tcp[14:], 1500)
	fl.ip = checksum.Add(0, ip[:ipv4Len])
	fl.tcp = checksum.Add(checksum.Add(protoTCP+tcpLen, ip[16:20]), tcp)
	return fl
}

func (fl *flood) next(f *parse.Frame) bool {
	if fl.sent == fl.all {
		return false
	}
	ip, tcp := fl.buf[etherLen:][:ipv4Len], fl.buf[etherLen+ipv4Len:][:tcpLen]
	r := fl.rng.next()
	src, id := uint32(r), uint16(r>>32)
	seq, port := uint32(fl.rng.next()), uint16(fl.rng.between(firstPort, 65535))
	be.PutUint16(ip[4:], id)
	be.PutUint32(ip[12:], src)
	be.PutUint16(ip[10:], checksum.Field(fl.ip+uint64(id)+uint64(src)))
	be.PutUint16(tcp[0:], port)
	be.PutUint32(tcp[4:], seq)
	be.PutUint16(tcp[16:], checksum.Field(fl.tcp+uint64(src)+uint64(port)+uint64(seq)))

	*f = parse.Frame{UnixNano: Epoch + int64(fl.now), Data: fl.buf[:], WireLen: floodFrame, Link: parse.LinkEthernet}
	fl.sent++
	fl.now += fl.step
	fl.nowRest += fl.stepRest
	if fl.nowRest >= fl.rate {
		fl.nowRest -= fl.rate
		fl.now++
	}
	return true
}

func (fl *flood) count() StreamCounts {
	return StreamCounts{Frames: fl.all, Data: fl.all, TCP: fl.all, WireOctets: fl.all * floodFrame}
}
