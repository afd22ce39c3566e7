package synth

import (
	"strconv"

	"pcaplab/parse"
)

// Ends that the connections of a flood of requests come to, and their shares in 256 connections. With these the shares of flags in
// frames are those of the class: SYN .37, ACK .74, FIN .10, RST .13 of the attack's frames.
const (
	ended     = iota // FIN from both sides
	refused          // the first SYN is answered with RST
	unheard          // and not answered
	abandoned        // the client resets after the answer

	endedShare     = 50
	refusedShare   = 73
	unheardShare   = 73
	abandonedShare = 60
)

// floodAnswer is what a server sends in a flood of requests: octets of the head segments, and whether the last one ends the connection.
type floodAnswer struct {
	least, most int // of the segment behind the request
	full        int // of 256 answers, how many have another segment; else the client acknowledges
	joined      int // of 256 segments, how many were joined with the next
	last        int // octets of the segment with FIN
}

// pageRoom is the room for a segment of a page or for a request.
const pageRoom = frameBuffer

var (
	ddosAnswer = floodAnswer{least: 280, most: 900}
	dosAnswer  = floodAnswer{least: 1448, most: 1448, full: 256, joined: 72, last: 1448}
)

// toServer gives a flooding host its server: all attack the same one.
func toServer(m *mix, sl *slot) {
	sl.device, sl.peer = cicAttackers[sl.index%len(cicAttackers)], m.broker
	m.toFlooded(sl)
}

func toServerAlone(m *mix, sl *slot) {
	sl.device, sl.peer = cicAttackers[0], m.broker
	m.toFlooded(sl)
}

func (m *mix) toFlooded(sl *slot) {
	sl.rtt /= 10
	r := m.rng.below(256)
	switch {
	case r < endedShare:
		sl.steps = ended
	case r < endedShare+refusedShare:
		sl.steps = refused
	case r < endedShare+refusedShare+unheardShare:
		sl.steps = unheard
	default:
		sl.steps = abandoned
	}
	sl.tcp.port, sl.tcp.stamped = 80, true
	sl.tcp.seq = [2]uint32{uint32(m.rng.next()), uint32(m.rng.next())}
	sl.tcp.stamp = [2]uint32{}
}

func (m *mix) ddosHTTPStep(sl *slot) gap { return m.requestFlood(sl, &ddosAnswer) }
func (m *mix) dosHTTPStep(sl *slot) gap  { return m.requestFlood(sl, &dosAnswer) }

// requestFlood is a connection for one request. sl.step counts its frames.
func (m *mix) requestFlood(sl *slot, a *floodAnswer) gap {
	t := &sl.tcp
	step := sl.step
	sl.step++
	switch step {
	case 0:
		m.segment(sl, 0, parse.TCPSyn, nil)
		t.seq[0]++
		if sl.steps == unheard {
			break
		}
		return sl.rtt
	case 1:
		if sl.steps == refused {
			t.stamped, t.seq[1] = false, 0
			m.segment(sl, 1, parse.TCPRst|parse.TCPAck, nil)
			break
		}
		m.segment(sl, 1, parse.TCPSyn|parse.TCPAck, nil)
		t.seq[1]++
		return 200 * microsecond
	case 2:
		m.segment(sl, 0, parse.TCPAck, nil)
		return 100 * microsecond
	case 3:
		p := m.request(t.buf[:0], sl)
		m.segment(sl, 0, parse.TCPAck|parse.TCPPsh, p)
		t.seq[0] += uint32(len(p))
		return sl.rtt
	case 4:
		m.page(sl, a, m.rng.between(a.least, a.most), parse.TCPAck|parse.TCPPsh)
		if m.rng.below(256) < 206 { // .19 more frames a connection
			sl.step++
		}
		return 200 * microsecond
	case 5:
		if m.rng.below(256) < a.full {
			m.page(sl, a, a.most, parse.TCPAck)
		} else {
			m.segment(sl, 0, parse.TCPAck, nil)
		}
		return 200 * microsecond
	case 6:
		if sl.steps == abandoned {
			m.segment(sl, 0, parse.TCPRst|parse.TCPAck, nil)
			break
		}
		m.page(sl, a, a.last, parse.TCPFin|parse.TCPAck)
		t.seq[1]++
		return sl.rtt
	case 7:
		m.segment(sl, 0, parse.TCPFin|parse.TCPAck, nil)
		t.seq[0]++
		return sl.rtt
	default:
		m.segment(sl, 1, parse.TCPAck, nil)
	}
	m.open(sl)
	return think
}

// page sends n octets of a page, or twice as many if the interface joined two segments.
func (m *mix) page(sl *slot, a *floodAnswer, n int, flags uint16) {
	if n > 0 && m.rng.below(256) < a.joined {
		n *= 2
	}
	p := sl.tcp.buf[:0]
	if sl.step == 5 { // just after the request
		p = append(p, "HTTP/1.0 200 OK\r\nServer: camera\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html><body>"...)
	}
	for len(p) < n {
		p = append(p, "<p>one line of a page that nobody reads</p>\n"...)
	}
	p = p[:n]
	m.segment(sl, 1, flags, p)
	sl.tcp.seq[1] += uint32(n)
}

var agents = [...]string{
	"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/104.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:103.0) Gecko/20100101 Firefox/103.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 12_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Safari/605.1.15",
	"Opera/9.80 (Windows NT 6.1; U; en) Presto/2.7.62 Version/11.01",
	"curl/7.85.0",
}

// request appends a GET that no cache answers.
func (m *mix) request(p []byte, sl *slot) []byte {
	r := m.rng.next()
	p = append(p, "GET /?"...)
	p = strconv.AppendUint(p, r>>20, 36)
	p = append(p, '=')
	p = strconv.AppendUint(p, r&0xfffff, 36)
	p = append(p, " HTTP/1.1\r\nHost: "...)
	p = appendIP(p, &sl.peer)
	p = append(p, "\r\nUser-Agent: "...)
	p = append(p, agents[m.rng.below(len(agents))]...)
	p = append(p, "\r\nCache-Control: no-cache\r\nAccept-Charset: utf-8;q=0.7,*;q=0.7\r\nReferer: http://search.example/?q="...)
	p = strconv.AppendUint(p, m.rng.next()>>40, 36)
	return append(p, "\r\nKeep-Alive: 110\r\nConnection: keep-alive\r\n\r\n"...)
}

// appendIP appends the IPv4 address of e as text.
func appendIP(p []byte, e *endpoint) []byte {
	for i, b := range e.ip4 {
		if i > 0 {
			p = append(p, '.')
		}
		p = strconv.AppendUint(p, uint64(b), 10)
	}
	return p
}
