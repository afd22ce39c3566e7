package shard

import (
	"bytes"
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
	"sort"
	"strings"
	"syscall"
)

// maxRecord is the largest record that is read, in octets.
const maxRecord = 64 << 20

// Shard is a shard that was found.
type Shard struct {
	Dir string // its folder
	Record
}

// recordError says that a folder has no record that can be taken.
type recordError struct {
	Dir string
	Err error
}

func (e *recordError) Error() string { return filepath.Join(e.Dir, RecordName) + ": " + e.Err.Error() }
func (e *recordError) Unwrap() error { return e.Err }

// readShard reads the record in a folder.
func readShard(dir string) (*Shard, error) { return new(recordReader).read(dir) }

// recordReader reads records, of which those of one job have most in common: that is decoded and kept once.
type recordReader struct {
	buf   []byte
	known []*knownJob // a few, the one that was used last first
}

// knownJob is what a record has of its job: as it is written, and decoded.
type knownJob struct {
	shards, job []byte
	ids         []string
	Job
	id string
}

const maxKnown = 16

func (r *recordReader) read(dir string) (*Shard, error) {
	name := filepath.Join(dir, RecordName)
	info, err := os.Stat(name) // before it is opened: that of a pipe does not end
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, &recordError{dir, errors.New("not a folder")}
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxRecord:
		return nil, &recordError{dir, fmt.Errorf("want a file of at most %d octets", maxRecord)}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := bytes.NewBuffer(r.buf[:0])
	_, err = b.ReadFrom(io.LimitReader(f, maxRecord))
	if r.buf = b.Bytes(); err != nil {
		return nil, err
	}
	record, err := r.parse(r.buf)
	if err != nil {
		return nil, &recordError{dir, err}
	}
	return &Shard{dir, *record}, nil
}

// parse is ParseRecord for text that is used again.
func (r *recordReader) parse(text []byte) (*Record, error) {
	for i, k := range r.known {
		// Most records differ in a few lines only. What stands for the rest is looked for where Write puts it.
		head, rest, ok := bytes.Cut(text, k.shards)
		if !ok || !bytes.HasSuffix(rest, k.job) {
			continue
		}
		var raw rawRecord
		short := slices.Concat(head, []byte("0"), rest[:len(rest)-len(k.job)], []byte("0}"))
		if json.Unmarshal(short, &raw) == nil && string(raw.Shards) == "0" && string(raw.Job) == "0" {
			copy(r.known[1:], r.known[:i])
			r.known[0] = k
			record := &raw.Record
			record.Shards, record.Job = k.ids, k.Job
			return record, record.check(k.id)
		}
	}
	var raw rawRecord
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("not a record of a shard: %w", err)
	}
	record := &raw.Record
	if record.Version != RecordVersion {
		return nil, fmt.Errorf("shard version %d: this program reads version %d", record.Version, RecordVersion)
	}
	if err := errors.Join(json.Unmarshal(raw.Shards, &record.Shards), json.Unmarshal(raw.Job, &record.Job)); err != nil {
		return nil, fmt.Errorf("not a record of a shard: %w", err)
	}
	if err := record.Job.check(); err != nil {
		return nil, err
	}
	k := &knownJob{ids: record.Job.IDs(), Job: record.Job, id: record.Job.ID()}
	if err := record.check(k.id); err != nil {
		return nil, err
	}
	if !slices.Equal(record.Shards, k.ids) {
		return nil, errors.New("its ids are not those of what stands in it: it was changed")
	}
	for _, other := range r.known {
		if other.id == k.id { // it says the same in other words, such as names
			k.Parameters, k.Ranges, k.ids = other.Parameters, other.Ranges, other.ids
			if slices.Equal(k.Inputs, other.Inputs) {
				k.Inputs = other.Inputs
			}
			break
		}
	}
	record.Shards, record.Job = k.ids, k.Job
	tail := text[max(0, bytes.LastIndex(text, raw.Job)):]
	if bytes.HasPrefix(tail, raw.Job) && string(bytes.TrimSpace(tail[len(raw.Job):])) == "}" {
		k.shards, k.job = bytes.Clone(raw.Shards), bytes.Clone(tail)
		r.known = slices.Insert(r.known, 0, k)
		r.known = r.known[:min(len(r.known), maxKnown)]
	}
	return record, nil
}

// CorruptError says that a file of a shard is not what its record says.
type CorruptError struct {
	Shard *Shard
	File  string // from the shard's folder, with slashes
	Why   string
}

