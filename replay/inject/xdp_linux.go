package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func load(p *uint32) uint32     { return atomic.LoadUint32(p) }
func store(p *uint32, v uint32) { atomic.StoreUint32(p, v) }

// xdpWire sends through an AF_XDP socket in copy mode, which needs no program in the kernel.
type xdpWire struct {
	fd    int
	count tally
	back  backoff

	umem      []byte
	chunk     int
	free      []uint64 // addresses of chunks that are not in use
	lengths   []uint32 // of the frame in each chunk
	tx, done  xdpRing
	batch     int
	pending   int
	given     uint32 // frames handed over and not seen to be done
	txMap     []byte
	doneMap   []byte
	submitted uint32 // producer index of tx
	last      uint32 // length of the frame that was done last
}

// xdpRing is one of the rings that the kernel shares.
type xdpRing struct {
	producer, consumer *uint32
	base               unsafe.Pointer
	mask               uint32
}

// xdpDesc is struct xdp_desc.
type xdpDesc struct {
	addr    uint64
	len     uint32
	options uint32
}

const (
	xdpSlots = 512 // a small ring stays in the caches
	xdpChunk = 4096
	// xdpBudget is how many frames the kernel sends in one call, unless told otherwise.
	xdpBudget = 32
)

// newXDPWire binds to queue 0. Closing a socket takes the kernel a few milliseconds, during which another cannot bind.
func newXDPWire(index, batch, longest int) (*xdpWire, error) {
	chunk := 2048
	if longest > chunk {
		chunk = xdpChunk
	}
	if longest > chunk {
		return nil, fmt.Errorf("frames of %d octets do not fit AF_XDP's %d", longest, xdpChunk)
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, permission(os.NewSyscallError("socket AF_XDP", err))
	}
	w := &xdpWire{fd: fd, back: backoff{fd: -1}, chunk: chunk, batch: batch, lengths: make([]uint32, xdpSlots), free: make([]uint64, 0, xdpSlots)}
	if err := w.bind(index); err != nil {
		return nil, errors.Join(err, w.close())
	}
	for i := range xdpSlots {
		w.free = append(w.free, uint64((xdpSlots-1-i)*chunk))
	}
	return w, nil
}

func (w *xdpWire) bind(index int) error {
	var err error
	if w.umem, err = unix.Mmap(-1, 0, xdpSlots*w.chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&w.umem[0]))), Len: uint64(len(w.umem)), Size: uint32(w.chunk)}
	// The fields that later kernels added to the structure are left out: they would be zero.
	if err := w.set(unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Offsetof(reg.Flags)); err != nil {
		return permission(err)
	}
	slots := uint32(xdpSlots)
	for _, option := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		if err := w.set(option, unsafe.Pointer(&slots), unsafe.Sizeof(slots)); err != nil {
			return err
		}
	}
	var offsets unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(offsets))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(w.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS, uintptr(unsafe.Pointer(&offsets)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return os.NewSyscallError("getsockopt XDP_MMAP_OFFSETS", errno)
	}
	if w.txMap, w.tx, err = w.ring(unix.XDP_PGOFF_TX_RING, offsets.Tx, unsafe.Sizeof(xdpDesc{})); err != nil {
		return err
	}
	if w.doneMap, w.done, err = w.ring(unix.XDP_UMEM_PGOFF_COMPLETION_RING, offsets.Cr, 8); err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		err := unix.Bind(w.fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(index)})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || tries == 200 {
			return os.NewSyscallError("bind AF_XDP", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *xdpWire) set(option int, value unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(w.fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	if errno != 0 {
		return os.NewSyscallError(fmt.Sprintf("setsockopt AF_XDP %d", option), errno)
	}
	return nil
}

func (w *xdpWire) ring(page int64, off unix.XDPRingOffset, entry uintptr) ([]byte, xdpRing, error) {
	m, err := unix.Mmap(w.fd, page, int(off.Desc)+xdpSlots*int(entry), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, xdpRing{}, os.NewSyscallError("mmap AF_XDP", err)
	}
	return m, xdpRing{producer: (*uint32)(unsafe.Pointer(&m[off.Producer])), consumer: (*uint32)(unsafe.Pointer(&m[off.Consumer])),
		base: unsafe.Pointer(&m[off.Desc]), mask: xdpSlots - 1}, nil
}

func (w *xdpWire) put(d []byte) bool {
	if w.pending == w.batch {
		return false
	}
	if len(w.free) == 0 {
		if w.reap(); len(w.free) == 0 {
			return false
		}
	}
	addr := w.free[len(w.free)-1]
	w.free = w.free[:len(w.free)-1]
	copy(w.umem[addr:addr+uint64(w.chunk)], d)
	w.lengths[addr/uint64(w.chunk)] = uint32(len(d))
	*(*xdpDesc)(unsafe.Add(w.tx.base, uintptr(w.submitted&w.tx.mask)*unsafe.Sizeof(xdpDesc{}))) = xdpDesc{addr: addr, len: uint32(len(d))}
	w.submitted++
	w.pending++
	w.given++
	w.count.put++
	return true
}

// reap counts the frames that the kernel is done with.
func (w *xdpWire) reap() {
	from, to := *w.done.consumer, load(w.done.producer)
	if from == to {
		return
	}
	for ; from != to; from++ {
		addr := *(*uint64)(unsafe.Add(w.done.base, uintptr(from&w.done.mask)*8))
		w.last = w.lengths[addr/uint64(w.chunk)]
		w.count.sent++
		w.count.octets += uint64(w.last)
		w.free = append(w.free, addr)
		w.given--
	}
	store(w.done.consumer, to)
	w.back.taken()
}

func (w *xdpWire) flush(ctx context.Context) error {
	w.pending = 0
	store(w.tx.producer, w.submitted)
	for {
		before := load(w.tx.consumer)
		w.count.calls++
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		w.reap()
		after := load(w.tx.consumer)
		switch errno {
		case 0, unix.EINTR:
		case unix.EBUSY:
			w.drop()
		case unix.EAGAIN: // also where there is more to send than one call sends
			if after == before {
				w.count.eagain++
			}
		case unix.ENOBUFS:
			w.count.enobufs++
		default:
			if err := down(errno); err != nil {
				return err
			}
			return os.NewSyscallError("send AF_XDP", errno)
		}
		if after == w.submitted && len(w.free) > 0 {
			return nil
		}
		if after != before || errno == unix.EINTR {
			w.back.taken()
			continue
		}
		if _, err := w.back.wait(ctx, errno); err != nil {
			return err
		}
	}
}

// drop counts the frame that the driver dropped, which is the one that was done last: a call ends there.
func (w *xdpWire) drop() {
	w.count.dropped++
	w.count.sent--
	w.count.octets -= uint64(w.last)
}

func (w *xdpWire) settle(limit time.Duration) error {
	return settled(limit, func() int { w.reap(); return int(w.given) })
}

func (w *xdpWire) tally() *tally { return &w.count }

func (w *xdpWire) close() error {
	var errs []error
	errs = append(errs, unix.Close(w.fd))
	for _, m := range [][]byte{w.txMap, w.doneMap} {
		if m != nil {
			errs = append(errs, unix.Munmap(m))
		}
	}
	if w.umem != nil {
		errs = append(errs, unix.Munmap(w.umem))
	}
	return errors.Join(errs...)
}
