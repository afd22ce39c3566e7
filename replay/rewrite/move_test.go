package rewrite_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
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

func TestMoveAddr(t *testing.T) {
	for _, tt := range []struct {
		name string
		addr string
		pass uint32
		want string
	}{
		{"pass 0", "192.168.1.1", 0, "192.168.1.1"},
		{"private, pass 1", "10.0.0.1", 1, "10.168.185.1"},                             // network 43193 of the ring
		{"the next network", "10.0.1.1", 1, "10.168.186.1"},                            // one further
		{"from the second block past the last", "172.31.255.255", 1, "10.167.184.255"}, // (69631+43193) mod 69888 = 42936
		{"into the second block", "10.87.71.4", 1, "172.16.0.4"},                       // 22343 + 43193 = 65536
		{"from the last block", "192.168.255.255", 1, "10.168.184.255"},
		{"private, after one round", "10.0.0.1", 69888, "10.0.0.2"},
		{"private, host octet goes round", "10.0.0.255", 69888, "10.0.0.0"},
		{"public, pass 1", "1.0.0.9", 1, "139.138.197.9"},
		{"IPv6 global", "2001:db8::1", 1, "2001:db8::9e37:7900:0:1"},
		{"IPv6 link-local, EUI-64", "fe80::211:22ff:fe33:4455", 1, "fe80::a048:9bff:fe33:4455"},
		{"IPv6 unique local, octets go round", "fd00::ffff:ff00:0:1", 1, "fd00::9e37:7800:0:1"},
		{"this network", "0.0.0.0", 5, "0.0.0.0"},
		{"loopback", "127.0.0.1", 5, "127.0.0.1"},
		{"IPv4 link-local", "169.254.9.9", 5, "169.254.9.9"},
		{"multicast", "224.0.0.251", 5, "224.0.0.251"},
		{"multicast, last", "239.255.255.255", 5, "239.255.255.255"},
		{"reserved", "240.0.0.1", 5, "240.0.0.1"},
		{"broadcast", "255.255.255.255", 5, "255.255.255.255"},
		{"IPv6 unspecified", "::", 5, "::"},
		{"IPv6 loopback", "::1", 5, "::1"},
		{"IPv4-mapped", "::ffff:10.0.0.1", 5, "::ffff:10.0.0.1"},
		{"NAT64", "64:ff9b::a00:1", 5, "64:ff9b::a00:1"},
		{"IPv6 multicast", "ff02::1", 5, "ff02::1"},
		{"zone stays", "fe80::1%eth0", 1, "fe80::9e37:7900:0:1%eth0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rewrite.MoveAddr(netip.MustParseAddr(tt.addr), tt.pass); got.String() != tt.want {
				t.Errorf("%s in pass %d: %s, want %s", tt.addr, tt.pass, got, tt.want)
			}
		})
	}
	if got := rewrite.MoveAddr(netip.Addr{}, 1); got.IsValid() {
		t.Errorf("no address became %s", got)
	}
}

func v4(n uint32) netip.Addr { return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n))) }

