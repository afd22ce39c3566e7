package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/datasets"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/mix"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/truth"
)

// classesHelp says how classes are named on the command line.
const classesHelp = `A class is CLASS=FILE[,FILE...], whose captures are read one after another in that order; or files and folders, which are
searched for captures: their class is that of CIC-IoT-2023 which their folder or name says, else the name of their folder, and they are read
in natural order (X.pcap, X1.pcap, X2.pcap, X10.pcap). Where a capture has its truth beside it (CAPTURE.truth.csv), that tells which of its
packets are the attack's; of CIC-IoT-2023 itself only benign traffic is known packet by packet.`

func (a *app) datasetMixCommand() *cobra.Command {
	var f mixFlags
	c := &cobra.Command{
		Use:   "mix [flags] -o OUT CLASS=FILE...",
		Short: "Mix classes into one labelled capture, by time or by shares",
		Long: `Writes one capture with the packets of several classes, and beside it OUT.truth.csv: the class and the origin of every packet. Each class
keeps the order of its packets and their octets; nothing is lost or doubled. What ends early, steps back in time or is moved is counted
and said. Memory does not grow with the captures: one packet of each class is held.

` + classesHelp + `

--by time merges: all classes begin at one time, the earliest of all, each with its own gaps (--offset CLASS=10s begins later). A packet whose
time goes back keeps its place behind the one before it. --by packets and --by octets interleave by --shares: equal (the default, a balanced
set), real (as CIC-IoT-2023 has them) or numbers, as Benign_Final=9,*=1 (* is each other class). At every point of the mixture a class is
within one packet (one longest frame) of its share, until a class ends. --shuffle draws each packet's class by lot instead, with the shares
as chances. --by turns shares time: one class at a time goes on by its gap to its next packet, so that Benign_Final=9,*=1 is nine minutes of
benign traffic to one of each attack, in small slices.

--until shortest ends with the first class that ends, and so keeps the shares; --until longest goes on with what remains. The default is longest
by time, shortest else. --packets, --size and --duration end earlier.

--times rebased gives interleaved packets their own times from the common start, but never before the packet before them; the slowest class
sets the pace then, so --pps N (evenly N a second) may be what you want. --times captured changes nothing. A packet of the first second of 1970
has no time and takes that of the packet before. --max-gap shortens gaps: captures of CIC-IoT-2023 have some of months. A capture that begins in the first
half of the one before it in its class is moved behind it.

OUT is a pcap or pcapng by its name, compressed if it ends in .gz or .zst, "-" for standard output (then --truth names the other file). Link
types that differ need pcapng. A capture that is damaged gives the packets before the damage, its class goes on with the next, and the exit
code is 1.`,
		Example: `  ` + a.Name + ` dataset mix -o both.pcap Benign_Final=benign.pcap DDoS-SYN_Flood=a.pcap,b.pcap
  ` + a.Name + ` dataset mix --by packets --packets 1e6 --pps 5000 -o balanced.pcap.zst --from-tree PCAP
  ` + a.Name + ` dataset mix --by octets --shares 'Benign_Final=9,*=1' --shuffle --seed 7 -o train.pcapng PCAP/*/*.pcap
  ` + a.Name + ` dataset mix --offset DoS-TCP_Flood=30s --duration 2m -o attack.pcapng PCAP/Benign_Final PCAP/DoS-TCP_Flood
  ` + a.Name + ` dataset mix --max-gap 10s -o - --truth t.csv PCAP/XSS PCAP/SqlInjection | tcpdump -nr -`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return captureExtensions, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "", "capture to write, - for standard output")
	fs.StringVar(&f.truth, "truth", "", "`file` for the truth (default: OUT.truth.csv)")
	fs.StringArrayVar(&f.trees, "from-tree", nil, "`folder` with a folder for each class; may be repeated")
	fs.StringVar(&f.cfg.By, "by", mix.Time, "time, packets, octets or turns")
	fs.StringVar(&f.shares, "shares", "", "equal, real or `CLASS=N,...`: shares of packets, octets or time (default equal)")
	fs.BoolVar(&f.cfg.Shuffle, "shuffle", false, "draw the class of each packet by lot")
	fs.Uint64Var(&f.cfg.Seed, "seed", 1, "of --shuffle")
	fs.StringArrayVar(&f.offsets, "offset", nil, "`CLASS=DURATION`: begin later than the others, by time; may be repeated")
	fs.StringVar(&f.cfg.Times, "times", "", "rebased, captured or spread (default: rebased, or spread with --pps)")
	fs.Uint64Var(&f.cfg.PPS, "pps", 0, "packets per second of times that are spread evenly")
	fs.StringVar(&f.cfg.Until, "until", "", "shortest or longest class (default: longest by time, shortest else)")
	fs.Var(packetsFlag(&f.cfg.Packets), "packets", "end after so many packets, as 5000 or 1e6 (0: no limit)")
	fs.Var(&f.size, "size", "end before the capture, uncompressed, is larger than this, as 100MB (0: no limit)")
	fs.DurationVar(&f.cfg.Duration, "duration", 0, "end before the capture is longer than this (0: no limit)")
	fs.DurationVar(&f.cfg.MaxGap, "max-gap", 0, "shorten longer gaps of a class to this (0: none)")
	fs.StringVar(&f.cfg.Container, "format", "", "pcap or pcapng (default: by the name of OUT)")
	fs.BoolVar(&f.cfg.Salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.BoolVar(&f.json, "json", false, "print what was mixed as a JSON object")
	a.offer(c, map[string][]string{
		"by": pairs(mix.Time, "merge", mix.Packets, "shares of packets", mix.Octets, "shares of captured octets",
			mix.Turns, "shares of time"),
		"shares": pairs("equal", "balanced", "real", "as CIC-IoT-2023 has them"),
		"times": pairs(mix.Rebased, "own gaps from a common start", mix.Captured, "as they are",
			mix.Spread, "evenly, needs --pps"),
		"until":  pairs(mix.Shortest, "the shares hold", mix.Longest, "all is used"),
		"format": {pcapio.Pcap, pcapio.PcapNG},
		"offset": nil,
	}, "from-tree")
	return c
}

// offer registers completions: values for flags, and folders for others.
func (a *app) offer(c *cobra.Command, values map[string][]string, folders ...string) {
	for name, list := range values {
		if err := a.offerFor(c, name, choices{values: list}.complete); err != nil {
			panic(err) // the flag is there, a few lines up
		}
	}
	for _, name := range folders {
		if err := c.MarkFlagDirname(name); err != nil {
			panic(err)
		}
	}
}

// mixFlags are the flags of dataset mix.
type mixFlags struct {
	cfg            mix.Config
	output, truth  string
	trees, offsets []string
	shares         string
	size           octetsFlag
	json           bool
}

func (f *mixFlags) run(c *cobra.Command, a *app, args []string) error {
	cfg := f.cfg
	cfg.Size, cfg.Stdin = int64(f.size), a.stdin
	switch {
	case f.output == "":
		return usagef("no capture to write: -o FILE, or - for standard output")
	case f.output == stdin && f.truth == "":
		return usagef("-o %s: --truth must name the file for the truth", stdin)
	case f.output == stdin && f.json:
		return usagef("--json is printed where the capture would go: name a file for -o")
	case f.output == stdin && isTerminal(a.stdout):
		return usagef("a capture is not for a terminal: name a file, or a pipe")
	case f.truth == stdin:
		return usagef("--truth %s: name a file", stdin)
	case f.shares != "" && cfg.By == mix.Time:
		return usagef("--shares need --by packets, octets or turns: a merge by time takes what there is")
	case c.Flags().Changed("seed") && !cfg.Shuffle:
		return usagef("--seed is of --shuffle: nothing else is random")
	}
	inputs, err := a.classes(append(slices.Clone(f.trees), args...))
	if err != nil {
		return err
	}
	if cfg.By != mix.Time {
		if err := setShares(f.shares, cfg.By, inputs); err != nil {
			return err
		}
	}
	if err := setOffsets(f.offsets, inputs); err != nil {
		return err
	}
	if err := mix.Check(f.output, cfg, inputs); err != nil {
		return usageError{err}
	}
	var files []string
	for _, in := range inputs {
		files = append(files, in.Files...)
	}
	cfg.Unfinished = &mix.Unfinished{}
	defer a.interruptible(c.Context(), files, cfg.Unfinished.Drop)()
	bar := a.octetsBar("mixing")
	cfg.Progress = bar.set
	var s *mix.Summary
	if f.output == stdin {
		broken := make(chan os.Signal, 1) // so that writing fails, and what is unfinished is removed
		signal.Notify(broken, syscall.SIGPIPE)
		defer signal.Stop(broken)
		s, err = mix.Stream(c.Context(), a.stdout, f.truth, cfg, inputs)
	} else {
		s, err = mix.File(c.Context(), f.output, f.truth, cfg, inputs)
	}
	bar.done()
	if err != nil {
		return err
	}
	var faults error
	if len(s.Faults) > 0 {
		faults = fmt.Errorf("damaged captures: %d; the packets before the damage are in %s; --salvage takes those behind it too", len(s.Faults), f.output)
	}
	if f.json {
		return errors.Join(faults, json.NewEncoder(a.stdout).Encode(s))
	}
	a.note("%s", tellMix(f.output, s))
	return faults
}

// tellMix says what was mixed, and what the numbers hide.
func tellMix(output string, s *mix.Summary) string {
	var b strings.Builder
	n := datasets.FormatCount
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "packets\toctets\tshare\twanted\t  class\n")
	for _, c := range s.Classes {
		wanted := "-"
		if c.Wanted > 0 {
			wanted = fmt.Sprintf("%.3f %%", 100*c.Wanted)
		}
		fmt.Fprintf(table, "%s\t%s\t%.3f %%\t%s\t  %s\n", n(c.Packets), n(c.Octets), 100*c.Reached, wanted, c.Class)
	}
	table.Flush()
	ended := map[string]string{"classes": "all was read", mix.Shortest: "a class ended", "packets": "--packets reached", "size": "--size reached",
		"duration": "--duration reached"}[s.Ended]
	long := time.Duration(max(s.LastTime-s.FirstTime, 0))
	fmt.Fprintf(&b, "%s: %s packets, %s octets of frames, %v; %s", output, n(s.Written), n(s.Octets), long, ended)
	for _, c := range s.Classes {
		if c.Whole && c.EndedAfter < s.Written && s.By != mix.Time {
			fmt.Fprintf(&b, "\n%s ended after %s packets of the mixture: the shares are those of the others from there", c.Class, n(c.EndedAfter))
		}
	}
	say := func(what string, count func(c *mix.ClassSummary) uint64) {
		sum, classes, one := uint64(0), 0, ""
		for i := range s.Classes {
			if k := count(&s.Classes[i]); k > 0 {
				sum += k
				classes++
				one = s.Classes[i].Class
			}
		}
		switch {
		case classes == 1:
			fmt.Fprintf(&b, "\n%s: %s (%s)", what, n(sum), one)
		case classes > 1:
			fmt.Fprintf(&b, "\n%s: %s (%d classes; --json tells which)", what, n(sum), classes)
		}
	}
	say("times that go back, as in the captures", func(c *mix.ClassSummary) uint64 { return c.BackSteps })
	say("packets without a time, or of 1970", func(c *mix.ClassSummary) uint64 { return c.NoTime })
	say("gaps shortened", func(c *mix.ClassSummary) uint64 { return c.GapsCut })
	say("captures moved in time, for they begin in the first half of the one before", func(c *mix.ClassSummary) uint64 { return c.Moved })
	say("times before 1970, set to it", func(c *mix.ClassSummary) uint64 { return c.Clamped })
	say("packets postponed to the time of the packet before, for their own had passed", func(c *mix.ClassSummary) uint64 { return c.Postponed })
	say("captures not read", func(c *mix.ClassSummary) uint64 { return uint64(c.LeftFiles) })
	for _, text := range append(append(faultTexts(s.Faults), s.Losses...), s.Skipped...) {
		fmt.Fprintf(&b, "\n%s", text)
	}
	return b.String()
}

