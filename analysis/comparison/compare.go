package comparison

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// Study is one side of a comparison: what a results folder holds. Each repeat of its plan is a run.
type Study struct {
	Name    string // as the user named it
	Header  trial.Header
	Records []trial.Record
}

// Side is what both sides hold of one kind: a study of each class, or one without a class.
type Side struct {
	Name    string
	Studies map[string]Study     // by class; "" where there are no classes
	Hosts   []analysis.ClassHost // machines, where classes were measured on several; those of a study are in its header
}

// Options tell how to compare. Zero values mean the defaults.
type Options struct {
	Alpha   float64  // of a single comparison; DefaultAlpha
	Metrics []string // names as in [Metric], or "all"; the goals of both plans, loss, cost and cost-min
	Also    []string // metrics, or "geomean-" and one, that are compared besides, where they were measured
	Force   bool     // compare what is not alike, and list it
	Rounds  int      // of runs that were interleaved; 0: the sides were measured one after the other
}

// Metric is a quantity of a cell.
type Metric struct {
	Name string // as in conditions: a goal of the plan, "service", "cost", "cost-min", "cpu", "allocs", "instructions", "peak", or "loss@" and a load
	Unit string // "pps" or "bit/s", "ns", "octets", "" of plain numbers and ratios
	// More says that more is better.
	More bool
	// Points says that a change is a difference, not a ratio: of ratios of lost packets.
	Points bool
}

// Row is a metric of one cell, or the geometric mean over cells.
type Row struct {
	Metric   Metric
	Class    string // "" where there are no classes
	Cell     trial.Cell
	Over     int              // cells of a geometric mean; 0: the row is of Cell
	Old, New analysis.Summary // of the runs
	Change   Change
	Marks    []Mark   // of the cell
	Doubts   []string // as "1 of 6 runs of new have no value"
	missing  string   // why some runs have no value; "": all have
	slow     string   // the same where runs were too slow to have one
	unlike   string   // that the two did not parse alike
}

// refusedApart is by how much the shares of packets that two parsers refuse may differ; trials are not of whole passes.
const refusedApart = 0.01

// Mark is a doubt of trials (see the Mark constants of package trial), or that the search for a goal was irregular.
type Mark struct {
	Name     string
	Old, New int // runs of each side that have it
}

// Verdict says what a row shows: Better or Worse where the change is significant, Same where it is not, None where there are too few runs.
type Verdict string

// What a row shows.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	Same   Verdict = "~"
	None   Verdict = "no verdict"
)

// Verdict returns what the row shows.
func (r *Row) Verdict() Verdict {
	switch {
	case !r.Change.Judged():
		return None
	case !r.Change.Significant() || r.Change.Value == 0:
		return Same
	case r.Change.Value > 0 == r.Metric.More:
		return Better
	}
	return Worse
}

// Where names what the row is of besides its engine, as "64 B, cold, 1 worker".
func (r *Row) Where() string {
	if r.Over > 0 {
		return plural(r.Over, "cell")
	}
	where := r.Cell.Size
	if _, err := strconv.Atoi(where); err == nil {
		where += " B"
	}
	where += ", " + r.Cell.Cache + ", " + plural(r.Cell.Workers, "worker")
	if r.Class != "" {
		where = r.Class + ", " + where
	}
	return where
}

// Name is the metric as conditions name it.
func (r *Row) Name() string {
	if r.Over > 0 {
		return "geomean-" + r.Metric.Name
	}
	return r.Metric.Name
}

// Lone is a cell, or a metric of a cell, that only one side has.
type Lone struct {
	Side   string
	Class  string
	Cell   trial.Cell
	Metric string // "": the whole cell
}

// Different is a thing in which the sides are not alike.
type Different struct {
	What     string
	Old, New string
	Serious  bool // numbers of the two do not mean the same
}

// Comparison is two studies side by side.
type Comparison struct {
	Old, New  string
	Alpha     float64
	Rounds    int // of interleaved runs; 0: unpaired
	Rows      []Row
	Means     []Row // over cells that have the metric in all runs
	Lone      []Lone
	Different []Different
	Warnings  []string
	// Unfinished says of each study whose plan is not done how much is; none where both sides are whole.
	Unfinished []string
	partial    map[string]string // geometric means that leave out cells, by their names in conditions, and why
	neither    []place           // what no side has of a cell, though both have it of others
	force      bool
	known      []string // metrics that were measured, whether compared or not, and the fixed ones
}

