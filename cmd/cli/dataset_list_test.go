package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/cic"
)

// sharedRows reads a table of the folder that PCAPLAB_CIC names, without its head.
func sharedRows(t *testing.T, name string) [][]string {
	t.Helper()
	folder := os.Getenv("PCAPLAB_CIC")
	if folder == "" {
		t.Skip("PCAPLAB_CIC is unset: it names a folder with classes.tsv and known-pcaps.tsv")
	}
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(content)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	return rows[1:]
}

func decoded[T any](t *testing.T, lines string) []T {
	t.Helper()
	var list []T
	for in := json.NewDecoder(strings.NewReader(lines)); in.More(); {
		var v T
		if err := in.Decode(&v); err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

func TestDatasetListIsTheSharedTable(t *testing.T) {
	want := sharedRows(t, "classes.tsv")
	stdout, _ := run(t, ExitDone, "dataset", "list", "--json")
	got := decoded[classJSON](t, stdout)
	if len(got) != len(want) {
		t.Fatalf("%d classes, want %d", len(got), len(want))
	}
	for i, c := range got {
		first := c.FirstPacket
		if first == "" {
			first = "?"
		}
		if c.FirstWrong != (first == "1970-01-01") || (c.ToolSource == "") != (c.Category == "Benign") {
			t.Errorf("%+v", c)
		}
		row := []string{c.Class, c.CSVFolder, c.Stem, fmt.Sprint(c.Captures), c.OldLabel, c.Label, c.Category, fmt.Sprint(c.Window), fmt.Sprint(c.Packets),
			fmt.Sprint(c.Octets), fmt.Sprintf("%.1f", float64(c.Octets)/float64(c.Packets)), fmt.Sprint(c.Rows), fmt.Sprint(c.OldRows), first}
		if !slices.Equal(row, want[i]) {
			t.Errorf("%q, want %q", row, want[i])
		}
	}
	stdout, _ = run(t, ExitDone, "dataset", "list")
	for _, row := range want {
		if !strings.Contains(stdout, "\n"+row[0]+" ") {
			t.Errorf("no line for %s", row[0])
		}
	}
}

func TestDatasetListTotals(t *testing.T) {
	stdout, _ := run(t, ExitDone, "dataset", "list")
	i := strings.Index(stdout, "34 in all")
	if i < 0 {
		t.Fatal("no totals")
	}
	line, _, _ := strings.Cut(stdout[i:], "\n")
	if got := strings.Join(strings.Fields(line), " "); got != "34 in all 309 4,493,106,426 516,216,377,698 547.7 GiB 114.9 B 46,776,361" {
		t.Errorf("totals %q", got)
	}
	stdout, _ = run(t, ExitDone, "dataset", "list", "--category", "recon")
	if !strings.Contains(stdout, "5 in all") || strings.Contains(stdout, "Web") {
		t.Errorf("of Recon:\n%s", stdout)
	}
	if wide, _ := run(t, ExitDone, "dataset", "list"); !strings.Contains(wide, "1970-01-01 *\n") || !strings.Contains(wide, "* one wrong time stamp") || strings.Contains(stdout, "stamp") {
		t.Errorf("%s%s", wide, stdout)
	}
	if _, stderr := run(t, ExitUsage, "dataset", "list", "--category", "reco"); !strings.Contains(stderr, "Recon") {
		t.Errorf("stderr %q", stderr)
	}
	for _, line := range strings.Split(stdout, "\n") {
		if len([]rune(line)) > 160 {
			t.Errorf("a line of %d letters: %s", len([]rune(line)), line)
		}
	}
}

func TestDatasetShowKnowsTheSharedFiles(t *testing.T) {
	args := []string{"dataset", "show", "--json"}
	for _, c := range cic.Classes() {
		args = append(args, c.OldLabel)
	}
	stdout, _ := run(t, ExitDone, args...)
	files := make(map[string]fileJSON)
	for _, c := range decoded[classJSON](t, stdout) {
		if c.Tool == "" || c.Wire == "" || len(c.Files) != 2*c.Captures {
			t.Errorf("%+v", c)
		}
		for _, f := range c.Files {
			files[filepath.Base(f.Path)] = f
		}
	}
	if len(files) != 618 {
		t.Errorf("%d files, want 309 captures and as many tables", len(files))
	}
	for _, row := range sharedRows(t, "known-pcaps.tsv") {
		f := files[row[0]]
		if fmt.Sprint(f.Octets) != row[1] || fmt.Sprint(f.Packets) != row[2] || f.SHA256 != row[3] {
			t.Errorf("%+v, want %q", f, row)
		}
	}
}

func TestDatasetShow(t *testing.T) {
	for _, x := range []struct {
		args []string
		want []string
	}{
		{[]string{"BENIGN"}, []string{"Benign_Final\n", "BenignTraffic3.pcap  853,841,091 *  1,311,897 *", "not read off a copy", "MTU of 1500"}},
		{[]string{"ddos-pshack_flood"}, []string{"CSV/CSV/DDoS-PSHACK_FLOOD", "DDOS-PSHACK_FLOOD", "hping3", "DDoS-PSHACK_Flood15.pcap", "~", "shared out", "ad455d997fb960ef"}},
		{[]string{"xss", "DDoS-HTTP_Flood-.pcap"}, []string{"XSS\n", "\nDDoS-HTTP_Flood\n", "ends in a dash"}},
		{[]string{"VULNERABILITYSCAN"}, []string{"first packet  not known", "rows of 10 frames", "nmap, fping, vulscan (the makers' paper, of the category; not verified)"}},
		{[]string{"ddos-slowloris"}, []string{"slowloris (the makers' paper; not verified)"}},
		{[]string{"DDoS-UDP_Fragmentation"}, []string{"first packet  1970-01-01, one wrong time stamp"}},
	} {
		stdout, stderr := run(t, ExitDone, append([]string{"dataset", "show"}, x.args...)...)
		for _, want := range x.want {
			if !strings.Contains(stdout, want) {
				t.Errorf("%q: want %q in\n%s", x.args, want, stdout)
			}
		}
		if stderr != "" {
			t.Errorf("%q: stderr %q", x.args, stderr)
		}
	}
	for _, x := range []struct{ name, want string }{
		{"DDoS-SYN_Flod", "did you mean DDoS-SYN_Flood or"},
		{"nothing of the kind", "dataset list"},
	} {
		if stdout, stderr := run(t, ExitUsage, "dataset", "show", x.name); stdout != "" || !strings.Contains(stderr, x.want) {
			t.Errorf("%s: %q, %q", x.name, stdout, stderr)
		}
	}
	if _, stderr := run(t, ExitUsage, "dataset", "show"); !strings.Contains(stderr, "no class") {
		t.Errorf("stderr %q", stderr)
	}
}

func TestDatasetCompletion(t *testing.T) {
	for _, x := range []struct {
		args []string
		want string // among the values
		not  string
	}{
		{[]string{"dataset", "show", "Mirai-"}, "Mirai-greip_flood", "XSS"},
		{[]string{"dataset", "show", "XSS", ""}, "DDoS-SYN_Flood", "XSS"},
		{[]string{"dataset", "fetch", ""}, "all", ""},
		{[]string{"dataset", "fetch", "XSS", ""}, "Benign_Final", "all"},
		{[]string{"dataset", "list", "--category", ""}, "Recon", ""},
	} {
		values, directive := complete(t, x.args...)
		if !slices.Contains(values, x.want) || x.not != "" && slices.Contains(values, x.not) || directive != noFile {
			t.Errorf("%q: offered %q, directive %s", x.args, values, directive)
		}
	}
	for _, c := range categories() {
		run(t, ExitDone, "dataset", "list", "--category", c)
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -999: "-999", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<30 - 1: "1.0 GiB", 588_101_000_000: "547.7 GiB"} {
		if got := fileSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
