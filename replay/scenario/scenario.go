// Package scenario runs an experiment: rows of traffic, each fed to every engine at the rate that the row says, several times
// over. Engines are parsers of this program, each trial in a fresh process, or other programs (replay/external).
//
// The seed scenarios are those of a public study of Python parsers on a Raspberry Pi 3B; see [Builtin].
package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"pcaplab/datasets/synth"
)

// Scenario is an experiment: what is sent, row by row.
type Scenario struct {
	Name   string `json:"name"`
	Doc    string `json:"doc,omitempty"`    // one line for listings
	Source string `json:"source,omitempty"` // whose experiment it is
	// WindowSeconds is over how long the experiment took the mean of an engine's CPU use, traffic and pauses before and after
	// it; 0: over the traffic only.
	WindowSeconds float64 `json:"window_seconds,omitempty"`
	Rows          []Row   `json:"rows"`
}

// Kinds of traffic in a row, besides those of [synth.Stream].
const KindCapture = "capture" // the frames of a file

// Row is one traffic. The zero value of what a kind does not use is left out.
type Row struct {
	Name string `json:"name"` // unique in its scenario
	// Side groups rows in tables and charts; in the seed scenarios where the study sniffed: LH on the loopback, RS on the
	// sender, RA on the receiver of an attack.
	Side string `json:"side,omitempty"`
	// Kind is "udp" or "tcp" (iperf3), "syn" (a SYN flood) or "capture".
	Kind string `json:"kind"`
	Link string `json:"link,omitempty"` // "ethernet" (default) or "loopback"; not of a capture
	// BitPerSecond is the payload rate of udp and tcp; of a capture, of wire octets.
	BitPerSecond float64 `json:"bit_per_s,omitempty"`
	// LineBitPerSecond is the speed of the Ethernet that the frames of udp and tcp leave by; 0: no limit.
	LineBitPerSecond float64 `json:"line_bit_per_s,omitempty"`

	PPS       float64 `json:"pps,omitempty"` // of a SYN flood; of a capture. A capture with neither keeps its recorded pace
	Payload   int     `json:"payload_octets,omitempty"`
	Datagrams uint64  `json:"datagrams,omitempty"` // ends udp after so many, instead of Seconds
	Seconds   float64 `json:"seconds,omitempty"`   // of traffic; of a capture 0 is one pass, and more loops it
	Capture   string  `json:"capture,omitempty"`   // file; a relative name is from the folder of the scenario's file
	// CutSeconds ends a capture that is fed once, if it is longer; see Scenario.Cut.
	CutSeconds float64 `json:"cut_s,omitempty"`
	// Unlimited says that the rate is what the experiment reached without a limit: a closed loop of the same frames is
	// measured too.
	Unlimited bool `json:"unlimited,omitempty"`
	// Reference is how many packets the experiment knew from elsewhere to have been sent; 0: none.
	Reference float64 `json:"reference_packets,omitempty"`
}

// maxSeconds is the longest traffic of a row.
const maxSeconds = 24 * 3600

