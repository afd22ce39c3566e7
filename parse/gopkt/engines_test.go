package gopkt_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/datasets/arena"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
)

func TestEngineNames(t *testing.T) {
	var names []string
	for _, e := range engines() {
		names = append(names, e.Name)
		if e.Doc == "" || strings.Contains(e.Doc, "\n") {
			t.Errorf("%s: doc %q, want one line", e.Name, e.Doc)
		}
	}
	const want = "gopacket-eager gopacket-lazy gopacket-nocopy gopacket-lazy-nocopy gopacket-layers " +
		"fork-gopacket-eager fork-gopacket-lazy fork-gopacket-nocopy fork-gopacket-lazy-nocopy fork-gopacket-layers"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("engines %s, want %s", got, want)
	}
}

// TestForkIsGenerated fails when a file of package fork is not what go generate would write.
func TestForkIsGenerated(t *testing.T) {
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command to run the generator with")
	}
	dir := t.TempDir()
	cmd := exec.Command(tool, "run", "gen.go", "-o", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go run gen.go: %v\n%s", err, out)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files generated: %v", len(files), err)
	}
	generated := make(map[string]bool)
	for _, file := range files {
		generated[file.Name()] = true
		want, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("fork", file.Name()))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("fork/%s is stale (%v): run go generate ./parse/gopkt", file.Name(), err)
		}
	}
	files, err = os.ReadDir("fork")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := file.Name(); !generated[name] && name != "version.go" {
			t.Errorf("fork/%s is written by hand: only version.go is", name)
		}
	}
}

// TestNestingIsBounded holds that a frame of nothing but tags is parsed in time that grows with its length.
func TestNestingIsBounded(t *testing.T) {
	data := eth(0x8100, bytes.Repeat([]byte{0, 1, 0x81, 0}, 16000))
	f := parse.Frame{Data: data, WireLen: len(data), Link: parse.LinkEthernet}
	for _, e := range engines() {
		p, err := e.New(parse.LinkEthernet)
		if err != nil {
			t.Fatal(err)
		}
		var pkt parse.Packet
		if err := p.Parse(&f, &pkt); !errors.Is(err, parse.ErrMalformed) || !pkt.Layers.Has(parse.LayerVLAN) {
			t.Errorf("%s: %v, layers %b", e.Name, err, pkt.Layers)
		}
	}
}

// FuzzAgainstDirect parses arbitrary octets with every engine. None may panic. Where Direct finds a whole TCP or UDP
// packet in IPv4 and the engine finds one too, they agree in all fields; the engine must find one as well, save for
// what the libraries refuse: malformed options (NewPacket: of IPv4; layers: of TCP too).
func FuzzAgainstDirect(f *testing.F) {
	for _, tt := range frameTests {
		f.Add(uint16(tt.link), tt.data)
	}
	type two struct {
		name   string
		parser parse.Parser
	}
	parsers := make(map[parse.LinkType][]two)
	f.Fuzz(func(t *testing.T, link uint16, data []byte) {
		frame := parse.Frame{Data: data, WireLen: len(data), Link: parse.LinkType(link)}
		direct, err := parse.DirectEngine().New(frame.Link)
		if err != nil {
			return
		}
		var want parse.Packet
		wantErr := direct.Parse(&frame, &want)
		if _, ok := parsers[frame.Link]; !ok {
			var all []two
			for _, e := range engines() {
				if p, err := e.New(frame.Link); err == nil {
					all = append(all, two{e.Name, p})
				}
			}
			parsers[frame.Link] = all
		}
		for _, e := range parsers[frame.Link] {
			var got parse.Packet
			gotErr := e.parser.Parse(&frame, &got)
			if gotErr != nil && !errors.Is(gotErr, parse.ErrMalformed) {
				t.Fatalf("%s: %v", e.name, gotErr)
			}
			if wantErr != nil || !plain(want.Layers) {
				continue
			}
			if gotErr != nil {
				if want.HeaderLen == bareHeader(&want) { // no options to refuse
					t.Fatalf("%s: %v, direct finds %+v", e.name, gotErr, want)
				}
				continue
			}
			if fields := diffFields(&want, &got); len(fields) > 0 {
				t.Fatalf("%s: %v differ:\ngot    %+v\ndirect %+v", e.name, fields, got, want)
			}
		}
	})
}

// plain reports whether l is TCP or UDP in IPv4 right behind Ethernet. What is behind other link layers and in IPv6
// the libraries read differently in ways that TestCorpus lists.
func plain(l parse.Layers) bool { return l == eth4|parse.LayerTCP || l == eth4|parse.LayerUDP }

func bareHeader(p *parse.Packet) int {
	if p.Layers.Has(parse.LayerTCP) {
		return 14 + 20 + 20
	}
	return 14 + 20 + 8
}

// benchmarkEngines measures every engine, Direct first, on the same frames; an operation is one frame.
func benchmarkEngines(b *testing.B, frames *arena.Frames) {
	for _, e := range append([]parse.Engine{parse.DirectEngine()}, engines()...) {
		b.Run(e.Name, func(b *testing.B) {
			p, err := e.New(parse.LinkEthernet)
			if err != nil {
				b.Fatal(err)
			}
			var (
				f   parse.Frame
				pkt parse.Packet
			)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				frames.Frame(i, &f)
				_ = p.Parse(&f, &pkt)
				if i++; i == frames.Len() {
					i = 0
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/packet")
		})
	}
}

func buildFrames(b *testing.B, n int) *arena.Frames {
	b.Helper()
	frames, err := synth.Build(context.Background(), "iot-1", 1, n, 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { frames.Close() })
	return frames
}

// BenchmarkEngines measures on 1000 frames of the default mix, 0.4 MB: they stay in a second-level cache of 1 MiB.
func BenchmarkEngines(b *testing.B) { benchmarkEngines(b, buildFrames(b, 1000)) }

// BenchmarkEnginesCold measures on frames of the default mix that fill 150 MB, four times a last-level cache of 32
// MiB and more. It runs where PCAPLAB_BENCH_COLD is set.
func BenchmarkEnginesCold(b *testing.B) {
	if os.Getenv("PCAPLAB_BENCH_COLD") == "" {
		b.Skip("PCAPLAB_BENCH_COLD is not set: it takes 150 MB")
	}
	frames := buildFrames(b, 370_000)
	if frames.Octets() < 128<<20 {
		b.Fatalf("%d octets of frames, too few for a cold cache", frames.Octets())
	}
	benchmarkEngines(b, frames)
}
