package synth

import (
	"strconv"

	"pcaplab/parse/checksum"
)

const (
	ttlHost  = 64
	ttlLocal = 255
)

// name appends a DNS name without compression (RFC 1035 section 3.1).
func name(p []byte, s string) []byte {
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] != '.' {
			n++
		}
		p = append(append(p, byte(n)), s[:n]...)
		s = s[min(n+1, len(s)):]
	}
	return append(p, 0)
}

// DNS types and classes.
const (
	dnsA       = 1
	dnsPTR     = 12
	dnsTXT     = 16
	dnsAAAA    = 28
	dnsSRV     = 33
	dnsIN      = 1
	cacheFlush = 0x8000 // RFC 6762 section 10.2
)

func dnsHeader(p []byte, id, flags, questions, answers uint16) []byte {
	p = be.AppendUint16(be.AppendUint16(p, id), flags)
	p = be.AppendUint16(be.AppendUint16(p, questions), answers)
	return be.AppendUint32(p, 0)
}

// resource appends type, class, time to live and data length of a resource record.
func resource(p []byte, kind, class uint16, ttl uint32, n int) []byte {
	p = be.AppendUint16(be.AppendUint16(p, kind), class)
	return be.AppendUint16(be.AppendUint32(p, ttl), uint16(n))
}

var domains = [...]string{
	"api.vendor.example", "time.example", "firmware-updates.vendor.example", "mqtt.cloud.example",
	"eu-west.telemetry.things.example", "cdn.pictures.example", "a.example", "logs.example",
}

func (m *mix) dnsStep(sl *slot) gap {
	domain := domains[sl.id%uint32(len(domains))]
	kind := uint16(dnsA)
	if sl.id&8 != 0 {
		kind = dnsAAAA
	}
	flags, answers := uint16(0x0100), uint16(0)
	if sl.step == 1 {
		flags, answers = 0x8180, uint16(1+sl.id>>4&3)
	}
	p := dnsHeader(m.body(sl, udpLen), uint16(sl.id>>16), flags, 1, answers)
	p = name(p, domain)
	p = be.AppendUint16(be.AppendUint16(p, kind), dnsIN)
	for i := range answers {
		p = append(p, 0xc0, 12) // the name of the question
		if kind == dnsA {
			p = append(resource(p, kind, dnsIN, 300, 4), 203, 0, 113, byte(1+i))
			continue
		}
		p = resource(p, kind, dnsIN, 300, 16)
		p = append(p, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(1+i))
	}
	if sl.step == 0 {
		sl.step = 1
		m.udp(sl, &sl.device, &sl.peer, sl.port, 53, ttlHost, p)
		return sl.rtt
	}
	m.udp(sl, &sl.peer, &sl.device, 53, sl.port, ttlHost, p)
	m.open(sl)
	return think
}

var services = [...]string{"_mqtt._tcp.local", "_hap._tcp.local", "_googlecast._tcp.local", "_http._tcp.local"}

func (m *mix) mdnsStep(sl *slot) gap {
	service := services[sl.id%uint32(len(services))]
	from := sl.device
	p := m.body(sl, udpLen)
	if sl.step == 0 {
		p = dnsHeader(p, 0, 0, 1, 0)
		p = be.AppendUint16(be.AppendUint16(name(p, service), dnsPTR), dnsIN)
		m.udp(sl, &from, &sl.peer, 5353, 5353, ttlLocal, p)
		sl.step = 1
		sl.device = m.device()
		return sl.rtt
	}
	host := m.deviceName(m.tmp[:0], sl)
	n := len(host)
	p = dnsHeader(p, 0, 0x8400, 0, 4)
	serviceAt := byte(len(p))
	p = resource(name(p, service), dnsPTR, dnsIN, 4500, 1+n+2)
	instanceAt := byte(len(p))
	p = append(append(append(p, byte(n)), host...), 0xc0, serviceAt)
	p = resource(append(p, 0xc0, instanceAt), dnsSRV, dnsIN|cacheFlush, 120, 6+1+n+7)
	p = append(p, 0, 0, 0, 0, 0x07, 0x5b) // priority, weight, port 1883
	hostAt := byte(len(p))
	p = append(append(append(p, byte(n)), host...), 5, 'l', 'o', 'c', 'a', 'l', 0)
	p = append(p, 0xc0, instanceAt)
	txt := "model=sensor fw=2.4.1 id=0123456789"
	p = resource(p, dnsTXT, dnsIN|cacheFlush, 4500, len(txt)+1)
	p = append(append(p, byte(len(txt))), txt...)
	p = append(p, 0xc0, hostAt)
	p = resource(p, dnsA, dnsIN|cacheFlush, 120, 4)
	p = append(p, from.ip4[:]...)
	m.udp(sl, &from, &sl.peer, 5353, 5353, ttlLocal, p)
	m.open(sl)
	return think
}

