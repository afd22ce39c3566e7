//go:build unix

package trial_test

import (
	"bytes"
	"strings"
	"testing"

	"pcaplab/parse"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial"
)

// TestEditBySides holds Edit against an editor that is told the same of each frame.
func TestEditBySides(t *testing.T) {
	fr := frames(t, "iot-1", 3000)
	edits := rewrite.Edits{Endpoints: "10.9.0.1:10.9.0.2,[fd00::1]:[fd00::2]", FuzzSeed: 3, DestMAC: "02:00:00:00:00:01,02:00:00:00:00:02"}
	who := func(i int) (fromServer, sent bool) { return i%3 == 0, i%7 != 2 }
	edited, rep, err := trial.Edit(fr, edits, who, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer edited.Close()
	editor, err := rewrite.NewEditor(edits)
	if err != nil {
		t.Fatal(err)
	}
	var in, want, got parse.Frame
	n := 0
	sides := [2]int{}
	for i := range fr.Len() {
		fromServer, sent := who(i)
		if !sent {
			continue
		}
		fr.Frame(i, &in)
		if editor.Edit(&in, &want, fromServer) == rewrite.Deleted {
			continue
		}
		if n >= edited.Len() {
			t.Fatalf("%d frames only", n)
		}
		edited.Frame(n, &got)
		n++
		if !bytes.Equal(got.Data, want.Data) || got.UnixNano != want.UnixNano || got.WireLen != want.WireLen {
			t.Fatalf("frame %d is % x, want % x", i+1, got.Data, want.Data)
		}
		sides[got.Data[5]-1]++
	}
	if edited.Len() != n || rep.Deleted == 0 || rep.Frames != 3000-uint64(3000-2+6)/7 || rep.Frames-rep.Deleted != uint64(n) {
		t.Errorf("%d frames, %d wanted; %v", edited.Len(), n, rep)
	}
	if sides[0] < n/2 || sides[1] < n/4 {
		t.Errorf("frames of client and server: %v", sides)
	}
}

func TestEditLeavesNothing(t *testing.T) {
	fr := frames(t, "iot-1", 10)
	none := func(int) (bool, bool) { return false, false }
	if _, _, err := trial.Edit(fr, rewrite.Edits{}, none, 1<<30); err == nil || !strings.Contains(err.Error(), "no frame is left") {
		t.Error(err)
	}
	all, rep, err := trial.Edit(fr, rewrite.Edits{}, nil, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if all.Len() != 10 || rep.Unchanged != 10 {
		t.Errorf("%d frames, %v", all.Len(), rep)
	}
}

func TestEditAllocatesNothingPerFrame(t *testing.T) {
	who := func(i int) (fromServer, sent bool) { return i&1 != 0, i&15 != 0 }
	allocs := func(n int) float64 {
		fr := frames(t, "iot-1", n)
		return testing.AllocsPerRun(3, func() {
			edited, _, err := trial.Edit(fr, rewrite.Edits{Endpoints: "10.9.0.1:10.9.0.2"}, who, 1<<24)
			if err != nil {
				t.Fatal(err)
			}
			edited.Close()
		})
	}
	if few, many := allocs(500), allocs(5000); many > few+10 {
		t.Errorf("%v allocations for 500 frames, %v for 5000", few, many)
	}
}

func TestChangesCheck(t *testing.T) {
	sided := trial.Changes{Edits: rewrite.Edits{Endpoints: "1.1.1.1:2.2.2.2", PNAT: nil}}
	if err := sided.Check(); err == nil || !strings.Contains(err.Error(), "--endpoints: there is a value for each side") {
		t.Error(err)
	}
	if sided.Sides = "00"; sided.Check() != nil {
		t.Error(sided.Check())
	}
	if bad := (&trial.Changes{Edits: rewrite.Edits{TTL: "x"}}); bad.Check() == nil || bad.Zero() {
		t.Error("a faulty edit is none")
	}
	if !(&trial.Changes{}).Zero() || (&trial.Changes{Sides: "00"}).Zero() {
		t.Error("Zero")
	}
	settings := trial.Settings{Changes: trial.Changes{Edits: sided.Edits}}
	if _, err := settings.Normalize(); err == nil || !strings.Contains(err.Error(), "only --cachefile tells") {
		t.Error(err)
	}
}

func TestMovingCountsACopy(t *testing.T) {
	fr := frames(t, "iot-1", 2000)
	rep := trial.Moving(fr)
	var m rewrite.Mover
	var in, out parse.Frame
	for i := range fr.Len() {
		fr.Frame(i, &in)
		m.Move(&in, &out, 9)
	}
	if rep != m.Report() || rep.Moved < 1000 {
		t.Errorf("%v, and in another pass %v", rep, m.Report())
	}
}

func BenchmarkEditBySides(b *testing.B) {
	fr := frames(b, "iot-1", 100_000)
	who := func(i int) (fromServer, sent bool) { return i&1 != 0, true }
	for b.Loop() {
		edited, _, err := trial.Edit(fr, rewrite.Edits{Endpoints: "10.9.0.1:10.9.0.2"}, who, 1<<28)
		if err != nil {
			b.Fatal(err)
		}
		edited.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(fr.Len()), "ns/frame")
}
