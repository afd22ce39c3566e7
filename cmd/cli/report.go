package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/analysis/report/digest"
	document "pcaplab/analysis/report/page" // man.go has a page
)

// Formats of a report.
const (
	formatHTML     = "html"
	formatMarkdown = "md"
	formatCSV      = "csv"
	formatJSON     = "json"
)

func reportFormats() []string {
	return []string{formatHTML + "\tone page, for a browser", formatMarkdown + "\tMarkdown, for papers", formatCSV + "\tall numbers, one a row", formatJSON + "\tall of it, for programs"}
}

type reportFlags struct {
	output  string
	format  string
	figures string
	title   string
	noRaw   bool
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report [flags] DIR...",
		Short: "Make one page of results folders: the answer first, figures, doubts, records",
		Long: `Makes a report of one results folder or more, of whatever command: ceiling, sweep and trial, with soaks and class by class,
scenarios, live, validate, and what 'remote' brought from several machines. Results are computed again from the records.

The page begins with the answer in sentences, then what is doubtful about it, then all ceilings side by side, and a part for
each folder. It is one file that needs no network: figures can be zoomed, and saved as PNG, SVG and CSV. Headers and
records are embedded, so that whoever has the page can check it (--no-raw leaves them out). They hold the plan, each
trial's counts and times, and what the machine is: board, processor, kernel, caches. Absolute paths are cut to their last
names, also in what other programs said, as far as they can be told from other text; relative ones stay as they were
given. Folders are named as they are, of those called USER@HOST without the user: look at both before you publish.

The format is that of the ending of -o FILE: .html or .htm, .md, .csv, .json; --format names it for standard output or another ending.
Markdown is for papers, csv has one number a row (source, of, engine, size, cache, workers, load, load_unit, measure,
unit, n, median, low, high, coverage, warnings, machine), json has all that the page says, with a schema number. Equal
folders give equal reports: no time of day is in them but those of the results.`,
		Example: `  ` + a.Name + ` report results -o report.html
  ` + a.Name + ` report pi3 pi4 pi5 -o boards.html --title "Three boards"
  ` + a.Name + ` report results --figures figures -o paper.md
  ` + a.Name + ` report results --format csv | grep ,ndr,
  ` + a.Name + ` report results --format json | jq -r '.answer[]'`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), a, args) },
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "", "file to write, as report.html, or - for standard output (default, but for html)")
	fs.StringVar(&f.format, "format", "", "html, md, csv or json (default: by the ending of -o, else html)")
	fs.StringVar(&f.figures, "figures", "", "folder for each figure as PNG and SVG, and its numbers as CSV")
	fs.StringVar(&f.title, "title", "", "title of the report (default: the names of the folders)")
	fs.BoolVar(&f.noRaw, "no-raw", false, "do not embed headers and records in the page")
	c.ValidArgsFunction = completeResults
	if err := a.offerFor(c, "format", choices{values: reportFormats()}.complete); err != nil {
		panic(err)
	}
	return c
}

// check finds what is wrong before anything is read.
func (f *reportFlags) check(a *app, args []string) error {
	if len(args) == 0 {
		return usagef("no results folder: name what -o of a measuring command wrote")
	}
	if err := f.byEnding(); err != nil {
		return err
	}
	switch f.format {
	case formatHTML:
		if f.output == "" {
			return usagef("a page goes into a file: -o report.html")
		}
		if f.output == stdin && isTerminal(a.stdout) {
			return usagef("standard output is a terminal: -o report.html, or send it into a pipe")
		}
	case formatMarkdown, formatCSV, formatJSON:
		if f.noRaw {
			return usagef("--no-raw is of --format html: %s holds no records", f.format)
		}
	default:
		return usagef("--format %q: want html, md, csv or json", f.format)
	}
	return nil
}

// byEnding chooses the format by the ending of the file where --format does not, and refuses a file of another format.
func (f *reportFlags) byEnding() error {
	ending := ""
	if f.output != stdin {
		ending = strings.ToLower(filepath.Ext(f.output))
	}
	of := map[string]string{".html": formatHTML, ".htm": formatHTML, ".md": formatMarkdown, ".csv": formatCSV, ".json": formatJSON}[ending]
	switch {
	case f.format == "" && of == "" && ending != "":
		return usagef("-o %s: no format of a report ends in %s: want .html, .md, .csv or .json, or say which with --format", f.output, ending)
	case f.format == "":
		f.format = of
		if of == "" {
			f.format = formatHTML
		}
	case of != "" && of != f.format && slices.Contains([]string{formatHTML, formatMarkdown, formatCSV, formatJSON}, f.format):
		return usagef("-o %s with --format %s: that ending is of %s: leave out --format, or name another file", f.output, f.format, of)
	}
	return nil
}

