package datasets

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// Natural compares paths as people order them, with the result of [strings.Compare]: folder by folder, numbers by their value,
// letters whatever their case, a name before the same name with something added (X.pcap, X (1).pcap, X1.pcap, X2.pcap, X10.pcap).
// Paths that differ are never equal.
func Natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		n, m := digits(x), digits(y)
		if n > 0 && m > 0 {
			v, w := strings.TrimLeft(x[:n], "0"), strings.TrimLeft(y[:m], "0")
			if c := cmp.Or(cmp.Compare(len(v), len(w)), cmp.Compare(v, w)); c != 0 {
				return c
			}
			x, y = x[n:], y[m:]
			continue
		}
		r, n := utf8.DecodeRuneInString(x)
		s, m := utf8.DecodeRuneInString(y)
		if c := cmp.Compare(rank(r), rank(s)); c != 0 {
			return c
		}
		x, y = x[n:], y[m:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// rank puts the end of a folder's name first and that of a file's name before what may be added to it.
func rank(r rune) rune {
	switch {
	case r == '/' || r == '\\':
		return -2
	case r == '.':
		return -1
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	}
	return r
}

// digits returns how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
