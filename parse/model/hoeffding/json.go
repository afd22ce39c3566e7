package hoeffding

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// What the file says of itself.
const (
	Format  = "pcaplab-model"
	Kind    = "hoeffding-tree"
	Version = 1
)

type fileTree struct {
	Format   string     `json:"format"`
	Kind     string     `json:"kind"`
	Version  int        `json:"version"`
	Columns  []string   `json:"columns"`
	Classes  []string   `json:"classes"`
	Config   Config     `json:"config"`
	Rows     uint64     `json:"rows"`
	Attempts uint64     `json:"attempts"`
	Limited  uint64     `json:"limited"`
	Nodes    []fileNode `json:"nodes"`
}

// fileNode is a branch or a leaf: just one of the two is there.
type fileNode struct {
	Branch *fileBranch `json:"branch,omitempty"`
	Leaf   *fileLeaf   `json:"leaf,omitempty"`
}

type fileBranch struct {
	Feature   int     `json:"feature"`
	Threshold float64 `json:"threshold"`
	Left      int     `json:"left"`
	Right     int     `json:"right"`
	Weight    float64 `json:"weight"`
	Gain      float64 `json:"gain"`
}

type fileLeaf struct {
	Active  bool        `json:"active"`
	MC      float64     `json:"mc"`
	NB      float64     `json:"nb"`
	Since   int         `json:"rows_since_attempt"`
	Classes []int       `json:"classes"`
	Weights []float64   `json:"weights"`
	Seen    []fileGauss `json:"observers"` // in the order in which they began
}

type fileGauss struct {
	Class  int       `json:"class"`
	Rows   float64   `json:"rows"`
	Mean   []float64 `json:"mean"`
	Spread []float64 `json:"spread"`
	Min    []float64 `json:"min"`
	Max    []float64 `json:"max"`
}

// WriteJSON writes all that the tree is, so that ReadJSON's learns on as this one would. One node is one line.
func (t *Tree) WriteJSON(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	head, err := json.Marshal(fileTree{Format: Format, Kind: Kind, Version: Version, Columns: t.columns, Classes: t.classes, Config: t.cfg,
		Rows: t.rows, Attempts: t.attempts, Limited: t.limited})
	if err != nil {
		return err
	}
	const tail = `"nodes":null}`
	if len(head) < len(tail) || string(head[len(head)-len(tail):]) != tail {
		return errors.New("the head of the model is not what was expected") // held by the tests
	}
	out.Write(head[:len(head)-len(tail)])
	out.WriteString("\"nodes\":[\n")
	for i := range t.nodes {
		line, err := json.Marshal(t.file(&t.nodes[i]))
		if err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		out.Write(line)
		if i < len(t.nodes)-1 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
	}
	out.WriteString("]}\n")
	return out.Flush()
}

func (t *Tree) file(n *node) fileNode {
	if n.feature >= 0 {
		return fileNode{Branch: &fileBranch{n.feature, n.threshold, n.left, n.right, n.weight, n.gain}}
	}
	l := n.leaf
	f := &fileLeaf{Active: l.active, MC: l.mc, NB: l.nb, Since: l.since, Classes: []int{}, Weights: []float64{}, Seen: []fileGauss{}}
	for i := range l.entries {
		f.Classes, f.Weights = append(f.Classes, l.entries[i].class), append(f.Weights, l.entries[i].weight)
	}
	for _, j := range l.order {
		o := l.entries[j].obs
		f.Seen = append(f.Seen, fileGauss{l.entries[j].class, o.n, o.mean, o.spread, o.min, o.max})
	}
	return fileNode{Leaf: f}
}

