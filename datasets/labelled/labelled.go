// Package labelled gives labelled vectors of features: from tables of them, and from captures, whose windows are summarised
// while they are read. They stream, in order, as often as wanted, and can be parted into rows to learn from and rows to test with.
package labelled

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"pcaplab/datasets"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// Benign is the label of windows that are no attack's where Config.Benign is empty. CIC-IoT-2023 spells it so.
const Benign = "BENIGN"

// Row is a labelled vector.
type Row struct {
	// Values are the columns in the order of feature.Columns. They may be NaN or infinite, as files and captures have them,
	// unless Config.NonFinite says otherwise.
	Values [feature.NumColumns]float64
	Label  string
	Source int   // index into the sources of the set
	Number int64 // of the vector in its source, from 1
	// Nano is the capture time of the window's last row, ns since 1970; 0 in tables.
	Nano int64
	// Covered is the capture time from the window before to this one's last row: summed up, how long the captures are. Times
	// that step back add nothing until they have caught up, and a gap of more than MaxGap, forward or back, is a pause that
	// adds nothing. 0 in tables.
	Covered time.Duration
	Rows    int // frames of the window, by the column Number; 0 where that is no such count
}

// MaxGap is the longest time without a row that still counts as captured (Row.Covered). Captures of CIC-IoT-2023 are joined from
// pieces that lie minutes to months apart.
const MaxGap = 5 * time.Minute

// Source is a table of vectors or a capture: which it is, its content tells.
type Source struct {
	Path string `json:"path"`
	// Span is the window of a capture.
	Span feature.Span `json:"span"`
	// Label is that of a capture's windows, and of the rows of a table without labels. A table's own labels go before.
	Label string `json:"label,omitempty"`
	// Truth is the table of what each packet of a capture is (datasets/truth). Windows then have their label from it.
	Truth string `json:"truth,omitempty"`
	// Open, if set, gives the frames instead of a file at Path, from the first, at every call. Frames with the methods Class() string
	// and Attack() bool, as synth.Source has, tell with TruthOfFrames what each frame is.
	Open          func() (extract.Frames, error) `json:"-"`
	TruthOfFrames bool                           `json:"truth_of_frames,omitempty"`
	// Synthetic says that the traffic was made up. It is only passed on.
	Synthetic bool `json:"synthetic,omitempty"`
}

// Config says how rows are made. The zero value takes labels and values as they are and keeps no rows in memory.
type Config struct {
	As      feature.As `json:"as"`      // whose numbers, of captures
	Salvage bool       `json:"salvage"` // go on after damage of a capture, and take a table up to its cut; Summary has what was lost
	// Attackers, if not nil, mark rows by address: a window with at least TruthShare of its rows marked, and at least one, has its
	// source's label, all others have Benign. Tables are not concerned.
	Attackers *feature.Attackers `json:"-"`
	// TruthShare is the least share of a window's rows that must be an attack's for the window to have its label, where packets
	// are told apart by Attackers or truth. At 0 one row is enough.
	TruthShare float64 `json:"truth_share,omitempty"`
	// Benign is the label of benign windows as Relabel gives it. "" means what Relabel makes of the constant Benign.
	Benign string `json:"benign,omitempty"`
	// Relabel, if set, replaces each label, of files, sources and truth alike: to spell them as one, or to put classes together. It is
	// called once a label, without the blanks around it. An error ends the pass.
	Relabel func(label string) (string, error) `json:"-"`
	// NonFinite says what becomes of rows with values that are not finite.
	NonFinite Policy `json:"non_finite"`
	// Columns are those that NonFinite looks at, as indices; nil is all.
	Columns []int `json:"columns,omitempty"`
	// Memory is how many octets of rows may be kept, so that the next pass need not read their files. Sources are kept whole or not.
	Memory int64 `json:"-"`
	// Progress is told, now and then, how many octets of the files of this pass were read, of how many; 0 of 0 where that is not known.
	Progress func(done, total int64) `json:"-"`
}

// Set is a set of rows. It belongs to one goroutine, together with the sets that it was parted into.
type Set struct {
	*pool
	keep   func(source int, number int64) bool // nil: all
	used   []bool                              // sources that have rows of the set
	limits *Limits                             // that Clamp uses, nil until they are known
	given  *Limits                             // nil: they are the set's own
	survey *Summary
}

