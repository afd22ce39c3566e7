package parse_test

import (
	"encoding/binary"
	"math/bits"
	"testing"

	"pcaplab/parse"
)

func ipv4Tuple(src, dst uint32, srcPort, dstPort uint16) parse.FiveTuple {
	t := parse.FiveTuple{SrcPort: srcPort, DstPort: dstPort, Proto: 6}
	t.SrcIP[10], t.SrcIP[11], t.DstIP[10], t.DstIP[11] = 0xff, 0xff, 0xff, 0xff
	binary.BigEndian.PutUint32(t.SrcIP[12:], src)
	binary.BigEndian.PutUint32(t.DstIP[12:], dst)
	return t
}

func TestTuple(t *testing.T) {
	a := ipv4Tuple(0xc0000201, 0xc6336402, 40000, 1883)
	if a.Src().String() != "192.0.2.1:40000" || a.Dst().String() != "198.51.100.2:1883" {
		t.Errorf("%v > %v", a.Src(), a.Dst())
	}
	r := a.Reverse()
	if r.Src() != a.Dst() || r.Dst() != a.Src() || r.Proto != a.Proto || r.Reverse() != a {
		t.Errorf("reverse of %v is %v", a, r)
	}
}

// TestTupleHashDirections holds what the two hashes promise, over every field.
func TestTupleHashDirections(t *testing.T) {
	base := ipv4Tuple(0x0a000001, 0x0a000002, 1000, 2000)
	for _, tc := range []struct {
		name   string
		change func(*parse.FiveTuple)
	}{
		{"source address", func(t *parse.FiveTuple) { t.SrcIP[15]++ }},
		{"source prefix", func(t *parse.FiveTuple) { t.SrcIP[0]++ }},
		{"destination address", func(t *parse.FiveTuple) { t.DstIP[15] += 9 }},
		{"destination prefix", func(t *parse.FiveTuple) { t.DstIP[0]++ }},
		{"source port", func(t *parse.FiveTuple) { t.SrcPort++ }},
		{"destination port", func(t *parse.FiveTuple) { t.DstPort++ }},
		{"protocol", func(t *parse.FiveTuple) { t.Proto++ }},
		{"ports crossed", func(t *parse.FiveTuple) { t.SrcPort, t.DstPort = t.DstPort, t.SrcPort }},
	} {
		other := base
		tc.change(&other)
		if base.Hash(1) == other.Hash(1) || base.SymmetricHash(1) == other.SymmetricHash(1) {
			t.Errorf("%s does not change the hash", tc.name)
		}
		reverse := other.Reverse()
		if other.SymmetricHash(1) != reverse.SymmetricHash(1) {
			t.Errorf("%s: the directions differ in the symmetric hash", tc.name)
		}
		if other.Hash(1) == reverse.Hash(1) {
			t.Errorf("%s: the directions agree in the plain hash", tc.name)
		}
		if other.Hash(1) == other.Hash(2) || other.SymmetricHash(1) == other.SymmetricHash(2) {
			t.Errorf("%s: the seed does not matter", tc.name)
		}
	}
}

// TestTupleHashSpread hashes tuples as captures have them, one field counting up, and holds each of the top and
// bottom octets of the hash to an even spread: a chi-squared of 255 degrees of freedom is above 400 once in 10^8
// times. The inputs are fixed, so the test is too.
func TestTupleHashSpread(t *testing.T) {
	const n = 1 << 16
	for _, tc := range []struct {
		name  string
		tuple func(i uint32) parse.FiveTuple
	}{
		{"source ports", func(i uint32) parse.FiveTuple { return ipv4Tuple(0x0a000001, 0x0a000002, uint16(i), 80) }},
		{"destination ports", func(i uint32) parse.FiveTuple { return ipv4Tuple(0x0a000001, 0x0a000002, 4000, uint16(i)) }},
		{"source addresses", func(i uint32) parse.FiveTuple { return ipv4Tuple(0x0a000000+i, 0x0b000002, 4000, 80) }},
		{"pairs", func(i uint32) parse.FiveTuple { return ipv4Tuple(0x0a000000+i>>8, 0x0a000000+i&0xff, 123, 123) }},
		{"IPv6 interface identifiers", func(i uint32) parse.FiveTuple {
			var t parse.FiveTuple
			binary.BigEndian.PutUint64(t.SrcIP[8:], uint64(i))
			binary.BigEndian.PutUint64(t.DstIP[8:], 1)
			return t
		}},
	} {
		for _, h := range []struct {
			name string
			hash func(*parse.FiveTuple, uint64) uint64
		}{{"hash", (*parse.FiveTuple).Hash}, {"symmetric", (*parse.FiveTuple).SymmetricHash}} {
			var top, bottom [256]int
			for i := range uint32(n) {
				tuple := tc.tuple(i)
				v := h.hash(&tuple, 42)
				top[v>>56]++
				bottom[v&0xff]++
			}
			for name, counts := range map[string]*[256]int{"top": &top, "bottom": &bottom} {
				chi := 0.0
				for _, c := range counts {
					d := float64(c) - n/256
					chi += d * d / (n / 256)
				}
				limit := 400.0
				if tc.name == "pairs" && h.name == "symmetric" {
					limit = 800 // half of the pairs are the reverse of another: the variance doubles
				}
				if chi > limit {
					t.Errorf("%s, %s, %s octet: chi-squared %.0f", tc.name, h.name, name, chi)
				}
			}
		}
	}
}

// TestTupleHashAvalanche flips each input bit: on average half of the output bits must flip.
func TestTupleHashAvalanche(t *testing.T) {
	base := ipv4Tuple(0x0a000001, 0xc6336402, 1000, 2000)
	for bit := range 128 {
		sum := 0
		for seed := range uint64(64) {
			other := base
			other.SrcIP[bit/8] ^= 1 << (bit % 8)
			sum += bits.OnesCount64(base.SymmetricHash(seed) ^ other.SymmetricHash(seed))
		}
		if mean := float64(sum) / 64; mean < 26 || mean > 38 {
			t.Errorf("source address bit %d flips %.1f of 64 bits on average", bit, mean)
		}
	}
}

// TestTupleHashPinned pins the values, computed apart in arbitrary-precision integers: workers on all machines split
// a capture alike.
func TestTupleHashPinned(t *testing.T) {
	a := ipv4Tuple(0xc0000201, 0xc6336402, 40000, 1883)
	if h, s := a.Hash(1), a.SymmetricHash(1); h != pinnedHash || s != pinnedSymmetric {
		t.Errorf("hash %#x, symmetric %#x", h, s)
	}
}

const (
	pinnedHash      = 0x525371c1c9135494
	pinnedSymmetric = 0xf121762ce35c3cc2
)
