package extract

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pcaplab/datasets/flock"
	"pcaplab/parse/feature/vectorio"
)

// output is where vectors go.
type output interface {
	io.Writer
	spill() (*os.File, error) // a new temporary file
	keep(checkpoint) error    // a later run can go on here
}

// stream is an output that cannot be resumed.
type stream struct{ w io.Writer }

func (s *stream) Write(p []byte) (int, error) { return s.w.Write(p) }
func (s *stream) spill() (*os.File, error)    { return spillIn("", "pcaplab-features-*") }
func (s *stream) keep(checkpoint) error       { return nil }

// spillIn makes a temporary file that is gone when it is closed, or when the process is killed, where the system can do that.
func spillIn(dir, pattern string) (*os.File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err == nil {
		_ = os.Remove(f.Name())
	}
	return f, err
}

// checkpoint is what a later run must know to go on.
type checkpoint struct {
	Job      string          `json:"job"`     // digest of settings and captures
	Octets   int64           `json:"octets"`  // of the unfinished file that count
	Lengths  []int64         `json:"lengths"` // of row groups in it
	Position position        `json:"position"`
	Done     []SourceSummary `json:"done"` // of the sources before
}

// ErrBusy says that another run writes the same file.
var ErrBusy = errors.New("another run is writing it")

// ErrNoResume says that what an earlier run left is of another job. It stays.
var ErrNoResume = errors.New("what is unfinished there is another job's")

// ErrResumable says that a run which was interrupted can be resumed where it was.
var ErrResumable = errors.New("it can be resumed")

// file is an output that appears whole or not at all. Until then there are two hidden files beside it: what is written,
// and the checkpoint.
type file struct {
	*os.File
	target, partial, record string
	job                     string
	foreign                 bool // what is unfinished is another job's
}

func (f *file) spill() (*os.File, error) {
	dir, base := filepath.Split(f.target)
	return spillIn(dir, "."+base+".spill-*")
}

func (f *file) keep(c checkpoint) error {
	if err := f.Sync(); err != nil {
		return err
	}
	c.Job = f.job
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	next := f.record + ".new"
	if err := os.WriteFile(next, text, 0o666); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(next)))
	}
	return os.Rename(next, f.record)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// remove takes away all but the target.
