package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/arena"
	"pcaplab/replay/meter"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial"
)

// source is a capture of a study.
type source struct {
	Name string `json:"name"` // as the user gave it
	File string `json:"file"` // to read: Name, unless it was copied to a board
}

// job is a study to run, on this machine or on a board.
type job struct {
	Header  trial.Header   `json:"header"` // of a study that goes on, whole; of a new one, what the user decided
	Sources []source       `json:"sources"`
	Sides   []byte         `json:"sides,omitempty"` // content of the cache file, where there is one
	Done    []trial.Record `json:"done,omitempty"`
	Cells   []trial.Cell   `json:"cells,omitempty"` // to measure; none: all of the plan
}

// ready tells what a bench is about to measure.
type ready struct {
	Header   trial.Header  `json:"header"`
	Frames   int           `json:"frames"`
	Octets   uint64        `json:"octets"`
	Expected time.Duration `json:"expected_ns"`
}

// events are what happens while a bench is at work. All must be set.
type events struct {
	ready    func(ready) error
	resized  func(trial.Resizing)
	record   func(trial.Record) error
	progress func(trial.Progress)
}

// question is what a bench answers in JSON, besides running studies.
type question struct {
	Kind  string `json:"kind"` // see app.answer
	Quick bool   `json:"quick,omitempty"`
}

// bench is where studies run: this machine, or a board.
type bench interface {
	study(ctx context.Context, j *job, e *events) error
	answer(ctx context.Context, q question) (json.RawMessage, error)
}

// here is the bench that this process is.
type here struct{ *app }

func (h here) study(ctx context.Context, j *job, e *events) error { return h.perform(ctx, j, e) }

