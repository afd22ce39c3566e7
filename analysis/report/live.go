package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/replay/live"
)

// LiveFile is the header's file of a live run, beside RecordsFile (live.Record), TableFile and CSVFile.
const LiveFile = "live.json"

// LiveFolder is a results folder that a live run writes.
type LiveFolder struct {
	runFolder
}

// CreateLive makes a results folder for a live run. It refuses a folder that holds results already.
func CreateLive(path string, header live.Header) (*LiveFolder, error) {
	f := &LiveFolder{runFolder{path: path, header: LiveFile}}
	if err := f.create(header); err != nil {
		return nil, err
	}
	return f, nil
}

// HoldsLive reports whether a folder is the results folder of a live run.
func HoldsLive(path string) bool {
	_, err := os.Stat(filepath.Join(path, LiveFile))
	return err == nil
}

// ReadLive returns what the folder of a live run holds. A last line that was cut while it was written is left out.
func ReadLive(path string) (live.Header, []live.Record, error) {
	return folderReader{path: path}.live()
}

func (in folderReader) live() (header live.Header, records []live.Record, err error) {
	if err := in.header(LiveFile, "results folder of a live run", live.Schema, &header); err != nil {
		return header, nil, err
	}
	_, err = in.lines(func(line []byte) error {
		var rec live.Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return err
		}
		return checkLive(&rec, &records)
	})
	return header, records, err
}

// checkLive adds a record that has what its kind says.
func checkLive(rec *live.Record, records *[]live.Record) error {
	if err := checkSchema(rec.Schema, live.Schema); err != nil {
		return err
	}
	switch {
	case rec.Kind == live.KindMemory && rec.Memory == nil,
		rec.Kind == live.KindBounds && rec.Bounds == nil,
		slices.Contains([]string{live.KindAlone, live.KindTop, live.KindRate, live.KindSearch}, rec.Kind) && rec.Trial == nil:
		return fmt.Errorf("a record of kind %s without what it is of", rec.Kind)
	}
	*records = append(*records, *rec)
	return nil
}

// Append adds a record: one write, so that a killed process leaves at most a cut last line.
func (f *LiveFolder) Append(rec *live.Record) error { return f.append(rec) }

// Finish syncs the records and writes the header of the results, table and CSV, each whole or not at all.
func (f *LiveFolder) Finish(results *analysis.Live) error {
	if err := f.records.Sync(); err != nil {
		return err
	}
	if err := f.writeHeader(results.Header); err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(f.path, TableFile), func(w io.Writer) error { return WriteLive(w, results) }); err != nil {
		return err
	}
	return WriteFile(filepath.Join(f.path, CSVFile), func(w io.Writer) error { return WriteLiveCSV(w, results) })
}

