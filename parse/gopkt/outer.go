package gopkt

import (
	"encoding/binary"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pcaplab/parse"
)

// next says how the walk over the outermost headers goes on.
type next uint8

const (
	more   next = iota // another header must follow
	end                // the outermost headers end here
	absent             // the header that must follow is not there, or not whole
	fault              // the header contradicts itself
)

// outer reads the outermost headers out of decoded layers, one call a layer, from the link layer on. Each call sets
// p.Payload to what follows the header; all slices are of one array, so that a capacity tells a place in it.
type outer struct {
	// Decoders for what the library leaves undecoded: the headers of a first fragment.
	tcp  layers.TCP
	udp  layers.UDP
	icmp layers.ICMPv4
	icm6 layers.ICMPv6
	gre  layers.GRE
	sctp layers.SCTP
	ext  layers.IPv6ExtensionSkipper
	ah   ahLayer

	v6end int // of an IPv6 packet: the capacity of what follows it
}

// layer reads a layer as NewPacket makes them.
func (o *outer) layer(p *parse.Packet, l gopacket.Layer) next {
	switch l := l.(type) {
	case *layers.Ethernet:
		return o.ethernet(p, l)
	case *layers.IPv4:
		return o.ipv4(p, l)
	case *layers.TCP:
		return o.readTCP(p, l)
	case *layers.UDP:
		return o.readUDP(p, l)
	case *layers.IPv6:
		return o.ipv6(p, l)
	case *layers.ARP:
		return o.arp(p, l)
	case *layers.ICMPv4:
		return o.last(p, parse.LayerICMP, l.Payload)
	case *layers.ICMPv6:
		return o.icmpv6(p, l)
	case *layers.Dot1Q:
		return o.vlan(p, l)
	case *layers.IPv6HopByHop:
		return o.extension(p, l.NextHeader, l.Payload)
	case *layers.IPv6Destination:
		return o.extension(p, l.NextHeader, l.Payload)
	case *layers.IPv6Routing:
		return o.extension(p, l.NextHeader, l.Payload)
	case *layers.IPv6Fragment:
		return o.fragment(p, l.NextHeader, l.FragmentOffset, l.MoreFragments, l.Payload)
	case *layers.IPSecAH:
		return o.authentication(p, l.NextHeader, l.Payload)
	case *layers.LinuxSLL:
		return o.cooked(p, parse.LayerSLL, l.EthernetType, l.AddrType, l.Payload)
	case *layers.Loopback:
		return o.loopback(p, l)
	case *layers.LLC:
		return o.llc(p, l)
	case *layers.SNAP:
		return o.snap(p, l)
	case *layers.MPLS:
		return o.mpls(p, l.StackBottom, l.Payload)
	case *layers.PPPoE:
		return o.pppoe(p, l.Code, l.Payload)
	case *layers.PPP:
		return o.ppp(p, uint16(l.PPPType), l.Payload)
	case *layers.GRE:
		return o.last(p, parse.LayerGRE, l.Payload)
	case *layers.SCTP:
		return o.readSCTP(p, l)
	}
	if t, hardware, payload, ok := readSLL2(l); ok {
		return o.cooked(p, parse.LayerSLL2, t, hardware, payload)
	}
	return absent // gopacket.DecodeFailure, or what follows an empty payload
}

func (o *outer) ethernet(p *parse.Packet, l *layers.Ethernet) next {
	return o.link(p, parse.LayerEthernet, l.EthernetType, l.Payload)
}

func (o *outer) link(p *parse.Packet, found parse.Layers, t layers.EthernetType, payload []byte) next {
	p.Layers |= found
	p.Payload = payload
	switch t {
	case layers.EthernetTypeIPv4, layers.EthernetTypeIPv6, layers.EthernetTypeARP,
		layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ,
		layers.EthernetTypeMPLSUnicast, layers.EthernetTypeMPLSMulticast,
		layers.EthernetTypePPPoESession, layers.EthernetTypeLLC:
		return more
	}
	return end
}

func (o *outer) vlan(p *parse.Packet, l *layers.Dot1Q) next {
	n := o.link(p, parse.LayerVLAN, l.Type, l.Payload)
	if vlanLength && l.Type < etherMin {
		return more
	}
	return n
}

