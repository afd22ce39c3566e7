package synth

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/parse"
)

var streamCases = []struct {
	name string
	s    Stream
	gold string // SHA-256 of all frames of seed 1, as digest makes it
}{
	{"udp", Stream{Kind: "udp", Link: "ethernet", Rate: 1e6, Duration: 10 * time.Second},
		"df62fd4706190d5d7e56e32f28634aca0179740faaa75e9772da3ee4e524af5a"},
	{"udp small", Stream{Kind: "udp", Link: "ethernet", Rate: 5e6, Payload: 48, Blocks: 5000},
		"454f78a4d2a922a13e623e710c863d1a44ea944281ac50c85e1ee208eccaf892"},
	{"udp least", Stream{Kind: "udp", Link: "ethernet", Rate: 1e6, Payload: 16, Blocks: 500},
		"562ead67ddc58bafecb9d7e2cefa2d80f130471f616a19620ef8cec14c6594c4"},
	{"udp odd", Stream{Kind: "udp", Link: "ethernet", Rate: 1e6, Payload: 333, Blocks: 500},
		"d5125a6164791a274d892101a417e504ec1246d04155301e8c4e4fc3fe24c91d"},
	{"udp fits", Stream{Kind: "udp", Link: "ethernet", Rate: 1e7, Payload: 1472, Blocks: 500},
		"9f5d0285f10654f57bb7723f5034be7f7c3443b14435e8237ba18bd12d718ad3"},
	{"udp fragments", Stream{Kind: "udp", Link: "ethernet", Rate: 1e7, Payload: 1473, Blocks: 500},
		"fdf8e7b0dcc240b752cd2dac5beab4aca6af9990f8da34f4626845a268c2f117"},
	{"udp longest", Stream{Kind: "udp", Link: "ethernet", Rate: 1e8, Payload: 65507, Blocks: 40},
		"06f238d4a80fab1cd80a4daef39e358f4df363ef7427cc8205f24c1cd72a2ebe"},
	{"udp line", Stream{Kind: "udp", Link: "ethernet", Rate: 95.7e6, Line: 1e8, Duration: time.Second},
		"98f5d1e73604936d6215cbae0283c22e84e829f01d813ad03e1b645ff1d1c5c7"},
	{"udp loopback", Stream{Kind: "udp", Link: "loopback", Rate: 7.2e9, Duration: time.Second / 10},
		"f0b5bc5e760bf514ede61b3ce0e9dba99df913fa1df0dcb717bf4889edca4f95"},
	{"udp loopback longest", Stream{Kind: "udp", Link: "loopback", Rate: 1e9, Payload: 65507, Blocks: 50},
		"d2f696523e4efaabd4d0adeb7296d35b408dd69612f7a98e44ce785df9341ea4"},
	{"tcp", Stream{Kind: "tcp", Link: "ethernet", Rate: 94.6e6, Duration: time.Second},
		"8900c46b2664a35bb617effb7f31943cbbe3a6d013ed05464bc2e077dce720ea"},
	{"tcp line", Stream{Kind: "tcp", Link: "ethernet", Rate: 94e6, Line: 1e8, Duration: time.Second},
		"04d3c050d99aed5b37350371a59922886ca7184db5afea0e80acadd40f1179f4"},
	{"tcp blocks", Stream{Kind: "tcp", Link: "ethernet", Rate: 1e7, Blocks: 7},
		"ac34a3eedd613a9398aaed53dc45de906b238f43ecb422c2f2bc2e9d0f82583d"},
	{"tcp loopback", Stream{Kind: "tcp", Link: "loopback", Rate: 3.5e9, Duration: time.Second / 10},
		"acc7bf8685b6d3e17b732e4d95680c174b27ff63de331eb7212318438e561f77"},
	{"syn", Stream{Kind: "syn", Link: "ethernet", Rate: 63147.1, Duration: time.Second / 4},
		"87b2a1a090cdf5c9bf1162fc4dafacf664aab2ca7c4a44817182beebbf18f438"},
	{"syn loopback", Stream{Kind: "syn", Link: "loopback", Rate: 9807, Blocks: 5000},
		"eac5e10329136715a55857acc27cd72b362909e1742b850a3e8c8da9dbce7acf"},
}

