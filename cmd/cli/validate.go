package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/validation"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/model"
	"pcaplab/parse/model/worker"
	"pcaplab/replay/quality"
)

// validateFlags are the flags of the command validate.
type validateFlags struct {
	labelledFlags
	files           fileLists
	data, reference *fileList

	python, interpreter string
	printWorker         bool
	classNames          string
	nonFinite           string
	noAblation          bool
	limit               int64
	resamples           int
	confusion           bool
	json                bool
	output              string
	failIf              string

	speed speedFlags
	load  loadFlags
}

// validated is what speed and quality under load go on with.
type validated struct {
	a *app
	f *validateFlags

	model  model.Model // belongs to the caller's goroutine; a worker.Worker with --python
	name   string      // of the model, as the user gave it
	path   string      // of its file; "" with --python
	policy model.Policy
	// classes are the names in the report of the model's classes, in its order. benign is among them, or "".
	classes []string
	benign  string
	// captures and tables are the data, opened with cfg. Labels are relabelled by cfg to be as classes has them.
	captures, tables []labelled.Source
	cfg              labelled.Config
	report           *validation.Report
	fast             *analysis.Speed // nil without
	loaded           *quality.Report // nil without --rates
}

func (a *app) validateCommand() *cobra.Command {
	var f validateFlags
	c := &cobra.Command{
		Use:   "validate [flags] MODEL --data FILE...",
		Short: "Say before live capture whether a model is right, and fast enough",
		Long: `Runs a model over labelled vectors and says how right it is: on tables of features, on features extracted from captures just
now, or on both, side by side. MODEL is ONNX, XGBoost's JSON, or what 'train' wrote; with --python it is whatever your own program
loads (pickle, joblib, river, PyTorch), which is run as it is.

Quality: macro-F1, accuracy, balanced accuracy, MCC, precision, recall and F1 of each class with bootstrap intervals, the confusion
matrix, benign recall, and false alarms per hour of benign capture, beside what always saying the most frequent class would get.
--reference names what the model learnt from: then it is shown how far each column drifted (KS, PSI).

The window ablation shows what no live extractor can repeat: published tables of CIC-IoT-2023 sum up 10 packets for some classes and
100 for others, so the column Number nearly tells the class. The same model is run on windows of 10, of 100, by class as published
(captures only), and with Number and what grows with it hidden. If it is right only with the leak, that is said.

Speed: vectors and packets a second of extraction alone, of the model alone, and of both. --rates adds quality under load.

Labels are those of the tables, or of captures as --label says. The spellings of both releases of CIC-IoT-2023 and of its folders
are one class. A model that tells benign from attack, or categories, has the labels grouped to match unless --group says otherwise.`,
		Example: `  ` + a.Name + ` validate forest.onnx --data features.csv
  ` + a.Name + ` validate forest.onnx --data PCAP/*/*.pcap --reference training.parquet
  ` + a.Name + ` validate xgb.json --class-names classes.txt --data Merged63.csv --fail-if 'macro_f1<0.9, benign_recall<99%'
  ` + a.Name + ` validate model.pkl --python worker.py --data test.csv      # validate --print-worker > worker.py
  ` + a.Name + ` validate model.json --data synth:DDoS-SYN_Flood synth:Benign_Final --window cic --json | jq .ablation
  ` + a.Name + ` validate model.onnx --data capture.pcap --label text=BENIGN --rates 0.1x..3x -o results`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	fs := c.Flags()
	f.data = f.files.add(fs, "data", "tables (CSV, Parquet) and captures to validate on; all `FILE`s behind it too")
	f.reference = f.files.add(fs, "reference", "tables or captures that the model learnt from, to compare the data with; all `FILE`s behind it too")
	f.labelledFlags.add(a, fs)
	fs.StringVar(&f.python, "python", "", "run MODEL in this Python program (a worker as --print-worker shows)")
	fs.StringVar(&f.interpreter, "interpreter", "", "Python for --python (default python3)")
	fs.BoolVar(&f.printWorker, "print-worker", false, "print a worker for --python to start from")
	fs.StringVar(&f.classNames, "class-names", "", "names of the model's classes in its order, joined by commas, or a file with one a line: for models of numbers")
	fs.StringVar(&f.nonFinite, "non-finite", model.Fail.String(), "vectors with a value that is NaN or infinite: fail, drop or clamp")
	fs.BoolVar(&f.noAblation, "no-ablation", false, "leave out the window ablation, which reads captures again")
	fs.Int64Var(&f.limit, "limit", 0, "vectors of each file, from its start (0: all)")
	fs.IntVar(&f.resamples, "resamples", 1000, "of the bootstrap that intervals are from")
	fs.BoolVar(&f.confusion, "confusion", false, "print the whole confusion matrix")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	fs.StringVarP(&f.output, "output", "o", "", "folder for the report as JSON and text, and its tables as CSV")
	failIfVar(fs, &f.failIf, "exit code 3 if a comparison holds, as 'macro_f1<0.9, recall[DDOS-SYN_FLOOD]<95%, false_alarms_per_hour>2'")
	f.speed.add(a, fs)
	f.load.add(fs)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return completeCapture(c, args[1:], toComplete)
	}
	return c
}

