package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/mix"
	"pcaplab/datasets/shard"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/replay/trial"
)

// classStudies runs one plan for each class of a tree, in a results folder each, and compares what came of them.
type classStudies struct {
	*measureFlags
	a         *app
	c         *cobra.Command
	place     place
	path      string // of the results folder; "" without one
	condition *analysis.Condition
	classes   analysis.Classes
	span      *shard.Span   // of a shard: its classes; nil: all
	failed    map[int]error // of run, by class
}

// perClass is study for --per-class.
func (m *measureFlags) perClassStudies(c *cobra.Command, a *app, args []string, plan trial.Plan) error {
	if part, sharded, err := m.shard.part(); err != nil {
		return err
	} else if sharded {
		if args, err = inputs(args, m.synth); err != nil {
			return err
		}
		return m.classesShard(c, a, args, plan, part)
	}
	s := classStudies{measureFlags: m, a: a, c: c, path: m.output}
	places := a.places()
	if len(places) > 1 {
		return usagef("--per-class measures on one machine: name one host")
	}
	if err := s.refused(plan); err != nil {
		return err
	}
	s.place = places[0]
	var err error
	if s.condition, err = m.condition(); err != nil {
		return err
	}
	if args, err = inputs(args, m.synth); err != nil {
		return err
	}
	if m.resume != "" {
		err = s.resumed(args)
	} else {
		err = s.begun(args, plan)
	}
	if err != nil {
		return err
	}
	return errors.Join(s.run(c.Context()), s.show())
}

// refused says what is not for many captures.
func (s *classStudies) refused(plan trial.Plan) error {
	switch {
	case s.cachefile != "":
		return usagef("--cachefile is of one capture, --per-class of many: edit them with 'rewrite -c' first")
	case plan.Soak > 0:
		return usagef("--soak is of one capture, --per-class of many: soak the class that costs most")
	}
	return nil
}

// begun begins new studies.
func (s *classStudies) begun(args []string, plan trial.Plan) error {
	if err := s.prepare(args, plan); err != nil || s.path == "" {
		return err
	}
	return report.CreateClasses(s.path, s.classes.Header)
}

// prepare fills in the header of new studies.
func (s *classStudies) prepare(args []string, plan trial.Plan) error {
	if len(args) != 1 {
		return usagef("--per-class: want one folder of classes, as 'dataset synth' makes, or %s%s", synthPrefix, trafficCIC)
	}
	if err := s.check(args); err != nil {
		return err
	}
	if !s.c.Flags().Changed("packets") {
		s.packets = defaultSynthFrames
	}
	h := analysis.ClassesHeader{Schema: trial.Schema, Version: version(), Started: time.Now().UTC(), Tree: args[0]}
	h.Study = trial.Header{
		Version: version(), Command: s.c.Name(), Started: h.Started, Settings: s.settings, Plan: plan,
		Reading: trial.Reading{Packets: s.packets, Salvage: s.salvage}, InProcess: s.inProcess, MemoryLimit: int64(s.memoryLimit),
	}
	check := &trial.Study{Engines: s.a.Engines, Stages: s.a.Stages, Header: h.Study}
	if err := check.Check(); err != nil {
		return usageError{err}
	}
	h.Study = check.Header
	if s.condition != nil {
		if _, err := s.condition.Check(analysis.PlannedMeasures(h.Study)); err != nil {
			return usagef("--fail-if: %w", err)
		}
	}
	var err error
	if strings.HasPrefix(args[0], synthPrefix) {
		err = synthClasses(&h, args[0])
	} else {
		err = s.a.findClasses(s.c.Context(), &h, args[0])
	}
	if err != nil {
		return err
	}
	names := make([]string, len(h.Classes))
	for i, class := range h.Classes {
		names[i] = class.Name
	}
	folders := report.ClassFolders(names)
	for i := range h.Classes {
		class := &h.Classes[i]
		class.Folder = folders[i]
		if known, ok := cic.Find(class.Name); ok {
			class.Category, class.Packets = known.Category, known.Packets
		}
		if class.Packets > 0 && h.Packets == 0 {
			for _, c := range cic.Classes() {
				h.Packets += c.Packets
			}
		}
	}
	s.classes = analysis.Classes{Header: h, Results: make([]*analysis.Results, len(h.Classes))}
	return nil
}

// left returns the classes that are to measure.
func (s *classStudies) left() (list []int) {
	for i, r := range s.classes.Results {
		if own := s.span == nil || i >= s.span.From && i < s.span.To; own && (r == nil || r.Unfinished() != "") {
			list = append(list, i)
		}
	}
	return list
}

