package parse

import (
	"encoding/binary"
	"math/bits"
)

// Odd constants without structure (fractional digits of the square roots of primes).
const (
	mulPort  = 0x9e3779b97f4a7c15
	mixHigh  = 0xbb67ae8584caa73b
	mixLow   = 0x3c6ef372fe94f82b
	mixFinal = 0xa54ff53a5f1d36f1
)

// Hash returns a hash of the tuple. Tuples of the two directions of a flow hash apart. It is not cryptographic: seed it
// from a random source where senders may be hostile. The same tuple and seed give the same value on every machine.
func (t *FiveTuple) Hash(seed uint64) uint64 {
	src := foldEndpoint(&t.SrcIP, t.SrcPort, seed)
	dst := foldEndpoint(&t.DstIP, t.DstPort, seed)
	return fold(src^uint64(t.Proto)*mulPort, dst^mixFinal)
}

// SymmetricHash returns a hash that is the same for both directions of a flow, so that both reach the same worker. The
// fragments after the first have no ports: they share a hash with each other, not with the first one.
func (t *FiveTuple) SymmetricHash(seed uint64) uint64 {
	src := foldEndpoint(&t.SrcIP, t.SrcPort, seed)
	dst := foldEndpoint(&t.DstIP, t.DstPort, seed)
	return fold(src+dst+uint64(t.Proto)*mulPort, (src^dst)+mixFinal)
}

// Reverse returns the tuple of the other direction.
func (t FiveTuple) Reverse() FiveTuple {
	return FiveTuple{SrcIP: t.DstIP, DstIP: t.SrcIP, SrcPort: t.DstPort, DstPort: t.SrcPort, Proto: t.Proto}
}

func foldEndpoint(ip *[16]byte, port uint16, seed uint64) uint64 {
	high := binary.LittleEndian.Uint64(ip[:8])
	low := binary.LittleEndian.Uint64(ip[8:])
	return fold(high^seed^mixHigh, low+uint64(port)*mulPort+mixLow)
}

// fold multiplies to 128 bits and folds the halves, so that every bit of the product counts.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}
