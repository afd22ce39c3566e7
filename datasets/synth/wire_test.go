package synth

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// kindOf names a frame by what gopacket found in it and by the "known by" column of the table.
func kindOf(p gopacket.Packet) string {
	if v, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		switch {
		case v.VLANIdentifier == 20 && hasPort(p, layers.LayerTypeTCP, 1883):
			return "VLAN TCP"
		case v.VLANIdentifier == 30 && hasPort(p, layers.LayerTypeUDP, 5004):
			return "VLAN UDP"
		}
		return "unknown VLAN"
	}
	v6 := p.Layer(layers.LayerTypeIPv6) != nil
	if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
		switch {
		case ip.FragOffset > 0:
			return "other fragment"
		case ip.Flags&layers.IPv4MoreFragments != 0:
			return "first fragment"
		case ip.Protocol == layers.IPProtocolICMPv4:
			return "ICMP"
		case ip.Protocol == layers.IPProtocolIGMP:
			return "IGMP"
		}
	}
	for _, t := range []struct {
		layer gopacket.LayerType
		port  uint16
		v6    bool
		name  string
	}{
		{layers.LayerTypeTCP, 443, false, "TLS"},
		{layers.LayerTypeTCP, 80, false, "HTTP"},
		{layers.LayerTypeTCP, 1883, false, "MQTT"},
		{layers.LayerTypeTCP, 23, false, "refused TCP"},
		{layers.LayerTypeUDP, 53, false, "DNS"},
		{layers.LayerTypeUDP, 5353, false, "mDNS"},
		{layers.LayerTypeUDP, 1900, false, "SSDP"},
		{layers.LayerTypeUDP, 67, false, "DHCP"},
		{layers.LayerTypeUDP, 123, false, "NTP"},
		{layers.LayerTypeUDP, 5683, false, "CoAP"},
		{layers.LayerTypeUDP, 443, false, "QUIC-like"},
		{layers.LayerTypeTCP, 443, true, "IPv6 TCP"},
		{layers.LayerTypeUDP, 5683, true, "IPv6 UDP"},
	} {
		if t.v6 == v6 && hasPort(p, t.layer, t.port) {
			return t.name
		}
	}
	if p.Layer(layers.LayerTypeICMPv6) != nil {
		return "ICMPv6"
	}
	eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	switch eth.EthernetType {
	case layers.EthernetTypeARP:
		return "ARP"
	case layers.EthernetTypeLinkLayerDiscovery:
		return "LLDP"
	case layers.EthernetTypeEAPOL:
		return "EAPoL"
	case 0x9000:
		return "loopback"
	case layers.EthernetTypeLLC:
		if p.Layer(layers.LayerTypeSTP) != nil {
			return "STP"
		}
	}
	return "unknown"
}

func hasPort(p gopacket.Packet, t gopacket.LayerType, port uint16) bool {
	switch l := p.Layer(t).(type) {
	case *layers.TCP:
		return uint16(l.SrcPort) == port || uint16(l.DstPort) == port
	case *layers.UDP:
		return uint16(l.SrcPort) == port || uint16(l.DstPort) == port
	}
	return false
}

// Every frame decodes without error in gopacket, has the checksums that gopacket computes, and belongs to a row of the
// table; the rows have the shares that the table says.
func TestFramesUnderGopacket(t *testing.T) {
	const n = 60_000
	s, err := New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string]int)
	octets := 0
	var f parse.Frame
	datagrams := make(map[string][]byte)
	for i := range n {
		_ = s.Next(&f)
		octets += len(f.Data)
		if len(f.Data) < 60 || len(f.Data) > 1518 {
			t.Fatalf("frame %d has %d octets", i, len(f.Data))
		}
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		if e := p.ErrorLayer(); e != nil && e.Error().Error() != "Unable to decode EthernetType 36864" {
			t.Fatalf("frame %d: %v\n%s", i, e.Error(), p)
		}
		if err := verify(p); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		k := kindOf(p)
		counts[k]++
		ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		switch k {
		case "IGMP":
			if c := rfc1071(ip.Payload); c != 0 {
				t.Fatalf("frame %d: IGMP checksum is off by %#x", i, c)
			}
		case "first fragment", "other fragment":
			key := fmt.Sprint(ip.SrcIP, ip.Id)
			d := datagrams[key]
			if len(d) != int(ip.FragOffset)*8 {
				t.Fatalf("frame %d: fragment at %d after %d octets", i, ip.FragOffset*8, len(d))
			}
			d = append(d, ip.Payload...)
			datagrams[key] = d
			if ip.Flags&layers.IPv4MoreFragments == 0 {
				pseudo := append(bytes.Clone(ip.SrcIP.To4()), ip.DstIP.To4()...)
				pseudo = append(pseudo, 0, 17, byte(len(d)>>8), byte(len(d)))
				if c := rfc1071(append(pseudo, d...)); c != 0 {
					t.Fatalf("frame %d: UDP checksum over fragments is off by %#x", i, c)
				}
				delete(datagrams, key)
			}
		}
	}
	for _, k := range kinds {
		want := float64(k.share * n / 1000)
		if got := float64(counts[k.name]); math.Abs(got-want) > 0.08*want+30 {
			t.Errorf("%s: %.0f frames of %d, the table says %.0f", k.name, got, n, want)
		}
		delete(counts, k.name)
	}
	if len(counts) > 0 {
		t.Errorf("frames of no row: %v", counts)
	}
	if mean := octets / n; mean < 380 || mean > 420 {
		t.Errorf("mean size %d octets, want 380 to 420", mean)
	}
}

