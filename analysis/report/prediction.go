package report

import (
	"encoding/json"
	"fmt"
	"io"
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
			line = Number(p.LinePPS, FormatRate)
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
			Text(bracketText(p.LowPPS, p.HighPPS, FormatRate)), Text(fmt.Sprintf("%.1fx", p.Width())), line, Text(string(p.Limit)))
	}
	return t
}

// predictionCSV has the same, each end of a bracket in a column of its own.
func predictionCSV(a *prediction.Answer) *Table {
	t := &Table{}
	for _, key := range []string{"board", "engine", "stages", "size", "mean_octets", "cache", "method", "calibrated", "low_ns", "high_ns",
		"low_pps", "high_pps", "line_pps", "limit", "live_capture"} {
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
			exact(p.LowNS), exact(p.HighNS), exact(p.LowPPS), exact(p.HighPPS), exact(p.LinePPS), Text(string(p.Limit)), Text(fmt.Sprint(p.Live)))
	}
	return t
}

func pipelineName(p *prediction.Prediction) string {
	if p.Stages == "" {
		return p.Engine
	}
	return p.Engine + " + " + strings.ReplaceAll(p.Stages, ",", " + ")
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
	switch of := fmt.Sprintf("%s (%s): %s a core by %s", pipelineName(p), where, bracket, p.Method); p.Limit {
	case prediction.LimitPort:
		return of + fmt.Sprintf("; the port's line rate is %s: the port is the limit", FormatRate(p.LinePPS))
	case prediction.LimitParser:
		return of + fmt.Sprintf("; the port's line rate is %s: the parser is the limit", FormatRate(p.LinePPS))
	case prediction.LimitEither:
		return of + fmt.Sprintf("; the port's line rate, %s, is within: either can be the limit", FormatRate(p.LinePPS))
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
	uncalibrated := false
	var notes []string
	seen := make(map[string]bool)
	for i := range a.Predictions {
		p := &a.Predictions[i]
		uncalibrated = uncalibrated || !p.Calibrated
		for _, n := range p.Notes {
			if text := pipelineName(p) + ": " + n; !seen[text] && p.Method != prediction.Instructions { // the counts are in JSON
				seen[text] = true
				notes = append(notes, text)
			}
		}
	}
	if uncalibrated {
		t.Notes = append(t.Notes, fmt.Sprintf("* not calibrated: nothing that was measured on such a board is behind it, or its bracket is wider than %g", prediction.CalibratedWidth))
	}
	t.Notes = append(append(t.Notes, a.Notes...), notes...)
	return t.WriteText(w)
}

// WritePredictionCSV writes a row for each prediction. A line rate or size that is not known is n/a.
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
