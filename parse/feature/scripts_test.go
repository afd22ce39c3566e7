package feature_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// scripts runs the dataset authors' Feature_extraction.py.
type scripts struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	dir string
}

// job is a job of testdata/scripts_driver.py.
type job struct {
	Pcap  string `json:"pcap"`
	CSV   string `json:"csv"`
	Rows  int    `json:"rows"`
	Scapy bool   `json:"scapy"`
}

// startScripts starts the driver, or skips the test without the scripts, which are not part of this repository.
func startScripts(t *testing.T) *scripts {
	t.Helper()
	folder := os.Getenv("PCAPLAB_CIC_SCRIPTS")
	if folder == "" {
		t.Skip("PCAPLAB_CIC_SCRIPTS is unset: not the folder of the dataset authors' Feature_extraction.py")
	}
	python := pythonWith(t, "numpy", "pandas")
	if exec.Command(python, "-c", "import bottleneck").Run() == nil {
		t.Skip("pandas sums with bottleneck here, in another order")
	}
	cmd := exec.Command(python, filepath.Join("testdata", "scripts_driver.py"), folder)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &scripts{cmd, in, bufio.NewReader(out), t.TempDir()}
}

// run returns the CSV that the scripts make of a capture, or the exception that they end with.
func (s *scripts) run(t *testing.T, capture []byte, rows int, scapy bool) (csv []byte, exception string) {
	t.Helper()
	j := job{filepath.Join(s.dir, "capture.pcap"), filepath.Join(s.dir, "rows"), rows, scapy}
	if err := os.WriteFile(j.Pcap, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	line, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	line, err = s.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Error string }
	if err := json.Unmarshal(line, &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Error != "" {
		return nil, answer.Error
	}
	csv, err = os.ReadFile(j.CSV + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	return csv, ""
}

// container is a kind of classic pcap.
type container struct {
	order binary.ByteOrder
	nano  bool
	// snaplen stands in the file header; 0 means 262144. Frames are not cut to it.
	snaplen uint32
}

// timed is a frame with the time that the capture states.
type timed struct {
	sec, frac uint32
	data      []byte
}

// capture writes frames as a classic pcap.
func (c container) capture(frames []timed) []byte {
	magic := uint32(0xa1b2c3d4)
	if c.nano {
		magic = 0xa1b23c4d
	}
	b := make([]byte, 24)
	c.order.PutUint32(b, magic)
	c.order.PutUint16(b[4:], 2)
	c.order.PutUint16(b[6:], 4)
	if c.snaplen == 0 {
		c.snaplen = 262144
	}
	c.order.PutUint32(b[16:], c.snaplen)
	c.order.PutUint32(b[20:], 1)
	var head [16]byte
	for _, f := range frames {
		c.order.PutUint32(head[:], f.sec)
		c.order.PutUint32(head[4:], f.frac)
		c.order.PutUint32(head[8:], uint32(len(f.data)))
		c.order.PutUint32(head[12:], uint32(len(f.data)))
		b = append(append(b, head[:]...), f.data...)
	}
	return b
}

// clockOf returns how dpkt's readers make seconds of a classic pcap's times.
func clockOf(r *pcapio.Reader) feature.Clock {
	return feature.Clock{Decimal: r.Described().Resolution == 9}
}

// extracted is what an Extractor makes of a capture.
type extracted struct {
	csv     []byte
	rows    [][]byte // frames that gave rows, in order
	counts  feature.Counters
	endless int // windows without a time between the rows
}

func extract(t *testing.T, capture []byte, cfg feature.Config) extracted {
	t.Helper()
	r, err := pcapio.NewReader(bytes.NewReader(capture), "capture")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cfg.Clock = clockOf(r)
	x, err := feature.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e := extracted{csv: vectorio.AppendHeader(nil, false)}
	line := func() {
		if x.Vector().Values[feature.Rate] > 1e300 {
			e.endless++
		}
		e.csv = append(vectorio.AppendCSV(e.csv, x.Vector()), '\n')
	}
	var f parse.Frame
	for {
		if err := r.Next(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		before := x.Counters()[feature.MadeRow]
		closed := x.Add(&f, nil)
		if x.Counters()[feature.MadeRow] > before {
			e.rows = append(e.rows, bytes.Clone(f.Data))
		}
		if closed {
			line()
		}
	}
	if x.Flush() {
		line()
	}
	e.counts = x.Counters()
	return e
}

// sameCSV compares, and shows the first line and column that differ and the frames of that window.
func sameCSV(t *testing.T, got extracted, want []byte, rows int) {
	t.Helper()
	if bytes.Equal(got.csv, want) {
		return
	}
	a, b := strings.Split(string(got.csv), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		x, y := strings.Split(a[i], ","), strings.Split(b[i], ",")
		for column := range min(len(x), len(y), feature.NumColumns) {
			if x[column] != y[column] {
				t.Errorf("line %d, %s: %s, scripts %s", i+1, feature.Columns()[column], x[column], y[column])
			}
		}
		t.Errorf("line %d\n got %s\nwant %s", i+1, a[i], b[i])
		for n := max(i-1, 0) * rows; n < min(i*rows, len(got.rows)); n++ {
			t.Errorf("row %d: %s", n+1, hex.EncodeToString(got.rows[n]))
		}
		t.FailNow()
	}
	t.Fatalf("%d lines, scripts %d", len(a)-1, len(b)-1)
}

// compare runs both on a capture.
func (s *scripts) compare(t *testing.T, capture []byte, rows int, scapy bool) {
	t.Helper()
	want, exception := s.run(t, capture, rows, scapy)
	got := extract(t, capture, feature.Config{Span: feature.Span{Rows: rows}})
	switch {
	case exception == "":
		if got.counts[feature.Fault] > 0 {
			t.Fatalf("%d frames that the scripts end at; they do not", got.counts[feature.Fault])
		}
		sameCSV(t, got, want, rows)
	case strings.HasPrefix(exception, "AttributeError"):
		if got.counts[feature.Fault] == 0 {
			t.Fatalf("no frame that the scripts end at: %s", exception)
		}
	case strings.HasPrefix(exception, "ValueError: No objects to concatenate"):
		if len(got.rows) > 0 {
			t.Fatalf("%d rows, the scripts have none", len(got.rows))
		}
	case strings.HasPrefix(exception, "DivisionByZero"):
		if got.endless == 0 {
			t.Fatalf("no window without a time between its rows: %s", exception)
		}
	default:
		t.Fatalf("the scripts end with %s", exception)
	}
}

// times are ways in which a capture's times go, as a function from the time before to the next, in units of which there are
// so many in a second.
var times = []struct {
	name  string
	start uint64 // seconds
	next  func(g *maker, last, units uint64) uint64
}{
	{"steady", 1_666_876_638, func(g *maker, last, units uint64) uint64 { return last + 1 + g.Uint64N(units/200) }},
	{"bursts", 1_700_000_000, func(g *maker, last, units uint64) uint64 {
		if g.one(3) {
			return last
		}
		return last + g.Uint64N(units/1000)
	}},
	{"equal", 1_700_000_000, func(_ *maker, last, _ uint64) uint64 { return last }},
	{"backwards", 1_700_000_000, func(g *maker, last, units uint64) uint64 { return last + g.Uint64N(units) - units/2 }},
	{"zero", 0, func(g *maker, last, units uint64) uint64 {
		switch g.IntN(12) {
		case 0:
			return 0
		case 1:
			return last + g.Uint64N(units)
		}
		return last
	}},
	{"early", 0, func(g *maker, last, units uint64) uint64 { return last + 1 + g.Uint64N(units/50) }},
	{"jumps", 1_700_000_000, func(g *maker, last, units uint64) uint64 {
		if g.one(5) {
			return g.Uint64N(1<<32*units - 1)
		}
		return last + 1 + g.Uint64N(units/10)
	}},
	{"days", 1_000_000_000, func(g *maker, last, units uint64) uint64 {
		return (last + 1 + g.Uint64N(units*20000)) % (1 << 32 * units)
	}},
}

// frames returns n frames with times. mild frames make rows but for a few.
func (g *maker) timedFrames(n int, c container, next func(*maker, uint64, uint64) uint64, start uint64, mild bool) []timed {
	units := uint64(1e6)
	if c.nano {
		units = 1e9
	}
	now := start*units + g.Uint64N(units)
	if start == 0 && g.one(2) {
		now = 0
	}
	frames := make([]timed, n)
	for i := range frames {
		b := g.frame()
		for mild && i%8 != 0 && (len(b) < 14 || b[12] != 8) || ends(b) {
			b = g.frame()
		}
		if g.one(50) {
			b = append(b, make([]byte, g.IntN(9000))...)
		}
		frames[i] = timed{uint32(now / units), uint32(now % units), b}
		now = next(g, now, units)
	}
	return frames
}

// TestScripts compares with the original scripts on random captures, octet for octet. PCAPLAB_SECONDS runs it that long,
// with new seeds from PCAPLAB_FIRST_SEED on.
func TestScripts(t *testing.T) {
	s := startScripts(t)
	seconds := setting(t, "PCAPLAB_SECONDS", 0)
	first := uint64(setting(t, "PCAPLAB_FIRST_SEED", 1))
	deadline := time.Now().Add(time.Duration(seconds) * time.Second)
	captures, packets := 0, 0
	// A window costs the scripts some ms, whatever its length.
	windows := []struct{ rows, frames int }{
		{10, 1600}, {100, 2500}, {3, 500}, {1, 200}, {7, 1000}, {128, 2500}, {129, 2500}, {1000, 3500}, {256, 2600}, {8, 1000},
		{9000, 11000}, // above numpy's buffer
	}
	for seed := first; ; seed++ {
		i := int(seed - first)
		if i >= 2*len(windows) && (seconds == 0 || time.Now().After(deadline)) {
			break
		}
		w, ts := windows[i%len(windows)], times[(i+i/len(windows))%len(times)]
		c := container{order: binary.LittleEndian, nano: i%3 == 2}
		if i%4 == 3 {
			c.order = binary.BigEndian
		}
		t.Run(fmt.Sprintf("%d/w%d/%s/nano=%v", seed, w.rows, ts.name, c.nano), func(t *testing.T) {
			g := newMaker(seed)
			g.hosts = pick(g, 20, 4000)
			frames := g.timedFrames(w.frames, c, ts.next, ts.start, i%5 != 4)
			s.compare(t, c.capture(frames), w.rows, w.rows == 1 && i < len(windows))
			captures++
			packets += len(frames)
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d captures, %d packets", captures, packets)
}

// TestScriptsEnd compares captures at which the scripts end: with an IPv4 header that is not whole, without rows, with a
// decimal rate over no time.
func TestScriptsEnd(t *testing.T) {
	s := startScripts(t)
	whole := eth(0x0800, ip4(17, udpHeader(1, 53, 0)))
	micro, nano := container{order: binary.LittleEndian}, container{order: binary.LittleEndian, nano: true}
	at := func(sec uint32, data []byte) timed { return timed{sec, 7, data} }
	for _, c := range []struct {
		name      string
		container container
		frames    []timed
		exception string // "" means none
	}{
		{"IPv4 of 19 octets", micro, []timed{at(1, whole), at(2, whole[:33])}, "AttributeError"},
		{"IPv4 of no octet", micro, []timed{at(1, whole), at(2, whole[:14])}, "AttributeError"},
		{"IHL 4", micro, []timed{at(2, eth(0x0800, ip4With(17, 64, 4, 0, -1, octets(8)))), at(3, whole)}, "AttributeError"},
		{"behind ISL", micro, []timed{at(1, whole), at(2, isl(eth(0x0800, ip4(1)[:5])))}, "AttributeError"},
		{"no frame", micro, nil, "ValueError"},
		{"no row", micro, []timed{at(1, eth(0x86dd, ip6(59))), at(2, whole[:13])}, "ValueError"},
		{"equal times", micro, []timed{at(1, whole), at(1, whole)}, ""},
		{"one row", micro, []timed{at(1, whole)}, ""},
		{"equal decimal times", nano, []timed{at(1, whole), at(1, whole)}, "DivisionByZero"},
		{"one decimal row", nano, []timed{at(1, whole)}, "DivisionByZero"},
		{"decimal window of one row at the end", nano, []timed{at(1, whole), at(2, whole), at(3, whole)}, "DivisionByZero"},
		{"decimal windows", nano, []timed{at(1, whole), at(2, whole), at(4, whole), at(7, whole)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			capture := c.container.capture(c.frames)
			_, exception := s.run(t, capture, 2, true)
			name, _, _ := strings.Cut(exception, ":")
			if name != c.exception {
				t.Errorf("the scripts end with %q, want %q", exception, c.exception)
			}
			if len(c.frames) > 0 {
				s.compare(t, capture, 2, false)
			}
		})
	}
}
