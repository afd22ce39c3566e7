package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// ClassesFile is the analysis.ClassesHeader in the results folder of a study of each class. Below it is a results folder for
// each class, as ClassOf.Folder names it.
const ClassesFile = "classes.json"

// ClassFolders returns a folder's name for each class's study: the class's own where it can be one, unlike all others and all files of a results
// folder whatever their case.
func ClassFolders(classes []string) []string {
	taken := make(map[string]bool)
	for _, name := range []string{ClassesFile, HeaderFile, ScenarioFile, RecordsFile, TableFile, CSVFile, SoakCSVFile, SoakTrialsCSVFile, "", ".", ".."} {
		taken[name] = true
	}
	folders := make([]string, len(classes))
	for i, class := range classes {
		plain := strings.Map(func(r rune) rune {
			if strings.ContainsRune(`/\:*?"<>|`, r) || r < ' ' {
				return '_'
			}
			return r
		}, class)
		name := plain
		for n := 2; taken[strings.ToLower(name)]; n++ {
			name = fmt.Sprintf("%s-%d", plain, n)
		}
		taken[strings.ToLower(name)] = true
		folders[i] = name
	}
	return folders
}

// HoldsClasses returns whether a results folder is of a study of each class.
func HoldsClasses(path string) bool {
	_, err := os.Stat(filepath.Join(path, ClassesFile))
	return err == nil
}

// CreateClasses makes a results folder for a study of each class. It refuses a folder that holds results already.
func CreateClasses(path string, h analysis.ClassesHeader) error {
	if err := Check(path); err != nil {
		return err
	}
	return WriteFile(filepath.Join(path, ClassesFile), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(h)
	})
}

// ReadClasses returns what the results folder of a study of each class holds.
func ReadClasses(path string) (*analysis.Classes, error) {
	c, _, err := folderReader{path: path}.classes()
	return c, err
}

// classes also returns the records of each class.
func (in folderReader) classes() (*analysis.Classes, [][]trial.Record, error) {
	c := &analysis.Classes{}
	if err := in.header(ClassesFile, "results folder of a study of each class", trial.Schema, &c.Header); err != nil {
		return nil, nil, err
	}
	all := make([][]trial.Record, len(c.Header.Classes))
	c.Results = make([]*analysis.Results, len(c.Header.Classes))
	for i, class := range c.Header.Classes {
		if !filepath.IsLocal(class.Folder) || class.Folder != filepath.Base(class.Folder) {
			return nil, nil, fmt.Errorf("%s: folder %q of %s: not a name in this folder", filepath.Join(in.path, ClassesFile), class.Folder, class.Name)
		}
		header, records, _, err := in.below(class.Folder).study()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		c.Results[i], all[i] = analysis.Analyze(header, records), records
	}
	return c, all, nil
}

// FinishClasses writes the table and the CSV of all classes into their results folder, each whole or not at all.
func FinishClasses(path string, c *analysis.Classes) error {
	if err := WriteFile(filepath.Join(path, TableFile), func(w io.Writer) error { return WriteClasses(w, c) }); err != nil {
		return err
	}
	return WriteFile(filepath.Join(path, CSVFile), func(w io.Writer) error { return classesTable(c, true).WriteCSV(w) })
}

// WriteClasses writes for a person which class costs a parser most: what was measured, whether the captures are synthetic, and a table of all
// classes, engine by engine, the dearest first.
func WriteClasses(w io.Writer, c *analysis.Classes) error {
	if err := writeClassesHeading(w, c); err != nil {
		return err
	}
	return classesTable(c, false).WriteText(w)
}