// Error names file, shard and what to do: Write replaces what is damaged, in the folder that it writes to.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %s: shard %v is damaged: if it is a copy, remove %s and copy it again; else make it again, which replaces it%s",
		filepath.Join(e.Shard.Dir, filepath.FromSlash(e.File)), e.Why, e.Shard.Part(), e.Shard.Dir, e.Shard.Job.how(e.Shard.Index))
}

// how is the end of a message that says how a shard is made.
func (j *Job) how(i int) string {
	if c := j.Command(i); c != "" {
		return ": " + c
	}
	return fmt.Sprintf(": the same command with --shard %v", Part{i, j.Count()})
}

// Open opens a payload file for reading. Only files of the record are opened, and none that a link leads out of the folder to.
func (s *Shard) Open(name string) (*os.File, error) {
	i := slices.IndexFunc(s.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return nil, &CorruptError{s, name, "its record has no such file"}
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := s.present(root, &s.Files[i]); err != nil { // before it is opened: that of a pipe does not end
		return nil, err
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil && !unreadable(err) {
		err = &CorruptError{s, name, err.Error()}
	}
	return f, err
}

// Present looks whether every payload file is there, with the size that the record says, and reads none. The error is a *CorruptError for the
// first that is not.
func (s *Shard) Present() error {
	if len(s.Files) == 0 {
		return nil
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for i := range s.Files {
		if err := s.present(root, &s.Files[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shard) present(root *os.Root, file *File) error {
	path := filepath.FromSlash(file.Name)
	info, err := root.Stat(path)
	switch {
	case unreadable(err):
		return fmt.Errorf("%s: %w", filepath.Join(s.Dir, path), err)
	case err != nil:
		return &CorruptError{s, file.Name, err.Error()}
	case !info.Mode().IsRegular():
		return &CorruptError{s, file.Name, "is no regular file"}
	case info.Size() != file.Octets:
		return &CorruptError{s, file.Name, fmt.Sprintf("has %d octets, its record says %d", info.Size(), file.Octets)}
	}
	return nil
}

// unreadable reports whether an error is the system's and says nothing of what a file is: such as of rights, or of a disk that fails.
func unreadable(err error) bool {
	return errors.As(err, new(syscall.Errno)) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.ELOOP)
}

// Read returns all of a payload file, compared with its record.
func (s *Shard) Read(name string) ([]byte, error) {
	f, err := s.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return text, s.compare(name, hex.EncodeToString(sum[:]))
}

func (s *Shard) compare(name, sum string) error {
	for _, f := range s.Files {
		if f.Name == name && f.SHA256 != sum {
			return &CorruptError{s, name, fmt.Sprintf("its SHA-256 is %.16s, its record says %.16s", sum, f.SHA256)}
		}
	}
	return nil
}

// Verify reads every payload file and compares it with the record. The error is a *CorruptError for the first that differs.
func (s *Shard) Verify() error {
	for _, file := range s.Files {
		f, err := s.Open(file.Name)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := s.compare(file.Name, hex.EncodeToString(sum.Sum(nil))); err != nil {
			return err
		}
	}
	return nil
}

// Set is the shards of some folders, whatever jobs they are of.
type Set struct {
	Shards []*Shard // by job, index and folder
	Faults []error  // of folders with a record that cannot be taken, or that are named as shards and cannot be read
	Notes  []string // what was passed by that may hold shards, and why: other folders that cannot be read, links to folders with a record
}

// Read finds the shards in folders and below: each may be a shard, a folder of shards, or a folder of such folders, as copied from
// several machines. Hidden folders, where killed runs leave what they had, are passed by, and links below the folders. Payloads are
// not read. What the shards of a job have in common is kept once. An error is of a folder that was named.
func Read(dirs ...string) (*Set, error) {
	set := new(Set)
	var reader recordReader
	var seen []os.FileInfo
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s: not a folder: name the folder of the shards", dir)
		}
		root := dir
		if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			root += string(filepath.Separator) // what a link leads to
		}
		err = filepath.WalkDir(root, func(full string, d fs.DirEntry, err error) error {
			unread := func(err error) error {
				switch {
				case errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
				case full == root:
					return err
				case isSum(d.Name()):
					set.Faults = append(set.Faults, err)
				default:
					set.Notes = append(set.Notes, fmt.Sprintf("passed by: %v", err))
				}
				return fs.SkipDir
			}
			if err != nil {
				return unread(err)
			}
			if full != root && strings.HasPrefix(d.Name(), ".") {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if !d.IsDir() {
				if d.Type()&fs.ModeSymlink != 0 {
					if _, err := os.Stat(filepath.Join(full, RecordName)); err == nil {
						set.Notes = append(set.Notes, full+": a link to a shard is passed by: name what it leads to")
					}
				}
				return nil
			}
			if strings.Count(strings.TrimPrefix(full, dir), string(filepath.Separator)) > 4 {
				return fs.SkipDir
			}
			if _, err := os.Lstat(filepath.Join(full, RecordName)); errors.Is(err, fs.ErrNotExist) {
				return nil
			} else if err != nil {
				return unread(err)
			}
			info, err := os.Stat(full)
			if err != nil {
				return unread(err)
			}
			if slices.ContainsFunc(seen, func(s os.FileInfo) bool { return os.SameFile(s, info) }) {
				return fs.SkipDir // named twice
			}
			seen = append(seen, info)
			if s, err := reader.read(full); err == nil {
				set.Shards = append(set.Shards, s)
			} else if !errors.Is(err, fs.ErrNotExist) {
				set.Faults = append(set.Faults, err)
			}
			return fs.SkipDir
		})
		if err != nil {
			return nil, err
		}
	}
	sort.SliceStable(set.Shards, func(a, b int) bool {
		x, y := set.Shards[a], set.Shards[b]
		if x.JobID != y.JobID {
			return x.JobID < y.JobID
		}
		if x.Index != y.Index {
			return x.Index < y.Index
		}
		return x.Dir < y.Dir
	})
	return set, nil
}

// Main returns the job that most of the shards are of, nil without shards. All others are foreign.
func (s *Set) Main() *Job {
	count := make(map[string]int)
	var most *Shard
	for _, x := range s.Shards {
		count[x.JobID]++
		if most == nil || count[x.JobID] > count[most.JobID] {
			most = x
		}
	}
	if most == nil {
		return nil
	}
	return &most.Job
}

// Of returns the shards of a job by index from 1, nil where there is none. Element 0 is not used. Of those that are there several times it
// takes the first that is whole, for which it reads their payloads; the first where none is.
func (s *Set) Of(j *Job) []*Shard {
	id, list := j.ID(), s.first(j)
	several := make([]bool, len(list))
	for _, x := range s.Shards {
		if x.JobID == id && x != list[x.Index] {
			several[x.Index] = true
		}
	}
	for i := range list {
		if !several[i] || list[i].Verify() == nil {
			continue
		}
		for _, x := range s.Shards {
			if x.JobID == id && x.Index == i && x != list[i] && x.Verify() == nil {
				list[i] = x
				break
			}
		}
	}
	return list
}

// first is Of without a look at payloads.
func (s *Set) first(j *Job) []*Shard {
	id, list := j.ID(), make([]*Shard, j.Count()+1)
	for _, x := range s.Shards {
		if x.JobID == id && list[x.Index] == nil {
			list[x.Index] = x
		}
	}
	return list
}

// IncompleteError says why a set of shards is not a whole job.
type IncompleteError struct {
	Job     *Job        // that most shards are of; nil if there are none
	Missing []int       // indices, from 1
	Doubled [][2]*Shard // the same index twice, with other content
	Foreign []*Shard    // of other jobs
	Faults  []error     // records that cannot be taken
}

// Error says it line by line, at most a few of each.
func (e *IncompleteError) Error() string {
	var lines []string
	add := func(n, shown int, line func(i int) string) {
		for i := range min(n, shown) {
			lines = append(lines, line(i))
		}
		if n > shown {
			lines = append(lines, fmt.Sprintf("and %d more", n-shown))
		}
	}
	if e.Job == nil && len(e.Faults) == 0 {
		return "no shards: a shard is a folder with a file " + RecordName
	}
	add(len(e.Missing), 10, func(i int) string {
		index := e.Missing[i]
		return fmt.Sprintf("shard %v is missing (%s): make it%s", Part{index, e.Job.Count()}, e.Job.ShardID(index), e.Job.how(index))
	})
	add(len(e.Doubled), 5, func(i int) string {
		d := e.Doubled[i]
		return fmt.Sprintf("shard %v is there twice, with other content: %s and %s: remove one", d[0].Part(), d[0].Dir, d[1].Dir)
	})
	add(len(e.Foreign), 5, func(i int) string {
		f := e.Foreign[i]
		return fmt.Sprintf("%s is shard %v of another job: %s", f.Dir, f.Part(), strings.Join(Differences(e.Job, &f.Job), "; "))
	})
	add(len(e.Faults), 5, func(i int) string { return e.Faults[i].Error() })
	return strings.Join(lines, "\n")
}

// Unwrap returns the faults.
func (e *IncompleteError) Unwrap() []error { return e.Faults }

// Complete returns nil if the set is all shards of one job, else an *IncompleteError. A shard that is there twice with the same content is
// harmless. Payloads are not read: Shard.Verify, Shard.Read and who joins them do that.
func (s *Set) Complete() error {
	e := &IncompleteError{Job: s.Main(), Faults: s.Faults}
	if e.Job == nil {
		return e
	}
	id, list := e.Job.ID(), s.first(e.Job)
	for _, x := range s.Shards {
		switch {
		case x.JobID != id:
			e.Foreign = append(e.Foreign, x)
		case x != list[x.Index] && !slices.Equal(x.Files, list[x.Index].Files):
			e.Doubled = append(e.Doubled, [2]*Shard{list[x.Index], x})
		}
	}
	for i := 1; i < len(list); i++ {
		if list[i] == nil {
			e.Missing = append(e.Missing, i)
		}
	}
	if len(e.Missing)+len(e.Doubled)+len(e.Foreign)+len(e.Faults) == 0 {
		return nil
	}
	return e
}

// Differences says in what b is another job than a, in a few lines: kind, schema, number of shards, parameters by their names, inputs, ranges.
func Differences(a, b *Job) []string {
	var list []string
	differ := func(what string, x, y any) { list = append(list, fmt.Sprintf("%s is %v, not %v", what, y, x)) }
	if a.Kind != b.Kind {
		differ("kind", a.Kind, b.Kind)
		return list
	}
	if a.Schema != b.Schema {
		differ("schema", a.Schema, b.Schema)
	}
	if a.Count() != b.Count() {
		differ("the number of shards", a.Count(), b.Count())
	}
	var x, y any
	if json.Unmarshal(a.Parameters, &x) == nil && json.Unmarshal(b.Parameters, &y) == nil {
		compareJSON("", x, y, func(what string, x, y any) {
			if len(list) < 8 {
				differ(what, clipped(x), clipped(y))
			}
		})
	}
	switch {
	case len(a.Inputs) != len(b.Inputs):
		differ("the number of inputs", len(a.Inputs), len(b.Inputs))
	default:
		for i := range a.Inputs {
			if a.Inputs[i].SHA256 != b.Inputs[i].SHA256 && len(list) < 8 {
				differ(fmt.Sprintf("the SHA-256 of input %d, %s,", i+1, b.Inputs[i].Name), a.Inputs[i].SHA256[:16], b.Inputs[i].SHA256[:16])
			}
		}
	}
	if len(list) == 0 && !slices.Equal(a.Ranges, b.Ranges) {
		list = append(list, "the same parameters and inputs are cut at other places: another manifest, or another version of the program")
	}
	return list
}

func clipped(v any) string {
	text, err := json.Marshal(v)
	if err != nil || len(text) > 100 {
		return string(text[:min(len(text), 100)]) + "..."
	}
	return string(text)
}

// compareJSON calls differ for each value that is not the same in both.
func compareJSON(at string, x, y any, differ func(what string, x, y any)) {
	if mx, ok := x.(map[string]any); ok {
		if my, ok := y.(map[string]any); ok {
			names := make(map[string]bool)
			for name := range mx {
				names[name] = true
			}
			for name := range my {
				names[name] = true
			}
			sorted := make([]string, 0, len(names))
			for name := range names {
				sorted = append(sorted, name)
			}
			sort.Strings(sorted)
			for _, name := range sorted {
				compareJSON(strings.TrimPrefix(at+"."+name, "."), mx[name], my[name], differ)
			}
			return
		}
	}
	if lx, ok := x.([]any); ok {
		if ly, ok := y.([]any); ok && len(lx) == len(ly) {
			for i := range lx {
				compareJSON(fmt.Sprintf("%s[%d]", at, i), lx[i], ly[i], differ)
			}
			return
		}
	}
	if xt, yt := clippedWhole(x), clippedWhole(y); xt != yt {
		differ(at, x, y)
	}
}

func clippedWhole(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
