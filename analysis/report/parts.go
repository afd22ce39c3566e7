package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/validation"
	"pcaplab/replay/quality"
	"pcaplab/replay/trial"
)

// Parts are the tables and charts of a results folder, to be set in a page or a paper.
type Parts struct {
	Facts   []Fact   // what was run, and on what
	Notes   []string // what was found, in sentences
	Tables  []PartTable
	Figures []PartFigure
	// Warnings are those of the results that no table has.
	Warnings []string
}

// Fact is a named value, as "queue" and "pcap-2MiB".
type Fact struct{ Name, Value string }

// PartTable is a table. Name, letters a to z, digits and hyphens, is unlike those of all tables and figures of the Parts; it is
// empty where the numbers are a figure's too.
type PartTable struct {
	Name string
	Long bool // not for the first look
	*Table
}

// PartFigure is a chart with its numbers. Name is as that of a PartTable.
type PartFigure struct {
	Name, Title, Caption string
	Chart                Chart
	Data                 *Table // for CSV
}

func (p *Parts) table(name string, t *Table) {
	if len(t.Rows) > 0 {
		p.Tables = append(p.Tables, PartTable{Name: name, Table: t})
	}
}

func (p *Parts) longTable(name string, t *Table) {
	if p.table(name, t); len(t.Rows) > 0 {
		p.Tables[len(p.Tables)-1].Long = true
	}
}

func (p *Parts) figure(name, title, caption string, chart Chart, data *Table) {
	p.Figures = append(p.Figures, PartFigure{name, title, caption, chart, data})
}

// facts reads the lines of a heading: a name, spaces, a value.
func (p *Parts) facts(heading string) {
	for line := range strings.Lines(heading) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value = strings.TrimSpace(value); value != "" {
			p.Facts = append(p.Facts, Fact{name, value})
		}
	}
}

// Parts returns the tables and charts of a source.
func (s *Source) Parts() Parts {
	var p Parts
	switch s.Kind {
	case KindStudy:
		p.study(s.Study)
	case KindClasses:
		p.classes(s.Classes)
	case KindScenario:
		p.scenario(s.Scenario)
	case KindLive:
		p.live(s.Live)
	case KindValidation:
		p.validation(s.Validation)
	}
	return p
}

const intervalCaption = "Whiskers are intervals of the median."

func (p *Parts) study(r *analysis.Results) {
	h := &r.Header
	p.facts(withoutDoubts(heading(r)))
	p.Warnings = r.Warnings
	if len(r.Ceilings) > 0 {
		t := ceilingTable(r)
		t.Title = "All that was measured of each cell"
		p.table("", t)
		p.figure("ceilings", "Ceilings", "Rates that each engine sustains: as fast as it takes packets (service), and as found by search. "+intervalCaption+
			" Where rates span more than a factor of 20 the axis is logarithmic.", ceilingChart(r), studyTable(r))
	}
	if c, ok := lossChart(r); ok {
		caption := "Share of the intended packets that was lost, against the load. The lowest line is no loss at all."
		if h.Plan.Search != trial.SearchNone {
			caption += " The picture joins trials at nearly the same load."
		}
		p.figure("loss", "Loss against load", caption, c, curveDataTable(r))
	}
	if h.Plan.Search == trial.SearchNone && len(r.Curves) > 0 {
		p.Tables = append(p.Tables, PartTable{Long: true, Table: curveTable(r)})
	}
	if c, ok := costChart(r); ok {
		p.figure("cost", "Cost against size", "Time per packet in closed loop, with the line a + b x octets where it fits: a mean misfit of at most "+
			FormatRatio(analysis.MaxMAPE)+", of no point more than "+FormatRatio(analysis.MaxResidual)+".", c, costDataTable(r))
		p.table("cost-lines", costTable(r))
	}
	if c, ok := cpuChart(r); ok {
		p.figure("cpu", "Time of a packet", "Parser's thread: time in which it works for a packet, the feed's part included. CPU of the process: collector and runtime included. "+
			intervalCaption, c, cpuDataTable(r))
	}
	if c, ok := memoryChart(r); ok {
		p.figure("memory", "Memory", "Most resident memory of the measuring process in any trial, without the capture.", c, memoryDataTable(r))
	}
	if c, ok := soakChart(r); ok {
		p.figure("soak", "Soak", "Rate of the closed loops over time in percent of the first window's, with temperature and clock where the machine tells them.", c,
			soakTrialsTable(r))
		p.table("soak-windows", soakTable(r))
	}
}

