package cic

import (
	"slices"
	"strings"
	"time"
)

// traits are what no table holds. Tools are as the makers' paper reports them, which nobody has verified, for most classes by
// category only: see ToolSource. The shapes on the wire were read in the tools' sources and in public analyses; lengths are
// those of a captured frame, without its checksum.
type traits struct {
	tool, wire string
	faults     []string
}

const (
	unordered = "Packets are not everywhere in order of time."
	cutTables = "Its tables 7, 8 and 9 of the newer release end in the middle of a row: 7.4 % of the rows are missing."
	repeated  = "half of the rows of its tables repeat another row exactly."
	answers   = "89 to 92 % of the frames of the HTTP floods have an attacker's address; the others have the label too."

	reconTools = "nmap, fping, vulscan"
	webTools   = "DVWA, Remot3d, BeEF"
)

// few says how little of a class is attack, for classes that are background in the main.
func few(percent string) string {
	return "Only about " + percent + " of the frames have an attacker's address; the others have the label too, since it is that of the whole file."
}

// unattacked says how many rows have the label without a frame of an attacker's in them.
func unattacked(percent string) string {
	return percent + " of the windows of 10 frames hold no frame of an attacker's."
}

var traitsOf = map[string]traits{
	"Benign_Final": {"none",
		"Traffic of a smart home: mostly TLS to clouds through the gateway, with DNS, mDNS, SSDP, NTP, DHCP, ARP, IGMP, MQTT, spanning tree " +
			"and IPv6; about 110 frames a second.",
		[]string{"Frames above 1514 B, joined by the capturing host, are in BenignTraffic1 and BenignTraffic2: they do not fit an MTU of 1500.",
			"Folder, files and labels have three names: Benign_Final, BenignTraffic, BENIGN."}},
	"DictionaryBruteForce": {"nmap, hydra",
		"Many short sessions that try to log in over SSH, Telnet, FTP and HTTP, one host against the others.",
		[]string{few("22 %"), "Of its 133,138 frames 2,506 are neither IPv4 nor ARP: IPv6, 802.3 with LLC, and loopback tests (EtherType 0x9000)."}},
	"DDoS-ACK_Fragmentation": {"hping3",
		"TCP ACKs with 1,800 octets of data, cut into two IP fragments: 1514 and 374 B in turn, so that half of the frames have no TCP header. " +
			"The two lengths fit the mean and are not verified: no frame was seen.",
		[]string{unordered}},
	"DDoS-HTTP_Flood": {"golang-httpflood",
		"Real TCP sessions to port 80 over many connections at once, GET /? with random text and a random User-Agent, and the server's answers.",
		[]string{answers, "Its file ends in a dash: DDoS-HTTP_Flood-.pcap."}},
	"DDoS-ICMP_Flood": {"hping3",
		"ICMP echo requests without data, padded to 60 B, from several hosts to one.",
		[]string{unordered, "At least one packet was captured short.", "About " + repeated}},
	"DDoS-ICMP_Fragmentation": {"hping3",
		"ICMP echo requests with 1,800 octets of data, cut into two IP fragments: 1514 and 362 B in turn.",
		[]string{unordered}},
	"DDoS-PSHACK_Flood": {"hping3",
		"TCP with PSH and ACK set, no data, padded to 60 B; source ports count up, window 512.",
		[]string{"The folder of its tables is spelt DDoS-PSHACK_FLOOD."}},
	"DDoS-RSTFINFlood": {"hping3",
		"TCP with RST and FIN set, no data, padded to 60 B.",
		[]string{unordered, "The folder of its tables is spelt DDoS-RSTFINFLOOD.", "About " + repeated}},
	"DDoS-SYN_Flood": {"hping3",
		"TCP SYNs without options, padded to 60 B; source ports count up. Few are answered.",
		[]string{unordered}},
	"DDoS-SlowLoris": {"slowloris",
		"150 connections a host to a web server, each with half a request and another header line every 15 s.",
		[]string{few("62 %")}},
	"DDoS-SynonymousIP_Flood": {"hping3",
		"TCP SYNs whose source address is the victim's own, padded to 60 B; the only flood with a forged source.",
		[]string{unordered, "About " + repeated}},
	"DDoS-TCP_Flood": {"hping3",
		"TCP without any flag, no data, padded to 60 B.",
		[]string{unordered}},
	"DDoS-UDP_Flood": {"hping3",
		"UDP without data, padded to 60 B, to port 0 or 80.",
		[]string{unordered}},
	"DDoS-UDP_Fragmentation": {"udp-flood",
		"UDP with 1,800 octets of data, cut into two IP fragments: 1514 and 362 B in turn; about half of the frames have a UDP header.",
		[]string{unordered, "One packet has the time 0: the first packet of 1970-01-01 is that wrong stamp, and says nothing of when the attack was."}},
	"DoS-HTTP_Flood": {"golang-httpflood",
		"As DDoS-HTTP_Flood, from one host; answers are longer.",
		[]string{answers, unordered}},
	"DoS-SYN_Flood": {"hping3",
		"TCP SYNs without options, padded to 60 B, from one host.",
		[]string{unordered}},
	"DoS-TCP_Flood": {"hping3",
		"TCP without any flag, no data, padded to 60 B, from one host.",
		[]string{unordered}},
	"DoS-UDP_Flood": {"hping3, udp-flood",
		"UDP from one host: a part without data in 60 B, a part with data (the first file has 106.8 B a frame, the class 87.0); " +
			"which program made which is not known.",
		[]string{unordered, cutTables}},
	"Mirai-greeth_flood": {"Mirai's source, adapted",
		"GRE with an Ethernet frame inside (protocol 0x6558): 592 B, of which 512 are random UDP data between random inner addresses.",
		[]string{unordered}},
	"Mirai-greip_flood": {"Mirai's source, adapted",
		"GRE with an IP packet inside (protocol 0x0800): 578 B, of which 512 are random UDP data between random inner addresses.",
		[]string{unordered}},
	"Mirai-udpplain": {"Mirai's source, adapted",
		"UDP with 512 random octets, 554 B, from one source port to random ports, not to be fragmented.",
		[]string{unordered, "Inside Mirai-udpplain24 there are gaps of days to months."}},
	"Recon-HostDiscovery": {reconTools,
		"Probes for hosts: ICMP echo and timestamp requests, a SYN to 443, an ACK to 80, and ARP.",
		[]string{few("48 %")}},
	"Recon-OSScan": {reconTools,
		"A port scan, then probes that tell systems apart: TCP with odd flags and options, ICMP, 300 octets of UDP to a closed port.",
		[]string{few("22 %")}},
	"Recon-PingSweep": {reconTools,
		"ICMP echo requests and ARP questions over the whole /24.",
		[]string{few("12 %")}},
	"Recon-PortScan": {reconTools,
		"TCP SYNs with a window of 1024 and an MSS to port after port, answered by RST with ACK or SYN with ACK.",
		[]string{few("32 %")}},
	"VulnerabilityScan": {reconTools,
		"A port scan, then requests to whatever answers: HTTP, Telnet, SMTP and others.",
		[]string{few("9 %"), "Rows of the older release sum up 100 frames, those of the newer 10.", "The day of its first packet is not known."}},
	"DNS_Spoofing": {"ettercap",
		"ARP answers that put the attacker in the middle, and DNS answers with the attacker's address.",
		[]string{few("9 %")}},
	"MITM-ArpSpoofing": {"ettercap",
		"ARP answers to both sides without a question; then the victim's frames appear twice, to the attacker and on to the gateway with a TTL one lower.",
		[]string{few("4 %"), unattacked("87 %")}},
	"Backdoor_Malware": {webTools,
		"HTTP to a web application on port 80, and a shell over HTTP.",
		[]string{few("6 to 9 %")}},
	"BrowserHijacking": {webTools,
		"A browser that loads a hook script and asks for orders over HTTP again and again.",
		[]string{few("22 %")}},
	"CommandInjection": {webTools,
		"HTTP POSTs of commands to a web application on port 80.",
		[]string{few("6 to 9 %"), unattacked("78 %")}},
	"SqlInjection": {webTools,
		"HTTP requests to a web application on port 80 with SQL in the query.",
		[]string{few("9 %"), unattacked("80 %")}},
	"Uploading_Attack": {webTools,
		"HTTP POSTs of files, in several parts, to a web application on port 80.",
		[]string{few("6 to 9 %")}},
	"XSS": {webTools,
		"HTTP requests to a web application on port 80 with scripts in them.",
		[]string{few("6 to 9 %")}},
}

