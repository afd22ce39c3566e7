package digest

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"

	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
)

// detailsShown is how many details of a doubt stand in Markdown.
const detailsShown = 12

// prose keeps text from outside from being taken for markup.
var prose = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`)

func markdown(text string) string { return prose.Replace(report.Plain(text)) }

// WriteMarkdown writes a page as GitHub-flavoured Markdown for papers: the answer, the doubts, each section's tables, the machines.
// figures is the folder of the pictures that page.WriteTwins wrote, relative to the text; without one pictures are left out.
func WriteMarkdown(w io.Writer, d *page.Document, figures string) error {
	out := bufio.NewWriter(w)
	line := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	line("# %s", markdown(d.Title))
	if d.Subtitle != "" {
		line("\n%s", markdown(d.Subtitle))
	}
	for _, text := range d.Answer {
		line("\n%s", markdown(text))
	}
	doubts := func(list []page.Warning) {
		for _, w := range list {
			line("- %s", markdown(w.Text))
			for i, detail := range w.Details {
				if i == detailsShown {
					line("  - and %d more", len(w.Details)-i)
					break
				}
				line("  - %s", markdown(detail))
			}
		}
	}
	if len(d.Warnings) > 0 {
		line("\n## Doubts\n")
		doubts(d.Warnings)
	}
	for i := range d.Sections {
		s := &d.Sections[i]
		line("\n## %s", markdown(s.Title))
		for _, note := range s.Notes {
			line("\n%s", markdown(note))
		}
		if len(s.Warnings) > 0 {
			line("")
			doubts(s.Warnings)
		}
		if figures != "" {
			for _, f := range s.Figures {
				line("\n![%s](%s)\n\n*%s.* %s", markdown(f.Title), strings.ReplaceAll(path.Join(figures, f.Name+".png"), " ", "%20"), markdown(f.Title), markdown(f.Caption))
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
		line("\n%s", markdown(d.Maker))
	}
	return out.Flush()
}