func n4(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

// stays says by net/netip which IPv4 addresses must stay; the rest must move within its kind.
func stays(a netip.Addr) bool {
	return a.As4()[0] == 0 || a.As4()[0] >= 224 || a.IsLoopback() || a.IsLinkLocalUnicast()
}

func TestMoveIsOneToOne(t *testing.T) {
	const pass = 70001 // the last octets of private addresses move as well
	seen := make([]uint64, 1<<24/64)
	for net := range uint32(1 << 24) {
		a := v4(net<<8 | net*151&0xff)
		b := rewrite.MoveAddr(a, pass)
		if got := n4(b) >> 8; seen[got/64]&(1<<(got%64)) != 0 {
			t.Fatalf("%s becomes %s, where another network is", a, b)
		} else {
			seen[got/64] |= 1 << (got % 64)
		}
		if (a == b) != stays(a) || a.IsPrivate() != b.IsPrivate() || stays(b) != stays(a) {
			t.Fatalf("%s becomes %s", a, b)
		}
	}
	for _, net := range []string{"10.1.2.0", "192.168.0.0", "8.8.8.0"} { // and hosts stay together
		first := n4(netip.MustParseAddr(net))
		var hosts [256]bool
		to := n4(rewrite.MoveAddr(v4(first), pass)) >> 8
		for i := range uint32(256) {
			b := n4(rewrite.MoveAddr(v4(first|i), pass))
			if b>>8 != to || hosts[b&0xff] {
				t.Fatalf("%s becomes %s", v4(first|i), v4(b))
			}
			hosts[b&0xff] = true
		}
	}
	clear(seen) // IPv6: every value of the octets that move
	a := netip.MustParseAddr("2001:db8::1").As16()
	for i := range uint32(1 << 22) {
		binary.BigEndian.PutUint32(a[8:], i<<10|7)
		b := rewrite.MoveAddr(netip.AddrFrom16(a), pass).As16()
		got := binary.BigEndian.Uint32(b[8:]) >> 8
		if seen[got/64]&(1<<(got%64)) != 0 || b[11] != 7&0xff|byte(i<<10) {
			t.Fatalf("%v becomes %v", a, b)
		}
		seen[got/64] |= 1 << (got % 64)
	}
}

func TestPassesDiffer(t *testing.T) {
	const passes = 1 << 20
	for _, s := range []string{"192.168.1.1", "10.255.255.255", "8.8.8.8", "223.255.255.255", "fe80::1", "2001:db8::1"} {
		a := netip.MustParseAddr(s)
		all := make([]uint32, passes)
		for pass := range uint32(passes) {
			b := rewrite.MoveAddr(a, pass)
			if a.Is4() {
				all[pass] = n4(b)
			} else {
				o := b.As16()
				all[pass] = binary.BigEndian.Uint32(o[8:])
			}
		}
		slices.Sort(all)
		if n := len(slices.Compact(all)); n != passes {
			t.Errorf("%s has %d addresses in %d passes", s, n, passes)
		}
	}
}

// movedTuple returns the tuple that direct must find in a frame moved from one with p's layers and this tuple.
func movedTuple(p *parse.Packet, tuple parse.FiveTuple, pass uint32) parse.FiveTuple {
	for _, a := range []*[16]byte{&tuple.SrcIP, &tuple.DstIP} {
		addr := netip.AddrFrom16(*a)
		if p.Layers.Has(parse.LayerIPv4) {
			addr = addr.Unmap()
		}
		*a = rewrite.MoveAddr(addr, pass).As16()
	}
	return tuple
}

// compareMoved returns what is wrong with out as in of another pass. verified counts the checksums that gopacket found
// right before and after.
func compareMoved(in, out *parse.Frame, o rewrite.Outcome, pass uint32) (verified int, err error) {
	if out.UnixNano != in.UnixNano || out.Link != in.Link || out.WireLen != in.WireLen || len(out.Data) != len(in.Data) {
		return 0, fmt.Errorf("times, link type or length changed")
	}
	same := bytes.Equal(in.Data, out.Data)
	if same != (o != rewrite.Moved) {
		return 0, fmt.Errorf("%s, but the same frame: %t", o, same)
	}
	if pass == 0 {
		if o != rewrite.Unchanged {
			return 0, fmt.Errorf("%s in pass 0", o)
		}
		return 0, nil
	}
	var before, after parse.Packet
	errBefore := parse.Direct{}.Parse(in, &before)
	errAfter := parse.Direct{}.Parse(out, &after)
	found := before.Layers&(parse.LayerIPv4|parse.LayerIPv6|parse.LayerARP) != 0
	if (o == rewrite.Malformed) != (errors.Is(errBefore, parse.ErrMalformed) && !found) ||
		(o == rewrite.UnknownLink) != errors.Is(errBefore, parse.ErrUnsupported) || errBefore != errAfter {
		return 0, fmt.Errorf("%s, but direct says %v, then %v", o, errBefore, errAfter)
	}
	if o != rewrite.Moved {
		if before.Layers&(parse.LayerIPv4|parse.LayerIPv6) != 0 &&
			movedTuple(&before, before.Tuple, pass) != before.Tuple {
			return 0, fmt.Errorf("%s, but its addresses move: %+v", o, before)
		}
		return 0, nil
	}
	arp := before.Layers.Has(parse.LayerARP)
	if want := movedTuple(&before, before.Tuple, pass); after.Tuple != want && !arp {
		return 0, fmt.Errorf("tuple %+v became %+v, want %+v", before.Tuple, after.Tuple, want)
	}
	if got := movedTuple(&before, before.Tuple.Reverse(), pass); got.Reverse() != after.Tuple && !arp {
		return 0, fmt.Errorf("the other direction's tuple became %+v, this one's %+v", got, after.Tuple)
	}
	if after.Layers != before.Layers || after.TTL != before.TTL || after.TCPFlags != before.TCPFlags ||
		after.HeaderLen != before.HeaderLen || len(after.Payload) != len(before.Payload) ||
		after.Truncated != before.Truncated {
		return 0, fmt.Errorf("packet %+v became %+v", before, after)
	}
	decoder, ok := firstLayer[in.Link]
	if !ok {
		return 0, errNotVerified
	}
	opts := gopacket.DecodeOptions{NoCopy: true}
	return compareLayers(in, out, &before, gopacket.NewPacket(in.Data, decoder, opts),
		gopacket.NewPacket(out.Data, decoder, opts))
}

// compareLayers checks with gopacket that only addresses and checksums differ, and that checksums are as right or as
// wrong as they were.
func compareLayers(in, out *parse.Frame, p *parse.Packet, a, b gopacket.Packet) (verified int, err error) {
	covers := map[uint8]int{6: 16, 17: 6, 33: 6, 136: 6} // protocol to where its checksum over addresses is
	if p.Layers.Has(parse.LayerIPv6) {
		maps.Copy(covers, map[uint8]int{58: 2, 89: 12, 103: 2, 112: 6, 135: 4})
	}
	may := make([]bool, len(in.Data))
	mark := func(off, from, to int) {
		for i := off + from; i < min(off+to, len(may)); i++ {
			may[i] = true
		}
	}
	as, bs := a.Layers(), b.Layers()
	if len(as) > len(bs) {
		return 0, fmt.Errorf("layers %v became %v", as, bs)
	}
	off := 0
	var na, nb gopacket.NetworkLayer
	found := false
walk:
	for i, l := range as {
		if bs[i].LayerType() != l.LayerType() {
			return 0, fmt.Errorf("layers %v became %v", as, bs)
		}
		last := true
		switch l.LayerType() {
		case layers.LayerTypeIPv4, layers.LayerTypeIPv6:
			if found { // a tunnel
				break walk
			}
			found = true
			na, nb = l.(gopacket.NetworkLayer), bs[i].(gopacket.NetworkLayer)
			if l.LayerType() == layers.LayerTypeIPv4 {
				mark(off, 10, 20)
			} else {
				mark(off, 16, 19)
				mark(off, 32, 35)
			}
			last = false
		case layers.LayerTypeARP:
			found = true
			h := int(l.LayerContents()[4])
			mark(off, 8+h, 12+h)
			mark(off, 12+2*h, 16+2*h)
		default:
			if !found || strings.HasPrefix(l.LayerType().String(), "IPv6") || l.LayerType() == layers.LayerTypeIPSecAH {
				last = false
			} else if field, ok := covers[p.Tuple.Proto]; ok && !p.Layers.Has(parse.LayerFragmentRest) {
				mark(off, field, field+2)
				if len(l.LayerContents()) < field+2 { // cut
					break walk
				}
			} else if l.LayerType() == layers.LayerTypeICMPv6 {
				break walk // over IPv4, where no checksum is defined
			}
		}
		n, err := compareChecksum(l, bs[i], na, nb)
		if err != nil {
			return 0, err
		}
		verified += n
		if last && found {
			break
		}
		off += len(l.LayerContents())
	}
	if !found {
		return 0, errNotVerified
	}
	for i := range may {
		if !may[i] && in.Data[i] != out.Data[i] {
			if a.ErrorLayer() != nil { // gopacket did not come as far as direct
				return 0, errNotVerified
			}
			return 0, fmt.Errorf("octet %d changed from %#x to %#x", i, in.Data[i], out.Data[i])
		}
	}
	return verified, nil
}

// compareChecksum returns 1 if the layer has a checksum that is right in both.
func compareChecksum(a, b gopacket.Layer, na, nb gopacket.NetworkLayer) (int, error) {
	if udp, ok := a.(*layers.UDP); ok && udp.Checksum == 0 {
		if now := b.(*layers.UDP).Checksum; now != 0 {
			return 0, fmt.Errorf("no UDP checksum became %#x", now)
		}
		return 0, nil
	}
	var sums [2]gopacket.ChecksumVerificationResult
	for i, l := range []gopacket.Layer{a, b} {
		if s, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := s.SetNetworkLayerForChecksum([]gopacket.NetworkLayer{na, nb}[i]); err != nil {
				return 0, nil // not over IP
			}
		}
		c, ok := l.(gopacket.LayerWithChecksum)
		if !ok {
			return 0, nil
		}
		var err error
		if err, sums[i] = c.VerifyChecksum(); err != nil {
			return 0, nil // gopacket has no opinion
		}
	}
	off := func(r gopacket.ChecksumVerificationResult) uint32 { // by how much it is wrong
		return (r.Actual + 0xffff - r.Correct) % 0xffff
	}
	if off(sums[0]) != off(sums[1]) || sums[0].Valid && !sums[1].Valid {
		return 0, fmt.Errorf("checksum of %s was %#x for %#x and is %#x for %#x", a.LayerType(),
			sums[0].Actual, sums[0].Correct, sums[1].Actual, sums[1].Correct)
	}
	if sums[0].Valid {
		return 1, nil
	}
	return 0, nil
}

