//go:build !unix

package arena

import (
	"errors"
	"os"
)

type region struct {
	file    *os.File
	mapping []byte
}

func newRegion(int64) (*region, error) { return nil, errors.ErrUnsupported }
func (r *region) resize(int64) error   { return errors.ErrUnsupported }
func (r *region) close() error         { return nil }
func mapFile(*os.File) ([]byte, error) { return nil, errors.ErrUnsupported }
func unmap([]byte) error               { return nil }
