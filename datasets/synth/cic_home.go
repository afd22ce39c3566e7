package synth

import (
	"math/bits"
	"strconv"

	"pcaplab/parse"
)

// home is the ordinary traffic of the lab's network: many short frames, a few that are not IPv4 nor ARP, and bulk transfers that
// bring the mean frame to what is wanted. Each of the three runs by its own clock, which orders its frames; pace makes the times.
type home struct {
	rng    rng
	short  mix
	other  mix
	bulk   mix
	pace   pace
	mean   int64 // wanted, in thousandths of an octet
	credit int64 // thousandths of an octet by which the frames so far are shorter than wanted
	limit  int64 // of credit, at which bulk begins or ends
	inBulk bool
	n      int64 // frames so far
	due    int64 // number of the frame at which another one of other is due
	soon   int64 // the same where a conversation waits for its answer; 0 if none does
}

// quietKinds are the short frames: what a home sends that does nothing.
var quietKinds = []kind{
	{"TLS", 522, 24, "TCP 443", "sessions that were resumed and stay: short records", (*mix).quietStep, toCloud},
	{"refused TCP", 8, 2, "TCP 8009", "SYN answered with RST: a device that looks for players", (*mix).closedStep, toDevice},
	{"MQTT", 70, 8, "TCP 1883", "as iot-1", (*mix).mqttStep, toBroker},
	{"UDP", 90, 8, "UDP 33434", "short datagrams to a cloud that keep the way open", (*mix).beatStep, toCloud},
	{"DNS", 60, 6, "UDP 53", "A and AAAA queries and answers", (*mix).dnsStep, toGateway},
	{"mDNS", 22, 4, "UDP 5353", "PTR queries and answers", (*mix).mdnsStep, toMDNS},
	{"SSDP", 16, 4, "UDP 1900", "M-SEARCH with unicast answers, NOTIFY", (*mix).ssdpStep, toSSDP},
	{"DHCP", 4, 1, "UDP 67 and 68", "DISCOVER, OFFER, REQUEST, ACK", (*mix).dhcpStep, toGateway},
	{"NTP", 28, 4, "UDP 123", "client and server", (*mix).ntpStep, toCloud},
	{"ICMP", 10, 2, "IPv4 protocol 1", "echo and its reply; port unreachable", (*mix).echoStep, toCloud},
	{"ARP", 90, 6, "Ethertype 0x0806", "the gateway's address asked for", (*mix).arpStep, toGateway},
	{"ARP of neighbours", 60, 4, "Ethertype 0x0806", "a device's address asked for", (*mix).arpStep, toDevice},
	{"IGMP", 20, 2, "IPv4 protocol 2", "query and reports", (*mix).igmpStep, toGateway},
}

// bulkKinds are the long transfers.
var bulkKinds = []kind{
	{"TLS download", 650, 5, "TCP 443", "records of 16 KiB from a cloud", (*mix).downloadStep, toCloud},
	{"TLS upload", 250, 2, "TCP 443", "a camera's records to a cloud", (*mix).uploadStep, toCloud},
	{"HTTP", 100, 1, "TCP 80", "firmware from a cloud", (*mix).firmwareStep, toCloud},
}

// otherKinds are the frames that are neither IPv4 nor ARP.
var otherKinds = []kind{
	{"STP", 380, 1, "802.3 length, LLC 0x42", "configuration BPDU", (*mix).stpStep, toGateway},
	{"loopback", 300, 1, "Ethertype 0x9000", "Ethernet configuration testing", (*mix).loopStep, toGateway},
	{"ICMPv6", 240, 2, "IPv6 ICMPv6", "neighbour and router discovery; MLDv2 report", (*mix).ndStep, toGateway6},
	{"mDNS", 80, 1, "UDP 5353, IPv6", "PTR queries and answers", (*mix).mdnsStep, toMDNS6},
}

const (
	bulkRoom     = 36_000 // octets of a message of a bulk transfer
	quietRoom    = 2048
	bulkUnacked  = 8      // segments that one acknowledgement answers where the interface joins segments
	bulkMerged   = 12     // one segment of so many is captured as two joined
	bulkCredit   = 12_000 // octets by which frames may be too short or too long before bulk begins or ends, at most:
	bulkFrames   = 8      // so many times
	quietMean    = 80     // what the wanted mean has above this
	mergedFrom   = 300    // octets of the wanted mean, below which no segments are joined: two would outweigh a flood's frames
	otherLeast   = 30     // one frame in 30 to 100 is neither IPv4 nor ARP: 1.5 % of all
	otherMost    = 100
	quietPerBulk = 20 // a bulk frame follows so much faster
	homeOver     = 400
)

