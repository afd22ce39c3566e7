//go:build unix

package cli

import (
	"os"
	"syscall"
)

// nonBlocking returns another file for what f is open on, without blocking: reading it has deadlines.
func nonBlocking(f *os.File) (*os.File, error) {
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		syscall.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// blocking undoes what nonBlocking did to the file that both share.
func blocking(f *os.File) { _ = syscall.SetNonblock(int(f.Fd()), false) }
