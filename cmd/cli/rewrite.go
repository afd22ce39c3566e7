package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pcaplab/datasets"
	"pcaplab/datasets/pcapio"
	"pcaplab/parse"
	"pcaplab/replay/rewrite"
)

// editFlags say what to change in frames, with the names that tcprewrite gives its flags.
type editFlags struct {
	set                    rewrite.Edits
	tos, tclass, flowlabel givenFlag
	ports                  []string
	flags                  *pflag.FlagSet
}

// add adds the flags, with the shorthands of tcprewrite if short; --sizes and --mtu not where fs has them already.
func (e *editFlags) add(fs *pflag.FlagSet, short bool) {
	letter := func(s string) string {
		if short {
			return s
		}
		return ""
	}
	e.flags = fs
	s := &e.set
	fs.BoolVarP(&s.EFCS, "efcs", letter("E"), false, "drop the last 4 octets of Ethernet frames: an FCS that the capture kept; not where the packet reaches into them")
	fs.StringVar(&s.DLT, "dlt", "", "`enet` makes Ethernet frames of raw IP, loopback and cooked ones; needs --enet-dmac, and --enet-smac")
	fs.StringVarP(&s.FixLen, "fixlen", letter("F"), "", "frames cut by the snaplen: `pad` with zeros, trunc (lengths in headers follow) or del")
	if fs.Lookup("mtu") == nil {
		fs.IntVarP(&s.MTU, "mtu", letter("m"), 0, "`octets` of a packet, for --mtu-trunc (default 1500) and --fixlen=pad (default no limit)")
	}
	fs.BoolVar(&s.MTUTrunc, "mtu-trunc", false, "cut the payload of packets above the MTU")
	fs.StringVar(&s.VLAN, "enet-vlan", "", "`add` a VLAN tag outside of those there, or del the outermost")
	fs.IntVar(&s.VLANTag, "enet-vlan-tag", 0, "identifier of the added tag")
	fs.IntVar(&s.VLANCFI, "enet-vlan-cfi", 0, "drop eligible (CFI) bit of the added tag")
	fs.IntVar(&s.VLANPri, "enet-vlan-pri", 0, "priority of the added tag")
	fs.StringVar(&s.VLANProto, "enet-vlan-proto", "", "`type` of the added tag: 802.1q (default) or 802.1ad")
	fs.StringVar(&s.DestMAC, "enet-dmac", "", "destination `MAC`, or two joined by a comma: of frames from the client and from the server")
	fs.StringVar(&s.SourceMAC, "enet-smac", "", "source `MAC`, or two, likewise")
	fs.StringArrayVar(&s.SubstituteMAC, "enet-subsmac", nil, "replace a MAC, wherever: `OLD,NEW`; may be repeated")
	fs.Var((*seedFlag)(&s.MACSeed), "enet-mac-seed", "permute MACs by this seed, group addresses aside")
	fs.IntVar(&s.MACKeep, "enet-mac-seed-keep-bytes", 0, "first octets of a MAC that --enet-mac-seed keeps")
	fs.BoolVar(&s.SkipL2Broadcast, "skipl2broadcast", false, "broadcast and multicast MACs stay")
	fs.StringArrayVarP(&s.PNAT, "pnat", letter("N"), nil, "map networks: `CIDR:CIDR,...`, IPv6 as [CIDR]:[CIDR]; given twice: of clients and of servers")
	fs.VarP((*onceFlag)(&s.SrcIPMap), "srcipmap", letter("S"), "as --pnat, of source addresses only (`CIDR:CIDR,...`)")
	fs.VarP((*onceFlag)(&s.DstIPMap), "dstipmap", letter("D"), "as --pnat, of destination addresses only (`CIDR:CIDR,...`)")
	fs.StringVarP(&s.Endpoints, "endpoints", letter("e"), "", "all traffic between two addresses: `CLIENT:SERVER`, IPv6 in brackets")
	fs.VarP((*seedFlag)(&s.RandomizeIP), "randomize-ip", letter("s"), "permute IP addresses by this seed: distinct ones stay distinct")
	fs.BoolVarP(&s.SkipBroadcast, "skipbroadcast", letter("b"), false, "broadcast and multicast IP addresses stay")
	fs.StringVar(&s.TTL, "ttl", "", "time to live and hop limit: `N`, +N or -N, within 1 to 255")
	fs.Var(&e.tos, "tos", "type of service octet of IPv4")
	fs.Var(&e.tclass, "tclass", "traffic class of IPv6")
	fs.Var(&e.flowlabel, "flowlabel", "flow label of IPv6")
	fs.StringArrayVarP(&e.ports, "portmap", letter("r"), nil, "map TCP and UDP ports: `80:8080`, 8000-8999:80 or 1,2,3:4, joined by commas")
	fs.Var((*seedFlag)(&s.TCPSequence), "tcp-sequence", "shift TCP sequence and acknowledgement numbers by an amount made of this seed")
	fs.Var((*seedFlag)(&s.FuzzSeed), "fuzz-seed", "damage payloads at random by this seed, and lose frames")
	fs.IntVar(&s.FuzzFactor, "fuzz-factor", 0, "damage one frame in `N` (default 8)")
	fs.BoolVar(&s.FixHdrLen, "fixhdrlen", false, "IP and UDP lengths that are 0 or above the frame become what it holds; checksums that cover them stay: add --fixcsum")
	fs.BoolVarP(&s.FixCsum, "fixcsum", letter("C"), false, "compute IPv4, TCP, UDP, ICMP and ICMPv6 checksums anew")
	if fs.Lookup("sizes") == nil {
		fs.StringVar(&s.Sizes, "sizes", "", "resize frames last: a `size` with FCS, as 512, or a mixture, as imix")
	}
	fs.BoolVar(&s.SkipSoftErrors, "skip-soft-errors", false, "leave out frames in which an edit cannot be made")
}