// moveAll moves up to n frames of src in a few passes each and compares each.
func moveAll(t *testing.T, name string, src source, n int) (rep rewrite.MoveReport, verified, notVerified int) {
	t.Helper()
	passes := []uint32{1, 70001, 0, 1<<20 - 1}
	var m rewrite.Mover
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
		pass := passes[i%len(passes)]
		o := m.Move(&f, &out, pass)
		if !bytes.Equal(copied, f.Data) {
			t.Fatalf("%s frame %d: the input was written", name, i+1)
		}
		v, err := compareMoved(&f, &out, o, pass)
		verified += v
		if err == errNotVerified {
			notVerified++
		} else if err != nil {
			t.Fatalf("%s frame %d, pass %d: %v\nbefore % x\nafter  % x", name, i+1, pass, err, f.Data, out.Data)
		}
	}
	rep = m.Report()
	if rep.Frames != uint64(i) {
		t.Errorf("%s: %d frames counted of %d: %+v", name, rep.Frames, i, rep)
	}
	return rep, verified, notVerified
}

func TestMoveMix(t *testing.T) {
	src, err := synth.New("iot-1", 5)
	if err != nil {
		t.Fatal(err)
	}
	rep, verified, not := moveAll(t, "iot-1", src, 10000)
	if rep.Moved < 6000 || verified < 10000 || not > 0 || rep.Malformed+rep.Cut+rep.UnknownLink > 0 {
		t.Errorf("%s; %d checksums verified, %d frames not", rep, verified, not)
	}
}

