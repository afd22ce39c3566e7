// Package live measures parsers on a network: a veth pair in namespaces of its own (replay/netlab), a process that replays a
// capture at one end (replay/inject), a process that receives with a packet socket at the other (replay/receive) and parses; and
// beside it the same engines on the same frames in memory (replay/trial). So a loss can be said to be the parser's, or the
// network's and the kernel's.
//
// What was sent is accounted for, frame by frame:
//
//	Sent = Parsed + SocketDrops + InterfaceDrops + InRing + Unexplained
package live

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/inject"
	"pcaplab/replay/meter"
	"pcaplab/replay/netlab"
	"pcaplab/replay/receive"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// Schema is the version of Record and Header. Readers refuse others.
const Schema = 1

// Plan is what a run measures: every engine on the network and in memory, Repeats times.
type Plan struct {
	Engines []string      `json:"engines"`
	Repeats int           `json:"repeats"`
	Trial   time.Duration `json:"trial_ns"`            // of everything but the search, whose goal has its own
	Rates   []float64     `json:"rates_pps,omitempty"` // loads besides top speed and the search
	// Goal is what is searched for, on the network and in memory; without a name nothing is.
	Goal search.Goal `json:"goal"`
	// Backend sends, as inject.Config has it.
	Backend string `json:"backend"`
	// Ring is the receiving socket's. The queue in memory is of as many octets, charged as the kernel charges frames in it.
	Ring receive.Config `json:"ring"`
	// MTU of both interfaces; 0: 1500, or what the longest frame takes.
	MTU int `json:"mtu"`
	// Cache is where frames in memory lie: trial.CacheCold (default), CacheHot or CacheAsIs.
	Cache string `json:"cache"`
	Seed  uint64 `json:"seed"`
	Quick bool   `json:"quick,omitempty"`
	// Changes were made in Run.Frames: in what is sent and, the same octets, in what is fed in memory.
	trial.Changes
}

const (
	maxRepeats  = 1000
	maxTrial    = time.Hour
	maxRate     = 1e9
	ethernetMTU = 1500
	// longestFrame is what an interface with the largest MTU takes.
	longestFrame = 65535 + ethernetHeader
	// ethernetHeader is its length, without a VLAN tag.
	ethernetHeader = 14
)

// Check reports all faults of the plan at once, and fills in defaults.
func (p *Plan) Check(engines []parse.Engine) error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(p.Engines) == 0 {
		add("no engine to measure")
	}
	for i, name := range p.Engines {
		if _, err := engineOf(engines, name); err != nil {
			errs = append(errs, err)
		}
		if slices.Index(p.Engines, name) < i {
			add("engine %s is named twice", name)
		}
	}
	if p.Repeats < 1 || p.Repeats > maxRepeats {
		add("%d repeats: want 1 to %d", p.Repeats, maxRepeats)
	}
	if p.Trial < 10*time.Millisecond || p.Trial > maxTrial {
		add("trials of %v: want 10ms to %v", p.Trial, maxTrial)
	}
	for i, rate := range p.Rates {
		if !(rate > 0 && rate <= maxRate) {
			add("rate %v pps: want above 0, up to %.0g", rate, maxRate)
		}
		if slices.Index(p.Rates, rate) < i {
			add("rate %v pps is named twice", rate)
		}
	}
	if p.Goal.Name != "" {
		if err := p.Goal.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	if p.Backend == "" {
		p.Backend = inject.Auto
	}
	if !slices.Contains(inject.Backends(), p.Backend) {
		add("backend %q: want one of %v", p.Backend, inject.Backends())
	}
	p.Ring.Interface = netlab.Receiver.Interface()
	ring, err := p.Ring.Filled()
	if err != nil {
		errs = append(errs, err)
	}
	p.Ring = ring
	p.Ring.Wait = quiet(p.Ring.Timeout)
	if p.MTU != 0 && (p.MTU < 68 || p.MTU > 65535) {
		add("MTU of %d: want 68 to 65535, or 0 for what the capture takes", p.MTU)
	}
	if err := p.Changes.Check(); err != nil {
		errs = append(errs, err)
	}
	if p.Cache == "" {
		p.Cache = trial.CacheCold
	}
	if !slices.Contains([]string{trial.CacheCold, trial.CacheHot, trial.CacheAsIs}, p.Cache) {
		add("cache state %q: want %s, %s or %s", p.Cache, trial.CacheCold, trial.CacheHot, trial.CacheAsIs)
	}
	return errors.Join(errs...)
}

