package analysis_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// alone is service of the engine without its stages.
func alone(cell trial.Cell, repeat int, ns float64, marks ...string) trial.Record {
	rec := service(cell, repeat, ns)
	rec.Kind, rec.Input.EngineAlone, rec.Marks = trial.KindEngineAlone, true, marks
	return rec
}

func stagedHeader(repeats int) trial.Header {
	return trial.Header{
		Settings: trial.Settings{Unit: "pps", Stages: []string{"features"}},
		Plan: trial.Plan{
			Engines: []string{"e"}, Sizes: []string{"64"}, Caches: []string{"hot"}, Workers: []int{1}, Repeats: repeats,
			Search: trial.SearchNone, EngineAlone: true,
		},
	}
}

func TestAnalyzeStageCosts(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	type pair struct{ alone, whole float64 } // ns; 0: not measured
	six := []pair{{100, 200}, {200, 320}, {300, 290}, {100, 230}, {100, 240}, {400, 550}}
	for _, tt := range []struct {
		name              string
		repeats           []pair
		engine            float64
		engineN           int
		stages, low, high float64
		stagesN           int
	}{
		{"paired: not the difference of the medians", six, 150, 6, 125, -10, 150, 6},
		{"too few for an interval", six[:2], 150, 2, 110, 0, 0, 2},
		{"a repeat is cut after the engine alone", []pair{{100, 200}, {200, 0}}, 150, 2, 100, 0, 0, 1},
		{"a repeat is cut before it", []pair{{100, 200}, {0, 500}}, 100, 1, 100, 0, 0, 1},
		{"noise is more than the stages take", []pair{{300, 290}}, 300, 1, -10, 0, 0, 1},
		{"no pair yet", []pair{{300, 0}}, 300, 1, 0, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var records, whole []trial.Record
			for i, p := range tt.repeats {
				if p.alone > 0 {
					records = append(records, alone(cell, i+1, p.alone))
				}
				if p.whole > 0 {
					rec := service(cell, i+1, p.whole)
					records, whole = append(records, rec), append(whole, rec)
				}
			}
			c := analysis.Analyze(stagedHeader(len(tt.repeats)), records).Ceilings[0]
			near := func(what string, got, want float64) {
				t.Helper()
				if math.Abs(got-want) > 1e-3 { // the number of packets of a second is whole
					t.Errorf("%s is %v, want %v", what, got, want)
				}
			}
			s := c.Stages
			near("the engine alone", s.EngineNS.Median, tt.engine)
			near("the stages", s.NS.Median, tt.stages)
			near("their interval from", s.NS.Interval.Low, tt.low)
			near("their interval to", s.NS.Interval.High, tt.high)
			if s.EngineNS.N != tt.engineN || s.NS.N != tt.stagesN {
				t.Errorf("%d and %d values, want %d and %d", s.EngineNS.N, s.NS.N, tt.engineN, tt.stagesN)
			}
			if len(whole) == 0 {
				return
			}
			// Nothing else knows of the engine alone.
			c.Stages = nil
			got, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(analysis.Analyze(stagedHeader(len(tt.repeats)), whole).Ceilings[0])
			if err != nil || string(got) != string(want) {
				t.Errorf("%v\n got %s\nwant %s", err, got, want)
			}
		})
	}
}

func TestStageCostsHaveTheirOwnMarks(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	whole := service(cell, 1, 200)
	whole.Marks = []string{trial.MarkThrottled}
	r := analysis.Analyze(stagedHeader(2), []trial.Record{
		alone(cell, 1, 100, trial.MarkFeedLimited), whole, service(cell, 2, 200), alone(cell, 2, 100, trial.MarkFeedLimited, trial.MarkHostBusy),
	})
	c := r.Ceilings[0]
	if !slices.Equal(c.Marks, []string{trial.MarkThrottled}) || !slices.Equal(c.Stages.Marks, []string{trial.MarkFeedLimited, trial.MarkHostBusy}) {
		t.Errorf("marks %q, of the engine alone %q", c.Marks, c.Stages.Marks)
	}
	if r.Done != 2 {
		t.Errorf("%d repeats done, want 2", r.Done)
	}
}

func TestStagedRepeatsAreDoneWithTheEngineAlone(t *testing.T) {
	cell := trial.Cell{Engine: "e", Size: "64", Cache: "hot", Workers: 1}
	records := []trial.Record{alone(cell, 1, 100), service(cell, 1, 200), service(cell, 2, 200), alone(cell, 2, 100)}
	for n, want := range []int{0, 0, 1, 1, 2} {
		r := analysis.Analyze(stagedHeader(2), records[:n])
		if r.Done != want {
			t.Errorf("after %d records %d repeats are done, want %d", n, r.Done, want)
		}
	}
	// Records of a version without trials of the engine alone.
	h := stagedHeader(2)
	h.Plan.EngineAlone = false
	r := analysis.Analyze(h, []trial.Record{service(cell, 1, 200), service(cell, 2, 200)})
	text, err := json.Marshal(r.Ceilings[0])
	if err != nil || r.Done != 2 || r.Ceilings[0].Stages != nil || strings.Contains(string(text), "engine_alone") {
		t.Errorf("%d done, %v: %s", r.Done, err, text)
	}
}
