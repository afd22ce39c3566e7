package search

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"
)

// Trial is the outcome of one trial: the Trial Output of the draft.
type Trial struct {
	// Load is the intended load.
	Load float64 `json:"load"`
	// Duration is the intended trial duration.
	Duration time.Duration `json:"duration_ns"`
	// Effective is the time the trial counts for, the draft's Trial Effective
	// Duration; 0 means Duration.
	Effective time.Duration `json:"effective_ns"`
	// Intended and Lost are frames: those that were to be sent, and those of
	// them that were not both sent and received.
	Intended uint64 `json:"intended"`
	Lost     uint64 `json:"lost"`
	// Order is the place of the trial in its search, from 1; Search sets it.
	Order int `json:"order"`
}

// LossRatio is Lost over Intended, kept within [0,1]. A Lost of 2^63 or more is
// a difference that went below zero (more frames came than were sent) and
// reads as 0. With nothing intended the ratio is 1.
func (t Trial) LossRatio() float64 {
	switch {
	case t.Lost > math.MaxInt64:
		return 0
	case t.Intended == 0 || t.Lost >= t.Intended:
		return 1
	}
	return float64(t.Lost) / float64(t.Intended)
}

// Impossible reports whether LossRatio had to clamp: more was lost than
// intended, or less than nothing.
func (t Trial) Impossible() bool { return t.Lost > t.Intended }

// ForwardingRate is the load that got through, Load x (1 - LossRatio).
func (t Trial) ForwardingRate() float64 { return float64(t.Load * (1 - t.LossRatio())) }

func (t Trial) effective() time.Duration {
	if t.Effective == 0 {
		return t.Duration
	}
	return t.Effective
}

// Class is the Load Classification of one load for one goal.
type Class uint8

const (
	// Undecided is a load whose trials so far allow both other classes.
	Undecided Class = iota
	// Lower is a load that meets the goal whatever further trials, up to the
	// duration sum, would show.
	Lower
	// Upper is a load that misses the goal whatever they would show.
	Upper
)

var classNames = [...]string{"undecided", "lower", "upper"}

// String returns undecided, lower or upper.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// MarshalText encodes the class as String names it.
func (c Class) MarshalText() ([]byte, error) {
	if int(c) >= len(classNames) {
		return nil, fmt.Errorf("%v is not a class", c)
	}
	return []byte(c.String()), nil
}

// UnmarshalText decodes what MarshalText wrote.
func (c *Class) UnmarshalText(text []byte) error {
	i := slices.Index(classNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("class %q: want undecided, lower or upper", text)
	}
	*c = Class(i)
	return nil
}

// Classification says what the trials at one load mean for one goal.
type Classification struct {
	Class Class `json:"class"`
	// Optimistic and Pessimistic are the exceed ratios in [0,1] if the trial
	// time that is missing from the duration sum were all low-loss, or all
	// high-loss.
	Optimistic  float64 `json:"optimistic_exceed"`
	Pessimistic float64 `json:"pessimistic_exceed"`
}

// tally sums the effective durations of the trials at one load for one goal, by
// length (full or short of the final trial duration) and loss (low or high).
type tally struct {
	fullLow, fullHigh, shortLow, shortHigh time.Duration
}

func (s *tally) add(g *Goal, t Trial) {
	// A quotient of two counts rounds to the goal's own float64 exactly when it
	// equals the decimal that was written for the goal: ties are low-loss.
	high := t.LossRatio() > g.LossRatio
	full := t.Duration >= g.FinalTrialDuration
	sum := &s.shortLow
	switch {
	case full && high:
		sum = &s.fullHigh
	case full:
		sum = &s.fullLow
	case high:
		sum = &s.shortHigh
	}
	*sum += t.effective()
}

// weighed is a tally against an exceed ratio E = num/den: durations times
// (den-num), so that all are integers and ties are exact.
type weighed struct {
	num, den           *big.Int
	low, high, missing *big.Int // full-length low-loss, effective high-loss, and what the duration sum lacks
}

