package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/split"
)

// captureOf returns a capture of synthetic frames as it would be in a file.
func captureOf(t *testing.T, frames int, cfg pcapio.WriterConfig, change func(i int, f *parse.Frame)) []byte {
	t.Helper()
	src, err := synth.New("iot-1", 3)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := pcapio.NewWriter(&b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for i := range frames {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(i, &f)
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// framesOf reads a capture.
func framesOf(t *testing.T, capture []byte) (frames []parse.Frame, facts pcapio.Facts) {
	t.Helper()
	r, err := pcapio.NewReader(bytes.NewReader(capture), "written")
	if err != nil {
		t.Fatal(err)
	}
	for {
		var f parse.Frame
		if err := r.Next(&f); err == io.EOF {
			return frames, r.Facts()
		} else if err != nil {
			t.Fatal(err)
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRewriteMakesTheEditsOfThePackage(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 500, pcapio.WriterConfig{Nano: true}, nil)
	in, _ := framesOf(t, raw)
	out := filepath.Join(dir, "out.pcap")
	_, stderr := run(t, ExitDone, "rewrite", "--pnat", "192.168.0.0/16:10.77.0.0/16", "--ttl=-1", "-r", "80:8080", "-r", "443:4443", "-C",
		"--enet-vlan=add", "--enet-vlan-tag", "7", "--tos", "0x10", write(t, filepath.Join(dir, "in.pcap"), raw), out)
	if !strings.Contains(stderr, "of 500 frames edited") {
		t.Errorf("said %q", stderr)
	}
	tos := 16
	ed, err := rewrite.NewEditor(rewrite.Edits{PNAT: []string{"192.168.0.0/16:10.77.0.0/16"}, TTL: "-1", PortMap: "80:8080,443:4443", FixCsum: true, VLAN: "add",
		VLANTag: 7, TOS: &tos})
	if err != nil {
		t.Fatal(err)
	}
	got, facts := framesOf(t, read(t, out))
	if len(got) != len(in) || facts.Container != pcapio.Pcap || facts.Interfaces[0].Resolution != 9 {
		t.Fatalf("%d frames of %d, %+v", len(got), len(in), facts)
	}
	for i := range in {
		var want parse.Frame
		ed.Edit(&in[i], &want, false)
		if !reflect.DeepEqual(got[i], want) {
			t.Fatalf("frame %d: %+v, want %+v", i+1, got[i], want)
		}
	}
}

func TestRewriteFormats(t *testing.T) {
	dir := t.TempDir()
	micro := captureOf(t, 40, pcapio.WriterConfig{}, func(_ int, f *parse.Frame) { f.UnixNano = f.UnixNano / 1000 * 1000 })
	nano := captureOf(t, 40, pcapio.WriterConfig{Nano: true}, nil)
	null := captureOf(t, 40, pcapio.WriterConfig{LinkNull: true}, func(_ int, f *parse.Frame) {
		f.Data, f.Link = append([]byte{2, 0, 0, 0}, f.Data[14:]...), parse.LinkNull
		f.WireLen = len(f.Data)
	})
	mixed := captureOf(t, 40, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true}, func(i int, f *parse.Frame) {
		if i%3 == 0 {
			f.Data, f.WireLen, f.Link = f.Data[14:], f.WireLen-14, parse.LinkRaw
		}
	})
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(nano); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		in         []byte
		args       []string
		container  string
		resolution pcapio.Resolution
	}{
		{"microseconds stay", micro, nil, pcapio.Pcap, 6},
		{"nanoseconds stay", nano, nil, pcapio.Pcap, 9},
		{"gzip", zipped.Bytes(), nil, pcapio.Pcap, 9},
		{"link type 0 stays", null, nil, pcapio.Pcap, 6},
		{"pcapng of two link types", mixed, nil, pcapio.PcapNG, 9},
		{"pcap to pcapng", micro, []string{"--format", "pcapng"}, pcapio.PcapNG, 9},
		{"pcapng of one link type to pcap", captureOf(t, 40, pcapio.WriterConfig{Container: pcapio.PcapNG, Nano: true}, nil), []string{"--format=pcap"}, pcapio.Pcap, 9},
		{"no frames", captureOf(t, 0, pcapio.WriterConfig{Link: parse.LinkRaw}, nil), nil, pcapio.Pcap, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain := tt.in
			if tt.name == "gzip" {
				plain = nano
			}
			want, before := framesOf(t, plain)
			check := func(capture []byte) {
				t.Helper()
				got, facts := framesOf(t, capture)
				if facts.Container != tt.container || facts.Compression != "none" || len(got) != len(want) {
					t.Fatalf("%d frames, %+v", len(got), facts)
				}
				for i := range got {
					if !reflect.DeepEqual(got[i], want[i]) {
						t.Fatalf("frame %d: %+v, want %+v", i+1, got[i], want[i])
					}
				}
				for i := range facts.Interfaces {
					if facts.Interfaces[i].Resolution != tt.resolution || facts.Interfaces[i].Link != before.Interfaces[i].Link {
						t.Errorf("interface %+v", facts.Interfaces[i])
					}
				}
			}
			in, out := write(t, filepath.Join(dir, "in"), tt.in), filepath.Join(dir, "out")
			run(t, ExitDone, append([]string{"rewrite", in, out}, tt.args...)...)
			check(read(t, out))
			code, stdout, stderr := runIn(context.Background(), bytes.NewReader(tt.in), append([]string{"rewrite", "-", "-"}, tt.args...)...)
			if code != ExitDone {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			check([]byte(stdout))
			run(t, ExitDone, append([]string{"rewrite", in, in}, tt.args...)...) // onto itself
			check(read(t, in))
		})
	}
}

func TestRewriteConverts(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 30, pcapio.WriterConfig{Container: pcapio.PcapNG}, func(i int, f *parse.Frame) {
		switch {
		case i == 20: // nothing that Ethernet can carry
			f.Data, f.WireLen, f.Link = []byte{0x10, 1, 2, 3}, 4, parse.LinkRaw
		case i%2 == 0 && f.Data[12] == 8 && f.Data[13] == 0:
			f.Data, f.WireLen, f.Link = f.Data[14:], f.WireLen-14, parse.LinkRaw
		}
	})
	in, out := write(t, filepath.Join(dir, "in"), raw), filepath.Join(dir, "out")
	args := []string{"rewrite", "--dlt", "enet", "--enet-dmac", "02:00:00:00:00:02", "--format", "pcap", in, out}
	_, stderr := run(t, ExitFailed, args...)
	if !strings.Contains(stderr, "frame 1: link type 101: --dlt=enet needs --enet-dmac and, but for cooked frames, --enet-smac") {
		t.Errorf("said %q", stderr)
	}
	args = append(args, "--enet-smac", "02:00:00:00:00:01")
	_, stderr = run(t, ExitFailed, args...)
	if !strings.Contains(stderr, "frame 21 cannot become an Ethernet frame (wrong link): --skip-soft-errors") {
		t.Errorf("said %q", stderr)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	stdout, _ := run(t, ExitDone, append(args, "--skip-soft-errors", "--json")...)
	var rep rewritten
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil || rep.Frames != 30 || rep.Deleted != 1 || rep.Container != pcapio.Pcap || rep.Error != nil || rep.In != in || rep.Out != out {
		t.Errorf("%v: %s", err, stdout)
	}
	frames, facts := framesOf(t, read(t, out))
	if len(frames) != 29 || facts.Interfaces[0].Link != parse.LinkEthernet {
		t.Errorf("%d frames, %+v", len(frames), facts)
	}
	_, stderr = run(t, ExitFailed, "rewrite", "--enet-vlan=del", in, out)
	if !strings.Contains(stderr, "link type 101 has no Ethernet header for --enet-vlan") {
		t.Errorf("said %q", stderr)
	}
}

func TestRewriteTakesSidesFromACacheFile(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 30, pcapio.WriterConfig{}, nil))
	cacheOf := func(n int) string {
		c, err := split.NewCache("")
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			side := split.Client
			if i%3 == 0 {
				side = split.Server
			}
			c.Append(side, i != 7)
		}
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		return write(t, filepath.Join(dir, "cache"), b.Bytes())
	}
	out := filepath.Join(dir, "out")
	args := []string{"rewrite", "--enet-dmac", "02:00:00:00:00:0a,02:00:00:00:00:0b", in, out, "-c"}
	if _, stderr := run(t, ExitDone, append(args, cacheOf(30))...); !strings.Contains(stderr, "1 frames that "+filepath.Join(dir, "cache")+" excludes are as they were") {
		t.Errorf("said %q", stderr)
	}
	frames, _ := framesOf(t, read(t, out))
	before, _ := framesOf(t, read(t, in))
	for i, f := range frames {
		if i == 7 {
			if !bytes.Equal(f.Data, before[i].Data) {
				t.Errorf("frame 8 is not to be sent, but became % x", f.Data)
			}
		} else if want := byte(0xa + (2-i%3)/2); f.Data[5] != want {
			t.Errorf("frame %d goes to ...:%02x, want %02x", i+1, f.Data[5], want)
		}
	}
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{29, 31} {
		if _, stderr := run(t, ExitFailed, append(args, cacheOf(n))...); !strings.Contains(stderr, "is of another capture") {
			t.Errorf("%d packets: said %q", n, stderr)
		}
	}
	if _, stderr := run(t, ExitFailed, append(args, in)...); !strings.Contains(stderr, in) {
		t.Errorf("no cache file: said %q", stderr)
	}
	if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
}

