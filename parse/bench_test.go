package parse_test

import (
	"slices"
	"testing"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
)

// BenchmarkDirect measures frames that are in the first-level cache.
func BenchmarkDirect(b *testing.B) {
	long := eth(0x8100, vlan(7, 0x0800, ip4(17, 0, -1, nil, udp(-1, octets(40)))))
	for _, bm := range []struct {
		name   string
		frames []parse.Frame
	}{
		{"ipv4", hotFrames()},
		{"ipv6", []parse.Frame{frame(parse.LinkEthernet, eth(0x86dd, ip6(6, -1, tcp(0x10, nil, octets(60)))))}},
		{"vlan", []parse.Frame{frame(parse.LinkEthernet, long)}},
		{"arp", []parse.Frame{frame(parse.LinkEthernet, eth(0x0806, arp()))}},
		{"iot-1", mixFrames(b, 256)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			p, err := parse.DirectEngine().New(parse.LinkEthernet)
			if err != nil {
				b.Fatal(err)
			}
			var pkt parse.Packet
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := p.Parse(&bm.frames[i], &pkt); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(bm.frames) {
					i = 0
				}
			}
		})
		b.Run(bm.name+"/pipeline", func(b *testing.B) {
			pl := parse.NewPipeline(parse.DirectEngine())
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := pl.WriteFrame(&bm.frames[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(bm.frames) {
					i = 0
				}
			}
		})
	}
}

// mixFrames returns the first n frames of the default mix.
func mixFrames(b *testing.B, n int) []parse.Frame {
	src, err := synth.New("iot-1", 1)
	if err != nil {
		b.Fatal(err)
	}
	frames := make([]parse.Frame, n)
	for i := range frames {
		if err := src.Next(&frames[i]); err != nil {
			b.Fatal(err)
		}
		frames[i].Data = slices.Clone(frames[i].Data)
	}
	return frames
}
