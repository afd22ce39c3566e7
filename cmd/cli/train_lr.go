package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/datasets"
	"pcaplab/datasets/labelled"
	"pcaplab/parse/model/linear"
)

// Kinds of models to train.
const (
	kindLR        = "logistic-regression"
	kindHoeffding = "hoeffding-tree"
)

func (a *app) trainLRCommand() *cobra.Command {
	var f trainFlags
	var cfg linear.Config
	c := &cobra.Command{
		Use:   "lr [flags] --data FILE... -o MODEL.json|MODEL.onnx",
		Short: "Train a logistic regression",
		Long: `Trains a logistic regression with L2 penalty on standardised columns, as scikit-learn's StandardScaler and LogisticRegression do: one row of
coefficients for two classes, softmax for more. The training reads the rows several times; those that do not fit into --memory are read from their
files again at each pass, so the data may be larger than memory. The same data, flags and seed give the same model.

The model is written as JSON of this program, or as ONNX (a Scaler and a LinearClassifier) for any runtime; both hold the names of the columns.`,
		Example: `  ` + a.Name + ` train lr --data PCAP/*/*.pcap --window 100 --non-finite drop -o lr.json
  ` + a.Name + ` train lr --data captured.csv --split time --class-weights balanced -o lr.onnx
  ` + a.Name + ` train lr --data Merged*.csv --group category --drop window-length --non-finite drop -o lr.json
  ` + a.Name + ` train lr --data synth:Benign_Final:20000 synth:DDoS-SYN_Flood:20000 --non-finite drop -o first.json`,
		RunE: func(c *cobra.Command, args []string) error {
			switch inverse := 1 / cfg.C; {
			case !(inverse > 0) || math.IsInf(inverse, 0):
				return usagef("--C %v: want a number above 0, and it and 1/C finite", cfg.C)
			case cfg.ClassWeights != "none" && cfg.ClassWeights != "balanced":
				return usagef("--class-weights %q: want none or balanced", cfg.ClassWeights)
			case cfg.MaxIterations < 1:
				return usagef("--max-iterations %d: want 1 or more", cfg.MaxIterations)
			case !(cfg.Tolerance > 0) || math.IsInf(cfg.Tolerance, 0):
				return usagef("--tolerance %v: want more than 0, and finite", cfg.Tolerance)
			}
			t, err := f.begin(c, a, args, kindLR)
			if err != nil {
				return err
			}
			return t.ended(c.Context(), t.lr(c.Context(), cfg))
		},
	}
	f.add(a, c, "")
	fs := c.Flags()
	fs.StringVar(&cfg.ClassWeights, "class-weights", "none", "none: each row counts the same; balanced: each class does")
	fs.Float64Var(&cfg.C, "C", 1, "inverse of the strength of the penalty, as scikit-learn's C")
	fs.IntVar(&cfg.MaxIterations, "max-iterations", 1000, "end the training after so many, or about as many passes, with a warning")
	fs.Float64Var(&cfg.Tolerance, "tolerance", 1e-6, "end the training where no component of the gradient, a mean over rows, is larger")
	a.offer(c, map[string][]string{"class-weights": pairs("none", "each row counts the same", "balanced", "each class does")})
	return c
}

// lr trains, writes and tests a logistic regression.
func (t *training) lr(ctx context.Context, cfg linear.Config) error {
	classes := map[string]int{}
	for i, c := range t.report.Classes {
		classes[c] = i
	}
	if kept, all := t.train.Kept(); kept < all {
		t.a.note("%d of %s to learn from do not fit into --memory: each pass reads them again (of captures, 'features --label' makes a table, which is read faster)",
			all-kept, plural(all, "file", "files"))
	}
	x := make([]float64, len(t.columns))
	bars := passBars{a: t.a, total: t.report.Learnt.Rows}
	cfg.Progress = bars.set
	begin := time.Now()
	m, how, err := linear.Train(ctx, t.names, t.report.Classes, func(yield func(x []float64, class int) error) error {
		return t.train.Each(ctx, func(r *labelled.Row) error {
			class, ok := classes[r.Label]
			if !ok {
				return fmt.Errorf("a row of class %q, of which there was none when classes were counted: the data changed meanwhile; train again", r.Label)
			}
			t.pick(x, r)
			return yield(x, class)
		})
	}, cfg)
	bars.done()
	if err != nil {
		return err
	}
	r := &t.report
	r.Seconds = time.Since(begin).Seconds()
	r.Training = how
	if !how.Converged && len(how.Warnings) == 0 {
		r.Warnings = append(r.Warnings, "the training has not converged: raise --max-iterations, or --tolerance")
	}
	r.Warnings = append(r.Warnings, how.Warnings...)
	if r.Learnt.Clamped > 0 {
		r.Warnings = append(r.Warnings, "the model does not know what rows were clamped to: elsewhere, --non-finite clamp takes the extremes of float32, by which a linear model "+
			"decides on that column alone; drop such rows there")
	}
	p := m.Parameters()
	story := *r // without what is not the same the next time
	story.Output, story.Seconds = "", 0
	if p.Trained, err = json.Marshal(story); err != nil {
		return err
	}
	if m, err = linear.New(p); err != nil {
		return err
	}
	write := m.WriteJSON
	if strings.EqualFold(filepath.Ext(t.output), ".onnx") {
		write = m.WriteONNX
	}
	read, err := t.write(ctx, m, write)
	if err != nil {
		return err
	}
	tested := t.try(ctx, read)
	return errors.Join(tested, t.end(func(w io.Writer) {
		state := "converged"
		if !how.Converged {
			state = "NOT converged"
		}
		fmt.Fprintf(w, "training %s after %d iterations of %s, %d passes, %.1f s, %s rows/s\n", state, how.Iterations, how.Method, how.Passes, r.Seconds,
			datasets.FormatCount(uint64(float64(how.Rows)*float64(how.Passes)/r.Seconds)))
	}))
}

// passBars shows passes over rows.
type passBars struct {
	a     *app
	total int64
	pass  int
	bar   *bar
	begin time.Time
}

func (b *passBars) set(pass int, rows uint64) {
	if b.bar == nil || pass != b.pass {
		b.done()
		b.bar = b.a.rowsBar(fmt.Sprintf("pass %d", pass))
		if b.begin.IsZero() {
			b.begin = b.bar.begin
		}
		b.pass, b.bar.begin = pass, b.begin // the second of work before it shows is that of the training
	}
	b.bar.set(int64(rows), b.total)
}

func (b *passBars) done() {
	if b.bar != nil {
		b.bar.done()
	}
}
