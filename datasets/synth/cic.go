package synth

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"pcaplab/datasets/cic"
	"pcaplab/parse"
)

// emitter makes the frames of one kind of actor, in time order, from time 0 (ns), on average one each gap ns (given to its constructor).
// It sets f.Data (borrowed until its next call), f.WireLen, f.Link, f.UnixNano, and says whether the frame is the attack's (an attacker
// or its victim's answer).
type emitter interface {
	next(f *parse.Frame) (attack bool)
}

// cicTraffic is what the frames of a class of CIC-IoT-2023 are: the attack's, and those of the home network around it. The mean of
// the home's frames is what is left to make the mean of the class.
type cicTraffic struct {
	folder   string
	share    int64       // frames of the attack in 10,000
	rate     int64       // frames a second, attack and home
	disorder bool        // times step back, as where the real captures are not in strict order
	batches  bool        // frames have the time of the one before as often as in a flood
	lead     int         // frames of the attack before the first, where its conversations begin together; a scan begins at its beginning
	day      string      // of the first frame, where the catalogue has none that can be true
	flood    *floodShape // nil: newSessions makes the attack
}

// cicTable holds the classes in the catalogue's order. Shares and rates are those that public analyses found in the captures.
var cicTable = []cicTraffic{
	{folder: "Benign_Final", rate: 110},
	{folder: "DictionaryBruteForce", share: 2200, rate: 80, lead: 4000},
	{folder: "DDoS-ACK_Fragmentation", share: 9700, rate: 2_000, disorder: true, flood: &floodShape{tool: hpingTCP, flags: parse.TCPAck, data: 1800,
		pis: 7, lost: 77, replies: replyRates{reset: 2}}},
	{folder: "DDoS-HTTP_Flood", share: 9000, rate: 1_200, lead: 4000, batches: true},
	{folder: "DDoS-ICMP_Flood", share: 9950, rate: 45_000, disorder: true, flood: &floodShape{tool: hpingICMP, pis: 7, replies: replyRates{echo: 50}}},
	{folder: "DDoS-ICMP_Fragmentation", share: 9700, rate: 3_600, disorder: true, flood: &floodShape{tool: hpingICMP, data: 1800, pis: 7,
		lost: 54, replies: replyRates{echo: 40}}},
	{folder: "DDoS-PSHACK_Flood", share: 9960, rate: 26_000, flood: &floodShape{tool: hpingTCP, flags: parse.TCPPsh | parse.TCPAck, pis: 7,
		replies: replyRates{reset: 3}}},
	{folder: "DDoS-RSTFINFlood", share: 9930, rate: 35_000, disorder: true, flood: &floodShape{tool: hpingTCP, flags: parse.TCPRst | parse.TCPFin,
		pis: 7}},
	{folder: "DDoS-SYN_Flood", share: 9850, rate: 22_000, disorder: true, flood: &floodShape{tool: hpingTCP, flags: parse.TCPSyn, pis: 7, web: true,
		replies: replyRates{reset: 30, synAck: 45}}},
	{folder: "DDoS-SlowLoris", share: 6200, rate: 260, lead: 8000},
	{folder: "DDoS-SynonymousIP_Flood", share: 9950, rate: 25_000, disorder: true, flood: &floodShape{tool: hpingTCP, flags: parse.TCPSyn, pis: 7,
		synonymous: true}},
	{folder: "DDoS-TCP_Flood", share: 9850, rate: 23_000, disorder: true, flood: &floodShape{tool: hpingTCP, pis: 7, replies: replyRates{reset: 30}}},
	{folder: "DDoS-UDP_Flood", share: 9950, rate: 30_000, disorder: true, flood: &floodShape{tool: hpingUDP, pis: 7,
		replies: replyRates{unreachable: 10}}},
	{folder: "DDoS-UDP_Fragmentation", share: 9700, rate: 2_000, disorder: true, day: "2022-10-25", flood: &floodShape{tool: socketUDP, data: 1800,
		pis: 7, lost: 75, epochFrame: true, replies: replyRates{unreachable: 2}}},
	{folder: "DoS-HTTP_Flood", share: 9100, rate: 1_500, lead: 4000, batches: true, disorder: true},
	{folder: "DoS-SYN_Flood", share: 9850, rate: 22_000, disorder: true, flood: &floodShape{tool: hpingTCP, flags: parse.TCPSyn, pis: 1, web: true,
		replies: replyRates{reset: 30, synAck: 45}}},
	{folder: "DoS-TCP_Flood", share: 9850, rate: 22_000, disorder: true, flood: &floodShape{tool: hpingTCP, pis: 1, replies: replyRates{reset: 30}}},
	{folder: "DoS-UDP_Flood", share: 9900, rate: 20_000, disorder: true, flood: &floodShape{tool: hpingUDP, pis: 1, filled: 255, filling: 120,
		replies: replyRates{unreachable: 10}}},
	{folder: "Mirai-greeth_flood", share: 9850, rate: 4_000, disorder: true, flood: &floodShape{tool: miraiGREEther, data: 512, pis: 7,
		replies: replyRates{unreachable: 5}}},
	{folder: "Mirai-greip_flood", share: 9850, rate: 3_700, disorder: true, flood: &floodShape{tool: miraiGREIP, data: 512, pis: 7,
		replies: replyRates{unreachable: 12}}},
	{folder: "Mirai-udpplain", share: 9850, rate: 4_000, disorder: true, flood: &floodShape{tool: miraiUDP, data: 512, pis: 7,
		replies: replyRates{unreachable: 5}}},
	{folder: "Recon-HostDiscovery", share: 4800, rate: 600},
	{folder: "Recon-OSScan", share: 2200, rate: 400},
	{folder: "Recon-PingSweep", share: 1200, rate: 60},
	{folder: "Recon-PortScan", share: 3200, rate: 700},
	{folder: "VulnerabilityScan", share: 900, rate: 300, lead: 4000, day: "2022-09-28"},
	{folder: "DNS_Spoofing", share: 900, rate: 100, lead: 4000},
	{folder: "MITM-ArpSpoofing", share: 400, rate: 300, lead: 4000},
	{folder: "Backdoor_Malware", share: 800, rate: 60, lead: 4000},
	{folder: "BrowserHijacking", share: 2200, rate: 60, lead: 4000},
	{folder: "CommandInjection", share: 700, rate: 60, lead: 4000},
	{folder: "SqlInjection", share: 900, rate: 60, lead: 4000},
	{folder: "Uploading_Attack", share: 700, rate: 60, lead: 4000},
	{folder: "XSS", share: 800, rate: 60, lead: 4000},
}

