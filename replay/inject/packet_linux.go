package inject

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long a wire tries to hand over a frame.
const (
	// patience is for one frame with ENOBUFS: a driver's queue is full for less.
	patience = 20 * time.Millisecond
	// giveUp is without any frame taken at all: then the run ends. Also for EAGAIN, where slow links empty the socket's buffer.
	giveUp = time.Second
)

// packetSocket opens an AF_PACKET socket that sends through an interface and receives nothing.
func packetSocket(index int, bypass bool) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, permission(os.NewSyscallError("socket", err))
	}
	if bypass {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
			_ = unix.Close(fd)
			return 0, os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		_ = unix.Close(fd)
		return 0, os.NewSyscallError("bind", err)
	}
	return fd, nil
}

// permission says how to be allowed to send.
func permission(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	return fmt.Errorf("%w: sending frames needs CAP_NET_RAW: run as root, or once: sudo setcap cap_net_raw,cap_ipc_lock+ep %s", err, executable())
}

func executable() string {
	if path, err := os.Executable(); err == nil {
		return path
	}
	return "THE-PROGRAM"
}

// backoff waits for room after the kernel took nothing.
type backoff struct {
	fd       int           // polled for EAGAIN; -1: not
	since    time.Time     // of the frame in hand; zero: it was not refused
	stuck    time.Time     // since when nothing was taken; zero: the last frame was
	sleep    time.Duration // next
	patience time.Duration // for the next frame
}

// errStuck ends a run whose frames nobody takes.
var errStuck = fmt.Errorf("the kernel has taken no frame for %v: is the other end up, and its MTU large enough?", giveUp)

// wait returns true to try again, false where the frame has failed.
func (b *backoff) wait(ctx context.Context, errno unix.Errno) (again bool, err error) {
	now := time.Now()
	if b.since.IsZero() {
		b.since, b.sleep = now, 5*time.Microsecond
		if b.patience == 0 {
			b.patience = patience
		}
	}
	if b.stuck.IsZero() {
		b.stuck = now
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if now.Sub(b.stuck) > giveUp {
		return false, errStuck
	}
	if errno == unix.EAGAIN && b.fd >= 0 {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(b.fd), Events: unix.POLLOUT}}, 10)
		return true, nil
	}
	if errno == unix.ENOBUFS && now.Sub(b.since) > b.patience {
		b.since = time.Time{}
		b.patience = max(b.patience/2, time.Millisecond) // the next is likely to fare no better
		return false, nil
	}
	ts := unix.NsecToTimespec(int64(b.sleep))
	_ = unix.Nanosleep(&ts, nil)
	b.sleep = min(2*b.sleep, time.Millisecond)
	return true, nil
}

// taken says that the kernel took a frame.
func (b *backoff) taken() {
	if b.stuck.IsZero() {
		return
	}
	if !b.since.IsZero() {
		b.patience = patience
	}
	b.since, b.stuck = time.Time{}, time.Time{}
}

// down are the errors after which no frame can be sent through the socket.
func down(errno unix.Errno) error {
	switch errno {
	case unix.ENETDOWN:
		return errors.New("the interface went down")
	case unix.ENXIO, unix.ENODEV:
		return errors.New("the interface went away")
	case unix.EPERM, unix.EACCES:
		return permission(os.NewSyscallError("send", errno))
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.ENOSYS, unix.EOPNOTSUPP:
		return os.NewSyscallError("send", errno)
	}
	return nil
}

// packetWire sends frames through an AF_PACKET socket: one, or as many as were put, in a system call.
type packetWire struct {
	fd    int
	count tally
	back  backoff
	many  bool

	buf  []byte // the frames that were put, one behind another
	used int
	n    int
	iov  []unix.Iovec
	msgs []mmsghdr
}

// mmsghdr is struct mmsghdr; Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

func newPacketWire(fd, batch, longest int, many bool) *packetWire {
	if !many {
		batch = 1
	}
	w := &packetWire{fd: fd, many: many, back: backoff{fd: fd}, buf: make([]byte, max(longest, min(batch*longest, 256<<10))),
		iov: make([]unix.Iovec, batch), msgs: make([]mmsghdr, batch)}
	for i := range w.msgs {
		w.msgs[i].hdr.Iov = &w.iov[i]
		w.msgs[i].hdr.SetIovlen(1)
	}
	return w
}

func (w *packetWire) put(d []byte) bool {
	if w.n == len(w.msgs) || len(d) > len(w.buf)-w.used {
		return false
	}
	n := copy(w.buf[w.used:], d)
	iov := &w.iov[w.n]
	iov.Base = unsafe.SliceData(w.buf[w.used:])
	iov.SetLen(n)
	w.used += n
	w.n++
	w.count.put++
	return true
}

func (w *packetWire) flush(ctx context.Context) error {
	done := 0
	defer func() { w.n, w.used = 0, 0 }()
	for done < w.n {
		var sent uintptr
		var errno unix.Errno
		w.count.calls++
		if w.many {
			// The calls do not block, so the scheduler need not know of them.
			sent, _, errno = unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(w.fd), uintptr(unsafe.Pointer(&w.msgs[done])), uintptr(w.n-done), unix.MSG_DONTWAIT, 0, 0)
		} else {
			_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), uintptr(unsafe.Pointer(w.iov[done].Base)), uintptr(w.iov[done].Len), unix.MSG_DONTWAIT, 0, 0)
			sent = 1
		}
		if errno == 0 {
			w.back.taken()
			for range int(sent) {
				w.count.sent++
				w.count.octets += uint64(w.iov[done].Len)
				done++
			}
			continue
		}
		switch errno {
		case unix.EINTR:
			continue
		case unix.ENOBUFS, unix.EAGAIN:
			if errno == unix.ENOBUFS {
				w.count.enobufs++
			} else {
				w.count.eagain++
			}
			again, err := w.back.wait(ctx, errno)
			if err != nil {
				return err
			}
			if again {
				continue
			}
		default:
			if err := down(errno); err != nil {
				return err
			}
		}
		w.count.failed++ // this frame; the next may go
		done++
	}
	return nil
}

