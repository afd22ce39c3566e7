package inject

import (
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"
)

// Verifier compares what one thread sent with what another received: every octet, by a 64-bit hash with a random seed, and the order.
// Sent is for Plan.Tap, Received for the other thread.
type Verifier struct {
	seed maphash.Seed
	ring []uint64
	head atomic.Uint64 // frames sent
	tail atomic.Uint64 // of them compared
	lost atomic.Uint64 // sent and not compared: too far ahead

	strange int               // foreign frames in a row
	missed  map[uint64]uint64 // hashes of frames that were skipped, and where
	report  VerifyReport
}

// VerifyReport is what a Verifier found. A frame that was changed on the way is one missing and one foreign.
type VerifyReport struct {
	Sent      uint64 `json:"sent"`
	Received  uint64 `json:"received"`
	Same      uint64 `json:"same"`      // octet for octet and in order
	Reordered uint64 `json:"reordered"` // octet for octet, behind frames that were sent later
	Missing   uint64 `json:"missing"`   // sent and not received
	Foreign   uint64 `json:"foreign"`   // received and not sent
	Dropped   uint64 `json:"dropped"`   // by the kernel on its way to the verifier: of Missing, perhaps
}

// OK reports whether everything that was sent arrived as it was, in order, and nothing else.
func (r VerifyReport) OK() bool {
	return r.Same == r.Sent && r.Received == r.Sent && r.Foreign == 0 && r.Missing == 0
}

// String says it in one line.
func (r VerifyReport) String() string {
	if r.OK() {
		return fmt.Sprintf("verified: all %d frames arrived octet for octet and in order", r.Sent)
	}
	return fmt.Sprintf("NOT verified: of %d frames sent %d arrived in order, %d out of order, %d are missing; %d others came (dropped before the comparison: %d)",
		r.Sent, r.Same, r.Reordered, r.Missing, r.Foreign, r.Dropped)
}

const (
	verifyRing   = 1 << 20 // frames that may be under way
	verifyWindow = 1 << 13 // how far a frame is looked for
	verifyLost   = 16      // so many foreign frames in a row are looked for everywhere
	verifyWait   = 200 * time.Millisecond
)

// NewVerifier returns a Verifier for one run.
func NewVerifier() *Verifier {
	return &Verifier{seed: maphash.MakeSeed(), ring: make([]uint64, verifyRing), missed: make(map[uint64]uint64)}
}

// Sent notes a frame. It waits where more than a million are under way, but not for long: then the frame counts as missing.
func (v *Verifier) Sent(_ int, data []byte) {
	head := v.head.Load()
	for waited := time.Duration(0); head-v.tail.Load() == verifyRing; waited += 100 * time.Microsecond {
		if waited >= verifyWait || v.lost.Load() > 0 {
			v.lost.Add(1)
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
	v.ring[head%verifyRing] = maphash.Bytes(v.seed, data)
	v.head.Store(head + 1)
}

// Received compares a frame with those that were sent.
func (v *Verifier) Received(data []byte) {
	v.report.Received++
	hash := maphash.Bytes(v.seed, data)
	head, tail := v.head.Load(), v.tail.Load()
	window := uint64(verifyWindow)
	if v.strange >= verifyLost { // more may be missing in a row than the window holds
		window = verifyRing
		v.strange = 0
	}
	at, skipped := v.missed[hash]
	skipped = skipped && tail-at <= verifyWindow
	for ahead := uint64(0); ahead < window && tail+ahead < head; ahead++ {
		if v.ring[(tail+ahead)%verifyRing] != hash {
			continue
		}
		if ahead > 0 && skipped {
			break // the one that was skipped
		}
		for i := range ahead {
			v.missed[v.ring[(tail+i)%verifyRing]] = tail + i
			v.report.Missing++
		}
		v.report.Same++
		v.strange = 0
		v.tail.Store(tail + ahead + 1)
		return
	}
	if skipped {
		delete(v.missed, hash)
		v.report.Missing--
		v.report.Reordered++
		return
	}
	v.strange++
	v.report.Foreign++
}

// Behind returns how many frames were sent and not compared yet.
func (v *Verifier) Behind() uint64 { return v.head.Load() - v.tail.Load() }

// Report ends the comparison: what was not received by now is missing. dropped is what the kernel says it dropped on the way to Received.
func (v *Verifier) Report(dropped uint64) VerifyReport {
	r := v.report
	lost := v.lost.Load()
	r.Sent, r.Dropped = v.head.Load()+lost, dropped
	r.Missing += v.Behind() + lost
	return r
}
