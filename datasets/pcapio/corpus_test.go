package pcapio

import (
	"bufio"
	"errors"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"pcaplab/parse"
)

// corpusDir returns the folder of captures with independent truth.
func corpusDir(t testing.TB) string {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: the captures with independent truth are not there")
	}
	return dir
}

// table reads a tab-separated file with a header into one map per row.
func table(t testing.TB, path string) []map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	var rows []map[string]string
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		if names == nil {
			names = cells
			continue
		}
		row := make(map[string]string)
		for i, c := range cells {
			row[names[i]] = c
		}
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// tally is what the oracle knows about a capture.
type tally struct {
	packets, capOctets, wireOctets, maxCaplen, cut, backSteps uint64
	first, last, min, max                                     int64
	timed                                                     bool
	links                                                     []int
	offsets                                                   []int64
}

func (ta *tally) add(f *parse.Frame, r *Reader) {
	ta.packets++
	ta.capOctets += uint64(len(f.Data))
	ta.wireOctets += uint64(f.WireLen)
	ta.maxCaplen = max(ta.maxCaplen, uint64(len(f.Data)))
	if len(f.Data) < f.WireLen {
		ta.cut++
	}
	ta.offsets = append(ta.offsets, r.Offset())
	if l := int(f.Link); !slices.Contains(ta.links, l) {
		ta.links = append(ta.links, l)
	}
	if !r.Timed() {
		return
	}
	if !ta.timed {
		ta.timed, ta.first, ta.min, ta.max = true, f.UnixNano, f.UnixNano, f.UnixNano
	} else if f.UnixNano < ta.last {
		ta.backSteps++
	}
	ta.last = f.UnixNano
	ta.min, ta.max = min(ta.min, f.UnixNano), max(ta.max, f.UnixNano)
}

// read walks a whole capture.
func read(cfg Config, src io.Reader, name string) (ta tally, r *Reader, err error) {
	r, err = cfg.NewReader(src, name)
	if err != nil {
		return ta, nil, err
	}
	defer r.Close()
	var f parse.Frame
	for {
		if err = r.Next(&f); err != nil {
			if err == io.EOF {
				err = nil
			}
			return ta, r, err
		}
		ta.add(&f, r)
	}
}

// clampNano reads a time of the oracle, which has no upper end.
func clampNano(t *testing.T, s string) (ns int64, clamped bool) {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		t.Fatalf("time %q in the oracle", s)
	}
	if n.IsInt64() {
		return n.Int64(), false
	}
	return math.MaxInt64, true
}

// wantErrors holds offset and record of each error, from the oracle's own_error and the layout of the file.
var wantErrors = map[string]struct {
	offset int64
	packet uint64
	kind   error
	text   string
}{
	"crafted__caplen_2gb.pcap":              {1177, 6, ErrDamaged, "2147483647"},
	"crafted__cut_in_payload.pcap":          {1798, 10, ErrTruncated, "21 of 554 octets"},
	"crafted__cut_in_record_header.pcap":    {2561, 13, ErrTruncated, "7 of 16 octets"},
	"crafted__gz_cut.pcap.gz":               {1798, 10, ErrTruncated, "298 of 554 octets"},
	"crafted__header_cut.pcap":              {0, 0, ErrTruncated, "11 of 24 octets"},
	"crafted__ng_len_zero.pcapng":           {140, 2, ErrDamaged, "length 0"},
	"crafted__ng_tail_mismatch.pcapng":      {140, 2, ErrDamaged, "trailing length"},
	"crafted__ng_undeclared_iface.pcapng":   {140, 2, ErrDamaged, "interface 3"},
	"crafted__text.pcap":                    {0, 0, ErrUnknown, "text"},
	"crafted__two_files_concatenated.pcap":  {623, 6, ErrDamaged, "second capture"},
	"crafted__wrong_magic.pcap":             {0, 0, ErrUnknown, "de ad be ef"},
	"crafted__zero_length.pcap":             {0, 0, ErrUnknown, "empty"},
	"crafted__zst_cut.pcap.zst":             {392985, 1832, ErrTruncated, "215 of 388 octets"},
	"libpcap__pcap-invalid-version-1.pcap":  {0, 0, ErrUnknown, "version 1.4"},
	"libpcap__pcapng-invalid-vers-1.pcapng": {0, 0, ErrUnknown, "version 0.1"},
	"libpcap__shb-option-too-long.pcapng":   {0, 0, ErrDamaged, "trailing length"},
	"pcpp__solaris.snoop":                   {0, 0, ErrUnknown, "snoop"},
}

