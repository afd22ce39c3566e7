package vectorio

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// parquetBatch is how many values of a column are read at a time.
const parquetBatch = 512

type parquetRows struct {
	name    string
	file    *parquet.File
	header  header
	columns []*parquetColumn // those that are read
	group   int              // the next one
	left    int64            // rows of the group
	row     int64
	head    [maxPageHead]byte
}

// parquetColumn reads a column of a row group.
type parquetColumn struct {
	name   string
	leaf   int // index among the leaves of the schema
	to     int
	pages  parquet.Pages
	page   parquet.ValueReader
	values [parquetBatch]parquet.Value
	pos, n int
	labels interned
}

// errAlignment says that parquet-go 0.25.1 and 0.32.0 read floats behind levels at any address, which 32-bit ARM refuses.
var errAlignment = errors.New("parquet-go cannot read this file on 32-bit ARM: read it on another machine, or extract CSV")

// guarded runs f and returns as an error what the library panics with over a damaged file, or faults with on 32-bit ARM.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		fault, _ := p.(interface{ Addr() uintptr }) // what runtime/debug documents
		switch {
		case p == nil:
		case fault != nil && runtime.GOARCH == "arm":
			err = fmt.Errorf("%w: %w", ErrUnsupported, errAlignment)
		default:
			err = fmt.Errorf("damaged Parquet file: %v", p)
		}
	}()
	return f()
}

func (r *Reader) openParquet(src io.ReaderAt, size int64) error {
	p := &parquetRows{name: r.name}
	if _, err := readFooter(src, size); err != nil {
		return fmt.Errorf("not a whole Parquet file: %w", err)
	}
	err := guarded(func() (err error) {
		p.file, err = parquet.OpenFile(src, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
			parquet.ReadBufferSize(64<<10))
		if err != nil {
			return fmt.Errorf("not a whole Parquet file: %w", err)
		}
		return p.findColumns()
	})
	if err != nil {
		return err
	}
	for _, kv := range p.file.Metadata().KeyValueMetadata {
		r.metadata = append(r.metadata, KeyValue{kv.Key, kv.Value})
	}
	r.rows, r.header = p, p.header
	return nil
}

// findColumns finds our columns among the leaves of the schema.
func (p *parquetRows) findColumns() error {
	paths := p.file.Schema().Columns()
	names := make([]string, len(paths))
	for i, path := range paths {
		if len(path) == 1 {
			names[i] = path[0]
		}
	}
	var err error
	if p.header, err = parseHeader(names); err != nil {
		return err
	}
	for i, to := range p.header.to {
		if to == toNone {
			if column := p.file.Root().Column(names[i]); !p.header.labelled && column != nil && column.Leaf() && column.Type().Kind() == parquet.ByteArray {
				p.header.texts = append(p.header.texts, names[i])
			}
			continue
		}
		leaf := p.file.Root().Column(names[i])
		if leaf == nil || !leaf.Leaf() || leaf.Repeated() {
			return fmt.Errorf("column %q holds lists or groups: %w", names[i], ErrUnsupported)
		}
		kind, logical := leaf.Type().Kind(), leaf.Type().LogicalType()
		number := kind == parquet.Int32 || kind == parquet.Int64 || kind == parquet.Float || kind == parquet.Double
		switch {
		case to == toLabel && kind != parquet.ByteArray:
			return fmt.Errorf("column %q does not hold text: %w", names[i], ErrUnsupported)
		case to == toLabel:
		case !number:
			return fmt.Errorf("column %q does not hold numbers: %w", names[i], ErrUnsupported)
		case !plainNumber(logical):
			return fmt.Errorf("column %q holds %v, want integers or floats: %w", names[i], leaf.Type(), ErrUnsupported)
		}
		p.columns = append(p.columns, &parquetColumn{name: names[i], leaf: i, to: to})
	}
	return nil
}

// plainNumber reports whether a type of numbers means numbers, not times or decimals.
func plainNumber(logical *format.LogicalType) bool { return logical == nil || logical.Integer != nil }

