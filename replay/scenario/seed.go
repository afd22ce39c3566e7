package scenario

import "fmt"

const (
	seedLine   = 100e6 // bit/s of the board's Ethernet
	seedSource = "otavioolsilva.github.io, research checkpoints 07, 09 and 10: PyShark, Scapy and pypcap+dpkt on a Raspberry Pi 3B"
	seedWindow = 50 // seconds that the study's scripts ran: 10 before, 10 to 23 of traffic, the rest after
)

// Builtin returns the scenarios that the program knows by name. They are those of the study that seedSource names:
// seed-bitrate, seed-length and seed-ddos. Where the study sent without a limit, the row has the highest rate that it reports
// for any of its parsers (a slow parser on the same board slowed the sender too).
func Builtin() []Scenario {
	return []Scenario{seedBitrate(), seedLength(), seedDDoS()}
}

func seedBitrate() Scenario {
	s := Scenario{Name: "seed-bitrate", Source: seedSource, WindowSeconds: seedWindow,
		Doc: "iperf3 for 10 s over loopback (LH) and Ethernet (RS): TCP unlimited, UDP at 1 to 10 Mbit/s and unlimited"}
	for _, side := range []struct {
		name, link string
		line       float64
		payload    int
		tcp, udp   float64 // Mbit/s that the study reached without a limit
	}{
		{"LH", "loopback", 0, 32768, 3610, 7210},
		{"RS", "ethernet", seedLine, 1448, 94.7, 95.7}, // by iperf3, whose last packets were still in its socket
	} {
		s.Rows = append(s.Rows, Row{Name: side.name + " TCP unlimited", Side: side.name, Kind: "tcp", Link: side.link, LineBitPerSecond: side.line,
			BitPerSecond: side.tcp * 1e6, Seconds: 10, Unlimited: true})
		for _, rate := range []float64{1, 2, 3, 4, 5, 10} {
			s.Rows = append(s.Rows, Row{Name: fmt.Sprintf("%s UDP %g Mbit/s", side.name, rate), Side: side.name, Kind: "udp",
				Link: side.link, LineBitPerSecond: side.line, BitPerSecond: rate * 1e6, Payload: side.payload, Seconds: 10})
		}
		s.Rows = append(s.Rows, Row{Name: side.name + " UDP unlimited", Side: side.name, Kind: "udp", Link: side.link, LineBitPerSecond: side.line,
			BitPerSecond: side.udp * 1e6, Payload: side.payload, Seconds: 10, Unlimited: true})
	}
	return s
}

func seedLength() Scenario {
	s := Scenario{Name: "seed-length", Source: seedSource, WindowSeconds: seedWindow,
		Doc: "iperf3 UDP over Ethernet: 1000 and 4000 datagrams of 148 to 1448 B at 2 Mbit/s; 48 to 1448 B at 1 and 5 Mbit/s for 10 s"}
	for _, n := range []uint64{1000, 4000} {
		for _, payload := range []int{148, 724, 1448} {
			s.Rows = append(s.Rows, Row{Name: fmt.Sprintf("%d x %d B at 2 Mbit/s", n, payload), Side: "RS", Kind: "udp",
				Link: "ethernet", LineBitPerSecond: seedLine, BitPerSecond: 2e6, Payload: payload, Datagrams: n})
		}
	}
	for _, rate := range []float64{1, 5} {
		for _, payload := range []int{48, 328, 608, 888, 1168, 1448} {
			s.Rows = append(s.Rows, Row{Name: fmt.Sprintf("%d B at %g Mbit/s", payload, rate), Side: "RS", Kind: "udp",
				Link: "ethernet", LineBitPerSecond: seedLine, BitPerSecond: rate * 1e6, Payload: payload, Seconds: 10})
		}
	}
	return s
}

// seedFlood is the study's count of packets on the attacker, the mean of its three rows.
const seedFlood = (627471.2 + 630071.4 + 631650.2) / 3

func seedDDoS() Scenario {
	s := Scenario{Name: "seed-ddos", Source: seedSource, WindowSeconds: seedWindow,
		Doc: "a SYN flood of 54 B frames for 10 s at the rate that the study's attacker reached, over loopback (LH) and Ethernet (RA)"}
	s.Rows = []Row{
		{Name: "LH SYN flood", Side: "LH", Kind: "syn", Link: "loopback", PPS: seedFlood / 10, Seconds: 10, Unlimited: true},
		{Name: "RA SYN flood", Side: "RA", Kind: "syn", Link: "ethernet", PPS: seedFlood / 10, Seconds: 10, Unlimited: true,
			Reference: seedFlood},
	}
	return s
}

// Find returns a scenario by name or, where there is none of that name, from the file.
func Find(nameOrFile string) (Scenario, error) {
	for _, s := range Builtin() {
		if s.Name == nameOrFile {
			return s, nil
		}
	}
	return Read(nameOrFile)
}
