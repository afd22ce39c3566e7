//go:build !linux

package meter

import (
	"os"
	"time"
)

// ThreadCPU returns the CPU time, user and system, that the calling thread has used, or a negative duration where that
// cannot be known, as on this system.
func ThreadCPU() time.Duration { return -1 }

func processCPU() time.Duration { return -1 }

func askFirmware(string, []uint32) error { return os.ErrNotExist }

type threadMeter struct{}

func (threadMeter) open(notes []string) []string {
	return append(notes, "CPU time, switches, faults and hardware counters are read on Linux only")
}
func (threadMeter) cpu() int      { return 0 }
func (threadMeter) start()        {}
func (threadMeter) stop()         {}
func (threadMeter) report(*Usage) {}

type peakResetter struct{ done bool }

func (peakResetter) open(_ Roots, notes []string) []string { return notes }
func (peakResetter) reset()                                {}
func (peakResetter) report(cfg Config, u *Usage)           { reportMemory(cfg, u) }
