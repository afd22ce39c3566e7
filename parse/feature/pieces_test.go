package feature_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// TestPieceEnds checks the rule of tcpdump -C 10: a piece ends before the record that finds it above 10,000,000 octets.
func TestPieceEnds(t *testing.T) {
	const size = 1000
	for _, c := range []struct {
		name    string
		snaplen uint32
		record  int
	}{
		{"whole frames", 0, 16 + size},
		{"snaplen above", size, 16 + size},
		{"snaplen below", 84, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The first frame fills the piece up to 10,000,000 octets or one more.
			for _, over := range []int{0, 1} {
				dec := feature.NewDecoder(feature.DecoderConfig{As: feature.AsReleased, Snaplen: c.snaplen})
				var r feature.Row
				filled := 24
				frame := eth(0x0806, make([]byte, size-14))
				piece := 0
				for i := range 2 * feature.PieceOctets / c.record {
					f := frameOf(int64(i+1)*1e9+999, frame)
					if i == 0 { // so that later records end where they should
						f.Data = f.Data[:14+(feature.PieceOctets+over-24-16-14)%c.record]
					}
					o, newPiece := dec.Decode(&f, nil, &r)
					if o != feature.MadeRow {
						t.Fatal(o)
					}
					if filled > feature.PieceOctets {
						piece++
						filled = 24
					} else if newPiece {
						t.Fatalf("frame %d: another piece after %d octets", i, filled)
					}
					if dec.Piece() != uint64(piece) {
						t.Fatalf("frame %d: piece %d, want %d (%d octets)", i, dec.Piece(), piece, filled)
					}
					octets := len(f.Data)
					if c.snaplen > 0 {
						octets = min(octets, int(c.snaplen))
					}
					if r.Size != uint32(octets) || r.Nano%1000 != 0 {
						t.Fatalf("frame %d: %d octets at %d", i, r.Size, r.Nano)
					}
					if newPiece && r.IAT != 0 || !newPiece && i > 0 && r.IAT != 1 {
						t.Fatalf("frame %d: IAT %v, new piece %v", i, r.IAT, newPiece)
					}
					filled += 16 + octets
				}
				if piece == 0 {
					t.Error("one piece")
				}
			}
		})
	}
}

// TestPieceWindows checks that a window ends with its piece, also where the frame that begins another gives no row.
func TestPieceWindows(t *testing.T) {
	arpFrame, skipped := eth(0x0806, make([]byte, 4_999_950)), eth(0x88cc, make([]byte, 5_000_100))
	frames := []parse.Frame{
		frameOf(1e9, arpFrame), frameOf(2e9, arpFrame), frameOf(3e9, arpFrame), // 15 MB in the first
		frameOf(4e9, skipped), frameOf(5e9, arpFrame), frameOf(6e9, skipped),
		frameOf(7e9, arpFrame), frameOf(9e9, arpFrame),
	}
	for _, span := range []feature.Span{{Rows: 10}, {Rows: 1}, {Time: 1 << 50}} {
		for _, as := range []feature.As{feature.AsPipeline, feature.AsReleased, feature.AsExtractor, feature.AsFixed} {
			var got []float64
			x, err := feature.New(feature.Config{DecoderConfig: feature.DecoderConfig{As: as}, Span: span})
			if err != nil {
				t.Fatal(err)
			}
			for i := range frames {
				if x.Add(&frames[i], &parse.Packet{Layers: parse.LayerARP}) {
					got = append(got, x.Vector().Values[feature.Number])
				}
			}
			if x.Flush() {
				got = append(got, x.Vector().Values[feature.Number])
			}
			want := "[3 1 1 1]"
			switch {
			case span.Rows == 1 && as == feature.AsFixed:
				want = "[1 1 1 1 1 1 1 1]"
			case span.Rows == 1:
				want = "[1 1 1 1 1 1]"
			case as == feature.AsExtractor:
				want = "[6]"
			case as == feature.AsFixed:
				want = "[8]"
			}
			if fmt.Sprint(got) != want {
				t.Errorf("as %v, span %+v: rows %v, want %s", as, span, got, want)
			}
		}
	}
}

// TestTcpdumpPieces compares with tcpdump itself: which packets are in which piece, their octets and times, and then the
// vectors of its pieces with those of the capture that it cut.
func TestTcpdumpPieces(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("no tcpdump")
	}
	for _, c := range []struct {
		name      string
		container container
		size      int // of most frames
	}{
		{"micro", container{order: binary.LittleEndian}, 1500},
		{"nano, big-endian", container{order: binary.BigEndian, nano: true}, 1200},
		{"nano, snaplen", container{order: binary.LittleEndian, nano: true, snaplen: 700}, 1500},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newMaker(21)
			most := c.size
			if c.container.snaplen > 0 {
				most = int(c.container.snaplen)
			}
			frames := g.timedFrames(29_000_000/(most*3/5), c.container, times[0].next, times[0].start, true)
			for i := range frames {
				if g.one(2) || len(frames[i].data) > 1500 {
					frames[i].data = eth(0x0800, ip4(17, udpHeader(g.port(), g.port(), 0), make([]byte, c.size-42)))
				}
			}
			capture := c.container.capture(frames)
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in.pcap"), filepath.Join(dir, "piece")
			if err := os.WriteFile(in, capture, 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"-r", in, "-w", out, "-C", "10"}
			if os.Geteuid() == 0 {
				args = append(args, "-Z", "root")
			}
			if text, err := exec.Command(tcpdump, args...).CombinedOutput(); err != nil {
				t.Skipf("tcpdump: %v: %s", err, text)
			}

			r, err := pcapio.NewReader(bytes.NewReader(capture), "capture")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cfg := feature.DecoderConfig{As: feature.AsPipeline, Clock: clockOf(r), Snaplen: r.Described().Snaplen}
			x, err := feature.New(feature.Config{DecoderConfig: cfg})
			if err != nil {
				t.Fatal(err)
			}
			dec := feature.NewDecoder(cfg)
			var packets []int
			var ours []byte
			var f parse.Frame
			for {
				if err := r.Next(&f); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				dec.Decode(&f, nil, new(feature.Row))
				if int(dec.Piece()) == len(packets) {
					packets = append(packets, 0)
				}
				packets[dec.Piece()]++
				if x.Add(&f, nil) {
					ours = append(vectorio.AppendCSV(ours, x.Vector()), '\n')
				}
			}
			if x.Flush() {
				ours = append(vectorio.AppendCSV(ours, x.Vector()), '\n')
			}

			var theirs []byte
			for i := 0; ; i++ {
				name := out
				if i > 0 {
					name += fmt.Sprint(i)
				}
				piece, err := os.ReadFile(name)
				if errors.Is(err, os.ErrNotExist) {
					if i != len(packets) || i < 3 {
						t.Errorf("tcpdump wrote %d pieces, here %d", i, len(packets))
					}
					break
				} else if err != nil {
					t.Fatal(err)
				}
				e := extract(t, piece, feature.Config{})
				if n := int(e.counts.Frames()); i >= len(packets) || n != packets[i] {
					t.Fatalf("piece %d: %d packets, here %v", i, n, packets)
				}
				_, lines, _ := bytes.Cut(e.csv, []byte("\n"))
				theirs = append(theirs, lines...)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("vectors differ: %d octets, of tcpdump's pieces %d", len(ours), len(theirs))
			}
			t.Logf("%d octets, packets of the pieces %v", len(capture), packets)
		})
	}
}
