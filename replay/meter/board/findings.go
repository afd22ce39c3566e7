package board

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pcaplab/replay/meter"
)

// Level says what a finding does to a measurement.
type Level string

const (
	Spoils Level = "spoils" // its numbers are not this board's: do not publish them
	Blurs  Level = "blurs"  // it adds noise, or a bias that comes and goes
	Note   Level = "note"   // worth knowing when the numbers are read
)

func (l Level) rank() int { return slices.Index([]Level{Spoils, Blurs, Note}, l) }

// Finding is something about the machine that a measurement suffers from.
type Finding struct {
	ID    string `json:"id"` // one word for programs, such as "governor"
	Level Level  `json:"level"`
	Seen  string `json:"seen"`
	Why   string `json:"why"`
	// Mend is what to do: commands, or lines of a configuration file, one a line; what follows " # " explains it.
	Mend []string `json:"mend"`
}

// Thresholds of findings.
const (
	loadBlurs       = 0.5   // load average of a minute, or for large machines...
	loadBlursShare  = 0.05  // ...this share of their CPUs
	busyBlurs       = 0.2   // CPUs' worth of other work
	freeSpoils      = 0.8   // less than this many CPUs are left for the parser
	pressureBlurs   = 2.0   // percent of the last ten seconds
	pressureSpoils  = 20.0  // percent
	stolenSpoils    = 0.05  // CPUs
	nearLimit       = 10000 // thousandths of a degree below a limit
	swapUsed        = 1 << 20
	memoryBlurs     = 256 << 20 // octets available
	memoryNote      = 1 << 30
	firmwareSlower  = 0.95 // of what the kernel believes
	softLimitMilliC = 60_000
)

// find returns the findings, the worst first. It looks at nothing but the Board.
func (b *Board) find() []Finding {
	found := []Finding{}
	for _, look := range []func() []Finding{
		b.findEmulation, b.findVoltage, b.findThrottling, b.findClock, b.findHeat, b.findCooling, b.findLoad, b.findSteal, b.findQuota,
		b.findSwap, b.findMemory, b.findBits, b.findPower, b.findBoost, b.findCores, b.findFlags,
	} {
		found = append(found, look()...)
	}
	slices.SortStableFunc(found, func(x, y Finding) int { return cmp.Compare(x.Level.rank(), y.Level.rank()) })
	return found
}

func finding(id string, level Level, why string, mend []string, seen string, args ...any) []Finding {
	return []Finding{{ID: id, Level: level, Seen: fmt.Sprintf(seen, args...), Why: why, Mend: mend}}
}

// family tells kinds of processors apart by the kernel's name of the machine or Go's; "" if it is not known.
func family(arch string) string {
	switch {
	case arch == "amd64", arch == "x86_64", arch == "386", len(arch) == 4 && arch[0] == 'i' && arch[2:] == "86":
		return "x86"
	case arch == "aarch64", strings.HasPrefix(arch, "arm"):
		return "arm"
	case strings.HasPrefix(arch, "riscv"), strings.HasPrefix(arch, "mips"), strings.HasPrefix(arch, "ppc"):
		return arch[:3]
	}
	return ""
}

func (b *Board) emulated() bool {
	kernel, program := family(b.Environment.KernelArch), family(b.Environment.Arch)
	return kernel != "" && program != "" && kernel != program
}

func (b *Board) findEmulation() []Finding {
	if !b.emulated() {
		return nil
	}
	return finding("emulated", Spoils, "every instruction is translated by an emulator: times mean nothing, counts and hashes are right",
		[]string{"# the linux/" + b.Environment.Arch + " pcaplab on a board of its own kind"},
		"a program for %s on a kernel for %s", b.Environment.Arch, b.Environment.KernelArch)
}

// flags returns the throttle flags that hold, and those that only did.
func (b *Board) flags() (now, before meter.ThrottleFlags) {
	if b.Environment.Throttle == nil {
		return 0, 0
	}
	now = b.Environment.Throttle.Now()
	return now, b.Environment.Throttle.Sticky() &^ now
}