// edits returns what was asked for, or a usage error that names all faults.
func (e *editFlags) edits() (rewrite.Edits, error) {
	if e.flags != nil {
		if err := notZero(e.flags, "fuzz-factor"); err != nil {
			return rewrite.Edits{}, err
		}
	}
	s := e.set
	s.TOS, s.TClass, s.FlowLabel = e.tos.n, e.tclass.n, e.flowlabel.n
	s.PortMap = strings.Join(e.ports, ",")
	if _, err := rewrite.NewEditor(s); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// givenFlag is a number that may be 0, or not given.
type givenFlag struct{ n *int }

func (g *givenFlag) Type() string { return "number" }
func (g *givenFlag) String() string {
	if g.n == nil {
		return ""
	}
	return strconv.Itoa(*g.n)
}
func (g *givenFlag) Set(s string) error {
	digits, base := s, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseInt(digits, base, 32)
	if err != nil {
		return fmt.Errorf("%q is not a number", s)
	}
	g.n = new(int)
	*g.n = int(n)
	return nil
}

// onceFlag is a text that a second one must not replace without a word.
type onceFlag string

func (f *onceFlag) Type() string   { return "string" }
func (f *onceFlag) String() string { return string(*f) }
func (f *onceFlag) Set(s string) error {
	switch {
	case s == "":
		return errors.New("want a value")
	case *f != "":
		return errors.New("given twice: join the values by a comma")
	}
	*f = onceFlag(s)
	return nil
}

// seedFlag is a seed that asks for something.
type seedFlag uint64

func (f *seedFlag) Type() string { return "seed" }
func (f *seedFlag) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*f), 10)
}
func (f *seedFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a seed: want a number above 0", s)
	}
	*f = seedFlag(n)
	return nil
}

// editHelp says what editing does, for commands that take editFlags.
const editHelp = `Edits are made in this order: --efcs, --dlt, --enet-vlan, MACs, --fixlen, --mtu-trunc, addresses, --ttl, --tos, --tclass, --flowlabel,
--portmap, --tcp-sequence, fuzzing, --fixhdrlen, --fixcsum, --sizes. They concern the outermost IP header, also under VLAN tags, MPLS labels and
PPPoE. Checksums follow by the difference, so that a wrong one stays as wrong as it was; --fixcsum computes them anew. A frame in which an
edit cannot be made (cut, malformed, a fragment) gets the others and is counted by the reason, or left out with --skip-soft-errors. --fuzz-seed
leaves frames alone that have no payload of their own.`

