//go:build !linux

package receive

import (
	"time"

	"pcaplab/parse"
)

// Receiver reads the frames of an interface; it cannot on this system.
type Receiver struct{}

// Open returns ErrNotSupported.
func Open(Config) (*Receiver, error) { return nil, ErrNotSupported }

// Link returns Ethernet.
func (r *Receiver) Link() parse.LinkType { return parse.LinkEthernet }

// Next returns ErrNotSupported.
func (r *Receiver) Next(*parse.Frame) error { return ErrNotSupported }

// Skip returns ErrNotSupported.
func (r *Receiver) Skip() (uint64, error) { return 0, ErrNotSupported }

// Blocks returns 0.
func (r *Receiver) Blocks() int { return 0 }

// Begun returns 0.
func (r *Receiver) Begun() uint64 { return 0 }

// Waits returns 0.
func (r *Receiver) Waits() uint64 { return 0 }

// Emptied returns 0.
func (r *Receiver) Emptied() time.Duration { return 0 }

// Stats returns ErrNotSupported.
func (r *Receiver) Stats() (Stats, error) { return Stats{}, ErrNotSupported }

// Close does nothing.
func (r *Receiver) Close() error { return nil }
