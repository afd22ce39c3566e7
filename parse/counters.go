package parse

// Counters counts frames by what was found in them. All are frames but the octets. A frame is counted once under
// every outer header it has; headers found before a fault count too. A frame of an unsupported link type counts under
// no header, not even NoL3.
type Counters struct {
	Frames      uint64 `json:"frames"`      // everything given to the pipeline
	Octets      uint64 `json:"octets"`      // captured octets: the sum of len(Frame.Data)
	WireOctets  uint64 `json:"wire_octets"` // the sum of Frame.WireLen
	Malformed   uint64 `json:"malformed"`   // Parse returned an error other than ErrUnsupported
	Unsupported uint64 `json:"unsupported"` // the engine has no decoder for the link type
	Truncated   uint64 `json:"truncated"`   // cut by the capture inside a header (Packet.Truncated)

	Ethernet      uint64 `json:"ethernet"`
	Null          uint64 `json:"null"` // null or loop
	SLL           uint64 `json:"sll"`  // version 1 or 2
	VLAN          uint64 `json:"vlan"` // frames with one tag or more
	MPLS          uint64 `json:"mpls"` // frames with one label or more
	PPPoE         uint64 `json:"pppoe"`
	LLC           uint64 `json:"llc"`
	ARP           uint64 `json:"arp"`
	IPv4          uint64 `json:"ipv4"`
	IPv6          uint64 `json:"ipv6"`
	IPv6Extension uint64 `json:"ipv6_extension"` // IPv6 with one extension header or more
	Fragments     uint64 `json:"fragments"`      // IPv4 and IPv6, first ones included
	FragmentRest  uint64 `json:"fragment_rest"`  // fragments after the first
	TCP           uint64 `json:"tcp"`
	UDP           uint64 `json:"udp"`
	ICMP          uint64 `json:"icmp"`
	ICMPv6        uint64 `json:"icmpv6"`
	IGMP          uint64 `json:"igmp"`
	GRE           uint64 `json:"gre"`
	ESP           uint64 `json:"esp"`
	SCTP          uint64 `json:"sctp"`
	OtherL4       uint64 `json:"other_l4"`
	NoL3          uint64 `json:"no_l3"` // neither ARP nor IPv4 nor IPv6
}

// Add adds o to c, field by field.
func (c *Counters) Add(o Counters) {
	c.Frames += o.Frames
	c.Octets += o.Octets
	c.WireOctets += o.WireOctets
	c.Malformed += o.Malformed
	c.Unsupported += o.Unsupported
	c.Truncated += o.Truncated
	c.Ethernet += o.Ethernet
	c.Null += o.Null
	c.SLL += o.SLL
	c.VLAN += o.VLAN
	c.MPLS += o.MPLS
	c.PPPoE += o.PPPoE
	c.LLC += o.LLC
	c.ARP += o.ARP
	c.IPv4 += o.IPv4
	c.IPv6 += o.IPv6
	c.IPv6Extension += o.IPv6Extension
	c.Fragments += o.Fragments
	c.FragmentRest += o.FragmentRest
	c.TCP += o.TCP
	c.UDP += o.UDP
	c.ICMP += o.ICMP
	c.ICMPv6 += o.ICMPv6
	c.IGMP += o.IGMP
	c.GRE += o.GRE
	c.ESP += o.ESP
	c.SCTP += o.SCTP
	c.OtherL4 += o.OtherL4
	c.NoL3 += o.NoL3
}

// Sub subtracts o from c, field by field: what was counted since o.
func (c *Counters) Sub(o Counters) {
	c.Frames -= o.Frames
	c.Octets -= o.Octets
	c.WireOctets -= o.WireOctets
	c.Malformed -= o.Malformed
	c.Unsupported -= o.Unsupported
	c.Truncated -= o.Truncated
	c.Ethernet -= o.Ethernet
	c.Null -= o.Null
	c.SLL -= o.SLL
	c.VLAN -= o.VLAN
	c.MPLS -= o.MPLS
	c.PPPoE -= o.PPPoE
	c.LLC -= o.LLC
	c.ARP -= o.ARP
	c.IPv4 -= o.IPv4
	c.IPv6 -= o.IPv6
	c.IPv6Extension -= o.IPv6Extension
	c.Fragments -= o.Fragments
	c.FragmentRest -= o.FragmentRest
	c.TCP -= o.TCP
	c.UDP -= o.UDP
	c.ICMP -= o.ICMP
	c.ICMPv6 -= o.ICMPv6
	c.IGMP -= o.IGMP
	c.GRE -= o.GRE
	c.ESP -= o.ESP
	c.SCTP -= o.SCTP
	c.OtherL4 -= o.OtherL4
	c.NoL3 -= o.NoL3
}

// addLayers counts n frames that have the same set of headers.
func (c *Counters) addLayers(l Layers, n uint64) {
	for _, e := range [...]struct {
		layer   Layers
		counter *uint64
	}{
		{LayerEthernet, &c.Ethernet},
		{LayerNull, &c.Null},
		{LayerSLL | LayerSLL2, &c.SLL},
		{LayerVLAN, &c.VLAN},
		{LayerMPLS, &c.MPLS},
		{LayerPPPoE, &c.PPPoE},
		{LayerLLC, &c.LLC},
		{LayerARP, &c.ARP},
		{LayerIPv4, &c.IPv4},
		{LayerIPv6, &c.IPv6},
		{LayerIPv6Extension, &c.IPv6Extension},
		{LayerFragment, &c.Fragments},
		{LayerFragmentRest, &c.FragmentRest},
		{LayerTCP, &c.TCP},
		{LayerUDP, &c.UDP},
		{LayerICMP, &c.ICMP},
		{LayerICMPv6, &c.ICMPv6},
		{LayerIGMP, &c.IGMP},
		{LayerGRE, &c.GRE},
		{LayerESP, &c.ESP},
		{LayerSCTP, &c.SCTP},
		{LayerOtherL4, &c.OtherL4},
	} {
		if l&e.layer != 0 {
			*e.counter += n
		}
	}
	if l&(LayerARP|LayerIPv4|LayerIPv6) == 0 {
		c.NoL3 += n
	}
}
