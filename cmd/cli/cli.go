// Package cli is the command line of pcaplab as a library: a program with parsers of its own calls [Main] with them and
// has every command and flag of pcaplab. It is the only place that knows flags, progress bars and exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pcaplab/analysis"
	"pcaplab/datasets/shard"
	"pcaplab/parse"
	"pcaplab/replay/live"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
)

// Exit codes.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2   // flags or arguments are wrong; nothing was run
	ExitMissed      = 3   // ran, but a condition of --fail-if is true, two files differ, or shards are missing
	ExitInterrupted = 130 // ended by a signal; what was measured is kept
)

// Program is what a binary offers.
type Program struct {
	Name    string            // of the binary, for help
	Engines []parse.Engine    // for --engines
	Stages  []parse.StageKind // for --stages
	Default []string          // engines measured without --engines; all if empty
}

// Main runs the program with the arguments of the process and returns its exit code. It must be the first thing that main
// does: the process may be a measuring child of a study.
func Main(p Program) int {
	served, err := trial.Serve(p.Engines, p.Stages)
	if !served {
		served, err = scenario.Serve(p.Engines)
	}
	if !served {
		served, err = live.Serve(p.Engines)
	}
	if served {
		if err != nil {
			fmt.Fprintln(os.Stderr, p.Name+":", err)
			return ExitFailed
		}
		return ExitDone
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// A second signal ends the process at once. One that comes with the first, as timeout(1) and terminals send them, is no second.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	a := &app{Program: p, stdout: os.Stdout, stderr: os.Stderr, stdin: os.Stdin}
	return a.run(ctx, os.Args[1:])
}

// app is one run of the program.
type app struct {
	Program
	stdout, stderr io.Writer
	stdin          io.Reader
	quiet          bool
	boards         []place     // to measure on; none: here
	via            string      // how the user named them, as "remote pi@a,pi@b "
	plan           **shard.Job // of `shards plan`: a command notes its job there and ends
	args           []string
	completing     bool                // a shell asks what goes where
	mixedMachines  bool                // of merge
	mergeCondition *analysis.Condition // of merge --fail-if; nil without
}

// usageError marks what the user got wrong before anything ran.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errMissed says that a condition of --fail-if is true.
var errMissed = errors.New("a condition of --fail-if is true")

func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	a.completing = len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintf(a.stderr, "%s: interrupted\n", a.Name)
		return ExitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "%s: %v\n", a.Name, err)
		return ExitUsage
	case errors.Is(err, errMissed), errors.Is(err, errDiffer), errors.Is(err, errIncomplete):
		fmt.Fprintf(a.stderr, "%s: %v\n", a.Name, err)
		return ExitMissed
	}
	fmt.Fprintf(a.stderr, "%s: %v\n", a.Name, err)
	return ExitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   a.Name,
		Short: "How many packets a second can this machine parse before it loses any?",
		Long: `Feeds captures from memory into packet parsers at controlled rates and sizes, counts what is lost, and
searches the parsing ceiling: the service ceiling (as fast as the parser takes), the no-drop rate (NDR)
and partial-drop rates (PDR), after RFC 2544 and MLRsearch.

Where a capture is asked for, FILE is a pcap or pcapng file, plain, gzip or zstd (found by content), and "-" is
standard input. Commands that measure, replay or take features also take synth:PROFILE[:FRAMES], seeded
synthetic traffic (see '` + a.Name + ` synth -h'); info, split and rewrite want files.`,
		Example: `  ` + a.Name + ` ceiling --quick synth:iot-1      # a first look, in about a minute
  ` + a.Name + ` ceiling -o results capture.pcap.zst   # publishable: 1 s trials, 21 s sums, 6 repeats
  ` + a.Name + ` sweep --rates 0.1x,0.5x,1x,2x --sizes 64,512,1518 capture.pcap
  ` + a.Name + ` info --json *.pcap | jq .packets`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			hint := ""
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usagef("no command %q%s (see '%s -h')", args[0], hint, a.Name)
		},
		SuggestionsMinimumDistance: 2,
		Version:                    version(),
		SilenceErrors:              true,
		SilenceUsage:               true,
	}
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", a.quiet, "no progress and no notes on standard error")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w (see '%s -h')", err, c.CommandPath())
	})
	root.AddCommand(a.ceilingCommand(), a.sweepCommand(), a.trialCommand(), a.liveCommand(), a.infoCommand(), a.featuresCommand(), a.validateCommand(), a.scenariosCommand(), a.datasetCommand(), a.synthCommand(), a.replayCommand(),
		a.enginesCommand(), a.rewriteCommand(), a.splitCommand(), a.tableCommand(), a.benchfmtCommand(), a.boardCommand(), a.calibrateCommand(), a.remoteCommand(), a.serveCommand(),
		a.trainCommand())
	root.AddCommand(a.mergeCommand(), a.shardsCommand())
	root.AddCommand(a.predictCommand())
	root.AddCommand(a.compareCommand())
	root.AddCommand(a.reportCommand())
	root.AddCommand(a.buildCommands()...)
	if a.completing {
		a.completions(root)
	}
	return root
}

// noting keeps notes of several boards apart.
var noting sync.Mutex

// note prints a line for the person at the terminal, never data.
func (a *app) note(format string, args ...any) {
	noting.Lock()
	defer noting.Unlock()
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// progress returns whether standard error shows progress.
func (a *app) progress() bool { return !a.quiet && isTerminal(a.stderr) }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// revision is set by make, because a build in a checkout does not always record it.
var revision string

func version() string {
	if revision != "" {
		return revision
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, commit, modified := info.Main.Version, "", false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	if (v == "" || v == "(devel)") && len(commit) >= 12 {
		v = commit[:12]
		if modified {
			v += "+changes"
		}
	}
	return v
}