// IncomparableError says why numbers of two studies do not mean the same.
type IncomparableError struct {
	Old, New string
	Because  []Different // serious ones
}

func (e *IncomparableError) Error() string {
	var parts []string
	for _, d := range e.Because {
		parts = append(parts, fmt.Sprintf("%s: %s, and %s", d.What, d.Old, d.New))
	}
	return fmt.Sprintf("%s and %s were not measured alike: %s", e.Old, e.New, strings.Join(parts, "; "))
}

// Compare compares two sides. It is an *IncomparableError when they differ in captures, settings or goals and not forced, or in the unit of loads, and
// an error when they have nothing in common.
func Compare(old, new Side, o Options) (*Comparison, error) {
	if o.Alpha == 0 {
		o.Alpha = DefaultAlpha
	}
	if !(o.Alpha > 0 && o.Alpha < 1) {
		return nil, fmt.Errorf("alpha %v: want a number above 0 and below 1, as %v", o.Alpha, DefaultAlpha)
	}
	c := &Comparison{Old: old.Name, New: new.Name, Alpha: o.Alpha, Rounds: o.Rounds, force: o.Force, partial: make(map[string]string)}
	var serious []Different
	unit := false
	var values [2]*sample
	for i, side := range []Side{old, new} {
		values[i] = &sample{name: []string{"old", "new"}[i], values: make(map[place][]float64), marks: make(map[place]map[string]int), slices: make(map[place]uint64), refused: make(map[place][]float64), noMin: make(map[place]bool), on: make(map[place]machine)}
		for _, class := range classes(side) {
			values[i].add(class, side.Studies[class], side.Hosts)
		}
	}
	first := true
	for _, class := range classes(old) {
		a, both := old.Studies[class]
		b, ok := new.Studies[class]
		if !both || !ok {
			continue
		}
		for _, d := range differences(class, &a.Header, &b.Header, first) {
			if d.Serious {
				serious = append(serious, d)
				unit = unit || strings.HasSuffix(d.What, unitOfLoads)
			}
			c.Different = append(c.Different, d)
		}
		first = false
	}
	if len(serious) > 0 && (!o.Force || unit) {
		return nil, &IncomparableError{old.Name, new.Name, serious}
	}
	metrics, err := chosen(o.Metrics, o.Also, values)
	if err != nil {
		return nil, err
	}
	for _, s := range values {
		for _, m := range s.metrics {
			c.known = append(c.known, m.Name)
		}
	}
	c.known = append(c.known, fixed...)
	if c.rows(metrics, values); len(c.Rows) == 0 {
		for _, l := range c.Lone {
			if l.Metric != "" {
				return nil, fmt.Errorf("%s and %s cannot be compared by %s: only %s has it", old.Name, new.Name, l.Metric, l.Side)
			}
		}
		return nil, fmt.Errorf("%s and %s have no result in common: old has %s, new has %s", old.Name, new.Name, values[0].held(), values[1].held())
	}
	c.warn(old, new)
	return c, nil
}

func classes(s Side) []string {
	return slices.Sorted(maps.Keys(s.Studies))
}

// place is where values are: a metric of a cell of a class.
type place struct {
	class  string
	cell   trial.Cell
	metric Metric
}

// sample is the values of one side, one for each run.
type sample struct {
	name    string
	cells   []place             // without a metric, in order
	metrics []Metric            // in order
	goals   []string            // names of the metrics that the plan searched
	values  map[place][]float64 // by run, NaN where it has none
	marks   map[place]map[string]int
	slices  map[place]uint64    // of closed loops: the fewest of a run
	refused map[place][]float64 // share of packets, of each run that has the cell
	noMin   map[place]bool      // cells of which cost-min is not measured
	on      map[place]machine
}

// machine is what measured a cell.
type machine struct {
	name string // of several; "" of one
	kind string // meter.Environment in a line
}

func machineOf(h *trial.Header, hosts []analysis.ClassHost, class string, cell trial.Cell) machine {
	for _, host := range hosts {
		if slices.Contains(host.Classes, class) {
			return machine{host.Name, host.Machine}
		}
	}
	for _, host := range h.Hosts {
		if slices.Contains(host.Cells, cell) {
			return machine{host.Name, host.Machine}
		}
	}
	return machine{kind: h.Environment.String()}
}

