package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/checksum"
)

// MAC addresses of the two ends, locally administered.
var (
	txMAC = [6]byte{2, 0, 0, 0, 0, 1}
	rxMAC = [6]byte{2, 0, 0, 0, 0, 2}
)

const (
	mtu        = 1500
	fcsLen     = 4
	headersLen = 14 + 20 + 8
	flows      = 1024
	seed       = 1
	// Captures begin at this time, in microseconds since 1970, and those that are not bursty have a frame each 10 us.
	epoch   = 1704067200e6
	spacing = 10
	// A bursty capture has exponential gaps and one of 3 ms each 97 frames, in all 8.958 s for 100,000 frames: it is the one
	// that tcpreplay's timing was judged by before.
	burst      = 97
	burstPause = 3000
	burstTotal = 8_958_000
	burstCount = 100_000
)

// capture is a file of UDP frames, by what it holds.
type capture struct {
	size   int // octets of a frame with FCS, as in RFC 2544
	frames int
	first  int // number of the first frame in the whole
	whole  int // frames of the whole that it is a part of; 0 for a whole
	bursty bool
}

// octets returns the length of a frame in the capture.
func (c capture) octets() int { return c.size - fcsLen }

// part returns part i of n.
func (c capture) part(i, n int) capture {
	from, to := c.frames*i/n, c.frames*(i+1)/n
	return capture{size: c.size, frames: to - from, first: from, whole: c.frames, bursty: c.bursty}
}

// times returns when the frames were captured, in microseconds.
func (c capture) times() []int64 {
	whole := max(c.whole, c.frames)
	at := make([]int64, whole)
	if c.bursty {
		rng := rand.New(rand.NewPCG(seed, 0))
		sums, sum := make([]float64, whole), 0.0
		for i := range whole {
			sums[i] = sum
			sum += rng.ExpFloat64()
		}
		total := int64(burstTotal) * int64(whole) / burstCount
		pauses := int64((whole - 1) / burst)
		scale := float64(total-pauses*burstPause) / sums[whole-1]
		for i := range whole {
			at[i] = epoch + int64(i/burst)*burstPause + int64(sums[i]*scale)
		}
	} else {
		for i := range whole {
			at[i] = epoch + int64(i)*spacing
		}
	}
	return at[c.first : c.first+c.frames]
}

// noise is what payloads are cut from.
var noise = func() []byte {
	b := make([]byte, 1<<16)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}()

// frame writes frame number seq of a size into b, which holds it: one of 1024 flows in the addresses of RFC 2544, its
// number in the first four octets of the payload, right checksums.
func (c capture) frame(seq int, b []byte) []byte {
	b = b[:c.octets()]
	be, flow := binary.BigEndian, seq%flows
	copy(b, rxMAC[:])
	copy(b[6:], txMAC[:])
	be.PutUint16(b[12:], 0x0800)
	ip := b[14:]
	copy(ip, []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, byte(flow >> 8), byte(flow), 198, 19, 0, 1})
	be.PutUint16(ip[2:], uint16(len(ip)))
	be.PutUint16(ip[4:], uint16(seq))
	be.PutUint16(ip[10:], checksum.Field(checksum.Add(0, ip[:20])))
	udp := ip[20:]
	be.PutUint16(udp, uint16(1024+flow))
	be.PutUint16(udp[2:], 9) // discard
	be.PutUint16(udp[4:], uint16(len(udp)))
	be.PutUint16(udp[6:], 0)
	be.PutUint32(udp[8:], uint32(seq))
	copy(udp[12:], noise[seq*31%(len(noise)-mtu):])
	be.PutUint16(udp[6:], checksum.UDPField(checksum.Add(checksum.Add(17+uint64(len(udp)), ip[12:20]), udp)))
	return b
}

// sequence returns the number of a frame that has come whole, or at least its headers and number; -1 of another one.
func sequence(b []byte) int {
	if len(b) < headersLen+4 || [6]byte(b) != rxMAC || [6]byte(b[6:]) != txMAC {
		return -1
	}
	return int(binary.BigEndian.Uint32(b[headersLen:]))
}

// captures are the files that there are.
type captures struct {
	dir  string
	made map[capture]string
}

func newCaptures(dir string) *captures { return &captures{dir, make(map[capture]string)} }

// path returns the file of a capture that was made.
func (m *captures) path(c capture) string { return m.made[c] }

// make writes a capture, unless it is there.
func (m *captures) make(ctx context.Context, c capture) error {
	if m.made[c] != "" {
		return nil
	}
	path := filepath.Join(m.dir, fmt.Sprintf("%d.pcap", len(m.made)+1))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := pcapio.NewWriter(f, pcapio.WriterConfig{})
	if err != nil {
		return err
	}
	buf := make([]byte, mtu)
	for i, at := range c.times() {
		if i%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		data := c.frame(c.first+i, buf)
		if err := w.WriteFrame(&parse.Frame{Data: data, WireLen: len(data), UnixNano: at * 1000, Link: parse.LinkEthernet}); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m.made[c] = path
	return f.Close()
}

// drop removes the captures that none of the cases to come needs: they take memory.
func (m *captures) drop(cases []benchCase) error {
	for c, path := range m.made {
		if path == "" || slices.ContainsFunc(cases, func(k benchCase) bool { return slices.Contains(k.captures, c) }) {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		m.made[c] = ""
	}
	return nil
}
