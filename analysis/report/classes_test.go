package report

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

func classesFixture() *analysis.Classes {
	plan := trial.Plan{Engines: []string{"direct"}, Sizes: []string{trial.Captured}, Caches: []string{trial.CacheCold}, Workers: []int{1}, Repeats: 1}
	c := &analysis.Classes{Header: analysis.ClassesHeader{
		Schema: trial.Schema, Tree: "tree\x1b", Synthetic: "synthetic: not captured", Packets: 200,
		Study:   trial.Header{Schema: trial.Schema, Plan: plan, Reading: trial.Reading{Packets: 50}},
		Classes: []analysis.ClassOf{{Name: "X", Folder: "X", Packets: 50}, {Name: "Y", Folder: "Y", Packets: 20}, {Name: "Z", Folder: "Z"}},
	}}
	for i := range 2 {
		ceiling := analysis.Ceiling{Cell: trial.Cell{Engine: "direct", Size: trial.Captured, Cache: trial.CacheCold, Workers: 1}, Octets: 60,
			NS: analysis.Summarize([]float64{float64(20 + 40*i)}), Service: analysis.Summarize([]float64{1e9 / float64(20+40*i)})}
		r := &analysis.Results{Header: c.Header.Study, Planned: 1, Done: 1, Ceilings: []analysis.Ceiling{ceiling}}
		for range 4 {
			r.Warnings = append(r.Warnings, "a warning")
		}
		c.Results = append(c.Results, r)
	}
	c.Results = append(c.Results, nil)
	return c
}

func TestWriteClasses(t *testing.T) {
	var b bytes.Buffer
	if err := WriteClasses(&b, classesFixture()); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"synthetic: not captured\n", "unfinished: 2 of 3 classes\n", "the first 50 packets of each",
		"direct captured cold: Y takes 3 times as long a packet as X\n", "X: a warning\n", "and 3 more warnings",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "capture  ") {
		t.Errorf("holds what it should not:\n%s", text)
	}
	dearest, cheapest := strings.Index(text, "direct  Y"), strings.Index(text, "direct  X")
	if dearest < 0 || cheapest < dearest {
		t.Errorf("the dearest class is not first:\n%s", text)
	}
}

func TestClassesCSVHasAllDigits(t *testing.T) {
	var b bytes.Buffer
	if err := classesTable(classesFixture(), true).WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%q, %v", rows, err)
	}
	want := map[string]string{"class": "Y", "ns_per_packet": "60", "times_cheapest": "3", "service_pps": "1.6666666666666666e+07", "dataset_share": "0.1", "cache": "cold"}
	for j, key := range rows[0] {
		if v, ok := want[key]; ok && rows[1][j] != v {
			t.Errorf("%s is %s, want %s", key, rows[1][j], v)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("columns missing: %v", want)
	}
}

func TestClassesFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	c := classesFixture()
	if err := CreateClasses(dir, c.Header); err != nil {
		t.Fatal(err)
	}
	if err := CreateClasses(dir, c.Header); err == nil {
		t.Error("made twice")
	}
	if err := Check(dir); err == nil {
		t.Error("a study of one capture would go into a folder of classes")
	}
	read, err := ReadClasses(dir)
	if err != nil || len(read.Results) != 3 || read.Done() != 0 || !HoldsClasses(dir) {
		t.Errorf("%+v, %v", read, err)
	}
	for _, text := range []string{`{`, `{"schema":99}`, `{"schema":1,"classes":[{"folder":"../x"}]}`, `{"schema":1,"classes":[{"folder":"a/b"}]}`, `{"schema":1,"classes":[{"folder":""}]}`} {
		if err := os.WriteFile(filepath.Join(dir, ClassesFile), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadClasses(dir); err == nil || !strings.Contains(err.Error(), ClassesFile) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestClassFolders(t *testing.T) {
	got := ClassFolders([]string{"a:b", "a_b", "A_B", "XSS", "classes.json", "Results.TXT", ".."})
	want := []string{"a_b", "a_b-2", "A_B-3", "XSS", "classes.json-2", "Results.TXT-2", "..-2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