func (b *Board) findVoltage() []Finding {
	ampere := map[string]string{"brcm,bcm2835": "1.2 A", "brcm,bcm2837": "2.5 A", "brcm,bcm2711": "3 A", "brcm,bcm2712": "5 A"}
	mend := []string{
		"# a supply of 5.1 V and " + cmp.Or(ampere[b.Environment.SoC], "3 A") + " with its own short cable; USB devices on a powered hub",
		"sudo reboot # only that clears the flags since boot",
	}
	const why = "under 4.63 V the firmware lowers the clock, whatever the governor asks for"
	now, before := b.flags()
	alarm := b.Environment.UnderVoltage != nil && *b.Environment.UnderVoltage
	switch {
	case now&meter.UnderVoltage != 0 || alarm:
		return finding("under-voltage", Spoils, why, mend, "the supply voltage is too low now")
	case before&meter.UnderVoltage != 0:
		return finding("under-voltage", Blurs, why+"; it will again under load", mend,
			"the supply voltage was too low at some time since boot")
	}
	return nil
}

func (b *Board) findThrottling() []Finding {
	const heat = meter.FrequencyCapped | meter.ThrottledNow | meter.SoftTemperatureLimit
	now, before := b.flags()
	mend := []string{"# a heat sink with a fan, and a good supply: see the other findings", "sudo reboot # only that clears the flags since boot"}
	switch {
	case now&heat != 0:
		return finding("throttled", Spoils, "the firmware holds the clock down: the ceiling is the cooling's or the supply's, not the processor's",
			mend, "held back now: %v", now&heat)
	case before&heat != 0:
		return finding("throttled", Blurs, "what has throttled once throttles again in a long study, in the middle of it",
			mend, "held back at some time since boot: %v", before&heat)
	}
	return nil
}

// dynamic says whether the governor follows the load. The drivers of PC processors that choose the clock themselves call
// that powersave.
func (p *Policy) dynamic() bool {
	switch p.Governor {
	case "ondemand", "conservative", "schedutil", "interactive":
		return true
	case "powersave":
		return p.Driver == "intel_pstate" || p.Driver == "amd-pstate-epp"
	}
	return false
}

func (p *Policy) slowest() bool { return p.Governor == "powersave" && !p.dynamic() }

func cpusOf(policies []Policy) string {
	var all []int
	for _, p := range policies {
		list, _ := cpuList(p.CPUs)
		all = append(all, list...)
	}
	slices.Sort(all)
	s := writeCPUList(slices.Compact(all))
	if strings.ContainsAny(s, ",-") {
		return "CPUs " + s
	}
	return "CPU " + s
}

