package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
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

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets/flock"
	"pcaplab/datasets/shard"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// Shards of a study: cells, each with all its repeats, so that no interval is of two machines. As long as there are enough of them, all engines of
// one size, cache state and number of workers stay together: they are compared with one another. A shard holds study.json and records.jsonl of
// its cells, and says which machine measured.
const (
	studyKind        = "study"
	studyShardSchema = 1
	hostFile         = "host.json" // meter.Host
)

// shardHelp is of ceiling and sweep, whose shards are of what is named.
func shardHelp(of string) string {
	return `

With --shard i/n only ` + of + ` each with all its repeats, into a folder of shards (-o) that 'merge'
makes the results folder of. All engines of a size, cache state and number of workers stay in one shard while there are enough of them. Shards
on one machine take turns; one that was interrupted goes on with the same command on the same machine. Give the same words on every machine,
folders of classes and files of stages too: they are part of what a shard is known by. Shards of machines that differ are not merged,
unless with --mixed-machines: then each row is of one machine, and the result says of which.`
}

// metricsHelp is of commands whose --fail-if is about a study.
const metricsHelp = `

--fail-if names goals (ndr, pdr), service (in the unit of loads), cost and cpu (ns per packet), cost-min (the same in the quickest part of the closed
loop, with one worker), allocs and instructions (per packet), peak (octets), soak, and loss where loads are listed and nothing is searched.`

// studyParameters are all that decides what the shards of a study measure. Captures are Job.Inputs.
type studyParameters struct {
	Version     string         `json:"version"`
	Command     string         `json:"command"`
	Settings    trial.Settings `json:"settings"`
	Plan        trial.Plan     `json:"plan"`
	Reading     trial.Reading  `json:"reading"`
	MemoryLimit int64          `json:"memory_limit"` // 0: by what each machine has
	InProcess   bool           `json:"in_process"`
	Captures    []string       `json:"captures"` // by name, without folders: their content is in Job.Inputs
	StageFiles  []stageSum     `json:"stage_files"`
}

type stageSum struct {
	Stage  string `json:"stage"`
	SHA256 string `json:"sha256"`
}

func parametersOf(h *trial.Header, captures []string) studyParameters {
	p := studyParameters{
		Version: h.Version, Command: h.Command, Settings: h.Settings, Plan: h.Plan, Reading: h.Reading, MemoryLimit: h.MemoryLimit, InProcess: h.InProcess,
		Captures: slices.Clone(captures), StageFiles: []stageSum{},
	}
	for i, name := range p.Captures {
		if !strings.HasPrefix(name, synthPrefix) {
			p.Captures[i] = filepath.Base(name)
		}
	}
	for _, f := range h.StageFiles {
		p.StageFiles = append(p.StageFiles, stageSum{f.Stage, f.SHA256})
	}
	return p
}

// studyJob returns the job of measuring a plan in n shards, without inputs, and the cells of each.
func studyJob(h *trial.Header, captures []string, n int) (*shard.Job, [][]trial.Cell, error) {
	parameters, err := json.Marshal(parametersOf(h, captures))
	if err != nil {
		return nil, nil, err
	}
	all := h.Plan.Cells()
	unit := len(h.Plan.Engines)
	if n > len(all)/unit {
		unit = 1
	}
	weights := make([]uint64, len(all)/unit)
	for i := range weights {
		weights[i] = expected(h, all[i*unit:(i+1)*unit])
	}
	job := &shard.Job{Kind: studyKind, Schema: studyShardSchema, Parameters: parameters}
	at := func(i int) string {
		if i == len(all) {
			return "the end"
		}
		return all[i].String()
	}
	cells := make([][]trial.Cell, n)
	for i, span := range shard.Cut(weights, n) {
		cells[i] = all[span.From*unit : span.To*unit]
		r := shard.Range{From: at(span.From * unit), To: at(span.To * unit)}
		for _, w := range weights[span.From:span.To] {
			r.Weight += w
		}
		job.Ranges = append(job.Ranges, r)
	}
	return job, cells, nil
}

// expected is about how many milliseconds cells take; 1 each where that is not known.
func expected(h *trial.Header, cells []trial.Cell) uint64 {
	s := trial.Study{Header: *h, Only: cells}
	if d := s.Expected(); d >= time.Millisecond {
		return uint64(d / time.Millisecond)
	}
	return uint64(len(cells))
}

