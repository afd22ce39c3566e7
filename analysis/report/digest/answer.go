package digest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// Answer says in sentences what the sources found: of one source all of [Said], of several what each begins with.
func Answer(sources []*report.Source) []string {
	if len(sources) == 1 {
		return Said(sources[0])
	}
	var all []string
	for i, name := range Names(sources) {
		if said := Said(sources[i]); len(said) > 0 {
			all = append(all, name+": "+said[0])
		}
	}
	return all
}

// Said says in sentences what a source found: first which engine is fastest, at which rate and against the line, then how sure that
// is, how the others stand against it, and what it takes.
func Said(s *report.Source) []string {
	switch s.Kind {
	case report.KindStudy:
		return answerStudy(s)
	case report.KindClasses:
		return answerClasses(s.Classes)
	case report.KindScenario:
		return answerScenario(s.Scenario)
	case report.KindLive:
		return answerLive(s.Live)
	case report.KindValidation:
		return answerValidation(s)
	}
	return nil
}

// engineRate is what one engine does in one cell: the rate of the goal that is asked for first.
type engineRate struct {
	c       *analysis.Ceiling
	found   *analysis.Found // nil: the service ceiling stands for it
	rate    analysis.Summary
	repeats map[int]float64 // the rate in each repeat
}

// none says that no load that was tried met the goal.
func (e *engineRate) none() bool { return e.found != nil && e.found.NoLower == e.found.Repeats }

// atLeast says that the rate is a lower limit: in some repeats no load was too much, or the search ended before it found one.
func (e *engineRate) atLeast() bool { return e.found != nil && e.found.NoUpper > 0 && !e.none() }

// unbounded is the number of repeats without a lower bound.
func (e *engineRate) unbounded() int {
	if e.found == nil {
		return 0
	}
	return e.found.NoLower
}

// goalOf is the goal that the answer is about: the first without loss or, where there is none, the first. ok is false where
// nothing was searched.
func goalOf(p *trial.Plan) (name string, ok bool) {
	if p.Search == trial.SearchNone || len(p.Goals) == 0 {
		return "", false
	}
	for _, g := range p.Goals {
		if g.LossRatio == 0 {
			return g.Name, true
		}
	}
	return p.Goals[0].Name, true
}

// ratesAt returns the engines of one size, cache state and number of workers, the fastest first.
func ratesAt(s *report.Source, at trial.Cell) []engineRate {
	r := s.Study
	goal, searched := goalOf(&r.Header.Plan)
	var list []engineRate
	for i := range r.Ceilings {
		c := &r.Ceilings[i]
		same := c.Cell
		same.Engine = at.Engine
		if same != at {
			continue
		}
		e := engineRate{c: c, rate: c.Service, repeats: make(map[int]float64)}
		if searched {
			e.rate = analysis.Summary{}
			for j := range c.Goals {
				if c.Goals[j].Goal == goal {
					e.found, e.rate = &c.Goals[j], c.Goals[j].Rate
				}
			}
		}
		records := s.Records
		if r.Header.Plan.Soak > 0 {
			records = nil // several closed loops a repeat: they do not pair
		}
		for k := range records {
			rec := &records[k]
			switch {
			case rec.Cell != c.Cell:
			case searched && rec.Kind == trial.KindBounds && rec.Bounds.Goal.Name == goal:
				e.repeats[rec.Repeat] = rec.Bounds.ConditionalThroughput
			case !searched && rec.Kind == trial.KindService && rec.Result.Delivered > 0:
				e.repeats[rec.Repeat] = rec.ServiceRate()
			}
		}
		if e.rate.N > 0 {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b engineRate) int {
		switch {
		case a.rate.Median > b.rate.Median:
			return -1
		case a.rate.Median < b.rate.Median:
			return 1
		}
		return 0
	})
	return list
}

// paired is how many times the rate of a is that of b, repeat by repeat: engines are measured in turn in each.
func paired(a, b *engineRate) analysis.Summary {
	var ratios []float64
	for repeat, rate := range a.repeats {
		if other, ok := b.repeats[repeat]; ok && rate > 0 && other > 0 {
			ratios = append(ratios, rate/other)
		}
	}
	slices.Sort(ratios) // a map has no order, sums of floats have
	if len(ratios) == 0 {
		return analysis.Summary{}
	}
	return analysis.Summarize(ratios)
}

