package receive

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pcaplab/parse"
)

// Receiver reads the frames of an interface. It belongs to one goroutine.
type Receiver struct {
	cfg   Config
	fd    int
	ring  []byte
	link  parse.LinkType
	block []byte // that is being read; nil: none is held
	at    int    // number of the next block
	left  uint32 // frames of block that were not given
	next  uint32 // where the first of them is in block
	stats Stats
	wait  int // for poll(2), in ms
	empty time.Duration
}

// statisticsEvery is after how many blocks the kernel's counters are read: they have 32 bits.
const statisticsEvery = 1024

// Open opens a packet socket on cfg.Interface, with its ring. Frames come from then on. What runs in another network namespace
// than the process must have locked its thread; the Receiver stays in it, whichever thread uses it.
//
// Errors wrap ErrNotPermitted and ErrDown, and one of an unknown interface lists those that there are.
func Open(cfg Config) (*Receiver, error) {
	cfg, err := cfg.Filled()
	if err != nil {
		return nil, err
	}
	index, err := indexOf(cfg.Interface)
	if err != nil {
		return nil, err
	}
	// Without a protocol the socket hears nothing until it is bound: no frame of other interfaces gets into the ring.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("receive from %s: %w", cfg.Interface, ErrNotPermitted)
	}
	if err != nil {
		return nil, fmt.Errorf("receive from %s: packet socket: %w", cfg.Interface, err)
	}
	r := &Receiver{cfg: cfg, fd: fd, wait: -1}
	if cfg.Wait > 0 {
		r.wait = int(min((cfg.Wait+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
	}
	if err := r.open(index); err != nil {
		return nil, errors.Join(fmt.Errorf("receive from %s: %w", cfg.Interface, err), r.Close())
	}
	return r, nil
}

func indexOf(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err == nil && i.Flags&net.FlagUp == 0 {
		return 0, fmt.Errorf("receive from %s: %w: set it up with 'ip link set %s up'", name, ErrDown, name)
	}
	if err == nil {
		return i.Index, nil
	}
	all, listErr := net.Interfaces()
	if listErr != nil {
		return 0, fmt.Errorf("receive from %s: %w", name, err)
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	return 0, fmt.Errorf("receive from %q: no such interface: there are %s", name, strings.Join(names, ", "))
}

// tagOctets is the length of a VLAN tag.
const tagOctets = 4

func (r *Receiver) open(index int) error {
	set := func(option, value int) error { return unix.SetsockoptInt(r.fd, unix.SOL_PACKET, option, value) }
	if err := set(unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("TPACKET_V3: %w (it needs Linux 3.2)", err)
	}
	if err := set(unix.PACKET_RESERVE, tagOctets); err != nil { // before each frame, for its tag
		return fmt.Errorf("PACKET_RESERVE: %w", err)
	}
	if err := set(unix.PACKET_IGNORE_OUTGOING, 1); err != nil && !errors.Is(err, unix.ENOPROTOOPT) { // Next leaves them out as well
		return fmt.Errorf("PACKET_IGNORE_OUTGOING: %w", err)
	}
	if n := r.cfg.Snaplen; n > 0 {
		take := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(min(n, math.MaxInt32))}
		if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &take}); err != nil {
			return fmt.Errorf("snaplen: %w", err)
		}
	}
	size := uint32(r.cfg.BlockOctets)
	err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq3{
		Block_size: size, Block_nr: uint32(r.cfg.Blocks), Frame_size: size, Frame_nr: uint32(r.cfg.Blocks), // frames have no fixed size
		Retire_blk_tov: uint32(r.cfg.Timeout / time.Millisecond),
	})
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("no memory for a ring of %d octets: choose fewer or smaller blocks: %w", r.cfg.RingOctets(), err)
	}
	if err != nil {
		return fmt.Errorf("ring of %d blocks of %d octets: %w", r.cfg.Blocks, size, err)
	}
	if r.ring, err = unix.Mmap(r.fd, 0, int(r.cfg.RingOctets()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	if r.cfg.Promiscuous {
		member := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	bound, err := unix.Getsockname(r.fd)
	if err != nil {
		return fmt.Errorf("link type: %w", err)
	}
	if r.link, err = linkOf(bound.(*unix.SockaddrLinklayer).Hatype); err != nil {
		return err
	}
	return nil
}

func networkOrder(v uint16) uint16 {
	b := [2]byte{byte(v >> 8), byte(v)}
	return *(*uint16)(unsafe.Pointer(&b))
}

// linkOf is how frames of an ARPHRD number start.
func linkOf(hardware uint16) (parse.LinkType, error) {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return parse.LinkEthernet, nil
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT:
		return parse.LinkRaw, nil
	}
	return 0, fmt.Errorf("hardware type %d: want Ethernet (1), loopback (772) or IP without a link header (such as 65534)", hardware)
}

// Link returns the link type of all frames.
func (r *Receiver) Link() parse.LinkType { return r.link }

// Next sets *f to the next frame. f.Data is in the ring: it is the caller's, to write too, until the next call. The time is the
// kernel's. A VLAN tag that the kernel took out is back in its place. Without a frame it waits, at most Config.Wait. It allocates
// nothing.
//
// Errors: ErrTimeout, and ErrDown if the interface went down. It may be called again after both.
func (r *Receiver) Next(f *parse.Frame) error {
	for {
		for r.left == 0 {
			if err := r.advance(true); err != nil {
				return err
			}
		}
		outgoing, err := r.take(f)
		if err != nil {
			return err
		}
		if !outgoing {
			r.stats.Frames++
			return nil
		}
		r.stats.Outgoing++
	}
}

// advance gives the block back that was read and takes the next. Without wait it returns ErrTimeout where none is ready.
func (r *Receiver) advance(wait bool) error {
	if r.block != nil {
		atomic.StoreUint32(statusOf(r.block), unix.TP_STATUS_KERNEL)
		r.block = nil
		if r.at++; r.at == r.cfg.Blocks {
			r.at = 0
		}
	}
	size := r.cfg.BlockOctets
	block := r.ring[r.at*size : (r.at+1)*size : (r.at+1)*size]
	for atomic.LoadUint32(statusOf(block))&unix.TP_STATUS_USER == 0 {
		if !wait {
			return ErrTimeout
		}
		if err := r.sleep(); err != nil {
			return err
		}
	}
	r.block = block
	if r.stats.Blocks++; r.stats.Blocks%statisticsEvery == 0 {
		if err := r.count(); err != nil {
			return err
		}
	}
	var err error
	r.left, r.next, err = blockHeader(block)
	return err
}

// sleep waits until the kernel hands a block over.
func (r *Receiver) sleep() error {
	poll := [1]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN | unix.POLLERR}}
	r.empty = clock(unix.CLOCK_MONOTONIC)
	before := clock(unix.CLOCK_THREAD_CPUTIME_ID)
	n, err := unix.Poll(poll[:], r.wait)
	r.stats.Waits++
	r.stats.WaitCPU += clock(unix.CLOCK_THREAD_CPUTIME_ID) - before
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("receive from %s: poll: %w", r.cfg.Interface, err)
	case n == 0:
		return ErrTimeout
	case poll[0].Revents&unix.POLLERR != 0:
		code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if errors.Is(err, unix.ENETDOWN) {
			return fmt.Errorf("receive from %s: %w", r.cfg.Interface, ErrDown)
		}
		if err != nil {
			return fmt.Errorf("receive from %s: %w", r.cfg.Interface, err)
		}
	}
	return nil
}

