//go:build !linux

package netlab

// Namespace is a network namespace; there is none on this system.
type Namespace struct{}

// Named returns ErrNotSupported.
func Named(string) (*Namespace, error) { return nil, ErrNotSupported }

// Enter returns ErrNotSupported.
func (n *Namespace) Enter() error { return ErrNotSupported }

// Peer returns ErrNotSupported.
func Peer(Facts) (string, *Namespace, error) { return "", nil, ErrNotSupported }
