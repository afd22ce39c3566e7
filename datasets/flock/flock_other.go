//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package flock

import "os"

// Here says whether this system has such locks.
const Here = false

// Try does nothing: this system has no flock.
func Try(*os.File) error { return nil }