const etherMin = 0x0600 // smaller values are no EtherTypes

// cooked reads a Linux cooked header, where small protocol numbers are Linux's own and those of netlink its families.
func (o *outer) cooked(p *parse.Packet, found parse.Layers, t layers.EthernetType, hardware uint16,
	payload []byte) next {
	const (
		llc     = 4   // LINUX_SLL_P_802_2
		netlink = 824 // ARPHRD_NETLINK
	)
	n := o.link(p, found, t, payload)
	switch {
	case hardware == netlink:
		return end
	case t >= etherMin:
		return n
	case cookedLLC && t == llc:
		return more
	}
	return end
}

func (o *outer) llc(p *parse.Packet, l *layers.LLC) next {
	p.Layers |= parse.LayerLLC
	p.Payload = l.Payload
	if l.DSAP == 0xaa && l.SSAP == 0xaa && !l.IG && !l.CR && len(l.Contents) == 3 {
		return more
	}
	return end
}

// snap goes on where the organization is one whose protocols are EtherTypes (RFC 1042, 802.1H). The library does not
// ask.
func (o *outer) snap(p *parse.Packet, l *layers.SNAP) next {
	p.Payload = l.Payload
	oui := l.OrganizationalCode
	if oui[0] != 0 || oui[1] != 0 || oui[2] != 0 && oui[2] != 0xf8 {
		return end
	}
	switch l.Type {
	case layers.EthernetTypeIPv4, layers.EthernetTypeIPv6, layers.EthernetTypeARP:
		return more
	}
	return end
}

func (o *outer) loopback(p *parse.Packet, l *layers.Loopback) next {
	p.Layers |= parse.LayerNull
	p.Payload = l.Payload
	switch l.Family {
	case layers.ProtocolFamilyIPv4, layers.ProtocolFamilyIPv6BSD, layers.ProtocolFamilyIPv6FreeBSD,
		layers.ProtocolFamilyIPv6Darwin, layers.ProtocolFamilyIPv6Linux:
		return more
	}
	return end
}

func (o *outer) mpls(p *parse.Packet, bottom bool, payload []byte) next {
	p.Layers |= parse.LayerMPLS
	p.Payload = payload
	if !bottom {
		return more
	}
	if len(payload) > 0 && (payload[0]>>4 == 4 || payload[0]>>4 == 6) {
		return more
	}
	return end
}

func (o *outer) pppoe(p *parse.Packet, code layers.PPPoECode, payload []byte) next {
	p.Layers |= parse.LayerPPPoE
	p.Payload = payload
	if code == layers.PPPoECodeSession {
		return more
	}
	return end
}

func (o *outer) ppp(p *parse.Packet, protocol uint16, payload []byte) next {
	p.Payload = payload
	switch layers.PPPType(protocol) {
	case layers.PPPTypeIPv4, layers.PPPTypeIPv6, layers.PPPTypeMPLSUnicast, layers.PPPTypeMPLSMulticast:
		return more
	}
	return end
}

func (o *outer) arp(p *parse.Packet, l *layers.ARP) next {
	return o.last(p, parse.LayerARP, l.Payload[:0]) // what follows is padding
}

func (o *outer) last(p *parse.Packet, found parse.Layers, payload []byte) next {
	p.Layers |= found
	p.Payload = payload
	return end
}

func (o *outer) ipv4(p *parse.Packet, ip *layers.IPv4) next {
	// NewPacket adds a layer also where decoding it failed.
	if len(ip.SrcIP) != 4 || len(ip.DstIP) != 4 {
		return absent
	}
	header := int(ip.IHL) * 4
	if ip.Version != 4 || header < 20 || int(ip.Length) < header {
		return fault
	}
	if len(ip.Contents) != header {
		return absent
	}
	p.Layers |= parse.LayerIPv4
	setMapped(&p.Tuple.SrcIP, ip.SrcIP)
	setMapped(&p.Tuple.DstIP, ip.DstIP)
	p.TTL = ip.TTL
	p.Payload = ip.Payload
	if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
		p.Layers |= parse.LayerFragment
		return o.datagram(p, ip.Protocol, ip.FragOffset)
	}
	return o.protocol(p, ip.Protocol)
}

