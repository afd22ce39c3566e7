package live

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"pcaplab/parse"
	"pcaplab/replay/meter"
	"pcaplab/replay/receive"
)

// receiverSetup is the first request to a receiver. Each other is a receiverRequest, in pairs: begin, which is answered when
// frames may come, and stop.
type receiverSetup struct {
	Engine string         `json:"engine"`
	Ring   receive.Config `json:"ring"`
}

type receiverRequest struct {
	// Stop says that nothing more will be sent. Ended is when the last frame was, and By when draining ends, on the monotonic
	// clock of the machine.
	Stop  bool          `json:"stop,omitempty"`
	Ended time.Duration `json:"ended_ns,omitempty"`
	By    time.Duration `json:"by_ns,omitempty"`
}

// received answers stop.
type received struct {
	Parsed   uint64         `json:"parsed"`
	Late     uint64         `json:"late"`
	InRing   uint64         `json:"in_ring"`
	Stats    receive.Stats  `json:"stats"`
	Counters parse.Counters `json:"counters"`
	Usage    meter.Usage    `json:"usage"`
}

func serveReceiver(c *parent, engines []parse.Engine) error {
	runtime.LockOSThread()
	var setup receiverSetup
	if err := c.requests.Decode(&setup); err != nil {
		return err
	}
	r, err := newListener(&setup, engines)
	if err != nil {
		return c.replies.Encode(reply{Error: err.Error()})
	}
	defer r.from.Close()
	if err := c.replies.Encode(reply{}); err != nil {
		return err
	}
	for {
		var begin receiverRequest
		if err := c.requests.Decode(&begin); err != nil {
			return err
		}
		var answer reply
		got, err := r.trial(func() error { return c.replies.Encode(reply{}) }, func() (receiverRequest, error) {
			var stop receiverRequest
			err := c.requests.Decode(&stop)
			if err == nil && !stop.Stop {
				err = errors.New("receiver: a trial began within another")
			}
			return stop, err
		})
		if answer.Received = got; err != nil {
			answer = reply{Error: err.Error()}
		}
		if err := c.replies.Encode(answer); err != nil {
			return err
		}
	}
}

// listener receives and parses.
type listener struct {
	from     *receive.Receiver
	pipeline *parse.Pipeline
	log      blockLog
}

func newListener(setup *receiverSetup, engines []parse.Engine) (*listener, error) {
	engine, err := engineOf(engines, setup.Engine)
	if err != nil {
		return nil, err
	}
	from, err := receive.Open(setup.Ring)
	if err != nil {
		return nil, err
	}
	return &listener{from: from, pipeline: parse.NewPipeline(engine), log: newBlockLog(from.Blocks())}, nil
}

// trial receives from when it has called ready until what stop returns says that all was sent, and the ring is empty or draining
// has ended.
//
// Draining must not hide a loss: a ring holds a good part of a short trial. A parser that found the ring empty between the last
// frame and the end of draining keeps up, and the frames of the block that the kernel still held count. Of one that did not, only
// what it had parsed by the end of draining counts; the rest is in the ring.
func (l *listener) trial(ready func() error, stop func() (receiverRequest, error)) (*received, error) {
	if _, err := l.from.Skip(); err != nil { // what came before is of no trial
		return nil, err
	}
	stats, err := l.from.Stats()
	if err != nil {
		return nil, err
	}
	counters := l.pipeline.Counters()
	l.log.reset()
	runtime.GC()
	m, err := meter.Start(meter.Config{})
	if err != nil {
		return nil, err
	}
	if err := ready(); err != nil {
		return nil, err
	}
	var stopped atomic.Pointer[receiverRequest]
	failed := make(chan error, 1)
	go func() {
		request, err := stop()
		if err == nil {
			request.Stop = true
			request.Ended = min(request.Ended, monotonic()) // run waits for it
		}
		stopped.Store(&request)
		failed <- err
	}()
	late, inRing, err := l.run(&stopped)
	got := &received{Usage: m.Stop(), Counters: l.pipeline.Counters(), Late: late, InRing: inRing}
	if stopErr := <-failed; stopErr != nil {
		return nil, stopErr
	}
	if err != nil {
		return nil, err
	}
	got.Counters.Sub(counters)
	got.Parsed = got.Counters.Frames - late
	if got.Stats, err = l.from.Stats(); err != nil {
		return nil, err
	}
	got.Stats = got.Stats.Sub(stats)
	return got, nil
}

