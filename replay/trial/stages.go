package trial

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pcaplab/parse"
)

// findStages returns the kinds of stages that are given as NAME or NAME=VALUE, each under the text as it was given. Those that
// read a file read the one in files, which must be what it was.
func findStages(kinds []parse.StageKind, given []string, files []StageFile) ([]parse.StageKind, error) {
	var found []parse.StageKind
	var faults faultList
	for n, text := range given {
		name, value, valued := strings.Cut(text, "=")
		if slices.Contains(given[:n], text) {
			faults.add("stage %s is named twice: it would be counted under one name", text)
			continue
		}
		i := slices.IndexFunc(kinds, func(k parse.StageKind) bool { return k.Name == name })
		if i < 0 {
			var known []string
			for _, k := range kinds {
				known = append(known, k.Name)
			}
			faults.add("no stage %q: there are %s", name, strings.Join(known, ", "))
			continue
		}
		kind := kinds[i]
		before := func(other string) bool { n, _, _ := strings.Cut(other, "="); return n == kind.After } // perhaps one with a fault of its own
		switch {
		case kind.After != "" && !slices.ContainsFunc(given[:n], before):
			faults.add("stage %s goes on with what stage %s makes: name that before it, as --stages %s,%s", name, kind.After, kind.After, text)
			continue
		case valued && kind.Set == nil:
			faults.add("stage %s takes no value: give it as %s, not as %q", name, name, text)
			continue
		case !valued && kind.New == nil:
			faults.add("stage %s takes a value: %s=...", name, name)
			continue
		case valued:
			if i := slices.IndexFunc(files, func(f StageFile) bool { return f.Stage == text }); i >= 0 {
				f := &files[i]
				if err := f.check(); err != nil {
					faults.add("stage %s: %w", text, err)
					continue
				}
				value = f.Path + strings.TrimPrefix(value, f.Name)
			}
			var err error
			if kind.New, err = kind.Set(value); err != nil {
				faults.add("stage %s: %w", text, err)
				continue
			}
		}
		kind.Name = text
		found = append(found, kind)
	}
	return found, faults.err()
}

// stageFiles finds the files that the given stages read; those that are known must be what they were.
func stageFiles(kinds []parse.StageKind, given []string, known []StageFile) ([]StageFile, error) {
	var files []StageFile
	var faults faultList
	for _, text := range given {
		name, value, _ := strings.Cut(text, "=")
		i := slices.IndexFunc(kinds, func(k parse.StageKind) bool { return k.Name == name })
		if i < 0 || kinds[i].File == nil || kinds[i].File(value) == "" {
			continue
		}
		if i := slices.IndexFunc(known, func(f StageFile) bool { return f.Stage == text }); i >= 0 {
			files = append(files, known[i]) // findStages checks it
			continue
		}
		f := StageFile{Stage: text, Name: kinds[i].File(value)}
		var err error
		if f.Path, err = filepath.Abs(f.Name); err == nil {
			f.SHA256, err = sumFile(f.Path)
		}
		if err != nil {
			faults.add("stage %s: %w", text, err)
			continue
		}
		files = append(files, f)
	}
	return files, faults.err()
}

func (f *StageFile) check() error {
	sum, err := sumFile(f.Path)
	switch {
	case err != nil:
		return err
	case sum != f.SHA256:
		return fmt.Errorf("%s is not what the study began with: SHA-256 %s, was %s", f.Name, sum, f.SHA256)
	}
	return nil
}

// sumFile returns the SHA-256 of a file, which must be a regular one: others cannot be read again by another process.
func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
