package vectorio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"pcaplab/parse/feature"
)

// ParquetEncoder makes Parquet files of vectors: segments of one row group that a ParquetIndex joins to one file. The
// columns are those of feature.Columns, INT64 where feature.Whole says so, DOUBLE otherwise; Rate, Std, IAT and Variance
// are optional, with null for NaN. Equal vectors and labels give equal octets. The zero value is ready to use. An encoder
// belongs to one goroutine.
type ParquetEncoder struct {
	// Labelled adds the column LabelColumn, a string.
	Labelled bool

	out      bytes.Buffer
	rows     []row
	labelled []labelledRow
	plain    *parquet.GenericWriter[row]
	withText *parquet.GenericWriter[labelledRow]
}

// createdBy is what files say made them.
const createdBy = "pcaplab"

// encodedRows is how many rows are handed to the writer at a time.
const encodedRows = 1024

// Encode appends a whole Parquet file of one row group, or of none without vectors. labels are one for each vector if
// Labelled, else they are ignored. It fails, and returns dst as it was, for other than as many labels, a label that is not
// UTF-8, or a whole column of a vector that holds no whole number.
func (e *ParquetEncoder) Encode(dst []byte, vectors []feature.Vector, labels []string) ([]byte, error) {
	if err := e.check(vectors, labels); err != nil {
		return dst, fmt.Errorf("parquet: %w", err)
	}
	e.out.Reset()
	var err error
	if e.Labelled {
		if e.withText == nil {
			e.withText = parquet.NewGenericWriter[labelledRow](&e.out, writerOptions()...)
			e.labelled = make([]labelledRow, encodedRows)
		}
		e.withText.Reset(&e.out)
		err = inTurn(len(vectors), func(from, to int) error {
			for i := range vectors[from:to] {
				e.labelled[i].set(&vectors[from+i])
				e.labelled[i].Label = labels[from+i]
			}
			_, err := e.withText.Write(e.labelled[:to-from])
			return err
		})
		err = errors.Join(err, e.withText.Close())
	} else {
		if e.plain == nil {
			e.plain = parquet.NewGenericWriter[row](&e.out, writerOptions()...)
			e.rows = make([]row, encodedRows)
		}
		e.plain.Reset(&e.out)
		err = inTurn(len(vectors), func(from, to int) error {
			for i := range vectors[from:to] {
				e.rows[i].set(&vectors[from+i])
			}
			_, err := e.plain.Write(e.rows[:to-from])
			return err
		})
		err = errors.Join(err, e.plain.Close())
	}
	if err != nil {
		return dst, fmt.Errorf("parquet: %w", err)
	}
	return appendSegment(dst, e.out.Bytes())
}

// appendSegment appends a file with the paths of the columns in its footer: a writer that was used before leaves them out.
func appendSegment(dst, file []byte) ([]byte, error) {
	n := int64(len(file))
	footer, err := readFooter(bytes.NewReader(file), n)
	if err != nil {
		return dst, fmt.Errorf("parquet: %w", err)
	}
	var m format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &m); err != nil {
		return dst, fmt.Errorf("parquet: %w", err)
	}
	for _, g := range m.RowGroups {
		for i := range g.Columns {
			g.Columns[i].MetaData.PathInSchema = []string{m.Schema[1+i].Name}
		}
	}
	m.CreatedBy = createdBy
	return appendFooter(append(dst, file[:n-parquetTail-int64(len(footer))]...), &m)
}

func appendFooter(dst []byte, m *format.FileMetaData) ([]byte, error) {
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), m)
	if err != nil {
		return dst, fmt.Errorf("parquet: footer: %w", err)
	}
	dst = append(dst, footer...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(footer)))
	return append(dst, parquetMagic...), nil
}

func (e *ParquetEncoder) check(vectors []feature.Vector, labels []string) error {
	for i := range vectors {
		x := &vectors[i].Values
		for column, isWhole := range whole {
			if v := x[column]; isWhole && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
				return fmt.Errorf("vector %d: column %q holds %v: want a whole number", i, columns[column], v)
			}
		}
	}
	if !e.Labelled {
		return nil
	}
	if len(labels) != len(vectors) {
		return fmt.Errorf("%d labels for %d vectors", len(labels), len(vectors))
	}
	for i, label := range labels {
		if (i == 0 || label != labels[i-1]) && !utf8.ValidString(label) {
			return fmt.Errorf("vector %d: label %q is not UTF-8", i, label)
		}
	}
	return nil
}

func inTurn(n int, part func(from, to int) error) error {
	for from := 0; from < n; from += encodedRows {
		if err := part(from, min(from+encodedRows, n)); err != nil {
			return err
		}
	}
	return nil
}

func writerOptions() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.Compression(&parquet.Uncompressed),
		parquet.MaxRowsPerRowGroup(1 << 20),
	}
}

// KeyValue is a text that a Parquet file says of itself under a name.
type KeyValue struct {
	Key, Value string
}

// ErrSegment is wrapped where octets are no whole segment of the same columns.
var ErrSegment = errors.New("not a whole segment")

