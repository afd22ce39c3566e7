package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// WriteText writes results for a person: what was measured, a table of ceilings with what resizing and salvage could not
// do, costs against size, loss against load where no search was made, and every warning.
func WriteText(w io.Writer, r *analysis.Results) error {
	if _, err := io.WriteString(w, heading(r)); err != nil {
		return err
	}
	tables := []*Table{ceilingTable(r)}
	if len(r.Soaks) > 0 {
		tables = append(tables, soakTable(r))
	}
	if len(r.Costs) > 0 {
		tables = append(tables, costTable(r))
	}
	if r.Header.Plan.Search == trial.SearchNone && len(r.Curves) > 0 {
		tables = append(tables, curveTable(r))
	}
	last := tables[len(tables)-1]
	last.Notes = append(last.Notes, r.Warnings...)
	for i, t := range tables {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes one object a line, each with a "kind": the study (its header, how much of it was measured, warnings),
// then ceilings, costs, curves and soaks.
func WriteJSON(w io.Writer, r *analysis.Results) error {
	e := json.NewEncoder(w)
	if err := e.Encode(struct {
		Kind string `json:"kind"`
		trial.Header
		Planned  int      `json:"planned"`
		Done     int      `json:"done"`
		Warnings []string `json:"warnings"`
	}{"study", r.Header, r.Planned, r.Done, append([]string{}, r.Warnings...)}); err != nil {
		return err
	}
	for _, c := range r.Ceilings {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.Ceiling
		}{"ceiling", r.Header.Settings.Unit, c}); err != nil {
			return err
		}
	}
	for _, c := range r.Costs {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			analysis.Cost
		}{"cost", c}); err != nil {
			return err
		}
	}
	for _, c := range r.Curves {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.Curve
		}{"curve", r.Header.Settings.Unit, c}); err != nil {
			return err
		}
	}
	for _, s := range r.Soaks {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.Soak
		}{"soak", r.Header.Settings.Unit, s}); err != nil {
			return err
		}
	}
	return nil
}

func heading(r *analysis.Results) string {
	h := &r.Header
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(clean(fmt.Sprintf(format, args...)) + "\n") }
	if text := r.Unfinished(); text != "" {
		line("%s", text)
	}
	if h.Plan.Quick {
		line("quick: short trials (%v), a first look and not for publication", h.Plan.Trial)
	}
	var frames, octets uint64
	var names []string
	for _, c := range h.Captures {
		frames += c.Frames
		octets += c.Octets
		names = append(names, c.Name)
	}
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("and %d more", len(names)-3))
	}
	if frames > 0 {
		line("capture   %s: %d packets, mean %.0f B", strings.Join(names, ", "), frames, float64(octets)/float64(frames))
	}
	line("settings  %s", settings(h))
	for _, g := range h.Plan.Goals {
		judged := fmt.Sprintf("in trials of %v, judged on %v, %s of it may exceed", g.FinalTrialDuration, g.DurationSum,
			FormatRatio(g.ExceedRatio))
		if h.Plan.Search == trial.SearchRFC2544 {
			judged = fmt.Sprintf("in one trial of %v a step", g.FinalTrialDuration)
		}
		line("goal      %s: loss at most %s %s; width %s", g.Name, FormatRatio(g.LossRatio), judged, FormatRatio(g.Width))
	}
	if p := &h.Plan; p.Soak > 0 {
		line("soak      %v, the parser kept busy; ceilings are of its last %v: what the machine sustains", p.Soak, p.Window())
	}
	line("machine   %s", machine(h))
	return b.String() + "\n"
}

