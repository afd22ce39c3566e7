package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"pcaplab/datasets/labelled"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
	"pcaplab/parse/model"
	"pcaplab/parse/model/hoeffding"
)

// trainedReport is what train prints with --json, as far as tests look.
type trainedReport struct {
	Columns, Classes, Warnings []string
	Learnt, Tested             labelled.Summary
	Split                      *labelled.Division
	Training                   struct {
		Converged bool
		Config    struct{ Leaf string }
		Tree      struct{ Rows, Nodes int }
		Metrics   trainedMetrics
	}
	Test struct{ Metrics trainedMetrics }
}

type trainedMetrics struct {
	Accuracy float64
	MCC      float64
	Macro    struct{ F1 float64 }
	Baseline struct{ Accuracy float64 }
}

func train(t *testing.T, args ...string) (r trainedReport, notes string) {
	t.Helper()
	out, notes := run(t, ExitDone, append([]string{"train"}, append(args, "--json")...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r, notes
}

// synthData are two captures each of two classes that any model tells apart.
var synthData = []string{"--data", "synth:Benign_Final:1000", "synth:DDoS-SYN_Flood:1000", "synth:Benign_Final:1000", "synth:DDoS-SYN_Flood:1000"}

func TestTrainLR(t *testing.T) {
	dir := t.TempDir()
	columns := []string{"Rate", "syn_flag_number", "TCP", "UDP", "AVG", "Std", "IAT"}
	same := slices.Concat([]string{"--as", "fixed", "--non-finite", "drop", "--columns", strings.Join(columns, ",")}, synthData)
	for _, name := range []string{"lr.json", "lr.onnx"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			r, _ := train(t, append([]string{"lr", "-o", path}, same...)...)
			if !r.Training.Converged || r.Test.Metrics.Macro.F1 < 0.95 || r.Split.By != labelled.ByCapture || !r.Split.Chosen {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(strings.Join(r.Warnings, ";"), "synthetic: made from seed 1") {
				t.Errorf("warnings %q", r.Warnings)
			}
			m, err := model.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(m.Columns(), columns) || !slices.Equal(m.Classes(), []string{"BENIGN", "DDOS-SYN_FLOOD"}) {
				t.Errorf("columns %q, classes %q", m.Columns(), m.Classes())
			}
			if learnt, tested := len(r.Learnt.Sources), len(r.Tested.Sources); learnt != 2 || tested != 2 {
				t.Errorf("%d sources learnt, %d tested", learnt, tested)
			}
		})
	}
	out, notes := run(t, ExitDone, append([]string{"train", "lr", "-o", filepath.Join(dir, "lr.json")}, same...)...)
	for _, want := range []string{"by capture, since every class", "training converged", "macro-F1 ", "always ", "DDOS-SYN_FLOOD", "of traffic)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if !strings.Contains(notes, "warning: synthetic: made") {
		t.Errorf("notes %s", notes)
	}

	table := tableOf(t, filepath.Join(dir, "t.csv"), inTurn(900, "BENIGN", "DDoS-SYN_Flood", "Mirai-udpplain"))
	var files [2][]byte
	for i, memory := range []string{"1MiB", "0"} {
		_, notes := run(t, ExitDone, "train", "lr", "--data", table, "-o", filepath.Join(dir, "lr.json"), "--memory", memory)
		if again := strings.Contains(notes, "each pass reads them again"); again != (memory == "0") {
			t.Errorf("--memory %s: %s", memory, notes)
		}
		var err error
		if files[i], err = os.ReadFile(filepath.Join(dir, "lr.json")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("rows that are read again at each pass gave another file")
	}
	if left := hiddenFiles(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func hiddenFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			names = append(names, e.Name())
		}
	}
	return names
}

// tableOf writes a table of rows, of which two columns tell three classes, and returns its path.
func tableOf(t *testing.T, path string, labels []string, more ...string) string {
	t.Helper()
	text := vectorio.AppendHeader(nil, true)
	for i, label := range labels {
		var v feature.Vector
		v.Values[feature.Number] = 10
		v.Values[feature.Avg] = float64(60 + i%7)
		v.Values[feature.TCP] = 0.5 + float64(i%5)/10
		switch label {
		case "DDoS-SYN_Flood", "DDOS-SYN_FLOOD":
			v.Values[feature.SynFlag] = 0.9 + float64(i%3)/100
		case "Mirai-udpplain":
			v.Values[feature.UDP] = 0.8 + float64(i%3)/100
		}
		text = append(vectorio.AppendLabel(vectorio.AppendCSV(text, &v), label), '\n')
	}
	if err := os.WriteFile(path, append(text, strings.Join(more, "")...), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// inTurn gives n labels, in turn.
func inTurn(n int, labels ...string) (list []string) {
	for i := range n {
		list = append(list, labels[i%len(labels)])
	}
	return list
}

func TestTrainGroups(t *testing.T) {
	dir := t.TempDir()
	// Both releases' spellings, and the folder's, are one class.
	a := tableOf(t, filepath.Join(dir, "a.csv"), inTurn(300, "BenignTraffic", "DDoS-SYN_Flood", "Mirai-udpplain"))
	b := tableOf(t, filepath.Join(dir, "b.csv"), inTurn(120, "BENIGN", "DDOS-SYN_FLOOD", "Mirai-udpplain"))
	groups := filepath.Join(dir, "groups.tsv")
	if err := os.WriteFile(groups, []byte("BENIGN\tgood\nDDOS*\tbad\n*\tugly\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "m.json")
	for group, want := range map[string]string{
		"none":          "BENIGN DDOS-SYN_FLOOD MIRAI-UDPPLAIN",
		"binary":        "Attack Benign",
		"category":      "Benign DDoS Mirai",
		"map=" + groups: "bad good ugly",
	} {
		r, _ := train(t, "lr", "--data", a, "--test", b, "--group", group, "-o", out, "--columns", "AVG,syn_flag_number,UDP,Number", "--drop", windowLength)
		if got := strings.Join(r.Classes, " "); got != want || r.Test.Metrics.Accuracy != 1 || r.Tested.Rows != 120 {
			t.Errorf("--group %s: %s, want %s; accuracy %v", group, got, want, r.Test.Metrics.Accuracy)
		}
		if got := strings.Join(r.Columns, " "); got != "syn_flag_number UDP AVG" {
			t.Errorf("columns %s", got)
		}
	}
	unknown := tableOf(t, filepath.Join(dir, "c.csv"), inTurn(30, "BENIGN", "DDOS-SYN_FLOOD", "new"))
	r, _ := train(t, "lr", "--data", a, "--test", unknown, "-o", out)
	if acc := r.Test.Metrics.Accuracy; acc != 20.0/30 {
		t.Errorf("accuracy %v: a class that was not learnt is wrong", acc)
	}
	_, notes := run(t, ExitFailed, "train", "lr", "--data", a, unknown, "--group", "category", "-o", out)
	if !strings.Contains(notes, `label "new" is none of CIC-IoT-2023`) {
		t.Errorf("%s", notes)
	}
}

// TestTablesWithoutLabels: rows are not labelled by their folder in silence.
func TestTablesWithoutLabels(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "m.json")
	table := func(header string, folders ...string) (paths []string) {
		for _, folder := range folders {
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o777); err != nil {
				t.Fatal(err)
			}
			path := tableOf(t, filepath.Join(dir, folder, "t.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(text), "\n")
			lines[0] = strings.TrimSuffix(lines[0], ",Label") + header
			if header == "" { // nor is the column there
				for i, line := range lines[1:] {
					lines[1+i] = line[:max(0, strings.LastIndexByte(line, ','))]
				}
			}
			if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o666); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
		return paths
	}
	classes, homes := []string{"Benign_Final", "DDoS-SYN_Flood"}, []string{"home", "lab"}
	for _, c := range []struct {
		name    string
		code    int
		header  string
		folders []string
		flags   []string
		want    string
	}{
		{"blank before", ExitDone, ", Label", homes, nil, ""},
		{"capitals", ExitDone, ",LABEL", homes, nil, ""},
		{"a class", ExitUsage, ",class", classes, nil, `no column Label, but "class": if that has the labels, rename it to Label; else --label folder takes BENIGN`},
		{"text by another name", ExitUsage, ",Kind of it", classes, nil, `but "Kind of it"`},
		{"a class, and its folder taken", ExitDone, ",class", classes, []string{"--label", "folder"}, `no column Label, but "class": all rows have the label BENIGN, as --label folder says`},
		{"known folders", ExitDone, "", classes, nil, ""},
		{"other folders", ExitUsage, "", homes, nil, `no column Label, and the name of its folder, "home", is no class of CIC-IoT-2023`},
		{"other folders, taken", ExitDone, "", homes, []string{"--label", "folder"}, "all rows have the label lab, as --label folder says"},
		{"windows of tables", ExitDone, ", Label", homes, []string{"--window", "cic"}, "--window: of captures, and there are only tables"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := slices.Concat([]string{"train", "lr", "--split", "none", "-o", out}, c.flags, []string{"--data"}, table(c.header, c.folders...))
			if _, stderr := run(t, c.code, args...); !strings.Contains(stderr, c.want) || c.want == "" && strings.Contains(stderr, "Label") {
				t.Errorf("want %q: %s", c.want, stderr)
			}
		})
	}
}

func TestTrainHoeffding(t *testing.T) {
	dir := t.TempDir()
	sorted := slices.Concat(slices.Repeat([]string{"BENIGN"}, 2000), slices.Repeat([]string{"DDoS-SYN_Flood"}, 2000))
	a := tableOf(t, filepath.Join(dir, "a.csv"), sorted)
	b := tableOf(t, filepath.Join(dir, "b.csv"), slices.Repeat([]string{"Mirai-udpplain"}, 500))
	out, curve := filepath.Join(dir, "tree.json"), filepath.Join(dir, "curve.csv")

	r, _ := train(t, "hoeffding", "--data", a, "-o", out, "--order", "read")
	if !strings.Contains(strings.Join(r.Warnings, ";"), "SORTED BY CLASS") || r.Tested.Rows != 0 {
		t.Errorf("%+v", r)
	}
	r, _ = train(t, "hoeffding", "--data", a, "-o", out, "--order", "shuffled", "--memory", "10k")
	if !strings.Contains(strings.Join(r.Warnings, ";"), "more --memory") {
		t.Errorf("%q", r.Warnings)
	}
	r, _ = train(t, "hoeffding", "--data", a, "-o", out, "--order", "shuffled", "--split", "random", "--curve", curve, "--leaf", "mc", "--curve-every", "500")
	if len(r.Warnings) == 0 || strings.Contains(strings.Join(r.Warnings, ";"), "SORTED") || r.Training.Metrics.Accuracy < 0.8 || r.Test.Metrics.Accuracy < 0.99 ||
		r.Training.Config.Leaf != "mc" || r.Training.Tree.Rows != int(r.Learnt.Rows) {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(curve)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	last := lines[len(lines)-1]
	if want := int(r.Learnt.Rows+499)/500 + 1; len(lines) != want || last[0] != fmt.Sprint(r.Learnt.Rows) || last[1] != fmt.Sprint(r.Training.Metrics.Accuracy) ||
		last[3] != fmt.Sprint(r.Training.Metrics.Macro.F1) {
		t.Errorf("%d lines of the curve, want %d; the last %q", len(lines), want, last)
	}

	// Learning goes on, with a class that is new.
	before := r.Training.Tree.Rows
	r, _ = train(t, "hoeffding", "--resume-from", out, "--data", b, a, "-o", out, "--order", "shuffled")
	if r.Training.Tree.Rows != before+4500 || !slices.Contains(r.Classes, "MIRAI-UDPPLAIN") || !strings.Contains(strings.Join(r.Warnings, ";"), "new to the tree") {
		t.Errorf("%+v", r)
	}
	m, err := model.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Classes()) != 3 {
		t.Errorf("classes %q", m.Classes())
	}
	stdout, _ := run(t, ExitDone, "train", "hoeffding", "--data", a, b, "-o", out, "--tree")
	for _, want := range []string{"prequential", "order    interleaved", "tree     4500 rows"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
}

func TestTrainUsage(t *testing.T) {
	dir := t.TempDir()
	table := tableOf(t, filepath.Join(dir, "t.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"))
	other := tableOf(t, filepath.Join(dir, "o.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"))
	one := tableOf(t, filepath.Join(dir, "one.csv"), inTurn(60, "BENIGN"))
	inf := strings.Repeat("inf,", feature.NumColumns) + "BENIGN\n"
	infinite := tableOf(t, filepath.Join(dir, "inf.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"), inf)
	cut := tableOf(t, filepath.Join(dir, "cut.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"), "1,2,3")
	plain := filepath.Join(dir, "plain.csv")
	if err := os.WriteFile(plain, vectorio.AppendHeader(nil, false), 0o666); err != nil {
		t.Fatal(err)
	}
	out, grown, names, groups := filepath.Join(dir, "m.json"), filepath.Join(dir, "grown.json"), filepath.Join(dir, "names.json"), filepath.Join(dir, "groups.tsv")
	train(t, "hoeffding", "--data", table, "-o", grown)
	regression := filepath.Join(dir, "regression.json")
	train(t, "lr", "--data", table, "-o", regression)
	for path, text := range map[string]string{names: "AVG\n", groups: "DDOS*\tbad\n"} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		code int
		args []string
		want string
	}{
		{"no kind", ExitUsage, []string{"forest"}, "choose lr or hoeffding"},
		{"no data", ExitUsage, []string{"lr", "-o", out}, "--data FILE"},
		{"no output", ExitUsage, []string{"lr", "--data", table}, "-o FILE.json or FILE.onnx"},
		{"output of another kind", ExitUsage, []string{"lr", "--data", table, "-o", "m.pkl"}, ".json or .onnx"},
		{"a tree as onnx", ExitUsage, []string{"hoeffding", "--data", table, "-o", filepath.Join(dir, "m.onnx")}, "naive Bayes"},
		{"no folder", ExitUsage, []string{"lr", "--data", table, "-o", filepath.Join(dir, "none", "m.json")}, "a folder that is there"},
		{"test and split", ExitUsage, []string{"lr", "--data", table, "--test", other, "--split", "time", "-o", out}, "give one"},
		{"test and share", ExitUsage, []string{"lr", "--data", table, "--test", other, "--test-share", "0.2", "-o", out}, "give one"},
		{"curve over data", ExitUsage, []string{"hoeffding", "--data", table, "--curve", table, "-o", out}, "--curve " + table + " is a file to read"},
		{"curve over the test", ExitUsage, []string{"hoeffding", "--data", table, "--test", other, "--curve", other, "-o", out}, "is a file to read"},
		{"curve over the model", ExitUsage, []string{"hoeffding", "--data", table, "--curve", filepath.Join(dir, ".", "m.json"), "-o", out}, "is the model's file"},
		{"curve over the tree", ExitUsage, []string{"hoeffding", "--data", table, "--resume-from", grown, "--curve", grown, "-o", out}, "is a file to read"},
		{"curve over columns", ExitUsage, []string{"hoeffding", "--data", table, "--columns", names, "--curve", names, "-o", out}, "is a file to read"},
		{"model over a map", ExitUsage, []string{"lr", "--data", table, "--group", "map=" + names, "-o", names}, "is a file to read"},
		{"model over addresses", ExitUsage, []string{"lr", "--data", table, "--truth", names, "-o", names}, "is a file to read"},
		{"benign is in no map", ExitUsage, []string{"lr", "--data", table, "--group", "map=" + groups, "--benign", "good", "-o", out}, "no pattern in it matches good"},
		{"share without split", ExitUsage, []string{"hoeffding", "--data", table, "--test-share", "0.2", "-o", out}, "needs --split"},
		{"share", ExitUsage, []string{"lr", "--data", table, "--test-share", "1", "-o", out}, "less than 1"},
		{"split", ExitUsage, []string{"lr", "--data", table, "--split", "half", "-o", out}, "choose capture, time or random"},
		{"column", ExitUsage, []string{"lr", "--data", table, "--columns", "Rat", "-o", out}, `"Rat" is no column`},
		{"columns file", ExitUsage, []string{"lr", "--data", table, "--columns", "none.txt", "-o", out}, "nor is there such a file"},
		{"group", ExitUsage, []string{"lr", "--data", table, "--group", "all", "-o", out}, "none, binary, category or map=FILE"},
		{"policy", ExitUsage, []string{"lr", "--data", table, "--non-finite", "pass", "-o", out}, "fail, drop or clamp"},
		{"C", ExitUsage, []string{"lr", "--data", table, "--C", "0", "-o", out}, "--C 0: want"},
		{"weights", ExitUsage, []string{"lr", "--data", table, "--class-weights", "some", "-o", out}, "none or balanced"},
		{"order", ExitUsage, []string{"hoeffding", "--data", table, "--order", "any", "-o", out}, "interleaved or shuffled"},
		{"delta", ExitUsage, []string{"hoeffding", "--data", table, "--delta", "2", "-o", out}, "delta 2"},
		{"resumed with flags", ExitUsage, []string{"hoeffding", "--data", table, "--resume-from", out, "--tau", "1", "-o", out}, "keeps its own"},
		{"stdin", ExitUsage, []string{"lr", "--data", "-", "-o", out}, "name a file"},
		{"learnt and tested", ExitUsage, []string{"lr", "--data", table, "--test", table, "-o", out}, "both learnt from and tested with"},
		{"named twice", ExitUsage, []string{"lr", "--data", table, table, "-o", out}, "named twice"},
		{"one class", ExitFailed, []string{"lr", "--data", one, "-o", out}, "two classes at least"},
		{"one class of tables", ExitFailed, []string{"lr", "--data", one, "-o", out}, "a table needs a column Label"},
		{"labels of labelled tables", ExitUsage, []string{"lr", "--data", table, "--label", "text=x", "-o", out}, "all tables have a column Label"},
		{"truth of tables", ExitUsage, []string{"lr", "--data", table, "--truth", "beside", "-o", out}, "there are only tables"},
		{"another model to go on with", ExitFailed, []string{"hoeffding", "--data", table, "--resume-from", regression, "-o", out}, `kind "logistic-regression": not a Hoeffding tree`},
		{"not finite", ExitFailed, []string{"lr", "--data", infinite, "-o", out}, `inf.csv: row 61, column "Header_Length" is +Inf`},
		{"cut", ExitFailed, []string{"lr", "--data", cut, "-o", out}, "the file was cut"},
		{"no labels", ExitFailed, []string{"lr", "--data", plain, "--label", "text=", "-o", out}, "--label"},
		{"no file", ExitFailed, []string{"lr", "--data", filepath.Join(dir, "none.csv"), "-o", out}, "no such file"},
		{"no tree", ExitFailed, []string{"hoeffding", "--data", table, "--resume-from", table, "-o", out}, "t.csv"},
		{"no class", ExitUsage, []string{"lr", "--data", "synth:iot-1", "-o", out}, "is of no class"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := runIn(context.Background(), strings.NewReader(""), append([]string{"train"}, c.args...)...)
			if code != c.code && c.name != "no labels" || code == ExitDone || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; %s", code, c.code, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a model was written")
			}
		})
	}
	for _, policy := range []string{"drop", "clamp"} {
		if r, _ := train(t, "lr", "--data", infinite, "--split", "none", "--non-finite", policy, "-o", out); r.Learnt.Dropped+r.Learnt.Clamped != 1 {
			t.Errorf("%s: %+v", policy, r.Learnt)
		}
	}
	if _, notes := run(t, ExitDone, "train", "lr", "--data", cut, "--salvage", "-o", out); !strings.Contains(notes, "the file was cut") {
		t.Errorf("notes %s", notes)
	}
}

// TestTrainCannotWrite wants to hear it before the data are read.
func TestTrainCannotWrite(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	if probe, err := os.CreateTemp(dir, ""); err == nil { // as root, or on a system without such permissions
		probe.Close()
		if dir = "/proc/self"; runtime.GOOS != "linux" {
			t.Skip("every folder can be written in")
		}
	}
	for _, args := range [][]string{{"-o", filepath.Join(dir, "m.json")}, {"-o", filepath.Join(t.TempDir(), "m.json"), "--curve", filepath.Join(dir, "c.csv")}} {
		code, _, stderr := runIn(context.Background(), strings.NewReader(""), append([]string{"train", "hoeffding", "--data", "none.csv"}, args...)...)
		if code != ExitFailed || strings.Contains(stderr, "none.csv") {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
}

// TestTrainResumes wants learning to go on with data of one class, and a tree's columns to be found whatever files are there.
func TestTrainResumes(t *testing.T) {
	t.Chdir(t.TempDir())
	tableOf(t, "a.csv", inTurn(600, "BENIGN", "DDoS-SYN_Flood"))
	tableOf(t, "b.csv", slices.Repeat([]string{"BENIGN"}, 300))
	if err := os.WriteFile("syn_flag_number", []byte("Rate\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	r, _ := train(t, "hoeffding", "--data", "a.csv", "--columns", "syn_flag_number", "-o", "tree.json")
	if !slices.Equal(r.Columns, []string{"syn_flag_number"}) {
		t.Errorf("columns %q", r.Columns)
	}
	r, _ = train(t, "hoeffding", "--resume-from", "tree.json", "--data", "b.csv", "-o", "tree.json")
	if r.Training.Tree.Rows != 900 || !slices.Equal(r.Classes, []string{"BENIGN", "DDOS-SYN_FLOOD"}) || !slices.Equal(r.Columns, []string{"syn_flag_number"}) {
		t.Errorf("%+v", r)
	}
	// A tree of columns in another order.
	tree, err := hoeffding.New([]string{"AVG", "syn_flag_number"}, []string{"BENIGN", "DDOS-SYN_FLOOD"}, hoeffding.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := tree.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("other.json", text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	if r, _ = train(t, "hoeffding", "--resume-from", "other.json", "--data", "a.csv", "-o", "o.json"); !slices.Equal(r.Columns, tree.Columns()) {
		t.Errorf("columns %q", r.Columns)
	}
}

// TestTrainMapAndTruth wants one benign class where a map puts labels together and a truth tells packets apart.
func TestTrainMapAndTruth(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("groups.tsv", []byte("BENIGN\tgood\nDDOS*\tbad\n*\tugly\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	same := append([]string{"lr", "-o", "m.json", "--truth", "beside", "--non-finite", "drop", "--split", "time"}, synthData...)
	r, _ := train(t, append(same, "--group", "map=groups.tsv")...)
	if !slices.Equal(r.Classes, []string{"bad", "good"}) {
		t.Errorf("classes %q", r.Classes)
	}
}

// TestTrainLabels wants labels to be spelled by what they are, not as paths.
func TestTrainLabels(t *testing.T) {
	t.Chdir(t.TempDir())
	tableOf(t, "a.csv", inTurn(400, "BenignTraffic", " benign_final", "benign 2", "a/XSS"))
	r, _ := train(t, "lr", "--data", "a.csv", "-o", "m.json")
	if got := strings.Join(r.Classes, ", "); got != "BENIGN, a/XSS, benign 2" {
		t.Errorf("classes %s", got)
	}
}

// TestTrainSaysWhatIsLeftOut wants dropped rows of the test, and captures without a window, to be said.
func TestTrainSaysWhatIsLeftOut(t *testing.T) {
	t.Chdir(t.TempDir())
	row := strings.Repeat("1e300,", feature.NumColumns) + "BENIGN\n"
	tableOf(t, "a.csv", inTurn(100, "BENIGN", "DDoS-SYN_Flood"))
	tableOf(t, "b.csv", inTurn(100, "BENIGN", "DDoS-SYN_Flood"), row)
	tableOf(t, "none.csv", nil)
	out, notes := run(t, ExitDone, "train", "lr", "--data", "a.csv", "none.csv", "--test", "b.csv", "synth:Benign_Final:100", "--non-finite", "drop", "-o", "m.json")
	for _, want := range []string{"rows to test with, Header_Length not finite in 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	for _, want := range []string{"none.csv: a table without rows", "warning: test: 1 of 2 files are synthetic"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	_, notes = run(t, ExitFailed, "train", "lr", "--data", "a.csv", "b.csv", "-o", "m.json")
	if !strings.Contains(notes, "b.csv: row 101") || !strings.Contains(notes, "beyond the range of float32") {
		t.Errorf("%s", notes)
	}
	// Frames that are no Ethernet, IPv4 or ARP count in no window.
	capture := append([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0}, // pcap, Ethernet
		1, 0, 0, 0, 0, 0, 0, 0, 14, 0, 0, 0, 14, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0xcc) // a frame of LLDP
	if err := os.WriteFile("lldp.pcap", capture, 0o666); err != nil {
		t.Fatal(err)
	}
	_, notes = run(t, ExitFailed, "train", "lr", "--data", "lldp.pcap", "--label", "text=BENIGN", "-o", "m.json")
	if !strings.Contains(notes, "lldp.pcap: none of its 1 packets counts in a window: ") {
		t.Errorf("%s", notes)
	}
}

// TestTrainExamples runs what the help shows, on files of those names.
func TestTrainExamples(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, class := range []string{"Benign_Final", "DDoS-SYN_Flood"} {
		for n := range 2 {
			path := filepath.Join("PCAP", class, fmt.Sprintf("%d.pcap", n))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			run(t, ExitDone, "synth", class, "--frames", "2000", "--seed", fmt.Sprint(2*i+n+1), "-o", path)
		}
	}
	for _, name := range []string{"captured.csv", "train.csv", "test.parquet", "monday.csv", "tuesday.csv", "Merged01.csv", "Merged02.csv"} {
		tableOf(t, name, inTurn(300, "BENIGN", "DDoS-SYN_Flood", "Mirai-udpplain")) // told apart by content
	}
	a := &app{Program: program()}
	for _, c := range []*cobra.Command{a.trainCommand(), a.trainLRCommand(), a.trainHoeffdingCommand()} {
		for _, line := range strings.Split(c.Example, "\n") {
			var args []string
			for _, word := range strings.Fields(line)[1:] {
				found, err := filepath.Glob(word)
				if err != nil {
					t.Fatal(err)
				}
				if len(found) == 0 || !strings.Contains(word, "*") {
					found = []string{strings.Replace(word, ":20000", ":1000", 1)}
				}
				args = append(args, found...)
			}
			run(t, ExitDone, args...)
		}
	}
}

// TestTrainInterrupted wants nothing to be left behind.
func TestTrainInterrupted(t *testing.T) {
	dir := t.TempDir()
	table := tableOf(t, filepath.Join(dir, "t.csv"), inTurn(3000, "BENIGN", "DDoS-SYN_Flood"))
	for _, kind := range []string{"lr", "hoeffding"} {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		code, _, stderr := runIn(ctx, strings.NewReader(""), "train", kind, "--data", table, "-o", filepath.Join(dir, "m.json"))
		if code != ExitInterrupted || !strings.Contains(stderr, "no model was written") {
			t.Errorf("%s: exit code %d, %s", kind, code, stderr)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var notes bytes.Buffer
	written := &training{trainFlags: &trainFlags{output: "m.json"}, a: &app{stderr: &notes}, written: true}
	if err := written.ended(ctx, ctx.Err()); err == nil || !strings.Contains(notes.String(), "the model was written, m.json") {
		t.Errorf("%v, %s", err, &notes)
	}
}

func TestFileLists(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i := range 5 {
		files = append(files, tableOf(t, filepath.Join(dir, fmt.Sprintf("%d.csv", i)), inTurn(60, "BENIGN", "DDoS-SYN_Flood")))
	}
	out := filepath.Join(dir, "m.json")
	for _, c := range []struct {
		args           []string
		learnt, tested string
	}{
		{[]string{files[0], "--data", files[1], files[2], "--test", files[3], files[4]}, "0 1 2", "3 4"},
		{[]string{"--test", files[3], "--seed", "3", files[4], "--data", files[1], "--C", "2", files[2], "--data=" + files[0]}, "1 2 0", "3 4"},
		{[]string{"--test", files[3], "--test", files[4], "--data", files[1]}, "1", "3 4"},
	} {
		r, _ := train(t, append(append([]string{"lr", "-o", out}, c.args...), "--quiet")...)
		list := func(s labelled.Summary) string {
			var names []string
			for _, source := range s.Sources {
				names = append(names, strings.TrimSuffix(filepath.Base(source.Path), ".csv"))
			}
			return strings.Join(names, " ")
		}
		if got := list(r.Learnt); got != c.learnt {
			t.Errorf("%q: learnt %s, want %s", c.args, got, c.learnt)
		}
		if got := list(r.Tested); got != c.tested {
			t.Errorf("%q: tested %s, want %s", c.args, got, c.tested)
		}
	}
}

// TestTrainRealRows trains on rows that a Raspberry Pi captured, by time order, and logs how well that goes. The logistic regressions must
// be within a point of what scikit-learn 1.2.1 gives on the same rows: StandardScaler and LogisticRegression(max_iter=5000, tol=1e-8).
func TestTrainRealRows(t *testing.T) {
	cic := os.Getenv("PCAPLAB_CIC")
	if cic == "" {
		t.Skip("PCAPLAB_CIC unset: no real rows")
	}
	rows := filepath.Join(cic, "inference-39col-label.csv")
	dir := t.TempDir()
	for _, c := range []struct {
		name    string
		args    []string
		macroF1 float64 // of scikit-learn
	}{
		{"lr", []string{"lr", "-o", filepath.Join(dir, "lr.onnx")}, 0.98809},
		{"lr balanced", []string{"lr", "--class-weights", "balanced", "-o", filepath.Join(dir, "lr.json")}, 0.98680},
		{"hoeffding", []string{"hoeffding", "--order", "read", "-o", filepath.Join(dir, "tree.json")}, 0},
	} {
		r, _ := train(t, append(c.args, "--data", rows, "--split", "time", "--non-finite", "drop")...)
		m := r.Test.Metrics
		t.Logf("%s: %d rows learnt, %d tested: macro-F1 %.4f, accuracy %.4f, MCC %.4f; always the most frequent: accuracy %.4f", c.name, r.Learnt.Rows,
			r.Tested.Rows, m.Macro.F1, m.Accuracy, m.MCC, m.Baseline.Accuracy)
		if c.macroF1 > 0 && math.Abs(m.Macro.F1-c.macroF1) > 0.01 || m.Accuracy <= m.Baseline.Accuracy {
			t.Errorf("%s: macro-F1 %v, scikit-learn %v", c.name, m.Macro.F1, c.macroF1)
		}
		if r.Learnt.Rows+r.Tested.Rows+r.Learnt.Dropped+r.Tested.Dropped != 10_730 {
			t.Errorf("rows were lost: %+v", r)
		}
	}
}