// TestRewriteKeepsNanoseconds converts a pcapng whose second interface is finer than the first.
func TestRewriteKeepsNanoseconds(t *testing.T) {
	le := binary.LittleEndian
	block := func(kind uint32, body []byte) []byte {
		b := le.AppendUint32(le.AppendUint32(nil, kind), uint32(len(body)+12))
		return le.AppendUint32(append(b, body...), uint32(len(body)+12))
	}
	described := func(resolution byte) []byte {
		return block(1, []byte{1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, resolution, 0, 0, 0, 0, 0, 0, 0})
	}
	packet := func(number uint32, stamp uint64) []byte {
		b := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, number), uint32(stamp>>32)), uint32(stamp))
		return block(6, append(le.AppendUint32(le.AppendUint32(b, 60), 60), make([]byte, 60)...))
	}
	capture := slices.Concat(block(0x0a0d0d0a, []byte{0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}), described(6), described(9),
		packet(0, 1_700_000_000_000_001), packet(1, 1_700_000_000_000_001_234))
	dir := t.TempDir()
	in, out := write(t, filepath.Join(dir, "in"), capture), filepath.Join(dir, "out")
	run(t, ExitDone, "rewrite", "--format", "pcap", in, out)
	frames, _ := framesOf(t, read(t, out))
	if len(frames) != 2 || frames[0].UnixNano != 1_700_000_000_000_001_000 || frames[1].UnixNano != 1_700_000_000_000_001_234 {
		t.Errorf("%+v", frames)
	}
}