// shardable refuses what cannot be measured in shards, and says why.
func (m *measureFlags) shardable(a *app, args []string, plan *trial.Plan) error {
	switch {
	case m.output == "":
		return usagef("--shard: where to? -o DIR, a folder for the shards")
	case len(a.boards) > 0:
		return usagef("--shard with remote: a shard is measured where it is started; start it on the board itself, with a folder of its own, and merge these")
	case m.resume != "":
		return usagef("--resume with --shard: the same command goes on with a shard that was interrupted")
	case plan.Soak > 0:
		return usagef("--soak with --shard: a soak is of one board's heat and cooling; soak each board by itself")
	case m.failIf != "":
		return usagef("--fail-if with --shard: a condition is of the whole: '%s merge --fail-if' has it", a.Name)
	case m.json:
		return usagef("--json with --shard: the results are printed by 'merge', or 'table --json' after it")
	case slices.Contains(args, stdin):
		return usagef("standard input (-) with --shard: each shard reads the captures, so they must be files")
	}
	return nil
}

// studyShard is study for --shard.
func (m *measureFlags) studyShard(c *cobra.Command, a *app, args []string, plan trial.Plan, part shard.Part) error {
	args, err := inputs(args, m.synth)
	if err != nil {
		return err
	}
	if err := m.shardable(a, args, &plan); err != nil {
		return err
	}
	if len(args) == 0 {
		return usagef("no capture: name files, or %siot-1 for synthetic traffic", synthPrefix)
	}
	if err := m.check(args); err != nil {
		return err
	}
	v := &visit{place: a.places()[0], a: a}
	if err := m.begin(c, v, args, plan); err != nil {
		return err
	}
	if err := m.before(v, nil); err != nil {
		return err
	}
	job, cells, err := studyJob(&v.job.Header, args, part.Count)
	if err != nil {
		return err
	}
	job.Again = m.shard.again(a)
	if !strings.HasPrefix(args[0], synthPrefix) {
		if job.Inputs, err = a.hashed(c.Context(), args); err != nil {
			return err
		}
	}
	own := cells[part.Index-1]
	return a.measureShard(c.Context(), m.output, job, part, len(own) > 0, func(work string) ([]string, error) {
		return []string{report.HeaderFile, report.RecordsFile}, a.studyInto(c.Context(), v, work, own)
	})
}

// hashed returns files as inputs of a job.
func (a *app) hashed(ctx context.Context, files []string) ([]shard.Input, error) {
	list := make([]shard.Input, len(files))
	var total, done int64
	for i, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, usagef("%s with --shard: no regular file, but each shard reads it", file)
		}
		list[i] = shard.Input{Name: file, Octets: info.Size()}
		total += info.Size()
	}
	bar := a.octetsBar("hashing")
	defer bar.done()
	for i := range list {
		var err error
		if list[i].SHA256, err = sumFile(ctx, list[i].Name); err != nil {
			return nil, err
		}
		done += list[i].Octets
		bar.set(done, total)
	}
	return list, nil
}

// errThere says that another process made the shard while this one waited for its turn.
var errThere = errors.New("the shard is there")

