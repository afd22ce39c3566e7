package trial

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial/search"
)

// Schema is the version of Record and Header. Readers refuse others.
const Schema = 1

// memoryLimit is what the Go runtime takes as GOMEMLIMIT.
var memoryLimit = regexp.MustCompile(`^(off|[0-9]{1,18}(B|[KMGT]iB)?)$`)

// Settings are what all trials of a study share. Zero values mean the documented defaults; Normalize fills them in, so
// that what is recorded is what was done.
type Settings struct {
	Stages  []string `json:"stages"`  // after the parser, in order: NAME or NAME=VALUE, as given
	Pattern string   `json:"pattern"` // pacer, as replay.ParsePacer reads it; default "constant"
	Unit    string   `json:"unit"`    // of loads: "pps" (default) or "bit/s" of wire octets
	Queue   string   `json:"queue"`   // as replay.ParseQueue reads it
	Clock   string   `json:"clock"`   // "warp" (default), "system" or "cpu"
	Feed    string   `json:"feed"`    // "virtual" (default) or "ring"
	Batch   int      `json:"batch"`   // frames per clock reading at most, 1 is exact; 0: by queue
	Stamp   string   `json:"stamp"`   // "due" (default) or "capture": the time that stages see
	Width   float64  `json:"width"`   // relative goal width; draining stops at duration * (1 + width/2)
	Seed    uint64   `json:"seed"`    // of random patterns
	// Passes ends a trial after so many passes over the capture instead of by its duration; 0: endless passes.
	Passes int `json:"passes,omitempty"`
	// MoveAddresses gives each copy of the capture in memory its own addresses (rewrite.Mover).
	MoveAddresses bool `json:"move_addresses,omitempty"`
	Changes
	// RepeatTimes has the capture times repeat in each pass instead of going on.
	RepeatTimes bool   `json:"repeat_times,omitempty"`
	GOGC        string `json:"gogc,omitempty"` // as set for the measuring process
	Memory      string `json:"gomemlimit,omitempty"`
}

// Normalize fills in defaults and reports all faults at once.
func (s Settings) Normalize() (Settings, error) {
	var faults faultList
	choose := func(name string, value *string, choices ...string) {
		if *value == "" {
			*value = choices[0]
		}
		for _, c := range choices {
			if *value == c {
				return
			}
		}
		faults.add("%s %q: want one of %s", name, *value, strings.Join(choices, ", "))
	}
	choose("unit", &s.Unit, "pps", "bit/s")
	choose("feed", &s.Feed, "virtual", "ring")
	if s.Feed == "ring" { // two threads share only real time
		choose("clock of a ring feed", &s.Clock, "system")
	} else {
		choose("clock", &s.Clock, "warp", "system", "cpu")
	}
	choose("stamp", &s.Stamp, "due", "capture")
	if s.Pattern == "" {
		s.Pattern = "constant"
	}
	switch pattern, _, _ := strings.Cut(s.Pattern, ":"); {
	case pattern == "unpaced":
		faults.add("pattern unpaced is the closed loop: leave the pattern out, with load 0")
	case pattern == "bits":
		faults.add("pattern bits: loads in bit/s are a matter of the unit, not of the pattern")
	case pattern == "recorded" && s.Pattern != pattern:
		faults.add("pattern %s: recorded gaps are scaled to each load; give the speed as the load", s.Pattern)
	default:
		if _, err := replay.ParsePacer(s.Pattern, 1, s.Seed); err != nil {
			faults.add("%w", err)
		}
	}
	if _, err := replay.ParseQueue(s.Queue); err != nil {
		faults.add("%w", err)
	}
	if s.Queue == "" {
		s.Queue = replay.DefaultQueue().Name
	}
	if s.Width < 0 || s.Width >= 1 {
		faults.add("width %v: want 0 or more and less than 1", s.Width)
	}
	if s.GOGC != "" && s.GOGC != "off" {
		if n, err := strconv.Atoi(s.GOGC); err != nil || n < 1 {
			faults.add("GOGC %q: want a percentage above 0, or off", s.GOGC)
		}
	}
	if s.Memory != "" && !memoryLimit.MatchString(s.Memory) {
		faults.add("GOMEMLIMIT %q: want octets, or a number with KiB, MiB or GiB", s.Memory)
	}
	if err := s.Changes.Check(); err != nil {
		faults.add("%w", err)
	}
	if s.Passes < 0 {
		faults.add("passes %d: want 0 or more", s.Passes)
	}
	if s.Batch < 0 {
		faults.add("batch %d: want 0 or more", s.Batch)
	}
	return s, faults.err()
}

