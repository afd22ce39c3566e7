package gopkt

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
)

// ethernet returns an Ethernet frame that carries payload.
func ethernet(etherType uint16, payload ...byte) []byte {
	d := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, byte(etherType >> 8), byte(etherType)}
	return append(d, payload...)
}

// ipv4 returns an Ethernet frame with an IPv4 packet.
func ipv4(proto byte, payload ...byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(payload)))
	return ethernet(0x0800, append(h, payload...)...)
}

func tcpSegment(payload int) []byte {
	h := []byte{0xc0, 0, 7, 0x5b, 0, 0, 0, 1, 0, 0, 0, 2, 0x80, 0x18, 4, 0, 0, 0, 0, 0,
		1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}
	return append(h, make([]byte, payload)...)
}

func udpDatagram(port uint16, payload int) []byte {
	h := []byte{0xc0, 1, byte(port >> 8), byte(port), 0, 0, 0, 0}
	binary.BigEndian.PutUint16(h[4:], uint16(8+payload))
	return append(h, make([]byte, payload)...)
}

func parserFor(t testing.TB, e parse.Engine, link parse.LinkType) parse.Parser {
	t.Helper()
	p, err := e.New(link)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPanicsMakeMalformed(t *testing.T) {
	frame := parse.Frame{Link: parse.LinkEthernet, Data: ethernet(0x0800, 0x45)}
	frame.WireLen = len(frame.Data)
	for _, lazy := range []bool{false, true} {
		bomb := gopacket.DecodeFunc(func([]byte, gopacket.PacketBuilder) error { panic("bomb") })
		// The first decoder panics; with SkipDecodeRecovery the library lets it through.
		for _, skip := range []bool{false, true} {
			e := &packetParser{first: bomb, opts: gopacket.DecodeOptions{Lazy: lazy, SkipDecodeRecovery: skip}}
			p := parse.Packet{TTL: 9}
			if err := e.Parse(&frame, &p); !errors.Is(err, parse.ErrMalformed) || p.TTL != 0 {
				t.Errorf("lazy %v, skip %v: %v, %+v", lazy, skip, err, p)
			}
		}
	}
}

func TestLayersAllocatesNothing(t *testing.T) {
	engines := Engines()
	p := parserFor(t, engines[len(engines)-1], parse.LinkEthernet)
	arp := []byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2}
	tagged := ethernet(0x88a8, append([]byte{0, 5, 0x81, 0, 0, 6}, ipv4(17, udpDatagram(53, 30)...)[12:]...)...)
	for _, tt := range []struct {
		name string
		data []byte
		want parse.Layers
	}{
		{"tcp", ipv4(6, tcpSegment(100)...), parse.LayerTCP},
		{"udp", ipv4(17, udpDatagram(53, 30)...), parse.LayerUDP},
		{"icmp", ipv4(1, 8, 0, 0, 0, 0, 1, 0, 1, 9, 9), parse.LayerICMP},
		{"arp", ethernet(0x0806, arp...), parse.LayerARP},
		{"two tags", tagged, parse.LayerVLAN | parse.LayerUDP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parse.Frame{Data: tt.data, WireLen: len(tt.data), Link: parse.LinkEthernet}
			var pkt parse.Packet
			if n := testing.AllocsPerRun(100, func() { _ = p.Parse(&f, &pkt) }); n != 0 {
				t.Errorf("%v allocations a frame", n)
			}
			if !pkt.Layers.Has(tt.want) {
				t.Errorf("layers %b, want %b among them", pkt.Layers, tt.want)
			}
		})
	}
}

// sink keeps what a bare loop reads from being optimised away.
type sink struct {
	src, dst         []byte
	srcPort, dstPort uint16
	ttl              uint8
	flags            uint16
	payload          []byte
}

func (s *sink) network(src, dst []byte, ttl uint8) { s.src, s.dst, s.ttl = src, dst, ttl }

func (s *sink) tcp(l *layers.TCP) {
	s.srcPort, s.dstPort, s.payload = uint16(l.SrcPort), uint16(l.DstPort), l.Payload
	s.flags = 0
	if l.SYN {
		s.flags |= parse.TCPSyn
	}
	if l.ACK {
		s.flags |= parse.TCPAck
	}
}

func (s *sink) udp(l *layers.UDP) {
	s.srcPort, s.dstPort, s.payload = uint16(l.SrcPort), uint16(l.DstPort), l.Payload
}

// read is the canonical loop over the layers of a packet.
func (s *sink) read(packetLayers []gopacket.Layer) {
	for _, l := range packetLayers {
		switch l := l.(type) {
		case *layers.IPv4:
			s.network(l.SrcIP, l.DstIP, l.TTL)
		case *layers.IPv6:
			s.network(l.SrcIP, l.DstIP, l.HopLimit)
		case *layers.TCP:
			s.tcp(l)
		case *layers.UDP:
			s.udp(l)
		}
	}
}