// TestRewriteConvertsWhatIsNotSent holds that frames that the cache file excludes get the link header of OUT, and no other edit.
func TestRewriteConvertsWhatIsNotSent(t *testing.T) {
	dir := t.TempDir()
	in := write(t, filepath.Join(dir, "in"), captureOf(t, 4, pcapio.WriterConfig{Link: parse.LinkRaw}, func(_ int, f *parse.Frame) {
		f.Data = append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}, make([]byte, 8)...)
		f.WireLen, f.Link = len(f.Data), parse.LinkRaw
	}))
	c, err := split.NewCache("")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		c.Append(split.Client, i != 2)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	stdout, _ := run(t, ExitDone, "rewrite", "--dlt=enet", "--enet-dmac", "02:00:00:00:00:02", "--enet-smac", "02:00:00:00:00:01", "--ttl=9", "--json",
		"-c", write(t, filepath.Join(dir, "cache"), b.Bytes()), in, out)
	var rep rewritten
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil || rep.NotSent != 1 || rep.Frames != 3 || rep.Edited != 3 {
		t.Errorf("%v: %s", err, stdout)
	}
	frames, _ := framesOf(t, read(t, out))
	for i, f := range frames {
		if ttl := f.Data[22]; len(frames) != 4 || f.Link != parse.LinkEthernet || f.Data[5] != 2 || (ttl == 64) != (i == 2) {
			t.Errorf("frame %d of %d: % x", i+1, len(frames), f.Data)
		}
	}
}

