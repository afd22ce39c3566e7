package prediction

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/analysis/calibration"
	"pcaplab/replay/meter"
	"pcaplab/replay/meter/board"
	"pcaplab/replay/meter/kernel"
	"pcaplab/replay/trial"
)

// machine makes a calibration by hand: the cost of an engine is its base and its cost per octet, cold frames cost wait more, and all
// kernels cost what tick says.
func machine(name string, started int, feed, wait, tick float64, engines map[string][2]float64) *calibration.File {
	f := &calibration.File{
		Started: time.Unix(int64(started), 0).UTC(), Elapsed: time.Second,
		Environment: meter.Environment{OS: "linux", Arch: "arm64", Board: name},
		Plan:        trial.Plan{Sizes: []string{"64", "512", "1518"}, Caches: []string{trial.CacheHot, trial.CacheCold}},
	}
	for e := range engines {
		f.Plan.Engines = append(f.Plan.Engines, e)
	}
	slices.Sort(f.Plan.Engines)
	for _, size := range f.Plan.Sizes {
		n, _ := strconv.Atoi(size)
		octets := float64(n - 4)
		for _, cache := range f.Plan.Caches {
			for _, e := range f.Plan.Engines {
				ns := engines[e][0] + engines[e][1]*octets + feed
				if cache == trial.CacheCold {
					ns += wait
				}
				c := calibration.Cell{Engine: e, Size: size, Cache: cache, Octets: octets}
				for range 3 {
					c.Samples = append(c.Samples, calibration.Sample{Packets: 1, NS: ns, FeedNS: feed})
				}
				f.Cells = append(f.Cells, c)
			}
		}
	}
	for _, k := range kernel.Kernels() {
		f.Kernels.Kernels = append(f.Kernels.Kernels, kernel.Result{Kind: k.Kind, Name: k.Name, Octets: k.Octets, MinNS: tick, MedianNS: tick})
	}
	return f
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Abs(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// study makes results by hand of one engine at one size, three repeats that agree.
func study(capture, engine, size, cache string, octets, ns, feed float64) *analysis.Results {
	cell := trial.Cell{Engine: engine, Size: size, Cache: cache, Workers: 1}
	one := func(v float64) analysis.Summary { return analysis.Summarize([]float64{v, v, v}) }
	return &analysis.Results{
		Header:   trial.Header{Captures: []trial.Capture{{Name: capture}}, Environment: meter.Environment{Arch: "arm64"}},
		Ceilings: []analysis.Ceiling{{Cell: cell, Octets: octets, NS: one(ns), Feed: one(feed)}},
	}
}

func only(t *testing.T, q Question) Prediction {
	t.Helper()
	a, err := Predict(q)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Predictions) != 1 {
		t.Fatalf("%d predictions: %+v", len(a.Predictions), a.Predictions)
	}
	return a.Predictions[0]
}

func TestPairByHand(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}, "copier": {100, 0.1}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 100, 5, map[string][2]float64{"direct": {80, 0}, "copier": {700, 0.2}})
	// A size of the kit, on its own traffic: ratio 4, the margin of a full kit alone.
	p := only(t, Question{Home: home, There: there, Results: study("synth:iot-1:5000", "direct", "64", "hot", 60, 25, 0)})
	near(t, "low", p.LowNS, 25*4/1.15)
	near(t, "high", p.HighNS, 25*4*1.15)
	near(t, "slowest", p.LowPPS, 1e9/(25*4*1.15))
	if p.Method != Pair || !p.Calibrated || p.Limit != LimitPort {
		t.Errorf("%+v", p)
	}
	near(t, "line rate", p.LinePPS, 1e9/8/84)
	// Other traffic.
	p = only(t, Question{Home: home, There: there, Results: study("mine.pcap", "direct", "64", "hot", 60, 25, 0)})
	near(t, "low of other traffic", p.LowNS, 25*4/1.15/1.15)
	// The feed's part: 40 % of 50 ns are not the parser's, and a quarter of that is in doubt.
	fed := machine("", 1, 20, 20, 1, map[string][2]float64{"direct": {30, 0}})
	slowFed := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 20, 20, 1, map[string][2]float64{"direct": {120, 0}})
	p = only(t, Question{Home: fed, There: slowFed, Results: study("synth:iot-1", "direct", "64", "hot", 60, 50, 0.4)})
	near(t, "high with a feed", p.HighNS, 30*4*1.15*(1+0.25*0.4/0.6))
	// Between two sizes: from the ratio at 64 B to that at 512 B, whichever is higher.
	r64, r512 := (700+0.2*60)/(100+0.1*60), (700+0.2*508)/(100+0.1*508)
	p = only(t, Question{Home: home, There: there, Results: study("synth:iot-1", "copier", "256", "hot", 252, 125, 0)})
	near(t, "low between", p.LowNS, 125*r512/1.15)
	near(t, "high between", p.HighNS, 125*r64*1.15)
	if truth := 700 + 0.2*252; p.LowNS > truth || p.HighNS < truth {
		t.Errorf("the truth, %v, is not in %v", truth, p.Bracket)
	}
	// Beyond: as far as the next size's ratio differs, and a margin.
	r1518 := (700 + 0.2*1514) / (100 + 0.1*1514)
	p = only(t, Question{Home: home, There: there, Results: study("synth:iot-1", "copier", "9000", "hot", 8996, 1000, 0)})
	near(t, "low beyond", p.LowNS, 1000*r1518*r1518/r512/1.15/1.15)
	near(t, "high beyond", p.HighNS, 1000*r512*1.15*1.15)
}