func (f *validateFlags) run(c *cobra.Command, a *app, args []string) error {
	if f.printWorker {
		_, err := io.WriteString(a.stdout, worker.Example())
		return err
	}
	before := f.files.gather(args)
	if len(before) == 0 {
		return usagef("which model? It comes first: validate MODEL --data FILE...")
	}
	data := append(slices.Clone(before[1:]), f.data.files...)
	if len(data) == 0 {
		return usagef("nothing to validate on: --data FILE..., tables or captures")
	}
	var policy model.Policy
	if err := policy.UnmarshalText([]byte(f.nonFinite)); err != nil {
		return usagef("--non-finite: %w", err)
	}
	switch {
	case f.resamples < 1 || f.resamples > validation.MaxResamples:
		return usagef("--resamples %d: want 1 to %d", f.resamples, validation.MaxResamples)
	case f.limit < 0:
		return usagef("--limit %d: want 0 for all, or more", f.limit)
	case f.interpreter != "" && f.python == "":
		return usagef("--interpreter is for --python")
	}
	if f.window != windowCIC {
		if _, err := feature.ParseSpan(f.window); err != nil {
			return usagef("--window: %w", err)
		}
	}
	if err := errors.Join(f.speed.check(a), f.load.check()); err != nil {
		return err
	}
	if f.output != "" {
		_, missing := os.Stat(f.output)
		if err := report.CheckValidation(f.output); err != nil {
			return err
		}
		if missing != nil {
			defer os.Remove(f.output) // if nothing came into it
		}
	}
	v := &validated{a: a, f: f, name: before[0], policy: policy}
	close, err := v.open(c.Context())
	if err != nil {
		return err
	}
	defer close()
	if err := v.nameClasses(c.Flags()); err != nil {
		return err
	}
	tables, captures, err := byKind(data)
	if err != nil {
		return err
	}
	condition, err := v.condition(len(tables) > 0, len(captures) > 0)
	if err != nil {
		return err
	}
	if err := f.idle(append(slices.Clone(data), f.reference.files...)); err != nil {
		return err
	}
	if err := v.validate(c.Context(), tables, captures); err != nil {
		return err
	}
	if err := v.measure(c.Context()); err != nil {
		return err
	}
	return v.show(condition)
}

// open opens the model. The function that it returns ends what runs it.
func (v *validated) open(ctx context.Context) (close func(), err error) {
	if v.f.python == "" {
		v.path = v.name
		v.model, err = model.Open(v.path)
		return func() {}, err
	}
	var said io.Writer
	if !v.a.quiet {
		said = v.a.stderr
	}
	w, err := worker.Start(ctx, worker.Config{Python: v.f.interpreter, Script: v.f.python, Model: v.name, Columns: feature.Columns(), Stderr: said})
	if err != nil {
		return nil, err
	}
	v.model = w
	return func() { w.Close() }, nil
}

