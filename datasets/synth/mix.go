package synth

import (
	"math/bits"

	"pcaplab/parse"
)

// meanGap is the mean time between frames of iot-1: 1,000 packets a second.
const meanGap = 1_000_000 // ns

// kind is a row of the table that defines iot-1: conversations of one sort. The kinds' shares are kept by construction:
// a kind has a fixed number of slots, a slot holds one conversation after another, and each slot has a mean time
// between its frames, so that the rates of a kind's slots sum to its share of all frames.
type kind struct {
	name  string
	share int    // frames in 1,000
	slots int    // conversations at a time
	sign  string // how to recognise its frames
	doc   string
	step  func(*mix, *slot) gap // makes the next frame of the conversation
	with  func(*mix, *slot)     // chooses who talks, before each conversation
}

// kinds is the definition of iot-1.
var kinds = []kind{
	{"TLS", 250, 24, "TCP 443", "TLS 1.3: hellos, then one record of random octets a segment, in bursts of the server",
		(*mix).tlsStep, toCloud},
	{"HTTP", 80, 12, "TCP 80", "GET of JSON or of firmware in several segments, POST of telemetry",
		(*mix).httpStep, toCloud},
	{"MQTT", 125, 16, "TCP 1883", "3.1.1: CONNECT, SUBSCRIBE, PUBLISH at QoS 0 and 1, PINGREQ and their answers",
		(*mix).mqttStep, toBroker},
	{"refused TCP", 8, 2, "TCP 23", "SYN answered with RST",
		(*mix).refusedStep, toDevice},
	{"DNS", 45, 6, "UDP 53", "A and AAAA queries and answers",
		(*mix).dnsStep, toGateway},
	{"mDNS", 32, 6, "UDP 5353, IPv4", "PTR queries; answers with PTR, SRV, TXT and A",
		(*mix).mdnsStep, toMDNS},
	{"SSDP", 30, 5, "UDP 1900", "M-SEARCH with unicast answers, NOTIFY",
		(*mix).ssdpStep, toSSDP},
	{"DHCP", 8, 2, "UDP 67 and 68", "DISCOVER, OFFER, REQUEST, ACK",
		(*mix).dhcpStep, toGateway},
	{"NTP", 16, 4, "UDP 123", "client and server",
		(*mix).ntpStep, toCloud},
	{"CoAP", 45, 6, "UDP 5683, IPv4", "confirmable GET with piggybacked content, non-confirmable POST",
		(*mix).coapStep, toDevice},
	{"QUIC-like", 75, 8, "UDP 443", "long headers of 1,200 octets, then short headers in bursts of the server",
		(*mix).quicStep, toCloud},
	{"ICMP", 24, 4, "IPv4 protocol 1", "echo and its reply; port unreachable",
		(*mix).echoStep, toCloud},
	{"ARP", 36, 6, "Ethertype 0x0806", "broadcast request and reply; announcement",
		(*mix).arpStep, toGateway},
	{"IGMP", 10, 2, "IPv4 protocol 2", "v2 query and report, v3 report; with the router alert option",
		(*mix).igmpStep, toGateway},
	{"IPv6 TCP", 70, 8, "IPv6 TCP 443", "as TLS",
		(*mix).tlsStep, toCloud6},
	{"IPv6 UDP", 26, 4, "IPv6 UDP 5683", "as CoAP",
		(*mix).coapStep, toDevice6},
	{"ICMPv6", 20, 4, "IPv6 ICMPv6", "neighbour and router discovery; MLDv2 report behind a hop-by-hop header",
		(*mix).ndStep, toGateway6},
	{"VLAN TCP", 30, 4, "VLAN 20, TCP 1883", "as MQTT",
		(*mix).mqttStep, toBrokerVLAN},
	{"VLAN UDP", 24, 2, "VLAN 30, UDP 5004", "RTP of a camera",
		(*mix).rtpStep, toRecorder},
	{"first fragment", 12, 4, "IPv4, MF, offset 0", "UDP syslog messages of 1.6 to 4.4 kB, cut at 1,500 octets",
		(*mix).fragmentStep, toGateway},
	{"other fragment", 18, 0, "IPv4, offset above 0", "the rest of these messages",
		nil, nil},
	{"LLDP", 4, 2, "Ethertype 0x88cc", "announcement of the switch",
		(*mix).lldpStep, toGateway},
	{"EAPoL", 4, 2, "Ethertype 0x888e", "start, identity request and response, success",
		(*mix).eapolStep, toGateway},
	{"STP", 5, 1, "802.3 length, LLC 0x42", "configuration BPDU",
		(*mix).stpStep, toGateway},
	{"loopback", 3, 1, "Ethertype 0x9000", "Ethernet configuration testing",
		(*mix).loopStep, toGateway},
}

