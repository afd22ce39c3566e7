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
	"sort"
	"strconv"
	"strings"

	"github.com/rivo/uniseg"

	"pcaplab/analysis/score"
	"pcaplab/analysis/validation"
)

// Files of the folder of a validation.
const (
	ValidationFile     = "validation.json" // validation.Report
	ValidationTextFile = "validation.txt"
	ValidationCSVFile  = "validation.csv" // a row for each set
	ClassScoresCSVFile = "classes.csv"    // a row for each set and class
	ConfusionCSVFile   = "confusion.csv"  // a row for each set, true class and predicted class
	DriftCSVFile       = "drift.csv"      // a row for each pair of sets and column
	AblationCSVFile    = "ablation.csv"   // a row for each row of an ablation
)

// How many lines of a long table are shown.
const (
	confusionsShown = 10
	driftShown      = 10
)

// ValidationText says what WriteValidation writes.
type ValidationText struct {
	Confusion bool // the whole confusion matrix
}

// WriteValidation writes a validation for a person: how right the model is, set beside set, class by class, what was taken for what, what
// drifted, and what the ablation showed.
func WriteValidation(w io.Writer, r *validation.Report, text ValidationText) error {
	var out writer
	out.w = w
	out.line("model      %s%s: %s of %s", r.Model.Name, shortDigest(r.Model.SHA256), plural(len(r.Model.Classes), "class", "classes"),
		plural(len(r.Model.Columns), "column", "columns"))
	for i := range r.Sets {
		s := &r.Sets[i]
		of := plural(len(s.Sources), "table", "tables")
		if s.Captures {
			of = plural(len(s.Sources), "capture", "captures") + ", " + s.Window
		}
		vectors := "vectors"
		if s.Rows == 1 {
			vectors = "vector"
		}
		out.line("%-10s %s %s of %s", s.Name, grouped(s.Rows), vectors, of)
		if s.Synthetic != "" {
			out.line("           %s", s.Synthetic)
		}
	}
	out.line("%s", settingsLine(&r.Settings))
	out.line("")
	for i := range r.Sets {
		if s := &r.Sets[i]; !s.Reference {
			out.wrapped("%s", headline(s))
		}
	}
	for _, part := range r.Ablation {
		out.wrapped("%s: %s: %s", part.Set, leakWords[part.Leak], part.Finding)
	}
	out.line("")
	out.table(overallTable(r))
	for i := range r.Sets {
		if s := &r.Sets[i]; !s.Reference {
			out.table(classScores(s))
			out.table(topConfusions(s))
			if text.Confusion {
				out.table(confusionMatrix(s))
			}
		}
	}
	for i := range r.Drift {
		out.table(topDrift(&r.Drift[i]))
	}
	for i := range r.Ablation {
		out.table(ablationTable(&r.Ablation[i]))
	}
	if lines := lengthLines(r); len(lines) > 0 {
		for _, l := range lines {
			out.wrapped("%s", l)
		}
		out.line("")
	}
	for _, warning := range warningsOf(r) {
		out.wrapped("warning: %s", warning)
	}
	return out.err
}

func settingsLine(s *validation.Settings) string {
	parts := []string{"values not finite: " + s.NonFinite}
	if s.Benign != "" {
		parts = append(parts, "benign is "+s.Benign)
	}
	if s.Group != "" && s.Group != "none" {
		parts = append(parts, "labels grouped: "+s.Group)
	}
	if s.As != "" && s.As != "extractor" {
		parts = append(parts, "features as "+s.As)
	}
	if s.Limit > 0 {
		parts = append(parts, fmt.Sprintf("the first %s vectors of each file", grouped(uint64(s.Limit))))
	}
	return "settings   " + strings.Join(parts, "; ")
}

var leakWords = map[string]string{
	validation.LeakShown: "leak of the windows' length", validation.LeakNotShown: "no leak of the windows' length",
	validation.LeakPossible: "perhaps a leak of the windows' length", validation.LeakUntested: "leak of the windows' length untested",
}

