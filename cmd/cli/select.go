package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/analysis/selection"
	"pcaplab/datasets"
	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
)

// selectFlags are the flags of features select.
type selectFlags struct {
	labelledFlags
	columns, drop, output string
	nonFinite             nonFiniteFlag
	sample, top           int
	json                  bool
}

// alike is from which correlation on a column is shown to go with a better one.
const alike = 0.99

func (a *app) featuresSelectCommand() *cobra.Command {
	var f selectFlags
	c := &cobra.Command{
		Use:   "select [flags] FILE...",
		Short: "Rank the columns by what they tell of the class, and count the principal components",
		Long: `Reads labelled rows of tables (CSV also gzip or zstd, Parquet) and of captures, and says of each column how much it tells of the class: the mutual
information in nats, as scikit-learn's mutual_info_classif estimates it, beside the entropy of the class, which is all there is to tell; and which
better column it goes with. Then the principal components of the columns, standardised: how many explain 95 % of the variance.

What a column tells alone is not what it adds to others. And where windows are of several lengths, Number and the counts tell which class
was windowed how, not what an attack looks like: a note says so. --drop window-length leaves those columns out.

More than --sample rows are sampled at random, seeded. -o also writes the names of the best --top columns, one a line, as --columns of this
command and of train takes them.`,
		Example: `  ` + a.Name + ` features select --non-finite drop Merged01.csv
  ` + a.Name + ` features select --group binary --drop window-length --top 12 -o columns.txt CSV/*/*.csv
  ` + a.Name + ` features select --non-finite drop --json PCAP/*/*.pcap | jq -r '.columns[] | [.column, .mutual_information] | @tsv'
  ` + a.Name + ` features select --non-finite clamp --top 10 synth:Benign_Final:20000 synth:DDoS-SYN_Flood:20000`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	fs := c.Flags()
	f.add(a, fs)
	fs.StringVar(&f.columns, "columns", "", "columns to rank, joined by commas, or a file of names (default: all)")
	fs.StringVar(&f.drop, "drop", "", "columns to leave out, joined by commas, or a file of names; window-length for those that tell the window's length")
	f.nonFinite.Policy = labelled.Fail
	fs.Var(&f.nonFinite, "non-finite", "rows with NaN or an infinity in such a column: fail, drop or clamp (NaN to 0, infinities to the column's extremes)")
	fs.IntVar(&f.sample, "sample", 100_000, "rows to estimate on, drawn at random where there are more (0: all)")
	fs.IntVar(&f.top, "top", 0, "columns to show and write (0: all)")
	fs.StringVarP(&f.output, "output", "o", "", "write the names of the columns shown to this `file`, one a line; - writes them to standard output instead of the table")
	fs.BoolVar(&f.json, "json", false, "print all as JSON")
	a.offer(c, map[string][]string{
		"non-finite": pairs("fail", "name the row", "drop", "leave rows out", "clamp", "to the extremes seen"),
		"group":      pairs(groupNone, "labels as they are", groupBinary, "Benign and Attack", groupCategory, "8 of CIC-IoT-2023", "map=", "a file of patterns and labels"),
		"drop":       pairs(windowLength, "columns that tell a window's length"),
	})
	return c
}

// selectJSON is what features select found.
type selectJSON struct {
	Rows       int64             `json:"rows"`                  // read
	Dropped    int64             `json:"dropped,omitempty"`     // of them, by --non-finite drop
	DroppedFor map[string]int64  `json:"dropped_for,omitempty"` // rows dropped by columns that were not finite in them, maybe several
	Sampled    int               `json:"sampled"`               // of the others; what follows the classes is of these
	Seed       uint64            `json:"seed"`
	Classes    []selectedClass   `json:"classes"`
	Entropy    float64           `json:"entropy"` // of the class, nats
	Columns    []selectedColumn  `json:"columns"` // best first
	Components *componentsJSON   `json:"components"`
	Pairs      []selection.Pair  `json:"pairs,omitempty"` // correlated by 0.99 and more
	Settings   map[string]string `json:"settings"`
	Synthetic  bool              `json:"synthetic,omitempty"`
	Warnings   []string          `json:"warnings,omitempty"`
}

type selectedClass struct {
	Class string `json:"class"`
	Rows  int64  `json:"rows"` // that were not dropped
}

type selectedColumn struct {
	Column            string  `json:"column"`
	MutualInformation float64 `json:"mutual_information"` // nats
	Share             float64 `json:"share"`              // of the entropy, at most 1, as an estimate may be above it
	Values            int     `json:"values"`             // distinct ones
	Like              string  `json:"like,omitempty"`     // the best column before it that it is correlated with
}

type componentsJSON struct {
	*selection.Components
	Needed95 int `json:"needed_95"` // that explain 95 % of the variance
}

func (f *selectFlags) run(c *cobra.Command, a *app, args []string) error {
	if len(args) == 0 {
		return usagef("no file: name tables, captures, or synth:PROFILE")
	}
	if f.sample < 0 || f.top < 0 {
		return usagef("--sample %d, --top %d: want 0 or more", f.sample, f.top)
	}
	if f.json && f.output == stdin {
		return usagef("--json and -o - both want standard output")
	}
	columns, err := chosenColumns(f.columns, f.drop)
	if err != nil {
		return err
	}
	cfg, err := f.config()
	if err != nil {
		return err
	}
	if err := f.writable(); err != nil {
		return err
	}
	if err := f.idle(args); err != nil {
		return err
	}
	cfg.NonFinite = f.nonFinite.Policy
	drop := cfg.NonFinite == labelled.Drop
	if drop {
		cfg.NonFinite = labelled.Pass // dropped and counted here, in the same pass
	}
	cfg.Columns = columns
	if cfg.NonFinite != labelled.Clamp {
		cfg.Memory = 0 // there is one pass
	}
	reading := a.octetsBar("reading")
	cfg.Progress = reading.set
	set, err := f.open(args, cfg)
	if err != nil {
		return err
	}
	out := selectJSON{Seed: f.seed, Settings: map[string]string{"window": f.window, "as": f.as.String(), "label": f.label, "truth": f.truth, "group": f.group,
		"non_finite": f.nonFinite.String()}}
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = feature.Columns()[column]
	}
	sampler := selection.NewSampler(names, f.sample, f.seed)
	values := make([]float64, len(columns))
	ofClass := map[string]int64{}
	var droppedFor [feature.NumColumns]int64
	var windows windowLengths
	err = set.Each(c.Context(), func(r *labelled.Row) error {
		out.Rows++
		ofClass[r.Label] += 0 // also a class of which all rows are dropped
		dropped := false
		for i, column := range columns {
			v := r.Values[column]
			values[i] = v
			if drop && v-v != 0 {
				dropped = true
				droppedFor[column]++
			} else if math.Abs(v) > selection.Largest {
				return fmt.Errorf("%s: row %d, column %q is %v: more than %g cannot be squared; leave the row out of the file, or --drop %q",
					set.Path(r.Source), r.Number, feature.Columns()[column], v, selection.Largest, feature.Columns()[column])
			}
		}
		if dropped {
			out.Dropped++
			return nil
		}
		ofClass[r.Label]++
		windows.add(r.Values[feature.Number])
		sampler.Add(values, r.Label)
		return nil
	})
	reading.done()
	if bad := new(labelled.NonFiniteError); errors.As(err, &bad) {
		return fmt.Errorf("%w: --non-finite drop or clamp, or --drop %q", err, bad.Column)
	}
	if err != nil {
		return err
	}
	out.Warnings = append(out.Warnings, set.Losses()...)
	if taken := f.takenForAttacks(); taken != "" {
		out.Warnings = append(out.Warnings, taken)
	}
	for column, n := range droppedFor {
		if n > 0 {
			if out.DroppedFor == nil {
				out.DroppedFor = map[string]int64{}
			}
			out.DroppedFor[feature.Columns()[column]] = n
		}
	}
	for _, label := range slices.Sorted(maps.Keys(ofClass)) {
		out.Classes = append(out.Classes, selectedClass{label, ofClass[label]})
	}
	for i := range set.Len() {
		source, _ := set.Source(i)
		out.Synthetic = out.Synthetic || source.Synthetic
	}
	for _, w := range out.Warnings { // of the files, whatever becomes of the rows
		a.note("%s", w)
	}
	ofFiles := len(out.Warnings)
	if err := out.estimate(c.Context(), a, sampler.Table(), &windows); err != nil {
		return err
	}
	shown := out.Columns
	if f.top > 0 && f.top < len(shown) {
		shown = shown[:f.top]
	}
	for _, w := range out.Warnings[ofFiles:] {
		a.note("%s", w)
	}
	list := func(w io.Writer) error {
		for _, column := range shown {
			if _, err := fmt.Fprintln(w, column.Column); err != nil {
				return err
			}
		}
		return nil
	}
	if f.output == stdin {
		return list(a.stdout)
	}
	if f.output != "" {
		if err := report.WriteFile(f.output, list); err != nil {
			return err
		}
	}
	if f.json {
		return json.NewEncoder(a.stdout).Encode(out)
	}
	return out.writeText(a.stdout, shown)
}