func (m *mix) ssdpStep(sl *slot) gap {
	p := m.body(sl, udpLen)
	if sl.step == 0 && sl.id&3 == 0 {
		p = append(p, "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nCACHE-CONTROL: max-age=1800\r\n"+
			"NT: upnp:rootdevice\r\nNTS: ssdp:alive\r\nLOCATION: http://"...)
		p = append(p, m.subnet...)
		p = strconv.AppendUint(p, uint64(sl.device.ip4[3]), 10)
		p = append(p, ":49152/description.xml\r\nSERVER: Linux/5.10 UPnP/1.1 bridge/1.60\r\nUSN: uuid:"...)
		p = strconv.AppendUint(p, uint64(sl.id), 16)
		p = append(p, "::upnp:rootdevice\r\n\r\n"...)
		m.udp(sl, &sl.device, &sl.peer, sl.port, 1900, 4, p)
		m.open(sl)
		return think
	}
	if sl.step == 0 {
		p = append(p, "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\n"+
			"ST: ssdp:all\r\n\r\n"...)
		m.udp(sl, &sl.device, &sl.peer, sl.port, 1900, 4, p)
		sl.step, sl.steps = 1, m.rng.between(1, 3)
		return 40 * millisecond
	}
	from := m.after(&sl.device, sl.step)
	p = append(p, "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=1800\r\nEXT:\r\nLOCATION: http://"...)
	p = append(p, m.subnet...)
	p = strconv.AppendUint(p, uint64(from.ip4[3]), 10)
	p = append(p, ":49152/description.xml\r\nSERVER: Linux/5.10 UPnP/1.1 bridge/1.60\r\nST: upnp:rootdevice\r\n"+
		"USN: uuid:"...)
	p = strconv.AppendUint(p, uint64(sl.id), 16)
	p = append(p, "::upnp:rootdevice\r\n\r\n"...)
	m.udp(sl, &from, &sl.device, 1900, sl.port, ttlHost, p)
	if sl.step++; sl.step <= sl.steps {
		return 20 * millisecond
	}
	m.open(sl)
	return think
}

// dhcpStep is the four messages of a new lease (RFC 2131), all broadcast.
func (m *mix) dhcpStep(sl *slot) gap {
	client, server := endpoint{mac: sl.device.mac}, m.gateway
	reply := sl.step%2 == 1
	p := m.body(sl, udpLen)
	p = p[:240]
	clear(p)
	p[0], p[1], p[2] = 1, 1, 6
	if reply {
		p[0] = 2
		copy(p[16:], sl.device.ip4[:])
		copy(p[20:], server.ip4[:])
	}
	be.PutUint32(p[4:], sl.id)
	p[10] = 0x80 // broadcast
	copy(p[28:], sl.device.mac[:])
	be.PutUint32(p[236:], 0x63825363)
	p = append(p, 53, 1, [...]byte{1, 2, 3, 5}[sl.step])
	if !reply {
		p = append(append(p, 61, 7, 1), sl.device.mac[:]...)
		p = append(p, 55, 5, 1, 3, 6, 15, 42)
		host := m.deviceName(m.tmp[:0], sl)
		p = append(append(p, 12, byte(len(host))), host...)
		if sl.step == 2 {
			p = append(append(p, 50, 4), sl.device.ip4[:]...)
			p = append(append(p, 54, 4), server.ip4[:]...)
		}
	} else {
		p = append(append(p, 54, 4), server.ip4[:]...)
		p = append(p, 51, 4, 0, 1, 0x51, 0x80, 1, 4, 255, 255, 255, 0)
		p = append(append(p, 3, 4), server.ip4[:]...)
		p = append(append(p, 6, 4), server.ip4[:]...)
	}
	p = append(p, 255)
	for len(p) < 300 {
		p = append(p, 0)
	}
	if reply {
		server.mac = m.gateway.mac
		m.udp(sl, &server, &broadcast, 67, 68, ttlHost, p)
	} else {
		m.udp(sl, &client, &broadcast, 68, 67, ttlHost, p)
	}
	if sl.step++; sl.step < 4 {
		return 10 * millisecond
	}
	m.open(sl)
	return think
}