func TestKernelsByHand(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}, "copier": {100, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}, "copier": {700, 0}})
	// A parser that the kit has not: kernels say 5 and 1.25; engines 4 to 7, and half as much again: all of the first is within.
	p := only(t, Question{Home: home, There: there, Results: study("synth:iot-1", "mine", "64", "hot", 60, 30, 0)})
	near(t, "low", p.LowNS, 30*5/1.25)
	near(t, "high", p.HighNS, 30*5*1.25)
	if p.Method != Kernels || !p.Calibrated {
		t.Errorf("%+v", p)
	}
	// Kernels that contradict the engines: both.
	for i := range there.Kernels.Kernels {
		there.Kernels.Kernels[i].MinNS, there.Kernels.Kernels[i].MedianNS = 20, 20
	}
	p = only(t, Question{Home: home, There: there, Results: study("synth:iot-1", "mine", "64", "hot", 60, 30, 0)})
	near(t, "low of both", p.LowNS, 30*4/1.5)
	near(t, "high of both", p.HighNS, 30*20*1.25)
	if p.Calibrated {
		t.Error("a wide bracket is called calibrated")
	}
	// Pieces: 64 allocations of 1 ns, of which one costs 20 there; the rest by the other kernels, 20 too.
	r := study("synth:iot-1", "mine", "64", "hot", 60, 30, 0)
	r.Ceilings[0].Allocs = analysis.Summarize([]float64{10})
	for i := range there.Kernels.Kernels {
		if there.Kernels.Kernels[i].Name == "alloc" {
			there.Kernels.Kernels[i].MedianNS = 2
		}
	}
	pr, err := newPair(home, there)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := pr.pieces(&cost{cache: trial.CacheHot, allocs: 10}, 30, workKernels)
	if !ok {
		t.Fatal("no pieces")
	}
	near(t, "pieces", b.LowNS, 10*2+20*20)
}

func TestInstructionsByHand(t *testing.T) {
	b, err := FindBoard("pi3b")
	if err != nil {
		t.Fatal(err)
	}
	a, err := Predict(Question{Board: &b, Engines: []string{"gopacket-layers"}})
	if err != nil {
		t.Fatal(err)
	}
	p := a.Predictions[slices.IndexFunc(a.Predictions, func(p Prediction) bool { return p.Size == "udp-64" && p.Cache == "hot" })]
	near(t, "low", p.LowNS, 700*1.0/1.2)
	near(t, "high", p.HighNS, 700*2.3/1.2)
	if p.Calibrated || p.Limit != LimitPort || math.Abs(p.LinePPS-148809.5) > 0.1 {
		t.Errorf("%+v", p)
	}
	p = a.Predictions[slices.IndexFunc(a.Predictions, func(p Prediction) bool { return p.Size == "udp-64" && p.Cache == "cold" })]
	near(t, "high of cold frames", p.HighNS, 700*2.3/1.2+3*162)
	// One core has the collector on it.
	zero, err := FindBoard("Raspberry Pi Zero W")
	if err != nil {
		t.Fatal(err)
	}
	got := byInstructions(&zero, "armv6", "gopacket-eager", "hot", 1000, 1000, 60)
	near(t, "low of one core", got.LowNS, 1000*2.0*1.3)
	near(t, "high of one core", got.HighNS, 1000*4.5*4.0)
}

