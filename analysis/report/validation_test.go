package report

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"pcaplab/analysis/score"
	"pcaplab/analysis/validation"
)

// validationReport is one by hand: ten vectors of two classes and one that the model does not have, of tables and captures.
func validationReport() *validation.Report {
	set := func(name string, captures bool) validation.SetReport {
		c := score.New([]string{"BENIGN", "ATTACK", "a \x1b[31mnew\nkind"})
		c.AddN(0, 0, 5)
		c.AddN(0, 1, 1)
		c.AddN(1, 1, 2)
		c.AddN(2, 1, 2)
		alarms := c.Alarms(0)
		s := validation.SetReport{Name: name, Captures: captures, Sources: []validation.SourceReport{{Name: "x", Rows: 10}}, Rows: 10, Decided: 10, Confusion: c,
			Metrics: c.Metrics(), Intervals: drawn(c), Alarms: &alarms, HoursWhy: "tables have no times",
			Labels: []validation.Label{{Label: "a \x1b[31mnew\nkind", Rows: 2, Unknown: true}}}
		if captures {
			hour := 1.0
			s.Window, s.Synthetic, s.HoursWhy, s.Hours, s.FalseAlarmsPerHour = "N = 10", "synthetic: made from seed 1, not captured", "", 1, &hour
			s.FalseAlarmsPerHourInterval = &score.Interval{Low: 0, High: 3}
		}
		s.WindowLength = validation.LengthReport{Accuracy: 0.6, Baseline: 0.6, GroupRecall: 0.99, GroupBaseline: 0.5, Leaks: true,
			Groups: []validation.LengthGroup{{Number: 10, Classes: []string{"BENIGN"}}, {Number: 100, Classes: []string{"ATTACK", "a"}}}}
		s.Warnings = []string{"windows are of another length for some classes"}
		return s
	}
	alarms := uint64(1)
	recall := 0.5
	part := validation.AblationPart{Set: "captures", Leak: validation.LeakShown, Finding: "the model needs it", Synthetic: "synthetic: all of it",
		NotDone: []string{"something"}, Rows: []validation.Ablation{
			{Name: "by class, as published", Rows: 1234, Dropped: 5, BalancedAccuracy: 0.8, BalancedAccuracyInterval: score.Interval{Low: 0.79, High: 0.81}, MacroF1: 0.9, BenignRecall: &recall, FalseAlarms: &alarms},
			{Name: "N = 10", Against: "by class, as published", MacroF1: 0.3, Drop: 0.6, Verdict: validation.Collapses},
			{Name: "by class, as published, Number hidden", Hidden: true, Columns: "Number", Against: "by class, as published", MacroF1: 0.9, Verdict: validation.Holds},
		}}
	number := score.Value(0.25)
	drift := validation.DriftReport{Against: "tables", Set: "captures", ClassShift: 0.5, Unpaired: "rows do not pair: 9 and 10", Used: map[string]bool{"Rate": true},
		Drift: score.Drift{Columns: []score.ColumnDrift{{Column: "Rate", KS: number, PSI: 0.1}, {Column: "IAT", KS: 0.5, PSI: 0.2}, {Column: "Min", KS: 0, PSI: 0}}},
		WithinClasses: []validation.ClassDrift{{Column: "Rate", KS: 0.4, Classes: 2}, {Column: "IAT", KS: 0.1, Classes: 2},
			{Column: "Min", KS: score.Value(math.NaN())}}}
	return &validation.Report{Schema: validation.Schema, Model: validation.Model{Name: "m.onnx", SHA256: strings.Repeat("ab", 32), Classes: []string{"BENIGN", "ATTACK"},
		Columns: []string{"Rate"}}, Settings: validation.Settings{Benign: "BENIGN", NonFinite: "fail"},
		Sets: []validation.SetReport{set("tables", false), set("captures", true)}, Drift: []validation.DriftReport{drift}, Ablation: []validation.AblationPart{part}}
}

func drawn(c *score.Confusion) score.Intervals {
	i, err := c.Bootstrap(context.Background(), 100, 1, 0.95)
	if err != nil {
		panic(err)
	}
	return i
}

