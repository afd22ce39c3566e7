package mix

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

const begin = 1_660_000_000_000_000_000

// writeCapture writes frames, compressed and contained as the name says.
func writeCapture(t testing.TB, path string, nano bool, frames []parse.Frame) {
	t.Helper()
	container := pcapio.Pcap
	if strings.Contains(path, ".pcapng") {
		container = pcapio.PcapNG
	}
	var b bytes.Buffer
	z, err := compressor(&b, compressionOf(path))
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapio.NewWriter(z, pcapio.WriterConfig{Container: container, Nano: nano})
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := w.WriteFrame(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close(), os.WriteFile(path, b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
}

// readCapture reads all frames.
func readCapture(t testing.TB, path string) []parse.Frame {
	t.Helper()
	c, err := datasets.Open(path, datasets.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var frames []parse.Frame
	for {
		var f parse.Frame
		if err := c.Next(&f); err == io.EOF {
			return frames
		} else if err != nil {
			t.Fatal(err)
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

func readTruth(t testing.TB, path string) []truth.Packet {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := truth.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var packets []truth.Packet
	for {
		p, err := r.Next()
		if err == io.EOF {
			return packets
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		packets = append(packets, p)
	}
}

// identity is what the octets of a frame say of it: class and number in the class.
func identity(f *parse.Frame) (class, number int) {
	return int(binary.BigEndian.Uint32(f.Data)), int(binary.BigEndian.Uint32(f.Data[4:]))
}

// frameOf makes a frame that says what it is.
func frameOf(class, number, length int, ns int64) parse.Frame {
	data := make([]byte, length)
	random := rng(number)
	for i := 0; i+8 <= length; i += 8 {
		binary.BigEndian.PutUint64(data[i:], random.next())
	}
	binary.BigEndian.PutUint32(data, uint32(class))
	binary.BigEndian.PutUint32(data[4:], uint32(number))
	return parse.Frame{UnixNano: ns, Data: data, WireLen: length, Link: parse.LinkEthernet}
}

// world is classes of different sizes, in files of all kinds, some with steps back in time.
type world struct {
	inputs []Input
	frames [][]parse.Frame
}

func makeWorld(t testing.TB, classes, most int, seed uint64) *world {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 34))
	dir := t.TempDir()
	w := &world{}
	for c := range classes {
		n := 1 + random.IntN(most)
		if c == 0 {
			n = most
		}
		at := begin + int64(random.IntN(1e9))*1000
		var frames []parse.Frame
		for i := range n {
			at += int64(random.IntN(2_000)) * 1000
			if random.IntN(50) == 0 {
				at -= int64(random.IntN(3_000)) * 1000
			}
			frames = append(frames, frameOf(c, i, 8+random.IntN(1500), at))
		}
		w.frames = append(w.frames, frames)
		in := Input{Class: fmt.Sprintf("Class-%d", c), Share: uint64(1 + random.IntN(20))}
		for piece := 0; len(frames) > 0; piece++ {
			n := min(len(frames), most/4+random.IntN(most))
			ending := []string{"pcapng", "pcap.gz", "pcap.zst", "pcap", "pcap", "pcap", "pcap", "pcap"}[random.IntN(8)]
			path := filepath.Join(dir, fmt.Sprintf("c%d_%d.%s", c, piece, ending))
			writeCapture(t, path, random.IntN(2) == 0, frames[:n])
			in.Files = append(in.Files, path)
			frames = frames[n:]
		}
		w.inputs = append(w.inputs, in)
	}
	return w
}

// Mixing 34 classes of different sizes keeps every order, and loses and doubles nothing, however it is mixed; the truth leads to the very
// packets; and by shares, no prefix is further from them than one packet, or one longest frame.
func TestMixtureKeepsOrderAndLosesNothing(t *testing.T) {
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		w := makeWorld(t, 34, 80, seed)
		sources := map[string][]parse.Frame{}
		for _, in := range w.inputs {
			for _, path := range in.Files {
				sources[path] = readCapture(t, path)
			}
		}
		for i, cfg := range []Config{
			{}, {Until: Shortest}, {Times: Captured}, {PPS: 777}, {MaxGap: time.Millisecond}, {Packets: 1000}, {Size: 100_000},
			{Duration: 50 * time.Millisecond},
			{By: Packets}, {By: Packets, Until: Longest}, {By: Packets, Until: Longest, PPS: 3}, {By: Packets, Packets: 33},
			{By: Octets}, {By: Octets, Until: Longest}, {By: Octets, Until: Longest, Times: Captured},
			{By: Turns}, {By: Turns, Until: Longest},
			{By: Packets, Shuffle: true}, {By: Packets, Shuffle: true, Until: Longest}, {By: Octets, Shuffle: true, Until: Longest, Packets: 2000},
		} {
			cfg.Seed = seed
			name := []string{"mixed.pcap", "mixed.pcapng", "mixed.pcap.gz", "mixed.pcapng.zst"}[(i+int(seed))%4]
			path := filepath.Join(t.TempDir(), name)
			s, err := File(t.Context(), path, "", cfg, w.inputs)
			if err != nil {
				t.Fatalf("seed %d: %+v: %v", seed, cfg, err)
			}
			got, labels := readCapture(t, path), readTruth(t, path+truth.Suffix)
			if err := w.check(s, got, labels, sources); err != nil {
				t.Errorf("seed %d: %+v: %v", seed, cfg, err)
			}
		}
	}
}

func (w *world) check(s *Summary, got []parse.Frame, labels []truth.Packet, sources map[string][]parse.Frame) error {
	if len(got) != len(labels) || uint64(len(got)) != s.Written {
		return fmt.Errorf("%d packets, %d in the truth, %d in the summary", len(got), len(labels), s.Written)
	}
	next := make([]int, len(w.frames))
	for i := range got {
		f, l := &got[i], labels[i]
		c, n := identity(f)
		if n != next[c] {
			return fmt.Errorf("packet %d is number %d of class %d, want %d", i, n, c, next[c])
		}
		next[c]++
		want := &w.frames[c][n]
		if !bytes.Equal(f.Data, want.Data) || f.WireLen != want.WireLen || f.Link != want.Link {
			return fmt.Errorf("packet %d is not what it was", i)
		}
		if origin := sources[l.Source][l.Number-1]; l.Class != w.inputs[c].Class || !bytes.Equal(origin.Data, f.Data) {
			return fmt.Errorf("packet %d: the truth is %+v", i, l)
		}
		if s.Times == Captured && f.UnixNano != want.UnixNano {
			return fmt.Errorf("packet %d: time %d, want %d", i, f.UnixNano, want.UnixNano)
		}
		if i > 0 && s.By != Time && s.Times == Rebased && f.UnixNano < got[i-1].UnixNano {
			return fmt.Errorf("packet %d: time steps back", i)
		}
	}
	whole := 0
	for c, cs := range s.Classes {
		if int(cs.Packets) != next[c] || !cs.OrderKept || cs.Whole != (next[c] == len(w.frames[c])) {
			return fmt.Errorf("class %d: %d packets of %d; summary %+v", c, next[c], len(w.frames[c]), cs)
		}
		if cs.Whole {
			whole++
		}
	}
	limited := s.Config.Packets > 0 || s.Size > 0 || s.Duration > 0
	switch {
	case !limited && s.Until == Longest && (whole != len(w.frames) || s.Ended != "classes"):
		return fmt.Errorf("%d classes are whole; %s", whole, s.Ended)
	case !limited && s.Until == Shortest && (whole != 1 || s.Ended != Shortest):
		return fmt.Errorf("%d classes are whole; %s", whole, s.Ended)
	case s.Config.Packets > 0 && s.Written != s.Config.Packets && s.Ended == "packets", s.Size > 0 && s.CaptureOctets > s.Size:
		return fmt.Errorf("%d packets, %d octets", s.Written, s.CaptureOctets)
	}
	if s.By == Time {
		return w.checkMerge(s, got)
	}
	if !s.Shuffle {
		return w.checkShares(s, got)
	}
	return nil
}

// checkMerge checks that a packet stands behind a later one only if its own class has a later one before it.
func (w *world) checkMerge(s *Summary, got []parse.Frame) error {
	if s.Times == Spread {
		return nil
	}
	latest := int64(0)
	mine := map[int]int64{}
	for i := range got {
		c, _ := identity(&got[i])
		at := got[i].UnixNano
		if at < latest && at >= mine[c] {
			return fmt.Errorf("packet %d of class %d is late: %d after %d", i, c, at, latest)
		}
		latest, mine[c] = max(latest, at), max(mine[c], at)
	}
	return nil
}

// checkShares computes shares of every prefix with whole numbers, anew whenever a class has ended.
func (w *world) checkShares(s *Summary, got []parse.Frame) error {
	ended := map[uint64]bool{}
	for _, c := range s.Classes {
		ended[c.EndedAfter] = c.EndedAfter > 0
	}
	sent := make([]int64, len(w.frames))
	all, longest := int64(0), int64(1)
	total := func() (sum int64) {
		for c, in := range w.inputs {
			if sent[c] >= 0 {
				sum += int64(in.Share)
			}
		}
		return sum
	}
	weight := total()
	if s.By == Octets {
		for _, frames := range w.frames {
			for i := range frames {
				longest = max(longest, int64(len(frames[i].Data)))
			}
		}
	}
	if s.By == Turns {
		longest = 2_000_000 // of makeWorld
	}
	for i := range got {
		c, _ := identity(&got[i])
		cost := int64(1)
		switch s.By {
		case Octets:
			cost = int64(len(got[i].Data))
		case Turns:
			cost = got[i].UnixNano - got[max(i-1, 0)].UnixNano
		}
		sent[c] += cost
		all += cost
		for c, in := range w.inputs {
			if sent[c] < 0 {
				continue
			}
			if off := sent[c]*weight - all*int64(in.Share); off > longest*weight || off < -longest*weight {
				return fmt.Errorf("after %d packets class %d has %d of %d, and its share is %d of %d", i+1, c, sent[c], all, in.Share, weight)
			}
		}
		if ended[uint64(i+1)] {
			for c := range sent {
				if sent[c] >= 0 {
					sent[c] = 0
				}
				if s.Classes[c].EndedAfter == uint64(i+1) {
					sent[c] = -1
				}
			}
			all, weight = 0, total()
		}
	}
	return nil
}

// Merging in order of time is what mergecap does.
func TestMergeIsThatOfMergecap(t *testing.T) {
	mergecap, err := exec.LookPath("mergecap")
	if err != nil {
		t.Skip("mergecap is not installed")
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	times := random.Perm(3000) // all different
	var inputs []Input
	var args []string
	for c := range 6 {
		mine := slices.Sorted(slices.Values(times[c*500 : c*500+500]))
		if c == 0 { // so that the common start is that of this class
			mine[0] = -1
		}
		var frames []parse.Frame
		for i, at := range mine {
			frames = append(frames, frameOf(c, i, 60+random.IntN(100), begin+int64(at)*1000))
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.pcap", c))
		writeCapture(t, path, false, frames)
		inputs = append(inputs, Input{Class: fmt.Sprint(c), Files: []string{path}, Offset: time.Duration(mine[0]+1) * time.Microsecond})
		args = append(args, path)
	}
	theirs := filepath.Join(dir, "theirs.pcap")
	if out, err := exec.Command(mergecap, append([]string{"-F", "pcap", "-w", theirs}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := readCapture(t, theirs)
	for _, times := range []string{Captured, Rebased} {
		classes := slices.Clone(inputs)
		if times == Captured {
			for i := range classes {
				classes[i].Offset = 0
			}
		}
		ours := filepath.Join(dir, times+".pcap")
		if _, err := File(t.Context(), ours, "", Config{Times: times}, classes); err != nil {
			t.Fatal(err)
		}
		got := readCapture(t, ours)
		if len(got) != 3000 || !slices.EqualFunc(got, want, func(a, b parse.Frame) bool {
			return bytes.Equal(a.Data, b.Data) && a.UnixNano == b.UnixNano && a.WireLen == b.WireLen
		}) {
			t.Errorf("%s: not the frames of mergecap", times)
		}
	}
}

// By lot, shares are right in the long run, of packets as of octets, and every seed gives another order.
func TestShuffledSharesAreRight(t *testing.T) {
	for _, by := range []string{Packets, Octets} {
		s := scheduler{order: byTicket, ticket: 1, random: 7, lanes: []lane{
			{live: true, weight: 1, cost: 1}, {live: true, weight: 4, cost: 1}, {live: true, weight: 5, cost: 1}, {weight: 9},
		}, weight: 10}
		lengths := []uint64{1514, 60, 300, 1}
		if by == Octets {
			s.ticket = 64
		}
		var sent [4]uint64
		all := uint64(0)
		for range 200_000 {
			for i := range s.lanes {
				if by == Octets {
					s.lanes[i].cost = lengths[i]
				}
			}
			i := s.pick()
			sent[i] += s.lanes[i].cost
			all += s.lanes[i].cost
			s.sentBy(i)
		}
		for i, want := range []float64{0.1, 0.4, 0.5, 0} {
			if got := float64(sent[i]) / float64(all); got < want-0.01 || got > want+0.01 {
				t.Errorf("by %s: class %d has %v, want %v", by, i, got, want)
			}
		}
	}
}

// checkSchedule runs the exact scheduler over any costs and weights and checks the bound at every prefix.
func checkSchedule(weights, costs []uint64) error {
	s := scheduler{order: byShare, lanes: make([]lane, len(weights))}
	longest := uint64(0)
	for i, w := range weights {
		s.lanes[i] = lane{live: true, weight: w, cost: costs[i%len(costs)]}
		s.weight += w
	}
	longest = slices.Max(costs)
	for n := range 300 {
		i := s.pick()
		if i < 0 {
			return fmt.Errorf("step %d: none", n)
		}
		s.sentBy(i)
		s.lanes[i].cost = costs[(n*7+i)%len(costs)]
		for j := range s.lanes {
			off := int64(s.lanes[j].sent*s.weight) - int64(s.sent*s.lanes[j].weight)
			if bound := int64(longest * s.weight); off > bound || off < -bound {
				return fmt.Errorf("step %d: lane %d has %d of %d, its weight is %d of %d", n, j, s.lanes[j].sent, s.sent, s.lanes[j].weight, s.weight)
			}
		}
	}
	return nil
}

func FuzzSharesAreWithinOnePacket(f *testing.F) {
	f.Add([]byte{1, 1}, []byte{1})
	f.Add([]byte{255, 1, 1, 1, 1, 1, 1, 1, 1}, []byte{1})
	f.Add([]byte{3, 1, 200, 17, 17, 17}, []byte{60, 255, 0, 9, 31})
	f.Fuzz(func(t *testing.T, weights, costs []byte) {
		if len(weights) == 0 || len(costs) == 0 || len(weights) > 100 {
			return
		}
		var w, c []uint64
		for _, b := range weights {
			w = append(w, uint64(b)+1)
		}
		for _, b := range costs {
			c = append(c, uint64(b))
		}
		if err := checkSchedule(w, c); err != nil {
			t.Error(err)
		}
	})
}

// Shares that differ by nine orders of magnitude do not overflow.
func TestSharesOfAnySize(t *testing.T) {
	s := scheduler{order: byShare, lanes: []lane{{live: true, weight: 1 << 61, cost: 1}, {live: true, weight: 1, cost: 1}}, weight: 1<<61 + 1}
	got := 0
	for range 10_000 {
		i := s.pick()
		got += i
		s.sentBy(i)
	}
	if got > 1 {
		t.Errorf("the rare class came %d times", got)
	}
	s = scheduler{order: byShare, lanes: []lane{{live: true, weight: 1, cost: maxCost}, {live: true, weight: 1, cost: maxCost}}, weight: 2}
	got = 0
	for range 10_000 { // more than 2^64 in all
		i := s.pick()
		got += i
		s.sentBy(i)
	}
	if got < 4980 || got > 5020 { // 19 times anew
		t.Errorf("the second class came %d times of 10,000", got)
	}
}

func TestSchedulerAllocatesNothing(t *testing.T) {
	for _, o := range []order{byTime, byShare, byTicket} {
		s := scheduler{order: o, ticket: 64, lanes: make([]lane, 34)}
		for i := range s.lanes {
			s.lanes[i] = lane{live: true, weight: uint64(i + 1), cost: 1000}
			s.weight += uint64(i + 1)
		}
		if n := testing.AllocsPerRun(1000, func() {
			i := s.pick()
			s.sentBy(i)
			s.lanes[i].key += 1000
		}); n != 0 {
			t.Errorf("order %d: %v allocations a packet", o, n)
		}
	}
}

// What a mixture allocates does not depend on how many packets it has.
func TestMixtureAllocatesNothingPerPacket(t *testing.T) {
	dir := t.TempDir()
	allocs := func(n int) float64 {
		var frames []parse.Frame
		for i := range n {
			frames = append(frames, frameOf(0, i, 100, begin+int64(i)*1000))
		}
		path := filepath.Join(dir, fmt.Sprint(n)+".pcap")
		writeCapture(t, path, false, frames)
		inputs := []Input{{Class: "a", Share: 1, Files: []string{path}}}
		return testing.AllocsPerRun(3, func() {
			if _, err := Stream(t.Context(), io.Discard, filepath.Join(dir, "truth"), Config{By: Packets}, inputs); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocs(100), allocs(20_000); many > few+2000 {
		t.Errorf("%v allocations with 100 packets, %v with 20,000", few, many)
	}
}

func TestClock(t *testing.T) {
	type step struct {
		ns   int64
		file int
		want int64
	}
	for _, tt := range []struct {
		name  string
		clock clock
		steps []step
		want  counts
	}{
		{"rebased", clock{begin: 100}, []step{{5000, 0, 100}, {5010, 0, 110}, {5005, 0, 105}, {5020, 0, 120}}, counts{backSteps: 1}},
		{"no time at first", clock{begin: 100}, []step{{0, 0, 100}, {5000, 0, 100}, {0, 0, 100}, {5001, 0, 101}}, counts{noTime: 2}},
		{"pieces of a capture go on", clock{begin: 0}, []step{{1000, 0, 0}, {2000, 0, 1000}, {1990, 1, 990}, {2500, 1, 1500}}, counts{backSteps: 1}},
		{"a capture of its own is moved", clock{begin: 0}, []step{{1000, 0, 0}, {2000, 0, 1000}, {1100, 1, 2000}, {1200, 1, 2100}}, counts{filesMoved: 1}},
		{"a gap is cut", clock{begin: 7, maxGap: 50}, []step{{1000, 0, 7}, {1010, 0, 17}, {9000, 0, 67}, {9001, 0, 68}}, counts{gapsCut: 1}},
		{"to and fro over a gap", clock{begin: 0, maxGap: 10}, []step{{5000, 0, 0}, {5001, 0, 1}, {9000, 0, 11}, {5002, 0, 2}, {5003, 0, 3}, {9001, 0, 12},
			{5004, 0, 4}}, counts{gapsCut: 2, backSteps: 2}},
		{"back over a gap, late", clock{begin: 0, maxGap: 10}, []step{{5000, 0, 0}, {9000, 0, 10}, {9010, 0, 20}, {9020, 0, 30}, {5001, 0, 30}, {5002, 0, 31}},
			counts{gapsCut: 2}},
		{"before 1970", clock{begin: 5}, []step{{1000, 0, 5}, {990, 0, 0}, {1001, 0, 6}}, counts{backSteps: 1, clamped: 1}},
		{"as captured", clock{captured: true}, []step{{1000, 0, 1000}, {0, 0, 0}, {900, 1, 900}}, counts{backSteps: 1, noTime: 1}},
		{"wild times", clock{begin: 5}, []step{{1 << 62, 0, 5}, {-1 << 62, 0, 0}, {1<<63 - 1, 0, 1<<62 + 4}}, counts{backSteps: 1, clamped: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.clock
			for i, s := range tt.steps {
				if got := c.at(s.ns, s.ns != 0, s.file); got != s.want {
					t.Errorf("step %d: %d, want %d", i, got, s.want)
				}
			}
			if c.counts != tt.want {
				t.Errorf("counted %+v, want %+v", c.counts, tt.want)
			}
		})
	}
}

// The same seed gives the same octets on every machine.
func TestPinned(t *testing.T) {
	t.Chdir(t.TempDir())
	var random rng = 3
	var inputs []Input
	for c := range 5 {
		var frames []parse.Frame
		at := int64(begin)
		for i := range 200 {
			at += int64(random.below(1e6)) * 1000
			frames = append(frames, frameOf(c, i, 60+int(random.below(1000)), at))
		}
		path := fmt.Sprintf("%d.pcap", c)
		writeCapture(t, path, false, frames)
		inputs = append(inputs, Input{Class: fmt.Sprint(c), Share: uint64(c + 1), Files: []string{path}})
	}
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "fa2313d02ec8f332"},
		{Config{By: Packets}, "ad6b7ccbabfa0119"},
		{Config{By: Turns}, "8122254f9daeaa53"},
		{Config{By: Octets, PPS: 7}, "ea998f1c363435c1"},
		{Config{By: Packets, Shuffle: true, Seed: 5}, "a523016910b181d9"},
		{Config{By: Octets, Shuffle: true, Seed: 5, PPS: 1e6}, "209c31fb2469dd43"},
	} {
		if _, err := File(t.Context(), "out.pcap", "", tt.cfg, inputs); err != nil {
			t.Fatal(err)
		}
		if got := sum(t, "out.pcap", "out.pcap.truth.csv"); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.cfg, got, tt.want)
		}
	}
	for _, tt := range []struct{ method, want string }{{Head, "7b8d128609b7648c"}, {Stride, "106d0ba659a50b97"}, {Reservoir, "07386fec10c3feda"}} {
		if _, err := Sample(t.Context(), tt.method, SampleConfig{Method: tt.method, PerClass: 30_000, Block: 7, Seed: 9}, inputs, nil); err != nil {
			t.Fatal(err)
		}
		if got := sum(t, tt.method+"/0/0.pcap", tt.method+"/4/4.pcap", tt.method+"/4/4.pcap.truth.csv"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.method, got, tt.want)
		}
	}
}

func sum(t *testing.T, paths ...string) string {
	t.Helper()
	h := sha256.New()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// two makes two small classes in a folder of their own.
func two(t *testing.T) (dir string, inputs []Input) {
	t.Helper()
	dir = t.TempDir()
	for c := range 2 {
		var frames []parse.Frame
		for i := range 9000 {
			frames = append(frames, frameOf(c, i, 100, begin+int64(i)*1000))
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.pcap", c))
		writeCapture(t, path, false, frames)
		inputs = append(inputs, Input{Class: fmt.Sprint(c), Share: 1, Files: []string{path}})
	}
	return dir, inputs
}

type writerFunc func(p []byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

var errFull = errors.New("no space left")

// Whatever ends a mixture early leaves nothing behind.
func TestNothingHalfMadeIsLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		under func(cancel func(), w io.Writer) io.Writer
		want  error
	}{
		{"cancelled", func(cancel func(), w io.Writer) io.Writer {
			return writerFunc(func(p []byte) (int, error) { cancel(); return w.Write(p) })
		}, context.Canceled},
		{"disk full", func(_ func(), w io.Writer) io.Writer {
			left := 300_000
			return writerFunc(func(p []byte) (int, error) {
				if left -= len(p); left < 0 {
					return 0, errFull
				}
				return w.Write(p)
			})
		}, errFull},
		{"short writes", func(_ func(), w io.Writer) io.Writer {
			return writerFunc(func(p []byte) (int, error) { return w.Write(p[:len(p)/2]) })
		}, io.ErrShortWrite},
	} {
		for _, name := range []string{"out.pcap", "out.pcapng.zst", "out.pcap.gz"} {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				_, inputs := two(t)
				dir := t.TempDir()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				cfg := Config{By: Packets, under: func(w io.Writer) io.Writer { return tt.under(cancel, w) }}
				_, err := File(ctx, filepath.Join(dir, name), "", cfg, inputs)
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
				if entries, _ := os.ReadDir(dir); err != nil && len(entries) > 0 {
					t.Errorf("left: %v", entries)
				}
			})
		}
	}
}

func TestStreamToAFullDevice(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	_, inputs := two(t)
	dir := t.TempDir()
	if _, err := Stream(t.Context(), full, filepath.Join(dir, "truth"), Config{}, inputs); err == nil || !strings.Contains(err.Error(), "space") {
		t.Errorf("%v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

// A capture that is cut gives what is before the cut, its class goes on with the next, and the summary names it.
func TestDamage(t *testing.T) {
	dir, inputs := two(t)
	cut := filepath.Join(dir, "cut.pcap")
	text, err := os.ReadFile(inputs[0].Files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, text[:24+116*50+30], 0o666); err != nil {
		t.Fatal(err)
	}
	inputs[0].Files = []string{cut, inputs[0].Files[0]}
	s, err := File(t.Context(), filepath.Join(dir, "out.pcap"), "", Config{}, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Faults) != 1 || s.Faults[0].File != cut || s.Faults[0].Packets != 50 || !strings.Contains(s.Faults[0].Error, "cut.pcap") ||
		s.Classes[0].Packets != 9050 {
		t.Errorf("faults %+v, classes %+v", s.Faults, s.Classes)
	}
	junk := filepath.Join(dir, "junk.pcap")
	if err := os.WriteFile(junk, []byte("no capture at all, but text"), 0o666); err != nil {
		t.Fatal(err)
	}
	inputs[1].Files = append(inputs[1].Files, junk)
	if _, err := File(t.Context(), filepath.Join(dir, "out.pcap"), "", Config{}, inputs); err == nil || !strings.Contains(err.Error(), junk) {
		t.Errorf("no capture: %v", err)
	}
	s, err = File(t.Context(), filepath.Join(dir, "out.pcap"), "", Config{Salvage: true}, inputs)
	if err != nil || len(s.Faults) != 0 || len(s.Losses) != 1 || len(s.Skipped) != 1 || s.Written != 18_050 {
		t.Errorf("salvage: %v: %+v", err, s)
	}
}

func TestWhatIsRefused(t *testing.T) {
	dir, inputs := two(t)
	empty := filepath.Join(dir, "empty.pcap")
	writeCapture(t, empty, false, nil)
	raw := filepath.Join(dir, "raw.pcapng")
	writeCapture(t, raw, false, []parse.Frame{{UnixNano: begin, Data: make([]byte, 30), WireLen: 30, Link: parse.LinkRaw}})
	a, b := inputs[0], inputs[1]
	for _, tt := range []struct {
		name, out string
		cfg       Config
		inputs    []Input
		want      string
	}{
		{"nothing", "out.pcap", Config{}, nil, "no captures"},
		{"a class twice", "out.pcap", Config{}, []Input{a, a}, "twice"},
		{"a capture twice", "out.pcap", Config{}, []Input{a, {Class: "x", Files: []string{dir + "/./0.pcap"}}}, "twice"},
		{"no share", "out.pcap", Config{By: Octets}, []Input{a, {Class: "x", Files: b.Files}}, "above 0"},
		{"unknown order", "out.pcap", Config{By: "size"}, inputs, "want time, packets, octets, turns"},
		{"unknown times", "out.pcap", Config{Times: "never"}, inputs, "rebased"},
		{"no rate", "out.pcap", Config{Times: Spread}, inputs, "rate"},
		{"a rate too much", "out.pcap", Config{Times: Captured, PPS: 4}, inputs, "rate"},
		{"shuffled time", "out.pcap", Config{Shuffle: true}, inputs, "shuffle"},
		{"shuffled turns", "out.pcap", Config{By: Turns, Shuffle: true}, inputs, "shuffle"},
		{"turns of other times", "out.pcap", Config{By: Turns, Times: Captured}, inputs, "times"},
		{"an offset of shares", "out.pcap", Config{By: Packets}, []Input{{Class: "a", Share: 1, Files: a.Files, Offset: 1}}, "offset"},
		{"over an input", "0.pcap", Config{}, inputs, "is read"},
		{"over the truth of an input", "0.pcap.truth.csv", Config{}, inputs, "another capture"},
		{"an empty class", "out.pcap", Config{By: Packets}, []Input{a, {Class: "e", Share: 1, Files: []string{empty}}}, "empty.pcap"},
		{"no such file", "out.pcap", Config{}, []Input{a, {Class: "e", Files: []string{filepath.Join(dir, "none.pcap")}}}, "none.pcap"},
		{"two link types in a pcap", "out.pcap", Config{}, []Input{a, {Class: "r", Files: []string{raw}}}, "write pcapng"},
		{"a folder", "", Config{}, inputs, "not a regular file"},
		{"no folder", "none/out.pcap", Config{}, inputs, "none"},
		{"standard input twice", "out.pcap", Config{}, []Input{{Class: "a", Files: []string{"-", "-"}}}, "once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "over the truth of an input" {
				if err := os.WriteFile(filepath.Join(dir, tt.out), nil, 0o666); err != nil {
					t.Fatal(err)
				}
				defer os.Remove(filepath.Join(dir, tt.out))
			}
			if _, err := File(t.Context(), filepath.Join(dir, tt.out), "", tt.cfg, tt.inputs); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	entries, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if outs, _ := filepath.Glob(filepath.Join(dir, "out*")); len(entries)+len(outs) > 0 {
		t.Errorf("left: %v %v", entries, outs)
	}
	several := []Input{a, {Class: "r", Files: []string{raw}}, {Class: "e", Files: []string{empty}}}
	s, err := File(t.Context(), filepath.Join(dir, "out.pcapng"), "", Config{}, several)
	if err != nil || s.Written != 9001 || s.Classes[2].Packets != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// The size that is counted is that of the file.
func TestCaptureOctets(t *testing.T) {
	w := makeWorld(t, 3, 50, 4)
	for _, name := range []string{"out.pcap", "out.pcapng"} {
		path := filepath.Join(t.TempDir(), name)
		s, err := File(t.Context(), path, "", Config{Size: 20_000}, w.inputs)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != s.CaptureOctets || s.Ended != "size" || s.CaptureOctets < 18_000 {
			t.Errorf("%s: %v, %v, counted %d", s.Ended, info.Size(), err, s.CaptureOctets)
		}
	}
}

// Truth beside a capture goes into the mixture's; one that is not of the capture is an error.
func TestTruthOfInputs(t *testing.T) {
	dir, inputs := two(t)
	label := func(n int) {
		file, err := os.Create(inputs[1].Files[0] + truth.Suffix)
		if err != nil {
			t.Fatal(err)
		}
		w := truth.NewWriter(file)
		for i := range n {
			if err := w.Add(truth.Packet{Class: "of another name", Attack: truth.Attack(1 + i%2)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	inputs[0].Attack = truth.No
	label(9000)
	out := filepath.Join(dir, "out.pcap")
	s, err := File(t.Context(), out, "", Config{By: Packets, PPS: 100}, inputs)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range readTruth(t, out+truth.Suffix) {
		want := truth.No
		if i%4 == 3 {
			want = truth.Yes
		}
		if p.Attack != want || p.Class != fmt.Sprint(i%2) {
			t.Fatalf("packet %d: %+v", i, p)
		}
	}
	if c := s.Classes; c[0].Benign != 9000 || c[1].Attack+c[1].Benign != c[1].Packets || c[1].Attack != c[1].Packets/2 {
		t.Errorf("%+v", c)
	}
	for _, n := range []int{8999, 9001} {
		label(n)
		if _, err := File(t.Context(), out, "", Config{}, inputs); err == nil || !strings.Contains(err.Error(), "1.pcap.truth.csv is not of") {
			t.Errorf("%d rows of 9000: %v", n, err)
		}
	}
}

// Captures from everywhere mix: every packet that is good comes out as it was.
func TestCorpus(t *testing.T) {
	corpus := os.Getenv("PCAPLAB_CORPUS")
	if corpus == "" {
		t.Skip("PCAPLAB_CORPUS is not set: no captures to mix")
	}
	text, err := os.ReadFile(filepath.Join(corpus, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var inputs []Input
	want := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		if expect := fields[6]; expect == "ok" || strings.HasPrefix(expect, "error-after-") {
			inputs = append(inputs, Input{Class: fields[0], Share: 1, Files: []string{filepath.Join(corpus, fields[0])}})
			want[fields[0]] = fields[5]
		}
	}
	for _, cfg := range []Config{{By: Packets, Until: Longest}, {MaxGap: time.Second}} {
		out := filepath.Join(t.TempDir(), "out.pcapng")
		s, err := File(t.Context(), out, "", cfg, inputs)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range s.Classes {
			if fmt.Sprint(c.Packets) != want[c.Class] {
				t.Errorf("%s: %d packets, want %s", c.Class, c.Packets, want[c.Class])
			}
		}
		sources := map[string][]parse.Frame{}
		labels := readTruth(t, out+truth.Suffix)
		got := readCapture(t, out)
		if len(labels) != len(got) {
			t.Fatalf("%d packets, %d in the truth", len(got), len(labels))
		}
		for i, f := range got {
			l := labels[i]
			if sources[l.Source] == nil {
				sources[l.Source] = readGood(t, l.Source)
			}
			if origin := sources[l.Source][l.Number-1]; !bytes.Equal(f.Data, origin.Data) || f.WireLen != origin.WireLen || f.Link != origin.Link {
				t.Fatalf("packet %d is not what it was in %s: %d octets of %d, link type %d; there %d of %d, %d", i, l.Source, len(f.Data), f.WireLen, f.Link,
					len(origin.Data), origin.WireLen, origin.Link)
			}
		}
	}
}

// readGood reads what is before the damage.
func readGood(t *testing.T, path string) []parse.Frame {
	t.Helper()
	c, err := datasets.Open(path, datasets.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var frames []parse.Frame
	for {
		var f parse.Frame
		if err := c.Next(&f); err != nil {
			return frames
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

func TestNaturalOrder(t *testing.T) {
	want := []string{"a/X.pcap", "a/X (1).pcap", "a/X - 1.pcap", "a/X1.pcap", "a/X2.pcap", "a/X10.pcap", "a/x10.pcap", "a/X10a.pcap", "b/X.pcap", "b/X01.pcap", "b2/X", "b10/X"}
	got := slices.Clone(want)
	slices.Reverse(got)
	SortNatural(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzNaturalOrderIsAnOrder(f *testing.F) {
	f.Add("X1", "X01", "X10")
	f.Add("a.pcap", "a1.pcap", "a (1).pcap")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if datasets.Natural(a, a) != 0 || datasets.Natural(a, b) != -datasets.Natural(b, a) {
			t.Fatalf("%q %q", a, b)
		}
		if datasets.Natural(a, b) <= 0 && datasets.Natural(b, c) <= 0 && datasets.Natural(a, c) > 0 {
			t.Fatalf("%q %q %q", a, b, c)
		}
	})
}

// The truth of a mixture does not become that of another capture, nor goes over something else.
func TestTruthIsOfItsCaptureOnly(t *testing.T) {
	dir, inputs := two(t)
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte("notes"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.pcap")
	for _, path := range []string{inputs[0].Files[0] + truth.Suffix, other, other + truth.Suffix} {
		if _, err := File(t.Context(), out, path, Config{}, inputs); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	for range 2 { // also over itself, with another spelling
		if _, err := File(t.Context(), out, dir+"/./out.pcap"+truth.Suffix, Config{}, inputs); err != nil {
			t.Error(err)
		}
	}
	if _, err := File(t.Context(), out, "", Config{Size: 50}, inputs); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("no room for a packet: %v", err)
	}
	back := filepath.Join(dir, "back.pcap")
	writeCapture(t, back, false, []parse.Frame{frameOf(0, 0, 60, 5e8), frameOf(0, 1, 60, begin), frameOf(0, 2, 60, begin+9000), frameOf(0, 3, 60, begin+5000)})
	s, err := File(t.Context(), out, "", Config{}, []Input{{Class: "a", Files: []string{back}}})
	if err != nil || s.Classes[0].NoTime != 1 || s.LastTime-s.FirstTime != 9000 {
		t.Errorf("%v: %+v", err, s)
	}
}

// A block longer than what is taken of a class is not kept whole.
func TestLongBlocksAreCut(t *testing.T) {
	_, inputs := two(t)
	r, err := newReader(&inputs[0], datasets.OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	s := sampler{reader: r, cfg: &SampleConfig{Method: Reservoir, PerClass: 5000, Block: 1_000_000_000}, container: pcapio.Pcap}
	if err := s.take(t.Context(), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if s.size > 5000+116 || len(s.kept) != 1 {
		t.Errorf("%d octets in %d blocks", s.size, len(s.kept))
	}
}
