package prediction

import (
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

//go:embed instructions.tsv
var instructionsTSV string

// count is instructions per packet of an engine on a traffic.
type count struct{ arch, engine, traffic string }

// counts are the table: instructions by architecture, engine and traffic, and the engines and traffics in its order.
type counts struct {
	of                map[count]float64
	engines, traffics []string
}

// parseCounts reads the table; it is part of the program, and a test reads it.
func parseCounts(text string) (*counts, error) {
	c := &counts{of: make(map[count]float64)}
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "architecture\t") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("instructions.tsv:%d: %d fields, want 4", i+1, len(f))
		}
		n, err := strconv.ParseFloat(f[3], 64)
		if err != nil || !(n > 0) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("instructions.tsv:%d: %q is no number of instructions", i+1, f[3])
		}
		c.of[count{f[0], f[1], f[2]}] = n
		if !slices.Contains(c.engines, f[1]) {
			c.engines = append(c.engines, f[1])
		}
		if !slices.Contains(c.traffics, f[2]) {
			c.traffics = append(c.traffics, f[2])
		}
	}
	return c, nil
}

var table = sync.OnceValue(func() *counts {
	c, err := parseCounts(instructionsTSV)
	if err != nil {
		panic(err) // the file is part of the program, and tested
	}
	return c
})

// Architectures returns those that instructions were counted for.
func Architectures() []string { return []string{"arm64", "armv7", "armv6"} }

// Engines returns those that instructions were counted of.
func Engines() []string { return slices.Clone(table().engines) }

// octetsOf is the captured octets per packet of a counted traffic: sizes are with FCS, and iot-1's mean is that of the kit's traffic.
func octetsOf(traffic string) float64 {
	if size, ok := strings.CutPrefix(traffic, "udp-"); ok {
		if n, err := strconv.Atoi(size); err == nil {
			return float64(n - 4)
		}
	}
	return 385.4
}

// copies tells whether an engine's count grows with the size of the frame.
func (c *counts) copies(arch, engine string) bool {
	few, many := c.of[count{arch, engine, "udp-64"}], c.of[count{arch, engine, "udp-1518"}]
	return many-few > float64(copies*(1518-64))
}

// allocates tells whether an engine of the table allocates for each packet.
func allocates(engine string) bool {
	return strings.Contains(engine, "gopacket") && !strings.HasSuffix(engine, "-layers")
}

// mostCounted is the captured octets of the largest frames that instructions were counted for.
const mostCounted = 1514

// at returns the range of an engine's instructions at a size: those of the sizes on either side and, for traffic of other headers
// than UDP, of iot-1. Beyond the largest size they go on as they rise from 512 to 1518 B; of a size that is not known (0) they are those of
// all sizes.
func (c *counts) at(arch, engine string, octets float64) (low, high float64, ok bool) {
	low, high = c.of[count{arch, engine, "iot-1"}], c.of[count{arch, engine, "iot-1"}]
	if !(low > 0) {
		return 0, 0, false
	}
	below, above := "udp-64", "udp-1518"
	for _, t := range []string{"udp-512", "udp-1518"} {
		if octetsOf(t) <= octets {
			below = t
		}
	}
	for _, t := range []string{"udp-512", "udp-64"} {
		if octetsOf(t) >= octets {
			above = t
		}
	}
	if !(octets > 0) {
		below, above = "udp-64", "udp-1518"
	}
	for _, t := range []string{below, above} {
		n := c.of[count{arch, engine, t}]
		low, high = min(low, n), max(high, n)
	}
	if octets > mostCounted {
		few, many := c.of[count{arch, engine, "udp-512"}], c.of[count{arch, engine, "udp-1518"}]
		perOctet := max(many-few, 0) / (octetsOf("udp-1518") - octetsOf("udp-512"))
		high = max(high, many+float64(perOctet*(octets-mostCounted)))
	}
	return low, high, true
}

// byInstructions is what so many instructions cost on a board, one core.
func byInstructions(b *Board, arch, engine, cache string, low, high, octets float64) Bracket {
	if allocates(engine) {
		if b.Cores == 1 {
			low, high = float64(low*gcOneLow), float64(high*gcOneHigh)
		} else {
			low, high = float64(low*gcManyLow), float64(high*gcManyHigh)
		}
	}
	out := Bracket{low * b.Core.CPILow / b.HzHigh * 1e9, high * b.Core.CPIHigh / b.HzLow * 1e9}
	if cache != trial.CacheHot {
		out.HighNS += float64(coldLinesHigh * b.LatencyNS)
		if table().copies(arch, engine) {
			out.HighNS += octets / b.CopyOctetsPerSecond * 1e9
		}
	}
	return out
}

// builtin predicts from the table alone, and for a Pi 3B from the published rows.
func (a *Answer) builtin(b *Board, wanted func(string) bool) {
	t := table()
	for _, engine := range t.engines {
		if !wanted(engine) {
			continue
		}
		for _, traffic := range t.traffics {
			n := t.of[count{a.Arch, engine, traffic}]
			if n == 0 {
				continue
			}
			for _, cache := range []string{trial.CacheHot, trial.CacheCold} {
				a.add(Prediction{Engine: engine, Size: traffic, Octets: octetsOf(traffic), Cache: cache, Method: Instructions,
					Bracket: byInstructions(b, a.Arch, engine, cache, n, n, octetsOf(traffic)),
					Notes:   []string{fmt.Sprintf("%.0f instructions on %s", n, a.Arch)}})
			}
		}
	}
	if HasRows(b) {
		a.add(publishedRows(wanted)...)
	}
}

