package calibration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"pcaplab/analysis"
	"pcaplab/parse"
	"pcaplab/replay/meter"
	"pcaplab/replay/meter/kernel"
	"pcaplab/replay/trial"
)

// Schema is the version of the file's form. Read refuses others.
const Schema = 1

// format is how a file says what it is.
const format = "pcaplab calibration"

// maxFile bounds what Read takes, in octets; a file of eleven engines has some 300 kB.
const maxFile = 64 << 20

// File is what the kit found on one machine. It names neither host, nor user, nor serial numbers, nor addresses.
type File struct {
	Version     string            `json:"version"` // of pcaplab
	Started     time.Time         `json:"started"`
	Elapsed     time.Duration     `json:"elapsed_ns"`
	Environment meter.Environment `json:"environment"` // as it was when the timing study began
	Quick       bool              `json:"quick,omitempty"`
	InProcess   bool              `json:"in_process,omitempty"`
	Settings    trial.Settings    `json:"settings"`
	Plan        trial.Plan        `json:"plan"`
	Caches      trial.Caches      `json:"caches"` // that working sets were made for
	Traffic     trial.Capture     `json:"traffic"`
	Resizing    []trial.Resizing  `json:"resizing,omitempty"`
	Conditions  Conditions        `json:"conditions"`
	Kernels     kernel.Results    `json:"kernels"`
	Counts      []Count           `json:"counts"`
	Cells       []Cell            `json:"cells"`
	// Doubts are sentences on what speaks against the numbers.
	Doubts []string `json:"doubts,omitempty"`
}

// Conditions are what the machine did during the timing study. What was never known is nil.
type Conditions struct {
	TemperatureBeforeMilliC *int64 `json:"temperature_before_milli_c"`
	TemperatureAfterMilliC  *int64 `json:"temperature_after_milli_c"`
	TemperatureMaxMilliC    *int64 `json:"temperature_max_milli_c"`
	// ThrottledTrials counts trials in which the processor was held back, for sure.
	ThrottledTrials *int64 `json:"throttled_trials"`
	// StealNs and WallNs are sums over all trials.
	StealNs *int64 `json:"steal_ns"`
	WallNs  int64  `json:"wall_ns"`
	// LoopMinNs and LoopMaxNs are the extremes of the loop of fixed work at the ends of every trial
	// (meter.Usage.CalibrationBeforeNs): their ratio shows changes of clock that the kernel does not know of.
	LoopMinNs int64 `json:"loop_min_ns"`
	LoopMaxNs int64 `json:"loop_max_ns"`
}

// Count is what an engine counted in one pass over the traffic: the same on every machine.
type Count struct {
	Engine   string         `json:"engine"`
	Counters parse.Counters `json:"counters"`
	SHA256   string         `json:"sha256"` // of Counters in compact JSON
}

// Cell is what an engine cost at a size of frames and a cache state.
type Cell struct {
	Engine     string   `json:"engine"`
	Size       string   `json:"size"`               // "captured", or as rewrite.ParseSizes names it
	Cache      string   `json:"cache"`              // "hot" or "cold"
	Octets     float64  `json:"mean_octets"`        // captured octets per packet
	WorkingSet int64    `json:"working_set_octets"` // index included
	Samples    []Sample `json:"samples"`            // one a repeat
	Marks      []string `json:"marks,omitempty"`    // of any repeat: see the Mark constants of trial
}

// Sample is one repeat: a closed loop in a fresh process, where File.InProcess is not set.
type Sample struct {
	Packets     uint64   `json:"packets"`
	NS          float64  `json:"ns"`                 // per packet, on the thread's clock, the feed's part included
	FeedNS      float64  `json:"feed_ns"`            // per packet, of NS the feed's part
	CPUNS       *float64 `json:"cpu_ns"`             // per packet, of the whole process, collector included
	Insns       *float64 `json:"instructions"`       // per packet, in user mode, by hardware counters
	Allocs      float64  `json:"allocs"`             // per packet
	AllocOctets float64  `json:"alloc_octets"`       // per packet
	GCCycles    int64    `json:"gc_cycles"`          // in all
	PeakOctets  *int64   `json:"engine_peak_octets"` // most memory, less the frames
}

// Measured is what [New] makes a file of.
type Measured struct {
	Header   trial.Header   // of the study [Timing]
	Timing   []trial.Record // of it
	Counting []trial.Record // of the study [Counting]
	Kernels  kernel.Results
	Started  time.Time // of all
	Ended    time.Time
}

