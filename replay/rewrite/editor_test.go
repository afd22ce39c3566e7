package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
)

func editor(tb testing.TB, e rewrite.Edits) *rewrite.Editor {
	tb.Helper()
	ed, err := rewrite.NewEditor(e)
	if err != nil {
		tb.Fatal(err)
	}
	return ed
}

func number(n int) *int { return &n }

// parts is what a frame is made of; gopacket makes it, so that what an edit should give is computed by other code.
type parts struct {
	smac, dmac string
	vlan       []layers.Dot1Q
	tpid       layers.EthernetType // of the outermost tag; 0 is 802.1Q
	mpls       bool
	ppp        bool
	src, dst   string
	proto      layers.IPProtocol
	sport      uint16
	dport      uint16
	ttl        uint8
	tos        uint8
	label      uint32
	seq, ack   uint32
	sack       []uint32 // edges
	flags      uint16   // IPv4 flags and offset
	payload    []byte
	trailer    []byte
}

func some() parts {
	return parts{smac: "02:00:00:00:00:01", dmac: "02:00:00:00:00:02", src: "192.0.2.1", dst: "192.0.2.2", proto: layers.IPProtocolTCP,
		sport: 40000, dport: 80, ttl: 64, seq: 1000, ack: 2000, payload: payload}
}

func some6() parts {
	p := some()
	p.src, p.dst = "2001:db8::1", "2001:db8::2"
	return p
}

func (p parts) with(change func(*parts)) parts {
	p.vlan = slices.Clone(p.vlan)
	change(&p)
	return p
}

func mac(tb testing.TB, s string) net.HardwareAddr {
	tb.Helper()
	m, err := net.ParseMAC(s)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func (p parts) frame(tb testing.TB) parse.Frame {
	tb.Helper()
	src := netip.MustParseAddr(p.src)
	first, inner := layers.EthernetTypeIPv4, layers.EthernetTypeIPv4
	if src.Is6() {
		first, inner = layers.EthernetTypeIPv6, layers.EthernetTypeIPv6
	}
	if p.mpls {
		first, inner = layers.EthernetTypeMPLSUnicast, layers.EthernetTypeMPLSUnicast
	}
	if p.ppp {
		first, inner = layers.EthernetTypePPPoESession, layers.EthernetTypePPPoESession
	}
	if len(p.vlan) > 0 {
		if first = layers.EthernetTypeDot1Q; p.tpid != 0 {
			first = p.tpid
		}
	}
	ls := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: mac(tb, p.smac), DstMAC: mac(tb, p.dmac), EthernetType: first}}
	for i, v := range p.vlan {
		if v.Type = layers.EthernetTypeDot1Q; i == len(p.vlan)-1 {
			v.Type = inner
		}
		ls = append(ls, &v)
	}
	if p.mpls {
		ls = append(ls, &layers.MPLS{Label: 16, StackBottom: true, TTL: 9})
	}
	if p.ppp {
		t := layers.PPPTypeIPv4
		if src.Is6() {
			t = layers.PPPTypeIPv6
		}
		ls = append(ls, &layers.PPPoE{Version: 1, Type: 1, SessionId: 7}, &layers.PPP{PPPType: t})
	}
	var network interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	if src.Is4() {
		network = &layers.IPv4{Version: 4, TTL: p.ttl, TOS: p.tos, Protocol: p.proto, SrcIP: src.AsSlice(), DstIP: netip.MustParseAddr(p.dst).AsSlice(),
			Flags: layers.IPv4Flag(p.flags >> 13), FragOffset: p.flags & 0x1fff}
	} else {
		network = &layers.IPv6{Version: 6, HopLimit: p.ttl, TrafficClass: p.tos, FlowLabel: p.label, NextHeader: p.proto, SrcIP: src.AsSlice(),
			DstIP: netip.MustParseAddr(p.dst).AsSlice()}
	}
	ls = append(ls, network)
	switch p.proto {
	case layers.IPProtocolTCP:
		t := &layers.TCP{SrcPort: layers.TCPPort(p.sport), DstPort: layers.TCPPort(p.dport), Seq: p.seq, Ack: p.ack, ACK: p.ack != 0}
		if p.sack != nil {
			data := []byte{}
			for _, edge := range p.sack {
				data = binary.BigEndian.AppendUint32(data, edge)
			}
			t.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, // so that the edges stand at odd places
				{OptionType: layers.TCPOptionKindSACK, OptionLength: uint8(2 + len(data)), OptionData: data}}
		}
		_ = t.SetNetworkLayerForChecksum(network)
		ls = append(ls, t)
	case layers.IPProtocolUDP:
		u := &layers.UDP{SrcPort: layers.UDPPort(p.sport), DstPort: layers.UDPPort(p.dport)}
		_ = u.SetNetworkLayerForChecksum(network)
		ls = append(ls, u)
	case layers.IPProtocolICMPv4:
		ls = append(ls, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 2})
	case layers.IPProtocolICMPv6:
		c := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(128, 0)}
		_ = c.SetNetworkLayerForChecksum(network)
		ls = append(ls, c)
	}
	f := frame(tb, parse.LinkEthernet, append(ls, gopacket.Payload(p.payload))...)
	f.Data = append(f.Data, p.trailer...)
	f.WireLen = len(f.Data)
	return f
}

// sums returns which checksum of the outermost packet is wrong, as gopacket computes them.
func sums(f *parse.Frame) error {
	var network gopacket.NetworkLayer
	for _, l := range gopacket.NewPacket(f.Data, firstLayer[f.Link], gopacket.DecodeOptions{NoCopy: true}).Layers() {
		if n, ok := l.(gopacket.NetworkLayer); ok {
			if network != nil { // a tunnel
				break
			}
			network = n
		}
		if u, ok := l.(*layers.UDP); ok && u.Checksum == 0 {
			break
		}
		c, ok := l.(gopacket.LayerWithChecksum)
		if !ok {
			continue
		}
		if s, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := s.SetNetworkLayerForChecksum(network); err != nil {
				return err
			}
		}
		if err, r := c.VerifyChecksum(); err != nil || !r.Valid {
			return fmt.Errorf("checksum of %s is %#x, gopacket computes %#x (%v)", l.LayerType(), r.Actual, r.Correct, err)
		}
		if network != nil && l.LayerType() != network.LayerType() {
			break
		}
	}
	return nil
}

// lengthsFit returns which length of IP, UDP or PPPoE ends behind the frame or what holds it, or is shorter than its header.
func lengthsFit(f *parse.Frame) error {
	d := f.Data
	end := len(d)
	fits := func(what string, from, length, least int) error {
		if length < least || from+length > end {
			return fmt.Errorf("%s length %d at offset %d, of %d octets", what, length, from, end)
		}
		end = from + length
		return nil
	}
	if f.Link != parse.LinkEthernet || len(d) < 14 {
		return nil
	}
	off := 14
	for len(d) >= off+4 && (binary.BigEndian.Uint16(d[off-2:]) == 0x8100 || binary.BigEndian.Uint16(d[off-2:]) == 0x88a8) {
		off += 4
	}
	kind := binary.BigEndian.Uint16(d[off-2:])
	if kind == 0x8864 && len(d) >= off+8 {
		if err := fits("PPPoE", off+6, int(binary.BigEndian.Uint16(d[off+4:])), 0); err != nil {
			return err
		}
		kind = map[uint16]uint16{0x21: 0x800, 0x57: 0x86dd}[binary.BigEndian.Uint16(d[off+6:])]
		if d[off+1] != 0 {
			kind = 0
		}
		off += 8
	}
	var proto byte
	switch {
	case kind == 0x800 && len(d) >= off+20 && d[off]>>4 == 4:
		header := int(d[off]&15) * 4
		if err := fits("IP", off, int(binary.BigEndian.Uint16(d[off+2:])), max(header, 20)); err != nil {
			return err
		}
		if proto = d[off+9]; binary.BigEndian.Uint16(d[off+6:])&0x3fff != 0 {
			proto = 0
		}
		off += header
	case kind == 0x86dd && len(d) >= off+40:
		if err := fits("IPv6", off+40, int(binary.BigEndian.Uint16(d[off+4:])), 0); err != nil {
			return err
		}
		proto, off = d[off+6], off+40
	}
	if proto == 17 && end >= off+8 {
		return fits("UDP", off, int(binary.BigEndian.Uint16(d[off+4:])), 8)
	}
	return nil
}

