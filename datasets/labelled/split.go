package labelled

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// Ways to part a set.
const (
	ByCapture = "capture" // a source is on one side, whole
	ByTime    = "time"    // the first rows of each source are learnt from
	ByChance  = "random"  // each row by lot
)

// DefaultTestShare is SplitConfig.TestShare where it is 0.
const DefaultTestShare = 0.3

// SplitConfig says how to part a set into rows to learn from and rows to test with.
type SplitConfig struct {
	// By is ByCapture, ByTime or ByChance. "" is ByCapture where each label stands in at least two sources, else ByTime.
	By        string  `json:"by"`
	TestShare float64 `json:"test_share"` // of the rows, about; 0 is DefaultTestShare
	Seed      uint64  `json:"seed"`       // of ByCapture and ByChance
}

// Check reports what Split would refuse.
func (c SplitConfig) Check() error {
	var faults []error
	if !slices.Contains([]string{"", ByCapture, ByTime, ByChance}, c.By) {
		faults = append(faults, fmt.Errorf("split by %q: choose %s, %s or %s", c.By, ByCapture, ByTime, ByChance))
	}
	if !(c.TestShare >= 0 && c.TestShare < 1) {
		faults = append(faults, fmt.Errorf("test share %v: choose more than 0 and less than 1", c.TestShare))
	}
	return errors.Join(faults...)
}

// Division is how a set was parted.
type Division struct {
	SplitConfig
	// Chosen says that SplitConfig left By open.
	Chosen bool `json:"chosen,omitempty"`
	// Warnings are what makes a result better than it will be on other traffic, or leaves labels untested.
	Warnings []string `json:"warnings,omitempty"`
}

