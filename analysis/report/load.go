package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

// headers are the files that tell what a results folder is of.
var headers = map[string]string{
	HeaderFile: KindStudy, ClassesFile: KindClasses, ScenarioFile: KindScenario, LiveFile: KindLive, ValidationFile: KindValidation,
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
// names: they are of a machine, not of its results.
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
	if kind := kindOf(path); kind != "" {
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
		kind := kindOf(below)
		if kind == "" {
			continue
		}
		s, err := load(below, kind)
		if err != nil {
			return nil, err
		}
		s.Name, s.Machine = name, e.Name()
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s is not a results folder: %s", path, what(path, entries))
	}
	return list, nil
}

func kindOf(path string) string {
	for file, kind := range headers {
		if info, err := os.Stat(filepath.Join(path, file)); err == nil && info.Mode().IsRegular() {
			return kind
		}
	}
	return ""
}

// what says what a folder is that holds no results.
func what(path string, entries []fs.DirEntry) string {
	const shown = 3
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(path, e.Name(), "shard.json")); err == nil || e.Name() == "shard.json" {
			return "it holds shards, of which 'merge' makes a results folder"
		}
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
	for file := range headers {
		wanted = append(wanted, file)
	}
	slices.Sort(wanted)
	return text + "; wanted is one of " + strings.Join(wanted, ", ") + ", in it or in a folder below"
}

func load(path, kind string) (*Source, error) {
	s := &Source{Path: path, Kind: kind}
	in := folderReader{path: path, edit: withoutPaths, keep: s.keep}
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

// absolute finds, in the strings of JSON, absolute paths of two names or more, at the begin of a string or behind what sets a
// value off: "model=/home/u/forest.onnx".
var absolute = regexp.MustCompile(`(["=:,])(?:/(?:[^/"\\=,:]+/)+|(?:[A-Za-z]:|\\\\\\\\)(?:(?:\\\\|/)?[^/"\\=,:]+)*(?:\\\\|/))([^/"\\=,:]+)`)

// withoutPaths cuts absolute paths in JSON to their last names. The files of the kernel stay: notes name them.
func withoutPaths(text []byte) []byte {
	if !strings.ContainsAny(string(text), `/\`) {
		return text
	}
	return absolute.ReplaceAllFunc(text, func(found []byte) []byte {
		if strings.HasPrefix(string(found[1:]), "/proc/") || strings.HasPrefix(string(found[1:]), "/sys/") {
			return found
		}
		parts := absolute.FindSubmatch(found)
		return append(slices.Clone(parts[1]), parts[2]...)
	})
}
