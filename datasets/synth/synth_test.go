package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
)

// digest is the SHA-256 of the first n frames: for each, time, wire length, captured length, link type and data.
func digest(t *testing.T, name string, seed uint64, n int) string {
	t.Helper()
	s, err := New(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	var f parse.Frame
	var head [20]byte
	for range n {
		if err := s.Next(&f); err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint64(head[0:], uint64(f.UnixNano))
		binary.BigEndian.PutUint32(head[8:], uint32(f.WireLen))
		binary.BigEndian.PutUint32(head[12:], uint32(len(f.Data)))
		binary.BigEndian.PutUint32(head[16:], uint32(f.Link))
		h.Write(head[:])
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

const pinnedFrames = 50_000

// pinned are the digests of pinnedFrames frames with seed 1. A change of them changes every published ceiling: it needs
// a new profile name.
var pinned = map[string]string{
	"iot-1":    "fece2617352a73d26596dcc8cc82bfe0d1b7f942ce3e092cb270b50da3b9f3c1",
	"syn-60":   "4af09838c9fb46ceeef641f05ade3e9e9484856b8128aba6ed74a9e9c3b8c16a",
	"udp-64":   "1bb42a1c157bebd361b22ad99360eb04dbff7d7322282c0c9e9abad2f0a38aab",
	"udp-128":  "962529775c9b8d94df85e12a1f03ef224e86d0a34a82f01784004cb904d50f70",
	"udp-256":  "cb00ff523bcc6dfc3ba179d7d6f04c7d136cc61f6251d3f78a33fda2b95ad370",
	"udp-512":  "d0ba476f6e20d82f863fbd2bcee6b83e1e8bdf21c4dfcefedace7adcd667caad",
	"udp-1024": "1d1945e0794114524af204293ffa308fefc02efaa07039c81eb2cf7cd4a708f5",
	"udp-1280": "e0f1dddf4b2fb91e82a051fde54db8d94be7460dae8587b1636966af3617ce6a",
	"udp-1518": "e33c70e8ded6a809abf7017a0b8a24284509c4e732656724cf67101c9a6e7208",
}

func TestPinned(t *testing.T) {
	for _, p := range Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			if got := digest(t, p.Name, 1, pinnedFrames); got != pinned[p.Name] {
				t.Errorf("digest %s, pinned %s", got, pinned[p.Name])
			}
		})
	}
	if len(pinned) != len(Profiles()) {
		t.Errorf("%d profiles are pinned of %d", len(pinned), len(Profiles()))
	}
}

func TestSeedDecides(t *testing.T) {
	for _, p := range Profiles() {
		one, again, two := digest(t, p.Name, 7, 2000), digest(t, p.Name, 7, 2000), digest(t, p.Name, 8, 2000)
		if one != again {
			t.Errorf("%s: the same seed gave other frames", p.Name)
		}
		if one == two {
			t.Errorf("%s: another seed gave the same frames", p.Name)
		}
	}
}

