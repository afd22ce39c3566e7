package fetch

import (
	"math"

	"golang.org/x/sys/windows"
)

// Free returns how many octets this user can write to the file system of a folder; -1 where the system cannot say.
func Free(dir string) (int64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return -1, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return -1, err
	}
	return int64(min(free, math.MaxInt64)), nil
}