func (m machine) String() string { return cmp.Or(m.name, "the only machine") }

// fewSlices is how many the least of should be of, at least, to be free of what disturbs a trial.
const fewSlices = 5

// add takes in what the runs of a study say.
func (s *sample) add(class string, study Study, hosts []analysis.ClassHost) {
	records := trial.LastAttempts(study.Records)
	byRun := make(map[int][]trial.Record)
	for _, rec := range records {
		byRun[rec.Repeat] = append(byRun[rec.Repeat], rec)
	}
	unit := cmp.Or(study.Header.Settings.Unit, defaultUnit)
	if study.Header.Plan.Search != trial.SearchNone {
		for _, g := range study.Header.Plan.Goals {
			s.goals = append(s.goals, g.Name)
		}
	}
	for run, repeat := range slices.Sorted(maps.Keys(byRun)) {
		header := study.Header
		header.Plan.Repeats = 1
		results := analysis.Analyze(header, byRun[repeat])
		set := func(cell trial.Cell, m Metric, sum analysis.Summary, v float64) {
			if sum.N == 0 || math.IsNaN(v) {
				return
			}
			at := place{class, cell, m}
			if s.values[at] == nil {
				s.values[at] = slices.Repeat([]float64{math.NaN()}, len(byRun))
			}
			s.values[at][run] = v
			if !slices.Contains(s.metrics, m) {
				s.metrics = append(s.metrics, m)
			}
		}
		for i := range results.Ceilings {
			r := &results.Ceilings[i]
			for _, g := range r.Goals {
				set(r.Cell, Metric{Name: g.Goal, Unit: unit, More: true}, g.Rate, g.Rate.Median)
			}
			set(r.Cell, Metric{Name: "service", Unit: unit, More: true}, r.Service, r.Service.Median)
			set(r.Cell, cost, r.NS, r.NS.Median)
			set(r.Cell, Metric{Name: costMin, Unit: "ns"}, r.MinNS, r.MinNS.Median)
			set(r.Cell, Metric{Name: "cpu", Unit: "ns"}, r.CPUNS, r.CPUNS.Median)
			set(r.Cell, Metric{Name: "allocs"}, r.Allocs, r.Allocs.Median)
			set(r.Cell, Metric{Name: "instructions"}, r.Insns, r.Insns.Median)
			set(r.Cell, Metric{Name: "peak", Unit: "octets"}, r.Peak, r.Peak.Max)
			at := place{class: class, cell: r.Cell}
			if !slices.Contains(s.cells, at) {
				s.cells = append(s.cells, at)
				s.noMin[at] = !analysis.HasMinNS(study.Header.Settings, r.Cell.Workers)
				s.on[at] = machineOf(&study.Header, hosts, class, r.Cell)
			}
			s.refused[at] = append(s.refused[at], r.Refused)
			if n, some := s.slices[at]; r.Slices > 0 && (!some || r.Slices < n) {
				s.slices[at] = r.Slices
			}
			if s.marks[at] == nil {
				s.marks[at] = make(map[string]int)
			}
			for _, mark := range r.Marks {
				s.marks[at][mark]++
			}
			for _, g := range r.Goals {
				if !g.Regular {
					s.marks[at][g.Goal+" irregular"]++
				}
			}
		}
		if study.Header.Plan.Search == trial.SearchNone {
			for _, curve := range results.Curves {
				for _, p := range curve.Points {
					if p.Intended > 0 {
						set(curve.Cell, Metric{Name: "loss@" + load(p), Points: true}, analysis.Summary{N: 1}, p.LossRatio())
					}
				}
			}
		}
	}
	order := study.Header.Plan
	slices.SortStableFunc(s.cells, func(a, b place) int {
		return cmp.Or(strings.Compare(a.class, b.class), cmp.Compare(slices.Index(order.Engines, a.cell.Engine), slices.Index(order.Engines, b.cell.Engine)),
			cmp.Compare(slices.Index(order.Sizes, a.cell.Size), slices.Index(order.Sizes, b.cell.Size)),
			cmp.Compare(slices.Index(order.Caches, a.cell.Cache), slices.Index(order.Caches, b.cell.Cache)), cmp.Compare(a.cell.Workers, b.cell.Workers))
	})
	slices.SortStableFunc(s.metrics, func(a, b Metric) int {
		return cmp.Or(cmp.Compare(s.rank(a), s.rank(b)), strings.Compare(a.Name, b.Name))
	})
}