// writable reports early what could not be written in the end.
func (f *selectFlags) writable() error {
	if f.output == "" || f.output == stdin {
		return nil
	}
	info, err := os.Stat(filepath.Dir(f.output))
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "write", Path: f.output, Err: errors.New("its folder is a file")}
	}
	return err
}

// estimate fills in what is computed of the sampled rows.
func (s *selectJSON) estimate(ctx context.Context, a *app, t *selection.Table, windows *windowLengths) error {
	s.Sampled, s.Entropy = t.Rows(), t.Entropy()
	if err := s.enough(t); err != nil {
		return err
	}
	bar := a.countBar("estimating")
	mi, err := selection.MutualInformation(ctx, t, selection.Config{Seed: s.Seed, Progress: func(done, total int) { bar.set(int64(done), int64(total)) }})
	bar.done()
	if err != nil {
		return err
	}
	order := make([]int, len(mi))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(mi[b], mi[a]) })
	parts, err := selection.PCA(t)
	if err != nil {
		return err
	}
	s.Components = &componentsJSON{parts, parts.Needed(0.95)}
	s.Pairs = parts.Correlated(alike)
	for rank, i := range order {
		column := selectedColumn{Column: t.Columns[i], MutualInformation: mi[i], Share: math.Min(1, mi[i]/s.Entropy), Values: distinct(t.X[i])}
		for _, better := range order[:rank] {
			if slices.ContainsFunc(s.Pairs, func(p selection.Pair) bool {
				return p.A == t.Columns[i] && p.B == t.Columns[better] || p.B == t.Columns[i] && p.A == t.Columns[better]
			}) {
				column.Like = t.Columns[better]
				break
			}
		}
		s.Columns = append(s.Columns, column)
	}
	s.warn(t, windows)
	return nil
}

