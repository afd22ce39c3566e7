// Package search finds the highest load that a system under test sustains
// under a loss goal, from trials that a caller measures.
//
// Search follows the definitions of MLRsearch, draft-ietf-bmwg-mlrsearch-15
// ("the draft" below): load classification, relevant bounds and conditional
// throughput. How it chooses loads is its own. BinarySearch is the bisection
// of RFC 2544 section 26.1.
//
// A load is a positive number whose unit (pps, bit/s) the package never needs
// to know; every load in a result has the unit of Config.Min and Config.Max.
package search

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// Goal is a Search Goal of the draft: what a load must meet to count as
// sustained. The zero value is not valid; start from NDR, PDR, RFC2544 or
// TST009.
type Goal struct {
	// Name labels the goal in results; ParseGoal sets its canonical spelling.
	Name string `json:"name"`
	// LossRatio in [0,1): a trial that lost more than this share is high-loss.
	LossRatio float64 `json:"loss_ratio"`
	// ExceedRatio in [0,1): the share of trial time that may be high-loss
	// while the load is still a lower bound.
	ExceedRatio float64 `json:"exceed_ratio"`
	// FinalTrialDuration is what a trial must last to be full-length.
	FinalTrialDuration time.Duration `json:"final_trial_duration_ns"`
	// DurationSum is how much full-length trial time settles a load.
	DurationSum time.Duration `json:"duration_sum_ns"`
	// InitialTrialDuration is that of the first trial at a load; 0 means
	// FinalTrialDuration, which it must not exceed.
	InitialTrialDuration time.Duration `json:"initial_trial_duration_ns"`
	// Width is the wanted distance of the bounds over the upper bound;
	// 0 means DefaultWidth. At least MinWidth, below 1.
	Width float64 `json:"width"`
}

const (
	// DefaultWidth is the relative Goal Width that a zero Width stands for.
	DefaultWidth = 0.005
	// MinWidth is the smallest Goal Width accepted.
	MinWidth = 1e-6
)

// NDR is the no-drop rate: no loss at all in at least half of 21 s of 1 s
// trials, to 0.5 %.
func NDR() Goal {
	return Goal{
		Name: "ndr", ExceedRatio: 0.5, Width: DefaultWidth,
		FinalTrialDuration: time.Second, DurationSum: 21 * time.Second, InitialTrialDuration: time.Second,
	}
}

// PDR is the partial-drop rate: as NDR, with a loss up to lossRatio allowed in
// a trial.
func PDR(lossRatio float64) Goal {
	g := NDR()
	g.LossRatio = lossRatio
	g.Name = "pdr:" + percent(lossRatio)
	return g
}

// RFC2544 is the throughput of RFC 2544 as a goal (the draft's "RFC2544
// goal"): no loss in any trial, trials of 60 s, one enough.
func RFC2544() Goal {
	return Goal{
		Name: "rfc2544", Width: DefaultWidth,
		FinalTrialDuration: time.Minute, DurationSum: time.Minute, InitialTrialDuration: time.Minute,
	}
}

// TST009 is binary search with loss verification of ETSI GS NFV-TST 009, as
// the draft translates it: no loss in one of two trials of 60 s.
func TST009() Goal {
	return Goal{
		Name: "tst009", ExceedRatio: 0.5, Width: DefaultWidth,
		FinalTrialDuration: time.Minute, DurationSum: 2 * time.Minute, InitialTrialDuration: time.Minute,
	}
}

