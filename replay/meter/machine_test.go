package meter

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// board unpacks a tree of testdata and returns its roots.
func board(t *testing.T, name string) Roots {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("skipped: names of the trees hold colons")
	}
	b, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := strings.Split("\n"+string(b), "\n-- ")[1:]
	if len(files) < 5 {
		t.Fatalf("%s: %d files", name, len(files))
	}
	for _, file := range files {
		path, content, ok := strings.Cut(file, " --\n")
		if !ok {
			t.Fatalf("%s: bad header %q", name, file)
		}
		if strings.Contains(path, "device-tree") {
			content = strings.ReplaceAll(strings.TrimSuffix(content, "\n"), "\n", "\x00") + "\x00"
		} else if !strings.HasSuffix(content, "\n") {
			content += "\n"
		}
		write(t, filepath.Join(dir, path), content)
	}
	return Roots{Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// show prints what a pointer points to, so that messages and comparisons are about values.
func show[T any](p *T) any {
	if p == nil {
		return "n/a"
	}
	return *p
}

const throttleFile = "devices/platform/soc/soc:firmware/get_throttled"

func TestThrottling(t *testing.T) {
	tests := []struct {
		name          string
		before, after string // "" removes the file
		want          any
		wantAfter     any
		words         string
	}{
		{"nothing", "0", "0", false, ThrottleFlags(0), "none"},
		{"under-voltage now", "0", "50005", true, ThrottleFlags(0x50005), "under-voltage, throttled, " +
			"under-voltage before, throttled before"},
		{"frequency capped now", "0", "20002", true, ThrottleFlags(0x20002), "frequency capped, frequency capped before"},
		{"throttled now", "0", "40004", true, ThrottleFlags(0x40004), "throttled, throttled before"},
		{"soft temperature limit now", "0", "80008", true, ThrottleFlags(0x80008),
			"soft temperature limit, soft temperature limit before"},
		{"only before", "1", "0", true, ThrottleFlags(0), "none"},
		{"came and went", "0", "40000", true, ThrottleFlags(0x40000), "throttled before"},
		{"another came and went", "10000", "50000", true, ThrottleFlags(0x50000), "under-voltage before, throttled before"},
		{"sticky all along", "50000", "50000", "n/a", ThrottleFlags(0x50000), "under-voltage before, throttled before"},
		{"sticky cleared", "50000", "0", false, ThrottleFlags(0), "none"},
		{"unknown bits", "f00", "f00", false, ThrottleFlags(0xf00), "none"},
		{"with 0x", "0x0", "0x4", true, ThrottleFlags(4), "throttled"},
		{"no file", "", "", "n/a", "n/a", ""},
		{"no file after", "0", "", "n/a", "n/a", ""},
		{"garbage", "0", "VCHI failed", "n/a", "n/a", ""},
		{"empty file", "0", "\n", "n/a", "n/a", ""},
		{"too long", "0", "100000000", "n/a", "n/a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := board(t, "pi-3b")
			file := roots.sys(throttleFile)
			set := func(s string) {
				if s == "" {
					os.Remove(file)
					return
				}
				write(t, file, s+"\n")
			}
			set(tt.before)
			m, err := Start(Config{Roots: roots})
			if err != nil {
				t.Fatal(err)
			}
			set(tt.after)
			u := m.Stop()
			if got := show(u.Throttled); got != tt.want {
				t.Errorf("throttled %v, want %v", got, tt.want)
			}
			if got := show(u.ThrottleAfter); got != tt.wantAfter {
				t.Errorf("flags after %v, want %v", got, tt.wantAfter)
			}
			if u.ThrottleAfter != nil && u.ThrottleAfter.String() != tt.words {
				t.Errorf("in words %q, want %q", u.ThrottleAfter, tt.words)
			}
			if tt.wantAfter == "n/a" && tt.after != "" && !strings.Contains(strings.Join(u.Notes, "\n"), "get_throttled") {
				t.Errorf("no note about the bad file: %q", u.Notes)
			}
		})
	}
}

func TestThrottlingWithTheVoltageSensorOnly(t *testing.T) {
	tests := []struct {
		name                string
		before, after       string
		wantAlarm, wantHeld any
	}{
		{"no alarm", "0", "0", false, "n/a"},
		{"alarm after", "0", "1", true, true},
		{"alarm before", "1", "0", true, true},
		{"garbage", "0", "?", "n/a", "n/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := board(t, "pi-5")
			os.Remove(roots.sys("devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"))
			write(t, roots.sys("class/hwmon/hwmon0/name"), "cpu_thermal\n")
			write(t, roots.sys("class/hwmon/hwmon1/name"), "rpi_volt\n")
			alarm := roots.sys("class/hwmon/hwmon1/in0_lcrit_alarm")
			write(t, alarm, tt.before+"\n")
			m, err := Start(Config{Roots: roots})
			if err != nil {
				t.Fatal(err)
			}
			write(t, alarm, tt.after+"\n")
			u := m.Stop()
			if show(u.UnderVoltage) != tt.wantAlarm || show(u.Throttled) != tt.wantHeld {
				t.Errorf("under-voltage %v, throttled %v; want %v, %v",
					show(u.UnderVoltage), show(u.Throttled), tt.wantAlarm, tt.wantHeld)
			}
		})
	}
}

