package score

import (
	"fmt"
	"slices"
)

// Confusion counts rows by their true class and the one predicted. New makes one; its JSON can be read back. Metrics are exact for any counts
// whose sum is a uint64; Bootstrap wants 2^53 at most.
type Confusion struct {
	Classes []string   `json:"classes"`
	Counts  [][]uint64 `json:"counts"` // Counts[truth][predicted], indices of Classes
}

// New returns a Confusion of nothing yet. The names are copied; they need not be sorted.
func New(classes []string) *Confusion {
	k := len(classes)
	c := &Confusion{Classes: slices.Clone(classes), Counts: make([][]uint64, k)}
	cells := make([]uint64, k*k)
	for i := range c.Counts {
		c.Counts[i] = cells[i*k : (i+1)*k : (i+1)*k]
	}
	return c
}

// Add counts a row. Both are indices of Classes; others are a fault of the caller and panic.
func (c *Confusion) Add(truth, predicted int) { c.Counts[truth][predicted]++ }

// AddN counts n rows.
func (c *Confusion) AddN(truth, predicted int, n uint64) { c.Counts[truth][predicted] += n }

// Merge adds the counts of o, which has the same classes in the same order, else it fails and changes nothing.
func (c *Confusion) Merge(o *Confusion) error {
	if !slices.Equal(c.Classes, o.Classes) {
		return fmt.Errorf("confusions of other classes: %q and %q", c.Classes, o.Classes)
	}
	for i, row := range o.Counts {
		for j, n := range row {
			c.Counts[i][j] += n
		}
	}
	return nil
}

// Check reports whether the counts are a square of the classes and no class is named twice: what came as JSON may be otherwise, and
// all else here relies on it.
func (c *Confusion) Check() error {
	if len(c.Counts) != len(c.Classes) {
		return fmt.Errorf("a confusion of %d classes with %d rows", len(c.Classes), len(c.Counts))
	}
	for i, row := range c.Counts {
		if len(row) != len(c.Classes) {
			return fmt.Errorf("a confusion of %d classes with %d counts for %q", len(c.Classes), len(row), c.Classes[i])
		}
		if slices.Contains(c.Classes[:i], c.Classes[i]) {
			return fmt.Errorf("a confusion with the class %q twice", c.Classes[i])
		}
	}
	return nil
}

// Total returns how many rows were counted.
func (c *Confusion) Total() uint64 {
	var sum uint64
	for _, row := range c.Counts {
		for _, n := range row {
			sum += n
		}
	}
	return sum
}

// Class returns the index of a class by its name, -1 if there is none.
func (c *Confusion) Class(name string) int { return slices.Index(c.Classes, name) }

// Collapse returns the same rows in two classes: the one of index benign under its name, and all others together, called attack. Attacks taken
// for other attacks are right in it.
func (c *Confusion) Collapse(benign int, attack string) *Confusion {
	two := New([]string{c.Classes[benign], attack})
	side := func(class int) int {
		if class == benign {
			return 0
		}
		return 1
	}
	for i, row := range c.Counts {
		for j, n := range row {
			two.AddN(side(i), side(j), n)
		}
	}
	return two
}

// Alarms is what matters to whoever has to act on predictions: any class but the benign one is an alarm.
type Alarms struct {
	Benign      string `json:"benign"`       // the class
	BenignRows  uint64 `json:"benign_rows"`  // that are of it
	FalseAlarms uint64 `json:"false_alarms"` // of them, predicted as anything else
	AttackRows  uint64 `json:"attack_rows"`  // that are of any other class
	Detected    uint64 `json:"detected"`     // of them, predicted as any class but the benign one, the right one or not
}

// BenignRecall is the share of benign rows that raised no alarm: the specificity. 0 without benign rows.
func (a Alarms) BenignRecall() float64 { return ratio(a.BenignRows-a.FalseAlarms, a.BenignRows) }

// FalseAlarmRate is the share of benign rows that raised one. 0 without benign rows.
func (a Alarms) FalseAlarmRate() float64 { return ratio(a.FalseAlarms, a.BenignRows) }

// DetectionRate is the share of attack rows that raised an alarm. 0 without attack rows.
func (a Alarms) DetectionRate() float64 { return ratio(a.Detected, a.AttackRows) }

// Missed is how many attack rows raised no alarm.
func (a Alarms) Missed() uint64 { return a.AttackRows - a.Detected }

// PerHour is how many false alarms an hour has in a capture of so many hours of benign traffic. 0 if hours is not above 0.
func (a Alarms) PerHour(hours float64) float64 {
	if !(hours > 0) {
		return 0
	}
	return float64(a.FalseAlarms) / hours
}

// Alarms counts alarms; benign is the index of the class that is none.
func (c *Confusion) Alarms(benign int) Alarms {
	two := c.Collapse(benign, "").Counts
	return Alarms{Benign: c.Classes[benign], BenignRows: two[0][0] + two[0][1], FalseAlarms: two[0][1],
		AttackRows: two[1][0] + two[1][1], Detected: two[1][1]}
}

// ratio is a / b, 0 where b is 0.
func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
