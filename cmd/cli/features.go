package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/datasets"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// featuresFlags are the flags of the command features.
type featuresFlags struct {
	extract.Config
	output string
	window string
	label  string
	truth  string
	seed   uint64
	json   bool
	hash   bool
	as     asFlag
	featuresShard
}

// asFlag is a flag for feature.As.
type asFlag struct{ feature.As }

func (a *asFlag) Set(s string) error { return a.UnmarshalText([]byte(s)) }
func (a *asFlag) Type() string       { return "string" }

func (a *app) featuresCommand() *cobra.Command {
	var f featuresFlags
	c := &cobra.Command{
		Use:   "features [flags] FILE...",
		Short: "Extract the 39 feature columns of CIC-IoT-2023",
		Long: `Summarises windows of packets into the 39 columns of the dataset's CSV files, in its order and spelling, as CSV (octet for octet
what pandas writes) or Parquet. Several captures are read at once and written in order. Memory does not grow with them.

--as says whose numbers: 'extractor' is what the dataset authors' Python scripts give on the packets of a capture, bit for bit;
'pipeline' is their whole tool chain (pieces of 10,000,000 octets by tcpdump -C 10, microseconds, snaplen, pandas.read_csv);
'released' is the pipeline with sums in order, as in the published files; 'fixed' has the known faults mended. METHOD.md says
what each column means and which frames give no row. Frames that give none are counted by reason.

The output appears whole or not at all; after an error what was there before stays. What is no capture is an error before anything is written.
A capture that is damaged gives the rows before the damage, an error that says so, and exit code 1 (--salvage: a note and 0). After a kill or
Ctrl-C the same command with --resume goes on where it was.

--truth beside takes the labels of windows from CAPTURE.truth.csv, which 'dataset mix', 'dataset sample', 'dataset synth' and 'synth --truth' write
beside their captures: that of the packets of an attack in it, else --benign, as 'train --truth beside' has them.

With --shard i/n it makes one of n shards, of about as many packets each, as a folder in the folder -o DIR; '` + a.Name + ` merge DIR -o FILE' joins
them to what one run without --shard writes, octet for octet. The manifest of 'dataset scan' says where windows begin and what the captures'
SHA-256 is; without one every shard reads all captures for that. Captures are cut inside where windows can be found there: plain pcap with
windows of rows (not --as fixed), or of any length with --as pipeline or released. All others go to one shard as a whole.

The manifest is believed where size and time of change of a capture are as it says; of copies with another time (keep it: cp -p, rsync -a) a
shard hashes those that it reads. Of a capture that is cut inside, a change that keeps size and time is not seen. The shards of CSV are
the same however captures are spelt; Parquet records their paths and the flags, so give all its shards the same words.`,
		Example: `  ` + a.Name + ` features capture.pcap -o out.csv
  ` + a.Name + ` features --window cic --label folder -o cic.parquet PCAP/*/*.pcap
  ` + a.Name + ` features --label text=ATTACK --truth attackers.txt --window 100 capture.pcap.zst -o out.csv
  ` + a.Name + ` features --truth beside --window 100 mixture.pcap -o labelled.parquet
  ` + a.Name + ` features --window 1s synth:iot-1 | head -3
  ` + a.Name + ` features --shard 1/2 --manifest PCAP/manifest.json --window cic -o shards PCAP/*/*.pcap   # 2/2 elsewhere, then merge
  ` + a.Name + ` features diff ours.csv theirs.csv`,
		RunE: func(c *cobra.Command, args []string) error {
			f.Hash = f.hash
			if !c.Flags().Changed("sha256") {
				f.Hash = f.format() == extract.Parquet
			}
			return f.run(c, a, args)
		},
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", stdin, "file to write, - for standard output; with --shard the folder of the shards")
	f.shardFlag.add(fs, "the vectors")
	fs.StringVar(&f.manifest, "manifest", "", "with --shard: manifest of the captures, or its folder (default: manifest.json beside or above them)")
	fs.BoolVar(&f.whole, "whole-captures", false, "with --shard: cut between captures only")
	fs.StringVar(&f.Format, "format", "", "csv or parquet (default: by the ending of the output, csv)")
	fs.StringVar(&f.window, "window", "10", "rows of a window, a time (1s), or cic: by class, as the dataset has it")
	fs.Var(&f.as, "as", "whose numbers: extractor, pipeline, released or fixed")
	fs.StringVar(&f.label, "label", "", "add a column Label: folder (the capture's class), map=FILE (PATTERN,LABEL a line) or text=LABEL")
	fs.StringVar(&f.truth, "truth", "", "file of attackers' MAC and IP addresses, or cic: only windows with frames of theirs have the label; or beside")
	fs.StringVar(&f.Benign, "benign", "BENIGN", "label of the other windows, with --truth")
	fs.Float64Var(&f.AttackShare, "truth-share", 0, "least share of a window's rows that must be an attacker's (0: one row)")
	fs.BoolVar(&f.Strict, "strict-faults", false, "lose what the scripts lose over a frame that ends them: the capture, or the piece")
	fs.BoolVar(&f.Salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.BoolVar(&f.Resume, "resume", false, "go on where a run of the same command was killed")
	fs.BoolVar(&f.hash, "sha256", false, "compute the SHA-256 of each capture (default: for parquet, which records it)")
	fs.IntVar(&f.Workers, "workers", 0, "goroutines that make vectors, and captures open at once (0: as many as CPUs)")
	fs.Uint64Var(&f.seed, "seed", 1, "of synthetic traffic")
	fs.BoolVar(&f.json, "json", false, "print what was made as JSON (on standard error with -o -)")
	c.AddCommand(a.featuresDiffCommand(), a.featuresSelectCommand())
	return c
}

// errDiffer says that two files of vectors are not equal.
var errDiffer = errors.New("the files differ")

func (a *app) featuresDiffCommand() *cobra.Command {
	var cfg vectorio.DiffConfig
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff [flags] A B",
		Short: "Compare two files of feature vectors",
		Long: `Compares two files of the 39 columns, CSV (also gzip or zstd) or Parquet, of whomever: rows, labels, and for each column the rows that
are not equal and the largest difference, absolute and relative to the larger value; and where the files first part. Columns go by
name. The exit code is 0 if they are equal within the tolerance, 3 if not. Files of the older release, with 46 columns, are refused.`,
		Example: `  ` + a.Name + ` features diff ours.csv theirs.csv
  ` + a.Name + ` features diff --tolerance 1e-12 --json ours.parquet Merged01.csv | jq .first
  ` + a.Name + ` features diff --any-order pipeline.csv BenignTraffic.pcap.csv   # their tool chain shuffles pieces`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("want two files")
			}
			if err := cfg.Check(); err != nil {
				return usageError{err}
			}
			report, err := vectorio.Diff(c.Context(), args[0], args[1], cfg)
			if cut := new(vectorio.RowError); err != nil && !errors.As(err, &cut) {
				return err // else the rows before the fault were compared
			}
			if asJSON {
				err = errors.Join(err, json.NewEncoder(a.stdout).Encode(report))
			} else {
				err = errors.Join(err, report.WriteText(a.stdout))
			}
			if err == nil && !report.Equal() {
				return errDiffer
			}
			return err
		},
	}
	c.Flags().Float64Var(&cfg.Tolerance, "tolerance", 0, "largest relative difference of equal values (0: the same float64)")
	c.Flags().BoolVar(&cfg.AnyOrder, "any-order", false, "compare the rows as a set with repeats, whatever their order; exact only")
	c.Flags().IntVar(&cfg.Examples, "examples", 3, "with --any-order: rows of each file to show that the other has not")
	c.Flags().BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	return c
}

