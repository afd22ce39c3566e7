package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/replay/meter/kernel"
	"pcaplab/replay/trial"
)

// questionKernels asks a bench for its micro-kernels: kernel.Results.
const questionKernels = "kernels"

// kernels answers questionKernels.
func (a *app) kernels(ctx context.Context, quick bool) (kernel.Results, error) {
	cfg := calibration.Kernels(quick)
	cfg.MemoryLimit = datasets.DefaultMemoryLimit()
	a.note("micro-kernels; about %v", cfg.Expected().Round(time.Second))
	return kernel.Run(ctx, cfg)
}

// calibrateFlags are those of pcaplab calibrate.
type calibrateFlags struct {
	output    string
	quick     bool
	inProcess bool
	json      bool
}

func (a *app) calibrateCommand() *cobra.Command {
	var k calibrateFlags
	c := &cobra.Command{
		Use:   "calibrate [flags]",
		Short: "Measure a fixed kit of work, to compare boards and to predict from",
		Long: `Runs the same work on every machine: micro-kernels (loads, branches, calls, arithmetic, allocations), then every engine on
seeded traffic in four sizes, frames hot and cold, in closed loop, three repeats. It takes about a minute on a 2-core VM and
more on a small board. --quick takes some ten seconds: a first look, or a check under an emulator, where
--in-process is needed too.

The file of -o can be shared: it says what the machine is, but names neither host, user, serial number nor address. It holds
every sample, digests that show that the work was the same, and what speaks against the numbers. It is written whole at the
end or not at all: an interrupted calibration leaves nothing.`,
		Example: `  ` + a.Name + ` calibrate -o pi4.json
  ` + a.Name + ` calibrate --quick
  ` + a.Name + ` remote pi@raspberrypi calibrate -o pi4.json
  ` + a.Name + ` calibrate --json | jq .calibration.doubts`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("output") && k.output == "" {
				return usagef("-o: want the name of a file, or - for standard output")
			}
			return k.run(c.Context(), a)
		},
	}
	fs := c.Flags()
	fs.StringVarP(&k.output, "output", "o", "", "file to write (of several boards one each, FILE-HOST); - prints it instead of the tables")
	fs.BoolVar(&k.quick, "quick", false, "a short repeat of two sizes: for a first look")
	fs.BoolVar(&k.inProcess, "in-process", false, "measure in this process, not in a fresh one for each cell and repeat")
	fs.BoolVar(&k.json, "json", false, "print the file instead of the tables")
	return c
}

func (k *calibrateFlags) run(ctx context.Context, a *app) error {
	if k.output == stdin {
		k.output, k.json = "", true
	}
	places := a.places()
	for _, p := range places {
		if err := writable(k.file(p, places)); err != nil {
			return err
		}
	}
	files := make([]*calibration.File, len(places))
	errs := make([]error, len(places))
	bars := a.studyBars(len(places))
	for i, p := range places {
		bars.bar(i, p.name)
	}
	var all sync.WaitGroup
	for i, p := range places {
		all.Go(func() {
			f, err := k.measure(ctx, a, p, bars.bars[i])
			files[i], errs[i] = f, p.named(err)
		})
	}
	all.Wait()
	bars.done()
	for i, p := range places {
		if files[i] != nil {
			errs[i] = k.keep(a, p, places, files[i])
		}
	}
	err := errors.Join(errs...)
	if err != nil && ctx.Err() != nil {
		a.note("a calibration that was not finished is none: nothing was kept of it")
	}
	return err
}