func TestEdits(t *testing.T) {
	v4, v6 := some(), some6()
	udp4 := v4.with(func(p *parts) { p.proto = layers.IPProtocolUDP })
	icmp := v4.with(func(p *parts) { p.proto = layers.IPProtocolICMPv4 })
	icmp6 := v6.with(func(p *parts) { p.proto = layers.IPProtocolICMPv6 })
	tagged := v4.with(func(p *parts) { p.vlan = []layers.Dot1Q{{VLANIdentifier: 5}} })
	qinq := v4.with(func(p *parts) {
		p.vlan, p.tpid = []layers.Dot1Q{{VLANIdentifier: 7, Priority: 3}, {VLANIdentifier: 5}}, layers.EthernetTypeQinQ
	})
	broadcast := udp4.with(func(p *parts) { p.dmac, p.dst = "ff:ff:ff:ff:ff:ff", "255.255.255.255" })
	multicast := udp4.with(func(p *parts) { p.dmac, p.dst = "01:00:5e:00:00:fb", "224.0.0.251" })
	multicast6 := v6.with(func(p *parts) { p.dst, p.proto = "ff02::fb", layers.IPProtocolUDP })
	for _, tt := range []struct {
		name   string
		edits  rewrite.Edits
		server bool
		before parts
		after  func(*parts) // nil: unchanged
	}{
		{"dmac", rewrite.Edits{DestMAC: "0a:0b:0c:0d:0e:0f"}, true, v4, func(p *parts) { p.dmac = "0a:0b:0c:0d:0e:0f" }},
		{"dmac of the client", rewrite.Edits{DestMAC: "02:00:00:00:00:0a,02:00:00:00:00:0b"}, false, v4, func(p *parts) { p.dmac = "02:00:00:00:00:0a" }},
		{"dmac of the server", rewrite.Edits{DestMAC: "02:00:00:00:00:0a,02:00:00:00:00:0b"}, true, v6, func(p *parts) { p.dmac = "02:00:00:00:00:0b" }},
		{"smac with hyphens", rewrite.Edits{SourceMAC: "02-00-00-00-00-0A"}, false, qinq, func(p *parts) { p.smac = "02:00:00:00:00:0a" }},
		{"dmac that is there", rewrite.Edits{DestMAC: "02:00:00:00:00:02"}, false, v4, nil},
		{"dmac of a broadcast", rewrite.Edits{DestMAC: "02:00:00:00:00:0a"}, false, broadcast, func(p *parts) { p.dmac = "02:00:00:00:00:0a" }},
		{"dmac, broadcast stays", rewrite.Edits{DestMAC: "02:00:00:00:00:0a", SkipL2Broadcast: true}, false, broadcast, nil},
		{"dmac, multicast stays", rewrite.Edits{DestMAC: "02:00:00:00:00:0a", SkipL2Broadcast: true}, false, multicast, nil},
		{"subsmac, both places", rewrite.Edits{SubstituteMAC: []string{"02:00:00:00:00:01,02:00:00:00:00:99", "02:00:00:00:00:02,02:00:00:00:00:98"}}, false, v4,
			func(p *parts) { p.smac, p.dmac = "02:00:00:00:00:99", "02:00:00:00:00:98" }},
		{"subsmac, the first that fits, once", rewrite.Edits{SubstituteMAC: []string{"02:00:00:00:00:01,02:00:00:00:00:02", "02:00:00:00:00:02,02:00:00:00:00:03"}},
			false, v4, func(p *parts) { p.smac, p.dmac = "02:00:00:00:00:02", "02:00:00:00:00:03" }},
		{"subsmac after dmac", rewrite.Edits{DestMAC: "02:00:00:00:00:0a", SubstituteMAC: []string{"02:00:00:00:00:0a,02:00:00:00:00:0b"}}, false, v4,
			func(p *parts) { p.dmac = "02:00:00:00:00:0b" }},
		{"MAC seed keeps all", rewrite.Edits{MACSeed: 5, MACKeep: 6}, false, v4, nil},

		{"VLAN add", rewrite.Edits{VLAN: "add", VLANTag: 9, VLANPri: 3, VLANCFI: 1}, false, v4,
			func(p *parts) { p.vlan = []layers.Dot1Q{{VLANIdentifier: 9, Priority: 3, DropEligible: true}} }},
		{"VLAN add, 802.1ad, outside", rewrite.Edits{VLAN: "add", VLANTag: 4095, VLANProto: "802.1ad"}, false, tagged, func(p *parts) {
			p.tpid, p.vlan = layers.EthernetTypeQinQ, []layers.Dot1Q{{VLANIdentifier: 4095}, {VLANIdentifier: 5}}
		}},
		{"VLAN del", rewrite.Edits{VLAN: "del"}, false, tagged, func(p *parts) { p.vlan = nil }},
		{"VLAN del, the outermost", rewrite.Edits{VLAN: "del"}, false, qinq, func(p *parts) { p.vlan, p.tpid = p.vlan[1:], 0 }},
		{"VLAN del without one", rewrite.Edits{VLAN: "del"}, false, v4, nil},

		{"pnat", rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}}, false, v4, func(p *parts) { p.src, p.dst = "10.7.2.1", "10.7.2.2" }},
		{"pnat, first that fits", rewrite.Edits{PNAT: []string{"192.0.2.1:9.9.9.9,192.0.0.0/16:10.7.0.0/16"}}, false, udp4,
			func(p *parts) { p.src, p.dst = "9.9.9.9", "10.7.2.2" }},
		{"pnat, one host into a network", rewrite.Edits{PNAT: []string{"192.0.2.1/32:77.0.0.0/24"}}, false, v4, func(p *parts) { p.src = "77.0.0.1" }},
		{"pnat of all", rewrite.Edits{PNAT: []string{"0.0.0.0/0:77.0.0.0/24"}}, false, icmp, func(p *parts) { p.src, p.dst = "77.0.0.1", "77.0.0.2" }},
		{"pnat by side, from the client", rewrite.Edits{PNAT: []string{"192.0.2.0/24:77.0.0.0/24", "192.0.2.0/24:88.0.0.0/24"}}, false, v4,
			func(p *parts) { p.src, p.dst = "77.0.0.1", "88.0.0.2" }},
		{"pnat by side, from the server", rewrite.Edits{PNAT: []string{"192.0.2.0/24:77.0.0.0/24", "192.0.2.0/24:88.0.0.0/24"}}, true, v4,
			func(p *parts) { p.src, p.dst = "88.0.0.1", "77.0.0.2" }},
		{"pnat of IPv6", rewrite.Edits{PNAT: []string{"[2001:db8::/32]:[fd00:1::/32]"}}, false, v6, func(p *parts) { p.src, p.dst = "fd00:1::1", "fd00:1::2" }},
		{"pnat of IPv6, low bits too", rewrite.Edits{PNAT: []string{"[2001:db8::/32]:[2001:db8::8000/113]"}}, false, icmp6,
			func(p *parts) { p.src, p.dst = "2001:db8::8001", "2001:db8::8002" }},
		{"pnat, other family", rewrite.Edits{PNAT: []string{"0.0.0.0/0:77.0.0.0/24"}}, false, v6, nil},
		{"pnat, PPPoE", rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}}, false, v4.with(func(p *parts) { p.ppp = true }),
			func(p *parts) { p.src, p.dst = "10.7.2.1", "10.7.2.2" }},
		{"pnat, MPLS", rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}}, false, udp4.with(func(p *parts) { p.mpls = true }),
			func(p *parts) { p.src, p.dst = "10.7.2.1", "10.7.2.2" }},
		{"srcipmap", rewrite.Edits{SrcIPMap: "192.0.2.0/24:10.7.0.0/24"}, true, v4, func(p *parts) { p.src = "10.7.0.1" }},
		{"dstipmap", rewrite.Edits{DstIPMap: "[2001:db8::2]:[::1]"}, false, v6, func(p *parts) { p.dst = "::1" }},
		{"both maps", rewrite.Edits{SrcIPMap: "192.0.2.0/24:10.7.0.0/24", DstIPMap: "192.0.2.0/24:10.8.0.0/24"}, false, udp4,
			func(p *parts) { p.src, p.dst = "10.7.0.1", "10.8.0.2" }},
		{"endpoints", rewrite.Edits{Endpoints: "1.2.3.4:5.6.7.8"}, false, v4, func(p *parts) { p.src, p.dst = "1.2.3.4", "5.6.7.8" }},
		{"endpoints, from the server", rewrite.Edits{Endpoints: "1.2.3.4:5.6.7.8,[::a]:[::b]"}, true, v6, func(p *parts) { p.src, p.dst = "::b", "::a" }},
		{"broadcast mapped", rewrite.Edits{PNAT: []string{"255.255.255.255/32:10.0.0.255/32"}}, false, broadcast, func(p *parts) { p.dst = "10.0.0.255" }},
		{"broadcast stays", rewrite.Edits{PNAT: []string{"255.255.255.255/32:10.0.0.255/32"}, SkipBroadcast: true}, false, broadcast, nil},
		{"multicast stays", rewrite.Edits{Endpoints: "1.2.3.4:5.6.7.8", SkipBroadcast: true}, false, multicast, func(p *parts) { p.src = "1.2.3.4" }},
		{"IPv6 multicast stays", rewrite.Edits{Endpoints: "[::a]:[::b]", SkipBroadcast: true}, false, multicast6, func(p *parts) { p.src = "::a" }},

		{"TTL", rewrite.Edits{TTL: "9"}, false, v4, func(p *parts) { p.ttl = 9 }},
		{"TTL up", rewrite.Edits{TTL: "+7"}, false, v6, func(p *parts) { p.ttl = 71 }},
		{"TTL up to the limit", rewrite.Edits{TTL: "+200"}, false, v6, func(p *parts) { p.ttl = 255 }},
		{"TTL down to the limit", rewrite.Edits{TTL: "-64"}, false, tagged, func(p *parts) { p.ttl = 1 }},
		{"TTL that is there", rewrite.Edits{TTL: "64"}, false, v4, nil},
		{"TOS", rewrite.Edits{TOS: number(0xb8)}, false, v4, func(p *parts) { p.tos = 0xb8 }},
		{"TOS 0", rewrite.Edits{TOS: number(0)}, false, v4.with(func(p *parts) { p.tos = 1 }), func(p *parts) { p.tos = 0 }},
		{"TOS is not IPv6's", rewrite.Edits{TOS: number(0xb8)}, false, v6, nil},
		{"traffic class", rewrite.Edits{TClass: number(0xb8)}, false, v6, func(p *parts) { p.tos = 0xb8 }},
		{"traffic class is not IPv4's", rewrite.Edits{TClass: number(0xb8)}, false, v4, nil},
		{"flow label", rewrite.Edits{FlowLabel: number(0xabcde), TClass: number(0x5a)}, false, v6, func(p *parts) { p.label, p.tos = 0xabcde, 0x5a }},

		{"ports", rewrite.Edits{PortMap: "80:8080"}, false, v4, func(p *parts) { p.dport = 8080 }},
		{"ports, list and range", rewrite.Edits{PortMap: "1,80:7,39999-40001:65535"}, false, udp4, func(p *parts) { p.sport, p.dport = 65535, 7 }},
		{"ports, the first that names one", rewrite.Edits{PortMap: "80:81,80:82,81:83"}, false, v6, func(p *parts) { p.dport = 81 }},
		{"ports of neither", rewrite.Edits{PortMap: "81:82"}, false, v4, nil},
		{"no ports", rewrite.Edits{PortMap: "0-65535:1"}, false, icmp, nil},
		{"ones' complement zero: 65535 to 0", rewrite.Edits{PortMap: "65535:0"}, false, v4.with(func(p *parts) { p.sport = 65535 }), func(p *parts) { p.sport = 0 }},

		{"trailer stays", rewrite.Edits{TTL: "9", PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}, FixCsum: true}, false,
			v4.with(func(p *parts) { p.payload, p.trailer = []byte{1}, []byte{9, 9, 9, 9, 9} }), func(p *parts) { p.ttl, p.src, p.dst = 9, "10.7.2.1", "10.7.2.2" }},
		{"odd payload", rewrite.Edits{TTL: "9", Endpoints: "1.2.3.4:5.6.7.8", PortMap: "80:1"}, false, udp4.with(func(p *parts) { p.payload = []byte{1, 2, 3} }),
			func(p *parts) { p.ttl, p.src, p.dst, p.dport = 9, "1.2.3.4", "5.6.7.8", 1 }},
		{"FCS dropped", rewrite.Edits{EFCS: true}, false, v4.with(func(p *parts) { p.trailer = []byte{1, 2, 3, 4} }), func(p *parts) { p.trailer = nil }},
		{"cut to the MTU", rewrite.Edits{MTU: 100, MTUTrunc: true}, false, v4, func(p *parts) { p.payload = p.payload[:60] }},
		{"cut to the MTU, tags and PPPoE", rewrite.Edits{MTU: 108, MTUTrunc: true}, false, qinq.with(func(p *parts) { p.ppp = true }),
			func(p *parts) { p.payload = p.payload[:60] }},
		{"cut to the MTU, IPv6 UDP", rewrite.Edits{MTU: 100, MTUTrunc: true}, false, v6.with(func(p *parts) { p.proto = layers.IPProtocolUDP }),
			func(p *parts) { p.payload = p.payload[:52] }},
		{"just within the MTU", rewrite.Edits{MTU: 240, MTUTrunc: true}, false, tagged, nil},
		{"resized last", rewrite.Edits{VLAN: "del", TTL: "9", Sizes: "128"}, false, tagged, func(p *parts) { p.vlan, p.ttl, p.payload = nil, 9, p.payload[:70] }},
		{"nothing is asked", rewrite.Edits{}, false, v4, nil},
		{"all at once", rewrite.Edits{VLAN: "add", DestMAC: "02:00:00:00:00:0a", SourceMAC: "02:00:00:00:00:0b", PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}, TTL: "-1",
			TOS: number(1), PortMap: "80:8080", FixCsum: true, FixHdrLen: true}, false, udp4, func(p *parts) {
			p.vlan, p.dmac, p.smac = []layers.Dot1Q{{}}, "02:00:00:00:00:0a", "02:00:00:00:00:0b"
			p.src, p.dst, p.ttl, p.tos, p.dport = "10.7.2.1", "10.7.2.2", 63, 1, 8080
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, want, o := tt.before.frame(t), tt.before.frame(t), rewrite.Unchanged
			if tt.after != nil {
				want, o = tt.before.with(tt.after).frame(t), rewrite.Edited
			}
			before := bytes.Clone(in.Data)
			ed := editor(t, tt.edits)
			var out parse.Frame
			if got := ed.Edit(&in, &out, tt.server); got != o {
				t.Errorf("%s, want %s", got, o)
			}
			if !bytes.Equal(in.Data, before) {
				t.Error("the input was written")
			}
			if !bytes.Equal(out.Data, want.Data) || out.WireLen != want.WireLen || out.Link != want.Link || out.UnixNano != in.UnixNano {
				t.Errorf("%d octets, %d on the wire:\ngot  % x\nwant % x\nfrom % x", len(out.Data), out.WireLen, out.Data, want.Data, before)
			}
			if o == rewrite.Edited { // a wrong checksum stays wrong by as much
				wrong := in
				wrong.Data = bytes.Clone(before)
				var p parse.Packet
				if err := (parse.Direct{}).Parse(&wrong, &p); err != nil {
					t.Fatal(err)
				}
				field := map[layers.IPProtocol]int{6: -4, 17: -2}[tt.before.proto]
				if field == 0 || tt.edits.FixCsum || tt.edits.Sizes != "" || tt.edits.MTUTrunc {
					return
				}
				at := len(wrong.Data) - len(tt.before.trailer) - len(tt.before.payload) + field
				if bytes.Equal(wrong.Data[at:at+2], []byte{0xff, 0xff}) {
					return
				}
				was := binary.BigEndian.Uint16(wrong.Data[at:])
				binary.BigEndian.PutUint16(wrong.Data[at:], uint16((uint32(was)+0x1234)%0xffff))
				ed.Edit(&wrong, &out, tt.server)
				end := len(out.Data) - len(tt.before.trailer) - len(tt.before.payload) + field
				if tt.edits.EFCS {
					end += 4
				}
				right := binary.BigEndian.Uint16(want.Data[end:])
				if got := binary.BigEndian.Uint16(out.Data[end:]); (uint32(got)+0xffff-uint32(right))%0xffff != 0x1234 {
					t.Errorf("wrong by 0x1234 before, now %#x for %#x", got, right)
				}
			}
		})
	}
}

