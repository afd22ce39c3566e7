package synth

import "pcaplab/parse/checksum"

// A man in the middle: he tells a victim that he is the gateway, and the gateway that he is the victim, and passes on what they say.

// toPoisoned gives the slot the one victim, and the gateway.
func toPoisoned(m *mix, sl *slot) {
	sl.device, sl.peer = m.broker, m.gateway
	sl.rtt /= 10
}

// toCloudPoisoned is the victim's talk with a cloud.
func toCloudPoisoned(m *mix, sl *slot) { sl.device, sl.peer = m.broker, m.cloud() }

// toForger is the victim's talk with the host that forged the answer.
func toForger(m *mix, sl *slot) {
	sl.device, sl.peer = m.broker, cicAttackers[0]
	sl.rtt /= 10
}

// poisonStep is an answer that nobody asked for to the victim, then one to the gateway.
func (m *mix) poisonStep(sl *slot) gap {
	of, to := sl.peer, &sl.device
	if sl.step == 1 {
		of, to = sl.device, &sl.peer
	}
	of.mac = cicAttackers[0].mac
	m.arp(sl, 2, to.mac, &of, to)
	if sl.step++; sl.step < 2 {
		return 10 * millisecond
	}
	m.open(sl)
	return think
}

func (m *mix) relayTLSStep(sl *slot) gap  { return m.relay(sl, (*mix).tlsStep) }
func (m *mix) relayHTTPStep(sl *slot) gap { return m.relay(sl, (*mix).httpStep) }
func (m *mix) relayBeatStep(sl *slot) gap { return m.relay(sl, (*mix).beatStep) }

// relayRoom is the room for a frame that waits to be passed on, behind the room for a message.
const relayRoom = mtu + etherLen

// relay makes every frame of a conversation be seen twice: on its way to the man in the middle, and on its way from him, with one
// less to live.
func (m *mix) relay(sl *slot, step func(*mix, *slot) gap) gap {
	keep := sl.tcp.buf[messageBuffer:]
	attacker := &cicAttackers[0].mac
	if sl.held > 0 {
		m.n = copy(m.buf[:], keep[:sl.held])
		sl.held = 0
		return sl.after
	}
	sl.after = step(m, sl)
	sl.held = copy(keep, m.buf[:m.n])
	copy(m.buf[:], attacker[:])
	copy(keep[6:], attacker[:])
	ip := keep[etherLen:][:ipv4Len]
	ip[8]--
	ip[10], ip[11] = 0, 0
	be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip)))
	return 200 * microsecond
}

// forgeStep is a question of the victim that the man in the middle answers with his own address.
func (m *mix) forgeStep(sl *slot) gap {
	gateway := sl.peer
	gateway.mac = cicAttackers[0].mac
	flags, answers := uint16(0x0100), uint16(0)
	if sl.step == 1 {
		flags, answers = 0x8580, 1
	}
	p := dnsHeader(m.body(sl, udpLen), uint16(sl.id>>16), flags, 1, answers)
	p = name(p, domains[sl.id%uint32(len(domains))])
	p = be.AppendUint16(be.AppendUint16(p, dnsA), dnsIN)
	if sl.step == 0 {
		sl.step = 1
		m.udp(sl, &sl.device, &gateway, sl.port, 53, ttlHost, p)
		return sl.rtt
	}
	p = append(resource(append(p, 0xc0, 12), dnsA, dnsIN, 3600, 4), cicAttackers[0].ip4[:]...)
	m.udp(sl, &gateway, &sl.device, 53, sl.port, ttlHost, p)
	m.open(sl)
	return think
}
