package cic_test

import (
	"bufio"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/cic"
	"pcaplab/parse/feature"
)

func TestTotals(t *testing.T) {
	var files, packets, octets, rows, oldRows int64
	categories := make(map[string]int)
	windows := make(map[int]int)
	for _, c := range cic.Classes() {
		files += int64(c.Files)
		packets += c.Packets
		octets += c.Octets
		rows += c.Rows
		oldRows += c.OldRows
		categories[c.Category]++
		windows[c.Window]++
	}
	for _, x := range []struct {
		name      string
		got, want int64
	}{
		{"classes", int64(len(cic.Classes())), 34},
		{"files", files, 309},
		{"packets", packets, 4_493_106_426},
		{"octets", octets, 516_216_377_698},
		{"rows", rows, 46_776_361},
		{"old rows", oldRows, 46_686_579},
		{"Benign", int64(categories["Benign"]), 1},
		{"BruteForce", int64(categories["BruteForce"]), 1},
		{"DDoS", int64(categories["DDoS"]), 12},
		{"DoS", int64(categories["DoS"]), 4},
		{"Mirai", int64(categories["Mirai"]), 3},
		{"Recon", int64(categories["Recon"]), 5},
		{"Spoofing", int64(categories["Spoofing"]), 2},
		{"Web", int64(categories["Web"]), 6},
		{"windows of 10", int64(windows[10]), 15},
		{"windows of 100", int64(windows[100]), 19},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.name, x.got, x.want)
		}
	}
}

func TestClassesAgreeWithThemselves(t *testing.T) {
	for _, c := range cic.Classes() {
		benign := c.Category == "Benign"
		if want := strings.ToUpper(c.CSVFolder); !benign && c.Label != want || benign && c.Label != "BENIGN" {
			t.Errorf("%s: label %s", c.Folder, c.Label)
		}
		if !benign && c.OldLabel != c.Folder || benign && c.OldLabel != c.Stem {
			t.Errorf("%s: old label %s", c.Folder, c.OldLabel)
		}
		if !strings.EqualFold(c.Folder, c.CSVFolder) {
			t.Errorf("%s: CSV folder %s", c.Folder, c.CSVFolder)
		}
		// Few frames are neither IPv4 nor ARP, and three tables of DoS-UDP_Flood were cut.
		if share := float64(c.Rows) * float64(c.Window) / float64(c.Packets); share < 0.92 || share > 1.01 {
			t.Errorf("%s: %d rows of %d are %.2f of %d packets", c.Folder, c.Rows, c.Window, share, c.Packets)
		}
		if unknown := c.Folder == "VulnerabilityScan"; unknown != c.FirstPacket.IsZero() {
			t.Errorf("%s: first packet %v", c.Folder, c.FirstPacket)
		}
	}
}

func TestClassesAreACopy(t *testing.T) {
	cic.Classes()[0].Label = "changed"
	if got := cic.Classes()[0].Label; got != "BENIGN" {
		t.Errorf("the catalogue's first label is %s", got)
	}
}

func TestAttackers(t *testing.T) {
	if _, err := feature.ReadAttackers(cic.Attackers(), "attackers"); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for lines := bufio.NewScanner(cic.Attackers()); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		mac, err := net.ParseMAC(strings.Fields(lines.Text())[0])
		if err != nil {
			t.Error(err)
		}
		seen[mac.String()] = true
	}
	if len(seen) != 7 {
		t.Errorf("%d addresses, want 7", len(seen))
	}
}

func shared(t *testing.T, name string) [][]string {
	t.Helper()
	folder := os.Getenv("PCAPLAB_CIC")
	if folder == "" {
		t.Skip("PCAPLAB_CIC is unset: it names a folder with classes.tsv, known-pcaps.tsv and known-csvs.tsv")
	}
	content, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(content)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\r\n"), "\t"))
	}
	return rows
}

func TestSharedTable(t *testing.T) {
	want := shared(t, "classes.tsv")
	got := [][]string{want[0]}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	for _, c := range cic.Classes() {
		day := "?"
		if !c.FirstPacket.IsZero() {
			day = c.FirstPacket.Format(time.DateOnly)
		}
		mean := strconv.FormatFloat(c.MeanFrame(), 'f', 1, 64)
		got = append(got, []string{c.Folder, c.CSVFolder, c.Stem, number(int64(c.Files)), c.OldLabel, c.Label, c.Category,
			number(int64(c.Window)), number(c.Packets), number(c.Octets), mean, number(c.Rows), number(c.OldRows), day})
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range got {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("row %d: %q, want %q", i, got[i], want[i])
		}
	}
}

func TestSharedCaptures(t *testing.T) {
	rows := shared(t, "known-pcaps.tsv")[1:]
	if len(rows) != 38 {
		t.Errorf("%d files, want 38", len(rows))
	}
	for _, row := range rows {
		var want cic.Class
		for _, c := range cic.Classes() {
			if regexp.MustCompile("^" + regexp.QuoteMeta(c.Stem) + `\d*\.pcap$`).MatchString(row[0]) {
				want = c
			}
		}
		got, ok := cic.Find(row[0])
		if !ok || got != want {
			t.Errorf("%s is %q, %v; want %q", row[0], got.Folder, ok, want.Folder)
		}
		size, _ := strconv.ParseInt(row[1], 10, 64)
		packets, _ := strconv.ParseInt(row[2], 10, 64)
		// A classic capture: 24 octets in front and 16 before each packet.
		if got.Files == 1 && (packets != got.Packets || size != 24+16*packets+got.Octets) {
			t.Errorf("%s: %d packets and %d octets do not make %d octets", row[0], got.Packets, got.Octets, size)
		}
	}
}

func TestSharedTables(t *testing.T) {
	files := make(map[string]int)
	for _, row := range shared(t, "known-csvs.tsv")[1:] {
		for _, path := range []string{row[1], "CSV/CSV/" + row[0] + "/" + row[1], row[0] + "/x.csv"} {
			if got, ok := cic.Find(path); !ok || got.CSVFolder != row[0] {
				t.Errorf("%s is %q, %v; want %q", path, got.CSVFolder, ok, row[0])
			}
		}
		files[row[0]]++
	}
	for _, c := range cic.Classes() {
		if files[c.CSVFolder] != c.Files {
			t.Errorf("%s: %d tables, want %d", c.Folder, files[c.CSVFolder], c.Files)
		}
	}
}