func (f *reportFlags) run(ctx context.Context, a *app, args []string) error {
	if err := f.check(a, args); err != nil {
		return err
	}
	if err := f.place(); err != nil {
		return err
	}
	sources, err := digest.Read(args)
	if err != nil {
		return err
	}
	if err := f.spare(sources); err != nil {
		return err
	}
	cfg := digest.Config{Title: f.title, Raw: !f.noRaw && f.format == formatHTML, Maker: a.Name + " " + version()}
	doc := digest.Compose(sources, cfg)
	if f.figures != "" {
		if err := os.MkdirAll(f.figures, 0o777); err != nil {
			return err
		}
		files, done := int64(0), int64(0)
		for i := range doc.Sections {
			files += int64(3*len(doc.Sections[i].Figures) + len(doc.Sections[i].Tables))
		}
		bar := a.countBar("figures")
		err := document.WriteTwins(func(name string, write func(io.Writer) error) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			bar.set(done, files)
			done++
			return report.WriteFile(filepath.Join(f.figures, name), write)
		}, doc)
		bar.done()
		if err != nil {
			return err
		}
		a.note("figures in %s", f.figures)
	}
	write := func(w io.Writer) error {
		switch f.format {
		case formatMarkdown:
			return digest.WriteMarkdown(w, doc, f.pictures())
		case formatCSV:
			return digest.Table(digest.Rows(sources)).WriteCSV(w)
		case formatJSON:
			return digest.WriteJSON(w, digest.ToJSON(sources, cfg))
		}
		return document.Write(w, doc)
	}
	if f.output == "" || f.output == stdin {
		return write(a.stdout)
	}
	if err := report.WriteFile(f.output, write); err != nil {
		return err
	}
	info, err := os.Stat(f.output)
	if err != nil {
		return errors.Join(fmt.Errorf("%s was written and is gone", f.output), err)
	}
	a.note("report in %s (%s)", f.output, report.FormatOctets(float64(info.Size())))
	if info.Size() > largePage && len(doc.Raw) > 0 {
		a.note("most of it are the records: --no-raw leaves them out")
	}
	return nil
}

// largePage is the size of a page, in octets, from which on a note says how to make it smaller.
const largePage = 1.5e6

// place finds before anything is read whether the report can be where it is wanted.
func (f *reportFlags) place() error {
	if f.figures != "" && report.HoldsResults(f.figures) {
		return fmt.Errorf("--figures %s: it is a results folder, which has files of such names: name another", f.figures)
	}
	if f.output == "" || f.output == stdin {
		return nil
	}
	if info, err := os.Stat(f.output); err == nil && info.IsDir() {
		return fmt.Errorf("-o %s: it is a folder: name a file in it", f.output)
	}
	folder, err := filepath.Abs(filepath.Dir(f.output))
	if err != nil {
		return err
	}
	if figures, err := filepath.Abs(f.figures); err == nil && f.figures != "" {
		if below, err := filepath.Rel(folder, figures); err == nil && filepath.IsLocal(below) {
			return nil // it will be made
		}
	}
	if _, err := os.Stat(folder); err != nil {
		return fmt.Errorf("-o %s: %w: make the folder first", f.output, err)
	}
	return nil
}

// spare refuses to write over what the sources are.
func (f *reportFlags) spare(sources []*report.Source) error {
	out, err := os.Stat(f.output)
	if err != nil {
		return nil // it is not there yet, or standard output
	}
	for _, s := range sources {
		files := []string{report.TableFile, report.CSVFile}
		for _, file := range s.Files {
			files = append(files, filepath.FromSlash(file.Name))
		}
		for _, name := range files {
			if have, err := os.Stat(filepath.Join(s.Path, name)); err == nil && os.SameFile(have, out) {
				return fmt.Errorf("-o %s: it is a file of the results in %s: name another", f.output, s.Path)
			}
		}
	}
	return nil
}

// pictures is where the figures are as seen from the text.
func (f *reportFlags) pictures() string {
	if f.figures == "" {
		return ""
	}
	from := "."
	if f.output != "" && f.output != stdin {
		from = filepath.Dir(f.output)
	}
	from, errFrom := filepath.Abs(from)
	to, errTo := filepath.Abs(f.figures)
	if errFrom != nil || errTo != nil {
		return filepath.ToSlash(f.figures)
	}
	relative, err := filepath.Rel(from, to)
	if err != nil { // on another volume
		return filepath.ToSlash(to)
	}
	return filepath.ToSlash(relative)
}