// verify compares the checksums of a packet with those that gopacket computes.
func verify(p gopacket.Packet) error {
	if network := p.NetworkLayer(); network != nil {
		for _, l := range p.Layers() {
			if l, ok := l.(interface {
				SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
			}); ok {
				if err := l.SetNetworkLayerForChecksum(network); err != nil {
					return err
				}
			}
		}
	}
	err, wrong := p.VerifyChecksums()
	if err != nil {
		return err
	}
	for _, w := range wrong {
		return fmt.Errorf("checksum of %s: %+v", w.Layer.LayerType(), w.ChecksumVerificationResult)
	}
	return nil
}

// rfc1071 is the checksum in its plainest form.
func rfc1071(p []byte) uint16 {
	var sum uint32
	for i, b := range p {
		if i%2 == 0 {
			sum += uint32(b) << 8
		} else {
			sum += uint32(b)
		}
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// Sequence and acknowledgement numbers of every TCP connection fit together as a receiver would check them.
func TestTCPNumbers(t *testing.T) {
	type end struct{ next uint32 }
	s, err := New("iot-1", 2)
	if err != nil {
		t.Fatal(err)
	}
	ends := make(map[string]*end)
	var f parse.Frame
	handshakes, fins := 0, 0
	for i := range 30_000 {
		_ = s.Next(&f)
		p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		tcp, ok := p.TransportLayer().(*layers.TCP)
		if !ok {
			continue
		}
		net := p.NetworkLayer().NetworkFlow()
		me := fmt.Sprint(net, tcp.SrcPort, tcp.DstPort)
		you := fmt.Sprint(net.Reverse(), tcp.DstPort, tcp.SrcPort)
		a, b := ends[me], ends[you]
		if tcp.SYN {
			a = &end{next: tcp.Seq}
			ends[me] = a
			if !tcp.ACK {
				delete(ends, you)
				b = nil
				handshakes++
			}
		} else if tcp.RST && a == nil {
			continue
		}
		if a == nil {
			t.Fatalf("frame %d: %s speaks without a handshake", i, me)
		}
		if tcp.Seq != a.next {
			t.Fatalf("frame %d: %s sends %d, its next octet is %d", i, me, tcp.Seq, a.next)
		}
		if tcp.ACK {
			if b == nil || tcp.Ack != b.next {
				t.Fatalf("frame %d: %s acknowledges %d of %+v", i, me, tcp.Ack, b)
			}
		}
		a.next += uint32(len(tcp.Payload))
		if tcp.SYN || tcp.FIN {
			a.next++
		}
		if tcp.FIN {
			fins++
		}
	}
	if handshakes < 100 || fins < 100 {
		t.Errorf("%d handshakes, %d FINs: too few to mean something", handshakes, fins)
	}
}

// The other profiles have right checksums too.
func TestStreamsUnderGopacket(t *testing.T) {
	for _, profile := range Profiles()[1:] {
		s, err := New(profile.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		for i := range 300 {
			_ = s.Next(&f)
			p := gopacket.NewPacket(f.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
			if e := p.ErrorLayer(); e != nil {
				t.Fatalf("%s frame %d: %v", profile.Name, i, e.Error())
			}
			if err := verify(p); err != nil {
				t.Fatalf("%s frame %d: %v", profile.Name, i, err)
			}
		}
	}
}

// tshark finds nothing malformed, no wrong checksum and no TCP anomaly. QUIC-like frames are left out: their octets are
// random, which no key decrypts.
func TestFramesUnderTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	for _, name := range []string{"iot-1", "syn-60", "udp-512"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name+".pcap")
			writePcap(t, path, name, 20_000)
			const bad = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 ||" +
				" udp.checksum.status == 0 || icmp.checksum.status == 0 || icmpv6.checksum.status == 0 ||" +
				" igmp.checksum.status == 0 || (tcp.analysis.flags && !tcp.analysis.reused_ports) ||" +
				" (_ws.expert.severity >= 0x600000 && !quic && !tcp.connection.rst && !mdns)"
			filter := bad
			if name == "syn-60" { // a flood reuses ports by chance
				filter = strings.Split(bad, " || (tcp.analysis")[0]
			}
			cmd := exec.Command(tshark, "-n", "-r", path, "-Y", filter, "-o", "ip.check_checksum:TRUE",
				"-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
				"-T", "fields", "-e", "frame.number", "-e", "frame.protocols", "-e", "_ws.expert.message")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			if len(out) > 0 {
				t.Errorf("tshark complains:\n%.2000s", out)
			}
		})
	}
}

func writePcap(t *testing.T, path, name string, n int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(name, 1)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range n {
		_ = s.Next(&f)
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}