// ntpTime returns a time in ns since 1970 as NTP writes it (RFC 5905 section 6).
func ntpTime(ns int64) uint64 {
	const from1900 = 2_208_988_800
	s, frac := uint64(ns)/1e9, uint64(ns)%1e9
	return (s+from1900)<<32 | frac<<32/1e9
}

func (m *mix) ntpStep(sl *slot) gap {
	p := m.body(sl, udpLen)[:48]
	clear(p)
	if sl.step == 0 {
		p[0], p[2], p[3] = 4<<3|3, 10, 0xec
		be.PutUint64(p[40:], ntpTime(m.now))
		m.udp(sl, &sl.device, &sl.peer, sl.port, 123, ttlHost, p)
		sl.step, sl.mark = 1, m.now
		return sl.rtt
	}
	p[0], p[1], p[2], p[3] = 4<<3|4, 2, 10, 0xe9
	be.PutUint32(p[4:], 0x0a00)
	be.PutUint32(p[8:], 0x0500)
	copy(p[12:], []byte{192, 0, 2, 123})
	be.PutUint64(p[16:], ntpTime(m.now-64e9))
	be.PutUint64(p[24:], ntpTime(sl.mark))
	be.PutUint64(p[32:], ntpTime(m.now-500_000))
	be.PutUint64(p[40:], ntpTime(m.now-400_000))
	m.udp(sl, &sl.peer, &sl.device, 123, sl.port, 56, p)
	m.open(sl)
	return think
}

// coapStep is a confirmable GET and its answer, or a non-confirmable POST (RFC 7252 section 3).
func (m *mix) coapStep(sl *slot) gap {
	id := uint16(sl.id >> 8)
	p := m.body(sl, udpLen)
	switch {
	case sl.id%3 == 0:
		p = append(p, 0x52, 2, byte(id>>8), byte(id), byte(sl.id), 7) // NON POST, token of 2
		p = append(p, 0xb8, 'r', 'e', 'a', 'd', 'i', 'n', 'g', 's', 0x11, 50, 0xff)
		p = m.telemetry(p, sl)
	case sl.step == 0:
		p = append(p, 0x42, 1, byte(id>>8), byte(id), byte(sl.id), 7) // CON GET
		p = append(p, 0xb7, 's', 'e', 'n', 's', 'o', 'r', 's', 0x04, 't', 'e', 'm', 'p')
		m.udp(sl, &sl.device, &sl.peer, sl.port, 5683, ttlHost, p)
		sl.step = 1
		return sl.rtt
	default:
		p = append(p, 0x62, 0x45, byte(id>>8), byte(id), byte(sl.id), 7) // ACK 2.05
		p = append(p, 0xc1, 50, 0xff)                                    // JSON
		p = m.telemetry(p, sl)
		m.udp(sl, &sl.peer, &sl.device, 5683, sl.port, ttlHost, p)
		m.open(sl)
		return think
	}
	m.udp(sl, &sl.device, &sl.peer, sl.port, 5683, ttlHost, p)
	m.open(sl)
	return think
}