func (h here) answer(ctx context.Context, q question) (json.RawMessage, error) {
	v, err := h.app.answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// answer answers the questions that are no studies.
func (a *app) answer(ctx context.Context, q question) (any, error) {
	switch q.Kind {
	case questionKernels:
		return a.kernels(ctx, q.Quick)
	case questionBoard:
		return readBoard(), nil
	}
	return nil, fmt.Errorf("no question is called %q", q.Kind)
}

// place is a bench with the name that tells it from others; the only bench needs none.
type place struct {
	name  string
	bench bench
}

// places returns where to measure.
func (a *app) places() []place {
	if len(a.boards) > 0 {
		return a.boards
	}
	return []place{{bench: here{a}}}
}

// sameMachine refuses to go on with what was begun on another machine, or by another compiler.
func sameMachine(was, is *meter.Environment) error {
	if was.CPU != is.CPU || was.Board != is.Board || was.Arch != is.Arch || was.GoVersion != is.GoVersion {
		return fmt.Errorf("it was begun on %v; this is %v: results of the two must not be pooled; start into a new folder", was, is)
	}
	return nil
}

// perform runs a study in this process and its children.
func (a *app) perform(ctx context.Context, j *job, e *events) error {
	s := &trial.Study{Engines: a.Engines, Stages: a.Stages, Header: j.Header, Only: j.Cells, Done: j.Done, Keep: e.record, Progress: e.progress}
	h := &s.Header
	is := meter.ReadEnvironment(meter.Roots{})
	if was := &h.Environment; was.OS == "" {
		h.Environment = is
		if h.Caches == (trial.Caches{}) {
			h.Caches.L2, _ = is.L2Octets()
			h.Caches.LLC, _ = is.LLCOctets()
		}
	} else if err := sameMachine(was, &is); err != nil {
		return err
	}
	if h.MemoryLimit == 0 {
		h.MemoryLimit = datasets.DefaultMemoryLimit()
	}
	if err := s.Check(); err != nil {
		return usageError{err}
	}
	reading := captureFlags{
		salvage: h.Reading.Salvage, packets: h.Reading.Packets, seed: h.Settings.Seed, memoryLimit: octetsFlag(h.MemoryLimit),
	}
	frames, captures, err := reading.load(ctx, a, j.Sources)
	if err != nil {
		return err
	}
	defer func() { frames.Close() }()
	if len(h.Captures) > 0 {
		if err := sameCaptures(h.Captures, captures); err != nil {
			return err
		}
		for i := range captures {
			captures[i].Name, captures[i].Path = h.Captures[i].Name, h.Captures[i].Path
		}
	}
	h.Captures = captures
	whole := h.Reading.Packets == 0 || frames.Len() < h.Reading.Packets
	changed, err := a.change(frames, &h.Settings.Changes, &h.Changed, j.Sides, whole, h.MemoryLimit)
	if err != nil {
		return err
	}
	frames = changed
	if h.Settings.MoveAddresses {
		rep := trial.Moving(frames)
		h.Moving = &rep
		if rep.Kept()+rep.MovedMalformed > 0 {
			a.note("a copy with addresses of its own: %v", rep)
		}
	}
	if err := s.Decodable(frames); err != nil {
		return fmt.Errorf("%s: %w", captureNames(h), err)
	}
	s.Frames = func(size string) (trial.Sized, error) { return a.sized(frames, size, h, e) }
	if err := e.ready(ready{Header: *h, Frames: frames.Len(), Octets: frames.Octets(), Expected: s.Expected()}); err != nil {
		return err
	}
	return s.Run(ctx)
}

// besideLoaded says what to do where changed frames do not fit beside those that were loaded.
func besideLoaded(err error, change string, limit int64) error {
	if !errors.Is(err, arena.ErrLimit) {
		return err
	}
	return fmt.Errorf("%s: the changed frames do not fit beside the captures: %w: both together may take %d octets; allow more with --memory-limit, load the "+
		"first N frames with --packets N, or name fewer captures", change, datasets.ErrMemory, limit)
}

// sized resizes all frames; what could not be resized is noted.
func (a *app) sized(frames *arena.Frames, size string, h *trial.Header, e *events) (trial.Sized, error) {
	if size == trial.Captured {
		return trial.Sized{Frames: frames}, nil
	}
	sizes, err := rewrite.ParseSizes(size)
	if err != nil {
		return trial.Sized{}, err
	}
	resized, rep, err := trial.Resize(frames, sizes[0], h.MemoryLimit-frames.MappedOctets())
	if err != nil {
		return trial.Sized{}, besideLoaded(err, "size "+size, h.MemoryLimit)
	}
	if rep.Sized() < rep.Frames {
		a.note("%v", rep)
	}
	e.resized(trial.Resizing{Size: size, Report: rep})
	return trial.Sized{Frames: resized, Close: true}, nil
}

func sameCaptures(want, got []trial.Capture) error {
	if len(want) != len(got) {
		return fmt.Errorf("the study was of %d captures, not of %d", len(want), len(got))
	}
	for i := range want {
		if want[i].SHA256 != got[i].SHA256 {
			return fmt.Errorf("%s is not what the study began with: SHA-256 %s, was %s", got[i].Name, got[i].SHA256, want[i].SHA256)
		}
	}
	return nil
}

// visit is a study at one place.
type visit struct {
	place
	a       *app
	job     job
	folder  *report.Folder // nil without one
	path    string         // of the results folder; empty without one
	made    bool           // whether the folder was made for this
	bar     *studyBar
	records []trial.Record
	ready   bool // nothing was found that keeps it from being measured
}

// run runs the study. Its header and records are then in v, of an interrupted one too.
func (v *visit) run(ctx context.Context) error {
	v.records = slices.Clone(v.job.Done)
	resizing := v.job.Header.Resizing
	v.job.Header.Resizing = nil // is counted again
	defer func() {
		if !v.ready {
			v.job.Header.Resizing = resizing
		}
	}()
	return v.bench.study(ctx, &v.job, &events{
		ready: func(r ready) error {
			files := v.job.Header.StageFiles // where they are here
			v.job.Header = r.Header
			v.job.Header.StageFiles = files
			for i, s := range v.job.Sources {
				if s.Name == stdin || strings.HasPrefix(s.Name, synthPrefix) {
					continue
				}
				path, err := filepath.Abs(s.Name)
				if err != nil {
					return err
				}
				if i < len(v.job.Header.Captures) {
					v.job.Header.Captures[i].Path = path
				}
			}
			if v.path != "" && v.folder == nil {
				folder, err := report.Create(v.path, v.job.Header)
				if err != nil {
					return err
				}
				v.folder = folder
			}
			v.ready = true
			v.a.note("%s%s", v.prefix(), describe(&r, len(v.job.Cells)))
			v.bar.expect(r.Header.Settings.Unit, r.Expected)
			return nil
		},
		resized: func(r trial.Resizing) {
			same := func(other trial.Resizing) bool { return other.Size == r.Size }
			if !slices.ContainsFunc(v.job.Header.Resizing, same) {
				v.job.Header.Resizing = append(v.job.Header.Resizing, r)
			}
		},
		record: func(r trial.Record) error {
			v.records = append(v.records, r)
			if v.folder == nil {
				return nil
			}
			return v.folder.Append(r)
		},
		progress: v.bar.set,
	})
}

// prefix begins lines about this place where there may be others.
func (p place) prefix() string {
	if p.name == "" {
		return ""
	}
	return p.name + ": "
}

// named adds the name of the place to an error.
func (p place) named(err error) error {
	if err == nil || p.name == "" || strings.HasPrefix(err.Error(), p.name+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", p.name, err)
}

// atEach runs the visits side by side, with progress. One that fails does not end the others.
func (a *app) atEach(ctx context.Context, visits []*visit) error {
	bars := a.studyBars(len(visits))
	errs := make([]error, len(visits))
	var all sync.WaitGroup
	for i, v := range visits {
		v.bar = bars.bar(i, v.name)
	}
	for i, v := range visits {
		all.Go(func() { errs[i] = v.named(v.run(ctx)) })
	}
	all.Wait()
	bars.done()
	return errors.Join(errs...)
}

// study runs a plan on captures, at every place, and prints what came of it.
func (m *measureFlags) study(c *cobra.Command, a *app, args []string, plan trial.Plan) error {
	if part, sharded, err := m.shard.part(); err != nil {
		return err
	} else if sharded {
		return m.studyShard(c, a, args, plan, part)
	}
	condition, err := m.condition()
	if err != nil {
		return err
	}
	if args, err = inputs(args, m.synth); err != nil {
		return err
	}
	if m.resume == "" {
		if len(args) == 0 {
			return usagef("no capture: name files, or %siot-1 for synthetic traffic", synthPrefix)
		}
		if err := m.check(args); err != nil {
			return err
		}
	}
	var visits []*visit
	defer func() {
		for _, v := range visits {
			if v.folder != nil {
				v.folder.Close()
			}
		}
	}()
	places := a.places()
	var begun, absent *visit // of several to go on with
	var absentErr error
	for _, p := range places {
		v := &visit{place: p, a: a}
		visits = append(visits, v)
		if m.resume == "" {
			if m.output != "" {
				v.path = folderOf(m.output, places, p)
			}
			if err := m.begin(c, v, args, plan); err != nil {
				return err
			}
			continue
		}
		err := m.open(c, v, folderOf(m.resume, places, p), args)
		switch {
		case errors.Is(err, fs.ErrNotExist) && v.folder == nil && len(places) > 1:
			absent, absentErr = v, err
			continue
		case err != nil:
			return p.named(err)
		}
		begun = v
		a.note("%sresuming %s: %d records", p.prefix(), v.path, len(v.job.Done))
		if text := soakNote(&v.job); text != "" {
			a.note("%s%s", p.prefix(), text)
		}
	}
	if absent != nil && begun == nil {
		return absent.named(absentErr)
	}
	defer func() {
		for _, v := range visits {
			v.tidy()
		}
		if len(visits) > 1 && m.output != "" {
			os.Remove(m.output) // if nothing came to be in it
		}
	}()
	for _, v := range visits {
		if m.resume != "" && v.folder == nil {
			v.join(begun, folderOf(m.resume, places, v.place))
		}
		if err := m.before(v, condition); err != nil {
			return v.named(err)
		}
	}
	runErr := a.atEach(c.Context(), visits)
	return errors.Join(runErr, m.show(a, visits, condition))
}

// begin makes v a new study.
func (m *measureFlags) begin(c *cobra.Command, v *visit, args []string, plan trial.Plan) (err error) {
	v.job.Sources = sources(args)
	v.job.Header = trial.Header{
		Version: version(), Command: c.Name(), Started: time.Now().UTC(), Settings: m.settings, Plan: plan,
		Reading: trial.Reading{Packets: m.packets, Salvage: m.salvage}, InProcess: m.inProcess, MemoryLimit: int64(m.memoryLimit),
	}
	v.job.Sides, err = readSides(m.cachefile, &v.job.Header.Settings.Changes, &v.job.Header.Changed)
	return err
}

// join makes v the same study as another board's that was begun.
func (v *visit) join(begun *visit, path string) {
	h := begun.job.Header
	v.path = path
	v.job.Sources, v.job.Sides = begun.job.Sources, begun.job.Sides
	v.job.Header = trial.Header{
		Version: h.Version, Command: h.Command, Started: time.Now().UTC(), Settings: h.Settings, Plan: h.Plan,
		Reading: h.Reading, InProcess: h.InProcess, StageFiles: h.StageFiles, Changed: h.Changed,
	}
	v.a.note("%snot begun yet: begins as %s did", v.prefix(), begun.name)
}

// tidy removes a folder that was made for results that never came.
func (v *visit) tidy() {
	if v.made && v.folder == nil {
		os.Remove(v.path) // if it is empty
	}
}

// again is the command that goes on with a study.
func (a *app) again(command, folder string) string {
	return fmt.Sprintf("%s %s%s --resume %s", a.Name, a.via, command, folder)
}

// folderOf is where results of a place are: the folder that the user named or, of several places, one below it.
func folderOf(path string, places []place, p place) string {
	if len(places) > 1 {
		return filepath.Join(path, fileName(p.name))
	}
	return path
}

// fileName makes the name of a host one of a file.
func fileName(host string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' {
			return '_'
		}
		return r
	}, host)
}

