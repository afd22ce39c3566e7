package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"pcaplab/analysis/report"
	"pcaplab/replay/meter"
	"pcaplab/replay/meter/board"
)

// questionBoard asks a bench what machine it is: a board.Board.
const questionBoard = "board"

// readBoard answers questionBoard.
func readBoard() board.Board { return board.Read(meter.Roots{}) }

// spoiledError says that a finding spoils measurements. It is a condition that is true, as those of --fail-if are.
type spoiledError int

func (e spoiledError) Error() string {
	if e == 1 {
		return "1 finding spoils measurements (--strict)"
	}
	return fmt.Sprintf("%d findings spoil measurements (--strict)", int(e))
}

func (e spoiledError) Is(target error) bool { return target == errMissed }

type boardFlags struct {
	json   bool
	strict bool
}

func (a *app) boardCommand() *cobra.Command {
	var f boardFlags
	c := &cobra.Command{
		Use:   "board [flags]",
		Short: "Tell what this machine is, and what would spoil a measurement on it",
		Long: `Prints on one screen what this machine is: board or PC, processor, caches, clocks and governor, temperatures, cooling, the
Raspberry Pi firmware's throttle flags now and since boot, memory and swap, what else runs, and for each network interface
the most frames a second that its link can carry, by frame size. Nothing is changed and no root is needed. It takes a
quarter of a second, in which it watches what else runs.

Then come the findings, the worst first, each with what was seen, why it matters, and how to mend it:

  SPOILS  the numbers would not be this board's: throttled, under-voltage, clock capped, powersave, no CPU left, stolen time
  BLURS   noise, or a bias that comes and goes: a clock that follows the load, heat, other work, swap in use, SMT, turbo
  NOTE    worth knowing when the numbers are read: a single core, little memory, a 32-bit userland

A line to mend is a command, or a line for the file that its comment names; what follows # explains. Lines for a Raspberry
Pi are those of Raspberry Pi OS 12 (Bookworm) and 13 (Trixie). A heat sink cannot be seen by software: where cooling is in
doubt, measure for longer and watch the marks.

--json prints one object whose names stay; what cannot be read is null. Neither has serial numbers, host names or hardware
addresses. With --strict the exit code is 3 if anything spoils, for scripts that measure by night.`,
		Example: `  ` + a.Name + ` board
  ` + a.Name + ` board --strict -q && ` + a.Name + ` ceiling -o results capture.pcap.zst
  ` + a.Name + ` board --json | jq -r '.findings[] | [.level, .id, .seen] | @tsv'
  ` + a.Name + ` remote pi@raspberrypi board
  ` + a.Name + ` board list                          # the Raspberry Pi models, by published figures`,
		Args: none,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context(), a) },
	}
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object (of several boards one each, with \"host\")")
	c.Flags().BoolVar(&f.strict, "strict", false, "exit code 3 if a finding spoils measurements")
	c.AddCommand(a.boardListCommand())
	return c
}

func (f *boardFlags) run(ctx context.Context, a *app) error {
	places := a.places()
	var errs []error
	spoiled := 0
	for i, p := range places {
		var b board.Board
		answer, err := p.bench.answer(ctx, question{Kind: questionBoard})
		if err == nil {
			err = json.Unmarshal(answer, &b)
		}
		if err != nil {
			errs = append(errs, p.named(err))
			continue
		}
		for _, found := range b.Findings {
			if found.Level == board.Spoils {
				spoiled++
			}
		}
		if f.json {
			out := struct {
				Host string `json:"host,omitempty"`
				board.Board
			}{Board: b}
			if len(places) > 1 {
				out.Host = p.name
			}
			err = json.NewEncoder(a.stdout).Encode(out)
		} else {
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			if len(places) > 1 {
				fmt.Fprintf(a.stdout, "%s:\n", p.name)
			}
			err = b.WriteText(a.stdout)
		}
		if err != nil {
			return err
		}
	}
	if f.strict && spoiled > 0 {
		errs = append(errs, spoiledError(spoiled))
	}
	return errors.Join(errs...)
}

func (a *app) boardListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the Raspberry Pi models with published figures",
		Long: `Prints what is published of the Raspberry Pi models, with the source of each figure: processor, memory, caches, Ethernet, and
how fast others have measured 7-zip, memcpy and random reads. None was measured with pcaplab, and no packet rate follows from
them: small in-order cores lose far more on a parser than on 7-zip. '` + a.Name + ` board' shows the row of the board it runs on.

--json prints one object for each model; a figure has "value", "mark" (read, known or inferred) and "source".`,
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			if len(a.boards) > 0 {
				return usagef("the list is of no host: '%s board list'", a.Name)
			}
			models := board.Models()
			if asJSON {
				out := json.NewEncoder(a.stdout)
				for _, m := range models {
					if err := out.Encode(m); err != nil {
						return err
					}
				}
				return nil
			}
			hardware := list("model", "processor", "memory", "L1d / L2 / L3", "Ethernet")
			speed := list("model", "7-zip, 1 thread, MIPS", "memcpy, MB/s", "random read, 8 MiB, ns", "source")
			for _, m := range models {
				hardware.Add(report.Text(m.Name), figure(m.SoC), figure(m.Memory), figure(m.Caches), figure(m.Ethernet))
				speed.Add(report.Text(m.Name), figure(m.SevenZip), figure(m.Memcpy), figure(m.RandomRead), report.Text(m.SevenZip.Source))
			}
			hardware.Notes = []string{"source: raspberrypi/documentation"}
			speed.Notes = []string{
				"sbc-bench is github.com/ThomasKaiser/sbc-bench: p7zip 16.02, and tinymembench for memory",
				"no mark: read in the source; K: common knowledge, not checked; I: inferred from another model; n/a: none found",
				"None of these was measured with pcaplab, and packet rates do not follow from them.",
			}
			if err := hardware.WriteText(a.stdout); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout)
			return speed.WriteText(a.stdout)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each model")
	return c
}

func figure(f *board.Figure) report.Cell {
	switch {
	case f == nil:
		return report.Text("n/a")
	case f.Mark == board.MarkKnown:
		return report.Text(f.Value + " [K]")
	case f.Mark == board.MarkInferred:
		return report.Text(f.Value + " [I]")
	}
	return report.Text(f.Value)
}
