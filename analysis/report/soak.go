package report

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
)

// soakTable shows for each soak the first window, the time between, the last window and the change, and below what it means.
func soakTable(r *analysis.Results) *Table {
	p := &r.Header.Plan
	load := formatLoad(r)
	several := slices.ContainsFunc(r.Soaks, func(s analysis.Soak) bool { return s.Cell.Workers > 1 })
	t := &Table{
		Title:   fmt.Sprintf("soak of %v: the first and the last %v", p.Soak, p.Window()),
		Columns: []Column{{Head: "engine"}, {Head: "size"}, {Head: "frames"}},
	}
	if several {
		t.Columns = append(t.Columns, Column{Head: "workers", Right: true})
	}
	if p.Repeats > 1 {
		t.Columns = append(t.Columns, Column{Head: "repeat", Right: true})
	}
	t.Columns = append(t.Columns, Column{Head: "window"}, Column{Head: "service", Right: true})
	for _, g := range p.Goals {
		t.Columns = append(t.Columns, Column{Head: goalHead(g.Name), Right: true})
	}
	t.Columns = append(t.Columns, Column{Head: "temperature", Right: true}, Column{Head: "clock", Right: true},
		Column{Head: "clock by loop", Right: true})
	for i := range r.Soaks {
		s := &r.Soaks[i]
		add := func(window string, cells ...Cell) {
			row := []Cell{Text(s.Cell.Engine), Text(s.Cell.Size), Text(s.Cell.Cache)}
			if several {
				row = append(row, Text(strconv.Itoa(s.Cell.Workers)))
			}
			if p.Repeats > 1 {
				row = append(row, Text(strconv.Itoa(s.Repeat)))
			}
			t.Add(append(append(row, Text(window)), cells...)...)
		}
		for _, w := range []struct {
			name string
			*analysis.SoakWindow
		}{{"first", &s.First}, {"between", &s.Between}, {"last", &s.Last}} {
			cells := []Cell{with(w.Service, load)}
			for _, goal := range p.Goals {
				cells = append(cells, soakGoalCell(w.SoakWindow, goal.Name, w.name == "between", load))
			}
			add(w.name, append(cells, Text(temperatures(w.SoakWindow)), Text(clock(w.Hz)), loopCell(s, w.SoakWindow))...)
		}
		cells := []Cell{Text(change(&s.Change))}
		for _, goal := range p.Goals {
			cells = append(cells, Text(goalChange(&s.Last, goal.Name)))
		}
		add("change", append(cells, Text(""), Text(""), Text(""))...)
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		name := s.Cell.String()
		if p.Repeats > 1 {
			name += fmt.Sprintf(" #%d", s.Repeat)
		}
		t.Notes = append(t.Notes, name+": "+soakSentence(s))
	}
	return t
}

func soakGoalCell(w *analysis.SoakWindow, goal string, between bool, load func(float64) string) Cell {
	if between {
		return Text("")
	}
	for _, g := range w.Goals {
		if g.Goal != goal {
			continue
		}
		switch {
		case g.Rate == nil && g.NoTime:
			return Text("no time")
		case g.Rate == nil:
			return Text("none")
		case g.Upper == nil && g.NoTime:
			return Text("> " + load(*g.Rate) + " *")
		case g.Upper == nil:
			return Text("> " + load(*g.Rate))
		case !g.Regular:
			return Text(load(*g.Rate) + " *")
		}
		return Text(load(*g.Rate))
	}
	return Text("n/a")
}

// celsius writes a temperature: "80.3 °C", or "n/a".
func celsius(milli *int64) string {
	if milli == nil {
		return "n/a"
	}
	return strconv.FormatFloat(float64(*milli)/1000, 'f', 1, 64) + " °C"
}

// temperatures writes those of a window: "45.0 to 61.2 °C", and the highest where that was neither.
func temperatures(w *analysis.SoakWindow) string {
	if w.BeginMilliC == nil || w.EndMilliC == nil {
		return "n/a"
	}
	text := strings.TrimSuffix(celsius(w.BeginMilliC), " °C") + " to " + celsius(w.EndMilliC)
	if m := *w.MaxMilliC; m >= max(*w.BeginMilliC, *w.EndMilliC)+1000 {
		text += ", up to " + strings.TrimSuffix(celsius(&m), " °C")
	}
	return text
}

func clock(hz *int64) string {
	if hz == nil {
		return "n/a"
	}
	return scaled(float64(*hz), "Hz")
}

