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
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// staged is a file that has a temporary name until it is published.
type staged struct {
	*bufio.Writer
	file   *os.File // nil once it is published or dropped
	target string
}

// stage makes a new file beside path, of which nothing is seen under that name until publish.
func stage(path string) (*staged, error) {
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
			return &staged{Writer: bufio.NewWriterSize(f, 256<<10), file: f, target: target}, nil
		}
		if !errors.Is(err, fs.ErrExist) || try == 100 {
			return nil, err
		}
	}
}

// drop removes what is not published.
func (s *staged) drop() {
	if s != nil && s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
		s.file = nil
	}
}

// publish gives files their names, none before all are whole on the disk.
func publish(files ...*staged) error {
	for _, s := range files {
		if err := errors.Join(s.Flush(), s.file.Sync()); err != nil {
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
