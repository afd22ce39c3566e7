package extract_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// child is the environment variable that makes this test a run that a test kills.
const child = "PCAPLAB_TEST_EXTRACT"

func TestMain(m *testing.M) {
	if args := os.Getenv(child); args != "" {
		extract.SetKeepEvery(0)
		f := strings.Split(args, "\n")
		cfg := extract.Config{Format: f[1], Resume: true, Workers: 2}
		_, err := extract.File(context.Background(), f[0], cfg, sourcesOf(f[2:]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func sourcesOf(paths []string) []extract.Source {
	var sources []extract.Source
	for _, path := range paths {
		sources = append(sources, extract.Source{Path: path})
	}
	return sources
}

// stream returns what Stream writes.
func stream(t *testing.T, cfg extract.Config, sources ...extract.Source) (string, *extract.Summary) {
	t.Helper()
	var out bytes.Buffer
	s, err := extract.Stream(context.Background(), &out, cfg, sources)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), s
}

// capture writes frames of synthetic home traffic as a capture in microseconds.
func capture(t *testing.T, path string, seed uint64, frames int) string {
	t.Helper()
	src, err := synth.New("iot-1", seed)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range frames {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGolden compares with the outputs of the original scripts, octet for octet.
func TestGolden(t *testing.T) {
	corpus, golden := os.Getenv("PCAPLAB_CORPUS"), os.Getenv("PCAPLAB_FEATURES")
	if corpus == "" || golden == "" {
		t.Skip("PCAPLAB_CORPUS or PCAPLAB_FEATURES unset: no captures with outputs of the original scripts")
	}
	for _, rows := range []int{10, 100} {
		index, err := os.Open(filepath.Join(golden, fmt.Sprintf("index.w%d.tsv", rows)))
		if err != nil {
			t.Fatal(err)
		}
		defer index.Close()
		lines := csv.NewReader(index)
		lines.Comma = '\t'
		records, err := lines.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records[1:] {
			file, outcome := record[0], record[1]
			if strings.HasPrefix(outcome, "reader:") {
				continue // dpkt reads no compressed captures
			}
			t.Run(fmt.Sprintf("w%d/%s", rows, file), func(t *testing.T) {
				source := extract.Source{Path: filepath.Join(corpus, file), Span: feature.Span{Rows: rows}}
				for _, strict := range []bool{false, true} {
					got, s := stream(t, extract.Config{Strict: strict}, source)
					sum := s.Sources[0]
					if read := fmt.Sprint(sum.Frames - sum.NoRow[feature.NoRowUntimed.Name()]); read != record[2] {
						t.Errorf("%s frames, dpkt read %s", read, record[2])
					}
					if outcome != "ok" {
						if lost := sum.FirstFault > 0; lost != strings.Contains(outcome, "AttributeError") || sum.Vectors > 0 {
							t.Errorf("%d vectors, first fault at %d; the scripts: %s", sum.Vectors, sum.FirstFault, outcome)
						}
						continue
					}
					want, err := os.ReadFile(filepath.Join(golden, fmt.Sprintf("%s.w%d.csv", file, rows)))
					if err != nil {
						t.Fatal(err)
					}
					sameLines(t, got, string(want))
					if vectors := fmt.Sprint(sum.Vectors); vectors != record[3] {
						t.Errorf("%s vectors, want %s", vectors, record[3])
					}
				}
			})
		}
	}
}

func sameLines(t *testing.T, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("line %d of %d, %d\n got %s\nwant %s", i+1, len(a), len(b), a[i], b[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(a), len(b))
}

// TestOrder runs many sources at once and wants the output of one after another.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 1))
	var sources []extract.Source
	want, header := "", ""
	for i := range 24 {
		frames := random.IntN(3000)
		if i%7 == 3 {
			frames = 60_000
		}
		path := capture(t, filepath.Join(dir, fmt.Sprintf("%d.pcap", i)), uint64(i), frames)
		source := extract.Source{Path: path, Span: feature.Span{Rows: 1 + random.IntN(120)}}
		if i%5 == 4 {
			source.Span = feature.Span{Time: 20 * time.Millisecond}
		}
		sources = append(sources, source)
		one, _ := stream(t, extract.Config{Workers: 1}, source)
		first, lines, _ := strings.Cut(one, "\n")
		header = first + "\n"
		want += lines
	}
	for _, workers := range []int{1, 2, 5} {
		got, s := stream(t, extract.Config{Workers: workers}, sources...)
		sameLines(t, got, header+want)
		if lines := uint64(strings.Count(want, "\n")); s.Vectors != lines {
			t.Errorf("%d vectors counted, %d written", s.Vectors, lines)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "pcaplab-features-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// hidden returns what a run left in a folder beside the files named.
func hidden(t *testing.T, dir string, but ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !slices.Contains(but, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestKilledRunsResume kills runs at random and wants the output of a run that was left alone.
func TestKilledRunsResume(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes of its own")
	}
	in, out := t.TempDir(), t.TempDir()
	var paths []string
	for i, frames := range []int{150_000, 40_000, 3000, 200_000} {
		paths = append(paths, capture(t, filepath.Join(in, fmt.Sprintf("%d.pcap", i)), uint64(i), frames))
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{extract.CSV, extract.Parquet} {
		t.Run(format, func(t *testing.T) {
			var whole bytes.Buffer
			if _, err := extract.Stream(context.Background(), &whole, extract.Config{Format: format, Workers: 2}, sourcesOf(paths)); err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(3, uint64(len(format))))
			killed := 0
			for round := range rounds {
				target := filepath.Join(out, fmt.Sprintf("%d.%s", round, format))
				for most := 320; ; most += 80 { // ms: a slow machine gets on too
					command := exec.Command(self)
					command.Env = append(os.Environ(), child+"="+strings.Join(append([]string{target, format}, paths...), "\n"))
					command.Stderr = os.Stderr
					if err := command.Start(); err != nil {
						t.Fatal(err)
					}
					timer := time.AfterFunc(time.Duration(20+random.IntN(most))*time.Millisecond, func() { command.Process.Kill() })
					err := command.Wait()
					if stopped := timer.Stop(); err == nil {
						break
					} else if stopped {
						t.Fatalf("ended by itself: %v", err)
					}
					if _, err := os.Stat(target); err == nil {
						break // killed after all was done
					}
					killed++
				}
				got, err := os.ReadFile(target)
				if err != nil {
					t.Fatal(err)
				}
				if format == extract.CSV {
					sameLines(t, string(got), whole.String())
				} else {
					if !bytes.Equal(got, whole.Bytes()) {
						t.Fatal("another file")
					}
				}
			}
			t.Logf("%d kills in %d runs", killed, rounds)
		})
	}
}

// TestInterrupted wants a run that was cancelled to be resumed where it was, and other jobs to be refused.
func TestInterrupted(t *testing.T) {
	extract.SetKeepEvery(0)
	defer extract.SetKeepEvery(5 * time.Second)
	dir := t.TempDir()
	path := capture(t, filepath.Join(dir, "in.pcap"), 1, 120_000)
	target := filepath.Join(dir, "out.csv")
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := extract.File(ctx, target, extract.Config{Workers: 1}, []extract.Source{stopping(path, 70_000, cancel)}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a part has the name of the whole: %v", err)
	}
	other := extract.Config{Resume: true, As: feature.AsFixed}
	if _, err := extract.File(context.Background(), target, other, []extract.Source{stopping(path, 0, nil)}); !errors.Is(err, extract.ErrNoResume) {
		t.Errorf("another job resumed it: %v", err)
	}
}

func TestResumeGoesOn(t *testing.T) {
	extract.SetKeepEvery(0)
	defer extract.SetKeepEvery(5 * time.Second)
	dir := t.TempDir()
	path := capture(t, filepath.Join(dir, "in.pcap"), 1, 100_000)
	want, whole := stream(t, extract.Config{As: feature.AsPipeline}, extract.Source{Path: path})
	target := filepath.Join(dir, "out.csv")
	ctx, cancel := context.WithCancel(context.Background())
	cfg := extract.Config{As: feature.AsPipeline, Workers: 1}
	if _, err := extract.File(ctx, target, cfg, []extract.Source{stopping(path, 70_000, cancel)}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	cfg.Resume = true
	s, err := extract.File(context.Background(), target, cfg, []extract.Source{stopping(path, 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Resumed {
		t.Error("it began anew")
	}
	got, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, string(got), want)
	a, b := s.Sources[0], whole.Sources[0]
	if a.Rows != b.Rows || a.Frames != b.Frames || a.Vectors != b.Vectors || a.Pieces != b.Pieces || fmt.Sprint(a.NoRow) != fmt.Sprint(b.NoRow) {
		t.Errorf("counts %+v, want %+v", a, b)
	}
	if left := hidden(t, dir, "in.pcap", "out.csv"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// stopping is a capture that calls stop at a frame.
func stopping(path string, at int, stop func()) extract.Source {
	return extract.Source{Path: path, Open: func() (extract.Frames, error) {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		r, err := pcapio.NewReader(file, path)
		return &stopper{r, at, stop}, err
	}}
}

type stopper struct {
	*pcapio.Reader
	left int
	stop func()
}

func (s *stopper) Next(f *parse.Frame) error {
	if s.left--; s.left == 0 {
		s.stop()
	}
	return s.Reader.Next(f)
}

func TestDamage(t *testing.T) {
	dir := t.TempDir()
	good := capture(t, filepath.Join(dir, "good.pcap"), 1, 500)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.pcap")
	if err := os.WriteFile(cut, text[:len(text)-7], 0o666); err != nil {
		t.Fatal(err)
	}
	shorter := filepath.Join(dir, "shorter.pcap")
	if err := os.WriteFile(shorter, text[:len(text)-9], 0o666); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "out.csv")
	s, err := extract.File(context.Background(), target, extract.Config{}, sourcesOf([]string{good, cut, shorter, good}))
	fault := new(extract.FaultError)
	if !errors.As(err, &fault) || len(fault.Faults) != 2 {
		t.Fatalf("want two faults: %v", err)
	}
	for i, want := range []string{"cut.pcap: record 500 at offset", "shorter.pcap: record 500 at offset"} {
		if !strings.Contains(fault.Faults[i].Error(), want) {
			t.Errorf("fault %v, want %s", fault.Faults[i], want)
		}
	}
	if s.Sources[1].Frames != 499 || s.Sources[1].Error == "" || s.Sources[2].Frames != 499 || s.Sources[3].Frames != 500 {
		t.Errorf("%+v", s.Sources)
	}
	got, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(got, []byte("\n")); uint64(lines) != s.Vectors+1 {
		t.Errorf("%d lines for %d vectors", lines, s.Vectors)
	}
	salvaged, err := extract.File(context.Background(), target, extract.Config{Salvage: true}, sourcesOf([]string{cut}))
	if err != nil || len(salvaged.Sources[0].Losses) != 1 || salvaged.Sources[0].Frames != 499 {
		t.Errorf("salvaged: %v, %+v", err, salvaged)
	}
	if left := hidden(t, dir, "good.pcap", "cut.pcap", "shorter.pcap", "out.csv"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestNoCaptureLeavesTheOutput: what is no capture ends a run before it writes, and an output that is there stays.
func TestNoCaptureLeavesTheOutput(t *testing.T) {
	dir := t.TempDir()
	good := capture(t, filepath.Join(dir, "good.pcap"), 1, 500)
	octets, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	target := filepath.Join(dir, "out.csv")
	for _, c := range []struct{ path, want string }{
		{write("text.pcap", []byte("no capture at all")), "text.pcap: not a pcap"}, {write("empty.pcap", nil), "empty.pcap: empty"},
		{write("cut.pcap", octets[:20]), "cut.pcap: "}, {dir, "is a directory"}, {filepath.Join(dir, "none"), "no such file"}, {"-", "standard input: not a pcap"},
	} {
		for _, format := range []string{extract.CSV, extract.Parquet} {
			for _, list := range [][]string{{c.path}, {good, c.path}} {
				write("out.csv", []byte("rows of before"))
				cfg := func() extract.Config {
					return extract.Config{Format: format, Stdin: strings.NewReader("no capture\n"), Workers: 1}
				}
				s, err := extract.File(context.Background(), target, cfg(), sourcesOf(list))
				if s != nil || err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(*extract.FaultError)) {
					t.Errorf("%v: %v, %v", list, s, err)
				}
				if text, err := os.ReadFile(target); err != nil || string(text) != "rows of before" {
					t.Errorf("%v: left is %.80q, %v", list, text, err)
				}
				var out bytes.Buffer
				s, err = extract.Stream(context.Background(), &out, cfg(), sourcesOf(list))
				if s != nil || err == nil || len(list) == 1 && out.Len() > 0 {
					t.Errorf("%v: %v, %v, %d octets", list, s, err, out.Len())
				}
			}
		}
	}
	if left := hidden(t, dir, "good.pcap", "text.pcap", "empty.pcap", "cut.pcap", "out.csv"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestForeignNamesAreRefused(t *testing.T) {
	dir := t.TempDir()
	good := sourcesOf([]string{capture(t, filepath.Join(dir, "good.pcap"), 1, 50)})
	for name, want := range map[string]string{
		"x.csv.gz": "-o - | gzip > ", "x.ZST": "-o - | zstd > ", "x.pq": "name it .parquet", "x.pcap": "name it .csv or .parquet", "x.json": "name it .csv or .parquet",
	} {
		if _, err := extract.File(context.Background(), filepath.Join(dir, name), extract.Config{}, good); !errors.As(err, new(*extract.ConfigError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := hidden(t, dir, "good.pcap"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for name, format := range map[string]string{"x": extract.CSV, "x.csv": extract.CSV, "x.v2.txt": extract.CSV, "y.pq": extract.Parquet} {
		if _, err := extract.File(context.Background(), filepath.Join(dir, name), extract.Config{Format: format}, good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counting labels windows with how many frames were read before they ended, and how many count in them.
type counting struct {
	frames, rows int
	fail         int // at this frame
	closed       *atomic.Int64
}

var errTold = errors.New("cannot be told")

func (c *counting) Frame() error {
	if c.frames++; c.frames == c.fail {
		return errTold
	}
	return nil
}
func (c *counting) Row() { c.rows++ }
func (c *counting) Window() string {
	label := fmt.Sprint(c.frames, " ", c.rows)
	c.rows = 0
	return label
}
func (c *counting) End([]string) error { return nil }
func (c *counting) Close() error       { c.closed.Add(1); return nil }

// TestToldLabels compares the labels of windows with the windows, in all ways in which they are made, and in runs that are resumed.
func TestToldLabels(t *testing.T) {
	extract.SetKeepEvery(0)
	defer extract.SetKeepEvery(5 * time.Second)
	dir := t.TempDir()
	first, second := capture(t, filepath.Join(dir, "a.pcap"), 1, 30_000), capture(t, filepath.Join(dir, "b.pcap"), 2, 60_000)
	var closed atomic.Int64
	told := func(s extract.Source, span feature.Span) extract.Source {
		s.Span, s.Tell = span, func(extract.Frames) (extract.Teller, error) { return &counting{closed: &closed}, nil }
		return s
	}
	numbers := func(path string) (rows []string) {
		r, err := vectorio.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var rec vectorio.Record
		for {
			err := r.Next(&rec)
			if err == io.EOF {
				return rows
			} else if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(rec.Values[feature.Number]); strings.Fields(rec.Label)[1] != want {
				t.Fatalf("%s: row %d: label %q of a window of %s rows", path, len(rows)+1, rec.Label, want)
			}
			rows = append(rows, rec.Label)
		}
	}
	for _, format := range []string{extract.CSV, extract.Parquet} {
		if format == extract.Parquet && runtime.GOARCH == "arm" {
			continue // not read there
		}
		for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline} {
			for _, span := range []feature.Span{{Rows: 7}, {Rows: 5000}, {Time: 100 * time.Millisecond}} {
				whole, again := filepath.Join(dir, "whole."+format), filepath.Join(dir, "again."+format)
				cfg := extract.Config{As: as, Format: format, Labelled: true, Workers: 3}
				if _, err := extract.File(context.Background(), whole, cfg, []extract.Source{told(stopping(first, 0, nil), span), told(stopping(second, 0, nil), span)}); err != nil {
					t.Fatal(err)
				}
				want := numbers(whole)
				for round, at := range []int{45_000, 1, 0} {
					ctx, cancel := context.WithCancel(context.Background())
					cfg.Workers, cfg.Resume = 1, round > 0
					s, err := extract.File(ctx, again, cfg, []extract.Source{told(stopping(first, 0, nil), span), told(stopping(second, at, cancel), span)})
					cancel()
					if at > 0 && !errors.Is(err, context.Canceled) || at == 0 && (err != nil || format == extract.CSV && !s.Resumed) {
						t.Fatalf("%s %v %v, round %d: %v", format, as, span, round, err)
					}
				}
				if got := numbers(again); !slices.Equal(got, want) {
					t.Errorf("%s %v %v: resumed, other labels", format, as, span)
				}
			}
		}
	}
	opened := closed.Load()
	failing := told(stopping(first, 0, nil), feature.Span{})
	failing.Tell = func(extract.Frames) (extract.Teller, error) { return &counting{fail: 20_000, closed: &closed}, nil }
	target := filepath.Join(dir, "failed.csv")
	if _, err := extract.File(context.Background(), target, extract.Config{Labelled: true}, []extract.Source{failing}); !errors.Is(err, errTold) || errors.As(err, new(*extract.FaultError)) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(target); err == nil || closed.Load() != opened+1 {
		t.Errorf("%v, %d closed", err, closed.Load()-opened)
	}
	if _, err := extract.Stream(context.Background(), io.Discard, extract.Config{}, []extract.Source{failing}); !errors.As(err, new(*extract.ConfigError)) {
		t.Errorf("labels without a column: %v", err)
	}
}

// broken IPv4 in the second piece of three.
func TestStrictFaultsLosePieces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in.pcap")
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 1000)
	frame[12], frame[13], frame[14] = 8, 0, 0x45
	const frames = 25_000 // of 1016 octets: pieces of 9843, 9843 and the rest
	for i := range frames {
		f := parse.Frame{UnixNano: int64(i) * 1e6, Data: frame, WireLen: len(frame), Link: parse.LinkEthernet}
		if i == 12_000 {
			f.Data, f.WireLen = frame[:33], 33
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), os.WriteFile(path, out.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		as      feature.As
		strict  bool
		vectors uint64
		rows    uint64
		pieces  uint64
	}{
		{feature.AsExtractor, false, 2500, 24_999, 0},
		{feature.AsExtractor, true, 0, 0, 0},
		{feature.AsPipeline, false, 985 + 985 + 532, 24_999, 3},
		{feature.AsPipeline, true, 985 + 532, 25_000 - 9844, 3},
	} {
		t.Run(fmt.Sprint(c.as, c.strict), func(t *testing.T) {
			_, s := stream(t, extract.Config{As: c.as, Strict: c.strict}, extract.Source{Path: path})
			sum := s.Sources[0]
			if sum.Vectors != c.vectors || sum.Rows != c.rows || sum.Pieces != c.pieces || sum.FirstFault != 12_001 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	frame := func(src byte) []byte {
		f := make([]byte, 60)
		f[11], f[12], f[13], f[14] = src, 8, 0, 0x45
		return f
	}
	attackers, err := feature.ReadAttackers(strings.NewReader("00:00:00:00:00:07\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	source := extract.Source{Path: "made", Label: `DDoS, "big"`, Span: feature.Span{Rows: 4}, Open: func() (extract.Frames, error) {
		return &given{frames: [][]byte{frame(1), frame(7), frame(1), frame(1), frame(7), frame(7), frame(7), frame(1), frame(1)}}, nil
	}}
	for _, c := range []struct {
		name  string
		cfg   extract.Config
		label []string
	}{
		{"all", extract.Config{Labelled: true}, []string{`"DDoS, ""big"""`, `"DDoS, ""big"""`, `"DDoS, ""big"""`}},
		{"one row", extract.Config{Labelled: true, Attackers: attackers, Benign: "BENIGN"}, []string{`"DDoS, ""big"""`, `"DDoS, ""big"""`, "BENIGN"}},
		{"half", extract.Config{Labelled: true, Attackers: attackers, AttackShare: 0.5, Benign: "BENIGN"}, []string{"BENIGN", `"DDoS, ""big"""`, "BENIGN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := stream(t, c.cfg, source)
			lines := strings.Split(strings.TrimSpace(got), "\n")
			if !strings.HasSuffix(lines[0], ",Variance,Label") || len(lines) != 4 {
				t.Fatal(got)
			}
			for i, want := range c.label {
				if !strings.HasSuffix(lines[i+1], ","+want) {
					t.Errorf("line %d: %s, want %s", i+1, lines[i+1], want)
				}
			}
		})
	}
}

// given is a source of frames a millisecond apart.
type given struct {
	frames [][]byte
	n      int
}

func (g *given) Next(f *parse.Frame) error {
	if g.n == len(g.frames) {
		return io.EOF
	}
	*f = parse.Frame{UnixNano: int64(g.n+1) * 1e6, Data: g.frames[g.n], WireLen: len(g.frames[g.n]), Link: parse.LinkEthernet}
	g.n++
	return nil
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "out.csv")
	begun, end := make(chan struct{}), make(chan struct{})
	slow := extract.Source{Path: "slow", Open: func() (extract.Frames, error) {
		close(begun)
		<-end
		return &given{}, nil
	}}
	done := make(chan error)
	go func() {
		_, err := extract.File(context.Background(), target, extract.Config{}, []extract.Source{slow})
		done <- err
	}()
	<-begun
	quick := extract.Source{Path: "quick", Open: func() (extract.Frames, error) { return &given{}, nil }}
	if _, err := extract.File(context.Background(), target, extract.Config{}, []extract.Source{quick}); !errors.Is(err, extract.ErrBusy) {
		t.Errorf("two runs to one file: %v", err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// failing is a stream that takes only so much.
type failing struct{ room int }

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, errors.New("no room")
	}
	f.room -= len(p)
	return len(p), nil
}

func TestFullStream(t *testing.T) {
	path := capture(t, filepath.Join(t.TempDir(), "in.pcap"), 1, 30_000)
	for _, room := range []int{0, 500, 100_000} {
		s, err := extract.Stream(context.Background(), &failing{room}, extract.Config{}, sourcesOf([]string{path, path, path}))
		if err == nil || s != nil || !strings.Contains(err.Error(), "no room") {
			t.Errorf("room %d: %v, %v", room, s, err)
		}
	}
}

// TestFullDisk fills a file system of its own.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	path := capture(t, filepath.Join(dir, "in.pcap"), 1, 60_000)
	disk := filepath.Join(dir, "disk")
	if err := os.Mkdir(disk, 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no file system to fill: mount: %v: %s", err, out)
	}
	defer exec.Command("umount", disk).Run()
	for _, format := range []string{extract.CSV, extract.Parquet} {
		_, err := extract.File(context.Background(), filepath.Join(disk, "out."+format), extract.Config{Format: format}, sourcesOf([]string{path, path, path, path}))
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", format, err)
		}
		if left := hidden(t, disk); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestWrongSettings(t *testing.T) {
	for _, c := range []struct {
		name    string
		cfg     extract.Config
		sources []extract.Source
		want    string
	}{
		{"no captures", extract.Config{}, nil, "no captures"},
		{"format", extract.Config{Format: "xml"}, sourcesOf([]string{"x"}), `format "xml"`},
		{"span", extract.Config{}, []extract.Source{{Path: "x", Span: feature.Span{Rows: -1}}}, "window of -1 rows"},
		{"strict", extract.Config{Strict: true}, sourcesOf([]string{"-"}), "standard input"},
		{"share", extract.Config{AttackShare: 2}, sourcesOf([]string{"x"}), "attack share"},
		{"workers", extract.Config{Workers: -1}, sourcesOf([]string{"x"}), "-1 workers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := extract.Stream(context.Background(), io.Discard, c.cfg, c.sources)
			if !errors.As(err, new(*extract.ConfigError)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestOutputIsNoInput(t *testing.T) {
	dir := t.TempDir()
	path := capture(t, filepath.Join(dir, "in.pcap"), 1, 100)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.csv")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{path, link, filepath.Join(dir, "none", "out.csv"), dir + "/", os.DevNull} {
		if _, err := extract.File(context.Background(), target, extract.Config{}, sourcesOf([]string{path})); !errors.As(err, new(*extract.ConfigError)) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the capture is another: %v", err)
	}
	if left := hidden(t, dir, "in.pcap", "link.csv"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestInterruptedTwice resumes, is stopped before anything more is done, and resumes again.
func TestInterruptedTwice(t *testing.T) {
	extract.SetKeepEvery(0)
	defer extract.SetKeepEvery(5 * time.Second)
	dir := t.TempDir()
	first := capture(t, filepath.Join(dir, "a.pcap"), 1, 30_000)
	second := capture(t, filepath.Join(dir, "b.pcap"), 2, 60_000)
	want, _ := stream(t, extract.Config{As: feature.AsPipeline}, sourcesOf([]string{first, second})...)
	target := filepath.Join(dir, "out.csv")
	sources := func(at int, stop func()) []extract.Source {
		return []extract.Source{stopping(first, 0, nil), stopping(second, at, stop)}
	}
	for round, at := range []int{45_000, 1, 1, 0} {
		ctx, cancel := context.WithCancel(context.Background())
		s, err := extract.File(ctx, target, extract.Config{As: feature.AsPipeline, Workers: 1, Resume: round > 0}, sources(at, cancel))
		cancel()
		if at > 0 {
			if !errors.Is(err, context.Canceled) || !errors.Is(err, extract.ErrResumable) {
				t.Fatalf("round %d: %v", round, err)
			}
			continue
		}
		if err != nil || !s.Resumed || len(s.Sources) != 2 {
			t.Fatalf("round %d: %v, %+v", round, err, s)
		}
	}
	got, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	sameLines(t, string(got), want)
}

// TestStoppedRunsLeaveNothing looks for goroutines of captures that were open.
func TestStoppedRunsLeaveNothing(t *testing.T) {
	path := capture(t, filepath.Join(t.TempDir(), "in.pcap"), 1, 60_000)
	before := runtime.NumGoroutine()
	for range 10 {
		ctx, cancel := context.WithCancel(context.Background())
		cfg := extract.Config{Hash: true, Workers: 2}
		sources := append(sourcesOf([]string{path, path}), stopping(path, 20_000, cancel))
		if _, err := extract.Stream(ctx, io.Discard, cfg, sources); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