// measureShard makes a shard by measuring, one at a time on a machine, into a hidden results folder beside the shards that another run of the same
// command goes on with. measure returns the files that make the shard; it is not called where the shard has nothing to measure.
func (a *app) measureShard(ctx context.Context, dir string, job *shard.Job, part shard.Part, any bool, measure func(work string) (files []string, err error)) error {
	host := meter.ReadHost(meter.Roots{})
	id := job.ShardID(part.Index)
	work := workFolder(dir, id, host)
	var turn io.Closer // kept until the hidden folder is gone, which may be another's else
	defer func() {
		if turn != nil {
			turn.Close()
		}
	}()
	var failed error
	fill := func(tmp string) (err error) {
		if !any {
			a.note("shard %v: nothing to measure, there are more shards than can be cut", part)
			return nil
		}
		if turn == nil {
			if turn, err = a.turn(ctx, dir); err != nil {
				return err
			}
		}
		if wholeShard(dir, id) {
			return errThere
		}
		if err := makeWork(work, host); err != nil {
			return err
		}
		files, err := measure(work)
		if err != nil {
			if ctx.Err() != nil {
				a.note("shard %v: the same command goes on with it on this machine, and begins anew on another, as no cell is of two", part)
			}
			failed = fmt.Errorf("shard %v in %s: %w", part, dir, err)
			return err
		}
		for _, name := range append(files, hostFile) {
			if err := copyInto(ctx, filepath.Join(work, filepath.FromSlash(name)), filepath.Join(tmp, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
		return nil
	}
	for range 3 {
		err := a.writeShard(dir, job, part, true, fill)
		switch {
		case errors.Is(err, errThere):
			continue
		case failed != nil:
			return failed // what was measured until then is kept
		case err != nil || !any:
			return err
		}
		if turn == nil { // the shard was there
			turn, _ = takeTurn(dir)
		}
		if turn != nil {
			_ = os.RemoveAll(work) // what is left of it is hidden, and in nobody's way
		}
		discardOrphans(dir, id, work)
		return nil
	}
	return fmt.Errorf("shard %v in %s is damaged, or comes and goes: look at it", part, dir)
}

// wholeShard reports whether a shard is in a folder and undamaged.
func wholeShard(dir, id string) bool {
	set, err := shard.Read(filepath.Join(dir, id))
	return err == nil && len(set.Shards) == 1 && set.Shards[0].ID == id && set.Shards[0].Verify() == nil
}

// workFolder is where a machine measures a shard: each has its own, so that no cell is of two machines, or of one that was started again.
func workFolder(dir, id string, host meter.Host) string {
	return filepath.Join(dir, "."+id+"."+fileName(cmp.Or(host.Boot, host.Name))+workSuffix)
}

const workSuffix = ".study"

// makeWork makes the hidden folder of a shard, or leaves the one that is there for a study to go on with.
func makeWork(work string, host meter.Host) error {
	name := filepath.Join(work, hostFile)
	if _, err := os.Lstat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(work, 0o777); err != nil {
		return err
	}
	return report.WriteFile(name, func(w io.Writer) error { return json.NewEncoder(w).Encode(host) })
}

// orphanAfter is how long nothing may have been written into the hidden folder of another machine before it is removed with the shard made.
const orphanAfter = 24 * time.Hour

// discardOrphans removes hidden folders of a shard that is whole, which other machines left, or this one before it was started again.
func discardOrphans(dir, id, own string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if !e.IsDir() || name == own || !strings.HasPrefix(e.Name(), "."+id+".") || !strings.HasSuffix(e.Name(), workSuffix) {
			continue
		}
		live := false
		err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			live = live || time.Since(info.ModTime()) < orphanAfter
			if d.Name() != report.RecordsFile {
				return nil
			}
			records, err := os.Open(path)
			if err != nil {
				return err
			}
			defer records.Close()
			live = live || flock.Try(records) != nil
			return nil
		})
		if err == nil && !live {
			_ = os.RemoveAll(name)
		}
	}
}

// turnEvery is how often a shard that waits for another one looks.
const turnEvery = 300 * time.Millisecond

// turn waits until no other shard of the folder is being measured on this machine: side by side each would measure the other. The file
// that is returned has the lock until it is closed.
func (a *app) turn(ctx context.Context, dir string) (io.Closer, error) {
	for said := false; ; {
		lock, err := takeTurn(dir)
		if err == nil {
			if !seenHeld(lock.Name()) {
				a.note("this file system has no locks: start one shard at a time on a machine, as two would measure each other")
			}
			return lock, nil
		}
		if !errors.Is(err, flock.ErrHeld) {
			return nil, err
		}
		if !said {
			a.note("another shard is being measured on this machine: waiting for it, as two at a time would measure each other")
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(turnEvery):
		}
	}
}

// takeTurn takes the lock of this machine in a folder, or returns flock.ErrHeld. The lock is any user's.
func takeTurn(dir string) (*os.File, error) {
	host := meter.ReadHost(meter.Roots{})
	name := filepath.Join(dir, ".measuring-"+fileName(cmp.Or(host.Boot, host.Name))+".lock")
	lock, err := flock.Open(name)
	if err == nil {
		_ = lock.Chmod(0o666) // of whom it is, he may
		return lock, nil
	}
	if !errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	readable, openErr := os.Open(name)
	if openErr != nil {
		return nil, err
	}
	if err := flock.Try(readable); err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	return readable, nil
}

// seenHeld reports whether a lock that is held here is seen to be held.
func seenHeld(name string) bool {
	again, err := os.Open(name)
	if err != nil {
		return true
	}
	defer again.Close()
	return errors.Is(flock.Try(again), flock.ErrHeld)
}

