package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

func pointer[T any](v T) *T { return &v }

func studyHeader(searching string, repeats int) trial.Header {
	h := trial.Header{
		Schema: trial.Schema, Version: "1.0",
		Settings: trial.Settings{
			Unit: "pps", Queue: "1024", Pattern: "constant", Clock: "warp", Feed: "virtual", Stamp: "due", Seed: 1,
		},
		Plan: trial.Plan{
			Engines: []string{"direct", "eager"}, Sizes: []string{"64"}, Caches: []string{"hot"}, Workers: []int{1},
			Repeats: repeats, Trial: time.Second, Search: searching,
		},
		Captures:    []trial.Capture{{Name: "a.pcap", SHA256: "5a", Frames: 10, Octets: 600, WireOctets: 600}},
		Environment: meter.Environment{OS: "linux", Arch: "arm64", Board: "Board", GoVersion: "go1.26", GOMAXPROCS: 4},
	}
	if searching != trial.SearchNone {
		pdr := search.NDR()
		pdr.Name, pdr.LossRatio = "pdr:0.5%", 0.005
		h.Plan.Goals = []search.Goal{search.NDR(), pdr}
		for i := range h.Plan.Goals {
			g := &h.Plan.Goals[i]
			g.FinalTrialDuration, g.DurationSum, g.ExceedRatio, g.Width = time.Second, 21*time.Second, 0.5, 0.005
		}
	}
	return h
}

func cellOf(engine string) trial.Cell {
	return trial.Cell{Engine: engine, Size: "64", Cache: "hot", Workers: 1}
}

// closed is a closed loop of a second in which every packet of 60 octets took ns.
func closed(engine string, repeat int, ns float64) trial.Record {
	n := uint64(1e9 / ns)
	return trial.Record{
		Schema: trial.Schema, Kind: trial.KindService, Cell: cellOf(engine), Repeat: repeat,
		Result: replay.Result{
			Intended: n, Offered: n, Delivered: n, Served: n, Duration: time.Second, Elapsed: time.Second, Busy: time.Second,
			FeedTime: 20 * time.Millisecond,
		},
		Counters: parse.Counters{Frames: n, Octets: 60 * n, WireOctets: 60 * n},
		Usage:    meter.Usage{HeapAllocs: int64(2 * n), EnginePeakOctets: pointer(int64(1 << 20))},
	}
}

// found is the bounds of one goal; 0 is a bound that was not found.
func found(engine string, repeat int, goal search.Goal, lower, upper float64, marks ...string) trial.Record {
	b := &search.Bounds{Goal: goal}
	if lower > 0 {
		b.Lower, b.ConditionalThroughput = &lower, lower
	}
	if upper > 0 {
		b.Upper = &upper
	}
	b.Regular = lower > 0 && upper > 0 && (upper-lower)/upper <= goal.Width
	return trial.Record{Schema: trial.Schema, Kind: trial.KindBounds, Cell: cellOf(engine), Repeat: repeat, Bounds: b, Marks: marks}
}

func at(engine string, repeat int, in trial.Input, dropped uint64, marks ...string) trial.Record {
	return trial.Record{
		Schema: trial.Schema, Kind: trial.KindTrial, Cell: cellOf(engine), Repeat: repeat, Input: in, Marks: marks,
		Result: replay.Result{
			Intended: 1000, Offered: 1000, Dropped: dropped, Delivered: 1000 - dropped, Served: 1000 - dropped,
			Duration: time.Second,
		},
	}
}

// searched is a whole study of two engines, six repeats and two goals in which eager fails now and then.
func searched() (trial.Header, []trial.Record) {
	h := studyHeader(trial.SearchMLR, 6)
	ndr, pdr := h.Plan.Goals[0], h.Plan.Goals[1]
	var records []trial.Record
	for repeat := 1; repeat <= 6; repeat++ {
		upper := 9.04e6
		if repeat > 4 {
			upper = 0 // the highest load was not too much
		}
		lower := 1e6
		if repeat > 4 {
			lower = 0 // the lowest was
		}
		records = append(records, closed("direct", repeat, 100), found("direct", repeat, ndr, 8e6, 8.01e6),
			found("direct", repeat, pdr, 9e6, upper, trial.MarkHostBusy),
			closed("eager", repeat, 1000), found("eager", repeat, ndr, lower, 1.001e6), found("eager", repeat, pdr, 0, 1e3))
	}
	return h, records
}