func (f *file) remove() {
	defer f.Close() // the lock is held until all is gone
	for _, name := range []string{f.partial, f.record, f.record + ".new"} {
		_ = os.Remove(name)
	}
	spills, _ := filepath.Glob(filepath.Join(filepath.Dir(f.target), globEscape("."+filepath.Base(f.target)+".spill-")+"*"))
	for _, name := range spills {
		_ = os.Remove(name)
	}
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func globEscape(s string) string { return globEscaper.Replace(s) }

// File writes the vectors of all sources in order to the file at path, which appears whole or not at all. A run that is
// killed or interrupted leaves hidden files beside it, with which a run of the same job goes on if Config.Resume is set,
// and which any other run to the same path replaces. After any other error nothing is left, and what was at path stays; so it is where
// a source is no capture. The error is a *FaultError where captures were damaged and all else was written.
func File(ctx context.Context, path string, cfg Config, sources []Source) (*Summary, error) {
	if err := cfg.check(sources); err != nil {
		return nil, err
	}
	f, err := targetOf(path, sources)
	if err != nil {
		return nil, err
	}
	if err := checkName(path, cfg.Format); err != nil {
		return nil, err
	}
	if err := look(&cfg, sources); err != nil {
		return nil, err
	}
	if f.job, err = digest(&cfg, sources); err != nil {
		return nil, err
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	j := newJob(cfg, sources, f)
	summary, err := f.fill(ctx, j)
	fault := new(FaultError)
	switch {
	case err != nil && !errors.As(err, &fault):
		j.dropSpills()
		if ctx.Err() != nil || f.foreign || j.order.begin != (position{}) { // what there is can be resumed
			return nil, errors.Join(err, f.Close())
		}
		f.remove()
		return nil, err
	}
	if failed := f.publish(); failed != nil {
		f.remove()
		return nil, failed
	}
	return summary, err
}

// compressors are programs that make files with such names, which are compressed.
var compressors = map[string]string{".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bzip2", ".xz": "xz", ".lz4": "lz4"}

// foreign are endings of files that are neither CSV nor Parquet, whose readers would not take what is written.
var foreign = []string{".tsv", ".json", ".jsonl", ".ndjson", ".xls", ".xlsx", ".feather", ".arrow", ".orc", ".avro", ".npy", ".npz", ".pkl", ".h5", ".hdf5", ".arff",
	".zip", ".7z", ".pcap", ".pcapng", ".cap"}

// checkName refuses a name that says something else than will be written.
func checkName(path, format string) error {
	end := strings.ToLower(filepath.Ext(path))
	switch program, compressed := compressors[end]; {
	case compressed:
		return &ConfigError{fmt.Errorf("%s: what is written is not compressed: name it without %s, or compress it: -o - | %s > %s", path, filepath.Ext(path), program, path)}
	case format != Parquet && slices.Contains([]string{".pq", ".parq"}, end):
		return &ConfigError{fmt.Errorf("%s: by that ending it would be Parquet, but is %s: name it .parquet, which is Parquet, or .csv", path, format)}
	case slices.Contains(foreign, end):
		return &ConfigError{fmt.Errorf("%s: what is written is CSV or Parquet: name it .csv or .parquet", path)}
	}
	return nil
}

// targetOf returns the output at path, which must be none of the sources and of their tables.
func targetOf(path string, sources []Source) (*file, error) {
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = path
	case err != nil:
		return nil, err
	}
	if info, err := os.Lstat(target); err == nil && !info.Mode().IsRegular() {
		return nil, &ConfigError{fmt.Errorf("%s: not a regular file; name a file, or - for standard output", path)}
	}
	dir, base := filepath.Split(target)
	out, there := os.Stat(target)
	is := func(input string) bool {
		in, err := os.Stat(input)
		return err == nil && there == nil && os.SameFile(in, out)
	}
	for _, s := range sources {
		switch {
		case s.Open == nil && is(s.Path):
			return nil, &ConfigError{fmt.Errorf("%s is a capture to read: write to another file", path)}
		case is(s.Truth):
			return nil, &ConfigError{fmt.Errorf("%s is the truth of %s, to read: write to another file", path, s.Path)}
		}
	}
	f := &file{target: target, partial: dir + "." + base + ".partial", record: dir + "." + base + ".resume"}
	if info, err := os.Stat(filepath.Dir(target)); err != nil || !info.IsDir() || base == "" {
		return nil, &ConfigError{fmt.Errorf("%q: want a file in a folder that is there", path)}
	}
	return f, nil
}

// open opens the unfinished file and locks it.
func (f *file) open() (err error) {
	f.File, err = flock.Open(f.partial)
	if errors.Is(err, flock.ErrHeld) {
		return ErrBusy
	}
	return err
}

// fill runs the job, from its start or from the checkpoint.
func (f *file) fill(ctx context.Context, j *job) (*Summary, error) {
	var c checkpoint
	if j.cfg.Resume {
		var err error
		if c, err = f.resumable(j); err != nil {
			return nil, err
		}
	}
	if err := f.Truncate(c.Octets); err != nil {
		return nil, err
	}
	if _, err := f.Seek(c.Octets, io.SeekStart); err != nil {
		return nil, err
	}
	j.order.octets, j.order.good = c.Octets, c
	for i, s := range c.Done {
		j.sources[i].summary = s
		j.done.Add(s.StoredOctets)
		j.order.parts[i].ended = true
	}
	if c.Octets == 0 {
		_ = os.Remove(f.record)
	}
	summary, err := j.run(ctx, c.Position)
	if summary != nil {
		summary.Resumed = c.Octets > 0
	}
	return summary, err
}

// resumable reads the checkpoint, checks that it is of this job, and takes over the row groups. Without a checkpoint the
// run begins anew.
func (f *file) resumable(j *job) (c checkpoint, err error) {
	text, err := os.ReadFile(f.record)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	} else if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return checkpoint{}, nil // cut by a power failure
	}
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	if c.Job != f.job {
		f.foreign = true
		return c, fmt.Errorf("%s: %w (%s): its settings, captures or version were others; without resuming it is begun anew", f.target, ErrNoResume, f.partial)
	}
	if info.Size() < c.Octets || c.Position.Source >= len(j.sources) || len(c.Done) != c.Position.Source {
		return checkpoint{}, nil
	}
	if err := j.order.index.Restore(f.File, c.Lengths); err != nil {
		return c, fmt.Errorf("%s: read back: %w", f.partial, err)
	}
	j.order.lengths = c.Lengths
	return c, nil
}

// publish gives the file its name.
func (f *file) publish() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.partial, f.target); err != nil {
		return err
	}
	_ = os.Remove(f.record)
	err := f.Close()
	// Syncing a folder keeps the new name over a power cut. File systems that cannot do it have no better to offer.
	if dir, err := os.Open(filepath.Dir(f.target)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return err
}

// digest names a job: the settings, and each capture's path, size and time.
func digest(cfg *Config, sources []Source) (string, error) {
	sum := sha256.New()
	attackers := ""
	if cfg.Attackers != nil {
		attackers = cfg.Attackers.Digest()
	}
	text, err := json.Marshal(struct {
		*Config
		Sources   []Source
		Attackers string
	}{cfg, sources, attackers})
	if err != nil {
		return "", err
	}
	sum.Write(text)
	add := func(path string) {
		if info, err := os.Stat(path); err == nil {
			full, _ := filepath.Abs(path)
			sum.Write([]byte(full + " " + strconv.FormatInt(info.Size(), 10) + " " + strconv.FormatInt(info.ModTime().UnixNano(), 10) + "\n"))
		}
	}
	for _, s := range sources {
		if s.Open == nil {
			add(s.Path)
		}
		if s.Truth != "" {
			add(s.Truth)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// metadata is what a Parquet file says of itself.
func (s *Summary) metadata() ([]vectorio.KeyValue, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return []vectorio.KeyValue{{Key: "pcaplab", Value: string(text)}, {Key: "pcaplab.version", Value: s.Version}}, nil
}