// settings says in a line what all trials share: always what changes numbers most, the rest where it is not the default.
func settings(h *trial.Header) string {
	s := &h.Settings
	parts := []string{"queue " + s.Queue, "arrivals " + s.Pattern, "clock " + s.Clock, "feed " + s.Feed}
	add := func(apart bool, format string, args ...any) {
		if apart {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(s.Unit == "bit/s", "loads in bit/s of wire octets")
	add(len(s.Stages) > 0, "stages %s", strings.Join(s.Stages, " "))
	for _, f := range h.StageFiles {
		add(true, "%s is SHA-256 %.12s", filepath.Base(f.Name), f.SHA256)
	}
	add(s.Seed != 1, "seed %d", s.Seed)
	add(s.Batch != 0, "batch %d", s.Batch)
	add(s.Stamp != "" && s.Stamp != "due", "stamp %s", s.Stamp)
	parts = append(parts, changes(&s.Changes, &h.Changed)...)
	add(s.RepeatTimes, "times repeat")
	add(s.MoveAddresses, "addresses move")
	if m := h.Moving; m != nil && m.Kept() > 0 {
		parts = append(parts, fmt.Sprintf("%d packets of a copy keep theirs", m.Kept()))
	}
	add(s.GOGC != "", "GOGC %s", s.GOGC)
	add(s.Memory != "", "GOMEMLIMIT %s", s.Memory)
	text := strings.Join(parts, ", ")
	if h.Plan.Search == trial.SearchNone { // goals have lengths of their own
		text += "; trials of " + trialLength(h)
	}
	return text + fmt.Sprintf("; repeats %d", h.Plan.Repeats)
}

// changes says in parts of a line what was changed in the frames.
func changes(c *trial.Changes, did *trial.Changed) (parts []string) {
	if !c.Edits.Zero() {
		parts = append(parts, "edits "+c.Edits.String())
	}
	if file := did.Cachefile; file != nil {
		parts = append(parts, "sides by "+file.Name)
		if file.NotSent > 0 {
			parts = append(parts, fmt.Sprintf("%d packets left out by it", file.NotSent))
		}
	}
	return parts
}

// trialLength says how long trials are: "1s", or "3 passes" over the capture.
func trialLength(h *trial.Header) string {
	switch n := h.Settings.Passes; n {
	case 0:
		return h.Plan.Trial.String()
	case 1:
		return "1 pass"
	default:
		return strconv.Itoa(n) + " passes"
	}
}

// machine says where a study ran, and with what.
func machine(h *trial.Header) string {
	text := h.Environment.String()
	if h.Version != "" {
		text += ", pcaplab " + h.Version
	}
	return text
}

// formatLoad returns how loads of the study are written.
func formatLoad(r *analysis.Results) func(float64) string {
	if r.Header.Settings.Unit == "bit/s" {
		return FormatBits
	}
	return FormatRate
}

// with writes the median and, where there is one, its interval.
func with(s analysis.Summary, format func(float64) string) Cell {
	if s.N == 0 {
		return Number(math.NaN(), format)
	}
	c := Number(s.Median, format)
	if s.Interval.Valid() {
		c.Text += " [" + strings.TrimSuffix(between(format(s.Interval.Low), format(s.Interval.High)), " ") + "]"
	}
	return c
}

// between joins two formatted values, with the unit once where it is the same.
func between(low, high string) string {
	if i := strings.LastIndexByte(low, ' '); i >= 0 && strings.HasSuffix(high, low[i:]) {
		low = low[:i]
	}
	return low + ", " + high
}

func decimals(n int) func(float64) string {
	return func(v float64) string { return strconv.FormatFloat(v, 'f', n, 64) }
}

func ceilingTable(r *analysis.Results) *Table {
	load := formatLoad(r)
	several := severalWorkers(r)
	insns := false
	for _, c := range r.Ceilings {
		insns = insns || c.Insns.N > 0
	}
	right := func(heads ...string) (columns []Column) {
		for _, head := range heads {
			columns = append(columns, Column{Head: head, Right: true})
		}
		return columns
	}
	hosts := len(r.Header.Hosts) > 1
	t := &Table{Columns: []Column{{Head: "engine"}, {Head: "size"}, {Head: "B/packet", Right: true}, {Head: "frames"}}}
	if hosts {
		t.Columns = append(t.Columns, Column{Head: "machine"})
	}
	if several {
		t.Columns = append(t.Columns, right("workers", "skew")...)
	}
	alone := r.Header.Plan.EngineAlone
	t.Columns = append(t.Columns, right("time/packet")...)
	if alone {
		t.Columns = append(t.Columns, right("engine alone", "stages")...)
	}
	t.Columns = append(t.Columns, right("CPU/packet", "service")...)
	for _, g := range r.Header.Plan.Goals {
		t.Columns = append(t.Columns, right(goalHead(g.Name))...)
	}
	t.Columns = append(t.Columns, right("allocs", "GC/M", "peak", "feed")...)
	if insns {
		t.Columns = append(t.Columns, right("insn")...)
	}
	t.Columns = append(t.Columns, Column{Head: "marks"})
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		octets := c.Octets
		if octets == 0 {
			octets = math.NaN()
		}
		row := []Cell{Text(c.Cell.Engine), Text(c.Cell.Size), Number(octets, decimals(0)), Text(c.Cell.Cache)}
		if hosts {
			row = append(row, Text(c.Host))
		}
		if several {
			row = append(row, Text(strconv.Itoa(c.Cell.Workers)), Number(max(1, c.Skew), decimals(2)))
		}
		row = append(row, with(c.NS, FormatDuration))
		if alone {
			cost := stageCost(c)
			row = append(row, with(cost.EngineNS, FormatDuration), with(cost.NS, FormatDuration))
		}
		row = append(row, with(c.CPUNS, FormatDuration), with(c.Service, load))
		for _, g := range r.Header.Plan.Goals {
			row = append(row, goalCell(c, g.Name, load))
		}
		row = append(row, with(noInterval(c.Allocs), decimals(1)), with(noInterval(c.GC), decimals(1)),
			with(noInterval(maxOf(c.Peak)), FormatOctets), with(noInterval(c.Feed), FormatRatio))
		if insns {
			row = append(row, with(noInterval(c.Insns), decimals(0)))
		}
		t.Add(append(row, Text(marks(c)))...)
	}
	models := len(t.Notes)
	for i := range r.Ceilings {
		t.Notes = append(t.Notes, predictions(r, &r.Ceilings[i])...)
	}
	paced := r.Header.Plan.Search != trial.SearchNone || len(r.Header.Plan.Rates) > 0
	if len(t.Notes) > models && paced && r.Header.Settings.Stamp != "capture" {
		t.Notes = append(t.Notes, "under a load these vectors have its times, not those of the capture (stamp due): of the capture a model may say otherwise")
	}
	if e := r.Header.Editing; e != nil && e.Deleted+e.Failed() > 0 {
		t.Notes = append(t.Notes, "edits: "+e.String())
	}
	for _, resizing := range r.Header.Resizing {
		if resizing.Report.Sized() < resizing.Report.Frames {
			t.Notes = append(t.Notes, resizing.Report.String())
		}
	}
	for _, c := range r.Header.Captures {
		if n := len(c.Losses); n > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: salvage left out %d parts: %s", c.Name, n, first(c.Losses)))
		}
	}
	return t
}

