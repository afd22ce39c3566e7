package manifest

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pcaplab/parse"
)

// both describes the same octets by the walk, where it takes them, and by a pcapio.Reader.
func both(content []byte, short bool) (walked, read File) {
	ctx := context.Background()
	describe := func(fn func(f *File, in *input) error) File {
		f := File{Path: "x.pcap"}
		in := newInput()
		var done atomic.Int64
		var src interface{ Read([]byte) (int, error) } = bytes.NewReader(content)
		if short {
			src = &shortReads{rest: content, rnd: rand.New(rand.NewPCG(1, uint64(len(content))))}
		}
		in.start(ctx, src, false, &done)
		if err := fn(&f, in); err != nil {
			f.Error = fault(err)
		}
		in.end()
		return f
	}
	walked = describe(func(f *File, in *input) error { return f.read(ctx, in, Config{}) })
	read = describe(func(f *File, in *input) error { return f.frames(ctx, in, Config{}) })
	return walked, read
}

// shortReads gives few octets at a time, so that records lie across blocks in every way.
type shortReads struct {
	rest []byte
	rnd  *rand.Rand
}

func (s *shortReads) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return bytes.NewReader(nil).Read(p)
	}
	most := 70
	if s.rnd.IntN(4) == 0 {
		most = 3000
	}
	if len(s.rest) > 0 && cap(s.rest) > 0 && len(p) >= fileHeaderLen && s.rnd.IntN(2) == 0 {
		most += fileHeaderLen
	}
	n := copy(p, s.rest[:min(len(s.rest), fileHeaderLen+s.rnd.IntN(most))])
	s.rest = s.rest[n:]
	return n, nil
}

// odd writes a classic pcap in which everything odd comes up.
func odd(rnd *rand.Rand, records int, order binary.AppendByteOrder, magic, snaplen, link uint32) []byte {
	b := order.AppendUint32(nil, magic)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, snaplen)
	b = order.AppendUint32(b, link)
	sec := uint32(1_660_000_000)
	kinds := []uint16{0x0800, 0x0806, 0x86dd, 0x0802, 0x0600, 0x9000, 38}
	for range records {
		n := rnd.IntN(120)
		switch rnd.IntN(12) {
		case 0:
			n = rnd.IntN(16)
		case 1:
			n = 1500 + rnd.IntN(30)
		case 2:
			n = rnd.IntN(9000)
		}
		frac := rnd.Uint32N(1_000_000)
		wire := uint32(n)
		at := sec
		switch rnd.IntN(40) {
		case 0:
			at -= rnd.Uint32N(1000)
		case 1:
			at = 0
		case 2:
			frac = rnd.Uint32()
		case 3:
			wire += rnd.Uint32N(100)
		case 4:
			wire = rnd.Uint32N(uint32(n) + 1)
		case 5:
			sec += rnd.Uint32N(100)
		case 6:
			at = 0xffffffff
		}
		b = order.AppendUint32(b, at)
		b = order.AppendUint32(b, frac)
		b = order.AppendUint32(b, uint32(n))
		b = order.AppendUint32(b, wire)
		from := len(b)
		for range n {
			b = append(b, byte(rnd.Uint32()))
		}
		if n >= 14 {
			binary.BigEndian.PutUint16(b[from+12:], kinds[rnd.IntN(len(kinds))])
		}
	}
	return b
}

func TestWalkIsTheReader(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	snaplens, links := []uint32{0, 10, 96, 1514, 65535, 262144, 1 << 20, 1 << 30, 0xffffffff}, []uint32{1, 1 | 0x14000000, 101}
	if testing.Short() {
		snaplens, links = []uint32{0, 96, 262144}, links[:2]
	}
	compare := func(what string, content []byte, short bool) {
		t.Helper()
		if walked, read := both(content, short); !reflect.DeepEqual(walked, read) {
			t.Fatalf("%s, %d octets, short reads %v: the walk finds\n%+v %+v\nand the reader\n%+v %+v", what, len(content), short, walked, walked.Error, read, read.Error)
		}
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, magic := range []uint32{magicMicro, magicNano} {
			for _, snaplen := range snaplens {
				for _, link := range links {
					content := odd(rnd, 40, order, magic, snaplen, link)
					compare("odd", content, false)
					compare("odd", content, true)
					for range 10 { // cut, changed, or both
						x := bytes.Clone(content)
						if rnd.IntN(2) == 0 {
							x = x[:rnd.IntN(len(x)+1)]
						}
						if len(x) > 0 && rnd.IntN(2) == 0 {
							x[rnd.IntN(len(x))] = byte(rnd.Uint32())
						}
						compare("damaged", x, rnd.IntN(2) == 0)
					}
				}
			}
		}
	}
	content := odd(rnd, 3, binary.LittleEndian, magicMicro, 262144, 1)
	for end := range len(content) {
		compare("cut", content[:end], false)
		compare("cut", content[:end], true)
	}
	two := append(bytes.Clone(content), content...)
	compare("two files", two, false)
}

// A large one has pieces, and records across the blocks as they are read from a file.
func TestWalkIsTheReaderOverPieces(t *testing.T) {
	records := 120_000
	if testing.Short() {
		records = 30_000
	}
	for _, snaplen := range []uint32{262144, 1000} {
		content := odd(rand.New(rand.NewPCG(5, 6)), records, binary.LittleEndian, magicMicro, snaplen, 1)
		walked, read := both(content, false)
		if !reflect.DeepEqual(walked, read) {
			t.Fatalf("the walk finds\n%+v\nand the reader\n%+v", walked, read)
		}
		if len(walked.Index) < 2 && !testing.Short() {
			t.Errorf("snaplen %d: %d entries for %d octets", snaplen, len(walked.Index), len(content))
		}
	}
}

