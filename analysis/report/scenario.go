package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
)

// ScenarioFolder is the results folder of a run of a scenario.
type ScenarioFolder struct {
	runFolder
}

// CreateScenario makes a results folder for a new run. It refuses a folder that holds results already.
func CreateScenario(path string, header scenario.Header) (*ScenarioFolder, error) {
	f := &ScenarioFolder{runFolder{path: path, header: ScenarioFile}}
	if err := f.create(header); err != nil {
		return nil, err
	}
	return f, nil
}

// ResumeScenario opens the folder of a run that was not finished, and returns what it holds. A last line that was cut while
// it was written is removed. It is an error when another process has the folder open.
func ResumeScenario(path string) (*ScenarioFolder, scenario.Header, []scenario.Record, error) {
	f := &ScenarioFolder{runFolder{path: path, header: ScenarioFile}}
	header, err := readScenarioHeader(path)
	var records []scenario.Record
	if err == nil {
		err = f.resume(func() (whole int64, err error) {
			header, records, whole, err = readScenario(path)
			return whole, err
		})
	}
	if err != nil {
		return nil, scenario.Header{}, nil, err
	}
	return f, header, records, nil
}

// HoldsScenario reports whether a folder is the results folder of a scenario.
func HoldsScenario(path string) bool {
	_, err := os.Stat(filepath.Join(path, ScenarioFile))
	return err == nil
}

// ReadScenario returns what a results folder of a scenario holds. A last line that was cut while it was written is left out.
func ReadScenario(path string) (scenario.Header, []scenario.Record, error) {
	header, records, _, err := readScenario(path)
	return header, records, err
}

func readScenarioHeader(path string) (scenario.Header, error) {
	return folderReader{path: path}.scenarioHeader()
}

func readScenario(path string) (header scenario.Header, records []scenario.Record, whole int64, err error) {
	return folderReader{path: path}.scenario()
}

func (in folderReader) scenarioHeader() (h scenario.Header, err error) {
	err = in.header(ScenarioFile, "results folder of a scenario", scenario.Schema, &h)
	return h, err
}

func (in folderReader) scenario() (header scenario.Header, records []scenario.Record, whole int64, err error) {
	if header, err = in.scenarioHeader(); err != nil {
		return header, nil, 0, err
	}
	whole, err = in.lines(func(line []byte) error {
		var rec scenario.Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return err
		}
		records = append(records, rec)
		return checkSchema(rec.Schema, scenario.Schema)
	})
	return header, records, whole, err
}

// Append adds a record and syncs it: a trial may have taken minutes.
func (f *ScenarioFolder) Append(rec *scenario.Record) error {
	return errors.Join(f.append(rec), f.records.Sync())
}

// Finish syncs the records and writes header, tables, CSV and charts, each whole or not at all.
func (f *ScenarioFolder) Finish(s *analysis.Scenario) error {
	if err := errors.Join(f.records.Sync(), f.writeHeader(s.Header)); err != nil {
		return err
	}
	write := func(name string, write func(io.Writer) error) error {
		return WriteFile(filepath.Join(f.path, name), write)
	}
	if err := write(TableFile, func(w io.Writer) error { return WriteScenario(w, s) }); err != nil {
		return err
	}
	if err := write(CSVFile, func(w io.Writer) error { return ScenarioTable(s).WriteCSV(w) }); err != nil {
		return err
	}
	return writeScenarioCharts(write, s)
}

