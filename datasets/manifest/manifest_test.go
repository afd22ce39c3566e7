package manifest_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// capture returns n frames, one a millisecond; mark is in each.
func capture(t testing.TB, n, size int, mark byte, cfg pcapio.WriterConfig) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, cfg)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, size)
	for i := range n {
		data[0], data[1], data[2], data[12], data[13] = mark, byte(i), byte(i>>8), 8, byte(i%3*6)
		f := parse.Frame{UnixNano: 1_660_000_000_000_000_000 + int64(i)*1e6, Data: data[:size-i%7], WireLen: size - i%7, Link: parse.LinkEthernet}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// tree writes files into a folder named "tree".
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, content := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	return dir
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func scan(t testing.TB, dir string, cfg manifest.Config) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Scan(context.Background(), dir, cfg)
	if err != nil || !m.Complete {
		t.Fatalf("scan: %v", err)
	}
	return m
}

func paths(m *manifest.Manifest) []string {
	var list []string
	for _, f := range m.Files {
		list = append(list, f.Path)
	}
	return list
}

// oracle returns the rows of the corpus's independent truth.
func oracle(t testing.TB) (dir string, rows []map[string]string) {
	t.Helper()
	dir = os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: the captures with independent truth are not there")
	}
	for _, name := range []string{"oracle.tsv", "manifest.tsv"} {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		var columns []string
		for lines.Scan() {
			cells := strings.Split(lines.Text(), "\t")
			if columns == nil {
				columns = cells
				continue
			}
			i := slices.IndexFunc(rows, func(r map[string]string) bool { return r["file"] == cells[0] })
			if i < 0 {
				rows = append(rows, map[string]string{})
				i = len(rows) - 1
			}
			for j, c := range cells {
				if _, ok := rows[i][columns[j]]; !ok {
					rows[i][columns[j]] = c
				}
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return dir, rows
}

func TestScanOfTheCorpus(t *testing.T) {
	dir, rows := oracle(t)
	for _, workers := range []int{0, 1} {
		m := scan(t, dir, manifest.Config{Hash: true, Workers: workers})
		for _, row := range rows {
			f := m.Find(row["file"])
			if f == nil {
				i := slices.IndexFunc(m.Others, func(o manifest.Other) bool { return o.Path == row["file"] })
				if i < 0 || row["expect"] == "ok" {
					t.Errorf("%s: not in the manifest", row["file"])
				}
				continue
			}
			if expect := row["expect"]; (expect == "ok") != (f.Error == nil) && expect != "either" {
				t.Errorf("%s: error %+v, the truth has %s", f.Path, f.Error, expect)
			}
			got := map[string]string{
				"packets": fmt.Sprint(f.Packets), "cap_bytes": fmt.Sprint(f.CapturedOctets), "wire_bytes": fmt.Sprint(f.WireOctets),
				"cut_packets": fmt.Sprint(f.Cut), "back_steps": fmt.Sprint(f.BackSteps), "bytes": fmt.Sprint(f.Octets), "sha256": f.SHA256,
			}
			if f.Timed && f.Error == nil && f.Faults.TimeClamped == 0 { // the truth has more digits than 64 bits hold
				got["first_ns"], got["last_ns"], got["min_ns"], got["max_ns"] = fmt.Sprint(f.First), fmt.Sprint(f.Last), fmt.Sprint(f.Min), fmt.Sprint(f.Max)
			}
			for column, v := range got {
				if v != row[column] {
					t.Errorf("%s: %s is %s, want %s", f.Path, column, v, row[column])
				}
			}
		}
		if len(m.Files)+len(m.Others) < len(rows) {
			t.Errorf("%d files and %d others for %d rows", len(m.Files), len(m.Others), len(rows))
		}
	}
}

func TestScanIsAsCapinfosSays(t *testing.T) {
	tool, err := exec.LookPath("capinfos")
	if err != nil {
		t.Skip("capinfos is not installed: tshark's package has it")
	}
	dir := tree(t, map[string][]byte{
		"a.pcap":    capture(t, 5000, 90, 1, pcapio.WriterConfig{}),
		"b.pcap":    capture(t, 3000, 1600, 2, pcapio.WriterConfig{Nano: true}),
		"c.pcapng":  capture(t, 700, 60, 3, pcapio.WriterConfig{Container: pcapio.PcapNG}),
		"d.pcap.gz": zipped(t, capture(t, 800, 70, 4, pcapio.WriterConfig{})),
		"e.pcap":    capture(t, 400, 700, 5, pcapio.WriterConfig{Snaplen: 96}),
	})
	m := scan(t, dir, manifest.Config{Hash: true})
	if len(m.Files) != 5 {
		t.Fatalf("files %v", paths(m))
	}
	for _, f := range m.Files {
		out, err := exec.Command(tool, "-TMr", "-c", "-s", "-d", "-a", "-e", "-S", "-H", filepath.Join(dir, f.Path)).Output()
		if err != nil {
			t.Fatal(err)
		}
		cells := strings.Split(strings.TrimSpace(string(out)), "\t")
		seconds := func(ns int64) string { return fmt.Sprintf("%d.%09d", ns/1e9, ns%1e9) }
		want := []string{fmt.Sprint(f.Packets), fmt.Sprint(f.Octets), fmt.Sprint(f.WireOctets), seconds(f.Min), seconds(f.Max), f.SHA256}
		line := strings.Join(cells, " ")
		for i, v := range want {
			if i == 3 || i == 4 { // capinfos writes as many digits as the resolution has
				v = strings.TrimRight(v, "0")
			}
			if !strings.Contains(line, v) {
				t.Errorf("%s: capinfos says %q: no %s in it", f.Path, line, v)
			}
		}
	}
}

func TestScanRecognisesSpellings(t *testing.T) {
	file := func(mark byte) []byte { return capture(t, 3, 60, mark, pcapio.WriterConfig{}) }
	dir := tree(t, map[string][]byte{
		"PCAP/Benign_Final/BenignTraffic.pcap":            file(1),
		"PCAP/Benign_Final/BenignTraffic1.pcap":           file(2),
		"PCAP/Benign_Final/BenignTraffic3 (1).pcap":       file(3),
		"pcap2/ddos-icmp_flood/DDOS-ICMP_FLOOD.PCAP":      file(4),
		"pcap2/ddos-icmp_flood/ddos-icmp_flood10.pcap.gz": zipped(t, file(5)),
		"pcap2/ddos-icmp_flood/ddos-icmp_flood2.pcap":     file(6),
		"XSS.pcap":                           file(7),
		"XSS (1).pcap":                       file(8),
		"XSS/notes.pcap":                     file(9),
		"MITM-ArpSpoofing.pcap":              file(10),
		"MITM-ArpSpoofing - 1.pcap":          file(11),
		"DoS-TCP_Flood/XSS.pcap":             file(12),
		"DoS-TCP_Flood/DoS-TCP_Flood44.pcap": file(13),
		"mine/lab.pcap":                      file(14),
		"own.pcap":                           file(15),
		"own.pcap.truth.csv":                 []byte("packets,class,attack,source,first\n3,x,1,,0\n"),
		"README.txt":                         []byte("see there\n"),
		"SqlInjection.pcap":                  []byte("<!DOCTYPE html><html>Please fill in the form"),
		"XSS.redownload.pcap.part":           []byte("x"),
	})
	m := scan(t, dir, manifest.Config{Hash: true})
	want := []string{"DoS-TCP_Flood/DoS-TCP_Flood44.pcap", "DoS-TCP_Flood/XSS.pcap", "mine/lab.pcap", "MITM-ArpSpoofing.pcap", "MITM-ArpSpoofing - 1.pcap",
		"own.pcap", "PCAP/Benign_Final/BenignTraffic.pcap", "PCAP/Benign_Final/BenignTraffic1.pcap", "PCAP/Benign_Final/BenignTraffic3 (1).pcap",
		"pcap2/ddos-icmp_flood/DDOS-ICMP_FLOOD.PCAP", "pcap2/ddos-icmp_flood/ddos-icmp_flood2.pcap", "pcap2/ddos-icmp_flood/ddos-icmp_flood10.pcap.gz",
		"SqlInjection.pcap", "XSS/notes.pcap", "XSS.pcap", "XSS (1).pcap"}
	if got := paths(m); !slices.Equal(got, want) {
		t.Errorf("files\n%q, want\n%q", got, want)
	}
	var others []string
	for _, o := range m.Others {
		others = append(others, o.Path)
	}
	if !slices.Equal(others, []string{"README.txt", "XSS.redownload.pcap.part"}) {
		t.Errorf("others %q", others)
	}
	r := m.Report()
	var classes []string
	for _, c := range r.Classes {
		classes = append(classes, fmt.Sprintf("%s|%s %d %d/%d %v", c.Class, c.Label, c.Files, c.Found, c.Expected, c.Missing))
	}
	if want := []string{
		"Benign_Final|BENIGN 3 3/4 [BenignTraffic2.pcap]",
		"DDoS-ICMP_Flood|DDOS-ICMP_FLOOD 3 3/27 " + missing("DDoS-ICMP_Flood", 0, 2, 10),
		"DoS-TCP_Flood|DOS-TCP_FLOOD 2 0/11 " + missing("DoS-TCP_Flood"),
		"MITM-ArpSpoofing|MITM-ARPSPOOFING 2 2/2 []",
		"SqlInjection|SQLINJECTION 1 1/1 []",
		"XSS|XSS 3 1/1 []",
		"|mine 1 0/0 []", "|tree 1 0/0 []",
	}; !slices.Equal(classes, want) {
		t.Errorf("classes\n%s, want\n%s", strings.Join(classes, "\n"), strings.Join(want, "\n"))
	}
	if len(r.Absent) != 34-6 {
		t.Errorf("%d classes absent", len(r.Absent))
	}
	kinds := map[string]string{}
	for _, f := range r.Findings {
		kinds[f.Path] += f.Kind + ";"
	}
	for path, kind := range map[string]string{
		"DoS-TCP_Flood/XSS.pcap": manifest.FoundMisplaced, "DoS-TCP_Flood/DoS-TCP_Flood44.pcap": manifest.FoundUnnamed,
		"XSS/notes.pcap": manifest.FoundUnnamed, "XSS (1).pcap": manifest.FoundTwice, "SqlInjection.pcap": manifest.FaultNone, ".": manifest.FoundSize,
	} {
		if !strings.Contains(kinds[path], kind+";") {
			t.Errorf("%s: findings %q, want %s", path, kinds[path], kind)
		}
	}
	if r.Faults() != 2 { // the web page, and the file in the wrong folder
		t.Errorf("%d faults: %+v", r.Faults(), r.Findings)
	}
}

// missing lists the captures of a class but for some.
func missing(folder string, but ...int) string {
	class, _ := cic.Find(folder)
	names := []string{}
	for i := range class.Files {
		if !slices.Contains(but, i) {
			names = append(names, class.CaptureName(i))
		}
	}
	return fmt.Sprint(names)
}

// A file with the size and octets of a published one cannot be had here: what is known of one is put into a manifest instead.
func TestReportComparesWithWhatIsPublished(t *testing.T) {
	class, _ := cic.Find("Benign_Final")
	published := class.Captures()
	file := func(path string, octets int64, sum string) manifest.File {
		return manifest.File{Path: path, Class: class.Folder, Label: class.Label, Octets: octets, SHA256: sum, Container: "pcap", Compression: "none", Packets: 5}
	}
	other := strings.Repeat("0", 64)
	for _, x := range []struct {
		name  string
		files []manifest.File
		want  map[string]string // path: kind and whether it is a fault
	}{
		{"right", []manifest.File{file("Benign_Final/BenignTraffic.pcap", published[0].Octets, published[0].SHA256)}, nil},
		{"cut", []manifest.File{file("Benign_Final/BenignTraffic.pcap", published[0].Octets-1, other)},
			map[string]string{"Benign_Final/BenignTraffic.pcap": "size true"}},
		{"too long", []manifest.File{file("Benign_Final/BenignTraffic.pcap", published[0].Octets+1, other)},
			map[string]string{"Benign_Final/BenignTraffic.pcap": "size true"}},
		{"other octets", []manifest.File{file("Benign_Final/BenignTraffic1.pcap", published[1].Octets, other)},
			map[string]string{"Benign_Final/BenignTraffic1.pcap": "content true"}},
		{"not hashed", []manifest.File{file("Benign_Final/BenignTraffic1.pcap", published[1].Octets, "")},
			map[string]string{"Benign_Final/BenignTraffic1.pcap": "not hashed false"}},
		{"another name", []manifest.File{file("Benign_Final/x.pcap", published[2].Octets, published[2].SHA256)}, nil},
		{"twice", []manifest.File{file("Benign_Final/BenignTraffic.pcap", published[0].Octets, published[0].SHA256),
			file("Benign_Final/x.pcap", published[0].Octets, published[0].SHA256)},
			map[string]string{"Benign_Final/x.pcap": "same false;twice false"}},
	} {
		m := manifest.Manifest{Files: x.files}
		got := map[string]string{}
		r := m.Report()
		for _, f := range r.Findings {
			if got[f.Path] != "" {
				got[f.Path] += ";"
			}
			got[f.Path] += fmt.Sprint(f.Kind, " ", f.Fault)
		}
		if len(got)+len(x.want) > 0 && !reflect.DeepEqual(got, x.want) {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
		if len(r.Classes) != 1 || r.Classes[0].Found != 1 || len(r.Absent) != 33 {
			t.Errorf("%s: %+v", x.name, r.Classes)
		}
	}
	misplaced := file("XSS/XSS.pcap", published[2].Octets, published[2].SHA256)
	misplaced.Class = "XSS"
	m := manifest.Manifest{Files: []manifest.File{misplaced}}
	if r := m.Report(); len(r.Findings) != 1 || r.Findings[0].Kind != manifest.FoundMisplaced || !strings.Contains(r.Findings[0].Text, "Benign_Final/BenignTraffic2.pcap") {
		t.Errorf("%+v", r.Findings)
	}
}

// A small set of the same shape has no faults, though some of its files are nearly as large as those published.
func TestReportOfASmallSet(t *testing.T) {
	var m manifest.Manifest
	for _, c := range cic.Classes() {
		for i, k := range c.Captures() {
			f := manifest.File{Path: c.Folder + "/" + k.Name, Class: c.Folder, Label: c.Label, Octets: 9_000_000 + int64(i), Container: "pcap", Compression: "none", Packets: 20_000}
			m.Files = append(m.Files, f)
		}
	}
	r := m.Report()
	if r.Faults() != 0 || len(r.Findings) != 1 || len(r.Classes) != 34 || len(r.Absent) != 0 {
		t.Errorf("%+v, %d classes, absent %v", r.Findings, len(r.Classes), r.Absent)
	}
	for _, c := range r.Classes {
		if c.Found != c.Expected || len(c.Missing) > 0 || c.Faults > 0 {
			t.Errorf("%+v", c)
		}
	}
	// With one of the published size the others are wrong.
	class, _ := cic.Find("XSS")
	for i := range m.Files {
		if m.Files[i].Class == "XSS" {
			m.Files[i].Octets, m.Files[i].SHA256 = class.Captures()[0].Octets, class.Captures()[0].SHA256
		}
	}
	if r = m.Report(); r.Faults() < 10 {
		t.Errorf("%d faults", r.Faults())
	}
}

func TestScanFindsCutsEverywhere(t *testing.T) {
	whole := capture(t, 4, 60, 1, pcapio.WriterConfig{})
	files := map[string][]byte{}
	for end := range len(whole) + 1 {
		files[fmt.Sprintf("cut/%d.pcap", end)] = whole[:end]
	}
	m := scan(t, tree(t, files), manifest.Config{Hash: true})
	if len(m.Files) != len(whole)+1 {
		t.Fatalf("%d files", len(m.Files))
	}
	offsets := []int{24}
	for i := range 4 {
		offsets = append(offsets, offsets[i]+16+60-i%7)
	}
	for end, f := range m.Files {
		if f.Path != fmt.Sprintf("cut/%d.pcap", end) {
			t.Fatalf("file %d is %s", end, f.Path)
		}
		sum := sha256.Sum256(whole[:end])
		if f.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: SHA-256 %s", f.Path, f.SHA256)
		}
		records, at := slices.BinarySearch(offsets, end)
		switch {
		case end < 24:
			want := manifest.FaultCut
			if end < 4 {
				want = manifest.FaultNone
			}
			if f.Error == nil || f.Error.Kind != want {
				t.Errorf("%s: %+v", f.Path, f.Error)
			}
		case at:
			if f.Error != nil || f.Packets != uint64(records) {
				t.Errorf("%s: %d packets, %+v", f.Path, f.Packets, f.Error)
			}
		default:
			if f.Error == nil || f.Error.Kind != manifest.FaultCut || f.Error.Record != uint64(records) || f.Error.Offset != int64(offsets[records-1]) || f.Packets != uint64(records)-1 {
				t.Errorf("%s: %d packets, %+v", f.Path, f.Packets, f.Error)
			}
		}
	}
}

func TestManifestIsTheSameEachTime(t *testing.T) {
	files := map[string][]byte{}
	for i := range 12 {
		files[fmt.Sprintf("XSS/XSS%d.pcap", i)] = capture(t, 10+i, 60, byte(i), pcapio.WriterConfig{})
		files[fmt.Sprintf("n%d.txt", i)] = []byte("text")
	}
	dir := tree(t, files)
	var first []byte
	for workers := range 5 {
		var out bytes.Buffer
		m := scan(t, dir, manifest.Config{Hash: true, Workers: workers})
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = bytes.Clone(out.Bytes())
		}
		if !bytes.Equal(first, out.Bytes()) {
			t.Fatalf("%d workers:\n%s\nbefore:\n%s", workers, out.Bytes(), first)
		}
		again, err := manifest.Read(&out, "m")
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("read again: %+v, %v; want %+v", again, err, m)
		}
	}
	if !json.Valid(first) || bytes.Contains(first, []byte(dir)) {
		t.Errorf("%s", first)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, x := range []struct{ name, text, want string }{
		{"nothing", "", "not a manifest"},
		{"no JSON", "class,packets", "not a manifest"},
		{"another version", `{"manifest_version":9}`, "version 9"},
		{"no version", `{"files":[]}`, "version 0"},
		{"two", `{"manifest_version":1}{}`, "follows"},
		{"path that leaves", `{"manifest_version":1,"files":[{"path":"../x"}]}`, "folder"},
		{"absolute path", `{"manifest_version":1,"files":[{"path":"/x"}]}`, "folder"},
		{"unclean path", `{"manifest_version":1,"files":[{"path":"a//b"}]}`, "folder"},
		{"twice", `{"manifest_version":1,"files":[{"path":"x"},{"path":"x"}]}`, "twice"},
		{"negative size", `{"manifest_version":1,"files":[{"path":"x","octets":-1}]}`, "octets"},
		{"bad sum", `{"manifest_version":1,"files":[{"path":"x","sha256":"xyz"}]}`, "SHA-256"},
		{"index backwards", `{"manifest_version":1,"files":[{"path":"x","packets":9,"index":[[24,0,0,0],[20,1,0,0]]}]}`, "entry 2"},
		{"index behind the end", `{"manifest_version":1,"files":[{"path":"x","packets":1,"index":[[24,1,0,0]]}]}`, "entry 1"},
		{"short entry", `{"manifest_version":1,"files":[{"path":"x","packets":1,"index":[[24,0]]}]}`, "4"},
		{"losses that are not there", `{"manifest_version":1,"files":[{"path":"x","lost":1}]}`, "losses"},
		{"fewer losses than are there", `{"manifest_version":1,"files":[{"path":"x","losses":[{}]}]}`, "losses"},
		{"negative entry", `{"manifest_version":1,"files":[{"path":"x","packets":1,"index":[[24,-1,0,0]]}]}`, "entry 1"},
	} {
		if _, err := manifest.Read(strings.NewReader(x.text), "m.json"); err == nil || !strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "m.json") {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func TestScanAgainReadsWhatChanged(t *testing.T) {
	dir := tree(t, map[string][]byte{"a/1.pcap": capture(t, 5, 60, 1, pcapio.WriterConfig{}), "a/2.pcap": capture(t, 6, 60, 2, pcapio.WriterConfig{}),
		"a/3.pcap": capture(t, 7, 60, 3, pcapio.WriterConfig{})})
	read := func(cfg manifest.Config) (*manifest.Manifest, int64) {
		var total int64
		cfg.Progress = func(_, of int64) { total = of }
		return scan(t, dir, cfg), total
	}
	first, total := read(manifest.Config{})
	if total == 0 {
		t.Fatal("nothing read")
	}
	again, total := read(manifest.Config{Prior: first})
	if total != 0 || !reflect.DeepEqual(first, again) {
		t.Errorf("%d octets read again", total)
	}
	hashed, total := read(manifest.Config{Prior: first, Hash: true})
	if total == 0 || hashed.Files[0].SHA256 == "" {
		t.Errorf("%d octets read for the sums", total)
	}
	if again, total := read(manifest.Config{Prior: hashed}); total != 0 || again.Files[0].SHA256 == "" {
		t.Errorf("%d octets read, sum %q", total, again.Files[0].SHA256)
	}
	write(t, filepath.Join(dir, "a/2.pcap"), capture(t, 9, 60, 2, pcapio.WriterConfig{}))
	write(t, filepath.Join(dir, "a/4.pcap"), capture(t, 4, 60, 4, pcapio.WriterConfig{}))
	if err := os.Remove(filepath.Join(dir, "a/3.pcap")); err != nil {
		t.Fatal(err)
	}
	changed, total := read(manifest.Config{Prior: hashed, Hash: true})
	var packets []uint64
	for _, f := range changed.Files {
		packets = append(packets, f.Packets)
	}
	if !slices.Equal(packets, []uint64{5, 9, 4}) || total >= 4000 {
		t.Errorf("packets %d, %d octets read", packets, total)
	}
}

func TestInterruptedScanKeepsWhatIsWhole(t *testing.T) {
	files := map[string][]byte{}
	for i := range 40 {
		files[fmt.Sprintf("a/%d.pcap", i)] = capture(t, 50, 60, byte(i), pcapio.WriterConfig{})
	}
	dir := tree(t, files)
	whole := scan(t, dir, manifest.Config{Hash: true})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m, err := manifest.Scan(ctx, dir, manifest.Config{Hash: true})
	if !errors.Is(err, context.Canceled) || m == nil || m.Complete || len(m.Files) != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = manifest.Scan(ctx, dir, manifest.Config{Hash: true, Prior: &manifest.Manifest{Version: 1, Files: whole.Files[:7]}})
	if !errors.Is(err, context.Canceled) || m.Complete || !reflect.DeepEqual(m.Files, whole.Files[:7]) {
		t.Errorf("%v, %v", paths(m), err)
	}
	// Hashes asked for anew: what was known stays until it is done.
	bare := scan(t, dir, manifest.Config{})
	m, err = manifest.Scan(ctx, dir, manifest.Config{Hash: true, Prior: bare})
	if !errors.Is(err, context.Canceled) || !reflect.DeepEqual(m.Files, bare.Files) {
		t.Errorf("%v, %v", paths(m), err)
	}
	if m = scan(t, dir, manifest.Config{Hash: true, Prior: m}); !reflect.DeepEqual(m, whole) {
		t.Error("not the manifest of an uninterrupted scan")
	}
	// In the middle: what is there is right, and the next scan goes on.
	middle := &endsAfter{Context: context.Background()}
	middle.left.Store(60)
	m, err = manifest.Scan(middle, dir, manifest.Config{Hash: true})
	if !errors.Is(err, context.Canceled) || m.Complete || len(m.Files) == 0 || len(m.Files) == len(whole.Files) {
		t.Errorf("%v, complete %v, %d files", err, m.Complete, len(m.Files))
	}
	for i := range m.Files {
		if f := whole.Find(m.Files[i].Path); f == nil || !reflect.DeepEqual(*f, m.Files[i]) {
			t.Errorf("%+v, want %+v", m.Files[i], f)
		}
	}
	if m = scan(t, dir, manifest.Config{Hash: true, Prior: m}); !reflect.DeepEqual(m, whole) {
		t.Error("not the manifest of an uninterrupted scan")
	}
}

// endsAfter is a context that ends when it was asked for its error some times.
type endsAfter struct {
	context.Context
	left atomic.Int64
}

func (c *endsAfter) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Names that are no UTF-8 stay apart, and what is written can be read.
func TestNamesThatAreNoText(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("names are octets on Linux only")
	}
	content := capture(t, 2, 60, 1, pcapio.WriterConfig{})
	dir := tree(t, map[string][]byte{"a\xff": content, "a\xfe.pcap": content, "b\xff/c.pcap": content, `a\xff`: content, "\uFFFD.pcap": content, "n\n\x1b.pcap": content})
	m := scan(t, dir, manifest.Config{Hash: true})
	if got := paths(m); !slices.Equal(got, []string{`a\xff`, "n\n\x1b.pcap", "\uFFFD.pcap"}) {
		t.Errorf("%q", got)
	}
	var others []string
	for _, o := range m.Others {
		others = append(others, o.Path)
		if o.Octets != int64(len(content)) {
			t.Errorf("%+v", o)
		}
	}
	if !slices.Equal(others, []string{`a\xfe.pcap`, `a\xff'`, `b\xff/c.pcap`}) {
		t.Errorf("%q", others)
	}
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Read(&out, "m")
	if err != nil || !reflect.DeepEqual(again, m) {
		t.Errorf("%+v, %v", again, err)
	}
	m.Others[0].Path = m.Others[1].Path
	out.Reset()
	if err := m.Write(&out); err == nil || out.Len() > 0 {
		t.Errorf("%v, %d octets written of what cannot be read", err, out.Len())
	}
}

// The mark of a synthetic tree is found from its folders, and stays in the manifest.
func TestSyntheticMark(t *testing.T) {
	content := capture(t, 2, 60, 1, pcapio.WriterConfig{})
	dir := tree(t, map[string][]byte{"synthetic.json": []byte("{}"), "PCAP/XSS/XSS.pcap": content, "XSS/XSS.pcap": content, "lab/deep/a.pcap": content, "PCAP/lab/a.pcap": content})
	for folder, want := range map[string]bool{".": true, "PCAP": true, "PCAP/XSS": true, "XSS": true, "lab": false, "lab/deep": false, "PCAP/lab": false} {
		m := scan(t, filepath.Join(dir, folder), manifest.Config{})
		if m.Synthetic != want {
			t.Errorf("%s: synthetic %v", folder, m.Synthetic)
		}
		var out bytes.Buffer
		if err := m.Write(&out); err != nil {
			t.Fatal(err)
		}
		if again, err := manifest.Read(&out, "m"); err != nil || again.Synthetic != want {
			t.Errorf("%s: %+v, %v", folder, again, err)
		}
	}
}

// Verify never says of a file that it is as before when it was not read.
func TestVerifyClaimsNoMoreThanItDid(t *testing.T) {
	content := capture(t, 20, 60, 1, pcapio.WriterConfig{})
	dir := tree(t, map[string][]byte{"a.pcap": content, "notes.bin": []byte("text"), "n.txt": []byte("text"), "z.pcap": content})
	m := scan(t, dir, manifest.Config{})
	what := func(quick bool) (list []string) {
		t.Helper()
		differences, err := manifest.Verify(context.Background(), m, dir, quick, manifest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differences {
			list = append(list, d.Path+" "+d.What)
		}
		return list
	}
	if got := what(false); got != nil {
		t.Errorf("%v", got)
	}
	for _, c := range [][]byte{content, zipped(t, content)} {
		write(t, filepath.Join(dir, "notes.bin"), c)
		for _, quick := range []bool{false, true} {
			if got := what(quick); !slices.Equal(got, []string{"notes.bin new"}) {
				t.Errorf("%v", got)
			}
		}
	}
	write(t, filepath.Join(dir, "notes.bin"), []byte("text"))
	if runtime.GOOS != "windows" {
		whole := filepath.Join(dir, "z.pcap")
		if err := os.Remove(whole); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("nowhere", whole); err != nil {
			t.Fatal(err)
		}
		if got := what(false); !slices.Equal(got, []string{"z.pcap unreadable"}) {
			t.Errorf("%v", got)
		}
		if err := os.Remove(whole); err != nil {
			t.Fatal(err)
		}
		write(t, whole, content)
	}
	if runtime.GOOS == "windows" || os.Getuid() == 0 {
		return // who may read everything
	}
	path := filepath.Join(dir, "a.pcap")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	for range 2 { // readable at the scan, then not
		if got := what(false); !slices.Equal(got, []string{"a.pcap unreadable"}) {
			t.Errorf("%v", got)
		}
		m = scan(t, dir, manifest.Config{})
	}
}

func TestVerify(t *testing.T) {
	dir := tree(t, map[string][]byte{
		"XSS/XSS.pcap": capture(t, 50, 60, 1, pcapio.WriterConfig{}), "a/1.pcap": capture(t, 5, 60, 2, pcapio.WriterConfig{}),
		"a/2.pcap": capture(t, 6, 60, 3, pcapio.WriterConfig{}), "a/10.pcap": capture(t, 7, 60, 4, pcapio.WriterConfig{}), "notes.txt": []byte("x")})
	ctx := context.Background()
	differences := func(m *manifest.Manifest, quick bool) []string {
		t.Helper()
		list, err := manifest.Verify(ctx, m, dir, quick, manifest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		var what []string
		for _, d := range list {
			if !strings.HasPrefix(d.String(), d.Path+": ") {
				t.Errorf("%v", d)
			}
			what = append(what, d.Path+" "+d.What)
		}
		return what
	}
	hashed, bare := scan(t, dir, manifest.Config{Hash: true}), scan(t, dir, manifest.Config{})
	for _, m := range []*manifest.Manifest{hashed, bare} {
		for _, quick := range []bool{false, true} {
			if got := differences(m, quick); got != nil {
				t.Errorf("quick %v: %v", quick, got)
			}
		}
	}
	// One octet of a frame: the counts stay.
	path := filepath.Join(dir, "a/2.pcap")
	content := capture(t, 6, 60, 3, pcapio.WriterConfig{})
	content[24+16+30] ^= 1
	write(t, path, content)
	if err := os.Chtimes(path, time.Time{}, hashed.Find("a/2.pcap").Modified); err != nil {
		t.Fatal(err)
	}
	if got := differences(hashed, false); !slices.Equal(got, []string{"a/2.pcap sha256"}) {
		t.Errorf("%v", got)
	}
	if got := differences(hashed, true); got != nil {
		t.Errorf("quick: %v", got)
	}
	if got := differences(bare, false); got != nil {
		t.Errorf("without sums: %v", got)
	}
	content[24+8]++ // a captured length: what follows is nonsense
	write(t, path, content)
	if got := differences(bare, false); len(got) == 0 {
		t.Errorf("without sums: %v", got)
	}
	write(t, filepath.Join(dir, "a/1.pcap"), content[:100])
	write(t, filepath.Join(dir, "a/11.bin"), content)
	write(t, filepath.Join(dir, "a/more.txt"), []byte("no capture"))
	if err := os.Remove(filepath.Join(dir, "XSS/XSS.pcap")); err != nil {
		t.Fatal(err)
	}
	got := differences(hashed, false)
	want := []string{"a/1.pcap size", "a/2.pcap sha256", "a/11.bin new", "XSS/XSS.pcap missing"}
	if !slices.Equal(slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "a/2.pcap ") && s != "a/2.pcap sha256" }), want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What is read from an entry is what the whole reading gives from there on, and entries are where the pieces of tcpdump begin.
func TestIndexIsExact(t *testing.T) {
	n := 16_000
	cfg := pcapio.WriterConfig{}
	ng := pcapio.WriterConfig{Container: pcapio.PcapNG}
	dir := tree(t, map[string][]byte{
		"raw.pcap": capture(t, n, 1500, 1, cfg), "nano.pcap": capture(t, n, 1500, 2, pcapio.WriterConfig{Nano: true}),
		"gz.pcap.gz": zipped(t, capture(t, n, 1500, 3, cfg)), "ng.pcapng": capture(t, n, 1500, 4, ng), "short.pcap": capture(t, 3, 60, 5, cfg),
		"cut.pcap": capture(t, n, 1500, 6, cfg)[:22_000_001],
	})
	m := scan(t, dir, manifest.Config{})
	for i := range m.Files {
		f := &m.Files[i]
		path := filepath.Join(dir, f.Path)
		if want := 1 + (f.Packets-1)/6700; uint64(len(f.Index)) != want && f.Packets > 3 {
			t.Errorf("%s: %d entries for %d packets", f.Path, len(f.Index), f.Packets)
		}
		wholeFile, err := datasets.Open(path, datasets.OpenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var parts []*datasets.Capture
		for j := range f.Index {
			p, err := f.Open(path, j)
			if err != nil {
				t.Fatal(err)
			}
			if p.Packets() != f.Index[j].Packets {
				t.Errorf("%s: entry %d is behind packet %d, want %d", f.Path, j, p.Packets(), f.Index[j].Packets)
			}
			parts = append(parts, p)
		}
		piece, entry := uint64(24), 0
		var kept uint64
		var want, got parse.Frame
		for number := uint64(1); number <= f.Packets; number++ {
			if err := wholeFile.Next(&want); err != nil {
				t.Fatal(err)
			}
			if piece > manifest.PieceOctets || number == 1 {
				e := f.Index[entry]
				if e != (manifest.Entry{Offset: wholeFile.Offset(), Packets: number - 1, UnixNano: want.UnixNano, Kept: kept}) {
					t.Fatalf("%s: entry %d is %+v at packet %d, offset %d, %d kept", f.Path, entry, e, number, wholeFile.Offset(), kept)
				}
				entry++
				piece = 24
			}
			piece += 16 + uint64(len(want.Data))
			if want.Data[12] == 8 && (want.Data[13] == 0 || want.Data[13] == 6) {
				kept++
			}
			for _, p := range parts {
				if p.Packets() != number-1 {
					continue
				}
				if err := p.Next(&got); err != nil {
					t.Fatalf("%s: packet %d: %v", f.Path, number, err)
				}
				if p.Packets() != number || p.Offset() != wholeFile.Offset() {
					t.Fatalf("%s: packet %d is number %d at octet %d, want %d", f.Path, number, p.Packets(), p.Offset(), wholeFile.Offset())
				}
				if got.UnixNano != want.UnixNano || got.WireLen != want.WireLen || got.Link != want.Link || !bytes.Equal(got.Data, want.Data) {
					t.Fatalf("%s: packet %d is another", f.Path, number)
				}
			}
		}
		if entry != len(f.Index) || kept != f.Kept {
			t.Errorf("%s: %d entries of %d met, %d kept, want %d", f.Path, entry, len(f.Index), kept, f.Kept)
		}
		wantErr := wholeFile.Next(&want)
		for k, p := range parts {
			if err := p.Next(&got); p.Packets() != f.Packets || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s: part %d ends after packet %d with %v, want %d with %v", f.Path, k, p.Packets(), err, f.Packets, wantErr)
			}
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := wholeFile.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestIndexIsWhereTcpdumpCuts(t *testing.T) {
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	dir := tree(t, map[string][]byte{"x.pcap": capture(t, 60_000, 600, 1, pcapio.WriterConfig{})})
	m := scan(t, dir, manifest.Config{})
	pieces := t.TempDir()
	command := exec.Command(tool, "-r", filepath.Join(dir, "x.pcap"), "-w", filepath.Join(pieces, "p"), "-C", "10")
	if runtime.GOOS == "linux" && os.Getuid() == 0 {
		command.Args = append(command.Args, "-Z", "root") // or it becomes another user, who may not write there
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("tcpdump: %v: %s", err, out)
	}
	var packets uint64
	for i, e := range m.Files[0].Index {
		if e.Packets != packets {
			t.Fatalf("entry %d at packet %d, tcpdump cuts at %d", i, e.Packets, packets)
		}
		name := "p"
		if i > 0 {
			name += strconv.Itoa(i)
		}
		c, err := datasets.Open(filepath.Join(pieces, name), datasets.OpenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		var f parse.Frame
		for c.Next(&f) == nil {
			packets++
		}
		c.Close()
	}
	if packets != 60_000 || len(m.Files[0].Index) < 3 {
		t.Errorf("%d packets in %d pieces", packets, len(m.Files[0].Index))
	}
}

// Windows of features begin anew at the entries, and nowhere else.
func TestIndexIsWhereFeaturesBeginAnew(t *testing.T) {
	dir := tree(t, map[string][]byte{
		"a.pcap": capture(t, 30_000, 1000, 1, pcapio.WriterConfig{}), "b.pcapng": capture(t, 30_000, 1000, 2, pcapio.WriterConfig{Container: pcapio.PcapNG}),
		"c.pcap": longerThanSnaplen(t, 30_000, 1000, 600), "d.pcap": longerThanSnaplen(t, 30_000, 1000, 0),
	})
	m := scan(t, dir, manifest.Config{})
	for _, f := range m.Files {
		c, err := datasets.Open(filepath.Join(dir, f.Path), datasets.OpenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		d := feature.NewDecoder(feature.DecoderConfig{As: feature.AsPipeline, Snaplen: c.Facts().Snaplen})
		var frame parse.Frame
		var row feature.Row
		begin := []uint64{0}
		var rows uint64
		for number := uint64(0); ; number++ {
			if err := c.Next(&frame); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			d.SetSnaplen(c.Described().Snaplen)
			o, newPiece := d.Decode(&frame, nil, &row)
			if newPiece {
				begin = append(begin, number)
			}
			if o == feature.MadeRow || o == feature.Fault { // a fault is an IPv4 frame too
				rows++
			}
		}
		c.Close()
		var entries []uint64
		for _, e := range f.Index {
			entries = append(entries, e.Packets)
		}
		if !slices.Equal(begin, entries) || len(begin) < 2 {
			t.Errorf("%s: entries at %d, pieces begin at %d", f.Path, entries, begin)
		}
		if rows != f.Kept {
			t.Errorf("%s: %d kept, %d frames that give rows", f.Path, f.Kept, rows)
		}
	}
}

// longerThanSnaplen is a capture whose frames are longer than its header says.
func longerThanSnaplen(t *testing.T, n, size int, snaplen uint32) []byte {
	content := capture(t, n, size, 3, pcapio.WriterConfig{})
	binary.LittleEndian.PutUint32(content[16:], snaplen)
	return content
}

func TestOpenRefuses(t *testing.T) {
	dir := tree(t, map[string][]byte{"x.pcap": capture(t, 10, 60, 1, pcapio.WriterConfig{})})
	m := scan(t, dir, manifest.Config{})
	path := filepath.Join(dir, "x.pcap")
	for _, entry := range []int{-1, 1} {
		if _, err := m.Files[0].Open(path, entry); err == nil {
			t.Errorf("entry %d", entry)
		}
	}
	if _, err := m.Files[0].Open(path+"x", 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	write(t, path, capture(t, 9, 60, 1, pcapio.WriterConfig{}))
	if _, err := m.Files[0].Open(path, 0); err == nil || !strings.Contains(err.Error(), "scan it again") {
		t.Errorf("%v", err)
	}
	// The size is right, but a record in it is not.
	content := capture(t, 10, 60, 1, pcapio.WriterConfig{})
	content[24+76+75+8+3] = 0xff
	write(t, path, content)
	p, err := m.Files[0].Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var f parse.Frame
	for err == nil {
		err = p.Next(&f)
	}
	if fe := new(pcapio.FormatError); !errors.As(err, &fe) || fe.Packet != 3 || fe.Offset != 24+76+75 {
		t.Errorf("%v", err)
	}
}

func TestScanOfAFolderThatCannotBe(t *testing.T) {
	dir := tree(t, map[string][]byte{"x.pcap": capture(t, 1, 60, 1, pcapio.WriterConfig{})})
	if _, err := manifest.Scan(context.Background(), dir+"none", manifest.Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := manifest.Scan(context.Background(), filepath.Join(dir, "x.pcap"), manifest.Config{}); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("%v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x.pcap", filepath.Join(dir, "y.pcap")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "z.pcap")); err != nil {
		t.Fatal(err)
	}
	if m := scan(t, dir, manifest.Config{}); !slices.Equal(paths(m), []string{"x.pcap", "y.pcap"}) || len(m.Others) != 2 {
		t.Errorf("files %v, others %+v", paths(m), m.Others)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"manifest_version":1,"synthetic":true,"files":[{"path":"x","lost":1,"losses":[{"offset":5}],"modified":"9999-12-31T23:59:59-23:59"},{"path":"y","modified":"0000-01-01T00:00:00+23:59"}]}`))
	f.Add([]byte(`{"manifest_version":1,"complete":true,"root":"x","files":[{"path":"x","packets":9,"index":[[24,0,0,0],[200,1,5,1]]}],"others":[{"path":"y","why":"z"}]}`))
	f.Add([]byte(`{"manifest_version":1,"files":[{"path":"XSS/XSS (1).pcap","class":"XSS","octets":5,"modified":"2024-01-02T03:04:05.6Z"},{"path":"XSS/XSS.pcap","class":"XSS"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Read(bytes.NewReader(text), "m")
		if err != nil {
			return
		}
		m.Report()
		var out bytes.Buffer
		if err := m.Write(&out); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		once := bytes.Clone(out.Bytes())
		again, err := manifest.Read(&out, "m")
		if err != nil {
			t.Fatalf("%v, of\n%s", err, once)
		}
		var twice bytes.Buffer
		if err := again.Write(&twice); err != nil || !bytes.Equal(once, twice.Bytes()) {
			t.Errorf("%v\n%s\n%s", err, once, twice.Bytes())
		}
	})
}

// Memory does not grow with a capture.
func TestScanMemoryIsFlat(t *testing.T) {
	allocated := func(n int) uint64 {
		dir := tree(t, map[string][]byte{"x.pcap": capture(t, n, 80, 1, pcapio.WriterConfig{}), "y.pcapng": capture(t, n, 80, 1, pcapio.WriterConfig{Container: pcapio.PcapNG})})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		scan(t, dir, manifest.Config{Hash: true, Workers: 1})
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(10)
	var small, large uint64
	for range 5 { // the collector takes buffers from pools when it likes
		if small, large = allocated(1000), allocated(60_000); large <= small+1<<20 {
			return
		}
	}
	t.Errorf("%d octets allocated for 1,000 frames, %d for 60,000", small, large)
}
