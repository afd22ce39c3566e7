package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
)

// ErrNotSupported says that this system cannot send frames: only Linux is supported.
var ErrNotSupported = errors.New("sending frames needs Linux")

// ErrDefaultRoute says that the interface carries the default route, and Config.Really is not set.
var ErrDefaultRoute = errors.New("carries the default route")

// Backends, for Config.Backend.
const (
	Auto     = "auto"     // the first of XDP, Sendmmsg and Sendto that the interface accepts
	Sendto   = "sendto"   // one system call a frame
	Sendmmsg = "sendmmsg" // one system call a batch
	TxRing   = "txring"   // TPACKET_V2: a ring that the kernel reads
	XDP      = "xdp"      // AF_XDP in copy mode
)

// Backends lists the backends in the order in which they are documented.
func Backends() []string { return []string{Auto, Sendto, Sendmmsg, TxRing, XDP} }

// What becomes of a frame that is longer than the interface takes, for Config.Oversize.
const (
	OversizeError    = "error"    // the run ends
	OversizeSkip     = "skip"     // it is left out
	OversizeTruncate = "truncate" // it is cut
	OversizeSegment  = "segment"  // TCP: as many segments as it takes; other IP: fragments; the rest is left out
)

// Spin says how the time until a frame is due is spent.
type Spin string

// Ways to wait. Sleeping ends 10 to 100 us late; how much depends on the machine and is learnt while running.
const (
	SpinAuto Spin = "auto" // sleep, and spin for as long as waking usually takes; at high rates take turns
	SpinOn   Spin = "on"   // spin for the last millisecond: the most exact, up to one core
	SpinOff  Spin = "off"  // sleep only: for boards with one core
)

// Config says how to send. The zero value is the defaults, but an interface must be named.
type Config struct {
	Interface string `json:"interface"`
	Backend   string `json:"backend"`  // "" means Auto
	Batch     int    `json:"batch"`    // most frames in one system call; 0 means 64 (xdp: 32)
	Oversize  string `json:"oversize"` // "" means OversizeError
	Qdisc     bool   `json:"qdisc"`    // go through the queueing discipline; without it frames bypass it (not of xdp, which always does)
	Really    bool   `json:"really"`   // send even where the default route is
}

func (c *Config) check() error {
	var errs []error
	if c.Interface == "" {
		errs = append(errs, errors.New("no interface is named"))
	}
	if c.Backend == "" {
		c.Backend = Auto
	}
	if !slices.Contains(Backends(), c.Backend) {
		errs = append(errs, fmt.Errorf("backend %q: want %s", c.Backend, strings.Join(Backends(), ", ")))
	}
	if c.Oversize == "" {
		c.Oversize = OversizeError
	}
	if !slices.Contains([]string{OversizeError, OversizeSkip, OversizeTruncate, OversizeSegment}, c.Oversize) {
		errs = append(errs, fmt.Errorf("oversize %q: want %s, %s, %s or %s", c.Oversize, OversizeError, OversizeSkip, OversizeTruncate, OversizeSegment))
	}
	if c.Batch < 0 || c.Batch > maxBatch {
		errs = append(errs, fmt.Errorf("batch of %d frames: want 1 to %d, or 0 for the default", c.Batch, maxBatch))
	}
	return errors.Join(errs...)
}

const (
	defaultBatch = 64
	maxBatch     = 1024
)

