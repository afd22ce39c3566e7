package cic_test

import (
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pcaplab/datasets/cic"
)

func TestCapturesAreKnownAsTheirCopies(t *testing.T) {
	files := make(map[string]cic.File)
	for _, c := range cic.Classes() {
		for _, f := range c.Captures() {
			files[f.Name] = f
		}
	}
	if len(files) != 309 {
		t.Errorf("%d captures, want 309 of different names", len(files))
	}
	known := 0
	for _, row := range shared(t, "known-pcaps.tsv")[1:] {
		f, ok := files[row[0]]
		if !ok || strconv.FormatInt(f.Octets, 10) != row[1] || strconv.FormatInt(f.Packets, 10) != row[2] || f.SHA256 != row[3] || f.Derived || f.Estimate != f.Octets {
			t.Errorf("%s is %+v, want %q", row[0], f, row)
		}
		if f.SHA256 != "" {
			known++
		}
	}
	for _, f := range files {
		if f.SHA256 != "" {
			known--
		}
	}
	if known != 0 {
		t.Errorf("%d captures have a SHA-256 that the shared table does not know", -known)
	}
}

func TestTablesAreKnownAsTheirListing(t *testing.T) {
	files := make(map[string]cic.File)
	for _, c := range cic.Classes() {
		for _, f := range c.Tables() {
			files[f.Path] = f
		}
	}
	rows := shared(t, "known-csvs.tsv")[1:]
	if len(rows) != len(files) {
		t.Errorf("%d tables, want %d", len(files), len(rows))
	}
	for _, row := range rows {
		f, ok := files["CSV/CSV/"+row[0]+"/"+row[1]]
		mib, _ := strconv.ParseFloat(row[2], 64)
		if !ok || f.Name != row[1] || math.Abs(float64(f.Estimate)-mib*(1<<20)) > 1 {
			t.Errorf("%s is %+v, want %q", row[1], f, row)
		}
	}
}

func TestCapturesAddUp(t *testing.T) {
	var all int64
	var derived []string
	for _, c := range cic.Classes() {
		var octets, packets int64
		files := c.Captures()
		for i, f := range files {
			number := regexp.MustCompile(`^` + regexp.QuoteMeta(c.Stem) + `(\d*)\.pcap$`).FindStringSubmatch(f.Name)
			if number == nil || (i == 0) != (number[1] == "") || i > 0 && number[1] != strconv.Itoa(i) {
				t.Errorf("%s: file %d is %s", c.Folder, i, f.Name)
			}
			if f.Class != c.Folder || f.Path != "PCAP/"+c.Folder+"/"+f.Name {
				t.Errorf("%s has the path %s", f.Name, f.Path)
			}
			if got, ok := cic.Find(f.Path); !ok || got != c {
				t.Errorf("%s is found as %q", f.Path, got.Folder)
			}
			if f.Derived {
				derived = append(derived, f.Name)
			}
			if f.Estimate <= 0 || f.Estimate > 2_048_000_000+65_551 {
				t.Errorf("%s: an estimate of %d octets", f.Name, f.Estimate)
			}
			octets += f.Estimate
			packets += f.Packets
		}
		if octets != c.FileOctets() {
			t.Errorf("%s: %d octets in files, want %d", c.Folder, octets, c.FileOctets())
		}
		if packets > c.Packets || !slices.ContainsFunc(files, func(f cic.File) bool { return f.Packets == 0 }) && packets != c.Packets {
			t.Errorf("%s: %d packets in files, want %d", c.Folder, packets, c.Packets)
		}
		all += octets
	}
	if got := float64(all) / (1 << 30); math.Abs(got-547.7) > 0.05 {
		t.Errorf("%.2f GiB, want 547.7", got)
	}
	if want := []string{"BenignTraffic3.pcap", "DoS-HTTP_Flood.pcap", "MITM-ArpSpoofing1.pcap"}; !slices.Equal(derived, want) {
		t.Errorf("derived are %q, want %q", derived, want)
	}
}