// Stream returns the traffic of a row that is no capture.
func (r *Row) Stream() synth.Stream {
	s := synth.Stream{Kind: r.Kind, Link: r.Link, Rate: r.BitPerSecond, Payload: r.Payload, Blocks: r.Datagrams,
		Duration: seconds(r.Seconds), Line: r.LineBitPerSecond}
	if s.Link == "" {
		s.Link = "ethernet"
	}
	if r.Kind == "syn" {
		s.Rate = r.PPS
	}
	return s
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

func (r *Row) check() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.Name == "" || strings.ContainsFunc(r.Name, unicode.IsControl) {
		add("name %q: want one line of text", r.Name)
	}
	if !(r.Seconds >= 0 && r.Seconds <= maxSeconds) {
		add("seconds %v: want 0 to %d", r.Seconds, maxSeconds)
	}
	if r.CutSeconds != 0 && (r.Kind != KindCapture || r.Seconds != 0 || !(r.CutSeconds > 0 && r.CutSeconds <= maxSeconds)) {
		add("cut_s %v: want up to %d, of a capture without seconds", r.CutSeconds, maxSeconds)
	}
	for _, n := range []struct {
		name  string
		value float64
	}{{"bit_per_s", r.BitPerSecond}, {"line_bit_per_s", r.LineBitPerSecond}, {"pps", r.PPS}, {"reference_packets", r.Reference}} {
		if !(n.value >= 0) || math.IsInf(n.value, 0) {
			add("%s %v: want a number that is not negative", n.name, n.value)
		}
	}
	switch {
	case r.Kind == KindCapture:
		if r.Capture == "" {
			add("a row of kind capture names its file in \"capture\"")
		}
		if r.BitPerSecond > 0 && r.PPS > 0 {
			add("bit_per_s and pps: give one")
		}
		if r.Payload != 0 || r.Datagrams != 0 || r.Link != "" || r.LineBitPerSecond != 0 {
			add("payload_octets, datagrams, link and line_bit_per_s are not of a capture")
		}
	case r.Capture != "":
		add("capture %q is of kind capture only", r.Capture)
	case r.Kind == "syn" && r.BitPerSecond != 0:
		add("bit_per_s is not of kind syn: give pps")
	case r.Kind != "syn" && r.PPS != 0:
		add("pps is of the kinds syn and capture: give bit_per_s")
	default:
		if err := r.Stream().Check(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Check reports all faults of the scenario at once.
func (s *Scenario) Check() error {
	var errs []error
	if s.Name == "" || strings.ContainsFunc(s.Name, unicode.IsControl) {
		errs = append(errs, fmt.Errorf("scenario name %q: want one line of text", s.Name))
	}
	if !(s.WindowSeconds >= 0 && s.WindowSeconds <= maxSeconds) {
		errs = append(errs, fmt.Errorf("window_seconds %v: want 0 to %d", s.WindowSeconds, maxSeconds))
	}
	if len(s.Rows) == 0 {
		errs = append(errs, errors.New("no rows"))
	}
	seen := map[string]bool{}
	for i := range s.Rows {
		r := &s.Rows[i]
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("row %d (%s): %w", i+1, r.Name, err))
		}
		if seen[r.Name] {
			errs = append(errs, fmt.Errorf("row %d: there is another row %q", i+1, r.Name))
		}
		seen[r.Name] = true
	}
	return errors.Join(errs...)
}

// maxFile is how long a scenario's file may be.
const maxFile = 16 << 20

// Read reads a scenario from a JSON file. Captures with relative names are looked for from the file's folder. Unknown fields
// are faults: a mistyped one must not pass for a default.
func Read(path string) (Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return Scenario{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("longer than %d octets", maxFile)
	}
	if err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", path, err)
	}
	s, err := Parse(text)
	if err != nil {
		return Scenario{}, fmt.Errorf("%s: %w", path, err)
	}
	for i := range s.Rows {
		if c := &s.Rows[i].Capture; *c != "" && !filepath.IsAbs(*c) {
			if *c, err = filepath.Abs(filepath.Join(filepath.Dir(path), *c)); err != nil {
				return Scenario{}, err
			}
		}
	}
	return s, nil
}

// Parse reads a scenario from JSON and checks it.
func Parse(text []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&s)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("something follows the scenario")
		}
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line := 1 + bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n"))
		return Scenario{}, fmt.Errorf("line %d: %w", line, err)
	}
	if err != nil {
		return Scenario{}, err
	}
	return s, s.Check()
}

// Cut returns the scenario with each row's traffic cut to limit, and whether any was longer; 0 cuts nothing. How long a
// capture is that is fed once is not known here: it counts as cut.
func (s Scenario) Cut(limit time.Duration) (Scenario, bool) {
	if limit <= 0 {
		return s, false
	}
	rows := make([]Row, len(s.Rows))
	shorter := false
	for i, r := range s.Rows {
		long := r.Length() > limit
		switch {
		case r.Kind == KindCapture && r.Seconds == 0:
			r.CutSeconds, long = limit.Seconds(), true
		case long && r.Datagrams > 0 && r.Kind != KindCapture:
			r.Datagrams = uint64(max(1, math.Round(float64(r.Datagrams)*limit.Seconds()/r.Length().Seconds())))
		case long:
			r.Seconds = limit.Seconds()
		}
		shorter = shorter || long
		rows[i] = r
	}
	s.Rows = rows
	return s, shorter
}