// WriteScenario writes the results of a run for a person: what was run, a table for each of CPU, memory and packets with a
// column for each engine, costs against the cheapest engine, and what each number means.
func WriteScenario(w io.Writer, s *analysis.Scenario) error {
	if _, err := io.WriteString(w, scenarioHeading(s)); err != nil {
		return err
	}
	engines := measured(s)
	if len(engines) == 0 {
		return nil
	}
	for _, t := range scenarioTables(s, engines) {
		if len(t.Rows) == 0 {
			continue
		}
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

func scenarioTables(s *analysis.Scenario, engines []string) []*Table {
	return []*Table{
		countedTable(s, engines), cpuTable(s, engines), memoryTable(s, engines), costPerPacketTable(s, engines), closedTable(s, engines),
		ratioTable(s),
	}
}

func scenarioHeading(s *analysis.Scenario) string {
	h := &s.Header
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s%s\n", key, clean(fmt.Sprintf(format, args...)))
	}
	line("scenario", "%s: %s", h.Plan.Scenario.Name, h.Plan.Scenario.Doc)
	if h.Plan.Scenario.Source != "" {
		line("after", "%s", h.Plan.Scenario.Source)
	}
	text := fmt.Sprintf("rows: %d, repeats: %d", len(h.Plan.Scenario.Rows), h.Plan.Repeats)
	if h.Plan.LimitSeconds > 0 {
		text += fmt.Sprintf("; traffic cut to %g s a row: a first look", h.Plan.LimitSeconds)
	}
	if s.Trials < s.Planned {
		text += fmt.Sprintf("; unfinished: %d of %d trials", s.Trials, s.Planned)
	}
	line("plan", "%s; own engines on the %s clock, other programs on the system clock", text, h.Plan.Clock)
	for _, e := range h.Programs {
		text := e.Engine + ": " + e.Version
		var startUps []float64
		for i := range s.Rows {
			if c := s.Rows[i].Cell(e.Engine); c != nil && c.StartUp.N > 0 {
				startUps = append(startUps, c.StartUp.Median)
			}
		}
		if len(startUps) > 0 {
			text += "; start-up " + FormatDuration(analysis.Summarize(startUps).Median) + ", in no other number"
		}
		line("program", "%s", text)
	}
	for _, m := range h.Missing {
		line("missing", "%s", m.Why)
	}
	for _, e := range h.Plan.Engines {
		for i := range s.Rows {
			c := s.Rows[i].Cell(e)
			if c == nil {
				continue
			}
			text := e + ": " + c.Queue
			if p := c.Program; p != nil {
				text += "; pipe of " + FormatOctets(float64(p.PipeOctets)) + ", part of it"
				if p.BufferOctets > 0 {
					text += "; input buffer " + FormatOctets(float64(p.BufferOctets))
				}
				if p.BufferNote != "" {
					text += ": " + p.BufferNote
				}
				if !p.Counter {
					text += "; it does not tell its progress: what it has read counts as taken"
				}
			}
			line("queue", "%s", text)
			break
		}
	}
	line("machine", "%s, pcaplab %s", h.Environment.String(), h.Version)
	return b.String()
}

// measured lists the engines of which there are records.
func measured(s *analysis.Scenario) []string {
	var list []string
	for _, e := range s.Header.Plan.Engines {
		for i := range s.Rows {
			if s.Rows[i].Cell(e) != nil {
				list = append(list, e)
				break
			}
		}
	}
	return list
}

// perEngine makes a table of one value: a row for each row of the scenario, a column for each engine.
func perEngine(title string, s *analysis.Scenario, engines []string, value func(*analysis.ScenarioRow, *analysis.ScenarioCell) string) *Table {
	t := &Table{Title: title, Columns: []Column{{Head: "row"}}}
	for _, e := range engines {
		t.Columns = append(t.Columns, Column{Head: e, Right: true})
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		if len(r.Engines) == 0 {
			continue
		}
		row := []Cell{Text(r.Row.Name)}
		any := false
		for _, e := range engines {
			text := ""
			if c := r.Cell(e); c != nil {
				text = value(r, c)
			}
			any = any || text != ""
			if text == "" {
				text = "n/a"
			}
			row = append(row, Text(text))
		}
		if any {
			t.Add(row...)
		}
	}
	return t
}

func countedTable(s *analysis.Scenario, engines []string) *Table {
	t := perEngine("Packets counted (median), and the share of those sent that was lost", s, engines,
		func(r *analysis.ScenarioRow, c *analysis.ScenarioCell) string {
			if c.Counted.N == 0 {
				return strings.TrimSpace(marksText(c))
			}
			text := strconv.FormatFloat(c.Counted.Median, 'f', -1, 64)
			switch {
			case c.Loss.Median > 0:
				text += " (-" + FormatRatio(c.Loss.Median) + ")"
			case c.Loss.Max > 0:
				text += " (at worst -" + FormatRatio(c.Loss.Max) + ")"
			}
			// Some packets of the control connection always come with the last of the traffic.
			if waited := c.Counted.Median - c.InTime.Median; c.InTime.N > 0 && waited > max(50, c.Counted.Median/10) {
				text += ", in time " + strconv.FormatFloat(c.InTime.Median, 'f', -1, 64)
			}
			return text + marksText(c)
		})
	t.Columns = slices.Insert(t.Columns, 1, Column{Head: "sent", Right: true})
	at := 0
	for i := range s.Rows {
		if r := &s.Rows[i]; at < len(t.Rows) && t.Rows[at][0].Text == r.Row.Name {
			t.Rows[at] = slices.Insert(t.Rows[at], 1, Text(strconv.FormatUint(r.Sent, 10)))
			at++
		}
	}
	t.Notes = append(t.Notes, "sent: every packet of the load, iperf3's control connection included. counted: by the engine itself, when it had taken all that",
		"its queue let in; a packet is lost when it came while the queue was full. in time: taken by the end of the traffic, where that is less:",
		"the rest waited in the queue, and longer traffic would have lost more. On loopback each packet is seen once.")
	for i := range s.Rows {
		for j := range s.Rows[i].Engines {
			c := &s.Rows[i].Engines[j]
			doubts := c.Failures
			if c.Program != nil {
				doubts = slices.Concat(doubts, c.Program.Warnings)
			}
			if len(doubts) > 0 {
				note := fmt.Sprintf("%s, %s: %s", s.Rows[i].Row.Name, c.Engine, doubts[0])
				if len(doubts) > 1 {
					note += fmt.Sprintf("; and %d more like it", len(doubts)-1)
				}
				t.Notes = append(t.Notes, note)
			}
		}
	}
	return t
}

func cpuTable(s *analysis.Scenario, engines []string) *Table {
	title := "CPU of the engine over the traffic, % of one CPU; in brackets with its children"
	window := s.Header.Plan.Scenario.WindowSeconds
	if s.Header.Plan.LimitSeconds > 0 {
		window = 0 // shorter traffic in the same window would mean nothing
	}
	if window > 0 {
		title += fmt.Sprintf("; after the stroke as the study took it: the process alone, over %g s", window)
	}
	t := perEngine(title, s, engines, func(r *analysis.ScenarioRow, c *analysis.ScenarioCell) string {
		if c.CPU.N == 0 {
			return ""
		}
		text := percent(c.CPU.Median)
		if c.TreeCPU.N > 0 && c.TreeCPU.Median > c.CPU.Median*1.005 {
			text += " (" + percent(c.TreeCPU.Median) + ")"
		}
		if window > 0 && c.WindowCPU.N > 0 {
			text += " / " + percent(c.WindowCPU.Median)
		}
		return text
	})
	t.Notes = append(t.Notes, "CPU time of the process without start-up and without the lab's feed; over the traffic it says how busy the engine was while packets came.")
	if window > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("Over the window of %g s one thread that was busy for 10 s of traffic reads 20 %%.", window))
	}
	return t
}

