package synth

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/parse"
)

// isAttacker returns whether the frame is sent by an attacker or to one.
func isAttacker(frame []byte) bool {
	for i := range cicAttackers {
		mac := cicAttackers[i].mac[:]
		if bytes.Equal(frame[:6], mac) || bytes.Equal(frame[6:12], mac) {
			return true
		}
	}
	return false
}

// The home keeps the mean and the gap that it was asked for, and its share of frames that are neither IPv4 nor ARP, in time order
// and in whole microseconds.
func TestHomeKeepsItsMean(t *testing.T) {
	const n = 50_000
	gaps := []int64{1_000, 1_000_000, 9_000_000, 200_000_000}
	for i, mean := range []int64{90_000, 120_000, 196_000, 300_000, 450_000, 614_300, 850_000, 1_000_000} {
		gap := gaps[i%len(gaps)]
		h := newHome(uint64(i), gap, mean)
		var f parse.Frame
		var octets, last int64
		joined, other := 0, 0
		for range n {
			if h.next(&f) {
				t.Fatal("the home attacks")
			}
			octets += int64(len(f.Data))
			if len(f.Data) > mtu+etherLen {
				joined++
			}
			if k := be.Uint16(f.Data[12:]); k != typeIPv4 && k != typeARP {
				other++
			}
			if f.UnixNano < last || f.UnixNano%1000 != 0 || f.WireLen != len(f.Data) || f.Link != parse.LinkEthernet {
				t.Fatalf("%+v after %d", f, last)
			}
			last = f.UnixNano
		}
		if d := octets*1000/n - mean; d*100 > mean || d*100 < -mean {
			t.Errorf("gap %d: mean frame is %d, want %d", gap, octets*1000/n, mean)
		}
		if d := last/n - gap; d*50 > gap || d*50 < -gap {
			t.Errorf("mean %d: mean gap is %d, want %d", mean, last/n, gap)
		}
		if other < n*11/1000 || other > n*19/1000 {
			t.Errorf("mean %d: %d of %d frames are neither IPv4 nor ARP, want 1.1 to 1.9 %%", mean, other, n)
		}
		if (joined == 0) != (mean < mergedFrom*1000) || joined > n/15 {
			t.Errorf("mean %d: %d of %d frames are longer than 1514 octets", mean, joined, n)
		}
	}
}

// Every frame of the home is right under gopacket, and is sent by a host of the lab that does not attack.
func TestHomeUnderGopacket(t *testing.T) {
	known := map[string]bool{string(cicGateway.mac[:]): true, string(switchMAC[:]): true}
	var lab mix
	lab.lab()
	for i := range lab.hosts {
		known[string(lab.hosts[i].mac[:])] = true
	}
	known[string(lab.broker.mac[:])] = true
	seen := make(map[string]int)
	for _, mean := range []int64{100_000, 700_000} {
		h := newHome(7, 9_000_000, mean)
		var f parse.Frame
		numbers := newNumbers()
		for i := range 20_000 {
			h.next(&f)
			if len(f.Data) < minFrame || len(f.Data) > 3_000 {
				t.Fatalf("frame %d has %d octets", i, len(f.Data))
			}
			if isAttacker(f.Data) || !known[string(f.Data[6:12])] {
				t.Fatalf("frame %d is sent by %x to %x", i, f.Data[6:12], f.Data[:6])
			}
			p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
			if e := p.ErrorLayer(); e != nil && e.Error().Error() != "Unable to decode EthernetType 36864" {
				t.Fatalf("frame %d: %v\n%s", i, e.Error(), p)
			}
			if err := verify(p); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if err := numbers.check(p); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			seen[kindOf(p)]++
			if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && ip.SrcIP.IsPrivate() && ip.SrcIP[2] != 137 {
				t.Fatalf("frame %d comes from %v", i, ip.SrcIP)
			}
		}
	}
	for _, k := range []string{"TLS", "HTTP", "MQTT", "DNS", "mDNS", "SSDP", "DHCP", "NTP", "ICMP", "ARP", "IGMP", "ICMPv6", "STP", "loopback"} {
		if seen[k] == 0 {
			t.Errorf("no %s in the home: %v", k, seen)
		}
	}
}

// Connections of the home end by FIN, by one reset, or by resets on what still comes; some are refused: 3 to 10 frames in 1,000 are resets,
// whatever the mean.
func TestHomeResets(t *testing.T) {
	const n = 50_000
	for i, mean := range []int64{90_000, 300_000, 614_300, 1_000_000} {
		h := newHome(uint64(i), 9_000_000, mean)
		var f parse.Frame
		flags := make(map[byte]int)
		inRow, mostInRow := 0, 0
		for k := range n {
			h.next(&f)
			if be.Uint16(f.Data[12:]) != typeIPv4 || f.Data[23] != protoTCP {
				continue
			}
			flags[f.Data[47]]++
			if f.Data[47]&byte(parse.TCPRst) != 0 {
				inRow++
			}
			if k%10 == 9 {
				mostInRow, inRow = max(mostInRow, inRow), 0
			}
		}
		bare, answered := flags[byte(parse.TCPRst)], flags[byte(parse.TCPRst|parse.TCPAck)]
		if all := bare + answered; all < n*3/1000 || all > n/100 || bare < n/5000 || answered < n/1000 || mostInRow < 3 {
			t.Errorf("mean %d: %d resets with ACK and %d without in %d frames, %d in 10 at most", mean, answered, bare, n, mostInRow)
		}
		if fin := flags[byte(parse.TCPFin|parse.TCPAck)]; fin < n/2000 {
			t.Errorf("mean %d: only %d FIN in %d frames", mean, fin, n)
		}
	}
}

// Equal seeds give equal frames, whatever was made before, and other seeds others.
func TestEmittersAreOfTheirSeed(t *testing.T) {
	sum := func(e emitter) [32]byte {
		h := sha256.New()
		var f parse.Frame
		for range 3_000 {
			e.next(&f)
			h.Write(be.AppendUint64(nil, uint64(f.UnixNano)))
			h.Write(f.Data)
		}
		return [32]byte(h.Sum(nil))
	}
	makers := map[string]func(seed uint64) emitter{
		"home": func(seed uint64) emitter { return newHome(seed, 9_000_000, 300_000) },
	}
	for i := range sessionClasses {
		c := sessionClasses[i].name
		makers[c] = func(seed uint64) emitter { return newSessions(c, seed, sessionGap(c)) }
	}
	for name, make := range makers {
		a, b, c := sum(make(1)), sum(make(1)), sum(make(2))
		if a != b || a == c {
			t.Errorf("%s: the same seed must give the same frames, another one others", name)
		}
	}
}

func TestEmittersAllocateNothing(t *testing.T) {
	var f parse.Frame
	check := func(name string, e emitter) {
		if n := allocations(func() {
			for range 10_000 {
				e.next(&f)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations in 10,000 frames", name, n)
		}
	}
	check("home", newHome(1, 9_000_000, 600_000))
	for i := range sessionClasses {
		c := sessionClasses[i].name
		check(c, newSessions(c, 1, sessionGap(c)))
	}
}