// origin is the machine that costs were measured on.
type origin struct {
	env meter.Environment
	ok  bool
}

// home is the machine of the results, or of the calibration.
func (q *Question) home() origin {
	switch {
	case q.Results != nil:
		return origin{q.Results.Header.Environment, true}
	case q.Scenario != nil:
		return origin{q.Scenario.Header.Environment, true}
	case q.Home != nil:
		return origin{q.Home.Environment, true}
	}
	return origin{}
}

// arch names the architecture as the table does.
func (o origin) arch() string {
	if o.env.Arch == "arm" {
		return "armv7"
	}
	return o.env.Arch
}

// core is the kind of core that costs were measured on.
func (o origin) core() Core {
	if b := boardOf(o.env.Board); b != nil {
		return b.Core
	}
	switch {
	case strings.HasPrefix(o.env.Arch, "arm"): // of an unknown kind
		return Core{Name: "ARM", CPILow: cores.a76.CPILow, CPIHigh: cores.a53.CPIHigh}
	}
	return cores.x86
}

// clock is the range of clocks that costs were measured at.
func (o origin) clock() (low, high float64) {
	if hz := o.env.FrequencyMaxHz; hz != nil && *hz > 0 {
		low, high = float64(*hz), float64(*hz)
		if least := o.env.FrequencyMinHz; least != nil && *least > 0 && o.env.Governor != "performance" {
			low = max(float64(*least), high/2)
		}
		return low, high
	}
	return clockLow, clockHigh
}

// carrier carries costs to a board of which nothing was measured.
type carrier struct {
	board *Board
	arch  string
	costs []cost
	home  origin
}

// predict returns what can be said of a cost: one prediction, of a Python program on a Pi 3B one for each way.
func (b *carrier) predict(c cost) []Prediction {
	out := Prediction{Engine: c.engine, Stages: c.stages, Size: c.size, Octets: c.octets, Cache: c.cache}
	if c.external {
		if list := b.python(c); len(list) > 0 {
			return list
		}
	}
	if low, high, ok := table().at(b.arch, c.engine, c.octets); ok && !c.external {
		engine := byInstructions(b.board, b.arch, c.engine, c.cache, low, high, c.octets)
		if c.stages == "" {
			out.Method, out.Bracket = Instructions, engine
			out.Notes = []string{fmt.Sprintf("%.0f to %.0f instructions on %s", low, high, b.arch)}
			return []Prediction{out}
		}
		if c.stagesNS > 0 {
			s, how := b.factor(c)
			s = s.widened(max(c.spread, 1))
			out.Method, out.Bracket = Clock, engine.plus(s.of(c.stagesNS))
			out.Notes = append([]string{fmt.Sprintf("engine by its instructions; stages, %.0f %% of the cost here, by %s", 100*c.stagesNS/c.alone, how)}, c.doubts...)
			return []Prediction{out}
		}
	}
	s, how := b.factor(c)
	s = s.widened(max(c.spread, 1))
	out.Method, out.Bracket, out.Notes = Clock, s.of(c.alone), append([]string{"by " + how}, c.doubts...)
	return []Prediction{out}
}

// factor is the slow-down of a program of which no instructions were counted: that of engines that were measured beside it, their
// instructions on the board over their cost here, or else of cycles and clocks alone.
func (b *carrier) factor(c cost) (slow, string) {
	var all slow
	var names []string
	for _, o := range b.costs {
		low, high, ok := table().at(b.arch, o.engine, o.octets)
		if !ok || o.stages != "" && o.stagesNS == 0 || o.external || o.cache != c.cache {
			continue
		}
		there := byInstructions(b.board, b.arch, o.engine, o.cache, low, high, o.octets)
		here := o.alone - o.stagesNS
		if !(here > 0) {
			continue
		}
		if s := (slow{there.LowNS / here, there.HighNS / here}); len(names) == 0 {
			all = s
		} else {
			all = all.with(s)
		}
		if !slices.Contains(names, o.engine) {
			names = append(names, o.engine)
		}
	}
	if len(names) > 0 {
		return all.widened(marginAnchor), "the slow-down of " + strings.Join(names, ", ") + ", instructions there over cost here"
	}
	core := b.home.core()
	clockLow, clockHigh := b.home.clock()
	arch := archRatio(b.home.arch(), b.arch)
	return slow{
		arch.low * b.board.Core.CPILow / core.CPIHigh * clockLow / b.board.HzHigh,
		arch.high * b.board.Core.CPIHigh / core.CPILow * clockHigh / b.board.HzLow,
	}, fmt.Sprintf("cycles per instruction of %s against %s, and their clocks", b.board.Core.Name, core.Name)
}

// archRatio is the range of instructions of one architecture over those of another.
func archRatio(from, to string) slow {
	if from == to {
		return slow{1, 1}
	}
	t := table()
	var all slow
	for _, engine := range t.engines {
		for _, traffic := range t.traffics {
			n, m := t.of[count{from, engine, traffic}], t.of[count{to, engine, traffic}]
			if n == 0 || m == 0 {
				return slow{archLow, archHigh}
			}
			if r := m / n; all == (slow{}) {
				all = slow{r, r}
			} else {
				all = all.with(slow{r, r})
			}
		}
	}
	return all.widened(marginArch)
}