func memoryTable(s *analysis.Scenario, engines []string) *Table {
	t := perEngine("Peak resident memory (VmHWM) of the process; in brackets the peak of it and its children together", s, engines,
		func(r *analysis.ScenarioRow, c *analysis.ScenarioCell) string {
			if c.Peak.N == 0 {
				return ""
			}
			text := FormatOctets(c.Peak.Median)
			if c.TreePeak.N > 0 && c.TreePeak.Median > c.Peak.Median*1.005 {
				text += " (" + FormatOctets(c.TreePeak.Median) + ")"
			}
			return text
		})
	return t
}

func costPerPacketTable(s *analysis.Scenario, engines []string) *Table {
	t := perEngine("CPU time per packet counted, children included (median, with half of its interval where there is one)", s, engines,
		func(r *analysis.ScenarioRow, c *analysis.ScenarioCell) string {
			if c.Cost.N == 0 {
				return ""
			}
			text := summaryText(c.Cost, FormatDuration)
			if slices.Contains(c.Marks, trial.MarkFeedLimited) {
				text += " *"
			}
			return text
		})
	if slices.ContainsFunc(t.Rows, func(row []Cell) bool {
		return slices.ContainsFunc(row, func(c Cell) bool { return strings.HasSuffix(c.Text, " *") })
	}) {
		t.Notes = append(t.Notes, "* making and feeding the packets took over 5 % of the time, and is taken off: 'ceiling' measures such engines closer")
	}
	return t
}