// New makes a file of a kit that was measured whole. It is an error where something is missing, or is not the kit's work.
func New(m Measured) (*File, error) {
	h := &m.Header
	f := &File{
		Version: h.Version, Started: m.Started.UTC(), Elapsed: m.Ended.Sub(m.Started), Environment: h.Environment,
		Quick: h.Plan.Quick, InProcess: h.InProcess, Settings: h.Settings, Plan: h.Plan, Caches: h.Caches,
		Resizing: h.Resizing, Kernels: m.Kernels,
	}
	if len(h.Captures) == 1 {
		f.Traffic = h.Captures[0]
		f.Traffic.Path = ""
	}
	f.conditions(m.Timing)
	for i := range m.Counting {
		if r := &m.Counting[i]; r.Kind == trial.KindService {
			f.Counts = append(f.Counts, Count{Engine: r.Cell.Engine, Counters: r.Counters, SHA256: digest(&r.Counters)})
		}
	}
	f.cells(m.Timing)
	f.doubts()
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	return f, nil
}

// digest is the SHA-256 of counters in compact JSON: integers in a fixed order.
func digest(c *parse.Counters) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a struct of integers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func (f *File) conditions(records []trial.Record) {
	c := &f.Conditions
	for i := range records {
		u := &records[i].Usage
		if c.TemperatureBeforeMilliC == nil {
			c.TemperatureBeforeMilliC = u.TemperatureBeforeMilliC
		}
		for _, t := range []*int64{u.TemperatureBeforeMilliC, u.TemperatureAfterMilliC} {
			if t != nil && (c.TemperatureMaxMilliC == nil || *t > *c.TemperatureMaxMilliC) {
				c.TemperatureMaxMilliC = t
			}
		}
		if u.TemperatureAfterMilliC != nil {
			c.TemperatureAfterMilliC = u.TemperatureAfterMilliC
		}
		if u.Throttled != nil {
			if c.ThrottledTrials == nil {
				c.ThrottledTrials = new(int64)
			}
			if *u.Throttled {
				*c.ThrottledTrials++
			}
		}
		if u.StealNs != nil {
			if c.StealNs == nil {
				c.StealNs = new(int64)
			}
			*c.StealNs += *u.StealNs
		}
		c.WallNs += u.WallNs
		for _, ns := range []int64{u.CalibrationBeforeNs, u.CalibrationAfterNs} {
			if c.LoopMinNs == 0 || ns < c.LoopMinNs {
				c.LoopMinNs = ns
			}
			c.LoopMaxNs = max(c.LoopMaxNs, ns)
		}
	}
}

func (f *File) cells(records []trial.Record) {
	octets := make(map[trial.Cell]parse.Counters)
	index := make(map[trial.Cell]int)
	for i := range records {
		r := &records[i]
		if r.Kind != trial.KindService || r.Result.Served == 0 {
			continue
		}
		at, known := index[r.Cell]
		if !known {
			at = len(f.Cells)
			index[r.Cell] = at
			f.Cells = append(f.Cells, Cell{Engine: r.Cell.Engine, Size: r.Cell.Size, Cache: r.Cell.Cache, WorkingSet: r.WorkingSet})
		}
		c := &f.Cells[at]
		sum := octets[r.Cell]
		sum.Add(r.Counters)
		octets[r.Cell] = sum
		c.Octets = float64(sum.Octets) / float64(max(sum.Frames, 1))
		n := float64(r.Result.Served)
		s := Sample{
			Packets: r.Result.Served, NS: r.CostNanos(), FeedNS: float64(r.Result.FeedTime) / n,
			Allocs: float64(r.Usage.HeapAllocs) / n, AllocOctets: float64(r.Usage.HeapAllocOctets) / n,
			GCCycles: r.Usage.GCCycles, PeakOctets: r.Usage.EnginePeakOctets,
			CPUNS: per(r.Usage.ProcessCPUNs, n), Insns: per(r.Usage.Instructions, n),
		}
		c.Samples = append(c.Samples, s)
		for _, mark := range r.Marks {
			if !slices.Contains(c.Marks, mark) {
				c.Marks = append(c.Marks, mark)
			}
		}
	}
}

func per(count *int64, n float64) *float64 {
	if count == nil {
		return nil
	}
	v := float64(*count) / n
	return &v
}

