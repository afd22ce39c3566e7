package xgboost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pcaplab/parse/model/tree"
)

// Limits of what Read takes.
const (
	maxWidth   = 1 << 16 // features
	maxClasses = 1 << 16
)

// file is what is read of XGBoost's JSON. Numbers that describe the model are texts there.
type file struct {
	Version []int    `json:"version"`
	Learner *learner `json:"learner"`
}

type learner struct {
	Attributes struct {
		Best   string  `json:"best_iteration"`
		Scikit *string `json:"scikit_learn"`
	} `json:"attributes"`
	Names   []string `json:"feature_names"`
	Types   []string `json:"feature_types"`
	Booster booster  `json:"gradient_booster"`
	Param   struct {
		Base     string `json:"base_score"`
		Classes  string `json:"num_class"`
		Features string `json:"num_feature"`
		Targets  string `json:"num_target"`
	} `json:"learner_model_param"`
	Objective struct {
		Name string `json:"name"`
	} `json:"objective"`
}

type booster struct {
	Name  string    `json:"name"`
	Model *ensemble `json:"model"`
	// Of dart.
	Inner *booster  `json:"gbtree"`
	Drop  []float32 `json:"weight_drop"`
}

type ensemble struct {
	Param struct {
		Parallel string `json:"num_parallel_tree"`
	} `json:"gbtree_model_param"`
	Rounds  []int     `json:"iteration_indptr"` // since 2.0: where each round's trees begin
	Groups  []int     `json:"tree_info"`
	Trees   trees     `json:"trees"`
	Weights []float32 `json:"weights"` // of gblinear
}

type oneTree struct {
	Left       []int     `json:"left_children"`
	Right      []int     `json:"right_children"`
	Feature    []int64   `json:"split_indices"`
	Split      []float32 `json:"split_conditions"`
	Type       []int     `json:"split_type"`
	Default    []flag    `json:"default_left"`
	Categories []int     `json:"categories"`
	Param      struct {
		Deleted string `json:"num_deleted"`
		Vector  string `json:"size_leaf_vector"`
	} `json:"tree_param"`
}

// trees are read one by one, and refused at the first that is none: so that what is empty in the file takes no room.
type trees []oneTree

// UnmarshalJSON reads the list.
func (t *trees) UnmarshalJSON(b []byte) error {
	*t = nil
	d := json.NewDecoder(bytes.NewReader(b))
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return fmt.Errorf("trees is no list")
	}
	for d.More() {
		if len(*t) == tree.MaxTrees {
			return fmt.Errorf("more than %d trees", tree.MaxTrees)
		}
		var one oneTree
		if err := d.Decode(&one); err != nil {
			return fmt.Errorf("tree %d: %w", len(*t), err)
		}
		if len(one.Left) == 0 {
			return fmt.Errorf("tree %d: no nodes", len(*t))
		}
		*t = append(*t, one)
	}
	return nil
}

// flag is 0 or 1, or false or true.
type flag bool

// UnmarshalJSON reads either spelling.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "0", "false":
		*f = false
	case "1", "true":
		*f = true
	default:
		return fmt.Errorf("default_left is %.20s, not 0 or 1", b)
	}
	return nil
}

// Read reads a model from what save_model("model.json") wrote; data is not kept. Boosters gbtree, dart and gblinear are read, with
// the objectives binary:logistic, binary:logitraw, binary:hinge, multi:softprob and multi:softmax. A model that XGBClassifier stopped
// early has the trees that its predict takes, up to the best round. Splits by category, several targets and the binary formats
// are refused. Errors name tree and node.
func Read(data []byte) (*Model, error) {
	if text := bytes.TrimLeft(data, " \t\r\n\ufeff"); len(text) > 1 && text[0] == '{' && strings.IndexByte("\" \t\r\n}", text[1]) < 0 {
		return nil, fmt.Errorf("UBJSON, XGBoost's binary format: %w", errSave)
	}
	if bytes.HasPrefix(data, []byte("binf")) {
		return nil, fmt.Errorf("XGBoost's old binary format: %w", errSave)
	}
	var f file
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &f); err != nil {
		return nil, fmt.Errorf("XGBoost JSON: %w", err)
	}
	if f.Learner == nil {
		return nil, fmt.Errorf("JSON, but of no model of XGBoost or of this program: it has no learner and no format")
	}
	m, err := f.Learner.model()
	if err != nil {
		return nil, fmt.Errorf("XGBoost JSON: %w", err)
	}
	return m, nil
}

