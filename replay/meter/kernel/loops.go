package kernel

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"syscall"
	"time"
	"unsafe"
)

// line is the unit of memory that the kernels count in octets: the cache line of all machines of interest.
const line = 64

// Least operations of a round: enough that a clock that ticks every 52 ns, as a Raspberry Pi 3's, does not matter.
const (
	leastLoads = 1 << 17
	leastLines = 1 << 16
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// Kernels returns all kernels in the order in which Run runs them.
func Kernels() []Kernel {
	var list []Kernel
	sized := func(kind, doc string, least int64, prepare func(*Kernel, []byte) func() uint64, sizes ...int64) {
		for _, octets := range sizes {
			name := fmt.Sprintf("%s-%dKiB", kind, octets/kib)
			if octets >= mib {
				name = fmt.Sprintf("%s-%dMiB", kind, octets/mib)
			}
			list = append(list, Kernel{Kind: kind, Name: name, Doc: doc, Octets: octets, Ops: max(least, octets/line), prepare: prepare})
		}
	}
	one := func(kind, doc string, octets, ops int64, prepare func(*Kernel, []byte) func() uint64) {
		list = append(list, Kernel{Kind: kind, Name: kind, Doc: doc, Octets: octets, Ops: ops, prepare: prepare})
	}
	sized("chase", "a load whose address is what the load before it read", leastLoads, chase, chaseSizes...)
	sized("random", "a load from a pseudo-random line, independent of other loads", leastLoads, random, 16*kib, 256*kib, 2*mib, 8*mib, 64*mib)
	sized("read", "reading 64 octets, in order", leastLines, read, 16*kib, 256*kib, 2*mib, 8*mib, 64*mib)
	sized("copy", "copying 64 octets, in order, from one half of the memory to the other", leastLines, copying, 16*kib, 256*kib, 2*mib, 8*mib, 64*mib)
	one("branch-sorted", "a two-way branch that nearly always goes the way it went before", outcomes, outcomes, branchSorted)
	one("branch-random", "the same branch, going either way at random", outcomes, outcomes, branchRandom)
	one("call-sorted", "an indirect call that nearly always goes where it went before", outcomes, outcomes, callSorted)
	one("call-random", "the same call, to one of four functions at random", outcomes, outcomes, callRandom)
	one("add", "a 32-bit addition or exclusive or that needs the one before", 0, 1<<20, add)
	one("multiply", "a 32-bit multiplication that needs the one before", 0, 1<<18, multiply)
	one("divide", "a 32-bit division, with an and, an or and an addition, that needs the one before", 0, 1<<16, divide)
	one("fields", "taking nine big-endian fields out of the headers of a packet in the first-level cache", slots*line, 1<<16, fields)
	one("alloc", "an allocation of 64 octets with a pointer, the collector running as it does", 0, 1<<17, alloc)
	one("syscall", "a system call that does nothing (getppid)", 0, 1<<14, systemCall)
	one("clock", "reading the monotonic clock", 0, 1<<15, clock)
	for i := range list {
		list[i].Checksum = checksums[list[i].Name]
	}
	return list
}

var chaseSizes = []int64{
	4 * kib, 8 * kib, 16 * kib, 32 * kib, 64 * kib, 128 * kib, 256 * kib, 512 * kib,
	1 * mib, 2 * mib, 4 * mib, 8 * mib, 16 * mib, 32 * mib, 64 * mib,
}

// generator is PCG XSH-RS 64/32 (M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
// Algorithms for Random Number Generation", 2014).
type generator uint64

func (g *generator) next() uint32 {
	x := uint64(*g)
	*g = generator(x*6364136223846793005 + 1442695040888963407)
	return uint32((x ^ x>>22) >> (22 + x>>61))
}

// below returns a number from 0 to n-1, n above 0.
func (g *generator) below(n uint32) uint32 { return uint32(uint64(g.next()) * uint64(n) >> 32) }

func words32(memory []byte) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/4)
}

func words64(memory []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(memory))), len(memory)/8)
}

// perLine is how many 32-bit words a line has.
const perLine = line / 4

// cycle makes the first word of every line the index of another line's first word, so that following them visits every
// line once and comes back: a random cyclic permutation (S. Sattolo, "An algorithm to generate a random cyclic
// permutation", 1986).
func cycle(words []uint32) {
	g := generator(1)
	n := uint32(len(words) / perLine)
	for i := range n {
		words[i*perLine] = i * perLine
	}
	for i := n - 1; i > 0; i-- {
		j := g.below(i)
		words[i*perLine], words[j*perLine] = words[j*perLine], words[i*perLine]
	}
}