func sources(args []string) (list []source) {
	for _, arg := range args {
		list = append(list, source{Name: arg, File: arg})
	}
	return list
}

// before finds what can be found wrong before anything is read or copied.
func (m *measureFlags) before(v *visit, condition *analysis.Condition) error {
	s := &trial.Study{Engines: v.a.Engines, Stages: v.a.Stages, Header: v.job.Header}
	if err := s.Check(); err != nil {
		return usageError{err}
	}
	v.job.Header = s.Header
	if condition != nil {
		if _, err := condition.Check(analysis.PlannedMeasures(s.Header)); err != nil {
			return usagef("--fail-if: %w", err)
		}
	}
	if v.path == "" || v.folder != nil {
		return nil
	}
	_, err := os.Lstat(v.path)
	v.made = errors.Is(err, fs.ErrNotExist)
	return report.Check(v.path)
}

// open takes a study up again: all that decides its results comes from its folder.
func (m *measureFlags) open(c *cobra.Command, v *visit, path string, args []string) error {
	if err := v.a.notShard(path); err != nil {
		return err
	}
	if err := onlyResume(c, path); err != nil {
		return err
	}
	return m.reopen(c, v, path, args)
}

// reopen is open for a study whose settings are known to be those of the flags.
func (m *measureFlags) reopen(c *cobra.Command, v *visit, path string, args []string) error {
	header, err := report.ReadHeader(path) // Resume changes what is in the folder
	if err != nil {
		return err
	}
	if header.Command != c.Name() {
		return usagef("%s holds a %s: go on with '%s'", path, header.Command, v.a.again(header.Command, m.resume))
	}
	if header.Version != version() {
		return fmt.Errorf("%s was begun by pcaplab %s; this is pcaplab %s: results of the two must not be pooled; start into a new folder",
			path, header.Version, version())
	}
	folder, header, done, err := report.Resume(path)
	if err != nil {
		return err
	}
	v.folder, v.path = folder, path
	v.job.Header, v.job.Done = header, done
	if len(args) == 0 {
		for _, c := range header.Captures {
			switch {
			case c.Path != "":
				args = append(args, c.Path)
			case c.Name == "standard input" || c.Name == stdin:
				return usagef("the study was of standard input: give it again, as '%s - < FILE'", v.a.again(header.Command, m.resume))
			default:
				args = append(args, c.Name)
			}
		}
	}
	v.job.Sources = sources(args)
	if err := m.check(args); err != nil {
		return err
	}
	return m.reopenSides(v)
}

