package synth

import (
	"strconv"

	"pcaplab/parse"
)

// loris is one connection that a slow attacker keeps open.
type loris struct {
	seq  [2]uint32
	step int // frames of its opening so far; open from lorisOpen
	left int // header lines until the server gives it up
	port int // that it was opened from last
}

const (
	lorisMost  = 150 // connections of a host
	lorisParts = 3   // in which a host goes round them
	lorisOpen  = 5
	lorisSleep = -15_000 * millisecond // exactly
	lorisPort  = 32_768
	lorisPorts = 28_000
	lorisOver  = 4096 // frames; more than a round has, so that rounds keep their time
)

// toSlow starts a host; its connections are held by the mix.
func toSlow(m *mix, sl *slot) {
	sl.device, sl.peer = cicAttackers[sl.index%len(cicAttackers)], m.broker
	sl.rtt /= 10
	sl.tcp.port, sl.tcp.stamped = 80, true
}

// slowStep is a round over a part of a host's connections, as slowloris makes it every 15 s: one header line in each that is open, and then
// what the server closed is opened again. sl.step is the connection, sl.left 1 where a line was sent that the server has to acknowledge.
func (m *mix) slowStep(sl *slot) gap {
	n := len(m.loris) / len(m.slots)
	i := sl.step
	l := &m.loris[sl.index*n+i]
	t := &sl.tcp
	t.seq = l.seq
	g, done := m.slow(sl, l, sl.index/len(cicAttackers)*n+i)
	l.seq = t.seq
	if !done {
		return g
	}
	if sl.step++; sl.step < n {
		return 150 * microsecond
	}
	sl.step = 0
	return lorisSleep
}

// slow makes the next frame of the k-th connection of a host in this round, and says whether it is the last.
func (m *mix) slow(sl *slot, l *loris, k int) (g gap, done bool) {
	t := &sl.tcp
	l.step++
	if l.step == 1 {
		l.port++
	}
	sl.port = lorisPort + (k*187+l.port)%lorisPorts
	switch l.step {
	case 1:
		t.seq = [2]uint32{uint32(m.rng.next()), uint32(m.rng.next())}
		l.left = m.rng.between(3, 40)
		if l.port == 1 { // as if it had been open for a while: they do not all end at about the same time
			l.left = m.rng.between(1, l.left)
		}
		m.segment(sl, 0, parse.TCPSyn, nil)
		t.seq[0]++
		return sl.rtt, false
	case 2:
		m.segment(sl, 1, parse.TCPSyn|parse.TCPAck, nil)
		t.seq[1]++
		return 100 * microsecond, false
	case 3:
		m.segment(sl, 0, parse.TCPAck, nil)
		return 100 * microsecond, false
	case 4:
		p := append(t.buf[:0], "GET /?"...)
		p = strconv.AppendInt(p, int64(m.rng.below(2000)), 10)
		p = append(p, " HTTP/1.1\r\nUser-Agent: "...)
		p = append(p, agents[m.rng.below(len(agents))]...)
		p = append(p, "\r\nAccept-language: en-US,en,q=0.5\r\n"...)
		m.segment(sl, 0, parse.TCPAck|parse.TCPPsh, p)
		t.seq[0] += uint32(len(p))
		return sl.rtt, false
	case lorisOpen:
		m.segment(sl, 1, parse.TCPAck, nil)
		return 0, true
	}
	if l.left == 0 { // the server has no more patience
		l.step = 0
		m.segment(sl, 1, parse.TCPRst|parse.TCPAck, nil)
		return sl.rtt, false
	}
	if l.step&1 == 0 {
		p := append(t.buf[:0], "X-a: "...)
		p = strconv.AppendInt(p, int64(m.rng.between(1, 5000)), 10)
		p = append(p, "\r\n"...)
		m.segment(sl, 0, parse.TCPAck|parse.TCPPsh, p)
		t.seq[0] += uint32(len(p))
		return sl.rtt, false
	}
	l.left--
	m.segment(sl, 1, parse.TCPAck, nil)
	return 0, true
}

// lorisConnections returns how many connections a part of a host holds so that a frame leaves each gap ns: a connection has two frames in
// 15 s and those of its opening now and then, 2.3 in all.
func lorisConnections(gap int64) int {
	n := -int64(lorisSleep) * 10 / (max(gap, 1) * 23 * int64(len(cicAttackers)))
	return int(min(max(n, lorisParts), lorisMost)) / lorisParts
}

// stagger spreads the rounds.
func (m *mix) stagger() {
	for i := range m.slots {
		m.slots[i].due = Epoch - int64(lorisSleep)*int64(i)/int64(len(m.slots))
		m.heap[i] = &m.slots[i] // by due
	}
}
