package rewrite_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
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
	"pcaplab/replay/split"
)

// corpus calls each for every capture that can be opened; it skips where there is no corpus.
func corpus(t *testing.T, each func(name string, r *pcapio.Reader)) (files int) {
	t.Helper()
	root := os.Getenv("PCAPLAB_CORPUS")
	if root == "" {
		t.Skip("PCAPLAB_CORPUS is not set")
	}
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(manifest)), "\n")[1:] {
		name, _, _ := strings.Cut(line, "\t")
		path := filepath.Join(root, name)
		if matches, err := filepath.Glob(filepath.Join(root, "*", name)); err == nil && len(matches) > 0 {
			path = matches[0]
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := pcapio.NewReader(file, name); err == nil {
			each(name, r)
			r.Close()
			files++
		}
		file.Close()
	}
	return files
}

// next sets *f to the next frame, and returns false at the end of the capture or at damage.
func next(t *testing.T, r *pcapio.Reader, f *parse.Frame) bool {
	t.Helper()
	err := r.Next(f)
	var damage *pcapio.FormatError
	if err == io.EOF || errors.As(err, &damage) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

var mapped = []rewrite.Edits{{
	PNAT: []string{"10.0.0.0/8:77.0.0.0/8,0.0.0.0/1:99.0.0.0/9,128.0.0.0/1:202.5.0.0/16,[::/0]:[2001::/16]"},
	TTL:  "-3", TOS: number(0xa4), TClass: number(0xa4), FlowLabel: number(0x12345), PortMap: "0-1023:65535,65535:0", TCPSequence: 5,
}, {
	RandomizeIP: 5, SkipBroadcast: true, TTL: "200", PortMap: "80:8080,443:80",
}}

// compareEdited returns what is wrong with out as in with edits of mapped: checksums must be as right or as wrong as they
// were, all else of the headers as before or as asked. verified counts checksums that are right in both.
func compareEdited(in, out *parse.Frame, e rewrite.Edits, o rewrite.Outcome) (verified int, err error) {
	if out.UnixNano != in.UnixNano || out.Link != in.Link || out.WireLen != max(in.WireLen, len(in.Data)) && out.WireLen != in.WireLen ||
		len(out.Data) != len(in.Data) {
		return 0, fmt.Errorf("times, link type or length changed")
	}
	if same := bytes.Equal(in.Data, out.Data); o == rewrite.Edited && same || o == rewrite.Unchanged && !same {
		return 0, fmt.Errorf("%s, but the same frame: %t", o, same)
	}
	var p, q parse.Packet
	before, after := parse.Direct{}.Parse(in, &p), parse.Direct{}.Parse(out, &q)
	if before != after {
		return 0, fmt.Errorf("direct says %v, then %v", before, after)
	}
	if p.Layers&(parse.LayerIPv4|parse.LayerIPv6) == 0 {
		return 0, nil
	}
	if n, err := compareAddresses(in, out, &p, e); before != nil || err != nil {
		return n, err // headers that cannot be: addresses and the IP header's checksum are all that is known
	}
	if p.Layers != q.Layers || p.HeaderLen != q.HeaderLen || p.Tuple.Proto != q.Tuple.Proto || p.TCPFlags != q.TCPFlags || p.Truncated != q.Truncated {
		return 0, fmt.Errorf("packet %+v became %+v", p, q)
	}
	if !bytes.Equal(p.Payload, q.Payload) && !p.Truncated && p.Layers&(parse.LayerTCP|parse.LayerUDP|parse.LayerICMP) != 0 {
		return 0, fmt.Errorf("payload changed")
	}
	ttl := uint8(200)
	if e.TTL == "-3" {
		ttl = max(p.TTL, 4) - 3
		for _, a := range []struct{ was, is netip.Addr }{{p.Tuple.Src().Addr(), q.Tuple.Src().Addr()}, {p.Tuple.Dst().Addr(), q.Tuple.Dst().Addr()}} {
			if want := natted(a.was, p.Layers.Has(parse.LayerIPv6)); a.is != want {
				return 0, fmt.Errorf("%s became %s, want %s", a.was, a.is, want)
			}
		}
		if p.Layers&(parse.LayerTCP|parse.LayerUDP) != 0 {
			for _, a := range [][2]uint16{{p.Tuple.SrcPort, q.Tuple.SrcPort}, {p.Tuple.DstPort, q.Tuple.DstPort}} {
				want := a[0]
				if want < 1024 {
					want = 65535
				} else if want == 65535 {
					want = 0
				}
				if a[1] != want {
					return 0, fmt.Errorf("port %d became %d", a[0], a[1])
				}
			}
		}
	}
	if q.TTL != ttl {
		return 0, fmt.Errorf("TTL %d became %d", p.TTL, q.TTL)
	}
	decoder, ok := firstLayer[in.Link]
	if !ok || p.Layers.Has(parse.LayerFragment) {
		return 0, nil
	}
	as := gopacket.NewPacket(in.Data, decoder, gopacket.DecodeOptions{NoCopy: true}).Layers()
	bs := gopacket.NewPacket(out.Data, decoder, gopacket.DecodeOptions{NoCopy: true}).Layers()
	var na, nb gopacket.NetworkLayer
	for i := 0; i < min(len(as), len(bs)); i++ {
		if n, ok := as[i].(gopacket.NetworkLayer); ok {
			if na != nil {
				break
			}
			m, ok := bs[i].(gopacket.NetworkLayer)
			if !ok {
				return 0, fmt.Errorf("layers %v became %v", as, bs)
			}
			na, nb = n, m
		}
		n, err := compareChecksum(as[i], bs[i], na, nb)
		if err != nil {
			return 0, err
		}
		verified += n
	}
	return verified, nil
}

// compareAddresses has gopacket find the outermost IP headers of in and out, and returns what is wrong with the second under the
// first of mapped: addresses, TTL, and the checksum if it was right.
func compareAddresses(in, out *parse.Frame, p *parse.Packet, e rewrite.Edits) (verified int, err error) {
	decoder, ok := firstLayer[in.Link]
	if !ok || e.TTL != "-3" {
		return 0, nil
	}
	decode := gopacket.DecodeOptions{NoCopy: true, Lazy: true}
	was, is := gopacket.NewPacket(in.Data, decoder, decode), gopacket.NewPacket(out.Data, decoder, decode)
	if p.Layers.Has(parse.LayerIPv6) {
		a, ok := was.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		b, also := is.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if ok != also {
			return 0, fmt.Errorf("gopacket finds IPv6 before: %t, after: %t", ok, also)
		}
		if ok && (!net.IP(natted(netip.AddrFrom16([16]byte(a.SrcIP)), true).AsSlice()).Equal(b.SrcIP) || b.HopLimit != max(a.HopLimit, 4)-3) {
			return 0, fmt.Errorf("%s, hop limit %d became %s, %d", a.SrcIP, a.HopLimit, b.SrcIP, b.HopLimit)
		}
		return 0, nil
	}
	a, ok := was.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	b, also := is.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	if ok != also {
		return 0, fmt.Errorf("gopacket finds IPv4 before: %t, after: %t", ok, also)
	}
	if !ok {
		return 0, nil
	}
	for _, pair := range [][2]net.IP{{a.SrcIP, b.SrcIP}, {a.DstIP, b.DstIP}} {
		if want := natted(netip.AddrFrom4([4]byte(pair[0])), false); !net.IP(want.AsSlice()).Equal(pair[1]) {
			return 0, fmt.Errorf("%s became %s, want %s", pair[0], pair[1], want)
		}
	}
	if b.TTL != max(a.TTL, 4)-3 {
		return 0, fmt.Errorf("TTL %d became %d", a.TTL, b.TTL)
	}
	return compareChecksum(a, b, a, b)
}

// natted is what the first of mapped makes of an address.
func natted(a netip.Addr, v6 bool) netip.Addr {
	if v6 {
		b := a.As16()
		if a.Is4() {
			b = netip.AddrFrom16(a.As16()).As16()
		}
		b[0], b[1] = 0x20, 1
		return netip.AddrFrom16(b)
	}
	b := a.As4()
	switch {
	case b[0] == 10:
		b[0] = 77
	case b[0] < 128:
		b[0], b[1] = 99, b[1]&127
	default:
		b[0], b[1] = 202, 5
	}
	return netip.AddrFrom4(b)
}

func TestEditCorpus(t *testing.T) {
	each := 5000
	if testing.Short() {
		each = 200
	}
	verified, edited, frames := 0, uint64(0), uint64(0)
	files := corpus(t, func(name string, r *pcapio.Reader) {
		eds := []*rewrite.Editor{editor(t, mapped[0]), editor(t, mapped[1])}
		var f, out parse.Frame
		var copied []byte
		for i := 0; i < each && next(t, r, &f); i++ {
			copied = append(copied[:0], f.Data...)
			for k, ed := range eds {
				o := ed.Edit(&f, &out, false)
				if !bytes.Equal(copied, f.Data) {
					t.Fatalf("%s frame %d: the input was written", name, i+1)
				}
				n, err := compareEdited(&f, &out, mapped[k], o)
				if err != nil {
					t.Fatalf("%s frame %d, %s: %v\nbefore % x\nafter  % x", name, i+1, o, err, f.Data, out.Data)
				}
				verified += n
			}
		}
		for _, ed := range eds {
			edited += ed.Report().Edited
			frames += ed.Report().Frames
		}
	})
	t.Logf("%d captures, %d of %d frames edited, %d checksums verified", files, edited, frames, verified)
	if files < 80 || edited < frames/2 || verified < int(edited) {
		t.Error("too few")
	}
}

// TestMendedCorpus has gopacket verify the checksums that edits make anew.
func TestMendedCorpus(t *testing.T) {
	each := 3000
	if testing.Short() {
		each = 200
	}
	sets := []rewrite.Edits{
		{FixCsum: true, TTL: "-1", PortMap: "80:81"}, {FixCsum: true, FixLen: "trunc"}, {FixCsum: true, FixLen: "pad"}, {FixCsum: true, MTU: 300, MTUTrunc: true},
		{FixCsum: true, FixHdrLen: true}, {FixCsum: true, FuzzSeed: 9, FuzzFactor: 2}, {FixCsum: true, Sizes: "imix"},
	}
	reports := make([]rewrite.EditReport, len(sets))
	verified := 0
	files := corpus(t, func(name string, r *pcapio.Reader) {
		eds := make([]*rewrite.Editor, len(sets))
		for i, e := range sets {
			eds[i] = editor(t, e)
		}
		var f, out parse.Frame
		for i := 0; i < each && next(t, r, &f); i++ {
			for k, ed := range eds {
				o := ed.Edit(&f, &out, false)
				if o != rewrite.Edited && o != rewrite.Unchanged {
					continue
				}
				if err := lengthsFit(&out); err != nil && lengthsFit(&parse.Frame{Data: f.Data[:len(f.Data):len(f.Data)], Link: f.Link}) == nil {
					t.Errorf("%s frame %d, %s %s: %v\nbefore % x\nafter  % x", name, i+1, sets[k], o, err, f.Data, out.Data)
				}
				if cutFits := f.WireLen > len(f.Data) && sets[k].FixLen == "trunc" && o == rewrite.Edited; cutFits {
					if err := lengthsFit(&out); err != nil && firstLayer[out.Link] != nil {
						t.Errorf("%s frame %d, %s %s: %v\nbefore % x\nafter  % x", name, i+1, sets[k], o, err, f.Data, out.Data)
					}
				}
				var p parse.Packet
				if (parse.Direct{}).Parse(&out, &p) != nil || p.Layers.Has(parse.LayerFragment) || firstLayer[out.Link] == nil {
					continue
				}
				if err := sums(&out); err != nil {
					t.Errorf("%s frame %d, %s %s: %v\nbefore % x\nafter  % x", name, i+1, sets[k], o, err, f.Data, out.Data)
					continue
				}
				verified++
			}
		}
		for i, ed := range eds {
			r := ed.Report()
			reports[i].Frames += r.Frames
			reports[i].Edited += r.Edited
			reports[i].Unchanged += r.Unchanged
			reports[i].Deleted += r.Deleted
			reports[i].Cut += r.Cut
			reports[i].Fragment += r.Fragment
			reports[i].Malformed += r.Malformed
			reports[i].TooLong += r.TooLong
			reports[i].Unbounded += r.Unbounded
			reports[i].Protected += r.Protected
			reports[i].Routed += r.Routed
			reports[i].UnknownLink += r.UnknownLink
		}
	})
	for i, r := range reports {
		t.Logf("%s: %s", sets[i], r)
		if r.Edited == 0 {
			t.Errorf("%s: no frame edited", sets[i])
		}
	}
	if files < 80 || verified < 50000 && !testing.Short() {
		t.Errorf("%d captures, %d frames verified: too few", files, verified)
	}
}

// TestTagAndBackIsIdentity adds a tag and takes it away again.
func TestTagAndBackIsIdentity(t *testing.T) {
	add, del := editor(t, rewrite.Edits{VLAN: "add", VLANTag: 7, VLANProto: "802.1ad"}), editor(t, rewrite.Edits{VLAN: "del"})
	tagged := 0
	files := corpus(t, func(name string, r *pcapio.Reader) {
		var f, a, b parse.Frame
		for i := 0; i < 1000 && next(t, r, &f); i++ {
			if f.Link != parse.LinkEthernet || len(f.Data) < 14 {
				continue
			}
			there := add.Edit(&f, &a, false)
			if want := slices.Concat(f.Data[:12], []byte{0x88, 0xa8, 0, 7}, f.Data[12:]); there != rewrite.Edited || !bytes.Equal(a.Data, want) ||
				a.WireLen != max(f.WireLen, len(f.Data))+4 {
				t.Fatalf("%s frame %d, %s: % x of %d octets became % x of %d", name, i+1, there, f.Data, f.WireLen, a.Data, a.WireLen)
			}
			back := del.Edit(&a, &b, false)
			if back != rewrite.Edited || !bytes.Equal(f.Data, b.Data) || b.WireLen != max(f.WireLen, len(f.Data)) {
				t.Fatalf("%s frame %d, %s: % x of %d octets came back as % x of %d", name, i+1, back, f.Data, f.WireLen, b.Data, b.WireLen)
			}
			tagged++
		}
	})
	if files < 80 || tagged < 10000 {
		t.Errorf("%d captures, %d frames: too few", files, tagged)
	}
}

// statuses has tshark say of each frame of a capture what it thinks of the checksums, outermost first.
func statuses(t *testing.T, path string) []string {
	t.Helper()
	args := []string{"-r", path, "-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields"}
	for _, f := range []string{"ip", "tcp", "udp", "icmp", "icmpv6"} {
		args = append(args, "-e", f+".checksum.status")
	}
	out, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestTsharkVerifiesCorpus has tshark verify checksums before and after: no edit may make a right one wrong, and --fixcsum
// leaves none wrong that it counts as done.
func TestTsharkVerifiesCorpus(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	if testing.Short() {
		t.Skip("not in short runs")
	}
	// Incremental edits, fragments reassembled by tshark included; then the same with checksums computed anew.
	edits := []rewrite.Edits{mapped[0], mapped[1], mapped[0]}
	edits[0].TCPSequence, edits[2].FixCsum = 0, true // tshark judges acknowledgements by sequence numbers seen
	dir := t.TempDir()
	var writers []*pcapio.Writer
	var paths []string
	for i := range len(edits) + 1 {
		path := filepath.Join(dir, fmt.Sprintf("%d.pcapng", i))
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		w, err := pcapio.NewWriter(file, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true, Snaplen: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		writers, paths = append(writers, w), append(paths, path)
	}
	var names []string
	var columns []int // of statuses that are of the outermost packet, as bits
	var outcomes [][]rewrite.Outcome
	corpus(t, func(name string, r *pcapio.Reader) {
		var eds []*rewrite.Editor
		for _, e := range edits {
			eds = append(eds, editor(t, e))
		}
		var f, out parse.Frame
		for i := 0; i < 400 && next(t, r, &f); i++ {
			if f.UnixNano < 0 || firstLayer[f.Link] == nil || f.WireLen < len(f.Data) {
				continue
			}
			if err := writers[0].WriteFrame(&f); err != nil {
				continue
			}
			names = append(names, fmt.Sprintf("%s frame %d", name, i+1))
			var p parse.Packet
			_ = parse.Direct{}.Parse(&f, &p)
			column := 1
			for k, layer := range []parse.Layers{parse.LayerTCP, parse.LayerUDP, parse.LayerICMP, parse.LayerICMPv6} {
				if p.Layers.Has(layer) {
					column |= 2 << k
				}
			}
			columns = append(columns, column)
			var all []rewrite.Outcome
			for k, ed := range eds {
				all = append(all, ed.Edit(&f, &out, false))
				if err := writers[k+1].WriteFrame(&out); err != nil {
					t.Fatal(err)
				}
			}
			outcomes = append(outcomes, all)
		}
	})
	for _, w := range writers {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	before := statuses(t, paths[0])
	if len(before) != len(names) {
		t.Fatalf("tshark saw %d frames of %d", len(before), len(names))
	}
	good := 0
	for k := range edits {
		after := statuses(t, paths[k+1])
		for i := range before {
			o := outcomes[i][k]
			if edits[k].FixCsum && (o == rewrite.Edited || o == rewrite.Unchanged) {
				for k, status := range strings.Split(after[i], "\t") {
					if first, _, _ := strings.Cut(status, ","); first == "0" && columns[i]>>k&1 != 0 {
						t.Errorf("%s, %s: %s: tshark says %q, before %q", names[i], edits[k], o, after[i], before[i])
						break
					}
				}
			} else if after[i] != before[i] && !edits[k].FixCsum {
				t.Errorf("%s, %s: %s: tshark says %q, before %q", names[i], edits[k], o, after[i], before[i])
			}
			good += strings.Count(after[i], "1")
		}
	}
	t.Logf("%d frames, %d checksums right in three rewritings", len(names), good)
	if good < 3*len(names) {
		t.Error("too few")
	}
}

// agreeable reports whether tcprewrite 4.4.3 of Debian is known to edit a frame rightly. It is wrong, or means something else,
// in these: frames whose IP length is not theirs, as padded ones (it becomes that), IPv6 (MACs become multicast), multicast, QinQ
// and MPLS, fragments, wrong checksums (made right with addresses), ARP under srcipmap (left). A UDP checksum that comes to 0
// it leaves at 0, which means none; and of one MAC with a cache file it changes the client's frames only.
func agreeable(f *parse.Frame) bool {
	var p parse.Packet
	if (parse.Direct{}).Parse(f, &p) != nil || p.Truncated || len(f.Data) < 64 {
		return false
	}
	plain := p.Layers == parse.LayerEthernet|parse.LayerIPv4|parse.LayerTCP || p.Layers == parse.LayerEthernet|parse.LayerIPv4|parse.LayerUDP ||
		p.Layers == parse.LayerEthernet|parse.LayerIPv4|parse.LayerICMP
	return plain && f.Data[0]&1 == 0 && !p.Tuple.Dst().Addr().IsMulticast() && f.Data[30] != 255 && int(f.Data[16])<<8|int(f.Data[17]) == len(f.Data)-14 &&
		sums(f) == nil
}

// TestAgreesWithTcprewrite compares octets with what tcprewrite makes of the same frames.
func TestAgreesWithTcprewrite(t *testing.T) {
	for _, tool := range []string{"tcprewrite", "tcpprep"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir := t.TempDir()
	in, cache := filepath.Join(dir, "in.pcap"), filepath.Join(dir, "cache")
	var frames []parse.Frame
	take := func(f *parse.Frame) {
		if agreeable(f) {
			g := *f
			g.Data, g.UnixNano = bytes.Clone(f.Data), f.UnixNano/1000*1000
			frames = append(frames, g)
		}
	}
	src, err := synth.New("iot-1", 4)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range 3000 {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		take(&f)
	}
	if os.Getenv("PCAPLAB_CORPUS") != "" {
		corpus(t, func(_ string, r *pcapio.Reader) {
			for i := 0; i < 300 && next(t, r, &f); i++ {
				if f.Link == parse.LinkEthernet && f.WireLen == len(f.Data) && f.WireLen <= 1514 && f.UnixNano > 0 && f.UnixNano>>62 == 0 {
					take(&f)
				}
			}
		})
	}
	file, err := os.Create(in)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := w.WriteFrame(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tcpprep", "-p", "-i", in, "-o", cache).CombinedOutput(); err != nil {
		t.Fatalf("tcpprep: %v: %s", err, out)
	}
	sides, err := split.Open(cache)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d frames", len(frames))
	for _, tt := range []struct {
		name  string
		edits rewrite.Edits
	}{
		{"pnat", rewrite.Edits{PNAT: []string{"192.168.0.0/16:10.77.0.0/16,10.0.0.0/8:11.0.0.0/24"}}},
		{"pnat by side", rewrite.Edits{PNAT: []string{"0.0.0.0/0:10.77.0.0/16", "0.0.0.0/0:10.78.0.0/16"}}},
		{"srcipmap", rewrite.Edits{SrcIPMap: "0.0.0.0/0:77.0.0.0/8"}},
		{"dstipmap", rewrite.Edits{DstIPMap: "0.0.0.0/0:77.0.0.0/8"}},
		{"endpoints", rewrite.Edits{Endpoints: "1.2.3.4:5.6.7.8"}},
		{"TTL", rewrite.Edits{TTL: "17"}},
		{"TTL up", rewrite.Edits{TTL: "+100"}},
		{"TTL down", rewrite.Edits{TTL: "-64"}},
		{"TOS", rewrite.Edits{TOS: number(0xb8)}},
		{"ports", rewrite.Edits{PortMap: "80:8080,443:4443,1000-2000:7,53:5353"}},
		{"dmac, smac", rewrite.Edits{DestMAC: "02:00:00:00:00:0a,02:00:00:00:00:0b", SourceMAC: "02:00:00:00:00:0c,02:00:00:00:00:0d"}},
		{"subsmac", rewrite.Edits{SubstituteMAC: []string{substitute(frames[0].Data[0:6]), substitute(frames[0].Data[6:12])}}},
		{"checksums", rewrite.Edits{FixCsum: true}},
		{"VLAN del of none", rewrite.Edits{VLAN: "del"}},
		{"several", rewrite.Edits{PNAT: []string{"0.0.0.0/0:10.77.0.0/16"}, TTL: "-1", TOS: number(4), PortMap: "80:8080", DestMAC: "02:00:00:00:00:0a,02:00:00:00:00:0a", FixCsum: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(dir, "out.pcap")
			args := append(strings.Fields(tt.edits.String()), "-i", in, "-o", out, "-c", cache)
			if text, err := exec.Command("tcprewrite", args...).CombinedOutput(); err != nil {
				t.Fatalf("tcprewrite %v: %v: %s", args, err, text)
			}
			file, err := os.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			r, err := pcapio.NewReader(file, out)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			ed := editor(t, tt.edits)
			var theirs, ours parse.Frame
			differ, edited := 0, 0
			for i := range frames {
				if err := r.Next(&theirs); err != nil {
					t.Fatal(err)
				}
				if ed.Edit(&frames[i], &ours, sides.Side(uint64(i)) == split.Server) == rewrite.Edited {
					edited++
				}
				if ours.Data[23] == 17 && theirs.Data[40] == 0 && theirs.Data[41] == 0 && ours.Data[40] == 0xff && ours.Data[41] == 0xff {
					theirs.Data[40], theirs.Data[41] = 0xff, 0xff
				}
				if !bytes.Equal(ours.Data, theirs.Data) || ours.UnixNano != theirs.UnixNano {
					if differ++; differ < 4 {
						t.Errorf("frame %d\nfrom   % x\nours   % x\ntheirs % x", i+1, frames[i].Data, ours.Data, theirs.Data)
					}
				}
			}
			t.Logf("%d of %d edited, %d differ", edited, len(frames), differ)
			if none := tt.edits.VLAN == "del" || tt.edits.FixCsum && tt.edits.TTL == ""; edited < len(frames)/100 && !none || none && edited > 0 {
				t.Errorf("%d of %d frames edited", edited, len(frames))
			}
		})
	}
}

func substitute(mac []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", mac), " ", ":") + ",02:00:00:00:00:99"
}
