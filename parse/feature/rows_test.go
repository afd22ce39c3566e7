package feature_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// vectorOf returns the vector of a window that holds the rows of frames.
func vectorOf(t *testing.T, cfg feature.Config, frames ...parse.Frame) (feature.Vector, feature.Counters) {
	t.Helper()
	cfg.Span = feature.Span{Rows: max(len(frames), 1)}
	vectors, counts := vectorsOf(t, cfg, frames...)
	if len(vectors) > 1 {
		t.Fatalf("%d vectors", len(vectors))
	}
	if len(vectors) == 0 {
		return feature.Vector{}, counts
	}
	return vectors[0], counts
}

// vectorsOf returns all vectors of frames, in order.
func vectorsOf(t *testing.T, cfg feature.Config, frames ...parse.Frame) ([]feature.Vector, feature.Counters) {
	t.Helper()
	var vectors []feature.Vector
	cfg.Emit = func(v *feature.Vector) { vectors = append(vectors, *v) }
	x, err := feature.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := parse.DirectEngine().New(parse.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		p := new(parse.Packet)
		if direct.Parse(&frames[i], p) != nil {
			p = nil
		}
		if err := x.Process(&frames[i], p); err != nil {
			t.Fatal(err)
		}
	}
	if x.Flush() {
		vectors = append(vectors, *x.Vector())
	}
	return vectors, x.Counters()
}

// set returns the names of the columns of a row that are 1, of those that are 0 or 1 in a row.
func set(v *feature.Vector) string {
	var names []string
	for i, name := range feature.Columns() {
		if i >= feature.FinFlag && i <= feature.LLC && !feature.Whole(i) && v.Values[i] == 1 {
			names = append(names, strings.TrimSuffix(name, "_flag_number"))
		}
	}
	return strings.Join(names, " ")
}

// row is what a frame gives: the outcome, and the columns of a window of that one row.
type row struct {
	outcome             feature.Outcome
	set                 string
	protocol, ttl, head float64
}

const ip = "IPv LLC" // the columns of every IPv4 row

