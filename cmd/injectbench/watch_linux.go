package main

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watcher is what the receiving end sees of one run: frames, with a ring; else the counter of the interface over time.
type watcher struct {
	k    *benchCase
	ring *ring
	want int
	base int           // of the counter before the run
	stop chan struct{} // closed when the sender is done

	at     []int64 // ns: of each frame, or of each look
	counts []int   // at each look
	strays int     // frames that are none of the capture's
	faults int
}

// settle is how long nothing must have come after the sender's end. It is more than a block of the ring is kept open.
const settle = 4 * blockTimeout

// watch runs in the receiver's room until the sender is done and nothing more comes.
func (w *watcher) watch() error {
	if w.ring == nil {
		return w.look()
	}
	w.at = make([]int64, 0, w.want+1)
	take := w.time
	if w.k.mode == integrity {
		take = w.compare()
	}
	var done time.Time
	for {
		n, err := w.ring.take(take)
		if err != nil {
			return err
		}
		select {
		case <-w.stop:
			if n > 0 || done.IsZero() {
				done = time.Now()
			}
			if len(w.at) >= w.want && n == 0 || time.Since(done) > settle {
				return nil
			}
		default:
		}
	}
}

// look reads the counter over and over.
func (w *watcher) look() error {
	w.at, w.counts = make([]int64, 0, 1<<14), make([]int, 0, 1<<14)
	start := time.Now()
	for {
		now := time.Since(start)
		n, err := readCounter()
		if err != nil {
			return err
		}
		if n -= w.base; len(w.counts) == 0 || n != w.counts[len(w.counts)-1] {
			w.at, w.counts = append(w.at, int64(now)), append(w.counts, n)
		}
		select {
		case <-w.stop:
			return nil // the sender's frames are counted when its last call returns
		default:
			time.Sleep(lookEvery)
		}
	}
}

// time takes a frame by its time and number.
func (w *watcher) time(at int64, data []byte, _ int) {
	seq := sequence(data)
	if seq < 0 {
		w.strays++
		return
	}
	if i := len(w.at); i >= w.want || seq != w.k.number(i) {
		w.faults++
	}
	w.at = append(w.at, at)
}

// compare takes frames octet by octet.
func (w *watcher) compare() func(int64, []byte, int) {
	buf := make([]byte, mtu+headersLen)
	return func(at int64, data []byte, length int) {
		if sequence(data) < 0 {
			w.strays++
		}
		i := len(w.at)
		w.at = append(w.at, at)
		if i >= w.want || length != len(data) || !bytes.Equal(data, w.k.captures[0].frame(w.k.number(i), buf)) {
			w.faults++
		}
	}
}

// judge turns what was seen into metrics.
func (w *watcher) judge(r *record) {
	wall := float64(r.WallNs)
	r.Metrics["cpu_percent"] = float64(r.CPUNs) * 100 / wall
	r.Metrics["cpu_ns"] = float64(r.CPUNs) / float64(w.want)
	if w.ring == nil {
		if rate := seen(w.at, w.counts); rate > 0 {
			r.Metrics["seen_pps"] = rate
		}
		return
	}
	missed, err := w.ring.missed()
	if err != nil {
		r.Failed = err.Error()
		return
	}
	if r.Missed = missed; missed > 0 {
		return // neither order nor times can be judged
	}
	if w.k.mode == integrity {
		r.Metrics["faults"] = float64(w.faults + max(0, w.want-len(w.at)))
		return
	}
	if w.faults > 0 || w.strays > 0 || len(w.at) != w.want {
		r.Failed = fmt.Sprintf("%d frames arrived of %d, %d out of order, and %d others", len(w.at), w.want, w.faults, w.strays)
		return
	}
	var metrics map[string]float64
	switch w.k.mode {
	case paced:
		metrics, err = pacing(w.at, w.k.gapNs)
	case recorded:
		metrics, err = timing(w.at, w.k.passes())
	default:
		if span := w.at[len(w.at)-1] - w.at[0]; span > 0 {
			metrics = map[string]float64{"seen_pps": float64(len(w.at)-1) * 1e9 / float64(span)}
		}
	}
	if err != nil {
		r.Failed = err.Error()
	}
	for name, v := range metrics {
		r.Metrics[name] = v
	}
}

// Blocks of a ring; a block is handed over when it is full or after blockTimeout.
const (
	blockSize    = 1 << 20
	blocks       = 96
	blockTimeout = 50 * time.Millisecond
)

// ring is a packet socket with TPACKET_V3 (packet(7), and packet_mmap in the kernel's documentation). It belongs to the
// thread that receives.
type ring struct {
	fd   int
	mem  []byte
	next int
}

// openRing receives on an interface of this thread's namespace, up to snap octets of each frame.
func openRing(name string, snap int) (*ring, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) // 0: nothing yet
	if err != nil {
		return nil, fmt.Errorf("a packet socket: %w", err)
	}
	r := &ring{fd: fd}
	if err := r.set(name, snap); err != nil {
		r.close()
		return nil, fmt.Errorf("receiving on %s: %w", name, err)
	}
	return r, nil
}

func (r *ring) set(name string, snap int) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return err
	}
	// Frames get their time where they arrive, not where they are copied.
	if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return err
	}
	keep := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(snap)}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &keep}); err != nil {
		return err
	}
	req := unix.TpacketReq3{Block_size: blockSize, Block_nr: blocks, Frame_size: 2048, Frame_nr: blocks * blockSize / 2048,
		Retire_blk_tov: uint32(blockTimeout / time.Millisecond)}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return err
	}
	var err error
	if r.mem, err = unix.Mmap(r.fd, 0, blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	index, err := interfaceIndex(r.fd, name)
	if err != nil {
		return err
	}
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err != nil {
		return err
	}
	_, err = r.missed() // reading sets it to 0
	return err
}

// interfaceIndex asks in the namespace of the socket.
func interfaceIndex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req); err != nil {
		return 0, err
	}
	return int(req.Uint32()), nil
}

// take hands over the frames of the next block, after waiting for it a while, and returns how many. The octets are the
// kernel's again when take returns.
func (r *ring) take(each func(at int64, data []byte, length int)) (int, error) {
	block := r.mem[r.next*blockSize:][:blockSize]
	h := (*unix.TpacketHdrV1)(unsafe.Pointer(&block[unsafe.Offsetof(unix.TpacketBlockDesc{}.Hdr)]))
	if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, int(blockTimeout/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return 0, fmt.Errorf("waiting for frames: %w", err)
		}
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			return 0, nil
		}
	}
	n, offset := int(h.Num_pkts), int(h.Offset_to_first_pkt)
	for range n {
		f := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[offset]))
		data := block[offset+int(f.Mac):][:f.Snaplen]
		each(int64(f.Sec)*1e9+int64(f.Nsec), data, int(f.Len))
		offset += int(f.Next_offset)
	}
	atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
	r.next = (r.next + 1) % blocks
	return n, nil
}

// missed returns how many frames found no room since the last call.
func (r *ring) missed() (int, error) {
	stats, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("drops of the receiving socket: %w", err)
	}
	return int(stats.Drops), nil
}

func (r *ring) close() {
	if r.mem != nil {
		unix.Munmap(r.mem)
	}
	unix.Close(r.fd)
}