// What is known of sizes where they are not known fits all that are.
func TestDoubt(t *testing.T) {
	for _, c := range cic.Classes() {
		files := c.Captures()
		for i, f := range files {
			if f.Octets > 0 && (f.Doubt(f.Octets) != "" || f.Doubt(f.Octets+1) == "") {
				t.Errorf("%s: %d octets: %q, one more: %q", f.Name, f.Octets, f.Doubt(f.Octets), f.Doubt(f.Octets+1))
			}
			if want := i < len(files)-1 && f.Name != "MITM-ArpSpoofing.pcap"; f.Full != want {
				t.Errorf("%s: full is %v", f.Name, f.Full)
			}
			if f.Full { // by the rule for full files, whether the size is known or not
				octets := f.Octets
				if octets == 0 {
					octets = f.Estimate
				}
				if f.Octets, f.Derived = 0, false; f.Doubt(octets) != "" {
					t.Errorf("%s: %s", f.Name, f.Doubt(octets))
				}
			}
			for _, octets := range []int64{0, 24, 1 << 20, f.Estimate / 2, 2 * f.Estimate, 2_044_000_000, 2_048_065_552} {
				if !strings.HasSuffix(f.Doubt(octets), ".") && octets != f.Octets {
					t.Errorf("%s: no doubt of %d octets, of about %d", f.Name, octets, f.Estimate)
				}
			}
		}
		for _, f := range c.Tables() {
			if f.Doubt(f.Estimate) != "" || f.Doubt(f.Estimate+2000) == "" || f.Doubt(0) == "" {
				t.Errorf("%s: %q, %q, %q", f.Name, f.Doubt(f.Estimate), f.Doubt(f.Estimate+2000), f.Doubt(0))
			}
		}
	}
}

// The last of a class is what is left, and the full files before it may each be a record over.
func TestDoubtOfTheLast(t *testing.T) {
	c, _ := cic.Find("DoS-SYN_Flood") // two of eight are known
	f := c.Captures()[7]
	for off, fits := range map[int64]bool{0: true, 2_000_000: true, 2_000_001: false, -5 * 65_551: true, -5*65_551 - 1: false} {
		if got := f.Doubt(f.Estimate + off); (got == "") != fits {
			t.Errorf("%+d octets: %q", off, got)
		}
	}
	c, _ = cic.Find("DoS-SYN_Flood")
	f = c.Captures()[6]
	for octets, fits := range map[int64]bool{2_047_999_999: false, 2_048_000_000: true, 2_048_065_551: true, 2_048_065_552: false} {
		if got := f.Doubt(octets); (got == "") != fits {
			t.Errorf("a full one of %d octets: %q", octets, got)
		}
	}
	c, _ = cic.Find("Mirai-greip_flood") // the last is known, and what it leaves is too little for 21 full ones
	f = c.Captures()[0]
	if f.Doubt(2_048_000_000) != "" || f.Doubt(2_046_168_424) != "" || f.Doubt(2_044_000_000) == "" {
		t.Errorf("%+v", f)
	}
}

// tcpdump -C 2048 begins a file after the record that fills the one before: what is derived must look so.
func TestDerivedFullFileIsJustFull(t *testing.T) {
	c, _ := cic.Find("DoS-HTTP_Flood")
	if f := c.Captures()[0]; !f.Derived || f.Octets < 2_048_000_000 || f.Octets > 2_048_065_551 || f.Packets != 4_062_975 {
		t.Errorf("%+v", f)
	}
}

// The rows of the tables are another witness of how large the one file is that is derived.
func TestDerivedFileAgreesWithItsTable(t *testing.T) {
	c, _ := cic.Find("Benign_Final")
	captures, tables := c.Captures(), c.Tables()
	perPacket := float64(tables[0].Estimate) / float64(captures[0].Packets)
	for i, f := range captures {
		if got := float64(tables[i].Estimate) / float64(f.Packets) / perPacket; got < 0.9 || got > 1.1 {
			t.Errorf("%s: its table has %.2f as many octets a packet as the first", f.Name, got)
		}
	}
}

