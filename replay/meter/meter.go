// Package meter measures what a trial costs: CPU time, memory, garbage collection, scheduling, hardware counters, and
// what the machine did meanwhile (steal, pressure, clock frequency, temperature, throttling). It also says what machine
// that was, as [Environment].
//
// A number that cannot be read is a nil pointer, in JSON null, to be printed as "n/a". It is never 0: zero is a
// measurement. Where there is a reason worth knowing, Notes has it. All of it is read on Linux; elsewhere only the wall
// clock and the Go runtime's own figures are there.
package meter

import (
	"math"
	"runtime"
	"runtime/metrics"
	"time"
)

// Config says where and what to meter. The zero value is the running machine, with the capture's memory told from the
// kernel's count of shared pages.
type Config struct {
	// Roots is where /proc and /sys are.
	Roots Roots `json:"roots"`
	// MappedOctets is the size of the capture's mapping. It is used only where the kernel does not count resident
	// shared memory (before Linux 4.5): the mapping is then taken as resident whole.
	MappedOctets int64 `json:"mapped_octets"`
}

// Usage is what one metered span cost. Durations are nanoseconds, sizes octets. Values "of the thread" are of the one
// that called Start; values "of the process" hold all its threads, the collector's included; values "of the machine"
// hold every other process too.
type Usage struct {
	// WallNs is elapsed time on the monotonic clock.
	WallNs int64 `json:"wall_ns"`
	// ThreadCPUNs is CPU time of the thread, user and system (CLOCK_THREAD_CPUTIME_ID).
	ThreadCPUNs *int64 `json:"thread_cpu_ns"`
	// ProcessCPUNs is CPU time of the process, user and system (CLOCK_PROCESS_CPUTIME_ID).
	ProcessCPUNs *int64 `json:"process_cpu_ns"`

	// GCCycles counts the collections that ended within the span; GCPauseNs is how long they stopped all goroutines.
	GCCycles  int64 `json:"gc_cycles"`
	GCPauseNs int64 `json:"gc_pause_ns"`
	// GCCPUNs is the runtime's estimate of CPU time spent collecting. It moves only when a collection ends.
	GCCPUNs *int64 `json:"gc_cpu_ns"`
	// HeapAllocs and HeapAllocOctets count what the process allocated on the Go heap, freed or not.
	HeapAllocs      int64 `json:"heap_allocs"`
	HeapAllocOctets int64 `json:"heap_alloc_octets"`
	// GOGCPercent and GOMEMLIMITOctets are the collector's settings in force at the end; -1 is off.
	GOGCPercent      int64 `json:"gogc_percent"`
	GOMEMLIMITOctets int64 `json:"gomemlimit_octets"`

	// VoluntarySwitches are the thread's waits; InvoluntarySwitches are those where it was put off the CPU.
	VoluntarySwitches   *int64 `json:"voluntary_switches"`
	InvoluntarySwitches *int64 `json:"involuntary_switches"`
	// MinorFaults are page faults of the thread served without, MajorFaults those served with, reading a disk.
	MinorFaults *int64 `json:"minor_faults"`
	MajorFaults *int64 `json:"major_faults"`

	// StealNs is time the hypervisor gave to others while this machine had work, over all CPUs, in steps of 10 ms.
	StealNs *int64 `json:"steal_ns"`
	// CPUPressureNs is time in which some task of the machine waited for a CPU (/proc/pressure/cpu, some).
	CPUPressureNs *int64 `json:"cpu_pressure_ns"`

	// PeakOctets is the most memory of the process that was resident at once (VmHWM), the capture included. It is of
	// this span if PeakReset, else of the whole life of the process.
	PeakOctets *int64 `json:"peak_octets"`
	PeakReset  bool   `json:"peak_reset"`
	// CaptureOctets is the resident part of the capture at the end: the shared pages of the process.
	CaptureOctets *int64 `json:"capture_octets"`
	// EnginePeakOctets is PeakOctets less CaptureOctets: exact if the capture was resident whole before Start, else a
	// lower bound.
	EnginePeakOctets *int64 `json:"engine_peak_octets"`

	// Instructions and Cycles are the thread's, in user mode, from the hardware counters.
	Instructions *int64 `json:"instructions"`
	Cycles       *int64 `json:"cycles"`

	// FrequencyBeforeHz and FrequencyAfterHz are the clock of the CPU that the thread was on, as the kernel believes it.
	FrequencyBeforeHz *int64 `json:"frequency_before_hz"`
	FrequencyAfterHz  *int64 `json:"frequency_after_hz"`
	// TemperatureBeforeMilliC and TemperatureAfterMilliC are the processor's, in thousandths of a degree Celsius.
	TemperatureBeforeMilliC *int64 `json:"temperature_before_milli_c"`
	TemperatureAfterMilliC  *int64 `json:"temperature_after_milli_c"`
	// ThrottleBefore and ThrottleAfter are the Raspberry Pi firmware's flags.
	ThrottleBefore *ThrottleFlags `json:"throttle_before"`
	ThrottleAfter  *ThrottleFlags `json:"throttle_after"`
	// UnderVoltage says whether the board's voltage sensor raised its alarm before or after the span; kernels without
	// the flags may have the sensor.
	UnderVoltage *bool `json:"under_voltage"`
	// Throttled says whether the processor was held back: by the flags as [ThrottleFlags.During] says, or for sure if
	// UnderVoltage.
	Throttled *bool `json:"throttled"`

	// CalibrationBeforeNs and CalibrationAfterNs are the least times of a fixed loop of integer arithmetic. Their ratio
	// shows a change of clock that the kernel does not know of; the loop is the same on one build, not across builds.
	CalibrationBeforeNs int64 `json:"calibration_before_ns"`
	CalibrationAfterNs  int64 `json:"calibration_after_ns"`

	// Notes are the reasons for what is missing or doubtful.
	Notes []string `json:"notes,omitempty"`
}

