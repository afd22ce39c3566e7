// Package flock takes the advisory locks by which runs that write the same file know of each other.
package flock

import (
	"errors"
	"io/fs"
	"os"
)

// ErrHeld says that another open file has the lock.
var ErrHeld = errors.New("another run has its lock")

// Open opens the file at path, made if it is not there, for reading and writing, with its lock: what path names then is the file
// returned, whatever other runs that lock it before they rename or remove it have done meanwhile. The error is ErrHeld where one of
// them has it.
func Open(path string) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		err = Try(file)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		mine, err1 := file.Stat()
		named, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, named) {
			return file, nil
		}
		file.Close() // it was renamed or removed before it was locked
		if err := errors.Join(err1, err2); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}
