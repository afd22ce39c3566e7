// Package flow keeps a five-tuple flow table of bounded memory as a pipeline stage.
//
// A flow is the packets of one five-tuple, by default of both its directions, without a pause longer than the idle
// time-out. The table is set-associative: a flow's hash names a bucket of eight places, and a new flow in a full
// bucket takes the place of one that is over its idle time-out or, where none is, of the one seen longest ago. So
// memory is fixed when the table is made, a packet touches one bucket, and nothing is allocated.
package flow

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"time"

	"pcaplab/parse"
)

// Defaults of Config.
const (
	DefaultCapacity    = 1 << 16
	DefaultIdleTimeout = time.Minute
)

// Config is how a table behaves. The zero value is the defaults.
type Config struct {
	// Capacity is how many flows the table holds at once, rounded up to a power of two times eight; 0 means
	// DefaultCapacity. A flow takes 88 octets.
	Capacity int `json:"capacity"`
	// IdleTimeout ends a flow that was silent for longer, by the frames' times; 0 means DefaultIdleTimeout.
	IdleTimeout time.Duration `json:"idle_timeout_ns"`
	// OneWay makes the two directions two flows.
	OneWay bool `json:"one_way"`
	// Seed is the seed of the hash.
	Seed uint64 `json:"seed"`
}

// Volume is what went in one direction.
type Volume struct {
	Packets uint64 `json:"packets"`
	Octets  uint64 `json:"octets"` // wire length of the frames
}

// Flow is what the table holds of a flow.
type Flow struct {
	Tuple    parse.FiveTuple // as in the first packet seen
	TCPFlags uint16          // of all packets, ORed
	First    int64           // UnixNano of the first packet
	Last     int64           // the latest UnixNano seen
	Forward  Volume          // in the direction of Tuple
	Backward Volume          // in the other; always zero in a OneWay table
}

// Counters counts since the table was made. Seen = Active + TimedOut + Evicted, and Packets is the sum of what all
// flows, past and present, hold.
type Counters struct {
	Packets  uint64 `json:"packets"`   // accounted to a flow
	NoFlow   uint64 `json:"no_flow"`   // without an IP header
	Seen     uint64 `json:"seen"`      // flows that began
	Active   uint64 `json:"active"`    // in the table; one over its time-out stays until its place is wanted
	TimedOut uint64 `json:"timed_out"` // ended by the idle time-out
	Evicted  uint64 `json:"evicted"`   // pushed out while still within it
}

// Counts returns the counters by name, for records (parse.Counting).
func (t *Table) Counts() map[string]uint64 {
	c := t.Counters()
	return map[string]uint64{
		"packets": c.Packets, "no_flow": c.NoFlow, "seen": c.Seen, "active": c.Active, "timed_out": c.TimedOut, "evicted": c.Evicted,
	}
}

// Add adds o to c, field by field: the counters of several workers' tables.
func (c *Counters) Add(o Counters) {
	c.Packets += o.Packets
	c.NoFlow += o.NoFlow
	c.Seen += o.Seen
	c.Active += o.Active
	c.TimedOut += o.TimedOut
	c.Evicted += o.Evicted
}

const (
	ways        = 8
	maxCapacity = 1 << 24 // 1.5 GB, within the reach of 32-bit sizes
)

// bucket holds up to eight flows. Octet i of tags belongs to flows[i]: 0 is a free place, else 0x80 and seven bits of
// the hash.
type bucket struct {
	tags  uint64
	flows [ways]Flow
}

// Table is a flow table. It belongs to one goroutine.
type Table struct {
	buckets  []bucket
	shift    uint
	seed     uint64
	idle     uint64 // ns
	oneWay   bool
	counters Counters
}

// New makes a table and all the memory that it will ever use. It refuses a negative setting and a capacity above
// 16777216.
func New(cfg Config) (*Table, error) {
	if cfg.Capacity == 0 {
		cfg.Capacity = DefaultCapacity
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = DefaultIdleTimeout
	}
	if cfg.Capacity < 0 || cfg.Capacity > maxCapacity {
		return nil, fmt.Errorf("flow table: capacity %d: choose 1 to %d", cfg.Capacity, maxCapacity)
	}
	if cfg.IdleTimeout < 0 {
		return nil, fmt.Errorf("flow table: idle time-out %v: choose a positive one", cfg.IdleTimeout)
	}
	log := bits.Len(uint((cfg.Capacity - 1) / ways)) // of the number of buckets
	return &Table{
		buckets: make([]bucket, 1<<log),
		shift:   uint(64 - log),
		seed:    cfg.Seed,
		idle:    uint64(cfg.IdleTimeout),
		oneWay:  cfg.OneWay,
	}, nil
}

