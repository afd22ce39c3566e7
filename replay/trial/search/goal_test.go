package search

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseGoal(t *testing.T) {
	quick := NDR()
	quick.FinalTrialDuration, quick.DurationSum, quick.Width = time.Second/10, 2100*time.Millisecond, 0.02
	quick.InitialTrialDuration = quick.FinalTrialDuration
	named := func(g Goal, name string) Goal { g.Name = name; return g }
	pdrQuick := named(quick, "pdr:0.5%")
	pdrQuick.LossRatio = 0.005
	rfcWide := RFC2544()
	rfcWide.Width = 0.02
	long := named(NDR(), "ndr:sum=60s:trial=60s:exceed=20%")
	long.FinalTrialDuration, long.InitialTrialDuration, long.DurationSum = time.Minute, time.Minute, time.Minute
	long.ExceedRatio = 0.2
	stepped := named(NDR(), "ndr:trial=2s:initial=500ms:width=1%")
	stepped.FinalTrialDuration, stepped.InitialTrialDuration = 2*time.Second, time.Second/2
	stepped.Width = 0.01
	for _, row := range []struct {
		in       string
		defaults Goal
		want     Goal
	}{
		{"ndr", Goal{}, NDR()},
		{"NDR ", Goal{}, NDR()},
		{"pdr", Goal{}, PDR(0.005)},
		{"pdr:0.5%", Goal{}, PDR(0.005)},
		{"pdr:0.005", Goal{}, PDR(0.005)},
		{"pdr:0.1%", Goal{}, PDR(0.001)},
		{"pdr:0.001", Goal{}, named(PDR(0.001), "pdr:0.1%")},
		{"pdr:7e-3%", Goal{}, named(PDR(0.00007), "pdr:0.007%")},
		{"rfc2544", Goal{}, RFC2544()},
		{"tst009", Goal{}, TST009()},
		{"ndr", quick, named(quick, "ndr")},
		{"pdr", quick, pdrQuick},
		{"rfc2544", quick, rfcWide},
		{"ndr:sum=60s:trial=60s:exceed=20%", Goal{}, long},
		{"ndr:trial=2s:initial=500ms:width=1%", Goal{}, stepped},
	} {
		got, err := ParseGoal(row.in, row.defaults)
		if err != nil || got != row.want {
			t.Errorf("%q: got %+v, %v; want %+v", row.in, got, err, row.want)
			continue
		}
		if again, err := ParseGoal(got.Name, row.defaults); err != nil || again != got {
			t.Errorf("%q: name %q reads back as %+v, %v", row.in, got.Name, again, err)
		}
	}
}

func TestParseGoalRefuses(t *testing.T) {
	for _, row := range []struct {
		in   string
		want []string // all in the one error
	}{
		{"", []string{"unknown"}},
		{"mrr", []string{`"mrr"`, "unknown", "rfc2544"}},
		{"ndr:0.5%", []string{"key=value"}},
		{"pdr:0", []string{"ndr"}},
		{"pdr:1", []string{"below 1"}},
		{"pdr:-0.1", []string{"at least 0"}},
		{"pdr:NaN", []string{"want a ratio"}},
		{"pdr:Inf%", []string{"want a ratio"}},
		{"pdr:x:sum=y:colour=red", []string{`"x"`, `"y"`, "colour"}},
		{"ndr:exceed=1:trial=-1s:sum=0s:width=2", []string{"exceed", "final trial", "duration sum", "width"}},
		{"ndr:initial=2s", []string{"initial trial duration 2s"}},
		{"ndr:width=1e-9", []string{"width"}},
	} {
		g, err := ParseGoal(row.in, Goal{})
		if err == nil || g != (Goal{}) {
			t.Errorf("%q: got %+v, %v", row.in, g, err)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %q lacks %q", row.in, err, want)
			}
		}
	}
}

func TestParseGoals(t *testing.T) {
	goals, err := ParseGoals("ndr, pdr:0.5%,tst009", Goal{})
	if err != nil || len(goals) != 3 || goals[0] != NDR() || goals[1] != PDR(0.005) || goals[2] != TST009() {
		t.Errorf("got %+v, %v", goals, err)
	}
	_, err = ParseGoals("ndr,ndr,foo,pdr:2", Goal{})
	for _, want := range []string{"twice", "foo", "loss ratio 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func TestGoalValidate(t *testing.T) {
	for _, g := range []Goal{NDR(), PDR(0.005), RFC2544(), TST009()} {
		if err := g.Validate(); err != nil {
			t.Error(err)
		}
	}
	nan := math.NaN()
	err := Goal{Name: "bad", LossRatio: nan, ExceedRatio: nan, Width: nan, InitialTrialDuration: -1}.Validate()
	for _, want := range []string{`"bad"`, "loss ratio", "exceed ratio", "final trial", "duration sum", "initial", "width"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}
