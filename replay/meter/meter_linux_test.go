package meter

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const pageOctets = 4096 // no page is smaller

// touch maps octets of memory and writes to every page. A shared mapping is what a capture lies in, a private one is
// like the Go heap.
func touch(t *testing.T, octets, flags int) []byte {
	t.Helper()
	b, err := unix.Mmap(-1, 0, octets, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|flags)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(b); i += pageOctets {
		b[i] = 1
	}
	return b
}

func unmap(t *testing.T, b []byte) {
	t.Helper()
	if err := unix.Munmap(b); err != nil {
		t.Fatal(err)
	}
}

func TestPeakIsOfTheSpan(t *testing.T) {
	const size = 64 << 20
	const slack = 16 << 20 // what else the process may touch or give back meanwhile
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.FreeOSMemory()

	m := start(t)
	empty := m.Stop()
	if !empty.PeakReset {
		if !strings.Contains(strings.Join(empty.Notes, "\n"), "clear_refs") {
			t.Fatalf("the peak was not reset and no note says why: %q", empty.Notes)
		}
		t.Skipf("skipped: the peak cannot be reset here: %q", empty.Notes)
	}
	if empty.PeakOctets == nil || empty.EnginePeakOctets == nil {
		t.Fatalf("no peak: %+v", empty)
	}

	m = start(t)
	b := touch(t, size, unix.MAP_PRIVATE)
	unmap(t, b)
	full := m.Stop()
	if grown := *full.EnginePeakOctets - *empty.EnginePeakOctets; grown < size-slack || grown > size+slack {
		t.Errorf("peak grew by %d octets after %d were touched and freed", grown, size)
	}

	again := start(t).Stop()
	if grown := *again.EnginePeakOctets - *empty.EnginePeakOctets; grown > slack {
		t.Errorf("peak of the next span is still %d octets higher", grown)
	}
}

func TestPeakIsLessTheCapture(t *testing.T) {
	const size = 64 << 20
	const slack = 16 << 20
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.FreeOSMemory()
	before := start(t).Stop()
	if before.EnginePeakOctets == nil || !before.PeakReset {
		t.Skipf("skipped: no peak of the span here: %q", before.Notes)
	}
	for _, when := range []string{"resident before the span", "resident within the span"} {
		t.Run(when, func(t *testing.T) {
			var capture []byte
			if when == "resident before the span" {
				capture = touch(t, size, unix.MAP_SHARED)
			}
			m := start(t)
			if capture == nil {
				capture = touch(t, size, unix.MAP_SHARED)
			}
			u := m.Stop()
			unmap(t, capture)
			if *u.CaptureOctets < size || *u.CaptureOctets > size+slack {
				t.Errorf("capture %d octets resident, %d touched", *u.CaptureOctets, size)
			}
			if *u.PeakOctets < size {
				t.Errorf("peak %d octets is without the capture", *u.PeakOctets)
			}
			if d := *u.EnginePeakOctets - *before.EnginePeakOctets; d < -slack || d > slack {
				t.Errorf("the engine's peak moved by %d octets with the capture", d)
			}
		})
	}
}

// A child's ru_maxrss starts at its parent's; what the meter gives must not.
func TestPeakOfAChildIsItsOwn(t *testing.T) {
	if os.Getenv("METER_TEST_CHILD") != "" {
		u := start(t).Stop()
		if u.PeakOctets == nil || *u.PeakOctets > 96<<20 {
			t.Errorf("peak %v octets", show(u.PeakOctets))
		}
		return
	}
	b := touch(t, 128<<20, unix.MAP_PRIVATE)
	defer unmap(t, b)
	cmd := exec.Command(os.Args[0], "-test.run=^TestPeakOfAChildIsItsOwn$")
	cmd.Env = append(os.Environ(), "METER_TEST_CHILD=1")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.ENOEXEC) {
		t.Skip("skipped: this machine does not run its own test binary by itself (an emulator does)")
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFaultsOfTheThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Huge pages would serve many pages by one fault.
	b, err := unix.Mmap(-1, 0, 4<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unmap(t, b)
	if err := unix.Madvise(b, unix.MADV_NOHUGEPAGE); err != nil {
		t.Log(err)
	}
	pages := len(b) / os.Getpagesize()
	m := start(t)
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	u := m.Stop()
	if u.MinorFaults == nil || *u.MinorFaults < int64(pages)/32 {
		t.Errorf("%v minor faults after %d new pages", show(u.MinorFaults), pages)
	}
}

// A machine without hardware counters can still show that the group counts this thread, from enable on, in that order:
// the kernel's own counters are read the same way.
func TestCountersCountThisThread(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var c counters
	if err := c.open(unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK, unix.PERF_COUNT_SW_PAGE_FAULTS); err != nil {
		t.Skipf("skipped: %v", err)
	}
	defer c.close()
	spun(t, 50*time.Millisecond) // not counted yet
	if err := c.enable(); err != nil {
		t.Fatal(err)
	}
	from := ThreadCPU()
	unmap(t, touch(t, 1<<20, unix.MAP_PRIVATE))
	spun(t, 5*time.Millisecond)
	ns, faults, err := c.read()
	used := ThreadCPU() - from
	if err != nil {
		t.Fatal(err)
	}
	if got := time.Duration(ns); got < 5*time.Millisecond || got > used+40*time.Millisecond {
		t.Errorf("task clock %v, the thread used %v", got, used)
	}
	if faults < 1 || faults > 100_000 {
		t.Errorf("%d page faults", faults)
	}
}

func counted(values ...uint64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

func TestCountersThatStayAtZeroAreMissing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	tests := []struct {
		name string
		data []byte
		want bool
	}{
		{"idle", make([]byte, 24), false},
		{"taken", nil, false},
		{"counted", counted(2, 1000, 500), true},
		{"no cycles", counted(2, 1000, 0), false},
		{"one counter", counted(1, 1000, 500), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd := int(r.Fd())
			if tt.data == nil {
				null, err := os.Open(os.DevNull) // a counter that could not be pinned reads as the end of a file
				if err != nil {
					t.Fatal(err)
				}
				defer null.Close()
				fd = int(null.Fd())
			} else if _, err := w.Write(tt.data); err != nil {
				t.Fatal(err)
			}
			c := counters{leader: fd}
			instructions, cycles, err := c.read()
			if ok := err == nil; ok != tt.want {
				t.Fatalf("error %v, want a count: %v", err, tt.want)
			}
			if tt.want && (instructions != 1000 || cycles != 500) {
				t.Errorf("%d instructions, %d cycles", instructions, cycles)
			}
		})
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start(t).Stop()
	before := openFiles(t)
	for range 10 {
		start(t).Stop()
		var c counters
		if c.open(unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK, unix.PERF_COUNT_SW_PAGE_FAULTS) == nil {
			c.close()
		}
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("skipped: ", err)
	}
	return len(entries)
}
