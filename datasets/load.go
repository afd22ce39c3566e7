package datasets

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"pcaplab/datasets/arena"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// ErrMemory says that captures do not fit into the memory limit.
var ErrMemory = errors.New("memory limit reached")

// LoadConfig says how to load captures. The zero value is the default.
type LoadConfig struct {
	OpenConfig
	// MemoryLimit is the most that frames and their index may take, in octets. 0 means half of the memory that the system
	// calls available, 1 GiB where it does not say; at most 512 MiB in a 32-bit process.
	MemoryLimit int64 `json:"memory_limit"`
	// Packets ends loading after that many frames over all captures. 0 means all.
	Packets uint64 `json:"packets"`
	// Instead is what the caller's user can do where captures do not fit in memory, beside allowing more; "" is to load fewer packets
	// or fewer captures.
	Instead string `json:"-"`
	// Merge and Continue put captures together as a Series does: by time, or one after another with times that go on. Without
	// either they stand one after another with their own times.
	Merge    bool `json:"merge,omitempty"`
	Continue bool `json:"continue,omitempty"`
	// Progress is told, now and then, how many octets of the files were read, of how many: -1 if that is not known. It is
	// called from the goroutine that called Load.
	Progress func(done, total int64) `json:"-"`
}

// FileFacts is what Load knows about a capture that it read.
type FileFacts struct {
	File string `json:"file"`
	// SHA256 is that of the file as stored, with OpenConfig.Hash; "" if only a part of a pipe was read.
	SHA256       string        `json:"sha256,omitempty"`
	StoredOctets int64         `json:"stored_octets"` // read from the file
	Octets       uint64        `json:"octets"`        // captured octets of the frames
	WireOctets   uint64        `json:"wire_octets"`
	Partial      bool          `json:"partial"` // LoadConfig.Packets ended it early
	Losses       []pcapio.Loss `json:"losses,omitempty"`
	pcapio.Facts
}

// DefaultMemoryLimit returns what a zero LoadConfig.MemoryLimit stands for on this machine, in octets.
func DefaultMemoryLimit() int64 { return defaultMemoryLimit("/proc/meminfo") }

const (
	checkEvery     = 1024 // frames between looks at the context and the progress
	progressOctets = 1 << 20
)

// Load reads captures into one arena outside the Go heap. The facts are those of the captures read, also when there is an
// error; the frames are then nil. An error that wraps ErrMemory says how to load less or allow more.
func Load(ctx context.Context, paths []string, cfg LoadConfig) (*arena.Frames, []FileFacts, error) {
	if len(paths) == 0 {
		return nil, nil, errors.New("no captures to load")
	}
	limit := cfg.MemoryLimit
	if limit == 0 {
		limit = DefaultMemoryLimit()
	}
	if limit < 0 {
		return nil, nil, fmt.Errorf("memory limit of %d octets", limit)
	}
	builder, err := arena.NewBuilder(limit)
	if err != nil {
		return nil, nil, err
	}
	defer builder.Close()
	l := loading{cfg: cfg, limit: limit, builder: builder, times: timeline{moves: cfg.Continue}}
	if l.total, err = storedSizes(paths); err != nil {
		return nil, nil, err
	}
	if cfg.Merge {
		facts, err := l.merged(ctx, paths)
		if err != nil {
			return nil, facts, err
		}
		frames, err := builder.Finish()
		return frames, facts, err
	}
	var facts []FileFacts
	for _, path := range paths {
		if cfg.Packets > 0 && uint64(builder.Len()) >= cfg.Packets {
			break
		}
		one, err := l.file(ctx, path)
		if one.File != "" {
			facts = append(facts, one)
		}
		if err != nil {
			return nil, facts, err
		}
	}
	frames, err := builder.Finish()
	return frames, facts, err
}

// storedSizes returns the sum of the sizes of the files, -1 if one is not a regular file.
func storedSizes(paths []string) (int64, error) {
	var sum int64
	for _, path := range paths {
		if path == "-" {
			sum = -1
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		if !info.Mode().IsRegular() || sum < 0 {
			sum = -1
			continue
		}
		sum += info.Size()
	}
	return sum, nil
}

type loading struct {
	cfg         LoadConfig
	limit       int64
	builder     *arena.Builder
	times       timeline
	done, total int64 // octets of the files before, and of all
}

func (l *loading) file(ctx context.Context, path string) (facts FileFacts, err error) {
	c, err := Open(path, l.cfg.OpenConfig)
	if err != nil {
		return facts, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	l.times.next()
	err = l.frames(ctx, c, &facts)
	err = l.finish(c, path, &facts, err)
	return facts, err
}

// finish takes what is known of a capture that was read, up to err if that is not nil.
func (l *loading) finish(c *Capture, path string, facts *FileFacts, err error) error {
	facts.File, facts.Facts, facts.Losses, facts.StoredOctets = path, c.Facts(), c.Losses(), c.StoredOctets()
	l.done += facts.StoredOctets
	if _, regular := c.Size(); err == nil && l.cfg.Hash && (regular || !facts.Partial) {
		facts.SHA256, err = c.SHA256()
	}
	if err == nil && l.cfg.Progress != nil {
		l.cfg.Progress(l.done, l.total)
	}
	return err
}

// merged reads captures side by side.
func (l *loading) merged(ctx context.Context, paths []string) (facts []FileFacts, err error) {
	captures, err := openAll(paths, l.cfg.OpenConfig)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(captures)) }()
	facts = make([]FileFacts, len(paths))
	err = l.mergedFrames(ctx, captures, facts)
	for i, c := range captures {
		if finishErr := l.finish(c, paths[i], &facts[i], err); err == nil {
			err = finishErr
		}
	}
	return facts, err
}

