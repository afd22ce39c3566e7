package feature_test

import (
	"testing"

	"pcaplab/datasets/arena"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// BenchmarkExtractor measures frames of the default mix from an arena: the extractor alone, and behind Direct.
func BenchmarkExtractor(b *testing.B) {
	frames, err := synth.Build(b.Context(), "iot-1", 1, 100_000, 256<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer frames.Close()
	for _, c := range extractorKinds {
		if c.cfg.As != feature.AsFixed { // which needs what an engine found
			b.Run(c.name, func(b *testing.B) { benchExtractor(b, frames, c.cfg) })
		}
		b.Run(c.name+"/direct", func(b *testing.B) { benchDirect(b, frames, c.cfg) })
	}
}

func benchExtractor(b *testing.B, frames *arena.Frames, cfg feature.Config) {
	x, err := feature.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	var f parse.Frame
	b.ReportAllocs()
	for i := 0; b.Loop(); {
		frames.Frame(i, &f)
		x.Add(&f, nil)
		if i++; i == frames.Len() {
			i = 0
		}
	}
}

func benchDirect(b *testing.B, frames *arena.Frames, cfg feature.Config) {
	x, err := feature.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	pl := parse.NewPipeline(parse.DirectEngine(), x)
	var f parse.Frame
	b.ReportAllocs()
	for i := 0; b.Loop(); {
		frames.Frame(i, &f)
		if err := pl.WriteFrame(&f); err != nil {
			b.Fatal(err)
		}
		if i++; i == frames.Len() {
			i = 0
		}
	}
}