func TestMoveCorpus(t *testing.T) {
	root := os.Getenv("PCAPLAB_CORPUS")
	if root == "" {
		t.Skip("PCAPLAB_CORPUS is not set")
	}
	manifest, err := os.ReadFile(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	each := 20000
	if testing.Short() {
		each = 200
	}
	var sum rewrite.MoveReport
	files, verified, not := 0, 0, 0
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
		r, err := pcapio.NewReader(file, name)
		if err == nil {
			rep, v, n := moveAll(t, name, r, each)
			if n > 0 {
				t.Logf("%s: gopacket is no witness of %d frames", name, n)
			}
			files, verified, not = files+1, verified+v, not+n
			sum.Frames += rep.Frames
			sum.Moved += rep.Moved
			sum.Unchanged += rep.Unchanged
			sum.Cut += rep.Cut
			sum.Malformed += rep.Malformed
			sum.UnknownLink += rep.UnknownLink
			r.Close()
		}
		file.Close()
	}
	t.Logf("%d captures, %d frames: %s; %d checksums verified, %d frames not", files, sum.Frames, sum, verified, not)
	if files < 80 || sum.Moved < sum.Frames/3 || verified < int(sum.Moved) || not > int(sum.Moved/100) {
		t.Error("too few")
	}
}

// onesSum returns the ones' complement sum of octets, an odd last one padded (RFC 1071); 0xffff over what includes a
// right checksum.
func onesSum(parts ...[]byte) uint32 {
	acc := uint32(0)
	for i, b := range bytes.Join(parts, nil) {
		acc += uint32(b) << (8 * (1 - i%2))
		acc = acc%0x10000 + acc/0x10000
	}
	return acc
}

