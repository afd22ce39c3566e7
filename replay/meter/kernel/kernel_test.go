package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"
	"testing"
	"time"
)

// prepared returns a kernel by name, its memory filled, and its round.
func prepared(t *testing.T, name string) (k Kernel, memory []byte, round func() uint64) {
	t.Helper()
	for _, k := range Kernels() {
		if k.Name == name {
			memory, free, err := allocate(int(k.Octets))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(free)
			return k, memory, k.prepare(&k, memory)
		}
	}
	t.Fatalf("no kernel %q", name)
	return
}

func TestKernelsAreNamedOnceAndExplained(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Kernels() {
		if seen[k.Name] {
			t.Errorf("two kernels %q", k.Name)
		}
		seen[k.Name] = true
		if k.Doc == "" || k.Ops <= 0 || !strings.HasPrefix(k.Name, k.Kind) {
			t.Errorf("%+v", k)
		}
		if _, pinned := checksums[k.Name]; !pinned {
			t.Errorf("%s has no checksum", k.Name)
		}
	}
	if len(checksums) != len(seen) {
		t.Errorf("%d checksums for %d kernels", len(checksums), len(seen))
	}
}

func TestEveryRoundComputesThePinnedChecksum(t *testing.T) {
	for _, k := range Kernels() {
		t.Run(k.Name, func(t *testing.T) {
			if testing.Short() && k.Octets > 8*mib {
				t.Skip("large memory in a short test")
			}
			_, _, round := prepared(t, k.Name)
			for n := range 2 {
				if sum := round(); sum != k.Checksum {
					t.Errorf("round %d: %#016x, want %#016x", n+1, sum, k.Checksum)
				}
			}
		})
	}
}

func TestRoundsAllocateNothing(t *testing.T) {
	for _, k := range Kernels() {
		if k.Octets > 2*mib {
			continue // the same code as the smaller one of its kind
		}
		_, _, round := prepared(t, k.Name)
		var sum uint64
		got := testing.AllocsPerRun(1, func() { sum += round() })
		for range 2 { // a few are the runtime's own
			got = min(got, testing.AllocsPerRun(1, func() { sum += round() }))
		}
		switch {
		case k.Kind == "alloc" && got < float64(k.Ops):
			t.Errorf("%s: %v allocations for %d operations", k.Name, got, k.Ops)
		case k.Kind != "alloc" && got != 0:
			t.Errorf("%s: %v allocations", k.Name, got)
		}
	}
}

func TestCycleVisitsEveryLineOnce(t *testing.T) {
	for _, lines := range []int{1, 2, 3, 7, 64, 1000, 1 << 14} {
		words := make([]uint32, lines*perLine)
		cycle(words)
		seen := make([]bool, lines)
		i := uint32(0)
		for range lines {
			if i%perLine != 0 || seen[i/perLine] {
				t.Fatalf("%d lines: word %d is no line's first, or comes twice", lines, i)
			}
			seen[i/perLine] = true
			i = words[i]
		}
		if i != 0 {
			t.Errorf("%d lines: after all of them at word %d, not at the first", lines, i)
		}
	}
}

func TestChaseHasNoShortStride(t *testing.T) {
	_, memory, _ := prepared(t, "chase-1MiB")
	words := words32(memory)
	near := 0
	lines := len(words) / perLine
	for i := 0; i < len(words); i += perLine {
		if d := int(words[i]) - i; max(d, -d) <= 4*perLine {
			near++
		}
	}
	if near > lines/200 { // 8 of 16384 lines are that near: one in 2000 by chance
		t.Errorf("%d of %d loads go to one of the next four lines on either side: a prefetcher may have them", near, lines)
	}
}

// TestAgainstPlainComputation computes what some kernels compute in another way.
func TestAgainstPlainComputation(t *testing.T) {
	for _, test := range []struct {
		name string
		want func(k Kernel, memory []byte) uint64
	}{
		{"read-16KiB", func(k Kernel, memory []byte) uint64 {
			var sums [2]uint64
			for i, w := range words64(memory) {
				sums[i%2] += w * uint64(k.Ops*line/k.Octets)
			}
			return sums[0] ^ bits.RotateLeft64(sums[1], 32)
		}},
		{"copy-16KiB", func(_ Kernel, memory []byte) uint64 {
			var sum uint64
			for i := 0; i < 1024; i += 64 { // of the source, 8 KiB
				sum = bits.RotateLeft64(sum, 5) ^ words64(memory)[i]
			}
			return sum
		}},
		{"add", func(k Kernel, _ []byte) uint64 {
			a, b := uint64(1), uint64(0x9e3779b9)
			for range k.Ops / 2 {
				a = (a + b) % (1 << 32)
				b = a + b - 2*(a&b)
			}
			return a<<32 | b
		}},
		{"fields", func(k Kernel, memory []byte) uint64 {
			var sum uint32
			be := binary.BigEndian
			for n := range int(k.Ops) {
				f := memory[n%slots*line:][:line]
				l4 := 14 + int(f[14]-0x40)*4
				sum = sum<<1 | sum>>31
				sum += uint32(f[12])<<24 | uint32(f[13])<<16 | uint32(f[16])<<8 | uint32(f[17])
				sum ^= be.Uint32(f[26:30]) + be.Uint32(f[30:34])
				sum += uint32(f[22])<<8 + uint32(f[23])
				sum ^= be.Uint32(f[l4 : l4+4])
			}
			return uint64(sum)
		}},
		{"call-random", func(_ Kernel, memory []byte) uint64 {
			var sum uint32
			for _, b := range memory {
				x := uint32(b)
				sum += [4]uint32{x + 1, x ^ 0x55, x * 8, x + 0x100}[b%4]
			}
			return uint64(sum)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, memory, round := prepared(t, test.name)
			if got, want := round(), test.want(k, memory); got != want {
				t.Errorf("%#x, want %#x", got, want)
			}
		})
	}
}

