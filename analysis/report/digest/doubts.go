package digest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/replay/live"
	"pcaplab/replay/scenario"
	"pcaplab/replay/trial"
)

// Doubt is a reason not to take numbers for what they seem.
type Doubt struct {
	Kind  string   `json:"kind"`            // a word for scripts: one of the marks of records, or of those below
	Text  string   `json:"text"`            // a sentence, without its full stop
	Where []string `json:"where,omitempty"` // sources, classes, engines and cells that it is of, with a count of trials where it is of trials
	Count int      `json:"count,omitempty"` // trials that it is of
	Of    int      `json:"of,omitempty"`    // trials that could have been
}

// Kinds of doubts that are no marks.
const (
	DoubtUnfinished   = "unfinished"
	DoubtQuick        = "quick"
	DoubtRepeats      = "repeats"   // too few for an interval
	DoubtIrregular    = "irregular" // searches without both bounds, or with bounds too far apart
	DoubtUnderVoltage = "under-voltage"
	DoubtSteal        = "steal"         // a hypervisor gave the time to others
	DoubtClock        = "clock-changed" // as the kernel tells, or by the calibration loop
	DoubtFaults       = "disk-faults"   // pages were read from a disk in a trial
	DoubtCost         = "cost-misfit"
	DoubtSynthetic    = "synthetic"
	DoubtResizing     = "resizing"    // packets that have not the size that was asked for
	DoubtSalvage      = "salvage"     // damaged captures
	DoubtLate         = "late"        // packets came to the queue of another program after they were due
	DoubtSenderLate   = "sender-late" // or went to the network
	DoubtSender       = "sender-limited"
	DoubtFailed       = "failed"  // trials of other programs
	DoubtDiffer       = "differ"  // sources that are not of the same experiment
	DoubtOther        = "warning" // of the results
)

// Limits from which on a trial is doubted.
const (
	stealLimit = 0.01 // of the time of all CPUs, over the trials of a cell
	clockLimit = 0.02 // of the clock, over the trials of a study, as the kernel tells
	loopLimit  = 0.10 // of the calibration loop's time, within a trial
	lateLimit  = 0.01 // of the packets of a trial, sent late to a network
	// feedLimit is how late one packet in a hundred may come to the queue of another program. Feeders sleep, and wake 0.15 ms late.
	feedLimit = time.Millisecond
)

// doubtOrder is the order of the kinds: what makes numbers wrong first, what makes them less sure then.
var doubtOrder = []string{
	DoubtUnfinished, DoubtFailed, scenario.MarkMiscounts, trial.MarkUndecoded, DoubtQuick, trial.MarkThrottled, DoubtUnderVoltage, DoubtClock, DoubtSteal, trial.MarkHostBusy, trial.MarkHostLimited,
	trial.MarkFeedLimited, trial.MarkUnsent, DoubtLate, DoubtSenderLate, DoubtSender, trial.MarkLLC, DoubtFaults, DoubtIrregular, DoubtRepeats, DoubtCost, DoubtDiffer, DoubtSynthetic, DoubtResizing, DoubtSalvage, DoubtOther,
}

// Doubts gathers what is doubtful in the sources, and groups it.
func Doubts(sources []*report.Source) []Doubt {
	var d doubts
	names := Names(sources)
	for i, s := range sources {
		d.in(names[i], len(sources) > 1)
		switch s.Kind {
		case report.KindStudy:
			d.study(s.Study, s.Records)
		case report.KindClasses:
			d.made = s.Classes.Header.Synthetic != ""
			for j, r := range s.Classes.Results {
				name := s.Classes.Header.Classes[j].Name
				if r == nil {
					d.say(DoubtUnfinished, "classes were not measured", name)
					continue
				}
				place := d.place
				d.place = append(slices.Clone(place), name)
				d.study(r, s.ClassRecords[j])
				d.place = place
			}
			for _, w := range s.Parts().Warnings {
				d.say(DoubtSynthetic, w)
			}
		case report.KindScenario:
			d.scenario(s.Scenario, s.ScenarioRecords)
		case report.KindLive:
			d.live(s.Live, s.LiveRecords)
		case report.KindValidation:
			for _, w := range s.Parts().Warnings {
				d.say(DoubtOther, w)
			}
			for j := range s.Validation.Sets {
				if set := &s.Validation.Sets[j]; set.Synthetic != "" {
					d.say(DoubtSynthetic, set.Synthetic, set.Name)
				}
			}
			if l := s.Validation.Load; l != nil && l.Synthetic != "" {
				d.say(DoubtSynthetic, l.Synthetic, "under load")
			}
		}
	}
	d.place = nil
	d.differ(sources)
	return d.grouped()
}

