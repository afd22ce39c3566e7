package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// partStudy is a study of 2 engines, 2 sizes, 2 cache states and 2 repeats on a simulated machine whose answers depend on the cell alone.
func partStudy(t *testing.T) *Study {
	t.Helper()
	o := &oven{celsius: 45, rate: func(float64) float64 { return 1e6 }}
	s := soakStudy(t, o, 0, "a", "b")
	s.Header.Plan.Sizes, s.Header.Plan.Caches, s.Header.Plan.Repeats = []string{"64", Captured}, []string{CacheAsIs, CacheHot}, 2
	s.Header.Plan.Workers = []int{1}
	s.Header.Caches = Caches{L2: 1 << 20, LLC: 1 << 21}
	s.Header.Plan.Goals[0].DurationSum = 400 * time.Millisecond
	s.Header.Plan.Rates = []Rate{{Value: 0.5, OfService: true}}
	return s
}

func partRecords(t *testing.T, s *Study) []Record {
	t.Helper()
	var records []Record
	s.Keep = func(r Record) error {
		r.Started = time.Time{}
		records = append(records, r)
		return nil
	}
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return records
}

// Parts in any order give the records of the whole study, and load only the sizes that they need.
func TestPartsAreTheWholeStudy(t *testing.T) {
	whole := partRecords(t, partStudy(t))
	p := &partStudy(t).Header.Plan
	cells := p.Cells()
	var begun []Cell
	for _, r := range whole {
		if !slices.Contains(begun, r.Cell) {
			begun = append(begun, r.Cell)
		}
	}
	if !slices.Equal(cells, begun) {
		t.Fatalf("the plan has the cells %v; the study begins with %v", cells, begun)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		parts := make([][]Cell, 1+rng.IntN(len(cells)))
		for _, c := range cells {
			i := rng.IntN(len(parts))
			parts[i] = append(parts[i], c)
		}
		var all []Record
		for _, part := range parts {
			s := partStudy(t)
			s.Only = append([]Cell{}, part...)
			frames := s.Frames
			s.Frames = func(size string) (Sized, error) {
				if !slices.ContainsFunc(part, func(c Cell) bool { return c.Size == size }) {
					t.Errorf("cells %v: size %s was made", part, size)
				}
				return frames(size)
			}
			last := Progress{}
			s.Progress = func(p Progress) { last = p }
			all = append(all, partRecords(t, s)...)
			if last.Done != last.Cells || last.Cells != len(part)*p.Repeats {
				t.Errorf("cells %v: %d of %d done", part, last.Done, last.Cells)
			}
			if whole := partStudy(t); s.Expected()*time.Duration(len(cells)) != whole.Expected()*time.Duration(len(part)) {
				t.Errorf("%d cells are expected to take %v, all %v", len(part), s.Expected(), whole.Expected())
			}
		}
		slices.SortStableFunc(all, func(a, b Record) int { return p.Compare(&a, &b) })
		if !reflect.DeepEqual(all, whole) {
			t.Fatalf("parts %v: other records", parts)
		}
	}
}

func TestPartGoesOn(t *testing.T) {
	s := partStudy(t)
	only := s.Header.Plan.Cells()[2:5]
	s.Only = only
	whole := partRecords(t, s)
	for _, cut := range []int{0, 1, len(whole) / 2, len(whole)} {
		s := partStudy(t)
		s.Only, s.Done = only, slices.Clone(whole[:cut])
		if rest := partRecords(t, s); !reflect.DeepEqual(append(whole[:cut:cut], rest...), whole) {
			t.Errorf("after %d records: other records", cut)
		}
	}
}

func TestPartOfAnotherPlan(t *testing.T) {
	for _, only := range [][]Cell{{{Engine: "c", Size: "64", Cache: CacheHot, Workers: 1}}, {{"a", "64", CacheHot, 1}, {"a", "64", CacheHot, 1}}} {
		s := partStudy(t)
		s.Only = only
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), fmt.Sprint(only[0])) {
			t.Errorf("%v: error %v", only, err)
		}
	}
}