func (w *packetWire) settle(time.Duration) error { return nil }
func (w *packetWire) tally() *tally              { return &w.count }
func (w *packetWire) close() error               { return unix.Close(w.fd) }

// ringWire sends through a TPACKET_V2 transmit ring.
type ringWire struct {
	fd      int
	count   tally
	back    backoff
	mapping []byte
	slot    int // octets
	slots   int
	next    int // slot to fill
	oldest  int // slot handed over and not seen to be done
	given   int // between the two
	pending int
	batch   int
}

const tpacket2Data = 32 // TPACKET_ALIGN(sizeof(struct tpacket2_hdr)): where the data of a frame to send begins

func newRingWire(fd, batch, longest int) (*ringWire, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, os.NewSyscallError("setsockopt PACKET_VERSION", err)
	}
	slot := 2048
	for slot < longest+tpacket2Data {
		slot *= 2
	}
	// 512 frames, but not more than 8 MiB of the kernel's memory where frames are long.
	slots := max(min(512, 8<<20/slot), 2*batch)
	block := max(slot, 64<<10)
	slots = (slots*slot + block - 1) / block * block / slot
	req := unix.TpacketReq{Block_size: uint32(block), Block_nr: uint32(slots * slot / block), Frame_size: uint32(slot), Frame_nr: uint32(slots)}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &req); err != nil {
		return nil, os.NewSyscallError("setsockopt PACKET_TX_RING", err)
	}
	mapping, err := unix.Mmap(fd, 0, slots*slot, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &ringWire{fd: fd, back: backoff{fd: -1}, mapping: mapping, slot: slot, slots: slots, batch: batch}, nil
}

func (w *ringWire) header(i int) *unix.Tpacket2Hdr {
	return (*unix.Tpacket2Hdr)(unsafe.Pointer(&w.mapping[i*w.slot]))
}

func (w *ringWire) put(d []byte) bool {
	if w.pending == w.batch || w.given == w.slots {
		w.reap()
		if w.pending == w.batch || w.given == w.slots {
			return false
		}
	}
	h := w.header(w.next)
	copy(w.mapping[w.next*w.slot+tpacket2Data:(w.next+1)*w.slot], d)
	h.Len = uint32(len(d))
	store(&h.Status, unix.TP_STATUS_SEND_REQUEST)
	w.next = (w.next + 1) % w.slots
	w.given++
	w.pending++
	w.count.put++
	return true
}

// reap counts the slots that the kernel is done with.
func (w *ringWire) reap() {
	for w.given > 0 {
		h := w.header(w.oldest)
		switch status := load(&h.Status); {
		case status == unix.TP_STATUS_AVAILABLE:
			w.count.sent++
			w.count.octets += uint64(h.Len)
		case status&unix.TP_STATUS_WRONG_FORMAT != 0:
			w.count.failed++
			w.remove()
			continue
		default:
			return
		}
		w.oldest = (w.oldest + 1) % w.slots
		w.given--
		w.back.taken()
	}
}

// remove takes the oldest frame out: the kernel does not go on from a slot that it refused, so those behind it, none of which it has
// looked at, move up.
func (w *ringWire) remove() {
	at := w.oldest
	for range w.given - 1 {
		behind := (at + 1) % w.slots
		copy(w.mapping[at*w.slot:(at+1)*w.slot], w.mapping[behind*w.slot:(behind+1)*w.slot])
		at = behind
	}
	store(&w.header(at).Status, unix.TP_STATUS_AVAILABLE)
	w.next = at
	w.given--
}

func (w *ringWire) flush(ctx context.Context) error {
	w.pending = 0
	for {
		w.count.calls++
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(w.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		failed := w.count.failed
		w.reap()
		if !w.requested() && w.given < w.slots {
			return nil
		}
		switch errno {
		case 0, unix.EAGAIN:
			errno = unix.EAGAIN
			w.count.eagain++
		case unix.ENOBUFS:
			w.count.enobufs++
		default:
			if err := down(errno); err != nil {
				return err
			}
		}
		if errno == unix.EINTR || w.count.failed > failed {
			continue
		}
		again, err := w.back.wait(ctx, errno)
		if err != nil {
			return err
		}
		if !again && load(&w.header(w.oldest).Status) == unix.TP_STATUS_SEND_REQUEST {
			w.count.failed++ // this frame; the next may go
			w.remove()
		}
	}
}

// requested reports whether the last slot that was handed over was not looked at yet.
func (w *ringWire) requested() bool {
	last := (w.next + w.slots - 1) % w.slots
	return w.given > 0 && load(&w.header(last).Status) == unix.TP_STATUS_SEND_REQUEST
}

func (w *ringWire) settle(limit time.Duration) error {
	return settled(limit, func() int { w.reap(); return w.given })
}

// settled waits until the kernel has sent all frames; under says how many it has not.
func settled(limit time.Duration, under func() int) error {
	for end := time.Now().Add(limit); ; {
		n := under()
		if n == 0 {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d frames were handed to the kernel and have not left after %v", n, limit)
		}
		ts := unix.NsecToTimespec(int64(20 * time.Microsecond))
		_ = unix.Nanosleep(&ts, nil)
	}
}

func (w *ringWire) tally() *tally { return &w.count }

func (w *ringWire) close() error { return errors.Join(unix.Munmap(w.mapping), unix.Close(w.fd)) }