// withoutDoubts is a heading without what warnings say.
func withoutDoubts(heading string) string {
	text := ""
	for line := range strings.Lines(heading) {
		if !strings.HasPrefix(line, "unfinished: ") && !strings.HasPrefix(line, "quick: ") {
			text += line
		}
	}
	return text
}

// curveDataTable has a row for each point of the loss curves.
func curveDataTable(r *analysis.Results) *Table {
	t := &Table{}
	unit := strings.ReplaceAll(r.Header.Settings.Unit, "/", "_per_")
	for _, key := range []string{"engine", "size", "cache", "workers", "load_" + unit, "of_service", "of_recorded", "trials", "intended", "lost", "loss_ratio",
		"late_drained", "marks"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	for _, c := range r.Curves {
		for _, p := range c.Points {
			t.Add(Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache), whole(c.Cell.Workers), exact(p.Load, true), exact(p.OfService, p.OfService > 0),
				exact(p.OfRecorded, p.OfRecorded > 0), whole(p.Trials), Text(strconv.FormatUint(p.Intended, 10)), Text(strconv.FormatUint(p.Lost, 10)),
				exact(p.LossRatio(), true), Text(strconv.FormatUint(p.Drained, 10)), Text(strings.Join(p.Marks, " ")))
		}
	}
	return t
}