// nameClasses finds what the model's classes are called in the report, and how labels are grouped to match unless the user said so.
func (v *validated) nameClasses(flags *pflag.FlagSet) error {
	f := v.f
	grouped := flags.Changed("group")
	names := slices.Clone(v.model.Classes())
	if flags.Changed("class-names") {
		given, err := listOrFile(f.classNames)
		if err != nil {
			return err
		}
		if len(given) != len(names) {
			return usagef("--class-names: %d names for the %d classes of the model: %s", len(given), len(names), strings.Join(names, ", "))
		}
		f.names = make(map[string]string) // labels may be what the model calls its classes
		for i, name := range names {
			if !slices.Contains(given, name) {
				f.names[name] = given[i]
			}
		}
		names = given
	}
	if !grouped {
		f.group, f.guessed = groupOf(names, f.benign), true
		if f.group != groupNone {
			v.a.note("labels are grouped as the model's classes are: --group %s", f.group)
		}
	}
	if f.group == groupBinary {
		f.own = attackOf(names, f.benign)
	}
	relabel, err := f.relabel()
	if err != nil {
		return err
	}
	grouped, err = f.areGroups(names)
	if err != nil {
		return err
	}
	for i, name := range names {
		if grouped {
			break
		}
		if to, err := relabel(name); err == nil { // else it is no label that is known, and stays as it is
			names[i] = to
		}
	}
	v.classes = names
	v.benign = f.benignLabel()
	switch {
	case slices.Contains(names, v.benign):
	case f.benign != "":
		v.a.note("the model has no class %s, but %s: --benign says which of them is benign traffic's, --class-names A,B,... what numbers mean", v.benign, strings.Join(names, ", "))
	default:
		v.a.note("the model has no class %s: --benign LABEL says which of its classes is benign traffic's, --class-names A,B,... what numbers mean", v.benign)
	}
	return nil
}

// areGroups reports whether names are all groups of --group map=FILE: then they must not be looked up in it once more.
func (f *validateFlags) areGroups(names []string) (bool, error) {
	kind, value, _ := strings.Cut(f.group, "=")
	if kind != "map" {
		return false, nil
	}
	file, err := os.Open(value)
	if err != nil {
		return false, err
	}
	defer file.Close()
	m, err := cic.ReadLabelMap(file, value)
	if err != nil {
		return false, err
	}
	groups := m.Labels()
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(groups, name) }), nil
}

// attackOf returns that of two classes of which the other is benign; nil of others.
func attackOf(names []string, benignLabel string) []string {
	attacks := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return isBenign(name) || name == benignLabel })
	if len(names) != 2 || len(attacks) != 1 {
		return nil
	}
	return attacks
}

// groupOf returns the --group that gives labels of CIC-IoT-2023 the names of a model's classes.
func groupOf(names []string, benignLabel string) string {
	benign, classes, categories := 0, 0, 0
	for _, name := range names {
		if isBenign(name) || name == benignLabel {
			benign++
			categories++
			continue
		}
		if _, ok := cic.Find(name); ok {
			classes++
		}
		if slices.ContainsFunc(cic.Classes(), func(c cic.Class) bool { return c.Category == name }) {
			categories++
		}
	}
	switch {
	case benign == 1 && categories == len(names) && len(names) > 2:
		return groupCategory
	case benign == 1 && len(names) == 2 && classes == 0:
		return groupBinary
	}
	return groupNone
}

// listOrFile reads names that are joined by commas or stand one a line in a file.
func listOrFile(value string) ([]string, error) {
	separator := ","
	if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() {
		text, err := os.ReadFile(value)
		if err != nil {
			return nil, err
		}
		value, separator = strings.TrimSpace(strings.TrimPrefix(string(text), "\ufeff")), "\n"
	}
	var names []string
	for i, name := range strings.Split(value, separator) {
		if name = strings.TrimSpace(name); name == "" {
			return nil, usagef("--class-names: name %d is empty", i+1)
		}
		names = append(names, name)
	}
	return names, nil
}

// sets opens files as sets of labelled vectors.
type sets struct {
	v     *validated
	bar   *bar
	share int64 // octets of rows that a set may keep in memory
}

// limitedRows are the first rows of each file.
type limitedRows struct {
	sets  []*labelled.Set // of one source each
	limit int64
}

// errLimit ends the reading of a file.
var errLimit = errors.New("limit")

// Each passes the first rows of each file.
func (l *limitedRows) Each(ctx context.Context, f func(*labelled.Row) error) error {
	for i, set := range l.sets {
		err := set.Each(ctx, func(r *labelled.Row) error {
			if r.Number > l.limit {
				return errLimit
			}
			r.Source = i
			err := f(r)
			r.Source = 0
			return err
		})
		if err != nil && !errors.Is(err, errLimit) {
			return err
		}
	}
	return nil
}

// open opens sources as rows.
func (s *sets) open(sources []labelled.Source, keep bool) (validation.Rows, error) {
	cfg := s.v.cfg
	cfg.Progress = func(done, total int64) { s.bar.set(done, total) }
	if cfg.Memory = s.share; !keep {
		cfg.Memory = 0
	}
	if s.v.f.limit == 0 {
		return labelled.Open(sources, cfg)
	}
	l := &limitedRows{limit: s.v.f.limit}
	var faults []error
	cfg.Memory = 0 // a file that is not read to its end is not kept
	for i := range sources {
		set, err := labelled.Open(sources[i:i+1], cfg)
		if err != nil {
			faults = append(faults, err)
		}
		l.sets = append(l.sets, set)
	}
	return l, errors.Join(faults...)
}

