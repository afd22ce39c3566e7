package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets/manifest"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/shard"
	"pcaplab/replay/trial"
)

// Shards of a study of each class: classes, each whole. A shard holds classes.json, and a folder with study.json and records.jsonl for each class of
// its own; those whose captures are none are in failed.json instead.
const (
	classesKind        = "classes"
	classesShardSchema = 1
	failedFile         = "failed.json" // []failedClass
)

// failedClass is a class that cannot be measured wherever it is tried.
type failedClass struct {
	Class string `json:"class"`
	Why   string `json:"why"`
}

// classesParameters are all that decides what the shards measure. Captures are known by name, size and time of change: to hash all of a class
// whose first packets are measured would take longer than to measure. Each class's own study has the SHA-256 of what it read.
type classesParameters struct {
	Study     studyParameters `json:"study"`
	Tree      string          `json:"tree"`
	Synthetic string          `json:"synthetic"`
	Classes   []classToDo     `json:"classes"`
}

type classToDo struct {
	Name     string     `json:"name"`
	Folder   string     `json:"folder"`
	Captures []scanFile `json:"captures"`
}

// classesJob returns the job of measuring classes in n shards, and which classes each has.
func classesJob(h *analysis.ClassesHeader, n int) (*shard.Job, []shard.Span, error) {
	p := classesParameters{Study: parametersOf(&h.Study, nil), Tree: h.Tree, Synthetic: h.Synthetic}
	weights := make([]uint64, len(h.Classes))
	for i, class := range h.Classes {
		to := classToDo{Name: class.Name, Folder: class.Folder}
		for _, capture := range class.Captures {
			file := scanFile{Path: capture}
			if info, err := os.Stat(capture); err == nil { // else synthetic, or found to be missing when it is measured
				file.Octets, file.Modified = info.Size(), manifest.Storable(info.ModTime())
			}
			to.Captures = append(to.Captures, file)
		}
		p.Classes = append(p.Classes, to)
		weights[i] = expected(&h.Study, h.Study.Plan.Cells())
	}
	parameters, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	job := &shard.Job{Kind: classesKind, Schema: classesShardSchema, Parameters: parameters}
	at := func(i int) string {
		if i == len(h.Classes) {
			return "the end"
		}
		return h.Classes[i].Name
	}
	spans := shard.Cut(weights, n)
	for _, s := range spans {
		r := shard.Range{From: at(s.From), To: at(s.To)}
		for _, w := range weights[s.From:s.To] {
			r.Weight += w
		}
		job.Ranges = append(job.Ranges, r)
	}
	return job, spans, nil
}

// classesShard is perClassStudies for --shard.
func (m *measureFlags) classesShard(c *cobra.Command, a *app, args []string, plan trial.Plan, part shard.Part) error {
	if err := m.shardable(a, args, &plan); err != nil {
		return err
	}
	s := classStudies{measureFlags: m, a: a, c: c, place: a.places()[0]}
	if err := s.refused(plan); err != nil {
		return err
	}
	if err := s.prepare(args, plan); err != nil {
		return err
	}
	job, spans, err := classesJob(&s.classes.Header, part.Count)
	if err != nil {
		return err
	}
	job.Again = m.shard.again(a)
	span := spans[part.Index-1]
	err = a.measureShard(c.Context(), m.output, job, part, span.From < span.To, func(work string) ([]string, error) {
		return s.into(c.Context(), work, span)
	})
	if err == nil {
		for _, i := range slices.Sorted(maps.Keys(s.failed)) {
			err = errors.Join(err, s.failed[i])
		}
		if err != nil {
			a.note("the shard is whole, and 'merge' will say what failed; to try again, remove the shard's folder")
		}
	}
	return err
}

// into measures a run of classes into a results folder, and returns the files that make a shard.
func (s *classStudies) into(ctx context.Context, work string, span shard.Span) (files []string, err error) {
	s.path, s.span = work, &span
	for _, class := range s.classes.Header.Classes[span.From:span.To] {
		if err := s.a.beginAnew(filepath.Join(work, class.Folder)); err != nil {
			return nil, err
		}
	}
	if report.HoldsClasses(work) {
		read, err := report.ReadClasses(work)
		if err != nil {
			return nil, err
		}
		s.classes = *read
	} else if err := report.CreateClasses(work, s.classes.Header); err != nil {
		return nil, err
	}
	if err := s.run(ctx); ctx.Err() != nil {
		return nil, err
	} else if err != nil {
		for _, err := range s.failed {
			if !ofContent(err) {
				return nil, err // another try may do better
			}
		}
	}
	files = []string{report.ClassesFile}
	var failed []failedClass
	for i := span.From; i < span.To; i++ {
		if err := s.failed[i]; err != nil {
			failed = append(failed, failedClass{s.classes.Header.Classes[i].Name, err.Error()})
			continue
		}
		folder := s.classes.Header.Classes[i].Folder
		files = append(files, filepath.ToSlash(filepath.Join(folder, report.HeaderFile)), filepath.ToSlash(filepath.Join(folder, report.RecordsFile)))
	}
	if failed == nil {
		return files, nil
	}
	return append(files, failedFile), writeHeader(filepath.Join(work, failedFile), failed)
}