// beginAnew removes what was measured in a folder if the machine or its settings are no longer what they were: no cell is of two.
func (a *app) beginAnew(folder string) error {
	if _, err := os.Lstat(filepath.Join(folder, report.HeaderFile)); err != nil {
		return nil
	}
	header, records, err := report.Read(folder)
	if err != nil {
		return err
	}
	is := meter.ReadEnvironment(meter.Roots{})
	differences, err := is.Differences(&header.Environment)
	if err != nil || len(differences) == 0 {
		return err
	}
	a.note("begins anew instead of going on after %s: %s", plural(len(records), "record", "records"), strings.Join(differences, "; "))
	return errors.Join(os.Remove(filepath.Join(folder, report.HeaderFile)), headless(folder))
}

// studyInto measures cells into a results folder, whose header and records are then whole.
func (a *app) studyInto(ctx context.Context, v *visit, work string, cells []trial.Cell) error {
	v.path, v.made = work, false
	if err := a.beginAnew(work); err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(work, report.HeaderFile)); err == nil {
		folder, header, done, err := report.Resume(work)
		if err != nil {
			return err
		}
		files := v.job.Header.StageFiles // where they are now; their sums are in the id
		v.folder, v.job.Header, v.job.Done = folder, header, done
		v.job.Header.StageFiles = files
		a.note("goes on after %s", plural(len(done), "record", "records"))
	} else if err := headless(work); err != nil {
		return err
	}
	v.job.Cells = cells
	err := a.atEach(ctx, []*visit{v})
	if v.folder != nil {
		err = errors.Join(err, v.folder.Close())
	}
	if err != nil {
		return err
	}
	return writeHeader(filepath.Join(work, report.HeaderFile), v.job.Header)
}

// headless removes records without a header, as a run leaves them that is killed before it has measured anything.
func headless(folder string) error {
	if _, err := os.Lstat(filepath.Join(folder, report.HeaderFile)); err == nil {
		return nil
	}
	return os.RemoveAll(filepath.Join(folder, report.RecordsFile))
}

func writeHeader(path string, header any) error {
	return report.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(header)
	})
}

func copyInto(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return copyTo(ctx, in, to)
}

// studyPart reads the study in a shard, or in a folder below it, after comparing it with the shard's record.
func studyPart(s *shard.Shard, below string) (analysis.Part, error) {
	p := analysis.Part{Name: "shard " + s.Part().String()}
	text, err := s.Read(hostFile)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p.Host); err != nil {
		return p, fmt.Errorf("%s: %w", filepath.Join(s.Dir, hostFile), err)
	}
	p.Header, p.Records, err = report.Read(filepath.Join(s.Dir, below))
	return p, err
}

// mergeStudy puts a study that was measured in shards together in a results folder.
func (a *app) mergeStudy(_ context.Context, _ *shard.Job, shards []*shard.Shard, output string) error {
	var parts []analysis.Part
	for _, s := range shards {
		if len(s.Files) == 0 {
			continue // there were more shards than cells
		}
		if err := s.Verify(); err != nil {
			return err
		}
		p, err := studyPart(s, "")
		if err != nil {
			return err
		}
		parts = append(parts, p)
	}
	h, records, err := analysis.Merge(parts, a.mixedMachines)
	if err != nil {
		return mixing(err)
	}
	results := analysis.Analyze(h, records)
	if text := results.Unfinished(); text != "" {
		return fmt.Errorf("the shards are of a study that is %s: make them again", text)
	}
	if err := a.placeFolder(output, report.HeaderFile, func(tmp string) error { return writeStudy(tmp, results, records) }); err != nil {
		return err
	}
	return errors.Join(report.WriteText(a.stdout, results), a.missed("", results))
}

// missed is errMissed, after a note, where the condition of --fail-if is true of results.
func (a *app) missed(name string, results *analysis.Results) error {
	if a.mergeCondition == nil {
		return nil
	}
	matches, err := a.mergeCondition.Check(results.Measures())
	if err != nil {
		return fmt.Errorf("%s--fail-if: %w", name, err)
	}
	for _, match := range matches {
		a.note("%s%v", name, match)
	}
	if len(matches) > 0 {
		return errMissed
	}
	return nil
}

