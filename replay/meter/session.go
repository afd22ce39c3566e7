package meter

import "time"

// SessionEvery is how often a Session samples by default. A sample of a process costs about 5 us.
const SessionEvery = 20 * time.Millisecond

// ProcessUsage is what one process of a session has cost.
type ProcessUsage struct {
	PID     int    `json:"pid"`
	Parent  int    `json:"parent"`
	Command string `json:"command"` // the kernel's name of it, 15 octets at most
	// CPUNs is CPU time, user and system: to the nanosecond while the process is there, zombies included, and as of the last
	// sample when it is gone.
	CPUNs int64 `json:"cpu_ns"`
	// PeakOctets is the most memory that was resident at once (VmHWM), as of the last sample; 0 if it ended before the first.
	PeakOctets int64 `json:"peak_octets"`
	Ended      bool  `json:"ended"`
}

// SessionUsage is what the processes of a session have cost since its leader was started.
type SessionUsage struct {
	// CPUNs is the CPU time of the session's leader, ChildrenCPUNs of all others.
	//
	// The leader's is exact until it is reaped. That of others is exact for those that are there. Those that have ended count,
	// together, as of their last samples, which are up to the sampling interval old (five intervals of one that lived
	// shorter), or by the leader's own account of the children that it has waited for if that is more: in steps of 10 ms, or
	// of 1 us once Reaped was called.
	CPUNs         int64 `json:"cpu_ns"`
	ChildrenCPUNs int64 `json:"children_cpu_ns"`
	// PeakOctets is the most memory of the leader that was resident at once (VmHWM): not the max RSS of getrusage, which a
	// process inherits from the one that started it. nil if it was never seen.
	PeakOctets *int64 `json:"peak_octets"`
	// SumPeakOctets is the largest sum of what was resident of all processes at one sample. Pages that they share are counted
	// in each.
	SumPeakOctets *int64 `json:"sum_peak_octets"`
	// Processes are those that were seen, the leader first.
	Processes []ProcessUsage `json:"processes"`
	Samples   int64          `json:"samples"`
	// Notes are the reasons for what is missing.
	Notes []string `json:"notes,omitempty"`
}