func TestWriteText(t *testing.T) {
	h, records := searched()
	var b bytes.Buffer
	if err := WriteText(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	const want = `capture   a.pcap: 10 packets, mean 60 B
settings  queue 1024, arrivals constant, clock warp, feed virtual; repeats 6
goal      ndr: loss at most 0 % in trials of 1s, judged on 21s, 50.0 % of it may exceed; width 0.500 %
goal      pdr:0.5%: loss at most 0.500 % in trials of 1s, judged on 21s, 50.0 % of it may exceed; width 0.500 %
machine   Board, linux/arm64, go1.26, GOMAXPROCS 4, pcaplab 1.0

`
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("got\n%s\nwant it to begin with\n%s", b.String(), want)
	}
	var rows [][]string
	for _, line := range strings.Split(strings.TrimPrefix(b.String(), want), "\n") {
		rows = append(rows, columns(line))
	}
	for i, row := range [][]string{
		{"engine", "size", "B/packet", "frames", "time/packet", "CPU/packet", "service", "NDR", "PDR 0.5%", "allocs", "GC/M",
			"peak", "feed", "marks"},
		nil,
		{"direct", "64", "60", "hot", "100 ns [100, 100 ns]", "n/a", "10.0 Mpps [10.0, 10.0 Mpps]",
			"8.00 Mpps [8.00, 8.00 Mpps]", "> 9.00 Mpps [9.00, 9.00 Mpps] (2/6)", "2.0", "0.0", "1.00 MiB", "2.00 %", "host-busy"},
		{"eager", "64", "60", "hot", "1.00 µs [1.00, 1.00 µs]", "n/a", "1.00 Mpps [1.00, 1.00 Mpps]",
			"1.00 Mpps [0 pps, 1.00 Mpps] (2/6 none)", "none", "2.0", "0.0", "1.00 MiB", "2.00 %"},
	} {
		if row != nil && !slices.Equal(rows[i], row) {
			t.Errorf("row %d\n got %q\nwant %q", i, rows[i], row)
		}
	}
}

// columns splits a line of a table: columns are at least two spaces apart.
func columns(line string) (cells []string) {
	for _, s := range strings.Split(line, "  ") {
		if s = strings.TrimSpace(s); s != "" {
			cells = append(cells, s)
		}
	}
	return cells
}

