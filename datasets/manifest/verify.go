package manifest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
)

// Difference is what is not as the manifest says.
type Difference struct {
	Path string `json:"path"`
	What string `json:"what"` // "missing", "new", "unreadable", or what differs: "size", "modified", "sha256", "packets", ...
	Want string `json:"want,omitempty"`
	Got  string `json:"got,omitempty"`
}

// String says it in a line, but that names stand in it as they are.
func (d Difference) String() string {
	switch d.What {
	case "missing":
		return d.Path + ": is missing"
	case "new":
		return d.Path + ": is new, a capture that the manifest does not have"
	case "unreadable":
		return d.Path + ": cannot be read: " + d.Got
	}
	return fmt.Sprintf("%s: %s was %s, is %s", d.Path, d.What, d.Want, d.Got)
}

// Verify reads the captures of a manifest in a folder again, and returns what differs, in natural order: files that are missing, or of
// other sizes, which are not read; that cannot be read, whether or not they could be before; other SHA-256 where the manifest has it;
// other counts, times and faults, which is all that is compared where it has no SHA-256; and captures that are new, those in the place of
// one of Others too. With quick files of the manifest are not read: sizes and times of change are compared. If ctx ends, Verify returns
// its error and what was found so far. Of cfg, Workers, Ignore and Progress count.
func Verify(ctx context.Context, m *Manifest, dir string, quick bool, cfg Config) ([]Difference, error) {
	found, others, err := list(dir, cfg.Ignore)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var differences []Difference
	differ := func(path, what, want, got string) {
		mu.Lock()
		defer mu.Unlock()
		differences = append(differences, Difference{path, what, want, got})
	}
	there := make(map[string]*candidate)
	for _, c := range found {
		there[c.path] = c
	}
	unread := make(map[string]string)
	for _, o := range others {
		unread[o.Path] = o.Why
	}
	var todo []*candidate
	for i := range m.Files {
		f := &m.Files[i]
		c := there[f.Path]
		delete(there, f.Path)
		why, seen := unread[f.Path]
		switch {
		case c == nil && seen:
			differ(f.Path, "unreadable", "", why)
		case c == nil:
			differ(f.Path, "missing", "", "")
		case c.octets != f.Octets:
			differ(f.Path, "size", fmt.Sprint(f.Octets), fmt.Sprint(c.octets))
		case quick && !c.modified.Equal(f.Modified):
			differ(f.Path, "modified", f.Modified.Format(time.RFC3339Nano), c.modified.Format(time.RFC3339Nano))
		case !quick:
			c.file = *f
			todo = append(todo, c)
		}
	}
	for path, c := range there {
		if isCapture(c.full) || looksLikeCapture(path) {
			differ(path, "new", "", "")
		}
	}
	err = each(ctx, cfg, todo, func(r *reader, c *candidate) error {
		now := r.file(ctx, c.full, c.path, Config{Hash: c.file.SHA256 != "", Salvage: c.file.Salvage})
		if ctx.Err() == nil {
			c.file.compare(&now, func(what, want, got string) { differ(c.path, what, want, got) })
		}
		return ctx.Err()
	}, func() {})
	slices.SortStableFunc(differences, func(a, b Difference) int { return datasets.Natural(a.Path, b.Path) })
	return differences, err
}

// isCapture reports whether a file begins as a capture does, as Scan judges it.
func isCapture(full string) bool {
	file, err := os.Open(full)
	if err != nil {
		return false
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, full)
	if err == nil {
		r.Close()
		return true
	}
	return errors.Is(err, pcapio.ErrTruncated) || errors.Is(err, pcapio.ErrDamaged)
}

// compare says what is not as it was.
func (f *File) compare(now *File, differ func(what, want, got string)) {
	if now.Error != nil && (now.Error.Kind == FaultRead || now.Error.Kind == FaultChanged) {
		differ("unreadable", "", strings.TrimPrefix(now.Error.Text, f.Path+": "))
		return
	}
	if f.SHA256 != now.SHA256 {
		differ("sha256", f.SHA256, now.SHA256)
	}
	for _, c := range []struct {
		what      string
		want, got any
	}{
		{"packets", f.Packets, now.Packets}, {"captured octets", f.CapturedOctets, now.CapturedOctets}, {"wire octets", f.WireOctets, now.WireOctets},
		{"first time", f.First, now.First}, {"last time", f.Last, now.Last}, {"least time", f.Min, now.Min}, {"greatest time", f.Max, now.Max},
		{"frames that step back", f.BackSteps, now.BackSteps}, {"fault", faultText(f.Error), faultText(now.Error)},
	} {
		if c.want != c.got {
			differ(c.what, fmt.Sprint(c.want), fmt.Sprint(c.got))
		}
	}
}

func faultText(f *Fault) string {
	if f == nil {
		return "none"
	}
	return f.Text
}

// Load reads the manifest at path: a file, or a folder that has one of the usual name. It returns the folder that the manifest is of
// as far as its place says.
func Load(path string) (m *Manifest, dir, file string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", "", err
	}
	if file = path; info.IsDir() {
		file = filepath.Join(path, FileName)
	}
	r, err := os.Open(file)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: make it with dataset scan", err)
		}
		return nil, "", "", err
	}
	defer r.Close()
	m, err = Read(r, file)
	return m, filepath.Dir(file), file, err
}
