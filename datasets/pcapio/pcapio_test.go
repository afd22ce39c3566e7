package pcapio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"pcaplab/parse"
)

// someFrames returns n frames of mixed sizes with rising times, of the given link types.
func someFrames(seed uint64, n int, links ...parse.LinkType) []parse.Frame {
	rnd := rand.New(rand.NewPCG(seed, 1))
	frames := make([]parse.Frame, n)
	now := int64(1_666_000_000_000_000_000)
	for i := range frames {
		data := make([]byte, 1+rnd.IntN(600))
		if rnd.IntN(20) == 0 {
			data = make([]byte, 1500+rnd.IntN(9000))
		}
		for j := range data {
			data[j] = byte(rnd.Uint32())
		}
		frames[i] = parse.Frame{UnixNano: now, Data: data, WireLen: len(data) + rnd.IntN(2)*rnd.IntN(1400),
			Link: links[rnd.IntN(len(links))]}
		now += rnd.Int64N(3e6)
	}
	return frames
}

func write(t testing.TB, cfg WriterConfig, frames []parse.Frame) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := w.WriteFrame(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readAll(t testing.TB, cfg Config, content []byte) ([]parse.Frame, *Reader, error) {
	t.Helper()
	r, err := cfg.NewReader(bytes.NewReader(content), "test")
	if err != nil {
		return nil, nil, err
	}
	var frames []parse.Frame
	var f parse.Frame
	for {
		if err := r.Next(&f); err == io.EOF {
			return frames, r, nil
		} else if err != nil {
			return frames, r, err
		}
		if cap(f.Data) != len(f.Data) {
			t.Fatalf("frame %d can be appended into what follows it", r.Packets())
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

func sameFrames(t testing.TB, got, want []parse.Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if g.UnixNano != w.UnixNano || g.WireLen != w.WireLen || g.Link != w.Link || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("frame %d is %d ns, %d of %d octets, link %d; want %d ns, %d of %d octets, link %d",
				i+1, g.UnixNano, len(g.Data), g.WireLen, g.Link, w.UnixNano, len(w.Data), w.WireLen, w.Link)
		}
	}
}

// swapBytes turns a little-endian capture of the Writer into a big-endian one.
func swapBytes(content []byte) []byte {
	b := bytes.Clone(content)
	le := binary.LittleEndian
	rev := func(at, n int) { slices.Reverse(b[at : at+n]) }
	words := func(at, n int) {
		for i := range n {
			rev(at+4*i, 4)
		}
	}
	if le.Uint32(b) != blockSHB {
		words(0, 1)
		rev(4, 2)
		rev(6, 2)
		words(8, 4)
		for at := pcapHeaderLen; at < len(b); {
			n := int(le.Uint32(b[at+8:]))
			words(at, 4)
			at += recordHeaderLen + n
		}
		return b
	}
	for at := 0; at < len(b); {
		typ, n := le.Uint32(b[at:]), int(le.Uint32(b[at+4:]))
		words(at, 2)
		rev(at+n-4, 4)
		switch typ {
		case blockSHB:
			words(at+8, 1)
			rev(at+12, 2)
			rev(at+14, 2)
		case blockIDB:
			rev(at+8, 2)
			words(at+12, 1)
			rev(at+16, 2)
			rev(at+18, 2)
		case blockEPB:
			words(at+8, 5)
		}
		at += n
	}
	return b
}

func gzipped(t testing.TB, parts ...[]byte) []byte {
	var out bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&out)
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func zstded(t testing.TB, parts ...[]byte) []byte {
	out := []byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'} // a skippable frame first
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, p := range parts {
		out = z.EncodeAll(p, out)
	}
	return out
}

func TestWriterReaderRoundTrip(t *testing.T) {
	for _, container := range []string{Pcap, PcapNG} {
		for _, nano := range []bool{false, true} {
			links := []parse.LinkType{parse.LinkSLL}
			if container == PcapNG {
				links = []parse.LinkType{parse.LinkEthernet, parse.LinkNull, parse.LinkRaw, 65535}
			}
			frames := someFrames(7, 3000, links...)
			frames = append(frames, parse.Frame{UnixNano: 0, WireLen: 60, Link: links[0]},
				parse.Frame{UnixNano: math.MaxUint32 * 1e9, Data: make([]byte, unstatedSnaplen), WireLen: 300000, Link: links[0]})
			if !nano {
				for i := range frames {
					frames[i].UnixNano -= frames[i].UnixNano % 1000
				}
			}
			content := write(t, WriterConfig{Container: container, Nano: nano, Link: parse.LinkSLL}, frames)
			third := len(content) / 3
			for name, stored := range map[string][]byte{
				"plain":      content,
				"big-endian": swapBytes(content),
				"gzip":       gzipped(t, content[:third], content[third:]),
				"zstd":       zstded(t, content[:third], content[third:2*third], content[2*third:]),
			} {
				for _, block := range []int{0, 1} {
					t.Run(fmt.Sprintf("%s nano=%v %s block %d", container, nano, name, block), func(t *testing.T) {
						got, r, err := readAll(t, Config{Block: block}, stored)
						if err != nil {
							t.Fatal(err)
						}
						sameFrames(t, got, frames)
						facts := r.Facts()
						if facts.Faults.Total() != 0 || facts.Container != container || facts.Sections != 1 {
							t.Errorf("facts %+v", facts)
						}
						if want := map[bool]Resolution{false: 6, true: 9}[nano]; facts.Interfaces[0].Resolution != want {
							t.Errorf("resolution %v, want %v", facts.Interfaces[0].Resolution, want)
						}
						var sum uint64
						for _, i := range facts.Interfaces {
							sum += i.Packets
						}
						if sum != uint64(len(frames)) {
							t.Errorf("interfaces have %d packets, want %d", sum, len(frames))
						}
						if n := r.StreamOctets(); n != int64(len(stored)) {
							t.Errorf("%d octets taken from the stream of %d", n, len(stored))
						}
					})
				}
			}
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   WriterConfig
		frame parse.Frame
		want  string
	}{
		{"another link type", WriterConfig{}, parse.Frame{Link: parse.LinkRaw}, "link type 101"},
		{"before 1970", WriterConfig{Container: PcapNG}, parse.Frame{UnixNano: -1, Link: 1}, "before 1970"},
		{"after 2106", WriterConfig{}, parse.Frame{UnixNano: (math.MaxUint32 + 1) * 1e9, Link: 1}, "after 2106"},
		{"too long", WriterConfig{}, parse.Frame{Data: make([]byte, unstatedSnaplen+1), Link: 1}, "262145 octets"},
		{"negative wire length", WriterConfig{}, parse.Frame{WireLen: -1, Link: 1}, "wire length -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewWriter(&out, tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteFrame(&tt.frame); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			good := parse.Frame{Data: []byte{1}, WireLen: 1, Link: 1}
			if err := errors.Join(w.WriteFrame(&good), w.Close()); err != nil {
				t.Fatalf("a refused frame spoils the capture: %v", err)
			}
			if got, _, err := readAll(t, Config{}, out.Bytes()); err != nil || len(got) != 1 {
				t.Errorf("%d frames, %v", len(got), err)
			}
		})
	}
	for _, cfg := range []WriterConfig{{Container: "erf"}, {Snaplen: MaxFrame + 1}, {LinkNull: true, Link: 1}} {
		if _, err := NewWriter(io.Discard, cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		return d.room, errors.New("disk full")
	}
	d.room -= len(p)
	return len(p), nil
}

func TestWriterKeepsTheErrorOfTheStream(t *testing.T) {
	w, err := NewWriter(&fullDisk{1 << 20}, WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	f := parse.Frame{Data: make([]byte, 1000), WireLen: 1000, Link: 1}
	for range 2000 {
		err = errors.Join(err, w.WriteFrame(&f))
	}
	if err == nil || w.Close() == nil {
		t.Errorf("2 MB went to a disk with 1 MB: %v, Close %v", err, w.Close())
	}
}

func TestWriterCutsToSnaplen(t *testing.T) {
	for _, container := range []string{Pcap, PcapNG} {
		content := write(t, WriterConfig{Container: container, Snaplen: 96},
			[]parse.Frame{{Data: make([]byte, 600), WireLen: 700, Link: 1}, {Data: make([]byte, 60), WireLen: 60, Link: 1}})
		got, r, err := readAll(t, Config{}, content)
		if err != nil || len(got) != 2 || len(got[0].Data) != 96 || got[0].WireLen != 700 || len(got[1].Data) != 60 {
			t.Errorf("%s: %v, %d frames %v", container, err, len(got), got)
		}
		if s := r.Facts().Snaplen; s != 96 {
			t.Errorf("%s: snaplen %d", container, s)
		}
	}
}

// ng builds a pcapng block by block.
type ng struct {
	b     []byte
	order binary.AppendByteOrder
}

func (n *ng) block(typ uint32, body []byte) *ng {
	body = append(bytes.Clone(body), make([]byte, -len(body)&3)...)
	total := uint32(len(body) + blockMin)
	n.b = n.order.AppendUint32(n.b, typ)
	n.b = n.order.AppendUint32(n.b, total)
	n.b = append(n.b, body...)
	n.b = n.order.AppendUint32(n.b, total)
	return n
}

func (n *ng) section(options ...byte) *ng {
	body := n.order.AppendUint32(nil, byteOrderMark)
	body = n.order.AppendUint16(body, 1)
	body = n.order.AppendUint16(body, 0)
	body = n.order.AppendUint64(body, math.MaxUint64)
	return n.block(blockSHB, append(body, options...))
}

func (n *ng) option(code uint16, value ...byte) []byte {
	b := n.order.AppendUint16(nil, code)
	b = n.order.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func (n *ng) iface(link uint16, snaplen uint32, options ...byte) *ng {
	body := n.order.AppendUint16(nil, link)
	body = n.order.AppendUint16(body, 0)
	body = n.order.AppendUint32(body, snaplen)
	return n.block(blockIDB, append(body, options...))
}

func (n *ng) packet(iface uint32, units uint64, data []byte, options ...byte) *ng {
	body := n.order.AppendUint32(nil, iface)
	body = n.order.AppendUint32(body, uint32(units>>32))
	body = n.order.AppendUint32(body, uint32(units))
	body = n.order.AppendUint32(body, uint32(len(data)))
	body = n.order.AppendUint32(body, uint32(len(data)))
	body = append(body, data...)
	body = append(body, make([]byte, -len(data)&3)...)
	return n.block(blockEPB, append(body, options...))
}

func newNG(order binary.AppendByteOrder) *ng { return &ng{order: order} }

// exactNano computes a pcapng time with rational numbers.
func exactNano(units uint64, res Resolution, offset int64) (int64, bool) {
	base := big.NewInt(10)
	if res&0x80 != 0 {
		base = big.NewInt(2)
	}
	div := new(big.Int).Exp(base, big.NewInt(int64(res&0x7f)), nil)
	n := new(big.Int).Mul(new(big.Int).SetUint64(units), big.NewInt(1e9))
	n.Div(n, div)
	n.Add(n, new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9)))
	switch {
	case n.IsInt64():
		return n.Int64(), false
	case n.Sign() < 0:
		return math.MinInt64, true
	default:
		return math.MaxInt64, true
	}
}

func TestTimesAgainstRationals(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	clampedSome := 0
	for res := range 256 {
		for _, offset := range []int64{0, 1, -1, 1 << 33, -(1 << 33), math.MaxInt64, math.MinInt64, -9223372036, 9223372036} {
			i := ngInterface{Interface: Interface{Resolution: Resolution(res), TimeOffset: offset}}
			i.prepare()
			units := []uint64{0, 1, math.MaxUint64, 1 << 63, math.MaxInt64, 1_666_000_000_123_456_789, i.fastEnd - 1, i.fastEnd}
			for range 20 {
				units = append(units, rnd.Uint64()>>rnd.IntN(64))
			}
			for _, u := range units {
				got, clamped := i.nano(u)
				want, wantClamped := exactNano(u, Resolution(res), offset)
				if got != want || clamped != wantClamped {
					t.Fatalf("resolution %v, offset %d s, %d units: %d (clamped %v), want %d (%v)",
						Resolution(res), offset, u, got, clamped, want, wantClamped)
				}
				if clamped {
					clampedSome++
				}
			}
		}
	}
	if clampedSome == 0 {
		t.Error("no time was clamped")
	}
}

func TestResolutionText(t *testing.T) {
	for res, want := range map[Resolution]string{0: "1 s", 1: "100 ms", 2: "10 ms", 3: "1 ms", 6: "1 µs", 7: "100 ns",
		9: "1 ns", 12: "1 ps", 15: "1 fs", 16: "10^-16 s", 0x80 | 20: "2^-20 s"} {
		if got := res.String(); got != want {
			t.Errorf("resolution %d is %q, want %q", uint8(res), got, want)
		}
	}
}

func TestSectionsOfBothByteOrders(t *testing.T) {
	le, be := newNG(binary.LittleEndian), newNG(binary.BigEndian)
	le.section().iface(1, 100, append(le.option(optName, []byte("eth0")...), le.option(optTSResol, 9)...)...).
		packet(0, 5_000_000_007, []byte("first")).
		block(0x80000123, []byte("local use")).
		block(blockNRB, make([]byte, 8))
	offset := be.order.AppendUint64(nil, 1000)
	be.section().iface(101, 0, be.option(optTSOffset, offset...)...).
		iface(113, 65535, append(be.option(optTSResol, 0x80|10), be.option(optFCSLen, 4)...)...).
		packet(1, 1024*3+1, []byte("second"), be.option(1, []byte("a comment")...)...).
		packet(0, 2_000_001, []byte("third"))
	got, r, err := readAll(t, Config{}, append(le.b, be.b...))
	if err != nil {
		t.Fatal(err)
	}
	sameFrames(t, got, []parse.Frame{
		{UnixNano: 5_000_000_007, Data: []byte("first"), WireLen: 5, Link: 1},
		{UnixNano: 3_000_976_562, Data: []byte("second"), WireLen: 6, Link: 113},
		{UnixNano: 1_002_000_001_000, Data: []byte("third"), WireLen: 5, Link: 101},
	})
	facts := r.Facts()
	if facts.Sections != 2 || facts.ByteOrder != "mixed" || facts.SkippedBlocks != 2 || facts.Version != "1.0" {
		t.Errorf("facts %+v", facts)
	}
	want := []Interface{
		{Section: 0, Link: 1, Snaplen: 100, Resolution: 9, Name: "eth0", Packets: 1},
		{Section: 1, Link: 101, Resolution: 6, TimeOffset: 1000, Packets: 1},
		{Section: 1, Link: 113, Snaplen: 65535, Resolution: 0x80 | 10, FCSLen: 4, Packets: 1},
	}
	if !slices.Equal(facts.Interfaces, want) {
		t.Errorf("interfaces %+v, want %+v", facts.Interfaces, want)
	}
	if r.Interface() != 1 {
		t.Errorf("the last frame came from interface %d, want 1", r.Interface())
	}
}

func TestDamagedBlocks(t *testing.T) {
	start := func() *ng {
		n := newNG(binary.LittleEndian)
		return n.section().iface(1, 0).packet(0, 1, []byte("good"))
	}
	edit := func(n *ng, at int, v uint32) []byte {
		b := bytes.Clone(n.b)
		binary.LittleEndian.PutUint32(b[len(b)+at:], v)
		return b
	}
	goodLen := len(start().b)
	n := newNG(binary.LittleEndian)
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"captured length above the block", edit(start().packet(0, 2, []byte("bad!")), -4-4-8, 9), "captured length 9"},
		{"captured length of 4 GiB", edit(start().packet(0, 2, []byte("bad!")), -4-4-8, math.MaxUint32), "captured length"},
		{"wire length of 4 GiB", edit(start().packet(0, 2, []byte("bad!")), -4-4-4, math.MaxUint32), "wire length"},
		{"total length of 4 GiB", start().block(77, nil).b[: goodLen+4 : goodLen+4], "block cut short: 4 of 12"},
		{"lying total length", append(start().b, 77, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0), "total length 4294967292"},
		{"total length not in steps of 4", append(start().b, 77, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0), "total length 13"},
		{"long total length", append(start().b, 77, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0), "12 of 16711680"},
		{"short packet block", start().block(blockEPB, make([]byte, 16)).b, "packet block of total length 28"},
		{"short simple packet block", start().block(blockSPB, nil).b, "simple packet block of total length 12"},
		{"short interface description", start().block(blockIDB, make([]byte, 4)).b, "total length 16"},
		{"option above the packet block", start().packet(0, 2, []byte("bad!"), 1, 0, 200, 0).b, "option 1 of 200"},
		{"option above the interface", start().iface(1, 0, 2, 0, 9, 0).b, "option 2 of 9"},
		{"resolution of two octets", start().iface(1, 0, n.option(optTSResol, 6, 6)...).b, "option 9"},
		{"offset of four octets", start().iface(1, 0, n.option(optTSOffset, 6, 6, 6, 6)...).b, "option 14"},
		{"byte-order mark", append(start().b, 0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4),
			"byte-order mark 01 02 03 04"},
		{"cut in the block", start().packet(0, 2, []byte("bad!")).b[:goodLen+20], "20 of 36"},
		{"interfaces start anew in a section", start().section().packet(0, 2, []byte("bad!")).b, "interface 0, but"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := readAll(t, Config{}, tt.content)
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			at := int64(goodLen)
			if strings.HasPrefix(tt.name, "interfaces start") {
				at += shbMin
			}
			if len(got) != 1 || string(got[0].Data) != "good" || fe.Offset != at || fe.Packet != 2 {
				t.Errorf("%d frames, then offset %d, record %d; want 1, %d, 2", len(got), fe.Offset, fe.Packet, at)
			}
		})
	}
}

