package meter

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
)

// Environment is the machine and the runtime that a result was made on. Strings that are not known are empty, numbers
// nil. What names a person's machine (host name, serial number, addresses) is not in it.
type Environment struct {
	// OS and Arch are what this program was built for; Bits is the size of its addresses, which a 64-bit kernel may
	// run at 32.
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Bits int    `json:"bits"`
	// Kernel is the kernel's release; KernelArch its machine (Linux 6.1 and later).
	Kernel     string `json:"kernel,omitempty"`
	KernelArch string `json:"kernel_arch,omitempty"`

	// CPU is the processor's model; on ARM it is translated from implementer and part, of every kind of core.
	CPU string `json:"cpu,omitempty"`
	// Vendor is the maker of the processor or, on ARM, of the core's design.
	Vendor string `json:"vendor,omitempty"`
	// Implementer and Part are the ARM core's numbers as the kernel gives them, such as 0x41 and 0xd03.
	Implementer string `json:"implementer,omitempty"`
	Part        string `json:"part,omitempty"`
	// CoresOnline and CoresPossible count logical CPUs.
	CoresOnline   *int64 `json:"cores_online"`
	CoresPossible *int64 `json:"cores_possible"`
	// Virtual says whether a hypervisor shows itself; nil where the processor has no such flag.
	Virtual *bool `json:"virtual"`

	// Caches are those of the first CPU, CacheSource where their sizes are from: "sysfs", or the board whose data
	// sheet they were taken from because the kernel has none.
	Caches      []Cache `json:"caches,omitempty"`
	CacheSource string  `json:"cache_source,omitempty"`

	// Governor and the frequencies are those of the first CPU's policy in force.
	Governor           string `json:"governor,omitempty"`
	FrequencyMinHz     *int64 `json:"frequency_min_hz"`
	FrequencyMaxHz     *int64 `json:"frequency_max_hz"`
	FrequencyCurrentHz *int64 `json:"frequency_current_hz"`
	// FrequencyFirmwareHz is the clock that the Raspberry Pi's firmware gives the processor by its own measurement, which
	// may be lower than what the kernel has asked for.
	FrequencyFirmwareHz *int64 `json:"frequency_firmware_hz"`
	// TemperatureMilliC is the processor's, in thousandths of a degree Celsius.
	TemperatureMilliC *int64 `json:"temperature_milli_c"`
	// Throttle has the Raspberry Pi firmware's flags.
	Throttle *ThrottleFlags `json:"throttle"`
	// UnderVoltage says whether the board's voltage sensor raises its alarm; kernels without the flags may have it.
	UnderVoltage *bool `json:"under_voltage"`

	// Board is the device tree's model; SoC is the last, most general, of its compatible strings.
	Board string `json:"board,omitempty"`
	SoC   string `json:"soc,omitempty"`

	MemoryOctets          *int64 `json:"memory_octets"`
	MemoryAvailableOctets *int64 `json:"memory_available_octets"`
	SwapOctets            *int64 `json:"swap_octets"`

	GoVersion  string `json:"go_version"`
	GOMAXPROCS int    `json:"gomaxprocs"`
	// GOGCPercent and GOMEMLIMITOctets are the collector's settings in force; -1 is off.
	GOGCPercent      int64 `json:"gogc_percent"`
	GOMEMLIMITOctets int64 `json:"gomemlimit_octets"`

	// Notes are the reasons for what is missing or doubtful.
	Notes []string `json:"notes,omitempty"`
}

// Cache is one cache of a CPU.
type Cache struct {
	Level  int    `json:"level"`
	Type   string `json:"type"` // "Data", "Instruction" or "Unified"
	Octets int64  `json:"octets"`
}

// L2Octets returns the size of the second-level cache, and whether it is known.
func (e *Environment) L2Octets() (int64, bool) {
	for _, c := range e.Caches {
		if c.Level == 2 && c.Type != "Instruction" {
			return c.Octets, true
		}
	}
	return 0, false
}