func (l *learner) model() (*Model, error) {
	m := &Model{}
	i := slices.Index(objectives[:], l.Objective.Name)
	if i < 0 {
		return nil, fmt.Errorf("objective %q is not one of %s", l.Objective.Name, strings.Join(objectives[:], ", "))
	}
	m.objective = objective(i)
	var err error
	if m.width, err = number("num_feature", l.Param.Features, 1, maxWidth); err != nil {
		return nil, err
	}
	groups := 1
	if m.objective == softprob || m.objective == softmax {
		if groups, err = number("num_class", l.Param.Classes, 2, maxClasses); err != nil {
			return nil, err
		}
	} else if l.Param.Classes != "" && l.Param.Classes != "0" && l.Param.Classes != "1" {
		return nil, fmt.Errorf("num_class %s with the objective %s", l.Param.Classes, l.Objective.Name)
	}
	if l.Param.Targets != "" {
		if _, err := number("num_target", l.Param.Targets, 0, 1); err != nil {
			return nil, fmt.Errorf("several targets: %w", err)
		}
	}
	if len(l.Names) > 0 {
		if len(l.Names) != m.width {
			return nil, fmt.Errorf("%d feature_names of %d features", len(l.Names), m.width)
		}
		m.columns = l.Names
	}
	for i, kind := range l.Types {
		if kind == "c" {
			return nil, fmt.Errorf("feature %d is categorical: only numbers are taken here", i)
		}
	}
	if m.base, err = l.bases(m.objective, groups); err != nil {
		return nil, err
	}
	if err := l.boost(m, groups); err != nil {
		return nil, err
	}
	if m.classes, err = l.classes(max(groups, 2)); err != nil {
		return nil, err
	}
	m.x, m.sums = make([]float32, m.width), make([]float32, groups)
	return m, nil
}

// boost reads the trees or weights.
func (l *learner) boost(m *Model, groups int) error {
	b := &l.Booster
	if b.Name == "dart" {
		if b.Inner == nil {
			return fmt.Errorf("a dart without its gbtree")
		}
		b = b.Inner
	}
	if b.Model == nil {
		return fmt.Errorf("booster %q without a model", b.Name)
	}
	switch b.Name {
	case "gblinear":
		return m.readLinear(b.Model, groups)
	case "gbtree":
	default:
		return fmt.Errorf("booster %q is not one of gbtree, dart, gblinear", b.Name)
	}
	e := b.Model
	if len(e.Groups) != len(e.Trees) {
		return fmt.Errorf("tree_info is of %d trees: there are %d", len(e.Groups), len(e.Trees))
	}
	if len(e.Trees) < groups {
		return fmt.Errorf("%d trees of %d classes", len(e.Trees), groups)
	}
	if l.Booster.Name == "dart" && len(l.Booster.Drop) != len(e.Trees) {
		return fmt.Errorf("weight_drop is of %d trees: there are %d", len(l.Booster.Drop), len(e.Trees))
	}
	used, err := l.used(e, groups)
	if err != nil {
		return err
	}
	spec := tree.Spec{Features: m.width, Outputs: groups, Trees: make([][]tree.Node, used)}
	for i := range used {
		group := e.Groups[i]
		if group < 0 || group >= groups {
			return fmt.Errorf("tree %d is of class %d: there are %d", i, group, groups)
		}
		nodes, err := e.Trees[i].nodes(group, m.width)
		if err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		if l.Booster.Name == "dart" {
			scale(nodes, l.Booster.Drop[i], m.base[group])
		}
		spec.Trees[i] = nodes
	}
	m.trees, err = tree.Compile(spec)
	return err
}