// pool is what the parts of a set have in common.
type pool struct {
	cfg     Config
	sources []*source
	left    int64 // of Config.Memory
	labels  map[string]string
}

// source is a Source with what is known of it.
type source struct {
	Source
	table    bool
	size     int64 // octets of the file, 0 without one
	labelled bool  // a table with labels
	extra    []string
	kept     [][]kept // the rows, once they were read
	rows     int      // in kept
	tooLarge bool     // to be kept
	summary  *SourceSummary
	survey   *survey // of all rows
}

// Open looks at the sources, and reads them as far as it takes to tell what they are. All that is wrong with them is one error.
func Open(sources []Source, cfg Config) (*Set, error) {
	p := &pool{cfg: cfg, left: cfg.Memory, labels: make(map[string]string)}
	var faults []error
	if p.cfg.Benign == "" {
		var err error
		if p.cfg.Benign, err = p.relabel(Benign); err != nil {
			p.cfg.Benign = Benign
			if cfg.Attackers != nil || slices.ContainsFunc(sources, func(s Source) bool { return s.Truth != "" || s.TruthOfFrames }) {
				faults = append(faults, fmt.Errorf("benign traffic: %w", err))
			}
		}
	}
	if len(sources) == 0 {
		faults = append(faults, errors.New("no tables or captures"))
	}
	if !(cfg.TruthShare >= 0 && cfg.TruthShare <= 1) {
		faults = append(faults, fmt.Errorf("truth share %v: choose 0 to 1", cfg.TruthShare))
	}
	for _, c := range cfg.Columns {
		if c < 0 || c >= feature.NumColumns {
			faults = append(faults, fmt.Errorf("column %d: there are 0 to %d", c, feature.NumColumns-1))
		}
	}
	var infos []fs.FileInfo
	for _, s := range sources {
		src := &source{Source: s}
		info, err := src.look()
		if err != nil {
			faults = append(faults, err)
		}
		if info != nil {
			for _, other := range infos {
				if os.SameFile(info, other) {
					faults = append(faults, fmt.Errorf("%s: named twice: its rows would count twice", s.Path))
					break
				}
			}
			infos = append(infos, info)
		}
		p.sources = append(p.sources, src)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	set := &Set{pool: p, used: make([]bool, len(sources))}
	for i := range set.used {
		set.used[i] = true
	}
	return set, nil
}

// look finds out what a source is.
func (s *source) look() (fs.FileInfo, error) {
	if err := s.Span.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	if s.Open != nil {
		if s.Label == "" && !s.TruthOfFrames {
			return nil, fmt.Errorf("%s: has no label", s.Path)
		}
		return nil, nil
	}
	if s.TruthOfFrames {
		return nil, fmt.Errorf("%s: a file's frames do not say what they are: name the table of it in Truth", s.Path)
	}
	if s.Path == "-" {
		return nil, errors.New("standard input can be read only once, and rows are read again and again: name a file")
	}
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, err
	}
	s.size = info.Size()
	if s.table, s.labelled, s.extra, _, err = kindOf(s.Path); err != nil {
		return nil, err
	}
	if !s.table {
		if s.Label == "" && s.Truth == "" {
			return nil, fmt.Errorf("%s: a capture without a label", s.Path)
		}
		if s.Truth != "" {
			if _, err := os.Stat(s.Truth); err != nil {
				return nil, fmt.Errorf("truth of %s: %w", s.Path, err)
			}
		}
		return info, nil
	}
	if !s.labelled && s.Label == "" {
		return nil, fmt.Errorf("%s: a table without the column %s needs a label", s.Path, vectorio.LabelColumn)
	}
	return info, nil
}

// KindOf reports whether the file at path is a table of vectors, by its content, and whether that has labels. Else it is a capture.
func KindOf(path string) (table, labels bool, err error) {
	table, labels, _, _, err = kindOf(path)
	return table, labels, err
}

// SeemLabels returns the columns of a table without labels that are passed over though they look like labels: by their name, as
// "class", or as they hold text.
func SeemLabels(path string) ([]string, error) {
	_, _, extra, texts, err := kindOf(path)
	return slices.DeleteFunc(extra, func(name string) bool {
		plain := strings.ToLower(strings.TrimSpace(name))
		return !slices.Contains(texts, name) && !slices.Contains(labelNames, plain) && !strings.Contains(plain, "label")
	}), err
}

