package datasets

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// timedCapture writes a capture with a frame at each time, as the ending of the name says: .pcap, .pcapng, and .gz or .zst behind.
// Frames hold mark, their number in the capture and a payload.
func timedCapture(t testing.TB, path string, mark byte, times []int64) string {
	t.Helper()
	var plain bytes.Buffer
	cfg := pcapio.WriterConfig{Nano: true}
	if strings.Contains(path, ".pcapng") {
		cfg.Container = pcapio.PcapNG
	}
	w, err := pcapio.NewWriter(&plain, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for i, ns := range times {
		d := append([]byte{mark}, binary.BigEndian.AppendUint32(nil, uint32(i))...)
		d = append(d, make([]byte, 20+(7*i+int(mark))%60)...)
		if err := w.WriteFrame(&parse.Frame{UnixNano: ns, Data: d, WireLen: len(d) + i%3, Link: parse.LinkEthernet}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	var stored bytes.Buffer
	switch filepath.Ext(path) {
	case ".gz":
		z := gzip.NewWriter(&stored)
		if _, err := z.Write(plain.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	case ".zst":
		z, err := zstd.NewWriter(&stored)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(plain.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	default:
		stored = plain
	}
	if err := os.WriteFile(path, stored.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// got is a frame that a source gave.
type got struct {
	mark   byte
	number int // in its capture
	ns     int64
	wire   int
}

func readFrame(f *parse.Frame) got {
	return got{f.Data[0], int(binary.BigEndian.Uint32(f.Data[1:])), f.UnixNano, f.WireLen}
}

// readAll reads a source up to its end, at most limit frames.
func readAll(t testing.TB, src interface{ Next(*parse.Frame) error }, limit int) (all []got, err error) {
	t.Helper()
	var f parse.Frame
	for len(all) < limit {
		if err := src.Next(&f); err != nil {
			return all, err
		}
		all = append(all, readFrame(&f))
	}
	return all, nil
}

func openSeries(t testing.TB, paths []string, cfg SeriesConfig) *Series {
	t.Helper()
	s, err := OpenSeries(paths, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// model says what a source over captures with frames at these times gives, from the words of SeriesConfig alone.
func model(captures [][]int64, merge, asCaptured bool, loops int) []got {
	var pass []got
	var last []int64 // of the last capture that had frames, as moved
	for c, times := range captures {
		move := int64(0)
		if len(times) > 0 && len(last) > 0 && !merge && !asCaptured {
			low, high := slices.Min(last), slices.Max(last)
			move = high - times[0]
			if len(last) > 1 {
				move += (high - low) / int64(len(last)-1)
			}
		}
		var moved []int64
		for i, ns := range times {
			moved = append(moved, ns+move)
			pass = append(pass, got{byte(c), i, ns + move, 1 + 4 + 20 + (7*i+c)%60 + i%3})
		}
		if len(moved) > 0 {
			last = moved
		}
	}
	if merge {
		keys := make(map[[2]int]int64)
		for c, times := range captures {
			for i := range times {
				keys[[2]int{c, i}] = slices.Max(times[:i+1])
			}
		}
		slices.SortStableFunc(pass, func(a, b got) int {
			return cmp.Or(cmp.Compare(keys[[2]int{int(a.mark), a.number}], keys[[2]int{int(b.mark), b.number}]), cmp.Compare(a.mark, b.mark))
		})
	}
	var period int64
	if len(pass) > 1 && !asCaptured {
		byTime := func(a, b got) int { return cmp.Compare(a.ns, b.ns) }
		period = slices.MaxFunc(pass, byTime).ns - slices.MinFunc(pass, byTime).ns
		period += period / int64(len(pass)-1)
	}
	var all []got
	for p := range loops {
		for _, g := range pass {
			g.ns += int64(p) * period
			all = append(all, g)
		}
	}
	return all
}

// randomTimes are times that go on and stand still, and back where wild.
func randomTimes(rng *rand.Rand, n int, wild bool) []int64 {
	ns := int64(1_600_000_000_000_000_000) + rng.Int64N(1000)
	var times []int64
	for range n {
		ns += rng.Int64N(4) * rng.Int64N(200)
		if wild && rng.IntN(5) == 0 {
			ns -= rng.Int64N(2000)
		}
		times = append(times, ns)
	}
	return times
}

func TestSeriesAgainstItsWords(t *testing.T) {
	endings := []string{".pcap", ".pcapng", ".pcap.gz", ".pcap.zst", ".pcapng.zst", ".pcapng.gz"}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		count := 1 + rng.IntN(6)
		if seed == 0 {
			count = 64
		}
		var paths []string
		var captures [][]int64
		dir := t.TempDir()
		for c := range count {
			captures = append(captures, randomTimes(rng, rng.IntN(60)*rng.IntN(2), seed%2 == 0))
			paths = append(paths, timedCapture(t, fmt.Sprintf("%s/%d%s", dir, c, endings[rng.IntN(len(endings))]), byte(c), captures[c]))
		}
		for _, merge := range []bool{false, true} {
			for _, asCaptured := range []bool{false, true} {
				for _, loops := range []int{1, 3} {
					t.Run(fmt.Sprintf("seed %d/merge %v/as captured %v/loops %d", seed, merge, asCaptured, loops), func(t *testing.T) {
						want := model(captures, merge, asCaptured, loops)
						s := openSeries(t, paths, SeriesConfig{Merge: merge, AsCaptured: asCaptured, Loops: loops})
						var f parse.Frame
						for i, w := range want {
							if err := s.Next(&f); err != nil {
								t.Fatalf("frame %d of %d: %v", i, len(want), err)
							}
							if g := readFrame(&f); g != w {
								t.Fatalf("frame %d is %+v, want %+v", i, g, w)
							}
							pass := len(want) / loops
							if s.Loop() != i/pass || s.Position() != uint64(i%pass+1) || s.File() != int(w.mark) {
								t.Fatalf("frame %d: pass %d, position %d, file %d", i, s.Loop(), s.Position(), s.File())
							}
						}
						for range 2 {
							if err := s.Next(&f); err != io.EOF {
								t.Fatalf("after the end: %v", err)
							}
						}
					})
				}
			}
		}
	}
}

// TestLoadIsASeries compares captures in memory with captures that are read while they are given.
func TestLoadIsASeries(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var paths []string
		dir := t.TempDir()
		for c := range 1 + rng.IntN(5) {
			paths = append(paths, timedCapture(t, fmt.Sprintf("%s/%d.pcap", dir, c), byte(c), randomTimes(rng, rng.IntN(40), seed%2 == 0)))
		}
		for _, merge := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d/merge %v", seed, merge), func(t *testing.T) {
				frames, facts, err := Load(context.Background(), paths, LoadConfig{OpenConfig: OpenConfig{Hash: true}, Merge: merge, Continue: !merge})
				if err != nil {
					t.Fatal(err)
				}
				defer frames.Close()
				var told []FileFacts
				s := openSeries(t, paths, SeriesConfig{OpenConfig: OpenConfig{Hash: true}, Merge: merge, Loops: 3, Ended: func(f FileFacts) { told = append(told, f) }})
				want, err := readAll(t, frames.Source(0, frames.Len(), 3, true), 1<<20)
				if err != io.EOF {
					t.Fatal(err)
				}
				if all, err := readAll(t, s, 1<<20); err != io.EOF || !slices.Equal(all, want) {
					t.Errorf("%d frames, %d in memory, or others (%v)", len(all), len(want), err)
				}
				if len(told) != len(paths) || len(facts) != len(paths) {
					t.Fatalf("facts of %d and %d files, want %d", len(told), len(facts), len(paths))
				}
				for i := range told {
					if told[i].File != paths[i] || told[i].Packets != facts[i].Packets || told[i].Octets != facts[i].Octets || facts[i].SHA256 == "" ||
						told[i].WireOctets != facts[i].WireOctets || told[i].StoredOctets != facts[i].StoredOctets {
						t.Errorf("facts %+v, of loading %+v", told[i], facts[i])
					}
				}
			})
		}
	}
}

func TestLoadMergedLimits(t *testing.T) {
	dir := t.TempDir()
	paths := []string{timedCapture(t, dir+"/a.pcap", 0, []int64{10, 30, 50}), timedCapture(t, dir+"/b.pcap", 1, []int64{20, 40})}
	frames, facts, err := Load(context.Background(), paths, LoadConfig{Merge: true, Packets: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	if frames.Len() != 3 || !facts[0].Partial || !facts[1].Partial {
		t.Errorf("%d frames, facts %+v", frames.Len(), facts)
	}
	big := timedCapture(t, dir+"/big.pcap", 0, make([]int64, 3000))
	if _, _, err := Load(context.Background(), []string{paths[0], big}, LoadConfig{Merge: true, MemoryLimit: 1}); !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "big.pcap") {
		t.Errorf("error %v, want that memory is full", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Load(ctx, paths, LoadConfig{Merge: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v of a cancelled load", err)
	}
}

// TestMergeAsMergecap compares with another program, on captures without steps back.
func TestMergeAsMergecap(t *testing.T) {
	if _, err := exec.LookPath("mergecap"); err != nil {
		t.Skip("mergecap is not installed")
	}
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(4, 4))
	var paths []string
	for c := range 7 {
		times := randomTimes(rng, 200, false)
		for i := range times { // no ties between captures: mergecap does not say what it does with them
			times[i] = times[i]&^7 + int64(c)
		}
		paths = append(paths, timedCapture(t, fmt.Sprintf("%s/%d.pcap", dir, c), byte(c), times))
	}
	merged := dir + "/merged.pcap"
	if out, err := exec.Command("mergecap", append([]string{"-F", "nsecpcap", "-w", merged}, paths...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want, err := readAll(t, openSeries(t, []string{merged}, SeriesConfig{Loops: 1}), 1<<20)
	if err != io.EOF || len(want) != 1400 {
		t.Fatalf("%d frames of mergecap: %v", len(want), err)
	}
	if all, err := readAll(t, openSeries(t, paths, SeriesConfig{Loops: 1, Merge: true}), 1<<20); err != io.EOF || !slices.Equal(all, want) {
		t.Errorf("%d frames in another order than mergecap's (%v)", len(all), err)
	}
}

func TestSeriesWithDamage(t *testing.T) {
	dir := t.TempDir()
	good := timedCapture(t, dir+"/good.pcap", 0, []int64{100, 300, 500, 700})
	bad := timedCapture(t, dir+"/bad.pcap", 1, []int64{200, 400, 600})
	whole, err := os.ReadFile(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, whole[:len(whole)-3], 0o644); err != nil { // in the third frame
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		paths []string
		cfg   SeriesConfig
		want  string // marks and numbers
	}{
		{"one after another", []string{good, bad, good}, SeriesConfig{Loops: 2}, "00 01 02 03 10 11"},
		{"the first", []string{bad, good}, SeriesConfig{}, "10 11"},
		{"merged", []string{good, bad}, SeriesConfig{Merge: true}, "00 10 01 11"},
		{"merged, the first", []string{bad, good, good}, SeriesConfig{Merge: true, Loops: 1}, "00 00 10 01 01 11"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var told []string
			tt.cfg.Ended = func(f FileFacts) { told = append(told, fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Packets)) }
			s, err := OpenSeries(tt.paths, tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			var f parse.Frame
			for err = s.Next(&f); err == nil; err = s.Next(&f) {
				texts = append(texts, fmt.Sprintf("%d%d", f.Data[0], f.Data[4]))
			}
			damage := new(pcapio.FormatError)
			if strings.Join(texts, " ") != tt.want {
				t.Errorf("frames %v, want %s", texts, tt.want)
			}
			if !errors.As(err, &damage) || damage.Packet != 3 || damage.Name != bad {
				t.Errorf("error %v, want damage of record 3 of %s", err, bad)
			}
			if again := s.Next(&f); again != err {
				t.Errorf("then %v", again)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if !slices.Contains(told, "bad.pcap:2") {
				t.Errorf("told %v", told)
			}
		})
	}
}

func TestOpenSeriesRefuses(t *testing.T) {
	dir := t.TempDir()
	good := timedCapture(t, dir+"/good.pcap", 0, []int64{1, 2})
	text := dir + "/notes.pcap"
	if err := os.WriteFile(text, []byte("not a capture at all, only words"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		paths []string
		cfg   SeriesConfig
		want  string
	}{
		{"nothing", nil, SeriesConfig{}, "no captures"},
		{"negative loops", []string{good}, SeriesConfig{Loops: -1}, "-1 passes"},
		{"a missing file at the end", []string{good, dir + "/none.pcap"}, SeriesConfig{Loops: 1}, "none.pcap"},
		{"no capture at the end", []string{good, text}, SeriesConfig{Loops: 1}, "notes.pcap"},
		{"no capture among merged ones", []string{good, text}, SeriesConfig{Loops: 1, Merge: true}, "notes.pcap"},
		{"a folder", []string{good, dir}, SeriesConfig{Loops: 1}, "is a directory"},
		{"standard input again and again", []string{"-"}, SeriesConfig{}, "-K"},
		{"standard input twice", []string{good, "-"}, SeriesConfig{Loops: 2}, "-K"},
		{"standard input in two places", []string{"-", good, "-"}, SeriesConfig{Loops: 1}, "once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Stdin = strings.NewReader("")
			s, err := OpenSeries(tt.paths, tt.cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestSeriesOutlivesWildTimes holds that time does not turn round where one frame of a capture has a wild one.
func TestSeriesOutlivesWildTimes(t *testing.T) {
	const now = 1_790_000_000_000_000_000
	dir := t.TempDir()
	paths := []string{timedCapture(t, dir+"/a.pcap", 1, []int64{0, now}), timedCapture(t, dir+"/b.pcap", 2, []int64{0, now})}
	for n := 1; n <= len(paths); n++ {
		all, err := readAll(t, openSeries(t, paths[:n], SeriesConfig{Loops: 9}), 1000)
		if err != io.EOF || len(all) != 2*n*9 {
			t.Fatalf("%d frames, %v", len(all), err)
		}
		for i := 1; i < len(all); i++ {
			if all[i].ns < all[i-1].ns {
				t.Errorf("%d captures: frame %d at %d, after one at %d", n, i+1, all[i].ns, all[i-1].ns)
			}
		}
	}
	for _, tt := range []struct {
		name        string
		first, last int64
		period      int64
	}{
		{"as usual", 10, 20, 20},
		{"before 1970", -10, 20, 60},
		{"a gap too many", 0, 1 << 62, math.MaxInt64},
		{"too far apart", -now * 3, now * 4, math.MaxInt64},
		{"all that there is", math.MinInt64, math.MaxInt64, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s span
			s.add(tt.first)
			s.add(tt.last)
			if s.period() != tt.period || s.gap() < 0 {
				t.Errorf("period %d, gap %d, want %d", s.period(), s.gap(), tt.period)
			}
		})
	}
}

func TestSeriesOfStandardInput(t *testing.T) {
	dir := t.TempDir()
	paths := []string{timedCapture(t, dir+"/a.pcap", 0, []int64{10, 20}), "-", timedCapture(t, dir+"/c.pcap", 2, []int64{5, 6})}
	in, err := os.ReadFile(timedCapture(t, dir+"/b.pcap", 1, []int64{11, 12}))
	if err != nil {
		t.Fatal(err)
	}
	for _, merge := range []bool{false, true} {
		s := openSeries(t, paths, SeriesConfig{Loops: 1, Merge: merge, OpenConfig: OpenConfig{Stdin: bytes.NewReader(in)}})
		want := model([][]int64{{10, 20}, {11, 12}, {5, 6}}, merge, false, 1)
		if all, err := readAll(t, s, 100); err != io.EOF || !slices.Equal(all, want) {
			t.Errorf("merge %v: %v, want %v (%v)", merge, all, want, err)
		}
	}
}

func TestSeriesWithoutFramesEnds(t *testing.T) {
	empty := timedCapture(t, t.TempDir()+"/empty.pcap", 0, nil)
	for _, merge := range []bool{false, true} {
		s := openSeries(t, []string{empty, empty}, SeriesConfig{Merge: merge})
		if err := s.Next(new(parse.Frame)); err != io.EOF {
			t.Errorf("merge %v: %v", merge, err)
		}
	}
}

func TestSeriesClosesFilesAndAllocatesNothing(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(8, 8))
	var paths []string
	for c := range 8 {
		paths = append(paths, timedCapture(t, fmt.Sprintf("%s/%d.pcap", dir, c), byte(c), randomTimes(rng, 3000, true)))
	}
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("/proc/self/fd is not there: " + err.Error())
		}
		return len(entries)
	}
	before := open()
	for _, merge := range []bool{false, true} {
		s, err := OpenSeries(paths, SeriesConfig{Merge: merge, Loops: 3})
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		if n := testing.AllocsPerRun(2000, func() { _ = s.Next(&f) }); n != 0 {
			t.Errorf("merge %v: %v allocations a frame", merge, n)
		}
		if _, err := readAll(t, s, 1<<30); err != io.EOF {
			t.Fatal(err)
		}
		if n := open(); n != before {
			t.Errorf("merge %v: %d files open at the end, %d before", merge, n, before)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		half, err := OpenSeries(paths, SeriesConfig{Merge: merge})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readAll(t, half, 10); err != nil {
			t.Fatal(err)
		}
		if err := half.Close(); err != nil {
			t.Error(err)
		}
		if err := half.Next(&f); err == nil {
			t.Error("a closed series gave a frame")
		}
		if n := open(); n != before {
			t.Errorf("merge %v: %d files open after Close, %d before", merge, n, before)
		}
	}
}

func BenchmarkSeries(b *testing.B) {
	dir := b.TempDir()
	rng := rand.New(rand.NewPCG(9, 9))
	for _, files := range []int{1, 2, 8, 64} {
		var paths []string
		for c := range files {
			paths = append(paths, timedCapture(b, fmt.Sprintf("%s/%d-%d.pcap", dir, files, c), byte(c), randomTimes(rng, 200_000/files, false)))
		}
		for _, merge := range []bool{false, true} {
			b.Run(fmt.Sprintf("files %d/merge %v", files, merge), func(b *testing.B) {
				s := openSeries(b, paths, SeriesConfig{Merge: merge})
				var f parse.Frame
				for b.Loop() {
					if err := s.Next(&f); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
