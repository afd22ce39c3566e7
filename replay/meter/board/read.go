package board

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pcaplab/replay/meter"
)

// files reads the kernel's files.
type files struct {
	roots meter.Roots
	notes []string
}

func (f *files) proc(name string) string { return filepath.Join(cmp.Or(f.roots.Proc, "/proc"), name) }
func (f *files) sys(name string) string  { return filepath.Join(cmp.Or(f.roots.Sys, "/sys"), name) }

// largest is more than any of the files has; /proc/stat of a thousand CPUs is a tenth of it.
const largest = 1 << 20

// read returns a file whole. A file that is not there, or that its driver has no value for, is no news; any other failure
// is a note.
func (f *files) read(name string) (string, bool) {
	file, err := os.Open(name)
	if err == nil {
		var b []byte
		b, err = io.ReadAll(io.LimitReader(file, largest))
		file.Close()
		if err == nil {
			return string(b), true
		}
	}
	var cause *os.PathError
	if !errors.Is(err, os.ErrNotExist) && !(errors.As(err, &cause) && cause.Op == "read") {
		f.notes = append(f.notes, err.Error())
	}
	return "", false
}

func (f *files) line(name string) string {
	s, _ := f.read(name)
	return strings.TrimSpace(s)
}

// integer reads a file that holds one decimal number.
func (f *files) integer(name string) *int64 {
	s, ok := f.read(name)
	if !ok {
		return nil
	}
	v, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return nil
	}
	return &v
}

