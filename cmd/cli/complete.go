package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis/report"
	"pcaplab/cmd/remote"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/extract"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay"
	"pcaplab/replay/scenario"
	"pcaplab/replay/split"
	"pcaplab/replay/trial"
)

// choices are what a flag offers in a shell: values, each with its description behind a tab.
type choices struct {
	values []string
	list   bool // several, joined by commas
}

func pairs(pairs ...string) []string {
	var values []string
	for i := 0; i < len(pairs); i += 2 {
		values = append(values, pairs[i]+"\t"+pairs[i+1])
	}
	return values
}

// flagChoices are by name of flag: a flag means the same in every command that has it. A flag with text of no fixed form
// has an empty entry; without one the shell would offer files.
func (a *app) flagChoices() map[string]choices {
	engines := pairs("all", "every engine")
	for _, e := range a.Engines {
		engines = append(engines, e.Name+"\t"+e.Doc)
	}
	var stages, queues []string
	for _, s := range a.Stages {
		name := s.Name
		if s.New == nil {
			name += "="
		}
		stages = append(stages, name+"\t"+s.Doc)
	}
	for _, q := range replay.Queues() {
		queues = append(queues, q.Name+"\t"+q.Doc)
	}
	return map[string]choices{
		"engines": {engines, true},
		"engine":  {engines[1:], false},
		"stages":  {stages, true},
		"queue":   {queues, false},
		"sizes":   {[]string{"64", "128", "256", "512", "1024", "1280", "1518", "imix"}, true},
		"cache": {pairs(trial.CacheCold, "from memory", trial.CacheHot, "half of L2", trial.CacheAsIs,
			"the capture as it is"), true},
		"clock": {pairs("warp", "skips idle time", "system", "waits", "cpu", "skips idle time, service in CPU time"), false},
		"feed":  {pairs("virtual", "queue computed on the parser's thread", "ring", "queue between two threads"), false},
		"pattern": {pairs("constant", "evenly", "poisson", "at random", "recorded", "as captured, scaled to the load",
			"burst:64", "64 frames at once", "onoff:10ms/90ms", "10 ms of load, 90 ms of none",
			"ramp:0.1-1/10s", "from a tenth of the load to all of it"), false},
		"synth":   {profiles(""), false},
		"classes": {classNames(), true},
		"unit":    {pairs("pps", "packets per second", "bit/s", "octets on the wire"), false},
		"stamp": {pairs(string(replay.StampDue), "when the frame is due", string(replay.StampCapture),
			"when it was captured"), false},
		"search": {pairs(trial.SearchMLR, "short trials, a load judged on many", trial.SearchRFC2544,
			"bisection by long trials", trial.SearchNone, "closed loop only"), false},
		"goal": {pairs("ndr", "no drop", "pdr:0.5%", "at most 0.5 % lost", "rfc2544", "no drop, one long trial",
			"tst009", "ETSI NFV-TST 009"), true},
		"metric": {pairs("ndr", "no-drop rate", "pdr", "partial-drop rates", "service", "closed loop", "cost", "time per packet", "cost-min", "in the quickest part of a trial", "cpu", "CPU time per packet",
			"allocs", "per packet", "instructions", "per packet, where they are counted", "peak", "memory", "loss", "at listed loads", "all", "every metric"), true},
		"arch": {remote.Arches, false},
		"as": {pairs("extractor", "what the scripts give on a capture", "pipeline", "what their tool chain gives",
			"released", "as the published files", "fixed", "known faults mended"), false},
		"window":          {pairs("10", "rows", "100", "rows", "cic", "by class, as the dataset has it", "1s", "of time"), false},
		"label":           {pairs("folder", "the class of the capture", "map=", "a file of patterns and labels", "text=", "the same for all"), false},
		"format":          {[]string{extract.CSV, extract.Parquet}, false},
		"dlt":             {pairs("enet", "Ethernet"), false},
		"fixlen":          {pairs("pad", "with zeros", "trunc", "lengths follow", "del", "leave the frame out"), false},
		"enet-vlan":       {pairs("add", "a tag outside", "del", "the outermost tag"), false},
		"enet-vlan-proto": {[]string{"802.1q", "802.1ad"}, false},
		"enet-dmac":       {}, "enet-smac": {}, "srcipmap": {}, "dstipmap": {}, "endpoints": {}, "ttl": {},
		"auto": {pairs(split.ModeBridge, "undecided: server", split.ModeRouter, "undecided: by network", split.ModeClient, "undecided: client",
			split.ModeServer, "undecided: server", split.ModeFirst, "first seen as source: client"), false},
		"cidr": {}, "regex": {}, "mac": {}, "include": {}, "exclude": {}, "ratio": {}, "comment": {},
		"shard": {}, "job": {}, "of": {},
		"benign": {}, "title": {}, "rates": {}, "rate": {}, "gogc": {}, "gomemlimit": {}, "fail-if": {}, "dir": {},
	}
}