func TestEditSequence(t *testing.T) {
	ed := editor(t, rewrite.Edits{TCPSequence: 7})
	shift := func(p parts) (out parse.Frame, by uint32) {
		in := p.frame(t)
		if o := ed.Edit(&in, &out, false); o != rewrite.Edited {
			t.Fatal(o)
		}
		return out, binary.BigEndian.Uint32(out.Data[38:]) - p.seq
	}
	first := some().with(func(p *parts) { p.sack = []uint32{5000, 6000, 8000, 0xffffffff} })
	got, by := shift(first)
	want := first.with(func(p *parts) {
		p.seq += by
		p.ack += by
		for i := range p.sack {
			p.sack[i] += by
		}
	}).frame(t)
	if by == 0 || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("by %d:\ngot  % x\nwant % x", by, got.Data, want.Data)
	}
	syn := some().with(func(p *parts) { p.seq, p.ack = 0xfffffff0, 0 })
	got, again := shift(syn)
	if want := syn.with(func(p *parts) { p.seq += by }).frame(t); again != by || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("without acknowledgement:\ngot  % x\nwant % x", got.Data, want.Data)
	}
}

func TestEditARP(t *testing.T) {
	arp := func(op uint16, sender, target string) parse.Frame {
		return frame(t, parse.LinkEthernet, eth(layers.EthernetTypeARP), &layers.ARP{AddrType: 1, Protocol: 0x800, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: op, SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: netip.MustParseAddr(sender).AsSlice(),
			DstHwAddress: make([]byte, 6), DstProtAddress: netip.MustParseAddr(target).AsSlice()})
	}
	two := rewrite.Edits{PNAT: []string{"10.0.0.0/24:77.0.0.0/24", "10.0.0.0/24:88.0.0.0/24"}}
	for _, tt := range []struct {
		name           string
		edits          rewrite.Edits
		op             uint16
		sender, target string
	}{
		{"pnat", rewrite.Edits{PNAT: []string{"10.0.0.0/24:77.0.0.0/24"}}, 1, "77.0.0.1", "77.0.0.2"},
		{"a request, two maps", two, 1, "77.0.0.1", "88.0.0.2"},
		{"a reply, two maps", two, 2, "88.0.0.1", "77.0.0.2"},
		{"srcipmap", rewrite.Edits{SrcIPMap: "10.0.0.0/24:77.0.0.0/24"}, 2, "77.0.0.1", "10.0.0.2"},
		{"dstipmap", rewrite.Edits{DstIPMap: "10.0.0.0/24:77.0.0.0/24"}, 2, "10.0.0.1", "77.0.0.2"},
		{"endpoints, a reply", rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2"}, 2, "2.2.2.2", "1.1.1.1"},
		{"TTL", rewrite.Edits{TTL: "1", FixCsum: true, PortMap: "1:2"}, 1, "10.0.0.1", "10.0.0.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, want := arp(tt.op, "10.0.0.1", "10.0.0.2"), arp(tt.op, tt.sender, tt.target)
			var out parse.Frame
			editor(t, tt.edits).Edit(&in, &out, true)
			if !bytes.Equal(out.Data, want.Data) {
				t.Errorf("got  % x\nwant % x", out.Data, want.Data)
			}
		})
	}
}