// LLCOctets returns the size of the last-level data cache, which may be the second level, and whether it is known.
func (e *Environment) LLCOctets() (int64, bool) {
	var last Cache
	for _, c := range e.Caches {
		if c.Type != "Instruction" && c.Level > last.Level {
			last = c
		}
	}
	return last.Octets, last.Level > 0
}

// ReadEnvironment reads the environment from the files under roots and from the Go runtime.
func ReadEnvironment(roots Roots) Environment {
	e := Environment{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Bits: strconv.IntSize,
		GoVersion: runtime.Version(), GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
	gc := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(gc)
	e.GOGCPercent, e.GOMEMLIMITOctets = collectorSettings(gc[0], gc[1])

	line := func(name string) string {
		b, _ := read(name, &e.Notes)
		return strings.TrimSpace(b)
	}
	e.Kernel = line(roots.proc("sys/kernel/osrelease"))
	e.KernelArch = line(roots.proc("sys/kernel/arch"))
	if b, ok := read(roots.proc("cpuinfo"), &e.Notes); ok {
		e.setCPU(parseCPUInfo(b))
	}
	e.CoresOnline = e.cores(roots.sys("devices/system/cpu/online"))
	e.CoresPossible = e.cores(roots.sys("devices/system/cpu/possible"))

	if model, ok := readDeviceTree(roots, "model", &e.Notes); ok {
		e.Board = model[0]
	}
	if compatible, ok := readDeviceTree(roots, "compatible", &e.Notes); ok {
		e.SoC = compatible[len(compatible)-1]
		if slices.Contains(compatible, "linux,dummy-virt") {
			e.Virtual = pointer(true)
		}
	}
	e.readCaches(roots)

	e.Governor = line(roots.sys("devices/system/cpu/cpu0/cpufreq/scaling_governor"))
	e.FrequencyMinHz = readFrequency(roots, 0, "scaling_min_freq", &e.Notes)
	e.FrequencyMaxHz = readFrequency(roots, 0, "scaling_max_freq", &e.Notes)
	e.FrequencyCurrentHz = readFrequency(roots, 0, "scaling_cur_freq", &e.Notes)
	e.TemperatureMilliC = readTemperature(roots, &e.Notes)
	e.FrequencyFirmwareHz = readFirmwareFrequency(roots, &e.Notes)
	e.Throttle = readThrottle(roots, &e.Notes)
	e.UnderVoltage = readUnderVoltage(roots, &e.Notes)

	if b, ok := read(roots.proc("meminfo"), &e.Notes); ok {
		size := func(key string) *int64 {
			if v, ok := statusOctets(b, key); ok {
				return &v
			}
			e.Notes = append(e.Notes, fmt.Sprintf("%s: no %s", roots.proc("meminfo"), key))
			return nil
		}
		e.MemoryOctets = size("MemTotal")
		e.MemoryAvailableOctets = size("MemAvailable")
		e.SwapOctets = size("SwapTotal")
	}
	return e
}

func (e *Environment) cores(name string) *int64 {
	b, ok := read(name, &e.Notes)
	if !ok {
		return nil
	}
	n, ok := countCPUs(b)
	if !ok {
		e.Notes = append(e.Notes, fmt.Sprintf("%s: %q is not a list of CPUs", name, shorten(b)))
		return nil
	}
	return &n
}

// countCPUs counts the CPUs of a list such as "0-3,6".
func countCPUs(s string) (int64, bool) {
	var n int64
	for part := range strings.SplitSeq(strings.TrimSpace(s), ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return 0, false
		}
		to, err := strconv.ParseUint(high, 10, 16)
		if err != nil || to < from {
			return 0, false
		}
		n += int64(to-from) + 1
	}
	return n, true
}

