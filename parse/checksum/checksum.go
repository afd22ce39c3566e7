// Package checksum computes the Internet checksum (RFC 1071).
package checksum

import "encoding/binary"

// Add adds p to a ones' complement sum of 16-bit words, big endian, an odd last octet padded with zero. Parts may be added
// one by one where all but the last have an even length, and numbers such as the length in a pseudo-header may be added to
// the sum as they are. Up to 16 GiB cannot overflow it.
func Add(sum uint64, p []byte) uint64 {
	be := binary.BigEndian
	for len(p) >= 32 {
		q := (*[32]byte)(p)
		sum += uint64(be.Uint32(q[0:])) + uint64(be.Uint32(q[4:])) + uint64(be.Uint32(q[8:])) + uint64(be.Uint32(q[12:])) +
			uint64(be.Uint32(q[16:])) + uint64(be.Uint32(q[20:])) + uint64(be.Uint32(q[24:])) + uint64(be.Uint32(q[28:]))
		p = p[32:]
	}
	for len(p) >= 4 {
		sum += uint64(be.Uint32(p))
		p = p[4:]
	}
	if len(p) >= 2 {
		sum += uint64(be.Uint16(p))
		p = p[2:]
	}
	if len(p) == 1 {
		sum += uint64(p[0]) << 8
	}
	return sum
}

// Field ends a sum over data whose checksum field is zero: it returns what belongs there. Over data with
// its checksum it returns 0 if that is right.
func Field(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// UDPField is Field for UDP, which sends 0xffff in place of 0: that would mean that there is no checksum (RFC 768).
func UDPField(sum uint64) uint16 {
	if field := Field(sum); field != 0 {
		return field
	}
	return 0xffff
}
