package synth

import (
	"encoding/binary"

	"pcaplab/parse/checksum"
)

const (
	protoGRE = 47
	greIPv4  = 0x0800
	greEther = 0x6558 // transparent Ethernet bridging
)

// miraiPacket is a packet of one of Mirai's floods: 512 random octets in a datagram, which for GRE lies in a packet between made-up
// hosts, as the published source has it: the one address follows from the other, computed in the order of a little-endian machine.
func (fl *cicFlood) miraiPacket(p *pi, victim *endpoint) []byte {
	b := fl.buf[etherLen+ipv4Len:]
	n := udpLen + fl.data
	if fl.tool == miraiUDP {
		fl.rng.fill(b[udpLen:n])
		udpHeader(b, int(p.port), int(p.dport), n)
		acc := checksum.Add(checksum.Add(uint64(protoUDP+n), p.ip4[:]), victim.ip4[:])
		be.PutUint16(b[6:], checksum.UDPField(checksum.Add(acc, b[:n])))
		p.id++
		return labHeader(fl.buf[:], p.mac, victim.mac, p.ip4, victim.ip4, protoUDP, p.id, dontFragment, n)
	}
	be.PutUint16(b[0:], 0)
	be.PutUint16(b[2:], greIPv4)
	at := greLen
	r := fl.rng.next()
	if fl.tool == miraiGREEther {
		be.PutUint16(b[2:], greEther)
		fl.rng.fill(b[at : at+12])
		be.PutUint16(b[at+12:], typeIPv4)
		at += etherLen
	}
	ip, u := b[at:][:ipv4Len], b[at+ipv4Len:][:n]
	id, source := uint16(r>>32), uint32(r)
	ip[0], ip[1] = 0x45, 0
	be.PutUint16(ip[2:], uint16(ipv4Len+n))
	be.PutUint16(ip[4:], ^id)
	be.PutUint16(ip[6:], dontFragment)
	ip[8], ip[9] = ttlHost, protoUDP
	ip[10], ip[11] = 0, 0
	binary.LittleEndian.PutUint32(ip[12:], source)
	binary.LittleEndian.PutUint32(ip[16:], ^(source - 1024))
	be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip)))
	fl.rng.fill(u[udpLen:])
	ports := fl.rng.next()
	udpHeader(u, int(uint16(ports)), int(uint16(ports>>16)), n)
	be.PutUint16(u[6:], checksum.UDPField(checksum.Add(checksum.Add(uint64(protoUDP+n), ip[12:20]), u)))
	return labHeader(fl.buf[:], p.mac, victim.mac, p.ip4, victim.ip4, protoGRE, id, dontFragment, at+ipv4Len+n)
}