func (f *featuresFlags) format() string {
	f.Format = strings.ToLower(f.Format)
	if f.Format == "" && strings.EqualFold(filepath.Ext(f.output), ".parquet") {
		return extract.Parquet
	}
	return f.Format
}

func (f *featuresFlags) run(c *cobra.Command, a *app, args []string) error {
	if len(args) == 0 {
		return usagef("no capture: name files, - for standard input, or synth:PROFILE")
	}
	if f.output != stdin {
		for _, file := range f.tables() {
			if samePath(f.output, file) {
				return usagef("-o %s is a file to read: write to another", f.output)
			}
		}
	}
	cfg := f.Config
	cfg.As, cfg.Format, cfg.Version, cfg.Stdin = f.as.As, f.format(), version(), a.stdin
	sources, err := f.sources(args)
	if err != nil {
		return err
	}
	if err := namedOnce(args); err != nil {
		return err
	}
	cfg.Labelled = f.label != "" || f.truth == besideCapture
	switch {
	case f.truth == besideCapture:
		if err := f.beside(sources); err != nil {
			return err
		}
	case f.truth == "":
		if c.Flags().Changed("truth-share") || c.Flags().Changed("benign") {
			return usagef("--truth-share and --benign need --truth")
		}
		cfg.Benign = ""
	default:
		if f.label == "" {
			return usagef("--truth says which windows get the label: give one, as --label folder or --label text=ATTACK")
		}
		if cfg.Attackers, err = readAttackers(f.truth); err != nil {
			return err
		}
	}
	if strings.EqualFold(filepath.Ext(f.output), ".parquet") && cfg.Format == extract.CSV {
		return usagef("--format csv into %s: name it .csv, or leave the format out", f.output)
	}
	part, sharded, err := f.part()
	if err != nil {
		return err
	}
	if !sharded && (f.manifest != "" || f.whole) {
		return usagef("--manifest and --whole-captures say how shards are cut: give --shard")
	}
	if sharded {
		cfg.Settings = f.settings(args)
		defer a.interruptible(c.Context(), args, func() {})()
		limitMemory(cfg.Workers)
		return f.makeShard(c, a, cfg, sources, part)
	}
	if f.output == stdin && f.Resume {
		return usagef("--resume goes on with a file: -o FILE")
	}
	if cfg.Format == extract.Parquet && f.output == stdin && isTerminal(a.stdout) {
		return usagef("parquet is not for a terminal: -o FILE, or a pipe")
	}
	cfg.Settings = f.settings(args)
	total, err := storedSize(sources)
	if err != nil {
		return err
	}
	limitMemory(cfg.Workers)
	defer a.interruptible(c.Context(), args, func() {})()
	bar := a.octetsBar("reading")
	cfg.Progress = func(done int64) { bar.set(done, total) }
	var summary *extract.Summary
	if f.output == stdin {
		summary, err = extract.Stream(c.Context(), a.stdout, cfg, sources)
	} else {
		summary, err = extract.File(c.Context(), f.output, cfg, sources)
	}
	bar.done()
	if !cfg.Salvage && f.truth != besideCapture { // behind what is skipped a table cannot be followed
		err = datasets.Explain(err)
	}
	err = toldDamage(err, f.output)
	if summary == nil {
		switch {
		case errors.As(err, new(*extract.ConfigError)):
			return usageError{err}
		case errors.Is(err, extract.ErrResumable):
			a.note("the same command with --resume goes on from here")
		}
		return err
	}
	if f.json {
		w := a.stdout
		if f.output == stdin {
			w = a.stderr
		}
		return errors.Join(err, json.NewEncoder(w).Encode(summary))
	}
	f.tell(a, summary)
	return err
}

