//go:build !unix

package cli

import (
	"errors"
	"os"
)

func nonBlocking(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

func blocking(*os.File) {}
