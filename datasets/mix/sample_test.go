package mix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// Every sample is blocks of packets that follow each other, in order, as they were, and not larger than asked for but almost.
func TestSample(t *testing.T) {
	for seed := range uint64(2) {
		w := makeWorld(t, 8, 400, seed)
		stored := map[string]int64{}
		for _, in := range w.inputs {
			for _, path := range in.Files {
				for _, f := range readCapture(t, path) {
					stored[in.Class] += recordOctets(&f, pcapio.Pcap)
				}
			}
		}
		for _, method := range []string{Head, Stride, Reservoir} {
			for _, perClass := range []int64{2000, 30_000, 10_000_000} {
				cfg := SampleConfig{Method: method, PerClass: perClass, Block: 10, Seed: seed, Workers: 3}
				dir := t.TempDir()
				var inputs []Input
				for _, in := range w.inputs {
					if method != Stride || !strings.Contains(strings.Join(in.Files, " "), "z") { // .gz, .zst
						inputs = append(inputs, in)
					}
				}
				if len(inputs) == 0 {
					continue
				}
				done, err := Sample(t.Context(), dir, cfg, inputs, func(class string) string { return class + "-" })
				if err != nil {
					t.Fatalf("seed %d: %+v: %v", seed, cfg, err)
				}
				if len(done) != len(inputs) {
					t.Fatalf("%d classes of %d", len(done), len(inputs))
				}
				for i := range done {
					if err := w.checkSample(t, &done[i], inputs[i], cfg, stored[inputs[i].Class]); err != nil {
						t.Errorf("seed %d: %s %d: %s: %v", seed, method, perClass, inputs[i].Class, err)
					}
				}
			}
		}
	}
}

func (w *world) checkSample(t *testing.T, s *Sampled, in Input, cfg SampleConfig, stored int64) error {
	t.Helper()
	if dir, base := filepath.Split(s.File); filepath.Base(dir) != in.Class || !strings.HasPrefix(base, in.Class+"-.pcap") {
		return fmt.Errorf("file %s", s.File)
	}
	got, labels := readCapture(t, s.File), readTruth(t, s.File+truth.Suffix)
	info, err := os.Stat(s.File)
	if err != nil {
		return err
	}
	switch {
	case len(got) != len(labels) || uint64(len(got)) != s.Packets:
		return fmt.Errorf("%d packets, %d in the truth, %d in the summary", len(got), len(labels), s.Packets)
	case info.Size() != s.CaptureOctets || s.CaptureOctets > cfg.PerClass:
		return fmt.Errorf("%d octets, %d in the summary", info.Size(), s.CaptureOctets)
	}
	c, _ := identity(&got[0])
	total := len(w.frames[c])
	if cfg.PerClass > 2*stored && len(got) != total && cfg.Method != Stride {
		return fmt.Errorf("%d packets of %d, and there was room for all", len(got), total)
	}
	if room := cfg.PerClass - s.CaptureOctets; len(got) < total && room > 1600 && cfg.Method != Stride {
		return fmt.Errorf("%d octets were left empty", room)
	}
	last := -1
	for i := range got {
		_, n := identity(&got[i])
		want := &w.frames[c][n]
		if n <= last {
			return fmt.Errorf("packet %d is number %d, after %d", i, n, last)
		}
		l := labels[i]
		follows := i > 0 && l.Source == labels[i-1].Source && l.Number == labels[i-1].Number+1
		if !follows && l.Number%uint64(cfg.Block) != 1 {
			return fmt.Errorf("packet %d begins within a block: number %d of %s", i, l.Number, l.Source)
		}
		last = n
		if !bytes.Equal(got[i].Data, want.Data) || got[i].UnixNano != want.UnixNano {
			return fmt.Errorf("packet %d is not what it was", i)
		}
		if l.Class != in.Class {
			return fmt.Errorf("packet %d: the truth is %+v", i, l)
		}
	}
	if s.Blocks == 0 || s.Blocks > s.ReadBlocks || s.ReadPackets > uint64(total) || cfg.Method == Reservoir && s.ReadPackets != uint64(total) {
		return fmt.Errorf("%+v", s)
	}
	return nil
}