func TestEditRandomAddresses(t *testing.T) {
	ed, other := editor(t, rewrite.Edits{RandomizeIP: 7}), editor(t, rewrite.Edits{RandomizeIP: 8})
	kept := editor(t, rewrite.Edits{RandomizeIP: 7, SkipBroadcast: true})
	edit := func(ed *rewrite.Editor, a string) netip.Addr {
		p := some()
		p.src, p.dst = a, "192.0.2.99"
		if strings.Contains(a, ":") {
			p.dst = "2001:db8::99"
		}
		in := p.frame(t)
		var out parse.Frame
		ed.Edit(&in, &out, false)
		var packet parse.Packet
		if err := (parse.Direct{}).Parse(&out, &packet); err != nil {
			t.Fatal(err)
		}
		if err := sums(&out); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		return packet.Tuple.Src().Addr()
	}
	for _, tt := range []struct{ name, addr, stays string }{
		{"private", "10.1.2.3", ""}, {"public", "8.8.8.8", ""}, {"IPv6", "2001:db8::1", ""},
		{"IPv6 link-local", "fe80::1", "fe80::/64"}, {"multicast", "224.0.0.251", "224.0.0.0/4"}, {"IPv6 multicast", "ff02::fb", "ff02::/64"},
		{"loopback", "127.0.0.1", "127.0.0.1/32"}, {"this host", "0.0.0.0", "0.0.0.0/32"}, {"broadcast", "255.255.255.255", "255.255.255.255/32"},
		{"unspecified", "::", "::/128"}, {"IPv4-mapped", "::ffff:10.0.0.1", "10.0.0.1/32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := netip.MustParseAddr(tt.addr)
			got := edit(ed, tt.addr)
			switch {
			case tt.stays == "" && (got == a || got.IsMulticast() || got.IsLoopback() || got.IsUnspecified() || got == edit(other, tt.addr)):
				t.Errorf("%s became %s, under another seed %s", a, got, edit(other, tt.addr))
			case tt.stays != "":
				if net := netip.MustParsePrefix(tt.stays); !net.Contains(got) || (got == a) != net.IsSingleIP() && got != a.Unmap() {
					t.Errorf("%s became %s, want another within %s", a, got, net)
				}
			}
			if got := edit(kept, tt.addr); a.IsMulticast() && got != a {
				t.Errorf("multicast %s became %s", a, got)
			}
		})
	}
}

// TestEditRandomIsOneToOne holds that distinct addresses stay distinct.
func TestEditRandomIsOneToOne(t *testing.T) {
	n := 1 << 19
	if testing.Short() {
		n = 1 << 16
	}
	for _, tt := range []struct {
		name  string
		edits rewrite.Edits
		base  parts
		at    int // of the octets that count
		size  int
	}{
		{"IPv4", rewrite.Edits{RandomizeIP: 3}, some(), 26, 4},
		{"IPv6", rewrite.Edits{RandomizeIP: 3}, some6(), 22, 16},
		{"IPv6 link-local", rewrite.Edits{RandomizeIP: 3}, some6().with(func(p *parts) { p.src = "fe80::1" }), 22, 16},
		{"MAC", rewrite.Edits{MACSeed: 3}, some(), 6, 6},
		{"MAC, three octets kept", rewrite.Edits{MACSeed: 3, MACKeep: 3}, some(), 6, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ed := editor(t, tt.edits)
			in := tt.base.frame(t)
			seen := make(map[[16]byte]bool, n)
			var out parse.Frame
			for i := range n {
				at := tt.at + tt.size - 3
				in.Data[at], in.Data[at+1], in.Data[at+2] = byte(i>>16), byte(i>>8), byte(i)
				ed.Edit(&in, &out, false)
				var key [16]byte
				copy(key[:], out.Data[tt.at:tt.at+tt.size])
				if seen[key] {
					t.Fatalf("% x comes twice", key)
				}
				if seen[key] = true; tt.edits.MACSeed != 0 && key[0]&3 != in.Data[6]&3 {
					t.Fatalf("% x has other flags than % x", key, in.Data[6:12])
				}
				if tt.edits.MACKeep == 3 && !bytes.Equal(key[:3], in.Data[6:9]) {
					t.Fatalf("% x of % x", key, in.Data[6:12])
				}
			}
		})
	}
}

