package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/validation"
	"pcaplab/replay/live"
	"pcaplab/replay/meter"
	"pcaplab/replay/quality"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
)

// Kinds of results folders.
const (
	KindStudy      = "study"      // of ceiling, sweep and trial
	KindClasses    = "classes"    // a study of each class
	KindScenario   = "scenario"   // of scenarios run
	KindLive       = "live"       // over a network
	KindValidation = "validation" // of a model
)

// headers are the files that tell what a results folder is of. A folder has one of them.
var headers = []struct{ file, kind string }{
	{HeaderFile, KindStudy}, {ClassesFile, KindClasses}, {ScenarioFile, KindScenario}, {LiveFile, KindLive}, {ValidationFile, KindValidation},
}

// Source is what one results folder holds. Results are computed from its records. Of the fields below Files those of its
// Kind are set.
type Source struct {
	Path string // as given; of one of several machines with its folder
	// Name is the name of the folder, and Machine that of its folder in the one that was given; "" where that is the same.
	Name    string
	Machine string
	Kind    string
	Files   []SourceFile // header and records

	Study   *analysis.Results
	Records []trial.Record // of Study

	Classes      *analysis.Classes
	ClassRecords [][]trial.Record // of each class of Classes.Header; nil where it was not measured

	Scenario        *analysis.Scenario
	ScenarioRecords []scenario.Record

	Live        *analysis.Live
	LiveRecords []live.Record

	Validation *Validated
}

// Validated is what the folder of a validation holds.
type Validated struct {
	*validation.Report
	Speed *analysis.Speed `json:"speed,omitempty"`
	Load  *quality.Report `json:"load,omitempty"`
}

// SourceFile is a file of a results folder as it was read, with absolute paths cut to their last names.
// Equal last names are numbered.
type SourceFile struct {
	Name string // with "/", below the results folder
	Data []byte
}

// Label tells a source from others: its name, with the machine's behind it.
func (s *Source) Label() string {
	if s.Machine != "" {
		return s.Name + "/" + s.Machine
	}
	return s.Name
}

// Environment is the machine of a source; nil where it is not known.
func (s *Source) Environment() *meter.Environment {
	switch s.Kind {
	case KindStudy:
		return &s.Study.Header.Environment
	case KindClasses:
		for _, r := range s.Classes.Results {
			if r != nil {
				return &r.Header.Environment
			}
		}
	case KindScenario:
		return &s.Scenario.Header.Environment
	case KindLive:
		return &s.Live.Header.Environment
	}
	return nil
}

// Version is that of the program that made a source.
func (s *Source) Version() string {
	switch s.Kind {
	case KindStudy:
		return s.Study.Header.Version
	case KindClasses:
		return s.Classes.Header.Version
	case KindScenario:
		return s.Scenario.Header.Version
	case KindLive:
		return s.Live.Header.Version
	case KindValidation:
		return s.Validation.Version
	}
	return ""
}

// Load reads a results folder of any kind, or one that holds a results folder for each of several machines. A last line of
// records that was cut while it was written is left out. In what is read, Files too, absolute paths are cut to their last
// names: they are of a machine, not of its results. Of folders that are called USER@HOST the name is HOST.
func Load(path string) ([]*Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file: name the results folder", path)
	}
	name := filepath.Base(path)
	if whole, err := filepath.Abs(path); err == nil {
		name = filepath.Base(whole)
	}
	name = withoutUser(name)
	if err := unmerged(path, path); err != nil {
		return nil, err
	}
	kind, err := kindOf(path)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		s, err := load(path, kind)
		if err != nil {
			return nil, err
		}
		s.Name = name
		return []*Source{s}, nil
	}
	entries, err := os.ReadDir(path) // by name
	if err != nil {
		return nil, err
	}
	var list []*Source
	for _, e := range entries {
		below := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue // such as a shard is measured in
		}
		if err := unmerged(below, path); err != nil {
			return nil, err
		}
		kind, err := kindOf(below)
		if err != nil {
			return nil, err
		}
		if kind == "" {
			if _, err := os.Stat(filepath.Join(below, RecordsFile)); err == nil {
				return nil, fmt.Errorf("%s holds %s without a header, which tells what they are of: measure it again, or take the folder away", below, RecordsFile)
			}
			continue
		}
		s, err := load(below, kind)
		if err != nil {
			return nil, err
		}
		s.Name, s.Machine = name, withoutUser(e.Name())
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is not a results folder: %s", path, what(path, entries))
	}
	return list, nil
}

// kindOf is what a folder holds results of; "" where it holds none.
func kindOf(path string) (kind string, err error) {
	first := ""
	for _, h := range headers {
		if info, err := os.Stat(filepath.Join(path, h.file)); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if first != "" {
			return "", fmt.Errorf("%s holds results of two kinds, by %s and %s: put each into a folder of its own", path, first, h.file)
		}
		first, kind = h.file, h.kind
	}
	return kind, nil
}

