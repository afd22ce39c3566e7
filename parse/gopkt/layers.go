package gopkt

import (
	"encoding/binary"
	"errors"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pcaplab/parse"
)

// layersParser decodes with a DecodingLayerParser into layers that it owns.
type layersParser struct {
	first   *gopacket.DecodingLayerParser // of the link type, or of IPv4 for raw IP
	raw6    *gopacket.DecodingLayerParser // of IPv6 for raw IP, else nil
	decoded []gopacket.LayerType
	kinds   [512]kind // by layer type

	outer outer
	eth   layers.Ethernet
	vlan  layers.Dot1Q
	ip4   ipv4Layer
	ip6   ipv6Layer
	tcp   layers.TCP
	udp   layers.UDP
	icmp  layers.ICMPv4
	icm6  layers.ICMPv6
	arp   layers.ARP
	sctp  layers.SCTP
	gre   greLayer
	ext   extensionLayer
	frag  fragmentLayer
	sll   layers.LinuxSLL
	null  layers.Loopback
	llc   layers.LLC
	snap  layers.SNAP
	ah    ahLayer
	mpls  mplsLayer
	pppoe pppoeLayer
	ppp   pppLayer
	sll2  gopacket.DecodingLayer // nil where the library has none
}

// kind is a layer type as a small constant: the library's own are variables, which a switch compares one by one.
type kind uint8

const (
	kindNone kind = iota
	kindEthernet
	kindVLAN
	kindIPv4
	kindIPv6
	kindTCP
	kindUDP
	kindICMP
	kindICMPv6
	kindARP
	kindSCTP
	kindGRE
	kindExtension
	kindFragment
	kindSLL
	kindSLL2
	kindNull
	kindLLC
	kindSNAP
	kindAH
	kindMPLS
	kindPPPoE
	kindPPP
)

func newLayersParser(link parse.LinkType) (parse.Parser, error) {
	e := &layersParser{decoded: make([]gopacket.LayerType, 0, 16), sll2: newSLL2()}
	var container gopacket.DecodingLayerContainer = gopacket.DecodingLayerSparse(nil)
	put := func(k kind, d gopacket.DecodingLayer) {
		container = container.Put(d)
		for _, t := range d.CanDecode().LayerTypes() {
			e.kinds[t] = k
		}
	}
	put(kindEthernet, &e.eth)
	put(kindVLAN, &e.vlan)
	put(kindIPv4, &e.ip4)
	put(kindIPv6, &e.ip6)
	put(kindTCP, &e.tcp)
	put(kindUDP, &e.udp)
	put(kindICMP, &e.icmp)
	put(kindICMPv6, &e.icm6)
	put(kindARP, &e.arp)
	put(kindSCTP, &e.sctp)
	put(kindGRE, &e.gre)
	put(kindExtension, &e.ext)
	put(kindFragment, &e.frag)
	put(kindSLL, &e.sll)
	put(kindNull, &e.null)
	put(kindLLC, &e.llc)
	put(kindSNAP, &e.snap)
	put(kindAH, &e.ah)
	put(kindMPLS, &e.mpls)
	put(kindPPPoE, &e.pppoe)
	put(kindPPP, &e.ppp)
	if e.sll2 != nil {
		put(kindSLL2, e.sll2)
	}

	parser := func(first gopacket.LayerType) *gopacket.DecodingLayerParser {
		dlp := gopacket.NewDecodingLayerParser(first)
		dlp.IgnoreUnsupported = true
		dlp.SetDecodingLayerContainer(container)
		return dlp
	}
	switch link {
	case parse.LinkEthernet:
		e.first = parser(layers.LayerTypeEthernet)
	case parse.LinkNull, parse.LinkLoop:
		e.first = parser(layers.LayerTypeLoopback)
	case parse.LinkSLL:
		e.first = parser(layers.LayerTypeLinuxSLL)
	case parse.LinkIPv4:
		e.first = parser(layers.LayerTypeIPv4)
	case parse.LinkIPv6:
		e.first = parser(layers.LayerTypeIPv6)
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD:
		e.first = parser(layers.LayerTypeIPv4)
		e.raw6 = parser(layers.LayerTypeIPv6)
	case parse.LinkSLL2:
		if e.sll2 == nil {
			return nil, unsupported(link)
		}
		e.first = parser(layerTypeSLL2)
	default:
		return nil, unsupported(link)
	}
	return e, nil
}

