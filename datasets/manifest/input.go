package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"sync/atomic"
)

// Sizes of what is read at once, which stays in the caches of a small board until it is walked, and how many blocks there are
// with a hash.
const (
	blockLen = 256 << 10
	blocks   = 4

	// blockRoom is before each block, at least walkMargin. The kernel copies faster to the beginning of a cache line than to an odd
	// address: a scan took less than half the time.
	blockRoom = 4096
)

// block is a part of a file. Before it is room for what was left of the block before, behind it is what walk.block wants.
type block struct {
	buf [blockRoom + blockLen + walkMargin]byte
	n   int
}

func (b *block) octets() []byte { return b.buf[blockRoom : blockRoom+b.n] }

// input reads files, one at a time, in blocks that are used again, none copied. Where a SHA-256 is wanted, it is computed on another
// goroutine: on two processors that takes as long as the slower of reading with walking, and hashing. It belongs to one goroutine.
type input struct {
	own        *block // the only one without a hash: it stays in the cache
	free, sums chan *block
	ctx        context.Context
	r          io.Reader
	done       *atomic.Int64
	sum        hash.Hash // nil where it is not wanted
	summed     chan struct{}
	err        error // what reading ended with
	at         *block
	used       int // octets of at that Read gave
	octets     int64
}

func newInput() *input { return &input{own: new(block)} }

// start begins a file. Done is told of the octets as they are read. End must be called.
func (in *input) start(ctx context.Context, r io.Reader, hashed bool, done *atomic.Int64) {
	in.ctx, in.r, in.done, in.sum = ctx, r, done, nil
	in.err, in.at, in.used, in.octets = nil, nil, 0, 0
	if hashed {
		in.sum = sha256.New()
		if in.free == nil {
			in.free = make(chan *block, blocks)
			in.free <- in.own
			for range blocks - 1 {
				in.free <- new(block)
			}
		}
		in.sums, in.summed = make(chan *block, blocks), make(chan struct{})
		go in.hash()
	}
}

func (in *input) hash() {
	defer close(in.summed)
	for b := range in.sums {
		in.sum.Write(b.octets())
		in.free <- b
	}
}

// next returns the next block, nil at the end or where reading failed. The one before is given back.
func (in *input) next() *block {
	in.release()
	if in.err == nil {
		in.err = in.ctx.Err()
	}
	if in.err != nil {
		return nil
	}
	b := in.own
	if in.sum != nil {
		b = <-in.free
	}
	b.n = 0
	for b.n == 0 && in.err == nil {
		b.n, in.err = in.r.Read(b.buf[blockRoom : blockRoom+blockLen])
	}
	if b.n == 0 {
		if in.sum != nil {
			in.free <- b
		}
		return nil
	}
	in.at, in.used = b, 0
	in.octets += int64(b.n)
	in.done.Add(int64(b.n))
	return b
}

func (in *input) release() {
	if in.at != nil && in.sum != nil {
		in.sums <- in.at
	}
	in.at = nil
}

// Read gives what the block that next returned last has, and what comes after it.
func (in *input) Read(p []byte) (int, error) {
	if (in.at == nil || in.used == in.at.n) && in.next() == nil {
		return 0, in.err
	}
	n := copy(p, in.at.octets()[in.used:])
	in.used += n
	return n, nil
}

// end ends a file, where a hash is wanted by reading what is left of it. It returns the SHA-256 of all octets, "" where it was not
// wanted, and what reading failed with, if it did.
func (in *input) end() (digest string, err error) {
	in.release()
	if in.sum != nil {
		for in.next() != nil {
		}
		close(in.sums)
		<-in.summed
	}
	if err = in.err; err == io.EOF {
		err = nil
	}
	if in.sum != nil && err == nil {
		digest = hex.EncodeToString(in.sum.Sum(nil))
	}
	return digest, err
}