// costDataTable has a row for each closed loop behind a line, and what the line says there.
func costDataTable(r *analysis.Results) *Table {
	t := &Table{}
	for _, key := range []string{"engine", "cache", "workers", "repeat", "octets", "ns_per_packet", "fitted_ns_per_packet", "accepted"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	for i := range r.Costs {
		c := &r.Costs[i]
		for _, p := range c.Points {
			t.Add(Text(c.Cell.Engine), Text(c.Cell.Cache), whole(c.Cell.Workers), whole(p.Repeat), exact(p.Octets, true), exact(p.NS, true),
				exact(c.Model.At(p.Octets), true), Text(strconv.FormatBool(c.Model.Accepted)))
		}
	}
	return t
}

func (p *Parts) classes(c *analysis.Classes) {
	var text strings.Builder
	if err := writeClassesHeading(&text, c); err == nil {
		heading := strings.TrimPrefix(text.String(), clean(c.Header.Synthetic)+"\n")
		p.facts(withoutDoubts(heading))
	}
	if c.Header.Synthetic != "" {
		p.Warnings = append(p.Warnings, c.Header.Synthetic)
	}
	t := classesTable(c, false)
	t.Title, t.Notes = "Classes", nil
	p.table("", t)
	data := classesTable(c, true)
	const caption = "Dearest first, as the first engine has them. "
	if ch, ok := classChart(c, "Time of a packet, class by class", "time per packet in closed loop", FormatDuration,
		func(r *analysis.ClassCeiling) analysis.Summary { return r.NS }); ok {
		p.figure("class-cost", "Time of a packet, class by class", caption+intervalCaption, ch, data)
	}
	goals := c.Header.Study.Plan.Goals
	load, unit := FormatRate, c.Header.Study.Settings.Unit
	if unit == "bit/s" {
		load = FormatBits
	}
	if len(goals) > 0 && c.Header.Study.Plan.Search != trial.SearchNone {
		goal := goals[0].Name
		if ch, ok := classChart(c, "Ceilings, class by class", goalHead(goal)+" ("+unit+")", load, func(r *analysis.ClassCeiling) analysis.Summary {
			for i := range r.Goals {
				if r.Goals[i].Goal == goal {
					return r.Goals[i].Rate
				}
			}
			return analysis.Summary{}
		}); ok {
			p.figure("class-ceilings", "Ceilings, class by class", goalHead(goal)+". "+caption+intervalCaption, ch, data)
		}
	}
}

// classChart shows a value of all classes: a group for each class, in it a bar for each cell.
func classChart(c *analysis.Classes, title, axis string, format func(float64) string, value func(*analysis.ClassCeiling) analysis.Summary) (BarChart, bool) {
	ch := BarChart{Title: title, Axis: axis, Format: format}
	for _, r := range c.Results {
		if r != nil {
			note := chartNote(r)
			if _, settings, ok := strings.Cut(note, "; queue "); ok { // captures differ
				note = "queue " + settings
			}
			ch.Note = c.Header.Tree + "; " + note
			break
		}
	}
	rows := c.Compare()
	var cells []trial.Cell
	at := make(map[string]int)
	for i := range rows {
		r := &rows[i]
		k := 0
		for k < len(cells) && cells[k] != r.Cell {
			k++
		}
		if k == len(cells) {
			cells = append(cells, r.Cell)
			ch.Series = append(ch.Series, shortName(&analysis.Results{Header: c.Header.Study}, r.Cell))
		}
		if _, ok := at[r.Class]; !ok {
			at[r.Class] = len(ch.Groups)
			ch.Groups = append(ch.Groups, BarGroup{Name: r.Class})
		}
		g := &ch.Groups[at[r.Class]]
		for len(g.Bars) < k {
			g.Bars = append(g.Bars, Bar{Value: math.NaN()})
		}
		g.Bars = append(g.Bars, barOf(value(r), 1))
	}
	for i := range ch.Groups {
		for len(ch.Groups[i].Bars) < len(cells) {
			ch.Groups[i].Bars = append(ch.Groups[i].Bars, Bar{Value: math.NaN()})
		}
	}
	return ch, ch.hasBars() && len(cells) <= barStyles*len(palette)
}

func (p *Parts) scenario(s *analysis.Scenario) {
	p.facts(scenarioHeading(s))
	engines := measured(s)
	if len(engines) == 0 {
		return
	}
	for i, t := range scenarioTables(s, engines) {
		name := []string{"counted-table", "cpu-table", "memory-table", "cost-table", "closed-loop", "ratios"}[i]
		p.table(name, t)
	}
	captions := map[string]string{
		"cpu":     "CPU time of each engine over the time in which traffic came, children included.",
		"memory":  "Most resident memory of each engine, children included.",
		"counted": "Share of the packets sent that each engine counted.",
		"cost":    "CPU time of each engine per packet that it counted, children included.",
	}
	for _, name := range ScenarioCharts {
		if ch, err := ScenarioChart(s, name); err == nil && ch.hasBars() && len(ch.Series) <= barStyles*len(palette) {
			title, _, _ := strings.Cut(ch.Title, ": ")
			p.figure(name, title, captions[name]+" "+intervalCaption, ch, ScenarioTable(s))
		}
	}
}

func (p *Parts) live(l *analysis.Live) {
	h := &l.Header
	p.Facts = append(p.Facts, Fact{"run", liveTitle(l)}, Fact{"machine", h.Environment.String() + ", pcaplab " + h.Version})
	ch := BarChart{Title: "On the network and in memory", Axis: "rate", Format: FormatRate, Note: liveTitle(l),
		Series: []string{"on the network", "in memory, same queue", "in memory, closed loop"}}
	for i := range l.Engines {
		e := &l.Engines[i]
		b := barOf(e.Ceiling, 1)
		if e.SenderLimited {
			b.Mark = "sender-limited"
		}
		ch.Groups = append(ch.Groups, BarGroup{Name: e.Engine, Bars: []Bar{b, barOf(e.Memory, 1), barOf(e.Service, 1)}})
	}
	if ch.hasBars() {
		data := &Table{Columns: heads("engine", "live_pps", "sender_limited", "sender_top_pps", "memory_pps", "service_pps", "ratio", "limited_by")}
		for i := range l.Engines {
			e := &l.Engines[i]
			of := func(s analysis.Summary) Cell { return exact(s.Median, s.N > 0) }
			data.Add(Text(e.Engine), of(e.Ceiling), Text(strconv.FormatBool(e.SenderLimited)), of(e.Top), of(e.Memory), of(e.Service), exact(e.Ratio, e.Ratio > 0),
				Text(e.Limit))
		}
		p.figure("live", "On the network and in memory", "The rate that each engine takes from the network without loss, beside what it does in memory behind a queue as large as the ring. "+
			intervalCaption, ch, data)
	}
	t := liveCeilings(l)
	t.Title = "Ceilings"
	p.table("", t)
	p.table("live-losses", liveLosses(l))
	p.table("live-costs", liveCosts(l))
}

func (p *Parts) validation(v *Validated) {
	r := v.Report
	p.Facts = append(p.Facts, Fact{"model", fmt.Sprintf("%s%s: %s of %s", r.Model.Name, shortDigest(r.Model.SHA256), plural(len(r.Model.Classes), "class", "classes"),
		plural(len(r.Model.Columns), "column", "columns"))})
	for i := range r.Sets {
		s := &r.Sets[i]
		of := plural(len(s.Sources), "table", "tables")
		if s.Captures {
			of = plural(len(s.Sources), "capture", "captures") + ", " + s.Window
		}
		p.Facts = append(p.Facts, Fact{s.Name, grouped(s.Rows) + " vectors of " + of})
		if !s.Reference {
			p.Notes = append(p.Notes, headline(s)+".")
		}
	}
	p.facts(settingsLine(&r.Settings))
	for _, part := range r.Ablation {
		p.Notes = append(p.Notes, fmt.Sprintf("%s: %s: %s.", part.Set, leakWords[part.Leak], part.Finding))
	}
	p.Warnings = warningsOf(r)
	if len(r.Sets) > 0 {
		t := overallTable(r)
		t.Title = "Scores"
		p.table("scores", t)
	}
	if ch, ok := f1Chart(r); ok {
		p.figure("f1", "F1, class by class", "With intervals of resampled vectors. Classes without vectors and predictions are not shown.", ch, classScoresCSV(r))
	}
	for i := range r.Sets {
		if s := &r.Sets[i]; !s.Reference {
			n := strconv.Itoa(i + 1)
			p.longTable("", classScores(s))
			p.table("confusions-"+n, topConfusions(s))
			p.longTable("confusion-"+n, confusionMatrix(s))
		}
	}
	for i := range r.Drift {
		p.table("drift-"+strconv.Itoa(i+1), topDrift(&r.Drift[i]))
	}
	for i := range r.Ablation {
		p.table("ablation-"+strconv.Itoa(i+1), ablationTable(&r.Ablation[i]))
	}
	if v.Speed != nil {
		p.table("speed", speedTable(v.Speed))
	}
	p.quality(v.Load)
}

// f1Chart has a group for each class, in it a bar for each set but the reference.
func f1Chart(r *validation.Report) (BarChart, bool) {
	ch := BarChart{Title: "F1, class by class", Axis: "F1", Format: decimals(3), Note: r.Model.Name}
	at := make(map[string]int)
	for i := range r.Sets {
		s := &r.Sets[i]
		if s.Reference {
			continue
		}
		ch.Series = append(ch.Series, s.Name)
		for j, c := range s.Metrics.PerClass {
			if !c.Present() {
				continue
			}
			if _, ok := at[c.Class]; !ok {
				at[c.Class] = len(ch.Groups)
				ch.Groups = append(ch.Groups, BarGroup{Name: c.Class})
			}
			g := &ch.Groups[at[c.Class]]
			for len(g.Bars) < len(ch.Series)-1 {
				g.Bars = append(g.Bars, Bar{Value: math.NaN()})
			}
			b := Bar{Value: c.F1}
			if j < len(s.Intervals.PerClass) {
				if in := s.Intervals.PerClass[j].F1; in.High > 0 && in.Low <= in.High {
					b.Interval = analysis.Interval{Low: in.Low, High: in.High, Coverage: r.Settings.Level}
				}
			}
			g.Bars = append(g.Bars, b)
		}
	}
	for i := range ch.Groups {
		for len(ch.Groups[i].Bars) < len(ch.Series) {
			ch.Groups[i].Bars = append(ch.Groups[i].Bars, Bar{Value: math.NaN()})
		}
	}
	return ch, ch.hasBars() && len(ch.Series) <= barStyles*len(palette)
}

func (p *Parts) quality(r *quality.Report) {
	if r == nil || len(r.Points) == 0 {
		return
	}
	p.Notes = append(p.Notes, "Under load: "+keepsUp(r)+".")
	p.table("", qualityTable(r))
	if ch := qualityChart(r).(QualityChart); len(ch.Series) > 0 {
		p.figure(QualityFiles, "Quality under load", "Shares of the packets and windows, and scores of the windows that came through, against the load in multiples of each capture's own service ceiling.",
			ch, qualityDataTable(r))
	}
}

// SoakSentence says what a soak showed, without the full stop.
func SoakSentence(s *analysis.Soak) string { return soakSentence(s) }