// setMapped writes an IPv4 address as an IPv4-mapped one.
func setMapped(ip *[16]byte, v4 []byte) {
	binary.BigEndian.PutUint64(ip[:8], 0)
	binary.BigEndian.PutUint64(ip[8:], 0xffff<<32|uint64(binary.BigEndian.Uint32(v4)))
}

func (o *outer) ipv6(p *parse.Packet, ip *layers.IPv6) next {
	if len(ip.SrcIP) != 16 || len(ip.DstIP) != 16 {
		return absent
	}
	if ip.Version != 6 {
		return fault
	}
	p.Layers |= parse.LayerIPv6
	p.Tuple.SrcIP = [16]byte(ip.SrcIP)
	p.Tuple.DstIP = [16]byte(ip.DstIP)
	p.TTL = ip.HopLimit
	p.Payload = ip.Payload
	o.v6end = 0
	if ip.Length != 0 {
		o.v6end = cap(ip.Contents) - len(ip.Contents) - int(ip.Length)
	}
	return o.protocol(p, ip.NextHeader)
}

// protocol takes note of the protocol that follows IP and its extensions, and reads it where the library would not.
func (o *outer) protocol(p *parse.Packet, t layers.IPProtocol) next {
	p.Tuple.Proto = uint8(t)
	switch t {
	case layers.IPProtocolTCP, layers.IPProtocolUDP, layers.IPProtocolICMPv4, layers.IPProtocolICMPv6,
		layers.IPProtocolGRE, layers.IPProtocolSCTP, layers.IPProtocolAH:
		return more
	}
	if p.Layers.Has(parse.LayerIPv6) && isExtension(t) {
		return more
	}
	return o.rare(p, t)
}

// rare reads the protocols whose decoders the library either lacks or runs into what is payload here.
func (o *outer) rare(p *parse.Packet, t layers.IPProtocol) next {
	found, header := parse.LayerOtherL4, 0
	switch t {
	case layers.IPProtocolIGMP:
		found, header = parse.LayerIGMP, 8
	case layers.IPProtocolESP:
		found, header = parse.LayerESP, 8
	}
	if len(p.Payload) < header {
		return absent
	}
	return o.last(p, found, p.Payload[header:])
}

func isExtension(t layers.IPProtocol) bool {
	switch t {
	case layers.IPProtocolIPv6HopByHop, layers.IPProtocolIPv6Routing, layers.IPProtocolIPv6Fragment,
		layers.IPProtocolIPv6Destination:
		return true
	}
	return false
}

func (o *outer) extension(p *parse.Packet, t layers.IPProtocol, payload []byte) next {
	p.Layers |= parse.LayerIPv6Extension
	p.Payload = payload
	return o.protocol(p, t)
}

func (o *outer) authentication(p *parse.Packet, t layers.IPProtocol, payload []byte) next {
	if p.Layers.Has(parse.LayerIPv6) {
		p.Layers |= parse.LayerIPv6Extension
	}
	p.Payload = payload
	return o.protocol(p, t)
}

// fragment reads an IPv6 fragment header. One that is all there is of its datagram (RFC 6946) is no fragment.
func (o *outer) fragment(p *parse.Packet, t layers.IPProtocol, offset uint16, moreFragments bool, payload []byte) next {
	p.Layers |= parse.LayerIPv6Extension
	if offset != 0 || moreFragments {
		p.Layers |= parse.LayerFragment
	}
	p.Payload = payload
	return o.datagram(p, t, offset)
}