// ReadJSON reads what WriteJSON wrote. It refuses fields that it does not know, that are missing or there twice, another version, and
// whatever no tree can be: numbers out of range, nodes that are missing, unreachable or behind themselves. The error names the node,
// or the octet of the file.
func ReadJSON(r io.Reader) (*Tree, error) {
	var k keys
	d := json.NewDecoder(io.TeeReader(r, &k))
	d.DisallowUnknownFields()
	var f fileTree
	if err := d.Decode(&f); err != nil {
		if f.Kind != "" && f.Kind != Kind {
			return nil, fmt.Errorf("kind %q: not a Hoeffding tree", f.Kind)
		}
		return nil, fmt.Errorf("not a Hoeffding tree: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something stands behind the Hoeffding tree; the file was changed, write it anew")
	}
	switch {
	case f.Format != Format || f.Kind != Kind:
		return nil, fmt.Errorf("format %q, kind %q: not a Hoeffding tree", f.Format, f.Kind)
	case f.Version != Version:
		return nil, fmt.Errorf("version %d of the Hoeffding tree's format: this program reads version %d", f.Version, Version)
	}
	if k.err != nil {
		return nil, k.err
	}
	t, err := New(f.Columns, f.Classes, f.Config)
	if err != nil {
		return nil, err
	}
	if t.cfg != f.Config {
		return nil, fmt.Errorf("settings %+v: one of them is not filled in", f.Config)
	}
	if len(f.Nodes) == 0 || len(f.Nodes) > t.cfg.MaxNodes {
		return nil, fmt.Errorf("%d nodes: this tree has 1 to %d", len(f.Nodes), t.cfg.MaxNodes)
	}
	t.rows, t.attempts, t.limited = f.Rows, f.Attempts, f.Limited
	t.nodes = make([]node, len(f.Nodes))
	parents := make([]bool, len(f.Nodes))
	parents[0] = true
	for i := range f.Nodes {
		// Children stand behind their parents, so that a node's parent was seen before it, and there is no circle.
		if !parents[i] {
			return nil, fmt.Errorf("node %d: no branch before it leads to it", i)
		}
		if err := t.restore(i, &f.Nodes[i], parents); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	return t, nil
}

// restore sets node i, whose depth is set.
func (t *Tree) restore(i int, f *fileNode, parents []bool) error {
	n := &t.nodes[i]
	if (f.Branch == nil) == (f.Leaf == nil) {
		return errors.New("neither a branch nor a leaf, or both")
	}
	if b := f.Branch; b != nil {
		if b.Feature < 0 || b.Feature >= len(t.columns) {
			return fmt.Errorf("feature %d: there are %d", b.Feature, len(t.columns))
		}
		if b.Left == b.Right {
			return fmt.Errorf("both sides lead to node %d", b.Left)
		}
		for _, child := range [...]int{b.Left, b.Right} {
			switch {
			case child <= i || child >= len(t.nodes):
				return fmt.Errorf("leads to node %d: it must be one of %d to %d", child, i+1, len(t.nodes)-1)
			case parents[child]:
				return fmt.Errorf("leads to node %d, as another branch does", child)
			}
			parents[child] = true
			t.nodes[child].depth = n.depth + 1
		}
		if t.cfg.MaxDepth > 0 && n.depth >= t.cfg.MaxDepth {
			return fmt.Errorf("a branch at depth %d: the tree has leaves from %d on", n.depth, t.cfg.MaxDepth)
		}
		if !inRange(b.Threshold, -MaxValue, MaxValue) || !inRange(b.Weight, 0, 1<<53) || !inRange(b.Gain, -1e6, 1e6) {
			return fmt.Errorf("threshold %v, weight %v or gain %v is out of range", b.Threshold, b.Weight, b.Gain)
		}
		n.feature, n.threshold, n.left, n.right, n.weight, n.gain = b.Feature, b.Threshold, b.Left, b.Right, b.Weight, b.Gain
		t.splits++
		return nil
	}
	n.feature = -1
	l := &leaf{active: f.Leaf.Active, mc: f.Leaf.MC, nb: f.Leaf.NB, since: f.Leaf.Since}
	n.leaf = l
	if !inRange(l.mc, 0, 1<<53) || !inRange(l.nb, 0, 1<<53) || l.since < 0 || l.since >= t.cfg.GracePeriod {
		return fmt.Errorf("counts %v, %v or %d are out of range", l.mc, l.nb, l.since)
	}
	if len(f.Leaf.Classes) != len(f.Leaf.Weights) {
		return fmt.Errorf("%d classes and %d weights", len(f.Leaf.Classes), len(f.Leaf.Weights))
	}
	for j, class := range f.Leaf.Classes {
		if class < 0 || class >= len(t.classes) || l.place(class) >= 0 {
			return fmt.Errorf("class %d twice, or not one of %d", class, len(t.classes))
		}
		w := f.Leaf.Weights[j]
		if !inRange(w, 0, 1<<53) {
			return fmt.Errorf("class %d has weight %v", class, w)
		}
		l.entries[l.enter(class)].weigh(w)
	}
	if len(f.Leaf.Seen) > 0 && !l.active {
		return errors.New("a leaf that observes nothing has observers")
	}
	for j := range f.Leaf.Seen {
		if err := t.restoreObserver(l, &f.Leaf.Seen[j]); err != nil {
			return fmt.Errorf("observer %d: %w", j, err)
		}
	}
	return nil
}

func (t *Tree) restoreObserver(l *leaf, g *fileGauss) error {
	j := l.place(g.Class)
	if j < 0 || l.entries[j].obs != nil {
		return fmt.Errorf("class %d is not one of the leaf's, or has two", g.Class)
	}
	w := len(t.columns)
	if len(g.Mean) != w || len(g.Spread) != w || len(g.Min) != w || len(g.Max) != w {
		return fmt.Errorf("%d, %d, %d and %d values for %d columns", len(g.Mean), len(g.Spread), len(g.Min), len(g.Max), w)
	}
	if !inRange(g.Rows, 1, 1<<53) || g.Rows != math.Floor(g.Rows) {
		return fmt.Errorf("%v rows", g.Rows)
	}
	for f := range t.columns {
		if !inRange(g.Min[f], -MaxValue, MaxValue) || !inRange(g.Max[f], g.Min[f], MaxValue) || !inRange(g.Mean[f], g.Min[f], g.Max[f]) ||
			!inRange(g.Spread[f], 0, 1e300) {
			return fmt.Errorf("column %s: mean %v, spread %v, least %v or greatest value %v is out of range", t.columns[f],
				g.Mean[f], g.Spread[f], g.Min[f], g.Max[f])
		}
	}
	o := newObserver(slices.Concat(g.Mean, g.Spread, g.Min, g.Max, make([]float64, w)), g.Rows)
	l.entries[j].obs = o
	l.order = append(l.order, int16(j))
	return nil
}

// inRange is false for NaN.
func inRange(x, least, greatest float64) bool { return x >= least && x <= greatest }