func (b *Board) findClock() []Finding {
	governor := []string{"echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor # until the next boot"}
	if b.raspberryPi() {
		governor = append(governor, `echo 'CPU_DEFAULT_GOVERNOR="performance"' | sudo tee /etc/default/cpu_governor # for good, on Raspberry Pi OS`)
	} else {
		governor = append(governor, "sudo apt install linux-cpupower && sudo cpupower frequency-set -g performance # the same by a tool")
	}
	var slow, dynamic, capped, user []Policy
	for _, p := range b.Policies {
		switch {
		case p.slowest():
			slow = append(slow, p)
		case p.dynamic():
			dynamic = append(dynamic, p)
		case p.Governor == "userspace":
			user = append(user, p)
		}
		if p.MaxHz != nil && p.HardwareMaxHz != nil && *p.MaxHz < *p.HardwareMaxHz {
			capped = append(capped, p)
		}
	}
	var found []Finding
	if slow != nil {
		found = append(found, finding("governor", Spoils, "powersave is the lowest clock always: the ceiling is that of a slower board",
			governor, "governor powersave on %s", cpusOf(slow))...)
	}
	if dynamic != nil {
		found = append(found, finding("governor", Blurs, "the clock follows the load: short trials and low rates run at a lower one than long and high",
			governor, "governor %s on %s", dynamic[0].Governor, cpusOf(dynamic))...)
	}
	if user != nil {
		found = append(found, finding("governor", Blurs, "the clock is what some program last asked for", governor,
			"governor userspace on %s", cpusOf(user))...)
	}
	if capped != nil {
		p := capped[0]
		mend := []string{fmt.Sprintf("echo %d | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_max_freq", *p.HardwareMaxHz/1000)}
		if len(capped) < len(b.Policies) || len(b.Policies) > 1 {
			mend = []string{"for p in /sys/devices/system/cpu/cpufreq/policy*; do cat $p/cpuinfo_max_freq | sudo tee $p/scaling_max_freq; done"}
		}
		found = append(found, finding("clock-capped", Spoils, "the kernel is told to stay below what the processor can do: the ceiling is too low by that",
			mend, "%s may clock up to %s of %s", cpusOf(capped), hertz(p.MaxHz), hertz(p.HardwareMaxHz))...)
	}
	e := &b.Environment
	steady := e.Governor == "performance" && e.FrequencyFirmwareHz != nil && e.FrequencyCurrentHz != nil
	if steady && float64(*e.FrequencyFirmwareHz) < firmwareSlower*float64(*e.FrequencyCurrentHz) {
		found = append(found, finding("firmware-clock", Spoils, "the kernel does not know that the firmware gives less than it was asked for",
			[]string{"vcgencmd get_throttled # says why: voltage or heat", "# arm_freq in " + cmp.Or(b.BootConfig, "config.txt") + " must not be above what the board can keep"},
			"the firmware clocks the processor at %s, the kernel believes %s", hertz(e.FrequencyFirmwareHz), hertz(e.FrequencyCurrentHz))...)
	}
	return found
}

// limit is a temperature at which something happens.
type limit struct {
	milliC int64
	what   string
}

// limits are those of the board's firmware, or of the sensor.
func (b *Board) limits(t *Temperature) []limit {
	if b.raspberryPi() {
		limits := []limit{{80_000, "where the firmware begins to throttle"}, {85_000, "where it throttles hard"}}
		if b.softLimit() {
			limits = slices.Insert(limits, 0, limit{softLimitMilliC, "where a 3B+ goes from 1.4 to 1.2 GHz"})
		}
		return limits
	}
	if t.LimitMilliC != nil {
		return []limit{{*t.LimitMilliC, "where the processor is slowed down"}}
	}
	return nil
}

// softLimit says whether the board is one of those with a soft temperature limit.
func (b *Board) softLimit() bool {
	name, _, _ := strings.Cut(b.Environment.Board, " Rev ")
	return name == "Raspberry Pi 3 Model B Plus" || name == "Raspberry Pi 3 Model A Plus"
}

// findHeat compares the hottest sensor, relative to its own limit, with that limit.
func (b *Board) findHeat() []Finding {
	var worst Finding
	var margin int64
	for i := range b.Temperatures {
		t := &b.Temperatures[i]
		limits := b.limits(t)
		if limits == nil {
			continue
		}
		var passed *limit
		next := limits[len(limits)-1]
		for j := range limits {
			if t.MilliC < limits[j].milliC {
				next = limits[j]
				break
			}
			passed = &limits[j]
		}
		f := Finding{
			ID: "hot", Why: "a minute of parsing heats further: the later trials of a study would run slower than the first",
			Mend: b.cool(),
		}
		at := next.milliC - t.MilliC
		switch {
		case passed != nil:
			f.Level, at = Spoils, passed.milliC-t.MilliC
			f.Seen = fmt.Sprintf("%s at %s, over %s, %s", t.Sensor, celsius(t.MilliC), celsius(passed.milliC), passed.what)
		case at <= nearLimit:
			f.Level = Blurs
			f.Seen = fmt.Sprintf("%s at %s, %s below %s, %s", t.Sensor, celsius(t.MilliC), celsius(at), celsius(next.milliC), next.what)
		default:
			continue
		}
		if worst.ID == "" || at < margin {
			worst, margin = f, at
		}
	}
	if worst.ID == "" {
		return nil
	}
	return []Finding{worst}
}

