package board

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pcaplab/replay/meter"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tree unpacks a tree of testdata and returns its roots.
func tree(t *testing.T, archive string) meter.Roots {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: names of the trees hold colons")
	}
	b, err := os.ReadFile(filepath.FromSlash(archive))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := strings.Split("\n"+string(b), "\n-- ")[1:]
	if len(files) < 5 {
		t.Fatalf("%s: %d files", archive, len(files))
	}
	for _, file := range files {
		path, content, ok := strings.Cut(file, " --\n")
		if !ok {
			t.Fatalf("%s: bad header %q", archive, file)
		}
		write(t, dir, path, content)
	}
	return meter.Roots{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")}
}

// write writes a file of a tree in the form of the kernel's; "gone" removes it.
func write(t *testing.T, dir, path, content string) {
	t.Helper()
	name := filepath.Join(dir, filepath.FromSlash(path))
	content = strings.TrimSuffix(content, "\n") + "\n"
	switch {
	case content == "gone\n":
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		return
	case strings.Contains(path, "device-tree"):
		content = strings.ReplaceAll(content, "\n", "\x00")
	case content == "ELF32\n", content == "ELF64\n":
		content = "\x7fELF" + string(map[string]byte{"ELF32\n": 1, "ELF64\n": 2}[content]) + "\x01\x01"
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// builds are the programs that the boards of testdata would run.
var builds = map[string][2]string{
	"../x86-vm": {"amd64", "64"}, "../pi-5": {"arm64", "64"}, "pi-4b": {"arm64", "64"}, "pi-3b-plus": {"arm", "32"}, "pi-zero-w": {"arm", "32"}, "pc-laptop": {"amd64", "64"},
}

// ours are the trees of this package.
var ours = []string{"pi-4b", "pi-3b-plus", "pi-zero-w", "pc-laptop"}

// look gathers a tree as a program built for that board would, with the files of during changing while it looks.
func look(t *testing.T, archive string, roots meter.Roots, during map[string]string) Board {
	t.Helper()
	b := gather(roots, func() {
		for path, content := range during {
			write(t, filepath.Dir(roots.Proc), path, content)
		}
	})
	build, ok := builds[archive]
	if !ok {
		t.Fatalf("%s has no build", archive)
	}
	b.Environment.OS, b.Environment.Arch, b.Environment.Bits = "linux", build[0], 64
	if build[1] == "32" {
		b.Environment.Bits = 32
	}
	b.Findings = b.find()
	return b
}

// busy3BPlus is what the counters of CPU time become while the 3B+ is looked at: 20 ticks a CPU, and one CPU's worth of
// them worked.
var busy3BPlus = map[string]string{
	"proc/stat": "cpu  90020 0 900 400060 120 0 40 0 0 0\n" +
		"cpu0 22500 0 225 100000 30 0 10 0 0 0\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0 0 0 0\ncpu3 0 0 0 0 0 0 0 0 0 0",
	"proc/901/stat": "901 (node (worker)) R 1 901 901 0 -1 4194560 9000 90000 90 400 8012 905 0 0 20 0 1 0 30 34000000 2000",
}

func show[T any](p *T) any {
	if p == nil {
		return "n/a"
	}
	return *p
}

func TestBoards(t *testing.T) {
	type want struct {
		product, system, model                string
		kernelBits, userlandBits, laptop, smt any
		boost, battery, swapUsed              any
		policies, temperatures, fans, nics    int
		bootConfig, swapService               string
	}
	b64, b32 := int64(64), int64(32)
	tests := []struct {
		name string
		want want
	}{
		{"pi-4b", want{"Raspberry Pi 4 Model B Rev 1.5", "Debian GNU/Linux 12 (bookworm)", "Raspberry Pi 4B", b64, b64, "n/a", "n/a",
			"n/a", "n/a", int64(0), 1, 1, 1, 2, "/boot/firmware/config.txt", "dphys-swapfile"}},
		{"pi-3b-plus", want{"Raspberry Pi 3 Model B Plus Rev 1.3", "Raspbian GNU/Linux 12 (bookworm)", "Raspberry Pi 3B+", b64, b32,
			"n/a", "n/a", "n/a", "n/a", int64(44284 << 10), 1, 1, 0, 2, "/boot/firmware/config.txt", "dphys-swapfile"}},
		{"pi-zero-w", want{"Raspberry Pi Zero W Rev 1.1", "Raspbian GNU/Linux 13 (trixie)", "Raspberry Pi Zero W", b32, b32, "n/a",
			"n/a", "n/a", "n/a", int64(0), 1, 1, 0, 2, "/boot/firmware/config.txt", "rpi-swap"}},
		{"pc-laptop", want{"LENOVO 21C8001LGE ThinkPad L13 Gen 3", "Debian GNU/Linux 13 (trixie)", "", b64, b64, true, true, true,
			true, int64(0), 8, 3, 1, 2, "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := look(t, tt.name, tree(t, "testdata/"+tt.name+".txt"), nil)
			model := ""
			if b.Model != nil {
				model = b.Model.Name
			}
			got := want{
				b.Product, b.System, model, show(b.KernelBits), show(b.UserlandBits), show(b.Laptop), show(b.SMT),
				show(b.Boost), show(b.OnBattery), show(b.SwapUsedOctets),
				len(b.Policies), len(b.Temperatures), len(b.Fans), len(b.NICs), b.BootConfig, b.SwapService,
			}
			if got != tt.want {
				t.Errorf("\ngot  %+v\nwant %+v", got, tt.want)
			}
			if len(b.Notes) != 0 {
				t.Errorf("notes %q", b.Notes)
			}
		})
	}
}

// TestFindings breaks one thing, wants the finding, mends it as the finding says, and wants it gone. A board that nothing
// is broken on has no findings at all.
func TestFindings(t *testing.T) {
	if b := look(t, "pi-4b", tree(t, "testdata/pi-4b.txt"), nil); len(b.Findings) != 0 {
		t.Fatalf("a board made ready has findings: %+v", b.Findings)
	}
	type files = map[string]string
	const (
		policy   = "sys/devices/system/cpu/cpufreq/policy0/"
		throttle = "sys/devices/platform/soc/soc:firmware/get_throttled"
		zone     = "sys/class/thermal/thermal_zone0/temp"
		cpu      = "sys/devices/system/cpu/"
	)
	governor := func(name string) files {
		return files{policy + "scaling_governor": name, cpu + "cpu0/cpufreq/scaling_governor": name}
	}
	stat := func(user, idle, steal string) files {
		return files{"proc/stat": "cpu  " + user + " 0 900 " + idle + " 120 0 40 " + steal + " 0 0\ncpu0 1\ncpu1 1\ncpu2 1\ncpu3 1"}
	}
	tests := []struct {
		name, board    string
		broken, during files
		mended         files
		id             string
		level          Level
		seen, mend     string
	}{
		{"emulated", "pi-4b", files{"proc/sys/kernel/arch": "x86_64"}, nil, files{"proc/sys/kernel/arch": "aarch64"}, "emulated", Spoils,
			"a program for arm64 on a kernel for x86_64", "board of its own kind"},
		{"powersave", "pi-4b", governor("powersave"), nil, governor("performance"), "governor", Spoils, "powersave on CPUs 0-3",
			"echo performance | sudo tee /sys/devices/system/cpu/cpufreq/policy*/scaling_governor"},
		{"ondemand", "pi-4b", governor("ondemand"), nil, governor("performance"), "governor", Blurs, "ondemand", "/etc/default/cpu_governor"},
		{"schedutil", "pi-4b", governor("schedutil"), nil, governor("performance"), "governor", Blurs, "schedutil", "performance"},
		{"conservative", "pi-4b", governor("conservative"), nil, governor("performance"), "governor", Blurs, "conservative", "performance"},
		{"userspace", "pi-4b", governor("userspace"), nil, governor("performance"), "governor", Blurs, "userspace", "performance"},
		{"powersave of intel_pstate follows the load", "pc-laptop", nil, nil, files{
			policy + "scaling_governor":                                 "performance",
			"sys/devices/system/cpu/cpufreq/policy1/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy2/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy3/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy4/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy5/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy6/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpufreq/policy7/scaling_governor":   "performance",
			"sys/devices/system/cpu/cpu0/cpufreq/no_such_file_is_asked": "",
		}, "governor", Blurs, "powersave on CPUs 0-7", "cpupower"},
		{"clock capped", "pi-4b", files{policy + "scaling_max_freq": "1500000"}, nil, files{policy + "scaling_max_freq": "1800000"},
			"clock-capped", Spoils, "1500 MHz of 1800 MHz", "echo 1800000 | sudo tee"},
		{"under-voltage now", "pi-4b", files{throttle: "50005"}, nil, files{throttle: "0"}, "under-voltage", Spoils, "now", "supply"},
		{"under-voltage since boot", "pi-4b", files{throttle: "0x10000"}, nil, files{throttle: "0"}, "under-voltage", Blurs, "since boot", "reboot"},
		{"under-voltage by the sensor alone", "pi-4b", files{throttle: "gone", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1"}, nil,
			files{"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0"}, "under-voltage", Spoils, "now", "supply"},
		{"throttled now", "pi-4b", files{throttle: "40004"}, nil, files{throttle: "0"}, "throttled", Spoils, "held back now: throttled", "heat sink"},
		{"frequency capped now", "pi-4b", files{throttle: "20002"}, nil, files{throttle: "0"}, "throttled", Spoils, "frequency capped", "heat sink"},
		{"soft limit now", "pi-4b", files{throttle: "80008"}, nil, files{throttle: "0"}, "throttled", Spoils, "soft temperature limit", "heat sink"},
		{"throttled since boot", "pi-4b", files{throttle: "40000"}, nil, files{throttle: "0"}, "throttled", Blurs, "since boot: throttled", "reboot"},
		{"flags not to be read", "pi-4b", files{throttle: "gone"}, nil, files{throttle: "0"}, "flags-unknown", Note, "cannot be read", "video"},
		{"near 80 °C", "pi-4b", files{zone: "71000"}, nil, files{zone: "69000"}, "hot", Blurs, "9.0 °C below 80.0 °C", "fan"},
		{"over 80 °C", "pi-4b", files{zone: "80000"}, nil, files{zone: "50000"}, "hot", Spoils, "over 80.0 °C", "fan"},
		{"over 85 °C", "pi-4b", files{zone: "86000"}, nil, files{zone: "50000"}, "hot", Spoils, "over 85.0 °C", "fan"},
		{"near the soft limit", "pi-3b-plus", files{zone: "52000"}, nil, files{zone: "45000"}, "hot", Blurs, "8.0 °C below 60.0 °C", "temp_soft_limit=70"},
		{"over the soft limit", "pi-3b-plus", nil, nil, files{zone: "45000"}, "hot", Spoils, "over 60.0 °C", "temp_soft_limit=70"},
		{"a hot PC", "pc-laptop", nil, nil, files{"sys/class/hwmon/hwmon3/temp1_input": "60000"}, "hot", Blurs, "7.0 °C below 100.0 °C", "vents"},
		{"no fan on a 4B", "pi-4b", files{"sys/class/thermal/cooling_device0": "gone"}, nil, files{"sys/class/thermal/cooling_device0/type": "gpio-fan"},
			"no-fan", Blurs, "no fan", "dtoverlay=gpio-fan,gpiopin=14"},
		{"no fan on a 5", "../pi-5", nil, nil, files{"sys/class/thermal/cooling_device0/type": "pwm-fan"}, "no-fan", Blurs, "no fan", "Active Cooler"},
		{"swap in use", "pi-3b-plus", nil, nil, files{"proc/swaps": "Filename Type Size Used Priority"}, "swap", Blurs, "43.2 MiB of swap",
			"sudo systemctl disable --now dphys-swapfile"},
		{"swap on the card", "pi-4b", files{"proc/swaps": "Filename Type Size Used Priority\n/dev/mmcblk0p3 partition 102396 0 -2"}, nil,
			files{"proc/swaps": "Filename Type Size Used Priority"}, "swap", Note, "none in use", "swapoff -a"},
		{"rpi-swap in use", "pi-zero-w", files{"proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 440128 40000 100"}, nil,
			files{"proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 440128 0 100"}, "swap", Blurs, "39.1 MiB", "/etc/rpi/swap.conf.d/"},
		{"load of a minute", "pi-4b", files{"proc/loadavg": "1.20 0.5 0.1 1/1 1"}, nil, files{"proc/loadavg": "0.20 0.5 0.1 1/1 1"},
			"load", Blurs, "average 1.20", "sleep 60"},
		{"pressure", "pi-4b", files{"proc/pressure/cpu": "some avg10=5.00 avg60=0.05 avg300=0.01 total=2500000"}, nil,
			files{"proc/pressure/cpu": "some avg10=0.40 avg60=0.05 avg300=0.01 total=2500000"}, "load", Blurs, "pressure 5.0 %", "top"},
		{"much pressure", "pi-4b", files{"proc/pressure/cpu": "some avg10=35.00 avg60=0.05 avg300=0.01 total=2500000"}, nil,
			files{"proc/pressure/cpu": "some avg10=0.40 avg60=0.05 avg300=0.01 total=2500000"}, "load", Spoils, "pressure 35.0 %", "top"},
		{"one CPU of four busy", "pi-4b", nil, stat("5020", "400060", "0"), stat("5021", "400139", "0"), "load", Blurs, "1.00 CPUs busy", "top"},
		{"all CPUs busy", "pi-4b", nil, stat("5080", "400000", "0"), stat("5081", "400079", "0"), "load", Spoils, "4.00 CPUs busy", "top"},
		{"stolen", "pi-4b", nil, stat("5000", "400078", "2"), stat("5000", "400158", "2"), "virtual", Spoils, "0.10 CPUs' worth", "--clock cpu"},
		{"a virtual machine", "../x86-vm", nil, nil, files{"proc/cpuinfo": "processor: 0\nmodel name: AMD EPYC\nflags: fpu lm\n"}, "virtual", Blurs,
			"a virtual machine", "--clock cpu"},
		{"quota", "pc-laptop", files{"sys/fs/cgroup/user.slice/cpu.max": "150000 100000"}, nil, files{"sys/fs/cgroup/user.slice/cpu.max": "max 100000"},
			"cpu-quota", Spoils, "1.50 CPUs", "limit"},
		{"little memory", "pi-4b", files{"proc/meminfo": "MemTotal: 930000 kB\nMemAvailable: 512000 kB\nSwapTotal: 0 kB"}, nil,
			files{"proc/meminfo": "MemTotal: 3930000 kB\nMemAvailable: 3512000 kB\nSwapTotal: 0 kB"}, "memory", Note, "500 MiB", "--packets"},
		{"very little memory", "pi-4b", files{"proc/meminfo": "MemTotal: 930000 kB\nMemAvailable: 102400 kB\nSwapTotal: 0 kB"}, nil,
			files{"proc/meminfo": "MemTotal: 3930000 kB\nMemAvailable: 3512000 kB\nSwapTotal: 0 kB"}, "memory", Blurs, "100 MiB", "--packets"},
		{"32-bit program below a 64-bit kernel", "pi-3b-plus", nil, nil, files{"proc/sys/kernel/arch": "armv7l", "proc/cpuinfo": "CPU implementer: 0x41\nCPU part: 0xc07"},
			"32-bit", Spoils, "32-bit program", "linux/arm64"},
		{"32-bit userland below a 64-bit kernel", "pi-4b", files{"proc/self/root/bin/sh": "ELF32"}, nil, files{"proc/self/root/bin/sh": "ELF64"},
			"32-bit", Note, "32-bit userland", "64-bit image"},
		{"32-bit kernel on 64-bit cores", "pi-4b", files{"proc/sys/kernel/arch": "armv7l"}, nil, files{"proc/sys/kernel/arch": "aarch64"},
			"32-bit", Note, "Cortex-A72", "64-bit image"},
		{"on battery", "pc-laptop", nil, nil, files{"sys/class/power_supply/AC/online": "1", "sys/class/power_supply/BAT0/status": "Charging"},
			"battery", Blurs, "battery", "plug"},
		{"turbo", "pc-laptop", nil, nil, files{cpu + "intel_pstate/no_turbo": "1"}, "boost", Blurs, "turbo", "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"},
		{"boost", "pi-4b", files{cpu + "cpufreq/boost": "1"}, nil, files{cpu + "cpufreq/boost": "0"}, "boost", Blurs, "boost", "echo 0 | sudo tee"},
		{"SMT", "pc-laptop", nil, nil, files{cpu + "smt/active": "0", cpu + "smt/control": "off", cpu + "online": "0-6"}, "smt", Blurs, "SMT", "echo off"},
		{"a core offline", "pi-4b", files{cpu + "online": "0-1,3"}, nil, files{cpu + "online": "0-3"}, "cores-offline", Blurs, "CPU 2 switched off",
			"echo 1 | sudo tee /sys/devices/system/cpu/cpu2/online"},
		{"siblings that SMT off took", "pc-laptop", files{cpu + "online": "0-6"}, nil, files{cpu + "smt/control": "off"}, "cores-offline", Blurs, "CPU 7", "cpu7"},
		{"a single core", "pi-zero-w", nil, nil, files{cpu + "online": "0-1"}, "one-core", Note, "single", "--workers"},
		{"two kinds of cores", "pc-laptop", nil, nil, files{
			cpu + "cpufreq/policy4/cpuinfo_max_freq": "4200000", cpu + "cpufreq/policy5/cpuinfo_max_freq": "4200000",
			cpu + "cpufreq/policy6/cpuinfo_max_freq": "4200000", cpu + "cpufreq/policy7/cpuinfo_max_freq": "4200000",
		}, "mixed-cores", Blurs, "4400 MHz and of up to 3300 MHz", "taskset -c 0-3 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			archive := "testdata/" + tt.board + ".txt"
			if name, ok := strings.CutPrefix(tt.board, "../"); ok {
				archive = "../testdata/" + name + ".txt" // those of package meter
			}
			roots := tree(t, archive)
			change := func(changes files) {
				for path, content := range changes {
					write(t, filepath.Dir(roots.Proc), path, content)
				}
			}
			change(tt.broken)
			b := look(t, tt.board, roots, tt.during)
			i := slices.IndexFunc(b.Findings, func(f Finding) bool { return f.ID == tt.id })
			if i < 0 {
				t.Fatalf("not found; findings %+v", b.Findings)
			}
			f := b.Findings[i]
			if f.Level != tt.level || !strings.Contains(f.Seen, tt.seen) || !strings.Contains(strings.Join(f.Mend, "\n"), tt.mend) {
				t.Errorf("%s: %q, mend %q; want %s: %q, mend %q", f.Level, f.Seen, f.Mend, tt.level, tt.seen, tt.mend)
			}
			if f.Why == "" {
				t.Error("no reason")
			}
			during := files(nil)
			if tt.during != nil {
				during = tt.mended // counters go on; they are not set back
			} else {
				change(tt.mended)
			}
			b = look(t, tt.board, roots, during)
			if slices.ContainsFunc(b.Findings, func(f Finding) bool { return f.ID == tt.id }) {
				t.Errorf("mended, and still found: %+v", b.Findings)
			}
		})
	}
}

func TestFirmwareSlowerThanTheKernelBelieves(t *testing.T) {
	for _, tt := range []struct {
		name     string
		governor string
		firmware int64
		want     bool
	}{
		{"slower", "performance", 1_500_000_000, true},
		{"as asked", "performance", 1_799_000_000, false},
		{"the governor may have changed its mind", "ondemand", 600_000_000, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := look(t, "pi-4b", tree(t, "testdata/pi-4b.txt"), nil)
			b.Environment.Governor, b.Environment.FrequencyFirmwareHz = tt.governor, &tt.firmware
			found := slices.ContainsFunc(b.find(), func(f Finding) bool { return f.ID == "firmware-clock" && f.Level == Spoils })
			if found != tt.want {
				t.Errorf("found %v, want %v", found, tt.want)
			}
		})
	}
}

func TestFindingsAreSortedWorstFirst(t *testing.T) {
	b := look(t, "pi-3b-plus", tree(t, "testdata/pi-3b-plus.txt"), busy3BPlus)
	if len(b.Findings) < 6 {
		t.Fatalf("%d findings", len(b.Findings))
	}
	if !slices.IsSortedFunc(b.Findings, func(x, y Finding) int { return x.Level.rank() - y.Level.rank() }) {
		t.Errorf("%+v", b.Findings)
	}
}

func TestLineRates(t *testing.T) {
	// From RFC 2544's way of counting: 148,809 and 1,488,095 frames of 64 octets are every tester's numbers.
	for _, tt := range []struct {
		name string
		link int64
		bus  *int64
		size int
		want LineRate
	}{
		{"fast Ethernet", 100_000_000, nil, 64, LineRate{64, 148_809, nil}},
		{"gigabit", 1_000_000_000, nil, 64, LineRate{64, 1_488_095, nil}},
		{"gigabit, largest frame", 1_000_000_000, nil, 1518, LineRate{1518, 81_274, nil}},
		{"fast Ethernet, largest frame", 100_000_000, nil, 1518, LineRate{1518, 8127, nil}},
		{"ten gigabit", 10_000_000_000, nil, 64, LineRate{64, 14_880_952, nil}},
		{"a slower bus", 1_000_000_000, pointer(int64(300_000_000)), 1518, LineRate{1518, 81_274, pointer(int64(24_703))}},
		{"a faster bus", 100_000_000, pointer(int64(300_000_000)), 1518, LineRate{1518, 8127, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rates := lineRates(tt.link, tt.bus)
			i := slices.IndexFunc(rates, func(r LineRate) bool { return r.FrameOctets == tt.size })
			if i < 0 || len(rates) != 7 || !reflect.DeepEqual(rates[i], tt.want) {
				t.Errorf("%+v, want %+v", rates, tt.want)
			}
		})
	}
	if rates := lineRates(0, nil); rates != nil {
		t.Errorf("rates without a link: %v", rates)
	}
}

func TestNICs(t *testing.T) {
	b := look(t, "pi-3b-plus", tree(t, "testdata/pi-3b-plus.txt"), nil)
	eth, wlan := b.NICs[0], b.NICs[1]
	if eth.Kind != "ethernet" || eth.Bus != "usb" || eth.Driver != "lan78xx" || show(eth.LinkBitsPerSecond) != int64(1e9) ||
		show(eth.BusBitsPerSecond) != int64(3e8) || eth.BusSource == "" {
		t.Errorf("%+v", eth)
	}
	if wlan.Kind != "wifi" || wlan.Bus != "sdio" || wlan.LinkBitsPerSecond != nil || wlan.LineRates != nil {
		t.Errorf("%+v", wlan)
	}
	b = look(t, "pc-laptop", tree(t, "testdata/pc-laptop.txt"), nil)
	if eth := b.NICs[0]; eth.Bus != "pci" || eth.LinkBitsPerSecond != nil || eth.link() != "no link, e1000e on pci" {
		t.Errorf("%+v, link %q", eth, eth.link())
	}
	if slices.ContainsFunc(b.NICs, func(n NIC) bool { return n.Kind == "virtual" }) {
		t.Errorf("a virtual interface beside hardware: %+v", b.NICs)
	}
	roots := tree(t, "testdata/pc-laptop.txt")
	for _, name := range []string{"enp0s31f6", "wlp0s20f3"} {
		write(t, filepath.Dir(roots.Proc), "sys/class/net/"+name, "gone")
	}
	if b = look(t, "pc-laptop", roots, nil); len(b.NICs) != 1 || b.NICs[0].Kind != "virtual" {
		t.Errorf("only a virtual interface: %+v", b.NICs)
	}
}

func TestNothingNamesThePersonsMachine(t *testing.T) {
	secrets := []string{"deadbeef", "PF-SECRET1", "dc:a6:32", "dca632"}
	for _, name := range ours {
		b := look(t, name, tree(t, "testdata/"+name+".txt"), nil)
		out, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if err := b.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(out, []byte(secret)) || strings.Contains(text.String(), secret) {
				t.Errorf("%s: %q is in it", name, secret)
			}
		}
	}
	if host, err := os.Hostname(); err == nil && len(host) > 6 {
		out, _ := json.Marshal(Read(meter.Roots{}))
		if bytes.Contains(out, []byte(host)) {
			t.Errorf("the host's name is in %s", out)
		}
	}
}

