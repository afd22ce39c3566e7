package synth

import (
	"strconv"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// messageBuffer bounds a message that TCP cuts into segments.
const messageBuffer = 8192

const (
	mss4 = mtu - ipv4Len - tcpLen
	mss6 = mtu - ipv6Len - tcpLen
)

// side is one end of a TCP connection; 0 opened it.
type side int

// tcp is a connection and the message that is being sent.
type tcp struct {
	state   int
	port    int  // of the peer
	stamped bool // timestamps option (RFC 7323)
	seq     [2]uint32
	stamp   [2]uint32 // timestamp value last sent
	unacked int       // segments received and not acknowledged
	ack     bool      // the receiver of the last segment acknowledges it next
	closing bool
	resets  int // of the client, by which it ends instead of FIN

	buf  []byte
	msg  []byte // the message, in buf
	sent int
	from side // who sends msg
	to   side // who owes the acknowledgement, if ack
	wait gap  // before the next segment with data
}

const (
	tcpSYN = iota
	tcpSYNACK
	tcpEstablish
	tcpData
	tcpFIN
	tcpPeerFIN
	tcpEnd
	tcpReset
)

// message makes the next message of a conversation in sl.tcp.buf: the octets, who sends them and after which gap. nil
// ends the connection.
type message func(m *mix, sl *slot) (msg []byte, from side, wait gap)

// connection makes the next frame of a TCP connection that carries what the application says.
func (m *mix) connection(sl *slot, app message) gap {
	t := &sl.tcp
	switch t.state {
	case tcpSYN:
		t.seq = [2]uint32{uint32(m.rng.next()), uint32(m.rng.next())}
		t.stamped = sl.id&3 == 0 // small stacks leave it out
		t.unacked, t.ack, t.closing, t.resets = 0, false, false, 0
		m.segment(sl, 0, parse.TCPSyn, nil)
		t.seq[0]++
		t.state = tcpSYNACK
		return sl.rtt
	case tcpSYNACK:
		m.segment(sl, 1, parse.TCPSyn|parse.TCPAck, nil)
		t.seq[1]++
		t.state = tcpEstablish
		return 200 * microsecond
	case tcpEstablish:
		m.segment(sl, 0, parse.TCPAck, nil)
		t.state = tcpData
		m.say(sl, app)
		return 300 * microsecond
	case tcpData:
		return m.data(sl, app)
	case tcpFIN:
		m.segment(sl, 0, parse.TCPFin|parse.TCPAck, nil)
		t.seq[0]++
		t.state = tcpPeerFIN
		return sl.rtt
	case tcpPeerFIN:
		m.segment(sl, 1, parse.TCPFin|parse.TCPAck, nil)
		t.seq[1]++
		t.state = tcpEnd
		return 200 * microsecond
	case tcpReset:
		return m.reset(sl)
	default:
		m.segment(sl, 0, parse.TCPAck, nil)
		t.state = tcpSYN
		m.open(sl)
		return think
	}
}

// data sends a segment of the message. m.unacked segments, or the last one before a pause, are acknowledged by a segment of
// its own; others by the answer.
func (m *mix) data(sl *slot, app message) gap {
	t := &sl.tcp
	if t.ack {
		m.segment(sl, t.to, parse.TCPAck, nil)
		t.ack, t.unacked = false, 0
		if t.closing {
			t.state = tcpFIN
			if t.resets > 0 {
				t.state = tcpReset
			}
		}
		return t.wait
	}
	size := mss4
	if sl.v6 {
		size = mss6
	}
	if t.stamped {
		size -= stampLen
	}
	if m.merged > 0 && t.sent+size < len(t.msg) && m.rng.below(m.merged) == 0 {
		size *= 2
	}
	part := t.msg[t.sent:min(t.sent+size, len(t.msg))]
	t.sent += len(part)
	flags := parse.TCPAck
	if t.sent == len(t.msg) {
		flags |= parse.TCPPsh
	}
	from := t.from
	m.segment(sl, from, flags, part)
	t.seq[from] += uint32(len(part))
	t.unacked++
	t.to = 1 - from
	if t.sent < len(t.msg) {
		t.ack, t.wait = t.unacked >= m.unacked, 120*microsecond
		return 120 * microsecond
	}
	m.say(sl, app)
	switch {
	case t.closing || t.wait == think:
		t.ack = true
		return 20 * millisecond
	case t.from == from:
		t.ack = t.unacked >= m.unacked
	default:
		t.unacked = 0
	}
	return t.wait
}

// reset ends a connection by one reset. Or the client has forgotten it, and resets on each segment that the server still sends, the last
// one with FIN: without options, and with the number that the segment acknowledged (RFC 9293 section 3.10.7.1). t.sent counts the frames.
func (m *mix) reset(sl *slot) gap {
	t := &sl.tcp
	n := t.sent
	t.sent++
	switch {
	case t.resets == 1:
		m.segment(sl, 0, parse.TCPRst|parse.TCPAck, nil)
	case n%2 == 1:
		stamped := t.stamped
		t.stamped = false
		m.segment(sl, 0, parse.TCPRst, nil)
		t.stamped = stamped
		if n+1 < 2*t.resets {
			return 150 * microsecond
		}
	case n+2 == 2*t.resets:
		m.segment(sl, 1, parse.TCPFin|parse.TCPAck, nil)
		return 50 * microsecond
	default:
		p := m.record(t.buf[:0], 26)
		m.segment(sl, 1, parse.TCPAck|parse.TCPPsh, p)
		t.seq[1] += uint32(len(p))
		return 50 * microsecond
	}
	t.state = tcpSYN
	m.open(sl)
	return think
}

// say asks the application for its next message.
func (m *mix) say(sl *slot, app message) {
	t := &sl.tcp
	t.msg, t.from, t.wait = app(m, sl)
	t.sent = 0
	t.closing = t.msg == nil
	sl.step++
}

const stampLen = 12 // timestamps option with two octets of padding

// segment writes a TCP segment. Sequence numbers move only when the caller moves them.
func (m *mix) segment(sl *slot, from side, flags uint16, data []byte) {
	t := &sl.tcp
	opts := m.buf[sl.l4()+tcpLen:][:0]
	if flags&parse.TCPSyn != 0 {
		mss := mss4
		if sl.v6 {
			mss = mss6
		}
		opts = append(opts, 2, 4, byte(mss>>8), byte(mss), 4, 2)
	}
	if t.stamped {
		t.stamp[from] = sl.id>>(4*from) + uint32((m.now-Epoch)/1_000_000)
		echo := t.stamp[1-from]
		if flags&parse.TCPAck == 0 {
			echo = 0
		}
		if flags&parse.TCPSyn == 0 {
			opts = append(opts, 1, 1)
		}
		opts = append(opts, 8, 10)
		opts = be.AppendUint32(opts, t.stamp[from])
		opts = be.AppendUint32(opts, echo)
	} else if flags&parse.TCPSyn != 0 {
		opts = append(opts, 1, 1)
	}
	if flags&parse.TCPSyn != 0 {
		opts = append(opts, 1, 3, 3, 7)
	}

	size := tcpLen + len(opts)
	n := size + len(data)
	h := m.buf[sl.l4():][:n]
	copy(h[size:], data)
	src, dst := &sl.device, &sl.peer
	sport, dport := sl.port, t.port
	if from == 1 {
		src, dst, sport, dport = dst, src, dport, sport
	}
	be.PutUint16(h[0:], uint16(sport))
	be.PutUint16(h[2:], uint16(dport))
	be.PutUint32(h[4:], t.seq[from])
	ack := t.seq[1-from]
	if flags&parse.TCPAck == 0 {
		ack = 0
	}
	be.PutUint32(h[8:], ack)
	h[12], h[13] = byte(size/4<<4), byte(flags)
	window := 501
	if flags&parse.TCPSyn != 0 {
		window = 64240
	} else if flags&parse.TCPRst != 0 {
		window = 0
	}
	be.PutUint16(h[14:], uint16(window))
	be.PutUint32(h[16:], 0)
	be.PutUint16(h[16:], checksum.Field(checksum.Add(m.pseudo(sl, src, dst, protoTCP, n), h)))
	m.ip(sl, src, dst, protoTCP, 64-byte(from)*byte(sl.rtt/millisecond/2), n)
}

func (m *mix) refusedStep(sl *slot) gap { return m.refused(sl, 23) }

// refused is a connection to a closed port.
func (m *mix) refused(sl *slot, port int) gap {
	t := &sl.tcp
	t.stamped, t.port = false, port
	if sl.step == 0 {
		sl.step = 1
		t.seq = [2]uint32{uint32(m.rng.next()), 0}
		m.segment(sl, 0, parse.TCPSyn, nil)
		t.seq[0]++
		return sl.rtt
	}
	m.segment(sl, 1, parse.TCPRst|parse.TCPAck, nil)
	m.open(sl)
	return think
}

func (m *mix) tlsStep(sl *slot) gap  { sl.tcp.port = 443; return m.connection(sl, tlsMessage) }
func (m *mix) httpStep(sl *slot) gap { sl.tcp.port = 80; return m.connection(sl, httpMessage) }
func (m *mix) mqttStep(sl *slot) gap { sl.tcp.port = 1883; return m.connection(sl, mqttMessage) }

// record appends a TLS application data record with n random octets (RFC 8446 section 5.1).
func (m *mix) record(p []byte, n int) []byte {
	p = append(p, 23, 3, 3, byte(n>>8), byte(n))
	m.rng.fill(p[len(p) : len(p)+n])
	return p[:len(p)+n]
}

var cipherSuites = [...]byte{0x13, 0x01, 0x13, 0x02, 0x13, 0x03}

// tlsMessage is a TLS 1.3 session (RFC 8446). Every message is one segment and ends with a record.
func tlsMessage(m *mix, sl *slot) ([]byte, side, gap) {
	room := mss6 - stampLen - 5
	p := sl.tcp.buf[:0]
	switch sl.step {
	case 0:
		sl.steps = m.rng.between(2, 6)
		sl.left = 0
		return m.clientHello(p, sl), 0, 300 * microsecond
	case 1:
		p = m.serverHello(p)
		p = append(p, 20, 3, 3, 0, 1, 1) // change cipher spec
		return m.record(p, room-len(p)), 1, sl.rtt
	case 2:
		return m.record(p, m.rng.between(700, 1350)), 1, 120 * microsecond
	case 3:
		p = append(p, 20, 3, 3, 0, 1, 1)
		return m.record(p, 53), 0, 2 * millisecond
	}
	if sl.left > 0 {
		sl.left--
		n := room
		if sl.left == 0 {
			n = m.rng.between(60, room)
			sl.steps--
		}
		wait := 120 * microsecond
		if sl.asked {
			sl.asked = false
			wait = sl.rtt
		}
		return m.record(p, n), 1, wait
	}
	switch sl.steps {
	case -1:
		return nil, 0, 300 * microsecond
	case 0:
		sl.steps = -1
		return m.record(p, 19), 0, think // close notify
	}
	sl.left = 1 + m.rng.below(4)*m.rng.below(4)
	sl.asked = true
	wait := think
	if sl.step == 4 {
		wait = 300 * microsecond
	}
	return m.record(p, m.rng.between(60, 620)), 0, wait
}

func (m *mix) clientHello(p []byte, sl *slot) []byte {
	name := m.cloudName(m.tmp[:0], sl)
	p = append(p, 22, 3, 1, 0, 0, 1, 0, 0, 0, 3, 3) // lengths follow
	p = m.random(p, 32)
	p = append(p, 32)
	p = m.random(p, 32)
	p = append(p, 0, byte(len(cipherSuites)))
	p = append(p, cipherSuites[:]...)
	p = append(p, 1, 0) // no compression
	ext := len(p)
	p = append(p, 0, 0)
	n := len(name)
	p = append(p, 0, 0, 0, byte(n+5), 0, byte(n+3), 0, 0, byte(n)) // server name
	p = append(p, name...)
	p = append(p, 0, 10, 0, 4, 0, 2, 0, 29)          // groups: x25519
	p = append(p, 0, 13, 0, 6, 0, 4, 4, 3, 8, 4)     // signatures: ecdsa and rsa-pss with SHA-256
	p = append(p, 0, 43, 0, 3, 2, 3, 4)              // versions: 1.3
	p = append(p, 0, 45, 0, 2, 1, 1)                 // PSK with (EC)DHE
	p = append(p, 0, 51, 0, 38, 0, 36, 0, 29, 0, 32) // key share
	p = m.random(p, 32)
	be.PutUint16(p[ext:], uint16(len(p)-ext-2))
	be.PutUint16(p[3:], uint16(len(p)-5))
	be.PutUint16(p[7:], uint16(len(p)-9))
	return p
}

func (m *mix) serverHello(p []byte) []byte {
	p = append(p, 22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3)
	p = m.random(p, 32)
	p = append(p, 32)
	p = m.random(p, 32)
	p = append(p, 0x13, 0x01, 0, 0, 46, 0, 43, 0, 2, 3, 4, 0, 51, 0, 36, 0, 29, 0, 32)
	return m.random(p, 32)
}

// random appends n random octets.
func (m *mix) random(p []byte, n int) []byte {
	m.rng.fill(p[len(p) : len(p)+n])
	return p[:len(p)+n]
}

// cloudName appends the name of the server that the slot talks to.
func (m *mix) cloudName(p []byte, sl *slot) []byte {
	p = append(p, "api-"...)
	p = strconv.AppendUint(p, uint64(sl.peer.ip4[3]), 10)
	return append(p, ".vendor.example"...)
}

// httpMessage is HTTP/1.1 with a request that changes from round to round (RFC 9112).
func httpMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	if sl.step == 0 {
		sl.steps = 2 * m.rng.between(1, 5)
	}
	if sl.step == sl.steps {
		return nil, 0, 5 * millisecond
	}
	if sl.step%2 == 0 {
		wait := think
		if sl.step == 0 {
			wait = 300 * microsecond
		}
		sl.left = m.rng.below(8)
		switch {
		case sl.left < 3:
			body := m.telemetry(m.tmp[:0], sl)
			p = append(p, "POST /v1/telemetry HTTP/1.1\r\nHost: "...)
			p = m.cloudName(p, sl)
			p = append(p, "\r\nUser-Agent: hub/2.4\r\nContent-Type: application/json\r\nContent-Length: "...)
			p = strconv.AppendInt(p, int64(len(body)), 10)
			p = append(p, "\r\n\r\n"...)
			return append(p, body...), 0, wait
		case sl.left < 6:
			p = append(p, "GET /v1/config HTTP/1.1\r\nHost: "...)
		default:
			p = append(p, "GET /firmware.bin HTTP/1.1\r\nHost: "...)
		}
		p = m.cloudName(p, sl)
		return append(p, "\r\nUser-Agent: hub/2.4\r\nAccept: */*\r\n\r\n"...), 0, wait
	}
	wait := sl.rtt + 3*millisecond
	if sl.left >= 6 {
		n := m.rng.between(2_000, 7_500)
		p = append(p, "HTTP/1.1 200 OK\r\nServer: cloud\r\nContent-Type: application/octet-stream\r\nContent-Length: "...)
		p = strconv.AppendInt(p, int64(n), 10)
		p = append(p, "\r\n\r\n"...)
		return m.random(p, n), 1, wait
	}
	body := m.telemetry(m.tmp[:0], sl)
	p = append(p, "HTTP/1.1 200 OK\r\nServer: cloud\r\nContent-Type: application/json\r\nContent-Length: "...)
	p = strconv.AppendInt(p, int64(len(body)), 10)
	p = append(p, "\r\n\r\n"...)
	return append(p, body...), 1, wait
}

