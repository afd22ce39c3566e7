package report

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func put(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

// folder fails the test unless the folder holds exactly these files.
func folder(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := want[e.Name()]; !ok {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s holds %q (error %v), want %q", name, got, err, text)
		}
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "results.csv")
	if err := WriteFile(path, put("one")); err != nil {
		t.Fatal(err)
	}
	folder(t, dir, map[string]string{"results.csv": "one"})
	long := strings.Repeat("two ", 1<<16)
	if err := WriteFile(path, put(long)); err != nil {
		t.Fatal(err)
	}
	folder(t, dir, map[string]string{"results.csv": long})
}

func TestWriteFileInTheWorkingFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := WriteFile("results.csv", put("one")); err != nil {
		t.Fatal(err)
	}
	folder(t, dir, map[string]string{"results.csv": "one"})
}

func TestWriteFileFails(t *testing.T) {
	broken := errors.New("broken")
	long := strings.Repeat("x", 1<<17)
	tests := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"at once", func(io.Writer) error { return broken }},
		{"late", func(w io.Writer) error { return errors.Join(put(long)(w), broken) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "results.csv")
			if err := WriteFile(path, tt.write); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			folder(t, dir, nil)
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := WriteFile(path, tt.write); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			folder(t, dir, map[string]string{"results.csv": "old"})
		})
	}
}

func TestWriteFilePanics(t *testing.T) {
	dir := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = WriteFile(filepath.Join(dir, "results.csv"), func(io.Writer) error { panic("bug") })
	}()
	folder(t, dir, nil)
}

func TestWriteFileFollowsLinks(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	real, link := filepath.Join(other, "real.csv"), filepath.Join(dir, "link.csv")
	if err := os.WriteFile(real, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := WriteFile(link, put("new")); err != nil {
		t.Fatal(err)
	}
	folder(t, other, map[string]string{"real.csv": "new"})
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
}

func TestWriteFileRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	for name, path := range map[string]string{
		"a folder": dir, "a device": os.DevNull, "a folder that is not there": filepath.Join(dir, "no", "results.csv"),
		"a link to nothing": filepath.Join(dir, "dangling"),
	} {
		t.Run(name, func(t *testing.T) {
			called := false
			err := WriteFile(path, func(io.Writer) error { called = true; return nil })
			if err == nil || called {
				t.Errorf("error %v, written %v", err, called)
			}
		})
	}
	if info, err := os.Lstat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("the device was replaced: %v %v", info, err)
	}
}