// ParseGoal reads the command-line spelling of a goal:
//
//	ndr                no loss
//	pdr                loss up to 0.5 %
//	pdr:0.1%           loss up to 0.1 %; pdr:0.001 is the same
//	rfc2544            no loss in one trial of 60 s
//	tst009             no loss in one of two trials of 60 s
//
// followed by any of these, each after a colon: exceed=20%, trial=1s, sum=21s,
// initial=500ms, width=0.5%. As in ndr:sum=60s:exceed=0.
//
// What ndr and pdr leave open is taken from defaults, whose own Name and
// LossRatio are ignored; rfc2544 and tst009 take only Width from it. Zero
// durations and a zero width in defaults stand for those of NDR, and the zero
// Goal for all of NDR. The error joins every fault found.
func ParseGoal(s string, defaults Goal) (Goal, error) {
	base := NDR()
	if defaults != (Goal{}) {
		base.ExceedRatio = defaults.ExceedRatio
		if defaults.FinalTrialDuration != 0 {
			base.FinalTrialDuration = defaults.FinalTrialDuration
			base.InitialTrialDuration = defaults.FinalTrialDuration
		}
		if defaults.InitialTrialDuration != 0 {
			base.InitialTrialDuration = defaults.InitialTrialDuration
		}
		if defaults.DurationSum != 0 {
			base.DurationSum = defaults.DurationSum
		}
		if defaults.Width != 0 {
			base.Width = defaults.Width
		}
	}
	fields := strings.Split(strings.ToLower(strings.TrimSpace(s)), ":")
	var g Goal
	var errs []error
	kind, options := fields[0], fields[1:]
	switch kind {
	case "ndr":
		g = base
	case "pdr":
		g = base
		g.LossRatio = 0.005
		if len(options) > 0 && !strings.Contains(options[0], "=") {
			loss, err := parseRatio(options[0])
			if err == nil && loss == 0 {
				err = errors.New("a loss ratio of 0 is ndr")
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("loss ratio: %w", err))
			}
			g.LossRatio = loss
			options = options[1:]
		}
	case "rfc2544", "tst009":
		g = RFC2544()
		if kind == "tst009" {
			g = TST009()
		}
		g.Width = base.Width
	default:
		return Goal{}, fmt.Errorf("goal %q: unknown; want ndr, pdr, pdr:LOSS, rfc2544 or tst009", s)
	}
	initialGiven, trialGiven := false, false
	for _, option := range options {
		key, value, ok := strings.Cut(option, "=")
		var err error
		switch {
		case !ok:
			err = errors.New("want key=value")
		case key == "exceed":
			g.ExceedRatio, err = parseRatio(value)
		case key == "width":
			g.Width, err = parseRatio(value)
		case key == "trial":
			g.FinalTrialDuration, err = time.ParseDuration(value)
			trialGiven = true
		case key == "sum":
			g.DurationSum, err = time.ParseDuration(value)
		case key == "initial":
			g.InitialTrialDuration, err = time.ParseDuration(value)
			initialGiven = true
		default:
			err = errors.New("unknown option; want exceed, trial, sum, initial or width")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("option %q: %w", option, err))
		}
	}
	if trialGiven && !initialGiven {
		g.InitialTrialDuration = g.FinalTrialDuration
	}
	g.Name = kind
	if kind == "pdr" {
		g.Name += ":" + percent(g.LossRatio)
	}
	if len(options) > 0 {
		g.Name += ":" + strings.Join(options, ":")
	}
	if len(errs) == 0 {
		errs = append(errs, g.faults()...)
	}
	if len(errs) > 0 {
		return Goal{}, fmt.Errorf("goal %q: %w", s, errors.Join(errs...))
	}
	return g, nil
}

// ParseGoals reads goals separated by commas, as ParseGoal does each; a goal
// given twice is an error. The error joins every fault found.
func ParseGoals(s string, defaults Goal) ([]Goal, error) {
	var goals []Goal
	var errs []error
	seen := make(map[string]bool)
	for part := range strings.SplitSeq(s, ",") {
		g, err := ParseGoal(part, defaults)
		if err == nil && seen[g.Name] {
			err = fmt.Errorf("goal %q: given twice", g.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		seen[g.Name] = true
		goals = append(goals, g)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return goals, nil
}

// Validate reports every field that is out of its range, joined.
func (g Goal) Validate() error {
	if errs := g.faults(); len(errs) > 0 {
		return fmt.Errorf("goal %q: %w", g.Name, errors.Join(errs...))
	}
	return nil
}

func (g Goal) faults() []error {
	var errs []error
	if !(g.LossRatio >= 0 && g.LossRatio < 1) {
		errs = append(errs, fmt.Errorf("loss ratio %v: want at least 0, below 1", g.LossRatio))
	}
	if !(g.ExceedRatio >= 0 && g.ExceedRatio < 1) {
		errs = append(errs, fmt.Errorf("exceed ratio %v: want at least 0, below 1", g.ExceedRatio))
	}
	if g.FinalTrialDuration <= 0 {
		errs = append(errs, fmt.Errorf("final trial duration %v: want above 0", g.FinalTrialDuration))
	}
	if g.DurationSum <= 0 {
		errs = append(errs, fmt.Errorf("duration sum %v: want above 0", g.DurationSum))
	}
	if g.InitialTrialDuration < 0 || g.InitialTrialDuration > max(0, g.FinalTrialDuration) {
		errs = append(errs, fmt.Errorf("initial trial duration %v: want 0 to the final trial duration %v",
			g.InitialTrialDuration, g.FinalTrialDuration))
	}
	if g.Width != 0 && !(g.Width >= MinWidth && g.Width < 1) {
		errs = append(errs, fmt.Errorf("width %v: want %v to below 1, or 0 for %v", g.Width, MinWidth, DefaultWidth))
	}
	return errs
}

// filled returns g with the zero values that stand for defaults replaced.
func (g Goal) filled() Goal {
	if g.InitialTrialDuration == 0 {
		g.InitialTrialDuration = g.FinalTrialDuration
	}
	if g.Width == 0 {
		g.Width = DefaultWidth
	}
	return g
}

// parseRatio reads 0.005 or 0.5% to the float64 nearest the decimal.
func parseRatio(s string) (float64, error) {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(s), "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, fmt.Errorf("%q: want a ratio as 0.005 or 0.5%%", s)
	}
	if !isPercent {
		return x, nil
	}
	r := decimal(x)
	x, _ = r.Quo(r, big.NewRat(100, 1)).Float64()
	return x, nil
}

func percent(ratio float64) string {
	if math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return strconv.FormatFloat(ratio, 'g', -1, 64)
	}
	r := decimal(ratio)
	x, _ := r.Mul(r, big.NewRat(100, 1)).Float64()
	return strconv.FormatFloat(x, 'g', -1, 64) + "%"
}

// decimal is the shortest decimal that reads back as x: 1/5 for 0.2, which no
// float64 holds. x must be finite.
func decimal(x float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(x, 'g', -1, 64))
	return r
}