// set makes a set of sources of one kind.
func (s *sets) set(name string, files []string, captures, ablation bool) (set validation.Set, sources []labelled.Source, err error) {
	f := s.v.f
	if sources, err = f.sources(files); err != nil {
		return set, nil, err
	}
	set = validation.Set{Name: name, Captures: captures}
	for _, source := range sources {
		set.Sources = append(set.Sources, source.Path)
	}
	if set.Synthetic, err = captionOf(sources, f.seed); err != nil {
		return set, nil, err
	}
	if set.Rows, err = s.open(sources, true); err != nil || !captures {
		return set, sources, err
	}
	set.Window, set.Published = windowName(f.window), f.window == windowCIC
	if !ablation {
		return set, sources, nil
	}
	for _, window := range []string{"10", "100", windowCIC} {
		if window == f.window {
			continue
		}
		other := f.labelledFlags
		other.window, other.synthetic = window, nil
		cut, err := other.sources(files)
		if window == windowCIC && errors.As(err, new(usageError)) {
			s.v.a.note("no windows by class, as published: %v", err)
			continue
		} else if err != nil {
			return set, nil, err
		}
		w := validation.Window{Name: windowName(window), Published: window == windowCIC}
		if w.Rows, err = s.open(cut, w.Published); err != nil {
			return set, nil, err
		}
		set.Windows = append(set.Windows, w)
	}
	return set, sources, nil
}

// windowCIC is --window for windows by class.
const windowCIC = "cic"

// windowName says a window as --window has it.
func windowName(window string) string {
	if window == windowCIC {
		return "by class, as published"
	}
	if _, err := strconv.Atoi(window); err == nil {
		return "N = " + window
	}
	return "windows of " + window
}

// captionOf says what of the sources is made up.
func captionOf(sources []labelled.Source, seed uint64) (string, error) {
	made, caption := 0, ""
	for _, s := range sources {
		text := ""
		if s.Synthetic {
			text = fmt.Sprintf("synthetic: made from seed %d, not captured", seed)
		} else {
			tree, err := synthTreeOf(filepath.Dir(s.Path))
			if err != nil {
				return "", err
			}
			if tree != nil {
				text = tree.String()
			}
		}
		if text != "" {
			made++
			if caption == "" {
				caption = text
			}
		}
	}
	if made > 0 && made < len(sources) {
		caption = fmt.Sprintf("%d of %d files are %s", made, len(sources), caption)
	}
	return caption, nil
}

// byKind tells tables and captures apart.
func byKind(files []string) (tables, captures []string, err error) {
	for _, file := range files {
		table := false
		if !strings.HasPrefix(file, synthPrefix) && file != stdin {
			if table, _, err = labelled.KindOf(file); err != nil {
				return nil, nil, err
			}
		}
		if table {
			tables = append(tables, file)
		} else {
			captures = append(captures, file)
		}
	}
	return tables, captures, nil
}

