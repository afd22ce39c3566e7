package synth

import "pcaplab/parse/checksum"

// echoStep is an echo and its reply, or now and then an error about a datagram that a device sent (RFC 792).
func (m *mix) echoStep(sl *slot) gap {
	p := m.body(sl, 0)
	if sl.step == 0 && sl.id&15 == 0 {
		p = append(p, 3, 3, 0, 0, 0, 0, 0, 0) // port unreachable
		at := len(p)
		p = append(p, 0x45, 0, 0, 60, byte(sl.id>>8), byte(sl.id>>16), 0x40, 0, 61, protoUDP, 0, 0)
		p = append(append(p, sl.device.ip4[:]...), sl.peer.ip4[:]...)
		be.PutUint16(p[at+10:], checksum.Field(checksum.Add(0, p[at:])))
		p = append(p, byte(sl.port>>8), byte(sl.port), 0x30, 0x39, 0, 40, 0, 0)
		m.icmp(sl, &sl.peer, &sl.device, 54, p)
		m.open(sl)
		return think
	}
	if sl.step%2 == 0 {
		if sl.step == 0 {
			sl.steps = 2 * m.rng.between(1, 4)
			sl.left = 56
			if sl.id&7 == 1 {
				sl.left = 1000
			}
		}
		m.icmp(sl, &sl.device, &sl.peer, ttlHost, m.echo(p, sl, 8))
		sl.step++
		return sl.rtt
	}
	m.icmp(sl, &sl.peer, &sl.device, 54, m.echo(p, sl, 0))
	if sl.step++; sl.step == sl.steps {
		m.open(sl)
	}
	return think
}

func (m *mix) echo(p []byte, sl *slot, kind byte) []byte {
	seq := 1 + sl.step/2
	p = append(p, kind, 0, 0, 0, byte(sl.id>>8), byte(sl.id), byte(seq>>8), byte(seq))
	for i := range sl.left {
		p = append(p, byte(i))
	}
	return p
}

// arpStep is a request with its reply, or an announcement (RFC 826, RFC 5227 section 2.3).
func (m *mix) arpStep(sl *slot) gap {
	if sl.step == 0 && sl.id&3 == 0 {
		m.arp(sl, 1, broadcast.mac, &sl.device, &endpoint{ip4: sl.device.ip4})
		m.open(sl)
		return think
	}
	if sl.step == 0 {
		m.arp(sl, 1, broadcast.mac, &sl.device, &endpoint{ip4: sl.peer.ip4})
		sl.step = 1
		return sl.rtt
	}
	m.arp(sl, 2, sl.device.mac, &sl.peer, &sl.device)
	m.open(sl)
	return think
}

func (m *mix) arp(sl *slot, op byte, dst [6]byte, from, about *endpoint) {
	p := append(m.buf[sl.l3():][:0], 0, 1, 8, 0, 6, 4, 0, op)
	p = append(append(p, from.mac[:]...), from.ip4[:]...)
	p = append(append(p, about.mac[:]...), about.ip4[:]...)
	m.ether(sl, dst, from.mac, typeARP, len(p))
}

// igmpStep is a query of the gateway and the reports that answer it (RFC 2236, RFC 3376).
func (m *mix) igmpStep(sl *slot) gap {
	p := append(m.buf[sl.l4():][:0], 0x94, 4, 0, 0) // router alert (RFC 2113)
	var group endpoint
	from := sl.device
	switch {
	case sl.step == 0:
		from, group = m.gateway, group4(224, 0, 0, 1)
		p = append(p, 0x11, 100, 0, 0, 0, 0, 0, 0)
		sl.steps = m.rng.between(1, 4)
	case sl.id>>sl.step&1 == 0:
		group = group4(239, 255, 255, 250)
		p = append(append(p, 0x16, 0, 0, 0), group.ip4[:]...)
	default:
		group = group4(224, 0, 0, 22)
		p = append(p, 0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251) // leave no source out
	}
	msg := p[4:]
	be.PutUint16(msg[2:], checksum.Field(checksum.Add(0, msg)))
	sl.ident++
	m.ipv4(sl, &from, &group, protoIGMP, 1, sl.ident, dontFragment, 4, len(msg))
	if sl.step++; sl.step <= sl.steps {
		sl.device = m.device()
		return 50 * millisecond
	}
	m.open(sl)
	return think
}