// newHome returns the ordinary traffic of the lab's network: one frame each gap ns on average, from time 0, whole microseconds; frames of mean
// thousandths of an octet on average, within 1 % over 50,000 frames for means from 90,000 to 1,000,000.
func newHome(seed uint64, gap, mean int64) emitter {
	h := &home{rng: rng(seed), mean: mean}
	inner := min(max(2*gap, int64(millisecond)), int64(200*millisecond))
	h.pace = newPace(gap, inner/2, homeOver)
	for _, part := range []struct {
		mix   *mix
		kinds []kind
		gap   int64
		room  int
	}{
		{&h.short, quietKinds, inner, quietRoom},
		{&h.other, otherKinds, inner * otherMost, quietRoom},
		{&h.bulk, bulkKinds, max(inner/quietPerBulk, int64(100*microsecond)), bulkRoom},
	} {
		m := part.mix
		*m = mix{rng: rng(h.rng.next()), now: Epoch, unacked: 2}
		m.lab()
		m.start(part.kinds, part.gap, part.room)
	}
	h.bulk.unacked = bulkUnacked
	if mean >= mergedFrom*1000 {
		h.bulk.merged = bulkMerged
	}
	h.due = int64(h.rng.between(otherLeast, otherMost))
	h.turn()
	return h
}

// lab places m in the network of CIC-IoT-2023: the devices are those that are attacked and those that are not, each with a time to live of
// its own.
func (m *mix) lab() {
	m.subnet, m.ownTTL = "192.168.137.", true
	m.gateway, m.broker = cicGateway, cicDevice(0)
	m.hosts = append(m.hosts, cicVictims[:]...)
	m.hosts = append(m.hosts, cicDVWA[:]...)
	for i := 1; i < cicDevices; i++ {
		m.hosts = append(m.hosts, cicDevice(i))
	}
}

func toMDNS6(m *mix, sl *slot) {
	sl.device, sl.peer = m.device(), group6([16]byte{0xff, 2, 15: 0xfb})
	sl.v6 = true
}

func (h *home) next(f *parse.Frame) bool {
	h.n++
	m := &h.short
	switch {
	case h.n >= h.due || h.soon != 0 && h.n >= h.soon:
		m = &h.other
	case h.inBulk:
		m = &h.bulk
	}
	was := m.now
	sl := m.heap[0]
	m.next(f)
	d := m.now - was
	if m == &h.other {
		d = h.rng.exp(int64(2 * millisecond))
		h.due += int64(h.rng.between(otherLeast, otherMost))
		h.soon = 0
		if sl.step != 0 {
			h.soon = h.n + int64(h.rng.between(1, 4))
		}
	}
	f.UnixNano = h.pace.step(d)
	h.credit += h.mean - int64(len(f.Data))*1000
	if h.inBulk && h.credit < h.limit || !h.inBulk && h.credit > h.limit {
		h.inBulk = !h.inBulk
		h.turn()
	}
	return false
}

// turn sets the limit at which bulk ends or begins.
func (h *home) turn() {
	h.limit = int64(h.rng.below(int(min(bulkCredit, bulkFrames*max(h.mean/1000-quietMean, 1))))) * 1000
	if h.inBulk {
		h.limit = -h.limit
	}
}

// pace turns the times between frames that conversations ask for into times of gap on average, and keeps their proportions.
type pace struct {
	gap    int64 // wanted, ns
	out    int64 // time given last
	n, sum int64 // times between frames so far, and their sum
	frames int64
	over   int64 // frames over which what is too late or too early is made up for
}

// pacePrior is how many frames of the expected time between frames count as seen.
const pacePrior = 1024

func newPace(gap, expected, over int64) pace {
	return pace{gap: gap, n: pacePrior, sum: pacePrior * expected, over: over}
}

// step returns the time of the next frame in ns, a whole microsecond, d ns of the conversations' own time after the last one.
func (p *pace) step(d int64) int64 {
	p.n++
	p.sum += d
	p.frames++
	mean := uint64(max(p.sum/p.n, 1))
	hi, lo := bits.Mul64(uint64(d), uint64(p.gap))
	if hi >= mean {
		hi, lo = 0, uint64(p.gap)*mean
	}
	q, _ := bits.Div64(hi, lo, mean)
	step := int64(q)
	late := (p.out - p.frames*p.gap) / p.gap // frames
	step -= step * min(max(late, -p.over/2), p.over/2) / p.over
	p.out += step
	return p.out / 1000 * 1000
}

