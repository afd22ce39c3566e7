package meter

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// searchEvery is how many samples apart the session is searched for new processes and peaks are read.
const searchEvery = 5

// Session samples the processes of one session (setsid), by a goroutine. Processes that start sessions of their own leave
// it. Its methods may be called by several goroutines.
type Session struct {
	leader int
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once

	mu      sync.Mutex
	proc    int // file descriptor of /proc
	procs   []*member
	reaped  time.Duration // of the leader and the children it has waited for; negative is not known
	peak    int64
	samples int64
	notes   []string
	buf     [8192]byte
}

type member struct {
	ProcessUsage
	statm    int // file descriptor, negative if there is none
	resident int64
}

// WatchSession starts sampling the session that was started by the process leader, every interval; 0 is SessionEvery. The
// caller must not reap the leader before it has read for the last time, and must Close.
func WatchSession(leader int, every time.Duration) (*Session, error) {
	if every <= 0 {
		every = SessionEvery
	}
	proc, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	s := &Session{leader: leader, proc: proc, reaped: -1, stop: make(chan struct{}), done: make(chan struct{})}
	s.add(leader)
	s.sample(true)
	go s.run(every)
	return s, nil
}

func (s *Session) run(every time.Duration) {
	defer close(s.done)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.mu.Lock()
			s.sample(n%searchEvery == 0)
			s.mu.Unlock()
		}
	}
}

// Read takes a sample and returns what the session has cost.
func (s *Session) Read() SessionUsage {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sample(true)
	u := SessionUsage{Samples: s.samples, Notes: slices.Clone(s.notes)}
	first := s.procs[0]
	var ended int64 // CPU time of children that are gone, as of their last samples
	for _, m := range s.procs {
		u.Processes = append(u.Processes, m.ProcessUsage)
		switch {
		case m == first:
		case m.Ended:
			ended += m.CPUNs
		default:
			u.ChildrenCPUNs += m.CPUNs
		}
	}
	u.CPUNs = first.CPUNs
	if first.PeakOctets > 0 {
		u.PeakOctets = pointer(first.PeakOctets)
		u.SumPeakOctets = pointer(s.peak)
	}
	waited := int64(s.reaped) - u.CPUNs
	if s.reaped < 0 {
		waited = s.waited()
	}
	u.ChildrenCPUNs += max(ended, waited)
	return u
}

// Reaped tells the CPU time, user and system, that the kernel gave for the leader and the children that it had waited for
// when it was reaped.
func (s *Session) Reaped(total time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaped = total
	s.procs[0].Ended = true
}

// Close ends sampling. Read still returns what was sampled.
func (s *Session) Close() {
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sample(false) // to see what has ended
		for _, m := range s.procs {
			m.close()
		}
		unix.Close(s.proc)
		s.proc = -1
	})
}

func (m *member) close() {
	if m.statm >= 0 {
		unix.Close(m.statm)
		m.statm = -1
	}
}

// add begins to watch a process.
func (s *Session) add(pid int) {
	m := &member{ProcessUsage: ProcessUsage{PID: pid}, statm: -1}
	if fd, err := unix.Openat(s.proc, strconv.Itoa(pid)+"/statm", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		m.statm = fd
	}
	s.procs = append(s.procs, m)
}

// sample reads every process; search looks for new ones before, and reads peaks.
func (s *Session) sample(search bool) {
	if s.proc < 0 {
		return
	}
	s.samples++
	if search {
		s.search()
	}
	var sum int64
	for _, m := range s.procs {
		if m.Ended {
			continue
		}
		// The process's CPU clock: linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED).
		if cpu := clockTime(uintptr(^m.PID<<3 | 2)); cpu < 0 {
			m.Ended = true
			m.close()
			continue
		} else {
			m.CPUNs = max(m.CPUNs, int64(cpu))
		}
		if search {
			s.status(m)
		}
		m.resident = 0
		if n, err := unix.Pread(m.statm, s.buf[:], 0); err == nil {
			_, rest, _ := bytes.Cut(s.buf[:n], []byte(" "))
			m.resident = number(rest) * pageSize
		}
		m.PeakOctets = max(m.PeakOctets, m.resident)
		sum += m.resident
	}
	s.peak = max(s.peak, sum)
}

