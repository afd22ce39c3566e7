package parse

import (
	"errors"
	"fmt"
)

// Pipeline parses frames with one engine, counts what it finds and hands the packets to its stages in order. It makes
// a parser for each link type when the first frame of it comes, so a capture may mix link types.
//
// A Pipeline belongs to one goroutine. It does not recover panics: Parse must not panic.
type Pipeline struct {
	parser Parser // of link; nil where the engine has none
	link   LinkType
	stages []Stage
	packet Packet

	octets     uint64
	wireOctets uint64
	seen       [1 << seenBits]layerCount

	engine  Engine
	parsers map[LinkType]Parser // nil values: unsupported
	counted Counters            // what seen and the octets above do not hold
}

// layerCount counts frames with the same headers. Sets of headers are few: a small direct-mapped table holds them,
// and its loser is added to the counters when two meet in a slot.
type layerCount struct {
	frames uint64
	key    uint32 // Layers, and keyTruncated
}

const (
	seenBits     = 6
	keyTruncated = 1 << 31 // above all Layers
)

// NewPipeline returns a pipeline that parses with e. It makes no parser yet: an engine that knows no link type at all
// shows as Counters.Unsupported.
func NewPipeline(e Engine, stages ...Stage) *Pipeline {
	return &Pipeline{engine: e, stages: stages, parsers: make(map[LinkType]Parser)}
}

// WriteFrame parses and counts f and passes it through the stages. A frame that is malformed or of an unsupported
// link type is counted, reaches no stage and is no error; a truncated one does reach them. The errors are those of a
// stage, after counting, and those of the engine's New other than ErrUnsupported, before. It keeps a reference to
// f.Data, unread, until the next call.
func (pl *Pipeline) WriteFrame(f *Frame) error {
	if f.Link != pl.link || pl.parser == nil {
		if err := pl.turn(f.Link); err != nil {
			return err
		}
	}
	pl.octets += uint64(len(f.Data))
	pl.wireOctets += uint64(f.WireLen)
	if pl.parser == nil {
		pl.counted.Frames++
		pl.counted.Unsupported++
		return nil
	}
	p := &pl.packet
	if err := pl.parser.Parse(f, p); err != nil {
		pl.fail(err)
		return nil
	}
	key := keyOf(p)
	slot := &pl.seen[key*0x9e3779b1>>(32-seenBits)]
	if slot.key != key {
		pl.evict(slot, key)
	}
	slot.frames++
	for _, s := range pl.stages {
		if err := s.Process(f, p); err != nil {
			return err
		}
	}
	return nil
}

// turn makes the parser of another link type the current one.
func (pl *Pipeline) turn(link LinkType) error {
	parser, ok := pl.parsers[link]
	if !ok {
		var err error
		parser, err = pl.engine.New(link)
		switch {
		case errors.Is(err, ErrUnsupported):
			parser = nil
		case err != nil:
			return fmt.Errorf("engine %s: link type %d: %w", pl.engine.Name, link, err)
		}
		pl.parsers[link] = parser
	}
	pl.parser, pl.link = parser, link
	return nil
}

// fail counts the frame whose parse ended in err.
func (pl *Pipeline) fail(err error) {
	if errors.Is(err, ErrUnsupported) {
		pl.counted.Frames++
		pl.counted.Unsupported++
		return
	}
	pl.addKey(&pl.counted, keyOf(&pl.packet), 1)
	pl.counted.Malformed++
}

func (pl *Pipeline) evict(slot *layerCount, key uint32) {
	pl.addKey(&pl.counted, slot.key, slot.frames)
	*slot = layerCount{key: key}
}

func keyOf(p *Packet) uint32 {
	key := uint32(p.Layers)
	if p.Truncated {
		key |= keyTruncated
	}
	return key
}

func (pl *Pipeline) addKey(c *Counters, key uint32, n uint64) {
	c.Frames += n
	if key&keyTruncated != 0 {
		c.Truncated += n
	}
	c.addLayers(Layers(key&^keyTruncated), n)
}

// Counters returns what was counted since the pipeline was made. Call it from the goroutine that calls WriteFrame.
func (pl *Pipeline) Counters() Counters {
	c := pl.counted
	for i := range pl.seen {
		if s := &pl.seen[i]; s.frames != 0 {
			pl.addKey(&c, s.key, s.frames)
		}
	}
	c.Octets += pl.octets
	c.WireOctets += pl.wireOctets
	return c
}
