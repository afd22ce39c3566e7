package analysis

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Measure is one number that conditions are checked against.
type Measure struct {
	Engine string
	Metric string
	Where  string // tells measures of one engine and metric apart, as "64 B, repeat 2"; may be empty
	Value  float64
	Why    string // why there is no value (NaN), as "the soak did not end"; may be empty
	// Interval, where valid, is of a change: a comparison is answered with Value only where 0 or the limit lies outside it.
	Interval Interval
}

// Condition is one or several comparisons of measures with limits; it holds where any of them does.
type Condition struct {
	comparisons []comparison
}

type comparison struct {
	text   string
	metric string
	engine string // "" is every engine
	op     string
	limit  float64
}

// Match is a measure for which a comparison of a condition holds.
type Match struct {
	Measure
	Comparison string // as the user wrote it
}

// String names the measure, its value and the comparison.
func (m Match) String() string {
	where := ""
	if m.Where != "" {
		where = " (" + m.Where + ")"
	}
	return fmt.Sprintf("%s[%s]%s is %s: %s", m.Metric, m.Engine, where,
		strconv.FormatFloat(m.Value, 'g', 6, 64), m.Comparison)
}

// ParseCondition reads a condition as users write it on a command line: comparisons joined by commas, each a metric,
// an engine in brackets or none for every engine, one of < <= > >=, and a number with an SI prefix k, M, G or a percent
// sign: "ndr<20k", "pdr[direct]>=1e6, cost>250". The whole fault list is returned at once.
func ParseCondition(s string) (Condition, error) {
	var c Condition
	var faults []error
	for _, text := range splitOutsideBrackets(s) {
		cmp, err := parseComparison(strings.TrimSpace(text))
		if err != nil {
			faults = append(faults, fmt.Errorf("condition %q: %w", text, err))
			continue
		}
		c.comparisons = append(c.comparisons, cmp)
	}
	if err := errors.Join(faults...); err != nil {
		return Condition{}, err
	}
	return c, nil
}

// Limit is one comparison of a condition.
type Limit struct {
	Comparison string // as the user wrote it
	Metric     string
	Engine     string // "": every engine
	Value      float64
	op         string
}

// Holds tells whether the comparison is true of a value.
func (l Limit) Holds(v float64) bool { return comparison{op: l.op, limit: l.Value}.holds(v) }

// Limits returns the comparisons in their order.
func (c Condition) Limits() []Limit {
	list := make([]Limit, len(c.comparisons))
	for i, cmp := range c.comparisons {
		list[i] = Limit{Comparison: cmp.text, Metric: cmp.metric, Engine: cmp.engine, Value: cmp.limit, op: cmp.op}
	}
	return list
}

// String returns the condition as it can be parsed again.
func (c Condition) String() string {
	texts := make([]string, len(c.comparisons))
	for i, cmp := range c.comparisons {
		texts[i] = cmp.text
	}
	return strings.Join(texts, ",")
}

