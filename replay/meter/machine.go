package meter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var errNegativeMapping = errors.New("meter: mapped octets must not be negative")

// Roots is where the kernel's files are. Empty means "/proc" and "/sys"; tests set it to trees of files.
type Roots struct {
	Proc string `json:"proc,omitempty"`
	Sys  string `json:"sys,omitempty"`
}

func (r Roots) proc(name string) string {
	if r.Proc == "" {
		return "/proc/" + name
	}
	return filepath.Join(r.Proc, name)
}

func (r Roots) sys(name string) string {
	if r.Sys == "" {
		return "/sys/" + name
	}
	return filepath.Join(r.Sys, name)
}

// ThrottleFlags are the flags of the Raspberry Pi firmware's get_throttled.
type ThrottleFlags uint32

// The flags that hold now. Each has a sticky twin, 16 bits higher, that says it has held at some time before.
const (
	UnderVoltage ThrottleFlags = 1 << iota
	FrequencyCapped
	ThrottledNow
	SoftTemperatureLimit

	throttleNow = UnderVoltage | FrequencyCapped | ThrottledNow | SoftTemperatureLimit
)

// Now returns the flags that held when f was read, without the sticky ones.
func (f ThrottleFlags) Now() ThrottleFlags { return f & throttleNow }

// Sticky returns the flags that held at some time before f was read, moved down to the places of the flags of now.
func (f ThrottleFlags) Sticky() ThrottleFlags { return f >> 16 & throttleNow }

// During says whether the processor was held back between the reading before and the reading f after: true if a flag
// held at either reading or a sticky flag is new, false if no flag is left at the end, nil if a sticky flag was there
// before and after, so that its cause may lie before the span or in it.
func (f ThrottleFlags) During(before ThrottleFlags) *bool {
	switch {
	case before.Now() != 0 || f.Now() != 0 || f.Sticky()&^before.Sticky() != 0:
		return pointer(true)
	case f.Sticky() != 0:
		return nil
	}
	return pointer(false)
}

// String lists the flags in words, "none" if there are none.
func (f ThrottleFlags) String() string {
	names := []string{"under-voltage", "frequency capped", "throttled", "soft temperature limit"}
	var words []string
	for i, name := range names {
		if f.Now()>>i&1 != 0 {
			words = append(words, name)
		}
	}
	for i, name := range names {
		if f.Sticky()>>i&1 != 0 {
			words = append(words, name+" before")
		}
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}

// machine is what is read from files about the whole machine at one edge of a span.
type machine struct {
	steal, pressure   *int64
	frequency, milliC *int64
	throttle          *ThrottleFlags
	underVoltage      *bool
	notes             []string
}

func readMachine(r Roots, cpu int) machine {
	var m machine
	if b, ok := read(r.proc("stat"), &m.notes); ok {
		if ns, ok := parseSteal(b); ok {
			m.steal = &ns
		} else {
			m.notes = append(m.notes, "steal: "+r.proc("stat")+" has no such column")
		}
	}
	if b, ok := read(r.proc("pressure/cpu"), &m.notes); ok {
		if ns, ok := parsePressure(b); ok {
			m.pressure = &ns
		} else {
			m.notes = append(m.notes, "cpu pressure: "+r.proc("pressure/cpu")+" is not understood")
		}
	}
	m.frequency = readFrequency(r, cpu, "scaling_cur_freq", &m.notes)
	m.milliC = readTemperature(r, &m.notes)
	m.throttle = readThrottle(r, &m.notes)
	m.underVoltage = readUnderVoltage(r, &m.notes)
	return m
}

func (m machine) report(after machine, u *Usage) {
	u.StealNs = difference(m.steal, after.steal)
	u.CPUPressureNs = difference(m.pressure, after.pressure)
	u.FrequencyBeforeHz, u.FrequencyAfterHz = m.frequency, after.frequency
	u.TemperatureBeforeMilliC, u.TemperatureAfterMilliC = m.milliC, after.milliC
	u.ThrottleBefore, u.ThrottleAfter = m.throttle, after.throttle
	if m.throttle != nil && after.throttle != nil {
		u.Throttled = after.throttle.During(*m.throttle)
		if u.Throttled == nil {
			u.note("throttled: sticky flags were set before and after the span")
		}
	}
	if m.underVoltage != nil && after.underVoltage != nil {
		u.UnderVoltage = pointer(*m.underVoltage || *after.underVoltage)
		switch {
		case *u.UnderVoltage:
			u.Throttled = pointer(true)
		case m.throttle == nil && after.throttle == nil:
			u.note("throttled: this kernel tells only of under-voltage, and there was none")
		}
	}
	for _, note := range append(m.notes, after.notes...) {
		u.note(note)
	}
}

// note adds a note that is not there yet.
func (u *Usage) note(s string) {
	for _, have := range u.Notes {
		if have == s {
			return
		}
	}
	u.Notes = append(u.Notes, s)
}

// reportMemory fills in the peak and the capture's part of it.
func reportMemory(cfg Config, u *Usage) {
	name := cfg.Roots.proc("self/status")
	b, ok := read(name, &u.Notes)
	if !ok {
		return
	}
	if v, ok := statusOctets(b, "VmHWM"); ok {
		u.PeakOctets = &v
	} else {
		u.note("peak memory: no VmHWM in " + name)
	}
	if v, ok := statusOctets(b, "RssShmem"); ok {
		u.CaptureOctets = &v
	} else if cfg.MappedOctets > 0 {
		u.CaptureOctets = &cfg.MappedOctets
		u.note("capture memory: no RssShmem in " + name + ": the whole mapping is taken as resident")
	} else {
		u.note("capture memory: no RssShmem in " + name)
	}
	if u.PeakOctets != nil && u.CaptureOctets != nil && *u.PeakOctets >= *u.CaptureOctets {
		u.EnginePeakOctets = pointer(*u.PeakOctets - *u.CaptureOctets)
	}
}

// read returns a small file whole. A file that is not there is no news; any other failure is a note.
func read(name string, notes *[]string) (string, bool) {
	b, err := os.ReadFile(name)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			*notes = append(*notes, err.Error())
		}
		return "", false
	}
	return string(b), true
}