// WriteLive writes the tables of a live run: what limits each engine, what became of the frames, and what they cost.
func WriteLive(w io.Writer, l *analysis.Live) error {
	for i, t := range []*Table{liveCeilings(l), liveLosses(l), liveCosts(l)} {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := t.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

func liveTitle(l *analysis.Live) string {
	h := &l.Header
	var names []string
	for _, c := range h.Captures {
		names = append(names, c.Name)
	}
	more := ""
	for _, part := range changes(&h.Plan.Changes, &h.Changed) {
		more += ", " + part
	}
	if h.Plan.Quick {
		more += ", quick: not for publication"
	}
	return fmt.Sprintf("%s over a veth pair: %d x %v trials, ring of %s, sent by %s%s", strings.Join(names, ", "), h.Plan.Repeats, h.Plan.Trial,
		FormatOctets(float64(h.Plan.Ring.RingOctets())), strings.Join(l.Backends, ", "), more)
}

// rated is the median of a summary of rates; "n/a" where nothing is known.
func rated(s analysis.Summary, format func(float64) string) Cell {
	if s.N == 0 {
		return Number(math.NaN(), format)
	}
	return Number(s.Median, format)
}

// liveCeiling writes the rate on the network, which is a ceiling only if the sender could have done more. Of repeats in which no
// rate met the goal only a bound is known.
func liveCeiling(e *analysis.LiveEngine) Cell {
	c := rated(e.Ceiling, FormatRate)
	if e.SenderLimited {
		c.Text = "sender-limited, at least " + c.Text
	}
	if e.Below.N > 0 {
		below := "below " + FormatRate(e.Below.Median)
		if e.Ceiling.N == 0 {
			c.Text = below
		} else {
			c.Text += fmt.Sprintf(" (%d of %d: %s)", e.Below.N, e.Below.N+e.Ceiling.N, below)
		}
	}
	return c
}

func liveCeilings(l *analysis.Live) *Table {
	goal := l.Header.Plan.Goal.Name
	if goal == "" {
		goal = "ceiling"
	}
	t := &Table{Title: liveTitle(l), Columns: []Column{{Head: "engine"}, {Head: "live " + goal, Right: true}, {Head: "sender's top", Right: true},
		{Head: goal + " in memory", Right: true}, {Head: "closed loop", Right: true}, {Head: "live/memory", Right: true}, {Head: "limited by"}}}
	limited, known := false, false
	for i := range l.Engines {
		e := &l.Engines[i]
		limited, known = limited || e.SenderLimited, known || e.Limit != ""
		share := Text("n/a")
		if e.Ratio > 0 {
			share = Text(strconv.FormatFloat(e.Ratio, 'f', 2, 64))
		}
		if e.Ratio > 0 && e.SenderLimited {
			share.Text = ">= " + share.Text
		}
		limit := e.Limit
		if limit == "" {
			limit = "n/a"
		}
		t.Add(Text(e.Engine), liveCeiling(e), rated(e.Top, FormatRate), rated(e.Memory, FormatRate), rated(e.Service, FormatRate), share, Text(limit))
	}
	if known {
		t.Notes = append(t.Notes, fmt.Sprintf("limited by the parser: live is at least %g of what the same engine does in memory; else by network and kernel, or, sender-limited, by the sender: it could not show more",
			analysis.ParserShare))
	}
	if limited {
		t.Notes = append(t.Notes, fmt.Sprintf("sender-limited: the sender's top speed is below %g times the rate, or only the sender fell behind: no ceiling", analysis.SenderMargin))
	}
	return t
}

func loadText(l *analysis.LiveLoad) Cell {
	if l.Load == 0 {
		return Cell{Text: "top speed", Raw: "0"}
	}
	return Number(l.Load, FormatRate)
}

func liveLosses(l *analysis.Live) *Table {
	t := &Table{Title: "What became of the frames", Columns: []Column{{Head: "engine"}, {Head: "offered", Right: true}, {Head: "sent", Right: true},
		{Head: "lost", Right: true}, {Head: "socket", Right: true}, {Head: "interface", Right: true}, {Head: "in ring", Right: true},
		{Head: "unexplained", Right: true}, {Head: "lost in memory", Right: true}}}
	limited := false
	for i := range l.Engines {
		e := &l.Engines[i]
		for j := range e.Loads {
			load := &e.Loads[j]
			c := &load.Counts
			limited = limited || load.SenderLimited
			sent := rated(load.Sent, FormatRate)
			if load.SenderLimited {
				sent.Text = "sender-limited, " + sent.Text
			}
			share := func(n uint64) Cell { return Number(float64(n)/float64(c.Sent), FormatRatio) }
			t.Add(Text(e.Engine), loadText(load), sent, rated(load.Loss, FormatRatio), share(c.SocketDrops),
				share(c.InterfaceDrops), share(c.InRing), Text(fmt.Sprintf("%d of %d", c.Unexplained, c.Sent)), rated(load.MemoryLoss, FormatRatio))
		}
	}
	t.Notes = []string{"sent = parsed + socket + interface + in ring + unexplained, over all repeats; lost and lost in memory are medians",
		"lost in memory is the parser's own loss at the same load behind a queue as large as the ring"}
	if limited {
		t.Notes = append(t.Notes, "sender-limited: the sender could not keep the offered rate; what it did not send in time is in no column, and \"lost\" is of the rate that it sent")
	}
	return t
}

func liveCosts(l *analysis.Live) *Table {
	t := &Table{Title: "CPU time a frame", Columns: []Column{{Head: "engine"}, {Head: "offered", Right: true}, {Head: "parse", Right: true},
		{Head: "in memory", Right: true}, {Head: "wake-up", Right: true}, {Head: "wake-ups/s", Right: true}, {Head: "softirq", Right: true},
		{Head: "to socket", Right: true}, {Head: "of it copy", Right: true}}}
	for i := range l.Engines {
		e := &l.Engines[i]
		for j := range e.Loads {
			load := &e.Loads[j]
			t.Add(Text(e.Engine), loadText(load), rated(load.Parse, FormatDuration), rated(load.Memory, FormatDuration), rated(load.WakeUp, FormatDuration),
				rated(load.WakeUps, func(v float64) string { return strings.TrimSpace(scaled(math.Round(v), "")) }), rated(load.Softirq, FormatDuration),
				rated(load.Socket, FormatDuration), rated(load.Copy, FormatDuration))
		}
	}
	t.Notes = []string{"parse: reading the ring and parsing; softirq: of the whole machine, sampled; to socket: by difference with nobody listening; copy: the same in user space"}
	return t
}

// WriteLiveCSV writes a row for each engine and load, with all its digits. Rates of 0 are top speed.
func WriteLiveCSV(w io.Writer, l *analysis.Live) error {
	t := &Table{}
	for _, key := range []string{"engine", "load_pps", "offered_pps", "sent_pps", "sent", "parsed", "socket_drops", "interface_drops", "in_ring", "unexplained",
		"loss_ratio", "memory_loss_ratio", "parse_ns", "memory_ns", "wakeup_ns", "wakeups_per_s", "softirq_ns", "socket_ns", "copy_ns", "live_pps",
		"sender_limited", "sender_top_pps", "sender_alone_pps", "memory_pps", "service_pps", "limited_by", "below_pps", "ratio", "ratio_is_at_least",
		"shortfall"} {
		t.Columns = append(t.Columns, Column{Head: key})
	}
	exact := func(s analysis.Summary) Cell { return rated(s, FormatRate) }
	for i := range l.Engines {
		e := &l.Engines[i]
		share := Text("n/a")
		if e.Ratio > 0 {
			share = Number(e.Ratio, FormatRatio)
		}
		for j := range e.Loads {
			load := &e.Loads[j]
			c := &load.Counts
			count := func(n uint64) Cell { return Text(strconv.FormatUint(n, 10)) }
			t.Add(Text(e.Engine), loadText(load), exact(load.Offered), exact(load.Sent), count(c.Sent), count(c.Parsed), count(c.SocketDrops),
				count(c.InterfaceDrops), count(c.InRing), Text(strconv.FormatInt(c.Unexplained, 10)), exact(load.Loss), exact(load.MemoryLoss),
				exact(load.Parse), exact(load.Memory), exact(load.WakeUp), exact(load.WakeUps), exact(load.Softirq), exact(load.Socket), exact(load.Copy),
				exact(e.Ceiling), Text(strconv.FormatBool(e.SenderLimited)), exact(e.Top), exact(e.Alone), exact(e.Memory), exact(e.Service), Text(e.Limit),
				exact(e.Below), share, Text(strconv.FormatBool(e.Ratio > 0 && e.SenderLimited)), count(load.Shortfall))
		}
	}
	return t.WriteCSV(w)
}
