package validation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pcaplab/analysis/score"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
)

// ablated is a row of an ablation with what it was made of.
type ablated struct {
	Ablation
	captures  bool
	published bool // windows by class
	fixed     bool // of captures, cut alike for every class
	leaks     bool // the length of its windows tells groups of classes
	all       *score.Confusion
	each      []*score.Confusion
	has       []bool // classes of the model that have rows
	judged    judged // over all of them
}

// judged is the balanced accuracy over some classes, and between what it may lie.
type judged struct {
	value, low, high float64
	interval         score.Interval
	chance           float64 // what a model has that knows nothing
}

// ablation validates the model on other windows of a set, and without the columns that show how long windows are.
func (r *runner) ablation(ctx context.Context, set *Set, e *evaluation) (AblationPart, error) {
	part := AblationPart{Set: set.Name, Synthetic: set.Synthetic}
	base := "as given"
	if set.Captures {
		base = set.Window
	}
	first, err := r.ablated(ctx, set, base, e, &e.tally)
	if err != nil {
		return part, err
	}
	rows := []ablated{first}

	// What hides from which set comes after all windows.
	type toHide struct {
		set   *Set
		e     *evaluation
		index int
	}
	hiding := []toHide{{set, e, 0}}
	for _, w := range set.Windows {
		other := *set
		other.Rows, other.Window, other.Published = w.Rows, w.Name, w.Published
		f, err := r.evaluate(ctx, &other, set.Name+", "+w.Name, w.Published, false)
		if errors.As(err, new(*model.NonFiniteError)) || errors.Is(err, ErrNothing) { // windows as given have some, or it had ended there
			part.NotDone = append(part.NotDone, fmt.Sprintf("%s: %s", w.Name, strings.TrimPrefix(err.Error(), set.Name+": ")))
			continue
		} else if err != nil {
			return part, err
		}
		row, err := r.ablated(ctx, &other, w.Name, f, &f.tally)
		if err != nil {
			return part, err
		}
		row.Against = base
		rows = append(rows, row)
		if w.Published {
			hiding = append(hiding, toHide{&other, f, len(rows) - 1})
		}
	}
	if !set.Captures {
		part.NotDone = append(part.NotDone, "windows of other lengths: a table cannot be cut anew; give the captures that it is from")
	} else if len(set.Windows) == 0 {
		part.NotDone = append(part.NotDone, "windows of other lengths: none were asked for")
	}
	ways := r.ways()
	if len(ways) == 0 {
		part.NotDone = append(part.NotDone, "hiding the windows' length: the model takes none of "+columnNames(lengthColumns()))
	}
	for _, h := range hiding {
		variants := make([]variant, len(ways))
		for i, columns := range ways {
			variants[i] = variant{tally: &tally{}, hidden: h.e.hidden, columns: columns}
		}
		if len(variants) == 0 {
			continue
		}
		from := rows[h.index].Name
		r.step(fmt.Sprintf("%s, %s, without the length of windows", set.Name, from))
		if err := r.pass(ctx, h.set, variants, nil); err != nil {
			return part, err
		}
		for i, columns := range ways {
			name := "Number and its dependents hidden"
			if len(columns) == 1 {
				name = columnNames(columns) + " hidden"
			}
			row, err := r.ablated(ctx, h.set, from+", "+name, h.e, variants[i].tally)
			if err != nil {
				return part, err
			}
			row.Window, row.Hidden, row.Columns, row.Against = rows[h.index].Window, true, columnNames(columns), from
			rows = append(rows, row)
		}
	}
	for i := range rows {
		a := &rows[i]
		if at := slices.IndexFunc(rows, func(o ablated) bool { return o.Name == a.Against }); at >= 0 && a.Against != "" {
			var without []string
			if a.Verdict, a.Drop, without, err = r.compare(ctx, a, &rows[at]); err != nil {
				return part, err
			}
			if len(without) > 0 {
				how := "compared without "
				if a.Verdict == "" {
					how = "not compared, for want of "
				}
				part.Notes = append(part.Notes, fmt.Sprintf("%s and %s do not have the same classes: %s%s", a.Name, a.Against, how, some(without, 5)))
			}
		}
	}
	if part.Leak, part.Finding, err = r.finding(ctx, rows, len(ways) > 0); err != nil {
		return part, err
	}
	for i := range rows {
		part.Rows = append(part.Rows, rows[i].Ablation)
	}
	return part, nil
}

// ways are the sets of columns to hide: Number, then all that the model takes of those that the length of windows shows in.
func (r *runner) ways() [][]int {
	var all []int
	for _, c := range lengthColumns() {
		if slices.Contains(r.bound.Used(), c) {
			all = append(all, c)
		}
	}
	switch {
	case len(all) == 0:
		return nil
	case !slices.Contains(all, feature.Number):
		return [][]int{all}
	case len(all) == 1:
		return [][]int{all}
	}
	return [][]int{{feature.Number}, all}
}

