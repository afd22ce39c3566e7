// Package receive takes frames from an interface, as a sniffer does: a packet socket with a ring (AF_PACKET, TPACKET_V3) that
// the kernel fills and this package reads in place. Without cgo, and for Linux; elsewhere [Open] returns [ErrNotSupported].
//
// The ring is cut into blocks. The kernel hands a block over when it is full, or after Config.Timeout; a frame that finds no
// block free is dropped and counted.
package receive

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

var (
	// ErrNotSupported says that this system has no packet sockets.
	ErrNotSupported = errors.New("receiving from an interface is for Linux only")
	// ErrNotPermitted says that the process may not open packet sockets.
	ErrNotPermitted = errors.New("not permitted: needs CAP_NET_RAW; run as root, or give it to the program with 'setcap cap_net_raw+ep FILE'")
	// ErrTimeout says that Config.Wait passed without a frame. The next Next waits again.
	ErrTimeout = errors.New("no frame came in time")
	// ErrDown says that the interface is down, or went down.
	ErrDown = errors.New("the interface is down")
)

// Config says where and how to receive. The zero value of all but Interface is its default.
type Config struct {
	Interface string `json:"interface"` // of the calling thread's network namespace
	// BlockOctets is the size of a block of the ring, a multiple of the page size; 0 is 128 KiB. Frames that are longer are cut
	// to what a block holds.
	BlockOctets int `json:"block_octets"`
	Blocks      int `json:"blocks"` // of the ring; 0 is 16: with blocks of 128 KiB 2 MiB, as libpcap's
	// Timeout is after how long the kernel hands over a block that is not full, in whole milliseconds; 0 is 10 ms. Kernels may
	// take a timer tick (4 ms at 250 Hz) or two more.
	Timeout time.Duration `json:"timeout_ns"`
	Wait    time.Duration `json:"wait_ns"` // how long Next waits for a frame; 0: without end
	// Snaplen is how many octets of a frame are captured; 0: all that a block holds.
	Snaplen     int  `json:"snaplen"`
	Promiscuous bool `json:"promiscuous"` // also frames that are addressed to others
}

// Defaults of Config.
const (
	defaultBlock   = 128 << 10
	defaultBlocks  = 16
	defaultTimeout = 10 * time.Millisecond
)

// Filled returns c with defaults in place of zeros. The error joins all faults.
func (c Config) Filled() (Config, error) {
	if c.BlockOctets == 0 {
		c.BlockOctets = defaultBlock
	}
	if c.Blocks == 0 {
		c.Blocks = defaultBlocks
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Interface == "" {
		add("no interface is named")
	}
	if page := os.Getpagesize(); c.BlockOctets < 0 || c.BlockOctets%page != 0 || c.BlockOctets > math.MaxInt32 {
		add("blocks of %d octets: want a multiple of the page size, %d", c.BlockOctets, page)
	}
	if c.Blocks < 0 || int64(c.Blocks)*int64(max(0, c.BlockOctets)) > math.MaxInt32 {
		add("%d blocks of %d octets: want a ring below 2 GiB", c.Blocks, c.BlockOctets)
	}
	if c.Timeout < 0 || c.Timeout%time.Millisecond != 0 || c.Timeout > time.Minute {
		add("timeout of %v: want whole milliseconds, up to a minute", c.Timeout)
	}
	if c.Wait < 0 {
		add("wait of %v: want 0 or more", c.Wait)
	}
	if c.Snaplen < 0 {
		add("snaplen of %d octets: want 0 or more", c.Snaplen)
	}
	return c, errors.Join(errs...)
}

// RingOctets is the size of the ring.
func (c Config) RingOctets() int64 {
	if c.BlockOctets == 0 {
		c.BlockOctets = defaultBlock
	}
	if c.Blocks == 0 {
		c.Blocks = defaultBlocks
	}
	return int64(c.BlockOctets) * int64(c.Blocks)
}

// Stats are what a Receiver counted since Open.
type Stats struct {
	Frames   uint64 `json:"frames"`   // given by Next
	Skipped  uint64 `json:"skipped"`  // by Skip
	Outgoing uint64 `json:"outgoing"` // of the ring, left out: copies of what this host sent, on kernels before 4.20
	// Seen are the frames that came to the socket, those that were dropped included (PACKET_STATISTICS, tp_packets); Dropped
	// found no room in the ring (tp_drops). Outgoing copies are in Seen on kernels before 4.20.
	Seen    uint64 `json:"seen"`
	Dropped uint64 `json:"dropped"`
	Freezes uint64 `json:"freezes"` // how often the ring became full (tp_freeze_q_cnt)
	Blocks  uint64 `json:"blocks"`  // taken from the kernel
	// Waits are how often no block was ready, and the thread slept until the kernel woke it, or Config.Wait was over. WaitCPU is
	// the thread's CPU time for it, to go to sleep and to wake up; it means something if the thread was locked.
	Waits   uint64        `json:"waits"`
	WaitCPU time.Duration `json:"wait_cpu_ns"`
}

// Sub returns what was counted since before.
func (s Stats) Sub(before Stats) Stats {
	return Stats{
		Frames: s.Frames - before.Frames, Skipped: s.Skipped - before.Skipped, Outgoing: s.Outgoing - before.Outgoing,
		Seen: s.Seen - before.Seen, Dropped: s.Dropped - before.Dropped, Freezes: s.Freezes - before.Freezes,
		Blocks: s.Blocks - before.Blocks, Waits: s.Waits - before.Waits, WaitCPU: s.WaitCPU - before.WaitCPU,
	}
}
