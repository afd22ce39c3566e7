package synth

import "pcaplab/parse/checksum"

// socketPacket is a datagram from one socket to any port, longer than the MTU: Linux cuts it.
func (fl *cicFlood) socketPacket(p *pi, victim *endpoint) []byte {
	n := udpLen + fl.data
	u := fl.buf[etherLen+ipv4Len:][:udpLen]
	udpHeader(u, int(p.port), fl.rng.between(1, 65535), n)
	acc := checksum.Add(checksum.Add(fl.fill+uint64(protoUDP+n), p.ip4[:]), victim.ip4[:])
	be.PutUint16(u[6:], checksum.UDPField(checksum.Add(acc, u)))
	return fl.send(p.mac, victim.mac, p.ip4, victim.ip4, protoUDP, n)
}
