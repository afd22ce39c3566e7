package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"pcaplab/analysis/prediction"
	"pcaplab/replay/trial"
)

// PredictionSchema is the version of what WritePredictionJSON writes.
const PredictionSchema = 1

// PredictionTable has a row for each prediction: its bracket of cost and rate, its method, and the port's line rate. No cell holds a
// predicted value alone.
func PredictionTable(a *prediction.Answer) *Table {
	t := &Table{Columns: []Column{
		{Head: "engine", Key: "engine"}, {Head: "size", Key: "size"}, {Head: "B/packet", Key: "mean_octets", Right: true}, {Head: "frames", Key: "cache"},
		{Head: "method", Key: "method"}, {Head: "cost per packet", Key: "cost", Right: true}, {Head: "rate of one core", Key: "rate", Right: true},
		{Head: "width", Key: "width", Right: true}, {Head: "line rate", Key: "line_pps", Right: true}, {Head: "limit", Key: "limit"},
	}}
	for i := range a.Predictions {
		p := &a.Predictions[i]
		line, octets, frames := Text("not known"), Text("n/a"), p.Cache
		if p.LinePPS > 0 {
			line = Number(p.LinePPS, func(v float64) string { return atMost(p, "≤ ") + FormatRate(v) })
		}
		if p.Octets > 0 {
			octets = Number(p.Octets, func(v float64) string { return fmt.Sprintf("%.0f", v) })
		}
		if p.Live {
			frames = "live"
		}
		method := string(p.Method)
		if !p.Calibrated {
			method += " *"
		}
		t.Add(Text(pipelineName(p)), Text(p.Size), octets, Text(frames), Text(method), Text(bracketText(p.LowNS, p.HighNS, FormatDuration)),
			Text(bracketText(p.LowPPS, p.HighPPS, FormatRate)), Text(widthText(p.Width())), line, Text(string(p.Limit)))
	}
	return t
}

