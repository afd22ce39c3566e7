package synth

import (
	"pcaplab/parse"
)

// sessions is the attack part of a class whose attack is conversations: all its frames are sent by an attacker or to one.
type sessions struct {
	mix
	pace pace
}

// sessionClass says what the attack of a class of CIC-IoT-2023 consists of.
type sessionClass struct {
	name  string
	mean  int64 // frame, in thousandths of an octet, as measured over four times 200,000 frames at the class's own rate
	kinds []kind
	room  int  // octets of a message; 0 is messageBuffer
	slow  bool // its connections last, and a slot holds many
}

// sessionClasses are the classes whose attack is conversations, in the catalogue's order.
var sessionClasses = []sessionClass{
	{name: "DictionaryBruteForce", mean: 95_400, kinds: []kind{
		{"SSH", 400, 8, "TCP 22", "key exchange, then passwords", (*mix).sshStep, toLogin(22)},
		{"Telnet", 200, 6, "TCP 23", "options, then names and passwords", (*mix).telnetStep, toLogin(23)},
		{"FTP", 200, 6, "TCP 21", "USER and PASS", (*mix).ftpStep, toLogin(21)},
		{"HTTP", 200, 4, "TCP 80", "POST of a login", (*mix).formStep, toLogin(80)},
	}},
	{name: "DDoS-HTTP_Flood", mean: 164_850, room: pageRoom, kinds: []kind{
		{"HTTP", 1000, 112, "TCP 80", "GET of random queries by seven hosts", (*mix).ddosHTTPStep, toServer},
	}},
	{name: "DDoS-SlowLoris", mean: 74_620, room: pageRoom, slow: true, kinds: []kind{
		{"HTTP", 1000, 7 * lorisParts, "TCP 80", "requests that do not end, by seven hosts", (*mix).slowStep, toSlow},
	}},
	{name: "DoS-HTTP_Flood", mean: 435_320, room: pageRoom, kinds: []kind{
		{"HTTP", 1000, 96, "TCP 80", "GET of random queries by one host", (*mix).dosHTTPStep, toServerAlone},
	}},
	{name: "Recon-HostDiscovery", mean: 60_000, kinds: []kind{
		{"discovery", 1000, 1, "ICMP, TCP 443 and 80, ARP", "four probes of every host", (*mix).discoveryStep, toNext},
	}},
	{name: "Recon-OSScan", mean: 63_520, kinds: []kind{
		{"systems", 1000, 4, "TCP, UDP, ICMP", "ports, then probes for the operating system", (*mix).osScanStep, toSystem},
	}},
	{name: "Recon-PingSweep", mean: 65_210, kinds: []kind{
		{"sweep", 1000, 1, "ICMP, ARP", "an echo to every host", (*mix).pingSweepStep, toNext},
	}},
	{name: "Recon-PortScan", mean: 60_000, kinds: []kind{
		{"ports", 1000, 1, "TCP", "a SYN to 1,000 ports of every host", (*mix).scanStep, toVictim},
	}},
	{name: "VulnerabilityScan", mean: 137_680, kinds: []kind{
		{"ports", 400, 1, "TCP", "a SYN to 1,000 ports of every host", (*mix).scanStep, toVictim},
		{"HTTP", 420, 6, "TCP 80", "GET of paths that are often there", (*mix).webScanStep, toApplication},
		{"services", 180, 4, "TCP 21, 22, 23, 25, 6667", "services asked for their names", (*mix).bannerStep, toService},
	}},
	{name: "DNS_Spoofing", mean: 382_540, room: messageBuffer + relayRoom, kinds: []kind{
		{"poison", 60, 1, "ARP", "answers that nobody asked for", (*mix).poisonStep, toPoisoned},
		{"forged", 140, 2, "UDP 53", "answers with the attacker's address", (*mix).forgeStep, toPoisoned},
		{"TLS", 500, 4, "TCP 443", "the victim's sessions, each frame twice", (*mix).relayTLSStep, toCloudPoisoned},
		{"UDP", 100, 2, "UDP 33434", "the victim's datagrams, each twice", (*mix).relayBeatStep, toCloudPoisoned},
		{"HTTP", 200, 2, "TCP 80", "the victim at the forged address", (*mix).httpStep, toForger},
	}},
	{name: "MITM-ArpSpoofing", mean: 488_650, room: messageBuffer + relayRoom, kinds: []kind{
		{"poison", 40, 1, "ARP", "answers that nobody asked for", (*mix).poisonStep, toPoisoned},
		{"TLS", 700, 6, "TCP 443", "the victim's sessions, each frame twice", (*mix).relayTLSStep, toCloudPoisoned},
		{"HTTP", 200, 2, "TCP 80", "the victim's requests, each frame twice", (*mix).relayHTTPStep, toCloudPoisoned},
		{"UDP", 60, 2, "UDP 33434", "the victim's datagrams, each twice", (*mix).relayBeatStep, toCloudPoisoned},
	}},
	{name: "Backdoor_Malware", mean: 156_400, kinds: []kind{
		{"shell", 1000, 3, "TCP 8080", "commands asked for and their output posted", (*mix).shellStep, fromApplication},
	}},
	{name: "BrowserHijacking", mean: 338_200, kinds: []kind{
		{"hook", 1000, 4, "TCP 3000", "a script that polls", (*mix).hookStep, fromBrowser},
	}},
	{name: "CommandInjection", mean: 423_000, kinds: []kind{
		{"exec", 1000, 3, "TCP 80", "POST to a page that runs commands", (*mix).commandStep, toApplication},
	}},
	{name: "SqlInjection", mean: 294_400, kinds: []kind{
		{"sqli", 1000, 3, "TCP 80", "SQL in a query", (*mix).sqlStep, toApplication},
	}},
	{name: "Uploading_Attack", mean: 349_900, kinds: []kind{
		{"upload", 1000, 3, "TCP 80", "a file that is no picture", (*mix).uploadingStep, toApplication},
	}},
	{name: "XSS", mean: 345_270, kinds: []kind{
		{"script", 1000, 3, "TCP 80", "a script in a query or in a form", (*mix).scriptStep, toApplication},
	}},
}

// newSessions returns the attack part of a class, named as its folder: one frame each gap ns on average, from time 0, whole microseconds.
// It panics for a class whose attack is not conversations.
func newSessions(class string, seed uint64, gap int64) emitter {
	c := sessionClassOf(class)
	s := &sessions{mix: mix{rng: rng(seed), now: Epoch, unacked: 2}}
	s.lab()
	s.broker = cicVictims[s.rng.below(len(cicVictims))]
	room := c.room
	if room == 0 {
		room = messageBuffer
	}
	over := int64(homeOver)
	if c.slow {
		over = lorisOver
		s.loris = make([]loris, len(cicAttackers)*lorisParts*lorisConnections(gap))
	}
	s.pace = newPace(gap, gap, over)
	s.start(c.kinds, gap, room)
	if c.slow {
		s.stagger()
	}
	return s
}

// sessionMean returns the mean frame of a class's attack in thousandths of an octet.
func sessionMean(class string) int64 { return sessionClassOf(class).mean }

func sessionClassOf(class string) *sessionClass {
	for i := range sessionClasses {
		if sessionClasses[i].name == class {
			return &sessionClasses[i]
		}
	}
	panic("no sessions in class " + class)
}

func (s *sessions) next(f *parse.Frame) bool {
	was := s.now
	s.mix.next(f)
	f.UnixNano = s.pace.step(s.now - was)
	return true
}
