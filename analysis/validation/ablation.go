package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pcaplab/parse/feature"
	"pcaplab/parse/model"
)

// ablated is a row of an ablation with what it was made of.
type ablated struct {
	Ablation
	published bool // windows by class
	fixed     bool // one window for all, of captures
	leaks     bool // the length of its windows tells groups of classes
}

// ablation validates the model on other windows of a set, and without the columns that show how long windows are.
func (r *runner) ablation(ctx context.Context, set *Set, e *evaluation) (AblationPart, error) {
	part := AblationPart{Set: set.Name, Synthetic: set.Synthetic}
	base := "as given"
	if set.Captures {
		base = set.Window
	}
	rows := []ablated{r.ablated(set, base, e, &e.tally)}
	rows[0].published, rows[0].fixed, rows[0].Window = set.Published, set.Captures && !set.Published, set.Window

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
		if errors.As(err, new(*model.NonFiniteError)) { // windows as given have none, or it had ended there
			part.NotDone = append(part.NotDone, fmt.Sprintf("%s: %v", w.Name, err))
			continue
		} else if err != nil {
			return part, fmt.Errorf("%s: %w", w.Name, err)
		}
		row := r.ablated(&other, w.Name, f, &f.tally)
		row.published, row.fixed, row.Window, row.Against = w.Published, !w.Published, w.Name, base
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
			row := r.ablated(h.set, from+", "+name, h.e, variants[i].tally)
			row.Window, row.Hidden, row.Columns, row.Against, row.leaks = rows[h.index].Window, true, columnNames(columns), from, rows[h.index].leaks
			rows = append(rows, row)
		}
	}
	for i := range rows {
		if at := slices.IndexFunc(rows, func(o ablated) bool { return o.Name == rows[i].Against }); at >= 0 && rows[i].Against != "" {
			rows[i].compare(&rows[at].Ablation)
		}
		part.Rows = append(part.Rows, rows[i].Ablation)
	}
	part.Leak, part.Finding = finding(rows, len(ways) > 0)
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
func (r *runner) ablated(set *Set, name string, e *evaluation, t *tally) ablated {
	all, each, dropped := t.confusions(r.classes.names)
	m, i := all.Metrics(), r.intervals(set.Captures, all, each)
	a := ablated{Ablation: Ablation{Name: name, Rows: all.Total(), Dropped: total(dropped), MacroF1: m.Macro.F1, MacroF1Interval: i.MacroF1,
		Accuracy: m.Accuracy, AccuracyInterval: i.Accuracy}}
	a.leaks = e.lengths.report(r.classes.names).Leaks
	if benign := all.Class(r.cfg.Benign); benign >= 0 && r.cfg.Benign != "" {
		if alarms := all.Alarms(benign); alarms.BenignRows > 0 {
			recall := alarms.BenignRecall()
			a.BenignRecall, a.FalseAlarms = &recall, &alarms.FalseAlarms
			if hours := float64(e.covered) / 3600e9; set.Captures && hours > 0 {
				perHour := alarms.PerHour(hours)
				a.FalseAlarmsPerHour = &perHour
			}
		}
	}
	return a
}

// compare sets the verdict on a against o.
func (a *Ablation) compare(o *Ablation) {
	a.Drop = o.MacroF1 - a.MacroF1
	switch {
	case below(a, o):
		a.Verdict = Collapses
	case below(o, a):
		a.Verdict = Rises
	default:
		a.Verdict = Holds
	}
}

// below reports whether a is so far below o that it is called a collapse.
func below(a, o *Ablation) bool {
	return o.MacroF1-a.MacroF1 > CollapseDrop && a.MacroF1Interval.High < o.MacroF1Interval.Low
}

// finding says what rows showed. hidden tells whether there were columns to hide.
func finding(rows []ablated, hidden bool) (leak, text string) {
	var published, best, number, dependents *ablated
	tested := false
	for i := range rows {
		a := &rows[i]
		switch {
		case a.Hidden && a.leaks:
			tested = true
			if a.Verdict == Collapses && a.Columns == feature.Columns()[feature.Number] && number == nil {
				number = a
			} else if a.Verdict == Collapses && dependents == nil {
				dependents = a
			}
		case a.Hidden:
		case a.published:
			published = a
		case a.fixed && (best == nil || a.MacroF1 > best.MacroF1):
			best = a
		}
	}
	compared := published != nil && best != nil && published.leaks
	worst := ""
	for i := range rows {
		if a := &rows[i]; !a.Hidden && a.Verdict == Collapses {
			worst += fmt.Sprintf("; with %s it falls to %.3f", a.Name, a.MacroF1)
		}
	}
	switch {
	case compared && below(&best.Ablation, &published.Ablation):
		return LeakShown, fmt.Sprintf("the model needs the windows' length: macro-F1 is %.3f with windows by class, as published, and at best %.3f (%s) "+
			"with one length for all, as a live extractor has it", published.MacroF1, best.MacroF1, best.Name)
	case number != nil:
		return LeakShown, fmt.Sprintf("the model needs the windows' length: macro-F1 falls by %.3f to %.3f with Number hidden", number.Drop, number.MacroF1)
	case dependents != nil && compared:
		return LeakNotShown, fmt.Sprintf("macro-F1 is %.3f with windows by class and %.3f with one length for all (%s); that it falls to %.3f with %s hidden is what they tell besides the length%s",
			published.MacroF1, best.MacroF1, best.Name, dependents.MacroF1, dependents.Columns, worst)
	case dependents != nil:
		return LeakPossible, fmt.Sprintf("macro-F1 falls by %.3f to %.3f with %s hidden. They tell the windows' length, but more than that too: captures would decide it",
			dependents.Drop, dependents.MacroF1, dependents.Columns)
	case compared || tested:
		return LeakNotShown, "the model does not need the windows' length: it is as right without it" + worst
	case !hidden:
		return LeakNotShown, "the model takes none of the columns that windows' length shows in"
	}
	return LeakUntested, "windows are of about the same length in every class here, so these rows cannot show whether the model goes by it"
}
