package calibration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// Shares above which something is a doubt.
const (
	loopDoubt   = 0.10 // the loop of fixed work: change of clock
	stealDoubt  = 0.01 // of the time of all trials
	spreadDoubt = 0.25 // (max - min) / median of the repeats of a cell
)

// doubts finds what speaks against the numbers.
func (f *File) doubts() {
	add := func(format string, args ...any) { f.Doubts = append(f.Doubts, fmt.Sprintf(format, args...)) }
	if f.Quick {
		add("quick: one short repeat of two sizes, for a first look")
	}
	if f.InProcess {
		add("measured in one process: memory, collector and caches of one engine meet the next")
	}
	f.doubtCounts(add)
	for _, s := range f.Kernels.Skipped {
		add("micro-kernel %s", s)
	}
	e, c := &f.Environment, &f.Conditions
	if e.Virtual != nil && *e.Virtual {
		add("a virtual machine: its host's other work is not seen from here")
	}
	switch {
	case emulated(e):
		add("a program for %s on a kernel for %s: every instruction is translated by an emulator; digests count, times mean nothing", e.Arch, e.KernelArch)
	case e.Bits == 32 && (e.KernelArch == "aarch64" || e.KernelArch == "x86_64"):
		add("a 32-bit program on a 64-bit kernel (%s): the 64-bit program is another machine", e.KernelArch)
	}
	if e.Governor != "" && e.Governor != "performance" {
		add("governor %s: the clock follows the load or is held low; set performance", e.Governor)
	}
	if llc, known := e.LLCOctets(); known && llc > f.Caches.LLC {
		add("the last-level cache has %d octets: cold frames are meant to come from memory, and %d octets of them are fed", llc, 4*f.Caches.LLC)
	}
	if c.ThrottledTrials != nil && *c.ThrottledTrials > 0 {
		add("the processor was held back (heat or voltage) in %d trials", *c.ThrottledTrials)
	}
	if c.StealNs != nil && float64(*c.StealNs) > stealDoubt*float64(c.WallNs) {
		add("the hypervisor gave %.1f %% of the time to others", 100*float64(*c.StealNs)/float64(c.WallNs))
	}
	if c.LoopMinNs > 0 {
		if r := float64(c.LoopMaxNs)/float64(c.LoopMinNs) - 1; r > loopDoubt {
			add("a loop of fixed work took up to %.0f %% longer at one time than at another: the clock changed, or others were at work", 100*r)
		}
	}
	f.doubtCells(add)
}

// emulated tells whether the kernel is of another family of processors than the program, as under qemu-user.
func emulated(e *meter.Environment) bool {
	families := map[string][]string{"amd64": {"x86"}, "386": {"x86", "i386", "i486", "i586", "i686"}, "arm64": {"aarch64", "arm"}, "arm": {"arm", "aarch64"}}
	of, known := families[e.Arch]
	return known && e.KernelArch != "" && !slices.ContainsFunc(of, func(prefix string) bool { return strings.HasPrefix(e.KernelArch, prefix) })
}

// Emulated tells whether the program ran under an emulator of processors: its digests count, its times mean nothing.
func (f *File) Emulated() bool { return emulated(&f.Environment) }

func (f *File) doubtCounts(add func(string, ...any)) {
	for _, c := range f.Counts {
		if c.SHA256 != countsSHA256 {
			add("engine %s counts the traffic otherwise than the kit's engines do: its costs are of other work", c.Engine)
		}
	}
}

func (f *File) doubtCells(add func(string, ...any)) {
	marked := make(map[string]int)
	var marks []string
	wide := 0
	for i := range f.Cells {
		c := &f.Cells[i]
		for _, m := range c.Marks {
			if marked[m] == 0 {
				marks = append(marks, m)
			}
			marked[m]++
		}
		if Spread(analysis.Summarize(c.values(func(s *Sample) *float64 { return &s.NS }))) > spreadDoubt {
			wide++
		}
	}
	slices.SortStableFunc(marks, func(a, b string) int { return cmp.Compare(marked[b], marked[a]) })
	for _, m := range marks {
		add("%d of %d cells are marked %s: %s", marked[m], len(f.Cells), m, markWords[m])
	}
	if wide > 0 {
		add("repeats of %d of %d cells differ by more than %.0f %%", wide, len(f.Cells), 100*spreadDoubt)
	}
}

// markWords says what marks mean, in a line each.
var markWords = map[string]string{
	trial.MarkFeedLimited: "the feed took over 5 % of the time; it is in ns and stands beside it as feed_ns",
	trial.MarkHostLimited: "losses came with gaps of the host",
	trial.MarkHostBusy:    "the thread was without a CPU for over 5 % of the time",
	trial.MarkThrottled:   "the board lowered its clock",
	trial.MarkLLC:         "too little memory for frames that are cold for sure",
	trial.MarkUnsent:      "the feed could not offer the load",
	trial.MarkUndecoded:   "over 1 % of the frames were of link types that the parser does not decode",
}

// Spread returns how far the values lie apart: (max - min) / median; 0 for fewer than two.
func Spread(s analysis.Summary) float64 {
	if s.N < 2 || !(s.Median > 0) {
		return 0
	}
	return (s.Max - s.Min) / s.Median
}
