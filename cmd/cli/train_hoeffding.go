package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/analysis/score"
	"pcaplab/datasets"
	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/model/hoeffding"
)

// hoeffdingFlags are the flags of train hoeffding.
type hoeffdingFlags struct {
	trainFlags
	cfg   hoeffding.Config
	order string
	every int
	print bool
}

func (a *app) trainHoeffdingCommand() *cobra.Command {
	var f hoeffdingFlags
	c := &cobra.Command{
		Use:   "hoeffding [flags] --data FILE... -o MODEL.json",
		Short: "Train a Hoeffding tree, row by row",
		Long: `Trains a Hoeffding tree as river's HoeffdingTreeClassifier has it, in one pass: each row is predicted, then learnt from, and what was predicted
before it was learnt is the prequential result. Memory is the tree's, whatever the data's size. The file holds all that the tree knows:
--resume-from goes on learning where it ended, on other data, with new classes as they come.

An online learner forgets nothing and sees no row twice, so the order of the rows matters: a stream that is sorted by class leaves a tree that
expects the last one. --order interleaved spreads each file's rows evenly over the pass, in their order; shuffled draws them from a buffer of
--memory besides; read takes file after file. No rows are kept back for a test unless --split or --test says so. What is interrupted while it
learns writes nothing.`,
		Example: `  ` + a.Name + ` train hoeffding --data PCAP/*/*.pcap --window 100 --non-finite drop --curve curve.csv -o tree.json
  ` + a.Name + ` train hoeffding --data monday.csv --order read --split time -o tree.json
  ` + a.Name + ` train hoeffding --resume-from tree.json --data tuesday.csv -o tree.json
  ` + a.Name + ` train hoeffding --data Merged*.csv --order shuffled --group category --leaf mc -o tree.json`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	f.add(a, c, splitNone)
	fs := c.Flags()
	fs.IntVar(&f.cfg.GracePeriod, "grace-period", 200, "rows that a leaf takes in between attempts to split it")
	fs.Float64Var(&f.cfg.Delta, "delta", 1e-7, "probability of choosing another split than infinitely many rows would")
	fs.Float64Var(&f.cfg.Tau, "tau", 0.05, "Hoeffding bound below which a tie is broken (negative: never)")
	fs.StringVar(&f.cfg.Leaf, "leaf", hoeffding.Adaptive, "what a leaf predicts: mc (majority class), nb (naive Bayes) or nba (whichever was right more often)")
	fs.IntVar(&f.cfg.NumSplits, "splits", 10, "thresholds of a column that are tried")
	fs.IntVar(&f.cfg.MaxDepth, "max-depth", 0, "depth at which leaves are not split (0: no limit)")
	fs.IntVar(&f.cfg.MaxNodes, "max-nodes", 4096, "number of nodes at which the tree stops growing")
	fs.StringVar(&f.order, "order", labelled.Interleaved, "read, interleaved or shuffled")
	fs.StringVar(&f.resume, "resume-from", "", "go on learning with this tree; it keeps its columns and settings")
	fs.StringVar(&f.curve, "curve", "", "write the prequential result by rows to this CSV `file`")
	fs.IntVar(&f.every, "curve-every", 1000, "rows between lines of --curve, and those of its recent accuracy")
	fs.BoolVar(&f.print, "tree", false, "print the tree")
	a.offer(c, map[string][]string{
		"leaf": pairs(hoeffding.MajorityClass, "majority class", hoeffding.NaiveBayes, "naive Bayes", hoeffding.Adaptive, "whichever was right more often"),
		"order": pairs(labelled.AsRead, "file after file", labelled.Interleaved, "each file spread evenly over the pass",
			labelled.Shuffled, "interleaved, and drawn from a buffer"),
	})
	return c
}

func (f *hoeffdingFlags) run(c *cobra.Command, a *app, args []string) error {
	if f.order == labelled.Shuffled {
		f.memory /= 2 // the other half is the buffer's
	}
	order := labelled.Order{By: f.order, Seed: f.seed}
	if f.order == labelled.Shuffled {
		order.Buffer = int(min(max(1, int64(f.memory)/rowOctets), math.MaxInt32)) // an int of 32 bit holds it
	}
	if err := order.Check(); err != nil {
		return usagef("--order: %w", err)
	}
	if f.every < 1 || f.every > hoeffding.MaxWindow {
		return usagef("--curve-every %d: want 1 to %d", f.every, hoeffding.MaxWindow)
	}
	if f.curve == "" && c.Flags().Changed("curve-every") {
		return usagef("--curve-every needs --curve")
	}
	if f.cfg.Tau == 0 { // which the package takes for its default
		f.cfg.Tau = -1
	}
	var tree *hoeffding.Tree
	if f.resume != "" {
		for _, name := range []string{"grace-period", "delta", "tau", "leaf", "splits", "max-depth", "max-nodes", "columns", "drop"} {
			if c.Flags().Changed(name) {
				return usagef("--%s with --resume-from: the tree keeps its own", name)
			}
		}
		file, err := os.Open(f.resume)
		if err != nil {
			return err
		}
		defer file.Close()
		if tree, err = hoeffding.ReadJSON(bufio.NewReader(file)); err != nil {
			return fmt.Errorf("%s: %w", f.resume, err)
		}
		f.tree = tree
	} else if _, err := hoeffding.New(feature.Columns(), nil, f.cfg); err != nil {
		return usageError{err}
	}
	t, err := f.begin(c, a, args, kindHoeffding)
	if err != nil {
		return err
	}
	if tree == nil {
		if tree, err = hoeffding.New(t.names, t.report.Classes, f.cfg); err != nil {
			return err
		}
	}
	return t.ended(c.Context(), t.hoeffding(c.Context(), tree, order, f))
}

// rowOctets is about what a row takes in the buffer of --order shuffled.
const rowOctets = 8*feature.NumColumns + 64

// prequentialReport is the test-then-train result.
type prequentialReport struct {
	Order     labelled.Order    `json:"order"`
	Config    hoeffding.Config  `json:"config"`
	Tree      hoeffding.Summary `json:"tree"`
	Resumed   string            `json:"resumed_from,omitempty"`
	Confusion *score.Confusion  `json:"confusion"`
	Metrics   score.Metrics     `json:"metrics"`
	// Changes are how often a row's label was another than that of the row before; Expected is that in an order by chance.
	Changes  uint64  `json:"label_changes"`
	Expected float64 `json:"label_changes_by_chance"`
}

// curvePoint is a line of --curve.
type curvePoint struct {
	rows                  uint64
	all, recent, macroF1  float64
	nodes, classes, depth int
}

// hoeffding trains, writes and tests a tree.
func (t *training) hoeffding(ctx context.Context, tree *hoeffding.Tree, order labelled.Order, f *hoeffdingFlags) error {
	r := &t.report
	before := len(tree.Classes())
	classes := map[string]int{}
	for _, label := range r.Classes {
		i, err := tree.AddClass(label)
		if err != nil {
			return err
		}
		classes[label] = i
	}
	if added := tree.Classes()[before:]; f.resume != "" && len(added) > 0 {
		r.Warnings = append(r.Warnings, "new to the tree: "+strings.Join(added, ", "))
	}
	r.Classes = tree.Classes()
	confusion := score.New(tree.Classes())
	how := prequentialReport{Order: order, Resumed: f.resume, Confusion: confusion}
	recent := hoeffding.NewPrequential(f.every)
	var curve []curvePoint
	x := make([]float64, len(t.columns))
	bar := t.a.rowsBar("learning")
	begin := time.Now()
	last := -1
	n := uint64(0)
	point := func() {
		all, late := recent.Accuracy()
		s := tree.Summary()
		curve = append(curve, curvePoint{n, all, late, confusion.Metrics().Macro.F1, s.Nodes, len(tree.Classes()), s.Depth})
	}
	err := t.train.EachIn(ctx, order, func(row *labelled.Row) error {
		t.pick(x, row)
		class, ok := classes[row.Label]
		if !ok {
			return fmt.Errorf("%s: row %d: class %q was not there when classes were counted: the data changed meanwhile; train again",
				t.train.Path(row.Source), row.Number, row.Label)
		}
		predicted, err := tree.Predict(x, nil)
		if err == nil {
			err = tree.Learn(x, class)
		}
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", t.train.Path(row.Source), row.Number, err)
		}
		confusion.Add(class, predicted)
		recent.Add(class, predicted)
		if class != last {
			if last >= 0 {
				how.Changes++
			}
			last = class
		}
		n++
		if f.curve != "" && n%uint64(f.every) == 0 {
			point()
		}
		if n%1024 == 0 {
			bar.set(int64(n), r.Learnt.Rows)
		}
		return nil
	})
	bar.done()
	if err != nil {
		return err
	}
	if f.curve != "" && n%uint64(f.every) != 0 {
		point()
	}
	r.Seconds = time.Since(begin).Seconds()
	how.Config, how.Tree, how.Metrics = tree.Config(), tree.Summary(), confusion.Metrics()
	how.Expected = changesByChance(r.Learnt)
	if how.Expected > 20 && float64(how.Changes) < how.Expected/10 {
		remedy := "--order shuffled"
		if order.By == labelled.Shuffled {
			remedy = "more --memory, or files in which classes alternate"
		}
		r.Warnings = append(r.Warnings, fmt.Sprintf("THE ROWS ARE SORTED BY CLASS: the class changed %d times, %.0f would be chance; a tree that learns so expects "+
			"the class of the last rows, and its prequential result says little: %s", how.Changes, how.Expected, remedy))
	}
	if order.By == labelled.Shuffled && int64(order.Buffer) < r.Learnt.Rows {
		r.Warnings = append(r.Warnings, fmt.Sprintf("shuffled within a buffer of %s of %s rows: --memory holds more", datasets.FormatCount(uint64(order.Buffer)),
			datasets.FormatCount(uint64(r.Learnt.Rows))))
	}
	if how.Tree.Limited > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("the tree stopped growing at --max-nodes: %d attempts to split were left out", how.Tree.Limited))
	}
	r.Training = &how
	read, err := t.write(ctx, tree, tree.WriteJSON)
	if err != nil {
		return err
	}
	if f.curve != "" {
		if err := report.WriteFile(f.curve, func(w io.Writer) error { return writeCurve(w, curve) }); err != nil {
			return err
		}
	}
	tested := t.try(ctx, read)
	err = t.end(func(w io.Writer) {
		m := how.Metrics
		fmt.Fprintf(w, "order    %s\n", orderText(order))
		fmt.Fprintf(w, "tree     %v\n", how.Tree)
		fmt.Fprintf(w, "learning %.1f s, %s rows/s, predicted and learnt\n", r.Seconds, datasets.FormatCount(uint64(float64(n)/r.Seconds)))
		fmt.Fprintf(w, "prequential, each row before it was learnt: macro-F1 %.4f, accuracy %.4f, balanced %.4f, MCC %.4f; always %s: macro-F1 %.4f, accuracy %.4f\n",
			m.Macro.F1, m.Accuracy, m.BalancedAccuracy, m.MCC, m.Baseline.Class, m.Baseline.MacroF1, m.Baseline.Accuracy)
	})
	if f.print && !t.json && err == nil {
		err = tree.WriteTree(t.a.stdout)
	}
	return errors.Join(tested, err)
}

func orderText(o labelled.Order) string {
	switch o.By {
	case labelled.AsRead:
		return "as read, file after file"
	case labelled.Shuffled:
		return fmt.Sprintf("shuffled, in a buffer of up to %s rows", datasets.FormatCount(uint64(o.Buffer)))
	}
	return o.By
}

// changesByChance is how often the label of successive rows differs in an order by chance, in the mean.
func changesByChance(s *labelled.Summary) float64 {
	same := 0.0
	n := float64(s.Rows)
	for _, l := range s.Labels {
		same += float64(l.Rows) / n * float64(l.Rows-1) / max(1, n-1)
	}
	return (n - 1) * (1 - same)
}

func writeCurve(w io.Writer, curve []curvePoint) error {
	if _, err := fmt.Fprintln(w, "rows,accuracy,recent_accuracy,macro_f1,nodes,depth,classes"); err != nil {
		return err
	}
	share := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, p := range curve {
		if _, err := fmt.Fprintf(w, "%d,%s,%s,%s,%d,%d,%d\n", p.rows, share(p.all), share(p.recent), share(p.macroF1), p.nodes, p.depth, p.classes); err != nil {
			return err
		}
	}
	return nil
}