func clock(id uintptr) time.Duration {
	var t unix.Timespec
	if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0
	}
	return time.Duration(t.Nano())
}

// take reads the header of the next frame of the block. outgoing frames are copies of what this host sent.
func (r *Receiver) take(f *parse.Frame) (outgoing bool, err error) {
	h, err := frameHeader(r.block, r.next)
	if err != nil {
		return false, err
	}
	at := r.next
	if r.left--; r.left > 0 && h.Next_offset == 0 {
		return false, errBlock
	}
	r.next += h.Next_offset
	f.UnixNano = int64(h.Sec)*1e9 + int64(h.Nsec)
	f.Link = r.link
	start, end := at+uint32(h.Mac), at+uint32(h.Mac)+h.Snaplen
	f.WireLen = int(h.Len)
	if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && r.link == parse.LinkEthernet && h.Snaplen >= 12 && uint32(h.Mac) >= headerOctets+tagOctets {
		tag(r.block[start-tagOctets:end], h)
		start -= tagOctets
		f.WireLen += tagOctets
	}
	f.Data = r.block[start:end:end]
	return r.block[at+packetTypeAt] == unix.PACKET_OUTGOING, nil
}

// tag puts a VLAN tag behind the addresses of a frame that begins tagOctets into data.
func tag(data []byte, h *unix.Tpacket3Hdr) {
	copy(data, data[tagOctets:tagOctets+12])
	protocol := uint16(unix.ETH_P_8021Q) // of kernels that do not say
	if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		protocol = h.Hv1.Vlan_tpid
	}
	data[12], data[13] = byte(protocol>>8), byte(protocol)
	data[14], data[15] = byte(h.Hv1.Vlan_tci>>8), byte(h.Hv1.Vlan_tci)
}

// Skip gives back everything that is ready, read or not, without waiting, and returns how many frames that were.
func (r *Receiver) Skip() (uint64, error) {
	var skipped uint64
	for {
		skipped += uint64(r.left)
		r.left = 0
		if err := r.advance(false); errors.Is(err, ErrTimeout) {
			r.stats.Skipped += skipped
			return skipped, nil
		} else if err != nil {
			return skipped, err
		}
	}
}

// Blocks returns how many blocks the ring has.
func (r *Receiver) Blocks() int { return r.cfg.Blocks }

// Begun returns how many blocks were taken from the kernel so far: where it changes, a block begins.
func (r *Receiver) Begun() uint64 { return r.stats.Blocks }

// Waits returns how often no block was ready so far.
func (r *Receiver) Waits() uint64 { return r.stats.Waits }

// Emptied returns when the last of these waits began, on the machine's monotonic clock: no block was ready then.
func (r *Receiver) Emptied() time.Duration { return r.empty }

// Stats returns the counts so far.
func (r *Receiver) Stats() (Stats, error) {
	err := r.count()
	return r.stats, err
}

// count adds the kernel's counters, which reading sets to 0.
func (r *Receiver) count() error {
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return fmt.Errorf("receive from %s: PACKET_STATISTICS: %w", r.cfg.Interface, err)
	}
	r.stats.Seen += uint64(s.Packets)
	r.stats.Dropped += uint64(s.Drops)
	r.stats.Freezes += uint64(s.Freeze_q_cnt)
	return nil
}

// Close releases socket and ring. No frame may be used afterwards.
func (r *Receiver) Close() error {
	var errs []error
	if r.ring != nil {
		errs = append(errs, unix.Munmap(r.ring))
		r.ring, r.block, r.left = nil, nil, 0
	}
	if r.fd >= 0 {
		errs = append(errs, unix.Close(r.fd))
		r.fd = -1
	}
	return errors.Join(errs...)
}