// Split parts the set. The parts share what is kept in memory with it, and its files; together they are the set. It takes a pass
// unless Survey was called.
//
// ByCapture is stratified: sources are taken for the test by their most frequent label, of each label's at least one and not all,
// as the seed has it, near to the share. A label with one source is learnt from only, and so is a source without rows. ByTime takes the first rows of each source, in its order, to learn
// from, which for a capture is the order of its frames. ByChance draws each row.
func (s *Set) Split(ctx context.Context, cfg SplitConfig) (train, test *Set, d *Division, err error) {
	if err := cfg.Check(); err != nil {
		return nil, nil, nil, err
	}
	if cfg.TestShare == 0 {
		cfg.TestShare = DefaultTestShare
	}
	sum, err := s.Survey(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if sum.Rows < 2 {
		return nil, nil, nil, fmt.Errorf("%d rows cannot be parted", sum.Rows)
	}
	d = &Division{SplitConfig: cfg}
	if cfg.By == "" {
		d.Chosen, d.By = true, ByTime
		if len(sum.Sources) > 1 && len(alone(sum)) == 0 {
			d.By = ByCapture
		}
	}
	train, test = s.part(), s.part()
	switch d.By {
	case ByCapture:
		err = s.byCapture(sum, d, train, test)
	case ByTime:
		s.byTime(sum, d, train, test)
	default:
		s.byChance(d, train, test)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	return train, test, d, d.compare(ctx, train, test)
}

// part returns a set of all rows of s, to be cut.
func (s *Set) part() *Set {
	return &Set{pool: s.pool, keep: s.keep, used: slices.Clone(s.used), limits: s.given, given: s.given}
}

// alone returns the labels that stand in one source only.
func alone(sum *Summary) (labels []string) {
	in := map[string]int{}
	for _, source := range sum.Sources {
		for _, l := range source.Labels {
			in[l.Label]++
		}
	}
	for _, l := range sum.Labels {
		if in[l.Label] == 1 {
			labels = append(labels, l.Label)
		}
	}
	return labels
}

func (s *Set) byCapture(sum *Summary, d *Division, train, test *Set) error {
	strata := map[string][]SourceSummary{} // by most frequent label
	var order []string
	for _, source := range sum.Sources {
		if source.Rows == 0 { // all were dropped: it is learnt from, so that it is counted once
			test.used[source.Index] = false
			continue
		}
		most := source.Labels[0]
		for _, l := range source.Labels {
			if l.Rows > most.Rows {
				most = l
			}
		}
		if strata[most.Label] == nil {
			order = append(order, most.Label)
		}
		strata[most.Label] = append(strata[most.Label], source)
	}
	slices.Sort(order)
	random := rand.New(rand.NewPCG(d.Seed, 0))
	tested := 0
	var far []string
	for _, label := range order {
		sources := strata[label]
		taken, share := draw(sources, d.TestShare, random)
		for _, source := range sources {
			if taken[source.Index] {
				train.used[source.Index] = false
				tested++
			} else {
				test.used[source.Index] = false
			}
		}
		if len(taken) > 0 && (share < d.TestShare/2 || 1-share < (1-d.TestShare)/2) {
			far = append(far, fmt.Sprintf("%s %.3g %%", label, 100*share))
		}
	}
	if len(far) > 0 {
		d.warn("whole files come no nearer to the share of %.3g %%: tested are of %s", 100*d.TestShare, strings.Join(far, ", "))
	}
	if tested == 0 {
		return errors.New("no label has two captures, so none can be tested by capture: part by time, or name captures to test with")
	}
	for _, source := range sum.Sources {
		if source.Table {
			d.warn("a table counts as one capture, but may hold rows of several, which also may stand in other tables")
			break
		}
	}
	return nil
}

// draws is how many orders of a label's sources are tried to come near to the share.
const draws = 8

// draw takes sources of one label for the test, by Index, and returns which share of their rows that is. It takes none of a single one.
// In an order by lot each is taken that brings the rows nearer to the share, but not all; if there is none such, the smallest. The first
// order that comes within a quarter of the share is used, or the nearest of some.
func draw(sources []SourceSummary, share float64, random *rand.Rand) (best map[int]bool, of float64) {
	if len(sources) < 2 {
		return nil, 0
	}
	var all float64
	for _, source := range sources {
		all += float64(source.Rows)
	}
	wanted := float64(share * all) // not fused with what is subtracted from it: the same on every architecture
	var nearest float64
	for range draws {
		random.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
		taken, rows := map[int]bool{}, 0.0
		for _, source := range sources {
			with := rows + float64(source.Rows)
			if len(taken) < len(sources)-1 && math.Abs(with-wanted) < math.Abs(rows-wanted) {
				taken[source.Index], rows = true, with
			}
		}
		if len(taken) == 0 {
			least := slices.MinFunc(sources, func(a, b SourceSummary) int { return cmp.Compare(a.Rows, b.Rows) })
			taken[least.Index], rows = true, float64(least.Rows)
		}
		if off := math.Abs(rows - wanted); best == nil || off < nearest {
			best, nearest, of = taken, off, rows/all
		}
		if nearest <= wanted/4 {
			break
		}
	}
	return best, of
}

func (s *Set) byTime(sum *Summary, d *Division, train, test *Set) {
	first := make([]int64, len(s.sources)) // rows to learn from, by Number
	tables, captures := 0, 0
	for _, source := range sum.Sources {
		// Without those that another part has or a policy drops, the rows stand where they stand in the source.
		first[source.Index] = int64(math.Round(float64(source.Vectors) * (1 - d.TestShare)))
		if source.Vectors > 1 {
			first[source.Index] = max(1, min(first[source.Index], source.Vectors-1))
		}
		if source.Table {
			tables++
		} else {
			captures++
		}
	}
	keep := s.keep
	train.keep = func(source int, number int64) bool {
		return number <= first[source] && (keep == nil || keep(source, number))
	}
	test.keep = func(source int, number int64) bool {
		return number > first[source] && (keep == nil || keep(source, number))
	}
	if tables > 0 {
		d.warn("a table has no times: its first rows are learnt from, its last ones test")
	}
	if captures > 0 {
		d.warn("rows of one capture stand on both sides: they are more alike than those of another capture will be")
	}
}

func (s *Set) byChance(d *Division, train, test *Set) {
	keep, share, seed := s.keep, d.TestShare, d.Seed
	tests := func(source int, number int64) bool {
		return float64(mix(seed, uint64(source), uint64(number))>>11)*0x1p-53 < share
	}
	train.keep = func(source int, number int64) bool {
		return !tests(source, number) && (keep == nil || keep(source, number))
	}
	test.keep = func(source int, number int64) bool {
		return tests(source, number) && (keep == nil || keep(source, number))
	}
	d.warn("BY CHANCE, NEIGHBOURS OF EVERY TEST ROW WERE LEARNT FROM: windows of one capture are alike, so the result says little about other captures")
}

// mix makes 64 bits of its arguments that look random, by the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
func mix(values ...uint64) (h uint64) {
	for _, v := range values {
		h += v + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

func (d *Division) warn(format string, args ...any) {
	d.Warnings = append(d.Warnings, fmt.Sprintf(format, args...))
}

// compare warns of labels that stand on one side only.
func (d *Division) compare(ctx context.Context, train, test *Set) error {
	a, err := train.Survey(ctx)
	if err != nil {
		return err
	}
	if train.limits == nil && train.cfg.NonFinite == Clamp { // the test knows nothing but what was learnt from
		train.limits = &a.limits
		test.SetLimits(train.limits)
	}
	b, err := test.Survey(ctx)
	if err != nil {
		return err
	}
	if a.Rows == 0 || b.Rows == 0 {
		return fmt.Errorf("%d rows to learn from and %d to test with: part otherwise, or name more files", a.Rows, b.Rows)
	}
	if only := missing(a.Labels, b.Labels); len(only) > 0 {
		d.warn("learnt but not tested: %s", strings.Join(only, ", "))
	}
	if only := missing(b.Labels, a.Labels); len(only) > 0 {
		d.warn("tested but not learnt, so always wrong: %s", strings.Join(only, ", "))
	}
	return nil
}

// missing returns the labels of a that b has not.
func missing(a, b []LabelCount) (labels []string) {
	for _, l := range a {
		if !slices.ContainsFunc(b, func(other LabelCount) bool { return other.Label == l.Label }) {
			labels = append(labels, l.Label)
		}
	}
	return labels
}
