package published

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"pcaplab/analysis"
)

// textWidth is what no line of WriteText is wider than, in characters.
const textWidth = 120

// WriteText prints the explanation for a person: for each library its fits, what the queue model says of each row, and how
// near that is; at the end what the published numbers mean.
func (e Explanation) WriteText(w io.Writer) error {
	var b strings.Builder
	wrap(&b, "", "Source: "+e.Source+".")
	for _, l := range e.Libraries {
		l.writeText(&b)
	}
	b.WriteString("\nWhat the published numbers mean\n")
	width := 0
	for _, m := range e.Meanings {
		width = max(width, len(m.Of))
	}
	for _, m := range e.Meanings {
		wrap(&b, fmt.Sprintf("  %-*s  ", width, m.Of), m.Says)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l Library) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s\n", l.Library)
	wrap(b, "  window   ", fmt.Sprintf("%g s", l.WindowSeconds))
	wrap(b, "  queue    ", l.Queue)
	fmt.Fprintf(b, "  fits     of %d distinct UDP rows of the sending side (RS), each weighing the same; intervals of %g %%\n\n",
		l.Fits[0].Points, 100*analysis.Level)
	line := func(name string, f analysis.Fit, verdict string) {
		fmt.Fprintf(b, "  %-10s  %-67s %5.3f %5.1f%% %6.1f%%  %s\n", name, formula(f), f.R2, 100*f.MAPE, 100*f.Worst, verdict)
	}
	fmt.Fprintf(b, "  %-10s  %-67s %5s %6s %7s  %s\n", "form", "CPU time per packet", "R2", "MAPE", "worst", "verdict")
	for _, f := range l.Fits {
		verdict := "refused"
		if f.Accepted {
			verdict = "accepted"
		}
		if f.Form == l.Model.Form && l.Saturated == nil {
			verdict = "accepted, used"
		}
		line(string(f.Form), f, verdict)
	}
	if l.Saturated != nil {
		line("saturated", *l.Saturated, "flat, used")
		line("", *l.SaturatedLine, "line")
		wrap(b, "  saturated: ", fmt.Sprintf("the %d rows without floods that kept the sniffer busy, weighted by their packets",
			l.Saturated.Points))
	}
	for _, f := range l.Fits {
		if f.Form == analysis.FormWakeup && f.Accepted {
			wrap(b, "  wake-up: ", fmt.Sprintf("intervals: base %s, wake-up %s, busy from %.0f to %.0f pps", between(f.Base),
				between(f.Wakeup), f.BusyPPS.Interval.Low, f.BusyPPS.Interval.High))
		}
		for _, warning := range f.Warnings {
			wrap(b, "  "+string(f.Form)+": ", warning)
		}
	}
	wrap(b, "  used because ", l.Reason)
	fmt.Fprintf(b, "  with weights 1/cost²: %s + %s * B, R2 %.3f\n", duration(l.Relative.Base), duration(l.Relative.PerOctet),
		l.Relative.R2)

	fmt.Fprintf(b, "\n  %-31s %4s %6s %6s %10s %9s  %8s %8s %7s  %6s %6s\n", "row", "side", "pps", "s", "CPU/packet", "modelled",
		"counted", "modelled", "error", "CPU %", "error")
	for _, p := range l.Rows {
		r := p.Row
		var marks []string
		for _, m := range []struct {
			is   bool
			mark string
		}{{!p.Fitted, "-"}, {p.Saturated, "s"}, {p.Flood, "f"}, {p.Extrapolated, "x"}} {
			if m.is {
				marks = append(marks, m.mark)
			}
		}
		pps := "-"
		if p.PPS > 0 {
			pps = fmt.Sprintf("%.0f", p.PPS)
		}
		model := fmt.Sprintf("%9s  %8.1f %8s %7s  %6.2f %6s", "-", r.Counted, "-", "-", r.CPUPercent, "-")
		if p.ModelNS > 0 {
			model = fmt.Sprintf("%9s  %8.1f %8.1f %+6.1f%%  %6.2f %+6.2f", duration(p.ModelNS), r.Counted, p.Count, 100*p.CountError,
				r.CPUPercent, p.CPUError)
		}
		text := fmt.Sprintf("  %-31s %4s %6s %6.2f  %9s %s %s", r.Scenario, r.Side, pps, r.Seconds, duration(p.Cost.NS), model,
			strings.Join(marks, ""))
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	b.WriteString("  - not among the rows of the fits; s saturated; f flood; x size outside that of the fits\n\n")
	fmt.Fprintf(b, "  %-36s %22s   %32s\n", "absolute errors of the fitted rows", "packets counted", "CPU share, points")
	fmt.Fprintf(b, "  %-30s %5s %7s %7s %7s   %7s %7s %7s\n", "", "rows", "mean", "median", "worst", "mean", "median", "worst")
	for _, m := range []struct {
		name        string
		counts, cpu Misfit
	}{
		{"all", l.Counts.All, l.CPU.All},
		{"without floods", l.Counts.NoFlood, l.CPU.NoFlood},
		{"  of them by time (10 s)", l.Counts.Timed, l.CPU.Timed},
		{"  of them saturated", l.Counts.Saturated, l.CPU.Saturated},
	} {
		if m.counts.Rows > 0 {
			fmt.Fprintf(b, "  %-30s %5d %6.2f%% %6.2f%% %6.2f%%   %7.2f %7.2f %7.2f\n", m.name, m.counts.Rows, 100*m.counts.Mean,
				100*m.counts.Median, 100*m.counts.Worst, m.cpu.Mean, m.cpu.Median, m.cpu.Worst)
		}
	}
	if q := l.Buffer; q != nil {
		wrap(b, "  ", fmt.Sprintf("Two saturated rows of %d B that last %g s and %g s give the queue by themselves: %.0f frames, "+
			"at %s a packet. The model has %.0f.", q.PayloadOctets, q.ShortSeconds, q.LongerSeconds, q.Frames, duration(q.CostNS),
			q.ModelFrames))
	}
}

// formula writes a fit with its numbers and intervals.
func formula(f analysis.Fit) string {
	s := duration(f.Base.Value) + " " + between(f.Base)
	switch f.Form {
	case analysis.FormLine:
		s += " + " + duration(f.PerOctet.Value) + " " + between(f.PerOctet) + " * B"
	case analysis.FormPerSecond:
		s += " + " + duration(f.PerSecond.Value) + " " + between(f.PerSecond) + " / pps"
	case analysis.FormWakeup:
		s = fmt.Sprintf("%s + %s * max(0, 1 - pps/%.0f)", duration(f.Base.Value), duration(f.Wakeup.Value), f.BusyPPS.Value)
	}
	return s
}

func between(t analysis.Term) string {
	return fmt.Sprintf("[%s, %s]", duration(t.Interval.Low), duration(t.Interval.High))
}

// duration writes nanoseconds with a unit, and four digits from 10.
func duration(ns float64) string {
	for _, u := range []struct {
		from, per float64
		unit      string
	}{{1e9, 1e9, "s"}, {1e6, 1e6, "ms"}, {1e3, 1e3, "us"}, {0, 1, "ns"}} {
		if ns >= u.from || -ns >= u.from {
			v := ns / u.per
			if v >= 99.995 || v <= -99.995 {
				return fmt.Sprintf("%.1f %s", v, u.unit)
			}
			return fmt.Sprintf("%.2f %s", v, u.unit)
		}
	}
	return fmt.Sprint(ns)
}

// wrap writes words after a head, and in the lines that follow under the first word.
func wrap(b *strings.Builder, head, text string) {
	b.WriteString(head)
	indent := utf8.RuneCountInString(head)
	at := indent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > textWidth:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteString("\n")
}
