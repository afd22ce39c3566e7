package cli

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"pcaplab/datasets/cic"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/truth"
	"pcaplab/parse/feature"
)

// fileLists are flags that take all words up to the next flag of their kind: --data a.csv b.csv --test c.csv. The shell makes such
// words of a pattern. Other flags may stand between them.
type fileLists struct {
	fs    *pflag.FlagSet
	lists []*fileList
}

type fileList struct {
	of    *fileLists
	name  string
	files []string
	from  []int // the words behind a use of the flag begin at this argument
}

// add adds a flag.
func (l *fileLists) add(fs *pflag.FlagSet, name, usage string) *fileList {
	l.fs = fs
	f := &fileList{of: l, name: name}
	l.lists = append(l.lists, f)
	fs.Var(f, name, usage)
	return f
}

// String returns the files named with the flag itself.
func (f *fileList) String() string { return strings.Join(f.files, " ") }

// Type is that of a flag that names a file.
func (f *fileList) Type() string { return "string" }

// Set takes a file, and notes how many arguments came before.
func (f *fileList) Set(s string) error {
	f.files = append(f.files, s)
	f.from = append(f.from, f.of.fs.NArg())
	return nil
}

// gather gives each list the arguments behind its flag, and returns those before the first. It is called once.
func (l *fileLists) gather(args []string) (before []string) {
	type begin struct {
		list *fileList
		n    int // of its files
		at   int // in args
	}
	var begins []begin
	for _, f := range l.lists {
		for n, at := range f.from {
			begins = append(begins, begin{f, n, min(at, len(args))})
		}
	}
	slices.SortStableFunc(begins, func(a, b begin) int { return a.at - b.at })
	if len(begins) == 0 {
		return args
	}
	behind := map[*fileList][][]string{}
	for _, f := range l.lists {
		behind[f] = make([][]string, len(f.files))
	}
	for i, b := range begins {
		end := len(args)
		if i+1 < len(begins) {
			end = begins[i+1].at
		}
		behind[b.list][b.n] = args[b.at:end]
	}
	for _, f := range l.lists {
		var all []string
		for n, file := range f.files {
			all = append(append(all, file), behind[f][n]...)
		}
		f.files = all
	}
	return args[:begins[0].at]
}

// Groups of labels.
const (
	groupNone     = "none"
	groupBinary   = "binary"
	groupCategory = "category"
)

// labelledFlags say how labelled vectors come of tables and captures.
type labelledFlags struct {
	window, label, truth, group, benign string
	share                               float64
	salvage                             bool
	as                                  asFlag
	memory                              octetsFlag
	seed                                uint64

	synthetic map[string]int // how often each synthetic capture was named
	mapped    string         // label that --group map=FILE gives benign traffic; set by relabel

	note  func(format string, args ...any)
	given func(flag string) bool // whether the user gave it

	guessed   bool              // the user gave no --group: it is what suits a model
	own       []string          // labels that are a model's two classes: that which is not benign is an attack's
	names     map[string]string // what labels of the data are called, before they are grouped
	strangers *[]string         // labels that were taken for attacks although nothing knows them; set by relabel
}

// defaultRowMemory is for how many octets of rows passes after the first need not read files.
const defaultRowMemory = 256 << 20

func (l *labelledFlags) add(a *app, fs *pflag.FlagSet) {
	l.memory, l.note, l.given = defaultRowMemory, a.note, fs.Changed
	fs.StringVar(&l.window, "window", "10", "of captures: rows of a window, a time (1s), or cic: by class, as the dataset has it")
	fs.Var(&l.as, "as", "of captures: whose numbers: extractor, pipeline, released or fixed")
	fs.StringVar(&l.label, "label", "folder", "of captures, and tables without a column Label: folder (the class), map=FILE (pattern and label a line) or text=LABEL")
	fs.StringVar(&l.truth, "truth", "", "of captures: file of attackers' MAC and IP addresses, cic, or beside: CAPTURE.truth.csv; all windows else are benign")
	fs.Float64Var(&l.share, "truth-share", 0, "least share of a window's rows that must be an attack's, with --truth (0: one row)")
	fs.StringVar(&l.benign, "benign", "", "label of benign traffic (default: BENIGN, or Benign with a --group)")
	fs.StringVar(&l.group, "group", groupNone, "put labels together: none, binary (Benign, Attack), category (of CIC-IoT-2023, 8) or map=FILE")
	fs.BoolVar(&l.salvage, "salvage", false, "go on after damage in captures, and take tables up to a cut; say what was lost")
	fs.Var(&l.memory, "memory", "octets of rows to keep between passes (default 256MiB); what is beyond is read again")
	fs.Uint64Var(&l.seed, "seed", 1, "of everything random, and of synthetic traffic")
	fs.Lookup("memory").DefValue = ""
}

