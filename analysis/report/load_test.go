package report

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// writeStudy makes a results folder of a study.
func writeStudy(t *testing.T, path string, h trial.Header, records []trial.Record) {
	t.Helper()
	f, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLoadStudy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	h, records := searched()
	h.Captures[0].Path = "/home/somebody/captures/a.pcap"
	h.Settings.Stages = []string{"features", "model=/home/somebody/forest.onnx:drop"}
	for i := range records {
		records[i].Settings.Stages = h.Settings.Stages
		records[i].Stages = map[string]map[string]uint64{h.Settings.Stages[1]: {"vectors": 3}}
	}
	writeStudy(t, dir, h, records)
	list, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Kind != KindStudy || list[0].Name != "mine" || list[0].Machine != "" || len(list[0].Records) != len(records) {
		t.Fatalf("got %+v", list)
	}
	s := list[0]
	if len(s.Study.Ceilings) != 2 || s.Study.Ceilings[0].Counts["model=forest.onnx:drop"]["vectors"] != 18 {
		t.Errorf("counts of stages: %v", s.Study.Ceilings[0].Counts)
	}
	if len(s.Files) != 2 || s.Files[0].Name != HeaderFile || s.Files[1].Name != RecordsFile {
		t.Fatalf("files: %d", len(s.Files))
	}
	if n := bytes.Count(s.Files[1].Data, []byte("\n")); n != len(records) {
		t.Errorf("%d lines of records, want %d", n, len(records))
	}
	for _, f := range s.Files {
		if bytes.Contains(f.Data, []byte("somebody")) {
			t.Errorf("%s holds a path of the machine: %s", f.Name, f.Data)
		}
	}
	if !bytes.Contains(s.Files[0].Data, []byte(`"path": "a.pcap"`)) {
		t.Errorf("no name of the capture: %s", s.Files[0].Data)
	}
	parts := s.Parts()
	if len(parts.Tables) == 0 || len(parts.Figures) < 3 {
		t.Errorf("%d tables, %d figures", len(parts.Tables), len(parts.Figures))
	}
	for _, f := range parts.Figures {
		var b bytes.Buffer
		if err := WriteSVG(&b, f.Chart); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if f.Data != nil {
			if err := f.Data.WriteCSV(&b); err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
		}
	}
}

