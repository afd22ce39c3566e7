//go:build unix && !linux

package arena

import "os"

// anonymousFile makes a temporary file without a name.
func anonymousFile() (*os.File, error) {
	file, err := os.CreateTemp("", "pcaplab-arena-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
