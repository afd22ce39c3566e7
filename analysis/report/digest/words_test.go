package digest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/replay"
	"pcaplab/replay/external"
	"pcaplab/replay/live"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// TestRatiosSayWhatTheyAreOf: repeats without a lower bound, engines on two machines, and a median that the pairs contradict.
func TestRatiosSayWhatTheyAreOf(t *testing.T) {
	lossy := pi()
	for i := range lossy.records {
		if rec := &lossy.records[i]; rec.Kind == trial.KindBounds && rec.Cell.Engine == "eager" && rec.Repeat < 3 {
			rec.Bounds.Lower, rec.Bounds.ConditionalThroughput = nil, 0
		}
	}
	moved := pi()
	moved.h.Hosts = []trial.Host{{Name: "machine 1", Machine: "Pi 3", Cells: []trial.Cell{{Engine: "direct", Size: "64", Cache: "cold", Workers: 1}}},
		{Name: "machine 2", Machine: "Pi 5", Cells: []trial.Cell{{Engine: "eager", Size: "64", Cache: "cold", Workers: 1}}}}
	half := pi()
	half.h.Plan.Engines = []string{"direct", "eager", "lazy"}
	mean := pi()
	for i := range mean.records {
		if c := &mean.records[i].Counters; c.Frames > 0 {
			c.WireOctets = 94 * c.Frames
		}
	}
	for _, tt := range []struct {
		name, want string
		lab        *lab
	}{
		{"no lower bound", "eager 61.4 kpps (not compared: 2 of 6 repeats of eager had no lower bound)", lossy},
		{"two machines", "(not compared with direct: measured on machine 2 (Pi 5))", moved},
		{"their headline", "direct: 607 kpps at 64 B on machine 1 (Pi 3), the fastest", moved},
		{"whose cost it is", "\ndirect on machine 1 takes ", moved},
		{"unfinished", "the fastest of the 2 of 3 engines measured so far, 4.1x", half},
		{"a mean that is not the size", "607 kpps at 64 B (mean 98 B) on", mean},
	} {
		if got := strings.Join(Answer([]*report.Source{tt.lab.source(t, "r")}), "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q is not in\n%s", tt.name, tt.want, got)
		}
	}
	overview := Overview([]*report.Source{moved.source(t, "r"), pi().source(t, "s")})
	at := slices.IndexFunc(overview.Columns, func(c report.Column) bool { return c.Head == "machine" })
	if at < 0 || len(overview.Rows) != 4 || overview.Rows[0][at].Text != "machine 1" || overview.Rows[1][at].Text != "machine 2" || overview.Rows[2][at].Text != "" {
		t.Errorf("machines side by side: column %d of %v", at, overview.Rows)
	}
	if t2 := Overview([]*report.Source{pi().source(t, "r")}); slices.ContainsFunc(t2.Columns, func(c report.Column) bool { return c.Head == "machine" }) {
		t.Error("a column of machines where there is one")
	}
	a, b := engineRate{c: &analysis.Ceiling{Cell: trial.Cell{Engine: "a"}}, repeats: map[int]float64{}}, engineRate{c: &analysis.Ceiling{Cell: trial.Cell{Engine: "b"}}, repeats: map[int]float64{}}
	for repeat := 1; repeat <= 8; repeat++ {
		a.repeats[repeat], b.repeats[repeat] = 100*float64(repeat), 125*float64(repeat)
	}
	if got := (&words{r: &analysis.Results{}}).against(&a, &b); !strings.HasPrefix(got, "a is 0.8x as fast, ") {
		t.Errorf("all ratios below 1: %s", got)
	}
	w := words{r: &analysis.Results{}}
	ended := engineRate{c: &analysis.Ceiling{}, found: &analysis.Found{NoUpper: 2, NoTime: 2, Repeats: 6}}
	if got := w.limits(&ended); strings.Contains(got, "no load was too much") || !strings.Contains(got, "the search was not done in 2 of 6 repeats") {
		t.Errorf("a search without time: %s", got)
	}
}

