package report

import (
	"math"
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	const second = 1e9
	tests := []struct {
		name   string
		format func(float64) string
		in     float64
		want   string
	}{
		{"rate", FormatRate, 1234567, "1.23 Mpps"},
		{"rate of thousands", FormatRate, 811600, "812 kpps"},
		{"whole small rate", FormatRate, 74, "74 pps"},
		{"small rate", FormatRate, 74.25, "74.2 pps"},
		{"rate below one", FormatRate, 0.5, "0.500 pps"},
		{"rate far below one", FormatRate, 0.00001234, "1.23e-05 pps"},
		{"no rate", FormatRate, 0, "0 pps"},
		{"negative zero", FormatRate, math.Copysign(0, -1), "0 pps"},
		{"negative", FormatRate, -1234, "-1.23 kpps"},
		{"the last below a prefix", FormatRate, 999, "999 pps"},
		{"rounds to the next prefix", FormatRate, 999.6, "1.00 kpps"},
		{"rounds within the prefix", FormatRate, 999.4e3, "999 kpps"},
		{"rounds from k to M", FormatRate, 999.6e3, "1.00 Mpps"},
		{"two digits become three", FormatRate, 99.96e3, "100 kpps"},
		{"one digit becomes two", FormatRate, 9.996e3, "10.0 kpps"},
		{"G", FormatRate, 1.5e9, "1.50 Gpps"},
		{"past the last prefix", FormatRate, 1.5e16, "15000 Tpps"},
		{"far past the last prefix", FormatRate, 1.5e25, "1.5e+13 Tpps"},
		{"no value", FormatRate, nan, "n/a"},
		{"infinite", FormatRate, inf, "+∞ pps"},
		{"bits", FormatBits, 95.7e6, "95.7 Mbit/s"},
		{"nanoseconds", FormatDuration, 11.2, "11.2 ns"},
		{"whole nanoseconds", FormatDuration, 11, "11 ns"},
		{"part of a nanosecond", FormatDuration, 0.0199, "0.0199 ns"},
		{"microseconds", FormatDuration, 3100, "3.10 µs"},
		{"rounds to microseconds", FormatDuration, 999.7, "1.00 µs"},
		{"rounds to milliseconds", FormatDuration, 999.7e3, "1.00 ms"},
		{"milliseconds", FormatDuration, 12.93e6, "12.9 ms"},
		{"rounds to seconds", FormatDuration, 999.7e6, "1.00 s"},
		{"seconds", FormatDuration, 21 * second, "21.0 s"},
		{"the last of seconds", FormatDuration, 119 * second, "119 s"},
		{"minutes", FormatDuration, 200 * second, "3 min 20 s"},
		{"rounds to minutes", FormatDuration, 119.6 * second, "2 min 00 s"},
		{"hours", FormatDuration, 7500 * second, "2 h 05 min"},
		{"rounds to hours", FormatDuration, 7199 * second, "2 h 00 min"},
		{"negative time", FormatDuration, -200 * second, "-3 min 20 s"},
		{"no time", FormatDuration, nan, "n/a"},
		{"endless", FormatDuration, inf, "+∞ s"},
		{"ages", FormatDuration, 1e300, "1e+279 Ts"},
		{"frame", FormatOctets, 1518, "1518 B"},
		{"jumbo frame", FormatOctets, 9018, "9018 B"},
		{"mean size", FormatOctets, 400.25, "400 B"},
		{"memory", FormatOctets, 11 << 20, "11.0 MiB"},
		{"10,000", FormatOctets, 10000, "9.77 KiB"},
		{"rounds to MiB", FormatOctets, 1023.7 * 1024, "1.00 MiB"},
		{"dataset", FormatOctets, 548e9, "510 GiB"},
		{"no octets", FormatOctets, nan, "n/a"},
		{"infinite octets", FormatOctets, inf, "+∞ B"},
		{"loss", FormatRatio, 0.005, "0.500 %"},
		{"all lost", FormatRatio, 1, "100 %"},
		{"no loss", FormatRatio, 0, "0 %"},
		{"one in a million is not none", FormatRatio, 1e-6, "0.000100 %"},
		{"one in 10^12 is not none", FormatRatio, 1e-12, "1e-10 %"},
		{"no ratio", FormatRatio, nan, "n/a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.format(tt.in); got != tt.want {
				t.Errorf("%g is written %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// Whatever the size of a rate, what is written has three significant digits and stays within half of the last.
func TestFormatKeepsThreeDigits(t *testing.T) {
	prefixes := map[string]float64{"pps": 1, "kpps": 1e3, "Mpps": 1e6, "Gpps": 1e9}
	for v := 1.001; v < 9e11; v *= 1.0173 {
		text, unit, _ := strings.Cut(FormatRate(v), " ")
		var got float64
		digits := 0
		for _, r := range text {
			if r != '.' {
				got = 10*got + float64(r-'0')
				digits++
			}
		}
		if i := strings.IndexByte(text, '.'); i >= 0 {
			got /= math.Pow(10, float64(len(text)-1-i))
		}
		if digits != 3 || prefixes[unit] == 0 || math.Abs(got*prefixes[unit]-v) > 0.00501*v {
			t.Fatalf("%g is written %s %s", v, text, unit)
		}
	}
}
