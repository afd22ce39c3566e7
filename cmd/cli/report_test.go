package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/report/digest"
)

// TestReport makes every kind of report of studies that are measured here, and of a tree of several machines.
func TestReport(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run(t, ExitDone, ceilingArgs("--in-process", "--engines", "direct", "--sizes", "64,512,1518", "--stages", "features", "-o", at("ceilings"), "synth:iot-1:300")...)
	run(t, ExitDone, append([]string{"sweep", "--in-process", "--engines", "direct", "--rates", "0.5x,2x", "-o", at("sweep"), "synth:iot-1:300"}, tiny...)...)
	for _, machine := range []string{"a", "b"} {
		if err := os.CopyFS(at("boards/"+machine), os.DirFS(at("sweep"))); err != nil {
			t.Fatal(err)
		}
	}

	stdout, _ := run(t, ExitDone, "report", at("ceilings"), at("sweep"), at("boards"), "-o", at("all.html"), "--title", "Three & more")
	if stdout != "" {
		t.Errorf("on standard output: %q", stdout)
	}
	text, err := os.ReadFile(at("all.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Three &amp; more", "boards/a", "boards/b", "Ceilings side by side", "records.jsonl", "one repeat, no interval"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if bytes.Contains(text, []byte(dir)) {
		t.Error("the page has a path of this machine")
	}
	run(t, ExitDone, "report", at("ceilings"), "-o", at("one.html"))
	run(t, ExitDone, "report", at("ceilings"), "-o", at("again.html"))
	one, err := os.ReadFile(at("one.html"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.ReadFile(at("again.html"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, again) {
		t.Error("the same folder gave two pages")
	}
	bare, _ := run(t, ExitDone, "report", at("ceilings"), "-o", "-", "--no-raw")
	if len(bare) == 0 || len(bare) >= len(one) || strings.Contains(bare, "each trial, one a line") {
		t.Errorf("without records: %d octets, with them %d", len(bare), len(one))
	}

	for ending, want := range map[string]string{"md": "# ", "csv": "source,of,engine", "JSON": "{", "htm": "<!doctype html>", "txt": "source,of,engine", "": "<!doctype html>"} {
		name := strings.TrimSuffix(at("by-ending."+ending), ".")
		args := []string{"report", at("ceilings"), "-o", name}
		if ending == "txt" {
			args = append(args, "--format", "csv")
		}
		run(t, ExitDone, args...)
		if text, err := os.ReadFile(name); err != nil || !strings.HasPrefix(strings.ToLower(string(text)), want) {
			t.Errorf("%s begins with %q, want %q: %v", name, text[:min(len(text), 20)], want, err)
		}
	}

	markdown, _ := run(t, ExitDone, "report", at("ceilings"), "--format", "md", "-o", at("paper/paper.md"), "--figures", at("paper/figures"))
	if markdown != "" {
		t.Errorf("on standard output: %q", markdown)
	}
	paper, err := os.ReadFile(at("paper/paper.md"))
	if err != nil {
		t.Fatal(err)
	}
	pictures := 0
	for line := range strings.Lines(string(paper)) {
		if _, rest, ok := strings.Cut(line, "]("); ok && strings.HasPrefix(line, "![") {
			name, _, _ := strings.Cut(rest, ")")
			file, err := os.Open(at("paper/" + name))
			if err != nil {
				t.Error(err)
				continue
			}
			if _, err := png.DecodeConfig(file); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			file.Close()
			if _, err := os.Stat(at("paper/" + strings.TrimSuffix(name, ".png") + ".svg")); err != nil {
				t.Error(err)
			}
			pictures++
		}
	}
	if pictures < 4 { // ceilings, loss, cost, time, memory
		t.Errorf("%d pictures in\n%s", pictures, paper)
	}

	table, _ := run(t, ExitDone, "report", at("ceilings"), "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header, records, err := report.Read(at("ceilings"))
	if err != nil {
		t.Fatal(err)
	}
	ndr := 0
	for _, row := range rows[1:] {
		if row[8] == "ndr" {
			ndr++
		}
	}
	if want := len(analysis.Analyze(header, records).Ceilings); ndr != want || want != 3 {
		t.Errorf("%d rows of ndr, %d ceilings, want 3", ndr, want)
	}

	text2, _ := run(t, ExitDone, "report", at("boards"), "--format", "json")
	var j digest.JSON
	if err := json.Unmarshal([]byte(text2), &j); err != nil {
		t.Fatal(err)
	}
	if len(j.Sources) != 2 || j.Sources[0].Name != "a" || len(j.Answer) != 2 || !strings.HasPrefix(j.Answer[1], "b: direct: ") || len(j.Doubts) == 0 {
		t.Errorf("got %+v", j)
	}
}

// TestReportSparesResults: what is read is not written over.
func TestReportSparesResults(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	run(t, ExitDone, append([]string{"sweep", "--in-process", "--engines", "direct", "--rates", "0.5x", "-o", at("sweep"), "synth:iot-1:300"}, tiny...)...)
	before, err := os.ReadFile(at("sweep/" + report.RecordsFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(at("sweep/"+report.RecordsFile), at("link.html")); err != nil {
		t.Logf("no links here: %v", err)
	}
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"records", "a file of the results", []string{"-o", at("sweep/" + report.RecordsFile), "--format", "json"}},
		{"the header", "a file of the results", []string{"-o", at("sweep/" + report.HeaderFile), "--format", "json"}},
		{"its table", "a file of the results", []string{"-o", at("sweep/" + report.CSVFile), "--format", "csv"}},
		{"a link", "a file of the results", []string{"-o", at("link.html")}},
		{"its charts", "is a results folder", []string{"-o", at("x.html"), "--figures", at("sweep")}},
		{"a folder", "is a folder", []string{"-o", dir}},
		{"no folder", "make the folder first", []string{"-o", at("no/x.html")}},
	} {
		if _, err := os.Stat(at("link.html")); err != nil && tt.name == "a link" {
			continue
		}
		if _, stderr := run(t, ExitFailed, append([]string{"report", at("sweep")}, tt.args...)...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, stderr, tt.want)
		}
	}
	after, err := os.ReadFile(at("sweep/" + report.RecordsFile))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the records are not what they were: %v", err)
	}
}

func TestReportRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no folder", ExitUsage, []string{"-o", "x.html"}, "no results folder"},
		{"no file", ExitUsage, []string{dir}, "-o report.html"},
		{"a format", ExitUsage, []string{dir, "--format", "pdf"}, "html, md, csv or json"},
		{"an ending", ExitUsage, []string{dir, "-o", filepath.Join(dir, "x.pdf")}, "want .html, .md, .csv or .json"},
		{"a format of another ending", ExitUsage, []string{dir, "--format", "html", "-o", filepath.Join(dir, "x.csv")}, "that ending is of csv"},
		{"a format and an ending", ExitUsage, []string{dir, "--format", "pdf", "-o", filepath.Join(dir, "x.csv")}, "html, md, csv or json"},
		{"records in Markdown", ExitUsage, []string{dir, "-o", filepath.Join(dir, "x.md"), "--no-raw"}, "--no-raw"},
		{"records in a table", ExitUsage, []string{dir, "--format", "csv", "--no-raw"}, "--no-raw"},
		{"no results", ExitFailed, []string{dir, "-o", filepath.Join(dir, "x.html")}, "it holds a.txt"},
		{"a folder that is not there", ExitFailed, []string{filepath.Join(dir, "no"), "-o", filepath.Join(dir, "x.html")}, "no"},
	} {
		if _, stderr := run(t, tt.code, append([]string{"report"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, stderr, tt.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x.html")); err == nil {
		t.Error("a refused report left a file")
	}
}
