package gopkt

import (
	"fmt"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pcaplab/parse"
)

// Engines returns the engines of this package's library, NewPacket's modes first.
func Engines() []parse.Engine {
	return []parse.Engine{
		packetEngine("eager", "NewPacket, default options", gopacket.Default),
		packetEngine("lazy", "NewPacket, Lazy", gopacket.Lazy),
		packetEngine("nocopy", "NewPacket, NoCopy", gopacket.NoCopy),
		packetEngine("lazy-nocopy", "NewPacket, Lazy and NoCopy", gopacket.DecodeOptions{Lazy: true, NoCopy: true}),
		{
			Name: namePrefix + "layers",
			Doc:  library + ": DecodingLayerParser, layers allocated once, sparse container",
			New:  newLayersParser,
		},
	}
}

func packetEngine(name, doc string, opts gopacket.DecodeOptions) parse.Engine {
	return parse.Engine{
		Name: namePrefix + name,
		Doc:  library + ": " + doc,
		New: func(link parse.LinkType) (parse.Parser, error) {
			first, err := firstDecoder(link)
			if err != nil {
				return nil, err
			}
			return &packetParser{first: first, opts: opts, ethernet: link == parse.LinkEthernet}, nil
		},
	}
}

// firstDecoder returns the decoder that a user of the library would start with.
func firstDecoder(link parse.LinkType) (gopacket.Decoder, error) {
	switch link {
	case parse.LinkEthernet:
		return layers.LayerTypeEthernet, nil
	case parse.LinkNull, parse.LinkLoop:
		return layers.LayerTypeLoopback, nil
	case parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD:
		return layers.LinkTypeRaw, nil
	case parse.LinkIPv4:
		return layers.LayerTypeIPv4, nil
	case parse.LinkIPv6:
		return layers.LayerTypeIPv6, nil
	case parse.LinkSLL:
		return layers.LayerTypeLinuxSLL, nil
	case parse.LinkSLL2:
		if layerTypeSLL2 != gopacket.LayerTypeZero {
			return layerTypeSLL2, nil
		}
	}
	return nil, unsupported(link)
}

func unsupported(link parse.LinkType) error {
	return fmt.Errorf("%s has no decoder for link type %d: %w", library, link, parse.ErrUnsupported)
}

// packetParser decodes with NewPacket.
type packetParser struct {
	first    gopacket.Decoder
	opts     gopacket.DecodeOptions
	ethernet bool // first is Ethernet's
	outer    outer
	at       layerAt
}

// Parse implements parse.Parser. Without NoCopy p.Payload is part of the packet's own copy of the frame.
func (e *packetParser) Parse(f *parse.Frame, p *parse.Packet) (err error) {
	*p = parse.Packet{}
	defer func() {
		// The library recovers its panics itself unless it is told not to.
		if recover() != nil {
			err = parse.ErrMalformed
		}
	}()
	packet := gopacket.NewPacket(f.Data[:len(f.Data):len(f.Data)], e.first, e.opts)
	data := packet.Data()
	p.Payload = data
	return e.outer.finish(f, p, data, e.walk(p, packet))
}

// walk asks for the network and the transport layer, as users do, where that is all there is: most frames are IPv4
// right behind Ethernet, with TCP or UDP. Of all others it reads layer by layer.
func (e *packetParser) walk(p *parse.Packet, packet gopacket.Packet) next {
	i := 0
	if e.ethernet {
		if ip, ok := packet.NetworkLayer().(*layers.IPv4); ok && cap(ip.Contents) == len(p.Payload)-ethernetHeader {
			p.Layers = parse.LayerEthernet
			p.Payload = p.Payload[ethernetHeader:]
			if n := e.outer.ipv4(p, ip); n != more {
				return n
			}
			switch ip.Protocol {
			case layers.IPProtocolTCP:
				if tcp, ok := packet.TransportLayer().(*layers.TCP); ok {
					return e.outer.readTCP(p, tcp)
				}
				return absent
			case layers.IPProtocolUDP:
				if udp, ok := packet.TransportLayer().(*layers.UDP); ok {
					return e.outer.readUDP(p, udp)
				}
				return absent
			}
			i = 2
		}
	}
	n := more
	for ; e.opts.Lazy && n == more && i < fewLayers; i++ {
		e.at.skip = i
		l := packet.LayerClass(&e.at)
		if l == nil {
			return absent
		}
		n = e.outer.layer(p, l)
	}
	if n != more {
		return n
	}
	for _, l := range packet.Layers()[i:] {
		if n = e.outer.layer(p, l); n != more {
			break
		}
	}
	return n
}

const ethernetHeader = 14 // octets

// fewLayers bounds the walk by layerAt, whose work grows with the square of the layers: a frame of nothing but VLAN
// tags must not take a second.
const fewLayers = 16

// layerAt is a class of layers that contains whatever layer comes after the first skip that it is asked about. It
// makes LayerClass return the layers of a lazy packet one by one and decode no further.
type layerAt struct{ skip int }

func (c *layerAt) Contains(gopacket.LayerType) bool {
	c.skip--
	return c.skip < 0
}

func (c *layerAt) LayerTypes() []gopacket.LayerType { return nil }
