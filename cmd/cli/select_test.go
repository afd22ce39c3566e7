package cli

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pcaplab/analysis/selection"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// writeRows writes a labelled table. value makes the values of a row of a class, with all columns 0 before.
func writeRows(t *testing.T, path string, rows int, labels []string, value func(random *rand.Rand, class int, v map[string]float64)) string {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	text := append(vectorio.AppendHeader(nil, true), '\n')
	for row := range rows {
		class := row % len(labels)
		values := map[string]float64{}
		value(random, class, values)
		var v feature.Vector
		for i, name := range feature.Columns() {
			v.Values[i] = values[name]
		}
		text = append(vectorio.AppendLabel(vectorio.AppendCSV(text, &v), labels[class]), '\n')
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// leaking has windows of 10 and 100 by class; AVG tells something too, Tot size is its copy, Min nothing.
func leaking(random *rand.Rand, class int, v map[string]float64) {
	v["Number"] = []float64{10, 100, 100}[class]
	v["AVG"] = math.Abs(random.NormFloat64()) + float64(class)
	v["Tot size"] = v["AVG"]
	v["Min"] = math.Abs(random.NormFloat64())
}

func selected(t *testing.T, args ...string) selectJSON {
	t.Helper()
	stdout, _ := run(t, ExitDone, append([]string{"features", "select", "--json"}, args...)...)
	var s selectJSON
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	return s
}

func TestFeaturesSelect(t *testing.T) {
	dir := t.TempDir()
	table := writeRows(t, filepath.Join(dir, "a.csv"), 900, []string{"BENIGN", "DDOS-SYN_FLOOD", "MIRAI-UDPPLAIN"}, leaking)
	s := selected(t, table)
	if s.Rows != 900 || s.Sampled != 900 || len(s.Classes) != 3 || s.Classes[0].Rows != 300 || math.Abs(s.Entropy-math.Log(3)) > 1e-9 {
		t.Errorf("%+v", s)
	}
	if len(s.Columns) != feature.NumColumns || s.Columns[0].Column != "Number" || s.Columns[0].Values != 2 {
		t.Errorf("%+v", s.Columns)
	}
	// Number tells benign from the others: ln 3 - 2/3 ln 2.
	if want := math.Log(3) - 2.0/3*math.Ln2; math.Abs(s.Columns[0].MutualInformation-want) > 0.05 {
		t.Errorf("Number tells %v, want %v", s.Columns[0].MutualInformation, want)
	}
	two := s.Columns[1:3]
	if two[0].Like != "" || two[1].Like != two[0].Column || two[1].Column+two[0].Column != "Tot sizeAVG" && two[1].Column+two[0].Column != "AVGTot size" {
		t.Errorf("%+v", two)
	}
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "several lengths (10, 100 rows)") {
		t.Errorf("%q", s.Warnings)
	}
	if c := s.Components; len(c.Columns) != 4 || c.Needed95 != 3 || len(c.Constant) != 35 {
		t.Errorf("%+v", c.Components)
	}
	if again := selected(t, table); !reflect.DeepEqual(again, s) {
		t.Errorf("another run finds\n%+v\nnot\n%+v", again, s)
	}
	// Without the leak there is no warning.
	s = selected(t, "--drop", "window-length", "--group", "binary", table)
	if len(s.Columns) != feature.NumColumns-len(feature.WindowLengthColumns()) || len(s.Warnings) != 0 || len(s.Classes) != 2 {
		t.Errorf("%+v", s)
	}
	// Without Number, but with a column that leaks as it does: ack_count has a value only in windows of 100.
	counted := writeRows(t, filepath.Join(dir, "b.csv"), 900, []string{"BENIGN", "DDOS-SYN_FLOOD", "MIRAI-UDPPLAIN"},
		func(random *rand.Rand, class int, v map[string]float64) {
			leaking(random, class, v)
			v["ack_count"] = v["Number"] / 2
		})
	if s = selected(t, "--drop", "Number", counted); len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "several lengths (10, 100 rows), and ack_count alone") {
		t.Errorf("%q", s.Warnings)
	}
	s = selected(t, "--sample", "100", "--seed", "3", table)
	if s.Rows != 900 || s.Sampled != 100 || s.Classes[1].Rows != 300 {
		t.Errorf("%+v", s)
	}
}

