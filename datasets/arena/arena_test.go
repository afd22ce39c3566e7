//go:build unix

package arena

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"syscall"
	"testing"

	"pcaplab/parse"
)

func build(t *testing.T, frames []parse.Frame) *Frames {
	t.Helper()
	b, err := NewBuilder(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := b.Append(&frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	fr, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fr.Close() })
	return fr
}

var three = []parse.Frame{
	{UnixNano: 1000, Data: []byte("first"), WireLen: 5, Link: parse.LinkEthernet},
	{UnixNano: 3000, Data: nil, WireLen: 60, Link: parse.LinkSLL2},
	{UnixNano: 2000, Data: []byte("the third"), WireLen: 1500, Link: parse.LinkEthernet},
}

func checkThree(t *testing.T, fr *Frames) {
	t.Helper()
	if fr.Len() != 3 || fr.Octets() != 14 || fr.WireOctets() != 1565 {
		t.Fatalf("%d frames, %d octets, %d on the wire; want 3, 14, 1565", fr.Len(), fr.Octets(), fr.WireOctets())
	}
	for i, want := range three {
		var f parse.Frame
		fr.Frame(i, &f)
		if f.UnixNano != want.UnixNano || !bytes.Equal(f.Data, want.Data) || f.WireLen != want.WireLen || f.Link != want.Link {
			t.Errorf("frame %d is %+v, want %+v", i, f, want)
		}
		if cap(f.Data) != len(f.Data) {
			t.Errorf("frame %d can be appended into its neighbour: cap %d, len %d", i, cap(f.Data), len(f.Data))
		}
	}
	if links := fr.Links(); len(links) != 2 || links[0] != parse.LinkEthernet || links[1] != parse.LinkSLL2 {
		t.Errorf("links %v", links)
	}
}

func TestFramesKeepWhatWasAppended(t *testing.T) { checkThree(t, build(t, three)) }

func TestAttachSeesTheSameFrames(t *testing.T) {
	fr := build(t, three)
	fd, err := syscall.Dup(int(fr.File().Fd()))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Attach(os.NewFile(uintptr(fd), "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	checkThree(t, other)
}

func TestAttachRefusesForeignFiles(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": nil,
		"short": []byte("pcaplab"),
		"text":  bytes.Repeat([]byte("not an arena. "), 10),
		"index past the end": append(append([]byte{}, magic[:]...),
			bytes.Repeat([]byte{8, 0, 0, 0, 0, 0, 0, 0}, 10)...),
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/f"
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if fr, err := Attach(file); err == nil {
				t.Fatalf("attached %d frames", fr.Len())
			}
		})
	}
}

func TestSource(t *testing.T) {
	fr := build(t, three)
	for _, tt := range []struct {
		name            string
		from, to, loops int
		shift           bool
		want            []int64
	}{
		{"once", 0, 3, 1, false, []int64{1000, 3000, 2000}},
		{"twice, times repeat", 0, 3, 2, false, []int64{1000, 3000, 2000, 1000, 3000, 2000}},
		{"twice, times go on", 0, 3, 2, true, []int64{1000, 3000, 2000, 4000, 6000, 5000}},
		{"part", 1, 2, 2, true, []int64{3000, 3000}},
		{"nothing", 1, 1, 0, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := fr.Source(tt.from, tt.to, tt.loops, tt.shift)
			var f parse.Frame
			var got []int64
			for {
				err := src.Next(&f)
				if errors.Is(err, io.EOF) {
					break
				}
				got = append(got, f.UnixNano)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("times %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("times %v, want %v", got, tt.want)
				}
			}
		})
	}
}

// TestWildTimes holds that time never turns round, however far apart the times of a capture are.
func TestWildTimes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		times  []int64
		period int64
		want   []int64 // of three passes
	}{
		{"a gap too many", []int64{0, 1 << 62}, math.MaxInt64, []int64{0, 1 << 62, math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}},
		{"of both signs", []int64{math.MinInt64, math.MaxInt64}, math.MaxInt64,
			[]int64{math.MinInt64, math.MaxInt64, -1, math.MaxInt64, -1, math.MaxInt64}},
		{"near the end", []int64{math.MaxInt64 - 30, math.MaxInt64 - 20}, 20,
			[]int64{math.MaxInt64 - 30, math.MaxInt64 - 20, math.MaxInt64 - 10, math.MaxInt64, math.MaxInt64, math.MaxInt64}},
		{"before 1970", []int64{-30, -20}, 20, []int64{-30, -20, -10, 0, 10, 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frames := make([]parse.Frame, len(tt.times))
			for i, ns := range tt.times {
				frames[i].UnixNano = ns
			}
			fr := build(t, frames)
			if p := fr.Period(0, len(frames)); p != tt.period {
				t.Errorf("period %d, want %d", p, tt.period)
			}
			var got []int64
			var f parse.Frame
			for src := fr.Source(0, len(frames), 3, true); src.Next(&f) == nil; {
				got = append(got, f.UnixNano)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("times %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSourceAllocatesNothing(t *testing.T) {
	src := build(t, three).Source(0, 3, 0, true)
	var f parse.Frame
	if n := testing.AllocsPerRun(1000, func() { _ = src.Next(&f) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestLimit(t *testing.T) {
	b, err := NewBuilder(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	f := parse.Frame{Data: make([]byte, 1000), WireLen: 1000}
	for err == nil {
		err = b.Append(&f)
	}
	if !errors.Is(err, ErrLimit) {
		t.Fatal(err)
	}
	fr, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer fr.Close()
	if want := (1<<16 - headerSize) / (1000 + entrySize); fr.Len() != want {
		t.Errorf("%d frames below the limit, want %d", fr.Len(), want)
	}
}

func BenchmarkNext(b *testing.B) {
	builder, err := NewBuilder(1 << 24)
	if err != nil {
		b.Fatal(err)
	}
	f := parse.Frame{Data: make([]byte, 100), WireLen: 100, Link: parse.LinkEthernet}
	for range 1000 {
		if err := builder.Append(&f); err != nil {
			b.Fatal(err)
		}
	}
	fr, err := builder.Finish()
	if err != nil {
		b.Fatal(err)
	}
	defer fr.Close()
	src := fr.Source(0, fr.Len(), 0, true)
	for b.Loop() {
		_ = src.Next(&f)
	}
}