func (p *parquetRows) next(rec *Record) error {
	for p.left == 0 {
		groups := p.file.RowGroups()
		if p.group == len(groups) {
			return io.EOF
		}
		chunks := groups[p.group].ColumnChunks()
		p.left = groups[p.group].NumRows()
		p.group++
		for _, c := range p.columns {
			err := p.checkPages(p.group-1, c.leaf)
			if err == nil {
				err = c.open(chunks)
			}
			if err != nil {
				p.row++
				return p.fail(c, err)
			}
		}
	}
	p.row++
	p.left--
	rec.Label = ""
	for _, c := range p.columns {
		if c.pos == c.n {
			if err := guarded(c.fill); err != nil {
				return p.fail(c, err)
			}
		}
		v := &c.values[c.pos]
		c.pos++
		if c.to == toLabel {
			if !v.IsNull() {
				rec.Label = c.labels.text(v.ByteArray())
			}
			continue
		}
		rec.Values[c.to] = number(v)
	}
	return nil
}

// maxPage is the longest page that is read, in octets. Writers make pages of about one MiB.
const maxPage = 64 << 20

// maxPageHead is the longest head of a page.
const maxPageHead = 64 << 10

var errPages = errors.New("its pages contradict themselves or the file")

// checkPages walks the heads of the pages of a column chunk: the library takes memory for what they claim.
func (p *parquetRows) checkPages(group, leaf int) error {
	columns := p.file.Metadata().RowGroups[group].Columns
	if leaf >= len(columns) {
		return errors.New("the row group has fewer columns than the schema")
	}
	m := &columns[leaf].MetaData
	at := m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		at = min(at, m.DictionaryPageOffset)
	}
	left := m.TotalCompressedSize
	if at < 0 || left < 0 || left > p.file.Size()-at {
		return errPages
	}
	for left > 0 {
		head := p.head[:min(left, maxPageHead)]
		if _, err := p.file.ReadAt(head, at); err != nil {
			return unexpected(err)
		}
		w := thriftWalk{rest: head}
		unpacked, packed := w.pageSizes()
		n := int64(len(head) - len(w.rest))
		if w.bad || unpacked < 0 || unpacked > maxPage || packed < 0 || packed > left-n {
			return errPages
		}
		at, left = at+n+packed, left-n-packed
	}
	return nil
}

func number(v *parquet.Value) float64 {
	switch v.Kind() {
	case parquet.Int32:
		return float64(v.Int32())
	case parquet.Int64:
		return float64(v.Int64())
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	}
	return math.NaN() // null
}

func (p *parquetRows) fail(c *parquetColumn, err error) error {
	return &RowError{Name: p.name, Row: p.row, Column: c.name, Err: err}
}

// open begins a row group.
func (c *parquetColumn) open(chunks []parquet.ColumnChunk) error {
	err := c.close()
	c.page, c.pos, c.n = nil, 0, 0
	return errors.Join(err, guarded(func() error { c.pages = chunks[c.leaf].Pages(); return nil }))
}

func (c *parquetColumn) close() error {
	if c.pages == nil {
		return nil
	}
	pages := c.pages
	c.pages = nil
	return guarded(pages.Close)
}

// fill reads the next values.
func (c *parquetColumn) fill() error {
	c.pos, c.n = 0, 0
	for {
		if c.page == nil {
			page, err := c.pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return errors.New("fewer values than rows")
			} else if err != nil {
				return err
			}
			if short(page) {
				return errPages
			}
			c.page = page.Values()
		}
		n, err := c.page.ReadValues(c.values[:])
		if err != nil {
			c.page = nil
			if !errors.Is(err, io.EOF) {
				return err
			}
		}
		if n > 0 {
			c.n = n
			return nil
		}
	}
}

// short reports whether a page has fewer values than its levels say: the library would look for them forever.
func short(page parquet.Page) bool {
	var n int
	switch data := page.Data(); data.Kind() {
	case encoding.Int32: // also the indices of a dictionary
		n = len(data.Int32())
	case encoding.Int64:
		n = len(data.Int64())
	case encoding.Float:
		n = len(data.Float())
	case encoding.Double:
		n = len(data.Double())
	case encoding.ByteArray:
		_, offsets := data.ByteArray()
		n = len(offsets) - 1
	default:
		return true
	}
	return int64(n) < page.NumValues()-page.NumNulls()
}

func (p *parquetRows) close() error {
	var faults []error
	for _, c := range p.columns {
		faults = append(faults, c.close())
	}
	return errors.Join(faults...)
}
