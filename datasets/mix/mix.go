package mix

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// What Config.By can be.
const (
	Time    = "time"    // merge by time
	Packets = "packets" // interleave by shares of packets
	Octets  = "octets"  // interleave by shares of captured octets
	Turns   = "turns"   // interleave by shares of time: one class at a time goes on for its gap to the next packet
)

// What Config.Times can be.
const (
	Rebased  = "rebased"  // each class begins at the common start, with its own gaps
	Captured = "captured" // as they are
	Spread   = "spread"   // at a constant rate
)

// What Config.Until can be.
const (
	Shortest = "shortest" // ends with the class that ends first
	Longest  = "longest"  // goes on with the classes that remain
)

// Config says how to mix. The zero value is the default: all of every class, merged by time.
type Config struct {
	By string `json:"by"` // Time ("" means it), Packets, Octets or Turns
	// Shuffle draws the class of each packet by lot, with the shares as probabilities, instead of keeping to them exactly.
	Shuffle bool   `json:"shuffle"`
	Seed    uint64 `json:"seed"` // of Shuffle
	Times   string `json:"times"`
	PPS     uint64 `json:"pps,omitempty"` // packets per second of Spread
	// Until is when a mixture ends: "" means Longest by Time, Shortest else.
	Until    string        `json:"until"`
	Packets  uint64        `json:"packets,omitempty"`     // the most; 0 is no limit
	Size     int64         `json:"size,omitempty"`        // of the capture before compression, in octets, the most; 0 is no limit
	Duration time.Duration `json:"duration_ns,omitempty"` // of the capture: packets are within less than this of the first; 0 is no limit
	// MaxGap shortens longer gaps within a class to it; 0 is no limit. Captures that were merged of others have gaps of months.
	MaxGap time.Duration `json:"max_gap_ns,omitempty"`
	// Container is pcapio.Pcap or pcapio.PcapNG; "" means the latter if the name of the file says so.
	Container string    `json:"container"`
	Salvage   bool      `json:"salvage"` // as datasets.OpenConfig has it; captures that cannot be opened are left out
	Stdin     io.Reader `json:"-"`       // what "-" means; nil means os.Stdin
	// Progress is told, now and then, how many octets of the files were read, of how many: -1 if that is not known.
	Progress func(done, total int64) `json:"-"`

	// Unfinished, if it is not nil, is told what to remove if the program ends early.
	Unfinished *Unfinished `json:"-"`

	under func(io.Writer) io.Writer // of tests: stands between the capture and its file
}

// Summary is what was mixed. Counts are of packets but where a name says octets.
type Summary struct {
	Config
	Compression   string         `json:"compression"`
	Nano          bool           `json:"nano"` // times in ns instead of µs
	Written       uint64         `json:"written"`
	Octets        uint64         `json:"octets"`         // captured
	CaptureOctets int64          `json:"capture_octets"` // of the capture before compression
	FirstTime     int64          `json:"first_ns"`       // the least
	LastTime      int64          `json:"last_ns"`        // the greatest
	Ended         string         `json:"ended"`          // by what: "classes" (all were read), "shortest", "packets", "size" or "duration"
	Classes       []ClassSummary `json:"classes"`
	Faults        []Fault        `json:"faults,omitempty"`
	Losses        []string       `json:"losses,omitempty"`  // what Salvage had to leave out, in words
	Skipped       []string       `json:"skipped,omitempty"` // captures that could not be opened, with Salvage
}