// telemetry appends a JSON object of readings.
func (m *mix) telemetry(p []byte, sl *slot) []byte {
	p = append(p, `{"device":"`...)
	p = m.deviceName(p, sl)
	p = append(p, `","time":`...)
	p = strconv.AppendInt(p, m.now/1_000_000, 10)
	for i := range m.rng.between(1, 6) {
		p = append(p, `,"`...)
		p = append(p, quantities[i]...)
		p = append(p, `":`...)
		p = strconv.AppendInt(p, int64(m.rng.between(10, 4000)), 10)
	}
	return append(p, '}')
}

var quantities = [...]string{"temperature", "humidity", "pressure", "lux", "power", "battery"}

// deviceName appends the host name of the slot's device.
func (m *mix) deviceName(p []byte, sl *slot) []byte {
	p = append(p, "sensor-"...)
	return strconv.AppendUint(p, uint64(sl.device.ip4[3]), 10)
}

// MQTT control packets (MQTT 3.1.1 section 2.2.1).
const (
	mqttConnect    = 0x10
	mqttConnack    = 0x20
	mqttPublish    = 0x30
	mqttQoS1       = 0x02
	mqttPuback     = 0x40
	mqttSubscribe  = 0x82
	mqttSuback     = 0x90
	mqttPingreq    = 0xc0
	mqttPingresp   = 0xd0
	mqttDisconnect = 0xe0
)

