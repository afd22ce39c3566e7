package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pcaplab/datasets"
	"pcaplab/datasets/cic"
)

// Report is a manifest compared with what CIC-IoT-2023 has.
type Report struct {
	// Classes are those that have a file, in the order of the catalogue; then the labels of files of no class, in natural order.
	Classes []ClassReport `json:"classes"`
	// Absent are the folders of the classes without a file, where there is any of the dataset.
	Absent   []string  `json:"absent,omitempty"`
	Findings []Finding `json:"findings,omitempty"` // in the order of Classes
}

// ClassReport sums up the files of a class, or of a label.
type ClassReport struct {
	Class    string   `json:"class"` // its folder; empty for files that are of no class of the dataset
	Label    string   `json:"label"`
	Files    int      `json:"files"`
	Expected int      `json:"expected"` // how many the dataset has; 0 where Class is empty
	Found    int      `json:"found"`    // how many of those are there
	Missing  []string `json:"missing,omitempty"`
	Packets  uint64   `json:"packets"`
	Octets   int64    `json:"octets"` // of the files as stored
	Timed    bool     `json:"timed"`
	First    int64    `json:"first_ns"` // the earliest time of a frame, those in the first second of 1970 aside where there are others
	Faults   int      `json:"faults"`   // findings that are faults
}

// Finding is something that a person should know of a file.
type Finding struct {
	Path  string `json:"path"`
	Kind  string `json:"kind"`
	Fault bool   `json:"fault"` // something is wrong with the file, not only unusual
	Text  string `json:"text"`
}

// Kinds of findings beside those of Fault.Kind.
const (
	FoundTwice     = "twice"      // another file has the same place in the class
	FoundSame      = "same"       // another file has the same octets
	FoundUnnamed   = "unnamed"    // its name is none of the class's files
	FoundMisplaced = "misplaced"  // it is another class's by name or content
	FoundSize      = "size"       // not of the published size
	FoundContent   = "content"    // not the published octets
	FoundPackets   = "packets"    // not as many packets as published
	FoundLosses    = "losses"     // parts were skipped, with Salvage
	FoundBehind    = "behind"     // something lies behind its end, with Salvage
	FoundNotDone   = "not hashed" // the SHA-256 is known but was not computed
)

// Report compares the manifest with the catalogue of the dataset.
func (m *Manifest) Report() Report {
	var r Report
	grouped := map[string][]*File{} // by class, or by label behind a slash
	for i := range m.Files {
		f := &m.Files[i]
		key := f.Class
		if key == "" {
			key = "/" + f.Label
		}
		grouped[key] = append(grouped[key], f)
	}
	x := comparison{root: m.Root, synthetic: m.Synthetic, bySum: map[string]known{}, same: map[string]*File{}, small: map[string]bool{}}
	classes := cic.Classes()
	for _, c := range classes {
		for i, k := range c.Captures() {
			if k.SHA256 != "" {
				x.bySum[k.SHA256] = known{c.Folder, i}
			}
		}
	}
	ofDataset := slices.ContainsFunc(m.Files, func(f File) bool { return f.Class != "" })
	for _, c := range classes {
		if files := grouped[c.Folder]; len(files) > 0 {
			r.add(x.class(c, files))
			delete(grouped, c.Folder)
		} else if ofDataset {
			r.Absent = append(r.Absent, c.Folder)
		}
	}
	var labels []string
	for key := range grouped {
		labels = append(labels, key)
	}
	slices.SortFunc(labels, datasets.Natural)
	for _, key := range labels {
		r.add(x.label(strings.TrimPrefix(key, "/"), grouped[key]))
	}
	if x.sized == 0 {
		r.reduced(&x)
	}
	r.countFaults(m)
	return r
}

// Faults returns how many findings are faults.
func (r *Report) Faults() int {
	n := 0
	for _, f := range r.Findings {
		if f.Fault {
			n++
		}
	}
	return n
}

func (r *Report) add(c ClassReport, findings []Finding) {
	r.Classes = append(r.Classes, c)
	r.Findings = append(r.Findings, findings...)
}

