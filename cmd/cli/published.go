package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"pcaplab/analysis"
	"pcaplab/analysis/published"
	"pcaplab/analysis/report"
	"pcaplab/replay/scenario"
)

// showFlags are the flags of scenarios show.
type showFlags struct {
	results   string
	published bool
	explain   bool
	json      bool
}

func (a *app) scenariosShowCommand() *cobra.Command {
	var f showFlags
	c := &cobra.Command{
		Use:   "show [flags] SCENARIO",
		Short: "Show what a scenario sends, what was published of it, what that implies",
		Long: `Prints the rows of a scenario with the packets that each sends, or with --results what a run of it found.

--published prints the rows that the study published of a seed scenario, beside those of a run (--results) or beside what we
send. --explain prints what follows from numbers alone: CPU time per packet, what it depends on and how well that fits, and
whether one server behind a queue gives the packets that were counted; of the published rows, and of a run with --results.
--json prints the definition of the scenario, as 'scenarios run' reads it, or the above as JSON.`,
		Example: `  ` + a.Name + ` scenarios show seed-length
  ` + a.Name + ` scenarios show --json seed-ddos > mine.json
  ` + a.Name + ` scenarios show --results bitrate --published seed-bitrate
  ` + a.Name + ` scenarios show --explain seed-bitrate`,
		RunE: func(c *cobra.Command, args []string) error { return f.show(a, args) },
	}
	fs := c.Flags()
	fs.BoolVar(&f.published, "published", false, "the rows that the study published, beside ours")
	fs.BoolVar(&f.explain, "explain", false, "what the numbers imply: costs, fits and their misfit, the queue model")
	fs.StringVar(&f.results, "results", "", "results folder of a run of the scenario")
	fs.BoolVar(&f.json, "json", false, "print the definition, or what is shown, as JSON")
	if err := a.offerFor(c, "results", completeRun); err != nil {
		panic(err) // the flag does not exist
	}
	return c
}

func (f *showFlags) show(a *app, args []string) error {
	s, err := findScenario(args)
	if err != nil {
		return err
	}
	var results *analysis.Scenario
	if f.results != "" {
		header, records, err := report.ReadScenario(f.results)
		if err != nil {
			return err
		}
		if header.Plan.Scenario.Name != s.Name {
			return usagef("%s holds results of %s, not of %s", f.results, header.Plan.Scenario.Name, s.Name)
		}
		results = analysis.AnalyzeScenario(header, records)
	}
	switch {
	case f.published && f.explain:
		return usagef("--published and --explain: give one")
	case f.published:
		return f.showPublished(a, &s, results)
	case f.explain:
		return f.showExplained(a, &s, results)
	case results != nil:
		return a.printScenario(results, f.json)
	case f.json:
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	t, err := rowsTable(&s)
	if err != nil {
		return err
	}
	return t.WriteText(a.stdout)
}

// rowsTable lists what a scenario sends.
func rowsTable(s *scenario.Scenario) (*report.Table, error) {
	t := &report.Table{Title: s.Name + ": " + s.Doc, Columns: []report.Column{{Head: "row"}, {Head: "traffic"}, {Head: "link"},
		{Head: "rate", Right: true}, {Head: "payload", Right: true}, {Head: "lasts", Right: true}, {Head: "packets", Right: true},
		{Head: "octets on the wire", Right: true}}}
	for i := range s.Rows {
		r := &s.Rows[i]
		rate, payload, link := report.FormatBits(r.BitPerSecond), "", r.Link
		switch {
		case r.PPS > 0:
			rate = report.FormatRate(r.PPS)
		case r.Kind == scenario.KindCapture && r.BitPerSecond == 0:
			rate = "as recorded"
		}
		if r.Payload > 0 {
			payload = strconv.Itoa(r.Payload) + " B"
		}
		if link == "" && r.Kind != scenario.KindCapture {
			link = "ethernet"
		}
		kind, frames, octets := r.Kind, "", ""
		if r.Kind == scenario.KindCapture {
			kind = r.Capture
		} else {
			n, wire, err := r.Packets()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.Name, err)
			}
			frames, octets = strconv.FormatUint(n, 10), report.FormatOctets(float64(wire))
		}
		lasts := ""
		if l := r.Length(); l > 0 {
			lasts = report.FormatDuration(float64(l))
		}
		t.Add(report.Text(r.Name), report.Text(kind), report.Text(link), report.Text(rate), report.Text(payload), report.Text(lasts),
			report.Text(frames), report.Text(octets))
	}
	for _, r := range s.Rows {
		if r.Reference > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("%s: the experiment knew of %.1f packets", r.Name, r.Reference))
		}
	}
	if s.Source != "" {
		t.Notes = append(t.Notes, "after "+s.Source)
	}
	return t, nil
}

// libraryEngines says which engine does what a library of the study did.
var libraryEngines = map[string]string{published.Pyshark: "pyshark", published.Scapy: "scapy", published.Pypcap: "dpkt"}

// checkpoints says which of the study's tables a seed scenario is of.
var checkpoints = map[string]int{"seed-bitrate": 7, "seed-length": 9, "seed-ddos": 10}

// publishedRow finds the row that the study published of a library.
func publishedRow(rows []published.Row, checkpoint int, library string, r *scenario.Row) *published.Row {
	for i := range rows {
		p := &rows[i]
		if p.Checkpoint != checkpoint || p.Library != library || string(p.Side) != r.Side || p.Proto == "UDP" != (r.Kind == "udp") {
			continue
		}
		limit := r.BitPerSecond
		if r.Unlimited {
			limit = 0
		}
		if math.Abs(p.LimitMbps*1e6-limit) > 1 || uint64(p.Blocks) != r.Datagrams || r.Kind == "udp" && p.PayloadOctets != r.Payload {
			continue
		}
		return p
	}
	return nil
}

