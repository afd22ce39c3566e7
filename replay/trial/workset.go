package trial

import (
	"errors"
	"fmt"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
)

// Cache states of the frames that are fed.
const (
	CacheHot  = "hot"   // a sample of at most half of L2, looped: frames are in cache
	CacheCold = "cold"  // at least four times the last-level cache: frames come from memory
	CacheAsIs = "as-is" // the capture once, wherever that is
)

// Caches are the sizes that decide working sets, in octets; 0 is unknown.
type Caches struct {
	L2  int64 `json:"l2_octets"`
	LLC int64 `json:"llc_octets"`
}

// Sizes assumed where the machine does not tell: those of the smallest board (hot) and of a large server (cold).
const (
	assumedL2  = 128 << 10
	assumedLLC = 64 << 20
)

// frameOverhead is what the arena's index adds to a frame.
const frameOverhead = 24

// WorkingSetConfig says what to feed.
type WorkingSetConfig struct {
	Cache         string // CacheHot, CacheCold or CacheAsIs
	Caches        Caches
	MemoryLimit   int64 // octets
	MoveAddresses bool  // copies of the capture get addresses of their own
	Passes        int   // copies of a CacheAsIs set; 0 and 1: the capture itself
}

// WorkingSet returns frames to feed in a loop so that they are in the cache state: fr itself where it is right as it is,
// else a new arena, which the caller closes.
//
// Hot frames are a sample: one frame drawn from each of equal stretches of the capture, so that shares and order stay.
// Cold frames are whole copies of the capture, as many as it takes. Where the memory limit allows too few, llc tells that
// the set may fit the last-level cache.
func WorkingSet(fr *arena.Frames, cfg WorkingSetConfig) (set *arena.Frames, llc bool, err error) {
	if fr.Len() == 0 {
		return nil, false, errors.New("no frames to feed")
	}
	size := footprint(fr)
	switch cfg.Cache {
	case CacheHot:
		want := cfg.Caches.L2 / 2
		if cfg.Caches.L2 <= 0 {
			want = assumedL2 / 2
		}
		if size <= want {
			return fr, false, nil
		}
		set, err = sample(fr, want)
		return set, false, err
	case CacheCold:
		want := 4 * cfg.Caches.LLC
		if cfg.Caches.LLC <= 0 {
			want = 4 * assumedLLC
		}
		if size >= want {
			return fr, false, nil
		}
		copies := (want + size - 1) / size
		if room := cfg.MemoryLimit / size; copies > room {
			copies, llc = room, true
		}
		if copies <= 1 {
			return fr, llc, nil
		}
		set, err = repeat(fr, int(copies), cfg.MoveAddresses)
		return set, llc, err
	case CacheAsIs:
		if cfg.Passes <= 1 {
			return fr, false, nil
		}
		if size > cfg.MemoryLimit/int64(cfg.Passes) {
			return nil, false, fmt.Errorf("%d passes of %d octets: %w (%d octets); take fewer, or raise --memory-limit",
				cfg.Passes, size, arena.ErrLimit, cfg.MemoryLimit)
		}
		set, err = repeat(fr, cfg.Passes, cfg.MoveAddresses)
		return set, false, err
	}
	return nil, false, fmt.Errorf("cache state %q: want %s, %s or %s", cfg.Cache, CacheHot, CacheCold, CacheAsIs)
}

// footprint is what the frames take in memory, in octets.
func footprint(fr *arena.Frames) int64 { return int64(fr.Octets()) + int64(fr.Len())*frameOverhead }

// sample copies about octets worth of frames: from each of n equal stretches one frame, drawn by a fixed generator so that
// a capture's own period cannot beat with the stride.
func sample(fr *arena.Frames, octets int64) (*arena.Frames, error) {
	mean := int64(fr.Octets())/int64(fr.Len()) + frameOverhead
	n := int(min(max(1, octets/mean), int64(fr.Len())))
	return build(octets+1<<16, func(b *arena.Builder) error {
		var f parse.Frame
		var used int64
		state := uint64(1)
		for i := range n {
			from := int(int64(i) * int64(fr.Len()) / int64(n))
			to := int(int64(i+1) * int64(fr.Len()) / int64(n))
			state = state*6364136223846793005 + 1442695040888963407
			fr.Frame(from+int((state>>33)%uint64(to-from)), &f)
			used += int64(len(f.Data)) + frameOverhead
			if used > octets && b.Len() > 0 {
				return nil
			}
			if err := b.Append(&f); err != nil {
				return err
			}
		}
		return nil
	})
}