// Check returns the measures for which a comparison holds, in their order; a measure that two comparisons hold for is
// returned twice. It is an error when a comparison speaks of a metric, or of an engine with that metric, that no measure
// has, of a measure without a value (NaN), or of one whose interval leaves it open: neither a mistyped condition nor noise
// must pass for one that does not hold.
func (c Condition) Check(measures []Measure) ([]Match, error) {
	if len(c.comparisons) == 0 {
		return nil, errors.New("the condition is empty")
	}
	var faults []error
	for _, cmp := range c.comparisons {
		if err := cmp.applies(measures); err != nil {
			faults = append(faults, fmt.Errorf("condition %q: %w", cmp.text, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	var found []Match
	for _, m := range measures {
		for _, cmp := range c.comparisons {
			if cmp.selects(m) && cmp.holds(m.Value) {
				found = append(found, Match{Measure: m, Comparison: cmp.text})
			}
		}
	}
	return found, nil
}

// CheckEach is Check that tells what is true although something else is not known: found are the measures for which a comparison
// surely holds, and err is what Check returns as such. A condition holds where any of its comparisons does.
func (c Condition) CheckEach(measures []Measure) (found []Match, err error) {
	if found, err = c.Check(measures); err == nil {
		return found, nil
	}
	for _, m := range measures {
		for _, cmp := range c.comparisons {
			if i := m.Interval; cmp.selects(m) && cmp.holds(m.Value) && !(i.Valid() && i.holds(0) && i.holds(cmp.limit)) {
				found = append(found, Match{Measure: m, Comparison: cmp.text})
			}
		}
	}
	return found, err
}

func (c comparison) selects(m Measure) bool {
	return m.Metric == c.metric && (c.engine == "" || m.Engine == c.engine)
}

func (c comparison) holds(v float64) bool {
	switch c.op {
	case "<":
		return v < c.limit
	case "<=":
		return v <= c.limit
	case ">":
		return v > c.limit
	default:
		return v >= c.limit
	}
}

func (c comparison) applies(measures []Measure) error {
	metrics, engines := map[string]struct{}{}, map[string]struct{}{}
	found := false
	for _, m := range measures {
		metrics[m.Metric] = struct{}{}
		if m.Metric != c.metric {
			continue
		}
		engines[m.Engine] = struct{}{}
		if !c.selects(m) {
			continue
		}
		found = true
		name := m.Metric + " of engine " + m.Engine
		if m.Where != "" {
			name += ", " + m.Where
		}
		switch i := m.Interval; {
		case math.IsNaN(m.Value) && m.Why != "":
			return fmt.Errorf("%s has no value: %s", name, m.Why)
		case math.IsNaN(m.Value):
			return fmt.Errorf("%s has no value", name)
		case i.Valid() && i.holds(0) && i.holds(c.limit):
			return fmt.Errorf("%s: its interval, %.3g to %.3g, leaves it open", name, i.Low, i.High)
		}
	}
	switch {
	case found:
		return nil
	case len(metrics) == 0:
		return errors.New("there are no measures to check")
	case len(engines) == 0:
		return fmt.Errorf("unknown metric %q; there are %s", c.metric, listed(metrics))
	default:
		return fmt.Errorf("unknown engine %q; %s was measured for %s", c.engine, c.metric, listed(engines))
	}
}

func listed(set map[string]struct{}) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

func splitOutsideBrackets(s string) []string {
	var parts []string
	start, inside := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '[':
			inside = true
		case s[i] == ']':
			inside = false
		case s[i] == ',' && !inside:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

const form = "want metric<number or metric[engine]>=number, as ndr<20k"

func parseComparison(s string) (comparison, error) {
	c := comparison{text: s}
	// The name ends at the operator or at the bracket, whichever is first: an engine's name may hold anything but ].
	end := strings.IndexAny(s, "[<>=!")
	if end < 0 {
		return c, fmt.Errorf("no comparison; %s", form)
	}
	c.metric = strings.TrimSpace(s[:end])
	if c.metric == "" {
		return c, fmt.Errorf("no metric; %s", form)
	}
	if strings.ContainsAny(c.metric, " \t]") {
		return c, fmt.Errorf("metric %q is not one word; %s", c.metric, form)
	}
	rest := s[end:]
	if rest[0] == '[' {
		name, after, ok := strings.Cut(rest[1:], "]")
		c.engine = strings.TrimSpace(name)
		if !ok || c.engine == "" {
			return c, fmt.Errorf("no engine between brackets; %s", form)
		}
		rest = strings.TrimSpace(after)
	}
	for _, op := range []string{"<=", ">=", "<", ">"} {
		if after, ok := strings.CutPrefix(rest, op); ok {
			limit, err := parseNumber(strings.TrimSpace(after))
			c.op, c.limit = op, limit
			return c, err
		}
	}
	return c, fmt.Errorf("the comparison must be one of < <= > >=; %s", form)
}

func parseNumber(s string) (float64, error) {
	digits, factor := s, 1.0
	if n := len(s); n > 0 {
		switch s[n-1] {
		case 'k':
			digits, factor = s[:n-1], 1e3
		case 'M':
			digits, factor = s[:n-1], 1e6
		case 'G':
			digits, factor = s[:n-1], 1e9
		case '%':
			digits, factor = s[:n-1], 0.01
		}
	}
	digits = strings.TrimSpace(digits)
	if digits == "" || strings.Trim(digits, "0123456789.eE+-") != "" {
		return 0, fmt.Errorf("%q is not a number; write 20000, 2e4, 20k, 1.5M, 2G or 0.5%%", s)
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err == nil {
		v *= factor
	}
	if err != nil || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a number; write 20000, 2e4, 20k, 1.5M, 2G or 0.5%%", s)
	}
	return v, nil
}
