package board

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// kernelBits tells the address size of a kernel from its machine or, before Linux 6.1, from the flavour that Raspberry Pi
// OS and Debian put at the end of its release.
func kernelBits(arch, release string) *int64 {
	switch {
	case strings.Contains(arch, "64"), arch == "s390x":
		return pointer(int64(64))
	case arch != "":
		return pointer(int64(32))
	}
	for _, end := range []string{"-v8+", "-v8", "-v8-16k+", "-2712", "-amd64", "-arm64"} {
		if strings.HasSuffix(release, end) {
			return pointer(int64(64))
		}
	}
	for _, end := range []string{"-v6", "-v7+", "-v7l+", "-v7", "-v7l", "-armmp", "-686", "-686-pae"} {
		if strings.HasSuffix(release, end) {
			return pointer(int64(32))
		}
	}
	return nil
}

// elfBits tells the class of a program from its first five octets.
func elfBits(head []byte) *int64 {
	if len(head) < 5 || string(head[:4]) != "\x7fELF" || head[4] < 1 || head[4] > 2 {
		return nil
	}
	return pointer(32 * int64(head[4]))
}

// osRelease returns the value of a key of os-release(5).
func osRelease(s, key string) string {
	for line := range strings.Lines(s) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"=")
		if !ok {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		return value
	}
	return ""
}

// dmiText drops what makers leave in fields that they did not fill.
func dmiText(s string) string {
	switch strings.ToLower(strings.TrimRight(s, ".")) {
	case "to be filled by o.e.m", "system product name", "system manufacturer", "system version", "default string", "none",
		"not specified", "unknown", "not applicable", "o.e.m", "invalid", "x.x", "1.0", "0.1":
		return ""
	}
	return s
}

// mostCPUs is more than any kernel is built for.
const mostCPUs = 1 << 13

// cpuList reads a list such as "0-3,6" or "0 1 2 3" into ascending numbers. An empty list is none.
func cpuList(s string) ([]int, bool) {
	var list []int
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, false
		}
		to, err := strconv.ParseUint(high, 10, 16)
		if err != nil || to < from || to >= mostCPUs || len(list) > mostCPUs {
			return nil, false
		}
		for n := from; n <= to; n++ {
			list = append(list, int(n))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), len(list) > 0
}

func writeCPUList(list []int) string {
	var parts []string
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		part := strconv.Itoa(list[i])
		if j > i {
			part += "-" + strconv.Itoa(list[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// parseQuota reads cpu.max, "200000 100000" or "max 100000", in CPUs.
func parseQuota(s string) (float64, bool) {
	f := strings.Fields(s)
	if len(f) != 2 {
		return 0, false
	}
	quota, err := strconv.ParseUint(f[0], 10, 62)
	if err != nil {
		return 0, false
	}
	period, err := strconv.ParseUint(f[1], 10, 62)
	if err != nil || period == 0 || quota == 0 {
		return 0, false
	}
	return float64(quota) / float64(period), true
}

// parseSwaps reads /proc/swaps: a head, then name, type, KiB, KiB used, priority.
func parseSwaps(s string) ([]Swap, bool) {
	swaps := []Swap{}
	for i, line := range strings.Split(strings.TrimSpace(s), "\n") {
		f := strings.Fields(line)
		if i == 0 {
			if len(f) < 4 || f[0] != "Filename" {
				return nil, false
			}
			continue
		}
		if len(f) < 4 {
			return nil, false
		}
		size, err := strconv.ParseUint(f[2], 10, 48)
		if err != nil {
			return nil, false
		}
		used, err := strconv.ParseUint(f[3], 10, 48)
		if err != nil || used > size {
			return nil, false
		}
		swap := Swap{Kind: f[1], Octets: int64(size) << 10, UsedOctets: int64(used) << 10}
		switch device := strings.TrimPrefix(f[0], "/dev/"); {
		case strings.HasPrefix(device, "zram"):
			swap.Kind, swap.OnCard = "zram", pointer(false)
		case f[1] == "partition":
			swap.OnCard = pointer(strings.HasPrefix(device, "mmcblk"))
		}
		swaps = append(swaps, swap)
	}
	return swaps, true
}

// rootOnCard says whether the root file system is on an SD card or eMMC, from /proc/self/mounts.
func rootOnCard(s string) *bool {
	var on *bool
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) < 2 || f[1] != "/" { // the last one mounted there counts
			continue
		}
		if device, ok := strings.CutPrefix(f[0], "/dev/"); ok && device != "root" && !strings.HasPrefix(device, "mapper/") {
			on = pointer(strings.HasPrefix(device, "mmcblk"))
		} else {
			on = nil
		}
	}
	return on
}

// parseStat reads the first line of /proc/stat and counts the CPUs. Idle has the wait for disks in it; total does not have
// guests' time twice.
func parseStat(s string) (total, idle, steal, cpus int64, ok bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			cpus++
			continue
		}
		if len(f) < 9 {
			return 0, 0, 0, 0, false
		}
		for i, field := range f[1:9] { // user nice system idle iowait irq softirq steal
			v, err := strconv.ParseUint(field, 10, 56)
			if err != nil {
				return 0, 0, 0, 0, false
			}
			total += int64(v)
			switch i {
			case 3, 4:
				idle += int64(v)
			case 7:
				steal = int64(v)
			}
		}
		ok = true
	}
	return total, idle, steal, cpus, ok
}

// parseProcess reads the name and the CPU time, user and system, of /proc/PID/stat. The name may hold anything.
func parseProcess(s string) (name string, ticks int64, ok bool) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 0 || end < open {
		return "", 0, false
	}
	f := strings.Fields(s[end+1:])
	if len(f) < 13 {
		return "", 0, false
	}
	for _, field := range f[11:13] { // utime and stime, fields 14 and 15
		v, err := strconv.ParseUint(field, 10, 56)
		if err != nil {
			return "", 0, false
		}
		ticks += int64(v)
	}
	return s[open+1 : end], ticks, true
}

func parseLoad(s string) (averages [3]float64, ok bool) {
	f := strings.Fields(s)
	if len(f) < 3 {
		return averages, false
	}
	for i := range averages {
		v, ok := share(f[i])
		if !ok {
			return averages, false
		}
		averages[i] = v
	}
	return averages, true
}

// parsePressure reads avg10 of the line "some" of a pressure file, in percent.
func parsePressure(s string) (float64, bool) {
	for line := range strings.Lines(s) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "some" {
			continue
		}
		for _, field := range f[1:] {
			if v, ok := strings.CutPrefix(field, "avg10="); ok {
				percent, ok := share(v)
				return percent, ok && percent <= 100
			}
		}
	}
	return 0, false
}

// share parses a finite number that is not negative.
func share(s string) (float64, bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil && v >= 0 && !math.IsInf(v, 0)
}

// deviceOf tells driver and bus from a device's uevent.
func deviceOf(uevent string) (driver, bus string) {
	for line := range strings.Lines(uevent) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "DRIVER":
			driver = value
		case "MODALIAS":
			bus, _, _ = strings.Cut(value, ":")
			if bus == "of" || bus == "acpi" {
				bus = "platform"
			}
		}
	}
	return driver, bus
}

// withoutAddress cuts the hardware address out of names such as enxb827eb012345.
func withoutAddress(name string) string {
	digits := 0
	for digits < len(name) && strings.IndexByte("0123456789abcdefABCDEF", name[len(name)-1-digits]) >= 0 {
		digits++
	}
	if digits < 12 {
		return name
	}
	return name[:len(name)-digits] + "*"
}