// barePacket is what a user writes with NewPacket.
func barePacket(opts gopacket.DecodeOptions) func([]byte, *sink) {
	if !opts.Lazy {
		return func(data []byte, s *sink) {
			s.read(gopacket.NewPacket(data, layers.LayerTypeEthernet, opts).Layers())
		}
	}
	return func(data []byte, s *sink) {
		packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, opts)
		switch l := packet.NetworkLayer().(type) {
		case *layers.IPv4:
			s.network(l.SrcIP, l.DstIP, l.TTL)
		case *layers.IPv6:
			s.network(l.SrcIP, l.DstIP, l.HopLimit)
		}
		switch l := packet.TransportLayer().(type) {
		case *layers.TCP:
			s.tcp(l)
		case *layers.UDP:
			s.udp(l)
		}
	}
}

// bareLayers is what a user writes with a DecodingLayerParser, in the sparse container as in the engine.
func bareLayers() func([]byte, *sink) {
	var (
		eth  layers.Ethernet
		vlan layers.Dot1Q
		arp  layers.ARP
		ip4  layers.IPv4
		ip6  layers.IPv6
		tcp  layers.TCP
		udp  layers.UDP
		icmp layers.ICMPv4
		icm6 layers.ICMPv6
	)
	var container gopacket.DecodingLayerContainer = gopacket.DecodingLayerSparse(nil)
	for _, d := range []gopacket.DecodingLayer{&eth, &vlan, &arp, &ip4, &ip6, &tcp, &udp, &icmp, &icm6} {
		container = container.Put(d)
	}
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet)
	parser.IgnoreUnsupported = true
	parser.SetDecodingLayerContainer(container)
	decoded := make([]gopacket.LayerType, 0, 10)
	return func(data []byte, s *sink) {
		if parser.DecodeLayers(data, &decoded) != nil {
			return
		}
		for _, t := range decoded {
			switch t {
			case layers.LayerTypeIPv4:
				s.network(ip4.SrcIP, ip4.DstIP, ip4.TTL)
			case layers.LayerTypeIPv6:
				s.network(ip6.SrcIP, ip6.DstIP, ip6.HopLimit)
			case layers.LayerTypeTCP:
				s.tcp(&tcp)
			case layers.LayerTypeUDP:
				s.udp(&udp)
			}
		}
	}
}

// BenchmarkAdapter measures each engine beside the loop that a user of the library would write, on the same frames:
// "bare" and "adapter" alone, and "ratio", which takes turns between them and reports the median of adapter over
// bare. The frames are 1000 of the default mix, 0.4 MB, which stay in a second-level cache.
func BenchmarkAdapter(b *testing.B) {
	bare := []func([]byte, *sink){
		barePacket(gopacket.Default),
		barePacket(gopacket.Lazy),
		barePacket(gopacket.NoCopy),
		barePacket(gopacket.DecodeOptions{Lazy: true, NoCopy: true}),
		bareLayers(),
	}
	mix, err := synth.Build(context.Background(), "iot-1", 1, 1000, 1<<24)
	if err != nil {
		b.Fatal(err)
	}
	defer mix.Close()
	frames := make([]parse.Frame, mix.Len())
	for i := range frames {
		mix.Frame(i, &frames[i])
	}
	for i, e := range Engines() {
		var s sink
		var pkt parse.Packet
		p := parserFor(b, e, parse.LinkEthernet)
		runBare := func() {
			for j := range frames {
				bare[i](frames[j].Data, &s)
			}
		}
		runAdapter := func() {
			for j := range frames {
				_ = p.Parse(&frames[j], &pkt)
			}
		}
		perPacket := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/packet")
		}
		b.Run(e.Name+"/bare", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				runBare()
			}
			perPacket(b)
		})
		b.Run(e.Name+"/adapter", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				runAdapter()
			}
			perPacket(b)
		})
		b.Run(e.Name+"/ratio", func(b *testing.B) {
			timed := func(run func()) float64 {
				start := time.Now()
				run()
				return float64(time.Since(start))
			}
			var ratios []float64
			for b.Loop() {
				// Turns in the order of a mirror: two turns can allocate as much as starts a collection, which then
				// would fall into the same one of them each time.
				adapter, bare := timed(runAdapter), timed(runBare)
				bare += timed(runBare)
				adapter += timed(runAdapter)
				ratios = append(ratios, adapter/bare)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "adapter/bare")
		})
	}
}
