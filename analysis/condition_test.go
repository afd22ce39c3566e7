package analysis

import (
	"math"
	"strings"
	"testing"
)

var measures = []Measure{
	{Engine: "direct", Metric: "ndr", Where: "64 B", Value: 12e6},
	{Engine: "direct", Metric: "ndr", Where: "1518 B", Value: 11e6},
	{Engine: "gopacket, eager", Metric: "ndr", Where: "64 B", Value: 18e3},
	{Engine: "direct", Metric: "pdr:0.5%", Value: 13e6},
	{Engine: "direct", Metric: "loss", Value: 0.004},
	{Engine: "direct", Metric: "cost", Value: math.NaN()},
	{Engine: "direct", Metric: "cpu", Where: "64 B", Value: math.NaN(), Why: "the kernel does not tell"},
	{Engine: "fell", Metric: "soak", Value: -0.06, Interval: Interval{Low: -0.1, High: -0.01, Coverage: 0.98}},
	{Engine: "same", Metric: "soak", Value: 0.01, Interval: Interval{Low: -0.03, High: 0.02, Coverage: 0.98}},
	{Engine: "rose", Metric: "soak", Value: 0.06, Interval: Interval{Low: 0.01, High: 0.1, Coverage: 0.98}},
	{Engine: "noisy", Metric: "soak", Where: "64 B", Value: -0.06, Interval: Interval{Low: -0.2, High: 0.1, Coverage: 0.98}},
}

func TestCondition(t *testing.T) {
	tests := []struct {
		name, condition string
		matches         []string
		err             string // part of the error of ParseCondition or Check
	}{
		{"none holds", "ndr<10k", nil, ""},
		{"any engine", "ndr<20000", []string{"ndr[gopacket, eager] (64 B) is 18000: ndr<20000"}, ""},
		{"one engine", "ndr[direct]<20k", nil, ""},
		{"one engine, one of its rows", "ndr[direct]<11.5M",
			[]string{"ndr[direct] (1518 B) is 1.1e+07: ndr[direct]<11.5M"}, ""},
		{"an engine's name with a comma", "ndr[gopacket, eager]<1e5",
			[]string{"ndr[gopacket, eager] (64 B) is 18000: ndr[gopacket, eager]<1e5"}, ""},
		{"a metric with its goal", "pdr:0.5%>=13M", []string{"pdr:0.5%[direct] is 1.3e+07: pdr:0.5%>=13M"}, ""},
		{"a limit in percent", "loss<=0.4%", []string{"loss[direct] is 0.004: loss<=0.4%"}, ""},
		{"equal is not less", "loss<0.4%", nil, ""},
		{"equal is not more", "loss > 0.4%", nil, ""},
		{"the second holds", " ndr<1 , ndr [direct] > 0.0115G ",
			[]string{"ndr[direct] (64 B) is 1.2e+07: ndr [direct] > 0.0115G"}, ""},
		{"both hold", "ndr<20k,ndr<20001", []string{
			"ndr[gopacket, eager] (64 B) is 18000: ndr<20k", "ndr[gopacket, eager] (64 B) is 18000: ndr<20001"}, ""},
		{"negative limits", "loss>-1", []string{"loss[direct] is 0.004: loss>-1"}, ""},

		// An interval that holds 0 and the limit leaves a comparison open, whatever the value says.
		{"a fall that is one", "soak[fell]<-5%", []string{"soak[fell] is -0.06: soak[fell]<-5%"}, ""},
		{"a fall that is less", "soak[fell]<-8%", nil, ""},
		{"a fall at all", "soak[fell]<0", []string{"soak[fell] is -0.06: soak[fell]<0"}, ""},
		{"no fall", "soak[same]<-5%", nil, ""},
		{"no fall, asked for", "soak[same]>-5%", []string{"soak[same] is 0.01: soak[same]>-5%"}, ""},
		{"no fall, a limit within the spread", "soak[same]<-2%", nil, "soak of engine same: its interval, -0.03 to 0.02, leaves it open"},
		{"a rise is no fall", "soak[rose]<-5%", nil, ""},
		{"a rise", "soak[rose]>5%", []string{"soak[rose] is 0.06: soak[rose]>5%"}, ""},
		{"spread", "soak[noisy]<-5%", nil, "soak of engine noisy, 64 B: its interval, -0.2 to 0.1, leaves it open"},
		{"spread, the other way", "soak[noisy]>=-5%", nil, "leaves it open"},
		{"spread, a limit at its end", "soak[noisy]<-20%", nil, "leaves it open"},
		{"spread, a limit beyond it", "soak[noisy]<-25%", nil, ""},
		{"one of many is open", "soak<-5%", nil, "engine noisy"},
		{"no value, and why", "cpu>1", nil, "cpu of engine direct, 64 B has no value: the kernel does not tell"},

		{"unknown metric", "nrd<20k", nil, `unknown metric "nrd"; there are cost, cpu, loss, ndr, pdr:0.5%, soak`},
		{"metrics mind case", "NDR<20k", nil, `unknown metric "NDR"`},
		{"unknown engine", "ndr[dircet]<20k", nil, `unknown engine "dircet"; ndr was measured for direct, gopacket, eager`},
		{"engine without this metric", "loss[gopacket, eager]<1", nil, "loss was measured for direct"},
		{"one of two unknown", "ndr<1,nrd<1", nil, `unknown metric "nrd"`},
		{"no value", "cost>250", nil, "cost of engine direct has no value"},
		{"empty", "", nil, "no comparison"},
		{"empty part", "ndr<1,", nil, "no comparison"},
		{"no operator", "ndr", nil, "no comparison"},
		{"no metric", "<5", nil, "no metric"},
		{"two words", "n dr<5", nil, "not one word"},
		{"equality is not offered", "ndr=5", nil, "must be one of"},
		{"inequality neither", "ndr!=5", nil, "must be one of"},
		{"operator turned", "ndr=<5", nil, "must be one of"},
		{"bracket open", "ndr[direct<5", nil, "no engine between brackets"},
		{"bracket empty", "ndr[]<5", nil, "no engine between brackets"},
		{"bracket alone", "ndr[direct]", nil, "must be one of"},
		{"no number", "ndr<", nil, "is not a number"},
		{"prefix alone", "ndr<k", nil, "is not a number"},
		{"unknown prefix", "ndr<20K", nil, "is not a number"},
		{"unit", "ndr<20kpps", nil, "is not a number"},
		{"not a number", "ndr<nan", nil, "is not a number"},
		{"infinite", "ndr<inf", nil, "is not a number"},
		{"too large", "ndr<1e999", nil, "is not a number"},
		{"too large with its prefix", "ndr<1e308k", nil, "is not a number"},
		{"hexadecimal", "ndr<0x10", nil, "is not a number"},
		{"two operators", "ndr<<5", nil, "is not a number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseCondition(tt.condition)
			var found []Match
			if err == nil {
				found, err = c.Check(measures)
			}
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(found) != len(tt.matches) {
				t.Fatalf("matches %v, want %q", found, tt.matches)
			}
			for i, m := range found {
				if m.String() != tt.matches[i] {
					t.Errorf("match %q, want %q", m, tt.matches[i])
				}
			}
		})
	}
}

