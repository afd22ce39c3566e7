package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/analysis/report"
	"pcaplab/datasets"
	"pcaplab/parse"
	"pcaplab/replay/split"
)

// splitFlags are the flags of the command split, with the names that tcpprep gives them.
type splitFlags struct {
	split.Config
	auto     string
	port     bool
	services string
	comment  string
	pcap     string
	output   string
	cache    string // --cachefile
	merge    bool
	salvage  bool
	json     bool
	show     [3]string // files of --print-comment, --print-info and --print-stats
}

func (a *app) splitCommand() *cobra.Command {
	var f splitFlags
	c := &cobra.Command{
		Use:   "split [flags] FILE...",
		Short: "Tell client from server, for a replay over two interfaces",
		Long: `Decides for each frame which of two sides sent it, and writes a cache file for '` + a.Name + ` replay -c', '` + a.Name + ` rewrite -c', tcpreplay
and tcprewrite; it is the file that tcpprep makes (version 04). Frames of the client's side leave by the first interface (-i), those of
the server's side by the second (-I). Flags are tcpprep's:

  --auto MODE     by what each host sends; reads the captures twice, but with first. TCP connections opened and DNS queries make a
                  client, connections accepted, DNS answers and ICMP port unreachable make a server. Hosts that sent none of it are
                  clients in mode client, servers in modes server and bridge; in mode router servers where a known server is in their
                  network. Mode first: a host is a client if it is seen first as a source.
  --cidr, --regex, --mac
                  the client's side are frames with a source address that matches (--reverse: that does not)
  --port          the client's side are frames to a server port: below 1024, or those of --services

Frames without an IP header, such as ARP, are on the server's side unless --nonip; where 'rewrite' maps IP addresses in ARP it goes by request and
reply instead. --include and --exclude say what is sent at all:
by networks of the source (S:), the destination (D:), both (B:) or either (E:), or by numbers of packets (P:, from 1).

Several captures are one sequence of frames, one after another or --merge: replay then wants the same captures in the same order. rewrite
takes one capture.`,
		Example: `  ` + a.Name + ` split --auto first capture.pcap -o capture.cache
  ` + a.Name + ` replay -i eth1 -I eth2 -c capture.cache capture.pcap
  ` + a.Name + ` split --auto router --minmask 24 --json capture.pcapng.zst -o capture.cache | jq .guessed
  ` + a.Name + ` split --cidr '192.168.0.0/16,[fe80::/10]' --exclude P:1-100 lan.pcap -o lan.cache   # the LAN leaves by -i
  ` + a.Name + ` split --port --services /etc/services capture.pcap -o capture.cache
  ` + a.Name + ` split --print-stats capture.cache`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.show != [3]string{} {
				if len(args) > 0 || f.pcap != "" || f.output+f.cache != "" {
					return usagef("--print-comment, --print-info and --print-stats read a cache and make none: give no capture and no output")
				}
				var others []string
				c.Flags().Visit(func(flag *pflag.Flag) {
					if !strings.HasPrefix(flag.Name, "print-") && flag.Name != "json" && c.InheritedFlags().Lookup(flag.Name) == nil {
						others = append(others, "--"+flag.Name)
					}
				})
				if len(others) > 0 {
					return usagef("%s: --print-comment, --print-info and --print-stats go with --json only", strings.Join(others, ", "))
				}
				return f.print(a)
			}
			return f.run(c, a, args)
		},
	}
	fs := c.Flags()
	fs.StringVarP(&f.auto, "auto", "a", "", "find out by what hosts send: bridge, router, client, server or first")
	fs.StringVarP(&f.CIDR, "cidr", "c", "", "`networks` joined by commas, as 10.0.0.0/8,[fe80::/10]")
	fs.StringVarP(&f.Regex, "regex", "r", "", "regular `expression` for the text of the source IP address")
	fs.BoolVarP(&f.port, "port", "p", false, "by destination port")
	fs.StringVarP(&f.MAC, "mac", "e", "", "source `MAC`s joined by commas")
	fs.BoolVar(&f.Reverse, "reverse", false, "sources that match are the server's side")
	fs.StringVarP(&f.Include, "include", "x", "", "send only frames of this `rule`: S:, D:, B: or E: and networks, or P: and packets, as P:1-5,9,72-")
	fs.StringVarP(&f.Exclude, "exclude", "X", "", "do not send frames of this `rule`")
	fs.StringVarP(&f.NonIP, "nonip", "N", "", "`side` of frames without IP header: server, or client, which --nonip alone means (default server)")
	fs.Lookup("nonip").NoOptDefVal = split.Client.String()
	fs.StringVarP(&f.Ratio, "ratio", "R", split.DefaultRatio, "of server to client packets that makes a host a server")
	fs.IntVarP(&f.MinMask, "minmask", "m", split.DefaultMinMask, "prefix length of the smallest network that --auto router looks at")
	fs.IntVarP(&f.MaxMask, "maxmask", "M", split.DefaultMaxMask, "and of the largest")
	fs.StringVarP(&f.services, "services", "s", "", "`file` of server ports, in the format of /etc/services")
	fs.StringVarP(&f.comment, "comment", "C", "", "`text` to keep in the cache")
	fs.Bool("no-arg-comment", false, "as with tcpprep; arguments are never kept")
	fs.StringVarP(&f.pcap, "pcap", "i", "", "a capture, as FILE")
	fs.StringVarP(&f.output, "output", "o", "", "cache to write, - for standard output")
	fs.StringVar(&f.cache, "cachefile", "", "the same as --output")
	fs.BoolVar(&f.merge, "merge", false, "several captures in order of capture time")
	fs.BoolVar(&f.salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.StringVarP(&f.show[0], "print-comment", "P", "", "print the comment of a `cache`")
	fs.StringVarP(&f.show[1], "print-info", "I", "", "print the side of each packet of a `cache`")
	fs.StringVarP(&f.show[2], "print-stats", "S", "", "print the counts of a `cache`")
	fs.BoolVar(&f.json, "json", false, "print what was made, or is asked for, as JSON (on standard error with -o -)")
	return c
}