// outcomes are frames with what becomes of them: the table of what gives rows, then what they hold.
var outcomes = []struct {
	name string
	data []byte
	row
}{
	{"IPv4 with 20 octets", eth(0x0800, ip4With(89, 3, 5, 0, -1)), row{0, ip, 89, 3, 0}},
	{"IPv4 with 19 octets", eth(0x0800, ip4(89)[:19]), row{outcome: feature.Fault}},
	{"IPv4 with no octet", eth(0x0800), row{outcome: feature.Fault}},
	{"IPv4 with IHL 4", eth(0x0800, ip4With(17, 64, 4, 0, -1, udpHeader(1, 2, 0))), row{outcome: feature.Fault}},
	{"IPv4 with IHL 0", eth(0x0800, ip4With(17, 64, 0, 0, -1, udpHeader(1, 2, 0))), row{outcome: feature.Fault}},
	{"IPv4 with IHL behind the end", eth(0x0800, ip4With(17, 64, 15, 0, -1, udpHeader(1, 2, 0))), row{0, ip, 17, 64, 0}},
	{"IPv4 with version 6", eth(0x0800, func() []byte {
		b := ip4(17, udpHeader(1, 2, 0))
		b[0] = 0x65
		return b
	}()), row{0, "UDP " + ip, 17, 64, 8}},
	{"ARP", eth(0x0806, arp()), row{0, "ARP", 0, 0, 0}},
	{"ARP without a body", eth(0x0806), row{0, "ARP", 0, 0, 0}},
	{"IPv6", eth(0x86dd, ip6(17, udpHeader(1, 2, 0))), row{outcome: feature.NoRowIPv6}},
	{"VLAN of IPv4", eth(0x8100, be16(7), be16(0x0800), ip4(17, udpHeader(1, 2, 0))), row{outcome: feature.NoRowVLAN}},
	{"VLAN tag cut", eth(0x8100, be16(7)), row{outcome: feature.NoRowVLAN}},
	{"802.1ad", eth(0x88a8, be16(7), be16(0x8100), be16(8), be16(0x0800), ip4(1)), row{outcome: feature.NoRowVLAN}},
	{"QinQ 0x9100", eth(0x9100, be16(7), be16(0x0800), ip4(1)), row{outcome: feature.NoRowVLAN}},
	{"QinQ 0x9200", eth(0x9200, be16(7), be16(0x0800), ip4(1)), row{outcome: feature.NoRowVLAN}},
	{"MPLS of IPv4", eth(0x8847, be32(0x140), ip4(1)), row{outcome: feature.NoRowMPLS}},
	{"MPLS multicast", eth(0x8848, be32(0x140), ip4(1)), row{outcome: feature.NoRowMPLS}},
	{"MPLS and nothing", eth(0x8847, be32(0x140)), row{outcome: feature.NoRowMPLS}},
	{"PPPoE of IPv4", eth(0x8864, []byte{0x11, 0, 0, 9, 0, 22}, be16(0x21), ip4(1)), row{outcome: feature.NoRowPPPoE}},
	{"PPPoE discovery", eth(0x8863, []byte{0x11, 9, 0, 0, 0, 0}), row{outcome: feature.NoRowOther}},
	{"RARP", eth(0x8035, arp()), row{outcome: feature.NoRowOther}},
	{"EAPOL", eth(0x888e, []byte{2, 1, 0, 0}), row{outcome: feature.NoRowOther}},
	{"LLDP", eth(0x88cc, []byte{0, 0}), row{outcome: feature.NoRowOther}},
	{"type 1501", eth(1501, octets(46)), row{outcome: feature.NoRowOther}},
	{"STP", eth(38, []byte{0x42, 0x42, 3}, make([]byte, 35)), row{outcome: feature.NoRowLength}},
	{"SNAP of IPv4", eth(28, []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, ip4(1)), row{outcome: feature.NoRowLength}},
	{"LLC of IPv4", eth(23, []byte{6, 6, 3}, ip4(1)), row{outcome: feature.NoRowLength}},
	{"Novell", eth(30, be16(0xffff), make([]byte, 30)), row{outcome: feature.NoRowLength}},
	{"type 0", eth(0, octets(46)), row{outcome: feature.NoRowLength}},
	{"length 1500", eth(1500, octets(46)), row{outcome: feature.NoRowLength}},
	{"no octet", nil, row{outcome: feature.NoRowShort}},
	{"13 octets", eth(0x0800)[:13], row{outcome: feature.NoRowShort}},

	{"ISL of IPv4", isl(eth(0x0800, ip4(17, udpHeader(53, 2, 0)))), row{0, "DNS UDP " + ip, 17, 64, 8}},
	{"ISL of ISL of ARP", isl(isl(eth(0x0806, arp()))), row{0, "ARP", 0, 0, 0}},
	{"ISL of IPv6", isl(eth(0x86dd, ip6(59))), row{outcome: feature.NoRowIPv6}},
	{"ISL to 03-00-0C", func() []byte {
		b := isl(eth(0x0806, arp()))
		b[0] = 3
		return b
	}(), row{0, "ARP", 0, 0, 0}},
	{"ISL to 02-00-0C is a length", func() []byte {
		b := isl(eth(0x0806, arp()))
		b[0] = 2
		return b
	}(), row{outcome: feature.NoRowLength}},
	{"ISL cut", isl(eth(0x0806))[:39], row{outcome: feature.NoRowRefused}},
	{"ISL of broken IPv4", isl(eth(0x0800, []byte{0x45})), row{outcome: feature.Fault}},

	{"TCP", eth(0x0800, ip4(6, tcpHeader(40000, 1883, 5, 0x12))), row{0, "syn ack TCP " + ip, 6, 64, 20}},
	{"TCP of 19 octets", eth(0x0800, ip4(6, tcpHeader(80, 80, 5, 0x12)[:19])), row{0, ip, 6, 64, 0}},
	{"TCP with data offset 4", eth(0x0800, ip4(6, tcpHeader(80, 80, 4, 0x12))), row{0, ip, 6, 64, 0}},
	{"TCP options", eth(0x0800, ip4(6, tcpHeader(40000, 1883, 10, 0), make([]byte, 20))), row{0, "TCP " + ip, 6, 64, 40}},
	{"TCP options cut", eth(0x0800, ip4(6, tcpHeader(40000, 1883, 15, 0), make([]byte, 7))), row{0, "TCP " + ip, 6, 64, 27}},
	{"TCP options cut by the total length", eth(0x0800, ip4With(6, 64, 5, 0, 45, tcpHeader(40000, 1883, 15, 0), make([]byte, 40))),
		row{0, "TCP " + ip, 6, 64, 25}},
	{"TCP behind IP options", eth(0x0800, ip4With(6, 64, 8, 0, -1, make([]byte, 12), tcpHeader(40000, 1883, 5, 0))),
		row{0, "TCP " + ip, 6, 64, 20}},
	{"all flags", eth(0x0800, ip4(6, tcpHeader(40000, 1883, 5, 0xfff))),
		row{0, "fin syn rst psh ack ece cwr TCP " + ip, 6, 64, 20}},
	{"URG and NS alone", eth(0x0800, ip4(6, tcpHeader(40000, 1883, 5, 0xf20))), row{0, "TCP " + ip, 6, 64, 20}},
	{"UDP of 7 octets", eth(0x0800, ip4(17, udpHeader(53, 53, 0)[:7])), row{0, ip, 17, 64, 0}},
	{"UDP of 8 octets, padded", eth(0x0800, ip4(17, udpHeader(5, 53, 0)), make([]byte, 18)), row{0, "DNS UDP " + ip, 17, 64, 8}},
	{"UDP outside the total length", eth(0x0800, ip4With(17, 64, 5, 0, 20, udpHeader(5, 53, 0))), row{0, ip, 17, 64, 0}},
	{"total length 0", eth(0x0800, ip4With(17, 64, 5, 0, 0, udpHeader(5, 53, 0))), row{0, "DNS UDP " + ip, 17, 64, 8}},
	{"total length 9999", eth(0x0800, ip4With(17, 64, 5, 0, 9999, udpHeader(5, 53, 0))), row{0, "DNS UDP " + ip, 17, 64, 8}},
	{"total length 5", eth(0x0800, ip4With(17, 64, 5, 0, 5, udpHeader(5, 53, 0))), row{0, ip, 17, 64, 0}},
	{"first fragment", eth(0x0800, ip4With(17, 64, 5, 0x2000, -1, udpHeader(5, 53, 0))), row{0, "DNS UDP " + ip, 17, 64, 8}},
	{"other fragment", eth(0x0800, ip4With(17, 64, 5, 0x2001, -1, udpHeader(5, 53, 0))), row{0, ip, 17, 64, 0}},
	{"fragment at the end", eth(0x0800, ip4With(6, 64, 5, 0x1fff, -1, tcpHeader(80, 1, 5, 0))), row{0, ip, 6, 64, 0}},
	{"ICMP without octets", eth(0x0800, ip4(1)), row{0, "ICMP " + ip, 1, 64, 0}},
	{"ICMP fragment", eth(0x0800, ip4With(1, 255, 5, 1, -1)), row{0, "ICMP " + ip, 1, 255, 0}},
	{"IGMP", eth(0x0800, ip4With(2, 1, 6, 0, -1, be32(0x94040000), octets(8))), row{0, "IGMP " + ip, 2, 1, 0}},
	{"IPv4 in IPv4", eth(0x0800, ip4(4, ip4(6, tcpHeader(80, 80, 5, 0)))), row{0, ip, 4, 64, 0}},
	{"protocol 0", eth(0x0800, ip4(0, octets(8))), row{0, ip, 0, 64, 0}},
	{"protocol 255", eth(0x0800, ip4(255, octets(8))), row{0, ip, 255, 64, 0}},
	{"GRE", eth(0x0800, ip4(47, gre(0x0800, ip4(1)))), row{0, ip, 47, 64, 0}},
	{"UDP-Lite is not UDP", eth(0x0800, ip4(136, udpHeader(53, 53, 0))), row{0, ip, 136, 64, 0}},

	// dpkt raises what nothing catches but the scripts, and the frame is gone.
	{"GRE of MPLS is no row more or less", eth(0x0800, ip4(47, gre(0x8847, be32(0x140)))), row{0, ip, 47, 64, 0}},
	{"GRE of Ethernet of MPLS and nothing", eth(0x0800, ip4(47, gre(0x6558, eth(0x8847, be32(0x140))))),
		row{outcome: feature.NoRowRefused}},
	{"GRE of Ethernet of MPLS and an octet", eth(0x0800, ip4(47, gre(0x6558, eth(0x8847, be32(0x140), []byte{9})))),
		row{0, ip, 47, 64, 0}},
	{"IPv6 fragment header, then options", eth(0x0800, ip4(41, ip6(44, []byte{60, 0}, be16(0), be32(1), []byte{59, 0, 1, 4, 0, 0, 0, 0}))),
		row{outcome: feature.NoRowRefused}},
	{"IPv6 options, then fragment header", eth(0x0800, ip4(41, ip6(60, []byte{44, 0, 1, 4, 0, 0, 0, 0}, []byte{59, 0}, be16(0), be32(1)))),
		row{0, ip, 41, 64, 0}},
	{"IPv6 fragment header alone", eth(0x0800, ip4(41, ip6(44, []byte{17, 0}, be16(8), be32(1)))), row{0, ip, 41, 64, 0}},
	{"ICMP error that quotes such IPv6", eth(0x0800, ip4(1, be32(0x03030000), be32(0),
		ip4(41, ip6(44, []byte{60, 0}, be16(0), be32(1), []byte{59, 0, 1, 4, 0, 0, 0, 0})))), row{outcome: feature.NoRowRefused}},
	{"fragment of such IPv6", eth(0x0800, ip4With(41, 64, 5, 1, -1,
		ip6(44, []byte{60, 0}, be16(0), be32(1), []byte{59, 0, 1, 4, 0, 0, 0, 0}))), row{0, ip, 41, 64, 0}},
}