// validate reads the data and makes the report.
func (v *validated) validate(ctx context.Context, tables, captures []string) (err error) {
	f := v.f
	if v.cfg, err = f.config(); err != nil {
		return err
	}
	if err := f.load.suits(v.path != "", len(captures) > 0); err != nil {
		return err
	}
	refTables, refCaptures, err := byKind(f.reference.files)
	if err != nil {
		return err
	}
	if len(refTables) > 0 && len(refCaptures) > 0 {
		return usagef("--reference: name tables or captures, not both")
	}
	s := &sets{v: v, bar: &bar{}, share: int64(f.memory) / 3}
	var list []validation.Set
	if len(tables) > 0 {
		set, sources, err := s.set("tables", tables, false, false)
		if err != nil {
			return err
		}
		list, v.tables = append(list, set), sources
	}
	if len(captures) > 0 {
		set, sources, err := s.set("captures", captures, true, !f.noAblation)
		if err != nil {
			return err
		}
		list, v.captures = append(list, set), sources
	}
	cfg := validation.Config{
		Name: v.name, Classes: v.classes, Benign: v.benign, Policy: v.policy, Ablation: !f.noAblation, Limit: f.limit, Resamples: f.resamples, Seed: f.seed,
		Step: func(what string) {
			s.bar.done()
			s.bar = v.a.octetsBar(what)
		},
	}
	if files := f.reference.files; len(files) > 0 {
		set, _, err := s.set("reference", files, len(refCaptures) > 0, false)
		if err != nil {
			return err
		}
		cfg.Reference = &set
	}
	if cfg.SHA256, err = digestOf(v.name); err != nil {
		return err
	}
	v.report, err = validation.Run(ctx, v.model, list, cfg)
	s.bar.done()
	switch {
	case errors.As(err, new(*model.NonFiniteError)):
		return fmt.Errorf("%w (--non-finite drop or clamp)", err)
	case errors.Is(err, validation.ErrNoCommonClass):
		return fmt.Errorf("%w: --class-names says what the model's classes are called, --group map=FILE puts labels under its names", err)
	case errors.Is(err, validation.ErrNothing) && v.policy == model.Drop:
		return fmt.Errorf("%w (--non-finite clamp replaces them)", err)
	case err != nil:
		return err
	}
	if taken := f.takenForAttacks(); taken != "" {
		v.report.Warnings = append(v.report.Warnings, taken)
	}
	if f.group == groupNone && attackOf(v.classes, f.benign) != nil && slices.ContainsFunc(v.report.Sets, func(s validation.SetReport) bool {
		return slices.ContainsFunc(s.Labels, func(l validation.Label) bool { return l.Unknown })
	}) {
		v.a.note("the model has one class besides %s, the data have others: --group binary takes all of them for one", v.benign)
	}
	v.report.Version = version()
	v.report.Settings.Group = f.group
	if len(captures) > 0 {
		v.report.Settings.Window, v.report.Settings.As = f.window, f.as.String()
	}
	return nil
}

// measure finds how fast the model is, and how right under load.
func (v *validated) measure(ctx context.Context) error {
	f := v.f
	if f.speed.off && !f.load.wanted() {
		return nil
	}
	classes, traffic, free, err := v.traffic(ctx)
	if err != nil {
		return err
	}
	defer free()
	if !f.speed.off {
		if v.fast, err = f.speed.measure(ctx, v, traffic); err != nil {
			return err
		}
	}
	if f.load.wanted() {
		v.loaded, err = f.load.measure(ctx, v, classes, traffic)
	}
	return err
}

// digestOf returns the SHA-256 of a file, "" if the name is not one's.
func digestOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return "", nil // with --python a name can be anything
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// whole is the report as JSON.
func (v *validated) whole() any {
	return struct {
		*validation.Report
		Speed *analysis.Speed `json:"speed,omitempty"`
		Load  *quality.Report `json:"load,omitempty"`
	}{v.report, v.fast, v.loaded}
}

// writeRest writes for a person what speed and quality under load are, below the report.
func (v *validated) writeRest(w io.Writer) error {
	if v.fast != nil {
		if err := errors.Join(emptyLine(w), report.WriteSpeed(w, v.fast)); err != nil {
			return err
		}
	}
	if v.loaded != nil {
		return errors.Join(emptyLine(w), report.WriteQuality(w, v.loaded))
	}
	return nil
}

func emptyLine(w io.Writer) error {
	_, err := io.WriteString(w, "\n")
	return err
}

// store writes the folder of --output.
func (v *validated) store() error {
	path := v.f.output
	if err := report.WriteValidationFolder(path, v.report, v.whole(), v.writeRest); err != nil || v.loaded == nil {
		return err
	}
	return report.WriteQualityFiles(func(name string, write func(io.Writer) error) error {
		return report.WriteFile(filepath.Join(path, name), write)
	}, v.loaded)
}

// show prints and stores the report.
func (v *validated) show(condition *analysis.Condition) error {
	f := v.f
	if f.output != "" {
		if err := v.store(); err != nil {
			return err
		}
		v.a.note("report in %s", f.output)
	}
	if f.json {
		if err := json.NewEncoder(v.a.stdout).Encode(v.whole()); err != nil {
			return err
		}
	} else if err := errors.Join(report.WriteValidation(v.a.stdout, v.report, report.ValidationText{Confusion: f.confusion}), v.writeRest(v.a.stdout)); err != nil {
		return err
	}
	if condition == nil {
		return nil
	}
	found, err := v.checked(condition)
	if err != nil {
		return err
	}
	for _, m := range found {
		v.a.note("%v", m)
	}
	if len(found) > 0 {
		return errMissed
	}
	return nil
}
