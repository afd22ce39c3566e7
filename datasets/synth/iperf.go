package synth

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"

	"pcaplab/parse"
)

// Stream is traffic between two hosts as a program puts it on the wire, seen where the sender's own capture sees it: before
// Ethernet pads short frames. Frames are made one at a time; what they have in common is kept once, so that a stream of
// any length takes the memory of one datagram, or of one write of 128 KiB.
//
// "udp" and "tcp" are one test of iperf3 3.12 from a client to a server on port 5201, with its control connection
// before and after (https://github.com/esnet/iperf). "syn" is the SYN flood of netwox 76: frames of 54 octets from random
// addresses, without what the target answers.
type Stream struct {
	Kind string `json:"kind"` // "udp", "tcp" or "syn"
	// Link is "ethernet" (MTU 1500) or "loopback" (MTU 65536, 127.0.0.1, MAC addresses of zeros, each frame once).
	Link string `json:"link"`
	// Rate is bit/s of payload, as iperf3's --bitrate (decimal: 1e6 is 1 Mbit/s); frames a second of a flood.
	Rate float64 `json:"rate"`
	// Payload is octets in a UDP datagram, as iperf3's --length; 0 is what iperf3 takes itself: 1448 on Ethernet, 32768 on
	// loopback. A datagram that does not fit the MTU goes as fragments. TCP has writes of 128 KiB in segments of at most 1448
	// or 65483 octets.
	Payload int `json:"payload,omitempty"`
	// Blocks ends the stream after so many datagrams, writes of 128 KiB or SYN segments, as iperf3's --blockcount; 0 is
	// by Duration.
	Blocks uint64 `json:"blocks,omitempty"`
	// Duration ends the stream, in ns of sending; the control connection comes on top. 0 is by Blocks.
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Line is bit/s of the Ethernet itself, preamble, FCS and gap included: frames of the client follow one another no
	// faster. 0 is no limit. A Rate near the Line's gives what a test without --bitrate does there: frames at even distances.
	Line float64 `json:"line,omitempty"`
}

// StreamCounts is how many frames a stream has. Of UDP, what is neither Data nor Control are fragments after the first; of
// TCP, acknowledgements of data.
type StreamCounts struct {
	Frames     uint64 `json:"frames"`
	Data       uint64 `json:"data"`        // datagrams or segments with test data, or SYN segments of a flood
	Control    uint64 `json:"control"`     // frames of iperf3 that carry no test data: control connection, opening, closing
	TCP        uint64 `json:"tcp"`         // frames with TCP over IPv4
	WireOctets uint64 `json:"wire_octets"` // without FCS
}

// StreamSource gives the frames of a stream. It belongs to one goroutine.
type StreamSource struct {
	gen finite
}

// finite is a generator that ends.
type finite interface {
	next(f *parse.Frame) bool
	count() StreamCounts
}

const (
	mtuLoopback  = 65536
	minDatagram  = 16    // iperf3's MIN_UDP_BLOCKSIZE
	maxDatagram  = 65507 // its MAX_UDP_BLOCKSIZE: 65535 less the headers
	blockTCP     = 128 << 10
	lineOverhead = 8 + fcsLen + 12 // preamble, FCS and gap (IEEE 802.3 clause 4.4.2)
	floodFrame   = etherLen + ipv4Len + tcpLen

	longestStream = 366 * 24 * time.Hour
	fastest       = 100_000_000       // datagrams or SYN segments a second
	thousandths   = 1_000             // of a rate's unit: rates are integers inside
	second        = 1_000_000_000     // ns
	maxRate       = 1e12              // bit/s
	maxLine       = 1_000_000_000_000 // bit/s
)