// loopCell is the clock of a window by the calibration loop, against the first window's.
func loopCell(s *analysis.Soak, w *analysis.SoakWindow) Cell {
	if s.First.LoopNS == nil || w.LoopNS == nil {
		return Text("n/a")
	}
	return Text(FormatRatio(*s.First.LoopNS / *w.LoopNS))
}

// signed writes a relative change: "+0.300 %", "-31.0 %".
func signed(ratio float64) string {
	if ratio > 0 {
		return "+" + FormatRatio(ratio)
	}
	return FormatRatio(ratio)
}

func change(c *analysis.Change) string {
	if c.Ratio == nil {
		return "n/a"
	}
	if !c.Interval.Valid() {
		return signed(*c.Ratio)
	}
	return signed(*c.Ratio) + " [" + between(signed(c.Interval.Low), signed(c.Interval.High)) + "]"
}

func goalChange(w *analysis.SoakWindow, goal string) string {
	for _, g := range w.Goals {
		if g.Goal != goal || g.Change == nil {
			continue
		}
		return signed(g.Change.Ratio) + " (" + between(signed(g.Change.Low), signed(g.Change.High)) + ")"
	}
	return "n/a"
}

// soakSentence says what a soak showed.
func soakSentence(s *analysis.Soak) string {
	text := ""
	switch {
	case !s.Ended:
		text = "unfinished"
	case s.Change.Ratio == nil:
		text = "no rates to compare"
	case s.Verdict == analysis.SoakUnknown:
		text = fmt.Sprintf("changed by %s; too few closed loops for an interval", signed(*s.Change.Ratio))
	case s.Verdict == analysis.SoakFell:
		text = "fell by " + FormatRatio(-*s.Change.Ratio)
		if s.Slower != nil {
			text += " after " + FormatDuration(float64(*s.Slower))
			if s.SlowerMilliC != nil {
				text += ", at " + celsius(s.SlowerMilliC)
			}
		}
		text += ": " + soakCause(s)
	case s.Verdict == analysis.SoakHeld:
		text = "held"
		switch i := s.Change.Interval; {
		case i.High < 0:
			text += fmt.Sprintf(" within %s: fell by %s", FormatRatio(analysis.SoakFall), FormatRatio(-*s.Change.Ratio))
		case i.Low > 0:
			text += ": rose by " + FormatRatio(*s.Change.Ratio)
		}
	default:
		text = fmt.Sprintf("unclear: the spread hides what lies between %s and %s", signed(s.Change.Interval.Low), signed(s.Change.Interval.High))
	}
	if s.Ended && s.Verdict != analysis.SoakFell && s.Slower != nil && *s.Slower > s.First.To {
		text += fmt.Sprintf("; slower by more than %s for a time, first after %s", FormatRatio(analysis.SoakFall), FormatDuration(float64(*s.Slower)))
		if s.SlowerMilliC != nil {
			text += ", at " + celsius(s.SlowerMilliC)
		}
	}
	if s.StartMilliC != nil {
		text += fmt.Sprintf("; %s at the start, %s at most, %s at the end", celsius(s.StartMilliC), celsius(s.MaxMilliC), celsius(s.EndMilliC))
	}
	if s.First.Hz != nil && s.MinHz != nil {
		text += fmt.Sprintf("; clock %s at first, %s at least", clock(s.First.Hz), clock(s.MinHz))
	}
	if f := s.Throttle; f != nil {
		text += "; flags " + f.String()
	}
	if c := s.Cooling; c != nil {
		text += fmt.Sprintf("; waited %s before to cool from %s to %s", FormatDuration(float64(c.Waited)), celsius(&c.FromMilliC), celsius(&c.ToMilliC))
		if !c.Reached() {
			text += fmt.Sprintf(", not to the %s of the study's start", celsius(&c.TargetMilliC))
		}
	}
	return text
}

// soakCause says why a rate fell, as far as the board tells.
func soakCause(s *analysis.Soak) string {
	switch s.Cause {
	case analysis.CauseThrottled:
		return "throttled"
	case analysis.CauseUnderVoltage:
		return "under-voltage"
	case analysis.CauseClock:
		return fmt.Sprintf("the clock went from %s to %s", clock(s.First.Hz), clock(s.Last.Hz))
	case analysis.CauseLoop:
		return fmt.Sprintf("the clock fell by %s by the calibration loop; the kernel does not tell", FormatRatio(1-*s.LoopLast))
	case analysis.CauseHost:
		return "other work on the host took the CPU"
	case analysis.CauseNotClock:
		return "not the clock, which held"
	}
	return "this machine does not tell why"
}

