package scenario

import (
	"context"
	"fmt"
	"math"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay"
)

// traffic makes the frames of a row, as often as asked.
type traffic struct {
	row    *Row
	seed   uint64
	frames *arena.Frames // of a capture
}

func openTraffic(ctx context.Context, row *Row, seed uint64) (*traffic, error) {
	t := &traffic{row: row, seed: seed}
	if row.Kind != KindCapture {
		return t, nil
	}
	frames, _, err := datasets.Load(ctx, []string{row.Capture}, datasets.LoadConfig{})
	if err != nil {
		return nil, err
	}
	if frames.Len() == 0 {
		frames.Close()
		return nil, fmt.Errorf("%s: no frames to feed", row.Capture)
	}
	frames.Touch()
	t.frames = frames
	return t, nil
}

func (t *traffic) mapped() int64 {
	if t.frames == nil {
		return 0
	}
	return t.frames.MappedOctets()
}

// link is the link type of the frames; of a capture with several, that of the first.
func (t *traffic) link() parse.LinkType {
	if t.frames == nil {
		return parse.LinkEthernet
	}
	return t.frames.Links()[0]
}

func (t *traffic) close() {
	if t.frames != nil {
		t.frames.Close()
	}
}

// endless is how long a stream is for a closed loop, which takes as much as it can within its own duration.
const endless = maxSeconds

// source returns the frames of the row; closed is the duration of a closed loop, else 0.
func (t *traffic) source(closed time.Duration) (replay.Source, error) {
	if t.frames != nil {
		loops := 1
		if closed > 0 || t.row.Seconds > 0 {
			loops = 0
		}
		return t.frames.Source(0, t.frames.Len(), loops, true), nil
	}
	s := t.row.Stream()
	if closed > 0 {
		s.Blocks, s.Duration = 0, endless*time.Second
	}
	return s.Open(t.seed)
}

// load sets the pacer and the end of a trial.
func (t *traffic) load(cfg *replay.Config, closed time.Duration) (err error) {
	cfg.Pacer, cfg.Duration = nil, closed
	if closed > 0 {
		return nil
	}
	switch {
	case t.row.Kind == KindCapture && t.row.PPS > 0:
		cfg.Pacer, err = replay.ConstantPPS(t.row.PPS)
	case t.row.Kind == KindCapture && t.row.BitPerSecond > 0:
		cfg.Pacer, err = replay.ConstantBits(t.row.BitPerSecond)
	default:
		cfg.Pacer, err = replay.Recorded(1, 0)
	}
	if t.row.Kind == KindCapture {
		cfg.Duration = seconds(t.row.Seconds)
	}
	return err
}

// calibrationFrames is how many frames the feed's own cost is found on, and calibrationRounds how often.
const (
	calibrationFrames = 20_000
	calibrationRounds = 3
)

// feedCost is the feed's own time for a frame in ns, the making of the frame included: the quickest of a few rounds.
func (t *traffic) feedCost(ctx context.Context, cfg replay.Config) (float64, error) {
	cfg.Frames = calibrationFrames
	best := math.Inf(1)
	for range calibrationRounds {
		src, err := t.source(endless * time.Second) // a short row would show what the first frames cost
		if err != nil {
			return 0, err
		}
		ns, err := replay.Calibrate(ctx, cfg, src)
		if err != nil {
			return 0, fmt.Errorf("calibrate the feed: %w", err)
		}
		best = min(best, ns)
	}
	return best, nil
}

// Packets returns how many frames the row sends, and on how many octets of wire; of a capture, 0.
func (r *Row) Packets() (frames, wireOctets uint64, err error) {
	if r.Kind == KindCapture {
		return 0, 0, nil
	}
	c, err := r.Stream().Count()
	return c.Frames, c.WireOctets, err
}