// Hosts of the lab, 192.168.137.0/24. MAC addresses are those of the captures, as public analyses name them; which address each
// has is made up, but for the network.
var (
	cicGateway   = cicHost(1, [6]byte{0x3c, 0x18, 0xa0, 0x41, 0xc3, 0xa0})
	cicAttackers = [7]endpoint{ // the first is the only one of DoS, Recon, Spoofing and BruteForce, the fifth joins it in Web
		cicHost(41, [6]byte{0xdc, 0xa6, 0x32, 0xdc, 0x27, 0xd5}),
		cicHost(42, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe4, 0x90}),
		cicHost(43, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe4, 0xab}),
		cicHost(44, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe4, 0xd5}),
		cicHost(45, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe5, 0xa4}),
		cicHost(46, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe5, 0xef}),
		cicHost(47, [6]byte{0xe4, 0x5f, 0x01, 0x55, 0x90, 0xc4}),
	}
	cicVictims = [6]endpoint{
		cicHost(61, [6]byte{0x1c, 0xfe, 0x2b, 0x98, 0x16, 0xdd}), // Echo Dot
		cicHost(62, [6]byte{0x1c, 0x12, 0xb0, 0x9b, 0x0c, 0xec}), // Echo Spot
		cicHost(63, [6]byte{0xa0, 0xd0, 0xdc, 0xc4, 0x08, 0xff}),
		cicHost(64, [6]byte{0xcc, 0xf4, 0x11, 0x9c, 0xd0, 0x00}), // Nest Mini
		cicHost(65, [6]byte{0x9c, 0x8e, 0xcd, 0x1d, 0xab, 0x9f}), // Amcrest camera
		cicHost(66, [6]byte{0x28, 0x6d, 0x97, 0x9e, 0xf4, 0xd5}),
	}
	cicDVWA = [3]endpoint{ // Raspberry Pi with the Damn Vulnerable Web Application
		cicHost(81, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe6, 0xf4}),
		cicHost(82, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe4, 0xc6}),
		cicHost(83, [6]byte{0xdc, 0xa6, 0x32, 0xc9, 0xe5, 0x02}),
	}
)

// cicHost returns a host of the lab; IPv6 addresses are link-local.
func cicHost(i byte, mac [6]byte) endpoint {
	return endpoint{mac: mac, ip4: [4]byte{192, 168, 137, i}}.linkLocal()
}

const cicDevices = 40

