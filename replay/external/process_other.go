//go:build !linux

package external

import (
	"context"
	"time"

	"pcaplab/replay"
)

// Process is a program that runs. There is none on this system.
type Process struct{}

// Start returns ErrNotSupported.
func (p Program) Start(context.Context, Config) (*Process, error) { return nil, ErrNotSupported }

// Run returns ErrNotSupported.
func (*Process) Run(context.Context, replay.Config, replay.Source) (replay.Result, error) {
	return replay.Result{}, ErrNotSupported
}

// Finish returns ErrNotSupported.
func (*Process) Finish(context.Context, time.Duration) (Outcome, error) {
	return Outcome{}, ErrNotSupported
}

// Close does nothing.
func (*Process) Close() error { return nil }
