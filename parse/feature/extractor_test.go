package feature_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// mixFrames returns the first n frames of a synthetic profile.
func mixFrames(tb testing.TB, profile string, n int) []parse.Frame {
	tb.Helper()
	src, err := synth.New(profile, 1)
	if err != nil {
		tb.Fatal(err)
	}
	frames := make([]parse.Frame, n)
	for i := range frames {
		if err := src.Next(&frames[i]); err != nil {
			tb.Fatal(err)
		}
		frames[i].Data = slices.Clone(frames[i].Data)
	}
	return frames
}

// mixPackets returns what Direct finds in frames, nil for what it refuses.
func mixPackets(tb testing.TB, frames []parse.Frame) []*parse.Packet {
	tb.Helper()
	direct, err := parse.DirectEngine().New(parse.LinkEthernet)
	if err != nil {
		tb.Fatal(err)
	}
	packets := make([]*parse.Packet, len(frames))
	for i := range frames {
		p := new(parse.Packet)
		if direct.Parse(&frames[i], p) == nil {
			packets[i] = p
		}
	}
	return packets
}

// extractorKinds are ways of working that are measured.
var extractorKinds = []struct {
	name string
	cfg  feature.Config
}{
	{"w10", feature.Config{Span: feature.Span{Rows: 10}}},
	{"w100", feature.Config{Span: feature.Span{Rows: 100}}},
	{"w10000", feature.Config{Span: feature.Span{Rows: 10000}}},
	{"1s", feature.Config{Span: feature.Span{Time: time.Second}}},
	{"ns-w10", feature.Config{DecoderConfig: feature.DecoderConfig{Clock: feature.Clock{Decimal: true}}}},
	{"released-w100", feature.Config{DecoderConfig: feature.DecoderConfig{As: feature.AsReleased}, Span: feature.Span{Rows: 100}}},
	{"fixed-w10", feature.Config{DecoderConfig: feature.DecoderConfig{As: feature.AsFixed}}},
	{"fixed-1s", feature.Config{DecoderConfig: feature.DecoderConfig{As: feature.AsFixed}, Span: feature.Span{Time: time.Second}}},
}

func TestExtractorAllocates(t *testing.T) {
	frames := mixFrames(t, "iot-1", 2000)
	packets := mixPackets(t, frames)
	for _, c := range extractorKinds {
		t.Run(c.name, func(t *testing.T) {
			vectors := 0
			c.cfg.Emit = func(*feature.Vector) { vectors++ }
			x, err := feature.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			perRun := testing.AllocsPerRun(5, func() {
				for i := range frames {
					if err := x.Process(&frames[i], packets[i]); err != nil {
						t.Fatal(err)
					}
				}
			})
			if perRun != 0 {
				t.Errorf("%v allocations in %d frames", perRun, len(frames))
			}
			if uint64(vectors) != x.Vectors() || vectors == 0 && c.name != "w10000" {
				t.Errorf("%d vectors, %d emitted", x.Vectors(), vectors)
			}
		})
	}
}

