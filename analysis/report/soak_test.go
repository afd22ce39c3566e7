package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pcaplab/analysis"
	"pcaplab/replay/meter"
	"pcaplab/replay/trial"
)

// soaked is a study of two soaks of three minutes: direct falls by 30 % at 100 s on a board that tells everything, eager holds
// where nothing can be read.
func soaked() (trial.Header, []trial.Record) {
	h := studyHeader(trial.SearchMLR, 1)
	h.Plan.Goals = h.Plan.Goals[:1]
	h.Plan.Soak, h.Plan.Trial = 3*time.Minute, time.Second
	var records []trial.Record
	for _, engine := range []string{"direct", "eager"} {
		loop := func(at time.Duration, kind, phase string) {
			ns := 100.0
			if engine == "direct" && at >= 100*time.Second {
				ns /= 0.7
			}
			rec := closed(engine, 1, ns)
			rec.Kind, rec.At, rec.Input.Phase, rec.Usage.WallNs = kind, at, phase, int64(time.Second)
			if engine == "direct" {
				u := &rec.Usage
				celsius := 45 + int64(at/(4*time.Second))
				u.TemperatureBeforeMilliC, u.TemperatureAfterMilliC = pointer(1000*celsius), pointer(1000*celsius+300)
				flags := meter.ThrottleFlags(0)
				u.FrequencyAfterHz, u.CalibrationAfterNs = pointer(int64(1.4e9)), 1000
				if at >= 100*time.Second {
					flags, u.CalibrationAfterNs = meter.FrequencyCapped, 1250
					u.FrequencyAfterHz = pointer(int64(1.2e9))
				}
				u.ThrottleBefore, u.ThrottleAfter = &flags, &flags
			}
			records = append(records, rec)
		}
		loop(0, trial.KindWarmUp, "")
		for at := time.Second; at < 3*time.Minute; at += time.Second {
			switch {
			case at < time.Minute:
				loop(at, trial.KindService, trial.PhaseFirst)
			case at < 2*time.Minute:
				loop(at, trial.KindService, trial.PhaseSoak)
			default:
				loop(at, trial.KindService, trial.PhaseLast)
			}
			if at%(2*time.Minute) == 30*time.Second {
				rate, phase := 8e6, trial.PhaseFirst
				if at > time.Minute {
					phase = trial.PhaseLast
					if engine == "direct" {
						rate = 5.6e6
					}
				}
				rec := found(engine, 1, h.Plan.Goals[0], rate, 1.004*rate)
				rec.Input.Phase = phase
				records = append(records, rec)
			}
		}
		end := trial.Record{Schema: trial.Schema, Kind: trial.KindSoak, Cell: cellOf(engine), Repeat: 1}
		if engine == "eager" {
			end.Cooling = &trial.Cooling{Waited: 190 * time.Second, FromMilliC: 90000, ToMilliC: 47000, TargetMilliC: 47000}
		}
		records = append(records, end)
	}
	return h, records
}

func TestSoakText(t *testing.T) {
	h, records := soaked()
	var b bytes.Buffer
	if err := WriteText(&b, analysis.Analyze(h, records)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"soak      3m0s, the parser kept busy; ceilings are of its last 1m0s: what the machine sustains\n",
		"soak of 3m0s: the first and the last 1m0s\n",
		"direct 64 hot: fell by 30.0 % after 100 s, at 70.3 °C: throttled; 45.0 °C at the start, 89.3 °C at most, 89.3 °C at the end; " +
			"clock 1.40 GHz at first, 1.20 GHz at least; flags frequency capped\n",
		"eager 64 hot: held; waited 3 min 10 s before to cool from 90.0 °C to 47.0 °C\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	lines := strings.Split(b.String(), "\n")
	at := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "soak of") })
	for i, want := range [][]string{
		{"engine", "size", "frames", "window", "service", "NDR", "temperature", "clock", "clock by loop"},
		nil,
		{"direct", "64", "hot", "first", "10.0 Mpps [10.0, 10.0 Mpps]", "8.00 Mpps", "45.0 to 59.3 °C", "1.40 GHz", "100 %"},
		{"direct", "64", "hot", "between", "10.0 Mpps [7.00, 10.0 Mpps]", "60.0 to 74.3 °C", "1.40 GHz", "100 %"},
		{"direct", "64", "hot", "last", "7.00 Mpps [7.00, 7.00 Mpps]", "5.60 Mpps", "75.0 to 89.3 °C", "1.20 GHz", "80.0 %"},
		{"direct", "64", "hot", "change", "-30.0 % [-30.0, -30.0 %]", "-30.0 % (-30.3, -29.7 %)"},
		{"eager", "64", "hot", "first", "10.0 Mpps [10.0, 10.0 Mpps]", "8.00 Mpps", "n/a", "n/a", "n/a"},
		{"eager", "64", "hot", "between", "10.0 Mpps [10.0, 10.0 Mpps]", "n/a", "n/a", "n/a"},
		{"eager", "64", "hot", "last", "10.0 Mpps [10.0, 10.0 Mpps]", "8.00 Mpps", "n/a", "n/a", "n/a"},
		{"eager", "64", "hot", "change", "0 % [0, 0 %]", "0 % (-0.398, +0.400 %)"},
	} {
		if got := columns(lines[at+1+i]); want != nil && !slices.Equal(got, want) {
			t.Errorf("row %d\n got %q\nwant %q", i, got, want)
		}
	}
	// The table of ceilings is of the last window.
	row := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "direct") })
	if got := columns(lines[row]); !slices.Contains(got, "7.00 Mpps") || !slices.Contains(got, "5.60 Mpps") {
		t.Errorf("ceilings %q", got)
	}
}