// places are the cells that the answer speaks of, without engines: the smallest and the largest size; cold frames where there are
// such; one worker, and the most.
func places(p *trial.Plan) []trial.Cell {
	cache := ""
	for _, want := range []string{trial.CacheCold, trial.CacheAsIs, trial.CacheHot} {
		if slices.Contains(p.Caches, want) {
			cache = want
			break
		}
	}
	if cache == "" || len(p.Sizes) == 0 || len(p.Workers) == 0 {
		return nil
	}
	sizes := slices.Clone(p.Sizes)
	slices.SortStableFunc(sizes, func(a, b string) int {
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		switch {
		case errX == nil && errY == nil:
			return x - y
		case errX == nil:
			return -1
		case errY == nil:
			return 1
		}
		return 0
	})
	numbers := 0
	for _, size := range sizes {
		if _, err := strconv.Atoi(size); err == nil {
			numbers++
		}
	}
	shown := sizes[:1]
	if numbers > 1 {
		shown = []string{sizes[0], sizes[numbers-1]}
	} else if len(sizes) > 1 {
		shown = sizes[:2]
	}
	var list []trial.Cell
	few := slices.Min(p.Workers)
	for _, size := range shown {
		list = append(list, trial.Cell{Size: size, Cache: cache, Workers: few})
	}
	if most := slices.Max(p.Workers); most > few {
		list = append(list, trial.Cell{Size: shown[0], Cache: cache, Workers: most})
	}
	return list
}

func answerStudy(s *report.Source) (said []string) {
	r := s.Study
	h := &r.Header
	if len(r.Ceilings) == 0 {
		text := r.Unfinished()
		if text == "" {
			text = "no records"
		}
		return []string{"nothing to report yet: " + text + "."}
	}
	w := words{r: r, port: func() (link, bool) { return portOf(&h.Environment) }}
	var first []engineRate
	for i, at := range places(&h.Plan) {
		rates := ratesAt(s, at)
		if len(rates) == 0 {
			continue
		}
		if first == nil {
			first = rates
		}
		said = append(said, w.headline(rates, at, i == 0), w.sure(&rates[0], i == 0))
		if text := w.others(rates); text != "" {
			said = append(said, text)
		}
	}
	if first == nil {
		return append(said, "No rate was found: "+strings.Join(r.Warnings, "; ")+".")
	}
	said = append(said, w.takes(&first[0]))
	if text := w.cost(first[0].c.Cell); text != "" {
		said = append(said, text)
	}
	if text := w.loads(first[0].c.Cell); text != "" {
		said = append(said, text)
	}
	for i := range r.Soaks {
		soak := &r.Soaks[i]
		if soak.Cell.Engine == first[0].c.Cell.Engine {
			name := soak.Cell.Engine
			if h.Plan.Repeats > 1 {
				name += fmt.Sprintf(" #%d", soak.Repeat)
			}
			said = append(said, fmt.Sprintf("Soak of %v, %s: %s.", h.Plan.Soak, name, report.SoakSentence(soak)))
		}
	}
	return slices.DeleteFunc(said, func(text string) bool { return text == "" })
}

// words makes sentences of a study.
type words struct {
	r    *analysis.Results
	port func() (link, bool)
}

// portOf is the port of the machine that measured e; of several machines only the first one's model is known.
func (w *words) portOf(e *engineRate) (link, bool) {
	if hosts := w.r.Header.Hosts; e.c.Host != "" && len(hosts) > 0 && e.c.Host != hosts[0].Name {
		return link{}, false
	}
	return w.port()
}

func (w *words) load(v float64) string {
	if w.r.Header.Settings.Unit == "bit/s" {
		return report.FormatBits(v)
	}
	return report.FormatRate(v)
}

// engine names an engine with the stages behind it: "direct + features + model (forest.onnx)".
func (w *words) engine(name string) string { return engineName(name, w.r.Header.Settings.Stages) }