// check finds what makes the file no calibration of this kit.
func (f *File) check() error {
	var faults []error
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if f.Traffic.SHA256 != trafficSHA256 || f.Traffic.Frames != trafficFrames {
		add("the traffic is not that of kit %d: %d frames with SHA-256 %q, not %d with %s",
			Kit, f.Traffic.Frames, f.Traffic.SHA256, trafficFrames, trafficSHA256)
	}
	settings, plan := Timing(f.Plan.Engines, f.Plan.Quick)
	settings, err := settings.Normalize()
	if err != nil {
		add("%w", err)
	}
	p := &f.Plan
	if len(p.Engines) == 0 {
		add("no engine was measured")
	}
	if !slices.Equal(p.Sizes, plan.Sizes) || !slices.Equal(p.Caches, plan.Caches) || !slices.Equal(p.Workers, plan.Workers) ||
		p.Repeats != plan.Repeats || p.Trial != plan.Trial || p.Search != plan.Search || len(p.Rates) > 0 || p.Soak != 0 ||
		f.Quick != p.Quick || f.Caches != Caches || f.Settings.Seed != settings.Seed || f.Settings.Clock != settings.Clock ||
		f.Settings.Feed != settings.Feed || f.Settings.Batch != settings.Batch || f.Settings.Passes != 0 || len(f.Settings.Stages) > 0 {
		add("settings or plan are not those of kit %d", Kit)
	}
	if f.Elapsed < 0 || f.Started.IsZero() {
		add("started at %v and took %v", f.Started, f.Elapsed)
	}
	f.checkKernels(add)
	f.checkCounts(add)
	f.checkCells(add)
	return errors.Join(faults...)
}

func (f *File) checkKernels(add func(string, ...any)) {
	k := &f.Kernels
	if k.Version != kernel.Version {
		add("micro-kernels of version %d, not %d", k.Version, kernel.Version)
		return
	}
	all := kernel.Kernels()
	seen := make(map[string]bool)
	for _, r := range k.Kernels {
		i := slices.IndexFunc(all, func(k kernel.Kernel) bool { return k.Name == r.Name })
		switch {
		case i < 0 || seen[r.Name]:
			add("micro-kernel %q: unknown, or there twice", r.Name)
		case r.Checksum != fmt.Sprintf("%016x", all[i].Checksum) || r.Ops != all[i].Ops || r.Octets != all[i].Octets || r.Kind != all[i].Kind:
			add("micro-kernel %s: checksum %q of %d operations, not %016x of %d: not the kit's work", r.Name, r.Checksum, r.Ops, all[i].Checksum, all[i].Ops)
		case r.Rounds < kernel.MinRounds || !positive(r.MinNS) || !positive(r.MedianNS) || r.MinNS > r.MedianNS || r.CPUNS != nil && !finite(*r.CPUNS):
			add("micro-kernel %s: %d rounds, least %v ns, median %v ns", r.Name, r.Rounds, r.MinNS, r.MedianNS)
		}
		seen[r.Name] = true
	}
	if missing := len(all) - len(seen); missing != len(k.Skipped) {
		add("%d micro-kernels are missing, and %d are said to be skipped", missing, len(k.Skipped))
	}
}

func (f *File) checkCounts(add func(string, ...any)) {
	var engines []string
	for i := range f.Counts {
		c := &f.Counts[i]
		engines = append(engines, c.Engine)
		if sum := digest(&c.Counters); c.SHA256 != sum {
			add("counts of engine %s: SHA-256 is %s, not %q as the file has it", c.Engine, sum, c.SHA256)
		}
		if c.Counters.Frames != f.Traffic.Frames {
			add("counts of engine %s are of %d frames, not of one pass over %d", c.Engine, c.Counters.Frames, f.Traffic.Frames)
		}
	}
	if !slices.Equal(engines, f.Plan.Engines) {
		add("counts of engines %q, but costs of %q", engines, f.Plan.Engines)
	}
}