// TestLongRun loops a capture: counts, the number of vectors and their sums stay right, and a window of time stays where it
// is. 2 million frames; 100 million with PCAPLAB_LONG.
func TestLongRun(t *testing.T) {
	const perLoop = 10_000
	frames := mixFrames(t, "iot-1", perLoop)
	packets := mixPackets(t, frames)
	// One loop's length, so that times go on.
	period := frames[perLoop-1].UnixNano - frames[0].UnixNano + 1e6
	for _, c := range extractorKinds {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			loops := 20
			if c.name == "w10" || c.name == "1s" || c.name == "fixed-w10" {
				if loops = 200; long() {
					loops = 10_000
				}
			}
			var rows, octets, acks float64
			cfg := c.cfg
			cfg.Emit = func(v *feature.Vector) {
				rows += v.Values[feature.Number]
				octets += v.Values[feature.TotSum]
				acks += v.Values[feature.AckCount]
			}
			once, err := feature.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			var onceOctets, onceAcks float64
			one := feature.Config{DecoderConfig: c.cfg.DecoderConfig, Span: feature.Span{Rows: perLoop}}
			vectors, _ := vectorsOf(t, one, frames...)
			for _, v := range vectors {
				onceOctets += v.Values[feature.TotSum]
				onceAcks += v.Values[feature.AckCount]
			}
			for i := range frames {
				once.Add(&frames[i], packets[i])
			}

			x, err := feature.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			first, last := int64(math.MaxInt64), int64(math.MinInt64)
			var row feature.Row
			dec := feature.NewDecoder(c.cfg.DecoderConfig)
			for i := range frames {
				if o, _ := dec.Decode(&frames[i], packets[i], &row); o == feature.MadeRow {
					first, last = min(first, row.Nano), max(last, row.Nano)
				}
			}
			for loop := range loops {
				shift := int64(loop) * period
				for i := range frames {
					f := frames[i]
					f.UnixNano += shift
					if err := x.Process(&f, packets[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			if x.Flush() {
				cfg.Emit(x.Vector())
			}
			counts, inOne := x.Counters(), once.Counters()
			for i := range counts {
				if counts[i] != inOne[i]*uint64(loops) {
					t.Errorf("%v: %d in %d loops, %d in one", feature.Outcome(i), counts[i], loops, inOne[i])
				}
			}
			made := counts[feature.MadeRow]
			if rows != float64(made) || octets != onceOctets*float64(loops) || acks != onceAcks*float64(loops) {
				t.Errorf("%v rows of %d, %v octets of %v, %v acks of %v", rows, made, octets, onceOctets*float64(loops), acks,
					onceAcks*float64(loops))
			}
			want := (made + uint64(max(cfg.Span.Rows, 1)) - 1) / uint64(max(cfg.Span.Rows, 1))
			switch {
			case cfg.Span == feature.Span{}:
				want = (made + feature.DefaultRows - 1) / feature.DefaultRows
			case cfg.Span.Time > 0: // at 1,000 packets a second no second is empty
				want = uint64((last-first+int64(loops-1)*period)/int64(cfg.Span.Time)) + 1
			}
			if cfg.As.Pieces() {
				pieces := uint64(0)
				for range loops {
					for i := range frames {
						f := frames[i]
						dec.Decode(&f, nil, &row)
					}
				}
				pieces = dec.Piece() + 1
				if v := x.Vectors(); v < want || v > want+pieces {
					t.Errorf("%d vectors, want %d and at most one more for each of %d pieces", v, want, pieces)
				}
			} else if x.Vectors() != want {
				t.Errorf("%d vectors, want %d", x.Vectors(), want)
			}
			t.Logf("%d frames, %d rows, %d vectors", counts.Frames(), made, x.Vectors())
		})
	}
}

// TestResetAndReuse sees that an extractor that was used gives the same again after Reset.
func TestResetAndReuse(t *testing.T) {
	frames := mixFrames(t, "iot-1", 3000)
	packets := mixPackets(t, frames)
	for _, c := range extractorKinds {
		t.Run(c.name, func(t *testing.T) {
			x, err := feature.New(c.cfg)
			if err != nil {
				t.Fatal(err)
			}
			run := func() string {
				var text []byte
				line := func() { text = fmt.Appendln(text, *x.Vector()) }
				for i := range frames {
					if x.Add(&frames[i], packets[i]) {
						line()
					}
				}
				if x.Flush() {
					line()
				}
				return string(text)
			}
			first := run()
			for i := range frames[:17] { // a window under way
				x.Add(&frames[i], packets[i])
			}
			x.Reset()
			if again := run(); again != first {
				t.Error("other vectors after Reset")
			}
			x.Reset()
			if again := run(); again != first {
				t.Error("other vectors after Flush and Reset")
			}
		})
	}
}