// reopenSides reads the cache file of a study that goes on, where it was or where the user says that it is.
func (m *measureFlags) reopenSides(v *visit) (err error) {
	h := &v.job.Header
	path := m.cachefile
	switch was := h.Cachefile; {
	case was == nil && path != "":
		return usagef("--cachefile: the study in %s has none", v.path)
	case was != nil && path == "":
		path = was.Path
	}
	v.job.Sides, err = readSides(path, &h.Settings.Changes, &h.Changed)
	return err
}

// failIfVar defines --fail-if. An empty one is refused: a script's variable that is not set would be a gate that is always open.
func failIfVar(fs *pflag.FlagSet, text *string, usage string) {
	fs.Var((*conditionText)(text), "fail-if", usage)
}

// conditionText is the value of --fail-if.
type conditionText string

func (t *conditionText) String() string { return string(*t) }
func (t *conditionText) Type() string   { return "condition" }

func (t *conditionText) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty: want a condition, or leave --fail-if out")
	}
	*t = conditionText(text)
	return nil
}

func (m *measureFlags) condition() (*analysis.Condition, error) { return studyCondition(m.failIf) }

// studyCondition reads a condition on the measures of a study; "" is none.
func studyCondition(text string) (*analysis.Condition, error) {
	if text == "" {
		return nil, nil
	}
	c, err := analysis.ParseCondition(text)
	if err != nil {
		return nil, usagef("--fail-if: %w", err)
	}
	for _, l := range c.Limits() {
		if strings.HasSuffix(strings.TrimSpace(l.Comparison), "%") && l.Metric != "loss" && l.Metric != "soak" {
			return nil, usagef("--fail-if %s: only loss and soak are shares; %s is a number of its unit (a change in percent is for 'compare')", l.Comparison, l.Metric)
		}
	}
	return &c, nil
}

