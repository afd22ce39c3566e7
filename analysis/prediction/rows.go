package prediction

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"pcaplab/analysis/published"
)

// published3B is the board that the published rows are of.
const published3B = "pi3b"

// HasRows tells whether the published rows are of the board.
func HasRows(b *Board) bool { return b != nil && b.Name == published3B }

// udpHeaders are the octets of a frame before the UDP payload, by which the rows name sizes.
const udpHeaders = 42

// Library returns the library of the study that a program of package external stands for, "" for others.
func Library(program string) string {
	switch program {
	case "dpkt":
		return published.Pypcap
	case "scapy":
		return published.Scapy
	case "pyshark", "pyshark-json", "pyshark-ek":
		return published.Pyshark
	}
	return ""
}

// rowsOf is what the rows say of a library: its model, and how far rows are from it.
type rowsOf struct {
	library published.Library
	low     float64 // least of cost over model
	high    float64 // greatest
	rows    int
}

// The UDP payloads between which the rows lie.
const payloadLow, payloadHigh = 48, 1448

// rowsPrograms are the programs that the rows are of.
var rowsPrograms = []string{"dpkt", "scapy", "pyshark"}

// ceilingPPS stands for a load that leaves no time to sleep.
const ceilingPPS = 1e12

// ranges finds the range of each library's rows: Ethernet, saturated (a ceiling is asked for), of a known size.
var ranges = sync.OnceValues(func() (map[string]rowsOf, error) {
	e, err := published.Explain()
	if err != nil {
		return nil, err
	}
	all := make(map[string]rowsOf)
	for _, l := range e.Libraries {
		r := rowsOf{library: l}
		for _, p := range l.Rows {
			if p.Row.Side == published.Loopback || !p.Saturated || p.Row.PayloadOctets < 0 {
				continue
			}
			ratio := p.Cost.NS / l.Model.At(float64(p.Row.PayloadOctets), ceilingPPS)
			if r.rows++; r.rows == 1 {
				r.low, r.high = ratio, ratio
			}
			r.low, r.high = min(r.low, ratio), max(r.high, ratio)
		}
		if r.rows == 0 || !(r.low > 0) {
			return nil, fmt.Errorf("%s: no saturated row", l.Library)
		}
		all[l.Library] = r
	}
	return all, nil
})

// RowsBracket returns what a packet costs a library of the study on a Raspberry Pi 3B under a load that leaves no time to sleep, live
// capture included, and tells whether the rows say it: the model of [published.Explain] at a UDP payload of so many octets, times
// the range of the saturated rows about it.
func RowsBracket(library string, payload float64) (Bracket, bool) {
	all, err := ranges()
	r, ok := all[library]
	if err != nil || !ok {
		return Bracket{}, false
	}
	model := r.library.Model.At(max(payload, 0), ceilingPPS)
	return slow{r.low, r.high}.widened(marginRows).of(model), true
}

// RowsPair predicts what a packet costs a Python sniffer on a Raspberry Pi 3B, live, from another one: here are the brackets of
// both on this machine, donorThere the donor's published one. like says that both figures of this machine are of live capture, as
// the rows are; else they are of parsing alone, and how much capture adds to one and to the other differs by up to
// LiveHigh/LiveLow. The uncertainties have causes of their own (rows, repeats here, programs), so their logarithms add as squares.
func RowsPair(here, donorHere, donorThere Bracket, like bool) Bracket {
	square := 0.0
	add := func(halfWidth float64) { square += float64(halfWidth * halfWidth) }
	middle := func(b Bracket) float64 {
		add(math.Log(b.Width()) / 2)
		return math.Sqrt(b.LowNS * b.HighNS)
	}
	centre := middle(here) * middle(donorThere) / middle(donorHere)
	add(math.Log(marginInterpreted))
	if !like {
		add(math.Log(LiveHigh / LiveLow))
	}
	return slow{1, 1}.widened(math.Exp(math.Sqrt(square))).of(centre)
}

// publishedRows are the libraries at the ends of the sizes that the study measured.
func publishedRows(wanted func(string) bool) []Prediction {
	var list []Prediction
	for _, program := range rowsPrograms {
		if !wanted(program) {
			continue
		}
		for _, payload := range []float64{payloadLow, payloadHigh} {
			if p, ok := rowsPrediction(program, fmt.Sprintf("%.0f B payload", payload), payload+udpHeaders, nil); ok {
				list = append(list, p)
			}
		}
	}
	return list
}

// unlikeRows says what makes the traffic of a cost another one than the rows'. Mean sizes are of all packets, so they reach a little
// beyond those of the datagrams.
func (c *cost) unlikeRows() []string {
	var list []string
	if payload := c.octets - udpHeaders; payload < payloadLow-1 || payload > payloadHigh+1 {
		list = append(list, fmt.Sprintf("the rows are of UDP payloads from %d to %d B, these packets are of others", payloadLow, payloadHigh))
	}
	if c.traffic != "udp" {
		list = append(list, "the rows are of UDP, this traffic is not, or may not be: other protocols cost otherwise (PyShark's SYN is 30 % above its line)")
	}
	return list
}

func rowsPrediction(program, size string, octets float64, doubts []string) (Prediction, bool) {
	library := Library(program)
	b, ok := RowsBracket(library, octets-udpHeaders)
	if !ok {
		return Prediction{}, false
	}
	return Prediction{Engine: program, Size: size, Octets: octets, Method: PublishedRows, Bracket: b, Live: true,
		Notes: append([]string{"rows of " + library}, doubts...), doubtful: len(doubts) > 0}, true
}

// python predicts a Python program on a Pi 3B: by its own rows, and by each other program's that was measured on the same
// traffic. There is nothing for other boards and programs.
func (b *carrier) python(c cost) []Prediction {
	library := Library(c.engine)
	if !HasRows(b.board) || library == "" || !(c.octets > 0) { // of a size that is not known the rows say nothing
		return nil
	}
	var list []Prediction
	unlike := c.unlikeRows()
	if p, ok := rowsPrediction(c.engine, c.size, c.octets, unlike); ok {
		list = append(list, p)
	}
	for _, donor := range b.costs {
		from := Library(donor.engine)
		if from == "" || from == library || donor.size != c.size || !(donor.octets > 0) {
			continue
		}
		doubts := slices.Concat(unlike, c.doubts, donor.doubts)
		there, ok := RowsBracket(from, donor.octets-udpHeaders)
		if !ok {
			continue
		}
		list = append(list, Prediction{Engine: c.engine, Size: c.size, Octets: c.octets, Method: PublishedPair, Live: true,
			Bracket:  RowsPair(c.process(), donor.process(), there, false),
			Notes:    append([]string{fmt.Sprintf("by %s: its rows over its cost here; costs here are of reading and parsing, not of live capture", donor.engine)}, doubts...),
			doubtful: len(doubts) > 0})
	}
	return list
}

// process is the cost of the program's own process, as the rows have it, over its repeats.
func (c *cost) process() Bracket {
	ns := c.alone
	if c.own > 0 {
		ns = c.own
	}
	m := max(c.spread, 1)
	return Bracket{ns / m, float64(ns * m)}
}
