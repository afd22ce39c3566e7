// Package published holds the measurements of a Raspberry Pi 3B study (three sniffers written in Python, iperf3 and netwox
// as senders), and explains them: what a packet costs each sniffer, what that depends on, and whether one server behind one
// queue gives the packets that were counted and the CPU share that was read. It is a test of the lab's own fits on numbers
// of others, and a yardstick for boards of that kind.
//
// Source: the public tables of research checkpoints 07, 09 and 10 of otavioolsilva.github.io (papers at WPerformance 2025
// and WTG 2025). Each row is the mean of five runs; no spread was published.
package published

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Source names where the rows are from.
const Source = "tables of research checkpoints 07, 09 and 10 of otavioolsilva.github.io: Raspberry Pi 3 Model B, Debian 12, " +
	"100 Mbit/s Ethernet, means of five runs"

// The libraries, by the study's names.
const (
	Pyshark = "Pyshark"       // PyShark 0.6, LiveCapture: tshark and dumpcap as children
	Scapy   = "Scapy"         // Scapy 2.6.0, sniff with a callback
	Pypcap  = "Pypcap + dpkt" // pypcap 1.3.0 in immediate mode, each frame decoded by dpkt 1.9.8
)

// Libraries returns the libraries in the order of the tables.
func Libraries() []string { return []string{Pyshark, Scapy, Pypcap} }

// The length of the scripts' runs, over which psutil averages the CPU share: they sleep for 10 s, then traffic comes, and they
// end at second 50.
const (
	WindowPyshark = 50 * time.Second
	WindowScapy   = 50 * time.Second
	// WindowPypcap is longer: the loop looks at the clock only when a packet comes. With it a saturated row (19.4 %) is 9.99 s
	// of CPU in 10 s of traffic.
	WindowPypcap = 51500 * time.Millisecond
	// BacklogPyshark is how long Pyshark goes on: the file through which dumpcap hands packets over is an unbounded queue, and
	// from the begin of the traffic (second 10) to the end of the window it is worked on.
	BacklogPyshark = 40 * time.Second
)

// Window returns the length of a run of a library's script, 0 for an unknown one.
func Window(library string) time.Duration {
	switch library {
	case Pyshark:
		return WindowPyshark
	case Scapy:
		return WindowScapy
	case Pypcap:
		return WindowPypcap
	}
	return 0
}

// Control is how many packets of iperf3's own TCP connection are among the counted ones, about: rows without loss have 30 to
// 36 more than were sent.
const Control = 34

// Androiddump is how many packets more Pyshark counts on loopback, about: a capture of the androiddump interface runs beside.
const Androiddump = 40

// FloodPPS is the offered rate from which a row is a flood: interrupts and copies for packets that are dropped then take
// from the sniffer too, which no cost per counted packet can tell.
const FloodPPS = 5000

// Side is where the sniffer was.
type Side string

// The sides.
const (
	Loopback Side = "LH" // sender, receiver and sniffer on the Pi, over lo
	Sender   Side = "RS" // the Pi sends to a notebook and sniffs what it sends
	Receiver Side = "RA" // a notebook attacks, the Pi sniffs what it receives
)

// Row is one row of the tables, the mean of five runs. A zero stands for what a table does not have, where no other is named.
type Row struct {
	Checkpoint    int     `json:"checkpoint"`
	Library       string  `json:"library"`
	Scenario      string  `json:"scenario"`
	Side          Side    `json:"side"`
	Proto         string  `json:"proto"`                // TCP or UDP
	LimitMbps     float64 `json:"limit_mbps,omitempty"` // iperf3 --bitrate, Mbit/s of payload; 0 is unlimited
	PayloadOctets int     `json:"payload_octets"`       // per packet (Ethernet frames have 42 more with UDP); -1 is unknown
	Blocks        int     `json:"blocks,omitempty"`     // iperf3 --blockcount; 0 is a run by time
	AchievedMbps  float64 `json:"achieved_mbps,omitempty"`
	SentPackets   int     `json:"sent_packets,omitempty"` // as iperf3 reported
	Seconds       float64 `json:"seconds"`                // length of the traffic
	CPUPercent    float64 `json:"cpu_pct"`                // of one core, the sniffing process alone, over the window of the library
	PeakRSSKB     int     `json:"peak_rss_kb"`            // ru_maxrss of the sniffing process, in units of 1024 octets
	Counted       float64 `json:"counted"`                // packets that the script saw
	Reference     float64 `json:"reference,omitempty"`    // packets that Wireshark saw at the sender
}

// CPUSeconds returns the CPU time of the sniffing process.
func (r Row) CPUSeconds() float64 { return r.CPUPercent / 100 * Window(r.Library).Seconds() }

// OfferedPPS returns the rate of packets that were sent (or, where only that is known, seen at the sender), 0 where unknown.
func (r Row) OfferedPPS() float64 {
	if r.SentPackets > 0 {
		return float64(r.SentPackets) / r.Seconds
	}
	return r.Reference / r.Seconds
}

// Flood tells whether the row is a flood: of known rate from FloodPPS, or a SYN flood.
func (r Row) Flood() bool {
	return r.OfferedPPS() >= FloodPPS || r.Proto == "TCP" && r.PayloadOctets == 0
}

// Saturated tells whether the sniffer had work all the time: its CPU time is 96 % of the length of the traffic or more. Of
// Pyshark, which goes on after the traffic, 96 % of BacklogPyshark.
func (r Row) Saturated() bool {
	busy := r.Seconds
	if r.Library == Pyshark {
		busy = BacklogPyshark.Seconds()
	}
	return r.CPUSeconds() >= float64(0.96*busy)
}

