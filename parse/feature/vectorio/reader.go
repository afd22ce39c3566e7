package vectorio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"pcaplab/parse/feature"
)

var (
	// ErrOldRelease is wrapped where a file has the 46 columns of the dataset's release of 2023.
	ErrOldRelease = errors.New("the older release of CIC-IoT-2023, with 46 columns: it has flow_duration, Duration (now " +
		"Time_To_Live), Srate, Drate, urg_count, Magnitue, Radius, Covariance and Weight, no IGMP, and the columns of the " +
		"same name are on other scales (Number 9.5 for 100 packets, IAT near 8.3e7, Header_Length counts octets of the flow, " +
		"Variance is a ratio, Protocol Type a mean): take the release with 39 columns, the two cannot be mixed")
	// ErrColumns is wrapped where a file lacks columns, or has one twice.
	ErrColumns = errors.New("not the columns of feature vectors")
	// ErrCutRow is wrapped where the last row of a CSV file ends early.
	ErrCutRow = errors.New("the file was cut")
	// ErrUnsupported is wrapped where a Parquet file uses what this package does not read.
	ErrUnsupported = errors.New("not supported")
)

// RowError tells which row of a file is at fault.
type RowError struct {
	Name   string // of the file
	Row    int64  // from 1
	Line   int64  // of a CSV file, from 1; 0 in Parquet
	Column string // empty if it is the whole row
	Err    error
}

func (e *RowError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: row %d", e.Name, e.Row)
	if e.Line > 0 {
		fmt.Fprintf(&b, " (line %d)", e.Line)
	}
	if e.Column != "" {
		fmt.Fprintf(&b, ", column %q", e.Column)
	}
	return b.String() + ": " + e.Err.Error()
}

func (e *RowError) Unwrap() error { return e.Err }

// Record is a row of a file.
type Record struct {
	// Values are the columns in the order of feature.Columns. NaN stands for empty or null.
	Values [feature.NumColumns]float64
	// Label is empty if there is none.
	Label string
}

// rows is a format.
type rows interface {
	next(rec *Record) error // io.EOF at the end
	close() error
}

// Reader reads the rows of a file of vectors one after the other. Memory does not grow with the file, but for the footer
// of Parquet. It belongs to one goroutine.
type Reader struct {
	name     string
	format   string
	rows     rows
	header   header
	cut      func() bool
	metadata []KeyValue
	read     int64
	err      error
	file     io.Closer
}

