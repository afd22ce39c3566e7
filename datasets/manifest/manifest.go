package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
)

// Version is that of the manifests that Scan makes and Read takes.
const Version = 1

// FileName is what a manifest is called unless the user says otherwise, in the folder that it is of.
const FileName = "manifest.json"

// SyntheticName is the name of the file that marks a folder as made from a seed. Nothing of it is as published.
const SyntheticName = "synthetic.json"

// SyntheticHidden begins the names of files and folders that are in such a folder only while it is made, or after a kill. Scan passes them by.
const SyntheticHidden = ".synth-"

// Manifest is what a folder of captures holds. Files and Others are in natural order of their paths.
type Manifest struct {
	Version  int    `json:"manifest_version"`
	Complete bool   `json:"complete"` // false: the scan was interrupted, and captures are missing here
	Root     string `json:"root"`     // name of the folder, without its path; it may say the class of what is in it
	// Synthetic says that the folder has a file SyntheticName, or that it is a folder of a class, or PCAP, in one that has.
	Synthetic bool    `json:"synthetic,omitempty"`
	Files     []File  `json:"files"`
	Others    []Other `json:"others,omitempty"` // what is no capture, or could not be opened
}

// Other is a file that is no capture.
type Other struct {
	// Path is from the folder of the manifest, with slashes. A name that is no UTF-8 has \xNN for each octet that does not belong, and
	// an apostrophe at its end where a file is called so.
	Path   string `json:"path"`
	Octets int64  `json:"octets"`
	Why    string `json:"why"`
}

// File is a capture. Octets are as the name says; times are ns since 1970, and 0 in all where no frame has a time.
type File struct {
	Path     string    `json:"path"`             // from the folder of the manifest, with slashes
	Class    string    `json:"class,omitempty"`  // folder of the class of CIC-IoT-2023; empty where it is none of it
	Label    string    `json:"label"`            // of the class in the newer release, else the name of the folder it is in
	Octets   int64     `json:"octets"`           // size of the file
	Modified time.Time `json:"modified"`         // UTC; what JSON cannot say is the nearest that it can, in the years 0 to 9999
	SHA256   string    `json:"sha256,omitempty"` // of the file as stored, in lower-case hex; empty where it was not computed

	Container   string   `json:"container,omitempty"` // pcap or pcapng; empty where the header cannot be read
	Compression string   `json:"compression,omitempty"`
	ByteOrder   string   `json:"byte_order,omitempty"`
	Resolution  string   `json:"resolution,omitempty"` // of times; of the first interface
	Snaplen     uint32   `json:"snaplen"`              // the largest of the interfaces; 0 means not stated
	Links       []uint16 `json:"links,omitempty"`      // link types, each once, in the order of the interfaces

	Packets        uint64        `json:"packets"`
	CapturedOctets uint64        `json:"captured_octets"`
	WireOctets     uint64        `json:"wire_octets"`
	Kept           uint64        `json:"kept"` // Ethernet frames of type IPv4 or ARP: those that can give rows of features
	Timed          bool          `json:"timed"`
	First          int64         `json:"first_ns"` // of the first frame, not the least
	Last           int64         `json:"last_ns"`
	Min            int64         `json:"min_ns"`
	Max            int64         `json:"max_ns"`
	BackSteps      uint64        `json:"back_steps"` // frames with a time before that of the frame before them
	LargestBack    int64         `json:"largest_back_step_ns"`
	AtZero         uint64        `json:"at_zero"`    // frames in the first second of 1970
	Cut            uint64        `json:"cut"`        // captured length below the wire length
	AboveFull      uint64        `json:"above_1514"` // wire length above 1514 octets
	Faults         pcapio.Faults `json:"faults"`
	Error          *Fault        `json:"error,omitempty"`
	Losses         []pcapio.Loss `json:"losses,omitempty"` // with Salvage, the first 1000
	Lost           uint64        `json:"lost,omitempty"`   // how many there are
	LostOctets     int64         `json:"lost_octets,omitempty"`
	Salvage        bool          `json:"salvage,omitempty"`

	// Index has the first frame, and each at which tcpdump -C 10 would begin another piece, see PieceOctets. Only a classic pcap that is
	// not compressed can be read from an entry on; in others entries say where parts are, see File.Open.
	Index []Entry `json:"index,omitempty"`
}

// Fault is what ended reading a capture. The frames before it were counted.
type Fault struct {
	Kind   string `json:"kind"`             // one of the Fault constants
	Offset int64  `json:"offset"`           // in the stream after decompression
	Record uint64 `json:"record,omitempty"` // number of the record, from 1; 0 is the file header
	Text   string `json:"text"`
}

// Kinds of faults.
const (
	FaultCut     = "cut"         // the file ends inside a header, record or block: often an unfinished download
	FaultDamaged = "damaged"     // a header, record or block contradicts itself
	FaultNone    = "no capture"  // it is named as a capture, but holds something else
	FaultRead    = "read"        // the file cannot be read; it is read again by the next scan
	FaultChanged = "was changed" // while it was read; it is read again by the next scan
)

// Entry is the place of a frame in a capture. In JSON it is a list of its four numbers.
type Entry struct {
	Offset   int64  // of the record or block, in the stream after decompression
	Packets  uint64 // before it
	UnixNano int64  // time of its frame
	Kept     uint64 // Ethernet frames of type IPv4 or ARP before it
}

// MarshalJSON writes a list of four numbers.
func (e Entry) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%d,%d]", e.Offset, e.Packets, e.UnixNano, e.Kept), nil
}