func TestEditOutcomes(t *testing.T) {
	v4 := some()
	plain, udpFrame := v4.frame(t), v4.with(func(p *parts) { p.proto = layers.IPProtocolUDP }).frame(t)
	six := some6().frame(t)
	padded := v4.with(func(p *parts) { p.trailer = []byte{1, 2, 3, 4} }).frame(t)
	cut := func(f parse.Frame, n int) parse.Frame {
		f.Data = f.Data[:n:n]
		return f
	}
	set := func(f parse.Frame, at int, octets ...byte) parse.Frame {
		f.Data = bytes.Clone(f.Data)
		copy(f.Data[at:], octets)
		return f
	}
	raw := func(link parse.LinkType, f parse.Frame, header ...byte) parse.Frame {
		f.Data = append(header, f.Data[14:]...)
		f.WireLen, f.Link = len(f.Data), link
		return f
	}
	fragment := v4.with(func(p *parts) { p.flags = 1 << 13 }).frame(t)
	rest := v4.with(func(p *parts) { p.flags = 5 }).frame(t)
	ah := func() parse.Frame {
		d := append([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 64, 0, 0, 0, 0, 64, 51, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
			6, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, plain.Data[34:54]...)
		return parse.Frame{Data: d, WireLen: len(d), Link: parse.LinkEthernet}
	}()
	piece := cut(set(fragment, 16, 0, 28), 42)
	piece.WireLen = 42
	llc := func(length int, octets ...byte) parse.Frame {
		d := append([]byte{1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, byte(length >> 8), byte(length)}, octets...)
		return parse.Frame{Data: d, WireLen: len(d), Link: parse.LinkEthernet}
	}
	ppp := v4.with(func(p *parts) { p.ppp = true })
	padPPP := func(proto layers.IPProtocol) parse.Frame { // padding within the PPPoE length
		f := ppp.with(func(p *parts) { p.proto, p.payload, p.trailer = proto, p.payload[:30], make([]byte, 300) }).frame(t)
		binary.BigEndian.PutUint16(f.Data[18:], uint16(len(f.Data)-20))
		return f
	}
	pppPadded, pppMessage := padPPP(layers.IPProtocolTCP), padPPP(layers.IPProtocolSCTP)
	pppControl := func() parse.Frame { // LCP
		f := ppp.frame(t)
		f.Data[20], f.Data[21] = 0xc0, 0x21
		return f
	}()
	surplus := set(udpFrame, 38, 0, 108, 0, 0) // octets between the ends of UDP and IP
	nat := rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16,10.0.0.0/8:1.0.0.0/8"}}
	sized := v4.with(func(p *parts) { p.payload = p.payload[:6] }).frame(t)
	enet := rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02", SourceMAC: "02:00:00:00:00:01"}
	for _, tt := range []struct {
		name   string
		edits  rewrite.Edits
		in     parse.Frame
		want   rewrite.Outcome
		length int // of the frame after; 0: the frame stays
	}{
		{"nat of a fragment", nat, fragment, rewrite.Edited, len(fragment.Data)},
		{"checksum of a fragment", rewrite.Edits{FixCsum: true}, set(fragment, 24, 1, 1), rewrite.Fragment, len(fragment.Data)},
		{"nat of a later fragment", nat, rest, rewrite.Edited, len(rest.Data)},
		{"ports of a later fragment", rewrite.Edits{PortMap: "0-65535:1"}, rest, rewrite.Unchanged, 0},
		{"nat of a cut frame", nat, cut(plain, 60), rewrite.Edited, 60},
		{"nat, cut in the IP header", nat, cut(plain, 30), rewrite.Cut, 0},
		{"nat, cut in the link header", nat, cut(plain, 9), rewrite.Cut, 0},
		{"dmac, cut in the link header", rewrite.Edits{DestMAC: "02:00:00:00:00:0a"}, cut(plain, 9), rewrite.Cut, 0},
		{"ports, cut behind them", rewrite.Edits{PortMap: "80:81"}, cut(plain, 38), rewrite.Edited, 38},
		{"ports, cut in them", rewrite.Edits{PortMap: "80:81"}, cut(plain, 37), rewrite.Unchanged, 0},
		{"sequence, cut in the header", rewrite.Edits{TCPSequence: 1}, cut(plain, 50), rewrite.Cut, 50},
		{"checksum of a cut frame", rewrite.Edits{FixCsum: true}, cut(plain, 60), rewrite.Cut, 0},
		{"nat under an authentication header", nat, ah, rewrite.Protected, len(ah.Data)},
		{"TTL under an authentication header", rewrite.Edits{TTL: "9"}, ah, rewrite.Edited, len(ah.Data)},
		{"nat, TCP header that cannot be", nat, set(plain, 46, 0x10), rewrite.Edited, len(plain.Data)},
		{"TTL, UDP length that cannot be", rewrite.Edits{TTL: "9", TOS: number(1)}, set(udpFrame, 38, 0, 4), rewrite.Edited, len(udpFrame.Data)},
		{"dmac and ports, TCP header that cannot be", rewrite.Edits{DestMAC: "02:00:00:00:00:0a", PortMap: "80:81"}, set(plain, 46, 0x10), rewrite.Malformed, len(plain.Data)},
		{"sequence, TCP header that cannot be", rewrite.Edits{TCPSequence: 1}, set(plain, 46, 0x10), rewrite.Malformed, 0},
		{"sequence, UDP length that cannot be", rewrite.Edits{TCPSequence: 1}, set(udpFrame, 38, 0, 4), rewrite.Unchanged, 0},
		{"checksum, TCP header that cannot be", rewrite.Edits{FixCsum: true, TTL: "9"}, set(plain, 46, 0x10), rewrite.Malformed, len(plain.Data)},
		{"length, UDP length that cannot be", rewrite.Edits{FixHdrLen: true}, set(set(udpFrame, 16, 0, 0), 38, 0, 4), rewrite.Edited, len(udpFrame.Data)},
		{"nat of a fragment with a part of the TCP header", nat, piece, rewrite.Fragment, len(piece.Data)},
		{"TTL of a fragment with a part of the TCP header", rewrite.Edits{TTL: "9"}, piece, rewrite.Edited, len(piece.Data)},
		{"sequence of a fragment with a part of the TCP header", rewrite.Edits{TCPSequence: 1}, piece, rewrite.Fragment, len(piece.Data)},
		{"nat, a hop-by-hop header that is longer than the packet", rewrite.Edits{PNAT: []string{"[2001:db8::/32]:[fd00::/32]"}}, set(set(six, 20, 0), 55, 255), rewrite.Edited, len(six.Data)},
		{"nat, cut in an authentication header", nat, cut(ah, 40), rewrite.Protected, 40},
		{"nat of a later fragment under an authentication header", nat, set(ah, 20, 0, 5), rewrite.Protected, len(ah.Data)},
		{"IP version that cannot be", nat, set(plain, 14, 0x55), rewrite.Malformed, 0},
		{"empty", nat, parse.Frame{Link: parse.LinkEthernet}, rewrite.Malformed, 0},
		{"unknown link type", nat, parse.Frame{Link: 127, Data: plain.Data, WireLen: len(plain.Data)}, rewrite.UnknownLink, 0},
		{"not IP", nat, set(plain, 12, 0x90, 0), rewrite.Unchanged, 0},
		{"MAC without Ethernet", rewrite.Edits{DestMAC: "02:00:00:00:00:0a"}, raw(parse.LinkRaw, plain), rewrite.WrongLink, 0},
		{"tag without Ethernet", rewrite.Edits{VLAN: "add", TTL: "9"}, raw(parse.LinkRaw, plain), rewrite.WrongLink, len(plain.Data) - 14},
		{"FCS without Ethernet", rewrite.Edits{EFCS: true}, raw(parse.LinkRaw, plain), rewrite.WrongLink, 0},
		{"FCS that is none", rewrite.Edits{EFCS: true}, plain, rewrite.TooLong, 0},
		{"FCS of a cut frame", rewrite.Edits{EFCS: true}, cut(padded, len(padded.Data)-2), rewrite.Edited, len(padded.Data) - 4},
		{"FCS of a frame cut before", rewrite.Edits{EFCS: true}, cut(padded, 60), rewrite.Edited, 60},
		{"FCS of a frame with its 802.3 length", rewrite.Edits{EFCS: true}, llc(7, 0x42, 0x42, 3, 1, 2, 3, 4), rewrite.TooLong, 0},
		{"FCS behind the 802.3 length", rewrite.Edits{EFCS: true}, llc(3, 0x42, 0x42, 3, 1, 2, 3, 4), rewrite.Edited, 17},
		{"FCS of PPPoE control", rewrite.Edits{EFCS: true}, pppControl, rewrite.TooLong, 0},
		{"FCS of a length 0", rewrite.Edits{EFCS: true}, set(plain, 16, 0, 0), rewrite.Unbounded, 0},
		{"FCS of next to nothing", rewrite.Edits{EFCS: true}, parse.Frame{Data: []byte{1}, WireLen: 1, Link: 1}, rewrite.Malformed, 0},

		{"raw to Ethernet", enet, raw(parse.LinkRaw, plain), rewrite.Edited, len(plain.Data)},
		{"raw IPv6 to Ethernet", enet, raw(parse.LinkIPv6, six), rewrite.Edited, len(six.Data)},
		{"loopback to Ethernet", enet, raw(parse.LinkNull, plain, 2, 0, 0, 0), rewrite.Edited, len(plain.Data)},
		{"OpenBSD loopback to Ethernet", enet, raw(parse.LinkLoop, six, 0, 0, 0, 24), rewrite.Edited, len(six.Data)},
		{"cooked to Ethernet", rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02"},
			raw(parse.LinkSLL, plain, 0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0), rewrite.Edited, len(plain.Data)},
		{"cooked 2 to Ethernet", rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02"},
			raw(parse.LinkSLL2, plain, 8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0), rewrite.Edited, len(plain.Data)},
		{"cooked without an address", rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02"},
			raw(parse.LinkSLL, plain, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0), rewrite.WrongLink, 0},
		{"netlink to Ethernet", enet, raw(parse.LinkSLL, plain, 0, 0, 3, 56, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0), rewrite.WrongLink, 0},
		{"loopback of another family", enet, raw(parse.LinkNull, plain, 7, 0, 0, 0), rewrite.WrongLink, 0},
		{"Ethernet to Ethernet", rewrite.Edits{DLT: "enet"}, plain, rewrite.Unchanged, 0},

		{"delete what is cut", rewrite.Edits{FixLen: "del"}, cut(plain, 60), rewrite.Deleted, 0},
		{"keep what is not", rewrite.Edits{FixLen: "del"}, plain, rewrite.Unchanged, 0},
		{"pad", rewrite.Edits{FixLen: "pad"}, cut(plain, 60), rewrite.Edited, len(plain.Data)},
		{"pad a cut header", rewrite.Edits{FixLen: "pad"}, cut(plain, 40), rewrite.Cut, len(plain.Data)},
		{"pad a fragment", rewrite.Edits{FixLen: "pad"}, cut(fragment, 60), rewrite.Fragment, len(fragment.Data)},
		{"pad above the MTU", rewrite.Edits{FixLen: "pad", MTU: 239}, cut(plain, 60), rewrite.TooLong, 0},
		{"pad up to the MTU", rewrite.Edits{FixLen: "pad", MTU: 240}, cut(plain, 60), rewrite.Edited, len(plain.Data)},
		{"pad a claim", rewrite.Edits{FixLen: "pad"}, parse.Frame{Data: plain.Data, WireLen: 1 << 30, Link: parse.LinkEthernet}, rewrite.TooLong, 0},
		{"trunc", rewrite.Edits{FixLen: "trunc"}, cut(udpFrame, 60), rewrite.Edited, 60},
		{"trunc in the header", rewrite.Edits{FixLen: "trunc"}, cut(plain, 40), rewrite.Cut, 0},
		{"trunc a fragment", rewrite.Edits{FixLen: "trunc"}, cut(fragment, 60), rewrite.Fragment, 0},
		{"trunc SCTP", rewrite.Edits{FixLen: "trunc"}, cut(set(plain, 23, 132), 60), rewrite.Cut, 0},
		{"trunc ESP", rewrite.Edits{FixLen: "trunc"}, cut(set(plain, 23, 50), 60), rewrite.Protected, 0},
		{"trunc an unknown type", rewrite.Edits{FixLen: "trunc"}, cut(set(plain, 12, 0x90, 0), 60), rewrite.Edited, 60},
		{"MTU, headers do not fit", rewrite.Edits{MTU: 39, MTUTrunc: true}, plain, rewrite.TooLong, 0},
		{"MTU of a message", rewrite.Edits{MTU: 100, MTUTrunc: true}, set(plain, 23, 132), rewrite.TooLong, 0},
		{"MTU of a fragment", rewrite.Edits{MTU: 100, MTUTrunc: true}, fragment, rewrite.Fragment, 0},
		{"MTU of a cut frame", rewrite.Edits{MTU: 100, MTUTrunc: true}, cut(plain, 60), rewrite.Cut, 0},
		{"MTU of a surplus area", rewrite.Edits{MTU: 200, MTUTrunc: true}, surplus, rewrite.Edited, 34 + 108},
		{"MTU within UDP before a surplus area", rewrite.Edits{MTU: 100, MTUTrunc: true}, surplus, rewrite.Edited, 114},
		{"MTU of PPPoE padding", rewrite.Edits{MTU: 200, MTUTrunc: true}, pppPadded, rewrite.Edited, 14 + 8 + 20 + 20 + 30},
		{"MTU of PPPoE padding behind a message", rewrite.Edits{MTU: 200, MTUTrunc: true}, pppMessage, rewrite.Edited, 214},
		{"size within PPPoE padding behind a message", rewrite.Edits{Sizes: "128"}, pppMessage, rewrite.Edited, 124},
		{"trunc PPPoE padding", rewrite.Edits{FixLen: "trunc"}, cut(pppPadded, 200), rewrite.Edited, 200},
		{"trunc PPPoE control", rewrite.Edits{FixLen: "trunc"}, cut(pppControl, 200), rewrite.Cut, 0},
		{"trunc a surplus area", rewrite.Edits{FixLen: "trunc"}, cut(surplus, 160), rewrite.Edited, 34 + 108},
		{"trunc within 802.3", rewrite.Edits{FixLen: "trunc"}, cut(llc(7, 0x42, 0x42, 3, 1, 2, 3, 4), 19), rewrite.Cut, 0},
		{"trunc behind 802.3", rewrite.Edits{FixLen: "trunc"}, cut(llc(3, 0x42, 0x42, 3, 1, 2, 3, 4), 19), rewrite.Edited, 19},
		{"the usual MTU", rewrite.Edits{MTUTrunc: true}, v4.with(func(p *parts) { p.payload = make([]byte, 3000) }).frame(t), rewrite.Edited, 1514},

		{"length above the frame", rewrite.Edits{FixHdrLen: true}, set(plain, 16, 9, 9), rewrite.Edited, len(plain.Data)},
		{"length 0", rewrite.Edits{FixHdrLen: true}, set(plain, 16, 0, 0), rewrite.Edited, len(plain.Data)},
		{"IPv6 length above the frame", rewrite.Edits{FixHdrLen: true}, set(six, 18, 9, 9), rewrite.Edited, len(six.Data)},
		{"UDP length above the packet", rewrite.Edits{FixHdrLen: true}, set(udpFrame, 38, 9, 9), rewrite.Edited, len(udpFrame.Data)},
		{"lengths that fit", rewrite.Edits{FixHdrLen: true}, udpFrame, rewrite.Unchanged, 0},
		{"checksum, length 0", rewrite.Edits{FixCsum: true}, set(plain, 16, 0, 0), rewrite.Unbounded, len(plain.Data)},
		{"checksum after the length", rewrite.Edits{FixCsum: true, FixHdrLen: true}, set(plain, 16, 0, 0), rewrite.Edited, len(plain.Data)},
		{"checksum, UDP length above the packet", rewrite.Edits{FixCsum: true}, set(udpFrame, 38, 9, 9), rewrite.Malformed, 0},
		{"checksum under an authentication header", rewrite.Edits{FixCsum: true}, ah, rewrite.Protected, len(ah.Data)},
		{"size that is there", rewrite.Edits{Sizes: "64"}, sized, rewrite.Unchanged, 0},
		{"size of a cut frame", rewrite.Edits{Sizes: "64"}, cut(plain, 60), rewrite.Cut, 0},
		{"size below the headers", rewrite.Edits{Sizes: "64"}, v4.with(func(p *parts) { p.sack = []uint32{1, 2, 3, 4} }).frame(t), rewrite.TooLong, 14 + 20 + 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ed := editor(t, tt.edits)
			in := tt.in
			in.Data = bytes.Clone(tt.in.Data)
			out := in // in and out may be one
			if o := ed.Edit(&out, &out, false); o != tt.want {
				t.Fatalf("%s, want %s", o, tt.want)
			}
			if !bytes.Equal(in.Data, tt.in.Data) {
				t.Fatal("the input was written")
			}
			same := reflect.DeepEqual(in, out)
			if same != (tt.length == 0) || tt.length != 0 && len(out.Data) != tt.length {
				t.Errorf("%d octets, %d on the wire, want %d (0: as before): % x", len(out.Data), out.WireLen, tt.length, out.Data)
			}
			if ed.LinkOut(in.Link) != out.Link && tt.want != rewrite.WrongLink {
				t.Errorf("link type %d, LinkOut says %d", out.Link, ed.LinkOut(in.Link))
			}
			if tt.want == rewrite.Edited && out.Link == parse.LinkEthernet && out.WireLen == len(out.Data) {
				if tt.edits.FixHdrLen && !tt.edits.FixCsum {
					g := gopacket.NewPacket(out.Data, layers.LayerTypeEthernet, gopacket.NoCopy)
					if ip, ok := g.NetworkLayer().(*layers.IPv4); ok && int(ip.Length) != len(out.Data)-14 {
						t.Errorf("length %d", ip.Length)
					}
				} else if err := lengthsFit(&out); err != nil && (tt.edits.FixLen != "" || lengthsFit(&in) == nil) {
					t.Error(err)
				} else if err := sums(&out); err != nil && !strings.Contains(tt.name, "fragment") && !strings.Contains(tt.name, "authentication") && !strings.Contains(tt.name, "cannot be") {
					t.Error(err)
				}
			}
			r := ed.Report()
			j, err := json.Marshal(r)
			if err != nil || !bytes.Contains(j, []byte(`"`+tt.want.String()+`":1`)) || r.Frames != 1 || r.Octets != uint64(len(in.Data)) {
				t.Errorf("report %s, %v", j, err)
			}
			if failed := tt.want != rewrite.Edited && tt.want != rewrite.Unchanged && tt.want != rewrite.Deleted; (r.Failed() == 1) != failed {
				t.Errorf("%d failed in %+v", r.Failed(), r)
			} else if failed && !strings.Contains(r.String(), "1 "+strings.ReplaceAll(tt.want.String(), "_", " ")) {
				t.Errorf("report says %q", r)
			} else if failed {
				tt.edits.SkipSoftErrors = true
				skip := editor(t, tt.edits)
				if o := skip.Edit(&in, &out, false); o != rewrite.Deleted || skip.Report().OctetsOut != 0 {
					t.Errorf("with skipping %s, %+v", o, skip.Report())
				}
			}
		})
	}
}