// writer writes lines and tables until an error.
type writer struct {
	w   io.Writer
	err error
}

func (o *writer) line(format string, args ...any) {
	if o.err == nil {
		_, o.err = io.WriteString(o.w, strings.TrimRight(clean(fmt.Sprintf(format, args...)), " ")+"\n")
	}
}

// wrapped writes a line as several of at most 80 columns, where words allow, all but the first indented.
func (o *writer) wrapped(format string, args ...any) {
	const width = 80
	line, used := "", 0
	const space = "\x00" // between a number and its percent sign, which stay together; clean leaves no such thing
	text := strings.ReplaceAll(clean(fmt.Sprintf(format, args...)), " %", space+"%")
	for _, word := range strings.Fields(text) {
		word = strings.ReplaceAll(word, space, " ")
		n := uniseg.StringWidth(word)
		if used > 0 && used+1+n > width {
			o.line("%s", line)
			line, used = " ", 1
		}
		if line != "" {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	o.line("%s", line)
}

// table writes a table with an empty line behind it; one without rows and notes is left out.
func (o *writer) table(t *Table) {
	if o.err == nil && len(t.Rows)+len(t.Notes) > 0 {
		o.err = t.WriteText(o.w)
		o.line("")
	}
}

func shortDigest(sum string) string {
	if len(sum) < 12 {
		return ""
	}
	return " (" + sum[:12] + ")"
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// grouped writes a count with a comma before each group of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatScore writes a score between -1 and 1 with three decimals. Only 1 is written "1.000", only -1 "-1.000", only 0 "0.000".
func formatScore(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	switch {
	case s == "1.000" && v < 1:
		return ">0.999"
	case s == "-1.000" && v > -1:
		return "<-0.999"
	case s == "-0.000" && v < 0:
		return ">-0.001"
	case s == "0.000" && v > 0:
		return "<0.001"
	}
	return strings.TrimPrefix(s, map[bool]string{true: "-"}[v == 0])
}

// formatInterval writes ends as formatScore, but rounds those that nearly are -1, 0 or 1 outwards.
func formatInterval(i score.Interval) string {
	low, high := strconv.FormatFloat(i.Low, 'f', 3, 64), strconv.FormatFloat(i.High, 'f', 3, 64)
	switch {
	case low == "1.000" && i.Low < 1:
		low = "0.999"
	case low == "-0.000" && i.Low < 0:
		low = "-0.001"
	}
	switch {
	case high == "0.000" && i.High > 0:
		high = "0.001"
	case high == "-1.000" && i.High > -1:
		high = "-0.999"
	case high == "-0.000":
		high = "0.000"
	}
	return "[" + low + ", " + high + "]"
}

func scored(v float64, i score.Interval) Cell {
	return Cell{Text: formatScore(v) + " " + formatInterval(i), Raw: strconv.FormatFloat(v, 'g', -1, 64)}
}

func perHour(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1000:
		return grouped(uint64(math.Round(min(v, 1e18))))
	}
	return significant(v)
}

func headline(s *validation.SetReport) string {
	m := &s.Metrics
	text := fmt.Sprintf("%s: macro-F1 %s %s", s.Name, formatScore(m.Macro.F1), formatInterval(s.Intervals.MacroF1))
	if m.Baseline.Class != "" {
		text += fmt.Sprintf(" (always %s: %s)", m.Baseline.Class, formatScore(m.Baseline.MacroF1))
	}
	if recall, _, ok := s.BenignRecall(); ok {
		text += ", benign recall " + formatScore(recall)
	}
	switch {
	case s.FalseAlarmsPerHour != nil && s.Hours >= validation.LeastHours:
		text += fmt.Sprintf(", %s false alarms an hour", perHour(*s.FalseAlarmsPerHour))
	case s.FalseAlarmsPerHour != nil:
		text += fmt.Sprintf(", %s in %s of benign capture", alarmCount(s.Alarms.FalseAlarms), FormatDuration(s.Hours*3600e9))
	case s.Alarms != nil && s.Alarms.BenignRows > 0:
		text += fmt.Sprintf(", %s in %s benign vectors", alarmCount(s.Alarms.FalseAlarms), grouped(s.Alarms.BenignRows))
	}
	return text
}

func alarmCount(n uint64) string {
	if n == 1 {
		return "1 false alarm"
	}
	return grouped(n) + " false alarms"
}

// overallTable has a row for each score, a column for each set.
func overallTable(r *validation.Report) *Table {
	t := &Table{Columns: []Column{{Head: ""}}}
	for i := range r.Sets {
		t.Columns = append(t.Columns, Column{Head: r.Sets[i].Name, Right: true})
	}
	row := func(name string, cell func(*validation.SetReport) string) {
		cells, any := []Cell{Text(name)}, false
		for i := range r.Sets {
			text := cell(&r.Sets[i])
			any = any || text != ""
			cells = append(cells, Text(text))
		}
		if any {
			t.Add(cells...)
		}
	}
	with := func(v float64, i score.Interval) string { return formatScore(v) + " " + formatInterval(i) }
	count := func(n uint64) string {
		if n == 0 {
			return ""
		}
		return grouped(n)
	}
	alarms := func(cell func(*validation.SetReport, *score.Alarms) string) func(*validation.SetReport) string {
		return func(s *validation.SetReport) string {
			if s.Alarms == nil {
				return ""
			}
			return cell(s, s.Alarms)
		}
	}
	row("vectors with a prediction", func(s *validation.SetReport) string { return grouped(s.Decided) })
	row("without one (not finite)", func(s *validation.SetReport) string { return count(s.Dropped) })
	row("by replaced values", func(s *validation.SetReport) string { return count(s.Clamped) })
	row("macro-F1", func(s *validation.SetReport) string { return with(s.Metrics.Macro.F1, s.Intervals.MacroF1) })
	row("weighted F1", func(s *validation.SetReport) string { return with(s.Metrics.Weighted.F1, s.Intervals.WeightedF1) })
	row("accuracy", func(s *validation.SetReport) string { return with(s.Metrics.Accuracy, s.Intervals.Accuracy) })
	row("balanced accuracy", func(s *validation.SetReport) string {
		return with(s.Metrics.BalancedAccuracy, s.Intervals.BalancedAccuracy)
	})
	row("MCC", func(s *validation.SetReport) string { return with(s.Metrics.MCC, s.Intervals.MCC) })
	row("benign or not: macro-F1", func(s *validation.SetReport) string {
		if s.Binary == nil {
			return ""
		}
		return formatScore(s.Binary.Macro.F1)
	})
	row("benign recall", alarms(func(s *validation.SetReport, _ *score.Alarms) string {
		recall, interval, ok := s.BenignRecall()
		if !ok {
			return "n/a"
		}
		return with(recall, interval)
	}))
	row("attacks that raise an alarm", alarms(func(_ *validation.SetReport, a *score.Alarms) string {
		if a.AttackRows == 0 {
			return "n/a"
		}
		return formatScore(a.DetectionRate())
	}))
	row("false alarms", alarms(func(_ *validation.SetReport, a *score.Alarms) string {
		return fmt.Sprintf("%s of %s", grouped(a.FalseAlarms), grouped(a.BenignRows))
	}))
	row("false alarms an hour", alarms(func(s *validation.SetReport, _ *score.Alarms) string {
		if s.FalseAlarmsPerHour == nil {
			return "n/a"
		}
		if s.Hours < validation.LeastHours {
			return "n/a: only " + FormatDuration(s.Hours*3600e9)
		}
		text := perHour(*s.FalseAlarmsPerHour)
		if i := s.FalseAlarmsPerHourInterval; i != nil {
			text += " [" + perHour(i.Low) + ", " + perHour(i.High) + "]"
		}
		return text + " in " + FormatDuration(s.Hours*3600e9)
	}))
	row("always the most frequent class", func(s *validation.SetReport) string { return s.Metrics.Baseline.Class })
	row("  macro-F1", func(s *validation.SetReport) string { return formatScore(s.Metrics.Baseline.MacroF1) })
	row("  accuracy", func(s *validation.SetReport) string { return formatScore(s.Metrics.Baseline.Accuracy) })
	for i := range r.Sets {
		s := &r.Sets[i]
		if i == 0 || s.Intervals.By != r.Sets[i-1].Intervals.By {
			t.Notes = append(t.Notes, fmt.Sprintf("%g %% intervals by %s (%s), %d resamples", 100*s.Intervals.Level, s.Intervals.By, s.Name, s.Intervals.Resamples))
		}
		if s.HoursWhy != "" && s.Alarms != nil {
			t.Notes = append(t.Notes, fmt.Sprintf("no false alarms an hour for %s: %s", s.Name, s.HoursWhy))
		}
	}
	return t
}

// classScores has a row for each class of a set that is there, or was predicted, or of which all rows were dropped.
func classScores(s *validation.SetReport) *Table {
	t := &Table{Title: s.Name + ", class by class", Columns: []Column{{Head: "class"}, {Head: "vectors", Right: true}, {Head: "precision", Right: true},
		{Head: "recall", Right: true}, {Head: "F1", Right: true}}}
	unknown := make(map[string]bool)
	for _, l := range s.Labels {
		unknown[l.Label] = l.Unknown
	}
	for i, c := range s.Metrics.PerClass {
		name, none := c.Class, Text("n/a")
		if unknown[name] {
			name += " (unknown)"
		}
		if n := s.DroppedOf[c.Class]; n > 0 && c.Support == 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: all %s vectors have no prediction (not finite)", name, grouped(n)))
			if !c.Present() {
				t.Add(Text(name), Text("0"), none, none, none)
			}
		}
		if !c.Present() || i >= len(s.Intervals.PerClass) {
			continue
		}
		in := s.Intervals.PerClass[i]
		precision, recall := none, none
		if c.Predicted > 0 {
			precision = scored(c.Precision, in.Precision)
		}
		if c.Support > 0 {
			recall = scored(c.Recall, in.Recall)
		}
		t.Add(Text(name), Cell{Text: grouped(c.Support)}, precision, recall, scored(c.F1, in.F1))
	}
	return t
}

// topConfusions lists what was most often taken for what.
func topConfusions(s *validation.SetReport) *Table {
	t := &Table{Title: s.Name + ", most often taken for another", Columns: []Column{{Head: "class"}, {Head: "taken for"}, {Head: "vectors", Right: true},
		{Head: "of the class", Right: true}}}
	type pair struct {
		truth, predicted int
		n                uint64
	}
	var pairs []pair
	for i, row := range s.Confusion.Counts {
		for j, n := range row {
			if i != j && n > 0 {
				pairs = append(pairs, pair{i, j, n})
			}
		}
	}
	sort.SliceStable(pairs, func(i, j int) bool { return pairs[i].n > pairs[j].n })
	for i, p := range pairs {
		if i == confusionsShown {
			t.Notes = append(t.Notes, fmt.Sprintf("and %d more: --confusion shows all", len(pairs)-i))
			break
		}
		t.Add(Text(s.Confusion.Classes[p.truth]), Text(s.Confusion.Classes[p.predicted]), Text(grouped(p.n)),
			Text(FormatRatio(float64(p.n)/float64(s.Metrics.PerClass[p.truth].Support))))
	}
	return t
}

// confusionMatrix has a row for each true class, a numbered column for each predicted one.
func confusionMatrix(s *validation.SetReport) *Table {
	t := &Table{Title: s.Name + ", confusion: a row is a true class, a column what it was taken for", Columns: []Column{{Head: "", Right: true}, {Head: "class"}}}
	for i := range s.Confusion.Classes {
		t.Columns = append(t.Columns, Column{Head: strconv.Itoa(i + 1), Right: true})
	}
	for i, row := range s.Confusion.Counts {
		cells := []Cell{Text(strconv.Itoa(i + 1)), Text(s.Confusion.Classes[i])}
		for _, n := range row {
			text := "·"
			if n > 0 {
				text = strconv.FormatUint(n, 10)
			}
			cells = append(cells, Text(text))
		}
		t.Add(cells...)
	}
	return t
}

// topDrift lists the columns that drifted most: within classes where the sets have classes in common, as the shares of classes may differ.
func topDrift(d *validation.DriftReport) *Table {
	t := &Table{Title: fmt.Sprintf("%s against %s, columns that drifted most", d.Set, d.Against), Columns: []Column{{Head: "column"},
		{Head: "KS in class", Right: true}, {Head: "KS", Right: true}, {Head: "PSI", Right: true}, {Head: "median " + d.Against, Right: true},
		{Head: "median " + d.Set, Right: true}, {Head: "the model's"}}}
	number := func(v score.Value, decimals int) Cell {
		if !v.Defined() {
			return Text("n/a")
		}
		return Text(strconv.FormatFloat(float64(v), 'f', decimals, 64))
	}
	type row struct {
		score.ColumnDrift
		in score.Value
	}
	rows := make([]row, len(d.Columns))
	for i, c := range d.Columns {
		rows[i] = row{c, score.Value(math.NaN())}
		if i < len(d.WithinClasses) {
			rows[i].in = d.WithinClasses[i].KS
		}
	}
	larger := func(a, b score.Value) bool { return a.Defined() && (!b.Defined() || a > b) }
	sort.SliceStable(rows, func(i, j int) bool {
		if a, b := rows[i].in, rows[j].in; larger(a, b) || larger(b, a) {
			return larger(a, b)
		}
		return larger(rows[i].KS, rows[j].KS)
	})
	for _, c := range rows[:min(len(rows), driftShown)] {
		if !(c.in > 0 || c.KS > 0 || c.PSI > 0) {
			continue // no drift
		}
		used := "no"
		if d.Used[c.Column] {
			used = "yes"
		}
		t.Add(Text(c.Column), number(c.in, 3), number(c.KS, 3), number(c.PSI, 2), Text(median(c.Reference.Median)), Text(median(c.Other.Median)), Text(used))
	}
	if len(t.Rows) == 0 {
		t.Title, t.Columns = fmt.Sprintf("%s against %s: no column drifted", d.Set, d.Against), nil
	}
	if d.ClassShift > 0.1 {
		t.Notes = append(t.Notes, fmt.Sprintf("class shares are %s apart: KS and PSI of all vectors hold that too", FormatRatio(d.ClassShift)))
	}
	switch {
	case d.Unpaired != "":
		t.Notes = append(t.Notes, d.Unpaired)
	case len(d.Pairs) == 0:
		t.Notes = append(t.Notes, fmt.Sprintf("row by row all %s vectors are equal to the last bit", grouped(d.Paired)))
	default:
		worst := slices.MaxFunc(d.Pairs, func(a, b score.ColumnPairs) int {
			if a.Mismatches < b.Mismatches {
				return -1
			}
			return 1
		})
		t.Notes = append(t.Notes, fmt.Sprintf("row by row, %s of 39 columns differ in some of %s vectors, %s in most: %s, by at most %.3g of the value",
			strconv.Itoa(len(d.Pairs)), grouped(d.Paired), worst.Column, grouped(worst.Mismatches), worst.MaxRelative))
	}
	return t
}

func median(v score.Value) string {
	if !v.Defined() {
		return "n/a"
	}
	return strconv.FormatFloat(float64(v), 'g', 4, 64)
}

func ablationTable(p *validation.AblationPart) *Table {
	t := &Table{Title: p.Set + ", window ablation: the same model on other windows, and without columns"}
	if p.Synthetic != "" {
		t.Notes = append(t.Notes, p.Synthetic)
	}
	t.Columns = []Column{{Head: "windows"}, {Head: "vectors", Right: true}, {Head: "balanced accuracy", Right: true}, {Head: "macro-F1", Right: true},
		{Head: "benign recall", Right: true}, {Head: "false alarms", Right: true}, {Head: "verdict"}}
	var rows []validation.Ablation
	for _, a := range p.Rows { // what is hidden from windows comes below them
		if a.Hidden {
			continue
		}
		rows = append(rows, a)
		for _, h := range p.Rows {
			if h.Hidden && h.Against == a.Name {
				h.Name = "  " + strings.TrimPrefix(h.Name, a.Name+", ")
				rows = append(rows, h)
			}
		}
	}
	for _, a := range rows {
		recall, alarms := "n/a", "n/a"
		if a.BenignRecall != nil {
			recall = formatScore(*a.BenignRecall)
		}
		switch {
		case a.FalseAlarmsPerHour != nil && a.BenignHours >= validation.LeastHours:
			alarms = perHour(*a.FalseAlarmsPerHour) + "/h"
		case a.FalseAlarms != nil:
			alarms = grouped(*a.FalseAlarms)
		}
		t.Add(Text(a.Name), Text(grouped(a.Rows)), scored(a.BalancedAccuracy, a.BalancedAccuracyInterval), Text(formatScore(a.MacroF1)), Text(recall), Text(alarms),
			Text(a.Verdict))
		if a.Dropped > 0 && !a.Hidden { // with columns hidden as many
			t.Notes = append(t.Notes, fmt.Sprintf("%s: %s more vectors have no prediction (not finite)", a.Name, grouped(a.Dropped)))
		}
	}
	t.Notes = append(t.Notes, fmt.Sprintf("collapses: balanced accuracy falls by more than %g, and the intervals are apart", validation.CollapseDrop))
	if slices.ContainsFunc(rows, func(a validation.Ablation) bool { return a.Verdict == validation.Unclear }) {
		t.Notes = append(t.Notes, "unclear: too few vectors to show such a fall, or to leave it out")
	}
	t.Notes = append(t.Notes, p.Notes...)
	for _, text := range p.NotDone {
		t.Notes = append(t.Notes, "not done: "+text)
	}
	return t
}

// lengthLines say what the windows' length alone tells.
func lengthLines(r *validation.Report) []string {
	var lines []string
	for i := range r.Sets {
		s := &r.Sets[i]
		l := &s.WindowLength
		if l.GroupRecall < l.GroupBaseline+0.05 || l.GroupBaseline == 0 {
			continue // no better than not to look
		}
		line := fmt.Sprintf("%s: Number alone tells classes with windows of ", s.Name)
		for j, g := range l.Groups {
			if j > 0 {
				line += " from those of "
			}
			line += fmt.Sprintf("%g (%s)", g.Number, plural(len(g.Classes), "class", "classes"))
		}
		line += fmt.Sprintf(" with a mean recall of %s (without looking: %s)", FormatRatio(l.GroupRecall), FormatRatio(l.GroupBaseline))
		if l.Accuracy > l.Baseline {
			line += fmt.Sprintf("; the class itself in %s of vectors (always the most frequent: %s)", FormatRatio(l.Accuracy), FormatRatio(l.Baseline))
		}
		lines = append(lines, line)
	}
	return lines
}

func warningsOf(r *validation.Report) []string {
	list := slices.Clone(r.Warnings)
	for i := range r.Sets {
		for _, w := range r.Sets[i].Warnings {
			list = append(list, r.Sets[i].Name+": "+w)
		}
	}
	return list
}

// CheckValidation makes the folder of a validation. It refuses one that holds results already.
func CheckValidation(path string) error {
	if _, err := os.Lstat(filepath.Join(path, ValidationFile)); err == nil {
		return fmt.Errorf("%s: holds a validation already: name another folder", path)
	}
	return Check(path)
}

// WriteValidationFolder writes a report into a folder that CheckValidation made: as JSON, as text, and its tables as CSV. whole is what the JSON
// holds, r with what a program adds to it; rest writes what it adds to the text; both may be nil.
func WriteValidationFolder(path string, r *validation.Report, whole any, rest func(io.Writer) error) error {
	if whole == nil {
		whole = r
	}
	write := func(name string, f func(io.Writer) error) error { return WriteFile(filepath.Join(path, name), f) }
	table := func(name string, t *Table) error {
		if len(t.Rows) == 0 {
			return nil
		}
		return write(name, t.WriteCSV)
	}
	return errors.Join(
		write(ValidationFile, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(whole)
		}),
		write(ValidationTextFile, func(w io.Writer) error {
			if err := WriteValidation(w, r, ValidationText{Confusion: true}); err != nil || rest == nil {
				return err
			}
			return rest(w)
		}),
		table(ValidationCSVFile, setsCSV(r)),
		table(ClassScoresCSVFile, classScoresCSV(r)),
		table(ConfusionCSVFile, confusionCSV(r)),
		table(DriftCSVFile, driftCSV(r)),
		table(AblationCSVFile, ablationCSV(r)),
	)
}

