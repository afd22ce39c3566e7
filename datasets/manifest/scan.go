package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"pcaplab/datasets/cic"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
)

// Config says how to scan. The zero value is the default.
type Config struct {
	Hash    bool // compute SHA-256 of the files
	Salvage bool // go on after damage, see pcapio.Config
	Workers int  // files read at once; 0 means as many as there are processors
	// Prior is an earlier manifest of the folder, or nil: files of the same size and time of change are taken from it.
	Prior *Manifest
	// Ignore is the manifest's own path, to be left out where it lies in the folder; "" for none.
	Ignore string
	// Progress is told, about ten times a second, how many octets of files were read, of how many.
	Progress func(done, total int64)
	// Keep is told once a minute of what Scan has done so far, as it would return it if ctx ended: written each time, it saves a long
	// scan from a power cut. It is called from the goroutine that called Scan.
	Keep func(*Manifest)
}

// keepEvery is how often Keep is told.
var keepEvery = time.Minute

func (c Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// Scan reads every capture in a folder and below it once. Links to files are followed, links to folders are not. A capture that
// is damaged is described up to the damage, see File.Error; a file that is no capture is one of Others, unless it is named as one. One
// with a name that is no UTF-8 is one of Others, not read, see Other.Path.
// If ctx ends, Scan returns its error and the manifest of what was read to the end, with Complete false.
func Scan(ctx context.Context, dir string, cfg Config) (*Manifest, error) {
	found, others, err := list(dir, cfg.Ignore)
	if err != nil {
		return nil, err
	}
	return scan(ctx, dir, found, others, cfg)
}

// scan reads the captures that were found.
func scan(ctx context.Context, dir string, found []*candidate, others []Other, cfg Config) (*Manifest, error) {
	root := rootName(dir)
	synthetic := isSynthetic(dir)
	var todo []*candidate
	for _, c := range found {
		if old := cfg.take(c); old != nil {
			c.file = *old
			c.done.Store(true)
			c.name(root)
			continue
		}
		todo = append(todo, c)
	}
	soFar := func(complete bool) *Manifest {
		m := &Manifest{Version: Version, Complete: complete, Root: root, Synthetic: synthetic, Others: slices.Clone(others)}
		for _, c := range found {
			switch {
			case c.done.Load() && c.file.isOther():
				m.Others = append(m.Others, Other{Path: c.path, Octets: c.file.Octets, Why: c.file.Error.Text})
			case c.done.Load():
				m.Files = append(m.Files, c.file)
			case cfg.Prior != nil: // what was known of it stays until it is read
				if old := cfg.Prior.Find(c.path); old != nil && old.Octets == c.octets && old.Modified.Equal(c.modified) {
					m.Files = append(m.Files, *old)
				}
			}
		}
		m.sort()
		return m
	}
	kept := time.Now()
	err := each(ctx, cfg, todo, func(r *reader, c *candidate) error {
		c.file = r.file(ctx, c.full, c.path, cfg)
		c.unread = r.unread
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.file.Modified.IsZero() { // it could not even be opened
			c.file.Octets, c.file.Modified = c.octets, c.modified
		}
		c.name(root)
		c.done.Store(true)
		return nil
	}, func() {
		if cfg.Keep != nil && time.Since(kept) >= keepEvery {
			cfg.Keep(soFar(false))
			kept = time.Now()
		}
	})
	return soFar(err == nil), err
}

// take returns what the earlier manifest has of a file that has not changed, if that is all that is asked for.
func (c Config) take(f *candidate) *File {
	if c.Prior == nil {
		return nil
	}
	old := c.Prior.Find(f.path)
	if old == nil || old.Octets != f.octets || !old.Modified.Equal(f.modified) || c.Hash && old.SHA256 == "" || old.Salvage != c.Salvage {
		return nil
	}
	if old.Error != nil && (old.Error.Kind == FaultRead || old.Error.Kind == FaultChanged) {
		return nil
	}
	copied := *old
	return &copied
}

// candidate is a file in the folder.
type candidate struct {
	path     string // from the folder, with slashes
	full     string
	octets   int64
	modified time.Time
	file     File
	done     atomic.Bool // file is final
	unread   bool        // the system did not let it be read
}

// name sets class and label.
func (c *candidate) name(root string) {
	c.file.Class = ""
	if class, ok := cic.Find(root + "/" + c.path); ok {
		c.file.Class, c.file.Label = class.Folder, class.Label
		return
	}
	if c.file.Label = path.Base(path.Dir(c.path)); c.file.Label == "." {
		c.file.Label = root
	}
}

// isOther tells that a file is no capture, and not named as one.
func (f *File) isOther() bool {
	return f.Error != nil && f.Error.Kind == FaultNone && !looksLikeCapture(f.Path)
}

// looksLikeCapture judges by the ending of a name.
func looksLikeCapture(name string) bool {
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	switch path.Ext(name) {
	case ".pcap", ".pcapng", ".cap":
		return true
	}
	return false
}

func rootName(dir string) string {
	full, err := filepath.Abs(dir)
	if err != nil {
		full = dir
	}
	name := filepath.Base(full)
	if name == string(filepath.Separator) || !utf8.ValidString(name) {
		return ""
	}
	return name
}

// isSynthetic looks for the mark in a folder; for PCAP, or a folder of a class, above it too.
func isSynthetic(dir string) bool {
	full, err := filepath.Abs(dir)
	if err != nil {
		full = dir
	}
	marked := func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, SyntheticName))
		return err == nil
	}
	parent := filepath.Dir(full)
	_, ofClass := cic.Find(filepath.Base(full))
	return marked(full) || (ofClass || isPCAP(full)) && marked(parent) || ofClass && isPCAP(parent) && marked(filepath.Dir(parent))
}