// TestMoveChecksums has what gopacket does not verify: protocols, fragments, cuts and routes.
func TestMoveChecksums(t *testing.T) {
	const pass = 3
	src4, dst4, via4 := []byte{192, 168, 1, 9}, []byte{8, 8, 4, 4}, []byte{1, 1, 1, 1}
	src6 := netip.MustParseAddr("2001:db8::1").AsSlice()
	dst6 := netip.MustParseAddr("fe80::211:22ff:fe33:4455").AsSlice()
	via6 := netip.MustParseAddr("2001:db8:1::9").AsSlice()
	moved := func(b []byte) []byte {
		a, _ := netip.AddrFromSlice(b)
		return rewrite.MoveAddr(a, pass).AsSlice()
	}
	v4Header := func(proto byte, opts ...byte) []byte {
		h := []byte{0x45 + byte(len(opts)/4), 0, 0, 0, 0, 1, 0, 0, 64, proto, 0, 0}
		return slices.Concat(h, src4, dst4, opts)
	}
	v6Header := func(next byte, ext ...byte) []byte {
		return slices.Concat([]byte{0x60, 0, 0, 0, 0, 0, next, 64}, src6, dst6, ext)
	}
	fragment := func(h []byte, flags uint16) []byte {
		binary.BigEndian.PutUint16(h[6:], flags)
		return h
	}
	v4AH := append(v4Header(51), 6, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	v6AH := v6Header(51, 17, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	route := func(left byte) []byte { return append([]byte{6, 2, 0, left, 0, 0, 0, 0}, via6...) }
	loose := func(pointer byte) []byte { return append([]byte{1, 131, 7, pointer}, via4...) }
	for _, tt := range []struct {
		name   string
		header []byte
		proto  byte
		field  int // of the checksum in the message, -1 where it must not be touched
		final  []byte
		cut    int // octets of the message that are captured, 0 for all
	}{
		{"IPv4 TCP", v4Header(6), 6, 16, dst4, 0},
		{"IPv4 UDP", v4Header(17), 17, 6, dst4, 0},
		{"IPv4 UDP-Lite", v4Header(136), 136, 6, dst4, 0},
		{"IPv4 DCCP", v4Header(33), 33, 6, dst4, 0},
		{"IPv4 options", v4Header(6, 1, 1, 1, 0), 6, 16, dst4, 0},
		{"IPv4 source route under way", v4Header(6, loose(4)...), 6, 16, via4, 0},
		{"IPv4 source route at its end", v4Header(6, loose(8)...), 6, 16, dst4, 0},
		{"IPv4 first fragment", fragment(v4Header(6), 0x2000), 6, 16, dst4, 0},
		{"IPv4 fragment after the first", fragment(v4Header(6), 0x2003), 6, -1, dst4, 0},
		{"IPv4 last fragment", fragment(v4Header(17), 3), 17, -1, dst4, 0},
		{"IPv4 authentication header", v4AH, 6, 16, dst4, 0},
		{"IPv4 ICMP", v4Header(1), 1, -1, dst4, 0},
		{"IPv4 OSPF", v4Header(89), 89, -1, dst4, 0},
		{"IPv4 SCTP", v4Header(132), 132, -1, dst4, 0},
		{"IPv4 cut behind the checksum", v4Header(6), 6, 16, dst4, 18},
		{"IPv4 cut in the checksum", v4Header(6), 6, -1, dst4, 17},
		{"IPv4 cut behind the UDP header", v4Header(17), 17, 6, dst4, 8},
		{"IPv4 cut in the UDP header", v4Header(17), 17, -1, dst4, 7},
		{"IPv6 TCP", v6Header(6), 6, 16, dst6, 0},
		{"IPv6 UDP", v6Header(17), 17, 6, dst6, 0},
		{"IPv6 ICMPv6", v6Header(58), 58, 2, dst6, 0},
		{"IPv6 PIM", v6Header(103), 103, 2, dst6, 0},
		{"IPv6 mobility", v6Header(135), 135, 4, dst6, 0},
		{"IPv6 VRRP", v6Header(112), 112, 6, dst6, 0},
		{"IPv6 OSPF", v6Header(89), 89, 12, dst6, 0},
		{"IPv6 hop-by-hop", v6Header(0, 17, 0, 1, 4, 0, 0, 0, 0), 17, 6, dst6, 0},
		{"IPv6 authentication header", v6AH, 17, 6, dst6, 0},
		{"IPv6 first fragment", v6Header(44, 58, 0, 0, 1, 0, 0, 0, 7), 58, 2, dst6, 0},
		{"IPv6 fragment after the first", v6Header(44, 58, 0, 0, 9, 0, 0, 0, 7), 58, -1, dst6, 0},
		{"IPv6 route under way", v6Header(43, route(1)...), 6, 16, via6, 0},
		{"IPv6 route at its end", v6Header(43, route(0)...), 6, 16, dst6, 0},
		{"IPv6 cut in the checksum", v6Header(58), 58, -1, dst6, 3},
		{"IPv6 cut in an extension header", v6Header(43, route(0)[:20]...), 6, -1, dst6, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			message := make([]byte, 36)
			for i := range message {
				message[i] = byte(i*7 + 1)
			}
			switch tt.proto {
			case 6:
				message[12] = 5 << 4
			case 17:
				binary.BigEndian.PutUint16(message[4:], uint16(len(message)))
			}
			d := slices.Concat(tt.header, message)
			ip4 := d[0]>>4 == 4
			from, to, at := 8, 40, 16
			if ip4 {
				from, to, at = 12, 20, 4
				binary.BigEndian.PutUint16(d[2:], uint16(len(d)))
				binary.BigEndian.PutUint16(d[10:], ^uint16(onesSum(d[:int(d[0]&15)*4])))
			} else {
				binary.BigEndian.PutUint16(d[4:], uint16(len(d)-40))
			}
			m := d[len(tt.header):]
			pseudo := func(src, dst []byte) []byte {
				return slices.Concat(src, dst, []byte{0, tt.proto, 0, byte(len(m))})
			}
			if tt.field >= 0 {
				c := m[tt.field:][:2]
				c[0], c[1] = 0, 0
				binary.BigEndian.PutUint16(c, ^uint16(onesSum(pseudo(d[from:from+at], tt.final), m)))
			}
			in := parse.Frame{Data: d, WireLen: len(d), Link: parse.LinkRaw}
			switch {
			case tt.cut > 0:
				in.Data = d[:len(tt.header)+tt.cut]
			case tt.cut < 0:
				in.Data = d[:len(tt.header)]
			}
			before := bytes.Clone(in.Data)
			var out parse.Frame
			var mover rewrite.Mover
			if o := mover.Move(&in, &out, pass); o != rewrite.Moved {
				t.Fatal(o)
			}
			if !bytes.Equal(before, in.Data) {
				t.Fatal("the input was written")
			}
			src := moved(d[from : from+at])
			want := bytes.Clone(before)
			copy(want[from:], slices.Concat(src, moved(d[from+at:to])))
			if ip4 {
				want[10], want[11] = 0, 0
				binary.BigEndian.PutUint16(want[10:], ^uint16(onesSum(want[:int(d[0]&15)*4])))
			}
			if tt.field >= 0 {
				final := tt.final
				if bytes.Equal(final, d[from+at:to]) {
					final = moved(final)
				}
				m[tt.field], m[tt.field+1] = 0, 0
				binary.BigEndian.PutUint16(want[len(tt.header)+tt.field:], ^uint16(onesSum(pseudo(src, final), m)))
			}
			if !bytes.Equal(out.Data, want) {
				t.Errorf("before % x\nafter  % x\nwant   % x", before, out.Data, want)
			}
		})
	}
}

func TestMoveOutcomes(t *testing.T) {
	v4 := ip4(layers.IPProtocolUDP)
	plain := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4, udp(v4), payload)
	arp := func(protocol layers.EthernetType, size int) parse.Frame {
		return frame(t, parse.LinkEthernet, eth(layers.EthernetTypeARP), &layers.ARP{AddrType: 1, Protocol: protocol,
			HwAddressSize: 6, ProtAddressSize: uint8(size), Operation: 1,
			SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: []byte{10, 0, 0, 1}[:size],
			DstHwAddress: make([]byte, 6), DstProtAddress: []byte{0, 0, 0, 0}[:size]})
	}
	change := func(f parse.Frame, at int, octets ...byte) parse.Frame {
		f.Data = bytes.Clone(f.Data)
		copy(f.Data[at:], octets)
		return f
	}
	cut := func(f parse.Frame, n int) parse.Frame {
		f.Data = f.Data[:n]
		return f
	}
	put := func(link parse.LinkType, header ...byte) parse.Frame { // plain's packet behind another header
		d := append(header, plain.Data[14:]...)
		return parse.Frame{Data: d, WireLen: len(d), Link: link}
	}
	ethernet := func(octets ...byte) []byte { return append(bytes.Clone(plain.Data[:12]), octets...) }
	for _, tt := range []struct {
		name string
		f    parse.Frame
		pass uint32
		want rewrite.Outcome
		ip   int // where the addresses must have moved
	}{
		{"Ethernet", plain, 1, rewrite.Moved, 14},
		{"pass 0", plain, 0, rewrite.Unchanged, 0},
		{"pass 0, malformed", change(plain, 14, 0x41), 0, rewrite.Unchanged, 0},
		{"VLAN twice", put(parse.LinkEthernet, ethernet(0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0)...), 1, rewrite.Moved, 22},
		{"MPLS", put(parse.LinkEthernet, ethernet(0x88, 0x47, 0, 1, 0, 64, 0, 1, 1, 64)...), 1, rewrite.Moved, 22},
		{"PPPoE", put(parse.LinkEthernet, ethernet(0x88, 0x64, 0x11, 0, 0, 1, 0, 230, 0, 0x21)...), 1, rewrite.Moved, 22},
		{"PPPoE, compressed", put(parse.LinkEthernet, ethernet(0x88, 0x64, 0x11, 0, 0, 1, 0, 229, 0x21)...), 1,
			rewrite.Moved, 21},
		{"PPPoE, MPLS", put(parse.LinkEthernet,
			ethernet(0x88, 0x64, 0x11, 0, 0, 1, 0, 234, 2, 0x81, 0, 1, 1, 64)...), 1, rewrite.Moved, 26},
		{"SNAP", put(parse.LinkEthernet, ethernet(0, 236, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0)...), 1, rewrite.Moved, 22},
		{"null", put(parse.LinkNull, 2, 0, 0, 0), 1, rewrite.Moved, 4},
		{"loop", put(parse.LinkLoop, 0, 0, 0, 2), 1, rewrite.Moved, 4},
		{"raw", put(parse.LinkRaw), 1, rewrite.Moved, 0},
		{"raw, BSD", put(parse.LinkRawBSD), 1, rewrite.Moved, 0},
		{"raw, OpenBSD", put(parse.LinkRawOpenBSD), 1, rewrite.Moved, 0},
		{"IPv4 only", put(parse.LinkIPv4), 1, rewrite.Moved, 0},
		{"SLL", put(parse.LinkSLL, append(make([]byte, 14), 8, 0)...), 1, rewrite.Moved, 16},
		{"SLL, SNAP", put(parse.LinkSLL, append(make([]byte, 14), 0, 4, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0)...), 1,
			rewrite.Moved, 24},
		{"SLL2", put(parse.LinkSLL2, append([]byte{8, 0}, make([]byte, 18)...)...), 1, rewrite.Moved, 20},
		{"IPv4 addresses that stay", change(change(plain, 26, 0, 0, 0, 0), 30, 255, 255, 255, 255), 1,
			rewrite.Unchanged, 0},
		{"ARP", arp(layers.EthernetTypeIPv4, 4), 1, rewrite.Moved, -1},
		{"ARP, only the target", change(change(arp(layers.EthernetTypeIPv4, 4), 28, 0, 0, 0, 0), 38, 10, 0, 0, 1), 1,
			rewrite.Moved, -1},
		{"ARP for another protocol", arp(layers.EthernetTypeIPv6, 4), 1, rewrite.Unchanged, 0},
		{"ARP with short addresses", arp(layers.EthernetTypeIPv4, 2), 1, rewrite.Unchanged, 0},
		{"ARP cut", cut(arp(layers.EthernetTypeIPv4, 4), 41), 1, rewrite.Cut, 0},
		{"no IP", change(plain, 12, 0x90, 0), 1, rewrite.Unchanged, 0},
		{"cut behind the IP header", cut(plain, 34), 1, rewrite.Moved, 14},
		{"cut in the IP header", cut(plain, 33), 1, rewrite.Cut, 0},
		{"malformed", change(plain, 14, 0x41), 1, rewrite.Malformed, 0},
		{"malformed behind the IP header", change(plain, 38, 0, 7), 1, rewrite.Moved, 14},
		{"IP packet shorter than its transport header", change(plain, 16, 0, 25), 1, rewrite.Moved, 14},
		{"malformed behind addresses that stay", change(change(change(plain, 26, 0, 0, 0, 0), 30, 255, 255, 255, 255), 38, 0, 7), 1,
			rewrite.Unchanged, 0},
		{"empty", parse.Frame{Link: parse.LinkEthernet}, 1, rewrite.Malformed, 0},
		{"unknown link type", put(127), 1, rewrite.UnknownLink, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.f
			in.Data = bytes.Clone(tt.f.Data)
			var out parse.Frame
			var m rewrite.Mover
			if o := m.Move(&in, &out, tt.pass); o != tt.want {
				t.Fatalf("%s, want %s", o, tt.want)
			}
			if !bytes.Equal(in.Data, tt.f.Data) {
				t.Error("the input was written")
			}
			if _, err := compareMoved(&in, &out, tt.want, tt.pass); err != nil && err != errNotVerified {
				t.Errorf("%v\nbefore % x\nafter  % x", err, in.Data, out.Data)
			}
			addresses := []int{tt.ip + 12, tt.ip + 16}
			if tt.ip < 0 {
				addresses = []int{28, 38}
			}
			for _, at := range addresses {
				if tt.want != rewrite.Moved {
					break
				}
				a := netip.AddrFrom4([4]byte(in.Data[at:]))
				if got := netip.AddrFrom4([4]byte(out.Data[at:])); got != rewrite.MoveAddr(a, tt.pass) {
					t.Errorf("%s became %s", a, got)
				}
			}
			if says := m.Report().String(); !strings.Contains(says, "of 1 frames") ||
				strings.Contains(says, "moved in 1 ") != (tt.want == rewrite.Moved) {
				t.Errorf("report says %q", says)
			}
			behind := tt.want == rewrite.Moved && errors.Is(parse.Direct{}.Parse(&in, &parse.Packet{}), parse.ErrMalformed)
			if says := m.Report().String(); (m.Report().MovedMalformed == 1) != behind || strings.Contains(says, "(1 malformed behind") != behind {
				t.Errorf("report says %q", says)
			}
			j, err := json.Marshal(m.Report())
			if err != nil || !bytes.Contains(j, fmt.Appendf(nil, `"frames":1,`)) ||
				!bytes.Contains(j, fmt.Appendf(nil, `"%s":1`, tt.want)) {
				t.Errorf("JSON %s, %v", j, err)
			}
		})
	}
}

