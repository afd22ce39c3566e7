package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
)

const everySize = "64,128,256,512,1024,1280,1518,imix"

func resizers(tb testing.TB, list string) []*rewrite.Resizer {
	tb.Helper()
	sizes, err := rewrite.ParseSizes(list)
	if err != nil {
		tb.Fatal(err)
	}
	var rs []*rewrite.Resizer
	for _, s := range sizes {
		r, err := rewrite.NewResizer(s)
		if err != nil {
			tb.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

var firstLayer = map[parse.LinkType]gopacket.Decoder{
	parse.LinkEthernet: layers.LayerTypeEthernet,
	parse.LinkNull:     layers.LayerTypeLoopback,
	parse.LinkLoop:     layers.LayerTypeLoopback,
	parse.LinkRaw:      layers.LinkTypeRaw,
	parse.LinkIPv4:     layers.LayerTypeIPv4,
	parse.LinkIPv6:     layers.LayerTypeIPv6,
	parse.LinkSLL:      layers.LayerTypeLinuxSLL,
	parse.LinkSLL2:     layers.LayerTypeLinuxSLL2,
}

// errNotVerified says that gopacket does not decode the frame as far as direct does, so that it is no witness.
var errNotVerified = errors.New("not decoded by gopacket")

// compare returns what is wrong with out as in of size want octets. in.Data must be a copy of what the Resizer got.
func compare(in, out *parse.Frame, o rewrite.Outcome, want int) error {
	if out.UnixNano != in.UnixNano || out.Link != in.Link {
		return fmt.Errorf("time or link type changed")
	}
	if o != rewrite.Resized && o != rewrite.Trailer && o != rewrite.HeadersOnly {
		if !bytes.Equal(in.Data, out.Data) || in.WireLen != out.WireLen {
			return fmt.Errorf("%s, but the frame changed", o)
		}
		return nil
	}
	if o == rewrite.HeadersOnly {
		if len(out.Data) <= want {
			return fmt.Errorf("%d octets of %d, but %s", len(out.Data), want, o)
		}
		want = len(out.Data)
	}
	if len(out.Data) != want || out.WireLen != want {
		return fmt.Errorf("%d octets, %d on the wire, want %d", len(out.Data), out.WireLen, want)
	}
	var before, after parse.Packet
	if err := (parse.Direct{}).Parse(in, &before); err != nil {
		return fmt.Errorf("%s, but direct says of the frame: %w", o, err)
	}
	if err := (parse.Direct{}).Parse(out, &after); err != nil {
		return fmt.Errorf("after: %w", err)
	}
	if before.Layers != after.Layers || before.Tuple != after.Tuple || before.TTL != after.TTL ||
		before.TCPFlags != after.TCPFlags || before.HeaderLen != after.HeaderLen || after.Truncated {
		return fmt.Errorf("packet %+v became %+v", before, after)
	}
	if o == rewrite.Trailer {
		n := min(len(in.Data), want)
		for n > 0 && in.Data[n-1] == 0 { // the old trailer
			n--
		}
		if !bytes.Equal(in.Data[:n], out.Data[:n]) && before.Layers.Has(parse.LayerEthernet) {
			end := before.HeaderLen + len(before.Payload)
			if end > want || !bytes.Equal(in.Data[:end], out.Data[:end]) {
				return fmt.Errorf("message changed")
			}
		}
		return nil
	}
	if o == rewrite.HeadersOnly {
		left := 0
		if after.Layers.Has(parse.LayerICMPv6) {
			left = 4 // identifier and sequence number
		}
		if len(after.Payload) != left {
			return fmt.Errorf("%s, but %d octets of payload", o, len(after.Payload))
		}
	}
	if end := after.HeaderLen + len(after.Payload); end != want {
		return fmt.Errorf("payload ends at %d of %d", end, want)
	}
	if n := len(before.Payload); n == 0 {
		if slices.ContainsFunc(after.Payload, func(b byte) bool { return b != 0 }) {
			return fmt.Errorf("padding of no payload is not zero")
		}
	} else {
		const seq = 4 // of an ICMPv6 echo, which is no part of what repeats
		for i := range after.Payload {
			j := i % n
			if i >= n && before.Layers.Has(parse.LayerICMPv6) {
				if n == seq {
					break
				}
				j = seq + (i-seq)%(n-seq)
			}
			if before.Payload[j] != after.Payload[i] {
				return fmt.Errorf("payload octet %d is not octet %d of the frame's", i, j)
			}
		}
	}
	return compareHeaders(in, out, &before)
}

// compareHeaders checks with gopacket that checksums are right and that headers differ in lengths and checksums only.
func compareHeaders(in, out *parse.Frame, p *parse.Packet) error {
	decoder, ok := firstLayer[in.Link]
	if !ok {
		return errNotVerified
	}
	opts := gopacket.DecodeOptions{Lazy: true, NoCopy: true}
	a, b := gopacket.NewPacket(in.Data, decoder, opts), gopacket.NewPacket(out.Data, decoder, opts)
	if upToTransport(a, p) == nil {
		return errNotVerified
	}
	may := make([]bool, p.HeaderLen+8) // octets that may differ
	off := 0
	for _, l := range upToTransport(a, p) {
		var fields []int
		switch l.LayerType() {
		case layers.LayerTypePPPoE:
			fields = []int{4, 5}
		case layers.LayerTypeIPv4:
			fields = []int{2, 3, 10, 11}
		case layers.LayerTypeIPv6:
			fields = []int{4, 5}
		case layers.LayerTypeTCP:
			fields = []int{16, 17}
		case layers.LayerTypeUDP:
			fields = []int{4, 5, 6, 7}
		case layers.LayerTypeICMPv4, layers.LayerTypeICMPv6:
			fields = []int{2, 3}
		}
		for _, i := range fields {
			may[off+i] = true
		}
		off += len(l.LayerContents())
	}
	for i := range p.HeaderLen {
		if !may[i] && in.Data[i] != out.Data[i] {
			return fmt.Errorf("header octet %d changed from %#x to %#x", i, in.Data[i], out.Data[i])
		}
	}

	decoded := upToTransport(b, p)
	off = 0
	for _, l := range decoded {
		left := len(out.Data) - off
		claimed := left
		switch l := l.(type) {
		case *layers.PPPoE:
			claimed = int(l.Length) + 6
		case *layers.IPv4:
			claimed = int(l.Length)
		case *layers.IPv6:
			claimed = int(l.Length) + 40
		case *layers.UDP:
			claimed = int(l.Length)
		}
		if claimed != left {
			return fmt.Errorf("%s says %d octets of %d", l.LayerType(), claimed, left)
		}
		off += len(l.LayerContents())
	}
	var network gopacket.NetworkLayer
	verified := 0
	for _, l := range decoded {
		if n, ok := l.(gopacket.NetworkLayer); ok {
			network = n
		}
		if s, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := s.SetNetworkLayerForChecksum(network); err != nil {
				return err
			}
		}
		if udp, ok := l.(*layers.UDP); ok && udp.Checksum == 0 { // none
			verified++
			continue
		}
		if c, ok := l.(gopacket.LayerWithChecksum); ok {
			err, res := c.VerifyChecksum()
			if err != nil {
				return err
			}
			if !res.Valid {
				return fmt.Errorf("checksum of %s is %#x, gopacket computes %#x", l.LayerType(), res.Actual, res.Correct)
			}
			verified++
		}
	}
	if verified == 0 {
		return fmt.Errorf("gopacket found nothing to verify in %v", b.Layers())
	}
	return nil
}

// upToTransport returns the layers up to the outermost transport header, nil if gopacket does not reach it.
func upToTransport(p gopacket.Packet, want *parse.Packet) []gopacket.Layer {
	last := gopacket.LayerTypePayload
	switch {
	case want.Layers.Has(parse.LayerTCP):
		last = layers.LayerTypeTCP
	case want.Layers.Has(parse.LayerUDP):
		last = layers.LayerTypeUDP
	case want.Layers.Has(parse.LayerICMP):
		last = layers.LayerTypeICMPv4
	case want.Layers.Has(parse.LayerICMPv6):
		last = layers.LayerTypeICMPv6
	}
	p.Layer(last)
	all := p.Layers()
	for i, l := range all {
		if l.LayerType() == last {
			return all[:i+1]
		}
	}
	return nil
}

// source is what frames come from.
type source interface {
	Next(f *parse.Frame) error
}

// run resizes up to n frames of src to every size and compares each; it returns how many got their size.
func run(t *testing.T, name string, src source, n int) (done, all int) {
	notVerified := 0
	defer func() {
		if notVerified > 0 {
			t.Errorf("%s: gopacket could not verify %d resizings", name, notVerified)
		}
	}()
	t.Helper()
	rs := resizers(t, everySize)
	sizes, err := rewrite.ParseSizes(everySize)
	if err != nil {
		t.Fatal(err)
	}
	var f, out parse.Frame
	var copied []byte
	i := 0
	for ; i < n; i++ {
		err := src.Next(&f)
		var damage *pcapio.FormatError
		if err == io.EOF || errors.As(err, &damage) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		copied = append(copied[:0], f.Data...)
		for k, r := range rs {
			o := r.Resize(&f, &out)
			if !bytes.Equal(copied, f.Data) {
				t.Fatalf("%s frame %d: the input was written", name, i+1)
			}
			cycle := sizes[k].Octets
			err := compare(&f, &out, o, cycle[i%len(cycle)]-4)
			if err == errNotVerified {
				notVerified++
			} else if err != nil {
				t.Fatalf("%s frame %d to size %s: %v\nbefore % x\nafter  % x", name, i+1, sizes[k].Name, err, f.Data, out.Data)
			}
			if o == rewrite.Resized || o == rewrite.Trailer {
				done++
			}
		}
	}
	for _, r := range rs {
		if rep := r.Report(); rep.Frames != uint64(i) {
			t.Errorf("%s: %d frames counted of %d: %+v", name, rep.Frames, i, rep)
		}
	}
	return done, i * len(rs)
}

func TestMix(t *testing.T) {
	src, err := synth.New("iot-1", 5)
	if err != nil {
		t.Fatal(err)
	}
	done, all := run(t, "iot-1", src, 3000)
	if done < all*8/10 || done == all {
		t.Errorf("%d of %d frames got their size; fragments must not, most others must", done, all)
	}
}

func TestCorpus(t *testing.T) {
	root := os.Getenv("PCAPLAB_CORPUS")
	if root == "" {
		t.Skip("PCAPLAB_CORPUS is not set")
	}
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	each := 2000
	if testing.Short() {
		each = 100
	}
	done, all, files := 0, 0, 0
	for _, line := range strings.Split(strings.TrimSpace(string(manifest)), "\n")[1:] {
		name, _, _ := strings.Cut(line, "\t")
		matches, err := filepath.Glob(filepath.Join(root, "*", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, name)
		if len(matches) > 0 {
			path = matches[0]
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := pcapio.NewReader(file, name)
		if err == nil {
			d, a := run(t, name, r, each)
			done, all, files = done+d, all+a, files+1
			r.Close()
		}
		file.Close()
	}
	t.Logf("%d captures, %d of %d resizings gave the size", files, done, all)
	if files < 80 || done < all/2 {
		t.Errorf("%d captures, %d of %d resizings gave the size: too few", files, done, all)
	}
}

// frame serializes layers to a frame of a link type.
func frame(tb testing.TB, link parse.LinkType, ls ...gopacket.SerializableLayer) parse.Frame {
	tb.Helper()
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, ls...); err != nil {
		tb.Fatal(err)
	}
	d := bytes.Clone(buf.Bytes())
	return parse.Frame{UnixNano: 1, Data: d, WireLen: len(d), Link: link}
}

func eth(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: t}
}

func ip4(p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{Version: 4, TTL: 64, Protocol: p, SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
}

func ip6(p layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p,
		SrcIP: []byte{0x20, 1, 0xd, 0xb8, 15: 1}, DstIP: []byte{0x20, 1, 0xd, 0xb8, 15: 2}}
}

func udp(n gopacket.NetworkLayer) *layers.UDP {
	u := &layers.UDP{SrcPort: 40000, DstPort: 40001}
	_ = u.SetNetworkLayerForChecksum(n)
	return u
}

func tcp(n gopacket.NetworkLayer) *layers.TCP {
	u := &layers.TCP{SrcPort: 40000, DstPort: 40001, SYN: true, Options: []layers.TCPOption{
		{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 0xb4}}}}
	_ = u.SetNetworkLayerForChecksum(n)
	return u
}

var payload = gopacket.Payload(bytes.Repeat([]byte("0123456789"), 20))

func TestOutcomes(t *testing.T) {
	v4, v6 := ip4(layers.IPProtocolUDP), ip6(layers.IPProtocolUDP)
	v4tcp, v6tcp := ip4(layers.IPProtocolTCP), ip6(layers.IPProtocolTCP)
	plain := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4, udp(v4), payload)
	change := func(f parse.Frame, at int, octets ...byte) parse.Frame {
		f.Data = bytes.Clone(f.Data)
		copy(f.Data[at:], octets)
		return f
	}
	fragment := ip4(layers.IPProtocolUDP)
	fragment.Flags = layers.IPv4MoreFragments
	options := ip4(layers.IPProtocolUDP)
	options.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 40, OptionData: make([]byte, 38)}}
	routed := ip4(layers.IPProtocolUDP)
	routed.Options = []layers.IPv4Option{{OptionType: 131, OptionLength: 8, OptionData: []byte{4, 192, 0, 2, 9, 0}}}
	cut := plain
	cut.Data = cut.Data[:100]
	arp := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeARP), &layers.ARP{
		AddrType: 1, Protocol: 0x800, HwAddressSize: 6, ProtAddressSize: 4, Operation: 1,
		SourceHwAddress: make([]byte, 6), SourceProtAddress: make([]byte, 4),
		DstHwAddress: make([]byte, 6), DstProtAddress: make([]byte, 4)})
	ppp := func(t layers.PPPType, after ...gopacket.SerializableLayer) []gopacket.SerializableLayer {
		return append([]gopacket.SerializableLayer{eth(layers.EthernetTypePPPoESession),
			&layers.PPPoE{Version: 1, Type: 1, Code: layers.PPPoECodeSession, SessionId: 7},
			&layers.PPP{PPPType: t, HasPPTPHeader: false}}, after...)
	}
	loop := func(family byte, f parse.Frame) parse.Frame {
		f.Data = append([]byte{family, 0, 0, 0}, f.Data[14:]...)
		f.WireLen, f.Link = len(f.Data), parse.LinkNull
		return f
	}
	raw := func(link parse.LinkType, f parse.Frame) parse.Frame {
		f.Data = f.Data[14:]
		f.WireLen, f.Link = len(f.Data), link
		return f
	}
	sll := func(f parse.Frame) parse.Frame {
		f.Data = append(append(make([]byte, 14), 8, 0), f.Data[14:]...)
		f.WireLen, f.Link = len(f.Data), parse.LinkSLL
		return f
	}
	sll2 := func(f parse.Frame) parse.Frame {
		f.Data = append(append([]byte{8, 0}, make([]byte, 18)...), f.Data[14:]...)
		f.WireLen, f.Link = len(f.Data), parse.LinkSLL2
		return f
	}
	for _, tt := range []struct {
		name string
		f    parse.Frame
		size string
		want rewrite.Outcome
	}{
		{"IPv4 UDP cut", plain, "64", rewrite.Resized},
		{"IPv4 UDP padded", plain, "1518", rewrite.Resized},
		{"IPv4 UDP, jumbo", plain, "9018", rewrite.Resized},
		{"IPv4 UDP of the right size", plain, fmt.Sprint(len(plain.Data) + 4), rewrite.Resized},
		{"UDP without checksum", change(plain, 40, 0, 0), "512", rewrite.Resized},
		{"wrong checksums", change(change(plain, 40, 1, 2), 24, 3, 4), "512", rewrite.Resized},
		{"IPv4 total length 0, UDP", change(plain, 16, 0, 0), "512", rewrite.Resized},
		{"IPv4 TCP with options padded from nothing",
			frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4tcp, tcp(v4tcp)), "1518", rewrite.Resized},
		{"IPv6 UDP", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv6), v6, udp(v6), payload), "128",
			rewrite.Resized},
		{"IPv6 TCP does not fit",
			frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv6), v6tcp, tcp(v6tcp), payload), "64",
			rewrite.HeadersOnly},
		{"QinQ", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeQinQ),
			&layers.Dot1Q{VLANIdentifier: 5, Type: layers.EthernetTypeDot1Q},
			&layers.Dot1Q{VLANIdentifier: 6, Type: layers.EthernetTypeIPv4}, v4, udp(v4), payload), "1280", rewrite.Resized},
		{"MPLS", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeMPLSUnicast),
			&layers.MPLS{Label: 16, StackBottom: true, TTL: 64}, v4, udp(v4), payload), "1280", rewrite.Resized},
		{"PPPoE", frame(t, parse.LinkEthernet, ppp(layers.PPPTypeIPv4, v4, udp(v4), payload)...), "1280", rewrite.Resized},
		{"null, IPv4", loop(2, plain), "256", rewrite.Resized},
		{"raw", raw(parse.LinkRaw, plain), "256", rewrite.Resized},
		{"raw, IPv4", raw(parse.LinkIPv4, plain), "64", rewrite.Resized},
		{"SLL", sll(plain), "1024", rewrite.Resized},
		{"SLL2", sll2(plain), "64", rewrite.Resized},
		{"ICMP echo", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 2}, payload), "128", rewrite.Resized},
		{"ICMP error", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, payload), "512", rewrite.Trailer},
		{"ICMP error is not cut", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4),
			ip4(layers.IPProtocolICMPv4), &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 3)}, payload), "128",
			rewrite.TooLong},
		{"ARP", arp, "64", rewrite.Trailer},
		{"ARP padded far", arp, "1518", rewrite.Trailer},
		{"LLC", change(plain, 12, 0, 50), "128", rewrite.Trailer},
		{"LLC does not fit", change(plain, 12, 0, 50), "64", rewrite.TooLong},
		{"unknown EtherType", change(plain, 12, 0x90, 0), "1518", rewrite.Trailer},
		{"unknown EtherType is not cut", change(plain, 12, 0x90, 0), "64", rewrite.TooLong},
		{"headers do not fit", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), options, udp(options), payload),
			"64", rewrite.HeadersOnly},
		{"source route", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), routed, udp(routed), payload),
			"512", rewrite.Trailer},
		{"cut by the snaplen", cut, "64", rewrite.Cut},
		{"first fragment", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), fragment, udp(fragment), payload),
			"64", rewrite.Fragment},
		{"ESP", frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), ip4(layers.IPProtocolESP), payload), "64",
			rewrite.Protected},
		{"IPv4 total length 0, GRE", change(change(plain, 16, 0, 0), 23, 47), "512", rewrite.Unbounded},
		{"IPv4 total length above the frame", change(plain, 16, 9, 9), "512", rewrite.Malformed},
		{"IPv4 total length below the header", change(plain, 16, 0, 19), "512", rewrite.Malformed},
		{"UDP length above the packet", change(plain, 38, 9, 9), "512", rewrite.Malformed},
		{"UDP length below the header", change(plain, 38, 0, 7), "512", rewrite.Malformed},
		{"TCP header above the packet", change(frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4tcp,
			tcp(v4tcp)), 46, 0xf0), "512", rewrite.Malformed},
		{"empty", parse.Frame{Link: parse.LinkEthernet}, "64", rewrite.Malformed},
		{"unknown link type", parse.Frame{Link: 127, Data: plain.Data, WireLen: len(plain.Data)}, "64",
			rewrite.UnknownLink},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sizes, err := rewrite.ParseSizes(tt.size)
			if err != nil {
				t.Fatal(err)
			}
			r := resizers(t, tt.size)[0]
			in := tt.f
			in.Data = bytes.Clone(tt.f.Data)
			var out parse.Frame
			if o := r.Resize(&in, &out); o != tt.want {
				t.Fatalf("%s, want %s", o, tt.want)
			}
			if err := compare(&tt.f, &out, tt.want, sizes[0].Octets[0]-4); err != nil {
				t.Errorf("%v\nbefore % x\nafter  % x", err, tt.f.Data, out.Data)
			}
			rep := r.Report()
			if rep.Frames != 1 || rep.Octets != uint64(len(tt.f.Data)) || rep.OctetsOut != uint64(len(out.Data)) {
				t.Errorf("report %+v", rep)
			}
			sized := tt.want == rewrite.Resized || tt.want == rewrite.Trailer
			j, err := json.Marshal(rep)
			if err != nil || !bytes.Contains(j, fmt.Appendf(nil, `"%s":1`, tt.want)) {
				t.Errorf("JSON %s, %v", j, err)
			}
			says := "1 " + strings.ReplaceAll(tt.want.String(), "_", " ")
			if tt.want == rewrite.HeadersOnly {
				says = "cut to their headers, which are longer: 1"
			}
			if (rep.Sized() == 1) != sized || !sized && !strings.Contains(rep.String(), says) {
				t.Errorf("report says %q, Sized %d", rep, rep.Sized())
			}
		})
	}
}