// measure runs the kit at one place.
func (k *calibrateFlags) measure(ctx context.Context, a *app, p place, bar *studyBar) (*calibration.File, error) {
	m := calibration.Measured{Started: time.Now()}
	answer, err := p.bench.answer(ctx, question{Kind: questionKernels, Quick: k.quick})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer, &m.Kernels); err != nil {
		return nil, fmt.Errorf("micro-kernels: %w", err)
	}
	var engines []string
	for _, e := range a.Engines {
		engines = append(engines, e.Name)
	}
	study := func(settings trial.Settings, plan trial.Plan) (*visit, error) {
		v := &visit{place: p, a: a, bar: bar, job: job{Sources: sources([]string{calibration.Traffic}), Header: trial.Header{
			Version: version(), Command: "calibrate", Started: time.Now().UTC(), Settings: settings, Plan: plan,
			InProcess: k.inProcess, Caches: calibration.Caches,
		}}}
		err := v.run(ctx)
		if errors.Is(err, syscall.ENOEXEC) {
			err = fmt.Errorf("%w; under an emulator measure with --in-process", err)
		}
		return v, err
	}
	counting, err := study(calibration.Counting(engines))
	if err != nil {
		return nil, err
	}
	timing, err := study(calibration.Timing(engines, k.quick))
	if err != nil {
		return nil, err
	}
	m.Header, m.Timing, m.Counting, m.Ended = timing.job.Header, timing.records, counting.records, time.Now()
	return calibration.New(m)
}

// file is where the calibration of a place goes; empty: nowhere.
func (k *calibrateFlags) file(p place, places []place) string {
	if k.output == "" || len(places) == 1 {
		return k.output
	}
	ext := filepath.Ext(k.output)
	return strings.TrimSuffix(k.output, ext) + "-" + fileName(p.name) + ext
}

