package feature_test

import (
	"math"
	"strings"
	"testing"

	"pcaplab/parse"
	"pcaplab/parse/feature"
)

var fixedConfig = feature.Config{DecoderConfig: feature.DecoderConfig{As: feature.AsFixed}}

// TestFixedRows has what the mended scripts make of frames.
func TestFixedRows(t *testing.T) {
	tcp := func(src, dst int) []byte { return tcpHeader(src, dst, 5, 0x10) }
	udp := func(src, dst int) []byte { return udpHeader(src, dst, 0) }
	options := func(words int) []byte { return tcpHeader(4000, 5000, words, 0x10) }
	for _, c := range []struct {
		name string
		data []byte
		row
	}{
		{"TCP", eth(0x0800, ip4(6, tcp(4000, 1883))), row{0, "ack TCP IPv", 6, 64, 20}},
		{"TCP options", eth(0x0800, ip4(6, options(10), make([]byte, 20), octets(100))), row{0, "ack TCP IPv", 6, 64, 40}},
		{"longest TCP header", eth(0x0800, ip4(6, options(15), make([]byte, 40))), row{0, "ack TCP IPv", 6, 64, 60}},
		{"IPv6 TCP", eth(0x86dd, ip6(6, tcp(4000, 443))), row{0, "ack HTTPS TCP IPv", 6, 62, 20}},
		{"IPv6 UDP behind options", eth(0x86dd, ip6(60, []byte{17, 0, 1, 4, 0, 0, 0, 0}, udp(53, 9))),
			row{0, "DNS UDP IPv", 17, 62, 8}},
		{"ICMPv6", eth(0x86dd, ip6(58, be32(0x80000000), be32(0))), row{0, "ICMP IPv", 58, 62, 4}},
		{"ICMP", eth(0x0800, ip4(1, be32(0x08000000), be32(0))), row{0, "ICMP IPv", 1, 64, 8}},
		{"IGMP", eth(0x0800, ip4(2, be32(0x16000000), be32(0))), row{0, "IGMP IPv", 2, 64, 8}},
		{"SCTP", eth(0x0800, ip4(132, be16(1), be16(2), make([]byte, 12))), row{0, "IPv", 132, 64, 12}},
		{"VLAN", eth(0x8100, be16(7), be16(0x0800), ip4(17, udp(1, 53))), row{0, "DNS UDP IPv", 17, 64, 8}},
		{"PPPoE", eth(0x8864, []byte{0x11, 0, 0, 9, 0, 30}, be16(0x21), ip4(17, udp(1, 53))), row{0, "DNS UDP IPv", 17, 64, 8}},
		{"MPLS", eth(0x8847, be32(0x140), ip4(17, udp(1, 53))), row{0, "DNS UDP IPv", 17, 64, 8}},
		{"ARP", eth(0x0806, arp()), row{0, "ARP", 0, 0, 0}},
		{"STP", eth(38, []byte{0x42, 0x42, 3}, make([]byte, 35)), row{0, "LLC", 0, 0, 0}},
		{"LLDP", eth(0x88cc, make([]byte, 46)), row{0, "", 0, 0, 0}},
		{"other fragment", eth(0x0800, ip4With(17, 64, 5, 1, -1, udp(53, 53))), row{0, "IPv", 17, 64, 0}},
		{"broken IPv4", eth(0x0800, ip4With(17, 64, 4, 0, -1)), row{outcome: feature.NoRowMalformed}},
		{"cut IPv4", eth(0x0800, ip4(17)[:19]), row{0, "", 0, 0, 0}},
		{"HTTP", eth(0x0800, ip4(6, tcp(80, 9))), row{0, "ack HTTP TCP IPv", 6, 64, 20}},
		{"SSH", eth(0x0800, ip4(6, tcp(9, 22))), row{0, "ack SSH TCP IPv", 6, 64, 20}},
		{"Telnet", eth(0x0800, ip4(6, tcp(9, 23))), row{0, "ack Telnet TCP IPv", 6, 64, 20}},
		{"SMTP", eth(0x0800, ip4(6, tcp(9, 25))), row{0, "ack SMTP TCP IPv", 6, 64, 20}},
		{"FTP is not IRC", eth(0x0800, ip4(6, tcp(9, 21))), row{0, "ack TCP IPv", 6, 64, 20}},
		{"IRC", eth(0x0800, ip4(6, tcp(6667, 9))), row{0, "ack IRC TCP IPv", 6, 64, 20}},
		{"IRC over TLS", eth(0x0800, ip4(6, tcp(9, 6697))), row{0, "ack IRC TCP IPv", 6, 64, 20}},
		{"IRC 194", eth(0x0800, ip4(6, tcp(9, 194))), row{0, "ack IRC TCP IPv", 6, 64, 20}},
		{"6670 is not IRC", eth(0x0800, ip4(6, tcp(9, 6670))), row{0, "ack TCP IPv", 6, 64, 20}},
		{"DNS over TCP", eth(0x0800, ip4(6, tcp(9, 53))), row{0, "ack DNS TCP IPv", 6, 64, 20}},
		{"QUIC", eth(0x0800, ip4(17, udp(443, 9))), row{0, "HTTPS UDP IPv", 17, 64, 8}},
		{"UDP 80 is not HTTP", eth(0x0800, ip4(17, udp(80, 9))), row{0, "UDP IPv", 17, 64, 8}},
		{"DHCP relay", eth(0x0800, ip4(17, udp(67, 67))), row{0, "UDP DHCP IPv", 17, 64, 8}},
		{"TCP 67 is not DHCP", eth(0x0800, ip4(6, tcp(67, 68))), row{0, "ack TCP IPv", 6, 64, 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := frameOf(1e18, c.data)
			f.WireLen += 1000 // the capture cut it
			v, counts := vectorOf(t, fixedConfig, f)
			if counts[c.outcome] != 1 {
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
			if x[feature.TotSum] != float64(len(c.data)+1000) {
				t.Errorf("Tot sum %v, on the wire %d", x[feature.TotSum], f.WireLen)
			}
			if !math.IsNaN(x[feature.Rate]) || !math.IsNaN(x[feature.IAT]) || !math.IsNaN(x[feature.Std]) || !math.IsNaN(x[feature.Variance]) {
				t.Errorf("Rate %v, IAT %v, Std %v, Variance %v of one row", x[feature.Rate], x[feature.IAT], x[feature.Std], x[feature.Variance])
			}
		})
	}
}

// TestFixedMeans checks that means are over the rows that have a value.
func TestFixedMeans(t *testing.T) {
	v, _ := vectorOf(t, fixedConfig,
		frameOf(1e9, eth(0x0806, arp())),
		frameOf(2e9, eth(0x0800, ip4With(6, 100, 5, 0, -1, tcpHeader(1, 2, 5, 2)))),
		frameOf(3e9, eth(0x0800, ip4With(17, 50, 5, 0, -1, udpHeader(1, 2, 0)))),
		frameOf(5e9, eth(0x0800, ip4With(6, 30, 5, 1, -1, octets(20)))))
	for column, want := range map[int]float64{
		feature.TimeToLive: 60, feature.HeaderLength: 14, feature.Rate: 0.75, feature.IAT: 4.0 / 3, feature.IPv: 0.75,
		feature.LLC: 0, feature.SynFlag: 0.25, feature.SynCount: 1, feature.ProtocolType: 6, feature.Number: 4,
	} {
		if got := v.Values[column]; got != want {
			t.Errorf("%s %v, want %v", feature.Columns()[column], got, want)
		}
	}
}

func TestAttackers(t *testing.T) {
	list, err := feature.ReadAttackers(strings.NewReader(
		"# attackers\n\n192.0.2.66 a Pi\n02:00:00:00:00:66,camera\n2001:db8::66\tother\n"), "list")
	if err != nil {
		t.Fatal(err)
	}
	with := func(data []byte, at int, octets ...byte) []byte {
		copy(data[at:], octets)
		return data
	}
	v4 := []byte{192, 0, 2, 0x66 - 36}
	v6 := []byte{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66}
	mac := []byte{2, 0, 0, 0, 0, 0x66}
	udp4 := func() []byte { return eth(0x0800, ip4(17, udpHeader(1, 2, 0))) }
	udp6 := func() []byte { return eth(0x86dd, ip6(17, udpHeader(1, 2, 0))) }
	tagged := func() []byte { return eth(0x8100, be16(7), be16(0x0800), ip4(17, udpHeader(1, 2, 0))) }
	for _, c := range []struct {
		name         string
		data         []byte
		exact, fixed int // rows that are an attacker's
	}{
		{"nobody", udp4(), 0, 0},
		{"from", with(udp4(), 26, v4...), 1, 1},
		{"to", with(udp4(), 30, v4...), 1, 1},
		{"to the MAC", with(udp4(), 0, mac...), 1, 1},
		{"from the MAC", with(udp4(), 6, mac...), 1, 1},
		{"ARP sender", with(eth(0x0806, arp()), 28, v4...), 1, 1},
		{"ARP target", with(eth(0x0806, arp()), 38, v4...), 1, 1},
		{"ARP from the MAC", with(eth(0x0806, arp()), 6, mac...), 1, 1},
		{"in the payload", append(udp4(), v4...), 0, 0},
		{"IPv6 from", with(udp6(), 22, v6...), 0, 1},
		{"IPv6 to", with(udp6(), 38, v6...), 0, 1},
		{"IPv6 from the MAC", with(udp6(), 6, mac...), 0, 1},
		{"VLAN", with(tagged(), 30, v4...), 0, 1},
		{"behind ISL", isl(with(udp4(), 26, v4...)), 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, as := range []feature.As{feature.AsExtractor, feature.AsReleased, feature.AsFixed} {
				v, _ := vectorOf(t, feature.Config{DecoderConfig: feature.DecoderConfig{As: as, Attackers: list}}, frameOf(1, c.data))
				want := c.exact
				if as == feature.AsFixed {
					want = c.fixed
				}
				if v.AttackRows != want {
					t.Errorf("as %v: %d rows, want %d", as, v.AttackRows, want)
				}
			}
		})
	}
	for _, c := range []struct{ name, text string }{
		{"no address", "# none\n"},
		{"no MAC", "02:00:00:00:00\n"},
		{"word", "192.0.2.1\nattacker\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := feature.ReadAttackers(strings.NewReader(c.text), "list"); err == nil || !strings.Contains(err.Error(), "list") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestFixedExtremes feeds times and lengths at the ends of their ranges.
func TestFixedExtremes(t *testing.T) {
	arpFrame := eth(0x0806, arp())
	times := []int64{math.MinInt64, math.MaxInt64, 0, -1, 1, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}
	for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsReleased, feature.AsFixed} {
		for _, decimal := range []bool{false, true} {
			for _, span := range []feature.Span{{}, {Rows: 1}, {Time: 1}, {Time: math.MaxInt64}} {
				var frames []parse.Frame
				for _, nano := range times {
					f := frameOf(nano, arpFrame)
					f.WireLen = math.MaxInt32
					frames = append(frames, f)
				}
				cfg := feature.Config{DecoderConfig: feature.DecoderConfig{As: as, Clock: feature.Clock{Decimal: decimal}}, Span: span}
				vectors, _ := vectorsOf(t, cfg, frames...)
				rows := 0.0
				for _, v := range vectors {
					rows += v.Values[feature.Number]
					if x := v.Values; x[feature.Variance] < 0 || x[feature.Rate] < 0 && !decimal {
						t.Errorf("as %v, decimal %v, %+v: %v", as, decimal, span, x)
					}
				}
				if rows != float64(len(times)) {
					t.Errorf("as %v, decimal %v, %+v: %v rows", as, decimal, span, rows)
				}
			}
		}
	}
}
