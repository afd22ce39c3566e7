package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/analysis/score"
	"pcaplab/datasets"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/truth"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/parse/model/hoeffding"
)

// trainFlags are the flags of all trainings.
type trainFlags struct {
	labelledFlags
	lists      fileLists
	data, test *fileList
	output     string
	columns    string
	drop       string
	nonFinite  nonFiniteFlag
	split      labelled.SplitConfig
	json       bool
	ways       string // what --split may be

	// Of train hoeffding: the tree to go on learning with and its file, and the file of the curve.
	tree          *hoeffding.Tree
	resume, curve string
}

// nonFiniteFlag is a flag for what becomes of rows with NaN or infinite values.
type nonFiniteFlag struct{ labelled.Policy }

func (n *nonFiniteFlag) Type() string { return "string" }
func (n *nonFiniteFlag) Set(s string) error {
	if s == labelled.Pass.String() {
		return fmt.Errorf("%q: choose fail, drop or clamp", s)
	}
	return n.UnmarshalText([]byte(s))
}

// splitNone is --split for learning from all rows.
const splitNone = "none"

func (f *trainFlags) add(a *app, c *cobra.Command, split string) {
	fs := c.Flags()
	f.data = f.lists.add(fs, "data", "tables and captures to learn from: all words up to the next such flag")
	f.test = f.lists.add(fs, "test", "tables and captures to test with, instead of a part of --data")
	fs.StringVarP(&f.output, "output", "o", "", "file of the model to write")
	fs.StringVar(&f.columns, "columns", "", "learn from these columns only: names joined by commas, or a `file` of one a line")
	fs.StringVar(&f.drop, "drop", "", "leave columns out: as --columns, or window-length for what tells a window's length (Number, Tot sum, ..._count)")
	f.nonFinite.Policy = labelled.Fail
	fs.Var(&f.nonFinite, "non-finite", "rows with NaN, an infinity or what float32 cannot hold in such a column: fail, drop or clamp (NaN to 0, else the column's extremes)")
	byDefault := " (default: capture where each class is in two files, else time)"
	if split == splitNone {
		byDefault = ": each row is predicted before it is learnt anyway"
	}
	fs.StringVar(&f.ways, "split", split, "keep rows back for a test: capture (whole files), time (the last of each file), random, or none"+byDefault)
	fs.Float64Var(&f.split.TestShare, "test-share", labelled.DefaultTestShare, "of the rows, with --split")
	f.labelledFlags.add(a, fs)
	fs.BoolVar(&f.json, "json", false, "print everything as a JSON object")
	a.offer(c, map[string][]string{
		"split": pairs(labelled.ByCapture, "whole captures and tables", labelled.ByTime, "the last rows of each", labelled.ByChance, "each row by lot",
			splitNone, "no test"),
		"non-finite": pairs("fail", "name the row", "drop", "leave rows out", "clamp", "to the extremes seen"),
		"group":      pairs(groupNone, "labels as they are", groupBinary, "Benign and Attack", groupCategory, "8 of CIC-IoT-2023", "map=", "a file of patterns and labels"),
		"drop":       pairs(windowLength, "columns that tell a window's length"),
	})
}