func engineName(name string, stages []string) string {
	for _, stage := range stages {
		kind, value, ok := strings.Cut(stage, "=")
		name += " + " + kind
		if ok {
			value, _, _ = strings.Cut(value, ":")
			name += " (" + value + ")"
		}
	}
	return name
}

// goalWords is a goal as people write it: "NDR", "PDR 0.5%".
func goalWords(name string) string { return strings.ToUpper(strings.Replace(name, ":", " ", 1)) }

// traffic says what was fed: "at 64 B", "of iot.pcap (mean 384 B)".
func (w *words) traffic(c *analysis.Ceiling) string {
	if _, err := strconv.Atoi(c.Cell.Size); err == nil {
		size, _ := strconv.ParseFloat(c.Cell.Size, 64)
		if c.Wire > 0 && math.Abs(c.Wire+checkSequence-size) > 1 { // not all packets could be made so
			return fmt.Sprintf("at %s B (mean %.0f B)", c.Cell.Size, c.Wire+checkSequence)
		}
		return "at " + c.Cell.Size + " B"
	}
	mean := ""
	if c.Octets > 0 {
		mean = fmt.Sprintf(" (mean %.0f B a packet)", c.Octets)
	}
	if c.Cell.Size != trial.Captured && c.Cell.Size != "" {
		return "of " + c.Cell.Size + mean
	}
	return "of " + captureNames(w.r.Header.Captures) + mean
}

func captureNames(captures []trial.Capture) string {
	var names []string
	for _, c := range captures {
		names = append(names, c.Name)
	}
	switch n := len(names); {
	case n == 0:
		return "its capture"
	case n > 2:
		return fmt.Sprintf("%s and %d more", names[0], n-1)
	}
	return strings.Join(names, " and ")
}

// machine names a machine: its board or processor, and what else a reader must know of it.
func machine(e *meter.Environment) string {
	if e == nil {
		return "a machine that is not known"
	}
	name := strings.TrimRight(e.Board, "\x00")
	if name == "" {
		name = e.CPU
	}
	var about []string
	if e.CoresOnline != nil {
		about = append(about, fmt.Sprintf("%d CPUs", *e.CoresOnline))
		if *e.CoresOnline == 1 {
			about[0] = "1 CPU"
		}
	}
	if e.Virtual != nil && *e.Virtual {
		about = append(about, "virtual")
	}
	if name == "" {
		name = e.OS + "/" + e.Arch
	}
	if len(about) > 0 {
		name += " (" + strings.Join(about, ", ") + ")"
	}
	return name
}

// onHost says which of several machines measured.
func onHost(name string) string {
	if name == "" {
		return ""
	}
	return " on " + name
}

// hostWords names one of several machines that measured a study: "machine 2, Raspberry Pi 3 ...".
func hostWords(h *trial.Header, name string) string {
	for _, host := range h.Hosts {
		if host.Name == name && host.Machine != "" {
			return name + " (" + host.Machine + ")"
		}
	}
	return name
}

// interval says how sure a median is: "96.9 %: 60.1 to 61.8 kpps", or why that is not known.
func interval(s analysis.Summary, format func(float64) string) string {
	switch {
	case s.Interval.Valid():
		return fmt.Sprintf("%s: %s", report.FormatRatio(s.Interval.Coverage), between(format(s.Interval.Low), format(s.Interval.High)))
	case s.N == 1:
		return "one repeat, no interval"
	}
	return fmt.Sprintf("median of %d repeats, %s, no interval", s.N, between(format(s.Min), format(s.Max)))
}

// between joins two values, with the unit once where it is the same; equal ones are one.
func between(low, high string) string {
	if low == high {
		return low
	}
	if i := strings.LastIndexByte(low, ' '); i >= 0 && strings.HasSuffix(high, low[i:]) {
		low = low[:i]
	}
	return low + " to " + high
}

// times writes a factor: "2.35x", "41x", "0.41x".
func times(v float64) string {
	switch {
	case v >= 99.5:
		return strconv.FormatFloat(math.Round(v), 'f', 0, 64) + "x"
	case v >= 9.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + "x"
	case v >= 0.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + "x"
	}
	return strconv.FormatFloat(v, 'g', 2, 64) + "x"
}

