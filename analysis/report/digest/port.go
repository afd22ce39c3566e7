package digest

import (
	"math"
	"strconv"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/replay/meter"
	"pcaplab/replay/meter/board"
)

// On a line a frame takes its check sequence, and 20 octets of preamble, start delimiter and least gap more; without the check
// sequence it has 60 octets at least (IEEE 802.3).
const (
	checkSequence = 4
	leastFrame    = 60
	lineOverhead  = 20
)

// link is the rate of an Ethernet.
type link struct {
	name string // "100 Mbit/s"
	bits float64
	bus  float64 // bit/s of frames without preamble and gap that a slower bus behind it lets through; 0: none
}

// references are the links that a rate is set against where a machine's own is not known.
var references = []link{{name: "100 Mbit/s", bits: 100e6}, {name: "1 Gbit/s", bits: 1e9}}

// portOf is the port of a board whose model is known, by what is published of it; ok is false for all other machines, and
// for boards without one.
func portOf(e *meter.Environment) (l link, ok bool) {
	if e == nil || e.Board == "" {
		return link{}, false
	}
	name, _, _ := strings.Cut(strings.TrimRight(e.Board, "\x00"), " Rev ")
	for _, m := range board.Models() {
		for _, have := range m.DeviceTree {
			if have != name || m.Ethernet == nil {
				continue
			}
			if l, ok = parseLink(m.Ethernet.Value); ok && m.EthernetBusBitsPerSecond != nil {
				if l.bus = float64(*m.EthernetBusBitsPerSecond); l.bus < l.bits {
					l.name += " behind a bus of " + report.FormatBits(l.bus)
				}
			}
			return l, ok
		}
	}
	return link{}, false
}

// parseLink reads the rate that a published figure begins with: "100 Mbit/s on USB 2.0".
func parseLink(text string) (link, bool) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return link{}, false
	}
	v, err := strconv.ParseFloat(fields[0], 64)
	unit := map[string]float64{"Mbit/s": 1e6, "Gbit/s": 1e9}[strings.TrimRight(fields[1], ",;:")]
	if err != nil || unit == 0 {
		return link{}, false
	}
	return link{name: fields[0] + " " + strings.TrimRight(fields[1], ",;:"), bits: v * unit}, true
}

// packets is the most frames a second that a link carries, whose mean length without check sequence is octets.
func (l link) packets(octets float64) float64 {
	if !(octets > 0) {
		return math.NaN()
	}
	frame := max(octets, leastFrame) + checkSequence
	rate := l.bits / (8 * (frame + lineOverhead))
	if l.bus > 0 {
		rate = min(rate, l.bus/(8*frame))
	}
	return rate
}

// lineOf is how many packets a second a link carries of a cell's frames.
func (l link) lineOf(c *analysis.Ceiling) float64 { return l.packets(c.Wire) }