// cicDevice returns device i of cicDevices that attack nobody and are attacked by nobody; their MAC addresses are made up.
func cicDevice(i int) endpoint {
	return cicHost(byte(101+i), [6]byte{0x02, 0xc1, 0xc0, 0, 0, byte(101 + i)})
}

// CIC starts the traffic of a class of CIC-IoT-2023, named by its folder in any case: frames of the shapes, sizes, rates and shares that
// public analyses of the captures report (METHOD.md says which are exact, and which are guessed), none of them copied. Times are whole
// microseconds from noon of the day on which the class's first capture begins; in floods many are equal, a few step back, and minutes to
// days are left out at a few places, 40 days at most. Equal classes and seeds give equal frames on every architecture.
func CIC(class string, seed uint64) (*Source, error) {
	for i := range cicTable {
		if strings.EqualFold(cicTable[i].folder, class) {
			g := newCICClass(&cicTable[i], seed)
			return &Source{gen: g, labels: g}, nil
		}
	}
	return nil, fmt.Errorf("no class %q in CIC-IoT-2023: name its folder, as DDoS-SYN_Flood", class)
}

// Times of a class, beyond those that its emitters give.
const (
	backStep  = 500 // in floods one frame in so many steps back
	backMost  = 200 // by so many microseconds at most
	pauseFrom = 10_000
	pauseTo   = 60_000 // frames before the first time that is left out
	growLeast = 3
	growMost  = 6           // times as many before the next
	pauses    = 8           // of a class
	longPause = 5 * 24 * 60 // minutes
	homeLead  = 4000        // frames of the home before the first: its conversations begin together, a capture begins among them
)

// cicClass is the traffic of one class: its attack and its home, merged by time.
type cicClass struct {
	*cicTraffic
	rng     rng
	parts   [2]emitter // attack, which benign traffic has not, and home
	tool    *cicFlood  // the attack, if it is a flood
	frames  [2]parse.Frame
	hostile [2]bool  // of frames
	have    [2]bool  // frames holds the part's next frame
	before  [2]int64 // times of the parts when the class begins
	follows bool     // the attack's next frame belongs to the one before it: the rest of a datagram, or an answer
	reached int64    // time of the attack's frame given last

	start     int64 // what is added to the times of the parts
	last      int64 // time of the frame given last, the steps back aside
	sent      uint64
	pauseAt   uint64 // before which frame time is left out at the earliest, counted from 0; 0 is never
	paused    int
	zeroAt    uint64 // which frame has time 0; 0 is none
	isHostile bool
}

func newCICClass(t *cicTraffic, seed uint64) *cicClass {
	h := fnv.New64a() // classes differ under one seed
	h.Write([]byte(t.folder))
	c := &cicClass{cicTraffic: t, rng: rng(seed ^ h.Sum64())}
	attackSeed, homeSeed := c.rng.next(), c.rng.next()
	gap := second / t.rate
	homeGap := gap * 10_000 / (10_000 - t.share)
	if t.silent() {
		homeGap = homeGap * int64(t.flood.lost) / 1000
	}
	c.parts[1] = newHome(homeSeed, homeGap, t.homeMean())
	c.skip(1, homeLead)
	if t.share > 0 {
		gap = gap * 10_000 / t.share
		if t.flood == nil {
			c.parts[0] = newSessions(t.folder, attackSeed, gap)
			c.skip(0, t.lead)
		} else {
			c.tool = newCICFlood(t.flood, attackSeed, gap)
			c.parts[0] = c.tool
			c.pauseAt = uint64(c.rng.between(pauseFrom, pauseTo))
			if t.flood.epochFrame {
				c.zeroAt = uint64(c.rng.between(100, 1000))
			}
		}
	}
	c.start = t.noon()
	return c
}

// skip drops the first n frames of a part, and their time.
func (c *cicClass) skip(part, n int) {
	for range n {
		c.parts[part].next(&c.frames[part])
	}
	c.before[part] = c.frames[part].UnixNano
}

// silent reports whether the home is heard only where the flood loses fragments: what the network cannot carry of the one it cannot carry
// of the other, and where the flood is whole it takes all.
func (t *cicTraffic) silent() bool { return t.flood != nil && t.flood.lost > 0 }

