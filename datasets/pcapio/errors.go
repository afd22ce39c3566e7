package pcapio

import (
	"errors"
	"fmt"
)

// ErrUnknown says that a stream is no capture that this package reads.
var ErrUnknown = errors.New("not a pcap or pcapng capture")

// ErrTruncated says that a stream ends inside a header, record or block.
var ErrTruncated = errors.New("cut short")

// ErrDamaged says that a header, record or block contradicts itself or the capture.
var ErrDamaged = errors.New("damaged")

// FormatError is a fault of a capture at a place. The frames before it were delivered.
type FormatError struct {
	Name        string // of the capture, as given to NewReader
	Compression string // "none", "gzip" or "zstd"
	Offset      int64  // of the faulty record or block in the stream, after decompression if there is any
	Packet      uint64 // number of the faulty record, counted from 1; 0 in the file header
	Err         error  // wraps ErrUnknown, ErrTruncated, ErrDamaged, or the error of the stream or its decompression
}

// Error names the capture, the place and the fault.
func (e *FormatError) Error() string {
	of := ""
	if e.Compression == compressGzip || e.Compression == compressZstd {
		of = " of the uncompressed stream"
	}
	if e.Packet == 0 {
		if e.Offset == 0 {
			return fmt.Sprintf("%s: %v", e.Name, e.Err)
		}
		return fmt.Sprintf("%s: offset %d%s: %v", e.Name, e.Offset, of, e.Err)
	}
	return fmt.Sprintf("%s: record %d at offset %d%s: %v", e.Name, e.Packet, e.Offset, of, e.Err)
}

// Unwrap returns the fault without its place.
func (e *FormatError) Unwrap() error { return e.Err }

// fault is an error text under one of the sentinels.
type fault struct {
	kind error
	text string
}

func (f *fault) Error() string { return f.text }
func (f *fault) Unwrap() error { return f.kind }

func damaged(format string, args ...any) error {
	return &fault{ErrDamaged, fmt.Sprintf(format, args...)}
}

func truncated(what string, got, want int64) error {
	return &fault{ErrTruncated, fmt.Sprintf("%s cut short: %d of %d octets", what, got, want)}
}

func unknown(format string, args ...any) error {
	return &fault{ErrUnknown, fmt.Sprintf(format, args...)}
}
