package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// WriteStudyBenchfmt writes a study for benchstat: a line BenchmarkCeiling for each repeat of each cell with its closed
// loop, where the engine was measured alone what that and the stages took, and what was found for each goal (0 where a
// repeat has no lower bound), and, where nothing was searched, a line BenchmarkTrial for each trial at a listed load. What
// all share stands before them.
func WriteStudyBenchfmt(w io.Writer, h trial.Header, records []trial.Record) error {
	type key struct {
		cell   trial.Cell
		repeat int
	}
	unit := strings.ReplaceAll(h.Settings.Unit, "/", "-per-")
	ceilings := make(map[key]*BenchLine)
	var lines []*BenchLine
	results := analysis.Analyze(h, records)
	records = settled(&h, records)
	alone := make(map[key]float64) // ns
	for i := range records {
		if rec := &records[i]; rec.Kind == trial.KindEngineAlone && rec.Result.Delivered > 0 {
			alone[key{rec.Cell, rec.Repeat}] = rec.CostNanos()
		}
	}
	for i := range records {
		rec := &records[i]
		k := key{rec.Cell, rec.Repeat}
		switch {
		case rec.Kind == trial.KindService && rec.Result.Delivered > 0 && ceilings[k] == nil:
			ceilings[k] = ceilingLine(rec)
			if ns, ok := alone[k]; ok {
				ceilings[k].Values = append(ceilings[k].Values, BenchValue{ns, "engine-alone-ns/op", "lower"},
					BenchValue{rec.CostNanos() - ns, "stages-ns/op", "lower"})
			}
			lines = append(lines, ceilings[k])
		case rec.Kind == trial.KindBounds && ceilings[k] != nil:
			goal := strings.NewReplacer(":", "-", "%", "pct").Replace(rec.Bounds.Goal.Name)
			ceilings[k].Values = append(ceilings[k].Values,
				BenchValue{rec.Bounds.ConditionalThroughput, goal + "-" + unit, "higher"})
		case rec.Kind == trial.KindTrial && h.Plan.Search == trial.SearchNone && rec.Result.Intended > 0:
			lines = append(lines, trialLine(rec, unit))
		}
	}
	out := make([]BenchLine, len(lines))
	for i, line := range lines {
		out[i] = *line
	}
	return WriteBenchfmt(w, studyConfig(results), out)
}

func ceilingLine(rec *trial.Record) *BenchLine {
	n := float64(rec.Result.Delivered)
	line := &BenchLine{
		Name: "Ceiling", Procs: rec.Cell.Workers, Iterations: rec.Result.Delivered, Labels: cellLabels(rec.Cell),
		Values: []BenchValue{
			{rec.CostNanos(), "ns/op", "lower"},
			{rec.ServiceRate(), "service-pps", "higher"},
			{float64(rec.Usage.HeapAllocs) / n, "allocs/op", "lower"},
			{float64(rec.Usage.HeapAllocOctets) / n, "B/op", "lower"},
		},
	}
	if rec.Result.Slices > 0 {
		line.Values = append(line.Values, BenchValue{rec.Result.Quickest, "min-ns/op", "lower"})
	}
	if rec.Usage.ProcessCPUNs != nil {
		line.Values = append(line.Values, BenchValue{float64(*rec.Usage.ProcessCPUNs) / n, "cpu-ns/op", "lower"})
	}
	return line
}

func trialLine(rec *trial.Record, unit string) *BenchLine {
	load := multiple(rec.Input.OfService, rec.Input.OfRecorded, 6)
	if load == "" {
		load = strconv.FormatFloat(rec.Input.Load, 'f', -1, 64) + unit
	}
	return &BenchLine{
		Name: "Trial", Procs: rec.Cell.Workers, Iterations: rec.Result.Intended,
		Labels: append(cellLabels(rec.Cell), KeyValue{"load", load}),
		Values: []BenchValue{
			{float64(rec.Lost()) / float64(rec.Result.Intended), "loss-ratio", "lower"},
			{rec.Result.DeliveredRate(), "delivered-pps", "higher"},
		},
	}
}

func cellLabels(c trial.Cell) []KeyValue {
	return []KeyValue{{"engine", c.Engine}, {"size", c.Size}, {"cache", c.Cache}}
}

// studyConfig returns what results of two studies must share to be compared; empty settings are left out.
func studyConfig(r *analysis.Results) []KeyValue {
	h := &r.Header
	var captures []string
	for _, c := range h.Captures {
		captures = append(captures, c.Name+" sha256:"+c.SHA256)
	}
	unfinished := ""
	if r.Done < r.Planned {
		unfinished = fmt.Sprintf("%d/%d", r.Done, r.Planned)
	}
	soak := ""
	if p := &h.Plan; p.Soak > 0 {
		soak = fmt.Sprintf("last %v of %v", p.Window(), p.Soak)
	}
	var config []KeyValue
	for _, kv := range []KeyValue{
		{"goos", h.Environment.OS}, {"goarch", h.Environment.Arch}, {"pkg", "pcaplab"}, {"cpu", h.Environment.CPU},
		{"machine", machine(h)}, {"capture", strings.Join(captures, ", ")}, {"stages", strings.Join(h.Settings.Stages, " ")},
		{"edits", h.Settings.Edits.String()}, {"sides", h.Settings.Sides},
		{"queue", h.Settings.Queue}, {"pattern", h.Settings.Pattern}, {"clock", h.Settings.Clock}, {"feed", h.Settings.Feed},
		{"unit", h.Settings.Unit}, {"seed", strconv.FormatUint(h.Settings.Seed, 10)}, {"trial", trialLength(h)},
		{"soak", soak}, {"unfinished", unfinished},
	} {
		if kv.Value = clean(kv.Value); kv.Value != "" {
			config = append(config, kv)
		}
	}
	return config
}
