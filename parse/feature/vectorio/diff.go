package vectorio

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"pcaplab/parse/feature"
)

// DiffConfig is how Diff compares. The zero value compares row by row, exactly.
type DiffConfig struct {
	// Tolerance is how far apart two values may be, as a part of the greater of their magnitudes: 1e-12, say. At 0 they
	// must be equal. Two empty values are equal, and so are two infinities of one sign, and 0 and -0.
	Tolerance float64 `json:"tolerance"`
	// AnyOrder compares which rows there are and how often, exactly, whatever their order. It takes 16 octets of memory for
	// each row of both files, and knows rows by a hash of 128 bits.
	AnyOrder bool `json:"any_order"`
	// Examples is how many rows of only one file a report shows with AnyOrder. 0 is 3.
	Examples int `json:"examples"`
}

// Check reports what Diff would refuse.
func (c DiffConfig) Check() error {
	switch {
	case !(c.Tolerance >= 0) || c.Tolerance >= 1:
		return fmt.Errorf("tolerance %v: from 0 to below 1", c.Tolerance)
	case c.Tolerance > 0 && c.AnyOrder:
		return errors.New("in any order rows are compared exactly: no tolerance")
	case c.Examples < 0:
		return fmt.Errorf("%d examples: at least 0", c.Examples)
	}
	return nil
}