// ParquetIndex joins Parquet files that stand one behind another in one file: a footer behind them that knows all their
// row groups makes the whole a Parquet file. The zero value is ready to use.
type ParquetIndex struct {
	meta     format.FileMetaData
	segments int
	size     int64 // of the segments
}

const (
	parquetMagic = "PAR1"
	parquetTail  = 8 // octets of the footer's length and the magic
)

// Segments returns how many segments were added.
func (x *ParquetIndex) Segments() int { return x.segments }

// Rows returns how many rows they have.
func (x *ParquetIndex) Rows() int64 { return x.meta.NumRows }

// Size returns their octets: where the next segment, or the footer, goes.
func (x *ParquetIndex) Size() int64 { return x.size }

// Add takes over the row groups of the next segment. An error wraps ErrSegment; the index is then as it was.
func (x *ParquetIndex) Add(segment []byte) error {
	return x.add(bytes.NewReader(segment), int64(len(segment)))
}

// Restore takes over the row groups of segments that stand in r one behind the other, the first where the index ends, by
// their lengths in octets. It stops at the first that is not whole, with an error that wraps ErrSegment.
func (x *ParquetIndex) Restore(r io.ReaderAt, lengths []int64) error {
	for _, n := range lengths {
		if err := x.add(io.NewSectionReader(r, x.size, n), n); err != nil {
			return err
		}
	}
	return nil
}

func (x *ParquetIndex) add(r io.ReaderAt, n int64) error {
	m, err := readSegment(r, n)
	if err == nil && x.segments > 0 && !slices.EqualFunc(m.Schema, x.meta.Schema, sameElement) {
		err = errors.New("other columns than the segments before")
	}
	if err != nil {
		return fmt.Errorf("parquet: segment %d at octet %d: %w: %w", x.segments+1, x.size, ErrSegment, err)
	}
	for _, g := range m.RowGroups {
		x.shift(&g)
		x.meta.RowGroups = append(x.meta.RowGroups, g)
	}
	x.meta.NumRows += m.NumRows
	x.meta.Version, x.meta.Schema, x.meta.CreatedBy, x.meta.ColumnOrders = m.Version, m.Schema, m.CreatedBy, m.ColumnOrders
	x.segments++
	x.size += n
	return nil
}

func sameElement(a, b format.SchemaElement) bool {
	return a.Name == b.Name && reflect.DeepEqual(a.Type, b.Type)
}

// shift moves a row group from its segment to where the segment stands.
func (x *ParquetIndex) shift(g *format.RowGroup) {
	g.Ordinal = int16(len(x.meta.RowGroups))
	if g.FileOffset > 0 {
		g.FileOffset += x.size
	}
	for i := range g.Columns {
		c := &g.Columns[i]
		// Readers do without the indices of pages, which are few.
		c.OffsetIndexOffset, c.OffsetIndexLength, c.ColumnIndexOffset, c.ColumnIndexLength = 0, 0, 0, 0
		if c.FileOffset > 0 {
			c.FileOffset += x.size
		}
		c.MetaData.DataPageOffset += x.size
		if c.MetaData.DictionaryPageOffset > 0 {
			c.MetaData.DictionaryPageOffset += x.size
		}
	}
}

func readSegment(r io.ReaderAt, n int64) (m format.FileMetaData, err error) {
	var start [len(parquetMagic)]byte
	if _, err := r.ReadAt(start[:], 0); err != nil {
		return m, unexpected(err)
	}
	if string(start[:]) != parquetMagic {
		return m, fmt.Errorf("it does not start with %s", parquetMagic)
	}
	footer, err := readFooter(r, n)
	if err != nil {
		return m, err
	}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &m); err != nil {
		return m, err
	}
	for _, g := range m.RowGroups {
		for _, c := range g.Columns {
			if end := c.MetaData.DataPageOffset; end < 0 || end > n {
				return m, fmt.Errorf("pages at octet %d of %d", end, n)
			}
		}
	}
	return m, nil
}

// readFooter returns the footer of a Parquet file of n octets, checked.
func readFooter(r io.ReaderAt, n int64) ([]byte, error) {
	var tail [parquetTail]byte
	if n < parquetTail+int64(len(parquetMagic)) {
		return nil, io.ErrUnexpectedEOF
	}
	if _, err := r.ReadAt(tail[:], n-parquetTail); err != nil {
		return nil, unexpected(err)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(tail[4:]) != parquetMagic:
		return nil, fmt.Errorf("it does not end with %s", parquetMagic)
	case length > n-parquetTail-int64(len(parquetMagic)):
		return nil, fmt.Errorf("a footer of %d octets in %d", length, n)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, n-parquetTail-length); err != nil {
		return nil, unexpected(err)
	}
	return footer, checkThrift(footer)
}

// AppendFooter appends the footer of the segments so far. A file needs at least one segment, which may be of no vectors.
func (x *ParquetIndex) AppendFooter(dst []byte, metadata []KeyValue) ([]byte, error) {
	if x.segments == 0 {
		return dst, errors.New("parquet: a footer needs a segment before it")
	}
	m := x.meta
	for _, kv := range metadata {
		m.KeyValueMetadata = append(m.KeyValueMetadata, format.KeyValue{Key: kv.Key, Value: kv.Value})
	}
	return appendFooter(dst, &m)
}