// predictionCSV has the same, each end of a bracket in a column of its own.
func predictionCSV(a *prediction.Answer) *Table {
	t := &Table{}
	for _, key := range []string{"board", "engine", "stages", "size", "mean_octets", "cache", "method", "calibrated", "low_ns", "high_ns",
		"low_pps", "high_pps", "line_pps", "line_at_most", "limit", "live_capture"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	exact := func(v float64) Cell {
		if !(v > 0) {
			return Text("n/a")
		}
		return Number(v, FormatRate)
	}
	for i := range a.Predictions {
		p := &a.Predictions[i]
		t.Add(Text(a.Board), Text(p.Engine), Text(p.Stages), Text(p.Size), exact(p.Octets), Text(p.Cache), Text(string(p.Method)), Text(fmt.Sprint(p.Calibrated)),
			exact(p.LowNS), exact(p.HighNS), exact(p.LowPPS), exact(p.HighPPS), exact(p.LinePPS), Text(fmt.Sprint(p.LineAtMost)), Text(string(p.Limit)), Text(fmt.Sprint(p.Live)))
	}
	return t
}

func pipelineName(p *prediction.Prediction) string {
	if p.Stages == "" {
		return p.Engine
	}
	return p.Engine + " + " + strings.ReplaceAll(p.Stages, ",", " + ")
}

// atMost is a word before a line rate that is an upper bound, else nothing.
func atMost(p *prediction.Prediction, word string) string {
	if p.LineAtMost {
		return word
	}
	return ""
}

// widthText has a second decimal where the first does not tell on which side of the widest calibrated bracket it is.
func widthText(width float64) string {
	if text := fmt.Sprintf("%.1f", width); text != fmt.Sprintf("%.1f", prediction.CalibratedWidth) {
		return text + "x"
	}
	return fmt.Sprintf("%.2fx", width)
}

// bracketText writes a bracket, its unit once where both ends have the same: "0.6 to 1.4 Mpps".
func bracketText(low, high float64, format func(float64) string) string {
	l, h := format(low), format(high)
	if number, unit, ok := strings.Cut(l, " "); ok && strings.HasSuffix(h, " "+unit) {
		l = number
	}
	return l + " to " + h
}

// PredictionSentence says what a prediction means for its board.
func PredictionSentence(p *prediction.Prediction) string {
	bracket := bracketText(p.LowPPS, p.HighPPS, FormatRate)
	where := p.Size
	if p.Cache != "" {
		where += ", " + p.Cache
	}
	if p.Live {
		where += ", live"
	}
	by, what, whole := "by "+string(p.Method), "parser", ", parser alone"
	if p.Method == prediction.Measured {
		by = string(p.Method)
	}
	if p.Live {
		what, whole = "sniffer", ", capture included"
	}
	of := fmt.Sprintf("%s (%s): %s a core, %s%s", pipelineName(p), where, bracket, by, whole)
	line := FormatRate(p.LinePPS)
	switch {
	case p.Limit == prediction.LimitPort:
		return fmt.Sprintf("%s; the port's line rate is %s%s: the port comes before the %s", of, atMost(p, "at most "), line, what)
	case p.Limit == prediction.LimitParser:
		return fmt.Sprintf("%s; the port's line rate is %s: the %s comes before the port", of, line, what)
	case p.Limit == prediction.LimitEither && p.LineAtMost:
		return fmt.Sprintf("%s; the port's line rate is at most %s: either can come first", of, line)
	case p.Limit == prediction.LimitEither:
		return fmt.Sprintf("%s; the port's line rate, %s, is within: either can come first", of, line)
	default:
		return of + "; the port's line rate is not known"
	}
}

// PredictionHighlights returns a prediction of each engine: the one with the highest line rate, that is of the smallest frames, or
// where no line rate is known the first; of several the one of cold frames, or the narrowest.
func PredictionHighlights(a *prediction.Answer) []*prediction.Prediction {
	var list []*prediction.Prediction
	at := make(map[string]int)
	for i := range a.Predictions {
		p := &a.Predictions[i]
		j, seen := at[pipelineName(p)]
		switch {
		case !seen:
			at[pipelineName(p)] = len(list)
			list = append(list, p)
		case p.LinePPS > list[j].LinePPS,
			p.LinePPS > 0 && p.LinePPS == list[j].LinePPS && (p.Cache == trial.CacheCold && list[j].Cache != trial.CacheCold || p.Cache == list[j].Cache && p.Width() < list[j].Width()):
			list[j] = p
		}
	}
	return list
}

// WritePrediction writes an answer for a terminal: a sentence for each engine, the table, and what it rests on.
func WritePrediction(w io.Writer, a *prediction.Answer) error {
	var head strings.Builder
	fmt.Fprintf(&head, "%s", clean(a.Board))
	if a.Model != "" {
		fmt.Fprintf(&head, ": %s, %s", clean(a.Model), a.Port.What)
	} else {
		fmt.Fprintf(&head, "; port: %s", clean(a.Port.What))
	}
	if a.Core != nil {
		fmt.Fprintf(&head, "; %s, %g to %g cycles per instruction, program for %s", a.Core.Name, a.Core.CPILow, a.Core.CPIHigh, a.Arch)
	}
	fmt.Fprintf(&head, "\nfrom %s; nothing here was measured on the board unless the method says so\n\n", a.From)
	for _, p := range PredictionHighlights(a) {
		fmt.Fprintln(&head, clean(PredictionSentence(p)))
	}
	if _, err := fmt.Fprintln(w, head.String()); err != nil {
		return err
	}
	t := PredictionTable(a)
	if slices.ContainsFunc(a.Predictions, func(p prediction.Prediction) bool { return !p.Calibrated }) {
		t.Notes = append(t.Notes, fmt.Sprintf("* not calibrated: nothing that was measured on such a board is behind it, its bracket is wider than %g, or a note speaks against it", prediction.CalibratedWidth))
	}
	t.Notes = append(t.Notes, PredictionNotes(a)...)
	return t.WriteText(w)
}

// PredictionNotes returns the notes on all predictions, and those on engines with their names, each once. How many instructions were
// counted is in JSON alone. They have no control characters.
func PredictionNotes(a *prediction.Answer) []string {
	var notes []string
	for _, n := range a.Notes {
		notes = append(notes, clean(n))
	}
	for i := range a.Predictions {
		p := &a.Predictions[i]
		if p.Method == prediction.Instructions {
			continue
		}
		for _, n := range p.Notes {
			if text := clean(pipelineName(p) + ": " + n); !slices.Contains(notes, text) {
				notes = append(notes, text)
			}
		}
	}
	return notes
}

// WritePredictionCSV writes a row for each prediction. A line rate or size that is not known is n/a. Notes are not in it: see
// [PredictionNotes].
func WritePredictionCSV(w io.Writer, a *prediction.Answer) error { return predictionCSV(a).WriteCSV(w) }

// WritePredictionJSON writes one indented object: "format", "schema", and the fields of [prediction.Answer].
func WritePredictionJSON(w io.Writer, a *prediction.Answer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Format string `json:"format"`
		Schema int    `json:"schema"`
		*prediction.Answer
	}{"pcaplab prediction", PredictionSchema, a})
}