// ndStep is neighbour and router discovery (RFC 4861) and multicast listener reports (RFC 3810).
func (m *mix) ndStep(sl *slot) gap {
	p := m.body(sl, 0)
	device, gateway := sl.device.linkLocal(), m.gateway.linkLocal()
	switch {
	case sl.id%8 == 0: // listener report
		p = append(p, protoICMPv6, 0, 5, 2, 0, 0, 1, 0) // router alert (RFC 2711)
		p = append(p, 143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0)
		p = append(p, 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb)
		routers := group6([16]byte{0xff, 2, 15: 0x16})
		msg := p[8:]
		be.PutUint16(msg[2:], checksum.Field(checksum.Add(m.pseudo(sl, &device, &routers, protoICMPv6, len(msg)), msg)))
		m.ipv6(sl, &device, &routers, protoHopByHop, 1, len(p))
	case sl.id%8 == 1 && sl.step == 0: // router solicitation
		p = append(append(p, 133, 0, 0, 0, 0, 0, 0, 0, 1, 1), device.mac[:]...)
		m.icmp(sl, &device, &allRouters, ttlLocal, p)
		sl.step = 1
		return sl.rtt
	case sl.id%8 == 1:
		p = append(p, 134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0)
		p = append(append(p, 1, 1), gateway.mac[:]...)
		p = append(p, 3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0)
		p = append(p, 0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		m.icmp(sl, &gateway, &allNodes, ttlLocal, p)
	case sl.step == 0: // neighbour solicitation
		ip := m.gateway.ip6
		p = append(append(p, 135, 0, 0, 0, 0, 0, 0, 0), ip[:]...)
		p = append(append(p, 1, 1), sl.device.mac[:]...)
		asked := group6([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: ip[13], 14: ip[14], 15: ip[15]})
		m.icmp(sl, &sl.device, &asked, ttlLocal, p)
		sl.step = 1
		return sl.rtt
	default:
		p = append(append(p, 136, 0, 0, 0, 0xe0, 0, 0, 0), m.gateway.ip6[:]...)
		p = append(append(p, 2, 1), m.gateway.mac[:]...)
		m.icmp(sl, &m.gateway, &sl.device, ttlLocal, p)
	}
	m.open(sl)
	return think
}

var (
	lldpGroup  = [6]byte{1, 0x80, 0xc2, 0, 0, 14}
	eapolGroup = [6]byte{1, 0x80, 0xc2, 0, 0, 3}
	stpGroup   = [6]byte{1, 0x80, 0xc2, 0, 0, 0}
	loopGroup  = [6]byte{0xcf, 0, 0, 0, 0, 0}
)

// switchMAC is the address of the switch, which has no IP address.
var switchMAC = [6]byte{0x02, 0x10, 0, 0, 1, 0}

// lldpStep announces the switch (IEEE 802.1AB clause 8).
func (m *mix) lldpStep(sl *slot) gap {
	p := append(m.buf[sl.l3():][:0], 1<<1, 7, 4)
	p = append(p, switchMAC[:]...)
	p = append(p, 2<<1, 6, 5, 'p', 'o', 'r', 't', byte('1'+sl.id%8))
	p = append(p, 3<<1, 2, 0, 120)
	p = append(p, 5<<1, 10)
	p = append(p, "lab-switch"...)
	p = append(p, 6<<1, 17)
	p = append(p, "8 ports, 1 Gbit/s"...)
	p = append(p, 0, 0)
	m.ether(sl, lldpGroup, switchMAC, 0x88cc, len(p))
	m.open(sl)
	return think
}

// eapolStep is an 802.1X exchange: EAPoL version 2 and EAP (RFC 3748 section 4).
func (m *mix) eapolStep(sl *slot) gap {
	p := m.buf[sl.l3():][:0]
	id := byte(sl.id)
	src, dst := switchMAC, sl.device.mac
	switch sl.step {
	case 0:
		p = append(p, 2, 1, 0, 0)
		src, dst = sl.device.mac, eapolGroup
	case 1:
		p = append(p, 2, 0, 0, 5, 1, id, 0, 5, 1)
	case 2:
		who := m.deviceName(m.tmp[:0], sl)
		n := byte(5 + len(who))
		p = append(append(p, 2, 0, 0, n, 2, id, 0, n, 1), who...)
		src, dst = sl.device.mac, eapolGroup
	default:
		p = append(p, 2, 0, 0, 4, 3, id, 0, 4)
	}
	m.ether(sl, dst, src, 0x888e, len(p))
	if sl.step++; sl.step < 4 {
		return sl.rtt
	}
	m.open(sl)
	return think
}

// stpStep is a configuration BPDU of the root bridge (IEEE 802.1D-2004 clause 9.3.1) behind an LLC header.
func (m *mix) stpStep(sl *slot) gap {
	p := append(m.buf[sl.l3():][:0], 0x42, 0x42, 3, 0, 0, 0, 0, 0)
	p = append(append(p, 0x80, 0), switchMAC[:]...)
	p = append(append(p, 0, 0, 0, 0, 0x80, 0), switchMAC[:]...)
	p = append(p, 0x80, 1, 0, 0, 20, 0, 2, 0, 15, 0)
	m.ether(sl, stpGroup, switchMAC, uint16(len(p)), len(p))
	m.open(sl)
	return think
}

// loopStep is a loopback test of Ethernet's configuration testing protocol (Ethernet 2.0 section 8): a reply with a
// receipt number.
func (m *mix) loopStep(sl *slot) gap {
	p := append(m.buf[sl.l3():][:0], 0, 0, 1, 0, byte(sl.id), byte(sl.id>>8))
	for len(p) < 46 {
		p = append(p, 0)
	}
	m.ether(sl, loopGroup, sl.device.mac, 0x9000, len(p))
	m.open(sl)
	return think
}