// held names the cells of a side, the first few.
func (s *sample) held() string {
	var names []string
	for _, at := range s.cells {
		if len(names) == 4 {
			names = append(names, fmt.Sprintf("%d more", len(s.cells)-4))
			break
		}
		names = append(names, strings.TrimSpace(at.class+" "+at.cell.String()))
	}
	if len(names) == 0 {
		return "no cell that was measured"
	}
	return strings.Join(names, ", ")
}

// rank puts what was searched first, in the order of the plan.
func (s *sample) rank(m Metric) int {
	if i := slices.Index(s.goals, m.Name); i >= 0 {
		return i
	}
	if i := slices.Index(fixed, m.Name); i >= 0 {
		return len(s.goals) + i
	}
	return len(s.goals) + len(fixed)
}

// fixed are the metrics that every study has, besides its goals.
var fixed = []string{"service", "cost", costMin, "cpu", "allocs", "instructions", "peak"}

const costMin = "cost-min"

var cost = Metric{Name: "cost", Unit: "ns"}

// load names the load of a point, as sweep takes it.
func load(p analysis.CurvePoint) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	switch {
	case p.OfService > 0:
		return number(p.OfService) + "x"
	case p.OfRecorded > 0:
		return number(p.OfRecorded) + "r"
	}
	return number(p.Load)
}