// WriteSoakCSV writes a row for each soak with all digits; what is not known is empty. Beside engine, size, cache, workers,
// repeat and attempt there are
//
//   - ended, verdict, cause: as in analysis.Soak;
//   - change, change_low, change_high: of the service ceiling, relative;
//   - slower_after_s, slower_celsius; start_celsius, max_celsius, end_celsius; min_hz, loop_last, loop_min; throttle (flags in
//     words); cooled_s;
//   - for each of first, between and last: _from_s, _to_s, _trials, _service_UNIT with _low, _high and _n (blocks), _celsius
//     (at its end), _hz, _loop_ns, and for each goal but between _GOAL_UNIT, _GOAL_UNIT_smallest_lower,
//     _GOAL_UNIT_largest_upper, _GOAL_regular and _GOAL_without_time (whether the search ended with its window);
//   - for each goal GOAL_change, where both windows are regular.
func WriteSoakCSV(w io.Writer, r *analysis.Results) error {
	t := &Table{}
	head := func(heads ...string) {
		for _, h := range heads {
			t.Columns = append(t.Columns, Column{Head: h})
		}
	}
	unit := "_" + strings.ReplaceAll(r.Header.Settings.Unit, "/", "_per_")
	goals := r.Header.Plan.Goals
	head("engine", "size", "cache", "workers", "repeat", "attempt", "ended", "verdict", "cause", "change", "change_low", "change_high",
		"slower_after_s", "slower_celsius", "start_celsius", "max_celsius", "end_celsius", "min_hz", "loop_last", "loop_min", "throttle",
		"cooled_s")
	for _, window := range []string{"first", "between", "last"} {
		service := window + "_service" + unit
		head(window+"_from_s", window+"_to_s", window+"_trials", service, service+"_low", service+"_high", service+"_n",
			window+"_celsius", window+"_hz", window+"_loop_ns")
		for _, g := range goals {
			if window != "between" {
				name := window + "_" + g.Name + unit
				head(name, name+"_smallest_lower", name+"_largest_upper", window+"_"+g.Name+"_regular",
					window+"_"+g.Name+"_without_time")
			}
		}
	}
	for _, g := range goals {
		head(g.Name + "_change")
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		valid := s.Change.Interval.Valid()
		row := []Cell{
			Text(s.Cell.Engine), Text(s.Cell.Size), Text(s.Cell.Cache), whole(s.Cell.Workers), whole(s.Repeat), whole(s.Attempt),
			Text(strconv.FormatBool(s.Ended)), Text(s.Verdict), Text(s.Cause), digits(s.Change.Ratio, 1),
			exact(s.Change.Interval.Low, valid), exact(s.Change.Interval.High, valid), seconds(s.Slower), digits(s.SlowerMilliC, 1000),
			digits(s.StartMilliC, 1000), digits(s.MaxMilliC, 1000), digits(s.EndMilliC, 1000), digits(s.MinHz, 1), digits(s.LoopLast, 1),
			digits(s.LoopMin, 1),
		}
		var flags, cooled Cell
		if s.Throttle != nil {
			flags = Text(s.Throttle.String())
		}
		if s.Cooling != nil {
			cooled = seconds(&s.Cooling.Waited)
		}
		row = append(row, flags, cooled)
		for j, window := range []*analysis.SoakWindow{&s.First, &s.Between, &s.Last} {
			if window.To == 0 {
				row = append(row, Cell{}, Cell{})
			} else {
				row = append(row, seconds(&window.From), seconds(&window.To))
			}
			row = append(row, whole(window.Trials))
			row = append(row, described(window.Service)...)
			row = append(row, digits(window.EndMilliC, 1000), digits(window.Hz, 1), digits(window.LoopNS, 1))
			for _, g := range goals {
				if j == 1 {
					continue
				}
				cells := make([]Cell, 5)
				if k := slices.IndexFunc(window.Goals, func(f analysis.SoakGoal) bool { return f.Goal == g.Name }); k >= 0 {
					of := &window.Goals[k]
					cells = []Cell{digits(of.Rate, 1), digits(of.Lower, 1), digits(of.Upper, 1), Text(strconv.FormatBool(of.Regular)),
						Text(strconv.FormatBool(of.NoTime))}
				}
				row = append(row, cells...)
			}
		}
		for _, g := range goals {
			var c Cell
			for _, f := range s.Last.Goals {
				if f.Goal == g.Name && f.Change != nil {
					c = digits(&f.Change.Ratio, 1)
				}
			}
			row = append(row, c)
		}
		t.Add(row...)
	}
	return t.WriteCSV(w)
}