// Kind returns the stage "flow". It refuses what New refuses.
func Kind(cfg Config) parse.StageKind {
	return parse.StageKind{
		Name: "flow",
		Doc:  "five-tuple flow table of bounded memory",
		New: func() (parse.Stage, error) {
			t, err := New(cfg)
			if err != nil {
				return nil, err
			}
			return t, nil
		},
	}
}

// Counters returns the counts so far.
func (t *Table) Counters() Counters { return t.counters }

// Capacity returns how many flows the table can hold.
func (t *Table) Capacity() int { return len(t.buckets) * ways }

// All yields the flows in the table, in no useful order. The table must not change meanwhile.
func (t *Table) All() iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		for i := range t.buckets {
			b := &t.buckets[i]
			for way := range b.flows {
				if b.tags>>(8*way)&0x80 != 0 && !yield(b.flows[way]) {
					return
				}
			}
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// Process accounts p to its flow. Packets without an IP header belong to none. Fragments after the first and packets
// whose transport header was cut go to the flow that has their addresses and protocol and no ports. It never fails.
func (t *Table) Process(f *parse.Frame, p *parse.Packet) error {
	if p.Layers&(parse.LayerIPv4|parse.LayerIPv6) == 0 {
		t.counters.NoFlow++
		return nil
	}
	t.counters.Packets++
	var hash uint64
	if t.oneWay {
		hash = p.Tuple.Hash(t.seed)
	} else {
		hash = p.Tuple.SymmetricHash(t.seed)
	}
	b := &t.buckets[hash>>t.shift]
	tag := hash&0x7f | 0x80
	// An octet that equals tag is 0 in x. Borrows can mark an octet above a match too: the tuples decide.
	x := b.tags ^ tag*ones
	for match := (x - ones) &^ x & highs; match != 0; match &= match - 1 {
		e := &b.flows[uint(bits.TrailingZeros64(match))/8%ways]
		forward, backward := compare(&e.Tuple, &p.Tuple)
		if !forward && (t.oneWay || !backward) {
			continue
		}
		if over(f.UnixNano, e.Last, t.idle) {
			t.counters.TimedOut++
			t.begin(e, f, p)
			return nil
		}
		e.TCPFlags |= p.TCPFlags
		e.Last = max(e.Last, f.UnixNano)
		if forward {
			e.Forward.Packets++
			e.Forward.Octets += uint64(f.WireLen)
		} else {
			e.Backward.Packets++
			e.Backward.Octets += uint64(f.WireLen)
		}
		return nil
	}
	t.insert(b, tag, f, p)
	return nil
}

// insert begins a flow in a free place of b, else in that of the flow seen longest ago, whose end it counts.
func (t *Table) insert(b *bucket, tag uint64, f *parse.Frame, p *parse.Packet) {
	var way int
	if free := ^b.tags & highs; free != 0 {
		way = bits.TrailingZeros64(free) / 8
		t.counters.Active++
	} else {
		for i := range b.flows {
			if b.flows[i].Last < b.flows[way].Last {
				way = i
			}
		}
		if over(f.UnixNano, b.flows[way].Last, t.idle) {
			t.counters.TimedOut++
		} else {
			t.counters.Evicted++
		}
	}
	b.tags = b.tags&^(0xff<<(8*way)) | tag<<(8*way)
	t.begin(&b.flows[way], f, p)
}

func (t *Table) begin(e *Flow, f *parse.Frame, p *parse.Packet) {
	t.counters.Seen++
	*e = Flow{
		Tuple: p.Tuple, TCPFlags: p.TCPFlags, First: f.UnixNano, Last: f.UnixNano,
		Forward: Volume{Packets: 1, Octets: uint64(f.WireLen)},
	}
}

// over reports whether more than idle ns passed from last to now. Captures step back in time: that is no pause.
func over(now, last int64, idle uint64) bool { return now > last && uint64(now-last) > idle }

// compare reports whether b equals a, and whether b is a reversed.
func compare(a, b *parse.FiveTuple) (forward, backward bool) {
	if a.Proto != b.Proto {
		return false, false
	}
	as0, as1 := words(&a.SrcIP)
	ad0, ad1 := words(&a.DstIP)
	bs0, bs1 := words(&b.SrcIP)
	bd0, bd1 := words(&b.DstIP)
	forward = (as0^bs0)|(as1^bs1)|(ad0^bd0)|(ad1^bd1)|uint64(a.SrcPort^b.SrcPort)|uint64(a.DstPort^b.DstPort) == 0
	backward = (as0^bd0)|(as1^bd1)|(ad0^bs0)|(ad1^bs1)|uint64(a.SrcPort^b.DstPort)|uint64(a.DstPort^b.SrcPort) == 0
	return forward, backward
}

func words(ip *[16]byte) (uint64, uint64) {
	return binary.LittleEndian.Uint64(ip[:8]), binary.LittleEndian.Uint64(ip[8:])
}
