package feature_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
)

// dpktVersion is the one that the package follows.
const dpktVersion = "1.9.8"

// pythonWith returns a Python that has modules, dpkt among them, or skips the test. PCAPLAB_PYTHON names it.
func pythonWith(t *testing.T, modules ...string) string {
	t.Helper()
	names := []string{"python3", "/usr/bin/python3"}
	if name := os.Getenv("PCAPLAB_PYTHON"); name != "" {
		names = []string{name}
	}
	code := "import dpkt"
	for _, m := range modules {
		code += ", " + m
	}
	why := "no python3"
	for _, name := range names {
		out, err := exec.Command(name, "-c", code+"; print(dpkt.__version__)").CombinedOutput()
		switch version := strings.TrimSpace(string(out)); {
		case err == nil && version == dpktVersion:
			return name
		case err == nil:
			why = name + " has dpkt " + version
		case len(out) > 0:
			lines := strings.Split(version, "\n")
			why = name + ": " + lines[len(lines)-1]
		}
	}
	t.Skipf("needs a Python with dpkt %s and %v; PCAPLAB_PYTHON names it (%s)", dpktVersion, modules, why)
	return ""
}

// long reports whether tests that take many minutes are asked for.
func long() bool { return os.Getenv("PCAPLAB_LONG") != "" }

// setting returns a whole number from the environment, for runs by hand.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// dpktRow is what testdata/dpkt_rows.py says of a frame.
type dpktRow struct {
	Outcome             byte
	Type                uint16
	Proto, TTL, Carried uint8
	Src, Dst            uint16
	Flags, HeaderLen    uint8
}

const dpktRowLen = 12