// weigh applies the draft's load classification: short high-loss trials count
// as high-loss only as far as short low-loss trials do not balance them, and
// short low-loss trials prove nothing.
func (s *tally) weigh(exceed *big.Rat, durationSum time.Duration) weighed {
	num, den := exceed.Num(), exceed.Denom()
	keep := new(big.Int).Sub(den, num)
	scale := func(d time.Duration, by *big.Int) *big.Int { return new(big.Int).Mul(big.NewInt(int64(d)), by) }
	w := weighed{num: num, den: den, low: scale(s.fullLow, keep), high: scale(s.fullHigh, keep)}
	if unbalanced := scale(s.shortHigh, keep); unbalanced.Cmp(scale(s.shortLow, num)) > 0 {
		w.high.Add(w.high, unbalanced.Sub(unbalanced, scale(s.shortLow, num)))
	}
	w.missing = scale(durationSum, keep)
	w.missing.Sub(w.missing, w.low)
	w.missing.Sub(w.missing, w.high)
	if w.missing.Sign() < 0 {
		w.missing.SetInt64(0)
	}
	return w
}

// beyond compares part/whole with the exceed ratio.
func (w weighed) beyond(part, whole *big.Int) bool {
	l, r := new(big.Int).Mul(part, w.den), new(big.Int).Mul(whole, w.num)
	return l.Cmp(r) > 0
}

func (s *tally) classify(exceed *big.Rat, durationSum time.Duration) Classification {
	w := s.weigh(exceed, durationSum)
	bad := new(big.Int).Add(w.high, w.missing)
	whole := new(big.Int).Add(w.low, bad)
	var c Classification
	c.Optimistic, _ = new(big.Rat).SetFrac(w.high, whole).Float64()
	c.Pessimistic, _ = new(big.Rat).SetFrac(bad, whole).Float64()
	switch {
	case w.beyond(w.high, whole):
		c.Class = Upper
	case !w.beyond(bad, whole):
		c.Class = Lower
	}
	return c
}

// Classify is the Load Classification of the trials of one load (draft, "Load
// Classification"): Upper where the optimistic exceed ratio is above the goal's,
// Lower where the pessimistic one is not, else Undecided. Durations and the
// exceed ratio are compared as integers and exact fractions: a tie is Lower.
// The goal must be valid and every trial longer than zero.
func Classify(g Goal, trials []Trial) Classification {
	var s tally
	for _, t := range trials {
		s.add(&g, t)
	}
	return s.classify(decimal(g.ExceedRatio), g.DurationSum)
}

// ConditionalThroughput is the draft's estimate of what goes through at a
// relevant lower bound: load x (1 - q), where q is the loss ratio of the
// full-length trial at which trials sorted by rising loss have filled the share
// (1 - exceed ratio) of the longer of the duration sum and their own sum. If they
// fill less, q is 1 and the result 0. (The draft's prose takes their own sum
// alone; its code, followed here, is the more cautious.)
func ConditionalThroughput(g Goal, load float64, trials []Trial) float64 {
	var full []Trial
	var sum time.Duration
	for _, t := range trials {
		if t.Duration >= g.FinalTrialDuration {
			full = append(full, t)
			sum += t.effective()
		}
	}
	slices.SortStableFunc(full, func(a, b Trial) int {
		switch x, y := a.LossRatio(), b.LossRatio(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	exceed := decimal(g.ExceedRatio)
	keep := new(big.Int).Sub(exceed.Denom(), exceed.Num())
	want := keep.Mul(keep, big.NewInt(int64(max(sum, g.DurationSum))))
	var filled time.Duration
	for _, t := range full {
		filled += t.effective()
		have := big.NewInt(int64(filled))
		if have.Mul(have, exceed.Denom()).Cmp(want) >= 0 {
			return float64(load * (1 - t.LossRatio()))
		}
	}
	return 0
}

// leansHigh is the verdict of the trials alone, as if the duration sum were
// reached: it agrees with Upper and Lower, and guesses where Undecided. Short
// trials speak only while there is no full-length one.
func (s *tally) leansHigh(exceed *big.Rat) bool {
	w := s.weigh(exceed, 0)
	if s.fullLow+s.fullHigh == 0 {
		w.low = big.NewInt(int64(s.shortLow))
		w.high = big.NewInt(int64(s.shortHigh))
	}
	return w.beyond(w.high, new(big.Int).Add(w.low, w.high))
}