func TestMachineOverASpan(t *testing.T) {
	roots := board(t, "pi-5")
	m, err := Start(Config{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	write(t, roots.proc("stat"), "cpu  1 2 3 4 5 6 7 12 0 0\ncpu0 1 2 3 4 5 6 7 12 0 0\n")
	write(t, roots.proc("pressure/cpu"), "some avg10=0.12 avg60=0.05 avg300=0.01 total=2500123\n")
	for _, cpu := range []string{"cpu0", "cpu1", "cpu2", "cpu3"} {
		write(t, roots.sys("devices/system/cpu/"+cpu+"/cpufreq/scaling_cur_freq"), "1500000\n")
	}
	write(t, roots.sys("class/thermal/thermal_zone0/temp"), "-1250\n")
	u := m.Stop()
	want := []struct {
		name string
		got  *int64
		want any
	}{
		{"steal", u.StealNs, int64(120_000_000)},
		{"pressure", u.CPUPressureNs, int64(123_000)},
		{"frequency after", u.FrequencyAfterHz, int64(1_500_000_000)},
		{"temperature before", u.TemperatureBeforeMilliC, int64(52600)},
		{"temperature after", u.TemperatureAfterMilliC, int64(-1250)},
		{"peak", u.PeakOctets, int64(1_100_000 << 10)},
		{"capture", u.CaptureOctets, int64(1 << 30)},
		{"engine's peak", u.EnginePeakOctets, int64(1_100_000<<10 - 1<<30)},
	}
	if runtime.NumCPU() <= 4 {
		want = append(want, want[2])
		want[len(want)-1].name, want[len(want)-1].got = "frequency before", u.FrequencyBeforeHz
		want[len(want)-1].want = int64(2_400_000_000)
	}
	for _, w := range want {
		if got := show(w.got); got != w.want {
			t.Errorf("%s: %v, want %v", w.name, got, w.want)
		}
	}
	if u.PeakReset {
		t.Error("a peak was reset in a tree of files")
	}
}

func TestTemperatureIsTheProcessors(t *testing.T) {
	tests := []struct {
		name  string
		zones []string // type and temperature
		want  any
	}{
		{"x86 with others before it", []string{"iwlwifi_1 30000", "acpitz 40000", "x86_pkg_temp 50000"}, int64(50000)},
		{"board only", []string{"iwlwifi_1 30000", "acpitz 40000"}, int64(40000)},
		{"others only", []string{"iwlwifi_1 30000", "battery 20000"}, "n/a"},
		{"old Raspberry Pi kernel", []string{"bcm2835_thermal 45000"}, int64(45000)},
		{"RK3588", []string{"soc-thermal 41000", "bigcore0-thermal 42000"}, int64(41000)},
		{"none", nil, "n/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := Roots{Proc: t.TempDir(), Sys: t.TempDir()}
			for i, zone := range tt.zones {
				kind, temp, _ := strings.Cut(zone, " ")
				dir := roots.sys("class/thermal/thermal_zone" + string(rune('0'+i)))
				write(t, filepath.Join(dir, "type"), kind+"\n")
				write(t, filepath.Join(dir, "temp"), temp+"\n")
			}
			var notes []string
			if got := show(readTemperature(roots, &notes)); got != tt.want || notes != nil {
				t.Errorf("%v, want %v; notes %q", got, tt.want, notes)
			}
		})
	}
}

// What a board has not must be nil, whatever is there instead; a file that is not understood must be named in a note.
func TestMissingAndGarbledFiles(t *testing.T) {
	files := map[string]func(u Usage) bool{ // whether the value is there
		"proc/stat":         func(u Usage) bool { return u.StealNs != nil },
		"proc/pressure/cpu": func(u Usage) bool { return u.CPUPressureNs != nil },
		"proc/self/status": func(u Usage) bool {
			return u.PeakOctets != nil || u.CaptureOctets != nil || u.EnginePeakOctets != nil
		},
		"sys/class/thermal/thermal_zone0/temp": func(u Usage) bool { return u.TemperatureAfterMilliC != nil },
		"sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": func(u Usage) bool {
			return u.ThrottleAfter != nil || u.Throttled != nil
		},
	}
	garbage := map[string]string{
		"empty": "",
		"text":  "no such thing\n",
		"cut":   "cpu  1 2 3\nsome avg10=0.1\nVmHWM:\t\nRssShmem:\n",
		"huge": "cpu 1 1 1 1 1 1 1 99999999999999999999\nsome total=9223372036854775807\n" +
			"VmHWM: 9223372036854775807 kB\n",
		"negative":   "cpu 1 1 1 1 1 1 1 -5\nsome total=-1\nVmHWM: -4 kB\n",
		"binary":     "\x00\xff\x00\xff\n",
		"long lines": strings.Repeat("cpu ", 100_000),
	}
	for file, present := range files {
		check := func(t *testing.T, change func(name string), note bool) {
			roots := board(t, "pi-5")
			change(filepath.Join(filepath.Dir(roots.Proc), file))
			m, err := Start(Config{Roots: roots})
			if err != nil {
				t.Fatal(err)
			}
			u := m.Stop()
			if present(u) {
				t.Errorf("there is a value: %+v", u)
			}
			if note && !strings.Contains(strings.Join(u.Notes, "\n"), filepath.FromSlash(file)) {
				t.Errorf("no note names the file: %q", u.Notes)
			}
		}
		t.Run(file+"/absent", func(t *testing.T) { check(t, func(name string) { os.Remove(name) }, false) })
		t.Run(file+"/directory", func(t *testing.T) {
			check(t, func(name string) { os.Remove(name); os.Mkdir(name, 0o755) }, true)
		})
		for kind, content := range garbage {
			t.Run(file+"/"+kind, func(t *testing.T) {
				check(t, func(name string) { write(t, name, content) }, true)
			})
		}
	}
}

func TestCountersThatGoBackAreMissing(t *testing.T) {
	roots := board(t, "x86-vm")
	m, err := Start(Config{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	write(t, roots.proc("stat"), "cpu  1 2 3 4 5 6 7 12 0 0\n")
	if u := m.Stop(); u.StealNs != nil {
		t.Errorf("steal %d ns from a counter that went back", *u.StealNs)
	}
}

func TestMemoryWithoutACountOfSharedPages(t *testing.T) {
	const old = "VmHWM:\t   61440 kB\nVmRSS:\t   60000 kB\n" // Linux before 4.5
	tests := []struct {
		name                 string
		mapped               int64
		wantCapture, wantEng any
	}{
		{"mapping known", 32 << 20, int64(32 << 20), int64(28 << 20)},
		{"mapping unknown", 0, "n/a", "n/a"},
		{"mapping larger than the peak", 64 << 20, int64(64 << 20), "n/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			roots := board(t, "pi-3b")
			write(t, roots.proc("self/status"), old)
			m, err := Start(Config{Roots: roots, MappedOctets: tt.mapped})
			if err != nil {
				t.Fatal(err)
			}
			u := m.Stop()
			if show(u.PeakOctets) != int64(60<<20) || show(u.CaptureOctets) != tt.wantCapture ||
				show(u.EnginePeakOctets) != tt.wantEng {
				t.Errorf("peak %v capture %v engine %v, want capture %v engine %v", show(u.PeakOctets),
					show(u.CaptureOctets), show(u.EnginePeakOctets), tt.wantCapture, tt.wantEng)
			}
		})
	}
}

func FuzzParsers(f *testing.F) {
	for _, name := range []string{"pi-3b", "pi-zero-2w", "pi-5", "x86-vm"} {
		b, err := os.ReadFile(filepath.Join("testdata", name+".txt"))
		if err != nil {
			f.Fatal(err)
		}
		for file := range strings.SplitSeq(string(b), "\n-- ") {
			_, content, _ := strings.Cut(file, " --\n")
			f.Add(content)
		}
	}
	f.Add("cpu 1 1 1 1 1 1 1 922337203685477580\nsome total=9223372036854775807\nVmHWM: 9007199254740993 kB")
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := parseSteal(s); ok && (v < 0 || v%tick != 0) {
			t.Errorf("steal %d", v)
		}
		if v, ok := parsePressure(s); ok && (v < 0 || v%1000 != 0) {
			t.Errorf("pressure %d", v)
		}
		for _, key := range []string{"VmHWM", "RssShmem", "MemTotal"} {
			if v, ok := statusOctets(s, key); ok && (v < 0 || v%1024 != 0) {
				t.Errorf("%s %d", key, v)
			}
		}
		if v, ok := countCPUs(s); ok && v < 1 {
			t.Errorf("%d CPUs", v)
		}
		if v, ok := parseCacheSize(s); ok && v < 1 {
			t.Errorf("cache of %d octets", v)
		}
		parseThrottle(s)
		parseThrottledCommand(s)
		parseClockCommand(s)
		var e Environment
		e.setCPU(parseCPUInfo(s))
		if e.CPU == "" && len(e.Notes) == 0 {
			t.Error("no CPU and no note")
		}
	})
}