func TestCountsAreThoseOfTheGate(t *testing.T) {
	golden, err := os.ReadFile(filepath.FromSlash("../../cmd/icount/testdata/golden.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := parseCounts(string(golden))
	if err != nil {
		t.Fatal(err)
	}
	have := table()
	if len(have.of) != len(want.of) {
		t.Errorf("%d counts, the gate has %d: copy cmd/icount/testdata/golden.tsv", len(have.of), len(want.of))
	}
	for at, n := range want.of {
		if have.of[at] != n {
			t.Errorf("%v: %v, the gate has %v", at, have.of[at], n)
		}
	}
	for _, arch := range Architectures() {
		for _, e := range have.engines {
			if _, _, ok := have.at(arch, e, 100); !ok {
				t.Errorf("nothing of %s on %s", e, arch)
			}
		}
	}
	for _, bad := range []string{"arm64\tdirect\tiot-1", "arm64\tdirect\tiot-1\tx", "arm64\tdirect\tiot-1\t-1", "arm64\tdirect\tiot-1\tNaN"} {
		if _, err := parseCounts(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCountsBetweenSizes(t *testing.T) {
	for _, tt := range []struct{ octets, low, high float64 }{
		{60, 3262.66, 3601.40}, {300, 3262.66, 3601.40}, {508, 3393.03, 3601.40}, {1000, 3393.03, 3766.49}, {1514, 3601.40, 3766.49},
		{0, 3262.66, 3766.49}, // not known: all sizes
		{8996, 3601.40, 3766.49 + (3766.49-3393.03)/1006*7482}, // beyond, copying goes on
	} {
		low, high, ok := table().at("arm64", "gopacket-eager", tt.octets)
		if !ok || low != tt.low || math.Abs(high-tt.high) > 1e-6 {
			t.Errorf("%v octets: %v to %v, want %v to %v", tt.octets, low, high, tt.low, tt.high)
		}
	}
	if low, high, ok := table().at("arm64", "direct", 9000); !ok || low != 100 || high != 116.92 {
		t.Errorf("an engine that does not copy, 9000 octets: %v to %v", low, high)
	}
	b, err := FindBoard("pi3b")
	if err != nil {
		t.Fatal(err)
	}
	for octets, want := range map[float64]bool{1514: false, 8996: true} {
		a, err := Predict(Question{Board: &b, Results: study("x", "direct", "s", "hot", octets, 25, 0)})
		if err != nil || slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "beyond frames of 1518 B") }) != want {
			t.Errorf("%v octets: %v, %+v", octets, err, a)
		}
	}
	if _, _, ok := table().at("arm64", "mine", 60); ok {
		t.Error("instructions of an engine that was never counted")
	}
}

func TestBoardsAreOfTheModels(t *testing.T) {
	models := make(map[string]board.Model)
	for _, m := range board.Models() {
		models[m.Name] = m
	}
	holds := func(f *board.Figure, v float64) bool {
		return f != nil && strings.Contains(f.Value, strconv.FormatFloat(v, 'f', -1, 64))
	}
	for _, b := range Boards() {
		m, ok := models[b.Model]
		if !ok {
			t.Errorf("%s: there is no model %s", b.Name, b.Model)
			continue
		}
		if m.RandomRead != nil && !holds(m.RandomRead, b.LatencyNS) {
			t.Errorf("%s: latency %v, published %s", b.Name, b.LatencyNS, m.RandomRead.Value)
		}
		if m.Memcpy != nil && strings.HasPrefix(m.Memcpy.Value, "as ") == false && !holds(m.Memcpy, b.CopyOctetsPerSecond/1e6) {
			t.Errorf("%s: memcpy %v, published %s", b.Name, b.CopyOctetsPerSecond, m.Memcpy.Value)
		}
		if m.EthernetBusBitsPerSecond != nil && float64(*m.EthernetBusBitsPerSecond) != b.Port.BusBitsPerSecond {
			t.Errorf("%s: bus of %v bit/s, published %d", b.Name, b.Port.BusBitsPerSecond, *m.EthernetBusBitsPerSecond)
		}
		if !(b.Core.CPILow > 0 && b.Core.CPILow < b.Core.CPIHigh) || b.Core.Why == "" || !(b.HzLow <= b.HzHigh) || !slices.Contains(Architectures(), b.Arch) {
			t.Errorf("%s: %+v", b.Name, b)
		}
		for _, name := range append(b.aliases, b.Name, b.Model, strings.ToUpper(b.Name)) {
			if got, err := FindBoard(name); err != nil || got.Name != b.Name {
				t.Errorf("%q finds %q, %v", name, got.Name, err)
			}
		}
		for _, tree := range m.DeviceTree {
			if got := boardOf(tree + " Rev 1.0"); got == nil || got.Name != b.Name {
				t.Errorf("%q finds %v", tree, got)
			}
		}
	}
	if len(Boards()) != len(models) {
		t.Errorf("%d boards of %d models", len(Boards()), len(models))
	}
	if _, err := FindBoard("pi9"); err == nil || !strings.Contains(err.Error(), "pi3b+") {
		t.Errorf("%v", err)
	}
}

func TestLineRates(t *testing.T) {
	for _, tt := range []struct {
		board        string
		octets, want float64
	}{
		{"pi3b", 60, 148809.52}, {"pi3b", 42, 148809.52}, {"pi3b", 1514, 8127.44}, {"pi4b", 60, 1488095.24},
		{"pi3b+", 60, 585937.5}, // 300 Mbit/s of 64 octets
		{"pizerow", 100, 43750}, {"picm5", 60, 0},
	} {
		b, err := FindBoard(tt.board)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Port.PPS(tt.octets); math.Abs(got-tt.want) > 0.01 {
			t.Errorf("%s, %v octets: %v pps, want %v", tt.board, tt.octets, got, tt.want)
		}
	}
}

// No prediction has a number without its bracket: in JSON, every number that depends on the prediction is one of two ends.
func TestNoNumberStandsAlone(t *testing.T) {
	for _, b := range Boards() {
		a, err := Predict(Question{Board: &b})
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Predictions {
			p := &a.Predictions[i]
			if p.Width() < 1.2 || p.Method == "" || p.Limit == "" || p.Calibrated && p.Width() > CalibratedWidth ||
				!(p.LowPPS < p.HighPPS) || p.Octets > 0 && (p.LinePPS > 0) != (b.Port.BitsPerSecond > 0) {
				t.Errorf("%s: %+v", b.Name, p)
			}
		}
		text, err := json.Marshal(a.Predictions[0])
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"low_ns", "high_ns", "low_pps", "high_pps", "method"} {
			if _, ok := fields[name]; !ok {
				t.Errorf("no %s in %s", name, text)
			}
			delete(fields, name)
		}
		for name, v := range fields {
			if _, number := v.(float64); number && name != "mean_octets" && name != "line_pps" {
				t.Errorf("%s is a number without a bracket: %s", name, text)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	r := study("synth:iot-1", "direct", "64", "hot", 60, 25, 0)
	pi3b, err := FindBoard("pi3b")
	if err != nil {
		t.Fatal(err)
	}
	emulated := machine("", 3, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	emulated.Environment.KernelArch = "x86_64"
	pc, orange := *home, *home
	pc.Environment.Arch, orange.Environment.Board = "amd64", "Orange Pi Zero 3"
	emulatedResults := study("synth:iot-1", "direct", "64", "hot", 60, 25, 0)
	emulatedResults.Header.Environment.KernelArch = "x86_64"
	workers, open := study("synth:iot-1", "direct", "64", "hot", 60, 25, 0), study("synth:iot-1", "direct", "64", "hot", 60, 25, 0)
	workers.Ceilings[0].Cell.Workers = 2
	open.Ceilings[0].NS = analysis.Summary{}
	for _, tt := range []struct {
		name string
		q    Question
		is   error
		says string
	}{
		{"nothing", Question{}, ErrNoBoard, ""},
		{"no board", Question{Home: home, Results: r}, ErrNoBoard, ""},
		{"results without a calibration of this machine", Question{There: there, Results: r}, ErrNoHome, ""},
		{"the same file twice", Question{There: there, Home: there, Results: r}, ErrSame, ""},
		{"another board", Question{Board: &pi3b, There: there}, nil, "is of a Raspberry Pi 4B"},
		{"a PC called a board", Question{Board: &pi3b, There: &pc}, nil, "linux/amd64"},
		{"another maker's board", Question{Board: &pi3b, There: &orange}, nil, "Orange Pi Zero 3"},
		{"an architecture with a calibration", Question{There: there, Arch: "armv7"}, ErrArch, "arm64"},
		{"an emulator", Question{There: emulated, Home: home, Results: r}, nil, "emulator"},
		{"an emulator alone", Question{There: emulated}, nil, "calibration there: a program for arm64 on a kernel for x86_64"},
		{"an emulator here", Question{Board: &pi3b, Home: emulated}, nil, "calibration here: a program"},
		{"results of an emulator", Question{Board: &pi3b, Results: emulatedResults}, nil, "results: a program"},
		{"empty results", Question{Board: &pi3b, Results: &analysis.Results{}}, nil, "no record"},
		{"empty results and calibrations", Question{There: there, Home: home, Results: &analysis.Results{}}, nil, "no record"},
		{"an empty scenario", Question{Board: &pi3b, Scenario: &analysis.Scenario{}}, nil, "no record"},
		{"several workers alone", Question{Board: &pi3b, Results: workers}, nil, "several workers"},
		{"several workers alone, calibrated", Question{There: there, Home: home, Results: workers}, nil, "several workers"},
		{"no closed loop", Question{Board: &pi3b, Results: open}, nil, "no closed loop"},
		{"no such engine in results", Question{Board: &pi3b, Results: r, Engines: []string{"none"}}, nil, "there are direct"},
		{"no such engine at all", Question{Board: &pi3b, Engines: []string{"none"}}, nil, "gopacket-nocopy, pyshark, scapy"},
		{"no such engine", Question{There: there, Engines: []string{"none"}}, nil, "no none engine"},
		{"nothing measured", Question{Board: &pi3b, Results: &analysis.Results{}, Engines: []string{"x"}}, nil, "nothing to predict from"},
	} {
		a, err := Predict(tt.q)
		if err == nil || a != nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// What a width does not show takes the label of calibrated away, and is said.
func TestNotCalibrated(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	results := func() *analysis.Results { return study("synth:iot-1", "direct", "64", "hot", 60, 25, 0) }
	if p := only(t, Question{Home: home, There: there, Results: results()}); !p.Calibrated || p.Width() > CalibratedWidth {
		t.Fatalf("%+v", p)
	}
	other, once, foreign := *home, results(), results()
	other.Environment.Board, other.Started = there.Environment.Board, home.Started.Add(time.Hour)
	once.Ceilings[0].NS = analysis.Summarize([]float64{25})
	foreign.Header.Environment.CPU = "another"
	apart := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	for i := range apart.Cells {
		if apart.Cells[i].Size != "64" { // so that the bracket itself stays narrow
			apart.Cells[i].Samples[0].NS *= 1.4
		}
	}
	scenario := &analysis.Scenario{Rows: []analysis.ScenarioRow{{Octets: 60, Engines: []analysis.ScenarioCell{{Engine: "direct",
		Cost: analysis.Summarize([]float64{25, 25})}}}}}
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{Home: &other, There: there, Results: func() *analysis.Results {
			r := results()
			r.Header.Environment.Board = there.Environment.Board
			return r
		}()}, "look the same"},
		{Question{Home: home, There: there, Results: once}, "one repeat"},
		{Question{Home: home, There: there, Results: foreign}, "do not look like one machine"},
		{Question{Home: home, There: there, Scenario: scenario}, "do not look like one machine"}, // its environment says nothing
		{Question{Home: home, There: apart, Results: results()}, "calibration there: repeats of 4 of 6 cells differ by more than 25 %"},
	} {
		a, err := Predict(tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.want, err)
			continue
		}
		p := a.Predictions[0]
		if p.Calibrated || p.Width() > CalibratedWidth || p.Method != Pair ||
			!slices.ContainsFunc(append(a.Notes, p.Notes...), func(n string) bool { return strings.Contains(n, tt.want) }) {
			t.Errorf("%s: %+v", tt.want, a)
		}
	}
	// A cell whose feed is all of its cost says nothing of the parser.
	for i := range there.Cells {
		if c := &there.Cells[i]; c.Size == "64" && c.Cache == trial.CacheHot {
			for j := range c.Samples {
				c.Samples[j].FeedNS = c.Samples[j].NS + 1
			}
		}
	}
	a, err := Predict(Question{There: there})
	if err != nil || len(a.Predictions) != 5 || !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "left out, because the feed's part") }) {
		t.Errorf("%v, %+v", err, a)
	}
}

// Results that were made on the board itself are measurements.
func TestResultsOfTheBoardItself(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	r := study("mine.pcap", "mine", "64", "hot", 60, 500, 0)
	r.Header.Environment = there.Environment
	pi4b, err := FindBoard("pi4b")
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Question{{There: there, Home: home, Results: r}, {There: there, Results: r}, {Board: &pi4b, Results: r}} {
		p := only(t, q)
		near(t, "low", p.LowNS, 500/1.15)
		near(t, "high", p.HighNS, 500*1.15)
		if p.Method != Measured || !p.Calibrated {
			t.Errorf("%+v", p)
		}
	}
	pi5, err := FindBoard("pi5")
	if err != nil {
		t.Fatal(err)
	}
	if p := only(t, Question{Board: &pi5, Results: r}); p.Method != Clock {
		t.Errorf("%+v", p)
	}
}

// Where the line rate is an upper bound, nothing is said to come before it.
func TestLimitOfAnUpperBound(t *testing.T) {
	limit := func(port Port, octets, low, high float64) Prediction {
		a := Answer{Port: port}
		a.add(Prediction{Octets: octets, Bracket: Bracket{low, high}})
		return a.Predictions[0]
	}
	for _, name := range []string{"pizerow", "pizero2w", "pi3b+"} {
		b, err := FindBoard(name)
		if err != nil {
			t.Fatal(err)
		}
		if p := limit(b.Port, 60, 1e6, 2e6); p.Limit != LimitEither || !p.LineAtMost {
			t.Errorf("%s, a slow parser: %+v", name, p)
		}
		if p := limit(b.Port, 1514, 100, 200); p.Limit != LimitPort {
			t.Errorf("%s, a fast parser: %+v", name, p)
		}
	}
	b, err := FindBoard("pi3b+")
	if err != nil {
		t.Fatal(err)
	}
	for link, want := range map[float64]Prediction{1e9: {LinePPS: 300e6 / 8 / 64, LineAtMost: true}, 100e6: {LinePPS: 100e6 / 8 / 84}} {
		port := Ethernet(link)
		a, err := Predict(Question{Board: &b, Port: &port, Results: study("x", "direct", "64", "hot", 60, 25, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if p := a.Predictions[0]; math.Abs(p.LinePPS-want.LinePPS) > 1e-6 || p.LineAtMost != want.LineAtMost || !strings.Contains(a.Port.What, "bus of 300 Mbit/s") {
			t.Errorf("link of %v: %+v, %s", link, p, a.Port.What)
		}
	}
}

func TestBracketsAreNumbers(t *testing.T) {
	inf := math.Inf(1)
	for _, b := range []Bracket{{0, 1}, {1, inf}, {2, 1}, {-1, 1}, {math.NaN(), 1}, {1, math.NaN()}, {1e-310, 1}, {inf, inf}} {
		if b.valid() {
			t.Errorf("%v is taken", b)
		}
	}
	if !(Bracket{1, 1}).valid() {
		t.Error("a bracket is refused")
	}
}

// The rows are of UDP on Ethernet: other traffic is said to be other.
func TestRowsAreOfUDPOnEthernet(t *testing.T) {
	b, err := FindBoard("pi3b")
	if err != nil {
		t.Fatal(err)
	}
	cells := func(ns ...float64) []analysis.ScenarioCell {
		var list []analysis.ScenarioCell
		for _, program := range []string{"scapy", "dpkt"} {
			list = append(list, analysis.ScenarioCell{Engine: program, Cost: analysis.Summarize(ns), OwnCost: analysis.Summarize(ns), Program: &analysis.ProgramFacts{}})
		}
		return list
	}
	s := &analysis.Scenario{}
	add := func(name, kind, link string, octets float64, c []analysis.ScenarioCell) {
		r := analysis.ScenarioRow{Octets: octets, Engines: c}
		r.Row.Name, r.Row.Kind, r.Row.Link = name, kind, link
		s.Rows = append(s.Rows, r)
	}
	add("datagrams", "udp", "ethernet", 90, cells(1e5, 1e5))
	add("once", "udp", "ethernet", 90, cells(1e5))
	s.Rows[1].Engines[0].Marks = []string{trial.MarkHostBusy}
	add("flood", "syn", "ethernet", 60, cells(1e5, 1e5))
	add("jumbo", "udp", "ethernet", 8996, cells(1e5, 1e5))
	add("lo", "udp", "loopback", 32810, cells(1e5, 1e5))
	add("unknown", "capture", "", 0, cells(1e5, 1e5))
	a, err := Predict(Question{Board: &b, Scenario: s})
	if err != nil {
		t.Fatal(err)
	}
	calibrated := make(map[string]int)
	for _, p := range a.Predictions {
		if p.Method == PublishedRows && p.Calibrated {
			calibrated[p.Size]++
		}
		if p.Size == "lo" || p.Size == "unknown" && (p.Method != Clock || p.LinePPS != 0) ||
			(p.Size == "flood" || p.Size == "jumbo") && (p.Calibrated || len(p.Notes) < 2) ||
			p.Size == "once" && p.Method == PublishedPair && p.Calibrated {
			t.Errorf("%+v", p)
		}
	}
	if len(calibrated) != 2 || calibrated["datagrams"] != 2 || calibrated["once"] != 2 {
		t.Errorf("%v", calibrated)
	}
	if !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "loopback") }) || !slices.Contains(a.Notes, "1 of 6 rows of scapy are marked host-busy") {
		t.Errorf("%q", a.Notes)
	}
	// A cost of a closed loop has the feed in it.
	closed := &analysis.Scenario{Rows: []analysis.ScenarioRow{{Octets: 60, Engines: []analysis.ScenarioCell{{Engine: "mine", Closed: analysis.Summarize([]float64{1e6, 1e6})}}}}}
	if p := only(t, Question{Board: &b, Scenario: closed}); !strings.Contains(strings.Join(p.Notes, "; "), "the feed's part in it") {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsDoubtfulIsSaid(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	there.Doubts = []string{"the processor was held back (heat or voltage) in 3 trials"}
	there.Quick = true
	r := study("synth:iot-1", "direct", "64", "hot", 60, 25, 0)
	a, err := Predict(Question{Home: home, There: there, Results: r})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(a.Notes, "calibration there: the processor was held back (heat or voltage) in 3 trials") {
		t.Errorf("%q", a.Notes)
	}
	near(t, "high by a quick kit", a.Predictions[0].HighNS, 25*4*1.30)
	// Repeats that lie apart widen what they say.
	there.Quick = false
	for i := range there.Cells {
		there.Cells[i].Samples[2].NS *= 1.5
	}
	p := only(t, Question{Home: home, There: there, Results: r})
	near(t, "high by repeats that differ", p.HighNS, 25*4*1.5)
	// Several workers are not one core.
	r.Ceilings = append(r.Ceilings, r.Ceilings[0])
	r.Ceilings[1].Cell.Workers = 4
	if a, err = Predict(Question{Home: home, There: there, Results: r}); err != nil || len(a.Predictions) != 1 ||
		!slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "several workers") }) {
		t.Errorf("%v, %+v", err, a)
	}
}