// quietStep is a session with a cloud that was resumed and says little.
func (m *mix) quietStep(sl *slot) gap { sl.tcp.port = 443; return m.connection(sl, quietMessage) }

func quietMessage(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	switch sl.step {
	case 0:
		sl.steps = 3 + m.rng.between(100, 300)
		return m.clientHello(p, sl), 0, 300 * microsecond
	case 1:
		p = append(m.serverHello(p), 20, 3, 3, 0, 1, 1)
		return m.record(p, 60), 1, sl.rtt
	case 2:
		return m.record(append(p, 20, 3, 3, 0, 1, 1), 53), 0, 2 * millisecond
	case sl.steps:
		sl.tcp.resets = m.ending()
		return nil, 0, 300 * microsecond
	}
	n := m.rng.between(19, 42)
	if sl.step%2 == 1 {
		return m.record(p, n), 0, think
	}
	return m.record(p, n), 1, sl.rtt
}

// ending returns the resets by which a TLS session ends, 0 with FIN: guessed.
func (m *mix) ending() int {
	switch m.rng.below(8) {
	case 0:
		return 1
	case 1:
		return 2
	case 2, 3:
		return 3
	}
	return 0
}

func (m *mix) closedStep(sl *slot) gap { return m.refused(sl, 8009) }

// beatStep is a datagram and its answer.
func (m *mix) beatStep(sl *slot) gap {
	p := m.random(append(m.body(sl, udpLen), 1, 0), 14+int(sl.id&15))
	if sl.step == 0 {
		m.udp(sl, &sl.device, &sl.peer, sl.port, 33434, ttlHost, p)
		sl.step = 1
		return sl.rtt
	}
	m.udp(sl, &sl.peer, &sl.device, 33434, sl.port, 52, p)
	m.open(sl)
	return think
}

func (m *mix) downloadStep(sl *slot) gap { sl.tcp.port = 443; return m.connection(sl, download) }
func (m *mix) uploadStep(sl *slot) gap   { sl.tcp.port = 443; return m.connection(sl, upload) }
func (m *mix) firmwareStep(sl *slot) gap { sl.tcp.port = 80; return m.connection(sl, firmware) }

func download(m *mix, sl *slot) ([]byte, side, gap) { return m.transfer(sl, 1) }
func upload(m *mix, sl *slot) ([]byte, side, gap)   { return m.transfer(sl, 0) }

// transfer is a TLS session in which one side sends long answers, or long requests.
func (m *mix) transfer(sl *slot, sender side) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	switch sl.step {
	case 0:
		sl.steps = 3 + 2*m.rng.between(4, 12)
		return m.clientHello(p, sl), 0, 300 * microsecond
	case 1:
		p = append(m.serverHello(p), 20, 3, 3, 0, 1, 1)
		return m.record(p, m.rng.between(1_800, 3_000)), 1, sl.rtt
	case 2:
		return m.record(append(p, 20, 3, 3, 0, 1, 1), 53), 0, 2 * millisecond
	case sl.steps:
		sl.tcp.resets = m.ending()
		return nil, 0, 300 * microsecond
	}
	from, wait := side(0), think
	if sl.step%2 == 0 {
		from, wait = 1, sl.rtt
	}
	if from != sender {
		return m.record(p, m.rng.between(60, 320)), from, wait
	}
	for n := m.rng.between(9_000, 34_000); n > 0; {
		part := min(n, 1<<14)
		p = m.record(p, part)
		n -= part
	}
	return p, from, wait
}

// firmware is a GET and a long answer.
func firmware(m *mix, sl *slot) ([]byte, side, gap) {
	p := sl.tcp.buf[:0]
	switch sl.step {
	case 0:
		sl.steps = 2 * m.rng.between(2, 8)
	case sl.steps:
		return nil, 0, 5 * millisecond
	}
	if sl.step%2 == 0 {
		p = append(p, "GET /firmware/"...)
		p = strconv.AppendInt(p, int64(sl.step/2), 10)
		p = append(p, ".bin HTTP/1.1\r\nHost: "...)
		p = m.cloudName(p, sl)
		return append(p, "\r\nUser-Agent: hub/2.4\r\nAccept: */*\r\n\r\n"...), 0, millisecond
	}
	n := m.rng.between(12_000, 34_000)
	p = append(p, "HTTP/1.1 200 OK\r\nServer: cloud\r\nContent-Type: application/octet-stream\r\nContent-Length: "...)
	p = strconv.AppendInt(p, int64(n), 10)
	p = append(p, "\r\n\r\n"...)
	return m.random(p, n), 1, sl.rtt + 3*millisecond
}
