package comparison

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"pcaplab/analysis"
)

// Finding is a row for which a comparison of a condition is true, or open.
type Finding struct {
	Row       *Row
	Condition string  // the comparison, as the user wrote it
	P         float64 // of the row, adjusted for all rows that the condition speaks of
}

// Gate is what a condition on changes came to.
type Gate struct {
	Rows int       // that the condition speaks of
	True []Finding // the change is significant, and its estimate beyond the limit
	// Open are comparisons that were not shown to be true, but cannot be told from true ones: the interval reaches beyond the limit.
	Open []Finding
}

// ErrNoGate is a condition that says nothing of a change, whatever was measured.
var ErrNoGate = errors.New("no condition on a change")

// Sensible returns an ErrNoGate where a comparison is true though nothing changed, where nothing can make it true, or where its limit is 1 or more
// without a percent sign, which hardly anyone means.
func Sensible(condition analysis.Condition) error {
	for _, l := range condition.Limits() {
		least, most := -1.0, math.Inf(1) // of ratios less 1
		if l.Metric == "loss" || strings.HasPrefix(l.Metric, "loss@") {
			most = 1 // of differences of ratios
		}
		text := strings.TrimSpace(l.Comparison)
		switch {
		case l.Holds(0):
			return fmt.Errorf("%s: %w: it is true where nothing has changed; write < and a number of 0 or less, or > and one of 0 or more, as ndr<-5%%", text, ErrNoGate)
		case math.Abs(l.Value) >= 1 && !strings.HasSuffix(text, "%"):
			return fmt.Errorf("%s: %w: %v is %v %%; did you mean %s%%?", text, ErrNoGate, l.Value, 100*l.Value, text)
		case !l.Holds(least) && !l.Holds(most):
			return fmt.Errorf("%s: %w: it is never true, as nothing can be less than 0 or a loss more than all", text, ErrNoGate)
		}
	}
	return nil
}

// UnlikeError says that a gate speaks of parsers that did not do the same work. It is of what was measured, not of the condition.
type UnlikeError struct{ Err error }

func (e *UnlikeError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UnlikeError) Unwrap() error { return e.Err }

// unmeasured says why a metric that every study may have was not measured.
var unmeasured = map[string]string{
	costMin: "no pass over the capture fits into a trial (take a longer --trial, or --packets), there are several workers, a ring feeds, " +
		"or it was measured by an older version",
	"instructions": analysis.NoInstructions,
	"cpu":          "the machine does not tell it",
	"peak":         "the machine does not tell it",
}

// Gate checks a condition on changes: "ndr<-5%" speaks of every cell's change of ndr, "cost[direct]>3%" of those of one engine, and
// "geomean-ndr<-2%" of the geometric mean's. A change of lost packets ("loss@1x>0.1%") is in points.
//
// The level holds for all that the condition speaks of together: p-values are adjusted by the method of Holm (1979), so that where nothing has
// changed the chance that anything is true is at most Alpha. It is an error when the condition names what neither side has, only one side has or
// some runs lack, or a geometric mean that leaves out cells; when there are too few runs for a verdict; when it is not [Sensible]; and an
// [*UnlikeError] where the two did not parse alike.
func (c *Comparison) Gate(condition analysis.Condition) (*Gate, error) { return c.gate(condition, 0) }

// Check returns what is wrong with a condition that will be checked when each side has so many runs; c may have fewer.
func (c *Comparison) Check(condition analysis.Condition, runs int) error {
	_, err := c.gate(condition, runs)
	return err
}