// TestMoveMalformedBehind has a TCP header that says it is shorter than one can be: its checksum, which is right, stays right.
func TestMoveMalformedBehind(t *testing.T) {
	v4 := ip4(layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: 1, DstPort: 2}
	if err := tcp.SetNetworkLayerForChecksum(v4); err != nil {
		t.Fatal(err)
	}
	f := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4, tcp, payload)
	f.Data[46] = 1 << 4
	sum := func(d []byte) uint32 {
		n := len(d) - 34
		return onesSum(d[26:34], []byte{0, 6, byte(n >> 8), byte(n)}, d[34:])
	}
	binary.BigEndian.PutUint16(f.Data[50:], 0)
	binary.BigEndian.PutUint16(f.Data[50:], ^uint16(sum(f.Data)))
	var m rewrite.Mover
	var out parse.Frame
	if o := m.Move(&f, &out, 5); o != rewrite.Moved || m.Report().MovedMalformed != 1 || m.Report().Kept() != 0 {
		t.Fatalf("%v, %+v", o, m.Report())
	}
	if ip, transport := onesSum(out.Data[14:34]), sum(out.Data); ip != 0xffff || transport != 0xffff {
		t.Errorf("sums %#x of the IP header and %#x of the rest", ip, transport)
	}
}

