package datasets

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

func corpusDir(t testing.TB) string {
	dir := os.Getenv("PCAPLAB_CORPUS")
	if dir == "" {
		t.Skip("PCAPLAB_CORPUS is not set: the captures with independent truth are not there")
	}
	return dir
}

// corpusRows returns the rows of manifest and oracle, joined by file.
func corpusRows(t testing.TB, dir string) []map[string]string {
	t.Helper()
	byFile := make(map[string]map[string]string)
	var rows []map[string]string
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
			row := byFile[cells[0]]
			if row == nil {
				row = make(map[string]string)
				byFile[cells[0]] = row
				rows = append(rows, row)
			}
			for i, c := range cells {
				if _, ok := row[columns[i]]; !ok {
					row[columns[i]] = c
				}
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func TestInspectCorpus(t *testing.T) {
	dir := corpusDir(t)
	for _, row := range corpusRows(t, dir) {
		t.Run(row["file"], func(t *testing.T) {
			cfg := InspectConfig{OpenConfig: OpenConfig{Hash: true}}
			in, err := Inspect(context.Background(), filepath.Join(dir, row["file"]), cfg)
			if (err != nil) != (in.Error != nil) {
				t.Fatalf("error %v, but the info has %v", err, in.Error)
			}
			if expect := row["expect"]; (expect == "ok") != (err == nil) && expect != "either" {
				t.Errorf("error %v, the manifest has %s", err, expect)
			}
			n := func(column string) uint64 {
				v, err := strconv.ParseUint(row[column], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			var back uint64
			if in.Times != nil {
				back = in.Times.BackSteps
			}
			for column, got := range map[string]uint64{
				"packets": in.Packets, "cap_bytes": in.Octets, "wire_bytes": in.WireOctets, "cut_packets": in.Cut,
				"back_steps": back,
			} {
				if got != n(column) {
					t.Errorf("%s is %d, want %s", column, got, row[column])
				}
			}
			if in.Protocols.Frames != in.Packets || in.Protocols.Octets != in.Octets {
				t.Errorf("the pipeline saw %d frames of %d octets, want %d of %d",
					in.Protocols.Frames, in.Protocols.Octets, in.Packets, in.Octets)
			}
			if in.Sizes != nil {
				var sum uint64
				for _, b := range in.Sizes.Buckets {
					sum += b.Packets
				}
				if sum != in.Packets || in.Sizes.MaxCap != n("max_caplen") {
					t.Errorf("bins hold %d packets, max captured %d; want %d, %s", sum, in.Sizes.MaxCap, in.Packets, row["max_caplen"])
				}
			}
			if in.Capture.Container != "" { // opened
				if in.SHA256 != row["sha256"] || strconv.FormatInt(in.StoredOctets, 10) != row["bytes"] {
					t.Errorf("SHA-256 %s of %d octets, want %s of %s", in.SHA256, in.StoredOctets, row["sha256"], row["bytes"])
				}
			}
			if row["linktypes"] == "1" && err == nil && in.Protocols.Malformed == 0 {
				ports := make(map[uint16]uint64)
				for _, p := range in.Ports {
					ports[p.Port] = p.Packets
				}
				for _, port := range []uint16{22, 23, 53, 67, 80, 123, 443, 502, 1883, 1900, 5353, 5683} {
					if column := fmt.Sprintf("oport_%d", port); ports[port] != n(column) {
						t.Errorf("%s is %d, want %s", column, ports[port], row[column])
					}
				}
			}
			var out bytes.Buffer
			if err := in.WriteText(&out); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), row["file"]) || in.Error != nil && !strings.Contains(out.String(), *in.Error) {
				t.Errorf("text:\n%s", out.String())
			}
			object, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			var back2 struct {
				File    string
				Packets uint64
				Octets  uint64
				Error   *string
			}
			if err := json.Unmarshal(object, &back2); err != nil || back2.Packets != in.Packets || back2.Octets != in.Octets ||
				!strings.HasSuffix(back2.File, row["file"]) || (back2.Error == nil) != (in.Error == nil) {
				t.Errorf("JSON %s: %v", object, err)
			}
		})
	}
}

func TestLoadCorpus(t *testing.T) {
	dir := corpusDir(t)
	for _, row := range corpusRows(t, dir) {
		if row["expect"] == "ok" {
			t.Run(row["file"], func(t *testing.T) { loadRow(t, filepath.Join(dir, row["file"]), row) })
		}
	}
}

func loadRow(t *testing.T, path string, row map[string]string) {
	frames, facts, err := Load(context.Background(), []string{path}, LoadConfig{
		OpenConfig: OpenConfig{Hash: true}, MemoryLimit: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	if len(facts) != 1 || facts[0].SHA256 != row["sha256"] || facts[0].Partial {
		t.Fatalf("facts %+v", facts)
	}
	if strconv.Itoa(frames.Len()) != row["packets"] || strconv.FormatUint(frames.Octets(), 10) != row["cap_bytes"] ||
		strconv.FormatUint(frames.WireOctets(), 10) != row["wire_bytes"] {
		t.Errorf("%d frames, %d octets, %d on the wire; want %s, %s, %s", frames.Len(), frames.Octets(),
			frames.WireOctets(), row["packets"], row["cap_bytes"], row["wire_bytes"])
	}
	c, err := Open(path, OpenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got, want parse.Frame
	for i := range frames.Len() {
		if err := c.Next(&want); err != nil {
			t.Fatal(err)
		}
		if frames.Frame(i, &got); got.UnixNano != want.UnixNano || got.WireLen != want.WireLen || got.Link != want.Link ||
			!bytes.Equal(got.Data, want.Data) {
			t.Fatalf("frame %d is %+v, want %+v", i+1, got, want)
		}
	}
}

// capture writes n frames of 100 octets, one a second except for one step back by 0.5 s, and returns the path.
func capture(t testing.TB, name string, n int) string {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, pcapio.WriterConfig{Nano: true})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 100)
	for i := range n {
		data[0] = byte(i)
		f := parse.Frame{UnixNano: 1_700_000_000_000_000_000 + int64(i)*1e9, Data: data, WireLen: 100,
			Link: parse.LinkEthernet}
		if i == 3 {
			f.UnixNano -= 1.5e9
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadSeveralInOrder(t *testing.T) {
	a, b := capture(t, "a.pcap", 5), capture(t, "b.pcap", 3)
	content, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	var done, total int64
	frames, facts, err := Load(context.Background(), []string{b, "-"}, LoadConfig{
		OpenConfig: OpenConfig{Stdin: bytes.NewReader(content), Hash: true},
		Progress:   func(d, to int64) { done, total = d, to },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	var marks []byte
	var f parse.Frame
	for i := range frames.Len() {
		frames.Frame(i, &f)
		marks = append(marks, f.Data[0])
	}
	if !bytes.Equal(marks, []byte{0, 1, 2, 0, 1, 2, 3, 4}) {
		t.Errorf("frames %v", marks)
	}
	digest := sha256.Sum256(content)
	if len(facts) != 2 || facts[0].File != b || facts[1].File != "-" || facts[1].Packets != 5 || facts[1].Octets != 500 ||
		facts[1].SHA256 != hex.EncodeToString(digest[:]) {
		t.Errorf("facts %+v", facts)
	}
	if want := int64(24 + 3*116 + len(content)); done != want || total != -1 {
		t.Errorf("progress ended at %d of %d, want %d of -1", done, total, want)
	}
}

func TestLoadStopsAfterPackets(t *testing.T) {
	a, b := capture(t, "a.pcap", 50), capture(t, "b.pcap", 30)
	for _, tt := range []struct {
		packets uint64
		want    int
		partial []bool
	}{{0, 80, []bool{false, false}}, {10, 10, []bool{true}}, {50, 50, []bool{true}}, {60, 60, []bool{false, true}}} {
		t.Run(strconv.FormatUint(tt.packets, 10), func(t *testing.T) {
			frames, facts, err := Load(context.Background(), []string{a, b}, LoadConfig{
				Packets: tt.packets, MemoryLimit: 1 << 20, OpenConfig: OpenConfig{Hash: true}})
			if err != nil {
				t.Fatal(err)
			}
			defer frames.Close()
			var partial []bool
			for _, f := range facts {
				partial = append(partial, f.Partial)
				if len(f.SHA256) != 64 {
					t.Errorf("SHA-256 %q of a regular file", f.SHA256)
				}
			}
			if frames.Len() != tt.want || fmt.Sprint(partial) != fmt.Sprint(tt.partial) {
				t.Errorf("%d frames, partial %v; want %d, %v", frames.Len(), partial, tt.want, tt.partial)
			}
		})
	}
}

func TestLoadRefusals(t *testing.T) {
	big, small := capture(t, "big.pcap", 2000), capture(t, "small.pcap", 10)
	content, err := os.ReadFile(big)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(cut, content[:1000], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		paths []string
		cfg   LoadConfig
		is    error
		want  []string
	}{
		{"too large, known before", []string{big}, LoadConfig{MemoryLimit: 100e3}, ErrMemory,
			[]string{big, "232.02 kB", "100.00 kB", "--memory-limit", "--packets"}},
		{"too large, found while reading", []string{"-"}, LoadConfig{MemoryLimit: 100e3}, ErrMemory,
			[]string{"standard input", "after its frame 805", "--memory-limit"}},
		{"the second is too much", []string{small, big}, LoadConfig{MemoryLimit: 240e3}, ErrMemory, []string{big, "% of it"}},
		{"damaged", []string{cut}, LoadConfig{}, pcapio.ErrTruncated, []string{"record 9 at offset 952", "--salvage"}},
		{"directory", []string{t.TempDir()}, LoadConfig{}, ErrDirectory, []string{"directory"}},
		{"not there", []string{small, filepath.Join(t.TempDir(), "no.pcap")}, LoadConfig{}, os.ErrNotExist,
			[]string{"no.pcap"}},
		{"none", nil, LoadConfig{}, nil, []string{"no captures"}},
		{"negative limit", []string{small}, LoadConfig{MemoryLimit: -1}, nil, []string{"memory limit of -1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Stdin = bytes.NewReader(content)
			frames, _, err := Load(context.Background(), tt.paths, tt.cfg)
			if err == nil || frames != nil {
				t.Fatalf("loaded %v, %v", frames, err)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %q is not %v", err, tt.is)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
	t.Run("damaged but salvaged", func(t *testing.T) {
		frames, facts, err := Load(context.Background(), []string{cut}, LoadConfig{OpenConfig: OpenConfig{Salvage: true}})
		if err != nil {
			t.Fatal(err)
		}
		defer frames.Close()
		if frames.Len() != 8 || len(facts[0].Losses) != 1 || facts[0].LostOctets != 48 {
			t.Errorf("%d frames, facts %+v", frames.Len(), facts)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := Load(ctx, []string{small}, LoadConfig{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Load: %v", err)
		}
		if _, err := Inspect(ctx, small, InspectConfig{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Inspect: %v", err)
		}
	})
}

func TestOpenPipe(t *testing.T) {
	content, err := os.ReadFile(capture(t, "a.pcap", 5))
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error)
	go func() {
		_, err := w.Write(content)
		done <- errors.Join(err, w.Close())
	}()
	c, err := Open("-", OpenConfig{Stdin: r, Hash: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if size, known := c.Size(); known || c.Name() != "standard input" {
		t.Errorf("%s has size %d", c.Name(), size)
	}
	var f parse.Frame
	for range 5 {
		if err := c.Next(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Next(&f); err != io.EOF {
		t.Errorf("after the last frame: %v", err)
	}
	digest := sha256.Sum256(content)
	if got, err := c.SHA256(); got != hex.EncodeToString(digest[:]) {
		t.Errorf("SHA-256 %s, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.StoredOctets() != int64(len(content)) {
		t.Errorf("%d octets read, want %d", c.StoredOctets(), len(content))
	}
}

func TestInspectNumbers(t *testing.T) {
	in, err := Inspect(context.Background(), capture(t, "a.pcap", 5), InspectConfig{})
	if err != nil {
		t.Fatal(err)
	}
	const start = 1_700_000_000_000_000_000
	want := Times{First: start, Last: start + 4e9, Min: start, Max: start + 4e9, BackSteps: 1, LargestBackStep: 5e8,
		Busiest: Second{Unix: 1_700_000_001, Packets: 2, WireOctets: 200}}
	if *in.Times != want {
		t.Errorf("times %+v, want %+v", *in.Times, want)
	}
	if in.PacketRate() != 1.25 || in.BitRate() != 1000 || in.Times.Duration() != 4 {
		t.Errorf("%v pps, %v bit/s over %v s; want 1.25, 1000, 4", in.PacketRate(), in.BitRate(), in.Times.Duration())
	}
	if in.SHA256 != "" {
		t.Error("hashed without being asked")
	}
	if in.Sizes.Buckets[1] != (SizeBin{From: 65, To: 128, Packets: 5}) {
		t.Errorf("bins %+v", in.Sizes.Buckets)
	}
	var out bytes.Buffer
	if err := in.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"Container          pcap 2.4, little-endian",
		"Interface          link type 1 (Ethernet), snaplen 262,144, times in 1 ns, 5 packets",
		"Mean rate          1.25 pps, 1 kbit/s",
		"Time order         1 step backwards, the largest 0.500000000 s",
		"  65 - 128                          5  100.00%",
	} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

// TestExplainOnce tells the way out of damage once, and of nothing else.
func TestExplainOnce(t *testing.T) {
	damage := &pcapio.FormatError{Name: "x", Packet: 7, Err: pcapio.ErrDamaged}
	for err, want := range map[error]int{damage: 1, fmt.Errorf("y: %w", damage): 1, &pcapio.FormatError{Name: "x", Err: pcapio.ErrUnknown}: 0, io.ErrUnexpectedEOF: 0} {
		got := Explain(fmt.Errorf("%w; behind", Explain(err)))
		if !errors.Is(got, err) || strings.Count(got.Error(), "--salvage keeps") != want {
			t.Errorf("%v", got)
		}
	}
}

func TestMemoryLimitDefault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	const meminfo = "MemTotal:        948304 kB\nMemFree:          61000 kB\nMemAvailable:     700000 kB\n"
	if err := os.WriteFile(path, []byte(meminfo), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := defaultMemoryLimit(path); got != 350000<<10 {
		t.Errorf("%d octets of 700000 kB available, want half", got)
	}
	if got := defaultMemoryLimit(path + ".missing"); got != 1<<30 && got != 512<<20 {
		t.Errorf("%d octets without meminfo", got)
	}
}

func TestTextOfNumbers(t *testing.T) {
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := FormatCount(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for v, want := range map[float64]string{1.5: "1.5 ", 1000: "1 k", 2.5e6: "2.5 M", 1.2345e10: "12.35 G"} {
		if got := scaled(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestLoadStaysOutsideTheHeap(t *testing.T) {
	path := capture(t, "big.pcap", 200_000)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	frames, _, err := Load(context.Background(), []string{path}, LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer frames.Close()
	if after := heap(); after > before+4<<20 || frames.Octets() != 20e6 {
		t.Errorf("%d octets of frames added %d to the heap", frames.Octets(), int64(after)-int64(before))
	}
}