func isPCAP(dir string) bool { return strings.EqualFold(filepath.Base(dir), "PCAP") }

// escaped is a name with \xNN for each octet that is no UTF-8.
func escaped(name string) string {
	var b strings.Builder
	for i, r := range name { // of an octet that does not belong, RuneError and one octet
		if _, n := utf8.DecodeRuneInString(name[i:]); r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[i])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// leftOut are the endings of files that stand beside captures and are no part of them.
var leftOut = []string{".truth.csv"}

// list finds the files of a folder.
func list(dir, ignore string) (found []*candidate, others []Other, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, &fs.PathError{Op: "scan", Path: dir, Err: errors.New("is no folder: name the folder that holds the captures")}
	}
	own, ownErr := os.Stat(ignore)
	taken := make(map[string]bool)
	var odd []Other // of names that are no UTF-8
	err = filepath.WalkDir(dir+string(filepath.Separator), func(full string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(dir, full)
		if relErr != nil {
			return relErr
		}
		rel = filepath.ToSlash(rel)
		other := func(octets int64, why string) {
			if utf8.ValidString(rel) {
				others = append(others, Other{Path: rel, Octets: octets, Why: why})
				taken[rel] = true
			} else {
				odd = append(odd, Other{Path: escaped(rel), Octets: octets, Why: why})
			}
		}
		if err != nil {
			if rel == "." {
				return err
			}
			other(0, "cannot be looked into: "+cause(err))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		hidden := rel != "." && strings.HasPrefix(d.Name(), SyntheticHidden)
		switch {
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir() || hidden:
			return nil
		}
		info, err := os.Stat(full)
		switch {
		case !utf8.ValidString(rel):
			octets := int64(0)
			if err == nil && info.Mode().IsRegular() {
				octets = info.Size()
			}
			other(octets, "its name is no UTF-8: rename it")
		case err != nil:
			other(0, "cannot be looked at: "+cause(err))
		case info.IsDir():
			other(0, "a link to a folder, not followed: scan that folder itself")
		case !info.Mode().IsRegular():
			other(0, "no regular file")
		case ownErr == nil && os.SameFile(info, own):
		case rel == FileName, rel == SyntheticName:
		case hasSuffix(rel, leftOut):
		case strings.HasSuffix(rel, ".part"):
			other(info.Size(), "an unfinished download")
		default:
			found = append(found, &candidate{path: rel, full: full, octets: info.Size(), modified: storable(info.ModTime())})
			taken[rel] = true
		}
		return nil
	})
	for _, o := range odd {
		for taken[o.Path] {
			o.Path += "'"
		}
		taken[o.Path] = true
		others = append(others, o)
	}
	sortCandidates(found)
	return found, others, err
}

func hasSuffix(name string, suffixes []string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s) {
			return true
		}
	}
	return false
}

// cause is an error without the path, which stands elsewhere.
func cause(err error) string {
	if pe := new(fs.PathError); errors.As(err, &pe) {
		err = pe.Err
	}
	return err.Error()
}

