package synth

import (
	"slices"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// labHost returns the lab's host with the given last octet of its address, if there is one.
func labHost(i int) (endpoint, bool) {
	switch {
	case i == int(cicGateway.ip4[3]):
		return cicGateway, true
	case i > 100 && i <= 100+cicDevices:
		return cicDevice(i - 101), true
	}
	for _, hosts := range [...][]endpoint{cicVictims[:], cicDVWA[:], cicAttackers[1:]} {
		if k := i - int(hosts[0].ip4[3]); k >= 0 && k < len(hosts) {
			return hosts[k], true
		}
	}
	return endpoint{}, false
}

// toNext gives the scanner its next target: the hosts of the /24 one after another.
func toNext(m *mix, sl *slot) {
	sl.device = cicAttackers[0]
	i := 1 + (sl.conversations-1)%254
	var live bool
	sl.peer, live = labHost(i)
	sl.asked = live && i != int(cicAttackers[0].ip4[3])
	sl.peer.ip4 = [4]byte{192, 168, 137, byte(i)}
	sl.rtt /= 10
	sl.port, sl.left = 32768+int(sl.id%28000), 0
}

// whoHas asks for the address of the slot's target. It returns whether that was all that is to be asked: hosts that are not there do
// not answer.
func (m *mix) whoHas(sl *slot, tries int) (g gap, done bool) {
	if sl.step < 2 && sl.asked {
		if sl.step == 0 {
			m.arp(sl, 1, broadcast.mac, &sl.device, &endpoint{ip4: sl.peer.ip4})
			return sl.rtt, false
		}
		m.arp(sl, 2, sl.device.mac, &sl.peer, &sl.device)
		return 100 * microsecond, false
	}
	m.arp(sl, 1, broadcast.mac, &sl.device, &endpoint{ip4: sl.peer.ip4})
	return think, sl.step+1 == tries
}

// pingSweepStep is fping over the network: an echo to every host, behind a question for its address.
func (m *mix) pingSweepStep(sl *slot) gap {
	if !sl.asked || sl.step < 2 {
		g, done := m.whoHas(sl, 3)
		sl.step++
		if done {
			m.open(sl)
		}
		return g
	}
	sl.left = 56
	kind, from, to := byte(8), &sl.device, &sl.peer
	if sl.step == 3 {
		kind, from, to = 0, to, from
	}
	p := append(m.body(sl, 0), kind, 0, 0, 0, byte(sl.id>>8), byte(sl.id), byte(sl.conversations>>8), byte(sl.conversations))
	for i := range 56 {
		p = append(p, byte(i))
	}
	m.icmp(sl, from, to, ttlHost, p)
	if sl.step++; sl.step == 3 {
		return sl.rtt
	}
	m.open(sl)
	return think
}

// discoveryStep is nmap -sn with its four probes: echo, SYN to 443, ACK to 80, time stamp. (nmap reference guide, host discovery)
func (m *mix) discoveryStep(sl *slot) gap {
	if !sl.asked || sl.step < 2 {
		g, done := m.whoHas(sl, 2)
		sl.step++
		if done {
			m.open(sl)
		}
		return g
	}
	at := sl.step - 2
	probe, answer := at/2, at%2 == 1
	from, to := &sl.device, &sl.peer
	if answer {
		from, to = to, from
	}
	s := probeTCP{sport: sl.port, dport: 443, window: 1024, ttl: scanTTL(sl), flags: parse.TCPSyn, seq: sl.id, options: scanMSS}
	switch probe {
	case 0:
		p := append(m.body(sl, 0), 8, 0, 0, 0, byte(sl.id>>8), byte(sl.id), 0, 0)
		if answer {
			p[0] = 0
		}
		m.icmp(sl, from, to, m.scannerTTL(sl, answer), p)
	case 1:
		if !answer || !listens(&sl.peer, s.dport) {
			m.probe(sl, s, answer)
			break
		}
		if sl.left++; sl.left == 1 {
			m.accept(sl, s)
			return 100 * microsecond
		}
		m.drop(sl, s)
	case 2:
		s.dport, s.flags, s.options, s.ack = 80, parse.TCPAck, "", sl.id
		m.probe(sl, s, answer)
	default:
		p := append(m.body(sl, 0), 13, 0, 0, 0, byte(sl.id>>8), byte(sl.id), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		if answer { // ms since midnight, RFC 792
			p[0] = 14
			be.PutUint32(p[12:], uint32(m.now/1_000_000%86_400_000))
			be.PutUint32(p[16:], uint32(m.now/1_000_000%86_400_000))
		}
		m.icmp(sl, from, to, m.scannerTTL(sl, answer), p)
	}
	if sl.step++; sl.step == 10 {
		m.open(sl)
		return think
	}
	if answer {
		return think
	}
	return sl.rtt
}

// scanTTL is the time to live of a probe: nmap takes one of 37 to 59 at random.
func scanTTL(sl *slot) byte { return 37 + byte(sl.id>>20%23) }

// hostTTL is the time to live that a host of the lab sends with: 255 of the small stacks of every fourth device with a made-up address.
func hostTTL(e *endpoint) byte {
	if e.mac[1] == cicMadeUp && e.mac[5]%4 == 0 {
		return 255
	}
	return ttlHost
}

// cicMadeUp is the second octet of the MAC addresses of cicDevice.
const cicMadeUp = 0xc1

// devicePorts are the TCP ports on which devices listen, by their address.
var devicePorts = [...][]int{{21, 23, 80, 554}, {23, 80}, {22, 80, 443}, {80, 443}, {22, 80, 6667}}

var (
	gatewayPorts = []int{53, 80, 443}
	webPorts     = []int{21, 22, 25, 80}
	piPorts      = []int{22}
)

// listens returns whether a host of the lab listens on a TCP port, whoever asks.
func listens(e *endpoint, port int) bool {
	i := int(e.ip4[3])
	ports := devicePorts[i%len(devicePorts)]
	switch {
	case i == int(cicGateway.ip4[3]):
		ports = gatewayPorts
	case isOf(cicDVWA[:], i):
		ports = webPorts
	case isOf(cicAttackers[:], i):
		ports = piPorts
	}
	return slices.Contains(ports, port)
}

// isOf returns whether i is the last octet of the address of one of hosts, whose addresses follow one another.
func isOf(hosts []endpoint, i int) bool {
	k := i - int(hosts[0].ip4[3])
	return k >= 0 && k < len(hosts)
}

// listener returns the first host that listens on a port, from the k-th of those that a scanner may turn to.
func (m *mix) listener(k, port int) endpoint {
	e := m.target(k)
	for !listens(&e, port) {
		k++
		e = m.target(k)
	}
	return e
}

// target returns the k-th host that a scanner turns to: neighbours are not scanned one after another.
func (m *mix) target(k int) endpoint {
	const stride = 7 // coprime to the number of hosts
	return m.hosts[(int(m.broker.ip4[3])+k*stride)%len(m.hosts)]
}

func (m *mix) scannerTTL(sl *slot, answer bool) byte {
	if answer {
		return hostTTL(&sl.peer)
	}
	return scanTTL(sl)
}

// probeTCP is a segment that no connection sends.
type probeTCP struct {
	sport, dport int
	seq, ack     uint32
	flags        uint16
	window       int
	urgent       int
	ttl          byte
	fragment     uint16 // flags of the IP header
	options      string
}

const scanMSS = "\x02\x04\x05\xb4"

// probe writes a segment from the slot's device to its peer, or what a closed port answers (RFC 9293 section 3.10.7.1).
func (m *mix) probe(sl *slot, s probeTCP, answer bool) {
	if answer {
		r := probeTCP{sport: s.dport, dport: s.sport, flags: parse.TCPRst, ttl: hostTTL(&sl.peer), fragment: dontFragment}
		if s.flags&parse.TCPAck != 0 {
			r.seq = s.ack
		} else {
			r.flags |= parse.TCPAck
			r.ack = s.seq
			if s.flags&parse.TCPSyn != 0 {
				r.ack++
			}
			if s.flags&parse.TCPFin != 0 {
				r.ack++
			}
		}
		m.raw(sl, &sl.peer, &sl.device, r)
		return
	}
	m.raw(sl, &sl.device, &sl.peer, s)
}

// accept answers s as an open port does, and drop resets on that, as the scanner's kernel does, which knows of no connection.
func (m *mix) accept(sl *slot, s probeTCP) {
	m.raw(sl, &sl.peer, &sl.device, probeTCP{sport: s.dport, dport: s.sport, seq: ^s.seq, ack: s.seq + 1, flags: parse.TCPSyn | parse.TCPAck,
		window: 29200, ttl: hostTTL(&sl.peer), fragment: dontFragment, options: scanMSS})
}

func (m *mix) drop(sl *slot, s probeTCP) {
	m.raw(sl, &sl.device, &sl.peer, probeTCP{sport: s.sport, dport: s.dport, seq: s.seq + 1, flags: parse.TCPRst, ttl: ttlHost,
		fragment: dontFragment})
}

// raw writes a segment without data.
func (m *mix) raw(sl *slot, from, to *endpoint, s probeTCP) {
	n := tcpLen + len(s.options)
	h := m.buf[sl.l4():][:n]
	copy(h[tcpLen:], s.options)
	be.PutUint16(h[0:], uint16(s.sport))
	be.PutUint16(h[2:], uint16(s.dport))
	be.PutUint32(h[4:], s.seq)
	be.PutUint32(h[8:], s.ack)
	h[12], h[13] = byte(n/4<<4), byte(s.flags)
	be.PutUint16(h[14:], uint16(s.window))
	be.PutUint16(h[16:], 0)
	be.PutUint16(h[18:], uint16(s.urgent))
	be.PutUint16(h[16:], checksum.Field(checksum.Add(m.pseudo(sl, from, to, protoTCP, n), h)))
	sl.ident += 1 + uint16(sl.id)<<8
	m.ipv4(sl, from, to, protoTCP, s.ttl, sl.ident, s.fragment, 0, n)
}

// toVictim gives the scanner a host to scan, one after another.
func toVictim(m *mix, sl *slot) {
	sl.device = cicAttackers[0]
	sl.peer = m.target(sl.index*16 + sl.conversations)
	sl.port = 32768 + int(sl.id%28000)
	sl.rtt /= 10
	sl.steps, sl.left = 1000, 1
}

// scanned returns the k-th port of a scan, and whether something listens there.
func scanned(sl *slot, k int) (port int, open bool) {
	const prime = 1009 // ports 1 to 1009, each once
	port = 1 + (k*613+int(sl.id%prime))%prime
	return port, listens(&sl.peer, port)
}

// scanStep is nmap -sS: a SYN to 1,000 ports in an order of its own, answered with RST, or where the port is open with SYN, on which the
// scanner's kernel resets. One port in 16 does not answer and is asked again.
func (m *mix) scanStep(sl *slot) gap {
	g, done := m.scan(sl)
	if done {
		m.open(sl)
	}
	return g
}

// scan makes the next frame of a scan of sl.steps ports.
func (m *mix) scan(sl *slot) (g gap, done bool) {
	if sl.left == 0 {
		sl.left = 1
	}
	port, open := scanned(sl, sl.step)
	s := probeTCP{sport: sl.port, dport: port, seq: sl.id, flags: parse.TCPSyn, window: 1024, ttl: scanTTL(sl), options: scanMSS}
	phase := sl.left
	if phase == 1 && !open && m.rng.below(16) == 0 {
		m.probe(sl, s, false) // lost, or dropped
		return think, false
	}
	sl.left++
	switch phase {
	case 1:
		m.probe(sl, s, false)
		return sl.rtt, false
	case 2:
		if open {
			m.accept(sl, s)
			return 100 * microsecond, false
		}
		m.probe(sl, s, true)
	default:
		m.drop(sl, s)
	}
	sl.left = 1
	sl.step++
	return think, sl.step == sl.steps
}

// Options of nmap's probes for the operating system (nmap network scanning, chapter 8).
const (
	stampOption = "\x08\x0a\xff\xff\xff\xff\x00\x00\x00\x00"
	probeT2     = "\x03\x03\x0a\x01\x02\x04\x01\x09" + stampOption + "\x04\x02"
	probeT7     = "\x03\x03\x0f\x01\x02\x04\x01\x09" + stampOption + "\x04\x02"
)

// osProbes are the probes in nmap's order: six SYN with options, explicit congestion notification, T2 to T7; their answer.
var osProbes = [...]struct {
	flags   uint16
	window  int
	df      uint16
	open    bool // to an open port
	reply   uint16
	options string
}{
	{parse.TCPSyn, 1, 0, true, parse.TCPSyn | parse.TCPAck, "\x03\x03\x0a\x01\x02\x04\x05\xb4" + stampOption + "\x04\x02"},
	{parse.TCPSyn, 63, 0, true, parse.TCPSyn | parse.TCPAck, "\x02\x04\x05\x78\x03\x03\x00\x04\x02" + stampOption + "\x00"},
	{parse.TCPSyn, 4, 0, true, parse.TCPSyn | parse.TCPAck, stampOption + "\x01\x01\x03\x03\x05\x01\x02\x04\x02\x80"},
	{parse.TCPSyn, 4, 0, true, parse.TCPSyn | parse.TCPAck, "\x04\x02" + stampOption + "\x03\x03\x0a\x00"},
	{parse.TCPSyn, 16, 0, true, parse.TCPSyn | parse.TCPAck, "\x02\x04\x02\x18\x04\x02" + stampOption + "\x03\x03\x0a\x00"},
	{parse.TCPSyn, 512, 0, true, parse.TCPSyn | parse.TCPAck, "\x02\x04\x01\x09\x04\x02" + stampOption},
	{parse.TCPSyn | parse.TCPEce | parse.TCPCwr, 3, 0, true, parse.TCPSyn | parse.TCPAck, "\x03\x03\x0a\x01\x02\x04\x05\xb4\x04\x02\x01\x01"},
	{0, 128, dontFragment, true, 0, probeT2},
	{parse.TCPSyn | parse.TCPFin | parse.TCPUrg | parse.TCPPsh, 256, 0, true, 0, probeT2},
	{parse.TCPAck, 1024, dontFragment, true, parse.TCPRst, probeT2},
	{parse.TCPSyn, 31337, 0, false, parse.TCPRst | parse.TCPAck, probeT2},
	{parse.TCPAck, 32768, dontFragment, false, parse.TCPRst, probeT2},
	{parse.TCPFin | parse.TCPPsh | parse.TCPUrg, 65535, 0, false, parse.TCPRst | parse.TCPAck, probeT7},
}

// toSystem gives the scanner a host and 150 ports before its operating system is probed.
func toSystem(m *mix, sl *slot) {
	toVictim(m, sl)
	sl.steps = 150
}

// osScanStep is nmap -O: a scan of ports, then the probes of osProbes, two echoes and a datagram.
func (m *mix) osScanStep(sl *slot) gap {
	if sl.step < sl.steps {
		g, done := m.scan(sl)
		if done {
			sl.left = 0
		}
		return g
	}
	// Each probe is up to three frames: question, answer, and the reset on a SYN that was answered.
	const frames = 3
	probe, phase := sl.left/frames, sl.left%frames
	g := m.osProbe(sl, probe, phase)
	sl.left++
	for sl.left/frames < len(osProbes)+3 && !answers(sl.left/frames, sl.left%frames) {
		sl.left++
	}
	if sl.left/frames == len(osProbes)+3 {
		m.open(sl)
		return think
	}
	return g
}

// answers returns whether a probe has a frame of that phase.
func answers(probe, phase int) bool {
	switch {
	case phase == 0:
		return true
	case probe >= len(osProbes):
		return phase == 1
	case phase == 1:
		return osProbes[probe].reply != 0
	}
	return osProbes[probe].reply&parse.TCPSyn != 0
}

func (m *mix) osProbe(sl *slot, probe, phase int) gap {
	g := sl.rtt
	if phase != 0 {
		g = think
	}
	if at := probe - len(osProbes); at >= 0 {
		m.osProbeOther(sl, at, phase == 1)
		return g
	}
	o := &osProbes[probe]
	s := probeTCP{sport: sl.port + 1 + probe, dport: 1009 + int(sl.id&255), seq: sl.id + uint32(probe), flags: o.flags, window: o.window,
		ttl: scanTTL(sl), fragment: o.df, options: o.options}
	if o.open {
		s.dport = 80
	}
	if o.flags&(parse.TCPEce|parse.TCPCwr) != 0 {
		s.urgent = 0xf7f5
	}
	if o.flags&parse.TCPAck != 0 {
		s.ack = ^sl.id
	}
	switch {
	case phase == 0:
		m.probe(sl, s, false)
	case phase == 2:
		m.drop(sl, s)
	case o.reply&parse.TCPSyn != 0:
		m.accept(sl, s)
	default:
		m.probe(sl, s, true)
	}
	return g
}

// osProbeOther is an echo with a strange code and 120 octets, one with 150, or a datagram of 300 times 'C' that no port takes.
func (m *mix) osProbeOther(sl *slot, at int, answer bool) {
	from, to := &sl.device, &sl.peer
	if answer {
		from, to = to, from
	}
	p := m.body(sl, 0)
	switch {
	case at < 2:
		kind, code, n := byte(8), byte(9), 120
		if at == 1 {
			code, n = 0, 150
		}
		if answer {
			kind, code = 0, 0
		}
		p = append(p, kind, code, 0, 0, byte(sl.id>>8), byte(sl.id), 1, byte(39+at))
		for range n {
			p = append(p, 0)
		}
		m.icmp(sl, from, to, m.scannerTTL(sl, answer), p)
	default:
		// The answer quotes the datagram's headers, so that they are made first.
		p = m.body(sl, udpLen)
		for range 300 {
			p = append(p, 'C')
		}
		ident := sl.ident
		sl.ident = 0x1041
		m.udp(sl, &sl.device, &sl.peer, sl.port, 1009+int(sl.id&255), scanTTL(sl), p)
		sl.ident = ident
		if !answer {
			return
		}
		n := copy(m.tmp[8:], m.buf[etherLen:][:ipv4Len+udpLen+300])
		clear(m.tmp[:8])
		m.tmp[0], m.tmp[1] = 3, 3
		p = append(m.body(sl, 0), m.tmp[:8+n]...)
		m.icmp(sl, from, to, hostTTL(&sl.peer), p)
	}
}
