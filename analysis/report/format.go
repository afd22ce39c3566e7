package report

import (
	"math"
	"strconv"
	"strings"
)

// The Format functions write numbers for people: three significant digits, SI prefixes (1000), and "n/a" for NaN. What
// must be exact goes to CSV or to the records.

// FormatRate writes packets per second: "74 pps", "812 kpps", "1.23 Mpps".
func FormatRate(pps float64) string { return scaled(pps, "pps") }

// FormatBits writes bits per second: "95.7 Mbit/s".
func FormatBits(bps float64) string { return scaled(bps, "bit/s") }

// FormatDuration writes nanoseconds: "11.2 ns", "3.10 µs", "21.0 s", and from two minutes on "3 min 20 s", "2 h 05 min".
func FormatDuration(ns float64) string {
	const second = 1e9
	a := math.Abs(ns)
	sign := ""
	if ns < 0 {
		sign = "-"
	}
	switch {
	case math.IsNaN(ns) || math.IsInf(ns, 0) || a > 1e6*3600*second:
		return scaled(ns/second, "s")
	case a < 999.5:
		return scaled(ns, "ns")
	case a < 999.5e3:
		return significant(ns/1e3) + " µs"
	case a < 999.5e6:
		return significant(ns/1e6) + " ms"
	case a < 119.5*second:
		return significant(ns/second) + " s"
	case a < (7200-30)*second:
		s := int64(math.Round(a / second))
		return sign + strconv.FormatInt(s/60, 10) + " min " + twoDigits(s%60) + " s"
	default:
		m := int64(math.Round(a / second / 60))
		return sign + strconv.FormatInt(m/60, 10) + " h " + twoDigits(m%60) + " min"
	}
}

func twoDigits(n int64) string {
	if n < 10 {
		return "0" + strconv.FormatInt(n, 10)
	}
	return strconv.FormatInt(n, 10)
}

// FormatOctets writes a number of octets: plain below 10,000, as sizes of frames are, then with binary prefixes (1024)
// as sizes of memory and files are: "1518 B", "11.0 MiB".
func FormatOctets(octets float64) string {
	if math.Abs(octets) < 10000 {
		return scaled(octets, "B")
	}
	if math.IsNaN(octets) || math.IsInf(octets, 0) {
		return scaled(octets, "B")
	}
	return prefixed(octets, 1024, "B", "Ki", "Mi", "Gi", "Ti")
}

// prefixed divides v by base until it is small enough for a prefix, at least once; the last prefix takes any size.
func prefixed(v, base float64, unit string, prefixes ...string) string {
	v /= base
	i := 0
	for ; i < len(prefixes)-1 && math.Abs(v) >= base-0.5; i++ {
		v /= base
	}
	return significant(v) + " " + prefixes[i] + unit
}

// FormatRatio writes a ratio as percent: "0.500 %", "12.3 %". Only zero is written "0 %".
func FormatRatio(ratio float64) string {
	if ratio == 0 || math.IsNaN(ratio) || math.IsInf(ratio, 0) {
		return scaled(ratio, "%")
	}
	return significant(100*ratio) + " %"
}

// scaled writes v with an SI prefix. Whole numbers below 10,000 octets or 1,000 of anything else have no fraction: they
// are counts.
func scaled(v float64, unit string) string {
	limit := 999.5
	if unit == "B" {
		limit = 10000
	}
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "n/a"
	case math.IsInf(v, 0):
		return strings.ReplaceAll(strconv.FormatFloat(v, 'g', -1, 64), "Inf", "∞") + " " + unit
	case a < limit && a == math.Trunc(a):
		return plain(v) + " " + unit
	case a < limit:
		return significant(v) + " " + unit
	}
	return prefixed(v, 1000, unit, "k", "M", "G", "T")
}

func plain(v float64) string {
	if v == 0 {
		return "0" // also for -0
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// significant writes v with three significant digits, without an exponent from 0.0001 up to what a prefix leaves.
func significant(v float64) string {
	a := math.Abs(v)
	if a >= 1e7 || a < 0.9995e-4 && a > 0 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	decimals := 2
	for limit := 9.995; a >= limit && decimals > 0; limit *= 10 {
		decimals--
	}
	for limit := 0.9995; a < limit && decimals < 6 && a > 0; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