// marksText writes the doubts about counts in brackets.
func marksText(c *analysis.ScenarioCell) string {
	var list []string
	for _, m := range c.Marks {
		if m != trial.MarkFeedLimited {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " [" + strings.Join(list, ", ") + "]"
}

func closedTable(s *analysis.Scenario, engines []string) *Table {
	return perEngine("Closed loop: packets per second as fast as the engine takes them", s, engines,
		func(r *analysis.ScenarioRow, c *analysis.ScenarioCell) string {
			if c.Closed.N == 0 {
				return ""
			}
			return summaryText(c.Closed, FormatRate)
		})
}

func ratioTable(s *analysis.Scenario) *Table {
	t := &Table{Title: "Cost per packet against the cheapest engine", Columns: []Column{{Head: "engine"}, {Head: "times", Right: true},
		{Head: "interval", Right: true}, {Head: "rows", Right: true}}}
	for _, e := range s.Engines {
		text, interval := "n/a", "n/a"
		if e.Ratio.N > 0 {
			text = significant(e.Ratio.Median)
		}
		if e.Ratio.Interval.Valid() {
			interval = significant(e.Ratio.Interval.Low) + " .. " + significant(e.Ratio.Interval.High)
		}
		t.Add(Text(e.Engine), Text(text), Text(interval), Text(strconv.Itoa(e.Rows)))
	}
	if len(s.Engines) > 0 {
		t.Notes = []string{"geometric mean over the rows of the ratio to " + s.Engines[0].Base + " in the same repeat; median of the repeats"}
	}
	return t
}

func percent(share float64) string {
	if share == 0 {
		return "0"
	}
	return significant(100 * share)
}

func summaryText(m analysis.Summary, format func(float64) string) string {
	text := format(m.Median)
	if m.Interval.Valid() && m.Median > 0 {
		if half := (m.Interval.High - m.Interval.Low) / 2 / m.Median; half >= 0.005 {
			text += fmt.Sprintf(" ±%.0f %%", math.Ceil(100*half))
		}
	}
	return text
}

// ScenarioTable has all numbers of a run: a line for each engine on each row.
func ScenarioTable(s *analysis.Scenario) *Table {
	t := &Table{Columns: []Column{{Head: "scenario"}, {Head: "row"}, {Head: "side"}, {Head: "engine"}, {Head: "queue"}, {Head: "repeats"},
		{Key: "sent_packets"}, {Key: "mean_wire_octets"}, {Key: "traffic_s"}}}
	type column struct {
		key string
		of  func(*analysis.ScenarioCell) *analysis.Summary
	}
	columns := []column{
		{"counted_packets", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Counted }},
		{"in_time_packets", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.InTime }},
		{"tcp_packets", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.TCP }},
		{"loss_ratio", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Loss }},
		{"cpu_share", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.CPU }},
		{"tree_cpu_share", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.TreeCPU }},
		{"window_cpu_share", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.WindowCPU }},
		{"cost_ns", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Cost }},
		{"own_cost_ns", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.OwnCost }},
		{"peak_octets", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Peak }},
		{"tree_peak_octets", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.TreePeak }},
		{"start_up_ns", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.StartUp }},
		{"closed_loop_pps", func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Closed }},
	}
	for _, c := range columns {
		t.Columns = append(t.Columns, Column{Key: c.key}, Column{Key: c.key + "_low"}, Column{Key: c.key + "_high"})
	}
	t.Columns = append(t.Columns, Column{Key: "marks"})
	exact := func(v float64, known bool) Cell {
		if !known {
			v = math.NaN()
		}
		return Number(v, func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) })
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		for j := range r.Engines {
			c := &r.Engines[j]
			row := []Cell{Text(s.Header.Plan.Scenario.Name), Text(r.Row.Name), Text(r.Row.Side), Text(c.Engine), Text(c.Queue),
				Text(strconv.Itoa(c.Counted.N)), Text(strconv.FormatUint(r.Sent, 10)), exact(r.Octets, true), exact(r.Seconds, true)}
			for _, column := range columns {
				m := column.of(c)
				row = append(row, exact(m.Median, m.N > 0), exact(m.Interval.Low, m.Interval.Valid()), exact(m.Interval.High, m.Interval.Valid()))
			}
			t.Add(append(row, Text(strings.Join(c.Marks, "; ")))...)
		}
	}
	return t
}