// TestMoveLeavesTrailer has an IP packet that ends before its protocol's checksum, and an Ethernet trailer behind it.
func TestMoveLeavesTrailer(t *testing.T) {
	f := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv6), ip6(layers.IPProtocolOSPF),
		gopacket.Payload("123456789012"))
	end := len(f.Data)
	f.Data = append(f.Data, "trailer"...)
	f.WireLen = len(f.Data)
	var m rewrite.Mover
	var out parse.Frame
	if o := m.Move(&f, &out, 1); o != rewrite.Moved || !bytes.Equal(out.Data[54:], f.Data[54:]) {
		t.Errorf("%s, behind the header % x, trailer % x", o, out.Data[54:end], out.Data[end:])
	}
}

// TestMoveUDPZero moves a datagram to where its checksum sums to 0, which is written as 0xffff, and one without.
func TestMoveUDPZero(t *testing.T) {
	const pass = 1
	v4 := ip4(layers.IPProtocolUDP)
	f := frame(t, parse.LinkEthernet, eth(layers.EthernetTypeIPv4), v4, udp(v4), payload)
	var m rewrite.Mover
	var out parse.Frame
	m.Move(&f, &out, pass)
	// Adding the checksum to two octets of the payload makes it 0.
	word := uint32(binary.BigEndian.Uint16(f.Data[50:])) + uint32(binary.BigEndian.Uint16(out.Data[40:]))
	binary.BigEndian.PutUint16(f.Data[50:], uint16(word%0xffff))
	m.Move(&f, &out, pass) // wrong by that much
	f.Data[40], f.Data[41] = 0, 0
	udpLen := binary.BigEndian.Uint16(f.Data[38:])
	pseudo := []byte{0, 17, byte(udpLen >> 8), byte(udpLen)}
	binary.BigEndian.PutUint16(f.Data[40:], ^uint16(onesSum(f.Data[26:34], pseudo, f.Data[34:])))
	m.Move(&f, &out, pass)
	if c := binary.BigEndian.Uint16(out.Data[40:]); c != 0xffff {
		t.Errorf("checksum %#x, want 0xffff", c)
	}
	if s := onesSum(out.Data[26:34], pseudo, out.Data[34:]); s != 0xffff {
		t.Errorf("sum %#x, want 0xffff", s)
	}
	f.Data[40], f.Data[41] = 0, 0
	m.Move(&f, &out, pass)
	if c := binary.BigEndian.Uint16(out.Data[40:]); c != 0 {
		t.Errorf("no checksum became %#x", c)
	}
}

