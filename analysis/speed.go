package analysis

import "pcaplab/replay/trial"

// Speed is how fast the parts of a detector are on one core.
type Speed struct {
	Engine string `json:"engine,omitempty"` // "" where no packets were fed
	// Frames are fed again and again; PerVector of them make a vector on average, 0 where there are none.
	Frames    int        `json:"frames,omitempty"`
	PerVector float64    `json:"frames_per_vector,omitempty"`
	Rows      []SpeedRow `json:"rows"`
	Latency   *Latency   `json:"latency,omitempty"`
	// Peak is the most memory of a process of engine, features and model, in any repeat, in octets, and Own of it what is not the
	// capture; 0 is unknown.
	Peak int64 `json:"peak_octets,omitempty"`
	Own  int64 `json:"engine_peak_octets,omitempty"`
	// Vectors are those in memory that the model alone was given in turn; Left of the sample were not, for values that it cannot take.
	Vectors int      `json:"vectors,omitempty"`
	Left    int      `json:"vectors_left_out,omitempty"`
	NotDone []string `json:"not_done,omitempty"` // what was not measured, and why
}

// Parts of a detector.
const (
	SpeedEngine   = "engine"                   // parsing alone
	SpeedFeatures = "engine, features"         // extraction
	SpeedPipeline = "engine, features, model"  // all that a packet takes
	SpeedModel    = "model, one vector a call" // vectors in memory
	SpeedBatch    = "model, in batches"        // of a model that takes many at once
)

// SpeedRow is the speed of a part over the repeats.
type SpeedRow struct {
	What    string   `json:"what"`
	Packets Summary  `json:"packets_per_second"` // of the model alone: those that would make its vectors; N 0: n/a
	Vectors Summary  `json:"vectors_per_second"` // N 0: n/a
	NS      Summary  `json:"ns"`                 // a packet or, of the model alone, a vector
	Marks   []string `json:"marks,omitempty"`
}

// Latency is how long a call for one vector takes, in ns. Two readings of the clock stand around each call; what those take by themselves, the
// median of many, is Clock, and taken off.
type Latency struct {
	Calls int64 `json:"calls"`
	P50   int64 `json:"p50_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p99_9_ns"`
	Max   int64 `json:"max_ns"`
	Clock int64 `json:"clock_ns"`
}

// AddRecords adds the closed loops of a study of one cell. what is the part that its engine and stages are; the engine alone is a row of its
// own where the study measured it. stage is the text of the stage whose count "vectors" is meant.
func (s *Speed) AddRecords(what, stage string, records []trial.Record) {
	type frames struct{ fed, vectors uint64 }
	made := make(map[int]*frames) // by repeat
	for i := range records {
		rec := &records[i]
		if rec.Input.EngineAlone {
			continue
		}
		if made[rec.Repeat] == nil {
			made[rec.Repeat] = &frames{}
		}
		made[rec.Repeat].fed += rec.Counters.Frames
		made[rec.Repeat].vectors = rec.Stages[stage]["vectors"]
		if u := &rec.Usage; what == SpeedPipeline && u.PeakOctets != nil {
			s.Peak = max(s.Peak, *u.PeakOctets)
			if u.EnginePeakOctets != nil {
				s.Own = max(s.Own, *u.EnginePeakOctets)
			}
		}
		s.Frames = rec.Frames
	}
	var all frames
	for _, f := range made {
		all.fed += f.fed
		all.vectors += f.vectors
	}
	if all.vectors > 0 {
		s.PerVector = float64(all.fed) / float64(all.vectors)
	}
	row := func(what, kind string, vectors bool) {
		r := SpeedRow{What: what}
		var packets, ns, perSecond []float64
		for i := range records {
			rec := &records[i]
			if rec.Kind != kind || rec.Result.Delivered == 0 {
				continue
			}
			packets = append(packets, rec.ServiceRate())
			ns = append(ns, rec.CostNanos())
			if f := made[rec.Repeat]; vectors && f != nil && f.fed > 0 {
				perSecond = append(perSecond, rec.ServiceRate()*float64(f.vectors)/float64(f.fed))
			}
			addMarks(&r.Marks, rec.Marks)
		}
		if len(packets) == 0 {
			return
		}
		r.Packets, r.NS = Summarize(packets), Summarize(ns)
		if len(perSecond) > 0 {
			r.Vectors = Summarize(perSecond)
		}
		s.Rows = append(s.Rows, r)
	}
	row(SpeedEngine, trial.KindEngineAlone, false)
	row(what, trial.KindService, true)
}

// AddModel adds the model alone: vectors a second in each repeat.
func (s *Speed) AddModel(what string, vectors []float64) {
	r := SpeedRow{What: what, Vectors: Summarize(vectors)}
	var ns, packets []float64
	for _, v := range vectors {
		ns = append(ns, 1e9/v)
		packets = append(packets, v*s.PerVector)
	}
	r.NS = Summarize(ns)
	if s.PerVector > 0 {
		r.Packets = Summarize(packets)
	}
	s.Rows = append(s.Rows, r)
}