// Cost is the CPU time of the sniffing process per packet counted.
type Cost struct {
	NS float64 `json:"ns"`
	// RoundingNS is the standard uncertainty that psutil's digits alone give: 0.1 % of each run (uniform), and clock ticks of
	// 10 ms at its begin and end (triangular), over the root of five runs. How much runs differ was not published; the scatter
	// of the rows about a fit is the better measure.
	RoundingNS float64 `json:"rounding_ns"`
}

// Cost returns the row's cost per packet.
func (r Row) Cost() Cost {
	window := Window(r.Library).Seconds()
	run := math.Hypot(0.1/math.Sqrt(12), 100*0.01/window/math.Sqrt(6))
	perPercent := window / 100 / r.Counted * 1e9
	return Cost{NS: float64(r.CPUPercent * perPercent), RoundingNS: float64(run / math.Sqrt(5) * perPercent)}
}

// same tells whether two rows are of the same runs: checkpoint 09 prints rows of checkpoint 07 again.
func (r Row) same(o Row) bool {
	return r.Library == o.Library && r.Side == o.Side && r.Proto == o.Proto && r.PayloadOctets == o.PayloadOctets &&
		r.SentPackets == o.SentPackets && r.Seconds == o.Seconds && r.CPUPercent == o.CPUPercent && r.Counted == o.Counted
}

// Distinct returns the rows without those that are of the same runs as an earlier one.
func Distinct(rows []Row) []Row {
	var kept []Row
	for _, r := range rows {
		if !slices.ContainsFunc(kept, r.same) {
			kept = append(kept, r)
		}
	}
	return kept
}

//go:embed pi3b.csv
var table string

var parsed = sync.OnceValues(func() ([]Row, error) { return Parse("pi3b.csv", strings.NewReader(table)) })

// Rows returns all rows of the tables, in their order.
func Rows() []Row {
	rows, err := parsed()
	if err != nil {
		panic(err) // the file is part of the program, and tested
	}
	return slices.Clone(rows)
}

const header = "post,library,scenario,side,proto,limit_mbps,payload_bytes,blocks,achieved_mbps,sent_packets,duration_s," +
	"cpu_pct,peak_rss_kb,packets_counted,reference_packets"

// Parse reads rows in the form of the embedded file: CSV with that header, lines that begin with # left out. It is strict:
// an unknown word, a number that is not plain decimal or out of bounds, or a missing field is an error that begins with
// name:line.
func Parse(name string, r io.Reader) ([]Row, error) {
	c := csv.NewReader(r)
	c.Comment = '#'
	c.FieldsPerRecord = -1
	names := strings.Split(header, ",")
	var rows []Row
	for first := true; ; first = false {
		record, err := c.Read()
		var parse *csv.ParseError
		switch {
		case errors.Is(err, io.EOF) && first:
			return nil, fmt.Errorf("%s:1: no header", name)
		case errors.Is(err, io.EOF):
			return rows, nil
		case errors.As(err, &parse):
			return nil, fmt.Errorf("%s:%d: %w", name, parse.Line, parse.Err)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := c.FieldPos(0)
		where := fmt.Sprintf("%s:%d", name, line)
		if len(record) != len(names) {
			return nil, fmt.Errorf("%s: %d fields, want %d", where, len(record), len(names))
		}
		if first {
			if got := strings.Join(record, ","); got != header {
				return nil, fmt.Errorf("%s: the header is %q, want %q", where, got, header)
			}
			continue
		}
		row, err := parseRow(record, names)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		rows = append(rows, row)
	}
}

func parseRow(record, names []string) (Row, error) {
	var fault error
	fail := func(i int, want string) {
		fault = errors.Join(fault, fmt.Errorf("%s is %q, want %s", names[i], record[i], want))
	}
	word := func(i int, of ...string) string {
		if !slices.Contains(of, record[i]) {
			fail(i, strings.Join(of, ", "))
		}
		return record[i]
	}
	// number reads plain decimals only: no sign, exponent, hexadecimal, infinity. An empty field is the value missing, unless
	// the bounds forbid it.
	number := func(i int, missing, low, high float64) float64 {
		if record[i] == "" && (missing >= low || missing < 0) {
			return missing
		}
		v, err := strconv.ParseFloat(record[i], 64)
		if err != nil || strings.Trim(record[i], "0123456789.") != "" || len(record[i]) > 15 || v < low || v > high {
			fail(i, fmt.Sprintf("a number from %g to %g", low, high))
		}
		return v
	}
	whole := func(i int, missing, low, high float64) int {
		v := number(i, missing, low, high)
		if v != math.Trunc(v) || strings.Contains(record[i], ".") {
			fail(i, "a whole number")
			return 0
		}
		return int(v)
	}
	r := Row{
		Checkpoint:    whole(0, 0, 1, 99),
		Library:       word(1, Libraries()...),
		Scenario:      record[2],
		Side:          Side(word(3, string(Loopback), string(Sender), string(Receiver))),
		Proto:         word(4, "TCP", "UDP"),
		LimitMbps:     number(5, 0, 0, 1e6),
		PayloadOctets: whole(6, -1, 0, 65535),
		Blocks:        whole(7, 0, 0, 1e9),
		AchievedMbps:  number(8, 0, 0, 1e6),
		SentPackets:   whole(9, 0, 0, 1e9),
		Seconds:       number(10, 0, 0.01, 1e4),
		CPUPercent:    number(11, 0, 0.01, 400),
		PeakRSSKB:     whole(12, 0, 1, 1e9),
		Counted:       number(13, 0, 1, 1e9),
		Reference:     number(14, 0, 0, 1e9),
	}
	if r.Scenario == "" || strings.TrimSpace(r.Scenario) != r.Scenario {
		fail(2, "a name")
	}
	return r, fault
}
