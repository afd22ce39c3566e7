//go:build unix

package arena

import (
	"fmt"
	"os"
	"syscall"
)

// region is a growing anonymous file and its mapping.
type region struct {
	file    *os.File
	mapping []byte
}

func newRegion(size int64) (*region, error) {
	file, err := anonymousFile()
	if err != nil {
		return nil, err
	}
	r := &region{file: file}
	if err := r.resize(size); err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

// resize makes the file size octets long and maps it anew; what is below size stays.
func (r *region) resize(size int64) error {
	if err := r.file.Truncate(size); err != nil {
		return err
	}
	mapping, err := mapWritable(r.file, size)
	if err != nil {
		return err
	}
	old := r.mapping
	r.mapping = mapping
	if old != nil {
		return unmap(old)
	}
	return nil
}

func (r *region) close() error {
	err := unmap(r.mapping)
	if e := r.file.Close(); err == nil {
		err = e
	}
	return err
}

func mapWritable(file *os.File, size int64) ([]byte, error) {
	if int64(int(size)) != size {
		return nil, fmt.Errorf("%d octets do not fit into this machine's address space", size)
	}
	return syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

func mapFile(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); int64(int(size)) != size || size < headerSize {
		return nil, fmt.Errorf("size %d cannot be mapped as an arena", size)
	}
	return syscall.Mmap(int(file.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

func unmap(mapping []byte) error { return syscall.Munmap(mapping) }
