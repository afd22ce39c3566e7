//go:build !linux

package meter

import (
	"errors"
	"time"
)

// Session watches the processes of a session. There are none on this system.
type Session struct{}

// WatchSession returns an error that is errors.ErrUnsupported.
func WatchSession(int, time.Duration) (*Session, error) { return nil, errors.ErrUnsupported }

// Read returns nothing.
func (*Session) Read() SessionUsage { return SessionUsage{} }

// Reaped does nothing.
func (*Session) Reaped(time.Duration) {}

// Close does nothing.
func (*Session) Close() {}

// SessionMembers returns an error that is errors.ErrUnsupported.
func SessionMembers(int) ([]int, error) { return nil, errors.ErrUnsupported }