func TestRefusesByName(t *testing.T) {
	pcap := write(t, WriterConfig{}, nil)
	with := func(at int, v ...byte) string {
		b := bytes.Clone(pcap)
		copy(b[at:], v)
		return string(b)
	}
	for _, tt := range []struct{ name, content, want string }{
		{"patched libpcap, little-endian", with(0, 0x34, 0xcd, 0xb2, 0xa1), "modified pcap"},
		{"patched libpcap, big-endian", with(0, 0xa1, 0xb2, 0xcd, 0x34), "modified pcap"},
		{"lcap", with(0, 0xac, 1, 0, 0x1c), "lcap"},
		{"snoop", "snoop\x00\x00\x00\x00\x00\x00\x02", "snoop"},
		{"bzip2", "BZh91AY&SY", "bzip2"},
		{"xz", "\xfd7zXZ\x00\x00", "xz"},
		{"zip", "PK\x03\x04\x14\x00", "zip"},
		{"web page", "<!DOCTYPE html><html>", "HTML"},
		{"Git LFS pointer", "version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"},
		{"gzip inside gzip", string(gzipped(t, gzipped(t, pcap))), "gzip inside gzip"},
		{"text in gzip", string(gzipped(t, []byte("a,b,c\n"))), "text"},
		{"nothing in gzip", string(gzipped(t, nil)), "empty"},
		{"version 2.5", with(6, 5), "version 2.5"},
		{"link type above 16 bits", with(20, 0, 0, 1, 0), "link type 65536"},
		{"one octet", "\xd4", "it starts with d4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewReader(strings.NewReader(tt.content), "some.pcap")
			var fe *FormatError
			if !errors.As(err, &fe) || !strings.Contains(err.Error(), tt.want) ||
				!strings.HasPrefix(err.Error(), "some.pcap: ") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOldVersionsSwapTheLengths(t *testing.T) {
	content := write(t, WriterConfig{}, []parse.Frame{{Data: []byte("abc"), WireLen: 60, Link: 1}})
	rec := content[pcapHeaderLen:]
	for _, tt := range []struct {
		minor byte
		swap  bool
	}{{4, false}, {3, false}, {3, true}, {2, true}} {
		b := bytes.Clone(content)
		b[6] = tt.minor
		if tt.swap {
			copy(b[pcapHeaderLen+8:], rec[12:16])
			copy(b[pcapHeaderLen+12:], rec[8:12])
		}
		got, _, err := readAll(t, Config{}, b)
		if err != nil || len(got) != 1 || string(got[0].Data) != "abc" || got[0].WireLen != 60 {
			t.Errorf("version 2.%d, swapped %v: %v %v", tt.minor, tt.swap, got, err)
		}
	}
}

func TestReadErrorsAreNotTheEnd(t *testing.T) {
	content := write(t, WriterConfig{}, someFrames(1, 100, 1))
	broken := errors.New("disk on fire")
	for _, salvage := range []bool{false, true} {
		for _, stored := range [][]byte{content, gzipped(t, content)} {
			for _, at := range []int{0, 10, len(stored) / 2} {
				src := io.MultiReader(bytes.NewReader(stored[:at]), iotest.ErrReader(broken))
				r, err := Config{Salvage: salvage}.NewReader(src, "x")
				var f parse.Frame
				for err == nil {
					err = r.Next(&f)
				}
				if !errors.Is(err, broken) {
					t.Errorf("salvage %v, after %d of %d octets: %v", salvage, at, len(stored), err)
				}
			}
		}
	}
}

func TestLyingLengthAllocatesLittle(t *testing.T) {
	content := write(t, WriterConfig{Snaplen: MaxFrame}, nil)
	content = binary.LittleEndian.AppendUint64(content, 1)
	content = binary.LittleEndian.AppendUint32(content, MaxFrame)
	content = binary.LittleEndian.AppendUint32(content, MaxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := readAll(t, Config{}, append(content, make([]byte, 100)...))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), fmt.Sprintf("100 of %d", MaxFrame)) {
		t.Errorf("error %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 4*DefaultBlock {
		t.Errorf("a length of %d allocated %d octets", MaxFrame, took)
	}
}

func TestLongFrameIsDelivered(t *testing.T) {
	frames := []parse.Frame{{Data: bytes.Repeat([]byte("long"), 1<<20), WireLen: 4 << 20, Link: 1},
		{Data: []byte("short"), WireLen: 5, Link: 1}}
	for _, container := range []string{Pcap, PcapNG} {
		content := write(t, WriterConfig{Container: container, Snaplen: 8 << 20}, frames)
		got, _, err := readAll(t, Config{}, content)
		if err != nil {
			t.Fatal(err)
		}
		sameFrames(t, got, frames)
	}
}

func TestSalvage(t *testing.T) {
	frames := someFrames(5, 400, 1)
	for _, container := range []string{Pcap, PcapNG} {
		clean := write(t, WriterConfig{Container: container, Nano: true}, frames)
		_, offsets := offsetsOf(t, clean)
		length := func(i int) int { return len(frames[i].Data) }
		for _, tt := range []struct {
			name   string
			damage func(b []byte) []byte
			lost   []int // frames
			losses []Loss
		}{
			{"clean", func(b []byte) []byte { return b }, nil, nil},
			{"a length of 4 GiB", func(b []byte) []byte {
				copy(b[offsets[100]+8:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
				return b
			}, []int{100}, []Loss{{From: offsets[100], To: offsets[101], After: 100, Resumed: true}}},
			{"octets overwritten over several records", func(b []byte) []byte {
				rnd := rand.New(rand.NewPCG(1, 1))
				for i := offsets[50]; i < offsets[60]+9; i++ {
					b[i] = byte(rnd.Uint32())
				}
				copy(b[offsets[50]:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
				return b
			}, []int{50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60},
				[]Loss{{From: offsets[50], To: offsets[61], After: 50, Resumed: true}}},
			{"octets put in between", func(b []byte) []byte {
				return slices.Concat(b[:offsets[200]], bytes.Repeat([]byte{0xee}, 777), b[offsets[200]:])
			}, nil, []Loss{{From: offsets[200], To: offsets[200] + 777, After: 200, Resumed: true}}},
			{"the end cut", func(b []byte) []byte { return b[:offsets[399]+15] },
				[]int{399}, []Loss{{From: offsets[399], To: offsets[399] + 15, After: 399}}},
			{"two places", func(b []byte) []byte {
				for _, i := range []int{10, 398} {
					copy(b[offsets[i]+4:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
				}
				return b
			}, []int{10, 398}, []Loss{{From: offsets[10], To: offsets[11], After: 10, Resumed: true},
				{From: offsets[398], To: offsets[399], After: 397, Resumed: true}}},
		} {
			t.Run(container+" "+tt.name, func(t *testing.T) {
				var want []parse.Frame
				for i, f := range frames {
					if !slices.Contains(tt.lost, i) {
						want = append(want, f)
					}
				}
				content := tt.damage(bytes.Clone(clean))
				got, r, err := readAll(t, Config{Salvage: true}, content)
				if err != nil {
					t.Fatal(err)
				}
				losses := r.Losses()
				for i := range losses {
					if losses[i].Cause == "" {
						t.Errorf("loss %+v has no cause", losses[i])
					}
					losses[i].Cause = ""
				}
				if !slices.Equal(losses, tt.losses) {
					t.Errorf("losses %+v, want %+v (frame 50 has %d octets)", losses, tt.losses, length(50))
				}
				sameFrames(t, got, want)
				var octets int64
				for _, l := range tt.losses {
					octets += l.To - l.From
				}
				if f := r.Facts(); f.LostOctets != octets || f.Losses != uint64(len(tt.losses)) {
					t.Errorf("facts have %d losses of %d octets, want %d of %d", f.Losses, f.LostOctets, len(tt.losses), octets)
				}
				if tt.losses != nil {
					if _, _, err := readAll(t, Config{}, content); err == nil {
						t.Error("without Salvage there was no error")
					}
				}
			})
		}
	}
}

func offsetsOf(t testing.TB, content []byte) (n int, offsets []int64) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(content), "x")
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for r.Next(&f) == nil {
		offsets = append(offsets, r.Offset())
		n++
	}
	return n, offsets
}

func TestLossString(t *testing.T) {
	for _, tt := range []struct {
		name string
		loss Loss
		want string
	}{
		{"resumed", Loss{From: 1177, To: 1233, After: 5, Resumed: true, Cause: "captured length 70000 is above the snaplen"},
			"octets 1177 to 1233 lost after packet 5: captured length 70000 is above the snaplen"},
		{"to the end", Loss{From: 24, To: 90, Cause: "no record follows"},
			"octets 24 to 90 lost after packet 0: no record follows; reading ended there"},
		{"stream broke", Loss{From: 24, To: -1, After: 1, Cause: "gzip: invalid checksum"},
			"octets 24 to an unknown end lost after packet 1: gzip: invalid checksum; reading ended there"},
	} {
		if got := tt.loss.String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestSalvageOfABrokenCompression(t *testing.T) {
	frames := someFrames(5, 2000, 1)
	stored := gzipped(t, write(t, WriterConfig{}, frames))
	got, r, err := readAll(t, Config{Salvage: true}, stored[:len(stored)/2])
	if err != nil {
		t.Fatal(err)
	}
	losses := r.Losses()
	if len(got) == 0 || len(got) >= len(frames) || len(losses) != 1 || losses[0].To != -1 || losses[0].Resumed ||
		!strings.Contains(losses[0].Cause, "gzip") {
		t.Errorf("%d frames, losses %+v", len(got), losses)
	}
}

func TestSalvageStopsAtACaptureOfAnotherKind(t *testing.T) {
	first := write(t, WriterConfig{}, someFrames(1, 10, 1))
	for name, second := range map[string][]byte{
		"link type":  write(t, WriterConfig{Link: parse.LinkRaw}, someFrames(1, 10, parse.LinkRaw)),
		"resolution": write(t, WriterConfig{Nano: true}, someFrames(1, 10, 1)),
		"byte order": swapBytes(first),
	} {
		got, _, err := readAll(t, Config{Salvage: true}, append(bytes.Clone(first), second...))
		if fe := new(FormatError); !errors.As(err, &fe) || fe.Offset != int64(len(first)) || len(got) != 10 {
			t.Errorf("another %s: %d frames, %v", name, len(got), err)
		}
	}
	got, r, err := readAll(t, Config{Salvage: true}, append(bytes.Clone(first), first...))
	if err != nil || len(got) != 20 || r.Facts().LostOctets != pcapHeaderLen {
		t.Errorf("the same kind: %d frames, %v", len(got), err)
	}
}

func TestSalvageCountsWhatItDoesNotList(t *testing.T) {
	n := newNG(binary.LittleEndian)
	n.section().iface(1, 0)
	for range lossesKept + 500 {
		n.packet(9, 1, []byte("undeclared")).packet(0, 1, []byte("good"))
	}
	got, r, err := readAll(t, Config{Salvage: true}, n.b)
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Facts(); len(got) != lossesKept+500 || f.Losses != lossesKept+500 || len(r.Losses()) != lossesKept ||
		f.LostOctets != (lossesKept+500)*(epbMin+12) {
		t.Errorf("%d frames, %d losses of %d octets, %d listed", len(got), f.Losses, f.LostOctets, len(r.Losses()))
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	frames := someFrames(2, 5000, 1)
	for _, container := range []string{Pcap, PcapNG} {
		content := write(t, WriterConfig{Container: container}, frames)
		for name, stored := range map[string][]byte{"plain": content, "zstd": zstded(t, content)} {
			r, err := Config{Block: 16 << 10}.NewReader(bytes.NewReader(stored), "x")
			if err != nil {
				t.Fatal(err)
			}
			var f parse.Frame
			for range 200 {
				if err := r.Next(&f); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(4000, func() {
				if err := r.Next(&f); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s %s: %v allocations a frame", container, name, n)
			}
		}
		w, err := NewWriter(io.Discard, WriterConfig{Container: container})
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(5000, func() {
			if err := w.WriteFrame(&frames[7]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a frame written", container, n)
		}
	}
}

func TestCloseEndsReading(t *testing.T) {
	r, err := NewReader(bytes.NewReader(write(t, WriterConfig{}, someFrames(1, 3, 1))), "x")
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var f parse.Frame
	if err := r.Next(&f); err == nil || err == io.EOF {
		t.Errorf("Next after Close: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestAStreamThatGivesNothingEnds(t *testing.T) {
	if _, err := NewReader(stuck{}, "x"); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error %v", err)
	}
}

func FuzzReader(f *testing.F) {
	frames := someFrames(9, 12, 1)
	for i := range frames {
		frames[i].Data = frames[i].Data[:min(len(frames[i].Data), 40)]
	}
	for _, cfg := range []WriterConfig{{}, {Nano: true}, {Container: PcapNG}, {Snaplen: 30}} {
		content := write(f, cfg, frames)
		f.Add(content)
		f.Add(swapBytes(content))
		f.Add(content[:len(content)-5])
		f.Add(gzipped(f, content))
		f.Add(zstded(f, content))
		broken := bytes.Clone(content)
		copy(broken[len(broken)/2:], "\xff\xff\xff\xff\xff\xff\xff\xff")
		f.Add(broken)
	}
	n := newNG(binary.BigEndian)
	n.section(n.option(1, 'a', 'b')...).iface(1, 0, n.option(optTSResol, 0x85)...).packet(0, 77, []byte("x")).
		block(blockSPB, []byte{0, 0, 0, 4, 1, 2, 3, 4}).block(blockPB, make([]byte, 24)).section()
	f.Add(n.b)
	f.Fuzz(func(t *testing.T, content []byte) {
		plain := len(content) > 3 && compressionOf(content) == compressNone
		for _, cfg := range []Config{{Block: 4096}, {Block: 4096, Salvage: true}} {
			r, err := cfg.NewReader(bytes.NewReader(content), "fuzz")
			if err != nil {
				var fe *FormatError
				if !errors.As(err, &fe) {
					t.Fatalf("error %v is no *FormatError", err)
				}
				continue
			}
			var fr parse.Frame
			var octets, packets int64
			last := int64(-1)
			for {
				if err = r.Next(&fr); err != nil {
					break
				}
				octets += int64(len(fr.Data))
				packets++
				if r.Offset() <= last {
					t.Fatalf("record at offset %d after one at %d", r.Offset(), last)
				}
				last = r.Offset()
				if fr.WireLen < 0 {
					t.Fatalf("wire length %d", fr.WireLen)
				}
			}
			facts := r.Facts()
			if plain && (octets+16*packets+facts.LostOctets > int64(len(content)) || len(r.buf) > max(4096, 4*len(content))) {
				t.Fatalf("%d frames of %d octets and %d lost, buffer %d, from %d octets",
					packets, octets, facts.LostOctets, len(r.buf), len(content))
			}
			if again := r.Next(&fr); again != err {
				t.Fatalf("Next ended with %v, then %v", err, again)
			}
			var fe *FormatError
			if err != io.EOF && !errors.As(err, &fe) {
				t.Fatalf("error %v is no *FormatError", err)
			}
			if cfg.Salvage && err != io.EOF && !strings.Contains(err.Error(), "second capture") {
				t.Fatalf("salvage of octets that can all be read ended with %v", err)
			}
			r.Close()
		}
	})
}

func TestLyingZstdWindowIsBounded(t *testing.T) {
	content := write(t, WriterConfig{}, someFrames(1, 3, 1))
	for _, tt := range []struct {
		name   string
		window byte // descriptor of RFC 8878 section 3.1.1.1.2
		ok     bool
	}{{"128 MiB", 17 << 3, true}, {"256 MiB", 18 << 3, false}, {"3.75 TiB", 0xff, false}} {
		t.Run(tt.name, func(t *testing.T) {
			stored := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, tt.window}
			block := uint32(len(content))<<3 | 1 // raw, last
			stored = append(stored, byte(block), byte(block>>8), byte(block>>16))
			stored = append(stored, content...)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			frames, _, err := readAll(t, Config{}, stored)
			runtime.ReadMemStats(&after)
			if tt.ok != (err == nil) || tt.ok != (len(frames) == 3) {
				t.Errorf("%d frames, %v", len(frames), err)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > zstdWindow+2<<20 {
				t.Errorf("%d octets of content allocated %d", len(stored), took)
			}
		})
	}
}

func TestSeekRecord(t *testing.T) {
	frames := someFrames(1, 40, parse.LinkEthernet)
	n := len(frames)
	content := write(t, WriterConfig{}, frames)
	r, err := Config{Block: 4 << 10}.NewReader(bytes.NewReader(content), "x")
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	var offsets []int64
	for r.Next(&f) == nil {
		offsets = append(offsets, r.Offset())
	}
	if len(offsets) != n {
		t.Fatalf("%d frames", len(offsets))
	}
	for _, at := range []int{n - 1, 0, 17} { // also after the end, and backwards
		if err := r.SeekRecord(offsets[at], uint64(at)); err != nil {
			t.Fatal(err)
		}
		for i := at; i < n; i++ {
			if err := r.Next(&f); err != nil || !bytes.Equal(f.Data, frames[i].Data) || r.Packets() != uint64(i+1) || r.Offset() != offsets[i] {
				t.Fatalf("from %d: frame %d: %v, packet %d at %d", at, i, err, r.Packets(), r.Offset())
			}
		}
		if err := r.Next(&f); err != io.EOF {
			t.Errorf("from %d: %v", at, err)
		}
	}
	if err := r.SeekRecord(offsets[3]+1, 3); err != nil { // no record begins there
		t.Fatal(err)
	}
	if err := r.Next(&f); err == nil || !strings.Contains(err.Error(), "record 4") && !strings.Contains(err.Error(), "packet 4") {
		t.Errorf("%v", err)
	}
	if err := r.SeekRecord(pcapHeaderLen-1, 0); err == nil {
		t.Error("into the header")
	}
	for name, r := range map[string]io.Reader{
		"pcapng": bytes.NewReader(write(t, WriterConfig{Container: PcapNG}, frames)), "gzip": bytes.NewReader(gzipped(t, content)), "a stream": iotest.DataErrReader(bytes.NewReader(content)),
	} {
		r, err := NewReader(r, "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SeekRecord(offsets[3], 3); err == nil || !strings.Contains(err.Error(), "x: only a classic pcap") {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Next(&f); err != nil || !bytes.Equal(f.Data, frames[0].Data) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.SeekRecord(offsets[3], 3); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := r.SeekRecord(offsets[3], 3); err == nil {
		t.Error("after Close")
	}
}