// repeat copies a capture, times going on. With move each copy but the first has its own addresses.
func repeat(fr *arena.Frames, copies int, move bool) (*arena.Frames, error) {
	return build(footprint(fr)*int64(copies)+1<<16, func(b *arena.Builder) error {
		src := fr.Source(0, fr.Len(), copies, true)
		var mover rewrite.Mover
		var in, out parse.Frame
		for src.Next(&in) == nil {
			f := &in
			if move {
				mover.Move(&in, &out, uint32(src.Loop()))
				f = &out
			}
			if err := b.Append(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// Split deals frames to workers by the hash of their five-tuple, both directions of a flow to the same worker, order kept.
// Frames without a five-tuple go to the first. The parts are new arenas.
func Split(fr *arena.Frames, workers int) ([]*arena.Frames, error) {
	if workers < 1 || workers > maxWorkers {
		return nil, fmt.Errorf("%d workers: want 1 to %d", workers, maxWorkers)
	}
	size := footprint(fr)
	builders := make([]*arena.Builder, workers)
	parts := make([]*arena.Frames, 0, workers)
	fail := func(err error) ([]*arena.Frames, error) {
		for _, b := range builders {
			if b != nil {
				b.Close()
			}
		}
		closeAll(parts)
		return nil, err
	}
	for i := range builders {
		b, err := arena.NewBuilder(size + 1<<16)
		if err != nil {
			return fail(err)
		}
		builders[i] = b
	}
	var f parse.Frame
	worker := 0
	hash := hashStage{workers: uint64(workers), worker: &worker}
	pipeline := parse.NewPipeline(parse.DirectEngine(), &hash)
	for i := range fr.Len() {
		fr.Frame(i, &f)
		worker = 0
		if err := pipeline.WriteFrame(&f); err != nil {
			return fail(err)
		}
		if err := builders[worker].Append(&f); err != nil {
			return fail(err)
		}
	}
	for _, b := range builders {
		part, err := b.Finish()
		if err != nil {
			return fail(err)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

type hashStage struct {
	workers uint64
	worker  *int
}

func (h *hashStage) Process(_ *parse.Frame, p *parse.Packet) error {
	if p.Layers&(parse.LayerIPv4|parse.LayerIPv6) != 0 {
		*h.worker = int(p.Tuple.SymmetricHash(0) % h.workers)
	}
	return nil
}

// Resize gives all frames a size and returns them in a new arena of at most memoryLimit octets. The report tells which
// frames could not be resized and are as they were.
func Resize(fr *arena.Frames, size rewrite.Size, memoryLimit int64) (*arena.Frames, rewrite.Report, error) {
	resizer, err := rewrite.NewResizer(size)
	if err != nil {
		return nil, rewrite.Report{}, err
	}
	resized, err := build(memoryLimit, func(b *arena.Builder) error {
		var in, out parse.Frame
		for i := range fr.Len() {
			fr.Frame(i, &in)
			resizer.Resize(&in, &out)
			if err := b.Append(&out); err != nil {
				return err
			}
		}
		return nil
	})
	return resized, resizer.Report(), err
}

// Moving returns what WorkingSet does to the frames in a copy that gets addresses of its own.
func Moving(fr *arena.Frames) rewrite.MoveReport {
	var m rewrite.Mover
	var in, out parse.Frame
	for i := range fr.Len() {
		fr.Frame(i, &in)
		m.Move(&in, &out, 1)
	}
	return m.Report()
}

// Edit makes edits in frames and returns them in a new arena of at most memoryLimit octets. who tells whether the server sends
// frame i, from 0, and whether it is sent: one that is not is left out, as are those that the edits delete, and only the latter
// are in the report. Where who is nil, all are sent by the client. The report tells in which frames an edit could not be made.
func Edit(fr *arena.Frames, edits rewrite.Edits, who func(i int) (fromServer, sent bool), memoryLimit int64) (*arena.Frames, rewrite.EditReport, error) {
	editor, err := rewrite.NewEditor(edits)
	if err != nil {
		return nil, rewrite.EditReport{}, err
	}
	edited, err := build(memoryLimit, func(b *arena.Builder) error {
		var in, out parse.Frame
		var link parse.LinkType
		looked, fromServer, sent := false, false, true
		for i := range fr.Len() {
			if who != nil {
				if fromServer, sent = who(i); !sent {
					continue
				}
			}
			fr.Frame(i, &in)
			if !looked || in.Link != link {
				looked, link = true, in.Link
				if err := editor.CheckLink(link); err != nil {
					return fmt.Errorf("frame %d: %w", i+1, err)
				}
			}
			if editor.Edit(&in, &out, fromServer) == rewrite.Deleted {
				continue
			}
			if err := b.Append(&out); err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, editor.Report(), fmt.Errorf("edits: %w", err)
	case edited.Len() == 0:
		edited.Close()
		return nil, editor.Report(), fmt.Errorf("no frame is left of %d: %d are not to be sent by the cache file, and edits deleted %d", fr.Len(), uint64(fr.Len())-editor.Report().Frames, editor.Report().Deleted)
	}
	return edited, editor.Report(), nil
}

func build(limit int64, fill func(*arena.Builder) error) (*arena.Frames, error) {
	b, err := arena.NewBuilder(limit)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if err := fill(b); err != nil {
		return nil, err
	}
	return b.Finish()
}

func closeAll(parts []*arena.Frames) {
	for _, p := range parts {
		p.Close()
	}
}
