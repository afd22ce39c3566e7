// Package external measures parsers that are other programs: dpkt, Scapy, tshark, PyShark, or any command. A program is
// started, reads a pcap stream on its standard input at a controlled load through a queue that loses frames as a capture's
// would, and says at its end how many packets it has seen. It is metered as a tree of processes.
//
// A program that publishes its progress (see [ProgressEnv]) has an exact queue: what waits is what was admitted and not yet
// taken, be it in the feeder, in the pipe or in the program's own buffer. Of another program it is known what lies in the
// feeder and in the pipe; what it has read and not parsed is a buffer besides the queue.
package external

import (
	"errors"
	"fmt"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
)

// ErrNotSupported is the error of Start on systems other than Linux.
var ErrNotSupported = errors.New("other programs can be fed on Linux only")

// ProgressEnv is the environment variable that names the progress page, a file that a program may open for reading and
// writing and map (its first 40 octets); it is also open as file descriptor 3. The words of the page are uint64 in the
// machine's byte order, 0 at first, and written by the program only:
//
//	0  frames taken so far; written when a frame is taken, before it is parsed
//	1  1 when the program is ready for its first frame; must be set before the first record is read
//	2  TCP packets among the frames done; may stay 0
//	3  frames done; may stay 0
//	4  frames that the program's reader always holds back until the next one comes (0 or 1); they count as taken
//
// A program that leaves word 1 at 0 until it has read the capture's header (24 octets) publishes no progress.
const ProgressEnv = "PCAPLAB_PROGRESS"

// PythonEnv is the environment variable that names the Python interpreter of the programs that need one.
const PythonEnv = "PCAPLAB_PYTHON"

// Config says how a program is started. The zero value is Ethernet through a pipe of 1 MiB.
type Config struct {
	// PipeOctets is the size wanted of the pipe to the program's standard input; 0 is 1 MiB. The kernel rounds it up to a
	// power of two, and may grant less: see Outcome.PipeOctets. What lies in the pipe counts as queued, so that a large pipe
	// makes no queue longer.
	PipeOctets int `json:"pipe_octets,omitempty"`
	// Link is the frames' link type; 0 is Ethernet.
	Link parse.LinkType `json:"link,omitempty"`
	// Snaplen is how many octets of a frame the program gets at most; 0 is 262144.
	Snaplen int `json:"snaplen,omitempty"`
	// Ready is how long the program may take until it is ready; 0 is a minute.
	Ready time.Duration `json:"ready_ns,omitempty"`
	// Sample is how often memory and CPU time are sampled; 0 is meter.SessionEvery.
	Sample time.Duration `json:"sample_ns,omitempty"`
	// Env are variables (NAME=VALUE) added to the environment.
	Env []string `json:"env,omitempty"`
}

// Counts is what a program says it has seen.
type Counts struct {
	Packets  uint64 `json:"packets"`
	TCP      uint64 `json:"tcp"`
	TCPKnown bool   `json:"tcp_known"` // whether it says how many were TCP
}

// Span is what the program cost in a stretch of time. Processors can be shared by several processes: CPUNs plus
// ChildrenCPUNs may be more than WallNs.
type Span struct {
	WallNs        int64 `json:"wall_ns"`
	CPUNs         int64 `json:"cpu_ns"`          // of the process that was started, user and system
	ChildrenCPUNs int64 `json:"children_cpu_ns"` // of all its descendants
}

// Usage is what a program cost.
type Usage struct {
	StartUp Span `json:"start_up"` // from its start until it was ready
	Traffic Span `json:"traffic"`  // from the trial's begin to the end of the load
	// Whole is from the trial's begin until everything admitted was done, by the progress page; or else until the program's
	// end.
	Whole Span `json:"whole"`
	// Session has memory, the processes and the CPU time over the program's whole life.
	Session meter.SessionUsage `json:"session"`
	// FeederCPUNs is the CPU time of the thread that fed the program, in Run.
	FeederCPUNs *int64 `json:"feeder_cpu_ns"`
}

// Outcome is what is known of a trial when the program has ended.
type Outcome struct {
	Counts
	// Counter says whether the program published its progress.
	Counter bool `json:"counter"`
	// Admitted frames were put into the queue, Given of them were written to the program whole.
	Admitted uint64 `json:"admitted"`
	Given    uint64 `json:"given"`
	// Result is that of Run, corrected by what the program has counted: of a program that counted less than was delivered,
	// the rest is residual, with its share of the octets.
	Result replay.Result `json:"result"`
	Usage  Usage         `json:"usage"`
	// PipeOctets is the size of the pipe, BufferOctets of the program's input buffer if it is known. Without a counter the
	// latter is a buffer besides the queue.
	PipeOctets   int    `json:"pipe_octets"`
	BufferOctets int    `json:"buffer_octets,omitempty"`
	BufferNote   string `json:"buffer_note,omitempty"`
	// Warnings are what is doubtful in the counts.
	Warnings []string `json:"warnings,omitempty"`
}

// MissingError says that a program, or what it needs, is not on this machine.
type MissingError struct {
	Program string // Program.Name
	Package string // Debian packages to install, separated by spaces; may be empty
	Why     string // what was not found, and what else to do
}

// Error names what to install.
func (e *MissingError) Error() string {
	if e.Package == "" {
		return fmt.Sprintf("%s: %s", e.Program, e.Why)
	}
	return fmt.Sprintf("%s: %s: install it with apt install %s", e.Program, e.Why, e.Package)
}

// EndedError says that a program ended, or stopped reading, before its time, or badly.
type EndedError struct {
	Program string
	Status  string // "exit status 1", "signal: killed", "closed its standard input"
	Given   uint64 // frames that it had been given whole
	Stderr  string // the last lines of its standard error
}

// Error has everything on one line.
func (e *EndedError) Error() string {
	s := fmt.Sprintf("%s ended (%s) after it was given %d frames", e.Program, e.Status, e.Given)
	if e.Stderr != "" {
		s += "; it said: " + oneLine(e.Stderr)
	}
	return s
}

// CountsError says that a program ended well but did not say what it had seen.
type CountsError struct {
	Program string
	Output  string // the last lines of its standard output
}

// Error says what was expected.
func (e *CountsError) Error() string {
	said := "nothing"
	if e.Output != "" {
		said = fmt.Sprintf("%q", oneLine(e.Output))
	}
	return fmt.Sprintf("%s printed no counts but %s: its last line must be PACKETS, PACKETS TCP or "+
		`{"packets":PACKETS,"tcp":TCP}`, e.Program, said)
}

// settle compares what was counted with what was given.
func (o *Outcome) settle() {
	r := &o.Result
	if o.Packets > o.Admitted {
		o.Warnings = append(o.Warnings, fmt.Sprintf("the program counted %d packets, more than the %d that it was given: "+
			"its counts are doubtful", o.Packets, o.Admitted))
	}
	if o.Packets < o.Admitted {
		o.Warnings = append(o.Warnings, fmt.Sprintf("the program counted %d packets of the %d that it was given: "+
			"the others are residual", o.Packets, o.Admitted))
	}
	if o.Packets >= r.Delivered {
		return
	}
	lost := r.Delivered - o.Packets
	r.DeliveredOctets -= uint64(float64(r.DeliveredOctets) * float64(lost) / float64(r.Delivered))
	r.Delivered = o.Packets
	r.Residual += lost
}
