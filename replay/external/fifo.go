package external

import (
	"encoding/binary"
	"fmt"
	"math"

	"pcaplab/parse"
)

// fifo holds pcap records that are not yet in the pipe. It grows to what it has to hold.
type fifo struct {
	buf     []byte // its length is a power of two
	at, n   int    // where in buf its octets begin, and how many there are
	stream  uint64 // octets of records ever put in
	link    parse.LinkType
	snaplen int
}

const (
	recordHeader = 16
	maxSnaplen   = 262144
)

// append puts in the record of a frame: seconds, microseconds, captured and wire length, octets.
func (q *fifo) append(f *parse.Frame) error {
	sec := f.UnixNano / 1e9
	switch {
	case f.Link != q.link:
		return fmt.Errorf("a frame of link type %d in a stream of link type %d", f.Link, q.link)
	case f.UnixNano < 0 || sec > math.MaxUint32:
		return fmt.Errorf("a frame at %d ns since 1970: pcap holds times from 1970 to 2106", f.UnixNano)
	case f.WireLen < 0 || int64(f.WireLen) > math.MaxInt32:
		return fmt.Errorf("a frame of wire length %d", f.WireLen)
	}
	data := f.Data[:min(len(f.Data), q.snaplen)]
	var header [recordHeader]byte
	binary.LittleEndian.PutUint32(header[0:], uint32(sec))
	binary.LittleEndian.PutUint32(header[4:], uint32(f.UnixNano%1e9/1e3))
	binary.LittleEndian.PutUint32(header[8:], uint32(len(data)))
	binary.LittleEndian.PutUint32(header[12:], uint32(f.WireLen))
	if need := q.n + recordHeader + len(data); need > len(q.buf) {
		q.grow(need)
	}
	q.put(header[:])
	q.put(data)
	return nil
}

func (q *fifo) put(b []byte) {
	n := copy(q.buf[(q.at+q.n)&(len(q.buf)-1):], b)
	copy(q.buf, b[n:])
	q.n += len(b)
	q.stream += uint64(len(b))
}

func (q *fifo) grow(need int) {
	size := max(2*len(q.buf), 256<<10)
	for size < need {
		size *= 2
	}
	buf := make([]byte, size)
	first, second := q.spans()
	copy(buf[copy(buf, first):], second)
	q.buf, q.at = buf, 0
}

// spans returns what is in the fifo, in two pieces of which the second may be empty.
func (q *fifo) spans() (first, second []byte) {
	if end := q.at + q.n; end > len(q.buf) {
		return q.buf[q.at:], q.buf[:end-len(q.buf)]
	}
	return q.buf[q.at : q.at+q.n], nil
}

// drop takes n octets out.
func (q *fifo) drop(n int) {
	q.n -= n
	q.at = (q.at + n) & (len(q.buf) - 1)
	if q.n == 0 {
		q.at = 0 // the next frames find the same octets in the cache
	}
}

// admitted is a frame that was put into the queue.
type admitted struct {
	end    uint64 // of its record in the stream
	wire   uint32
	charge uint32
}

// backlog are the admitted frames that are not known to be taken.
type backlog struct {
	ring       []admitted // its length is a power of two
	head, tail uint64     // frames taken and admitted
	charge     int64      // of those in it
	octets     uint64     // wire octets of all taken
	stream     uint64     // end in the stream of the last taken
}

func (b *backlog) push(a admitted) {
	if b.tail-b.head == uint64(len(b.ring)) {
		ring := make([]admitted, max(2*len(b.ring), 4096))
		for i := b.head; i < b.tail; i++ {
			ring[i&uint64(len(ring)-1)] = b.ring[i&uint64(len(b.ring)-1)]
		}
		b.ring = ring
	}
	b.ring[b.tail&uint64(len(b.ring)-1)] = a
	b.tail++
	b.charge += int64(a.charge)
}

func (b *backlog) pop() {
	a := &b.ring[b.head&uint64(len(b.ring)-1)]
	b.charge -= int64(a.charge)
	b.octets += uint64(a.wire)
	b.stream = a.end
	b.head++
}

// takenTo pops the frames up to the nth.
func (b *backlog) takenTo(n uint64) {
	for n = min(n, b.tail); b.head < n; {
		b.pop()
	}
}

// readTo pops the frames whose records end at or before an octet of the stream.
func (b *backlog) readTo(octet uint64) {
	for b.head < b.tail && b.ring[b.head&uint64(len(b.ring)-1)].end <= octet {
		b.pop()
	}
}