// control appends a control packet with its remaining length (section 2.2.3), which is below 16,384 here.
func control(p []byte, first byte, body []byte) []byte {
	p = append(p, first)
	if n := len(body); n < 128 {
		p = append(p, byte(n))
	} else {
		p = append(p, byte(n)|0x80, byte(n>>7))
	}
	return append(p, body...)
}

// text appends an MQTT string.
func text(p []byte, s string) []byte {
	return append(be.AppendUint16(p, uint16(len(s))), s...)
}

// mqttMessage is a session of a sensor that publishes readings and receives commands.
func mqttMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p, body := sl.tcp.buf[:0], m.tmp[:0]
	switch sl.step {
	case 0:
		sl.steps = 4 + m.rng.between(6, 40)
		sl.left = 0
		body = append(text(body, "MQTT"), 4, 0xc2, 0, 60) // level 4; user name, password, clean session; keep alive
		at := len(body)
		body = m.deviceName(append(body, 0, 0), sl)
		be.PutUint16(body[at:], uint16(len(body)-at-2))
		body = text(text(body, "home"), "correct horse")
		return control(p, mqttConnect, body), 0, 300 * microsecond
	case 1:
		return control(p, mqttConnack, append(body, 0, 0)), 1, sl.rtt
	case 2:
		body = append(text(append(body, 0, 1), "home/commands/#"), 1)
		return control(p, mqttSubscribe, body), 0, millisecond
	case 3:
		return control(p, mqttSuback, append(body, 0, 1, 1)), 1, sl.rtt
	}
	if sl.left > 0 { // an answer is owed for packet id left, or a ping if left is pingOwed
		id := sl.left
		sl.left = 0
		if id == pingOwed {
			return control(p, mqttPingresp, nil), 1, sl.rtt
		}
		return control(p, mqttPuback, be.AppendUint16(body, uint16(id))), 1 - sl.asker, sl.rtt
	}
	if sl.step >= sl.steps {
		if sl.steps < 0 {
			return nil, 0, 200 * microsecond
		}
		sl.steps = -1
		return control(p, mqttDisconnect, nil), 0, think
	}
	r := m.rng.below(16)
	if r == 0 {
		sl.left = pingOwed
		return control(p, mqttPingreq, nil), 0, think
	}
	from, topic, first := side(0), "home/sensors/climate", byte(mqttPublish)
	if r < 4 {
		from, topic = 1, "home/commands/light"
	}
	body = text(body, topic)
	if r%2 == 0 {
		first |= mqttQoS1
		sl.left = sl.step
		body = be.AppendUint16(body, uint16(sl.step))
	}
	sl.asker = from
	return control(p, first, m.telemetry(body, sl)), from, think
}

const pingOwed = 1 << 16