// TestFoundRatesAreMarkedOnce: a searched rate is one mark in the plot.
func TestFoundRatesAreMarkedOnce(t *testing.T) {
	l := pi()
	for repeat := 1; repeat <= 6; repeat++ {
		l.at("direct", repeat, 600e3, 0)
		l.at("direct", repeat, 700e3, 1000)
	}
	s := l.source(t, "r")
	parts := s.Parts()
	for i := range parts.Figures {
		p := plotOf(s, &parts.Figures[i])
		if parts.Figures[i].Name != "loss" {
			continue
		}
		marks := 0
		for _, series := range p.Series {
			if series.Shape != "" {
				marks++
			}
		}
		if marks != 1 || len(p.Marks) != 1 || p.Marks[0].Name != "NDR" {
			t.Errorf("%d marks of one rate, %v in the legend", marks, p.Marks)
		}
		return
	}
	t.Fatal("no figure of losses")
}

func few3(v float64) analysis.Summary { return analysis.Summarize([]float64{v, v, v}) }

func TestScenarioSaysOverWhichRows(t *testing.T) {
	rows := make([]analysis.ScenarioRow, 16)
	six := func(v float64) analysis.Summary { return analysis.Summarize([]float64{v, v, v, v, v, v}) }
	of := func(last ...analysis.EngineCost) *analysis.Scenario {
		s := &analysis.Scenario{Rows: rows, Trials: 1, Planned: 1, Engines: append([]analysis.EngineCost{{Engine: "direct", Base: "direct", Ratio: six(1), Rows: 16}}, last...)}
		s.Header.Plan.Scenario.Name = "s"
		return s
	}
	for _, tt := range []struct {
		s    *analysis.Scenario
		want string
	}{
		{of(analysis.EngineCost{Engine: "x", Base: "direct", Ratio: six(2), Rows: 11}), "over 11 of 16 rows, x 2.0x (96.9 %: 2.0x)."},
		{of(analysis.EngineCost{Engine: "x", Base: "direct", Ratio: six(2), Rows: 11}, analysis.EngineCost{Engine: "y", Base: "direct", Ratio: few3(3), Rows: 16}),
			"over 11 to 16 of 16 rows, x 2.0x (96.9 %: 2.0x), y about 3.0x."},
		{of(analysis.EngineCost{Engine: "x", Base: "direct", Ratio: six(1), Rows: 16}), "by the median, not told apart from all others on"},
	} {
		if got := Said(&report.Source{Kind: report.KindScenario, Scenario: tt.s})[0]; !strings.Contains(got, tt.want) {
			t.Errorf("%q is not in %q", tt.want, got)
		}
	}
}

func liveSource() *report.Source {
	l := &analysis.Live{Engines: []analysis.LiveEngine{{Engine: "direct", Below: analysis.Summarize([]float64{1000, 2000, 9000})},
		{Engine: "eager", Ceiling: few3(5000), SenderLimited: true}}}
	l.Header.Plan.Repeats, l.Header.Plan.Engines, l.Header.Plan.Goal = 6, []string{"direct", "eager"}, search.NDR()
	l.Header.Captures = []trial.Capture{{Name: "a.pcap", Frames: 10, WireOctets: 600}}
	s := &report.Source{Path: "l", Name: "l", Kind: report.KindLive, Live: l}
	for repeat := range 3 {
		late := &live.Trial{Load: 1000}
		late.Sender.Frames, late.Sender.Late = 1000, uint64(30*repeat)
		s.LiveRecords = append(s.LiveRecords, live.Record{Kind: live.KindSearch, Engine: "direct", Trial: late},
			live.Record{Kind: live.KindMemory, Engine: "direct", Memory: &trial.Record{Kind: trial.KindService, Cell: trial.Cell{Engine: "direct", Size: "captured", Cache: "cold"},
				Marks: []string{trial.MarkHostBusy}}})
	}
	return s
}