// chosen returns the metrics to compare, in order, and those that are also asked for, where they were measured.
func chosen(names, also []string, sides [2]*sample) ([]Metric, error) {
	var all []Metric
	for _, s := range sides {
		for _, m := range s.metrics {
			if !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	goal := func(m Metric) bool {
		return slices.Contains(sides[0].goals, m.Name) || slices.Contains(sides[1].goals, m.Name)
	}
	called := func(m Metric, name string) bool {
		family, _, _ := strings.Cut(m.Name, ":")
		return m.Name == name || family == name || name == "loss" && m.Points
	}
	asked := func(m Metric) bool {
		return slices.ContainsFunc(also, func(name string) bool { return called(m, strings.TrimPrefix(name, "geomean-")) })
	}
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(m Metric) bool {
			return !goal(m) && m.Name != "cost" && m.Name != costMin && !m.Points && !asked(m)
		}), nil
	}
	if slices.Contains(names, "all") {
		return all, nil
	}
	var list []Metric
	for _, name := range names {
		found := false
		for _, m := range all {
			if !called(m, name) {
				continue
			}
			found = true
			if !slices.Contains(list, m) {
				list = append(list, m)
			}
		}
		if !found {
			var have []string
			for _, m := range all {
				have = append(have, m.Name)
			}
			return nil, fmt.Errorf("no metric %q was measured: there are %s, and all", name, strings.Join(have, ", "))
		}
	}
	for _, m := range all {
		if asked(m) && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list, nil
}

// rows fills in rows, means and what only one side has.
func (c *Comparison) rows(metrics []Metric, sides [2]*sample) {
	cells := slices.Clone(sides[0].cells)
	for _, at := range sides[1].cells {
		if !slices.Contains(cells, at) {
			cells = append(cells, at)
		}
	}
	lone := make(map[place]bool)
	for _, at := range cells {
		for i, s := range sides {
			if !slices.Contains(sides[1-i].cells, at) {
				c.Lone = append(c.Lone, Lone{Side: s.name, Class: at.class, Cell: at.cell})
				lone[at] = true
			}
		}
	}
	for _, m := range metrics {
		var mean [][2][]float64
		whole := Row{Metric: m} // what is wrong with a cell is with the mean
		elsewhere := 0
		var neither []place
		for _, at := range cells {
			if lone[at] {
				continue
			}
			key := place{at.class, at.cell, m}
			old, new := sides[0].values[key], sides[1].values[key]
			switch {
			case old == nil && new == nil:
				looped := sides[0].values[place{at.class, at.cell, cost}] != nil || sides[1].values[place{at.class, at.cell, cost}] != nil
				if m.Name != costMin || looped && !sides[0].noMin[at] && !sides[1].noMin[at] {
					neither = append(neither, key)
				}
				continue
			case old == nil || new == nil:
				side := "old"
				if old == nil {
					side = "new"
				}
				c.Lone = append(c.Lone, Lone{Side: side, Class: at.class, Cell: at.cell, Metric: m.Name})
				continue
			}
			row := Row{Metric: m, Class: at.class, Cell: at.cell, Old: analysis.Summarize(finite(old)), New: analysis.Summarize(finite(new))}
			row.Change = change(m, finite(old), finite(new), c.Alpha)
			names := slices.Concat(slices.Collect(maps.Keys(sides[0].marks[at])), slices.Collect(maps.Keys(sides[1].marks[at])))
			slices.Sort(names)
			for _, name := range slices.Compact(names) {
				row.Marks = append(row.Marks, Mark{name, sides[0].marks[at][name], sides[1].marks[at][name]})
			}
			for i, values := range [][]float64{old, new} {
				s := sides[i]
				if missing := len(values) - len(finite(values)); missing > 0 {
					text := fmt.Sprintf("%d of %s of %s have no value", missing, plural(len(values), "run"), s.name)
					if m.Name == costMin && len(finite(s.values[place{at.class, at.cell, cost}])) > len(finite(values)) {
						text += ": no whole pass over the capture fits into their trials"
						row.slow = cmp.Or(row.slow, text)
					}
					row.Doubts, row.missing = append(row.Doubts, text), cmp.Or(row.missing, text)
				}
			}
			if n := min(sides[0].slices[at], sides[1].slices[at]); m.Name == costMin && n < fewSlices {
				row.Doubts = append(row.Doubts, fmt.Sprintf("the quickest of %s only: hot frames (--cache hot) or longer trials give more", plural(int(n), "slice")))
			}
			if old, new := stat.Mean(sides[0].refused[at], nil), stat.Mean(sides[1].refused[at], nil); math.Abs(old-new) > refusedApart {
				row.unlike = fmt.Sprintf("old refused %.1f %% of the packets as malformed or unsupported, new %.1f %%: they did not do the same work", 100*old, 100*new)
				row.Doubts = append(row.Doubts, row.unlike)
			}
			if old, new := sides[0].on[at], sides[1].on[at]; old.kind != new.kind && old.name+new.name != "" {
				row.Doubts = append(row.Doubts, fmt.Sprintf("on unlike machines: %v of old, %v of new", old, new))
				elsewhere++
			}
			whole.missing, whole.slow, whole.unlike = cmp.Or(whole.missing, row.missing), cmp.Or(whole.slow, row.slow), cmp.Or(whole.unlike, row.unlike)
			c.Rows = append(c.Rows, row)
			mean = append(mean, [2][]float64{old, new})
		}
		if len(mean) > 0 {
			c.neither = append(c.neither, neither...)
		}
		if !m.Points {
			if elsewhere > 0 {
				whole.Doubts = append(whole.Doubts, plural(elsewhere, "cell")+" on unlike machines")
			}
			c.mean(whole, mean)
		}
	}
}

func finite(values []float64) (list []float64) {
	for _, v := range values {
		if !math.IsNaN(v) {
			list = append(list, v)
		}
	}
	return list
}

func change(m Metric, old, new []float64, alpha float64) Change {
	if m.Points {
		return Difference(old, new, alpha)
	}
	return Ratio(old, new, alpha)
}

// mean compares the geometric mean over cells, which is formed in each run: runs are then compared as those of a cell are, so that what the cells
// of a run have in common needs no assumption. Cells with a zero are left out, and runs in which a cell has no value. A gate on a mean that leaves
// out a cell is an error, unless the cell is zero in all runs of both sides.
func (c *Comparison) mean(row Row, cells [][2][]float64) {
	m := row.Metric
	zeros, changed := 0, 0
	cells = slices.DeleteFunc(slices.Clone(cells), func(sides [2][]float64) bool {
		values := finite(slices.Concat(sides[0], sides[1]))
		zero := slices.Contains(values, 0)
		if zero {
			zeros++
		}
		if zero && slices.Max(values) > 0 {
			changed++
		}
		return zero
	})
	if changed > 0 {
		c.partial["geomean-"+m.Name] = "it leaves out " + plural(changed, "cell") + " with a zero in some runs, which has no place in a geometric mean; write " + m.Name + " for every cell"
	}
	if len(cells) < 2 {
		return
	}
	row.Over = len(cells)
	var means [2][]float64
	for side := range means {
		runs := 0
		for _, cell := range cells {
			runs = max(runs, len(cell[side]))
		}
		for run := range runs {
			sum := 0.0
			for _, cell := range cells {
				v := math.NaN()
				if run < len(cell[side]) {
					v = cell[side][run]
				}
				sum += math.Log(v)
			}
			if v := math.Exp(sum / float64(len(cells))); !math.IsNaN(v) {
				means[side] = append(means[side], v)
			}
		}
		if left := runs - len(means[side]); left > 0 {
			row.Doubts = append(row.Doubts, fmt.Sprintf("%d of %s of %s lack a cell", left, plural(runs, "run"), []string{"old", "new"}[side]))
		}
	}
	if zeros > 0 {
		row.Doubts = append(row.Doubts, plural(zeros, "cell")+" with a zero left out")
	}
	if len(means[0]) == 0 || len(means[1]) == 0 {
		return
	}
	row.Old, row.New = analysis.Summarize(means[0]), analysis.Summarize(means[1])
	row.Change = change(m, means[0], means[1], c.Alpha)
	c.Means = append(c.Means, row)
}

// warn says what should be doubted of the whole.
func (c *Comparison) warn(old, new Side) {
	add := func(format string, args ...any) { c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...)) }
	if c.Rounds == 0 {
		add("unpaired: %s and %s were measured at different times, and a machine that had changed in between would look like a change of the program; "+
			"compare --run measures both in turn", old.Name, new.Name)
	}
	for i, side := range []Side{old, new} {
		c.warnOf([]string{"old", "new"}[i], side, add)
	}
	judged := 0
	few := make(map[string]bool)
	for _, list := range [][]Row{c.Rows, c.Means} {
		for i := range list {
			ch := &list[i].Change
			switch {
			case ch.Judged():
				judged++
			case ch.Old < MinRuns || ch.New < MinRuns:
				few[fmt.Sprintf("no verdict: %s and %s; take at least %d of each side (%d and %d cannot reach p %v)", plural(ch.Old, "run"),
					plural(ch.New, "run"), MinRuns, MinRuns-1, MinRuns-1, DefaultAlpha)] = true
			default:
				few[fmt.Sprintf("no verdict: %d and %s cannot reach p %v, but %.3g at best; take at least %d of each side", ch.Old, plural(ch.New, "run"),
					c.Alpha, ch.Smallest, Need(c.Alpha))] = true
			}
		}
	}
	c.Warnings = append(c.Warnings, slices.Sorted(maps.Keys(few))...)
	if judged > 1 {
		add("%d comparisons at alpha %v: where nothing had changed, %.2g of them would be false alarms", judged, c.Alpha, float64(judged)*c.Alpha)
	}
}