// Parse implements parse.Parser. The library turns its panics into errors, and an error shows as a header that is
// missing.
func (e *layersParser) Parse(f *parse.Frame, p *parse.Packet) error {
	dlp := e.first
	if e.raw6 != nil && len(f.Data) > 0 && f.Data[0]>>4 == 6 {
		dlp = e.raw6
	}
	data := f.Data[:len(f.Data):len(f.Data)]
	if err := dlp.DecodeLayers(data, &e.decoded); err == nil && e.plain(p, len(data)) {
		return nil
	}
	*p = parse.Packet{Payload: data}
	n := more
	for _, t := range e.decoded {
		if n = e.layer(p, e.kinds[t]); n != more {
			break
		}
	}
	return e.outer.finish(f, p, data, n)
}

// plain reads what most frames are, decoded without fault: Ethernet, perhaps tags, IP, and TCP or UDP. It reports
// whether that is all there was; if not, p is half written.
func (e *layersParser) plain(p *parse.Packet, length int) bool {
	d := e.decoded
	if len(d) < 3 || e.kinds[d[0]] != kindEthernet {
		return false
	}
	found := parse.LayerEthernet
	for d = d[1:]; len(d) > 2 && e.kinds[d[0]] == kindVLAN; d = d[1:] {
		found |= parse.LayerVLAN
	}
	if len(d) != 2 {
		return false
	}
	switch k := e.kinds[d[0]]; {
	case k == kindIPv4 && e.ip4.Version == 4:
		found |= parse.LayerIPv4
		setMapped(&p.Tuple.SrcIP, e.ip4.SrcIP)
		setMapped(&p.Tuple.DstIP, e.ip4.DstIP)
		p.TTL = e.ip4.TTL
	case k == kindIPv6 && e.ip6.Version == 6 && e.ip6.HopByHop == nil:
		found |= parse.LayerIPv6
		p.Tuple.SrcIP = [16]byte(e.ip6.SrcIP)
		p.Tuple.DstIP = [16]byte(e.ip6.DstIP)
		p.TTL = e.ip6.HopLimit
	default:
		return false
	}
	switch e.kinds[d[1]] {
	case kindTCP:
		p.Layers = found | parse.LayerTCP
		p.Tuple.Proto = uint8(layers.IPProtocolTCP)
		p.Tuple.SrcPort, p.Tuple.DstPort = uint16(e.tcp.SrcPort), uint16(e.tcp.DstPort)
		p.TCPFlags = binary.BigEndian.Uint16(e.tcp.Contents[12:14]) & 0x1ff
		p.Payload = e.tcp.Payload
	case kindUDP:
		p.Layers = found | parse.LayerUDP
		p.Tuple.Proto = uint8(layers.IPProtocolUDP)
		p.Tuple.SrcPort, p.Tuple.DstPort = uint16(e.udp.SrcPort), uint16(e.udp.DstPort)
		p.TCPFlags = 0
		p.Payload = e.udp.Payload
	default:
		return false
	}
	p.HeaderLen = length - cap(p.Payload)
	p.Truncated = false
	return true
}