// UnmarshalJSON reads a list of four numbers.
func (e *Entry) UnmarshalJSON(b []byte) error {
	var list []json.Number
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	if len(list) != 4 {
		return fmt.Errorf("an entry of an index has %d numbers, not 4", len(list))
	}
	var n [4]int64
	for i := range list {
		v, err := list[i].Int64()
		if err != nil {
			return fmt.Errorf("an entry of an index: %w", err)
		}
		n[i] = v
	}
	*e = Entry{n[0], uint64(n[1]), n[2], uint64(n[3])}
	return nil
}

// Write writes the manifest as JSON: the same octets for the same manifest. What Read refuses is an error, before anything is written.
func (m *Manifest) Write(w io.Writer) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("the manifest cannot be written: %w", err)
	}
	head, err := json.Marshal(struct {
		Version   int    `json:"manifest_version"`
		Complete  bool   `json:"complete"`
		Root      string `json:"root"`
		Synthetic bool   `json:"synthetic,omitempty"`
	}{m.Version, m.Complete, m.Root, m.Synthetic})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s,\n\"files\": [", head[:len(head)-1]); err != nil {
		return err
	}
	line := func(i int, v any) error { // one a line: large indexes never stand in memory as text at once
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		between := ",\n"
		if i == 0 {
			between = "\n"
		}
		_, err = fmt.Fprintf(w, "%s%s", between, text)
		return err
	}
	for i := range m.Files {
		if err := line(i, &m.Files[i]); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, "\n],\n\"others\": ["); err != nil {
		return err
	}
	for i := range m.Others {
		if err := line(i, &m.Others[i]); err != nil {
			return err
		}
	}
	_, err = io.WriteString(w, "\n]}\n")
	return err
}

// Read reads a manifest. The name stands in errors. What contradicts itself is refused: paths that leave the folder or come
// twice, negative sizes, losses that are counted but not there, an index that runs backwards.
func Read(r io.Reader, name string) (*Manifest, error) {
	var m Manifest
	d := json.NewDecoder(r)
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: not a manifest of captures: %w; make one with dataset scan", name, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the manifest at offset %d", name, d.InputOffset())
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i := range m.Files {
		m.Files[i].Modified = storable(m.Files[i].Modified)
	}
	m.sort()
	return &m, nil
}

func (m *Manifest) check() error {
	if m.Version != Version {
		return fmt.Errorf("manifest version %d: this program reads version %d; make one with dataset scan", m.Version, Version)
	}
	seen := make(map[string]bool)
	for i := range m.Files {
		if err := m.Files[i].check(seen); err != nil {
			return fmt.Errorf("file %d, %q: %w", i+1, m.Files[i].Path, err)
		}
	}
	for i, o := range m.Others {
		if err := checkPath(o.Path, seen); err != nil {
			return fmt.Errorf("other file %d, %q: %w", i+1, o.Path, err)
		}
	}
	return nil
}

// storable is a time that JSON can say.
func storable(t time.Time) time.Time {
	t = t.UTC()
	switch year := t.Year(); {
	case year > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	case year < 0:
		return time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}

func (f *File) check(seen map[string]bool) error {
	if err := checkPath(f.Path, seen); err != nil {
		return err
	}
	if f.Octets < 0 {
		return fmt.Errorf("%d octets", f.Octets)
	}
	if f.SHA256 != "" && (len(f.SHA256) != 64 || strings.Trim(f.SHA256, "0123456789abcdef") != "") {
		return fmt.Errorf("SHA-256 %q: want 64 digits of lower-case hex", f.SHA256)
	}
	if f.Lost > 0 && len(f.Losses) == 0 || uint64(len(f.Losses)) > f.Lost || f.LostOctets < 0 {
		return fmt.Errorf("%d losses of %d octets, but %d are there", f.Lost, f.LostOctets, len(f.Losses))
	}
	for i, e := range f.Index {
		if e.Offset < 0 || e.Packets >= f.Packets || e.Kept > e.Packets || e.Packets > math.MaxInt64 ||
			i == 0 && e.Packets != 0 || i > 0 && (e.Offset <= f.Index[i-1].Offset || e.Packets <= f.Index[i-1].Packets || e.Kept < f.Index[i-1].Kept) {
			return fmt.Errorf("entry %d of the index cannot be: %+v", i+1, e)
		}
	}
	return nil
}

func checkPath(p string, seen map[string]bool) error {
	if !utf8.ValidString(p) {
		return errors.New("is no UTF-8")
	}
	if p == "" || p != path.Clean(p) || path.IsAbs(p) || p == ".." || p == "." || strings.HasPrefix(p, "../") {
		return errors.New("want a path from the manifest's folder, with slashes")
	}
	if seen[p] {
		return errors.New("is there twice")
	}
	seen[p] = true
	return nil
}

func sortCandidates(list []*candidate) {
	slices.SortFunc(list, func(a, b *candidate) int { return datasets.Natural(a.path, b.path) })
}

func (m *Manifest) sort() {
	slices.SortFunc(m.Files, func(a, b File) int { return datasets.Natural(a.Path, b.Path) })
	slices.SortFunc(m.Others, func(a, b Other) int { return datasets.Natural(a.Path, b.Path) })
}

// Find returns the capture at a path, nil if it is not there.
func (m *Manifest) Find(path string) *File {
	i, ok := slices.BinarySearchFunc(m.Files, path, func(f File, p string) int { return datasets.Natural(f.Path, p) })
	if !ok {
		return nil
	}
	return &m.Files[i]
}