func (f *files) exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// glob lists the folders of a class, cpu2 before cpu10.
func (f *files) glob(pattern string) []string {
	names, _ := filepath.Glob(f.sys(pattern))
	slices.SortFunc(names, func(a, b string) int {
		nameA, nameB := strings.TrimRight(a, "0123456789"), strings.TrimRight(b, "0123456789")
		return cmp.Or(cmp.Compare(nameA, nameB), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return names
}

// root is where this process sees the file system.
func (f *files) root(name string) string { return f.proc("self/root/" + name) }

func (b *Board) readSystem(f *files) {
	b.Product = b.Environment.Board
	if b.Product == "" {
		dmi := func(name string) string { return dmiText(f.line(f.sys("class/dmi/id/" + name))) }
		b.Product = joined(dmi("sys_vendor"), dmi("product_name"), dmi("product_version"))
		if dmi("product_name") == "" {
			b.Product = joined(dmi("board_vendor"), dmi("board_name"))
		}
	}
	if chassis := f.integer(f.sys("class/dmi/id/chassis_type")); chassis != nil {
		portable := slices.Contains([]int64{8, 9, 10, 11, 14, 30, 31, 32}, *chassis) // SMBIOS 3.7, table 17
		b.Laptop = &portable
	}
	if s, ok := f.read(f.root("etc/os-release")); ok {
		b.System = osRelease(s, "PRETTY_NAME")
	}
	b.KernelBits = kernelBits(b.Environment.KernelArch, b.Environment.Kernel)
	if b.KernelBits == nil && b.Environment.OS == "linux" && b.Environment.Bits == 64 && f.roots == (meter.Roots{}) {
		b.KernelBits = pointer(int64(64))
	}
	if shell, err := os.Open(f.root("bin/sh")); err == nil {
		head := make([]byte, 5)
		if _, err := io.ReadFull(shell, head); err == nil {
			b.UserlandBits = elfBits(head)
		}
		shell.Close()
	}
	if b.raspberryPi() {
		b.BootConfig = "/boot/firmware/config.txt"
		if !f.exists(f.root("boot/firmware/config.txt")) && f.exists(f.root("boot/config.txt")) {
			b.BootConfig = "/boot/config.txt" // before Bookworm
		}
	}
}

// joined puts the words together, leaving out what repeats.
func joined(words ...string) string {
	s := ""
	for _, w := range words {
		switch {
		case w == "" || strings.Contains(s, w):
		case strings.HasPrefix(w, s):
			s = w
		default:
			s += " " + w
		}
	}
	return strings.TrimSpace(s)
}

func (b *Board) readCPUs(f *files) {
	cpu := func(name string) string { return f.sys("devices/system/cpu/" + name) }
	control := f.line(cpu("smt/control"))
	b.SMTOff = control == "off" || control == "forceoff"
	if active := f.integer(cpu("smt/active")); active != nil {
		b.SMT = pointer(*active != 0)
	}
	// CPUs that could be plugged in later are possible and not present; they are not switched off.
	if online, ok := cpuList(f.line(cpu("online"))); ok {
		if present, ok := cpuList(f.line(cpu("present"))); ok {
			b.OfflineCPUs = writeCPUList(slices.DeleteFunc(present, func(n int) bool {
				_, found := slices.BinarySearch(online, n)
				return found
			}))
		}
	}
	if off := f.integer(cpu("intel_pstate/no_turbo")); off != nil {
		b.Boost, b.BoostControl = pointer(*off == 0), "/sys/devices/system/cpu/intel_pstate/no_turbo"
	} else if on := f.integer(cpu("cpufreq/boost")); on != nil {
		b.Boost, b.BoostControl = pointer(*on != 0), "/sys/devices/system/cpu/cpufreq/boost"
	}
	for _, dir := range f.glob("devices/system/cpu/cpufreq/policy*") {
		hz := func(name string) *int64 {
			khz := f.integer(filepath.Join(dir, name))
			if khz == nil || *khz <= 0 || *khz > 1e9 {
				return nil
			}
			return pointer(*khz * 1000)
		}
		cpus := strings.TrimPrefix(filepath.Base(dir), "policy")
		if list, ok := cpuList(f.line(filepath.Join(dir, "affected_cpus"))); ok {
			cpus = writeCPUList(list)
		}
		b.Policies = append(b.Policies, Policy{
			CPUs: cpus, Driver: f.line(filepath.Join(dir, "scaling_driver")),
			Governor: f.line(filepath.Join(dir, "scaling_governor")), CurrentHz: hz("scaling_cur_freq"),
			MinHz: hz("scaling_min_freq"), MaxHz: hz("scaling_max_freq"),
			HardwareMinHz: hz("cpuinfo_min_freq"), HardwareMaxHz: hz("cpuinfo_max_freq"),
		})
	}
	b.CPUQuota = f.quota()
}

// quota returns the least limit of the control groups (version 2) that this process is in, in CPUs.
func (f *files) quota() *float64 {
	s, ok := f.read(f.proc("self/cgroup"))
	if !ok {
		return nil
	}
	var least *float64
	for line := range strings.Lines(s) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if !ok {
			continue
		}
		for group = path.Join("/", group); ; group = path.Dir(group) {
			if q, ok := parseQuota(f.line(f.sys("fs/cgroup/" + group + "/cpu.max"))); ok && (least == nil || q < *least) {
				least = &q
			}
			if group == "/" {
				break
			}
		}
	}
	return least
}

func (b *Board) readThermal(f *files) {
	for _, zone := range f.glob("class/thermal/thermal_zone*") {
		milliC := f.integer(filepath.Join(zone, "temp"))
		if milliC == nil || *milliC < -60_000 || *milliC > 200_000 {
			continue
		}
		t := Temperature{Sensor: f.line(filepath.Join(zone, "type")), MilliC: *milliC}
		for n := range 16 {
			trip := filepath.Join(zone, fmt.Sprintf("trip_point_%d_", n))
			if f.line(trip+"type") != "passive" {
				continue
			}
			limit := f.integer(trip + "temp")
			if limit != nil && *limit > 40_000 && (t.LimitMilliC == nil || *limit < *t.LimitMilliC) {
				t.LimitMilliC = limit
			}
		}
		b.Temperatures = append(b.Temperatures, t)
	}
	for _, dir := range f.glob("class/thermal/cooling_device*") {
		c := Cooling{
			Type:  f.line(filepath.Join(dir, "type")),
			State: f.integer(filepath.Join(dir, "cur_state")), MaxState: f.integer(filepath.Join(dir, "max_state")),
		}
		if c.State != nil && *c.State < 0 { // intel_powerclamp's word for idle
			c.State = nil
		}
		b.Cooling = append(b.Cooling, c)
		if strings.Contains(strings.ToLower(c.Type), "fan") {
			b.Fans = append(b.Fans, Fan{Name: c.Type, State: c.State, MaxState: c.MaxState})
		}
	}
	for _, dir := range f.glob("class/hwmon/hwmon*") {
		name := f.line(filepath.Join(dir, "name"))
		switch name {
		case "coretemp", "k10temp", "zenpower": // the processor's own sensors; thermal zones have the rest
			if milliC := f.integer(filepath.Join(dir, "temp1_input")); milliC != nil {
				b.Temperatures = append(b.Temperatures,
					Temperature{Sensor: name, MilliC: *milliC, LimitMilliC: f.integer(filepath.Join(dir, "temp1_crit"))})
			}
		}
		inputs, _ := filepath.Glob(filepath.Join(dir, "fan*_input"))
		for _, input := range inputs {
			rpm := f.integer(input)
			if rpm == nil {
				continue
			}
			// pwm-fan is one fan under two names: as a cooling device, and as the sensor pwmfan.
			same := func(fan Fan) bool {
				return fan.RPM == nil && strings.ReplaceAll(fan.Name, "-", "") == strings.ReplaceAll(name, "-", "")
			}
			if i := slices.IndexFunc(b.Fans, same); i >= 0 {
				b.Fans[i].RPM = rpm
			} else if *rpm > 0 { // boards have connectors that no fan is on
				b.Fans = append(b.Fans, Fan{Name: name, RPM: rpm})
			}
		}
	}
}

func (b *Board) readSwap(f *files) {
	s, ok := f.read(f.proc("swaps"))
	if !ok {
		return
	}
	swaps, ok := parseSwaps(s)
	if !ok {
		f.notes = append(f.notes, f.proc("swaps")+": is not understood")
		return
	}
	mounts, _ := f.read(f.proc("self/mounts"))
	rootOnCard := rootOnCard(mounts)
	var used int64
	for i := range swaps {
		used += swaps[i].UsedOctets
		if swaps[i].Kind == "file" {
			swaps[i].OnCard = rootOnCard
		}
	}
	b.Swaps, b.SwapUsedOctets = swaps, &used
	switch {
	case f.exists(f.root("etc/rpi/swap.conf")):
		b.SwapService = "rpi-swap"
	case f.exists(f.root("etc/dphys-swapfile")):
		b.SwapService = "dphys-swapfile"
	}
}

// cpuTimes are the kernel's counters of CPU time since boot, in ticks.
type cpuTimes struct {
	total, idle, steal int64
	cpus               int64
	ok                 bool
}

func (f *files) times() (t cpuTimes) {
	if s, ok := f.read(f.proc("stat")); ok {
		t.total, t.idle, t.steal, t.cpus, t.ok = parseStat(s)
	}
	return t
}

type processTime struct {
	name  string
	ticks int64
}

// mostProcesses bounds the time that a look takes.
const mostProcesses = 4096

func (f *files) processes() map[int]processTime {
	dir, err := os.Open(f.proc("."))
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(4 * mostProcesses)
	times := make(map[int]processTime)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid <= 0 || len(times) == mostProcesses {
			continue
		}
		b, err := os.ReadFile(f.proc(name + "/stat")) // gone meanwhile: it does not run now
		if err != nil {
			continue
		}
		if comm, ticks, ok := parseProcess(string(b)); ok {
			times[pid] = processTime{comm, ticks}
		}
	}
	return times
}

// load watches for as long as pause takes. Processes are listed outside of that time: it costs a small board more than
// what else it may be doing.
func (f *files) load(pause func()) Load {
	known := f.processes()
	before := f.times()
	pause()
	after := f.times()
	processes := f.processes()

	var l Load
	if s, ok := f.read(f.proc("loadavg")); ok {
		if a, ok := parseLoad(s); ok {
			l.Average1, l.Average5, l.Average15 = &a[0], &a[1], &a[2]
		}
	}
	if s, ok := f.read(f.proc("pressure/cpu")); ok {
		if p, ok := parsePressure(s); ok {
			l.PressurePercent = &p
		}
	}
	elapsed := after.total - before.total
	if !before.ok || !after.ok || elapsed <= 0 || before.cpus != after.cpus || after.cpus == 0 {
		return l
	}
	worth := func(ticks int64) float64 { // in CPUs; a counter may go back by a tick
		return float64(max(ticks, 0)) * float64(after.cpus) / float64(elapsed)
	}
	stolen := after.steal - before.steal
	l.BusyCPUs = pointer(worth(elapsed - (after.idle - before.idle) - stolen))
	l.StolenCPUs = pointer(worth(stolen))
	self := os.Getpid()
	for pid, p := range processes {
		ran := p.ticks - known[pid].ticks
		if _, there := known[pid]; there && ran >= 2 && pid != self {
			l.Processes = append(l.Processes, Process{p.name, worth(ran)})
		}
	}
	slices.SortFunc(l.Processes, func(a, b Process) int {
		return cmp.Or(cmp.Compare(b.CPUs, a.CPUs), cmp.Compare(a.Name, b.Name))
	})
	l.Processes = l.Processes[:min(len(l.Processes), 3)]
	return l
}

func (f *files) onBattery() *bool {
	battery, discharging, mains := false, false, false
	for _, dir := range f.glob("class/power_supply/*") {
		if f.line(filepath.Join(dir, "scope")) == "Device" { // the battery of a mouse
			continue
		}
		switch f.line(filepath.Join(dir, "type")) {
		case "Battery":
			battery = true
			discharging = discharging || f.line(filepath.Join(dir, "status")) == "Discharging"
		case "Mains", "USB":
			if online := f.integer(filepath.Join(dir, "online")); online != nil && *online == 1 {
				mains = true
			}
		}
	}
	if !battery {
		return nil
	}
	return pointer(discharging && !mains)
}

const (
	ethernet    = 1  // ARPHRD_ETHER
	mostNICs    = 64 // a host of containers has hundreds of virtual ones
	fastestMbit = 10_000_000
)

func (f *files) nics(model *Model) []NIC {
	var nics []NIC
	for _, dir := range f.glob("class/net/*") {
		if kind := f.integer(filepath.Join(dir, "type")); kind == nil || *kind != ethernet || len(nics) == mostNICs {
			continue
		}
		n := NIC{
			Name: withoutAddress(filepath.Base(dir)), Kind: "ethernet",
			State: f.line(filepath.Join(dir, "operstate")), Duplex: f.line(filepath.Join(dir, "duplex")),
		}
		uevent, hardware := f.read(filepath.Join(dir, "device/uevent"))
		n.Driver, n.Bus = deviceOf(uevent)
		switch {
		case f.exists(filepath.Join(dir, "wireless")), f.exists(filepath.Join(dir, "phy80211")):
			n.Kind = "wifi"
		case !hardware:
			n.Kind = "virtual"
		}
		speed := f.integer(filepath.Join(dir, "speed")) // Mbit/s; -1 or an error without a link
		if n.Kind != "wifi" && speed != nil && *speed > 0 && *speed <= fastestMbit {
			n.LinkBitsPerSecond = pointer(*speed * 1_000_000)
			if model != nil && model.EthernetBusBitsPerSecond != nil && n.Bus == "usb" {
				n.BusBitsPerSecond, n.BusSource = model.EthernetBusBitsPerSecond, model.Ethernet.Source
			}
			n.LineRates = lineRates(*n.LinkBitsPerSecond, n.BusBitsPerSecond)
		}
		if n.Duplex == "unknown" || n.LinkBitsPerSecond == nil {
			n.Duplex = ""
		}
		nics = append(nics, n)
	}
	return onlyVirtual(nics)
}

func pointer[T any](v T) *T { return &v }