func writeClassesHeading(w io.Writer, c *analysis.Classes) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(clean(fmt.Sprintf(format, args...)) + "\n") }
	if c.Header.Synthetic != "" {
		line("%s", c.Header.Synthetic)
	}
	if done := c.Done(); done < len(c.Header.Classes) {
		line("unfinished: %d of %d classes", done, len(c.Header.Classes))
	}
	packets := ""
	if n := c.Header.Study.Reading.Packets; n > 0 {
		packets = fmt.Sprintf(", the first %d packets of each", n)
	}
	line("classes   %s: %d%s", c.Header.Tree, len(c.Header.Classes), packets)
	for _, r := range c.Results {
		if r == nil {
			continue
		}
		for text := range strings.Lines(heading(r)) { // the rest is that of all
			if text != "\n" && !strings.HasPrefix(text, "capture ") && !strings.HasPrefix(text, "unfinished: ") {
				b.WriteString(text)
			}
		}
		break
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// warningsShown is how many warnings a table of classes lists.
const warningsShown = 5

// classesTable has a row for each class and cell; whole has columns too in which all rows are alike.
func classesTable(c *analysis.Classes, whole bool) *Table {
	p := &c.Header.Study.Plan
	load, unit := FormatRate, "pps"
	if c.Header.Study.Settings.Unit == "bit/s" {
		load, unit = FormatBits, "bit_per_s"
	}
	rows := c.Compare()
	t := &Table{}
	var cells []func(*analysis.ClassCeiling) Cell
	add := func(shown bool, column Column, cell func(*analysis.ClassCeiling) Cell) {
		if shown {
			t.Columns, cells = append(t.Columns, column), append(cells, cell)
		}
	}
	ratio := func(v float64) float64 {
		if v == 0 {
			return math.NaN()
		}
		return v
	}
	add(true, Column{Head: "engine"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Cell.Engine) })
	add(true, Column{Head: "class"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Class) })
	add(whole, Column{Head: "category"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Category) })
	add(whole || len(p.Sizes) > 1, Column{Head: "size"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Cell.Size) })
	add(whole || len(p.Caches) > 1, Column{Head: "frames", Key: "cache"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Cell.Cache) })
	add(whole || len(p.Workers) > 1, Column{Head: "workers", Right: true}, func(r *analysis.ClassCeiling) Cell { return Text(strconv.Itoa(r.Cell.Workers)) })
	add(len(c.Header.Hosts) > 1, Column{Head: "machine"}, func(r *analysis.ClassCeiling) Cell { return Text(r.Host) })
	add(true, Column{Head: "B/packet", Key: "mean_octets", Right: true}, func(r *analysis.ClassCeiling) Cell { return Number(ratio(r.Octets), decimals(1)) })
	add(true, Column{Head: "time/packet", Key: "ns_per_packet", Right: true}, func(r *analysis.ClassCeiling) Cell { return with(r.NS, FormatDuration) })
	add(true, Column{Head: "x cheapest", Key: "times_cheapest", Right: true}, func(r *analysis.ClassCeiling) Cell { return Number(ratio(r.Times), decimals(2)) })
	add(true, Column{Head: "service", Key: "service_" + unit, Right: true}, func(r *analysis.ClassCeiling) Cell { return with(r.Service, load) })
	for _, g := range p.Goals {
		add(true, Column{Head: goalHead(g.Name), Key: g.Name + "_" + unit, Right: true}, func(r *analysis.ClassCeiling) Cell { return goalCell(&r.Ceiling, g.Name, load) })
	}
	add(whole || c.Header.Packets > 0, Column{Head: "of dataset", Key: "dataset_share", Right: true}, func(r *analysis.ClassCeiling) Cell {
		return Number(ratio(r.Share), FormatRatio)
	})
	add(true, Column{Head: "marks"}, func(r *analysis.ClassCeiling) Cell { return Text(marks(&r.Ceiling)) })
	for i := range rows {
		row := make([]Cell, len(cells))
		for j, cell := range cells {
			row[j] = cell(&rows[i])
		}
		t.Add(row...)
	}
	t.Notes = append(t.Notes, dearest(rows)...)
	warnings := c.Warnings()
	if n := len(warnings) - warningsShown; n > 1 {
		warnings = append(warnings[:warningsShown], fmt.Sprintf("and %d more warnings: the tables of the classes, and --json, have them all", n))
	}
	t.Notes = append(t.Notes, warnings...)
	return t
}

// dearest says for each cell, and each machine where there are several, which class costs most against which.
func dearest(rows []analysis.ClassCeiling) (notes []string) {
	for i := 0; i < len(rows); {
		j := i
		for j < len(rows) && rows[j].Cell == rows[i].Cell && rows[j].Host == rows[i].Host {
			j++
		}
		cheapest := j - 1
		for cheapest > i && rows[cheapest].Times == 0 {
			cheapest--
		}
		if cheapest > i {
			notes = append(notes, fmt.Sprintf("%s: %s takes %.3g times as long a packet as %s", onHost(rows[i].Cell.String(), rows[i].Host), rows[i].Class, rows[i].Times,
				rows[cheapest].Class))
		}
		i = j
	}
	return notes
}

// WriteClassesJSON writes one object a line, each with a "kind": the header with how many classes are done and all warnings, then a ceiling for
// each class and cell in the order of the table.
func WriteClassesJSON(w io.Writer, c *analysis.Classes) error {
	e := json.NewEncoder(w)
	header := c.Header
	for _, r := range c.Results {
		if r != nil {
			header.Study.Environment, header.Study.Caches = r.Header.Environment, r.Header.Caches
			break
		}
	}
	if err := e.Encode(struct {
		Kind string `json:"kind"`
		analysis.ClassesHeader
		Done     int      `json:"done"`
		Warnings []string `json:"warnings"`
	}{"classes", header, c.Done(), append([]string{}, c.Warnings()...)}); err != nil {
		return err
	}
	for _, row := range c.Compare() {
		if err := e.Encode(struct {
			Kind string `json:"kind"`
			Unit string `json:"unit"`
			analysis.ClassCeiling
		}{"class-ceiling", c.Header.Study.Settings.Unit, row}); err != nil {
			return err
		}
	}
	return nil
}