// Every frame decodes, every checksum is right, fragments make whole datagrams, TCP sequence numbers follow one another,
// times do not decrease, and Count says what there is.
func TestStreamFrames(t *testing.T) {
	for _, tt := range streamCases {
		t.Run(tt.name, func(t *testing.T) {
			src, err := tt.s.Open(1)
			if err != nil {
				t.Fatal(err)
			}
			want, err := tt.s.Count()
			if err != nil {
				t.Fatal(err)
			}
			var got StreamCounts
			c := newStreamCheck()
			h := sha256.New()
			last := Epoch
			for {
				var f parse.Frame
				if err := src.Next(&f); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if got.Frames == 0 && f.UnixNano != Epoch || f.UnixNano < last {
					t.Fatalf("frame %d at %d ns, the one before at %d", got.Frames, f.UnixNano-Epoch, last-Epoch)
				}
				last = f.UnixNano
				if err := c.frame(&f); err != nil {
					t.Fatalf("frame %d: %v", got.Frames, err)
				}
				got.Frames++
				got.WireOctets += uint64(f.WireLen)
				var head [12]byte
				be.PutUint64(head[:], uint64(f.UnixNano))
				be.PutUint32(head[8:], uint32(f.WireLen))
				h.Write(head[:])
				h.Write(f.Data)
			}
			got.Data, got.Control, got.TCP = c.data, c.control, c.tcp
			if got != want {
				t.Errorf("%+v, counted %+v", got, want)
			}
			if got.Data+got.Control+c.rest != got.Frames {
				t.Errorf("%d frames, of which %d data, %d control, %d others", got.Frames, got.Data, got.Control, c.rest)
			}
			if c.parts != 0 {
				t.Error("the last datagram lacks fragments")
			}
			if gold := hex.EncodeToString(h.Sum(nil)); gold != tt.gold {
				t.Errorf("digest %s, pinned %s", gold, tt.gold)
			}
			var f parse.Frame
			if err := src.Next(&f); err != io.EOF {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// streamCheck verifies frames on its own.
type streamCheck struct {
	data, control, tcp, rest uint64

	parts    int // fragments of the datagram that is not whole
	datagram []byte
	flows    map[parse.FiveTuple]uint32 // next sequence number
	first    parse.FiveTuple            // of the control connection, from the client
	packet   parse.Packet
	number   uint32 // of the datagram before
}

func newStreamCheck() *streamCheck { return &streamCheck{flows: map[parse.FiveTuple]uint32{}} }

func (c *streamCheck) frame(f *parse.Frame) error {
	p := &c.packet
	if err := (parse.Direct{}).Parse(f, p); err != nil {
		return err
	}
	if f.WireLen != len(f.Data) || p.Truncated || f.Link != parse.LinkEthernet {
		return fmt.Errorf("%d octets of %d, truncated %v, link %d", len(f.Data), f.WireLen, p.Truncated, f.Link)
	}
	ip := f.Data[14:]
	if rfc1071(ip[:20]) != 0 || int(be.Uint16(ip[2:])) != len(ip) {
		return errors.New("wrong IPv4 checksum or length")
	}
	seg := ip[20:]
	if frag := be.Uint16(ip[6:]); frag&0x3fff != 0 {
		if int(frag&0x1fff)*8 != len(c.datagram) {
			return fmt.Errorf("fragment at %d after %d octets", int(frag&0x1fff)*8, len(c.datagram))
		}
		c.datagram = append(c.datagram, seg...)
		if c.parts++; c.parts > 1 {
			c.rest++
		}
		if frag&moreFragments != 0 {
			return nil
		}
		seg, c.datagram, c.parts = c.datagram, c.datagram[:0], 0
	}
	pseudo := append([]byte{}, ip[12:20]...)
	pseudo = append(pseudo, 0, ip[9], byte(len(seg)>>8), byte(len(seg)))
	if rfc1071(append(pseudo, seg...)) != 0 {
		return errors.New("wrong transport checksum")
	}
	if ip[9] == protoUDP {
		if int(be.Uint16(seg[4:])) != len(seg) {
			return errors.New("wrong UDP length")
		}
		if len(seg) == 12 {
			c.control++
			return nil
		}
		c.data++
		if n := be.Uint32(seg[8+8:]); n != c.number+1 {
			return fmt.Errorf("datagram %d after %d", n, c.number)
		}
		c.number++
		return nil
	}
	c.tcp++
	return c.segment(p, seg)
}

func (c *streamCheck) segment(p *parse.Packet, seg []byte) error {
	if len(p.Payload) == 0 && p.TCPFlags == parse.TCPSyn && be.Uint32(seg[8:]) == 0 && len(seg) == 20 {
		c.data++ // of a flood
		return nil
	}
	seq, ack := be.Uint32(seg[4:]), be.Uint32(seg[8:])
	back := parse.FiveTuple{SrcIP: p.Tuple.DstIP, DstIP: p.Tuple.SrcIP, SrcPort: p.Tuple.DstPort, DstPort: p.Tuple.SrcPort,
		Proto: p.Tuple.Proto}
	if c.first.Proto == 0 {
		c.first = p.Tuple
	}
	if p.TCPFlags&parse.TCPSyn == 0 {
		if next, ok := c.flows[p.Tuple]; !ok || seq != next {
			return fmt.Errorf("sequence number %d, want %d", seq, next)
		}
	}
	if p.TCPFlags&parse.TCPAck != 0 && ack != c.flows[back] {
		return fmt.Errorf("acknowledges %d, sent was %d", ack, c.flows[back])
	}
	next := seq + uint32(len(p.Payload))
	if p.TCPFlags&(parse.TCPSyn|parse.TCPFin) != 0 {
		next++
	}
	isData := p.Tuple != c.first && back != c.first
	switch {
	case !isData || p.TCPFlags&(parse.TCPSyn|parse.TCPFin) != 0 || c.data == 0 && len(p.Payload) <= 37:
		c.control++
	case len(p.Payload) > 0:
		c.data++
	case c.closed(p.Tuple) || c.closed(back):
		c.control++
	default:
		c.rest++
	}
	if p.TCPFlags&parse.TCPFin != 0 {
		c.flows[parse.FiveTuple{SrcPort: p.Tuple.SrcPort, DstPort: p.Tuple.DstPort}] = 1
	}
	c.flows[p.Tuple] = next
	return nil
}

func (c *streamCheck) closed(t parse.FiveTuple) bool {
	return c.flows[parse.FiveTuple{SrcPort: t.SrcPort, DstPort: t.DstPort}] == 1
}

func TestStreamSeeds(t *testing.T) {
	for _, tt := range streamCases {
		var sums []string
		for _, seed := range []uint64{7, 7, 8} {
			src, err := tt.s.Open(seed)
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			var f parse.Frame
			for src.Next(&f) == nil {
				h.Write(f.Data)
			}
			sums = append(sums, string(h.Sum(nil)))
		}
		if sums[0] != sums[1] || sums[0] == sums[2] {
			t.Errorf("%s: the same seed must give the same frames, another one others", tt.name)
		}
	}
}

func TestStreamAllocatesNothing(t *testing.T) {
	for _, tt := range streamCases {
		src, err := tt.s.Open(1)
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		// All frames in one run: what the opening or the closing allocates counts too.
		if n := allocations(func() {
			for src.Next(&f) == nil {
			}
			src, _ = tt.s.Open(1)
		}) - allocations(func() { _, _ = tt.s.Open(1) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestStreamCheck(t *testing.T) {
	good := Stream{Kind: "udp", Link: "ethernet", Rate: 1e6, Duration: time.Second}
	with := func(change func(s *Stream)) Stream {
		s := good
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name string
		s    Stream
		want []string // nothing: no error
	}{
		{"good", good, nil},
		{"nothing set", Stream{}, []string{"kind", "link", "rate 0", "neither blocks nor duration"}},
		{"kind", with(func(s *Stream) { s.Kind = "sctp" }), []string{`kind "sctp"`}},
		{"link", with(func(s *Stream) { s.Link = "wifi" }), []string{`link "wifi"`}},
		{"rate 0", with(func(s *Stream) { s.Rate = 0 }), []string{"rate 0"}},
		{"rate below 0", with(func(s *Stream) { s.Rate = -1 }), []string{"rate -1"}},
		{"rate not a number", with(func(s *Stream) { s.Rate = math.NaN() }), []string{"rate NaN"}},
		{"rate without end", with(func(s *Stream) { s.Rate = math.Inf(1) }), []string{"rate +Inf"}},
		{"too many datagrams", with(func(s *Stream) { s.Rate, s.Payload = 1e11, 16 }), []string{"100000000 frames a second"}},
		{"too many frames", with(func(s *Stream) { s.Kind, s.Rate = "syn", 1e9 }), []string{"100000000 frames a second"}},
		{"payload too short", with(func(s *Stream) { s.Payload = 15 }), []string{"payload 15"}},
		{"payload too long", with(func(s *Stream) { s.Payload = 65508 }), []string{"payload 65508"}},
		{"payload of tcp", with(func(s *Stream) { s.Kind, s.Payload = "tcp", 100 }), []string{"payload 100"}},
		{"two ends", with(func(s *Stream) { s.Blocks = 1 }), []string{"only one"}},
		{"duration below 0", with(func(s *Stream) { s.Duration = -1 }), []string{"duration -1ns"}},
		{"duration too long", with(func(s *Stream) { s.Duration = 9000 * time.Hour }), []string{"duration 9000h"}},
		{"too many blocks", with(func(s *Stream) { s.Blocks, s.Duration = math.MaxUint64, 0 }), []string{"take longer"}},
		{"blocks too slow", with(func(s *Stream) { s.Rate, s.Blocks, s.Duration = 0.001, 3, 0 }), []string{"take longer"}},
		{"line of loopback", with(func(s *Stream) { s.Link, s.Line = "loopback", 1e9 }), []string{"no line"}},
		{"line below 0", with(func(s *Stream) { s.Line = -1 }), []string{"line -1"}},
		{"line too slow", with(func(s *Stream) { s.Rate, s.Line = 96.6e6, 1e8 }), []string{"does not fit"}},
		{"line just fits", with(func(s *Stream) { s.Rate, s.Line = 95.7e6, 1e8 }), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.s.Check()
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			if _, openErr := tt.s.Open(1); (openErr == nil) != (err == nil) {
				t.Errorf("opened with %v", openErr)
			}
			if _, countErr := tt.s.Count(); (countErr == nil) != (err == nil) {
				t.Errorf("counted with %v", countErr)
			}
		})
	}
}

// On a slow line frames of the client do not overlap, and a rate near it leaves no pauses.
func TestStreamLine(t *testing.T) {
	src, err := Stream{Kind: "udp", Link: "ethernet", Rate: 95.7e6, Line: 1e8, Duration: time.Second}.Open(1)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	var last int64
	gaps := 0
	for src.Next(&f) == nil {
		if len(f.Data) < 1000 {
			continue
		}
		if last != 0 {
			gap := f.UnixNano - last
			if gap < 121_120 { // 1490 + 24 octets
				t.Fatalf("%d ns between two frames", gap)
			}
			if gap > 200_000 {
				gaps++ // the second datagram waits for the first tick
			}
		}
		last = f.UnixNano
	}
	if gaps > 1 {
		t.Errorf("%d pauses on a busy line", gaps)
	}
}

// Datagrams sent, against all UDP rows of the published measurements. Where iperf3 was held back by its --bitrate the count
// is that of the row, or lies between those of the same test in other rows. Without --bitrate the row's own count over its
// time is the rate: those counts are the rows' to within one tick of the pacing timer.
func TestStreamSentCounts(t *testing.T) {
	dir := os.Getenv("PCAPLAB_SEED")
	if dir == "" {
		t.Skip("PCAPLAB_SEED names no folder with pi3b-measurements.csv")
	}
	file, err := os.Open(filepath.Join(dir, "pi3b-measurements.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	type test struct{ side, limit, payload, blocks string }
	spread := map[test][2]float64{}
	number := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[column[name]], 64)
		if err != nil && row[column[name]] != "" {
			t.Fatal(err)
		}
		return v
	}
	of := func(row []string) test {
		return test{row[column["side"]], row[column["limit_mbps"]], row[column["payload_bytes"]], row[column["blocks"]]}
	}
	for _, row := range rows[1:] {
		if n := number(row, "sent_packets"); row[column["proto"]] == "UDP" {
			s, ok := spread[of(row)]
			if !ok {
				s = [2]float64{n, n}
			}
			spread[of(row)] = [2]float64{min(s[0], n), max(s[1], n)}
		}
	}
	exact, within := 0, 0
	for _, row := range rows[1:] {
		if row[column["proto"]] != "UDP" {
			continue
		}
		name := row[column["library"]] + " " + row[column["scenario"]]
		sent := number(row, "sent_packets")
		s := Stream{Kind: "udp", Link: "ethernet", Payload: int(number(row, "payload_bytes")), Rate: number(row, "limit_mbps") * 1e6,
			Blocks: uint64(number(row, "blocks"))}
		if row[column["side"]] == "LH" {
			s.Link = "loopback"
		}
		if s.Blocks == 0 {
			s.Duration = time.Duration(number(row, "duration_s") * 1e9)
		}
		low, high := spread[of(row)][0], spread[of(row)][1]
		if s.Rate == 0 {
			s.Rate = sent * 8 * number(row, "payload_bytes") / s.Duration.Seconds()
			tick := sent / (1000 * s.Duration.Seconds())
			low, high = sent-tick, sent+tick
		}
		c, err := s.Count()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := float64(c.Data)
		switch {
		case got == sent:
			exact++
		case got >= math.Floor(low) && got <= math.Ceil(high):
			within++
			t.Logf("%s: %v, published %v (from %.0f to %.0f)", name, got, sent, low, high)
		default:
			t.Errorf("%s: %v datagrams, published %v (from %.0f to %.0f)", name, got, sent, low, high)
		}
	}
	t.Logf("%d rows exact, %d within their spread", exact, within)
}

func BenchmarkStream(b *testing.B) {
	for _, bb := range []struct {
		name string
		s    Stream
	}{
		{"udp", Stream{Kind: "udp", Link: "ethernet", Rate: 1e8, Blocks: math.MaxUint32}},
		{"udp-fragments", Stream{Kind: "udp", Link: "ethernet", Rate: 1e9, Payload: 32768, Blocks: math.MaxUint32}},
		{"udp-loopback", Stream{Kind: "udp", Link: "loopback", Rate: 1e10, Blocks: math.MaxUint32}},
		{"tcp", Stream{Kind: "tcp", Link: "ethernet", Rate: 1e8, Blocks: 1 << 30}},
		{"tcp-loopback", Stream{Kind: "tcp", Link: "loopback", Rate: 1e10, Blocks: math.MaxUint32}},
		{"syn", Stream{Kind: "syn", Link: "ethernet", Rate: 1e6, Blocks: math.MaxUint32}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			src, err := bb.s.Open(1)
			if err != nil {
				b.Fatal(err)
			}
			var f parse.Frame
			for b.Loop() {
				if err := src.Next(&f); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/frame")
		})
	}
}