func TestWriteValidation(t *testing.T) {
	var b strings.Builder
	if err := WriteValidation(&b, validationReport(), ValidationText{Confusion: true}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	last := -1
	for _, want := range []string{ // in this order
		"model      m.onnx (abababababab): 2 classes of 1 column\n",
		"tables     10 vectors of 1 table\n",
		"captures   10 vectors of 1 capture, N = 10\n           synthetic: made from seed 1, not captured\n",
		"settings   values not finite: fail; benign is BENIGN\n",
		"tables: macro-F1 0.494", "0.833, 1 false alarm in 6 benign vectors",
		"captures: macro-F1 0.494", "0.833, 1.00 false alarms an hour",
		"captures: leak of the windows' length: the model needs it",
		"false alarms                    ", "1.00 [0, 3.00] in 60 min 00 s",
		"always the most frequent class  ",
		"no false alarms an hour for tables: tables have no times",
		"kind (unknown)",
		"tables, most often taken for another", "33",
		"confusion: a row is a true class",
		"captures against tables, columns that drifted most",
		"Rate  ", "0.400", "IAT  ", "0.100", // within classes first
		"class shares are 50.0 % apart", "rows do not pair: 9 and 10",
		"balanced accuracy", "by class, as published", "1,234  0.800 [0.790, 0.810]     0.900", "  Number hidden", "holds", "N = 10", "collapses",
		"synthetic: all of it", "by class, as published: 5 more vectors have no prediction", "not done: something",
		"tables: Number alone tells classes with windows of 10 (1 class) from those of", "100 (2 classes) with a mean recall of 99.0 %",
		"warning: tables: windows are of another length",
	} {
		at := strings.Index(text[max(last, 0):], want)
		if at < 0 {
			t.Fatalf("no %q behind octet %d of\n%s", want, last, text)
		}
		last = max(last, 0) + at + 1
	}
	if strings.Contains(text, "Min ") {
		t.Errorf("a column that did not drift is listed:\n%s", text)
	}
	if strings.ContainsRune(text, 0x1b) {
		t.Errorf("control characters of labels reach the terminal")
	}
	for _, line := range strings.Split(text, "\n") {
		if n := uniseg.StringWidth(line); n > 105 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	fault := errors.New("a full disk")
	if err := WriteValidation(failing{fault}, validationReport(), ValidationText{}); !errors.Is(err, fault) {
		t.Errorf("%v", err)
	}
}

func TestFormatScore(t *testing.T) {
	for v, want := range map[float64]string{1: "1.000", 0.9996: ">0.999", 0.0004: "<0.001", 0: "0.000", -0.0004: ">-0.001", -0.9996: "<-0.999", -1: "-1.000", math.Copysign(0, -1): "0.000", -0.25: "-0.250"} {
		if got := formatScore(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	for i, want := range map[score.Interval]string{{Low: 0.9996, High: 1}: "[0.999, 1.000]", {Low: 0.0001, High: 0.0004}: "[0.000, 0.001]", {Low: -0.0001, High: 0.5}: "[-0.001, 0.500]"} {
		if got := formatInterval(i); got != want {
			t.Errorf("%v is %s, want %s", i, got, want)
		}
	}
}

// Few benign minutes give a count, not a rate; a class all of whose vectors are dropped is listed; what tells nothing is not printed.
func TestWriteValidationOfLittle(t *testing.T) {
	r := validationReport()
	s := &r.Sets[1]
	s.Hours = 0.05
	s.Confusion.Classes[0] = "Y"
	s.DroppedOf = map[string]uint64{"gone": 7}
	s.Metrics.PerClass = append(s.Metrics.PerClass, score.ClassMetrics{Class: "gone"})
	s.WindowLength.GroupRecall = 0.5
	var b strings.Builder
	if err := WriteValidation(&b, r, ValidationText{}); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{"1 false alarm in 3 min", "n/a: only 3 min 00 s", "\n gone ", "gone: all 7 vectors have no prediction"} {
		if !strings.Contains(strings.ReplaceAll(text, "\ngone", "\n gone"), want) && !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "captures: Number alone") {
		t.Errorf("what tells nothing is printed:\n%s", text)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriteValidationFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	if err := CheckValidation(dir); err != nil {
		t.Fatal(err)
	}
	rest := func(w io.Writer) error {
		_, err := io.WriteString(w, "and the speed\n")
		return err
	}
	if err := WriteValidationFolder(dir, validationReport(), map[string]int{"whole": 1}, rest); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var whole map[string]int
	if err := json.Unmarshal([]byte(read(ValidationFile)), &whole); err != nil || whole["whole"] != 1 {
		t.Errorf("%v %v", whole, err)
	}
	if text := read(ValidationTextFile); !strings.HasSuffix(text, "and the speed\n") || !strings.Contains(text, "confusion: ") {
		t.Errorf("%s", text)
	}
	for name, rows := range map[string]int{ValidationCSVFile: 2, ClassScoresCSVFile: 6, ConfusionCSVFile: 18, DriftCSVFile: 3, AblationCSVFile: 3} {
		list, err := csv.NewReader(strings.NewReader(read(name))).ReadAll()
		if err != nil || len(list) != rows+1 {
			t.Errorf("%s: %d rows, want %d and the heads: %v", name, len(list), rows, err)
		}
	}
	if err := CheckValidation(dir); err == nil || !strings.Contains(err.Error(), "holds a validation already") {
		t.Errorf("%v", err)
	}
	// What is not there is not written.
	bare := validationReport()
	bare.Drift, bare.Ablation = nil, nil
	dir = filepath.Join(t.TempDir(), "bare")
	if err := errors.Join(CheckValidation(dir), WriteValidationFolder(dir, bare, nil, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, DriftCSVFile)); err == nil {
		t.Error("a file of no drift")
	}
}
