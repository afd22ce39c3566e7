package arena

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"unsafe"

	"pcaplab/parse"
)

// entry locates one frame. The order and the sizes of its fields are the format that a child process reads.
type entry struct {
	place    uint64 // bits 0-47: offset of the first octet; bits 48-63: link type
	unixNano int64
	capLen   uint32
	wireLen  uint32
}

const (
	entrySize  = 24
	headerSize = 64
	placeBits  = 48
	version    = 1
	pageSize   = 4096 // or less than it is: Touch may read a page twice
)

var magic = [8]byte{'p', 'c', 'a', 'p', 'l', 'a', 'b', version}

// ErrLimit says that frames do not fit into the memory that the builder was given.
var ErrLimit = errors.New("memory limit reached")

// Frames is a capture in memory: frames in order, outside the Go heap. It may be read by many goroutines at once.
type Frames struct {
	file       *os.File
	mapping    []byte
	entries    []entry
	octets     uint64
	wireOctets uint64
}

// Len returns the number of frames.
func (fr *Frames) Len() int { return len(fr.entries) }

// Octets returns the sum of the captured lengths.
func (fr *Frames) Octets() uint64 { return fr.octets }

// WireOctets returns the sum of the wire lengths.
func (fr *Frames) WireOctets() uint64 { return fr.wireOctets }

// MappedOctets returns the size of the mapping, index included: what it can add to the resident size of a process.
func (fr *Frames) MappedOctets() int64 { return int64(len(fr.mapping)) }

// Frame sets *f to frame i, which must be in [0, Len()). f.Data points into the arena: it is valid until Close and must
// not be written.
func (fr *Frames) Frame(i int, f *parse.Frame) {
	e := &fr.entries[i]
	off := e.place & (1<<placeBits - 1)
	end := off + uint64(e.capLen)
	f.Data = fr.mapping[off:end:end]
	f.UnixNano = e.unixNano
	f.WireLen = int(e.wireLen)
	f.Link = parse.LinkType(e.place >> placeBits)
}

// Links returns the link types in order of first appearance.
func (fr *Frames) Links() []parse.LinkType {
	var links []parse.LinkType
	seen := make(map[parse.LinkType]bool)
	for i := range fr.entries {
		if l := parse.LinkType(fr.entries[i].place >> placeBits); !seen[l] {
			seen[l] = true
			links = append(links, l)
		}
	}
	return links
}

// Touch reads one octet of each page, so that no page of the mapping is met for the first time inside a trial. It returns
// what it read, which means nothing.
//
//go:noinline
func (fr *Frames) Touch() (sum byte) { // inlined, its reads would be dropped where nobody wants the sum
	for i := 0; i < len(fr.mapping); i += pageSize {
		sum += fr.mapping[i]
	}
	return sum
}

// Period returns the time from one pass over frames [from, to) to the next, in ns: from the earliest to the latest capture
// time and a mean gap more, at most what int64 holds. It is 0 with fewer than two frames.
func (fr *Frames) Period(from, to int) int64 {
	if to-from < 2 {
		return 0
	}
	first, last := fr.entries[from].unixNano, fr.entries[from].unixNano
	for _, e := range fr.entries[from:to] {
		first, last = min(first, e.unixNano), max(last, e.unixNano)
	}
	span := min(uint64(last)-uint64(first), math.MaxInt64) // times of both signs may be further apart
	return plus(int64(span), int64(span)/int64(to-from-1))
}

// plus returns the sum of a time and one that is not negative, at most what int64 holds: one wild time of a capture must
// not turn the others round.
func plus(time, later int64) int64 {
	if sum := time + later; sum >= time {
		return sum
	}
	return math.MaxInt64
}

// File returns the file behind the mapping, to hand to a child process as an extra file, or nil where the frames are not
// backed by one. Frames still owns it.
func (fr *Frames) File() *os.File { return fr.file }

// Close releases the mapping. No frame may be used afterwards.
func (fr *Frames) Close() error {
	if fr.mapping == nil {
		return nil
	}
	err := unmap(fr.mapping)
	fr.mapping, fr.entries = nil, nil
	return errors.Join(err, fr.file.Close())
}

// Source returns a source that gives frames [from, to) and then, unless loops is 1, starts again: loops times in all,
// without end if loops is 0. With shift, each pass moves the capture times on by the span of the range plus its mean gap,
// so that time goes on (see Period), up to the latest time that int64 holds; without, they repeat. A range with no frames
// gives io.EOF at once.
func (fr *Frames) Source(from, to, loops int, shift bool) *Source {
	s := &Source{frames: fr, from: from, to: to, next: from, loops: loops}
	if shift {
		s.period = fr.Period(from, to)
	}
	return s
}

// Source walks a range of frames. It belongs to one goroutine.
type Source struct {
	frames         *Frames
	from, to, next int
	loops, done    int
	period, shift  int64
}