func faultTexts(faults []mix.Fault) []string {
	var texts []string
	for _, f := range faults {
		texts = append(texts, fmt.Sprintf("%s; packets before it: %s", f.Error, datasets.FormatCount(f.Packets)))
	}
	return texts
}

// classes makes classes of arguments: CLASS=FILE[,FILE...], captures, and folders of captures.
func (a *app) classes(args []string) ([]mix.Input, error) {
	if len(args) == 0 {
		return nil, usagef("no captures: name CLASS=FILE, or files or folders whose names tell the class")
	}
	g := gathering{}
	for _, arg := range args {
		info, err := os.Stat(arg)
		class, files, named := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, synthPrefix):
			return nil, usagef("%s is not a file: write it with '%s synth' or '%s dataset synth' first", arg, a.Name, a.Name)
		case err == nil && info.IsDir():
			if err := g.tree(arg, ""); err != nil {
				return nil, err
			}
		case err == nil:
			if err := g.file(arg, ""); err != nil {
				return nil, err
			}
		case named && class != "" && files != "":
			paths := strings.Split(files, ",")
			if _, err := os.Stat(files); err == nil {
				paths = []string{files} // a name with a comma
			}
			for _, path := range paths {
				if info, err := os.Stat(path); err == nil && info.IsDir() {
					if err := g.tree(path, class); err != nil {
						return nil, err
					}
				} else {
					g.add(class, path)
				}
			}
		case arg == stdin:
			return nil, usagef("%s: say of which class standard input is: CLASS=%s", stdin, stdin)
		default:
			return nil, err
		}
	}
	if g.others > 0 {
		a.note("%d files in the folders are no captures by their names, and were left alone", g.others)
	}
	if n := len(g.special); n > 0 {
		a.note("left out, for they are no regular files: %d, as %s; name pipes with CLASS=FILE", n, g.special[0])
	}
	if len(g.inputs) == 0 {
		return nil, fmt.Errorf("%s: no captures there (.pcap, .pcapng, .cap, also with .gz or .zst)", strings.Join(args, ", "))
	}
	for i := range g.inputs {
		if in := &g.inputs[i]; !g.ordered[in.Class] {
			mix.SortNatural(in.Files)
		}
		a.noteCopies(&g.inputs[i])
	}
	return g.inputs, nil
}