func TestGoalCell(t *testing.T) {
	summary := func(values ...float64) analysis.Summary { return analysis.Summarize(values) }
	tests := []struct {
		name  string
		found analysis.Found
		want  string
	}{
		{"regular", analysis.Found{Rate: summary(8e6), Repeats: 1, Regular: true}, "8.00 Mpps"},
		{"too wide", analysis.Found{Rate: summary(8e6), Repeats: 1, TooWide: 1}, "8.00 Mpps *"},
		{"no load was too much", analysis.Found{Rate: summary(8e6), Repeats: 1, NoUpper: 1}, "> 8.00 Mpps"},
		{"the lowest load was too much", analysis.Found{Rate: summary(0), Repeats: 1, NoLower: 1}, "none"},
		{"no time for any bound", analysis.Found{Repeats: 1, NoTime: 1, NoUpper: 1}, "n/a"},
		{"no time for a lower bound", analysis.Found{Repeats: 1, NoTime: 1}, "n/a"},
		{"no time for an upper bound", analysis.Found{Rate: summary(8e6), Repeats: 1, NoTime: 1, NoUpper: 1}, "> 8.00 Mpps *"},
		{"no time in one of two", analysis.Found{Rate: summary(8e6), Repeats: 2, NoTime: 1}, "8.00 Mpps (1/2 n/a) *"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.found.Goal = "ndr"
			if got := goalCell(&analysis.Ceiling{Goals: []analysis.Found{tt.found}}, "ndr", FormatRate).Text; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestHeading(t *testing.T) {
	tests := []struct {
		name   string
		change func(*trial.Header)
		want   string
	}{
		{"trials", func(*trial.Header) {},
			"settings  queue 1024, arrivals constant, clock warp, feed virtual; trials of 1s; repeats 2\n"},
		{"passes", func(h *trial.Header) { h.Settings.Passes = 3 }, "; trials of 3 passes; repeats 2\n"},
		{"one pass", func(h *trial.Header) { h.Settings.Passes = 1 }, "; trials of 1 pass; repeats 2\n"},
		{"all that is not the default", func(h *trial.Header) {
			s := &h.Settings
			s.Unit, s.Seed, s.Batch, s.Stamp, s.Stages, s.GOGC, s.Memory = "bit/s", 7, 1, "capture", []string{"flow", "feature"}, "50", "1GiB"
			s.RepeatTimes, s.MoveAddresses = true, true
		}, "feed virtual, loads in bit/s of wire octets, stages flow feature, seed 7, batch 1, stamp capture, times repeat, " +
			"addresses move, GOGC 50, GOMEMLIMIT 1GiB; trials of 1s; repeats 2\n"},
		{"rfc 2544", func(h *trial.Header) {
			h.Plan.Search, h.Plan.Goals = trial.SearchRFC2544, studyHeader(trial.SearchMLR, 2).Plan.Goals[:1]
			h.Plan.Goals[0].FinalTrialDuration = time.Minute
		}, "goal      ndr: loss at most 0 % in one trial of 1m0s a step; width 0.500 %\n"},
		{"unfinished comes first", func(*trial.Header) {}, "unfinished: 0 of 4 cells x repeats\ncapture   "},
		{"names of files stay on their line", func(h *trial.Header) { h.Captures[0].Name = "a\nb\x1b.pcap" }, "capture   a b\ufffd.pcap: 10"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := studyHeader(trial.SearchNone, 2)
			tt.change(&h)
			if got := heading(analysis.Analyze(h, nil)); !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s\nwant in it\n%s", got, tt.want)
			}
		})
	}
}

func TestTableNotesSayWhatWasLost(t *testing.T) {
	h := studyHeader(trial.SearchNone, 1)
	h.Captures[0].Losses = []string{"octets 1 to 2", "octets 3 to 4", "octets 5 to 6", "octets 7 to 8", "octets 9 to 10"}
	h.Resizing = []trial.Resizing{
		{Size: "64", Report: rewrite.Report{Size: "64", Frames: 10, Resized: 9, Fragment: 1}},
		{Size: "128", Report: rewrite.Report{Size: "128", Frames: 10, Resized: 8, Trailer: 2}},
	}
	notes := ceilingTable(analysis.Analyze(h, nil)).Notes
	want := []string{
		h.Resizing[0].Report.String(),
		"a.pcap: salvage left out 5 parts: octets 1 to 2; octets 3 to 4; octets 5 to 6; and 2 more",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

// sweep is a study of listed loads with one cell and repeat of four missing.
func sweep() (trial.Header, []trial.Record) {
	h := studyHeader(trial.SearchNone, 2)
	h.Plan.Rates = []trial.Rate{{Value: 0.5, OfService: true}, {Value: 1e6}, {Value: 2, OfRecorded: true}}
	var records []trial.Record
	for i, k := range []struct {
		engine string
		repeat int
	}{{"direct", 1}, {"eager", 1}, {"direct", 2}} {
		records = append(records, closed(k.engine, k.repeat, 100),
			at(k.engine, k.repeat, trial.Input{Load: 5e5 + float64(i), OfService: 0.5}, 0),
			at(k.engine, k.repeat, trial.Input{Load: 1e6}, uint64(10*i), trial.MarkUnsent),
			at(k.engine, k.repeat, trial.Input{Load: 2e6, OfRecorded: 2}, 500))
	}
	return h, append(records, closed("eager", 2, 100)) // cut here
}

func TestWriteTextOfAnUnfinishedSweep(t *testing.T) {
	h, records := sweep()
	var b bytes.Buffer
	if err := WriteText(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if lines[0] != "unfinished: 3 of 4 cells x repeats" || lines[len(lines)-2] != lines[0] && !slices.Contains(lines[1:], lines[0]) {
		t.Errorf("neither the first line nor a warning says that it is unfinished:\n%s", b.String())
	}
	i := slices.Index(lines, "loss against load")
	if i < 0 {
		t.Fatalf("no loss in\n%s", b.String())
	}
	for j, want := range [][]string{
		{"engine", "size", "frames", "intended load", "given as", "trials", "lost", "of intended", "with 2 s drain", "marks"},
		nil,
		{"direct", "64", "hot", "500 kpps", "0.5x", "2", "0", "0 %", "0 %"},
		{"direct", "64", "hot", "1.00 Mpps", "2", "20", "1.00 %", "1.00 %", "unsent"},
		{"direct", "64", "hot", "2.00 Mpps", "2r", "2", "1000", "50.0 %", "50.0 %"},
	} {
		if got := columns(lines[i+1+j]); want != nil && !slices.Equal(got, want) {
			t.Errorf("row %d\n got %q\nwant %q", j, got, want)
		}
	}
	if note := chartNote(analysis.Analyze(h, records)); !strings.HasPrefix(note, "unfinished: 3 of 4 cells x repeats; a.pcap") {
		t.Errorf("chart note %q", note)
	}
}

func TestTablesSayWorkersWhereSeveral(t *testing.T) {
	h, records := sweep()
	for i := range records {
		records[i].Cell.Workers = 2
	}
	r := analysis.Analyze(h, records)
	for _, table := range []*Table{ceilingTable(r), curveTable(r)} {
		j := slices.IndexFunc(table.Columns, func(c Column) bool { return c.Head == "workers" })
		if j < 0 || table.Rows[0][j].Text != "2" {
			t.Errorf("table %q has no workers: %v", table.Title, table.Columns)
		}
		if err := table.check(); err != nil {
			t.Error(err)
		}
	}
}

func TestWriteCSV(t *testing.T) {
	h, records := searched()
	for i := range records { // as of a board that reads no CPU time of one engine, and says some of the other's
		if rec := &records[i]; rec.Kind == trial.KindService && rec.Cell.Engine == "direct" {
			rec.Usage.ProcessCPUNs = pointer(int64(2e9))
		}
	}
	r := analysis.Analyze(h, records)
	var b bytes.Buffer
	if err := WriteCSV(&b, r); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 3 {
		t.Fatalf("%d rows, want a head and two", len(rows))
	}
	cell := func(row int, head string) string {
		t.Helper()
		j := slices.Index(rows[0], head)
		if j < 0 {
			t.Fatalf("no column %q; there are %q", head, rows[0])
		}
		return rows[row][j]
	}
	number := func(row int, head string, want float64) {
		t.Helper()
		if got, err := strconv.ParseFloat(cell(row, head), 64); err != nil || math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s of %s is %q, want %v", head, rows[row][0], cell(row, head), want)
		}
	}
	number(1, "mean_octets", 60)
	number(1, "repeats", 6)
	number(1, "ns_per_packet", r.Ceilings[0].NS.Median)
	number(1, "cpu_ns_per_packet", 200)
	number(1, "cpu_ns_per_packet_n", 6)
	number(1, "service_pps", 1e7)
	number(1, "service_pps_low", 1e7)
	number(1, "allocs_per_packet", 2)
	number(1, "engine_peak_octets", 1<<20)
	number(1, "feed_share", 0.02)
	number(1, "ndr_pps", 8e6)
	number(1, "ndr_pps_smallest_lower", 8e6)
	number(1, "ndr_pps_largest_upper", 8.01e6)
	number(2, "ndr_pps", 1e6)
	number(2, "ndr_pps_low", 0)
	number(2, "ndr_pps_n", 6)
	number(2, "pdr:0.5%_pps", 0)
	for _, tt := range []struct {
		row        int
		head, want string
	}{
		{1, "engine", "direct"}, {1, "size", "64"}, {1, "cache", "hot"}, {1, "workers", "1"}, {1, "skew", ""},
		{2, "cpu_ns_per_packet", ""}, {2, "cpu_ns_per_packet_low", ""}, {2, "cpu_ns_per_packet_n", "0"},
		{1, "instructions_per_packet", ""},
		{1, "ndr_regular", "true"}, {1, "ndr_repeats_without_lower", "0"}, {1, "ndr_repeats_without_upper", "0"},
		{1, "pdr:0.5%_regular", "false"}, {1, "pdr:0.5%_repeats_without_upper", "2"}, {1, "pdr:0.5%_pps_largest_upper", ""},
		{2, "ndr_regular", "false"}, {2, "ndr_repeats_without_lower", "2"}, {2, "ndr_pps_smallest_lower", ""},
		{2, "pdr:0.5%_repeats_without_lower", "6"}, {1, "ndr_repeats_without_time", "0"}, {2, "pdr:0.5%_repeats_without_time", "0"},
		{1, "marks", "host-busy"}, {2, "marks", ""},
	} {
		if got := cell(tt.row, tt.head); got != tt.want {
			t.Errorf("%s of %s is %q, want %q", tt.head, rows[tt.row][0], got, tt.want)
		}
	}
	heads := slices.Clone(rows[0])
	slices.Sort(heads)
	if len(slices.Compact(heads)) != len(rows[0]) {
		t.Errorf("heads are named twice: %q", rows[0])
	}

	cut := found("direct", 1, h.Plan.Goals[0], 0, 0)
	cut.Bounds.Marks = []string{search.MarkBudget}
	b.Reset()
	if err := WriteCSV(&b, analysis.Analyze(h, []trial.Record{closed("direct", 1, 100), cut})); err != nil {
		t.Fatal(err)
	}
	whole := rows[0]
	if rows, err = csv.NewReader(&b).ReadAll(); err != nil {
		t.Fatal(err)
	}
	for head, want := range map[string]string{
		"ndr_pps": "", "ndr_repeats_without_time": "1", "ndr_repeats_without_lower": "0", "ndr_regular": "false",
	} {
		if got := cell(1, head); got != want {
			t.Errorf("a search that ended with its window: %s is %q, want %q", head, got, want)
		}
	}
	if !slices.Equal(rows[0], whole) {
		t.Errorf("heads %q, otherwise %q", rows[0], whole)
	}

	h.Settings.Unit = "bit/s"
	h.Plan.Repeats = 2
	b.Reset()
	if err := WriteCSV(&b, analysis.Analyze(h, records[:3])); err != nil {
		t.Fatal(err)
	}
	if rows, err = csv.NewReader(&b).ReadAll(); err != nil {
		t.Fatal(err)
	}
	number(1, "service_bit_per_s", 1e7*480)
	if cell(1, "service_bit_per_s_low") != "" {
		t.Error("an interval of one repeat")
	}
	cell(1, "ndr_bit_per_s")
}

func TestWriteJSON(t *testing.T) {
	h, records := sweep()
	var b bytes.Buffer
	if err := WriteJSON(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	d := json.NewDecoder(&b)
	for {
		var line struct {
			Kind          string
			Planned, Done int
			Warnings      []string
			Captures      []trial.Capture
			Plan          trial.Plan
			Points        []analysis.CurvePoint
		}
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, line.Kind)
		switch line.Kind {
		case "study":
			if line.Planned != 4 || line.Done != 3 || !slices.Contains(line.Warnings, "unfinished: 3 of 4 cells x repeats") ||
				len(line.Captures) != 1 || line.Captures[0].SHA256 != "5a" || line.Plan.Repeats != 2 {
				t.Errorf("study %+v", line)
			}
		case "curve":
			if len(line.Points) != 3 || !slices.Equal(line.Points[1].Marks, []string{trial.MarkUnsent}) {
				t.Errorf("curve %+v", line.Points)
			}
		}
	}
	if want := []string{"study", "ceiling", "ceiling", "curve", "curve"}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %q, want %q", kinds, want)
	}
}

func TestWriteStudyBenchfmt(t *testing.T) {
	t.Run("search", func(t *testing.T) {
		h, records := searched()
		h.Captures = append(h.Captures, trial.Capture{Name: "b\n.pcap", SHA256: "6b"})
		h.Settings.Stages = []string{"flow"}
		f := bench(t, h, records)
		for key, want := range map[string]string{
			"capture": "a.pcap sha256:5a, b .pcap sha256:6b", "stages": "flow", "pattern": "constant", "feed": "virtual",
			"unit": "pps", "seed": "1", "machine": "Board, linux/arm64, go1.26, GOMAXPROCS 4, pcaplab 1.0", "trial": "1s",
			"unfinished": "",
		} {
			if f.config[key] != want {
				t.Errorf("setting %s is %q, want %q", key, f.config[key], want)
			}
		}
		var ndr []float64
		for _, r := range f.results {
			if r.name == "BenchmarkCeiling/engine=eager/size=64/cache=hot-1" {
				v, ok := r.values["ndr-pps"]
				if !ok {
					t.Errorf("a repeat is without ndr: %v", r.values)
				}
				ndr = append(ndr, v)
			}
		}
		if !slices.Equal(ndr, []float64{1e6, 1e6, 1e6, 1e6, 0, 0}) {
			t.Errorf("ndr of eager is %v, want 0 in the repeats that sustained nothing", ndr)
		}
	})
	t.Run("unfinished sweep", func(t *testing.T) {
		h, records := sweep()
		f := bench(t, h, records)
		if f.config["unfinished"] != "3/4" {
			t.Errorf("unfinished %q, want 3/4", f.config["unfinished"])
		}
		if f.better["loss-ratio"] != "lower" || f.better["delivered-pps"] != "higher" {
			t.Errorf("units %v", f.better)
		}
		loss := map[string][]float64{}
		for _, r := range f.results {
			if v, ok := r.values["loss-ratio"]; ok {
				loss[r.name] = append(loss[r.name], v)
				if math.Abs(r.values["delivered-pps"]-1000*(1-v)) > 1e-9 {
					t.Errorf("%s: delivered %v at a loss of %v", r.name, r.values["delivered-pps"], v)
				}
			}
		}
		const name = "BenchmarkTrial/engine=direct/size=64/cache=hot/load="
		for load, want := range map[string][]float64{"0.5x": {0, 0}, "1000000pps": {0, 0.02}, "2r": {0.5, 0.5}} {
			if !slices.Equal(loss[name+load+"-1"], want) {
				t.Errorf("loss at %s is %v, want %v; there are %v", load, loss[name+load+"-1"], want, loss)
			}
		}
	})
}

func bench(t *testing.T, h trial.Header, records []trial.Record) benchFile {
	t.Helper()
	var b bytes.Buffer
	if err := WriteStudyBenchfmt(&b, h, records); err != nil {
		t.Fatal(err)
	}
	f, err := readBench(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRingFeedShareIsUnknown(t *testing.T) {
	h := studyHeader(trial.SearchNone, 1)
	h.Settings.Feed = "ring"
	r := analysis.Analyze(h, []trial.Record{closed("direct", 1, 100)})
	table := ceilingTable(r)
	j := slices.IndexFunc(table.Columns, func(c Column) bool { return c.Head == "feed" })
	if table.Rows[0][j].Text != "n/a" {
		t.Errorf("feed share of a ring is %q, want n/a", table.Rows[0][j].Text)
	}
}
