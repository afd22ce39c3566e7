package mix

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// What SampleConfig.Method can be.
const (
	Head      = "head"      // the first packets; reads no further
	Stride    = "stride"    // blocks at even distances over all captures
	Reservoir = "reservoir" // blocks by lot, each as likely as any other
)

// SampleConfig says how to take a part of each class.
type SampleConfig struct {
	Method string `json:"method"` // Head, Stride or Reservoir; "" means Reservoir
	// PerClass is how large a capture of a class may be, in octets.
	PerClass int64 `json:"per_class"`
	// Block is how many packets that follow each other are taken together; 0 means 1000. A block ends with its capture.
	Block   int    `json:"block"`
	Seed    uint64 `json:"seed"`    // of Reservoir
	Workers int    `json:"workers"` // classes read at once; 0 means as many as CPUs
	Salvage bool   `json:"salvage"` // as Config.Salvage
	// Progress is told how many octets of the files were read, of how many. It is called from several goroutines, one at a time.
	Progress func(done, total int64) `json:"-"`
	// Unfinished, if it is not nil, is told what to remove if the program ends early.
	Unfinished *Unfinished `json:"-"`
}

// Sampled is what was taken of one class. Counts are of packets but where a name says octets.
type Sampled struct {
	Class         string   `json:"class"`
	File          string   `json:"file"`           // "" if there were no packets
	Files         int      `json:"files"`          // captures of the class
	Packets       uint64   `json:"packets"`        // taken
	Octets        uint64   `json:"octets"`         // captured, of these
	CaptureOctets int64    `json:"capture_octets"` // of the capture written
	Blocks        uint64   `json:"blocks"`         // taken
	ReadPackets   uint64   `json:"read_packets"`
	ReadBlocks    uint64   `json:"read_blocks"`
	Faults        []Fault  `json:"faults,omitempty"`
	Losses        []string `json:"losses,omitempty"`
	Skipped       []string `json:"skipped,omitempty"`
}

