package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/replay/trial"
)

func perClassArgs(more ...string) []string {
	return ceilingArgs(append([]string{"--per-class", "--goal", "ndr", "--in-process"}, more...)...)
}

// classRow is what the tests look at of a line of --json.
type classRow struct {
	Kind      string `json:"kind"`
	Synthetic string `json:"synthetic"`
	Done      int    `json:"done"`
	Class     string `json:"class"`
	Cell      struct {
		Engine string `json:"engine"`
	} `json:"cell"`
	Share float64 `json:"dataset_share"`
	Times float64 `json:"times_cheapest"`
}

func classRows(t *testing.T, text string) (header classRow, rows []classRow) {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		var row classRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			header = row
			continue
		}
		rows = append(rows, row)
	}
	return header, rows
}

func TestCeilingPerClass(t *testing.T) {
	dir, _ := synthDir(t, "--packets", "120", "--split", "2000", "--classes", "DDoS-SYN_Flood,XSS,Mirai-udpplain")
	folder := filepath.Join(t.TempDir(), "out")
	stdout, stderr := run(t, ExitDone, perClassArgs("--engines", "direct,gopacket-layers", "--packets", "100", "-o", folder, dir)...)
	for _, want := range []string{"synthetic: made by pcaplab", "seed 1", "the first 100 packets of each", "x cheapest", "of dataset", "DDoS-SYN_Flood", "XSS"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "3 classes, of which 3 are to measure") {
		t.Errorf("stderr %q", stderr)
	}
	if stored, err := os.ReadFile(filepath.Join(folder, report.TableFile)); err != nil || string(stored) != stdout {
		t.Errorf("the stored table is not the printed one: %v\n%s", err, stored)
	}
	if again, _ := run(t, ExitDone, "table", folder); again != stdout {
		t.Errorf("table prints\n%s, was\n%s", again, stdout)
	}
	lines, _ := run(t, ExitDone, "table", "--json", folder)
	header, rows := classRows(t, lines)
	if header.Kind != "classes" || header.Done != 3 || !strings.Contains(header.Synthetic, "not captured") || len(rows) != 6 {
		t.Fatalf("%+v, %d rows", header, len(rows))
	}
	for i, row := range rows {
		engine := "direct"
		if i >= 3 {
			engine = "gopacket-layers"
		}
		cheapest, dearer := i%3 == 2, i%3 > 0 && row.Times > rows[i-1].Times
		if row.Kind != "class-ceiling" || row.Cell.Engine != engine || row.Times < 1 || dearer || cheapest && row.Times != 1 || !(row.Share > 0 && row.Share < 0.1) {
			t.Errorf("row %d: %+v", i+1, row)
		}
	}
	one, _ := run(t, ExitDone, "table", filepath.Join(folder, "XSS"))
	if !strings.Contains(one, "100 packets") {
		t.Errorf("the table of one class is\n%s", one)
	}
	if _, stderr := run(t, ExitFailed, perClassArgs("-o", folder, dir)...); !strings.Contains(stderr, "--resume") {
		t.Errorf("stderr %q", stderr)
	}
	// What is lost is measured again, the rest is not.
	if err := os.RemoveAll(filepath.Join(folder, "XSS")); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := run(t, ExitDone, "table", folder); !strings.Contains(stdout, "unfinished: 2 of 3 classes") {
		t.Errorf("the table of two classes is\n%s", stdout)
	}
	if _, stderr := run(t, ExitDone, "ceiling", "--resume", folder); !strings.Contains(stderr, "of which 1 are to measure") {
		t.Errorf("stderr %q", stderr)
	}
	if _, stderr := run(t, ExitMissed, "ceiling", "--per-class", "--resume", folder, "--fail-if", "service[direct]<1000G"); !strings.Contains(stderr, "XSS: ") {
		t.Errorf("stderr %q", stderr)
	}
}