// Value is a float64 that JSON holds as a number or, where it has none, as "NaN", "+Inf" or "-Inf".
type Value float64

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	if x := float64(v); x-x != 0 {
		return strconv.AppendQuote(nil, strconv.FormatFloat(x, 'g', -1, 64)), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(b []byte) error {
	x, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil {
		return fmt.Errorf("%s is no value", b)
	}
	*v = Value(x)
	return nil
}

func (v Value) String() string {
	if v != v {
		return "empty"
	}
	return string(AppendFloat(nil, float64(v)))
}

// DiffFile is one of two files compared.
type DiffFile struct {
	Name     string `json:"name"`
	Format   string `json:"format"` // csv or parquet
	Rows     int64  `json:"rows"`
	Labelled bool   `json:"labelled"`
	InOrder  bool   `json:"in_order"` // its columns stand in the dataset's order
	// Unterminated says that a CSV file ends without a line feed: its last field may have been cut.
	Unterminated bool `json:"unterminated,omitempty"`
	// Only are columns that the other file does not have. Those of both that are no features are not compared.
	Only []string `json:"only,omitempty"`
}

// ColumnDiff is how a column differs.
type ColumnDiff struct {
	Column string `json:"column"`
	Rows   int64  `json:"rows"`   // in which it is not equal
	Beyond int64  `json:"beyond"` // in which it is beyond the tolerance
	Empty  int64  `json:"empty"`  // in which it is empty in one file only, beyond every tolerance
	// The largest differences of rows where neither is empty, and the rows, from 1, where they are first.
	MaxAbs    Value `json:"max_abs"`
	MaxAbsRow int64 `json:"max_abs_row"`
	MaxRel    Value `json:"max_rel"`
	MaxRelRow int64 `json:"max_rel_row"`
}

// FirstDiff is where two files part: the first value beyond the tolerance, or label.
type FirstDiff struct {
	Row    int64  `json:"row"` // from 1
	Column string `json:"column"`
	A      Value  `json:"a"` // of a column of features
	B      Value  `json:"b"`
	LabelA string `json:"label_a,omitempty"` // where Column is LabelColumn
	LabelB string `json:"label_b,omitempty"`
}

// ExampleRow is a row of only one file.
type ExampleRow struct {
	Row  int64  `json:"row"`  // from 1
	Text string `json:"text"` // as CSV
}

// DiffReport is what Diff found.
type DiffReport struct {
	Config DiffConfig `json:"config"`
	A      DiffFile   `json:"a"`
	B      DiffFile   `json:"b"`

	// Row by row: Compared rows are as many as the shorter file has. RowsDiffer of them hold a value beyond the tolerance
	// or another label.
	Incomplete   bool         `json:"incomplete,omitempty"` // an error ended the comparison
	Compared     int64        `json:"compared"`
	RowsDiffer   int64        `json:"rows_differ"`
	LabelsDiffer int64        `json:"labels_differ"`
	Columns      []ColumnDiff `json:"columns,omitempty"` // those that are not equal
	First        *FirstDiff   `json:"first,omitempty"`

	// In any order: rows that one file has and the other has not, or not as often.
	OnlyA     int64        `json:"only_a"`
	OnlyB     int64        `json:"only_b"`
	ExamplesA []ExampleRow `json:"examples_a,omitempty"`
	ExamplesB []ExampleRow `json:"examples_b,omitempty"`
}

// Equal reports whether the files have the same columns and rows, within the tolerance.
func (r *DiffReport) Equal() bool {
	return !r.Incomplete && r.A.Rows == r.B.Rows && len(r.A.Only) == 0 && len(r.B.Only) == 0 && r.RowsDiffer == 0 && r.OnlyA == 0 && r.OnlyB == 0
}

// exact reports whether nothing differs at all.
func (r *DiffReport) exact() bool { return r.Equal() && len(r.Columns) == 0 }

// Diff compares two files of vectors, of any of the formats that Open reads. After an error the report holds what was
// compared until then; what the errors of Open and Reader.Next wrap, these do.
func Diff(ctx context.Context, a, b string, cfg DiffConfig) (DiffReport, error) {
	r := DiffReport{Config: cfg, A: DiffFile{Name: a}, B: DiffFile{Name: b}}
	if err := cfg.Check(); err != nil {
		return r, err
	}
	ra, err := Open(a)
	if err != nil {
		return r, err
	}
	defer ra.Close()
	rb, err := Open(b)
	if err != nil {
		return r, err
	}
	defer rb.Close()
	r.A.describe(ra, rb)
	r.B.describe(rb, ra)
	if cfg.AnyOrder {
		err = r.anyOrder(ctx, ra, rb)
	} else {
		err = r.inOrder(ctx, ra, rb)
	}
	r.A.Rows, r.B.Rows = ra.Rows(), rb.Rows()
	r.Incomplete = err != nil
	r.A.Unterminated, r.B.Unterminated = ra.Unterminated(), rb.Unterminated()
	return r, err
}

func (f *DiffFile) describe(r, other *Reader) {
	f.Format, f.Labelled, f.InOrder = r.Format(), r.Labelled(), r.InOrder()
	for _, name := range r.header.extra {
		if !slices.Contains(other.header.extra, name) {
			f.Only = append(f.Only, name)
		}
	}
	if f.Labelled && !other.Labelled() {
		f.Only = append(f.Only, LabelColumn)
	}
}

// often is how many rows pass between two looks at the context.
const often = 4096

func (r *DiffReport) inOrder(ctx context.Context, ra, rb *Reader) error {
	labelled := ra.Labelled() && rb.Labelled()
	var diffs [feature.NumColumns]ColumnDiff
	defer func() {
		for i := range diffs {
			if diffs[i].Rows > 0 {
				diffs[i].Column = columns[i]
				r.Columns = append(r.Columns, diffs[i])
			}
		}
	}()
	var a, b Record
	for {
		if r.Compared%often == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		errA, errB := ra.Next(&a), rb.Next(&b)
		if errA != nil || errB != nil {
			return errors.Join(drain(ctx, ra, errA), drain(ctx, rb, errB))
		}
		r.Compared++
		differs := false
		for i, x := range a.Values {
			y := b.Values[i]
			if x == y || x != x && y != y {
				continue
			}
			if diffs[i].add(x, y, r.Compared, r.Config.Tolerance) {
				if r.First == nil {
					r.First = &FirstDiff{Row: r.Compared, Column: columns[i], A: Value(x), B: Value(y)}
				}
				differs = true
			}
		}
		if labelled && a.Label != b.Label {
			r.LabelsDiffer++
			differs = true
			if r.First == nil {
				r.First = &FirstDiff{Row: r.Compared, Column: LabelColumn, LabelA: a.Label, LabelB: b.Label}
			}
		}
		if differs {
			r.RowsDiffer++
		}
	}
}

// drain counts the rows that are left, and turns the end of a file into no error.
func drain(ctx context.Context, r *Reader, err error) error {
	var rec Record
	for n := 1; err == nil; n++ {
		if n%often == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		err = r.Next(&rec)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// add counts two values that are not equal and reports whether they are beyond the tolerance.
func (d *ColumnDiff) add(x, y float64, row int64, tolerance float64) (beyond bool) {
	d.Rows++
	if x != x || y != y {
		d.Empty++
		d.Beyond++
		return true
	}
	abs, rel := math.Abs(x-y), math.Inf(1)
	if abs <= math.MaxFloat64 {
		rel = abs / max(math.Abs(x), math.Abs(y))
	}
	if Value(abs) > d.MaxAbs {
		d.MaxAbs, d.MaxAbsRow = Value(abs), row
	}
	if Value(rel) > d.MaxRel {
		d.MaxRel, d.MaxRelRow = Value(rel), row
	}
	if rel > tolerance {
		d.Beyond++
		return true
	}
	return false
}

// rowKey is a hash of a row.
type rowKey [2]uint64

func (k rowKey) compare(l rowKey) int {
	return cmp.Or(cmp.Compare(k[0], l[0]), cmp.Compare(k[1], l[1]))
}

type rowHash struct {
	seeds    [2]maphash.Seed
	buf      []byte
	labelled bool
}

func (h *rowHash) key(rec *Record) rowKey {
	h.buf = h.buf[:0]
	for _, v := range rec.Values {
		switch {
		case v != v:
			v = math.NaN()
		case v == 0:
			v = 0
		}
		h.buf = binary.LittleEndian.AppendUint64(h.buf, math.Float64bits(v))
	}
	if h.labelled {
		h.buf = append(h.buf, rec.Label...)
	}
	return rowKey{maphash.Bytes(h.seeds[0], h.buf), maphash.Bytes(h.seeds[1], h.buf)}
}

func (r *DiffReport) anyOrder(ctx context.Context, ra, rb *Reader) error {
	h := &rowHash{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, labelled: ra.Labelled() && rb.Labelled()}
	a, err := h.keys(ctx, ra)
	if err != nil {
		return err
	}
	b, err := h.keys(ctx, rb)
	if err != nil {
		return err
	}
	// What is left of each when equal ones are struck out.
	i, j, onlyA, onlyB := 0, 0, a[:0], b[:0]
	for i < len(a) || j < len(b) {
		var order int
		switch {
		case j == len(b):
			order = -1
		case i == len(a):
			order = 1
		default:
			order = a[i].compare(b[j])
		}
		switch {
		case order < 0:
			onlyA = append(onlyA, a[i])
			i++
		case order > 0:
			onlyB = append(onlyB, b[j])
			j++
		default:
			i++
			j++
		}
	}
	r.OnlyA, r.OnlyB = int64(len(onlyA)), int64(len(onlyB))
	n := r.Config.Examples
	if n == 0 {
		n = 3
	}
	if r.ExamplesA, err = h.examples(ctx, ra.Name(), onlyA, n); err != nil {
		return err
	}
	r.ExamplesB, err = h.examples(ctx, rb.Name(), onlyB, n)
	return err
}

// keys returns those of all rows, sorted.
func (h *rowHash) keys(ctx context.Context, r *Reader) ([]rowKey, error) {
	var keys []rowKey
	var rec Record
	for {
		if len(keys)%often == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		err := r.Next(&rec)
		if err == io.EOF {
			slices.SortFunc(keys, rowKey.compare)
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, h.key(&rec))
	}
}

// examples reads a file again for the first rows whose keys are given, sorted.
func (h *rowHash) examples(ctx context.Context, path string, only []rowKey, n int) (found []ExampleRow, err error) {
	n = min(n, len(only))
	if n == 0 {
		return nil, nil
	}
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	shown := map[rowKey]int{}
	var rec Record
	for len(found) < n {
		if r.Rows()%often == 0 && ctx.Err() != nil {
			return found, ctx.Err()
		}
		if err := r.Next(&rec); err == io.EOF {
			return found, nil
		} else if err != nil {
			return found, err
		}
		key := h.key(&rec)
		at, known := slices.BinarySearchFunc(only, key, rowKey.compare)
		if !known {
			continue
		}
		// Of a row that both have, one oftener, so many as it has more.
		if at += shown[key]; at < len(only) && only[at] == key {
			shown[key]++
			found = append(found, ExampleRow{Row: r.Rows(), Text: rec.text(r.Labelled())})
		}
	}
	return found, nil
}

// text returns the row as CSV.
func (rec *Record) text(labelled bool) string {
	v := feature.Vector{Values: rec.Values}
	for i, x := range v.Values {
		if whole[i] && x != math.Trunc(x) {
			// As it is, where AppendCSV would round it.
			var b []byte
			for j, x := range v.Values {
				if j > 0 {
					b = append(b, ',')
				}
				b = AppendFloat(b, x)
			}
			return withLabel(b, rec.Label, labelled)
		}
	}
	return withLabel(AppendCSV(nil, &v), rec.Label, labelled)
}

func withLabel(b []byte, label string, labelled bool) string {
	if labelled {
		b = AppendLabel(b, label)
	}
	return string(b)
}

// verdict is the report in a line.
func (r *DiffReport) verdict() string {
	if r.Incomplete {
		return fmt.Sprintf("not compared to the end: a fault after %d rows of a, %d of b; rows that differ until then: %d", r.A.Rows, r.B.Rows, r.RowsDiffer)
	}
	if r.exact() {
		s := fmt.Sprintf("equal: %d rows", r.A.Rows)
		if r.Config.AnyOrder {
			s += ", in any order"
		}
		return s
	}
	if r.Equal() {
		var values int64
		for i := range r.Columns {
			values += r.Columns[i].Rows
		}
		return fmt.Sprintf("equal within %g: %d rows, values that differ by less: %d", r.Config.Tolerance, r.A.Rows, values)
	}
	var parts []string
	if len(r.A.Only)+len(r.B.Only) > 0 {
		parts = append(parts, "columns")
	}
	switch {
	case r.Config.AnyOrder:
		if r.OnlyA+r.OnlyB > 0 {
			parts = append(parts, fmt.Sprintf("rows only in a: %d, only in b: %d", r.OnlyA, r.OnlyB))
		}
	case r.RowsDiffer > 0:
		s := fmt.Sprintf("rows that differ: %d of %d", r.RowsDiffer, r.Compared)
		if r.Config.Tolerance > 0 {
			s += fmt.Sprintf(" beyond %g", r.Config.Tolerance)
		}
		parts = append(parts, s)
	}
	switch {
	case r.Config.AnyOrder:
	case r.A.Rows > r.B.Rows:
		parts = append(parts, fmt.Sprintf("rows more in a: %d", r.A.Rows-r.B.Rows))
	case r.A.Rows < r.B.Rows:
		parts = append(parts, fmt.Sprintf("rows more in b: %d", r.B.Rows-r.A.Rows))
	}
	return "different: " + strings.Join(parts, "; ")
}

// WriteText writes the report for people: a line with the verdict, the files, where they part, and the columns that differ.
func (r *DiffReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.verdict())
	for _, f := range []struct {
		name string
		file *DiffFile
	}{{"a", &r.A}, {"b", &r.B}} {
		fmt.Fprintf(&b, "%s: %s, %s, %d rows", f.name, f.file.Name, f.file.Format, f.file.Rows)
		if f.file.Labelled {
			b.WriteString(", labelled")
		}
		if !f.file.InOrder {
			b.WriteString(", columns in another order")
		}
		if f.file.Unterminated {
			b.WriteString(", no line feed at its end: perhaps cut")
		}
		if len(f.file.Only) > 0 {
			fmt.Fprintf(&b, ", alone has %q", f.file.Only)
		}
		b.WriteByte('\n')
	}
	if d := r.First; d != nil {
		if d.Column == LabelColumn {
			fmt.Fprintf(&b, "first at row %d, %s: %q and %q\n", d.Row, d.Column, d.LabelA, d.LabelB)
		} else {
			fmt.Fprintf(&b, "first at row %d, %s: %v and %v\n", d.Row, d.Column, d.A, d.B)
		}
	}
	if r.LabelsDiffer > 0 {
		fmt.Fprintf(&b, "labels that differ: %d\n", r.LabelsDiffer)
	}
	if len(r.Columns) > 0 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "column\trows\tbeyond\tempty in one\tlargest difference\tat row\tlargest relative\tat row")
		for i := range r.Columns {
			c := &r.Columns[i]
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\n", c.Column, c.Rows, c.Beyond, c.Empty, largest(c.MaxAbs, c.MaxAbsRow), largest(c.MaxRel, c.MaxRelRow))
		}
		t.Flush()
	}
	for _, e := range []struct {
		name string
		rows []ExampleRow
	}{{"a", r.ExamplesA}, {"b", r.ExamplesB}} {
		for _, row := range e.rows {
			fmt.Fprintf(&b, "only in %s, row %d: %s\n", e.name, row.Row, row.Text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func largest(v Value, row int64) string {
	if row == 0 {
		return "-\t-"
	}
	return fmt.Sprintf("%.3g\t%d", float64(v), row)
}
