package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// mode is what the receiver looks at in a case.
type mode string

const (
	topSpeed  mode = "top speed"
	paced     mode = "paced"
	recorded  mode = "recorded timing"
	integrity mode = "integrity"
)

// benchCase is one thing to compare the sides in.
type benchCase struct {
	name     string
	mode     mode
	captures []capture // sent one after another
	loops    int       // passes over them
	gapNs    float64   // of a paced case: what the rate asks for
	sides    []side
	bars     []bar
}

// packets returns how many frames a run sends.
func (k *benchCase) packets() int {
	n := 0
	for _, c := range k.captures {
		n += c.frames
	}
	return n * k.loops
}

// side is a program with its flags; FILE stands for the captures and IFACE for the interface.
type side struct {
	name string
	ours bool
	argv []string
}

// bar is what is compared, and what is asked for. Without a limit the comparison is printed only.
type bar struct {
	metric string
	ours   string // a side; "best" is the one of ours with the highest median of seen_pps
	peer   string // a side; "" judges the size of our own figure
	most   bool   // the limit is the most that is allowed, not the least
	limit  float64
}

// least and most are comparisons with a peer: of our figure, divided by its own.
func least(metric, ours, peer string, limit float64) bar {
	return bar{metric, ours, peer, false, limit}
}
func most(metric, ours, peer string, limit float64) bar { return bar{metric, ours, peer, true, limit} }

// within bounds the size of our own figure.
func within(metric, ours string, limit float64) bar { return bar{metric, ours, "", true, limit} }

// Names of sides; best stands for one of ours.
const (
	debian = "tcpreplay"
	nano   = "tcpreplay nano"
	gtod   = "tcpreplay gtod"
	newer  = "newer"
	plain  = "pcaplab"
	spin   = "pcaplab spin"
	xdp    = "pcaplab xdp"
	mmsg   = "pcaplab sendmmsg"
	best   = "best"
)

var none = math.NaN()

func (c *config) allCases() []benchCase {
	frames, seconds := 1_000_000, 10.0
	if c.quick {
		frames, seconds = 100_000, 2
	}
	var cases []benchCase
	for _, size := range []int{64, 512, 1400} {
		cases = append(cases, c.topSpeedCase(size, frames))
	}
	for _, pps := range []int{1000, 10_000, 100_000} {
		n := int(float64(pps) * seconds)
		k := c.pacedCase(fmt.Sprintf("pps-%d", pps), []string{"-p", strconv.Itoa(pps)}, capture{size: 64, frames: n}, 1e9/float64(pps))
		if pps == 1000 {
			k.bars = append(k.bars, within("cpu_percent", plain, 15))
		}
		if pps == 100_000 {
			k.bars = append(k.bars, within("median_gap_off_ns", plain, 1000), within("median_gap_off_ns", spin, 1000))
		}
		cases = append(cases, k)
	}
	for _, mbps := range []int{10, 100} {
		film := capture{size: 512}
		gap := float64(8*film.octets()) * 1000 / float64(mbps)
		film.frames = int(seconds * 1e9 / gap)
		cases = append(cases, c.pacedCase(fmt.Sprintf("mbps-%d", mbps), []string{"-M", strconv.Itoa(mbps)}, film, gap))
	}
	whole := capture{size: 64, frames: frames / 10, bursty: true}
	third := capture{size: 64, frames: frames / 30, bursty: true}
	cases = append(cases,
		c.recordedCase("recorded", 1, whole),
		c.recordedCase("recorded-loops", 3, third),
		c.recordedCase("recorded-files", 1, whole.part(0, 3), whole.part(1, 3), whole.part(2, 3)))
	for _, size := range []int{64, 1400} {
		cases = append(cases, c.integrityCase(size, frames/5))
	}
	return cases
}

// peerSide and ourSide write down what is run. In a control run the peer takes our place.
func (c *config) peerSide(name, program string, flags ...string) side {
	argv := append([]string{program, "-i", "IFACE", "-q", "--no-flow-stats", "-K"}, flags...)
	return side{name: name, argv: append(argv, "FILE")}
}

func (c *config) ourSide(name string, flags, control []string) side {
	if c.control {
		s := c.peerSide(name, c.peer, control...)
		s.ours = true
		return s
	}
	argv := append([]string{c.pcaplab, "replay", "-i", "IFACE", "-q", "--no-flow-stats", "-K"}, flags...)
	return side{name: name, ours: true, argv: append(argv, "FILE")}
}

func (c *config) topSpeedCase(size, frames int) benchCase {
	top := []string{"-t"}
	k := benchCase{name: fmt.Sprintf("top-%d", size), mode: topSpeed, loops: 1, captures: []capture{{size: size, frames: frames}}}
	k.sides = []side{
		c.peerSide(debian, c.peer, top...),
		c.ourSide(xdp, []string{"-t", "--backend=xdp"}, top),
		c.ourSide(mmsg, []string{"-t", "--backend=sendmmsg"}, top),
	}
	fast := none
	switch size {
	case 64:
		fast = 1.6
	case 1400:
		fast = 1.3
	}
	for _, metric := range []string{"seen_pps", "said_pps"} {
		k.bars = append(k.bars, least(metric, best, debian, fast), least(metric, mmsg, debian, 1.1))
	}
	k.bars = append(k.bars, most("cpu_ns", best, debian, 0.75), most("cpu_ns", mmsg, debian, none))
	if c.newer != "" {
		k.sides = append(k.sides, c.peerSide(newer, c.newer, "-t"),
			c.peerSide(newer+" xdp", c.newer, "-t", "--xdp", "--xdp-batch-size=64"))
		k.bars = append(k.bars, least("seen_pps", best, newer+" xdp", 1), least("said_pps", best, newer+" xdp", 1),
			least("seen_pps", best, newer, none), most("cpu_ns", best, newer+" xdp", none))
	}
	return k
}