func allDigits(v float64) Cell { return Text(strconv.FormatFloat(v, 'g', -1, 64)) }

func count(n uint64) Cell { return Text(strconv.FormatUint(n, 10)) }

// maybe is empty where there is no value.
func maybe(v *float64) Cell {
	if v == nil {
		return Text("")
	}
	return allDigits(*v)
}

func heads(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i].Head = name
	}
	return columns
}

func setsCSV(r *validation.Report) *Table {
	t := &Table{Columns: heads("set", "window", "synthetic", "vectors", "decided", "dropped", "clamped", "macro_f1", "macro_f1_low", "macro_f1_high", "weighted_f1",
		"accuracy", "accuracy_low", "accuracy_high", "balanced_accuracy", "mcc", "kappa", "benign_recall", "benign_vectors", "false_alarms", "benign_hours",
		"false_alarms_per_hour", "false_alarms_per_hour_low", "false_alarms_per_hour_high", "detection_rate", "baseline_class", "baseline_accuracy", "baseline_macro_f1")}
	for i := range r.Sets {
		s := &r.Sets[i]
		m, in := &s.Metrics, &s.Intervals
		recall, benign, alarms, detected := Text(""), Text(""), Text(""), Text("")
		if a := s.Alarms; a != nil {
			benign = count(a.BenignRows)
			if a.BenignRows > 0 {
				recall, alarms = allDigits(a.BenignRecall()), count(a.FalseAlarms)
			}
			if a.AttackRows > 0 {
				detected = allDigits(a.DetectionRate())
			}
		}
		var hours *float64
		if s.Hours > 0 {
			hours = &s.Hours
		}
		low, high := Text(""), Text("")
		if i := s.FalseAlarmsPerHourInterval; i != nil {
			low, high = allDigits(i.Low), allDigits(i.High)
		}
		t.Add(Text(s.Name), Text(s.Window), Text(s.Synthetic), count(s.Rows), count(s.Decided), count(s.Dropped), count(s.Clamped), allDigits(m.Macro.F1),
			allDigits(in.MacroF1.Low), allDigits(in.MacroF1.High), allDigits(m.Weighted.F1), allDigits(m.Accuracy), allDigits(in.Accuracy.Low), allDigits(in.Accuracy.High),
			allDigits(m.BalancedAccuracy), allDigits(m.MCC), allDigits(m.Kappa), recall, benign, alarms, maybe(hours), maybe(s.FalseAlarmsPerHour), low, high, detected,
			Text(m.Baseline.Class), allDigits(m.Baseline.Accuracy), allDigits(m.Baseline.MacroF1))
	}
	return t
}