func (b *Board) cool() []string {
	if !b.raspberryPi() {
		return []string{"# free the vents, let it cool down before each study, or lower the clock and say so with the numbers"}
	}
	mend := []string{"# a heat sink with a fan; then let it cool down before each study"}
	if b.softLimit() {
		mend = append(mend, "temp_soft_limit=70 # in "+cmp.Or(b.BootConfig, "config.txt")+": keeps 1.4 GHz up to 70 °C")
	}
	return mend
}

// throttling are the boards that throttle under a load of minutes when nothing cools them.
var throttling = []string{
	"Raspberry Pi 3 Model B Plus", "Raspberry Pi 4 Model B", "Raspberry Pi Compute Module 4", "Raspberry Pi 5 Model B",
	"Raspberry Pi Compute Module 5", "Raspberry Pi Compute Module 5 Lite",
}

func (b *Board) findCooling() []Finding {
	name, _, _ := strings.Cut(b.Environment.Board, " Rev ")
	if len(b.Fans) > 0 || !slices.Contains(throttling, name) {
		return nil
	}
	config := cmp.Or(b.BootConfig, "config.txt")
	mend := []string{"dtoverlay=gpio-fan,gpiopin=14,temp=55000 # in " + config + ": a fan that GPIO 14 switches, such as the Pi 4's case fan"}
	if strings.Contains(name, " 5") {
		mend = []string{"# the Active Cooler or a case fan on the board's own connector; the firmware finds it at boot"}
	}
	mend = append(mend, "# any heat sink helps, and cannot be seen from here; a soak (ceiling --soak) shows whether it is enough")
	return finding("no-fan", Blurs, "this model throttles under load of minutes without cooling: first and last trials then differ",
		mend, "no fan that the kernel knows of")
}

func (b *Board) findLoad() []Finding {
	l := &b.Load
	online := 1.0
	if n := b.Environment.CoresOnline; n != nil {
		online = float64(*n)
	}
	level := Level("")
	if at(l.Average1) >= max(loadBlurs, loadBlursShare*online) || at(l.BusyCPUs) >= busyBlurs || at(l.PressurePercent) >= pressureBlurs {
		level = Blurs
	}
	if at(l.PressurePercent) >= pressureSpoils || l.BusyCPUs != nil && online-*l.BusyCPUs < min(freeSpoils, online-busyBlurs) {
		level = Spoils
	}
	if level == "" {
		return nil
	}
	mend := []string{"top -d 1 # what it is; then stop it: sudo systemctl stop NAME"}
	if at(l.BusyCPUs) < busyBlurs && at(l.PressurePercent) < pressureBlurs {
		mend = []string{"sleep 60 # the average has a memory of a minute; nothing runs now"}
	}
	if b.raspberryPi() {
		mend = append(mend, "sudo systemctl isolate multi-user.target # ends the desktop until the next boot")
	}
	why := "it takes CPU time, caches and memory from the parser, and not the same in every trial"
	if level == Spoils {
		why = "the parser waits for a CPU: what is lost is this load's fault"
	}
	return finding("load", level, why, mend, "other work: %v", l)
}

func at(v *float64) float64 {
	if v == nil {
		return 0
	}
	return *v
}

func (b *Board) findSteal() []Finding {
	stolen := at(b.Load.StolenCPUs)
	clock := []string{"pcaplab ceiling --clock cpu ... # counts CPU time only", "# for publication: a machine of its own"}
	switch {
	case stolen >= stolenSpoils:
		return finding("virtual", Spoils, "the hypervisor gives the CPU to others while the parser has work: loss is not the parser's",
			clock, "a virtual machine; %.2f CPUs' worth was stolen while looking", stolen)
	case b.virtual():
		return finding("virtual", Blurs, "other guests share caches, memory and clock, unseen; records count the time they steal",
			clock, "a virtual machine")
	}
	return nil
}

