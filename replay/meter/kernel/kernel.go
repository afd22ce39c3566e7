package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// Version names the work that kernels do and changes with it: results of two versions must not be compared.
const Version = 1

// MinRounds is the least number of timed rounds of a kernel.
const MinRounds = 3

// maxRounds bounds the timed rounds, so that the times of a kernel can be kept in memory that was taken before.
const maxRounds = 8192

// DefaultBudget is the time for the rounds of a kernel.
const DefaultBudget = 250 * time.Millisecond

// Kernel is one loop.
type Kernel struct {
	Kind   string // "chase": kernels of one kind differ in Octets only
	Name   string // "chase-64KiB", or the kind where there is one size
	Doc    string // what one operation is
	Octets int64  // of memory that a round goes through; 0: registers and the stack
	Ops    int64  // operations of a round
	// Checksum is what a round computes.
	Checksum uint64

	// prepare fills memory of Octets octets and returns the round. A round does the same each time.
	prepare func(k *Kernel, memory []byte) (round func() uint64)
}

// Result is what the rounds of a kernel took.
type Result struct {
	Kind     string  `json:"kind"`
	Name     string  `json:"name"`
	Octets   int64   `json:"octets,omitempty"` // of memory gone through
	Ops      int64   `json:"ops"`              // operations of a round
	Rounds   int     `json:"rounds"`           // timed
	MinNS    float64 `json:"min_ns"`           // per operation, of the quickest round
	MedianNS float64 `json:"median_ns"`        // per operation, of the median round
	// CPUNS is the CPU time of the process per operation, user and system, mean of the timed rounds: above MedianNS where
	// other threads worked too (the collector's), below it where the thread was without a CPU. Nil where unknown.
	CPUNS    *float64 `json:"cpu_ns"`
	Checksum string   `json:"checksum"` // of a round, 16 hexadecimal digits
}

// Results are those of all kernels on one machine.
type Results struct {
	Version    int      `json:"version"` // of the work: [Version]
	PageOctets int      `json:"page_octets"`
	Kernels    []Result `json:"kernels"`
	// Skipped says which kernels were not run, and why.
	Skipped []string `json:"skipped,omitempty"`
}

// Config says how long kernels are run. The zero value is for use.
type Config struct {
	// Budget is the time for the rounds of one kernel; 0 is [DefaultBudget]. It is passed where MinRounds take longer.
	Budget time.Duration `json:"budget_ns,omitempty"`
	// MemoryLimit skips kernels that go through more octets; 0 is none.
	MemoryLimit int64 `json:"memory_limit,omitempty"`
	// Progress, where set, is called before each kernel, and once when all are done, with an empty name.
	Progress func(done, all int, name string) `json:"-"`
}

// Expected returns about how long Run takes on a 2-core VM.
func (c *Config) Expected() time.Duration {
	budget := c.Budget
	if budget == 0 {
		budget = DefaultBudget
	}
	sum := time.Duration(0)
	for _, k := range Kernels() {
		if c.MemoryLimit == 0 || k.Octets <= c.MemoryLimit {
			sum += budget + time.Duration(float64(k.Octets)*fillNanos)
		}
	}
	return sum
}

// fillNanos is about what filling memory takes per octet.
const fillNanos = 1.5

// ErrChecksum is returned, wrapped, where a machine computes something else than every other one.
var ErrChecksum = errors.New("wrong checksum: the processor or its memory is at fault (overclocked, under-voltage?), or the program was built by a faulty compiler")