// Next sets *f to the next frame, or returns io.EOF after the last pass. It allocates nothing.
func (s *Source) Next(f *parse.Frame) error {
	if s.next == s.to {
		if s.to <= s.from || s.done+1 == s.loops {
			return io.EOF
		}
		s.done++
		s.next = s.from
		s.shift = plus(s.shift, s.period)
	}
	s.frames.Frame(s.next, f)
	f.UnixNano = plus(f.UnixNano, s.shift)
	s.next++
	return nil
}

// Loop returns how many passes are complete.
func (s *Source) Loop() int { return s.done }

// Position returns the number of the frame that Next gives next, if it gives one.
func (s *Source) Position() int {
	if s.next == s.to {
		return s.from
	}
	return s.next
}

// Builder collects frames into a new arena.
type Builder struct {
	data, index     *region
	octets, wire    uint64
	frames          int
	finished        bool
	limit, reserved int64
}

// NewBuilder starts an arena that holds at most limit octets, frames and index together. The limit is address space, not
// memory: pages are taken as frames come.
func NewBuilder(limit int64) (*Builder, error) {
	limit = max(limit, 1<<16)
	data, err := newRegion(limit)
	if err != nil {
		return nil, fmt.Errorf("reserve %d octets for frames: %w", limit, err)
	}
	index, err := newRegion(limit)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reserve %d octets for the index: %w", limit, err), data.close())
	}
	return &Builder{data: data, index: index, limit: limit, reserved: headerSize}, nil
}

// Append copies a frame into the arena. It returns an error that wraps ErrLimit when the frame does not fit; the frames
// before it stay.
func (b *Builder) Append(f *parse.Frame) error {
	need := int64(len(f.Data)) + entrySize
	if b.reserved+need > b.limit {
		return fmt.Errorf("frame %d: %w (%d octets)", b.frames+1, ErrLimit, b.limit)
	}
	off := headerSize + b.octets
	copy(b.data.mapping[off:], f.Data)
	e := (*entry)(unsafe.Pointer(&b.index.mapping[b.frames*entrySize]))
	*e = entry{
		place:    off | uint64(f.Link)<<placeBits,
		unixNano: f.UnixNano,
		capLen:   uint32(len(f.Data)),
		wireLen:  uint32(f.WireLen),
	}
	b.reserved += need
	b.octets += uint64(len(f.Data))
	b.wire += uint64(f.WireLen)
	b.frames++
	return nil
}

// Len returns the number of frames so far.
func (b *Builder) Len() int { return b.frames }

// Finish returns the arena and ends the builder.
func (b *Builder) Finish() (*Frames, error) {
	if b.finished {
		return nil, errors.New("arena: Finish called twice")
	}
	b.finished = true
	indexOff := (headerSize + int64(b.octets) + 7) &^ 7
	indexLen := int64(b.frames) * entrySize
	header := b.data.mapping[:headerSize]
	copy(header, magic[:])
	for i, v := range []uint64{uint64(b.frames), uint64(indexOff), b.octets, b.wire} {
		binary.NativeEndian.PutUint64(header[8+8*i:], v)
	}
	if err := b.data.resize(indexOff + indexLen); err != nil {
		return nil, errors.Join(err, b.data.close(), b.index.close())
	}
	copy(b.data.mapping[indexOff:], b.index.mapping[:indexLen])
	if err := b.index.close(); err != nil {
		return nil, errors.Join(err, b.data.close())
	}
	return view(b.data.file, b.data.mapping)
}

// Close drops what was collected. After Finish it does nothing.
func (b *Builder) Close() error {
	if b.finished {
		return nil
	}
	b.finished = true
	return errors.Join(b.data.close(), b.index.close())
}

// Attach maps an arena that another process built, from the file of its Frames. It takes over the file.
func Attach(file *os.File) (*Frames, error) {
	mapping, err := mapFile(file)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", file.Name(), err)
	}
	fr, err := view(file, mapping)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Name(), errors.Join(err, unmap(mapping)))
	}
	return fr, nil
}

func view(file *os.File, mapping []byte) (*Frames, error) {
	if len(mapping) < headerSize || [8]byte(mapping[:8]) != magic {
		return nil, errors.New("not an arena of this version")
	}
	word := func(i int) uint64 { return binary.NativeEndian.Uint64(mapping[8+8*i:]) }
	n, indexOff := word(0), word(1)
	size := uint64(len(mapping))
	if indexOff%8 != 0 || indexOff > size || n > (size-indexOff)/entrySize {
		return nil, fmt.Errorf("arena of %d octets cannot hold an index of %d frames at %d", size, n, indexOff)
	}
	fr := &Frames{file: file, mapping: mapping, octets: word(2), wireOctets: word(3)}
	if n > 0 {
		fr.entries = unsafe.Slice((*entry)(unsafe.Pointer(&mapping[indexOff])), n)
	}
	for i := range fr.entries {
		e := &fr.entries[i]
		if off := e.place & (1<<placeBits - 1); off+uint64(e.capLen) > indexOff {
			return nil, fmt.Errorf("arena frame %d at %d reaches past the frames", i, off)
		}
	}
	return fr, nil
}