func columnNames(columns []int) string {
	var names []string
	for _, c := range columns {
		names = append(names, feature.Columns()[c])
	}
	return strings.Join(names, ", ")
}

// ablated makes the row of an evaluation, or of a tally of its rows with columns hidden.
func (r *runner) ablated(ctx context.Context, set *Set, name string, e *evaluation, t *tally) (ablated, error) {
	all, each, dropped := t.confusions(r.classes.names)
	i, err := r.intervals(ctx, set.Captures, all, each)
	if err != nil {
		return ablated{}, err
	}
	m := all.Metrics()
	a := ablated{Ablation: Ablation{Name: name, Window: set.Window, Rows: all.Total(), Dropped: total(dropped), MacroF1: m.Macro.F1, MacroF1Interval: i.MacroF1,
		Accuracy: m.Accuracy, AccuracyInterval: i.Accuracy},
		captures: set.Captures, published: set.Published, fixed: set.Captures && !set.Published, all: all, each: each, has: make([]bool, r.classes.known)}
	foreign := false
	for class, row := range all.Counts {
		if class < len(a.has) {
			a.has[class] = total(row) > 0
		} else if total(row) > 0 {
			foreign = true
		}
	}
	if foreign { // classes that the model does not have are always wrong, and would hide what becomes of the others
		if a.judged, err = r.judge(ctx, &a, a.has); err != nil {
			return a, err
		}
	} else {
		a.judged = judge(&m, i.BalancedAccuracy)
	}
	a.BalancedAccuracy, a.BalancedAccuracyInterval = a.judged.value, a.judged.interval
	a.leaks = e.lengths.report(r.classes.names).Leaks
	if benign := all.Class(r.cfg.Benign); benign >= 0 && r.cfg.Benign != "" {
		if alarms := all.Alarms(benign); alarms.BenignRows > 0 {
			recall := alarms.BenignRecall()
			a.BenignRecall, a.FalseAlarms = &recall, &alarms.FalseAlarms
			if hours := float64(e.covered) / 3600e9; set.Captures && hours > 0 {
				perHour := alarms.PerHour(hours)
				a.BenignHours, a.FalseAlarmsPerHour = hours, &perHour
			}
		}
	}
	return a, nil
}

// judge is the balanced accuracy of a over the classes that of marks.
func (r *runner) judge(ctx context.Context, a *ablated, of []bool) (judged, error) {
	all := only(a.all, of)
	var each []*score.Confusion
	for _, c := range a.each {
		each = append(each, only(c, of))
	}
	i, err := r.intervals(ctx, a.captures, all, each)
	if err != nil {
		return judged{}, err
	}
	m := all.Metrics()
	return judge(&m, i.BalancedAccuracy), nil
}

// judge widens an interval to what so few rows can tell: a share that none of n rows has may be 3 / n.
func judge(m *score.Metrics, interval score.Interval) judged {
	few, classes := 0.0, 0.0
	for _, c := range m.PerClass {
		if c.Support > 0 {
			most := min(1, 3/float64(c.Support))
			few += float64(most * most) // classes err on their own
			classes++
		}
	}
	j := judged{value: m.BalancedAccuracy, low: 0, high: 1, interval: interval, chance: 1}
	if classes > 0 {
		few = math.Sqrt(few) / classes
		j.low, j.high, j.chance = max(0, min(interval.Low, j.value-few)), min(1, max(interval.High, j.value+few)), 1/classes
	}
	return j
}

// verdict compares a with o.
func (j judged) verdict(o judged) string {
	drop := o.value - j.value
	up, down := o.high-o.value, j.value-j.low
	switch {
	case drop > CollapseDrop && j.high < o.low:
		return Collapses
	case -drop > CollapseDrop && o.high < j.low:
		return Rises
	case drop+math.Sqrt(float64(up*up)+float64(down*down)) <= CollapseDrop:
		return Holds
	}
	return Unclear
}

// compare returns the verdict on a against o, over the classes that both have, and those that only one of them has. There is none where they
// have fewer than two in common.
func (r *runner) compare(ctx context.Context, a, o *ablated) (verdict string, drop float64, without []string, err error) {
	if slices.Equal(a.has, o.has) {
		return a.judged.verdict(o.judged), o.judged.value - a.judged.value, nil, nil
	}
	both := make([]bool, len(a.has))
	for i := range both {
		both[i] = a.has[i] && o.has[i]
		if a.has[i] != o.has[i] {
			without = append(without, r.classes.names[i])
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(both), func(has bool) bool { return !has })); n < 2 {
		return "", 0, without, nil
	}
	x, err := r.judge(ctx, a, both)
	if err != nil {
		return "", 0, nil, err
	}
	y, err := r.judge(ctx, o, both)
	return x.verdict(y), y.value - x.value, without, err
}