func (c *cicClass) next(f *parse.Frame) {
	which := -1
	for i, e := range c.parts {
		if e == nil {
			continue
		}
		if !c.have[i] {
			if i == 0 && c.tool != nil {
				c.follows = c.tool.pending()
			}
			c.hostile[i] = e.next(&c.frames[i])
			c.have[i] = true
			c.frames[i].UnixNano -= c.before[i]
		}
		if which < 0 || c.frames[i].UnixNano < c.frames[which].UnixNano {
			which = i
		}
	}
	if c.silent() && !c.tool.alone {
		which = 0 // the home's time stands still
		wait := c.frames[0].UnixNano - c.reached
		c.before[1] -= wait
		c.frames[1].UnixNano += wait
	}
	if which == 0 {
		c.reached = c.frames[0].UnixNano
	}
	c.have[which] = false
	c.isHostile = c.hostile[which]
	*f = c.frames[which]
	if c.pauseAt > 0 && c.sent >= c.pauseAt && !c.follows {
		c.start += int64(c.rng.between(1, longPause)) * 60 * second
		c.pauseAt *= uint64(c.rng.between(growLeast, growMost))
		if c.paused++; c.paused == pauses {
			c.pauseAt = 0
		}
	}
	t := c.start + f.UnixNano/1000*1000
	if c.batches && c.sent > 0 && c.rng.below(1000) < sameTime {
		t = c.last
	}
	f.UnixNano = t
	switch {
	case c.sent == 0:
	case c.sent == c.zeroAt:
		f.UnixNano = 0
	case c.disorder && c.rng.below(backStep) == 0:
		f.UnixNano = c.last - 1000*int64(c.rng.between(1, backMost))
	}
	c.last = t
	c.sent++
}

func (c *cicClass) class() string { return c.folder }
func (c *cicClass) attacks() bool { return c.isHostile }

// facts returns what the catalogue says of the class.
func (t *cicTraffic) facts() cic.Class {
	for _, c := range cic.Classes() {
		if c.Folder == t.folder {
			return c
		}
	}
	panic("no class " + t.folder) // TestCICTable
}

func (t *cicTraffic) noon() int64 {
	day := t.facts().FirstPacket
	if t.day != "" {
		day, _ = time.Parse(time.DateOnly, t.day) // TestCICTable
	}
	return day.UnixNano() + 12*60*60*second
}

// Means of frames that newHome can make, in thousandths of an octet.
const (
	leastHome = 90_000
	mostHome  = 1_000_000
)

// homeMean returns the mean frame of the home, in thousandths of an octet, with which the class has its mean.
func (t *cicTraffic) homeMean() int64 {
	return min(max(t.homeNeeds(), leastHome), mostHome)
}

func (t *cicTraffic) homeNeeds() int64 {
	facts := t.facts()
	mean := facts.Octets * 1000 / facts.Packets
	switch {
	case t.share == 0:
		return mean
	case t.flood != nil:
		return (mean*10_000 - t.share*t.flood.mean()) / (10_000 - t.share)
	}
	return (mean*10_000 - t.share*sessionMean(t.folder)) / (10_000 - t.share)
}

// runFrames is how many frames of a class follow one another in cicAll: a window of the floods.
const runFrames = 100

// cicAll is the profile "cic": runs of all classes, as often as they have packets in the dataset.
type cicAll struct {
	classes []*cicClass
	last    []int64 // time of each class's frame given last
	packets []int64 // of each class in the dataset
	credit  []int64 // by how much each class lags behind its share of the runs, in runs times all packets
	total   int64
	now     int64
	at      int  // the class under way
	left    int  // frames of its run
	begun   bool // a frame was given
}

func newCICAll(seed uint64) *cicAll {
	a := &cicAll{now: Epoch, credit: make([]int64, len(cicTable))}
	for i := range cicTable {
		c := newCICClass(&cicTable[i], seed)
		c.pauseAt, c.zeroAt = 0, 0
		a.classes = append(a.classes, c)
		a.last = append(a.last, c.start)
		a.packets = append(a.packets, c.facts().Packets)
		a.total += a.packets[i]
	}
	return a
}

func (a *cicAll) next(f *parse.Frame) {
	if a.left == 0 {
		a.left = runFrames
		for i, n := range a.packets {
			a.credit[i] += n
		}
		for i, n := range a.credit {
			if n > a.credit[a.at] {
				a.at = i
			}
		}
		a.credit[a.at] -= a.total
	}
	a.left--
	a.begun = true
	a.classes[a.at].next(f)
	a.now += f.UnixNano - a.last[a.at]
	a.last[a.at] = f.UnixNano
	f.UnixNano = a.now
}

func (a *cicAll) class() string {
	if !a.begun {
		return ""
	}
	return cicTable[a.at].folder
}

func (a *cicAll) attacks() bool { return a.begun && a.classes[a.at].isHostile }