// wantFaults holds the faults of captures that are read whole: the rows where readers differ, and odd times.
var wantFaults = map[string]Faults{
	"crafted__caplen_gt_len.pcap":           {OverWire: 1},
	"crafted__zeros_in_middle.pcap":         {Empty: 3},
	"crafted__two_files_concatenated.pcap":  {Empty: 1},
	"tcpdump__timestamp_invalid_micro.pcap": {TimeCarried: 2},
	"tcpdump__802_15_4-data.pcap":           {OverSnaplen: 1},
	"hadriel__le_test011.pcapng":            {NoTime: 2},
	"hadriel__be_test201.pcapng":            {NoTime: 1},
	"pcpp__pcapng-example.pcapng":           {TimeClamped: 100},
	"pcpp__pcapng-example.pcapng.zst":       {TimeClamped: 100},
}

// wantSalvage holds what Salvage makes of the damaged captures of the corpus: packets, and the one loss.
var wantSalvage = map[string]struct {
	packets  uint64
	from, to int64
	resumed  bool
}{
	"crafted__caplen_2gb.pcap":             {5, 1177, 1233, false},
	"crafted__cut_in_payload.pcap":         {9, 1798, 1835, false},
	"crafted__cut_in_record_header.pcap":   {12, 2561, 2568, false},
	"crafted__gz_cut.pcap.gz":              {9, 1798, -1, false},
	"crafted__ng_len_zero.pcapng":          {1, 140, 172, false},
	"crafted__ng_tail_mismatch.pcapng":     {1, 140, 512, false},
	"crafted__ng_undeclared_iface.pcapng":  {1, 140, 512, false},
	"crafted__two_files_concatenated.pcap": {8, 607, 631, true},
	"crafted__zst_cut.pcap.zst":            {1831, 392985, -1, false},
}

func TestSalvageCorpus(t *testing.T) {
	dir := corpusDir(t)
	for name, want := range wantSalvage {
		t.Run(name, func(t *testing.T) {
			got, r, err := read(Config{Salvage: true}, openFile(t, filepath.Join(dir, name)), name)
			if err != nil {
				t.Fatal(err)
			}
			losses := r.Losses()
			if got.packets != want.packets || len(losses) != 1 || losses[0].From != want.from || losses[0].To != want.to ||
				losses[0].Resumed != want.resumed {
				t.Errorf("%d packets, losses %+v; want %+v", got.packets, losses, want)
			}
		})
	}
}

func TestCorpus(t *testing.T) {
	dir := corpusDir(t)
	expect := make(map[string]string)
	for _, row := range table(t, filepath.Join(dir, "manifest.tsv")) {
		expect[row["file"]] = row["expect"]
	}
	rows := table(t, filepath.Join(dir, "oracle.tsv"))
	if len(rows) != len(expect) || len(rows) == 0 {
		t.Fatalf("%d rows in the oracle, %d in the manifest", len(rows), len(expect))
	}
	for _, row := range rows {
		t.Run(row["file"], func(t *testing.T) {
			name := row["file"]
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			sources := []struct {
				name string
				cfg  Config
				src  io.Reader
			}{
				{"file", Config{}, openFile(t, filepath.Join(dir, name))},
				{"pipe", Config{}, pipe(t, content)},
				{"small blocks", Config{Block: 1}, iotest.DataErrReader(strings.NewReader(string(content)))},
				{"half reads", Config{}, iotest.HalfReader(strings.NewReader(string(content)))},
				{"salvage", Config{Salvage: true}, strings.NewReader(string(content))},
			}
			if len(content) < 100e3 {
				sources = append(sources, struct {
					name string
					cfg  Config
					src  io.Reader
				}{"one octet at a time", Config{}, iotest.OneByteReader(strings.NewReader(string(content)))})
			}
			for _, s := range sources {
				got, r, err := read(s.cfg, s.src, name)
				if s.cfg.Salvage && expect[name] != "ok" {
					continue
				}
				checkRow(t, s.name, row, got)
				checkError(t, s.name, row, expect[name], err)
				if r != nil {
					checkFacts(t, s.name, row, r.Facts(), got)
				}
			}
		})
	}
}

func openFile(t *testing.T, path string) io.Reader {
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func pipe(t *testing.T, content []byte) io.Reader {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.Close()
		w.Write(content) // fails when the reader stops early, as it must at damage
	}()
	t.Cleanup(func() { r.Close(); <-done })
	return r
}