// Plan says what a run sends and when.
type Plan struct {
	Pacer    replay.Pacer  `json:"-"`           // nil: as fast as the interface takes them
	Spin     Spin          `json:"spin"`        // "" means SpinAuto
	Frames   uint64        `json:"frames"`      // end after so many frames of the source; 0: all
	Duration time.Duration `json:"duration_ns"` // end before the first frame that is due then, or at top speed then; 0: none
	// Grace is how long after Duration frames may still leave that were due before: a run that is farther behind ends, and counts the
	// rest as Result.Missed. 0 means DefaultGrace.
	Grace time.Duration `json:"grace_ns"`
	// LoopDelay is a pause between passes of a source that counts them (Loop() int).
	LoopDelay time.Duration `json:"loop_delay_ns"`
	FIFO      int           `json:"fifo"` // real-time priority of the sending thread, 1 to 99; 0 leaves the normal one
	CPU       *int          `json:"cpu"`  // run the sending thread on this CPU only; nil leaves it to the kernel
	// Late is from which lateness a frame counts as late; 0 means 100 us.
	Late time.Duration `json:"late_ns"`
	// Side says through which of two sockets a frame goes; nil is all through the first.
	Side func(f *parse.Frame) int `json:"-"`
	// Tap sees what is handed to the kernel, in order. It keeps nothing of it.
	Tap func(side int, data []byte) `json:"-"`
	// Before is called before a frame of the source is sent, outside of any batch; an error ends the run. io.EOF ends it well.
	Before func(f *parse.Frame) error `json:"-"`
	// Each is called about every second of a run with the counts so far, on the sending thread.
	Each func(Result) `json:"-"`
	// Every is how often Each is called; 0 means once a second.
	Every time.Duration `json:"-"`
	// Long is called before a wait of more than ten seconds for the next frame, with that wait, on the sending thread.
	Long func(wait time.Duration) `json:"-"`
	// Pass is called after each pass but the last of a source that counts them, before its pause, with the counts so far, on the sending thread.
	Pass func(Result) `json:"-"`
}

// Second is what left in one second of a run.
type Second struct {
	Frames uint64 `json:"frames"`
	Octets uint64 `json:"octets"`
	Late   uint64 `json:"late"`
}

// Bucket counts frames that were sent at most so long after they were due, and longer than the bucket before says.
type Bucket struct {
	UpTo   time.Duration `json:"up_to_ns"`
	Frames uint64        `json:"frames"`
}

// Result is what became of the frames of a run. Octets are those of frames as sent, without check sequence and preamble.
type Result struct {
	Frames    uint64 `json:"frames"`    // taken from the source
	Oversize  uint64 `json:"oversize"`  // of them longer than the interface takes
	Skipped   uint64 `json:"skipped"`   // of those, left out
	Truncated uint64 `json:"truncated"` // of those, cut
	Segmented uint64 `json:"segmented"` // of those, sent in pieces
	Pieces    uint64 `json:"pieces"`    // frames more than Segmented that they made
	Sent      uint64 `json:"sent"`      // the kernel took them
	Octets    uint64 `json:"octets"`    // of them
	Failed    uint64 `json:"failed"`    // the kernel refused them, for good
	Dropped   uint64 `json:"dropped"`   // the kernel took them, and the driver dropped them
	Runt      uint64 `json:"runt"`      // left out: shorter than a link header
	Unsent    uint64 `json:"unsent"`    // taken from the source and not sent, because the run ended
	// Missed are frames that were due within Plan.Duration and not taken from the source, because the run was behind: by frame numbers
	// where [replay.DueBefore] knows, else at the mean rate of those before, and 1 where all of those were due at once; as if the
	// source went on, unless Plan.Frames ends it.
	Missed  uint64 `json:"missed"`
	ENOBUFS uint64 `json:"retried_enobufs"`
	EAGAIN  uint64 `json:"retried_eagain"`

	Elapsed  time.Duration   `json:"elapsed_ns"` // from the start until the last frame was sent
	Lasted   time.Duration   `json:"lasted_ns"`  // from the start to the end, with what was waited after the last frame
	Planned  time.Duration   `json:"planned_ns"` // when the last frame was due; 0 at top speed
	Late     uint64          `json:"late"`       // frames later than Plan.Late
	Lateness replay.Lateness `json:"lateness"`   // of every frame, up to the system call that sends it
	Delays   []Bucket        `json:"delays"`     // the same as a histogram, in powers of two
	Seconds  []Second        `json:"seconds"`

	Slept    time.Duration `json:"slept_ns"`
	Spun     time.Duration `json:"spun_ns"`
	Sleeps   uint64        `json:"sleeps"`
	Calls    uint64        `json:"calls"`              // of the kernel, to send
	User     time.Duration `json:"cpu_user_ns"`        // of the sending thread
	System   time.Duration `json:"cpu_system_ns"`      // of the sending thread, with what it receives for the peer of a veth
	Switched int64         `json:"switched"`           // involuntary context switches of the sending thread
	Notes    []string      `json:"notes,omitempty"`    // what was asked for and could not be had
	Links    []LinkCounts  `json:"interfaces"`         // what the interfaces counted meanwhile, traffic of others included
	Backends []string      `json:"backends,omitempty"` // of the sockets
}