func (e *layersParser) layer(p *parse.Packet, k kind) next {
	o := &e.outer
	switch k {
	case kindEthernet:
		return o.ethernet(p, &e.eth)
	case kindIPv4:
		return o.ipv4(p, &e.ip4.IPv4)
	case kindTCP:
		return o.readTCP(p, &e.tcp)
	case kindUDP:
		return o.readUDP(p, &e.udp)
	case kindIPv6:
		n := o.ipv6(p, &e.ip6.IPv6)
		if h := e.ip6.HopByHop; h != nil && n == more {
			return o.extension(p, h.NextHeader, e.ip6.Payload)
		}
		return n
	case kindARP:
		return o.arp(p, &e.arp)
	case kindICMP:
		return o.last(p, parse.LayerICMP, e.icmp.Payload)
	case kindICMPv6:
		return o.icmpv6(p, &e.icm6)
	case kindVLAN:
		return o.vlan(p, &e.vlan)
	case kindExtension:
		return o.extension(p, e.ext.NextHeader, e.ext.Payload)
	case kindFragment:
		return o.fragment(p, e.frag.next, e.frag.offset, e.frag.more, e.frag.payload)
	case kindSCTP:
		return o.readSCTP(p, &e.sctp)
	case kindGRE:
		return o.last(p, parse.LayerGRE, e.gre.Payload)
	case kindSLL:
		return o.cooked(p, parse.LayerSLL, e.sll.EthernetType, e.sll.AddrType, e.sll.Payload)
	case kindSLL2:
		t, hardware, payload, _ := readSLL2(e.sll2)
		return o.cooked(p, parse.LayerSLL2, t, hardware, payload)
	case kindNull:
		return o.loopback(p, &e.null)
	case kindLLC:
		return o.llc(p, &e.llc)
	case kindSNAP:
		return o.snap(p, &e.snap)
	case kindAH:
		return o.authentication(p, e.ah.next, e.ah.payload)
	case kindMPLS:
		return o.mpls(p, e.mpls.bottom, e.mpls.payload)
	case kindPPPoE:
		return o.pppoe(p, e.pppoe.code, e.pppoe.payload)
	case kindPPP:
		return o.ppp(p, e.ppp.protocol, e.ppp.payload)
	}
	return fault
}

// The layers below end the walk at the outermost packet, which would otherwise be overwritten by one that it carries.

type ipv4Layer struct{ layers.IPv4 }

func (l *ipv4Layer) NextLayerType() gopacket.LayerType {
	if isTunnel(l.Protocol) {
		return gopacket.LayerTypePayload
	}
	return l.IPv4.NextLayerType()
}

type ipv6Layer struct{ layers.IPv6 }

func (l *ipv6Layer) NextLayerType() gopacket.LayerType {
	t := l.NextHeader
	if l.HopByHop != nil {
		t = l.HopByHop.NextHeader
	}
	if isTunnel(t) {
		return gopacket.LayerTypePayload
	}
	return t.LayerType()
}

type extensionLayer struct{ layers.IPv6ExtensionSkipper }

func (l *extensionLayer) NextLayerType() gopacket.LayerType {
	if isTunnel(l.NextHeader) {
		return gopacket.LayerTypePayload
	}
	return l.NextHeader.LayerType()
}

// isTunnel reports whether a decoder of this parser would go on into an inner packet.
func isTunnel(t layers.IPProtocol) bool {
	switch t {
	case layers.IPProtocolIPv4, layers.IPProtocolIPv6, layers.IPProtocolIPIP, layers.IPProtocolMPLSInIP:
		return true
	}
	return false
}

type greLayer struct{ layers.GRE }

func (l *greLayer) NextLayerType() gopacket.LayerType { return gopacket.LayerTypePayload }

// The layers below decode what v1.1.19 decodes in NewPacket only.

var errShort = errors.New("header cut short")

type mplsLayer struct {
	bottom  bool
	payload []byte
}

func (l *mplsLayer) CanDecode() gopacket.LayerClass { return layers.LayerTypeMPLS }
func (l *mplsLayer) LayerPayload() []byte           { return l.payload }

func (l *mplsLayer) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 4 {
		df.SetTruncated()
		return errShort
	}
	l.bottom = data[2]&1 != 0
	l.payload = data[4:]
	return nil
}

func (l *mplsLayer) NextLayerType() gopacket.LayerType {
	switch {
	case !l.bottom:
		return layers.LayerTypeMPLS
	case len(l.payload) > 0 && l.payload[0]>>4 == 4:
		return layers.LayerTypeIPv4
	case len(l.payload) > 0 && l.payload[0]>>4 == 6:
		return layers.LayerTypeIPv6
	}
	return gopacket.LayerTypePayload
}