// reduced is for a folder in which no file has the published size: files much smaller are no faults then. With more than three of those
// it is a small set of the same shape: of no file is the size said.
func (r *Report) reduced(x *comparison) {
	ofSize := func(f Finding) bool { return f.Kind == FoundSize || f.Kind == FoundPackets }
	for i, f := range r.Findings {
		if ofSize(f) && x.small[f.Path] {
			r.Findings[i].Fault = false
		}
	}
	if len(x.small) > 3 {
		r.Findings = append([]Finding{{Path: ".", Kind: FoundSize, Text: fmt.Sprintf("%d files are much smaller than those published: a reduced or synthetic set", len(x.small))}},
			slices.DeleteFunc(r.Findings, ofSize)...)
	}
}

// countFaults gives each class the faults of its files.
func (r *Report) countFaults(m *Manifest) {
	for _, finding := range r.Findings {
		f := m.Find(finding.Path)
		if f == nil || !finding.Fault {
			continue
		}
		i := slices.IndexFunc(r.Classes, func(c ClassReport) bool { return c.Class == f.Class && c.Label == f.Label })
		if i >= 0 {
			r.Classes[i].Faults++
		}
	}
}

// known is a published capture: a class's folder and a number.
type known struct {
	folder string
	number int
}

// comparison is what the report knows beyond a class.
type comparison struct {
	root      string
	bySum     map[string]known
	same      map[string]*File // first file with a SHA-256
	sized     int              // files of the published size
	synthetic bool
	small     map[string]bool // files much smaller than published
}

// class compares the files of a class.
func (x *comparison) class(c cic.Class, files []*File) (ClassReport, []Finding) {
	sum := ClassReport{Class: c.Folder, Label: c.Label, Expected: c.Files}
	var findings []Finding
	places := make([][]*File, c.Files)
	marks := map[*File]string{}
	for _, f := range files {
		sum.count(f)
		findings = append(findings, x.common(f)...)
		find := func(kind string, fault bool, format string, args ...any) {
			findings = append(findings, Finding{f.Path, kind, fault, fmt.Sprintf(format, args...)})
		}
		if k, ok := x.bySum[f.SHA256]; ok {
			if k.folder == c.Folder {
				places[k.number] = append(places[k.number], f)
			} else {
				find(FoundMisplaced, true, "its octets are those of %s", published(k))
			}
			continue
		}
		n, _ := cic.Recognise(x.root + "/" + f.Path)
		marks[f] = n.Copy
		switch {
		case n.Other != "":
			find(FoundMisplaced, true, "is named as a file of %s, in a folder of %s", n.Other, c.Folder)
		case n.Number < 0:
			find(FoundUnnamed, false, "its name is none of the class's files, %s", c.CaptureName(0))
		case n.Number >= c.Files:
			find(FoundUnnamed, false, "the class has %d files: %s is none of them", c.Files, c.CaptureName(n.Number))
		default:
			places[n.Number] = append(places[n.Number], f)
		}
	}
	takeCopies(places, marks)
	facts := c.Captures()
	for i, at := range places {
		if len(at) == 0 {
			sum.Missing = append(sum.Missing, c.CaptureName(i))
			continue
		}
		sum.Found++
		// The published name first, then by what is added to it.
		slices.SortStableFunc(at, func(a, b *File) int { return cmp.Compare(len(marks[a]), len(marks[b])) })
		for _, f := range at[1:] {
			findings = append(findings, Finding{f.Path, FoundTwice, false, fmt.Sprintf("is %s once more, beside %s", c.CaptureName(i), at[0].Path)})
		}
		for _, f := range at {
			findings = append(findings, x.facts(f, facts[i])...)
		}
	}
	return sum, findings
}

