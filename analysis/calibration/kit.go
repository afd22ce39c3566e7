package calibration

import (
	"time"

	"pcaplab/replay/meter/kernel"
	"pcaplab/replay/trial"
)

// Kit is the version of the work: files of different kits must not be compared. It changes with anything in this file,
// with the seeded traffic, with what engines count, and with [kernel.Version].
const Kit = 1

// The traffic that is fed, as commands name it.
const (
	Traffic       = "synth:iot-1:20000"
	TrafficSeed   = 1
	trafficFrames = 20000
	// trafficSHA256 is of time, wire length, link type, length and octets of every frame.
	trafficSHA256 = "987bd1c377c7bcc96728c3e5a066bb19cd02b38906157de469df293b7fba7cf2"
	// countsSHA256 is of what the engines of this program count in one pass over the traffic; see [Count].
	countsSHA256 = "dfbf913b2eb90d74376ff71ab8900b0baf7531986f98afb9162b834f3b3fbc85"
)

// Caches are the sizes for which working sets are made, whatever the machine's: hot frames take 64 KiB, cold ones 128 MiB.
// On a machine with a larger last-level cache cold frames may be in it, and the file says so.
var Caches = trial.Caches{L2: 128 << 10, LLC: 32 << 20}

// Timing returns the study of costs: every engine at every size, frames hot and cold, in closed loop. quick takes one
// short repeat of two sizes: a first look.
func Timing(engines []string, quick bool) (trial.Settings, trial.Plan) {
	plan := trial.Plan{
		Engines: engines,
		Sizes:   []string{trial.Captured, "64", "512", "1518"},
		Caches:  []string{trial.CacheHot, trial.CacheCold},
		Workers: []int{1},
		Repeats: 3,
		Trial:   100 * time.Millisecond,
		Search:  trial.SearchNone,
		Quick:   quick,
	}
	if quick {
		plan.Sizes, plan.Repeats, plan.Trial = []string{trial.Captured, "64"}, 1, 50*time.Millisecond
	}
	return trial.Settings{Seed: TrafficSeed}, plan
}

// Counting returns the study of what engines count: one pass of each over the traffic as captured.
func Counting(engines []string) (trial.Settings, trial.Plan) {
	return trial.Settings{Seed: TrafficSeed, Passes: 1}, trial.Plan{
		Engines: engines,
		Sizes:   []string{trial.Captured},
		Caches:  []string{trial.CacheAsIs},
		Workers: []int{1},
		Repeats: 1,
		Search:  trial.SearchNone,
	}
}

// Kernels returns how the micro-kernels are run.
func Kernels(quick bool) kernel.Config {
	if quick {
		return kernel.Config{Budget: 20 * time.Millisecond}
	}
	return kernel.Config{Budget: kernel.DefaultBudget}
}
