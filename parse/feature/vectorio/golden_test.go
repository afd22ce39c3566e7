package vectorio_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// clockOf returns how dpkt's readers make seconds of a capture's times.
func clockOf(r *pcapio.Reader) feature.Clock {
	facts, i := r.Facts(), r.Described()
	resolution := i.Resolution
	switch {
	case facts.Container == pcapio.PcapNG && resolution <= 9:
		c := feature.Clock{Divisor: 1, UnitNano: 1, Offset: i.TimeOffset}
		for range resolution {
			c.Divisor *= 10
		}
		for range 9 - resolution {
			c.UnitNano *= 10
		}
		return c
	case facts.Container == pcapio.Pcap && resolution == 9:
		return feature.Clock{Decimal: true}
	}
	return feature.Clock{}
}

// extract returns the CSV of a capture.
func extract(t *testing.T, path string, cfg feature.Config) ([]byte, *feature.Extractor) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := pcapio.NewReader(file, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x, err := feature.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := vectorio.AppendHeader(nil, false)
	var f parse.Frame
	for {
		if err := r.Next(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !r.Timed() {
			continue
		}
		x.SetClock(clockOf(r))
		if x.Add(&f, nil) {
			out = append(vectorio.AppendCSV(out, x.Vector()), '\n')
		}
	}
	if x.Flush() {
		out = append(vectorio.AppendCSV(out, x.Vector()), '\n')
	}
	return out, x
}

// TestGolden compares with the outputs of the original scripts, octet for octet.
func TestGolden(t *testing.T) {
	corpus, golden := os.Getenv("PCAPLAB_CORPUS"), os.Getenv("PCAPLAB_FEATURES")
	if corpus == "" || golden == "" {
		t.Skip("PCAPLAB_CORPUS or PCAPLAB_FEATURES unset: no captures with outputs of the original scripts")
	}
	for _, rows := range []int{10, 100} {
		index, err := os.Open(filepath.Join(golden, fmt.Sprintf("index.w%d.tsv", rows)))
		if err != nil {
			t.Fatal(err)
		}
		defer index.Close()
		lines := csv.NewReader(index)
		lines.Comma = '\t'
		records, err := lines.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records[1:] {
			file, outcome := record[0], record[1]
			if strings.HasPrefix(outcome, "reader:") {
				continue // the scripts cannot read it
			}
			t.Run(fmt.Sprintf("w%d/%s", rows, file), func(t *testing.T) {
				got, x := extract(t, filepath.Join(corpus, file), feature.Config{Span: feature.Span{Rows: rows}})
				counts := x.Counters()
				if frames := fmt.Sprint(counts.Frames()); frames != record[2] {
					t.Errorf("%s frames, dpkt read %s", frames, record[2])
				}
				if outcome != "ok" {
					lost := counts[feature.Fault] > 0
					if strings.Contains(outcome, "AttributeError") != lost || !lost && x.Vectors() > 0 {
						t.Errorf("%d vectors, %d faults; the scripts: %s", x.Vectors(), counts[feature.Fault], outcome)
					}
					return
				}
				want, err := os.ReadFile(filepath.Join(golden, fmt.Sprintf("%s.w%d.csv", file, rows)))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					a, b := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
					for i := range min(len(a), len(b)) {
						if !bytes.Equal(a[i], b[i]) {
							t.Fatalf("line %d of %d, %d\n got %s\nwant %s", i+1, len(a), len(b), a[i], b[i])
						}
					}
					t.Fatalf("%d lines, want %d", len(a), len(b))
				}
			})
		}
	}
}