func TestWalkOfTheCorpusIsTheReader(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: the captures with independent truth are not there")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	plain := 0
	for _, e := range entries {
		if !strings.Contains(e.Name(), ".pcap") {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if isPlain(content) {
			plain++
		}
		for _, short := range []bool{false, true} {
			if walked, read := both(content, short); !reflect.DeepEqual(walked, read) {
				t.Errorf("%s: the walk finds\n%+v %+v\nand the reader\n%+v %+v", e.Name(), walked, walked.Error, read, read.Error)
			}
		}
	}
	if plain < 20 {
		t.Errorf("only %d captures for the walk", plain)
	}
}

func FuzzWalk(f *testing.F) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		content := odd(rnd, 5, order, magicMicro, 262144, 1)
		f.Add(content, true)
		f.Add(content[:len(content)-3], false)
		f.Add(append(bytes.Clone(content), content...), false)
	}
	f.Fuzz(func(t *testing.T, content []byte, short bool) {
		if walked, read := both(content, short); !reflect.DeepEqual(walked, read) {
			t.Errorf("the walk finds\n%+v %+v\nand the reader\n%+v %+v", walked, walked.Error, read, read.Error)
		}
	})
}

// The walk and the counting of frames allocate for the index only.
func TestCountingAllocatesNothing(t *testing.T) {
	content := odd(rand.New(rand.NewPCG(9, 9)), 2000, binary.LittleEndian, magicMicro, 262144, 1)
	facts, err := headerFacts(content[:fileHeaderLen], "x")
	if err != nil {
		t.Fatal(err)
	}
	padded := append(bytes.Clone(content), make([]byte, walkMargin)...)
	w := newWalk(facts)
	w.index = make([]Entry, 0, 1)
	if n := testing.AllocsPerRun(20, func() {
		kept := w.index[:0]
		*w = walk{swap: w.swap, ethernet: w.ethernet, nano: w.nano, units: w.units, limit: w.limit, snaplen: w.snaplen, fast: w.fast, offset: fileHeaderLen, index: kept}
		w.block(padded[fileHeaderLen:], len(content)-fileHeaderLen, walkMargin)
	}); n != 0 {
		t.Errorf("a walk over %d records allocates %v times", w.packets, n)
	}
	if w.packets < 1900 {
		t.Errorf("%d packets", w.packets)
	}
	fr := frames{index: make([]Entry, 0, 1)}
	frame := parse.Frame{Data: make([]byte, 60), WireLen: 60, Link: parse.LinkEthernet}
	if n := testing.AllocsPerRun(1000, func() { fr.frame(&frame, 24, 0, true) }); n != 0 {
		t.Errorf("a frame allocates %v times", n)
	}
}

func TestScanTellsWhatItHasSoFar(t *testing.T) {
	defer func(before time.Duration) { keepEvery = before }(keepEvery)
	keepEvery = 0
	dir := t.TempDir()
	for i := range 9 {
		content := odd(rand.New(rand.NewPCG(1, uint64(i))), 20, binary.LittleEndian, magicMicro, 262144, 1)
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".pcap"), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var told []*Manifest
	whole, err := Scan(context.Background(), dir, Config{Hash: true, Keep: func(m *Manifest) { told = append(told, m) }})
	if err != nil || len(told) == 0 || len(whole.Files) != 9 {
		t.Fatalf("told %d times, %v", len(told), err)
	}
	for _, m := range told {
		if m.Complete {
			t.Error("complete before the end")
		}
		for i := range m.Files {
			if f := whole.Find(m.Files[i].Path); f == nil || !reflect.DeepEqual(*f, m.Files[i]) {
				t.Errorf("%+v, want %+v", m.Files[i], f)
			}
		}
	}
}

// A manifest can be written whatever time a file has.
func TestTimesThatJSONCannotSay(t *testing.T) {
	for _, at := range []time.Time{time.Date(292277026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(5, 6),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200))} {
		stored := storable(at)
		text, err := stored.MarshalJSON()
		if err != nil || stored.IsZero() {
			t.Errorf("%v: %s, %v", at, text, err)
		}
		if at.Year() == 1970 && !stored.Equal(at) || !storable(stored).Equal(stored) {
			t.Errorf("%v is stored as %v", at, stored)
		}
	}
}

// What could not be read before, and cannot be now, is no match.
func TestCompareOfWhatCannotBeRead(t *testing.T) {
	for _, kind := range []string{FaultRead, FaultChanged} {
		f := File{Path: "x", Error: &Fault{Kind: kind, Text: "x: why"}}
		got := ""
		f.compare(&f, func(what, want, is string) { got += what + " " + is })
		if got != "unreadable why" {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

func TestReportOfLossesWithoutOne(t *testing.T) {
	m := Manifest{Files: []File{{Path: "x", Lost: 3, LostOctets: 9}}}
	if r := m.Report(); len(r.Findings) != 1 || r.Findings[0].Kind != FoundLosses || !strings.Contains(r.Findings[0].Text, "3 parts") {
		t.Errorf("%+v", r.Findings)
	}
}
