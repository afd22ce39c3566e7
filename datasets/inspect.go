package datasets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// InspectConfig says how to inspect a capture. The zero value is the default.
type InspectConfig struct {
	OpenConfig
	// Progress is told, now and then, how many octets of the file were read, of how many: -1 if that is not known. It is
	// called from the goroutine that called Inspect.
	Progress func(done, total int64) `json:"-"`
}

// Info is what a capture holds. Counts are of frames but where a name says octets; times are ns since 1970.
type Info struct {
	File         string         `json:"file"`
	StoredOctets int64          `json:"stored_octets"` // read from the file
	SHA256       string         `json:"sha256,omitempty"`
	Packets      uint64         `json:"packets"`
	Octets       uint64         `json:"octets"` // captured
	WireOctets   uint64         `json:"wire_octets"`
	Error        *string        `json:"error"` // what ended reading, null at a clean end
	ErrorAt      *Place         `json:"error_at,omitempty"`
	Capture      pcapio.Facts   `json:"capture"`
	Losses       []pcapio.Loss  `json:"losses,omitempty"`
	Times        *Times         `json:"times"` // null without a frame that has a time
	Sizes        *Sizes         `json:"sizes"` // null without frames
	Cut          uint64         `json:"cut"`   // captured length below the wire length
	Zero         uint64         `json:"zero"`  // captured length 0
	Protocols    parse.Counters `json:"protocols"`
	Ports        []PortCount    `json:"ports,omitempty"`
}

// Place is where in a capture an error is.
type Place struct {
	Offset int64  `json:"offset"` // in the stream after decompression
	Packet uint64 `json:"packet"` // number of the record, from 1; 0 is the file header
}

// Times is when the frames of a capture were captured, and how fast they came.
type Times struct {
	First           int64  `json:"first_ns"` // of the first frame, not the least
	Last            int64  `json:"last_ns"`
	Min             int64  `json:"min_ns"`
	Max             int64  `json:"max_ns"`
	BackSteps       uint64 `json:"back_steps"` // frames with a time before that of the frame before them
	LargestBackStep int64  `json:"largest_back_step_ns"`
	// Busiest is the second of capture time, counted in whole seconds since 1970, with the most frames. A frame that
	// comes more than 64 s of capture time late may be missing in it.
	Busiest Second `json:"busiest"`
}

// Second is one second of capture time.
type Second struct {
	Unix       int64  `json:"unix"`
	Packets    uint64 `json:"packets"`
	WireOctets uint64 `json:"wire_octets"`
}

// Duration returns the seconds between the earliest and the latest frame.
func (t *Times) Duration() float64 { return (float64(t.Max) - float64(t.Min)) / 1e9 }

// PacketRate returns the mean packets per second, or 0 for a capture without duration.
func (in *Info) PacketRate() float64 { return in.perSecond(float64(in.Packets)) }

// BitRate returns the mean bits per second on the wire, or 0 for a capture without duration.
func (in *Info) BitRate() float64 { return in.perSecond(8 * float64(in.WireOctets)) }

func (in *Info) perSecond(n float64) float64 {
	if in.Times == nil || in.Times.Duration() <= 0 {
		return 0
	}
	return n / in.Times.Duration()
}

// Sizes is the distribution of wire lengths.
type Sizes struct {
	Min     uint64    `json:"min"`
	Max     uint64    `json:"max"`
	MaxCap  uint64    `json:"max_captured"` // the longest captured length
	Buckets []SizeBin `json:"bins"`
}

// SizeBin counts frames of a wire length in [From, To].
type SizeBin struct {
	From    int64  `json:"from"`
	To      int64  `json:"to"` // -1: no end
	Packets uint64 `json:"packets"`
}

// sizeEnds are the frame sizes of RFC 2544 section 9.1 and of jumbo frames: each ends a bin. A capture has no frame
// check sequence, so a full Ethernet frame shows as 1514.
var sizeEnds = [...]int{64, 128, 256, 512, 1024, 1280, 1518, 9018}

// PortCount counts packets with a well-known TCP or UDP port as source or destination.
type PortCount struct {
	Port    uint16 `json:"port"`
	Name    string `json:"name"`
	Packets uint64 `json:"packets"`
}

// wellKnown are ports of protocols that IoT captures have, in order.
var wellKnown = [...]struct {
	port uint16
	name string
}{
	{20, "ftp-data"}, {21, "ftp"}, {22, "ssh"}, {23, "telnet"}, {25, "smtp"}, {53, "dns"}, {67, "dhcp"}, {69, "tftp"},
	{80, "http"}, {123, "ntp"}, {137, "netbios-ns"}, {161, "snmp"}, {389, "ldap"}, {443, "https"}, {445, "smb"},
	{502, "modbus"}, {554, "rtsp"}, {1883, "mqtt"}, {1900, "ssdp"}, {2323, "telnet-alt"}, {3389, "rdp"},
	{3702, "ws-discovery"},
	{5060, "sip"}, {5353, "mdns"}, {5355, "llmnr"}, {5683, "coap"}, {5684, "coaps"}, {6667, "irc"}, {8080, "http-alt"},
	{8443, "https-alt"}, {8883, "mqtts"}, {20000, "dnp3"}, {44818, "ethernet-ip"}, {47808, "bacnet"},
}

// ports is a stage that counts packets by well-known port.
type ports struct {
	place  [1 << 16]uint8 // in counts, of a port; 0: not well-known
	counts [len(wellKnown) + 1]uint64
}

