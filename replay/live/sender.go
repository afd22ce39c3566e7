package live

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/inject"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// senderSetup is the first request to a sender.
type senderSetup struct {
	Inject inject.Config `json:"inject"`
	Ring   int64         `json:"ring_octets"` // that the receiver has, for copying
}

// senderRequest is each other.
type senderRequest struct {
	Copy     bool          `json:"copy,omitempty"` // measure copying instead
	Load     float64       `json:"load_pps"`       // 0: top speed
	Duration time.Duration `json:"duration_ns"`
	Grace    time.Duration `json:"grace_ns"` // after it a sender that is behind the load ends
}

// sent answers it.
type sent struct {
	Result inject.Result `json:"result"`
	Ended  time.Duration `json:"ended_ns"` // on the monotonic clock of the machine
	CopyNs float64       `json:"copy_ns,omitempty"`
}

func serveSender(c *parent) error {
	runtime.LockOSThread()
	var setup senderSetup
	if err := c.requests.Decode(&setup); err != nil {
		return err
	}
	frames, err := arena.Attach(os.NewFile(trial.FirstFile, "frames"))
	if err != nil {
		return c.replies.Encode(reply{Error: err.Error()})
	}
	defer frames.Close()
	frames.Touch()
	socket, err := inject.Open(setup.Inject)
	if err != nil {
		return c.replies.Encode(reply{Error: err.Error()})
	}
	defer socket.Close()
	if err := c.replies.Encode(reply{}); err != nil {
		return err
	}
	src := frames.Source(0, frames.Len(), 0, true) // goes on from trial to trial
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := make(chan senderRequest)
	ended := make(chan error, 1)
	go func() { // the parent's end, however it came, closes the requests
		defer close(requests)
		defer cancel()
		for {
			var r senderRequest
			if err := c.requests.Decode(&r); err != nil {
				ended <- err
				return
			}
			requests <- r
		}
	}()
	for r := range requests {
		answer := reply{Sent: &sent{}}
		if r.Copy {
			answer.Sent.CopyNs = copying(frames, setup.Ring)
		} else if err := send(ctx, socket, src, r, answer.Sent); err != nil {
			answer.Error = err.Error()
		}
		if err := c.replies.Encode(answer); err != nil {
			return err
		}
	}
	return <-ended
}

func send(ctx context.Context, socket *inject.Socket, src replay.Source, r senderRequest, s *sent) (err error) {
	plan := inject.Plan{Duration: r.Duration, Grace: r.Grace}
	if r.Load > 0 {
		if plan.Pacer, err = replay.ConstantPPS(r.Load); err != nil {
			return err
		}
	}
	s.Result, err = inject.Run(ctx, socket, src, plan)
	s.Ended = monotonic()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

const (
	copyFrames = 100_000 // at most
	copyBatch  = 64
)

// copying returns how long, in ns of the thread's CPU time, it takes to copy a frame into a ring of that size: from where it was
// just written, as the kernel does. 0 is unknown.
func copying(frames *arena.Frames, ring int64) float64 {
	const head = 96 // what the ring has before a frame, about
	longest := 0
	n := min(frames.Len(), copyFrames)
	var f parse.Frame
	for i := range n {
		frames.Frame(i, &f)
		longest = max(longest, len(f.Data))
	}
	to := make([]byte, max(ring, int64(longest+head)))
	clear(to) // have its pages
	from := make([]byte, copyBatch*longest)
	var lengths [copyBatch]int
	var total time.Duration
	at := head
	for i := 0; i < n; i += copyBatch {
		batch := min(copyBatch, n-i)
		for j := range batch {
			frames.Frame(i+j, &f)
			lengths[j] = copy(from[j*longest:], f.Data)
		}
		before := meter.ThreadCPU()
		for j := range batch {
			if at+lengths[j] > len(to) {
				at = head
			}
			copy(to[at:], from[j*longest:j*longest+lengths[j]])
			at = (at + lengths[j] + head + 7) &^ 7
		}
		after := meter.ThreadCPU()
		if before < 0 || after < before {
			return 0
		}
		total += after - before
	}
	return float64(total) / float64(max(1, n))
}
