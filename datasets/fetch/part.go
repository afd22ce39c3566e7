package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"pcaplab/datasets/flock"
)

// saveEvery is after how many octets a part is made sure of: that much is lost at most over a kill or a power cut.
const saveEvery = 32 << 20

// part is what there is of a file, from its start on. It is locked while it is open.
type part struct {
	file   *os.File // nil: gone
	name   string
	size   int64
	digest digest
	state  state
	busy   bool // between write and save
}

// openPart takes the lock of the part of a target, and reads what an earlier call has left. What may not be on the disk in
// full is cut off.
func openPart(target string) (*part, error) {
	p := &part{name: PartOf(target)}
	file, err := flock.Open(p.name)
	if errors.Is(err, flock.ErrHeld) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	there, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	p.file, p.size = file, there.Size()
	text, err := os.ReadFile(p.name + ".json")
	if err == nil {
		err = json.Unmarshal(text, &p.state)
	}
	if err != nil || p.state.Kept < 0 {
		p.state = state{Octets: -1}
	}
	if p.size != p.state.Kept {
		p.state.Damaged = false
	}
	if p.size > p.state.Kept {
		if err := p.truncate(p.state.Kept); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *part) write(b []byte) error {
	p.busy = true
	n, err := p.file.WriteAt(b, p.size)
	if p.digest.size == p.size {
		p.digest.add(b[:n])
	}
	p.size += int64(n)
	return err
}

func (p *part) truncate(size int64) error {
	p.busy, p.state.Damaged = true, false
	if p.digest.size > size {
		p.digest = digest{}
	}
	p.size = size
	return p.file.Truncate(size)
}

// save brings the part to the disk and notes how much there is.
func (p *part) save() error {
	if p.file == nil {
		return nil
	}
	if p.busy {
		if err := p.file.Sync(); err != nil {
			return err
		}
		p.busy = false
	}
	p.state.Kept = p.size
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	// Without locks, or while a part gives up its name, two programs may be here at once: each has a name of its own.
	next := fmt.Sprintf("%s%s%016x", p.name, nextNote, rand.Uint64())
	if err = os.WriteFile(next, append(text, '\n'), 0o666); err == nil {
		err = os.Rename(next, p.name+".json")
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

// nextNote is between the name of a part and what tells notes apart that have not replaced the last one yet.
const nextNote = ".json.new"

// keep saves the part for another call and returns its size; an empty one is removed.
func (p *part) keep() int64 {
	if p.size == 0 {
		p.discard()
		return 0
	}
	if p.save() != nil {
		return 0 // the next call goes on from where the last save was
	}
	return p.size
}

// discard removes the part.
func (p *part) discard() {
	if p.file == nil {
		return
	}
	if runtime.GOOS == "windows" {
		p.file.Close()
	}
	p.sweep() // all under the lock: behind the name may be another program's part
	_ = os.Remove(p.name + ".json")
	_ = os.Remove(p.name)
	p.file.Close()
	p.file, p.size = nil, 0
}

// sweep removes notes that a kill has left half made. The part must have its name and lock.
func (p *part) sweep() {
	entries, _ := os.ReadDir(filepath.Dir(p.name))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(p.name)+nextNote) {
			_ = os.Remove(filepath.Join(filepath.Dir(p.name), e.Name()))
		}
	}
}

// become gives the part its name, when it is on the disk.
func (p *part) become(target string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.sweep()
	if runtime.GOOS == "windows" { // renames no open file
		if err := p.file.Close(); err != nil {
			return err
		}
	}
	if err := os.Rename(p.name, target); err != nil {
		return err
	}
	// A kill before this leaves a note too many, which is better than a part without one. Whoever has made the part anew by now
	// finds the target, and has noted nothing.
	_ = os.Remove(p.name + ".json")
	p.file.Close()
	p.file = nil
	// Syncing a folder keeps the new name over a power cut. File systems that cannot do it have no better to offer.
	if dir, err := os.Open(filepath.Dir(target)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

func (p *part) close() {
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
}

// digest is the SHA-256 of the first octets of a file, and the very first of them.
type digest struct {
	sum  hash.Hash // nil: of nothing yet
	size int64
	head []byte
}

func (d *digest) add(b []byte) {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	if len(d.head) < headOctets {
		d.head = append(d.head, b[:min(len(b), headOctets-len(d.head))]...)
	}
	d.sum.Write(b)
	d.size += int64(len(b))
}

// catchUp reads on to the given size.
func (d *digest) catchUp(ctx context.Context, file io.ReaderAt, size int64, progress func(done, total int64)) error {
	var block []byte
	for d.size < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		if block == nil {
			block = make([]byte, 256<<10)
		}
		n, err := file.ReadAt(block[:min(int64(len(block)), size-d.size)], d.size)
		d.add(block[:n])
		if err != nil && d.size < size {
			return fmt.Errorf("reading at octet %d of %d: %w", d.size, size, err)
		}
		progress(d.size, size)
	}
	return nil
}

func (d *digest) hex() string {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	return hex.EncodeToString(d.sum.Sum(nil))
}

// PartOf returns the name of the file that holds what has come of a target so far.
func PartOf(target string) string {
	dir, base := filepath.Split(target)
	return filepath.Join(dir, "."+base+".part")
}