func (l *loading) mergedFrames(ctx context.Context, captures []*Capture, facts []FileFacts) error {
	var m merger
	m.start(captures)
	var f parse.Frame
	var told int64
	for {
		if l.builder.Len()%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("loading stopped at frame %d: %w", l.builder.Len(), err)
			}
			now := int64(0)
			for _, c := range captures {
				now += c.StoredOctets()
			}
			if l.cfg.Progress != nil && now-told >= progressOctets {
				told = now
				l.cfg.Progress(now, l.total)
			}
		}
		if l.cfg.Packets > 0 && uint64(l.builder.Len()) >= l.cfg.Packets {
			for i := range facts {
				facts[i].Partial = m.inputs[i].err != io.EOF
			}
			return nil
		}
		i, err := m.next(&f)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return l.explain(err)
		}
		if err := l.keep(captures[i], &f, &facts[i]); err != nil {
			return err
		}
	}
}

func (l *loading) frames(ctx context.Context, c *Capture, facts *FileFacts) error {
	if size, known := c.Size(); known && l.cfg.Packets == 0 {
		// A frame takes more in the arena than in a plain classic pcap, whose record header is shorter than an index entry.
		now := c.Facts()
		plain := now.Container == pcapio.Pcap && now.Compression == "none" && !l.cfg.Salvage
		if plain && size-24 > l.limit {
			return fmt.Errorf("%s holds about %s: %w", c.Name(), octetText(size), l.advice())
		}
	}
	var f parse.Frame
	var told int64
	for {
		if c.Packets()%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%s: loading stopped at frame %d: %w", c.Name(), c.Packets(), err)
			}
			if now := c.StoredOctets(); l.cfg.Progress != nil && now-told >= progressOctets {
				told = now
				l.cfg.Progress(l.done+now, l.total)
			}
		}
		if l.cfg.Packets > 0 && uint64(l.builder.Len()) >= l.cfg.Packets {
			facts.Partial = true
			return nil
		}
		if err := c.Next(&f); err == io.EOF {
			return nil
		} else if err != nil {
			return l.explain(err)
		}
		if err := l.keep(c, &f, facts); err != nil {
			return err
		}
	}
}

// keep takes a frame that was just read.
func (l *loading) keep(c *Capture, f *parse.Frame, facts *FileFacts) error {
	f.UnixNano = l.times.at(f.UnixNano)
	if err := l.builder.Append(f); errors.Is(err, arena.ErrLimit) {
		part := ""
		if size, known := c.Size(); known && size > 0 {
			part = fmt.Sprintf(", about %d %% of it", 100*c.StoredOctets()/size)
		}
		return fmt.Errorf("%s: full after its frame %d%s: %w", c.Name(), c.Packets()-1, part, l.advice())
	} else if err != nil {
		return fmt.Errorf("%s: %w", c.Name(), err)
	}
	facts.Octets += uint64(len(f.Data))
	facts.WireOctets += uint64(f.WireLen)
	return nil
}

func (l *loading) advice() error {
	instead := cmp.Or(l.cfg.Instead, "load the first N frames with --packets N, or name fewer captures")
	return fmt.Errorf("%w: captures in memory may take %s; allow more with --memory-limit, %s", ErrMemory, octetText(l.limit), instead)
}

// explain adds what can be done about damage.
func (l *loading) explain(err error) error { return Explain(err) }

// wayOut is what can be done about damage.
const wayOut = "(--salvage keeps the frames that can be trusted)"

// Explain adds to an error of a damaged capture what can be done about it, once. Others it returns as they are.
func Explain(err error) error {
	if damage := new(pcapio.FormatError); errors.As(err, &damage) && damage.Packet > 0 && !strings.Contains(err.Error(), wayOut) {
		return fmt.Errorf("%w %s", err, wayOut)
	}
	return err
}

// defaultMemoryLimit returns half of MemAvailable, or 1 GiB if meminfo does not have it.
func defaultMemoryLimit(meminfo string) int64 {
	limit := int64(1 << 30)
	if kib, err := memAvailable(meminfo); err == nil {
		limit = kib << 9
	}
	if math.MaxInt == math.MaxInt32 {
		limit = min(limit, 512<<20) // the arena reserves address space twice
	}
	return limit
}

func memAvailable(meminfo string) (kib int64, err error) {
	file, err := os.Open(meminfo)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			return strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 53)
		}
	}
	return 0, errors.Join(lines.Err(), fmt.Errorf("%s: no MemAvailable", meminfo))
}

// octetText writes a number of octets for people.
func octetText(n int64) string {
	for _, unit := range []struct {
		octets float64
		name   string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if float64(n) >= unit.octets {
			return fmt.Sprintf("%.2f %s", float64(n)/unit.octets, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
