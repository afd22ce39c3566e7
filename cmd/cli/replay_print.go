package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"pcaplab/analysis/report"
	"pcaplab/replay/inject"
	"pcaplab/replay/netlab"
)

// playResult is what --json prints.
type playResult struct {
	Settings playSettings         `json:"settings"`
	Result   inject.Result        `json:"result"`
	Rate     float64              `json:"pps"`
	BitRate  float64              `json:"bit_per_s"`
	Flows    *flowCounts          `json:"flows,omitempty"`
	Chosen   playReport           `json:"frames"`
	Verified *inject.VerifyReport `json:"verified,omitempty"`
	Error    string               `json:"error,omitempty"`
}

// playSettings are what a run was made with.
type playSettings struct {
	Captures []string      `json:"captures"`
	Timing   string        `json:"timing"`
	Socket   inject.Config `json:"socket"`
	Second   string        `json:"second_interface,omitempty"`
	Write    string        `json:"write,omitempty"`
	Plan     inject.Plan   `json:"plan"`
	Loops    int           `json:"loops"` // 0: without end
	Edits    string        `json:"edits,omitempty"`
	Version  string        `json:"version"`
}

func (f *replayFlags) settings(timing string, args []string, play *player) playSettings {
	s := playSettings{Captures: args, Timing: timing, Socket: f.socket, Second: f.second, Write: f.write, Plan: f.plan, Loops: f.loop, Edits: play.edits, Version: version()}
	s.Socket.Interface = f.first
	return s
}

// shortRun is what a run must last for its share of a core to mean something.
const shortRun = 50 * time.Millisecond

// printRates prints what was sent in a time.
func printRates(w io.Writer, r *inject.Result, in time.Duration) {
	fmt.Fprintf(w, "Actual: %d packets (%d bytes) sent in %.6f seconds\n", r.Sent, r.Octets, in.Seconds())
	fmt.Fprintf(w, "Rated: %.1f Bps, %.3f Mbps, %.2f pps\n", r.BitRate()/8, r.BitRate()/1e6, r.Rate())
}

// print ends a run: the block that scripts know from tcpreplay, then what it has no words for.
func (f *replayFlags) print(a *app, p *playResult, err error) error {
	if f.json {
		if err != nil {
			p.Error = err.Error()
		}
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		return e.Encode(p)
	}
	w := bufio.NewWriter(a.stdout)
	r := &p.Result
	in := r.Elapsed
	if errors.Is(err, context.Canceled) {
		in = r.Lasted // also the wait that the signal ended
	}
	printRates(w, r, in)
	if fl := p.Flows; fl != nil {
		fps := 0.0
		if in > 0 && r.Rate() > 0 {
			fps = float64(fl.Flows) / in.Seconds()
		}
		fmt.Fprintf(w, "Flows: %d flows, %.2f fps, %d unique flow packets, %d unique non-flow packets\n", fl.Flows, fps, fl.Packets, fl.NoFlow)
	}
	what, names := "network device", []string{f.first}
	switch {
	case f.write != "":
		what, names[0] = "file", f.write
	case f.second != "":
		names = append(names, f.second)
	}
	for i, name := range names {
		l := inject.LinkCounts{Sent: r.Sent, Failed: r.Failed, Dropped: r.Dropped, ENOBUFS: r.ENOBUFS, EAGAIN: r.EAGAIN}
		if len(names) > 1 && i < len(r.Links) {
			l = r.Links[i]
		}
		fmt.Fprintf(w, "Statistics for %s: %s\n\tSuccessful packets:        %d\n\tFailed packets:            %d\n", what, name, l.Sent, l.Failed+l.Dropped)
		if i == 0 { // of both
			fmt.Fprintf(w, "\tTruncated packets:         %d\n", r.Truncated)
		}
		fmt.Fprintf(w, "\tRetried packets (ENOBUFS): %d\n\tRetried packets (EAGAIN):  %d\n", l.ENOBUFS, l.EAGAIN)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "Dropped: %d of the failed packets, which the kernel took and the driver dropped\n", r.Dropped)
	}
	if r.Runt > 0 {
		fmt.Fprintf(w, "Shorter than a link header: %d packets, left out\n", r.Runt)
	}
	if r.Oversize > 0 {
		fmt.Fprintf(w, "Above the MTU: %d frames: %d skipped, %d truncated, %d segmented into %d\n", r.Oversize, r.Skipped, r.Truncated, r.Segmented, r.Segmented+r.Pieces)
	}
	if r.Unsent > 0 {
		fmt.Fprintf(w, "Not sent: %d frames that were taken from the capture when the run ended\n", r.Unsent)
	}
	for _, line := range p.Chosen.lines() {
		fmt.Fprintln(w, line)
	}
	if f.write == "" {
		for _, l := range r.Links {
			fmt.Fprintf(w, "Counted by %s: %d frames (%d bytes) out, %d dropped, %d errors\n", l.Interface, l.TxFrames, l.TxOctets, l.TxDropped, l.TxErrors)
		}
		if l := r.Lateness; l.Samples > 0 {
			fmt.Fprintf(w, "Schedule: %v late (median), %v (p99), %v (most); %d of %d packets %v late or more\n", l.P50, l.P99, l.Max, r.Late, l.Samples, f.late)
		}
		if r.Lasted > 0 {
			share := "n/a"
			if r.Lasted >= shortRun {
				share = fmt.Sprintf("%.1f %%", 100*float64(r.User+r.System)/float64(r.Lasted))
			}
			fmt.Fprintf(w, "Sender: %s, %s of a core, %d system calls, %d involuntary switches\n", strings.Join(r.Backends, " and "), share, r.Calls, r.Switched)
		}
	}
	if r.Missed > 0 {
		bound := "about"
		switch {
		case r.Missed == 1: // nothing may tell how many
			bound = "at least"
		case f.loop > 0: // if the capture has as many
			bound = "up to about"
		}
		fmt.Fprintf(w, "Note: the timing could not be kept: when --duration ended, %s %d packets that were due by then were not sent\n", bound, r.Missed)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "Note:", n)
	}
	if p.Verified != nil && p.Verified.OK() {
		fmt.Fprintln(w, p.Verified)
	}
	return w.Flush()
}

func (a *app) listInterfaces() error {
	names, err := netlab.Links()
	if err != nil {
		return err
	}
	t := list("interface", "kind", "MTU", "address", "state")
	for _, name := range names {
		facts, err := netlab.Link(name)
		if facts.Name == "" {
			return err
		}
		state := "up"
		switch {
		case !facts.Up:
			state = "down"
		case !facts.Carrier:
			state = "no carrier"
		case facts.DefaultRoute:
			state = "up, carries the default route"
		}
		t.Add(report.Text(name), report.Text(facts.Kind), report.Text(strconv.Itoa(facts.MTU)), report.Text(facts.MAC.String()), report.Text(state))
	}
	return t.WriteText(a.stdout)
}
