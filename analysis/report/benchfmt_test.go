package report

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// benchFile is what a strict reader of the benchmark format finds.
type benchFile struct {
	config  map[string]string
	better  map[string]string
	results []benchResult
}

type benchResult struct {
	name       string
	iterations int64
	values     map[string]float64 // by unit
}

var benchName = regexp.MustCompile(`^Benchmark(\p{Lu}[^\s/]*)((?:/[^\s/=]+=[^\s/]*)*)-([1-9][0-9]*)$`)

// readBench follows the rules of the format's design, written apart from the writer, and refuses what they do not allow.
func readBench(text string) (benchFile, error) {
	f := benchFile{config: map[string]string{}, better: map[string]string{}}
	if !utf8.ValidString(text) {
		return f, fmt.Errorf("not UTF-8")
	}
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fail := func(why string) (benchFile, error) { return f, fmt.Errorf("line %d, %q: %s", n+1, line, why) }
		switch {
		case line == "":
		case strings.HasPrefix(line, "Benchmark"):
			fields := strings.Fields(line)
			if len(fields) < 4 || len(fields)%2 != 0 {
				return fail("not a name, a count and pairs")
			}
			if strings.Join(fields, " ") != line {
				return fail("more than one space")
			}
			if !benchName.MatchString(fields[0]) {
				return fail("name")
			}
			r := benchResult{name: fields[0], values: map[string]float64{}}
			var err error
			if r.iterations, err = strconv.ParseInt(fields[1], 10, 64); err != nil || r.iterations < 1 {
				return fail("iterations")
			}
			for i := 2; i < len(fields); i += 2 {
				v, err := strconv.ParseFloat(fields[i], 64)
				if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
					return fail("value")
				}
				if _, twice := r.values[fields[i+1]]; twice {
					return fail("unit twice")
				}
				r.values[fields[i+1]] = v
			}
			f.results = append(f.results, r)
		case strings.HasPrefix(line, "Unit "):
			fields := strings.Fields(line)
			if len(fields) != 3 || len(f.results) > 0 {
				return fail("unit line")
			}
			better, ok := strings.CutPrefix(fields[2], "better=")
			if _, twice := f.better[fields[1]]; !ok || twice {
				return fail("unit line")
			}
			f.better[fields[1]] = better
		default:
			key, value, ok := strings.Cut(line, ":")
			first, _ := utf8.DecodeRuneInString(key)
			if !ok || !unicode.IsLower(first) || strings.ContainsFunc(key, unicode.IsSpace) ||
				strings.ContainsFunc(key, unicode.IsUpper) {
				return fail("neither a setting nor a result")
			}
			f.config[key] = strings.TrimSpace(value)
		}
	}
	return f, nil
}

func benchLines() []BenchLine {
	var lines []BenchLine
	for i, engine := range []string{"direct", "gopacket-lazy-2", "own parser/β"} {
		for repeat := range 6 {
			lines = append(lines, BenchLine{
				Name: "Ceiling", Labels: []KeyValue{{"engine", engine}, {"size", "64"}}, Procs: 2,
				Iterations: 1000000,
				Values: []BenchValue{
					{Value: 80.25 * float64(i+1) * (1 + float64(repeat)/100), Unit: "ns/op"},
					{Value: 12e6 / float64(i+1) * (1 - float64(repeat)/100), Unit: "ndr-pps", Better: "higher"},
					{Value: 0, Unit: "B/op"},
				},
			})
		}
	}
	return lines
}

func TestWriteBenchfmt(t *testing.T) {
	var b bytes.Buffer
	lines := benchLines()
	err := WriteBenchfmt(&b, []KeyValue{{"goos", "linux"}, {"cpu", " Cortex-A53: 4 cores "}, {"capture", ""}}, lines)
	if err != nil {
		t.Fatal(err)
	}
	f, err := readBench(b.String())
	if err != nil {
		t.Fatal(err)
	}
	if f.config["goos"] != "linux" || f.config["cpu"] != "Cortex-A53: 4 cores" || len(f.config) != 3 {
		t.Errorf("settings %q", f.config)
	}
	if len(f.better) != 1 || f.better["ndr-pps"] != "higher" {
		t.Errorf("units %q", f.better)
	}
	if len(f.results) != len(lines) {
		t.Fatalf("%d results, want %d", len(f.results), len(lines))
	}
	names := map[string]int{}
	for i, r := range f.results {
		names[r.name]++
		for _, v := range lines[i].Values {
			if got, ok := r.values[v.Unit]; !ok || got != v.Value {
				t.Errorf("result %d: %g %s, want %g", i, got, v.Unit, v.Value)
			}
		}
		if r.iterations != 1000000 {
			t.Errorf("result %d: %d iterations", i, r.iterations)
		}
	}
	for _, name := range []string{"BenchmarkCeiling/engine=direct/size=64-2",
		"BenchmarkCeiling/engine=gopacket-lazy-2/size=64-2", "BenchmarkCeiling/engine=own_parser_β/size=64-2"} {
		if names[name] != 6 {
			t.Errorf("%d results are named %s, want 6; there are %v", names[name], name, names)
		}
	}
}