// headline is the sentence on the fastest engine of a place.
func (w *words) headline(rates []engineRate, at trial.Cell, first bool) string {
	h, e, engines := &w.r.Header, &rates[0], len(rates)
	text := w.engine(e.c.Cell.Engine)
	if at.Workers > 1 {
		text += fmt.Sprintf(" with %d workers", at.Workers)
	}
	where := w.traffic(e.c)
	if len(h.Plan.Caches) > 1 {
		where += ", " + at.Cache + " frames"
	}
	switch {
	case e.c.Host != "":
		where += " on " + hostWords(h, e.c.Host)
	case first:
		where += " on " + machine(&h.Environment)
	}
	if e.none() {
		goal, _ := goalOf(&h.Plan)
		return fmt.Sprintf("%s sustains no load that was tried %s (%s).", text, where, goalWords(goal))
	}
	rate := w.load(e.rate.Median)
	if e.atLeast() {
		rate = "at least " + rate
	}
	text += fmt.Sprintf(": %s %s", rate, where)
	if engines > 1 {
		of := fmt.Sprintf("%d engines", engines)
		if engines < len(h.Plan.Engines) && w.r.Done < w.r.Planned {
			of = fmt.Sprintf("the %d of %d engines measured so far", engines, len(h.Plan.Engines))
		}
		if in := paired(e, &rates[1]).Interval; in.Valid() && in.Low <= 1 { // not told apart from the next
			text += ", by the median"
		}
		text += ", the fastest of " + of
	}
	return text + w.line(e) + "."
}

// sure says what kind of rate the headline's is, and how sure.
func (w *words) sure(e *engineRate, first bool) string {
	if e.none() {
		return ""
	}
	goal, searched := goalOf(&w.r.Header.Plan)
	kind := "the service ceiling (as fast as packets are taken: loss was not searched)"
	if searched {
		kind = "the " + goalWords(goal)
		if e.found != nil && e.found.Loss == 0 {
			kind += " (no packet lost)"
		} else if e.found != nil {
			kind += " (at most " + report.FormatRatio(e.found.Loss) + " lost)"
		}
	}
	if p := &w.r.Header.Plan; p.Soak > 0 {
		kind += fmt.Sprintf(" in the last %v of a soak of %v", p.Window(), p.Soak)
	}
	text := fmt.Sprintf("It is %s, %s", kind, interval(e.rate, w.load))
	if limits := w.limits(e); limits != "" {
		text += "; " + limits
	}
	text += "."
	if _, known := w.portOf(e); !known && first && e.c.Wire > 0 {
		text += " The machine's port is not known: line rates are for reference."
	}
	return text
}

// line says how the rate stands against the line.
func (w *words) line(e *engineRate) string {
	pps := report.PacketRate(&w.r.Header, e.c, e.rate.Median)
	if !(pps > 0) || !(e.c.Wire > 0) {
		return ""
	}
	least := ""
	if e.atLeast() {
		least = "at least "
	}
	if port, ok := w.portOf(e); ok {
		most := port.lineOf(e.c)
		return fmt.Sprintf(", %s%s the line rate of its port (%s: %s)", least, times(pps/most), port.name, report.FormatRate(most))
	}
	var parts []string
	for _, l := range references {
		of := "that"
		if len(parts) == 0 {
			of = "the line rate"
		}
		parts = append(parts, fmt.Sprintf("%s%s %s of %s", least, times(pps/l.lineOf(e.c)), of, l.name))
	}
	return ", " + strings.Join(parts, " and ")
}

