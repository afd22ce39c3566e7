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

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// Files of a results folder.
const (
	HeaderFile  = "study.json"    // trial.Header: settings, plan, captures, environment
	RecordsFile = "records.jsonl" // trial.Record, one a line, as they came
	TableFile   = "results.txt"
	CSVFile     = "results.csv"
	// Charts are written as NAME.png and NAME.svg.
	CeilingFiles = "ceilings"
	LossFiles    = "loss"
	CostFiles    = "cost"
)

// Folder is a results folder that a study writes.
type Folder struct {
	path    string
	records *os.File
}

// Create makes a results folder for a new study. It refuses a folder that holds a study already.
func Create(path string, header trial.Header) (*Folder, error) {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, err
	}
	for _, name := range []string{HeaderFile, RecordsFile} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return nil, fmt.Errorf("%s holds a study already: go on with --resume %s, or name another folder", path, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	f := &Folder{path: path}
	if err := f.writeHeader(header); err != nil {
		return nil, err
	}
	return f, f.open()
}

// Resume opens the folder of a study that was not finished, and returns what it holds. A last line that was cut while it
// was written is removed.
func Resume(path string) (*Folder, trial.Header, []trial.Record, error) {
	header, records, whole, err := read(path)
	if err != nil {
		return nil, trial.Header{}, nil, err
	}
	f := &Folder{path: path}
	if err := f.open(); err != nil {
		return nil, trial.Header{}, nil, err
	}
	if err := f.records.Truncate(whole); err != nil {
		f.Close()
		return nil, trial.Header{}, nil, err
	}
	return f, header, records, nil
}

// Read returns what a results folder holds. A last line that was cut while it was written is left out.
func Read(path string) (trial.Header, []trial.Record, error) {
	header, records, _, err := read(path)
	return header, records, err
}

// read also returns the length of the whole lines of the records file.
func read(path string) (header trial.Header, records []trial.Record, whole int64, err error) {
	name := filepath.Join(path, HeaderFile)
	text, err := os.ReadFile(name)
	if err != nil {
		return header, nil, 0, fmt.Errorf("%s is not a results folder: %w", path, err)
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return header, nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	if header.Schema != trial.Schema {
		return header, nil, 0, fmt.Errorf("%s: schema %d; this version reads %d", name, header.Schema, trial.Schema)
	}
	name = filepath.Join(path, RecordsFile)
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
		records = append(records, rec)
		whole += int64(len(line))
	}
}

func (f *Folder) open() error {
	file, err := os.OpenFile(filepath.Join(f.path, RecordsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	f.records = file
	return err
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

// Finish syncs the records and writes table, CSV and charts, each whole or not at all.
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
