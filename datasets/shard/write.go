package shard

import (
	"crypto/rand"
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
	"strings"
	"time"

	"pcaplab/datasets/flock"
)

// ErrOther says that another process made the same shard first, with other content. Its shard stays. Where payloads are measured this is
// to be expected; where they are computed, one of the two is wrong.
var ErrOther = errors.New("another process made this shard first, with other content, which stays")

// Write makes shard i, from 1, of a job in the folder dir, made if it is not there. fill puts the payload, files and folders of files, into
// the folder that it is given; that gets its name, dir/<id>, when it is whole and on disk. existed says that a whole shard was there
// before, all its sums right, and fill was not called; or that another process was faster with the same content (ErrOther: with other). A shard
// that is there but damaged is made again and replaced; one that cannot be read for another reason is an error. After any error nothing is
// left under the id that was not there.
//
// Meanwhile there are a hidden folder dir/.<id>-*.tmp and a lock beside it, and while the folder gets its name dir/.<id>.lock, by which
// processes that find one damaged shard replace it once. Machines that do not see each other's locks must not replace the same damaged shard
// at one time. What killed runs left of this shard is removed, and of live runs nothing: see sweep.
func Write(dir string, j *Job, i int, fill func(tmp string) error) (path string, existed bool, err error) {
	if err := j.check(); err != nil {
		return "", false, fmt.Errorf("shard: %w", err)
	}
	if i < 1 || i > j.Count() {
		return "", false, fmt.Errorf("shard %d of %d", i, j.Count())
	}
	id := j.ShardID(i)
	path = filepath.Join(dir, id)
	failed := func(err error) (string, bool, error) {
		left := "nothing is left of it there"
		if _, there := os.Lstat(path); !errors.Is(there, fs.ErrNotExist) {
			left = "what is there under its id was not touched"
		}
		return "", false, fmt.Errorf("shard %v in %s: %w; %s", Part{i, j.Count()}, dir, err, left)
	}
	if err := makeDir(dir); err != nil {
		return failed(err)
	}
	sweep(dir, id)
	if there, err := examine(path, id); there != nil {
		return path, true, nil
	} else if err != nil && !isDamage(err) {
		return failed(err)
	}
	tmp, lock, err := reserve(dir, id)
	if err != nil {
		return failed(err)
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(tmp))
		release(lock)
	}()
	if err := fill(tmp); err != nil {
		return failed(err)
	}
	r := &Record{Version: RecordVersion, ID: id, JobID: j.ID(), Index: i, Count: j.Count(), Shards: j.IDs(), Job: *j}
	if r.Files, err = seal(tmp); err != nil {
		return failed(err)
	}
	text, err := r.encode()
	if err != nil {
		return failed(err)
	}
	if err := writeSynced(filepath.Join(tmp, RecordName), text); err != nil {
		return failed(err)
	}
	syncDir(tmp)
	existed, err = publish(tmp, path, r)
	if err != nil && !errors.Is(err, ErrOther) {
		return failed(err)
	}
	syncDir(dir)
	return path, existed, err
}

// publish gives a whole shard its name, unless another process was faster. All that takes a name away or gives it is done under one lock.
func publish(tmp, path string, r *Record) (existed bool, err error) {
	same := func(other *Shard) (bool, error) {
		if !slices.Equal(other.Files, r.Files) {
			return true, ErrOther
		}
		return true, nil
	}
	for range publishTries { // once, where there are locks
		if other, _ := examine(path, r.ID); other != nil { // reading it needs no lock
			return same(other)
		}
		var lock *os.File
		if lock, err = lockID(path); err != nil {
			return false, err
		}
		var other *Shard
		other, err = replace(tmp, path, r.ID)
		release(lock)
		if other != nil {
			return same(other)
		}
		if err == nil || !errors.Is(err, errNamed) {
			return false, err
		}
	}
	return false, err
}

const (
	publishTries = 100
	lockWait     = time.Hour // each that has the lock reads one shard at most
)

// errNamed says that a name is taken again, by a process whose lock is not seen here.
var errNamed = errors.New("another process makes it at the same time")

// replace gives a folder its name, which is free or that of a damaged shard, which goes. It returns the shard that has the name if
// that is whole. The caller has the lock of the id.
func replace(tmp, path, id string) (*Shard, error) {
	if _, err := os.Lstat(path); err == nil {
		other, err := examine(path, id)
		if other != nil {
			return other, nil
		}
		if !isDamage(err) {
			return nil, err
		}
		// It goes out of the way under a name that is ours to remove.
		aside := tmp + ".damaged"
		if err := ignoreMissing(os.Rename(path, aside)); err != nil {
			return nil, fmt.Errorf("%s is damaged and cannot be replaced: %w", path, err)
		}
		defer os.RemoveAll(aside)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	err := os.Rename(tmp, path)
	if err != nil {
		if _, there := os.Lstat(path); there == nil {
			err = fmt.Errorf("%w: %w", errNamed, err)
		}
	}
	return nil, err
}

// lockID takes the lock of a shard's name, and waits for it.
func lockID(path string) (*os.File, error) {
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".lock")
	for begin := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		lock, err := flock.Open(name)
		if err == nil || !errors.Is(err, flock.ErrHeld) {
			return lock, err
		}
		if time.Since(begin) > lockWait {
			return nil, fmt.Errorf("%s: %w, for an hour: end that, and begin again", name, err)
		}
	}
}