// Check returns everything that is wrong with the stream, one fault a line.
func (s Stream) Check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch s.Kind {
	case "udp", "tcp", "syn":
	default:
		fault("stream kind %q: choose udp, tcp or syn", s.Kind)
	}
	switch s.Link {
	case "ethernet", "loopback":
	default:
		fault("stream link %q: choose ethernet or loopback", s.Link)
	}
	if s.Payload != 0 && s.Kind != "udp" {
		fault("payload %d: only datagrams (udp) have a payload to choose", s.Payload)
	} else if s.Payload != 0 && (s.Payload < minDatagram || s.Payload > maxDatagram) {
		fault("payload %d: a datagram of iperf3 has %d to %d octets", s.Payload, minDatagram, maxDatagram)
	}
	switch {
	case s.Duration != 0 && s.Blocks != 0:
		fault("blocks %d and duration %v: only one of them can end a stream", s.Blocks, s.Duration)
	case s.Duration < 0 || s.Duration > longestStream:
		fault("duration %v: choose up to %v", s.Duration, longestStream)
	case s.Duration == 0 && s.Blocks == 0:
		fault("neither blocks nor duration: the stream would not end")
	}
	switch {
	case s.Rate == 0:
		fault("rate 0: a schedule needs a rate; for a test without limit give the one that it reached")
	case !(s.Rate*thousandths >= 1 && s.Rate <= maxRate): // not a number fails too
		fault("rate %v: choose from 0.001 to %v", s.Rate, float64(maxRate))
	}
	if s.Line != 0 && s.Link == "loopback" {
		fault("line %v: loopback has no line", s.Line)
	}
	if s.Line != 0 && !(s.Line >= 1 && s.Line <= maxLine) {
		fault("line %v bit/s: choose from 1 to %v", s.Line, float64(maxLine))
	}
	if len(faults) == 0 {
		faults = append(faults, s.checkRate())
	}
	return errors.Join(faults...)
}

// checkRate looks at what only a stream that is right in all else can be asked.
func (s Stream) checkRate() error {
	unit, frames := s.unit()
	var faults []error
	if hi, lo := bits.Mul64(fastest*thousandths, uint64(unit)); hi == 0 && s.rate() > lo {
		faults = append(faults, fmt.Errorf("rate %v: more than %d frames a second", s.Rate, fastest))
	}
	if ns, ok := s.sendTime(s.Blocks); !ok || ns > int64(longestStream) {
		faults = append(faults, fmt.Errorf("blocks %d: at this rate they take longer than %v", s.Blocks, longestStream))
	}
	if s.Line != 0 {
		line := 0
		for _, n := range frames {
			line += 8 * (max(n, minFrame) + lineOverhead)
		}
		// iperf3 reports up to 1 % more than a line takes: the last of it is still in the socket's buffer.
		needHi, needLo := bits.Mul64(s.rate()*100, uint64(line))
		haveHi, haveLo := bits.Mul64(s.line()*thousandths*101, uint64(unit))
		if needHi > haveHi || needHi == haveHi && needLo > haveLo {
			faults = append(faults, fmt.Errorf("rate %v does not fit a line of %v bit/s: each %d of it take %d there",
				s.Rate, s.Line, unit, line))
		}
	}
	return errors.Join(faults...)
}

// rate is Rate in thousandths; the conversion keeps the product from being fused with the rounding.
func (s Stream) rate() uint64 { return uint64(math.Round(float64(s.Rate * thousandths))) }

func (s Stream) line() uint64 { return uint64(math.Round(s.Line)) }

// unit returns how much of the rate one send is (bits, or one SYN segment) and the lengths of its frames.
func (s Stream) unit() (amount int, frames []int) {
	if s.Kind == "syn" {
		return 1, []int{floodFrame}
	}
	size := s.block()
	head, most := tcpLen+stampLen, s.mtu()-ipv4Len-tcpLen-stampLen
	if s.Kind == "udp" {
		head, most = udpLen, s.mtu()-ipv4Len-udpLen
		if size > most {
			head, most = 0, (s.mtu()-ipv4Len)&^7
		}
	} else if s.Link == "loopback" {
		most = loopMSS - stampLen
	}
	left := size
	if s.Kind == "udp" && head == 0 {
		left += udpLen
	}
	for ; left > 0; left -= most {
		frames = append(frames, etherLen+ipv4Len+head+min(left, most))
	}
	return 8 * size, frames
}