func (b *Board) findQuota() []Finding {
	if b.CPUQuota == nil {
		return nil
	}
	if n := b.Environment.CoresOnline; n != nil && *b.CPUQuota >= float64(*n) {
		return nil
	}
	return finding("cpu-quota", Spoils, "when the share of a period is used up the parser is stopped for the rest of it: losses come in bursts",
		[]string{"# run without the limit: outside the container, or with --cpus unset and CPUQuota= empty"},
		"the control group allows %.2f CPUs", *b.CPUQuota)
}

func (b *Board) findSwap() []Finding {
	off := []string{"sudo swapoff -a # until the next boot"}
	switch {
	case b.SwapService == "rpi-swap":
		off = append(off, `sudo mkdir -p /etc/rpi/swap.conf.d && printf '[Main]\nMechanism=none\n' | `+
			`sudo tee /etc/rpi/swap.conf.d/90-none.conf # for good, from the next boot`)
	case b.SwapService == "dphys-swapfile":
		off = append(off, "sudo systemctl disable --now dphys-swapfile # for good")
	}
	onCard := slices.ContainsFunc(b.Swaps, func(s Swap) bool { return s.OnCard != nil && *s.OnCard })
	switch used := b.SwapUsedOctets; {
	case used != nil && *used >= swapUsed:
		return finding("swap", Blurs, "memory was short: a page fault of a trial may wait for the disk or for decompression",
			off, "%s of swap in use", octets(*used))
	case onCard:
		return finding("swap", Note, "should memory run short, a trial waits for an SD card: tens of milliseconds a page",
			off, "swap on an SD card, none in use")
	}
	return nil
}

func (b *Board) findMemory() []Finding {
	available := b.Environment.MemoryAvailableOctets
	if available == nil || *available >= memoryNote {
		return nil
	}
	level := Note
	if *available < memoryBlurs {
		level = Blurs
	}
	return finding("memory", level,
		fmt.Sprintf("captures are held in memory; by default one of more than half of what is available, %s, is refused", octets(*available/2)),
		[]string{"pcaplab ceiling --packets 100000 ... # a part of the capture", "sudo systemctl isolate multi-user.target # a desktop takes hundreds of MiB"},
		"%s of memory available", octets(*available))
}

func (b *Board) findBits() []Finding {
	if b.KernelBits == nil || b.emulated() {
		return nil
	}
	image := "# a 64-bit image of Raspberry Pi OS, where the parser may be deployed on one"
	if !b.raspberryPi() {
		image = "# a 64-bit installation, where the parser may be deployed on one"
	}
	is64 := *b.KernelBits == 64
	switch userland := b.UserlandBits; {
	case is64 && b.Environment.Bits == 32:
		build := "arm64"
		if b.Environment.Arch == "386" {
			build = "amd64"
		}
		return finding("32-bit", Spoils, "32-bit code needs about half as many instructions again for the same parse: the ceiling is not what this board can do",
			[]string{"# the linux/" + build + " pcaplab: it is static and needs no 64-bit userland", image},
			"this pcaplab is a 32-bit program below a 64-bit kernel")
	case is64 && userland != nil && *userland == 32:
		return finding("32-bit", Note, "this pcaplab is 64-bit; parsers of the distribution (libpcap, Python) run as 32-bit code beside it",
			[]string{image}, "a 32-bit userland below a 64-bit kernel")
	case !is64 && b.sixtyFour():
		return finding("32-bit", Note, "the cores can run 64-bit code, which parses faster", []string{image},
			"a 32-bit kernel on 64-bit cores (%s)", b.Environment.CPU)
	}
	return nil
}

// sixtyFour says whether the cores are known to run 64-bit code.
func (b *Board) sixtyFour() bool {
	return slices.ContainsFunc([]string{"Cortex-A35", "Cortex-A53", "Cortex-A55", "Cortex-A57", "Cortex-A72", "Cortex-A73",
		"Cortex-A75", "Cortex-A76", "Cortex-A78", "Neoverse"}, func(kind string) bool {
		return strings.HasPrefix(b.Environment.CPU, kind)
	})
}