func TestSoakOnBoards(t *testing.T) {
	h, records := soaked()
	r := analysis.Analyze(h, records)
	var b bytes.Buffer
	if err := WriteBoards(&b, []Board{{"pi3", r}, {"pi4", r}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\npi3: soak of 3m0s", "\npi4: soak of 3m0s", "fell by 30.0 % after 100 s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestSoakGoalCells(t *testing.T) {
	low, high := pointer(8e6), pointer(8.02e6)
	tests := []struct {
		name string
		goal analysis.SoakGoal
		want string
	}{
		{"regular", analysis.SoakGoal{Rate: low, Lower: low, Upper: high, Regular: true}, "8.00 Mpps"},
		{"too wide", analysis.SoakGoal{Rate: low, Lower: low, Upper: pointer(9e6)}, "8.00 Mpps *"},
		{"no load was too much", analysis.SoakGoal{Rate: low, Lower: low}, "> 8.00 Mpps"},
		{"the lowest load was too much", analysis.SoakGoal{Upper: high}, "none"},
		{"no time for any bound", analysis.SoakGoal{NoTime: true}, "no time"},
		{"no time for a lower bound", analysis.SoakGoal{Upper: high, NoTime: true}, "no time"},
		{"no time for an upper bound", analysis.SoakGoal{Rate: low, Lower: low, NoTime: true}, "> 8.00 Mpps *"},
		{"no time to come closer", analysis.SoakGoal{Rate: low, Lower: low, Upper: pointer(9e6), NoTime: true}, "8.00 Mpps *"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.goal.Goal = "ndr"
			w := &analysis.SoakWindow{Goals: []analysis.SoakGoal{tt.goal}}
			if got := soakGoalCell(w, "ndr", false, FormatRate).Text; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got := goalChange(w, "ndr"); got != "n/a" {
				t.Errorf("change %q of a goal without one", got)
			}
		})
	}
	if got := soakGoalCell(&analysis.SoakWindow{}, "ndr", false, FormatRate).Text; got != "n/a" {
		t.Errorf("a window without a search: %q", got)
	}
}

func TestSoakSentences(t *testing.T) {
	valid := func(low, high float64) analysis.Interval {
		return analysis.Interval{Low: low, High: high, Coverage: 0.98}
	}
	changed := func(ratio *float64, i analysis.Interval) analysis.Change {
		return analysis.Change{Ratio: ratio, Interval: i}
	}
	tests := []struct {
		name string
		soak analysis.Soak
		want string
	}{
		{"unfinished", analysis.Soak{Verdict: analysis.SoakUnknown}, "unfinished"},
		{"nothing", analysis.Soak{Ended: true, Verdict: analysis.SoakUnknown}, "no rates to compare"},
		{"too few", analysis.Soak{Ended: true, Verdict: analysis.SoakUnknown, Change: analysis.Change{Ratio: pointer(-0.1)}},
			"changed by -10.0 %; too few closed loops for an interval"},
		{"held", analysis.Soak{Ended: true, Verdict: analysis.SoakHeld, Change: changed(pointer(0.001), valid(-0.01, 0.01))}, "held"},
		{"held within", analysis.Soak{Ended: true, Verdict: analysis.SoakHeld, Change: changed(pointer(-0.02), valid(-0.03, -0.01))},
			"held within 5.00 %: fell by 2.00 %"},
		{"rose", analysis.Soak{Ended: true, Verdict: analysis.SoakHeld, Change: changed(pointer(0.2), valid(0.1, 0.3))}, "held: rose by 20.0 %"},
		{"unclear", analysis.Soak{Ended: true, Verdict: analysis.SoakUnclear, Change: changed(pointer(-0.1), valid(-0.2, 0.1))},
			"unclear: the spread hides what lies between -20.0 % and +10.0 %"},
		{"for a time", analysis.Soak{Ended: true, Verdict: analysis.SoakHeld, Change: changed(pointer(0.001), valid(-0.01, 0.01)),
			Slower: pointer(200 * time.Second), SlowerMilliC: pointer(int64(81000))},
			"held; slower by more than 5.00 % for a time, first after 3 min 20 s, at 81.0 °C"},
		{"loop", analysis.Soak{Ended: true, Verdict: analysis.SoakFell, Cause: analysis.CauseLoop, LoopLast: pointer(0.8),
			Change: changed(pointer(-0.2), valid(-0.3, -0.1))}, "fell by 20.0 %: the clock fell by 20.0 % by the calibration loop; the kernel does not tell"},
		{"kernel", analysis.Soak{Ended: true, Verdict: analysis.SoakFell, Cause: analysis.CauseClock, Change: changed(pointer(-0.2), valid(-0.3, -0.1)),
			First: analysis.SoakWindow{Hz: pointer(int64(15e8))}, Last: analysis.SoakWindow{Hz: pointer(int64(1e9))}},
			"fell by 20.0 %: the clock went from 1.50 GHz to 1.00 GHz"},
		{"not as cool", analysis.Soak{Ended: true, Verdict: analysis.SoakHeld, Change: changed(pointer(0.001), valid(-0.01, 0.01)),
			Cooling: &trial.Cooling{Waited: 10 * time.Minute, FromMilliC: 80000, ToMilliC: 55000, TargetMilliC: 47000}},
			"held; waited 10 min 00 s before to cool from 80.0 °C to 55.0 °C, not to the 47.0 °C of the study's start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := soakSentence(&tt.soak); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSoakCSVAndJSON(t *testing.T) {
	h, records := soaked()
	r := analysis.Analyze(h, records)
	read := func(write func(*bytes.Buffer) error) [][]string {
		t.Helper()
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := read(func(b *bytes.Buffer) error { return WriteSoakCSV(b, r) })
	if len(rows) != 3 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, tt := range []struct {
		row        int
		head, want string
	}{
		{1, "engine", "direct"}, {1, "verdict", "fell"}, {1, "cause", "throttled"}, {1, "slower_after_s", "100"}, {1, "slower_celsius", "70.3"},
		{1, "max_celsius", "89.3"}, {1, "min_hz", "1.2e+09"}, {1, "loop_last", "0.8"}, {1, "throttle", "frequency capped"}, {1, "cooled_s", ""},
		{1, "first_from_s", "1"}, {1, "last_to_s", "180"}, {1, "first_service_pps", "1e+07"}, {1, "first_service_pps_n", "8"},
		{1, "last_ndr_pps", "5.6e+06"}, {1, "first_trials", "59"},
		{1, "last_ndr_regular", "true"}, {1, "last_ndr_without_time", "false"},
		{2, "verdict", "held"}, {2, "slower_after_s", ""}, {2, "max_celsius", ""}, {2, "min_hz", ""}, {2, "throttle", ""}, {2, "cooled_s", "190"},
		{2, "first_loop_ns", ""}, {2, "ndr_change", "0"},
	} {
		j := slices.Index(rows[0], tt.head)
		if j < 0 {
			t.Fatalf("no column %q in %q", tt.head, rows[0])
		}
		if rows[tt.row][j] != tt.want {
			t.Errorf("%s of %s is %q, want %q", tt.head, rows[tt.row][0], rows[tt.row][j], tt.want)
		}
	}
	trials := read(func(b *bytes.Buffer) error { return WriteSoakTrialsCSV(b, r) })
	if len(trials) != 1+2*179 || strings.Join(trials[1], " ") != "direct 64 hot 1 1 first 1 1e+07 45.3 1.4e+09 1000" ||
		strings.Join(trials[358], " ") != "eager 64 hot 1 1 last 179 1e+07   " {
		t.Errorf("%d rows, first %q, last %q", len(trials), trials[1], trials[len(trials)-1])
	}

	var b bytes.Buffer
	if err := WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		var s struct {
			Kind, Unit, Verdict string
			Cell                trial.Cell
			MaxMilliC           *int64 `json:"max_milli_c"`
			Change              struct{ Ratio *float64 }
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if s.Kind != "soak" {
			continue
		}
		found++
		switch s.Cell.Engine {
		case "direct":
			if s.Unit != "pps" || s.Verdict != "fell" || s.MaxMilliC == nil || *s.MaxMilliC != 89300 || math.Abs(*s.Change.Ratio+0.3) > 1e-6 {
				t.Errorf("%s", line)
			}
		default:
			if s.Verdict != "held" || !strings.Contains(line, `"max_milli_c":null`) || !strings.Contains(line, `"throttle":null`) {
				t.Errorf("%s", line)
			}
		}
	}
	if found != 2 {
		t.Errorf("%d soaks in\n%s", found, b.String())
	}
}

func TestSoakFilesAndBenchmarks(t *testing.T) {
	h, records := soaked()
	path := filepath.Join(t.TempDir(), "soak")
	f, err := Create(path, h)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, rec := range records {
		if err := f.Append(rec); err != nil {
			t.Fatal(err)
		}
	}
	header, again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Finish(analysis.Analyze(header, again)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{SoakCSVFile, SoakTrialsCSVFile, SoakFiles + ".png", SoakFiles + ".svg"} {
		if info, err := os.Stat(filepath.Join(path, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(path, SoakFiles+".svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rate (% of first)", "°C", "clock (% of first)", "time (min)", "direct: 10.0 Mpps → 7.00 Mpps", "soak of 3m0s"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the chart", want)
		}
	}
	var b bytes.Buffer
	if err := WriteStudyBenchfmt(&b, h, records); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "BenchmarkCeiling"); n != 2 || !strings.Contains(b.String(), "soak: last 1m0s of 3m0s") ||
		!strings.Contains(b.String(), "5.6e+06 ndr-pps") || strings.Contains(b.String(), "8e+06 ndr-pps 8e+06 ndr-pps") {
		t.Errorf("%d lines of ceilings in\n%s", n, b.String())
	}
}

func TestSoakChart(t *testing.T) {
	nan := math.NaN()
	point := func(rate, celsius, clock, loop float64) Chart {
		return SoakChart{Soaks: []SoakSeries{{"direct", []SoakPoint{{time.Second, rate, celsius, clock, loop}}}}}
	}
	for name, chart := range map[string]Chart{
		"rate only": point(1, nan, nan, nan), "all": point(1, 50, 1, 1), "nothing passes": point(0, nan, nan, nan), "frost": point(1, -20, nan, 1),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteSVG(&b, chart); err != nil || strings.Contains(b.String(), "NaN") {
				t.Errorf("error %v, %d octets", err, b.Len())
			}
		})
	}
	for name, chart := range map[string]Chart{
		"no soaks": SoakChart{}, "no points": SoakChart{Soaks: []SoakSeries{{Engine: "direct"}}}, "rate unknown": point(nan, 1, 1, 1),
		"infinite": point(math.Inf(1), 1, 1, 1), "negative": point(-1, 1, 1, 1), "clock": point(1, 1, -1, 1), "hot": point(1, math.Inf(1), 1, 1),
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteSVG(&b, chart); err == nil || !strings.HasPrefix(err.Error(), "soak chart:") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A search must show as a gap wherever it lies among the spans that are joined.
func TestSoakPointsDoNotBridgeASearch(t *testing.T) {
	for _, n := range []int{100, 239, 240, 241, 479, 1000} {
		s := &analysis.Soak{}
		s.First.Service = analysis.Summary{N: 1, Median: 100}
		pause := n/3 + 1
		at := time.Duration(0)
		for i := range n {
			if at += 100 * time.Millisecond; i == pause {
				at += 15 * time.Second
			}
			s.Trials = append(s.Trials, analysis.SoakTrial{At: at, Rate: 100})
		}
		before, after := s.Trials[pause-1].At, s.Trials[pause].At
		points := soakPoints(s, time.Minute)
		if len(points) > chartSpans+2 {
			t.Errorf("%d trials: %d points", n, len(points))
		}
		gaps := 0
		for i := 1; i < len(points); i++ {
			if math.IsNaN(points[i].Rate) {
				gaps++
				continue
			}
			if points[i-1].At <= before && points[i].At >= after && !math.IsNaN(points[i-1].Rate) {
				t.Errorf("%d trials: the search from %v to %v is bridged", n, before, after)
			}
		}
		if gaps != 1 {
			t.Errorf("%d trials: %d gaps", n, gaps)
		}
	}
}