// offerFor registers what completes a flag, where completions are asked for: cobra never forgets one, nor all that hangs on it.
func (a *app) offerFor(c *cobra.Command, flag string, complete cobra.CompletionFunc) error {
	if !a.completing {
		return nil
	}
	return c.RegisterFlagCompletionFunc(flag, complete)
}

// completions tells shells what goes where, on every command under root: by the names of flags, and by the last word of
// the usage line for arguments. What a command has registered itself stays.
func (a *app) completions(root *cobra.Command) {
	byName := a.flagChoices()
	visit := func(c *cobra.Command, f *pflag.Flag) {
		if _, registered := c.GetFlagCompletionFunc(f.Name); registered || f.NoOptDefVal != "" {
			return // or takes no value
		}
		offered, known := byName[f.Name]
		complete := cobra.NoFileCompletions
		switch {
		case f.Name == "resume":
			complete = completeFolder
		case f.Name == "stages":
			complete = a.completeStages(offered)
		case known:
			complete = offered.complete
		case f.Value.Type() == "string":
			return // names a file or a folder
		}
		// It fails where a flag does not exist or has a completion: neither is so here.
		if err := c.RegisterFlagCompletionFunc(f.Name, complete); err != nil {
			panic(err)
		}
	}
	for _, c := range root.Commands() {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { visit(c, f) })
		a.completions(c)
		if c.ValidArgsFunction != nil || len(c.ValidArgs) > 0 || c.Hidden {
			continue
		}
		switch {
		case strings.HasSuffix(c.Use, " FILE..."):
			c.ValidArgsFunction = completeCapture
		case strings.HasSuffix(c.Use, " DIR"):
			c.ValidArgsFunction = once(completeFolder)
		case strings.Contains(c.Use, "HOST") && strings.Contains(c.Use, " COMMAND "):
			c.ValidArgsFunction = a.completeCommand
		case strings.HasSuffix(c.Use, " SCENARIO"):
			c.ValidArgsFunction = once(completeScenario)
		case strings.HasSuffix(c.Use, " PROFILE"):
			c.ValidArgsFunction = once(choices{values: profiles("")}.complete)
		case !strings.Contains(c.Use, " "):
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
}

// once completes the first argument, and offers nothing for others.
func once(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, toComplete)
	}
}

// completeCommand completes a command line behind a host as it would be without one.
func (a *app) completeCommand(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return nil, cobra.ShellCompDirectiveNoFileComp // hosts are ssh's business
	case 1:
		return withPrefix(remoteCommands, "", toComplete), cobra.ShellCompDirectiveNoFileComp
	}
	var out strings.Builder
	root := a.root()
	root.SetArgs(append(append([]string{cobra.ShellCompRequestCmd}, args[1:]...), toComplete))
	root.SetOut(&out)
	root.SetErr(io.Discard)
	if err := root.Execute(); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := len(lines) - 1
	directive, err := strconv.Atoi(strings.TrimPrefix(lines[last], ":"))
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:last], cobra.ShellCompDirective(directive)
}

// profiles lists synthetic traffic, each name behind a prefix.
func profiles(prefix string) []string {
	var list []string
	for _, p := range synth.Profiles() {
		list = append(list, prefix+p.Name+"\t"+p.Doc)
	}
	list = append(list, prefix+trafficIoT+"\tthe same as "+synth.Profiles()[0].Name, prefix+trafficCIC+"\t"+trafficCICDoc)
	for _, c := range cic.Classes() {
		list = append(list, fmt.Sprintf("%s%s\tclass of CIC-IoT-2023, mean frame %.0f B", prefix, c.Folder, c.MeanFrame()))
	}
	return list
}

// classNames lists what --classes takes.
func classNames() []string {
	list := pairs("all", "every class")
	category := ""
	for _, c := range cic.Classes() {
		if c.Category != category {
			category = c.Category
			list = append(list, category+"\tcategory")
		}
	}
	for _, c := range cic.Classes() {
		list = append(list, c.Folder+"\t"+c.Category)
	}
	return list
}

