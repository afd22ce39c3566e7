package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis/report"
	"pcaplab/replay"
	"pcaplab/replay/rewrite"
	"pcaplab/replay/trial/search"
)

// complete asks as a shell does: the last argument is what is to be completed. It returns the values without their
// descriptions, and the directive.
func complete(t *testing.T, args ...string) (values []string, directive string) {
	t.Helper()
	stdout, _ := run(t, ExitDone, append([]string{"__complete"}, args...)...)
	for _, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if d, ok := strings.CutPrefix(line, ":"); ok {
			return values, d
		}
		value, _, _ := strings.Cut(line, "\t")
		values = append(values, value)
	}
	t.Fatalf("no directive in %q", stdout)
	return nil, ""
}

// What cobra prints as directives.
const (
	anyFile    = "0"
	noFile     = "4"
	noFileList = "6" // and no space behind it, for a comma
	extensions = "8"
	folders    = "16"
)

func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, path := range []string{"before", "after", "other", "runs/deep", "synthetic", "ran"} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"before/" + report.HeaderFile, "after/" + report.HeaderFile, "runs/deep/" + report.HeaderFile, "ran/" + report.ScenarioFile, "notes.txt"} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	captures := strings.Join(captureExtensions, " ")
	for _, tt := range []struct {
		name      string
		args      []string
		want      string // all values, or with ... at the end the first of them
		directive string
	}{
		{"engines", []string{"ceiling", "--engines", ""}, "all direct gopacket-eager ...", noFileList},
		{"an engine begun", []string{"ceiling", "--engines", "gopacket-la"}, "gopacket-lazy gopacket-lazy-nocopy gopacket-layers", noFileList},
		{"a second engine, not the first again, and not all", []string{"sweep", "--engines", "direct,"}, "direct,gopacket-eager ...", noFileList},
		{"an equals sign", []string{"trial", "--engines=dir"}, "direct", noFileList},
		{"no such engine", []string{"trial", "--engines", "libpcap"}, "", noFileList},
		{"stages", []string{"trial", "--stages", ""}, "flow features model=", noFileList},
		{"a stage's value", []string{"trial", "--stages", "features="}, "", noFileList},
		{"a stage's file", []string{"trial", "--stages", "features,model=no"}, "features,model=notes.txt", noFileList},
		{"a stage's file in a folder", []string{"trial", "--stages", "features,model=be"}, "features,model=before/", noFileList},
		{"queues", []string{"ceiling", "--queue", "nic-1"}, "nic-1024", noFile},
		{"caches", []string{"ceiling", "--cache", "hot,"}, "hot,cold hot,as-is", noFileList},
		{"clocks", []string{"ceiling", "--clock", ""}, "warp system cpu", noFile},
		{"feeds", []string{"ceiling", "--feed", ""}, "virtual ring", noFile},
		{"patterns", []string{"ceiling", "--pattern", "b"}, "burst:64", noFile},
		{"units", []string{"ceiling", "--unit", ""}, "pps bit/s", noFile},
		{"stamps", []string{"ceiling", "--stamp", ""}, "due capture", noFile},
		{"searches", []string{"ceiling", "--search", ""}, "mlrsearch rfc2544 none", noFile},
		{"goals", []string{"ceiling", "--goal", "ndr,"}, "ndr,pdr:0.5% ndr,rfc2544 ndr,tst009", noFileList},
		{"sizes", []string{"ceiling", "--sizes", "64,1"}, "64,128 64,1024 64,1280 64,1518", noFileList},
		{"a number", []string{"ceiling", "--repeats", ""}, "", noFile},
		{"free text", []string{"ceiling", "--fail-if", ""}, "", noFile},
		{"a folder to make", []string{"ceiling", "--output", ""}, "", anyFile},
		{"a study to resume", []string{"ceiling", "--resume", ""}, "after before", noFile},
		{"a study further down", []string{"ceiling", "--resume", "runs/"}, "runs/deep", noFile},
		{"a study by its whole path", []string{"ceiling", "--resume", dir + "/bef"}, dir + "/before", noFile},
		{"no study in sight", []string{"ceiling", "--resume", "ru"}, "", folders},
		{"a table", []string{"table", "a"}, "after", noFile},
		{"a table has one folder", []string{"table", "after", ""}, "", noFile},
		{"lines for benchstat", []string{"benchfmt", ""}, "after before", noFile},
		{"profiles", []string{"synth", ""}, "iot-1 syn-60 ...", noFile},
		{"one profile", []string{"synth", "iot-1", ""}, "", noFile},
		{"a capture", []string{"ceiling", ""}, captures, extensions},
		{"a capture or folder that begins as synth does", []string{"ceiling", "synth"}, captures, extensions},
		{"synthetic traffic", []string{"ceiling", "synth:"}, "synth:iot-1 synth:syn-60 ...", noFile},
		{"synthetic traffic, begun", []string{"trial", "synth:syn"}, "synth:syn-60", noFile},
		{"a class as synthetic traffic", []string{"trial", "synth:DDoS-S"}, "synth:DDoS-SYN_Flood synth:DDoS-SlowLoris synth:DDoS-SynonymousIP_Flood", noFile},
		{"synthetic traffic by a flag", []string{"replay", "--synth", "c"}, "cic", noFile},
		{"classes to make", []string{"dataset", "synth", "--classes", "DoS,Mirai-u"}, "DoS,Mirai-udpplain", noFileList},
		{"synthetic traffic stands alone", []string{"ceiling", "synth:iot-1", ""}, "", noFile},
		{"a second capture", []string{"ceiling", "a.pcap", "synth:"}, captures, extensions},
		{"info reads files only", []string{"info", "synth:"}, captures, extensions},
		{"no arguments", []string{"engines", ""}, "", noFile},
		{"a host", []string{"remote", ""}, "", noFile},
		{"a command for a host", []string{"remote", "pi@h", "ce"}, "ceiling", noFile},
		{"synthetic traffic for a host", []string{"remote", "pi@h", "ceiling", "synth:sy"}, "synth:syn-60", noFile},
		{"a flag's name behind a host", []string{"remote", "pi@h", "ceiling", "--sta"}, "--stages --stamp", noFile},
		{"a flag's value behind a host", []string{"remote", "pi@h", "ceiling", "--clock", ""}, "warp system cpu", noFile},
		{"a binary for a host", []string{"remote", "--arch", "armv"}, "armv7 armv6", noFile},
		{"a folder that is not here", []string{"remote", "--dir", ""}, "", noFile},
		{"a command below a command", []string{"board", ""}, "list", noFile},
		{"commands", []string{"swe"}, "sweep", noFile},
		{"a scenario", []string{"scenarios", "run", "seed-"}, "seed-bitrate seed-length seed-ddos", noFile},
		{"a scenario of one's own", []string{"scenarios", "show", "mi"}, "json", extensions},
		{"other programs as engines", []string{"scenarios", "run", "--engines", "direct,dp"}, "direct,dpkt", noFileList},
		{"sides", []string{"scenarios", "run", "--side", "R"}, "RS RA", noFileList},
		{"a run to resume", []string{"scenarios", "run", "--resume", ""}, "ran", noFile},
		{"a table of either", []string{"table", "r"}, "ran", noFile},
		{"results to show", []string{"scenarios", "show", "--results", ""}, "ran", noFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			values, directive := complete(t, tt.args...)
			got := strings.Join(values, " ")
			if want, more := strings.CutSuffix(tt.want, "..."); more && !strings.HasPrefix(got, want) || !more && got != want {
				t.Errorf("offered %q, want %q", got, tt.want)
			}
			if directive != tt.directive {
				t.Errorf("directive %s, want %s", directive, tt.directive)
			}
		})
	}
	if err := os.Remove("synthetic"); err != nil {
		t.Fatal(err)
	}
	if values, _ := complete(t, "ceiling", "sy"); !slices.Contains(values, "synth:iot-1") {
		t.Errorf("no file begins so, and yet no synthetic traffic is offered: %q", values)
	}
}

