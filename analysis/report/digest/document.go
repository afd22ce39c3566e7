package digest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
	"pcaplab/replay/trial"
)

// Config is how a report is made.
type Config struct {
	Title string // what the sources are called where empty
	Raw   bool   // embed headers and records
	Maker string // program and version
}

// Compose makes a page of sources. Equal sources give equal pages: no time is in it but those of the results.
func Compose(sources []*report.Source, cfg Config) *page.Document {
	names := Names(sources)
	d := &page.Document{Title: cfg.Title, Subtitle: subtitle(sources), Answer: Answer(sources), Numbers: numbers(sources, names), Maker: cfg.Maker}
	if d.Title == "" {
		d.Title = "Report: " + strings.Join(names, ", ")
		if len(names) > 4 {
			d.Title = fmt.Sprintf("Report: %s and %d more", strings.Join(names[:3], ", "), len(names)-3)
		}
	}
	for _, doubt := range Doubts(sources) {
		text := strings.TrimSuffix(doubt.Text, ".") + "."
		if doubt.Kind != DoubtOther && !isMark(doubt.Kind) { // which begin with a name
			text = sentence(text)
		}
		d.Warnings = append(d.Warnings, page.Warning{Text: text, Details: doubt.Where})
	}
	taken := map[string]bool{"all-ceilings": true}
	if t := Overview(sources); len(t.Rows) > 0 {
		d.Sections = append(d.Sections, page.Section{ID: "overview", Title: "Ceilings side by side", Tables: []page.Table{{Name: "all-ceilings", Table: t}}})
		taken["overview"] = true
	}
	for i, s := range sources {
		id := free(taken, stem(names[i]))
		parts := s.Parts()
		sec := page.Section{ID: id, Title: names[i], Notes: about(s)}
		if s.Kind != report.KindValidation { // there they are what is said
			sec.Notes = append(sec.Notes, parts.Notes...)
		}
		if len(sources) > 1 {
			if said := Said(s); len(said) > 1 {
				sec.Notes = append(sec.Notes, said[1:]...)
			}
		}
		prefix := ""
		if len(sources) > 1 {
			prefix = id + "-"
		}
		for j := range parts.Figures {
			f := &parts.Figures[j]
			sec.Figures = append(sec.Figures, page.Figure{Name: free(taken, prefix+f.Name), Title: f.Title, Caption: f.Caption, Chart: f.Chart, Data: f.Data,
				Plot: plotOf(s, f)})
		}
		for _, t := range parts.Tables {
			table := page.Table{Table: t.Table, Fold: t.Long}
			if t.Name != "" {
				table.Name = free(taken, prefix+t.Name)
			}
			sec.Tables = append(sec.Tables, table)
		}
		d.Sections = append(d.Sections, sec)
		facts := page.Facts{Title: names[i]}
		for _, f := range parts.Facts {
			facts.Rows = append(facts.Rows, page.Fact{Name: f.Name, Value: f.Value})
		}
		facts.Rows = append(facts.Rows, environment(s)...)
		if len(facts.Rows) > 0 {
			d.Facts = append(d.Facts, facts)
		}
		if !cfg.Raw {
			continue
		}
		for _, f := range s.Files {
			name := f.Name
			if len(sources) > 1 {
				name = names[i] + "/" + name
			}
			d.Raw = append(d.Raw, page.RawFile{Name: name, Note: rawNote(f.Name), MIME: "application/json", Data: f.Data})
		}
	}
	return d
}