// Stages are carried by kernels, the engine before them by its own ratio.
func TestStages(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	r := study("synth:iot-1", "direct", "64", "hot", 60, 100, 0)
	r.Header.Settings.Stages = []string{"features"}
	p := only(t, Question{Home: home, There: there, Results: r})
	near(t, "whole by kernels", p.HighNS, 100*5*1.25)
	r.Ceilings[0].Stages = &analysis.StageCost{NS: analysis.Summarize([]float64{75})}
	p = only(t, Question{Home: home, There: there, Results: r})
	near(t, "engine and stages", p.HighNS, 25*4*1.15+75*5*1.25)
	if p.Stages != "features" || p.Method != Kernels {
		t.Errorf("%+v", p)
	}
}

// A board without a calibration: engines of the table by instructions, others by those beside them, or by clocks alone.
func TestCarriedWithoutCalibrations(t *testing.T) {
	b, err := FindBoard("pi3b")
	if err != nil {
		t.Fatal(err)
	}
	r := study("mine.pcap", "direct", "64", "hot", 60, 25, 0)
	r.Header.Environment.Arch = "amd64"
	mine := r.Ceilings[0]
	mine.Cell.Engine, mine.NS = "mine", analysis.Summarize([]float64{50})
	r.Ceilings = append(r.Ceilings, mine)
	a, err := Predict(Question{Board: &b, Results: r})
	if err != nil || len(a.Predictions) != 2 {
		t.Fatalf("%v, %+v", err, a)
	}
	direct, other := a.Predictions[0], a.Predictions[1]
	near(t, "direct, low", direct.LowNS, 100*1.0/1.2)
	near(t, "direct, high", direct.HighNS, 116.92*2.3/1.2)
	near(t, "mine, high", other.HighNS, 116.92*2.3/1.2/25*50*1.5)
	if direct.Method != Instructions || other.Method != Clock || other.Calibrated {
		t.Errorf("%+v", a.Predictions)
	}
	r.Ceilings = r.Ceilings[1:]
	p := only(t, Question{Board: &b, Results: r})
	if p.Method != Clock || p.Width() < 10 {
		t.Errorf("nothing but clocks: %+v", p)
	}
}

