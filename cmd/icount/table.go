package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// tolerance, in percent, is how far a count may be from the golden one. Repeats differ by nothing for engines that do not
// allocate, builds by an instruction or so in 700, when other code moves theirs.
// For those that allocate, nearly all are within half a percent, because of what the allocator meets; see confirm. Some
// cells on amd64 have two levels, a percent apart, and which of them a build meets moves with code elsewhere in the program.
func tolerance(engine string) float64 {
	if engine == "direct" || strings.HasSuffix(engine, "-layers") {
		return 0.5
	}
	return 1.5
}

// cell names a count.
type cell struct{ arch, engine, traffic string }

func (c cell) String() string { return c.arch + " " + c.engine + " " + c.traffic }

// row is a count of instructions per packet.
type row struct {
	cell
	instructions float64
}

// table is what was counted, with builds of one Go version.
type table struct {
	goVersion string
	rows      []row
}

const (
	versionHeader = "# go "
	columnHeader  = "architecture\tengine\ttraffic\tinstructions_per_packet"
)

// readTable reads a golden table.
func readTable(path string) (table, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return table{}, fmt.Errorf("golden table: %w; 'make icount-update' makes one", err)
	}
	t, err := parseTable(string(data))
	if err != nil {
		return table{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func parseTable(data string) (table, error) {
	lines := strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	version, found := strings.CutPrefix(lines[0], versionHeader)
	if !found || version == "" || len(lines) < 2 || lines[1] != columnHeader {
		return table{}, fmt.Errorf("line 1 must be %qVERSION, line 2 the column names", versionHeader)
	}
	t := table{goVersion: version}
	for i, line := range lines[2:] {
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			return table{}, fmt.Errorf("line %d: %d columns, want 4", i+3, len(fields))
		}
		n, err := strconv.ParseFloat(fields[3], 64)
		if err != nil || !(n > 0) || math.IsInf(n, 0) {
			return table{}, fmt.Errorf("line %d: %q is not a number of instructions", i+3, fields[3])
		}
		key := cell{fields[0], fields[1], fields[2]}
		if _, twice := t.find(key); twice {
			return table{}, fmt.Errorf("line %d: %v a second time", i+3, key)
		}
		t.rows = append(t.rows, row{key, n})
	}
	return t, nil
}

func (t table) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s%s\n%s\n", versionHeader, t.goVersion, columnHeader)
	for _, r := range t.rows {
		fmt.Fprintf(&s, "%s\t%s\t%s\t%.2f\n", r.arch, r.engine, r.traffic, r.instructions)
	}
	return s.String()
}

// write replaces the table at path whole.
func (t table) write(path string) error {
	if err := os.WriteFile(path+".new", []byte(t.String()), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (t table) find(key cell) (float64, bool) {
	i := slices.IndexFunc(t.rows, func(r row) bool { return r.cell == key })
	if i < 0 {
		return 0, false
	}
	return t.rows[i].instructions, true
}

// change is a count that is not the golden one; NaN stands for none.
type change struct {
	cell
	was, is float64
}

func (c change) percent() float64 { return (c.is - c.was) / c.was * 100 }

// compare returns what is beyond tolerance, in either direction, what the golden table lacks, and, if got is whole, what
// only the golden table has.
func compare(want, got table, whole bool) []change {
	var changes []change
	for _, r := range got.rows {
		was, known := want.find(r.cell)
		if !known {
			was = math.NaN()
		}
		if c := (change{r.cell, was, r.instructions}); !(math.Abs(c.percent()) <= tolerance(r.engine)) {
			changes = append(changes, c)
		}
	}
	if whole {
		for _, r := range want.rows {
			if _, counted := got.find(r.cell); !counted {
				changes = append(changes, change{r.cell, r.instructions, math.NaN()})
			}
		}
	}
	return changes
}

func writeChanges(w io.Writer, changes []change) {
	if len(changes) == 0 {
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "architecture\tengine\ttraffic\twas\tis\tchange")
	for _, c := range changes {
		percent := "n/a"
		if !math.IsNaN(c.percent()) {
			percent = fmt.Sprintf("%+.2f %%", c.percent())
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", c.arch, c.engine, c.traffic, number(c.was), number(c.is), percent)
	}
	tw.Flush()
}

// writeSpreads prints how far repeats of a cell lie apart, (max-min)/min in percent: how many cells by how much, and which
// by most.
func writeSpreads(w io.Writer, cells []cell, counts [][]float64) {
	type spread struct {
		cell
		percent float64
	}
	limits := []float64{0, 0.05, 0.1, 0.5, 1, math.Inf(1)}
	within := make([]int, len(limits))
	var most spread
	for i, key := range cells {
		lowest := slices.Min(counts[i])
		s := spread{key, (slices.Max(counts[i]) - lowest) / lowest * 100}
		within[slices.IndexFunc(limits, func(limit float64) bool { return s.percent <= limit })]++
		if s.percent >= most.percent {
			most = s
		}
	}
	fmt.Fprint(w, "spread of a cell's runs: ")
	for i, limit := range limits[:len(limits)-1] {
		fmt.Fprintf(w, "%d up to %g %%, ", within[i], limit)
	}
	fmt.Fprintf(w, "%d more; most %.2f %%, %v\n", within[len(within)-1], most.percent, most.cell)
}

func number(n float64) string {
	if math.IsNaN(n) {
		return "none"
	}
	return strconv.FormatFloat(n, 'f', 2, 64)
}

// writeMarkdown prints a table for each traffic: a row for each engine, a column for each architecture.
func (t table) writeMarkdown(w io.Writer) {
	var archs, engines, traffics []string
	add := func(list []string, name string) []string {
		if slices.Contains(list, name) {
			return list
		}
		return append(list, name)
	}
	for _, r := range t.rows {
		archs, engines, traffics = add(archs, r.arch), add(engines, r.engine), add(traffics, r.traffic)
	}
	for _, traffic := range traffics {
		fmt.Fprintf(w, "\n| %-25s |", traffic)
		for _, a := range archs {
			fmt.Fprintf(w, " %7s |", a)
		}
		fmt.Fprintf(w, "\n|:%s|%s\n", strings.Repeat("-", 26), strings.Repeat("--------:|", len(archs)))
		for _, e := range engines {
			fmt.Fprintf(w, "| %-25s |", e)
			for _, a := range archs {
				text := "n/a"
				if n, counted := t.find(cell{a, e, traffic}); counted {
					text = strconv.FormatFloat(n, 'f', 0, 64)
				}
				fmt.Fprintf(w, " %7s |", text)
			}
			fmt.Fprintln(w)
		}
	}
}

// minor returns the part of a Go version that names the compiler's generation: go1.26 of go1.26.8.
func minor(version string) string {
	version, _, _ = strings.Cut(version, " ") // of a toolchain with experiments
	if parts := strings.SplitN(version, ".", 3); len(parts) > 1 {
		digits := strings.TrimLeft(parts[1], "0123456789") // what follows them, as in go1.27rc1
		return parts[0] + "." + strings.TrimSuffix(parts[1], digits)
	}
	return version
}