func TestRewriteKeepsWhatComesBeforeDamage(t *testing.T) {
	dir := t.TempDir()
	raw := captureOf(t, 30, pcapio.WriterConfig{}, nil)
	in, out := write(t, filepath.Join(dir, "in"), raw[:len(raw)-5]), filepath.Join(dir, "out")
	stdout, stderr := run(t, ExitFailed, "rewrite", "--ttl", "9", "--json", in, out)
	if !strings.Contains(stderr, "the 29 frames before it are in "+out) {
		t.Errorf("said %q", stderr)
	}
	var rep rewritten
	if err := json.Unmarshal([]byte(stdout), &rep); err != nil || rep.Frames != 29 || rep.Error == nil || !strings.Contains(*rep.Error, "the 29 frames") {
		t.Errorf("%v: %s", err, stdout)
	}
	if frames, _ := framesOf(t, read(t, out)); len(frames) != 29 {
		t.Errorf("%d frames", len(frames))
	}
	text := write(t, filepath.Join(dir, "text"), []byte("no capture at all, but some text"))
	run(t, ExitFailed, "rewrite", text, filepath.Join(dir, "none"))
	run(t, ExitFailed, "rewrite", filepath.Join(dir, "absent"), filepath.Join(dir, "none"))
	if _, err := os.Stat(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if code, _, _ := runIn(ctx, strings.NewReader(""), "rewrite", in, filepath.Join(dir, "none")); code != ExitInterrupted {
		t.Errorf("interrupted: exit code %d", code)
	}
}

func TestRewriteUsage(t *testing.T) {
	in := write(t, filepath.Join(t.TempDir(), "in"), captureOf(t, 3, pcapio.WriterConfig{}, nil))
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no files", nil, "want two files"},
		{"three files", []string{"a", "b", "c"}, "want two files"},
		{"report where the capture goes", []string{"--json", in, "-"}, "name a file for OUT"},
		{"format", []string{"--format", "erf", in, "out"}, "want pcap or pcapng"},
		{"synthetic traffic", []string{"synth:iot-1", "out"}, "write it with 'pcaplab synth' first"},
		{"all faults at once", []string{"--ttl", "x", "--pnat", "y", in, "out"}, "--ttl x: want 1 to 255"},
		{"seed 0", []string{"--randomize-ip", "0", in, "out"}, "want a number above 0"},
		{"TOS", []string{"--tos", "x", in, "out"}, "is not a number"},
		{"sides without a cache file", []string{"--endpoints", "1.1.1.1:2.2.2.2", "--enet-dmac", "02:00:00:00:00:01,02:00:00:00:00:02", in, "out"},
			"--enet-dmac, --endpoints: there is a value for each side"},
		{"TOS, octal or not", []string{"--tos", "0o10", in, "out"}, "is not a number"},
		{"a second map", []string{"--srcipmap", "1.1.1.1:2.2.2.2", "-S", "3.3.3.3:4.4.4.4", in, "out"}, "given twice: join the values by a comma"},
		{"nothing to skip", []string{"--skip-soft-errors", in, "out"}, "give an edit"},
		{"exclusive", []string{"--seed", "1", "--pnat", "1.1.1.1:2.2.2.2", in, "out"}, "exclude each other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, stderr := run(t, ExitUsage, append([]string{"rewrite"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
				t.Errorf("said %q, want %q", stderr, tt.want)
			}
		})
	}
}

