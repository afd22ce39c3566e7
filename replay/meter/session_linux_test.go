package meter

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell starts a script in a session of its own, watched seldom: what is seen is what Read sees.
func shell(t testing.TB, script string) (*exec.Cmd, *Session, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	s, err := WatchSession(cmd.Process.Pid, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Close()
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		_ = cmd.Wait()
		s.Close()
		s.Close()
	})
	return cmd, s, w
}

// until reads s until ok.
func until(t testing.TB, s *Session, ok func(u SessionUsage) bool) SessionUsage {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		u := s.Read()
		if ok(u) {
			return u
		}
		if time.Now().After(end) {
			t.Fatalf("never so: %+v", u)
		}
	}
}

func TestSessionCountsDescendants(t *testing.T) {
	// The grandchild is an orphan of the session; the child ends and is waited for; then the shell waits for its input.
	cmd, s, stdin := shell(t, `(sleep 1000 & exec sleep 0.05)
(i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read x)
read y; exit 0`)
	pid := cmd.Process.Pid
	u := until(t, s, func(u SessionUsage) bool {
		return slices.ContainsFunc(u.Processes, func(p ProcessUsage) bool {
			return p.PID != pid && p.Command == "sh" && p.CPUNs > 20e6
		})
	})
	if u.Processes[0].PID != pid || u.Processes[0].Parent != os.Getpid() || u.PeakOctets == nil || *u.PeakOctets < 100<<10 ||
		*u.SumPeakOctets < *u.PeakOctets || u.ChildrenCPUNs < 20e6 {
		t.Errorf("%+v", u)
	}
	if members, err := SessionMembers(pid); err != nil || !slices.Contains(members, pid) || slices.Contains(members, os.Getpid()) {
		t.Errorf("%v, %v", members, err)
	}
	sleeps := 0
	for _, p := range u.Processes {
		if p.Command == "sleep" && !p.Ended {
			sleeps++
		}
	}
	if sleeps == 0 {
		t.Errorf("the orphan is not seen: %+v", u.Processes)
	}
	if _, err := stdin.WriteString("x\n"); err != nil {
		t.Fatal(err)
	}
	gone := until(t, s, func(u SessionUsage) bool {
		n := 0
		for _, p := range u.Processes {
			if !p.Ended {
				n++
			}
		}
		return n == 2
	})
	if gone.ChildrenCPUNs < u.ChildrenCPUNs || gone.CPUNs < u.CPUNs {
		t.Errorf("%+v after %+v", gone, u)
	}
	if _, err := stdin.WriteString("y\n"); err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	last := s.Read() // of a zombie
	if last.CPUNs < gone.CPUNs || last.Processes[0].Ended {
		t.Errorf("%+v after %+v", last, gone)
	}
	if err := unix.Kill(-pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	total := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	s.Reaped(total)
	s.Close()
	end := s.Read()
	if !end.Processes[0].Ended || end.CPUNs != last.CPUNs || end.CPUNs+end.ChildrenCPUNs < int64(total)-1000 {
		t.Errorf("%+v after the kernel's total of %v", end, total)
	}
}

func TestSessionPeakIsNotTheParents(t *testing.T) {
	const size = 256 << 20
	b := touch(t, size, unix.MAP_PRIVATE)
	defer unmap(t, b)
	_, s, _ := shell(t, "read x")
	u := until(t, s, func(u SessionUsage) bool { return u.Processes[0].Command == "sh" })
	if *u.PeakOctets > size/4 || *u.SumPeakOctets > size/4 {
		t.Errorf("the peak of a shell is %d octets", *u.PeakOctets)
	}
}

func TestSessionSamples(t *testing.T) {
	cmd, _, stdin := shell(t, "read x")
	s, err := WatchSession(cmd.Process.Pid, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first := s.Read().Samples
	until(t, s, func(u SessionUsage) bool { return u.Samples > first+1000 })
	_ = stdin.Close()
	_ = cmd.Wait()
	until(t, s, func(u SessionUsage) bool { return u.Processes[0].Ended })
	allocs := testing.AllocsPerRun(100, func() {
		s.mu.Lock()
		s.sample(false)
		s.mu.Unlock()
	})
	if allocs > 0 {
		t.Errorf("a sample allocates %v times", allocs)
	}
}

func BenchmarkSessionSample(b *testing.B) {
	_, s, _ := shell(b, "read x")
	for _, search := range []bool{false, true} {
		b.Run(map[bool]string{false: "sample", true: "search"}[search], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.mu.Lock()
				s.sample(search)
				s.mu.Unlock()
			}
		})
	}
}