// enough reports why there would be nothing to tell.
func (s *selectJSON) enough(t *selection.Table) error {
	switch {
	case s.Rows == 0:
		return errors.New("no rows to estimate on: the files have none")
	case s.Sampled == 0:
		return fmt.Errorf("all %s rows were dropped, as there are NaN or infinite values in %s: --drop such columns, or --non-finite clamp",
			datasets.FormatCount(uint64(s.Rows)), s.droppedFor())
	case len(t.Classes) > 1:
		return nil
	case len(s.Classes) == 1:
		return fmt.Errorf("all rows are of the class %s: there is nothing to tell; name files of other classes too (a table needs a column Label), or another --group", t.Classes[0])
	case int64(s.Sampled) < s.Rows-s.Dropped && slices.ContainsFunc(s.Classes, func(c selectedClass) bool { return c.Class != t.Classes[0] && c.Rows > 0 }):
		return fmt.Errorf("all rows that were sampled (%s) are of the class %s, though %d classes were read: a larger --sample, or another --seed, has others",
			datasets.FormatCount(uint64(s.Sampled)), t.Classes[0], len(s.Classes))
	}
	return fmt.Errorf("all rows that are left are of the class %s: %s of %s rows were dropped, as there are NaN or infinite values in %s; --drop such "+
		"columns, or --non-finite clamp", t.Classes[0], datasets.FormatCount(uint64(s.Dropped)), datasets.FormatCount(uint64(s.Rows)), s.droppedFor())
}

