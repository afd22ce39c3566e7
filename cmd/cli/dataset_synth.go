package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/fetch"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
)

// syntheticFile marks a folder as made by dataset synth: it holds a synthTree.
const syntheticFile = manifest.SyntheticName

const synthTreeSchema = 1

// synthTree is what dataset synth made in a folder.
type synthTree struct {
	Schema  int          `json:"schema"`
	Program string       `json:"program"`
	Version string       `json:"version"`
	Seed    uint64       `json:"seed"`
	Split   int64        `json:"split_octets,omitempty"` // of --split
	Packets uint64       `json:"packets"`
	Octets  uint64       `json:"octets"` // of the frames
	Classes []synthClass `json:"classes"`
}

// synthClass is one class of a synthTree.
type synthClass struct {
	Class    string          `json:"class"` // its folder
	Category string          `json:"category"`
	Packets  uint64          `json:"packets"`
	Attack   uint64          `json:"attack_packets"` // sent by an attacker, or by a victim in answer
	Octets   uint64          `json:"octets"`
	Files    []synthTreeFile `json:"files"`
}

// synthTreeFile is one capture. Its truth is beside it, with truth.Suffix.
type synthTreeFile struct {
	File        string `json:"file"` // from the folder of the tree, with slashes
	Packets     uint64 `json:"packets"`
	Size        int64  `json:"size"` // of the file
	SHA256      string `json:"sha256"`
	TruthSHA256 string `json:"truth_sha256"`
}

// readSynthTree returns the mark of a folder, nil where it has none.
func readSynthTree(dir string) (*synthTree, error) {
	name := filepath.Join(dir, syntheticFile)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	t := &synthTree{}
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if t.Schema != synthTreeSchema {
		return nil, fmt.Errorf("%s: schema %d; this version reads %d", name, t.Schema, synthTreeSchema)
	}
	return t, nil
}

// synthTreeOf returns the mark of a folder, of a tree's PCAP and of a class in it too: nil where it has none.
func synthTreeOf(dir string) (*synthTree, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	places := []string{full}
	if behind, err := filepath.EvalSymlinks(full); err == nil && behind != full {
		places = append(places, behind)
	}
	for _, place := range places {
		tree, err := readSynthTree(place)
		if _, class := cic.Find(filepath.Base(place)); class && tree == nil && err == nil {
			place = filepath.Dir(place)
			tree, err = readSynthTree(place)
		}
		if tree == nil && err == nil && strings.EqualFold(filepath.Base(place), "PCAP") {
			tree, err = readSynthTree(filepath.Dir(place))
		}
		if tree != nil || err != nil {
			return tree, err
		}
	}
	return nil, nil
}

// String says in a line what a tree is.
func (t *synthTree) String() string {
	return fmt.Sprintf("synthetic: made by %s %s from seed %d, not captured", t.Program, t.Version, t.Seed)
}

// files returns the names of all files of the tree, with slashes.
func (t *synthTree) files() []string {
	var names []string
	for _, c := range t.Classes {
		for _, f := range c.Files {
			names = append(names, f.File, f.File+truth.Suffix)
		}
	}
	return names
}

// synthTreeFlags are the flags of dataset synth.
type synthTreeFlags struct {
	classes               []string
	packets, total, least int64
	size, split           octetsFlag
	seed                  uint64
	workers               int
	output                string
	force, json           bool
	shard                 shardFlag
}

// leastPackets is how many packets a capture has at least where CIC's number of captures splits them: a window.
const leastPackets = 100