func TestWriteBenchfmtRefuses(t *testing.T) {
	good := func(change func(*BenchLine)) []BenchLine {
		l := BenchLine{Name: "Ceiling", Procs: 1, Iterations: 1, Values: []BenchValue{{Value: 1, Unit: "ns/op"}}}
		change(&l)
		return []BenchLine{l}
	}
	value := func(v BenchValue) []BenchLine {
		return good(func(l *BenchLine) { l.Values = append(l.Values, v) })
	}
	tests := []struct {
		name    string
		config  []KeyValue
		results []BenchLine
		err     string
	}{
		{"upper-case key", []KeyValue{{"CPU", "x"}}, nil, `"CPU"`},
		{"upper case inside a key", []KeyValue{{"cPU", "x"}}, nil, `"cPU"`},
		{"empty key", []KeyValue{{"", "x"}}, nil, `""`},
		{"key with a space", []KeyValue{{"a b", "x"}}, nil, `"a b"`},
		{"key with a colon", []KeyValue{{"a:b", "x"}}, nil, `"a:b"`},
		{"value with a line break", []KeyValue{{"a", "x\ny"}}, nil, "line break"},
		{"empty name", nil, good(func(l *BenchLine) { l.Name = "" }), "upper-case"},
		{"lower-case name", nil, good(func(l *BenchLine) { l.Name = "ceiling" }), "upper-case"},
		{"two words", nil, good(func(l *BenchLine) { l.Name = "Two Words" }), "one word"},
		{"no threads", nil, good(func(l *BenchLine) { l.Procs = 0 }), "0 threads"},
		{"no iterations", nil, good(func(l *BenchLine) { l.Iterations = 0 }), "0 iterations"},
		{"too many iterations", nil, good(func(l *BenchLine) { l.Iterations = 1 << 63 }), "iterations"},
		{"no values", nil, good(func(l *BenchLine) { l.Values = nil }), "no values"},
		{"label without a key", nil, good(func(l *BenchLine) { l.Labels = []KeyValue{{"", "x"}} }), "label"},
		{"label key with =", nil, good(func(l *BenchLine) { l.Labels = []KeyValue{{"a=", "x"}} }), "label"},
		{"empty unit", nil, value(BenchValue{Unit: ""}), "unit"},
		{"unit with a space", nil, value(BenchValue{Unit: "n s"}), "unit"},
		{"unit twice", nil, value(BenchValue{Unit: "ns/op"}), "two values"},
		{"no number", nil, value(BenchValue{Value: math.NaN(), Unit: "pps"}), "NaN pps"},
		{"infinite", nil, value(BenchValue{Value: math.Inf(1), Unit: "pps"}), "+Inf pps"},
		{"better is neither", nil, value(BenchValue{Unit: "pps", Better: "more"}), "better=more"},
		{"units that disagree", nil, append(value(BenchValue{Unit: "pps", Better: "higher"}),
			value(BenchValue{Unit: "pps", Better: "lower"})...), `both "higher" and "lower"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			err := WriteBenchfmt(&b, tt.config, tt.results)
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
			if b.Len() > 0 {
				t.Errorf("%q was written", b.String())
			}
		})
	}
}

// Names of engines come from outside: whatever they are, the file stays well-formed.
func FuzzWriteBenchfmt(f *testing.F) {
	f.Add("cpu", "Cortex", "engine", "gopacket-lazy-2", "ndr-pps")
	f.Add("a:b", "x\ny", "a=b", "x/y z", "n s")
	f.Add("é", "\xff", "k", "\u2028", "µs")
	f.Fuzz(func(t *testing.T, key, setting, label, value, unit string) {
		var b bytes.Buffer
		err := WriteBenchfmt(&b, []KeyValue{{key, setting}}, []BenchLine{{Name: "Ceiling", Procs: 1, Iterations: 1,
			Labels: []KeyValue{{label, value}}, Values: []BenchValue{{Value: 1, Unit: unit}}}})
		if err != nil {
			return
		}
		got, err := readBench(b.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.results) != 1 || len(got.config) != 1 || got.results[0].values[unit] != 1 {
			t.Fatalf("%+v from\n%s", got, b.String())
		}
	})
}
