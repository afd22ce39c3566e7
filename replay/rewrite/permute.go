package rewrite

// cipher permutes numbers under a seed: a Feistel network of four rounds over a mixer of 64 bits. Different numbers become
// different numbers. It hides nothing from who wants to know: it is no anonymization.
type cipher struct{ keys [4]uint64 }

// newCipher makes the cipher of a seed for one use of it: addresses, hardware addresses and so on differ.
func newCipher(seed, use uint64) *cipher {
	c := new(cipher)
	for i := range c.keys {
		c.keys[i] = mix(mix(seed)+use<<8+uint64(i)) | 1
	}
	return c
}

// mix is a bijection of 64 bits that spreads each bit over all (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// permute returns where v stands among the numbers of twice half bits, half at most 32.
func (c *cipher) permute(v uint64, half uint) uint64 {
	l, r := v>>half, v&(1<<half-1)
	for _, k := range c.keys {
		l, r = r, l^mix(r^k)>>(64-half)
	}
	return l<<half | r
}

// wide permutes 128 bits.
func (c *cipher) wide(l, r uint64) (uint64, uint64) {
	for _, k := range c.keys {
		l, r = r, l^mix(r^k)
	}
	return l, r
}

// ipv4 permutes unicast addresses, and multicast ones, each among themselves. This network (0/8), loopback, reserved and
// broadcast addresses stay.
func (c *cipher) ipv4(v uint32) uint32 {
	switch {
	case v>>28 == 0xe:
		return 0xe<<28 | uint32(c.permute(uint64(v&(1<<28-1)), 14))
	case !unicast4(v):
		return v
	}
	for {
		if v = uint32(c.permute(uint64(v), 16)); unicast4(v) {
			return v
		}
	}
}

func unicast4(v uint32) bool { return v>>29 != 7 && v>>24 != 0 && v>>24 != 127 }

// ipv6 permutes addresses, read as two numbers. Link-local and multicast ones keep their first 64 bits; ::/8 (unspecified,
// loopback, IPv4-mapped, NAT64) stays.
func (c *cipher) ipv6(hi, lo uint64) (uint64, uint64) {
	switch {
	case hi>>56 == 0:
		return hi, lo
	case !routable6(hi):
		return hi, c.permute(lo, 32)
	}
	for {
		if hi, lo = c.wide(hi, lo); routable6(hi) {
			return hi, lo
		}
	}
}

func routable6(hi uint64) bool { return hi>>56 != 0 && hi>>56 != 0xff && hi>>54 != 0xfe80>>6 }

// mac permutes the 48 bits of a hardware address behind its first keep octets; the two bits that make an address
// multicast and local stay.
func (c *cipher) mac(v uint64, keep int) uint64 {
	const flags = 3 << 40
	if keep > 0 {
		half := uint(24 - 4*keep)
		low := uint64(1)<<(2*half) - 1
		return v&^low | c.permute(v&low, half)
	}
	p := c.permute(v>>42<<40|v&(1<<40-1), 23)
	return p>>40<<42 | v&flags | p&(1<<40-1)
}