// limits says what makes the rate another than the parser's own.
func (w *words) limits(e *engineRate) string {
	var parts []string
	if f := e.found; f != nil {
		of := func(n int, what string) {
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%s in %d of %d repeats", what, n, f.Repeats))
			}
		}
		if f.NoTime == 0 {
			of(f.NoUpper, "a lower limit: no load was too much")
		} else {
			of(f.NoUpper, "a lower limit: no load that was tried was too much")
		}
		of(f.NoLower, "not even the lowest load was sustained")
		of(f.TooWide, "the bounds did not come within the width")
		of(f.NoTime, "the search was not done")
	}
	for _, mark := range e.c.Marks {
		if text := markWords[mark]; text != "" {
			parts = append(parts, text)
		}
	}
	if w.r.Header.Plan.Quick {
		parts = append(parts, "a quick look, not for publication")
	}
	return strings.Join(parts, "; ")
}

// markWords say what a mark on a ceiling means for it.
var markWords = map[string]string{
	trial.MarkFeedLimited: "feed-limited: the feed's own time is a part of it, so it is a lower limit of the parser's",
	trial.MarkHostLimited: "host-limited: losses follow stalls of the host, not the parser",
	trial.MarkHostBusy:    "other work had the CPU at times, so the parser alone may be faster",
	trial.MarkThrottled:   "the board was throttled",
	trial.MarkLLC:         "frames may have stayed in the last-level cache, which flatters it",
	trial.MarkUnsent:      "the feed could not offer the whole load, which counts as loss",
	trial.MarkUndecoded:   "over 1 % of the frames were of link types that it does not decode, which flatters it",
}

// othersShown is how many slower engines a sentence names.
const othersShown = 4

// others compares the slower engines with the fastest.
func (w *words) others(rates []engineRate) string {
	if len(rates) < 2 {
		return ""
	}
	best := &rates[0]
	if best.none() {
		return ""
	}
	rest := rates[1:]
	left := 0
	if len(rest) > othersShown {
		left = len(rest) - othersShown
		rest = append(slices.Clone(rest[:othersShown-1]), rest[len(rest)-1])
	}
	var parts []string
	for i := range rest {
		e := &rest[i]
		name := e.c.Cell.Engine
		if e.none() {
			parts = append(parts, name+" none of the loads that were tried")
			continue
		}
		rate := w.load(e.rate.Median)
		if e.atLeast() {
			rate = "at least " + rate
		}
		if left > 0 && i == len(rest)-1 {
			name = fmt.Sprintf("%d more; the slowest is %s", left, name)
		}
		parts = append(parts, fmt.Sprintf("%s %s (%s)", name, rate, w.against(best, e)))
	}
	return "The others: " + strings.Join(parts, ", ") + "."
}

// against says how many times as fast best is, and whether that can be told.
func (w *words) against(best, e *engineRate) string {
	ratio := paired(best, e)
	name := best.c.Cell.Engine
	limited := best.atLeast() || e.atLeast()
	if best.c.Host != e.c.Host {
		return "not compared with " + name + ": measured on " + hostWords(&w.r.Header, e.c.Host)
	}
	for _, of := range []*engineRate{best, e} { // a ratio of the rest would flatter
		if n := of.unbounded(); n > 0 {
			return fmt.Sprintf("not compared: %d of %d repeats of %s had no lower bound", n, of.found.Repeats, of.c.Cell.Engine)
		}
	}
	switch {
	case ratio.N == 0:
		return "no repeat of both to compare"
	case limited:
		return fmt.Sprintf("%s is about %s as fast, by lower limits", name, times(ratio.Median))
	case !ratio.Interval.Valid():
		return fmt.Sprintf("%s is about %s as fast; too few repeats for an interval", name, times(ratio.Median))
	case ratio.Interval.Low <= 1 && ratio.Interval.High >= 1:
		return "not told apart from " + name
	}
	return fmt.Sprintf("%s is %s as fast, %s: %s", name, times(ratio.Median), report.FormatRatio(ratio.Interval.Coverage),
		between(times(ratio.Interval.Low), times(ratio.Interval.High)))
}

