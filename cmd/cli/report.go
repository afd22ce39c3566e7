package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

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
trial's counts and times, and what the machine is: board, processor, kernel, caches. They hold no name of host or user,
and absolute paths of captures and models are cut to their last names; names that were given as relative paths stay.

--format md is for papers, csv has one number a row (source, of, engine, size, cache, workers, load, load_unit, measure,
unit, n, median, low, high, coverage, warnings), json has all that the page says, with a schema number. Equal
folders give equal reports: no time of day is in them but those of the results.`,
		Example: `  ` + a.Name + ` report results -o report.html
  ` + a.Name + ` report pi3 pi4 pi5 -o boards.html --title "Three boards"
  ` + a.Name + ` report results --format md --figures figures -o paper.md
  ` + a.Name + ` report results --format csv | grep ,ndr,
  ` + a.Name + ` report results --format json | jq -r '.answer[]'`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), a, args) },
	}
	fs := c.Flags()
	fs.StringVarP(&f.output, "output", "o", "", "file to write, or - for standard output (default, but for html)")
	fs.StringVar(&f.format, "format", formatHTML, "html, md, csv or json")
	fs.StringVar(&f.figures, "figures", "", "folder for each figure as PNG and SVG, and its numbers as CSV")
	fs.StringVar(&f.title, "title", "", "title of the report (default: the names of the folders)")
	fs.BoolVar(&f.noRaw, "no-raw", false, "do not embed headers and records in the page")
	c.ValidArgsFunction = completeResults
	if err := c.RegisterFlagCompletionFunc("format", choices{values: reportFormats()}.complete); err != nil {
		panic(err)
	}
	return c
}

// check finds what is wrong before anything is read.
func (f *reportFlags) check(a *app, args []string) error {
	if len(args) == 0 {
		return usagef("no results folder: name what -o of a measuring command wrote")
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

func (f *reportFlags) run(ctx context.Context, a *app, args []string) error {
	if err := f.check(a, args); err != nil {
		return err
	}
	sources, err := digest.Read(args)
	if err != nil {
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
