package labelled_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

var ctx = context.Background()

// table writes a table of rows whose column Rate counts them, and returns its path.
func table(t *testing.T, name string, labels ...string) string {
	t.Helper()
	text := vectorio.AppendHeader(nil, true)
	for i, label := range labels {
		var v feature.Vector
		v.Values[feature.Rate], v.Values[feature.Number] = float64(i+1), 10
		text = append(vectorio.AppendLabel(vectorio.AppendCSV(text, &v), label), '\n')
	}
	return write(t, name, string(text))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func repeat(label string, n int) []string { return slices.Repeat([]string{label}, n) }

func open(t *testing.T, cfg labelled.Config, sources ...labelled.Source) *labelled.Set {
	t.Helper()
	s, err := labelled.Open(sources, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// all returns the rows of a set.
func all(t *testing.T, s *labelled.Set, o labelled.Order) (rows []labelled.Row) {
	t.Helper()
	if err := s.EachIn(ctx, o, func(r *labelled.Row) error { rows = append(rows, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	return rows
}

func names(rows []labelled.Row) string {
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%d.%d%s ", r.Source, r.Number, r.Label)
	}
	return strings.TrimSpace(b.String())
}

func TestTables(t *testing.T) {
	a, b := table(t, "a.csv", "x", "x", "y"), table(t, "b.csv", "y")
	plain := write(t, "plain.csv", string(vectorio.AppendHeader(nil, false))+strings.Repeat(strings.Repeat("1,", 38)+"1\n", 2))
	s := open(t, labelled.Config{}, labelled.Source{Path: a}, labelled.Source{Path: b, Label: "not this"}, labelled.Source{Path: plain, Label: "z"})
	for range 2 {
		rows := all(t, s, labelled.Order{})
		if got := names(rows); got != "0.1x 0.2x 0.3y 1.1y 2.1z 2.2z" {
			t.Errorf("rows %s", got)
		}
		if r := rows[1]; r.Values[feature.Rate] != 2 || r.Rows != 10 || r.Nano != 0 || r.Covered != 0 {
			t.Errorf("row %+v", r)
		}
	}
	sum, err := s.Survey(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(sum.Rows, sum.Labels, sum.Sources[0].Labels, sum.Sources[2].Vectors); got != "6 [{x 2} {y 2} {z 2}] [{x 2} {y 1}] 2" {
		t.Errorf("survey %s", got)
	}
}

func TestFaultsOfTables(t *testing.T) {
	good := table(t, "good.csv", "x", "y", "x")
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	cut := write(t, "cut.csv", string(text[:len(text)-60]))
	empty := write(t, "empty.csv", strings.Replace(string(text), ",y\n", ",\n", 1))
	unlabelled := write(t, "plain.csv", string(vectorio.AppendHeader(nil, false)))
	open2 := func(cfg labelled.Config, path string) (int, error) {
		s, err := labelled.Open([]labelled.Source{{Path: path}}, cfg)
		if err != nil {
			return 0, err
		}
		n := 0
		err = s.Each(ctx, func(*labelled.Row) error { n++; return nil })
		return n, err
	}
	for _, c := range []struct {
		name, path string
		cfg        labelled.Config
		rows       int
		want       string
	}{
		{"cut", cut, labelled.Config{}, 2, "cut.csv: row 3 (line 4): the file was cut"},
		{"cut, salvaged", cut, labelled.Config{Salvage: true}, 2, ""},
		{"empty label", empty, labelled.Config{}, 1, `empty.csv: row 2, column "Label": the label is empty`},
		{"blank label", table(t, "blank.csv", "x", "  "), labelled.Config{}, 1, `row 2, column "Label": the label is empty`},
		{"no label", unlabelled, labelled.Config{}, 0, "needs a label"},
		{"relabelled", good, labelled.Config{Relabel: func(l string) (string, error) {
			if l == "y" {
				return "", errors.New("no place for y")
			}
			return l, nil
		}}, 1, `row 2, column "Label": no place for y`},
		{"label of no text", table(t, "latin.csv", "x", "y\xff"), labelled.Config{}, 1, `row 2, column "Label": label "y\xff": want UTF-8`},
		{"labels are numbers", table(t, "numbers.csv", strings.Fields(strings.Trim(fmt.Sprint(slices.Collect(numbers(10_001))), "[]"))...), labelled.Config{}, 10_000,
			"more than 10000 labels"},
		{"nothing", filepath.Join(t.TempDir(), "none"), labelled.Config{}, 0, "no such file"},
		{"folder", t.TempDir(), labelled.Config{}, 0, "is a folder"},
		{"stdin", "-", labelled.Config{}, 0, "read only once"},
		{"neither", write(t, "x", "what is this\n"), labelled.Config{}, 0, "nor is it a capture"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := open2(c.cfg, c.path)
			if n != c.rows || c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%d rows, %v; want %d, %q", n, err, c.rows, c.want)
			}
		})
	}
	if _, err := labelled.Open([]labelled.Source{{Path: good}, {Path: good}}, labelled.Config{}); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Errorf("the same file twice: %v", err)
	}
	s := open(t, labelled.Config{Salvage: true}, labelled.Source{Path: cut})
	if sum, err := s.Survey(ctx); err != nil || len(sum.Sources[0].Losses) != 1 {
		t.Errorf("%v, %v", sum, err)
	}
}

func numbers(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// capture writes frames and returns its path.
func capture(t *testing.T, name string, frames extract.Frames, n int) string {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapio.NewWriter(&out, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range n {
		if err := frames.Next(&f); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return write(t, name, out.String())
}

// TestCapturesGiveTheVectorsOfExtract compares with what the command features writes.
func TestCapturesGiveTheVectorsOfExtract(t *testing.T) {
	src, err := synth.New("iot-1", 7)
	if err != nil {
		t.Fatal(err)
	}
	path := capture(t, "x.pcap", src, 9_000)
	for _, as := range []feature.As{feature.AsExtractor, feature.AsPipeline, feature.AsReleased, feature.AsFixed} {
		for _, span := range []feature.Span{{}, {Rows: 100}, {Rows: 7000}, {Time: 50 * time.Millisecond}} {
			if testing.Short() && as == feature.AsPipeline {
				continue // nearly AsReleased
			}
			t.Run(fmt.Sprint(as, span), func(t *testing.T) {
				var csv bytes.Buffer
				if _, err := extract.Stream(ctx, &csv, extract.Config{As: as}, []extract.Source{{Path: path, Span: span}}); err != nil {
					t.Fatal(err)
				}
				s := open(t, labelled.Config{As: as}, labelled.Source{Path: path, Span: span, Label: "X"})
				got := vectorio.AppendHeader(nil, false)
				var last int64
				var covered time.Duration
				rows := 0
				err := s.Each(ctx, func(r *labelled.Row) error {
					v := feature.Vector{Values: r.Values}
					got = append(vectorio.AppendCSV(got, &v), '\n')
					if r.Nano < last || r.Label != "X" || float64(r.Rows) != r.Values[feature.Number] {
						t.Errorf("row %+v", r)
					}
					last, covered, rows = r.Nano, covered+r.Covered, rows+r.Rows
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != csv.String() {
					t.Error("other vectors")
				}
				sum, err := s.Survey(ctx)
				if err != nil {
					t.Fatal(err)
				}
				one := sum.Sources[0]
				if one.Frames != 9_000 || sum.Covered != covered || one.Last.UnixNano() != last || covered < one.Last.Sub(one.First) || covered > time.Hour {
					t.Errorf("summary %+v", one)
				}
			})
		}
	}
}

// given is a source of frames.
type given struct {
	frames []parse.Frame
	kinds  string // of each frame: b benign, others an attack of that class
	n      int
}

func (g *given) Next(f *parse.Frame) error {
	if g.n == len(g.frames) {
		return io.EOF
	}
	*f = g.frames[g.n]
	g.n++
	return nil
}

func (g *given) Class() string { return "class " + g.kinds[g.n-1:g.n] }
func (g *given) Attack() bool  { return g.kinds[g.n-1] != 'b' }

// frames makes IPv4 frames a second apart; of kind - one that gives no row.
func frames(kinds string) *given {
	g := &given{kinds: kinds}
	for i, k := range kinds {
		data := make([]byte, 60)
		data[11], data[12], data[14] = byte(k), 8, 0x45
		if k == '-' {
			data[12] = 0x86
			data[13] = 0xdd
		}
		g.frames = append(g.frames, parse.Frame{UnixNano: int64(i+1) * 1e9, Data: data, WireLen: 60, Link: parse.LinkEthernet})
	}
	return g
}

func TestTruth(t *testing.T) {
	// Windows of four rows: bbbb, bxbb, xxyy (x came first), yyyx, and b alone with a frame that gives no row.
	const kinds = "bbbb" + "bxbb" + "xx-yy" + "yyyx" + "b-"
	for _, c := range []struct {
		name  string
		share float64
		want  string
	}{
		{"one row", 0, "BENIGN class x class x class y BENIGN"},
		{"a quarter", 0.25, "BENIGN class x class x class y BENIGN"},
		{"half", 0.5, "BENIGN BENIGN class x class y BENIGN"},
		{"all", 1, "BENIGN BENIGN class x class y BENIGN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := labelled.Config{TruthShare: c.share}
			labels := func(s *labelled.Set) string {
				var list []string
				for _, r := range all(t, s, labelled.Order{}) {
					list = append(list, r.Label)
				}
				return strings.Join(list, " ")
			}
			told := labelled.Source{Path: "made", Span: feature.Span{Rows: 4}, TruthOfFrames: true,
				Open: func() (extract.Frames, error) { return frames(kinds), nil }}
			if got := labels(open(t, cfg, told)); got != c.want {
				t.Errorf("of frames: %s, want %s", got, c.want)
			}

			path := capture(t, "x.pcap", frames(kinds), len(kinds))
			var text bytes.Buffer
			w := truth.NewWriter(&text)
			for _, k := range kinds {
				// Where it is not known whether a packet is an attack's, its class decides.
				p := truth.Packet{Class: "class " + string(k), Attack: truth.Unknown}
				switch k {
				case 'b':
					p = truth.Packet{Class: "BENIGN", Attack: truth.Unknown}
				case 'x':
					p.Attack = truth.Yes
				case '-':
					p.Class = "class x"
				}
				if err := w.Add(p); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			beside := labelled.Source{Path: path, Span: feature.Span{Rows: 4}, Truth: write(t, "x.pcap.truth.csv", text.String())}
			if got := labels(open(t, cfg, beside)); got != c.want {
				t.Errorf("of a table: %s, want %s", got, c.want)
			}
		})
	}
	path := capture(t, "x.pcap", frames("bbb"), 3)
	for text, want := range map[string]string{
		"packets,class,attack,source,first\n2,BENIGN,0,,0\n":          "ends after 2 packets",
		"packets,class,attack,source,first\n4,BENIGN,0,,0\n":          "more packets than the 3",
		"packets,class,attack,source,first\n1,BENIGN,0,,0\n1,,0,,0\n": "packet 2: has no class",
		"packets,class\n": "line 1",
	} {
		s := open(t, labelled.Config{}, labelled.Source{Path: path, Truth: write(t, "t.csv", text)})
		if err := s.Each(ctx, func(*labelled.Row) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestBenignIsRelabelled wants no second benign class where labels are put together.
func TestBenignIsRelabelled(t *testing.T) {
	path := capture(t, "x.pcap", frames("bbbbxxxxbbbb"), 12)
	relabel := func(label string) (string, error) {
		switch label {
		case "BENIGN":
			return "good", nil
		case "class x":
			return "bad", nil
		}
		return "", fmt.Errorf("no place for %s", label)
	}
	text := "packets,class,attack,source,first\n4,BENIGN,,,0\n4,class x,1,,0\n4,class x,0,,0\n"
	source := labelled.Source{Path: path, Span: feature.Span{Rows: 4}, Truth: write(t, "x.pcap.truth.csv", text)}
	if got := names(all(t, open(t, labelled.Config{Relabel: relabel}, source), labelled.Order{})); got != "0.1good 0.2bad 0.3good" {
		t.Errorf("rows %s", got)
	}
	none := func(string) (string, error) { return "", errors.New("no place for it") }
	if _, err := labelled.Open([]labelled.Source{source}, labelled.Config{Relabel: none}); err == nil || !strings.Contains(err.Error(), "benign traffic: no place") {
		t.Errorf("%v", err)
	}
}

func TestLabelsAreTrimmed(t *testing.T) {
	s := open(t, labelled.Config{Relabel: func(label string) (string, error) { return "<" + label + ">", nil }},
		labelled.Source{Path: table(t, "a.csv", "x", " x", "x\u00a0", " y z ")})
	if got := names(all(t, s, labelled.Order{})); got != "0.1<x> 0.2<x> 0.3<x> 0.4<y z>" {
		t.Errorf("rows %s", got)
	}
}

func TestTruthOfFramesNeedsFramesThatTell(t *testing.T) {
	path := capture(t, "x.pcap", frames("bbbb"), 4)
	if _, err := labelled.Open([]labelled.Source{{Path: path, TruthOfFrames: true, Label: "x"}}, labelled.Config{}); err == nil {
		t.Error("the frames of a file were to say what they are")
	}
}

func TestAttackers(t *testing.T) {
	attackers, err := feature.ReadAttackers(strings.NewReader("00:00:00:00:00:78\n"), "test") // 'x'
	if err != nil {
		t.Fatal(err)
	}
	source := labelled.Source{Path: "made", Label: "A", Span: feature.Span{Rows: 4}, Open: func() (extract.Frames, error) { return frames("bxbb" + "bbbb" + "xxxb" + "b"), nil }}
	for share, want := range map[float64]string{0: "0.1A 0.2B 0.3A 0.4B", 0.5: "0.1B 0.2B 0.3A 0.4B"} {
		s := open(t, labelled.Config{Attackers: attackers, TruthShare: share, Benign: "B"}, source)
		if got := names(all(t, s, labelled.Order{})); got != want {
			t.Errorf("share %v: %s, want %s", share, got, want)
		}
	}
}

// TestCovered wants pauses and times that step back not to make a capture longer.
func TestCovered(t *testing.T) {
	minute := int64(time.Minute)
	for _, c := range []struct {
		name  string
		times []int64
		want  []time.Duration // of windows of two rows
	}{
		{"in order", []int64{1, 2, 3, 4}, []time.Duration{1, 2}},
		{"steps back", []int64{10, 30, 20, 40}, []time.Duration{20, 10}},
		{"a pause", []int64{1, 2, 2 + 6*minute, 3 + 6*minute}, []time.Duration{1, 1}},
		{"from 1970", []int64{0, 1700e15, 1700e15 + 5, 1700e15 + 9}, []time.Duration{0, 9}},
		{"far back", []int64{1700e15, 1700e15 + 5, 7, 9}, []time.Duration{5, 2}},
		{"far apart", []int64{math.MinInt64, math.MaxInt64, math.MinInt64, math.MaxInt64}, []time.Duration{0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, labelled.Config{As: feature.AsFixed}, labelled.Source{Path: "made", Label: "A", Span: feature.Span{Rows: 2}, Open: func() (extract.Frames, error) {
				g := frames("bbbb")
				for i := range g.frames {
					g.frames[i].UnixNano = c.times[i]
				}
				return g, nil
			}})
			var got []time.Duration
			for _, r := range all(t, s, labelled.Order{}) {
				got = append(got, r.Covered)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestMemory(t *testing.T) {
	a, b := table(t, "a.csv", repeat("x", 1000)...), table(t, "b.csv", repeat("y", 300)...)
	const rowOctets = 352
	s := open(t, labelled.Config{Memory: 512 * rowOctets}, labelled.Source{Path: a}, labelled.Source{Path: b})
	want := names(all(t, s, labelled.Order{}))
	if kept, sources := s.Kept(); kept != 1 || sources != 2 {
		t.Errorf("%d of %d sources kept", kept, sources)
	}
	if err := os.Remove(b); err != nil { // which fits, and the first does not
		t.Fatal(err)
	}
	if got := names(all(t, s, labelled.Order{})); got != want {
		t.Error("other rows from memory")
	}
	if err := os.Remove(a); err != nil {
		t.Fatal(err)
	}
	if err := s.Each(ctx, func(*labelled.Row) error { return nil }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("kept beyond the limit: %v", err)
	}

	c := table(t, "c.csv", repeat("x", 5000)...)
	s = open(t, labelled.Config{Memory: 1 << 30}, labelled.Source{Path: c})
	n := 0
	pass := func() {
		if err := s.Each(ctx, func(*labelled.Row) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	pass()
	if allocs := testing.AllocsPerRun(5, pass); allocs > 20 {
		t.Errorf("%v allocations in a pass over rows in memory", allocs)
	}
	end := errors.New("end")
	if err := s.Each(ctx, func(*labelled.Row) error { return end }); err != end {
		t.Errorf("%v", err)
	}
}

func TestNonFinite(t *testing.T) {
	text := string(vectorio.AppendHeader(nil, true))
	for _, rate := range []string{"5", "inf", "-inf", "", "-3"} {
		fields := slices.Repeat([]string{"1"}, feature.NumColumns)
		fields[feature.Rate] = rate
		text += strings.Join(fields, ",") + ",x\n"
	}
	path := write(t, "t.csv", text)
	rates := func(s *labelled.Set) string {
		var list []string
		for _, r := range all(t, s, labelled.Order{}) {
			list = append(list, fmt.Sprint(r.Values[feature.Rate]))
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		cfg     labelled.Config
		want    string
		dropped int64
		clamped int64
	}{
		{labelled.Config{}, "5 +Inf -Inf NaN -3", 0, 0},
		{labelled.Config{NonFinite: labelled.Drop}, "5 -3", 3, 0},
		{labelled.Config{NonFinite: labelled.Clamp}, "5 5 -3 0 -3", 0, 3},
		{labelled.Config{NonFinite: labelled.Fail, Columns: []int{feature.IAT}}, "5 +Inf -Inf NaN -3", 0, 0},
		{labelled.Config{NonFinite: labelled.Clamp, Columns: []int{feature.IAT}}, "5 +Inf -Inf NaN -3", 0, 0},
	} {
		s := open(t, c.cfg, labelled.Source{Path: path})
		sum, err := s.Survey(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got := rates(s); got != c.want || sum.Dropped != c.dropped || sum.Clamped != c.clamped || sum.NonFinite["Rate"] != 3 {
			t.Errorf("%v: %s, want %s; %+v", c.cfg.NonFinite, got, c.want, sum)
		}
	}
	s := open(t, labelled.Config{NonFinite: labelled.Fail}, labelled.Source{Path: path})
	err := s.Each(ctx, func(*labelled.Row) error { return nil })
	if e := new(labelled.NonFiniteError); !errors.As(err, &e) || e.Row != 2 || e.Column != "Rate" {
		t.Errorf("%v", err)
	}
	// What float32 cannot hold is not finite either: models compute with that.
	fields := slices.Repeat([]string{"1"}, feature.NumColumns)
	var wide string
	for _, rate := range []string{"5", "1e300", "-1e39", "3e38"} {
		fields[feature.Rate] = rate
		wide += strings.Join(fields, ",") + ",x\n"
	}
	beyond := labelled.Source{Path: write(t, "wide.csv", string(vectorio.AppendHeader(nil, true))+wide)}
	if got := rates(open(t, labelled.Config{NonFinite: labelled.Clamp}, beyond)); got != "5 3e+38 5 3e+38" {
		t.Errorf("clamped: %s", got)
	}
	_, err = open(t, labelled.Config{NonFinite: labelled.Fail}, beyond).Survey(ctx)
	if err == nil || !strings.Contains(err.Error(), `wide.csv: row 2, column "Rate" is 1e+300, beyond the range of float32`) {
		t.Errorf("%v", err)
	}
	var p labelled.Policy
	for _, name := range []string{"pass", "fail", "drop", "clamp"} {
		if err := p.UnmarshalText([]byte(name)); err != nil || p.String() != name {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	if p.UnmarshalText([]byte("x")) == nil {
		t.Error("x is a policy")
	}
}

// BenchmarkEach reads rows from a table, from a capture, and from memory.
func BenchmarkEach(b *testing.B) {
	pass := func(b *testing.B, memory int64, source labelled.Source) {
		s, err := labelled.Open([]labelled.Source{source}, labelled.Config{Memory: memory})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for b.Loop() {
			n = 0
			if err := s.Each(ctx, func(*labelled.Row) error { n++; return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	text := vectorio.AppendHeader(nil, true)
	for i := range 20_000 {
		var v feature.Vector
		for c := range v.Values {
			v.Values[c] = float64(i*c) / 7
		}
		text = append(vectorio.AppendLabel(vectorio.AppendCSV(text, &v), "x"), '\n')
	}
	path := filepath.Join(b.TempDir(), "t.csv")
	if err := os.WriteFile(path, text, 0o666); err != nil {
		b.Fatal(err)
	}
	b.Run("table", func(b *testing.B) { pass(b, 0, labelled.Source{Path: path}) })
	b.Run("memory", func(b *testing.B) { pass(b, 1<<30, labelled.Source{Path: path}) })
	b.Run("traffic", func(b *testing.B) {
		pass(b, 0, labelled.Source{Path: "made", Label: "x", Open: func() (extract.Frames, error) {
			src, err := synth.New("iot-1", 1)
			return &limited{src, 200_000}, err
		}})
	})
}

// limited is traffic with an end.
type limited struct {
	extract.Frames
	left int
}

func (l *limited) Next(f *parse.Frame) error {
	if l.left--; l.left < 0 {
		return io.EOF
	}
	return l.Frames.Next(f)
}