// mixing says what to do about machines that differ.
func mixing(err error) error {
	if errors.Is(err, analysis.ErrMachines) {
		err = fmt.Errorf("%w; measure all shards on machines of one kind, or join them with --mixed-machines: each row is then of one machine, and the result says of which", err)
	}
	return err
}

// drawCharts is false in tests that look at tables only: charts take most of their time.
var drawCharts = true

func finish(f *report.Folder, results *analysis.Results) error {
	if !drawCharts {
		return f.FinishTables(results)
	}
	return f.Finish(results)
}

// writeStudy writes a results folder.
func writeStudy(path string, results *analysis.Results, records []trial.Record) error {
	folder, err := report.Create(path, results.Header)
	if err != nil {
		return err
	}
	for i := range records {
		if err = folder.Append(records[i]); err != nil {
			break
		}
	}
	if err == nil {
		err = finish(folder, results)
	}
	return errors.Join(err, folder.Close())
}

// placeFolder makes a folder by fill, whole or not at all. One that is there must be empty, or hold the same octets already, or some of them, as
// an interrupted run leaves them: header, by which it is known for what it is, comes to be last.
func (a *app) placeFolder(path, header string, fill func(tmp string) error) (err error) {
	path = filepath.Clean(path)
	dir, prefix := path, ".merge-"
	info, err := os.Stat(path)
	there := err == nil
	switch {
	case there && !info.IsDir():
		return fmt.Errorf("%s is no folder: name another", path)
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is a link to what is not there", path)
		}
		dir, prefix = filepath.Dir(path), "."+filepath.Base(path)+"-"
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	tmp, done, err := reserveIn(dir, prefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if err := fill(tmp); err != nil {
		return err
	}
	if !there {
		return os.Rename(tmp, path)
	}
	left, err := missingOf(tmp, path, prefix)
	if err != nil {
		return fmt.Errorf("%w: name another folder", err)
	}
	if len(left) == 0 {
		a.note("%s holds the same already", path)
		return nil
	}
	if i := slices.Index(left, header); i >= 0 {
		left = append(slices.Delete(left, i, i+1), header)
	}
	for _, name := range left {
		to := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(tmp, name), to); err != nil {
			return err
		}
	}
	return nil
}

// reserveIn makes a hidden folder in a folder, which done removes. What killed runs left under the same prefix is removed first; while another run
// that has such a folder is alive, the error says so.
func reserveIn(dir, prefix string) (tmp string, done func() error, err error) {
	name := filepath.Join(dir, prefix+"lock")
	lock, err := flock.Open(name)
	if errors.Is(err, flock.ErrHeld) {
		return "", nil, fmt.Errorf("another process is writing into %s: wait for it (%s)", dir, name)
	} else if err != nil {
		return "", nil, err
	}
	if flock.Here && seenHeld(name) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), prefix) && strings.HasSuffix(e.Name(), ".tmp") {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
		if err != nil {
			return "", nil, errors.Join(err, os.Remove(name), lock.Close())
		}
	}
	tmp = filepath.Join(dir, prefix+rand.Text()[:10]+".tmp")
	done = func() error {
		err := os.RemoveAll(tmp)
		if flock.Here { // while it is held: else it is another's
			return errors.Join(err, os.Remove(name), lock.Close())
		}
		return errors.Join(err, lock.Close(), os.Remove(name))
	}
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return "", nil, errors.Join(err, done())
	}
	return tmp, done, nil
}

// missingOf returns the files of a folder that another has not. What the other has must be of them, with the same octets; names at its top with
// the prefix do not count.
func missingOf(want, got, prefix string) (left []string, err error) {
	names := func(dir, prefix string) (list []string, err error) {
		err = filepath.WalkDir(dir+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			switch {
			case err != nil:
			case prefix != "" && strings.HasPrefix(rel, prefix):
				if d.IsDir() {
					return fs.SkipDir
				}
			case !d.IsDir():
				list = append(list, rel)
			}
			return err
		})
		return list, err
	}
	all, err := names(want, "")
	if err != nil {
		return nil, err
	}
	there, err := names(got, prefix)
	if err != nil {
		return nil, err
	}
	for _, name := range there {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("%s holds other files already, as %s", got, name)
		}
		a, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			return nil, err
		}
		if string(a) != string(b) {
			return nil, fmt.Errorf("%s is there already, with other content", filepath.Join(got, name))
		}
	}
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(there, name) }), nil
}
