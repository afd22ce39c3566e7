package labelled

import (
	"cmp"
	"context"
	"slices"
	"time"

	"pcaplab/parse/feature"
)

// Summary is what a set holds.
type Summary struct {
	Rows   int64        `json:"rows"`   // that Each passes
	Labels []LabelCount `json:"labels"` // of them, by name
	// Dropped and Clamped are the rows that Config.NonFinite concerned. Dropped ones are not in Rows.
	Dropped int64 `json:"dropped,omitempty"`
	Clamped int64 `json:"clamped,omitempty"`
	// NonFinite counts, by column, the values of all rows that are not finite (Policy), whatever the policy.
	NonFinite map[string]int64 `json:"non_finite,omitempty"`
	// Covered is the capture time of the rows (Row.Covered), dropped ones included.
	Covered time.Duration   `json:"covered_ns,omitempty"`
	Sources []SourceSummary `json:"sources"` // with rows of the set, in order

	limits Limits
}

// LabelCount is how many rows have a label.
type LabelCount struct {
	Label string `json:"label"`
	Rows  int64  `json:"rows"`
}

// SourceSummary is what a source gave.
type SourceSummary struct {
	Index     int               `json:"source"` // of the set's sources
	Path      string            `json:"path"`
	Table     bool              `json:"table"`
	Synthetic bool              `json:"synthetic,omitempty"`
	Rows      int64             `json:"rows"`                // of the set
	Vectors   int64             `json:"vectors"`             // of the source, in whatever set
	Labels    []LabelCount      `json:"labels"`              // of Rows, by name
	First     time.Time         `json:"first,omitzero"`      // earliest and latest end of a window of the source
	Last      time.Time         `json:"last,omitzero"`       //
	Covered   time.Duration     `json:"covered_ns"`          // of Rows, 0 in tables
	Frames    uint64            `json:"frames,omitempty"`    // read of the capture
	NoRow     map[string]uint64 `json:"no_row,omitempty"`    // frames that count in no window, by reason
	Losses    []string          `json:"losses,omitempty"`    // what was skipped or may be wrong
	Passed    []string          `json:"passed_by,omitempty"` // columns of a table that are no features
}

// Survey counts what the set holds. The first call makes a pass, over those sources only that were not counted whole before.
func (s *Set) Survey(ctx context.Context) (*Summary, error) {
	if s.survey != nil {
		return s.survey, nil
	}
	if s.limits == nil && s.cfg.NonFinite == Clamp {
		s.limits = &Limits{} // what Clamp gives is not looked at here
		defer func() { s.limits = nil }()
	}
	sum := &Summary{NonFinite: map[string]int64{}}
	var all survey
	labels := map[string]int64{}
	done, total := int64(0), s.octets()
	for i, used := range s.used {
		if !used {
			continue
		}
		one := s.sources[i].survey
		if one == nil || s.keep != nil {
			var err error
			if one, err = s.surveySource(ctx, i, func(octets int64) { s.tell(done+octets, total) }); err != nil {
				return nil, err
			}
			if s.keep == nil {
				s.sources[i].survey = one
			}
		}
		known := *s.sources[i].summary
		known.Index, known.Rows, known.Covered, known.Labels = i, one.rows, one.covered, one.labels
		sum.Sources = append(sum.Sources, known)
		for _, l := range one.labels {
			labels[l.Label] += l.Rows
		}
		all.add(one)
		done += s.sources[i].size
		s.tell(done, total)
	}
	sum.Rows, sum.Dropped, sum.Clamped, sum.Covered = all.rows, all.dropped, all.clamped, all.covered
	sum.Labels, sum.limits = counts(labels), all.limits
	for c, n := range all.bad {
		if n > 0 {
			sum.NonFinite[feature.Columns()[c]] = n
		}
	}
	s.survey = sum
	return sum, nil
}

// survey is what was counted of rows.
type survey struct {
	rows, dropped, clamped int64
	covered                time.Duration
	labels                 []LabelCount
	bad                    [feature.NumColumns]int64 // values that are not finite
	seen                   [feature.NumColumns]bool  // a finite one
	limits                 Limits
}

// surveySource counts the rows of a source that belong to the set.
func (s *Set) surveySource(ctx context.Context, i int, read func(int64)) (*survey, error) {
	one := &survey{}
	labels := map[string]int64{}
	last, run := "", int64(0)
	err := s.pool.read(ctx, i, read, func(r *Row) error {
		if s.keep != nil && !s.keep(r.Source, r.Number) {
			return nil
		}
		one.covered += r.Covered
		touched := one.look(&r.Values, s.cfg.Columns)
		ok, err := s.finite(r)
		if err != nil {
			return err
		}
		if !ok {
			one.dropped++
			return nil
		}
		if touched && s.cfg.NonFinite == Clamp {
			one.clamped++
		}
		one.rows++
		if r.Label != last { // labels come in runs
			labels[last] += run
			last, run = r.Label, 0
		}
		run++
		return nil
	})
	if err != nil {
		return nil, err
	}
	if labels[last] += run; labels[""] == 0 {
		delete(labels, "")
	}
	one.labels = counts(labels)
	return one, nil
}

// look counts values that are not finite and reports whether one of the columns is. nil is all columns.
func (s *survey) look(values *[feature.NumColumns]float64, columns []int) (touched bool) {
	for c, v := range values {
		if !finite(v) {
			s.bad[c]++
			touched = touched || columns == nil || slices.Contains(columns, c)
			continue
		}
		s.extend(c, v, v)
	}
	return touched
}

func (s *survey) extend(c int, least, greatest float64) {
	l := &s.limits
	if !s.seen[c] {
		s.seen[c], l.Least[c], l.Greatest[c] = true, least, greatest
		return
	}
	l.Least[c], l.Greatest[c] = min(l.Least[c], least), max(l.Greatest[c], greatest)
}

// add adds what was counted elsewhere, but for labels.
func (s *survey) add(o *survey) {
	s.rows += o.rows
	s.dropped += o.dropped
	s.clamped += o.clamped
	s.covered += o.covered
	for c, n := range o.bad {
		s.bad[c] += n
		if o.seen[c] {
			s.extend(c, o.limits.Least[c], o.limits.Greatest[c])
		}
	}
}

// counts sorts labels by name.
func counts(rows map[string]int64) []LabelCount {
	list := make([]LabelCount, 0, len(rows))
	for label, n := range rows {
		list = append(list, LabelCount{label, n})
	}
	slices.SortFunc(list, func(a, b LabelCount) int { return cmp.Compare(a.Label, b.Label) })
	return list
}
