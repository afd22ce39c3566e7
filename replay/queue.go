package replay

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pcaplab/parse"
)

// Queue is where frames wait that are due before the sink can take them. It is bounded in frames or, by what each is
// charged, in octets. A frame leaves the queue when its service starts: the frame in service does not occupy it. A frame
// that comes is dropped if with it the bound would be passed; under ChargeTruesize, if the bound is reached without it, as
// the kernel does.
type Queue struct {
	Name   string `json:"name,omitempty"`
	Doc    string `json:"-"`                // what it imitates and charges, one line
	Frames int    `json:"frames,omitempty"` // bound in frames; 0 if bounded in octets
	Octets int64  `json:"octets,omitempty"` // bound in octets of charge; 0 if bounded in frames
	Charge Charge `json:"charge,omitempty"` // of a queue bounded in octets; "" is ChargeWire
}

// Charge is what a frame of n octets (the larger of wire and captured length, at most 262144) takes of a queue bounded in
// octets.
type Charge string

// The charges.
const (
	// ChargeWire is n, at least 60: the shortest Ethernet frame without its check sequence.
	ChargeWire Charge = "wire"
	// ChargeTPacketV3 is what a frame takes of a block of libpcap's TPACKET_V3 ring: header and address (68), link header
	// aligned to 16, libpcap's 4 octets of room for a VLAN tag, and the frame, in all aligned to 8: n+86 rounded up. That
	// blocks are filled and freed whole is not imitated.
	ChargeTPacketV3 Charge = "tpacket3"
	// ChargeTruesize is what Linux 6.3 and later on a 64-bit CPU charges a socket for an sk_buff with linear data: see
	// truesize.
	ChargeTruesize Charge = "truesize"
)

// maxCharged is libpcap's default snaplen: no frame is charged more octets than that.
const maxCharged = 262144

// charge returns what f takes.
func (c Charge) charge(n int64) int64 {
	n = min(n, maxCharged)
	switch c {
	case ChargeTPacketV3:
		return (n + 86 + 7) &^ 7
	case ChargeTruesize:
		return truesize(n)
	}
	return max(n, 60)
}

// truesize is the kernel's charge for a frame of n octets: the sk_buff itself (256 after alignment) and its data area,
// which holds 16 octets of headroom, the frame and skb_shared_info (320), each aligned to 64. Up to 576 the data area is an
// object of the cache for small heads; above, of the next power of two. So 832 octets are charged for a small frame, 1280
// from 241 and 2304 from 689 octets, as measured: 256 and 93 frames in 212992, 158 and 57 in 131072, 1821 in 4 MiB.
func truesize(n int64) int64 {
	const sk, shared, headroom, small = 256, 320, 16, 576
	area := (n+headroom+63)&^63 + shared
	if area <= small {
		return sk + small
	}
	size := int64(1024)
	for size < area {
		size *= 2
	}
	return sk + size
}

// charged is the length of f that a queue sees.
func charged(f *parse.Frame) int64 { return int64(max(f.WireLen, len(f.Data))) }

// ChargeOf is what f takes of the queue: 1 if it is bounded in frames.
func (q Queue) ChargeOf(f *parse.Frame) int64 {
	if q = q.orDefault(); q.Frames > 0 {
		return 1
	}
	return q.Charge.charge(charged(f))
}

// Admits reports whether a frame of that charge finds room beside the charge of the frames that wait.
func (q Queue) Admits(waiting, charge int64) bool {
	q = q.orDefault()
	switch {
	case q.Frames > 0:
		return waiting+charge <= int64(q.Frames)
	case q.Charge == ChargeTruesize:
		return waiting < q.Octets
	}
	return waiting+charge <= q.Octets
}

// fullFrame is the longest untagged Ethernet frame without its check sequence.
const fullFrame = 1514

// FullFrames is how many frames of full size (1514 octets) the queue holds.
func (q Queue) FullFrames() int {
	q = q.orDefault()
	if q.Frames > 0 {
		return q.Frames
	}
	c := q.Charge.charge(fullFrame)
	if q.Charge == ChargeTruesize {
		return int(min((q.Octets+c-1)/c, math.MaxInt32))
	}
	return int(min(q.Octets/c, math.MaxInt32))
}

// most is how many frames the queue holds at most.
func (q Queue) most() int64 {
	if q.Frames > 0 {
		return int64(q.Frames)
	}
	return q.Octets/q.Charge.charge(0) + 1
}

// maxQueue bounds what a feed allocates for its queue: 40 octets for each frame.
const maxQueue = 1 << 24