// warnOf says what should be doubted of one side, called "old" or "new", and what of it is unfinished.
func (c *Comparison) warnOf(called string, side Side, add func(format string, args ...any)) {
	inProcess, soak := false, false
	var machines, kinds []string
	of := func(name, kind string) {
		machines, kinds = append(machines, name+": "+kind), append(kinds, kind)
	}
	for _, h := range side.Hosts {
		of(h.Name, h.Machine)
	}
	for _, class := range classes(side) {
		study := side.Studies[class]
		name := called
		if class != "" {
			name += ", " + class
		}
		if text := analysis.Analyze(study.Header, study.Records).Unfinished(); text != "" {
			c.Unfinished = append(c.Unfinished, fmt.Sprintf("%s (%s) is %s", name, side.Name, text))
		}
		inProcess = inProcess || study.Header.InProcess
		soak = soak || study.Header.Plan.Soak > 0
		if class == "" {
			for _, h := range study.Header.Hosts {
				of(h.Name, h.Machine)
			}
		}
	}
	if inProcess {
		add("runs of %s were measured in one process (--in-process): they share its heap and the layout of its memory, which makes them more alike than runs are", called)
	}
	if soak {
		add("%s is a soak: its values are of the last window of each repeat", called)
	}
	if len(machines) > 1 {
		slices.Sort(kinds)
		text := "of one kind: " + kinds[0]
		if len(slices.Compact(kinds)) > 1 {
			text = strings.Join(machines, "; ")
		}
		add("%s was measured on %s (%s): cells that the other side measured on a machine of another kind say so", called, plural(len(machines), "machine"), text)
	}
}

// Need returns the least number of runs of each side that can give a verdict at a level.
func Need(alpha float64) int {
	n := MinRuns
	for ; n < 1000 && SmallestP(n, n) > alpha; n++ {
	}
	return n
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