// quiet is how long no frame must come until all that were sent have come: the kernel keeps a block that is not full for the
// block timeout, and rounds that up to its timer's tick.
func quiet(timeout time.Duration) time.Duration { return 3*timeout + 20*time.Millisecond }

// Queue is the queue in memory that corresponds to the ring, as replay.ParseQueue reads it.
func (p *Plan) Queue() string { return fmt.Sprintf("%dB:tpacket3", p.Ring.RingOctets()) }

func engineOf(engines []parse.Engine, name string) (parse.Engine, error) {
	var names []string
	for _, e := range engines {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return parse.Engine{}, fmt.Errorf("no engine %q: there are %v", name, names)
}

// Header describes a run, beside its records.
type Header struct {
	Schema   int             `json:"schema"`
	Version  string          `json:"version"` // of pcaplab
	Started  time.Time       `json:"started"`
	Plan     Plan            `json:"plan"`
	Captures []trial.Capture `json:"captures"`
	trial.Changed
	MemoryLimit int64             `json:"memory_limit"` // octets for captures and what is made of them
	Caches      trial.Caches      `json:"caches"`
	Environment meter.Environment `json:"environment"`
}

// Kinds of records.
const (
	KindAlone  = "alone"  // top speed with nobody listening
	KindTop    = "top"    // top speed
	KindRate   = "rate"   // at a rate of the plan
	KindSearch = "search" // a trial of the search
	KindBounds = "bounds" // what the search found
	KindMemory = "memory" // of the same engine in memory: see Record.Memory
)

// Record is one line of records.jsonl.
type Record struct {
	Schema  int       `json:"schema"`
	Kind    string    `json:"kind"`
	Started time.Time `json:"started"`
	Engine  string    `json:"engine"`
	Repeat  int       `json:"repeat"` // from 1

	Trial  *Trial         `json:"trial,omitempty"`  // on the network
	Bounds *search.Bounds `json:"bounds,omitempty"` // on the network, in pps
	Memory *trial.Record  `json:"memory,omitempty"`
}

// Trial is one trial on the network. Durations are ns.
type Trial struct {
	Load     float64       `json:"load_pps"` // 0: top speed
	Duration time.Duration `json:"duration_ns"`

	Counts
	// Late are frames that were parsed, but after draining had ended: they are in InRing.
	Late uint64 `json:"late"`
	// Shortfall are frames that the load had due and that the sender could not send in time: it ends when the trial does, and draining.
	// They are not in Sent and no loss of the parser's. They count as loss in a search: a slow sender must not make a fast parser.
	Shortfall uint64 `json:"shortfall"`

	Sender   inject.Result   `json:"sender"`
	Receiver receive.Stats   `json:"receiver"`
	Parser   parse.Counters  `json:"counters"`
	Usage    *meter.Usage    `json:"usage,omitempty"` // of the receiving process, from before the first frame to after the last
	TxCounts netlab.Counters `json:"tx"`              // of the sender's interface
	RxCounts netlab.Counters `json:"rx"`              // of the receiver's
	// Softirqs are those of the whole machine meanwhile.
	Softirqs netlab.Softirqs `json:"softirqs"`
	// CopyNs is what copying the frames into a ring took in user space, in ns a frame: of KindTop.
	CopyNs float64 `json:"copy_ns,omitempty"`
}

// Counts say what became of the frames that were sent.
type Counts struct {
	Sent   uint64 `json:"sent"`   // the kernel took them, also those that the driver then dropped
	Parsed uint64 `json:"parsed"` // by the end of draining
	// SocketDrops found the ring full (PACKET_STATISTICS).
	SocketDrops uint64 `json:"socket_drops"`
	// InterfaceDrops were sent, but the sender's interface did not hand them over: its counter is short of them, or the driver
	// is known to have dropped them.
	InterfaceDrops uint64 `json:"interface_drops"`
	// InRing were in the ring, unparsed, at the end of draining, because the parser was behind.
	InRing uint64 `json:"in_ring"`
	// Unexplained are the rest; below 0 where more came than was sent.
	Unexplained int64 `json:"unexplained"`
}

// Lost are the frames that were sent and not parsed in time; none where more came than was sent.
func (c *Counts) Lost() uint64 { return c.Sent - min(c.Sent, c.Parsed) }

// LossRatio is the share of what was sent; NaN where nothing was.
func (c *Counts) LossRatio() float64 {
	if c.Sent == 0 {
		return math.NaN()
	}
	return float64(c.Lost()) / float64(c.Sent)
}

// balance sets Unexplained.
func (c *Counts) balance() {
	c.Unexplained = int64(c.Sent) - int64(c.Parsed) - int64(c.SocketDrops) - int64(c.InterfaceDrops) - int64(c.InRing)
}

// SentRate is what was sent a second of sending, in pps; 0 where nothing was.
func (t *Trial) SentRate() float64 {
	if t.Sender.Elapsed <= 0 {
		return 0
	}
	return float64(t.Sent) / t.Sender.Elapsed.Seconds()
}

// sent accounts for what the sender did. What the driver dropped was sent: its loss is the network's, not the sender's.
func (t *Trial) sent(r inject.Result, drain time.Duration) {
	t.Sender, t.Sent = r, r.Sent+r.Dropped
	t.Shortfall = t.shortfall(drain)
}

// intended are the frames that the load had due.
func (t *Trial) intended() uint64 { return t.Sender.Frames + t.Sender.Pieces + t.Sender.Missed }

// shortfall is what the sender was behind the load: what it did not send, and, of a last batch that took long, what it sent later than
// drain after the end of the trial. What is less late counts as on time.
func (t *Trial) shortfall(drain time.Duration) uint64 {
	r := &t.Sender
	n := t.intended() - min(t.intended(), t.Sent)
	if t.Load > 0 && r.Missed == 0 && r.Elapsed > t.Duration+drain {
		n += uint64(float64(t.Sent) * (1 - float64(t.Duration)/float64(r.Elapsed)))
	}
	return n
}

// transmitted accounts for what the sender's interface counted.
func (t *Trial) transmitted(c netlab.Counters) {
	t.TxCounts = c
	t.InterfaceDrops = max(t.Sender.Dropped, t.Sent-min(t.Sent, c.TxFrames))
}

// longest is the length of the longest of the frames that are fed, an error where one cannot be sent over Ethernet with that MTU (0: any).
// trunc says that frames were cut to it where that is possible.
func longest(frames *arena.Frames, mtu int, trunc bool) (int, error) {
	mend := "raise it, leave it out, or cut the frames with --mtu-trunc"
	if trunc {
		mend = "--mtu-trunc could not cut it (a fragment, or cut or malformed itself): raise the MTU, or leave such frames out with --skip-soft-errors"
	}
	n := 0
	var f parse.Frame
	for i := range frames.Len() {
		frames.Frame(i, &f)
		if f.Link != parse.LinkEthernet {
			return 0, fmt.Errorf("frame %d is of link type %d: live wants Ethernet (1); --dlt=enet converts IP", i+1, f.Link)
		}
		if len(f.Data) < ethernetHeader {
			return 0, fmt.Errorf("frame %d has %d octets: an Ethernet header has %d, no interface sends less", i+1, len(f.Data), ethernetHeader)
		}
		if len(f.Data) > longestFrame {
			return 0, fmt.Errorf("frame %d has %d octets: no interface takes more than %d; --mtu-trunc cuts it", i+1, len(f.Data), longestFrame)
		}
		takes := mtu + ethernetHeader
		if len(f.Data) >= 18 && f.Data[12] == 0x81 && f.Data[13] == 0 {
			takes += 4 // the MTU is without the tag
		}
		if mtu > 0 && len(f.Data) > takes {
			return 0, fmt.Errorf("frame %d has %d octets: an MTU of %d takes %d; %s", i+1, len(f.Data), mtu, takes, mend)
		}
		n = max(n, len(f.Data))
	}
	return n, nil
}