// classesShown is how many classes a note lists.
const classesShown = 6

// predictions says what models, which count by class, made of the vectors of a cell.
func predictions(r *analysis.Results, c *analysis.Ceiling) (notes []string) {
	for _, stage := range r.Header.Settings.Stages {
		counts := c.Counts[stage]
		var classes []string
		for name := range counts {
			if class, ok := strings.CutPrefix(name, "class "); ok && counts[name] > 0 {
				classes = append(classes, class)
			}
		}
		n := counts["vectors"]
		if len(classes) == 0 && counts["dropped"] == 0 {
			continue
		}
		slices.SortFunc(classes, func(a, b string) int {
			return cmp.Or(cmp.Compare(counts["class "+b], counts["class "+a]), strings.Compare(a, b))
		})
		var parts []string
		for i, class := range classes {
			if i == classesShown {
				parts = append(parts, fmt.Sprintf("%d more classes", len(classes)-i))
				break
			}
			parts = append(parts, fmt.Sprintf("%s %s", class, FormatRatio(float64(counts["class "+class])/float64(n))))
		}
		for _, name := range []string{"dropped", "clamped"} {
			if counts[name] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s as not finite", counts[name], name))
			}
		}
		notes = append(notes, fmt.Sprintf("%s, %s: %d vectors: %s", shortName(r, c.Cell), stage, n, strings.Join(parts, ", ")))
	}
	return notes
}

// stageCost returns what the stages take; nothing where that was not measured.
func stageCost(c *analysis.Ceiling) analysis.StageCost {
	if c.Stages == nil {
		return analysis.StageCost{}
	}
	return *c.Stages
}

// marks joins the marks of a ceiling, and those that only the engine alone has.
func marks(c *analysis.Ceiling) string {
	all := slices.Clone(c.Marks)
	for _, mark := range stageCost(c).Marks {
		if !slices.Contains(c.Marks, mark) {
			all = append(all, "alone:"+mark)
		}
	}
	return strings.Join(all, " ")
}

// lossesShown is how many losses of a capture a note lists.
const lossesShown = 3