// readInt reads a file that holds one decimal number.
func readInt(name string, notes *[]string) *int64 {
	b, ok := read(name, notes)
	if !ok {
		return nil
	}
	v, err := strconv.ParseInt(strings.TrimSpace(b), 10, 64)
	if err != nil {
		*notes = append(*notes, fmt.Sprintf("%s: %q is not a number", name, shorten(b)))
		return nil
	}
	return &v
}

func shorten(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// readFrequency returns a file of a CPU's frequency policy, in Hz; the files hold kHz.
func readFrequency(r Roots, cpu int, file string, notes *[]string) *int64 {
	name := r.sys(fmt.Sprintf("devices/system/cpu/cpu%d/cpufreq/%s", cpu, file))
	v := readInt(name, notes)
	if v == nil {
		return nil
	}
	if *v <= 0 || *v > 1e9 {
		*notes = append(*notes, fmt.Sprintf("%s: %d kHz is not a frequency", name, *v))
		return nil
	}
	return pointer(*v * 1000)
}

// readTemperature returns that of the first thermal zone which says it is the processor's, else of the first which is
// the whole board's.
func readTemperature(r Roots, notes *[]string) *int64 {
	zones, _ := filepath.Glob(r.sys("class/thermal/thermal_zone*"))
	board := ""
	for _, zone := range zones {
		kind, _ := read(filepath.Join(zone, "type"), notes)
		switch kind = strings.ToLower(strings.TrimSpace(kind)); {
		case strings.Contains(kind, "cpu"), strings.Contains(kind, "soc"), kind == "x86_pkg_temp",
			kind == "bcm2835_thermal":
			return readInt(filepath.Join(zone, "temp"), notes)
		case kind == "acpitz" && board == "":
			board = zone
		}
	}
	if board == "" {
		return nil
	}
	return readInt(filepath.Join(board, "temp"), notes)
}

// readThrottle asks the firmware; where that cannot be, it looks where the kernels of the Raspberry Pi have had
// get_throttled: below the firmware's device. The sticky flags of those files hold since the file was last read.
func readThrottle(r Roots, notes *[]string) *ThrottleFlags {
	var asked error
	if r.Sys == "" {
		var flags ThrottleFlags
		if flags, asked = askThrottled(); asked == nil {
			return &flags
		}
	}
	for _, pattern := range []string{
		"devices/platform/soc/soc:firmware/get_throttled",
		"devices/platform/soc/*firmware*/get_throttled",
		"devices/platform/*firmware*/get_throttled",
		"devices/platform/*/*firmware*/get_throttled",
	} {
		names, _ := filepath.Glob(r.sys(pattern))
		for _, name := range names {
			b, ok := read(name, notes)
			if !ok {
				continue
			}
			flags, ok := parseThrottle(b)
			if !ok {
				*notes = append(*notes, fmt.Sprintf("%s: %q is not a hexadecimal number", name, shorten(b)))
				continue
			}
			return &flags
		}
	}
	if asked != nil && !errors.Is(asked, os.ErrNotExist) {
		*notes = append(*notes, fmt.Sprintf("throttle flags: %v", asked))
	}
	return nil
}

// readFirmwareFrequency asks the firmware of a Raspberry Pi what clock it gives the processor, in Hz.
func readFirmwareFrequency(r Roots, notes *[]string) *int64 {
	if r.Sys != "" {
		return nil
	}
	hz, err := askClock()
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			*notes = append(*notes, fmt.Sprintf("firmware's clock: %v", err))
		}
		return nil
	}
	return &hz
}

