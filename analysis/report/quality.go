package report

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"pcaplab/analysis"
	"pcaplab/replay"
	"pcaplab/replay/quality"
)

// QualityFiles is how the files of quality under load are called, before .png, .svg and .csv.
const QualityFiles = "quality-under-load"

// WriteSpeed writes how fast the parts of a detector are, for a person.
func WriteSpeed(w io.Writer, s *analysis.Speed) error { return speedTable(s).WriteText(w) }

func speedTable(s *analysis.Speed) *Table {
	t := &Table{Title: "speed, one core", Columns: []Column{
		{Head: "what", Key: "what"}, {Head: "packets/s", Key: "packets_per_second", Right: true}, {Head: "vectors/s", Key: "vectors_per_second", Right: true},
		{Head: "time", Key: "ns", Right: true}, {Head: "marks"},
	}}
	count := func(v float64) string { return strings.TrimSuffix(scaled(v, ""), " ") }
	for _, r := range s.Rows {
		time := ranged(r.NS, FormatDuration)
		switch {
		case r.NS.N == 0:
		case strings.HasPrefix(r.What, analysis.SpeedEngine):
			time.Text += " a packet"
		default:
			time.Text += " a vector"
		}
		t.Add(Text(r.What), ranged(r.Packets, count), ranged(r.Vectors, count), time, Text(strings.Join(r.Marks, " ")))
	}
	note := func(format string, args ...any) { t.Notes = append(t.Notes, fmt.Sprintf(format, args...)) }
	if s.PerVector > 0 {
		note("%.4g packets make a vector; packets/s of the model alone are vectors/s x that", s.PerVector)
	}
	if l := s.Latency; l != nil {
		note("a call of the model for one vector: p50 %s, p99 %s, p99.9 %s, longest %s, of %d calls; two readings of the clock (%s) are taken off",
			FormatDuration(float64(l.P50)), FormatDuration(float64(l.P99)), FormatDuration(float64(l.P999)), FormatDuration(float64(l.Max)), l.Calls,
			FormatDuration(float64(l.Clock)))
	}
	if s.Peak > 0 {
		text := fmt.Sprintf("memory: at most %s resident in a process of engine, features and model", FormatOctets(float64(s.Peak)))
		if s.Own > 0 {
			text += fmt.Sprintf(", %s of it beside the capture", FormatOctets(float64(s.Own)))
		}
		note("%s", text)
	}
	if s.Left > 0 {
		note("%d vectors of %d were left out of the model's speed: values that are not finite", s.Left, s.Left+s.Vectors)
	}
	for _, text := range s.NotDone {
		note("not measured: %s", text)
	}
	return t
}

// ranged shows a median with the least and the greatest value.
func ranged(s analysis.Summary, format func(float64) string) Cell {
	if s.N == 0 {
		return Number(math.NaN(), format)
	}
	c := Number(s.Median, format)
	if s.N > 1 {
		c.Text += " (" + between(format(s.Min), format(s.Max)) + ")"
	}
	return c
}

// WriteQuality writes quality under load for a person.
func WriteQuality(w io.Writer, r *quality.Report) error {
	t := qualityTable(r)
	if len(t.Rows) == 0 {
		return errors.New("quality under load: no loads")
	}
	return t.WriteText(w)
}

// keepsUp says up to which load the model is right and misses no windows to speak of.
func keepsUp(r *quality.Report) string {
	measure := fmt.Sprintf("%g %% of the packets delivered and of the windows decided, macro-F1 at most %g below that without loss", 100*quality.KeptShare, quality.KeptF1)
	k := r.KeepsUp
	rate := ""
	if k != nil {
		rate = FormatRate(k.Rate)
		if k.Net > 1.05*k.Rate {
			rate += fmt.Sprintf("; about %s without the feed's own time", FormatRate(k.Net))
		}
	}
	switch {
	case k == nil && !decided(r.Points[0].Baseline):
		return "no window was decided, not even without loss: there is nothing to be right about"
	case k == nil:
		return fmt.Sprintf("does not keep up with the lowest load, %s: %s", multiple(r.Points[0].Load, 0, 3), measure)
	case k.Most:
		return fmt.Sprintf("keeps up and is as right as without loss at all loads measured, up to %s (%s): %s", multiple(k.Load, 0, 3), rate, measure)
	default:
		return fmt.Sprintf("keeps up and is as right as without loss up to %s (%s): %s", multiple(k.Load, 0, 3), rate, measure)
	}
}