// takeCopies takes "X - 1" for the file 1 of a class where that is missing and X is there too: some copies are named so.
func takeCopies(places [][]*File, marks map[*File]string) {
	if len(places) == 0 || len(places[0]) < 2 || !slices.ContainsFunc(places[0], func(f *File) bool { return marks[f] == "" }) {
		return
	}
	places[0] = slices.DeleteFunc(places[0], func(f *File) bool {
		text, ok := strings.CutPrefix(marks[f], " - ")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 1 || n >= len(places) || len(places[n]) > 0 {
			return false
		}
		places[n] = append(places[n], f)
		return true
	})
}

func published(k known) string {
	class, _ := cic.Find(k.folder)
	return k.folder + "/" + class.CaptureName(k.number)
}

// facts compares a file with what is known of the published one.
func (x *comparison) facts(f *File, k cic.File) []Finding {
	differs := func(kind string, got, want int64, what, published string) []Finding {
		if got < want/2 {
			x.small[f.Path] = true
		}
		how := fmt.Sprintf("%d are missing", want-got)
		if got > want {
			how = fmt.Sprintf("%d too many", got-want)
		}
		return []Finding{{f.Path, kind, !k.Derived || got < want/2, fmt.Sprintf("%d %s, the published %s has %d: %s", got, what, published, want, how)}}
	}
	if x.synthetic {
		return nil
	}
	if f.Compression != "none" || f.Container != "pcap" {
		if k.Packets > 0 && f.Container != "" && f.Error == nil && f.Packets != uint64(k.Packets) {
			return differs(FoundPackets, int64(f.Packets), k.Packets, "packets", k.Name)
		}
		return nil
	}
	if k.Octets > 0 && f.Octets != k.Octets {
		return differs(FoundSize, f.Octets, k.Octets, "octets", k.Name)
	}
	if k.Octets > 0 {
		x.sized++
	}
	switch {
	case k.SHA256 == "" || f.SHA256 == k.SHA256:
		return nil
	case f.SHA256 == "":
		return []Finding{{f.Path, FoundNotDone, false, "has the published size; its SHA-256 is known, but was not computed"}}
	}
	return []Finding{{f.Path, FoundContent, true, fmt.Sprintf("has the size of the published %s, but other octets: SHA-256 %s, not %s", k.Name, f.SHA256, k.SHA256)}}
}

// label sums up files that are of no class.
func (x *comparison) label(label string, files []*File) (ClassReport, []Finding) {
	sum := ClassReport{Label: label}
	var findings []Finding
	for _, f := range files {
		sum.count(f)
		findings = append(findings, x.common(f)...)
	}
	return sum, findings
}

// common is what can be found of any file.
func (x *comparison) common(f *File) []Finding {
	var findings []Finding
	if f.Error != nil {
		findings = append(findings, Finding{f.Path, f.Error.Kind, true, strings.TrimPrefix(f.Error.Text, f.Path+": ")})
	}
	if f.Lost > 0 {
		text := fmt.Sprintf("%d parts skipped, %d octets", f.Lost, f.LostOctets)
		if len(f.Losses) > 0 {
			text += fmt.Sprintf("; the first: %v", f.Losses[0])
		}
		findings = append(findings, Finding{f.Path, FoundLosses, true, text})
	}
	if f.Faults.Behind > 0 {
		findings = append(findings, Finding{f.Path, FoundBehind, false, "octets that are not gzip lie behind its end: cut them off"})
	}
	if f.SHA256 != "" {
		if first, ok := x.same[f.SHA256]; ok {
			findings = append(findings, Finding{f.Path, FoundSame, false, "has the same octets as " + first.Path})
		} else {
			x.same[f.SHA256] = f
		}
	}
	return findings
}

// count adds a file.
func (c *ClassReport) count(f *File) {
	c.Files++
	c.Packets += f.Packets
	c.Octets += f.Octets
	if !f.Timed {
		return
	}
	least := f.Min
	if f.AtZero > 0 && f.AtZero < f.Packets { // the least of the others is not kept; the first frame's is near
		if least = f.First; least < 1e9 {
			least = f.Last
		}
	}
	if !c.Timed || least < c.First {
		c.Timed, c.First = true, least
	}
}
