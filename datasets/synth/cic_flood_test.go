package synth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// floodClasses returns the classes whose attack is a flood of this package.
func floodClasses() []*cicTraffic {
	var floods []*cicTraffic
	for i := range cicTable {
		if cicTable[i].flood != nil {
			floods = append(floods, &cicTable[i])
		}
	}
	return floods
}

// floodPinned are the digests of 10,000 frames of each flood without its home, seed 1, 10 µs a frame.
var floodPinned = map[string]string{
	"DDoS-ACK_Fragmentation":  "8b5e0ef15849c32449d50d9545c8d325850cd1d05c4e03fc2dbee3aebdc63efe",
	"DDoS-ICMP_Flood":         "1ebc84dc5334068251f04b9a8a6bdc65d516a1ee53838d185006fbabc5107b79",
	"DDoS-ICMP_Fragmentation": "a613707fa8ac68800458cb7e9fcb9ef56bc323608c95c74b8381ce74ff2b50f5",
	"DDoS-PSHACK_Flood":       "bc56bb51a218acacc46c1e7e5329b378dee161f3dc8c41fc203d2388e24cfda5",
	"DDoS-RSTFINFlood":        "d02d71adf6e91fdfbabffa1f1834ce515ff3bc78ea57b62f248cb7255cd1934b",
	"DDoS-SYN_Flood":          "062027ed632be1dca4a52190afa374ef96b08f7a9dc63ccd9be8c8660cfc4e0a",
	"DDoS-SynonymousIP_Flood": "e9467ca933971ec511629a26bc627fb29b5d4458954daae90e669abd69ef6f43",
	"DDoS-TCP_Flood":          "8de62c55614234ae9787d835a07a07eed3b0fb87eb6f7609f3fa8f5273574389",
	"DDoS-UDP_Flood":          "bfcb8bb349b7ccecea839f2d76c609a54e02e272bb1c9cc9e2e236408455142b",
	"DDoS-UDP_Fragmentation":  "3ef424bd938f7faec9039ea421bbf72b12b8908ea081e0c96b191adb872f6458",
	"DoS-SYN_Flood":           "e5225aa08a24fdb7fb4963bafaa50ba8c47d741854edc0551e10d8eac4116ae1",
	"DoS-TCP_Flood":           "d36ad614a3edfde946bc40fe8e8f1822b43c40ff08d7ad39a83f7b39a57d7944",
	"DoS-UDP_Flood":           "d7bae49d191aef0b71a98436d903c41abf8ef4329c4aac1b2cf7a0637a42df9d",
	"Mirai-greeth_flood":      "45e3ecea24d685129c7634c8800834e97991273573204290deda3c238ff0ebc8",
	"Mirai-greip_flood":       "9746b326ab134fe32b6c502f9a5d7b8df5f505e325f9f618f7202220e60bb224",
	"Mirai-udpplain":          "f943da25332ffb141ae1f4532a3b7d4a352f1f3af958375adfb4ec07db80f903",
}