var pageSize = int64(os.Getpagesize())

// search finds processes of the session that are not yet watched.
func (s *Session) search() {
	err := walkSession(s.proc, s.leader, s.buf[:], func(pid int) {
		for _, m := range s.procs {
			if m.PID == pid && !m.Ended {
				return
			}
		}
		s.add(pid)
	})
	if err != nil && len(s.notes) == 0 {
		s.notes = append(s.notes, "processes of the session: "+err.Error())
	}
}

// walkSession calls found with each process whose session is sid.
func walkSession(proc, sid int, buf []byte, found func(pid int)) error {
	if _, err := unix.Seek(proc, 0, 0); err != nil {
		return &os.PathError{Op: "seek", Path: "/proc", Err: err}
	}
	var pids [256]int
	for {
		n, err := unix.ReadDirent(proc, buf)
		if err != nil {
			return &os.PathError{Op: "read", Path: "/proc", Err: err}
		}
		if n == 0 {
			return nil
		}
		known := pids[:0]
		const header = int(unsafe.Offsetof(unix.Dirent{}.Name))
		for b := buf[:n]; len(b) > header; {
			length := int(binary.NativeEndian.Uint16(b[unsafe.Offsetof(unix.Dirent{}.Reclen):]))
			if length < header || length > len(b) {
				break
			}
			if pid := number(b[header:length]); pid > 0 {
				id, _, errno := unix.RawSyscall(unix.SYS_GETSID, uintptr(pid), 0, 0)
				if errno == 0 && int(id) == sid {
					known = append(known, int(pid))
				}
			}
			b = b[length:]
		}
		for _, pid := range known { // found may use buf
			found(pid)
		}
	}
}

// SessionMembers returns the processes whose session is sid, zombies included.
func SessionMembers(sid int) ([]int, error) {
	proc, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc", Err: err}
	}
	defer unix.Close(proc)
	var pids []int
	err = walkSession(proc, sid, make([]byte, 8192), func(pid int) { pids = append(pids, pid) })
	return pids, err
}

// status reads name, parent and peak of a process.
func (s *Session) status(m *member) {
	b, ok := s.file(m.PID, "/status")
	if !ok {
		return
	}
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(key) {
		case "Name":
			if m.Command != string(value) {
				m.Command = string(value)
			}
		case "PPid":
			if m.Parent == 0 {
				m.Parent = int(number(value))
			}
		case "VmHWM":
			m.PeakOctets = max(m.PeakOctets, number(value)<<10)
			return
		}
	}
}

// waited returns the CPU time of the children that the leader has waited for, as the kernel shows it in ticks of 10 ms.
func (s *Session) waited() int64 {
	b, ok := s.file(s.leader, "/stat")
	if !ok {
		return 0
	}
	_, b, _ = bytes.Cut(b[bytes.LastIndexByte(b, ')')+1:], []byte(" "))
	const before = 13 // fields between the name and cutime, from the state on
	for range before {
		_, b, _ = bytes.Cut(b, []byte(" "))
	}
	_, rest, _ := bytes.Cut(b, []byte(" "))
	const tick = int64(10 * time.Millisecond) // USER_HZ is 100 on every architecture of ours
	return (number(b) + number(rest)) * tick
}

func (s *Session) file(pid int, name string) ([]byte, bool) {
	if s.proc < 0 {
		return nil, false
	}
	fd, err := unix.Openat(s.proc, strconv.Itoa(pid)+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, s.buf[:])
	return s.buf[:max(n, 0)], err == nil && n > 0
}

// number returns the decimal number that b begins with, 0 if there is none.
func number(b []byte) int64 {
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<50 {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}