// takes says what an engine costs at its rate.
func (w *words) takes(e *engineRate) string {
	var parts []string
	if e.c.CPUNS.N > 0 {
		text := report.FormatDuration(e.c.CPUNS.Median) + " of CPU a packet"
		if e.found != nil && !e.none() {
			if share := report.CPUAt(e.c, report.PacketRate(&w.r.Header, e.c, e.rate.Median)); !math.IsNaN(share) {
				text += fmt.Sprintf(", so %s of one CPU at that rate", report.FormatRatio(share))
			}
		}
		parts = append(parts, text)
	}
	if s := e.c.Stages; s != nil && s.NS.N > 0 && e.c.NS.Median > 0 {
		stages, all := report.FormatDuration(s.NS.Median), report.FormatDuration(e.c.NS.Median)
		switch in := s.NS.Interval; {
		case !in.Valid():
			parts = append(parts, fmt.Sprintf("its stages are about %s of the %s of the parser's thread", stages, all))
		case in.Low <= 0:
			parts = append(parts, fmt.Sprintf("what its stages take is not told from none (%s)", between(report.FormatDuration(in.Low), report.FormatDuration(in.High))))
		default:
			parts = append(parts, fmt.Sprintf("its stages are %s of the %s of the parser's thread", stages, all))
		}
	}
	if e.c.Peak.N > 0 {
		parts = append(parts, fmt.Sprintf("at most %s of memory beside the capture", report.FormatOctets(e.c.Peak.Max)))
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("%s%s takes %s.", e.c.Cell.Engine, onHost(e.c.Host), strings.Join(parts, "; "))
}

// cost says what the size of a packet costs.
func (w *words) cost(at trial.Cell) string {
	for i := range w.r.Costs {
		c := &w.r.Costs[i]
		at.Size = ""
		if c.Cell != at {
			continue
		}
		m := &c.Model
		if !m.Accepted {
			return fmt.Sprintf("The cost of %s%s is no line in the size of the packet: the mean misfit is %s.", at.Engine, onHost(c.Host), report.FormatRatio(m.MAPE))
		}
		return fmt.Sprintf("The cost of %s%s is %s a packet and %s for each 100 B, from %.0f to %.0f B (mean misfit %s).", at.Engine, onHost(c.Host),
			report.FormatDuration(m.Base), report.FormatDuration(100*m.PerOctet), m.MinOctets, m.MaxOctets, report.FormatRatio(m.MAPE))
	}
	return ""
}

// loads says up to which listed load nothing was lost, where nothing was searched.
func (w *words) loads(at trial.Cell) string {
	if w.r.Header.Plan.Search != trial.SearchNone {
		return ""
	}
	for i := range w.r.Curves {
		c := &w.r.Curves[i]
		if c.Cell != at {
			continue
		}
		last := -1
		for j, p := range c.Points {
			if p.Lost > 0 {
				break
			}
			last = j
		}
		switch n := len(c.Points); {
		case n == 0:
			return ""
		case last == n-1:
			return fmt.Sprintf("%s lost nothing at any of %d listed loads, up to %s.", at.Engine, n, w.load(c.Points[last].Load))
		case last < 0:
			return fmt.Sprintf("%s lost packets at all of %d listed loads: %s at %s, the lowest.", at.Engine, n, report.FormatRatio(c.Points[0].LossRatio()),
				w.load(c.Points[0].Load))
		default:
			next := c.Points[last+1]
			return fmt.Sprintf("%s lost nothing at listed loads up to %s, and %s at the next, %s.", at.Engine, w.load(c.Points[last].Load),
				report.FormatRatio(next.LossRatio()), w.load(next.Load))
		}
	}
	return ""
}

func answerClasses(c *analysis.Classes) (said []string) {
	rows := c.Compare()
	if len(rows) == 0 {
		return []string{fmt.Sprintf("nothing to report yet: unfinished: 0 of %d classes.", len(c.Header.Classes))}
	}
	format := report.FormatRate
	if c.Header.Study.Settings.Unit == "bit/s" {
		format = report.FormatBits
	}
	goal, searched := goalOf(&c.Header.Study.Plan)
	for from := 0; from < len(rows); {
		to := from
		for to < len(rows) && rows[to].Cell == rows[from].Cell && rows[to].Host == rows[from].Host {
			to++
		}
		group := rows[from:to]
		from = to
		name := engineName(group[0].Cell.Engine, c.Header.Study.Settings.Stages)
		if p := &c.Header.Study.Plan; len(p.Sizes) > 1 || len(p.Caches) > 1 || len(p.Workers) > 1 {
			name = engineName(group[0].Cell.String(), c.Header.Study.Settings.Stages)
		}
		if host := group[0].Host; host != "" {
			name += " on " + host
		}
		var least *analysis.ClassCeiling
		var leastFound *analysis.Found
		for i := range group {
			for j := range group[i].Goals {
				f := &group[i].Goals[j]
				if searched && f.Goal == goal && f.Rate.N > 0 && (leastFound == nil || f.Rate.Median < leastFound.Rate.Median) {
					least, leastFound = &group[i], f
				}
			}
		}
		measured := slices.DeleteFunc(slices.Clone(group), func(r analysis.ClassCeiling) bool { return r.Times == 0 })
		switch {
		case len(measured) == 0:
			said = append(said, fmt.Sprintf("%s: no class has a measured cost.", name))
			continue
		case len(measured) == 1:
			said = append(said, fmt.Sprintf("%s takes %s for a packet of %s.", name, report.FormatDuration(measured[0].NS.Median), measured[0].Class))
		default:
			dear, cheap := measured[0], measured[len(measured)-1]
			said = append(said, fmt.Sprintf("%s takes %s for a packet of %s, the dearest of %d classes, about %s what one of %s takes (%s%s).", name,
				report.FormatDuration(dear.NS.Median), dear.Class, len(measured), times(dear.Times), cheap.Class, report.FormatDuration(cheap.NS.Median), few(&dear, &cheap)))
		}
		if least != nil {
			rate := format(leastFound.Rate.Median)
			switch {
			case leastFound.NoLower == leastFound.Repeats:
				said = append(said, fmt.Sprintf("Its lowest ceiling is that of %s: no load that was tried was sustained (%s).", least.Class, goalWords(goal)))
				continue
			case leastFound.NoUpper > 0:
				rate = "at least " + rate
			}
			said = append(said, fmt.Sprintf("Its lowest ceiling is that of %s: %s (%s; %s).", least.Class, rate, goalWords(goal), interval(leastFound.Rate, format)))
		}
	}
	for _, r := range c.Results {
		if r != nil && len(c.Header.Hosts) == 0 {
			said[0] = strings.TrimSuffix(said[0], ".") + ", on " + machine(&r.Header.Environment) + "."
			break
		}
	}
	return said
}

// few says that a ratio of two classes has too few repeats to be relied upon; classes do not pair, so it never has an interval.
func few(dear, cheap *analysis.ClassCeiling) string {
	if n := min(dear.NS.N, cheap.NS.N); n < analysis.MinRepeats {
		return "; too few repeats for an interval"
	}
	return ""
}

func answerScenario(s *analysis.Scenario) (said []string) {
	h := &s.Header
	name := "scenario " + h.Plan.Scenario.Name
	if s.Trials == 0 {
		return []string{fmt.Sprintf("nothing to report yet: unfinished: 0 of %d trials of %s.", s.Planned, name)}
	}
	var parts []string
	base, apart := "", true
	fewest, most := len(s.Rows), 0
	for _, e := range s.Engines {
		if e.Ratio.N > 0 && e.Engine != e.Base {
			fewest, most = min(fewest, e.Rows), max(most, e.Rows)
		}
		switch {
		case e.Ratio.N == 0:
		case e.Engine == e.Base:
			base = e.Base
		default:
			text := fmt.Sprintf("%s %s", e.Engine, times(e.Ratio.Median))
			if in := e.Ratio.Interval; in.Valid() && in.Low <= 1 && in.High >= 1 {
				text, apart = e.Engine+" is not told apart", false
			} else if !in.Valid() {
				text = fmt.Sprintf("%s about %s", e.Engine, times(e.Ratio.Median))
			} else {
				text += fmt.Sprintf(" (%s: %s)", report.FormatRatio(in.Coverage), between(times(in.Low), times(in.High)))
			}
			parts = append(parts, text)
		}
	}
	if base == "" && len(s.Engines) > 0 {
		base = s.Engines[0].Base
	}
	on := " on " + machine(&h.Environment)
	switch {
	case base == "":
		said = append(said, fmt.Sprintf("In %s no cost of a packet was measured%s.", name, on))
	case len(parts) == 0:
		said = append(said, fmt.Sprintf("In %s %s was measured%s.", name, base, on))
	default:
		takes := "takes the least CPU time a packet"
		if !apart {
			takes = "takes the least CPU time a packet by the median, not told apart from all others"
		}
		over := fmt.Sprintf("over %d of %d rows", most, len(s.Rows))
		switch {
		case fewest < most:
			over = fmt.Sprintf("over %d to %d of %d rows", fewest, most, len(s.Rows))
		case most == len(s.Rows):
			over = fmt.Sprintf("over all %d rows", most)
		}
		said = append(said, fmt.Sprintf("In %s %s %s%s; the others take, %s, %s.", name, base, takes, on, over, strings.Join(parts, ", ")))
	}
	for _, e := range h.Plan.Engines {
		worst, rows, lossy := "", 0, 0
		most := 0.0
		for i := range s.Rows {
			c := s.Rows[i].Cell(e)
			if c == nil || c.Loss.N == 0 {
				continue
			}
			rows++
			if c.Loss.Median > 0 {
				lossy++
			}
			if c.Loss.Median > most {
				most, worst = c.Loss.Median, s.Rows[i].Row.Name
			}
		}
		if lossy > 0 {
			said = append(said, fmt.Sprintf("%s lost packets in %d of %d rows, at worst %s of those sent (%s).", e, lossy, rows, report.FormatRatio(most), worst))
		}
	}
	var closed []string
	for _, e := range h.Plan.Engines {
		low, high := math.Inf(1), 0.0
		for i := range s.Rows {
			if c := s.Rows[i].Cell(e); c != nil && c.Closed.N > 0 {
				low, high = min(low, c.Closed.Median), max(high, c.Closed.Median)
			}
		}
		if high > 0 {
			closed = append(closed, e+" "+between(report.FormatRate(low), report.FormatRate(high)))
		}
	}
	if len(closed) > 0 {
		said = append(said, "As fast as they take packets: "+strings.Join(closed, ", ")+".")
	}
	return said
}

func answerLive(l *analysis.Live) (said []string) {
	on := machine(&l.Header.Environment)
	goal := goalWords(l.Header.Plan.Goal.Name)
	for i := range l.Engines {
		e := &l.Engines[i]
		text := e.Engine
		switch {
		case e.Ceiling.N > 0 && e.SenderLimited:
			text += fmt.Sprintf(" takes at least %s from the network on %s: the sender could not show more", report.FormatRate(e.Ceiling.Median), on)
		case e.Ceiling.N > 0:
			text += fmt.Sprintf(" takes %s from the network on %s (%s; %s)", report.FormatRate(e.Ceiling.Median), on, goal, interval(e.Ceiling, report.FormatRate))
			if e.Below.N > 0 {
				text += fmt.Sprintf(", and in %d of %d repeats less than %s", e.Below.N, e.Below.N+e.Ceiling.N, report.FormatRate(e.Below.Max))
			}
		case e.Below.N > 0:
			text += fmt.Sprintf(" takes less than %s from the network on %s", report.FormatRate(e.Below.Max), on)
		case e.Top.N > 0:
			text += fmt.Sprintf(": no ceiling was searched on %s; the sender's top speed was %s", on, report.FormatRate(e.Top.Median))
		default:
			continue
		}
		if e.Ratio > 0 && !e.SenderLimited {
			text += fmt.Sprintf(", %s what it does in memory: limited by %s", times(e.Ratio), e.Limit)
		}
		said = append(said, text+".")
	}
	if len(said) == 0 {
		return []string{"nothing to report yet: no engine was measured on the network."}
	}
	return said
}

func answerValidation(s *report.Source) []string {
	if notes := slices.Clone(s.Parts().Notes); len(notes) > 0 {
		notes[0] = s.Validation.Model.Name + ", " + notes[0]
		return notes
	}
	return []string{s.Validation.Model.Name + ": no vectors were scored."}
}
