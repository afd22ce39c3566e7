package labelled_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/extract"
	"pcaplab/datasets/labelled"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
	"pcaplab/parse"
	"pcaplab/parse/feature"
	"pcaplab/parse/feature/vectorio"
)

// TestTellIsOpen: a table of windows whose labels are told is that of the rows that Open gives.
func TestTellIsOpen(t *testing.T) {
	src, err := synth.New("Mirai-greip_flood", 3)
	if err != nil {
		t.Fatal(err)
	}
	path := capture(t, "x.pcap", src, 6_000)
	again, err := synth.New("Mirai-greip_flood", 3)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	w := truth.NewWriter(&text)
	var f parse.Frame
	for i := range 6_000 {
		if err := again.Next(&f); err != nil {
			t.Fatal(err)
		}
		p := truth.Packet{Class: []string{"Mirai-greip_flood", "XSS"}[i/1000%2], Attack: truth.No}
		if again.Attack() {
			p.Attack = truth.Yes
		}
		if err := w.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	table := path + truth.Suffix
	if err := os.WriteFile(table, text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	upper := func(label string) (string, error) { return strings.ToUpper(label), nil }
	for _, as := range []feature.As{feature.AsExtractor, feature.AsReleased, feature.AsFixed} {
		for _, span := range []feature.Span{{Rows: 3}, {Rows: 4200}, {Time: 20 * time.Millisecond}} {
			for _, share := range []float64{0, 0.7} {
				name := fmt.Sprint(as, span, share)
				cfg := labelled.Config{As: as, TruthShare: share, Relabel: upper}
				source := labelled.Source{Path: path, Span: span, Truth: table}
				var csv bytes.Buffer
				told := extract.Source{Path: path, Span: span, Truth: table, Tell: labelled.Tell(path, table, cfg)}
				if _, err := extract.Stream(ctx, &csv, extract.Config{As: as, Labelled: true, Workers: 2}, []extract.Source{told}); err != nil {
					t.Fatal(err)
				}
				want := vectorio.AppendHeader(nil, true)
				labels := map[string]int{}
				for _, r := range all(t, open(t, cfg, source), labelled.Order{}) {
					v := feature.Vector{Values: r.Values}
					want = append(vectorio.AppendLabel(vectorio.AppendCSV(want, &v), r.Label), '\n')
					labels[r.Label]++
				}
				if csv.String() != string(want) {
					t.Errorf("%s: other rows", name)
				}
				if span.Rows == 3 && len(labels) < 2 {
					t.Errorf("%s: labels %v", name, labels)
				}
			}
		}
	}
	made := func() (extract.Frames, error) { return frames("bbxxyyyb"), nil }
	var csv bytes.Buffer
	if _, err := extract.Stream(ctx, &csv, extract.Config{Labelled: true}, []extract.Source{{Path: "made", Span: feature.Span{Rows: 4}, Open: made,
		Tell: labelled.Tell("made", "", labelled.Config{})}}); err != nil || strings.Count(csv.String(), ",class x\n") != 1 || strings.Count(csv.String(), ",class y\n") != 1 {
		t.Errorf("of frames: %v\n%s", err, csv.String())
	}
}

// TestTellEnds: a table that does not suit its capture ends a run, and leaves nothing.
func TestTellEnds(t *testing.T) {
	path, target := capture(t, "x.pcap", frames("bbb"), 3), filepath.Join(t.TempDir(), "out.csv")
	head := "packets,class,attack,source,first\n"
	for text, want := range map[string]string{
		head + "2,BENIGN,0,,0\n": "ends after 2 packets", head + "4,BENIGN,0,,0\n": "more packets than the 3", head + "3,,0,,0\n": "packet 1: has no class",
		"packets,class\n": "line 1",
	} {
		table := write(t, "t.csv", text)
		told := extract.Source{Path: path, Truth: table, Tell: labelled.Tell(path, table, labelled.Config{})}
		if s, err := extract.File(ctx, target, extract.Config{Labelled: true}, []extract.Source{told}); s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want %s", s, err, want)
		}
		if _, err := os.Stat(target); err == nil {
			t.Errorf("%s: an output", want)
		}
	}
}

// TestDamageSaysTheWayOut: once, and not where a table of truth could not be followed behind the damage.
func TestDamageSaysTheWayOut(t *testing.T) {
	path := capture(t, "x.pcap", frames("bbbbbb"), 6)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-3); err != nil {
		t.Fatal(err)
	}
	table := write(t, "t.csv", "packets,class,attack,source,first\n6,BENIGN,0,,0\n")
	for _, c := range []struct {
		source labelled.Source
		want   int
	}{{labelled.Source{Path: path, Label: "x"}, 1}, {labelled.Source{Path: path, Truth: table}, 0}} {
		err := open(t, labelled.Config{}, c.source).Each(ctx, func(*labelled.Row) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "record 6 at offset") || strings.Count(err.Error(), "(--salvage keeps the frames that can be trusted)") != c.want {
			t.Errorf("%v", err)
		}
	}
}
