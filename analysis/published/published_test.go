package published

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/replay"
)

func near(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

func TestRows(t *testing.T) {
	rows := Rows()
	if len(rows) != 108 || len(Distinct(rows)) != 102 {
		t.Errorf("%d rows, %d of them distinct, want 108 and 102", len(rows), len(Distinct(rows)))
	}
	counts, sum := map[string]int{}, 0.0
	for _, r := range rows {
		counts[r.Library]++
		sum += r.Counted
		// Means of five runs: shares in steps of 0.02, counts in steps of 0.2.
		for name, v := range map[string]float64{"cpu_pct": r.CPUPercent * 50, "counted": r.Counted * 5} {
			if math.Abs(v-math.Round(v)) > 1e-6 {
				t.Errorf("%s %s: %s is not the mean of five rounded numbers", r.Library, r.Scenario, name)
			}
		}
	}
	for _, name := range Libraries() {
		if counts[name] != 36 || len(FitPoints(name)) != 23 {
			t.Errorf("%d rows of %s, %d points, want 36 and 23", counts[name], name, len(FitPoints(name)))
		}
	}
	want := Row{Checkpoint: 10, Library: Pypcap, Scenario: "RA SYN flood", Side: Receiver, Proto: "TCP", PayloadOctets: 0,
		Seconds: 10, CPUPercent: 18.06, PeakRSSKB: 21204, Counted: 73474.6, Reference: 631650.2}
	if got := rows[107]; got != want {
		t.Errorf("last row %+v, want %+v", got, want)
	}
	rows[0].Counted = 0
	if Rows()[0].Counted != 258 {
		t.Error("rows are shared with the caller")
	}
}

// The embedded file has the rows of the folder that they were typed into.
func TestRowsAreTheSeed(t *testing.T) {
	folder := os.Getenv("PCAPLAB_SEED")
	if folder == "" {
		t.Skip("PCAPLAB_SEED names no folder with pi3b-measurements.csv")
	}
	data, err := os.ReadFile(filepath.Join(folder, "pi3b-measurements.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "#") {
			ours = append(ours, line)
		}
	}
	if seed := strings.ReplaceAll(string(data), "\r\n", "\n"); strings.Join(ours, "") != seed {
		t.Error("pi3b.csv differs from the seed")
	}
}

func TestCostByHand(t *testing.T) {
	r := Row{Library: Pyshark, Seconds: 10, CPUPercent: 40, Counted: 1000}
	// 20 s over 1000 packets. Digits: 0.1/sqrt(12) and 0.02/sqrt(6) per run, of 50 s over 1000 packets, over sqrt(5).
	want := 0.05e9 / 100 * math.Sqrt(0.01/12+0.0004/6) / math.Sqrt(5)
	if c := r.Cost(); !near(c.NS, 20e6, 1e-12) || !near(c.RoundingNS, want, 1e-12) {
		t.Errorf("%+v, want 20 ms ± %g ns", c, want)
	}
	if r.CPUSeconds() != 20 || r.Saturated() || Window("tcpdump") != 0 {
		t.Errorf("%g s of CPU, saturated %v", r.CPUSeconds(), r.Saturated())
	}
	for _, r := range Rows() {
		back := r.Cost().NS / 1e9 * r.Counted / Window(r.Library).Seconds() * 100
		if !near(back, r.CPUPercent, 1e-12) {
			t.Errorf("%s %s: the cost gives %g %% back, published %g", r.Library, r.Scenario, back, r.CPUPercent)
		}
	}
}

func TestQueueFrames(t *testing.T) {
	for _, tt := range []struct {
		library string
		payload int
		want    float64
	}{{Scapy, 0, 158}, {Scapy, 148, 158}, {Scapy, 198, 158}, {Scapy, 199, 103}, {Scapy, 646, 103}, {Scapy, 647, 57},
		{Scapy, 1472, 57}, {Scapy, 32768, 2}, {Pypcap, 48, 32}, {Pyshark, 48, 0}} {
		if got := QueueFrames(tt.library, tt.payload); got != tt.want {
			t.Errorf("%s holds %g frames with %d octets, want %g", tt.library, got, tt.payload, tt.want)
		}
	}
	for name, want := range map[string]float64{
		"scapy-65536": QueueFrames(Scapy, 1472), "pcap-immediate-32": QueueFrames(Pypcap, 1472),
	} {
		q, err := replay.ParseQueue(name)
		if err != nil || float64(q.FullFrames()) != want {
			t.Errorf("%s holds %d full frames (%v), here %g", name, q.FullFrames(), err, want)
		}
	}
}

func library(t *testing.T, name string) Library {
	t.Helper()
	e, err := Explain()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range e.Libraries {
		if l.Library == name {
			return l
		}
	}
	t.Fatalf("no %s", name)
	return Library{}
}

func form(t *testing.T, l Library, form analysis.Form) analysis.Fit {
	t.Helper()
	for _, f := range l.Fits {
		if f.Form == form {
			return f
		}
	}
	t.Fatalf("%s: no fit of %s", l.Library, form)
	return analysis.Fit{}
}

// 12.93 ms + 6.93 us per octet. The digits were worked out apart from this program, by the closed form.
func TestPysharkIsALineInSize(t *testing.T) {
	l := library(t, Pyshark)
	m := l.Model
	if m.Form != analysis.FormLine || !m.Accepted || m.Points != 23 {
		t.Fatalf("%+v", m)
	}
	if !near(m.Base.Value, 12931152.9, 1e-8) || !near(m.PerOctet.Value, 6934.2114, 1e-8) {
		t.Errorf("%.1f + %.4f*octets ns, want 12,931,152.9 + 6934.2114*octets", m.Base.Value, m.PerOctet.Value)
	}
	if math.Abs(m.R2-0.9923) > 1e-4 || math.Abs(m.MAPE-0.0106) > 1e-4 || math.Abs(m.Worst-0.0539) > 1e-4 {
		t.Errorf("R2 %.4f, MAPE %.4f, worst %.4f; want .9923, .0106, .0539", m.R2, m.MAPE, m.Worst)
	}
	if i := m.PerOctet.Interval; math.Abs(i.Low-6657) > 1 || math.Abs(i.High-7212) > 1 {
		t.Errorf("per octet in %v, want 6657 to 7212 ns", i)
	}
	// Other weights change less than the interval.
	if i, j := m.Base.Interval, m.PerOctet.Interval; l.Relative.Base < i.Low || l.Relative.Base > i.High ||
		l.Relative.PerOctet < j.Low || l.Relative.PerOctet > j.High {
		t.Errorf("with weights 1/cost² %g + %g*octets, outside %v and %v", l.Relative.Base, l.Relative.PerOctet, i, j)
	}
	for _, f := range []analysis.Form{analysis.FormFlat, analysis.FormPerSecond, analysis.FormWakeup} {
		if form(t, l, f).Accepted {
			t.Errorf("%s is accepted", f)
		}
	}
}

func TestScapyIsFlat(t *testing.T) {
	l := library(t, Scapy)
	if l.Model.Form != analysis.FormFlat || !l.Model.Accepted || l.Model.Points != 13 || !near(l.Model.Base.Value, 3.0152e6, 1e-4) {
		t.Errorf("%+v, want 3.015 ms of 13 rows", l.Model)
	}
	if pps := 1e9 / l.Model.Base.Value; pps < 325 || pps > 340 {
		t.Errorf("a ceiling of %g pps, want 325 to 340", pps)
	}
	for _, f := range []analysis.Fit{form(t, l, analysis.FormLine), *l.SaturatedLine} {
		if i := f.PerOctet.Interval; i.Low > 0 || i.High < 0 || !strings.Contains(strings.Join(f.Warnings, "; "), "told from none") {
			t.Errorf("per octet in %v of %d rows, warnings %q; want 0 inside", i, f.Points, f.Warnings)
		}
		// A whole payload adds less than a tenth, at most.
		if most := f.PerOctet.Interval.High * 1448; most > f.Base.Value/10 {
			t.Errorf("1448 octets may cost %g ns", most)
		}
	}
}

func TestPypcapDependsOnTheRate(t *testing.T) {
	l := library(t, Pypcap)
	line := form(t, l, analysis.FormLine)
	if line.Accepted || math.Abs(line.R2-0.402) > 0.001 || !strings.Contains(strings.Join(line.Warnings, "; "), "not a + b*octets") {
		t.Errorf("a line in size: accepted %v, R2 %.3f, warnings %q; want it refused at R2 .402", line.Accepted, line.R2, line.Warnings)
	}
	if form(t, l, analysis.FormPerSecond).Accepted || form(t, l, analysis.FormFlat).Accepted {
		t.Error("a simpler form is accepted")
	}
	m := l.Model
	if m.Form != analysis.FormWakeup || !m.Accepted || m.MAPE > 0.07 || m.R2 < 0.95 || m.PerOctet.Value != 0 {
		t.Errorf("%+v, want the wake-up form with a misfit under 7 %%", m)
	}
	if !near(m.Base.Value, 117.23e3, 1e-3) || !near(m.Wakeup.Value, 183.79e3, 1e-3) || !near(m.BusyPPS.Value, 2318.8, 1e-3) ||
		math.Abs(m.MAPE-0.0441) > 2e-4 || m.Wakeup.Interval.Low <= 0 {
		t.Errorf("%+v", m)
	}
	// Waking alone: the clock of the Pi varies by a factor of 2 at most.
	if m.At(0, 0) < 2*m.Base.Value {
		t.Errorf("idle %g ns, busy %g", m.At(0, 0), m.Base.Value)
	}
}

func TestQueueModel(t *testing.T) {
	for _, tt := range []struct {
		library          string
		counts, cpu      float64 // of the 15 rows by time without floods: limits of the mean errors
		saturated, worst float64 // limits of the mean error of saturated rows, and of the worst of all without floods
	}{
		{Pyshark, 0.01, 0.5, 0.015, 0.045},
		{Scapy, 0.01, 0.5, 0.025, 0.075},
		{Pypcap, 0.001, 0.1, 0, 0.003},
	} {
		t.Run(tt.library, func(t *testing.T) {
			l := library(t, tt.library)
			if l.Counts.Timed.Rows != 15 || l.Counts.NoFlood.Rows != 21 || l.Counts.All.Rows != 23 {
				t.Errorf("%+v", l.Counts)
			}
			if l.Counts.Timed.Mean > tt.counts || l.CPU.Timed.Mean > tt.cpu {
				t.Errorf("by time: counts %.4f, CPU share %.2f points; want at most %g and %g", l.Counts.Timed.Mean,
					l.CPU.Timed.Mean, tt.counts, tt.cpu)
			}
			if l.CPU.All.Median > 0.5 {
				t.Errorf("median error of the CPU share is %.2f points", l.CPU.All.Median)
			}
			if l.Counts.Saturated.Mean > tt.saturated || l.Counts.NoFlood.Worst > tt.worst {
				t.Errorf("saturated %.4f, worst %.4f; want at most %g and %g", l.Counts.Saturated.Mean, l.Counts.NoFlood.Worst,
					tt.saturated, tt.worst)
			}
		})
	}
	b := library(t, Scapy).Buffer
	// 880.2 and 339 packets in 2.37 and 0.59 s.
	slope := (880.2 - 339) / (2.37 - 0.59)
	if b == nil || !near(b.Frames, 339-0.59*slope, 1e-9) || !near(b.CostNS, 1e9/slope, 1e-9) ||
		math.Abs(b.Frames-b.ModelFrames) > 2 {
		t.Errorf("%+v, want 160 frames at %g ns", b, 1e9/slope)
	}
}

// The model is only as good as its queue: without one, and with that of libpcap, the short rows are missed.
func TestTheQueueMatters(t *testing.T) {
	l := library(t, Scapy)
	for _, p := range l.Rows {
		if p.Row.Scenario != "1000 packets of 148 B at 2Mb/s" {
			continue
		}
		duration := time.Duration(p.Row.Seconds * 1e9)
		without, err := analysis.PredictCount(1000, Control, duration, p.ModelNS, 0)
		if err != nil || without > 0.6*p.Row.Counted || math.Abs(p.CountError) > 0.05 {
			t.Errorf("without a queue %g packets (%v), with one %g, counted %g", without, err, p.Count, p.Row.Counted)
		}
	}
}

func TestExplainIsData(t *testing.T) {
	e, err := Explain()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Explanation
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	var texts [2]strings.Builder
	for i, e := range []Explanation{e, back} {
		if err := e.WriteText(&texts[i]); err != nil {
			t.Fatal(err)
		}
	}
	if texts[0].String() != texts[1].String() {
		t.Error("the text differs after JSON")
	}
	for i, line := range strings.Split(texts[0].String(), "\n") {
		if n := len([]rune(line)); n > textWidth || strings.TrimRight(line, " ") != line {
			t.Errorf("line %d has %d characters or ends with a space: %q", i+1, n, line)
		}
	}
	for _, want := range []string{
		"line        12.93 ms [12.64 ms, 13.22 ms] + 6.93 us [6.66 us, 7.21 us] * B",
		"wake-up     117.2 us + 183.8 us * max(0, 1 - pps/2319)",
		"saturated   3.02 ms [2.97 ms, 3.06 ms]",
	} {
		if !strings.Contains(texts[0].String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

const good = "7,Scapy,RS UDP 1Mb/s,RS,UDP,1,1448,,1.0,864,10,7.02,67736,899.4,"

func TestParse(t *testing.T) {
	set := func(i int, v string) string {
		f := strings.Split(good, ",")
		f[i] = v
		return strings.Join(f, ",")
	}
	tests := []struct {
		name, text, message string // no message: it is taken
	}{
		{"one row", header + "\n" + good + "\n", ""},
		{"comments, no last line end", "# source\n" + header + "\n# more\n" + good, ""},
		{"DOS line ends", header + "\r\n" + good + "\r\n", ""},
		{"no rows", header + "\n", ""},
		{"nothing", "", "f.csv:1: no header"},
		{"another header", "post,library\n", "f.csv:1: 2 fields, want 15"},
		{"a word of the header", strings.Replace(header, "post", "p", 1) + "\n", "f.csv:1: the header is"},
		{"a field too few", header + "\n" + good[1:] + "\n" + good[:len(good)-1] + "\n", "f.csv:2: post is \"\", want a number from 1"},
		{"after comments", "#\n#\n" + header + "\n" + good + "\n7,Scapy\n", "f.csv:5: 2 fields, want 15"},
		{"a quote", header + "\n" + good + "\"\n", "f.csv:2: extraneous"},
		{"an open quote", header + "\n\"" + good + "\n\n", "f.csv:"},
		{"library", header + "\n" + set(1, "scapy"), "library is \"scapy\", want Pyshark, Scapy, Pypcap + dpkt"},
		{"scenario", header + "\n" + set(2, " x"), "scenario is"},
		{"side", header + "\n" + set(3, "XX"), "side is"},
		{"proto", header + "\n" + set(4, "ICMP"), "proto is"},
		{"no share", header + "\n" + set(11, ""), "cpu_pct is \"\""},
		{"share of nothing", header + "\n" + set(11, "0"), "cpu_pct is \"0\", want a number from 0.01 to 400"},
		{"not a number", header + "\n" + set(11, "NaN"), "cpu_pct is"},
		{"infinite", header + "\n" + set(13, "Inf"), "packets_counted is"},
		{"negative", header + "\n" + set(9, "-1"), "sent_packets is"},
		{"exponent", header + "\n" + set(13, "1e3"), "packets_counted is"},
		{"underscore", header + "\n" + set(13, "1_000"), "packets_counted is"},
		{"hexadecimal", header + "\n" + set(13, "0x10"), "packets_counted is"},
		{"space", header + "\n" + set(13, " 10"), "packets_counted is"},
		{"not whole", header + "\n" + set(6, "10.5"), "payload_bytes is \"10.5\", want a whole number"},
		{"two faults", header + "\n" + strings.Replace(set(11, "x"), "UDP,", "udp,", 1),
			"f.csv:2: proto is \"udp\", want TCP, UDP\ncpu_pct"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, err := Parse("f.csv", strings.NewReader(tt.text))
			if tt.message == "" {
				if err != nil || len(rows) > 0 && rows[0].Counted != 899.4 {
					t.Errorf("%+v, error %v", rows, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.message) || rows != nil {
				t.Errorf("error %q, want one with %q", err, tt.message)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(table[:strings.Index(table, "7,Scapy")])
	f.Add(header + "\n" + good + "\n")
	f.Add("#\n" + header + "\r\n" + good + "\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := Parse("f.csv", strings.NewReader(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.csv:") || rows != nil {
				t.Errorf("%d rows and error %q", len(rows), err)
			}
			return
		}
		for _, r := range rows {
			c := r.Cost()
			if !(c.NS > 0) || !(c.RoundingNS > 0) || math.IsInf(c.NS, 0) || r.OfferedPPS() < 0 || r.PayloadOctets < -1 {
				t.Errorf("%+v costs %+v", r, c)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		}
		Distinct(rows)
	})
}
