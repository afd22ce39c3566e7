package analysis

import (
	"math"
	"testing"
	"time"

	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/trial"
)

func TestSpeedOfRecords(t *testing.T) {
	peak, own := int64(50<<20), int64(3<<20)
	var records []trial.Record
	for repeat := 1; repeat <= 3; repeat++ {
		closed := func(kind string, frames uint64, vectors uint64) trial.Record {
			rec := trial.Record{Kind: kind, Repeat: repeat, Frames: 777,
				Result:   replay.Result{Served: frames, Delivered: frames, Busy: time.Millisecond, Duration: time.Millisecond},
				Counters: parse.Counters{Frames: frames}, Stages: map[string]map[string]uint64{"features": {"vectors": vectors}}}
			rec.Usage.PeakOctets, rec.Usage.EnginePeakOctets = &peak, &own
			return rec
		}
		alone := closed(trial.KindEngineAlone, 8000, 0)
		alone.Stages, alone.Input.EngineAlone, alone.Marks = nil, true, []string{trial.MarkHostBusy}
		// The counts of stages go on: 500 vectors of the 1000 + 4000 frames.
		records = append(records, closed(trial.KindWarmUp, 1000, 100), alone, closed(trial.KindService, 4000, 500))
	}
	var s Speed
	s.AddRecords(SpeedFeatures, "features", records)
	if s.Peak != 0 || s.Own != 0 {
		t.Errorf("memory of a process without a model: %d, %d", s.Peak, s.Own)
	}
	var whole Speed
	whole.AddRecords(SpeedPipeline, "features", records)
	s.AddModel(SpeedModel, []float64{1e6, 2e6, 4e6})
	if len(s.Rows) != 3 || s.PerVector != 10 || s.Frames != 777 || whole.Peak != peak || whole.Own != own {
		t.Fatalf("%+v", s)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-6*math.Abs(want) }
	alone, both, model := s.Rows[0], s.Rows[1], s.Rows[2]
	if alone.What != SpeedEngine || !near(alone.Packets.Median, 8e6) || !near(alone.NS.Median, 125) || alone.Vectors.N != 0 || len(alone.Marks) != 1 {
		t.Errorf("engine alone %+v", alone)
	}
	if both.What != SpeedFeatures || !near(both.Packets.Median, 4e6) || !near(both.NS.Median, 250) || !near(both.Vectors.Median, 4e5) || both.Vectors.N != 3 || both.Marks != nil {
		t.Errorf("extraction %+v", both)
	}
	if !near(model.Vectors.Median, 2e6) || !near(model.NS.Median, 500) || !near(model.Packets.Median, 2e7) {
		t.Errorf("model %+v", model)
	}
	var tables Speed
	tables.AddModel(SpeedModel, []float64{1e6})
	if r := tables.Rows[0]; r.Packets.N != 0 || r.Vectors.N != 1 {
		t.Errorf("model of tables %+v", r)
	}
}
