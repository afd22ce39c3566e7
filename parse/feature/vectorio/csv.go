package vectorio

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"pcaplab/parse/feature"
)

// LabelColumn is the name of the column behind the features, as in the dataset's merged CSV files.
const LabelColumn = "Label"

// AppendHeader appends the first line of a CSV file.
func AppendHeader(dst []byte, labelled bool) []byte {
	dst = append(dst, strings.Join(feature.Columns(), ",")...)
	if labelled {
		dst = append(dst, ","+LabelColumn...)
	}
	return append(dst, '\n')
}

// AppendCSV appends the line of a vector without its line feed, octet for octet as pandas' to_csv writes it.
func AppendCSV(dst []byte, v *feature.Vector) []byte {
	x := &v.Values
	n, decimals := x[feature.Number], -1
	switch n {
	case 1:
		decimals = 0
	case 10:
		decimals = 1
	case 100:
		decimals = 2
	case 1000:
		decimals = 3
	}
	for column := range x {
		if column > 0 {
			dst = append(dst, ',')
		}
		value := x[column]
		switch {
		case whole[column]:
			dst = strconv.AppendInt(dst, int64(value), 10)
		case value == 0 && !math.Signbit(value):
			dst = append(dst, "0.0"...)
		case value == 1:
			dst = append(dst, "1.0"...)
		case column == feature.Rate && v.RateNano > 0:
			dst = appendDecimalRate(dst, uint64(n), uint64(v.RateNano))
		case column == feature.Rate || column == feature.IAT || column == feature.Std || column == feature.Variance:
			dst = AppendFloat(dst, value)
		case column == feature.TotSize && value == x[feature.Avg]:
			dst = append(dst, average(dst, column-feature.Avg)...)
		default:
			dst = appendMean(dst, value, n, decimals)
		}
	}
	return dst
}

// AppendLabel appends a label behind a line of AppendCSV, with a comma, and in quotes where it must be, as pandas does.
func AppendLabel(dst []byte, label string) []byte {
	dst = append(dst, ',')
	if !strings.ContainsAny(label, ",\"\r\n") {
		return append(dst, label...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(label, `"`, `""`)...)
	return append(dst, '"')
}

var whole = func() (t [feature.NumColumns]bool) {
	for i := range t {
		t[i] = feature.Whole(i)
	}
	return t
}()

// average returns the field that stands so many fields before the end of dst, which ends with a comma.
func average(dst []byte, back int) []byte {
	end := len(dst) - 1
	for range back - 1 {
		end--
		for dst[end] != ',' {
			end--
		}
	}
	start := end
	for dst[start-1] != ',' {
		start--
	}
	return dst[start:end]
}

var powers = [...]uint64{1, 10, 100, 1000}

// appendMean appends the mean of n whole numbers. Where n is a power of ten the mean is a short decimal fraction: if it
// has at most 15 digits, it is also the shortest that reads back as the same float64.
func appendMean(dst []byte, mean, n float64, decimals int) []byte {
	if decimals < 0 || !(mean > 0) || mean >= 1e11 {
		return AppendFloat(dst, mean)
	}
	sum := math.Round(mean * n)
	if sum/n != mean {
		return AppendFloat(dst, mean)
	}
	power := powers[decimals]
	t := uint64(sum)
	dst = strconv.AppendUint(dst, t/power, 10)
	dst = append(dst, '.')
	rest := t % power
	if rest == 0 {
		return append(dst, '0')
	}
	for rest > 0 {
		power /= 10
		dst = append(dst, byte('0'+rest/power))
		rest %= power
	}
	return dst
}

// AppendFloat appends v as Python's repr and pandas write it: the shortest digits that read back as v, at least one behind
// the point, with an exponent below 1e-4 and from 1e16 on; inf, -inf, and nothing for NaN.
func AppendFloat(dst []byte, v float64) []byte {
	switch abs := math.Abs(v); {
	case v != v:
		return dst
	case abs > math.MaxFloat64:
		if v > 0 {
			return append(dst, "inf"...)
		}
		return append(dst, "-inf"...)
	case abs < 1e15 && v == math.Trunc(v) && (v != 0 || !math.Signbit(v)):
		return append(strconv.AppendInt(dst, int64(v), 10), ".0"...)
	case abs >= 1e16 || abs < 1e-4 && v != 0:
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, 'f', -1, 64)
	for _, c := range dst[start:] {
		if c == '.' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// decimalDigits is the precision of Python's default decimal context.
const decimalDigits = 28

// appendDecimalRate appends n rows over so many ns as Python's decimal module divides and prints them: 28 digits, half to
// even; an exact quotient without trailing zeros, with an exponent where it ends in front of the point.
func appendDecimalRate(dst []byte, n, nano uint64) []byte {
	// n * 1e9 / nano, digit by digit: the whole part, then 9 digits at a time.
	high, low := bits.Mul64(n, 1e9)
	wholePart, rest := bits.Div64(high%nano, low, nano) // n is at most 2^20 and nano at least 1: high is below nano or 0
	if high >= nano {
		return AppendFloat(dst, float64(n)*1e9/float64(nano)) // not reached
	}
	var digits [decimalDigits + 36]byte
	b := digits[:0]
	if wholePart > 0 {
		b = strconv.AppendUint(b, wholePart, 10)
	}
	point := len(b) // digits before the decimal point
	for len(b)-leading(b) <= decimalDigits && rest > 0 {
		high, low := bits.Mul64(rest, 1e9)
		var q uint64
		q, rest = bits.Div64(high, low, nano)
		for power := uint64(1e8); power > 0; power /= 10 {
			b = append(b, byte('0'+q/power%10))
		}
	}
	zeros := leading(b)
	b, point = b[zeros:], point-zeros
	exact := rest == 0
	if len(b) > decimalDigits {
		up := b[decimalDigits] > '5'
		if b[decimalDigits] == '5' {
			up = rest > 0 || strings.Trim(string(b[decimalDigits+1:]), "0") != "" || b[decimalDigits-1]%2 == 1
		}
		exact = exact && strings.Trim(string(b[decimalDigits:]), "0") == ""
		b = b[:decimalDigits]
		for i := len(b) - 1; up; i-- {
			if i < 0 { // all nines
				b[0] = '1'
				point++
				break
			}
			if b[i]++; b[i] <= '9' {
				break
			}
			b[i] = '0'
		}
	}
	if exact {
		// The exponent goes up to 9, that of the ideal result: rows have none, times have -9.
		for len(b) > 1 && b[len(b)-1] == '0' && point-len(b) < 9 {
			b = b[:len(b)-1]
		}
	}
	exponent := point - len(b)
	switch adjusted := point - 1; {
	case exponent > 0 || adjusted < -6:
		dst = append(dst, b[0])
		if len(b) > 1 {
			dst = append(append(dst, '.'), b[1:]...)
		}
		dst = append(dst, 'E')
		if adjusted >= 0 {
			dst = append(dst, '+')
		}
		return strconv.AppendInt(dst, int64(adjusted), 10)
	case point <= 0:
		dst = append(dst, "0."...)
		for range -point {
			dst = append(dst, '0')
		}
		return append(dst, b...)
	case point < len(b):
		dst = append(dst, b[:point]...)
		dst = append(dst, '.')
		return append(dst, b[point:]...)
	}
	return append(dst, b...)
}

// leading returns how many zeros digits start with.
func leading(digits []byte) int {
	n := 0
	for n < len(digits) && digits[n] == '0' {
		n++
	}
	return n
}
