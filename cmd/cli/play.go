package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pcaplab/datasets"
	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/parse/flow"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/split"
)

// playFlags say which frames a replay sends.
type playFlags struct {
	editFlags
	loop          int
	merge         bool
	include       rangesFlag
	exclude       rangesFlag
	preload       bool
	uniqueIP      bool
	uniqueIPLoops int
	cachefile     string
	seed          uint64
	salvage       bool
	memoryLimit   octetsFlag
}

func (p *playFlags) add(fs *pflag.FlagSet) {
	fs.IntVarP(&p.loop, "loop", "l", 1, "play the captures so many times; 0: without end")
	fs.BoolVar(&p.merge, "merge", false, "play several captures together, in order of capture time, instead of one after another")
	fs.Var(&p.include, "include", "send only packets of these numbers of a pass, from 1, as 1-5,9,72-")
	fs.Var(&p.exclude, "exclude", "send all packets but these")
	fs.BoolVarP(&p.preload, "preload-pcap", "K", false, "read the captures into memory first")
	fs.BoolVar(&p.uniqueIP, "unique-ip", false, "other IP addresses in each pass, so that it brings new flows")
	fs.IntVar(&p.uniqueIPLoops, "unique-ip-loops", 1, "with --unique-ip: other addresses every so many passes")
	fs.StringVarP(&p.cachefile, "cachefile", "c", "", "file of 'split' or tcpprep: which frames are the server's, and which are sent")
	fs.Uint64Var(&p.seed, "seed", 1, "of synthetic traffic and random arrivals")
	fs.BoolVar(&p.salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.Var(&p.memoryLimit, "memory-limit", "with -K: most memory for captures, as 512MiB or 2G (default: half of what is available)")
	p.editFlags.add(fs, false)
}

// rangesFlag is a list of packet numbers.
type rangesFlag []span

// span is the packets first to last, of which both are in it.
type span struct{ first, last uint64 }

func (r *rangesFlag) Type() string { return "list" }

func (r *rangesFlag) String() string {
	var parts []string
	for _, s := range *r {
		switch {
		case s.last == math.MaxUint64:
			parts = append(parts, fmt.Sprintf("%d-", s.first))
		case s.last == s.first:
			parts = append(parts, strconv.FormatUint(s.first, 10))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", s.first, s.last))
		}
	}
	return strings.Join(parts, ",")
}

func (r *rangesFlag) Set(list string) error {
	var spans []span
	for _, item := range strings.Split(list, ",") {
		first, last, dash := strings.Cut(strings.TrimSpace(item), "-")
		s := span{first: 1, last: math.MaxUint64}
		var err1, err2 error
		if first != "" || !dash {
			s.first, err1 = strconv.ParseUint(first, 10, 64)
		}
		if !dash {
			s.last = s.first
		} else if last != "" {
			s.last, err2 = strconv.ParseUint(last, 10, 64)
		}
		if err1 != nil || err2 != nil || s.first == 0 || s.last < s.first {
			return fmt.Errorf("%q is not a list of packet numbers such as 1-5,9,72-", item)
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	// Merged, so that a binary search finds.
	merged := spans[:1]
	for _, s := range spans[1:] {
		if top := &merged[len(merged)-1]; s.first <= top.last || s.first == top.last+1 {
			top.last = max(top.last, s.last)
		} else {
			merged = append(merged, s)
		}
	}
	*r = merged
	return nil
}

func (r rangesFlag) has(n uint64) bool {
	_, found := slices.BinarySearchFunc(r, n, func(s span, n uint64) int {
		switch {
		case s.last < n:
			return -1
		case s.first > n:
			return 1
		}
		return 0
	})
	return found
}

func (p *playFlags) check(fs *pflag.FlagSet, args []string) error {
	if p.loop < 0 {
		return usagef("--loop %d: want 0 or more", p.loop)
	}
	if p.uniqueIPLoops < 1 || fs.Changed("unique-ip-loops") && !p.uniqueIP {
		return usagef("--unique-ip-loops: want 1 or more, and --unique-ip")
	}
	if len(p.include) > 0 && len(p.exclude) > 0 {
		return usagef("--include and --exclude: give one")
	}
	if fs.Changed("memory-limit") && !p.preload {
		return usagef("--memory-limit is for -K: without it memory does not grow with the captures")
	}
	if _, err := p.edits(); err != nil {
		return err
	}
	c := captureFlags{seed: p.seed}
	return c.check(args)
}

// passes are frames that may come several times over.
type passes interface {
	Next(f *parse.Frame) error
	Loop() int // passes complete
}

// player is the source of a replay: frames of captures, chosen, edited and counted.
type player struct {
	base   passes
	closer func() error
	frames int64 // of a pass; -1 unknown
	asked  int   // passes; 0: without end

	include, exclude rangesFlag
	cache            *split.Cache
	cachefile        string
	editor           *rewrite.Editor
	edits            string
	mover            *rewrite.Mover
	moveEvery        int
	flows            *flow.Table
	counting         *parse.Pipeline

	in, edited, moved parse.Frame
	pass              int
	number            uint64 // of the frame in its pass, from 1
	side              int    // 0: the client's, first interface
	counts            playReport
}

// playReport is what became of frames before they came to the interface.
type playReport struct {
	Read     uint64              `json:"read"`
	Excluded uint64              `json:"excluded"`         // by --include, --exclude or the cache
	Deleted  uint64              `json:"deleted"`          // by an edit
	Passes   int                 `json:"passes"`           // begun
	Edited   *rewrite.EditReport `json:"edited,omitempty"` // with edits
	Moved    *rewrite.MoveReport `json:"moved,omitempty"`  // with --unique-ip
}

func (r *playReport) lines() []string {
	var lines []string
	if r.Excluded+r.Deleted > 0 {
		lines = append(lines, fmt.Sprintf("Left out: %d of %d packets not chosen, %d deleted by edits", r.Excluded, r.Read, r.Deleted))
	}
	if r.Edited != nil {
		lines = append(lines, "Edited: "+r.Edited.String())
	}
	if r.Moved != nil {
		lines = append(lines, "Unique IP: "+r.Moved.String())
	}
	return lines
}

// flowCounts are the flows of what was sent, each direction by itself, as tcpreplay counts them.
type flowCounts struct {
	Flows   uint64 `json:"flows"`
	Packets uint64 `json:"packets"` // that belong to one
	NoFlow  uint64 `json:"no_flow"`
	AtMost  bool   `json:"at_most"` // the table was too small: some flows may be counted twice
}

// flowTable holds this many flows at once; its memory is taken as they come.
const flowTable = 1 << 20

// open opens the captures. limit is how many frames are wanted at most; 0 is all.
func (p *playFlags) open(ctx context.Context, a *app, args []string, limit uint64) (_ *player, err error) {
	pl := &player{asked: p.loop, include: p.include, exclude: p.exclude, cachefile: p.cachefile, frames: -1, closer: func() error { return nil }}
	edits, err := p.edits()
	if err != nil {
		return nil, err
	}
	if !edits.Zero() {
		if pl.editor, err = rewrite.NewEditor(edits); err != nil {
			return nil, usageError{err}
		}
		pl.edits = edits.String()
	}
	if p.uniqueIP {
		pl.mover, pl.moveEvery = &rewrite.Mover{}, p.uniqueIPLoops
	}
	if p.cachefile != "" {
		if pl.cache, err = split.Open(p.cachefile); err != nil {
			return nil, err
		}
	}
	if pl.flows, err = flow.New(flow.Config{Capacity: flowTable, IdleTimeout: time.Duration(math.MaxInt64), OneWay: true}); err != nil {
		return nil, err
	}
	pl.counting = parse.NewPipeline(parse.DirectEngine(), pl.flows)
	if err := p.source(ctx, a, args, limit, pl); err != nil {
		return nil, err
	}
	if pl.cache != nil && pl.frames >= 0 && uint64(pl.frames) != pl.cache.Len() {
		return nil, errors.Join(pl.mismatch(fmt.Sprintf("%d", pl.frames)), pl.closer())
	}
	return pl, nil
}

// source opens what the frames come from.
func (p *playFlags) source(ctx context.Context, a *app, args []string, limit uint64, pl *player) error {
	synthetic := strings.HasPrefix(args[0], synthPrefix)
	if !synthetic && !p.preload {
		return p.stream(ctx, a, args, pl)
	}
	var frames *arena.Frames
	var err error
	if synthetic {
		c := captureFlags{seed: p.seed}
		memory := int64(p.memoryLimit)
		if memory == 0 {
			memory = datasets.DefaultMemoryLimit()
		}
		frames, _, err = c.synthesize(ctx, args[0], memory)
	} else {
		frames, err = p.loaded(ctx, a, args, limit)
	}
	if err != nil {
		return err
	}
	pl.base, pl.closer, pl.frames = frames.Source(0, frames.Len(), p.loop, true), frames.Close, int64(frames.Len())
	if frames.Len() == 0 {
		pl.frames = 0
	}
	return nil
}

// loaded reads the captures into memory.
func (p *playFlags) loaded(ctx context.Context, a *app, args []string, limit uint64) (*arena.Frames, error) {
	defer a.interruptible(ctx, args, func() {})()
	bar := a.octetsBar("reading")
	defer bar.done()
	cfg := datasets.LoadConfig{OpenConfig: datasets.OpenConfig{Salvage: p.salvage, Stdin: a.stdin}, MemoryLimit: int64(p.memoryLimit), Progress: bar.set, Merge: p.merge, Continue: !p.merge}
	if p.loop == 1 && len(p.include) == 0 && len(p.exclude) == 0 && p.cachefile == "" && !p.merge {
		cfg.Packets = limit
	}
	frames, facts, err := datasets.Load(ctx, args, cfg)
	for _, f := range facts {
		for _, l := range f.Losses {
			a.note("%s: %v", f.File, l)
		}
	}
	return frames, err
}

// Next implements replay.Source. The times of frames are those of the captures.
func (pl *player) Next(f *parse.Frame) error {
	for {
		if err := pl.base.Next(&pl.in); err != nil {
			return err
		}
		if pass := pl.base.Loop(); pass != pl.pass {
			if err := pl.turn(pass); err != nil {
				return err
			}
		}
		pl.number++
		pl.counts.Read++
		if len(pl.include) > 0 && !pl.include.has(pl.number) || pl.exclude.has(pl.number) {
			pl.counts.Excluded++
			continue
		}
		if pl.cache != nil {
			if pl.number > pl.cache.Len() {
				return pl.mismatch("more")
			}
			if !pl.cache.Send(pl.number - 1) {
				pl.counts.Excluded++
				continue
			}
			pl.side = int(pl.cache.Side(pl.number - 1))
		}
		from := &pl.in
		if pl.editor != nil {
			if pl.editor.Edit(from, &pl.edited, pl.side == 1) == rewrite.Deleted {
				pl.counts.Deleted++
				continue
			}
			from = &pl.edited
		}
		if pl.mover != nil {
			pl.mover.Move(from, &pl.moved, uint32(pl.pass/pl.moveEvery))
			from = &pl.moved
		}
		if pl.flows != nil {
			if err := pl.counting.WriteFrame(from); err != nil {
				return err
			}
		}
		*f = *from
		return nil
	}
}

// Loop returns how many passes are complete.
func (pl *player) Loop() int { return pl.base.Loop() }

// turn begins another pass.
func (pl *player) turn(pass int) error {
	if pl.cache != nil && pl.number != pl.cache.Len() {
		return pl.mismatch(strconv.FormatUint(pl.number, 10))
	}
	pl.pass, pl.number = pass, 0
	return nil
}

// mismatch says that the cache is of another capture.
func (pl *player) mismatch(frames string) error {
	return fmt.Errorf("%s is for %d packets, the captures have %s: it was made from another capture", pl.cachefile, pl.cache.Len(), frames)
}

// complete finds what shows only at the end.
func (pl *player) complete() error {
	if pl.cache != nil && pl.asked > 0 && pl.base.Loop() == pl.asked && pl.number != pl.cache.Len() {
		return pl.mismatch(strconv.FormatUint(pl.number, 10))
	}
	return nil
}

func (pl *player) close() error { return pl.closer() }

// total returns how many frames come in all, -1 if that is not known.
func (pl *player) total() int64 {
	if pl.frames < 0 || pl.asked == 0 {
		return -1
	}
	return pl.frames * int64(pl.asked)
}

func (pl *player) loops() int { return pl.pass }

func (pl *player) report() playReport {
	r := pl.counts
	r.Passes = pl.pass + 1
	if pl.editor != nil {
		e := pl.editor.Report()
		r.Edited = &e
	}
	if pl.mover != nil {
		m := pl.mover.Report()
		r.Moved = &m
	}
	return r
}

func (pl *player) flowCounts() *flowCounts {
	if pl.flows == nil {
		return nil
	}
	c := pl.flows.Counters()
	return &flowCounts{Flows: c.Seen, Packets: c.Packets, NoFlow: c.NoFlow, AtMost: c.Evicted > 0}
}

// stream opens captures that are read while they are sent.
func (p *playFlags) stream(ctx context.Context, a *app, args []string, pl *player) error {
	in, release := a.cancellable(ctx)
	undo := a.interruptible(ctx, slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == stdin }), func() {})
	series, err := datasets.OpenSeries(args, datasets.SeriesConfig{
		OpenConfig: datasets.OpenConfig{Salvage: p.salvage, Stdin: in}, Merge: p.merge, Loops: p.loop,
		Ended: func(f datasets.FileFacts) {
			for _, l := range f.Losses {
				a.note("%s: %v", f.File, l)
			}
		},
	})
	if err != nil {
		undo()
		release()
		return err
	}
	pl.base = series
	pl.closer = func() error {
		undo()
		release()
		return series.Close()
	}
	return nil
}

// cancellable returns standard input as a reader that fails when ctx is done, where it is a pipe. release undoes it.
func (a *app) cancellable(ctx context.Context) (in io.Reader, release func()) {
	file, ok := a.stdin.(*os.File)
	if !ok {
		return a.stdin, func() {}
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeSocket) == 0 {
		return a.stdin, func() {}
	}
	// A copy that does not block has deadlines.
	again, err := nonBlocking(file)
	if err != nil {
		return a.stdin, func() {}
	}
	stop := context.AfterFunc(ctx, func() { _ = again.SetReadDeadline(time.Now()) })
	return cancelledReader{ctx, again}, func() {
		stop()
		again.Close()
		blocking(file)
	}
}

// cancelledReader says why reading ended.
type cancelledReader struct {
	ctx context.Context
	in  io.Reader
}

func (r cancelledReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) && r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	return n, err
}