func checkRow(t *testing.T, source string, row map[string]string, got tally) {
	t.Helper()
	for _, c := range []struct {
		column string
		got    uint64
	}{
		{"packets", got.packets}, {"cap_bytes", got.capOctets}, {"wire_bytes", got.wireOctets},
		{"max_caplen", got.maxCaplen}, {"cut_packets", got.cut}, {"back_steps", got.backSteps},
	} {
		want, err := strconv.ParseUint(row[c.column], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if c.got != want {
			t.Errorf("%s: %s is %d, want %d", source, c.column, c.got, want)
		}
	}
	if (row["first_ns"] != "-") != got.timed {
		t.Errorf("%s: frames with times: %v, the oracle has %s", source, got.timed, row["first_ns"])
	} else if got.timed {
		for _, c := range []struct {
			column string
			got    int64
		}{{"first_ns", got.first}, {"last_ns", got.last}, {"min_ns", got.min}, {"max_ns", got.max}} {
			if want, _ := clampNano(t, row[c.column]); c.got != want {
				t.Errorf("%s: %s is %d, want %d", source, c.column, c.got, want)
			}
		}
	}
	slices.Sort(got.links)
	var links []string
	for _, l := range got.links {
		links = append(links, strconv.Itoa(l))
	}
	if want := row["linktypes"]; got.packets > 0 && strings.Join(links, ",") != want {
		t.Errorf("%s: link types %v, want %s", source, links, want)
	}
}

func checkError(t *testing.T, source string, row map[string]string, expect string, err error) {
	t.Helper()
	name := row["file"]
	want, bad := wantErrors[name]
	if bad != strings.HasPrefix(expect, "error") && expect != "either" {
		t.Fatalf("the manifest expects %q, this test knows error %+v", expect, want)
	}
	if !bad {
		if err != nil {
			t.Errorf("%s: %v", source, err)
		}
		return
	}
	var fe *FormatError
	if !errors.As(err, &fe) {
		t.Errorf("%s: error %v, want a *FormatError", source, err)
		return
	}
	if fe.Name != name || fe.Offset != want.offset || fe.Packet != want.packet || !errors.Is(err, want.kind) ||
		!strings.Contains(err.Error(), want.text) || !strings.HasPrefix(err.Error(), name+": ") {
		t.Errorf("%s: error %q (offset %d, record %d), want offset %d, record %d, %v, text %q",
			source, err, fe.Offset, fe.Packet, want.offset, want.packet, want.kind, want.text)
	}
	if row["wrap"] != "-" && !strings.Contains(err.Error(), "uncompressed") {
		t.Errorf("%s: error %q does not say that the offset is after decompression", source, err)
	}
	if expect, ok := strings.CutPrefix(expect, "error-after-"); ok && expect != strconv.FormatUint(fe.Packet-1, 10) {
		t.Errorf("%s: error at record %d, want it after %s", source, fe.Packet, expect)
	}
}

func checkFacts(t *testing.T, source string, row map[string]string, facts Facts, got tally) {
	t.Helper()
	if want := strings.TrimSuffix(strings.TrimSuffix(row["format"], "-us"), "-ns"); facts.Container != want {
		t.Errorf("%s: container %s, want %s", source, facts.Container, want)
	}
	if want := row["wrap"]; facts.Compression != want && (want != "-" || facts.Compression != compressNone) {
		t.Errorf("%s: compression %s, want %s", source, facts.Compression, want)
	}
	order := map[string]string{"LE": "little-endian", "BE": "big-endian"}[row["endian"]]
	if order != "" && facts.ByteOrder != order {
		t.Errorf("%s: byte order %s, want %s", source, facts.ByteOrder, order)
	}
	if want := row["snaplen"]; want != "-" && want != strconv.FormatUint(uint64(facts.Snaplen), 10) {
		t.Errorf("%s: snaplen %d, want %s", source, facts.Snaplen, want)
	}
	for _, i := range facts.Interfaces {
		want := Resolution(6)
		switch row["format"] {
		case "pcap-ns":
			want = 9
		case "pcapng":
			want = i.Resolution
		}
		if i.Resolution != want {
			t.Errorf("%s: resolution %v in %s", source, i.Resolution, row["format"])
		}
	}
	if facts.Packets != got.packets {
		t.Errorf("%s: facts have %d packets, %d were delivered", source, facts.Packets, got.packets)
	}
	if want := wantFaults[row["file"]]; facts.Faults != want {
		t.Errorf("%s: faults %+v, want %+v", source, facts.Faults, want)
	}
	for i := 1; i < len(got.offsets); i++ {
		if got.offsets[i] <= got.offsets[i-1] {
			t.Fatalf("%s: record %d at offset %d, the one before at %d", source, i+1, got.offsets[i], got.offsets[i-1])
		}
	}
}