func TestEachClassHasItsTraits(t *testing.T) {
	for _, c := range cic.Classes() {
		if c.Tool() == "" || !strings.HasSuffix(c.Wire(), ".") || (c.Tool() == "none") != (c.Category == "Benign") {
			t.Errorf("%s: tool %q, wire %q", c.Folder, c.Tool(), c.Wire())
		}
		if got := c.ToolSource(); (got == "") != (c.Category == "Benign") || strings.Contains(got, "category") != slices.Contains([]string{"Mirai", "Recon", "Spoofing", "Web"}, c.Category) &&
			c.Tool() != "hping3" {
			t.Errorf("%s: tool %s by %q", c.Folder, c.Tool(), got)
		}
		if c.FirstPacketWrong() != (c.Folder == "DDoS-UDP_Fragmentation") {
			t.Errorf("%s: first packet of %v", c.Folder, c.FirstPacket)
		}
		for _, f := range c.Faults() {
			if !strings.HasSuffix(f, ".") || f != strings.TrimSpace(f) || f[0] >= 'a' && f[0] <= 'z' {
				t.Errorf("%s: fault %q is no sentence", c.Folder, f)
			}
		}
		cut := 0
		for _, f := range c.Tables() {
			if f.Cut {
				cut++
			}
		}
		if want := map[string]int{"DoS-UDP_Flood": 3}[c.Folder]; cut != want {
			t.Errorf("%s: %d tables are cut, want %d", c.Folder, cut, want)
		}
	}
	c, _ := cic.Find("XSS")
	c.Faults()[0] = "changed"
	if c.Faults()[0] == "changed" {
		t.Error("faults are not a copy")
	}
}

func TestNearest(t *testing.T) {
	for _, x := range []struct{ name, want string }{
		{"DDoS-SYN_Flod", "DDoS-SYN_Flood"},
		{"DDOS-SYN-FLOOD", "DDoS-SYN_Flood"},
		{"benign", "Benign_Final"},
		{"greip", "Mirai-greip_flood"},
		{"slowlori", "DDoS-SlowLoris"},
		{"sqlinjektion", "SqlInjection"},
	} {
		if got := cic.Nearest(x.name, 3); len(got) == 0 || got[0] != x.want {
			t.Errorf("%s: %q, want %s first", x.name, got, x.want)
		}
	}
	if got := cic.Nearest("flood", 3); len(got) != 3 {
		t.Errorf("flood: %q, want 3", got)
	}
	for _, name := range []string{"", "x", "the quick brown fox jumps", "q"} {
		if got := cic.Nearest(name, 3); len(got) > 0 {
			t.Errorf("%q is near to %q", name, got)
		}
	}
}

func TestAddress(t *testing.T) {
	http, _ := cic.Find("DDoS-HTTP_Flood")
	pshack, _ := cic.Find("DDoS-PSHACK_Flood")
	capture, table := http.Captures()[0], pshack.Tables()[1]
	for _, x := range []struct {
		from string
		f    cic.File
		want string
	}{
		{"", capture, "http://cicresearch.ca/IOTDataset/CIC_IOT_Dataset2023/download.php?file=PCAP%2FDDoS-HTTP_Flood%2FDDoS-HTTP_Flood-.pcap"},
		{"https://h/dir", capture, "https://h/dir/PCAP/DDoS-HTTP_Flood/DDoS-HTTP_Flood-.pcap"},
		{"https://h/dir/", table, "https://h/dir/CSV/CSV/DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood1.pcap.csv"},
		{"https://x/?f={path}", table, "https://x/?f=CSV%2FCSV%2FDDoS-PSHACK_FLOOD%2FDDoS-PSHACK_Flood1.pcap.csv"},
		{"https://x/{class}/{file}?download=true", table, "https://x/DDoS-PSHACK_FLOOD/DDoS-PSHACK_Flood1.pcap.csv?download=true"},
		{"http://localhost:8000/{file}", capture, "http://localhost:8000/DDoS-HTTP_Flood-.pcap"},
		{"http://h/{path}", cic.File{Path: "PCAP/A B/x#1.pcap", Name: "x#1.pcap"}, "http://h/PCAP/A%20B/x%231.pcap"},
		{"http://h/?{class}={file}", cic.File{Path: "PCAP/A B/x&1.pcap", Name: "x&1.pcap"}, "http://h/?A+B=x%261.pcap"},
	} {
		got, err := cic.Address(x.from, x.f)
		if err != nil || got != x.want {
			t.Errorf("%s: %s, %v; want %s", x.from, got, err, x.want)
		}
		if _, err := url.Parse(got); err != nil {
			t.Error(err)
		}
	}
	for _, from := range []string{"h/dir", "ftp://h/", "file:///data", "https://", "https://h/?file=", "https://h/{class}", "https://h/{name}", "https://h/{path}/{}",
		"http://h/\x7f/", "https://h/#x", "https://h/{path}#x", "https://h/#{path}", "https://{class}.h/{file}", "https://h{path}", "https://?f={path}"} {
		if got, err := cic.Address(from, capture); err == nil {
			t.Errorf("%q is taken: %s", from, got)
		}
	}
}
