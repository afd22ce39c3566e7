package inject

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/ip4defrag"
	"github.com/google/gopacket/layers"

	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// TestSegment cuts frames and puts them together again with gopacket, whose checksums must agree.
func TestSegment(t *testing.T) {
	payload := make([]byte, 60_000)
	for i := range payload {
		payload[i] = byte(i * i >> 3)
	}
	eth := func(t layers.EthernetType) *layers.Ethernet {
		return &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: t}
	}
	v4 := func(p layers.IPProtocol) *layers.IPv4 {
		return &layers.IPv4{Version: 4, TTL: 64, Id: 65530, Protocol: p, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}}
	}
	v6 := func(p layers.IPProtocol) *layers.IPv6 {
		return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p, SrcIP: append([]byte{0x20, 1}, make([]byte, 14)...), DstIP: append([]byte{0x20, 2}, make([]byte, 14)...)}
	}
	tcp := &layers.TCP{SrcPort: 80, DstPort: 4321, Seq: 1<<32 - 5000, ACK: true, PSH: true, FIN: true, CWR: true, Window: 100,
		Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
	build := func(ls ...gopacket.SerializableLayer) []byte {
		for i, l := range ls[:len(ls)-1] {
			if n, ok := l.(gopacket.NetworkLayer); ok {
				switch x := ls[i+1].(type) {
				case *layers.TCP:
					_ = x.SetNetworkLayerForChecksum(n)
				case *layers.UDP:
					_ = x.SetNetworkLayerForChecksum(n)
				}
			}
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(b.Bytes())
	}
	udp := &layers.UDP{SrcPort: 53, DstPort: 53}
	unfragmentable := v4(layers.IPProtocolUDP)
	unfragmentable.Flags = layers.IPv4DontFragment
	middle := v4(layers.IPProtocolUDP)
	middle.Flags, middle.FragOffset = layers.IPv4MoreFragments, 100
	long := build(eth(layers.EthernetTypeIPv4), v4(layers.IPProtocolTCP), tcp, gopacket.Payload(payload[:20_000]))
	long[16], long[17] = 0, 0 // as offload leaves it above 64 KiB
	for _, c := range []struct {
		name    string
		data    []byte
		want    int // pieces; 0 cannot be cut
		payload int
	}{
		{"tcp over ipv4", build(eth(layers.EthernetTypeIPv4), v4(layers.IPProtocolTCP), tcp, gopacket.Payload(payload)), 42, 60_000},
		{"tcp over ipv4, length 0", long, 14, 20_000},
		{"tcp over ipv6", build(eth(layers.EthernetTypeIPv6), v6(layers.IPProtocolTCP), tcp, gopacket.Payload(payload)), 43, 60_000},
		{"tcp behind a tag", build(eth(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeIPv4}, v4(layers.IPProtocolTCP), tcp, gopacket.Payload(payload[:3000])), 3, 3000},
		{"tcp with a trailer", append(build(eth(layers.EthernetTypeIPv4), v4(layers.IPProtocolTCP), tcp, gopacket.Payload(payload[:1440])), make([]byte, 60)...), 1, 1440},
		{"udp over ipv4", build(eth(layers.EthernetTypeIPv4), v4(layers.IPProtocolUDP), udp, gopacket.Payload(payload)), 41, 60_000},
		{"udp over ipv6", build(eth(layers.EthernetTypeIPv6), v6(layers.IPProtocolUDP), udp, gopacket.Payload(payload)), 42, 60_000},
		{"a fragment", build(eth(layers.EthernetTypeIPv4), middle, gopacket.Payload(payload[:4000])), 3, 4000},
		{"not to be fragmented", build(eth(layers.EthernetTypeIPv4), unfragmentable, udp, gopacket.Payload(payload[:3000])), 0, 0},
		{"not IP", build(eth(0x88b5), gopacket.Payload(payload[:3000])), 0, 0},
		{"lengths that lie", func() []byte {
			d := build(eth(layers.EthernetTypeIPv4), v4(layers.IPProtocolTCP), tcp, gopacket.Payload(payload[:3000]))
			d[16] = 0xff
			return d
		}(), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			const longest = 1514
			var s segmenter
			before := bytes.Clone(c.data)
			n := s.begin(&parse.Frame{Data: c.data, WireLen: len(c.data), Link: parse.LinkEthernet}, longest)
			if n != c.want {
				t.Fatalf("%d pieces, want %d", n, c.want)
			}
			if !bytes.Equal(before, c.data) {
				t.Fatal("the frame was changed")
			}
			got := make([]byte, c.payload)
			seen := 0
			defrag := ip4defrag.NewIPv4Defragmenter()
			for i := range n {
				d := s.piece(i)
				if len(d) > longest {
					t.Fatalf("piece %d has %d octets", i, len(d))
				}
				p := gopacket.NewPacket(d, layers.LayerTypeEthernet, gopacket.Default)
				if p.ErrorLayer() != nil && c.name[:3] == "tcp" {
					t.Fatalf("piece %d: %v", i, p.ErrorLayer().Error())
				}
				if ip, ok := p.NetworkLayer().(*layers.IPv4); ok && checksum.Field(checksum.Add(0, ip.Contents)) != 0 {
					t.Errorf("piece %d: IPv4 checksum", i)
				}
				if seg, ok := p.TransportLayer().(*layers.TCP); ok && c.name[:3] == "tcp" {
					// gopacket makes the checksum anew.
					want := seg.Checksum
					_ = seg.SetNetworkLayerForChecksum(p.NetworkLayer())
					b := gopacket.NewSerializeBuffer()
					if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{ComputeChecksums: true}, seg, gopacket.Payload(seg.Payload)); err != nil {
						t.Fatal(err)
					}
					if sum := be.Uint16(b.Bytes()[16:]); sum != want {
						t.Errorf("piece %d: TCP checksum %#x, gopacket says %#x", i, want, sum)
					}
					if seg.FIN != (i == n-1) || seg.PSH != (i == n-1) || seg.CWR != (i == 0) || !seg.ACK {
						t.Errorf("piece %d: flags", i)
					}
					if ip, ok := p.NetworkLayer().(*layers.IPv4); ok && ip.Id != uint16(65530+i) {
						t.Errorf("piece %d: identification %d", i, ip.Id)
					}
					seen += copy(got[seg.Seq-tcp.Seq:], seg.Payload)
					continue
				}
				switch ip := p.NetworkLayer().(type) {
				case *layers.IPv4:
					if c.name == "a fragment" {
						more := ip.Flags&layers.IPv4MoreFragments != 0
						if !more {
							t.Errorf("piece %d of a middle fragment ends the datagram", i)
						}
						seen += copy(got[(int(ip.FragOffset)-100)*8:], ip.Payload)
						continue
					}
					whole, err := defrag.DefragIPv4(ip)
					if err != nil {
						t.Fatal(err)
					}
					if whole != nil {
						seen += copy(got, whole.Payload[8:])
					}
				case *layers.IPv6:
					frag := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment)
					if frag.MoreFragments != (i < n-1) {
						t.Errorf("piece %d: more fragments %v", i, frag.MoreFragments)
					}
					at := int(frag.FragmentOffset)*8 - 8 // behind the UDP header
					part := frag.Payload
					if at < 0 {
						at, part = 0, part[8:]
					}
					seen += copy(got[at:], part)
				}
			}
			if seen != c.payload || !bytes.Equal(got, payload[:c.payload]) {
				t.Errorf("the pieces are not the whole: %d octets of %d", seen, c.payload)
			}
		})
	}
}

func FuzzSegment(f *testing.F) {
	f.Add(make([]byte, 100), uint16(60), true)
	f.Add([]byte("\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00E\x00\x00\x60\x00\x00\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x50\x00\x51\x00\x00\x00\x00\x00\x00\x00\x00\x50\x18\x00\x00\x00\x00\x00\x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), uint16(70), true)
	f.Add([]byte("\x60\x00\x00\x00\x00\x20\x11\x40aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbabcdefghabcdefghabcdefghabcdefgh"), uint16(60), false)
	f.Fuzz(func(t *testing.T, d []byte, longest uint16, ethernet bool) {
		if longest < 60 || len(d) <= int(longest) {
			return
		}
		link := parse.LinkRaw
		if ethernet {
			link = parse.LinkEthernet
		}
		before := bytes.Clone(d)
		var s segmenter
		n := s.begin(&parse.Frame{Data: d, WireLen: len(d), Link: link}, int(longest))
		if !bytes.Equal(before, d) {
			t.Fatal("the frame was changed")
		}
		for i := range n {
			if p := s.piece(i); len(p) > int(longest) || len(p) == 0 {
				t.Fatalf("piece %d has %d octets of %d", i, len(p), longest)
			}
		}
	})
}