// Interrupted studies are gone on with.
func TestCeilingPerClassInterrupted(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code, _, stderr := runIn(ctx, nil, perClassArgs("--engines", "direct", "-o", folder, "--synth", "cic:20")...)
	if code != ExitInterrupted || !strings.Contains(stderr, "--resume "+folder) {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	classes, err := report.ReadClasses(folder)
	if err != nil || len(classes.Header.Classes) != 34 || classes.Done() != 0 || !strings.HasPrefix(classes.Header.Synthetic, "synthetic") {
		t.Errorf("%+v, %v", classes, err)
	}
}

// Captures without folders, and folders that the dataset has not, are classes too.
func TestCeilingPerClassOfOtherTrees(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mine/b10.pcap", "mine/b9.pcap", "DoS-TCP_Flood2.pcap", "zz.pcap.gz", "empty/notes.txt", "empty/rows.csv.gz"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".pcap") {
			run(t, ExitDone, "synth", "udp-64", "--frames", "30", "-o", filepath.Join(dir, name))
		} else if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	stdout, stderr := run(t, ExitFailed, perClassArgs("--engines", "direct", "--json", dir)...)
	header, rows := classRows(t, stdout)
	var names []string
	for _, row := range rows {
		names = append(names, row.Class)
	}
	slices.Sort(names)
	if first := filepath.Join(dir, "mine", "b9.pcap"); !strings.Contains(stdout, first+`","`+filepath.Join(dir, "mine", "b10.pcap")) {
		t.Errorf("captures of a class are not in the order of their numbers:\n%s", stdout)
	}
	if got := strings.Join(names, " "); got != "DoS-TCP_Flood mine" || header.Synthetic != "" {
		t.Errorf("measured %q, %+v", got, header)
	}
	for _, want := range []string{"empty: no captures", "2 left out", "zz.pcap.gz", "3 classes"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q: %s", want, stderr)
		}
	}
}

func TestCeilingPerClassUsage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "XSS.pcap")
	writeTraffic(t, file, "XSS", 1, 10)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no folder", nil, "one folder"},
		{"two folders", []string{"a", "b"}, "one folder"},
		{"a file", []string{file}, "this is a file: leave out --per-class"},
		{"one class", []string{"--synth", "XSS"}, "synth:cic"},
		{"a soak", []string{"--soak", "10m", "a"}, "--soak"},
		{"a condition on an engine that is not measured", []string{"--engines", "direct", "--fail-if", "ndr[nobody]<1", "synth:cic"}, "nobody"},
		{"an unknown engine", []string{"--engines", "libpcap", "synth:cic"}, "libpcap"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, stderr := run(t, ExitUsage, append([]string{"ceiling", "--per-class"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("stderr %q, want %q", stderr, tt.want)
			}
		})
	}
	if _, stderr := run(t, ExitFailed, "ceiling", "--per-class", t.TempDir()); !strings.Contains(stderr, "no captures") {
		t.Errorf("stderr %q", stderr)
	}
}

func TestRemoteCeilingPerClass(t *testing.T) {
	if testing.Short() {
		t.Skip("copies this binary to a host")
	}
	s := loopback(t)
	dir, _ := synthDir(t, "--packets", "120", "--classes", "DDoS-SYN_Flood,XSS")
	folder := filepath.Join(t.TempDir(), "out")
	stdout, stderr := run(t, ExitDone, onBoard(t, s, s.Alias, perClassArgs("--engines", "direct", "-o", folder, dir)...)...)
	clean(t, s)
	if !strings.Contains(stderr, s.Alias+" 2/2 XSS: ") {
		t.Errorf("stderr %q", stderr)
	}
	if again, _ := run(t, ExitDone, "table", folder); again != stdout || !strings.Contains(stdout, "DDoS-SYN_Flood") {
		t.Errorf("the folder's table differs:\n%s\n%s", again, stdout)
	}
	if _, stderr := run(t, ExitUsage, onBoard(t, s, s.Alias+",nowhere.invalid", perClassArgs(dir)...)...); !strings.Contains(stderr, "one host") {
		t.Errorf("stderr %q", stderr)
	}
}

// The mark of a tree counts in its folders too, not in one beside them.
func TestSynthTreeOf(t *testing.T) {
	dir, _ := synthDir(t, "--packets", "20", "--classes", "XSS")
	other := filepath.Join(dir, "captured")
	if err := os.Mkdir(other, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{dir: true, filepath.Join(dir, "PCAP"): true, filepath.Join(dir, "PCAP", "XSS"): true, other: false} {
		if tree, err := synthTreeOf(path); err != nil || (tree != nil) != want {
			t.Errorf("%s: %v, %v", path, tree, err)
		}
	}
}

// As many captures as the packets need, whatever their frames' sizes, and only those.
func TestPerClassTakesEnough(t *testing.T) {
	dir, tree := synthDir(t, "--packets", "300", "--split", "5000", "--classes", "DDoS-ICMP_Fragmentation")
	var files []string
	sum, need := 0, 0
	for _, f := range tree.Classes[0].Files {
		files = append(files, filepath.Join(dir, filepath.FromSlash(f.File)))
		if sum < 100 {
			need++
		}
		sum += int(f.Packets)
	}
	for packets, want := range map[int]int{0: len(files), 100: need, 1000: len(files)} {
		if got, err := enough(t.Context(), files, trial.Reading{Packets: packets}); err != nil || len(got) != want {
			t.Errorf("%d packets: %d of %d captures, want %d, %v", packets, len(got), len(files), want, err)
		}
	}
}