// show prints and stores results, of interrupted studies too.
func (m *measureFlags) show(a *app, visits []*visit, condition *analysis.Condition) error {
	var boards []report.Board
	var failed error // to write; what was measured is printed all the same
	for _, v := range visits {
		if !slices.ContainsFunc(v.records, func(r trial.Record) bool { return r.Kind == trial.KindService }) {
			continue
		}
		results := analysis.Analyze(v.job.Header, v.records)
		boards = append(boards, report.Board{Name: v.name, Results: results})
		if v.folder != nil && v.ready { // else it stays as it was
			if err := finish(v.folder, results); err != nil {
				failed = errors.Join(failed, v.named(fmt.Errorf("%w; what was measured until then is in %s, and '%s' goes on with it", err,
					v.path, a.again(v.job.Header.Command, cmp.Or(m.resume, m.output)))))
			} else {
				a.note("%sresults in %s", v.prefix(), v.folder.Path())
			}
		}
		if m.json {
			w := a.stdout
			if len(visits) > 1 {
				w = tagged(w, v.name)
			}
			if err := m.lines(w, v, results); err != nil {
				return err
			}
		}
	}
	switch {
	case m.json || len(boards) == 0:
	case len(visits) == 1:
		if err := report.WriteText(a.stdout, boards[0].Results); err != nil {
			return err
		}
	default:
		if err := report.WriteBoards(a.stdout, boards); err != nil {
			return err
		}
	}
	if condition == nil {
		return failed
	}
	missed := false
	for _, b := range boards {
		p := place{name: b.Name}
		matches, err := condition.Check(b.Results.Measures())
		if err != nil {
			return p.named(fmt.Errorf("--fail-if: %w", err))
		}
		for _, match := range matches {
			a.note("%s%v", p.prefix(), match)
			missed = true
		}
	}
	if missed {
		failed = errors.Join(failed, errMissed)
	}
	return failed
}

// lines prints results as JSON lines.
func (m *measureFlags) lines(w io.Writer, v *visit, results *analysis.Results) error {
	if !m.whole {
		return report.WriteJSON(w, results)
	}
	e := json.NewEncoder(w)
	for i := range v.records {
		if err := e.Encode(&v.records[i]); err != nil {
			return err
		}
	}
	return nil
}

// tagged returns a writer of JSON objects, one a line and each in one Write, that says in each which host it is of.
func tagged(w io.Writer, host string) io.Writer {
	name, _ := json.Marshal(host)
	return tagger{w, append(append([]byte(`{"host":`), name...), ',')}
}

type tagger struct {
	w    io.Writer
	head []byte
}

func (t tagger) Write(line []byte) (int, error) {
	if len(line) == 0 || line[0] != '{' {
		return t.w.Write(line)
	}
	if _, err := t.w.Write(slices.Concat(t.head, line[1:])); err != nil {
		return 0, err
	}
	return len(line), nil
}

// captureNames names the captures of a study, of many the first.
func captureNames(h *trial.Header) string {
	var names []string
	for _, c := range h.Captures {
		names = append(names, c.Name)
	}
	if len(names) > 3 {
		names = append(names[:2], fmt.Sprintf("%d more", len(names)-2))
	}
	return strings.Join(names, ", ")
}

// describe says before the start what will be done and how long it takes; cells 0: all of the plan.
func describe(r *ready, cells int) string {
	h := &r.Header
	p := &h.Plan
	if cells == 0 {
		cells = len(p.Cells())
	}
	length := fmt.Sprintf("trials of %v", p.Trial)
	if n := h.Settings.Passes; n > 0 {
		length = fmt.Sprintf("trials of %d passes", n)
	}
	if p.Soak > 0 {
		length += fmt.Sprintf(", each a soak of %v", p.Soak)
	}
	about := ""
	if r.Expected > 0 {
		about = fmt.Sprintf("; about %v", r.Expected.Round(time.Second))
	}
	return fmt.Sprintf("%s: %d packets, %s; %d cells x %d repeats, %s, clock %s, queue %s%s",
		captureNames(h), r.Frames, report.FormatOctets(float64(r.Octets)),
		cells, p.Repeats, length, h.Settings.Clock, h.Settings.Queue, about)
}
