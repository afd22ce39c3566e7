package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// marksOf writes the marks of a guest whose blocks take cost instructions, its idle ones 100, and each mark 7.
func marksOf(blocks int, cost func(pass, block int) int64) string {
	var s strings.Builder
	var executed int64
	for pass := range passes {
		for b := range 2 * blocks {
			executed += 7
			fmt.Fprintf(&s, "%d 0 %d\n", 2*b, executed)
			executed += 7 + 100
			if b < blocks {
				executed += cost(pass, b)
			}
			fmt.Fprintf(&s, "%d 0 %d\n", 2*b+1, executed)
			executed += 12345 // unmarked work does not count
		}
	}
	return s.String()
}

func TestPerPacket(t *testing.T) {
	for _, tt := range []struct {
		name string
		cost func(pass, block int) int64
		want float64
	}{
		{"all alike", func(int, int) int64 { return 640 }, 20},
		{"blocks differ", func(_, b int) int64 { return 320 + 640*int64(b) }, 20},
		{"two passes in three disturbed", func(pass, _ int) int64 {
			if pass%3 > 0 {
				return 99999
			}
			return 640
		}, 20},
		{"a pass with less", func(pass, _ int) int64 {
			if pass == 2 {
				return 320
			}
			return 640
		}, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := perPacket([]byte(marksOf(2, tt.cost)), 2, 64)
			if err != nil || got != tt.want {
				t.Errorf("%v instructions, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestPerPacketRefusesWhatIsNoCount(t *testing.T) {
	good := marksOf(2, func(int, int) int64 { return 640 })
	for _, tt := range []struct{ name, marks string }{
		{"nothing", ""},
		{"cut", good[:len(good)/2]},
		{"another thread", strings.Replace(good, "3 0 ", "3 1 ", 1)},
		{"another order", strings.Replace(good, "2 0 ", "1 0 ", 1)},
		{"not a number", strings.Replace(good, "0 0 ", "x 0 ", 1)},
		{"counts that fall", strings.Replace(good, "1 0 7", "1 0 -7", 1)},
		{"no work", marksOf(2, func(int, int) int64 { return 0 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := perPacket([]byte(tt.marks), 2, 64); err == nil {
				t.Errorf("%v instructions, want an error", got)
			}
		})
	}
}

func rowOf(engine string, n float64) row { return row{cell{"arm64", engine, "iot-1"}, n} }

func TestCompareSeesChangesInBothDirections(t *testing.T) {
	golden := table{goVersion: "go1.26.8", rows: []row{rowOf("direct", 100), rowOf("gopacket-eager", 4000)}}
	for _, tt := range []struct {
		name    string
		rows    []row
		changed string
	}{
		{"the same", []row{rowOf("direct", 100), rowOf("gopacket-eager", 4000)}, ""},
		{"within tolerance", []row{rowOf("direct", 100.4), rowOf("gopacket-eager", 4030)}, ""},
		{"2 % more", []row{rowOf("direct", 102), rowOf("gopacket-eager", 4080)}, "direct gopacket-eager"},
		{"2 % less", []row{rowOf("direct", 98), rowOf("gopacket-eager", 3920)}, "direct gopacket-eager"},
		{"six per mille: too much where nothing allocates", []row{rowOf("direct", 100.6), rowOf("gopacket-eager", 4020)}, "direct"},
		{"a new engine", []row{rowOf("direct", 100), rowOf("gopacket-eager", 4000), rowOf("mine", 1)}, "mine"},
		{"an engine less", []row{rowOf("direct", 100)}, "gopacket-eager"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var changed []string
			changes := compare(golden, table{rows: tt.rows}, true)
			for _, c := range changes {
				changed = append(changed, c.engine)
			}
			if got := strings.Join(changed, " "); got != tt.changed {
				t.Errorf("changes of %q, want of %q", got, tt.changed)
			}
			var text bytes.Buffer
			writeChanges(&text, changes)
			for _, engine := range changed {
				if !strings.Contains(text.String(), engine) {
					t.Errorf("%s is not in what is printed:\n%s", engine, text.String())
				}
			}
		})
	}
}

func TestTableRoundTripAndFaults(t *testing.T) {
	want := table{goVersion: "go1.26.8", rows: []row{rowOf("direct", 111.82), rowOf("gopacket-eager", 3837.5)}}
	path := filepath.Join(t.TempDir(), "golden.tsv")
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readTable(path)
	if err != nil || got.String() != want.String() || len(got.rows) != 2 {
		t.Errorf("read %v (%v), wrote %v", got, err, want)
	}
	good := want.String()
	for _, tt := range []struct{ name, data, says string }{
		{"empty", "", "line 1"},
		{"no version", strings.TrimPrefix(good, "# go go1.26.8\n"), "line 1"},
		{"column missing", good + "arm64\tdirect\n", "line 5"},
		{"not a number", good + "arm64\tx\tiot-1\tmany\n", "line 5"},
		{"no instructions", good + "arm64\tx\tiot-1\t0\n", "line 5"},
		{"twice", good + "arm64\tdirect\tiot-1\t1\n", "second time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parseTable(tt.data); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one with %q", err, tt.says)
			}
		})
	}
	if _, err := readTable(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error of a missing table: %v", err)
	}
}

// TestGoldenTableIsWhole needs no emulator: the table has every cell and nothing else.
func TestGoldenTableIsWhole(t *testing.T) {
	golden, err := readTable("testdata/golden.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range architectures {
		for _, e := range engines() {
			for _, traffic := range trafficNames() {
				if n, known := golden.find(cell{a.name, e.Name, traffic}); !known || math.IsNaN(n) {
					t.Errorf("no count of %v", cell{a.name, e.Name, traffic})
				}
			}
		}
	}
	if want := len(architectures) * len(engines()) * len(trafficNames()); len(golden.rows) != want {
		t.Errorf("%d rows, want %d", len(golden.rows), want)
	}
}

// TestEnginesAreThoseOfPcaplab holds the list of engines to what the program lists.
func TestEnginesAreThoseOfPcaplab(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to run pcaplab with")
	}
	out, err := output(exec.Command(tool, "run", "pcaplab/cmd/pcaplab", "engines"))
	if err != nil {
		t.Fatal(err)
	}
	listed, _, _ := strings.Cut(out, "\n\n")
	var want []string
	for _, line := range strings.Split(listed, "\n")[2:] {
		want = append(want, strings.Fields(line)[0])
	}
	var got []string
	for _, e := range engines() {
		got = append(got, e.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("engines %v, pcaplab has %v", got, want)
	}
}

func TestMinor(t *testing.T) {
	for version, want := range map[string]string{
		"go1.26.8": "go1.26", "go1.26": "go1.26", "go1.27rc1": "go1.27", "go1.26.8 X:nodwarf5": "go1.26",
		"devel": "devel",
	} {
		if got := minor(version); got != want {
			t.Errorf("%s is of %s, want %s", version, got, want)
		}
	}
}

func TestGuestRunsEveryEngine(t *testing.T) {
	for _, e := range engines() {
		if err := guest(e.Name, "udp-64", 0); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	if err := guest("libpcap", "udp-64", 0); err == nil {
		t.Error("an engine that does not exist runs")
	}
}

// TestGate counts one cell: as it is, it passes; with every 50th frame parsed twice, or against a doctored table, or by
// another compiler's table, it must do what it says.
func TestGate(t *testing.T) {
	lab, skipped, err := newLab(t.Context(), t.TempDir(), architectures[:1])
	if err != nil {
		t.Fatal(err)
	}
	if len(lab.archs) == 0 {
		t.Skip(strings.Join(skipped, "; "))
	}
	key := cell{"arm64", "direct", "udp-64"}
	counted, err := lab.run(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if counted < 10 || counted > 1000 {
		t.Errorf("direct takes %v instructions for a UDP packet", counted)
	}
	for _, tt := range []struct {
		name   string
		factor float64
		slower int
		by     string
		passes bool
		says   string
	}{
		{"as it is", 1, 0, lab.goVersion, true, "negative control"},
		{"2 % more work", 1, 2, lab.goVersion, false, "+2."},
		{"a table 2 % lower", 0.98, 0, lab.goVersion, false, "+2.0"},
		{"a table 2 % higher", 1.02, 0, lab.goVersion, false, "-1.9"},
		{"another compiler", 0.98, 0, "go1.3", true, "not judged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			golden := table{goVersion: tt.by, rows: []row{{key, counted * tt.factor}}}
			c := config{golden: filepath.Join(t.TempDir(), "golden.tsv"), runs: 1, slower: tt.slower}
			if err := golden.write(c.golden); err != nil {
				t.Fatal(err)
			}
			if err := c.selectCells(key.engine, key.arch, key.traffic, nil); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := c.judge(t.Context(), &out, lab, true)
			if tt.passes != (err == nil) || err != nil && !errors.Is(err, errChanged) {
				t.Errorf("error %v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("does not say %q:\n%s", tt.says, out.String())
			}
			if !tt.passes && !strings.Contains(out.String(), "make icount-update") {
				t.Errorf("does not say how to accept:\n%s", out.String())
			}
		})
	}
}

func TestMissingProgramsAreSaidAndPass(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command")
	}
	empty := t.TempDir()
	if err := os.Symlink(tool, filepath.Join(empty, "go")); err != nil {
		t.Skip(err)
	}
	t.Setenv("PATH", empty)
	for _, update := range []bool{false, true} {
		c := config{runs: 1, update: update, golden: filepath.Join(empty, "golden.tsv")}
		if err := c.selectCells("", "", "", nil); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.run(t.Context(), &out); (err != nil) != update {
			t.Errorf("update %t: error %v", update, err)
		}
		if !strings.Contains(out.String(), "skipped: no gcc") {
			t.Errorf("update %t: %q does not say what is missing", update, out.String())
		}
	}
}
