package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pcaplab/analysis/report"
	"pcaplab/analysis/validation"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/parse/model/worker"
)

// validatedReport runs validate without its speed and returns its report.
func validatedReport(t *testing.T, args ...string) (r validation.Report, notes string) {
	t.Helper()
	out, notes := run(t, ExitDone, append(append([]string{"validate"}, args...), "--json", "--no-speed", "--resamples", "200")...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r, notes
}

// writeTraffic writes frames of synthetic traffic as a capture.
func writeTraffic(t *testing.T, path, profile string, seed uint64, frames int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	src, err := synth.New(profile, seed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := pcapio.NewWriter(file, pcapio.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var f parse.Frame
	for range frames {
		if err := src.Next(&f); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteFrame(&f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// The very same kind of traffic under two labels, whose published windows are 10 and 100 packets long: nothing but the window's length tells
// them apart, and validate must say so, on captures and on tables. Two kinds of traffic told by shares alone must raise no alarm.
func TestValidateFindsALeakOfTheWindowsLength(t *testing.T) {
	dir := t.TempDir()
	capture := func(tree, class, profile string, seed uint64) string {
		path := filepath.Join(dir, tree, class, class+".pcap")
		writeTraffic(t, path, profile, seed, 6000)
		return path
	}
	find := func(part validation.AblationPart, name string) validation.Ablation {
		t.Helper()
		i := slices.IndexFunc(part.Rows, func(a validation.Ablation) bool { return a.Name == name })
		if i < 0 {
			t.Fatalf("no row %q in %+v", name, part.Rows)
		}
		return part.Rows[i]
	}
	model := filepath.Join(dir, "leak.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "--window", "cic", "-o", model, "--columns", "Number,Rate,AVG", "--data",
		capture("learn", "Benign_Final", "iot-1", 1), capture("learn", "DDoS-SYN_Flood", "iot-1", 2))
	benign, flood := capture("test", "Benign_Final", "iot-1", 3), capture("test", "DDoS-SYN_Flood", "iot-1", 4)
	for _, window := range []string{"cic", "10"} {
		r, _ := validatedReport(t, model, "--window", window, "--data", benign, flood)
		part := r.Ablation[0]
		if part.Leak != validation.LeakShown {
			t.Errorf("window %s: leak %q: %s", window, part.Leak, part.Finding)
		}
		published := find(part, "by class, as published")
		if published.MacroF1 < 0.95 {
			t.Errorf("window %s: macro-F1 %v with the leak", window, published.MacroF1)
		}
		for _, name := range []string{"N = 10", "N = 100", "by class, as published, Number hidden"} {
			if a := find(part, name); a.MacroF1 > 0.6 {
				t.Errorf("window %s: macro-F1 %v of %s", window, a.MacroF1, name)
			}
		}
	}
	table := filepath.Join(dir, "published.csv")
	run(t, ExitDone, "features", "--window", "cic", "--label", "folder", "-o", table, benign, flood)
	r, _ := validatedReport(t, model, "--data", table)
	if part := r.Ablation[0]; part.Leak != validation.LeakPossible || find(part, "as given, Number hidden").Verdict != validation.Collapses {
		t.Errorf("table: leak %q: %s", part.Leak, part.Finding)
	}
	if l := r.Sets[0].WindowLength; !l.Leaks || l.GroupRecall < 0.98 {
		t.Errorf("%+v", l)
	}

	honest := filepath.Join(dir, "honest.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "--window", "cic", "-o", honest, "--columns", "syn_flag_number,ack_flag_number,psh_flag_number,UDP,TCP",
		"--data", "synth:Benign_Final:6000", "synth:DDoS-SYN_Flood:6000")
	for _, window := range []string{"cic", "10"} {
		r, _ := validatedReport(t, honest, "--seed", "9", "--window", window, "--non-finite", "drop", "--data", "synth:Benign_Final:6000", "synth:DDoS-SYN_Flood:6000")
		part := r.Ablation[0]
		if part.Leak != validation.LeakNotShown {
			t.Errorf("window %s: leak %q: %s", window, part.Leak, part.Finding)
		}
		for _, a := range part.Rows {
			if a.Verdict == validation.Collapses || a.MacroF1 < 0.95 {
				t.Errorf("window %s: %+v", window, a)
			}
		}
		if part.Synthetic == "" || r.Sets[0].Synthetic == "" {
			t.Errorf("made traffic is not called so: %q", part.Synthetic)
		}
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "lr.json")
	data := []string{"synth:Benign_Final:3000", "synth:DDoS-SYN_Flood:3000"}
	args := func(more ...string) []string { return append([]string{model, "--non-finite", "drop"}, more...) }
	run(t, ExitDone, slices.Concat([]string{"train", "lr", "--split", "none", "--non-finite", "drop", "-o", model, "--data"}, data)...)
	table := filepath.Join(dir, "table.csv")
	{ // the same vectors as a table
		var lines []string
		for i, traffic := range data {
			file := filepath.Join(dir, fmt.Sprint(i, ".csv"))
			run(t, ExitDone, "features", "--label", "folder", "--seed", "5", "-o", file, traffic)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			one := strings.SplitAfter(string(text), "\n")
			lines = append(lines, one[min(i, 1):]...)
		}
		if err := os.WriteFile(table, []byte(strings.Join(lines, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "out")
	both := args(slices.Concat([]string{"--seed", "5", "--data", table}, data)...)
	r, _ := validatedReport(t, append(both, "--reference", table, "-o", out)...)
	if len(r.Sets) != 3 || r.Sets[0].Name != "tables" || r.Sets[1].Name != "captures" || !r.Sets[2].Reference {
		t.Fatalf("sets %+v", r.Sets)
	}
	if r.Sets[0].Metrics.Macro.F1 < 0.95 || r.Sets[0].Metrics.Macro.F1 != r.Sets[1].Metrics.Macro.F1 {
		t.Errorf("macro-F1 %v and %v", r.Sets[0].Metrics.Macro.F1, r.Sets[1].Metrics.Macro.F1)
	}
	if r.Sets[0].FalseAlarmsPerHour != nil || r.Sets[1].FalseAlarmsPerHour == nil || !(r.Sets[1].Hours > 0) {
		t.Errorf("false alarms an hour: %v, %v in %v h", r.Sets[0].FalseAlarmsPerHour, r.Sets[1].FalseAlarmsPerHour, r.Sets[1].Hours)
	}
	if len(r.Drift) != 3 || r.Drift[0].Paired != r.Sets[0].Rows || len(r.Drift[0].Pairs) > 0 {
		t.Errorf("features extracted just now are not those of the table: %+v", r.Drift[0].Pairs)
	}
	for _, name := range []string{report.ValidationFile, report.ValidationTextFile, report.ValidationCSVFile, report.ClassScoresCSVFile, report.ConfusionCSVFile,
		report.DriftCSVFile, report.AblationCSVFile} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(name, ".csv") {
			if rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll(); err != nil || len(rows) < 3 {
				t.Errorf("%s: %d rows, %v", name, len(rows), err)
			}
		}
	}
	if _, stderr := run(t, ExitFailed, append([]string{"validate", "-o", out}, both...)...); !strings.Contains(stderr, "holds a validation already") {
		t.Errorf("%s", stderr)
	}

	text, _ := run(t, ExitDone, append(append([]string{"validate", "--no-speed", "--no-ablation", "--confusion"}, both...), "--limit", "50")...)
	for _, want := range []string{"macro-F1", "benign recall", "false alarms an hour", "synthetic: made from seed 5", "always", "vectors of 1 table", "100 vectors of 2 captures"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if n := len([]rune(line)); n > 102 {
			t.Errorf("%d columns: %s", n, line)
		}
	}

	// What tables cannot have is refused before they are read.
	if _, stderr := run(t, ExitUsage, "validate", model, "--data", table, "--fail-if", "false_alarms_per_hour>2"); !strings.Contains(stderr, "tables have no times") {
		t.Errorf("%s", stderr)
	}
	if _, stderr := run(t, ExitUsage, append([]string{"validate", "--fail-if", "false_alarms_per_hour>2"}, both...)...); !strings.Contains(stderr, "false_alarms_per_hour[captures]") {
		t.Errorf("%s", stderr)
	}
	// A run that ended early leaves no empty folder.
	never := filepath.Join(dir, "never")
	run(t, ExitFailed, append([]string{"validate", "-o", never}, args("--data", filepath.Join(dir, "no-such.csv"))...)...)
	if _, err := os.Stat(never); err == nil {
		t.Error("an empty folder is left")
	}

	// Conditions.
	for condition, want := range map[string]int{
		"macro_f1<0.5": ExitDone, "macro_f1>0.5": ExitMissed, "recall[BENIGN]<50%": ExitDone, "f1[DDOS-SYN_FLOOD]>=90%": ExitMissed,
		"macro_f1[captures]>0": ExitMissed, "false_alarms_per_hour>=0": ExitMissed, "macro-f1<0.5": ExitUsage, "macro_f1[ours]<1": ExitUsage, "macro_f1[tables]<1": ExitUsage, "recall[DDoS-SYN_Flood]>=90%": ExitMissed, "recall[benign_final]>0, macro_f1<0": ExitMissed,
		"recall[XSS]<1": ExitUsage, "recall<0": ExitDone,
	} {
		code, _, stderr := runIn(t.Context(), strings.NewReader(""), slices.Concat([]string{"validate", "--no-speed", "--no-ablation", "--resamples", "10", "--fail-if", condition},
			args(append([]string{"--data"}, data...)...))...)
		if code != want {
			t.Errorf("--fail-if %s: exit code %d, want %d: %s", condition, code, want, stderr)
		}
	}
}

// A model of other names than the data's: numbers, groups, maps.
func TestValidateNamesClasses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data := []string{"--non-finite", "drop", "--no-ablation", "--data", "synth:Benign_Final:2000", "synth:DDoS-SYN_Flood:2000", "synth:Mirai-udpplain:2000"}
	numbers := file("map.csv", "BENIGN,0\n*,1\n")
	train := func(name string, flags ...string) string {
		path := filepath.Join(dir, name)
		run(t, ExitDone, slices.Concat([]string{"train", "lr", "--split", "none", "-o", path}, flags, slices.DeleteFunc(slices.Clone(data), func(s string) bool { return s == "--no-ablation" }))...)
		return path
	}
	numbered, binary, categories := train("n.json", "--group", "map="+numbers), train("b.json", "--group", "binary"), train("c.json", "--group", "category")
	for _, tt := range []struct {
		name  string
		args  []string
		want  []string // classes of the report
		notes string
	}{
		{"a binary model is seen", []string{binary}, []string{"Attack", "Benign"}, "--group binary"},
		{"a model of categories is seen", []string{categories}, []string{"Benign", "DDoS", "Mirai"}, "--group category"},
		{"names of numbers", []string{numbered, "--class-names", "Benign,Attack"}, []string{"Benign", "Attack"}, "--group binary"},
		{"names of numbers in a file", []string{numbered, "--class-names", file("names.txt", "benign\nattack\n")}, []string{"Benign", "Attack"}, "--group binary"},
		{"the map that it was trained with", []string{numbered, "--group", "map=" + numbers, "--benign", "0"}, []string{"0", "1"}, ""},
	} {
		r, notes := validatedReport(t, append(tt.args, data...)...)
		s := &r.Sets[0]
		if got := slices.Clone(s.Confusion.Classes); !sameNames(got, tt.want) || s.Metrics.Macro.F1 < 0.9 || !strings.Contains(notes, tt.notes) {
			t.Errorf("%s: classes %q, macro-F1 %v, %s", tt.name, got, s.Metrics.Macro.F1, notes)
		}
		if s.Alarms == nil || s.Alarms.BenignRows == 0 {
			t.Errorf("%s: no benign vectors: %+v", tt.name, s.Alarms)
		}
	}
	if _, stderr := run(t, ExitFailed, append([]string{"validate", numbered}, data...)...); !strings.Contains(stderr, "--class-names") || !strings.Contains(stderr, "0, 1") {
		t.Errorf("%s", stderr)
	}
	if _, stderr := run(t, ExitUsage, append([]string{"validate", numbered, "--class-names", "a,b,c"}, data...)...); !strings.Contains(stderr, "3 names for the 2 classes") {
		t.Errorf("%s", stderr)
	}
}

// What is neither benign nor an attack by its name must not become one in silence.
func TestValidateUnknownLabels(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "b.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "-o", model, "--group", "binary", "--non-finite", "drop", "--data", "synth:Benign_Final:1000", "synth:DDoS-SYN_Flood:1000")
	table := func(name string, labels ...string) string {
		path := filepath.Join(dir, name)
		text := ""
		for i, label := range labels {
			one := filepath.Join(dir, "one.csv")
			run(t, ExitDone, "features", "--label", "text="+label, "-o", one, []string{"synth:Benign_Final:300", "synth:DDoS-SYN_Flood:300"}[i])
			content, err := os.ReadFile(one)
			if err != nil {
				t.Fatal(err)
			}
			os.Remove(one)
			lines := strings.SplitAfter(string(content), "\n")
			text += strings.Join(lines[min(i, 1):], "")
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	home := filepath.Join(dir, "home", "monday.pcap")
	writeTraffic(t, home, "iot-1", 1, 600)
	normal, known, numbers := table("normal.csv", "Normal", "XSS"), table("known.csv", "Benign", "ddos"), table("numbers.csv", "0", "1")
	common := []string{"--non-finite", "drop", "--no-ablation", "--no-speed", "--data"}
	for _, tt := range []struct {
		code int
		args []string
		data string
		want string
	}{
		{ExitUsage, nil, home, `"home", does not say so: --label text=BENIGN`},
		{ExitUsage, []string{"--group", "binary"}, home, `"home", does not say so`},
		{ExitDone, []string{"--benign", "home"}, home, ""},
		{ExitDone, []string{"--label", "text=BENIGN"}, home, ""},
		{ExitFailed, nil, normal, `label "Normal": neither benign nor attack nor a class of CIC-IoT-2023`},
		{ExitDone, []string{"--benign", "Normal"}, normal, ""},
		{ExitDone, []string{"--group", "binary"}, normal, "taken for attacks, as --group binary says: Normal"},
		{ExitDone, nil, known, ""},
		{ExitFailed, nil, numbers, `label "0"`},
		{ExitUsage, []string{"--class-names", ""}, known, "name 1 is empty"},
		{ExitUsage, []string{"--class-names", "Benign,"}, known, "name 2 is empty"},
		{ExitUsage, []string{"--window", "zero"}, known, "--window"},
		{ExitUsage, []string{"--resamples", "200000"}, known, "want 1 to 100000"},
	} {
		out, stderr := run(t, tt.code, slices.Concat([]string{"validate", model}, tt.args, common, []string{tt.data})...)
		if !strings.Contains(strings.Join(strings.Fields(out+stderr), " "), tt.want) || tt.want == "" && strings.Contains(out, "taken for attacks") {
			t.Errorf("%q %s: %s\n%s", tt.args, tt.data, stderr, out)
		}
	}
	// A model of numbers, and data of the same numbers: --class-names is of both.
	numbered := filepath.Join(dir, "n.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "-o", numbered, "--non-finite", "drop", "--data", numbers)
	r, _ := validatedReport(t, slices.Concat([]string{numbered, "--class-names", "Benign,Attack"}, common, []string{numbers})...)
	if s := &r.Sets[0]; !sameNames(s.Confusion.Classes, []string{"Attack", "Benign"}) || s.Metrics.Accuracy < 0.9 || s.Alarms == nil || s.Alarms.BenignRows == 0 {
		t.Errorf("%q %v %+v", s.Confusion.Classes, s.Metrics.Accuracy, s.Alarms)
	}
	if _, notes := validatedReport(t, slices.Concat([]string{numbered}, common, []string{numbers})...); !strings.Contains(notes, "--benign LABEL says which") {
		t.Errorf("%s", notes)
	}
}

// A model of two classes by other names than the data's, and the user says which is benign: the other is the attack.
func TestValidateTwoClasses(t *testing.T) {
	dir := t.TempDir()
	table := func(name string, labels ...string) string {
		return tableOf(t, filepath.Join(dir, name), inTurn(200, labels...))
	}
	model := func(name, data string) string {
		run(t, ExitDone, "train", "lr", "--split", "none", "-o", filepath.Join(dir, name), "--data", data)
		return filepath.Join(dir, name)
	}
	// tableOf tells DDoS-SYN_Flood from all else.
	renamed := func(from, name, benign, attack string) string {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.NewReplacer(",BENIGN\n", ","+benign+"\n", ",DDoS-SYN_Flood\n", ","+attack+"\n").Replace(string(text)))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	published := table("published.csv", "BENIGN", "DDoS-SYN_Flood")
	words, numbers := renamed(published, "words.csv", "normal", "malicious"), renamed(published, "numbers.csv", "0", "1")
	strange := renamed(published, "strange.csv", "normal", "what")
	ofWords, ofNumbers := model("words.json", words), model("numbers.json", numbers)
	for _, tt := range []struct{ model, data, benign string }{
		{ofWords, words, "normal"}, {ofWords, published, "normal"}, {ofNumbers, numbers, "0"}, {ofNumbers, numbers, "1"}, {ofNumbers, published, "0"},
	} {
		r, notes := validatedReport(t, tt.model, "--no-ablation", "--data", tt.data, "--benign", tt.benign)
		s := &r.Sets[0]
		if s.Metrics.Macro.F1 < 0.98 || s.Alarms == nil || s.Alarms.BenignRows != 100 || !sameNames(s.Confusion.Classes, []string{"Attack", tt.benign}) || strings.Contains(notes, "--benign") {
			t.Errorf("%+v: macro-F1 %v, %q, %+v, %s", tt, s.Metrics.Macro.F1, s.Confusion.Classes, s.Alarms, notes)
		}
	}
	for _, tt := range []struct {
		code              int
		benign, want, not string
	}{
		{ExitFailed, "normal", `label "what": neither benign nor attack nor a class of CIC-IoT-2023, so what it is cannot be told: --group map=FILE`, "--benign"},
		{ExitDone, "other", "the model has no class other, but malicious, normal: --benign says which of them", "--benign LABEL"},
	} {
		if _, stderr := run(t, tt.code, "validate", ofWords, "--no-speed", "--no-ablation", "--data", strange, "--benign", tt.benign); !strings.Contains(stderr, tt.want) || strings.Contains(stderr, tt.not) {
			t.Errorf("--benign %s: %s", tt.benign, stderr)
		}
	}
	// One class of attacks, and data of several.
	three := table("three.csv", "BENIGN", "DDoS-SYN_Flood", "XSS")
	if _, notes := validatedReport(t, model("published.json", published), "--no-ablation", "--data", three); !strings.Contains(notes, "--group binary") {
		t.Errorf("%s", notes)
	}
	// What concerns none of the data.
	for flag, code := range map[string]int{"--label=text=x": ExitUsage, "--truth=beside": ExitUsage, "--window=cic": ExitDone, "--as=fixed": ExitDone} {
		if _, stderr := run(t, code, "validate", ofWords, "--no-speed", "--no-ablation", "--benign", "normal", "--data", words, flag); !strings.Contains(stderr, "of captures") {
			t.Errorf("%s: %s", flag, stderr)
		}
	}
	// Shares are at most 1; what is true wins over what has no value, which is said.
	benign := table("benign.csv", "DDoS-SYN_Flood")
	for condition, want := range map[string]struct {
		code int
		says string
	}{
		"macro_f1<90": {ExitUsage, "write 90%"}, "recall>2": {ExitUsage, "recall is at most 1"}, "macro_f1<1k": {ExitUsage, "macro_f1 is at most 1\n"}, "macro_f1>=90%": {ExitMissed, "macro_f1"}, "false_alarms>5, mcc<-1": {ExitFailed, "has no value"},
		"recall<101%": {ExitUsage, "recall is at most 100%"}, "recall<=100%": {ExitMissed, "recall of BENIGN, tables has no value: no vector is of it"}, "recall<5%": {ExitFailed, "has no value"},
	} {
		code, _, stderr := runIn(t.Context(), strings.NewReader(""), "validate", filepath.Join(dir, "published.json"), "--no-speed", "--no-ablation", "--data", benign, "--fail-if", condition)
		if code != want.code || !strings.Contains(stderr, want.says) {
			t.Errorf("%s: exit code %d: %s", condition, code, stderr)
		}
	}
}

// A model that names no columns may have been trained on them in another order, and that does not pass in silence.
func TestValidateColumnsByPosition(t *testing.T) {
	model, dir := modelFile(t), t.TempDir()
	table := tableOf(t, filepath.Join(dir, "t.csv"), inTurn(60, "BENIGN", "DDoS-SYN_Flood"))
	out, _ := run(t, ExitDone, "validate", model, "--no-speed", "--no-ablation", "--data", table)
	if !strings.Contains(strings.Join(strings.Fields(out), " "), "39 columns by position: the model names none, so it must take them in the order of 'features'") {
		t.Errorf("%s", out)
	}
	if out, _ = run(t, ExitDone, "validate", model, "--no-speed", "--no-ablation", "--json", "--data", table); !strings.Contains(out, `"columns_named":false`) {
		t.Errorf("%s", out)
	}
	named := filepath.Join(dir, "lr.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "-o", named, "--data", table)
	if out, _ = run(t, ExitDone, "validate", named, "--no-speed", "--no-ablation", "--json", "--data", table); !strings.Contains(out, `"columns_named":true`) ||
		strings.Contains(out, "by position") {
		t.Errorf("%s", out)
	}
}

func sameNames(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

func TestValidateUsage(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "lr.json")
	run(t, ExitDone, "train", "lr", "--split", "none", "-o", model, "--non-finite", "drop", "--data", "synth:Benign_Final:1000", "synth:DDoS-SYN_Flood:1000")
	old := filepath.Join(dir, "old.csv")
	if err := os.WriteFile(old, []byte("flow_duration,Header_Length,Magnitue,Radius\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		code int
		args []string
		want string
	}{
		{ExitUsage, []string{}, "which model"},
		{ExitUsage, []string{"--data", "x.csv"}, "It comes first"},
		{ExitUsage, []string{model}, "nothing to validate on"},
		{ExitUsage, []string{model, "--data", "x.csv", "--non-finite", "ignore"}, "--non-finite"},
		{ExitUsage, []string{model, "--data", "x.csv", "--resamples", "0"}, "--resamples 0"},
		{ExitUsage, []string{model, "--data", "x.csv", "--limit", "-1"}, "--limit -1"},
		{ExitUsage, []string{model, "--data", "x.csv", "--interpreter", "python3"}, "--interpreter is for --python"},
		{ExitUsage, []string{model, "--data", "-"}, "standard input"},
		{ExitUsage, []string{model, "--data", "synth:iot-1:1000"}, "is of no class"},
		{ExitFailed, []string{"no-such.onnx", "--data", "x.csv"}, "no-such.onnx"},
		{ExitFailed, []string{model, "--data", "no-such.csv"}, "no-such.csv"},
		{ExitFailed, []string{model, "--data", old}, "the older release"},
	} {
		if _, stderr := run(t, tt.code, append([]string{"validate"}, tt.args...)...); !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %s, want %q", tt.args, stderr, tt.want)
		}
	}
	if out, _ := run(t, ExitDone, "validate", "--print-worker"); out != worker.Example() {
		t.Errorf("%q", out)
	}
	// The first vector that is not finite is named with its file and row.
	table := filepath.Join(dir, "table.csv")
	run(t, ExitDone, "features", "--label", "folder", "-o", table, "synth:Benign_Final:995")
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	fields := strings.Split(lines[3], ",")
	fields[3] = "inf"
	lines[3] = strings.Join(fields, ",")
	if err := os.WriteFile(table, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := run(t, ExitFailed, "validate", model, "--data", table); !strings.Contains(stderr, table+": vector 3: Rate is +Inf") ||
		!strings.Contains(stderr, "--non-finite drop or clamp") {
		t.Errorf("%s", stderr)
	}
}

// TestValidateRealRows trains on the first 70 % of real rows, in order of time, and validates on the rest.
func TestValidateRealRows(t *testing.T) {
	root := os.Getenv("PCAPLAB_CIC")
	if root == "" {
		t.Skip("PCAPLAB_CIC is not set")
	}
	text, err := os.ReadFile(filepath.Join(root, "inference-39col-label.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	cut := 1 + (len(lines)-1)*7/10
	dir := t.TempDir()
	learn, test, model := filepath.Join(dir, "learn.csv"), filepath.Join(dir, "test.csv"), filepath.Join(dir, "lr.json")
	for path, part := range map[string][]string{learn: lines[1:cut], test: lines[cut:]} {
		if err := os.WriteFile(path, []byte(lines[0]+strings.Join(part, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(t, ExitDone, "train", "lr", "--split", "none", "--non-finite", "drop", "-o", model, "--data", learn)
	r, _ := validatedReport(t, model, "--non-finite", "drop", "--data", test, "--reference", learn)
	s := &r.Sets[0]
	recall, interval, ok := s.BenignRecall()
	t.Logf("%d rows: macro-F1 %.4f %v, accuracy %.4f, benign recall %.4f %v, always %s: macro-F1 %.4f; %s", s.Rows, s.Metrics.Macro.F1, s.Intervals.MacroF1,
		s.Metrics.Accuracy, recall, interval, s.Metrics.Baseline.Class, s.Metrics.Baseline.MacroF1, r.Ablation[0].Finding)
	// scikit-learn 1.2.1's StandardScaler and LogisticRegression get 0.9881 and 0.9972 on this split.
	if !ok || s.Metrics.Macro.F1 < 0.978 || s.Metrics.Accuracy < 0.987 || s.Metrics.Baseline.Class != "Attack" {
		t.Errorf("macro-F1 %v, accuracy %v", s.Metrics.Macro.F1, s.Metrics.Accuracy)
	}
}

// TestValidateWorker gives the worker that --print-worker prints a model of its own: benign is whatever has few SYN flags.
func TestValidateWorker(t *testing.T) {
	python := ""
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import numpy").Run() == nil {
			python = path
			break
		}
	}
	if python == "" {
		t.Skip("no Python with numpy")
	}
	text, _ := run(t, ExitDone, "validate", "--print-worker")
	const load = "def load(path):\n"
	at := strings.Index(text, load)
	if at < 0 {
		t.Fatal("the worker has no function load")
	}
	script := filepath.Join(t.TempDir(), "worker.py")
	text = text[:at] + load + `    print("loading", path)
    class Model:
        classes_ = ["DDoS-SYN_Flood", "BenignTraffic"]
        def predict(self, rows):
            return [self.classes_[0 if row[5] > 0.5 else 1] for row in rows]
    return Model()

def _load(path):
` + text[at+len(load):]
	if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	r, said := validatedReport(t, "anything at all", "--python", script, "--interpreter", python, "--non-finite", "drop", "--data", "synth:Benign_Final:2000",
		"synth:DDoS-SYN_Flood:2000")
	s := &r.Sets[0]
	if s.Metrics.Accuracy < 0.95 || r.Model.SHA256 != "" || !sameNames(s.Confusion.Classes, []string{"BENIGN", "DDOS-SYN_FLOOD"}) {
		t.Errorf("accuracy %v of %q", s.Metrics.Accuracy, s.Confusion.Classes)
	}
	if !strings.Contains(said, "loading anything at all") {
		t.Errorf("what the worker prints is not shown: %s", said)
	}
}