// Changes are made once in the frames of the captures, in memory, before sizes and copies. The zero value changes nothing.
type Changes struct {
	Edits rewrite.Edits `json:"edits,omitzero"`
	// Sides is the SHA-256 of the cache file that tells who sends each frame, and which are left out; "" without one.
	Sides string `json:"sides_sha256,omitempty"`
}

// Zero reports whether c changes nothing.
func (c *Changes) Zero() bool { return c.Edits.Zero() && c.Sides == "" }

// Check returns what is wrong with the edits: among that, that they differ by who sends a frame, and nothing tells who does.
func (c *Changes) Check() error {
	if _, err := rewrite.NewEditor(c.Edits); err != nil {
		return err
	}
	if flags := c.Edits.Sided(); flags != "" && c.Sides == "" {
		return fmt.Errorf("%s: there is a value for each side, and only --cachefile tells who sends a frame (see 'split')", flags)
	}
	return nil
}

// Changed tells what Changes did.
type Changed struct {
	Editing   *rewrite.EditReport `json:"editing,omitempty"`   // nil without edits
	Cachefile *Cachefile          `json:"cachefile,omitempty"` // that Changes.Sides is of; nil without one
}

// Cachefile names a cache file.
type Cachefile struct {
	Name    string `json:"name"`           // as given
	Path    string `json:"path,omitempty"` // absolute
	NotSent uint64 `json:"not_sent"`       // frames that were left out because it excludes them
}

// copies is how many copies of the capture Passes needs in memory.
func (s *Settings) copies() int {
	if s.MoveAddresses {
		return s.Passes
	}
	return 1
}

// loops is how often the working set is fed in a trial; 0: without end.
func (s *Settings) loops() int {
	if s.MoveAddresses && s.Passes > 0 {
		return 1
	}
	return s.Passes
}

// Cell names what is compared: an engine at a size, a cache state and a number of workers.
type Cell struct {
	Engine  string `json:"engine"`
	Size    string `json:"size"`    // "captured", or as rewrite.ParseSizes names it
	Cache   string `json:"cache"`   // "hot", "cold" or "as-is"
	Workers int    `json:"workers"` // parallel pipelines
}

// String names the cell in one line.
func (c Cell) String() string {
	s := c.Engine + " " + c.Size + " " + c.Cache
	if c.Workers > 1 {
		s += " x" + strconv.Itoa(c.Workers)
	}
	return s
}

// Input is one trial to run.
type Input struct {
	Load     float64       `json:"load"`        // intended load in Settings.Unit; 0 feeds as fast as the parser takes (closed loop)
	Duration time.Duration `json:"duration_ns"` // of the trial, before draining; 0 with Settings.Passes
	// OfService and OfRecorded are the multiple of the service ceiling, or of the capture's own mean rate, that Load was
	// computed from, where it was.
	OfService  float64 `json:"of_service,omitempty"`
	OfRecorded float64 `json:"of_recorded,omitempty"`
	// Seed is of this trial's random arrivals, made from Settings.Seed, the repeat and the number of the trial.
	Seed uint64 `json:"seed,omitempty"`
	// Phase is the part of a soak that the trial is of; "" without one.
	Phase string `json:"phase,omitempty"`
	// EngineAlone leaves the stages out; closed loop only.
	EngineAlone bool `json:"engine_alone,omitempty"`
}

// Kinds of records.
const (
	KindWarmUp      = "warm-up"      // not used for results
	KindService     = "service"      // closed loop: the parser's own pace, stages included
	KindEngineAlone = "engine-alone" // closed loop without the stages
	KindTrial       = "trial"        // open loop at an intended load
	KindBounds      = "bounds"       // what a search found for one goal; no counts of its own
	KindSoak        = "soak"         // the end of a soak that came to its end; no counts of its own
)

