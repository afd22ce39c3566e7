package report

import (
	"bytes"
	"strings"
	"testing"

	"pcaplab/analysis"
	"pcaplab/replay/trial"
	"pcaplab/replay/trial/search"
)

func boardOf(name, machine string, ns float64, cells ...string) Board {
	r := &analysis.Results{Header: trial.Header{Version: "v"}}
	r.Header.Environment.CPU = machine
	r.Header.Plan.Goals = []search.Goal{search.NDR()}
	r.Header.Captures = []trial.Capture{{Name: "a.pcap", Frames: 2, Octets: 120}}
	for _, engine := range cells {
		one := func(v float64) analysis.Summary { return analysis.Summary{N: 1, Median: v, Max: v} }
		r.Ceilings = append(r.Ceilings, analysis.Ceiling{
			Cell: trial.Cell{Engine: engine, Size: "captured", Cache: "cold", Workers: 1}, NS: one(ns), Service: one(1e9 / ns),
			Goals: []analysis.Found{{Goal: "ndr", Rate: one(0.9e9 / ns), Repeats: 1}},
		})
	}
	r.Warnings = []string{"few repeats"}
	return Board{Name: name, Results: r}
}

func TestBoardsStandSideBySide(t *testing.T) {
	boards := []Board{boardOf("pi@slow", "slow core", 1000, "direct", "eager"), boardOf("pi@fast", "fast core", 100, "direct")}
	var out bytes.Buffer
	if err := WriteBoards(&out, boards); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if n := strings.Count(text, "capture   a.pcap"); n != 1 {
		t.Errorf("what all share stands %d times:\n%s", n, text)
	}
	rows := make(map[string][]string)
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) > 4 && f[1] == "captured" {
			rows[f[0]+" "+f[3]] = f[4:]
		}
	}
	for _, tt := range []struct{ name, row, want string }{
		{"cost", "direct time/packet", "1.00 µs 100 ns"},
		{"service", "direct service", "1.00 Mpps 10.0 Mpps"},
		{"goal", "direct NDR", "900 kpps 9.00 Mpps"},
		{"measured on one only", "eager service", "1.00 Mpps n/a"},
	} {
		if got := strings.Join(rows[tt.row], " "); got != tt.want {
			t.Errorf("%s: %q, want %q\n%s", tt.name, got, tt.want, text)
		}
	}
	for _, want := range []string{"pi@slow: few repeats", "pi@fast: few repeats", "slow core", "fast core"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "marks") {
		t.Errorf("a row of nothing:\n%s", text)
	}
}