// TestEditsAreTheirFlags holds that what is recorded can be given again.
func TestEditsAreTheirFlags(t *testing.T) {
	tos, class, label := 0, 5, 1<<20-1
	for _, e := range []rewrite.Edits{{}, {
		EFCS: true, DLT: "enet", FixLen: "pad", MTU: 900, MTUTrunc: true, VLAN: "add", VLANTag: 4095, VLANCFI: 1, VLANPri: 7, VLANProto: "802.1ad",
		DestMAC: "02:00:00:00:00:01,02:00:00:00:00:02", SourceMAC: "02:00:00:00:00:03", SubstituteMAC: []string{"02:00:00:00:00:01,02:00:00:00:00:02",
			"02:00:00:00:00:03,02:00:00:00:00:04"}, SkipL2Broadcast: true, PNAT: []string{"1.0.0.0/8:2.0.0.0/8,[::/0]:[fd00::/8]", "1.0.0.0/8:3.0.0.0/8"},
		SkipBroadcast: true, TTL: "-3", TOS: &tos, TClass: &class, FlowLabel: &label, PortMap: "80:81,1,2-9:3", TCPSequence: 1<<64 - 1, FuzzSeed: 2, FuzzFactor: 3,
		FixHdrLen: true, FixCsum: true, Sizes: "imix:1x64,1x128", SkipSoftErrors: true,
	}, {MACSeed: 4, MACKeep: 3, RandomizeIP: 5}, {SrcIPMap: "1.1.1.1:2.2.2.2", DstIPMap: "1.1.1.1:2.2.2.2"}, {Endpoints: "1.1.1.1:2.2.2.2,[::1]:[::2]"}} {
		var flags editFlags
		fs := pflag.NewFlagSet("edits", pflag.ContinueOnError)
		flags.add(fs, true)
		if err := fs.Parse(strings.Fields(e.String())); err != nil {
			t.Fatal(err)
		}
		got, err := flags.edits()
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%v: %q came back as %q", err, e, got)
		}
		var back rewrite.Edits
		j, err := json.Marshal(e)
		if err != nil || json.Unmarshal(j, &back) != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%v: %s came back as %+v", err, j, back)
		}
		kept := 0
		fs.VisitAll(func(f *pflag.Flag) {
			if f.Changed {
				kept++
			}
		})
		if n := len(slices.Compact(slices.Sorted(slices.Values(names(e))))); kept != n {
			t.Errorf("%d flags of %d", kept, n)
		}
	}
	var long editFlags
	fs := pflag.NewFlagSet("edits", pflag.ContinueOnError)
	long.add(fs, false)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Shorthand != "" {
			t.Errorf("--%s has a shorthand", f.Name)
		}
	})
}

// names returns the flags that an Edits is written with.
func names(e rewrite.Edits) []string {
	var list []string
	for _, field := range strings.Fields(e.String()) {
		name, _, _ := strings.Cut(field, "=")
		list = append(list, name)
	}
	return list
}