// block returns the octets of one write of iperf3.
func (s Stream) block() int {
	switch {
	case s.Kind == "tcp":
		return blockTCP
	case s.Payload != 0:
		return s.Payload
	case s.Link == "loopback":
		return 32768
	}
	return 1448
}

func (s Stream) mtu() int {
	if s.Link == "loopback" {
		return mtuLoopback
	}
	return mtu
}

// sendTime returns after how many ns the rate allows send n, counted from 0, rounded down.
func (s Stream) sendTime(n uint64) (ns int64, ok bool) {
	unit, _ := s.unit()
	hi, amount := bits.Mul64(n, uint64(unit))
	if hi != 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(amount, second*thousandths)
	if hi >= s.rate() {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, s.rate())
	return int64(q), q <= math.MaxInt64
}

// Open starts the stream. Equal streams and seeds give equal frames on every architecture.
func (s Stream) Open(seed uint64) (*StreamSource, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if s.Kind == "syn" {
		return &StreamSource{newFlood(s, seed)}, nil
	}
	return &StreamSource{newIperf(s, seed)}, nil
}

// Next sets *f to the next frame, or returns io.EOF at the end. Times start at Epoch and never decrease. f.Data is borrowed:
// it is valid until the next call and must not be written. Next allocates nothing.
func (src *StreamSource) Next(f *parse.Frame) error {
	if !src.gen.next(f) {
		return io.EOF
	}
	return nil
}

// Count returns the counts of the stream, which are those of every seed. It walks the times of the datagrams without
// making frames: some ns for each.
func (s Stream) Count() (StreamCounts, error) {
	src, err := s.Open(0)
	if err != nil {
		return StreamCounts{}, err
	}
	return src.gen.count(), nil
}

// pacer is how iperf3 throttles: it sends while the average since the start is below the rate, and otherwise looks again at
// the next tick of its pacing timer, which is 1 ms by default.
type pacer struct {
	step, stepRest uint64 // ns that one send is worth, and the rest in 1/rate ns
	due, dueRest   uint64 // from when the average with what was sent is below the rate
	rate           uint64
	cost           int64 // ns from one send to the next
	end            int64
	blocks         uint64

	sent uint64
	now  int64 // time of the last send, ns after the start of the test
}

// Measured with iperf3 3.12 on Linux.
const (
	pacingTimer = 1_000_000 // ns
	tickDelay   = 100_000   // from a tick until select returns, ns
	firstSend   = 40_000
	datagramUse = 25_000 // from one datagram of a burst to the next
	writeUse    = 100_000
	pieceUse    = 1_000  // from one segment or fragment of a write to the next
	longUse     = 25_000 // the same on loopback, where a segment is 64 KiB
)

func newPacer(s Stream) pacer {
	unit, _ := s.unit()
	p := pacer{rate: s.rate(), end: math.MaxInt64, blocks: math.MaxUint64}
	p.step = uint64(unit) * second * thousandths / p.rate
	p.stepRest = uint64(unit) * second * thousandths % p.rate
	p.cost = datagramUse
	if s.Kind == "tcp" {
		p.cost = writeUse
	}
	p.cost = int64(min(uint64(p.cost), p.step/4)) // a burst catches up before the next tick
	if s.Blocks != 0 {
		p.blocks = s.Blocks
	} else {
		p.end = int64(s.Duration)
	}
	return p
}

// next moves to the next send. The first one always leaves.
func (p *pacer) next() bool {
	if p.sent == 0 {
		p.sent, p.now = 1, firstSend
		return true
	}
	if p.sent == p.blocks {
		return false
	}
	p.due += p.step
	p.dueRest += p.stepRest
	if p.dueRest >= p.rate {
		p.dueRest -= p.rate
		p.due++
	}
	now, due := p.now+p.cost, int64(p.due)
	if p.now <= due {
		now = tickDelay
		if due >= tickDelay {
			now += ((due-tickDelay)/pacingTimer + 1) * pacingTimer
		}
	}
	if now >= p.end {
		return false
	}
	p.sent++
	p.now = now
	return true
}