// scale multiplies the values of a tree that dart keeps in part. XGBoost adds them to the base and takes it away again, in float32.
func scale(nodes []tree.Node, by, base float32) {
	for i := range nodes {
		for k := range nodes[i].Weights {
			w := &nodes[i].Weights[k]
			kept := float32(float32(base+float32(w.Value)) - base)
			w.Value = float64(float32(kept * by))
		}
	}
}

// used returns how many trees predict takes: XGBClassifier's stops at the best round, Booster's does not.
func (l *learner) used(e *ensemble, groups int) (int, error) {
	all := len(e.Trees)
	if l.Attributes.Best == "" || l.Attributes.Scikit == nil {
		return all, nil
	}
	best, err := strconv.Atoi(l.Attributes.Best)
	if err != nil || best < 0 {
		return 0, fmt.Errorf("best_iteration is %q", l.Attributes.Best)
	}
	if n := len(e.Rounds); n > 0 {
		if best+1 >= n {
			return 0, fmt.Errorf("best_iteration %d: there are %d rounds", best, n-1)
		}
		if end := e.Rounds[best+1]; end > 0 && end <= all {
			return end, nil
		}
		return 0, fmt.Errorf("round %d ends at tree %d: there are %d", best, e.Rounds[best+1], all)
	}
	parallel := 1
	if e.Param.Parallel != "" {
		if parallel, err = number("num_parallel_tree", e.Param.Parallel, 0, all); err != nil {
			return 0, err
		}
	}
	if each := groups * max(parallel, 1); best < all/each {
		return (best + 1) * each, nil
	}
	return 0, fmt.Errorf("best_iteration %d: there are %d trees", best, all)
}

// nodes returns the nodes of a tree that are not deleted, in the order in which they are reached.
func (t *oneTree) nodes(group, width int) ([]tree.Node, error) {
	n := len(t.Left)
	for _, list := range []struct {
		name string
		len  int
	}{{"right_children", len(t.Right)}, {"split_indices", len(t.Feature)}, {"split_conditions", len(t.Split)}, {"default_left", len(t.Default)}} {
		if list.len != n {
			return nil, fmt.Errorf("%s is of %d nodes, left_children of %d", list.name, list.len, n)
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("no nodes")
	}
	if len(t.Categories) > 0 || slices.ContainsFunc(t.Type, func(kind int) bool { return kind != 0 }) {
		return nil, fmt.Errorf("splits by category: only numbers are taken here")
	}
	if v := t.Param.Vector; v != "" && v != "0" && v != "1" {
		return nil, fmt.Errorf("leaves of %s values", v)
	}
	deleted := 0
	if t.Param.Deleted != "" {
		var err error
		if deleted, err = number("num_deleted", t.Param.Deleted, 0, n-1); err != nil {
			return nil, err
		}
	}
	places := make([]int, n) // of a node, plus 1; 0 is not reached
	order := append(make([]int, 0, n-deleted), 0)
	places[0] = 1
	reach := func(from, to int) (int, error) {
		if to < 0 || to >= n {
			return 0, fmt.Errorf("node %d has node %d as a child: there are %d", from, to, n)
		}
		if places[to] != 0 {
			return 0, fmt.Errorf("node %d is reached twice, the second time from node %d: a cycle, or not a tree", to, from)
		}
		order = append(order, to)
		places[to] = len(order)
		return len(order) - 1, nil
	}
	nodes := make([]tree.Node, 0, n-deleted)
	for k := 0; k < len(order); k++ {
		i := order[k]
		if t.Left[i] == -1 && t.Right[i] == -1 {
			nodes = append(nodes, tree.Node{Mode: tree.Leaf, Weights: []tree.Weight{{Output: group, Value: float64(t.Split[i])}}})
			continue
		}
		if t.Feature[i] < 0 || t.Feature[i] >= int64(width) {
			return nil, fmt.Errorf("node %d compares feature %d: there are %d", i, t.Feature[i], width)
		}
		left, err := reach(i, t.Left[i])
		if err != nil {
			return nil, err
		}
		right, err := reach(i, t.Right[i])
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, tree.Node{Mode: tree.LT, Feature: int(t.Feature[i]), Threshold: float64(t.Split[i]), True: left, False: right,
			MissingTrue: bool(t.Default[i])})
	}
	if lost := n - len(order); lost != deleted {
		return nil, fmt.Errorf("%d nodes are not reached from the root, and %d are deleted", lost, deleted)
	}
	return nodes, nil
}