// WriteSoakTrialsCSV writes a row for each closed loop of all soaks, in order, to be plotted against time: engine, size, cache,
// workers, repeat, phase, at_s (begin of the trial since the soak's), service_UNIT, and after the trial celsius, hz (as the
// kernel tells) and loop_ns (of the calibration loop). What is not known is empty.
func WriteSoakTrialsCSV(w io.Writer, r *analysis.Results) error {
	return soakTrialsTable(r).WriteCSV(w)
}

func soakTrialsTable(r *analysis.Results) *Table {
	t := &Table{}
	for _, h := range []string{"engine", "size", "cache", "workers", "repeat", "phase", "at_s",
		"service_" + strings.ReplaceAll(r.Header.Settings.Unit, "/", "_per_"), "celsius", "hz", "loop_ns"} {
		t.Columns = append(t.Columns, Column{Head: h})
	}
	for i := range r.Soaks {
		s := &r.Soaks[i]
		for _, at := range s.Trials {
			t.Add(Text(s.Cell.Engine), Text(s.Cell.Size), Text(s.Cell.Cache), whole(s.Cell.Workers), whole(s.Repeat), Text(at.Phase),
				seconds(&at.At), exact(at.Rate, true), digits(at.MilliC, 1000), digits(at.Hz, 1), digits(at.LoopNS, 1))
		}
	}
	return t
}

// digits returns all digits of a value over a divisor, or an empty cell where there is none.
func digits[T int64 | float64](v *T, divisor float64) Cell {
	if v == nil {
		return Cell{}
	}
	return exact(float64(*v)/divisor, true)
}

func seconds(d *time.Duration) Cell {
	if d == nil {
		return Cell{}
	}
	return exact(d.Seconds(), true)
}

// settled leaves of a soak's records what stands for it where one closed loop is wanted for each repeat: those of the last
// window, with the closed loop of the median rate. Records of other studies stay as they are.
func settled(h *trial.Header, records []trial.Record) []trial.Record {
	if h.Plan.Soak == 0 {
		return records
	}
	type key struct {
		cell   trial.Cell
		repeat int
	}
	var last []trial.Record
	loops := make(map[key][]trial.Record)
	for _, rec := range trial.LastAttempts(records) {
		if rec.Input.Phase != trial.PhaseLast {
			continue
		}
		k := key{rec.Cell, rec.Repeat}
		if rec.Kind != trial.KindService || len(loops[k]) == 0 {
			last = append(last, rec)
		}
		if rec.Kind == trial.KindService {
			loops[k] = append(loops[k], rec)
		}
	}
	for i := range last {
		if of := loops[key{last[i].Cell, last[i].Repeat}]; last[i].Kind == trial.KindService {
			slices.SortFunc(of, func(a, b trial.Record) int { return cmp.Compare(a.ServiceRate(), b.ServiceRate()) })
			last[i] = of[len(of)/2]
		}
	}
	return last
}

// SoakChart shows rates over time in percent of the first window's and, below, temperature and clock as far as they are known.
type SoakChart struct {
	Title  string
	Note   string
	Length time.Duration // of each soak, or the end of the longest where that is later
	Window time.Duration // first and last, shaded; 0: none
	Soaks  []SoakSeries
}

// SoakSeries is one soak.
type SoakSeries struct {
	Engine string
	Points []SoakPoint // by time
}

// SoakPoint is the state at a time. NaN is not known and leaves a gap; ratios are of the first window's values.
type SoakPoint struct {
	At      time.Duration
	Rate    float64
	Celsius float64
	Clock   float64 // as the kernel tells
	Loop    float64 // by the calibration loop
}