func (o choices) complete(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if !o.list {
		return withPrefix(o.values, "", toComplete), cobra.ShellCompDirectiveNoFileComp
	}
	before, last := "", toComplete
	if i := strings.LastIndexByte(toComplete, ','); i >= 0 {
		before, last = toComplete[:i+1], toComplete[i+1:]
	}
	taken := strings.Split(before, ",")
	left := slices.DeleteFunc(slices.Clone(o.values), func(v string) bool {
		name, _, _ := strings.Cut(v, "\t")
		return slices.Contains(taken, name) || before != "" && name == "all"
	})
	return withPrefix(left, before, last), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeStages completes stages and, in the value of one that reads a file, files and folders.
func (a *app) completeStages(stages choices) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		at := strings.LastIndexByte(toComplete, ',') + 1
		name, value, valued := strings.Cut(toComplete[at:], "=")
		reads := func(k parse.StageKind) bool { return k.Name == name && k.File != nil }
		if !valued || !slices.ContainsFunc(a.Stages, reads) {
			return stages.complete(c, args, toComplete)
		}
		parent, prefix := filepath.Split(value)
		entries, _ := os.ReadDir(cmp.Or(parent, "."))
		var found []string
		for _, e := range entries {
			switch file := e.Name(); {
			case !strings.HasPrefix(file, prefix) || prefix == "" && file[0] == '.':
			case e.IsDir():
				found = append(found, parent+file+"/")
			default:
				found = append(found, parent+file)
			}
		}
		return withPrefix(found, toComplete[:at]+name+"=", value), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

// withPrefix returns before + v for each v that begins with prefix.
func withPrefix(values []string, before, prefix string) []string {
	var found []string
	for _, v := range values {
		if strings.HasPrefix(v, prefix) {
			found = append(found, before+v)
		}
	}
	return found
}

// captureExtensions are what a shell offers as captures; any file can be given.
var captureExtensions = []string{"pcap", "pcapng", "cap", "gz", "zst"}

// completeCapture offers captures, and synthetic traffic where no capture can be meant and the command takes it, which
// its --seed tells.
func completeCapture(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && strings.HasPrefix(args[0], synthPrefix) {
		return nil, cobra.ShellCompDirectiveNoFileComp // stands alone
	}
	takesSynth := len(args) == 0 && c.Flags().Lookup("seed") != nil
	likeSynth := strings.HasPrefix(toComplete, synthPrefix) || strings.HasPrefix(synthPrefix, toComplete) && !capturesBegin(toComplete)
	if !takesSynth || !likeSynth {
		return captureExtensions, cobra.ShellCompDirectiveFilterFileExt
	}
	return withPrefix(profiles(synthPrefix), "", toComplete), cobra.ShellCompDirectiveNoFileComp
}

// capturesBegin returns whether a capture or a folder here has a name that begins so.
func capturesBegin(prefix string) bool {
	entries, _ := os.ReadDir(".") // what is read before an error counts too
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		name := e.Name()
		return strings.HasPrefix(name, prefix) && (prefix != "" || name[0] != '.') &&
			(e.IsDir() || slices.Contains(captureExtensions, strings.TrimPrefix(filepath.Ext(name), ".")))
	})
}

// completeFolder offers results folders, or folders to look into where none is in sight.
func completeFolder(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return foldersWith(toComplete, report.HeaderFile, report.ClassesFile)
}

// completeRun offers results folders of scenarios.
func completeRun(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return foldersWith(toComplete, report.ScenarioFile)
}

// completeResults offers results folders of any kind.
func completeResults(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	return foldersWith(toComplete, report.HeaderFile, report.ClassesFile, report.ScenarioFile, report.LiveFile)
}

// completeScenario offers scenarios by name, and files where no name begins so.
func completeScenario(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, s := range scenario.Builtin() {
		names = append(names, s.Name+"\t"+s.Doc)
	}
	if found := withPrefix(names, "", toComplete); len(found) > 0 {
		return found, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
}

func foldersWith(toComplete string, headers ...string) ([]string, cobra.ShellCompDirective) {
	parent, prefix := filepath.Split(toComplete)
	entries, _ := os.ReadDir(cmp.Or(parent, "."))
	var found []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if slices.ContainsFunc(headers, func(h string) bool { _, err := os.Stat(filepath.Join(parent, e.Name(), h)); return err == nil }) {
			found = append(found, parent+e.Name())
		}
	}
	if len(found) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