// ClassSummary is what there is of one class.
type ClassSummary struct {
	Class      string  `json:"class"`
	Files      int     `json:"files"`
	Packets    uint64  `json:"packets"`
	Octets     uint64  `json:"octets"`               // captured
	Attack     uint64  `json:"attack"`               // packets known to belong to an attack
	Benign     uint64  `json:"benign"`               // packets known not to
	Time       int64   `json:"time_ns,omitempty"`    // by Turns: what it has of the mixture's time
	Wanted     float64 `json:"wanted,omitempty"`     // share; 0 by Time
	Reached    float64 `json:"reached"`              // share of octets by Octets, of time by Turns, of packets else
	Whole      bool    `json:"whole"`                // all of it was written, damage aside
	EndedAfter uint64  `json:"ended_after"`          // packets of the mixture up to its last one, if it was read to its end
	OrderKept  bool    `json:"order_kept"`           // its packets stand in the order of its captures
	BackSteps  uint64  `json:"back_steps"`           // times before that of the packet before
	NoTime     uint64  `json:"no_time,omitempty"`    // without a time, or of the first second of 1970: rebased, they have that of the packet before
	GapsCut    uint64  `json:"gaps_cut,omitempty"`   // by Config.MaxGap, and steps back as long that a cut left behind
	Moved      uint64  `json:"moved,omitempty"`      // captures that begin in the first half of the one before: moved behind it
	Clamped    uint64  `json:"clamped,omitempty"`    // times before 1970, set to it
	Postponed  uint64  `json:"postponed,omitempty"`  // interleaved packets whose own time had passed: they have that of the packet before
	LeftFiles  int     `json:"left_files,omitempty"` // captures that were not read, for the mixture had ended
	seen       bool
	file       int
	number     uint64
}