// sentence has a capital letter at its begin, and a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	if first := text[0]; first >= 'a' && first <= 'z' {
		text = string(first-'a'+'A') + text[1:]
	}
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// stem makes a name of letters a to z, digits and single hyphens of any text.
func stem(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= 40 {
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "results"
}

// free returns a name that is not taken yet, and takes it.
func free(taken map[string]bool, name string) string {
	for n, base := 2, name; taken[name]; n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}

func rawNote(name string) string {
	switch name[strings.LastIndexByte(name, '/')+1:] {
	case report.HeaderFile:
		return "plan, settings, captures and machine of the study"
	case report.ClassesFile:
		return "the classes, and plan and settings of their studies"
	case report.ScenarioFile:
		return "plan, programs and machine of the run"
	case report.LiveFile:
		return "plan, captures and machine of the run"
	case report.ValidationFile:
		return "the whole validation"
	case report.RecordsFile:
		return "each trial, one a line"
	}
	return ""
}

// subtitle says what was measured where, in a line.
func subtitle(sources []*report.Source) string {
	var machines []string
	var first, last time.Time
	for _, s := range sources {
		if e := s.Environment(); e != nil {
			if m := machine(e); !slices.Contains(machines, m) {
				machines = append(machines, m)
			}
		}
		if t := started(s); !t.IsZero() {
			if first.IsZero() || t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
	}
	var parts []string
	switch n := len(machines); {
	case n > 3:
		parts = append(parts, fmt.Sprintf("%s and %d more machines", machines[0], n-1))
	case n > 0:
		parts = append(parts, strings.Join(machines, "; "))
	}
	if !first.IsZero() {
		day := first.UTC().Format("2 January 2006")
		if other := last.UTC().Format("2 January 2006"); other != day {
			day += " to " + other
		}
		parts = append(parts, day)
	}
	return strings.Join(parts, ", ")
}

func started(s *report.Source) time.Time {
	switch s.Kind {
	case report.KindStudy:
		return s.Study.Header.Started
	case report.KindClasses:
		return s.Classes.Header.Started
	case report.KindScenario:
		return s.Scenario.Header.Started
	case report.KindLive:
		return s.Live.Header.Started
	}
	return time.Time{}
}

// about says what a source is of.
func about(s *report.Source) []string {
	switch s.Kind {
	case report.KindStudy:
		p := &s.Study.Header.Plan
		what := "Loss at listed loads"
		switch {
		case p.Soak > 0:
			what = fmt.Sprintf("A soak of %v: numbers are of its last %v", p.Soak, p.Window())
		case p.Search != trial.SearchNone:
			what = "Ceilings by search (" + p.Search + ")"
		case len(p.Rates) == 0:
			what = "Closed loops"
		}
		text := fmt.Sprintf("%s: %s of trials of %v, each in a process of its own", what, plural(p.Repeats, "repeat"), p.Trial)
		if s.Study.Header.InProcess {
			text = fmt.Sprintf("%s: %s of trials of %v, in one process", what, plural(p.Repeats, "repeat"), p.Trial)
		}
		return []string{text + ", on " + captureNames(s.Study.Header.Captures) + "."}
	case report.KindClasses:
		h := &s.Classes.Header
		return []string{fmt.Sprintf("A study of each of %d classes of %s: the same plan, settings and machine.", len(h.Classes), h.Tree)}
	case report.KindScenario:
		return []string{sentence(s.Scenario.Header.Plan.Scenario.Doc)}
	case report.KindLive:
		return []string{"Each engine at the end of a network, and the same in memory."}
	case report.KindValidation:
		return []string{"How right a model is, on which windows, and how fast."}
	}
	return nil
}

// environment is what is known of a machine beyond the line that facts have.
func environment(s *report.Source) (rows []page.Fact) {
	e := s.Environment()
	if e == nil {
		return nil
	}
	add := func(name, format string, args ...any) {
		rows = append(rows, page.Fact{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	if e.Board != "" && e.CPU != "" {
		add("processor", "%s", e.CPU)
	}
	if e.FrequencyMinHz != nil && e.FrequencyMaxHz != nil {
		add("clock", "%.0f to %.0f MHz", float64(*e.FrequencyMinHz)/1e6, float64(*e.FrequencyMaxHz)/1e6)
	}
	if e.MemoryOctets != nil {
		add("memory", "%s", report.FormatOctets(float64(*e.MemoryOctets)))
	}
	if e.SwapOctets != nil && *e.SwapOctets > 0 {
		add("swap", "%s", report.FormatOctets(float64(*e.SwapOctets)))
	}
	collector := fmt.Sprintf("GOGC %d", e.GOGCPercent)
	if e.GOGCPercent < 0 {
		collector = "GOGC off"
	}
	if e.GOMEMLIMITOctets >= 0 && e.GOMEMLIMITOctets < math.MaxInt64 {
		collector += ", GOMEMLIMIT " + report.FormatOctets(float64(e.GOMEMLIMITOctets))
	}
	add("collector", "%s", collector)
	if port, ok := portOf(e); ok {
		add("port", "%s, by published figures of the board", port.name)
	}
	for _, h := range hosts(s) {
		add(h.Name, "%s", h.Machine)
	}
	for _, c := range captures(s) {
		add("SHA-256", "%s %s", c.SHA256, c.Name)
	}
	if len(e.Notes) > 0 {
		add("not known", "%s", strings.Join(e.Notes, "; "))
	}
	return rows
}

// hosts are the machines that measured a source, where there were several.
func hosts(s *report.Source) (list []trial.Host) {
	switch s.Kind {
	case report.KindStudy:
		list = s.Study.Header.Hosts
	case report.KindClasses:
		for _, h := range s.Classes.Header.Hosts {
			list = append(list, trial.Host{Name: h.Name, Machine: h.Machine, Differs: h.Differs})
		}
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

// capturesShown is how many captures have their sums in a page.
const capturesShown = 20

func captures(s *report.Source) []trial.Capture {
	var list []trial.Capture
	switch s.Kind {
	case report.KindStudy:
		list = s.Study.Header.Captures
	case report.KindLive:
		list = s.Live.Header.Captures
	}
	return list[:min(len(list), capturesShown)]
}

// numbers are up to four figures of the answer: of one study what its fastest engine does, of several the fastest of each.
func numbers(sources []*report.Source, names []string) (list []page.Number) {
	const most = 4
	var studies []int
	for i, s := range sources {
		if s.Kind == report.KindStudy && len(s.Study.Ceilings) > 0 {
			studies = append(studies, i)
		}
	}
	for _, i := range studies {
		s := sources[i]
		w := words{r: s.Study, port: func() (link, bool) { return portOf(s.Environment()) }}
		at := places(&s.Study.Header.Plan)
		if len(at) == 0 || len(list) == most {
			continue
		}
		rates := ratesAt(s, at[0])
		if len(rates) == 0 || rates[0].none() {
			continue
		}
		e := &rates[0]
		rate := w.load(e.rate.Median)
		if e.atLeast() {
			rate = "> " + rate
		}
		goal, searched := goalOf(&s.Study.Header.Plan)
		kind := "service ceiling"
		if searched {
			kind = goalWords(goal)
		}
		label := kind + " of " + w.engine(e.c.Cell.Engine)
		if _, err := strconv.Atoi(e.c.Cell.Size); err == nil {
			label += " " + w.traffic(e.c)
		}
		label += onHost(e.c.Host)
		if len(studies) > 1 {
			label = names[i] + ": " + label
		}
		list = append(list, page.Number{Value: rate, Label: label, Detail: interval(e.rate, w.load)})
		if len(studies) > 1 {
			continue
		}
		pps := report.PacketRate(&s.Study.Header, e.c, e.rate.Median)
		port, known := w.portOf(e)
		if !known {
			port = references[1]
		}
		if pps > 0 && e.c.Wire > 0 {
			n := page.Number{Value: times(pps / port.lineOf(e.c)), Label: "the line rate of its port", Detail: port.name + ": " + report.FormatRate(port.lineOf(e.c))}
			if !known {
				n.Label = "the line rate of " + port.name
				n.Detail = "for reference; its port is not known"
			}
			list = append(list, n)
		}
		if e.c.CPUNS.N > 0 {
			list = append(list, page.Number{Value: report.FormatDuration(e.c.CPUNS.Median), Label: "CPU time of a packet", Detail: interval(e.c.CPUNS, report.FormatDuration)})
		}
		if e.c.Peak.N > 0 {
			list = append(list, page.Number{Value: report.FormatOctets(e.c.Peak.Max), Label: "memory beside the capture", Detail: "the most of any trial"})
		}
	}
	return list
}

// Overview is a table of all ceilings of studies side by side, with what the line carries beside them.
func Overview(sources []*report.Source) *report.Table {
	t := &report.Table{Title: "Ceilings, and what the line carries"}
	type line struct {
		source, of string
		h          *trial.Header
		port       link
		known      bool // port
		c          *analysis.Ceiling
	}
	var lines []line
	var goals []string
	units, caches := make(map[string]bool), make(map[string]bool)
	workers, ports, stages, ofs, machines := false, false, false, false, false
	names := Names(sources)
	for i, s := range sources {
		port, known := portOf(s.Environment())
		add := func(of string, h *trial.Header, c *analysis.Ceiling) {
			l := line{names[i], of, h, port, known, c}
			if c.Host != "" && len(hosts(s)) > 0 && c.Host != hosts(s)[0].Name {
				l.known = false
			}
			lines = append(lines, l)
			units[h.Settings.Unit], caches[c.Cell.Cache] = true, true
			workers, ports, stages, ofs = workers || c.Cell.Workers > 1, ports || l.known, stages || len(h.Settings.Stages) > 0, ofs || of != ""
			machines = machines || c.Host != ""
			if h.Plan.Search == trial.SearchNone {
				return
			}
			for _, g := range h.Plan.Goals {
				if !slices.Contains(goals, g.Name) {
					goals = append(goals, g.Name)
				}
			}
		}
		switch s.Kind {
		case report.KindStudy:
			for j := range s.Study.Ceilings {
				add("", &s.Study.Header, &s.Study.Ceilings[j])
			}
		case report.KindClasses:
			for _, r := range lowest(s.Classes) {
				add(r.Class+", the lowest", &s.Classes.Header.Study, &r.Ceiling)
			}
		case report.KindLive:
			h := &trial.Header{Settings: trial.Settings{Unit: "pps"}, Plan: trial.Plan{Search: trial.SearchMLR}}
			h.Plan.Goals = append(h.Plan.Goals, s.Live.Header.Plan.Goal)
			for j := range s.Live.Engines {
				if c := onNetwork(s.Live, &s.Live.Engines[j]); c != nil {
					add("on the network", h, c)
				}
			}
		}
	}
	sourcesOf := make(map[string]bool)
	for i := range lines {
		sourcesOf[lines[i].source] = true
	}
	unit := ""
	if len(units) == 1 {
		for u := range units {
			unit = "_" + strings.ReplaceAll(u, "/", "_per_")
		}
	}
	var cells []func(*line) report.Cell
	add := func(shown bool, head, key string, right bool, cell func(*line) report.Cell) {
		if shown {
			t.Columns, cells = append(t.Columns, report.Column{Head: head, Key: key, Right: right}), append(cells, cell)
		}
	}
	format := func(l *line) func(float64) string {
		return (&words{r: &analysis.Results{Header: *l.h}}).load
	}
	ratio := func(v float64) report.Cell {
		if !(v > 0) {
			v = math.NaN()
		}
		return report.Number(v, times)
	}
	// best is the packets a second of the goal that the answer is about.
	best := func(l *line) float64 {
		goal, searched := goalOf(&l.h.Plan)
		if !searched {
			return report.PacketRate(l.h, l.c, l.c.Service.Median)
		}
		for i := range l.c.Goals {
			if f := &l.c.Goals[i]; f.Goal == goal && f.Rate.N > 0 {
				return report.PacketRate(l.h, l.c, f.Rate.Median)
			}
		}
		return math.NaN()
	}
	add(len(sourcesOf) > 1, "source", "source", false, func(l *line) report.Cell { return report.Text(l.source) })
	add(machines, "machine", "machine", false, func(l *line) report.Cell { return report.Text(l.c.Host) })
	add(true, "engine", "engine", false, func(l *line) report.Cell { return report.Text(l.c.Cell.Engine) })
	add(ofs, "of", "of", false, func(l *line) report.Cell { return report.Text(l.of) })
	add(stages, "stages", "stages", false, func(l *line) report.Cell {
		return report.Text(strings.TrimPrefix(engineName("", l.h.Settings.Stages), " + "))
	})
	add(true, "size", "size", false, func(l *line) report.Cell { return report.Text(l.c.Cell.Size) })
	add(len(caches) > 1, "frames", "cache", false, func(l *line) report.Cell { return report.Text(l.c.Cell.Cache) })
	add(workers, "workers", "workers", true, func(l *line) report.Cell { return report.Text(strconv.Itoa(l.c.Cell.Workers)) })
	searched := len(goals) > 0
	for _, goal := range goals {
		add(true, goalWords(goal), goal+unit, true, func(l *line) report.Cell { return goalCell(l.c, goal, format(l)) })
	}
	add(!searched, "service", "service"+unit, true, func(l *line) report.Cell { return median(l.c.Service, format(l)) })
	add(ports, "x its port", "times_port", true, func(l *line) report.Cell {
		if l.known {
			return ratio(best(l) / l.port.lineOf(l.c))
		}
		return report.Number(math.NaN(), times)
	})
	for _, reference := range references {
		add(true, "x "+reference.name, "times_"+strings.ReplaceAll(strings.ReplaceAll(reference.name, "/", "_per_"), " ", "_"), true, func(l *line) report.Cell {
			return ratio(best(l) / reference.lineOf(l.c))
		})
	}
	add(true, "of a CPU", "cpu_share", true, func(l *line) report.Cell {
		share := math.NaN()
		if pps := best(l); pps > 0 {
			share = report.CPUAt(l.c, pps)
		}
		return report.Number(share, report.FormatRatio)
	})
	add(true, "CPU/packet", "cpu_ns_per_packet", true, func(l *line) report.Cell { return median(l.c.CPUNS, report.FormatDuration) })
	add(true, "memory", "engine_peak_octets", true, func(l *line) report.Cell {
		s := l.c.Peak
		s.Median, s.Interval = s.Max, analysis.Interval{}
		return median(s, report.FormatOctets)
	})
	add(true, "marks", "marks", false, func(l *line) report.Cell { return report.Text(strings.Join(l.c.Marks, " ")) })
	for i := range lines {
		row := make([]report.Cell, len(cells))
		for j, cell := range cells {
			row[j] = cell(&lines[i])
		}
		t.Add(row...)
	}
	if len(lines) > 0 {
		of := "the first goal without loss"
		if len(goals) == 0 {
			of = "the service ceiling"
		}
		t.Notes = append(t.Notes, "The share of a CPU and the multiples of line rates are at "+of+". A line rate is that of frames of the mean length, with check sequence, preamble and gap.")
		if slices.ContainsFunc(lines, func(l line) bool {
			return slices.ContainsFunc(l.c.Goals, func(f analysis.Found) bool { return !f.Regular })
		}) {
			t.Notes = append(t.Notes, "> is a lower limit: no load that was tried was too much. none: the lowest load that was tried was too much. *: the bounds are not within the width.")
		}
	}
	return t
}

// lowest are of each cell, and machine, the ceilings of the class with the lowest: that of the goal that the answer is about or, where
// nothing was found, the dearest class.
func lowest(c *analysis.Classes) (list []analysis.ClassCeiling) {
	goal, searched := goalOf(&c.Header.Study.Plan)
	rate := func(r *analysis.ClassCeiling) float64 {
		if !searched {
			if r.Service.N > 0 {
				return r.Service.Median
			}
			return math.Inf(1)
		}
		for i := range r.Goals {
			if f := &r.Goals[i]; f.Goal == goal && f.Rate.N > 0 {
				return f.Rate.Median
			}
		}
		return math.Inf(1)
	}
	rows := c.Compare()
	for i := range rows {
		r := &rows[i]
		at := slices.IndexFunc(list, func(have analysis.ClassCeiling) bool { return have.Cell == r.Cell && have.Host == r.Host })
		switch {
		case at < 0:
			list = append(list, *r)
		case rate(r) < rate(&list[at]):
			list[at] = *r
		}
	}
	return list
}

// onNetwork is what an engine does at the end of a network as a ceiling; nil where none was searched.
func onNetwork(l *analysis.Live, e *analysis.LiveEngine) *analysis.Ceiling {
	if e.Ceiling.N+e.Below.N == 0 {
		return nil
	}
	c := &analysis.Ceiling{Cell: trial.Cell{Engine: e.Engine, Size: trial.Captured, Cache: l.Header.Plan.Cache, Workers: 1}}
	var frames, octets float64
	for _, capture := range l.Header.Captures {
		frames += float64(capture.Frames)
		octets += float64(capture.WireOctets)
	}
	if frames > 0 {
		c.Wire = octets / frames
	}
	goal := &l.Header.Plan.Goal
	f := analysis.Found{Goal: goal.Name, Loss: goal.LossRatio, Rate: e.Ceiling, Repeats: e.Ceiling.N + e.Below.N, NoLower: e.Below.N, Regular: e.Below.N == 0}
	if e.SenderLimited {
		f.NoUpper, f.Regular = e.Ceiling.N, false
	}
	c.Goals = []analysis.Found{f}
	return c
}

func median(s analysis.Summary, format func(float64) string) report.Cell {
	if s.N == 0 {
		return report.Number(math.NaN(), format)
	}
	c := report.Number(s.Median, format)
	if s.Interval.Valid() {
		c.Text += " [" + strings.Replace(between(format(s.Interval.Low), format(s.Interval.High)), " to ", ", ", 1) + "]"
	}
	return c
}

func goalCell(c *analysis.Ceiling, goal string, format func(float64) string) report.Cell {
	for i := range c.Goals {
		f := &c.Goals[i]
		if f.Goal != goal {
			continue
		}
		cell := median(f.Rate, format)
		switch {
		case f.NoLower == f.Repeats:
			cell.Text = "none"
		case f.Rate.N == 0:
		case f.NoUpper > 0:
			cell.Text = "> " + cell.Text
		case !f.Regular:
			cell.Text += " *"
		}
		return cell
	}
	return report.Number(math.NaN(), format)
}