// droppedFor names the columns that rows were dropped for, and how many rows.
func (s *selectJSON) droppedFor() string {
	names := slices.SortedStableFunc(maps.Keys(s.DroppedFor), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.DroppedFor[b], s.DroppedFor[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%s rows)", name, datasets.FormatCount(uint64(s.DroppedFor[name])))
	}
	return strings.Join(names, ", ")
}

// windowLengths counts rows by their Number, as far as that is one.
type windowLengths struct {
	counts          map[float64]int
	least, greatest float64
	rows            int
}

// mostLengths bounds the lengths that are counted apart; there are more only where windows are spans of time.
const mostLengths = 10_000

func (w *windowLengths) add(n float64) {
	if n-n != 0 {
		return
	}
	if w.counts == nil {
		w.counts, w.least, w.greatest = map[float64]int{}, n, n
	}
	w.rows++
	w.least, w.greatest = min(w.least, n), max(w.greatest, n)
	if w.counts[n] > 0 || len(w.counts) < mostLengths {
		w.counts[n]++
	}
}

// several says in words which lengths there are, "" if all windows but a hundredth, such as the last of each capture, are of one.
func (w *windowLengths) several() string {
	var often []float64
	most := 0
	for n, rows := range w.counts {
		most = max(most, rows)
		if 100*rows >= w.rows {
			often = append(often, n)
		}
	}
	switch {
	case w.rows == 0 || 100*(w.rows-most) < w.rows:
		return ""
	case len(often) < 2:
		return fmt.Sprintf("%g to %g", w.least, w.greatest)
	}
	slices.Sort(often)
	return joinNumbers(often)
}

// countBar is octetsBar for what has no octets.
func (a *app) countBar(what string) *bar {
	b := &bar{begin: time.Now()}
	if a.progress() {
		b.make = func(total int64) *progressbar.ProgressBar {
			return progressbar.NewOptions64(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionShowCount(), progressbar.OptionSetDescription(what),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true),
				progressbar.OptionFullWidth())
		}
	}
	return b
}

func distinct(x []float64) int {
	sorted := slices.Clone(x)
	slices.Sort(sorted)
	return len(slices.Compact(sorted))
}

// warn says what makes the ranking mean less than it seems.
func (s *selectJSON) warn(t *selection.Table, windows *windowLengths) {
	add := func(format string, args ...any) { s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...)) }
	if s.Synthetic {
		add("synthetic traffic: the ranking is that of the generator")
	}
	var gone []string
	for _, c := range s.Classes {
		if c.Rows == 0 {
			gone = append(gone, c.Class)
		}
	}
	if len(gone) > 0 {
		add("all rows were dropped of %s: there are NaN or infinite values in %s", strings.Join(gone, ", "), s.droppedFor())
	}
	if alone := s.alone(t); len(alone) > 0 {
		add("with one sampled row, or none, a class tells nothing: %s; a larger --sample may have more", strings.Join(alone, ", "))
	}
	lengths := windows.several()
	if lengths == "" {
		return
	}
	for _, c := range s.Columns { // best first
		if !slices.ContainsFunc(feature.WindowLengthColumns(), func(i int) bool { return feature.Columns()[i] == c.Column }) {
			continue
		}
		if c.Share >= 0.02 {
			add("windows are of several lengths (%s rows), and %s alone, which depends on the length, tells %s of the entropy: this ranking shows how classes "+
				"were windowed, which live traffic will not; --drop %s, or windows of one length, show the rest", lengths, c.Column, report.FormatRatio(c.Share),
				windowLength)
		}
		return
	}
}