// examine returns the shard at a path if it is of this id and whole, else why it is not.
func examine(path, id string) (*Shard, error) {
	s, err := readShard(path)
	if err != nil {
		return nil, err
	}
	if s.ID != id {
		return nil, &recordError{s.Dir, fmt.Errorf("it is shard %.16s, in the folder of %.16s", s.ID, id)}
	}
	if err := s.Verify(); err != nil {
		return nil, err
	}
	return s, nil
}

// isDamage reports whether an error of examine says that a shard is not there or not whole, rather than that it could not be read.
func isDamage(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*CorruptError)) || errors.As(err, new(*recordError))
}

// makeDir makes a folder and those above it, and keeps their names over a power cut.
func makeDir(dir string) error {
	var made []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		made = append(made, d)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, d := range made {
		syncDir(filepath.Dir(d))
	}
	return nil
}

// owner is what a lock says of who holds it.
type owner struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
}

func self() owner {
	host, _ := os.Hostname()
	return owner{host, os.Getpid()}
}

// reserve makes a temporary folder for a shard, and the lock that says it is in use.
func reserve(dir, id string) (tmp string, lock *os.File, err error) {
	for range 100 {
		base := filepath.Join(dir, "."+id+"-"+rand.Text()[:10])
		lock, err = flock.Open(base + ".lock")
		if errors.Is(err, flock.ErrHeld) {
			continue // a sweep looks at it
		}
		if err != nil {
			return "", nil, err
		}
		text, err := json.Marshal(self())
		if err == nil {
			_, err = lock.Write(text)
		}
		if err == nil {
			err = os.Mkdir(base+".tmp", 0o777)
		}
		if err != nil {
			release(lock)
			return "", nil, err
		}
		return base + ".tmp", lock, nil
	}
	return "", nil, errors.Join(errors.New("no temporary folder"), err)
}

// release gives a lock back and removes it: while it is held, where the system lets open files be removed.
func release(lock *os.File) {
	if flock.Here {
		_ = os.Remove(lock.Name())
		lock.Close()
		return
	}
	lock.Close()
	_ = os.Remove(lock.Name())
}

// staleAfter is how old what another machine left must be to be removed.
const staleAfter = 24 * time.Hour

// sweep removes what killed runs left of a shard. A lock that nobody holds says that its run has ended. Locks of other machines may not be
// seen on a file system over the network, and some systems have none: there what was left must be a day old too.
func sweep(dir, id string) {
	locks, _ := filepath.Glob(filepath.Join(globEscape(dir), "."+id+"*.lock"))
	for _, name := range locks {
		info, err := os.Lstat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		old := time.Since(info.ModTime()) > staleAfter
		lock, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if flock.Try(lock) == nil && named(lock) && (old || ours(lock) && seen(name)) {
			_ = os.RemoveAll(strings.TrimSuffix(name, ".lock") + ".tmp")
			_ = os.RemoveAll(strings.TrimSuffix(name, ".lock") + ".tmp.damaged")
			_ = os.Remove(name)
		}
		lock.Close()
	}
}

// named reports whether a lock's name is still its own: only who holds it then may remove it.
func named(lock *os.File) bool {
	mine, err1 := lock.Stat()
	there, err2 := os.Stat(lock.Name())
	return err1 == nil && err2 == nil && os.SameFile(mine, there)
}

// seen reports whether a lock that is held here is seen to be held.
func seen(name string) bool {
	again, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer again.Close()
	return errors.Is(flock.Try(again), flock.ErrHeld)
}

// ours reports whether a process of this machine made the lock.
func ours(lock *os.File) bool {
	var o owner
	text, err := io.ReadAll(io.LimitReader(lock, 4096))
	if err != nil || len(text) == 0 { // killed before it wrote its name: nothing was made
		return err == nil
	}
	return json.Unmarshal(text, &o) == nil && o.Host == self().Host
}

// seal lists the files of a folder with their sums, each on disk.
func seal(dir string) (files []File, err error) {
	err = filepath.WalkDir(dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil || full == dir {
			return err
		}
		if d.IsDir() {
			syncDir(full)
			return nil
		}
		rel, err := filepath.Rel(dir, full)
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s: a payload has regular files only", full)
		}
		f, err := os.Open(full)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		n, err := io.Copy(sum, f)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil && !readOnlySync(err) {
			return err
		}
		files = append(files, File{Name: filepath.ToSlash(rel), Octets: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return files, err
}

// readOnlySync reports whether a system cannot sync a file that is open for reading: Windows.
func readOnlySync(err error) bool { return errors.Is(err, fs.ErrPermission) }

func writeSynced(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir keeps names over a power cut. File systems that cannot do it have no better to offer.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var globEscaper = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

func globEscape(s string) string {
	if filepath.Separator == '\\' { // no escapes there
		return s
	}
	return globEscaper.Replace(s)
}