// Record is one line of records.jsonl: a trial, or the outcome of a search.
type Record struct {
	Schema  int       `json:"schema"`
	Kind    string    `json:"kind"`
	Started time.Time `json:"started"`
	Cell    Cell      `json:"cell"`
	Repeat  int       `json:"repeat"` // from 1
	Input   Input     `json:"input"`

	Settings Settings `json:"settings"`
	Captures []string `json:"captures"` // SHA-256 of each, as in Header.Captures
	Machine  string   `json:"machine"`  // meter.Environment in a line

	Result   replay.Result  `json:"result"`            // summed over the workers
	Workers  []WorkerCounts `json:"workers,omitempty"` // where there are several
	Counters parse.Counters `json:"counters"`          // of this trial
	// Stages are the counts of stages that have some (parse.Counting), by their text in Settings.Stages, summed over the
	// workers, since the process began. None with Input.EngineAlone.
	Stages     map[string]map[string]uint64 `json:"stages,omitempty"`
	Usage      meter.Usage                  `json:"usage"`
	First      int                          `json:"first_frame"`        // of the (first worker's) working set, from 0: trials go on where the last one ended
	Frames     int                          `json:"working_set_frames"` // frames in memory that were fed in turn
	WorkingSet int64                        `json:"working_set_octets"` // their size, index included
	LLC        bool                         `json:"llc,omitempty"`      // cold was asked, but the working set may fit the last-level cache
	Marks      []string                     `json:"marks,omitempty"`    // doubts: see the Mark constants
	Bounds     *search.Bounds               `json:"bounds,omitempty"`   // of KindBounds

	// Of a soak: when the trial began, from the start of the first trial on the monotonic clock; how often the soak had been
	// begun before, whose records LastAttempts leaves out; and, of KindSoak, how it waited before.
	At      time.Duration `json:"at_ns,omitempty"`
	Attempt int           `json:"attempt,omitempty"`
	Cooling *Cooling      `json:"cooling,omitempty"`
}

// Marks of results that are not the parser's alone.
const (
	MarkFeedLimited = "feed-limited" // the feed took over 5 % of the time
	MarkHostLimited = "host-limited" // all drops follow gaps longer than the queue
	MarkHostBusy    = "host-busy"    // the parser's thread was without a CPU for over 5 % of the time
	MarkThrottled   = "throttled"    // the board lowered its clock
	MarkLLC         = "LLC"          // asked for cold frames, but they may fit the last-level cache
	MarkUnsent      = "unsent"       // the feed could not offer the whole intended load
	MarkUndecoded   = "undecoded"    // over 1 % of the frames were of link types that the engine does not decode
)

// HostLimit is the share of the time without a CPU above which a result is marked host-busy.
const HostLimit = 0.05

// FeedLimit is the share of the time above which a result is marked feed-limited.
const FeedLimit = 0.05

// UndecodedLimit is the share of frames that were not decoded, for their link type, above which a result is marked undecoded.
const UndecodedLimit = 0.01

// WorkerCounts is one of several parallel workers in a trial.
type WorkerCounts struct {
	Frames    uint64 `json:"frames"` // of one pass over the working set
	Delivered uint64 `json:"delivered"`
	Lost      uint64 `json:"lost"`
	Duration  int64  `json:"duration_ns"`
}

// ServiceRate returns the packets per second of a closed loop. Of several workers, each of which takes frames at its own
// pace there, it is the rate of the whole capture at which the first of them would be saturated.
func (r *Record) ServiceRate() float64 {
	if len(r.Workers) == 0 {
		return r.Result.DeliveredRate()
	}
	var total uint64
	for _, w := range r.Workers {
		total += w.Frames
	}
	rate := math.Inf(1)
	for _, w := range r.Workers {
		if w.Frames > 0 && w.Duration > 0 {
			rate = min(rate, float64(w.Delivered)/(float64(w.Duration)/1e9)*float64(total)/float64(w.Frames))
		}
	}
	if math.IsInf(rate, 1) {
		return 0
	}
	return rate
}

// CostNanos returns the time per frame that the sink took, in ns on the trial's clock, the feed's part included; 0 where
// it took none.
func (r *Record) CostNanos() float64 { return r.Result.ServiceTime() }

