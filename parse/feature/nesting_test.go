package feature_test

import (
	"bytes"
	"testing"

	"pcaplab/parse/feature"
)

// nests are ways to put a frame into itself: wrap is one turn, leaf the innermost, top what makes a frame of the outermost.
var nests = []struct {
	name      string
	wrap, top func([]byte) []byte
	leaf      []byte
	octets    int // that a turn takes
}{
	{"IP in IP", within(4), inIP(4), ip4(17, udpHeader(1, 2, 0)), 20},
	{"IP in IP, nothing inside", within(4), inIP(4), nil, 20},
	{"AH", inAH, inIP(51), join([]byte{17, 1}, make([]byte, 10), udpHeader(1, 2, 0)), 12},
	{"IPv6", func(b []byte) []byte { return long6(41, b) }, inIP(41), ip6(17, udpHeader(1, 2, 0)), 40},
	{"GRE", func(b []byte) []byte { return gre(0x0800, within(47)(b)) }, inIP(47), gre(0x88cc), 24},
	{"GRE of Ethernet", func(b []byte) []byte { return gre(0x6558, eth(0x0800, within(47)(b))) }, inIP(47), gre(0x88cc), 38},
	{"Ethernet in Ethernet", func(b []byte) []byte { return eth(0x6558, b) }, inGRE, eth(0x88cc, []byte{1}), 14},
	{"pseudowires", func(b []byte) []byte { return eth(0x8847, be32(0x140), b) }, inGRE, eth(0x88cc, []byte{1}), 18},
	{"ISL", shortISL, whole, eth(0x0800, ip4(17, udpHeader(1, 2, 0))), 26},
	{"ISL inside", shortISL, inGRE, eth(0x0800, ip4(17, udpHeader(1, 2, 0))), 26},
	{"PPPoE", func(b []byte) []byte { return gre(0x8864, make([]byte, 6), be16(0x21), within(47)(b)) }, inIP(47), gre(0x88cc), 32},
	{"PPP", func(b []byte) []byte { return gre(0x880b, []byte{0xff, 3}, be16(0x21), within(47)(b)) }, inIP(47), gre(0x88cc), 28},
	{"ICMP", func(b []byte) []byte { return join(be32(0x03030000), be32(0), within(1)(b)) }, inIP(1), make([]byte, 8), 28},
	{"ICMPv6", func(b []byte) []byte { return join(be32(0x01030000), be32(0), long6(58, b)) },
		func(b []byte) []byte { return inIP(41)(long6(58, b)) }, be32(0x80000000), 48},
}

func whole(b []byte) []byte { return b }

// within returns what puts b into a datagram, without a total length where b is too long for one or nothing yet.
func within(proto int) func([]byte) []byte {
	return func(b []byte) []byte {
		if len(b) == 0 || len(b) > 60000 {
			return ip4With(proto, 64, 5, 0, 0, b)
		}
		return ip4(proto, b)
	}
}

func inIP(proto int) func([]byte) []byte {
	return func(b []byte) []byte { return eth(0x0800, within(proto)(b)) }
}

func inAH(b []byte) []byte { return join([]byte{51, 1}, make([]byte, 10), b) }

func gre(kind int, rest ...[]byte) []byte { return join(be16(0), be16(kind), join(rest...)) }

func inGRE(b []byte) []byte { return inIP(47)(gre(0x6558, b)) }

func long6(next int, b []byte) []byte {
	h := ip6(next, b)
	if len(b) == 0 || len(b) > 60000 {
		copy(h[4:], be16(0))
	}
	return h
}

// shortISL states a length that is no EtherType.
func shortISL(b []byte) []byte {
	h := isl(b)
	copy(h[12:], be16(100))
	return h
}

// TestNesting compares how deep dpkt decodes before Python's recursion limit ends it. The limit depends on what calls it,
// so a few turns more or less are as good.
func TestNesting(t *testing.T) {
	python := pythonWith(t)
	const most = 1000
	for _, n := range nests {
		t.Run(n.name, func(t *testing.T) {
			frames := make([][]byte, most)
			b := bytes.Clone(n.leaf)
			ours := most
			for i := range frames {
				b = n.wrap(b)
				frames[i] = n.top(b)
				f := frameOf(1, frames[i])
				o, _ := feature.NewDecoder(feature.DecoderConfig{}).Decode(&f, nil, new(feature.Row))
				switch {
				case o == feature.NoRowRefused:
					ours = min(ours, i)
				case o != feature.MadeRow || ours < most:
					t.Fatalf("%d turns: %q", i+1, o)
				}
			}
			// dpkt is asked around that depth only: it is slow.
			span := ours/20 + 5
			from, to := max(ours-span, 0), min(ours+span, most)
			dpkt := to
			for i, row := range dpktRows(t, python, frames[from:to]) {
				if row.Outcome == 'X' {
					dpkt = from + i
					break
				}
			}
			t.Logf("dpkt decodes %d turns (%d octets), here %d", dpkt, dpkt*n.octets, ours)
			if off := ours - dpkt; ours == most || dpkt == from || off < -dpkt/50-2 || off > dpkt/50+2 {
				t.Errorf("%d turns, dpkt %d", ours, dpkt)
			}
		})
	}
}

// TestDeepest sees that no nesting exhausts the stack: the limit ends it, whatever the frame's length.
func TestDeepest(t *testing.T) {
	for _, n := range nests {
		t.Run(n.name, func(t *testing.T) {
			// A turn around nothing states no length: it goes on to the end of the frame.
			turn := n.wrap(nil)
			b := n.top(bytes.Repeat(turn, 16<<20/len(turn)))
			f := frameOf(1, b)
			o, _ := feature.NewDecoder(feature.DecoderConfig{}).Decode(&f, nil, new(feature.Row))
			if o != feature.MadeRow && o != feature.NoRowRefused {
				t.Errorf("%q", o)
			}
		})
	}
}