// run parses until all was received. inRing holds late.
func (l *listener) run(stopped *atomic.Pointer[receiverRequest]) (late, inRing uint64, err error) {
	var f parse.Frame
	var parsed uint64
	block, waits := l.from.Begun(), l.from.Waits()
	mark := func() time.Duration { // a block begins, or none came
		now, e := monotonic(), blockEntry{parsed: parsed}
		if n := l.from.Waits(); n != waits {
			waits, e.idle, e.emptied = n, true, l.from.Emptied()
		}
		e.at = now
		l.log.add(e)
		return now
	}
	for {
		switch err := l.from.Next(&f); {
		case errors.Is(err, receive.ErrTimeout):
			mark()
			s := stopped.Load()
			if s == nil || l.from.Emptied() < s.Ended { // the last frame came during this wait, perhaps: its block may be open
				continue
			}
			if !l.log.keptUp(s.Ended, s.By) {
				late = parsed - l.log.by(s.By, parsed)
			}
			return late, late, nil
		case err != nil:
			return 0, 0, err
		}
		if n := l.from.Begun(); n != block {
			block = n
			now := mark()
			if s := stopped.Load(); s != nil && now > s.By && !l.log.keptUp(s.Ended, s.By) {
				late = parsed - l.log.by(s.By, parsed)
				rest, err := l.rest()
				return late, late + 1 + rest, err
			}
		}
		if err := l.pipeline.WriteFrame(&f); err != nil {
			return 0, 0, fmt.Errorf("parse: %w", err)
		}
		parsed++
	}
}

// rest counts what is in the ring and still comes.
func (l *listener) rest() (uint64, error) {
	var f parse.Frame
	var n uint64
	for {
		skipped, err := l.from.Skip()
		if err != nil {
			return n, err
		}
		n += skipped
		switch err := l.from.Next(&f); {
		case errors.Is(err, receive.ErrTimeout):
			return n, nil
		case err != nil:
			return n, err
		}
		n++
	}
}

// blockLog remembers when the last blocks began, how many frames had been parsed, and whether the ring was empty before.
type blockLog struct {
	entries []blockEntry
	next    int
	full    bool
}

type blockEntry struct {
	at      time.Duration
	parsed  uint64
	idle    bool
	emptied time.Duration // if idle: when waiting for the block began
}

// newBlockLog has room for all blocks of the ring, which can begin after the last frame was sent, and for waits.
func newBlockLog(blocks int) blockLog { return blockLog{entries: make([]blockEntry, blocks+1024)} }

func (b *blockLog) reset() { b.next, b.full = 0, false }

func (b *blockLog) add(e blockEntry) {
	b.entries[b.next] = e
	if b.next++; b.next == len(b.entries) {
		b.next, b.full = 0, true
	}
}

// all returns the entries in order.
func (b *blockLog) all(yield func(*blockEntry) bool) {
	if b.full {
		for i := b.next; i < len(b.entries); i++ {
			if !yield(&b.entries[i]) {
				return
			}
		}
	}
	for i := range b.next {
		if !yield(&b.entries[i]) {
			return
		}
	}
}

// by is how many frames had been parsed when the first block after t began: all so far where none began since.
func (b *blockLog) by(t time.Duration, parsed uint64) uint64 {
	for e := range b.all {
		if e.at > t {
			return e.parsed
		}
	}
	return parsed
}

// keptUp tells whether the ring was empty at some time between two.
func (b *blockLog) keptUp(from, to time.Duration) bool {
	for e := range b.all {
		if e.idle && e.at >= from && e.emptied <= to {
			return true
		}
	}
	return false
}