// decided reports whether a window was decided in any repeat.
func decided(list []quality.Measure) bool {
	return slices.ContainsFunc(list, func(m quality.Measure) bool { return m.Decided() > 0 })
}

// WriteQualityCSV writes a line for each load and repeat.
func WriteQualityCSV(w io.Writer, r *quality.Report) error { return qualityDataTable(r).WriteCSV(w) }

func qualityDataTable(r *quality.Report) *Table {
	t := &Table{}
	for _, key := range []string{"of_service", "repeat", "offered_pps", "offered", "delivered", "lost", "vectors", "decided", "undecided", "coverage", "macro_f1",
		"macro_f1_without_loss", "balanced_accuracy", "balanced_accuracy_without_loss", "accuracy", "benign_recall", "benign_recall_without_loss", "detection_rate",
		"attacks_found", "false_alarms", "false_alarms_without_loss", "false_alarms_per_hour", "wait_p99_ns", "marks"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	whole := func(n uint64) Cell { return Text(strconv.FormatUint(n, 10)) }
	number := func(v float64) Cell { return Number(v, decimals(6)) }
	for i := range r.Points {
		p := &r.Points[i]
		for n := range p.Measured {
			m, base0, s, base := &p.Measured[n], &p.Baseline[n], p.Scores[n], p.BaselineScores[n]
			t.Add(number(p.Load), Text(strconv.Itoa(n+1)), number(m.OfferedRate()), whole(m.Offered), whole(m.Delivered), whole(m.Lost), whole(m.Vectors), whole(m.Decided()),
				whole(m.Undecided), number(s.Coverage), number(of(m.Decided(), s.MacroF1)), number(of(base0.Decided(), base.MacroF1)), number(of(m.Decided(), s.BalancedAccuracy)),
				number(of(base0.Decided(), base.BalancedAccuracy)), number(of(m.Decided(), s.Accuracy)),
				number(of(s.BenignWindows, s.BenignRecall)), number(of(base.BenignWindows, base.BenignRecall)), number(of(s.AttackWindows, s.DetectionRate)),
				number(of(base.AttackWindows, s.AttacksFound)), whole(s.FalseAlarms), whole(base.FalseAlarms), number(hourly(m, s)), Text(strconv.FormatInt(int64(m.DelayP99), 10)),
				Text(strings.Join(m.Marks, " ")))
		}
	}
	return t
}

// of is a share of windows, NaN where there are none.
func of(windows uint64, share float64) float64 {
	if windows == 0 {
		return math.NaN()
	}
	return share
}

func hourly(m *quality.Measure, s quality.Score) float64 {
	if m.BenignTime <= 0 {
		return math.NaN()
	}
	return s.FalseAlarmsHour
}

// over is the median of a value over the repeats of a point, with its range.
func over(p *quality.Point, value func(i int) float64) analysis.Summary {
	values := make([]float64, len(p.Measured))
	for i := range values {
		values[i] = value(i)
	}
	return analysis.Summarize(values)
}

func qualityTable(r *quality.Report) *Table {
	t := &Table{Title: "quality under load", Columns: []Column{{Head: "load", Right: true}, {Head: "offered", Right: true}, {Head: "delivered", Right: true},
		{Head: "coverage", Right: true}, {Head: "macro-F1", Right: true}, {Head: "no loss", Right: true}, {Head: "balanced", Right: true},
		{Head: "benign recall", Right: true}, {Head: "false alarms/h", Right: true}, {Head: "attacks found", Right: true}, {Head: "wait p99", Right: true}, {Head: "marks"}}}
	plain := func(s analysis.Summary, format func(float64) string) Cell {
		if s.N == 0 {
			return Number(math.NaN(), format)
		}
		return Number(s.Median, format)
	}
	rounded := func(v float64) string { return strings.TrimSuffix(scaled(v, ""), " ") }
	for i := range r.Points {
		p := &r.Points[i]
		var marked []string
		for n := range p.Measured {
			for _, mark := range p.Measured[n].Marks {
				if mark != quality.MarkFeedLimited && !slices.Contains(marked, mark) { // the notes have the feed's share
					marked = append(marked, mark)
				}
			}
		}
		t.Add(
			Text(multiple(p.Load, 0, 3)),
			plain(over(p, func(i int) float64 { return p.Measured[i].OfferedRate() }), FormatRate),
			plain(over(p, func(i int) float64 { return p.Measured[i].DeliveredShare() }), FormatRatio),
			plain(over(p, func(i int) float64 { return p.Scores[i].Coverage }), FormatRatio),
			ranged(over(p, func(i int) float64 { return of(p.Measured[i].Decided(), p.Scores[i].MacroF1) }), decimals(3)),
			plain(over(p, func(i int) float64 { return of(p.Baseline[i].Decided(), p.BaselineScores[i].MacroF1) }), decimals(3)),
			plain(over(p, func(i int) float64 { return of(p.Measured[i].Decided(), p.Scores[i].BalancedAccuracy) }), decimals(3)),
			plain(over(p, func(i int) float64 { return of(p.Scores[i].BenignWindows, p.Scores[i].BenignRecall) }), FormatRatio),
			plain(over(p, func(i int) float64 { return hourly(&p.Measured[i], p.Scores[i]) }), rounded),
			plain(over(p, func(i int) float64 { return of(p.BaselineScores[i].AttackWindows, p.Scores[i].AttacksFound) }), FormatRatio),
			plain(over(p, func(i int) float64 { return float64(p.Measured[i].DelayP99) }), FormatDuration),
			Text(strings.Join(marked, " ")),
		)
	}
	if len(r.Points) > 0 {
		t.Notes = append(t.Notes, keepsUp(r))
	}
	t.Notes = append(t.Notes, qualityNotes(r)...)
	return t
}

// qualityNotes says what the numbers are of.
func qualityNotes(r *quality.Report) []string {
	var ceilings, shares, net []float64
	for _, f := range r.Traffic {
		ceilings = append(ceilings, f.Service...)
		for i, share := range f.FeedShare {
			if share > 0 && share < 1 && i < len(f.Service) {
				shares = append(shares, share)
				net = append(net, f.Service[i]/(1-share))
			}
		}
	}
	notes := []string{}
	if r.Synthetic != "" {
		notes = append(notes, r.Synthetic)
	}
	if s := analysis.Summarize(ceilings); s.N > 0 {
		text := fmt.Sprintf("1x is each capture's own service ceiling with features and model: %s (%s)", FormatRate(s.Median), between(FormatRate(s.Min), FormatRate(s.Max)))
		if share := analysis.Summarize(shares); share.N > 0 {
			text += fmt.Sprintf(", of whose time %s is the feed's own", FormatRatio(share.Median))
			if share.Median > 0.05 {
				text += fmt.Sprintf(": it reads the clock %s for each %s; %s without it", r.Clock, frames(r.Batch), FormatRate(analysis.Summarize(net).Median))
			}
		}
		notes = append(notes, text, fmt.Sprintf("captures are fed one by one, %d of them, and added up as if each had been passed %s", len(r.Traffic), times(r.Passes)))
	}
	var none []string
	for i := range r.Points {
		if p := &r.Points[i]; !decided(p.Measured) && decided(p.Baseline) {
			none = append(none, multiple(p.Load, 0, 3))
		}
	}
	if len(none) > 0 {
		notes = append(notes, fmt.Sprintf("no window was decided at %s: there is nothing to score", strings.Join(none, ", ")))
	}
	stamp := "features see the capture times: only loss changes them"
	if r.Stamp == replay.StampDue {
		stamp = "features see the times at which frames are due: load and loss change them"
	}
	notes = append(notes,
		fmt.Sprintf("engine %s, queue %s, clock %s, %s; medians of %d repeats, in brackets the range; in one process", r.Engine, r.Queue, r.Clock, stamp, r.Repeats),
		"coverage: windows decided over those decided without loss; attacks found: attack windows with an alarm over those there were without loss")
	return notes
}

func frames(batch int) string {
	if batch <= 1 {
		return "packet"
	}
	return strconv.Itoa(batch) + " packets at most"
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// WriteQualityFiles writes the table as CSV and the chart, by the function that makes a file whole.
func WriteQualityFiles(write func(name string, write func(io.Writer) error) error, r *quality.Report) error {
	chart := qualityChart(r)
	for name, f := range map[string]func(io.Writer) error{
		QualityFiles + ".csv": func(w io.Writer) error { return WriteQualityCSV(w, r) },
		QualityFiles + ".png": func(w io.Writer) error { return WritePNG(w, chart) },
		QualityFiles + ".svg": func(w io.Writer) error { return WriteSVG(w, chart) },
	} {
		if err := write(name, f); err != nil {
			return err
		}
	}
	return nil
}

// QualityChart shows shares between 0 and 1 against the offered load, which is logarithmic.
type QualityChart struct {
	Title  string
	Note   string
	Axis   string // of the loads
	Series []QualitySeries
}

// QualitySeries is one line of a QualityChart.
type QualitySeries struct {
	Name   string
	Dashed bool // a line to compare with, without points
	Points []QualityPoint
}

// QualityPoint is a value with the range of its repeats. NaN values are left out.
type QualityPoint struct{ Load, Value, Low, High float64 }

func qualityChart(r *quality.Report) Chart {
	ch := QualityChart{Title: "Quality under load", Axis: "offered load / service ceiling", Note: strings.Join(qualityNotes(r), "; ")}
	add := func(name string, dashed bool, value func(p *quality.Point, i int) float64) {
		s := QualitySeries{Name: name, Dashed: dashed}
		for i := range r.Points {
			p := &r.Points[i]
			v := over(p, func(i int) float64 { return value(p, i) })
			if v.N > 0 {
				s.Points = append(s.Points, QualityPoint{p.Load, v.Median, v.Min, v.Max})
			}
		}
		if len(s.Points) > 0 {
			ch.Series = append(ch.Series, s)
		}
	}
	add("macro-F1", false, func(p *quality.Point, i int) float64 { return of(p.Measured[i].Decided(), p.Scores[i].MacroF1) })
	add("packets delivered", false, func(p *quality.Point, i int) float64 { return p.Measured[i].DeliveredShare() })
	add("benign recall", false, func(p *quality.Point, i int) float64 { return of(p.Scores[i].BenignWindows, p.Scores[i].BenignRecall) })
	add("attacks found", false, func(p *quality.Point, i int) float64 {
		return of(p.BaselineScores[i].AttackWindows, p.Scores[i].AttacksFound)
	})
	add("macro-F1 without loss", true, func(p *quality.Point, i int) float64 { return of(p.Baseline[i].Decided(), p.BaselineScores[i].MacroF1) })
	return ch
}

func (ch QualityChart) page() (*page, error) {
	low, high := math.Inf(1), 0.0
	for _, s := range ch.Series {
		for i, pt := range s.Points {
			for _, v := range []float64{pt.Value, pt.Low, pt.High} {
				if !(v >= 0 && v <= 1) {
					return nil, fmt.Errorf("quality chart: %s, point %d: %g cannot be drawn", s.Name, i+1, v)
				}
			}
			if !usable(pt.Load) || pt.Load == 0 {
				return nil, fmt.Errorf("quality chart: %s, point %d: a load of %g cannot be drawn", s.Name, i+1, pt.Load)
			}
			low, high = min(low, pt.Load), max(high, pt.Load)
		}
	}
	if high == 0 {
		return nil, errors.New("quality chart: no points")
	}
	p := newPlot(ch.Axis, "share")
	p.X.Padding = vg.Points(6)
	setScale(&p.X, logBelow(low), logAbove(high), true, func(v float64) string { return tick(v) + "x" })
	setScale(&p.Y, 0, 1, false, tick)
	var legend []entry
	for i, s := range ch.Series {
		line, glyph := lineOf(i), glyphOf(i)
		if s.Dashed {
			line = draw.LineStyle{Color: gray, Width: vg.Points(1), Dashes: []vg.Length{vg.Points(3), vg.Points(2)}}
		}
		p.Add(plotFunc(func(c draw.Canvas, p *plot.Plot) {
			x, y := p.Transforms(&c)
			at := make([]vg.Point, len(s.Points))
			for k, pt := range s.Points {
				at[k] = vg.Point{X: x(pt.Load), Y: y(pt.Value)}
				if pt.High > pt.Low && !s.Dashed {
					c.StrokeLine2(draw.LineStyle{Color: line.Color, Width: vg.Points(0.8)}, at[k].X, y(pt.Low), at[k].X, y(pt.High))
				}
			}
			c.StrokeLines(line, at)
			if s.Dashed {
				return
			}
			for _, pt := range at {
				c.DrawGlyphNoClip(glyph, pt)
			}
		}))
		legend = append(legend, entry{label(s.Name), func(c draw.Canvas, at vg.Point) {
			c.StrokeLine2(line, at.X-iconWidth/2, at.Y, at.X+iconWidth/2, at.Y)
			if !s.Dashed {
				c.DrawGlyph(glyph, at)
			}
		}})
	}
	return newPage(ch.Title, ch.Note, 3.2*vg.Inch, 0, p, legend, true), nil
}
