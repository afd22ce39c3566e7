package report

import (
	"bytes"
	"strings"
	"testing"

	"pcaplab/analysis/prediction"
)

func answer() *prediction.Answer {
	p := func(engine, cache string, method prediction.Method, low, high, line float64, limit prediction.Limit) prediction.Prediction {
		return prediction.Prediction{Engine: engine, Size: "64", Octets: 60, Cache: cache, Method: method, Bracket: prediction.Bracket{LowNS: low, HighNS: high},
			LowPPS: 1e9 / high, HighPPS: 1e9 / low, LinePPS: line, Limit: limit, Calibrated: method == prediction.Pair, Live: cache == ""}
	}
	return &prediction.Answer{Board: "pi\x1b[31m", From: "x", Predictions: []prediction.Prediction{
		p("direct", "hot", prediction.Pair, 500, 1000, 148809, prediction.LimitPort),
		p("direct", "cold", prediction.Pair, 5000, 10000, 148809, prediction.LimitEither),
		p("dpkt", "", prediction.PublishedRows, 1e5, 1.5e5, 148809, prediction.LimitParser),
		p("dpkt", "", prediction.PublishedPair, 1e5, 4e5, 148809, prediction.LimitParser),
		p("mine", "hot", prediction.Clock, 100, 1000, 0, prediction.LimitUnknown),
	}, Notes: []string{"a\x1b note"}}
}

func TestPredictionText(t *testing.T) {
	var b bytes.Buffer
	if err := WritePrediction(&b, answer()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"direct (64, cold): 100 to 200 kpps a core, by calibrated pair, parser alone; the port's line rate, 149 kpps, is within: either can come first\n",
		"dpkt (64, live): 6.67 to 10.0 kpps a core, by published rows, capture included; the port's line rate is 149 kpps: the sniffer comes before the port\n",
		"mine (64, hot): 1.00 to 10.0 Mpps a core, by cycles and clocks, parser alone; the port's line rate is not known\n",
		"500 ns to 1.00 µs", "cycles and clocks *", "2.0x",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("controls of a name reach the terminal")
	}
}

func TestPredictionCSV(t *testing.T) {
	var b bytes.Buffer
	if err := WritePredictionCSV(&b, answer()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 6 || lines[0] != "board,engine,stages,size,mean_octets,cache,method,calibrated,low_ns,high_ns,low_pps,high_pps,line_pps,line_at_most,limit,live_capture" ||
		!strings.HasSuffix(lines[1], ",direct,,64,60,hot,calibrated pair,true,500,1000,1e+06,2e+06,148809,false,port,false") ||
		!strings.HasSuffix(lines[5], ",n/a,false,unknown,false") {
		t.Errorf("%s", b.String())
	}
}

func TestPredictionSentences(t *testing.T) {
	p := prediction.Prediction{Engine: "direct", Size: "64", Cache: "hot", Method: prediction.Measured, LowPPS: 1e5, HighPPS: 2e5, LinePPS: 586e3, LineAtMost: true}
	for limit, want := range map[prediction.Limit]string{
		prediction.LimitEither: "a core, measured there, parser alone; the port's line rate is at most 586 kpps: either can come first",
		prediction.LimitPort:   "a core, measured there, parser alone; the port's line rate is at most 586 kpps: the port comes before the parser",
	} {
		if p.Limit = limit; !strings.HasSuffix(PredictionSentence(&p), want) {
			t.Errorf("%s: %s", limit, PredictionSentence(&p))
		}
	}
	for width, want := range map[float64]string{1.15: "1.1x", 2.949: "2.9x", 2.996: "3.00x", 3.014: "3.01x", 3.14: "3.1x", 30.04: "30.0x"} {
		if got := widthText(width); got != want {
			t.Errorf("%v: %s, want %s", width, got, want)
		}
	}
}
