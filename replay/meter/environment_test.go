package meter

import (
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestEnvironmentOfBoards(t *testing.T) {
	type want struct {
		cpu, vendor, part, board, soc, kernel, arch, governor, cacheSource string
		online, possible, freqMin, freqMax, freqNow, milliC, memory, swap  any
		virtual, throttle, l2, llc                                         any
	}
	const k, m = int64(1 << 10), int64(1 << 20)
	mhz := func(v int64) any { return v * 1_000_000 }
	tests := []struct {
		name string
		want want
	}{
		{"pi-3b", want{
			"Cortex-A53", "Arm", "0xd03", "Raspberry Pi 3 Model B Rev 1.2", "brcm,bcm2837", "5.10.103-v8+", "", "ondemand",
			"table: BCM2837", int64(4), int64(4), mhz(600), mhz(1200), mhz(1200), int64(58534), 930416 * k, 102396 * k,
			"n/a", ThrottleFlags(0), 512 * k, 512 * k,
		}},
		{"pi-zero-2w", want{
			"Cortex-A53", "Arm", "0xd03", "Raspberry Pi Zero 2 W Rev 1.0", "brcm,bcm2837", "6.1.21-v7+", "armv7l",
			"powersave", "table: BCM2837", int64(3), int64(4), mhz(600), mhz(1000), mhz(600), int64(44008), 437884 * k,
			102396 * k, "n/a", ThrottleFlags(0x50000), 512 * k, 512 * k,
		}},
		{"pi-5", want{
			"Cortex-A76", "Arm", "0xd0b", "Raspberry Pi 5 Model B Rev 1.0", "brcm,bcm2712", "6.6.31+rpt-rpi-2712",
			"aarch64", "performance", "sysfs", int64(4), int64(4), mhz(1500), mhz(2400), mhz(2400), int64(52600),
			8245552 * k, 204784 * k, "n/a", ThrottleFlags(0), 512 * k, 2 * m,
		}},
		{"x86-vm", want{
			"Intel(R) Xeon(R) Processor @ 2.50GHz", "GenuineIntel", "", "", "", "6.1.0-18-cloud-amd64", "x86_64", "",
			"sysfs", int64(2), int64(2), "n/a", "n/a", "n/a", "n/a", 4015508 * k, int64(0),
			true, "n/a", 1 * m, 36608 * k,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := ReadEnvironment(board(t, tt.name))
			size := func(v int64, ok bool) any {
				if !ok {
					return "n/a"
				}
				return v
			}
			got := want{
				e.CPU, e.Vendor, e.Part, e.Board, e.SoC, e.Kernel, e.KernelArch, e.Governor, e.CacheSource,
				show(e.CoresOnline), show(e.CoresPossible), show(e.FrequencyMinHz), show(e.FrequencyMaxHz),
				show(e.FrequencyCurrentHz), show(e.TemperatureMilliC), show(e.MemoryOctets), show(e.SwapOctets),
				show(e.Virtual), show(e.Throttle), size(e.L2Octets()), size(e.LLCOctets()),
			}
			if got != tt.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, tt.want)
			}
			if len(e.Notes) != 0 {
				t.Errorf("notes %q", e.Notes)
			}
			if e.GOMAXPROCS != runtime.GOMAXPROCS(0) || e.GoVersion != runtime.Version() || e.Arch != runtime.GOARCH {
				t.Errorf("runtime: %+v", e)
			}
		})
	}
}

func TestEnvironmentOfNothing(t *testing.T) {
	dir := t.TempDir()
	e := ReadEnvironment(Roots{Proc: dir, Sys: dir})
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{
		"os": true, "arch": true, "bits": true, "go_version": true, "gomaxprocs": true, "gogc_percent": true,
		"gomemlimit_octets": true,
	}
	for name, v := range fields {
		if !known[name] && v != nil {
			t.Errorf("%s is %v, want null", name, v)
		}
	}
	if _, ok := e.L2Octets(); ok {
		t.Error("a second-level cache out of nothing")
	}
	if _, ok := e.LLCOctets(); ok {
		t.Error("a last-level cache out of nothing")
	}
}