func (ch SoakChart) page() (*page, error) {
	if len(ch.Soaks) == 0 {
		return nil, errors.New("soak chart: no soaks")
	}
	end := ch.Length
	var rates, temperatures, clocks extent
	for _, s := range ch.Soaks {
		for i, pt := range s.Points {
			if !usable(pt.Rate) && !math.IsNaN(pt.Rate) || pt.At < 0 || math.IsInf(pt.Celsius, 0) || math.IsInf(pt.Clock, 0) || math.IsInf(pt.Loop, 0) ||
				pt.Clock < 0 || pt.Loop < 0 {
				return nil, fmt.Errorf("soak chart: engine %s, point %d: a rate of %g at %v, %g °C, clock %g, %g by the loop cannot be drawn",
					s.Engine, i+1, pt.Rate, pt.At, pt.Celsius, pt.Clock, pt.Loop)
			}
			end = max(end, pt.At)
			rates.add(pt.Rate)
			temperatures.add(pt.Celsius)
			clocks.add(pt.Clock)
			clocks.add(pt.Loop)
		}
	}
	if !rates.known {
		return nil, errors.New("soak chart: no points")
	}
	unit, per := "s", float64(time.Second)
	if end >= 3*time.Minute {
		unit, per = "min", float64(time.Minute)
	}
	type panel struct {
		axis      string
		low, high float64
		lines     []func(SoakPoint) float64 // the second is dashed
		scale     float64
	}
	panels := []panel{{"rate (% of first)", 0, 106 * rates.high, []func(SoakPoint) float64{
		func(p SoakPoint) float64 { return p.Rate }}, 100}}
	if temperatures.known {
		panels = append(panels, panel{"°C", 10 * math.Floor(temperatures.low/10), 10*math.Floor(temperatures.high/10) + 10,
			[]func(SoakPoint) float64{func(p SoakPoint) float64 { return p.Celsius }}, 1})
	}
	if clocks.known {
		panels = append(panels, panel{"clock (% of first)", max(0, 100*min(0.8, clocks.low-0.05)), 100 * (clocks.high + 0.05),
			[]func(SoakPoint) float64{func(p SoakPoint) float64 { return p.Loop }, func(p SoakPoint) float64 { return p.Clock }}, 100})
	}
	var plots []*plot.Plot
	for i, pn := range panels {
		axis := ""
		if i == len(panels)-1 {
			axis = "time (" + unit + ")"
		}
		p := newPlot(axis, pn.axis)
		setScale(&p.X, 0, max(float64(end)/per, 1e-9), false, tick)
		setScale(&p.Y, pn.low, max(pn.high, pn.low+1e-9), false, tick)
		if ch.Window > 0 {
			p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) { // behind the lines
				x, _ := p.Transforms(&c)
				band := func(from, to float64) {
					c.FillPolygon(color.RGBA{R: 0xf4, G: 0xf4, B: 0xf4, A: 0xff}, []vg.Point{
						{X: x(max(0, from)), Y: c.Min.Y}, {X: x(max(0, to)), Y: c.Min.Y}, {X: x(max(0, to)), Y: c.Max.Y}, {X: x(max(0, from)), Y: c.Max.Y},
					})
				}
				w, length := float64(ch.Window)/per, float64(ch.Length)/per
				band(0, min(w, p.X.Max))
				band(length-w, max(length, p.X.Max))
			}), grid{})
		}
		for k, s := range ch.Soaks {
			for j, value := range pn.lines {
				style := lineOf(k)
				if j > 0 {
					style.Dashes = []vg.Length{vg.Points(2), vg.Points(2)}
				}
				p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
					x, y := p.Transforms(&c)
					var at []vg.Point
					flush := func() {
						if len(at) == 1 {
							c.DrawGlyph(glyphOf(k), at[0])
						} else if len(at) > 1 {
							c.StrokeLines(style, at)
						}
						at = nil
					}
					for _, pt := range s.Points {
						v := pn.scale * value(pt)
						if math.IsNaN(v) {
							flush()
							continue
						}
						at = append(at, vg.Point{X: x(float64(pt.At) / per), Y: y(v)})
					}
					flush()
				}))
			}
		}
		plots = append(plots, p)
	}
	var legend []entry
	for k, s := range ch.Soaks {
		legend = append(legend, entry{label(s.Engine), func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(lineOf(k), at.X-iconWidth/2, at.Y, at.X+iconWidth/2, at.Y)
		}})
	}
	pg := newPage(ch.Title, ch.Note, vg.Length(1.2+1.3*float64(len(panels)))*vg.Inch, 0, plots[0], legend, false)
	pg.below = plots[1:]
	return pg, nil
}