func TestMoveAllocatesNothing(t *testing.T) {
	src, err := synth.New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	var m rewrite.Mover
	var f, out parse.Frame
	long := make([]byte, 9018)
	copy(long, []byte{12: 8, 14: 0x45, 16: 0, 17: 20, 26: 10, 30: 10, 33: 0})
	if o := m.Move(&parse.Frame{Data: long, WireLen: len(long), Link: parse.LinkEthernet}, &out, 1); o != rewrite.Moved {
		t.Fatal(o)
	}
	pass := uint32(1)
	if n := testing.AllocsPerRun(5000, func() {
		_ = src.Next(&f)
		pass += 1000
		m.Move(&f, &out, pass)
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzMove(f *testing.F) {
	src, err := synth.New("iot-1", 9)
	if err != nil {
		f.Fatal(err)
	}
	var fr parse.Frame
	for range 300 {
		_ = src.Next(&fr)
		f.Add(bytes.Clone(fr.Data), uint16(parse.LinkEthernet), uint16(0), uint32(1))
	}
	for _, link := range []parse.LinkType{parse.LinkNull, parse.LinkRaw, parse.LinkSLL, parse.LinkSLL2, parse.LinkIPv6} {
		f.Add(bytes.Clone(fr.Data[14:]), uint16(link), uint16(5), uint32(70001))
	}
	f.Fuzz(func(t *testing.T, data []byte, link, cut uint16, pass uint32) {
		in := parse.Frame{UnixNano: 1, Data: data, WireLen: len(data) + int(cut), Link: parse.LinkType(link)}
		before := bytes.Clone(data)
		var out parse.Frame
		var m rewrite.Mover
		o := m.Move(&in, &out, pass)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was written")
		}
		if _, err := compareMoved(&in, &out, o, pass); err != nil && err != errNotVerified {
			t.Fatalf("%v\nbefore % x\nafter  % x", err, data, out.Data)
		}
	})
}

func BenchmarkMove(b *testing.B) {
	for _, mix := range []string{"syn-60", "udp-512", "iot-1"} {
		b.Run(mix, func(b *testing.B) {
			src, err := synth.New(mix, 1)
			if err != nil {
				b.Fatal(err)
			}
			frames := make([]parse.Frame, 256)
			for i := range frames {
				if err := src.Next(&frames[i]); err != nil {
					b.Fatal(err)
				}
				frames[i].Data = bytes.Clone(frames[i].Data)
			}
			var m rewrite.Mover
			var out parse.Frame
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				m.Move(&frames[i%256], &out, uint32(i>>8)+1)
				i++
			}
		})
	}
}