// readLinear takes the weights of a gblinear: of each feature, then the biases, which are added to the base.
func (m *Model) readLinear(e *ensemble, groups int) error {
	if len(e.Weights) != (m.width+1)*groups {
		return fmt.Errorf("%d weights of %d features and %d classes: not %d", len(e.Weights), m.width, groups, (m.width+1)*groups)
	}
	m.linear = e.Weights[:m.width*groups]
	for k, bias := range e.Weights[m.width*groups:] {
		m.base[k] = bias + m.base[k]
	}
	return nil
}

// bases returns what each sum begins with. Since 3.1 base_score is a list.
func (l *learner) bases(o objective, groups int) ([]float32, error) {
	text := l.Param.Base
	if inner, ok := strings.CutPrefix(text, "["); ok {
		text, ok = strings.CutSuffix(inner, "]")
		if !ok {
			return nil, fmt.Errorf("base_score is %.40q", l.Param.Base)
		}
	}
	parts := strings.Split(text, ",")
	if len(parts) != 1 && len(parts) != groups {
		return nil, fmt.Errorf("%d base_scores of %d classes", len(parts), groups)
	}
	bases := make([]float32, len(parts), groups)
	for i, part := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 32)
		if err != nil || v-v != 0 {
			return nil, fmt.Errorf("base_score is %.40q", l.Param.Base)
		}
		if bases[i], err = o.margin(float32(v)); err != nil {
			return nil, err
		}
	}
	for len(bases) < groups && l.Booster.fits(groups) {
		bases = append(bases, bases[0])
	}
	if len(bases) != groups {
		return nil, fmt.Errorf("%d classes: more than there are trees or weights", groups)
	}
	return bases, nil
}

// fits reports whether there is enough of a model for so many classes.
func (b *booster) fits(groups int) bool {
	if b.Inner != nil {
		b = b.Inner
	}
	return b.Model != nil && groups <= max(len(b.Model.Trees), len(b.Model.Weights))
}

// classes returns the names that XGBClassifier kept (classes_, until 1.7), or numbers.
func (l *learner) classes(n int) ([]string, error) {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	if l.Attributes.Scikit == nil {
		return names, nil
	}
	// Python wrote it, with NaN in it, so it is no JSON as a whole.
	_, rest, ok := strings.Cut(*l.Attributes.Scikit, `"classes_":`)
	if !ok {
		return names, nil
	}
	decoder := json.NewDecoder(strings.NewReader(rest))
	decoder.UseNumber()
	var kept []any
	if err := decoder.Decode(&kept); err != nil || len(kept) != n {
		return nil, fmt.Errorf("classes_ of XGBClassifier is not a list of %d", n)
	}
	for i, v := range kept {
		names[i] = fmt.Sprint(v)
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("classes_ of XGBClassifier has %q twice", names[i])
		}
	}
	return names, nil
}

// number reads one of the numbers that are texts.
func number(name, text string, least, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s is %.40q, not a number", name, text)
	}
	if n < least || n > most {
		return 0, fmt.Errorf("%s is %d, not from %d to %d", name, n, least, most)
	}
	return n, nil
}