// cpuInfo is what is of use in /proc/cpuinfo.
type cpuInfo struct {
	model, vendor string
	cores         []armCore // distinct, in order of first appearance
	flags         bool      // whether there are x86 flags at all
	hypervisor    bool
}

type armCore struct{ implementer, part string }

func parseCPUInfo(s string) cpuInfo {
	var c cpuInfo
	implementer := ""
	for line := range strings.Lines(s) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch key {
		case "model name":
			if c.model == "" {
				c.model = value
			}
		case "vendor_id":
			c.vendor = value
		case "flags":
			c.flags = true
			c.hypervisor = slices.Contains(strings.Fields(value), "hypervisor")
		case "CPU implementer":
			implementer = strings.ToLower(value)
		case "CPU part":
			core := armCore{implementer, strings.ToLower(value)}
			if !slices.Contains(c.cores, core) {
				c.cores = append(c.cores, core)
			}
		}
	}
	return c
}

func (e *Environment) setCPU(c cpuInfo) {
	e.CPU, e.Vendor = c.model, c.vendor
	if c.flags {
		e.Virtual = &c.hypervisor
	}
	if len(c.cores) == 0 {
		if c.model == "" {
			e.Notes = append(e.Notes, "cpu: cpuinfo names no model")
		}
		return
	}
	e.Implementer, e.Part = c.cores[0].implementer, c.cores[0].part
	e.Vendor = armVendors[e.Implementer]
	var names []string
	for _, core := range c.cores {
		name := armNames[core]
		if name == "" {
			name = strings.TrimSpace("implementer " + core.implementer + " part " + core.part)
		}
		names = append(names, name)
	}
	e.CPU = strings.Join(names, " + ")
}

// armVendors and armNames translate the main ID register's fields, by Arm's technical reference manuals.
var armVendors = map[string]string{
	"0x41": "Arm", "0x42": "Broadcom", "0x48": "HiSilicon", "0x4e": "NVIDIA", "0x51": "Qualcomm", "0x61": "Apple",
	"0xc0": "Ampere",
}

var armNames = map[armCore]string{
	{"0x41", "0xb76"}: "ARM1176",
	{"0x41", "0xc07"}: "Cortex-A7",
	{"0x41", "0xc08"}: "Cortex-A8",
	{"0x41", "0xc09"}: "Cortex-A9",
	{"0x41", "0xc0f"}: "Cortex-A15",
	{"0x41", "0xd03"}: "Cortex-A53",
	{"0x41", "0xd04"}: "Cortex-A35",
	{"0x41", "0xd05"}: "Cortex-A55",
	{"0x41", "0xd07"}: "Cortex-A57",
	{"0x41", "0xd08"}: "Cortex-A72",
	{"0x41", "0xd09"}: "Cortex-A73",
	{"0x41", "0xd0a"}: "Cortex-A75",
	{"0x41", "0xd0b"}: "Cortex-A76",
	{"0x41", "0xd0c"}: "Neoverse-N1",
	{"0x41", "0xd40"}: "Neoverse-V1",
	{"0x41", "0xd41"}: "Cortex-A78",
	{"0x41", "0xd49"}: "Neoverse-N2",
	{"0x41", "0xd4f"}: "Neoverse-V2",
}

// readDeviceTree returns a property that is a list of strings, each ended by NUL.
func readDeviceTree(r Roots, property string, notes *[]string) ([]string, bool) {
	for _, name := range []string{r.proc("device-tree/" + property), r.sys("firmware/devicetree/base/" + property)} {
		b, ok := read(name, notes)
		if !ok {
			continue
		}
		b = strings.TrimRight(b, "\x00\n")
		if b == "" || strings.ContainsFunc(b, func(c rune) bool { return c != 0 && (c < ' ' || c > '~') }) {
			*notes = append(*notes, name+": is not printable text")
			return nil, false
		}
		return strings.Split(b, "\x00"), true
	}
	return nil, false
}

