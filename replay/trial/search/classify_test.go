package search

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// frames is how many a trial of the tests intends, so that every loss ratio in
// them is a whole count.
const frames = 1_000_000

func trialOf(d time.Duration, loss float64) Trial {
	return Trial{Load: 1e6, Duration: d, Intended: frames, Lost: uint64(math.Round(loss * frames))}
}

func times(n int, t Trial) []Trial { return slices.Repeat([]Trial{t}, n) }

// The example search in the appendix of draft-ietf-bmwg-mlrsearch-15. The two
// last classes of the last goal are printed there as lower bounds, which the
// exceed ratios printed beside them contradict.
func TestClassifyDraftExample(t *testing.T) {
	steps := [][]Trial{
		times(59, trialOf(time.Second, 0)),
		times(1, trialOf(time.Second, 0.01)),
		times(59, trialOf(time.Second, 0.01)),
		times(1, trialOf(time.Second, 0)),
		times(1, trialOf(time.Minute, 0.001)),
		times(1, trialOf(time.Minute, 0)),
	}
	type cell struct {
		class                   Class
		optimistic, pessimistic string
	}
	oneSecond := Goal{LossRatio: 0.005, ExceedRatio: 0.5, FinalTrialDuration: time.Second, DurationSum: 2 * time.Minute}
	twentyPercent := Goal{LossRatio: 0.005, ExceedRatio: 0.2, FinalTrialDuration: time.Minute, DurationSum: time.Minute}
	for _, row := range []struct {
		name       string
		goal       Goal
		cells      [6]cell
		throughput float64
	}{
		{"RFC2544", RFC2544(), [6]cell{
			{Undecided, "0", "100"}, {Upper, "1.667", "100"}, {Upper, "100", "100"},
			{Upper, "100", "100"}, {Upper, "100", "100"}, {Upper, "66.667", "66.667"}}, 999_000},
		{"TST009", TST009(), [6]cell{
			{Undecided, "0", "100"}, {Undecided, "0", "100"}, {Undecided, "0.833", "100"},
			{Undecided, "0", "100"}, {Undecided, "50", "100"}, {Lower, "50", "50"}}, 1_000_000},
		{"1s final", oneSecond, [6]cell{
			{Undecided, "0", "50.833"}, {Undecided, "0.833", "50.833"}, {Undecided, "50", "50.833"},
			{Lower, "50", "50"}, {Lower, "33.333", "33.333"}, {Lower, "25", "25"}}, 1_000_000},
		{"20% exceed", twentyPercent, [6]cell{
			{Undecided, "0", "100"}, {Undecided, "0", "100"}, {Upper, "75.417", "100"},
			{Upper, "75", "100"}, {Upper, "42.857", "42.857"}, {Upper, "27.273", "27.273"}}, 999_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			var trials []Trial
			for i, step := range steps {
				trials = append(trials, step...)
				c := Classify(row.goal, trials)
				got := cell{c.Class, percent3(c.Optimistic), percent3(c.Pessimistic)}
				if got != row.cells[i] {
					t.Errorf("step %d: got %v, want %v", i+1, got, row.cells[i])
				}
			}
			if got := ConditionalThroughput(row.goal, 1e6, trials); got != row.throughput {
				t.Errorf("conditional throughput: got %v, want %v", got, row.throughput)
			}
		})
	}
}

// percent3 prints a ratio as the draft does: percent to three places, zeros cut.
func percent3(ratio float64) string {
	return fmt.Sprint(math.Round(ratio*1e5) / 1e3)
}

