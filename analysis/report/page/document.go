package page

import (
	"errors"
	"fmt"
	"regexp"

	"pcaplab/analysis/report"
)

// Document is a report. Texts are plain, without markup; empty ones and nil lists leave no trace in the page.
type Document struct {
	Title    string
	Subtitle string    // what was measured where: one line
	Answer   []string  // sentences; the first is the answer and is set large, the others say what it depends on
	Numbers  []Number  // the answer once more, as figures to be seen at a glance; up to four look best
	Warnings []Warning // doubts that concern the whole
	Sections []Section
	Facts    []Facts   // the machine and the settings, near the end of the page
	Raw      []RawFile // embedded, to be saved from the page
	Maker    string    // program and version, at the foot
}

// Number is one figure of the answer.
type Number struct {
	Value  string // with its unit: "61.0 kpps"
	Label  string // what it is: "direct + features + forest at 64 B"
	Detail string // what it depends on: "95 %: 60.1 to 61.8 kpps"; may be empty
}

// Warning is a doubt about the numbers.
type Warning struct {
	Text    string   // in a sentence
	Details []string // what it concerns: engine, cell, count of trials; folded away where there are more than three
}

// Section is a part of the page with a heading, reached from the list of contents.
type Section struct {
	ID      string // name in links: letters a to z, digits, "-"; no two alike
	Title   string
	Notes   []string // paragraphs below the heading
	Figures []Figure
	Tables  []Table
}

// Figure is a picture, with the numbers behind it.
type Figure struct {
	Name    string // stem of its files, as "loss": letters a to z, digits, "-"; unlike those of all figures and tables
	Title   string
	Caption string        // what is to be seen, and how to read it
	Chart   report.Chart  // the picture as it is printed, and its PNG and SVG
	Data    *report.Table // the numbers as CSV; nil: there is no such file
	Plot    *Plot         // in the picture's place where scripts run; nil: the picture stays
}

// Table is a table of the page.
type Table struct {
	Name  string // stem of its CSV file, as that of a Figure; empty: it has none
	Table *report.Table
	Fold  bool // closed until it is asked for; printed nevertheless if it has at most 60 rows
}

// RawFile is a file that can be saved from the page.
type RawFile struct {
	Name string // "records.jsonl"; a path with "/" is allowed, as "boards/A/records.jsonl"
	Note string // what it holds, in one line
	MIME string // "application/octet-stream" where empty
	Data []byte // as it is on disk: compressed in the page
}

// Facts are pairs of names and values under one heading, as the environment of one machine.
type Facts struct {
	Title string
	Rows  []Fact
}

// Fact is one of them.
type Fact struct{ Name, Value string }

// Plot is a figure that can be zoomed: curves over a common axis. The pictures' colours are used, in the order of the series.
type Plot struct {
	X, Y   Axis
	Series []Series
	Marks  []Mark // what outlined marks stand for, at the end of the legend
}

// Mark is what a shape stands for: Diamond, "NDR".
type Mark struct {
	Shape Shape
	Name  string
}

// Axis is one of a plot's.
type Axis struct {
	Title string // with its unit: "offered load (pps)"
	Log   bool   // logarithmic at first; the reader can change it where all shown values allow it
	Unit  Unit   // how values on it are written
}

// Unit says how numbers are written.
type Unit string

// Units of axes.
const (
	Plain Unit = ""      // 1200, with SI prefixes from a thousand: 1.2 k
	Ratio Unit = "ratio" // as percent: 0.005 is 0.5 %
	Nanos Unit = "ns"    // durations: 250 ns, 1.2 µs
	Secs  Unit = "s"     // seconds: 90 s, 12 min
	Bytes Unit = "B"     // octets: 64 B, 1.5 kB
	Rate  Unit = "pps"   // 61 kpps
	Bits  Unit = "bit/s" // 98.7 Mbit/s
)

// Series is one curve.
type Series struct {
	Name   string
	Points []Point // in any order
	Line   bool    // drawn by straight lines between points, in the order of X
	Dots   bool    // a mark at each point
	Shape  Shape   // of the marks
	Color  int     // from 0: series of one colour belong together, as measured points and their fitted line
	Of     string  // name of the series in whose entry of the legend this one is shown and hidden; empty: it has its own
}

// Shape is that of a mark.
type Shape string

// Shapes of marks. Outlined ones stand for what was found, as the pictures of loss have them.
const (
	OfColor Shape = ""        // another one for each colour: a circle is the first
	Diamond Shape = "diamond" // outlined, for an NDR
	Down    Shape = "down"    // outlined, a triangle that stands on its tip, for a PDR
)

// Point is one value of a series, with its interval as a whisker or, of a series without Dots, as a band. NaN or infinite X or Y: no point.
type Point struct {
	X, Y      float64
	Low, High float64 // both 0 or NaN: none
	Note      string  // shown with the point: "trial 12, 5.0 s"
}

var stem = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// check wants names that are good as file names and links, and unlike each other.
func (d *Document) check() error {
	seen := map[string]bool{}
	name := func(kind, s string) error {
		switch {
		case !stem.MatchString(s) || len(s) > 100:
			return fmt.Errorf("%s %q: a name is letters a to z, digits and single hyphens between them, at most 100", kind, s)
		case seen[s]:
			return fmt.Errorf("%s %q: the name is there twice", kind, s)
		}
		seen[s] = true
		return nil
	}
	if d.Title == "" {
		return errors.New("a page without a title")
	}
	for _, s := range d.Sections {
		if err := name("section", s.ID); err != nil {
			return err
		}
	}
	clear(seen)
	for i := range d.Sections {
		s := &d.Sections[i]
		for _, f := range s.Figures {
			if err := name("figure", f.Name); err != nil {
				return err
			}
			if f.Chart == nil {
				return fmt.Errorf("figure %q has no chart", f.Name)
			}
		}
		for _, t := range s.Tables {
			if t.Table == nil {
				return fmt.Errorf("section %q: table %q is nil", s.ID, t.Name)
			}
			if t.Name != "" {
				if err := name("table", t.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