// ScenarioCharts are the names of a scenario's charts, each written as NAME.png and NAME.svg.
var ScenarioCharts = []string{"cpu", "memory", "counted", "cost"}

// ScenarioChart returns one of [ScenarioCharts]: a bar for each engine on each row, with the interval of the median.
func ScenarioChart(s *analysis.Scenario, name string) (BarChart, error) {
	h := &s.Header
	ch := BarChart{Series: measured(s), Note: scenarioNote(s)}
	var value func(*analysis.ScenarioCell) *analysis.Summary
	scale := 1.0
	switch name {
	case "cpu":
		ch.Title, ch.Axis, scale = "CPU of engines while traffic comes: "+h.Plan.Scenario.Name, "CPU time over traffic time, children included", 100
		ch.Format = func(v float64) string { return FormatRatio(v / 100) }
		value = func(c *analysis.ScenarioCell) *analysis.Summary { return &c.TreeCPU }
	case "memory":
		const mebi = 1 << 20 // the axis has round numbers of them
		ch.Title, ch.Axis, scale = "Peak memory of engines: "+h.Plan.Scenario.Name, "resident, children included", 1.0/mebi
		ch.Format = func(v float64) string { return FormatOctets(mebi * v) }
		value = func(c *analysis.ScenarioCell) *analysis.Summary { return &c.TreePeak }
	case "counted":
		ch.Title, ch.Axis, scale = "Packets counted: "+h.Plan.Scenario.Name, "share of the packets sent", 100
		ch.Format = func(v float64) string { return FormatRatio(v / 100) }
		value = func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Share }
	case "cost":
		ch.Title, ch.Axis = "CPU time per packet: "+h.Plan.Scenario.Name, "CPU time per packet counted, children included"
		ch.Format = FormatDuration
		value = func(c *analysis.ScenarioCell) *analysis.Summary { return &c.Cost }
	default:
		return ch, fmt.Errorf("no chart %q: there are %s", name, strings.Join(ScenarioCharts, ", "))
	}
	for i := range s.Rows {
		r := &s.Rows[i]
		if len(r.Engines) == 0 {
			continue
		}
		g := BarGroup{Name: r.Row.Name, Panel: r.Row.Side}
		if short, ok := strings.CutPrefix(r.Row.Name, r.Row.Side+" "); ok && r.Row.Side != "" {
			g.Name = short // the panel says the side
		}
		if name == "counted" {
			g.Name += ", " + strconv.FormatUint(r.Sent, 10) + " sent"
		}
		for _, e := range ch.Series {
			b := Bar{Value: math.NaN()}
			if c := r.Cell(e); c != nil {
				if m := value(c); m.N > 0 {
					b.Value = scale * m.Median
					if m.Interval.Valid() {
						b.Interval = m.Interval
						b.Interval.Low *= scale
						b.Interval.High *= scale
					}
				}
			}
			g.Bars = append(g.Bars, b)
		}
		ch.Groups = append(ch.Groups, g)
	}
	return ch, nil
}

func scenarioNote(s *analysis.Scenario) string {
	h := &s.Header
	repeats := h.Plan.Repeats
	note := fmt.Sprintf("medians of %d repeats", repeats)
	if repeats == 1 {
		note = "one repeat"
	}
	if repeats >= analysis.MinRepeats {
		note += fmt.Sprintf(", whiskers are their %g %% intervals", 100*analysis.Level)
	}
	if h.Plan.LimitSeconds > 0 {
		note = fmt.Sprintf("traffic cut to %g s a row, not for publication: ", h.Plan.LimitSeconds) + note
	}
	if s.Trials < s.Planned {
		note = fmt.Sprintf("unfinished, %d of %d trials: ", s.Trials, s.Planned) + note
	}
	return note + "; " + h.Environment.String()
}