func TestLiveSaysWhatIsLimited(t *testing.T) {
	s := liveSource()
	if got := Said(s)[0]; !strings.Contains(got, "takes less than 9.00 kpps") {
		t.Errorf("an upper limit is the largest: %s", got)
	}
	overview := Overview([]*report.Source{s})
	if len(overview.Rows) != 2 || overview.Rows[0][1].Text != "on the network" || overview.Rows[0][3].Text != "none" || overview.Rows[1][3].Text != "> 5.00 kpps" {
		t.Errorf("the overview has %v", overview.Rows)
	}
	got := lines(Doubts([]*report.Source{s}))
	for _, want := range []string{"in 2 of 3 trials (6.00 % at worst)", "direct on the network: 2 of 3 trials", "host-busy in 3 of 6 trials", "direct captured cold: 3 of 3 trials"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestDoubtsOfScenariosCountTrials(t *testing.T) {
	s := &analysis.Scenario{Trials: 4, Planned: 4}
	s.Header.Plan.Repeats = 6
	s.Rows = []analysis.ScenarioRow{{Row: scenario.Row{Name: "r"}, Engines: []analysis.ScenarioCell{{Engine: "dpkt", Failures: []string{"it ended"}}}}}
	var records []scenario.Record
	for repeat := 1; repeat <= 4; repeat++ {
		rec := scenario.Record{Trial: scenario.Trial{Row: "r", Engine: "dpkt", Repeat: repeat}, Program: &external.Outcome{}}
		rec.Result.Lateness = replay.Lateness{P99: time.Duration(repeat) * 400 * time.Microsecond}
		switch repeat {
		case 1:
			rec.Marks = []string{scenario.MarkMiscounts, trial.MarkHostLimited}
			records = append(records, rec) // tried again: it counts once
		case 2:
			rec.Marks, rec.Failure = []string{scenario.MarkFailed}, "it ended"
		}
		records = append(records, rec)
	}
	got := lines(Doubts([]*report.Source{{Path: "s", Name: "s", Kind: report.KindScenario, Scenario: s, ScenarioRecords: records}}))
	for _, want := range []string{"host-limited in 1 of 4 trials", "miscounts in 1 of 4 trials", "r, dpkt: 1 of 4 trials: it ended",
		"in 2 of 3 trials one packet in a hundred or more came to the queue over 1ms late"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestClassesSayAboutHowMuch(t *testing.T) {
	c := &analysis.Classes{Header: analysis.ClassesHeader{Tree: "tree", Classes: []analysis.ClassOf{{Name: "dear"}, {Name: "cheap"}}}}
	for _, ns := range []float64{4000, 500} {
		l := newLab(1, "direct")
		l.cell("direct", 1, ns, 0.9e9/ns)
		c.Header.Study = l.h
		c.Header.Study.Plan.Quick = true
		c.Results = append(c.Results, analysis.Analyze(l.h, l.records))
	}
	s := &report.Source{Path: "c", Name: "c", Kind: report.KindClasses, Classes: c, ClassRecords: make([][]trial.Record, 2)}
	if got := Said(s)[0]; !strings.Contains(got, "about 8.0x what one of cheap takes (500 ns; too few repeats for an interval)") {
		t.Errorf("got %s", got)
	}
	overview := Overview([]*report.Source{s})
	if len(overview.Rows) != 1 || overview.Rows[0][1].Text != "dear, the lowest" {
		t.Errorf("the overview has %v", overview.Rows)
	}
	doc := Compose([]*report.Source{s}, Config{})
	for _, f := range doc.Facts[0].Rows {
		if strings.Contains(f.Name, ":") {
			t.Errorf("a fact is called %q", f.Name)
		}
	}
	if slices.ContainsFunc(doc.Sections[len(doc.Sections)-1].Notes, func(note string) bool { return strings.Contains(note, "times as long") }) {
		t.Error("the dearest class is said twice")
	}
}

func TestMarksKeepTheirNames(t *testing.T) {
	l := pi()
	l.records[0].Marks = []string{trial.MarkThrottled}
	if got := Compose([]*report.Source{l.source(t, "r")}, Config{}).Warnings[0].Text; !strings.HasPrefix(got, "throttled in 1 of ") {
		t.Errorf("got %q", got)
	}
}

// TestNamesDoNotDependOnTheWorkingFolder: "." is called as its folder is.
func TestNamesDoNotDependOnTheWorkingFolder(t *testing.T) {
	dir := t.TempDir()
	l := pi()
	l.write(t, filepath.Join(dir, "boards", "me@pi3"))
	l.write(t, filepath.Join(dir, "boards", "me@pi4"))
	t.Chdir(filepath.Join(dir, "boards"))
	for _, folder := range []string{".", "../boards", filepath.Join(dir, "boards")} {
		sources, err := Read([]string{folder})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(Names(sources), " "); got != "pi3 pi4" {
			t.Errorf("%s: %s", folder, got)
		}
	}
}