// resumed takes studies up again.
func (s *classStudies) resumed(args []string) error {
	if len(args) > 0 {
		return usagef("%q with --resume: the studies in %s have their captures", args[0], s.resume)
	}
	s.path = s.resume
	if err := s.a.notShard(s.path); err != nil {
		return err
	}
	if err := onlyResume(s.c, s.path); err != nil {
		return err
	}
	if !report.HoldsClasses(s.path) {
		return usagef("%s holds no studies of classes: go on with '%s' without --per-class", s.path, s.a.again(s.c.Name(), s.resume))
	}
	read, err := report.ReadClasses(s.path)
	if err != nil {
		return err
	}
	s.classes = *read
	if was := s.classes.Header.Version; was != version() {
		return fmt.Errorf("%s was begun by pcaplab %s; this is pcaplab %s: results of the two must not be pooled; start into a new folder",
			s.path, was, version())
	}
	return nil
}

// onlyResume refuses flags that a study has of its own.
func onlyResume(c *cobra.Command, path string) error {
	var others []string
	c.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "resume", "per-class", "cachefile", "json", "fail-if", "quiet":
		default:
			others = append(others, "--"+f.Name)
		}
	})
	if len(others) > 0 {
		return usagef("%s with --resume: the study in %s has its settings", strings.Join(others, ", "), path)
	}
	return nil
}

// synthClasses lists the classes as synthetic traffic.
func synthClasses(h *analysis.ClassesHeader, arg string) error {
	name, frames, err := parseSynth(arg)
	if err != nil {
		return err
	}
	if name != trafficCIC {
		return usagef("%s: --per-class takes %s%s, which is each class by itself, or a folder", arg, synthPrefix, trafficCIC)
	}
	h.Synthetic = fmt.Sprintf("synthetic: made from seed %d, not captured", h.Study.Settings.Seed)
	if n := h.Study.Reading.Packets; n == 0 || strings.Count(arg, ":") > 1 {
		h.Study.Reading.Packets = frames
	}
	for _, c := range cic.Classes() {
		capture := fmt.Sprintf("%s%s:%d", synthPrefix, c.Folder, h.Study.Reading.Packets)
		h.Classes = append(h.Classes, analysis.ClassOf{Name: c.Folder, Captures: []string{capture}})
	}
	return nil
}