func chase(k *Kernel, memory []byte) func() uint64 {
	words := words32(memory)
	cycle(words)
	steps := int(k.Ops)
	return func() uint64 {
		i, sum := uint32(0), uint32(1)
		for n := 0; n < steps; n += 8 {
			i = words[i]
			i = words[i]
			i = words[i]
			i = words[i]
			i = words[i]
			i = words[i]
			i = words[i]
			i = words[i]
			sum = (sum ^ i/perLine) * 16777619
		}
		return uint64(i)<<32 | uint64(sum)
	}
}

func random(k *Kernel, memory []byte) func() uint64 {
	words := words32(memory)
	g := generator(2)
	for i := 0; i < len(words); i += perLine {
		words[i] = g.next()
	}
	loads := uint32(k.Ops)
	mask := uint32(len(words)/perLine - 1)
	return func() uint64 {
		var sum uint32
		for n := range loads {
			// Murmur3's finalizer (A. Appleby): addresses that no prefetcher foretells and no load waits for.
			h := n
			h = (h ^ h>>16) * 0x85ebca6b
			h = (h ^ h>>13) * 0xc2b2ae35
			h ^= h >> 16
			sum += words[h&mask*perLine]
		}
		return uint64(sum)
	}
}

// fill sets all words from a seed.
func fill(words []uint64, seed generator) {
	for i := range words {
		words[i] = uint64(seed.next())<<32 | uint64(seed.next())
	}
}

func read(k *Kernel, memory []byte) func() uint64 {
	words := words64(memory)
	fill(words, 3)
	laps := int(k.Ops) * line / len(memory)
	return func() uint64 {
		var a, b uint64
		for range laps {
			for w := words; len(w) >= 8; w = w[8:] {
				a += w[0]
				b += w[1]
				a += w[2]
				b += w[3]
				a += w[4]
				b += w[5]
				a += w[6]
				b += w[7]
			}
		}
		return a ^ bits.RotateLeft64(b, 32)
	}
}

func copying(k *Kernel, memory []byte) func() uint64 {
	words := words64(memory)
	half := len(words) / 2
	from, to := words[:half], words[half:]
	fill(from, 4)
	clear(to)
	laps := int(k.Ops) * line / len(memory) * 2
	return func() uint64 {
		for range laps {
			copy(to, from)
		}
		// A few words of each copy: reading all would double the work.
		var sum uint64
		for i := 0; i < half; i += half / 16 {
			sum = bits.RotateLeft64(sum, 5) ^ to[i]
		}
		return sum
	}
}

// outcomes is how many branches or calls a round makes: too many for a predictor to learn the order of.
const outcomes = 1 << 17

// toss fills memory with random octets.
func toss(memory []byte) {
	g := generator(5)
	for i := range memory {
		memory[i] = byte(g.next() >> 24)
	}
}

func branchRandom(_ *Kernel, memory []byte) func() uint64 {
	toss(memory)
	return branch(memory)
}

func branchSorted(_ *Kernel, memory []byte) func() uint64 {
	toss(memory)
	slices.SortStableFunc(memory, func(a, b byte) int { return int(a>>7) - int(b>>7) })
	return branch(memory)
}

// branch goes by the highest bit. The stores keep the compiler from replacing the branch by a conditional move.
//
//go:noinline
func branch(memory []byte) func() uint64 {
	var low, high [16]uint32
	return func() uint64 {
		clear(low[:])
		clear(high[:])
		for _, b := range memory {
			if b < 128 {
				low[b&15] += uint32(b)
			} else {
				high[b&15] ^= uint32(b) << (b >> 4 & 7)
			}
		}
		sum := uint64(1)
		for i := range low {
			sum = (sum*1099511628211 ^ uint64(low[i])) + uint64(high[i])<<32
		}
		return sum
	}
}

func callRandom(_ *Kernel, memory []byte) func() uint64 {
	toss(memory)
	return call(memory)
}

func callSorted(_ *Kernel, memory []byte) func() uint64 {
	toss(memory)
	slices.SortStableFunc(memory, func(a, b byte) int { return int(a&3) - int(b&3) })
	return call(memory)
}

// callee is called through an interface, as decoders of layers are.
type callee interface{ apply(x uint32) uint32 }

type (
	calleeA uint32
	calleeB uint32
	calleeC uint32
	calleeD uint32
)

//go:noinline
func (c calleeA) apply(x uint32) uint32 { return x + uint32(c) }