func (b *Board) findPower() []Finding {
	if b.OnBattery == nil || !*b.OnBattery {
		return nil
	}
	return finding("battery", Blurs, "firmware and desktop lower clocks and power limits on battery", []string{"# plug it in"}, "running on battery")
}

func (b *Board) findBoost() []Finding {
	if b.Boost == nil || !*b.Boost || b.virtual() {
		return nil
	}
	value := "0"
	if strings.HasSuffix(b.BoostControl, "no_turbo") {
		value = "1"
	}
	return finding("boost", Blurs, "how far above the nominal clock depends on heat and on how many cores work: trials differ",
		[]string{"echo " + value + " | sudo tee " + b.BoostControl + " # until the next boot"}, "turbo or boost clocks are on")
}

func (b *Board) findCores() []Finding {
	var found []Finding
	cpus := "/sys/devices/system/cpu"
	if b.SMT != nil && *b.SMT && !b.virtual() {
		found = append(found, finding("smt", Blurs, "two logical CPUs share a core's units and caches: a neighbour halves the parser's speed",
			[]string{"echo off | sudo tee " + cpus + "/smt/control # until the next boot"}, "SMT (hyper-threading) is on")...)
	}
	if b.OfflineCPUs != "" && !b.SMTOff {
		list, _ := cpuList(b.OfflineCPUs)
		var mend []string
		for _, n := range list[:min(len(list), 4)] {
			mend = append(mend, fmt.Sprintf("echo 1 | sudo tee %s/cpu%d/online", cpus, n))
		}
		found = append(found, finding("cores-offline", Blurs, "other work has fewer cores to go to, and --workers fewer to use", mend,
			"%s switched off", cpusOf([]Policy{{CPUs: b.OfflineCPUs}}))...)
	}
	if n := b.Environment.CoresOnline; n != nil && *n == 1 {
		found = append(found, finding("one-core", Note, "the feed, the Go collector, the shell and the kernel's work share the parser's core; the record's shares say how much",
			[]string{"# stop what is not needed; leave --feed at virtual and --workers at 1"}, "a single core")...)
	}
	var fastest, slowest *Policy
	for i := range b.Policies {
		p := &b.Policies[i]
		if p.HardwareMaxHz == nil {
			continue
		}
		if fastest == nil || *p.HardwareMaxHz > *fastest.HardwareMaxHz {
			fastest = p
		}
		if slowest == nil || *p.HardwareMaxHz < *slowest.HardwareMaxHz {
			slowest = p
		}
	}
	// Cores of one kind differ by their best clock too, by little.
	if fastest != nil && float64(*slowest.HardwareMaxHz) < 0.85*float64(*fastest.HardwareMaxHz) {
		var list []int
		for _, p := range b.Policies {
			if equal(p.HardwareMaxHz, fastest.HardwareMaxHz) {
				cpus, _ := cpuList(p.CPUs)
				list = append(list, cpus...)
			}
		}
		slices.Sort(list)
		pin := writeCPUList(slices.Compact(list))
		found = append(found, finding("mixed-cores", Blurs, "a trial's speed depends on the kind of core that the kernel puts it on",
			[]string{"taskset -c " + pin + " pcaplab ceiling ... # one kind, and say which"},
			"cores of up to %s and of up to %s", hertz(fastest.HardwareMaxHz), hertz(slowest.HardwareMaxHz))...)
	}
	return found
}

func (b *Board) findFlags() []Finding {
	if !b.raspberryPi() || b.Environment.Throttle != nil {
		return nil
	}
	return finding("flags-unknown", Note, "whether the firmware throttles cannot be told: neither /dev/vcio_gencmd nor the kernel shows get_throttled",
		[]string{"sudo usermod -aG video $USER # then log in again: the group that Raspberry Pi OS lets ask the firmware"},
		"the firmware's throttle flags cannot be read")
}
