package digest

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"

	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
)

// detailsShown is how many details of a doubt stand in Markdown.
const detailsShown = 12

// WriteMarkdown writes a page as GitHub-flavoured Markdown for papers: the answer, the doubts, each section's tables, the machines.
// figures is the folder of the pictures that page.WriteTwins wrote, relative to the text; without one pictures are left out.
func WriteMarkdown(w io.Writer, d *page.Document, figures string) error {
	out := bufio.NewWriter(w)
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	line("# %s", report.Markdown(d.Title))
	if d.Subtitle != "" {
		line("\n%s", report.Markdown(d.Subtitle))
	}
	for _, text := range d.Answer {
		line("\n%s", report.Markdown(text))
	}
	doubts := func(list []page.Warning) {
		for _, w := range list {
			line("- %s", report.Markdown(w.Text))
			for i, detail := range w.Details {
				if i == detailsShown {
					line("  - and %d more", len(w.Details)-i)
					break
				}
				line("  - %s", report.Markdown(detail))
			}
		}
	}
	if len(d.Warnings) > 0 {
		line("\n## Doubts\n")
		doubts(d.Warnings)
	}
	for i := range d.Sections {
		s := &d.Sections[i]
		line("\n## %s", report.Markdown(s.Title))
		for _, note := range s.Notes {
			line("\n%s", report.Markdown(note))
		}
		if figures != "" {
			for _, f := range s.Figures {
				line("\n![%s](%s)\n\n*%s.* %s", report.Markdown(f.Title), address(path.Join(figures, f.Name+".png")), report.Markdown(f.Title), report.Markdown(f.Caption))
			}
		}
		for _, t := range s.Tables {
			line("")
			if err := t.Table.WriteMarkdown(out); err != nil {
				return err
			}
		}
	}
	if len(d.Facts) > 0 {
		line("\n## Machines and settings")
	}
	for _, f := range d.Facts {
		t := &report.Table{Title: f.Title, Columns: []report.Column{{Head: "what"}, {Head: "is"}}}
		for _, row := range f.Rows {
			t.Add(report.Text(row.Name), report.Text(row.Value))
		}
		line("")
		if err := t.WriteMarkdown(out); err != nil {
			return err
		}
	}
	if d.Maker != "" {
		line("\n%s", report.Markdown(d.Maker))
	}
	return out.Flush()
}

// address escapes a path, name by name, for a link.
func address(path string) string {
	names := strings.Split(path, "/")
	for i, name := range names {
		names[i] = strings.NewReplacer("(", "%28", ")", "%29").Replace(url.PathEscape(name))
	}
	return strings.Join(names, "/")
}
