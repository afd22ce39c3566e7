package vectorio

import (
	"math"
	"strconv"

	"pcaplab/parse/feature"
)

// maxDigits is how many digits pandas takes of a number, zeros in front among them; what follows only counts.
const maxDigits = 17

// ReadCSVFloat returns what read_csv of pandas 1.2 and later makes of a field of a column of floats by default ("high"
// precision): up to some last bits beside the nearest float64. Fields are numbers in decimal, with an exponent or without,
// inf, -inf, and nothing or nan for NaN; anything else gives NaN. Found with pandas 1.5.3.
func ReadCSVFloat(s []byte) float64 {
	v, ok := readCSVFloat(s)
	if !ok {
		return math.NaN()
	}
	return v
}

// readCSVFloat says in ok whether s is a number, empty, or a name of one that is not finite.
func readCSVFloat(s []byte) (v float64, ok bool) {
	i, n := 0, len(s)
	negative := n > 0 && s[0] == '-'
	if negative || n > 0 && s[0] == '+' {
		i++
	}
	// Each step rounds as C's does on amd64: the product on its own, then the sum.
	var number float64
	digits, exponent := 0, 0
	for ; i < n && s[i]-'0' <= 9; i++ {
		if digits < maxDigits {
			number = float64(number*10) + float64(s[i]-'0')
			digits++
		} else if exponent < exponentLimit {
			exponent++
		}
	}
	if i < n && s[i] == '.' {
		for i++; i < n && s[i]-'0' <= 9; i++ {
			if digits < maxDigits {
				number = float64(number*10) + float64(s[i]-'0')
				digits++
				exponent--
			}
		}
	}
	if digits == 0 {
		return named(s)
	}
	if i < n && s[i]|0x20 == 'e' {
		i++
		minus := i < n && s[i] == '-'
		if minus || i < n && s[i] == '+' {
			i++
		}
		start, power := i, 0
		for ; i < n && s[i]-'0' <= 9; i++ {
			power = min(power*10+int(s[i]-'0'), exponentLimit)
		}
		if i == start {
			return 0, false
		}
		if minus {
			power = -power
		}
		exponent += power
	}
	if i < n {
		return 0, false
	}
	switch {
	case number == 0:
	case exponent > 308:
		number = math.Inf(1)
	case exponent > 0:
		number *= powersOf10[exponent]
	case exponent < -616:
		number = 0
	case exponent < -308:
		number /= powersOf10[-308-exponent]
		number /= 1e308
	default:
		number /= powersOf10[-exponent]
	}
	if negative {
		number = -number
	}
	return number, true
}

// exponentLimit bounds exponents so that they cannot overflow.
const exponentLimit = 100000

var powersOf10 = func() (t [309]float64) {
	for i := range t {
		t[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return t
}()

// named reads the names of what is not finite, in any case.
func named(s []byte) (v float64, ok bool) {
	if len(s) == 0 {
		return math.NaN(), true
	}
	sign := 1
	if s[0] == '-' || s[0] == '+' {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	switch {
	case is(s, "inf"), is(s, "infinity"):
		return math.Inf(sign), true
	case is(s, "nan"):
		return math.NaN(), true
	}
	return 0, false
}

// is compares without regard to case. name is in lower case.
func is(s []byte, name string) bool {
	if len(s) != len(name) {
		return false
	}
	for i := range s {
		if s[i]|0x20 != name[i] {
			return false
		}
	}
	return true
}

// RoundTrip replaces the values of a vector by those that pandas reads back from its line of CSV, as the original pipeline
// does when it joins pieces: means and rates change in their last bits. The text of Rate is the one of 28 digits where
// RateNano asks for it; RateNano is then cleared, as what is read is a float64. Whole columns, NaN and infinities stay.
func RoundTrip(v *feature.Vector) {
	for column := range v.Values {
		if whole[column] {
			continue
		}
		x := v.Values[column]
		var text [64]byte
		if column == feature.Rate && v.RateNano > 0 {
			v.Values[column] = ReadCSVFloat(appendDecimalRate(text[:0], uint64(v.Values[feature.Number]), uint64(v.RateNano)))
			continue
		}
		// A decimal of at most 15 digits comes back as it was.
		if x >= 0 && x < 1e12 && float64(uint64(x*1000+0.5))/1000 == x {
			continue
		}
		if x-x != 0 {
			continue
		}
		v.Values[column] = ReadCSVFloat(AppendFloat(text[:0], x))
	}
	v.RateNano = 0
}
