//go:build unix

package trial_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/trial"
)

// linked copies frames; every n-th, from the first, becomes one of a link type that no engine decodes.
func linked(t *testing.T, fr *arena.Frames, n int) *arena.Frames {
	t.Helper()
	b, err := arena.NewBuilder(1 << 24)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var f parse.Frame
	for i := range fr.Len() {
		fr.Frame(i, &f)
		if i%n == 0 {
			f.Link = 127
		}
		if err := b.Append(&f); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return out
}

func TestStudyRefusesFramesThatAnEngineDoesNotDecode(t *testing.T) {
	fr := frames(t, "iot-1", 100)
	s := study(t, linked(t, fr, 1), "dying", "direct", "gopacket-layers") // dying says that it takes every link type
	s.Keep = func(r trial.Record) error { t.Errorf("%v was measured", r.Cell); return nil }
	undecoded := new(trial.UndecodedError)
	if err := s.Run(context.Background()); !errors.As(err, &undecoded) {
		t.Fatal(err)
	}
	if !slices.Equal(undecoded.Engines, []string{"direct", "gopacket-layers"}) || !slices.Equal(undecoded.Links, []parse.LinkType{127}) || undecoded.Frames != 100 {
		t.Errorf("%+v", undecoded)
	}
	if text := undecoded.Error(); !strings.Contains(text, "direct, gopacket-layers") || !strings.Contains(text, "127") || !strings.Contains(text, "100 frames") {
		t.Error(text)
	}
	if err := study(t, linked(t, fr, 2), "direct").Decodable(linked(t, fr, 2)); err != nil {
		t.Errorf("half of the frames are decoded: %v", err)
	}
}

func TestUndecodedFramesAreMarked(t *testing.T) {
	fr := frames(t, "iot-1", 1000)
	for _, tt := range []struct {
		every int
		want  bool
	}{{2, true}, {50, true}, {500, false}} {
		s := study(t, linked(t, fr, tt.every), "direct")
		s.Header.InProcess = true
		s.Header.Plan.Caches, s.Header.Plan.Repeats = []string{trial.CacheAsIs}, 1
		s.Header.Plan.Search, s.Header.Plan.Trial = trial.SearchNone, 50*time.Millisecond
		judged := 0
		s.Keep = func(r trial.Record) error {
			if r.Counters.Frames < 1000 { // shares of few say little
				return nil
			}
			judged++
			if slices.Contains(r.Marks, trial.MarkUndecoded) != tt.want {
				t.Errorf("one in %d: %s is marked %q", tt.every, r.Kind, r.Marks)
			}
			return nil
		}
		if err := s.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if judged == 0 {
			t.Errorf("one in %d: no record has a thousand frames", tt.every)
		}
	}
}