// Meter is one span being measured.
type Meter struct {
	cfg    Config
	thread threadMeter
	peak   peakResetter

	heap, heapAfter runtime.MemStats
	gc              []metrics.Sample
	gcCPU           float64
	calibration     int64
	before          machine
	clocks          clocks
	notes           []string
}

// clocks are read together, at the very edges of the span.
type clocks struct {
	wall            time.Time
	thread, process time.Duration // negative: not available
}

// Names of the runtime's metrics, in the order of Meter.gc.
const (
	gcCPUMetric = iota
	gogcMetric
	memoryLimitMetric
)

// Start begins a span. The goroutine must be locked to its thread (runtime.LockOSThread) until Stop, which it must call
// itself. Spans of several threads may overlap: what is the process's or the machine's is then in each of them.
//
// Start stops the world to count allocations, resets the process's peak of resident memory, and takes about half a
// millisecond; after it has counted it allocates nothing. It collects no garbage: a caller who wants none of earlier
// work in the span calls runtime.GC before. What cannot be read is nil in Usage and no error; the error is for a Config
// that makes no sense: negative MappedOctets.
func Start(cfg Config) (*Meter, error) {
	if cfg.MappedOctets < 0 {
		return nil, errNegativeMapping
	}
	m := &Meter{cfg: cfg}
	m.gc = []metrics.Sample{
		gcCPUMetric:       {Name: "/cpu/classes/gc/total:cpu-seconds"},
		gogcMetric:        {Name: "/gc/gogc:percent"},
		memoryLimitMetric: {Name: "/gc/gomemlimit:bytes"},
	}
	m.notes = m.thread.open(m.notes)
	m.notes = m.peak.open(cfg.Roots, m.notes)
	m.before = readMachine(cfg.Roots, m.thread.cpu())
	m.calibration = calibrate()
	metrics.Read(m.gc)
	m.gcCPU = math.NaN()
	if v := m.gc[gcCPUMetric].Value; v.Kind() == metrics.KindFloat64 {
		m.gcCPU = v.Float64()
	}
	runtime.ReadMemStats(&m.heapAfter) // maps the pages of the second copy before the span
	runtime.ReadMemStats(&m.heap)
	m.peak.reset()
	m.thread.start()
	m.clocks = clocks{process: processCPU(), thread: ThreadCPU(), wall: time.Now()}
	return m, nil
}

// Stop ends the span and returns what it cost. It reads the clocks before all else and must be called once, by the
// goroutine that called Start.
func (m *Meter) Stop() Usage {
	end := clocks{wall: time.Now(), thread: ThreadCPU(), process: processCPU()}
	m.thread.stop()
	runtime.ReadMemStats(&m.heapAfter)
	metrics.Read(m.gc)

	u := Usage{
		WallNs:          int64(end.wall.Sub(m.clocks.wall)),
		ThreadCPUNs:     elapsed(m.clocks.thread, end.thread),
		ProcessCPUNs:    elapsed(m.clocks.process, end.process),
		GCCycles:        int64(m.heapAfter.NumGC - m.heap.NumGC),
		GCPauseNs:       int64(m.heapAfter.PauseTotalNs - m.heap.PauseTotalNs),
		HeapAllocs:      int64(m.heapAfter.Mallocs - m.heap.Mallocs),
		HeapAllocOctets: int64(m.heapAfter.TotalAlloc - m.heap.TotalAlloc),
		PeakReset:       m.peak.done,

		CalibrationBeforeNs: m.calibration,
		CalibrationAfterNs:  calibrate(),

		Notes: m.notes,
	}
	u.GOGCPercent, u.GOMEMLIMITOctets = collectorSettings(m.gc[gogcMetric], m.gc[memoryLimitMetric])
	if v := m.gc[gcCPUMetric].Value; v.Kind() == metrics.KindFloat64 && v.Float64() >= m.gcCPU {
		u.GCCPUNs = pointer(int64((v.Float64() - m.gcCPU) * 1e9))
	}
	m.peak.report(m.cfg, &u)
	m.before.report(readMachine(m.cfg.Roots, m.thread.cpu()), &u)
	m.thread.report(&u)
	return u
}

// collectorSettings translates the runtime's "off" (the largest number) to -1.
func collectorSettings(gogc, limit metrics.Sample) (percent, octets int64) {
	percent, octets = -1, -1
	if v := gogc.Value; v.Kind() == metrics.KindUint64 && v.Uint64() <= math.MaxInt32 {
		percent = int64(v.Uint64())
	}
	if v := limit.Value; v.Kind() == metrics.KindUint64 && v.Uint64() < math.MaxInt64 {
		octets = int64(v.Uint64())
	}
	return percent, octets
}

// calibrate returns the least time of several runs of a loop whose every step needs the one before: about 20 us each on
// a fast processor, so that one of them goes undisturbed.
func calibrate() int64 {
	least := int64(math.MaxInt64)
	var x uint32
	for range 5 {
		start := time.Now()
		x = calibrationLoop(x)
		least = min(least, int64(time.Since(start)))
	}
	runtime.KeepAlive(x)
	return least
}

//go:noinline
func calibrationLoop(x uint32) uint32 {
	for i := range uint32(20_000) {
		x = (x + 0x9e3779b9) ^ i
	}
	return x
}

func elapsed(from, to time.Duration) *int64 {
	if from < 0 || to < from {
		return nil
	}
	return pointer(int64(to - from))
}

func pointer[T any](v T) *T { return &v }
