package cli

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"pcaplab/datasets"
	"pcaplab/datasets/arena"
	"pcaplab/datasets/cic"
	"pcaplab/datasets/synth"
	"pcaplab/parse"
	"pcaplab/replay/trial"
)

// captureFlags say how captures are read.
type captureFlags struct {
	salvage     bool
	packets     int
	memoryLimit octetsFlag
	seed        uint64
	synth       string // NAME[:FRAMES] instead of arguments
}

func (c *captureFlags) add(fs *pflag.FlagSet) {
	fs.BoolVar(&c.salvage, "salvage", false, "go on after damage where the next good record can be found; say what was lost")
	fs.Var(packetsFlag(&c.packets), "packets", "read at most this many packets in all, as 5000 or 1e6 (0: all)")
	fs.Var(&c.memoryLimit, "memory-limit", "most memory for captures, as 512MiB or 2G (default: half of what is available)")
	fs.Uint64Var(&c.seed, "seed", 1, "of synthetic traffic and random arrival patterns")
	addSynth(fs, &c.synth)
}

func addSynth(fs *pflag.FlagSet, name *string) {
	fs.StringVar(name, "synth", "", "synthetic traffic instead of FILE, as `NAME[:FRAMES]`: a class of CIC-IoT-2023, cic, iot or a profile of 'synth -h'")
}

// inputs returns the arguments or, in their place, the traffic that --synth names.
func inputs(args []string, name string) ([]string, error) {
	switch {
	case name == "":
		return args, nil
	case len(args) > 0:
		return nil, usagef("--synth %s stands alone: it cannot be joined with %s", name, args[0])
	}
	return []string{synthPrefix + strings.TrimPrefix(name, synthPrefix)}, nil
}

// stdin is the argument that stands for standard input.
const stdin = "-"

// synthPrefix marks an argument that names synthetic traffic.
const synthPrefix = "synth:"

// defaultSynthFrames is the number of frames of synth:PROFILE.
const defaultSynthFrames = 100_000

// check finds what is wrong with the arguments before anything is read.
func (c *captureFlags) check(args []string) error {
	if c.packets < 0 {
		return usagef("--packets %d: want a number, or 0 for all", c.packets)
	}
	inputs := 0
	for _, arg := range args {
		if arg == stdin {
			inputs++
		}
		if strings.HasPrefix(arg, synthPrefix) {
			if len(args) > 1 {
				return usagef("%s stands alone: it cannot be joined with other captures", arg)
			}
			if _, _, err := parseSynth(arg); err != nil {
				return err
			}
		}
	}
	if inputs > 1 {
		return usagef("standard input (-) can be read once")
	}
	return nil
}

// filesOnly refuses synthetic traffic where captures are read as files.
func (a *app) filesOnly(args []string) error {
	for _, arg := range args {
		if strings.HasPrefix(arg, synthPrefix) {
			return usagef("%s is not a file: write it with '%s synth' first", arg, a.Name)
		}
	}
	return nil
}

// interruptible ends the process on a signal while standard input or a pipe is read, which nothing else can interrupt. Nothing
// has been measured then; before tidies up. The function that it returns ends this.
func (a *app) interruptible(ctx context.Context, files []string, before func()) (done func() bool) {
	waits := func(file string) bool {
		info, err := os.Stat(file)
		return file == stdin && a.stdin == os.Stdin || err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket|os.ModeCharDevice) != 0
	}
	if !slices.ContainsFunc(files, waits) {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() {
		before()
		fmt.Fprintf(a.stderr, "%s: interrupted\n", a.Name)
		os.Exit(ExitInterrupted)
	})
}

// load brings captures into memory, one after another.
func (c *captureFlags) load(ctx context.Context, a *app, list []source) (*arena.Frames, []trial.Capture, error) {
	limit := int64(c.memoryLimit)
	if limit == 0 {
		limit = datasets.DefaultMemoryLimit()
	}
	if len(list) == 1 && strings.HasPrefix(list[0].Name, synthPrefix) {
		return c.synthesize(ctx, list[0].Name, limit)
	}
	var files []string
	for _, s := range list {
		files = append(files, s.File)
	}
	defer a.interruptible(ctx, files, func() {})()
	bar := a.octetsBar("reading")
	frames, facts, err := datasets.Load(ctx, files, datasets.LoadConfig{
		OpenConfig: datasets.OpenConfig{Salvage: c.salvage, Hash: true, Stdin: a.stdin}, MemoryLimit: limit, Packets: uint64(c.packets), Progress: bar.set,
	})
	bar.done()
	if err != nil {
		return nil, nil, err
	}
	var captures []trial.Capture
	for i, f := range facts {
		c := trial.Capture{Name: f.File, SHA256: f.SHA256, Frames: f.Packets, Octets: f.Octets, WireOctets: f.WireOctets}
		if list[i].File != list[i].Name {
			c.Name = list[i].Name
		}
		for _, l := range f.Losses {
			c.Losses = append(c.Losses, l.String())
			a.note("%s: %v", c.Name, l)
		}
		captures = append(captures, c)
	}
	if frames.Len() == 0 {
		frames.Close()
		return nil, nil, fmt.Errorf("%s: no packets", strings.Join(files, ", "))
	}
	return frames, captures, nil
}