// complete fills in what defaults to something, and finds what is wrong.
func (c *Config) complete(path string, inputs []Input) error {
	set := func(value *string, what, fallback string, values ...string) error {
		if *value == "" {
			*value = fallback
		}
		if !slices.Contains(values, *value) {
			return fmt.Errorf("%s %q: want %s", what, *value, strings.Join(values, ", "))
		}
		return nil
	}
	fallback := Shortest
	if c.By == "" || c.By == Time {
		fallback = Longest
	}
	format := pcapio.Pcap
	name := strings.ToLower(path)
	if compressionOf(name) != None {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	if filepath.Ext(name) == ".pcapng" {
		format = pcapio.PcapNG
	}
	times := Rebased
	if c.PPS > 0 {
		times = Spread
	}
	err := errors.Join(set(&c.By, "by", Time, Time, Packets, Octets, Turns), set(&c.Times, "times", times, Rebased, Captured, Spread),
		set(&c.Until, "until", fallback, Shortest, Longest), set(&c.Container, "container", format, pcapio.Pcap, pcapio.PcapNG))
	switch {
	case err != nil:
		return err
	case len(inputs) == 0:
		return errors.New("no captures to mix")
	case (c.Times == Spread) != (c.PPS > 0):
		return errors.New("times spread evenly need a rate of packets per second, and a rate needs such times")
	case c.PPS > 1e9:
		return fmt.Errorf("%d packets per second: at most 1,000,000,000, for times are in ns", c.PPS)
	case c.Shuffle && c.By != Packets && c.By != Octets:
		return fmt.Errorf("a mixture by %s has its order: shuffle by packets or octets", c.By)
	case c.By == Turns && c.Times != Rebased:
		return fmt.Errorf("a mixture by turns makes its times: they cannot be %s", c.Times)
	case c.MaxGap > 0 && c.Times == Captured:
		return errors.New("times as captured keep their gaps")
	case c.Size < 0 || c.Duration < 0 || c.MaxGap < 0:
		return errors.New("a size, a duration and a gap must not be negative")
	case c.Size > 0 && c.Size <= headerOctets(c.Container):
		return fmt.Errorf("a size of %d octets leaves no room for a packet: the header of a %s has %d", c.Size, c.Container, headerOctets(c.Container))
	}
	names := map[string]bool{}
	sum := uint64(0)
	stdin := 0
	for _, in := range inputs {
		switch {
		case names[in.Class]:
			return fmt.Errorf("class %s is there twice: give its captures together", in.Class)
		case len(in.Files) == 0:
			return fmt.Errorf("class %s: no captures", in.Class)
		case c.By != Time && in.Share == 0:
			return fmt.Errorf("class %s: its share must be above 0", in.Class)
		case c.By != Time && in.Offset != 0:
			return fmt.Errorf("class %s: an offset is for a merge by time", in.Class)
		case in.Share > math.MaxInt64-sum:
			return fmt.Errorf("class %s: the shares are too large in all", in.Class)
		}
		names[in.Class] = true
		sum += in.Share
		for _, path := range in.Files {
			if path == "-" {
				stdin++
			}
		}
	}
	if stdin > 1 {
		return errors.New("standard input (-) can be read once")
	}
	return nil
}

// Check finds what is wrong with settings and classes before anything is read. The path is that of the capture to write, "-" for a stream.
func Check(path string, cfg Config, inputs []Input) error { return cfg.complete(path, inputs) }

// File mixes classes into a capture, and its truth into the file that truthPath names, beside it under its name and truth.Suffix if that is
// "". The container and the compression go by the name of the capture (.pcapng; .gz, .zst). Both appear whole or not at all. The summary comes
// with captures that were damaged too; see Summary.Faults.
func File(ctx context.Context, path, truthPath string, cfg Config, inputs []Input) (*Summary, error) {
	if truthPath == "" {
		truthPath = path + truth.Suffix
	} else if _, err := os.Lstat(path + truth.Suffix); err == nil && !samePlace(truthPath, path+truth.Suffix) {
		return nil, fmt.Errorf("%s%s is there, and would seem to be of the new capture: remove it, or let the truth be written there", path, truth.Suffix)
	}
	if err := apart([]string{path, truthPath}, inputs); err != nil {
		return nil, err
	}
	if cfg.Unfinished == nil {
		cfg.Unfinished = &Unfinished{}
	}
	out, err := cfg.Unfinished.stage(path)
	if err != nil {
		return nil, err
	}
	defer out.drop()
	w := io.Writer(out)
	if cfg.under != nil {
		w = cfg.under(w)
	}
	return run(ctx, path, w, []*staged{out}, truthPath, cfg, inputs)
}

// Stream mixes classes as File does, with the capture written to w as a pcap or as Config.Container says.
func Stream(ctx context.Context, w io.Writer, truthPath string, cfg Config, inputs []Input) (*Summary, error) {
	if err := apart([]string{truthPath}, inputs); err != nil {
		return nil, err
	}
	if cfg.Unfinished == nil {
		cfg.Unfinished = &Unfinished{}
	}
	return run(ctx, "-", w, nil, truthPath, cfg, inputs)
}

// samePlace tells whether two paths name one file, which need not be there yet.
func samePlace(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	if (errX == nil) != (errY == nil) || filepath.Base(a) != filepath.Base(b) {
		return false
	}
	x, errX = os.Stat(filepath.Dir(a))
	y, errY = os.Stat(filepath.Dir(b))
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// apart refuses to write over a capture that is read, or over its truth. The last output is the truth: it must not go over something
// else, nor become that of another capture.
func apart(outputs []string, inputs []Input) error {
	last := len(outputs) - 1
	for i, out := range outputs {
		if i > 0 && samePlace(outputs[0], out) {
			return fmt.Errorf("%s: the capture and its truth need two files", out)
		}
		if of, ok := strings.CutSuffix(out, truth.Suffix); ok && of != "" && !(i > 0 && samePlace(of, outputs[0])) {
			if info, err := os.Stat(of); err == nil && !info.IsDir() {
				return fmt.Errorf("%s would be the truth of %s, which is another capture: name another file", out, of)
			}
		}
		there, err := os.Stat(out)
		if err != nil {
			continue // is not there
		}
		if i == last && there.Mode().IsRegular() && there.Size() > 0 && !isTruth(out) {
			return fmt.Errorf("%s is there and no truth of a capture: remove it, or name another file", out)
		}
		for _, in := range inputs {
			for _, path := range in.Files {
				for _, path := range []string{path, path + truth.Suffix} {
					if read, err := os.Stat(path); err == nil && os.SameFile(there, read) {
						return fmt.Errorf("%s is read: write to another file", out)
					}
				}
			}
		}
	}
	return nil
}

// isTruth tells whether a file begins as truth does.
func isTruth(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = truth.NewReader(f)
	return err == nil
}

// once refuses a capture that is there twice: its packets would be too.
func once(inputs []Input) error {
	type looks struct{ size, changed int64 } // of one file they are the same
	seen := map[looks][]os.FileInfo{}
	for _, in := range inputs {
		for _, path := range in.Files {
			info, err := os.Stat(path)
			if err != nil || !info.Mode().IsRegular() {
				continue // opening it tells what is wrong
			}
			k := looks{info.Size(), info.ModTime().UnixNano()}
			if slices.ContainsFunc(seen[k], func(other os.FileInfo) bool { return os.SameFile(info, other) }) {
				return fmt.Errorf("%s is there twice, the second time for class %s: name it once, or copy it", path, in.Class)
			}
			seen[k] = append(seen[k], info)
		}
	}
	return nil
}

// run mixes into w, stages the truth, and publishes it with what is staged.
func run(ctx context.Context, path string, w io.Writer, files []*staged, truthPath string, cfg Config, inputs []Input) (*Summary, error) {
	if err := errors.Join(cfg.complete(path, inputs), once(inputs)); err != nil {
		return nil, err
	}
	table, err := cfg.Unfinished.stage(truthPath)
	if err != nil {
		return nil, err
	}
	defer table.drop()
	m := &mixer{cfg: cfg, total: -1}
	m.summary.Config, m.summary.Compression = cfg, compressionOf(path)
	defer m.close()
	if err := m.open(inputs); err != nil {
		return nil, err
	}
	compressed, err := compressor(w, m.summary.Compression)
	if err != nil {
		return nil, err
	}
	if err := m.begin(compressed, table); err != nil {
		return nil, err
	}
	if err := m.mix(ctx); err != nil {
		return nil, err
	}
	if err := errors.Join(m.out.Close(), compressed.Close(), m.truth.Close()); err != nil {
		return nil, err
	}
	if err := cfg.Unfinished.publish(append(files, table)...); err != nil {
		return nil, err
	}
	return m.finish()
}

// mixer is a mixture under way.
type mixer struct {
	cfg     Config
	queues  []queue
	sched   scheduler
	out     *pcapio.Writer
	truth   *truth.Writer
	start   int64
	first   int64 // time written first
	latest  int64 // time written so far, for interleaved ones
	total   int64
	links   []parse.LinkType // written, for the size of a pcapng
	summary Summary
}

// queue is a class with its next packet; the scheduler has a lane for it.
type queue struct {
	*reader
	clock clock
	frame parse.Frame
	own   int64  // time of frame by the clock
	told  counts // of the clock before frame
}

// open opens all classes and reads the first packet of each.
func (m *mixer) open(inputs []Input) error {
	m.queues = make([]queue, 0, len(inputs))
	m.sched.lanes = make([]lane, len(inputs))
	m.total = 0
	for i := range inputs {
		r, err := newReader(&inputs[i], datasets.OpenConfig{Salvage: m.cfg.Salvage, Stdin: m.cfg.Stdin})
		if err != nil {
			return err
		}
		m.queues = append(m.queues, queue{reader: r})
		if m.total += r.size; r.size < 0 {
			m.total = -1 << 62
		}
		m.summary.Classes = append(m.summary.Classes, ClassSummary{Class: inputs[i].Class, Files: len(inputs[i].Files), OrderKept: true})
	}
	m.total = max(m.total, -1)
	m.start = math.MaxInt64
	timed := false
	for i := range m.queues {
		q, l := &m.queues[i], &m.sched.lanes[i]
		l.weight = inputs[i].Share
		err := q.next(&q.frame)
		switch {
		case err == io.EOF && m.cfg.Until == Shortest:
			return fmt.Errorf("class %s has no packets (%s): leave it out, or mix until the longest ends", inputs[i].Class,
				strings.Join(inputs[i].Files, ", "))
		case err == io.EOF:
			m.summary.Classes[i].Whole = true
			continue
		case err != nil:
			return err
		}
		l.live = true
		m.sched.weight += l.weight
		if q.timed() {
			m.start, timed = min(m.start, q.frame.UnixNano), true
		}
	}
	if !timed {
		m.start = 0
	}
	m.start = max(m.start, 0)
	for i := range m.queues {
		q := &m.queues[i]
		q.clock = clock{captured: m.cfg.Times == Captured, begin: plus(m.start, int64(inputs[i].Offset)), maxGap: int64(m.cfg.MaxGap)}
		if q.clock.captured {
			q.clock.begin = int64(inputs[i].Offset)
		} else if q.clock.begin < 0 {
			q.clock.begin = 0
		}
		if m.sched.lanes[i].live {
			m.ready(i)
		}
	}
	m.sched.ticket, m.sched.random = 1, rng(m.cfg.Seed)
	switch {
	case m.cfg.By == Time:
		m.sched.order = byTime
	case m.cfg.Shuffle:
		m.sched.order = byTicket
		if m.cfg.By == Octets {
			m.sched.ticket = 64 // about the least frame, so that small frames do not come in trains
		}
	default:
		m.sched.order = byShare
	}
	return nil
}

// timed tells whether the next packet has a time: the first second of 1970 is none, but of a clock that was not set.
func (q *queue) timed() bool { return q.capture.Timed() && uint64(q.frame.UnixNano) >= 1e9 }

// ready tells the scheduler of the next packet of class i.
func (m *mixer) ready(i int) {
	q, l := &m.queues[i], &m.sched.lanes[i]
	q.told = q.clock.counts
	before, first := q.clock.key(), q.clock.frames == 0
	q.own = q.clock.at(q.frame.UnixNano, q.timed(), q.file)
	l.key, l.cost = q.clock.key(), 1
	switch {
	case m.cfg.By == Octets:
		l.cost = uint64(len(q.frame.Data))
	case m.cfg.By == Turns && first:
		l.cost = 0
	case m.cfg.By == Turns:
		l.cost = uint64(min(minus(l.key, before), maxCost))
	}
}

// begin starts the capture and its truth.
func (m *mixer) begin(w, table io.Writer) (err error) {
	var facts captureFacts
	for i := range m.queues {
		facts.add(m.queues[i].facts)
	}
	m.out, m.summary.Nano, err = newWriter(w, m.cfg.Container, facts)
	m.truth = truth.NewWriter(table)
	m.summary.CaptureOctets = headerOctets(m.cfg.Container)
	return err
}

// newWriter starts a capture that can hold what the facts say.
func newWriter(w io.Writer, container string, facts captureFacts) (out *pcapio.Writer, nano bool, err error) {
	cfg := pcapio.WriterConfig{Container: container, Nano: facts.nano || container == pcapio.PcapNG}
	if container == pcapio.Pcap {
		if len(facts.links) > 1 {
			return nil, false, fmt.Errorf("a pcap has one link type: %s has %d, %s has %d; write pcapng", facts.of[0], facts.links[0],
				facts.of[1], facts.links[1])
		}
		if len(facts.links) == 1 {
			cfg.Link, cfg.LinkNull = facts.links[0], facts.links[0] == parse.LinkNull
		}
	}
	if facts.snaplen > 262144 && facts.snaplen <= pcapio.MaxFrame {
		cfg.Snaplen = facts.snaplen
	}
	out, err = pcapio.NewWriter(w, cfg)
	return out, cfg.Nano, err
}

func headerOctets(container string) int64 {
	if container == pcapio.PcapNG {
		return 28
	}
	return 24
}

// interfaceOctets is what describes a link type in a pcapng.
const interfaceOctets = 32

// recordOctets returns what a frame takes in a capture.
func recordOctets(f *parse.Frame, container string) int64 {
	if container == pcapio.PcapNG {
		return 32 + int64(len(f.Data)+3)&^3
	}
	return 16 + int64(len(f.Data))
}

// mix writes packets until the mixture ends.
func (m *mixer) mix(ctx context.Context) error {
	s := &m.summary
	for {
		if s.Written&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if m.cfg.Progress != nil && s.Written&0xffff == 0 {
				m.cfg.Progress(m.storedOctets(), m.total)
			}
		}
		i := m.sched.pick()
		if i < 0 {
			s.Ended = "classes"
			return nil
		}
		if m.cfg.Packets > 0 && s.Written == m.cfg.Packets {
			s.Ended = "packets"
			return nil
		}
		q, c := &m.queues[i], &s.Classes[i]
		at, postponed := m.stamp(q.own, &m.sched.lanes[i])
		octets := recordOctets(&q.frame, m.cfg.Container)
		newLink := m.cfg.Container == pcapio.PcapNG && !slices.Contains(m.links, q.frame.Link)
		if newLink {
			octets += interfaceOctets
		}
		switch {
		case m.cfg.Size > 0 && s.CaptureOctets+octets > m.cfg.Size && s.Written == 0:
			return fmt.Errorf("a size of %d octets leaves no room for a packet: the first, of %s, needs %d", m.cfg.Size, q.path(), s.CaptureOctets+octets)
		case m.cfg.Size > 0 && s.CaptureOctets+octets > m.cfg.Size:
			s.Ended = "size"
			return nil
		case m.cfg.Duration > 0 && s.Written > 0 && minus(at, m.first) >= int64(m.cfg.Duration):
			s.Ended = "duration"
			return nil
		}
		if newLink {
			m.links = append(m.links, q.frame.Link)
		}
		q.frame.UnixNano = at
		if err := m.out.WriteFrame(&q.frame); err != nil {
			return fmt.Errorf("%s: packet %d: %w", q.path(), q.number(), err)
		}
		if err := m.truth.Add(truth.Packet{Class: c.Class, Attack: q.attack, Source: q.path(), Number: q.number()}); err != nil {
			return err
		}
		if m.cfg.By == Turns {
			c.Time += int64(m.sched.lanes[i].cost)
		}
		m.count(c, q, at, octets, postponed)
		m.sched.sentBy(i)
		err := q.next(&q.frame)
		if err == nil {
			m.ready(i)
			continue
		}
		if err != io.EOF {
			return err
		}
		m.sched.end(i)
		c.Whole, c.EndedAfter = true, s.Written
		if m.cfg.Until == Shortest {
			s.Ended = Shortest
			return nil
		}
	}
}

// stamp returns the time of the next packet of the mixture, whose own is that, and whether it had passed.
func (m *mixer) stamp(own int64, l *lane) (at int64, postponed bool) {
	switch {
	case m.cfg.By == Turns && m.summary.Written == 0:
		return m.start, false
	case m.cfg.By == Turns:
		return plus(m.latest, int64(l.cost)), own < l.key
	case m.cfg.Times == Spread:
		hi, lo := bits.Mul64(m.summary.Written, 1e9)
		if hi >= m.cfg.PPS {
			return math.MaxInt64, false
		}
		ns, _ := bits.Div64(hi, lo, m.cfg.PPS)
		return plus(m.start, int64(min(ns, math.MaxInt64))), false
	case m.cfg.Times == Rebased && m.cfg.By != Time && m.summary.Written > 0 && own < m.latest:
		return m.latest, true
	}
	return own, false
}

// count counts a packet that was written.
func (m *mixer) count(c *ClassSummary, q *queue, at, octets int64, postponed bool) {
	s := &m.summary
	if s.Written == 0 {
		m.first, s.FirstTime, s.LastTime = at, at, at
	}
	m.latest, s.FirstTime, s.LastTime = at, min(s.FirstTime, at), max(s.LastTime, at)
	s.Written++
	s.CaptureOctets += octets
	s.Octets += uint64(len(q.frame.Data))
	c.Packets++
	c.Octets += uint64(len(q.frame.Data))
	switch q.attack {
	case truth.Yes:
		c.Attack++
	case truth.No:
		c.Benign++
	}
	if postponed {
		c.Postponed++
	}
	if c.seen && (q.file < c.file || q.file == c.file && q.number() <= c.number) {
		c.OrderKept = false
	}
	c.seen, c.file, c.number = true, q.file, q.number()
}

func (m *mixer) storedOctets() (n int64) {
	for i := range m.queues {
		n += m.queues[i].storedOctets()
	}
	return n
}

// finish closes the classes and completes the summary.
func (m *mixer) finish() (*Summary, error) {
	s := &m.summary
	for i := range m.queues {
		q, c := &m.queues[i], &s.Classes[i]
		if !c.Whole {
			c.LeftFiles = len(q.input.Files) - q.file - 1
		}
		if err := q.close(); err != nil {
			return nil, err
		}
		n := q.clock.counts
		if !c.Whole {
			n = q.told // a packet was read that is not in the mixture
		}
		c.BackSteps, c.NoTime, c.GapsCut, c.Moved, c.Clamped = n.backSteps, n.noTime, n.gapsCut, n.filesMoved, n.clamped
		part, all := c.Packets, s.Written
		switch m.cfg.By {
		case Octets:
			part, all = c.Octets, s.Octets
		case Turns:
			part, all = uint64(c.Time), uint64(minus(s.LastTime, s.FirstTime))
		}
		if all > 0 {
			c.Reached = float64(part) / float64(all)
		}
		if m.cfg.By != Time {
			weight := uint64(0)
			for j := range m.queues {
				weight += m.queues[j].input.Share
			}
			c.Wanted = float64(q.input.Share) / float64(weight)
		}
		s.Faults = append(s.Faults, q.faults...)
		s.Losses = append(s.Losses, q.losses...)
		s.Skipped = append(s.Skipped, q.skipped...)
	}
	return s, nil
}

func (m *mixer) close() {
	for i := range m.queues {
		_ = m.queues[i].close()
	}
}