type pppoeLayer struct {
	code    layers.PPPoECode
	payload []byte
}

func (l *pppoeLayer) CanDecode() gopacket.LayerClass { return layers.LayerTypePPPoE }
func (l *pppoeLayer) LayerPayload() []byte           { return l.payload }

func (l *pppoeLayer) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 6 {
		df.SetTruncated()
		return errShort
	}
	length := int(binary.BigEndian.Uint16(data[4:6]))
	if length > len(data)-6 {
		df.SetTruncated()
		length = len(data) - 6
	}
	l.code = layers.PPPoECode(data[1])
	l.payload = data[6 : 6+length]
	return nil
}

func (l *pppoeLayer) NextLayerType() gopacket.LayerType {
	if l.code == layers.PPPoECodeSession {
		return layers.LayerTypePPP
	}
	return gopacket.LayerTypePayload
}

type pppLayer struct {
	protocol uint16
	payload  []byte
}

func (l *pppLayer) CanDecode() gopacket.LayerClass { return layers.LayerTypePPP }
func (l *pppLayer) LayerPayload() []byte           { return l.payload }

// DecodeFromBytes takes a protocol of one octet, as negotiated field compression leaves it (RFC 1661 section 6.5), or
// two.
func (l *pppLayer) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	switch {
	case len(data) >= 1 && data[0]&1 != 0:
		l.protocol, l.payload = uint16(data[0]), data[1:]
	case len(data) >= 2:
		l.protocol, l.payload = binary.BigEndian.Uint16(data), data[2:]
	default:
		df.SetTruncated()
		return errShort
	}
	return nil
}

func (l *pppLayer) NextLayerType() gopacket.LayerType {
	switch layers.PPPType(l.protocol) {
	case layers.PPPTypeIPv4:
		return layers.LayerTypeIPv4
	case layers.PPPTypeIPv6:
		return layers.LayerTypeIPv6
	case layers.PPPTypeMPLSUnicast, layers.PPPTypeMPLSMulticast:
		return layers.LayerTypeMPLS
	}
	return gopacket.LayerTypePayload
}

// fragmentLayer is the IPv6 fragment header (RFC 8200 section 4.5).
type fragmentLayer struct {
	next    layers.IPProtocol
	offset  uint16
	more    bool
	payload []byte
}

func (l *fragmentLayer) CanDecode() gopacket.LayerClass    { return layers.LayerTypeIPv6Fragment }
func (l *fragmentLayer) LayerPayload() []byte              { return l.payload }
func (l *fragmentLayer) NextLayerType() gopacket.LayerType { return gopacket.LayerTypeFragment }

func (l *fragmentLayer) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 8 {
		df.SetTruncated()
		return errShort
	}
	l.next = layers.IPProtocol(data[0])
	l.offset = binary.BigEndian.Uint16(data[2:4]) >> 3
	l.more = data[3]&1 != 0
	l.payload = data[8:]
	return nil
}

// ahLayer is the authentication header (RFC 4302 section 2).
type ahLayer struct {
	next    layers.IPProtocol
	payload []byte
}

func (l *ahLayer) CanDecode() gopacket.LayerClass { return layers.LayerTypeIPSecAH }
func (l *ahLayer) LayerPayload() []byte           { return l.payload }

func (l *ahLayer) NextLayerType() gopacket.LayerType {
	if isTunnel(l.next) {
		return gopacket.LayerTypePayload
	}
	return l.next.LayerType()
}

func (l *ahLayer) DecodeFromBytes(data []byte, df gopacket.DecodeFeedback) error {
	if len(data) < 12 {
		df.SetTruncated()
		return errShort
	}
	header := (int(data[1]) + 2) * 4
	if header < 12 || header > len(data) {
		df.SetTruncated()
		return errShort
	}
	l.next = layers.IPProtocol(data[0])
	l.payload = data[header:]
	return nil
}