func TestFeaturesSelectText(t *testing.T) {
	dir := t.TempDir()
	table := writeRows(t, filepath.Join(dir, "a.csv"), 300, []string{"BENIGN", "DDOS-SYN_FLOOD", "MIRAI-UDPPLAIN"}, leaking)
	names := filepath.Join(dir, "columns.txt")
	stdout, stderr := run(t, ExitDone, "features", "select", "--top", "2", "-o", names, table)
	for _, want := range []string{"300 rows, 3 classes; entropy of the class, all that columns can tell: 1.099 nats", "\n1  Number ", "\n2  AVG ", "\n\n3 components explain 95 %", "of one value everywhere: Header_Length"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "Tot size     ") || !strings.Contains(stderr, "--drop window-length") {
		t.Errorf("%s\n%s", stdout, stderr)
	}
	text, err := os.ReadFile(names)
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) != 3 || lines[0] != "Number" || lines[2] != "" {
		t.Fatalf("%q, %v", text, err)
	}
	// What it writes is what --columns takes.
	s := selected(t, "--columns", names, table)
	if len(s.Columns) != 2 || s.Columns[0].Column != lines[0] {
		t.Errorf("%+v", s.Columns)
	}
	stdout, _ = run(t, ExitDone, "features", "select", "-q", "--top", "1", "-o", "-", table)
	if stdout != "Number\n" {
		t.Errorf("%q", stdout)
	}
}

func TestFeaturesSelectNonFinite(t *testing.T) {
	dir := t.TempDir()
	row := 0
	table := writeRows(t, filepath.Join(dir, "a.csv"), 200, []string{"BENIGN", "ATTACK"}, func(random *rand.Rand, class int, v map[string]float64) {
		leaking(random, class, v)
		if row++; row%20 == 7 {
			v["Rate"] = math.Inf(1)
		} else {
			v["Rate"] = random.Float64()
		}
	})
	_, stderr := run(t, ExitFailed, "features", "select", table)
	if !strings.Contains(stderr, "row 7") || !strings.Contains(stderr, `"Rate"`) || !strings.Contains(stderr, "--non-finite drop") {
		t.Errorf("%s", stderr)
	}
	if s := selected(t, "--non-finite", "drop", table); s.Rows != 200 || s.Dropped != 10 || s.Sampled != 190 || !reflect.DeepEqual(s.DroppedFor, map[string]int64{"Rate": 10}) {
		t.Errorf("%+v", s)
	}
	// A class that is gone.
	gone := writeRows(t, filepath.Join(dir, "gone.csv"), 90, []string{"BENIGN", "A", "B"}, func(random *rand.Rand, class int, v map[string]float64) {
		leaking(random, class, v)
		if class == 2 {
			v["Std"] = math.NaN()
		}
	})
	s := selected(t, "--non-finite", "drop", "--drop", "window-length", gone)
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "all rows were dropped of B: there are NaN or infinite values in Std (30 rows)") || s.Classes[1].Rows != 0 {
		t.Errorf("%+v", s)
	}
	for _, args := range [][]string{{"--non-finite", "clamp"}, {"--drop", "Rate"}} {
		if s := selected(t, append(args, table)...); s.Rows != 200 || s.Dropped != 0 || s.Sampled != 200 {
			t.Errorf("%v: %+v", args, s)
		}
	}
}

// What was lost of a table is said without a flag.
func TestFeaturesSelectSaysWhatWasLost(t *testing.T) {
	path := writeRows(t, filepath.Join(t.TempDir(), "cut.csv"), 60, []string{"BENIGN", "ATTACK"}, leaking)
	info, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, info.Size()-1)
	}
	if err != nil {
		t.Fatal(err)
	}
	s := selected(t, "--drop", "window-length", path)
	if len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "cut.csv: row 60, the last, ends without a line feed") {
		t.Errorf("%q", s.Warnings)
	}
}