func TestThroughJSON(t *testing.T) {
	for _, name := range ours {
		t.Run(name, func(t *testing.T) {
			b := look(t, name, tree(t, "testdata/"+name+".txt"), busy3BPlus)
			out, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			var back Board
			if err := json.Unmarshal(out, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(b, back) {
				t.Errorf("\nthere %+v\nback  %+v", b, back)
			}
			var here, there bytes.Buffer
			if b.WriteText(&here) != nil || back.WriteText(&there) != nil || here.String() != there.String() {
				t.Errorf("prints\n%s\nand\n%s", here.String(), there.String())
			}
		})
	}
}

func TestGoldenText(t *testing.T) {
	for _, name := range ours {
		t.Run(name, func(t *testing.T) {
			during := busy3BPlus
			if name != "pi-3b-plus" {
				during = nil
			}
			b := look(t, name, tree(t, "testdata/"+name+".txt"), during)
			var got bytes.Buffer
			if err := b.WriteText(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("got\n%s\nwant\n%s", got.Bytes(), want)
			}
		})
	}
}

func TestTextKeepsOffTheTerminalsControls(t *testing.T) {
	b := look(t, "pi-4b", tree(t, "testdata/pi-4b.txt"), nil)
	evil := "\x1b[2J\x07two\nlines\u202e"
	b.Product, b.System, b.NICs[0].Name, b.NICs[0].Driver = evil, evil, evil, evil
	b.Findings = []Finding{{ID: evil, Level: Level(evil), Seen: evil, Why: evil, Mend: []string{evil}}}
	b.Load.Processes = []Process{{evil, 1}}
	b.Notes, b.Environment.Notes = []string{evil}, []string{evil}
	b.Temperatures[0].Sensor, b.Fans[0].Name, b.Model.SevenZip.Value = evil, evil, evil
	b.NICs[0].BusSource, b.NICs[0].BusBitsPerSecond = evil, pointer(int64(1))
	var out bytes.Buffer
	if err := b.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\u202e") || strings.Contains(out.String(), "two\n") {
		t.Errorf("%q", out.String())
	}
}