// What a shell offers must be what the program takes: each value goes through the reader of its flag.
func TestWhatIsOfferedIsTaken(t *testing.T) {
	goal := search.NDR()
	goal.FinalTrialDuration, goal.InitialTrialDuration, goal.DurationSum = time.Second, time.Second, time.Second
	readers := map[string]func(string) error{
		"engine":  func(s string) error { _, err := (&app{Program: program()}).engine(s); return err },
		"queue":   func(s string) error { _, err := replay.ParseQueue(s); return err },
		"clock":   func(s string) error { _, err := replay.NewClock(s); return err },
		"pattern": func(s string) error { _, err := replay.ParsePacer(s, 1000, 1); return err },
		"sizes":   func(s string) error { _, err := rewrite.ParseSizes(s); return err },
		"goal":    func(s string) error { _, err := search.ParseGoals(s, goal); return err },
		"enet-vlan-proto": func(s string) error {
			_, err := rewrite.NewEditor(rewrite.Edits{VLAN: "add", VLANProto: s})
			return err
		},
	}
	a := &app{Program: program()}
	for name, offered := range a.flagChoices() {
		for _, v := range offered.values {
			value, doc, described := strings.Cut(v, "\t")
			if described && doc == "" {
				t.Errorf("--%s %s: empty description", name, value)
			}
			if name == "arch" {
				continue // is the list that remote itself checks against
			}
			switch name {
			case "synth":
				if _, _, err := parseSynth(value); err != nil {
					t.Errorf("--synth %s: %v", value, err)
				}
				continue
			case "classes":
				if _, err := cicClasses([]string{value}); err != nil {
					t.Errorf("--classes %s: %v", value, err)
				}
				continue
			}
			if read := readers[name]; read != nil {
				if err := read(value); err != nil {
					t.Errorf("--%s %s: %v", name, value, err)
				}
				continue
			}
			// The others are checked by the command itself; an unknown value ends it before anything is measured.
			command, path := []string{"ceiling"}, "no-such.pcap"
			switch name {
			case "auto":
				command = []string{"split", "-o", filepath.Join(t.TempDir(), "cache")}
			case "as", "window", "label", "format":
				command, path = []string{"features"}, "DDoS-SYN_Flood/no-such.pcap"
			case "metric":
				command = []string{"compare", "no-such.pcap"}
			}
			if strings.HasSuffix(value, "=") {
				continue // the beginning of one
			}
			code, _, stderr := runIn(t.Context(), strings.NewReader(""), append(command, "--"+name, value, path)...)
			if code != ExitFailed || !strings.Contains(stderr, "no-such.pcap") {
				t.Errorf("--%s %s: exit code %d, %s", name, value, code, stderr)
			}
		}
	}
}

// Every flag that takes a value has a completion, or is a name of a file, in commands that come later too.
func TestEveryFlagHasACompletion(t *testing.T) {
	a := &app{Program: program(), completing: true}
	root := a.root()
	var visit func(c *cobra.Command)
	flags := 0
	visit = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, ok := c.GetFlagCompletionFunc(f.Name); !ok && f.NoOptDefVal == "" && f.Value.Type() != "string" {
				t.Errorf("%s --%s offers files for a value of type %s", c.CommandPath(), f.Name, f.Value.Type())
			}
			flags++
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	if flags < 50 {
		t.Errorf("only %d flags seen", flags)
	}
}

// The scripts hold no values, so that they do not go stale: they ask the program.
func TestCompletionScriptsAskTheProgram(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		stdout, _ := run(t, ExitDone, "completion", shell)
		if !strings.Contains(stdout, "__complete") || strings.Contains(stdout, "gopacket-layers") {
			t.Errorf("the %s script does not ask the program", shell)
		}
		if strings.Contains(stdout, filepath.Dir(os.Args[0])) {
			t.Errorf("the %s script names a path of this machine", shell)
		}
	}
}