// readUnderVoltage returns the alarm of the Raspberry Pi's voltage sensor, which newer kernels have in place of
// get_throttled.
func readUnderVoltage(r Roots, notes *[]string) *bool {
	sensors, _ := filepath.Glob(r.sys("class/hwmon/hwmon*"))
	for _, sensor := range sensors {
		if name, ok := read(filepath.Join(sensor, "name"), notes); ok && strings.TrimSpace(name) == "rpi_volt" {
			if alarm := readInt(filepath.Join(sensor, "in0_lcrit_alarm"), notes); alarm != nil {
				return pointer(*alarm != 0)
			}
		}
	}
	return nil
}

func parseThrottle(s string) (ThrottleFlags, bool) {
	s = strings.TrimSpace(s)
	s = strings.TrimPrefix(s, "0x")
	v, err := strconv.ParseUint(s, 16, 32)
	return ThrottleFlags(v), err == nil
}

// tick is the unit of /proc/stat, USER_HZ, which is 100 on every architecture that Go has Linux for.
const tick = 10_000_000 // ns

// parseSteal returns the eighth column of the line "cpu" of /proc/stat, in ns.
func parseSteal(s string) (int64, bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "cpu" {
			continue
		}
		if len(f) < 9 {
			return 0, false
		}
		return scaled(f[8], tick)
	}
	return 0, false
}

// parsePressure returns the total of the line "some" of a pressure file, in ns; the file has microseconds.
func parsePressure(s string) (int64, bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "some" {
			continue
		}
		for _, field := range f[1:] {
			if total, ok := strings.CutPrefix(field, "total="); ok {
				return scaled(total, 1000)
			}
		}
	}
	return 0, false
}

// statusOctets returns a line such as "VmHWM: 1692 kB" of /proc/self/status or /proc/meminfo, in octets.
func statusOctets(s, key string) (int64, bool) {
	for line := range strings.Lines(s) {
		rest, ok := strings.CutPrefix(line, key+":")
		if !ok {
			continue
		}
		f := strings.Fields(rest)
		if len(f) != 2 || f[1] != "kB" {
			return 0, false
		}
		return scaled(f[0], 1024)
	}
	return 0, false
}

// scaled parses a number that is not negative and multiplies it, unless that overflows.
func scaled(s string, by int64) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < 0 || v*by/by != v {
		return 0, false
	}
	return v * by, true
}

// difference returns to - from, or nil if one is missing or the counter went back.
func difference(from, to *int64) *int64 {
	if from == nil || to == nil || *to < *from {
		return nil
	}
	return pointer(*to - *from)
}