func TestOutcomes(t *testing.T) {
	for _, c := range outcomes {
		t.Run(c.name, func(t *testing.T) {
			v, counts := vectorOf(t, feature.Config{}, frameOf(1e18, c.data))
			if counts[c.outcome] != 1 || counts.Frames() != 1 {
				t.Fatalf("counts %v, want one %q", counts, c.outcome)
			}
			if c.outcome != feature.MadeRow {
				return
			}
			x := v.Values
			got := row{0, set(&v), x[feature.ProtocolType], x[feature.TimeToLive], x[feature.HeaderLength]}
			if got != c.row {
				t.Errorf("got %+v\nwant %+v", got, c.row)
			}
			for column, want := range map[int]float64{
				feature.TotSum: float64(len(c.data)), feature.Min: float64(len(c.data)), feature.Max: float64(len(c.data)),
				feature.Avg: float64(len(c.data)), feature.TotSize: float64(len(c.data)), feature.Number: 1, feature.IAT: 0,
				feature.Rate: math.Inf(1),
			} {
				if x[column] != want {
					t.Errorf("%s is %v, want %v", feature.Columns()[column], x[column], want)
				}
			}
			if !math.IsNaN(x[feature.Std]) || !math.IsNaN(x[feature.Variance]) {
				t.Errorf("Std %v, Variance %v of one row", x[feature.Std], x[feature.Variance])
			}
		})
	}
}

