//go:build darwin || linux

package fetch

import "golang.org/x/sys/unix"

// Free returns how many octets this user can write to the file system of a folder; -1 where the system cannot say.
func Free(dir string) (int64, error) {
	var s unix.Statfs_t
	for {
		err := unix.Statfs(dir, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		return int64(s.Bavail) * int64(s.Bsize), nil
	}
}
