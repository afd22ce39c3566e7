package published

import (
	"errors"
	"fmt"
	"math"
	"time"

	"pcaplab/analysis"
)

// Explanation is what follows from the rows. Times are of the sniffing process alone.
type Explanation struct {
	Source    string    `json:"source"`
	Libraries []Library `json:"libraries"`
	Meanings  []Meaning `json:"meanings"`
}

// Library explains the rows of one library.
type Library struct {
	Library       string  `json:"library"`
	WindowSeconds float64 `json:"window_seconds"` // see Window
	Queue         string  `json:"queue"`          // what the queue model takes for the queue
	Rows          []Point `json:"rows"`           // distinct rows of all sides, in the order of the tables

	// Fits are all forms, fitted to the distinct UDP rows of Sender, floods among them: only there is one size at several
	// rates and one rate at several sizes. Rows weigh the same, for each is a mean of five runs whose spread is unknown.
	Fits []analysis.Fit `json:"fits"`
	// Relative is the line again with the lab's own weights (1/NS²): where it differs, the weights matter.
	Relative analysis.CostModel `json:"relative"`
	// Saturated, where a flat cost is accepted at all, is that of those of these rows where the sniffer had work all the time
	// and no flood came, each weighted by its packets: all their CPU time over all their packets, with no waking from sleep
	// in it. SaturatedLine is the line through the same rows: what size costs when nothing else does.
	Saturated     *analysis.Fit `json:"saturated,omitempty"`
	SaturatedLine *analysis.Fit `json:"saturated_line,omitempty"`
	// Model is what predictions are made with: the fit that analysis.ChooseFit takes of Fits or, if that is flat, Saturated.
	Model  analysis.Fit `json:"model"`
	Reason string       `json:"reason"` // why this model

	// Counts compares the queue model with the packets counted, as fractions of them.
	Counts Agreement `json:"counts"`
	// CPU compares Model times packets counted over the window with the published share, in points of per cent.
	CPU Agreement `json:"cpu"`
	// Buffer is the queue as two rows give it, of Scapy only.
	Buffer *Buffer `json:"buffer,omitempty"`
}

// Point is a row with what is derived from it and what the model says of it.
type Point struct {
	Row       Row     `json:"row"`
	Cost      Cost    `json:"cost"`
	PPS       float64 `json:"pps"`                 // offered; 0 is unknown
	Saturated bool    `json:"saturated,omitempty"` // see Row.Saturated
	Flood     bool    `json:"flood,omitempty"`     // see Row.Flood
	Fitted    bool    `json:"fitted,omitempty"`    // is among the rows of Library.Fits

	// What follows is zero where the row does not say what the model needs: the payload or, if the sniffer was not saturated,
	// how many packets were sent.
	MeanOctets   float64 `json:"mean_octets"`            // payload; on loopback the mean with the control packets
	Extrapolated bool    `json:"extrapolated,omitempty"` // the payload is outside those of the fit
	ModelNS      float64 `json:"model_ns"`
	QueueFrames  float64 `json:"queue_frames"`
	Count        float64 `json:"count"`       // predicted
	CountError   float64 `json:"count_error"` // predicted over counted less 1
	CPUPercent   float64 `json:"cpu_pct"`     // ModelNS times packets counted over the window
	CPUError     float64 `json:"cpu_error"`   // less the published, in points
}

// Agreement is how far predictions are from the fitted rows.
type Agreement struct {
	All       Misfit `json:"all"`       // all fitted rows
	NoFlood   Misfit `json:"no_flood"`  // those that are no floods
	Timed     Misfit `json:"timed"`     // of those the ones by time (10 s), not by number of packets
	Saturated Misfit `json:"saturated"` // of those without floods the saturated ones: here the model could err most
}

// Misfit sums up absolute errors.
type Misfit struct {
	Rows   int     `json:"rows"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"median"`
	Worst  float64 `json:"worst"`
}

// Buffer is a queue found from two saturated rows that differ in nothing but their length: counted = length/cost + frames.
type Buffer struct {
	PayloadOctets int     `json:"payload_octets"`
	Frames        float64 `json:"frames"`         // found
	CostNS        float64 `json:"cost_ns"`        // found
	ModelFrames   float64 `json:"model_frames"`   // what the queue model takes
	LongerSeconds float64 `json:"longer_seconds"` // length of the longer row
	ShortSeconds  float64 `json:"short_seconds"`  // of the other
}

// Meaning is what a published number means that the study left open.
type Meaning struct {
	Of   string `json:"of"`
	Says string `json:"says"`
}

// Explain works out what follows from the rows of the tables.
func Explain() (Explanation, error) {
	e := Explanation{Source: Source, Meanings: meanings()}
	for _, name := range Libraries() {
		l, err := explain(name, Distinct(Rows()))
		if err != nil {
			return Explanation{}, fmt.Errorf("%s: %w", name, err)
		}
		e.Libraries = append(e.Libraries, l)
	}
	return e, nil
}