// finding says what rows showed. hidden tells whether there were columns to hide.
//
// Captures decide where the same were cut by class and alike for all: then it is known what the model does on windows as a live extractor has
// them. Hidden columns tell other things than the length too, and what is made of them by division even more, so that they can clear a model
// but convict none.
func (r *runner) finding(ctx context.Context, rows []ablated, hidden bool) (leak, text string, err error) {
	var published *ablated
	var alike []*ablated
	worst := ""
	for i := range rows {
		a := &rows[i]
		switch {
		case a.Hidden:
			continue
		case a.published:
			published = a
		case a.fixed:
			alike = append(alike, a)
		}
		if a.Verdict == Collapses {
			worst += fmt.Sprintf("; with %s it falls to %.3f", a.Name, a.BalancedAccuracy)
		}
	}
	if published != nil && published.leaks && len(alike) > 0 {
		return r.decided(ctx, published, alike, rows, worst)
	}
	var fallen, unclear, held *ablated
	lost := false
	for i := range rows {
		a := &rows[i]
		if !a.Hidden || !a.leaks || a.fixed { // windows that were cut alike can be so live
			continue
		}
		at := slices.IndexFunc(rows, func(o ablated) bool { return o.Name == a.Against })
		switch from := rows[at].judged; {
		case from.value <= from.chance+CollapseDrop:
			lost = true
		case a.Verdict == Collapses && fallen == nil:
			fallen = a
		case a.Verdict == Unclear:
			unclear = a
		case a.Verdict == Holds || a.Verdict == Rises:
			held = a
		}
	}
	switch {
	case fallen != nil:
		return LeakPossible, fmt.Sprintf("balanced accuracy falls by %.3f to %.3f with %s hidden, which tell the windows' length, but more than that too: "+
			"captures would decide it%s", fallen.Drop, fallen.BalancedAccuracy, fallen.Columns, worst), nil
	case unclear != nil:
		return LeakUntested, fmt.Sprintf("too few rows: balanced accuracy is %.3f %s with %s hidden, which neither shows a fall nor leaves it out", unclear.BalancedAccuracy,
			interval(unclear.judged), unclear.Columns), nil
	case lost:
		return LeakUntested, "the model is hardly better than chance on these rows: nothing could fall", nil
	case held != nil:
		return LeakNotShown, "the model is as right without it" + worst, nil
	case !hidden:
		return LeakNotShown, "the model takes none of the columns that windows' length shows in" + worst, nil
	}
	return LeakUntested, "the length of windows hardly tells the classes apart here, so these rows cannot show whether the model goes by it" + worst, nil
}

// decided is finding where the same captures were cut by class and alike for all.
func (r *runner) decided(ctx context.Context, published *ablated, alike []*ablated, rows []ablated, worst string) (leak, text string, err error) {
	best := slices.MaxFunc(alike, func(a, b *ablated) int { return cmp.Compare(a.judged.value, b.judged.value) })
	fell, comparable := 0, 0
	var right *ablated // as right as by class
	for _, a := range alike {
		verdict, _, _, err := r.compare(ctx, a, published)
		if err != nil {
			return "", "", err
		}
		if verdict != "" {
			comparable++
		}
		switch {
		case verdict == "":
		case verdict == Collapses:
			fell++
		case verdict != Unclear && (right == nil || a.judged.value > right.judged.value):
			right = a
		}
	}
	switch least := published.judged.chance + CollapseDrop; {
	case fell > 0 && fell == comparable:
		return LeakShown, fmt.Sprintf("balanced accuracy is %.3f with windows by class, as published, and at best %.3f (%s) "+
			"with windows cut alike for all, as a live extractor has them", published.BalancedAccuracy, best.BalancedAccuracy, best.Name), nil
	case published.judged.value <= least && best.judged.value <= least:
		return LeakUntested, "the model is hardly better than chance on any of these windows: nothing could fall", nil
	case right == nil:
		return LeakUntested, fmt.Sprintf("too few rows: balanced accuracy is %.3f %s with windows by class, as published, and %.3f %s (%s) with windows cut alike for all, "+
			"which neither shows a fall nor leaves it out", published.BalancedAccuracy, interval(published.judged), best.BalancedAccuracy, interval(best.judged), best.Name), nil
	}
	text = fmt.Sprintf("balanced accuracy is %.3f with windows by class, as published, and %.3f (%s) with windows cut alike "+
		"for all", published.BalancedAccuracy, right.BalancedAccuracy, right.Name)
	for i := range rows {
		if a := &rows[i]; a.Hidden && a.published && a.Verdict == Collapses {
			text += fmt.Sprintf("; that it falls to %.3f with %s hidden is what they tell besides the length", a.BalancedAccuracy, a.Columns)
			break
		}
	}
	return LeakNotShown, text + worst, nil
}

func interval(j judged) string { return fmt.Sprintf("[%.3f, %.3f]", j.low, j.high) }