// gathering is classes in the order in which they come up.
type gathering struct {
	inputs  []mix.Input
	ordered map[string]bool // classes whose captures were named in their order
	others  int             // files of folders that are no captures
	special []string        // of folders, with names of captures: pipes, sockets and devices
}

// noteCopies says which captures of a class look alike, for their packets would count twice.
func (a *app) noteCopies(in *mix.Input) {
	type looks struct {
		size       int64
		head, tail string
	}
	sizes := map[int64][]string{}
	for _, path := range in.Files {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 24 {
			sizes[info.Size()] = append(sizes[info.Size()], path)
		}
	}
	for _, path := range in.Files {
		info, err := os.Stat(path)
		if err != nil || len(sizes[info.Size()]) < 2 {
			continue
		}
		seen := map[looks]string{}
		for _, path := range sizes[info.Size()] {
			head, tail, err := ends(path, info.Size())
			if err != nil {
				continue // opening it tells what is wrong
			}
			k := looks{info.Size(), head, tail}
			if first, ok := seen[k]; ok {
				a.note("%s looks like a copy of %s: of one size, they begin and end alike; their packets count twice", path, first)
			} else {
				seen[k] = path
			}
		}
		delete(sizes, info.Size())
	}
}

// ends returns up to 4096 octets from the beginning and from the end of a file.
func ends(path string, size int64) (head, tail string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	b := make([]byte, min(size, 4096))
	if _, err := f.ReadAt(b, 0); err != nil {
		return "", "", err
	}
	head = string(b)
	if _, err := f.ReadAt(b, size-int64(len(b))); err != nil {
		return "", "", err
	}
	return head, string(b), nil
}

