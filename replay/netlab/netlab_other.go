//go:build !linux

package netlab

import "os/exec"

// Lab is a veth pair in namespaces of its own; there is none on this system.
type Lab struct{}

// New returns ErrNotSupported.
func New(Config) (*Lab, error) { return nil, ErrNotSupported }

// Do returns ErrNotSupported.
func (l *Lab) Do(End, func() error) error { return ErrNotSupported }

// Start returns ErrNotSupported.
func (l *Lab) Start(End, *exec.Cmd) error { return ErrNotSupported }

// Facts returns ErrNotSupported.
func (l *Lab) Facts(End) (Facts, error) { return Facts{}, ErrNotSupported }

// Close does nothing.
func (l *Lab) Close() error { return nil }

// Link returns ErrNotSupported.
func Link(string) (Facts, error) { return Facts{}, ErrNotSupported }

// Links returns ErrNotSupported.
func Links() ([]string, error) { return nil, ErrNotSupported }

// ReadSoftirqs returns ErrNotSupported.
func ReadSoftirqs(string) (Softirqs, error) { return Softirqs{}, ErrNotSupported }

// AsRoot returns ErrNotSupported.
func AsRoot(*exec.Cmd) error { return ErrNotSupported }
