package validation

import (
	"fmt"

	"pcaplab/analysis/score"
)

// maxClasses is how many classes a report can have: more labels than that are no labels.
const maxClasses = 1024

// classes are those of a report: the model's, under the names that Config.Classes gives them, and behind them the labels of the data that
// the model has no class for.
type classes struct {
	names  []string
	labels map[string]int // index of names
	known  int            // the first so many are the model's
	model  []int          // by class of the model
}

func newClasses(model []string) *classes {
	c := &classes{labels: make(map[string]int)}
	for _, name := range model {
		c.model = append(c.model, c.find(name))
	}
	c.known = len(c.names)
	return c
}

// find returns the class of a name, a new one if need be.
func (c *classes) find(name string) int {
	i, ok := c.labels[name]
	if !ok {
		i = len(c.names)
		c.labels[name] = i
		c.names = append(c.names, name)
	}
	return i
}

// truth returns the class of a label of the data.
func (c *classes) truth(label string) (int, error) {
	i := c.find(label)
	if len(c.names) > maxClasses {
		return 0, fmt.Errorf("more than %d classes with label %q: is that the column of labels?", maxClasses, label)
	}
	return i, nil
}

// tally counts what was predicted: by source, by true class, by class of the report that was predicted.
type tally struct {
	known   int
	sources []sourceTally
	clamped uint64
}

type sourceTally struct {
	counts  [][]uint64 // [truth][predicted], predicted below known; truth grows, nil where the source has no row of it
	dropped []uint64   // by truth
}

func (t *tally) at(source, truth int) *sourceTally {
	for len(t.sources) <= source {
		t.sources = append(t.sources, sourceTally{})
	}
	s := &t.sources[source]
	for len(s.counts) <= truth {
		s.counts = append(s.counts, nil)
		s.dropped = append(s.dropped, 0)
	}
	if s.counts[truth] == nil {
		s.counts[truth] = make([]uint64, t.known)
	}
	return s
}

func (t *tally) merge(o *tally) {
	t.clamped += o.clamped
	for i := range o.sources {
		for truth, row := range o.sources[i].counts {
			if row == nil {
				continue
			}
			to := t.at(i, truth)
			for predicted, n := range row {
				to.counts[truth][predicted] += n
			}
			to.dropped[truth] += o.sources[i].dropped[truth]
		}
	}
}

// confusions returns the counts of all sources together, and of each. Classes beyond the model's that no label of this set has are left out.
// Those of a source are to be read only: rows of classes that it does not have are one and the same, as captures are many and have few.
func (t *tally) confusions(names []string) (all *score.Confusion, each []*score.Confusion, dropped []uint64) {
	shown := names[:t.known:t.known]
	place := make([]int, len(names))
	for i := range names {
		place[i] = i
		if i < t.known {
			continue
		}
		place[i] = -1
		for _, s := range t.sources {
			if i < len(s.counts) && (total(s.counts[i]) > 0 || s.dropped[i] > 0) {
				place[i] = len(shown)
				shown = append(shown, names[i])
				break
			}
		}
	}
	all, dropped = score.New(shown), make([]uint64, len(shown))
	none := make([]uint64, len(shown))
	for _, s := range t.sources {
		one := &score.Confusion{Classes: all.Classes, Counts: make([][]uint64, len(shown))}
		for i := range one.Counts {
			one.Counts[i] = none
		}
		for truth, row := range s.counts {
			to := place[truth]
			if to < 0 || row == nil {
				continue
			}
			one.Counts[to] = make([]uint64, len(shown))
			copy(one.Counts[to], row)
			for predicted, n := range row {
				all.AddN(to, predicted, n)
			}
			dropped[to] += s.dropped[truth]
		}
		each = append(each, one)
	}
	return all, each, dropped
}

// only returns the rows of c that are of the classes that of marks.
func only(c *score.Confusion, of []bool) *score.Confusion {
	some := &score.Confusion{Classes: c.Classes, Counts: make([][]uint64, len(c.Counts))}
	none := make([]uint64, len(c.Classes))
	for i, row := range c.Counts {
		if some.Counts[i] = none; i < len(of) && of[i] {
			some.Counts[i] = row
		}
	}
	return some
}

func total(counts []uint64) uint64 {
	var sum uint64
	for _, n := range counts {
		sum += n
	}
	return sum
}
