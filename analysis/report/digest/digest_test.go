package digest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
	"pcaplab/analysis/report/page/pagetest"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

func pointer[T any](v T) *T { return &v }

// lab makes the records of studies by hand.
type lab struct {
	h       trial.Header
	records []trial.Record
	size    string
	cache   string
	workers int
	octets  uint64 // of each packet
}

func newLab(repeats int, engines ...string) *lab {
	l := &lab{size: "64", cache: "cold", workers: 1, octets: 60}
	l.h = trial.Header{
		Schema: trial.Schema, Version: "1.0", Command: "ceiling", Started: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Settings: trial.Settings{Unit: "pps", Queue: "pcap-2MiB", Pattern: "constant", Clock: "warp", Feed: "virtual", Stamp: "due", Seed: 1},
		Plan: trial.Plan{
			Engines: engines, Sizes: []string{"64"}, Caches: []string{"cold"}, Workers: []int{1}, Repeats: repeats, Trial: time.Second,
			Search: trial.SearchMLR, Goals: []search.Goal{search.NDR()},
		},
		Captures: []trial.Capture{{Name: "home.pcap", Path: "/home/somebody/home.pcap", SHA256: "5a", Frames: 10, Octets: 600, WireOctets: 600}},
		Environment: meter.Environment{OS: "linux", Arch: "arm64", Board: "Raspberry Pi 3 Model B Rev 1.2", CPU: "Cortex-A53", CoresOnline: pointer(int64(4)),
			GoVersion: "go1.26", GOMAXPROCS: 4, GOGCPercent: 100, GOMEMLIMITOctets: -1},
	}
	l.h.Plan.Goals[0].FinalTrialDuration, l.h.Plan.Goals[0].DurationSum, l.h.Plan.Goals[0].Width = time.Second, 21*time.Second, 0.005
	return l
}

func (l *lab) record(kind, engine string, repeat int) *trial.Record {
	l.records = append(l.records, trial.Record{Schema: trial.Schema, Kind: kind, Repeat: repeat,
		Cell: trial.Cell{Engine: engine, Size: l.size, Cache: l.cache, Workers: l.workers}})
	return &l.records[len(l.records)-1]
}

// closed adds a closed loop of a second in which a packet took ns.
func (l *lab) closed(engine string, repeat int, ns float64, marks ...string) *trial.Record {
	rec := l.record(trial.KindService, engine, repeat)
	n := uint64(math.Round(1e9 / ns))
	rec.Result = replay.Result{Intended: n, Offered: n, Delivered: n, Served: n, Duration: time.Second, Elapsed: time.Second, Busy: time.Second}
	rec.Counters = parse.Counters{Frames: n, Octets: l.octets * n, WireOctets: l.octets * n}
	rec.Usage = meter.Usage{WallNs: 1e9, ProcessCPUNs: pointer(int64(1e9)), EnginePeakOctets: pointer(int64(3 << 20))}
	rec.Marks = marks
	return rec
}

// found adds what a search found; 0 is a bound that it did not find.
func (l *lab) found(engine string, repeat int, lower, upper float64, marks ...string) {
	rec := l.record(trial.KindBounds, engine, repeat)
	rec.Marks = marks
	rec.Bounds = &search.Bounds{Goal: l.h.Plan.Goals[0], Regular: lower > 0 && upper > 0}
	if lower > 0 {
		rec.Bounds.Lower, rec.Bounds.ConditionalThroughput = &lower, lower
	}
	if upper > 0 {
		rec.Bounds.Upper = &upper
	}
}

// at adds a trial of a million packets at a load.
func (l *lab) at(engine string, repeat int, load float64, lost uint64, marks ...string) *trial.Record {
	rec := l.record(trial.KindTrial, engine, repeat)
	rec.Input.Load = load
	rec.Result = replay.Result{Intended: 1e6, Offered: 1e6, Dropped: lost, Delivered: 1e6 - lost, Duration: time.Second}
	rec.Usage.WallNs = 1e9
	rec.Marks = marks
	return rec
}

// cell adds a repeat of a cell whose closed loop takes ns, with the rate that the search found.
func (l *lab) cell(engine string, repeat int, ns, rate float64) {
	l.closed(engine, repeat, ns)
	l.found(engine, repeat, rate, 1.001*rate)
}

