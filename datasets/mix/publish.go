package mix

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Unfinished is what a mixture or samples under way have on the disk that must not stay if they end early. They tidy up themselves
// when they return. A program that has to end while a read blocks, of a pipe that nothing comes through, calls Drop first.
// The zero value is ready, for one use.
type Unfinished struct {
	mu      sync.Mutex
	ended   bool
	files   []*staged
	folders []string // made, in this order
}

// Drop removes files that do not have their names yet, and folders that were made and are empty. Whatever is under way fails from
// there. It may be called at any time and by any goroutine.
func (u *Unfinished) Drop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	for _, s := range u.files {
		s.remove()
	}
	u.files = nil
	u.removeFolders()
}

func (u *Unfinished) removeFolders() {
	for _, dir := range slices.Backward(u.folders) {
		_ = os.Remove(dir) // only if it is empty
	}
	u.folders = nil
}

// tidy removes folders that were made for nothing.
func (u *Unfinished) tidy() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.removeFolders()
}

// makeFolder makes a folder and those above it.
func (u *Unfinished) makeFolder(dir string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return errDropped
	}
	var missing []string
	for above := filepath.Clean(dir); ; above = filepath.Dir(above) {
		if _, err := os.Stat(above); err == nil || above == filepath.Dir(above) {
			break
		}
		missing = append(missing, above)
	}
	slices.Reverse(missing)
	u.folders = append(u.folders, missing...)
	return os.MkdirAll(dir, 0o777)
}

var errDropped = errors.New("interrupted")

// staged is a file that has a temporary name until it is published.
type staged struct {
	*bufio.Writer
	of     *Unfinished
	file   *os.File // nil once it is published or dropped
	target string
}

// stage makes a new file beside path, of which nothing is seen under that name until publish.
func (u *Unfinished) stage(path string) (*staged, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return nil, errDropped
	}
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = path
	case err != nil:
		return nil, err
	}
	if info, err := os.Lstat(target); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file; name a new file or a regular one", path)
	}
	dir, base := filepath.Split(target)
	for try := 0; ; try++ { // not os.CreateTemp: its permissions are not those that the umask leaves
		name := dir + "." + base + "." + strconv.FormatUint(uint64(rand.Uint32()), 36) + ".tmp"
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			s := &staged{Writer: bufio.NewWriterSize(f, 256<<10), of: u, file: f, target: target}
			u.files = append(u.files, s)
			return s, nil
		}
		if at := new(fs.PathError); errors.As(err, &at) && !errors.Is(err, fs.ErrExist) { // the name is none that the user knows
			err = &fs.PathError{Op: "make a file in", Path: filepath.Dir(target), Err: at.Err}
		}
		if !errors.Is(err, fs.ErrExist) || try == 100 {
			return nil, err
		}
	}
}

// drop removes what is not published.
func (s *staged) drop() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.remove()
}

// remove does it, under the lock.
func (s *staged) remove() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
}

// publish gives files their names, none before all are whole on the disk. Old files of all but the first name go before it gets
// its own, so that a capture never has the truth of another beside it.
func (u *Unfinished) publish(files ...*staged) error {
	for _, s := range files {
		u.mu.Lock()
		f := s.file
		u.mu.Unlock()
		if f == nil {
			return errDropped
		}
		if err := errors.Join(s.Flush(), f.Sync()); err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended {
		return errDropped
	}
	for _, s := range files[1:] {
		if err := os.Remove(s.target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, s := range files {
		if err := s.file.Close(); err != nil {
			return err
		}
		if err := os.Rename(s.file.Name(), s.target); err != nil {
			return err
		}
		s.file = nil
		// Syncing a folder keeps the new name over a power cut. File systems that cannot do it have no better to offer.
		if dir, err := os.Open(filepath.Dir(s.target)); err == nil {
			_ = dir.Sync()
			dir.Close()
		}
	}
	return nil
}

// Compressions, as in Summary.Compression: how a file is stored, by the end of its name.
const (
	None = "none"
	Gzip = "gzip"
	Zstd = "zstd"
)

func compressionOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		return Gzip
	case ".zst", ".zstd":
		return Zstd
	}
	return None
}

// Compressed returns a writer that compresses into w as the end of a name says (.gz, .zst), else one that writes what it is given; its
// Close does not close w.
func Compressed(w io.Writer, name string) (io.WriteCloser, error) {
	return compressor(w, compressionOf(name))
}

// compressor returns a writer that compresses into w; its Close does not close w.
func compressor(w io.Writer, compression string) (io.WriteCloser, error) {
	switch compression {
	case Gzip:
		return gzip.NewWriter(whole{w}), nil
	case Zstd:
		return zstd.NewWriter(whole{w}, zstd.WithEncoderConcurrency(1))
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// whole makes an error of a short write, which compressors do not look for.
type whole struct{ io.Writer }

func (w whole) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