func (g *gathering) add(class, path string) {
	if g.ordered == nil {
		g.ordered = map[string]bool{}
	}
	g.ordered[class] = true
	g.append(class, path)
}

func (g *gathering) append(class, path string) {
	i := slices.IndexFunc(g.inputs, func(in mix.Input) bool { return in.Class == class })
	if i < 0 {
		i = len(g.inputs)
		in := mix.Input{Class: class, Share: 1}
		if known, ok := cic.Find(class); ok && known.Category == "Benign" {
			in.Attack = truth.No
		}
		g.inputs = append(g.inputs, in)
	}
	g.inputs[i].Files = append(g.inputs[i].Files, path)
}

// file adds a capture, of a class that its path tells if class is "".
func (g *gathering) file(path, class string) error {
	if class != "" {
		g.append(class, path)
		return nil
	}
	known, ok := cic.Find(path)
	if named, also := cic.Find(filepath.Base(path)); ok && also && named.Folder != known.Folder {
		return usagef("%s: its folder is that of %s, its name that of %s: say which with CLASS=FILE", path, known.Folder, named.Folder)
	}
	class = known.Folder
	if !ok {
		if class = filepath.Base(filepath.Dir(path)); class == "." || class == ".." || class == string(filepath.Separator) {
			return usagef("%s: neither its folder nor its name tells the class: CLASS=%s", path, path)
		}
	}
	g.append(class, path)
	return nil
}