// readCaches takes the sizes from sysfs. Kernels that get them neither from the device tree nor from the processor list
// caches without sizes, or none: then those of a known SoC are taken.
func (e *Environment) readCaches(r Roots) {
	indexes, _ := filepath.Glob(r.sys("devices/system/cpu/cpu0/cache/index*"))
	for _, index := range indexes {
		level := readInt(filepath.Join(index, "level"), &e.Notes)
		kind, _ := read(filepath.Join(index, "type"), &e.Notes)
		size, ok := read(filepath.Join(index, "size"), &e.Notes)
		if level == nil || *level < 1 || *level > 9 || !ok {
			continue
		}
		octets, ok := parseCacheSize(size)
		if !ok {
			e.Notes = append(e.Notes, fmt.Sprintf("%s: %q is not a size", filepath.Join(index, "size"), shorten(size)))
			continue
		}
		e.Caches = append(e.Caches, Cache{Level: int(*level), Type: strings.TrimSpace(kind), Octets: octets})
	}
	if e.Caches != nil {
		e.CacheSource = "sysfs"
		return
	}
	if soc, ok := socCaches[e.SoC]; ok {
		e.Caches = slices.Clone(soc.caches)
		e.CacheSource = soc.source
	}
}

// parseCacheSize parses a size such as 512K, in octets.
func parseCacheSize(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	unit := int64(1)
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'K':
			s, unit = s[:n-1], 1<<10
		case 'M':
			s, unit = s[:n-1], 1<<20
		}
	}
	v, ok := scaled(s, unit)
	return v, ok && v > 0 && v < math.MaxInt32
}

// socCaches are the caches of the Raspberry Pi's SoCs, by the last string of the device tree's compatible property,
// from the processor pages of the Raspberry Pi documentation and, for the first level, Arm's manuals of the cores. The
// BCM2835's second level is the graphics processor's, through which the ARM core's accesses go by default.
var socCaches = map[string]struct {
	source string
	caches []Cache
}{
	"brcm,bcm2835": {"table: BCM2835", []Cache{l1d(16), l1i(16), unified(2, 128)}},
	"brcm,bcm2836": {"table: BCM2836", []Cache{l1d(32), l1i(32), unified(2, 512)}},
	"brcm,bcm2837": {"table: BCM2837", []Cache{l1d(32), l1i(32), unified(2, 512)}},
	"brcm,bcm2711": {"table: BCM2711", []Cache{l1d(32), l1i(48), unified(2, 1024)}},
	"brcm,bcm2712": {"table: BCM2712", []Cache{l1d(64), l1i(64), unified(2, 512), unified(3, 2048)}},
}

func l1d(ki int64) Cache { return Cache{Level: 1, Type: "Data", Octets: ki << 10} }
func l1i(ki int64) Cache { return Cache{Level: 1, Type: "Instruction", Octets: ki << 10} }
func unified(level int, ki int64) Cache {
	return Cache{Level: level, Type: "Unified", Octets: ki << 10}
}

// String describes the machine in one line, as results carry it.
func (e *Environment) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch {
	case e.Board != "":
		add("%s", e.Board)
	case e.CPU != "":
		add("%s", e.CPU)
	}
	if e.CoresOnline != nil {
		add("%d CPUs", *e.CoresOnline)
	}
	if e.Virtual != nil && *e.Virtual {
		add("virtual")
	}
	if l2, ok := e.L2Octets(); ok {
		add("L2 %d KiB", l2>>10)
	}
	if llc, ok := e.LLCOctets(); ok {
		add("last level %d KiB", llc>>10)
	}
	if e.Governor != "" {
		add("governor %s", e.Governor)
	}
	add("%s/%s", e.OS, e.Arch)
	if e.Kernel != "" {
		add("kernel %s", e.Kernel)
	}
	add("%s", e.GoVersion)
	add("GOMAXPROCS %d", e.GOMAXPROCS)
	return strings.Join(parts, ", ")
}
