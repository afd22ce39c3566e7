package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// Board is what a study found on one of several machines.
type Board struct {
	Name    string // that tells it from the others, as the host's
	Results *analysis.Results
}

// WriteBoards writes the same study on several machines side by side: a column per machine, rows of what was measured.
// What each machine is, and every warning, stands before and after; what soaks showed comes last, machine by machine.
func WriteBoards(w io.Writer, boards []Board) error {
	if len(boards) == 0 {
		return nil
	}
	if _, err := io.WriteString(w, boardsHeading(boards)+"\n"); err != nil {
		return err
	}
	if err := boardsTable(boards).WriteText(w); err != nil {
		return err
	}
	for _, b := range boards {
		if len(b.Results.Soaks) == 0 {
			continue
		}
		t := soakTable(b.Results)
		t.Title = b.Name + ": " + t.Title
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// boardsHeading writes what is said of all machines once, and then what is said of each.
func boardsHeading(boards []Board) string {
	lines := make([][]string, len(boards))
	for i, b := range boards {
		lines[i] = strings.Split(strings.TrimSpace(heading(b.Results)), "\n")
	}
	shared := func(line string) bool {
		return !slices.ContainsFunc(lines, func(other []string) bool { return !slices.Contains(other, line) })
	}
	var text strings.Builder
	for _, line := range lines[0] {
		if shared(line) && !strings.HasPrefix(line, "machine ") {
			text.WriteString(line + "\n")
		}
	}
	for i, b := range boards {
		text.WriteString(clean(b.Name) + "\n")
		for _, line := range lines[i] {
			if !shared(line) || strings.HasPrefix(line, "machine ") {
				text.WriteString("  " + line + "\n")
			}
		}
	}
	return text.String()
}

func boardsTable(boards []Board) *Table {
	t := &Table{Columns: []Column{{Head: "engine"}, {Head: "size"}, {Head: "frames"}, {Head: "measure"}}}
	several := slices.ContainsFunc(boards, func(b Board) bool { return severalWorkers(b.Results) })
	if several {
		t.Columns = slices.Insert(t.Columns, 3, Column{Head: "workers", Right: true})
	}
	var cells []trial.Cell
	var goals []string
	for _, b := range boards {
		t.Columns = append(t.Columns, Column{Head: b.Name, Right: true})
		for _, c := range b.Results.Ceilings {
			if !slices.Contains(cells, c.Cell) {
				cells = append(cells, c.Cell)
			}
		}
		for _, g := range b.Results.Header.Plan.Goals {
			if !slices.Contains(goals, g.Name) {
				goals = append(goals, g.Name)
			}
		}
		for _, warning := range b.Results.Warnings {
			t.Notes = append(t.Notes, b.Name+": "+warning)
		}
		for _, r := range b.Results.Header.Resizing {
			if r.Report.Sized() < r.Report.Frames {
				t.Notes = append(t.Notes, b.Name+": "+r.Report.String())
			}
		}
	}
	type measure struct {
		name string
		cell func(b Board, c *analysis.Ceiling) Cell
	}
	measures := []measure{{"time/packet", func(_ Board, c *analysis.Ceiling) Cell { return with(c.NS, FormatDuration) }}}
	if slices.ContainsFunc(boards, func(b Board) bool { return b.Results.Header.Plan.EngineAlone }) {
		measures = append(measures,
			measure{"engine alone", func(_ Board, c *analysis.Ceiling) Cell { return with(stageCost(c).EngineNS, FormatDuration) }},
			measure{"stages", func(_ Board, c *analysis.Ceiling) Cell { return with(stageCost(c).NS, FormatDuration) }})
	}
	measures = append(measures,
		measure{"CPU/packet", func(_ Board, c *analysis.Ceiling) Cell { return with(c.CPUNS, FormatDuration) }},
		measure{"service", func(b Board, c *analysis.Ceiling) Cell { return with(c.Service, formatLoad(b.Results)) }})
	for _, goal := range goals {
		measures = append(measures, measure{goalHead(goal), func(b Board, c *analysis.Ceiling) Cell {
			return goalCell(c, goal, formatLoad(b.Results))
		}})
	}
	measures = append(measures,
		measure{"peak", func(_ Board, c *analysis.Ceiling) Cell { return with(noInterval(maxOf(c.Peak)), FormatOctets) }},
		measure{"marks", func(_ Board, c *analysis.Ceiling) Cell { return Text(marks(c)) }})
	for _, cell := range cells {
		for _, m := range measures {
			row := []Cell{Text(cell.Engine), Text(cell.Size), Text(cell.Cache), Text(m.name)}
			if several {
				row = slices.Insert(row, 3, Text(strconv.Itoa(cell.Workers)))
			}
			empty := true
			for _, b := range boards {
				i := slices.IndexFunc(b.Results.Ceilings, func(c analysis.Ceiling) bool { return c.Cell == cell })
				value := Number(math.NaN(), func(v float64) string { return fmt.Sprint(v) })
				if i >= 0 {
					value = m.cell(b, &b.Results.Ceilings[i])
				}
				empty = empty && (i < 0 || value.Text == "")
				row = append(row, value)
			}
			if !empty {
				t.Add(row...)
			}
		}
	}
	return t
}
