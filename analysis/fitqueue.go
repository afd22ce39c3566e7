package analysis

import (
	"fmt"
	"sort"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
)

// PredictCount returns how many packets one parser behind a bounded queue takes of offered packets that come evenly in
// duration, and of control packets beside them (an ARP exchange, a test program's own connection):
//
//	min(offered + control, duration/cost + queue frames)
//
// Either all are taken, or the parser is busy all the time and its queue is full at the end, and emptied then. Where what
// waits at the end is not taken any more, queueFrames is 0; an unbounded queue is the same with the duration in which it is
// worked on. costNS is the cost per packet in nanoseconds at this size and rate; what dropped packets cost (interrupts,
// other cores) is not imitated, so counts under a flood are too high.
func PredictCount(offered, control float64, duration time.Duration, costNS, queueFrames float64) (float64, error) {
	if !finite(offered, control, costNS, queueFrames) || offered < 0 || control < 0 || duration < 0 || costNS <= 0 ||
		queueFrames < 0 {
		return 0, fmt.Errorf("cannot predict a count of %g packets and %g of control in %v at %g ns with a queue of %g frames",
			offered, control, duration, costNS, queueFrames)
	}
	return min(offered+control, float64(duration)/costNS+queueFrames), nil
}

// QueueFrames returns how many frames of that wire length a queue holds, which replay.ParseQueue reads; 0 if it does not.
func QueueFrames(queue string, wireOctets float64) float64 {
	q, err := replay.ParseQueue(queue)
	if err != nil {
		return 0
	}
	charge := q.ChargeOf(&parse.Frame{WireLen: int(wireOctets)})
	return float64(sort.Search(1<<24, func(n int) bool { return !q.Admits(int64(n)*charge, charge) }))
}
