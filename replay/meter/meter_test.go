package meter

import (
	"encoding/json"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// spun burns CPU on the calling thread until its clock has moved by d.
func spun(t *testing.T, d time.Duration) uint64 {
	t.Helper()
	x := uint64(1)
	for start := ThreadCPU(); ThreadCPU()-start < d; {
		for range 10_000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
	return x
}

func start(t *testing.T) *Meter {
	t.Helper()
	m, err := Start(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func needsLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: CPU clocks are read on Linux only")
	}
}

func TestThreadCPUGrowsWithWorkAndNotWithSleep(t *testing.T) {
	needsLinux(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	last := ThreadCPU()
	for range 1000 {
		now := ThreadCPU()
		if now < last {
			t.Fatalf("thread CPU went back from %v to %v", last, now)
		}
		last = now
	}
	m := start(t)
	time.Sleep(50 * time.Millisecond)
	spun(t, 5*time.Millisecond)
	u := m.Stop()
	if u.ThreadCPUNs == nil || u.ProcessCPUNs == nil {
		t.Fatalf("thread CPU %v, process CPU %v: want both", u.ThreadCPUNs, u.ProcessCPUNs)
	}
	thread := time.Duration(*u.ThreadCPUNs)
	if thread < 5*time.Millisecond || thread > time.Duration(u.WallNs)-40*time.Millisecond {
		t.Errorf("thread CPU %v of %v wall after 5 ms of spinning and 50 ms of sleep", thread, time.Duration(u.WallNs))
	}
	if *u.ProcessCPUNs < *u.ThreadCPUNs {
		t.Errorf("process CPU %d ns < thread CPU %d ns", *u.ProcessCPUNs, *u.ThreadCPUNs)
	}
	if u.VoluntarySwitches == nil || *u.VoluntarySwitches < 1 {
		t.Errorf("voluntary switches %v after a sleep", u.VoluntarySwitches)
	}
	if u.InvoluntarySwitches == nil || u.MinorFaults == nil || u.MajorFaults == nil {
		t.Errorf("switches or faults missing: %+v", u)
	}
}

func TestWorkOfAnotherThreadIsTheProcesssOnly(t *testing.T) {
	needsLinux(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const work = 40 * time.Millisecond
	m := start(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		spun(t, work)
	}()
	<-done
	u := m.Stop()
	if *u.ProcessCPUNs < int64(work) || *u.ThreadCPUNs > int64(work)/2 {
		t.Errorf("another thread worked %v: process CPU %v, thread CPU %v",
			work, time.Duration(*u.ProcessCPUNs), time.Duration(*u.ThreadCPUNs))
	}
}

func TestThreadCPUAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { ThreadCPU() }); n != 0 {
		t.Errorf("%v allocations per call", n)
	}
}

func TestAllocationsAreCountedExactly(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const n = 100_000
	keep := make([]*[32]byte, n)
	runtime.GC()
	m := start(t)
	for i := range keep {
		keep[i] = new([32]byte)
	}
	u := m.Stop()
	runtime.KeepAlive(keep)
	// Other goroutines of the test binary may allocate a little; the span itself must not.
	if u.HeapAllocs < n || u.HeapAllocs > n+50 {
		t.Errorf("%d allocations counted, %d made", u.HeapAllocs, n)
	}
	if u.HeapAllocOctets < 32*n || u.HeapAllocOctets > 32*n+50_000 {
		t.Errorf("%d octets counted, %d allocated", u.HeapAllocOctets, 32*n)
	}
}

func TestCollectionsAreCounted(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := start(t)
	runtime.GC()
	runtime.GC()
	u := m.Stop()
	if u.GCCycles < 2 {
		t.Errorf("%d collections counted, 2 forced", u.GCCycles)
	}
	if u.GCPauseNs <= 0 {
		t.Errorf("pause %d ns", u.GCPauseNs)
	}
	if u.GCCPUNs == nil || *u.GCCPUNs <= 0 {
		t.Errorf("collector CPU %v after two collections", u.GCCPUNs)
	}
}

func TestCollectorSettingsAreThoseInForce(t *testing.T) {
	tests := []struct {
		name               string
		percent            int
		limit              int64
		wantGOGC, wantGOML int64
	}{
		{"default", 100, 1<<63 - 1, 100, -1},
		{"off", -1, 1<<63 - 1, -1, -1},
		{"limit", 50, 3 << 30, 50, 3 << 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(tt.percent))
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(tt.limit))
			u := start(t).Stop()
			if u.GOGCPercent != tt.wantGOGC || u.GOMEMLIMITOctets != tt.wantGOML {
				t.Errorf("GOGC %d GOMEMLIMIT %d, want %d %d",
					u.GOGCPercent, u.GOMEMLIMITOctets, tt.wantGOGC, tt.wantGOML)
			}
		})
	}
}

