package replay

import (
	"context"
	"io"
	"time"

	"pcaplab/parse"
)

// Ledger keeps the counts of a trial whose frames are served elsewhere, by another program for instance. Its user asks for
// each frame of the load and when it is due, waits until then, says what became of it, and settles. It runs on the system
// clock, allocates nothing per frame and belongs to one goroutine.
type Ledger struct {
	run *run
	err error // how the load ended
}

// Service is what was done with the admitted frames of a Ledger.
type Service struct {
	Delivered       uint64 // taken before the end of draining
	DeliveredOctets uint64 // wire octets of them
	LateDrained     uint64 // taken after that and within Config.Drain
	Served          uint64 // taken at all
	Busy            time.Duration
	Elapsed         time.Duration
	MaxBacklog      int
}

// NewLedger returns a ledger for one trial; cfg.Clock and cfg.FeedCost are not used. The error says what is wrong with cfg.
func NewLedger(ctx context.Context, cfg Config, src Source) (*Ledger, error) {
	cfg.Clock, cfg.FeedCost = &systemClock{start: time.Now()}, 0
	r, err := newRun(ctx, &cfg, src, nil)
	if err != nil {
		return nil, err
	}
	r.ring, r.coast = nil, nil
	return &Ledger{run: r}, nil
}

// Begin sets the time to 0.
func (l *Ledger) Begin() { l.run.off = l.run.clock.Now() }

// Now is the time since Begin.
func (l *Ledger) Now() time.Duration { return l.run.clock.Now() - l.run.off }

// Next returns the next frame of the load, stamped as Config.Stamp says, and when it is due: 0 in a closed loop. The frame
// is borrowed until the next call. The error is io.EOF at the end of the load, or the source's. Drop or Admit must be called
// before the next frame is asked for.
func (l *Ledger) Next() (*parse.Frame, time.Duration, error) {
	r := l.run
	if r.pos.Frame >= r.frameLimit {
		return nil, 0, io.EOF
	}
	f := &r.frame
	if err := r.src.Next(f); err != nil {
		l.err = err
		return nil, 0, err
	}
	if r.pos.Frame == 0 {
		r.first = f.UnixNano
	}
	r.pos.Capture = time.Duration(f.UnixNano - r.first)
	if r.pacer == nil {
		return f, 0, nil
	}
	d := r.due()
	if d >= r.until {
		return nil, 0, io.EOF
	}
	if r.stampDue {
		f.UnixNano = r.first + int64(d)
	}
	return f, d, nil
}

// Admit counts the frame that Next returned as offered.
func (l *Ledger) Admit() {
	l.run.pos.Frame++
	l.run.pos.Octets += uint64(l.run.frame.WireLen)
}

// Drop counts the frame that Next returned as offered and dropped; inGap says that this was found out in a gap of the host
// (Result.DropsAfterGaps).
func (l *Ledger) Drop(inGap bool) {
	l.Admit()
	l.run.res.Dropped++
	if inGap {
		l.run.res.DropsAfterGaps++
	}
}

// GiveUp says that the frame that Next returned, and those after it, are not offered: they are unsent.
func (l *Ledger) GiveUp() { l.run.gaveUp = true }

// Late samples how long after its due time a frame came to the queue.
func (l *Ledger) Late(d time.Duration) {
	r := l.run
	if r.hist == nil {
		return
	}
	_ = r.hist.RecordValue(int64(min(max(d, 0), LatenessLimit))) // cannot fail within the limit
	r.res.Lateness.Max = max(r.res.Lateness.Max, d)
	if d > LatenessLimit {
		r.res.Lateness.Over++
	}
}

// End returns when the load ends, when draining ends and until when late frames are counted. Where the load ends with
// frames or the source, it can be asked only after Next has returned io.EOF. In a closed loop there is no end of draining:
// all three are the latest time there is.
func (l *Ledger) End() (load, end, drained time.Duration) {
	r := l.run
	if r.pacer == nil {
		return r.until, forever, forever
	}
	load, end = r.until, r.end
	if r.until == forever {
		load = r.due()
		end = drainEnd(load, r.Width)
	}
	return load, end, max(end, load+r.Drain)
}

// Settle makes the Result of a load that ended by itself or with err. An error of the source comes back.
func (l *Ledger) Settle(s Service, err error) (Result, error) {
	r := l.run
	r.served, r.servedOctets = s.Served, s.DeliveredOctets
	r.late = s.Served - s.Delivered
	r.res.LateDrained = s.LateDrained
	r.res.Busy, r.res.Elapsed, r.res.MaxBacklog = s.Busy, s.Elapsed, s.MaxBacklog
	if err == nil {
		err = l.err
	}
	return r.settle(err)
}