// findClasses lists the classes of a tree: each folder in it, or in its folder PCAP, that has captures; captures that lie beside
// the folders go by their own names. Classes of the dataset come first, in the catalogue's order.
func (a *app) findClasses(ctx context.Context, h *analysis.ClassesHeader, dir string) error {
	if info, err := os.Stat(dir); err != nil {
		return err
	} else if !info.IsDir() {
		return usagef("%s: --per-class takes a folder with a folder of captures for each class, and this is a file: leave out --per-class to measure it", dir)
	}
	tree, err := synthTreeOf(dir)
	if err != nil {
		return err
	}
	if tree != nil {
		h.Synthetic = tree.String()
	}
	root := dir
	if info, err := os.Stat(filepath.Join(dir, "PCAP")); err == nil && info.IsDir() {
		root = filepath.Join(dir, "PCAP")
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	captures, others := make(map[string][]string), 0
	take := func(class, path string, info fs.FileInfo) bool {
		if !info.Mode().IsRegular() || !captureByName(path) {
			if base := filepath.Base(path); !strings.HasSuffix(base, truth.Suffix) && base != syntheticFile && base != manifest.FileName {
				others++
			}
			return false
		}
		captures[class] = append(captures[class], path)
		return true
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return err
		case info.IsDir():
			below, err := os.ReadDir(path)
			if err != nil {
				return err
			}
			found := 0
			for _, b := range below {
				if strings.HasPrefix(b.Name(), ".") {
					continue
				}
				path := filepath.Join(path, b.Name())
				info, err := os.Stat(path)
				if err != nil && captureByName(path) {
					return err
				} else if err != nil {
					others++ // a link that leads nowhere
					continue
				}
				if take(className(e.Name()), path, info) {
					found++
				}
			}
			if found == 0 {
				a.note("%s: no captures in it", path)
			}
		default:
			take(className(e.Name()), path, info)
		}
	}
	if others > 0 {
		a.note("%s: %d left out that are no files named as captures (.pcap, .pcapng or .cap, also with .gz or .zst)", root, others)
	}
	if len(captures) == 0 {
		return fmt.Errorf("%s: no folders with captures and no captures", root)
	}
	for name, files := range captures {
		mix.SortNatural(files)
		if files, err = enough(ctx, files, h.Study.Reading); err != nil {
			return err
		}
		h.Classes = append(h.Classes, analysis.ClassOf{Name: name, Captures: files})
	}
	known := cic.Classes()
	place := func(name string) int {
		if i := slices.IndexFunc(known, func(c cic.Class) bool { return c.Folder == name }); i >= 0 {
			return i
		}
		return len(known)
	}
	slices.SortFunc(h.Classes, func(a, b analysis.ClassOf) int {
		return cmp.Or(cmp.Compare(place(a.Name), place(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

// className returns the class that a folder or a capture is named after, else its own name.
func className(name string) string {
	if c, ok := cic.Find(name); ok {
		return c.Folder
	}
	return name
}

// enough returns the first of a class's captures, as many as its packets need: those behind would only be copied to a host. One that cannot be
// read keeps all: the study says what is wrong with it.
func enough(ctx context.Context, files []string, reading trial.Reading) ([]string, error) {
	if reading.Packets == 0 {
		return files, nil
	}
	packets := 0
	var f parse.Frame
	for i := range files[:len(files)-1] {
		c, err := datasets.Open(files[i], datasets.OpenConfig{Salvage: reading.Salvage})
		if err != nil {
			return files, nil
		}
		for packets < reading.Packets && err == nil {
			if err = c.Next(&f); err == nil {
				packets++
			}
			if packets&0xfff == 0 && ctx.Err() != nil {
				c.Close()
				return nil, context.Cause(ctx)
			}
		}
		c.Close()
		if packets >= reading.Packets {
			return files[:i+1], nil
		}
		if err != io.EOF {
			return files, nil
		}
	}
	return files, nil
}

// run measures the classes that are not measured. One that fails does not end the others.
func (s *classStudies) run(ctx context.Context) error {
	h := &s.classes.Header
	left := s.left()
	study := &trial.Study{Header: h.Study}
	about := ""
	if each := study.Expected(); each > 0 {
		about = fmt.Sprintf("; about %v in all", (each * time.Duration(len(left))).Round(time.Second))
	}
	s.a.note("%s%s: %d classes, of which %d are to measure, %d engines, %d repeats%s", s.place.prefix(), h.Tree, len(h.Classes), len(left),
		len(h.Study.Plan.Engines), h.Study.Plan.Repeats, about)
	var faults []error
	s.failed = make(map[int]error)
	for _, i := range left {
		if err := s.class(ctx, i); err != nil {
			if ctx.Err() != nil {
				if s.path != "" && s.span == nil {
					s.a.note("'%s' goes on with it", s.a.again(s.c.Name(), s.path))
				}
				return err
			}
			faults, s.failed[i] = append(faults, err), err
		}
	}
	return errors.Join(faults...)
}

// class measures class i.
func (s *classStudies) class(ctx context.Context, i int) (err error) {
	h := &s.classes.Header
	class := &h.Classes[i]
	name := fmt.Sprintf("%d/%d %s", i+1, len(h.Classes), class.Name)
	if s.place.name != "" {
		name = s.place.name + " " + name
	}
	v := &visit{place: place{name: name, bench: s.place.bench}, a: s.a}
	defer func() {
		if v.folder != nil {
			err = errors.Join(err, v.folder.Close())
		}
		v.tidy()
	}()
	fresh := true
	open := s.open
	if s.path != "" {
		v.path = filepath.Join(s.path, class.Folder)
		if s.span != nil {
			if err := headless(v.path); err != nil {
				return err
			}
			open = s.reopen
		}
		_, statErr := os.Stat(filepath.Join(v.path, report.HeaderFile))
		fresh = errors.Is(statErr, fs.ErrNotExist)
	}
	if fresh {
		v.job.Header, v.job.Sources = h.Study, sources(class.Captures)
		v.job.Header.Started = time.Now().UTC()
		for _, r := range s.classes.Results {
			if r != nil { // it must be the same machine, and gets frames for the same caches
				v.job.Header.Environment, v.job.Header.Caches = r.Header.Environment, r.Header.Caches
				break
			}
		}
		if err := s.before(v, nil); err != nil {
			return v.named(err)
		}
	} else if err := open(s.c, v, v.path, nil); err != nil {
		return v.named(err)
	}
	runErr := s.a.atEach(ctx, []*visit{v})
	if slices.ContainsFunc(v.records, func(r trial.Record) bool { return r.Kind == trial.KindService }) {
		s.classes.Results[i] = analysis.Analyze(v.job.Header, v.records)
		if v.folder != nil && v.ready && s.span == nil { // merge writes tables and charts
			runErr = errors.Join(runErr, v.named(finish(v.folder, s.classes.Results[i])))
		}
	}
	return runErr
}

// show prints and stores what was found, also of studies that were interrupted.
func (s *classStudies) show() error {
	if !slices.ContainsFunc(s.classes.Results, func(r *analysis.Results) bool { return r != nil }) {
		return nil
	}
	var failed error
	if s.path != "" {
		if failed = report.FinishClasses(s.path, &s.classes); failed == nil {
			s.a.note("results in %s", s.path)
		}
	}
	if err := s.a.printClasses(&s.classes, s.json); err != nil {
		return errors.Join(failed, err)
	}
	if s.condition == nil {
		return failed
	}
	missed := false
	for i, r := range s.classes.Results {
		if r == nil {
			continue
		}
		matches, err := s.condition.Check(r.Measures())
		if err != nil {
			return errors.Join(failed, fmt.Errorf("%s: --fail-if: %w", s.classes.Header.Classes[i].Name, err))
		}
		for _, match := range matches {
			s.a.note("%s: %v", s.classes.Header.Classes[i].Name, match)
			missed = true
		}
	}
	if missed {
		failed = errors.Join(failed, errMissed)
	}
	return failed
}

func (a *app) printClasses(c *analysis.Classes, asJSON bool) error {
	if asJSON {
		return report.WriteClassesJSON(a.stdout, c)
	}
	return report.WriteClasses(a.stdout, c)
}
