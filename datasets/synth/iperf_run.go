package synth

import (
	"slices"
	"strconv"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// iperf is one test of iperf3.
type iperf struct {
	s      Stream
	rng    rng
	hosts  [2]endpoint
	pace   pacer
	now    int64  // ns after Epoch
	uptime uint64 // of the client at Epoch, us: datagrams carry a clock that starts with the machine

	control, data conn
	port          uint16    // of the client's datagrams
	ident         [2]uint16 // of datagrams
	buf           [1024]byte
	message       []byte // the JSON that is being sent
	cookie        [37]byte

	phase  phase
	script []step
	start  int64 // of the test, ns after Epoch
	free   int64 // when the client may send again

	pieces  []piece
	piece   int   // next one of the send; len(slices) between sends
	inner   int64 // ns from piece to piece
	ackWait int64 // ns until the acknowledgement that is owed; -1: none is
}

type phase int

const (
	atOpening phase = iota
	atTest
	atClosing
)

func newIperf(s Stream, seed uint64) *iperf {
	g := &iperf{s: s, rng: rng(seed), hosts: streamHosts(s), pace: newPacer(s), ackWait: -1}
	g.message = make([]byte, 0, 512)
	g.uptime = uint64(g.rng.between(100, 1_000_000))*1_000_000 + uint64(g.rng.below(1_000_000))
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	for i := range len(g.cookie) - 1 { // the last octet is 0
		g.cookie[i] = letters[g.rng.below(len(letters))]
	}
	g.control, g.data = g.newConn(), g.newConn()
	for g.data.port[0] == g.control.port[0] {
		g.data.port[0] = g.ephemeral()
	}
	g.port = g.ephemeral()
	r := g.rng.next()
	g.ident = [2]uint16{uint16(r), uint16(r >> 16)}

	_, frames := s.unit()
	if s.Kind == "udp" {
		g.pieces = g.udpPieces(frames)
		g.script = slices.Concat(greeting, openUDP, running)
	} else {
		g.pieces = g.tcpPieces(frames)
		g.script = slices.Concat(greeting, openTCP, running)
	}
	g.piece = len(frames)
	g.inner = pieceUse
	if s.Link == "loopback" {
		g.inner = longUse
	}
	g.inner = min(g.inner, g.pace.cost/int64(len(frames)))
	for i := range g.pieces {
		sl := &g.pieces[i]
		sl.space = g.inner
		if s.Line != 0 {
			sl.space = max(sl.space, int64(max(len(sl.buf), minFrame)+lineOverhead)*8*second/int64(s.line()))
		}
	}
	return g
}

func (g *iperf) next(f *parse.Frame) bool {
	for {
		if len(g.script) > 0 {
			g.give(f, g.follow())
			return true
		}
		switch g.phase {
		case atOpening:
			g.phase, g.start, g.free = atTest, g.now, g.now
		case atTest:
			if b := g.test(); b != nil {
				g.give(f, b)
				return true
			}
			g.end()
		case atClosing:
			return false
		}
	}
}

func (g *iperf) give(f *parse.Frame, b []byte) {
	*f = parse.Frame{UnixNano: Epoch + g.now, Data: b, WireLen: len(b), Link: parse.LinkEthernet}
}

// test returns the next frame with test data, or an acknowledgement of it; nil after the last one.
func (g *iperf) test() []byte {
	if g.ackWait >= 0 {
		g.now += g.ackWait
		g.ackWait = -1
		return g.segment(&g.data, g.buf[:], 1, parse.TCPAck, 0, 0)
	}
	if g.piece == len(g.pieces) {
		if !g.pace.next() {
			return nil
		}
		g.piece = 0
	}
	i := g.piece
	g.piece++
	sl := &g.pieces[i]
	g.now = max(g.start+g.pace.now+int64(i)*g.inner, g.free)
	g.free = g.now + sl.space
	if g.s.Kind == "udp" {
		g.datagram(i)
		return sl.buf
	}
	flags := parse.TCPAck
	if i+1 == len(g.pieces) {
		flags |= parse.TCPPsh
	}
	b := g.segment(&g.data, sl.buf, 0, flags, sl.n, sl.sum)
	if acked(i, len(g.pieces)) {
		g.ackWait = min(ackDelay, sl.space/2)
		g.widen()
	}
	return b
}

// ackDelay is a round trip and the server's wake-up, ns.
const ackDelay = 40_000

// acked says whether segment i of a write of n is acknowledged: every second one (RFC 9293 section 3.8.6.3), and the last
// one, which takes along the acknowledgement of the two before it.
func acked(i, n int) bool { return i == n-1 || i%2 == 1 && i != n-2 }

// widen opens the server's window for data, as Linux does while the program keeps up: by twice what was acknowledged.
func (g *iperf) widen() {
	most := 24576 // 3 MiB
	if g.s.Link == "loopback" {
		most = 2568
	}
	w := int(g.data.window[1]) + 4*g.pieces[0].n>>windowShift
	g.data.window[1] = uint16(min(w, most))
}

// end starts the closing: at the end of the duration, or after the last block.
func (g *iperf) end() {
	end := g.pace.now + 30_000
	if g.s.Blocks == 0 {
		end = g.pace.end + 80_000
	}
	g.phase = atClosing
	g.now = max(g.now, g.start+end, g.free)
	g.script = closeUDP
	if g.s.Kind == "tcp" {
		g.script = closeTCP
	}
}

func (g *iperf) count() StreamCounts {
	var c StreamCounts
	run := func() {
		for len(g.script) > 0 {
			if g.script[0].on != onUDP {
				c.TCP++
			}
			c.WireOctets += uint64(len(g.follow()))
			c.Control++
		}
	}
	run()
	for g.pace.next() {
	}
	g.end()
	run()
	sent := g.pace.sent
	c.Data, c.Frames = sent, c.Control
	for i := range g.pieces {
		c.Frames += sent
		c.WireOctets += sent * uint64(len(g.pieces[i].buf))
		if g.s.Kind == "tcp" && acked(i, len(g.pieces)) {
			c.Frames += sent
			c.WireOctets += sent * segmentHead
		}
	}
	if g.s.Kind == "tcp" {
		c.Data, c.TCP = sent*uint64(len(g.pieces)), c.Frames
	}
	return c
}

// step is a frame of the opening or the closing.
type step struct {
	gap   int64 // us after the frame before it
	on    carrier
	from  side
	flags uint16
	says  word
	state byte // if says is sayState
}

type carrier int

const (
	onControl carrier = iota
	onData
	onUDP
)

type word int

const (
	sayNothing    word = iota
	sayCookie          // 36 characters and a zero
	sayState           // what to do next, one octet
	sayParameters      // the length of the JSON that sayMessage sends
	sayResults         // as well
	sayMessage
	sayHello // the first datagram and its answer: an int in the byte order of a little-endian machine
)

// States of a test (iperf_api.h).
const (
	testStart       = 1
	testRunning     = 2
	testEnd         = 4
	paramExchange   = 9
	createStreams   = 10
	exchangeResults = 13
	displayResults  = 14
	iperfDone       = 16
)

const (
	syn  = parse.TCPSyn
	ack  = parse.TCPAck
	push = parse.TCPAck | parse.TCPPsh
	fin  = parse.TCPAck | parse.TCPFin
)

// The scripts are what iperf3 3.12 did on Linux: the frames, their order and typical times.
var (
	greeting = []step{
		{0, onControl, 0, syn, sayNothing, 0},
		{30, onControl, 1, syn | ack, sayNothing, 0},
		{15, onControl, 0, ack, sayNothing, 0},
		{60, onControl, 0, push, sayCookie, 0},
		{10, onControl, 1, ack, sayNothing, 0},
		{60, onControl, 1, push, sayState, paramExchange},
		{10, onControl, 0, ack, sayNothing, 0},
		{35, onControl, 0, push, sayParameters, 0},
		{20, onControl, 0, push, sayMessage, 0},
		{15, onControl, 1, ack, sayNothing, 0},
		{50, onControl, 1, push, sayState, createStreams},
	}
	openUDP = []step{
		{100, onUDP, 0, 0, sayHello, 0},
		{40, onUDP, 1, 0, sayHello, 0},
	}
	openTCP = []step{
		{100, onData, 0, syn, sayNothing, 0},
		{15, onData, 1, syn | ack, sayNothing, 0},
		{10, onData, 0, ack, sayNothing, 0},
		{35, onData, 0, push, sayCookie, 0},
		{10, onData, 1, ack, sayNothing, 0},
	}
	running = []step{
		{900, onControl, 1, push, sayState, testStart},
		{12, onControl, 1, push, sayState, testRunning},
		{40, onControl, 0, ack, sayNothing, 0},
	}
	closeUDP = slices.Concat(ending, results, goodbye)
	closeTCP = slices.Concat(ending, []step{{80, onData, 1, fin, sayNothing, 0}}, results, []step{
		{35, onData, 0, fin, sayNothing, 0},
		{20, onData, 1, ack, sayNothing, 0},
	}, goodbye)
	ending  = []step{{0, onControl, 0, push, sayState, testEnd}}
	results = []step{
		{70, onControl, 1, push, sayState, exchangeResults},
		{50, onControl, 0, push, sayResults, 0},
		{15, onControl, 0, push, sayMessage, 0},
		{15, onControl, 1, ack, sayNothing, 0},
		{45, onControl, 1, push, sayResults, 0},
		{15, onControl, 1, push, sayMessage, 0},
		{15, onControl, 0, ack, sayNothing, 0},
		{25, onControl, 1, push, sayState, displayResults},
	}
	goodbye = []step{
		{40, onControl, 0, push, sayState, iperfDone},
		{15, onControl, 0, fin, sayNothing, 0},
		{300, onControl, 1, fin, sayNothing, 0},
		{10, onControl, 0, ack, sayNothing, 0},
	}
)

// follow makes the next frame of the script.
func (g *iperf) follow() []byte {
	st := &g.script[0]
	g.script = g.script[1:]
	g.now += st.gap * 1000
	if st.on == onUDP {
		return g.hello(st.from)
	}
	at := g.buf[segmentHead:]
	n := 0
	switch st.says {
	case sayCookie:
		n = copy(at, g.cookie[:])
	case sayState:
		at[0], n = st.state, 1
	case sayParameters:
		g.parameters()
		be.PutUint32(at, uint32(len(g.message)))
		n = 4
	case sayResults:
		g.results(st.from)
		be.PutUint32(at, uint32(len(g.message)))
		n = 4
	case sayMessage:
		n = copy(at, g.message)
	}
	c := &g.control
	if st.on == onData {
		c = &g.data
	}
	return g.segment(c, g.buf[:], st.from, st.flags, n, checksum.Add(0, at[:n]))
}

// hello makes the datagram that tells the server the client's port, or its answer.
func (g *iperf) hello(from side) []byte {
	b := g.buf[:etherLen+ipv4Len+udpLen+4]
	d := b[etherLen+ipv4Len:]
	if from == 0 {
		udpHeader(d, int(g.port), iperfPort, len(d))
		copy(d[udpLen:], "9876")
	} else {
		udpHeader(d, iperfPort, int(g.port), len(d))
		copy(d[udpLen:], "6789")
	}
	be.PutUint16(d[6:], checksum.UDPField(checksum.Add(g.pseudo(from, protoUDP, len(d)), d)))
	g.ident[from]++
	g.ether(b, from)
	g.ipv4(b, from, protoUDP, g.ident[from], dontFragment)
	return b
}

func (g *iperf) word(s string)   { g.message = append(g.message, s...) }
func (g *iperf) number(n uint64) { g.message = strconv.AppendUint(g.message, n, 10) }

// share writes a CPU utilization: 1 to 9 %, with the 16 decimals that a double gets there.
func (g *iperf) share() {
	g.message = append(g.message, byte('1'+g.rng.below(9)), '.')
	for range 16 {
		g.message = append(g.message, byte('1'+g.rng.below(9)))
	}
}

// parameters writes what the client asks for. All JSON here has the same length for every seed.
func (g *iperf) parameters() {
	g.message = g.message[:0]
	g.word(`{"`)
	g.word(g.s.Kind)
	g.word(`":true,"omit":0,"time":`)
	g.number(uint64(g.s.Duration / second))
	g.word(`,"num":0,"blockcount":`)
	g.number(g.s.Blocks)
	g.word(`,"parallel":1,"len":`)
	g.number(uint64(g.s.block()))
	g.word(`,"bandwidth":`)
	g.number(g.pace.rate / thousandths)
	g.word(`,"pacing_timer":1000,"client_version":"3.12"}`)
}

// results writes what a side has measured. It counts no losses.
func (g *iperf) results(from side) {
	const unknown = "18446744073709551615" // -1
	udp := g.s.Kind == "udp"
	g.message = g.message[:0]
	for i, name := range []string{`{"cpu_util_total":`, `,"cpu_util_user":`, `,"cpu_util_system":`} {
		g.word(name)
		if from == 1 && i == 1 {
			g.word("0")
		} else {
			g.share()
		}
	}
	g.word(`,"sender_has_retransmits":`)
	switch {
	case from == 1:
		g.word(unknown)
	case udp:
		g.word("0")
	default:
		g.word("1")
	}
	if !udp {
		g.word(`,"congestion_used":"cubic"`)
	}
	g.word(`,"streams":[{"id":1,"bytes":`)
	g.number(g.pace.sent * uint64(g.s.block()))
	g.word(`,"retransmits":`)
	if udp || from == 1 {
		g.word(unknown)
	} else {
		g.word("0")
	}
	g.word(`,"jitter":`)
	if udp && from == 1 {
		g.word("0.0000")
		for range 16 {
			g.message = append(g.message, byte('1'+g.rng.below(9)))
		}
	} else {
		g.word("0")
	}
	g.word(`,"errors":0,"packets":`)
	if udp {
		g.number(g.pace.sent)
	} else {
		g.word("0")
	}
	g.word(`,"start_time":0,"end_time":`)
	end := uint64(g.pace.now)
	if g.s.Blocks == 0 {
		end = uint64(g.pace.end) + tickDelay
	}
	end /= 1000
	g.number(end / 1_000_000)
	g.message = append(g.message, '.')
	for unit := uint64(100_000); unit > 0; unit /= 10 {
		g.message = append(g.message, byte('0'+end/unit%10))
	}
	g.word("}]}")
}