func TestEnvironmentOfGarbledFiles(t *testing.T) {
	tests := []struct {
		name, file, content string
		missing             func(e Environment) bool
	}{
		{"model not text", "proc/device-tree/model", "\x01\x02\x00", func(e Environment) bool { return e.Board == "" }},
		{"empty model", "proc/device-tree/model", "\x00", func(e Environment) bool { return e.Board == "" }},
		{"cpuinfo", "proc/cpuinfo", "\xff: \xfe\n:::\n", func(e Environment) bool { return e.CPU == "" }},
		{"cpu list", "sys/devices/system/cpu/online", "0-", func(e Environment) bool { return e.CoresOnline == nil }},
		{"cpu list backwards", "sys/devices/system/cpu/online", "3-0",
			func(e Environment) bool { return e.CoresOnline == nil }},
		{"meminfo", "proc/meminfo", "MemTotal: lots\n", func(e Environment) bool { return e.MemoryOctets == nil }},
		{"frequency", "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "<unknown>",
			func(e Environment) bool { return e.FrequencyMaxHz == nil }},
		{"frequency 0", "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq", "0",
			func(e Environment) bool { return e.FrequencyMaxHz == nil }},
		{"cache size", "sys/devices/system/cpu/cpu0/cache/index2/size", "K", func(e Environment) bool {
			_, ok := e.L2Octets()
			return !ok
		}},
		{"temperature", "sys/class/thermal/thermal_zone0/temp", "hot",
			func(e Environment) bool { return e.TemperatureMilliC == nil }},
		{"throttle", "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled", "?",
			func(e Environment) bool { return e.Throttle == nil }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := board(t, "pi-5")
			write(t, strings.TrimSuffix(roots.Proc, "proc")+tt.file, tt.content)
			e := ReadEnvironment(roots)
			if !tt.missing(e) {
				t.Errorf("a value was read: %+v", e)
			}
			if len(e.Notes) == 0 {
				t.Error("no note")
			}
		})
	}
}

func TestCPUNames(t *testing.T) {
	core := func(implementer, part string) string {
		return "CPU implementer\t: " + implementer + "\nCPU part\t: " + part + "\n"
	}
	tests := []struct{ name, info, want string }{
		{"ARM1176 of the Zero W", "model name\t: ARMv6-compatible processor\n" + core("0x41", "0xb76"), "ARM1176"},
		{"A72 of the 4B", core("0x41", "0xd08") + core("0x41", "0xd08"), "Cortex-A72"},
		{"two kinds of cores", core("0x41", "0xd05") + core("0x41", "0xd0b"), "Cortex-A55 + Cortex-A76"},
		{"upper case", core("0x41", "0xD03"), "Cortex-A53"},
		{"unknown part", core("0x41", "0xfff"), "implementer 0x41 part 0xfff"},
		{"unknown maker", core("0x99", "0xd03"), "implementer 0x99 part 0xd03"},
		{"x86", "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC\n", "AMD EPYC"},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e Environment
			e.setCPU(parseCPUInfo(tt.info))
			if e.CPU != tt.want {
				t.Errorf("%q, want %q", e.CPU, tt.want)
			}
		})
	}
}

func TestVirtualMachineWithADeviceTree(t *testing.T) {
	roots := board(t, "x86-vm")
	os.Remove(roots.proc("cpuinfo"))
	write(t, roots.proc("device-tree/compatible"), "linux,dummy-virt\x00")
	if e := ReadEnvironment(roots); show(e.Virtual) != true {
		t.Errorf("virtual %v", show(e.Virtual))
	}
}

func TestEnvironmentOfThisMachine(t *testing.T) {
	needsLinux(t)
	e := ReadEnvironment(Roots{})
	if e.CPU == "" || e.Kernel == "" || e.MemoryOctets == nil || e.CoresOnline == nil {
		t.Errorf("%+v", e)
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if host, err := os.Hostname(); err == nil && len(host) > 4 && strings.Contains(string(b), host) {
		t.Errorf("the host's name is recorded: %s", b)
	}
	t.Logf("%s", b)
}

func TestEnvironmentString(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name string
		e    Environment
		want string
	}{
		{"little known", Environment{OS: "plan9", Arch: "386", GoVersion: "go1.26", GOMAXPROCS: 1}, "plan9/386, go1.26, GOMAXPROCS 1"},
		{"board", Environment{
			OS: "linux", Arch: "arm64", Board: "Raspberry Pi 3 Model B Rev 1.2", CPU: "Cortex-A53", CoresOnline: pointer(int64(4)),
			Virtual: &no, Caches: []Cache{{1, "Data", 32 << 10}, {2, "Unified", 512 << 10}}, Governor: "ondemand",
			Kernel: "6.1.21-v8+", GoVersion: "go1.26", GOMAXPROCS: 4,
		}, "Raspberry Pi 3 Model B Rev 1.2, 4 CPUs, L2 512 KiB, last level 512 KiB, governor ondemand, linux/arm64, " +
			"kernel 6.1.21-v8+, go1.26, GOMAXPROCS 4"},
		{"guest", Environment{
			OS: "linux", Arch: "amd64", CPU: "Xeon", CoresOnline: pointer(int64(2)), Virtual: &yes,
			Caches:    []Cache{{1, "Instruction", 32 << 10}, {2, "Unified", 1280 << 10}, {3, "Unified", 27721 << 10}},
			GoVersion: "go1.26", GOMAXPROCS: 2,
		}, "Xeon, 2 CPUs, virtual, L2 1280 KiB, last level 27721 KiB, linux/amd64, go1.26, GOMAXPROCS 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.e.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
