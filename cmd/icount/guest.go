package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/gopkt"
	"pcaplab/parse/gopkt/fork"
)

// engines are the built-in ones.
func engines() []parse.Engine {
	return slices.Concat([]parse.Engine{parse.DirectEngine()}, gopkt.Engines(), fork.Engines())
}

const (
	// A block is what is parsed between two marks. Before each the guest yields, and blocks are short: the runtime, which
	// wants the processor back from who had it for ten milliseconds, then has no reason to step in between the marks.
	blockFrames = 32
	warmUps     = 3  // passes until the heap is in a steady state
	passes      = 12 // counted ones
	trafficSeed = 1
	memoryLimit = 64 << 20
)

// traffic is what is parsed, by name and number of frames. Frames of the fixed sizes are all alike.
var traffic = map[string]int{"iot-1": 1024, "udp-64": 512, "udp-512": 512, "udp-1518": 512}

// idle takes frames as an engine does and does nothing: what it takes is the harness's own.
type idle struct{}

func (*idle) Parse(*parse.Frame, *parse.Packet) error { return nil }

// guest parses a traffic with an engine, block by block between marks; then the same with idle. It marks block b of n
// with 2b before and 2b+1 after, and with 2(n+b) and 2(n+b)+1 when idle. Each again-th frame is parsed twice, unless
// again is 0.
func guest(name, profile string, again int) error {
	runtime.LockOSThread() // instructions are counted by thread
	i := slices.IndexFunc(engines(), func(e parse.Engine) bool { return e.Name == name })
	if i < 0 {
		return fmt.Errorf("no engine %q", name)
	}
	captured, err := synth.Build(context.Background(), profile, trafficSeed, traffic[profile], memoryLimit)
	if err != nil {
		return err
	}
	defer captured.Close()
	if links := captured.Links(); len(links) != 1 {
		return fmt.Errorf("%s: %d link types, want one", profile, len(links))
	}
	parser, err := engines()[i].New(captured.Links()[0])
	if err != nil {
		return err
	}
	var plain, parsed [][]parse.Frame
	for from := 0; from < captured.Len(); from += blockFrames {
		var block, more []parse.Frame
		for i := from; i < min(from+blockFrames, captured.Len()); i++ {
			var f parse.Frame
			captured.Frame(i, &f)
			block, more = append(block, f), append(more, f)
			if again > 0 && i%again == again-1 {
				more = append(more, f)
			}
		}
		plain, parsed = append(plain, block), append(parsed, more)
	}
	var bad int
	for pass := range warmUps + passes {
		counted := pass >= warmUps
		runtime.GC() // the only collections: an allocating engine finds the heap of the pass before, swept
		bad += parseBlocks(parser, parsed, 0, counted)
		parseBlocks(&idle{}, plain, len(plain), counted)
	}
	if bad > 0 {
		return fmt.Errorf("%s: %s calls %d frames faulty", profile, name, bad)
	}
	return nil
}

// parseBlocks returns how many frames had an error.
func parseBlocks(parser parse.Parser, blocks [][]parse.Frame, first int, counted bool) (bad int) {
	var p parse.Packet
	for b, block := range blocks {
		if counted {
			runtime.Gosched()
			mark(2 * (first + b))
		}
		for i := range block {
			if parser.Parse(&block[i], &p) != nil {
				bad++
			}
		}
		if counted {
			mark(2*(first+b) + 1)
		}
	}
	return bad
}

// trafficNames returns the names in the order of tables.
func trafficNames() []string {
	names := slices.Collect(maps.Keys(traffic))
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return names
}