// TestEditMapsAllFragments holds that the fragments of a packet keep one pair of addresses, also where its transport header is
// in more than one.
func TestEditMapsAllFragments(t *testing.T) {
	whole := some().with(func(p *parts) { p.payload = p.payload[:44] }).frame(t)
	ed := editor(t, rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}, TTL: "9", PortMap: "80:81,40000:40001"})
	var parts [][]byte
	for at := 34; at < len(whole.Data); at += 8 {
		end := min(at+8, len(whole.Data))
		d := append(bytes.Clone(whole.Data[:34]), whole.Data[at:end]...)
		binary.BigEndian.PutUint16(d[16:], uint16(20+end-at))
		flags := uint16(at-34) / 8
		if end < len(whole.Data) {
			flags |= 1 << 13
		}
		binary.BigEndian.PutUint16(d[20:], flags)
		var sum uint32
		d[24], d[25] = 0, 0
		for i := 14; i < 34; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(d[i:]))
		}
		binary.BigEndian.PutUint16(d[24:], ^uint16(sum>>16+sum))
		in := parse.Frame{Data: d, WireLen: len(d), Link: parse.LinkEthernet}
		var out parse.Frame
		o := ed.Edit(&in, &out, false)
		if want := rewrite.Edited; at > 34 && o != want || at == 34 && o != rewrite.Fragment {
			t.Errorf("fragment at %d: %s", at-34, o)
		}
		if src, dst := netip.AddrFrom4([4]byte(out.Data[26:30])), netip.AddrFrom4([4]byte(out.Data[30:34])); src.String() != "10.7.2.1" || dst.String() != "10.7.2.2" || out.Data[22] != 9 {
			t.Errorf("fragment at %d: from %s to %s, TTL %d", at-34, src, dst, out.Data[22])
		}
		if err := sums(&out); err != nil {
			t.Errorf("fragment at %d: %v", at-34, err)
		}
		parts = append(parts, bytes.Clone(out.Data[34:]))
	}
	if r := ed.Report(); r.Fragment != 1 || r.Edited != uint64(len(parts))-1 {
		t.Errorf("%s", r)
	}
	if src, dst := binary.BigEndian.Uint16(parts[0]), binary.BigEndian.Uint16(parts[0][2:]); src != 40001 || dst != 81 {
		t.Errorf("ports %d, %d", src, dst)
	}
	if rest := bytes.Join(parts[1:], nil); !bytes.Equal(rest, whole.Data[42:]) {
		t.Error("later fragments changed behind the IP header")
	}
}

// TestEditKeepsWhatItCannotCheck holds that a checksum behind a header that cannot be moves by the difference where it stands in
// the packet, and that nothing behind the packet is written.
func TestEditKeepsWhatItCannotCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(d []byte)
		proto  layers.IPProtocol
		field  int // of the checksum, in the frame; 0: none within the packet
	}{
		{"data offset 2", func(d []byte) { d[46] = 0x20 }, layers.IPProtocolTCP, 50},
		{"UDP length 4", func(d []byte) { d[38], d[39] = 0, 4 }, layers.IPProtocolUDP, 40},
		{"a packet that ends before the checksum", func(d []byte) { d[16], d[17] = 0, 32 }, layers.IPProtocolTCP, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole := some().with(func(p *parts) { p.proto = tt.proto })
			to := whole.with(func(p *parts) { p.src, p.dst = "10.7.2.1", "10.7.2.2" }).frame(t)
			in := whole.frame(t)
			want := bytes.Clone(in.Data)
			tt.change(in.Data)
			copy(want, in.Data)
			copy(want[26:34], to.Data[26:34])
			if tt.field != 0 {
				copy(want[tt.field:], to.Data[tt.field:tt.field+2])
			}
			var out parse.Frame
			if o := editor(t, rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}}).Edit(&in, &out, false); o != rewrite.Edited {
				t.Error(o)
			}
			copy(want[24:26], out.Data[24:26]) // the IPv4 header's, below
			if !bytes.Equal(out.Data, want) {
				t.Errorf("got  % x\nwant % x", out.Data, want)
			}
			var acc uint32
			for i := 14; i < 34; i += 2 {
				acc += uint32(binary.BigEndian.Uint16(out.Data[i:])) + 0xffff - uint32(binary.BigEndian.Uint16(in.Data[i:]))
			}
			if acc%0xffff != 0 {
				t.Errorf("the sum of the IPv4 header moved by %#x", acc%0xffff)
			}
		})
	}
}