func first(losses []string) string {
	if len(losses) <= lossesShown {
		return strings.Join(losses, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(losses[:lossesShown], "; "), len(losses)-lossesShown)
}

func severalWorkers(r *analysis.Results) bool {
	return slices.ContainsFunc(r.Ceilings, func(c analysis.Ceiling) bool { return c.Cell.Workers > 1 })
}

// goalHead returns the name of a goal as people write it: "PDR 0.5%".
func goalHead(name string) string { return strings.ToUpper(strings.Replace(name, ":", " ", 1)) }

func goalCell(c *analysis.Ceiling, goal string, load func(float64) string) Cell {
	for _, g := range c.Goals {
		if g.Goal != goal {
			continue
		}
		cell := with(g.Rate, load)
		if g.NoLower == g.Repeats {
			cell.Text = "none"
			return cell
		}
		if g.Rate.N == 0 { // no search had time for a lower bound
			return cell
		}
		if g.NoUpper > 0 {
			cell.Text = "> " + cell.Text
			if g.NoUpper < g.Repeats {
				cell.Text += fmt.Sprintf(" (%d/%d)", g.NoUpper, g.Repeats)
			}
		}
		if g.NoLower > 0 {
			cell.Text += fmt.Sprintf(" (%d/%d none)", g.NoLower, g.Repeats)
		}
		if n := g.Repeats - g.Rate.N; n > 0 {
			cell.Text += fmt.Sprintf(" (%d/%d n/a)", n, g.Repeats)
		}
		if g.TooWide > 0 || g.NoTime > 0 {
			cell.Text += " *"
		}
		return cell
	}
	return Number(math.NaN(), load)
}

func noInterval(s analysis.Summary) analysis.Summary {
	s.Interval = analysis.Interval{}
	return s
}

// maxOf shows the largest value instead of the median.
func maxOf(s analysis.Summary) analysis.Summary {
	s.Median = s.Max
	return s
}

func costTable(r *analysis.Results) *Table {
	t := &Table{Title: "cost against size: ns per packet = a + b * octets", Columns: []Column{
		{Head: "engine"}, {Head: "frames"}, {Head: "a", Right: true}, {Head: "b per 100 B", Right: true},
		{Head: "mean misfit", Right: true}, {Head: "largest", Right: true}, {Head: "accepted"},
	}}
	for _, c := range r.Costs {
		accepted := "yes"
		if !c.Model.Accepted {
			accepted = "no: " + strings.Join(c.Model.Warnings, "; ")
		}
		name := c.Cell.Engine
		if c.Cell.Workers > 1 {
			name += " x" + strconv.Itoa(c.Cell.Workers)
		}
		t.Add(Text(onHost(name, c.Host)), Text(c.Cell.Cache), Number(c.Model.Base, FormatDuration), Number(100*c.Model.PerOctet, FormatDuration),
			Number(c.Model.MAPE, FormatRatio), Number(c.Model.Worst, FormatRatio), Text(accepted))
	}
	return t
}

func curveTable(r *analysis.Results) *Table {
	load := formatLoad(r)
	several := severalWorkers(r)
	t := &Table{Title: "loss against load", Columns: []Column{{Head: "engine"}, {Head: "size"}, {Head: "frames"}}}
	if several {
		t.Columns = append(t.Columns, Column{Head: "workers", Right: true})
	}
	for _, head := range []string{"intended load", "given as", "trials", "lost", "of intended", "with 2 s drain"} {
		t.Columns = append(t.Columns, Column{Head: head, Right: true})
	}
	t.Columns = append(t.Columns, Column{Head: "marks"})
	for _, c := range r.Curves {
		for _, p := range c.Points {
			row := []Cell{Text(c.Cell.Engine), Text(c.Cell.Size), Text(c.Cell.Cache)}
			if several {
				row = append(row, Text(strconv.Itoa(c.Cell.Workers)))
			}
			drained := analysis.CurvePoint{Intended: p.Intended, Lost: p.Lost - p.Drained}
			t.Add(append(row, Number(p.Load, load), Text(multiple(p.OfService, p.OfRecorded, 3)), Text(strconv.Itoa(p.Trials)),
				Text(strconv.FormatUint(p.Lost, 10)), Number(p.LossRatio(), FormatRatio), Number(drained.LossRatio(), FormatRatio),
				Text(strings.Join(p.Marks, " ")))...)
		}
		if text := kneeText(&c, load); text != "" {
			t.Notes = append(t.Notes, text)
		}
	}
	return t
}

// kneeText says where the loss of a cell begins, by the hinge that was fitted; "" where there is none.
func kneeText(c *analysis.Curve, load func(float64) string) string {
	k := c.Knee
	if k == nil {
		return ""
	}
	text := fmt.Sprintf("%v: loss begins at %s (knee, median of %d repeats", c.Cell, load(k.Load.Median), k.Load.N)
	if i := k.Load.Interval; i.Valid() {
		text += fmt.Sprintf(", %.3g %% %s to %s", 100*i.Coverage, load(i.Low), load(i.High))
	} else {
		text += ", no interval"
	}
	if k.Slope < 0 {
		text += fmt.Sprintf("); overload makes it slower: by %s of what more is offered", FormatRatio(-k.Slope))
	} else {
		text += fmt.Sprintf("); of what more is offered %s is taken", FormatRatio(k.Slope))
	}
	if !k.Accepted {
		text += "; not to be used"
	}
	for _, w := range k.Warnings {
		text += "; " + w
	}
	return text
}

// multiple writes a load as it was given: of the service ceiling, of the capture's rate, or "" for a number of its own.
func multiple(ofService, ofRecorded float64, digits int) string {
	switch {
	case ofService > 0:
		return strconv.FormatFloat(ofService, 'g', digits, 64) + "x"
	case ofRecorded > 0:
		return strconv.FormatFloat(ofRecorded, 'g', digits, 64) + "r"
	}
	return ""
}