// alone returns the classes of which fewer than two rows were sampled.
func (s *selectJSON) alone(t *selection.Table) (classes []string) {
	counts := make([]int, len(t.Classes))
	for _, class := range t.Class {
		counts[class]++
	}
	for _, c := range s.Classes {
		if i, found := slices.BinarySearch(t.Classes, c.Class); c.Rows > 0 && (!found || counts[i] < 2) {
			classes = append(classes, c.Class)
		}
	}
	return classes
}

func joinNumbers(values []float64) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i > 5:
			return b.String() + " and others"
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%g", v)
	}
	return b.String()
}

func (s *selectJSON) writeText(w io.Writer, shown []selectedColumn) error {
	read := datasets.FormatCount(uint64(s.Rows)) + " rows"
	if s.Dropped > 0 {
		read += ", " + datasets.FormatCount(uint64(s.Dropped)) + " of them dropped"
	}
	if int64(s.Sampled) < s.Rows-s.Dropped {
		read += ", " + datasets.FormatCount(uint64(s.Sampled)) + " of them sampled"
	}
	classes := 0
	for _, c := range s.Classes {
		if c.Rows > 0 {
			classes++
		}
	}
	t := &report.Table{Title: fmt.Sprintf("%s, %d classes; entropy of the class, all that columns can tell: %.3f nats", read, classes, s.Entropy)}
	t.Columns = []report.Column{{Head: "", Right: true}, {Head: "column"}, {Head: "MI, nats", Right: true}, {Head: "of entropy", Right: true},
		{Head: "values", Right: true}, {Head: "goes with"}}
	for i, c := range shown {
		t.Add(report.Text(fmt.Sprint(i+1)), report.Text(c.Column), report.Text(fmt.Sprintf("%.3f", c.MutualInformation)),
			report.Text(fmt.Sprintf("%.1f %%", 100*c.Share)), report.Text(datasets.FormatCount(uint64(c.Values))), report.Text(c.Like))
	}
	if err := t.WriteText(w); err != nil {
		return err
	}
	c := s.Components
	p := &report.Table{Title: fmt.Sprintf("%d components explain 95 %% of the variance of %d columns", c.Needed95, len(c.Columns))}
	p.Columns = []report.Column{{Head: "", Right: true}, {Head: "explains", Right: true}, {Head: "together", Right: true}, {Head: "most of"}}
	sum := 0.0
	for i := range c.Needed95 {
		sum += c.Ratio[i]
		p.Add(report.Text(fmt.Sprint(i+1)), report.Text(fmt.Sprintf("%.1f %%", 100*c.Ratio[i])), report.Text(fmt.Sprintf("%.1f %%", 100*sum)),
			report.Text(loadings(c.Columns, c.Loadings[i])))
	}
	if len(c.Constant) > 0 {
		p.Notes = append(p.Notes, "of one value everywhere: "+strings.Join(c.Constant, ", "))
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return p.WriteText(w)
}

// loadings names the columns that a component is most of, with their signs.
func loadings(columns []string, loading []float64) string {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(loading[b]), math.Abs(loading[a])) })
	var parts []string
	for _, i := range order[:min(4, len(order))] {
		if v := loading[i]; math.Abs(v) >= 0.1 {
			parts = append(parts, fmt.Sprintf("%+.2f %s", v, columns[i]))
		}
	}
	return strings.Join(parts, "  ")
}