func TestConditionSaysAllFaults(t *testing.T) {
	_, err := ParseCondition("ndr<x,loss?,cost>5")
	if err == nil || !strings.Contains(err.Error(), `"ndr<x"`) || !strings.Contains(err.Error(), `"loss?"`) {
		t.Errorf("error %v, want both faults", err)
	}
}

func TestConditionWithoutMeasures(t *testing.T) {
	c, err := ParseCondition("ndr<1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Check(nil); err == nil {
		t.Error("a condition on nothing passed")
	}
	if _, err := (Condition{}).Check(measures); err == nil {
		t.Error("an empty condition passed")
	}
}

// TestCheckEach: what is true is told although something else has no value, or is left open.
func TestCheckEach(t *testing.T) {
	some := []Measure{{Engine: "a", Metric: "recall", Value: 0.5}, {Engine: "b", Metric: "recall", Value: math.NaN(), Why: "no vector is of it"},
		{Engine: "a", Metric: "soak", Value: -0.2, Interval: Interval{Low: -0.4, High: 0.1, Coverage: 0.95}}}
	for text, want := range map[string]struct {
		found int
		fault string
	}{
		"recall<0.9": {1, "no vector is of it"}, "recall<0.1": {0, "no vector is of it"}, "recall[a]<0.9": {1, ""}, "recall[a]<0.1": {0, ""},
		"soak<-0.1": {0, "leaves it open"}, "recall[a]<0.9, soak<-0.1": {1, "leaves it open"}, "recall[a]<0.9, nothing>1": {1, "unknown metric"},
	} {
		c, err := ParseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.CheckEach(some)
		if len(found) != want.found || (err == nil) != (want.fault == "") || err != nil && !strings.Contains(err.Error(), want.fault) {
			t.Errorf("%s: %v, %v", text, found, err)
		}
	}
}

func FuzzParseCondition(f *testing.F) {
	for _, s := range []string{"ndr<20k", "pdr[direct]>=1e6, cost>250", "a[b,c]<=-.5%", "[", "a[]]<1", "x<1e999", ",", "é<1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCondition(s)
		if err != nil {
			return
		}
		again, err := ParseCondition(c.String())
		if err != nil {
			t.Fatalf("%q was parsed, its text %q not: %v", s, c, err)
		}
		if again.String() != c.String() || len(again.comparisons) != len(c.comparisons) {
			t.Fatalf("%q: text %q, then %q", s, c, again)
		}
		for i, cmp := range c.comparisons {
			if again.comparisons[i] != cmp {
				t.Fatalf("%q: %+v, then %+v", s, cmp, again.comparisons[i])
			}
			if cmp.metric == "" || math.IsNaN(cmp.limit) || math.IsInf(cmp.limit, 0) {
				t.Fatalf("%q: %+v", s, cmp)
			}
		}
	})
}
