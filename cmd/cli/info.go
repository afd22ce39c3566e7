package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay"
)

func (a *app) infoCommand() *cobra.Command {
	var cfg datasets.InspectConfig
	var asJSON bool
	c := &cobra.Command{
		Use:   "info [flags] FILE...",
		Short: "Tell what captures hold",
		Long: `Reads each capture once and tells its container, byte order, time resolution, link types, packets, octets, duration,
rates, sizes, protocols (of the outermost packet), and its faults: time that runs backwards, cut packets, damage.

A damaged capture is described up to the damage; the exit code is then 1. --json prints one object for each capture, with
"error" null where there was none.`,
		Example: `  ` + a.Name + ` info capture.pcapng.zst
  ` + a.Name + ` info --json *.pcap | jq -r '[.file, .packets, .octets, .error] | @tsv'`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("no capture: name files, or - for standard input")
			}
			if err := (&captureFlags{}).check(args); err != nil {
				return err
			}
			defer a.interruptible(c.Context(), args, func() {})()
			var faults []error
			for i, path := range args {
				bar := a.octetsBar("reading " + filepath.Base(path))
				cfg.Progress, cfg.Stdin = bar.set, a.stdin
				info, err := datasets.Inspect(c.Context(), path, cfg)
				bar.done()
				if c.Context().Err() != nil {
					return c.Context().Err()
				}
				if err != nil {
					faults = append(faults, err)
				}
				if asJSON {
					err = json.NewEncoder(a.stdout).Encode(info)
				} else {
					if i > 0 {
						fmt.Fprintln(a.stdout)
					}
					err = info.WriteText(a.stdout)
				}
				if err != nil {
					return err
				}
			}
			return errors.Join(faults...)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each capture")
	c.Flags().BoolVar(&cfg.Salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	return c
}

func (a *app) synthCommand() *cobra.Command {
	var seed uint64
	var frames int
	var output string
	var long strings.Builder
	long.WriteString("Writes seeded synthetic traffic as a pcap with nanoseconds. The same profile, seed and number give the same\noctets on every machine. Profiles:\n\n")
	var names []string
	for _, p := range synth.Profiles() {
		fmt.Fprintf(&long, "  %-10s %s\n", p.Name, p.Doc)
		names = append(names, p.Name)
	}
	c := &cobra.Command{
		Use:     "synth [flags] PROFILE",
		Short:   "Write synthetic traffic as a capture",
		Long:    long.String(),
		Example: `  ` + a.Name + ` synth iot-1 --frames 1000000 -o iot.pcap` + "\n" + `  ` + a.Name + ` synth syn-60 | tcpdump -nr - -c 3`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one profile: %s", strings.Join(names, ", "))
			}
			src, err := synth.New(args[0], seed)
			if err != nil {
				return usageError{err}
			}
			if frames < 1 {
				return usagef("--frames %d: want 1 or more", frames)
			}
			return a.writeCapture(c.Context(), output, src, uint64(frames))
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "of the traffic")
	c.Flags().IntVar(&frames, "frames", defaultSynthFrames, "how many")
	c.Flags().StringVarP(&output, "output", "o", "-", "file to write")
	return c
}

// writeCapture writes frames of a source as a pcap with nanoseconds, up to the source's end; - is standard output.
func (a *app) writeCapture(ctx context.Context, path string, src replay.Source, frames uint64) error {
	write := func(w io.Writer) error {
		out, err := pcapio.NewWriter(w, pcapio.WriterConfig{Nano: true})
		if err != nil {
			return err
		}
		bar := a.octetsBar("writing frames")
		defer bar.done()
		var f parse.Frame
		for i := range frames {
			if i&0xffff == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				bar.set(int64(i), int64(frames))
			}
			if err := src.Next(&f); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			if err := out.WriteFrame(&f); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	if path != stdin {
		return report.WriteFile(path, write)
	}
	if isTerminal(a.stdout) {
		return usagef("a capture is not for a terminal: -o FILE, or a pipe")
	}
	return write(a.stdout)
}

func (a *app) enginesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "engines",
		Short: "List engines, stages and queues",
		Long: `Lists the parsers of this program, the stages behind them, and the queues before them. Other programs that can be engines of a scenario
(dpkt, Scapy, tshark, PyShark) are listed by '` + a.Name + ` scenarios list'.`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			engines := list("engine", "what it is")
			for _, e := range a.Engines {
				engines.Add(report.Text(e.Name), report.Text(e.Doc))
			}
			stages := list("stage", "what it does")
			for _, s := range a.Stages {
				stages.Add(report.Text(s.Name), report.Text(s.Doc))
			}
			queues := list("queue", "what it imitates")
			for _, q := range replay.Queues() {
				queues.Add(report.Text(q.Name), report.Text(q.Doc))
			}
			for i, t := range []*report.Table{engines, stages, queues} {
				if i > 0 {
					fmt.Fprintln(a.stdout)
				}
				if err := t.WriteText(a.stdout); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) tableCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "table DIR",
		Short: "Print the results of a results folder again",
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && report.HoldsScenario(args[0]) {
				header, records, err := report.ReadScenario(args[0])
				if err != nil {
					return err
				}
				return a.printScenario(analysis.AnalyzeScenario(header, records), asJSON)
			}
			if len(args) == 1 && report.HoldsLive(args[0]) {
				header, records, err := report.ReadLive(args[0])
				if err != nil {
					return err
				}
				return a.printLive(analysis.AnalyzeLive(header, records), asJSON)
			}
			results, err := readFolder(args)
			if err != nil {
				return err
			}
			if asJSON {
				return report.WriteJSON(a.stdout, results)
			}
			return report.WriteText(a.stdout, results)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print results as JSON lines instead of a table")
	c.ValidArgsFunction = once(completeResults)
	return c
}

func (a *app) benchfmtCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "benchfmt DIR",
		Short: "Print a results folder as Go benchmark lines, for benchstat",
		Example: `  ` + a.Name + ` benchfmt before > old.txt
  ` + a.Name + ` benchfmt after > new.txt
  benchstat old.txt new.txt`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one results folder")
			}
			if report.HoldsScenario(args[0]) {
				return fmt.Errorf("%s holds results of a scenario: benchfmt is for ceiling, sweep and trial; 'table --json' prints a scenario's", args[0])
			}
			if report.HoldsLive(args[0]) {
				return fmt.Errorf("%s holds results of a live run: benchfmt is for ceiling, sweep and trial; 'table --json' prints a live run's", args[0])
			}
			header, records, err := report.Read(args[0])
			if err != nil {
				return err
			}
			return report.WriteStudyBenchfmt(a.stdout, header, records)
		},
	}
}

func readFolder(args []string) (*analysis.Results, error) {
	if len(args) != 1 {
		return nil, usagef("want one results folder")
	}
	header, records, err := report.Read(args[0])
	if err != nil {
		return nil, err
	}
	return analysis.Analyze(header, records), nil
}

// none refuses arguments.
func none(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := ""
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("%s takes no arguments, not %q%s", c.CommandPath(), args, hint)
	}
	return nil
}

func list(heads ...string) *report.Table {
	t := &report.Table{}
	for _, h := range heads {
		t.Columns = append(t.Columns, report.Column{Head: h})
	}
	return t
}