// labelNames are what columns of labels are called elsewhere.
var labelNames = []string{"class", "classes", "class_name", "target", "y", "category", "attack", "attack_type", "attack_cat", "attack_category", "attack type", "traffic"}

func kindOf(path string) (table, labels bool, extra, texts []string, err error) {
	switch info, err := os.Stat(path); { // opening a pipe would wait for who writes it
	case err != nil:
		return false, false, nil, nil, err
	case info.IsDir():
		return false, false, nil, nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("is a folder: name the files in it")}
	case !info.Mode().IsRegular():
		return false, false, nil, nil, fmt.Errorf("%s: not a regular file, and rows are read again and again: write it to a file first", path)
	}
	capture, err := datasets.Open(path, datasets.OpenConfig{})
	if err == nil {
		return false, false, nil, nil, capture.Close()
	}
	if !errors.Is(err, pcapio.ErrUnknown) {
		return false, false, nil, nil, err
	}
	r, err := vectorio.Open(path)
	if err != nil {
		if !errors.Is(err, vectorio.ErrOldRelease) {
			err = fmt.Errorf("%w (nor is it a capture)", err)
		}
		return false, false, nil, nil, err
	}
	return true, r.Labelled(), r.Extra(), r.Texts(), r.Close()
}

// Len returns how many sources there are, those without rows of this set too.
func (p *pool) Len() int { return len(p.sources) }

// Source returns source i, and whether it is a table.
func (p *pool) Source(i int) (s Source, table bool) { return p.sources[i].Source, p.sources[i].table }

// Kept returns how many sources of the set are wholly in memory, of how many.
func (s *Set) Kept() (kept, all int) {
	for i, used := range s.used {
		if used {
			all++
			if s.sources[i].kept != nil {
				kept++
			}
		}
	}
	return kept, all
}

// Path returns the path of source i, as in errors.
func (p *pool) Path(i int) string { return p.sources[i].Path }

// Each calls f with every row, source after source, each from its first row on. The row is overwritten afterwards. An error of f
// ends the pass and is returned; so does an error of a source, after the rows before it.
func (s *Set) Each(ctx context.Context, f func(*Row) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	done, total := int64(0), s.octets()
	for i, used := range s.used {
		if !used {
			continue
		}
		if err := s.source(ctx, i, func(octets int64) { s.tell(done+octets, total) }, f); err != nil {
			return err
		}
		done += s.sources[i].size
		s.tell(done, total)
	}
	return nil
}

// octets is the size of the files of a pass.
func (s *Set) octets() (sum int64) {
	for i, used := range s.used {
		if used {
			sum += s.sources[i].size
		}
	}
	return sum
}

func (s *Set) tell(done, total int64) {
	if s.cfg.Progress != nil {
		s.cfg.Progress(done, total)
	}
}

// source passes the rows of a source that belong to the set.
func (s *Set) source(ctx context.Context, i int, read func(int64), f func(*Row) error) error {
	return s.pool.read(ctx, i, read, func(r *Row) error {
		if s.keep != nil && !s.keep(r.Source, r.Number) {
			return nil
		}
		if ok, err := s.finite(r); err != nil || !ok {
			return err
		}
		return f(r)
	})
}

// relabel returns what a label is replaced by. Blanks around a label are not part of it.
func (p *pool) relabel(label string) (to string, err error) {
	to, known := p.labels[label]
	if known {
		return to, nil
	}
	if !utf8.ValidString(label) || strings.ContainsFunc(label, unicode.IsControl) {
		return "", fmt.Errorf("label %q: want UTF-8 without control characters", label)
	}
	if to = strings.TrimSpace(label); to == "" {
		return "", errors.New("the label is empty")
	}
	if p.cfg.Relabel != nil {
		if to, err = p.cfg.Relabel(to); err != nil {
			return "", err
		}
	}
	if len(p.labels) > maxLabels {
		return "", fmt.Errorf("more than %d labels: is the column of labels one of numbers?", maxLabels)
	}
	p.labels[label] = to
	return to, nil
}

// maxLabels bounds how many labels there may be, besides that of benign traffic.
const maxLabels = 10_000

// errEnd ends a pass that was left early.
var errEnd = errors.New("ended")

// counted counts the octets that are read of a file.
type counted struct {
	io.ReaderAt
	octets int64
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.octets += int64(n)
	return n, err
}
