package cli

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/validation"
)

// metricNames finds each metric of a condition that can be parsed, and what stands behind it in brackets.
var metricNames = regexp.MustCompile(`([^,\[<>=\s]+)\s*(?:\[([^\]]*)\])?\s*[<>]`)

// condition reads --fail-if, and refuses what no report of the model on such data can have. Classes may be spelled as labels are.
func (v *validated) condition(tables, captures bool) (*analysis.Condition, error) {
	if v.f.failIf == "" {
		return nil, nil
	}
	if _, err := analysis.ParseCondition(v.f.failIf); err != nil {
		return nil, usagef("--fail-if: %w", err)
	}
	relabel, err := v.f.relabel()
	if err != nil {
		return nil, err
	}
	var ofSets []string
	for _, m := range setMeasures(&validation.SetReport{}) {
		ofSets = append(ofSets, m.Metric)
	}
	given := map[string]bool{"tables": tables, "captures": captures}
	text, end := "", 0
	for _, at := range metricNames.FindAllStringSubmatchIndex(v.f.failIf, -1) {
		metric, name := v.f.failIf[at[2]:at[3]], ""
		if at[4] >= 0 {
			name = strings.TrimSpace(v.f.failIf[at[4]:at[5]])
		}
		switch {
		case slices.Contains(classMetrics, metric):
			if at[4] < 0 {
				break
			}
			class := name
			if !slices.Contains(v.classes, class) {
				if to, err := relabel(class); err == nil {
					class = to
				}
			}
			if !slices.Contains(v.classes, class) {
				return nil, usagef("--fail-if: %s[%s]: the model has no such class: there are %s", metric, name, strings.Join(v.classes, ", "))
			}
			text += v.f.failIf[end:at[4]] + class
			end = at[5]
		case !slices.Contains(ofSets, metric):
			return nil, usagef("--fail-if: unknown metric %q: there are %s; and, of a class in brackets, %s", metric, strings.Join(ofSets, ", "), strings.Join(classMetrics, ", "))
		case name != "" && name != "tables" && name != "captures":
			return nil, usagef("--fail-if: %s[%s]: it is of all vectors of tables or captures: %[1]s[tables] or %[1]s[captures]", metric, name)
		case name != "" && !given[name]:
			return nil, usagef("--fail-if: %s[%s]: no %[2]s were given", metric, name)
		case metric == perHourMetric && tables && name != "captures":
			if captures {
				return nil, usagef("--fail-if: %s: tables have no times: %[1]s[captures]", metric)
			}
			return nil, usagef("--fail-if: %s: tables have no times: give captures, or compare false_alarms", metric)
		}
	}
	c, err := analysis.ParseCondition(text + v.f.failIf[end:])
	if err != nil {
		return nil, usagef("--fail-if: %w", err)
	}
	for _, l := range c.Limits() {
		if !slices.Contains(countMetrics, l.Metric) && (l.Value > 1 || l.Value < -1) {
			if strings.HasSuffix(l.Comparison, "%") {
				return nil, usagef("--fail-if: %s: %s is at most 100%%", l.Comparison, l.Metric)
			}
			if math.Abs(l.Value) > 100 {
				return nil, usagef("--fail-if: %s: %s is at most 1", l.Comparison, l.Metric)
			}
			return nil, usagef("--fail-if: %s: %s is at most 1: write %g%% for %[3]g in a hundred", l.Comparison, l.Metric, l.Value)
		}
	}
	return &c, nil
}

// checked compares the report with a condition. What has no value is an error only where nothing else is true.
func (v *validated) checked(c *analysis.Condition) ([]analysis.Match, error) {
	found, err := c.CheckEach(v.measures())
	if err != nil { // engines are what a condition else speaks of
		err = fmt.Errorf("--fail-if: %s", strings.ReplaceAll(err.Error(), " of engine ", " of "))
		if len(found) > 0 {
			v.a.note("%v", err)
			err = nil
		}
	}
	return found, err
}

// countMetrics are those that are no shares.
var countMetrics = []string{"dropped", "false_alarms", perHourMetric}

var classMetrics = []string{"precision", "recall", "f1"}

// perHourMetric is what tables cannot have.
const perHourMetric = "false_alarms_per_hour"

// measures are what --fail-if compares: of each set but the reference, by its name, and of each class of it, by the class's.
func (v *validated) measures() []analysis.Measure {
	var list []analysis.Measure
	for i := range v.report.Sets {
		s := &v.report.Sets[i]
		if s.Reference {
			continue
		}
		list = append(list, setMeasures(s)...)
		for _, class := range s.Metrics.PerClass {
			value := func(metric string, v float64, defined bool, why string) {
				m := analysis.Measure{Engine: class.Class, Metric: metric, Where: s.Name, Value: v}
				if !defined {
					m.Value, m.Why = math.NaN(), why
				}
				list = append(list, m)
			}
			value("precision", class.Precision, class.Predicted > 0, "no vector was taken for it")
			value("recall", class.Recall, class.Support > 0, "no vector is of it")
			value("f1", class.F1, class.Present(), "no vector is of it or was taken for it")
		}
	}
	return list
}

// setMeasures are the measures of a set as a whole.
func setMeasures(s *validation.SetReport) []analysis.Measure {
	m := &s.Metrics
	list := []analysis.Measure{
		{Metric: "macro_f1", Value: m.Macro.F1},
		{Metric: "weighted_f1", Value: m.Weighted.F1},
		{Metric: "accuracy", Value: m.Accuracy},
		{Metric: "balanced_accuracy", Value: m.BalancedAccuracy},
		{Metric: "mcc", Value: m.MCC},
		{Metric: "kappa", Value: m.Kappa},
		{Metric: "dropped", Value: float64(s.Dropped)},
	}
	add := func(metric string, v float64, why string) {
		if why != "" {
			v = math.NaN()
		}
		list = append(list, analysis.Measure{Metric: metric, Value: v, Why: why})
	}
	var recall, detected, alarms, perHour float64
	noBenign, noAttack := "there are no benign vectors", "there are no vectors of attacks"
	if a := s.Alarms; a != nil {
		recall, detected, alarms = a.BenignRecall(), a.DetectionRate(), float64(a.FalseAlarms)
		if a.BenignRows > 0 {
			noBenign = ""
		}
		if a.AttackRows > 0 {
			noAttack = ""
		}
	}
	why := s.HoursWhy
	if s.FalseAlarmsPerHour != nil {
		perHour = *s.FalseAlarmsPerHour
	} else if why == "" {
		why = "not known"
	}
	add("benign_recall", recall, noBenign)
	add("false_alarms", alarms, noBenign)
	add(perHourMetric, perHour, why)
	add("detection_rate", detected, noAttack)
	for i := range list {
		list[i].Engine = s.Name
	}
	return list
}
