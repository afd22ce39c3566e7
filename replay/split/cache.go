package split

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Side is who sends a frame.
type Side uint8

// The sides.
const (
	Client Side = iota // out of the first interface
	Server             // out of the second interface
)

// String returns "client" or "server".
func (s Side) String() string {
	if s == Client {
		return "client"
	}
	return "server"
}

// MarshalText writes the side as String does.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Side) UnmarshalText(text []byte) error {
	switch string(text) {
	case "client":
		*s = Client
	case "server":
		*s = Server
	default:
		return fmt.Errorf("side %q: want client or server", text)
	}
	return nil
}

var (
	be      = binary.BigEndian
	magic   = []byte("tcpprep\x00")
	version = []byte("04\x00\x00")
)

const (
	headerLen = 24
	perOctet  = 4

	toClient = 1 // bits of a packet
	toSend   = 2
)

// ErrFormat says that a file is no cache that this package reads.
var ErrFormat = errors.New("not a cache of client and server")

// Cache holds the side of each frame of a capture, and whether the frame is sent. The zero value is an empty one. It may be
// read by many goroutines at once.
type Cache struct {
	comment string
	packets uint64
	bits    []byte
}

// NewCache returns an empty cache with a comment of at most 65,535 octets.
func NewCache(comment string) (*Cache, error) {
	if len(comment) > math.MaxUint16 {
		return nil, fmt.Errorf("comment of %d octets: the file holds at most %d", len(comment), math.MaxUint16)
	}
	return &Cache{comment: comment}, nil
}

// Open reads the cache in the file at path.
func Open(path string) (*Cache, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	c, err := Read(file, path)
	return c, errors.Join(err, file.Close())
}

// Read reads a cache up to the end of r. Errors name the cache as name and wrap ErrFormat, but for those of r.
func Read(r io.Reader, name string) (*Cache, error) {
	bad := func(offset int, format string, args ...any) (*Cache, error) {
		return nil, fmt.Errorf("%s: offset %d: %s: %w", name, offset, fmt.Sprintf(format, args...), ErrFormat)
	}
	failed := func(err error) (*Cache, error) { return nil, fmt.Errorf("%s: %w", name, err) }
	var h [headerLen]byte
	n, err := io.ReadFull(r, h[:])
	switch short := err == io.EOF || err == io.ErrUnexpectedEOF; {
	case err != nil && !short:
		return failed(err)
	case !bytes.HasPrefix(h[:n], magic):
		return bad(0, "it begins with %q, not %q", h[:min(n, len(magic))], magic)
	case short:
		return bad(n, "header cut short: %d of %d octets", n, headerLen)
	case !bytes.Equal(h[8:12], version):
		return bad(8, "version %q, want %q", bytes.TrimRight(h[8:12], "\x00"), version[:2])
	case be.Uint16(h[20:]) != perOctet:
		return bad(20, "%d packets in an octet, want %d", be.Uint16(h[20:]), perOctet)
	}
	c := &Cache{packets: be.Uint64(h[12:])}
	comment := make([]byte, be.Uint16(h[22:]))
	if n, err := io.ReadFull(r, comment); err == io.EOF || err == io.ErrUnexpectedEOF {
		return bad(headerLen, "comment cut short: %d of %d octets", n, len(comment))
	} else if err != nil {
		return failed(err)
	}
	c.comment = string(comment)
	want := c.packets/perOctet + (c.packets%perOctet+perOctet-1)/perOctet
	offset := headerLen + len(comment)
	if c.bits, err = io.ReadAll(io.LimitReader(r, int64(want+1))); err != nil { // never more than comes
		return failed(err)
	}
	switch got := uint64(len(c.bits)); {
	case got < want:
		return bad(offset+len(c.bits), "cut short: %d of %d octets for the %d packets that the header says", got, want, c.packets)
	case got > want:
		return bad(offset+int(want), "octets behind those of the %d packets that the header says (tcpprep 4.4.3 writes such files, "+
			"which are out of step, with --auto and --include or --exclude: make it with another program)", c.packets)
	}
	return c, nil
}

// Append adds a frame. Of one that is not sent the side is not kept.
func (c *Cache) Append(side Side, send bool) {
	if c.packets%perOctet == 0 {
		c.bits = append(c.bits, 0)
	}
	var b byte
	if send {
		b = toSend
		if side == Client {
			b |= toClient
		}
	}
	c.bits[c.packets/perOctet] |= b << (2 * (c.packets % perOctet))
	c.packets++
}

// Len returns the number of frames.
func (c *Cache) Len() uint64 { return c.packets }

// Side returns who sends frame i, which must be in [0, Len()): Server if it is not sent.
func (c *Cache) Side(i uint64) Side {
	if c.at(i)&toClient != 0 {
		return Client
	}
	return Server
}

// Send reports whether frame i, which must be in [0, Len()), is sent.
func (c *Cache) Send(i uint64) bool { return c.at(i)&toSend != 0 }

func (c *Cache) at(i uint64) byte { return c.bits[i/perOctet] >> (2 * (i % perOctet)) }

// Comment returns the comment as it is in the file. tcpprep begins it with its arguments, if it was not told otherwise, and a
// line feed.
func (c *Cache) Comment() string { return c.comment }

// Write writes the cache as a file.
func (c *Cache) Write(w io.Writer) error {
	h := make([]byte, headerLen, headerLen+len(c.comment))
	copy(h, magic)
	copy(h[8:], version)
	be.PutUint64(h[12:], c.packets)
	be.PutUint16(h[20:], perOctet)
	be.PutUint16(h[22:], uint16(len(c.comment)))
	if _, err := w.Write(append(h, c.comment...)); err != nil {
		return err
	}
	_, err := w.Write(c.bits)
	return err
}