// extent is the range of the known ones of some numbers.
type extent struct {
	low, high float64
	known     bool
}

func (e *extent) add(v float64) {
	switch {
	case math.IsNaN(v):
	case !e.known:
		*e = extent{v, v, true}
	default:
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

// drawStack draws plots one below another, the first as high as two, with their left and right ends in line.
func drawStack(c draw.Canvas, plots []*plot.Plot) {
	if len(plots) == 1 {
		plots[0].Draw(c)
		return
	}
	height := (c.Max.Y - c.Min.Y) / vg.Length(len(plots)+1)
	var parts []draw.Canvas
	var left, right vg.Length
	top := c.Max.Y
	for i, p := range plots {
		h := height
		if i == 0 {
			h = 2 * height
		}
		part := c
		part.Max.Y, part.Min.Y = top, top-h+margin/2
		top -= h
		parts = append(parts, part)
		inner := p.DataCanvas(part)
		left, right = max(left, inner.Min.X-part.Min.X), max(right, part.Max.X-inner.Max.X)
	}
	for i, p := range plots {
		inner := p.DataCanvas(parts[i])
		p.Draw(draw.Crop(parts[i], left-(inner.Min.X-parts[i].Min.X), -(right - (parts[i].Max.X - inner.Max.X)), 0, 0))
	}
}

// chartSpans is in about how many spans the closed loops of a soak are joined for a chart, by their median.
const chartSpans = 240

func soakChart(r *analysis.Results) (Chart, bool) {
	ch := SoakChart{Title: "Soak: rate, temperature and clock over time", Length: r.Header.Plan.Soak, Window: r.Header.Plan.Window()}
	ch.Note = chartNote(r) + ". Shaded: first and last window. Clock: by the calibration loop; dashed: as the kernel tells."
	load := formatLoad(r)
	for i := range r.Soaks {
		s := &r.Soaks[i]
		if len(s.Trials) == 0 || s.First.Service.N == 0 {
			continue
		}
		name := shortName(r, s.Cell)
		if r.Header.Plan.Repeats > 1 {
			name += fmt.Sprintf(" #%d", s.Repeat)
		}
		name += ": " + load(s.First.Service.Median)
		if s.Last.Service.N > 0 {
			name += " → " + load(s.Last.Service.Median)
		}
		ch.Soaks = append(ch.Soaks, SoakSeries{Engine: name, Points: soakPoints(s, ch.Window)})
	}
	return ch, len(ch.Soaks) > 0
}

// soakPoints joins closed loops. Where they pause for a search there is a gap.
func soakPoints(s *analysis.Soak, window time.Duration) (points []SoakPoint) {
	nan := math.NaN()
	length := (len(s.Trials) + chartSpans - 1) / chartSpans
	for from, to := 0, 0; from < len(s.Trials); from = to {
		pause := func(i int) bool { return i > 0 && s.Trials[i].At-s.Trials[i-1].At > window/20 }
		for to = from + 1; to < len(s.Trials) && to < from+length && !pause(to); to++ {
		}
		if pause(from) {
			points = append(points, SoakPoint{At: s.Trials[from-1].At, Rate: nan, Celsius: nan, Clock: nan, Loop: nan})
		}
		part := s.Trials[from:to]
		middle := func(value func(*analysis.SoakTrial) float64) float64 {
			var of []float64
			for j := range part {
				if v := value(&part[j]); !math.IsNaN(v) {
					of = append(of, v)
				}
			}
			if len(of) == 0 {
				return nan
			}
			slices.Sort(of)
			return of[len(of)/2]
		}
		points = append(points, SoakPoint{
			At:   part[len(part)/2].At,
			Rate: middle(func(t *analysis.SoakTrial) float64 { return t.Rate }) / s.First.Service.Median,
			Celsius: middle(func(t *analysis.SoakTrial) float64 {
				if t.MilliC == nil {
					return nan
				}
				return float64(*t.MilliC) / 1000
			}),
			Clock: middle(func(t *analysis.SoakTrial) float64 {
				if t.Hz == nil || s.First.Hz == nil || *s.First.Hz == 0 {
					return nan
				}
				return float64(*t.Hz) / float64(*s.First.Hz)
			}),
			Loop: middle(func(t *analysis.SoakTrial) float64 {
				if t.LoopNS == nil || s.First.LoopNS == nil {
					return nan
				}
				return *s.First.LoopNS / *t.LoopNS
			}),
		})
	}
	return points
}