// Open opens a file of vectors: CSV, perhaps compressed with gzip or zstd, or Parquet, which it is by its content. Columns
// go by their names: they may stand in any order, and others than those of feature.Columns and the label ("Label" in any
// case, blanks around it or not) are passed over; Extra names them. Errors name the file; those of its content wrap ErrOldRelease, ErrColumns or
// ErrUnsupported where they apply. Close it in the end.
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	var r *Reader
	if err == nil {
		r, err = NewReader(file, info.Size(), path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	r.file = file
	return r, nil
}

// NewReader is Open for size octets of src. name stands in errors. Close does not close src.
func NewReader(src io.ReaderAt, size int64, name string) (*Reader, error) {
	r := &Reader{name: name, cut: func() bool { return false }}
	if err := r.open(src, size); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func (r *Reader) open(src io.ReaderAt, size int64) error {
	var start [4]byte
	n, err := src.ReadAt(start[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n == 0 || size == 0 {
		return errors.New("empty: want a header line, or Parquet")
	}
	switch {
	case string(start[:n]) == "PARE":
		return errors.New("encrypted Parquet cannot be read")
	case string(start[:n]) == parquetMagic:
		r.format = "parquet"
		return r.openParquet(src, size)
	}
	r.format = "csv"
	return r.openCSV(io.NewSectionReader(src, 0, size), start[:n])
}

// Next sets *rec to the next row, or returns io.EOF behind the last. Rows before a fault are delivered; an error is a
// *RowError, and returned again. It wraps ErrCutRow where a CSV file ends within a row.
func (r *Reader) Next(rec *Record) error {
	if r.err == nil {
		if r.err = r.rows.next(rec); r.err == nil {
			r.read++
		}
	}
	return r.err
}

// Close closes the file that Open opened, and frees what decompression holds.
func (r *Reader) Close() error {
	err := r.rows.close()
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
		r.file = nil
	}
	return err
}

// Name returns the path, or what NewReader was told.
func (r *Reader) Name() string { return r.name }

// Format returns "csv" or "parquet".
func (r *Reader) Format() string { return r.format }

// Labelled reports whether there is a column of labels.
func (r *Reader) Labelled() bool { return r.header.labelled }

// Extra returns the names of columns that are passed over.
func (r *Reader) Extra() []string { return slices.Clone(r.header.extra) }

// Texts returns the names of those columns of Extra that hold text, as labels would be, in a file without labels: of CSV those
// whose first value begins with a letter.
func (r *Reader) Texts() []string { return slices.Clone(r.header.texts) }

// InOrder reports whether the columns stand in the dataset's order, the label last.
func (r *Reader) InOrder() bool { return r.header.inOrder }

// Metadata returns the pairs of a Parquet file, none of a CSV file.
func (r *Reader) Metadata() []KeyValue { return slices.Clone(r.metadata) }

// Rows returns how many rows were read.
func (r *Reader) Rows() int64 { return r.read }

// Unterminated reports, once Next returned io.EOF, whether a CSV file ends without a line feed: its last row has all
// fields, but the last of them may have been cut.
func (r *Reader) Unterminated() bool { return r.cut() }

const (
	toLabel = feature.NumColumns
	toNone  = -1
)

// header says what the columns of a file are.
type header struct {
	to       []int // by column of the file: index into Values, toLabel or toNone
	labelled bool
	extra    []string
	texts    []string
	inOrder  bool
}

func parseHeader(names []string) (header, error) {
	h := header{to: make([]int, len(names)), inOrder: true}
	if slices.Contains(names, "flow_duration") && slices.Contains(names, "Magnitue") {
		return h, ErrOldRelease
	}
	seen := map[string]bool{}
	order := -1
	for i, name := range names {
		to := slices.Index(columns, name)
		if to < 0 && strings.EqualFold(strings.TrimSpace(name), LabelColumn) {
			to = toLabel
		}
		if to < 0 {
			h.to[i] = toNone
			h.extra = append(h.extra, name)
			continue
		}
		if to == toLabel {
			name = LabelColumn
			h.labelled = true
		}
		if seen[name] {
			return h, fmt.Errorf("%w: %q stands there twice", ErrColumns, name)
		}
		seen[name] = true
		h.inOrder = h.inOrder && to > order
		order = to
		h.to[i] = to
	}
	var missing []string
	for _, name := range columns {
		if !seen[name] {
			missing = append(missing, name)
		}
	}
	switch len(missing) {
	case 0:
		return h, nil
	case feature.NumColumns:
		return h, fmt.Errorf("%w: none is there, the first is %q; the first line must name the columns, %s", ErrColumns,
			first(names), strings.Join(columns[:3], ",")+",...")
	case 1:
		return h, fmt.Errorf("%w: %q is missing", ErrColumns, missing[0])
	}
	return h, fmt.Errorf("%w: %q and %d more are missing", ErrColumns, missing[0], len(missing)-1)
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0][:min(len(names[0]), 40)]
}

// internLimit bounds how many labels are kept.
const internLimit = 1 << 12

// interned keeps one string for each label.
type interned struct {
	last string
	all  map[string]string
}

func (t *interned) text(b []byte) string {
	if string(b) == t.last {
		return t.last
	}
	s, known := t.all[string(b)]
	if !known {
		if t.all == nil || len(t.all) == internLimit {
			t.all = map[string]string{}
		}
		s = string(b)
		t.all[s] = s
	}
	t.last = s
	return s
}

// trimQuotes takes quotes around a whole field off.
func trimQuotes(b []byte) []byte {
	if n := len(b); n >= 2 && b[0] == '"' && b[n-1] == '"' {
		b = b[1 : n-1]
		if bytes.Contains(b, []byte(`""`)) {
			b = bytes.ReplaceAll(b, []byte(`""`), []byte(`"`))
		}
	}
	return b
}

// unexpected is err, or what says that a stream ended early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var columns = feature.Columns()
