package analysis

import (
	"slices"
	"testing"

	"pcaplab/replay/trial"
)

// classResults is a finished study of one class: median service times in ns by engine.
func classResults(ns map[string]float64, order ...string) *Results {
	r := &Results{Planned: len(order), Done: len(order)}
	for _, engine := range order {
		c := Ceiling{Cell: trial.Cell{Engine: engine, Size: trial.Captured, Cache: trial.CacheCold, Workers: 1}}
		if v := ns[engine]; v > 0 {
			c.NS = Summarize([]float64{v})
		}
		r.Ceilings = append(r.Ceilings, c)
	}
	return r
}

func TestCompareClasses(t *testing.T) {
	c := Classes{
		Header: ClassesHeader{
			Study:   trial.Header{Plan: trial.Plan{Engines: []string{"a", "b"}, Sizes: []string{trial.Captured}, Caches: []string{trial.CacheCold}, Workers: []int{1}}},
			Classes: []ClassOf{{Name: "cut", Packets: 1}, {Name: "x", Packets: 30}, {Name: "y", Packets: 10}, {Name: "nothing"}, {Name: "none delivered"}},
			Packets: 100,
		},
		Results: []*Results{
			{Planned: 2, Done: 1, Ceilings: classResults(map[string]float64{"b": 40}, "b").Ceilings, Warnings: []string{"unfinished"}},
			classResults(map[string]float64{"a": 10, "b": 20}, "a", "b"),
			classResults(map[string]float64{"a": 35, "b": 10}, "a", "b"),
			nil,
			classResults(nil, "a", "b"),
		},
	}
	type row struct {
		engine, class string
		times, share  float64
	}
	var got []row
	for _, r := range c.Compare() {
		got = append(got, row{r.Cell.Engine, r.Class, r.Times, r.Share})
	}
	want := []row{
		{"a", "y", 3.5, 0.1}, {"a", "x", 1, 0.3}, {"a", "none delivered", 0, 0},
		{"b", "cut", 4, 0.01}, {"b", "x", 2, 0.3}, {"b", "y", 1, 0.1}, {"b", "none delivered", 0, 0},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if n := c.Done(); n != 3 {
		t.Errorf("%d done, want 3", n)
	}
	if got := c.Warnings(); !slices.Equal(got, []string{"cut: unfinished"}) {
		t.Errorf("warnings %q", got)
	}
}

// Classes are compared with those of their own machine.
func TestCompareClassesOfMachines(t *testing.T) {
	c := Classes{
		Header: ClassesHeader{
			Study:   trial.Header{Plan: trial.Plan{Engines: []string{"a"}, Sizes: []string{trial.Captured}, Caches: []string{trial.CacheCold}, Workers: []int{1}}},
			Classes: []ClassOf{{Name: "w"}, {Name: "x"}, {Name: "y"}, {Name: "z"}},
			Hosts:   []ClassHost{{Name: "machine 1", Classes: []string{"w", "x"}}, {Name: "machine 2", Classes: []string{"y", "z"}}},
		},
		Results: []*Results{
			classResults(map[string]float64{"a": 10}, "a"), classResults(map[string]float64{"a": 20}, "a"),
			classResults(map[string]float64{"a": 300}, "a"), classResults(map[string]float64{"a": 100}, "a"),
		},
	}
	type row struct {
		class, host string
		times       float64
	}
	var got []row
	for _, r := range c.Compare() {
		got = append(got, row{r.Class, r.Host, r.Times})
	}
	want := []row{{"x", "machine 1", 2}, {"w", "machine 1", 1}, {"y", "machine 2", 3}, {"z", "machine 2", 1}}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