func (a *app) datasetSynthCommand() *cobra.Command {
	var f synthTreeFlags
	c := &cobra.Command{
		Use:   "synth [flags] -o DIR",
		Short: "Make a small tree of the shape of CIC-IoT-2023 from a seed",
		Long: `Writes DIR/PCAP/CLASS/STEM.pcap, STEM1.pcap and so on, in the folders and names of CIC-IoT-2023, with synthetic frames of each class: its sizes,
flags, ports, addresses, fragments and answers, and the benign traffic around them. Beside each capture stands CAPTURE.truth.csv, which CIC's
have not: which packets are the attack's. Nothing is ever sent.

Give one: --packets of each class, --size of each class's captures, or --total packets over all classes in CIC's own proportions, of which none
gets fewer than --least. A class has as many captures as in CIC, 309 in all, but none of fewer than 100 packets; or, with --split, a new one begins
when the present one holds more octets than that, as CIC's were split at 2,048,000,000.

The same seed gives the same octets on every machine, and the same frames of a class whatever other classes are made, as synth:CLASS has them.
DIR/synthetic.json says what was made; tables over DIR are then captioned synthetic. A run that is interrupted leaves nothing.

With --shard the captures are shared out among n runs, here or elsewhere; -o is then a folder of shards, and 'merge' makes the tree of them, by
links instead of copies where it lies on the same file system. A class that falls to several shards is made from its beginning in each: what
is saved is the writing.`,
		Example: `  ` + a.Name + ` dataset synth --packets 10000 -o cic-small
  ` + a.Name + ` dataset synth --total 1000000 --least 2000 --seed 7 -o cic-million
  ` + a.Name + ` dataset synth --classes DDoS,DoS-SYN_Flood,benign --size 50MB -o floods
  ` + a.Name + ` dataset synth --classes Recon-PortScan --packets 1000 -o - | ` + a.Name + ` info -
  ` + a.Name + ` dataset synth --total 100000000 --shard 2/8 -o shards
  ` + a.Name + ` ceiling --quick --per-class cic-small`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, a, args) },
	}
	fs := c.Flags()
	fs.StringSliceVar(&f.classes, "classes", []string{"all"}, "classes or categories, in any spelling of the dataset, or all ('dataset list' lists them)")
	f.packets, f.least = 10_000, 1000
	fs.Var(packetsFlag(&f.packets), "packets", "packets of each class, as 5000 or 1e6")
	fs.Var(&f.size, "size", "instead: most octets that the captures of each class take, as 50MB")
	fs.Var(packetsFlag(&f.total), "total", "instead: packets of all classes together, in CIC's proportions")
	fs.Var(packetsFlag(&f.least), "least", "with --total: packets that each class gets at least")
	fs.Var(&f.split, "split", "octets above which a new capture begins, as tcpdump -C has it (default: as many captures of each class as in CIC)")
	fs.Uint64Var(&f.seed, "seed", 1, "of the traffic")
	fs.IntVar(&f.workers, "workers", 0, "classes made at once (0: as many as CPUs); the result is the same")
	fs.StringVarP(&f.output, "output", "o", "", "folder to make, or - for the capture of one class on standard output")
	fs.BoolVar(&f.force, "force", false, "replace the synthetic tree in the folder; what is not as made is never removed")
	fs.BoolVar(&f.json, "json", false, "print what was made as JSON, with the SHA-256 of each file")
	f.shard.add(fs, "the tree, cut by packets between captures,")
	return c
}

func (f *synthTreeFlags) run(c *cobra.Command, a *app, args []string) error {
	if len(args) > 0 {
		return usagef("want no argument, not %q: the folder goes with -o, classes with --classes", args[0])
	}
	part, sharded, err := f.shard.part()
	if err != nil {
		return err
	}
	plans, err := f.plan(c)
	if err != nil {
		return err
	}
	if sharded {
		return f.runShard(c.Context(), a, plans, part)
	}
	if f.output == stdin {
		return f.one(c.Context(), a, plans)
	}
	if c.Flags().Changed("total") {
		var packets int64
		for i := range plans {
			packets += plans[i].packets
		}
		if more := packets - f.total; more > 0 {
			a.note("%d packets, %d more than --total %d: no class gets fewer than %d (--least)", packets, more, f.total, f.least)
		}
	}
	old, err := f.vacant(c.Context())
	if err != nil {
		return err
	}
	tree, err := f.make(c.Context(), a, plans, old)
	if err != nil {
		return err
	}
	if f.json {
		return json.NewEncoder(a.stdout).Encode(tree)
	}
	return tree.write(a.stdout)
}

