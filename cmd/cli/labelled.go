package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
}

// defaultRowMemory is for how many octets of rows passes after the first need not read files.
const defaultRowMemory = 256 << 20

func (l *labelledFlags) add(fs *pflag.FlagSet) {
	l.memory = defaultRowMemory
	fs.StringVar(&l.window, "window", "10", "of captures: rows of a window, a time (1s), or cic: by class, as the dataset has it")
	fs.Var(&l.as, "as", "of captures: whose numbers: extractor, pipeline, released or fixed")
	fs.StringVar(&l.label, "label", "folder", "of captures, and tables without labels: folder (the class), map=FILE (pattern and label a line) or text=LABEL")
	fs.StringVar(&l.truth, "truth", "", "of captures: file of attackers' MAC and IP addresses, cic, or beside: CAPTURE.truth.csv; all windows else are benign")
	fs.Float64Var(&l.share, "truth-share", 0, "least share of a window's rows that must be an attack's, with --truth (0: one row)")
	fs.StringVar(&l.benign, "benign", "", "label of benign traffic (default: BENIGN, or Benign with a --group)")
	fs.StringVar(&l.group, "group", groupNone, "put labels together: none, binary (Benign, Attack), category (of CIC-IoT-2023, 8) or map=FILE")
	fs.BoolVar(&l.salvage, "salvage", false, "go on after damage in captures, and take tables up to a cut; say what was lost")
	fs.Var(&l.memory, "memory", "octets of rows to keep between passes (default 256MiB); what is beyond is read again")
	fs.Uint64Var(&l.seed, "seed", 1, "of everything random, and of synthetic traffic")
	fs.Lookup("memory").DefValue = ""
}

// benignLabel returns how benign traffic is labelled after grouping.
func (l *labelledFlags) benignLabel() string {
	switch {
	case l.benign != "":
		return l.benign
	case l.group == groupNone || l.group == "":
		return labelled.Benign
	}
	return "Benign"
}

// isBenign reports whether a label is benign traffic's in either release of CIC-IoT-2023, or by its name.
func isBenign(label string) bool {
	class, ok := cic.Find(label)
	return ok && class.Category == "Benign" || strings.EqualFold(label, "benign")
}

// relabel returns what spells labels as one, and puts them together as --group says: the two releases of CIC-IoT-2023 and its
// folders spell a class in several ways, and here the newer release's is taken, by which maps go too. Labels of nothing that it knows
// stay as they are.
func (l *labelledFlags) relabel() (func(string) (string, error), error) {
	spell := func(label string) string {
		if class, ok := cic.Find(label); ok && !strings.ContainsAny(label, `/\`) {
			return class.Label
		}
		return label
	}
	benign := func(label string) bool { return isBenign(label) || label == l.benignLabel() }
	kind, value, _ := strings.Cut(l.group, "=")
	switch {
	case l.group == groupNone || l.group == "":
		return func(label string) (string, error) {
			if class, ok := cic.Find(label); ok && class.Category == "Benign" {
				return l.benignLabel(), nil
			}
			return spell(label), nil
		}, nil
	case l.group == groupBinary:
		return func(label string) (string, error) {
			if benign(label) {
				return l.benignLabel(), nil
			}
			return "Attack", nil
		}, nil
	case l.group == groupCategory:
		return func(label string) (string, error) {
			if benign(label) {
				return l.benignLabel(), nil
			}
			class, ok := cic.Find(label)
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
		return func(label string) (string, error) {
			to, ok := m.Label(spell(label))
			if !ok {
				if to, ok = m.Label(label); !ok {
					return "", fmt.Errorf("%s: no pattern in it matches the label %q", value, spell(label))
				}
			}
			return to, nil
		}, nil
	}
	return nil, usagef("--group %q: want none, binary, category or map=FILE", l.group)
}

// config returns how rows are made, but for the caller's own fields.
func (l *labelledFlags) config() (labelled.Config, error) {
	cfg := labelled.Config{As: l.as.As, Salvage: l.salvage, TruthShare: l.share, Benign: l.benignLabel(), Memory: int64(l.memory)}
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
	var sources []labelled.Source
	for _, file := range files {
		s := labelled.Source{Path: file}
		features := featuresFlags{label: l.label, window: l.window, seed: l.seed}
		if file == stdin {
			return nil, usagef("standard input can be read once, and rows are read again and again: name a file")
		}
		synthetic := strings.HasPrefix(file, synthPrefix)
		if !synthetic {
			table, labels, err := labelled.KindOf(file)
			if err != nil {
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
		sources = append(sources, s)
	}
	return sources, nil
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
// window-length for those that feature.WindowLengthColumns lists. Neither is all.
func chosenColumns(columns, drop string) ([]int, error) {
	all := feature.Columns()
	read := func(flag, value string) ([]int, error) {
		names := strings.Split(value, ",")
		if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() {
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
			i := slices.IndexFunc(all, func(c string) bool { return strings.EqualFold(c, name) })
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

// windowLength names the columns that tell how long a window is.
const windowLength = "window-length"