// doubts is a list under way.
type doubts struct {
	place []string // prefixes of where
	made  bool     // it was said of the whole source that its traffic was made
	list  []*doubt
}

type doubt struct {
	Doubt
	words func(d *Doubt) string // of counted ones: the sentence, once all are counted
	worst float64
}

func (d *doubts) in(source string, several bool) {
	d.place, d.made = nil, false
	if several {
		d.place = []string{source}
	}
}

func (d *doubts) at(where string) string {
	parts := slices.Clone(d.place)
	if where != "" {
		parts = append(parts, where)
	}
	return strings.Join(parts, ": ")
}

// say adds a doubt; what is said already gets one more place.
func (d *doubts) say(kind, text string, where ...string) {
	i := slices.IndexFunc(d.list, func(have *doubt) bool { return have.Kind == kind && have.Text == text && have.words == nil })
	if i < 0 {
		i = len(d.list)
		d.list = append(d.list, &doubt{Doubt: Doubt{Kind: kind, Text: text}})
	}
	if len(where) == 0 {
		where = []string{""}
	}
	for _, w := range where {
		if w = d.at(w); w != "" && !slices.Contains(d.list[i].Where, w) {
			d.list[i].Where = append(d.list[i].Where, w)
		}
	}
}

// count adds count of of trials to a doubt that counts them. worst is the most that was seen.
func (d *doubts) count(kind, where string, count, of int, worst float64, words func(*Doubt, float64) string) {
	if of == 0 {
		return
	}
	i := slices.IndexFunc(d.list, func(have *doubt) bool { return have.Kind == kind && have.words != nil })
	if i < 0 {
		i = len(d.list)
		d.list = append(d.list, &doubt{Doubt: Doubt{Kind: kind}})
	}
	have := d.list[i]
	have.words = func(of *Doubt) string { return words(of, have.worst) }
	have.Count += count
	have.Of += of
	have.worst = max(have.worst, worst)
	if count > 0 {
		have.Where = append(have.Where, fmt.Sprintf("%s: %d of %s", d.at(where), count, plural(of, "trial")))
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func (d *doubts) grouped() []Doubt {
	var all []Doubt
	for _, have := range d.list {
		if have.words != nil {
			if have.Count == 0 {
				continue
			}
			have.Text = have.words(&have.Doubt)
		}
		all = append(all, have.Doubt)
	}
	slices.SortStableFunc(all, func(a, b Doubt) int {
		return cmp.Compare(slices.Index(doubtOrder, a.Kind), slices.Index(doubtOrder, b.Kind))
	})
	return all
}

// trialMarks are the marks of trials, and what they mean.
var trialMarks = []struct{ mark, means string }{
	{trial.MarkThrottled, "the board lowered its clock"},
	{trial.MarkHostBusy, "the parser's thread was without a CPU for over 5 % of the time"},
	{trial.MarkHostLimited, "all drops followed stalls of the host that were longer than the queue"},
	{trial.MarkFeedLimited, "the feed's own time was over 5 % of that of a packet, so the parser alone is faster"},
	{trial.MarkUnsent, "the feed could not offer the whole load"},
	{trial.MarkUndecoded, "over 1 % of the frames were of link types that the parser does not decode, and cost it nothing"},
	{trial.MarkLLC, "cold frames were asked for, but they may fit the last-level cache"},
	{scenario.MarkMiscounts, "a program took all that it was given, and counted another number"},
}

func isMark(kind string) bool {
	return slices.ContainsFunc(trialMarks, func(m struct{ mark, means string }) bool { return m.mark == kind })
}

// ofTrials is what the trials of one cell show.
type ofTrials struct {
	cell                                 trial.Cell
	trials                               int
	marks                                map[string]int
	loop, faults, underVoltage           int
	loopKnown, faultsKnown, voltageKnown int
	swing, unsent                        float64 // the most of a trial
	stolen, wall                         float64 // in ns, over all trials
	lowHz, highHz                        int64
}

func (d *doubts) trials(h *trial.Header, records []trial.Record) {
	var cells []*ofTrials
	at := make(map[trial.Cell]*ofTrials)
	cpus := int64(1)
	if n := h.Environment.CoresOnline; n != nil && *n > 0 {
		cpus = *n
	}
	for i := range records {
		rec := &records[i]
		if rec.Kind != trial.KindService && rec.Kind != trial.KindEngineAlone && rec.Kind != trial.KindTrial {
			continue
		}
		c := at[rec.Cell]
		if c == nil {
			c = &ofTrials{cell: rec.Cell, marks: make(map[string]int)}
			at[rec.Cell] = c
			cells = append(cells, c)
		}
		c.trials++
		for _, mark := range rec.Marks {
			c.marks[mark]++
		}
		if rec.Result.Intended > 0 {
			c.unsent = max(c.unsent, float64(rec.Result.Unsent)/float64(rec.Result.Intended))
		}
		u := &rec.Usage
		if u.StealNs != nil && u.WallNs > 0 {
			c.stolen += float64(*u.StealNs) / float64(cpus)
			c.wall += float64(u.WallNs)
		}
		if a, b := float64(u.CalibrationBeforeNs), float64(u.CalibrationAfterNs); a > 0 && b > 0 {
			c.loopKnown++
			if swing := max(a, b)/min(a, b) - 1; swing > loopLimit {
				c.loop++
				c.swing = max(c.swing, swing)
			}
		}
		if u.MajorFaults != nil {
			c.faultsKnown++
			if *u.MajorFaults > 0 {
				c.faults++
			}
		}
		if u.UnderVoltage != nil {
			c.voltageKnown++
			if *u.UnderVoltage {
				c.underVoltage++
			}
		}
		for _, hz := range []*int64{u.FrequencyBeforeHz, u.FrequencyAfterHz} {
			if hz != nil && *hz > 0 {
				if c.lowHz == 0 || *hz < c.lowHz {
					c.lowHz = *hz
				}
				c.highHz = max(c.highHz, *hz)
			}
		}
	}
	for _, c := range cells {
		name := strings.TrimSpace(c.cell.String())
		for _, m := range trialMarks {
			worst := 0.0
			if m.mark == trial.MarkUnsent {
				worst = c.unsent
			}
			d.count(m.mark, name, c.marks[m.mark], c.trials, worst, func(d *Doubt, worst float64) string {
				text := fmt.Sprintf("%s in %d of %s: %s", m.mark, d.Count, plural(d.Of, "trial"), m.means)
				if worst > 0 {
					text += fmt.Sprintf(" (%s of one at worst)", report.FormatRatio(worst))
				}
				return text
			})
		}
		// It comes in steps of 10 ms, which say nothing of one short trial.
		if share := c.stolen / c.wall; share > stealLimit {
			d.say(DoubtSteal, fmt.Sprintf("the hypervisor gave over %s of the CPUs' time to others", report.FormatRatio(stealLimit)),
				fmt.Sprintf("%s: %s over %s", name, report.FormatRatio(min(share, 1)), plural(c.trials, "trial")))
		}
		d.count(DoubtClock, name, c.loop, c.loopKnown, c.swing, func(d *Doubt, worst float64) string {
			return fmt.Sprintf("in %d of %s a fixed loop took over %s longer at one end than at the other, at worst %s: the clock changed, or other work had the CPU", d.Count,
				plural(d.Of, "trial"), report.FormatRatio(loopLimit), report.FormatRatio(worst))
		})
		d.count(DoubtFaults, name, c.faults, c.faultsKnown, 0, func(d *Doubt, _ float64) string {
			return fmt.Sprintf("memory was read back from a disk in %d of %s: the machine is short of it", d.Count, plural(d.Of, "trial"))
		})
		d.count(DoubtUnderVoltage, name, c.underVoltage, c.voltageKnown, 0, func(d *Doubt, _ float64) string {
			return fmt.Sprintf("under-voltage in %d of %s: the power supply is too weak", d.Count, plural(d.Of, "trial"))
		})
		if c.highHz > 0 && float64(c.highHz-c.lowHz) > clockLimit*float64(c.highHz) {
			d.say(DoubtClock, "the clock of the processor changed between trials, as the kernel tells", fmt.Sprintf("%s: %.0f to %.0f MHz", name,
				float64(c.lowHz)/1e6, float64(c.highHz)/1e6))
		}
	}
}

func (d *doubts) study(r *analysis.Results, records []trial.Record) {
	h := &r.Header
	d.trials(h, records)
	if h.Plan.Quick {
		text := fmt.Sprintf("a quick look, with trials of %v: not for publication", h.Plan.Trial)
		if h.Plan.Repeats < analysis.MinRepeats {
			text += fmt.Sprintf("; %s cannot give %g %%", plural(h.Plan.Repeats, "run"), 100*analysis.Level)
		}
		d.say(DoubtQuick, text)
	} else if h.Plan.Soak == 0 && h.Plan.Repeats < analysis.MinRepeats {
		d.say(DoubtRepeats, fmt.Sprintf("%s cannot give %g %%: no interval of the median below %d", plural(h.Plan.Repeats, "run"), 100*analysis.Level, analysis.MinRepeats))
	}
	for _, w := range r.Warnings {
		at, why, found := strings.Cut(w, " is irregular: ")
		cell, goal, _ := cut(at, ": ")
		switch {
		case found:
			d.say(DoubtIrregular, goalWords(goal)+" is not regular everywhere", cell+": "+why)
		case strings.HasPrefix(w, "unfinished: "):
			d.say(DoubtUnfinished, w)
		case strings.Contains(w, " repeats give no "): // said above
		default:
			d.say(DoubtOther, w)
		}
	}
	for i := range r.Costs {
		if c := &r.Costs[i]; !c.Model.Accepted {
			d.say(DoubtCost, "the cost is not a line in the size of the packet", fmt.Sprintf("%s: mean misfit %s, largest %s", c.Cell.Engine,
				report.FormatRatio(c.Model.MAPE), report.FormatRatio(c.Model.Worst)))
		}
	}
	for _, c := range h.Captures {
		if strings.HasPrefix(c.Name, "synth:") && !d.made {
			d.say(DoubtSynthetic, "traffic was made by this program, not captured", c.Name)
		}
		if n := len(c.Losses); n > 0 {
			d.say(DoubtSalvage, "captures are damaged, and parts of them were left out", fmt.Sprintf("%s: %s", c.Name, plural(n, "part")))
		}
	}
	for _, resizing := range h.Resizing {
		if rep := &resizing.Report; rep.Sized() < rep.Frames {
			d.say(DoubtResizing, "not all packets could be made the size that was asked for", rep.String())
		}
	}
}

// cut is strings.Cut at the last separator.
func cut(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (d *doubts) scenario(s *analysis.Scenario, records []scenario.Record) {
	h := &s.Header
	if s.Trials < s.Planned {
		d.say(DoubtUnfinished, fmt.Sprintf("unfinished: %d of %d trials", s.Trials, s.Planned))
	}
	if h.Plan.LimitSeconds > 0 {
		d.say(DoubtQuick, fmt.Sprintf("traffic was cut to %g s a row: a first look, not for publication", h.Plan.LimitSeconds))
	}
	if h.Plan.Repeats < analysis.MinRepeats {
		d.say(DoubtRepeats, fmt.Sprintf("%s cannot give %g %%: no interval of the median below %d", plural(h.Plan.Repeats, "run"), 100*analysis.Level, analysis.MinRepeats))
	}
	for _, m := range h.Missing {
		d.say(DoubtOther, "engines are not on this machine", m.Why)
	}
	last := make(map[scenario.Trial]int) // of one that was tried again, as analysis.AnalyzeScenario counts
	for i := range records {
		last[records[i].Trial] = i
	}
	type place struct{ row, engine string }
	type counted struct{ trials, failed, fed, late int }
	at := make(map[place]*counted)
	var measured []trial.Record
	for i := range records {
		rec := &records[i]
		if last[rec.Trial] != i {
			continue
		}
		p := place{rec.Row, rec.Engine}
		if at[p] == nil {
			at[p] = &counted{}
		}
		at[p].trials++
		if rec.Failure != "" {
			at[p].failed++
		}
		if rec.Program != nil && !rec.Closed && rec.Failure == "" { // this program's engines are fed without a clock to be late by
			at[p].fed++
			if rec.Result.Lateness.P99 > feedLimit {
				at[p].late++
			}
		}
		one := trial.Record{Kind: trial.KindTrial, Cell: trial.Cell{Engine: rec.Row + ",", Size: rec.Engine}, Result: rec.Result, Marks: rec.Marks}
		if rec.Usage != nil {
			one.Usage = *rec.Usage
		}
		measured = append(measured, one)
	}
	d.trials(&trial.Header{Environment: h.Environment}, measured)
	for i := range s.Rows {
		for j := range s.Rows[i].Engines {
			c := &s.Rows[i].Engines[j]
			where := s.Rows[i].Row.Name + ", " + c.Engine
			of := at[place{s.Rows[i].Row.Name, c.Engine}]
			if of == nil {
				of = &counted{}
			}
			d.count(DoubtLate, where, of.late, of.fed, 0, func(d *Doubt, _ float64) string {
				return fmt.Sprintf("in %d of %s one packet in a hundred or more came to the queue over %v late: the feeder had no CPU", d.Count, plural(d.Of, "trial"), feedLimit)
			})
			for _, f := range c.Failures {
				d.say(DoubtFailed, "other programs failed in some trials, which count in no number", fmt.Sprintf("%s: %d of %s: %s", where, of.failed, plural(of.trials, "trial"), f))
			}
			if c.Program != nil {
				for _, w := range c.Program.Warnings {
					d.say(DoubtOther, "other programs warned", where+": "+w)
				}
			}
		}
	}
}

func (d *doubts) live(l *analysis.Live, records []live.Record) {
	p := &l.Header.Plan
	if p.Quick {
		d.say(DoubtQuick, fmt.Sprintf("a quick look, with trials of %v: not for publication", p.Trial))
	} else if p.Repeats < analysis.MinRepeats {
		d.say(DoubtRepeats, fmt.Sprintf("%s cannot give %g %%: no interval of the median below %d", plural(p.Repeats, "run"), 100*analysis.Level, analysis.MinRepeats))
	}
	if len(l.Engines) < len(p.Engines) {
		d.say(DoubtUnfinished, fmt.Sprintf("unfinished: %d of %d engines", len(l.Engines), len(p.Engines)))
	}
	type sent struct {
		paced, late int
		worst       float64
	}
	senders := make(map[string]*sent)
	var engines []string
	var measured []trial.Record
	for i := range records {
		rec := &records[i]
		switch t := rec.Trial; {
		case t != nil:
			one := trial.Record{Kind: trial.KindTrial, Cell: trial.Cell{Engine: rec.Engine, Size: "on the network"}}
			if t.Usage != nil {
				one.Usage = *t.Usage
			}
			measured = append(measured, one)
			if t.Load > 0 && t.Sender.Frames > 0 { // at top speed no packet is due
				of := senders[rec.Engine]
				if of == nil {
					of = &sent{}
					senders[rec.Engine] = of
					engines = append(engines, rec.Engine)
				}
				of.paced++
				if share := float64(t.Sender.Late) / float64(t.Sender.Frames); share > lateLimit {
					of.late++
					of.worst = max(of.worst, share)
				}
			}
		case rec.Memory != nil:
			measured = append(measured, *rec.Memory)
		}
	}
	d.trials(&trial.Header{Environment: l.Header.Environment}, measured)
	for _, name := range engines {
		of := senders[name]
		d.count(DoubtSenderLate, name+" on the network", of.late, of.paced, of.worst, func(d *Doubt, worst float64) string {
			return fmt.Sprintf("the sender was late with over %s of the packets in %d of %s (%s at worst): loads were less even than was asked for",
				report.FormatRatio(lateLimit), d.Count, plural(d.Of, "trial"), report.FormatRatio(worst))
		})
	}
	for i := range l.Engines {
		if e := &l.Engines[i]; e.SenderLimited {
			d.say(DoubtSender, "the sender could not show more: its rates are lower limits, no ceilings", e.Engine)
		}
	}
	for _, c := range l.Header.Captures {
		if strings.HasPrefix(c.Name, "synth:") {
			d.say(DoubtSynthetic, "traffic was made by this program, not captured", c.Name)
		}
	}
}

// differ says in what studies are not the same experiment.
func (d *doubts) differ(sources []*report.Source) {
	facts := map[string]map[string]bool{}
	names := []string{"version of the program", "version of Go", "capture", "queue", "arrivals", "clock", "feed", "stages", "edits of the packets", "length of trials"}
	note := func(name, value string) {
		if facts[name] == nil {
			facts[name] = make(map[string]bool)
		}
		facts[name][value] = true
	}
	studies := 0
	for _, s := range sources {
		if s.Kind != report.KindStudy {
			continue
		}
		studies++
		h := &s.Study.Header
		var sums []string
		for _, c := range h.Captures {
			sums = append(sums, c.SHA256)
		}
		for i, value := range []string{h.Version, h.Environment.GoVersion, strings.Join(sums, " "), h.Settings.Queue, h.Settings.Pattern, h.Settings.Clock, h.Settings.Feed,
			strings.Join(h.Settings.Stages, " "), h.Settings.Edits.String() + h.Settings.Sides, h.Plan.Trial.String()} {
			note(names[i], value)
		}
	}
	var apart []string
	for _, name := range names {
		if len(facts[name]) > 1 {
			apart = append(apart, name)
		}
	}
	if studies > 1 && len(apart) > 0 {
		d.say(DoubtDiffer, "the sources differ in more than the machine ("+strings.Join(apart, ", ")+"): their numbers are not of the same experiment")
	}
}