// benignLabel returns how benign traffic is labelled after grouping. With a map it is known once relabel was called.
func (l *labelledFlags) benignLabel() string {
	switch {
	case l.mapped != "":
		return l.mapped
	case l.benign != "":
		return l.benign
	case l.group == groupNone || l.group == "":
		return labelled.Benign
	}
	return "Benign"
}

// isBenign reports whether a label is benign traffic's in either release of CIC-IoT-2023, or by its name.
func isBenign(label string) bool {
	class, ok := classOfLabel(label)
	return ok && class.Category == "Benign" || strings.EqualFold(label, "benign")
}

// classOfLabel returns the class of CIC-IoT-2023 that a label spells, as either release or its folders and files do, in any case. Unlike
// cic.Find it takes a label for no path, and nothing that copies and pieces of files add.
func classOfLabel(label string) (cic.Class, bool) {
	for _, c := range cic.Classes() {
		for _, name := range []string{c.Label, c.OldLabel, c.Folder, c.CSVFolder, c.Stem} {
			if strings.EqualFold(label, name) {
				return c, true
			}
		}
	}
	return cic.Class{}, false
}

// relabel returns what spells labels as one, and puts them together as --group says: the two releases of CIC-IoT-2023 and its
// folders spell a class in several ways, and here the newer release's is taken, by which maps go too. Labels of nothing that it knows
// stay as they are.
func (l *labelledFlags) relabel() (func(string) (string, error), error) {
	group, err := l.grouping()
	if err != nil || len(l.names) == 0 {
		return group, err
	}
	return func(label string) (string, error) {
		if name, ok := l.names[label]; ok {
			label = name
		}
		return group(label)
	}, nil
}

// isAttack reports whether a label says that traffic is an attack's: a class of CIC-IoT-2023, a category of them, or attack.
func isAttack(label string) bool {
	if class, ok := classOfLabel(label); ok {
		return class.Category != "Benign"
	}
	return strings.EqualFold(label, "attack") || !isBenign(label) && slices.ContainsFunc(cic.Classes(), func(c cic.Class) bool { return strings.EqualFold(c.Category, label) })
}

// takenForAttacks says which labels --group binary took for attacks' although nothing is known of them; "" if there are none.
func (l *labelledFlags) takenForAttacks() string {
	if l.strangers == nil || len(*l.strangers) == 0 {
		return ""
	}
	return "taken for attacks, as --group binary says: " + strings.Join(*l.strangers, ", ")
}

// grouping is relabel without names.
func (l *labelledFlags) grouping() (func(string) (string, error), error) {
	spell := func(label string) string {
		if class, ok := classOfLabel(label); ok {
			return class.Label
		}
		return label
	}
	benign := func(label string) bool { return isBenign(label) || label == l.benignLabel() }
	kind, value, _ := strings.Cut(l.group, "=")
	switch {
	case l.group == groupNone || l.group == "":
		return func(label string) (string, error) {
			if class, ok := classOfLabel(label); ok && class.Category == "Benign" {
				return l.benignLabel(), nil
			}
			return spell(label), nil
		}, nil
	case l.group == groupBinary:
		if l.strangers == nil {
			l.strangers = new([]string)
		}
		strangers := l.strangers
		return func(label string) (string, error) {
			switch {
			case benign(label):
				return l.benignLabel(), nil
			case isAttack(label) || slices.Contains(l.own, label) || slices.Contains(*strangers, label):
			case l.guessed && l.truth == "":
				or := fmt.Sprintf("--benign %q if it is benign traffic's, ", label)
				if l.benign != "" {
					or = ""
				}
				return "", fmt.Errorf("label %q: neither benign nor attack nor a class of CIC-IoT-2023, so what it is cannot be told: %s--group map=FILE to say what "+
					"each label is, or --group binary to take all such for attacks", label, or)
			default:
				*strangers = append(*strangers, label)
			}
			return "Attack", nil
		}, nil
	case l.group == groupCategory:
		return func(label string) (string, error) {
			if benign(label) {
				return l.benignLabel(), nil
			}
			class, ok := classOfLabel(label)
			if !ok {
				if slices.ContainsFunc(cic.Classes(), func(c cic.Class) bool { return c.Category == label }) {
					return label, nil
				}
				return "", fmt.Errorf("label %q is none of CIC-IoT-2023, so it has no category: --group map=FILE says one", label)
			}
			return class.Category, nil
		}, nil
	case kind == "map" && value != "":
		file, err := os.Open(value)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		m, err := cic.ReadLabelMap(file, value)
		if err != nil {
			return nil, err
		}
		find := func(label string) (to string, ok bool) {
			if to, ok = m.Label(spell(label)); !ok {
				to, ok = m.Label(label)
			}
			return to, ok
		}
		switch to, ok := find(cmp.Or(l.benign, labelled.Benign)); {
		case slices.Contains(m.Labels(), l.benign):
			l.mapped = l.benign
		case ok:
			l.mapped = to
		case l.truth != "" || l.benign != "":
			return nil, usagef("%s: no pattern in it matches %s, the label of benign traffic: add one, or name one of its labels with --benign", value,
				cmp.Or(l.benign, labelled.Benign))
		}
		return func(label string) (string, error) {
			to, ok := find(label)
			if !ok {
				return "", fmt.Errorf("%s: no pattern in it matches the label %q", value, spell(label))
			}
			return to, nil
		}, nil
	}
	return nil, usagef("--group %q: want none, binary, category or map=FILE", l.group)
}