// tables are the files that flags name.
func (f *featuresFlags) tables() (list []string) {
	if kind, file, _ := strings.Cut(f.label, "="); kind == "map" && file != "" {
		list = append(list, file)
	}
	if f.truth != "" && f.truth != "cic" && f.truth != besideCapture {
		list = append(list, f.truth)
	}
	return list
}

// namedOnce refuses a file that is named twice.
func namedOnce(args []string) error {
	var infos []fs.FileInfo
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || arg == stdin {
			continue // not there, which is told later, or no file
		}
		if slices.ContainsFunc(infos, func(other fs.FileInfo) bool { return os.SameFile(info, other) }) {
			return usagef("%s: named twice: its rows would count twice", arg)
		}
		infos = append(infos, info)
	}
	return nil
}

// beside gives the sources the labels of the tables beside them, or of synthetic frames.
func (f *featuresFlags) beside(sources []extract.Source) error {
	if f.label != "" {
		return usagef("--truth %s has the label of each window: leave --label %s out", besideCapture, f.label)
	}
	if _, sharded, err := f.part(); err != nil {
		return err
	} else if sharded {
		return usagef("--truth %s: a shard cannot begin inside a table of truth: make the file in one run, without --shard", besideCapture)
	}
	labels := labelledFlags{benign: f.Benign, truth: f.truth}
	cfg := labelled.Config{TruthShare: f.AttackShare, Benign: labels.benignLabel()}
	var err error
	if cfg.Relabel, err = labels.relabel(); err != nil {
		return err
	}
	for i := range sources {
		s := &sources[i]
		if s.Path == stdin {
			return usagef("--truth %s: standard input has no table beside it: name a file", besideCapture)
		}
		if s.Open == nil {
			s.Truth = s.Path + truth.Suffix
		}
		s.Tell = labelled.Tell(s.Path, s.Truth, cfg)
	}
	return nil
}

