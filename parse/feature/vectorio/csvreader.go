package vectorio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxLine is the longest line of a CSV file.
const maxLine = 256 << 10

type csvRows struct {
	name         string
	header       header
	in           *bufio.Reader
	done         func() error // frees the decompressor
	line         int64
	row          int64
	unterminated bool
	labels       interned
}

func (r *Reader) openCSV(src io.Reader, start []byte) error {
	c := &csvRows{name: r.name, done: func() error { return nil }}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(src)
		if err != nil {
			return fmt.Errorf("gzip: %w", unexpected(err))
		}
		src, c.done = z, z.Close
	case bytes.Equal(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return fmt.Errorf("zstd: %w", unexpected(err))
		}
		src, c.done = z, func() error { z.Close(); return nil }
	}
	c.in = bufio.NewReaderSize(src, maxLine)
	if err := c.readHeader(); err != nil {
		c.done()
		return err
	}
	r.rows, r.header, r.cut = c, c.header, func() bool { return c.unterminated }
	return nil
}

func (c *csvRows) readHeader() error {
	line, _, err := c.readLine()
	if errors.Is(err, io.EOF) {
		return errors.New("empty: want a header line")
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", c.line, err)
	}
	line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(line, []byte(parquetMagic)) {
		return errors.New("compressed Parquet: decompress the file first")
	}
	var names []string
	for rest := line; rest != nil; {
		n := fieldEnd(rest)
		names = append(names, string(trimQuotes(rest[:n])))
		if n == len(rest) {
			break
		}
		rest = rest[n+1:]
	}
	if c.header, err = parseHeader(names); err == nil && !c.header.labelled && len(c.header.extra) > 0 {
		c.findTexts(names)
	}
	return err
}

// findTexts looks at the first row, without reading it, for columns of text that are passed over.
func (c *csvRows) findTexts(names []string) {
	var line []byte
	for n := 4 << 10; n <= maxLine; n *= 2 {
		ahead, err := c.in.Peek(n)
		ahead = bytes.TrimLeft(ahead, "\r\n")
		if end := bytes.IndexByte(ahead, '\n'); end >= 0 || err != nil {
			if line = ahead; end >= 0 {
				line = ahead[:end]
			}
			break
		}
	}
	for i := 0; i < len(names) && len(line) > 0; i++ {
		n := fieldEnd(line)
		first, _ := utf8.DecodeRune(bytes.TrimSpace(trimQuotes(line[:n])))
		if _, number := parseNumber(line[:n]); c.header.to[i] == toNone && !number && unicode.IsLetter(first) {
			c.header.texts = append(c.header.texts, names[i])
		}
		line = line[min(n+1, len(line)):]
	}
}

// readLine returns the next line that is not empty, without its end, until the next call. ended says that it had one.
func (c *csvRows) readLine() (line []byte, ended bool, err error) {
	for {
		line, err = c.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			c.line++
			return nil, false, fmt.Errorf("a line of more than %d octets: no CSV of vectors", maxLine)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			c.line++
			if len(line) > 0 || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, false, fmt.Errorf("%w %s: %w", ErrCutRow, c.whereIn(line), err)
			}
			return nil, false, err
		}
		if len(line) == 0 {
			return nil, false, io.EOF
		}
		c.line++
		ended = err == nil
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) > 0 {
			return line, ended, nil
		}
	}
}

func (c *csvRows) fieldsOf(line []byte) string {
	return fmt.Sprintf("%d of %d", bytes.Count(line, []byte(","))+1, len(c.header.to))
}

func (c *csvRows) whereIn(line []byte) string {
	if len(line) == 0 {
		return "behind a whole row"
	}
	return "in field " + c.fieldsOf(line) + " of its last row"
}

// fieldEnd returns where the field that a line begins with ends: at a comma outside quotes, or with the line.
func fieldEnd(line []byte) int {
	from := 0
	if len(line) > 0 && line[0] == '"' {
		for from = 1; from < len(line); from++ {
			if line[from] == '"' {
				if from+1 == len(line) || line[from+1] != '"' {
					break
				}
				from++
			}
		}
	}
	if n := bytes.IndexByte(line[min(from, len(line)):], ','); n >= 0 {
		return from + n
	}
	return len(line)
}

func (c *csvRows) next(rec *Record) error {
	line, ended, err := c.readLine()
	if err == io.EOF {
		return err
	}
	c.row++
	if err != nil {
		return c.fail("", err)
	}
	rec.Label = ""
	to := c.header.to
	rest := line
	for i := range to {
		field := rest
		comma := -1
		if n := fieldEnd(rest); n < len(rest) {
			comma = n
		}
		switch last := i == len(to)-1; {
		case comma < 0 && !last:
			if !ended {
				return c.fail("", fmt.Errorf("%w: the last row ends in field %s, the rows before it are whole", ErrCutRow, c.fieldsOf(line)))
			}
			return c.fail("", fmt.Errorf("%s fields", c.fieldsOf(line)))
		case comma >= 0 && last:
			return c.fail("", fmt.Errorf("%s fields", c.fieldsOf(line)))
		case comma >= 0:
			field, rest = rest[:comma], rest[comma+1:]
		}
		switch to[i] {
		case toNone:
		case toLabel:
			rec.Label = c.labels.text(trimQuotes(field))
		default:
			v, ok := parseNumber(field)
			if !ok {
				if v, ok = parseNumber(trimQuotes(field)); !ok {
					if !ended && i == len(to)-1 {
						return c.fail("", fmt.Errorf("%w: the last row ends within its last field, %q", ErrCutRow, clip(field)))
					}
					return c.fail(columns[to[i]], fmt.Errorf("%q is no number", clip(field)))
				}
			}
			rec.Values[to[i]] = v
		}
	}
	c.unterminated = !ended
	return nil
}

func (c *csvRows) close() error { return c.done() }

func (c *csvRows) fail(column string, err error) error {
	return &RowError{Name: c.name, Row: c.row, Line: c.line, Column: column, Err: err}
}

func clip(b []byte) []byte { return b[:min(len(b), 40)] }

// parseNumber returns the float64 nearest to a number, NaN for an empty field.
func parseNumber(s []byte) (v float64, ok bool) {
	// A whole number below 2^53 over an exact power of ten rounds once.
	var mantissa uint64
	digits, decimals, i, point := 0, 0, 0, false
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		i++
	}
	for ; i < len(s); i++ {
		switch d := s[i] - '0'; {
		case d <= 9:
			mantissa = mantissa*10 + uint64(d)
			digits++
			if point {
				decimals++
			}
			continue
		case s[i] == '.' && !point:
			point = true
			continue
		}
		break
	}
	if i == len(s) && digits > 0 && digits <= 15 {
		v = float64(mantissa) / powersOf10[decimals]
		if negative {
			v = -v
		}
		return v, true
	}
	digits = 0
	for _, c := range s {
		switch {
		case c-'0' <= 9:
			digits++
		case c != '.' && c != '-' && c != '+' && c|0x20 != 'e':
			return named(s)
		}
	}
	if digits == 0 {
		return named(s)
	}
	v, err := strconv.ParseFloat(unsafe.String(&s[0], len(s)), 64)
	return v, err == nil
}