func TestFloodPinned(t *testing.T) {
	for _, c := range floodClasses() {
		fl := newCICFlood(c.flood, 1, 10_000)
		h := sha256.New()
		var f parse.Frame
		var head [12]byte
		for range 10_000 {
			fl.next(&f)
			be.PutUint64(head[:], uint64(f.UnixNano))
			be.PutUint32(head[8:], uint32(f.WireLen))
			h.Write(head[:])
			h.Write(f.Data)
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != floodPinned[c.folder] {
			t.Errorf("%q: %q,", c.folder, got)
		}
	}
}

// Every frame of every flood is what the class's row says: gopacket decodes it, finds right checksums, whole datagrams (or second fragments
// alone, as many as wanted), and the wanted sizes, flags, ports and addresses; and what victims send back answers the packet before.
func TestFloodsUnderGopacket(t *testing.T) {
	n := 5_000
	if testing.Short() {
		n = 2_000
	}
	sizes := map[string][]int{ // of the attack's frames
		"DDoS-ACK_Fragmentation": {374, 1514}, "DDoS-ICMP_Fragmentation": {362, 1514}, "DDoS-UDP_Fragmentation": {362, 1514},
		"DoS-UDP_Flood": {60, 162}, "Mirai-greeth_flood": {592}, "Mirai-greip_flood": {578}, "Mirai-udpplain": {554},
	}
	for _, c := range floodClasses() {
		t.Run(c.folder, func(t *testing.T) {
			n := n
			if c.flood.lost > 0 {
				n = 10_000 // some eight spells of lost fragments
			}
			want := sizes[c.folder]
			if want == nil {
				want = []int{60}
			}
			fl := newCICFlood(c.flood, 1, second/c.rate)
			var f parse.Frame
			var octets, replies, alone int
			seen := make(map[int]int)
			macs := make(map[string]bool)
			var whole []byte // datagram under way
			for i := range n {
				if !fl.next(&f) {
					t.Fatalf("frame %d is not of the attack", i)
				}
				octets += f.WireLen
				p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
				if e := p.ErrorLayer(); e != nil && p.Layer(layers.LayerTypeUDP) == nil { // random ports make gopacket guess
					t.Fatalf("frame %d: %v", i, e.Error())
				}
				eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
				ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
				if rfc1071(ip.Contents) != 0 || ip.TTL != 64 {
					t.Fatalf("frame %d: checksum or time to live of %+v", i, ip)
				}
				lost := ip.FragOffset > 0 && len(whole) == 0
				if lost {
					alone++
				} else if ip.Flags&layers.IPv4MoreFragments != 0 || ip.FragOffset > 0 {
					if int(ip.FragOffset)*8 != len(whole) {
						t.Fatalf("frame %d: fragment at %d after %d octets", i, ip.FragOffset*8, len(whole))
					}
					whole = append(whole, ip.Payload...)
				} else {
					whole = append(whole[:0], ip.Payload...)
				}
				if ip.Flags&layers.IPv4MoreFragments == 0 && !lost {
					if err := floodChecksum(ip, whole); err != nil {
						t.Fatalf("frame %d: %v", i, err)
					}
					whole = whole[:0]
				}
				if cicAttacker(string(eth.DstMAC)) {
					replies++
					continue
				}
				macs[string(eth.SrcMAC)] = true
				seen[len(f.Data)]++
				if got := ip.SrcIP.Equal(ip.DstIP); got != c.flood.synonymous {
					t.Fatalf("frame %d: from %v to %v", i, ip.SrcIP, ip.DstIP)
				}
				if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
					if got := uint16(f.Data[47]); got != c.flood.flags || tcp.Window != 512 || len(tcp.Options) > 0 || tcp.DstPort != 0 && tcp.DstPort != 80 {
						t.Fatalf("frame %d: %+v", i, tcp)
					}
				}
			}
			if len(seen) != len(want) {
				t.Errorf("sizes %v, want %v", seen, want)
			}
			for _, size := range want {
				if share := float64(seen[size]) / float64(n); share < 0.2 {
					t.Errorf("%.2f of the frames have %d octets", share, size)
				}
			}
			if len(macs) != c.flood.pis {
				t.Errorf("%d attackers, want %d", len(macs), c.flood.pis)
			}
			for mac := range macs {
				if !cicAttacker(mac) {
					t.Errorf("attacker % x", mac)
				}
			}
			if got := 1000 * float64(alone) / float64(n); got < 0.8*float64(c.flood.lost) || got > 1.2*float64(c.flood.lost) {
				t.Errorf("%.0f fragments in 1,000 frames come alone, want %d", got, c.flood.lost)
			}
			if r := c.flood.replies; (r == (replyRates{})) != (replies == 0) {
				t.Errorf("%d answers, wanted %+v in 1,000 packets", replies, r)
			}
			if got, want := float64(octets)/float64(n), float64(c.flood.mean())/1000; got < 0.99*want || got > 1.01*want {
				t.Errorf("mean frame %.2f, calculated %.2f", got, want)
			}
		})
	}
}

// cicAttacker reports whether a link address is an attacker's.
func cicAttacker(mac string) bool {
	for i := range cicAttackers {
		if string(cicAttackers[i].mac[:]) == mac {
			return true
		}
	}
	return false
}