func TestConditionalThroughput(t *testing.T) {
	var rising []Trial
	for i := range 11 {
		rising = append(rising, trialOf(time.Second, float64(i)*0.0001))
	}
	long := Trial{Duration: 2 * time.Second, Effective: 11 * time.Second, Intended: frames}
	for _, row := range []struct {
		name   string
		goal   Goal
		trials []Trial
		want   float64
	}{
		{"early lower bound of 11 trials", PDR(0.005), rising, 999_000},
		{"ten trials do not reach half the sum", PDR(0.005), rising[:10], 0},
		{"no trial", NDR(), nil, 0},
		{"short trials do not count", RFC2544(), times(100, trialOf(time.Second, 0)), 0},
		{"effective duration counts, not duration", NDR(), []Trial{long}, 1_000_000},
		{"order of measurement does not matter", PDR(0.005), []Trial{
			rising[10], rising[0], rising[9], rising[1], rising[8], rising[2], rising[7], rising[3], rising[6],
			rising[4], rising[5]}, 999_000},
	} {
		if got := ConditionalThroughput(row.goal, 1e6, row.trials); got != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}

func TestClassifyEdges(t *testing.T) {
	good, bad := trialOf(time.Second, 0), trialOf(time.Second, 0.01)
	mix := func(low, high int) []Trial { return append(times(low, good), times(high, bad)...) }
	goal := func(loss, exceed float64, sum time.Duration) Goal {
		return Goal{LossRatio: loss, ExceedRatio: exceed, FinalTrialDuration: time.Second, DurationSum: sum}
	}
	shortGood, shortBad := trialOf(time.Second/2, 0), trialOf(time.Second/2, 0.01)
	for _, row := range []struct {
		name   string
		goal   Goal
		trials []Trial
		want   Class
	}{
		{"no trial", NDR(), nil, Undecided},
		{"11 of 21 low", NDR(), mix(11, 0), Lower},
		{"10 of 21 low", NDR(), mix(10, 10), Undecided},
		{"11 of 21 high", NDR(), mix(10, 11), Upper},
		{"tie at one half", goal(0, 0.5, 20*time.Second), mix(10, 10), Lower},
		{"tie at one half, half measured", goal(0, 0.5, 20*time.Second), mix(10, 0), Lower},
		{"tie at 0.1, which no float64 holds", goal(0, 0.1, 10*time.Second), mix(9, 1), Lower},
		{"tie at 0.3, as sums of floats miss it", goal(0, 0.3, 10*time.Second), mix(7, 3), Lower},
		{"one above the tie at 0.3", goal(0, 0.3, 10*time.Second), mix(0, 4), Upper},
		{"tie at the loss ratio is low-loss", goal(0.01, 0, time.Second), mix(0, 1), Lower},
		{"one frame above the loss ratio", goal(0.009999, 0, time.Second), mix(0, 1), Upper},
		{"exceed 0, full and lossless", goal(0, 0, 3*time.Second), mix(3, 0), Lower},
		{"exceed 0, one lossy", goal(0, 0, 3*time.Second), mix(2, 1), Upper},
		{"exceed 0, one lossy among many", goal(0, 0, 3*time.Second), mix(500, 1), Upper},
		{"short lossless trials never prove", goal(0, 0.5, 3*time.Second), times(100, shortGood), Undecided},
		{"short lossy trials disprove", goal(0, 0.5, 3*time.Second), times(4, shortBad), Upper},
		{"short ones balance", goal(0, 0.5, 3*time.Second), append(times(9, shortBad), times(9, shortGood)...), Undecided},
		{"upper bound taken back by short low-loss trials", goal(0, 0.5, 3*time.Second),
			append(times(4, shortBad), times(2, shortGood)...), Undecided},
		{"upper bound turned lower by later trials", goal(0, 0.5, 3*time.Second), mix(2, 2), Lower},
	} {
		if got := Classify(row.goal, row.trials); got.Class != row.want {
			t.Errorf("%s: got %v, want %v", row.name, got, row.want)
		}
	}
}

func TestTrialLossRatio(t *testing.T) {
	for _, row := range []struct {
		name       string
		intended   uint64
		lost       uint64
		want       float64
		impossible bool
	}{
		{"none", 10, 0, 0, false},
		{"some", 1000, 5, 0.005, false},
		{"all", 10, 10, 1, false},
		{"more than all", 10, 11, 1, true},
		{"less than none", 10, ^uint64(0), 0, true},
		{"nothing intended", 0, 0, 1, false},
	} {
		trial := Trial{Load: 100, Intended: row.intended, Lost: row.lost}
		if got := trial.LossRatio(); got != row.want || trial.Impossible() != row.impossible {
			t.Errorf("%s: got %v, impossible %v", row.name, got, trial.Impossible())
		}
		if got := trial.ForwardingRate(); got != 100*(1-row.want) {
			t.Errorf("%s: forwarding rate %v", row.name, got)
		}
	}
}

// naive classifies by the words of the draft, in fractions, over the trial list.
func naive(g Goal, trials []Trial) (Class, *big.Rat, *big.Rat) {
	rat := func(d time.Duration) *big.Rat { return new(big.Rat).SetInt64(int64(d)) }
	one := big.NewRat(1, 1)
	exceed, loss := decimal(g.ExceedRatio), decimal(g.LossRatio)
	fullLow, fullHigh, shortLow, shortHigh := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
	for _, trial := range trials {
		lost := new(big.Int).SetUint64(trial.Lost)
		if trial.Lost > math.MaxInt64 {
			lost.SetInt64(0)
		}
		ratio := new(big.Rat).SetFrac(lost, new(big.Int).SetUint64(trial.Intended))
		sum := fullLow
		switch high, short := ratio.Cmp(loss) > 0, trial.Duration < g.FinalTrialDuration; {
		case high && short:
			sum = shortHigh
		case high:
			sum = fullHigh
		case short:
			sum = shortLow
		}
		sum.Add(sum, rat(trial.Effective))
	}
	balance := new(big.Rat).Quo(exceed, new(big.Rat).Sub(one, exceed))
	excess := new(big.Rat).Sub(shortHigh, balance.Mul(balance, shortLow))
	if excess.Sign() < 0 {
		excess = new(big.Rat)
	}
	effectiveHigh := new(big.Rat).Add(fullHigh, excess)
	whole := new(big.Rat).Add(fullLow, effectiveHigh)
	if sum := rat(g.DurationSum); whole.Cmp(sum) < 0 {
		whole = sum
	}
	optimistic := new(big.Rat).Quo(effectiveHigh, whole)
	pessimistic := new(big.Rat).Quo(new(big.Rat).Sub(whole, fullLow), whole)
	switch {
	case optimistic.Cmp(exceed) > 0:
		return Upper, optimistic, pessimistic
	case pessimistic.Cmp(exceed) <= 0:
		return Lower, optimistic, pessimistic
	}
	return Undecided, optimistic, pessimistic
}

func TestClassifyEqualsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var seen [3]int
	for range 4000 {
		g := Goal{
			LossRatio:          []float64{0, 0.005, 0.001, 0.1}[rng.IntN(4)],
			ExceedRatio:        []float64{0, 0.005, 0.1, 0.2, 0.3, 0.5, 0.7}[rng.IntN(7)],
			FinalTrialDuration: time.Duration(1+rng.IntN(3)) * time.Second,
			DurationSum:        time.Duration(1+rng.IntN(20)) * time.Second,
		}
		exceed := decimal(g.ExceedRatio)
		var incremental tally
		var trials []Trial
		for range rng.IntN(30) {
			trial := Trial{
				Duration: time.Duration(1+rng.IntN(3)) * time.Second,
				Intended: 1000 * uint64(1+rng.IntN(4)),
			}
			trial.Effective = trial.Duration + time.Duration(rng.IntN(2)*rng.IntN(1e9))
			trial.Lost = []uint64{0, 1, 4, 5, 6, 20, 100, 101}[rng.IntN(8)] * uint64(rng.IntN(2))
			trials = append(trials, trial)
			incremental.add(&g, trial)

			got := incremental.classify(exceed, g.DurationSum)
			class, optimistic, pessimistic := naive(g, trials)
			o, _ := optimistic.Float64()
			p, _ := pessimistic.Float64()
			if want := (Classification{class, o, p}); got != want {
				t.Fatalf("goal %+v, trials %+v: got %v, want %v", g, trials, got, want)
			}
			seen[class]++

			// What the search steers by must agree with what is decided.
			if high := incremental.leansHigh(exceed); got.Class == Upper && !high || got.Class == Lower && high {
				t.Fatalf("goal %+v, trials %+v: %v leans high: %v", g, trials, got, high)
			}
		}
	}
	for class, n := range seen {
		if n < 1000 {
			t.Errorf("only %d lists were %v: the test is weak", n, Class(class))
		}
	}
}

func TestClassText(t *testing.T) {
	for _, c := range []Class{Undecided, Lower, Upper} {
		text, err := json.Marshal(c)
		var back Class
		if err != nil || json.Unmarshal(text, &back) != nil || back != c {
			t.Errorf("%v: %s, %v, back %v", c, text, err, back)
		}
	}
	if _, err := Class(9).MarshalText(); err == nil {
		t.Error("class 9 encoded")
	}
	if err := new(Class).UnmarshalText([]byte("middle")); err == nil {
		t.Error("class middle decoded")
	}
}
