package report

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Column is the head of a table's column.
type Column struct {
	Head  string // for people
	Key   string // for CSV, with the unit as "ndr_pps"; Head where empty
	Right bool   // numbers are aligned to the right
}

// Cell is one value of a table, once for people and once exact.
type Cell struct {
	Text string // written by WriteText and WriteMarkdown
	Raw  string // written by WriteCSV; Text where empty
}

// Text returns a cell that reads the same everywhere.
func Text(s string) Cell { return Cell{Text: s} }

// Number returns a cell that shows v as format writes it and keeps all its digits in CSV. NaN is "n/a" in both.
func Number(v float64, format func(float64) string) Cell {
	if v != v {
		return Cell{Text: "n/a", Raw: "n/a"}
	}
	return Cell{Text: format(v), Raw: strconv.FormatFloat(v, 'g', -1, 64)}
}

// Table is a result in rows, to be read by people or by programs.
type Table struct {
	Title   string
	Columns []Column
	Rows    [][]Cell
	Notes   []string // below the table, one a line; not in CSV
}

// Add appends a row.
func (t *Table) Add(row ...Cell) { t.Rows = append(t.Rows, row) }

func (t *Table) check() error {
	for i, row := range t.Rows {
		if len(row) != len(t.Columns) {
			return fmt.Errorf("table %q: row %d has %d cells for %d columns", t.Title, i+1, len(row), len(t.Columns))
		}
	}
	return nil
}

// WriteText writes the table for a terminal, its columns aligned by display width.
func (t *Table) WriteText(w io.Writer) error {
	if err := t.check(); err != nil {
		return err
	}
	lines, widths := t.texts(clean)
	out := bufio.NewWriter(w)
	if t.Title != "" {
		fmt.Fprintln(out, clean(t.Title))
	}
	for i, line := range lines {
		var b strings.Builder
		for j, text := range line {
			if j > 0 {
				b.WriteString("  ")
			}
			b.WriteString(padded(text, widths[j], t.Columns[j].Right))
		}
		fmt.Fprintln(out, strings.TrimRight(b.String(), " "))
		if i == 0 && len(widths) > 0 {
			rule := make([]string, len(widths))
			for j, n := range widths {
				rule[j] = strings.Repeat("─", n)
			}
			fmt.Fprintln(out, strings.Join(rule, "  "))
		}
	}
	for _, note := range t.Notes {
		fmt.Fprintln(out, clean(note))
	}
	return out.Flush()
}

var markup = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`)

// Markdown returns a text from outside as one line of GitHub-flavoured Markdown that is not taken for markup; at the begin of a
// line it may still be one of a list.
func Markdown(s string) string { return markup.Replace(clean(s)) }

// WriteMarkdown writes the table as GitHub-flavoured Markdown.
func (t *Table) WriteMarkdown(w io.Writer) error {
	if err := t.check(); err != nil {
		return err
	}
	text := Markdown
	lines, widths := t.texts(text)
	out := bufio.NewWriter(w)
	if t.Title != "" {
		fmt.Fprintf(out, "**%s**\n\n", text(t.Title))
	}
	for i, line := range lines {
		for j, cell := range line {
			fmt.Fprintf(out, "| %s ", padded(cell, max(widths[j], 3), t.Columns[j].Right))
		}
		if len(widths) > 0 {
			fmt.Fprintln(out, "|")
		}
		if i > 0 || len(widths) == 0 {
			continue
		}
		for j, n := range widths {
			rule := strings.Repeat("-", max(n, 3))
			if t.Columns[j].Right {
				rule = rule[1:] + ":"
			}
			fmt.Fprintf(out, "| %s ", rule)
		}
		fmt.Fprintln(out, "|")
	}
	for _, note := range t.Notes {
		fmt.Fprintf(out, "\n%s\n", text(note))
	}
	return out.Flush()
}

// WriteCSV writes the keys of the columns and the exact values of all rows as RFC 4180 has it, but for lines that end
// with a line feed alone.
func (t *Table) WriteCSV(w io.Writer) error {
	if err := t.check(); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	record := make([]string, len(t.Columns))
	for j, c := range t.Columns {
		record[j] = c.Key
		if c.Key == "" {
			record[j] = c.Head
		}
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for j, c := range row {
			record[j] = c.Raw
			if c.Raw == "" {
				record[j] = c.Text
			}
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// texts returns the heads and rows as they will be printed, and the display width of each column.
func (t *Table) texts(print func(string) string) (lines [][]string, widths []int) {
	widths = make([]int, len(t.Columns))
	heads := make([]string, len(t.Columns))
	for j, c := range t.Columns {
		heads[j] = print(c.Head)
	}
	lines = append(lines, heads)
	for _, row := range t.Rows {
		line := make([]string, len(row))
		for j, c := range row {
			line[j] = print(c.Text)
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for j, text := range line {
			widths[j] = max(widths[j], uniseg.StringWidth(text))
		}
	}
	return lines, widths
}

func padded(s string, width int, right bool) string {
	fill := strings.Repeat(" ", max(0, width-uniseg.StringWidth(s)))
	if right {
		return fill + s
	}
	return s + fill
}

// clean keeps s on its line and off the terminal's controls: names of files and engines come from outside.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' ||
			r >= 0xfffe && r <= 0xffff:
			return utf8.RuneError
		}
		return r
	}, s)
}