func TestNewRefusesUnknownNames(t *testing.T) {
	_, err := New("iot-2", 1)
	if err == nil || !strings.Contains(err.Error(), `"iot-2"`) || !strings.Contains(err.Error(), "iot-1") {
		t.Errorf("error %v should name what was asked and what there is", err)
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	for _, p := range Profiles() {
		s, err := New(p.Name, 1)
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		if n := testing.AllocsPerRun(20_000, func() { _ = s.Next(&f) }); n != 0 {
			t.Errorf("%s: %v allocations a frame", p.Name, n)
		}
	}
}

// The times of iot-1 never decrease, start at the epoch and pass at the stated rate.
func TestTimes(t *testing.T) {
	s, err := New("iot-1", 1)
	if err != nil {
		t.Fatal(err)
	}
	const n = 200_000
	var f parse.Frame
	last := Epoch
	for i := range n {
		if err := s.Next(&f); err != nil {
			t.Fatal(err)
		}
		if f.UnixNano < last {
			t.Fatalf("frame %d goes back by %d ns", i, last-f.UnixNano)
		}
		last = f.UnixNano
	}
	if got := float64(last-Epoch) / n; math.Abs(got-meanGap) > 0.02*meanGap {
		t.Errorf("mean gap %.0f ns, want %d within 2 %%", got, meanGap)
	}
}

func TestSYN60(t *testing.T) {
	s, err := New("syn-60", 1)
	if err != nil {
		t.Fatal(err)
	}
	sources := make(map[string]bool)
	var f parse.Frame
	const n = 5_000
	for range n {
		_ = s.Next(&f)
		if len(f.Data) != 60 || f.WireLen != 60 {
			t.Fatalf("%d octets, %d on the wire; want 60", len(f.Data), f.WireLen)
		}
		src := f.Data[26:30]
		if src[0] == 0 || src[0] == 10 || src[0] == 127 || src[0] >= 224 {
			t.Fatalf("source %v", src)
		}
		sources[string(src)] = true
	}
	if len(sources) < n*99/100 {
		t.Errorf("%d different sources of %d", len(sources), n)
	}
}

// SplitMix64 from state 1234567, as its public reference implementation gives it.
func TestRNG(t *testing.T) {
	r := rng(1234567)
	for _, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := r.next(); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
}

// The chord of the binary logarithm is within 0.09 of it, so that quantiles stay near those of an exponential.
func TestExp(t *testing.T) {
	r := rng(1)
	const n, mean = 200_000, 1_000_000
	v := make([]int64, n)
	sum := int64(0)
	for i := range v {
		v[i] = r.exp(mean)
		sum += v[i]
	}
	if got := float64(sum) / n; math.Abs(got-mean) > 0.01*mean {
		t.Errorf("mean %.0f, want %d", got, mean)
	}
	slices.Sort(v)
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		want := -math.Log(1-q) * mean
		if got := float64(v[int(q*n)]); math.Abs(got-want) > 0.04*want+0.06*mean {
			t.Errorf("quantile %v is %.0f, an exponential's is %.0f", q, got, want)
		}
	}
	for _, extreme := range []rng{0, 1, math.MaxUint64} {
		if d := extreme.exp(1 << 39); d < 0 {
			t.Errorf("negative time %d", d)
		}
	}
}

func TestBuild(t *testing.T) {
	fr, err := Build(context.Background(), "iot-1", 3, 1000, 1<<30)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no arenas on this system")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer fr.Close()
	if fr.Len() != 1000 {
		t.Fatalf("%d frames", fr.Len())
	}
	s, err := New("iot-1", 3)
	if err != nil {
		t.Fatal(err)
	}
	var got, want parse.Frame
	for i := range 1000 {
		fr.Frame(i, &got)
		_ = s.Next(&want)
		if got.UnixNano != want.UnixNano || got.WireLen != want.WireLen || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		profile string
		frames  int
		limit   int64
		want    error
	}{
		{"too much", context.Background(), "iot-1", 1_000_000_000, 1 << 20, arena.ErrLimit},
		{"interrupted", stopped, "iot-1", 10, 1 << 20, context.Canceled},
		{"unknown", context.Background(), "iot-9", 10, 1 << 20, nil},
		{"negative", context.Background(), "iot-1", -1, 1 << 20, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fr, err := Build(tt.ctx, tt.profile, 1, tt.frames, tt.limit)
			if err == nil {
				fr.Close()
				t.Fatal("built")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSharesSumToOne(t *testing.T) {
	sum := 0
	for _, k := range kinds {
		sum += k.share
	}
	if sum != 1000 {
		t.Errorf("shares sum to %d in 1,000", sum)
	}
}

// METHOD.md holds the table that the code has.
func TestMethodHoldsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../METHOD.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- iot-1 begin -->\n", "<!-- iot-1 end -->"
	_, rest, found := strings.Cut(string(text), begin)
	if !found {
		t.Fatal("METHOD.md has no iot-1 table")
	}
	table, _, found := strings.Cut(rest, end)
	if !found {
		t.Fatal("the iot-1 table does not end")
	}
	var want strings.Builder
	if err := writeTable(&want); err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(table) != strings.TrimSpace(want.String()) {
		t.Errorf("METHOD.md differs from the code; it should hold:\n%s", want.String())
	}
}

func BenchmarkNext(b *testing.B) {
	for _, name := range []string{"iot-1", "syn-60"} {
		b.Run(name, func(b *testing.B) {
			s, err := New(name, 1)
			if err != nil {
				b.Fatal(err)
			}
			var f parse.Frame
			for b.Loop() {
				_ = s.Next(&f)
			}
		})
	}
}