// quicStep has the headers of QUIC version 1 (RFC 9000 section 17) before random octets.
func (m *mix) quicStep(sl *slot) gap {
	p := m.body(sl, udpLen)
	toServer := true
	wait := 150 * microsecond
	switch {
	case sl.step == 0:
		sl.steps = m.rng.between(2, 5)
		sl.left = 0
		p = m.quicLong(p, sl, 1200, toServer)
		wait = sl.rtt
	case sl.step == 1:
		toServer = false
		p = m.quicLong(p, sl, 1200, toServer)
	case sl.left == 0 && sl.steps > 0:
		sl.steps--
		sl.left = 2 + m.rng.below(8)
		p = m.quicShort(p, sl, m.rng.between(40, 300), toServer)
		wait = sl.rtt
	case sl.left%3 == 1: // the client acknowledges
		p = m.quicShort(p, sl, m.rng.between(12, 20), toServer)
		if sl.left--; sl.left == 0 {
			wait = think
		}
	default:
		toServer = false
		p = m.quicShort(p, sl, m.rng.between(700, 1220), toServer)
		sl.left--
	}
	sl.step++
	if toServer {
		m.udp(sl, &sl.device, &sl.peer, sl.port, 443, ttlHost, p)
	} else {
		m.udp(sl, &sl.peer, &sl.device, 443, sl.port, 52, p)
	}
	if sl.step > 2 && sl.left == 0 && sl.steps == 0 {
		m.open(sl)
		return think
	}
	return wait
}

// quicID appends the connection id that the receiver chose: 8 octets made of the conversation's number.
func quicID(p []byte, sl *slot, toServer bool) []byte {
	id := uint64(sl.id) * 0x9e3779b97f4a7c15
	if toServer {
		id = ^id
	}
	return be.AppendUint64(p, id)
}

// quicLong appends an Initial packet that fills a datagram of size octets.
func (m *mix) quicLong(p []byte, sl *slot, size int, toServer bool) []byte {
	start := len(p)
	p = append(p, 0xc0, 0, 0, 0, 1, 8)
	p = quicID(p, sl, toServer)
	p = quicID(append(p, 8), sl, !toServer)
	p = append(p, 0) // no token
	n := size - (len(p) - start) - 2
	p = append(p, 0x40|byte(n>>8), byte(n))
	return m.random(p, n)
}

func (m *mix) quicShort(p []byte, sl *slot, n int, toServer bool) []byte {
	return m.random(quicID(append(p, 0x40), sl, toServer), n)
}

// rtpStep is a camera's stream: pictures of several packets, a marker on the last (RFC 3550 section 5.1).
func (m *mix) rtpStep(sl *slot) gap {
	if sl.left == 0 {
		sl.left = m.rng.between(2, 6)
		sl.mark = (m.now - Epoch) / 100_000 * 9 // 90 kHz
	}
	sl.left--
	marker := byte(0)
	n := 1200
	if sl.left == 0 {
		marker = 0x80
		n = m.rng.between(100, 1200)
	}
	p := append(m.body(sl, udpLen), 0x80, marker|96)
	p = be.AppendUint16(p, uint16(sl.step))
	p = be.AppendUint32(p, uint32(sl.mark))
	p = be.AppendUint32(p, sl.id)
	p = m.random(p, n)
	sl.step++
	m.udp(sl, &sl.device, &sl.peer, 5004, 5004, ttlHost, p)
	if marker != 0 {
		return think
	}
	return 100 * microsecond
}

const moreFragments = 0x2000

// fragmentStep is a long syslog message (RFC 5424, RFC 5426) in fragments.
func (m *mix) fragmentStep(sl *slot) gap {
	d := sl.tcp.buf
	if sl.step == 0 {
		p := append(d[:udpLen], "<134>1 2024-01-01T00:00:00Z "...)
		p = m.deviceName(p, sl)
		p = append(p, " hub - - - readings"...)
		for n := m.rng.between(1_600, 4_400); len(p) < n; {
			p = append(p, ' ')
			p = m.telemetry(p, sl)
		}
		udpHeader(p, sl.port, 514, len(p))
		be.PutUint16(p[6:], checksum.UDPField(checksum.Add(m.pseudo(sl, &sl.device, &sl.peer, protoUDP, len(p)), p)))
		sl.left = len(p)
		sl.ident++
	}
	const most = (mtu - ipv4Len) &^ 7
	at := sl.step * most
	n := min(sl.left-at, most)
	copy(m.buf[sl.l4():], d[at:at+n])
	flags := uint16(at / 8)
	if at+n < sl.left {
		flags |= moreFragments
	}
	m.ipv4(sl, &sl.device, &sl.peer, protoUDP, ttlHost, sl.ident, flags, 0, n)
	if sl.step++; flags&moreFragments != 0 {
		return 100 * microsecond
	}
	m.open(sl)
	return think
}
