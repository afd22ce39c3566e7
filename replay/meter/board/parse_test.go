package board

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestKernelBits(t *testing.T) {
	for _, tt := range []struct {
		arch, release string
		want          any
	}{
		{"x86_64", "", int64(64)}, {"aarch64", "", int64(64)}, {"riscv64", "", int64(64)}, {"s390x", "", int64(64)},
		{"armv7l", "6.1.21-v7+", int64(32)}, {"i686", "", int64(32)}, {"armv6l", "", int64(32)},
		{"", "5.10.103-v8+", int64(64)}, {"", "5.10.103-v7l+", int64(32)}, {"", "5.10.0-28-amd64", int64(64)},
		{"", "5.15.0-generic", "n/a"}, {"", "", "n/a"},
	} {
		if got := show(kernelBits(tt.arch, tt.release)); got != tt.want {
			t.Errorf("%q %q: %v, want %v", tt.arch, tt.release, got, tt.want)
		}
	}
}

func TestCPULists(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []int
		out  string
	}{
		{"0-3\n", []int{0, 1, 2, 3}, "0-3"}, {"0 1 2 3\n", []int{0, 1, 2, 3}, "0-3"}, {"0,2-3,7", []int{0, 2, 3, 7}, "0,2-3,7"},
		{"3,1,1-2", []int{1, 2, 3}, "1-3"}, {"5", []int{5}, "5"},
		{"", nil, ""}, {"\n", nil, ""}, {"3-1", nil, ""}, {"0-99999", nil, ""}, {"a", nil, ""}, {"-1", nil, ""},
	} {
		got, ok := cpuList(tt.in)
		if ok != (tt.want != nil) || ok && (!slices.Equal(got, tt.want) || writeCPUList(got) != tt.out) {
			t.Errorf("%q: %v %v, written %q", tt.in, got, ok, writeCPUList(got))
		}
	}
}

func TestSwaps(t *testing.T) {
	const head = "Filename\tType\tSize\tUsed\tPriority\n"
	yes, no := true, false
	for _, tt := range []struct {
		name, in string
		want     []Swap
		ok       bool
	}{
		{"none", head, []Swap{}, true},
		{"file", head + "/var/swap file 102396 4 -2", []Swap{{"file", 102396 << 10, 4 << 10, nil}}, true},
		{"card and zram", head + "/dev/mmcblk0p3 partition 8 0 -2\n/dev/zram0 partition 16 8 100",
			[]Swap{{"partition", 8 << 10, 0, &yes}, {"zram", 16 << 10, 8 << 10, &no}}, true},
		{"deleted file", head + "/swap\\040(deleted) file 8 0 -2", []Swap{{"file", 8 << 10, 0, nil}}, true},
		{"more used than there is", head + "/var/swap file 1 2 -2", nil, false},
		{"negative", head + "/var/swap file -1 0 -2", nil, false},
		{"overflow", head + "/var/swap file 9223372036854775807 0 -2", nil, false},
		{"no head", "/var/swap file 1 0 -2", nil, false},
		{"empty", "", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := parseSwaps(tt.in); ok != tt.ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%+v %v, want %+v", got, ok, tt.want)
			}
		})
	}
}