// writable finds before anything is measured that a file could not be written. What is there stays.
func writable(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return usagef("-o %s: not a regular file; name a new file or a regular one", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".pcaplab-*")
	if err != nil {
		var at *os.PathError // of a name that the user does not know
		if errors.As(err, &at) {
			err = at.Err
		}
		return usagef("-o %s: %w", path, err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// keep writes and prints a calibration.
func (k *calibrateFlags) keep(a *app, p place, places []place, f *calibration.File) error {
	if path := k.file(p, places); path != "" {
		if err := report.WriteFile(path, f.Write); err != nil {
			return err
		}
		a.note("%scalibration in %s", p.prefix(), path)
	}
	if !k.json {
		return writeCalibration(a.stdout, p.name, f)
	}
	if len(places) == 1 {
		return f.Write(a.stdout)
	}
	var indented, line bytes.Buffer
	if err := f.Write(&indented); err != nil {
		return err
	}
	if err := json.Compact(&line, indented.Bytes()); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err := tagged(a.stdout, p.name).Write(line.Bytes())
	return err
}

// writeCalibration writes a file as tables, for people.
func writeCalibration(w io.Writer, name string, f *calibration.File) error {
	title := fmt.Sprintf("kit %d, pcaplab %s, %s, %v", calibration.Kit, f.Version, f.Started.Format(time.DateTime+" UTC"), f.Elapsed.Round(time.Second))
	if name != "" {
		title = name + ": " + title
	}
	if _, err := fmt.Fprintf(w, "%s\nmachine   %v\ntraffic   %s: %d packets, mean %s\n\n", title, &f.Environment, f.Traffic.Name, f.Traffic.Frames,
		report.FormatOctets(float64(f.Traffic.Octets)/float64(f.Traffic.Frames))); err != nil {
		return err
	}
	for _, t := range []*report.Table{memoryTable(&f.Kernels), workTable(&f.Kernels), costTable(f)} {
		if err := t.WriteText(w); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	for _, d := range f.Doubts {
		if _, err := fmt.Fprintf(w, "doubt: %s\n", d); err != nil {
			return err
		}
	}
	return nil
}

// memoryTable has a row for each size of memory.
func memoryTable(k *kernel.Results) *report.Table {
	t := &report.Table{Columns: []report.Column{
		{Head: "memory", Right: true}, {Head: "dependent load", Right: true}, {Head: "independent load", Right: true},
		{Head: "reading", Right: true}, {Head: "copying", Right: true},
	}}
	rate := func(ns float64) string { return fmt.Sprintf("%.1f GB/s", 64/ns) }
	columns := []struct {
		kind   string
		format func(float64) string
	}{{"chase", report.FormatDuration}, {"random", report.FormatDuration}, {"read", rate}, {"copy", rate}}
	for _, of := range k.Kernels {
		if of.Kind != "chase" {
			continue
		}
		row := []report.Cell{report.Text(report.FormatOctets(float64(of.Octets)))}
		for _, c := range columns {
			cell := report.Text("")
			for _, r := range k.Kernels {
				if r.Kind == c.kind && r.Octets == of.Octets {
					cell = report.Number(r.MinNS, c.format)
				}
			}
			row = append(row, cell)
		}
		t.Add(row...)
	}
	return t
}

// workTable has what does not depend on a size of memory.
func workTable(k *kernel.Results) *report.Table {
	t := &report.Table{Columns: []report.Column{
		{Head: "kernel"}, {Head: "least", Right: true}, {Head: "median", Right: true}, {Head: "one operation is"},
	}}
	for _, def := range kernel.Kernels() {
		if r, run := k.Kernel(def.Name); run && def.Name == def.Kind {
			t.Add(report.Text(r.Name), report.Number(r.MinNS, report.FormatDuration), report.Number(r.MedianNS, report.FormatDuration), report.Text(def.Doc))
		}
	}
	for _, d := range []struct {
		name, doc string
		cost      func() (float64, bool)
	}{
		{"mispredict", "what a wrongly predicted branch costs, by the two branches above", k.Mispredict},
		{"mispredict-call", "what a wrongly predicted call costs, by the two calls above", k.MispredictCall},
	} {
		if ns, known := d.cost(); known {
			t.Add(report.Text(d.name), report.Number(ns, report.FormatDuration), report.Text(""), report.Text(d.doc))
		}
	}
	return t
}

// costTable has a row for each engine and size.
func costTable(f *calibration.File) *report.Table {
	t := &report.Table{Columns: []report.Column{
		{Head: "engine"}, {Head: "size", Right: true}, {Head: "B/packet", Right: true},
		{Head: "hot", Right: true}, {Head: "spread", Right: true}, {Head: "cold", Right: true}, {Head: "spread", Right: true},
		{Head: "CPU cold", Right: true}, {Head: "allocs", Right: true}, {Head: "marks"},
	}}
	for _, engine := range f.Plan.Engines {
		for _, size := range f.Plan.Sizes {
			cold, ok := f.Cell(engine, size, trial.CacheCold)
			if !ok {
				continue
			}
			row := []report.Cell{report.Text(engine), report.Text(size), report.Number(cold.Octets, wholeNumber)}
			marks := []string{}
			for _, cache := range f.Plan.Caches {
				s, known := f.NS(engine, size, cache)
				row = append(row, summaryCells(s, known)...)
				cell, _ := f.Cell(engine, size, cache)
				for _, m := range cell.Marks {
					marks = append(marks, cache+" "+m)
				}
			}
			cpu := report.Text("n/a")
			if s, known := f.CPUNS(engine, size, trial.CacheCold); known {
				cpu = report.Number(s.Median, report.FormatDuration)
			}
			allocs := 0.0
			for _, s := range cold.Samples {
				allocs += s.Allocs / float64(len(cold.Samples))
			}
			t.Add(append(row, cpu, report.Number(allocs, oneDecimal), report.Text(strings.Join(marks, ", ")))...)
		}
	}
	return t
}

func summaryCells(s analysis.Summary, known bool) []report.Cell {
	if !known {
		return []report.Cell{report.Text("n/a"), report.Text("n/a")}
	}
	spread := report.Text("n/a")
	if s.N > 1 {
		spread = report.Number(calibration.Spread(s), report.FormatRatio)
	}
	return []report.Cell{report.Number(s.Median, report.FormatDuration), spread}
}

func wholeNumber(v float64) string { return fmt.Sprintf("%.0f", v) }
func oneDecimal(v float64) string  { return fmt.Sprintf("%.1f", v) }
