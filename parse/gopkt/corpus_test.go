package gopkt_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/gopkt"
	"pcaplab/parse/gopkt/fork"
)

func engines() []parse.Engine { return append(gopkt.Engines(), fork.Engines()...) }

// readCapture calls yield with every frame that can be read before the capture ends or breaks. That the reader stops
// where it should is held by its own tests.
func readCapture(t *testing.T, name string, yield func(*parse.Frame)) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, filepath.Base(name))
	if err != nil {
		return
	}
	defer r.Close()
	var f parse.Frame
	for r.Next(&f) == nil {
		yield(&f)
	}
}

// compare returns in how many frames of a capture an engine differs from Direct, by field: "error" where Direct finds
// the frame whole and the engine an error, "Layers" and so on where both find it whole, "counters.TCP" and so on for
// what the engine's counter has more than Direct's over all frames.
func compare(t *testing.T, name string, e parse.Engine) map[string]int {
	t.Helper()
	diffs := make(map[string]int)
	type pair struct{ direct, engine parse.Parser }
	parsers := make(map[parse.LinkType]pair)
	direct, engine := parse.NewPipeline(parse.DirectEngine()), parse.NewPipeline(e)
	n := 0
	readCapture(t, name, func(f *parse.Frame) {
		n++
		if err := errors.Join(direct.WriteFrame(f), engine.WriteFrame(f)); err != nil {
			t.Fatal(err)
		}
		two, ok := parsers[f.Link]
		if !ok {
			two.direct, _ = parse.DirectEngine().New(f.Link)
			two.engine, _ = e.New(f.Link)
			parsers[f.Link] = two
		}
		if two.direct == nil || two.engine == nil {
			return // the counters tell
		}
		var want, got parse.Packet
		if two.direct.Parse(f, &want) != nil || want.Truncated {
			return
		}
		fields := []string{"error"}
		if two.engine.Parse(f, &got) == nil {
			fields = diffFields(&want, &got)
		}
		for _, field := range fields {
			diffs[field]++
		}
		if len(fields) > 0 && showDifferences {
			t.Logf("frame %d: %v\n% x\ndirect %+v\nengine %+v", n, fields, f.Data, want, got)
		}
	})
	w, g := reflect.ValueOf(direct.Counters()), reflect.ValueOf(engine.Counters())
	for i := range w.NumField() {
		if d := int(g.Field(i).Uint()) - int(w.Field(i).Uint()); d != 0 {
			diffs["counters."+w.Type().Field(i).Name] = d
		}
	}
	return diffs
}

// showDifferences logs every frame that differs: for who edits the table.
var showDifferences = os.Getenv("PCAPLAB_SHOW_DIFFERENCES") != ""

func diffFields(want, got *parse.Packet) []string {
	var fields []string
	for _, field := range []struct {
		name   string
		differ bool
	}{
		{"Layers", want.Layers != got.Layers},
		{"Tuple", want.Tuple != got.Tuple},
		{"TTL", want.TTL != got.TTL},
		{"TCPFlags", want.TCPFlags != got.TCPFlags},
		{"HeaderLen", want.HeaderLen != got.HeaderLen},
		{"Payload", !bytes.Equal(want.Payload, got.Payload)},
		{"Truncated", want.Truncated != got.Truncated},
	} {
		if field.differ {
			fields = append(fields, field.name)
		}
	}
	return fields
}

// What the libraries do otherwise than Direct, and why.
const (
	vlanLength = "v1.1.19 takes an 802.3 length behind a VLAN tag for an EtherType that it does not know; the fork " +
		"decodes LLC"
	noSLL2    = "v1.1.19 has no decoder for Linux cooked captures of version 2"
	badFamily = "both refuse a loopback family above 255 (here the octets 0f 00 08 00); Direct takes what follows " +
		"for payload of an unknown family"
	jumbo = "v1.1.19 leaves the hop-by-hop header of a jumbogram in the payload of IPv6, and the parser of layers " +
		"takes it for TCP; NewPacket does not, and neither does the fork"
)

// corpusDifferences is complete: a difference that is not in it fails the test, and so does one that is no more.
var corpusDifferences = []struct {
	file    string
	engines string // patterns, parted by spaces
	diffs   string // field:count, in order
	cause   string
}{
	{"pcpp__VlanPackets.pcap", "gopacket-*", "HeaderLen:4 Layers:4 Payload:4 counters.LLC:-4", vlanLength},
	{"pcpp__example2.pcap", "gopacket-*", "HeaderLen:4 Layers:4 Payload:4 counters.LLC:-4", vlanLength},
	{"tcpdump__various_gre.pcap", "gopacket-*", "HeaderLen:21 Layers:21 Payload:21 counters.LLC:-21", vlanLength},
	{"pcpp__sll2.pcap", "gopacket-*", "counters.IPv4:-3 counters.SLL:-3 counters.TCP:-3 counters.Unsupported:3", noSLL2},
	{"pcpp__null_loopback.pcap", "*", "counters.Malformed:1 counters.Null:-1 error:1", badFamily},
	{"tcpdump__bigtcp-ipv6-hbh.pcap", "gopacket-layers", "counters.Malformed:1 counters.TCP:-1 error:1", jumbo},
}

// TestCorpus compares every engine with Direct on every capture of the corpus.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: no corpus to compare on")
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for row := range strings.Lines(string(manifest)) {
		file, _, _ := strings.Cut(row, "\t")
		files = append(files, file)
	}
	if files = files[1:]; len(files) == 0 {
		t.Fatal("manifest.tsv names no file")
	}
	type allowance struct{ diffs, cause string }
	allowed := make(map[string]allowance) // by file and engine
	for _, d := range corpusDifferences {
		if d.diffs == "" || d.cause == "" {
			t.Errorf("the table says nothing of %s and %s", d.file, d.engines)
		}
		n := 0
		for _, e := range engines() {
			if matches(t, d.engines, e.Name) {
				n++
				allowed[d.file+" "+e.Name] = allowance{d.diffs, d.cause}
			}
		}
		if n == 0 || !slices.Contains(files, d.file) {
			t.Errorf("the table names %s and %s: %d engines, or no such file", d.file, d.engines, n)
		}
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			for _, e := range engines() {
				diffs := compare(t, filepath.Join(dir, file), e)
				var got []string
				for _, field := range slices.Sorted(maps.Keys(diffs)) {
					got = append(got, fmt.Sprintf("%s:%d", field, diffs[field]))
				}
				want := allowed[file+" "+e.Name]
				if got := strings.Join(got, " "); got != want.diffs {
					t.Errorf("%s differs from direct in %q, the table has %q (%s)", e.Name, got, want.diffs, want.cause)
				}
			}
		})
	}
}
