package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync/atomic"

	"pcaplab/datasets/pcapio"
)

// ErrDirectory says that a path is a directory where a capture is wanted.
var ErrDirectory = errors.New("is a directory: name the captures in it")

// OpenConfig says how to open a capture. The zero value is the default.
type OpenConfig struct {
	Salvage bool      `json:"salvage"` // go on after damage, see pcapio.Config
	Hash    bool      `json:"hash"`    // compute the SHA-256 of the file as stored, while it is read
	Stdin   io.Reader `json:"-"`       // what "-" means; nil means os.Stdin
}

// Capture is an open capture: a source of frames, with the facts of its pcapio.Reader and of its file.
type Capture struct {
	*pcapio.Reader
	file   io.Closer // nil for standard input
	stored *stored
	size   int64 // -1 if not known
}

// stored reads a file as it is stored, and counts and hashes what it read.
type stored struct {
	r      io.Reader
	octets atomic.Int64
	hash   *hasher // nil if not wanted
	ended  bool
}

func (s *stored) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.octets.Add(int64(n))
	if s.hash != nil && n > 0 {
		s.hash.write(p[:n])
	}
	s.ended = s.ended || err == io.EOF
	return n, err
}

// Seek is for Reader.SeekRecord. A hash would not be of the whole file.
func (s *stored) Seek(offset int64, whence int) (int64, error) {
	seeker, ok := s.r.(io.Seeker)
	if !ok || s.hash != nil {
		return 0, errors.New("the capture is a stream, or is hashed while it is read: it is read from its beginning")
	}
	s.ended = false
	return seeker.Seek(offset, whence)
}

// hasher computes a SHA-256 beside the reading, which may be faster.
type hasher struct {
	full, empty chan []byte
	sum         hash.Hash
	done        chan struct{}
	ended       bool
}

// hashAhead is how many blocks may wait for the hash.
const hashAhead = 4

func newHasher() *hasher {
	h := &hasher{full: make(chan []byte, hashAhead), empty: make(chan []byte, hashAhead), sum: sha256.New(), done: make(chan struct{})}
	for range hashAhead {
		h.empty <- nil
	}
	go func() {
		defer close(h.done)
		for block := range h.full {
			h.sum.Write(block)
			h.empty <- block
		}
	}()
	return h
}

func (h *hasher) write(p []byte) { h.full <- append((<-h.empty)[:0], p...) }

// end waits for what was written. Nothing can be written afterwards.
func (h *hasher) end() {
	if !h.ended {
		h.ended = true
		close(h.full)
		<-h.done
	}
}

// Open opens the capture at path, or standard input if path is "-". Pipes and devices can be opened like files. Errors
// of the content are those of pcapio.NewReader. Close the capture after use.
func Open(path string, cfg OpenConfig) (*Capture, error) {
	c := &Capture{size: -1, stored: &stored{r: cfg.Stdin}}
	name := path
	if path == "-" {
		name = "standard input"
		if cfg.Stdin == nil {
			c.stored.r = os.Stdin
		}
	} else {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		c.file, c.stored.r = file, file
		if info, err := file.Stat(); err != nil {
			return nil, errors.Join(err, file.Close())
		} else if info.IsDir() {
			return nil, errors.Join(&fs.PathError{Op: "open", Path: path, Err: ErrDirectory}, file.Close())
		} else if info.Mode().IsRegular() {
			c.size = info.Size()
		}
	}
	if cfg.Hash {
		c.stored.hash = newHasher()
	}
	reader, err := pcapio.Config{Salvage: cfg.Salvage}.NewReader(c.stored, name)
	if err != nil {
		return nil, errors.Join(err, c.closeFile())
	}
	c.Reader = reader
	return c, nil
}

// StoredOctets returns how many octets of the file were read. It may be called from any goroutine, to show progress.
func (c *Capture) StoredOctets() int64 { return c.stored.octets.Load() }

// Size returns the size of the file in octets, or false if it is not known before the end, as of a pipe.
func (c *Capture) Size() (octets int64, known bool) { return c.size, c.size >= 0 }

// SHA256 reads what is left of the file and returns the digest of all of it in hexadecimal. It is an error if the
// capture was opened without OpenConfig.Hash. No frame can be read afterwards.
func (c *Capture) SHA256() (string, error) {
	if c.stored.hash == nil {
		return "", errors.New("the capture was opened without Hash")
	}
	if !c.stored.ended && !c.stored.hash.ended {
		if _, err := io.Copy(io.Discard, c.stored); err != nil {
			return "", fmt.Errorf("%s: hash: %w", c.Name(), err)
		}
	}
	c.stored.hash.end()
	return hex.EncodeToString(c.stored.hash.sum.Sum(nil)), nil
}

// Close closes the file; standard input stays open.
func (c *Capture) Close() error { return errors.Join(c.Reader.Close(), c.closeFile()) }

func (c *Capture) closeFile() error {
	if c.stored.hash != nil {
		c.stored.hash.end()
	}
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}