// By lot each block is as likely as any other.
func TestReservoirIsUniform(t *testing.T) {
	const blocks, block, seeds = 60, 5, 600
	var frames []parse.Frame
	for i := range blocks * block {
		frames = append(frames, frameOf(0, i, 60, begin+int64(i)*1000))
	}
	path := filepath.Join(t.TempDir(), "a.pcap")
	writeCapture(t, path, false, frames)
	in := Input{Class: "a", Files: []string{path}}
	var taken [blocks + 1]int
	all := 0
	for seed := range uint64(seeds) {
		r, err := newReader(&in, datasets.OpenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		cfg := SampleConfig{Method: Reservoir, PerClass: 10 * block * 76, Block: block}
		s := sampler{reader: r, cfg: &cfg, container: pcapio.Pcap, seed: scramble(seed)}
		if err := s.take(t.Context(), func(int64) {}); err != nil {
			t.Fatal(err)
		}
		for _, b := range s.kept {
			taken[b.index]++
			all++
		}
		if len(s.kept) != 10 {
			t.Fatalf("%d blocks, want 10", len(s.kept))
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
	expected := float64(all) / blocks
	chi := 0.0
	for _, n := range taken[1:] {
		d := float64(n) - expected
		chi += d * d / (expected * (1 - 10.0/blocks))
	}
	// 59 degrees of freedom: 99 in ten million are above 120.
	if chi > 120 || chi < 25 {
		t.Errorf("chi-square %.1f of 59 degrees of freedom: %v", chi, taken[1:])
	}
}

// Stride takes of every part of the captures about the same.
func TestStrideIsEven(t *testing.T) {
	dir := t.TempDir()
	in := Input{Class: "a"}
	for piece := range 4 {
		var frames []parse.Frame
		for i := range 5000 {
			frames = append(frames, frameOf(0, piece*5000+i, 84, begin+int64(piece*5000+i)*1000))
		}
		path := filepath.Join(dir, fmt.Sprintf("a%d.pcap", piece))
		writeCapture(t, path, false, frames)
		in.Files = append(in.Files, path)
	}
	done, err := Sample(t.Context(), filepath.Join(dir, "out"), SampleConfig{Method: Stride, PerClass: 100_000, Block: 10}, []Input{in}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tenths [10]int
	for _, f := range readCapture(t, done[0].File) {
		_, n := identity(&f)
		tenths[n/2000]++
	}
	for i, n := range tenths {
		if n < 90 || n > 110 {
			t.Errorf("tenth %d gave %d packets of 1000", i, n)
		}
	}
}

// An end before time leaves whole classes only, and nothing is written over.
func TestSampleLeavesNothingHalfMade(t *testing.T) {
	_, inputs := two(t)
	dir := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(t.Context())
	cfg := SampleConfig{PerClass: 50_000, Workers: 1, Progress: func(done, total int64) {
		if done > total/3 {
			cancel() // at the end of the first class
		}
	}}
	done, err := Sample(ctx, dir, cfg, inputs, nil)
	if !errors.Is(err, context.Canceled) || len(done) != 1 {
		t.Errorf("%v, %d classes complete", err, len(done))
	}
	var left []string
	_ = filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if len(left) != 2 || left[1] != left[0]+truth.Suffix {
		t.Errorf("left: %q", left)
	}
	cfg.Progress = nil
	if _, err := Sample(t.Context(), dir, cfg, inputs, nil); err == nil || !strings.Contains(err.Error(), "is there") {
		t.Errorf("over what is there: %v", err)
	}
}

func TestWhatASampleRefuses(t *testing.T) {
	dir, inputs := two(t)
	zst := filepath.Join(dir, "a.pcap.zst")
	writeCapture(t, zst, false, []parse.Frame{frameOf(0, 0, 1400, begin)})
	for _, tt := range []struct {
		name   string
		cfg    SampleConfig
		inputs []Input
		want   string
	}{
		{"nothing", SampleConfig{PerClass: 1e6}, nil, "no captures"},
		{"no size", SampleConfig{}, inputs, "1024"},
		{"unknown method", SampleConfig{PerClass: 1e6, Method: "tail"}, inputs, "want head"},
		{"no block", SampleConfig{PerClass: 1e6, Block: -1}, inputs, "blocks"},
		{"a class twice", SampleConfig{PerClass: 1e6}, []Input{{Class: "A", Files: []string{zst}}, {Class: "a", Files: []string{zst}}}, "twice"},
		{"standard input", SampleConfig{PerClass: 1e6}, []Input{{Class: "A", Files: []string{"-"}}}, "standard input"},
		{"a folder above", SampleConfig{PerClass: 1e6}, []Input{{Class: "..", Files: []string{zst}}}, "folder"},
		{"even distances of compressed captures", SampleConfig{PerClass: 1e6, Method: Stride}, []Input{{Class: "A", Files: []string{zst}}}, "by lot"},
		{"a frame too large", SampleConfig{PerClass: 1200}, []Input{{Class: "A", Files: []string{zst}}}, "a.pcap.zst"},
		{"a frame too large at the head", SampleConfig{PerClass: 1200, Method: Head}, []Input{{Class: "A", Files: []string{zst}}}, "a.pcap.zst"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			if _, err := Sample(t.Context(), out, tt.cfg, tt.inputs, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if left, _ := filepath.Glob(out + "/*"); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
	empty := filepath.Join(dir, "empty.pcap")
	writeCapture(t, empty, false, nil)
	done, err := Sample(t.Context(), filepath.Join(dir, "out"), SampleConfig{PerClass: 1e6}, []Input{{Class: "A", Files: []string{empty}}}, nil)
	if err != nil || len(done) != 1 || done[0].File != "" {
		t.Errorf("no packets: %+v, %v", done, err)
	}
}

// Nothing is allocated for a packet that is not taken, and little for one that is.
func TestSamplerAllocatesNothingPerPacket(t *testing.T) {
	dir := t.TempDir()
	allocs := func(n int) float64 {
		var frames []parse.Frame
		for i := range n {
			frames = append(frames, frameOf(0, i, 100, begin+int64(i)*1000))
		}
		path := filepath.Join(dir, fmt.Sprint(n)+".pcap")
		writeCapture(t, path, false, frames)
		in := Input{Class: "a", Files: []string{path}}
		cfg := SampleConfig{Method: Reservoir, PerClass: 5000, Block: 1000}
		return testing.AllocsPerRun(3, func() {
			r, err := newReader(&in, datasets.OpenConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			s := sampler{reader: r, cfg: &cfg, container: pcapio.Pcap}
			if err := s.take(t.Context(), func(int64) {}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocs(1000), allocs(30_000); many > few+2000 {
		t.Errorf("%v allocations with 1,000 packets, %v with 30,000", few, many)
	}
}