func TestLoadSeveralMachines(t *testing.T) {
	dir := t.TempDir()
	h, records := searched()
	writeStudy(t, filepath.Join(dir, "boards", "b"), h, records)
	writeStudy(t, filepath.Join(dir, "boards", "a"), h, records[:3])
	if err := os.WriteFile(filepath.Join(dir, "boards", "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := Load(filepath.Join(dir, "boards") + string(filepath.Separator))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Label() != "boards/a" || list[1].Label() != "boards/b" {
		t.Fatalf("got %d: %+v", len(list), list)
	}
	if list[0].Study.Unfinished() == "" || list[1].Study.Unfinished() != "" {
		t.Error("what is unfinished is not known")
	}
	// A line that was cut, and one that is no record.
	records2 := filepath.Join(dir, "boards", "b", RecordsFile)
	text, err := os.ReadFile(records2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(records2, text[:len(text)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	if list, err = Load(filepath.Join(dir, "boards", "b")); err != nil || len(list[0].Records) != len(records)-1 {
		t.Errorf("a cut line: %v", err)
	}
	if err := os.WriteFile(records2, []byte("{\"schema\":1}\nnothing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(filepath.Join(dir, "boards")); err == nil || !strings.Contains(err.Error(), RecordsFile+":2") {
		t.Errorf("a broken line: %v", err)
	}
}

func TestLoadRefusesWhatIsNoResults(t *testing.T) {
	dir := t.TempDir()
	make := func(name, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	make("captures/a.pcap", "")
	make("captures/b.pcap", "")
	make("captures/c.pcap", "")
	make("captures/d.pcap", "")
	make("shards/0123/shard.json", "{}")
	make("shards/0123/"+HeaderFile, `{"schema":99}`)
	make("of two words/0123/shard.json", "{}")
	make("begun/.0123.board.study/"+HeaderFile, `{"schema":99}`)
	make("later/"+HeaderFile, `{"schema":99}`)
	make("broken/"+ScenarioFile, `{`)
	make("validated/"+ValidationFile, `{"schema":1,"sets":[{"name":"x"}]}`)
	make("classes/"+ClassesFile, `{"schema":1,"classes":[{"name":"x","folder":"../later"}]}`)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, want string }{
		{"nowhere", "no such file"},
		{"captures/a.pcap", "is a file"},
		{"empty", "it is empty"},
		{"captures", "it holds a.pcap, b.pcap, c.pcap and 1 more"},
		{"shards", "'pcaplab merge " + quoted(filepath.Join(dir, "shards")) + " -o OUT' first"},
		{"shards/0123", "'pcaplab merge " + quoted(filepath.Join(dir, "shards")) + " -o OUT' first"},
		{"of two words", "pcaplab merge '" + filepath.Join(dir, "of two words") + "' -o OUT"},
		{"begun", "is not a results folder"},
		{"later", "schema 99"},
		{"broken", ScenarioFile},
		{"validated", "confusion"},
		{"classes", "not a name in this folder"},
	} {
		if _, err := Load(filepath.Join(dir, tt.name)); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestAShardFromInside names the folder of its shards.
func TestAShardFromInside(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "shards", "0123", "class")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "shards", "0123", "shard.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for from, names := range map[string][]string{filepath.Dir(inside): {".", "./", "class/.."}, inside: {"..", "../", "../."}} {
		t.Chdir(from)
		for _, name := range names {
			if _, err := Load(name); err == nil || !strings.Contains(err.Error(), "'pcaplab merge "+quoted(filepath.Join(dir, "shards"))+" -o OUT' first") {
				t.Errorf("%s in %s: %v", name, from, err)
			}
		}
	}
}

func TestPathsAreCutToNames(t *testing.T) {
	for _, tt := range []struct{ have, want string }{
		{`{"path":"/home/u/x y/a.pcap"}`, `{"path":"a.pcap"}`},
		{`{"path":"/home/u/a=b, c: & d.pcap"}`, `{"path":"a=b, c: \u0026 d.pcap"}`},
		{`{"name":"captures/a.pcap"}`, `{"name":"captures/a.pcap"}`},
		{`{"name":"/a.pcap"}`, `{"name":"/a.pcap"}`},
		{`{"name":"a.pcap","path":"/home/u/a.pcap"}`, `{"name":"a.pcap","path":"a.pcap"}`},
		{`["model=/home/u/f.onnx:drop","features"]`, `["model=f.onnx:drop","features"]`},
		{`{"stages":["model=/home/u/f.onnx:drop","features"]}`, `{"stages":["model=f.onnx:drop","features"]}`},
		{`{"stages":["model=/a/f.onnx","model=/b/f.onnx","model=f.onnx"]}`, `{"stages":["model=f-2.onnx","model=f-3.onnx","model=f.onnx"]}`},
		{`{"stages":{"model=/b/f.onnx:drop":{"vectors":3},"model=/a/f.onnx:drop":{"vectors":4}}}`,
			`{"stages":{"model=f.onnx:drop":{"vectors":3},"model=f-2.onnx:drop":{"vectors":4}}}`},
		{`{"captures":[{"name":"/a/x.pcap"},{"name":"/b/x.pcap"}]}`, `{"captures":[{"name":"x.pcap"},{"name":"x-2.pcap"}]}`},
		{`{"path":"C:\\Users\\u\\a.pcap"}`, `{"path":"a.pcap"}`},
		{`{"path":"\\\\server\\share\\a.pcap"}`, `{"path":"a.pcap"}`},
		{`{"unit":"bit/s","load":1}`, `{"unit":"bit/s","load":1}`},
		{`{"text":"a:/b/c","of":"read / write, 1 /2"}`, `{"text":"a:/b/c","of":"read / write, 1 /2"}`},
		{`{"notes":["/sys/devices/system/cpu: no such file"]}`, `{"notes":["/sys/devices/system/cpu: no such file"]}`},
		{`{"tree":"/data/CIC \u0026 more/PCAP"}`, `{"tree":"PCAP"}`},
		{`{"failure":"python3: can't open file '/home/u/my p.py': [Errno 2]; see /home/u/log"}`, `{"failure":"python3: can't open file 'my p.py': [Errno 2]; see log"}`},
		{`{"failure":"File \"/home/u/my p.py\", line 3, in x, file:///home/u/y.py"}`, `{"failure":"File \"my p.py\", line 3, in x, file://y.py"}`},
		{`{"commands":["mine=/usr/bin/python3 /home/u/a.py --out=/home/u/o"]}`, `{"commands":["mine=python3 a.py --out=o"]}`},
		{`{"warnings":["/home/u/a b/x.pcap"]}`, `{"warnings":["x.pcap"]}`},
	} {
		if got := string(new(pathCutter).edit([]byte(tt.have))); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.have, got, tt.want)
		}
	}
	// Names are those of the header in the records too.
	var c pathCutter
	c.edit([]byte(`{"settings":{"stages":["model=/a/f.onnx","model=/b/f.onnx"]}}`))
	if got := string(c.edit([]byte(`{"stages":{"model=/b/f.onnx":{"n":1}}}`))); got != `{"stages":{"model=f-2.onnx":{"n":1}}}` {
		t.Errorf("got %s", got)
	}
}

func FuzzPathsAreCutToNames(f *testing.F) {
	for _, s := range []string{`{"a":"/home/u/a.pcap"}`, `["C:\\x\\y","\\\\s\\t\\u"]`, `"model=/a/b:c"`, `"\\\\/a/\""`, `{"/a/b":1,"b":2}`,
		`{"stages":{"m=/a/f":1,"m=/b/f":[{"x":"y"}]}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) {
			return
		}
		if got := new(pathCutter).edit(bytes.Clone(text)); !json.Valid(got) {
			t.Errorf("%q became %q, which is no JSON", text, got)
		}
	})
}

// TestStagesOfOneNameAreCountedApart: paths are cut, and what two stages counted is not added up.
func TestStagesOfOneNameAreCountedApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "somebody@pi3")
	h, records := searched()
	h.Settings.Stages = []string{"model=/home/a/f.onnx", "model=/home/b/f.onnx"}
	for i := range records {
		records[i].Settings.Stages = h.Settings.Stages
		records[i].Stages = map[string]map[string]uint64{h.Settings.Stages[0]: {"vectors": 3}, h.Settings.Stages[1]: {"vectors": 5}}
	}
	writeStudy(t, dir, h, records)
	list, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	counts := list[0].Study.Ceilings[0].Counts
	if counts["model=f.onnx"]["vectors"] != 18 || counts["model=f-2.onnx"]["vectors"] != 30 {
		t.Errorf("counts of stages: %v", counts)
	}
	if list[0].Name != "pi3" {
		t.Errorf("the folder of a user's machine is called %q", list[0].Name)
	}
}

func TestLoadRefusesFoldersOfTwoKindsAndHeadless(t *testing.T) {
	dir := t.TempDir()
	h, records := searched()
	writeStudy(t, filepath.Join(dir, "boards", "a"), h, records)
	if err := os.MkdirAll(filepath.Join(dir, "boards", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "boards", "b", RecordsFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "boards")); err == nil || !strings.Contains(err.Error(), "without a header") {
		t.Errorf("records without a header: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "boards", "a", LiveFile), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(filepath.Join(dir, "boards", "a")); err == nil || !strings.Contains(err.Error(), "two kinds") {
		t.Errorf("two headers: %v", err)
	}
	for _, file := range []string{LiveFile, ValidationFile} {
		old := filepath.Join(dir, "old-"+file)
		if err := os.MkdirAll(old, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old, file), []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
		if f, err := Create(old, h); err == nil {
			f.Close()
			t.Errorf("a study begins in a folder with %s", file)
		}
	}
}