func writeScenarioCharts(write func(name string, write func(io.Writer) error) error, s *analysis.Scenario) error {
	if len(measured(s)) == 0 {
		return nil
	}
	for _, name := range ScenarioCharts {
		ch, err := ScenarioChart(s, name)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(ch.Groups, func(g BarGroup) bool {
			return slices.ContainsFunc(g.Bars, func(b Bar) bool { return !math.IsNaN(b.Value) })
		}) {
			continue
		}
		if err := write(name+".png", func(w io.Writer) error { return WritePNG(w, ch) }); err != nil {
			return err
		}
		if err := write(name+".svg", func(w io.Writer) error { return WriteSVG(w, ch) }); err != nil {
			return err
		}
	}
	return nil
}

// WriteScenarioFits writes what the cost of each engine depends on over the rows of a run, and how near one server behind a
// queue comes to the packets that it counted.
func WriteScenarioFits(w io.Writer, s *analysis.Scenario) error {
	t := &Table{Title: "CPU time per packet of the process itself: " + s.Header.Plan.Scenario.Name,
		Columns: []Column{{Head: "engine"}, {Head: "form"}, {Head: "fitted"}, {Head: "R2", Right: true}, {Head: "MAPE", Right: true},
			{Head: "worst", Right: true}, {Head: "verdict"}}}
	q := &Table{Title: "Queue model: counted = min(sent, traffic / cost + queue)", Columns: []Column{{Head: "engine"}, {Head: "rows", Right: true},
		{Head: "mean error", Right: true}, {Head: "worst row"}, {Head: "predicted", Right: true}, {Head: "counted", Right: true}}}
	for i := range s.Fits {
		f := &s.Fits[i]
		for j := range f.Fits {
			fit := &f.Fits[j]
			verdict := "refused"
			if fit.Accepted {
				verdict = "accepted"
			}
			if f.Chosen != nil && fit.Form == f.Chosen.Form {
				verdict = "accepted, chosen"
			}
			t.Add(Text(f.Engine), Text(string(fit.Form)), Text(fitText(fit)), Text(strconv.FormatFloat(fit.R2, 'f', 2, 64)), Text(FormatRatio(fit.MAPE)),
				Text(FormatRatio(fit.Worst)), Text(verdict))
		}
		var worst *analysis.CountPrediction
		most := -1.0
		for j := range f.Counts {
			if e := math.Abs(f.Counts[j].Predicted/f.Counts[j].Counted - 1); e > most {
				worst, most = &f.Counts[j], e
			}
		}
		if worst != nil {
			q.Add(Text(f.Engine), Text(strconv.Itoa(len(f.Counts))), Text(FormatRatio(f.Error)), Text(worst.Row),
				Text(strconv.FormatFloat(worst.Predicted, 'f', 0, 64)), Text(strconv.FormatFloat(worst.Counted, 'f', 0, 64)))
		}
	}
	t.Notes = []string{"of the rows on Ethernet but TCP's, whose packets are of two sizes, where there are three or more of them; octets are those on the wire",
		"a form that misses by more than 10 % on average or 25 % at worst is refused: cost is not of that form"}
	q.Notes = []string{"cost: of the chosen form, or where none is accepted the row's own"}
	if err := t.WriteText(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return err
	}
	return q.WriteText(w)
}

// fitText writes a fit with its numbers.
func fitText(f *analysis.Fit) string {
	base := FormatDuration(f.Base.Value)
	switch f.Form {
	case analysis.FormLine:
		return fmt.Sprintf("%s + %s * octets", base, FormatDuration(f.PerOctet.Value))
	case analysis.FormPerSecond:
		return fmt.Sprintf("%s + %s / pps", base, FormatDuration(f.PerSecond.Value))
	case analysis.FormWakeup:
		return fmt.Sprintf("%s + %s * max(0, 1 - pps/%s)", base, FormatDuration(f.Wakeup.Value), significant(f.BusyPPS.Value))
	}
	return base
}
