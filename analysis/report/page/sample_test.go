package page_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"pcaplab/analysis"
	"pcaplab/analysis/report"
	"pcaplab/analysis/report/page"
)

const hostile = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'` + "`&amp;{{.}}\u202eevil\u2028\x00"

func interval(v, part float64) analysis.Interval {
	return analysis.Interval{Low: v * (1 - part), High: v * (1 + part), Coverage: 0.95}
}

var engines = []string{"direct", "direct + features", "direct + features + model=iot-forest-100-trees.onnx", "gopacket", "gopacket-lazy", "gopacket-pool",
	"fork-decodinglayer", "dpkt", "scapy", "pyshark", "a-very-long-name-of-an-engine-that-somebody-chose-in-a-hurry-" + strings.Repeat("x", 40), hostile}

// sample is made by hand: many engines, hostile names, 200 trials, 34 classes.
func sample() *page.Document {
	r := rand.New(rand.NewPCG(9, 9))
	rates := []float64{6.1e6, 1.9e6, 61e3, 1.4e6, 1.7e6, 1.1e6, 4.2e6, 11e3, 1.2e3, 74, 5.5e5, 3.1e5}

	ceilings := report.CeilingChart{Title: "Ceilings", Note: "synth:iot-1; queue 1024 packets, clock batch, 6 repeats of trials of 5 s, hot frames",
		Series: []string{"service ceiling", "NDR", "PDR 0.5 %"}}
	table := &report.Table{Title: "Ceilings at 64 B", Columns: []report.Column{{Head: "engine"}, {Head: "size"}, {Head: "frames"}, {Head: "service", Right: true, Key: "service_pps"},
		{Head: "NDR", Right: true, Key: "ndr_pps"}, {Head: "95 % interval", Right: true}, {Head: "PDR 0.5 %", Right: true}, {Head: "CPU per packet", Right: true}, {Head: "peak memory", Right: true}, {Head: "warnings"}},
		Notes: []string{"NDR: the highest load without loss. PDR: with at most 0.5 % loss.", "Intervals are of the median of 6 repeats: " + hostile}}
	loss := report.LossChart{Title: "Loss against offered load", Note: ceilings.Note, Goal: 0.005}
	lossData := &report.Table{Columns: []report.Column{{Head: "engine", Key: "engine"}, {Head: "offered", Key: "offered_pps"}, {Head: "loss", Key: "loss"}}}
	lossPlot := &page.Plot{X: page.Axis{Title: "offered load (pps)", Log: true, Unit: page.Rate}, Y: page.Axis{Title: "loss ratio", Log: true, Unit: page.Ratio}}
	cpu := report.BarChart{Title: "CPU per packet", Axis: "ns of one core per packet", Series: []string{"user", "system"}, Format: report.FormatDuration}
	memory := report.BarChart{Title: "Peak memory", Axis: "resident set at its peak", Series: []string{"peak"}, Format: report.FormatOctets, Reference: "memory of the machine"}
	var records bytes.Buffer
	for i, e := range engines {
		v := rates[i]
		mark := ""
		if i == 2 {
			mark = "feed-limited"
		}
		ceilings.Groups = append(ceilings.Groups, report.CeilingGroup{Engine: e, Bars: []report.CeilingBar{{Rate: v * 1.05, Interval: interval(v*1.05, 0.01)},
			{Rate: v, Interval: interval(v, 0.02), Mark: mark}, {Rate: v * 1.02}}})
		table.Add(report.Text(e), report.Text("64 B"), report.Text("hot"), report.Number(v*1.05, report.FormatRate), report.Number(v, report.FormatRate),
			report.Text(report.FormatRate(v*.98)+" to "+report.FormatRate(v*1.02)), report.Number(v*1.02, report.FormatRate),
			report.Number(1e9/v, report.FormatDuration), report.Number(17e6+float64(i)*3e6, report.FormatOctets), report.Text([]string{"", "throttled in 2 of 6 trials", hostile}[i%3]))
		curve := report.LossCurve{Engine: e, NDR: v, PDR: v * 1.02}
		series := page.Series{Name: e, Line: true, Dots: true, Color: i}
		for k := range 17 {
			offered := v * (0.5 + 0.05*float64(k))
			l := max(0, 1-v/offered) * (1 + 0.1*r.Float64())
			curve.Points = append(curve.Points, report.LossPoint{Offered: offered, Loss: l})
			pt := page.Point{X: offered, Y: l, Note: fmt.Sprintf("trial %d, 5.0 s, repeat %d", k+1, k%6+1)}
			if l > 0 {
				pt.Low, pt.High = l*0.8, min(1, l*1.2)
			}
			series.Points = append(series.Points, pt)
			lossData.Add(report.Text(e), report.Number(offered, report.FormatRate), report.Number(l, report.FormatRatio))
			fmt.Fprintf(&records, `{"engine":%q,"offered":%.3f,"loss":%.9f,"usage":{"user":%d,"system":%d,"rss":%d},"counters":{"packets":%d,"octets":%d},"time":%d}`+"\n",
				e, offered, l, r.Uint32(), r.Uint32(), r.Uint32(), r.Uint64N(1e9), r.Uint64N(1e12), 1.7e18+r.Int64N(1e15))
		}
		loss.Curves = append(loss.Curves, curve)
		lossPlot.Series = append(lossPlot.Series, series,
			page.Series{Name: e + ": NDR", Of: e, Dots: true, Color: i, Shape: page.Diamond, Points: []page.Point{{X: v, Note: "NDR"}}},
			page.Series{Name: e + ": PDR 0.5 %", Of: e, Dots: true, Color: i, Shape: page.Down, Points: []page.Point{{X: v * 1.02, Y: 0.005, Note: "PDR 0.5 %"}}})
		cpu.Groups = append(cpu.Groups, report.BarGroup{Name: e, Bars: []report.Bar{{Value: 1e9 / v, Interval: interval(1e9/v, 0.03)}, {Value: 1e8 / v}}})
		memory.Groups = append(memory.Groups, report.BarGroup{Name: e, Reference: 64e6, Bars: []report.Bar{{Value: 17e6 + 3e6*float64(i), Interval: interval(17e6+3e6*float64(i), 0.05)}}})
	}
	memory.Groups[4].Bars[0] = report.Bar{Value: math.NaN(), Mark: "missing"}

	lossPlot.Marks = []page.Mark{{Shape: page.Diamond, Name: "NDR"}, {Shape: page.Down, Name: "PDR 0.5 %"}}

	cost := report.CostChart{Title: "Cost against frame size", Note: ceilings.Note}
	costPlot := &page.Plot{X: page.Axis{Title: "frame size (B)", Unit: page.Bytes}, Y: page.Axis{Title: "cost (ns per packet)", Unit: page.Nanos}}
	for i, base := range []float64{160, 520, 700} {
		c := report.CostSeries{Engine: engines[i]}
		s := page.Series{Name: engines[i], Dots: true, Color: i}
		for _, size := range []float64{64, 128, 256, 512, 1024, 1518} {
			for k := range 6 {
				ns := base + 0.11*float64(i+1)*size + 6*float64(k)
				c.Points = append(c.Points, analysis.CostPoint{Octets: size, NS: ns, Repeat: k + 1})
				s.Points = append(s.Points, page.Point{X: size, Y: ns, Note: fmt.Sprintf("repeat %d", k+1)})
			}
		}
		m, err := analysis.FitCost(c.Points)
		if err != nil {
			panic(err)
		}
		c.Model = &m
		cost.Costs = append(cost.Costs, c)
		line := page.Series{Name: engines[i] + ": fitted line", Of: engines[i], Line: true, Color: i}
		for size := 64.0; size <= 1518; size += (1518.0 - 64) / 20 * (1 - 1e-9) {
			line.Points = append(line.Points, page.Point{X: size, Y: m.At(size), Low: m.At(size) * 0.97, High: m.At(size) * 1.03})
		}
		costPlot.Series = append(costPlot.Series, s, line)
	}

	classes := &report.Table{Title: "Ceilings by class", Columns: []report.Column{{Head: "class"}, {Head: "packets", Right: true}, {Head: "mean size", Right: true},
		{Head: "NDR", Right: true, Key: "ndr_pps"}, {Head: "95 % interval", Right: true}, {Head: "features per window", Right: true}}}
	byClass := report.BarChart{Title: "Ceiling by class", Axis: "NDR (pps)", Series: []string{"direct", "gopacket"}, Format: report.FormatRate}
	for i := range 34 {
		v := 1e6 * (1 + 0.3*math.Sin(float64(i)))
		name := fmt.Sprintf("DDoS-ICMP_Fragmentation-%d", i+1)
		classes.Add(report.Text(name), report.Number(1e5*float64(i+1), report.FormatRate), report.Number(60+30*float64(i), report.FormatOctets), report.Number(v, report.FormatRate),
			report.Text(report.FormatRate(v*.98)+" to "+report.FormatRate(v*1.02)), report.Text("39"))
		byClass.Groups = append(byClass.Groups, report.BarGroup{Name: name, Bars: []report.Bar{{Value: v, Interval: interval(v, 0.02)}, {Value: v / 3}}})
	}
	trials := &report.Table{Title: "All trials", Columns: append([]report.Column{{Head: "note"}}, lossData.Columns...)}
	for _, row := range lossData.Rows {
		trials.Add(append([]report.Cell{report.Text("a note that makes the file of this table so large that it is no link, in row " + row[1].Raw + " of them all")}, row...)...)
	}
	return &page.Document{
		Title:    "pcaplab report: Raspberry Pi 3B, quiet run",
		Subtitle: "synth:iot-1 at 64 B, " + strings.Repeat("one-very-long-capture-name-", 6) + ".pcap; 6 repeats of trials of 5 s",
		Answer: []string{
			"direct + features + forest: 61.0 kpps at 64 B on this Raspberry Pi 3B, 0.41 times the line rate of its port.",
			"NDR, 95 % interval 60.1 to 61.8 kpps from 6 repeats. The port's line rate is 148.8 kpps at 64 B.",
			"The fastest engine, direct, reaches 6.10 Mpps; PyShark reaches 74 pps. " + hostile},
		Numbers: []page.Number{
			{Value: "61.0 kpps", Label: "direct + features + forest, NDR at 64 B", Detail: "95 %: 60.1 to 61.8 kpps"},
			{Value: "0.41 ×", Label: "of the line rate of its port", Detail: "148.8 kpps at 100 Mbit/s"},
			{Value: "16.4 µs", Label: "of one core per packet", Detail: "95 %: 16.2 to 16.6 µs"},
			{Value: "74 pps", Label: "PyShark, NDR at 64 B", Detail: "824 times slower"}},
		Warnings: []page.Warning{
			{Text: "5 runs cannot give a 95 % interval: the widest that they can give has 94 %."},
			{Text: "The processor was throttled in 2 of 6 trials.", Details: []string{"direct at 64 B, hot: 2 of 6 trials", "gopacket at 64 B, hot: 1 of 6 trials", hostile}},
			{Text: "The feed was late.", Details: []string{"direct: 0.3 % of packets", "gopacket: 0.1 %", "dpkt: 0.2 %", "scapy: 0.1 %", "pyshark: 0.1 %"}}},
		Sections: []page.Section{
			{ID: "ceilings", Title: "Ceilings", Notes: []string{"How many packets a second each engine takes before it loses any."},
				Figures: []page.Figure{{Name: "ceilings", Title: "Ceilings of " + fmt.Sprint(len(engines)) + " engines", Caption: "Whiskers are 95 % intervals of the median over repeats. The axis is logarithmic.", Chart: ceilings, Data: table}},
				Tables:  []page.Table{{Name: "ceilings-table", Table: table}}},
			{ID: "loss", Title: "Loss against offered load",
				Figures: []page.Figure{{Name: "loss", Title: "Loss against offered load", Caption: "Each point is one trial. No loss stands on the lowest line.", Chart: loss, Data: lossData, Plot: lossPlot}},
				Tables:  []page.Table{{Name: "loss-trials", Table: trials, Fold: true}}},
			{ID: "cost", Title: "Cost against frame size", Notes: []string{"A line misfits by 4 %."},
				Figures: []page.Figure{{Name: "cost", Title: "Cost against frame size", Caption: "Points are repeats, lines are fitted, bands are 95 % intervals of the line.", Chart: cost, Plot: costPlot}}},
			{ID: "cpu-and-memory", Title: "CPU and memory", Figures: []page.Figure{{Name: "cpu", Title: "CPU per packet", Chart: cpu}, {Name: "memory", Title: "Peak memory", Caption: "Of the whole process.", Chart: memory}}},
			{ID: "classes", Title: "By class", Figures: []page.Figure{{Name: "classes", Title: "Ceiling by class", Chart: byClass}}, Tables: []page.Table{{Table: classes, Fold: true}}},
		},
		Facts: []page.Facts{{Title: "Machine", Rows: []page.Fact{{"model", "Raspberry Pi 3 Model B Rev 1.2"}, {"processor", "Cortex-A53, 4 cores, 1.2 GHz"}, {"kernel", "6.6.31+rpt-rpi-v8 #1 SMP PREEMPT Debian 1:6.6.31-1+rpt1 (2024-05-29)"}, {"governor", "performance"}, {"port", "100 Mbit/s, smsc95xx"}}},
			{Title: "Settings", Rows: []page.Fact{{"queue", "1024 packets"}, {"clock", "batch of 16"}, {"capture", hostile}, {"goals", "NDR 0, PDR 0.5 %"}}}},
		Raw:   []page.RawFile{{Name: "records.jsonl", Note: "one trial a line", MIME: "application/x-ndjson", Data: records.Bytes()}, {Name: "boards/a b/';rm -rf $HOME;'.json", Note: hostile, Data: []byte("{}\n")}},
		Maker: "pcaplab 1.0",
	}
}
