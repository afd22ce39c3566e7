package mix

import "math/bits"

// scheduler says which class gives the next packet. It allocates nothing.
type scheduler struct {
	lanes  []lane
	order  order
	weight uint64 // of all live lanes
	sent   uint64 // by all live lanes since the shares began anew
	ticket uint64 // what a drawn lane may send, in the unit of cost
	random rng
	last   int // lane that drew last
}

type order int

const (
	byTime   order = iota // least key first
	byShare               // exact shares
	byTicket              // shares by lot
)

// lane is the queue of one class, with what is known of its next packet.
type lane struct {
	live   bool
	key    int64  // time that counts for byTime, ns
	cost   uint64 // of the next packet: 1, its octets, or the ns that it takes
	weight uint64
	sent   uint64 // since the shares began anew
	credit uint64
}

// pick returns the lane that is to send its next packet, or -1 if no lane is live.
func (s *scheduler) pick() int {
	switch s.order {
	case byTime:
		return s.earliest()
	case byShare:
		return s.due()
	}
	return s.drawn()
}

func (s *scheduler) earliest() int {
	best := -1
	for i := range s.lanes {
		if l := &s.lanes[i]; l.live && (best < 0 || l.key < s.lanes[best].key) {
			best = i
		}
	}
	return best
}

// due is WF2Q (Bennett and Zhang, INFOCOM 1996) for queues that are never empty. Were traffic a fluid, lane i would have sent
// sent*weight[i]/weight of what all have sent. Of the lanes that are not ahead of that, the one whose next packet the fluid would
// end first sends. Then no lane is ever behind or ahead of its share by more than one longest packet: by more than 1 in packets.
func (s *scheduler) due() int {
	best := -1
	for i := range s.lanes {
		l := &s.lanes[i]
		if !l.live || lessProduct(s.sent, l.weight, l.sent, s.weight) {
			continue // ahead: sent/weight of the lane is above that of all
		}
		if best < 0 || lessProduct(l.sent+l.cost, s.lanes[best].weight, s.lanes[best].sent+s.lanes[best].cost, l.weight) {
			best = i
		}
	}
	return best
}

// lessProduct returns a*b < c*d.
func lessProduct(a, b, c, d uint64) bool {
	hi, lo := bits.Mul64(a, b)
	hi2, lo2 := bits.Mul64(c, d)
	return hi < hi2 || hi == hi2 && lo < lo2
}

// drawn draws tickets until a lane has enough for its next packet. With tickets of one packet each packet is an independent draw; with tickets
// of octets the shares of octets are right in the long run, whatever the lengths.
func (s *scheduler) drawn() int {
	if l := &s.lanes[s.last]; l.live && l.credit >= l.cost { // it drew more than it needed
		l.credit -= l.cost
		return s.last
	}
	for s.weight > 0 {
		at := s.random.below(s.weight)
		for i := range s.lanes {
			l := &s.lanes[i]
			if !l.live {
				continue
			}
			if at >= l.weight {
				at -= l.weight
				continue
			}
			if l.credit += s.ticket; l.credit >= l.cost {
				l.credit -= l.cost
				s.last = i
				return i
			}
			break
		}
	}
	return -1
}

// sentBy counts the packet of lane i, which pick chose.
func (s *scheduler) sentBy(i int) {
	s.lanes[i].sent += s.lanes[i].cost
	if s.sent += s.lanes[i].cost; s.sent > 1<<62 {
		s.restart()
	}
}

// maxCost is the most that a packet may cost: 104 days in ns, so that sums do not overflow before they begin anew.
const maxCost = 1 << 53

// restart lets the shares begin anew.
func (s *scheduler) restart() {
	s.sent = 0
	for i := range s.lanes {
		s.lanes[i].sent = 0
	}
}

// end takes lane i out. The shares of the others begin anew.
func (s *scheduler) end(i int) {
	s.weight -= s.lanes[i].weight
	s.lanes[i].live = false
	s.restart()
}

// rng is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), written out because octets must not depend on a library's version.
type rng uint64

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	return scramble(uint64(*r))
}

func scramble(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number in [0, n), n above 0.
func (r *rng) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}
