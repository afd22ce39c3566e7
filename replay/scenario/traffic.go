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
	cfg.Pacer, cfg.Duration, cfg.Frames = nil, closed, 0
	if closed > 0 {
		return nil
	}
	if cfg.Pacer, err = t.pacer(); err != nil {
		return err
	}
	switch {
	case t.row.Kind != KindCapture:
	case t.row.CutSeconds > 0:
		cfg.Frames, err = t.framesWithin(seconds(t.row.CutSeconds))
	default:
		cfg.Duration = seconds(t.row.Seconds)
	}
	return err
}

func (t *traffic) pacer() (replay.Pacer, error) {
	switch {
	case t.row.Kind == KindCapture && t.row.PPS > 0:
		return replay.ConstantPPS(t.row.PPS)
	case t.row.Kind == KindCapture && t.row.BitPerSecond > 0:
		return replay.ConstantBits(t.row.BitPerSecond)
	}
	return replay.Recorded(1, 0)
}

// framesWithin returns how many frames of a capture that is fed once are due before limit.
func (t *traffic) framesWithin(limit time.Duration) (uint64, error) {
	pacer, err := t.pacer()
	if err != nil {
		return 0, err
	}
	var p replay.Position
	var f parse.Frame
	var first int64
	for i := range t.frames.Len() {
		t.frames.Frame(i, &f)
		if i == 0 {
			first = f.UnixNano
		}
		p.Capture = time.Duration(f.UnixNano - first)
		if pacer.Due(p) >= limit {
			break
		}
		p.Frame++
		p.Octets += uint64(f.WireLen)
	}
	return p.Frame, nil
}

// calibrationFrames is how many frames the feed's own cost is found on, and calibrationRounds how often.
const (
	calibrationFrames = 20_000
	calibrationRounds = 3
)

// feedCost is the feed's own time for a frame in ns, the making of the frame included: the quickest of a few rounds.
func (t *traffic) feedCost(ctx context.Context, cfg replay.Config) (float64, error) {
	cfg.Frames, cfg.Duration = calibrationFrames, 0
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