// LinkCounts is what went through one interface in a run: as this package counted, and as the interface did.
type LinkCounts struct {
	Interface string `json:"interface"`
	Sent      uint64 `json:"sent"`
	Octets    uint64 `json:"octets"`
	Failed    uint64 `json:"failed"`
	Dropped   uint64 `json:"dropped"`
	ENOBUFS   uint64 `json:"retried_enobufs"`
	EAGAIN    uint64 `json:"retried_eagain"`
	TxFrames  uint64 `json:"tx_frames"`
	TxOctets  uint64 `json:"tx_octets"`
	TxDropped uint64 `json:"tx_dropped"`
	TxErrors  uint64 `json:"tx_errors"`
}

// Rate is the mean in frames per second of Elapsed, of paced frames over the gaps between them; 0 where that gives none.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Sent) * r.gaps() / r.Elapsed.Seconds()
}

// BitRate is the mean in bit/s of the octets sent, as Rate.
func (r *Result) BitRate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Octets) * 8 * r.gaps() / r.Elapsed.Seconds()
}

// gaps is the part of paced frames that has a gap behind it: Elapsed ends with the last frame, not with a gap. One frame has none.
func (r *Result) gaps() float64 {
	if r.Lateness.Samples == 0 || r.Sent == 0 {
		return 1
	}
	return float64(r.Sent-1) / float64(r.Sent)
}

func (r *Result) check() error {
	if r.Frames+r.Pieces == r.Sent+r.Failed+r.Dropped+r.Runt+r.Skipped+r.Unsent {
		return nil
	}
	return fmt.Errorf("the counts do not add up, a fault of the program: frames %d, pieces %d, sent %d, failed %d, dropped %d, runt %d, skipped %d, unsent %d",
		r.Frames, r.Pieces, r.Sent, r.Failed, r.Dropped, r.Runt, r.Skipped, r.Unsent)
}

// LinkError says that a frame does not fit the link of an interface.
type LinkError struct {
	Interface  string
	Frame      uint64 // of the source, from 1
	Link, Want parse.LinkType
}

// Error says which conversion the frame would need.
func (e *LinkError) Error() string {
	hint := "it cannot be converted"
	switch e.Want {
	case parse.LinkEthernet:
		switch e.Link {
		case parse.LinkNull, parse.LinkLoop, parse.LinkRaw, parse.LinkRawBSD, parse.LinkRawOpenBSD, parse.LinkIPv4, parse.LinkIPv6, parse.LinkSLL, parse.LinkSLL2:
			hint = "convert it with --dlt enet --enet-dmac MAC --enet-smac MAC"
		}
	case parse.LinkRaw:
		hint = "it carries IP packets without a link header"
	}
	return fmt.Sprintf("frame %d is of link type %d, %s takes %d: %s", e.Frame, e.Link, e.Interface, e.Want, hint)
}

// OversizeFrameError says that a frame is longer than an interface takes, under OversizeError.
type OversizeFrameError struct {
	Interface       string
	Frame           uint64 // of the source, from 1
	Octets, Longest int
}

// Error says what to do.
func (e *OversizeFrameError) Error() string {
	return fmt.Sprintf("frame %d has %d octets, %s takes %d: choose --oversize skip, truncate or segment, or raise the MTU",
		e.Frame, e.Octets, e.Interface, e.Longest)
}