func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	b := Read(meter.Roots{Proc: dir, Sys: dir})
	var out bytes.Buffer
	if err := b.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if len(b.Findings) != 0 || b.Findings == nil {
		t.Errorf("findings out of nothing: %#v", b.Findings)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"laptop", "kernel_bits", "userland_bits", "smt", "boost", "cpu_quota", "policies", "temperatures", "fans",
		"swaps", "swap_used_octets", "on_battery", "nics", "model"} {
		if v, there := fields[name]; !there || v != nil {
			t.Errorf("%s is %v (there: %v), want null", name, v, there)
		}
	}
	var empty Board
	if err := empty.WriteText(&out); err != nil {
		t.Fatal(err)
	}
}

func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("skipped: the files are Linux's")
	}
	b := Read(meter.Roots{})
	if b.KernelBits == nil || b.Load.BusyCPUs == nil || b.Load.Average1 == nil {
		t.Errorf("%+v", b)
	}
}

func TestModels(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Models() {
		if m.Name == "" || len(m.DeviceTree) == 0 || m.SoC == nil || m.SevenZip == nil {
			t.Errorf("%+v", m)
		}
		for _, name := range m.DeviceTree {
			if seen[name] {
				t.Errorf("%q is in two rows", name)
			}
			seen[name] = true
		}
		for _, f := range []*Figure{m.SoC, m.Memory, m.Caches, m.Ethernet, m.SevenZip, m.Memcpy, m.RandomRead} {
			if f == nil {
				continue
			}
			if f.Value == "" || !slices.Contains([]string{MarkRead, MarkKnown, MarkInferred}, f.Mark) || f.Mark == MarkRead && f.Source == "" {
				t.Errorf("%s: %+v", m.Name, *f)
			}
		}
	}
	for _, tt := range []struct{ deviceTree, want string }{
		{"Raspberry Pi Zero W Rev 1.1", "Raspberry Pi Zero W"},
		{"Raspberry Pi Zero 2 W Rev 1.0", "Raspberry Pi Zero 2 W"},
		{"Raspberry Pi 3 Model B Rev 1.2", "Raspberry Pi 3B"},
		{"Raspberry Pi 3 Model B Plus Rev 1.3", "Raspberry Pi 3B+"},
		{"Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 4B"},
		{"Raspberry Pi Compute Module 4 Rev 1.1", "Compute Module 4"},
		{"Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 5"},
		{"Raspberry Pi Compute Module 5 Lite Rev 1.0", "Compute Module 5"},
		{"Raspberry Pi 400 Rev 1.0", ""},
		{"Raspberry Pi 3 Model A Plus Rev 1.0", ""},
		{"Radxa ROCK 5B", ""},
		{"", ""},
	} {
		got := ""
		if m := modelOf(tt.deviceTree); m != nil {
			got = m.Name
		}
		if got != tt.want {
			t.Errorf("%q is %q, want %q", tt.deviceTree, got, tt.want)
		}
	}
}