// HoldsResults reports whether a folder is a results folder of any kind.
func HoldsResults(path string) bool {
	kind, err := kindOf(path)
	return kind != "" || err != nil
}

// shardFile is in the folder of each shard: what is measured in shards is results when all of them are joined.
const shardFile = "shard.json"

// unmerged refuses the folder of a shard, in a folder of shards or named by itself.
func unmerged(path, in string) error {
	if _, err := os.Lstat(filepath.Join(path, shardFile)); err != nil {
		return nil
	}
	if path == in {
		in = filepath.Dir(filepath.Clean(path))
		if base := filepath.Base(path); base == "." || base == ".." {
			whole, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			in = filepath.Dir(whole)
		}
		return fmt.Errorf("%s is one shard: 'pcaplab merge %s -o OUT' first, then name OUT", path, quoted(in))
	}
	return fmt.Errorf("%s holds shards: 'pcaplab merge %s -o OUT' first, then name OUT (%s)", in, quoted(in), filepath.Join(path, shardFile))
}

// quoted is a path for a shell.
func quoted(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+./,:@%") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// withoutUser is the name of a folder that is called as a remote machine was, USER@HOST, without the user.
func withoutUser(name string) string { return name[strings.LastIndexByte(name, '@')+1:] }

// what says what a folder is that holds no results.
func what(path string, entries []fs.DirEntry) string {
	const shown = 3
	var names []string
	for _, e := range entries {
		if len(names) < shown {
			names = append(names, e.Name())
		}
	}
	if len(entries) == 0 {
		return "it is empty"
	}
	text := "it holds " + strings.Join(names, ", ")
	if n := len(entries) - len(names); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	var wanted []string
	for _, h := range headers {
		wanted = append(wanted, h.file)
	}
	slices.Sort(wanted)
	return text + "; wanted is one of " + strings.Join(wanted, ", ") + ", in it or in a folder below"
}

func load(path, kind string) (*Source, error) {
	s := &Source{Path: path, Kind: kind}
	in := folderReader{path: path, edit: new(pathCutter).edit, keep: s.keep}
	switch kind {
	case KindStudy:
		header, records, _, err := in.study()
		if err != nil {
			return nil, err
		}
		s.Study, s.Records = analysis.Analyze(header, records), records
	case KindClasses:
		var err error
		if s.Classes, s.ClassRecords, err = in.classes(); err != nil {
			return nil, err
		}
	case KindScenario:
		header, records, _, err := in.scenario()
		if err != nil {
			return nil, err
		}
		s.Scenario, s.ScenarioRecords = analysis.AnalyzeScenario(header, records), records
	case KindLive:
		header, records, err := in.live()
		if err != nil {
			return nil, err
		}
		s.Live, s.LiveRecords = analysis.AnalyzeLive(header, records), records
	case KindValidation:
		s.Validation = &Validated{}
		if err := in.header(ValidationFile, "folder of a validation", validation.Schema, s.Validation); err != nil {
			return nil, err
		}
		if err := s.Validation.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(path, ValidationFile), err)
		}
	}
	return s, nil
}

// check wants what those who print a validation take for given.
func (v *Validated) check() error {
	if v.Report == nil {
		return errors.New("it holds no report")
	}
	for i := range v.Sets {
		s := &v.Sets[i]
		if s.Confusion == nil || len(s.Confusion.Counts) != len(s.Confusion.Classes) || len(s.Metrics.PerClass) < len(s.Confusion.Classes) {
			return fmt.Errorf("set %q: its confusion is not of its classes", s.Name)
		}
		for _, row := range s.Confusion.Counts {
			if len(row) != len(s.Confusion.Classes) {
				return fmt.Errorf("set %q: its confusion is not square", s.Name)
			}
		}
	}
	if v.Load != nil {
		for i := range v.Load.Points {
			p := &v.Load.Points[i]
			n := len(p.Measured)
			if n == 0 || len(p.Baseline) != n || len(p.Scores) != n || len(p.BaselineScores) != n {
				return fmt.Errorf("load %g: its repeats are not whole", p.Load)
			}
			for j := range p.Measured {
				if p.Measured[j].Confusion == nil || p.Baseline[j].Confusion == nil {
					return fmt.Errorf("load %g: a repeat has no confusion", p.Load)
				}
			}
		}
	}
	return nil
}

// keep adds what was read to the files.
func (s *Source) keep(name string, content []byte) {
	if n := len(s.Files); n > 0 && s.Files[n-1].Name == name {
		s.Files[n-1].Data = append(s.Files[n-1].Data, content...)
		return
	}
	s.Files = append(s.Files, SourceFile{name, slices.Clone(content)})
}

// below reads a folder in the folder.
func (in folderReader) below(folder string) folderReader {
	sub := in
	sub.path = filepath.Join(in.path, folder)
	if in.keep != nil {
		sub.keep = func(name string, content []byte) { in.keep(folder+"/"+name, content) }
	}
	return sub
}