// synthPlan is a class to make.
type synthPlan struct {
	class   cic.Class
	seed    uint64
	packets int64 // or, if 0:
	size    int64 // of all its captures, at most
	files   int64 // captures; 0: by their size
}

// stored is about how many octets the captures and their truth take.
func (p *synthPlan) stored() int64 {
	if p.packets == 0 {
		return p.size
	}
	return p.packets * (pcapRecord + p.class.Octets/p.class.Packets)
}

// plan checks the flags.
func (f *synthTreeFlags) plan(c *cobra.Command) ([]synthPlan, error) {
	changed := c.Flags().Changed
	ways := 0
	for _, name := range []string{"packets", "size", "total"} {
		if changed(name) {
			ways++
		}
	}
	switch {
	case ways > 1:
		return nil, usagef("--packets, --size and --total: give one")
	case f.packets < 1:
		return nil, usagef("--packets %d: want 1 or more", f.packets)
	case changed("size") && f.size < 100:
		return nil, usagef("--size %d: want 100 octets or more", f.size)
	case changed("total") && f.total < 1:
		return nil, usagef("--total %d: want 1 or more", f.total)
	case changed("least") && !changed("total"):
		return nil, usagef("--least is for --total")
	case f.least < 1:
		return nil, usagef("--least %d: want 1 or more", f.least)
	case changed("split") && f.split < 1:
		return nil, usagef("--split %d: want 1 octet or more", f.split)
	case f.workers < 0:
		return nil, usagef("--workers %d: want 0 or more", f.workers)
	case f.output == "":
		return nil, usagef("where to? -o DIR")
	}
	classes, err := cicClasses(f.classes)
	if err != nil {
		return nil, err
	}
	if f.output == stdin && (len(classes) != 1 || changed("split") || f.json || f.force) {
		return nil, usagef("-o - writes one capture: give one class, and no --split, --force and --json")
	}
	var shares []int64
	if changed("total") {
		shares = proportions(f.total, classes)
	}
	var plans []synthPlan
	for i, class := range classes {
		p := synthPlan{class: class, seed: f.seed, packets: f.packets}
		switch {
		case changed("size"):
			p.packets, p.size = 0, int64(f.size)
			need, err := p.least()
			if err != nil {
				return nil, err
			}
			if p.size < need {
				return nil, usagef("--size %d: a capture of %s with one frame takes %d octets", f.size, class.Folder, need)
			}
		case changed("total"):
			p.packets = max(shares[i], f.least)
		}
		if p.packets > 1e12 || p.size > 1e15 {
			return nil, usagef("%s: %d packets: want 1e12 at most, or 1e15 octets", class.Folder, p.packets)
		}
		if f.split == 0 {
			window := leastPackets * (pcapRecord + class.Octets/class.Packets)
			p.files = max(1, min(int64(class.Files), p.stored()/window))
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// least returns how many octets a capture takes that has only the first frame.
func (p *synthPlan) least() (int64, error) {
	src, err := synth.New(p.class.Folder, p.seed)
	if err != nil {
		return 0, err
	}
	var f parse.Frame
	if err := src.Next(&f); err != nil {
		return 0, err
	}
	return int64(pcapHeader + pcapRecord + len(f.Data)), nil
}

// proportions divides packets among classes as CIC's are, by largest remainders: the shares sum to total.
func proportions(total int64, classes []cic.Class) []int64 {
	var all uint64
	for _, class := range classes {
		all += uint64(class.Packets)
	}
	shares, rests, order := make([]int64, len(classes)), make([]uint64, len(classes)), make([]int, len(classes))
	left := total
	for i, class := range classes {
		high, low := bits.Mul64(uint64(total), uint64(class.Packets))
		share, rest := bits.Div64(high, low, all)
		shares[i], rests[i], order[i] = int64(share), rest, i
		left -= shares[i]
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(rests[j], rests[i]) })
	for _, i := range order[:left] {
		shares[i]++
	}
	return shares
}

// cicClasses returns the classes of a list of names: all, categories, and classes in any spelling; each once, in the
// catalogue's order.
func cicClasses(names []string) ([]cic.Class, error) {
	classes := cic.Classes()
	var categories []string
	for _, c := range classes {
		if !slices.Contains(categories, c.Category) {
			categories = append(categories, c.Category)
		}
	}
	wanted := make(map[string]bool)
	for _, name := range names {
		found := false
		for _, c := range classes {
			if strings.EqualFold(name, "all") || strings.EqualFold(name, c.Category) {
				wanted[c.Folder], found = true, true
			}
		}
		if c, ok := cic.Find(name); !found && ok && !strings.ContainsAny(name, `/\`) {
			wanted[c.Folder], found = true, true
		}
		if !found {
			return nil, usagef("no class %q: there are all, the categories %s, and the classes that 'dataset list' shows%s", name,
				strings.Join(categories, ", "), nearClasses(name))
		}
	}
	classes = slices.DeleteFunc(classes, func(c cic.Class) bool { return !wanted[c.Folder] })
	if len(classes) == 0 {
		return nil, usagef("--classes: no class")
	}
	return classes, nil
}

// nearClasses asks whether a class with a name near to a wrong one was meant.
func nearClasses(name string) string {
	if near := cic.Nearest(name, 3); len(near) > 0 {
		return "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return ""
}

// oldSynthTree is a tree that may be replaced.
type oldSynthTree struct {
	*synthTree
	found map[string]fs.FileInfo // of its files that are there, by path, as they were when their octets were compared
}

// vacant returns the tree that is in the folder already and may be replaced, nil where there is none.
func (f *synthTreeFlags) vacant(ctx context.Context) (*oldSynthTree, error) {
	tree, err := readSynthTree(f.output)
	if err != nil {
		return nil, err
	}
	if tree != nil && !f.force {
		return nil, fmt.Errorf("%s holds %d classes, %v: --force replaces them, or name another folder", f.output, len(tree.Classes), tree)
	}
	var old *oldSynthTree
	if tree != nil {
		old = &oldSynthTree{synthTree: tree, found: make(map[string]fs.FileInfo)}
		for _, c := range tree.Classes {
			for _, file := range c.Files {
				if !filepath.IsLocal(filepath.FromSlash(file.File)) {
					return nil, fmt.Errorf("%s: %q leads out of the folder", filepath.Join(f.output, syntheticFile), file.File)
				}
				path := filepath.Join(f.output, filepath.FromSlash(file.File))
				if err := errors.Join(old.compare(ctx, path, file.Size, file.SHA256), old.compare(ctx, path+truth.Suffix, -1, file.TruthSHA256)); err != nil {
					return nil, err
				}
			}
		}
	}
	err = filepath.WalkDir(filepath.Join(f.output, "PCAP"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if captureByName(path) && (old == nil || old.found[path] == nil) {
			return fmt.Errorf("%s is not of 'dataset synth': synthetic captures never go among others; name another folder", path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return old, err
}

// compare takes a file for one of the tree's own if it is as the mark says; size -1: of any. One that is not there is none.
func (old *oldSynthTree) compare(ctx context.Context, path string, size int64, want string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	same := info.Mode().IsRegular() && (size < 0 || info.Size() == size)
	if same {
		got, err := sumFile(ctx, path)
		if err != nil {
			return err
		}
		same = got == want
	}
	if !same {
		return notOwn(path)
	}
	old.found[path] = info
	return nil
}

func notOwn(path string) error {
	return fmt.Errorf("%s is no longer what 'dataset synth' made, so it is not replaced: move it away, or name another folder", path)
}

// sumFile returns the SHA-256 of a file in hexadecimal digits.
func sumFile(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		switch _, err := io.CopyN(sum, file, 16<<20); err {
		case nil:
		case io.EOF:
			return hex.EncodeToString(sum.Sum(nil)), nil
		default:
			return "", fmt.Errorf("%s: %w", path, err)
		}
	}
}

// remove removes the files of the tree, all or, if one has changed since it was compared, none.
func (old *oldSynthTree) remove() error {
	for path, was := range old.found {
		is, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if !os.SameFile(was, is) || is.Size() != was.Size() || !is.ModTime().Equal(was.ModTime()) {
			return notOwn(path)
		}
	}
	for path := range old.found {
		if err := os.Remove(path); err != nil {
			return err
		}
		os.Remove(filepath.Dir(path)) // if it is empty
	}
	return nil
}

// synthHidden begins the names of what is in the output only while a tree is made, or after a kill, until it is made again.
const synthHidden = manifest.SyntheticHidden

// make writes all into a folder of its own inside the output, and moves it into place when it is whole.
func (f *synthTreeFlags) make(ctx context.Context, a *app, plans []synthPlan, old *oldSynthTree) (_ *synthTree, err error) {
	var need int64
	for i := range plans {
		need += plans[i].stored()
	}
	if err := os.MkdirAll(f.output, 0o777); err != nil {
		return nil, err
	}
	defer os.Remove(f.output) // if nothing came to be in it
	if free, err := fetch.Free(f.output); err == nil && free >= 0 && need > free {
		return nil, fmt.Errorf("%s: about %s to write, %s free: make fewer packets, or name a folder elsewhere", f.output,
			report.FormatOctets(float64(need)), report.FormatOctets(float64(free)))
	}
	work, done, err := reserveIn(f.output, synthHidden)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	makers := make([]synthMaker, len(plans))
	for i := range plans {
		makers[i] = synthMaker{plan: plans[i]}
	}
	if err := f.fill(ctx, a, work, makers); err != nil {
		return nil, err
	}
	tree := f.tree(a)
	for i := range makers {
		tree.add(makers[i].made)
	}
	return tree, f.place(work, tree, old)
}

// tree is what is made, without its classes.
func (f *synthTreeFlags) tree(a *app) *synthTree {
	return &synthTree{Schema: synthTreeSchema, Program: a.Name, Version: version(), Seed: f.seed, Split: int64(f.split)}
}

func (t *synthTree) add(c synthClass) {
	t.Classes = append(t.Classes, c)
	t.Packets += c.Packets
	t.Octets += c.Octets
}

// fill lets the makers write, several at once, each into the folder of its class in dir.
func (f *synthTreeFlags) fill(ctx context.Context, a *app, dir string, makers []synthMaker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	bar := a.octetsBar("making")
	var mu sync.Mutex
	var done, need int64
	wrote := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		bar.set(min(done, need), need)
	}
	order := make([]int, len(makers)) // large ones first
	for i := range order {
		order[i] = i
		need += makers[i].plan.stored()
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(makers[j].plan.stored(), makers[i].plan.stored()) })
	queue := make(chan int, len(order))
	for _, i := range order {
		queue <- i
	}
	close(queue)
	var all sync.WaitGroup
	for range min(len(makers), cmp.Or(f.workers, runtime.GOMAXPROCS(0))) {
		all.Go(func() {
			for i := range queue {
				if ctx.Err() != nil {
					return
				}
				m := &makers[i]
				m.split, m.dir, m.wrote = int64(f.split), filepath.Join(dir, m.plan.class.Folder), wrote
				if err := m.make(ctx); err != nil {
					cancel(fmt.Errorf("%s: %w", m.plan.class.Folder, err))
					return
				}
			}
		})
	}
	all.Wait()
	bar.done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// place moves a whole tree into the output. The mark comes first: whenever this ends, what is there is marked.
func (f *synthTreeFlags) place(work string, tree *synthTree, old *oldSynthTree) error {
	if old != nil {
		if err := old.remove(); err != nil {
			return err
		}
	}
	if err := report.WriteFile(filepath.Join(f.output, syntheticFile), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(tree)
	}); err != nil {
		return err
	}
	for _, name := range tree.files() {
		to := filepath.Join(f.output, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("%s came to be while this was at work: not replaced", to)
		}
		if err := os.Rename(filepath.Join(work, filepath.Base(filepath.Dir(to)), filepath.Base(to)), to); err != nil {
			return err
		}
	}
	return nil
}

// one writes the capture of one class to standard output.
func (f *synthTreeFlags) one(ctx context.Context, a *app, plans []synthPlan) error {
	if isTerminal(a.stdout) {
		return usagef("a capture is not for a terminal: -o DIR, or a pipe")
	}
	a.note("one capture and no truth: that is written with -o DIR")
	m := synthMaker{plan: plans[0], wrote: func(int64) {}}
	return m.to(ctx, a.stdout)
}

// synthMaker makes the captures of a class.
type synthMaker struct {
	plan  synthPlan
	first int64 // capture to write, from 0; those before are made and not written
	end   int64 // that after the last one; 0: all
	split int64
	dir   string             // "": one capture, to elsewhere
	wrote func(octets int64) // told now and then

	made    synthClass // what was written
	packets int64      // of all captures, written or not
	total   int64      // octets of them
	size    int64      // octets of the present one
	begun   int64      // how many have begun
	told    int64
	open    *synthCapture
}

// errRest says that all captures that are wanted are made.
var errRest = errors.New("the rest is not wanted")

const (
	pcapHeader = 24 // of a classic pcap
	pcapRecord = 16 // before each of its frames
)

// each makes the frames one after another until the class is full.
func (m *synthMaker) each(ctx context.Context, take func(f *parse.Frame, attack bool) error) error {
	src, err := synth.New(m.plan.class.Folder, m.plan.seed)
	if err != nil {
		return err
	}
	var f parse.Frame
	for n := int64(0); m.plan.packets == 0 || n < m.plan.packets; n++ {
		if n&0xfff == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			m.wrote(m.total - m.told)
			m.told = m.total
		}
		if err := src.Next(&f); err != nil {
			return err
		}
		if need := m.header() + int64(pcapRecord+len(f.Data)); m.plan.packets == 0 && n > 0 && m.total+need > m.plan.size {
			break
		}
		if err := take(&f, src.Attack()); err != nil {
			return err
		}
	}
	m.wrote(m.total - m.told)
	return nil
}

// header is what a new capture adds, if the next frame begins one.
func (m *synthMaker) header() int64 {
	begins := false
	switch files := m.plan.files; {
	case m.total == 0:
		begins = true
	case m.dir == "": // there is only one
	case files == 0:
		begins = m.size > m.split
	case m.plan.packets > 0:
		begins = m.packets*files >= m.plan.packets*m.begun
	default:
		begins = m.begun < files && m.total*files >= m.plan.size*m.begun
	}
	if begins {
		return pcapHeader
	}
	return 0
}

func (m *synthMaker) to(ctx context.Context, w io.Writer) error {
	out, err := pcapio.NewWriter(w, pcapio.WriterConfig{})
	if err != nil {
		return err
	}
	if err := m.each(ctx, func(f *parse.Frame, _ bool) error {
		m.total += m.header() + int64(pcapRecord+len(f.Data))
		return out.WriteFrame(f)
	}); err != nil {
		return err
	}
	return out.Flush()
}

// make writes the captures and their truth into m.dir.
func (m *synthMaker) make(ctx context.Context) (err error) {
	class := &m.plan.class
	m.made = synthClass{Class: class.Folder, Category: class.Category}
	if err := os.Mkdir(m.dir, 0o777); err != nil {
		return err
	}
	defer func() {
		if m.open != nil {
			err = errors.Join(err, m.open.abandon())
		}
	}()
	err = m.each(ctx, func(f *parse.Frame, attack bool) error {
		if n := m.header(); n > 0 {
			if err := m.finish(); err != nil {
				return err
			}
			if m.end > 0 && m.begun >= m.end {
				return errRest
			}
			if m.begun >= m.first {
				var err error
				if m.open, err = createSynthCapture(filepath.Join(m.dir, class.CaptureName(int(m.begun))), class.Folder); err != nil {
					return err
				}
			}
			m.begun++
			m.total += n
			m.size = n
		}
		record := int64(pcapRecord + len(f.Data))
		m.total += record
		m.size += record
		m.packets++
		if m.open == nil {
			return nil
		}
		m.made.Packets++
		m.made.Octets += uint64(len(f.Data))
		if attack {
			m.made.Attack++
		}
		return m.open.add(f, attack)
	})
	if err != nil && err != errRest {
		return err
	}
	return m.finish()
}

// finish ends the capture under way, if there is one.
func (m *synthMaker) finish() error {
	if m.open == nil {
		return nil
	}
	c := m.open
	m.open = nil
	file := synthTreeFile{File: "PCAP/" + m.made.Class + "/" + filepath.Base(c.file.Name()), Packets: c.out.Packets(), Size: m.size}
	if err := c.close(); err != nil {
		return err
	}
	file.SHA256, file.TruthSHA256 = hex.EncodeToString(c.sum.Sum(nil)), hex.EncodeToString(c.truthSum.Sum(nil))
	m.made.Files = append(m.made.Files, file)
	return nil
}

// synthCapture is a capture and its truth that are being written.
type synthCapture struct {
	file, truthFile *os.File
	sum, truthSum   hash.Hash
	out             *pcapio.Writer
	rows            *truth.Writer
	class           string
}

func createSynthCapture(path, class string) (*synthCapture, error) {
	c := &synthCapture{sum: sha256.New(), truthSum: sha256.New(), class: class}
	var err error
	if c.file, err = os.Create(path); err != nil {
		return nil, err
	}
	if c.truthFile, err = os.Create(path + truth.Suffix); err != nil {
		return nil, errors.Join(err, c.file.Close())
	}
	if c.out, err = pcapio.NewWriter(io.MultiWriter(c.file, c.sum), pcapio.WriterConfig{}); err != nil {
		return nil, errors.Join(err, c.abandon())
	}
	c.rows = truth.NewWriter(io.MultiWriter(c.truthFile, c.truthSum))
	return c, nil
}

func (c *synthCapture) add(f *parse.Frame, attack bool) error {
	p := truth.Packet{Class: c.class, Attack: truth.No}
	if attack {
		p.Attack = truth.Yes
	}
	if err := c.rows.Add(p); err != nil {
		return err
	}
	return c.out.WriteFrame(f)
}

func (c *synthCapture) close() error {
	err := errors.Join(c.out.Flush(), c.rows.Close())
	if err == nil {
		err = errors.Join(c.file.Sync(), c.truthFile.Sync())
	}
	return errors.Join(err, c.abandon())
}

func (c *synthCapture) abandon() error { return errors.Join(c.file.Close(), c.truthFile.Close()) }

// write writes what was made for a person.
func (t *synthTree) write(w io.Writer) error {
	table := &report.Table{Title: t.String(), Columns: []report.Column{{Head: "class"}, {Head: "files", Right: true}, {Head: "packets", Right: true},
		{Head: "of the attack", Right: true}, {Head: "B/packet", Right: true}, {Head: "in CIC", Right: true}, {Head: "octets", Right: true}}}
	files := 0
	for _, c := range t.Classes {
		class, _ := cic.Find(c.Class)
		mean := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
		table.Add(report.Text(c.Class), report.Text(strconv.Itoa(len(c.Files))), report.Text(strconv.FormatUint(c.Packets, 10)),
			report.Number(float64(c.Attack)/float64(c.Packets), report.FormatRatio), report.Number(float64(c.Octets)/float64(c.Packets), mean),
			report.Number(class.MeanFrame(), mean), report.Text(report.FormatOctets(float64(c.Octets))))
		files += len(c.Files)
	}
	table.Notes = append(table.Notes, fmt.Sprintf("packets %d, octets of frames %s, captures %d, each with its truth beside it", t.Packets,
		report.FormatOctets(float64(t.Octets)), files))
	return table.WriteText(w)
}