// dpktRows asks dpkt about frames.
func dpktRows(t *testing.T, python string, frames [][]byte) []dpktRow {
	t.Helper()
	cmd := exec.Command(python, filepath.Join("testdata", "dpkt_rows.py"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(in)
	for _, b := range frames {
		w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
		w.Write(b)
	}
	flushErr := errors.Join(w.Flush(), in.Close())
	if err := cmd.Wait(); err != nil || flushErr != nil {
		t.Fatalf("dpkt: %v, %v: %s", err, flushErr, problems.String())
	}
	if out.Len() != dpktRowLen*len(frames) {
		t.Fatalf("dpkt answered %d octets for %d frames: %s", out.Len(), len(frames), problems.String())
	}
	rows := make([]dpktRow, len(frames))
	if err := binary.Read(&out, binary.BigEndian, rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// rowMarks returns the columns of a row that are 0 or 1, from what a datagram carries.
func rowMarks(d dpktRow) map[int]bool {
	if d.Type == 0x0806 {
		return map[int]bool{feature.ARP: true}
	}
	either := func(port uint16) bool { return d.Src == port || d.Dst == port }
	tcp, udp := d.Carried == 6, d.Carried == 17
	return map[int]bool{
		feature.IPv: true, feature.LLC: true, feature.TCP: tcp, feature.UDP: udp,
		feature.ICMP: d.Proto == 1, feature.IGMP: d.Proto == 2,
		feature.HTTP: tcp && either(80), feature.HTTPS: tcp && either(443), feature.SSH: tcp && either(22),
		feature.Telnet: tcp && either(23), feature.SMTP: tcp && either(25), feature.IRC: tcp && either(21),
		feature.DNS: udp && either(53), feature.DHCP: udp && either(67) && either(68),
		feature.FinFlag: d.Flags&1 != 0, feature.SynFlag: d.Flags&2 != 0, feature.RstFlag: d.Flags&4 != 0,
		feature.PshFlag: d.Flags&8 != 0, feature.AckFlag: d.Flags&16 != 0, feature.EceFlag: d.Flags&64 != 0,
		feature.CwrFlag: d.Flags&128 != 0,
	}
}

// difference returns what a decoder gives otherwise than dpkt for a frame, "" for nothing.
func difference(b []byte, d dpktRow) string {
	dec := feature.NewDecoder(feature.DecoderConfig{})
	f := frameOf(1e18, b)
	var row feature.Row
	o, _ := dec.Decode(&f, nil, &row)
	switch d.Outcome {
	case 'A':
		if o != feature.Fault {
			return fmt.Sprintf("outcome %q, dpkt: no IPv4 header", o)
		}
		return ""
	case 'E', 'X':
		if o == feature.MadeRow || o == feature.Fault {
			return fmt.Sprintf("outcome %q, dpkt: %c, type %#x", o, d.Outcome, d.Type)
		}
		return ""
	}
	if o != feature.MadeRow {
		return fmt.Sprintf("outcome %q, dpkt: row", o)
	}
	if row.Size != uint32(len(b)) || row.Protocol != d.Proto || row.TTL != d.TTL || row.HeaderLen != uint16(d.HeaderLen) {
		return fmt.Sprintf("row %+v, dpkt %+v", row, d)
	}
	window, err := feature.NewWindow(feature.AsExtractor, feature.Span{Rows: 1}, false)
	if err != nil {
		return err.Error()
	}
	var v feature.Vector
	window.Add(&row)
	window.Close(&v)
	marks := rowMarks(d)
	for column := feature.FinFlag; column <= feature.LLC; column++ {
		if feature.Whole(column) {
			continue
		}
		if got := v.Values[column] == 1; got != marks[column] {
			return fmt.Sprintf("%s %v, dpkt %v: %+v", feature.Columns()[column], got, marks[column], d)
		}
	}
	return ""
}

// compareFrames compares the decoder with dpkt, in parallel.
func compareFrames(t *testing.T, python string, frames [][]byte) {
	t.Helper()
	rows := dpktRows(t, python, frames)
	outcomes := map[byte]int{}
	faults, inside := 0, 0
	for i, b := range frames {
		outcomes[rows[i].Outcome]++
		if rows[i].Outcome == 'X' && len(b) >= 34 && binary.BigEndian.Uint16(b[12:]) == 0x0800 {
			inside++
		}
		if text := difference(b, rows[i]); text != "" {
			if faults++; faults <= 20 {
				t.Errorf("%s\nframe %s", text, hex.EncodeToString(b[:min(len(b), 4096)]))
			}
		}
	}
	t.Logf("%d frames: %d rows, %d of other types, %d raised, %d of them for what IPv4 carries, %d without header; %d differ",
		len(frames), outcomes['R'], outcomes['E'], outcomes['X'], inside, outcomes['A'], faults)
}

// TestDecoderAgainstDpkt compares random frames with dpkt. PCAPLAB_SEEDS is how many times 20,000 of them.
func TestDecoderAgainstDpkt(t *testing.T) {
	python := pythonWith(t)
	seeds, first := 2, setting(t, "PCAPLAB_FIRST_SEED", 1)
	if long() {
		seeds = 30
	}
	for seed := first; seed < first+setting(t, "PCAPLAB_SEEDS", seeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := newMaker(uint64(seed))
			frames := make([][]byte, 20000)
			for i := range frames {
				switch i % 4 {
				case 0: // what IPv4 carries decides what is raised
					frames[i] = join(macs, be16(0x0800), g.ip4(0))
				case 1:
					frames[i] = g.mutate(join(macs, be16(0x0800), g.ip4(0)))
				default:
					frames[i] = g.frame()
				}
			}
			compareFrames(t, python, frames)
		})
	}
}

// corpusFrames returns the frames of the captures in PCAPLAB_CORPUS that can be read, once each.
var corpusFrames = sync.OnceValues(func() ([][]byte, error) {
	paths, err := filepath.Glob(filepath.Join(os.Getenv("PCAPLAB_CORPUS"), "*.pcap*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	seen := map[string]bool{}
	var frames [][]byte
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		r, err := pcapio.NewReader(file, path)
		if err != nil {
			continue // a capture that is damaged on purpose
		}
		defer r.Close()
		var f parse.Frame
		for n := 0; n < 400 && r.Next(&f) == nil; n++ {
			if len(f.Data) <= 2000 && !seen[string(f.Data)] {
				seen[string(f.Data)] = true
				frames = append(frames, slices.Clone(f.Data))
			}
		}
	}
	if len(frames) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return frames, nil
})

// TestCorpusAgainstDpkt compares the corpus' frames with dpkt, as they are and changed.
func TestCorpusAgainstDpkt(t *testing.T) {
	if os.Getenv("PCAPLAB_CORPUS") == "" {
		t.Skip("PCAPLAB_CORPUS is unset: no captures with known contents")
	}
	python := pythonWith(t)
	corpus, err := corpusFrames()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("as is", func(t *testing.T) { compareFrames(t, python, corpus) })
	seeds, first := 1, setting(t, "PCAPLAB_FIRST_SEED", 1)
	if long() {
		seeds = 30
	}
	for seed := first; seed < first+setting(t, "PCAPLAB_SEEDS", seeds); seed++ {
		t.Run(fmt.Sprintf("mutated/%d", seed), func(t *testing.T) {
			t.Parallel()
			g := newMaker(uint64(seed) + 1000)
			frames := make([][]byte, 20000)
			for i := range frames {
				b := corpus[g.IntN(len(corpus))]
				switch g.IntN(4) {
				case 0: // what was not IPv4 becomes it
					frames[i] = join(macs, be16(0x0800), ip4(pick(g, 47, 41, 4, 1, 51, 58), b))
				case 1:
					frames[i] = join(macs, be16(0x0800), ip4(47, be16(0), be16(0x6558), g.mutate(b)))
				default:
					frames[i] = g.mutate(b)
				}
			}
			compareFrames(t, python, frames)
		})
	}
}