func TestRootOnCard(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want any
	}{
		{"/dev/mmcblk0p2 / ext4 rw 0 0", true}, {"/dev/sda2 / ext4 rw 0 0", false}, {"/dev/nvme0n1p2 / ext4 rw 0 0", false},
		{"rootfs / rootfs rw 0 0\n/dev/mmcblk0p2 / ext4 rw 0 0", true}, {"/dev/root / ext4 rw 0 0", "n/a"},
		{"/dev/mapper/vg-root / ext4 rw 0 0", "n/a"}, {"overlay / overlay rw 0 0", "n/a"}, {"/dev/mmcblk0p1 /boot vfat rw 0 0", "n/a"}, {"", "n/a"},
	} {
		if got := show(rootOnCard(tt.in)); got != tt.want {
			t.Errorf("%q: %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestProcess(t *testing.T) {
	const fields = " S 1 901 901 0 -1 4194560 9000 90000 90 400 8012 905 0 0 20"
	for _, tt := range []struct {
		name, in, want string
		ticks          int64
		ok             bool
	}{
		{"plain", "901 (node)" + fields, "node", 8917, true},
		{"parentheses and spaces", "901 (a) R (b c)" + fields, "a) R (b c", 8917, true},
		{"cut", "901 (node) S 1 2", "", 0, false},
		{"backwards", "901 )node(" + fields, "", 0, false},
		{"no number", "901 (node) S 1 901 901 0 -1 4194560 9000 90000 90 400 x 905 0 0", "", 0, false},
		{"empty", "", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if name, ticks, ok := parseProcess(tt.in); name != tt.want || ticks != tt.ticks || ok != tt.ok {
				t.Errorf("%q %d %v", name, ticks, ok)
			}
		})
	}
}

func TestSmallParsers(t *testing.T) {
	if total, idle, steal, cpus, ok := parseStat("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\ncpu1 1\nintr 5"); !ok || total != 36 || idle != 9 || steal != 8 || cpus != 2 {
		t.Errorf("stat: %d %d %d %d %v", total, idle, steal, cpus, ok)
	}
	if p, ok := parsePressure("some avg10=12.34 avg60=1.00 avg300=0.00 total=1\nfull avg10=99.00"); !ok || p != 12.34 {
		t.Errorf("pressure: %v %v", p, ok)
	}
	for _, bad := range []string{"", "full avg10=1.00", "some avg10=x", "some avg10=101", "some avg10=NaN", "some avg10=-1"} {
		if p, ok := parsePressure(bad); ok {
			t.Errorf("pressure of %q: %v", bad, p)
		}
	}
	if a, ok := parseLoad("0.15 0.17 0.57 2/100 29854"); !ok || a != [3]float64{0.15, 0.17, 0.57} {
		t.Errorf("load: %v %v", a, ok)
	}
	if _, ok := parseLoad("0.15 Inf 0.57 2/100 29854"); ok {
		t.Error("an infinite load")
	}
	if q, ok := parseQuota("150000 100000"); !ok || q != 1.5 {
		t.Errorf("quota: %v %v", q, ok)
	}
	for _, bad := range []string{"max 100000", "", "1 0", "0 1", "-1 100000"} {
		if q, ok := parseQuota(bad); ok {
			t.Errorf("quota of %q: %v", bad, q)
		}
	}
	if got := osRelease("ID=debian\nPRETTY_NAME='A B'\n", "PRETTY_NAME"); got != "A B" {
		t.Errorf("os-release: %q", got)
	}
	for in, want := range map[string]any{"\x7fELF\x01": int64(32), "\x7fELF\x02": int64(64), "\x7fELF\x03": "n/a", "#!/bi": "n/a", "": "n/a"} {
		if got := show(elfBits([]byte(in))); got != want {
			t.Errorf("%q: %v bits, want %v", in, got, want)
		}
	}
	for in, want := range map[string]string{"enxb827eb012345": "enx*", "wlxDCA632010203": "wlx*", "eth0": "eth0", "enp0s31f6": "enp0s31f6", "": ""} {
		if got := withoutAddress(in); got != want {
			t.Errorf("%q is shown as %q", in, got)
		}
	}
	for in, want := range map[string]string{"Default string": "", "To be filled by O.E.M.": "", "ThinkPad": "ThinkPad"} {
		if got := dmiText(in); got != want {
			t.Errorf("DMI %q is %q", in, got)
		}
	}
	if got := joined("Dell Inc.", "Dell Inc. XPS", "", "XPS"); got != "Dell Inc. XPS" {
		t.Errorf("joined %q", got)
	}
}

func FuzzParsers(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txt")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for file := range strings.SplitSeq(string(b), "\n-- ") {
			_, content, _ := strings.Cut(file, " --\n")
			f.Add(content)
		}
	}
	f.Add("0-65535,1-3")
	f.Add("1 (a) b) S 1 1 1 0 -1 0 0 0 0 0 72057594037927935 72057594037927935")
	f.Fuzz(func(t *testing.T, s string) {
		if list, ok := cpuList(s); ok {
			again, ok := cpuList(writeCPUList(list))
			if !ok || !slices.Equal(list, again) {
				t.Errorf("%v is written %q", list, writeCPUList(list))
			}
		}
		if swaps, ok := parseSwaps(s); ok {
			for _, swap := range swaps {
				if swap.Octets < 0 || swap.UsedOctets < 0 || swap.UsedOctets > swap.Octets {
					t.Errorf("%+v", swap)
				}
			}
		}
		if total, idle, steal, cpus, ok := parseStat(s); ok && (total < 0 || idle < 0 || steal < 0 || idle+steal > total || cpus < 0) {
			t.Errorf("stat %d %d %d", total, idle, steal)
		}
		if _, ticks, ok := parseProcess(s); ok && ticks < 0 {
			t.Errorf("%d ticks", ticks)
		}
		if p, ok := parsePressure(s); ok && !(p >= 0 && p <= 100) {
			t.Errorf("pressure %v", p)
		}
		if q, ok := parseQuota(s); ok && !(q > 0) {
			t.Errorf("quota %v", q)
		}
		if a, ok := parseLoad(s); ok && !(a[0] >= 0 && a[1] >= 0 && a[2] >= 0) {
			t.Errorf("load %v", a)
		}
		if name := withoutAddress(s); len(name) > len(s) {
			t.Errorf("%q grew to %q", s, name)
		}
		rootOnCard(s)
		deviceOf(s)
		osRelease(s, "PRETTY_NAME")
		elfBits([]byte(s))
		kernelBits(s, s)
		modelOf(s)
		if strings.ContainsAny(clean(s), "\n\x1b") {
			t.Errorf("%q is cleaned to %q", s, clean(s))
		}
	})
}
