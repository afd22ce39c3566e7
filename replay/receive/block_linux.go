package receive

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Layout of a block (struct tpacket_block_desc) and of what is before a frame in it (struct tpacket3_hdr, then struct
// sockaddr_ll), the same on every architecture.
const (
	statusAt     = 8
	framesAt     = 12
	firstAt      = 16
	blockOctets  = 48
	frameOctets  = unix.SizeofTpacket3Hdr
	packetTypeAt = frameOctets + 10
	headerOctets = frameOctets + unix.SizeofSockaddrLinklayer
)

var errBlock = errors.New("a block of the ring contradicts itself: this kernel fills it in an unknown way")

func statusOf(block []byte) *uint32 { return (*uint32)(unsafe.Pointer(&block[statusAt])) }

// blockHeader returns how many frames a block has, and where the first is.
func blockHeader(block []byte) (frames, first uint32, err error) {
	if len(block) < blockOctets {
		return 0, 0, errBlock
	}
	return binary.NativeEndian.Uint32(block[framesAt:]), binary.NativeEndian.Uint32(block[firstAt:]), nil
}

// frameHeader returns the header of the frame at an offset. The captured octets are in the block.
func frameHeader(block []byte, at uint32) (*unix.Tpacket3Hdr, error) {
	if uint64(at)+headerOctets > uint64(len(block)) || at%4 != 0 {
		return nil, errBlock
	}
	h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
	if uint64(h.Mac) < headerOctets || uint64(at)+uint64(h.Mac)+uint64(h.Snaplen) > uint64(len(block)) {
		return nil, errBlock
	}
	return h, nil
}