// tree adds the captures below a folder; links to files and folders are followed.
func (g *gathering) tree(root, class string) error {
	var paths []string
	if err := g.search(filepath.Clean(root), nil, &paths); err != nil {
		return err
	}
	mix.SortNatural(paths)
	for _, path := range paths {
		if err := g.file(path, class); err != nil {
			return err
		}
	}
	return nil
}

// search collects captures; above are the folders that the folder is in, so that a link to one of them has an end.
func (g *gathering) search(dir string, above []os.FileInfo, paths *[]string) error {
	here, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(above, func(other os.FileInfo) bool { return os.SameFile(here, other) }) {
		return nil
	}
	above = append(above, here)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		capture := captureByName(path)
		if strings.HasPrefix(e.Name(), ".") { // unfinished files of ours, and what systems leave
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil && capture:
			return err
		case err == nil && info.IsDir():
			if err := g.search(path, above, paths); err != nil {
				return err
			}
		case !capture:
			if !strings.HasSuffix(path, truth.Suffix) {
				g.others++
			}
		case !info.Mode().IsRegular():
			g.special = append(g.special, path)
		default:
			*paths = append(*paths, path)
		}
	}
	return nil
}

// captureByName tells whether a path ends as captures do.
func captureByName(path string) bool {
	name := strings.ToLower(path)
	for _, ending := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, ending)
	}
	return slices.Contains([]string{".pcap", ".pcapng", ".cap"}, filepath.Ext(name))
}