// gap is the mean time to a conversation's next frame in ns; think is as long as the slot's pace asks for, and below 0 is exact.
type gap int64

const think gap = 0

const (
	microsecond gap = 1_000
	millisecond gap = 1_000_000
)

// slot holds one conversation after another.
type slot struct {
	kind  *kind
	index int
	due   int64
	pace  int64 // mean ns between frames
	owed  int64 // ns by which the conversation runs ahead of its pace

	device, peer endpoint
	vlan         uint16
	v6           bool
	label        uint32 // IPv6 flow label
	rtt          gap
	ident        uint16 // IPv4 identification

	conversations int
	step, steps   int // position in the conversation, and where it ends
	port          int // of the device
	id            uint32
	left          int   // octets or frames still to send
	mark          int64 // a time to remember
	asked         bool  // the next message answers a request
	asker         side  // who sent what is answered
	held          int   // octets of a frame that a man in the middle still has to pass on
	after         gap   // to the frame after that
	tcp           tcp
}

// mix makes conversations of several kinds at a time, in one network. It is the generator of iot-1.
type mix struct {
	rng   rng
	now   int64
	slots []slot
	heap  []*slot // by due, then index
	buf   [frameBuffer]byte
	n     int // octets of the frame in buf
	tmp   [2048]byte

	gateway, broker, recorder endpoint
	hosts                     []endpoint // the devices
	subnet                    string     // the network's first three octets, with a dot behind
	unacked                   int        // segments of data that are acknowledged together
	loris                     []loris    // connections of the slots, in equal parts
	merged                    int        // one segment of so many is two that the interface joined; 0: none
	ownTTL                    bool       // hosts of the network have the time to live of hostTTL
}

func newMix(seed uint64) generator {
	m := &mix{rng: rng(seed), now: Epoch, subnet: "192.168.1.", unacked: 2}
	m.gateway, m.broker, m.recorder = lan(1), lan(2), lan(3)
	for i := range devices {
		m.hosts = append(m.hosts, lan(10+i))
	}
	m.start(kinds, meanGap, messageBuffer)
	return m
}

