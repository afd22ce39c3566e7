package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// KeyValue is a setting: of a whole run as a file line "key: value", or of one result as a part "key=value" of its name.
type KeyValue struct {
	Key   string
	Value string
}

// BenchLine is one result of one repeat. Repeats have equal names.
type BenchLine struct {
	Name       string     // what was measured, as "Ceiling"; starts with an upper-case letter
	Labels     []KeyValue // what tells results of that name apart
	Procs      int        // threads that parsed, at least 1
	Iterations uint64     // packets behind the result, at least 1
	Values     []BenchValue
}

// BenchValue is one measured number.
type BenchValue struct {
	Value float64
	Unit  string // as "ns/op" or "ndr-pps"
	// Better is "higher" or "lower", or empty where neither is: it is told to benchstat once per unit.
	Better string
}

// WriteBenchfmt writes results in the Go benchmark data format (golang.org/design/14313-benchmark-format, with the unit
// lines of golang.org/x/perf/benchfmt), so that benchstat compares two runs. Labels become parts "/key=value" of the
// name; what the format cannot hold there (spaces, slashes) is replaced by an underscore. It is an error when a
// key, name or unit does not follow the format, a value is not finite, or two results disagree on what is better; then
// nothing is written.
func WriteBenchfmt(w io.Writer, config []KeyValue, results []BenchLine) error {
	var b bytes.Buffer
	var faults []error
	for _, kv := range config {
		if err := checkKey(kv.Key); err != nil {
			faults = append(faults, err)
		}
		if strings.ContainsAny(kv.Value, "\n\r") {
			faults = append(faults, fmt.Errorf("benchmark setting %q: its value has a line break", kv.Key))
		}
		fmt.Fprintf(&b, "%s: %s\n", kv.Key, strings.TrimSpace(clean(kv.Value)))
	}
	better := map[string]string{}
	for i := range results {
		for _, v := range results[i].Values {
			known, ok := better[v.Unit]
			switch {
			case ok && known != v.Better:
				faults = append(faults, fmt.Errorf("benchmark unit %q: both %q and %q are better", v.Unit, known, v.Better))
			case ok:
			default:
				better[v.Unit] = v.Better
				if v.Better != "" {
					fmt.Fprintf(&b, "Unit %s better=%s\n", v.Unit, v.Better)
				}
			}
		}
	}
	b.WriteByte('\n')
	for i := range results {
		if err := results[i].check(); err != nil {
			faults = append(faults, err)
			continue
		}
		results[i].write(&b)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

// checkKey wants what file configuration keys are: a lower-case letter first, then no upper-case letter, space or colon.
func checkKey(key string) error {
	first, _ := utf8.DecodeRuneInString(key)
	if !unicode.IsLower(first) || strings.ContainsFunc(key, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsUpper(r) || unicode.IsControl(r) || r == ':' || r == utf8.RuneError
	}) {
		return fmt.Errorf("benchmark setting %q: keys start with a lower-case letter and have no upper-case letter, "+
			"space or colon", key)
	}
	return nil
}

func (l *BenchLine) check() error {
	first, _ := utf8.DecodeRuneInString(l.Name)
	switch {
	case !unicode.IsUpper(first) || part(l.Name) != l.Name:
		return fmt.Errorf("benchmark name %q: want one word that starts with an upper-case letter", l.Name)
	case l.Procs < 1:
		return fmt.Errorf("benchmark %s: %d threads", l.Name, l.Procs)
	case l.Iterations < 1 || l.Iterations > math.MaxInt64:
		return fmt.Errorf("benchmark %s: %d iterations", l.Name, l.Iterations)
	case len(l.Values) == 0:
		return fmt.Errorf("benchmark %s: no values", l.Name)
	}
	for _, kv := range l.Labels {
		if kv.Key == "" || part(kv.Key) != kv.Key || strings.Contains(kv.Key, "=") {
			return fmt.Errorf("benchmark %s: %q cannot be the key of a label", l.Name, kv.Key)
		}
	}
	seen := map[string]bool{}
	for _, v := range l.Values {
		switch {
		case v.Unit == "" || strings.ContainsFunc(v.Unit, func(r rune) bool {
			return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError
		}):
			return fmt.Errorf("benchmark %s: %q cannot be a unit", l.Name, v.Unit)
		case math.IsNaN(v.Value) || math.IsInf(v.Value, 0):
			return fmt.Errorf("benchmark %s: %g %s; leave out what was not measured", l.Name, v.Value, v.Unit)
		case v.Better != "" && v.Better != "higher" && v.Better != "lower":
			return fmt.Errorf("benchmark %s: better=%s; want higher or lower", l.Name, v.Better)
		case seen[v.Unit]:
			return fmt.Errorf("benchmark %s: two values in %s", l.Name, v.Unit)
		}
		seen[v.Unit] = true
	}
	return nil
}

// write always adds the number of threads: without it a label that ends in a dash and digits would be taken for one.
func (l *BenchLine) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "Benchmark%s", l.Name)
	for _, kv := range l.Labels {
		fmt.Fprintf(b, "/%s=%s", kv.Key, part(kv.Value))
	}
	fmt.Fprintf(b, "-%d %d", l.Procs, l.Iterations)
	for _, v := range l.Values {
		fmt.Fprintf(b, " %s %s", strconv.FormatFloat(v.Value, 'g', -1, 64), v.Unit)
	}
	fmt.Fprintln(b)
}

// part replaces what a part of a benchmark's name cannot hold.
func part(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			return '_'
		}
		return r
	}, s)
}