// setShares gives classes their shares.
func setShares(text, by string, inputs []mix.Input) error {
	switch text {
	case "", "equal":
		return nil // they are 1
	case "real":
		if by == mix.Turns {
			return usagef("--shares real are of packets or octets: by turns give numbers")
		}
		for i := range inputs {
			class, ok := cic.Find(inputs[i].Class)
			if !ok {
				return usagef("--shares real: %s is no class of CIC-IoT-2023; give numbers, as %s=1", inputs[i].Class, inputs[i].Class)
			}
			inputs[i].Share = uint64(class.Packets)
			if by == mix.Octets {
				inputs[i].Share = uint64(class.Octets)
			}
		}
		return nil
	}
	given := make([]bool, len(inputs))
	rest := uint64(0)
	for _, item := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(item, "=")
		share, err := strconv.ParseFloat(strings.TrimSuffix(value, "%"), 64)
		if !ok || err != nil || !(share >= 1e-6 && share <= 1e9) {
			return usagef("--shares: %q is neither equal, real nor CLASS=N with N from 0.000001 to 1e9", item)
		}
		weight := uint64(math.Round(share * 1e6))
		if name == "*" {
			if rest > 0 {
				return usagef("--shares: * is there twice")
			}
			rest = weight
			continue
		}
		i, err := classNamed(name, inputs)
		if err != nil {
			return usagef("--shares: %w", err)
		}
		if given[i] {
			return usagef("--shares: %s is there twice", inputs[i].Class)
		}
		given[i], inputs[i].Share = true, weight
	}
	for i := range inputs {
		switch {
		case given[i]:
		case rest == 0:
			return usagef("--shares: none for %s: add %s=N, or *=N for each other class", inputs[i].Class, inputs[i].Class)
		default:
			inputs[i].Share = rest
		}
	}
	return nil
}

// classNamed returns which class is named so; one of CIC-IoT-2023 has several names.
func classNamed(name string, inputs []mix.Input) (int, error) {
	i := slices.IndexFunc(inputs, func(in mix.Input) bool { return in.Class == name })
	if known, ok := cic.Find(name); i < 0 && ok {
		i = slices.IndexFunc(inputs, func(in mix.Input) bool { return in.Class == known.Folder })
	}
	if i < 0 {
		var names []string
		for _, in := range inputs {
			names = append(names, in.Class)
		}
		return -1, fmt.Errorf("no class %q: there are %s", name, strings.Join(names, ", "))
	}
	return i, nil
}

func setOffsets(offsets []string, inputs []mix.Input) error {
	given := map[int]bool{}
	for _, text := range offsets {
		name, value, ok := strings.Cut(text, "=")
		d, err := time.ParseDuration(value)
		if !ok || err != nil {
			return usagef("--offset %q: want CLASS=DURATION, as DoS-TCP_Flood=30s", text)
		}
		i, err := classNamed(name, inputs)
		if err != nil {
			return usagef("--offset: %w", err)
		}
		if given[i] {
			return usagef("--offset: %s is there twice", inputs[i].Class)
		}
		given[i], inputs[i].Offset = true, d
	}
	return nil
}