// floodChecksum checks what IPv4 carries, and what GRE does in it.
func floodChecksum(ip *layers.IPv4, body []byte) error {
	var sum uint16
	switch ip.Protocol {
	case layers.IPProtocolICMPv4:
		sum = rfc1071(body)
	case layers.IPProtocolTCP, layers.IPProtocolUDP:
		pseudo := append([]byte{}, ip.SrcIP.To4()...)
		pseudo = append(append(pseudo, ip.DstIP.To4()...), 0, byte(ip.Protocol), byte(len(body)>>8), byte(len(body)))
		sum = rfc1071(append(pseudo, body...))
	case layers.IPProtocolGRE:
		in := body[greLen:]
		if be.Uint16(body[2:]) == greEther {
			in = in[etherLen:]
		}
		inner := gopacket.NewPacket(in, layers.LayerTypeIPv4, gopacket.DecodeOptions{NoCopy: true, Lazy: true})
		ip, ok := inner.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if !ok || ip.Protocol != layers.IPProtocolUDP || rfc1071(ip.Contents) != 0 || len(ip.Payload) != len(in)-ipv4Len {
			return fmt.Errorf("inside: %v", inner)
		}
		return floodChecksum(ip, ip.Payload)
	default:
		return fmt.Errorf("protocol %v", ip.Protocol)
	}
	if sum != 0 {
		return fmt.Errorf("checksum of %v is off by %#x", ip.Protocol, sum)
	}
	return nil
}

// A victim's answer goes back to who sent the packet before it, port for port, and says what RFC 9293 and RFC 792 ask for: a port that is
// open answers SYN with SYN and ACK, port 0 with a reset.
func TestFloodReplies(t *testing.T) {
	for _, c := range floodClasses() {
		fl := newCICFlood(c.flood, 3, second/c.rate)
		var f parse.Frame
		var packet [80]byte
		counts := make(map[string]int)
		var packets, open int
		n := 30_000
		if c.flood.web {
			n = 80_000 // so that a port is open for some victims
		}
		for i := range n {
			fl.next(&f)
			ip := f.Data[etherLen:]
			if be.Uint16(ip[6:])&0x1fff > 0 {
				continue
			}
			if !cicAttacker(string(f.Data[:6])) {
				packets++
				copy(packet[:], f.Data)
				if c.flood.web && be.Uint16(f.Data[36:]) == webPort {
					open++
				}
				continue
			}
			if string(f.Data[:6]) != string(packet[6:12]) || string(f.Data[6:12]) != string(packet[:6]) ||
				string(ip[12:16]) != string(packet[30:34]) || string(ip[16:20]) != string(packet[26:30]) {
				t.Fatalf("%s: frame %d: % x answers % x", c.folder, i, f.Data[:34], packet[:34])
			}
			l4, asked := ip[ipv4Len:], packet[etherLen+ipv4Len:]
			switch ip[9] {
			case protoTCP:
				if string(l4[:2]) != string(asked[2:4]) || string(l4[2:4]) != string(asked[:2]) {
					t.Fatalf("%s: frame %d: ports % x answer % x", c.folder, i, l4[:4], asked[:4])
				}
				seq, ack, flags := be.Uint32(l4[4:]), be.Uint32(l4[8:]), uint16(l4[13])
				next := be.Uint32(asked[4:]) + uint32(c.flood.data)
				if c.flood.flags == parse.TCPSyn {
					next++
				}
				switch {
				case flags == parse.TCPSyn|parse.TCPAck && ack == next && be.Uint16(l4) == webPort:
					counts["synAck"]++
				case be.Uint16(l4) != 0:
					t.Fatalf("%s: frame %d: a reset by port %d", c.folder, i, be.Uint16(l4))
				case flags == parse.TCPRst|parse.TCPAck && ack == next && seq == 0 && c.flood.flags&parse.TCPAck == 0,
					flags == parse.TCPRst && seq == be.Uint32(asked[8:]) && c.flood.flags&parse.TCPAck != 0:
					counts["reset"]++
				default:
					t.Fatalf("%s: frame %d: % x answers % x", c.folder, i, l4[:20], asked[:20])
				}
			case protoICMP:
				if l4[0] == 0 {
					if string(l4[4:8]) != string(asked[4:8]) || asked[0] != 8 {
						t.Fatalf("%s: frame %d: echo % x of % x", c.folder, i, l4[:8], asked[:8])
					}
					counts["echo"]++
					continue
				}
				if string(l4[8:36]) != string(packet[14:42]) {
					t.Fatalf("%s: frame %d: quotes % x of % x", c.folder, i, l4[8:36], packet[14:42])
				}
				counts[fmt.Sprint(l4[0], l4[1])]++
			default:
				t.Fatalf("%s: frame %d: protocol %d", c.folder, i, ip[9])
			}
		}
		unreachable := "3 3"
		if c.flood.tool >= miraiGREIP {
			unreachable = "3 2"
		}
		r := c.flood.replies
		for _, x := range []struct {
			what        string
			want, asked int
		}{{"reset", r.reset, packets - open}, {"synAck", r.synAck, open}, {"echo", r.echo, packets}, {unreachable, r.unreachable, packets}} {
			if x.asked == 0 && x.want > 0 {
				t.Errorf("%s: nothing to answer with %s", c.folder, x.what)
			} else if got := 1000 * counts[x.what] / max(x.asked, 1); got < x.want*3/4-2 || got > x.want*5/4+2 {
				t.Errorf("%s: %d %s answers in 1,000 packets, want %d", c.folder, got, x.what, x.want)
			}
		}
	}
}