func TestEditUDPZeroStays(t *testing.T) {
	f := some().with(func(p *parts) { p.proto = layers.IPProtocolUDP }).frame(t)
	f.Data[40], f.Data[41] = 0, 0
	var out parse.Frame
	editor(t, rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2", PortMap: "80:81", FixCsum: true}).Edit(&f, &out, false)
	if c := binary.BigEndian.Uint16(out.Data[40:]); c != 0 {
		t.Errorf("no checksum became %#x", c)
	}
}

func TestNATBackIsIdentity(t *testing.T) {
	there := editor(t, rewrite.Edits{PNAT: []string{"10.0.0.0/8:77.0.0.0/8,192.168.0.0/16:78.1.0.0/16,[2001:db8::/32]:[fd01:2::/32],[fe80::/10]:[fdc0::/10]"}})
	back := editor(t, rewrite.Edits{PNAT: []string{"77.0.0.0/8:10.0.0.0/8,78.1.0.0/16:192.168.0.0/16,[fd01:2::/32]:[2001:db8::/32],[fdc0::/10]:[fe80::/10]"}})
	src, err := synth.New("iot-1", 11)
	if err != nil {
		t.Fatal(err)
	}
	var f, a, b parse.Frame
	edited := 0
	for range 20000 {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if there.Edit(&f, &a, false) == rewrite.Edited {
			edited++
		}
		back.Edit(&a, &b, false)
		if !bytes.Equal(b.Data, f.Data) {
			t.Fatalf("frame\n% x\nbecame\n% x\nand came back as\n% x", f.Data, a.Data, b.Data)
		}
	}
	if edited < 5000 {
		t.Errorf("%d frames edited", edited)
	}
}

func TestFuzzedFramesFit(t *testing.T) {
	const n = 20000
	e := rewrite.Edits{FuzzSeed: 3, FuzzFactor: 4}
	ed, again := editor(t, e), editor(t, e)
	src, err := synth.New("iot-1", 2)
	if err != nil {
		t.Fatal(err)
	}
	var f, a, b parse.Frame
	shorter := 0
	for i := range n {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		o := ed.Edit(&f, &a, false)
		if o != again.Edit(&f, &b, false) || !bytes.Equal(a.Data, b.Data) {
			t.Fatalf("frame %d differs between two runs", i)
		}
		if o != rewrite.Edited {
			continue
		}
		if len(a.Data) < len(f.Data) {
			shorter++
		}
		var p, q parse.Packet
		if err := (parse.Direct{}).Parse(&f, &p); err != nil {
			t.Fatal(err)
		}
		if err := (parse.Direct{}).Parse(&a, &q); err != nil || p.Layers != q.Layers || p.Tuple != q.Tuple || p.HeaderLen != q.HeaderLen {
			t.Fatalf("frame %d: %+v became %+v, %v", i, p, q, err)
		}
		if err := lengthsFit(&a); err != nil && lengthsFit(&f) == nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if err := sums(&a); err != nil && !p.Layers.Has(parse.LayerFragment) {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	r := ed.Report()
	if r.Deleted < n/64 || r.Deleted > n/16 || r.Edited < n/8 || r.Edited > n/4 || shorter < n/128 {
		t.Errorf("%d shorter, %s", shorter, r)
	}
}

func TestNewEditorNamesAllFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits rewrite.Edits
		want  []string
	}{
		{"words", rewrite.Edits{DLT: "hdlc", FixLen: "cut", VLAN: "set"}, []string{"--dlt hdlc: want enet", "--fixlen cut: want pad or trunc or del", "--enet-vlan set"}},
		{"numbers", rewrite.Edits{MTU: 70000, MTUTrunc: true, TOS: number(256), TClass: number(-1), FlowLabel: number(1 << 20), MACKeep: 7, MACSeed: 1, FuzzFactor: -1},
			[]string{"--mtu 70000", "--tos 256", "--tclass -1", "--flowlabel 1048576", "--enet-mac-seed-keep-bytes 7", "--fuzz-factor -1"}},
		{"what lacks its partner", rewrite.Edits{MTU: 9, VLANTag: 3, MACKeep: 1, FuzzFactor: 2},
			[]string{"--mtu limits", "--enet-vlan=add", "--enet-mac-seed-keep-bytes 1", "--fuzz-factor 2"}},
		{"tags", rewrite.Edits{VLAN: "add", VLANTag: 4096, VLANCFI: 2, VLANPri: 8, VLANProto: "802.1x"},
			[]string{"--enet-vlan-tag 4096", "--enet-vlan-cfi 2", "--enet-vlan-pri 8", "--enet-vlan-proto 802.1x"}},
		{"tags to delete", rewrite.Edits{VLAN: "del", VLANPri: 1}, []string{"--enet-vlan=add"}},
		{"MACs", rewrite.Edits{DestMAC: "1:2:3", SourceMAC: "1:2:3:4:5:6,1:2:3:4:5:6,1:2:3:4:5:6", SubstituteMAC: []string{"1:2:3:4:5:6", "x,y", "1:2:3:4:5:100,1:2:3:4:5:6"}},
			[]string{`--enet-dmac 1:2:3: "1:2:3" is not a MAC`, "--enet-smac", "--enet-subsmac 1:2:3:4:5:6: want OLD,NEW", `"x"`, `"1:2:3:4:5:100"`}},
		{"MAC seed is alone", rewrite.Edits{MACSeed: 1, DestMAC: "1:2:3:4:5:6"}, []string{"--enet-mac-seed stands alone"}},
		{"networks", rewrite.Edits{PNAT: []string{"10.0.0.0/8,x:y", "10.0.0.0/33:1.0.0.0/8"}}, []string{`"10.0.0.0/8"`, `"x:y"`, "/33"}},
		{"three maps", rewrite.Edits{PNAT: []string{"1.1.1.1:1.1.1.1", "1.1.1.1:1.1.1.1", "1.1.1.1:1.1.1.1"}}, []string{"--pnat: want one map, or two"}},
		{"families", rewrite.Edits{SrcIPMap: "[::1]:[1.2.3.4]", DstIPMap: "[fe80::1%eth0]:[::1]"}, []string{"--srcipmap [::1]:[1.2.3.4]", "different families", "zone"}},
		{"endpoints", rewrite.Edits{Endpoints: "10.0.0.0/8:10.0.0.1"}, []string{"want two addresses"}},
		{"endpoints, twice", rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2,3.3.3.3:4.4.4.4"}, []string{"a second pair"}},
		{"maps exclude each other", rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2", RandomizeIP: 1}, []string{"exclude each other"}},
		{"pnat with srcipmap", rewrite.Edits{PNAT: []string{"1.1.1.1:2.2.2.2"}, SrcIPMap: "1.1.1.1:2.2.2.2"}, []string{"exclude each other"}},
		{"TTL", rewrite.Edits{TTL: "0"}, []string{"--ttl 0"}},
		{"TTL words", rewrite.Edits{TTL: "+-1"}, []string{"--ttl +-1"}},
		{"ports", rewrite.Edits{PortMap: "80,65536:1,9-8:1,1:x,7"}, []string{`"65536:1"`, `"9-8:1"`, `"1:x"`, "no target"}},
		{"sizes", rewrite.Edits{Sizes: "64,128"}, []string{"want one size"}},
		{"what limits nothing", rewrite.Edits{SkipBroadcast: true, SkipL2Broadcast: true, SkipSoftErrors: true},
			[]string{"--skipbroadcast limits", "--skipl2broadcast limits", "--skip-soft-errors leaves out"}},
		{"size", rewrite.Edits{Sizes: "63"}, []string{"--sizes 63"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := rewrite.NewEditor(tt.edits)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v lacks %q", err, want)
				}
			}
		})
	}
}

func TestCheckLink(t *testing.T) {
	both := rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02", SourceMAC: "02:00:00:00:00:01"}
	dest := rewrite.Edits{DLT: "enet", DestMAC: "02:00:00:00:00:02"}
	for _, tt := range []struct {
		name  string
		edits rewrite.Edits
		link  parse.LinkType
		want  string // "": no error
	}{
		{"Ethernet", rewrite.Edits{DestMAC: "02:00:00:00:00:02"}, parse.LinkEthernet, ""},
		{"addresses of raw IP", rewrite.Edits{TTL: "1"}, parse.LinkRaw, ""},
		{"MACs of raw IP", rewrite.Edits{DestMAC: "02:00:00:00:00:02", VLAN: "del"}, parse.LinkRaw, "no Ethernet header for --enet-vlan, --enet-dmac"},
		{"raw IP converted", both, parse.LinkRaw, ""},
		{"raw IP lacks a source", dest, parse.LinkRaw, "needs --enet-dmac"},
		{"cooked frames have one", dest, parse.LinkSLL2, ""},
		{"no addresses at all", rewrite.Edits{DLT: "enet"}, parse.LinkSLL, "needs --enet-dmac"},
		{"what is not converted", both, 127, "converts raw IP"},
		{"FCS of raw IP converted", rewrite.Edits{EFCS: true, DLT: "enet", DestMAC: both.DestMAC, SourceMAC: both.SourceMAC}, parse.LinkRaw, "--efcs takes an FCS from Ethernet frames only"},
		{"FCS of cooked frames", rewrite.Edits{EFCS: true}, parse.LinkSLL, "--efcs takes an FCS from Ethernet frames only"},
		{"Ethernet converted", rewrite.Edits{DLT: "enet"}, parse.LinkEthernet, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := editor(t, tt.edits).CheckLink(tt.link)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSided(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits rewrite.Edits
		want  string
	}{
		{"one value each", rewrite.Edits{PNAT: []string{"1.1.1.1:2.2.2.2"}, DestMAC: "1:2:3:4:5:6", SrcIPMap: "1.1.1.1:2.2.2.2"}, ""},
		{"pairs", rewrite.Edits{PNAT: []string{"a", "b"}, DestMAC: "a,b", SourceMAC: "a,b"}, "--enet-dmac, --enet-smac, --pnat"},
		{"endpoints", rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2"}, "--endpoints"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.edits.Sided(); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestZeroEditsPassOn(t *testing.T) {
	var e rewrite.Edits
	j, err := json.Marshal(e)
	if !e.Zero() || e.String() != "" || err != nil || string(j) != "{}" {
		t.Errorf("zero value: %q, %s, %v", e, j, err)
	}
	ed := editor(t, e)
	f := some().frame(t)
	var out parse.Frame
	if o := ed.Edit(&f, &out, false); o != rewrite.Unchanged || &out.Data[0] != &f.Data[0] {
		t.Errorf("%s", o)
	}
}

// many is a set of edits that leaves little as it was.
func many() rewrite.Edits {
	return rewrite.Edits{VLAN: "add", VLANTag: 5, DestMAC: "02:00:00:00:00:0a,02:00:00:00:00:0b", SubstituteMAC: []string{"02:00:00:00:00:01,02:00:00:00:00:99"},
		RandomizeIP: 5, TTL: "-1", TOS: number(8), TClass: number(8), PortMap: "80:8080,1024-65535:9", TCPSequence: 3, FixHdrLen: true, FixCsum: true, FixLen: "pad",
		MTUTrunc: true}
}

func TestEditAllocatesNothing(t *testing.T) {
	src, err := synth.New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	fuzzed := many()
	fuzzed.FuzzSeed, fuzzed.Sizes = 1, "imix"
	short := many()
	short.FixLen, short.EFCS, short.MTU = "trunc", true, 100
	for _, e := range []rewrite.Edits{many(), fuzzed, short, {Endpoints: "1.1.1.1:2.2.2.2"}} {
		ed := editor(t, e)
		var f, out parse.Frame
		long := some().with(func(p *parts) { p.payload = make([]byte, 9000) }).frame(t)
		ed.Edit(&long, &out, false)
		i := 0
		if n := testing.AllocsPerRun(5000, func() {
			_ = src.Next(&f)
			if i++; i&1 != 0 { // cut
				f.Data = f.Data[:max(len(f.Data)/2, 14)]
			}
			ed.Edit(&f, &out, f.UnixNano&1 != 0)
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame", e, n)
		}
	}
}

func FuzzEdit(f *testing.F) {
	src, err := synth.New("iot-1", 9)
	if err != nil {
		f.Fatal(err)
	}
	var fr parse.Frame
	for i := range 200 {
		_ = src.Next(&fr)
		f.Add(bytes.Clone(fr.Data), uint16(parse.LinkEthernet), uint16(0), uint32(1)<<(i%28))
	}
	for _, p := range []parts{some6(), some().with(func(p *parts) { p.ppp = true }), some().with(func(p *parts) { p.sack = []uint32{1, 2} })} {
		f.Add(p.frame(f).Data, uint16(parse.LinkEthernet), uint16(9), ^uint32(0))
	}
	for _, link := range []parse.LinkType{parse.LinkNull, parse.LinkRaw, parse.LinkSLL, parse.LinkSLL2, parse.LinkIPv6} {
		f.Add(bytes.Clone(fr.Data[14:]), uint16(link), uint16(100), ^uint32(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, link, cut uint16, choice uint32) {
		e := chosen(choice)
		ed, err := rewrite.NewEditor(e)
		if err != nil {
			t.Fatal(err)
		}
		in := parse.Frame{Data: data, WireLen: len(data) + int(cut)%2000, Link: parse.LinkType(link)}
		before := bytes.Clone(data)
		var out parse.Frame
		o := ed.Edit(&in, &out, choice&1 != 0)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was written")
		}
		if len(out.Data) > out.WireLen {
			t.Fatalf("%d octets, %d on the wire", len(out.Data), out.WireLen)
		}
		if in.WireLen == len(data) || e.FixLen != "" {
			if err := lengthsFit(&out); err != nil && lengthsFit(&parse.Frame{Data: append(bytes.Clone(data), make([]byte, in.WireLen-len(data))...), Link: in.Link}) == nil &&
				o == rewrite.Edited {
				t.Fatalf("%s: %v\n% x\n% x", e, err, in.Data, out.Data)
			}
		}
		if r := ed.Report(); r.Frames != 1 || r.Edited+r.Unchanged+r.Deleted+r.Failed() != 1 {
			t.Fatalf("%s counted as %+v", o, r)
		}
		var p, q parse.Packet
		if err := (parse.Direct{}).Parse(&in, &p); err != nil || in.WireLen > len(data) || o != rewrite.Edited {
			return
		}
		if err := (parse.Direct{}).Parse(&out, &q); err != nil {
			t.Fatalf("%s: after the edits %v: %+v\n% x\n% x", e, err, p, in.Data, out.Data)
		}
		link4 := parse.LayerEthernet | parse.LayerNull | parse.LayerSLL | parse.LayerSLL2 | parse.LayerVLAN
		if p.Layers&^link4 != q.Layers&^link4 && e.FixHdrLen == false && e.EFCS == false && e.MTUTrunc == false && e.Sizes == "" {
			t.Fatalf("%s: %+v became %+v", e, p, q)
		}
	})
}

// chosen returns edits by the bits of choice.
func chosen(choice uint32) rewrite.Edits {
	var e rewrite.Edits
	bit := func(i int) bool { return choice>>i&1 != 0 }
	if bit(1) {
		e.DLT, e.DestMAC, e.SourceMAC = "enet", "02:00:00:00:00:0a", "02:00:00:00:00:0b"
	} else if bit(2) {
		e.MACSeed, e.MACKeep = 9, int(choice>>16)%7
	}
	e.EFCS = bit(3)
	if bit(4) {
		e.FixLen = []string{"pad", "trunc", "del"}[choice>>20%3]
	}
	e.MTUTrunc = bit(5)
	if bit(6) {
		e.VLAN = []string{"add", "del"}[choice>>21&1]
	}
	switch choice >> 22 % 5 {
	case 0:
		e.PNAT = []string{"0.0.0.0/0:77.0.0.0/8,[::/0]:[2001::/16]"}
	case 1:
		e.Endpoints = "1.2.3.4:5.6.7.8,[::a]:[::b]"
	case 2:
		e.RandomizeIP = 7
	case 3:
		e.SrcIPMap = "0.0.0.0/1:77.0.0.0/8"
	}
	e.SkipBroadcast = bit(7) && choice>>22%5 != 4
	e.SkipL2Broadcast = bit(8) && (e.DestMAC != "" || e.MACSeed != 0)
	if bit(9) {
		e.TTL, e.TOS, e.TClass, e.FlowLabel = "-3", number(255), number(255), number(1<<20-1)
	}
	if bit(10) {
		e.PortMap = "0-1023:65535,65535:0"
	}
	if bit(11) {
		e.TCPSequence = 5
	}
	if bit(12) {
		e.FuzzSeed, e.FuzzFactor = uint64(choice)+1, 1
	}
	e.FixHdrLen, e.FixCsum = bit(13), bit(14)
	if bit(15) {
		e.Sizes = []string{"64", "imix", "1518"}[choice>>24%3]
	}
	return e
}

// TestChosenEditsAreValid keeps FuzzEdit from refusing what it chose.
func TestChosenEditsAreValid(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		if e := chosen(r.Uint32()); true {
			editor(t, e)
		}
	}
}

func BenchmarkEdit(b *testing.B) {
	frames := []parse.Frame{some().with(func(p *parts) { p.payload = make([]byte, 508-54) }).frame(b)}
	frames = append(frames, some().with(func(p *parts) { p.proto, p.payload = layers.IPProtocolUDP, make([]byte, 508-42) }).frame(b))
	for _, bb := range []struct {
		name  string
		edits rewrite.Edits
	}{
		{"ttl", rewrite.Edits{TTL: "-1"}},
		{"nat,ports,macs,ttl", rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}, PortMap: "80:8080", DestMAC: "02:00:00:00:00:0a", SourceMAC: "02:00:00:00:00:0b", TTL: "-1"}},
		{"the same and fixcsum", rewrite.Edits{PNAT: []string{"192.0.2.0/24:10.7.0.0/16"}, PortMap: "80:8080", DestMAC: "02:00:00:00:00:0a", SourceMAC: "02:00:00:00:00:0b", TTL: "-1", FixCsum: true}},
		{"many", many()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			ed := editor(b, bb.edits)
			var out parse.Frame
			i := 0
			for b.Loop() {
				ed.Edit(&frames[i&1], &out, false)
				i++
			}
		})
	}
}
