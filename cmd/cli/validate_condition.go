package cli

import (
	"math"

	"pcaplab/analysis"
	"pcaplab/analysis/validation"
)

// condition reads --fail-if, and refuses what no report of the model can have.
func (v *validated) condition() (*analysis.Condition, error) {
	if v.f.failIf == "" {
		return nil, nil
	}
	c, err := analysis.ParseCondition(v.f.failIf)
	if err != nil {
		return nil, usagef("--fail-if: %w", err)
	}
	var planned []analysis.Measure
	for _, set := range []string{"tables", "captures"} {
		s := validation.SetReport{Name: set}
		for _, m := range setMeasures(&s) {
			m.Value, m.Why = 0, ""
			planned = append(planned, m)
		}
	}
	for _, class := range v.classes {
		for _, metric := range classMetrics {
			planned = append(planned, analysis.Measure{Engine: class, Metric: metric})
		}
	}
	if _, err := c.Check(planned); err != nil {
		return nil, usagef("--fail-if: %w (in brackets stands tables or captures, or a class)", err)
	}
	return &c, nil
}

var classMetrics = []string{"precision", "recall", "f1"}

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
	add("false_alarms_per_hour", perHour, why)
	add("detection_rate", detected, noAttack)
	for i := range list {
		list[i].Engine = s.Name
	}
	return list
}