// mode takes the mode from the flags and checks that the others go with it.
func (f *splitFlags) mode(changed func(string) bool) error {
	var modes []string
	for _, m := range []string{"auto", split.ModeCIDR, split.ModeRegex, split.ModePort, split.ModeMAC} {
		if changed(m) {
			modes = append(modes, m)
		}
	}
	if len(modes) != 1 {
		return usagef("want one of --auto, --cidr, --regex, --port and --mac, not %d of them", len(modes))
	}
	f.Mode = modes[0]
	if f.Mode == "auto" {
		if f.Mode = f.auto; !slices.Contains(split.AutoModes, f.auto) {
			return usagef("--auto %s: want %s", f.auto, strings.Join(split.AutoModes, ", "))
		}
	}
	for _, tt := range []struct {
		flag  string
		modes []string
	}{
		{"reverse", []string{split.ModeCIDR, split.ModeRegex, split.ModeMAC}},
		{"ratio", []string{split.ModeBridge, split.ModeRouter, split.ModeClient, split.ModeServer}},
		{"minmask", split.AutoModes}, {"maxmask", split.AutoModes}, // tcpprep takes them with all of these
		{"services", []string{split.ModePort}},
	} {
		if changed(tt.flag) && !slices.Contains(tt.modes, f.Mode) {
			return usagef("--%s does not go with mode %s: it goes with %s", tt.flag, f.Mode, strings.Join(tt.modes, ", "))
		}
	}
	return nil
}

// splitter makes a splitter as the flags say.
func (f *splitFlags) splitter(changed func(string) bool) (*split.Splitter, error) {
	if err := f.mode(changed); err != nil {
		return nil, err
	}
	if f.services != "" {
		file, err := os.Open(f.services)
		if err != nil {
			return nil, err
		}
		f.Services, err = split.ReadServices(file, f.services)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
	}
	s, err := split.New(f.Config)
	if err != nil {
		return nil, usageError{err}
	}
	return s, nil
}

func (f *splitFlags) run(c *cobra.Command, a *app, args []string) error {
	if f.pcap != "" {
		args = append([]string{f.pcap}, args...)
	}
	if f.cache != "" && f.output != "" {
		return usagef("--output and --cachefile are the same: give one")
	}
	if f.cache != "" {
		f.output = f.cache
	}
	splitter, err := f.splitter(c.Flags().Changed)
	switch {
	case err != nil:
		return err
	case len(args) == 0:
		return usagef("no capture: name files, or - for standard input")
	case f.output == "":
		return usagef("no output: -o FILE says where the cache goes")
	case f.output == stdin && isTerminal(a.stdout):
		return usagef("a cache is not for a terminal: -o FILE, or a pipe")
	}
	if err := (&captureFlags{}).check(args); err != nil {
		return err
	}
	if err := a.filesOnly(args); err != nil {
		return err
	}
	if c.Flags().Changed("nonip") && (args[0] == "client" || args[0] == "server") {
		return usagef("--nonip %[1]s: a side is written as --nonip=%[1]s, and a capture of that name as ./%[1]s", args[0])
	}
	for _, path := range args {
		name := path
		if path == stdin {
			name = "standard input (-)"
		} else if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode().IsRegular() {
			continue // what is wrong with it is said where it is opened
		}
		if splitter.Learns() {
			return usagef("--auto %s reads captures twice, and %s can be read once: save it to a file, or take --auto first", f.Mode, name)
		}
	}
	comment := ""
	if c.Flags().Changed("comment") {
		comment = "\n" + f.comment // the place of tcpprep's arguments is empty
	}
	cache, err := split.NewCache(comment)
	if err != nil {
		return usageError{err}
	}
	defer a.interruptible(c.Context(), args, func() {})()
	if err := f.frames(c.Context(), a, args, splitter, cache); err != nil {
		return err
	}
	if cache.Len() == 0 {
		return fmt.Errorf("%s: no packets", strings.Join(args, ", "))
	}
	if f.output == stdin {
		err = cache.Write(a.stdout)
	} else {
		err = report.WriteFile(f.output, cache.Write)
	}
	if err != nil {
		return err
	}
	made := splitSummary{Files: args, Cache: f.output, Mode: f.Mode, Counts: splitter.Counts()}
	if !f.json {
		made.tell(a)
		return nil
	}
	w := a.stdout
	if f.output == stdin {
		w = a.stderr
	}
	return json.NewEncoder(w).Encode(made)
}