// pacedSides are our ways to wait beside those of tcpreplay that they are measured by.
func (c *config) pacedSides(flags ...string) []side {
	with := func(more ...string) []string { return slices.Concat(flags, more) }
	sides := []side{
		c.peerSide(nano, c.peer, with("-T", "nano")...),
		c.ourSide(plain, with(), with("-T", "nano")),
		c.peerSide(gtod, c.peer, with("-T", "gtod")...),
		c.ourSide(spin, with("--spin=on"), with("-T", "gtod")),
	}
	if c.newer != "" {
		sides = append(sides, c.peerSide(newer+" nano", c.newer, with("-T", "nano")...),
			c.peerSide(newer+" gtod", c.newer, with("-T", "gtod")...))
	}
	return sides
}

func (c *config) pacedCase(name string, rate []string, film capture, gapNs float64) benchCase {
	return benchCase{name: name, mode: paced, loops: 1, gapNs: gapNs, captures: []capture{film}, sides: c.pacedSides(rate...),
		bars: []bar{
			within("rate_ppm", plain, 10), within("rate_ppm", spin, 10),
			most("gap_p50_ns", plain, nano, 1), most("gap_p90_ns", plain, nano, 1), most("gap_p99_ns", plain, nano, 1),
			most("cpu_percent", plain, nano, 1),
			most("gap_p50_ns", spin, gtod, 1), most("gap_p90_ns", spin, gtod, none), most("gap_p99_ns", spin, gtod, 1),
		}}
}

func (c *config) recordedCase(name string, loops int, films ...capture) benchCase {
	var flags []string
	if loops > 1 {
		flags = append(flags, "-l", strconv.Itoa(loops))
	}
	return benchCase{name: name, mode: recorded, loops: loops, captures: films, sides: c.pacedSides(flags...),
		bars: []bar{
			within("drift_ns", plain, 100_000), within("drift_ns", spin, 100_000),
			most("late_p99_ns", plain, nano, none), most("late_p99_ns", spin, gtod, none), most("cpu_percent", plain, nano, none),
		}}
}

func (c *config) integrityCase(size, frames int) benchCase {
	top := []string{"-t"}
	k := benchCase{name: fmt.Sprintf("integrity-%d", size), mode: integrity, loops: 1, captures: []capture{{size: size, frames: frames}},
		sides: []side{c.peerSide(debian, c.peer, top...)}}
	for _, backend := range []string{"xdp", "sendmmsg", "txring", "sendto"} {
		name := "pcaplab " + backend
		k.sides = append(k.sides, c.ourSide(name, []string{"-t", "--backend=" + backend}, top))
		k.bars = append(k.bars, within("faults", name, 0))
	}
	return k
}

// command puts the interface and the captures into what a side runs.
func (s *side) command(iface string, k *benchCase, made *captures) []string {
	var argv []string
	for _, a := range s.argv {
		if a == "FILE" {
			for _, film := range k.captures {
				argv = append(argv, made.path(film))
			}
			continue
		}
		argv = append(argv, strings.ReplaceAll(a, "IFACE", iface))
	}
	return argv
}

// number returns the number of frame i of a run.
func (k *benchCase) number(i int) int {
	i %= k.packets() / k.loops
	for _, c := range k.captures {
		if i < c.frames {
			return c.first + i
		}
		i -= c.frames
	}
	return -1
}

// passes returns when the frames of a run were captured, in nanoseconds, for each file of each pass.
func (k *benchCase) passes() [][]int64 {
	var passes [][]int64
	for range k.loops {
		for _, c := range k.captures {
			pass := make([]int64, 0, c.frames)
			for _, us := range c.times() {
				pass = append(pass, us*1000)
			}
			passes = append(passes, pass)
		}
	}
	return passes
}

func writeList(w io.Writer, cases []benchCase) {
	for _, k := range cases {
		fmt.Fprintln(w, k.title())
		for _, s := range k.sides {
			fmt.Fprintf(w, "  %-16s %s\n", s.name, strings.Join(s.argv, " "))
		}
		for _, b := range k.bars {
			fmt.Fprintf(w, "  bar: %s\n", b)
		}
	}
}

// title says what a case is in one line.
func (k *benchCase) title() string {
	t := fmt.Sprintf("%s: %s, %d frames of %d octets with FCS (%d in the capture)", k.name, k.mode, k.packets(),
		k.captures[0].size, k.captures[0].octets())
	if k.gapNs > 0 {
		t += fmt.Sprintf(", one each %.3f us", k.gapNs/1000)
	}
	if len(k.captures) > 1 {
		t += fmt.Sprintf(", in %d files", len(k.captures))
	}
	if k.loops > 1 {
		t += fmt.Sprintf(", in %d passes", k.loops)
	}
	return t
}
