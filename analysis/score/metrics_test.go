package score

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

func confusion(classes []string, counts ...[]uint64) *Confusion { return &Confusion{classes, counts} }

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestTextbook has the example of Wikipedia's article on the phi coefficient: 12 pictures, 8 of cats, of which 6 are found, and 4 of dogs, of
// which 3 are.
func TestTextbook(t *testing.T) {
	c := New([]string{"dog", "cat"})
	for _, n := range [][3]uint64{{1, 1, 6}, {1, 0, 2}, {0, 1, 1}, {0, 0, 3}} {
		c.AddN(int(n[0]), int(n[1]), n[2]-1)
		c.Add(int(n[0]), int(n[1]))
	}
	m := c.Metrics()
	near(t, "MCC", m.MCC, 0.478, 0.0005)
	near(t, "MCC by the formula of two classes", m.MCC, (6*3-1*2)/math.Sqrt(7*8*4*5), 1e-15)
	near(t, "accuracy", m.Accuracy, 9.0/12, 0)
	near(t, "balanced accuracy", m.BalancedAccuracy, (6.0/8+3.0/4)/2, 0)
	near(t, "F1 of cats", m.PerClass[1].F1, 12.0/15, 0)
	near(t, "precision of dogs", m.PerClass[0].Precision, 3.0/5, 0)
	// By chance 8*7 + 4*5 = 76 of 144 agree.
	near(t, "kappa", m.Kappa, (9.0/12-76.0/144)/(1-76.0/144), 1e-15)
	if want := (Baseline{"cat", 8.0 / 12, 16.0 / 20 / 2}); m.Baseline != want {
		t.Errorf("baseline %+v, want %+v", m.Baseline, want)
	}
	a := c.Alarms(0)
	if want := (Alarms{"dog", 4, 1, 8, 6}); a != want {
		t.Errorf("alarms %+v, want %+v", a, want)
	}
	if a.BenignRecall() != 0.75 || a.FalseAlarmRate() != 0.25 || a.DetectionRate() != 0.75 || a.Missed() != 2 || a.PerHour(0.5) != 2 || a.PerHour(0) != 0 {
		t.Errorf("ratios of alarms are wrong: %+v", a)
	}
}

func TestEdges(t *testing.T) {
	abc := []string{"a", "b", "c"}
	for _, tt := range []struct {
		name string
		c    *Confusion
		want Metrics // PerClass and Baseline aside
	}{
		{"no rows", New(abc), Metrics{}},
		{"no classes", New(nil), Metrics{}},
		{"one class, all right", confusion(abc, []uint64{5, 0, 0}, []uint64{0, 0, 0}, []uint64{0, 0, 0}),
			Metrics{Rows: 5, Correct: 5, Accuracy: 1, BalancedAccuracy: 1, Macro: Average{1, 1, 1}, Weighted: Average{1, 1, 1}}},
		{"all right", confusion(abc, []uint64{5, 0, 0}, []uint64{0, 7, 0}, []uint64{0, 0, 1}),
			Metrics{Rows: 13, Correct: 13, Accuracy: 1, BalancedAccuracy: 1, MCC: 1, Kappa: 1, Macro: Average{1, 1, 1}, Weighted: Average{1, 1, 1}}},
		{"all wrong", confusion(abc[:2], []uint64{0, 4}, []uint64{4, 0}), Metrics{Rows: 8, MCC: -1, Kappa: -1}},
		{"constant", confusion(abc[:2], []uint64{4, 0}, []uint64{4, 0}),
			Metrics{Rows: 8, Correct: 4, Accuracy: 0.5, BalancedAccuracy: 0.5, Macro: Average{0.25, 0.5, 1.0 / 3}, Weighted: Average{0.25, 0.5, 1.0 / 3}}},
		// b is predicted, but has no rows: it is one of the classes of macro averages, and none of balanced accuracy.
		{"predicted without rows", confusion(abc, []uint64{3, 1, 0}, []uint64{0, 0, 0}, []uint64{0, 0, 0}),
			Metrics{Rows: 4, Correct: 3, Accuracy: 0.75, BalancedAccuracy: 0.75, Macro: Average{0.5, 0.375, 3.0 / 7}, Weighted: Average{1, 0.75, 6.0 / 7}}},
		// Beyond 2^32 rows products need more than 64 bits.
		{"10^18 rows", confusion(abc[:2], []uint64{5e17, 0}, []uint64{0, 5e17}),
			Metrics{Rows: 1e18, Correct: 1e18, Accuracy: 1, BalancedAccuracy: 1, MCC: 1, Kappa: 1, Macro: Average{1, 1, 1}, Weighted: Average{1, 1, 1}}},
	} {
		got := tt.c.Metrics()
		got.PerClass, got.Baseline = nil, Baseline{}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.name, got, tt.want)
		}
	}
}

func TestCollapse(t *testing.T) {
	c := confusion([]string{"x", "benign", "y"}, []uint64{1, 2, 3}, []uint64{4, 5, 6}, []uint64{7, 8, 9})
	two := c.Collapse(c.Class("benign"), "attack")
	if want := confusion([]string{"benign", "attack"}, []uint64{5, 10}, []uint64{10, 20}); !reflect.DeepEqual(two, want) {
		t.Errorf("%+v, want %+v", two, want)
	}
	if c.Total() != 45 || two.Total() != 45 || c.Class("z") != -1 {
		t.Error("totals")
	}
	other := New(c.Classes)
	if err := other.Merge(c); err != nil || !reflect.DeepEqual(other, c) {
		t.Errorf("merged into nothing: %v, %v", other, err)
	}
	if err := other.Merge(two); err == nil {
		t.Error("merged other classes")
	}
	for _, bad := range []*Confusion{{Classes: []string{"a"}}, {[]string{"a"}, [][]uint64{{1, 2}}}, {[]string{"a", "a"}, [][]uint64{{1, 2}, {3, 4}}}} {
		if bad.Check() == nil {
			t.Errorf("%v passes", bad)
		}
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// randomConfusions are of 2 to 34 classes, with classes that have no rows, are never predicted, or neither.
func randomConfusions(n int) []*Confusion {
	random := rand.New(rand.NewPCG(5, 6))
	var list []*Confusion
	for range n {
		k := 2 + random.IntN(33)
		classes := make([]string, k)
		for i := range classes {
			classes[i] = string(rune('A'+i/26)) + string(rune('a'+i%26))
		}
		c := New(classes)
		for i := range k {
			if random.IntN(6) == 0 {
				continue
			}
			for range 1 + random.IntN(2*k) {
				j := random.IntN(k)
				if random.IntN(3) > 0 {
					j = i
				}
				c.AddN(i, j, uint64(random.IntN(12)))
			}
		}
		if c.Total() > 0 {
			list = append(list, c)
		}
	}
	return list
}

func TestAddAllocatesNothing(t *testing.T) {
	c := New([]string{"a", "b"})
	if n := testing.AllocsPerRun(100, func() { c.Add(1, 0) }); n != 0 {
		t.Errorf("Add allocates %v times", n)
	}
}