// FitPoints returns the points of the fits: the distinct UDP rows of Sender of a library, each with weight 1.
func FitPoints(library string) []analysis.FitPoint {
	var points []analysis.FitPoint
	for _, r := range Distinct(Rows()) {
		if r.Library == library && r.fitted() {
			points = append(points, r.point())
		}
	}
	return points
}

func (r Row) fitted() bool { return r.Side == Sender && r.Proto == "UDP" }

func (r Row) point() analysis.FitPoint {
	return analysis.FitPoint{Octets: float64(r.PayloadOctets), PPS: r.OfferedPPS(), NS: r.Cost().NS}
}

func explain(library string, rows []Row) (Library, error) {
	l := Library{Library: library, WindowSeconds: Window(library).Seconds(), Queue: queueText(library)}
	var relative []analysis.CostPoint
	var saturated []analysis.FitPoint
	for _, r := range rows {
		if r.Library != library {
			continue
		}
		l.Rows = append(l.Rows, Point{Row: r, Cost: r.Cost(), PPS: r.OfferedPPS(), Saturated: r.Saturated(), Flood: r.Flood(),
			Fitted: r.fitted()})
		if !r.fitted() {
			continue
		}
		p := r.point()
		relative = append(relative, analysis.CostPoint{Octets: p.Octets, NS: p.NS})
		if r.Saturated() && !r.Flood() {
			p.Weight = r.Counted
			saturated = append(saturated, p)
		}
	}
	var err error
	for _, form := range analysis.Forms() {
		f, err := analysis.FitForm(form, FitPoints(library))
		if err != nil {
			return l, err
		}
		l.Fits = append(l.Fits, f)
	}
	if l.Relative, err = analysis.FitCost(relative); err != nil {
		return l, err
	}
	chosen, ok := analysis.ChooseFit(l.Fits...)
	if !ok {
		return l, errors.New("no form of cost fits")
	}
	l.Model = chosen
	if l.Fits[0].Accepted { // the flat one
		flat, err := analysis.FitForm(analysis.FormFlat, saturated)
		if err != nil {
			return l, err
		}
		line, err := analysis.FitForm(analysis.FormLine, saturated)
		if err != nil {
			return l, err
		}
		l.Saturated, l.SaturatedLine = &flat, &line
	}
	switch chosen.Form {
	case analysis.FormFlat:
		l.Model = *l.Saturated
		l.Reason = "a flat cost is near enough, and neither size nor rate halves its misfit; its value is that of the saturated " +
			"rows without floods, with no waking from sleep in it"
	case analysis.FormLine:
		l.Reason = "size explains the cost and the rate does not: one size costs the same at all rates"
	default:
		l.Reason = "a line in size is refused: one size costs less the higher its rate. What falls is the cost of waking up, of a " +
			"low clock, or both: these rows cannot tell"
	}
	for i := range l.Rows {
		if err := l.predict(&l.Rows[i]); err != nil {
			return l, err
		}
	}
	l.Counts = agreement(l.Rows, func(p Point) float64 { return p.CountError })
	l.CPU = agreement(l.Rows, func(p Point) float64 { return p.CPUError })
	if library == Scapy {
		l.Buffer = buffer(l.Rows)
	}
	return l, nil
}

// predict fills in what the model says of a row.
func (l *Library) predict(p *Point) error {
	r := p.Row
	offered, control := float64(r.SentPackets), float64(Control)
	switch {
	case r.Side != Loopback:
	case r.Library == Scapy:
		offered, control = 2*offered, 2*control
	case r.Library == Pyshark:
		control += Androiddump
	}
	if offered == 0 {
		offered = r.Reference
	}
	pps := p.PPS
	if offered == 0 && p.Saturated { // more than it could take, however many they were
		offered, pps = 1e12, 1e12
	}
	if r.PayloadOctets < 0 || offered == 0 {
		return nil
	}
	p.MeanOctets = float64(r.PayloadOctets)
	if r.Side == Loopback && r.Proto == "UDP" { // up to two thirds of the packets are not the test's own
		p.MeanOctets *= max(0, r.Counted-control) / r.Counted
	}
	p.Extrapolated = p.MeanOctets < l.Model.MinOctets || p.MeanOctets > l.Model.MaxOctets
	p.ModelNS = l.Model.At(p.MeanOctets, pps)
	p.QueueFrames = QueueFrames(r.Library, r.PayloadOctets)
	duration := time.Duration(math.Round(r.Seconds * 1e9))
	if r.Library == Pyshark {
		duration = BacklogPyshark
	}
	var err error
	if p.Count, err = analysis.PredictCount(offered, control, duration, p.ModelNS, p.QueueFrames); err != nil {
		return err
	}
	p.CountError = p.Count/r.Counted - 1
	p.CPUPercent = p.ModelNS / 1e9 * r.Counted / l.WindowSeconds * 100
	p.CPUError = p.CPUPercent - r.CPUPercent
	return nil
}