// Sample takes a part of each class, in one pass over its captures, and writes it to dir/CLASS/STEM.pcap (pcapng if a capture is one, or link
// types differ), where stem names the class's file: nil means the class. Packets keep their octets, times and order. The truth beside says
// which packets of which captures they are. Files appear whole or not at all; those of classes that were complete before an error or
// the end of ctx stay, and are returned. Nothing that is there already is written over.
//
// With Reservoir, memory holds PerClass octets and two blocks for each worker, of each of which it keeps no more than PerClass octets; with the other methods one packet.
func Sample(ctx context.Context, dir string, cfg SampleConfig, inputs []Input, stem func(class string) string) ([]Sampled, error) {
	if err := errors.Join(CheckSample(&cfg, inputs), once(inputs)); err != nil {
		return nil, err
	}
	if stem == nil {
		stem = func(class string) string { return class }
	}
	if cfg.Unfinished == nil {
		cfg.Unfinished = &Unfinished{}
	}
	samplers := make([]*sampler, 0, len(inputs))
	defer func() {
		cfg.Unfinished.tidy()
		for _, s := range samplers {
			_ = s.close()
		}
	}()
	var total int64
	for i := range inputs {
		in := &inputs[i]
		if in.Class == "" || in.Class == "." || in.Class == ".." || strings.ContainsAny(in.Class, `/\`) {
			return nil, fmt.Errorf("class %q cannot be the name of a folder", in.Class)
		}
		r, err := newReader(in, datasets.OpenConfig{Salvage: cfg.Salvage})
		if err != nil {
			return nil, err
		}
		s := &sampler{reader: r, cfg: &cfg, container: pcapio.Pcap, seed: cfg.Seed}
		for _, c := range []byte(in.Class) { // so that classes do not have the same blocks
			s.seed = scramble(s.seed + 0x9e3779b97f4a7c15 ^ uint64(c))
		}
		samplers = append(samplers, s)
		if r.facts.ng || len(r.facts.links) > 1 {
			s.container = pcapio.PcapNG
		}
		if cfg.Method == Stride && (r.facts.compressed || r.size < 0) {
			return nil, fmt.Errorf("class %s: even distances need the size of all captures, which is not known of compressed ones and pipes: "+
				"take them by lot (%s)", in.Class, Reservoir)
		}
		if total += r.size; r.size < 0 {
			total = math.MinInt64 / 2
		}
		s.path = filepath.Join(dir, in.Class, stem(in.Class)+"."+s.container)
		for _, path := range []string{s.path, s.path + truth.Suffix} {
			if _, err := os.Lstat(path); err == nil {
				return nil, fmt.Errorf("%s is there: name a new folder, or remove it", path)
			}
		}
	}
	return sampleAll(ctx, &cfg, samplers, max(total, -1))
}

// CheckSample completes settings, and finds what is wrong with them before anything is read.
func CheckSample(cfg *SampleConfig, inputs []Input) error {
	if cfg.Method == "" {
		cfg.Method = Reservoir
	}
	if cfg.Block == 0 {
		cfg.Block = 1000
	}
	switch {
	case !slices.Contains([]string{Head, Stride, Reservoir}, cfg.Method):
		return fmt.Errorf("method %q: want %s, %s or %s", cfg.Method, Head, Stride, Reservoir)
	case cfg.Block < 1:
		return fmt.Errorf("blocks of %d packets: want 1 or more", cfg.Block)
	case cfg.PerClass < 1024:
		return fmt.Errorf("%d octets of each class: want 1024 or more", cfg.PerClass)
	case cfg.Workers < 0:
		return fmt.Errorf("%d workers: want 0 or more", cfg.Workers)
	case len(inputs) == 0:
		return errors.New("no captures to take packets of")
	}
	names := map[string]bool{}
	for _, in := range inputs {
		if folder := strings.ToLower(in.Class); names[folder] {
			return fmt.Errorf("class %s is there twice: give its captures together", in.Class)
		} else {
			names[folder] = true
		}
		if slices.Contains(in.Files, "-") {
			return errors.New("standard input (-) is of no class: name files or folders")
		}
	}
	return nil
}

// sampleAll runs the samplers, the largest first so that none is left alone at the end.
func sampleAll(ctx context.Context, cfg *SampleConfig, samplers []*sampler, total int64) ([]Sampled, error) {
	workers := cfg.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bySize := slices.Clone(samplers)
	slices.SortStableFunc(bySize, func(a, b *sampler) int { return int(min(max(b.size-a.size, -1), 1)) })
	var next atomic.Int64
	var progress sync.Mutex
	var done int64
	tell := func(more int64) {
		progress.Lock()
		defer progress.Unlock()
		done += more
		if cfg.Progress != nil {
			cfg.Progress(done, total)
		}
	}
	var wait sync.WaitGroup
	for range min(workers, len(samplers)) {
		wait.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(bySize) {
					return
				}
				if err := bySize[i].run(ctx, tell); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wait.Wait()
	var all []Sampled
	for _, s := range samplers {
		if s.complete {
			all = append(all, s.done)
		}
	}
	if ctx.Err() != nil {
		return all, context.Cause(ctx)
	}
	return all, nil
}

// sampler takes a part of one class.
type sampler struct {
	*reader
	cfg       *SampleConfig
	path      string
	container string
	seed      uint64 // of the class
	done      Sampled
	complete  bool

	out     *pcapio.Writer
	truth   *truth.Writer
	links   []parse.LinkType
	kept    []block // of a reservoir: a heap, the largest key on top
	size    int64   // octets of records in kept
	filling block
}

// block is packets that follow each other in one capture.
type block struct {
	key    uint64
	index  uint64 // in the class, from 1
	file   int
	first  uint64 // number of its first packet in the file
	octets int64  // of its records
	data   []byte // of all packets
	heads  []head
}

// head is what a block has of a packet beside its octets.
type head struct {
	unixNano int64
	wireLen  int
	octets   uint32
	link     parse.LinkType
	attack   truth.Attack
}

// run reads the class and writes what is taken of it.
func (s *sampler) run(ctx context.Context, tell func(more int64)) error {
	s.done = Sampled{Class: s.input.Class, Files: len(s.input.Files), CaptureOctets: headerOctets(s.container)}
	if err := s.cfg.Unfinished.makeFolder(filepath.Dir(s.path)); err != nil {
		return err
	}
	out, err := s.cfg.Unfinished.stage(s.path)
	if err != nil {
		return err
	}
	defer out.drop()
	table, err := s.cfg.Unfinished.stage(s.path + truth.Suffix)
	if err != nil {
		return err
	}
	defer table.drop()
	if s.out, _, err = newWriter(out, s.container, s.facts); err != nil {
		return err
	}
	s.truth = truth.NewWriter(table)
	if err := s.take(ctx, tell); err != nil {
		return err
	}
	if err := s.writeKept(); err != nil {
		return err
	}
	if err := errors.Join(s.out.Close(), s.truth.Close()); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if err := s.close(); err != nil {
		return err
	}
	s.done.Faults, s.done.Losses, s.done.Skipped = s.faults, s.losses, s.skipped
	if s.done.Packets > 0 {
		if err := s.cfg.Unfinished.publish(out, table); err != nil {
			return err
		}
		s.done.File = s.path
	}
	s.complete = true
	return nil
}

// take reads the class to its end, or until it has enough.
func (s *sampler) take(ctx context.Context, tell func(more int64)) error {
	var f parse.Frame
	var told int64
	defer func() { tell(max(s.reader.size, 0) - told) }() // what is not read is done too
	taking := false
	file, left := -1, 0
	for n := uint64(0); ; n++ {
		if n&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if n&0x3ffff == 0 {
				now := s.storedOctets()
				tell(now - told)
				told = now
			}
		}
		err := s.next(&f)
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF || left == 0 || s.file != file {
			if taking && s.cfg.Method == Reservoir {
				s.keep()
			}
			if err == io.EOF {
				return nil
			}
			left, file = s.cfg.Block, s.file
			s.done.ReadBlocks++
			switch s.cfg.Method {
			case Head:
				taking = true
			case Stride:
				taking = s.behind()
			default:
				taking = s.begin()
			}
			if taking && s.cfg.Method != Reservoir {
				s.done.Blocks++
			}
		}
		left--
		s.done.ReadPackets++
		switch {
		case !taking:
		case s.cfg.Method == Reservoir && s.filling.octets >= s.cfg.PerClass: // no more of this block can be written
		case s.cfg.Method == Reservoir:
			s.filling.append(&f, recordOctets(&f, s.container), s.attack)
		default:
			fits, err := s.write(&f, s.reader.path(), s.number(), s.attack)
			if err != nil {
				return err
			}
			if !fits {
				return nil
			}
		}
	}
}

// behind tells whether less was taken than the part of the class that was read should give.
func (s *sampler) behind() bool {
	position := s.stored + s.capture.Offset()
	hi, lo := bits.Mul64(uint64(s.cfg.PerClass), uint64(max(position, 0)))
	hi2, lo2 := bits.Mul64(uint64(max(s.reader.size, 1)), uint64(s.done.CaptureOctets-headerOctets(s.container)))
	return hi > hi2 || hi == hi2 && lo >= lo2
}

// write writes a packet, unless it would make the capture too large.
func (s *sampler) write(f *parse.Frame, source string, number uint64, attack truth.Attack) (fits bool, err error) {
	octets := recordOctets(f, s.container)
	newLink := s.container == pcapio.PcapNG && !slices.Contains(s.links, f.Link)
	if newLink {
		octets += interfaceOctets
	}
	if s.done.CaptureOctets+octets > s.cfg.PerClass {
		if s.done.Packets == 0 {
			return false, fmt.Errorf("%s: packet %d has %d octets: more than are to be taken of a class", source, number, len(f.Data))
		}
		return false, nil
	}
	if newLink {
		s.links = append(s.links, f.Link)
	}
	if err := s.out.WriteFrame(f); err != nil {
		return false, fmt.Errorf("%s: packet %d: %w", source, number, err)
	}
	s.done.CaptureOctets += octets
	s.done.Packets++
	s.done.Octets += uint64(len(f.Data))
	return true, s.truth.Add(truth.Packet{Class: s.input.Class, Attack: attack, Source: source, Number: number})
}

// begin starts the block that comes, and returns false if its key is above those that fill the reservoir.
func (s *sampler) begin() bool {
	key := scramble(s.seed ^ s.done.ReadBlocks)
	if s.size >= s.cfg.PerClass && key > s.kept[0].key {
		return false
	}
	s.filling = block{key: key, index: s.done.ReadBlocks, file: s.file, first: s.number(), data: s.filling.data[:0], heads: s.filling.heads[:0]}
	return true
}

func (b *block) append(f *parse.Frame, octets int64, attack truth.Attack) {
	b.data = append(b.data, f.Data...)
	b.heads = append(b.heads, head{f.UnixNano, f.WireLen, uint32(len(f.Data)), f.Link, attack})
	b.octets += octets
}

// keep puts a copy of the block into the reservoir, which holds the blocks with the least keys: so many that they are just enough.
func (s *sampler) keep() {
	b := s.filling
	b.data, b.heads = slices.Clone(b.data), slices.Clone(b.heads)
	s.kept = append(s.kept, b)
	s.size += b.octets
	for i := len(s.kept) - 1; i > 0 && s.kept[i].key > s.kept[(i-1)/2].key; i = (i - 1) / 2 {
		s.kept[i], s.kept[(i-1)/2] = s.kept[(i-1)/2], s.kept[i]
	}
	for s.size-s.kept[0].octets >= s.cfg.PerClass {
		s.pop()
	}
}

// pop takes out the block with the largest key.
func (s *sampler) pop() {
	last := len(s.kept) - 1
	s.size -= s.kept[0].octets
	s.kept[0] = s.kept[last]
	s.kept[last] = block{}
	s.kept = s.kept[:last]
	for i := 0; ; {
		most := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if s.kept[child].key > s.kept[most].key {
				most = child
			}
		}
		if most == i {
			return
		}
		s.kept[i], s.kept[most] = s.kept[most], s.kept[i]
		i = most
	}
}

// writeKept writes the reservoir in the order of the captures: of the block with the largest key as much as there is room for.
func (s *sampler) writeKept() error {
	if len(s.kept) == 0 {
		return nil
	}
	room := s.cfg.PerClass - headerOctets(s.container)
	if s.container == pcapio.PcapNG {
		room -= interfaceOctets * int64(s.countLinks())
	}
	for len(s.kept) > 1 && s.size-s.kept[0].octets > room {
		s.pop()
	}
	cut, room := s.kept[0].key, room-(s.size-s.kept[0].octets)
	slices.SortFunc(s.kept, func(a, b block) int { return cmp.Compare(a.index, b.index) })
	for i := range s.kept {
		b := &s.kept[i]
		data := b.data
		for j, h := range b.heads {
			f := parse.Frame{UnixNano: h.unixNano, Data: data[:h.octets], WireLen: h.wireLen, Link: h.link}
			data = data[h.octets:]
			if b.key == cut {
				if room -= recordOctets(&f, s.container); room < 0 && (j > 0 || len(s.kept) > 1) {
					break
				}
			}
			fits, err := s.write(&f, s.input.Files[b.file], b.first+uint64(j), h.attack)
			if err != nil {
				return err
			}
			if !fits {
				return fmt.Errorf("class %s: the sample is larger than counted", s.input.Class)
			}
			if j == 0 {
				s.done.Blocks++
			}
		}
	}
	s.kept = nil
	return nil
}

// countLinks returns how many link types the reservoir has.
func (s *sampler) countLinks() int {
	var links []parse.LinkType
	for _, b := range s.kept {
		for _, h := range b.heads {
			if !slices.Contains(links, h.link) {
				links = append(links, h.link)
			}
		}
	}
	return len(links)
}
