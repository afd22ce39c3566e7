package validation

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"pcaplab/parse/feature"
)

// maxLengths is how many different window lengths are told apart; a window of time can have any.
const maxLengths = 4096

// LengthReport is what the column Number, the length of a window in rows, tells of the class all by itself.
type LengthReport struct {
	Lengths int `json:"lengths"` // different ones
	// Capped says that there are more: the rows of further lengths are taken together as one.
	Capped bool `json:"capped,omitempty"`
	// Common are the most frequent lengths, at most eight.
	Common []Length `json:"common"`
	// Accuracy is that of saying for each row the class that is most frequent among the other rows of the same length. Baseline is that of the
	// class most frequent among all other rows.
	Accuracy float64 `json:"accuracy"`
	Baseline float64 `json:"baseline"`
	// Groups are the classes by their most frequent length. With two or more, GroupRecall is how well the length alone tells of which group a
	// row is: that group is said whose other rows have the length most often, in shares of the group, and the recalls are averaged over groups,
	// so that it does not matter how many rows a group has. Groups of fewer than 10 rows are left out. GroupBaseline is what saying anything
	// without looking has: 1 / groups. Both are 0 with fewer than two groups.
	Groups        []LengthGroup `json:"groups"`
	GroupRecall   float64       `json:"group_recall"`
	GroupBaseline float64       `json:"group_baseline"`
	// Leaks says that GroupRecall is at least LeakRecall.
	Leaks bool `json:"leaks"`
}

// LeakRecall is from where on the length of windows is said to tell groups of classes apart.
const LeakRecall = 0.95

// minGroup is how many rows a group needs for its recall to say anything.
const minGroup = 10

// Length is how many rows have a length of window.
type Length struct {
	Number float64 `json:"number"`
	Rows   uint64  `json:"rows"`
}

// LengthGroup is classes whose windows are mostly of one length.
type LengthGroup struct {
	Number  float64  `json:"number"`
	Classes []string `json:"classes"`
	Rows    uint64   `json:"rows"`
}

// lengths counts rows by window length and class.
type lengths struct {
	counts map[float64][]uint64 // by length, then class
	rest   []uint64             // of lengths beyond maxLengths
	capped bool
}

func (l *lengths) add(values *[feature.NumColumns]float64, truth int) {
	n := values[feature.Number]
	if n != n {
		n = math.Inf(1) // NaN is no key; nor can a window be this long
	}
	if l.counts == nil {
		l.counts = make(map[float64][]uint64)
	}
	row, ok := l.counts[n]
	if !ok && len(l.counts) >= maxLengths {
		l.capped = true
		for len(l.rest) <= truth {
			l.rest = append(l.rest, 0)
		}
		l.rest[truth]++
		return
	}
	if len(row) <= truth {
		row = append(row, make([]uint64, truth+1-len(row))...)
		l.counts[n] = row
	}
	row[truth]++
}

// report sums up. names are those of the classes.
func (l *lengths) report(names []string) LengthReport {
	r := LengthReport{Lengths: len(l.counts), Capped: l.capped}
	keys := slices.Sorted(maps.Keys(l.counts))
	var bins [][]uint64
	for _, n := range keys {
		bins = append(bins, l.counts[n])
		rows := total(l.counts[n])
		if !math.IsInf(n, 0) {
			r.Common = append(r.Common, Length{n, rows})
		}
	}
	if l.capped {
		bins = append(bins, l.rest)
	}
	slices.SortStableFunc(r.Common, func(a, b Length) int { return cmp.Compare(b.Rows, a.Rows) })
	r.Common = r.Common[:min(len(r.Common), 8)]
	r.Accuracy, r.Baseline = tells(bins, len(names))

	// usual is the most frequent length of each class.
	usual := make(map[float64][]int)
	for class := range names {
		best, most := 0.0, uint64(0)
		for _, n := range keys {
			if row := l.counts[n]; class < len(row) && row[class] > most {
				best, most = n, row[class]
			}
		}
		if most > 0 && !math.IsInf(best, 0) {
			usual[best] = append(usual[best], class)
		}
	}
	group := make([]int, len(names))
	for i, n := range slices.Sorted(maps.Keys(usual)) {
		g := LengthGroup{Number: n}
		for _, class := range usual[n] {
			group[class] = i
			g.Classes = append(g.Classes, names[class])
			for _, row := range bins {
				if class < len(row) {
					g.Rows += row[class]
				}
			}
		}
		r.Groups = append(r.Groups, g)
	}
	if len(r.Groups) < 2 {
		return r
	}
	grouped := make([][]uint64, len(bins))
	for i, row := range bins {
		grouped[i] = make([]uint64, len(r.Groups))
		for class, n := range row {
			grouped[i][group[class]] += n
		}
	}
	var recalls float64
	told := 0
	for i, g := range r.Groups {
		if g.Rows < minGroup {
			continue
		}
		right := uint64(0)
		for _, row := range grouped {
			if row[i] == 0 {
				continue
			}
			said := true
			own := float64(row[i]-1) / float64(g.Rows-1)
			for j, other := range r.Groups {
				if j != i && other.Rows >= minGroup && float64(row[j])/float64(other.Rows) >= own {
					said = false
				}
			}
			if said {
				right += row[i]
			}
		}
		recalls += float64(right) / float64(g.Rows)
		told++
	}
	if told >= 2 {
		r.GroupRecall, r.GroupBaseline = recalls/float64(told), 1/float64(told)
		r.Leaks = r.GroupRecall >= LeakRecall
	}
	return r
}

// tells returns how often the most frequent class of the other rows in a bin is that of a row, and of the other rows in all bins. Of equally
// frequent classes the first is said.
func tells(bins [][]uint64, classes int) (binned, all float64) {
	sums := make([]uint64, classes)
	var right, rows uint64
	for _, row := range bins {
		right += others(row)
		for class, n := range row {
			sums[class] += n
			rows += n
		}
	}
	if rows == 0 {
		return 0, 0
	}
	return float64(right) / float64(rows), float64(others(sums)) / float64(rows)
}

// others returns for how many rows the most frequent class among the other rows is theirs.
func others(row []uint64) (right uint64) {
	for class, n := range row {
		if n < 2 {
			continue // alone, or none
		}
		said := true
		for other, m := range row {
			if other < class && m >= n-1 || other > class && m > n-1 {
				said = false
				break
			}
		}
		if said {
			right += n
		}
	}
	return right
}
