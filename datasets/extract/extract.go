// Package extract makes files of feature vectors from captures: on all cores, in order, whole or not at all, and resumable.
package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// Formats of output files.
const (
	CSV     = "csv"
	Parquet = "parquet"
)

// Source is one capture.
type Source struct {
	// Path is the file, or "-" for standard input. With Open it is a name only.
	Path string `json:"path"`
	// Span is the window of this capture.
	Span feature.Span `json:"span"`
	// Label is that of its vectors, with Config.Labelled; with attackers, of the vectors that are an attack's.
	Label string `json:"label,omitempty"`
	// Open, if set, gives the frames instead of a file at Path. Times are in ns, as of a capture in ns.
	Open func() (Frames, error) `json:"-"`
	// Truth is the table of what each packet is by which Tell gives labels; "" where the frames tell it.
	Truth string `json:"truth,omitempty"`
	// Tell, if set, gives each window a label of its own instead of Label, with Config.Labelled. It is called once a reading, with what
	// Open gave, nil for a file. PlanShards refuses such sources.
	Tell func(Frames) (Teller, error) `json:"-"`

	part   *part   // what a shard has of it; nil for all
	replay *replay // with MergeShards: what shards have made of it
}

// Frames gives frames until io.EOF. It allocates nothing per frame.
type Frames interface {
	Next(f *parse.Frame) error
}

// Teller gives the windows of one reading of a source their labels, on the goroutine that reads. Its errors are none of the capture: they
// end a run as that of a full disk does.
type Teller interface {
	Frame() error           // the next frame is read
	Row()                   // it counts in the window under way
	Window() (label string) // that window ends
	// End is called at the end of a source that was read to it, with what salvage skipped.
	End(losses []string) error
	Close() error
}

// Config says what to compute. The zero value is the scripts' numbers as CSV without labels.
type Config struct {
	As       feature.As `json:"as"`
	Format   string     `json:"format"` // CSV or Parquet; "" means CSV
	Labelled bool       `json:"labelled"`
	// Attackers, if not nil, mark rows by address. A vector with at least AttackShare of its rows marked, and at least one,
	// has its source's label; all others have Benign.
	Attackers   *feature.Attackers `json:"-"`
	AttackShare float64            `json:"attack_share,omitempty"`
	Benign      string             `json:"benign,omitempty"`
	Salvage     bool               `json:"salvage"`       // go on after damage, see pcapio.Config
	Strict      bool               `json:"strict_faults"` // lose what the scripts lose; reads captures twice
	Hash        bool               `json:"sha256"`        // compute the SHA-256 of each capture
	Version     string             `json:"version"`       // of the program, for the record
	// Settings is text for the record: what the user asked for. A run resumes only one with the same.
	Settings string `json:"settings,omitempty"`

	// Workers is how many goroutines make vectors, and how many captures are open at once. 0 means GOMAXPROCS.
	Workers int `json:"-"`
	// Stdin is what "-" means; nil means os.Stdin.
	Stdin io.Reader `json:"-"`
	// Progress is told, now and then, how many octets of the captures were read.
	Progress func(done int64) `json:"-"`
	// Resume goes on where an earlier run to the same file was killed (File only).
	Resume bool `json:"-"`
}

// Summary is what a run made: counts of frames, rows, vectors, and what was wrong.
type Summary struct {
	Config
	Columns int             `json:"columns"`
	Vectors uint64          `json:"vectors"`
	Sources []SourceSummary `json:"sources"`
	Resumed bool            `json:"resumed,omitempty"` // a part was made by an earlier run
}

// SourceSummary is what a capture gave.
type SourceSummary struct {
	Source
	SHA256       string            `json:"sha256,omitempty"`
	StoredOctets int64             `json:"stored_octets"`
	Frames       uint64            `json:"frames"` // read
	Rows         uint64            `json:"rows"`   // frames that count in a window
	NoRow        map[string]uint64 `json:"no_row"` // all others by reason
	Vectors      uint64            `json:"vectors"`
	Pieces       uint64            `json:"pieces,omitempty"` // of 10,000,000 octets, with As that cuts
	Lost         []uint64          `json:"lost_pieces,omitempty"`
	FirstFault   uint64            `json:"first_fault,omitempty"` // number of the first frame, from 1, that ends the scripts
	NoDuration   uint64            `json:"no_duration,omitempty"` // vectors of times in ns without duration: they end the scripts too
	NotEthernet  uint64            `json:"not_ethernet"`          // frames of another link type, read as Ethernet unless fixed
	Losses       []string          `json:"losses,omitempty"`      // what salvage skipped
	Behind       string            `json:"behind,omitempty"`      // what salvage found behind the end, no loss
	Error        string            `json:"error,omitempty"`       // what ended reading
}