func classScoresCSV(r *validation.Report) *Table {
	t := &Table{Columns: heads("set", "class", "support", "predicted", "correct", "dropped", "precision", "precision_low", "precision_high", "recall", "recall_low",
		"recall_high", "f1", "f1_low", "f1_high")}
	for i := range r.Sets {
		s := &r.Sets[i]
		for j, c := range s.Metrics.PerClass {
			in := s.Intervals.PerClass[j]
			t.Add(Text(s.Name), Text(c.Class), count(c.Support), count(c.Predicted), count(c.Correct), count(s.DroppedOf[c.Class]), allDigits(c.Precision),
				allDigits(in.Precision.Low), allDigits(in.Precision.High), allDigits(c.Recall), allDigits(in.Recall.Low), allDigits(in.Recall.High), allDigits(c.F1), allDigits(in.F1.Low),
				allDigits(in.F1.High))
		}
	}
	return t
}

func confusionCSV(r *validation.Report) *Table {
	t := &Table{Columns: heads("set", "class", "predicted", "vectors")}
	for i := range r.Sets {
		c := r.Sets[i].Confusion
		for truth, row := range c.Counts {
			for predicted, n := range row {
				t.Add(Text(r.Sets[i].Name), Text(c.Classes[truth]), Text(c.Classes[predicted]), count(n))
			}
		}
	}
	return t
}