// check returns an error that says what is wrong with q.
func (q Queue) check() error {
	switch {
	case q.Frames < 0 || q.Octets < 0 || q.Frames > 0 == (q.Octets > 0):
		return fmt.Errorf("queue %s: want a bound either in frames or in octets, got %d frames and %d octets",
			q, q.Frames, q.Octets)
	case q.Charge != "" && q.Charge != ChargeWire && q.Charge != ChargeTPacketV3 && q.Charge != ChargeTruesize:
		return fmt.Errorf("queue %s: unknown charge %q (there are %s, %s and %s)",
			q, q.Charge, ChargeWire, ChargeTPacketV3, ChargeTruesize)
	case q.most() > maxQueue:
		return fmt.Errorf("queue %s holds up to %d frames: at most %d can be imitated", q, q.most(), maxQueue)
	}
	return nil
}

func (q Queue) orDefault() Queue {
	if q.Frames == 0 && q.Octets == 0 {
		return DefaultQueue()
	}
	return q
}

// String names the queue and its bound: "pcap-2MiB", "1024 frames", "2097152 octets (wire)". The zero value is the default
// queue.
func (q Queue) String() string {
	q = q.orDefault()
	switch {
	case q.Name != "":
		return q.Name
	case q.Octets == 0:
		return fmt.Sprintf("%d frames", q.Frames)
	case q.Charge == "":
		q.Charge = ChargeWire
	}
	return fmt.Sprintf("%d octets (%s)", q.Octets, q.Charge)
}

// DefaultQueue is pcap-2MiB: what a program that opens libpcap without asking for anything gets, and so tcpdump, tshark's
// dumpcap and most detectors.
func DefaultQueue() Queue { return Queues()[0] }

// Queues returns the presets that ParseQueue knows by name.
func Queues() []Queue {
	return []Queue{
		{Name: "pcap-2MiB", Octets: 2 << 20, Charge: ChargeTPacketV3,
			Doc: "libpcap's default: a TPACKET_V3 ring of 2 MiB; each frame charged with its ring header"},
		{Name: "pcap-immediate-32", Frames: 32,
			Doc: "libpcap in immediate mode at snaplen 65535 or more: 2 MiB of TPACKET_V2 slots of 64 KiB, so 32 frames"},
		{Name: "pcap-s256-6240", Frames: 6240,
			Doc: "libpcap in immediate mode at snaplen 256: TPACKET_V2 slots of 336 octets"},
		{Name: "rcvbuf-212992", Octets: 212992, Charge: ChargeTruesize,
			Doc: "a packet socket with the default receive buffer; truesize charged: 256 small or 93 full frames"},
		{Name: "scapy-65536", Octets: 131072, Charge: ChargeTruesize,
			Doc: "Scapy's SO_RCVBUF of 65536, doubled by the kernel; truesize charged: 158 small or 57 full frames"},
		{Name: "rcvbuf-2MiB", Octets: 4 << 20, Charge: ChargeTruesize,
			Doc: "SO_RCVBUF of 2 MiB, doubled by the kernel; truesize charged: 5042 small or 1821 full frames"},
		{Name: "nic-256", Frames: 256, Doc: "a NIC's receive ring of 256 descriptors, a frame each"},
		{Name: "nic-512", Frames: 512, Doc: "a NIC's receive ring of 512 descriptors, a frame each"},
		{Name: "nic-1024", Frames: 1024, Doc: "a NIC's receive ring of 1024 descriptors, a frame each"},
		{Name: "nic-4096", Frames: 4096, Doc: "a NIC's receive ring of 4096 descriptors, a frame each"},
	}
}

// ParseQueue returns a preset by name, a queue bounded in frames ("1024"), or one bounded in octets ("2MiB", "65536B",
// "200kB"), with its charge if it is not wire: "2MiB:tpacket3", "212992B:truesize". SI prefixes are powers of 1000, Ki and
// Mi of 1024. "" is the default queue.
func ParseQueue(spec string) (Queue, error) {
	if spec == "" {
		return DefaultQueue(), nil
	}
	for _, q := range Queues() {
		if strings.EqualFold(q.Name, spec) {
			return q, nil
		}
	}
	size, charge, charges := strings.Cut(spec, ":")
	digits := strings.TrimRight(size, "BkKMGi")
	unit := size[len(digits):]
	n, err := strconv.ParseInt(digits, 10, 64)
	factor, known := map[string]int64{"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	if err != nil || !known || n <= 0 || n > math.MaxInt64/factor || charges && unit == "" {
		return Queue{}, fmt.Errorf("queue %q: want a number of frames (1024), octets (2MiB, 212992B:truesize) or one of %s",
			spec, queueNames())
	}
	q := Queue{Octets: n * factor, Charge: Charge(charge)}
	if unit == "" {
		if n > maxQueue {
			return Queue{}, fmt.Errorf("queue %q: at most %d frames can be imitated", spec, maxQueue)
		}
		q = Queue{Frames: int(n)}
	}
	if err := q.check(); err != nil {
		return Queue{}, err
	}
	return q, nil
}

func queueNames() string {
	var names []string
	for _, q := range Queues() {
		names = append(names, q.Name)
	}
	return strings.Join(names, ", ")
}