func TestMeasuringTakesEdits(t *testing.T) {
	args := append([]string{"trial", "--engines", "direct", "--json", "--ttl", "9", "--pnat", "0.0.0.0/0:9.0.0.0/8", "--fuzz-seed", "2"}, tiny...)
	stdout, stderr := run(t, ExitDone, append(args, "synth:iot-1:2000")...)
	if !strings.Contains(stderr, "edits: ") || !strings.Contains(stderr, "deleted") {
		t.Errorf("said %q", stderr)
	}
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if !strings.Contains(line, `"edits":{"pnat":["0.0.0.0/0:9.0.0.0/8"],"ttl":"9","fuzz_seed":2}`) {
			t.Errorf("record without the edits: %.300s", line)
		}
	}
	dir := t.TempDir()
	folder := filepath.Join(dir, "results")
	first, _ := run(t, ExitDone, ceilingArgs("--engines", "direct", "--ttl", "9", "--sizes", "64", "-o", folder, "synth:iot-1:500")...)
	if !strings.Contains(first, "edits --ttl=9") {
		t.Errorf("no edits in %q", first)
	}
	again, _ := run(t, ExitDone, "ceiling", "--resume", folder)
	if !strings.Contains(again, "edits --ttl=9") {
		t.Errorf("no edits in %q", again)
	}
	for _, change := range [][]string{{"--ttl", "9"}, {"--sizes", "1518"}} {
		_, stderr := run(t, ExitFailed, append(ceilingArgs("--engines", "direct", "--memory-limit", "200k", "--quiet", "-o", filepath.Join(dir, change[0])),
			append(change, "synth:iot-1:300")...)...)
		if !strings.Contains(stderr, "do not fit beside the captures") || !strings.Contains(stderr, "--packets N") || !strings.Contains(stderr, "200000 octets") {
			t.Errorf("%v: said %q", change, stderr)
		}
	}
	if _, stderr := run(t, ExitUsage, "ceiling", "--ttl", "0", "synth:iot-1"); !strings.Contains(stderr, "--ttl 0") {
		t.Errorf("said %q", stderr)
	}
	if _, stderr := run(t, ExitUsage, "trial", "--endpoints", "1.1.1.1:2.2.2.2", "synth:iot-1"); !strings.Contains(stderr, "--endpoints: there is a value for each side") {
		t.Errorf("said %q", stderr)
	}
	if _, stderr := run(t, ExitFailed, append([]string{"trial", "--engines", "direct", "--fuzz-seed", "1", "--enet-vlan=del", "--quiet"},
		write(t, filepath.Join(dir, "raw"), captureOf(t, 3, pcapio.WriterConfig{Link: parse.LinkRaw}, func(_ int, f *parse.Frame) { f.Link = parse.LinkRaw })))...); !strings.Contains(stderr, "edits: frame 1: link type 101 has no Ethernet header") {
		t.Errorf("said %q", stderr)
	}
}

func TestOutputIsWhatItsNameSays(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	if err := os.WriteFile(path("in.pcap"), captureOf(t, 40, pcapio.WriterConfig{}, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("in.pcapng"), captureOf(t, 40, pcapio.WriterConfig{Container: pcapio.PcapNG}, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ in, out, format, container, compression string }{
		{"in.pcap", "a.pcapng", "", pcapio.PcapNG, "none"}, {"in.pcapng", "b.pcap.gz", "", pcapio.Pcap, "gzip"}, {"in.pcap", "c.pcapng.zst", "", pcapio.PcapNG, "zstd"},
		{"in.pcapng", "d.cap", "", pcapio.PcapNG, "none"}, {"in.pcap", "e.gz", "", pcapio.Pcap, "gzip"}, {"in.pcap", "f.pcap", pcapio.PcapNG, pcapio.PcapNG, "none"},
	} {
		for _, command := range []string{"rewrite", "replay", "synth"} {
			args := []string{"rewrite", path(tt.in), path(tt.out)}
			if tt.format != "" {
				args = append(args, "--format", tt.format)
			}
			if command == "replay" {
				if tt.format != "" || tt.out == "d.cap" {
					continue
				}
				args = []string{"replay", "-t", "-w", path(tt.out), path(tt.in)}
			}
			if command == "synth" {
				if tt.format != "" || tt.out == "d.cap" {
					continue
				}
				args = []string{"synth", "syn-60", "--frames", "40", "-o", path(tt.out)}
			}
			run(t, ExitDone, args...)
			written, err := os.ReadFile(path(tt.out))
			if err != nil {
				t.Fatal(err)
			}
			if frames, facts := framesOf(t, written); len(frames) != 40 || facts.Container != tt.container || facts.Compression != tt.compression {
				t.Errorf("%s %s: %d frames, %s %s", command, tt.out, len(frames), facts.Container, facts.Compression)
			}
		}
	}
}