func TestPairsDoTheSameWork(t *testing.T) {
	for _, pair := range [][2]string{{"branch-sorted", "branch-random"}, {"call-sorted", "call-random"}} {
		a, ma, _ := prepared(t, pair[0])
		b, mb, _ := prepared(t, pair[1])
		if a.Checksum != b.Checksum || a.Ops != b.Ops {
			t.Errorf("%v differ in more than order", pair)
		}
		var counts [2][256]int
		turns := [2]int{}
		for i, m := range [][]byte{ma, mb} {
			for j, o := range m {
				counts[i][o]++
				mask := byte(0x80)
				if a.Kind == "call-sorted" {
					mask = 3
				}
				if j > 0 && o&mask != m[j-1]&mask {
					turns[i]++
				}
			}
		}
		if counts[0] != counts[1] {
			t.Errorf("%v have different octets", pair)
		}
		if turns[0] > 3 || turns[1] < outcomes*2/5 {
			t.Errorf("%v: the way changes %d and %d times", pair, turns[0], turns[1])
		}
	}
}

func TestRun(t *testing.T) {
	var named []string
	results, err := Run(t.Context(), Config{Budget: time.Nanosecond, MemoryLimit: 256 * kib, Progress: func(done, all int, name string) {
		if done != len(named) {
			t.Errorf("%d done after %d calls", done, len(named))
		}
		named = append(named, name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	all := Kernels()
	if len(named) != len(all)+1 || named[len(all)] != "" {
		t.Errorf("progress told of %d kernels of %d", len(named), len(all))
	}
	if results.Version != Version || results.PageOctets < 1024 {
		t.Errorf("version %d, pages of %d", results.Version, results.PageOctets)
	}
	i := 0
	skipped := 0
	for _, k := range all {
		if k.Octets > 256*kib {
			if !strings.HasPrefix(results.Skipped[skipped], k.Name+": ") {
				t.Errorf("%q does not say why %s was skipped", results.Skipped[skipped], k.Name)
			}
			skipped++
			continue
		}
		r := results.Kernels[i]
		i++
		if r.Name != k.Name || r.Kind != k.Kind || r.Octets != k.Octets || r.Ops != k.Ops {
			t.Errorf("%+v is not %s", r, k.Name)
		}
		if r.Rounds != MinRounds || !(r.MinNS > 0) || r.MedianNS < r.MinNS || len(r.Checksum) != 16 {
			t.Errorf("%+v", r)
		}
	}
	if i != len(results.Kernels) || skipped != len(results.Skipped) {
		t.Errorf("%d results and %d skipped", len(results.Kernels), len(results.Skipped))
	}
}

func TestRunRefuses(t *testing.T) {
	for _, cfg := range []Config{{Budget: -1}, {MemoryLimit: -1}} {
		if _, err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	results, err := Run(ctx, Config{Progress: func(done, _ int, _ string) {
		if done == 1 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || len(results.Kernels) != 0 {
		t.Errorf("%d results, %v", len(results.Kernels), err)
	}
}

func TestWrongChecksumIsAnError(t *testing.T) {
	k := Kernel{Name: "faulty", Ops: 1, Checksum: 7}
	n := uint64(6)
	k.prepare = func(*Kernel, []byte) func() uint64 { return func() uint64 { n++; return n } } // right in the untimed round only
	_, err := k.run(t.Context(), time.Nanosecond, make([]int64, 0, 8))
	if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), "faulty: 0000000000000008 instead of 0000000000000007") {
		t.Errorf("%v", err)
	}
}

func BenchmarkKernels(b *testing.B) {
	for _, k := range Kernels() {
		b.Run(k.Name, func(b *testing.B) {
			memory, free, err := allocate(int(k.Octets))
			if err != nil {
				b.Fatal(err)
			}
			defer free()
			round := k.prepare(&k, memory)
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(k.Ops), "ns/operation")
		})
	}
}

func TestMispredict(t *testing.T) {
	kernels := func(times ...float64) *Results {
		r := &Results{}
		for i, name := range []string{"branch-sorted", "branch-random", "call-sorted", "call-random"} {
			if i < len(times) {
				r.Kernels = append(r.Kernels, Result{Name: name, MinNS: times[i], MedianNS: 100})
			}
		}
		return r
	}
	for _, test := range []struct {
		name         string
		results      *Results
		branch, call float64
		knowsBranch  bool
		knowsCall    bool
	}{
		{"a predictor", kernels(1, 5.5, 3, 12), 9, 12, true, true},
		{"none", kernels(2, 2, 3, 3), 0, 0, true, true},
		{"noise", kernels(2, 1.9, 3, 2.9), 0, 0, true, true},
		{"no calls", kernels(1, 2), 2, 0, true, false},
		{"nothing run", kernels(), 0, 0, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if ns, known := test.results.Mispredict(); ns != test.branch || known != test.knowsBranch {
				t.Errorf("branch %v, %v", ns, known)
			}
			if ns, known := test.results.MispredictCall(); ns != test.call || known != test.knowsCall {
				t.Errorf("call %v, %v", ns, known)
			}
		})
	}
}