// QueueFrames returns how many frames with so much UDP payload the library's queue holds: Scapy's socket buffer of 131072
// octets (SO_RCVBUF of 65536, doubled by the kernel) by what the kernel charges for a frame, 32 slots of libpcap's ring for
// pypcap in immediate mode, and none for Pyshark, whose queue is unbounded and is not emptied by the end of its window.
func QueueFrames(library string, payloadOctets int) float64 {
	switch library {
	case Scapy:
		return analysis.QueueFrames("scapy-65536", float64(payloadOctets+42))
	case Pypcap:
		return analysis.QueueFrames("pcap-immediate-32", float64(payloadOctets+42))
	}
	return 0
}

func queueText(library string) string {
	switch library {
	case Pyshark:
		return "unbounded (dumpcap's file), worked on for 40 s: from the first packet to the end of the window"
	case Scapy:
		return "131072 octets of truesize: 158 frames up to 240 octets, 103 up to 688, 57 full ones"
	}
	return "32 frames (libpcap in immediate mode, slots of 64 KiB)"
}

// buffer finds the queue from the first two saturated rows of one size and rate that differ in length.
func buffer(points []Point) *Buffer {
	for i, a := range points {
		for _, b := range points[:i] {
			if !a.Fitted || !b.Fitted || !a.Saturated || !b.Saturated || a.Flood || a.Row.PayloadOctets != b.Row.PayloadOctets ||
				a.Row.LimitMbps != b.Row.LimitMbps || a.Row.Seconds <= b.Row.Seconds {
				continue
			}
			perSecond := (a.Row.Counted - b.Row.Counted) / (a.Row.Seconds - b.Row.Seconds)
			return &Buffer{PayloadOctets: a.Row.PayloadOctets, CostNS: 1e9 / perSecond,
				Frames:      a.Row.Counted - float64(perSecond*a.Row.Seconds),
				ModelFrames: a.QueueFrames, LongerSeconds: a.Row.Seconds, ShortSeconds: b.Row.Seconds}
		}
	}
	return nil
}

func agreement(points []Point, of func(Point) float64) Agreement {
	misfit := func(keep func(Point) bool) Misfit {
		var off []float64
		for _, p := range points {
			if p.Fitted && keep(p) {
				off = append(off, math.Abs(of(p)))
			}
		}
		if len(off) == 0 {
			return Misfit{}
		}
		s := analysis.Summarize(off)
		return Misfit{Rows: s.N, Mean: s.Mean, Median: s.Median, Worst: s.Max}
	}
	return Agreement{
		All:       misfit(func(Point) bool { return true }),
		NoFlood:   misfit(func(p Point) bool { return !p.Flood }),
		Timed:     misfit(func(p Point) bool { return !p.Flood && p.Row.Blocks == 0 }),
		Saturated: misfit(func(p Point) bool { return !p.Flood && p.Saturated }),
	}
}

func meanings() []Meaning {
	return []Meaning{
		{"cpu_pct", "share of one core, of the sniffing process, over its whole run (50 s; pypcap 51.5 s), sleep and idle end " +
			"included: 10 s of one busy thread read as 20 %"},
		{"cpu_pct of Pyshark", "tshark and dumpcap are other processes and not in it; 80 % is a thread that is busy from the " +
			"first packet to the end of the window"},
		{"cpu_pct, digits", "psutil rounds each run to 0.1, and the kernel counts ticks of 10 ms: below 1 % a mean of five is good " +
			"to a few per cent of itself, and to 13 % at 0.1"},
		{"counted of Pyshark", "what it parsed in the 40 s that remain of the window; what waits in dumpcap's file at the end is " +
			"never read"},
		{"counted of Scapy", "what one thread parsed while traffic came, and one socket buffer more: 158 small or 57 full frames"},
		{"counted of Pypcap + dpkt", "the same with 32 frames: immediate mode makes libpcap's ring one of 32 slots"},
		{"counted, all", "about 34 packets of it are iperf3's control connection"},
		{"counted of Scapy on loopback", "each packet twice: lo shows it on its way out and on its way in"},
		{"counted of Pyshark on loopback", "about 40 packets of the androiddump interface are in it"},
		{"counted on loopback", "packets of 32 KiB, and at 1 Mbit/s as many small control packets: a cost per packet is one of a mix"},
		{"floods", "dropped packets cost interrupts and copies too, on cores that the sniffer shares: the queue model is 16 % above " +
			"Scapy's counts of RS floods, and off by 4 to 35 % on SYN floods"},
		{"TCP", "RS sends 1448 B a packet and counts the acknowledgements too: the mean size of the counted packets is unknown"},
		{"rows printed twice", "checkpoint 09 repeats the rows of 1448 B at 1 and 5 Mbit/s of checkpoint 07: the same runs, used once"},
		{"packets of 128 B", "the rows of checkpoint 09 that are printed so are of 148 B: 578 KB in 4000 packets"},
		{"peak_rss_kb", "ru_maxrss of the sniffing process: the interpreter and its modules, without Pyshark's children"},
	}
}