// Run runs all kernels, one after another, on a thread of its own. It returns ctx's error when ctx ends before it is done,
// and one that wraps [ErrChecksum] for a machine that computes wrong; there are no results then.
func Run(ctx context.Context, cfg Config) (Results, error) {
	if cfg.Budget < 0 || cfg.MemoryLimit < 0 {
		return Results{}, fmt.Errorf("kernels with a budget of %v and a memory limit of %d octets: want positive numbers, or 0", cfg.Budget, cfg.MemoryLimit)
	}
	if cfg.Budget == 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Progress == nil {
		cfg.Progress = func(int, int, string) {}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	kernels := Kernels()
	results := Results{Version: Version, PageOctets: os.Getpagesize()}
	times := make([]int64, 0, maxRounds)
	for i := range kernels {
		k := &kernels[i]
		cfg.Progress(i, len(kernels), k.Name)
		if cfg.MemoryLimit > 0 && k.Octets > cfg.MemoryLimit {
			results.Skipped = append(results.Skipped, fmt.Sprintf("%s: needs %d octets of memory, and the limit is %d", k.Name, k.Octets, cfg.MemoryLimit))
			continue
		}
		r, err := k.run(ctx, cfg.Budget, times)
		if err != nil {
			return Results{}, err
		}
		results.Kernels = append(results.Kernels, r)
	}
	cfg.Progress(len(kernels), len(kernels), "")
	return results, nil
}

func (k *Kernel) run(ctx context.Context, budget time.Duration, times []int64) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	memory, free, err := allocate(int(k.Octets))
	if err != nil {
		return Result{}, fmt.Errorf("kernel %s: %d octets of memory: %w", k.Name, k.Octets, err)
	}
	defer free()
	round := k.prepare(k, memory)
	runtime.GC() // of what came before
	if err := k.check(round()); err != nil {
		return Result{}, err
	}
	times = times[:0]
	cpu := processCPU()
	for begin := time.Now(); len(times) < MinRounds || len(times) < maxRounds && time.Since(begin) < budget; {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		start := time.Now()
		sum := round()
		times = append(times, int64(time.Since(start)))
		if sum != k.Checksum {
			return Result{}, k.check(sum)
		}
	}
	r := Result{
		Kind: k.Kind, Name: k.Name, Octets: k.Octets, Ops: k.Ops, Rounds: len(times), Checksum: fmt.Sprintf("%016x", k.Checksum),
	}
	if end := processCPU(); cpu >= 0 && end >= cpu {
		mean := float64(end-cpu) / float64(len(times)) / float64(k.Ops)
		r.CPUNS = &mean
	}
	slices.Sort(times)
	n := len(times)
	r.MinNS = float64(times[0]) / float64(k.Ops)
	r.MedianNS = (float64(times[(n-1)/2]) + float64(times[n/2])) / 2 / float64(k.Ops)
	return r, nil
}

func (k *Kernel) check(sum uint64) error {
	if sum == k.Checksum {
		return nil
	}
	return fmt.Errorf("kernel %s: %016x instead of %016x: %w", k.Name, sum, k.Checksum, ErrChecksum)
}

// Kernel returns the result of a kernel by its name, and whether it was run.
func (r *Results) Kernel(name string) (Result, bool) {
	for _, k := range r.Kernels {
		if k.Name == name {
			return k, true
		}
	}
	return Result{}, false
}

// Mispredict returns the cost in ns of a conditional branch that goes the other way than predicted: of branches that go
// either way at random every second one does, so it is 2 * (branch-random - branch-sorted), by least times. It is 0 where
// the machine shows no difference, and not known where one of them was not run.
func (r *Results) Mispredict() (ns float64, known bool) {
	return r.excess("branch-random", "branch-sorted", 2)
}

// MispredictCall returns the cost in ns of an indirect call that goes elsewhere than predicted: of calls to one of four
// functions at random at best three in four do, so it is 4/3 * (call-random - call-sorted), by least times.
func (r *Results) MispredictCall() (ns float64, known bool) {
	return r.excess("call-random", "call-sorted", 4.0/3)
}

func (r *Results) excess(with, without string, factor float64) (float64, bool) {
	a, ranA := r.Kernel(with)
	b, ranB := r.Kernel(without)
	return factor * max(0, a.MinNS-b.MinNS), ranA && ranB
}