// What interpolation rests on: where both costs are lines in size, the cost there is within the bracket at every size between two of
// the kit's, with no margin at all.
func TestRatioOfLinesLiesBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		line := func() [2]float64 { return [2]float64{1 + 1000*r.Float64(), r.Float64()} }
		h, th := line(), line()
		p, err := newPair(machine("", 1, 0, 0, 1, map[string][2]float64{"e": h}), machine("", 2, 0, 0, 1, map[string][2]float64{"e": th}))
		if err != nil {
			t.Fatal(err)
		}
		octets := 60 + 1454*r.Float64()
		raw, _, ok := p.engine("e", trial.CacheHot, octets)
		truth := (th[0] + th[1]*octets) / (h[0] + h[1]*octets)
		near := math.Abs(octets-60) < 4 || math.Abs(octets-508) < 26 || octets > 1514-76 // counts as that size
		if !ok || !near && (truth < raw.low*(1-1e-12) || truth > raw.high*(1+1e-12)) {
			t.Fatalf("%v and %v at %v: ratio %v, range %v", h, th, octets, truth, raw)
		}
	}
}

func TestOneCommonSize(t *testing.T) {
	home := machine("", 1, 0, 0, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 0, 5, map[string][2]float64{"direct": {80, 0}})
	home.Quick = true
	p := only(t, Question{Home: without(home, nil, []string{"512", "1518"}), There: there, Results: study("synth:iot-1", "direct", "512", "hot", 508, 25, 0)})
	near(t, "high", p.HighNS, 25*4*1.30*1.30)
}