//go:noinline
func (c calleeB) apply(x uint32) uint32 { return x ^ uint32(c) }

//go:noinline
func (c calleeC) apply(x uint32) uint32 { return x << 3 }

//go:noinline
func (c calleeD) apply(x uint32) uint32 { return x | uint32(c) }

//go:noinline
func call(memory []byte) func() uint64 {
	callees := [4]callee{calleeA(1), calleeB(0x55), calleeC(3), calleeD(0x100)}
	return func() uint64 {
		var sum uint32
		for _, b := range memory {
			sum += callees[b&3].apply(uint32(b))
		}
		return uint64(sum)
	}
}

// add takes turns with exclusive or: additions alone, the compiler would join two by two.
func add(k *Kernel, _ []byte) func() uint64 {
	steps := int(k.Ops)
	return func() uint64 {
		a, b := uint32(1), uint32(0x9e3779b9)
		for n := 0; n < steps; n += 8 {
			a += b
			b ^= a
			a += b
			b ^= a
			a += b
			b ^= a
			a += b
			b ^= a
		}
		return uint64(a)<<32 | uint64(b)
	}
}

func multiply(k *Kernel, _ []byte) func() uint64 {
	steps := int(k.Ops)
	return func() uint64 {
		a, b := uint32(0x85ebca6b), uint32(0x9e3779b9) // odd, and so are all products
		for n := 0; n < steps; n += 8 {
			a *= b
			b *= a
			a *= b
			b *= a
			a *= b
			b *= a
			a *= b
			b *= a
		}
		return uint64(a)<<32 | uint64(b)
	}
}

func divide(k *Kernel, _ []byte) func() uint64 {
	steps := uint32(k.Ops)
	return func() uint64 {
		x := uint32(0x9e3779b9)
		for n := range steps {
			x = 0xfffffffb/(x&0xffff|1) + n
		}
		return uint64(x)
	}
}

// slots is how many headers the kernel "fields" goes through in turn: 8 KiB, within every first-level cache.
const slots = 128

// fields takes apart Ethernet, IPv4 with options of 0 to 12 octets, and ports. The offset of the ports depends on the data;
// nothing branches on them.
func fields(k *Kernel, memory []byte) func() uint64 {
	g := generator(6)
	for i := range memory {
		memory[i] = byte(g.next() >> 24)
	}
	for i := 0; i < len(memory); i += line {
		memory[i+14] = 0x45 + memory[i+14]&3
	}
	laps := int(k.Ops) / slots
	return func() uint64 {
		var sum uint32
		for range laps {
			for rest := memory; len(rest) >= line; rest = rest[line:] {
				f := rest[:line]
				network := f[14:]
				transport := network[int(network[0]&15)*4:]
				sum = bits.RotateLeft32(sum, 1) + (uint32(binary.BigEndian.Uint16(f[12:]))<<16 | uint32(binary.BigEndian.Uint16(network[2:])))
				sum ^= binary.BigEndian.Uint32(network[12:]) + binary.BigEndian.Uint32(network[16:])
				sum += uint32(network[8])<<8 | uint32(network[9])
				sum ^= uint32(binary.BigEndian.Uint16(transport))<<16 | uint32(binary.BigEndian.Uint16(transport[2:]))
			}
		}
		return uint64(sum)
	}
}

// object is 64 octets, one pointer among them, at any size of a pointer.
type object struct {
	next *object
	data [64 - unsafe.Sizeof(uintptr(0))]byte
}

// live is how many objects live at a time.
const live = 512

func alloc(k *Kernel, _ []byte) func() uint64 {
	ring := make([]*object, live)
	end := &object{}
	steps := int(k.Ops)
	return func() uint64 {
		for n := range steps {
			o := &object{next: end}
			o.data[0] = byte(n)
			ring[n%live] = o
		}
		sum := uint64(0)
		for _, o := range ring {
			sum = sum*31 + uint64(o.data[0])
		}
		return sum
	}
}

func systemCall(k *Kernel, _ []byte) func() uint64 {
	calls := int(k.Ops)
	return func() uint64 {
		made := uint64(0)
		for range calls {
			if syscall.Getppid() >= 0 {
				made++
			}
		}
		return made
	}
}

func clock(k *Kernel, _ []byte) func() uint64 {
	readings := int(k.Ops)
	return func() uint64 {
		begin := time.Now()
		last, forward := time.Duration(0), uint64(0)
		for range readings {
			if now := time.Since(begin); now >= last {
				forward++
				last = now
			}
		}
		return forward
	}
}