// TestOutcomesAgainstDpkt holds the table against dpkt itself.
func TestOutcomesAgainstDpkt(t *testing.T) {
	python := pythonWith(t)
	var frames [][]byte
	for _, c := range outcomes {
		frames = append(frames, c.data)
	}
	compareFrames(t, python, frames)
}

func TestPorts(t *testing.T) {
	tcp := map[int]string{80: "HTTP", 443: "HTTPS", 22: "SSH", 23: "Telnet", 25: "SMTP", 21: "IRC"}
	marks := func(proto int, header []byte) string {
		v, _ := vectorOf(t, feature.Config{}, frameOf(1, eth(0x0800, ip4(proto, header))))
		return set(&v)
	}
	for port := range 65536 {
		if _, special := tcp[port]; !special && port > 100 && port%97 != 0 && !slices.Contains([]int{1883, 5353, 5683, 6667, 8080, 8883}, port) {
			continue
		}
		want := strings.TrimSpace(tcp[port]+" TCP ") + " " + ip
		for _, header := range [][]byte{tcpHeader(port, 9999, 5, 0), tcpHeader(9999, port, 5, 0), tcpHeader(port, port, 5, 0)} {
			if got := marks(6, header); got != want {
				t.Errorf("TCP port %d: %q, want %q", port, got, want)
			}
		}
		want = "UDP " + ip
		if port == 53 {
			want = "DNS " + want
		}
		for _, header := range [][]byte{udpHeader(port, 9999, 0), udpHeader(9999, port, 0), udpHeader(port, port, 0)} {
			if got := marks(17, header); got != want {
				t.Errorf("UDP port %d: %q, want %q", port, got, want)
			}
		}
	}
	for _, a := range slices.Sorted(maps.Keys(tcp)) {
		for _, b := range slices.Sorted(maps.Keys(tcp)) {
			got := strings.Fields(marks(6, tcpHeader(a, b, 5, 0)))
			if !slices.Contains(got, tcp[a]) || !slices.Contains(got, tcp[b]) {
				t.Errorf("TCP %d to %d: %v", a, b, got)
			}
		}
	}
	for _, c := range []struct {
		name     string
		src, dst int
		want     string
	}{
		{"client to server", 68, 67, "UDP DHCP " + ip},
		{"server to client", 67, 68, "UDP DHCP " + ip},
		{"relay", 67, 67, "UDP " + ip},
		{"client to client", 68, 68, "UDP " + ip},
		{"server to other", 67, 53, "DNS UDP " + ip},
	} {
		t.Run("DHCP "+c.name, func(t *testing.T) {
			if got := marks(17, udpHeader(c.src, c.dst, 0)); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