func TestWindowLengths(t *testing.T) {
	for _, tt := range []struct {
		want    string
		lengths func(yield func(float64))
	}{
		{"", func(func(float64)) {}},
		{"", func(yield func(float64)) {
			yield(3) // the last of a capture
			for range 200 {
				yield(10)
			}
		}},
		{"10, 100", func(yield func(float64)) {
			yield(math.NaN())
			yield(7)
			for range 200 {
				yield(100)
				yield(10)
			}
		}},
		{"1 to 20000", func(yield func(float64)) {
			for i := range 20_000 {
				yield(float64(i + 1))
			}
		}},
	} {
		var w windowLengths
		tt.lengths(w.add)
		if got := w.several(); got != tt.want || len(w.counts) > mostLengths {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestFeaturesSelectRefused(t *testing.T) {
	dir := t.TempDir()
	one := writeRows(t, filepath.Join(dir, "one.csv"), 20, []string{"BENIGN"}, leaking)
	same := writeRows(t, filepath.Join(dir, "same.csv"), 20, []string{"BENIGN", "ATTACK"}, func(*rand.Rand, int, map[string]float64) {})
	nan := writeRows(t, filepath.Join(dir, "nan.csv"), 20, []string{"BENIGN", "ATTACK"}, func(_ *rand.Rand, _ int, v map[string]float64) { v["Rate"] = math.Inf(1) })
	half := writeRows(t, filepath.Join(dir, "half.csv"), 20, []string{"BENIGN", "ATTACK"}, func(_ *rand.Rand, class int, v map[string]float64) {
		if class == 1 {
			v["Rate"] = math.NaN()
		}
	})
	rows := 0
	large := writeRows(t, filepath.Join(dir, "large.csv"), 20, []string{"BENIGN", "ATTACK"}, func(random *rand.Rand, class int, v map[string]float64) {
		if leaking(random, class, v); rows == 12 {
			v["Rate"] = -2e150
		}
		rows++
	})
	empty := writeRows(t, filepath.Join(dir, "empty.csv"), 0, []string{"BENIGN"}, leaking)
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{ExitUsage, "no file", nil},
		{ExitUsage, "--sample -1", []string{"--sample", "-1", one}},
		{ExitUsage, "--non-finite", []string{"--non-finite", "pass", one}},
		{ExitUsage, "is no column", []string{"--columns", "Nmber", one}},
		{ExitUsage, "standard output", []string{"--json", "-o", "-", one}},
		{ExitFailed, "all rows are of the class BENIGN", []string{one}},
		{ExitFailed, "all rows that were sampled (1) are of the class ATTACK, though 2 classes were read: a larger --sample", []string{"--sample", "1", "--seed", "2", large, "--drop", "Rate"}},
		{ExitFailed, "all 20 rows were dropped, as there are NaN or infinite values in Rate (20 rows): --drop such columns, or --non-finite clamp", []string{"--non-finite", "drop", nan}},
		{ExitFailed, "all rows that are left are of the class BENIGN: 10 of 20 rows were dropped, as there are NaN or infinite values in Rate (10 rows)", []string{"--non-finite", "drop", half}},
		{ExitFailed, `large.csv: row 13, column "Rate" is -2e+150: more than 1e+150 cannot be squared; leave the row out of the file, or --drop "Rate"`, []string{"--non-finite", "drop", large}},
		{ExitFailed, "rows that differ", []string{same}},
		{ExitFailed, "no rows", []string{empty}},
		{ExitFailed, "no such file", []string{filepath.Join(dir, "none.csv")}},
		{ExitFailed, "no such file", []string{"-o", filepath.Join(dir, "none", "columns.txt"), one}},
	} {
		_, stderr := run(t, tt.code, append([]string{"features", "select"}, tt.args...)...)
		if !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: no %q in %s", tt.args, tt.want, stderr)
		}
	}
}

func TestFeaturesSelectCaptures(t *testing.T) {
	stdout, stderr := run(t, ExitDone, "features", "select", "--json", "--window", "10", "synth:DDoS-SYN_Flood:3000", "synth:Recon-PingSweep:3000")
	var s selectJSON
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Classes) != 2 || !s.Synthetic || s.Columns[0].Share < 0.5 || !strings.Contains(stderr, "synthetic") {
		t.Errorf("%+v\n%s", s, stderr)
	}
	if !slices.ContainsFunc(s.Columns[:12], func(c selectedColumn) bool { return strings.Contains(c.Column, "syn_") }) {
		t.Errorf("no column of SYN among the best: %+v", s.Columns)
	}
}

// TestFeaturesSelectCICRealRows ranks the columns of real rows.
func TestFeaturesSelectCICRealRows(t *testing.T) {
	dir := os.Getenv("PCAPLAB_CIC")
	if dir == "" {
		t.Skip("PCAPLAB_CIC names no folder with real rows")
	}
	s := selected(t, "--sample", "2000", "--non-finite", "drop", filepath.Join(dir, "inference-39col-label.csv"))
	if s.Rows != 10_730 || len(s.Classes) != 2 || s.Sampled != 2000 || !slices.ContainsFunc(s.Pairs, func(p selection.Pair) bool { return p.A == "AVG" && p.B == "Tot size" }) {
		t.Errorf("%+v", s)
	}
	for _, c := range s.Columns[:5] {
		t.Logf("%s tells %.3f of %.3f nats", c.Column, c.MutualInformation, s.Entropy)
	}
}
