package report

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/rivo/uniseg"
)

func ceilings() *Table {
	t := &Table{
		Title:   "Ceilings (quick)",
		Columns: []Column{{Head: "engine"}, {Head: "NDR", Key: "ndr_pps", Right: true}, {Head: "marks"}},
		Notes:   []string{"queue 256 packets", "quick: not to be published"},
	}
	t.Add(Text("direct"), Number(12345678.9, FormatRate), Text(""))
	t.Add(Text("解析器"), Number(74, FormatRate), Text("a|b_c*<d>"))
	t.Add(Text("é́ ok"), Number(math.NaN(), FormatRate), Text("irregular"))
	t.Add(Text("ev\x1b[31mil\nname"), Number(0, FormatRate), Text("x, \"y\""))
	return t
}

func TestTableText(t *testing.T) {
	var b bytes.Buffer
	if err := ceilings().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 10 || lines[0] != "Ceilings (quick)" || lines[7] != "queue 256 packets" || lines[9] != "" {
		t.Fatalf("lines %q", lines)
	}
	// The last display column of the right-aligned rates is the same on every line.
	for i, end := range map[int]string{1: "NDR", 3: "12.3 Mpps", 4: "74 pps", 5: "n/a", 6: "0 pps"} {
		before, _, ok := strings.Cut(lines[i], end)
		if !ok || uniseg.StringWidth(before+end) != uniseg.StringWidth("ev?[31mil name")+2+len("12.3 Mpps") {
			t.Errorf("line %q does not end its rate at the common column", lines[i])
		}
	}
	if strings.ContainsAny(b.String(), "\x1b\r\t") {
		t.Error("control characters reached the text")
	}
	for _, line := range lines {
		if strings.TrimRight(line, " ") != line {
			t.Errorf("line %q ends in spaces", line)
		}
	}
}

func TestTableGolden(t *testing.T) {
	table := &Table{Title: "T", Columns: []Column{{Head: "engine"}, {Head: "NDR", Right: true}, {Head: "忙"}},
		Notes: []string{"note"}}
	table.Add(Text("direct"), Text("1.00 Mpps"), Text("a"))
	table.Add(Text("解析"), Text("7 pps"), Text("b|"))
	tests := []struct {
		name  string
		write func(io.Writer) error
		want  string
	}{
		{"text", table.WriteText, "" +
			"T\n" +
			"engine        NDR  忙\n" +
			"──────  ─────────  ──\n" +
			"direct  1.00 Mpps  a\n" +
			"解析        7 pps  b|\n" +
			"note\n"},
		{"markdown", table.WriteMarkdown, "" +
			"**T**\n\n" +
			"| engine |       NDR | 忙  |\n" +
			"| ------ | --------: | --- |\n" +
			"| direct | 1.00 Mpps | a   |\n" +
			"| 解析   |     7 pps | b\\| |\n" +
			"\nnote\n"},
		{"csv", table.WriteCSV, "engine,NDR,忙\ndirect,1.00 Mpps,a\n解析,7 pps,b|\n"},
		{"text of an empty table", (&Table{}).WriteText, "\n"},
		{"markdown of an empty table", (&Table{}).WriteMarkdown, ""},
		{"text without rows", (&Table{Columns: []Column{{Head: "a"}}}).WriteText, "a\n─\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

func TestTableCSVRoundTrip(t *testing.T) {
	table := ceilings()
	var b bytes.Buffer
	if err := table.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 5 || records[0][1] != "ndr_pps" {
		t.Fatalf("records %q", records)
	}
	if v, err := strconv.ParseFloat(records[1][1], 64); err != nil || v != 12345678.9 {
		t.Errorf("rate %q, want every digit of 12345678.9", records[1][1])
	}
	if records[3][1] != "n/a" {
		t.Errorf("no value is written %q", records[3][1])
	}
	for i, row := range table.Rows {
		for _, j := range []int{0, 2} {
			if records[i+1][j] != row[j].Text {
				t.Errorf("row %d column %d is %q, was %q", i, j, records[i+1][j], row[j].Text)
			}
		}
	}
}

func TestTableMarkdownStaysATable(t *testing.T) {
	var b bytes.Buffer
	if err := ceilings().WriteMarkdown(&b); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		rows++
		if bars := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|"); bars != 4 {
			t.Errorf("%d bars in %q, want 4", bars, line)
		}
	}
	if rows != 6 {
		t.Errorf("%d rows, want 6", rows)
	}
}

func TestTableRefusesRaggedRows(t *testing.T) {
	table := &Table{Title: "T", Columns: []Column{{Head: "a"}, {Head: "b"}}}
	table.Add(Text("1"), Text("2"))
	table.Add(Text("1"))
	for name, write := range map[string]func(io.Writer) error{
		"text": table.WriteText, "markdown": table.WriteMarkdown, "csv": table.WriteCSV,
	} {
		var b bytes.Buffer
		err := write(&b)
		if err == nil || !strings.Contains(err.Error(), "row 2 has 1 cells for 2 columns") || b.Len() > 0 {
			t.Errorf("%s: error %v after %d octets", name, err, b.Len())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestTableReturnsWriteErrors(t *testing.T) {
	table := ceilings()
	for name, write := range map[string]func(io.Writer) error{
		"text": table.WriteText, "markdown": table.WriteMarkdown, "csv": table.WriteCSV,
	} {
		if err := write(full{}); err == nil {
			t.Errorf("%s: a full disk went unnoticed", name)
		}
	}
}