// Windows of a flood of fragments are whole but for the spells in which first fragments are lost: of 100 windows of 100 frames most have
// exactly the mean of its two fragments.
func TestFloodFragments(t *testing.T) {
	for name, mean := range map[string]float64{"DDoS-ACK_Fragmentation": 944, "DDoS-ICMP_Fragmentation": 938, "DDoS-UDP_Fragmentation": 938} {
		exact := 0
		for _, got := range windows(t, name, 100)[feature.TotSize] {
			if got == mean {
				exact++
			}
		}
		t.Logf("%s: %d of 100 windows have a mean of %.0f", name, exact, mean)
		if exact < 60 {
			t.Errorf("%s: %d of 100 windows have a mean of %.0f", name, exact, mean)
		}
	}
}

// A flood has two to four victims, one at a time; the address of each is that of the link.
func TestFloodVictims(t *testing.T) {
	for _, c := range floodClasses() {
		fl := newCICFlood(c.flood, 5, second/c.rate)
		victims := make(map[string]bool)
		turns, last := 0, ""
		var f parse.Frame
		for range 30_000 {
			fl.next(&f)
			victim := string(f.Data[:6]) + string(f.Data[30:34])
			if string(f.Data[6:12]) == fl.victimMAC() {
				victim = string(f.Data[6:12]) + string(f.Data[26:30])
			}
			victims[victim] = true
			if victim != last {
				turns++
			}
			last = victim
		}
		if len(victims) < 2 || len(victims) > 4 || turns < 2 || turns > 11 {
			t.Errorf("%s: %d victims in %d turns", c.folder, len(victims), turns)
		}
	}
}

// Ports go up by one a packet from hping3's range, whoever sends between, and whether or not its first fragment is lost; Mirai's and the
// socket's stay.
func TestFloodPorts(t *testing.T) {
	for _, c := range floodClasses() {
		if c.flood.tool == hpingICMP || c.flood.tool >= miraiGREIP {
			continue
		}
		fl := newCICFlood(c.flood, 2, second/c.rate)
		next := make(map[string]uint16)
		var f parse.Frame
		whole := false        // the frame is the rest of the one before
		for i := range 2000 { // before the next victim
			fl.next(&f)
			from := string(f.Data[6:12])
			frag, rest := be.Uint16(f.Data[20:]), whole
			whole = frag&moreFragments != 0
			want, ok := next[from]
			if frag&0x1fff > 0 && !rest && ok && c.flood.tool == hpingTCP {
				next[from]++
			}
			if frag&0x1fff > 0 || fl.victimMAC() == from {
				continue
			}
			port := be.Uint16(f.Data[34:])
			low, high, step := uint16(1024), uint16(3023), uint16(1)
			switch c.flood.tool {
			case socketUDP:
				low, high, step = 32768, 60999, 0
			case miraiUDP:
				low, high, step = 1, 65535, 0
			}
			if ok && port != want || !ok && (port < low || port > high) {
				t.Fatalf("%s: frame %d: port %d, want %d or the first in %d to %d", c.folder, i, port, want, low, high)
			}
			next[from] = port + step
		}
		if len(next) != c.flood.pis {
			t.Errorf("%s: %d attackers", c.folder, len(next))
		}
	}
}

func (fl *cicFlood) victimMAC() string {
	m := fl.victims[fl.victim].mac
	return string(m[:])
}