func driftCSV(r *validation.Report) *Table {
	t := &Table{Columns: heads("reference", "set", "column", "of_model", "ks_within_classes", "ks", "ks_p", "psi", "psi_by_chance", "reference_mean", "mean", "reference_median", "median",
		"reference_not_finite", "not_finite", "paired", "mismatches", "max_relative")}
	value := func(v score.Value) Cell {
		if !v.Defined() {
			return Text("")
		}
		return allDigits(float64(v))
	}
	for i := range r.Drift {
		d := &r.Drift[i]
		pairs := make(map[string]score.ColumnPairs)
		for _, p := range d.Pairs {
			pairs[p.Column] = p
		}
		for j, c := range d.Columns {
			inner := Text("")
			if j < len(d.WithinClasses) {
				inner = value(d.WithinClasses[j].KS)
			}
			mismatches, relative := Text(""), Text("")
			if d.Unpaired == "" {
				mismatches, relative = count(pairs[c.Column].Mismatches), allDigits(pairs[c.Column].MaxRelative)
			}
			t.Add(Text(d.Against), Text(d.Set), Text(c.Column), Text(strconv.FormatBool(d.Used[c.Column])), inner, value(c.KS), value(c.P), value(c.PSI),
				value(c.PSIByChance), value(c.Reference.Mean), value(c.Other.Mean), value(c.Reference.Median), value(c.Other.Median), count(c.Reference.NonFinite),
				count(c.Other.NonFinite), count(d.Paired), mismatches, relative)
		}
	}
	return t
}

