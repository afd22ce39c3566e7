//go:build unix

package trial_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/datasets/arena"
	"pcaplab/parse"
	"pcaplab/replay/trial"
)

// staged is a study of stages with the engine alone beside them, of one engine and four repeats without a search.
func staged(t *testing.T, fr *arena.Frames, stages ...string) *trial.Study {
	t.Helper()
	s := study(t, fr, "direct")
	s.Header.Settings.Stages = stages
	p := &s.Header.Plan
	p.EngineAlone, p.Repeats, p.Trial = true, 4, 30*time.Millisecond // longer than the machine may take the processor away
	p.Search, p.Goals, p.Rates = trial.SearchNone, nil, []trial.Rate{{Value: 0.5, OfService: true}}
	return s
}

func record(t *testing.T, s *trial.Study) []trial.Record {
	t.Helper()
	records := slices.Clone(s.Done)
	s.Keep = func(r trial.Record) error { records = append(records, r); return nil }
	if err := s.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return records
}

func TestEngineAloneBesideItsStages(t *testing.T) {
	fr := frames(t, "iot-1", 1000)
	for _, tt := range []struct {
		name    string
		workers int
		change  func(*trial.Study)
	}{
		{"child", 1, func(*trial.Study) {}},
		{"in process", 1, func(s *trial.Study) { s.Header.InProcess = true }},
		{"two workers", 2, func(s *trial.Study) { s.Header.Plan.Workers = []int{2} }},
		{"cold, system clock", 1, func(s *trial.Study) {
			s.Header.Plan.Caches, s.Header.Settings.Clock = []string{trial.CacheCold}, "system"
		}},
		{"ring", 1, func(s *trial.Study) { s.Header.Settings.Feed = "ring" }},
		{"passes", 1, func(s *trial.Study) {
			s.Header.Plan.Caches, s.Header.Settings.Passes = []string{trial.CacheAsIs}, 2
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := staged(t, fr, "features=fixed:100", "features", "flow")
			tt.change(s)
			var order []string
			for _, r := range record(t, s) {
				consistent(t, r)
				if r.Kind != trial.KindWarmUp {
					order = append(order, fmt.Sprintf("%d %s", r.Repeat, r.Kind))
				}
				if len(r.Workers) != 0 && len(r.Workers) != tt.workers {
					t.Errorf("%d workers, want %d", len(r.Workers), tt.workers)
				}
				if alone := r.Kind == trial.KindEngineAlone; alone != r.Input.EngineAlone || alone != (len(r.Stages) == 0) {
					t.Errorf("a %s has the input %v and counts %v", r.Kind, r.Input, r.Stages)
				} else if alone {
					continue
				}
				// Each stage has its counts under the name it was given by.
				fixed, exact := r.Stages["features=fixed:100"], r.Stages["features"]
				if len(r.Stages) != 3 || fixed["rows"] < 100*fixed["vectors"] || exact["vectors"] < 5*fixed["vectors"] {
					t.Errorf("stages %v", r.Stages)
				}
			}
			want := []string{
				"1 engine-alone", "1 service", "1 trial", "2 service", "2 engine-alone", "2 trial",
				"3 engine-alone", "3 service", "3 trial", "4 service", "4 engine-alone", "4 trial",
			}
			if !reflect.DeepEqual(order, want) {
				t.Errorf("order %q, want %q", order, want)
			}
		})
	}
}

// TestStageNamedTwice: two stages of one name would have one count.
func TestStageNamedTwice(t *testing.T) {
	s := staged(t, frames(t, "iot-1", 10), "features", "flow", "features")
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "stage features is named twice") {
		t.Errorf("error %v", err)
	}
}

// TestStagesSeeNothingOfTheEngineAlone: what it feeds is missing in the counts of the stages, and in nothing else.
func TestStagesSeeNothingOfTheEngineAlone(t *testing.T) {
	s := staged(t, frames(t, "iot-1", 1000), "features=fixed")
	s.Header.InProcess = true
	seen := make(map[int]uint64)
	for _, r := range record(t, s) {
		if r.Kind != trial.KindEngineAlone {
			seen[r.Repeat] += r.Counters.Frames - r.Counters.Malformed - r.Counters.Unsupported
			if rows := r.Stages["features=fixed"]["rows"]; rows != seen[r.Repeat] {
				t.Fatalf("repeat %d, %s: the stage saw %d frames, the engine had %d for it", r.Repeat, r.Kind, rows, seen[r.Repeat])
			}
		}
	}
}

// TestStagedStudyResumes cuts a study after every record.
func TestStagedStudyResumes(t *testing.T) {
	fr := frames(t, "iot-1", 500)
	build := func() *trial.Study {
		s := staged(t, fr, "features=20")
		s.Header.InProcess = true
		return s
	}
	whole := record(t, build())
	for i := range whole { // as they come from a file
		text, err := json.Marshal(whole[i])
		if err != nil {
			t.Fatal(err)
		}
		whole[i] = trial.Record{}
		if err := json.Unmarshal(text, &whole[i]); err != nil {
			t.Fatal(err)
		}
	}
	for cut := range len(whole) + 1 {
		s := build()
		s.Done = whole[:cut:cut]
		all := record(t, s)
		if len(all) != len(whole) || !reflect.DeepEqual(all[:cut], whole[:cut]) {
			t.Fatalf("after %d of %d records: %d, or those kept have changed", cut, len(whole), len(all))
		}
		for i := range all {
			if all[i].Kind != whole[i].Kind || all[i].Repeat != whole[i].Repeat || all[i].Input.EngineAlone != whole[i].Input.EngineAlone {
				t.Fatalf("after %d records: record %d is a %s of repeat %d, was a %s of %d", cut, i, all[i].Kind, all[i].Repeat,
					whole[i].Kind, whole[i].Repeat)
			}
		}
	}
	// A study that an earlier version began has no trials of the engine alone, and goes on without.
	old := build()
	old.Header.Plan.EngineAlone = false
	before := record(t, old)
	old = build()
	old.Header.Plan.EngineAlone, old.Done = false, before[:5:5]
	if all := record(t, old); len(all) != len(before) || slices.ContainsFunc(all, func(r trial.Record) bool { return r.Input.EngineAlone }) {
		t.Errorf("%d records, %d before", len(all), len(before))
	}
}