// Tool returns the programs that made the attack, as far as ToolSource says; "none" for benign traffic.
func (c Class) Tool() string { return traitsOf[c.Folder].tool }

// ToolSource says where Tool is from, and whether that is of the class or of its category, whose classes need not all have
// been made by all its programs; "" for benign traffic.
func (c Class) ToolSource() string {
	switch c.Folder {
	case "Benign_Final":
		return ""
	case "DictionaryBruteForce", "DDoS-ACK_Fragmentation", "DDoS-HTTP_Flood", "DDoS-ICMP_Fragmentation", "DDoS-SlowLoris",
		"DDoS-UDP_Fragmentation", "DoS-HTTP_Flood", "DoS-UDP_Flood":
		return "the makers' paper; not verified"
	}
	return "the makers' paper, of the category; not verified"
}

// FirstPacketWrong returns whether FirstPacket is a time that no packet can have been captured at.
func (c Class) FirstPacketWrong() bool { return c.FirstPacket.Equal(time.Unix(0, 0)) }

// Wire returns what the frames look like, in a sentence or two. Lengths are of frames as captured, in octets (B).
func (c Class) Wire() string { return traitsOf[c.Folder].wire }

// Faults returns what is known to be wrong or surprising with the published files of the class, a sentence each.
func (c Class) Faults() []string { return slices.Clone(traitsOf[c.Folder].faults) }

// Nearest returns the folders of at most n classes with a name near to one that is none, nearest first. A part of a name is
// near to it.
func Nearest(name string, n int) []string {
	type near struct {
		folder   string
		distance int
	}
	var found []near
	name = strings.ToLower(name)
	far := min(max(2, len(name)/3), len(name)-1)
	for _, c := range Classes() {
		best := far + 1
		for _, other := range []string{c.Folder, c.Stem, c.Label, c.OldLabel} {
			other = strings.ToLower(other)
			d := distance(name, other)
			if len(name) >= 2 && strings.Contains(other, name) {
				d = min(d, 1)
			}
			best = min(best, d)
		}
		if best <= far {
			found = append(found, near{c.Folder, best})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.distance - b.distance })
	var folders []string
	for _, f := range found[:min(n, len(found))] {
		folders = append(folders, f.folder)
	}
	return folders
}

// distance is Levenshtein's: how many octets to change, add or take away.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := before
			if a[i] != b[j] {
				d = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
