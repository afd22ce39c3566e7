package report

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"pcaplab/analysis"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestFolder(t *testing.T) {
	h, records := sweep()
	path := filepath.Join(t.TempDir(), "a", "study")
	if err := Check(path); err != nil {
		t.Fatal(err)
	}
	if left := names(t, path); len(left) != 0 {
		t.Fatalf("Check left %q", left)
	}
	f, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records[:5] {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("Check of a study: %v", err)
	}
	if _, err := Create(path, h); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("Create over a study: %v", err)
	}

	f, header, got, err := Resume(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(got) != 5 || got[3].Result != records[3].Result || header.Environment.Board != "Board" {
		t.Fatalf("%d records, header %+v", len(got), header)
	}
	for _, rec := range records[5:] {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(analysis.Analyze(header, records)); err != nil {
		t.Fatal(err)
	}
	header, got, err = Read(path)
	if err != nil || len(got) != len(records) || header.Environment.Board != "Board" || header.Captures[0].SHA256 != "5a" {
		t.Errorf("%d records, header %+v, %v", len(got), header, err)
	}
	for _, name := range []string{TableFile, CSVFile, CeilingFiles + ".png", CeilingFiles + ".svg", LossFiles + ".svg"} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(path, TableFile))
	if err != nil || !bytes.HasPrefix(text, []byte("unfinished: 3 of 4")) {
		t.Errorf("table %q, %v", text, err)
	}
}

func TestFolderCutLastLine(t *testing.T) {
	h, records := sweep()
	path := t.TempDir()
	f, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records[:3] {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	name := filepath.Join(path, RecordsFile)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, whole[:len(whole)-20], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, got, err := Read(path); err != nil || len(got) != 2 {
		t.Errorf("%d records of a cut file, %v; want 2", len(got), err)
	}
	f, _, got, err := Resume(path)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d records resumed, %v; want 2", len(got), err)
	}
	if err := f.Append(records[2]); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if again, err := os.ReadFile(name); err != nil || !bytes.Equal(again, whole) {
		t.Errorf("what was cut and measured again is not what it was, %v", err)
	}
}

func TestFolderIsLocked(t *testing.T) {
	switch runtime.GOOS {
	case "darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd":
	default:
		t.Skipf("%s has no flock", runtime.GOOS)
	}
	h, records := sweep()
	path := t.TempDir()
	f, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Append(records[0]); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Resume(path); err == nil || !strings.Contains(err.Error(), "another process is measuring") {
		t.Fatalf("a second one opened the folder: %v", err)
	}
	if _, got, err := Read(path); err != nil || len(got) != 1 {
		t.Errorf("reading must not need the lock: %d records, %v", len(got), err)
	}
	f.Close()
	first, _, _, err := Resume(path)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	defer first.Close()
	if _, _, _, err := Resume(path); err == nil {
		t.Error("a second one resumed")
	}
}

func TestCheckRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Run("a file in the way", func(t *testing.T) {
		for _, path := range []string{file, filepath.Join(file, "below")} {
			if err := Check(path); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: %v", path, err)
			}
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "mine" {
			t.Errorf("the file is now %q, %v", text, err)
		}
	})
	t.Run("records alone", func(t *testing.T) {
		path := filepath.Join(dir, "records")
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, RecordsFile), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); err == nil || !strings.Contains(err.Error(), "holds results already") {
			t.Error(err)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		path := filepath.Join(dir, "read-only")
		if err := os.Mkdir(path, 0o555); err != nil {
			t.Fatal(err)
		}
		if f, err := os.Create(filepath.Join(path, "probe")); err == nil {
			f.Close()
			os.Remove(f.Name())
			t.Skip("this user may write into read-only folders")
		}
		if err := Check(path); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("read-only folder: %v", err)
		}
		if err := Check(filepath.Join(path, "new")); err == nil {
			t.Error("a folder in a read-only one")
		}
	})
	t.Run("other files do not matter", func(t *testing.T) {
		if err := Check(dir); err != nil {
			t.Error(err)
		}
	})
}

func TestResumeRefuses(t *testing.T) {
	write := func(t *testing.T, name, header, records string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{HeaderFile: header, RecordsFile: records} {
			if text == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(path, file), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	validated := write(t, "validation", "", "")
	if err := os.WriteFile(filepath.Join(validated, ValidationFile), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(validated); err == nil || !strings.Contains(err.Error(), "holds a validation, not a results folder: 'report' shows it") {
		t.Errorf("of a validation: %v", err)
	}
	for _, tt := range []struct{ name, header, records, err string }{
		{"empty", "", "", "is not a results folder"},
		{"no JSON", "{", "", HeaderFile},
		{"another schema", `{"schema":99}`, "", "schema 99"},
		{"a record that is none", `{"schema":1}`, "{}}\n", RecordsFile + ":1"},
		{"a record of another schema", `{"schema":1}`, `{"schema":1,"kind":"trial"}` + "\n" + `{"schema":2}` + "\n",
			RecordsFile + ":2: schema 2"},
		{"bounds without bounds", `{"schema":1}`, `{"schema":1,"kind":"bounds"}` + "\n", "without bounds"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "study", tt.header, tt.records)
			before := names(t, path)
			_, _, _, err := Resume(path)
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if tt.header == "" && len(names(t, path)) != len(before) {
				t.Errorf("Resume left %q", names(t, path))
			}
		})
	}
}