func TestStageFaults(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stages []string
		want   []string // all at once; none: fine
	}{
		{"fine", []string{"flow", "features", "features=1s", "features=fixed:5"}, nil},
		{"unknown", []string{"encore", "model=x.onnx"}, []string{`no stage "encore": there are flow, features, reading`, `no stage "model"`}},
		{"no value", []string{"flow=3"}, []string{`stage flow takes no value: give it as flow, not as "flow=3"`}},
		{"an empty value", []string{"flow=", "features="}, []string{"stage flow takes no value", `stage features=: window ""`}},
		{"a bad value", []string{"features=ten"}, []string{`stage features=ten: window "ten"`, "fixed:WINDOW"}},
		{"several", []string{"features=0", "flow=1", "encore"}, []string{"features=0", "flow=1", "encore"}},
		{"none beside the engine alone", nil, []string{"there are none"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := staged(t, nil, tt.stages...).Check()
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
	r := runner(t, "direct", trial.Settings{}, frames(t, "iot-1", 10))
	if _, err := r.Measure(context.Background(), trial.Input{Load: 1, Duration: time.Second, EngineAlone: true}); err == nil {
		t.Error("the engine alone at a load")
	}
}

func TestExpectedCountsTheEngineAlone(t *testing.T) {
	with, without := staged(t, nil, "flow"), staged(t, nil, "flow")
	for _, s := range []*trial.Study{with, without} {
		s.Header.Plan.Trial = time.Second
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	}
	without.Header.Plan.EngineAlone = false
	if more := with.Expected() - without.Expected(); more < 4*time.Second || more > 5*time.Second {
		t.Errorf("%v more for four trials of a second", more)
	}
}

// reading is a kind of stage that goes on with features and counts how long the file of its value is.
func reading() parse.StageKind {
	file := func(value string) string { path, _, _ := strings.Cut(value, ":"); return path }
	return parse.StageKind{Name: "reading", After: "features", File: file, Set: func(value string) (func() (parse.Stage, error), error) {
		content, err := os.ReadFile(file(value))
		if err != nil {
			return nil, err
		}
		return func() (parse.Stage, error) { return &reader{octets: uint64(len(content)), value: value}, nil }, nil
	}}
}

type reader struct {
	octets   uint64
	value    string
	followed int
}

func (r *reader) Process(*parse.Frame, *parse.Packet) error { return nil }

func (r *reader) Follow(earlier []parse.Stage) error { r.followed = len(earlier); return nil }

func (r *reader) Counts() map[string]uint64 {
	_, more, _ := strings.Cut(r.value, ":")
	return map[string]uint64{"octets": r.octets, "followed": uint64(r.followed), more: 1}
}

// TestStageFiles: the file of a stage is known by its sum and found by its path, here and in a child, whatever the working folder is by
// then; Header.StageFiles may name another place for it.
func TestStageFiles(t *testing.T) {
	fr := frames(t, "iot-1", 500)
	t.Chdir(t.TempDir())
	if err := os.WriteFile("x", []byte("four"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("other", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, inProcess := range []bool{true, false} {
		s := staged(t, fr, "features", "reading=x:twice")
		s.Header.Plan.Repeats, s.Header.InProcess = 1, inProcess
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte("four"))
		f := s.Header.StageFiles
		if len(f) != 1 || f[0].Stage != "reading=x:twice" || f[0].Name != "x" || !filepath.IsAbs(f[0].Path) || f[0].SHA256 != hex.EncodeToString(sum[:]) {
			t.Fatalf("files %+v", f)
		}
		moved := filepath.Join(filepath.Dir(f[0].Path), "other", "y")
		if err := os.Rename(f[0].Path, moved); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), "reading=x:twice: open") {
			t.Errorf("the file is gone: %v", err)
		}
		s.Header.StageFiles[0].Path = moved
		records := record(t, s)
		if c := records[len(records)-1].Stages["reading=x:twice"]; c["octets"] != 4 || c["followed"] != 1 || c["twice"] != 1 {
			t.Errorf("counts %v", c)
		}
		if err := os.WriteFile(moved, []byte("more"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), "x is not what the study began with") {
			t.Errorf("another file: %v", err)
		}
		if err := os.WriteFile("x", []byte("four"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for stage, want := range map[string]string{"reading": "takes a value: reading=", "reading=none": "none", "reading=other": "not a regular file", "reading=": "no such file"} {
		if err := staged(t, fr, "features", stage).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", stage, err, want)
		}
	}
	if err := staged(t, fr, "reading=x", "features").Check(); err == nil || !strings.Contains(err.Error(), "as --stages features,reading=x") {
		t.Errorf("in the wrong order: %v", err)
	}
}
