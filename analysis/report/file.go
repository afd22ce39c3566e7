package report

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
)

// WriteFile makes the file at path hold what write writes, whole or not at all: it writes to a temporary name in the same
// folder, syncs and renames. On any error, of write too, path is as it was and the temporary file is gone. A symbolic
// link is followed; what is not a regular file (a device, a pipe, a folder) is refused, because renaming would replace it.
func WriteFile(path string, write func(io.Writer) error) error {
	target, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		target = path
	case err != nil:
		return err
	}
	if info, err := os.Lstat(target); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file; name a new file or a regular one", path)
	}
	f, err := createBeside(target)
	if err != nil {
		return err
	}
	done := false
	defer func() { // also when write panics
		if !done {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	out := bufio.NewWriterSize(f, 64<<10)
	if err := write(out); err != nil {
		return err
	}
	if err := errors.Join(out.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), target); err != nil {
		return err
	}
	done = true
	// Syncing a folder keeps the new name over a power cut. File systems that cannot do it have no better to offer.
	if dir, err := os.Open(filepath.Dir(target)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// createBeside makes a new file with the permissions that the umask leaves, which os.CreateTemp does not.
func createBeside(target string) (*os.File, error) {
	dir, base := filepath.Split(target)
	for try := 0; ; try++ {
		name := dir + "." + base + "." + strconv.FormatUint(uint64(rand.Uint32()), 36) + ".tmp"
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if at := new(fs.PathError); errors.As(err, &at) && !errors.Is(err, fs.ErrExist) { // the name is none that the user knows
			err = &fs.PathError{Op: "make a file in", Path: filepath.Dir(target), Err: at.Err}
		}
		if !errors.Is(err, fs.ErrExist) || try == 100 {
			return f, err
		}
	}
}
