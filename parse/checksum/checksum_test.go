package checksum_test

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"pcaplab/parse/checksum"
)

func TestExampleOfRFC1071(t *testing.T) {
	// Section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
	if got := checksum.Field(checksum.Add(0, []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7})); got != ^uint16(0xddf2) {
		t.Errorf("%#x, want %#x", got, ^uint16(0xddf2))
	}
}

// The IPv4 header of the article "Internet checksum" in Wikipedia.
func TestHeader(t *testing.T) {
	b, err := hex.DecodeString("45000073000040004011b861c0a80001c0a800c7")
	if err != nil {
		t.Fatal(err)
	}
	if got := checksum.Field(checksum.Add(0, b)); got != 0 {
		t.Errorf("with its checksum: %#x, want 0", got)
	}
	b[10], b[11] = 0, 0
	if got := checksum.Field(checksum.Add(0, b)); got != 0xb861 {
		t.Errorf("%#x, want 0xb861", got)
	}
}

// The sum as the RFC writes it in C: word by word, the carry folded after each.
func plain(p []byte) uint16 {
	var sum uint32
	for i := 0; i < len(p); i += 2 {
		word := uint32(p[i]) << 8
		if i+1 < len(p) {
			word |= uint32(p[i+1])
		}
		if sum += word; sum > 0xffff {
			sum -= 0xffff
		}
	}
	return ^uint16(sum)
}

func TestEqualsThePlainSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		p := make([]byte, r.IntN(200))
		for i := range p {
			p[i] = byte(r.Uint32() | -(r.Uint32() & 1)) // many octets of ones
		}
		cut := r.IntN(len(p)/2+1) * 2
		if got, want := checksum.Field(checksum.Add(checksum.Add(0, p[:cut]), p[cut:])), plain(p); got != want {
			t.Fatalf("%x in parts at %d: %#x, want %#x", p, cut, got, want)
		}
	}
	ones := make([]byte, 1<<16)
	for i := range ones {
		ones[i] = 0xff
	}
	if got := checksum.Field(checksum.Add(0, ones)); got != 0 {
		t.Errorf("64 KiB of ones: %#x, want 0", got)
	}
}

func BenchmarkAdd(b *testing.B) {
	p := make([]byte, 1500)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		checksum.Field(checksum.Add(0, p))
	}
}