func (s *SourceSummary) count(c feature.Counters) {
	s.Frames, s.Rows, s.NoRow = c.Frames(), c[feature.MadeRow], make(map[string]uint64)
	for _, o := range feature.Outcomes()[1:] {
		if c[o] > 0 {
			s.NoRow[o.Name()] = c[o]
		}
	}
}

// FaultError says that captures were damaged and could not be read to their end. What they gave before is in the output.
type FaultError struct {
	Faults []error
}

// Error lists the faults.
func (e *FaultError) Error() string { return errors.Join(e.Faults...).Error() }

// Unwrap returns the faults.
func (e *FaultError) Unwrap() []error { return e.Faults }

func (c *Config) check(sources []Source) error {
	var faults []error
	if c.Format == "" {
		c.Format = CSV
	}
	if c.Format != CSV && c.Format != Parquet {
		faults = append(faults, fmt.Errorf("format %q: choose %q or %q", c.Format, CSV, Parquet))
	}
	if len(sources) == 0 {
		faults = append(faults, errors.New("no captures"))
	}
	for _, s := range sources {
		if s.Tell != nil && (!c.Labelled || c.Attackers != nil) {
			faults = append(faults, fmt.Errorf("%s: windows with labels of their own need a column for them, and no attackers", s.Path))
		}
		if err := s.Span.Check(); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", s.Path, err))
		}
		if info, err := os.Stat(s.Path); c.Strict && s.Open == nil && (s.Path == "-" || err == nil && !info.Mode().IsRegular()) {
			faults = append(faults, fmt.Errorf("%s: strict faults read a capture twice, which standard input and pipes cannot: name a file", s.Path))
		}
		if c.Labelled {
			faults = append(faults, checkLabel(s.Label))
		}
	}
	if c.Labelled {
		faults = append(faults, checkLabel(c.Benign))
	}
	if !(c.AttackShare >= 0 && c.AttackShare <= 1) {
		faults = append(faults, fmt.Errorf("attack share %v: choose 0 to 1", c.AttackShare))
	}
	if c.Workers < 0 {
		faults = append(faults, fmt.Errorf("%d workers", c.Workers))
	}
	if c.Workers == 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if err := errors.Join(faults...); err != nil {
		return &ConfigError{err}
	}
	return nil
}

// checkLabel refuses what not every reader of CSV and Parquet takes.
func checkLabel(label string) error {
	if !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return fmt.Errorf("label %q: want UTF-8 without control characters", label)
	}
	return nil
}

// ConfigError says that a setting is wrong: nothing was read.
type ConfigError struct{ Err error }

// Error says which.
func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap returns the fault, or several joined.
func (e *ConfigError) Unwrap() error { return e.Err }

