package hoeffding

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Summary is the size of a tree and what became of its attempts to grow.
type Summary struct {
	Rows     uint64 `json:"rows"`     // learnt from
	Nodes    int    `json:"nodes"`    // branches and leaves
	Branches int    `json:"branches"` // as many as there were splits
	Leaves   int    `json:"leaves"`
	Inactive int    `json:"inactive"` // leaves at the greatest depth, which keep counts only
	Depth    int    `json:"depth"`    // of the deepest leaf; 0 for a tree of one leaf
	Attempts uint64 `json:"attempts"` // times that a leaf of several classes was looked at after a grace period
	Limited  uint64 `json:"limited"`  // times that it was not, because of Config.MaxNodes
	Octets   int64  `json:"octets"`   // of observers, the most of the tree's memory
}

// Summary counts.
func (t *Tree) Summary() Summary {
	s := Summary{Rows: t.rows, Nodes: len(t.nodes), Attempts: t.attempts, Limited: t.limited}
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.feature >= 0 {
			s.Branches++
			continue
		}
		s.Leaves++
		s.Depth = max(s.Depth, n.depth)
		if !n.leaf.active {
			s.Inactive++
		}
		s.Octets += int64(len(n.leaf.order)) * 40 * int64(len(t.columns))
	}
	return s
}

// String says it in one line.
func (s Summary) String() string {
	text := fmt.Sprintf("%d rows, %d nodes (%d leaves), depth %d, %d attempts to split, %d splits", s.Rows, s.Nodes, s.Leaves, s.Depth, s.Attempts,
		s.Branches)
	if s.Limited > 0 {
		text += fmt.Sprintf(", %d attempts left out at the greatest number of nodes", s.Limited)
	}
	return text
}

// WriteTree writes the tree for people: a line for each branch and leaf, indented by depth. Weights are rows; those that a leaf
// has from its parent are estimates.
func (t *Tree) WriteTree(w io.Writer) error {
	out := bufio.NewWriter(w)
	type place struct {
		node int
		test string
	}
	for todo := []place{{0, ""}}; len(todo) > 0; {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n := &t.nodes[p.node]
		out.WriteString(strings.Repeat("  ", n.depth))
		if p.test != "" {
			out.WriteString(p.test + ": ")
		}
		if n.feature >= 0 {
			column, threshold := t.columns[n.feature], strconv.FormatFloat(n.threshold, 'g', 6, 64)
			fmt.Fprintf(out, "split by %s at %s, %.4g rows, gain %.4g\n", column, threshold, n.weight, n.gain)
			todo = append(todo, place{n.right, column + " > " + threshold}, place{n.left, column + " <= " + threshold})
			continue
		}
		out.WriteString(t.describe(n.leaf) + "\n")
	}
	return out.Flush()
}

func (t *Tree) describe(l *leaf) string {
	total := l.total()
	if total == 0 {
		return "no rows yet"
	}
	entries := slices.Clone(l.entries)
	slices.SortStableFunc(entries, func(a, b entry) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		}
		return a.class - b.class
	})
	text := fmt.Sprintf("%s, %.4g rows", t.classes[entries[0].class], total)
	const most = 3
	for i, e := range entries {
		if e.weight <= 0 {
			break
		}
		if i == most && len(entries) > most+1 {
			return text + fmt.Sprintf(", and %d classes more", len(entries)-most)
		}
		text += fmt.Sprintf(", %s %.3g %%", t.classes[e.class], 100*e.weight/total)
	}
	return text
}