func newPorts() *ports {
	p := new(ports)
	for i, w := range wellKnown {
		p.place[w.port] = uint8(i + 1)
	}
	return p
}

func (p *ports) Process(_ *parse.Frame, pkt *parse.Packet) error {
	if pkt.Layers&(parse.LayerTCP|parse.LayerUDP) == 0 {
		return nil
	}
	src, dst := p.place[pkt.Tuple.SrcPort], p.place[pkt.Tuple.DstPort]
	p.counts[src]++
	if dst != src {
		p.counts[dst]++
	}
	return nil
}

// Inspect reads the capture at path, or standard input if path is "-", once and returns what it holds. If the capture
// cannot be opened or read to its end, it returns the error and what was found before; Info.Error has its text.
func Inspect(ctx context.Context, path string, cfg InspectConfig) (Info, error) {
	in := Info{File: path}
	err := in.inspect(ctx, path, cfg)
	if err != nil {
		text := err.Error()
		in.Error = &text
		if fe := new(pcapio.FormatError); errors.As(err, &fe) {
			in.ErrorAt = &Place{fe.Offset, fe.Packet}
		}
	}
	return in, err
}

func (in *Info) inspect(ctx context.Context, path string, cfg InspectConfig) (err error) {
	c, err := Open(path, cfg.OpenConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	w := walk{in: in, byPort: newPorts(), sizes: Sizes{Min: math.MaxUint64}}
	w.pipeline = parse.NewPipeline(parse.DirectEngine(), w.byPort)
	err = w.frames(ctx, c, cfg)
	w.finish()
	in.Capture, in.Losses, in.StoredOctets = c.Facts(), c.Losses(), c.StoredOctets()
	if cfg.Hash && ctx.Err() == nil {
		digest, hashErr := c.SHA256()
		in.SHA256, err = digest, errors.Join(err, hashErr)
		in.StoredOctets = c.StoredOctets()
	}
	return err
}

// walk gathers the counts of an Info.
type walk struct {
	in       *Info
	pipeline *parse.Pipeline
	byPort   *ports
	sizes    Sizes
	bins     [len(sizeEnds) + 1]uint64
	times    Times
	timed    bool
	seconds  [64]Second
}

func (w *walk) frames(ctx context.Context, c *Capture, cfg InspectConfig) error {
	total := int64(-1)
	if size, known := c.Size(); known {
		total = size
	}
	var f parse.Frame
	var told int64
	for {
		if c.Packets()%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%s: stopped at frame %d: %w", c.Name(), c.Packets(), err)
			}
			if now := c.StoredOctets(); cfg.Progress != nil && now-told >= progressOctets {
				told = now
				cfg.Progress(now, total)
			}
		}
		if err := c.Next(&f); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		w.frame(&f)
		if c.Timed() {
			w.time(f.UnixNano, uint64(f.WireLen))
		}
		if err := w.pipeline.WriteFrame(&f); err != nil {
			return fmt.Errorf("%s: frame %d: %w", c.Name(), c.Packets(), err)
		}
	}
	if cfg.Progress != nil {
		cfg.Progress(c.StoredOctets(), total)
	}
	return nil
}

func (w *walk) frame(f *parse.Frame) {
	in := w.in
	in.Packets++
	in.Octets += uint64(len(f.Data))
	in.WireOctets += uint64(f.WireLen)
	if len(f.Data) < f.WireLen {
		in.Cut++
	}
	if len(f.Data) == 0 {
		in.Zero++
	}
	w.sizes.Min = min(w.sizes.Min, uint64(f.WireLen))
	w.sizes.Max = max(w.sizes.Max, uint64(f.WireLen))
	w.sizes.MaxCap = max(w.sizes.MaxCap, uint64(len(f.Data)))
	bin := 0
	for bin < len(sizeEnds) && f.WireLen > sizeEnds[bin] {
		bin++
	}
	w.bins[bin]++
}

func (w *walk) time(ns int64, wire uint64) {
	t := &w.times
	if !w.timed {
		w.timed = true
		*t = Times{First: ns, Last: ns, Min: ns, Max: ns}
	}
	if ns < t.Last {
		t.BackSteps++
		step := t.Last - ns
		if step < 0 {
			step = math.MaxInt64
		}
		t.LargestBackStep = max(t.LargestBackStep, step)
	}
	t.Last = ns
	t.Min, t.Max = min(t.Min, ns), max(t.Max, ns)
	sec := ns / 1e9
	if ns%1e9 < 0 {
		sec--
	}
	s := &w.seconds[uint64(sec)%uint64(len(w.seconds))]
	if s.Unix != sec {
		*s = Second{Unix: sec}
	}
	s.Packets++
	s.WireOctets += wire
	if s.Packets > t.Busiest.Packets {
		t.Busiest = *s
	}
}

func (w *walk) finish() {
	in := w.in
	in.Protocols = w.pipeline.Counters()
	if in.Packets > 0 {
		from := int64(0)
		for i, n := range w.bins {
			bin := SizeBin{From: from, To: -1, Packets: n}
			if i < len(sizeEnds) {
				bin.To = int64(sizeEnds[i])
			}
			from = bin.To + 1
			w.sizes.Buckets = append(w.sizes.Buckets, bin)
		}
		in.Sizes = &w.sizes
	}
	if w.timed {
		in.Times = &w.times
	}
	for i, p := range wellKnown {
		if n := w.byPort.counts[i+1]; n > 0 {
			in.Ports = append(in.Ports, PortCount{p.port, p.name, n})
		}
	}
}
