package extract_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pcaplab/datasets/extract"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// each returns what Each hands over, as Stream would write it.
func each(cfg extract.Config, source extract.Source) (text []byte, frames, rows int, sum extract.SourceSummary, err error) {
	text = vectorio.AppendHeader(nil, false)
	sum, err = extract.Each(context.Background(), cfg, source, extract.Visitor{
		Frame:  func(*parse.Frame) error { frames++; return nil },
		Row:    func(*feature.Row) { rows++ },
		Vector: func(v *feature.Vector) error { text = append(vectorio.AppendCSV(text, v), '\n'); return nil },
	})
	return text, frames, rows, sum, err
}

// TestEachIsStream compares the two on captures of all kinds, damaged ones too.
func TestEachIsStream(t *testing.T) {
	paths := []string{capture(t, filepath.Join(t.TempDir(), "made.pcap"), 5, 3000)}
	if corpus := os.Getenv("PCAPLAB_CORPUS"); corpus != "" {
		for _, pattern := range []string{"*.pcap", "*.pcapng", "*/*.pcap", "*/*.pcapng"} {
			more, err := filepath.Glob(filepath.Join(corpus, pattern))
			if err != nil {
				t.Fatal(err)
			}
			paths = append(paths, more...)
		}
	} else {
		t.Log("PCAPLAB_CORPUS unset: one capture only")
	}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || info.Size() > 4<<20 {
			continue
		}
		for _, as := range []feature.As{feature.AsExtractor, feature.AsReleased, feature.AsFixed} {
			source := extract.Source{Path: path, Span: feature.Span{Rows: 7}}
			var want bytes.Buffer
			s, streamed := extract.Stream(context.Background(), &want, extract.Config{As: as}, []extract.Source{source})
			got, frames, rows, sum, err := each(extract.Config{As: as}, source)
			if (err == nil) != (streamed == nil) {
				t.Errorf("%s: %v, streamed %v", path, err, streamed)
			}
			if s == nil { // no capture: there is nothing
				if len(got) > len(vectorio.AppendHeader(nil, false)) || want.Len() > 0 || sum.Frames > 0 {
					t.Errorf("%s %v: %d frames", path, as, sum.Frames)
				}
				continue
			}
			if string(got) != want.String() {
				t.Errorf("%s %v: other vectors", path, as)
			}
			a := s.Sources[0]
			if uint64(frames) != a.Frames || uint64(rows) != a.Rows || sum.Frames != a.Frames || sum.Rows != a.Rows || sum.Vectors != a.Vectors ||
				sum.FirstFault != a.FirstFault || sum.NoDuration != a.NoDuration || sum.NotEthernet != a.NotEthernet || sum.Pieces != a.Pieces && a.Frames > 0 {
				t.Errorf("%s %v: %+v, streamed %+v", path, as, sum, a)
			}
		}
	}
}

func TestEachEnds(t *testing.T) {
	path := capture(t, filepath.Join(t.TempDir(), "made.pcap"), 5, 5000)
	stop := errors.New("stop")
	n := 0
	_, err := extract.Each(context.Background(), extract.Config{}, extract.Source{Path: path}, extract.Visitor{Vector: func(*feature.Vector) error {
		if n++; n == 3 {
			return stop
		}
		return nil
	}})
	if !errors.Is(err, stop) || n != 3 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n = 0
	_, err = extract.Each(ctx, extract.Config{}, extract.Source{Path: path}, extract.Visitor{Frame: func(*parse.Frame) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) || n > 1100 {
		t.Errorf("%v after %d frames", err, n)
	}
	if _, err := extract.Each(context.Background(), extract.Config{}, extract.Source{Path: path, Span: feature.Span{Rows: -1}}, extract.Visitor{}); err == nil {
		t.Error("a window of -1 rows")
	}
}