func (a *app) rewriteCommand() *cobra.Command {
	var flags editFlags
	var r rewriting
	c := &cobra.Command{
		Use:   "rewrite [flags] IN OUT",
		Short: "Change addresses, ports, tags, lengths and checksums in a capture",
		Long: `Writes the frames of a capture with changes: what tcprewrite does, with its flag names, for every format that is read here. "-" is
standard input or output. OUT is pcap or pcapng by its name (else as IN is) or as --format says, compressed by its name (.gz, .zst), with the times of
IN, and is written whole or not at all; it may be IN. Comments, interface names and other options of pcapng are not kept. Without an edit OUT is a copy.
A capture that is damaged in the middle gives the frames before the damage, and exit code 1.

` + editHelp + `

Of paired values the first is for frames that the client sends, the second for those of the server. Who sends a frame is told by a cache
file (--cachefile; see '` + a.Name + ` split'). Frames that it marks as not to be sent stay as they are, but for --dlt and the MACs that it
needs, so that it is of OUT too. ARP requests count as the client's and replies as the server's where IP addresses are mapped, whoever sends
them; for MACs the cache file decides about ARP as well, and 'split' puts it on the side of --nonip.

--seed of tcprewrite is --randomize-ip here, and --seed is taken too. The same seed gives the same addresses in every run and capture; it is no
anonymization. Unicast stays unicast and multicast stays multicast; loopback, 0.0.0.0/8, 240.0.0.0/4 and ::/8 stay as they are.`,
		Example: `  ` + a.Name + ` rewrite --pnat 192.168.0.0/16:10.77.0.0/16 --enet-dmac 02:00:00:00:00:01 in.pcap out.pcap
  ` + a.Name + ` rewrite --endpoints '10.0.0.1:10.0.0.2,[fd00::1]:[fd00::2]' -c in.cache in.pcap out.pcap
  ` + a.Name + ` rewrite --randomize-ip 7 --enet-mac-seed 7 --fixlen=trunc --fixcsum in.pcapng.zst out.pcapng
  ` + a.Name + ` rewrite --dlt=enet --enet-dmac 02:00:00:00:00:02 --enet-smac 02:00:00:00:00:01 tun.pcap eth.pcap
  ` + a.Name + ` rewrite --portmap 80:8080,8000-8999:443 --ttl=-1 --json in.pcap out.pcap | jq .edited
  zcat in.pcap.gz | ` + a.Name + ` rewrite --enet-vlan=add --enet-vlan-tag 7 --sizes 512 - - | tcpdump -nr - -c 3`,
		RunE: func(c *cobra.Command, args []string) error {
			edits, err := flags.edits()
			if err != nil {
				return err
			}
			return r.run(c.Context(), a, edits, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			switch len(args) {
			case 0:
				return captureExtensions, cobra.ShellCompDirectiveFilterFileExt
			case 1:
				return nil, cobra.ShellCompDirectiveDefault
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	fs := c.Flags()
	flags.add(fs, true)
	fs.StringVarP(&r.cachefile, "cachefile", "c", "", "cache `file` of 'split' or tcpprep that tells who sends each frame")
	fs.StringVar(&r.format, "format", "", "pcap or pcapng (default: by the name of OUT, else as IN)")
	fs.BoolVar(&r.salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.BoolVar(&r.json, "json", false, "print what was done as a JSON object")
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "seed" {
			name = "randomize-ip"
		}
		return pflag.NormalizedName(name)
	})
	format := choices{values: []string{pcapio.Pcap, pcapio.PcapNG}}
	if err := a.offerFor(c, "format", format.complete); err != nil {
		panic(err) // the flag is there, a few lines up
	}
	return c
}

// rewriting is one run of the rewrite command.
type rewriting struct {
	cachefile, format string
	salvage, json     bool
}

// rewritten is what --json prints.
type rewritten struct {
	In        string `json:"in"`
	Out       string `json:"out"`
	Container string `json:"container"` // of out
	rewrite.EditReport
	NotSent uint64   `json:"not_sent,omitempty"` // frames that the cache file excludes: as they were, but for --dlt; counted above under none
	Losses  []string `json:"losses,omitempty"`   // what salvage had to leave out, in words
	Error   *string  `json:"error"`              // the damage that ended IN early
}

func (r *rewriting) run(ctx context.Context, a *app, edits rewrite.Edits, args []string) error {
	switch {
	case len(args) != 2:
		return usagef("want two files, IN and OUT; - is standard input or output")
	case args[1] == stdin && r.json:
		return usagef("--json is printed where the capture would go: name a file for OUT")
	case args[1] == stdin && isTerminal(a.stdout):
		return usagef("a capture is not for a terminal: name a file, or a pipe")
	case r.format != "" && r.format != pcapio.Pcap && r.format != pcapio.PcapNG:
		return usagef("--format %s: want %s or %s", r.format, pcapio.Pcap, pcapio.PcapNG)
	}
	if err := (&captureFlags{}).check(args[:1]); err != nil {
		return err
	}
	if err := a.filesOnly(args[:1]); err != nil {
		return err
	}
	if flags := edits.Sided(); flags != "" && r.cachefile == "" {
		return usagef("%s: there is a value for each side, and only --cachefile tells who sends a frame (see '%s split -h')", flags, a.Name)
	}
	ed, err := rewrite.NewEditor(edits)
	if err != nil {
		return err
	}
	who, err := openSides(r.cachefile)
	if err != nil {
		return err
	}
	defer a.interruptible(ctx, args[:1], func() {})()
	in, err := datasets.Open(args[0], datasets.OpenConfig{Salvage: r.salvage, Stdin: a.stdin})
	if err != nil {
		return err
	}
	defer in.Close()
	bar := a.octetsBar("rewriting")
	done := rewritten{In: args[0], Out: args[1], Container: r.format}
	if done.Container == "" {
		done.Container = cmp.Or(containerByName(args[1]), in.Container())
	}
	plain, err := rewrite.NewEditor(plainEdits(&edits))
	if err != nil {
		return err
	}
	var damage error
	var frames uint64
	write := func(w io.Writer) error {
		frames, damage, err = rewriteFrames(ctx, in, w, done.Container, ed, plain, who, bar)
		return err
	}
	if args[1] == stdin {
		err = write(a.stdout)
	} else {
		err = writeCaptureFile(args[1], write)
	}
	bar.done()
	if err != nil {
		return err
	}
	done.EditReport = ed.Report()
	done.NotSent = frames - done.Frames
	for _, l := range in.Losses() {
		done.Losses = append(done.Losses, l.String())
		a.note("%s: %v", args[0], l)
	}
	if behind := in.Behind(); behind != "" {
		a.note("%s: %s", args[0], behind)
	}
	if damage != nil {
		if !r.salvage {
			damage = datasets.Explain(damage)
		}
		damage = fmt.Errorf("%w; the %d frames before it are in %s", damage, frames-done.Deleted-plain.Report().Deleted, args[1])
		text := damage.Error()
		done.Error = &text
	}
	if r.json {
		err = json.NewEncoder(a.stdout).Encode(done)
	} else {
		a.note("%s: %s", args[1], done.EditReport)
		if done.NotSent > 0 {
			a.note("%s: %d frames that %s excludes are as they were", args[1], done.NotSent, r.cachefile)
		}
	}
	return errors.Join(damage, err)
}

// plainEdits returns the edits of frames that are not to be sent: what a conversion of the link type needs, for OUT has one.
func plainEdits(e *rewrite.Edits) rewrite.Edits {
	if e.DLT == "" {
		return rewrite.Edits{}
	}
	return rewrite.Edits{DLT: e.DLT, DestMAC: e.DestMAC, SourceMAC: e.SourceMAC, SkipSoftErrors: e.SkipSoftErrors}
}

// rewriteFrames writes the frames of in to w with the edits, plain to those that are not to be sent, and returns how many there
// were. Damage of in ends it as its end does.
func rewriteFrames(ctx context.Context, in *datasets.Capture, w io.Writer, container string, ed, plain *rewrite.Editor, who *sides, bar *bar) (n uint64, damage, err error) {
	var out *pcapio.Writer
	begin := func(link parse.LinkType) error {
		to := ed.LinkOut(link)
		cfg := pcapio.WriterConfig{Container: container, Nano: true, Link: to, LinkNull: to == parse.LinkNull}
		if container == pcapio.Pcap {
			// Of a pcapng a finer interface may come later.
			cfg.Nano = in.Container() == pcapio.PcapNG || in.Described().Resolution > 6
		}
		if n := in.Facts().Snaplen; n > 262144 {
			cfg.Snaplen = min(n, pcapio.MaxFrame)
		}
		out, err = pcapio.NewWriter(w, cfg)
		return err
	}
	size, _ := in.Size()
	var f parse.Frame
	var last parse.LinkType
	for ; ; n++ {
		if n&0xffff == 0 {
			if err := ctx.Err(); err != nil {
				return n, nil, err
			}
			bar.set(in.StoredOctets(), size)
		}
		if err := in.Next(&f); err == io.EOF {
			break
		} else if fault := (*pcapio.FormatError)(nil); errors.As(err, &fault) {
			damage = err
			break
		} else if err != nil {
			return n, nil, err
		}
		if n == 0 || f.Link != last {
			last = f.Link
			if err := ed.CheckLink(last); err != nil {
				return n, nil, fmt.Errorf("%s: frame %d: %w", in.Name(), n+1, err)
			}
		}
		if n == 0 {
			if err := begin(f.Link); err != nil {
				return n, nil, err
			}
		}
		fromServer, sent, err := who.of(n, in.Name())
		if err != nil {
			return n, nil, err
		}
		if to := ed.LinkOut(f.Link); sent || f.Link != to {
			by := ed
			if !sent {
				by = plain
			}
			o := by.Edit(&f, &f, fromServer)
			if o == rewrite.Deleted {
				continue
			}
			if f.Link != to {
				return n, nil, fmt.Errorf("%s: frame %d cannot become an Ethernet frame (%s): --skip-soft-errors leaves such frames out", in.Name(),
					n+1, strings.ReplaceAll(o.String(), "_", " "))
			}
		}
		if err := out.WriteFrame(&f); err != nil {
			return n, nil, err
		}
	}
	if err := who.end(n, damage, in.Name()); err != nil {
		return n, nil, err
	}
	if out == nil {
		if err := begin(in.Described().Link); err != nil {
			return n, nil, err
		}
	}
	return n, damage, out.Close()
}