func (f *File) checkCells(add func(string, ...any)) {
	p := &f.Plan
	i := 0
	for _, size := range p.Sizes {
		for _, cache := range p.Caches {
			for _, engine := range p.Engines {
				name := fmt.Sprintf("%s, size %s, %s", engine, size, cache)
				if i >= len(f.Cells) {
					add("%s: not measured", name)
					return
				}
				c := &f.Cells[i]
				i++
				if c.Engine != engine || c.Size != size || c.Cache != cache {
					add("%s: not measured, or in another order (%s, size %s, %s is there)", name, c.Engine, c.Size, c.Cache)
					return
				}
				if len(c.Samples) != p.Repeats || !positive(c.Octets) || c.WorkingSet <= 0 {
					add("%s: %d samples of %d, %v B/packet, working set of %d octets", name, len(c.Samples), p.Repeats, c.Octets, c.WorkingSet)
				}
				for _, s := range c.Samples {
					if s.Packets == 0 || !positive(s.NS) || !finite(s.FeedNS) || !finite(s.Allocs) || !finite(s.AllocOctets) ||
						s.CPUNS != nil && !finite(*s.CPUNS) || s.Insns != nil && !finite(*s.Insns) {
						add("%s: a sample of %d packets with %v ns each", name, s.Packets, s.NS)
					}
				}
			}
		}
	}
	if i != len(f.Cells) {
		add("%d cells, but the plan has %d", len(f.Cells), i)
	}
}

func positive(v float64) bool { return v > 0 && finite(v) }

// finite is also false below 0: nothing here is negative.
func finite(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

// NS summarizes the ns per packet of a cell, the feed's part included, and tells whether the file has it.
func (f *File) NS(engine, size, cache string) (analysis.Summary, bool) {
	c, ok := f.Cell(engine, size, cache)
	if !ok {
		return analysis.Summary{}, false
	}
	return analysis.Summarize(c.values(func(s *Sample) *float64 { return &s.NS })), true
}

// CPUNS summarizes the CPU ns per packet of a cell, and tells whether the file has any.
func (f *File) CPUNS(engine, size, cache string) (analysis.Summary, bool) {
	c, ok := f.Cell(engine, size, cache)
	if !ok {
		return analysis.Summary{}, false
	}
	s := analysis.Summarize(c.values(func(s *Sample) *float64 { return s.CPUNS }))
	return s, s.N > 0
}

// Cell returns a cell, and whether the file has it.
func (f *File) Cell(engine, size, cache string) (Cell, bool) {
	for _, c := range f.Cells {
		if c.Engine == engine && c.Size == size && c.Cache == cache {
			return c, true
		}
	}
	return Cell{}, false
}

func (c *Cell) values(of func(*Sample) *float64) []float64 {
	var values []float64
	for i := range c.Samples {
		if v := of(&c.Samples[i]); v != nil {
			values = append(values, *v)
		}
	}
	return values
}

// envelope is the file as it is stored.
type envelope struct {
	Format      string          `json:"format"`
	Schema      int             `json:"schema"`
	Kit         int             `json:"kit"`
	SHA256      string          `json:"sha256"` // of Calibration without insignificant spaces
	Calibration json.RawMessage `json:"calibration"`
}

// Write writes f as indented JSON.
func (f *File) Write(w io.Writer) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	sum := sha256.Sum256(body)
	text, err := json.MarshalIndent(envelope{format, Schema, Kit, hex.EncodeToString(sum[:]), body}, "", "  ")
	if err != nil {
		return fmt.Errorf("calibration: %w", err)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Read reads a file as Write writes it. It refuses what is no calibration, of another schema or kit, incomplete, or changed
// since it was written, and says which.
func Read(r io.Reader) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("more than %d octets: no calibration is that large", maxFile)
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("not a calibration, or not all of it: %w", err)
	}
	switch {
	case e.Format != format:
		return nil, fmt.Errorf("not a calibration: format is %q, not %q; 'pcaplab calibrate -o FILE' makes one", e.Format, format)
	case e.Schema != Schema:
		return nil, fmt.Errorf("calibration of schema %d, and this program reads %d: use the version of pcaplab that made it, or calibrate again", e.Schema, Schema)
	case e.Kit != Kit:
		return nil, fmt.Errorf("calibration by kit %d, and this program's is %d: the two must not be compared; calibrate again", e.Kit, Kit)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, e.Calibration); err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	if sum := sha256.Sum256(compact.Bytes()); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("calibration was changed or damaged after it was written: SHA-256 is %x, not %q", sum, e.SHA256)
	}
	f := &File{}
	if err := json.Unmarshal(compact.Bytes(), f); err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("calibration: %w", err)
	}
	return f, nil
}

// ReadFile reads the file at path.
func ReadFile(path string) (*File, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	f, err := Read(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}