func TestWhatDoesNotCountIsSaid(t *testing.T) {
	home := machine("", 1, 0, 20, 1, map[string][2]float64{"direct": {20, 0}})
	there := machine("Raspberry Pi 4 Model B Rev 1.4", 2, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	pi5, err := FindBoard("pi5")
	if err != nil {
		t.Fatal(err)
	}
	pi4b, err := FindBoard("pi4b")
	if err != nil {
		t.Fatal(err)
	}
	plain := machine("", 3, 0, 20, 5, map[string][2]float64{"direct": {80, 0}})
	r, pc, marked := study("synth:iot-1", "direct", "64", "hot", 60, 25, 0), study("synth:iot-1", "direct", "64", "hot", 60, 25, 0),
		study("synth:iot-1", "direct", "64", "hot", 60, 25, 0)
	pc.Header.Environment.Arch = "amd64"
	marked.Ceilings[0].Marks = []string{trial.MarkHostBusy}
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{Board: &pi5, Home: home, Results: r}, "is not used: without one of the board"},
		{Question{There: there, Home: home}, "is not used: what the board's own"},
		{Question{There: there, Home: home, Results: pc}, "do not look like one machine"}, // amd64 and arm64
		{Question{Board: &pi4b, There: plain}, "does not say which board it is of"},
		{Question{Board: &pi5, Results: marked}, "1 of 1 cells of the results are marked host-busy"},
		{Question{There: there, Engines: []string{"direct", "mine"}}, "mine: nothing here to predict it from"},
	} {
		a, err := Predict(tt.q)
		if err != nil {
			t.Errorf("%s: %v", tt.want, err)
		} else if !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, tt.want) }) {
			t.Errorf("no %q in %q", tt.want, a.Notes)
		}
	}
}
