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
	"pcaplab/datasets/flock"
	"pcaplab/replay/trial"
)

// Files of a results folder.
const (
	HeaderFile   = "study.json"    // trial.Header: settings, plan, captures, environment
	ScenarioFile = "scenario.json" // scenario.Header instead of it, of a run of a scenario
	RecordsFile  = "records.jsonl" // trial.Record or scenario.Record, one a line, as they came
	TableFile    = "results.txt"
	CSVFile      = "results.csv"
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
	runFolder
}

// runFolder is a folder with a header and records, of whatever kind.
type runFolder struct {
	path    string
	header  string   // name of the header's file
	records *os.File // locked
}

// Check says whether Create would make a results folder at path: it is an error when the folder holds results, when
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
	for _, name := range []string{HeaderFile, ScenarioFile, RecordsFile, ClassesFile, LiveFile, ValidationFile} {
		if _, err := os.Lstat(filepath.Join(path, name)); err == nil {
			return fmt.Errorf("%s holds results already: go on with --resume, or name another folder", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Create makes a results folder for a new study. It refuses a folder that holds results already.
func Create(path string, header trial.Header) (*Folder, error) {
	f := &Folder{runFolder{path: path, header: HeaderFile}}
	if err := f.create(header); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *runFolder) create(header any) error {
	if err := os.MkdirAll(f.path, 0o777); err != nil {
		return err
	}
	if err := vacant(f.path); err != nil {
		return err
	}
	if err := f.open(os.O_CREATE | os.O_EXCL); err != nil {
		return err
	}
	if err := f.writeHeader(header); err != nil {
		return errors.Join(err, f.Close(), os.Remove(filepath.Join(f.path, RecordsFile)))
	}
	return nil
}

// Resume opens the folder of a study that was not finished, and returns what it holds. A last line that was cut while it
// was written is removed. It is an error when another process has the folder open.
func Resume(path string) (*Folder, trial.Header, []trial.Record, error) {
	f := &Folder{runFolder{path: path, header: HeaderFile}}
	header, err := readHeader(path) // before records are made where there is no study
	var records []trial.Record
	if err == nil {
		err = f.resume(func() (whole int64, err error) {
			header, records, whole, err = read(path)
			return whole, err
		})
	}
	if err != nil {
		return nil, trial.Header{}, nil, err
	}
	return f, header, records, nil
}

// resume opens the records, and cuts them to the whole lines that read finds. It reads after the lock is taken: another
// process may have written until then.
func (f *runFolder) resume(read func() (whole int64, err error)) error {
	if err := f.open(os.O_CREATE); err != nil {
		return err
	}
	whole, err := read()
	if err == nil {
		err = f.records.Truncate(whole)
	}
	if err != nil {
		f.Close()
	}
	return err
}

// Read returns what a results folder holds. A last line that was cut while it was written is left out.
func Read(path string) (trial.Header, []trial.Record, error) {
	header, records, _, err := read(path)
	return header, records, err
}

// ReadHeader is Read without records.
func ReadHeader(path string) (trial.Header, error) { return readHeader(path) }

func readHeader(path string) (trial.Header, error) { return folderReader{path: path}.studyHeader() }

// read also returns the length of the whole lines of the records file.
func read(path string) (header trial.Header, records []trial.Record, whole int64, err error) {
	return folderReader{path: path}.study()
}

func (in folderReader) studyHeader() (trial.Header, error) {
	var header trial.Header
	err := in.header(HeaderFile, "results folder", trial.Schema, &header)
	if errors.Is(err, fs.ErrNotExist) {
		below, _ := filepath.Glob(filepath.Join(in.path, "*", HeaderFile))
		for i := range below {
			below[i] = filepath.Dir(below[i])
		}
		if _, err := os.Stat(filepath.Join(in.path, "compare.json")); err == nil {
			return trial.Header{}, fmt.Errorf("%s holds a comparison of two programs: 'compare %[1]s' prints it", in.path)
		}
		if len(below) > 0 {
			return trial.Header{}, fmt.Errorf("%w; but it holds those of several machines or classes: %s", err, strings.Join(below, ", "))
		}
	}
	return header, err
}

func (in folderReader) study() (header trial.Header, records []trial.Record, whole int64, err error) {
	if header, err = in.studyHeader(); err != nil {
		return header, nil, 0, err
	}
	whole, err = in.lines(func(line []byte) error {
		var rec trial.Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return err
		}
		if rec.Kind == trial.KindBounds && rec.Bounds == nil {
			return fmt.Errorf("a record of kind %s without bounds", rec.Kind)
		}
		records = append(records, rec)
		return checkSchema(rec.Schema, trial.Schema)
	})
	if err != nil {
		return header, nil, 0, err
	}
	return header, records, whole, nil
}

// folderReader reads the files of a results folder.
type folderReader struct {
	path string
	// edit changes what is read, a header or a line of the records, before it is taken; nil: it is taken as it is.
	edit func([]byte) []byte
	// keep gets all that is taken, of the records one whole line after another; may be nil.
	keep func(name string, content []byte)
}

// file returns the content of a file.
func (in folderReader) file(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(in.path, name))
	if err == nil && in.edit != nil {
		text = in.edit(text)
	}
	if err == nil && in.keep != nil {
		in.keep(name, text)
	}
	return text, err
}

func checkSchema(have, want int) error {
	if have != want {
		return fmt.Errorf("schema %d; this version reads %d", have, want)
	}
	return nil
}

// header decodes the header of a kind of results folder.
func (in folderReader) header(file, kind string, schema int, header any) error {
	name := filepath.Join(in.path, file)
	text, err := in.file(file)
	if _, other := os.Stat(filepath.Join(in.path, ValidationFile)); err != nil && other == nil && file != ValidationFile {
		return fmt.Errorf("%s holds a validation, not a %s: 'report' shows it, and it has a text of its own, %s", in.path, kind, ValidationTextFile)
	}
	if err != nil {
		return fmt.Errorf("%s is not a %s: %w", in.path, kind, err)
	}
	var of struct {
		Schema int `json:"schema"`
	}
	err = json.Unmarshal(text, &of)
	if err == nil {
		err = checkSchema(of.Schema, schema) // before fields of other versions
	}
	if err == nil {
		err = json.Unmarshal(text, header)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// lines gives each whole line of the records file to take, whose errors get the line's number, and returns the length of
// these lines as they are in the file. What follows the last line end was cut when it was written. No file is no lines.
func (in folderReader) lines(take func(line []byte) error) (whole int64, err error) {
	name := filepath.Join(in.path, RecordsFile)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		} else if err != nil {
			return 0, err
		}
		whole += int64(len(line))
		if in.edit != nil {
			line = in.edit(line)
		}
		if in.keep != nil {
			in.keep(RecordsFile, line)
		}
		if err := take(bytes.TrimSpace(line)); err != nil {
			return 0, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
}

// open opens and locks the records; the lock ends with the file.
func (f *runFolder) open(flag int) error {
	file, err := os.OpenFile(filepath.Join(f.path, RecordsFile), flag|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	if err := flock.Try(file); err != nil {
		file.Close()
		if errors.Is(err, flock.ErrHeld) {
			return fmt.Errorf("%s: another process is measuring into this folder; wait for it, or name another folder", f.path)
		}
		return fmt.Errorf("%s: lock: %w", file.Name(), err)
	}
	f.records = file
	return nil
}

func (f *runFolder) writeHeader(header any) error {
	return WriteFile(filepath.Join(f.path, f.header), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(header)
	})
}

// Path returns the name of the folder.
func (f *runFolder) Path() string { return f.path }

// Append adds a record: one write, so that a killed process leaves at most a cut last line.
func (f *Folder) Append(rec trial.Record) error { return f.append(rec) }

func (f *runFolder) append(rec any) error {
	line, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	_, err = f.records.Write(append(line, '\n'))
	return err
}

// Finish syncs the records and writes the header of the results, table, CSV and charts, each whole or not at all.
func (f *Folder) Finish(results *analysis.Results) error {
	if err := f.FinishTables(results); err != nil {
		return err
	}
	return writeCharts(f.write, results)
}

func (f *Folder) write(name string, write func(io.Writer) error) error {
	return WriteFile(filepath.Join(f.path, name), write)
}

// FinishTables is Finish without charts.
func (f *Folder) FinishTables(results *analysis.Results) error {
	if err := f.records.Sync(); err != nil {
		return err
	}
	if err := f.writeHeader(results.Header); err != nil {
		return err
	}
	if err := f.write(TableFile, func(w io.Writer) error { return WriteText(w, results) }); err != nil {
		return err
	}
	if err := f.write(CSVFile, func(w io.Writer) error { return WriteCSV(w, results) }); err != nil {
		return err
	}
	if len(results.Soaks) > 0 {
		if err := f.write(SoakCSVFile, func(w io.Writer) error { return WriteSoakCSV(w, results) }); err != nil {
			return err
		}
		if err := f.write(SoakTrialsCSVFile, func(w io.Writer) error { return WriteSoakTrialsCSV(w, results) }); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the records. It may be called more than once.
func (f *runFolder) Close() error {
	if f.records == nil {
		return nil
	}
	err := f.records.Close()
	f.records = nil
	return err
}