func TestInstructionsAreMissingOrReal(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := start(t)
	spun(t, time.Millisecond)
	u := m.Stop()
	if (u.Instructions == nil) != (u.Cycles == nil) {
		t.Errorf("instructions %v, cycles %v: want both or none", u.Instructions, u.Cycles)
	}
	if u.Instructions != nil {
		if *u.Instructions <= 0 || *u.Cycles <= 0 {
			t.Errorf("instructions %d, cycles %d", *u.Instructions, *u.Cycles)
		}
		return
	}
	if len(u.Notes) == 0 {
		t.Error("no instructions and no note that says why")
	}
	t.Log(u.Notes)
}

func TestSpansOfTwoThreadsMayOverlap(t *testing.T) {
	needsLinux(t)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range 2 {
				m, err := Start(Config{})
				if err != nil {
					t.Error(err)
					return
				}
				spun(t, 2*time.Millisecond)
				if u := m.Stop(); u.ThreadCPUNs == nil || *u.ThreadCPUNs < 2_000_000 {
					t.Errorf("thread CPU %v after 2 ms of spinning", u.ThreadCPUNs)
				}
			}
		})
	}
	wg.Wait()
}

func TestStopOnAnotherThreadSaysSo(t *testing.T) {
	needsLinux(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := start(t)
	done := make(chan Usage)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- m.Stop()
	}()
	u := <-done
	if u.ThreadCPUNs != nil || u.VoluntarySwitches != nil || u.Instructions != nil {
		t.Errorf("values of the thread are given: %+v", u)
	}
	if !strings.Contains(strings.Join(u.Notes, "\n"), "LockOSThread") {
		t.Errorf("notes %q", u.Notes)
	}
}

func TestCalibrationIsMeasured(t *testing.T) {
	u := start(t).Stop()
	// 20,000 dependent pairs of operations take more than 2 us on any clock below 10 GHz.
	if u.CalibrationBeforeNs < 2000 || u.CalibrationAfterNs < 2000 {
		t.Errorf("%d ns before, %d ns after", u.CalibrationBeforeNs, u.CalibrationAfterNs)
	}
}

func TestNegativeMappingIsRefused(t *testing.T) {
	if _, err := Start(Config{MappedOctets: -1}); err == nil {
		t.Error("no error")
	}
}

func TestMissingIsNullNeverZero(t *testing.T) {
	b, err := json.Marshal(Usage{})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	typ := reflect.TypeFor[Usage]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Type.Kind() != reflect.Pointer {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if v, ok := got[name]; !ok || v != nil {
			t.Errorf("%s: %v in JSON, want null", name, v)
		}
	}
}

func BenchmarkThreadCPU(b *testing.B) {
	for b.Loop() {
		ThreadCPU()
	}
}

func BenchmarkStartStop(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		m, err := Start(Config{})
		if err != nil {
			b.Fatal(err)
		}
		m.Stop()
	}
}