func TestUDPZeroChecksumStays(t *testing.T) {
	v4 := ip4(layers.IPProtocolUDP)
	f := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4, udp(v4), payload)
	f.Data[40], f.Data[41] = 0, 0
	var out parse.Frame
	resizers(t, "512")[0].Resize(&f, &out)
	if c := binary.BigEndian.Uint16(out.Data[40:]); c != 0 {
		t.Errorf("no checksum became %#x", c)
	}
}

func TestParseSizes(t *testing.T) {
	for _, tt := range []struct {
		list string
		want []rewrite.Size
	}{
		{"64", []rewrite.Size{{Name: "64", Octets: []int{64}}}},
		{"64, 1518", []rewrite.Size{{Name: "64", Octets: []int{64}}, {Name: "1518", Octets: []int{1518}}}},
		{"imix", []rewrite.Size{{Name: "imix",
			Octets: []int{64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 570, 64}}}},
		{"imix:1x64,1x128,256,imix:2x512", []rewrite.Size{
			{Name: "imix:1x64,1x128", Octets: []int{64, 128}},
			{Name: "256", Octets: []int{256}},
			{Name: "imix:2x512", Octets: []int{512, 512}}}},
	} {
		t.Run(tt.list, func(t *testing.T) {
			got, err := rewrite.ParseSizes(tt.list)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, tt.want, func(a, b rewrite.Size) bool {
				return a.Name == b.Name && slices.Equal(a.Octets, b.Octets)
			}) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseSizesRefuses(t *testing.T) {
	for _, list := range []string{
		"", "63", "65536", "-64", "x", "64,", "64,64", "7x64", "imix:", "imix:0x64", "imix:9999x64", "imix:4000x64,4000x128",
		"imix:7x63", "imix:7", "imix:7x64,x128", "99999999999999999999",
	} {
		if sizes, err := rewrite.ParseSizes(list); err == nil {
			t.Errorf("%q gave %v", list, sizes)
		}
	}
	_, err := rewrite.ParseSizes("1,64,2")
	if err == nil || !strings.Contains(err.Error(), "size 1:") || !strings.Contains(err.Error(), "size 2:") {
		t.Errorf("error %v should name every fault", err)
	}
}

func TestIMIXMean(t *testing.T) {
	sizes, err := rewrite.ParseSizes("imix")
	if err != nil {
		t.Fatal(err)
	}
	if got := sizes[0].Mean(); got != 353_833 {
		t.Errorf("mean %d thousandths of an octet, want 353833", got)
	}
}

func TestNewResizerRefuses(t *testing.T) {
	for _, s := range []rewrite.Size{{Name: "none"}, {Octets: []int{64, 20}}, {Octets: []int{70000}}} {
		if _, err := rewrite.NewResizer(s); err == nil {
			t.Errorf("%+v accepted", s)
		}
	}
}

func TestResizeAllocatesNothing(t *testing.T) {
	src, err := synth.New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := resizers(t, "imix")[0]
	var f, out parse.Frame
	if n := testing.AllocsPerRun(5000, func() {
		_ = src.Next(&f)
		r.Resize(&f, &out)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzResize(f *testing.F) {
	src, err := synth.New("iot-1", 9)
	if err != nil {
		f.Fatal(err)
	}
	var fr parse.Frame
	for range 300 {
		_ = src.Next(&fr)
		f.Add(bytes.Clone(fr.Data), uint16(parse.LinkEthernet), uint16(128))
	}
	for _, link := range []parse.LinkType{parse.LinkNull, parse.LinkRaw, parse.LinkSLL, parse.LinkSLL2, parse.LinkIPv6} {
		f.Add(bytes.Clone(fr.Data[14:]), uint16(link), uint16(512))
	}
	f.Fuzz(func(t *testing.T, data []byte, link, size uint16) {
		n := max(int(size)%2048, rewrite.MinSize)
		r, err := rewrite.NewResizer(rewrite.Size{Name: "fuzz", Octets: []int{n}})
		if err != nil {
			t.Fatal(err)
		}
		in := parse.Frame{Data: data, WireLen: len(data), Link: parse.LinkType(link)}
		before := bytes.Clone(data)
		var out parse.Frame
		o := r.Resize(&in, &out)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was written")
		}
		if err := compare(&in, &out, o, n-rewrite.FCSLen); err != nil && err != errNotVerified {
			t.Fatal(err)
		}
	})
}

func BenchmarkResize(b *testing.B) {
	src, err := synth.New("udp-512", 1)
	if err != nil {
		b.Fatal(err)
	}
	var f, out parse.Frame
	_ = src.Next(&f)
	for _, size := range []string{"64", "1518"} {
		b.Run(size, func(b *testing.B) {
			r := resizers(b, size)[0]
			for b.Loop() {
				r.Resize(&f, &out)
			}
		})
	}
}
