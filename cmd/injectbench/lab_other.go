//go:build !linux

package main

import (
	"context"
	"errors"
	"os"
)

var terminate os.Signal = os.Interrupt

// lab exists on Linux only.
type lab struct{ txCPU, rxCPU int }

func newLab(*config) (*lab, error) {
	return nil, errors.New("this needs network namespaces and packet sockets: run it on Linux")
}

func (*lab) close() {}

func (*lab) run(context.Context, side, benchCase, *captures) (record, error) { return record{}, nil }