// config returns how rows are made, but for the caller's own fields.
func (l *labelledFlags) config() (labelled.Config, error) {
	cfg := labelled.Config{As: l.as.As, Salvage: l.salvage, TruthShare: l.share, Memory: int64(l.memory)}
	if !(l.share >= 0 && l.share <= 1) {
		return cfg, usagef("--truth-share %v: want 0 to 1", l.share)
	}
	if l.share > 0 && l.truth == "" {
		return cfg, usagef("--truth-share needs --truth")
	}
	var err error
	if cfg.Relabel, err = l.relabel(); err != nil {
		return cfg, err
	}
	cfg.Benign = l.benignLabel()
	if l.truth != "" && l.truth != besideCapture {
		cfg.Attackers, err = readAttackers(l.truth)
	}
	return cfg, err
}

// besideCapture is --truth for the tables that 'dataset mix' and 'dataset synth' write.
const besideCapture = "beside"

// sources makes a source of each table, capture and synth:PROFILE. A profile that is named again has the next seed.
func (l *labelledFlags) sources(files []string) ([]labelled.Source, error) {
	if l.synthetic == nil {
		l.synthetic = map[string]int{}
	}
	if err := namedOnce(files); err != nil {
		return nil, err
	}
	var sources []labelled.Source
	for _, file := range files {
		s := labelled.Source{Path: file}
		features := featuresFlags{label: l.label, window: l.window, seed: l.seed}
		if file == stdin {
			return nil, usagef("standard input can be read once, and rows are read again and again: name a file")
		}
		synthetic, table := strings.HasPrefix(file, synthPrefix), false
		if !synthetic {
			var labels bool
			var err error
			if table, labels, err = labelled.KindOf(file); err != nil {
				return nil, err
			}
			if table { // has no windows to cut, and perhaps its own labels
				features.window = "10"
				if labels {
					sources = append(sources, s)
					continue
				}
			}
			if l.truth == besideCapture && !table {
				s.Truth = file + truth.Suffix
				features.label = "" // of each packet
			}
		} else {
			profile, _, err := parseSynth(file)
			if err != nil {
				return nil, err
			}
			features.seed += uint64(l.synthetic[profile])
			l.synthetic[profile]++
			s.Synthetic = true
			if l.truth == besideCapture {
				s.TruthOfFrames, features.label = true, ""
			} else if _, known, err := classOf(file); l.label == "folder" && !known && err == nil {
				return nil, usagef("%s is of no class: give --label text=LABEL or map=FILE, or --truth %s where its frames have classes", file, besideCapture)
			}
		}
		made, err := features.sources([]string{file})
		if err != nil {
			return nil, err
		}
		s.Span, s.Label, s.Open = made[0].Span, made[0].Label, made[0].Open
		if table {
			if err := l.unlabelled(file, s.Label); err != nil {
				return nil, err
			}
		}
		if l.group == groupBinary && features.label == "folder" && l.truth == "" && !isBenign(s.Label) && s.Label != l.benignLabel() && !isAttack(s.Label) {
			or := fmt.Sprintf(", or --benign %q", s.Label)
			if l.benign != "" {
				or = ""
			}
			return nil, usagef("%s: is it benign traffic or an attack? The name of its folder, %q, does not say so: --label text=BENIGN, map=FILE (a pattern and a label a "+
				"line)%s", file, s.Label, or)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// idle refuses labels that would concern none of the files, all of a command, and notes what else does not.
func (l *labelledFlags) idle(files []string) error {
	tables, captures, err := byKind(files)
	if err != nil || len(captures) > 0 {
		return err
	}
	if l.truth != "" {
		return usagef("--truth %s is of captures, and there are only tables, whose labels stay as they are: leave it out", l.truth)
	}
	own := 0
	for _, file := range tables {
		if _, labels, err := labelled.KindOf(file); err == nil && labels {
			own++
		}
	}
	if own == len(tables) && l.given("label") {
		return usagef("--label %s is of captures and of tables without labels, and all tables have a column Label: leave it out, or call labels otherwise with --group map=FILE",
			l.label)
	}
	var without []string
	for _, flag := range []string{"window", "as"} {
		if l.given(flag) {
			without = append(without, "--"+flag)
		}
	}
	if len(without) > 0 {
		l.note("%s: of captures, and there are only tables, whose vectors are as they are", strings.Join(without, ", "))
	}
	return nil
}

// unlabelled refuses a table without a column Label where its folder does not say what it is, or a column of it seems to, unless the
// user gave --label: then it says which label was taken.
func (l *labelledFlags) unlabelled(file, label string) error {
	seem, err := labelled.SeemLabels(file)
	if err != nil {
		return err
	}
	seems := ""
	for i, name := range seem {
		seem[i] = strconv.Quote(name)
	}
	if len(seem) > 0 {
		seems = ", but " + strings.Join(seem, ", ")
	}
	if l.given("label") {
		l.note("%s: no column Label%s: all rows have the label %s, as --label %s says", file, seems, label, l.label)
		return nil
	}
	_, known, err := classOf(file)
	switch {
	case err != nil:
		return err
	case len(seem) > 0:
		return usagef("%s: no column Label%s: if that has the labels, rename it to Label; else --label folder takes %s for all rows, --label text=LABEL another label", file,
			seems, label)
	case !known && !isBenign(label) && !isAttack(label) && label != l.benignLabel():
		return usagef("%s: no column Label, and the name of its folder, %q, is no class of CIC-IoT-2023: name the column with the labels Label, or give --label text=LABEL, "+
			"map=FILE (a pattern and a label a line), or folder to take that name all the same", file, label)
	}
	return nil
}

// open opens files as one set of rows. cfg is of config, with the caller's own fields.
func (l *labelledFlags) open(files []string, cfg labelled.Config) (*labelled.Set, error) {
	sources, err := l.sources(files)
	if err != nil {
		return nil, err
	}
	return labelled.Open(sources, cfg)
}

// chosenColumns returns the columns that --columns and --drop leave: names, joined by commas or one a line of a file, and
// window-length for those that feature.WindowLengthColumns lists. Neither is all. A file that is named as a column is not looked at.
func chosenColumns(columns, drop string) ([]int, error) {
	all := feature.Columns()
	read := func(flag, value string) ([]int, error) {
		names := strings.Split(value, ",")
		if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() && names[0] != windowLength && columnIndex(names[0]) < 0 {
			text, err := os.ReadFile(value)
			if err != nil {
				return nil, err
			}
			names = strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
		}
		var list []int
		for _, name := range names {
			name = strings.TrimSpace(name)
			if name == "" || strings.HasPrefix(name, "#") {
				continue
			}
			if name == windowLength {
				list = append(list, feature.WindowLengthColumns()...)
				continue
			}
			i := columnIndex(name)
			if i < 0 {
				hint := ""
				if filepath.Ext(name) != "" || strings.ContainsAny(name, `/\`) {
					hint = ", nor is there such a file"
				}
				return nil, usagef("--%s: %q is no column%s: there are %s", flag, name, hint, strings.Join(all, ", "))
			}
			if slices.Contains(list, i) {
				return nil, usagef("--%s: %q is there twice", flag, name)
			}
			list = append(list, i)
		}
		if len(list) == 0 {
			return nil, usagef("--%s %s: no columns", flag, value)
		}
		slices.Sort(list)
		return list, nil
	}
	var list []int
	var err error
	if columns != "" {
		if list, err = read("columns", columns); err != nil {
			return nil, err
		}
	} else {
		for i := range all {
			list = append(list, i)
		}
	}
	if drop != "" {
		without, err := read("drop", drop)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(i int) bool { return slices.Contains(without, i) })
		if len(list) == 0 {
			return nil, usagef("--drop %s leaves no column", drop)
		}
	}
	return list, nil
}

// columnIndex returns the index of the column of that name, in any case, -1 if there is none.
func columnIndex(name string) int {
	return slices.IndexFunc(feature.Columns(), func(c string) bool { return strings.EqualFold(c, name) })
}

// windowLength names the columns that tell how long a window is.
const windowLength = "window-length"