// Waited returns the share of the time in which the parsers' threads had no CPU: put off by the kernel or, unseen by it, by
// the hypervisor. It is not known where threads wait for due times (open loop on the system clock), with a ring, where the
// collector ran (a parser may have waited for that), and where the threads' CPU times cannot be read.
func (r *Record) Waited(s *Settings, workers int) (share float64, known bool) {
	if r.Usage.ThreadCPUNs == nil || r.Usage.WallNs <= 0 || r.Usage.GCCycles > 0 || s.Feed == "ring" || s.Clock == "system" && r.Input.Load > 0 {
		return 0, false
	}
	return max(0, 1-float64(*r.Usage.ThreadCPUNs)/float64(r.Usage.WallNs)/float64(max(1, workers))), true
}

// Lost returns the frames that count as lost: dropped, residual and unsent.
func (r *Record) Lost() uint64 { return r.Result.Dropped + r.Result.Residual + r.Result.Unsent }

// Header is the first file of a results folder: environment, versions and settings of a study.
type Header struct {
	Schema      int       `json:"schema"`
	Version     string    `json:"version"` // of pcaplab
	Command     string    `json:"command"` // that began the study
	Started     time.Time `json:"started"`
	Settings    Settings  `json:"settings"`
	Plan        Plan      `json:"plan"`
	Captures    []Capture `json:"captures"`
	Reading     Reading   `json:"reading"`
	MemoryLimit int64     `json:"memory_limit"` // octets for captures and what is made of them; 0: they are fed as they are
	// MemoryLimitMost is the largest limit, where a study was measured in parts with other limits, MemoryLimit being the least, and working sets
	// of cold frames were too small for some.
	MemoryLimitMost int64      `json:"memory_limit_most,omitempty"`
	Caches          Caches     `json:"caches"` // that working sets were made for
	InProcess       bool       `json:"in_process,omitempty"`
	Resizing        []Resizing `json:"resizing,omitempty"`
	// StageFiles are the files that stages read, as models. Study.Check fills them in, or finds that one is not what it was.
	StageFiles []StageFile `json:"stage_files,omitempty"`
	Changed
	// Moving is what Settings.MoveAddresses does to the frames of a copy, before sizes; nil without.
	Moving      *rewrite.MoveReport `json:"moving,omitempty"`
	Environment meter.Environment   `json:"environment"`
	// Hosts are the machines that measured, where a study was measured in parts on several; Environment is then that of the first.
	Hosts []Host `json:"hosts,omitempty"`
}

// Host is a machine that measured some of a study's cells, each with all its repeats.
type Host struct {
	Name    string `json:"name"`    // unlike those of the others
	Machine string `json:"machine"` // meter.Environment in a line
	Cells   []Cell `json:"cells"`   // in the order of the plan
	// Differs says in what its environment differs from the first host's, as meter.Environment.Differences does; none: of one kind.
	Differs []string `json:"differs,omitempty"`
}

// HostOf returns the name of the machine that measured a cell, where several measured; else "".
func (h *Header) HostOf(cell Cell) string {
	for i := range h.Hosts {
		if slices.Contains(h.Hosts[i].Cells, cell) {
			return h.Hosts[i].Name
		}
	}
	return ""
}

// Capture names frames that were fed.
type Capture struct {
	Name       string `json:"name"`           // as given
	Path       string `json:"path,omitempty"` // absolute, of a file
	SHA256     string `json:"sha256"`         // of the file as stored, or of the frames where they were synthesized
	Frames     uint64 `json:"frames"`
	Octets     uint64 `json:"octets"`      // captured
	WireOctets uint64 `json:"wire_octets"` // on the wire
	// Losses are what salvage had to leave out, in words.
	Losses []string `json:"losses,omitempty"`
}

// StageFile is a file that a stage reads.
type StageFile struct {
	Stage  string `json:"stage"`  // as in Settings.Stages
	Name   string `json:"name"`   // as given there
	Path   string `json:"path"`   // where it is: absolute, or in the working folder
	SHA256 string `json:"sha256"` // of its content
}

// Reading tells how captures were read.
type Reading struct {
	Packets int  `json:"packets,omitempty"` // at most; 0: all
	Salvage bool `json:"salvage,omitempty"`
}

// Resizing tells what resizing did to the frames of a size.
type Resizing struct {
	Size   string         `json:"size"`
	Report rewrite.Report `json:"report"`
}

type faultList []error

func (l *faultList) add(format string, args ...any) { *l = append(*l, fmt.Errorf(format, args...)) }

func (l faultList) err() error { return errors.Join(l...) }
