// Package truth writes and reads what each packet of a capture is: its class, whether it belongs to the attack, and which packet of which
// capture it was. It stands beside the capture as CAPTURE.truth.csv.
//
// A row is a run of packets that follow each other in the capture, and in their source where they have one: the columns packets, class, attack
// (1, 0, or empty where it is not known), source (empty for synthetic packets) and first, the number of the run's first packet in the source,
// from 1, or 0 without a source. The packets of all rows are those of the capture, in its order.
package truth

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Suffix is what the name of a capture's truth has behind the capture's.
const Suffix = ".truth.csv"

// Attack says whether a packet belongs to an attack: sent by an attacker, or by a victim in answer.
type Attack int8

// The zero value is that it is not known, as in captures whose label is that of the whole file.
const (
	Unknown Attack = iota
	No
	Yes
)

func (a Attack) String() string {
	switch a {
	case No:
		return "0"
	case Yes:
		return "1"
	}
	return ""
}

// Packet is what is known of one packet.
type Packet struct {
	Class  string
	Attack Attack
	Source string // capture that it comes from; empty for a synthetic packet
	Number uint64 // in Source, from 1; 0 without a source
}

var columns = []string{"packets", "class", "attack", "source", "first"}

// Writer writes the rows of one capture.
type Writer struct {
	w      *bufio.Writer
	line   []byte
	first  Packet // of the run
	length uint64
	begun  bool
}

// NewWriter starts a table.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, 1<<16)}
}

// Add adds the next packet of the capture. An error is that of writing, or of a number that does not suit the source.
func (w *Writer) Add(p Packet) error {
	if (p.Source == "") != (p.Number == 0) {
		return fmt.Errorf("packet %d of source %q: a number and a source go together", p.Number, p.Source)
	}
	if w.length > 0 && p.follows(w.first, w.length) {
		w.length++
		return nil
	}
	if err := w.row(); err != nil {
		return err
	}
	w.first, w.length = p, 1
	return nil
}

// follows says whether p goes on a run of n packets that begins with first.
func (p Packet) follows(first Packet, n uint64) bool {
	if first.Number > 0 {
		first.Number += n
	}
	return p == first
}

func (w *Writer) row() error {
	b := w.line[:0]
	if !w.begun {
		w.begun = true
		b = append(append(b, strings.Join(columns, ",")...), '\n')
	}
	if w.length > 0 {
		b = append(strconv.AppendUint(b, w.length, 10), ',')
		b = append(appendField(b, w.first.Class), ',')
		b = append(append(b, w.first.Attack.String()...), ',')
		b = append(appendField(b, w.first.Source), ',')
		b = append(strconv.AppendUint(b, w.first.Number, 10), '\n')
	}
	w.line = b
	_, err := w.w.Write(b)
	return err
}

// appendField quotes a field that needs it (RFC 4180 section 2).
func appendField(b []byte, s string) []byte {
	if !strings.ContainsAny(s, "\",\r\n") && !strings.HasPrefix(s, " ") {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// Close ends the table and writes what is buffered; a table without packets has its head only. It does not close the file below.
func (w *Writer) Close() error {
	if err := w.row(); err != nil {
		return err
	}
	w.length = 0
	return w.w.Flush()
}

// Reader gives the packets of a table in the order of the capture.
type Reader struct {
	rows *csv.Reader
	next Packet
	left uint64
}

// NewReader begins a table. Its errors, and those of Next, name the line.
func NewReader(r io.Reader) (*Reader, error) {
	rows := csv.NewReader(r)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err == io.EOF {
		return nil, fmt.Errorf("line 1: empty: want the columns %s", strings.Join(columns, ","))
	}
	if err != nil {
		return nil, err
	}
	if strings.Join(head, ",") != strings.Join(columns, ",") {
		return nil, fmt.Errorf("line 1: the columns are %q: want %s", strings.Join(head, ","), strings.Join(columns, ","))
	}
	return &Reader{rows: rows}, nil
}

// Next returns the next packet, or io.EOF behind the last.
func (r *Reader) Next() (Packet, error) {
	if r.left == 0 {
		if err := r.run(); err != nil {
			return Packet{}, err
		}
	}
	p := r.next
	r.left--
	if p.Number > 0 {
		r.next.Number++
	}
	return p, nil
}

func (r *Reader) run() error {
	row, err := r.rows.Read()
	if err != nil {
		return err
	}
	at := func(column int) error {
		line, _ := r.rows.FieldPos(column)
		return fmt.Errorf("line %d: %s %q: not what it can be", line, columns[column], row[column])
	}
	n, err := strconv.ParseUint(row[0], 10, 64)
	if err != nil || n == 0 {
		return at(0)
	}
	p := Packet{Class: strings.Clone(row[1]), Source: strings.Clone(row[3])}
	switch row[2] {
	case "":
	case "0":
		p.Attack = No
	case "1":
		p.Attack = Yes
	default:
		return at(2)
	}
	p.Number, err = strconv.ParseUint(row[4], 10, 64)
	if err != nil || (p.Number == 0) != (p.Source == "") || p.Number > math.MaxUint64-n {
		return at(4)
	}
	r.next, r.left = p, n
	return nil
}