func (a *app) datasetSampleCommand() *cobra.Command {
	var cfg mix.SampleConfig
	var output string
	var perClass octetsFlag = 10e6
	var asJSON bool
	c := &cobra.Command{
		Use:   "sample [flags] -o DIR TREE|FILE...",
		Short: "Take a part of each class, in one pass over the captures",
		Long: `Writes DIR/CLASS/STEM.pcap with at most --per-class octets of each class, and beside it STEM.pcap.truth.csv: which packets of which
captures they are. They keep their octets, times and order. Each capture is read once, several classes at a time. What is in DIR is not
written over.

` + classesHelp + `

Packets are taken in blocks of --block that follow each other, because features of windows, rates and flows mean nothing over packets that were
picked one by one; a block ends with its capture. The last block is cut to what there is room for. --method says which:
  reservoir  by lot, each block as likely as any other; memory holds --per-class octets for each class that is read at a time
  stride     at even distances over all captures of a class; not of compressed ones, whose size is not known before the end
  head       the first packets, reading no further: fast, and one hour of one device may be all that is in it
The same captures and --seed give the same packets, on any machine and with any number of --workers.

A capture that is damaged gives the packets before the damage, its class goes on with the next, and the exit code is 1. After Ctrl-C the
classes that were complete are there.`,
		Example: `  ` + a.Name + ` dataset sample --per-class 10MB -o small /data/CIC-IoT-2023/PCAP
  ` + a.Name + ` dataset sample --method stride --per-class 100MB --block 10000 -o part PCAP/Benign_Final PCAP/Mirai-*
  ` + a.Name + ` dataset sample --method head --per-class 1MB -o first IOT=lab1.pcap,lab2.pcap.zst`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg.PerClass = int64(perClass)
			return a.sample(c, cfg, output, asJSON, args)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return captureExtensions, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	fs := c.Flags()
	fs.StringVarP(&output, "output", "o", "", "`folder` to write into")
	fs.Var(&perClass, "per-class", "most octets of each class's capture, as 10MB")
	fs.StringVar(&cfg.Method, "method", mix.Reservoir, "reservoir, stride or head")
	fs.IntVar(&cfg.Block, "block", 1000, "packets that are taken together")
	fs.Uint64Var(&cfg.Seed, "seed", 1, "of the reservoir's lots")
	fs.IntVar(&cfg.Workers, "workers", 0, "classes read at once (0: as many as CPUs)")
	fs.BoolVar(&cfg.Salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.BoolVar(&asJSON, "json", false, "print what was taken as a JSON array, an object for each class")
	a.offer(c, map[string][]string{
		"method": pairs(mix.Reservoir, "by lot", mix.Stride, "at even distances", mix.Head, "the first packets"),
	}, "output")
	return c
}

func (a *app) sample(c *cobra.Command, cfg mix.SampleConfig, output string, asJSON bool, args []string) error {
	if output == "" || output == stdin {
		return usagef("no folder to write into: -o DIR")
	}
	if c.Flags().Changed("seed") && cfg.Method != mix.Reservoir {
		return usagef("--seed is of --method %s: nothing else is random", mix.Reservoir)
	}
	inputs, err := a.classes(args)
	if err != nil {
		return err
	}
	if err := mix.CheckSample(&cfg, inputs); err != nil {
		return usageError{err}
	}
	var paths []string
	for _, in := range inputs {
		paths = append(paths, in.Files...)
	}
	cfg.Unfinished = &mix.Unfinished{}
	defer a.interruptible(c.Context(), paths, cfg.Unfinished.Drop)()
	bar := a.octetsBar("sampling")
	cfg.Progress = bar.set
	done, err := mix.Sample(c.Context(), output, cfg, inputs, func(class string) string {
		if known, ok := cic.Find(class); ok && known.Folder == class {
			return known.Stem
		}
		return class
	})
	bar.done()
	var damaged int
	var packets uint64
	var octets int64
	files := 0
	for _, s := range done {
		damaged += len(s.Faults)
		packets += s.Packets
		if s.File != "" {
			octets += s.CaptureOctets
			files++
		} else {
			a.note("%s: no packets, so no capture", s.Class)
		}
		for _, text := range append(append(faultTexts(s.Faults), s.Losses...), s.Skipped...) {
			a.note("%s", text)
		}
	}
	if err != nil && len(done) == 0 {
		return err
	}
	if err != nil {
		a.note("%d of %d classes are complete in %s; name the others to go on", files, len(inputs), output)
	}
	if err == nil && damaged > 0 {
		err = fmt.Errorf("damaged captures: %d; packets before the damage were taken, and --salvage takes those behind it too", damaged)
	}
	if asJSON {
		if done == nil {
			done = []mix.Sampled{}
		}
		return errors.Join(err, json.NewEncoder(a.stdout).Encode(done))
	}
	a.note("%s: %s packets of %d classes, %s octets", output, datasets.FormatCount(packets), files, datasets.FormatCount(uint64(octets)))
	return err
}
