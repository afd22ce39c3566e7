package report_test

import (
	"context"
	"log"
	"os"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/parse"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

// A study from Go: from a capture and engines to records and a table. A program that measures in child processes (without
// InProcess) calls trial.Serve first in main.
func Example() {
	ctx := context.Background()
	frames, _, err := datasets.Load(ctx, []string{"capture.pcap"}, datasets.LoadConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer frames.Close()
	var records []trial.Record
	study := &trial.Study{
		Header: trial.Header{
			Plan: trial.Plan{
				Engines: []string{"direct"}, Repeats: analysis.MinRepeats, Trial: time.Second,
				Search: trial.SearchMLR, Goals: []search.Goal{search.NDR()},
			},
			MemoryLimit: datasets.DefaultMemoryLimit(),
			InProcess:   true,
		},
		Engines: []parse.Engine{parse.DirectEngine()},
		Frames:  func(string) (trial.Sized, error) { return trial.Sized{Frames: frames}, nil },
		Keep:    func(r trial.Record) error { records = append(records, r); return nil },
	}
	if err := study.Run(ctx); err != nil {
		log.Fatal(err)
	}
	if err := report.WriteText(os.Stdout, analysis.Analyze(study.Header, records)); err != nil {
		log.Fatal(err)
	}
}