// trainCommand is the parent of trainings.
func (a *app) trainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a model on labelled feature vectors, without Python",
		Long: `Trains one of two baselines on tables of feature vectors (CSV or Parquet with a column Label, as 'features --label' writes) and on
captures, whose vectors are computed while they are read: a logistic regression (lr) or a Hoeffding tree (hoeffding), which learns row by row and
can go on learning. lr tests on rows that were kept back; hoeffding predicts each row before it learns it, and tests besides with --split or
--test. The model is used by 'validate', and by 'ceiling --stages features,model=FILE'.

Rows of one capture are alike. A test on neighbours of what was learnt flatters every model, so whole files to one side (--split capture) is
the default of lr where there are files enough; what else was done is said.

Rate of a window without time between its packets is infinite, so captures mostly need --non-finite drop (or clamp).`,
		Example: `  ` + a.Name + ` train lr --data PCAP/*/*.pcap --window 100 --non-finite drop -o lr.json
  ` + a.Name + ` train lr --data train.csv --test test.parquet --class-weights balanced -o lr.onnx
  ` + a.Name + ` train hoeffding --data PCAP/*/*.pcap --non-finite drop --order shuffled --curve curve.csv -o tree.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return usagef("no model %q to train: choose lr or hoeffding", args[0])
		},
	}
	c.AddCommand(a.trainLRCommand(), a.trainHoeffdingCommand())
	return c
}

// training is one run of train.
type training struct {
	*trainFlags
	a       *app
	columns []int
	names   []string // of columns
	set     *labelled.Set
	train   *labelled.Set
	test    *labelled.Set // nil: none
	show    func(done, total int64)
	report  trainReport
	written bool // the model
}

// trainReport is what a training says, as JSON.
type trainReport struct {
	Version string          `json:"version"`
	Kind    string          `json:"kind"`
	Output  string          `json:"output,omitempty"`
	Columns []string        `json:"columns"`
	Classes []string        `json:"classes"`
	Group   string          `json:"group"`
	Windows string          `json:"window,omitempty"` // of captures
	As      string          `json:"as,omitempty"`
	Policy  labelled.Policy `json:"non_finite"`
	Seed    uint64          `json:"seed"`
	// Synthetic says what of the data is made up.
	Synthetic     string             `json:"synthetic,omitempty"`
	SyntheticTest string             `json:"synthetic_test,omitempty"`
	Learnt        *labelled.Summary  `json:"learnt"`
	Tested        *labelled.Summary  `json:"tested,omitempty"`
	Split         *labelled.Division `json:"split,omitempty"`
	Warnings      []string           `json:"warnings,omitempty"`
	Training      any                `json:"training"`
	Seconds       float64            `json:"seconds,omitempty"` // of learning
	Test          *testReport        `json:"test,omitempty"`
}

// testReport is how a model did on rows that it did not learn.
type testReport struct {
	Confusion *score.Confusion `json:"confusion"`
	Metrics   score.Metrics    `json:"metrics"`
}

// begin opens the data and parts it. A training without error is ready to learn.
func (f *trainFlags) begin(c *cobra.Command, a *app, args []string, kind string) (*training, error) {
	t := &training{trainFlags: f, a: a}
	files := append(f.lists.gather(args), f.data.files...)
	switch {
	case len(files) == 0:
		return nil, usagef("no data: --data FILE..., tables of feature vectors or captures")
	case f.output == "":
		return nil, usagef("no model to write: -o FILE.json%s", map[bool]string{true: " or FILE.onnx"}[kind == kindLR])
	case len(f.test.files) > 0 && c.Flags().Changed("split"):
		return nil, usagef("--test names what to test with, --split keeps a part of --data for it: give one")
	case len(f.test.files) > 0 && c.Flags().Changed("test-share"):
		return nil, usagef("--test names what to test with, --test-share is a part of --data: give one")
	case f.ways == splitNone && c.Flags().Changed("test-share"):
		return nil, usagef("--test-share needs --split")
	case !(f.split.TestShare > 0 && f.split.TestShare < 1):
		return nil, usagef("--test-share %v: want more than 0 and less than 1", f.split.TestShare)
	}
	if err := f.checkOutputs(f.reads(append(slices.Clone(files), f.test.files...)), kind); err != nil {
		return nil, err
	}
	var err error
	if f.tree == nil {
		t.columns, err = chosenColumns(f.columns, f.drop)
	} else {
		t.columns, err = columnsOf(f.tree, f.resume)
	}
	if err != nil {
		return nil, err
	}
	for _, i := range t.columns {
		t.names = append(t.names, feature.Columns()[i])
	}
	f.split.Seed = f.seed
	if f.ways != splitNone {
		f.split.By = f.ways
	}
	if err := f.split.Check(); err != nil {
		return nil, usagef("--split: %w", err)
	}
	cfg, err := f.config()
	if err != nil {
		return nil, err
	}
	if err := f.idle(append(slices.Clone(files), f.test.files...)); err != nil {
		return nil, err
	}
	cfg.NonFinite, cfg.Columns = f.nonFinite.Policy, t.columns
	cfg.Progress = func(done, total int64) {
		if t.show != nil {
			t.show(done, total)
		}
	}
	if t.set, err = f.open(files, cfg); err != nil {
		return nil, err
	}
	if len(f.test.files) > 0 {
		if t.test, err = f.open(f.test.files, cfg); err != nil {
			return nil, err
		}
		if err := apart(files, f.test.files); err != nil {
			return nil, err
		}
	}
	return t, t.ended(c.Context(), t.part(c.Context(), kind))
}

// reads returns all files that are read for these data, but the tree to go on with.
func (f *trainFlags) reads(data []string) []string {
	all := slices.Clone(data)
	for _, file := range data {
		if f.truth == besideCapture {
			all = append(all, file+truth.Suffix)
		}
	}
	for _, flag := range []string{f.group, f.label} {
		if kind, file, _ := strings.Cut(flag, "="); kind == "map" {
			all = append(all, file)
		}
	}
	return append(all, f.columns, f.drop, f.truth) // as far as they are files
}

// checkOutputs refuses what cannot become the files to write, before hours of work.
func (f *trainFlags) checkOutputs(reads []string, kind string) error {
	switch ext := strings.ToLower(filepath.Ext(f.output)); {
	case ext == ".json":
	case ext == ".onnx" && kind == kindLR:
	case ext == ".onnx":
		return usagef("-o %s: ONNX holds no state to go on learning from, and no leaf that is a naive Bayes classifier: name it .json", f.output)
	default:
		return usagef("-o %s: want a name that ends in .json%s", f.output, map[bool]string{true: " or .onnx"}[kind == kindLR])
	}
	if err := checkOutput("-o", f.output, reads); err != nil || f.curve == "" {
		return err
	}
	if samePath(f.curve, f.output) {
		return usagef("--curve %s is the model's file", f.curve)
	}
	if f.resume != "" { // which -o may replace, with the same tree grown
		reads = append(reads, f.resume)
	}
	return checkOutput("--curve", f.curve, reads)
}

// checkOutput refuses a file to write that cannot be made, or would replace one to read.
func checkOutput(flag, path string, reads []string) error {
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return usagef("%s %s: want a folder that is there", flag, path)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return usagef("%s %s: not a regular file", flag, path)
	}
	for _, file := range reads {
		if file != "" && samePath(path, file) {
			return usagef("%s %s is a file to read", flag, path)
		}
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		target = path
	}
	if err := canWrite(target); err != nil {
		return fmt.Errorf("%s %s: %w", flag, path, err)
	}
	return nil
}

// samePath reports whether two paths are of one file, which need not be there.
func samePath(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return os.SameFile(x, y)
	}
	if errX == nil || errY == nil || filepath.Base(a) != filepath.Base(b) {
		return false
	}
	x, errX = os.Stat(filepath.Dir(a))
	y, errY = os.Stat(filepath.Dir(b))
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// columnsOf returns the columns of a tree, in its order.
func columnsOf(tree *hoeffding.Tree, path string) (columns []int, err error) {
	for _, name := range tree.Columns() {
		i := slices.Index(feature.Columns(), name)
		if i < 0 {
			return nil, fmt.Errorf("%s: its column %q is none of feature vectors: they have %s", path, name, strings.Join(feature.Columns(), ", "))
		}
		columns = append(columns, i)
	}
	return columns, nil
}

// apart refuses files that are both learnt from and tested with.
func apart(learn, test []string) error {
	for _, file := range test {
		info, err := os.Stat(file)
		if err != nil {
			continue // synthetic
		}
		for _, other := range learn {
			if with, err := os.Stat(other); err == nil && os.SameFile(info, with) {
				return usagef("%s is both learnt from and tested with: that tells nothing of other traffic", file)
			}
		}
	}
	return nil
}

// part reads the data once, parts it, and fills in the report.
func (t *training) part(ctx context.Context, kind string) error {
	r := &t.report
	*r = trainReport{Version: version(), Kind: kind, Output: t.output, Columns: t.names, Group: t.group, Policy: t.nonFinite.Policy, Seed: t.seed}
	bar := t.a.octetsBar("reading")
	t.show = bar.set
	err := func() error {
		all, err := t.set.Survey(ctx)
		if err != nil {
			return err
		}
		t.noteEmpty(all)
		if t.classes(all) < 2 {
			return fmt.Errorf("%d rows of %s: two classes at least are needed to tell them apart (a table needs a column Label; --label says how captures are labelled)", all.Rows,
				cmp.Or(strings.Join(labelNames(all.Labels), ", "), "no class"))
		}
		t.train, r.Learnt = t.set, all
		switch {
		case t.test != nil:
			limits, err := t.set.Limits(ctx)
			if err != nil {
				return err
			}
			t.test.SetLimits(limits)
			if r.Tested, err = t.test.Survey(ctx); err != nil {
				return err
			}
			t.noteEmpty(r.Tested)
			if r.Tested.Rows == 0 {
				return fmt.Errorf("--test: no rows, %d were dropped", r.Tested.Dropped)
			}
		case t.ways != splitNone:
			if t.train, t.test, r.Split, err = t.set.Split(ctx, t.split); err != nil {
				return err
			}
			if r.Learnt, err = t.train.Survey(ctx); err != nil {
				return err
			}
			if r.Tested, err = t.test.Survey(ctx); err != nil {
				return err
			}
			r.Warnings = append(r.Warnings, r.Split.Warnings...)
		}
		return nil
	}()
	bar.done()
	t.show = nil
	if fault := new(labelled.NonFiniteError); errors.As(err, &fault) {
		return fmt.Errorf("%w: --non-finite drop or clamp, or --drop %q", err, fault.Column)
	}
	if err != nil {
		return err
	}
	r.Classes = labelNames(r.Learnt.Labels)
	if taken := t.takenForAttacks(); taken != "" {
		r.Warnings = append(r.Warnings, taken)
	}
	if t.classes(r.Learnt) < 2 {
		return fmt.Errorf("only %s is left to learn from: split otherwise", r.Classes)
	}
	for _, s := range []*labelled.Summary{r.Learnt, r.Tested} {
		if s == nil {
			continue
		}
		if slices.ContainsFunc(s.Sources, func(s labelled.SourceSummary) bool { return !s.Table }) {
			r.Windows, r.As = t.window, t.as.String()
		}
	}
	learnt, err := t.caption(t.train, r.Learnt)
	if err != nil {
		return err
	}
	if learnt != "" {
		r.Synthetic = learnt
		r.Warnings = append(r.Warnings, learnt+": what was learnt is a generator, not a network")
	}
	if r.Tested == nil {
		return nil
	}
	if r.SyntheticTest, err = t.caption(t.test, r.Tested); err == nil && r.SyntheticTest != "" && (learnt == "" || len(t.trainFlags.test.files) > 0) {
		r.Warnings = append(r.Warnings, "test: "+r.SyntheticTest+": the result is of a generator, not of a network")
	}
	return err
}

// caption says what of the rows is made up.
func (t *training) caption(set *labelled.Set, s *labelled.Summary) (string, error) {
	var sources []labelled.Source
	for _, of := range s.Sources {
		source, _ := set.Source(of.Index)
		sources = append(sources, source)
	}
	return captionOf(sources, t.seed)
}

// classes is how many classes the model will have: those of the rows, and of a tree that goes on learning.
func (t *training) classes(s *labelled.Summary) int {
	names := labelNames(s.Labels)
	if t.tree != nil {
		for _, class := range t.tree.Classes() {
			if !slices.Contains(names, class) {
				names = append(names, class)
			}
		}
	}
	return len(names)
}

// noteEmpty says which files gave no rows, and why.
func (t *training) noteEmpty(s *labelled.Summary) {
	for _, source := range s.Sources {
		switch {
		case source.Vectors > 0 && source.Rows == 0:
			t.a.note("%s: all %s rows were dropped (--non-finite drop)", source.Path, datasets.FormatCount(uint64(source.Vectors)))
		case source.Vectors > 0:
		case source.Table:
			t.a.note("%s: a table without rows", source.Path)
		case source.Frames == 0:
			t.a.note("%s: a capture without packets", source.Path)
		default:
			var why []string
			for _, reason := range slices.Sorted(maps.Keys(source.NoRow)) {
				if n := source.NoRow[reason]; n > 0 {
					why = append(why, fmt.Sprintf("%s %s", reason, datasets.FormatCount(n)))
				}
			}
			t.a.note("%s: none of its %s packets counts in a window: %s", source.Path, datasets.FormatCount(source.Frames), strings.Join(why, ", "))
		}
	}
}

func labelNames(labels []labelled.LabelCount) (names []string) {
	for _, l := range labels {
		names = append(names, l.Label)
	}
	return names
}

// ended says what an interrupted training leaves.
func (t *training) ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		if t.written {
			t.a.note("the model was written, %s; the test was not done", t.output)
		} else {
			t.a.note("no model was written")
		}
	}
	return err
}

// pick sets x to the chosen columns of a row.
func (t *training) pick(x []float64, r *labelled.Row) {
	for i, c := range t.columns {
		x[i] = r.Values[c]
	}
}

// write makes the file of the model, whole and readable: what write writes is read back, and must say of the first rows what the
// trained model says.
func (t *training) write(ctx context.Context, trained predictor, write func(io.Writer) error) (model.Model, error) {
	var file bytes.Buffer
	if err := write(&file); err != nil {
		return nil, err
	}
	m, err := model.Read(file.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: what was written cannot be read, which is a fault of this program: %w", t.output, err)
	}
	bound, err := model.Bind(m, t.names, model.Fail)
	if err != nil {
		return nil, err
	}
	x := make([]float64, len(t.columns))
	left := 100
	err = t.train.Each(ctx, func(r *labelled.Row) error {
		t.pick(x, r)
		want, err := trained.Predict(x, nil)
		if err != nil {
			return err
		}
		got, _, err := bound.Predict(x, nil)
		if err != nil {
			return err
		}
		if a, b := trained.Classes()[want], m.Classes()[got]; a != b && !t.near(trained, x) {
			return fmt.Errorf("%s: the model as written says %s of row %d of %s, as trained %s: a fault of this program", t.output, b, r.Number,
				t.set.Path(r.Source), a)
		}
		if left--; left == 0 {
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough {
		return nil, err
	}
	if err := report.WriteFile(t.output, func(w io.Writer) error {
		_, err := w.Write(file.Bytes())
		return err
	}); err != nil {
		return nil, err
	}
	t.written = true
	return model.Open(t.output)
}

// errEnough ends a pass.
var errEnough = errors.New("enough")

// predictor is what trained models have in common.
type predictor interface {
	Classes() []string
	Predict(x, scores []float64) (int, error)
}

// near reports whether two classes are so close that the float32 of ONNX may decide otherwise.
func (t *training) near(m predictor, x []float64) bool {
	scores := make([]float64, len(m.Classes()))
	if _, err := m.Predict(x, scores); err != nil {
		return false
	}
	slices.Sort(scores)
	return scores[len(scores)-1]-scores[len(scores)-2] < 1e-4
}

// try tests the model on the rows kept for it.
func (t *training) try(ctx context.Context, m model.Model) error {
	if t.test == nil {
		return nil
	}
	classes := slices.Clone(m.Classes())
	for _, l := range t.report.Tested.Labels {
		if !slices.Contains(classes, l.Label) {
			classes = append(classes, l.Label)
		}
	}
	index := map[string]int{}
	for i, c := range classes {
		index[c] = i
	}
	bound, err := model.Bind(m, t.names, model.Fail)
	if err != nil {
		return err
	}
	confusion := score.New(classes)
	bar := t.a.rowsBar("testing")
	defer bar.done()
	x := make([]float64, len(t.columns))
	var n int64
	err = t.test.Each(ctx, func(r *labelled.Row) error {
		t.pick(x, r)
		class, _, err := bound.Predict(x, nil)
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", t.test.Path(r.Source), r.Number, err)
		}
		confusion.Add(index[r.Label], class)
		if n++; n%1024 == 0 {
			bar.set(n, t.report.Tested.Rows)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.report.Test = &testReport{Confusion: confusion, Metrics: confusion.Metrics()}
	return nil
}

// end prints what came of it. more adds lines of the kind of model.
func (t *training) end(more func(w io.Writer)) error {
	if t.json {
		return json.NewEncoder(t.a.stdout).Encode(t.report)
	}
	r, w := &t.report, new(bytes.Buffer)
	fmt.Fprintf(w, "learnt   %s\n", describeRows(r.Learnt))
	if r.Tested != nil {
		fmt.Fprintf(w, "tested   %s\n", describeRows(r.Tested))
	}
	if s := r.Split; s != nil {
		chosen := ""
		if s.Chosen {
			chosen = ", since not every class is in two files"
			if s.By == labelled.ByCapture {
				chosen = ", since every class is in two files at least"
			}
		}
		fmt.Fprintf(w, "split    by %s%s\n", s.By, chosen)
	}
	fmt.Fprintf(w, "columns  %d of %d\n", len(t.columns), feature.NumColumns)
	for i, s := range []*labelled.Summary{r.Learnt, r.Tested} {
		if s == nil {
			continue
		}
		to := []string{"to learn from", "to test with"}[i]
		if s.Dropped > 0 {
			fmt.Fprintf(w, "dropped  %s rows %s, %s\n", datasets.FormatCount(uint64(s.Dropped)), to, nonFiniteColumns(s))
		}
		if s.Clamped > 0 {
			fmt.Fprintf(w, "clamped  %s rows %s, %s\n", datasets.FormatCount(uint64(s.Clamped)), to, nonFiniteColumns(s))
		}
	}
	more(w)
	fmt.Fprintf(w, "model    %s\n", t.output)
	if r.Test != nil {
		fmt.Fprintln(w)
		if err := t.quality(w); err != nil {
			return err
		}
	}
	if _, err := w.WriteTo(t.a.stdout); err != nil {
		return err
	}
	said := map[string]bool{} // of a file that stands on both sides
	for _, s := range []*labelled.Summary{r.Learnt, r.Tested} {
		if s == nil {
			continue
		}
		for _, source := range s.Sources {
			for _, loss := range source.Losses {
				if loss = source.Path + ": " + loss; !said[loss] {
					said[loss] = true
					t.a.note("%s", loss)
				}
			}
		}
	}
	for _, warning := range r.Warnings {
		t.a.note("warning: %s", warning)
	}
	return nil
}

// describeRows says in a line what a set holds.
func describeRows(s *labelled.Summary) string {
	tables := 0
	for _, source := range s.Sources {
		if source.Table {
			tables++
		}
	}
	var of []string
	if tables > 0 {
		of = append(of, plural(tables, "table", "tables"))
	}
	if captures := len(s.Sources) - tables; captures > 0 {
		of = append(of, fmt.Sprintf("%s (%v of traffic)", plural(captures, "capture", "captures"), s.Covered.Round(time.Second)))
	}
	return fmt.Sprintf("%s rows of %s in %s", datasets.FormatCount(uint64(s.Rows)), plural(len(s.Labels), "class", "classes"), strings.Join(of, " and "))
}

func nonFiniteColumns(s *labelled.Summary) string {
	var parts []string
	for _, c := range feature.Columns() {
		if n := s.NonFinite[c]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s not finite in %s", c, datasets.FormatCount(uint64(n))))
		}
	}
	return strings.Join(parts, ", ")
}

// quality prints how the test went.
func (t *training) quality(w io.Writer) error {
	m := t.report.Test.Metrics
	share := func(v float64) string { return fmt.Sprintf("%.4f", v) }
	fmt.Fprintf(w, "macro-F1 %s, accuracy %s, balanced %s, MCC %s\n", share(m.Macro.F1), share(m.Accuracy), share(m.BalancedAccuracy), share(m.MCC))
	fmt.Fprintf(w, "always %s: macro-F1 %s, accuracy %s\n\n", m.Baseline.Class, share(m.Baseline.MacroF1), share(m.Baseline.Accuracy))
	table := report.Table{Columns: []report.Column{{Head: "class"}, {Head: "learnt", Right: true}, {Head: "tested", Right: true},
		{Head: "precision", Right: true}, {Head: "recall", Right: true}, {Head: "F1", Right: true}}}
	for _, class := range m.PerClass {
		var learnt int64
		for _, l := range t.report.Learnt.Labels {
			if l.Label == class.Class {
				learnt = l.Rows
			}
		}
		table.Add(report.Text(class.Class), report.Text(datasets.FormatCount(uint64(learnt))), report.Text(datasets.FormatCount(class.Support)),
			report.Number(class.Precision, share), report.Number(class.Recall, share), report.Number(class.F1, share))
	}
	return table.WriteText(w)
}

// rowsBar is octetsBar for rows.
func (a *app) rowsBar(what string) *bar {
	b := &bar{begin: time.Now()}
	if a.progress() {
		b.make = func(total int64) *progressbar.ProgressBar {
			return progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
				progressbar.OptionSetDescription(what), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionFullWidth())
		}
	}
	return b
}
