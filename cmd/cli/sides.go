package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"pcaplab/datasets/arena"
	"pcaplab/replay/split"
	"pcaplab/replay/trial"
)

// cachefileUsage is of commands that feed frames from memory.
const cachefileUsage = "`file` of 'split' or tcpprep: which frames the server sends, for edits by side, and which are left out"

// sides tells who sends each frame of a capture; without a cache file, always the client.
type sides struct {
	cache *split.Cache
	path  string
}

// openSides reads a cache file; "" is none.
func openSides(path string) (*sides, error) {
	if path == "" {
		return &sides{}, nil
	}
	cache, err := split.Open(path)
	return &sides{cache: cache, path: path}, err
}

// of tells whether the server sends frame n, from 0, of a capture, and whether it is to be sent.
func (s *sides) of(n uint64, capture string) (fromServer, sent bool, err error) {
	switch {
	case s.cache == nil:
		return false, true, nil
	case n >= s.cache.Len():
		return false, false, fmt.Errorf("%s is of another capture: it has %d packets, and %s has more", s.path, s.cache.Len(), capture)
	}
	return s.cache.Side(n) == split.Server, s.cache.Send(n), nil
}

// end checks that a capture of n frames, which ended with damage or nil, is what the cache file is of.
func (s *sides) end(n uint64, damage error, capture string) error {
	if s.cache != nil && damage == nil && n != s.cache.Len() {
		return fmt.Errorf("%s is of another capture: it has %d packets, and %s has %d", s.path, s.cache.Len(), capture, n)
	}
	return nil
}

// readSides returns what is in the cache file at path, for change, and notes in c and did that it is used; "" is none. One that
// c names already must be the same.
func readSides(path string, c *trial.Changes, did *trial.Changed) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var read bytes.Buffer // no more than the header promises, whatever the file is
	if _, err := split.Read(io.TeeReader(file, &read), path); err != nil {
		return nil, err
	}
	content := read.Bytes()
	sum := sumSides(content)
	if c.Sides != "" && c.Sides != sum {
		return nil, fmt.Errorf("%s is not what the study began with: SHA-256 %s, was %s", path, sum, c.Sides)
	}
	c.Sides = sum
	if did.Cachefile == nil {
		did.Cachefile = &trial.Cachefile{Name: path}
	}
	did.Cachefile.Path, err = filepath.Abs(path)
	return content, err
}

func sumSides(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// change makes changes in loaded frames, once, and returns those to feed. It closes fr where it returns others. content is
// what readSides read; whole says that fr is all of the captures. Both arenas together may take limit octets.
func (a *app) change(fr *arena.Frames, c *trial.Changes, did *trial.Changed, content []byte, whole bool, limit int64) (*arena.Frames, error) {
	if c.Zero() {
		return fr, nil
	}
	n := uint64(fr.Len())
	var who func(int) (fromServer, sent bool)
	if c.Sides != "" {
		name := did.Cachefile.Name
		if sum := sumSides(content); sum != c.Sides {
			return nil, fmt.Errorf("%s: what came of it has SHA-256 %s, not %s", name, sum, c.Sides)
		}
		cache, err := split.Read(bytes.NewReader(content), name)
		if err != nil {
			return nil, err
		}
		if whole && n != cache.Len() || n > cache.Len() {
			return nil, fmt.Errorf("%s is for %d packets, %d were read: it was made from another capture, or this one is damaged ('split --salvage' makes one that fits what can be read)", name, cache.Len(), n)
		}
		who = func(i int) (fromServer, sent bool) {
			return cache.Side(uint64(i)) == split.Server, cache.Send(uint64(i))
		}
	}
	edited, rep, err := trial.Edit(fr, c.Edits, who, limit-fr.MappedOctets())
	if err != nil {
		return nil, besideLoaded(err, "edits", limit)
	}
	fr.Close()
	if c.Sides != "" {
		did.Cachefile.NotSent = n - rep.Frames
		a.note("%s: sides of %d packets, of which %d are left out", did.Cachefile.Name, n, did.Cachefile.NotSent)
	}
	if c.Edits.Zero() {
		return edited, nil
	}
	did.Editing = &rep
	if rep.Deleted+rep.Failed() > 0 {
		a.note("edits: %v", rep)
	}
	return edited, nil
}