// datagram reads what the library leaves undecoded behind the header of a fragment. It recovers the panics of
// v1.1.19, whose GRE decoder takes a header to be as long as it should be.
func (o *outer) datagram(p *parse.Packet, t layers.IPProtocol, offset uint16) (n next) {
	defer func() {
		if recover() != nil {
			n = absent
		}
	}()
	p.Tuple.Proto = uint8(t)
	if offset != 0 {
		p.Layers |= parse.LayerFragmentRest
		return end
	}
	for {
		if n := o.protocol(p, t); n != more {
			return n
		}
		if t == layers.IPProtocolAH {
			if o.ah.DecodeFromBytes(p.Payload, gopacket.NilDecodeFeedback) != nil {
				return absent
			}
			t = o.ah.next
			o.authentication(p, t, o.ah.payload)
			continue
		}
		if !p.Layers.Has(parse.LayerIPv6) || !isExtension(t) {
			break
		}
		if o.ext.DecodeFromBytes(p.Payload, gopacket.NilDecodeFeedback) != nil {
			return absent
		}
		t = o.ext.NextHeader
		o.extension(p, t, o.ext.Payload)
	}
	data := p.Payload
	switch t {
	case layers.IPProtocolTCP:
		o.tcp.Contents = nil
		_ = o.tcp.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
		return o.readTCP(p, &o.tcp)
	case layers.IPProtocolUDP:
		o.udp.Contents = nil
		_ = o.udp.DecodeFromBytes(data, gopacket.NilDecodeFeedback)
		return o.readUDP(p, &o.udp)
	case layers.IPProtocolICMPv4:
		if o.icmp.DecodeFromBytes(data, gopacket.NilDecodeFeedback) == nil {
			return o.last(p, parse.LayerICMP, o.icmp.Payload)
		}
	case layers.IPProtocolICMPv6:
		if o.icm6.DecodeFromBytes(data, gopacket.NilDecodeFeedback) == nil {
			return o.icmpv6(p, &o.icm6)
		}
	case layers.IPProtocolGRE:
		if o.gre.DecodeFromBytes(data, gopacket.NilDecodeFeedback) == nil {
			return o.last(p, parse.LayerGRE, o.gre.Payload)
		}
	case layers.IPProtocolSCTP:
		if o.sctp.DecodeFromBytes(data, gopacket.NilDecodeFeedback) == nil {
			return o.readSCTP(p, &o.sctp)
		}
	}
	return absent
}

func (o *outer) readTCP(p *parse.Packet, tcp *layers.TCP) next {
	if header := tcp.Contents; len(header) < 20 || len(header) != int(tcp.DataOffset)*4 {
		return absent
	}
	p.Layers |= parse.LayerTCP
	p.Tuple.SrcPort, p.Tuple.DstPort = uint16(tcp.SrcPort), uint16(tcp.DstPort)
	p.TCPFlags = uint16(tcp.Contents[12]&1)<<8 | uint16(tcp.Contents[13])
	p.Payload = tcp.Payload
	return end
}

func (o *outer) readUDP(p *parse.Packet, udp *layers.UDP) next {
	if len(udp.Contents) != 8 {
		return absent
	}
	if udp.Length < 8 && udp.Length != 0 {
		return fault
	}
	p.Layers |= parse.LayerUDP
	p.Tuple.SrcPort, p.Tuple.DstPort = uint16(udp.SrcPort), uint16(udp.DstPort)
	p.Payload = udp.Payload
	return end
}

func (o *outer) readSCTP(p *parse.Packet, sctp *layers.SCTP) next {
	if len(sctp.Contents) != 12 {
		return absent
	}
	p.Tuple.SrcPort, p.Tuple.DstPort = uint16(sctp.SrcPort), uint16(sctp.DstPort)
	return o.last(p, parse.LayerSCTP, sctp.Payload)
}

func (o *outer) icmpv6(p *parse.Packet, l *layers.ICMPv6) next {
	return o.last(p, parse.LayerICMPv6, l.Payload)
}

// finish sets what depends on the whole walk. data is the frame that the library decoded, without spare capacity, and
// Payload a part of it.
func (o *outer) finish(f *parse.Frame, p *parse.Packet, data []byte, n next) error {
	if p.Layers.Has(parse.LayerIPv6Extension) && o.v6end > 0 {
		// Behind a hop-by-hop header v1.1.19 takes a link trailer for payload.
		if over := o.v6end - (cap(p.Payload) - len(p.Payload)); over > 0 && over <= len(p.Payload) {
			p.Payload = p.Payload[:len(p.Payload)-over]
		}
	}
	p.HeaderLen = len(data) - cap(p.Payload)
	if n == end {
		return nil
	}
	if n != fault && f.WireLen > len(f.Data) && len(p.Payload) == cap(p.Payload) {
		p.Truncated = true
		return nil
	}
	return parse.ErrMalformed
}