// write makes a results folder.
func (l *lab) write(t testing.TB, path string) {
	t.Helper()
	f, err := report.Create(path, l.h)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range l.records {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) source(t testing.TB, name string) *report.Source {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	l.write(t, dir)
	list, err := Read([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// pi is a study of two engines on a board with a port of 100 Mbit/s.
func pi() *lab {
	l := newLab(6, "direct", "eager")
	for repeat := 1; repeat <= 6; repeat++ {
		l.cell("direct", repeat, 1500, 600e3+2e3*float64(repeat))
		l.cell("eager", repeat, 16000, 61e3+100*float64(repeat))
	}
	return l
}

func TestAnswerIsMadeFromTheNumbers(t *testing.T) {
	lower := newLab(6, "direct") // no load was too much in two repeats
	for repeat := 1; repeat <= 6; repeat++ {
		lower.closed("direct", repeat, 100)
		lower.found("direct", repeat, 9e6, map[bool]float64{true: 9.001e6}[repeat < 5])
	}
	lower.h.Environment.Board, lower.h.Environment.Virtual = "", pointer(true)
	lower.h.Settings.Stages = []string{"features", "model=/home/somebody/forest.onnx:drop"}
	quick := newLab(3, "direct")
	quick.h.Plan.Quick, quick.h.Plan.Trial = true, 100*time.Millisecond
	for repeat := 1; repeat <= 3; repeat++ {
		quick.closed("direct", repeat, 100, trial.MarkFeedLimited, trial.MarkThrottled)
		quick.found("direct", repeat, 9e6+1e5*float64(repeat), 9.5e6)
	}
	none := newLab(6, "direct")
	for repeat := 1; repeat <= 6; repeat++ {
		none.closed("direct", repeat, 100)
		none.found("direct", repeat, 0, 1e3)
	}
	same := newLab(6, "a", "b")
	for repeat := 1; repeat <= 6; repeat++ {
		d := 1e3 * float64(repeat%3)
		same.cell("a", repeat, 100, 1e6+d)
		same.cell("b", repeat, 100, 1.0008e6-d)
	}
	sweep := newLab(1, "direct")
	sweep.h.Plan.Search, sweep.h.Plan.Goals = trial.SearchNone, nil
	sweep.closed("direct", 1, 1000)
	for _, load := range []float64{1e5, 5e5, 9e5, 2e6} {
		sweep.at("direct", 1, load, map[float64]uint64{9e5: 1000, 2e6: 500000}[load])
	}
	sizes := newLab(6, "direct")
	sizes.h.Plan.Sizes = []string{"1518", "64", "512"}
	for _, size := range []uint64{64, 512, 1518} {
		sizes.size, sizes.octets = strconv.FormatUint(size, 10), size-4
		for repeat := 1; repeat <= 6; repeat++ {
			ns := 500 + float64(size-4)
			sizes.cell("direct", repeat, ns, 0.9e9/ns)
		}
	}
	bits := newLab(6, "direct")
	bits.h.Settings.Unit = "bit/s"
	for repeat := 1; repeat <= 6; repeat++ {
		bits.cell("direct", repeat, 1000, 480e6) // a million packets of 60 octets
	}
	empty := newLab(6, "direct")
	for _, tt := range []struct {
		name string
		lab  *lab
		want []string
	}{
		{"a board", pi(), []string{
			"direct: 607 kpps at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), the fastest of 2 engines, 4.1x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the NDR (no packet lost), 96.9 %: 602 to 612 kpps.",
			"The others: eager 61.4 kpps (direct is 9.9x as fast, 96.9 %: 9.9x).",
			"direct takes 1.50 µs of CPU a packet, so 91.0 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
		}},
		{"a lower limit, stages, a port that is not known", lower, []string{
			"direct + features + model (forest.onnx): at least 9.00 Mpps at 64 B on Cortex-A53 (4 CPUs, virtual), at least 60x the line rate of 100 Mbit/s and at least 6.0x that of 1 Gbit/s.",
			"It is the NDR (no packet lost), 96.9 %: 9.00 Mpps; a lower limit: no load was too much in 2 of 6 repeats. The machine's port is not known: line rates are for reference.",
			"direct takes 100 ns of CPU a packet, so 90.0 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
		}},
		{"quick", quick, []string{
			"direct: 9.20 Mpps at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), 62x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the NDR (no packet lost), median of 3 repeats, 9.10 to 9.30 Mpps, no interval; feed-limited: the feed's own time is a part of it, so it is a lower limit of the parser's; the board was throttled; a quick look, not for publication.",
			"direct takes 100 ns of CPU a packet, so 92.0 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
		}},
		{"no rate", none, []string{
			"direct sustains no load that was tried at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs) (NDR).",
			"direct takes 100 ns of CPU a packet; at most 3.00 MiB of memory beside the capture.",
		}},
		{"not told apart", same, []string{
			"a: 1.00 Mpps at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), by the median, the fastest of 2 engines, 6.7x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the NDR (no packet lost), 96.9 %: 1.00 Mpps.",
			"The others: b 1.00 Mpps (not told apart from a).",
			"a takes 100 ns of CPU a packet, so 10.0 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
		}},
		{"a sweep", sweep, []string{
			"direct: 1.00 Mpps at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), 6.7x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the service ceiling (as fast as packets are taken: loss was not searched), one repeat, no interval.",
			"direct takes 1.00 µs of CPU a packet; at most 3.00 MiB of memory beside the capture.",
			"direct lost nothing at listed loads up to 500 kpps, and 0.100 % at the next, 900 kpps.",
		}},
		{"sizes", sizes, []string{
			"direct: 1.61 Mpps at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), 11x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the NDR (no packet lost), 96.9 %: 1.61 Mpps.",
			"direct: 447 kpps at 1518 B, 55x the line rate of its port (100 Mbit/s: 8.13 kpps).",
			"It is the NDR (no packet lost), 96.9 %: 447 kpps.",
			"direct takes 560 ns of CPU a packet, so 90.0 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
			"The cost of direct is 500 ns a packet and 100 ns for each 100 B, from 60 to 1514 B (mean misfit 0.000010 %).",
		}},
		{"loads in bit/s", bits, []string{
			"direct: 480 Mbit/s at 64 B on Raspberry Pi 3 Model B Rev 1.2 (4 CPUs), 6.7x the line rate of its port (100 Mbit/s: 149 kpps).",
			"It is the NDR (no packet lost), 96.9 %: 480 Mbit/s.",
			"direct takes 1.00 µs of CPU a packet, so 100 % of one CPU at that rate; at most 3.00 MiB of memory beside the capture.",
		}},
		{"nothing yet", empty, []string{"nothing to report yet: unfinished: 0 of 6 cells x repeats."}},
	} {
		got := Answer([]*report.Source{tt.lab.source(t, "r")})
		for i := range got { // how well a line fits rounded counts is no matter
			if at := strings.Index(got[i], " (mean misfit "); at >= 0 {
				got[i] = got[i][:at]
			}
		}
		want := slices.Clone(tt.want)
		for i := range want {
			if at := strings.Index(want[i], " (mean misfit "); at >= 0 {
				want[i] = want[i][:at]
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestLineRatesAreThoseOfTheStandard(t *testing.T) {
	// RFC 2544's sizes on 10/100/1000BASE-T: 1 / ((size + 20) * 8) of the rate, as RFC 2889 and IEEE 802.3 have them.
	for _, tt := range []struct {
		l      link
		octets float64
		want   float64
	}{
		{references[0], 60, 148809}, {references[0], 124, 84459}, {references[0], 1514, 8127},
		{references[1], 60, 1488095}, {references[1], 508, 234962}, {references[1], 1514, 81274},
		{references[0], 20, 148809}, // padded
		{link{"1 Gbit/s", 1e9, 300e6}, 60, 585937}, {link{"1 Gbit/s", 1e9, 300e6}, 1514, 24703},
	} {
		if got := math.Floor(tt.l.packets(tt.octets)); got != tt.want {
			t.Errorf("%s, %g octets: %g pps, want %g", tt.l.name, tt.octets, got, tt.want)
		}
	}
	for board, want := range map[string]string{
		"Raspberry Pi 3 Model B Rev 1.2": "100 Mbit/s", "Raspberry Pi 3 Model B Plus Rev 1.3": "1 Gbit/s behind a bus of 300 Mbit/s", "Raspberry Pi 5 Model B Rev 1.0": "1 Gbit/s",
		"Raspberry Pi Zero 2 W Rev 1.0": "", "Some Board": "", "": "",
	} {
		l, ok := portOf(&meter.Environment{Board: board})
		if ok != (want != "") || l.name != want {
			t.Errorf("%q: %v %v, want %q", board, l, ok, want)
		}
	}
	if l, _ := portOf(&meter.Environment{Board: "Raspberry Pi 3 Model B Plus Rev 1.3"}); l.bus != 300e6 {
		t.Errorf("the bus of a 3B+ is not taken: %v", l)
	}
}

func TestDoubtsNameEngineCellAndCount(t *testing.T) {
	l := newLab(4, "direct", "eager")
	for repeat := 1; repeat <= 4; repeat++ {
		rec := l.closed("direct", repeat, 100)
		if repeat < 3 {
			rec.Marks = []string{trial.MarkThrottled}
		}
		rec.Usage.FrequencyAfterHz = pointer(int64(1.2e9))
		if repeat == 4 {
			rec.Usage.FrequencyAfterHz = pointer(int64(6e8))
		}
		l.found("direct", repeat, 9e6, 0)
		rec = l.closed("eager", repeat, 100)
		rec.Usage.StealNs = pointer(int64(8e8)) // of four seconds on four CPUs
		rec.Usage.CalibrationBeforeNs, rec.Usage.CalibrationAfterNs = 1000, 1300
		if repeat > 1 {
			rec.Usage.StealNs, rec.Usage.CalibrationAfterNs = pointer(int64(0)), 1010
		}
		l.found("eager", repeat, 1e6, 1.001e6)
		unsent := l.at("eager", repeat, 5e6, 0, trial.MarkUnsent)
		unsent.Result.Unsent = 3000
	}
	got := Doubts([]*report.Source{l.source(t, "r")})
	want := []Doubt{
		{trial.MarkThrottled, "throttled in 2 of 12 trials: the board lowered its clock", []string{"direct 64 cold: 2 of 4 trials"}, 2, 12},
		{DoubtClock, "the clock of the processor changed between trials, as the kernel tells", []string{"direct 64 cold: 600 to 1200 MHz"}, 0, 0},
		{DoubtClock, "in 1 of 4 trials a fixed loop took over 10.0 % longer at one end than at the other, at worst 30.0 %: the clock changed, or other work had the CPU",
			[]string{"eager 64 cold: 1 of 4 trials"}, 1, 4},
		{DoubtSteal, "the hypervisor gave over 1.00 % of the CPUs' time to others", []string{"eager 64 cold: 5.00 % over 8 trials"}, 0, 0},
		{trial.MarkUnsent, "unsent in 4 of 12 trials: the feed could not offer the whole load (0.300 % of one at worst)", []string{"eager 64 cold: 4 of 8 trials"}, 4, 12},
		{DoubtIrregular, "NDR is not regular everywhere", []string{"direct 64 cold: no load was too much (raise --max-load) in 4 of 4 repeats"}, 0, 0},
		{DoubtRepeats, "4 runs cannot give 95 %: no interval of the median below 6", nil, 0, 0},
	}
	slices.SortStableFunc(got, func(a, b Doubt) int { return 0 })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", lines(got), lines(want))
	}
	// The same study twice: what both have is said once.
	both := Doubts([]*report.Source{l.source(t, "a"), l.source(t, "b")})
	if len(both) != len(want) || both[0].Of != 24 || !slices.Contains(both[0].Where, "b: direct 64 cold: 2 of 4 trials") || !slices.Equal(both[len(both)-1].Where, []string{"a", "b"}) {
		t.Errorf("of two sources\n%s", lines(both))
	}
	if clean := Doubts([]*report.Source{pi().source(t, "r")}); len(clean) != 0 {
		t.Errorf("of a study without doubts:\n%s", lines(clean))
	}
}

func lines(list []Doubt) string {
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "%+v\n", d)
	}
	return b.String()
}

func TestSourcesThatDifferAreSaid(t *testing.T) {
	a, b := pi(), pi()
	b.h.Settings.Queue = "1024"
	b.h.Captures[0].SHA256 = "77"
	b.h.Environment.Board = "Raspberry Pi 5 Model B Rev 1.0" // is what is compared
	got := Doubts([]*report.Source{a.source(t, "a"), b.source(t, "b")})
	if len(got) != 1 || got[0].Kind != DoubtDiffer || !strings.Contains(got[0].Text, "(capture, queue)") {
		t.Errorf("got %s", lines(got))
	}
}

func TestCSVHasWhatAnalyzeFound(t *testing.T) {
	l := pi()
	l.h.Settings.Stages = []string{"features"}
	s := l.source(t, "r")
	var b bytes.Buffer
	if err := Table(Rows([]*report.Source{s})).WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := func(name string) int {
		i := slices.Index(all[0], name)
		if i < 0 {
			t.Fatalf("no column %s in %v", name, all[0])
		}
		return i
	}
	number := func(row []string, name string) float64 {
		v, err := strconv.ParseFloat(row[column(name)], 64)
		if err != nil {
			t.Fatalf("%v: %s: %v", row, name, err)
		}
		return v
	}
	results := analysis.Analyze(l.h, l.records)
	seen := 0
	for i := range results.Ceilings {
		c := &results.Ceilings[i]
		for measure, want := range map[string]analysis.Summary{"ndr": c.Goals[0].Rate, "service": c.Service, "time_per_packet": c.NS, "cpu_per_packet": c.CPUNS, "engine_peak": c.Peak} {
			for _, row := range all[1:] {
				if row[column("engine")] != c.Cell.Engine || row[column("measure")] != measure {
					continue
				}
				seen++
				if number(row, "median") != want.Median || number(row, "low") != want.Interval.Low || number(row, "high") != want.Interval.High ||
					number(row, "coverage") != want.Interval.Coverage || number(row, "n") != float64(want.N) {
					t.Errorf("%s, %s: got %v, want %+v", c.Cell.Engine, measure, row, want)
				}
			}
		}
	}
	if seen != 10 {
		t.Errorf("%d rows were found, want 10", seen)
	}
}

// TestCSVNamesMachines: of a study that several measured, and of one that one did.
func TestCSVNamesMachines(t *testing.T) {
	l := pi()
	cells := analysis.Analyze(l.h, l.records).Ceilings
	l.h.Hosts = []trial.Host{{Name: "machine 1", Cells: []trial.Cell{cells[0].Cell}}, {Name: "machine 2", Cells: []trial.Cell{cells[1].Cell}}}
	for _, s := range []struct {
		source *report.Source
		want   [2]string
	}{{l.source(t, "two"), [2]string{"machine 1", "machine 2"}}, {pi().source(t, "one"), [2]string{}}} {
		table := Table(Rows([]*report.Source{s.source}))
		at := slices.IndexFunc(table.Columns, func(c report.Column) bool { return c.Head == "machine" })
		engine := slices.IndexFunc(table.Columns, func(c report.Column) bool { return c.Head == "engine" })
		for _, row := range table.Rows {
			for i, want := range s.want {
				if row[engine].Text == cells[i].Cell.Engine && row[at].Text != want {
					t.Errorf("%s: %q, want %q", row[engine].Text, row[at].Text, want)
				}
			}
		}
	}
}

func TestJSONComesBack(t *testing.T) {
	sources := []*report.Source{pi().source(t, "a"), pi().source(t, "b")}
	j := ToJSON(sources, Config{Title: "T", Maker: "pcaplab 1"})
	var b bytes.Buffer
	if err := WriteJSON(&b, j); err != nil {
		t.Fatal(err)
	}
	var back JSON
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Schema != Schema || back.Title != "T" || !slices.Equal(back.Answer, Answer(sources)) || len(back.Sources) != 2 {
		t.Errorf("got %+v", back)
	}
	if !reflect.DeepEqual(back.Rows, Rows(sources)) {
		t.Error("rows differ")
	}
	if len(back.Sources[1].Study.Ceilings) != 2 || back.Sources[1].Study.Ceilings[0].Goals[0].Rate.Median != sources[1].Study.Ceilings[0].Goals[0].Rate.Median {
		t.Error("results differ")
	}
}

func TestEqualFoldersGiveEqualPages(t *testing.T) {
	write := func() []byte {
		var b bytes.Buffer
		if err := page.Write(&b, Compose([]*report.Source{pi().source(t, "same")}, Config{Raw: true, Maker: "pcaplab 1"})); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := write()
	if !bytes.Equal(first, write()) {
		t.Error("two pages of equal folders differ")
	}
	if bytes.Contains(first, []byte("somebody")) {
		t.Error("a path of the machine is in the page")
	}
	if !bytes.Contains(first, []byte("607 kpps at 64 B")) {
		t.Error("the answer is not in the page")
	}
}

func TestMarkdown(t *testing.T) {
	l := pi()
	l.h.Captures[0].Name = "a|b*<script>_x_.pcap"
	l.h.Plan.Sizes = []string{"captured"}
	for i := range l.records {
		l.records[i].Cell.Size = "captured"
	}
	doc := Compose([]*report.Source{l.source(t, "r_1")}, Config{})
	var b bytes.Buffer
	if err := WriteMarkdown(&b, doc, "my figures"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"# Report: r\\_1\n", "\ndirect: 607 kpps of a\\|b\\*&lt;script&gt;\\_x\\_.pcap (mean 60 B a packet)", "![Ceilings](my%20figures/ceilings.png)",
		"| engine | size", "## Machines and settings"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "<script>") {
		t.Error("markup of a name is in the text")
	}
	b.Reset()
	if err := WriteMarkdown(&b, doc, ""); err != nil || strings.Contains(b.String(), "![") {
		t.Errorf("without figures: %v\n%s", err, b.String())
	}
}

func TestNamesTellSourcesApart(t *testing.T) {
	dir := t.TempDir()
	l := pi()
	for _, path := range []string{"a/results", "b/results", "boards/pi3", "boards/pi4", "c/boards/pi3"} {
		l.write(t, filepath.Join(dir, path))
	}
	for _, tt := range []struct {
		folders []string
		want    string
	}{
		{[]string{"a/results"}, "results"},
		{[]string{"a/results", "b/results"}, "a/results b/results"},
		{[]string{"boards"}, "pi3 pi4"},
		{[]string{"boards", "a/results"}, "boards/pi3 boards/pi4 results"},
		{[]string{"boards", "c/boards"}, "boards/pi3 boards/pi4 c/boards/pi3"},
	} {
		var folders []string
		for _, f := range tt.folders {
			folders = append(folders, filepath.Join(dir, f))
		}
		sources, err := Read(folders)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(Names(sources), " ")
		got = strings.ReplaceAll(got, filepath.ToSlash(filepath.Base(dir))+"/", "")
		if got != tt.want {
			t.Errorf("%v: %s, want %s", tt.folders, got, tt.want)
		}
	}
	if _, err := Read([]string{filepath.Join(dir, "boards"), filepath.Join(dir, "boards", "pi4")}); err == nil || !strings.Contains(err.Error(), "the same results folder") {
		t.Errorf("a folder named twice: %v", err)
	}
	if err := os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "z")); err == nil {
		if _, err := Read([]string{filepath.Join(dir, "a", "results"), filepath.Join(dir, "z", "results")}); err == nil {
			t.Error("a folder and a link to it")
		}
	}
}

// TestFullRun wants the page of 200 trials below 1.5 MB, records included, and nothing wrong with it in a browser.
func TestFullRun(t *testing.T) {
	l := newLab(6, "direct", "layers", "lazy", "eager")
	trials := 0
	for repeat := 1; repeat <= 6; repeat++ {
		for i, engine := range l.h.Plan.Engines {
			l.cell(engine, repeat, 100*float64(i+1), 9e6/float64(i+1))
			for k := range 8 {
				l.at(engine, repeat, 9e6/float64(i+1)*(0.9+0.03*float64(k)+0.0017*float64(repeat)), uint64(1000*max(0, k-3)))
				trials++
			}
		}
	}
	if trials+24 < 200 {
		t.Fatalf("%d trials", trials)
	}
	var b bytes.Buffer
	if err := page.Write(&b, Compose([]*report.Source{l.source(t, "full")}, Config{Raw: true})); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d trials: %d octets", trials+24, b.Len())
	if b.Len() > 1.5e6 {
		t.Errorf("%d octets", b.Len())
	}
	t.Run("in a browser", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short: no browser")
		}
		browser := pagetest.Start(t)
		file := filepath.Join(t.TempDir(), "full.html")
		if err := os.WriteFile(file, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		browser.Check(t, file, "full-run")
	})
}

// TestEveryFigureHasANameOfItsOwn wants documents of many sources that page takes.
func TestEveryFigureHasANameOfItsOwn(t *testing.T) {
	var sources []*report.Source
	for _, name := range []string{"Ä ö", "a-b", "a b", "overview", strings.Repeat("long", 40)} {
		sources = append(sources, pi().source(t, name))
	}
	var b bytes.Buffer
	doc := Compose(sources, Config{})
	if err := page.Write(&b, doc); err != nil {
		t.Error(err)
	}
	if len(doc.Sections) != 6 || len(doc.Raw) != 0 || len(doc.Sections[0].Tables[0].Table.Rows) != 10 {
		t.Errorf("%d sections, %d raw files", len(doc.Sections), len(doc.Raw))
	}
}