func ablationCSV(r *validation.Report) *Table {
	t := &Table{Columns: heads("set", "windows", "hidden", "against", "vectors", "dropped", "balanced_accuracy", "balanced_accuracy_low",
		"balanced_accuracy_high", "drop", "macro_f1", "macro_f1_low", "macro_f1_high", "accuracy", "accuracy_low", "accuracy_high", "benign_recall", "false_alarms",
		"false_alarms_per_hour", "verdict", "leak")}
	for _, p := range r.Ablation {
		for _, a := range p.Rows {
			alarms := Text("")
			if a.FalseAlarms != nil {
				alarms = count(*a.FalseAlarms)
			}
			t.Add(Text(p.Set), Text(a.Name), Text(a.Columns), Text(a.Against), count(a.Rows), count(a.Dropped), allDigits(a.BalancedAccuracy),
				allDigits(a.BalancedAccuracyInterval.Low), allDigits(a.BalancedAccuracyInterval.High), allDigits(a.Drop), allDigits(a.MacroF1),
				allDigits(a.MacroF1Interval.Low), allDigits(a.MacroF1Interval.High), allDigits(a.Accuracy), allDigits(a.AccuracyInterval.Low), allDigits(a.AccuracyInterval.High),
				maybe(a.BenignRecall), alarms, maybe(a.FalseAlarmsPerHour), Text(a.Verdict), Text(p.Leak))
		}
	}
	return t
}