// gate is Gate or, with a number of runs, Check.
func (c *Comparison) gate(condition analysis.Condition, planned int) (*Gate, error) {
	if err := Sensible(condition); err != nil {
		return nil, err
	}
	var measures []analysis.Measure
	rows := make(map[string]*Row)
	key := func(m *analysis.Measure) string { return m.Metric + "\x00" + m.Engine + "\x00" + m.Where }
	for _, list := range [][]Row{c.Rows, c.Means} {
		for i := range list {
			r := &list[i]
			for _, name := range c.names(r) {
				m := analysis.Measure{Engine: r.Cell.Engine, Metric: name, Where: r.Where()}
				if r.Over > 0 {
					m.Engine = "all"
				}
				if r.Metric.Points {
					m.Where += ", " + strings.TrimPrefix(r.Metric.Name, "loss")
				}
				if planned == 0 && !r.Change.Judged() {
					m.Value, m.Why = math.NaN(), fmt.Sprintf("%s and %s of the two sides give no verdict at %v: take at least %d of each",
						plural(r.Change.Old, "run"), plural(r.Change.New, "run"), c.Alpha, Need(c.Alpha))
				}
				if why := r.missing; planned == 0 && why != "" && (!c.force || r.slow != "") { // what was too slow to be measured must not vanish
					m.Value, m.Why = math.NaN(), cmp.Or(r.slow, why)
				}
				if r.unlike != "" && !c.force {
					m.Value, m.Why = math.NaN(), r.unlike+" (--force compares all the same)"
				}
				measures = append(measures, m)
				rows[key(&m)] = r
			}
		}
	}
	for _, l := range c.Lone {
		for _, name := range l.names(c) {
			r := Row{Class: l.Class, Cell: l.Cell}
			m := analysis.Measure{Engine: l.Cell.Engine, Metric: name, Where: r.Where(), Value: math.NaN(), Why: "only " + l.Side + " has it"}
			measures = append(measures, m)
			if !strings.HasPrefix(name, "loss") {
				m.Where, m.Why = "", "only "+l.Side+" has "+l.Cell.Engine+", "+m.Where
				m.Engine, m.Metric = "all", "geomean-"+name
				measures = append(measures, m)
			}
		}
	}
	for _, at := range c.neither {
		if c.force && at.metric.Name != costMin {
			continue
		}
		for _, r := range []Row{{Metric: at.metric, Class: at.class, Cell: at.cell}, {Metric: at.metric, Over: 1}} {
			for _, name := range c.names(&r) {
				m := analysis.Measure{Engine: cmp.Or(r.Cell.Engine, "all"), Metric: name, Value: math.NaN(), Why: cmp.Or(unmeasured[at.metric.Name], "neither side has it")}
				if r.Over == 0 {
					m.Where = r.Where()
				} else if r.Metric.Points {
					continue
				}
				measures = append(measures, m)
			}
		}
	}
	var engines []string
	for i := range c.Rows {
		engines = append(engines, c.Rows[i].Cell.Engine)
	}
	slices.Sort(engines)
	engines = slices.Compact(engines)
	for _, name := range c.known {
		if !slices.ContainsFunc(measures, func(m analysis.Measure) bool { return m.Metric == name }) {
			for _, engine := range engines {
				measures = append(measures, analysis.Measure{Engine: engine, Metric: name, Value: math.NaN(), Why: unmeasured[name]})
			}
		}
	}
	for name, why := range c.partial {
		measures = append(measures, analysis.Measure{Engine: "all", Metric: name, Value: math.NaN(), Why: why})
	}
	if _, err := condition.Check(measures); err != nil {
		alike := slices.Clone(measures)
		for i := range alike {
			if r := rows[key(&alike[i])]; r != nil && r.unlike != "" {
				alike[i].Value = 0
			}
		}
		if _, otherwise := condition.Check(alike); otherwise == nil {
			err = &UnlikeError{err}
		}
		return nil, err
	}
	// with checks the condition as if each change were what value says.
	with := func(value func(*Row) float64) []analysis.Match {
		list := slices.Clone(measures)
		for i := range list {
			if r := rows[key(&list[i])]; r != nil {
				list[i].Value = value(r)
			}
		}
		found, _ := condition.Check(list) // would have failed above
		return found
	}
	g := &Gate{}
	seen := make(map[*Row]float64) // adjusted p
	for _, end := range []int{-1, 1} {
		for _, m := range with(func(*Row) float64 { return math.Inf(end) }) {
			seen[rows[key(&m.Measure)]] = 0
		}
	}
	g.Rows = len(seen)
	smallest := SmallestP(planned, planned)
	for r := range seen {
		if planned == 0 {
			smallest = min(smallest, r.Change.Smallest)
		}
	}
	if float64(g.Rows)*smallest > c.Alpha {
		return nil, fmt.Errorf("%d comparisons cannot be true together at alpha %v with so few runs: take at least %d of each side, name one engine (as ndr[ENGINE]), or measure fewer cells", g.Rows,
			c.Alpha, Need(c.Alpha/float64(g.Rows)))
	}
	if planned > 0 {
		return nil, nil
	}
	holm(seen)
	shown := make(map[Finding]bool)
	for _, m := range with(func(r *Row) float64 { return r.Change.Value }) {
		r := rows[key(&m.Measure)]
		f := Finding{Row: r, Condition: strings.TrimSpace(m.Comparison), P: seen[r]}
		if r.Change.significant(seen[r]) && !shown[f] {
			shown[f] = true
			g.True = append(g.True, f)
		}
	}
	for _, end := range []func(*Row) float64{func(r *Row) float64 { return r.Change.Interval.Low }, func(r *Row) float64 { return r.Change.Interval.High }} {
		for _, m := range with(end) {
			r := rows[key(&m.Measure)]
			f := Finding{Row: r, Condition: strings.TrimSpace(m.Comparison), P: seen[r]}
			if !shown[f] {
				shown[f] = true
				g.Open = append(g.Open, f)
			}
		}
	}
	return g, nil
}

// names returns the names of a row in conditions: a goal also by what is before the colon where no other goal begins so, and loss at any load.
func (c *Comparison) names(r *Row) []string {
	names := []string{r.Name()}
	if r.Metric.Points {
		return append(names, "loss")
	}
	family, _, long := strings.Cut(r.Name(), ":")
	if !long {
		return names
	}
	for i := range c.Rows {
		if other, _, _ := strings.Cut(c.Rows[i].Metric.Name, ":"); c.Rows[i].Metric.Name != r.Metric.Name && other == strings.TrimPrefix(family, "geomean-") {
			return names
		}
	}
	return append(names, family)
}

// names returns what of a cell that one side lacks a condition may mean.
func (l *Lone) names(c *Comparison) (names []string) {
	switch family, _, long := strings.Cut(l.Metric, ":"); {
	case strings.HasPrefix(l.Metric, "loss@"):
		return []string{l.Metric, "loss"}
	case long:
		return []string{l.Metric, family}
	case l.Metric != "":
		return []string{l.Metric}
	}
	for i := range c.Rows {
		for _, name := range c.names(&c.Rows[i]) {
			if c.Rows[i].Over == 0 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// holm fills in the p of each row, adjusted so that the chance of any false alarm among them is the level (Holm 1979, step-down).
func holm(rows map[*Row]float64) {
	order := make([]*Row, 0, len(rows))
	for r := range rows {
		order = append(order, r)
	}
	slices.SortFunc(order, func(a, b *Row) int { return cmp.Compare(a.Change.P, b.Change.P) })
	least := 0.0
	for i, r := range order {
		least = max(least, min(1, float64(len(order)-i)*r.Change.P))
		rows[r] = least
	}
}