func (c *captureFlags) synthesize(ctx context.Context, arg string, limit int64) (*arena.Frames, []trial.Capture, error) {
	profile, n, err := parseSynth(arg)
	if err != nil {
		return nil, nil, err
	}
	if c.packets > 0 {
		n = min(n, c.packets)
	}
	frames, err := synth.Build(ctx, profile, c.seed, n, limit)
	if err != nil {
		return nil, nil, err
	}
	return frames, []trial.Capture{{
		Name: fmt.Sprintf("%s%s:%d", synthPrefix, profile, n), SHA256: sumFrames(frames),
		Frames: uint64(frames.Len()), Octets: frames.Octets(), WireOctets: frames.WireOctets(),
	}}, nil
}

// parseSynth reads synth:NAME[:FRAMES]. The profile is the one that synth.New knows, however the user spells it.
func parseSynth(arg string) (profile string, frames int, err error) {
	name, count, counted := strings.Cut(strings.TrimPrefix(arg, synthPrefix), ":")
	frames = defaultSynthFrames
	if counted {
		if frames, err = strconv.Atoi(count); err != nil || frames < 1 {
			return "", 0, usagef("%s: %q is not a number of frames", arg, count)
		}
	}
	profile, err = synthName(name)
	if err != nil {
		return "", 0, usagef("%s: %w", arg, err)
	}
	return profile, frames, nil
}

// Names of synthetic traffic beside the profiles and the classes of CIC-IoT-2023.
const (
	trafficCIC = "cic" // all classes, by their real shares of packets
	trafficIoT = "iot" // the default profile
)

// synthName returns the name by which synth.New knows traffic: a profile, a class in any spelling of either release, or cic.
func synthName(name string) (string, error) {
	var names []string
	for _, p := range synth.Profiles() {
		if strings.EqualFold(p.Name, name) {
			return p.Name, nil
		}
		names = append(names, p.Name)
	}
	switch {
	case strings.EqualFold(name, trafficCIC):
		return trafficCIC, nil
	case strings.EqualFold(name, trafficIoT):
		return synth.Profiles()[0].Name, nil
	case strings.ContainsAny(name, `/\`): // a path, in which Find looks for a class
	default:
		if class, ok := cic.Find(name); ok {
			return class.Folder, nil
		}
	}
	return "", fmt.Errorf("no traffic %q: there are %s, cic, iot, and the classes of CIC-IoT-2023 as DDoS-SYN_Flood ('synth -h' lists them)%s", name,
		strings.Join(names, ", "), nearClasses(name))
}

// sumFrames is the SHA-256 of time, wire length, link type, length and octets of each frame, little-endian.
func sumFrames(fr *arena.Frames) string {
	sum := sha256.New()
	var f parse.Frame
	var head [18]byte
	for i := range fr.Len() {
		fr.Frame(i, &f)
		binary.LittleEndian.PutUint64(head[0:], uint64(f.UnixNano))
		binary.LittleEndian.PutUint32(head[8:], uint32(f.WireLen))
		binary.LittleEndian.PutUint16(head[12:], uint16(f.Link))
		binary.LittleEndian.PutUint32(head[14:], uint32(len(f.Data)))
		sum.Write(head[:])
		sum.Write(f.Data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// octetsFlag is a flag for a size in octets.
type octetsFlag int64

func (o *octetsFlag) String() string { return strconv.FormatInt(int64(*o), 10) }
func (o *octetsFlag) Type() string   { return "size" }
func (o *octetsFlag) Set(s string) error {
	digits := strings.TrimRight(s, "kKmMgGtTiIbB")
	factor, ok := map[string]float64{
		"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
		"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40,
	}[strings.ToLower(s[len(digits):])]
	v, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(v >= 0) || v*factor >= 1<<62 {
		return fmt.Errorf("%q is not a size such as 64KiB, 512MiB or 2G", s)
	}
	*o = octetsFlag(v * factor)
	return nil
}