// frames reads the captures, twice if the splitter learns.
func (f *splitFlags) frames(ctx context.Context, a *app, args []string, splitter *split.Splitter, cache *split.Cache) error {
	cfg := datasets.SeriesConfig{OpenConfig: datasets.OpenConfig{Salvage: f.salvage, Stdin: a.stdin}, Merge: f.merge, Loops: 1, AsCaptured: true,
		Ended: func(facts datasets.FileFacts) {
			for _, l := range facts.Losses {
				a.note("%s: %v", facts.File, l)
			}
		}}
	if splitter.Learns() {
		cfg.Loops = 2
	}
	series, err := datasets.OpenSeries(args, cfg)
	if err != nil {
		return err
	}
	bar := a.octetsBar("reading")
	defer bar.done()
	var frame parse.Frame
	for i := 0; err == nil; i++ {
		if i&0xffff == 0 {
			if err = ctx.Err(); err != nil {
				break
			}
			bar.set(series.StoredOctets())
		}
		if err = series.Next(&frame); err != nil {
			break
		}
		if series.Loop()+1 < cfg.Loops {
			splitter.Learn(&frame)
		} else {
			cache.Append(splitter.Classify(&frame))
		}
	}
	if err == io.EOF {
		err = nil
	}
	if !f.salvage {
		err = datasets.Explain(err)
	}
	return errors.Join(err, series.Close())
}

// splitSummary is what was made.
type splitSummary struct {
	Files []string `json:"files"`
	Cache string   `json:"cache"`
	Mode  string   `json:"mode"`
	split.Counts
}

func (s *splitSummary) tell(a *app) {
	count := datasets.FormatCount
	a.note("%s packets: %s of the client's side, %s of the server's, %s not sent", count(s.Packets), count(s.Client), count(s.Server), count(s.Skipped))
	if s.NonIP > 0 {
		what := "IP header"
		if s.Mode == split.ModePort {
			what = "TCP or UDP header"
		}
		a.note("%s have no %s: they are on the side that --nonip says", count(s.NonIP), what)
	}
	if s.Guessed > 0 {
		a.note("%s are of hosts that sent nothing to judge them by: they are on the side that mode %s takes then", count(s.Guessed), s.Mode)
	}
}

// printedCache is a cache as JSON.
type printedCache struct {
	File    string   `json:"file"`
	Packets uint64   `json:"packets"`
	Client  uint64   `json:"client"`
	Server  uint64   `json:"server"`
	Skipped uint64   `json:"skipped"`
	Comment string   `json:"comment"`
	Sides   []string `json:"sides,omitempty"` // of each packet: client, server or skipped
}

// print prints what is asked of caches.
func (f *splitFlags) print(a *app) error {
	out := bufio.NewWriter(a.stdout)
	for what, path := range f.show {
		if path == "" {
			continue
		}
		c, err := split.Open(path)
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		p := printedCache{File: path, Packets: c.Len(), Comment: c.Comment()}
		for i := range c.Len() {
			side := "skipped"
			switch {
			case !c.Send(i):
				p.Skipped++
			case c.Side(i) == split.Client:
				p.Client++
				side = split.Client.String()
			default:
				p.Server++
				side = split.Server.String()
			}
			if what == 1 && f.json {
				p.Sides = append(p.Sides, side)
			} else if what == 1 {
				out.WriteString(strconv.FormatUint(i+1, 10) + " " + side + "\n")
			}
		}
		switch {
		case f.json:
			if err := json.NewEncoder(out).Encode(p); err != nil {
				return err
			}
		case what == 0:
			fmt.Fprintln(out, strings.Trim(p.Comment, "\n"))
		case what == 2:
			for _, row := range []struct {
				label string
				n     uint64
			}{{"client", p.Client}, {"server", p.Server}, {"skipped", p.Skipped}, {"packets", p.Packets}} {
				fmt.Fprintf(out, "%-18s %s\n", row.label, strconv.FormatUint(row.n, 10))
			}
		}
	}
	return out.Flush()
}
