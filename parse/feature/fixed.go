package feature

import (
	"encoding/binary"

	"pcaplab/parse"
)

// fixed makes the row of a frame from what an engine found in it.
func (d *Decoder) fixed(f *parse.Frame, p *parse.Packet, r *Row) Outcome {
	if p == nil {
		return NoRowMalformed
	}
	*r = Row{Nano: f.UnixNano, Size: uint32(max(f.WireLen, len(f.Data)))}
	l := p.Layers
	var marks mark
	if l&(parse.LayerIPv4|parse.LayerIPv6) != 0 {
		marks |= markIPv | markIP
		r.Protocol, r.TTL = p.Tuple.Proto, p.TTL
	}
	set := func(has parse.Layers, m mark) {
		if l&has != 0 {
			marks |= m
		}
	}
	set(parse.LayerARP, markARP)
	set(parse.LayerLLC, markLLC)
	set(parse.LayerICMP|parse.LayerICMPv6, markICMP)
	set(parse.LayerIGMP, markIGMP)
	switch src, dst := p.Tuple.SrcPort, p.Tuple.DstPort; {
	case l.Has(parse.LayerTCP):
		marks |= markTCP | mark(flagMarks[uint8(p.TCPFlags)])
		marks |= fixedPort(src) | fixedPort(dst)
	case l.Has(parse.LayerUDP):
		marks |= markUDP
		if (src == 67 || src == 68) || (dst == 67 || dst == 68) {
			marks |= markDHCP
		}
		marks |= (fixedPort(src) | fixedPort(dst)) & (markDNS | markHTTPS) // QUIC carries HTTPS
	}
	if n := transportLen(f, p); n > 0 {
		marks |= markL4
		r.HeaderLen = uint16(n)
	}
	if d.s.Started {
		r.Gap = f.UnixNano - d.s.LastNano
	} else {
		marks |= markFirst
	}
	d.s.Started, d.s.LastNano = true, f.UnixNano
	if a := d.cfg.Attackers; a != nil && (a.hasIP(p.Tuple.SrcIP) || a.hasIP(p.Tuple.DstIP) ||
		f.Link == parse.LinkEthernet && len(f.Data) >= 14 && a.inEthernet(f.Data, binary.BigEndian.Uint16(f.Data[12:]))) {
		marks |= markAttack
	}
	r.Marks = marks
	return MadeRow
}

// fixedPort returns the marks of a port in the IANA registry, and of those that IRC servers use.
func fixedPort(port uint16) mark {
	switch port {
	case 80:
		return markHTTP
	case 443:
		return markHTTPS
	case 53:
		return markDNS
	case 22:
		return markSSH
	case 23:
		return markTelnet
	case 25:
		return markSMTP
	case 194, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697:
		return markIRC
	}
	return 0
}

// transportLen returns the length of the transport header in octets, 0 for none.
func transportLen(f *parse.Frame, p *parse.Packet) int {
	switch l := p.Layers; {
	case l.Has(parse.LayerTCP):
		// Engines say where the header ends. It begins where ports and data offset say so.
		for n := 20; n <= 60 && n <= p.HeaderLen; n += 4 {
			h := f.Data[p.HeaderLen-n:]
			if len(h) >= 20 && int(h[12]>>4)*4 == n && binary.BigEndian.Uint16(h) == p.Tuple.SrcPort &&
				binary.BigEndian.Uint16(h[2:]) == p.Tuple.DstPort {
				return n
			}
		}
	case l.Has(parse.LayerUDP), l.Has(parse.LayerICMP), l.Has(parse.LayerIGMP), l.Has(parse.LayerESP):
		return 8
	case l.Has(parse.LayerSCTP):
		return 12
	case l.Has(parse.LayerICMPv6):
		return 4
	}
	return 0
}
