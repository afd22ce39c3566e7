package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// Files of a results folder.
const (
	HeaderFile  = "study.json"    // trial.Header: settings, plan, captures, environment
	RecordsFile = "records.jsonl" // trial.Record, one a line, as they came
	TableFile   = "results.txt"
	CSVFile     = "results.csv"
	// Of a study with a soak: a row for each soak, and one for each closed loop.
	SoakCSVFile       = "soak.csv"
	SoakTrialsCSVFile = "soak-trials.csv"
	// Charts are written as NAME.png and NAME.svg.
	CeilingFiles = "ceilings"
	LossFiles    = "loss"
	CostFiles    = "cost"
	SoakFiles    = "soak"
)

// Folder is a results folder that a study writes. While it is open no other process can go on with the study, where the
// system has advisory locks.
type Folder struct {
	path    string
	records *os.File // locked
}

// Check says whether Create would make a results folder at path: it is an error when the folder holds a study, when
// something else has its name, and when it cannot be written. It leaves nothing behind but possibly the folder itself.
func Check(path string) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return fmt.Errorf("results folder: %w", err)
	}
	if err := vacant(path); err != nil {
		return err
	}
	f, err := createBeside(filepath.Join(path, HeaderFile))
	if err != nil {
		return fmt.Errorf("results folder: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// vacant wants a folder without a study.
func vacant(path string) error {
	for _, name := range []string{HeaderFile, RecordsFile} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return fmt.Errorf("%s holds a study already: go on with --resume, or name another folder", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Create makes a results folder for a new study. It refuses a folder that holds a study already.
func Create(path string, header trial.Header) (*Folder, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	if err := vacant(path); err != nil {
		return nil, err
	}
	f := &Folder{path: path}
	if err := f.open(os.O_CREATE | os.O_EXCL); err != nil {
		return nil, err
	}
	if err := f.writeHeader(header); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(filepath.Join(path, RecordsFile)))
	}
	return f, nil
}

// Resume opens the folder of a study that was not finished, and returns what it holds. A last line that was cut while it
// was written is removed. It is an error when another process has the folder open.
func Resume(path string) (*Folder, trial.Header, []trial.Record, error) {
	fail := func(err error) (*Folder, trial.Header, []trial.Record, error) {
		return nil, trial.Header{}, nil, err
	}
	if _, err := readHeader(path); err != nil { // before records are made where there is no study
		return fail(err)
	}
	f := &Folder{path: path}
	if err := f.open(os.O_CREATE); err != nil {
		return fail(err)
	}
	header, records, whole, err := read(path) // after the lock: another process may have written until then
	if err == nil {
		err = f.records.Truncate(whole)
	}
	if err != nil {
		f.Close()
		return fail(err)
	}
	return f, header, records, nil
}

// Read returns what a results folder holds. A last line that was cut while it was written is left out.
func Read(path string) (trial.Header, []trial.Record, error) {
	header, records, _, err := read(path)
	return header, records, err
}

func readHeader(path string) (trial.Header, error) {
	name := filepath.Join(path, HeaderFile)
	text, err := os.ReadFile(name)
	if err != nil {
		below, _ := filepath.Glob(filepath.Join(path, "*", HeaderFile))
		for i := range below {
			below[i] = filepath.Dir(below[i])
		}
		if len(below) > 0 {
			return trial.Header{}, fmt.Errorf("%s is not a results folder (%w) but holds those of several machines: %s", path, err,
				strings.Join(below, ", "))
		}
		return trial.Header{}, fmt.Errorf("%s is not a results folder: %w", path, err)
	}
	var header trial.Header
	if err := json.Unmarshal(text, &header); err != nil {
		return trial.Header{}, fmt.Errorf("%s: %w", name, err)
	}
	if header.Schema != trial.Schema {
		return trial.Header{}, fmt.Errorf("%s: schema %d; this version reads %d", name, header.Schema, trial.Schema)
	}
	return header, nil
}

// read also returns the length of the whole lines of the records file.
func read(path string) (header trial.Header, records []trial.Record, whole int64, err error) {
	if header, err = readHeader(path); err != nil {
		return header, nil, 0, err
	}
	name := filepath.Join(path, RecordsFile)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return header, nil, 0, nil
	} else if err != nil {
		return header, nil, 0, err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return header, records, whole, nil // what follows the last line end was cut
		} else if err != nil {
			return header, nil, 0, err
		}
		var rec trial.Record
		if err := json.Unmarshal(bytes.TrimSpace(line), &rec); err != nil {
			return header, nil, 0, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if rec.Schema != trial.Schema {
			return header, nil, 0, fmt.Errorf("%s:%d: schema %d; this version reads %d", name, n, rec.Schema, trial.Schema)
		}
		if rec.Kind == trial.KindBounds && rec.Bounds == nil {
			return header, nil, 0, fmt.Errorf("%s:%d: a record of kind %s without bounds", name, n, rec.Kind)
		}
		records = append(records, rec)
		whole += int64(len(line))
	}
}

// errLocked is what lock returns where another process holds the lock.
var errLocked = errors.New("locked")

// open opens and locks the records; the lock ends with the file.
func (f *Folder) open(flag int) error {
	file, err := os.OpenFile(filepath.Join(f.path, RecordsFile), flag|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	if err := lock(file); err != nil {
		file.Close()
		if errors.Is(err, errLocked) {
			return fmt.Errorf("%s: another process is measuring into this folder; wait for it, or name another folder", f.path)
		}
		return fmt.Errorf("%s: lock: %w", file.Name(), err)
	}
	f.records = file
	return nil
}

func (f *Folder) writeHeader(header trial.Header) error {
	return WriteFile(filepath.Join(f.path, HeaderFile), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(header)
	})
}

// Path returns the name of the folder.
func (f *Folder) Path() string { return f.path }

// Append adds a record: one write, so that a killed process leaves at most a cut last line.
func (f *Folder) Append(rec trial.Record) error {
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	_, err = f.records.Write(append(line, '\n'))
	return err
}

// Finish syncs the records and writes the header of the results, table, CSV and charts, each whole or not at all.
func (f *Folder) Finish(results *analysis.Results) error {
	if err := f.records.Sync(); err != nil {
		return err
	}
	if err := f.writeHeader(results.Header); err != nil {
		return err
	}
	write := func(name string, write func(io.Writer) error) error {
		return WriteFile(filepath.Join(f.path, name), write)
	}
	if err := write(TableFile, func(w io.Writer) error { return WriteText(w, results) }); err != nil {
		return err
	}
	if err := write(CSVFile, func(w io.Writer) error { return WriteCSV(w, results) }); err != nil {
		return err
	}
	if len(results.Soaks) > 0 {
		if err := write(SoakCSVFile, func(w io.Writer) error { return WriteSoakCSV(w, results) }); err != nil {
			return err
		}
		if err := write(SoakTrialsCSVFile, func(w io.Writer) error { return WriteSoakTrialsCSV(w, results) }); err != nil {
			return err
		}
	}
	return writeCharts(write, results)
}

// Close closes the records. It may be called more than once.
func (f *Folder) Close() error {
	if f.records == nil {
		return nil
	}
	err := f.records.Close()
	f.records = nil
	return err
}