// ofContent reports whether an error is of what a capture holds: reading it again gives it again.
func ofContent(err error) bool {
	if errors.As(err, new(*trial.UndecodedError)) {
		return true
	}
	return errors.As(err, new(*pcapio.FormatError)) && !errors.As(err, new(*fs.PathError))
}

// mergeClasses puts studies of classes that were measured in shards together in a results folder.
func (a *app) mergeClasses(_ context.Context, _ *shard.Job, shards []*shard.Shard, output string) error {
	var h analysis.ClassesHeader
	var machines []analysis.Machine
	var of []int // the machine of each class, among machines
	var results []*analysis.Results
	var records [][]trial.Record
	why := make(map[string]string) // classes failed
	for _, s := range shards {
		if len(s.Files) == 0 {
			continue // there were more shards than classes
		}
		if err := s.Verify(); err != nil {
			return err
		}
		var own analysis.ClassesHeader
		name := filepath.Join(s.Dir, report.ClassesFile)
		text, err := s.Read(report.ClassesFile)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &own); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if results == nil {
			h = own
			of, results, records = make([]int, len(h.Classes)), make([]*analysis.Results, len(h.Classes)), make([][]trial.Record, len(h.Classes))
		}
		if !reflect.DeepEqual(own.Classes, h.Classes) {
			return fmt.Errorf("%s: other classes than those of %v", name, shards[0].Part())
		}
		if own.Started.Before(h.Started) {
			h.Started, h.Study.Started = own.Started, own.Study.Started
		}
		if slices.ContainsFunc(s.Files, func(f shard.File) bool { return f.Name == failedFile }) {
			var list []failedClass
			text, err := s.Read(failedFile)
			if err == nil {
				err = json.Unmarshal(text, &list)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", filepath.Join(s.Dir, failedFile), err)
			}
			for _, f := range list {
				why[f.Class] = f.Why
			}
		}
		first := true
		for i, class := range h.Classes {
			if !slices.ContainsFunc(s.Files, func(f shard.File) bool { return f.Name == class.Folder+"/"+report.HeaderFile }) {
				continue
			}
			p, err := studyPart(s, class.Folder)
			if err != nil {
				return err
			}
			if results[i] != nil {
				return fmt.Errorf("%s: class %s is in another shard too", s.Dir, class.Name)
			}
			results[i], records[i] = analysis.Analyze(p.Header, p.Records), p.Records
			if text := results[i].Unfinished(); text != "" {
				return fmt.Errorf("%s: class %s: %s", s.Dir, class.Name, text)
			}
			if first {
				machines, first = append(machines, analysis.Machine{Name: p.Name, Host: p.Host, Environment: p.Header.Environment}), false
			}
			of[i] = len(machines) - 1
		}
	}
	var failed error
	for i, r := range results {
		if text, ok := why[h.Classes[i].Name]; r == nil && ok {
			failed = errors.Join(failed, errors.New(text))
		} else if r == nil {
			return fmt.Errorf("no shard has class %s", h.Classes[i].Name)
		}
	}
	if len(machines) == 0 {
		return errors.Join(failed, errors.New("the shards have no class that was measured"))
	}
	hosts, host, err := analysis.Hosts(machines, a.mixedMachines)
	if err != nil {
		return mixing(err)
	}
	if len(hosts) > 1 {
		for i, class := range h.Classes {
			if results[i] == nil {
				continue
			}
			at := host[of[i]]
			for len(h.Hosts) <= at {
				is := hosts[len(h.Hosts)]
				h.Hosts = append(h.Hosts, analysis.ClassHost{Name: is.Name, Machine: is.Machine, Differs: is.Differs})
			}
			h.Hosts[at].Classes = append(h.Hosts[at].Classes, class.Name)
		}
	}
	all := &analysis.Classes{Header: h, Results: results}
	err = a.placeFolder(output, report.ClassesFile, func(tmp string) error {
		if err := report.CreateClasses(tmp, h); err != nil {
			return err
		}
		for i, class := range h.Classes {
			if results[i] == nil {
				continue
			}
			if err := writeStudy(filepath.Join(tmp, class.Folder), results[i], records[i]); err != nil {
				return err
			}
		}
		return report.FinishClasses(tmp, all)
	})
	if err != nil {
		return err
	}
	if failed != nil {
		failed = writtenError{failed}
	}
	failed = errors.Join(a.printClasses(all, false), failed)
	for i, r := range results {
		if r != nil {
			failed = errors.Join(failed, a.missed(h.Classes[i].Name+": ", r))
		}
	}
	return failed
}