// sameTraffic tells whether two rows send the same, however long.
func sameTraffic(a, b scenario.Row) bool {
	for _, r := range []*scenario.Row{&a, &b} {
		r.Seconds, r.Datagrams, r.CutSeconds, r.Reference = 0, 0, 0, 0
	}
	return a == b
}

// beside is a published row with ours.
type beside struct {
	Library   string                 `json:"library"`
	Row       string                 `json:"row"`
	Published *published.Row         `json:"published"`
	Sent      uint64                 `json:"our_sent"`
	Ours      *analysis.ScenarioCell `json:"ours"` // null: not measured
}

func (f *showFlags) showPublished(a *app, s *scenario.Scenario, results *analysis.Scenario) error {
	checkpoint, ok := checkpoints[s.Name]
	if !ok {
		return usagef("nothing was published of %s: --published is for the seed scenarios", s.Name)
	}
	rows := published.Rows()
	var list []beside
	for _, library := range published.Libraries() {
		t := &report.Table{Title: library + " as published, and " + libraryEngines[library] + " here", Columns: []report.Column{{Head: "row"},
			{Head: "sent", Right: true}, {Head: "counted", Right: true}, {Head: "CPU %", Right: true}, {Head: "peak", Right: true},
			{Head: "CPU/packet", Right: true}, {Head: "│"}, {Head: "sent", Right: true}, {Head: "counted", Right: true},
			{Head: "CPU %", Right: true}, {Head: "peak", Right: true}, {Head: "CPU/packet", Right: true}}}
		for i := range s.Rows {
			r := &s.Rows[i]
			p := publishedRow(rows, checkpoint, library, r)
			if p == nil {
				continue
			}
			b := beside{Library: library, Row: r.Name, Published: p}
			var err error
			if b.Sent, _, err = r.Packets(); err != nil {
				return err
			}
			if results != nil {
				for j := range results.Rows {
					ours := &results.Rows[j]
					if ours.Row.Name != r.Name {
						continue
					}
					if !sameTraffic(ours.Row, *r) {
						return usagef("row %s of %s is not that of %s: it is no run of that scenario", r.Name, f.results, s.Name)
					}
					if c := ours.Cell(libraryEngines[library]); c != nil {
						cell := *c
						b.Sent = ours.Sent
						if results.Header.Plan.LimitSeconds > 0 {
							cell.WindowCPU = analysis.Summary{} // shorter traffic in the same window means nothing
						}
						b.Ours = &cell
					}
				}
			}
			list = append(list, b)
			t.Add(b.cells()...)
		}
		t.Notes = append(t.Notes, fmt.Sprintf("CPU %%: of the process alone, over %v; ours over %g s", published.Window(library), s.WindowSeconds))
		if results != nil && results.Header.Plan.LimitSeconds > 0 {
			t.Notes = append(t.Notes, fmt.Sprintf("ours is of traffic cut to %g s: compare shares and costs, not counts", results.Header.Plan.LimitSeconds))
		}
		if f.json {
			continue
		}
		if err := t.WriteText(a.stdout); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout)
	}
	if f.json {
		return json.NewEncoder(a.stdout).Encode(list)
	}
	_, err := fmt.Fprintln(a.stdout, "sent, as published: by iperf3, or by Wireshark at the sender; ours: every packet, the control connection included.")
	return err
}

// cells are a line of the table.
func (b *beside) cells() []report.Cell {
	p := b.Published
	sent := ""
	switch {
	case p.SentPackets > 0:
		sent = strconv.Itoa(p.SentPackets)
	case p.Reference > 0:
		sent = strconv.FormatFloat(p.Reference, 'f', 1, 64)
	}
	row := []report.Cell{report.Text(b.Row), report.Text(sent), report.Text(strconv.FormatFloat(p.Counted, 'f', 1, 64)),
		report.Text(strconv.FormatFloat(p.CPUPercent, 'f', 2, 64)), report.Text(report.FormatOctets(float64(p.PeakRSSKB) * 1024)),
		report.Text(report.FormatDuration(p.Cost().NS)), report.Text("│"), report.Text(strconv.FormatUint(b.Sent, 10))}
	if b.Ours == nil {
		return append(row, report.Text(""), report.Text(""), report.Text(""), report.Text(""))
	}
	c := b.Ours
	text := func(m *analysis.Summary, scale float64, format func(float64) string) report.Cell {
		if m.N == 0 {
			return report.Text("n/a")
		}
		return report.Text(format(scale * m.Median))
	}
	plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return append(row, text(&c.Counted, 1, plain), text(&c.WindowCPU, 100, func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }),
		text(&c.Peak, 1, report.FormatOctets), text(&c.OwnCost, 1, report.FormatDuration))
}

func (f *showFlags) showExplained(a *app, s *scenario.Scenario, results *analysis.Scenario) error {
	var e *published.Explanation
	if _, ok := checkpoints[s.Name]; ok {
		explanation, err := published.Explain()
		if err != nil {
			return err
		}
		e = &explanation
	} else if results == nil {
		return usagef("--explain of %s needs the results of a run: --results DIR", s.Name)
	}
	if f.json {
		out := struct {
			Published *published.Explanation `json:"published,omitempty"`
			Ours      []analysis.ScenarioFit `json:"ours,omitempty"`
		}{Published: e}
		if results != nil {
			out.Ours = results.Fits
		}
		return json.NewEncoder(a.stdout).Encode(out)
	}
	if results != nil {
		if err := report.WriteScenarioFits(a.stdout, results); err != nil {
			return err
		}
		if e != nil {
			fmt.Fprintln(a.stdout)
		}
	}
	if e != nil {
		return e.WriteText(a.stdout)
	}
	return nil
}
