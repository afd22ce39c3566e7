package replay

import (
	"fmt"
	"time"

	"pcaplab/parse"
)

// Source gives frames in order. Next sets every field of f, or returns io.EOF after the last frame; f.Data is borrowed
// until the next Next. A Source belongs to one goroutine.
type Source interface {
	Next(f *parse.Frame) error
}

// Sink takes frames. It keeps neither f nor f.Data. An error ends the trial: it says that the sink cannot go on, not that
// a frame is bad.
type Sink interface {
	WriteFrame(f *parse.Frame) error
}

// Discard is a sink that counts: the trial of the feed itself.
type Discard struct {
	Frames uint64
	Octets uint64 // captured octets
}

// WriteFrame counts f. It returns nil.
func (d *Discard) WriteFrame(f *parse.Frame) error {
	d.Frames++
	d.Octets += uint64(len(f.Data))
	return nil
}

// Stamp is which time the sink sees in Frame.UnixNano.
type Stamp string

// The stamps. In a closed loop frames are never due, and keep their capture times under either.
const (
	StampDue     Stamp = "due"     // the first frame's capture time plus the due time
	StampCapture Stamp = "capture" // the capture time
)

// Config is what a trial is run with. The zero value is a closed loop over the whole source on the warp clock.
type Config struct {
	// Pacer says when frames are due. Without one the loop is closed: a frame is due when the sink has taken the one
	// before, nothing is dropped, and Queue, Width and Drain mean nothing.
	Pacer Pacer `json:"-"`
	// Clock is the trial's clock; nil is a new warp clock.
	Clock Clock `json:"-"`
	// Queue holds frames that are due before the sink can take them; the zero value is DefaultQueue.
	Queue Queue `json:"queue"`
	// Batch is how many frames the sink takes at most on one reading of the clock; 1 makes the queue exact. 0 is a
	// sixteenth of what the queue holds at full frame size, from 1 to 64. See Feed.
	Batch int `json:"batch,omitempty"`
	// Frames ends the load after that many frames, Duration before the first frame that is due then or later, whichever
	// comes first. With both 0 the load ends with the source.
	Frames   uint64        `json:"frames,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	// Width is the relative width of the goal that the trial serves, 0.005 for instance. Frames that the sink has not
	// started by Duration*(1+Width/2) are residual.
	Width float64 `json:"width,omitempty"`
	// Drain goes on serving residual frames until that long after Duration, to count Result.LateDrained. RFC 2544 section
	// 23 waits 2 s. 0 leaves them.
	Drain time.Duration `json:"drain_ns,omitempty"`
	// Stamp is which time the sink sees; "" is StampDue.
	Stamp Stamp `json:"stamp,omitempty"`
	// Slice is how many frames a pass over a source that repeats has. It cuts a closed loop of a Feed into slices of whole passes, as many as
	// last SliceTime, for Result.Quickest; a slice has at least 1024 frames. 0 does not.
	Slice uint64 `json:"slice,omitempty"`
	// FeedCost is the feed's own time for a served frame in ns, as Calibrate found it; 0 leaves Result.FeedTime 0.
	FeedCost float64 `json:"feed_cost_ns,omitempty"`
}

// Lateness summarises how long after its due time a frame was started. The first frame of each batch is sampled; Max is of
// all frames.
type Lateness struct {
	Samples uint64        `json:"samples"`
	Over    uint64        `json:"over"` // samples above LatenessLimit: counted as LatenessLimit in the quantiles
	P50     time.Duration `json:"p50_ns"`
	P99     time.Duration `json:"p99_ns"`
	P999    time.Duration `json:"p999_ns"`
	Max     time.Duration `json:"max_ns"` // exact, also when over
}

// SliceTime is how long a slice of a closed loop lasts at least.
const SliceTime = 10 * time.Millisecond

// LatenessLimit is the top of the lateness histogram, which keeps two significant digits.
const LatenessLimit = 100 * time.Second

// Result is what one trial counted. Times are on the trial's clock from its start, without the time spent on skipping
// dropped frames.
type Result struct {
	Intended uint64 `json:"intended"` // frames that the pacer had due in the trial
	Offered  uint64 `json:"offered"`  // frames that came to the queue
	// Unsent frames were intended and did not come to the queue: the source ended early, or the feed gave up because it
	// could not keep the load. They count as loss.
	Unsent    uint64 `json:"unsent"`
	Delivered uint64 `json:"delivered"` // frames that the sink took, started before the end of draining
	Dropped   uint64 `json:"dropped"`   // frames that found the queue full
	// Residual frames were in the queue and not started at the end of draining; a frame that the sink refused with an error
	// is one too. They count as loss.
	Residual uint64 `json:"residual"`
	// LateDrained are the residual frames that were started within Config.Drain after the load's end. Delivered plus
	// LateDrained is what a trial by RFC 2544 section 23 would have counted.
	LateDrained uint64 `json:"late_drained"`
	Served      uint64 `json:"served"` // frames that the sink took, in time or not

	OfferedOctets   uint64 `json:"offered_octets"` // wire octets
	DeliveredOctets uint64 `json:"delivered_octets"`

	// Duration is how long the load was to last: Config.Duration, or when the frame after the last would have been due; in a
	// closed loop it is Elapsed.
	Duration time.Duration `json:"duration_ns"`
	Elapsed  time.Duration `json:"elapsed_ns"` // to the end of the last service
	Busy     time.Duration `json:"busy_ns"`    // of it in service, feed included
	FeedTime time.Duration `json:"feed_ns"`    // of Busy the feed's own, by Config.FeedCost; 0 is unknown
	SkipTime time.Duration `json:"skip_ns"`    // spent on walking past dropped frames; in none of the times above

	// Quickest is the mean time of a frame, as ServiceTime, in the quickest of the Slices of a closed loop (Config.Slice); 0 where there
	// are none. The frames behind the last slice are in none, so of very few it may be above ServiceTime. What disturbs the host for a part of the trial is in ServiceTime and not in this.
	Quickest float64 `json:"quickest_ns,omitempty"`
	Slices   uint64  `json:"slices,omitempty"` // whole ones

	MaxBacklog int           `json:"max_backlog"`    // most frames that waited at once
	LongestGap time.Duration `json:"longest_gap_ns"` // longest stretch of service between two readings of the clock
	// DropsAfterGaps are drops during a gap: a stretch of service longer than the load takes to fill the queue and than
	// sixteen times the mean stretch. Where it equals Dropped, the loss is the host's.
	DropsAfterGaps uint64 `json:"drops_after_gaps"`

	Lateness Lateness `json:"lateness"`
}

// LossRatio is the part of the intended frames that was not delivered, unsent and residual ones included; 0 if none was
// intended.
func (r *Result) LossRatio() float64 {
	if r.Intended == 0 {
		return 0
	}
	return float64(r.Intended-r.Delivered) / float64(r.Intended)
}

// IntendedRate, OfferedRate and DeliveredRate are in frames per second of Duration; 0 where Duration is 0.
func (r *Result) IntendedRate() float64 { return r.rate(r.Intended) }

// OfferedRate is the offered load (RFC 2285 section 3.5.2) in pps.
func (r *Result) OfferedRate() float64 { return r.rate(r.Offered) }

// DeliveredRate is the forwarding rate (RFC 2285 section 3.6.1) in pps.
func (r *Result) DeliveredRate() float64 { return r.rate(r.Delivered) }

func (r *Result) rate(frames uint64) float64 {
	if r.Duration <= 0 {
		return 0
	}
	return float64(frames) / r.Duration.Seconds()
}

// ServiceTime is the mean time of a served frame in ns, the feed's part included; 0 if none was served.
func (r *Result) ServiceTime() float64 {
	if r.Served == 0 {
		return 0
	}
	return float64(r.Busy) / float64(r.Served)
}

// FeedShare is the feed's own part of the busy time. A ceiling where it is above 0.05 is limited by the feed. 0 is unknown.
func (r *Result) FeedShare() float64 {
	if r.Busy <= 0 {
		return 0
	}
	return float64(r.FeedTime) / float64(r.Busy)
}

// HostLimited reports whether there were drops and all of them came in gaps of the host.
func (r *Result) HostLimited() bool { return r.Dropped > 0 && r.DropsAfterGaps == r.Dropped }

// check returns an error if a frame is missing or counted twice.
func (r *Result) check() error {
	if r.Intended == r.Offered+r.Unsent && r.Offered == r.Delivered+r.Dropped+r.Residual &&
		r.LateDrained <= r.Residual && r.Served >= r.Delivered+r.LateDrained && r.Served <= r.Delivered+r.Residual {
		return nil
	}
	return fmt.Errorf("the trial's counts do not add up, a fault of the feed: intended %d, offered %d, unsent %d, "+
		"delivered %d, dropped %d, residual %d, late drained %d, served %d", r.Intended, r.Offered, r.Unsent,
		r.Delivered, r.Dropped, r.Residual, r.LateDrained, r.Served)
}
