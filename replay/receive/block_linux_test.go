package receive

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"pcaplab/parse"
)

// FuzzBlock: whatever is in a block, frames are within it, and reading ends.
func FuzzBlock(f *testing.F) {
	block := make([]byte, 256)
	binary.NativeEndian.PutUint32(block[framesAt:], 1)
	binary.NativeEndian.PutUint32(block[firstAt:], blockOctets)
	h := block[blockOctets:]
	binary.NativeEndian.PutUint32(h[12:], 60) // snaplen
	binary.NativeEndian.PutUint32(h[16:], 60)
	binary.NativeEndian.PutUint32(h[20:], unix.TP_STATUS_USER|unix.TP_STATUS_VLAN_VALID|unix.TP_STATUS_VLAN_TPID_VALID)
	binary.NativeEndian.PutUint16(h[24:], 82) // mac
	f.Add(block)
	f.Fuzz(func(t *testing.T, data []byte) {
		block := make([]byte, max(len(data), blockOctets+headerOctets)) // aligned
		copy(block, data)
		r := Receiver{block: block, link: parse.LinkEthernet}
		var err error
		if r.left, r.next, err = blockHeader(block); err != nil {
			return
		}
		for n := 0; r.left > 0 && n < len(block); n++ {
			var f parse.Frame
			if _, err := r.take(&f); err != nil {
				return
			}
			if cap(f.Data) != len(f.Data) || len(f.Data) > len(block) {
				t.Fatalf("frame of %d octets in a block of %d", len(f.Data), len(block))
			}
		}
	})
}