// start opens the first conversation of every slot, each with room for messages of so many octets.
func (m *mix) start(kinds []kind, gap int64, room int) {
	n := 0
	for i := range kinds {
		n += kinds[i].slots
	}
	m.slots = make([]slot, n)
	m.heap = make([]*slot, 0, n)
	messages := make([]byte, n*room)
	n = 0
	for i := range kinds {
		k := &kinds[i]
		share := k.share
		if i+1 < len(kinds) && kinds[i+1].step == nil {
			share += kinds[i+1].share
		}
		// Slots of a kind have paces in the ratio 1:2:3:4.
		weights := 0
		for j := range k.slots {
			weights += 1 + j%4
		}
		for j := range k.slots {
			sl := &m.slots[n]
			sl.kind, sl.index = k, n
			sl.pace = gap * 1000 * int64(weights) / int64(share*(1+j%4))
			sl.tcp.buf = messages[:room:room]
			messages = messages[room:]
			sl.ident = uint16(m.rng.next())
			m.open(sl)
			wait, _ := bits.Mul64(m.rng.next(), uint64(sl.pace))
			sl.due = Epoch + int64(wait)
			m.heap = append(m.heap, sl)
			n++
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
}

func (a *slot) before(b *slot) bool {
	return a.due < b.due || a.due == b.due && a.index < b.index
}

// sink restores the heap below i.
func (m *mix) sink(i int) {
	h := m.heap
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

func (m *mix) next(f *parse.Frame) {
	sl := m.heap[0]
	m.now = sl.due
	g := sl.kind.step(m, sl)
	*f = parse.Frame{UnixNano: m.now, Data: m.buf[:m.n], WireLen: m.n, Link: parse.LinkEthernet}
	sl.due += m.pause(sl, g)
	m.sink(0)
}

// pause returns the time to the slot's next frame. What short gaps save, the next pause to think spends: so answers
// come after a round trip and the slot still keeps its pace.
func (m *mix) pause(sl *slot, g gap) int64 {
	sl.owed += sl.pace
	if g < 0 {
		sl.owed += int64(g)
		return int64(-g)
	}
	least := int64(50 * microsecond)
	if g != think || sl.owed < least {
		d := m.rng.exp(max(int64(g), least))
		sl.owed -= d
		return d
	}
	half := sl.owed / 2
	d := half + m.rng.exp(sl.owed-half)
	sl.owed = 0
	return d
}

// open starts the slot's next conversation.
func (m *mix) open(sl *slot) {
	sl.conversations++
	sl.step = 0
	sl.port = 32768 + sl.index*160 + sl.conversations%160
	sl.id = uint32(m.rng.next())
	sl.rtt = gap(m.rng.between(1_000, 30_000)) * microsecond
	sl.kind.with(m, sl)
}

// lan returns the endpoint of host i of the home's own network.
func lan(i int) endpoint {
	return endpoint{
		mac: [6]byte{0x02, 0x10, 0, 0, 0, byte(i)},
		ip4: [4]byte{192, 168, 1, byte(i)},
		ip6: [16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 15: byte(i)},
	}
}

// linkLocal returns e with its link-local IPv6 address (RFC 4291 appendix A).
func (e endpoint) linkLocal() endpoint {
	e.ip6 = [16]byte{0xfe, 0x80, 8: e.mac[0] ^ 2, e.mac[1], e.mac[2], 0xff, 0xfe, e.mac[3], e.mac[4], e.mac[5]}
	return e
}

// group4 and group6 return the endpoint of a multicast group (RFC 1112 section 6.4, RFC 2464 section 7).
func group4(a, b, c, d byte) endpoint {
	return endpoint{mac: [6]byte{1, 0, 0x5e, b & 0x7f, c, d}, ip4: [4]byte{a, b, c, d}}
}

func group6(ip [16]byte) endpoint {
	return endpoint{mac: [6]byte{0x33, 0x33, ip[12], ip[13], ip[14], ip[15]}, ip6: ip}
}

var (
	broadcast  = endpoint{mac: [6]byte{255, 255, 255, 255, 255, 255}, ip4: [4]byte{255, 255, 255, 255}}
	allNodes   = group6([16]byte{0xff, 2, 15: 1})
	allRouters = group6([16]byte{0xff, 2, 15: 2})
)

const devices = 40

// device returns a random device. In iot-1 they are hosts 10 to 49.
func (m *mix) device() endpoint { return m.hosts[m.rng.below(len(m.hosts))] }

// after returns the k-th device after e.
func (m *mix) after(e *endpoint, k int) endpoint {
	for i := range m.hosts {
		if m.hosts[i].mac == e.mac {
			return m.hosts[(i+k)%len(m.hosts)]
		}
	}
	return m.hosts[k%len(m.hosts)]
}

// cloud returns a random server behind the gateway.
func (m *mix) cloud() endpoint {
	i := byte(1 + m.rng.below(60))
	return endpoint{
		mac: m.gateway.mac,
		ip4: [4]byte{203, 0, 113, i},
		ip6: [16]byte{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 15: i},
	}
}

func toCloud(m *mix, sl *slot) { sl.device, sl.peer = m.device(), m.cloud() }

func toCloud6(m *mix, sl *slot) {
	toCloud(m, sl)
	sl.v6, sl.label = true, sl.id&0xfffff
}

func toGateway(m *mix, sl *slot) {
	sl.device, sl.peer = m.device(), m.gateway
	sl.rtt /= 10
}

func toGateway6(m *mix, sl *slot) {
	toGateway(m, sl)
	sl.v6 = true
}

func toBroker(m *mix, sl *slot) {
	sl.device, sl.peer = m.device(), m.broker
	sl.rtt /= 10
}

func toBrokerVLAN(m *mix, sl *slot) {
	toBroker(m, sl)
	sl.vlan = 20
}

func toRecorder(m *mix, sl *slot) {
	sl.device, sl.peer = m.device(), m.recorder
	sl.vlan = 5<<13 | 30
}

func toDevice(m *mix, sl *slot) {
	sl.device, sl.peer = m.device(), m.device()
	for sl.peer == sl.device {
		sl.peer = m.device()
	}
	sl.rtt /= 10
}

func toDevice6(m *mix, sl *slot) {
	toDevice(m, sl)
	sl.v6, sl.label = true, sl.id&0xfffff
}

func toMDNS(m *mix, sl *slot) { sl.device, sl.peer = m.device(), group4(224, 0, 0, 251) }

func toSSDP(m *mix, sl *slot) { sl.device, sl.peer = m.device(), group4(239, 255, 255, 250) }