// toldDamage adds to an error of damaged captures what of them is written.
func toldDamage(err error, output string) error {
	if !errors.As(err, new(*extract.FaultError)) {
		return err
	}
	if output == stdin {
		output = "the output"
	}
	return fmt.Errorf("%w\n%s is written, but of a damaged capture it has only the rows before the damage", err, output)
}

// settings is what the record says of the flags.
func (f *featuresFlags) settings(args []string) string {
	s := "--window " + f.window
	if f.label != "" {
		s += " --label " + f.label
	}
	if f.truth != "" {
		s += " --truth " + f.truth
	}
	if strings.HasPrefix(args[0], synthPrefix) {
		s += fmt.Sprint(" --seed ", f.seed)
	}
	return s
}

// limitMemory collects earlier rather than grow: row groups are large and short-lived.
func limitMemory(workers int) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	debug.SetMemoryLimit(int64(40+16*workers) << 20)
}

// sources makes a source of each argument.
func (f *featuresFlags) sources(args []string) ([]extract.Source, error) {
	if err := (&captureFlags{}).check(args); err != nil {
		return nil, err
	}
	label, err := f.labels()
	if err != nil {
		return nil, err
	}
	var span feature.Span
	if f.window != "cic" {
		if span, err = feature.ParseSpan(f.window); err != nil {
			return nil, usageError{fmt.Errorf("--window: %w", err)}
		}
	}
	var sources []extract.Source
	for _, arg := range args {
		s := extract.Source{Path: arg, Span: span}
		if f.window == "cic" {
			class, ok, err := classOf(arg)
			if err != nil {
				return nil, err
			}
			if !ok {
				return nil, usagef("--window cic: %s is in no folder and of no name that CIC-IoT-2023 has; give --window a number", arg)
			}
			s.Span.Rows = class.Window
		}
		if s.Label, err = label(arg); err != nil {
			return nil, err
		}
		if strings.HasPrefix(arg, synthPrefix) {
			profile, frames, err := parseSynth(arg)
			if err != nil {
				return nil, err
			}
			s.Open = func() (extract.Frames, error) {
				src, err := synth.New(profile, f.seed)
				return &limited{src, frames}, err
			}
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// limited is synthetic traffic with an end.
type limited struct {
	*synth.Source
	left int
}

func (l *limited) Next(f *parse.Frame) error {
	if l.left == 0 {
		return io.EOF
	}
	l.left--
	return l.Source.Next(f)
}

// classOf returns the class of a capture by its folder or, if that is none, its name. They must not contradict each other. Synthetic
// traffic is of the class that it imitates.
func classOf(path string) (class cic.Class, ok bool, err error) {
	if strings.HasPrefix(path, synthPrefix) {
		name, _, err := parseSynth(path)
		if err != nil {
			return cic.Class{}, false, err
		}
		class, ok = cic.Find(name)
		return class, ok, nil
	}
	class, ok = cic.Find(path)
	if named, known := cic.Find(filepath.Base(path)); ok && known && named.Folder != class.Folder {
		err = usagef("%s: its folder is that of %s, its name that of %s: name the file from inside another folder, or give --window and --label", path,
			class.Folder, named.Folder)
	}
	return class, ok, err
}

// labels returns what gives a capture its label.
func (f *featuresFlags) labels() (func(path string) (string, error), error) {
	kind, value, _ := strings.Cut(f.label, "=")
	switch {
	case f.label == "":
		return func(string) (string, error) { return "", nil }, nil
	case f.label == "folder":
		return func(path string) (string, error) {
			if class, ok, err := classOf(path); err != nil || ok {
				return class.Label, err
			}
			full, err := filepath.Abs(path)
			if folder := filepath.Base(filepath.Dir(full)); err == nil && path != stdin && !strings.HasPrefix(path, synthPrefix) &&
				folder != string(filepath.Separator) {
				return folder, nil
			}
			return "", usagef("--label folder: %s is in no folder", path)
		}, nil
	case kind == "text" && value != "":
		return func(string) (string, error) { return value, nil }, nil
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
		return func(path string) (string, error) {
			label, ok := m.Label(path)
			if !ok {
				return "", fmt.Errorf("%s: no pattern in it matches %s", value, path)
			}
			return label, nil
		}, nil
	}
	return nil, usagef("--label %q: want folder, map=FILE or text=LABEL", f.label)
}

func readAttackers(name string) (*feature.Attackers, error) {
	if name == "cic" {
		return feature.ReadAttackers(cic.Attackers(), "attackers of CIC-IoT-2023")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	head, _ := in.Peek(4096)
	if _, err := truth.NewReader(bytes.NewReader(head)); err == nil {
		return nil, usagef("--truth %s: not addresses, but what each packet of a capture is: --truth %s takes such a table, CAPTURE%s beside CAPTURE", name,
			besideCapture, truth.Suffix)
	}
	return feature.ReadAttackers(in, name)
}

// storedSize returns the sum of the sizes of the files, -1 if it is not known, and an error if one is not there.
func storedSize(sources []extract.Source) (int64, error) {
	var sum int64
	for _, s := range sources {
		if s.Open != nil || s.Path == stdin {
			sum = -1
			continue
		}
		info, err := os.Stat(s.Path)
		if err != nil {
			return 0, err
		}
		if info.IsDir() {
			return 0, &fs.PathError{Op: "read", Path: s.Path, Err: errors.New("is a folder: name the captures in it")}
		}
		if !info.Mode().IsRegular() || sum < 0 {
			sum = -1
			continue
		}
		sum += info.Size()
	}
	return sum, nil
}

// tell notes what was made, and what the numbers hide.
func (f *featuresFlags) tell(a *app, s *extract.Summary) {
	var frames, rows uint64
	noRow := map[string]uint64{}
	for _, source := range s.Sources {
		frames += source.Frames
		rows += source.Rows
		for name, n := range source.NoRow {
			noRow[name] += n
		}
	}
	a.note("%s frames, %s rows, %s vectors", datasets.FormatCount(frames), datasets.FormatCount(rows), datasets.FormatCount(s.Vectors))
	if len(noRow) > 0 {
		var reasons []string
		for _, o := range feature.Outcomes() {
			if n := noRow[o.Name()]; n > 0 {
				reasons = append(reasons, fmt.Sprintf("%s %v", datasets.FormatCount(n), o))
			}
		}
		a.note("%s frames gave no row: %s", datasets.FormatCount(frames-rows), strings.Join(reasons, "; "))
	}
	unit := "the whole capture"
	if s.As.Pieces() {
		unit = "the piece of 10,000,000 octets around each"
	}
	for _, source := range s.Sources {
		for _, loss := range source.Losses {
			a.note("%s: %s", source.Path, loss)
		}
		if source.Behind != "" {
			a.note("%s: %s", source.Path, source.Behind)
		}
		lost := "--strict-faults loses it too"
		if s.Strict {
			lost = "lost here too"
		}
		if n := source.NoRow[feature.Fault.Name()]; n > 0 {
			a.note("%s: %s frames without a whole IPv4 header, the first is frame %s: the scripts lose %s; %s", source.Path,
				datasets.FormatCount(n), datasets.FormatCount(source.FirstFault), unit, lost)
		}
		if source.NoDuration > 0 {
			a.note("%s: %s windows without duration: on times in ns the scripts divide by zero and lose the whole capture; %s",
				source.Path, datasets.FormatCount(source.NoDuration), lost)
		}
		if source.NotEthernet > 0 && s.As != feature.AsFixed {
			a.note("%s: %s frames are not Ethernet but read as if they were, as the scripts do; --as fixed decodes them", source.Path,
				datasets.FormatCount(source.NotEthernet))
		}
		if source.Rows == 0 && source.Frames > 0 {
			a.note("%s: no rows (the scripts make no file)", source.Path)
		}
	}
}
