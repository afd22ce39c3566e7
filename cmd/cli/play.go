package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
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
	synth         string
	salvage       bool
	memoryLimit   octetsFlag
	noFlowStats   bool
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
	addSynth(fs, &p.synth)
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
	spans := slices.Clone(*r)
	for _, item := range strings.Split(list, ",") {
		item = strings.TrimSpace(item)
		first, last, dash := strings.Cut(item, "-")
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
		if err1 != nil || err2 != nil || s.first == 0 || s.last < s.first || item == "-" {
			return fmt.Errorf("%q is not a list of packet numbers such as 1-5,9,72-", item)
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
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
	edits, err := p.edits()
	if err != nil {
		return err
	}
	if flags := edits.Sided(); flags != "" && p.cachefile == "" {
		return usagef("%s: there is a value for each side, and only --cachefile tells who sends a frame (see 'split')", flags)
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
	ctx    context.Context
	base   passes
	names  []string // of the captures
	closer func() error
	frames int64 // of a pass; -1 unknown
	asked  int   // passes; 0: without end

	include, exclude rangesFlag
	cache            *split.Cache
	cachefile        string
	editor           *rewrite.Editor
	looked           bool           // whether link is of a frame that was seen
	link             parse.LinkType // that the editor can take
	edits            string
	mover            *rewrite.Mover
	moveEvery        int
	flows            *flow.Table
	counting         *parse.Pipeline

	edited, moved  parse.Frame
	out            parse.Frame // given last
	uncounted      bool        // out is in flows only when the next one is asked for
	put            bool        // and only if it, or a part of it, was put on a wire
	finished       bool        // base gave all
	given, counted uint64
	begun          uint64       // given before this pass
	pass           atomic.Int64 // read by others too
	number         uint64       // of the frame in its pass, from 1
	side           int          // 0: the client's, first interface
	counts         playReport
}

// playReport is what became of frames before they came to the interface.
type playReport struct {
	Read     uint64              `json:"read"`
	Excluded uint64              `json:"excluded"`         // by --include, --exclude or the cache
	Deleted  uint64              `json:"deleted"`          // by an edit
	Held     uint64              `json:"held"`             // read when the run ended, before they were due
	Passes   int                 `json:"passes"`           // begun
	Edited   *rewrite.EditReport `json:"edited,omitempty"` // with edits
	Moved    *rewrite.MoveReport `json:"moved,omitempty"`  // with --unique-ip
}

func (r *playReport) lines() []string {
	var lines []string
	if r.Excluded+r.Deleted > 0 {
		lines = append(lines, fmt.Sprintf("Left out: of %d packets %d not chosen, %d deleted by edits", r.Read, r.Excluded, r.Deleted))
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
	NoFlow  uint64 `json:"no_flow"` // the others: without an IP header, or damaged
	AtMost  bool   `json:"at_most"` // the table was too small: some flows may be counted twice
}

// flowTable holds this many flows at once; its memory is taken as they come.
const flowTable = 1 << 20

// open opens the captures. limit is how many frames are wanted at most; 0 is all.
func (p *playFlags) open(ctx context.Context, a *app, args []string, limit uint64) (_ *player, err error) {
	pl := &player{ctx: ctx, names: args, asked: p.loop, include: p.include, exclude: p.exclude, cachefile: p.cachefile, frames: -1, closer: func() error { return nil }}
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
	if !p.noFlowStats {
		if pl.flows, err = flow.New(flow.Config{Capacity: flowTable, IdleTimeout: time.Duration(math.MaxInt64), OneWay: true}); err != nil {
			return nil, err
		}
		pl.counting = parse.NewPipeline(parse.DirectEngine(), pl.flows)
	}
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
	return nil
}

// loaded reads the captures into memory.
func (p *playFlags) loaded(ctx context.Context, a *app, args []string, limit uint64) (*arena.Frames, error) {
	defer a.interruptible(ctx, args, func() {})()
	bar := a.octetsBar("reading")
	defer bar.done()
	cfg := datasets.LoadConfig{OpenConfig: datasets.OpenConfig{Salvage: p.salvage, Stdin: a.stdin}, MemoryLimit: int64(p.memoryLimit), Progress: bar.set, Merge: p.merge, Continue: !p.merge,
		Instead: "or leave out -K to read them while sending"}
	if edits, _ := p.edits(); p.loop == 1 && len(p.include) == 0 && len(p.exclude) == 0 && p.cachefile == "" && !p.merge && edits.Zero() {
		cfg.Packets = limit // each frame read is one sent
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
	if err := pl.count(); err != nil {
		return err
	}
	for {
		if err := pl.base.Next(f); err != nil {
			pl.finished = err == io.EOF
			return err
		}
		if pass := int64(pl.base.Loop()); pass != pl.pass.Load() {
			if err := pl.turn(pass); err != nil {
				return err
			}
		}
		pl.number++
		pl.counts.Read++
		if pl.counts.Read%1024 == 0 { // nobody else looks while none is given
			if err := pl.ctx.Err(); err != nil {
				pl.counts.Held++
				return err
			}
		}
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
		if pl.editor != nil {
			if !pl.looked || f.Link != pl.link {
				pl.looked, pl.link = true, f.Link
				if err := pl.editor.CheckLink(f.Link); err != nil {
					return fmt.Errorf("packet %d: %w", pl.number, err)
				}
			}
			if pl.editor.Edit(f, &pl.edited, pl.side == 1) == rewrite.Deleted {
				pl.counts.Deleted++
				continue
			}
			*f = pl.edited
		}
		if pl.mover != nil {
			pl.mover.Move(f, &pl.moved, uint32(pl.pass.Load()/int64(pl.moveEvery)))
			*f = pl.moved
		}
		if pl.flows != nil {
			pl.out, pl.uncounted, pl.put = *f, true, false
		}
		pl.given++
		return nil
	}
}

// tap returns a function that sees what is put on a wire, of which next, where given, sees all too.
func (pl *player) tap(next func(side int, data []byte)) func(side int, data []byte) {
	if pl.flows == nil {
		return next
	}
	return func(side int, data []byte) {
		pl.put = true
		if next != nil {
			next(side, data)
		}
	}
}

// count brings the frame given last into the flows, if it was sent.
func (pl *player) count() error {
	if !pl.uncounted {
		return nil
	}
	pl.uncounted = false
	if !pl.put { // left out: above the MTU, or shorter than a link header
		return nil
	}
	pl.counted++
	return pl.counting.WriteFrame(&pl.out)
}

// ended says how many frames the run took; one that was given and not taken is in no flow.
func (pl *player) ended(taken uint64) error {
	pl.counts.Held += pl.given - taken
	if pl.given > taken {
		return nil
	}
	return pl.count()
}

// Loop returns how many passes are complete.
func (pl *player) Loop() int { return pl.base.Loop() }

// turn begins another pass. io.EOF ends the run where a whole pass gave no frame: no other would.
func (pl *player) turn(pass int64) error {
	if pl.cache != nil && pl.number != pl.cache.Len() {
		return pl.mismatch(strconv.FormatUint(pl.number, 10))
	}
	if pl.given == pl.begun {
		return io.EOF
	}
	pl.pass.Store(pass)
	pl.number, pl.begun = 0, pl.given
	return nil
}

// where says which packet was read last.
func (pl *player) where() string {
	name := strings.Join(pl.names, ", ")
	if s, ok := pl.base.(*datasets.Series); ok && len(pl.names) > 1 {
		name = pl.names[s.File()]
	}
	if len(pl.names) > 1 {
		return fmt.Sprintf("%s: packet %d of the pass", name, pl.number)
	}
	return fmt.Sprintf("%s: packet %d", name, pl.number)
}

// mismatch says that the cache is of another capture.
func (pl *player) mismatch(frames string) error {
	return fmt.Errorf("%s is for %d packets, the captures have %s: it was made from another capture", pl.cachefile, pl.cache.Len(), frames)
}

// complete finds what shows only at the end.
func (pl *player) complete() error {
	if pl.cache != nil && pl.finished && pl.number != pl.cache.Len() {
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

func (pl *player) report() playReport {
	r := pl.counts
	r.Passes = int(pl.pass.Load()) + 1
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
	return &flowCounts{Flows: c.Seen, Packets: c.Packets, NoFlow: pl.counted - c.Packets, AtMost: c.Evicted > 0}
}

// pipeGrace is how long after a signal a run may go on that reads a named pipe.
const pipeGrace = 100 * time.Millisecond

// stream opens captures that are read while they are sent.
func (p *playFlags) stream(ctx context.Context, a *app, args []string, pl *player) error {
	in, release := a.stdin, func() {}
	if slices.Contains(args, stdin) {
		in, release = a.cancellable(ctx)
	}
	// A run that does not wait for a named pipe ends by itself, and says what it sent.
	waiting, expire := context.WithCancel(context.Background())
	context.AfterFunc(ctx, func() { time.AfterFunc(pipeGrace, expire) })
	undo := a.interruptible(waiting, slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == stdin }), func() {})
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
