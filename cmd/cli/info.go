package cli

import (
	"cmp"
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
	"pcaplab/datasets/cic"
	"pcaplab/datasets/mix"
	"pcaplab/datasets/pcapio"
	"pcaplab/datasets/synth"
	"pcaplab/datasets/truth"
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
			if err := a.filesOnly(args); err != nil {
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
					if !cfg.Salvage {
						err = datasets.Explain(err)
					}
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
	var withTruth bool
	var long strings.Builder
	long.WriteString(`Writes seeded synthetic traffic as a pcap with nanoseconds. The same name, seed and number give the same octets on every machine. A name is
a profile:

`)
	var names []string
	for _, p := range synth.Profiles() {
		fmt.Fprintf(&long, "  %-10s %s\n", p.Name, p.Doc)
		names = append(names, p.Name)
	}
	names = append(names, trafficIoT, trafficCIC)
	fmt.Fprintf(&long, "  %-10s %s\n  %-10s %s\n", trafficIoT, "the same as "+names[0], trafficCIC, trafficCICDoc)
	long.WriteString("\nor a class of CIC-IoT-2023, in any spelling of the dataset. The frames are like those of its captures, none is copied:\n\n")
	writeClasses(&long)
	long.WriteString("\nWhere other commands take captures, synth:NAME:FRAMES and --synth NAME:FRAMES are the same traffic. 'dataset synth' makes a tree of all classes.")
	c := &cobra.Command{
		Use:   "synth [flags] PROFILE",
		Short: "Write synthetic traffic as a capture",
		Long:  long.String(),
		Example: `  ` + a.Name + ` synth iot-1 --frames 1000000 -o iot.pcap
  ` + a.Name + ` synth syn-60 | tcpdump -nr - -c 3
  ` + a.Name + ` synth mirai-greip_flood --frames 100000 -o greip.pcap
  ` + a.Name + ` synth cic --frames 1000000 --truth -o cic.pcap`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("want one name: %s, or a class of CIC-IoT-2023 (see '%s -h')", strings.Join(names, ", "), c.CommandPath())
			}
			name, err := synthName(args[0])
			if err != nil {
				return usageError{err}
			}
			if frames < 1 {
				return usagef("--frames %d: want 1 or more", frames)
			}
			src, err := synth.New(name, seed)
			if err != nil {
				return err
			}
			if withTruth {
				return a.writeWithTruth(c.Context(), output, src, uint64(frames))
			}
			return a.writeCapture(c.Context(), output, src, uint64(frames))
		},
	}
	c.Flags().Uint64Var(&seed, "seed", 1, "of the traffic")
	frames = defaultSynthFrames
	c.Flags().Var(packetsFlag(&frames), "frames", "how many, as 5000 or 1e6")
	c.Flags().StringVarP(&output, "output", "o", "-", "file to write: pcap or, by its name, pcapng; compressed by its name (.gz, .zst)")
	c.Flags().BoolVar(&withTruth, "truth", false, "write FILE"+truth.Suffix+" too: class of each packet, and whether it is of the attack")
	return c
}

const trafficCICDoc = "all classes of CIC-IoT-2023, by their shares of its packets"

// writeClasses lists the classes, a paragraph for each category.
func writeClasses(w *strings.Builder) {
	const width = 110
	category, line := "", ""
	for _, c := range cic.Classes() {
		if c.Category != category || len(line)+1+len(c.Folder) > width {
			if line != "" {
				fmt.Fprintln(w, line)
			}
			line = fmt.Sprintf("  %-10s", "")
			if c.Category != category {
				category, line = c.Category, fmt.Sprintf("  %-10s", c.Category)
			}
		}
		line += " " + c.Folder
	}
	fmt.Fprintln(w, line)
}

// writeWithTruth is writeCapture with the truth beside the capture. The capture gets its name first: no truth is without one.
func (a *app) writeWithTruth(ctx context.Context, path string, src *synth.Source, frames uint64) error {
	if path == stdin {
		return usagef("--truth goes beside a file: -o FILE")
	}
	return report.WriteFile(path+truth.Suffix, func(w io.Writer) error {
		told := &tellingSource{Source: src, rows: truth.NewWriter(w)}
		if err := a.writeCapture(ctx, path, told, frames); err != nil {
			return err
		}
		return told.rows.Close()
	})
}

// tellingSource writes down what it gives.
type tellingSource struct {
	*synth.Source
	rows *truth.Writer
}

func (t *tellingSource) Next(f *parse.Frame) error {
	if err := t.Source.Next(f); err != nil {
		return err
	}
	p := truth.Packet{Class: t.Class()}
	if p.Class != "" {
		p.Attack = truth.No
	}
	if t.Attack() {
		p.Attack = truth.Yes
	}
	return t.rows.Add(p)
}

// writeCapture writes frames of a source, in nanoseconds, as the path says (pcap unless it ends in .pcapng), up to the source's end; - is standard output.
func (a *app) writeCapture(ctx context.Context, path string, src replay.Source, frames uint64) error {
	write := func(w io.Writer) error {
		out, err := pcapio.NewWriter(w, pcapio.WriterConfig{Nano: true, Container: cmp.Or(containerByName(path), pcapio.Pcap)})
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
		return writeCaptureFile(path, write)
	}
	if isTerminal(a.stdout) {
		return usagef("a capture is not for a terminal: -o FILE, or a pipe")
	}
	return write(a.stdout)
}

// containerByName returns the container that the name of a capture to be written says, compressed or not; "" where it says none.
func containerByName(path string) string {
	name := strings.ToLower(path)
	for _, end := range []string{".gz", ".zst", ".zstd"} {
		if whole, ok := strings.CutSuffix(name, end); ok {
			name = whole
			break
		}
	}
	switch filepath.Ext(name) {
	case ".pcap":
		return pcapio.Pcap
	case ".pcapng":
		return pcapio.PcapNG
	}
	return ""
}

// writeCaptureFile is report.WriteFile for a capture, which is compressed as its name says, as 'dataset mix' does.
func writeCaptureFile(path string, write func(io.Writer) error) error {
	return report.WriteFile(path, func(w io.Writer) error {
		out, err := mix.Compressed(w, path)
		if err != nil {
			return err
		}
		if err := write(out); err != nil {
			out.Close()
			return err
		}
		return out.Close()
	})
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
			if len(args) == 1 && report.HoldsClasses(args[0]) {
				classes, err := report.ReadClasses(args[0])
				if err != nil {
					return err
				}
				return a.printClasses(classes, asJSON)
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
