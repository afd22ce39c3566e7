package manifest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Survey returns what Scan would read in a folder and below it, without reading any of it: a manifest that is not Complete, whose Files have
// Path, Class, Label, Octets and Modified only. Files that turn out to be no captures are among them; Others are those that are known to be
// none. Ignore is Config.Ignore.
func Survey(dir, ignore string) (*Manifest, error) {
	found, others, err := list(dir, ignore)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Version: Version, Root: rootName(dir), Synthetic: isSynthetic(dir), Others: others}
	for _, c := range found {
		c.file = File{Path: c.path, Octets: c.octets, Modified: c.modified}
		c.name(m.Root)
		m.Files = append(m.Files, c.file)
	}
	m.sort()
	return m, nil
}

// ScanPart is Scan of some Files of a Survey of the folder, of which Path, Octets and Modified count. Others are those of the part that turned
// out to be no captures. A file that is no longer as the survey saw it, or that the system does not let be read, is an error: parts that were scanned at different
// times are put together by Merge only where they are of the same folder.
func ScanPart(ctx context.Context, dir string, part []File, cfg Config) (*Manifest, error) {
	found := make([]*candidate, len(part))
	was := make(map[string]File, len(part))
	for i, f := range part {
		c := &candidate{path: f.Path, full: filepath.Join(dir, filepath.FromSlash(f.Path)), octets: f.Octets, modified: f.Modified}
		info, err := os.Stat(c.full)
		if err != nil {
			return nil, err
		}
		if info.Size() != f.Octets || !storable(info.ModTime()).Equal(f.Modified) {
			return nil, changed(f.Path)
		}
		found[i], was[f.Path] = c, f
	}
	if len(was) < len(part) {
		return nil, errors.New("a file of the part is named twice")
	}
	sortCandidates(found)
	m, err := scan(ctx, dir, found, nil, cfg)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if f := &c.file; c.unread && f.Error != nil {
			return nil, fmt.Errorf("%s; make it readable, or take it out of the folder", f.Error.Text)
		}
	}
	for _, f := range m.Files {
		if w := was[f.Path]; f.Error != nil && f.Error.Kind == FaultChanged || w.Octets != f.Octets || !w.Modified.Equal(f.Modified) {
			return nil, changed(f.Path)
		}
	}
	return m, nil
}

func changed(path string) error {
	return fmt.Errorf("%s: was changed since the folder was listed: begin again when it is whole", path)
}

// Merge puts the manifests of parts of one folder together, in any order: what Scan would have made of the whole folder at once. Parts of other
// folders, parts that are not Complete, and files that come twice are refused. The result shares memory with the parts.
func Merge(parts []*Manifest) (*Manifest, error) {
	if len(parts) == 0 {
		return nil, errors.New("no manifest to merge")
	}
	m := &Manifest{Version: parts[0].Version, Complete: true, Root: parts[0].Root, Synthetic: parts[0].Synthetic}
	for i, p := range parts {
		switch {
		case p.Version != m.Version:
			return nil, fmt.Errorf("part %d is of manifest version %d, the first of %d", i+1, p.Version, m.Version)
		case !p.Complete:
			return nil, fmt.Errorf("part %d is of a scan that was interrupted", i+1)
		case p.Root != m.Root || p.Synthetic != m.Synthetic:
			return nil, fmt.Errorf("part %d is of folder %q (synthetic: %t), the first of %q (%t)", i+1, p.Root, p.Synthetic, m.Root, m.Synthetic)
		}
		m.Files = append(m.Files, p.Files...)
		m.Others = append(m.Others, p.Others...)
	}
	m.sort()
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}