// look opens all files, so that what is no capture, or has a truth that is none, is told before there is an output. Pipes, which are
// read once, end the run later.
func look(cfg *Config, sources []Source) error {
	var faults []error
	for _, s := range sources {
		info, err := os.Stat(s.Path)
		if s.Open == nil && s.Path != "-" && (err != nil || info.Mode().IsRegular() || info.IsDir()) {
			c, err := datasets.Open(s.Path, datasets.OpenConfig{Salvage: cfg.Salvage})
			if err == nil {
				err = c.Close()
			}
			if err != nil {
				faults = append(faults, err)
			}
		}
		if s.Tell != nil && s.Open == nil {
			t, err := s.Tell(nil)
			if err == nil {
				err = t.Close()
			}
			if err != nil {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

// Stream writes the vectors of all sources in order to w. A source that cannot be opened is an error before anything is written, if it
// is a file. The error is a *FaultError where captures were damaged and all else was written; any other error leaves a part in w.
func Stream(ctx context.Context, w io.Writer, cfg Config, sources []Source) (*Summary, error) {
	if err := cfg.check(sources); err != nil {
		return nil, err
	}
	if err := look(&cfg, sources); err != nil {
		return nil, err
	}
	j := newJob(cfg, sources, &stream{w: w})
	defer j.dropSpills()
	return j.run(ctx, position{})
}

// job is one run.
type job struct {
	cfg     Config
	sources []*sourceRun
	out     output
	free    chan *batch
	work    chan *batch
	done    atomic.Int64 // octets of the captures that were read
	pending atomic.Int64 // batches that workers or their turn have before them
	order   order
	vectors sync.Pool // of *[]feature.Vector, for row groups
	octets  sync.Pool // of *[]byte, of encoded ones
	failed  context.CancelCauseFunc
	bare    bool // no header: a shard
	once    bool // cannot be resumed
	most    int  // sources that are open at once
}

// sourceRun is a source under way.
type sourceRun struct {
	Source
	index   int
	job     *job
	summary SourceSummary
	fault   error
	decimal bool

	mu       sync.Mutex // of the fields below
	next     int        // number of the batch to come
	waiting  map[int]*batch
	segment  *segment // under way, with Parquet
	segments int      // handed out
}

func newJob(cfg Config, sources []Source, out output) *job {
	j := &job{cfg: cfg, out: out, most: cfg.Workers}
	for i, s := range sources {
		j.sources = append(j.sources, &sourceRun{
			Source: s, index: i, job: j, summary: SourceSummary{Source: s}, waiting: make(map[int]*batch),
		})
	}
	j.order.job, j.order.moved = j, make(chan struct{}, 1)
	j.order.parts = make([]progress, len(sources))
	return j
}

// run reads the sources from a position on and writes all there is.
func (j *job) run(parent context.Context, from position) (*Summary, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	j.failed = cancel
	j.order.head = from.Source
	j.order.headNow.Store(int64(from.Source))
	j.order.begin = from
	// Each worker has one at hand, the rest wait in order or for a worker.
	j.free = make(chan *batch, 3*j.cfg.Workers+1)
	for range cap(j.free) {
		j.free <- new(batch)
	}
	j.work = make(chan *batch, cap(j.free))
	j.order.start()

	var workers, producers sync.WaitGroup
	for range j.cfg.Workers {
		workers.Go(func() { newWorker(j).run(ctx) })
	}
	stopProgress := j.tell()
	open := make(chan struct{}, j.most)
	for _, s := range j.sources[from.Source:] {
		if j.order.turn(ctx, s.index) != nil {
			break
		}
		select {
		case open <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		producers.Go(func() {
			at := position{Source: s.index}
			if s.index == from.Source {
				at = from
			}
			s.produce(ctx, at)
			<-open
		})
	}
	producers.Wait()
	close(j.work)
	workers.Wait()
	stopProgress()
	if ctx.Err() != nil {
		if parent.Err() == nil {
			return nil, context.Cause(ctx)
		}
		return nil, errors.Join(parent.Err(), j.order.interrupted())
	}
	summary := j.summary()
	if err := j.order.finish(summary); err != nil {
		return nil, err
	}
	var faults []error
	for _, s := range j.sources {
		if s.fault != nil {
			faults = append(faults, s.fault)
		} else if s.summary.Error != "" {
			faults = append(faults, errors.New(s.summary.Error)) // found before this run was resumed
		}
	}
	if len(faults) > 0 {
		return summary, &FaultError{faults}
	}
	return summary, nil
}

func (j *job) summary() *Summary {
	s := &Summary{Config: j.cfg, Columns: feature.NumColumns}
	for _, source := range j.sources {
		s.Sources = append(s.Sources, source.summary)
		s.Vectors += source.summary.Vectors
	}
	return s
}

// release gives back a batch.
func (j *job) release(b *batch) {
	j.pending.Add(-1)
	j.free <- b
}

// tell reports progress until the function that it returns is called.
func (j *job) tell() (stop func()) {
	if j.cfg.Progress == nil {
		return func() {}
	}
	end := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				j.cfg.Progress(j.done.Load())
			case <-end:
				j.cfg.Progress(j.done.Load())
				return
			}
		}
	})
	return func() { close(end); told.Wait() }
}

// long reports whether windows are summarised while reading: what is behind a batch is then not all in its position.
func (s *sourceRun) long() bool { return s.Span.Time > 0 || s.Span.Rows > longWindow }

// open opens the source.
func (s *sourceRun) open(hash bool) (Frames, *datasets.Capture, error) {
	if s.Open != nil {
		frames, err := s.Open()
		return frames, nil, err
	}
	cfg := &s.job.cfg
	if s.part != nil {
		c, err := s.part.file.Open(s.Path, s.part.base)
		return c, c, err
	}
	c, err := datasets.Open(s.Path, datasets.OpenConfig{Salvage: cfg.Salvage, Hash: cfg.Hash && hash, Stdin: cfg.Stdin})
	return c, c, err
}

// ClockOf returns how dpkt's readers make seconds of the times of an interface of a container (pcapio.Pcap, pcapio.PcapNG).
func ClockOf(container string, i pcapio.Interface) feature.Clock {
	switch {
	case container == pcapio.PcapNG && i.Resolution <= 9:
		c := feature.Clock{Divisor: 1, UnitNano: 1, Offset: i.TimeOffset}
		for range i.Resolution {
			c.Divisor *= 10
		}
		for range 9 - i.Resolution {
			c.UnitNano *= 10
		}
		return c
	case container == pcapio.Pcap && i.Resolution == 9:
		return feature.Clock{Decimal: true}
	}
	return feature.Clock{}
}