// each calls fn for every candidate, in order, from as many goroutines as there are workers, until one fails. Tick is called
// about ten times a second.
func each(ctx context.Context, cfg Config, todo []*candidate, fn func(*reader, *candidate) error, tick func()) error {
	var total int64
	for _, c := range todo {
		total += c.octets
	}
	var done, next atomic.Int64
	var wg sync.WaitGroup
	workers := min(cfg.workers(), len(todo))
	errs := make([]error, workers)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := &reader{in: newInput(), done: &done}
			for errs[w] == nil && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return
				}
				errs[w] = fn(r, todo[i])
			}
		}()
	}
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for over := false; !over; {
		select {
		case <-ended:
			over = true
		case <-ticker.C:
		}
		if cfg.Progress != nil {
			cfg.Progress(done.Load(), total)
		}
		tick()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// reader reads files one after another, with the same buffers.
type reader struct {
	in   *input
	done *atomic.Int64 // octets read, of all readers
	// unread says of the last file that the system did not let it be read, as it may the next time: its FaultRead is not of what it holds.
	unread bool
}

// file reads a file and returns what it holds. Name is what it is called in errors and in the manifest.
func (r *reader) file(ctx context.Context, full, name string, cfg Config) File {
	f := File{Path: name, Salvage: cfg.Salvage}
	r.unread = false
	failed := func(err error) File {
		r.unread = true
		f.Error = &Fault{Kind: FaultRead, Text: name + ": " + cause(err)}
		return f
	}
	file, err := os.Open(full)
	if err != nil {
		return failed(err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return failed(err)
	}
	f.Octets, f.Modified = before.Size(), storable(before.ModTime())
	r.in.start(ctx, file, cfg.Hash, r.done)
	err = f.read(ctx, r.in, cfg)
	digest, readErr := r.in.end()
	f.SHA256 = digest
	if err != nil {
		f.Error = fault(err)
	}
	if f.isOther() {
		return f
	}
	after, statErr := file.Stat()
	switch {
	case readErr != nil && ctx.Err() == nil:
		r.unread = true
		f.Error = &Fault{Kind: FaultRead, Offset: r.in.octets, Text: fmt.Sprintf("%s: cannot be read at octet %d: %s", name, r.in.octets, cause(readErr))}
	case statErr != nil:
		return failed(statErr)
	case after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) || (cfg.Hash || err == nil) && ctx.Err() == nil && r.in.octets < f.Octets:
		f.Error = &Fault{Kind: FaultChanged, Text: name + ": was changed while it was read: scan it again when it is whole"}
	}
	return f
}

// fault puts an error of a capture into words that a manifest keeps.
func fault(err error) *Fault {
	f := &Fault{Kind: FaultRead, Text: err.Error()}
	switch {
	case errors.Is(err, pcapio.ErrUnknown):
		f.Kind = FaultNone
	case errors.Is(err, pcapio.ErrTruncated):
		f.Kind = FaultCut
	case errors.Is(err, pcapio.ErrDamaged):
		f.Kind = FaultDamaged
	}
	if fe := new(pcapio.FormatError); errors.As(err, &fe) {
		f.Offset, f.Record = fe.Offset, fe.Packet
		if f.Kind == FaultNone && f.Record > 0 {
			f.Kind = FaultDamaged
		}
	}
	return f
}

// read counts the frames of a capture, to its end or to an error.
func (f *File) read(ctx context.Context, in *input, cfg Config) error {
	first := in.next()
	if first == nil {
		return pcapioError(f.Path, in.err)
	}
	if head := first.octets(); !cfg.Salvage && isPlain(head) {
		facts, err := headerFacts(head[:fileHeaderLen], f.Path)
		if err != nil {
			return err
		}
		return f.walk(in, first, facts)
	}
	return f.frames(ctx, in, cfg)
}

// isPlain reports whether a stream begins as a classic pcap of version 2.4, the file header whole.
func isPlain(head []byte) bool {
	if len(head) < fileHeaderLen {
		return false
	}
	switch string(head[:8]) {
	case "\xd4\xc3\xb2\xa1\x02\x00\x04\x00", "\x4d\x3c\xb2\xa1\x02\x00\x04\x00", "\xa1\xb2\xc3\xd4\x00\x02\x00\x04", "\xa1\xb2\x3c\x4d\x00\x02\x00\x04":
		return true
	}
	return false
}

// headerFacts returns what a file header says.
func headerFacts(header []byte, name string) (pcapio.Facts, error) {
	r, err := pcapio.Config{Block: 1}.NewReader(bytes.NewReader(header), name)
	if err != nil {
		return pcapio.Facts{}, err
	}
	defer r.Close()
	return r.Facts(), nil
}

// pcapioError is what a pcapio.Reader says of a stream without an octet.
func pcapioError(name string, err error) error {
	_, err = pcapio.NewReader(readerOf{err}, name)
	return err
}

type readerOf struct{ err error }

func (r readerOf) Read([]byte) (int, error) { return 0, r.err }

// walk counts the records of a classic pcap.
func (f *File) walk(in *input, b *block, facts pcapio.Facts) error {
	w := newWalk(facts)
	from, left := blockRoom+fileHeaderLen, 0
	var tail [walkMargin]byte
	damaged := false
	at := 0
	for b != nil {
		end := blockRoom + b.n
		if from < blockRoom { // what was left of the block before
			copy(b.buf[from:], tail[:left])
		}
		at, damaged = w.block(b.buf[from:], end-from, walkMargin)
		if damaged {
			break
		}
		left = copy(tail[:], b.buf[from+at:end])
		from = blockRoom - left
		b = in.next()
	}
	var err error
	if damaged {
		err = w.damage(f.Path, b.buf[from+at:])
		w.finish(nil)
	} else {
		what, got, want, bad := w.finish(tail[:left])
		switch {
		case bad:
			err = w.damage(f.Path, tail[:])
		case in.err != nil && in.err != io.EOF:
			err = in.err // told by the one who asked
		case want > 0:
			err = &pcapio.FormatError{Name: f.Path, Compression: "none", Offset: w.offset, Packet: w.packets + 1,
				Err: fmt.Errorf("%s %w: %d of %d octets", what, pcapio.ErrTruncated, got, want)}
		}
	}
	facts.Faults = w.faults
	f.fill(&w.tally, w.index, facts)
	return err
}

// damage says what is wrong with the record at offset, as the one that knows does: a pcapio.Reader.
func (w *walk) damage(name string, record []byte) error {
	var stream bytes.Buffer
	stream.Write(w.header())
	stream.Write(record[:recordHeaderLen])
	r, err := pcapio.Config{Block: 1}.NewReader(&stream, name)
	if err == nil {
		err = r.Next(new(parse.Frame))
		r.Close()
	}
	if fe := new(pcapio.FormatError); errors.As(err, &fe) {
		fe.Offset, fe.Packet = w.offset, w.packets+1
		if second := w.last / 1e9; w.packets > 0 && (second == magicMicro || second == magicNano) {
			fe.Err = fmt.Errorf("%w; record %d looks like the file header of a second capture: split the file there", fe.Err, w.packets)
		}
	}
	return err
}

// frames counts the frames of any capture.
func (f *File) frames(ctx context.Context, in *input, cfg Config) error {
	in.used = 0
	r, err := pcapio.Config{Salvage: cfg.Salvage}.NewReader(in, f.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	var w frames
	var frame parse.Frame
	iface, snaplen := -1, uint32(0)
	for {
		if err = r.Next(&frame); err != nil {
			break
		}
		if i := r.Interface(); i != iface {
			iface, snaplen = i, r.Described().Snaplen
		}
		w.frame(&frame, r.Offset(), snaplen, r.Timed())
		if w.packets%(1<<16) == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
	}
	if err == io.EOF {
		err = nil
	}
	facts := r.Facts()
	f.fill(&w.tally, w.index, facts)
	f.Losses, f.Lost, f.LostOctets = r.Losses(), facts.Losses, facts.LostOctets
	return err
}

// fill takes over what was counted.
func (f *File) fill(t *tally, index []Entry, facts pcapio.Facts) {
	f.Container, f.Compression, f.ByteOrder, f.Snaplen = facts.Container, facts.Compression, facts.ByteOrder, facts.Snaplen
	for i, described := range facts.Interfaces {
		if i == 0 {
			f.Resolution = described.Resolution.String()
		}
		f.Links = appendOnce(f.Links, uint16(described.Link))
	}
	f.Packets, f.CapturedOctets, f.WireOctets, f.Kept = t.packets, t.octets, t.wireOctets(), t.kept
	f.Timed, f.First, f.Last, f.Min, f.Max = t.timed, t.first, t.last, t.min, t.max
	f.BackSteps, f.LargestBack, f.AtZero, f.Cut, f.AboveFull = t.back, t.largestBack, t.atZero, t.cut, t.over
	f.Faults, f.Index = facts.Faults, slices.Clip(index)
	if len(index) == 0 {
		f.Index = nil
	}
	if !f.Timed {
		f.First, f.Last, f.Min, f.Max = 0, 0, 0, 0
	}
}

func appendOnce(list []uint16, v uint16) []uint16 {
	for _, have := range list {
		if have == v {
			return list
		}
	}
	return append(list, v)
}
